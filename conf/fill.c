/* The draft into struct conf: defaults, members by the table's offsets, labelled blocks. */
#include "conf/draft.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/parse.h"
#include "base/str.h"
#include "base/vec.h"

/* writes a text that was checked when it came in */
static void store_text(const struct conf_key *k, const char *text, void *at)
{
    switch (k->type) {
    case K_INT:
    case K_INTP:
        (void)!parse_i64(text, at);
        break;
    case K_FLOAT:
        (void)!parse_f64(text, at);
        break;
    case K_BOOL:
    case K_BOOLP:
        (void)!parse_bool(text, at);
        break;
    case K_DUR:
        (void)!parse_duration(text, at);
        break;
    default:
        str_set(at, text);
        break;
    }
}

static void store(const struct conf_key *k, const struct setting *s, void *object)
{
    void *at = (char *)object + k->off;

    if (k->type == K_LIST) {
        size_t *n = (void *)((char *)object + k->off_n);

        for (size_t i = 0; i < s->n_list; i++)
            if (!strv_has(*(char ***)at, *n, s->list[i]))
                strv_add(at, n, s->list[i]);
    } else if (k->type == K_MAP) {
        strmap_copy(at, &s->map);
    } else if (s->set && s->text) {
        store_text(k, s->text, at);
    } else if (k->def) {
        store_text(k, k->def, at);
    }
}

static void store_instance(const struct instance *in, void *object)
{
    for (size_t i = 0; i < in->n_set; i++)
        if (in->key[1 + i].off != KEY_NO_MEMBER)
            store(&in->key[1 + i], &in->set[i], object);
}

static void fill_instances(struct draft *d, struct conf *c)
{
    for (size_t i = 0; i < d->n_inst; i++) {
        const struct instance *in = &d->inst[i];

        if (strcmp(in->key->path, "client.host_volume") == 0) {
            struct conf_volume *v = vec_add(&c->client.volumes, &c->client.n_volumes);

            v->name = xstrdup(in->label);
            store_instance(in, v);
        } else if (strcmp(in->key->path, "client.host_network") == 0) {
            struct conf_host_network *n =
                vec_add(&c->client.host_networks, &c->client.n_host_networks);

            n->name = xstrdup(in->label);
            store_instance(in, n);
        } else if (strcmp(in->key->path, "plugin") == 0) {
            struct conf_plugin *p = vec_add(&c->plugins, &c->n_plugins);

            p->name = xstrdup(in->label);
            store_instance(in, p);
            if (!p->config_json)
                p->config_json = xstrdup("{}");
        }
    }
}

/* Addresses that are found by running a program or asking a cloud are not looked up. */
static void drop_discovery(struct draft *d, struct conf *c)
{
    const struct setting *join = draft_setting(d, "client.server_join.retry_join");
    size_t kept = 0;

    for (size_t i = 0; i < c->client.n_servers; i++) {
        char *s = c->client.servers[i];

        if (str_starts(s, "provider=") || str_starts(s, "exec=")) {
            draft_warn(d, &join->at,
                       "retry_join \"%.60s\" has no effect: servers are not discovered", s);
            free(s);
        } else {
            c->client.servers[kept++] = s;
        }
    }
    c->client.n_servers = kept;
}

static void default_path(char **path, const char *folder, const char *name)
{
    if (!*path && folder)
        *path = xasprintf("%s/%s", folder, name);
}

static void fill_derived(unsigned role, struct conf *c)
{
    char host[HOST_NAME_MAX + 1] = "";

    if (str_empty(c->name) && gethostname(host, sizeof(host) - 1) == 0 && host[0])
        str_set(&c->name, host);
    default_path(&c->client.state_dir, c->data_dir, "client");
    default_path(&c->client.alloc_dir, c->data_dir, "alloc");
    default_path(&c->server.data_dir, c->data_dir, "server");
    c->bind_default = !c->bind_addr;
    if (c->bind_default)
        c->bind_addr = xstrdup(c->dev || !(role & CONF_SERVER) ? "127.0.0.1" : "0.0.0.0");
}

void draft_fill(struct draft *d, unsigned role, struct conf *ret)
{
    for (size_t i = 0; i < n_conf_keys; i++) {
        const struct conf_key *k = &conf_keys[i];

        if (k->off == KEY_NO_MEMBER)
            continue;
        if (k->type == K_LABEL || key_in_label(k))
            continue;
        store(k, &d->set[i], ret);
    }
    drop_discovery(d, ret);
    fill_instances(d, ret);
    fill_derived(role, ret);
    ret->files = steal_ptr(&d->files);
    ret->n_files = d->n_files;
    d->n_files = 0;
}

void conf_done(struct conf *c)
{
    for (size_t i = 0; i < n_conf_keys; i++) {
        const struct conf_key *k = &conf_keys[i];
        void *at = (char *)c + k->off;

        if (k->off == KEY_NO_MEMBER || key_in_label(k))
            continue;
        if (k->type == K_STR || k->type == K_STRP)
            *(char **)at = mem_free(*(char **)at);
        else if (k->type == K_LIST)
            strv_done(at, (void *)((char *)c + k->off_n));
        else if (k->type == K_MAP)
            strmap_done(at);
    }
    for (size_t i = 0; i < c->client.n_volumes; i++) {
        free(c->client.volumes[i].name);
        free(c->client.volumes[i].path);
    }
    for (size_t i = 0; i < c->client.n_host_networks; i++) {
        struct conf_host_network *n = &c->client.host_networks[i];

        free(n->name);
        free(n->cidr);
        free(n->interface);
        free(n->reserved_ports);
    }
    for (size_t i = 0; i < c->n_plugins; i++) {
        free(c->plugins[i].name);
        free(c->plugins[i].config_json);
    }
    free(c->client.volumes);
    free(c->client.host_networks);
    free(c->plugins);
    strv_done(&c->files, &c->n_files);
    *c = (struct conf){0};
}
