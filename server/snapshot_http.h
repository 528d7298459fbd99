/* server/snapshot_http.h - one blocking HTTP request to the server on this host, for the command.
 */
#pragma once

#include "base/err.h"

/* address: "http://host:port", "host:port" or "unix:/path".  in_fd >= 0: sent as body; out_fd >= 0:
 * gets the body of a 200; e gets the text of another status. */
int snapshot_http(const char *address, const char *method, int in_fd, int out_fd, const char *token,
                  struct err *e) _must_check_;
