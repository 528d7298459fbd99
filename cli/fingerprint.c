/* picket fingerprint - what the probes say about this host, without a daemon. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "base/vec.h"
#include "cli/commands.h"
#include "cli/probes.h"
#include "cli/table.h"
#include "codec/js.h"
#include "codec/ops.h"
#include "conf/conf.h"

enum { OUTPUT_MAX = 64 << 20 };

struct fingerprint_opts {
    bool json, explain;
    struct flag_list config;
};

struct look {
    const struct fingerprint_opts *o;
    struct probe_run *run;
    struct strmap attributes; /* merged in the order of the rows */
};

/* ---- configuration ---- */

static void take_conf(const struct conf *c, struct probe_conf *pc)
{
    str_set(&pc->alloc_dir, c->client.alloc_dir);
    str_set(&pc->network_interface, c->client.network_interface);
    pc->network_speed = c->client.network_speed;
    pc->cpu_total_compute = c->client.cpu_total_compute;
    pc->memory_total_mb = c->client.memory_total_mb;
    pc->disk_total_mb = c->client.disk_total_mb;
    str_set(&pc->reservable_cores, c->client.reservable_cores);
    str_set(&pc->reserved_cores, c->client.reserved_cores);
    pc->reserved_cpu_mhz = c->client.reserved_cpu;
    str_set(&pc->preferred_address_family, c->client.preferred_address_family);
    strmap_copy(&pc->options, &c->client.options);
    for (size_t i = 0; i < c->n_plugins; i++)
        strmap_set(&pc->plugins, c->plugins[i].name, c->plugins[i].config_json);
    for (size_t i = 0; i < c->client.n_volumes; i++) {
        struct probe_volume *v = vec_add(&pc->volumes, &pc->n_volumes);

        v->name = xstrdup(c->client.volumes[i].name);
        v->path = xstrdup(c->client.volumes[i].path);
        v->read_only = c->client.volumes[i].read_only;
    }
    for (size_t i = 0; i < c->client.n_host_networks; i++) {
        const struct conf_host_network *from = &c->client.host_networks[i];
        struct probe_host_network *n = vec_add(&pc->host_networks, &pc->n_host_networks);

        n->name = xstrdup(from->name);
        n->cidr = xstrdup(from->cidr);
        n->interface = xstrdup(from->interface);
        n->reserved_ports = xstrdup(from->reserved_ports);
    }
}

/* the client's part of the given files; 0 or EXIT_ERROR with everything said */
static int load_conf(const struct fingerprint_opts *o, struct probe_conf *pc)
{
    struct conf_report report;
    struct conf c = {0};
    int r;

    pc->picket_version = xstrdup(PICKET_VERSION);
    if (o->config.n == 0)
        return EXIT_DONE;
    r = conf_load((const char *const *)o->config.v, o->config.n, CONF_CLIENT, &c, &report);
    for (size_t i = 0; i < report.n_errors; i++)
        (void)fprintf(stderr, "%s\n", report.errors[i]);
    conf_report_done(&report);
    if (r < 0)
        return EXIT_ERROR;
    take_conf(&c, pc);
    conf_done(&c);
    return EXIT_DONE;
}

/* ---- output ---- */

static void merge(struct look *k)
{
    for (size_t i = 0; i < probe_run_count(k->run); i++) {
        struct probe_status st;

        probe_run_status(k->run, i, &st);
        for (size_t n = 0; st.fp && n < st.fp->attributes.n; n++)
            strmap_set(&k->attributes, st.fp->attributes.items[n].key,
                       st.fp->attributes.items[n].value);
    }
}

