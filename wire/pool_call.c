#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/rand.h"
#include "wire/pool_priv.h"

/* Calls over a pool.
 *
 * A server that cannot be reached has not seen the request: the next one is asked at once, each at
 * most once.  A connection lost later may have carried it: only reads are sent again.  A server
 * without a leader did nothing: always again.  Sending again waits for a moment that differs from
 * agent to agent, and ends a while (hold_ns) after the first failure. */

enum { HOLD_PARTS = 16 };

static void call_try(struct pool_call *c);

/* --- the end of a call --- */

/* lets go of the server that was asked */
static void call_leave(struct pool_call *c)
{
    struct pool_server *s = c->server;

    if (!s)
        return;
    c->server = NULL;
    if (!list_empty(&c->wait)) {
        list_remove(&c->wait);
    } else {
        s->n_active--;
        if (s->n_active == 0 && s->session)
            timer_set(&s->idle, POOL_IDLE_NS);
    }
    pool_server_settle(s);
}

void pool_call_free(struct pool_call *c)
{
    timer_stop(&c->timer);
    defer_stop(&c->work);
    rpc_call_cancel(c->call);
    c->call = NULL;
    call_leave(c);
    list_remove(&c->link);
    free(c->method);
    free(c->body);
    free(c->text);
    free(c);
}

void pool_call_cancel(struct pool_call *c)
{
    if (c)
        pool_call_free(c);
}

/* tells and frees */
static void call_end(struct pool_call *c, enum rpc_result how, const char *text,
                     const uint8_t *body, size_t n)
{
    rpc_done *done = c->done;
    void *arg = c->arg;
    char *kept = xstrdup(text);

    pool_call_free(c);
    done(arg, how, kept, body, n);
    free(kept);
}

static void on_work(void *arg)
{
    struct pool_call *c = arg;

    if (c->text)
        call_end(c, c->how, c->text, NULL, 0);
    else
        call_try(c);
}

/* the end, told next turn */
static void call_end_later(struct pool_call *c, enum rpc_result how, const char *text)
{
    call_leave(c);
    timer_stop(&c->timer);
    str_set(&c->text, text);
    c->how = how;
    defer_set(&c->work);
}

static void call_set_timer(struct pool_call *c, uint64_t at_ns)
{
    if (c->deadline_ns)
        at_ns = MIN(at_ns, c->deadline_ns);
    if (at_ns != UINT64_MAX)
        timer_set_at(&c->timer, at_ns);
    else
        timer_stop(&c->timer);
}

static void on_timer(void *arg)
{
    struct pool_call *c = arg;

    if (c->deadline_ns && clock_boot_ns() >= c->deadline_ns) {
        if (c->server)
            pool_server_failed(c->server);
        call_end(c, RPC_TIMEOUT, "timed out", NULL, 0);
    } else {
        call_try(c);
    }
}

/* --- trying again --- */

static bool may_repeat(const struct pool_call *c, enum rpc_result how, const char *text)
{
    static const char *const not_done[] = {
        "No cluster leader",
        "Not ready to serve consistent reads",
    };

    if (c->pinned)
        return false;
    if (how == RPC_TRANSPORT)
        return c->flags & POOL_READ;
    for (size_t i = 0; how == RPC_ERROR && i < ARRAY_LEN(not_done); i++)
        if (strstr(text, not_done[i]))
            return true;
    return false;
}

static void on_done(void *arg, enum rpc_result how, const char *text, const uint8_t *body, size_t n)
{
    struct pool_call *c = arg;
    uint64_t now = clock_boot_ns();
    bool again = how != RPC_OK && may_repeat(c, how, text);

    c->call = NULL;
    if (how == RPC_TRANSPORT || how == RPC_TIMEOUT || again)
        pool_server_failed(c->server);
    if (again && !c->failed_ns)
        c->failed_ns = now;
    if (!again || now - c->failed_ns >= c->pool->o.hold_ns) {
        call_end(c, how, text, body, n);
        return;
    }
    call_leave(c);
    call_set_timer(c, now + rand_below(c->pool->o.hold_ns / HOLD_PARTS));
}

/* --- connections --- */

static void call_send(struct pool_call *c)
{
    struct pool_server *s = c->server;

    list_remove(&c->wait);
    s->n_active++;
    timer_stop(&s->idle);
    c->call = rpc_call(s->session, c->method, c->body, c->n, 0, on_done, c);
    call_set_timer(c, UINT64_MAX);
}

