#include "server/call.h"

#include <errno.h>
#include <string.h>

#include "base/rand.h"
#include "base/str.h"
#include "codec/mp.h"
#include "codec/ops.h"
#include "model/texts.h"

enum { WRITE_COST = 4096 }; /* of a waiting write besides its body, about */

/* nomad v1.0.18 nomad/rpc.go: maxQueryTime is default and limit */
#define QUERY_TIME_MAX (INT64_C(300) * (int64_t)NSEC_PER_SEC)

static void call_free(struct call *c)
{
    c->srv->writing_bytes -= c->writing;
    store_unwatch(&c->watch);
    timer_stop(&c->timer);
    list_remove(&c->link);
    if (c->data_free)
        c->data_free(c->data);
    if (c->request) {
        ops_clear(c->method->request, c->request);
        free(c->request);
    }
    free(c);
}

void call_reply_raw(struct call *take_c, const void *body, size_t n)
{
    if (take_c->gone)
        take_c->sink->drop(take_c->sink_arg);
    else
        take_c->sink->reply(take_c->sink_arg, body, n);
    call_free(take_c);
}

void call_reply(struct call *take_c, const struct desc *d, const void *reply)
{
    _cleanup_buf_ struct buf b = BUF_INIT(RPC_BODY_MAX);

    mp_encode(&b, d, reply);
    if (buf_ok(&b) < 0) {
        call_fail(take_c, "reply is larger than the limit");
        return;
    }
    call_reply_raw(take_c, b.p, b.len);
}

static void call_end(struct call *take_c, const char *text, bool close)
{
    if (take_c->gone)
        take_c->sink->drop(take_c->sink_arg);
    else
        take_c->sink->fail(take_c->sink_arg, text, close);
    call_free(take_c);
}

void call_fail(struct call *take_c, const char *text)
{
    call_end(take_c, text, false);
}

void call_fail_close(struct call *take_c, const char *text)
{
    call_end(take_c, text, true);
}

void call_gone(struct call *c)
{
    c->gone = true;
    if (c->query || c->may_drop) {
        c->sink->drop(c->sink_arg);
        call_free(c);
    }
}

const char *call_token(const struct call *c)
{
    if (c->q)
        return str_or_empty(c->q->auth_token);
    return c->w ? str_or_empty(c->w->auth_token) : "";
}

const char *call_peer(const struct call *c)
{
    return !c->gone && c->sink->peer ? c->sink->peer(c->sink_arg) : "";
}

void call_bind(struct call *c, const struct uuid *node)
{
    bool forwarded = c->q ? c->q->forwarded : c->w && c->w->forwarded;

    if (!forwarded && !c->gone && c->sink->bind && (c->method->flags & METHOD_NODE))
        c->sink->bind(c->sink_arg, node);
}

struct query_meta call_meta(uint64_t index)
{
    return (struct query_meta){.index = index, .known_leader = true};
}

/* --- writes --- */

static int write_run(struct txn *t, void *arg, struct err *e)
{
    struct call *c = arg;

    if (c->gone) /* else a peer that asks and leaves would keep the disk busy for all others */
        return err_set(e, -ECANCELED, "the caller is gone");
    return c->write(t, c, e);
}

void call_write(struct call *take_c, store_fn *fn, store_done *done)
{
    struct call *c = take_c;

    c->writing = c->body_len + WRITE_COST;
    c->srv->writing_bytes += c->writing;
    if (c->srv->writing_bytes > WRITES_WAITING_MAX) {
        call_fail(c, "too many writes are waiting");
        return;
    }
    c->write = fn;
    store_write(c->srv->store, write_run, done, c);
}

/* --- blocking queries --- */

static void query_run(struct call *c);

static void on_change(void *arg)
{
    query_run(arg);
}

static void on_expired(void *arg)
{
    struct call *c = arg;

    c->expired = true;
    query_run(c);
}

/* it was decoded, and may wait long: of what it came with only what the query looks at stays */
static void let_go_of_body(struct call *c)
{
    struct query_options *q = (struct query_options *)c->q; /* of c->request, which is ours */

    q->region = mem_free(q->region);
    q->namespace_ = mem_free(q->namespace_);
    c->body = NULL;
    c->body_len = 0;
    if (c->sink->trim && !c->gone)
        c->sink->trim(c->sink_arg);
}

static void query_wait(struct call *c)
{
    if (c->body)
        let_go_of_body(c);
    if (!timer_armed(&c->timer)) {
        int64_t limit = c->q->max_query_time;

        if (limit <= 0 || limit > QUERY_TIME_MAX)
            limit = QUERY_TIME_MAX;
        timer_init(c->srv->loop, &c->timer, "query", on_expired, c);
        timer_set(&c->timer, (uint64_t)limit + rand_below((uint64_t)limit / 16));
    }
    c->watch.beyond = c->q->min_query_index;
    store_watch(c->srv->store, &c->watch);
}

static void query_run(struct call *c)
{
    _cleanup_buf_ struct buf b = BUF_INIT(RPC_BODY_MAX);
    struct err e = {0};
    uint64_t index = 0;

    if (c->query(c, &b, &index, &e) < 0) {
        call_fail(c, e.text);
        return;
    }
    if (c->q && c->q->min_query_index > 0 && index <= c->q->min_query_index && !c->expired) {
        query_wait(c);
        return;
    }
    store_unwatch(&c->watch); /* an answer that is made piece by piece is not begun again */
    if (c->answer)
        c->answer(c);
    else if (buf_ok(&b) < 0)
        call_fail(c, "reply is larger than the limit");
    else
        call_reply_raw(c, b.p, b.len);
}

void call_query(struct call *take_c, query_fn *fn)
{
    take_c->query = fn;
    take_c->watch.fn = on_change;
    take_c->watch.arg = take_c;
    query_run(take_c);
}
