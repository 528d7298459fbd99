#include "api/handlers.h"

#include <errno.h>

#include "base/str.h"
#include "model/stub.h"

static int check_prefix(const char *prefix, struct err *e)
{
    struct uuid key;
    size_t n;
    int r = uuid_index(prefix, true, &key, &n, e);

    return r < 0 ? err_wrap(e, r, "node lookup failed: index error") : 0;
}

/* Leaves the items of the page that was asked for; the one behind it names the next.  next_token
 * is the id of the first, it need not exist; a negative per_page gives an empty page that starts at
 * the first item (fact: http-api 9). */
static void cut_page(struct node_list *l, const struct ask *q, char **ret_next)
{
    struct node_list_at at = {0};
    size_t n = q->per_page > 0 ? (size_t)q->per_page : q->per_page < 0 ? 0 : SIZE_MAX;
    const struct node_item *next;

    if (*q->next_token)
        at = node_list_find(l, q->next_token);
    next = node_list_cut(l, at, n);
    if (next)
        *ret_next = xstrdup(next->id);
}

/* the stub that the next item's page has in its text; the place is moved behind it */
static int add_stub(struct buf *b, const struct node_list *l, struct node_list_at *at,
                    struct err *e)
{
    const struct node_item *it = node_list_next(l, at);
    struct page *page = l->pages[at->page];
    unsigned slot = node_list_from(l, at->page) + at->slot - 1;
    int r;

    if (it->is_stub)
        return stub_json(it, false, false, b, e);
    r = page_render(page, e);
    if (r == 0)
        buf_add(b, page->text->bytes + page->at[slot], page->len[slot] - 1);
    return r;
}

static int render_list(struct buf *b, const struct node_list *items, struct node_list_at *at,
                       size_t n, const struct ask *q, struct err *e)
{
    bool extras = q->resources || q->os;
    int r = 0;

    if (at->n == 0)
        buf_add_byte(b, '[');
    for (; r == 0 && n > 0 && at->n < items->n; n--) {
        if (at->n > 0)
            buf_add_byte(b, ',');
        r = extras ? stub_json(node_list_next(items, at), q->resources, q->os, b, e)
                   : add_stub(b, items, at, e);
    }
    if (at->n == items->n)
        buf_add_byte(b, ']');
    return r;
}

/* Servers cut pages and filter by themselves; those before 1.3 do not, and for them a page is cut
 * here. */
int nodes_list(const struct view *v, const struct ask *q, struct reply *ret, struct err *e)
{
    bool elsewhere = v->ops->close != NULL;
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
    if (str_empty(ret->meta.next_token))
        cut_page(&ret->items, q, &ret->next_token);
    else
        ret->next_token = xstrdup(ret->meta.next_token);
    ret->meta.next_token = NULL;
    ret->one_off = elsewhere;
    ret->is_stubs = !q->resources && !q->os;
    ret->render_items = render_list;
    reply_json(ret);
    return 0;
}
