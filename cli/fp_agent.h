/* cli/fp_agent.h - the probes of a running agent, from GET /v1/agent/fingerprint. */
#pragma once

#include "api/client.h"
#include "cli/fp_view.h"
#include "fingerprint/run.h"

struct fp_agent {
    char *node_id;
    struct probe_status *probes; /* all texts and results in it are owned */
    size_t n_probes;
    char **flapping;
    size_t n_flapping;
    struct fp_beat *beats; /* the newest first; owned with all in them */
    size_t n_beats;
};
void fp_agent_done(struct fp_agent *a);
/* now_ns: what the ages of the answer are subtracted from.  Negative: nothing to release. */
int fp_agent_get(struct client *c, uint64_t now_ns, struct fp_agent *ret,
                 struct err *e) _must_check_;
