/* server/back.h - the way to the agents: what one of them is asked goes out on its own connection.
 *
 * A node is reached over the newest connection that one of its methods has bound (server/dispatch).
 * Requests and replies pass through as they are, so that fields of other releases survive.
 *
 * Facts: rpc-wire 11; texts and statuses as nomad 1.0.18 and 1.10 answer.
 */
#pragma once

#include "server/call.h"

#define BACK_TIMEOUT_NS (30 * NSEC_PER_SEC)

/* The connection of a node, borrowed.  Errors: no id, one that is none, a node that nobody knows
 * (-ENOENT), one that is not connected here (-ENOTCONN). */
int back_find(const struct server *s, const char *node_id, struct rpc_session **ret,
              struct err *e) _must_check_;
/* the same for a node that is known to be one; NULL: it has none */
struct rpc_session *back_session(const struct server *s, const struct uuid *node);
/* NodeID of a request to an agent; "" */
const char *back_node_id(const struct method *m, const void *request);

/* The name by which an agent serves what servers call name, or NULL: the calls about allocations
 * have another service here than there. */
const char *back_method_name(const char *name);

/* the endpoint of all methods with METHOD_CLIENT */
void ep_back(struct call *take_c);

/* the view of a request that one agent answers (api/view.h, open); NULL: it is another request */
const struct view *back_view_open(void *server, const struct ask *q, struct view_wait *w);
/* likewise the log of one agent (api/view.h, monitor) */
int back_monitor(void *server, const struct monitor_request *q, struct view_stream *ret,
                 struct err *e);
