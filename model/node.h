/* model/node.h - what a node is.  Plain data and small pure rules: no I/O, no clocks.
 *
 * The fields are those of Nomad 0.10 .. 2.0 together (fact: rpc-wire 10.1, http-api 5.3); each row
 * in node.c says since when.  node_clear() releases everything a node owns.
 *
 * Depends on: base/, codec/desc.h.
 */
#pragma once

#include "base/err.h"
#include "codec/desc.h"
#include "model/resources.h"

#define NODE_STATUS_INIT         "initializing"
#define NODE_STATUS_READY        "ready"
#define NODE_STATUS_DOWN         "down"
#define NODE_STATUS_DISCONNECTED "disconnected"
#define NODE_ELIGIBLE            "eligible"
#define NODE_INELIGIBLE          "ineligible"
#define NODE_POOL_DEFAULT        "default"

struct driver_info {
    char *key; /* the driver's name */
    struct strmap attributes;
    bool detected;
    bool healthy;
    char *health_description;
    struct gotime update_time;
};
extern const struct desc desc_driver_info;

struct host_volume {
    char *key; /* the volume's name */
    char *id;  /* dynamic volumes only */
    char *name;
    char *path;
    bool read_only;
};
extern const struct desc desc_host_volume;

struct host_network {
    char *key;
    char *name;
    char *cidr;
    char *interface;
    char *reserved_ports;
};
extern const struct desc desc_host_network;

struct node_event {
    char *message;
    char *subsystem;
    struct strmap details; /* nil when there are none */
    struct gotime timestamp;
    uint64_t create_index; /* 0 for "Node registered" */
};
extern const struct desc desc_node_event;

struct drain_strategy {
    int64_t deadline; /* ns; < 0 force, 0 none */
    bool ignore_system_jobs;
    struct gotime force_deadline;
    struct gotime started_at;
};
extern const struct desc desc_drain_strategy;

struct drain_metadata {
    struct gotime started_at, updated_at;
    char *status; /* "draining", "complete", "canceled" */
    char *accessor_id;
    struct strmap meta;
};
extern const struct desc desc_drain_metadata;

struct csi_topology {
    struct strmap segments;
};
extern const struct desc desc_csi_topology;

struct csi_controller_info {
    bool supports_attach_detach, supports_clone, supports_condition, supports_create_delete,
        supports_create_delete_snapshot, supports_expand, supports_get, supports_get_capacity,
        supports_list_snapshots, supports_list_volumes, supports_list_volumes_attached_nodes,
        supports_read_only_attach;
};
extern const struct desc desc_csi_controller_info;

struct csi_node_info {
    char *id;
    int64_t max_volumes;
    struct csi_topology *accessible_topology;
    bool requires_node_stage_volume, supports_stats, supports_expand, supports_condition;
};
extern const struct desc desc_csi_node_info;

struct csi_info {
    char *key;
    char *plugin_id;
    char *alloc_id;
    bool healthy;
    char *health_description;
    struct gotime update_time;
    char *provider;
    char *provider_version;
    bool requires_controller_plugin, requires_topologies;
    struct csi_controller_info *controller_info;
    struct csi_node_info *node_info;
};
extern const struct desc desc_csi_info;

struct node {
    char *id;
    char *secret_id;
    char *datacenter;
    char *name;
    char *cgroup_parent;
    char *http_addr; /* "host:port" */
    bool tls_enabled;
    struct strmap attributes;
    struct node_resources *node_resources;
    struct reserved_resources *reserved_resources;
    struct legacy_resources *resources;
    struct legacy_resources *reserved;
    struct strmap links;
    struct strmap meta;
    char *node_class;
    char *node_pool;
    char *computed_class;
    bool drain; /* server: drain_strategy is set */
    struct drain_strategy *drain_strategy;
    char *scheduling_eligibility;
    char *status;
    char *status_description;
    int64_t status_updated_at; /* unix seconds */
    char *identity_signing_key_id;
    struct node_event *events; /* oldest first */
    size_t n_events;
    struct driver_info *drivers; /* key order */
    size_t n_drivers;
    struct csi_info *csi_controller_plugins;
    size_t n_csi_controller_plugins;
    struct csi_info *csi_node_plugins;
    size_t n_csi_node_plugins;
    struct host_volume *host_volumes; /* key order */
    size_t n_host_volumes;
    bool gc_volumes_on_node_gc;
    struct host_network *host_networks;
    size_t n_host_networks;
    struct drain_metadata *last_drain;
    int64_t node_max_allocs;
    uint64_t last_missed_heartbeat_index;
    uint64_t last_alloc_update_index;
    uint64_t create_index, modify_index;
};
extern const struct desc desc_node;

struct node *node_new(void) _must_check_;
struct node *node_free(struct node *n);
DEFINE_CLEANUP(struct node, node_free)

/* What lists show (fact: http-api 5.2).  node_resources, reserved_resources and attributes are
 * filled only when asked for; they are left out of JSON when nil. */
struct node_stub {
    char *address;
    char *id;
    struct strmap attributes;
    char *datacenter;
    char *name;
    char *node_pool;
    char *node_class;
    char *version;
    bool drain;
    char *scheduling_eligibility;
    char *status;
    char *status_description;
    struct driver_info *drivers;
    size_t n_drivers;
    struct host_volume *host_volumes;
    size_t n_host_volumes;
    struct node_resources *node_resources;
    struct reserved_resources *reserved_resources;
    struct drain_metadata *last_drain;
    uint64_t create_index, modify_index;
};
extern const struct desc desc_node_stub;

/* fills a zeroed stub with copies; clear with ops_clear(&desc_node_stub, s) */
void node_make_stub(const struct node *n, bool resources, bool os, struct node_stub *ret);

/* whether a status is one of the four words */
bool node_status_valid(const char *status);
/* Checks what Node.Register demands, in Nomad's order and words; negative errno and the text */
int node_validate_registration(const struct node *n, struct err *e) _must_check_;
/* fills Status, SchedulingEligibility, NodePool when empty; NodeNetworks for clients before 0.12;
 * the legacy twins Cpu/Topology where one form is missing (fact: rpc-wire 10.2) */
void node_canonicalize(struct node *n);
/* "v1:<u64>" of server-semantics 1.11 (1.6 and newer: with the pool).  Owned by the caller. */
char *node_computed_class(const struct node *n) _must_check_;
/* appends a copy and drops the oldest beyond NODE_EVENTS_MAX */
void node_add_event(struct node *n, const struct node_event *ev);
/* whether re-registration from old to new creates evaluations (Datacenter, Name, NodeClass,
 * Attributes, Meta, Drivers, HostVolumes, Devices differ) */
bool node_placement_changed(const struct node *a, const struct node *b);
/* Whether an agent must register again: everything it sends, but for driver UpdateTime and
 * unique.storage.bytesfree (design decision 4). */
bool node_registration_changed(const struct node *a, const struct node *b);
/* The same one by one, as "Attributes.os.version", "Drivers.docker", "HostVolumes.data",
 * "NodeResources.Devices", "NodeClass"; a driver's attributes count as the driver, which may so be
 * told twice. */
void node_each_change(const struct node *a, const struct node *b,
                      void (*fn)(void *arg, const char *fact), void *arg);
struct driver_info *node_driver(const struct node *n, const char *name); /* borrowed or NULL */
