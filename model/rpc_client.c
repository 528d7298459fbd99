/* model/rpc_client.c - descriptor tables of what agents serve (facts: rpc-wire 11, http-api 10). */
#include "model/rpc_client.h"

/* clang-format off */
#define T struct host_memory_stats
static const struct field memory_fields[] = {
    {"Available", U64(available)},
    {"Free", U64(free)},
    {"Total", U64(total)},
    {"Used", U64(used)},
};
DESC(desc_host_memory_stats, T, memory_fields);
#undef T

#define T struct host_cpu_stats
static const struct field cpu_fields[] = {
    {"CPU", STR(cpu)},
    {"Idle", F64(idle)},
    {"System", F64(system)},
    {"Total", F64(total), .until = "1.5"},
    {"TotalPercent", F64(total_percent), .since = "1.6"},
    {"TotalTicks", F64(total_ticks), .since = "1.6"},
    {"User", F64(user)},
};
DESC(desc_host_cpu_stats, T, cpu_fields);
#undef T

#define T struct host_disk_stats
static const struct field disk_fields[] = {
    {"Available", U64(available)},
    {"Device", STR(device)},
    {"InodesUsedPercent", F64(inodes_used_percent)},
    {"Mountpoint", STR(mountpoint)},
    {"Size", U64(size)},
    {"Used", U64(used)},
    {"UsedPercent", F64(used_percent)},
};
DESC(desc_host_disk_stats, T, disk_fields);
#undef T

#define T struct host_stats
static const struct field stats_fields[] = {
    {"AllocDirStats", PTR(alloc_dir_stats, desc_host_disk_stats)},
    {"CPU", VEC(cpu, n_cpu, desc_host_cpu_stats)},
    {"CPUTicksConsumed", F64(cpu_ticks_consumed)},
    {"DeviceStats", RAW(device_stats)},
    {"DiskStats", VEC(disk_stats, n_disk_stats, desc_host_disk_stats)},
    {"Memory", PTR(memory, desc_host_memory_stats)},
    {"Timestamp", I64(timestamp)},
    {"Uptime", U64(uptime)},
};
DESC(desc_host_stats, T, stats_fields);
#undef T

#define T struct client_stats_response
static const struct field stats_response_fields[] = {
    {"HostStats", PTR(host_stats, desc_host_stats)},
    {EMBED(q, desc_query_meta)},
};
DESC(desc_client_stats_response, T, stats_response_fields);
#undef T

#define T struct node_meta_apply_request
static const struct field meta_apply_fields[] = {
    {"Meta", OPT_MAP(meta)},
    {"NodeID", STR(node_id)},
    {EMBED(q, desc_query_options)},
};
DESC_GO(desc_node_meta_apply_request, T, meta_apply_fields, "structs.NodeMetaApplyRequest");
#undef T

#define T struct node_meta_response
static const struct field meta_fields[] = {
    {"Dynamic", OPT_MAP(dynamic)},
    {"Meta", MAP(meta)},
    {"Static", MAP(static_)},
};
DESC(desc_node_meta_response, T, meta_fields);
#undef T

#define T struct host_data_request
static const struct field host_request_fields[] = {
    {"NodeID", STR(node_id)},
    {"ServerID", STR(server_id)},
    {EMBED(q, desc_query_options)},
};
DESC(desc_host_data_request, T, host_request_fields);
#undef T

#define T struct host_disk_usage
static const struct field disk_usage_fields[] = {
    {"DiskMB", I64(disk_mb)},
    {"UsedMB", I64(used_mb)},
};
DESC_KEYED(desc_host_disk_usage, T, disk_usage_fields);
#undef T

#define T struct host_data
static const struct field host_fields[] = {
    {"Disk", MAPVEC(disk, n_disk, desc_host_disk_usage)},
    {"Environment", MAP(environment)},
    {"Hosts", STR(hosts)},
    {"Network", RAW(network)},
    {"OS", STR(os)},
    {"ResolvConf", STR(resolv_conf)},
};
DESC(desc_host_data, T, host_fields);
#undef T

#define T struct host_data_response
static const struct field host_response_fields[] = {
    {"AgentID", STR(agent_id)},
    {"HostData", PTR(host_data, desc_host_data)},
};
DESC(desc_host_data_response, T, host_response_fields);
#undef T

#define T struct agent_profile_request
static const struct field profile_request_fields[] = {
    {"Debug", I64(debug)},
    {"GC", I64(gc)},
    {"NodeID", STR(node_id)},
    {"Profile", STR(profile)},
    {"ReqType", STR(req_type)},
    {"Seconds", I64(seconds)},
    {"ServerID", STR(server_id)},
    {EMBED(q, desc_query_options)},
};
DESC(desc_agent_profile_request, T, profile_request_fields);
#undef T

#define T struct agent_profile_response
static const struct field profile_fields[] = {
    {"AgentID", STR(agent_id)},
    {"HTTPHeaders", MAP(http_headers)},
    {"Payload", BYTES(payload)},
};
DESC(desc_agent_profile_response, T, profile_fields);
#undef T

#define T struct alloc_specific_request
static const struct field alloc_specific_fields[] = {
    {"AllocID", STR(alloc_id)},
    {EMBED(q, desc_query_options)},
};
DESC(desc_alloc_specific_request, T, alloc_specific_fields);
#undef T

#define T struct monitor_request
static const struct field monitor_fields[] = {
    {"LogIncludeLocation", BOOL(log_include_location), .since = "1.6"},
    {"LogJSON", BOOL(log_json)},
    {"LogLevel", STR(log_level)},
    {"NodeID", STR(node_id)},
    {"PlainText", BOOL(plain_text)},
    {"ServerID", STR(server_id)},
    {EMBED(q, desc_query_options)},
};
DESC(desc_monitor_request, T, monitor_fields);
#undef T

#define T struct stream_error
static const struct field error_fields[] = {
    {"Code", OPT_I64(code)},
    {"Message", STR(message)},
};
DESC(desc_stream_error, T, error_fields);
#undef T

#define T struct stream_frame
static const struct field frame_fields[] = {
    {"Error", PTR(error, desc_stream_error)},
    {"Payload", BYTES(payload)},
};
DESC(desc_stream_frame, T, frame_fields);
#undef T
/* clang-format on */
