#include "agent/collect.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"
#include "base/str.h"
#include "base/vec.h"
#include "codec/ops.h"
#include "agent/merge.h"
#include "agent/meta.h"

struct collect {
    const struct conf *conf; /* borrowed */
    const struct meta *meta; /* borrowed; may be NULL */
    char *node_id, *secret_id, *http_addr;
    const struct node_snap *snap; /* counted; NULL before the first merge */
};

const struct node_snap *node_snap_ref(const struct node_snap *s)
{
    ((struct node_snap *)(uintptr_t)s)->refs++;
    return s;
}

const struct node_snap *node_snap_unref(const struct node_snap *s)
{
    struct node_snap *m = (struct node_snap *)(uintptr_t)s;

    if (m && --m->refs == 0) {
        (void)node_free((struct node *)(uintptr_t)m->node);
        free(m);
    }
    return NULL;
}

struct collect *collect_new(const struct collect_opts *o)
{
    struct collect *c = xnew0(struct collect);

    c->conf = o->conf;
    c->meta = o->meta;
    c->node_id = xstrdup(o->node_id);
    c->secret_id = xstrdup(o->secret_id);
    c->http_addr = xstrdup(o->http_addr);
    return c;
}

struct collect *collect_free(struct collect *c)
{
    if (!c)
        return NULL;
    c->snap = node_snap_unref(c->snap);
    free(c->node_id);
    free(c->secret_id);
    free(c->http_addr);
    return mem_free(c);
}

const struct node_snap *collect_snap(const struct collect *c)
{
    return c->snap;
}

/* What a server is told only in company: the new node gets the old values of these when nothing
 * else changed, so that a snapshot differs from the last one only when it is worth sending. */
bool collect_merge(struct collect *c, const struct probe_status *st, size_t n)
{
    _cleanup_(node_freep) struct node *node = node_new();
    struct node_snap *snap;

    merge_skeleton(node, c->conf);
    str_set(&node->id, c->node_id);
    str_set(&node->secret_id, c->secret_id);
    str_set(&node->http_addr, c->http_addr);
    merge_baseline(node, c->conf, c->http_addr);
    if (c->meta) {
        strmap_done(&node->meta);
        strmap_copy(&node->meta, meta_merged(c->meta));
    }
    for (size_t i = 0; i < n; i++)
        merge_probe(node, &st[i], c->snap ? c->snap->node : NULL);
    merge_finish(node, c->conf);
    if (c->snap && !node_registration_changed(c->snap->node, node))
        return false;
    snap = xnew0(struct node_snap);
    snap->refs = 1;
    snap->serial = c->snap ? c->snap->serial + 1 : 1;
    snap->node = steal_ptr(&node);
    (void)node_snap_unref(c->snap);
    c->snap = snap;
    return true;
}

static void add_volumes(const struct conf *conf, struct probe_conf *pc)
{
    for (size_t i = 0; i < conf->client.n_volumes; i++) {
        const struct conf_volume *v = &conf->client.volumes[i];
        struct probe_volume *to = vec_add(&pc->volumes, &pc->n_volumes);

        to->name = xstrdup(v->name);
        to->path = xstrdup(v->path);
        to->read_only = v->read_only;
    }
}

static void add_host_networks(const struct conf *conf, struct probe_conf *pc)
{
    for (size_t i = 0; i < conf->client.n_host_networks; i++) {
        const struct conf_host_network *h = &conf->client.host_networks[i];
        struct probe_host_network *to = vec_add(&pc->host_networks, &pc->n_host_networks);

        to->name = xstrdup(h->name);
        to->cidr = xstrdup(h->cidr);
        to->interface = xstrdup(h->interface);
        to->reserved_ports = xstrdup(h->reserved_ports);
    }
}

void collect_probe_conf(const struct conf *conf, const char *http_addr, struct probe_conf *ret)
{
    struct probe_conf pc = {0};

    pc.alloc_dir = xstrdup(conf->client.alloc_dir);
    pc.network_interface = xstrdup(conf->client.network_interface);
    pc.network_speed = conf->client.network_speed;
    pc.cpu_total_compute = conf->client.cpu_total_compute;
    pc.memory_total_mb = conf->client.memory_total_mb;
    pc.disk_total_mb = conf->client.disk_total_mb;
    pc.reservable_cores = xstrdup(conf->client.reservable_cores);
    pc.reserved_cores = xstrdup(conf->client.reserved_cores);
    pc.reserved_cpu_mhz = conf->client.reserved_cpu;
    pc.preferred_address_family = xstrdup(conf->client.preferred_address_family);
    pc.http_addr = xstrdup(http_addr);
    pc.nomad_version = xstrdup(merge_nomad_version(conf));
    pc.picket_version = xstrdup(PICKET_VERSION);
    pc.service_discovery = false; /* until tasks can be run (design decision 14) */
    strmap_copy(&pc.options, &conf->client.options);
    for (size_t i = 0; i < conf->n_plugins; i++)
        strmap_set(&pc.plugins, conf->plugins[i].name, conf->plugins[i].config_json);
    add_volumes(conf, &pc);
    add_host_networks(conf, &pc);
    *ret = pc;
}
