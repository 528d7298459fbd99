/* sim/script.h - scenarios as text, one step a line:
 *
 *     0s  join 10000 over 30s        agents start, evenly spread
 *     2m  drop 10% for 1m            processes die (connections reset), and come back after so long
 *     3m  flap 100 every 5s for 1m   connections close and open by turns
 *     4m  partition 50% for 2m       silence on open connections
 *     5m  churn 1%/min               some leave for good, as many others come
 *     6m  restart all over 10s       processes die and start again at once
 *     7m  leave 500                  connections close, for good
 *     8m  steady                     no churn and no flapping any more
 *     8m  status                     one line of JSON
 *     9m  end
 *
 * A step without a time happens at once (those of a standard input, as they come).  "#" begins a
 * comment.  Pure: no clock, no I/O.
 *
 * Depends on: base/.
 */
#pragma once

#include "base/err.h"

enum step_verb {
    STEP_JOIN,
    STEP_LEAVE,
    STEP_DROP,
    STEP_RESTART,
    STEP_FLAP,
    STEP_PARTITION,
    STEP_CHURN,
    STEP_STEADY,
    STEP_STATUS,
    STEP_END,
    STEP_MAX,
};
const char *step_verb_name(enum step_verb v);

struct step {
    enum step_verb verb;
    bool has_time;
    uint64_t at_ns;    /* since the start */
    double count;      /* agents, or per cent of them */
    bool percent;      /* "all" is 100 per cent */
    uint64_t over_ns;  /* spread over so long; 0 = as fast as it goes */
    uint64_t for_ns;   /* 0 = for good */
    uint64_t every_ns; /* flap */
    uint64_t per_ns;   /* churn: count (or per cent) in so long */
};

/* One line.  1: it has no step (empty, comment); -EINVAL with a sentence. */
int step_parse(const char *line, struct step *ret, struct err *e) _must_check_;

struct script {
    struct step *steps; /* owned; in order of time */
    size_t n;
};
/* All lines; errors begin with "name:line: ".  A step without a time has that of the step above. */
int script_parse(const char *name, const char *text, struct script *ret,
                 struct err *e) _must_check_;
void script_done(struct script *s);
