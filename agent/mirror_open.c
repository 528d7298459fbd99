#include "agent/mirror_open.h"

#include <string.h>

#include "api/handlers.h"
#include "base/str.h"
#include "codec/js.h"
#include "codec/ops.h"
#include "model/methods.h"
#include "model/rpc_client.h"

static bool is_own(const char *id, const struct uuid *own)
{
    struct uuid u;

    return uuid_parse(id, &u) == 0 && memcmp(u.b, own->b, sizeof(u.b)) == 0;
}

/* The node a request of one agent's endpoint is about: "" = the one that is asked.  In the body of
 * a POST it has the same name for all of them, and wins there (fact: http-api 10). */
static char *target_node(const struct ask *q)
{
    struct node_meta_apply_request body = {0};
    char *id = xstrdup(q->node_id);
    struct err e;

    if (q->body_len == 0)
        return id;
    if (js_decode(&desc_node_meta_apply_request, (const char *)q->body, q->body_len, &body, &e) ==
            0 &&
        !str_empty(body.node_id)) {
        free(id);
        id = steal_ptr(&body.node_id);
    }
    ops_clear(&desc_node_meta_apply_request, &body);
    return id;
}

static enum mirror_way way_of_one_agent(const struct ask *q, const struct mirror_facts *f)
{
    _cleanup_free_ char *id = target_node(q);

    if (*q->server_id)
        return WAY_SERVERS;
    return !*id || is_own(id, f->node) ? WAY_OWN : WAY_SERVERS;
}

enum mirror_way mirror_way(const struct ask *q, const struct mirror_facts *f)
{
    const struct method *m;

    if (!q->route->rpc)
        return q->route->handler == configuration_reload ? WAY_RELOAD : WAY_HERE;
    m = method_find(q->route->rpc);
    if (!m) /* a stream: its handler asks where it has to */
        return WAY_OWN;
    if (*q->region && !str_eq(q->region, f->region))
        return WAY_SERVERS;
    if (m->flags & METHOD_CLIENT)
        return way_of_one_agent(q, f);
    switch (m->id) {
    case M_NODE_LIST:
    case M_REGION_LIST:
        return f->in_contact ? WAY_SERVERS : WAY_HERE;
    case M_NODE_GET_ALLOCS: /* those that were failed here are known to the servers only */
        return is_own(q->id, f->node) && !f->in_contact ? WAY_HERE : WAY_SERVERS;
    case M_NODE_GET_NODE:
        return is_own(q->id, f->node) && !(f->behind && f->in_contact) ? WAY_HERE : WAY_SERVERS;
    case M_STATUS_LEADER:
    case M_STATUS_PEERS:
        return WAY_HERE;
    default:
        return WAY_SERVERS;
    }
}
