/* model/node.c - descriptor tables of a node and its parts (fact: rpc-wire 10.1, 10.3). */
#include "model/node.h"

#include "codec/ops.h"

/* clang-format off */
#define T struct driver_info
static const struct field driver_fields[] = {
    {"Attributes", MAP(attributes)},
    {"Detected", BOOL(detected)},
    {"HealthDescription", STR(health_description)},
    {"Healthy", BOOL(healthy)},
    {"UpdateTime", TIME(update_time)},
};
DESC_KEYED(desc_driver_info, T, driver_fields);
#undef T

#define T struct host_volume
static const struct field volume_fields[] = {
    {"ID", STR(id), .since = "1.10"},
    {"Name", STR(name)},
    {"Path", STR(path)},
    {"ReadOnly", BOOL(read_only)},
};
DESC_KEYED(desc_host_volume, T, volume_fields);
#undef T

#define T struct host_network
static const struct field host_network_fields[] = {
    {"CIDR", STR(cidr), .since = "1.2"},
    {"Interface", STR(interface), .since = "1.2"},
    {"Name", STR(name), .since = "1.2"},
    {"ReservedPorts", STR(reserved_ports), .since = "1.2"},
};
DESC_KEYED(desc_host_network, T, host_network_fields);
#undef T

#define T struct node_event
static const struct field event_fields[] = {
    {"CreateIndex", U64(create_index)},
    {"Details", MAP(details)},
    {"Message", STR(message)},
    {"Subsystem", STR(subsystem)},
    {"Timestamp", TIME(timestamp)},
};
DESC(desc_node_event, T, event_fields);
#undef T

#define T struct drain_strategy
static const struct field drain_fields[] = {
    {"Deadline", I64(deadline), F_DURATION},
    {"ForceDeadline", TIME(force_deadline)},
    {"IgnoreSystemJobs", BOOL(ignore_system_jobs)},
    {"StartedAt", TIME(started_at), .since = "0.11"},
};
DESC(desc_drain_strategy, T, drain_fields);
#undef T

#define T struct drain_metadata
static const struct field last_drain_fields[] = {
    {"AccessorID", STR(accessor_id), .since = "1.1"},
    {"Meta", MAP(meta), .since = "1.1"},
    {"StartedAt", TIME(started_at), .since = "1.1"},
    {"Status", STR(status), .since = "1.1"},
    {"UpdatedAt", TIME(updated_at), .since = "1.1"},
};
DESC(desc_drain_metadata, T, last_drain_fields);
#undef T

#define T struct csi_topology
static const struct field csi_topology_fields[] = {
    {"Segments", MAP(segments), .since = "0.11"},
};
DESC(desc_csi_topology, T, csi_topology_fields);
#undef T

#define T struct csi_controller_info
static const struct field csi_controller_fields[] = {
    {"SupportsAttachDetach", BOOL(supports_attach_detach), .since = "0.11"},
    {"SupportsClone", BOOL(supports_clone), .since = "1.1"},
    {"SupportsCondition", BOOL(supports_condition), .since = "1.1"},
    {"SupportsCreateDelete", BOOL(supports_create_delete), .since = "1.1"},
    {"SupportsCreateDeleteSnapshot", BOOL(supports_create_delete_snapshot), .since = "1.1"},
    {"SupportsExpand", BOOL(supports_expand), .since = "1.1"},
    {"SupportsGet", BOOL(supports_get), .since = "1.1"},
    {"SupportsGetCapacity", BOOL(supports_get_capacity), .since = "1.1"},
    {"SupportsListSnapshots", BOOL(supports_list_snapshots), .since = "1.1"},
    {"SupportsListVolumes", BOOL(supports_list_volumes), .since = "0.11"},
    {"SupportsListVolumesAttachedNodes", BOOL(supports_list_volumes_attached_nodes), .since = "0.11"},
    {"SupportsReadOnlyAttach", BOOL(supports_read_only_attach), .since = "0.11"},
};
DESC(desc_csi_controller_info, T, csi_controller_fields);
#undef T

#define T struct csi_node_info
static const struct field csi_node_fields[] = {
    {"AccessibleTopology", PTR(accessible_topology, desc_csi_topology), .since = "0.11"},
    {"ID", STR(id), .since = "0.11"},
    {"MaxVolumes", I64(max_volumes), .since = "0.11"},
    {"RequiresNodeStageVolume", BOOL(requires_node_stage_volume), .since = "0.11"},
    {"SupportsCondition", BOOL(supports_condition), .since = "1.1"},
    {"SupportsExpand", BOOL(supports_expand), .since = "1.1"},
    {"SupportsStats", BOOL(supports_stats), .since = "1.1"},
};
DESC(desc_csi_node_info, T, csi_node_fields);
#undef T

