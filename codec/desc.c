/* codec/desc.c - finding rows of descriptor tables, and arrays in key order. */
#include "codec/desc.h"

#include <errno.h>
#include <string.h>

#include "base/vec.h"
#include "codec/ops.h"

/* rows with a name; F_EMBED rows stand behind them */
static size_t named_rows(const struct desc *d)
{
    size_t n = d->n_fields;

    while (n > 0 && d->fields[n - 1].type == FT_EMBED)
        n--;
    return n;
}

const struct field *desc_find(const struct desc *d, const char *name)
{
    size_t lo = 0, hi = named_rows(d);

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int c = strcmp(d->fields[mid].name, name);

        if (c == 0)
            return &d->fields[mid];
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

static void rows_add(const struct desc *d, const void *obj, unsigned flags, struct desc_row *ret,
                     size_t *n)
{
    flags |= d->flags & F_OMITEMPTY;
    for (size_t i = 0; i < d->n_fields; i++) {
        const struct field *f = &d->fields[i];

        if (f->type == FT_EMBED)
            rows_add(f->sub, field_at(f, obj), flags | f->flags, ret, n);
        else if (*n < DESC_ROWS_MAX)
            ret[(*n)++] = (struct desc_row){f, obj, flags | f->flags};
    }
}

size_t desc_rows(const struct desc *d, const void *obj, struct desc_row ret[DESC_ROWS_MAX])
{
    size_t n = 0;

    rows_add(d, obj, 0, ret, &n);
    if (named_rows(d) == d->n_fields)
        return n;
    for (size_t i = 1; i < n; i++) { /* two sorted runs or so: insertion is quick */
        struct desc_row row = ret[i];
        size_t k = i;

        for (; k > 0 && strcmp(ret[k - 1].f->name, row.f->name) > 0; k--)
            ret[k] = ret[k - 1];
        ret[k] = row;
    }
    return n;
}

/* ---- arrays of items that start with their key ---- */

static void *item_at(const void *items, size_t i, size_t size)
{
    return (char *)(uintptr_t)items + i * size;
}

static const char *item_key(const void *items, size_t i, size_t size)
{
    const char *key;

    memcpy(&key, item_at(items, i, size), sizeof(key));
    return key;
}

/* index of the first item whose key is not below the given one */
static size_t lower_bound(const void *items, size_t n, size_t size, const char *key)
{
    size_t lo = 0, hi = n;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (strcmp(item_key(items, mid, size), key) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

void *ops_keyed_find(const struct desc *sub, const void *items, size_t n, const char *key)
{
    size_t i = lower_bound(items, n, sub->size, key);

    return i < n && strcmp(item_key(items, i, sub->size), key) == 0 ? item_at(items, i, sub->size)
                                                                    : NULL;
}

void *ops_keyed_add(const struct desc *sub, void *pp_items, size_t *n, const char *key)
{
    char *copy, *items, *item;
    size_t i;

    memcpy(&items, pp_items, sizeof(items));
    i = lower_bound(items, *n, sub->size, key);
    if (i < *n && strcmp(item_key(items, i, sub->size), key) == 0)
        return item_at(items, i, sub->size);
    copy = xstrdup(key);
    (void)vec_grow_(pp_items, n, sub->size);
    memcpy(&items, pp_items, sizeof(items));
    item = item_at(items, i, sub->size);
    memmove(item + sub->size, item, (*n - 1 - i) * sub->size);
    memset(item, 0, sub->size);
    memcpy(item, &copy, sizeof(copy));
    return item;
}

struct order {
    const char *key;
    size_t at;
};

static int order_cmp(const void *a, const void *b)
{
    const struct order *x = a, *y = b;
    int c = strcmp(x->key, y->key);

    return c ? c : x->at < y->at ? -1 : 1;
}

int ops_keyed_sort(void *items, size_t *n, size_t size, void (*drop)(void *item, const void *arg),
                   const void *arg)
{
    _cleanup_free_ struct order *order = NULL;
    _cleanup_free_ char *sorted = NULL;
    size_t kept = 0, i = 1;

    while (i < *n && strcmp(item_key(items, i - 1, size), item_key(items, i, size)) < 0)
        i++;
    if (i >= *n)
        return 0; /* in order already: what every sane peer sends */
    order = try_alloc(*n * sizeof(*order));
    sorted = try_alloc(*n * size);
    if (!order || !sorted)
        return -ENOMEM;
    for (i = 0; i < *n; i++)
        order[i] = (struct order){item_key(items, i, size), i};
    qsort(order, *n, sizeof(*order), order_cmp);
    for (i = 0; i < *n; i++) {
        void *item = item_at(items, order[i].at, size);

        if (i + 1 < *n && strcmp(order[i].key, order[i + 1].key) == 0)
            drop(item, arg);
        else
            memcpy(item_at(sorted, kept++, size), item, size);
    }
    memcpy(items, sorted, kept * size);
    *n = kept;
    return 0;
}
