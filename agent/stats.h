/* agent/stats.h - usage of the host: CPU, memory, disks, uptime (Nomad's HostStats).
 *
 * Nothing is done while nobody asks.  The share of a CPU is what passed since the last sample; when
 * that is long ago a new pair is taken, half a second apart.  File systems are asked by a
 * picket-probe child with a deadline (design decision 5): what one of them does not tell keeps its
 * last values, and while a child hangs no second one is started.
 *
 * Owns: the last figures; they are borrowed until the next collection.
 */
#pragma once

#include "base/list.h"
#include "base/loop.h"
#include "model/rpc_client.h"

struct stats;

struct stats_opts {
    struct loop *loop;
    const char *probe_path; /* the picket-probe program */
    const char *alloc_dir;  /* both borrowed */
    const char *root;       /* for /proc, "" = the real one; borrowed */
};
struct stats *stats_new(const struct stats_opts *o);
struct stats *stats_free(struct stats *s);
DEFINE_CLEANUP(struct stats, stats_free)

/* what all cores together can do, in MHz: for ticks */
void stats_set_compute(struct stats *s, int64_t total_mhz);

struct stats_wait {
    struct list link;
    void (*fn)(void *arg); /* once */
    void *arg;
};
/* 0 with figures that are a moment old at most, or -EINPROGRESS: they are being collected, and
 * w->fn is called when they are there; stats_cancel() before w is freed. */
int stats_get(struct stats *s, struct stats_wait *w, const struct host_stats **ret) _must_check_;
void stats_cancel(struct stats_wait *w); /* harmless when it does not wait (zeroed or done) */
/* The last figures, perhaps none of disks yet; never NULL.  Has newer ones collected when they are
 * old, for the next time. */
const struct host_stats *stats_last(struct stats *s);
/* why the last child did not tell all; "" when it did */
const char *stats_problem(const struct stats *s);
