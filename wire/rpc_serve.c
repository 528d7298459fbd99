#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "wire/budget.h"
#include "wire/conn.h"
#include "wire/rpc_priv.h"

/* Streams that the peer opened: type byte, then requests, one after the other.
 *
 * What arrives behind a request that is not answered yet stays in the stream's inbox, and its bytes
 * are not granted to the peer again: so at most one window per stream piles up.  The peer's FIN
 * does not end a request that waits (fact: rpc-wire 3); a reset or the session's end does. */

enum {
    REQUESTS_PER_TURN = 64, /* pipelined ones; then others have their turn */
    SMALL_BODY = 16 * KIB,
    OUT_SPARED = 1 * MIB, /* of CONN_OUT_MAX, for small bodies: beyond it the session ends */
};
#define RPC_BUSY_TEXT "rpc: the server is busy: too much waits in its connections"

struct request {
    struct rpc_request q;
    struct rpc_serve *serve; /* NULL: nobody waits any more */
    uint8_t *bytes;          /* owned: header and body */
    char method[];
};

/* --- the stream's end --- */

/* keeps the sum of what the peer's half-sent and waiting requests hold */
static void count_bytes(struct rpc_serve *v)
{
    size_t now = v->box.in.len + (v->busy ? v->busy->q.body_len : 0);

    rpc_session_hold(v->session, &v->counted, now);
}

static void serve_free(struct rpc_serve *v)
{
    list_remove(&v->link);
    rpc_inbox_done(&v->box);
    rpc_session_hold(v->session, &v->counted, 0);
    if (v->pumping)
        v->gone = true;
    else
        free(v);
}

/* everything is answered: our FIN behind it */
static void serve_end(struct rpc_serve *v)
{
    struct rpc_session *s = v->session;

    if (!s->o.plain) {
        v->stream = yamux_release(v->stream);
        serve_free(v);
        return;
    }
    serve_free(v);
    rpc_session_fail(s, -ECONNRESET, "EOF");
}

void rpc_serve_gone(struct rpc_serve *v)
{
    struct request *r = v->busy;

    v->busy = NULL;
    serve_free(v);
    if (!r)
        return;
    r->serve = NULL;
    if (r->q.on_gone)
        r->q.on_gone(r->q.arg, &r->q);
}

/* --- requests --- */

static void request_free(struct request *r)
{
    struct rpc_session *s = r->q.session;

    free(r->bytes);
    free(r);
    (void)rpc_session_unref(s);
}

void rpc_serve_drop(struct rpc_serve *v)
{
    if (v->session->o.plain) {
        rpc_session_fail(v->session, -ETIMEDOUT, "the peer is too slow");
        return;
    }
    v->stream = yamux_reset(v->stream);
    rpc_serve_gone(v);
}

static void put(struct rpc_serve *v, const void *p, size_t n)
{
    if (v->stream)
        yamux_write(v->stream, p, n);
    else if (v->session->plain)
        conn_write(v->session->plain, p, n);
}

static const uint8_t empty_map[] = {0x80};

/* a large body that the peer's other answers leave room for */
static bool fits(const struct rpc_serve *v, size_t n)
{
    const struct conn *plain = v->session->plain;
    size_t waits = v->stream ? yamux_queued(v->stream) : plain ? conn_pending(plain) : 0;

    return waits == 0 || waits + n <= CONN_OUT_MAX - OUT_SPARED;
}

