/* model/rpc_write.h - arguments and replies of the methods that operators change nodes by: drain,
 * eligibility, evaluate, purge (facts: rpc-wire 8.1, http-api 4 and 5.5).
 *
 * Each struct has a descriptor desc_<name>; clear with ops_clear().  The ..._body structs are what
 * HTTP requests hold; their names in messages are Go's.
 */
#pragma once

#include "model/node.h"
#include "model/query.h"
#include "model/rpc_types.h"

struct drain_spec {
    int64_t deadline; /* ns; < 0 force, 0 none */
    bool ignore_system_jobs;
};
extern const struct desc desc_drain_spec;

struct node_drain_body {
    char *node_id;
    struct drain_spec *drain_spec; /* NULL cancels */
    bool mark_eligible;
    struct strmap meta;
};
extern const struct desc desc_node_drain_body;

struct node_update_drain_request {
    char *node_id;
    struct drain_strategy *drain_strategy; /* NULL cancels */
    bool mark_eligible;
    struct strmap meta;
    int64_t updated_at; /* the server's to set */
    struct write_request w;
};
extern const struct desc desc_node_update_drain_request;

/* also the HTTP body: everything but w */
struct node_update_eligibility_request {
    char *node_id;
    char *eligibility;
    struct node_event *node_event; /* refused by servers */
    int64_t updated_at;            /* the server's to set */
    struct write_request w;
};
extern const struct desc desc_node_update_eligibility_request;

/* the reply to both */
struct node_drain_update_response {
    uint64_t eval_create_index;
    char **eval_ids;
    size_t n_eval_ids;
    uint64_t node_modify_index;
    struct write_meta w;
};
extern const struct desc desc_node_drain_update_response;

/* Node.Evaluate and Node.Deregister; the reply is a node_update_response */
struct node_write_request {
    char *node_id;
    struct write_request w;
};
extern const struct desc desc_node_write_request;
