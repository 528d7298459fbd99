#include "agent/merge.h"

#include <stdio.h>
#include <string.h>

#include "base/parse.h"
#include "base/str.h"
#include "base/vec.h"
#include "codec/ops.h"
#include "drivers/driver.h"
#include "model/attrs.h"

enum {
    DYNAMIC_PORT_MIN = 20000, /* client.min_dynamic_port of Nomad 1.1.15 and later */
    DYNAMIC_PORT_MAX = 32000,
    CORES_MAX = 65536,
};

#define OPTION_NOMAD_VERSION "picket.nomad_version"

/* nomad v2.0.5 client/client.go setupNode: only where the key is absent */
static const struct {
    const char *key, *value;
} meta_defaults[] = {
    {"connect.gateway_image",                           "docker.io/envoyproxy/envoy:v${NOMAD_envoy_version}"},
    {"connect.log_level",                               "info"                                              },
    {"connect.proxy_concurrency",                       "1"                                                 },
    {"connect.sidecar_image",                           "docker.io/envoyproxy/envoy:v${NOMAD_envoy_version}"},
    {"connect.transparent_proxy.default_outbound_port", "15001"                                             },
    {"connect.transparent_proxy.default_uid",           "101"                                               },
};

const char *merge_nomad_version(const struct conf *conf)
{
    const char *v = strmap_get(&conf->client.options, OPTION_NOMAD_VERSION);

    return str_empty(v) ? NOMAD_VERSION_DEFAULT : v;
}

static void set_reserved(struct node *n, const struct conf *conf)
{
    struct reserved_resources *r = xnew0(struct reserved_resources);
    struct legacy_resources *old = xnew0(struct legacy_resources);

    r->cpu.cpu_shares = old->cpu = conf->client.reserved_cpu;
    r->memory.memory_mb = old->memory_mb = conf->client.reserved_memory;
    r->disk.disk_mb = old->disk_mb = conf->client.reserved_disk;
    r->networks.reserved_host_ports = xstrdup(str_or_empty(conf->client.reserved_ports));
    /* reservable_cores wins; the list was validated when the configuration was read */
    if (str_empty(conf->client.reservable_cores) && !str_empty(conf->client.reserved_cores))
        (void)!parse_cpulist(conf->client.reserved_cores, CORES_MAX, &r->cpu.reserved_cpu_cores,
                             &r->cpu.n_reserved_cpu_cores);
    n->reserved_resources = r;
    n->reserved = old;
}

