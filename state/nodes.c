#include "state/nodes.h"

#include <string.h>

struct nodes {
    struct page **pages; /* owned, ascending */
    size_t n_pages, cap_pages;
    size_t count;
    struct page_run *run; /* all pages, for lists; NULL: not made since the last change */
};

struct nodes *nodes_new(void)
{
    return xnew0(struct nodes);
}

static void page_drop(struct page *p)
{
    page_set_current(p, false);
    (void)page_unref(p);
}

struct nodes *nodes_free(struct nodes *t)
{
    if (!t)
        return NULL;
    (void)page_run_unref(t->run);
    for (size_t i = 0; i < t->n_pages; i++)
        page_drop(t->pages[i]);
    free(t->pages);
    free(t);
    return NULL;
}

size_t nodes_count(const struct nodes *t)
{
    return t->count;
}

static int key_cmp(const struct uuid *a, const struct uuid *b)
{
    return memcmp(a->b, b->b, UUID_BYTES);
}

/* the last page whose first key is not above key; 0 when all are */
static size_t page_for(const struct nodes *t, const struct uuid *key)
{
    size_t lo = 0, hi = t->n_pages;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (key_cmp(&t->pages[mid]->keys[0], key) <= 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo > 0 ? lo - 1 : 0;
}

static bool slot_is(const struct page *p, unsigned slot, const struct uuid *key)
{
    return slot < p->n && key_cmp(&p->keys[slot], key) == 0;
}

const struct node_item *nodes_get(const struct nodes *t, const struct uuid *key)
{
    const struct page *p;
    unsigned slot;

    if (t->n_pages == 0)
        return NULL;
    p = t->pages[page_for(t, key)];
    slot = page_find(p, key);
    return slot_is(p, slot, key) ? p->items[slot] : NULL;
}

/* puts a page at position at */
static void add_page(struct nodes *t, size_t at, struct page *take_p)
{
    if (t->n_pages == t->cap_pages) {
        t->cap_pages = t->cap_pages ? t->cap_pages * 2 : 4;
        t->pages = xrealloc(t->pages, t->cap_pages, sizeof(struct page *));
    }
    memmove(t->pages + at + 1, t->pages + at, (t->n_pages - at) * sizeof(struct page *));
    page_set_current(take_p, true);
    t->pages[at] = take_p;
    t->n_pages++;
}

/* the page, for changing */
static struct page *own_page(struct nodes *t, size_t at)
{
    t->run = page_run_unref(t->run);
    t->pages[at] = page_own(t->pages[at]);
    return t->pages[at];
}

/* makes room where slot of page at is full */
static void make_room(struct nodes *t, size_t *at, unsigned *slot)
{
    struct page *p = t->pages[*at];

    /* behind everything (loading in order): a fresh page leaves the full one full */
    if (*at + 1 == t->n_pages && *slot == p->n) {
        add_page(t, ++*at, page_new());
        *slot = 0;
        return;
    }
    add_page(t, *at + 1, page_split(own_page(t, *at), PAGE_ITEMS / 2));
    if (*slot > PAGE_ITEMS / 2) {
        *slot -= PAGE_ITEMS / 2;
        ++*at;
    }
}

void nodes_put(struct nodes *t, const struct node_item *take_it)
{
    unsigned slot;
    size_t at;

    t->run = page_run_unref(t->run);
    if (t->n_pages == 0)
        add_page(t, 0, page_new());
    at = page_for(t, &take_it->key);
    slot = page_find(t->pages[at], &take_it->key);
    if (slot_is(t->pages[at], slot, &take_it->key)) {
        page_put(own_page(t, at), slot, take_it);
        return;
    }
    if (t->pages[at]->n == PAGE_ITEMS)
        make_room(t, &at, &slot);
    page_insert(own_page(t, at), slot, take_it);
    t->count++;
}

bool nodes_delete(struct nodes *t, const struct uuid *key)
{
    struct page *p;
    unsigned slot;
    size_t at;

    if (t->n_pages == 0)
        return false;
    at = page_for(t, key);
    slot = page_find(t->pages[at], key);
    if (!slot_is(t->pages[at], slot, key))
        return false;
    p = own_page(t, at);
    page_delete(p, slot);
    if (p->n == 0) {
        page_drop(p);
        t->n_pages--;
        memmove(t->pages + at, t->pages + at + 1, (t->n_pages - at) * sizeof(struct page *));
    }
    t->count--;
    return true;
}

/* --- walking --- */

struct place {
    size_t at;
    unsigned slot;
};

static struct place place_of(size_t pos)
{
    return (struct place){(pos - 1) / PAGE_ITEMS, (unsigned)((pos - 1) % PAGE_ITEMS) + 1};
}

static size_t pos_of(struct place p)
{
    return p.at * PAGE_ITEMS + p.slot + 1;
}

/* the first item whose key is not below key, perhaps behind the end of a page */
static struct place lower_bound(const struct nodes *t, const struct uuid *key)
{
    size_t at = page_for(t, key);

    return (struct place){at, page_find(t->pages[at], key)};
}

static struct place first_of(const struct nodes *t, const struct uuid *prefix, size_t prefix_bytes)
{
    struct uuid first = {0};
    struct place p;

    memcpy(first.b, prefix->b, prefix_bytes);
    p = lower_bound(t, &first);
    if (p.slot == t->pages[p.at]->n)
        p = (struct place){p.at + 1, 0};
    return p;
}

const struct node_item *nodes_next(const struct nodes *t, const struct uuid *prefix,
                                   size_t prefix_bytes, size_t *pos)
{
    struct place p;

    if (t->n_pages == 0)
        return NULL;
    p = *pos == 0 ? first_of(t, prefix, prefix_bytes) : place_of(*pos);
    if (p.at < t->n_pages && p.slot >= t->pages[p.at]->n)
        p = (struct place){p.at + 1, 0};
    if (p.at >= t->n_pages || memcmp(t->pages[p.at]->keys[p.slot].b, prefix->b, prefix_bytes) != 0)
        return NULL;
    *pos = pos_of(p);
    return t->pages[p.at]->items[p.slot];
}

/* the last item that has the prefix, when there is one */
static struct place last_of(const struct nodes *t, const struct uuid *prefix, size_t prefix_bytes)
{
    struct uuid last;
    struct place p;

    memset(last.b, 0xff, sizeof(last.b));
    memcpy(last.b, prefix->b, prefix_bytes);
    p = lower_bound(t, &last);
    if (slot_is(t->pages[p.at], p.slot, &last))
        p.slot++;
    return p;
}

void nodes_pin(struct nodes *t, const struct uuid *prefix, size_t prefix_bytes,
               struct node_list *ret)
{
    struct place from, to;

    *ret = (struct node_list){0};
    if (t->n_pages == 0)
        return;
    from = first_of(t, prefix, prefix_bytes);
    to = last_of(t, prefix, prefix_bytes);
    if (from.at > to.at || (from.at == to.at && from.slot >= to.slot))
        return;
    if (!t->run) {
        t->run = page_run_new(t->n_pages);
        for (size_t i = 0; i < t->n_pages; i++)
            page_run_add(t->run, page_ref(t->pages[i]));
    }
    node_list_of(ret, t->run, from.at, from.slot, to.at, to.slot);
}