#define T struct csi_info
static const struct field csi_fields[] = {
    {"AllocID", STR(alloc_id), .since = "0.12"},
    {"ControllerInfo", PTR(controller_info, desc_csi_controller_info), .since = "0.11"},
    {"HealthDescription", STR(health_description), .since = "0.11"},
    {"Healthy", BOOL(healthy), .since = "0.11"},
    {"NodeInfo", PTR(node_info, desc_csi_node_info), .since = "0.11"},
    {"PluginID", STR(plugin_id), .since = "0.11"},
    {"Provider", STR(provider), .since = "0.11"},
    {"ProviderVersion", STR(provider_version), .since = "0.11"},
    {"RequiresControllerPlugin", BOOL(requires_controller_plugin), .since = "0.11"},
    {"RequiresTopologies", BOOL(requires_topologies), .since = "0.11"},
    {"UpdateTime", TIME(update_time), .since = "0.11"},
};
DESC_KEYED(desc_csi_info, T, csi_fields);
#undef T

#define T struct node
static const struct field node_fields[] = {
    {"Attributes", MAP(attributes)},
    {"CSIControllerPlugins", MAPVEC(csi_controller_plugins, n_csi_controller_plugins, desc_csi_info), .since = "0.11"},
    {"CSINodePlugins", MAPVEC(csi_node_plugins, n_csi_node_plugins, desc_csi_info), .since = "0.11"},
    {"CgroupParent", STR(cgroup_parent), .since = "1.3"},
    {"ComputedClass", STR(computed_class)},
    {"CreateIndex", U64(create_index)},
    {"Datacenter", STR(datacenter)},
    {"Drain", BOOL(drain)}, /* stored up to 1.0, printed by every release */
    {"DrainStrategy", PTR(drain_strategy, desc_drain_strategy)},
    {"Drivers", MAPVEC(drivers, n_drivers, desc_driver_info)},
    {"Events", VEC(events, n_events, desc_node_event)},
    {"GCVolumesOnNodeGC", BOOL(gc_volumes_on_node_gc), .since = "1.10.2"},
    {"HTTPAddr", STR(http_addr)},
    {"HostNetworks", MAPVEC(host_networks, n_host_networks, desc_host_network), .since = "1.2"},
    {"HostVolumes", MAPVEC(host_volumes, n_host_volumes, desc_host_volume)},
    {"ID", STR(id)},
    {"IdentitySigningKeyID", STR(identity_signing_key_id), .since = "1.11"},
    {"LastAllocUpdateIndex", U64(last_alloc_update_index), .since = "1.3.10"},
    {"LastDrain", PTR(last_drain, desc_drain_metadata), .since = "1.1"},
    {"LastMissedHeartbeatIndex", U64(last_missed_heartbeat_index), .since = "1.3.10"},
    {"Links", MAP(links)},
    {"Meta", MAP(meta)},
    {"ModifyIndex", U64(modify_index)},
    {"Name", STR(name)},
    {"NodeClass", STR(node_class)},
    {"NodeMaxAllocs", I64(node_max_allocs), F_INT, .since = "1.10.2"},
    {"NodePool", STR(node_pool), .since = "1.6"},
    {"NodeResources", PTR(node_resources, desc_node_resources)},
    {"Reserved", PTR(reserved, desc_legacy_resources), .until = "1.10"},
    {"ReservedResources", PTR(reserved_resources, desc_reserved_resources)},
    {"Resources", PTR(resources, desc_legacy_resources), .until = "1.10"},
    {"SchedulingEligibility", STR(scheduling_eligibility)},
    {"SecretID", STR(secret_id), F_SECRET},
    {"Status", STR(status)},
    {"StatusDescription", STR(status_description)},
    {"StatusUpdatedAt", I64(status_updated_at)},
    {"TLSEnabled", BOOL(tls_enabled)},
};
DESC(desc_node, T, node_fields);
#undef T

#define T struct node_stub
static const struct field stub_fields[] = {
    {"Address", STR(address)},
    {"Attributes", MAP(attributes), F_OMITEMPTY, .since = "1.3"},
    {"CreateIndex", U64(create_index)},
    {"Datacenter", STR(datacenter)},
    {"Drain", BOOL(drain)},
    {"Drivers", MAPVEC(drivers, n_drivers, desc_driver_info)},
    {"HostVolumes", MAPVEC(host_volumes, n_host_volumes, desc_host_volume), .since = "0.11"},
    {"ID", STR(id)},
    {"LastDrain", PTR(last_drain, desc_drain_metadata), .since = "1.1"},
    {"ModifyIndex", U64(modify_index)},
    {"Name", STR(name)},
    {"NodeClass", STR(node_class)},
    {"NodePool", STR(node_pool), .since = "1.6"},
    {"NodeResources", PTR(node_resources, desc_node_resources), F_OMITEMPTY, .since = "1.0"},
    {"ReservedResources", PTR(reserved_resources, desc_reserved_resources), F_OMITEMPTY, .since = "1.0"},
    {"SchedulingEligibility", STR(scheduling_eligibility)},
    {"Status", STR(status)},
    {"StatusDescription", STR(status_description)},
    {"Version", STR(version)},
};
DESC(desc_node_stub, T, stub_fields);
#undef T
/* clang-format on */

struct node *node_new(void)
{
    return xnew0(struct node);
}

struct node *node_free(struct node *n)
{
    if (!n)
        return NULL;
    ops_clear(&desc_node, n);
    return mem_free(n);
}
