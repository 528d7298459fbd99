/* cli/seen.h - the parts of API objects that commands show, beyond those of model/. */
#pragma once

#include "codec/desc.h"

/* GET /v1/agent/self */
struct seen_client_stats {
    char *node_id;
};
struct seen_stats {
    struct seen_client_stats *client; /* NULL: not a client */
};
struct seen_self {
    struct seen_stats stats;
};
extern const struct desc desc_seen_self;

/* one of GET /v1/node/:id/allocations */
struct seen_task {
    char *key;
    struct {
        int64_t cpu_shares;
    } cpu;
    struct {
        int64_t memory_mb;
    } memory;
};
struct seen_resources {
    struct seen_task *tasks;
    size_t n_tasks;
    struct {
        int64_t disk_mb;
    } shared;
};
struct seen_alloc {
    char *id, *eval_id, *node_id, *task_group, *desired_status, *client_status;
    struct {
        int64_t version;
    } job;
    int64_t create_time, modify_time;
    struct seen_resources *allocated_resources;
};
extern const struct desc desc_seen_alloc;

/* GET /v1/client/allocation/:id/stats */
struct seen_usage {
    struct {
        struct {
            double total_ticks;
        } cpu;
        struct {
            uint64_t rss, usage;
        } memory;
    } used;
};
extern const struct desc desc_seen_usage;
