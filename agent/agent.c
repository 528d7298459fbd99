#include "agent/agent.h"

#include <malloc.h>

#include "agent/agent_priv.h"
#include "agent/socket.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/rand.h"
#include "codec/ops.h"
#include "model/texts.h"
#include "wire/conn.h"

enum { TRIM_SEC = 5 };

static void on_trim(void *arg)
{
    (void)arg;
    (void)malloc_trim(0);
}

/* --- word from the API and its mirror --- */

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

/* requests of the API that are about this node */
static const struct view *on_own(void *arg, const struct ask *q, struct view_wait *w)
{
    struct agent *a = arg;

    return backcalls_open(a->backcalls, q, w);
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

/* --- building --- */

static int make_folders(struct agent *a, struct err *e)
{
    const struct conf *c = a->conf;
    int r;

    log_debug("opening state", KV("state_dir", c->client.state_dir));
    r = identity_open(&(struct identity_opts){.state_dir = c->client.state_dir,
                                              .no_host_uuid = c->client.no_host_uuid,
                                              .root = ""},
                      &a->identity, e);
    if (r < 0)
        return r;
    return journal_open(a->loop, c->client.state_dir, a->identity.node_id, &a->journal, e);
}

static void make_mirror(struct agent *a)
{
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
    agent_node_make(a, probe_path);
    agent_session_make(a, probe_path);
    make_mirror(a);
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
    agent_node_init(a);
    timer_init(o->loop, &a->trim, "trim memory", on_trim, a);
    a->open_reload = o->open_reload;
    a->reload_arg = o->reload_arg;
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
    agent_node_stop(a);
    timer_stop(&a->trim);
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
    timer_set(&a->trim, TRIM_SEC * NSEC_PER_SEC);
    if (a->conf->client.n_servers == 0)
        (void)log_warn(0, "no servers are configured: the node will not be registered anywhere");
    agent_node_start(a);
    session_start(a->session);
    agent_say_status(a);
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