/* a small body goes in one frame with its header, a large one is not copied for that */
static void send_reply(struct rpc_serve *v, uint64_t seq, const char *method, const char *error,
                       const void *body, size_t n)
{
    struct buf b = BUF_INIT(RPC_HEADER_MAX + CONN_OUT_MAX);
    bool large = n > SMALL_BODY && n < CONN_OUT_MAX - RPC_HEADER_MAX;

    if (large && (!fits(v, n) || !budget_allows(BUDGET_OUT, 0, n))) {
        large = false;
        error = RPC_BUSY_TEXT;
        body = empty_map;
        n = sizeof(empty_map);
    }
    rpc_reply_header_write(&b, error, seq, method);
    if (!large)
        buf_add(&b, body, n);
    if (b.failed || b.len > CONN_OUT_MAX) {
        buf_reset(&b);
        rpc_reply_header_write(&b, "rpc: the reply is too large", seq, method);
        mp_map(&b, 0);
    }
    n = large ? n : 0;
    put(v, b.p, b.len);
    if (large)
        put(v, body, n);
    rpc_pace_sent(v, b.len + n);
    buf_done(&b);
}

/* error NULL: no answer at all */
static void answer(struct rpc_request *q, const char *error, const void *body, size_t n, bool end)
{
    struct request *r = container_of(q, struct request, q);
    struct rpc_serve *v = r->serve;

    if (v) {
        if (error)
            send_reply(v, q->seq, q->method, error, body, n);
        v->busy = NULL;
        count_bytes(v);
        if (v->session->dead)
            end = false; /* its end is told by rpc_session_fail() */
        if (end) {
            serve_end(v);
        } else if (v->box.in.len || v->eof) {
            v->ready = true;
            if (!v->pumping)
                defer_set(&v->session->work);
        }
    }
    request_free(r);
}

void rpc_reply(struct rpc_request *take_q, const void *body, size_t n)
{
    if (!body)
        answer(take_q, "", empty_map, sizeof(empty_map), false);
    else
        answer(take_q, "", body, n, false);
}

void rpc_fail(struct rpc_request *take_q, const char *text)
{
    answer(take_q, text, empty_map, sizeof(empty_map), false);
}

void rpc_fail_close(struct rpc_request *take_q, const char *text)
{
    answer(take_q, text, empty_map, sizeof(empty_map), true);
}

void rpc_drop(struct rpc_request *take_q)
{
    answer(take_q, NULL, NULL, 0, true);
}

void rpc_request_trim(struct rpc_request *q)
{
    struct request *r = container_of(q, struct request, q);

    r->bytes = mem_free(r->bytes);
    q->body = NULL;
    q->body_len = 0;
    if (r->serve)
        count_bytes(r->serve);
}

/* what Go's net/rpc says when there is nobody to ask */
static void refuse(struct rpc_request *q)
{
    struct buf text = BUF_INIT(RPC_HEADER_MAX + 100);

    if (strchr(q->method, '.'))
        buf_printf(&text, "rpc: can't find service %s", q->method);
    else
        buf_printf(&text, "rpc: service/method request ill-formed: %s", q->method);
    rpc_fail_close(q, buf_str(&text));
    buf_done(&text);
}

static void dispatch(struct rpc_serve *v, const struct rpc_header *h, size_t header_len,
                     size_t body_len)
{
    struct rpc_session *s = v->session;
    struct request *r = xcalloc(1, sizeof(*r) + h->method_len + 1);

    if (h->method_len)
        memcpy(r->method, h->method, h->method_len);
    r->q = (struct rpc_request){.session = rpc_session_ref(s), .seq = h->seq, .method = r->method};
    r->bytes = rpc_inbox_take(&v->box, header_len + body_len);
    if (!r->bytes) {
        request_free(r);
        rpc_session_fail(s, -ENOMEM, "no memory for a request");
        return;
    }
    r->q.body = r->bytes + header_len;
    r->q.body_len = body_len;
    r->serve = v;
    v->busy = r;
    if (s->o.handler)
        s->o.handler(s->o.handler_arg, &r->q);
    else
        refuse(&r->q);
}

/* --- arriving bytes --- */

/* grants what has left the inbox, and when a message is not whole yet also what is in it */
static void grant(struct rpc_serve *v, bool more)
{
    size_t keep = more ? 0 : MIN(v->held, v->box.in.len), n = v->held - keep;

    v->held = keep;
    if (v->stream && n)
        yamux_consumed(v->stream, n);
}

