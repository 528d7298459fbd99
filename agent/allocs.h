/* agent/allocs.h - what the servers want to run here.
 *
 * Long-polls Node.GetClientAllocs (facts: rpc-wire 12).  Tasks cannot be run yet (design decision
 * 14): an allocation that arrives all the same is pulled and failed once, with a task event that
 * says why; the verdict is remembered in the journal, so that neither a restart nor the next poll
 * repeats it.  Servers keep a returning node "initializing" until its allocations are reported
 * again: allocs_report_again().  One that was failed and is no longer listed has been collected:
 * its folder goes too.
 */
#pragma once

#include "agent/journal.h"
#include "agent/session.h"

struct allocs;

struct allocs_opts {
    struct loop *loop;
    struct pool *pool;
    struct session *session;
    struct journal *journal;
    const char *region, *node_id, *secret_id; /* borrowed */
    const char *probe_path, *alloc_dir;       /* for agent/alloc_dirs; copied */
};
struct allocs *allocs_new(const struct allocs_opts *o);
struct allocs *allocs_free(struct allocs *a);
DEFINE_CLEANUP(struct allocs, allocs_free)

/* after a registration; known = false: the servers lost what they knew, indexes start anew */
void allocs_start(struct allocs *a, bool known);
/* a server answers again: do not wait out a back-off */
void allocs_kick(struct allocs *a);
/* sends the remembered verdicts once more; nothing when there are none */
void allocs_report_again(struct allocs *a);
/* how many the servers list for this node */
size_t allocs_count(const struct allocs *a);
