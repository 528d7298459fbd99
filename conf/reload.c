/* What a reload changes, by comparing the members that the key table names. */
#include "conf/reload.h"

#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/loop.h"
#include "base/str.h"
#include "codec/js.h"
#include "codec/ops.h"
#include "conf/keys.h"

void conf_reloaded_done(struct conf_reloaded *r)
{
    strv_done(&r->applied, &r->n_applied);
    strv_done(&r->needs_restart, &r->n_needs_restart);
    strv_done(&r->warnings, &r->n_warnings);
    strv_done(&r->errors, &r->n_errors);
}

/* --- members --- */

static bool list_equal(char *const *a, size_t n_a, char *const *b, size_t n_b)
{
    if (n_a != n_b)
        return false;
    for (size_t i = 0; i < n_a; i++)
        if (!str_eq(a[i], b[i]))
            return false;
    return true;
}

static void *member(struct conf *c, size_t off)
{
    return (char *)c + off;
}

static bool member_equal(const struct conf_key *k, struct conf *a, struct conf *b)
{
    void *pa = member(a, k->off), *pb = member(b, k->off);

    switch (k->type) {
    case K_STR:
    case K_STRP:
        return str_eq(*(char **)pa, *(char **)pb);
    case K_INT:
    case K_INTP:
    case K_DUR:
        return *(int64_t *)pa == *(int64_t *)pb;
    case K_FLOAT:
        return *(double *)pa == *(double *)pb;
    case K_BOOL:
    case K_BOOLP:
        return *(bool *)pa == *(bool *)pb;
    case K_LIST:
        return list_equal(*(char ***)pa, *(size_t *)member(a, k->off_n), *(char ***)pb,
                          *(size_t *)member(b, k->off_n));
    case K_MAP:
        return strmap_equal(pa, pb);
    default:
        return true;
    }
}

static void swap(void *a, void *b, size_t n)
{
    char old[sizeof(struct strmap)];

    memcpy(old, a, n);
    memcpy(a, b, n);
    memcpy(b, old, n);
}

static size_t member_size(enum key_type t)
{
    switch (t) {
    case K_BOOL:
    case K_BOOLP:
        return sizeof(bool);
    case K_FLOAT:
        return sizeof(double);
    case K_INT:
    case K_INTP:
    case K_DUR:
        return sizeof(int64_t);
    case K_MAP:
        return sizeof(struct strmap);
    default:
        return sizeof(char *); /* a string, or the items of a list */
    }
}

/* the old value goes into the other struct and is released with it */
static void member_swap(const struct conf_key *k, struct conf *a, struct conf *b)
{
    swap(member(a, k->off), member(b, k->off), member_size(k->type));
    if (k->type == K_LIST)
        swap(member(a, k->off_n), member(b, k->off_n), sizeof(size_t));
}

/* --- blocks with a label --- */

static bool volumes_equal(const struct conf *a, const struct conf *b)
{
    if (a->client.n_volumes != b->client.n_volumes)
        return false;
    for (size_t i = 0; i < a->client.n_volumes; i++) {
        const struct conf_volume *x = &a->client.volumes[i], *y = &b->client.volumes[i];

        if (!str_eq(x->name, y->name) || !str_eq(x->path, y->path) || x->read_only != y->read_only)
            return false;
    }
    return true;
}

static void volumes_swap(struct conf *a, struct conf *b)
{
    swap(&a->client.volumes, &b->client.volumes, sizeof(void *));
    swap(&a->client.n_volumes, &b->client.n_volumes, sizeof(a->client.n_volumes));
}

static bool networks_equal(const struct conf *a, const struct conf *b)
{
    if (a->client.n_host_networks != b->client.n_host_networks)
        return false;
    for (size_t i = 0; i < a->client.n_host_networks; i++) {
        const struct conf_host_network *x = &a->client.host_networks[i];
        const struct conf_host_network *y = &b->client.host_networks[i];

        if (!str_eq(x->name, y->name) || !str_eq(x->cidr, y->cidr) ||
            !str_eq(x->interface, y->interface) || !str_eq(x->reserved_ports, y->reserved_ports))
            return false;
    }
    return true;
}

static void networks_swap(struct conf *a, struct conf *b)
{
    swap(&a->client.host_networks, &b->client.host_networks, sizeof(void *));
    swap(&a->client.n_host_networks, &b->client.n_host_networks, sizeof(a->client.n_host_networks));
}

static bool plugins_equal(const struct conf *a, const struct conf *b)
{
    if (a->n_plugins != b->n_plugins)
        return false;
    for (size_t i = 0; i < a->n_plugins; i++)
        if (!str_eq(a->plugins[i].name, b->plugins[i].name) ||
            !str_eq(a->plugins[i].config_json, b->plugins[i].config_json))
            return false;
    return true;
}

static void plugins_swap(struct conf *a, struct conf *b)
{
    swap(&a->plugins, &b->plugins, sizeof(void *));
    swap(&a->n_plugins, &b->n_plugins, sizeof(a->n_plugins));
}

static const struct {
    const char *path;
    bool (*equal)(const struct conf *a, const struct conf *b);
    void (*exchange)(struct conf *a, struct conf *b);
} blocks[] = {
    {"client.host_volume",  volumes_equal,  volumes_swap },
    {"client.host_network", networks_equal, networks_swap},
    {"plugin",              plugins_equal,  plugins_swap },
};