/* a message that cannot be: the header's end is not known, so nothing more can be read here */
static void bad_message(struct rpc_serve *v, int code)
{
    struct rpc_header h = {0};
    char text[100], *method;

    if (v->box.header_len == 0 || rpc_request_header_read(v->box.in.p, v->box.header_len, &h) < 0) {
        serve_end(v);
        return;
    }
    method = xstrndup((const char *)h.method, h.method_len);
    if (code == -ENOBUFS)
        (void)snprintf(text, sizeof(text), "%s", RPC_BUSY_TEXT);
    else if (code == -EMSGSIZE)
        (void)snprintf(text, sizeof(text), "rpc: the request is larger than %zu bytes",
                       RPC_BODY_MAX);
    else
        (void)snprintf(text, sizeof(text), "msgpack decode error [pos %zu]: not a msgpack object",
                       v->box.header_len);
    send_reply(v, h.seq, method, text, empty_map, sizeof(empty_map));
    free(method);
    serve_end(v);
}

/* All connections hold too much already.  A request whose header is there is answered; bytes behind
 * one that waits for its answer cannot be told apart from more of the same. */
static void refuse_more(struct rpc_serve *v)
{
    if (v->busy || v->type == RPC_TYPE_STREAMING)
        rpc_serve_drop(v);
    else
        bad_message(v, -ENOBUFS);
}

/* whether the header, when it is whole, makes no sense */
static bool header_is_bad(const struct rpc_serve *v, struct rpc_header *h)
{
    if (v->box.header_len == 0)
        return false;
    return rpc_request_header_read(v->box.in.p, v->box.header_len, h) < 0 ||
           (h->method_len && memchr(h->method, 0, h->method_len));
}

static void next_request(struct rpc_serve *v)
{
    size_t header_len, body_len = 0;
    struct rpc_header h = {0};
    int r;

    r = rpc_inbox_message(&v->box, &body_len);
    if (r == -EAGAIN && header_is_bad(v, &h)) {
        serve_end(v); /* no need to wait for a body */
        return;
    }
    if (r == -EAGAIN) {
        grant(v, true);
        if (v->eof)
            serve_end(v);
        return;
    }
    if (r < 0) {
        bad_message(v, r);
        return;
    }
    header_len = v->box.header_len;
    if (header_is_bad(v, &h)) {
        serve_end(v);
        return;
    }
    v->ready = true;
    dispatch(v, &h, header_len, body_len);
    if (!v->gone)
        grant(v, false);
}

/* {"Method": X}: from here on it is a stream of its own */
static void next_stream_header(struct rpc_serve *v)
{
    struct rpc_stream_offer o = {.take_stream = v->stream};
    struct rpc_session *s = v->session;
    _cleanup_free_ char *method = NULL;
    size_t len;
    int r;

    r = rpc_inbox_object(&v->box, &len);
    if (r == -EAGAIN && !v->eof) {
        grant(v, true);
        return;
    }
    if (r < 0 || rpc_stream_header_read(v->box.in.p, len, &method) < 0) {
        serve_end(v);
        return;
    }
    o.method = method;
    o.held = v->held;
    o.eof = v->eof;
    buf_drop(&v->box.in, len);
    o.take_in = v->box.in;
    rpc_inbox_init(&v->box);
    v->stream = NULL;
    serve_free(v);
    if (s->plain)
        conn_read_pause(s->plain, false);
    rpc_stream_offer(s, &o);
}

/* a plain connection has no window but TCP's */
static void pace_plain(struct rpc_serve *v)
{
    if (v->session->plain)
        conn_read_pause(v->session->plain, (v->busy || v->ready) && v->box.in.len >= YAMUX_WINDOW);
}

