/* agent/backcalls.h - what servers ask this node: one table from method to function.
 *
 * A request for another node is refused.  Two doors to one table: the RPC handler of the connection
 * to the servers, and a view for requests of the local API about this node (/v1/client/...).
 * Whatever belongs to an allocation is answered with Nomad's error for one that is not known; Go
 * profiles are refused (fact: rpc-wire 11.1). Answers that need the host's disks are made by a
 * picket-probe child and come later.
 */
#pragma once

#include "agent/meta.h"
#include "agent/stats.h"
#include "api/ask.h"
#include "api/view.h"
#include "conf/conf.h"
#include "wire/rpc_stream.h"

struct backcalls;

struct backcalls_opts {
    struct loop *loop;
    const struct conf *conf;
    const char *node_id, *secret_id; /* borrowed */
    const char *probe_path;
    struct meta *meta;
};
struct backcalls *backcalls_new(const struct backcalls_opts *o);
struct backcalls *backcalls_free(struct backcalls *b); /* after pool and api */
DEFINE_CLEANUP(struct backcalls, backcalls_free)

void backcalls_request(void *arg, struct rpc_request *q);                   /* rpc_handler */
void backcalls_stream(void *arg, struct rpc_stream *s, const char *method); /* rpc_stream_handler */
/* the node as it is now, whose speed is what ticks are counted by; not kept */
void backcalls_set_node(struct backcalls *b, const struct node *n);
struct stats *backcalls_stats(struct backcalls *b); /* borrowed: for metrics */
/* a view for one request of the local API, whose op call() answers from the same table (api/view.h,
 * open) */
const struct view *backcalls_open(struct backcalls *b, const struct ask *q, struct view_wait *w);
