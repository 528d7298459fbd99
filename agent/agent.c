#include "agent/agent.h"

#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "agent/allocs.h"
#include "agent/audit.h"
#include "agent/backcalls.h"
#include "agent/clocks.h"
#include "agent/collect.h"
#include "agent/events.h"
#include "agent/flap.h"
#include "agent/identity.h"
#include "agent/journal.h"
#include "agent/meta.h"
#include "agent/mirror.h"
#include "agent/notice.h"
#include "agent/servers.h"
#include "agent/session.h"
#include "agent/socket.h"
#include "api/server.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/rand.h"
#include "base/str.h"
#include "codec/ops.h"
#include "drivers/driver.h"
#include "fingerprint/run.h"
#include "model/texts.h"
#include "wire/conn.h"
#include "wire/pool.h"

enum {
    /* how long the first registration waits for slow probes once the fast ones are in */
    FIRST_WINDOW_MS = 25,
    /* ... and at most for the fast ones */
    FIRST_LIMIT_MS = 5000,
    /* how long a reload waits for probes to answer by the new configuration */
    RELOAD_LIMIT_MS = 3000,
    TRIM_SEC = 5,
};

struct agent {
    struct loop *loop;
    const struct conf *conf;
    struct identity identity;
    char *http_bind, *http_advertise; /* "host:port" */
    char *http_bound;                 /* what the kernel said */
    struct probe_conf probe_conf;
    const struct probe **rows; /* host probes, then drivers */
    size_t n_rows;
    struct probe_run *probes;
    struct collect *collect;
    struct journal *journal;
    struct meta *meta;
    struct backcalls *backcalls;
    struct pool *pool;
    struct servers *servers;
    struct session *session;
    struct flap *flap;
    struct events *events;
    struct notice *notice;
    struct clocks *clocks;
    struct allocs *allocs;
    struct mirror *mirror;
    struct api *api;
    struct audit *audit;
    char *socket_path; /* of the unix socket; NULL = none */
    struct timer first, trim, reloaded;
    bool reloading; /* the node waits for what probes say to the new configuration */
    struct defer merge;
    const struct view *(*open_reload)(void *arg, struct view_wait *w);
    void *reload_arg;
    bool collecting; /* the first registration may go out */
    char *status;    /* the last sentence */
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

/* --- word from the session --- */

static void short_time(int64_t wall_ns, char ret[16])
{
    time_t t = (time_t)(wall_ns / (int64_t)NSEC_PER_SEC);
    struct tm tm;

    if (!gmtime_r(&t, &tm) || strftime(ret, 16, "%H:%M:%S UTC", &tm) == 0)
        ret[0] = 0;
}

static char *registered_text(const struct agent *a, const struct session_status *st)
{
    const char *server = pool_current(a->pool);
    _cleanup_free_ char *flapping = flap_text(a->flap, clock_boot_ns());
    char at[16] = "";

    short_time(st->beat_wall_ns, at);
    if (!st->in_contact)
        return xasprintf("registered as %.8s, but no server answers since the last beat at %s: %s",
                         a->identity.node_id, st->beat_ns ? at : "(none)", st->error);
    return xasprintf("registered with %s as %.8s, last beat %s, next within %llu s%s%s",
                     server ? server : "a server", a->identity.node_id, st->beat_ns ? at : "none",
                     (unsigned long long)(st->ttl_ns / NSEC_PER_SEC),
                     flapping ? "; flapping: " : "", str_or_empty(flapping));
}

char *agent_status_text(const struct agent *a)
{
    struct session_status st;
    const char *const *v;

    session_status(a->session, &st);
    switch (st.state) {
    case SESSION_REGISTERED:
        return registered_text(a, &st);
    case SESSION_REFUSED:
        return xasprintf("REFUSED: servers know node %s by another secret; restore %s/secret-id "
                         "or purge the node: %s",
                         a->identity.node_id, a->conf->client.state_dir, st.error);
    case SESSION_REGISTERING:
        return xasprintf("registering as %.8s%s%s", a->identity.node_id, *st.error ? ": " : "",
                         st.error);
    default:
        if (pool_servers(a->pool, &v) == 0)
            return xstrdup(a->conf->client.n_servers ? "no server's name could be resolved yet"
                                                     : "no servers are configured");
        return xasprintf("looking for a server%s%s", *st.error ? ": " : "", st.error);
    }
}

static void on_session(void *arg)
{
    struct agent *a = arg;
    char *text = agent_status_text(a);

    if (!str_eq(text, a->status))
        loop_notify("STATUS=%s", text);
    free(a->status);
    a->status = text;
}

static void on_registered(void *arg, bool known)
{
    struct agent *a = arg;

    allocs_start(a->allocs, known);
    mirror_start(a->mirror, known);
    events_registered(a->events);
}

static void on_contact(void *arg)
{
    struct agent *a = arg;

    allocs_kick(a->allocs);
    mirror_kick(a->mirror);
    events_kick(a->events);
}

static void on_servers(void *arg)
{
    struct agent *a = arg;

    session_servers_changed(a->session);
    on_session(a);
}

/* a server's copy of the node: does it see us as we see ourselves? */
static void on_node(void *arg, const struct node_item *it)
{
    struct agent *a = arg;
    struct session_status st;

    session_status(a->session, &st);
    if (it->status == STATUS_INIT && st.n_beats > 0)
        allocs_report_again(a->allocs);
    else if (it->status == STATUS_DOWN || it->status == STATUS_DISCONNECTED)
        session_beat_soon(a->session, rand_below(NSEC_PER_SEC));
}

static void on_notice(void *arg, const char *subsystem, const char *message,
                      const struct strmap *details)
{
    struct agent *a = arg;

    events_add(a->events, subsystem, message, details);
}

static void on_clock_event(void *arg, const char *message, const struct strmap *details)
{
    on_notice(arg, EVENT_SUBSYSTEM_HEARTBEAT, message, details);
}

static void on_pause(void *arg, const char *how, uint64_t ns)
{
    struct agent *a = arg;

    session_woke(a->session, how, ns);
}

static void on_beat(void *arg)
{
    struct agent *a = arg;

    if (a->clocks)
        clocks_mark(a->clocks);
}

static void on_trim(void *arg)
{
    (void)arg;
    (void)malloc_trim(0);
}

/* requests of the API that are about this node */
static const struct view *on_own(void *arg, const struct ask *q, struct view_wait *w)
{
    struct agent *a = arg;

    return backcalls_open(a->backcalls, q, w);
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

static const struct view *on_reload_asked(void *arg, struct view_wait *w)
{
    const struct agent *a = arg;

    return a->open_reload(a->reload_arg, w);
}

static int on_set_servers(void *arg, const char *const *v, size_t n, struct err *e)
{
    struct agent *a = arg;
    int r = servers_use(a->servers, v, n, e);

    if (r < 0)
        e->status = 400;
    return r;
}

static void on_meta(void *arg)
{
    struct agent *a = arg;

    defer_set(&a->merge);
}

/* --- building --- */

static int make_folders(struct agent *a, struct err *e)
{
    const struct conf *c = a->conf;
    int r;

    r = identity_open(&(struct identity_opts){.state_dir = c->client.state_dir,
                                              .no_host_uuid = c->client.no_host_uuid,
                                              .root = ""},
                      &a->identity, e);
    if (r < 0)
        return r;
    r = dir_make(c->client.alloc_dir, 0711, e);
    if (r < 0)
        return r;
    return journal_open(a->loop, c->client.state_dir, a->identity.node_id, &a->journal, e);
}

static void make_probes(struct agent *a, const char *probe_path)
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

static void make_session(struct agent *a, const char *probe_path)
{
    a->backcalls = backcalls_new(&(struct backcalls_opts){.loop = a->loop,
                                                          .conf = a->conf,
                                                          .node_id = a->identity.node_id,
                                                          .secret_id = a->identity.secret_id,
                                                          .probe_path = probe_path,
                                                          .meta = a->meta});
    a->pool = pool_new(a->loop, &(struct pool_opts){.handler = backcalls_request,
                                                    .handler_arg = a->backcalls,
                                                    .stream_handler = backcalls_stream,
                                                    .stream_arg = a->backcalls,
                                                    .region = a->conf->region});
    a->servers = servers_new(&(struct servers_opts){.loop = a->loop,
                                                    .pool = a->pool,
                                                    .configured = a->conf->client.servers,
                                                    .n_configured = a->conf->client.n_servers,
                                                    .probe_path = probe_path,
                                                    .on_change = on_servers,
                                                    .arg = a});
    a->flap = flap_new();
    a->session = session_new(&(struct session_opts){.loop = a->loop,
                                                    .pool = a->pool,
                                                    .servers = a->servers,
                                                    .journal = a->journal,
                                                    .flap = a->flap,
                                                    .region = a->conf->region,
                                                    .node_id = a->identity.node_id,
                                                    .secret_id = a->identity.secret_id,
                                                    .on_change = on_session,
                                                    .on_registered = on_registered,
                                                    .on_contact = on_contact,
                                                    .on_event = on_notice,
                                                    .on_beat = on_beat,
                                                    .arg = a});
    a->events = events_new(&(struct events_opts){.loop = a->loop,
                                                 .pool = a->pool,
                                                 .session = a->session,
                                                 .journal = a->journal,
                                                 .region = a->conf->region,
                                                 .node_id = a->identity.node_id});
    a->clocks = clocks_new(&(struct clocks_opts){
        .loop = a->loop, .set_fd = -1, .on_event = on_clock_event, .on_pause = on_pause, .arg = a});
    a->notice = notice_new(
        &(struct notice_opts){.loop = a->loop, .flap = a->flap, .add = on_notice, .arg = a});
    a->allocs = allocs_new(&(struct allocs_opts){.loop = a->loop,
                                                 .pool = a->pool,
                                                 .session = a->session,
                                                 .journal = a->journal,
                                                 .region = a->conf->region,
                                                 .node_id = a->identity.node_id,
                                                 .secret_id = a->identity.secret_id,
                                                 .probe_path = probe_path,
                                                 .alloc_dir = a->conf->client.alloc_dir});
    a->mirror =
        mirror_new(&(struct mirror_opts){.loop = a->loop,
                                         .pool = a->pool,
                                         .session = a->session,
                                         .allocs = a->allocs,
                                         .probes = (const struct probe_run *const *)&a->probes,
                                         .conf = a->conf,
                                         .http_addr = a->http_advertise,
                                         .node_id = a->identity.node_id,
                                         .secret_id = a->identity.secret_id,
                                         .open_own = on_own,
                                         .stats = backcalls_stats(a->backcalls),
                                         .set_servers = on_set_servers,
                                         .on_node = on_node,
                                         .flap = a->flap,
                                         .open_reload = a->open_reload ? on_reload_asked : NULL,
                                         .arg = a});
}

static int make_api(struct agent *a, int listen_fd, struct err *e)
{
    int r;

    a->api = api_new(&(struct api_opts){.loop = a->loop,
                                        .view = mirror_view(a->mirror),
                                        .response_headers = &a->conf->response_headers,
                                        .max_conns_per_client =
                                            (unsigned)MAX(a->conf->http_max_conns_per_client, 0),
                                        .on_write = audit_write,
                                        .arg = a->audit});
    r = api_listen(a->api, listen_fd, e);
    if (r < 0)
        return err_wrap(e, r, "HTTP API on %s", a->http_bound);
    a->socket_path = socket_serve(a->api, a->conf->data_dir);
    return 0;
}

static int build(struct agent *a, const char *probe_path, struct err *e)
{
    int fd = -1, r;

    r = conf_http_addresses(a->conf, &a->http_bind, &a->http_advertise, e);
    if (r < 0)
        return r;
    r = listen_open(a->http_bind, &fd, &a->http_bound, e);
    if (r < 0)
        return err_wrap(e, r, "HTTP API on %s", a->http_bind);
    r = make_folders(a, e);
    if (r < 0) {
        (void)fd_close(fd);
        return r;
    }
    make_probes(a, probe_path);
    make_session(a, probe_path);
    a->audit = audit_new(a->loop, probe_path);
    return make_api(a, fd, e);
}

int agent_new(const struct agent_opts *o, struct agent **ret, struct err *e)
{
    _cleanup_(agent_freep) struct agent *a = xnew0(struct agent);
    int r;

    a->loop = o->loop;
    a->conf = o->conf;
    a->identity.lock_fd = a->identity.nomad_fd = -1;
    timer_init(o->loop, &a->first, "first registration", start_collecting, a);
    timer_init(o->loop, &a->trim, "trim memory", on_trim, a);
    timer_init(o->loop, &a->reloaded, "reloaded", on_reload_limit, a);
    a->open_reload = o->open_reload;
    a->reload_arg = o->reload_arg;
    defer_init(o->loop, &a->merge, merge_now, a);
    r = build(a, o->probe_path, e);
    if (r < 0)
        return r;
    *ret = steal_ptr(&a);
    return 0;
}

struct agent *agent_free(struct agent *a)
{
    if (!a)
        return NULL;
    timer_stop(&a->first);
    timer_stop(&a->trim);
    timer_stop(&a->reloaded);
    defer_stop(&a->merge);
    socket_remove(a->socket_path);
    (void)api_free(a->api);
    (void)audit_free(a->audit);
    (void)mirror_free(a->mirror);
    (void)allocs_free(a->allocs);
    (void)notice_free(a->notice);
    (void)clocks_free(a->clocks);
    (void)events_free(a->events);
    (void)session_free(a->session);
    (void)flap_free(a->flap);
    (void)servers_free(a->servers);
    (void)pool_free(a->pool);
    (void)backcalls_free(a->backcalls);
    (void)probe_run_free(a->probes);
    (void)collect_free(a->collect);
    (void)meta_free(a->meta);
    (void)journal_free(a->journal);
    identity_done(&a->identity);
    ops_clear(&desc_probe_conf, &a->probe_conf);
    free(a->rows);
    free(a->http_bind);
    free(a->http_advertise);
    free(a->http_bound);
    free(a->status);
    return mem_free(a);
}

void agent_start(struct agent *a)
{
    timer_set(&a->first, FIRST_LIMIT_MS * NSEC_PER_MSEC);
    timer_set(&a->trim, TRIM_SEC * NSEC_PER_SEC);
    if (a->conf->client.n_servers == 0)
        (void)log_warn(0, "no servers are configured: the node will not be registered anywhere");
    probe_run_start(a->probes);
    session_start(a->session);
    on_session(a);
}

size_t agent_pending(const struct agent *a)
{
    return journal_pending(a->journal);
}

const char *agent_node_id(const struct agent *a)
{
    return a->identity.node_id;
}

const char *agent_http_bound(const struct agent *a)
{
    return a->http_bound;
}
