/* server/dispatch.h - requests of connections to endpoints: the handler of wire/accept. */
#pragma once

#include "server/server.h"

/* rpc_handler; arg is the server */
void dispatch_request(void *arg, struct rpc_request *q);
/* the node a session is bound to; NULL when there is none */
const struct uuid *dispatch_bound_node(const struct rpc_session *s);