static void show_json(struct look *k, struct buf *out)
{
    struct buf text _cleanup_buf_ = BUF_INIT(OUTPUT_MAX);

    strmap_make(&k->attributes);
    buf_add_str(&text, "{\"Attributes\":");
    js_map(&text, &k->attributes);
    buf_add_str(&text, ",\"Probes\":[");
    for (size_t i = 0; i < probe_run_count(k->run); i++) {
        struct probe_status st;

        probe_run_status(k->run, i, &st);
        buf_printf(&text, "%s{\"Name\":", i ? "," : "");
        js_str(&text, st.name);
        buf_add_str(&text, ",\"State\":");
        js_str(&text, probe_state_name(st.state));
        buf_add_str(&text, ",\"Reason\":");
        js_str(&text, st.reason);
        buf_printf(&text, ",\"TookMicroseconds\":%lld,\"Result\":", (long long)st.took_us);
        if (st.fp)
            js_encode(&text, &desc_fp, st.fp, 0);
        else
            buf_add_str(&text, "null");
        buf_add_str(&text, "}");
    }
    buf_add_str(&text, "]}");
    js_pretty(out, buf_str(&text), text.len);
}

static void show_attributes(const struct look *k, struct buf *out)
{
    struct table t;

    buf_add_str(out, "Attributes\n");
    table_init_pairs(&t);
    for (size_t i = 0; i < k->attributes.n; i++)
        table_pair(&t, k->attributes.items[i].key, k->attributes.items[i].value);
    table_print(&t, out);
    table_done(&t);
}

static void show_drivers(const struct look *k, struct buf *out)
{
    struct table t;
    size_t rows = 0;

    table_init(&t, "Driver|Detected|Healthy|Message");
    for (size_t i = 0; i < probe_run_count(k->run); i++) {
        struct probe_status st;

        probe_run_status(k->run, i, &st);
        for (size_t n = 0; st.fp && n < st.fp->n_drivers; n++, rows++) {
            const struct driver_info *d = &st.fp->drivers[n];

            table_cell(&t, d->key);
            table_cell(&t, d->detected ? "true" : "false");
            table_cell(&t, d->healthy ? "true" : "false");
            table_cell(&t, d->health_description);
        }
    }
    if (rows > 0) {
        buf_add_str(out, "\nDrivers\n");
        table_print(&t, out);
    }
    table_done(&t);
}

static void show_probes(const struct look *k, struct buf *out)
{
    struct table t;

    buf_add_str(out, "\nProbes\n");
    table_init(&t, "Probe|State|Time|Reason");
    for (size_t i = 0; i < probe_run_count(k->run); i++) {
        struct probe_status st;

        probe_run_status(k->run, i, &st);
        table_cell(&t, st.name);
        table_cell(&t, probe_state_name(st.state));
        table_cellf(&t, "%.1f ms", (double)st.took_us / 1000);
        table_cell(&t, st.reason);
    }
    table_print(&t, out);
    table_done(&t);
}

/* one probe: its checks, and where each attribute was read */
static void explain(const struct probe_status *st, struct buf *out)
{
    struct table t;

    buf_printf(out, "\n%s: %s%s%s\n", st->name, probe_state_name(st->state),
               str_empty(st->reason) ? "" : ", ", str_or_empty(st->reason));
    if (!st->fp)
        return;
    if (st->fp->n_whys > 0) {
        table_init(&t, "Check|Result|Looked At|Found|What Would Help");
        for (size_t i = 0; i < st->fp->n_whys; i++) {
            const struct why *w = &st->fp->whys[i];

            table_cell(&t, w->id);
            table_cell(&t, why_result_name(w->result));
            table_cell(&t, w->looked);
            table_cell(&t, w->found);
            table_cell(&t, w->fix);
        }
        table_print(&t, out);
        table_done(&t);
    }
    if (st->fp->attributes.n == 0)
        return;
    table_init(&t, "Attribute|Value|Read From");
    for (size_t i = 0; i < st->fp->attributes.n; i++) {
        const struct strpair *a = &st->fp->attributes.items[i];

        table_cell(&t, a->key);
        table_cell(&t, a->value);
        table_cell(&t, strmap_get(&st->fp->sources, a->key));
    }
    table_print(&t, out);
    table_done(&t);
}

