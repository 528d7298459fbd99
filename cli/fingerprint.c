/* picket fingerprint - what the probes say about this host, without a daemon. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "base/vec.h"
#include "cli/commands.h"
#include "cli/fp_agent.h"
#include "cli/fp_view.h"
#include "cli/probes.h"
#include "cli/remote.h"
#include "codec/ops.h"
#include "conf/conf.h"

enum { OUTPUT_MAX = 64 << 20 };

struct fingerprint_opts {
    bool agent, json, explain;
    struct flag_list config;
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

static int unknown_name(const char *name)
{
    (void)fprintf(
        stderr, "Error: no probe, attribute, driver, volume or check is called \"%.60s\"\n", name);
    return EXIT_ERROR;
}

/* names: what was asked about, when that is less than all */
static int show(const struct fp_view *v, const struct fingerprint_opts *o, char *const *names,
                size_t n_names)
{
    struct buf out _cleanup_buf_ = BUF_INIT(OUTPUT_MAX);

    for (size_t i = 0; i < n_names; i++)
        if (!fp_view_knows(v, names[i]))
            return unknown_name(names[i]);
    if (o->json)
        fp_view_json(v, &out);
    else if (n_names == 0)
        fp_view_show(v, &out);
    if (!o->json && (o->explain || n_names > 0))
        fp_view_explain(v, names, n_names, &out);
    (void)fwrite(buf_str(&out), 1, out.len, stdout);
    return EXIT_DONE;
}

/* ---- what a running agent knows ---- */

static int ask_agent(const struct invocation *in)
{
    const struct fingerprint_opts *o = in->opts;
    _cleanup_(client_freep) struct client *c = remote_open(&in->meta);
    _cleanup_(fp_agent_done) struct fp_agent agent = {0};
    struct fp_view v = {.is_agent = true, .now_ns = clock_boot_ns()};
    struct err e = {0};
    int r;

    if (!c)
        return EXIT_ERROR;
    if (o->json && in->n_args == 0) {
        r = remote_print(c, "/v1/agent/fingerprint", &e);
    } else {
        r = fp_agent_get(c, v.now_ns, &agent, &e);
    }
    if (r < 0) {
        (void)fprintf(stderr, "Error querying the agent: %s\n", e.text);
        return EXIT_ERROR;
    }
    if (o->json && in->n_args == 0)
        return EXIT_DONE;
    v.v = agent.probes;
    v.n = agent.n_probes;
    v.flapping = agent.flapping;
    v.n_flapping = agent.n_flapping;
    v.beats = agent.beats;
    v.n_beats = agent.n_beats;
    return show(&v, o, in->args, in->n_args);
}

/* ---- the command ---- */

static int unknown_probe(const char *name, const struct probe_rows *rows, struct err *e)
{
    struct buf known _cleanup_buf_ = BUF_INIT(4096);

    for (size_t i = 0; i < rows->n; i++)
        buf_printf(&known, " %s", rows->v[i].name);
    return err_set(e, -EINVAL, "there is no probe \"%.60s\"; known:%s", name, buf_str(&known));
}

static bool is_probe(const struct probe_rows *rows, const char *name)
{
    for (size_t i = 0; i < rows->n; i++)
        if (str_eq(rows->v[i].name, name))
            return true;
    return false;
}

/* The rows that were named, all without names.  What is to be explained may have any name, and then
 * all rows are needed (*ret_by_name); else an unknown one is an error. */
static int select_rows(const struct invocation *in, const struct probe_rows *rows,
                       const struct probe **ret, size_t *ret_n, bool *ret_by_name, struct err *e)
{
    const struct fingerprint_opts *o = in->opts;

    *ret_by_name = false;
    for (size_t a = 0; a < in->n_args; a++) {
        if (is_probe(rows, in->args[a]))
            continue;
        if (!o->explain)
            return unknown_probe(in->args[a], rows, e);
        *ret_by_name = true;
    }
    for (size_t i = 0; i < rows->n; i++)
        if (in->n_args == 0 || *ret_by_name || strv_has(in->args, in->n_args, rows->v[i].name))
            ret[(*ret_n)++] = &rows->v[i];
    return 0;
}

