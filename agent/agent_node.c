/* What probes say becomes the node: when the first one goes out, and what a reload changes. */
#include "agent/agent_priv.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "codec/ops.h"
#include "drivers/driver.h"

enum {
    /* how long the first registration waits for slow probes once the fast ones are in */
    FIRST_WINDOW_MS = 25,
    /* ... and at most for the fast ones */
    FIRST_LIMIT_MS = 5000,
    /* how long a reload waits for probes to answer by the new configuration */
    RELOAD_LIMIT_MS = 3000,
};

/* --- probes to node --- */

static void merge_now(void *arg)
{
    struct agent *a = arg;
    size_t n = probe_run_count(a->probes);
    _cleanup_free_ struct probe_status *st = xnew0_n(struct probe_status, n);
    _cleanup_(node_snap_unrefp) const struct node_snap *before = NULL;
    bool changed;

    if (!a->collecting || (a->reloading && probe_run_behind(a->probes)))
        return;
    a->reloading = false;
    for (size_t i = 0; i < n; i++)
        probe_run_status(a->probes, i, &st[i]);
    if (collect_snap(a->collect))
        before = node_snap_ref(collect_snap(a->collect));
    changed = collect_merge(a->collect, st, n);
    notice_look(a->notice, before ? before->node : NULL, collect_snap(a->collect)->node, st, n);
    if (!changed)
        return;
    backcalls_set_node(a->backcalls, collect_snap(a->collect)->node);
    mirror_set_local(a->mirror, collect_snap(a->collect));
    session_set_node(a->session, collect_snap(a->collect));
}

static void start_collecting(void *arg)
{
    struct agent *a = arg;

    timer_stop(&a->first);
    a->collecting = true;
    merge_now(a);
}

static bool fast_ones_are_in(const struct agent *a)
{
    for (size_t i = 0; i < probe_run_count(a->probes); i++) {
        struct probe_status st;

        probe_run_status(a->probes, i, &st);
        if (st.class == PROBE_FAST && st.state == PROBE_NEVER && !st.late)
            return false;
    }
    return true;
}

static void on_probe(void *arg, const struct probe_status *st)
{
    struct agent *a = arg;

    log_debug("probe", KV("name", st->name), KV("state", probe_state_name(st->state)),
              KI("took_us", st->took_us), KV("reason", st->reason));
    if (a->collecting)
        defer_set(&a->merge); /* one merge for all that came in this turn */
    else if (fast_ones_are_in(a) &&
             a->first.at_ns > clock_boot_ns() + FIRST_WINDOW_MS * NSEC_PER_MSEC)
        timer_set(&a->first, FIRST_WINDOW_MS * NSEC_PER_MSEC);
}

static void on_all_probes(void *arg)
{
    struct agent *a = arg;

    if (!a->collecting)
        start_collecting(a);
}

/* --- reload --- */

static void on_reload_limit(void *arg)
{
    struct agent *a = arg;

    a->reloading = false;
    merge_now(a);
}

/* all probes again, and one merge when they have answered; one that hangs is not waited for */
static void run_probes_anew(struct agent *a)
{
    a->reloading = true;
    probe_run_set_conf(a->probes, &a->probe_conf);
    timer_set(&a->reloaded, RELOAD_LIMIT_MS * NSEC_PER_MSEC);
}

void agent_reload(struct agent *a, const struct conf_reloaded *said)
{
    struct probe_conf now = {0};

    if (strv_has(said->applied, said->n_applied, "client.servers"))
        servers_set_configured(a->servers, a->conf->client.servers, a->conf->client.n_servers);
    meta_reload(a->meta);
    collect_probe_conf(a->conf, a->http_advertise, &now);
    if (ops_equal(&desc_probe_conf, &now, &a->probe_conf)) {
        ops_clear(&desc_probe_conf, &now);
    } else {
        ops_clear(&desc_probe_conf, &a->probe_conf);
        a->probe_conf = now;
        run_probes_anew(a);
    }
    defer_set(&a->merge);
}

/* --- building --- */

static void on_meta(void *arg)
{
    struct agent *a = arg;

    defer_set(&a->merge);
}

void agent_node_make(struct agent *a, const char *probe_path)
{
    a->meta = meta_new(&(struct meta_opts){
        .conf = a->conf, .journal = a->journal, .on_change = on_meta, .arg = a});
    a->rows = xnew0_n(const struct probe *, n_probes + n_drivers_rows);
    for (size_t i = 0; i < n_probes; i++)
        a->rows[a->n_rows++] = probes[i];
    for (size_t i = 0; i < n_drivers_rows; i++)
        a->rows[a->n_rows++] = &drivers[i]->probe;
    collect_probe_conf(a->conf, a->http_advertise, &a->probe_conf);
    a->probes = probe_run_new(&(struct probe_run_opts){.loop = a->loop,
                                                       .probe_path = probe_path,
                                                       .rows = a->rows,
                                                       .n_rows = a->n_rows,
                                                       .conf = &a->probe_conf,
                                                       .on_change = on_probe,
                                                       .on_first = on_all_probes,
                                                       .arg = a});
    a->collect = collect_new(&(struct collect_opts){.conf = a->conf,
                                                    .node_id = a->identity.node_id,
                                                    .secret_id = a->identity.secret_id,
                                                    .http_addr = a->http_advertise,
                                                    .meta = a->meta});
}

void agent_node_init(struct agent *a)
{
    timer_init(a->loop, &a->first, "first registration", start_collecting, a);
    timer_init(a->loop, &a->reloaded, "reloaded", on_reload_limit, a);
    defer_init(a->loop, &a->merge, merge_now, a);
}

void agent_node_start(struct agent *a)
{
    timer_set(&a->first, FIRST_LIMIT_MS * NSEC_PER_MSEC);
    probe_run_start(a->probes);
}

void agent_node_stop(struct agent *a)
{
    timer_stop(&a->first);
    timer_stop(&a->reloaded);
    defer_stop(&a->merge);
}
