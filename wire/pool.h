/* wire/pool.h - the calling side: a list of servers, one session to the one in use, failover.
 *
 * Rules (fact: rpc-wire 12): the list is shuffled when its set changes, index 0 serves everything;
 * a failed call moves it to the end; "No cluster leader", "Not ready to serve consistent reads" and
 * a lost connection during a read are tried again inside one call after rnd(5 s / 16) on the next
 * server, for at most 5 s (plus the block time); idle sessions close after 5 minutes; rebalance
 * every max(5 min, nodes / (64 * servers) s) plus the same at random: shuffle, ping, use. Host
 * names are resolved by a caller-supplied function, never here.
 *
 * A server that hangs is noticed while a call waits for it: after 2 s it is pinged, and has 4 s for
 * the pong (wire/rpc); without calls, by the ping of every 30 s.
 */
#pragma once

#include "wire/rpc_stream.h"

struct pool;
struct pool_call;

struct pool_opts {
    rpc_handler *handler; /* calls the servers make to us (back-calls) */
    void *handler_arg;
    rpc_stream_handler *stream_handler; /* streams the servers open to us */
    void *stream_arg;
    uint64_t dial_timeout_ns; /* 0 = 10 s */
    uint64_t hold_ns;         /* how long one call is retried; 0 = 5 s */
    const char *region;       /* for Status.Ping; copied */
};
struct pool *pool_new(struct loop *l, const struct pool_opts *o);
struct pool *pool_free(struct pool *p); /* calls in flight are dropped without done */
DEFINE_CLEANUP(struct pool, pool_free)

/* "ip:port" addresses; an equal set keeps the order in use.  Returns 1 when the set changed. */
int pool_set_servers(struct pool *p, const char *const *addresses, size_t n);
size_t pool_servers(const struct pool *p, const char *const **ret); /* borrowed, in order of use */
void pool_set_nodes(struct pool *p, uint64_t n_nodes); /* NumNodes, for the rebalance timer */
/* address of the server that answers now, or NULL */
const char *pool_current(const struct pool *p);

enum pool_flags {
    POOL_READ = 1 << 0, /* safe to send again after a lost connection */
};
/* done as in rpc.h; without any server RPC_TRANSPORT "no servers" */
struct pool_call *pool_call(struct pool *p, const char *method, const void *body, size_t n,
                            unsigned flags, uint64_t timeout_ns, rpc_done *done, void *arg);
void pool_call_cancel(struct pool_call *c);
/* A streaming RPC to the server in use, or to the first that can be reached; see rpc_stream_open().
 * To be closed before the pool is freed. */
struct rpc_stream *pool_stream_open(struct pool *p, const char *method, const void *request,
                                    size_t n, const struct rpc_stream_user *user, void *arg);
