/* Node.Register: nomad v1.10.5 nomad/node_endpoint.go Register. */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "codec/mp.h"
#include "model/rpc_types.h"
#include "model/texts.h"
#include "server/auth.h"
#include "server/ep.h"
#include "server/node_reply.h"
#include "server/rules.h"
#include "state/secrets.h"

/* what waits for the commit */
struct registration {
    struct rules_registration rules;
    struct uuid key;
    char *computed_class; /* owned */
    struct buf resources; /* packed NodeResources when canonicalizing changed them */
    struct bytes resources_ref;
    int64_t now_ns;
    bool first;
};

static void registration_free(void *data)
{
    struct registration *g = data;

    free(g->computed_class);
    buf_done(&g->resources);
    free(g);
}

/* Fills defaults.  NodeResources of old agents get their newer twins: then the packed form has to
 * be made anew. */
static int canonicalize(struct node *n, struct buf *resources)
{
    _cleanup_buf_ struct buf before = BUF_INIT(NODE_PACKED_MAX);

    if (n->node_resources)
        mp_encode(&before, &desc_node_resources, n->node_resources);
    node_canonicalize(n);
    if (n->node_resources)
        mp_encode(resources, &desc_node_resources, n->node_resources);
    if (buf_ok(&before) < 0 || buf_ok(resources) < 0)
        return -EMSGSIZE;
    if (before.len == resources->len &&
        (before.len == 0 || memcmp(before.p, resources->p, before.len) == 0))
        buf_done(resources);
    return 0;
}

static int register_write(struct txn *t, void *arg, struct err *e)
{
    struct call *c = arg;
    struct registration *g = c->data;
    const struct node_item *old = txn_node(t, &g->key);
    struct node_item *it = NULL;
    int r;

    if (old && old->secret_id[0] && !secret_equal(old->secret_id, g->rules.node->secret_id))
        return err_set(e, -EACCES, "%s", TEXT_SECRET_MISMATCH_REGISTER);
    g->first = !old;
    r = rules_register(old, &g->rules, txn_index(t), g->now_ns, &it, e);
    if (r == 0)
        txn_put_node(t, it);
    return r;
}

static void register_done(void *arg, int r, uint64_t index, const struct err *e)
{
    struct call *c = arg;
    struct registration *g = c->data;
    const struct node_item *it;
    struct uuid key = g->key;

    if (r < 0) {
        if (r == -EACCES) /* a state that cannot be written is told once, by the store */
            (void)log_warn(0, "registration refused", KV("node_id", g->rules.node->id),
                           KV("peer", call_peer(c)), KE(e));
        call_fail(c, e->text);
        return;
    }
    it = store_node(c->srv->store, &key);
    log_info(g->first ? "node registered" : "node re-registered", KV("node_id", g->rules.node->id),
             KV("name", g->rules.node->name),
             KV("status", it ? node_status_name((enum node_status)it->status) : ""),
             KI("index", index), KV("peer", call_peer(c)));
    call_bind(c, &key);
    node_reply_beat(c, it, index);
}

void ep_node_register(struct call *c)
{
    struct node_register_request *q = c->request;
    struct registration *g;
    struct err e = {0};

    if (!q->node) {
        call_fail(c, TEXT_MISSING_NODE);
        return;
    }
    c->data = g = xnew0(struct registration);
    c->data_free = registration_free;
    buf_init(&g->resources, NODE_PACKED_MAX);
    if (canonicalize(q->node, &g->resources) < 0) {
        call_fail(c, "node is too large");
        return;
    }
    if (node_validate_registration(q->node, &e) < 0) {
        call_fail(c, e.text);
        return;
    }
    if (node_key(q->node->id, &g->key, &e) < 0) {
        call_fail(c, e.text);
        return;
    }
    if (mp_map_find(c->body, c->body_len, "Node", &g->rules.packed, &g->rules.packed_len) < 0) {
        call_fail(c, TEXT_MISSING_NODE);
        return;
    }
    g->rules.node = q->node;
    g->rules.computed_class = g->computed_class = node_computed_class(q->node);
    if (g->resources.len > 0) {
        g->resources_ref = (struct bytes){.p = g->resources.p, .n = g->resources.len};
        g->rules.resources = &g->resources_ref;
    }
    g->now_ns = clock_wall_ns();
    call_write(c, register_write, register_done);
}
