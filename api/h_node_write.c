/* What operators change nodes by: bodies are read and checked here, the rules are the server's
 * (facts: http-api 3 and 4; command/agent/node_endpoint.go). */
#include "api/handlers.h"

#include <errno.h>

#include "base/parse.h"
#include "base/str.h"
#include "codec/js.h"
#include "codec/ops.h"
#include "model/methods.h"
#include "model/rpc_write.h"

#define FORCE_NS (-1 * (int64_t)NSEC_PER_SEC) /* a drain that does not wait */

static int no_such_method(const struct ask *q, struct err *e)
{
    return err_set_status(e, -ENOTSUP, 501, "not available in this release of Picket: %s",
                          q->route->missing);
}

static int read_body(const struct ask *q, const struct desc *d, void *ret, struct err *e)
{
    int r;

    if (q->body_len == 0)
        return err_set_status(e, -EINVAL, 400, "Request body is empty");
    r = js_decode(d, (const char *)q->body, q->body_len, ret, e);
    e->status = r < 0 ? 400 : 0;
    return r;
}

/* asks the view; the answer is the reply as it is, with its index as header */
static int write_node(const struct view *v, const struct method *m, const void *request,
                      struct reply *ret, struct err *e)
{
    _cleanup_free_ void *reply = xcalloc(1, m->reply->size);
    int r = v->ops->call(v->impl, m, request, reply, &ret->meta, e);

    if (r == 0) {
        js_encode(&ret->body, m->reply, reply, 0);
        ret->has_meta = true;
        ret->index_only = true;
        reply_json(ret);
    }
    ops_clear(m->reply, reply);
    return r;
}

/* evaluate, purge: nothing but the id */
static int write_plain(const struct view *v, const struct ask *q, enum method_id id,
                       struct reply *ret, struct err *e)
{
    struct node_write_request request = {
        .node_id = (char *)(uintptr_t)q->id,
        .w = ask_write_request(q, v->ops->region(v->impl)),
    };

    if (!v->ops->call)
        return no_such_method(q, e);
    return write_node(v, &methods[id], &request, ret, e);
}

int node_evaluate(const struct view *v, const struct ask *q, struct reply *ret, struct err *e)
{
    return write_plain(v, q, M_NODE_EVALUATE, ret, e);
}

int node_purge(const struct view *v, const struct ask *q, struct reply *ret, struct err *e)
{
    return write_plain(v, q, M_NODE_DEREGISTER, ret, e);
}

/* The form of releases before 1.1: ?enable= and no body.  Draining had no deadline then, and a node
 * that was not drained any more took work again. */
static int read_enable(const struct ask *q, struct node_drain_body *ret, struct err *e)
{
    bool enable;

    if (parse_bool(q->enable, &enable) < 0)
        return err_set_status(e, -EINVAL, 400, "invalid enable value");
    if (enable) {
        ret->drain_spec = xnew0(struct drain_spec);
        ret->drain_spec->deadline = FORCE_NS;
    }
    ret->mark_eligible = !enable;
    return 0;
}

int node_drain(const struct view *v, const struct ask *q, struct reply *ret, struct err *e)
{
    struct node_drain_body body = {0};
    struct drain_strategy strategy = {0};
    struct node_update_drain_request request = {0};
    int r;

    if (!v->ops->call)
        return no_such_method(q, e);
    r = *q->enable ? read_enable(q, &body, e) : read_body(q, &desc_node_drain_body, &body, e);
    if (r == 0) {
        request = (struct node_update_drain_request){
            .node_id = (char *)(uintptr_t)q->id, /* not the body's */
            .mark_eligible = body.mark_eligible,
            .meta = body.meta,
            .w = ask_write_request(q, v->ops->region(v->impl)),
        };
        if (body.drain_spec) {
            strategy.deadline = body.drain_spec->deadline;
            strategy.ignore_system_jobs = body.drain_spec->ignore_system_jobs;
            request.drain_strategy = &strategy;
        }
        r = write_node(v, &methods[M_NODE_UPDATE_DRAIN], &request, ret, e);
    }
    ops_clear(&desc_node_drain_body, &body);
    return r;
}

/* here the body's NodeID wins, and so do its other fields: the server refuses those it must */
int node_eligibility(const struct view *v, const struct ask *q, struct reply *ret, struct err *e)
{
    struct node_update_eligibility_request body = {0}, request;
    int r;

    if (!v->ops->call)
        return no_such_method(q, e);
    r = read_body(q, &desc_node_update_eligibility_request, &body, e);
    if (r == 0) {
        request = body;
        if (str_empty(request.node_id))
            request.node_id = (char *)(uintptr_t)q->id;
        request.w = ask_write_request(q, v->ops->region(v->impl));
        r = write_node(v, &methods[M_NODE_UPDATE_ELIGIBILITY], &request, ret, e);
    }
    ops_clear(&desc_node_update_eligibility_request, &body);
    return r;
}
