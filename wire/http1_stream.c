/* Answers that go on: chunked in HTTP/1.1, until the connection closes in HTTP/1.0.
 *
 * What was written waits in the conn, at most HTTP_STREAM_MAX of it.  A peer that takes nothing for
 * a minute while something waits is gone; one that has nothing to take may stay for days. */
#include <errno.h>

#include "base/limits.h"
#include "wire/http1_priv.h"

enum { FRAME_MAX = 32 }; /* the size line of a chunk */

#define STALL_NS (60 * NSEC_PER_SEC)

struct http_stream {
    struct hconn *h; /* NULL: gone, the user hears of it next turn */
    const struct http_stream_user *user;
    void *arg;
    uint64_t written; /* bytes handed to the conn */
    uint64_t mark;    /* of those, how many had left when the timer was set */
    struct timer stall;
    struct defer gone;
    bool chunked;
};

static struct http_stream *stream_free(struct http_stream *s)
{
    timer_stop(&s->stall);
    defer_stop(&s->gone);
    return mem_free(s);
}

void http_stream_on_gone(struct http_stream *take_s)
{
    take_s->h = NULL;
    timer_stop(&take_s->stall);
    take_s->user->on_gone(take_s->arg);
    (void)stream_free(take_s);
}

static void on_gone_later(void *arg)
{
    http_stream_on_gone(arg);
}

static uint64_t bytes_left(const struct http_stream *s)
{
    return s->written - MIN(s->written, conn_pending(s->h->conn));
}

static void on_stall(void *arg)
{
    struct http_stream *s = arg;

    if (conn_pending(s->h->conn) == 0)
        return;
    if (bytes_left(s) == s->mark || hconn_is_slow(s->h)) {
        hconn_gone(s->h);
        return;
    }
    s->mark = bytes_left(s);
    timer_set(&s->stall, STALL_NS);
}

void http_stream_on_drained(struct http_stream *s)
{
    timer_stop(&s->stall);
    if (s->user->on_room)
        s->user->on_room(s->arg);
}

static void stream_send(struct http_stream *s, struct buf *take)
{
    s->written += take->len;
    conn_write_buf(s->h->conn, take);
    if (timer_armed(&s->stall))
        return;
    s->mark = bytes_left(s);
    timer_set(&s->stall, STALL_NS);
}

/* the head is sent; false: there will be no body, or nobody to read it */
static bool stream_start(struct http_stream *s, const struct http_exchange *x, int status,
                         const struct http_header *headers, size_t n_headers)
{
    _cleanup_buf_ struct buf head = BUF_INIT(HTTP_REPLY_HEAD_MAX);
    struct hconn *h = x->hconn;

    if (!h)
        return false;
    h->x = NULL;
    s->chunked = !x->minor_0;
    if (!x->keep_alive || !s->chunked)
        h->closing = true;
    http_write_stream_head(&head, status, headers, n_headers, s->chunked, hconn_how_to_close(x, h));
    if (buf_ok(&head) < 0) {
        hconn_end(h, true);
        return false;
    }
    if (x->is_head) {
        conn_write_buf(h->conn, &head);
        hconn_after_answer(h);
        return false;
    }
    h->state = STREAM;
    h->stream = s;
    s->h = h;
    stream_send(s, &head);
    return true;
}

struct http_stream *http_stream_begin(struct http_exchange *take_x, int status,
                                      const struct http_header *headers, size_t n_headers,
                                      const struct http_stream_user *user, void *arg)
{
    struct http_stream *s = xnew0(struct http_stream);

    s->user = user;
    s->arg = arg;
    timer_init(take_x->loop, &s->stall, "http stream", on_stall, s);
    defer_init(take_x->loop, &s->gone, on_gone_later, s);
    if (!stream_start(s, take_x, status, headers, n_headers))
        defer_set(&s->gone);
    (void)http_exchange_free(take_x);
    return s;
}

size_t http_stream_room(const struct http_stream *s)
{
    size_t waits = s->h ? conn_pending(s->h->conn) + FRAME_MAX : HTTP_STREAM_MAX;

    return HTTP_STREAM_MAX - MIN(waits, HTTP_STREAM_MAX);
}

int http_stream_write(struct http_stream *s, const void *p, size_t n)
{
    _cleanup_buf_ struct buf out = BUF_INIT(HTTP_STREAM_MAX + FRAME_MAX);

    if (n > http_stream_room(s))
        return -ENOBUFS;
    if (n == 0)
        return 0; /* a chunk of 0 bytes would be the last */
    if (s->chunked)
        buf_printf(&out, "%zx\r\n", n);
    buf_add(&out, p, n);
    if (s->chunked)
        buf_add(&out, "\r\n", 2);
    if (buf_ok(&out) < 0)
        return -ENOBUFS;
    stream_send(s, &out);
    return 0;
}

void http_stream_end(struct http_stream *take_s)
{
    struct hconn *h = take_s->h;

    if (h) {
        h->stream = NULL;
        if (take_s->chunked)
            conn_write(h->conn, "0\r\n\r\n", 5);
        h->state = WRITE; /* an answer that has been handed over */
        hconn_after_answer(h);
    }
    (void)stream_free(take_s);
}
