/* probe/resolve.h - names of servers into addresses, for daemons that must not block. */
#pragma once

#include "base/err.h"

/* Prints one address a line, "192.0.2.7:4647" or "[2001:db8::7]:4647", in the resolver's order and
 * without doubles.  -EHOSTUNREACH with the resolver's words. */
int resolve_print(const char *host, const char *port, struct err *e) _must_check_;
