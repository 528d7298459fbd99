#include "state/changes.h"

#include <string.h>

#include "base/vec.h"

static size_t changes_slot(const struct changes *c, const struct uuid *key, bool *ret_there)
{
    size_t lo = 0, hi = c->n;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int d = memcmp(c->v[mid].key.b, key->b, UUID_BYTES);

        if (d == 0) {
            *ret_there = true;
            return mid;
        }
        if (d < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    *ret_there = false;
    return lo;
}

static size_t item_bytes(const struct node_item *it)
{
    return UUID_TEXT_LEN + (it ? it->packed_len : 0);
}

void changes_put(struct changes *c, const struct uuid *key, const struct node_item *take_it)
{
    bool there;
    size_t slot = changes_slot(c, key, &there);

    if (there) {
        c->bytes -= item_bytes(c->v[slot].it);
        (void)node_item_unref(c->v[slot].it);
    } else {
        (void)vec_add(&c->v, &c->n);
        memmove(c->v + slot + 1, c->v + slot, (c->n - 1 - slot) * sizeof(*c->v));
        c->v[slot].key = *key;
    }
    c->v[slot].it = take_it;
    c->bytes += item_bytes(take_it);
}

const struct change *changes_find(const struct changes *c, const struct uuid *key)
{
    bool there;
    size_t slot = changes_slot(c, key, &there);

    return there ? &c->v[slot] : NULL;
}

void changes_done(struct changes *c)
{
    for (size_t i = 0; i < c->n; i++)
        (void)node_item_unref(c->v[i].it);
    free(c->v);
    *c = (struct changes){0};
}

void changes_merge(struct changes *to, struct changes *from)
{
    for (size_t i = 0; i < from->n; i++)
        changes_put(to, &from->v[i].key, from->v[i].it);
    free(from->v);
    *from = (struct changes){0};
}
