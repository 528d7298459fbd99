/* What operators do with the state as a whole: snapshots, collecting what is gone (facts:
 * server-semantics 10; nomad v1.10.5 command/agent/{operator,system}_endpoint.go). */
#include "api/handlers.h"

#include <errno.h>

#include "api/ask.h"
#include "codec/ops.h"
#include "model/methods.h"
#include "model/rpc_types.h"

static int stream(const struct view *v,
                  int (*op)(void *impl, struct view_stream *ret, struct err *e), struct reply *ret,
                  struct err *e)
{
    struct view_stream s = {0};
    int r;

    if (!op)
        return err_set_status(e, -ENOTSUP, 501,
                              "not available in this release of Picket: snapshots are taken at the "
                              "server, ask it");
    r = op(v->impl, &s, e);
    if (r < 0)
        return r;
    ret->stream = s.begin;
    ret->stream_arg = s.arg;
    return 0;
}

int operator_snapshot_save(const struct view *v, const struct ask *q, struct reply *ret,
                           struct err *e)
{
    (void)q;
    return stream(v, v->ops->snapshot, ret, e);
}

int operator_snapshot_restore(const struct view *v, const struct ask *q, struct reply *ret,
                              struct err *e)
{
    (void)q;
    return stream(v, v->ops->restore, ret, e);
}

/* nothing but the region; the answer is empty */
static int ask_system(const struct view *v, const struct ask *q, enum method_id id, struct err *e)
{
    struct generic_request request = {.q = ask_query_options(q, v->ops->region(v->impl))};
    struct view_meta meta = {0};
    struct write_meta reply = {0};
    int r;

    if (v->ops->system)
        return v->ops->system(v->impl, &methods[id], e);
    if (!v->ops->call)
        return err_set_status(e, -ENOTSUP, 501, "not available in this release of Picket: %s",
                              q->route->rpc);
    r = v->ops->call(v->impl, &methods[id], &request, &reply, &meta, e);
    ops_clear(&desc_write_meta, &reply);
    return r;
}

int system_gc(const struct view *v, const struct ask *q, struct reply *ret, struct err *e)
{
    (void)ret;
    return ask_system(v, q, M_SYSTEM_GC, e);
}

/* there are no jobs whose summaries could be wrong */
int system_reconcile(const struct view *v, const struct ask *q, struct reply *ret, struct err *e)
{
    (void)ret;
    return ask_system(v, q, M_SYSTEM_RECONCILE, e);
}
