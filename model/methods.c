/* model/methods.c - the table of RPC methods (fact: rpc-wire 8). */
#include "model/methods.h"

#include <string.h>

#include "model/rpc_client.h"
#include "model/rpc_types.h"
#include "model/rpc_write.h"

/* clang-format off */
const struct method methods[M_MAX] = {
    {M_AGENT_HOST, "Agent.Host", &desc_host_data_request, &desc_host_data_response, METHOD_CLIENT},
    {M_AGENT_PROFILE, "Agent.Profile", &desc_agent_profile_request, &desc_agent_profile_response, METHOD_CLIENT},
    {M_ALLOC_GET_ALLOCS, "Alloc.GetAllocs", &desc_allocs_get_request, &desc_allocs_get_response, METHOD_BLOCKING},
    {M_ALLOCATIONS_GC_ALL, "Allocations.GarbageCollectAll", &desc_node_specific_request, &desc_write_meta,
     METHOD_CLIENT},
    {M_CLIENT_STATS, "ClientStats.Stats", &desc_node_specific_request, &desc_client_stats_response, METHOD_CLIENT},
    {M_NODE_DEREGISTER, "Node.Deregister", &desc_node_write_request, &desc_node_update_response, METHOD_WRITE},
    {M_NODE_EMIT_EVENTS, "Node.EmitEvents", &desc_emit_node_events_request, &desc_write_meta, METHOD_WRITE},
    {M_NODE_EVALUATE, "Node.Evaluate", &desc_node_write_request, &desc_node_update_response, METHOD_WRITE},
    {M_NODE_GET_ALLOCS, "Node.GetAllocs", &desc_node_specific_request, &desc_node_allocs_response, METHOD_BLOCKING},
    {M_NODE_GET_CLIENT_ALLOCS, "Node.GetClientAllocs", &desc_node_specific_request, &desc_node_client_allocs_response,
     METHOD_BLOCKING | METHOD_NODE},
    {M_NODE_GET_NODE, "Node.GetNode", &desc_node_specific_request, &desc_single_node_response, METHOD_BLOCKING},
    {M_NODE_LIST, "Node.List", &desc_node_list_request, &desc_node_list_response, METHOD_BLOCKING},
    {M_NODE_REGISTER, "Node.Register", &desc_node_register_request, &desc_node_update_response,
     METHOD_WRITE | METHOD_NODE},
    {M_NODE_UPDATE_ALLOC, "Node.UpdateAlloc", &desc_alloc_update_request, &desc_write_meta, METHOD_WRITE},
    {M_NODE_UPDATE_DRAIN, "Node.UpdateDrain", &desc_node_update_drain_request, &desc_node_drain_update_response,
     METHOD_WRITE},
    {M_NODE_UPDATE_ELIGIBILITY, "Node.UpdateEligibility", &desc_node_update_eligibility_request,
     &desc_node_drain_update_response, METHOD_WRITE},
    {M_NODE_UPDATE_STATUS, "Node.UpdateStatus", &desc_node_update_status_request, &desc_node_update_response,
     METHOD_WRITE | METHOD_NODE},
    {M_NODE_META_APPLY, "NodeMeta.Apply", &desc_node_meta_apply_request, &desc_node_meta_response, METHOD_CLIENT},
    {M_NODE_META_READ, "NodeMeta.Read", &desc_node_specific_request, &desc_node_meta_response, METHOD_CLIENT},
    {M_REGION_LIST, "Region.List", &desc_generic_request, NULL, METHOD_NO_REGION},
    {M_STATUS_HAS_NODE_CONN, "Status.HasNodeConn", &desc_node_specific_request, &desc_node_conn_query_response,
     METHOD_NO_REGION},
    {M_STATUS_LEADER, "Status.Leader", &desc_generic_request, NULL, METHOD_NO_REGION},
    {M_STATUS_MEMBERS, "Status.Members", &desc_generic_request, &desc_server_members_response, METHOD_NO_REGION},
    {M_STATUS_PEERS, "Status.Peers", &desc_generic_request, NULL, METHOD_NO_REGION},
    {M_STATUS_PING, "Status.Ping", &desc_generic_request, NULL, METHOD_NO_REGION},
    {M_STATUS_VERSION, "Status.Version", &desc_generic_request, &desc_version_response, METHOD_NO_REGION},
    {M_SYSTEM_GC, "System.GarbageCollect", &desc_generic_request, &desc_write_meta, METHOD_WRITE},
    {M_SYSTEM_RECONCILE, "System.ReconcileJobSummaries", &desc_generic_request, &desc_write_meta, METHOD_WRITE},
};
/* clang-format on */

const char *method_server_name(const struct method *m)
{
    return m->id == M_ALLOCATIONS_GC_ALL ? "ClientAllocations.GarbageCollectAll" : m->name;
}

const struct method *method_find(const char *name)
{
    size_t lo = 0, hi = M_MAX;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int c = strcmp(methods[mid].name, name);

        if (c == 0)
            return &methods[mid];
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}
