/* Reading nodes, and the small writes about them: events and allocation updates.
 * nomad v1.10.5 nomad/node_endpoint.go. */
#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "base/vec.h"
#include "codec/mp.h"
#include "codec/ops.h"
#include "model/rpc_types.h"
#include "model/texts.h"
#include "server/auth.h"
#include "server/ep.h"
#include "server/node_reply.h"
#include "server/rules.h"
#include "state/secrets.h"

/* --- Node.GetNode --- */

/* the stored object without its secret */
static int pack_public(const struct node_item *it, struct buf *out)
{
    static const uint8_t empty[] = {0xa0};
    const struct mp_patch patch = {.key = "SecretID", .value = empty, .n = sizeof(empty)};

    return mp_map_patch(it->packed, it->packed_len, &patch, 1, out);
}

static int get_node(struct call *c, struct buf *reply, uint64_t *ret_index, struct err *e)
{
    const struct node_specific_request *q = c->request;
    _cleanup_buf_ struct buf packed = BUF_INIT(NODE_PACKED_MAX);
    struct single_node_response out = {0};
    const struct node_item *it;
    int r;

    r = node_key(q->node_id, &c->watch.node, e);
    if (r < 0)
        return r;
    it = store_node(c->srv->store, &c->watch.node);
    c->watch.kind = it ? WATCH_NODE : WATCH_TABLE;
    c->watch.table = TABLE_NODES;
    mp_nil(&packed);
    if (it) {
        buf_reset(&packed);
        r = pack_public(it, &packed);
        if (r < 0)
            return err_errno(e, r, "node cannot be read");
    }
    *ret_index = it ? MAX(it->modify_index, store_replaced_index(c->srv->store))
                    : store_table_index(c->srv->store, TABLE_NODES);
    out.node = (struct bytes){.p = packed.p, .n = packed.len};
    out.q = call_meta(*ret_index);
    mp_encode(reply, &desc_single_node_response, &out);
    return 0;
}

void ep_node_get_node(struct call *c)
{
    const struct node_specific_request *q = c->request;

    if (str_empty(q->node_id))
        call_fail(c, TEXT_MISSING_ID);
    else
        call_query(c, get_node);
}

/* --- Node.GetAllocs: there are none yet, of any id --- */

/* nomad answers 1 where the table was never written, so that callers block the next time */
static uint64_t allocs_index(const struct server *s)
{
    return MAX(store_table_index(s->store, TABLE_ALLOCS), 1);
}

static int get_allocs(struct call *c, struct buf *reply, uint64_t *ret_index, struct err *e)
{
    static uint8_t nil[] = {0xc0};
    struct node_allocs_response out = {
        .allocs = {.p = nil, .n = sizeof(nil)}
    };

    (void)e;
    c->watch.kind = WATCH_TABLE;
    c->watch.table = TABLE_ALLOCS;
    *ret_index = allocs_index(c->srv);
    out.q = call_meta(*ret_index);
    mp_encode(reply, &desc_node_allocs_response, &out);
    return 0;
}

void ep_node_get_allocs(struct call *c)
{
    const struct node_specific_request *q = c->request;

    if (str_empty(q->node_id))
        call_fail(c, TEXT_MISSING_ID);
    else
        call_query(c, get_allocs);
}

/* --- Node.GetClientAllocs --- */

static int get_client_allocs(struct call *c, struct buf *reply, uint64_t *ret_index, struct err *e)
{
    static struct i64pair none;
    static struct strpair no_token;
    struct node_client_allocs_response out = {.allocs = {.items = &none},
                                              .migrate_tokens = {.items = &no_token}};

    (void)e;
    c->watch.kind = WATCH_TABLE;
    c->watch.table = TABLE_ALLOCS;
    *ret_index = allocs_index(c->srv);
    out.q = call_meta(*ret_index);
    mp_encode(reply, &desc_node_client_allocs_response, &out);
    return 0;
}

/* the secret may come in its own field, as token, or both */
static const char *client_allocs_problem(const struct call *c, const struct node_item *it)
{
    const struct node_specific_request *q = c->request;
    struct err e = {0};

    if (!str_empty(q->secret_id) && !secret_equal(it->secret_id, q->secret_id))
        return TEXT_SECRET_MISMATCH;
    return auth_node(it, call_token(c), &e) < 0 ? TEXT_PERMISSION_DENIED : NULL;
}

