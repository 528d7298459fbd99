/* agent/mirror.h - the API's view over the agent's own node (design decision 15).
 *
 * Before first contact: the local snapshot, index 0.  From then on: the last copy that a server
 * gave, kept current by a blocking Node.GetNode.  While no server answers: KnownLeader false and
 * LastContact its age; the list has the one node then.  It has no allocations then, as tasks cannot
 * be run; which ones it failed the servers know.  What else is asked goes to the servers
 * (agent/mirror_open.h); behind a write that came this way the own node is read there, too, until
 * the copy shows it.
 */
#pragma once

#include "agent/allocs.h"
#include "agent/session.h"
#include "agent/stats.h"
#include "api/view.h"
#include "conf/conf.h"
#include "fingerprint/run.h"

struct mirror;

struct mirror_opts {
    struct loop *loop;
    struct pool *pool;
    struct session *session;
    const struct allocs *allocs;
    const struct probe_run *const *probes; /* where the owner keeps it; *probes NULL = none yet */
    const struct flap *flap;               /* facts that flap; may be NULL */
    const struct conf *conf;               /* all borrowed */
    const char *http_addr;
    const char *node_id, *secret_id;
    /* What servers would ask this node, for requests of the API (agent/backcalls.h); NULL: servers
     * are asked for that too. */
    const struct view *(*open_own)(void *arg, const struct ask *q, struct view_wait *w);
    struct stats *stats; /* for metrics; NULL: there are none */
    /* Replaces the list of servers; the addresses are "host[:port]".  -EINVAL with a sentence. */
    int (*set_servers)(void *arg, const char *const *v, size_t n, struct err *e);
    /* a server gave a new copy */
    void (*on_node)(void *arg, const struct node_item *it);
    /* a view for the request to read the configuration again (agent/reload.h); NULL: the agent
     * cannot */
    const struct view *(*open_reload)(void *arg, struct view_wait *w);
    void *arg;
};
struct mirror *mirror_new(const struct mirror_opts *o);
struct mirror *mirror_free(struct mirror *m);
DEFINE_CLEANUP(struct mirror, mirror_free)

void mirror_set_local(struct mirror *m, const struct node_snap *snap);
/* after a registration; known = false: indexes start anew */
void mirror_start(struct mirror *m, bool known);
void mirror_kick(struct mirror *m); /* a server answers again */
/* borrowed, lives as long as the mirror */
const struct view *mirror_view(const struct mirror *m);
/* the node as it is shown; borrowed; NULL before there is one */
const struct node_item *mirror_item(const struct mirror *m);
