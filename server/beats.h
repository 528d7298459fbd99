/* server/beats.h - who is alive: one deadline per node that is not down, nothing in the store.
 *
 * nomad v1.0.18 nomad/heartbeat.go:
 *     base = rate <= 1/86400 ? min_ttl : max(min_ttl, n / rate)      n: deadlines there are
 *     ttl = base + random [0, base)      deadline = now + ttl + grace
 * After a start each node gets max(failover_ttl, 2 n / rate + grace), because its next beat may be
 * a whole TTL of the last run away (with Nomad's plain 300 s a large fleet would be marked down).
 *
 * Depends on: base/.
 * Owns: its deadlines.
 */
#pragma once

#include "base/loop.h"
#include "base/uuid.h"

struct beats;

struct beats_opts {
    struct loop *loop;
    double rate; /* max_heartbeats_per_second */
    uint64_t min_ttl_ns, grace_ns, failover_ttl_ns;
    /* the deadline has passed and is gone; may set it again */
    void (*missed)(void *arg, const struct uuid *id);
    void *arg;
};

struct beats *beats_new(const struct beats_opts *o) _must_check_;
struct beats *beats_free(struct beats *b);
DEFINE_CLEANUP(struct beats, beats_free)
/* another pace (a reload); each node gets it with its next sign of life */
void beats_set_pace(struct beats *b, double rate, uint64_t min_ttl_ns, uint64_t grace_ns);
/* a sign of life: a new TTL (returned, in ns) and the deadline that belongs to it */
uint64_t beats_reset(struct beats *b, const struct uuid *id);
/* a deadline so long from now */
void beats_set(struct beats *b, const struct uuid *id, uint64_t in_ns);
/* no deadline any more; harmless without one */
void beats_stop(struct beats *b, const struct uuid *id);
bool beats_has(const struct beats *b, const struct uuid *id);
size_t beats_count(const struct beats *b);
/* The server was away so long (stopped, starved, asleep): beats have come that it has not read,
 * others could not come.  Nobody is missed for as long again (failover_ttl at most) and the grace.
 * False: they were excused already. */
bool beats_excuse(struct beats *b, uint64_t away_ns);
/* what each of n nodes gets when the server starts */
uint64_t beats_grace_at_start(const struct beats *b, size_t n);
