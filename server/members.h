/* server/members.h - this server as a member of its cluster of one, for RPC and HTTP. */
#pragma once

#include "model/rpc_types.h"
#include "server/server.h"

/* fills a zeroed reply; clear with ops_clear() */
void members_fill(const struct server *s, struct server_members_response *ret);
