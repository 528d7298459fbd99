/* model/rpc_types.c - descriptor tables of the RPC arguments and replies (fact: rpc-wire 8.1). */
#include "model/rpc_types.h"

/* clang-format off */
#define T struct node_server_info
static const struct field server_info_fields[] = {
    {"Datacenter", STR(datacenter)},
    {"RPCAdvertiseAddr", STR(rpc_advertise_addr)},
    {"RPCMajorVersion", I64(rpc_major_version)},
    {"RPCMinorVersion", I64(rpc_minor_version)},
};
DESC(desc_node_server_info, T, server_info_fields);
#undef T

#define T struct node_register_request
static const struct field register_fields[] = {
    {"CreateNodePool", BOOL(create_node_pool), .since = "1.6"},
    {"Node", PTR(node, desc_node)},
    {"NodeEvent", PTR(node_event, desc_node_event)},
    {EMBED(w, desc_write_request)},
};
DESC(desc_node_register_request, T, register_fields);
#undef T

#define T struct node_update_response
static const struct field update_fields[] = {
    {"EvalCreateIndex", U64(eval_create_index)},
    {"EvalIDs", STRVEC(eval_ids, n_eval_ids)},
    {"Features", U64(features), .since = "0.12"},
    {"HeartbeatTTL", I64(heartbeat_ttl), F_DURATION},
    {"LeaderRPCAddr", STR(leader_rpc_addr)},
    {"NodeModifyIndex", U64(node_modify_index)},
    {"NumNodes", I64(num_nodes)},
    {"SchedulingEligibility", STR(scheduling_eligibility), .since = "1.2.13"},
    {"Servers", VEC(servers, n_servers, desc_node_server_info)},
    {"SignedIdentity", OPT_STR(signed_identity), F_SECRET, .since = "1.11"},
    {EMBED(q, desc_query_meta)},
};
DESC(desc_node_update_response, T, update_fields);
#undef T

#define T struct node_update_status_request
static const struct field status_fields[] = {
    {"ForceIdentityRenewal", BOOL(force_identity_renewal), .since = "1.11"},
    {"IdentitySigningKeyID", STR(identity_signing_key_id), .since = "1.11"},
    {"NodeEvent", PTR(node_event, desc_node_event)},
    {"NodeID", STR(node_id)},
    {"Status", STR(status)},
    {"UpdatedAt", I64(updated_at)},
    {EMBED(w, desc_write_request)},
};
DESC(desc_node_update_status_request, T, status_fields);
#undef T

#define T struct node_specific_request
static const struct field specific_fields[] = {
    {"NodeID", STR(node_id)},
    {"SecretID", STR(secret_id), F_SECRET},
    {EMBED(q, desc_query_options)},
};
DESC(desc_node_specific_request, T, specific_fields);
#undef T

#define T struct node_client_allocs_response
static const struct field client_allocs_fields[] = {
    {"Allocs", I64MAP(allocs)},
    {"MigrateTokens", MAP(migrate_tokens), F_SECRET},
    {EMBED(q, desc_query_meta)},
};
DESC(desc_node_client_allocs_response, T, client_allocs_fields);
#undef T

#define T struct allocs_get_request
static const struct field allocs_get_fields[] = {
    {"AllocIDs", STRVEC(alloc_ids, n_alloc_ids)},
    {EMBED(q, desc_query_options)},
};
DESC(desc_allocs_get_request, T, allocs_get_fields);
#undef T

#define T struct task_event
static const struct field task_event_fields[] = {
    {"Details", MAP(details)},
    {"DisplayMessage", STR(display_message)},
    {"FailsTask", BOOL(fails_task)},
    {"Message", STR(message)},
    {"Time", I64(time)},
    {"Type", STR(type)},
};
DESC(desc_task_event, T, task_event_fields);
#undef T

#define T struct task_state
static const struct field task_state_fields[] = {
    {"Events", VEC(events, n_events, desc_task_event)},
    {"Failed", BOOL(failed)},
    {"FinishedAt", TIME(finished_at)},
    {"LastRestart", TIME(last_restart)},
    {"Restarts", U64(restarts)},
    {"StartedAt", TIME(started_at)},
    {"State", STR(state)},
};
DESC_KEYED(desc_task_state, T, task_state_fields);
#undef T

#define T struct task_name
static const struct field task_name_fields[] = {
    {"Name", STR(name)},
};
DESC(desc_task_name, T, task_name_fields);
#undef T

#define T struct task_group_names
static const struct field group_fields[] = {
    {"Name", STR(name)},
    {"Tasks", VEC(tasks, n_tasks, desc_task_name)},
};
DESC(desc_task_group_names, T, group_fields);
#undef T