/* goes on until a request waits for its answer or bytes are missing */
static void pump(struct rpc_serve *v)
{
    int left = REQUESTS_PER_TURN;

    if (v->pumping)
        return;
    v->pumping = true;
    v->ready = true;
    /* v stays while pumping is set, whatever a handler ends */
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
    while (v->ready && !v->gone && !v->busy && !v->session->dead && left-- > 0) {
        v->ready = false;
        if (v->type == RPC_TYPE_STREAMING)
            next_stream_header(v);
        else
            next_request(v);
    }
    v->pumping = false;
    if (v->gone) {
        free(v);
        return;
    }
    count_bytes(v);
    rpc_pace_waits(v, !v->busy && !v->ready && v->box.in.len > 0);
    if (v->ready && !v->busy)
        defer_set(&v->session->work);
    else
        v->ready = false;
    pace_plain(v);
}

void rpc_serve_ready(struct rpc_session *s)
{
    struct rpc_serve *v;

    do { /* from the start each time: a handler may end any stream */
        v = NULL;
        list_for_each (i, &s->serving, struct rpc_serve, link)
            if (i->ready && !i->busy) {
                v = i;
                break;
            }
        if (v) {
            v->ready = false;
            pump(v);
            if (!list_empty(&s->work.link))
                break; /* the rest next turn */
        }
    } while (v && !s->dead);
}

/* the first byte of a stream; 0 or the bytes used */
static bool read_type(struct rpc_serve *v, uint8_t type)
{
    struct rpc_session *s = v->session;
    char text[64];

    if (type != RPC_TYPE_RPC && type != RPC_TYPE_STREAMING) {
        (void)snprintf(text, sizeof(text), "%.30s: stream type byte %02x", s->peer, type);
        rpc_session_fail(s, -EPROTO, text);
        return false;
    }
    v->type = type;
    yamux_accept(v->stream);
    return true;
}

void rpc_serve_data(void *arg, const uint8_t *p, size_t n)
{
    struct rpc_serve *v = arg;

    if (!v || v->session->dead)
        return;
    v->held += n;
    if (v->type == RPC_TYPE_NONE) {
        if (!read_type(v, p[0]))
            return;
        p++;
        n--;
    }
    if (n == 0) {
        rpc_pace_waits(v, false);
        return;
    }
    if (!budget_allows(BUDGET_IN, v->counted, v->box.in.len + n)) {
        refuse_more(v);
        return;
    }
    if (!rpc_inbox_add(&v->box, p, n)) {
        rpc_session_fail(v->session, -ENOMEM, "no memory for a request");
        return;
    }
    count_bytes(v);
    if (v->session->request_bytes > RPC_SESSION_MAX) {
        rpc_session_fail(v->session, -EMSGSIZE, "too many large requests at once");
        return;
    }
    if (v->busy)
        pace_plain(v);
    else
        pump(v);
}

void rpc_serve_eof(void *arg)
{
    struct rpc_serve *v = arg;

    if (!v || v->session->dead)
        return;
    v->eof = true;
    if (!v->busy)
        pump(v);
}

static void on_reset(void *arg, const struct err *e)
{
    struct rpc_serve *v = arg;

    (void)e;
    v->stream = NULL;
    rpc_serve_gone(v);
}

void rpc_serve_new(struct rpc_session *s, struct yamux_stream *stream)
{
    static const struct yamux_stream_user calls = {
        .on_data = rpc_serve_data,
        .on_eof = rpc_serve_eof,
        .on_reset = on_reset,
    };
    struct rpc_serve *v = xnew0(struct rpc_serve);

    v->session = s;
    v->stream = stream;
    rpc_inbox_init(&v->box);
    list_append(&s->serving, &v->link);
    if (stream) {
        yamux_stream_set_user(stream, &calls, v);
        rpc_pace_waits(v, true); /* its type byte is to come */
    } else {
        v->type = s->o.streaming ? RPC_TYPE_STREAMING : RPC_TYPE_RPC;
    }
}
