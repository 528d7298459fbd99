/* agent/host.h - the report on the host (Nomad's Agent.Host, /v1/agent/host).
 *
 * Values of environment variables whose names look like a secret's, and passwords in URLs, are
 * "<redacted>": more names than Nomad redacts.  Reads small files and asks the kernel; no disk is
 * asked here, its figures come from agent/stats.
 */
#pragma once

#include "model/rpc_client.h"

#define HOST_REDACTED "<redacted>"

/* whether a variable or option of that name may hold a secret */
bool host_secret_name(const char *name, size_t n);
/* Fills ret (zeroed).  environment: as environ(7); NULL = {}. */
void host_data(struct host_data *ret, const struct host_stats *stats, char *const *environment);
