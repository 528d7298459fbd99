/* model/resources.c - descriptor tables of a node's resources (fact: rpc-wire 10.2, http-api 5.4).
 *
 * Newer releases leave zero fields of NetworkResource and Port out; the seed form with all fields
 * is kept, which every peer reads.
 */
#include "model/resources.h"

/* clang-format off */
#define T struct port
static const struct field port_fields[] = {
    {"HostNetwork", STR(host_network), .since = "0.12"},
    {"IgnoreCollision", BOOL(ignore_collision), .since = "1.9"},
    {"Label", STR(label)},
    {"To", I64(to), F_INT},
    {"Value", I64(value), F_INT},
};
DESC(desc_port, T, port_fields);
#undef T

#define T struct dns_config
static const struct field dns_fields[] = {
    {"Options", STRVEC(options, n_options)},
    {"Searches", STRVEC(searches, n_searches)},
    {"Servers", STRVEC(servers, n_servers)},
};
DESC(desc_dns_config, T, dns_fields);
#undef T

#define T struct cni_config
static const struct field cni_fields[] = {
    {"Args", MAP(args)},
};
DESC(desc_cni_config, T, cni_fields);
#undef T

#define T struct network_resource
static const struct field network_fields[] = {
    {"CIDR", STR(cidr)},
    {"CNI", PTR(cni, desc_cni_config), .since = "1.8"},
    {"DNS", PTR(dns, desc_dns_config), .since = "0.12"},
    {"Device", STR(device)},
    {"DynamicPorts", VEC(dynamic_ports, n_dynamic_ports, desc_port)},
    {"Hostname", STR(hostname), .since = "1.1"},
    {"IP", STR(ip)},
    {"MBits", I64(mbits), F_INT},
    {"Mode", STR(mode)},
    {"ReservedPorts", VEC(reserved_ports, n_reserved_ports, desc_port)},
};
DESC(desc_network_resource, T, network_fields);
#undef T

#define T struct node_network_address
static const struct field address_fields[] = {
    {"Address", STR(address)},
    {"Alias", STR(alias)},
    {"Family", STR(family)},
    {"Gateway", STR(gateway)},
    {"ReservedPorts", STR(reserved_ports)},
};
DESC(desc_node_network_address, T, address_fields);
#undef T

#define T struct node_network_resource
static const struct field node_network_fields[] = {
    {"Addresses", VEC(addresses, n_addresses, desc_node_network_address)},
    {"Device", STR(device)},
    {"MacAddress", STR(mac_address)},
    {"Mode", STR(mode)},
    {"Speed", I64(speed), F_INT},
};
DESC(desc_node_network_resource, T, node_network_fields);
#undef T

#define T struct device_locality
static const struct field locality_fields[] = {
    {"PciBusID", STR(pci_bus_id)},
};
DESC(desc_device_locality, T, locality_fields);
#undef T

#define T struct device_instance
static const struct field instance_fields[] = {
    {"HealthDescription", STR(health_description)},
    {"Healthy", BOOL(healthy)},
    {"ID", STR(id)},
    {"Locality", PTR(locality, desc_device_locality)},
};
DESC(desc_device_instance, T, instance_fields);
#undef T

#define T struct device_attribute
static const struct field attribute_fields[] = {
    {"Bool", OPT_BOOL(bool_val)},
    {"Float", OPT_F64(float_val)},
    {"Int", OPT_I64(int_val)},
    {"String", OPT_STR(string_val)},
    {"Unit", STR(unit)},
};
DESC_KEYED(desc_device_attribute, T, attribute_fields);
#undef T

#define T struct node_device
static const struct field device_fields[] = {
    {"Attributes", MAPVEC(attributes, n_attributes, desc_device_attribute)},
    {"Instances", VEC(instances, n_instances, desc_device_instance)},
    {"Name", STR(name)},
    {"Type", STR(type)},
    {"Vendor", STR(vendor)},
};
DESC(desc_node_device, T, device_fields);
#undef T

#define T struct cpu_core
static const struct field core_fields[] = {
    {"BaseSpeed", U64(base_speed), .since = "1.7"},
    {"Disable", BOOL(disable), .since = "1.7"},
    {"Grade", BOOL(grade), .since = "1.7"},
    {"GuessSpeed", U64(guess_speed), .since = "1.7"},
    {"ID", U64(id), .since = "1.7"},
    {"MaxSpeed", U64(max_speed), .since = "1.7"},
    {"NodeID", U64(node_id), .since = "1.7"},
    {"SocketID", U64(socket_id), .since = "1.7"},
};
DESC(desc_cpu_core, T, core_fields);
#undef T

