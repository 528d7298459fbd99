#include "api/handlers.h"

#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "codec/js.h"
#include "codec/mp.h"
#include "codec/ops.h"
#include "model/node.h"

static int check_prefix(const char *prefix, struct err *e)
{
    struct uuid key;
    size_t n;
    int r = uuid_index(prefix, true, &key, &n, e);

    return r < 0 ? err_wrap(e, r, "node lookup failed: index error") : 0;
}

/* the stub that another server made, with what it was asked for */
static int add_packed(struct buf *b, const struct node_item *item, struct err *e)
{
    struct node_stub stub = {0};
    size_t len = b->len;
    int r;

    if (js_from_packed(b, &desc_node_stub, item->packed, item->packed_len, 0) == 0 || buf_ok(b) < 0)
        return 0;
    b->len = len; /* an odd form: by way of the struct */
    r = mp_decode(&desc_node_stub, item->packed, item->packed_len, &stub, e);
    if (r == 0)
        js_encode(b, &desc_node_stub, &stub, 0);
    ops_clear(&desc_node_stub, &stub);
    return r;
}

/* the stub with what was asked for beyond the rendered one */
static int add_fields(struct buf *b, const struct node_item *item, const struct ask *q,
                      struct err *e)
{
    _cleanup_(node_freep) struct node *node = NULL;
    struct node_stub stub = {0};
    int r;

    r = node_item_decode(item, &node, e);
    if (r < 0)
        return r;
    node_make_stub(node, q->resources, q->os, &stub);
    js_encode(b, &desc_node_stub, &stub, 0);
    ops_clear(&desc_node_stub, &stub);
    return 0;
}

/* Leaves the items of the page that was asked for; the one behind it names the next.  next_token
 * is the id of the first, it need not exist; a negative per_page gives an empty page that starts at
 * the first item (fact: http-api 9). */
static void cut_page(struct node_items *l, const struct ask *q, char **ret_next)
{
    size_t from = 0, to = l->n;

    while (from < l->n && *q->next_token && strcmp(l->v[from]->id, q->next_token) < 0)
        from++;
    if (q->per_page > 0)
        to = from + MIN((size_t)q->per_page, l->n - from);
    else if (q->per_page < 0)
        to = from;
    if (to < l->n)
        *ret_next = xstrdup(l->v[to]->id);
    for (size_t i = 0; i < l->n; i++)
        if (i < from || i >= to)
            (void)node_item_unref(l->v[i]);
    if (from > 0)
        memmove(l->v, l->v + from, (to - from) * sizeof(void *));
    l->n = to - from;
}

static int render_list(struct buf *b, const struct node_items *items, size_t from, size_t to,
                       const struct ask *q, struct err *e)
{
    bool rendered = !q->resources && !q->os;
    size_t total = 2;
    int r = 0;

    for (size_t i = from; i < to && rendered; i++)
        total += items->v[i]->stub_len + 1;
    (void)buf_reserve(b, total);
    if (from == 0)
        buf_add_byte(b, '[');
    for (size_t i = from; i < to; i++) {
        if (i > 0)
            buf_add_byte(b, ',');
        if (items->v[i]->stub_len == 0)
            r = add_packed(b, items->v[i], e);
        else if (rendered)
            buf_add(b, items->v[i]->stub, items->v[i]->stub_len);
        else
            r = add_fields(b, items->v[i], q, e);
        if (r < 0)
            return r;
    }
    if (to == items->n)
        buf_add_byte(b, ']');
    return 0;
}

/* Servers cut pages and filter by themselves; those before 1.3 do not, and for them a page is cut
 * here. */
int nodes_list(const struct view *v, const struct ask *q, struct reply *ret, struct err *e)
{
    bool elsewhere = v->ops->close != NULL;
    size_t n;
    int r;

    if (*q->filter && !elsewhere)
        return err_set_status(e, -ENOTSUP, 501,
                              "filter expressions are not available in this release of Picket");
    r = check_prefix(q->prefix, e);
    if (r < 0)
        return r;
    r = v->ops->nodes(v->impl, q->prefix, &ret->items, &ret->meta, e);
    if (r < 0)
        return r;
    ret->has_meta = true;
    n = ret->items.n;
    if (str_empty(ret->meta.next_token))
        cut_page(&ret->items, q, &ret->next_token);
    else
        ret->next_token = xstrdup(ret->meta.next_token);
    ret->meta.next_token = NULL;
    ret->one_off = elsewhere;
    ret->whole_list = ret->items.n == n && !*q->prefix && !q->resources && !q->os && !ret->one_off;
    ret->render_items = render_list;
    reply_json(ret);
    return 0;
}
