/* agent/agent.h - picketd: builds the parts, owns them, and carries word from one to the next.
 *
 * probes -> collect -> session -> servers; what the session learns wakes allocs and mirror.  The
 * API listens and the identity is there when agent_new() returns; nothing has been sent yet.
 */
#pragma once

#include "api/view.h"
#include "base/err.h"
#include "base/loop.h"
#include "conf/conf.h"
#include "conf/reload.h"

struct agent;

struct agent_opts {
    struct loop *loop;
    const struct conf *conf; /* borrowed */
    const char *probe_path;  /* the picket-probe program */
    /* PUT /v1/agent/reload: a view for that request, see agent/reload.h; NULL: answered by 501 */
    const struct view *(*open_reload)(void *arg, struct view_wait *w);
    void *reload_arg;
};
int agent_new(const struct agent_opts *o, struct agent **ret, struct err *e) _must_check_;
struct agent *agent_free(struct agent *a);
DEFINE_CLEANUP(struct agent, agent_free)

void agent_start(struct agent *a);
/* the members named in said->applied have other values now */
void agent_reload(struct agent *a, const struct conf_reloaded *said);
/* facts that are not on the disk yet */
size_t agent_pending(const struct agent *a);
/* the sentence for systemctl status; owned by the caller */
char *agent_status_text(const struct agent *a) _must_check_;
const char *agent_node_id(const struct agent *a);
const char *agent_http_bound(const struct agent *a);
