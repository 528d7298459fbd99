#include <errno.h>
#include <string.h>

#include "wire/rpc_priv.h"

/* Calls of ours: one stream per call in flight; after a good answer the stream waits for the next
 * call (last used first, two at most), after anything else it is closed (fact: rpc-wire 3). */

struct rpc_call {
    struct list link;            /* in calls or failed */
    struct rpc_session *session; /* counted */
    struct rpc_out *out;         /* NULL once failed */
    struct timer timer;
    rpc_done *done;
    void *arg;
    uint64_t seq;
    char *text; /* owned; why it failed */
};

/* --- the end of a call --- */

static void call_free(struct rpc_call *c)
{
    struct rpc_session *s = c->session;

    timer_stop(&c->timer);
    list_remove(&c->link);
    free(c->text);
    free(c);
    (void)rpc_session_unref(s);
}

/* takes the call out of its stream and out of those in flight */
static void call_detach(struct rpc_call *c)
{
    if (!c->out)
        return;
    c->out->call = NULL;
    c->out = NULL;
    c->session->n_calls--;
    list_remove(&c->link);
    timer_stop(&c->timer);
}

/* the answer: tells and frees; never inside a call of the user's */
static void call_done(struct rpc_call *c, enum rpc_result how, const char *text,
                      const uint8_t *body, size_t n)
{
    call_detach(c);
    list_remove(&c->link);
    c->done(c->arg, how, text, body, n);
    call_free(c);
}

/* failed before or apart from an answer: told next turn */
static void call_fail(struct rpc_call *c, const char *text)
{
    call_detach(c);
    c->text = xstrdup(text);
    list_append(&c->session->failed, &c->link);
    defer_set(&c->session->work);
}

void rpc_calls_tell(struct rpc_session *s)
{
    struct rpc_call *c;
    size_t n = 0;

    list_for_each (i, &s->failed, struct rpc_call, link)
        n++;
    /* not those that fail meanwhile: done may call again */
    while (n-- > 0 && (c = list_first(&s->failed, struct rpc_call, link)))
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): a freed call is in no list */
        call_done(c, RPC_TRANSPORT, c->text, NULL, 0);
}

/* --- streams of ours --- */

void rpc_out_free(struct rpc_out *o)
{
    if (!list_empty(&o->link)) {
        list_remove(&o->link);
        o->session->n_idle--;
    }
    rpc_inbox_done(&o->box);
    free(o);
}

static void out_close(struct rpc_out *o, bool reset)
{
    o->stream = reset ? yamux_reset(o->stream) : yamux_release(o->stream);
    rpc_out_free(o);
}

static void out_keep(struct rpc_out *o)
{
    struct rpc_session *s = o->session;

    if (s->n_idle >= RPC_IDLE_MAX) {
        out_close(o, false);
        return;
    }
    o->link.next = s->idle.next; /* to the front */
    o->link.prev = &s->idle;
    s->idle.next->prev = &o->link;
    s->idle.next = &o->link;
    s->n_idle++;
}

void rpc_calls_gone(struct rpc_session *s)
{
    struct rpc_call *c;
    struct rpc_out *o;

    while ((c = list_first(&s->calls, struct rpc_call, link))) {
        o = c->out;
        call_fail(c, s->why);
        rpc_out_free(o); /* its stream goes with the session */
    }
    list_for_each (i, &s->idle, struct rpc_out, link)
        rpc_out_free(i);
}

/* the stream broke under a call (or while idle) */
static void out_broken(struct rpc_out *o, const char *text, bool reset)
{
    struct rpc_call *c = o->call;

    out_close(o, reset);
    if (c) {
        c->out = NULL;
        c->session->n_calls--;
        call_done(c, RPC_TRANSPORT, text, NULL, 0);
    }
}

static void on_answer(struct rpc_out *o, const struct rpc_header *h, size_t header_len,
                      size_t body_len)
{
    struct rpc_call *c = o->call;
    char *text = xstrndup((const char *)h->error, h->error_len);
    uint8_t *bytes = rpc_inbox_take(&o->box, header_len + body_len);

    call_detach(c);
    if (text[0])
        out_close(o, false);
    else if (o->box.in.len || !bytes)
        out_close(o, true); /* more than was asked for */
    else
        out_keep(o);
    if (!bytes)
        call_done(c, RPC_TRANSPORT, "no memory for a reply", NULL, 0);
    else
        call_done(c, text[0] ? RPC_ERROR : RPC_OK, text, bytes + header_len, body_len);
    free(text);
    free(bytes);
}

