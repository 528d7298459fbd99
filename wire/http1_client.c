/* The calling side of wire/http1.h: one request on a connection of its own. */
#include <errno.h>
#include <string.h>

#include "base/limits.h"
#include "base/str.h"
#include "wire/conn.h"
#include "wire/http1_chunk.h"
#include "wire/http1_head.h"
#include "wire/http1_write.h"

enum body_kind { BODY_UNKNOWN, BODY_NONE, BODY_LENGTH, BODY_CHUNKED, BODY_TO_EOF };

struct http_call {
    struct conn *conn; /* counted; NULL when connecting failed at once */
    struct timer timer;
    struct defer fail; /* reports err */
    http_done *done;
    void *arg;
    struct err err;
    struct http_scan scan;
    struct http_head *head; /* owned; NULL until it is there */
    struct http_chunks chunks;
    struct buf body;
    enum body_kind kind;
    bool is_head; /* the request was HEAD */
};

const char *http_reply_header(const struct http_reply *r, const char *name)
{
    return http_headers_get(r->headers, r->n_headers, name);
}

static void call_free(struct http_call *c)
{
    timer_stop(&c->timer);
    defer_stop(&c->fail);
    if (c->conn)
        conn_abort(c->conn);
    c->conn = conn_unref(c->conn);
    free(c->head);
    buf_done(&c->body);
    free(c);
}

void http_call_cancel(struct http_call *c)
{
    if (c)
        call_free(c);
}

static void call_fail(struct http_call *c, const struct err *e)
{
    c->done(c->arg, NULL, e);
    call_free(c);
}

static void call_finish(struct http_call *c)
{
    struct http_reply reply = {
        .status = c->head->status,
        .headers = c->head->headers,
        .n_headers = c->head->n_headers,
        .body = c->body.p,
        .body_len = c->body.len,
    };
    struct err e = {0};

    c->done(c->arg, &reply, &e);
    call_free(c);
}

static void on_timer(void *arg)
{
    struct err e = {0};

    (void)err_set(&e, -ETIMEDOUT, "no complete HTTP reply in time");
    call_fail(arg, &e);
}

static void on_fail(void *arg)
{
    struct http_call *c = arg;
    struct err e = c->err;

    call_fail(c, &e);
}

static enum body_kind body_kind(const struct http_call *c)
{
    const struct http_head *h = c->head;

    if (c->is_head || h->status == 204 || h->status == 304)
        return BODY_NONE;
    if (h->chunked)
        return BODY_CHUNKED;
    if (h->has_length)
        return h->length ? BODY_LENGTH : BODY_NONE;
    return BODY_TO_EOF;
}

/* how many bytes belong to the head, 0 = not all there; negative: failed, text in e */
static ssize_t take_head(struct http_call *c, const uint8_t *p, size_t n, struct err *e)
{
    ssize_t k = http_head_scan(&c->scan, p, n, e);
    int r;

    if (k <= 0)
        return k;
    r = http_head_parse(HTTP_REPLY_HEAD, p, (size_t)k, c->body.max, &c->head, e);
    if (r < 0)
        return r;
    c->scan = (struct http_scan){0};
    if (c->head->status == 101)
        return err_set(e, -EBADMSG, "unexpected switch of protocols");
    if (c->head->status < 200) { /* 100 Continue, 103 Early Hints: the real one follows */
        c->head = mem_free(c->head);
        return k;
    }
    c->kind = body_kind(c);
    return k;
}

/* 1 = complete, 0 = more is to come */
static int take_body(struct http_call *c, const uint8_t *p, size_t n, struct err *e)
{
    size_t used;
    int r;

    switch (c->kind) {
    case BODY_NONE:
        return 1;
    case BODY_CHUNKED:
        r = http_chunks_feed(&c->chunks, p, n, &c->body, &used);
        break;
    case BODY_LENGTH:
        buf_add(&c->body, p, MIN(n, c->head->length - c->body.len));
        r = buf_ok(&c->body);
        if (r == 0)
            r = c->body.len == c->head->length;
        break;
    default:
        buf_add(&c->body, p, n);
        r = buf_ok(&c->body);
    }
    if (r == -EMSGSIZE)
        return err_set(e, r, "HTTP reply is larger than %zu bytes", c->body.max);
    if (r < 0)
        return err_set(e, r, "malformed chunked HTTP reply");
    return r;
}

