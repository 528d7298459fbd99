/* wire/pool_priv.h - the insides of a pool, for wire/pool*.c only. */
#pragma once

#include "wire/conn.h"
#include "wire/pool.h"

#define POOL_IDLE_NS (300 * NSEC_PER_SEC)

/* One address and its connection.  It lives while it is listed, used or waited for. */
struct pool_server {
    struct list link; /* in pool->all */
    struct pool *pool;
    char *address;               /* owned */
    struct conn *dialing;        /* owned */
    struct rpc_session *session; /* owned */
    struct list waiting;         /* of pool_call: for the connection */
    struct timer idle;
    size_t n_active; /* calls on the session */
    bool listed;
};

struct pool {
    struct loop *loop;
    struct pool_opts o;
    char *region;                 /* owned */
    struct pool_server **servers; /* in order of use; owned array */
    const char **addresses;       /* of servers; owned array */
    size_t n_servers;
    struct list all;   /* of pool_server */
    struct list calls; /* of pool_call */
    struct timer rebalance;
    uint64_t n_nodes;
    struct {
        struct pool_server **order; /* owned; NULL: none is going on */
        size_t n, at;
        struct pool_call *ping;
    } trial;
};

/* the server goes to the end of the list when it is the one in use */
void pool_server_failed(struct pool_server *s);
/* Another object for the same address, without a connection; what uses the old one keeps it.
 * Returns the one to use. */
struct pool_server *pool_server_renew(struct pool_server *s);
/* frees it when nothing holds it any more */
void pool_server_settle(struct pool_server *s);
struct pool_call {
    struct list link; /* in pool->calls */
    struct list wait; /* in a server's waiting */
    struct pool *pool;
    struct pool_server *server; /* the one asked now; NULL while waiting to try again */
    struct rpc_call *call;      /* on its session */
    struct timer timer;         /* the next try, or the deadline */
    struct defer work;
    rpc_done *done;
    void *arg;
    char *method;  /* owned */
    uint8_t *body; /* owned */
    size_t n;
    unsigned flags;
    size_t unreachable;   /* servers that could not be reached */
    uint64_t deadline_ns; /* 0 = none */
    uint64_t failed_ns;   /* first failure; 0 = none */
    char *text;           /* owned; set when only the telling is left */
    enum rpc_result how;
    bool pinned; /* to one server: no other is tried */
};
struct pool_call *pool_call_on(struct pool_server *s, const char *method, const void *body,
                               size_t n, uint64_t timeout_ns, rpc_done *done, void *arg);
/* drops a call without a word */
void pool_call_free(struct pool_call *c);
