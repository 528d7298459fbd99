/* The way from files to struct conf. */
#include "conf/load.h"

#include <errno.h>

#include "base/str.h"
#include "codec/ops.h"
#include "conf/sockaddr.h"

static void load_file(struct draft *d, const struct conf_file *f)
{
    struct hcl_doc doc = {0};
    struct place nowhere = {0};
    struct err e = {0};

    if (!str_empty(f->error)) {
        draft_error(d, &nowhere, "Error loading configuration from %s: %s", f->given, f->error);
        d->incomplete = true;
        return;
    }
    if (str_empty(f->path)) {
        draft_warn(d, &nowhere, "No configuration loaded from %s", f->given);
        return;
    }
    strv_add(&d->files, &d->n_files, f->path);
    if (hcl_parse(f->path, f->text.p ? (const char *)f->text.p : "", f->text.n, &doc, &e) < 0) {
        draft_error(d, &nowhere, "%s", e.text); /* it begins with file, line and column */
        d->incomplete = true;
        return;
    }
    draft_read(d, &doc);
    hcl_done(&doc);
}

void load_files(struct draft *d, const struct conf_files *files)
{
    for (size_t i = 0; i < files->n; i++)
        load_file(d, &files->v[i]);
}

void load_paths(struct draft *d, const char *const *paths, size_t n_paths)
{
    struct conf_files files = {0};

    conf_files_read(paths, n_paths, NULL, &files);
    load_files(d, &files);
    ops_clear(&desc_conf_files, &files);
}

/* Each program takes its part of a shared configuration; one that only names the other role is not
 * for this program. */
static void check_role(struct draft *d, unsigned role)
{
    const struct setting *client = draft_setting(d, "client.enabled");
    const struct setting *server = draft_setting(d, "server.enabled");
    const struct setting *own = role == CONF_CLIENT ? client : server;
    const struct setting *other = role == CONF_CLIENT ? server : client;
    const char *own_name = role == CONF_CLIENT ? "client" : "server";
    const char *other_name = role == CONF_CLIENT ? "server" : "client";

    if (!other->set)
        return;
    if (own->set)
        draft_warn(d, &other->at, "%s {} is left to %s, this program takes the %s part", other_name,
                   role == CONF_CLIENT ? "picket-server" : "picketd", own_name);
    else
        draft_error(d, &other->at,
                    "only %s is enabled, this program is a %s: set %s { enabled = true } or -%s",
                    other_name, own_name, own_name, own_name);
}

static void evaluate(struct draft *d, const struct place *at, const char *what, char **text)
{
    struct err e = {0};
    char *result;

    if (str_empty(*text))
        return;
    if (sockaddr_eval(*text, &result, &e) < 0) {
        draft_error(d, at, "Failed to parse %s: %s", what, e.text);
        return;
    }
    free(*text);
    *text = result;
}

/* Templates that name interfaces; those of addresses are evaluated when something binds. */
static void evaluate_templates(struct draft *d, struct conf *c)
{
    const struct conf_key *network = key_find("client.host_network");

    evaluate(d, &draft_setting(d, "client.network_interface")->at, "network-interface",
             &c->client.network_interface);
    for (size_t i = 0; i < c->client.n_host_networks; i++) {
        struct conf_host_network *n = &c->client.host_networks[i];

        evaluate(d, &draft_instance(d, network, n->name)->at, "host_network interface",
                 &n->interface);
    }
}

int load_finish(struct draft *d, unsigned role, unsigned flags, struct conf *ret)
{
    struct conf c = {.dev = flags & LOAD_DEV};
    int r = 0;

    if (role == CONF_CLIENT || role == CONF_SERVER)
        check_role(d, role);
    draft_answer(d, role);
    draft_fill(d, role, &c);
    c.client.enabled = role & CONF_CLIENT;
    c.server.enabled = role & CONF_SERVER;
    conf_validate(d, role, &c);
    if (d->report->n_errors == 0 && (role & CONF_CLIENT) && (flags & LOAD_HERE))
        evaluate_templates(d, &c);
    if (d->report->n_errors > 0) {
        conf_done(&c);
        r = -EINVAL;
    } else {
        *ret = c;
    }
    draft_done(d);
    return r;
}

int conf_load(const char *const *paths, size_t n_paths, unsigned role, struct conf *ret,
              struct conf_report *report)
{
    struct draft d;

    *report = (struct conf_report){0};
    draft_init(&d, report);
    load_paths(&d, paths, n_paths);
    return load_finish(&d, role, LOAD_HERE, ret);
}

int conf_check(const char *const *paths, size_t n_paths, struct conf_report *report)
{
    unsigned role = 0;
    struct conf c;
    struct draft d;
    int r;

    *report = (struct conf_report){0};
    draft_init(&d, report);
    load_paths(&d, paths, n_paths);
    if (draft_setting(&d, "client.enabled")->set)
        role |= CONF_CLIENT;
    if (draft_setting(&d, "server.enabled")->set)
        role |= CONF_SERVER;
    r = load_finish(&d, role ? role : CONF_CLIENT | CONF_SERVER, 0, &c);
    if (r == 0)
        conf_done(&c);
    return r;
}
