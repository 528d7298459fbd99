#include "wire/pool.h"

#include <errno.h>
#include <string.h>

#include "base/rand.h"
#include "base/str.h"
#include "codec/mp.h"
#include "wire/pool_priv.h"
#include "wire/rpc_priv.h"

/* The list of servers and which one is used; calls are in pool_call.c. */

#define REBALANCE_MIN_NS (300 * NSEC_PER_SEC)
enum { NODES_PER_SERVER_SEC = 64 }; /* new connections a server should see per second at most */

/* --- servers --- */

/* the listed one when there are two (an old one may still be in use) */
static struct pool_server *server_find(const struct pool *p, const char *address)
{
    struct pool_server *found = NULL;

    list_for_each (s, &p->all, struct pool_server, link)
        if (str_eq(s->address, address) && (!found || s->listed))
            found = s;
    return found;
}

static void server_close(struct pool_server *s)
{
    timer_stop(&s->idle);
    if (s->session)
        rpc_session_close(s->session);
    s->session = rpc_session_unref(s->session);
    if (s->dialing)
        conn_abort(s->dialing);
    s->dialing = conn_unref(s->dialing);
}

static void server_free(struct pool_server *s)
{
    server_close(s);
    list_remove(&s->link);
    free(s->address);
    free(s);
}

/* streaming RPCs hold the connection too */
static bool has_streams(const struct pool_server *s)
{
    return s->session && rpc_session_streams(s->session) > 0;
}

void pool_server_settle(struct pool_server *s)
{
    if (s->listed || s->n_active > 0 || !list_empty(&s->waiting))
        return;
    if (has_streams(s))
        timer_set(&s->idle, POOL_IDLE_NS); /* looks again */
    else
        server_free(s);
}

static void on_idle(void *arg)
{
    struct pool_server *s = arg;

    if (s->n_active > 0)
        return;
    if (has_streams(s))
        timer_set(&s->idle, POOL_IDLE_NS);
    else
        server_close(s);
    pool_server_settle(s);
}

static struct pool_server *server_new(struct pool *p, const char *address)
{
    struct pool_server *s = xnew0(struct pool_server);

    s->pool = p;
    s->address = xstrdup(address);
    list_init(&s->waiting);
    timer_init(p->loop, &s->idle, "rpc idle", on_idle, s);
    list_append(&p->all, &s->link);
    return s;
}

/* --- the list --- */

static void list_changed(struct pool *p)
{
    p->addresses = xrealloc(p->addresses, p->n_servers, sizeof(char *));
    for (size_t i = 0; i < p->n_servers; i++)
        p->addresses[i] = p->servers[i]->address;
}

static void shuffle(struct pool_server **v, size_t n)
{
    for (size_t i = n; i > 1; i--) {
        size_t k = (size_t)rand_below(i);
        struct pool_server *s = v[i - 1];

        v[i - 1] = v[k];
        v[k] = s;
    }
}

static void replace(struct pool_server **v, size_t n, struct pool_server *old,
                    struct pool_server *new)
{
    for (size_t i = 0; i < n; i++)
        if (v[i] == old)
            v[i] = new;
}

struct pool_server *pool_server_renew(struct pool_server *s)
{
    struct pool *p = s->pool;
    struct pool_server *fresh;

    if (!s->listed)
        return s;
    fresh = server_new(p, s->address);
    fresh->listed = true;
    s->listed = false;
    replace(p->servers, p->n_servers, s, fresh);
    if (p->trial.order)
        replace(p->trial.order, p->trial.n, s, fresh);
    list_changed(p);
    pool_server_settle(s);
    return fresh;
}

void pool_server_failed(struct pool_server *s)
{
    struct pool *p = s->pool;

    if (p->n_servers < 2 || p->servers[0] != s)
        return;
    memmove(p->servers, p->servers + 1, (p->n_servers - 1) * sizeof(struct pool_server *));
    p->servers[p->n_servers - 1] = s;
    list_changed(p);
}

static void trial_stop(struct pool *p)
{
    if (p->trial.ping)
        pool_call_free(p->trial.ping);
    free(p->trial.order);
    memset(&p->trial, 0, sizeof(p->trial));
}

static bool same_set(const struct pool *p, const char *const *addresses, size_t n)
{
    size_t known = 0;

    for (size_t i = 0; i < n; i++) {
        struct pool_server *s = server_find(p, addresses[i]);

        if (!s || !s->listed)
            return false;
    }
    for (size_t k = 0; k < p->n_servers; k++)
        for (size_t i = 0; i < n; i++)
            if (str_eq(p->servers[k]->address, addresses[i])) {
                known++;
                break;
            }
    return known == p->n_servers;
}

static void rebalance_later(struct pool *p)
{
    uint64_t ns, base = REBALANCE_MIN_NS;

    if (p->n_servers == 0)
        return;
    if (!__builtin_mul_overflow(p->n_nodes / (NODES_PER_SERVER_SEC * p->n_servers), NSEC_PER_SEC,
                                &ns))
        base = MAX(base, ns);
    timer_set(&p->rebalance, base + rand_below(base));
}

int pool_set_servers(struct pool *p, const char *const *addresses, size_t n)
{
    if (same_set(p, addresses, n))
        return 0;
    trial_stop(p);
    for (size_t i = 0; i < p->n_servers; i++)
        p->servers[i]->listed = false;
    p->n_servers = 0;
    free(p->servers);
    p->servers = xnew0_n(struct pool_server *, n);
    for (size_t i = 0; i < n; i++) {
        struct pool_server *s = server_find(p, addresses[i]);

        if (s && s->listed)
            continue; /* named twice */
        if (!s)
            s = server_new(p, addresses[i]);
        s->listed = true;
        p->servers[p->n_servers++] = s;
    }
    shuffle(p->servers, p->n_servers);
    list_changed(p);
    /* what is in flight stays on the old connection (fact: rpc-wire 12) */
    list_for_each (s, &p->all, struct pool_server, link)
        pool_server_settle(s);
    rebalance_later(p);
    return 1;
}

