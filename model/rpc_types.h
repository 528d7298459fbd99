/* model/rpc_types.h - arguments and replies of the RPC methods in use (fact: rpc-wire 8.1).
 *
 * Each struct has a descriptor desc_<name>; clear with ops_clear().  Embedded groups are flattened
 * on the wire.
 */
#pragma once

#include "model/node.h"
#include "model/query.h"

struct node_server_info {
    char *rpc_advertise_addr; /* "ip:port" */
    int64_t rpc_major_version, rpc_minor_version;
    char *datacenter;
};
extern const struct desc desc_node_server_info;

struct node_register_request {
    struct node *node;
    struct node_event *node_event;
    bool create_node_pool;
    struct write_request w;
};
extern const struct desc desc_node_register_request;

struct node_update_response {
    int64_t heartbeat_ttl; /* ns */
    char **eval_ids;
    size_t n_eval_ids;
    uint64_t eval_create_index;
    uint64_t node_modify_index;
    uint64_t features;
    char *leader_rpc_addr;
    int64_t num_nodes;
    struct node_server_info *servers;
    size_t n_servers;
    char *scheduling_eligibility;
    char *signed_identity; /* NULL = nil */
    struct query_meta q;
};
extern const struct desc desc_node_update_response;

struct node_update_status_request {
    char *node_id;
    char *status;
    char *identity_signing_key_id;
    bool force_identity_renewal;
    struct node_event *node_event;
    int64_t updated_at;
    struct write_request w;
};
extern const struct desc desc_node_update_status_request;

/* Node.GetNode, GetClientAllocs, GetAllocs, ClientStats.Stats ... */
struct node_specific_request {
    char *node_id;
    char *secret_id;
    struct query_options q;
};
extern const struct desc desc_node_specific_request;

/* the Allocs map is string to uint64: kept as an i64map (indexes stay far below 2^63) */
struct node_client_allocs_response {
    struct i64map allocs; /* alloc id to AllocModifyIndex */
    struct strmap migrate_tokens;
    struct query_meta q;
};
extern const struct desc desc_node_client_allocs_response;

struct allocs_get_request {
    char **alloc_ids;
    size_t n_alloc_ids;
    struct query_options q;
};
extern const struct desc desc_allocs_get_request;

struct task_event {
    char *type;
    int64_t time; /* unix ns */
    char *message;
    char *display_message;
    struct strmap details;
    bool fails_task;
};
extern const struct desc desc_task_event;

struct task_state {
    char *key; /* task name */
    char *state;
    bool failed;
    uint64_t restarts;
    struct gotime last_restart, started_at, finished_at;
    struct task_event *events;
    size_t n_events;
};
extern const struct desc desc_task_state;

struct task_name {
    char *name;
};
extern const struct desc desc_task_name;
struct task_group_names {
    char *name;
    struct task_name *tasks;
    size_t n_tasks;
};
extern const struct desc desc_task_group_names;
struct job_names {
    char *id;
    struct task_group_names *task_groups;
    size_t n_task_groups;
};
extern const struct desc desc_job_names;

/* what an agent that runs no tasks yet needs of an allocation, and what it sends back */
struct alloc {
    char *id;
    char *namespace_;
    char *node_id;
    char *job_id;
    char *task_group;
    char *desired_status;
    char *client_status;
    char *client_description;
    struct job_names *job; /* received only */
    struct task_state *task_states;
    size_t n_task_states;
    uint64_t create_index, modify_index, alloc_modify_index;
};
extern const struct desc desc_alloc;

struct allocs_get_response {
    struct alloc *allocs;
    size_t n_allocs;
    struct query_meta q;
};
extern const struct desc desc_allocs_get_response;

struct alloc_update_request {
    struct alloc *alloc;
    size_t n_alloc;
    struct write_request w;
};
extern const struct desc desc_alloc_update_request;

/* NodeEvents: map node id -> [NodeEvent]; a row kind of its own would serve only this: the value
 * array is held RAW per entry and decoded by the endpoint */
struct emit_node_events_request {
    struct bytes node_events; /* one msgpack map */
    struct write_request w;
};
extern const struct desc desc_emit_node_events_request;

struct node_list_fields {
    bool resources;
    bool os;
};
extern const struct desc desc_node_list_fields;

struct node_list_request {
    struct node_list_fields *fields;
    struct query_options q;
};
extern const struct desc desc_node_list_request;

struct node_list_response {
    struct node_stub *nodes;
    size_t n_nodes;
    struct query_meta q;
};
extern const struct desc desc_node_list_response;

struct single_node_response {
    struct bytes node; /* packed node or nil: passed through, so that unknown fields survive */
    struct query_meta q;
};
extern const struct desc desc_single_node_response;

struct node_allocs_response {
    struct bytes allocs; /* packed array */
    struct query_meta q;
};
extern const struct desc desc_node_allocs_response;

struct generic_request {
    struct query_options q;
};
extern const struct desc desc_generic_request;

struct version_response {
    char *build;
    struct i64map versions;
    struct query_meta q;
};
extern const struct desc desc_version_response;

struct server_member {
    char *name;
    struct bytes addr; /* 4 or 16 raw bytes */
    uint64_t port;
    struct strmap tags;
    char *status;
    uint64_t protocol_min, protocol_max, protocol_cur;
    uint64_t delegate_min, delegate_max, delegate_cur;
};
extern const struct desc desc_server_member;

struct server_members_response {
    char *server_name, *server_region, *server_dc;
    struct server_member *members;
    size_t n_members;
};
extern const struct desc desc_server_members_response;

struct node_conn_query_response {
    bool connected;
    struct gotime established;
    struct query_meta q;
};
extern const struct desc desc_node_conn_query_response;
