/* model/resources.h - what a node has: new form, old form, reservations.  Plain data.
 *
 * Sources of the fields: Nomad 0.10 .. 2.0 nomad/structs (fact: rpc-wire 10.2).  Speeds are MHz,
 * sizes MB unless the name says otherwise.
 */
#pragma once

#include "codec/desc.h"

struct port {
    char *label;
    int64_t value;
    int64_t to;
    char *host_network;
    bool ignore_collision;
};
extern const struct desc desc_port;

struct dns_config {
    char **servers;
    size_t n_servers;
    char **searches;
    size_t n_searches;
    char **options;
    size_t n_options;
};
extern const struct desc desc_dns_config;

struct cni_config {
    struct strmap args;
};
extern const struct desc desc_cni_config;

/* one address of the fingerprinted interface (host mode), or a mode the host offers (bridge, cni/x)
 */
struct network_resource {
    char *mode;
    char *device;
    char *cidr;
    char *ip;
    char *hostname;
    int64_t mbits;
    struct dns_config *dns;
    struct port *reserved_ports;
    size_t n_reserved_ports;
    struct port *dynamic_ports;
    size_t n_dynamic_ports;
    struct cni_config *cni;
};
extern const struct desc desc_network_resource;

struct node_network_address {
    char *family; /* "ipv4" or "ipv6" */
    char *alias;  /* "default" or a host network's name */
    char *address;
    char *reserved_ports;
    char *gateway;
};
extern const struct desc desc_node_network_address;

struct node_network_resource {
    char *mode;
    char *device;
    char *mac_address;
    int64_t speed; /* Mbit/s */
    struct node_network_address *addresses;
    size_t n_addresses;
};
extern const struct desc desc_node_network_resource;

struct device_locality {
    char *pci_bus_id;
};
extern const struct desc desc_device_locality;

struct device_instance {
    char *id;
    bool healthy;
    char *health_description;
    struct device_locality *locality;
};
extern const struct desc desc_device_instance;

/* one of the four values is set */
struct device_attribute {
    char *key; /* name in the map */
    double *float_val;
    int64_t *int_val;
    char *string_val; /* NULL = not set */
    bool *bool_val;
    char *unit;
};
extern const struct desc desc_device_attribute;

struct node_device {
    char *vendor;
    char *type;
    char *name;
    struct device_instance *instances;
    size_t n_instances;
    struct device_attribute *attributes; /* key order */
    size_t n_attributes;
};
extern const struct desc desc_node_device;

struct cpu_core {
    uint64_t socket_id;
    uint64_t node_id; /* NUMA node */
    uint64_t id;
    bool grade; /* true = performance */
    bool disable;
    uint64_t base_speed, max_speed, guess_speed;
};
extern const struct desc desc_cpu_core;

struct topology {
    struct bytes nodes; /* NUMA node ids, one byte each */
    struct int_row *distances;
    size_t n_distances;
    struct cpu_core *cores;
    size_t n_cores;
    struct i64map bus_associativity; /* PCI bus id to NUMA node; msgpack only */
    uint64_t override_total_compute;
    uint64_t override_withold_compute; /* Nomad's spelling on the wire */
};
extern const struct desc desc_topology;

struct processors {
    struct topology *topology;
};
extern const struct desc desc_processors;

struct node_cpu {
    int64_t cpu_shares; /* MHz in total */
    uint64_t total_cpu_cores;
    uint16_t *reservable_cpu_cores;
    size_t n_reservable_cpu_cores;
};
extern const struct desc desc_node_cpu;

struct node_memory {
    int64_t memory_mb;
};
extern const struct desc desc_node_memory;

struct node_disk {
    int64_t disk_mb;
};
extern const struct desc desc_node_disk;

struct node_resources {
    struct node_cpu cpu;
    struct processors processors;
    struct node_memory memory;
    struct node_disk disk;
    struct network_resource *networks;
    size_t n_networks;
    struct node_network_resource *node_networks;
    size_t n_node_networks;
    struct node_device *devices;
    size_t n_devices;
    int64_t min_dynamic_port, max_dynamic_port;
};
extern const struct desc desc_node_resources;

struct reserved_cpu {
    int64_t cpu_shares;
    uint16_t *reserved_cpu_cores;
    size_t n_reserved_cpu_cores;
};
extern const struct desc desc_reserved_cpu;

struct reserved_networks {
    char *reserved_host_ports; /* "22,80,8500-8600" */
};
extern const struct desc desc_reserved_networks;

struct reserved_resources {
    struct reserved_cpu cpu;
    struct node_memory memory;
    struct node_disk disk;
    struct reserved_networks networks;
};
extern const struct desc desc_reserved_resources;

/* the form before 0.9, still printed and sent for old consumers */
struct legacy_resources {
    int64_t cpu;
    int64_t memory_mb;
    int64_t disk_mb;
    int64_t iops;
    struct network_resource *networks;
    size_t n_networks;
    struct node_device *devices; /* always nil; the row exists because Nomad prints it */
    size_t n_devices;
};
extern const struct desc desc_legacy_resources;
