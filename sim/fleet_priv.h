/* sim/fleet_priv.h - inside a fleet: who is meant and how many (fleet.c), one after the other
 * (waves.c).
 */
#pragma once

#include "base/clock.h"
#include "sim/fleet.h"

/* what a wave does to each of its agents */
enum deed {
    DEED_START,
    DEED_LEAVE,
    DEED_KILL,
    DEED_RESTART,
    DEED_CUT,
    DEED_UNCUT,
    DEED_PART,
    DEED_HEAL
};

struct wave {
    struct list link;
    enum deed deed;
    uint64_t *numbers; /* owned */
    size_t n, done;
    uint64_t start_ns, over_ns;
    uint64_t back_ns;  /* when what was done is undone; 0 = never */
    uint64_t every_ns; /* flap: and done again */
    uint64_t end_ns;   /* flap: undone for good; 0 = never */
};

struct fleet {
    struct fleet_opts o;
    struct sim_agent **agents; /* by number; NULL = has left */
    size_t n_numbers, n_agents;
    struct list waves;
    struct timer tick, rates;
    double churn, churn_owed; /* agents per ns; of a fleet of n when it is a part */
    bool churn_is_part;
    uint64_t churn_end_ns, rated_ns;
    double events_owed, changes_owed;
};

/* waves.c */
/* for n agents, whose numbers the caller fills in; s gives the times, NULL = at once and for good
 */
struct wave *sim_wave_add(struct fleet *f, enum deed deed, size_t n, const struct step *s);
void sim_wave_free(struct wave *w);
void sim_waves_move(void *arg); /* of the fleet's timer */
