/* wire/addr.h - socket addresses as text: "1.2.3.4:80", "[::1]:80", "unix:/path".
 *
 * Literal addresses only; names are resolved elsewhere.  An IPv4 address mapped into IPv6 is shown
 * as IPv4.
 */
#pragma once

#include <sys/socket.h>

#include "base/err.h"

/* -EINVAL with a sentence when it is none of the three forms */
int addr_parse(const char *text, struct sockaddr_storage *ret, socklen_t *ret_len,
               struct err *e) _must_check_;
/* "ip:port", "unix" for a unix socket without a path, "unix:/path"; owned by the caller */
char *addr_format(const struct sockaddr_storage *a, socklen_t len) _must_check_;
/* the address part of "ip:port", for counting by client; "unix" stays; owned by the caller */
char *addr_host(const char *text) _must_check_;