static ssize_t on_data(void *arg, const uint8_t *p, size_t n)
{
    struct http_call *c = arg;
    struct err e = {0};
    size_t used = 0;
    int r;

    while (!c->head && used < n) {
        ssize_t k = take_head(c, p + used, n - used, &e);

        if (k < 0) {
            call_fail(c, &e);
            return (ssize_t)n;
        }
        if (k == 0)
            return (ssize_t)used;
        used += (size_t)k;
    }
    if (!c->head)
        return (ssize_t)used;
    r = take_body(c, p + used, n - used, &e);
    if (r < 0)
        call_fail(c, &e);
    else if (r > 0)
        call_finish(c);
    return (ssize_t)n;
}

static void on_eof(void *arg)
{
    struct http_call *c = arg;
    struct err e = {0};

    if (c->kind == BODY_TO_EOF) {
        call_finish(c);
        return;
    }
    (void)err_set(&e, -ECONNRESET, "connection closed before the HTTP reply was complete");
    call_fail(c, &e);
}

static void on_closed(void *arg, const struct err *e)
{
    call_fail(arg, e);
}

static const struct conn_user call_user = {
    .on_data = on_data,
    .on_eof = on_eof,
    .on_closed = on_closed,
};

static int check_request(const char *method, const char *target, struct err *e)
{
    static const char *const methods[] = {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"};
    bool known = false;

    for (size_t i = 0; i < ARRAY_LEN(methods); i++)
        known = known || str_eq(methods[i], method);
    if (!known)
        return err_set(e, -EINVAL, "unknown HTTP method");
    if (*target != '/')
        return err_set(e, -EINVAL, "HTTP target does not begin with /");
    for (const char *s = target; *s; s++)
        if ((unsigned char)*s <= 0x20 || *s == 0x7f)
            return err_set(e, -EINVAL, "blank or control character in an HTTP target");
    return 0;
}

static void write_request(struct buf *b, const char *address, const char *method,
                          const char *target, const struct http_header *headers, size_t n_headers,
                          const void *body, size_t n)
{
    bool unix_socket = str_starts(address, "unix:");

    buf_printf(b, "%s %s HTTP/1.1\r\n", method, target);
    if (!http_headers_get(headers, n_headers, "Host"))
        http_write_header(b, "Host", unix_socket ? "localhost" : address);
    for (size_t i = 0; i < n_headers; i++)
        http_write_header(b, headers[i].name, headers[i].value);
    if (n > 0 || str_eq(method, "POST") || str_eq(method, "PUT"))
        buf_printf(b, "Content-Length: %zu\r\n", n);
    buf_add_str(b, "Connection: close\r\n\r\n");
    buf_add(b, body, n);
}

struct http_call *http_call(struct loop *l, const char *address, const char *method,
                            const char *target, const struct http_header *headers, size_t n_headers,
                            const void *body, size_t n, size_t max_reply, uint64_t timeout_ns,
                            http_done *done, void *arg)
{
    _cleanup_buf_ struct buf out = BUF_INIT(HTTP_HEAD_MAX + HTTP_BODY_MAX);
    struct http_call *c = xnew0(struct http_call);
    int r;

    c->done = done;
    c->arg = arg;
    c->body = BUF_INIT(max_reply);
    c->is_head = str_eq(method, "HEAD");
    defer_init(l, &c->fail, on_fail, c);
    timer_init(l, &c->timer, "http call", on_timer, c);
    r = check_request(method, target, &c->err);
    if (r == 0) {
        write_request(&out, address, method, target, headers, n_headers, body, n);
        if (buf_ok(&out) < 0)
            r = err_set(&c->err, -EMSGSIZE, "HTTP request is too large");
    }
    if (r == 0)
        r = conn_connect(l, address, timeout_ns, &call_user, c, &c->conn, &c->err);
    if (r < 0) {
        defer_set(&c->fail);
        return c;
    }
    conn_write_buf(c->conn, &out);
    if (timeout_ns)
        timer_set(&c->timer, timeout_ns);
    return c;
}
