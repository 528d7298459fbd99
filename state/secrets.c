#include "state/secrets.h"

#include <string.h>

#include "base/rand.h"
#include "base/str.h"

enum { SLOTS_MIN = 64 };

void secrets_init(struct secrets *x)
{
    *x = (struct secrets){.seed = rand_below(UINT64_MAX)};
}

void secrets_done(struct secrets *x)
{
    free(x->hashes);
    free(x->items);
    *x = (struct secrets){0};
}

bool secret_equal(const char *a, const char *b)
{
    size_t n = strlen(a);
    unsigned char diff = 0;

    if (n == 0 || n != strlen(b)) /* lengths are no secret */
        return false;
    for (size_t i = 0; i < n; i++)
        diff |= (unsigned char)(a[i] ^ b[i]);
    return diff == 0;
}

/* never 0 */
static uint32_t hash_of(const struct secrets *x, const char *secret)
{
    size_t n = strlen(secret);
    uint64_t h = x->seed ^ n, word;

    for (size_t i = 0; i < n; i += sizeof(word)) {
        word = 0;
        memcpy(&word, secret + i, MIN(n - i, sizeof(word)));
        h = (h ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        h = (h ^ h >> 32 ^ x->seed) * UINT64_C(0xc2b2ae3d27d4eb4f);
    }
    h ^= h >> 29;
    return (uint32_t)h ? (uint32_t)h : 1;
}

static void put(struct secrets *x, uint32_t hash, const struct node_item *it)
{
    size_t at = hash & (x->n_slots - 1);

    while (x->hashes[at])
        at = (at + 1) & (x->n_slots - 1);
    x->hashes[at] = hash;
    x->items[at] = it;
}

static void grow(struct secrets *x)
{
    struct secrets old = *x;

    x->n_slots = old.n_slots ? old.n_slots * 2 : SLOTS_MIN;
    x->hashes = xnew0_n(uint32_t, x->n_slots);
    x->items = xnew0_n(const struct node_item *, x->n_slots);
    for (size_t i = 0; i < old.n_slots; i++)
        if (old.hashes[i])
            put(x, old.hashes[i], old.items[i]);
    free(old.hashes);
    free(old.items);
}

static void add(struct secrets *x, const struct node_item *it)
{
    if (4 * (x->n + 1) > 3 * x->n_slots)
        grow(x);
    put(x, hash_of(x, it->secret_id), it);
    x->n++;
}

/* the slot of that very item; SIZE_MAX when it is in none */
static size_t slot_of(const struct secrets *x, const struct node_item *it)
{
    uint32_t hash;
    size_t at;

    if (x->n == 0)
        return SIZE_MAX;
    hash = hash_of(x, it->secret_id);
    for (at = hash & (x->n_slots - 1); x->hashes[at]; at = (at + 1) & (x->n_slots - 1))
        if (x->items[at] == it)
            return at;
    return SIZE_MAX;
}

/* frees a slot and moves those behind it that were pushed on by it */
static void take_out(struct secrets *x, size_t hole)
{
    size_t mask = x->n_slots - 1, at = hole;

    for (;;) {
        size_t home;

        at = (at + 1) & mask;
        if (!x->hashes[at])
            break;
        home = x->hashes[at] & mask;
        if (((at - home) & mask) < ((at - hole) & mask))
            continue;
        x->hashes[hole] = x->hashes[at];
        x->items[hole] = x->items[at];
        hole = at;
    }
    x->hashes[hole] = 0;
    x->items[hole] = NULL;
    x->n--;
}

void secrets_replace(struct secrets *x, const struct node_item *was, const struct node_item *is)
{
    size_t at = was && was->secret_id[0] ? slot_of(x, was) : SIZE_MAX;

    if (at != SIZE_MAX && is && str_eq(was->secret_id, is->secret_id)) {
        x->items[at] = is;
        return;
    }
    if (at != SIZE_MAX)
        take_out(x, at);
    if (is && is->secret_id[0])
        add(x, is);
}

const struct node_item *secrets_find(const struct secrets *x, const char *secret)
{
    uint32_t hash;

    if (x->n == 0 || str_empty(secret) || strlen(secret) > UUID_TEXT_LEN)
        return NULL;
    hash = hash_of(x, secret);
    for (size_t at = hash & (x->n_slots - 1); x->hashes[at]; at = (at + 1) & (x->n_slots - 1))
        if (x->hashes[at] == hash && secret_equal(x->items[at]->secret_id, secret))
            return x->items[at];
    return NULL;
}
