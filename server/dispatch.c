#include "server/dispatch.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "codec/mp.h"
#include "codec/ops.h"
#include "model/texts.h"
#include "server/back.h"
#include "server/ep.h"

static endpoint *const endpoints[M_MAX] = {
    [M_ALLOC_GET_ALLOCS] = ep_alloc_get_allocs,
    [M_NODE_EMIT_EVENTS] = ep_node_emit_events,
    [M_NODE_GET_ALLOCS] = ep_node_get_allocs,
    [M_NODE_GET_CLIENT_ALLOCS] = ep_node_get_client_allocs,
    [M_NODE_GET_NODE] = ep_node_get_node,
    [M_NODE_LIST] = ep_node_list,
    [M_NODE_REGISTER] = ep_node_register,
    [M_NODE_UPDATE_ALLOC] = ep_node_update_alloc,
    [M_NODE_UPDATE_STATUS] = ep_node_update_status,
    [M_REGION_LIST] = ep_region_list,
    [M_STATUS_HAS_NODE_CONN] = ep_status_has_node_conn,
    [M_STATUS_LEADER] = ep_status_leader,
    [M_STATUS_MEMBERS] = ep_status_members,
    [M_STATUS_PEERS] = ep_status_peers,
    [M_STATUS_PING] = ep_status_ping,
    [M_STATUS_VERSION] = ep_status_version,
    [M_SYSTEM_GC] = ep_system_gc,
    [M_SYSTEM_RECONCILE] = ep_system_reconcile,
};

/* --- which endpoint --- */

/* Go net/rpc's texts for a name that no row has */
static void unknown_method(const char *name, char *text, size_t n)
{
    const char *own_name = back_method_name(name), *dot;

    if (!strrchr(name, '.')) {
        (void)snprintf(text, n, TEXT_ILL_FORMED, name);
        return;
    }
    dot = own_name ? strrchr(own_name, '.') : NULL;
    for (size_t i = 0; dot && i < M_MAX; i++) {
        const char *own = methods[i].name;
        size_t len = (size_t)(strrchr(own, '.') - own);

        if (len == (size_t)(dot - own_name) && strncmp(own, own_name, len) == 0) {
            (void)snprintf(text, n, TEXT_NO_METHOD, name);
            return;
        }
    }
    (void)snprintf(text, n, TEXT_NO_SERVICE, name);
}

/* the flattened group inside a request, found by its table */
static const void *embedded(const struct desc *d, const void *request, const struct desc *group)
{
    for (size_t i = 0; i < d->n_fields; i++)
        if (d->fields[i].type == FT_EMBED && d->fields[i].sub == group)
            return field_at(&d->fields[i], request);
    return NULL;
}

/* nomad v1.0.18 nomad/rpc.go forward(): one region, and we are it */
static const char *region_problem(const struct call *c)
{
    const char *region = c->q ? c->q->region : c->w ? c->w->region : NULL;

    if (!c->q && !c->w)
        return NULL;
    if (str_empty(region))
        return c->method->flags & METHOD_NO_REGION ? NULL : TEXT_MISSING_REGION;
    if (c->method->id == M_STATUS_PING || str_eq(region, c->srv->conf->region))
        return NULL;
    return TEXT_NO_PATH_TO_REGION;
}

/* NULL: there is none, or none yet */
static endpoint *endpoint_of(const struct method *m)
{
    if (!m)
        return NULL;
    return m->flags & METHOD_CLIENT ? ep_back : endpoints[m->id];
}

static struct call *call_new(struct server *s, const struct method *m, const uint8_t *body,
                             size_t n, const struct call_sink *sink, void *sink_arg)
{
    struct call *c = xnew0(struct call);

    c->srv = s;
    c->method = m;
    c->body = body;
    c->body_len = n;
    c->sink = sink;
    c->sink_arg = sink_arg;
    list_init(&c->watch.link);
    list_append(&s->calls, &c->link);
    return c;
}

struct call *call_start(struct server *s, const char *method, const uint8_t *body, size_t n,
                        const struct call_sink *sink, void *sink_arg)
{
    const char *own = back_method_name(method), *problem;
    const struct method *m = own ? method_find(own) : NULL;
    struct err e = {0};
    endpoint *serve = endpoint_of(m);
    struct call *c;

    if (!serve) {
        char text[256];

        unknown_method(method, text, sizeof(text));
        sink->fail(sink_arg, text, true);
        return NULL;
    }
    c = call_new(s, m, body, n, sink, sink_arg);
    if (m->request) {
        c->request = xcalloc(1, m->request->size);
        if (mp_decode(m->request, body, n, c->request, &e) < 0) {
            char text[ERR_TEXT_MAX + 32];

            (void)snprintf(text, sizeof(text), "msgpack decode error: %s", e.text);
            call_fail_close(c, text);
            return NULL;
        }
        c->q = embedded(m->request, c->request, &desc_query_options);
        c->w = embedded(m->request, c->request, &desc_write_request);
    }
    problem = region_problem(c);
    if (problem) {
        call_fail(c, problem);
        return NULL;
    }
    serve(c);
    /* it may have been answered and freed: then it is in no list */
    return !list_empty(&s->calls) && list_entry(s->calls.prev, struct call, link) == c ? c : NULL;
}

/* --- connections --- */

struct binding {
    struct uuid node;
};

const struct uuid *dispatch_bound_node(const struct rpc_session *s)
{
    const struct binding *b = rpc_session_data(s);

    return b ? &b->node : NULL;
}

static void rpc_sink_reply(void *arg, const void *body, size_t n)
{
    rpc_reply(arg, body, n);
}

static void rpc_sink_fail(void *arg, const char *text, bool close)
{
    if (close)
        rpc_fail_close(arg, text);
    else
        rpc_fail(arg, text);
}

static void rpc_sink_drop(void *arg)
{
    rpc_drop(arg);
}

static void rpc_sink_bind(void *arg, const struct uuid *node)
{
    struct rpc_session *s = ((struct rpc_request *)arg)->session;
    struct binding *b = rpc_session_data(s);

    if (!b) {
        b = xnew0(struct binding);
        rpc_session_set_data(s, b, free);
    }
    b->node = *node;
}

static const struct uuid *rpc_sink_bound(void *arg)
{
    return dispatch_bound_node(((struct rpc_request *)arg)->session);
}

static const char *rpc_sink_peer(void *arg)
{
    return rpc_session_peer(((struct rpc_request *)arg)->session);
}

static void rpc_sink_trim(void *arg)
{
    rpc_request_trim(arg);
}

static const struct call_sink rpc_sink = {
    .reply = rpc_sink_reply,
    .fail = rpc_sink_fail,
    .drop = rpc_sink_drop,
    .bind = rpc_sink_bind,
    .bound = rpc_sink_bound,
    .peer = rpc_sink_peer,
    .trim = rpc_sink_trim,
};

static void on_gone(void *arg, struct rpc_request *q)
{
    (void)q;
    call_gone(arg);
}

void dispatch_request(void *arg, struct rpc_request *q)
{
    struct call *c = call_start(arg, q->method, q->body, q->body_len, &rpc_sink, q);

    if (c) {
        q->arg = c;
        q->on_gone = on_gone;
    }
}
