/* model/rpc_write.c - descriptor tables of the node writes (fact: rpc-wire 8.1). */
#include "model/rpc_write.h"

/* clang-format off */
#define T struct drain_spec
static const struct field drain_spec_fields[] = {
    {"Deadline", I64(deadline), F_DURATION},
    {"IgnoreSystemJobs", BOOL(ignore_system_jobs)},
};
DESC_GO(desc_drain_spec, T, drain_spec_fields, "api.DrainSpec");
#undef T

#define T struct node_drain_body
static const struct field drain_body_fields[] = {
    {"DrainSpec", PTR(drain_spec, desc_drain_spec)},
    {"MarkEligible", BOOL(mark_eligible)},
    {"Meta", MAP(meta), .since = "1.1"},
    {"NodeID", STR(node_id)},
};
DESC_GO(desc_node_drain_body, T, drain_body_fields, "api.NodeUpdateDrainRequest");
#undef T

#define T struct node_update_drain_request
static const struct field update_drain_fields[] = {
    {"DrainStrategy", PTR(drain_strategy, desc_drain_strategy)},
    {"MarkEligible", BOOL(mark_eligible)},
    {"Meta", MAP(meta), .since = "1.1"},
    {"NodeID", STR(node_id)},
    {"UpdatedAt", I64(updated_at), .since = "0.11"},
    {EMBED(w, desc_write_request)},
};
DESC(desc_node_update_drain_request, T, update_drain_fields);
#undef T

#define T struct node_update_eligibility_request
static const struct field update_eligibility_fields[] = {
    {"Eligibility", STR(eligibility)},
    {"NodeEvent", PTR(node_event, desc_node_event)},
    {"NodeID", STR(node_id)},
    {"UpdatedAt", I64(updated_at), .since = "0.11"},
    {EMBED(w, desc_write_request)},
};
DESC_GO(desc_node_update_eligibility_request, T, update_eligibility_fields,
        "structs.NodeUpdateEligibilityRequest");
#undef T

#define T struct node_drain_update_response
static const struct field drain_update_fields[] = {
    {"EvalCreateIndex", U64(eval_create_index)},
    {"EvalIDs", STRVEC(eval_ids, n_eval_ids)},
    {"NodeModifyIndex", U64(node_modify_index)},
    {EMBED(w, desc_write_meta)},
};
DESC(desc_node_drain_update_response, T, drain_update_fields);
#undef T

#define T struct node_write_request
static const struct field node_write_fields[] = {
    {"NodeID", STR(node_id)},
    {EMBED(w, desc_write_request)},
};
DESC(desc_node_write_request, T, node_write_fields);
#undef T
/* clang-format on */
