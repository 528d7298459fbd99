#include "wire/peers.h"

#include <string.h>

#include "base/hash.h"
#include "base/limits.h"
#include "wire/addr.h"

struct peer {
    struct peer *next;
    uint64_t hash;
    unsigned n, n_streams;
    char host[];
};

struct peers {
    struct peer **buckets; /* owned; a power of two */
    size_t n_buckets, n;
    unsigned max;
};

struct peers *peers_new(unsigned max_per_client)
{
    struct peers *p = xnew0(struct peers);

    p->max = max_per_client;
    p->n_buckets = 16;
    p->buckets = xnew0_n(struct peer *, p->n_buckets);
    return p;
}

struct peers *peers_free(struct peers *p)
{
    if (!p)
        return NULL;
    for (size_t i = 0; i < p->n_buckets; i++)
        while (p->buckets[i]) {
            struct peer *next = p->buckets[i]->next;

            free(p->buckets[i]);
            p->buckets[i] = next;
        }
    free(p->buckets);
    free(p);
    return NULL;
}

static void grow(struct peers *p)
{
    size_t n = p->n_buckets * 2;
    struct peer **wider = xnew0_n(struct peer *, n);

    for (size_t i = 0; i < p->n_buckets; i++)
        while (p->buckets[i]) {
            struct peer *e = p->buckets[i];

            p->buckets[i] = e->next;
            e->next = wider[e->hash & (n - 1)];
            wider[e->hash & (n - 1)] = e;
        }
    free(p->buckets);
    p->buckets = wider;
    p->n_buckets = n;
}

bool peers_enter(struct peers *p, const char *peer, struct peer **ret)
{
    _cleanup_free_ char *host = NULL;
    struct peer *e, **bucket;
    uint64_t hash;

    *ret = NULL;
    if (p->max == 0)
        return true;
    host = addr_host(peer);
    hash = fnv1(FNV1_INIT, host, strlen(host));
    hash ^= hash >> 29; /* the low bits of FNV-1 alone are poor */
    for (e = p->buckets[hash & (p->n_buckets - 1)]; e; e = e->next)
        if (e->hash == hash && strcmp(e->host, host) == 0)
            break;
    if (e && e->n >= p->max)
        return false;
    if (!e) {
        if (p->n >= p->n_buckets)
            grow(p);
        e = xcalloc(1, sizeof(*e) + strlen(host) + 1);
        e->hash = hash;
        memcpy(e->host, host, strlen(host));
        bucket = &p->buckets[hash & (p->n_buckets - 1)];
        e->next = *bucket;
        *bucket = e;
        p->n++;
    }
    e->n++;
    *ret = e;
    return true;
}

void peers_leave(struct peers *p, struct peer *entry)
{
    struct peer **at;

    if (!entry || --entry->n > 0)
        return;
    at = &p->buckets[entry->hash & (p->n_buckets - 1)];
    while (*at != entry)
        at = &(*at)->next;
    *at = entry->next;
    free(entry);
    p->n--;
}

bool peers_enter_stream(const struct peers *p, struct peer *entry)
{
    if (!entry)
        return true;
    if (p->max > RPC_SPARED && entry->n_streams >= p->max - RPC_SPARED)
        return false;
    entry->n_streams++;
    return true;
}

void peers_leave_stream(struct peer *entry)
{
    if (entry)
        entry->n_streams--;
}
