/* probe/resolve.h - "picket-probe -resolve HOST PORT": addresses of a name, one "ip:port" a line.
 *
 * getaddrinfo may block for as long as a name server likes, so agents run it in this child with a
 * deadline.
 */
#pragma once

#include "base/mem.h"

/* prints to stdout; the exit status: 0, or 1 with the reason on stderr */
int resolve_print(const char *host, const char *port) _must_check_;
