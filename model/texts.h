/* model/texts.h - messages that peers match on or users know from Nomad, word for word.
 *
 * Sources: facts rpc-wire 6, server-semantics 1.2-1.7, http-api 3.
 */
#pragma once

/* RPC errors */
#define TEXT_NODE_NOT_FOUND           "node not found" /* clients register again on it */
#define TEXT_SECRET_MISMATCH          "node secret ID does not match" /* likewise */
#define TEXT_SECRET_MISMATCH_REGISTER "node secret ID does not match. Not registering node."
#define TEXT_INVALID_STATUS           "invalid status for node"
#define TEXT_MISSING_NODE             "missing node for client registration"
#define TEXT_MISSING_NODE_ID          "missing node ID for client registration"
#define TEXT_MISSING_DATACENTER       "missing datacenter for client registration"
#define TEXT_MISSING_NAME             "missing node name for client registration"
#define TEXT_MISSING_ATTRIBUTES       "missing attributes for client registration"
#define TEXT_MISSING_SECRET           "missing node secret ID for client registration"
/* picket-server's own: Nomad answers success and stores nothing */
#define TEXT_SECRET_NO_UUID         "node secret ID must be a UUID of 36 characters"
#define TEXT_MISSING_STATUS_NODE_ID "missing node ID for client status update"
#define TEXT_MISSING_STATUS_SECRET  "missing node secret ID for client status update"
#define TEXT_MISSING_ID             "missing node ID"
#define TEXT_UUID_LENGTH            "node lookup failed: index error: UUID must be 36 characters"
#define TEXT_NODE_LOOKUP            "node lookup failed: index error: %s"
#define TEXT_NO_EVENTS              "no node events given"
#define TEXT_NO_EVENTS_FOR          "no node events given for node \"%s\""
#define TEXT_NO_ALLOCS              "must update at least one allocation"
#define TEXT_EVALS_SET              "evals field must not be set"
#define TEXT_UPDATE_WHILE_DOWN      "node %s is not allowed to update allocs while in status %s"
#define TEXT_MISSING_REGION         "missing region for target RPC"
#define TEXT_NO_PATH_TO_REGION      "No path to region"
#define TEXT_NO_LEADER              "No cluster leader"
#define TEXT_NOT_READY              "Not ready to serve consistent reads"
#define TEXT_PERMISSION_DENIED      "Permission denied"
#define TEXT_TOKEN_NOT_FOUND        "ACL token not found"
#define TEXT_POOL_ALL               "node is not allowed to register in node pool \"all\""
#define TEXT_NO_SERVICE             "rpc: can't find service %s"
#define TEXT_NO_METHOD              "rpc: can't find method %s"
#define TEXT_ILL_FORMED             "rpc: service/method request ill-formed: %s"
#define TEXT_NO_STREAM_METHOD       "Unknown rpc method: \"%s\""
#define TEXT_UNKNOWN_NODE           "Unknown node \"%s\""
#define TEXT_UNKNOWN_NODE_PLAIN     "Unknown node %s" /* of calls; streams quote it */
#define TEXT_NO_PATH_TO_NODE        "No path to node"
#define TEXT_NO_NODE_ID             "missing NodeID"
#define TEXT_UNKNOWN_ALLOC          "Unknown allocation \"%s\""

/* HTTP bodies */
#define TEXT_NO_LOCAL_NODE  "No local Node and node_id not provided"
#define TEXT_UNKNOWN_SERVER "unknown Nomad server %s"
#define TEXT_HTTP_METHOD    "Invalid method"
#define TEXT_HTTP_INDEX     "Invalid index"
#define TEXT_HTTP_WAIT      "Invalid wait time"
#define TEXT_HTTP_STALE     "Expect `true` or `false` for `stale` query string parameter"
#define TEXT_HTTP_PER_PAGE  "Expect a number for `per_page` query string parameter"

/* node events: message, subsystem */
#define EVENT_REGISTERED        "Node registered"
#define EVENT_REREGISTERED_BEAT "Node reregistered by heartbeat"
#define EVENT_BEAT_MISSED       "Node heartbeat missed"
#define EVENT_SUBSYSTEM_CLUSTER "Cluster"
/* an agent's own: what happened to its heartbeats and to its standing with the servers */
#define EVENT_BEAT_LATE           "Heartbeat was late by %.1f s"
#define EVENT_BEAT_GIVEN_UP       "Servers had given this node up before its heartbeat"
#define EVENT_SECRET_REFUSED      "Servers refuse this node: they know it by another secret"
#define EVENT_IDENTITY_DROPPED    "Signed identity is not accepted any more, using the node's secret"
#define EVENT_NODE_UNKNOWN        "Servers did not know this node, registering again"
#define EVENT_SUBSYSTEM_HEARTBEAT "Heartbeat" /* nomad structs.go NodeEventSubsystemHeartbeat */
#define EVENT_SUBSYSTEM_DRIVER    "Driver"
#define EVENT_SUBSYSTEM_STORAGE   "Storage"
