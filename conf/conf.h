/* conf/conf.h - the configuration in force: defaults, files, flags merged.
 *
 * One static key table (conf/keys.c) drives parser, merge, usage text and validation.  Keys of
 * Nomad that Picket does not have are rows marked REFUSE or WARN: nothing is ignored silently.
 *
 * Depends on: base/, codec/, model/.
 */
#pragma once

#include "base/err.h"
#include "base/map.h"
#include "codec/desc.h"

enum conf_role { CONF_CLIENT = 1, CONF_SERVER = 2 };

struct conf_volume {
    char *name, *path;
    bool read_only;
};
struct conf_host_network {
    char *name, *cidr, *interface, *reserved_ports;
};
struct conf_plugin {
    char *name;
    char *config_json; /* the free-form config block as JSON, "{}" when none */
};

/* durations in ns, sizes as in Nomad's key; strings NULL = not set; after conf_load() defaults are
 * filled in */
struct conf {
    char *region, *datacenter, *name; /* name: host name by default */
    char *data_dir;
    char *bind_addr;   /* default: picketd 127.0.0.1, picket-server 0.0.0.0 */
    bool bind_default; /* bind_addr was not configured: loopback may be advertised */
    bool dev;          /* -dev: bound to loopback, which may be advertised */
    int64_t port_http, port_rpc, port_serf;
    char *address_http, *address_rpc;     /* addresses {} */
    char *advertise_http, *advertise_rpc; /* advertise {} */
    char *log_level;
    bool log_json;
    struct strmap response_headers; /* http_api_response_headers */
    bool leave_on_interrupt, leave_on_terminate;
    bool enable_debug; /* shows the environment in the report on the host */
    bool prometheus_metrics;

    int64_t rpc_handshake_timeout, https_handshake_timeout;
    int64_t rpc_max_conns_per_client, http_max_conns_per_client;

    struct {
        bool enabled;
        char *state_dir, *alloc_dir;
        char **servers; /* client.servers and server_join.retry_join: "host[:port]" */
        size_t n_servers;
        int64_t retry_interval;
        char *node_class, *node_pool;
        struct strmap meta, options;
        char *network_interface, *preferred_address_family;
        int64_t network_speed, cpu_total_compute, memory_total_mb, disk_total_mb;
        char *reservable_cores;
        int64_t reserved_cpu, reserved_memory, reserved_disk;
        char *reserved_cores, *reserved_ports;
        int64_t min_dynamic_port, max_dynamic_port;
        bool no_host_uuid; /* default true */
        bool gc_volumes_on_node_gc;
        int64_t node_max_allocs;
        bool default_ineligible;
        bool nomad_service_discovery; /* default true */
        struct conf_volume *volumes;
        size_t n_volumes;
        struct conf_host_network *host_networks;
        size_t n_host_networks;
    } client;

    struct {
        bool enabled;
        char *data_dir; /* default data_dir/server */
        int64_t heartbeat_grace, min_heartbeat_ttl, failover_heartbeat_ttl;
        int64_t node_gc_threshold;
        double max_heartbeats_per_second; /* picket-server's default 1000 (decision 13) */
    } server;

    struct conf_plugin *plugins;
    size_t n_plugins;
    char **files; /* that were read, in order */
    size_t n_files;
};

/* what the loader has to say besides the result: one per WARN row met, sharing a folder with the
 * other role, and so on; and, on failure, every error found (file:line:column: text) */
struct conf_report {
    char **warnings;
    size_t n_warnings;
    char **errors;
    size_t n_errors;
};
void conf_report_done(struct conf_report *r);

/* Reads files and folders in order (folder: *.hcl and *.json in byte order), merges by Nomad's
 * rules, fills defaults, validates.  role: whose part is taken; the other's is mentioned in one
 * warning line.  Returns 0, or -EINVAL with all errors in the report. */
int conf_load(const char *const *paths, size_t n_paths, unsigned role, struct conf *ret,
              struct conf_report *report) _must_check_;
void conf_done(struct conf *c);
/* "config validate": checks for whichever roles the files enable (both when none) */
int conf_check(const char *const *paths, size_t n_paths, struct conf_report *report) _must_check_;

/* Fills bind and advertise addresses: host:port each, owned by the caller.  advertise: given or the
 * bind address; a loopback bind without advertise is refused unless dev (Nomad's text). */
int conf_http_addresses(const struct conf *c, char **ret_bind, char **ret_advertise,
                        struct err *e) _must_check_;
int conf_rpc_addresses(const struct conf *c, char **ret_bind, char **ret_advertise,
                       struct err *e) _must_check_;
