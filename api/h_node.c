#include "api/handlers.h"

#include <errno.h>

#include "base/limits.h"
#include "base/str.h"
#include "codec/js.h"
#include "model/node.h"
#include "model/texts.h"

static int check_id(const char *id, struct err *e)
{
    struct uuid key;
    size_t n;
    int r;

    if (str_empty(id))
        return err_set(e, -EINVAL, TEXT_MISSING_ID);
    r = uuid_index(id, false, &key, &n, e);
    return r < 0 ? err_wrap(e, r, "node lookup failed: index error") : 0;
}

static int render_node(struct buf *b, const struct node_list *items, struct node_list_at *at,
                       size_t n, const struct ask *q, struct err *e)
{
    const struct node_item *it = node_list_next(items, at);
    _cleanup_(node_freep) struct node *node = NULL;
    size_t len = b->len;
    int r;

    (void)n;
    (void)q;
    if (js_from_packed(b, &desc_node, it->packed, it->packed_len, 0) == 0 || buf_ok(b) < 0)
        return 0;
    b->len = len; /* an odd form: by way of the struct */
    r = node_item_decode(it, &node, e);
    if (r < 0)
        return r;
    js_encode(b, &desc_node, node, 0);
    return 0;
}

int node_read(const struct view *v, const struct ask *q, struct reply *ret, struct err *e)
{
    const struct node_item *item = NULL;
    int r;

    r = check_id(q->id, e);
    if (r < 0)
        return r;
    r = v->ops->node(v->impl, q->id, &item, &ret->meta, e);
    if (r < 0)
        return r;
    ret->has_meta = true;
    if (r > 0) {
        reply_text(ret, 404, TEXT_NODE_NOT_FOUND);
        return 0;
    }
    node_list_add(&ret->items, item);
    ret->render_items = render_node;
    reply_json(ret);
    return 0;
}

/* Any id will do, also one that is none: the answer is empty then (fact: http-api 3). */
int node_allocations(const struct view *v, const struct ask *q, struct reply *ret, struct err *e)
{
    _cleanup_buf_ struct buf packed = BUF_INIT(HTTP_REPLY_MAX);
    int r;

    r = v->ops->node_allocs(v->impl, q->id, &packed, &ret->meta, e);
    if (r < 0)
        return r;
    ret->has_meta = true;
    if (packed.len == 0)
        buf_add_str(&ret->body, "[]");
    else
        r = js_from_mp(&ret->body, packed.p, packed.len);
    if (r < 0)
        return err_set(e, r, "stored allocations cannot be read");
    reply_json(ret);
    return 0;
}