static int show_run(const struct invocation *in, const struct probe_run *run, bool by_name)
{
    size_t n = probe_run_count(run);
    _cleanup_free_ struct probe_status *st = xnew0_n(struct probe_status, n);
    struct fp_view v = {.v = st, .n = n};

    for (size_t i = 0; i < n; i++)
        probe_run_status(run, i, &st[i]);
    return show(&v, in->opts, in->args, by_name ? in->n_args : 0);
}

/* exit code, or negative with the text */
static int run_probes(const struct invocation *in, struct loop *l, const struct probe_conf *pc,
                      struct err *e)
{
    _cleanup_(probe_rows_done) struct probe_rows rows = {0};
    _cleanup_free_ char *path = probe_find();
    _cleanup_free_ const struct probe **selected = NULL;
    struct probe_run *run = NULL;
    bool by_name = false;
    size_t n = 0;
    int r;

    if (!path)
        return err_set(e, -ENOENT,
                       "picket-probe is not there, neither beside this program nor in PATH; it "
                       "comes with picketd (apt install picket-agent)");
    r = probe_rows_load(l, path, &rows, e);
    if (r < 0)
        return r;
    selected = xnew0_n(const struct probe *, rows.n);
    r = select_rows(in, &rows, selected, &n, &by_name, e);
    if (r == 0)
        r = probe_rows_run(l, path, selected, n, pc, &run, e);
    if (r == 0)
        r = show_run(in, run, by_name);
    (void)probe_run_free(run);
    return r;
}

static int run_here(const struct invocation *in)
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
        } else {
            code = r;
        }
    }
    (void)loop_free(l);
    ops_clear(&desc_probe_conf, &pc);
    return code;
}

static int run(struct invocation *in)
{
    const struct fingerprint_opts *o = in->opts;

    if (!o->agent && !in->meta.address_given)
        return run_here(in);
    if (o->config.n > 0) {
        (void)fputs("An agent has its own configuration: -config and -agent exclude each other\n"
                    "For additional help try 'picket fingerprint -help'\n",
                    stderr);
        return EXIT_ERROR;
    }
    return ask_agent(in);
}

#define T struct fingerprint_opts
/* clang-format off */
static const struct flag fingerprint_flags[] = {
    {"agent", FLAG_BOOL, offsetof(T, agent), NULL,
     "Ask the agent at the address what it knows, instead of running probes. -address does so too."},
    {"json", FLAG_BOOL, offsetof(T, json), NULL, "Print everything as JSON."},
    {"explain", FLAG_BOOL, offsetof(T, explain), NULL,
     "Also print each probe's checks with their reasons, and where every attribute was read; with\n"
     "    names only those of what is called so: a probe, an attribute, a driver, a volume, a check."},
    {"config", FLAG_LIST, offsetof(T, config), "<path>",
     "Use the client part of this file or folder; may be repeated."},
};
/* clang-format on */
#undef T

const struct command command_fingerprint = {
    .path = "fingerprint",
    .summary = "Show what an agent finds on this host",
    .synopsis = "[options] [<name>...]",
    .text =
        "  Runs the probes on this host, as picketd does, and prints the attributes, drivers and\n"
        "  reasons they give. No daemon is needed. With names only those probes are run.\n\n"
        "  With -agent shows what a running agent knows: the state of each probe, the age of its\n"
        "  values, what one that hangs waits for, and facts that change again and again. With\n"
        "  names explains what is called so.",
    .flags = fingerprint_flags,
    .n_flags = ARRAY_LEN(fingerprint_flags),
    .opts_size = sizeof(struct fingerprint_opts),
    .remote = true,
    .run = run,
};
