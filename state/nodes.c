#include "state/nodes.h"

#include <string.h>

enum { NODES_CHUNK = 256 };

struct chunk {
    size_t n; /* never 0 while in the table */
    struct uuid keys[NODES_CHUNK];
    const struct node_item *items[NODES_CHUNK]; /* counted */
};

struct nodes {
    struct chunk **chunks; /* owned, ascending */
    size_t n_chunks, cap_chunks;
    size_t count;
};

struct nodes *nodes_new(void)
{
    return xnew0(struct nodes);
}

struct nodes *nodes_free(struct nodes *t)
{
    if (!t)
        return NULL;
    for (size_t i = 0; i < t->n_chunks; i++) {
        for (size_t k = 0; k < t->chunks[i]->n; k++)
            (void)node_item_unref(t->chunks[i]->items[k]);
        free(t->chunks[i]);
    }
    free(t->chunks);
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

/* the last chunk whose first key is not above key; 0 when all are */
static size_t chunk_for(const struct nodes *t, const struct uuid *key)
{
    size_t lo = 0, hi = t->n_chunks;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (key_cmp(&t->chunks[mid]->keys[0], key) <= 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo > 0 ? lo - 1 : 0;
}

/* position of the first key that is not below key */
static size_t slot_for(const struct chunk *c, const struct uuid *key)
{
    size_t lo = 0, hi = c->n;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (key_cmp(&c->keys[mid], key) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static bool slot_is(const struct chunk *c, size_t slot, const struct uuid *key)
{
    return slot < c->n && key_cmp(&c->keys[slot], key) == 0;
}

const struct node_item *nodes_get(const struct nodes *t, const struct uuid *key)
{
    const struct chunk *c;
    size_t slot;

    if (t->n_chunks == 0)
        return NULL;
    c = t->chunks[chunk_for(t, key)];
    slot = slot_for(c, key);
    return slot_is(c, slot, key) ? c->items[slot] : NULL;
}

/* a new empty chunk at position at */
static struct chunk *chunk_insert(struct nodes *t, size_t at)
{
    struct chunk *c = xnew0(struct chunk);

    if (t->n_chunks == t->cap_chunks) {
        t->cap_chunks = t->cap_chunks ? t->cap_chunks * 2 : 4;
        t->chunks = xrealloc(t->chunks, t->cap_chunks, sizeof(struct chunk *));
    }
    memmove(t->chunks + at + 1, t->chunks + at, (t->n_chunks - at) * sizeof(struct chunk *));
    t->chunks[at] = c;
    t->n_chunks++;
    return c;
}

/* moves the items from slot from on to the chunk behind */
static void chunk_split(struct nodes *t, size_t at, size_t from)
{
    struct chunk *right = chunk_insert(t, at + 1), *left = t->chunks[at];

    right->n = left->n - from;
    memcpy(right->keys, left->keys + from, right->n * sizeof(struct uuid));
    memcpy(right->items, left->items + from, right->n * sizeof(struct node_item *));
    left->n = from;
}

void nodes_put(struct nodes *t, const struct node_item *take_it)
{
    struct chunk *c;
    size_t at, slot;

    if (t->n_chunks == 0)
        (void)chunk_insert(t, 0);
    at = chunk_for(t, &take_it->key);
    c = t->chunks[at];
    slot = slot_for(c, &take_it->key);
    if (slot_is(c, slot, &take_it->key)) {
        (void)node_item_unref(c->items[slot]);
        c->items[slot] = take_it;
        return;
    }
    if (c->n == NODES_CHUNK) {
        /* behind everything (loading in order): a fresh chunk leaves the full one full */
        bool last = at + 1 == t->n_chunks && slot == c->n;

        if (last) {
            c = chunk_insert(t, ++at);
            slot = 0;
        } else {
            chunk_split(t, at, NODES_CHUNK / 2);
            if (slot > t->chunks[at]->n) {
                slot -= t->chunks[at]->n;
                at++;
            }
            c = t->chunks[at];
        }
    }
    memmove(c->keys + slot + 1, c->keys + slot, (c->n - slot) * sizeof(struct uuid));
    memmove(c->items + slot + 1, c->items + slot, (c->n - slot) * sizeof(struct node_item *));
    c->keys[slot] = take_it->key;
    c->items[slot] = take_it;
    c->n++;
    t->count++;
}

bool nodes_delete(struct nodes *t, const struct uuid *key)
{
    struct chunk *c;
    size_t at, slot;

    if (t->n_chunks == 0)
        return false;
    at = chunk_for(t, key);
    c = t->chunks[at];
    slot = slot_for(c, key);
    if (!slot_is(c, slot, key))
        return false;
    (void)node_item_unref(c->items[slot]);
    c->n--;
    memmove(c->keys + slot, c->keys + slot + 1, (c->n - slot) * sizeof(struct uuid));
    memmove(c->items + slot, c->items + slot + 1, (c->n - slot) * sizeof(struct node_item *));
    if (c->n == 0) {
        free(c);
        t->n_chunks--;
        memmove(t->chunks + at, t->chunks + at + 1, (t->n_chunks - at) * sizeof(struct chunk *));
    }
    t->count--;
    return true;
}

const struct node_item *nodes_next(const struct nodes *t, const struct uuid *prefix,
                                   size_t prefix_bytes, size_t *pos)
{
    size_t at, slot;

    if (t->n_chunks == 0)
        return NULL;
    if (*pos == 0) {
        struct uuid first = {0};

        memcpy(first.b, prefix->b, prefix_bytes);
        at = chunk_for(t, &first);
        slot = slot_for(t->chunks[at], &first);
    } else {
        at = (*pos - 1) / NODES_CHUNK;
        slot = (*pos - 1) % NODES_CHUNK + 1;
    }
    if (at < t->n_chunks && slot >= t->chunks[at]->n) {
        at++;
        slot = 0;
    }
    if (at >= t->n_chunks || memcmp(t->chunks[at]->keys[slot].b, prefix->b, prefix_bytes) != 0)
        return NULL;
    *pos = at * NODES_CHUNK + slot + 1;
    return t->chunks[at]->items[slot];
}
