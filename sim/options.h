/* sim/options.h - the command line of picket-sim.
 *
 * Depends on: base/.
 */
#pragma once

#include "base/err.h"
#include "base/log.h"

struct sim_options {
    const char *server;   /* all texts are borrowed from argv */
    const char *profile;  /* the mix; NULL = every profile once */
    const char *profiles; /* their folder; NULL = those that came along */
    const char *source;   /* NULL = by the server's address */
    const char *script;   /* a file, or "-" */
    const char *expect;
    const char *region, *datacenter, *name;
    uint64_t agents, seed;
    uint64_t over_ns, for_ns; /* 0 = at once, until it is told to end */
    double events, changes;   /* of each agent in an hour */
    enum log_level log_level;
    bool eligible, dev, quiet, json;
    const char *record; /* "profile FILE": scrub instead of running */
};

enum sim_options_result {
    SIM_OPTIONS_RUN = 0,
    SIM_OPTIONS_HELP = 1,
    SIM_OPTIONS_VERSION = 2,
};
/* -EINVAL with a sentence */
int sim_options_parse(int argc, const char *const *argv, struct sim_options *ret,
                      struct err *e) _must_check_;
/* what -help prints; owned by the caller */
char *sim_options_usage(void) _must_check_;
