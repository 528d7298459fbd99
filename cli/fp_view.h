/* cli/fp_view.h - how the results of probes are shown, run here or kept by an agent. */
#pragma once

#include "base/buf.h"
#include "fingerprint/run.h"

/* a heartbeat that is over */
struct fp_beat {
    char *due; /* RFC 3339 */
    char *server;
    int64_t late_ms, took_ms;
    char **steps; /* what happened until it was answered, with the time that it took */
    size_t n_steps;
};

struct fp_view {
    const struct probe_status *v; /* borrowed */
    size_t n;
    bool is_agent;         /* results have an age */
    uint64_t now_ns;       /* on the clock of their fp_at_ns */
    char *const *flapping; /* facts that change again and again */
    size_t n_flapping;
    const struct fp_beat *beats; /* the newest first; borrowed */
    size_t n_beats;
};

/* attributes, drivers, probes, flapping facts, heartbeats */
void fp_view_show(const struct fp_view *v, struct buf *out);
/* Each probe's checks, and where each value was read: of all, or of those that a name is about (a
 * probe, an attribute, a driver, a volume, a check). */
void fp_view_explain(const struct fp_view *v, char *const *names, size_t n_names, struct buf *out);
/* whether anything here has the name */
bool fp_view_knows(const struct fp_view *v, const char *name);
void fp_view_json(const struct fp_view *v, struct buf *out);
