#include "server/back_stream.h"

#include <errno.h>

#include "api/monitor_rpc.h"
#include "base/limits.h"
#include "base/str.h"
#include "codec/mp.h"
#include "codec/ops.h"
#include "model/texts.h"
#include "server/back.h"
#include "server/view.h"

enum { ERROR_ROOM = 2 * KIB }; /* what an error takes at most */

struct back_stream {
    struct list link; /* server.streams */
    struct server *srv;
    struct rpc_stream *asker; /* NULL: has ended */
    struct rpc_stream *node;  /* NULL: none, or has ended */
    struct monitor *monitor;  /* our own log, or NULL */
    struct buf waits;         /* an object for which the asker has no room */
    struct err why;           /* code 0, or how the node's end failed: the last thing to be said */
    bool asked;               /* the request is there */
};

static void stream_free(struct back_stream *b)
{
    list_remove(&b->link);
    (void)monitor_free(b->monitor);
    b->node = rpc_stream_close(b->node);
    b->asker = rpc_stream_close(b->asker);
    buf_done(&b->waits);
    free(b);
}

static void stream_fail(struct back_stream *b, const struct err *e)
{
    monitor_rpc_fail(steal_ptr(&b->asker), e);
    stream_free(b);
}

/* --- from the agent to the asker --- */

/* what waits; then the next object, or the end.  Without room for it, on_room() calls again. */
static void pass_on(struct back_stream *b)
{
    if (b->waits.len > 0 && rpc_stream_write(b->asker, b->waits.p, b->waits.len) < 0)
        return;
    buf_reset(&b->waits);
    if (b->node)
        rpc_stream_pause(b->node, false);
    else if (b->why.code == 0)
        stream_free(b);
    else if (rpc_stream_room(b->asker) >= ERROR_ROOM)
        stream_fail(b, &b->why);
}

static void on_node_object(void *arg, const uint8_t *p, size_t n)
{
    struct back_stream *b = arg;

    if (rpc_stream_write(b->asker, p, n) == 0)
        return;
    buf_add(&b->waits, p, n);
    rpc_stream_pause(b->node, true);
}

static void on_node_end(void *arg, const struct err *e)
{
    struct back_stream *b = arg;

    b->node = NULL;
    if (e)
        b->why = *e;
    pass_on(b);
}

/* --- the request --- */

static int monitor_node(struct back_stream *b, const struct monitor_request *q, const uint8_t *p,
                        size_t n, struct err *e)
{
    static const struct rpc_stream_user user = {.on_object = on_node_object, .on_end = on_node_end};
    struct rpc_session *session = NULL;
    int r = back_find(b->srv, q->node_id, &session, e);

    if (r == -ENOENT)
        return err_set_status(e, r, 404, TEXT_UNKNOWN_NODE, q->node_id);
    if (r < 0) {
        e->status = r == -ENOTCONN ? 404 : 500;
        return r;
    }
    b->node = rpc_stream_open(session, "Agent.Monitor", p, n, &user, b);
    return 0;
}

static int monitor_self(struct back_stream *b, const struct monitor_request *q, struct err *e)
{
    struct monitor_opts o = {.loop = b->srv->loop, .sink = &monitor_rpc_sink, .arg = b->asker};
    int r;

    if (!str_empty(q->server_id) && !view_is_this_server(b->srv, "", q->server_id))
        return err_set_status(e, -ENOENT, 400, TEXT_UNKNOWN_SERVER, q->server_id);
    r = monitor_rpc_read(q, &o, e);
    if (r == 0)
        b->monitor = monitor_new(&o);
    return r;
}

static void on_object(void *arg, const uint8_t *p, size_t n)
{
    struct back_stream *b = arg;
    struct monitor_request q = {0};
    struct err e = {0};
    int r;

    if (b->asked)
        return; /* what comes behind the request says nothing */
    b->asked = true;
    r = mp_decode(&desc_monitor_request, p, n, &q, &e);
    if (r < 0)
        e.status = 500;
    else if (!str_empty(q.q.region) && !str_eq(q.q.region, b->srv->conf->region))
        r = err_set_status(&e, -EHOSTUNREACH, 400, TEXT_NO_PATH_TO_REGION);
    else if (!str_empty(q.node_id))
        r = monitor_node(b, &q, p, n, &e);
    else
        r = monitor_self(b, &q, &e);
    ops_clear(&desc_monitor_request, &q);
    if (r < 0)
        stream_fail(b, &e);
}

static void on_room(void *arg)
{
    struct back_stream *b = arg;

    if (b->monitor)
        monitor_room(b->monitor);
    else if (b->waits.len > 0 || b->why.code)
        pass_on(b);
}

static void on_end(void *arg, const struct err *e)
{
    struct back_stream *b = arg;

    (void)e;
    b->asker = NULL;
    stream_free(b);
}

/* --- all of them --- */

void back_stream(void *arg, struct rpc_stream *s, const char *method)
{
    static const struct rpc_stream_user user = {on_object, on_room, on_end};
    struct server *srv = arg;
    struct back_stream *b;

    if (!str_eq(method, "Agent.Monitor"))
        return; /* unknown */
    b = xnew0(struct back_stream);
    b->srv = srv;
    b->asker = s;
    b->waits = BUF_INIT(RPC_OBJECT_MAX);
    list_append(&srv->streams, &b->link);
    rpc_stream_accept(s, &user, b);
}

void back_streams_done(struct server *s)
{
    list_for_each (b, &s->streams, struct back_stream, link)
        stream_free(b);
}
