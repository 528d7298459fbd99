/* conf/ports.h - lists of ports and other small texts that several keys share. */
#pragma once

#include "base/err.h"

/* Checks "22,80,8500-8600" (blanks around items are fine, "" is none); what is wrong is said in
 * Nomad's words.  Stricter than Nomad: 65536 is not a port. */
int ports_check(const char *text, struct err *e) _must_check_;
/* "host", "host:port", "[v6]:port", "v6": splits; port 0 when none is given.  -EINVAL with the
 * error.  The host is owned by the caller and comes without brackets. */
int host_port_split(const char *text, char **ret_host, int64_t *ret_port,
                    struct err *e) _must_check_;
/* "host:port", an IPv6 address in brackets; owned by the caller */
char *host_port_join(const char *host, int64_t port) _must_check_;
