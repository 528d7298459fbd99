/* Both ends of streaming RPC.  A stream's bytes wait in its inbox while it is paused, and are
 * granted to the peer again when they have left it.  Each stream holds a reference to its session:
 * when that dies, its streams are told in the next turn. */
#include "wire/rpc_stream.h"

#include <errno.h>
#include <string.h>

#include "wire/conn.h"
#include "wire/rpc_priv.h"

enum { OBJECTS_PER_TURN = 256 };

#define OPEN_LIMIT_NS (30 * NSEC_PER_SEC)

enum phase {
    OFFERED, /* the peer's, its handler decides */
    WAITING, /* ours, without a session yet */
    ASKED,   /* ours, the acceptor has not answered */
    OPEN,
    OVER, /* the user has been told, or does not want to be */
};

struct rpc_stream {
    struct list link; /* in session->streams */
    struct loop *loop;
    struct rpc_session *session; /* counted; NULL while WAITING */
    struct yamux_stream *stream; /* NULL: gone, or the session is a plain connection */
    const struct rpc_stream_user *user;
    void *arg;
    struct defer work;
    struct timer timer; /* for the acceptor's answer */
    struct rpc_inbox box;
    size_t at;        /* bytes of the inbox that were handed out */
    size_t held;      /* bytes not yet granted to the peer again */
    size_t counted;   /* its part of the session's request_bytes */
    char *method;     /* owned; ours, until sent */
    uint8_t *request; /* owned; likewise */
    size_t n_request;
    char *why; /* owned: failed, to be told */
    int why_code;
    void (*unwait)(void *arg); /* WAITING: nobody waits any more */
    void *unwait_arg;
    enum phase phase;
    bool paused, eof;
    bool pumping, gone; /* gone: freed when pumping is over */
};

/* --- below: a stream of yamux, or a connection of its own --- */

static struct conn *plain(const struct rpc_stream *s)
{
    return s->session ? s->session->plain : NULL;
}

static bool is_connected(const struct rpc_stream *s)
{
    return s->stream || plain(s);
}

static void put(struct rpc_stream *s, const void *p, size_t n)
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
static void on_timeout(void *arg);

static struct rpc_stream *stream_new(struct loop *l, enum phase phase)
{
    struct rpc_stream *s = xnew0(struct rpc_stream);

    s->loop = l;
    s->phase = phase;
    list_init(&s->link);
    rpc_inbox_init(&s->box);
    defer_init(l, &s->work, on_work, s);
    timer_init(l, &s->timer, "rpc stream", on_timeout, s);
    return s;
}

static void stream_join(struct rpc_stream *s, struct rpc_session *session)
{
    s->session = rpc_session_ref(session);
    session->n_streams++;
    list_append(&session->streams, &s->link);
}

/* all but the memory that a pump on the stack still looks at */
static void stream_free(struct rpc_stream *s)
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
        session->request_bytes -= s->counted;
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
static void stream_end(struct rpc_stream *s, int code, const char *text)
{
    struct err e;

    s->phase = OVER;
    s->stream = yamux_release(s->stream);
    if (code)
        (void)err_set(&e, code, "%s", text);
    s->user->on_end(s->arg, code ? &e : NULL);
    stream_free(s);
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
    stream_free(s);
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
        put(s, object, n);
    return 0;
}

void rpc_stream_drained(void *arg)
{
    struct rpc_stream *s = arg;

    if (s && s->phase == OPEN && s->user->on_room)
        s->user->on_room(s->arg);
}

static void send_answer(struct rpc_stream *s, const char *error)
{
    _cleanup_buf_ struct buf b = BUF_INIT(16 * RPC_HEADER_MAX);

    mp_map(&b, 1);
    mp_str(&b, "Error");
    mp_str(&b, error);
    if (buf_ok(&b) == 0)
        put(s, b.p, b.len);
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
    s->session->request_bytes += s->box.in.len - s->counted;
    s->counted = s->box.in.len;
}

/* {"Error": X}: the request, or the end */
static void on_answer(struct rpc_stream *s, const uint8_t *p, size_t n)
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
        stream_end(s, -EBADMSG, "malformed answer");
        return;
    }
    if (t.n > 0) {
        text = xstrndup((const char *)t.p, t.n);
        stream_end(s, -EREMOTEIO, text[0] ? text : "refused");
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

/* one object; false: there is none yet, or it was the end */
static bool step(struct rpc_stream *s)
{
    size_t len = 0, max = s->phase == ASKED ? RPC_HEADER_MAX : RPC_OBJECT_MAX;
    const uint8_t *p;
    int r = rpc_inbox_object_at(&s->box, s->at, max, &len);

    if (r == -EAGAIN && s->eof) {
        if (s->phase == OPEN && s->at == s->box.in.len)
            stream_end(s, 0, NULL);
        else
            stream_end(s, -ECONNRESET, "EOF");
        return false;
    }
    if (r == -EAGAIN)
        return false;
    if (r < 0) {
        s->stream = yamux_reset(s->stream);
        stream_end(s, r, r == -EMSGSIZE ? "an object is too large" : "malformed data");
        return false;
    }
    p = s->box.in.p + s->at;
    s->at += len;
    if (s->phase == ASKED)
        on_answer(s, p, len);
    else
        s->user->on_object(s->arg, p, len);
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
    s->pumping = false;
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
        stream_end(s, s->why_code, s->why);
    else if (s->session->dead)
        stream_end(s, s->session->why_code, s->session->why);
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

static const struct yamux_stream_user stream_calls = {
    .on_data = rpc_stream_data,
    .on_eof = rpc_stream_eof,
    .on_reset = on_reset,
    .on_drained = rpc_stream_drained,
};

/* --- incoming --- */

void rpc_stream_offer(struct rpc_session *session, const struct rpc_stream_offer *o)
{
    struct rpc_stream *s = stream_new(session->loop, OFFERED);
    _cleanup_buf_ struct buf text = BUF_INIT(8 * RPC_HEADER_MAX);

    stream_join(s, session);
    s->stream = o->take_stream;
    s->box.in = o->take_in;
    s->held = o->held;
    s->eof = o->eof;
    if (s->stream)
        yamux_stream_set_user(s->stream, &stream_calls, s);
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
    send_answer(s, "");
}

void rpc_stream_refuse(struct rpc_stream *take_s, const char *text)
{
    send_answer(take_s, text);
    stream_free(take_s);
}

/* --- outgoing --- */

static void on_timeout(void *arg)
{
    stream_end(arg, -ETIMEDOUT, "timed out");
}

struct rpc_stream *rpc_stream_prepare(struct loop *l, const char *method, const void *request,
                                      size_t n, const struct rpc_stream_user *user, void *arg)
{
    struct rpc_stream *s = stream_new(l, WAITING);

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
    stream_join(s, session);
    if (session->dead || session->o.plain || s->n_request > RPC_OBJECT_MAX ||
        (r = yamux_open(session->yamux, &stream_calls, s, &s->stream)) < 0) {
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
