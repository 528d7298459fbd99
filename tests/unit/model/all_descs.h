/* tests/unit/model/all_descs.h - every descriptor table of model/; test_desc checks that it is
 * whole. */
#pragma once

#include "model/methods.h"
#include "model/node.h"
#include "model/query.h"
#include "model/rpc_client.h"
#include "model/rpc_types.h"
#include "model/rpc_write.h"
#include "model/why.h"

#define D(type)                                                                                    \
    {                                                                                              \
        &desc_##type, sizeof(struct type)                                                          \
    }

static const struct {
    const struct desc *d;
    size_t size; /* of the C struct that its name says */
} all_descs[] = {
    D(agent_profile_request),
    D(agent_profile_response),
    D(alloc),
    D(alloc_specific_request),
    D(alloc_update_request),
    D(allocs_get_request),
    D(allocs_get_response),
    D(client_stats_response),
    D(cni_config),
    D(cpu_core),
    D(csi_controller_info),
    D(csi_info),
    D(csi_node_info),
    D(csi_topology),
    D(device_attribute),
    D(device_instance),
    D(device_locality),
    D(dns_config),
    D(drain_metadata),
    D(drain_spec),
    D(drain_strategy),
    D(driver_info),
    D(emit_node_events_request),
    D(generic_request),
    D(host_cpu_stats),
    D(host_data),
    D(host_data_request),
    D(host_data_response),
    D(host_disk_stats),
    D(host_disk_usage),
    D(host_memory_stats),
    D(host_network),
    D(host_stats),
    D(host_volume),
    D(job_names),
    D(legacy_resources),
    D(monitor_request),
    D(network_resource),
    D(node),
    D(node_allocs_response),
    D(node_client_allocs_response),
    D(node_conn_query_response),
    D(node_cpu),
    D(node_device),
    D(node_disk),
    D(node_drain_body),
    D(node_drain_update_response),
    D(node_event),
    D(node_list_fields),
    D(node_list_request),
    D(node_list_response),
    D(node_memory),
    D(node_meta_apply_request),
    D(node_meta_response),
    D(node_network_address),
    D(node_network_resource),
    D(node_register_request),
    D(node_resources),
    D(node_server_info),
    D(node_specific_request),
    D(node_stub),
    D(node_update_drain_request),
    D(node_update_eligibility_request),
    D(node_update_response),
    D(node_update_status_request),
    D(node_write_request),
    D(port),
    D(processors),
    D(query_meta),
    D(query_options),
    D(reserved_cpu),
    D(reserved_networks),
    D(reserved_resources),
    D(server_member),
    D(server_members_response),
    D(single_node_response),
    D(stream_error),
    D(stream_frame),
    D(task_event),
    D(task_group_names),
    D(task_name),
    D(task_state),
    D(topology),
    D(version_response),
    D(why),
    D(write_meta),
    D(write_request),
};
#undef D