static void on_data(void *arg, const uint8_t *p, size_t n)
{
    struct rpc_out *o = arg;
    size_t header_len, body_len;
    struct rpc_header h;
    int r;

    if (!o->call || !rpc_inbox_add(&o->box, p, n)) {
        out_broken(o, "no memory for a reply", true);
        return;
    }
    r = rpc_inbox_message(&o->box, &body_len);
    if (r == -EAGAIN) {
        yamux_consumed(o->stream, n);
        return;
    }
    if (r < 0) {
        out_broken(o, r == -EMSGSIZE ? "the reply is too large" : "malformed reply", true);
        return;
    }
    header_len = o->box.header_len;
    if (rpc_reply_header_read(o->box.in.p, header_len, &h) < 0) {
        out_broken(o, "malformed reply", true);
        return;
    }
    if (h.seq != o->call->seq) {
        out_broken(o, "reply to another request", true);
        return;
    }
    yamux_consumed(o->stream, n);
    on_answer(o, &h, header_len, body_len);
}

static void on_eof(void *arg)
{
    out_broken(arg, "EOF", false);
}

static void on_reset(void *arg, const struct err *e)
{
    struct rpc_out *o = arg;

    o->stream = NULL;
    out_broken(o, e->text, false);
}

static int out_open(struct rpc_session *s, struct rpc_out **ret)
{
    static const struct yamux_stream_user calls = {
        .on_data = on_data,
        .on_eof = on_eof,
        .on_reset = on_reset,
    };
    struct rpc_out *o = list_first(&s->idle, struct rpc_out, link);
    int r;

    if (o) {
        list_remove(&o->link);
        s->n_idle--;
        *ret = o;
        return 0;
    }
    o = xnew0(struct rpc_out);
    o->session = s;
    list_init(&o->link);
    rpc_inbox_init(&o->box);
    r = yamux_open(s->yamux, &calls, o, &o->stream);
    if (r < 0) {
        free(o);
        return r;
    }
    /* at once: a peer waits for it before it accepts other streams */
    yamux_write(o->stream, (const uint8_t[]){RPC_TYPE_RPC}, 1);
    *ret = o;
    return 0;
}

/* --- calling --- */

/* A peer may think about a call as long as it likes, but one that hangs, or a connection that is
 * dead without a word, would hold its calls until the ping of every 30 s. */
#define SLOW_NS      (2 * NSEC_PER_SEC)
#define SLOW_PONG_NS (4 * NSEC_PER_SEC)

static void watch_slow(struct rpc_session *s)
{
    if (timer_armed(&s->slow))
        return;
    s->slow_mark = s->seq;
    timer_set(&s->slow, SLOW_NS);
}

/* each call that waits is worth a probe or two: a blocking query is not pinged along for minutes */
void rpc_calls_slow(void *arg)
{
    struct rpc_session *s = arg;
    bool waits = false;

    list_for_each (c, &s->calls, struct rpc_call, link)
        waits |= c->seq > s->probed;
    if (!waits)
        return;
    yamux_probe(s->yamux, SLOW_PONG_NS);
    s->probed = s->slow_mark;
    if (s->seq > s->slow_mark)
        watch_slow(s);
}

static void on_timeout(void *arg)
{
    struct rpc_call *c = arg;
    struct rpc_out *o = c->out;

    call_detach(c);
    out_close(o, true); /* an answer that still comes is thrown away */
    call_done(c, RPC_TIMEOUT, "timed out", NULL, 0);
}

const char *rpc_why_not(const struct rpc_session *s, size_t n, int r)
{
    if (s->dead)
        return s->why;
    if (n > RPC_BODY_MAX)
        return "the request is too large";
    if (s->o.plain)
        return "no calls on a plain connection";
    return r == -ESHUTDOWN ? "the peer goes away" : "too many streams are open";
}

struct rpc_call *rpc_call(struct rpc_session *s, const char *method, const void *body, size_t n,
                          uint64_t timeout_ns, rpc_done *done, void *arg)
{
    struct rpc_call *c = xnew0(struct rpc_call);
    struct buf b = BUF_INIT(RPC_HEADER_MAX + RPC_BODY_MAX);
    struct rpc_out *o;
    int r = 0;

    c->session = rpc_session_ref(s);
    c->done = done;
    c->arg = arg;
    list_init(&c->link);
    timer_init(s->loop, &c->timer, "rpc call", on_timeout, c);
    if (s->dead || n > RPC_BODY_MAX || s->o.plain || (r = out_open(s, &o)) < 0) {
        call_fail(c, rpc_why_not(s, n, r));
        return c;
    }
    c->seq = ++s->seq;
    c->out = o;
    o->call = c;
    list_append(&s->calls, &c->link);
    s->n_calls++;
    if (timeout_ns)
        timer_set(&c->timer, timeout_ns);
    rpc_request_header_write(&b, c->seq, method);
    buf_add(&b, body, n);
    yamux_write(o->stream, b.p, b.len);
    buf_done(&b);
    watch_slow(s);
    return c;
}

void rpc_call_cancel(struct rpc_call *c)
{
    struct rpc_out *o;

    if (!c)
        return;
    o = c->out;
    call_detach(c);
    if (o)
        out_close(o, true);
    call_free(c);
}
