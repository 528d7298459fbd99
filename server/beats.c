#include "server/beats.h"

#include <string.h>

#include "base/clock.h"
#include "base/rand.h"

enum { BUCKETS_MIN = 64 };

struct beat {
    struct beat *next;
    struct beats *owner;
    struct uuid id;
    struct timer timer;
};

struct beats {
    struct beats_opts o;
    struct beat **buckets; /* owned chains; n_buckets is a power of two */
    size_t n_buckets, n;
    uint64_t seed;       /* ids are chosen by peers */
    uint64_t excused_ns; /* nobody is missed before */
};

static size_t bucket_of(const struct beats *b, const struct uuid *id)
{
    uint64_t x, y;

    memcpy(&x, id->b, 8);
    memcpy(&y, id->b + 8, 8);
    x = (x ^ b->seed) * UINT64_C(0x9e3779b97f4a7c15);
    y = (y ^ x ^ x >> 32) * UINT64_C(0xc2b2ae3d27d4eb4f);
    return (size_t)(y ^ y >> 29) & (b->n_buckets - 1);
}

struct beats *beats_new(const struct beats_opts *o)
{
    struct beats *b = xnew0(struct beats);

    b->o = *o;
    b->n_buckets = BUCKETS_MIN;
    b->buckets = xnew0_n(struct beat *, BUCKETS_MIN);
    b->seed = rand_below(UINT64_MAX);
    return b;
}

void beats_set_pace(struct beats *b, double rate, uint64_t min_ttl_ns, uint64_t grace_ns)
{
    b->o.rate = rate;
    b->o.min_ttl_ns = min_ttl_ns;
    b->o.grace_ns = grace_ns;
}

struct beats *beats_free(struct beats *b)
{
    if (!b)
        return NULL;
    for (size_t i = 0; i < b->n_buckets; i++) {
        for (struct beat *t = b->buckets[i], *next; t; t = next) {
            next = t->next;
            timer_stop(&t->timer);
            free(t);
        }
    }
    free(b->buckets);
    free(b);
    return NULL;
}

/* where the pointer to the deadline of id stands, or would stand */
static struct beat **find(const struct beats *b, const struct uuid *id)
{
    struct beat **p = &b->buckets[bucket_of(b, id)];

    while (*p && memcmp((*p)->id.b, id->b, UUID_BYTES) != 0)
        p = &(*p)->next;
    return p;
}

static void grow(struct beats *b)
{
    struct beat **old = b->buckets;
    size_t n_old = b->n_buckets;

    b->n_buckets *= 2;
    b->buckets = xnew0_n(struct beat *, b->n_buckets);
    for (size_t i = 0; i < n_old; i++) {
        for (struct beat *t = old[i], *next; t; t = next) {
            struct beat **at = &b->buckets[bucket_of(b, &t->id)];

            next = t->next;
            t->next = *at;
            *at = t;
        }
    }
    free(old);
}

static void on_deadline(void *arg)
{
    struct beat *t = arg;
    struct beats *b = t->owner;
    struct uuid id = t->id;

    if (clock_boot_ns() < b->excused_ns) {
        timer_set_at(&t->timer, b->excused_ns);
        return;
    }
    beats_stop(b, &id);
    b->o.missed(b->o.arg, &id);
}

void beats_set(struct beats *b, const struct uuid *id, uint64_t in_ns)
{
    struct beat **p = find(b, id);

    if (!*p) {
        if (b->n == b->n_buckets) {
            grow(b);
            p = find(b, id);
        }
        *p = xnew0(struct beat);
        (*p)->owner = b;
        (*p)->id = *id;
        timer_init(b->o.loop, &(*p)->timer, "heartbeat", on_deadline, *p);
        b->n++;
    }
    timer_set(&(*p)->timer, in_ns);
}

/* seconds to ns without leaving the range that timers take */
static uint64_t ns_of(double sec)
{
    return sec > 1e9 ? UINT64_C(1000000000) * NSEC_PER_SEC : (uint64_t)(sec * 1e9);
}

uint64_t beats_reset(struct beats *b, const struct uuid *id)
{
    uint64_t base = b->o.min_ttl_ns, ttl;

    if (b->o.rate > 1.0 / 86400)
        base = MAX(base, ns_of((double)b->n / b->o.rate));
    ttl = base + rand_below(base);
    beats_set(b, id, ttl + b->o.grace_ns);
    return ttl;
}

void beats_stop(struct beats *b, const struct uuid *id)
{
    struct beat **p = find(b, id), *t = *p;

    if (!t)
        return;
    *p = t->next;
    timer_stop(&t->timer);
    free(t);
    b->n--;
}

bool beats_has(const struct beats *b, const struct uuid *id)
{
    return *find(b, id) != NULL;
}

size_t beats_count(const struct beats *b)
{
    return b->n;
}

bool beats_excuse(struct beats *b, uint64_t away_ns)
{
    uint64_t now = clock_boot_ns(), until;
    bool first = now >= b->excused_ns;

    until = now + MIN(away_ns, b->o.failover_ttl_ns) + b->o.grace_ns;
    b->excused_ns = MAX(b->excused_ns, until);
    return first;
}

uint64_t beats_grace_at_start(const struct beats *b, size_t n)
{
    uint64_t spread = 0;

    if (b->o.rate > 1.0 / 86400)
        spread = ns_of(2.0 * (double)n / b->o.rate);
    return MAX(b->o.failover_ttl_ns, spread + b->o.grace_ns);
}
