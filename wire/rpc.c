#include "wire/rpc.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "wire/budget.h"
#include "wire/conn.h"
#include "wire/rpc_priv.h"

/* Sessions: what calls (rpc_call.c) and requests (rpc_serve.c) have in common.  Each of them holds
 * a reference, so that a session lives until all of them are through. */

static void session_free(struct rpc_session *s)
{
    s->yamux = yamux_free(s->yamux);
    if (s->plain)
        conn_close(s->plain);
    s->plain = conn_unref(s->plain);
    defer_stop(&s->work);
    timer_stop(&s->slow);
    timer_stop(&s->pace);
    list_for_each (v, &s->serving, struct rpc_serve, link) {
        v->stream = NULL;
        rpc_serve_gone(v);
    }
    list_for_each (o, &s->idle, struct rpc_out, link) {
        o->stream = NULL;
        rpc_out_free(o);
    }
    if (s->destroy)
        s->destroy(s->data);
    free(s->peer);
    free(s->why);
    free(s);
}

struct rpc_session *rpc_session_ref(struct rpc_session *s)
{
    s->refs++;
    return s;
}

struct rpc_session *rpc_session_unref(struct rpc_session *s)
{
    if (s && --s->refs == 0)
        session_free(s);
    return NULL;
}

/* --- the end --- */

void rpc_session_fail(struct rpc_session *s, int code, const char *text)
{
    if (s->dead)
        return;
    s->dead = true;
    timer_stop(&s->slow);
    timer_stop(&s->pace);
    s->why = xstrdup(text);
    s->why_code = code;
    list_for_each (v, &s->serving, struct rpc_serve, link)
        v->stream = NULL; /* yamux_free() takes them all */
    rpc_calls_gone(s);
    rpc_streams_gone(s);
    s->yamux = yamux_free(s->yamux);
    if (s->plain)
        conn_close(s->plain);
    s->plain = conn_unref(s->plain);
    defer_set(&s->work);
}

static void tell_dead(struct rpc_session *s)
{
    struct err e;

    list_for_each (v, &s->serving, struct rpc_serve, link)
        rpc_serve_gone(v);
    rpc_calls_tell(s);
    if (s->closed)
        return;
    s->closed = true;
    (void)err_set(&e, s->why_code, "%s", s->why);
    if (s->o.on_closed)
        s->o.on_closed(s->o.arg, s, &e);
}

static void on_work(void *arg)
{
    struct rpc_session *s = rpc_session_ref(arg);

    if (s->dead) {
        tell_dead(s);
    } else {
        rpc_calls_tell(s);
        rpc_serve_ready(s);
    }
    (void)rpc_session_unref(s);
}

void rpc_session_close(struct rpc_session *s)
{
    if (!s->o.tell_close)
        s->closed = true;
    rpc_session_fail(s, -ECONNABORTED, "session closed");
}

void rpc_session_end(struct rpc_session *s)
{
    s->closed = true;
    rpc_session_fail(s, -ECONNABORTED, "session closed");
}

/* --- yamux below --- */

static void on_stream(void *arg, struct yamux_stream *stream)
{
    rpc_serve_new(arg, stream);
}

static void on_yamux_closed(void *arg, const struct err *e)
{
    rpc_session_fail(arg, e->code, e->text);
}

/* --- a plain connection below --- */

static ssize_t on_plain_data(void *arg, const uint8_t *p, size_t n)
{
    struct rpc_session *s = arg;

    if (!list_empty(&s->serving))
        rpc_serve_data(list_first(&s->serving, struct rpc_serve, link), p, n);
    else
        rpc_stream_data(rpc_stream_first(s), p, n);
    return (ssize_t)n;
}

static void on_plain_eof(void *arg)
{
    struct rpc_session *s = arg;

    if (!list_empty(&s->serving))
        rpc_serve_eof(list_first(&s->serving, struct rpc_serve, link));
    else
        rpc_stream_eof(rpc_stream_first(s));
}

static void on_plain_drained(void *arg)
{
    struct rpc_session *s = arg;

    rpc_stream_drained(rpc_stream_first(s));
}

static void on_plain_closed(void *arg, const struct err *e)
{
    rpc_session_fail(arg, e->code, e->text);
}

/* --- making --- */

struct rpc_session *rpc_session_new(struct conn *take_c, const struct rpc_session_opts *o)
{
    static const struct yamux_user yamux_calls = {on_stream, on_yamux_closed};
    static const struct conn_user plain_calls = {
        .on_data = on_plain_data,
        .on_eof = on_plain_eof,
        .on_closed = on_plain_closed,
        .on_drained = on_plain_drained,
    };
    struct rpc_session *s = xnew0(struct rpc_session);

    *s = (struct rpc_session){.loop = conn_loop(take_c), .o = *o, .refs = 1};
    list_init(&s->serving);
    list_init(&s->calls);
    list_init(&s->failed);
    list_init(&s->idle);
    list_init(&s->streams);
    s->peer = xstrdup(conn_peer(take_c));
    s->opened_ns = clock_boot_ns();
    defer_init(s->loop, &s->work, on_work, s);
    timer_init(s->loop, &s->slow, "rpc slow calls", rpc_calls_slow, s);
    timer_init(s->loop, &s->pace, "rpc slow peer", rpc_pace_look, s);
    if (o->plain) {
        s->plain = take_c;
        rpc_serve_new(s, NULL);
        conn_set_user(take_c, &plain_calls, s);
        return s;
    }
    if (o->client)
        conn_write(take_c, "\x06", 1);
    s->yamux = yamux_new(take_c, o->client, &yamux_calls, s);
    return s;
}

/* --- what it holds --- */

void rpc_session_hold(struct rpc_session *s, size_t *counted, size_t n)
{
    s->request_bytes += n - *counted;
    *counted = n;
    budget_hold(BUDGET_IN, &s->counted_bytes, s->request_bytes);
}

/* --- questions --- */

bool rpc_session_is_open(const struct rpc_session *s)
{
    return !s->dead;
}

bool rpc_session_takes_calls(const struct rpc_session *s)
{
    return s->yamux && yamux_takes_streams(s->yamux);
}

const char *rpc_session_peer(const struct rpc_session *s)
{
    return s->peer;
}

uint64_t rpc_session_opened_ns(const struct rpc_session *s)
{
    return s->opened_ns;
}

void rpc_session_set_data(struct rpc_session *s, void *data, void (*destroy)(void *data))
{
    if (s->destroy)
        s->destroy(s->data);
    s->data = data;
    s->destroy = destroy;
}

void *rpc_session_data(const struct rpc_session *s)
{
    return s->data;
}

size_t rpc_session_calls(const struct rpc_session *s)
{
    return s->n_calls;
}

size_t rpc_session_streams(const struct rpc_session *s)
{
    return s->n_streams;
}