static void show(struct look *k)
{
    struct buf out _cleanup_buf_ = BUF_INIT(OUTPUT_MAX);

    merge(k);
    if (k->o->json) {
        show_json(k, &out);
    } else {
        show_attributes(k, &out);
        show_drivers(k, &out);
        show_probes(k, &out);
        for (size_t i = 0; k->o->explain && i < probe_run_count(k->run); i++) {
            struct probe_status st;

            probe_run_status(k->run, i, &st);
            explain(&st, &out);
        }
    }
    (void)fwrite(buf_str(&out), 1, out.len, stdout);
    strmap_done(&k->attributes);
}

/* ---- the command ---- */

static int unknown_probe(const char *name, const struct probe_rows *rows, struct err *e)
{
    struct buf known _cleanup_buf_ = BUF_INIT(4096);

    for (size_t i = 0; i < rows->n; i++)
        buf_printf(&known, " %s", rows->v[i].name);
    return err_set(e, -EINVAL, "there is no probe \"%.60s\"; known:%s", name, buf_str(&known));
}

/* the rows that were named, all without names; an unknown name is an error */
static int select_rows(const struct invocation *in, const struct probe_rows *rows,
                       const struct probe **ret, size_t *ret_n, struct err *e)
{
    for (size_t a = 0; a < in->n_args; a++) {
        bool known = false;

        for (size_t i = 0; i < rows->n; i++)
            known = known || str_eq(rows->v[i].name, in->args[a]);
        if (!known)
            return unknown_probe(in->args[a], rows, e);
    }
    for (size_t i = 0; i < rows->n; i++)
        if (in->n_args == 0 || strv_has(in->args, in->n_args, rows->v[i].name))
            ret[(*ret_n)++] = &rows->v[i];
    return 0;
}

static int run_probes(const struct invocation *in, struct loop *l, const struct probe_conf *pc,
                      struct err *e)
{
    _cleanup_(probe_rows_done) struct probe_rows rows = {0};
    _cleanup_free_ char *path = probe_find();
    _cleanup_free_ const struct probe **selected = NULL;
    struct look k = {.o = in->opts};
    size_t n = 0;
    int r;

    if (!path)
        return err_set(
            e, -ENOENT,
            "picket-probe is not there, neither beside this program nor in PATH; it comes "
            "with picketd (apt install picket-agent)");
    r = probe_rows_load(l, path, &rows, e);
    if (r < 0)
        return r;
    selected = xnew0_n(const struct probe *, rows.n);
    r = select_rows(in, &rows, selected, &n, e);
    if (r == 0)
        r = probe_rows_run(l, path, selected, n, pc, &k.run, e);
    if (r == 0)
        show(&k);
    (void)probe_run_free(k.run);
    return r;
}

static int run(struct invocation *in)
{
    struct probe_conf pc = {0};
    struct loop *l = NULL;
    struct err e = {0};
    int code, r;

    code = load_conf(in->opts, &pc);
    if (code == EXIT_DONE) {
        r = probe_loop_new(&l, &e);
        if (r == 0)
            r = run_probes(in, l, &pc, &e);
        if (r < 0) {
            (void)fprintf(stderr, "Error running the probes: %s\n", e.text);
            code = EXIT_ERROR;
        }
    }
    (void)loop_free(l);
    ops_clear(&desc_probe_conf, &pc);
    return code;
}

#define T struct fingerprint_opts
/* clang-format off */
static const struct flag fingerprint_flags[] = {
    {"json", FLAG_BOOL, offsetof(T, json), NULL, "Print everything as JSON."},
    {"explain", FLAG_BOOL, offsetof(T, explain), NULL,
     "Also print each probe's checks with their reasons, and where every attribute was read."},
    {"config", FLAG_LIST, offsetof(T, config), "<path>",
     "Use the client part of this file or folder; may be repeated."},
};
/* clang-format on */
#undef T

const struct command command_fingerprint = {
    .path = "fingerprint",
    .summary = "Show what an agent would find on this host",
    .synopsis = "[options] [<probe>...]",
    .text =
        "  Runs the probes on this host, as picketd does, and prints the attributes, drivers and\n"
        "  reasons they give. No daemon is needed. With names only those probes are run.",
    .flags = fingerprint_flags,
    .n_flags = ARRAY_LEN(fingerprint_flags),
    .opts_size = sizeof(struct fingerprint_opts),
    .run = run,
};
