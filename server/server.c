#include "server/server.h"

#include <errno.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/parse.h"
#include "base/str.h"
#include "server/back_stream.h"
#include "server/call.h"
#include "server/dispatch.h"
#include "server/ep.h"
#include "server/gc.h"
#include "server/snapshot.h"
#include "server/view.h"
#include "wire/conn.h"

void server_split_address(const char *address, char **ret_host, uint64_t *ret_port)
{
    const char *colon = strrchr(address, ':');
    size_t n = colon ? (size_t)(colon - address) : strlen(address);
    uint64_t port = 0;

    if (colon && parse_u64(colon + 1, &port) < 0)
        port = 0;
    if (n >= 2 && address[0] == '[' && address[n - 1] == ']') {
        address++;
        n -= 2;
    }
    *ret_host = xstrndup(address, n);
    *ret_port = port;
}

char *server_member_name(const struct server *s)
{
    return xasprintf("%s.%s", s->conf->name, s->conf->region);
}

/* --- parts --- */

static void on_health(void *arg, enum store_health h, const struct err *e)
{
    (void)arg;
    if (h == STORE_FAILING)
        (void)log_error(0, "state cannot be written, changes are refused", KE(e));
    else if (h == STORE_SLOW)
        (void)log_warn(0, "state is not written yet, changes wait", KE(e));
    else if (h == STORE_UNTIDY)
        (void)log_warn(0, "state is written, but its file grows", KE(e));
    else
        log_info("state is written again");
}

/* the identity of this server, made once */
static int load_id(struct server *s, const char *dir, struct err *e)
{
    _cleanup_free_ char *path = xasprintf("%s/node-id", dir), *text = NULL;
    struct uuid u;
    int r = file_read_line(path, &text);

    if (r == 0 && uuid_parse(text, &u) == 0) {
        uuid_format(&u, s->id);
        return 0;
    }
    if (r < 0 && r != -ENOENT)
        return err_errno(e, r, "cannot read %s", path);
    if (r == 0)
        (void)log_warn(0, "server id is unreadable, making a new one", KV("path", path));
    uuid_random(s->id);
    return file_write_atomic(path, s->id, strlen(s->id), 0600, e);
}

static int open_store(struct server *s, const struct server_opts *o, struct err *e)
{
    struct store_opts so = {
        .dir = o->conf->server.data_dir,
        .loop = o->loop,
        .writer = o->writer,
        .take_persist = o->take_persist,
        .on_health = on_health,
        .arg = s,
    };
    int r;

    if (!so.take_persist && str_empty(so.dir))
        return err_set(e, -EINVAL, "data_dir is not set");
    r = store_open(&so, &s->store, e);
    if (r < 0)
        return r;
    if (o->take_persist)
        uuid_random(s->id);
    else
        r = load_id(s, so.dir, e);
    return r;
}

void server_reload(struct server *s)
{
    const struct conf *c = s->conf;

    beats_set_pace(s->beats, c->server.max_heartbeats_per_second,
                   (uint64_t)MAX(c->server.min_heartbeat_ttl, 1),
                   (uint64_t)MAX(c->server.heartbeat_grace, 0));
}

void server_was_away(void *arg, uint64_t due_ns)
{
    const struct server *s = arg;
    uint64_t away = clock_boot_ns() - due_ns;

    /* again and again until the last of the late timers has fired */
    if (beats_excuse(s->beats, away))
        (void)log_warn(0, "stopped, starved or asleep: heartbeats get as long again",
                       KI("milliseconds", away / NSEC_PER_MSEC));
}

/* every node that is not down gets time to beat (nomad: leader start) */
static void start_beats(struct server *s)
{
    const struct conf *c = s->conf;
    struct beats_opts o = {
        .loop = s->loop,
        .rate = c->server.max_heartbeats_per_second,
        .min_ttl_ns = (uint64_t)MAX(c->server.min_heartbeat_ttl, 1),
        .grace_ns = (uint64_t)MAX(c->server.heartbeat_grace, 0),
        .failover_ttl_ns = (uint64_t)MAX(c->server.failover_heartbeat_ttl, 0),
        .missed = server_node_missed,
        .arg = s,
    };
    static const struct uuid all;
    const struct node_item *it;
    uint64_t grace;
    size_t pos = 0;

    s->beats = beats_new(&o);
    grace = beats_grace_at_start(s->beats, store_node_count(s->store));
    while ((it = store_node_next(s->store, &all, 0, &pos)))
        if (it->status != STATUS_DOWN)
            beats_set(s->beats, &it->key, grace);
}

