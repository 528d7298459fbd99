/* api/monitor_rpc.h - the log over a streaming RPC: what the acceptors of Agent.Monitor share
 * (fact: rpc-wire 11.2).
 */
#pragma once

#include "api/monitor.h"
#include "base/err.h"
#include "model/rpc_client.h"
#include "wire/rpc_stream.h"

extern const struct monitor_sink monitor_rpc_sink; /* arg: the struct rpc_stream */
/* level and form; text and HTTP status in e */
int monitor_rpc_read(const struct monitor_request *q, struct monitor_opts *ret,
                     struct err *e) _must_check_;
/* an error is the last thing said: {"Error": {"Code", "Message"}}; e->status 0 = 500 */
void monitor_rpc_fail(struct rpc_stream *take_s, const struct err *e);
