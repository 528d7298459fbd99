/* agent/reload.h - the configuration read again under a running agent (SIGHUP, picket agent
 * reload).
 *
 * conf/reload reads, validates and takes over; this carries what changed to the parts.  The node is
 * put together anew once the probes have answered by the new configuration, so that one
 * registration tells all of it, and none is sent when nothing a server knows has changed.
 */
#pragma once

#include "agent/agent.h"
#include "conf/reload.h"

/* conf: the one in force, borrowed by all parts; changed where it stands.  said: released by the
 * caller.  0, or -EINVAL when the files are not valid and nothing changed.  Logs what came of it
 * and tells systemd. */
int reload_run(const struct conf_args *args, struct conf *conf, struct agent *agent,
               struct conf_reloaded *said);
