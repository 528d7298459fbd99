/* sim/fleet.h - all agents, and what happens to them: steps of a scenario become waves, which reach
 * one agent after the other, a few in each turn of the loop.
 *
 * Agents are numbered from 0 and a number is never used twice, so that those that come instead of
 * others are others.
 *
 * Depends on: sim/{agent,script}.
 */
#pragma once

#include "sim/agent.h"
#include "sim/script.h"

struct fleet;

struct fleet_opts {
    struct sim_common *common; /* borrowed */
    const struct profile_mix *mix;
    size_t agents_max;                        /* as many descriptors as there are */
    double events_per_hour, changes_per_hour; /* of each agent */
};
struct fleet *fleet_new(const struct fleet_opts *o);
struct fleet *fleet_free(struct fleet *f); /* as if the process was killed */
DEFINE_CLEANUP(struct fleet, fleet_free)

/* Begins a step; status and end are the caller's.  -ENFILE with a sentence when there are too few
 * descriptors for those that are to join. */
int fleet_step(struct fleet *f, const struct step *s, struct err *e) _must_check_;
size_t fleet_agents(const struct fleet *f);
bool fleet_is_busy(const struct fleet *f); /* some wave has not reached all it is for */
/* bytes on all connections, those that are open among them */
void fleet_bytes(const struct fleet *f, uint64_t *ret_sent, uint64_t *ret_received);
