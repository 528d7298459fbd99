/* model/methods.h - the RPC methods: name, argument, reply, who serves and who may call.
 *
 * One const table, sorted by name; the server dispatches by it, the agent calls by it, the fuzzers
 * walk it.
 */
#pragma once

#include "codec/desc.h"

enum method_id {
    M_AGENT_HOST,
    M_AGENT_PROFILE,
    M_ALLOC_GET_ALLOCS,
    M_ALLOCATIONS_GC_ALL,
    M_CLIENT_STATS,
    M_NODE_DEREGISTER,
    M_NODE_EMIT_EVENTS,
    M_NODE_EVALUATE,
    M_NODE_GET_ALLOCS,
    M_NODE_GET_CLIENT_ALLOCS,
    M_NODE_GET_NODE,
    M_NODE_LIST,
    M_NODE_REGISTER,
    M_NODE_UPDATE_ALLOC,
    M_NODE_UPDATE_DRAIN,
    M_NODE_UPDATE_ELIGIBILITY,
    M_NODE_UPDATE_STATUS,
    M_NODE_META_APPLY,
    M_NODE_META_READ,
    M_REGION_LIST,
    M_STATUS_HAS_NODE_CONN,
    M_STATUS_LEADER,
    M_STATUS_MEMBERS,
    M_STATUS_PEERS,
    M_STATUS_PING,
    M_STATUS_VERSION,
    M_SYSTEM_GC,
    M_SYSTEM_RECONCILE,
    M_MAX,
};

enum method_flags {
    METHOD_NO_REGION = 1 << 0, /* Status.*: an empty region is fine */
    METHOD_BLOCKING = 1 << 1,  /* MinQueryIndex is honoured */
    METHOD_WRITE = 1 << 2,     /* changes state: only the leader answers */
    METHOD_NODE = 1 << 3,      /* called by an agent for its own node: binds the connection to it */
    METHOD_CLIENT = 1 << 4,    /* served by agents; servers pass it on to the node that is meant */
};

struct method {
    enum method_id id;
    const char *name;           /* "Node.Register" */
    const struct desc *request; /* NULL = no argument */
    const struct desc *reply;   /* NULL = not a struct (Status.Leader, Status.Peers) or {} */
    unsigned flags;
};

extern const struct method methods[M_MAX];
/* The name by which servers know a method of agents: calls about allocations have a service of
 * another name there.  Borrowed, static. */
const char *method_server_name(const struct method *m);
/* NULL when there is none */
const struct method *method_find(const char *name);