static bool label_equal(const struct conf_key *k, const struct conf *a, const struct conf *b)
{
    for (size_t i = 0; i < ARRAY_LEN(blocks); i++)
        if (str_eq(blocks[i].path, k->path))
            return blocks[i].equal(a, b);
    return true;
}

static void label_exchange(const struct conf_key *k, struct conf *a, struct conf *b)
{
    for (size_t i = 0; i < ARRAY_LEN(blocks); i++)
        if (str_eq(blocks[i].path, k->path))
            blocks[i].exchange(a, b);
}

/* --- all of it --- */

/* whether an earlier row has the same member: client.servers and retry_join are one list */
static bool is_second_row(const struct conf_key *k)
{
    for (const struct conf_key *up = conf_keys; up < k; up++)
        if (up->off == k->off && !key_in_label(up) && up->type != K_LABEL)
            return true;
    return false;
}

static void take_row(const struct conf_key *k, struct conf *run, struct conf *now,
                     struct conf_reloaded *said)
{
    bool label = k->type == K_LABEL;

    if (label ? label_equal(k, run, now) : member_equal(k, run, now))
        return;
    if (!(k->flags & KEY_HUP)) {
        strv_add(&said->needs_restart, &said->n_needs_restart, k->path);
        return;
    }
    if (label)
        label_exchange(k, run, now);
    else
        member_swap(k, run, now);
    strv_add(&said->applied, &said->n_applied, k->path);
}

void conf_take_over(struct conf *run, struct conf *take_now, unsigned role,
                    struct conf_reloaded *said)
{
    for (size_t i = 0; i < n_conf_keys; i++) {
        const struct conf_key *k = &conf_keys[i];

        if (!(k->roles & role) || key_in_label(k))
            continue;
        if (k->type == K_LABEL || (k->off != KEY_NO_MEMBER && !is_second_row(k)))
            take_row(k, run, take_now, said);
    }
    swap(&run->files, &take_now->files, sizeof(void *));
    swap(&run->n_files, &take_now->n_files, sizeof(run->n_files));
    conf_done(take_now);
}

void conf_set_log(const struct conf *c)
{
    enum log_level level;

    if (!str_empty(c->log_level) && log_level_parse(c->log_level, &level) == 0)
        log_set_level(level);
    log_set_json(c->log_json);
}

void conf_reload_announce(void)
{
    struct timespec ts = {0};

    (void)clock_gettime(CLOCK_MONOTONIC, &ts); /* systemd's clock, never a faked one */
    loop_notify("RELOADING=1\nMONOTONIC_USEC=%lld",
                (long long)ts.tv_sec * 1000000 + ts.tv_nsec / 1000);
}

int conf_reload_take(const struct conf_args *args, const struct conf_files *files, struct conf *run,
                     unsigned role, struct conf_reloaded *said)
{
    struct conf_report report;
    struct conf now = {0};
    int r = conf_args_load_files(args, files, &now, &report);

    *said = (struct conf_reloaded){.warnings = report.warnings,
                                   .n_warnings = report.n_warnings,
                                   .errors = report.errors,
                                   .n_errors = report.n_errors};
    if (r < 0)
        return r;
    conf_take_over(run, &now, role, said);
    conf_set_log(run);
    return 0;
}

int conf_reload_begin(const struct conf_args *args, struct conf *run, unsigned role,
                      struct conf_reloaded *said)
{
    struct conf_files files = {0};
    size_t n;
    const char *const *paths = conf_args_paths(args, &n);
    int r;

    conf_reload_announce();
    conf_files_read(paths, n, NULL, &files);
    r = conf_reload_take(args, &files, run, role, said);
    ops_clear(&desc_conf_files, &files);
    return r;
}

/* --- telling --- */

static void log_all(const struct conf_reloaded *r)
{
    for (size_t i = 0; i < r->n_errors; i++)
        (void)log_error(0, "configuration not reloaded, the old one stays",
                        KV("error", r->errors[i]));
    for (size_t i = 0; i < r->n_warnings; i++)
        (void)log_warn(0, "configuration", KV("warning", r->warnings[i]));
    if (r->n_errors > 0)
        return;
    for (size_t i = 0; i < r->n_applied; i++)
        log_info("configuration changed, applied", KV("key", r->applied[i]));
    for (size_t i = 0; i < r->n_needs_restart; i++)
        (void)log_warn(0, "configuration changed, needs a restart", KV("key", r->needs_restart[i]));
    log_info("configuration reloaded", KI("applied", r->n_applied),
             KI("needs_restart", r->n_needs_restart));
}

void conf_reload_end(const struct conf_reloaded *said)
{
    log_all(said);
    loop_notify("READY=1");
}

static void json_list(struct buf *out, const char *name, char *const *v, size_t n)
{
    buf_printf(out, "\"%s\":[", name);
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            buf_add_byte(out, ',');
        js_str(out, v[i]);
    }
    buf_add_byte(out, ']');
}

void conf_reloaded_json(const struct conf_reloaded *r, struct buf *out)
{
    buf_add_byte(out, '{');
    json_list(out, "Applied", r->applied, r->n_applied);
    buf_add_byte(out, ',');
    json_list(out, "NeedsRestart", r->needs_restart, r->n_needs_restart);
    buf_add_byte(out, ',');
    json_list(out, "Warnings", r->warnings, r->n_warnings);
    buf_add_byte(out, ',');
    json_list(out, "Errors", r->errors, r->n_errors);
    buf_add_byte(out, '}');
}
