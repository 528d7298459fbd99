/* fingerprint/cpu.h - the parts of the cpu probe: which cores there are, and how fast. */
#pragma once

#include "fingerprint/probe.h"

/* Nomad's answer when nothing tells a speed (1.0.4 and newer) */
enum { CPU_MHZ_UNKNOWN = 1000 };

/* Fills nodes, distances and cores (by id; only those online) with sockets, NUMA nodes and grades.
 * Never fails: without any source there is one core.  What was looked at is noted in fp. */
void cpu_topology_read(struct probe_ctx *ctx, struct fp *fp, struct topology *t);

/* Fills the speeds of the cores.  Each core has one afterwards, see cpu_core_mhz().  Returns where
 * the first core's was found, for people; owned by the caller. */
char *cpu_speed_read(struct probe_ctx *ctx, struct fp *fp, struct topology *t) _must_check_;

/* base, else highest, else guessed, as Nomad's numalib counts */
static inline uint64_t cpu_core_mhz(const struct cpu_core *c)
{
    return c->base_speed ? c->base_speed : c->max_speed ? c->max_speed : c->guess_speed;
}
