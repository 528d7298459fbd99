/* api/handlers.h - the handlers, by file; see api/routes.h for what one is. */
#pragma once

#include "api/ask.h"
#include "api/reply.h"
#include "api/routes.h"
#include "api/view.h"

/* h_nodes.c */
handler nodes_list;
/* h_node.c */
handler node_read;
handler node_allocations;
/* h_node_write.c */
handler node_drain;
handler node_eligibility;
handler node_evaluate;
handler node_purge;
/* h_status.c */
handler status_leader;
handler status_peers;
handler regions_list;
/* h_agent.c */
handler agent_self;
handler agent_members;
handler agent_health;
handler agent_fingerprint;
/* h_servers.c */
handler agent_servers;
handler agent_set_servers;
/* h_client.c */
handler client_stats;
handler client_gc;
handler client_metadata_read;
handler client_metadata_apply;
handler agent_host;
handler agent_monitor;
handler agent_profile;
/* h_metrics.c */
handler metrics_read;
/* h_operator.c */
handler operator_snapshot_save;
handler operator_snapshot_restore;
handler system_gc;
handler system_reconcile;
/* h_reload.c */
handler configuration_reload;
/* h_ui.c: what Nomad's web interface would be at */
handler root_redirect;
handler ui_page;
