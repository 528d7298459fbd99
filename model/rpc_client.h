/* model/rpc_client.h - arguments and replies of the methods that agents serve (METHOD_CLIENT): host
 * statistics, dynamic metadata, the report on the host, log streams (facts: rpc-wire 11, http-api
 * 10).
 *
 * Each struct has a descriptor desc_<name>; clear with ops_clear().  Where releases name a value
 * differently all names are rows: an answer is read by every release, and every release's is read.
 */
#pragma once

#include "model/query.h"

struct host_memory_stats {
    uint64_t total, available, used, free; /* bytes */
};
extern const struct desc desc_host_memory_stats;

struct host_cpu_stats {
    char *cpu;                         /* "cpu0" */
    double user, system, idle;         /* percent of this core since the last sample */
    double total;                      /* up to 1.5 */
    double total_percent, total_ticks; /* since 1.6; ticks are MHz */
};
extern const struct desc desc_host_cpu_stats;

struct host_disk_stats {
    char *device, *mountpoint;      /* both "" in AllocDirStats */
    uint64_t size, used, available; /* bytes */
    double used_percent, inodes_used_percent;
};
extern const struct desc desc_host_disk_stats;

struct host_stats {
    struct host_disk_stats *alloc_dir_stats; /* NULL while nothing is known */
    struct host_cpu_stats *cpu;
    size_t n_cpu;
    double cpu_ticks_consumed;
    struct bytes device_stats; /* packed array: nil here, passed through from other nodes */
    struct host_disk_stats *disk_stats;
    size_t n_disk_stats;
    struct host_memory_stats *memory;
    int64_t timestamp; /* unix ns */
    uint64_t uptime;   /* seconds */
};
extern const struct desc desc_host_stats;

struct client_stats_response {
    struct host_stats *host_stats;
    struct query_meta q;
};
extern const struct desc desc_client_stats_response;

struct node_meta_apply_request {
    struct optmap meta; /* NULL value = unset */
    char *node_id;
    struct query_options q;
};
extern const struct desc desc_node_meta_apply_request;

struct node_meta_response {
    struct optmap dynamic;
    struct strmap meta; /* static and dynamic merged */
    struct strmap static_;
};
extern const struct desc desc_node_meta_response;

struct host_data_request {
    char *node_id, *server_id;
    struct query_options q;
};
extern const struct desc desc_host_data_request;

struct host_disk_usage {
    char *key; /* mount point */
    int64_t disk_mb, used_mb;
};
extern const struct desc desc_host_disk_usage;

struct host_data {
    struct host_disk_usage *disk;
    size_t n_disk;
    struct strmap environment; /* secrets are <redacted> */
    char *hosts;
    struct bytes network; /* packed array of maps: one for each address */
    char *os;
    char *resolv_conf;
};
extern const struct desc desc_host_data;

struct host_data_response {
    char *agent_id;
    struct host_data *host_data;
};
extern const struct desc desc_host_data_response;

struct agent_profile_request {
    char *req_type, *profile;
    int64_t seconds, debug, gc;
    char *node_id, *server_id;
    struct query_options q;
};
extern const struct desc desc_agent_profile_request;

struct agent_profile_response {
    char *agent_id;
    struct bytes payload;
    struct strmap http_headers;
};
extern const struct desc desc_agent_profile_response;

/* what every Allocations.* and FileSystem.* request has */
struct alloc_specific_request {
    char *alloc_id;
    struct query_options q;
};
extern const struct desc desc_alloc_specific_request;

/* --- streaming RPC --- */

struct monitor_request {
    char *log_level;
    bool log_json;
    bool log_include_location;
    char *node_id, *server_id;
    bool plain_text;
    struct query_options q;
};
extern const struct desc desc_monitor_request;

struct stream_error {
    int64_t *code; /* HTTP status */
    char *message;
};
extern const struct desc desc_stream_error;

struct stream_frame {
    struct stream_error *error;
    struct bytes payload;
};
extern const struct desc desc_stream_frame;
