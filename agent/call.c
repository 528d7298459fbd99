#include "agent/call.h"

#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "codec/mp.h"
#include "codec/ops.h"
#include "model/texts.h"

/* Matched by "contains": a follower that forwards puts "rpc error: " in front (fact: rpc-wire 6).
 * The first that fits counts. */
static const struct {
    const char *text;
    enum call_result how;
} meanings[] = {
    {TEXT_SECRET_MISMATCH,                                   CALL_MISMATCH },
    {TEXT_NODE_NOT_FOUND,                                    CALL_UNKNOWN  },
    {TEXT_PERMISSION_DENIED,                                 CALL_DENIED   },
    {"ACL token",                                            CALL_DENIED   }, /* not found, expired, is invalid */
    {TEXT_NO_LEADER,                                         CALL_NO_LEADER},
    {TEXT_NOT_READY,                                         CALL_NO_LEADER},
    {TEXT_NO_PATH_TO_REGION,                                 CALL_NO_LEADER},
    {"failed to reset heartbeat since server is not leader", CALL_NO_LEADER},
};

enum call_result call_classify(const char *text)
{
    for (size_t i = 0; i < ARRAY_LEN(meanings); i++)
        if (strstr(text, meanings[i].text))
            return meanings[i].how;
    return CALL_FAILED;
}

void call_init(struct call *c, struct pool *pool, void *arg)
{
    *c = (struct call){.pool = pool, .arg = arg};
}

static void on_done(void *arg, enum rpc_result how, const char *text, const uint8_t *body, size_t n)
{
    struct call *c = arg;
    const struct desc *d = c->reply;
    _cleanup_free_ void *obj = NULL;
    struct err e = {0};

    c->pc = NULL;
    if (how == RPC_ERROR) {
        c->done(c->arg, call_classify(text), text, NULL);
        return;
    }
    if (how != RPC_OK) {
        c->done(c->arg, how == RPC_TIMEOUT ? CALL_TIMEOUT : CALL_UNREACHABLE, text, NULL);
        return;
    }
    if (!d) {
        c->done(c->arg, CALL_OK, "", NULL);
        return;
    }
    obj = xcalloc(1, d->size);
    if (mp_decode(d, body, n, obj, &e) < 0)
        c->done(c->arg, CALL_FAILED, e.text, NULL);
    else
        c->done(c->arg, CALL_OK, "", obj);
    ops_clear(d, obj);
}

static void start(struct call *c, const char *method, const struct desc *request, const void *arg,
                  unsigned flags, uint64_t timeout_ns)
{
    _cleanup_buf_ struct buf b = BUF_INIT(RPC_BODY_MAX);

    call_cancel(c);
    mp_encode(&b, request, arg);
    c->pc = pool_call(c->pool, method, b.p, b.len, flags, timeout_ns, on_done, c);
}

/* nearly everything an agent asks for may be sent twice: registering, beating, reporting the same
 * state and reading change nothing the second time */
void call_start(struct call *c, const char *method, const struct desc *request, const void *arg,
                const struct desc *reply, uint64_t timeout_ns,
                void (*done)(void *arg, enum call_result how, const char *text, void *obj))
{
    c->reply = reply;
    c->done = done;
    start(c, method, request, arg, POOL_READ, timeout_ns);
}

void call_start_once(struct call *c, const char *method, const struct desc *request,
                     const void *arg, const struct desc *reply, uint64_t timeout_ns,
                     void (*done)(void *arg, enum call_result how, const char *text, void *obj))
{
    c->reply = reply;
    c->done = done;
    start(c, method, request, arg, 0, timeout_ns);
}

void call_cancel(struct call *c)
{
    if (c->pc)
        pool_call_cancel(c->pc);
    c->pc = NULL;
}
