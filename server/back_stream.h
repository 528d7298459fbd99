/* server/back_stream.h - streaming RPCs that others open to this server.
 *
 * Agent.Monitor: the log of this server, or of an agent whose stream is passed on, object by
 * object; at most one waits here while the asker takes none.
 */
#pragma once

#include "server/server.h"

rpc_stream_handler back_stream; /* arg: the server */
/* ends them all; before the connections go */
void back_streams_done(struct server *s);
