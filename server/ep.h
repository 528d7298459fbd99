/* server/ep.h - the endpoints: check, change the store or read it, answer.
 *
 * One function per row of model/methods; server/dispatch.c calls them with a decoded request whose
 * region is ours.  Each answers its call exactly once.
 */
#pragma once

#include "server/call.h"

typedef void endpoint(struct call *take_c);

endpoint ep_node_register, ep_node_update_status, ep_node_emit_events, ep_node_update_alloc;
endpoint ep_node_get_client_allocs, ep_node_get_node, ep_node_get_allocs, ep_node_list;
endpoint ep_alloc_get_allocs;
endpoint ep_status_ping, ep_status_leader, ep_status_peers, ep_status_version, ep_status_members,
    ep_status_has_node_conn, ep_region_list;
endpoint ep_system_gc, ep_system_reconcile;
/* goes on with the answers of Node.List (a struct server); for server.run_listings */
void ep_lists_run(void *arg);
