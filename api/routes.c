#include "api/routes.h"

#include "api/handlers.h"
#include "base/mem.h"

#define READ  (ROUTE_PARAMS | ROUTE_REGION)
#define BLOCK (READ | ROUTE_BLOCKING)
#define LIST  (BLOCK | ROUTE_LIST_FIELDS)
#define WRITE ROUTE_REGION

/* Rows without a handler are what Nomad 2.0 serves and Picket does not yet: they answer 501 and say
 * so, because an empty 404 would look like a typing error. */
/* clang-format off */
const struct route routes[] = {
    {M_GET,   "/",                          root_redirect,     ROUTE_BARE, ACL_NOBODY_ASKED, NULL},
    {M_ANY,   "/ui/*",                      ui_page,           ROUTE_BARE, ACL_NOBODY_ASKED, NULL},

    {M_GET,   "/v1/nodes",                  nodes_list,        LIST,  ACL_NODE_READ,    "Node.List", VIEW_NODES},
    {M_WRITE, "/v1/node/:id/evaluate",      node_evaluate, WRITE, ACL_NODE_WRITE,   "Node.Evaluate",
              .missing = "evaluating the jobs of a node"},
    {M_GET,   "/v1/node/:id/allocations",   node_allocations,  BLOCK, ACL_NODE_READ,    "Node.GetAllocs", VIEW_NODE_ALLOCS},
    {M_WRITE, "/v1/node/:id/drain",         node_drain, WRITE | ROUTE_BODY, ACL_NODE_WRITE,   "Node.UpdateDrain",
              .missing = "draining nodes"},
    {M_WRITE, "/v1/node/:id/eligibility",   node_eligibility, WRITE | ROUTE_BODY, ACL_NODE_WRITE,   "Node.UpdateEligibility",
              .missing = "changing the scheduling eligibility of nodes"},
    {M_WRITE, "/v1/node/:id/purge",         node_purge, WRITE, ACL_NODE_WRITE,   "Node.Deregister",
              .missing = "purging nodes"},
    {M_GET,   "/v1/node/:id",               node_read,         BLOCK, ACL_NODE_READ,    "Node.GetNode", VIEW_NODE},

    {M_GET,   "/v1/status/leader",          status_leader,     READ,  ACL_NOBODY_ASKED, "Status.Leader"},
    {M_GET,   "/v1/status/peers",           status_peers,      READ,  ACL_NOBODY_ASKED, "Status.Peers"},
    {M_GET,   "/v1/regions",                regions_list,      0,     ACL_NOBODY_ASKED, "Region.List"},
    {M_GET,   "/v1/agent/health",           agent_health,      ROUTE_PARAMS, ACL_NOBODY_ASKED, NULL},
    {M_GET,   "/v1/agent/self",             agent_self,        0,     ACL_AGENT_READ,   NULL},
    {M_GET,   "/v1/agent/members",          agent_members,     0,     ACL_NODE_READ,    "Status.Members"},
    {M_GET,   "/v1/agent/servers",          agent_servers,     0,     ACL_AGENT_READ,   NULL},
    {M_WRITE, "/v1/agent/servers",          agent_set_servers, 0,     ACL_AGENT_WRITE,  NULL},
    {M_WRITE, "/v1/agent/reload",           configuration_reload, ROUTE_LOCAL_ROOT, ACL_NOBODY_ASKED, NULL},
    {M_GET,   "/v1/agent/fingerprint",      agent_fingerprint, 0,     ACL_NODE_READ,    NULL},

    {M_GET,   "/v1/agent/host",             agent_host,        ROUTE_REGION, ACL_AGENT_READ, "Agent.Host"},
    {M_GET,   "/v1/agent/monitor",          agent_monitor,     ROUTE_LOG, ACL_AGENT_READ, NULL},
    {M_ANY,   "/v1/agent/pprof/*",          agent_profile,     0,     ACL_AGENT_READ,   NULL},
    {M_GET,   "/v1/metrics",                metrics_read,      0,     ACL_NOBODY_ASKED, NULL},
    {M_ANY,   "/v1/client/stats",           client_stats,      ROUTE_REGION, ACL_NODE_READ, "ClientStats.Stats"},
    {M_ANY,   "/v1/client/gc",              client_gc,         ROUTE_REGION, ACL_NODE_WRITE, "Allocations.GarbageCollectAll"},
    {M_GET,   "/v1/client/metadata",        client_metadata_read, ROUTE_REGION, ACL_NODE_READ, "NodeMeta.Read"},
    {M_POST,  "/v1/client/metadata",        client_metadata_apply, ROUTE_REGION | ROUTE_BODY, ACL_NODE_WRITE, "NodeMeta.Apply"},

    {M_GET,   "/v1/operator/snapshot",      operator_snapshot_save, ROUTE_REGION, ACL_MANAGEMENT, NULL},
    {M_WRITE, "/v1/operator/snapshot",      operator_snapshot_restore, ROUTE_REGION | ROUTE_UPLOAD, ACL_MANAGEMENT, NULL},
    {M_WRITE, "/v1/system/gc",              system_gc,         ROUTE_REGION, ACL_MANAGEMENT,  "System.GarbageCollect"},
    {M_WRITE, "/v1/system/reconcile/summaries", system_reconcile, ROUTE_REGION, ACL_MANAGEMENT, "System.ReconcileJobSummaries"},

#define MISSING(methods_, pattern_, what) {.methods = (methods_), .pattern = (pattern_), .missing = (what)}
    MISSING(M_GET | M_WRITE, "/v1/node/pools", "node pools"),
    MISSING(M_GET | M_WRITE | M_DELETE, "/v1/node/pool/*", "node pools"),
    MISSING(M_WRITE, "/v1/agent/join", "joining servers over HTTP"),
    MISSING(M_WRITE, "/v1/agent/force-leave", "removing servers over HTTP"),
    MISSING(M_ANY, "/v1/agent/keyring/*", "the gossip key ring"),
    MISSING(M_ANY, "/v1/agent/schedulers", "the scheduler"),
    MISSING(M_ANY, "/v1/agent/schedulers/*", "the scheduler"),
    MISSING(M_ANY, "/v1/client/identity", "node identities"),
    MISSING(M_ANY, "/v1/client/identity/*", "node identities"),
    MISSING(M_ANY, "/v1/client/allocation/*", "actions on allocations"),
    MISSING(M_ANY, "/v1/client/fs/*", "the files and logs of allocations"),
    MISSING(M_GET, "/v1/event/stream", "the event stream"),
    MISSING(M_GET | M_WRITE, "/v1/jobs", "jobs"),
    MISSING(M_ANY, "/v1/jobs/*", "jobs"),
    MISSING(M_ANY, "/v1/job/*", "jobs"),
    MISSING(M_WRITE, "/v1/validate/job", "jobs"),
    MISSING(M_GET, "/v1/allocations", "the list of allocations"),
    MISSING(M_ANY, "/v1/allocation/*", "single allocations"),
    MISSING(M_ANY, "/v1/evaluations", "evaluations"),
    MISSING(M_ANY, "/v1/evaluations/*", "evaluations"),
    MISSING(M_GET, "/v1/evaluation/*", "evaluations"),
    MISSING(M_GET, "/v1/deployments", "deployments"),
    MISSING(M_ANY, "/v1/deployment/*", "deployments"),
    MISSING(M_WRITE, "/v1/search", "search"),
    MISSING(M_WRITE, "/v1/search/fuzzy", "search"),
    MISSING(M_GET, "/v1/namespaces", "namespaces"),
    MISSING(M_ANY, "/v1/namespace", "namespaces"),
    MISSING(M_ANY, "/v1/namespace/*", "namespaces"),
    MISSING(M_GET, "/v1/services", "service discovery"),
    MISSING(M_ANY, "/v1/service/*", "service discovery"),
    MISSING(M_ANY, "/v1/vars", "variables"),
    MISSING(M_ANY, "/v1/var/*", "variables"),
    MISSING(M_ANY, "/v1/scaling/*", "scaling"),
    MISSING(M_ANY, "/v1/plugins", "CSI plugins"),
    MISSING(M_ANY, "/v1/plugin/*", "CSI plugins"),
    MISSING(M_ANY, "/v1/volumes", "volumes"),
    MISSING(M_ANY, "/v1/volumes/*", "volumes"),
    MISSING(M_ANY, "/v1/volume/*", "volumes"),
    MISSING(M_ANY, "/v1/operator/*", "operator endpoints"),
    MISSING(M_ANY, "/v1/acl/*", "access control"),
    MISSING(M_ANY, "/v1/quotas", "quotas"),
    MISSING(M_ANY, "/v1/quota/*", "quotas"),
    MISSING(M_ANY, "/v1/quota-usages", "quotas"),
    MISSING(M_ANY, "/v1/sentinel/*", "Sentinel policies"),
    MISSING(M_ANY, "/v1/recommendations", "recommendations"),
    MISSING(M_ANY, "/v1/recommendation/*", "recommendations"),
#undef MISSING
};
/* clang-format on */
const size_t n_routes = ARRAY_LEN(routes);
