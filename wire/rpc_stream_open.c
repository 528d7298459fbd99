/* How streams begin, on both ends: offered by the peer, or ours and agreed to. */
#include <errno.h>

#include "wire/rpc_stream_priv.h"

#define OPEN_LIMIT_NS (30 * NSEC_PER_SEC) /* for the answer; for the request behind it */

static void send_answer(struct rpc_stream *s, const char *error)
{
    _cleanup_buf_ struct buf b = BUF_INIT(16 * RPC_HEADER_MAX);

    mp_map(&b, 1);
    mp_str(&b, "Error");
    mp_str(&b, error);
    if (buf_ok(&b) == 0)
        rpc_stream_put(s, b.p, b.len);
}

/* --- incoming --- */

void rpc_stream_offer(struct rpc_session *session, const struct rpc_stream_offer *o)
{
    struct rpc_stream *s = rpc_stream_new(session->loop, OFFERED);
    _cleanup_buf_ struct buf text = BUF_INIT(8 * RPC_HEADER_MAX);

    rpc_stream_join(s, session);
    s->stream = o->take_stream;
    s->box.in = o->take_in;
    s->held = o->held;
    s->eof = o->eof;
    if (s->stream)
        yamux_stream_set_user(s->stream, &rpc_stream_calls, s);
    s->pumping = true; /* not freed under us */
    if (session->o.stream_handler)
        session->o.stream_handler(session->o.stream_arg, s, o->method);
    s->pumping = false;
    if (s->gone) {
        free(s);
    } else if (s->phase == OFFERED) {
        rpc_unknown_stream_text(&text, o->method);
        rpc_stream_refuse(s, buf_str(&text));
    } else {
        defer_set(&s->work);
    }
}

void rpc_stream_accept(struct rpc_stream *s, const struct rpc_stream_user *user, void *arg)
{
    s->user = user;
    s->arg = arg;
    s->phase = OPEN;
    timer_set(&s->timer, OPEN_LIMIT_NS);
    send_answer(s, "");
}

void rpc_stream_refuse(struct rpc_stream *take_s, const char *text)
{
    send_answer(take_s, text);
    rpc_stream_free(take_s);
}

/* --- outgoing --- */

/* {"Error": X}: the request, or the end */
void rpc_stream_answered(struct rpc_stream *s, const uint8_t *p, size_t n)
{
    _cleanup_free_ char *text = NULL;
    const uint8_t *value;
    struct mp_token t = {0};
    size_t len = 0;
    int r;

    r = mp_map_find(p, n, "Error", &value, &len);
    if (r == 0) {
        struct mp_in in = mp_in(value, len);

        r = mp_next(&in, &t);
    }
    if ((r < 0 && r != -ENOENT) || (t.type != MP_STR && t.type != MP_NIL)) {
        rpc_stream_over(s, -EBADMSG, "malformed answer");
        return;
    }
    if (t.n > 0) {
        text = xstrndup((const char *)t.p, t.n);
        rpc_stream_over(s, -EREMOTEIO, text[0] ? text : "refused");
        return;
    }
    timer_stop(&s->timer);
    s->phase = OPEN;
    if (s->stream)
        yamux_write(s->stream, s->request, s->n_request);
    s->request = mem_free(s->request);
    if (s->user->on_room)
        s->user->on_room(s->arg);
}

void rpc_stream_timed_out(void *arg)
{
    struct rpc_stream *s = arg;

    if (s->paused) /* it is not the peer who is slow */
        timer_set(&s->timer, OPEN_LIMIT_NS);
    else
        rpc_stream_over(s, -ETIMEDOUT, "timed out");
}

struct rpc_stream *rpc_stream_prepare(struct loop *l, const char *method, const void *request,
                                      size_t n, const struct rpc_stream_user *user, void *arg)
{
    struct rpc_stream *s = rpc_stream_new(l, WAITING);

    s->method = xstrdup(method);
    s->request = xmemdup(request, n);
    s->n_request = n;
    s->user = user;
    s->arg = arg;
    return s;
}

void rpc_stream_wait(struct rpc_stream *s, void (*unwait)(void *arg), void *arg)
{
    s->unwait = unwait;
    s->unwait_arg = arg;
}

void rpc_stream_attach(struct rpc_stream *s, struct rpc_session *session)
{
    _cleanup_buf_ struct buf b = BUF_INIT(2 * RPC_HEADER_MAX);
    int r = 0;

    s->unwait = NULL;
    rpc_stream_join(s, session);
    if (session->dead || session->o.plain || s->n_request > RPC_OBJECT_MAX ||
        (r = yamux_open(session->yamux, &rpc_stream_calls, s, &s->stream)) < 0) {
        rpc_stream_fail(s, r < 0 ? r : -EPIPE, rpc_why_not(session, s->n_request, r));
        return;
    }
    s->phase = ASKED;
    buf_add_byte(&b, RPC_TYPE_STREAMING);
    mp_map(&b, 1);
    mp_str(&b, "Method");
    mp_str(&b, s->method);
    yamux_write(s->stream, b.p, b.len);
    timer_set(&s->timer, OPEN_LIMIT_NS);
}

struct rpc_stream *rpc_stream_open(struct rpc_session *session, const char *method,
                                   const void *request, size_t n,
                                   const struct rpc_stream_user *user, void *arg)
{
    struct rpc_stream *s = rpc_stream_prepare(session->loop, method, request, n, user, arg);

    rpc_stream_attach(s, session);
    return s;
}
