#include "fingerprint/rows.h"

/* clang-format off */
const struct probe *const probes[] = {
    &probe_arch,
    &probe_cgroup,
    &probe_cpu,
    &probe_host,
    &probe_memory,
    &probe_network,
    &probe_signal,
    &probe_version,
    &probe_storage,
    &probe_volumes,
};
/* clang-format on */
const size_t n_probes = ARRAY_LEN(probes);
