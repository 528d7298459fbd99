#include "fwd/fwd_priv.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/str.h"
#include "codec/mp.h"

/* A server that takes the request and says nothing: a server without a leader waits for one for
 * 5 s, one that passes a request on to a node waits for that node. */
#define ANSWER_NS (30 * NSEC_PER_SEC)

/* of the server's own time for a blocking query; nomad/rpc.go: 1/16 is jitter */
#define WAIT_MAX_NS (300 * NSEC_PER_SEC)
#define WAIT_JITTER 16

static uint64_t timeout_ns(const struct ask *q)
{
    uint64_t ns = WAIT_MAX_NS;

    if (q->index == 0)
        return ANSWER_NS;
    if (q->wait_ns > 0 && (uint64_t)q->wait_ns < ns)
        ns = (uint64_t)q->wait_ns;
    return ns + ns / WAIT_JITTER + ANSWER_NS;
}

static void wake(void *arg)
{
    struct fwd *f = arg;

    f->wait->fn(f->wait->arg);
}

static void on_done(void *arg, enum rpc_result how, const char *text, const uint8_t *body, size_t n)
{
    struct fwd *f = arg;

    f->call = NULL;
    f->answered = true;
    f->how = how;
    if (how == RPC_OK)
        buf_add(&f->body, body, n);
    else
        f->text = xstrdup(text);
    wake(f);
}

/* client/rpc.go and helper/pool: what the server said, or why it could not be asked */
static int failure(const struct fwd *f, struct err *e)
{
    if (f->how == RPC_TRANSPORT && str_eq(f->text, "no servers"))
        return err_set(e, -EHOSTUNREACH, "no servers");
    if (f->how == RPC_TIMEOUT)
        return err_set(e, -ETIMEDOUT, "rpc error: no answer from the server");
    if (f->how == RPC_ERROR)
        return err_set(e, -EREMOTEIO, "rpc error: %s", f->text);
    return err_set(e, -EHOSTUNREACH, "rpc error: %s%s",
                   strstr(f->text, ": connect: ") ? "failed to get conn: dial tcp " : "", f->text);
}

int fwd_ask(struct fwd *f, const char *method, const struct desc *d, const void *request,
            unsigned flags, struct err *e)
{
    _cleanup_buf_ struct buf b = BUF_INIT(RPC_BODY_MAX);

    if (f->answered && f->how != RPC_OK)
        return failure(f, e);
    if (f->answered)
        return buf_ok(&f->body) < 0 ? err_set(e, -ENOMEM, "the reply is too large") : 0;
    if (f->asked)
        return -EINPROGRESS;
    mp_encode(&b, d, request);
    if (buf_ok(&b) < 0)
        return err_set(e, -EMSGSIZE, "the request is too large");
    f->asked = true;
    f->call = pool_call(f->o.pool, method, b.p, b.len, flags, timeout_ns(f->q), on_done, f);
    return -EINPROGRESS;
}

const struct view *fwd_open(const struct fwd_opts *o, const struct ask *q, struct view_wait *w)
{
    struct fwd *f = xnew0(struct fwd);

    f->view = (struct view){&fwd_ops, f};
    f->o = *o;
    f->q = q;
    f->wait = w;
    buf_init(&f->body, RPC_BODY_MAX);
    defer_init(o->loop, &f->again, wake, f);
    return &f->view;
}
