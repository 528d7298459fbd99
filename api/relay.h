/* api/relay.h - an answer over HTTP that another agent's streaming RPC feeds: its payload bytes, as
 * they come (facts: rpc-wire 11.2, http-api 10, /v1/agent/monitor with node_id).
 *
 * The head is sent with the first payload, so that a refusal or an error before it still becomes a
 * status.  At most one frame waits here: while it does, the stream is paused.
 *
 * Owns: itself, from relay_new() until the stream or the peer has ended.
 */
#pragma once

#include "api/view.h"
#include "wire/rpc_stream.h"

struct relay;

/* content_type: static */
struct relay *relay_new(const char *content_type);
extern const struct rpc_stream_user relay_user; /* arg: the struct relay */
/* the stream, opened with relay_user (taken); ret: how the answer begins, to be used exactly once,
 * in this turn */
void relay_start(struct relay *r, struct rpc_stream *take_s, struct view_stream *ret);
