/* drivers/docker_api.h - what is read of the docker driver's configuration and of the daemon's
 * JSON. Everything else in either is skipped.
 */
#pragma once

#include "codec/desc.h"

/* plugin "docker" { config { ... } } */
struct docker_volumes_conf {
    bool enabled;
};
struct docker_conf {
    char *endpoint;
    bool allow_privileged;
    int64_t pids_limit;
    struct docker_volumes_conf volumes;
};
extern const struct desc desc_docker_conf;

/* GET /version */
struct docker_version {
    char *version;
};
extern const struct desc desc_docker_version;

/* GET /networks */
struct ipam_config {
    char *gateway;
};

struct ipam {
    struct ipam_config *config;
    size_t n_config;
};

struct docker_network {
    char *name;
    struct ipam ipam;
};

/* the reply is a list; it is read as {"List": reply} */
struct docker_networks {
    struct docker_network *v;
    size_t n;
};
extern const struct desc desc_docker_networks;

/* GET /info */
struct docker_runtime {
    char *key; /* all that is wanted */
    char *path;
};

struct docker_info {
    char *os_type;
    struct docker_runtime *runtimes; /* by name */
    size_t n_runtimes;
};
extern const struct desc desc_docker_info;