static void on_session_closed(void *arg, struct rpc_session *session, const struct err *e)
{
    struct pool_server *s = arg;

    (void)e;
    if (s->session == session) {
        timer_stop(&s->idle);
        s->session = NULL;
        pool_server_settle(s);
    }
    (void)rpc_session_unref(session);
}

static void on_connected(void *arg)
{
    struct pool_server *s = arg;
    struct rpc_session_opts o = {
        .handler = s->pool->o.handler,
        .handler_arg = s->pool->o.handler_arg,
        .stream_handler = s->pool->o.stream_handler,
        .stream_arg = s->pool->o.stream_arg,
        .on_closed = on_session_closed,
        .arg = s,
        .client = true,
    };
    struct pool_call *c;

    s->session = rpc_session_new(steal_ptr(&s->dialing), &o);
    timer_set(&s->idle, POOL_IDLE_NS);
    while ((c = list_first(&s->waiting, struct pool_call, wait)))
        call_send(c);
}

static void unreachable(struct pool_server *s, const char *text)
{
    struct pool *p = s->pool;
    struct pool_call *c;

    pool_server_failed(s);
    while ((c = list_first(&s->waiting, struct pool_call, wait))) {
        list_remove(&c->wait);
        c->server = NULL;
        if (c->pinned || ++c->unreachable >= p->n_servers)
            call_end_later(c, RPC_TRANSPORT, text);
        else
            defer_set(&c->work); /* the next server */
    }
    pool_server_settle(s);
}

static void on_dial_closed(void *arg, const struct err *e)
{
    struct pool_server *s = arg;

    s->dialing = conn_unref(s->dialing);
    unreachable(s, e->text);
}

/* a server that speaks first is none */
static ssize_t on_dial_data(void *arg, const uint8_t *p, size_t n)
{
    (void)arg;
    (void)p;
    (void)n;
    return 0;
}

static void on_dial_eof(void *arg)
{
    (void)arg;
}

static void call_ask(struct pool_call *c, struct pool_server *s)
{
    static const struct conn_user calls = {
        .on_data = on_dial_data,
        .on_eof = on_dial_eof,
        .on_closed = on_dial_closed,
        .on_connected = on_connected,
    };
    struct err e = {0};

    if (s->session && !rpc_session_takes_calls(s->session))
        s = pool_server_renew(s); /* lost just now, or the peer said that it goes away */
    c->server = s;
    list_append(&s->waiting, &c->wait);
    call_set_timer(c, UINT64_MAX);
    if (s->session)
        call_send(c);
    else if (!s->dialing && conn_connect(s->pool->loop, s->address, s->pool->o.dial_timeout_ns,
                                         &calls, s, &s->dialing, &e) < 0)
        unreachable(s, e.text);
}

static void call_try(struct pool_call *c)
{
    if (c->pool->n_servers == 0)
        call_end_later(c, RPC_TRANSPORT, "no servers");
    else
        call_ask(c, c->pool->servers[0]);
}

/* --- calling --- */

static struct pool_call *call_new(struct pool *p, const char *method, const void *body, size_t n,
                                  uint64_t timeout_ns, rpc_done *done, void *arg)
{
    struct pool_call *c = xnew0(struct pool_call);

    c->pool = p;
    c->method = xstrdup(method);
    c->body = xmemdup(body, n);
    c->n = n;
    c->done = done;
    c->arg = arg;
    if (timeout_ns)
        c->deadline_ns = clock_boot_ns() + timeout_ns;
    list_init(&c->wait);
    list_append(&p->calls, &c->link);
    timer_init(p->loop, &c->timer, "pool call", on_timer, c);
    defer_init(p->loop, &c->work, on_work, c);
    return c;
}

struct pool_call *pool_call(struct pool *p, const char *method, const void *body, size_t n,
                            unsigned flags, uint64_t timeout_ns, rpc_done *done, void *arg)
{
    struct pool_call *c = call_new(p, method, body, n, timeout_ns, done, arg);

    c->flags = flags;
    call_try(c);
    return c;
}

struct pool_call *pool_call_on(struct pool_server *s, const char *method, const void *body,
                               size_t n, uint64_t timeout_ns, rpc_done *done, void *arg)
{
    struct pool_call *c = call_new(s->pool, method, body, n, timeout_ns, done, arg);

    c->pinned = true;
    call_ask(c, s);
    return c;
}