void ep_node_get_client_allocs(struct call *c)
{
    const struct node_specific_request *q = c->request;
    const struct node_item *it;
    const char *problem;
    struct uuid key;
    struct err e = {0};

    if (str_empty(q->node_id)) {
        call_fail(c, TEXT_MISSING_STATUS_NODE_ID);
        return;
    }
    if (str_empty(q->secret_id) && str_empty(call_token(c))) {
        call_fail(c, TEXT_MISSING_STATUS_SECRET);
        return;
    }
    if (node_key(q->node_id, &key, &e) < 0) {
        call_fail(c, e.text);
        return;
    }
    /* agents up to 1.5 ask before they register: an unknown node gets an empty answer */
    it = store_node(c->srv->store, &key);
    problem = it ? client_allocs_problem(c, it) : NULL;
    if (problem) {
        call_fail(c, problem);
        return;
    }
    if (it)
        call_bind(c, &key);
    call_query(c, get_client_allocs);
}

/* --- Node.EmitEvents --- */

struct node_events {
    struct uuid key;
    struct bytes events; /* packed array, borrowed from the body */
};

struct emit {
    struct node_events *v; /* owned */
    size_t n;
};

static void emit_free(void *data)
{
    struct emit *m = data;

    free(m->v);
    free(m);
}

static int emit_write(struct txn *t, void *arg, struct err *e)
{
    const struct emit *m = ((struct call *)arg)->data;
    bool any = false;

    for (size_t i = 0; i < m->n; i++) {
        const struct node_item *old = txn_node(t, &m->v[i].key);
        struct node_item *it = NULL;
        int r;

        if (!old) /* nomad drops such events without a word */
            continue;
        r = rules_emit(old, &m->v[i].events, txn_index(t), &it, e);
        if (r < 0)
            return r;
        txn_put_node(t, it);
        any = true;
    }
    return any ? 0 : 1;
}

static void write_meta_done(void *arg, int r, uint64_t index, const struct err *e)
{
    struct call *c = arg;
    struct write_meta out = {.index = index};

    if (r < 0)
        call_fail(c, e->text);
    else
        call_reply(c, &desc_write_meta, &out);
}

/* one entry of the map: an id and its events, checked and authorised */
static int emit_entry(const struct call *c, const char *id, const uint8_t *events, size_t n,
                      size_t *left, struct node_events *ret, struct err *e)
{
    struct mp_in in = mp_in(events, n);
    const struct node_item *it;
    struct mp_token t;
    int r;

    r = mp_next(&in, &t);
    if (r < 0 || (t.type != MP_ARRAY && t.type != MP_NIL))
        return err_set(e, -EBADMSG, "msgpack decode error: NodeEvents[%s]: expected array", id);
    if (t.type == MP_NIL || t.n == 0)
        return err_set(e, -EINVAL, TEXT_NO_EVENTS_FOR, id);
    if (t.n > *left)
        return err_set(e, -E2BIG, "more than %d node events in one request", EMIT_EVENTS_MAX);
    *left -= t.n;
    for (size_t i = t.n; i > 0; i--) {
        struct node_event ev = {0};

        r = mp_decode_at(&desc_node_event, &in, &ev, e);
        ops_clear(&desc_node_event, &ev);
        if (r < 0)
            return err_wrap(e, r, "msgpack decode error");
    }
    r = node_key(id, &ret->key, e);
    if (r < 0)
        return r;
    it = store_node(c->srv->store, &ret->key);
    ret->events = (struct bytes){.p = (uint8_t *)(uintptr_t)events, .n = n};
    return it ? auth_node(it, call_token(c), e) : 0;
}

