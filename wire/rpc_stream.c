/* Both ends of streaming RPC.  A stream's bytes wait in its inbox while it is paused, and are
 * granted to the peer again when they have left it.  Each stream holds a reference to its session:
 * when that dies, its streams are told in the next turn. */
#include "wire/rpc_stream.h"

#include <errno.h>
#include <string.h>

#include "wire/budget.h"
#include "wire/conn.h"
#include "wire/rpc_stream_priv.h"

#define BUSY_TEXT "too much waits in all connections"

enum { OBJECTS_PER_TURN = 256 };

/* --- below: a stream of yamux, or a connection of its own --- */

static struct conn *plain(const struct rpc_stream *s)
{
    return s->session ? s->session->plain : NULL;
}

static bool is_connected(const struct rpc_stream *s)
{
    return s->stream || plain(s);
}

void rpc_stream_put(struct rpc_stream *s, const void *p, size_t n)
{
    if (s->stream)
        yamux_write(s->stream, p, n);
    else if (plain(s))
        conn_write(plain(s), p, n);
}

static size_t pending(const struct rpc_stream *s)
{
    return s->stream ? yamux_pending(s->stream) : conn_pending(plain(s));
}

/* --- life --- */

static void on_work(void *arg);

struct rpc_stream *rpc_stream_new(struct loop *l, enum rpc_stream_phase phase)
{
    struct rpc_stream *s = xnew0(struct rpc_stream);

    s->loop = l;
    s->phase = phase;
    list_init(&s->link);
    rpc_inbox_init(&s->box);
    defer_init(l, &s->work, on_work, s);
    timer_init(l, &s->timer, "rpc stream", rpc_stream_timed_out, s);
    return s;
}

void rpc_stream_join(struct rpc_stream *s, struct rpc_session *session)
{
    s->session = rpc_session_ref(session);
    session->n_streams++;
    list_append(&session->streams, &s->link);
}

/* all but the memory that a pump on the stack still looks at */
void rpc_stream_free(struct rpc_stream *s)
{
    struct rpc_session *session = s->session;

    s->phase = OVER;
    s->stream = yamux_release(s->stream);
    timer_stop(&s->timer);
    defer_stop(&s->work);
    list_remove(&s->link);
    rpc_inbox_done(&s->box);
    s->method = mem_free(s->method);
    s->request = mem_free(s->request);
    s->why = mem_free(s->why);
    if (session) {
        session->n_streams--;
        rpc_session_hold(session, &s->counted, 0);
        if (session->plain)
            rpc_session_fail(session, -ECONNRESET, "EOF");
    }
    s->session = NULL;
    if (s->pumping)
        s->gone = true;
    else
        free(s);
    (void)rpc_session_unref(session);
}

/* tells, and frees */
void rpc_stream_over(struct rpc_stream *s, int code, const char *text)
{
    struct err e;

    s->phase = OVER;
    s->stream = yamux_release(s->stream);
    if (code)
        (void)err_set(&e, code, "%s", text);
    s->user->on_end(s->arg, code ? &e : NULL);
    rpc_stream_free(s);
}

/* tells next turn */
void rpc_stream_fail(struct rpc_stream *s, int code, const char *text)
{
    s->unwait = NULL;
    if (s->why)
        return;
    s->why = xstrdup(text);
    s->why_code = code;
    defer_set(&s->work);
}

struct rpc_stream *rpc_stream_close(struct rpc_stream *take_s)
{
    struct rpc_stream *s = take_s;

    if (!s || s->phase == OVER)
        return NULL; /* inside on_end: it is freed behind it */
    if (s->unwait)
        s->unwait(s->unwait_arg);
    rpc_stream_free(s);
    return NULL;
}

struct rpc_stream *rpc_stream_first(const struct rpc_session *s)
{
    return list_first(&s->streams, struct rpc_stream, link);
}

void rpc_streams_gone(struct rpc_session *session)
{
    list_for_each (s, &session->streams, struct rpc_stream, link) {
        s->stream = NULL; /* goes with the session */
        defer_set(&s->work);
    }
}

/* --- out --- */

size_t rpc_stream_room(const struct rpc_stream *s)
{
    if (s->phase != OPEN || !is_connected(s) || s->why)
        return 0;
    return RPC_STREAM_MAX - MIN(pending(s), RPC_STREAM_MAX);
}

int rpc_stream_write(struct rpc_stream *s, const void *object, size_t n)
{
    size_t room = rpc_stream_room(s);

    if (n > room && (room < RPC_STREAM_MAX || n > RPC_OBJECT_MAX))
        return -ENOBUFS;
    if (n > 0)
        rpc_stream_put(s, object, n);
    return 0;
}

void rpc_stream_drained(void *arg)
{
    struct rpc_stream *s = arg;

    if (s && s->phase == OPEN && s->user->on_room)
        s->user->on_room(s->arg);
}

