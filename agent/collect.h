/* agent/collect.h - the one writer of the node object.
 *
 * Takes the status of every probe, in row order, and computes the whole node anew; when it does not
 * differ from the last one in anything a server should know (design decisions 4, 5, 7), nothing
 * happens.  A probe that failed, hangs or is stale counts with its last good result; a driver that
 * never had one is listed as undetected with the reason as its health description.
 *
 * Snapshots are const and counted: nobody changes one that has left this file.  They carry what the
 * agent says about itself; what servers own (events, drain, class, indexes) stays zero.
 */
#pragma once

#include "conf/conf.h"
#include "fingerprint/run.h"
#include "model/node.h"

struct meta;

struct node_snap {
    unsigned refs;
    uint64_t serial;         /* 1, 2, ... */
    const struct node *node; /* owned */
};
const struct node_snap *node_snap_ref(const struct node_snap *s);
const struct node_snap *node_snap_unref(const struct node_snap *s); /* NULL-safe; returns NULL */
static inline void node_snap_unrefp(const struct node_snap **p)
{
    *p = node_snap_unref(*p);
}

struct collect;

struct collect_opts {
    const struct conf *conf; /* borrowed */
    const char *node_id;     /* copied */
    const char *secret_id;   /* copied */
    const char *http_addr;   /* advertised "host:port"; copied */
    const struct meta *meta; /* borrowed; NULL: the configuration's metadata alone */
};
struct collect *collect_new(const struct collect_opts *o);
struct collect *collect_free(struct collect *c);
DEFINE_CLEANUP(struct collect, collect_free)

/* Merges n probe results.  Returns whether collect_snap() is a new one. */
bool collect_merge(struct collect *c, const struct probe_status *st, size_t n);
/* the newest snapshot, borrowed until the next merge; NULL before the first */
const struct node_snap *collect_snap(const struct collect *c);

/* the part of the configuration that probes need, with what the agent advertises; clear with
 * ops_clear(&desc_probe_conf, ret) */
void collect_probe_conf(const struct conf *conf, const char *http_addr, struct probe_conf *ret);