static int emit_parse(const struct call *c, struct emit *m, struct err *e)
{
    const struct emit_node_events_request *q = c->request;
    struct mp_in in = mp_in(q->node_events.p, q->node_events.n);
    size_t left = EMIT_EVENTS_MAX;
    struct mp_token t;
    int r;

    if (q->node_events.n == 0 || mp_next(&in, &t) < 0 || t.type == MP_NIL ||
        (t.type == MP_MAP && t.n == 0))
        return err_set(e, -EINVAL, "%s", TEXT_NO_EVENTS);
    if (t.type != MP_MAP)
        return err_set(e, -EBADMSG, "msgpack decode error: NodeEvents: expected map");
    if (t.n > EMIT_NODES_MAX)
        return err_set(e, -E2BIG, "events of more than %d nodes in one request", EMIT_NODES_MAX);
    for (size_t i = t.n; i > 0; i--) {
        _cleanup_free_ char *id = NULL;
        struct mp_token key;
        const uint8_t *from;

        if (mp_next(&in, &key) < 0 || key.type != MP_STR)
            return err_set(e, -EBADMSG, "msgpack decode error: NodeEvents: expected string");
        id = xstrndup((const char *)key.p, key.n);
        from = in.p;
        if (mp_skip(&in) < 0)
            return err_set(e, -EBADMSG, "msgpack decode error: NodeEvents");
        r = emit_entry(c, id, from, (size_t)(in.p - from), &left, vec_add(&m->v, &m->n), e);
        if (r < 0)
            return r;
    }
    return 0;
}

void ep_node_emit_events(struct call *c)
{
    struct emit *m;
    struct err e = {0};
    int r;

    c->data = m = xnew0(struct emit);
    c->data_free = emit_free;
    r = emit_parse(c, m, &e);
    if (r == -EBADMSG)
        call_fail_close(c, e.text);
    else if (r < 0)
        call_fail(c, e.text);
    else
        call_write(c, emit_write, write_meta_done);
}

/* --- Node.UpdateAlloc: no allocation is known yet, so only the node's own index moves --- */

static const char *update_alloc_problem(const struct call *c, const char *node_id, struct uuid *key,
                                        struct err *e)
{
    const struct node_item *it;

    if (str_empty(node_id))
        return TEXT_MISSING_ID;
    if (node_key(node_id, key, e) < 0)
        return e->text;
    it = store_node(c->srv->store, key);
    if (!it) {
        (void)err_set(e, -ENOENT, "node %s not found", node_id);
        return e->text;
    }
    if (auth_node(it, call_token(c), e) < 0)
        return e->text;
    if (it->status == STATUS_DOWN || it->status == STATUS_DISCONNECTED) {
        (void)err_set(e, -EPERM, TEXT_UPDATE_WHILE_DOWN, it->id,
                      node_status_name((enum node_status)it->status));
        return e->text;
    }
    return NULL;
}

static bool has_evals(const struct call *c)
{
    const uint8_t *p = NULL;
    struct mp_token t;
    struct mp_in in;
    size_t n = 0;

    if (mp_map_find(c->body, c->body_len, "Evals", &p, &n) < 0)
        return false;
    in = mp_in(p, n);
    return mp_next(&in, &t) == 0 && t.type == MP_ARRAY && t.n > 0;
}

static int update_alloc_write(struct txn *t, void *arg, struct err *e)
{
    const struct uuid *key = ((struct call *)arg)->data;
    const struct node_item *old = txn_node(t, key);
    struct node_item *it = NULL;
    int r;

    if (!old)
        return err_set(e, -ENOENT, "%s", TEXT_NODE_NOT_FOUND);
    r = rules_alloc_update(old, txn_index(t), &it, e);
    if (r == 0)
        txn_put_node(t, it);
    return r;
}

void ep_node_update_alloc(struct call *c)
{
    const struct alloc_update_request *q = c->request;
    const char *problem;
    struct uuid key;
    struct err e = {0};

    if (q->n_alloc == 0) {
        call_fail(c, TEXT_NO_ALLOCS);
        return;
    }
    problem = update_alloc_problem(c, q->alloc[0].node_id, &key, &e);
    if (!problem && has_evals(c))
        problem = TEXT_EVALS_SET;
    if (problem) {
        call_fail(c, problem);
        return;
    }
    call_bind(c, &key);
    c->data = xmemdup(&key, sizeof(key));
    c->data_free = free;
    call_write(c, update_alloc_write, write_meta_done);
}