#define T struct topology
static const struct field topology_fields[] = {
    {"BusAssociativity", I64MAP(bus_associativity), F_NO_JSON, .since = "1.9"},
    {"Cores", VEC(cores, n_cores, desc_cpu_core), .since = "1.7"},
    {"Distances", MATRIX(distances, n_distances), .since = "1.7"},
    {"Nodes", U8LIST(nodes), .since = "1.8"},
    {"OverrideTotalCompute", U64(override_total_compute), .since = "1.7"},
    {"OverrideWitholdCompute", U64(override_withold_compute), .since = "1.7"},
};
DESC(desc_topology, T, topology_fields);
#undef T

#define T struct processors
static const struct field processors_fields[] = {
    {"Topology", PTR(topology, desc_topology), .since = "1.7"},
};
DESC(desc_processors, T, processors_fields);
#undef T

#define T struct node_cpu
static const struct field cpu_fields[] = {
    {"CpuShares", I64(cpu_shares)},
    {"ReservableCpuCores", U16VEC(reservable_cpu_cores, n_reservable_cpu_cores), .since = "1.1"},
    {"TotalCpuCores", U64(total_cpu_cores), .since = "1.1"},
};
DESC(desc_node_cpu, T, cpu_fields);
#undef T

#define T struct node_memory
static const struct field memory_fields[] = {
    {"MemoryMB", I64(memory_mb)},
};
DESC(desc_node_memory, T, memory_fields);
#undef T

#define T struct node_disk
static const struct field disk_fields[] = {
    {"DiskMB", I64(disk_mb)},
};
DESC(desc_node_disk, T, disk_fields);
#undef T

#define T struct node_resources
static const struct field resources_fields[] = {
    {"Cpu", STRUCT(cpu, desc_node_cpu)},
    {"Devices", VEC(devices, n_devices, desc_node_device)},
    {"Disk", STRUCT(disk, desc_node_disk)},
    {"MaxDynamicPort", I64(max_dynamic_port), F_INT, .since = "1.1.15"},
    {"Memory", STRUCT(memory, desc_node_memory)},
    {"MinDynamicPort", I64(min_dynamic_port), F_INT, .since = "1.1.15"},
    {"Networks", VEC(networks, n_networks, desc_network_resource)},
    {"NodeNetworks", VEC(node_networks, n_node_networks, desc_node_network_resource), .since = "0.12"},
    {"Processors", STRUCT(processors, desc_processors), .since = "1.7"},
};
DESC(desc_node_resources, T, resources_fields);
#undef T

#define T struct reserved_cpu
static const struct field reserved_cpu_fields[] = {
    {"CpuShares", I64(cpu_shares)},
    {"ReservedCpuCores", U16VEC(reserved_cpu_cores, n_reserved_cpu_cores), .since = "1.1"},
};
DESC(desc_reserved_cpu, T, reserved_cpu_fields);
#undef T

#define T struct reserved_networks
static const struct field reserved_networks_fields[] = {
    {"ReservedHostPorts", STR(reserved_host_ports)},
};
DESC(desc_reserved_networks, T, reserved_networks_fields);
#undef T

#define T struct reserved_resources
static const struct field reserved_fields[] = {
    {"Cpu", STRUCT(cpu, desc_reserved_cpu)},
    {"Disk", STRUCT(disk, desc_node_disk)},
    {"Memory", STRUCT(memory, desc_node_memory)},
    {"Networks", STRUCT(networks, desc_reserved_networks)},
};
DESC(desc_reserved_resources, T, reserved_fields);
#undef T

#define T struct legacy_resources
static const struct field legacy_fields[] = {
    {"CPU", I64(cpu), F_INT, .until = "1.10"},
    {"Devices", VEC(devices, n_devices, desc_node_device), .until = "1.10"},
    {"DiskMB", I64(disk_mb), F_INT, .until = "1.10"},
    {"IOPS", I64(iops), F_INT, .until = "1.10"},
    {"MemoryMB", I64(memory_mb), F_INT, .until = "1.10"},
    {"Networks", VEC(networks, n_networks, desc_network_resource), .until = "1.10"},
};
DESC(desc_legacy_resources, T, legacy_fields);
#undef T
/* clang-format on */