static int by_key(const void *a, const void *b)
{
    /* every element of a MAPVEC begins with its key */
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void set_host_networks(struct node *n, const struct conf *conf)
{
    for (size_t i = 0; i < conf->client.n_host_networks; i++) {
        const struct conf_host_network *from = &conf->client.host_networks[i];
        struct host_network *h = vec_add(&n->host_networks, &n->n_host_networks);

        h->key = xstrdup(from->name);
        h->name = xstrdup(from->name);
        h->cidr = xstrdup(from->cidr);
        h->interface = xstrdup(from->interface);
        h->reserved_ports = xstrdup(from->reserved_ports);
    }
    if (n->n_host_networks > 1)
        qsort(n->host_networks, n->n_host_networks, sizeof(n->host_networks[0]), by_key);
}

void merge_static_meta(struct strmap *ret, const struct conf *conf)
{
    strmap_copy(ret, &conf->client.meta);
    for (size_t i = 0; i < ARRAY_LEN(meta_defaults); i++)
        if (!strmap_get(ret, meta_defaults[i].key))
            strmap_set(ret, meta_defaults[i].key, meta_defaults[i].value);
}

void merge_skeleton(struct node *n, const struct conf *conf)
{
    str_set(&n->datacenter, str_empty(conf->datacenter) ? "dc1" : conf->datacenter);
    str_set(&n->name, conf->name);
    str_set(&n->node_class, str_or_empty(conf->client.node_class));
    str_set(&n->node_pool,
            str_empty(conf->client.node_pool) ? NODE_POOL_DEFAULT : conf->client.node_pool);
    str_set(&n->cgroup_parent, "nomad.slice"); /* Nomad's, as tools expect it */
    str_set(&n->status, NODE_STATUS_INIT);
    str_set(&n->scheduling_eligibility, NODE_INELIGIBLE);
    strmap_make(&n->attributes);
    strmap_make(&n->links);
    merge_static_meta(&n->meta, conf);
    n->node_max_allocs = conf->client.node_max_allocs;
    n->gc_volumes_on_node_gc = conf->client.gc_volumes_on_node_gc;
    n->node_resources = xnew0(struct node_resources);
    set_reserved(n, conf);
    set_host_networks(n, conf);
}

void merge_baseline(struct node *n, const struct conf *conf, const char *http_addr)
{
    strmap_set(&n->attributes, "nomad.version", merge_nomad_version(conf));
    strmap_set(&n->attributes, "picket.version", PICKET_VERSION);
    strmap_set(&n->attributes, "unique.advertise.address", http_addr);
}

/* --- resources --- */

#define COPY(d, to, from) ops_copy(&(d), (to), (from))

static void merge_networks(struct node_resources *nr, const struct fp *fp)
{
    for (size_t i = 0; i < fp->n_networks; i++)
        COPY(desc_network_resource, vec_add(&nr->networks, &nr->n_networks), &fp->networks[i]);
    for (size_t i = 0; i < fp->n_node_networks; i++) {
        const struct node_network_resource *from = &fp->node_networks[i];

        /* servers index the first address of a host network without looking */
        if (str_eq(from->mode, "host") && from->n_addresses == 0)
            continue;
        COPY(desc_node_network_resource, vec_add(&nr->node_networks, &nr->n_node_networks), from);
    }
}

static void merge_resources(struct node_resources *nr, const struct fp *fp)
{
    if (fp->cpu) {
        ops_clear(&desc_node_cpu, &nr->cpu);
        COPY(desc_node_cpu, &nr->cpu, fp->cpu);
    }
    if (fp->topology) {
        ops_clear(&desc_processors, &nr->processors);
        nr->processors.topology = xnew0(struct topology);
        COPY(desc_topology, nr->processors.topology, fp->topology);
    }
    if (fp->memory)
        nr->memory = *fp->memory;
    if (fp->disk)
        nr->disk = *fp->disk;
    merge_networks(nr, fp);
    for (size_t i = 0; i < fp->n_devices; i++)
        COPY(desc_node_device, vec_add(&nr->devices, &nr->n_devices), &fp->devices[i]);
}

/* --- drivers --- */

static struct driver_info *driver_slot(struct node *n, const char *name)
{
    struct driver_info *d = node_driver(n, name);

    if (!d) {
        d = vec_add(&n->drivers, &n->n_drivers);
        d->key = xstrdup(name);
    }
    return d;
}

static bool stays_detected(const char *name)
{
    for (size_t i = 0; i < n_drivers_rows; i++)
        if (str_eq(drivers[i]->name, name))
            return drivers[i]->stays_detected;
    return false;
}

/* A daemon that was seen before and is gone leaves its driver detected, unhealthy, with the
 * attributes that it had (fact: fingerprints 7.3, 13). */
static void keep_lost_driver(struct node *n, const struct node *before, struct driver_info *d)
{
    const struct driver_info *was = before ? node_driver(before, d->key) : NULL;
    _cleanup_free_ char *key = xasprintf("driver.%s", d->key);
    size_t len = strlen(key);

    if (d->detected || !was || !was->detected || !stays_detected(d->key))
        return;
    d->detected = true;
    for (size_t i = 0; i < before->attributes.n; i++) {
        const struct strpair *p = &before->attributes.items[i];

        if (str_starts(p->key, key) && (p->key[len] == '.' || !p->key[len]))
            strmap_set(&n->attributes, p->key, p->value);
    }
}

/* nomad v2.0.5 client/driver_manager: driver.<name> is "1" for a detected driver, whatever the
 * driver's own attribute says, and absent otherwise */
static void merge_driver(struct node *n, const struct driver_info *from,
                         const struct probe_status *st, const struct node *before)
{
    _cleanup_free_ char *key = xasprintf("driver.%s", from->key);
    struct driver_info *d = driver_slot(n, from->key);

    ops_clear(&desc_driver_info, d);
    COPY(desc_driver_info, d, from);
    if (gotime_is_zero(d->update_time))
        d->update_time = gotime_now();
    keep_lost_driver(n, before, d);
    if (!d->detected)
        return;
    if (st->stale) { /* what it said last is no health of now */
        d->healthy = false;
        str_set(&d->health_description, str_empty(st->reason) ? "no answer" : st->reason);
    }
    for (size_t i = 0; i < d->attributes.n; i++)
        strmap_set(&n->attributes, d->attributes.items[i].key, d->attributes.items[i].value);
    strmap_set(&n->attributes, key, "1");
}

static void merge_absent_driver(struct node *n, const struct probe_status *st)
{
    static const char prefix[] = "driver.";
    struct driver_info *d;

    if (st->state == PROBE_NEVER || !str_starts(st->name, prefix))
        return;
    d = driver_slot(n, st->name + sizeof(prefix) - 1);
    str_set(&d->health_description, str_empty(st->reason) ? "no result" : st->reason);
    d->update_time = gotime_now();
}

/* A host volume that hangs is not to be had: what would be placed on it would hang too. */
static void merge_volumes(struct node *n, const struct fp *fp, const struct probe_status *st)
{
    if (st->stale && st->state != PROBE_FAILED)
        return;
    for (size_t i = 0; i < fp->n_host_volumes; i++)
        COPY(desc_host_volume, vec_add(&n->host_volumes, &n->n_host_volumes), &fp->host_volumes[i]);
}

void merge_probe(struct node *n, const struct probe_status *st, const struct node *before)
{
    const struct fp *fp = st->fp;

    if (!fp) {
        merge_absent_driver(n, st);
        return;
    }
    for (size_t i = 0; i < fp->attributes.n; i++)
        if (!str_empty(fp->attributes.items[i].value))
            strmap_set(&n->attributes, fp->attributes.items[i].key, fp->attributes.items[i].value);
    for (size_t i = 0; i < fp->links.n; i++)
        strmap_set(&n->links, fp->links.items[i].key, fp->links.items[i].value);
    merge_resources(n->node_resources, fp);
    for (size_t i = 0; i < fp->n_drivers; i++)
        merge_driver(n, &fp->drivers[i], st, before);
    merge_volumes(n, fp, st);
}

/* --- what is derived --- */

/* Without a cpu result: one core of 1 MHz.  Servers from 1.7 on dereference a topology that neither
 * form gives them (fact: fingerprints, trap 3); nothing can be placed on 1 MHz. */
static void placeholder_cpu(struct node_resources *nr)
{
    if (nr->processors.topology || nr->cpu.cpu_shares != 0)
        return;
    ops_clear(&desc_node_cpu, &nr->cpu);
    nr->cpu.cpu_shares = 1;
    nr->cpu.total_cpu_cores = 1;
    nr->cpu.reservable_cpu_cores = xnew0_n(uint16_t, 1);
    nr->cpu.n_reservable_cpu_cores = 1;
}

static int by_device(const void *a, const void *b)
{
    const struct node_device *x = a, *y = b;
    int r = strcmp(str_or_empty(x->vendor), str_or_empty(y->vendor));

    if (r == 0)
        r = strcmp(str_or_empty(x->type), str_or_empty(y->type));
    return r ? r : strcmp(str_or_empty(x->name), str_or_empty(y->name));
}

static void set_legacy(struct node *n)
{
    const struct node_resources *nr = n->node_resources;
    struct legacy_resources *old = xnew0(struct legacy_resources);

    old->cpu = nr->cpu.cpu_shares;
    old->memory_mb = nr->memory.memory_mb;
    old->disk_mb = nr->disk.disk_mb;
    for (size_t i = 0; i < nr->n_networks; i++)
        COPY(desc_network_resource, vec_add(&old->networks, &old->n_networks), &nr->networks[i]);
    n->resources = old;
}

/* every map of the node is sent in key order, so that equal nodes are equal bytes */
static void sort_all(struct node *n)
{
    struct node_resources *nr = n->node_resources;

    if (n->n_drivers > 1)
        qsort(n->drivers, n->n_drivers, sizeof(n->drivers[0]), by_key);
    if (n->n_host_volumes > 1)
        qsort(n->host_volumes, n->n_host_volumes, sizeof(n->host_volumes[0]), by_key);
    if (nr->n_devices > 1) /* their order enters the computed class */
        qsort(nr->devices, nr->n_devices, sizeof(nr->devices[0]), by_device);
}

void merge_finish(struct node *n, const struct conf *conf)
{
    struct node_resources *nr = n->node_resources;
    int64_t min = conf->client.min_dynamic_port, max = conf->client.max_dynamic_port;

    nr->min_dynamic_port = min > 0 ? min : DYNAMIC_PORT_MIN;
    nr->max_dynamic_port = max > 0 ? max : DYNAMIC_PORT_MAX;
    placeholder_cpu(nr);
    sort_all(n);
    strmap_set(&n->attributes, "nomad.service_discovery", "false");
    if (str_empty(n->name)) {
        const char *host = strmap_get(&n->attributes, "unique.hostname");

        str_set(&n->name, str_empty(host) ? n->id : host);
    }
    set_legacy(n);
    node_canonicalize(n);
}
