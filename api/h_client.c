/* What one agent is asked about itself: this one or, by node_id, another (facts: http-api 10, 12;
 * command/agent/{stats,node_meta,agent}_endpoint.go).  The view decides who answers. */
#include "api/handlers.h"

#include <errno.h>

#include "api/monitor.h"
#include "base/str.h"
#include "codec/js.h"
#include "codec/ops.h"
#include "model/methods.h"
#include "model/rpc_client.h"
#include "model/rpc_types.h"
#include "model/texts.h"

static char *text(const char *s)
{
    return (char *)(uintptr_t)s; /* requests are only read */
}

static int ask_agent(const struct view *v, const struct ask *q, enum method_id id,
                     const void *request, void *reply, struct err *e)
{
    struct view_meta meta = {0};

    if (!v->ops->call)
        return err_set_status(e, -ENOTSUP, 501, "not available in this release of Picket: %s",
                              q->route->rpc);
    return v->ops->call(v->impl, &methods[id], request, reply, &meta, e);
}

static struct node_specific_request of_node(const struct view *v, const struct ask *q)
{
    return (struct node_specific_request){
        .node_id = text(q->node_id),
        .q = ask_query_options(q, v->ops->region(v->impl)),
    };
}

int client_stats(const struct view *v, const struct ask *q, struct reply *ret, struct err *e)
{
    struct node_specific_request request = of_node(v, q);
    struct client_stats_response reply = {0};
    int r = ask_agent(v, q, M_CLIENT_STATS, &request, &reply, e);

    if (r == 0) {
        if (reply.host_stats)
            js_encode(&ret->body, &desc_host_stats, reply.host_stats, 0);
        else
            buf_add_str(&ret->body, "null");
        reply_json(ret);
    }
    ops_clear(&desc_client_stats_response, &reply);
    return r;
}

int client_gc(const struct view *v, const struct ask *q, struct reply *ret, struct err *e)
{
    struct node_specific_request request = of_node(v, q);
    struct write_meta reply = {0};

    (void)ret;
    return ask_agent(v, q, M_ALLOCATIONS_GC_ALL, &request, &reply, e);
}

static int answer_metadata(int r, struct node_meta_response *take_m, struct reply *ret)
{
    if (r == 0) {
        js_encode(&ret->body, &desc_node_meta_response, take_m, 0);
        reply_json(ret);
    }
    ops_clear(&desc_node_meta_response, take_m);
    return r;
}

int client_metadata_read(const struct view *v, const struct ask *q, struct reply *ret,
                         struct err *e)
{
    struct node_specific_request request = of_node(v, q);
    struct node_meta_response reply = {0};

    return answer_metadata(ask_agent(v, q, M_NODE_META_READ, &request, &reply, e), &reply, ret);
}

int client_metadata_apply(const struct view *v, const struct ask *q, struct reply *ret,
                          struct err *e)
{
    struct node_meta_apply_request request = {0};
    struct node_meta_response reply = {0};
    int r = 0;

    if (q->body_len == 0)
        return err_set_status(e, -EINVAL, 400, "Request body is empty");
    r = js_decode(&desc_node_meta_apply_request, (const char *)q->body, q->body_len, &request, e);
    if (r < 0)
        e->status = 400;
    else if (!request.meta.items)
        r = err_set_status(e, -EINVAL, 400, "missing required Meta object");
    if (r == 0) {
        ops_clear(&desc_query_options, &request.q); /* the body is not where those come from */
        if (str_empty(request.node_id))
            str_set(&request.node_id, q->node_id);
        request.q = ask_query_options(q, v->ops->region(v->impl));
        r = answer_metadata(ask_agent(v, q, M_NODE_META_APPLY, &request, &reply, e), &reply, ret);
        request.q = (struct query_options){0}; /* borrowed */
    }
    ops_clear(&desc_node_meta_apply_request, &request);
    return r;
}

int agent_host(const struct view *v, const struct ask *q, struct reply *ret, struct err *e)
{
    struct host_data_request request = {
        .node_id = text(q->node_id),
        .server_id = text(q->server_id),
        .q = ask_query_options(q, v->ops->region(v->impl)),
    };
    struct host_data_response reply = {0};
    int r = ask_agent(v, q, M_AGENT_HOST, &request, &reply, e);

    if (r == 0) {
        /* Nomad names the agent only to those who asked for one */
        if (*q->node_id || *q->server_id || !reply.host_data)
            js_encode(&ret->body, &desc_host_data_response, &reply, 0);
        else
            js_encode(&ret->body, &desc_host_data, reply.host_data, 0);
        reply_json(ret);
    }
    ops_clear(&desc_host_data_response, &reply);
    return r;
}

/* the log of an agent that is reached over RPC */
static int monitor_other(const struct view *v, const struct ask *q, struct reply *ret,
                         struct err *e)
{
    struct monitor_request request = {
        .log_level = text(q->log_level),
        .log_json = q->log_json,
        .node_id = text(q->node_id),
        .server_id = text(q->server_id),
        .plain_text = q->plain,
        .q = ask_query_options(q, v->ops->region(v->impl)),
    };
    struct view_stream s = {0};
    int r;

    if (!v->ops->monitor)
        return err_set_status(e, -ENOTSUP, 501,
                              "this release of Picket streams its own log only: ask %s itself",
                              *q->node_id ? "the node" : "the server");
    r = v->ops->monitor(v->impl, &request, &s, e);
    if (r < 0)
        return r;
    ret->stream = s.begin;
    ret->stream_arg = s.arg;
    return 0;
}

int agent_monitor(const struct view *v, const struct ask *q, struct reply *ret, struct err *e)
{
    enum log_level level = LOG_LEVEL_INFO;

    if (*q->log_level && log_level_parse(q->log_level, &level) < 0)
        return err_set_status(e, -EINVAL, 400, "Unknown log level: %s", q->log_level);
    if ((*q->node_id || *q->server_id) &&
        (!v->ops->is_this_agent || !v->ops->is_this_agent(v->impl, q->node_id, q->server_id)))
        return monitor_other(v, q, ret, e);
    ret->stream = monitor_http;
    ret->stream_arg = monitor_http_arg(level, q->log_json, q->plain);
    return 0;
}

/* There is no Go runtime to be profiled; what Nomad says without enable_debug. */
int agent_profile(const struct view *v, const struct ask *q, struct reply *ret, struct err *e)
{
    (void)v;
    (void)q;
    (void)ret;
    return err_set_status(e, -EPERM, 403, TEXT_PERMISSION_DENIED);
}
