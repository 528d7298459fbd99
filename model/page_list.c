/* model/page_list.c - lists of pinned pages. */
#include <string.h>

#include "model/page.h"

void node_list_done(struct node_list *l)
{
    (void)page_run_unref(l->run);
    *l = (struct node_list){0};
}

/* items in front of the end of the list that stand in pages from first on */
static size_t count(const struct node_list *l)
{
    size_t n = 0;

    for (size_t i = 0; i < l->n_pages; i++)
        n += node_list_to(l, i) - node_list_from(l, i);
    return n;
}

void node_list_of(struct node_list *l, struct page_run *r, size_t first, unsigned from, size_t last,
                  unsigned to)
{
    *l = (struct node_list){.run = page_run_ref(r),
                            .pages = r->v + first,
                            .n_pages = last - first + 1,
                            .from = from,
                            .to = to};
    l->n = count(l);
}

void node_list_add(struct node_list *l, const struct node_item *take_it)
{
    struct page *last;

    if (!l->run)
        l->run = page_run_new(1);
    if (l->run->n == 0 || l->run->v[l->run->n - 1]->n == PAGE_ITEMS)
        page_run_add(l->run, page_new());
    last = l->run->v[l->run->n - 1];
    page_insert(last, last->n, take_it);
    l->pages = l->run->v;
    l->n_pages = l->run->n;
    l->to = last->n;
    l->n++;
}

bool node_list_same(const struct node_list *a, const struct node_list *b)
{
    if (a->n != b->n || a->n_pages != b->n_pages || a->from != b->from)
        return false;
    if (a->pages == b->pages)
        return true;
    for (size_t i = 0; i < a->n_pages; i++) {
        unsigned from = node_list_from(a, i), to = node_list_to(a, i);

        if (a->pages[i] == b->pages[i])
            continue;
        if (node_list_to(b, i) != to || memcmp(a->pages[i]->items + from, b->pages[i]->items + from,
                                               (to - from) * sizeof(void *)) != 0)
            return false;
    }
    return true;
}

const struct node_item *node_list_next(const struct node_list *l, struct node_list_at *at)
{
    while (at->page < l->n_pages) {
        unsigned slot = node_list_from(l, at->page) + at->slot;

        if (slot < node_list_to(l, at->page)) {
            at->slot++;
            at->n++;
            return l->pages[at->page]->items[slot];
        }
        at->page++;
        at->slot = 0;
    }
    return NULL;
}

const struct node_item *node_list_next_of(const struct node_list *l, unsigned statuses,
                                          struct node_list_at *at)
{
    for (; at->page < l->n_pages; at->page++, at->slot = 0) {
        const struct page *p = l->pages[at->page];
        unsigned from = node_list_from(l, at->page), to = node_list_to(l, at->page);

        for (; p->statuses & statuses && from + at->slot < to; at->slot++)
            if (1U << p->status[from + at->slot] & statuses)
                return p->items[from + at->slot++];
    }
    return NULL;
}

static int compare_id(const struct page *p, unsigned slot, const char *id)
{
    char text[UUID_TEXT_LEN + 1];

    uuid_format(&p->keys[slot], text);
    return strcmp(text, id);
}

struct node_list_at node_list_find(const struct node_list *l, const char *id)
{
    struct node_list_at at = {0};
    size_t lo = 0, hi = l->n_pages;

    while (lo < hi) { /* the first page whose last item is not below */
        size_t mid = lo + (hi - lo) / 2;

        if (compare_id(l->pages[mid], node_list_to(l, mid) - 1, id) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    for (; at.page < lo; at.page++)
        at.n += node_list_to(l, at.page) - node_list_from(l, at.page);
    while (at.page < l->n_pages &&
           compare_id(l->pages[at.page], node_list_from(l, at.page) + at.slot, id) < 0) {
        at.slot++;
        at.n++;
    }
    return at;
}

const struct node_item *node_list_cut(struct node_list *l, struct node_list_at at, size_t n)
{
    struct node_list_at end = at;
    struct node_list was = *l;

    l->from = node_list_from(l, at.page) + at.slot;
    l->n = MIN(n, was.n - at.n);
    for (size_t left = l->n; left > 0;) {
        size_t have = node_list_to(&was, end.page) - node_list_from(&was, end.page) - end.slot;

        if (left <= have) {
            l->to = (unsigned)(node_list_from(&was, end.page) + end.slot + left);
            end.slot += (unsigned)left;
            break;
        }
        left -= have;
        end.page++;
        end.slot = 0;
    }
    if (l->n > 0) {
        l->pages = was.pages + at.page;
        l->n_pages = end.page - at.page + 1;
    } else {
        l->n_pages = 0;
        l->from = l->to = 0;
    }
    return node_list_next(&was, &end);
}
