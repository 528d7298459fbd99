/* Requests of the API that one agent answers: a view for each of them, whose op call() sends the
 * RPC, says -EINPROGRESS, and has the answer when the handler runs again. */
#include <errno.h>

#include "api/ask.h"
#include "api/relay.h"
#include "api/routes.h"
#include "base/str.h"
#include "codec/mp.h"
#include "model/rpc_client.h"
#include "model/texts.h"
#include "server/back.h"
#include "server/view.h"

struct back_view {
    struct view view;
    struct server *srv;
    const struct ask *q;
    struct view_wait *wait;
    struct rpc_call *rpc;
    bool done;
    enum rpc_result how;
    struct buf body;
    struct err e;
};

/* --- one request --- */

static void on_done(void *arg, enum rpc_result how, const char *text, const uint8_t *body, size_t n)
{
    struct back_view *b = arg;

    b->rpc = NULL;
    b->done = true;
    b->how = how;
    if (how == RPC_OK)
        buf_add(&b->body, body, n);
    else
        (void)err_set(&b->e, -EIO, "%s", text);
    b->wait->fn(b->wait->arg);
}

static int back_result(struct back_view *b, const struct method *m, void *ret_reply, struct err *e)
{
    int r;

    if (b->how != RPC_OK) {
        *e = b->e;
        return e->code;
    }
    r = buf_ok(&b->body);
    if (r < 0)
        return err_set(e, r, "reply is larger than the limit");
    return m->reply ? mp_decode(m->reply, b->body.p, b->body.len, ret_reply, e) : 0;
}

/* Which of them Nomad answers by 404 differs from endpoint to endpoint; the rest is 500. */
static int not_found(const struct method *m, int code, struct err *e)
{
    if (code == -ENOTCONN || (code == -ENOENT && m->id == M_CLIENT_STATS))
        e->status = 404;
    else
        e->status = 500;
    return code;
}

static int back_start(struct back_view *b, const struct method *m, const void *request,
                      struct err *e)
{
    _cleanup_buf_ struct buf body = BUF_INIT(RPC_BODY_MAX);
    const char *node_id = back_node_id(m, request);
    struct rpc_session *session = NULL;
    int r;

    if (str_empty(node_id) && *b->q->server_id && !view_is_this_server(b->srv, "", b->q->server_id))
        return err_set_status(e, -ENOENT, 400, TEXT_UNKNOWN_SERVER, b->q->server_id);
    if (str_empty(node_id) && b->q->route->missing && m->id == M_AGENT_HOST)
        return err_set_status(e, -ENOTSUP, 501, "not available on servers of Picket: %s",
                              b->q->route->missing);
    if (str_empty(node_id))
        return err_set_status(e, -EINVAL, 400, TEXT_NO_LOCAL_NODE);
    if (str_starts(m->name, "Agent.") && !b->srv->conf->enable_debug)
        return err_set(e, -EPERM, TEXT_PERMISSION_DENIED); /* the report has the environment */
    r = back_find(b->srv, node_id, &session, e);
    if (r < 0)
        return not_found(m, r, e);
    mp_encode(&body, m->request, request);
    r = buf_ok(&body);
    if (r < 0)
        return err_set(e, r, "request is larger than the limit");
    b->rpc = rpc_call(session, m->name, body.p, body.len, BACK_TIMEOUT_NS, on_done, b);
    return -EINPROGRESS;
}

static int back_call(void *impl, const struct method *m, const void *request, void *ret_reply,
                     struct view_meta *meta, struct err *e)
{
    struct back_view *b = impl;

    *meta = (struct view_meta){.known_leader = true};
    if (b->done)
        return back_result(b, m, ret_reply, e);
    return b->rpc ? -EINPROGRESS : back_start(b, m, request, e);
}

static const char *back_region(void *impl)
{
    return ((const struct back_view *)impl)->srv->conf->region;
}

static void back_close(const struct view *v)
{
    struct back_view *b = v->impl;

    rpc_call_cancel(b->rpc);
    buf_done(&b->body);
    free(b);
}

const struct view *back_view_open(void *server, const struct ask *q, struct view_wait *w)
{
    static const struct view_ops ops = {
        .close = back_close,
        .call = back_call,
        .region = back_region,
    };
    const struct method *m = q->route->rpc ? method_find(q->route->rpc) : NULL;
    struct server *s = server;
    struct back_view *b;

    if (!m || !(m->flags & METHOD_CLIENT) || (*q->region && !str_eq(q->region, s->conf->region)))
        return NULL;
    b = xnew0(struct back_view);
    *b = (struct back_view){.srv = s, .q = q, .wait = w, .body = BUF_INIT(RPC_BODY_MAX)};
    b->view = (struct view){.ops = &ops, .impl = b};
    return &b->view;
}

/* --- the log --- */

static int monitor_failed(int code, const char *node_id, struct err *e)
{
    _cleanup_free_ char *text = NULL;

    if (code == -ENOENT)
        text = xasprintf(TEXT_UNKNOWN_NODE, node_id);
    else
        text = xstrdup(e->text);
    return err_set_status(e, code, 500, "RPC Error:: %d,%s",
                          code == -ENOENT || code == -ENOTCONN ? 404 : 500, text);
}

int back_monitor(void *server, const struct monitor_request *q, struct view_stream *ret,
                 struct err *e)
{
    _cleanup_buf_ struct buf body = BUF_INIT(RPC_OBJECT_MAX);
    struct rpc_session *session = NULL;
    struct server *s = server;
    struct relay *relay;
    int r;

    if (!str_empty(q->node_id) && !str_empty(q->server_id))
        return err_set_status(e, -EINVAL, 400, "Cannot target node and server simultaneously");
    if (str_empty(q->node_id))
        return err_set_status(e, -ENOENT, 400, TEXT_UNKNOWN_SERVER, str_or_empty(q->server_id));
    r = back_find(s, q->node_id, &session, e);
    if (r < 0)
        return monitor_failed(r, q->node_id, e);
    mp_encode(&body, &desc_monitor_request, q);
    r = buf_ok(&body);
    if (r < 0)
        return err_set(e, r, "request is larger than the limit");
    relay = relay_new(q->plain_text ? "text/plain" : "application/json");
    relay_start(relay,
                rpc_stream_open(session, "Agent.Monitor", body.p, body.len, &relay_user, relay),
                ret);
    return 0;
}
