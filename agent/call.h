/* agent/call.h - one RPC at a time for one purpose: struct in, struct out.
 *
 * Encodes the argument by its descriptor, decodes the reply, and sorts what came back into the few
 * cases that the agent's state machines tell apart.
 */
#pragma once

#include "codec/desc.h"
#include "model/query.h"
#include "model/rpc_types.h"
#include "wire/pool.h"

enum call_result {
    CALL_OK,
    CALL_UNREACHABLE, /* no server, connection lost */
    CALL_TIMEOUT,     /* no answer in time */
    CALL_UNKNOWN,     /* "node not found" and its kind: register (again) */
    CALL_MISMATCH,    /* "node secret ID does not match" */
    CALL_DENIED,      /* "Permission denied" and its kind */
    CALL_NO_LEADER,   /* no leader, not ready, region not known yet: soon */
    CALL_FAILED,      /* any other error, or a reply that is none */
};

struct call {
    struct pool *pool;
    struct pool_call *pc; /* NULL = none under way */
    const struct desc *reply;
    /* obj: the decoded reply (cleared afterwards) for CALL_OK, else NULL; text: why not */
    void (*done)(void *arg, enum call_result how, const char *text, void *obj);
    void *arg;
};

void call_init(struct call *c, struct pool *pool, void *arg);
/* starts it; one already under way is dropped first.  reply NULL: its body does not matter.  done
 * is not called from inside. */
void call_start(struct call *c, const char *method, const struct desc *request, const void *arg,
                const struct desc *reply, uint64_t timeout_ns,
                void (*done)(void *arg, enum call_result how, const char *text, void *obj));
/* The same for what must not happen twice: it is not sent again when the connection is lost, and
 * whether it was done is then not known (call_lost()). */
void call_start_once(struct call *c, const char *method, const struct desc *request,
                     const void *arg, const struct desc *reply, uint64_t timeout_ns,
                     void (*done)(void *arg, enum call_result how, const char *text, void *obj));
void call_cancel(struct call *c);
static inline bool call_busy(const struct call *c)
{
    return c->pc != NULL;
}
static inline bool call_lost(enum call_result how)
{
    return how == CALL_UNREACHABLE || how == CALL_TIMEOUT;
}
/* what an error text of a server means */
enum call_result call_classify(const char *text);