#define T struct job_names
static const struct field job_fields[] = {
    {"ID", STR(id)},
    {"TaskGroups", VEC(task_groups, n_task_groups, desc_task_group_names)},
};
DESC(desc_job_names, T, job_fields);
#undef T

#define T struct alloc
static const struct field alloc_fields[] = {
    {"AllocModifyIndex", U64(alloc_modify_index)},
    {"ClientDescription", STR(client_description)},
    {"ClientStatus", STR(client_status)},
    {"CreateIndex", U64(create_index)},
    {"DesiredStatus", STR(desired_status)},
    {"ID", STR(id)},
    {"Job", PTR(job, desc_job_names), F_RECV},
    {"JobID", STR(job_id)},
    {"ModifyIndex", U64(modify_index)},
    {"Namespace", STR(namespace_)},
    {"NodeID", STR(node_id)},
    {"TaskGroup", STR(task_group)},
    {"TaskStates", MAPVEC(task_states, n_task_states, desc_task_state)},
};
DESC_OMITEMPTY(desc_alloc, T, alloc_fields);
#undef T

#define T struct allocs_get_response
static const struct field allocs_response_fields[] = {
    {"Allocs", VEC(allocs, n_allocs, desc_alloc)},
    {EMBED(q, desc_query_meta)},
};
DESC(desc_allocs_get_response, T, allocs_response_fields);
#undef T

#define T struct alloc_update_request
static const struct field alloc_update_fields[] = {
    {"Alloc", VEC(alloc, n_alloc, desc_alloc)},
    {EMBED(w, desc_write_request)},
};
DESC(desc_alloc_update_request, T, alloc_update_fields);
#undef T

#define T struct emit_node_events_request
static const struct field emit_fields[] = {
    {"NodeEvents", RAW(node_events)},
    {EMBED(w, desc_write_request)},
};
DESC(desc_emit_node_events_request, T, emit_fields);
#undef T

#define T struct node_list_fields
static const struct field list_fields_fields[] = {
    {"OS", BOOL(os), .since = "1.3"},
    {"Resources", BOOL(resources), .since = "1.0"},
};
DESC(desc_node_list_fields, T, list_fields_fields);
#undef T

#define T struct node_list_request
static const struct field list_fields[] = {
    {"Fields", PTR(fields, desc_node_list_fields), .since = "1.0"},
    {EMBED(q, desc_query_options)},
};
DESC(desc_node_list_request, T, list_fields);
#undef T

#define T struct node_list_response
static const struct field list_response_fields[] = {
    {"Nodes", VEC(nodes, n_nodes, desc_node_stub)},
    {EMBED(q, desc_query_meta)},
};
DESC(desc_node_list_response, T, list_response_fields);
#undef T

#define T struct single_node_response
static const struct field single_fields[] = {
    {"Node", RAW(node)},
    {EMBED(q, desc_query_meta)},
};
DESC(desc_single_node_response, T, single_fields);
#undef T

#define T struct node_allocs_response
static const struct field node_allocs_fields[] = {
    {"Allocs", RAW(allocs)},
    {EMBED(q, desc_query_meta)},
};
DESC(desc_node_allocs_response, T, node_allocs_fields);
#undef T

#define T struct generic_request
static const struct field generic_fields[] = {
    {EMBED(q, desc_query_options)},
};
DESC(desc_generic_request, T, generic_fields);
#undef T

#define T struct version_response
static const struct field version_fields[] = {
    {"Build", STR(build)},
    {"Versions", I64MAP(versions)},
    {EMBED(q, desc_query_meta)},
};
DESC(desc_version_response, T, version_fields);
#undef T

#define T struct server_member
static const struct field member_fields[] = {
    {"Addr", BYTES(addr)},
    {"DelegateCur", U64(delegate_cur)},
    {"DelegateMax", U64(delegate_max)},
    {"DelegateMin", U64(delegate_min)},
    {"Name", STR(name)},
    {"Port", U64(port)},
    {"ProtocolCur", U64(protocol_cur)},
    {"ProtocolMax", U64(protocol_max)},
    {"ProtocolMin", U64(protocol_min)},
    {"Status", STR(status)},
    {"Tags", MAP(tags)},
};
DESC(desc_server_member, T, member_fields);
#undef T

#define T struct server_members_response
static const struct field members_fields[] = {
    {"Members", VEC(members, n_members, desc_server_member)},
    {"ServerDC", STR(server_dc)},
    {"ServerName", STR(server_name)},
    {"ServerRegion", STR(server_region)},
};
DESC(desc_server_members_response, T, members_fields);
#undef T

#define T struct node_conn_query_response
static const struct field conn_fields[] = {
    {"Connected", BOOL(connected)},
    {"Established", TIME(established)},
    {EMBED(q, desc_query_meta)},
};
DESC(desc_node_conn_query_response, T, conn_fields);
#undef T
/* clang-format on */
