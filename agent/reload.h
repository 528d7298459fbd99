/* agent/reload.h - the configuration read again under a running agent (SIGHUP, picket agent
 * reload).
 *
 * A child reads the files, because a folder on a dead mount must not stop the loop; conf/reload
 * validates and takes over what it has read, and this carries what changed to the parts.  Who asks
 * while files are being read is answered by the next reading, which begins when this one is over:
 * his change may be one that this one has not seen.  When nothing was read within ten seconds
 * nothing changes, and the answer says on what the child hangs.
 *
 * The node is put together anew once the probes have answered by the new configuration, so that one
 * registration tells all of it, and none is sent when nothing a server knows has changed.
 */
#pragma once

#include "agent/agent.h"
#include "api/view.h"
#include "conf/reload.h"

struct reload;

struct reload_opts {
    struct loop *loop;
    const char *probe_path;
    const struct conf_args *args;
    struct conf *conf; /* the one in force, which all parts borrow; changed where it stands */
    struct agent *agent;
    /* all borrowed, and there until reload_free() */
};
struct reload *reload_new(const struct reload_opts *o);
struct reload *reload_free(struct reload *r); /* after the views that it has opened */
DEFINE_CLEANUP(struct reload, reload_free)

/* SIGHUP: reads, takes over, logs what came of it, tells systemd when it begins and when it is over
 */
void reload_start(struct reload *r);
/* a view for one request of the local API, whose op reload() does the same and answers later: 200,
 * 400 when the files are not valid, 500 when they could not be read (api/view.h, open) */
const struct view *reload_open(struct reload *r, struct view_wait *w);
