/* cli/node_view.h - how nodes are shown; fills text, does no I/O. */
#pragma once

#include "base/buf.h"
#include "cli/node_stats.h"
#include "cli/seen.h"
#include "model/node.h"

struct node_list_opts {
    bool verbose, os, quiet;
    const int64_t *running; /* running allocations per node, NULL = not shown */
};
/* the table of nodes, as `nomad node status` */
void view_nodes(const struct node_stub *nodes, size_t n, const struct node_list_opts *o,
                struct buf *out);

/* those that a prefix matches, for the complaint about it */
void view_matches(const struct node_stub *nodes, size_t n, bool verbose, struct buf *out);

struct node_detail {
    const struct node *node;
    const struct seen_alloc *allocs;
    size_t n_allocs;
    const struct node_stats *stats; /* NULL: no statistics */
    double used_ticks;              /* of all running allocations, as far as they told */
    uint64_t used_memory;
    bool verbose, is_short, all_stats; /* all_stats: each core, disk, device */
    int64_t now_ns;
};
void view_node(const struct node_detail *d, struct buf *out);

/* what is asked for a prefix: an even number of digits (nomad command/helpers.go
 * sanitizeUUIDPrefix); owned by the caller */
char *sanitize_prefix(const char *prefix) _must_check_;
/* first eight characters of an id, or all of it */
const char *short_id(const char *id, bool whole, char ret[64]);