size_t pool_servers(const struct pool *p, const char *const **ret)
{
    *ret = p->addresses;
    return p->n_servers;
}

void pool_set_nodes(struct pool *p, uint64_t n_nodes)
{
    p->n_nodes = n_nodes;
}

const char *pool_current(const struct pool *p)
{
    const struct pool_server *s = p->n_servers ? p->servers[0] : NULL;

    return s && s->session && rpc_session_is_open(s->session) ? s->address : NULL;
}

/* --- rebalancing: another order, the first server in it that answers a ping is used --- */

/* "Status.Ping" */
static void put_ping(const struct pool *p, struct buf *b)
{
    mp_map(b, 1);
    mp_str(b, "Region");
    mp_str(b, p->region);
}

static void trial_next(struct pool *p);

static void on_pong(void *arg, enum rpc_result how, const char *text, const uint8_t *body, size_t n)
{
    struct pool *p = arg;

    (void)text;
    (void)body;
    (void)n;
    p->trial.ping = NULL;
    if (how == RPC_OK || how == RPC_ERROR) { /* it answers */
        struct pool_server *first = p->trial.order[p->trial.at];

        memmove(p->trial.order + 1, p->trial.order, p->trial.at * sizeof(struct pool_server *));
        p->trial.order[0] = first;
        memcpy(p->servers, p->trial.order, p->n_servers * sizeof(struct pool_server *));
        list_changed(p);
        trial_stop(p);
        return;
    }
    p->trial.at++;
    trial_next(p);
}

static void trial_next(struct pool *p)
{
    struct buf b = BUF_INIT(1000);

    if (p->trial.at >= p->trial.n) {
        trial_stop(p); /* nobody answers: the order stays */
        return;
    }
    put_ping(p, &b);
    p->trial.ping = pool_call_on(p->trial.order[p->trial.at], "Status.Ping", b.p, b.len,
                                 p->o.dial_timeout_ns, on_pong, p);
    buf_done(&b);
}

static void on_rebalance(void *arg)
{
    struct pool *p = arg;

    rebalance_later(p);
    if (p->n_servers < 2 || p->trial.order)
        return;
    p->trial.n = p->n_servers;
    p->trial.order = xmemdup(p->servers, p->n_servers * sizeof(struct pool_server *));
    shuffle(p->trial.order, p->trial.n);
    trial_next(p);
}

/* --- streams: a ping finds the session, when there is none --- */

struct finding {
    struct pool *pool;
    struct rpc_stream *stream; /* waits for us */
    struct pool_call *ping;
};

static struct rpc_session *session_in_use(const struct pool *p)
{
    struct rpc_session *s = p->n_servers ? p->servers[0]->session : NULL;

    return s && rpc_session_takes_calls(s) ? s : NULL;
}

static void on_found(void *arg, enum rpc_result how, const char *text, const uint8_t *body,
                     size_t n)
{
    struct finding *f = arg;
    struct rpc_session *session = session_in_use(f->pool);
    bool answers = how == RPC_OK || how == RPC_ERROR;

    (void)body;
    (void)n;
    if (answers && session)
        rpc_stream_attach(f->stream, session);
    else
        rpc_stream_fail(f->stream, -EHOSTUNREACH, answers ? "the connection is lost" : text);
    free(f);
}

static void on_stream_closed(void *arg)
{
    struct finding *f = arg;

    pool_call_cancel(f->ping);
    free(f);
}

struct rpc_stream *pool_stream_open(struct pool *p, const char *method, const void *request,
                                    size_t n, const struct rpc_stream_user *user, void *arg)
{
    struct rpc_stream *s = rpc_stream_prepare(p->loop, method, request, n, user, arg);
    struct rpc_session *session = session_in_use(p);
    _cleanup_buf_ struct buf b = BUF_INIT(1000);
    struct finding *f;

    if (session) {
        rpc_stream_attach(s, session);
        return s;
    }
    f = xnew0(struct finding);
    f->pool = p;
    f->stream = s;
    put_ping(p, &b);
    f->ping = pool_call(p, "Status.Ping", b.p, b.len, POOL_READ, p->o.dial_timeout_ns, on_found, f);
    rpc_stream_wait(s, on_stream_closed, f);
    return s;
}

/* --- life --- */

struct pool *pool_new(struct loop *l, const struct pool_opts *o)
{
    struct pool *p = xnew0(struct pool);

    p->loop = l;
    p->o = *o;
    p->region = xstrdup(o->region ? o->region : "global");
    p->o.region = p->region;
    if (!p->o.dial_timeout_ns)
        p->o.dial_timeout_ns = 10 * NSEC_PER_SEC;
    if (!p->o.hold_ns)
        p->o.hold_ns = 5 * NSEC_PER_SEC;
    list_init(&p->all);
    list_init(&p->calls);
    timer_init(l, &p->rebalance, "rpc rebalance", on_rebalance, p);
    return p;
}

struct pool *pool_free(struct pool *p)
{
    struct pool_call *c;

    if (!p)
        return NULL;
    timer_stop(&p->rebalance);
    trial_stop(p);
    while ((c = list_first(&p->calls, struct pool_call, link)))
        pool_call_free(c);
    list_for_each (s, &p->all, struct pool_server, link)
        server_free(s);
    free(p->servers);
    free(p->addresses);
    free(p->region);
    free(p);
    return NULL;
}
