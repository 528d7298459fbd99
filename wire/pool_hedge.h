/* wire/pool_hedge.h - for a caller that cannot wait: which server a call went to, and distrust.
 *
 * A heartbeat that one server leaves unanswered is asked of another one while the first call still
 * runs; whichever answers first counts.
 *
 * Depends on: wire/pool.
 */
#pragma once

#include "wire/pool.h"

/* "ip:port" of the server asked now, NULL while the call waits to be tried again; borrowed until
 * the next turn of the loop */
const char *pool_call_server(const struct pool_call *c);
/* The server that was asked is silent: calls from now on go to the next one, or over another
 * connection when it is the only one.  The call itself goes on, and its answer still counts. */
void pool_call_doubt(struct pool_call *c);
