#include "api/relay.h"

#include <errno.h>
#include <string.h>

#include "base/limits.h"
#include "base/str.h"
#include "codec/mp.h"
#include "codec/ops.h"
#include "model/rpc_client.h"
#include "wire/http1.h"

struct relay {
    const char *content_type;
    struct rpc_stream *from;   /* NULL: has ended */
    struct http_exchange *x;   /* until the first payload */
    struct http_stream *to;    /* then */
    struct http_header *extra; /* owned, with its texts; until the first payload */
    size_t n_extra;
    struct buf waits; /* payload that found no room */
    size_t at;        /* of that, sent */
};

static void drop_headers(struct relay *r)
{
    for (size_t i = 0; i < r->n_extra; i++) {
        free((char *)(uintptr_t)r->extra[i].name);
        free((char *)(uintptr_t)r->extra[i].value);
    }
    r->extra = mem_free(r->extra);
    r->n_extra = 0;
}

static void relay_free(struct relay *r)
{
    r->from = rpc_stream_close(r->from);
    drop_headers(r);
    buf_done(&r->waits);
    free(r);
}

struct relay *relay_new(const char *content_type)
{
    struct relay *r = xnew0(struct relay);

    r->content_type = content_type;
    r->waits = BUF_INIT(RPC_OBJECT_MAX);
    return r;
}

/* --- to the peer --- */

static void on_peer_gone(void *arg)
{
    relay_free(arg);
}

static void end(struct relay *r)
{
    if (r->to)
        http_stream_end(steal_ptr(&r->to));
    relay_free(r);
}

/* what fits; the rest waits and holds the stream up; true: nothing waits */
static bool flush(struct relay *r)
{
    size_t n = MIN(r->waits.len - r->at, http_stream_room(r->to));

    if (http_stream_write(r->to, r->waits.p + r->at, n) == 0)
        r->at += n;
    if (r->at < r->waits.len)
        return false;
    buf_reset(&r->waits);
    r->at = 0;
    return true;
}

static void on_peer_room(void *arg)
{
    struct relay *r = arg;

    if (!flush(r))
        return;
    if (r->from)
        rpc_stream_pause(r->from, false);
    else
        end(r);
}

static void begin(struct relay *r)
{
    static const struct http_stream_user user = {on_peer_room, on_peer_gone};

    r->extra[0] = (struct http_header){xstrdup("Content-Type"), xstrdup(r->content_type)};
    r->to = http_stream_begin(steal_ptr(&r->x), 200, r->extra, r->n_extra, &user, r);
    drop_headers(r);
}

/* Nomad's form, with status 500 whatever the code (http-api 3) */
static void refuse(struct relay *r, int64_t code, const char *text)
{
    static const struct http_header type = {"Content-Type", "text/plain; charset=utf-8"};
    _cleanup_free_ char *body = xasprintf("RPC Error:: %lld,%s", (long long)code, text);

    http_answer(steal_ptr(&r->x), 500, &type, 1, body, strlen(body));
    relay_free(r);
}

/* --- from the other agent --- */

static void on_payload(struct relay *r, const struct stream_frame *f)
{
    if (f->payload.n == 0)
        return;
    if (!r->to)
        begin(r);
    buf_add(&r->waits, f->payload.p, f->payload.n);
    if (!flush(r))
        rpc_stream_pause(r->from, true);
}

static void on_object(void *arg, const uint8_t *p, size_t n)
{
    struct stream_frame f = {0};
    struct relay *r = arg;
    struct err e = {0};
    int code = mp_decode(&desc_stream_frame, p, n, &f, &e);

    if (code == 0 && !f.error)
        on_payload(r, &f);
    else if (!r->x)
        end(r); /* an answer that has begun can only stop */
    else if (code < 0)
        refuse(r, 500, e.text);
    else
        refuse(r, f.error->code ? *f.error->code : 500, str_or_empty(f.error->message));
    ops_clear(&desc_stream_frame, &f);
}

static void on_end(void *arg, const struct err *e)
{
    struct relay *r = arg;

    r->from = NULL;
    if (r->x && e) {
        refuse(r, 500, e->text);
        return;
    }
    if (r->x)
        begin(r);
    if (r->waits.len == 0)
        end(r);
}

const struct rpc_stream_user relay_user = {.on_object = on_object, .on_end = on_end};

/* --- beginning --- */

static void relay_http(void *arg, struct http_exchange *take_x, const struct http_header *headers,
                       size_t n_headers)
{
    struct relay *r = arg;

    r->x = take_x;
    r->n_extra = n_headers + 1; /* the first is ours */
    r->extra = xnew0_n(struct http_header, r->n_extra);
    for (size_t i = 0; i < n_headers; i++)
        r->extra[i + 1] = (struct http_header){xstrdup(headers[i].name), xstrdup(headers[i].value)};
    http_exchange_trim(take_x);
    http_on_gone(take_x, on_peer_gone, r);
}

void relay_start(struct relay *r, struct rpc_stream *take_s, struct view_stream *ret)
{
    r->from = take_s;
    *ret = (struct view_stream){relay_http, r};
}
