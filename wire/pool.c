#include "wire/pool.h"

#include <errno.h>
#include <string.h>

#include "base/rand.h"
#include "base/str.h"
#include "codec/mp.h"
#include "wire/pool_priv.h"

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

void pool_server_settle(struct pool_server *s)
{
    if (!s->listed && s->n_active == 0 && list_empty(&s->waiting))
        server_free(s);
}

static void on_idle(void *arg)
{
    struct pool_server *s = arg;

    if (s->session && s->n_active == 0)
        server_close(s);
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
    mp_map(&b, 1);
    mp_str(&b, "Region");
    mp_str(&b, p->region);
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
