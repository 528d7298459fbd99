#include "drivers/docker_api.h"

/* clang-format off */
#define T struct docker_volumes_conf
static const struct field volumes_conf_fields[] = {
    { "enabled", BOOL(enabled) },
};
static DESC(desc_docker_volumes_conf, struct docker_volumes_conf, volumes_conf_fields);
#undef T

#define T struct docker_conf
static const struct field docker_conf_fields[] = {
    { "allow_privileged", BOOL(allow_privileged) },
    { "endpoint", STR(endpoint) },
    { "pids_limit", I64(pids_limit) },
    { "volumes", STRUCT(volumes, desc_docker_volumes_conf) },
};
DESC(desc_docker_conf, struct docker_conf, docker_conf_fields);
#undef T

#define T struct docker_version
static const struct field version_fields[] = {
    { "Version", STR(version) },
};
DESC(desc_docker_version, struct docker_version, version_fields);
#undef T

#define T struct ipam_config
static const struct field ipam_config_fields[] = {
    { "Gateway", STR(gateway) },
};
static DESC(desc_ipam_config, struct ipam_config, ipam_config_fields);
#undef T

#define T struct ipam
static const struct field ipam_fields[] = {
    { "Config", VEC(config, n_config, desc_ipam_config) },
};
static DESC(desc_ipam, struct ipam, ipam_fields);
#undef T

#define T struct docker_network
static const struct field network_fields[] = {
    { "IPAM", STRUCT(ipam, desc_ipam) },
    { "Name", STR(name) },
};
static DESC(desc_docker_network, struct docker_network, network_fields);
#undef T

#define T struct docker_networks
static const struct field networks_fields[] = {
    { "List", VEC(v, n, desc_docker_network) },
};
DESC(desc_docker_networks, struct docker_networks, networks_fields);
#undef T

#define T struct docker_runtime
static const struct field runtime_fields[] = {
    { "path", STR(path) },
};
static DESC(desc_docker_runtime, struct docker_runtime, runtime_fields);
#undef T

#define T struct docker_info
static const struct field info_fields[] = {
    { "OSType", STR(os_type) },
    { "Runtimes", MAPVEC(runtimes, n_runtimes, desc_docker_runtime) },
};
DESC(desc_docker_info, struct docker_info, info_fields);
#undef T
/* clang-format on */
