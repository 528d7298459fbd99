#include "sim/tally.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"

/* 1 us << octave, each octave in LATENCY_SUB parts */
static size_t bucket_of(uint64_t ns)
{
    uint64_t us = ns / NSEC_PER_USEC;
    unsigned octave;

    if (us < LATENCY_SUB)
        return us;
    octave = 63U - (unsigned)__builtin_clzll(us) - 3; /* 16..31 is octave 1 */
    if (octave * LATENCY_SUB >= LATENCY_BUCKETS)
        return LATENCY_BUCKETS - 1;
    return octave * LATENCY_SUB + (us >> (octave - 1)) - LATENCY_SUB;
}

/* the largest value of a bucket */
static uint64_t bucket_end_ns(size_t i)
{
    size_t octave = i / LATENCY_SUB, part = i % LATENCY_SUB;

    if (octave == 0)
        return (part + 1) * NSEC_PER_USEC;
    return ((LATENCY_SUB + part + 1) << (octave - 1)) * NSEC_PER_USEC;
}

void latency_add(struct latency *l, uint64_t ns)
{
    l->n++;
    l->max_ns = MAX(l->max_ns, ns);
    l->buckets[bucket_of(ns)]++;
}

uint64_t latency_at(const struct latency *l, unsigned per_mille)
{
    uint64_t rank = (l->n * per_mille + 999) / 1000, seen = 0;

    for (size_t i = 0; l->n > 0 && i < LATENCY_BUCKETS; i++) {
        seen += l->buckets[i];
        if (seen >= MAX(rank, 1U))
            return MIN(bucket_end_ns(i), l->max_ns);
    }
    return l->max_ns;
}

const char *tally_method_name(enum tally_method m)
{
    static const char *const names[TALLY_METHODS] = {
        [TALLY_REGISTER] = "Node.Register",      [TALLY_BEAT] = "Node.UpdateStatus",
        [TALLY_ALLOCS] = "Node.GetClientAllocs", [TALLY_WAIT] = "Node.GetClientAllocs (blocking)",
        [TALLY_EVENTS] = "Node.EmitEvents",
    };

    return names[m];
}

void tally_error(struct tally *t, const char *text)
{
    for (size_t i = 0; i < TALLY_TEXTS; i++) {
        if (t->texts[i].n == 0)
            (void)snprintf(t->texts[i].text, sizeof(t->texts[i].text), "%s", text);
        if (strncmp(t->texts[i].text, text, sizeof(t->texts[i].text) - 1) == 0) {
            t->texts[i].n++;
            return;
        }
    }
}

uint64_t tally_errors(const struct tally *t)
{
    uint64_t n = 0;

    for (size_t i = 0; i < TALLY_METHODS; i++)
        n += t->calls[i].errors + t->calls[i].timeouts;
    return n;
}

uint64_t tally_answers(const struct tally *t)
{
    uint64_t n = 0;

    for (size_t i = 0; i < TALLY_METHODS; i++)
        n += t->calls[i].count;
    return n;
}

uint64_t tally_lost(const struct tally *t)
{
    uint64_t n = 0;

    for (size_t i = 0; i < TALLY_METHODS; i++)
        n += t->calls[i].lost;
    return n;
}
