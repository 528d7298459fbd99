/* server/gc.h - nodes that have been down for long are forgotten (facts: server-semantics 10; nomad
 * v1.10.5 nomad/core_sched.go nodeGC).
 *
 * Every 5 minutes, and when an operator says so, then without regard to age.  One run looks at the
 * nodes that are down in slices of a turn and deletes in transactions of GC_NODES each, one at a
 * time; a node that came back meanwhile stays.  An agent whose node is gone registers again.
 *
 * Owns: itself; a transaction on its way keeps it alive.
 */
#pragma once

#include "server/server.h"

enum { GC_NODES = 100 };

struct gc;

struct gc *gc_new(struct server *s) _must_check_;
/* before the store closes: a transaction that is on its way ends without a word */
struct gc *gc_free(struct gc *g);
/* now; force: whatever their age.  During a run: another one follows. */
void gc_run(struct gc *g, bool force);
