/* fingerprint/rows.h - the probes, one per file; probes.c puts them in order. */
#pragma once

#include "fingerprint/probe.h"

enum {
    PROBE_FAST_DEADLINE_MS = 2000, /* reading /proc takes microseconds; this is for a loaded host */
    PROBE_FAST_PERIOD_SEC = 60,    /* all fast probes with a period share one child and one turn */
};

extern const struct probe probe_arch;
extern const struct probe probe_cgroup;
extern const struct probe probe_cpu;
extern const struct probe probe_host;
extern const struct probe probe_memory;
extern const struct probe probe_network;
extern const struct probe probe_signal;
extern const struct probe probe_storage;
extern const struct probe probe_version;
extern const struct probe probe_volumes;
