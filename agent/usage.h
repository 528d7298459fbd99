/* agent/usage.h - CPU time and memory as /proc tells them, in Nomad's figures.
 *
 * Reads below a root, so that tests have their own /proc; keeps nothing.
 */
#pragma once

#include "model/rpc_client.h"

/* jiffies of one core since the machine started */
struct usage_cpu {
    char name[16]; /* "cpu0" */
    uint64_t user, system, idle, busy, total;
};
/* one for each core that is online; returns how many, 0 when nothing can be read.  *ret is owned by
 * the caller. */
size_t usage_cpus(const char *root, struct usage_cpu **ret);
/* What passed between two samples, appended to s (whose list is empty); total_mhz: of all cores. */
void usage_fill_cpus(struct host_stats *s, const struct usage_cpu *before, size_t n_before,
                     const struct usage_cpu *now, size_t n_now, int64_t total_mhz);
/* unchanged when nothing can be read */
void usage_memory(const char *root, struct host_memory_stats *ret);
