/* cli/node_stats.h - what a host uses: the answer of /v1/client/stats, and how it is shown. */
#pragma once

#include "api/client.h"
#include "model/node.h"
#include "model/rpc_client.h"

/* a value of a device plugin; with neither number nor text nor bool it is unknown */
struct device_stat_value {
    char *key;
    double *float_numerator, *float_denominator;
    int64_t *int_numerator, *int_denominator;
    char *text;
    bool *boolean;
    char *unit;
};
struct device_stat_values {
    char *key;
    struct device_stat_value *attributes;
    size_t n_attributes;
    struct device_stat_values *nested;
    size_t n_nested;
};
struct device_stat_instance {
    char *key;
    struct device_stat_value *summary;
    struct device_stat_values *stats;
};
struct device_stat_group {
    char *vendor, *type, *name;
    struct device_stat_instance *instances;
    size_t n_instances;
};

struct node_stats {
    struct host_stats host;
    struct device_stat_group *devices;
    size_t n_devices;
};
void node_stats_done(struct node_stats *s);
/* negative, with the text, leaves nothing to release */
int node_stats_get(struct client *c, const char *target, struct node_stats *ret,
                   struct err *e) _must_check_;

/* the sections "Host Resource Utilization" and the devices'; all: of each core, disk, device too */
void view_host_use(const struct node_stats *s, const struct node *n, bool all, struct buf *out);
