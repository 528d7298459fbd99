#include "api/handlers.h"

#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "codec/js.h"
#include "codec/ops.h"
#include "model/node.h"

static int check_prefix(const char *prefix, struct err *e)
{
    struct uuid key;
    size_t n;
    int r = uuid_index(prefix, true, &key, &n, e);

    return r < 0 ? err_wrap(e, r, "node lookup failed: index error") : 0;
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

/* Which items are on the page: next_token is the id of its first one, it need not exist.  A
 * negative per_page gives an empty page that starts at the first item (fact: http-api 9). */
static void find_page(const struct node_items *l, const struct ask *q, size_t *ret_from,
                      size_t *ret_to)
{
    size_t from = 0, to = l->n;

    while (from < l->n && *q->next_token && strcmp(l->v[from]->id, q->next_token) < 0)
        from++;
    if (q->per_page > 0)
        to = from + MIN((size_t)q->per_page, l->n - from);
    else if (q->per_page < 0)
        to = from;
    *ret_from = from;
    *ret_to = to;
}

static int add_items(struct buf *b, const struct node_items *l, size_t from, size_t to,
                     const struct ask *q, struct err *e)
{
    bool rendered = !q->resources && !q->os;
    size_t total = 2;
    int r;

    for (size_t i = from; i < to && rendered; i++)
        total += l->v[i]->stub_len + 1;
    (void)buf_reserve(b, total);
    buf_add_byte(b, '[');
    for (size_t i = from; i < to; i++) {
        if (i > from)
            buf_add_byte(b, ',');
        if (rendered) {
            buf_add(b, l->v[i]->stub, l->v[i]->stub_len);
            continue;
        }
        r = add_fields(b, l->v[i], q, e);
        if (r < 0)
            return r;
    }
    buf_add_byte(b, ']');
    return 0;
}

int nodes_list(const struct view *v, const struct ask *q, struct reply *ret, struct err *e)
{
    _cleanup_(node_items_done) struct node_items items = {0};
    size_t from, to;
    int r;

    if (*q->filter)
        return err_set_status(e, -ENOTSUP, 501,
                              "filter expressions are not available in this release of Picket");
    r = check_prefix(q->prefix, e);
    if (r < 0)
        return r;
    r = v->ops->nodes(v->impl, q->prefix, &items, &ret->meta, e);
    if (r < 0)
        return r;
    ret->has_meta = true;
    find_page(&items, q, &from, &to);
    if (to < items.n)
        ret->next_token = xstrdup(items.v[to]->id);
    r = add_items(&ret->body, &items, from, to, q, e);
    if (r < 0)
        return r;
    reply_json(ret);
    return 0;
}