/* --- in --- */

/* grants what has left the inbox, and while an object is not whole also what is in it */
static void grant(struct rpc_stream *s, bool more)
{
    size_t keep = more ? 0 : MIN(s->held, s->box.in.len), n = s->held - keep;

    s->held = keep;
    if (s->stream && n)
        yamux_consumed(s->stream, n);
}

static void count_bytes(struct rpc_stream *s)
{
    rpc_session_hold(s->session, &s->counted, s->box.in.len);
}

/* one object; false: there is none yet, or it was the end */
static bool step(struct rpc_stream *s)
{
    size_t len = 0, max = s->phase == ASKED ? RPC_HEADER_MAX : RPC_OBJECT_MAX;
    const uint8_t *p;
    int r = rpc_inbox_object_at(&s->box, s->at, max, &len);

    if (r == -EAGAIN && s->eof) {
        if (s->phase == OPEN && s->at == s->box.in.len)
            rpc_stream_over(s, 0, NULL);
        else
            rpc_stream_over(s, -ECONNRESET, "EOF");
        return false;
    }
    if (r == -EAGAIN)
        return false;
    if (r < 0) {
        s->stream = yamux_reset(s->stream);
        rpc_stream_over(s, r, r == -EMSGSIZE ? "an object is too large" : "malformed data");
        return false;
    }
    p = s->box.in.p + s->at;
    s->at += len;
    if (s->phase == ASKED) {
        rpc_stream_answered(s, p, len);
    } else {
        timer_stop(&s->timer); /* an acceptor has the request */
        s->user->on_object(s->arg, p, len);
    }
    return true;
}

static void pump(struct rpc_stream *s)
{
    int left = OBJECTS_PER_TURN;
    bool empty = false; /* no whole object is left */

    if (s->pumping || s->phase == OFFERED)
        return;
    s->pumping = true;
    while (!s->gone && !s->paused && !s->why && !s->session->dead && left-- > 0)
        if (!step(s)) {
            empty = true;
            break;
        }
    /* s stays while pumping is set */
    s->pumping = false; /* NOLINT(clang-analyzer-unix.Malloc) */
    if (s->gone) {
        free(s);
        return;
    }
    if (s->session->dead)
        return; /* on_work() comes */
    buf_drop(&s->box.in, s->at);
    s->at = 0;
    if (s->box.in.len == 0)
        rpc_inbox_done(&s->box);
    grant(s, empty);
    count_bytes(s);
    if (!empty && !s->paused)
        defer_set(&s->work);
}

void rpc_stream_data(void *arg, const uint8_t *p, size_t n)
{
    struct rpc_stream *s = arg;

    if (!s)
        return;
    s->held += n;
    if (!budget_allows(BUDGET_IN, s->counted, s->box.in.len + n)) {
        if (s->phase == OFFERED) { /* it has no user to tell */
            rpc_session_fail(s->session, -ENOBUFS, BUSY_TEXT);
            return;
        }
        s->stream = yamux_reset(s->stream);
        rpc_stream_over(s, -ENOBUFS, BUSY_TEXT);
        return;
    }
    if (!rpc_inbox_add(&s->box, p, n)) {
        rpc_session_fail(s->session, -ENOMEM, "no memory for a stream");
        return;
    }
    count_bytes(s);
    if (s->session->request_bytes > RPC_SESSION_MAX) {
        rpc_session_fail(s->session, -EMSGSIZE, "too much waits in streams");
        return;
    }
    if (list_empty(&s->work.link)) /* else it has its turn */
        pump(s);
}

void rpc_stream_eof(void *arg)
{
    struct rpc_stream *s = arg;

    if (!s)
        return;
    s->eof = true;
    if (list_empty(&s->work.link))
        pump(s);
}

static void on_reset(void *arg, const struct err *e)
{
    struct rpc_stream *s = arg;

    s->stream = NULL;
    rpc_stream_fail(s, e->code, e->text);
}

static void on_work(void *arg)
{
    struct rpc_stream *s = arg;

    if (s->why)
        rpc_stream_over(s, s->why_code, s->why);
    else if (s->session->dead)
        rpc_stream_over(s, s->session->why_code, s->session->why);
    else
        pump(s);
}

void rpc_stream_pause(struct rpc_stream *s, bool paused)
{
    if (s->paused == paused || s->phase == OVER)
        return;
    s->paused = paused;
    if (plain(s))
        conn_read_pause(plain(s), paused);
    if (!paused)
        defer_set(&s->work);
}

const struct yamux_stream_user rpc_stream_calls = {
    .on_data = rpc_stream_data,
    .on_eof = rpc_stream_eof,
    .on_reset = on_reset,
    .on_drained = rpc_stream_drained,
};
