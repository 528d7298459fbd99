/* tests/support/server_harness.h - a server without sockets: requests go to dispatch directly, the
 * clock stands still, the disk is a fake one that commits by itself unless told otherwise.
 */
#pragma once

#include "codec/mp.h"
#include "codec/ops.h"
#include "model/rpc_types.h"
#include "server/call.h"
#include "tests/support/fake_persist.h"
#include "tests/support/make_node.h"

#define HARNESS_WALL_NS (INT64_C(1700000000) * (int64_t)NSEC_PER_SEC + 123456789)
#define HARNESS_RPC     "127.0.0.1:4647"

struct harness {
    struct loop *loop;
    struct fake_disk *disk;
    struct conf conf;
    struct server *server;
};

struct harness *harness_new(void);
struct harness *harness_free(struct harness *h);
/* closes the server and opens another one on the same disk */
void harness_restart(struct harness *h);
/* lets everything happen that is due now */
void harness_settle(struct harness *h);
/* moves the clock and settles */
void harness_advance(struct harness *h, uint64_t ns);

/* what came of a request */
struct rpc_answer {
    struct call *call; /* while it waits */
    bool replied, failed, closed, dropped;
    char *text; /* owned; the error */
    struct buf body;
    bool has_bound;
    struct uuid bound; /* the connection's node; set it before the call to start with one */
    uint8_t *request;  /* owned: a request lives until its answer */
};
#define RPC_ANSWER_INIT ((struct rpc_answer){.body = BUF_INIT(CONN_OUT_MAX)})
void rpc_answer_done(struct rpc_answer *a);
#define _cleanup_rpc_answer_ _cleanup_(rpc_answer_done)

/* one request with that struct (or raw bytes) as argument; settles.  The answer is emptied first,
 * but for its bound node. */
void harness_call(struct harness *h, const char *method, const struct desc *d, const void *request,
                  struct rpc_answer *a);
void harness_call_raw(struct harness *h, const char *method, const void *body, size_t n,
                      struct rpc_answer *a);
/* decodes the reply into ret, which is cleared first; fails the test when there is none */
void rpc_answer_decode(const struct rpc_answer *a, const struct desc *d, void *ret);

/* Node.Register of a node (borrowed), Node.UpdateStatus */
void harness_register(struct harness *h, struct node *n, struct rpc_answer *a);
void harness_status(struct harness *h, uint64_t n, const char *status, const char *token,
                    struct rpc_answer *a);
/* registers make_node(n) and makes it ready; fails the test when that does not work */
void harness_ready(struct harness *h, uint64_t n);
/* what is stored, decoded; NULL when there is none.  Free with node_free(). */
struct node *harness_stored(const struct harness *h, uint64_t n) _must_check_;
const struct node_item *harness_item(const struct harness *h, uint64_t n);