int server_new(const struct server_opts *o, struct server **ret, struct err *e)
{
    struct server *s = xnew0(struct server);
    int r;

    s->loop = o->loop;
    s->conf = o->conf;
    s->rpc_advertise = xstrdup(o->rpc_advertise);
    s->http_advertise = xstrdup(o->http_advertise);
    list_init(&s->calls);
    list_init(&s->listings);
    defer_init(s->loop, &s->run_listings, ep_lists_run, s);
    list_init(&s->streams);
    s->view = server_view(s);
    r = open_store(s, o, e);
    if (r < 0) {
        (void)server_free(s);
        return r;
    }
    start_beats(s);
    s->gc = gc_new(s);
    if (!o->take_persist)
        s->snapshots = snapshots_new(s, o->writer, o->conf->server.data_dir);
    *ret = s;
    return 0;
}

/* port 0 was asked for: what the kernel chose is what we advertise */
static void advertise_bound(char **advertise, const char *bound)
{
    _cleanup_free_ char *host = NULL, *bound_host = NULL;
    uint64_t port = 0, bound_port = 0;

    server_split_address(*advertise, &host, &port);
    if (port != 0)
        return;
    server_split_address(bound, &bound_host, &bound_port);
    free(*advertise);
    *advertise = strchr(host, ':') ? xasprintf("[%s]:%llu", host, (unsigned long long)bound_port)
                                   : xasprintf("%s:%llu", host, (unsigned long long)bound_port);
}

static int listen_rpc(struct server *s, const char *bind, struct err *e)
{
    struct rpc_listen_opts o = {
        .handler = dispatch_request,
        .handler_arg = s,
        .stream_handler = back_stream,
        .stream_arg = s,
        .handshake_timeout_ns = (uint64_t)MAX(s->conf->rpc_handshake_timeout, 0),
        .max_per_client = (unsigned)MAX(s->conf->rpc_max_conns_per_client, 0),
    };
    _cleanup_free_ char *bound = NULL;
    int fd = -1, r;

    r = listen_open(bind, &fd, &bound, e);
    if (r < 0)
        return err_wrap(e, r, "rpc");
    advertise_bound(&s->rpc_advertise, bound);
    r = rpc_listen(s->loop, fd, &o, &s->rpc);
    if (r < 0)
        return err_errno(e, r, "rpc: cannot listen on %s", bind);
    log_info("listening", KV("for", "rpc"), KV("address", bound),
             KV("advertise", s->rpc_advertise));
    return 0;
}

static int listen_http(struct server *s, const char *bind, struct err *e)
{
    struct api_opts o = {
        .loop = s->loop,
        .view = &s->view,
        .response_headers = &s->conf->response_headers,
        .max_conns_per_client = (unsigned)MAX(s->conf->http_max_conns_per_client, 0),
    };
    _cleanup_free_ char *bound = NULL;
    int fd = -1, r;

    r = listen_open(bind, &fd, &bound, e);
    if (r < 0)
        return err_wrap(e, r, "http");
    advertise_bound(&s->http_advertise, bound);
    s->api = api_new(&o);
    r = api_listen(s->api, fd, e);
    if (r < 0)
        return r;
    log_info("listening", KV("for", "http"), KV("address", bound),
             KV("advertise", s->http_advertise));
    return 0;
}

int server_listen(struct server *s, const char *rpc_bind, const char *http_bind, struct err *e)
{
    int r = listen_rpc(s, rpc_bind, e);

    return r < 0 ? r : listen_http(s, http_bind, e);
}

struct server *server_free(struct server *s)
{
    if (!s)
        return NULL;
    s->api = api_free(s->api);
    back_streams_done(s);
    for (struct call *c; (c = list_first(&s->calls, struct call, link));) {
        list_remove(&c->link);
        if (c->query ||
            c->may_drop) /* the others wait for a commit: the store answers them below */
            call_gone(c);
    }
    defer_stop(&s->run_listings);
    s->gc = gc_free(s->gc); /* what it has written ends in the store */
    snapshots_stop(s->snapshots);
    s->store = store_close(s->store);
    s->snapshots = snapshots_free(s->snapshots);
    s->rpc = rpc_listener_free(s->rpc);
    s->beats = beats_free(s->beats);
    free(s->rpc_advertise);
    free(s->http_advertise);
    free(s);
    return NULL;
}
