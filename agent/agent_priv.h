/* agent/agent_priv.h - what picketd is made of, for the three files that own it.
 *
 * agent.c builds and releases the parts, and has the API; agent_node.c makes the node of what
 * probes say; agent_session.c carries the node to the servers and their word to the parts.
 */
#pragma once

#include "agent/agent.h"
#include "agent/allocs.h"
#include "agent/audit.h"
#include "agent/backcalls.h"
#include "agent/clocks.h"
#include "agent/collect.h"
#include "agent/events.h"
#include "agent/flap.h"
#include "agent/identity.h"
#include "agent/journal.h"
#include "agent/meta.h"
#include "agent/mirror.h"
#include "agent/notice.h"
#include "agent/servers.h"
#include "agent/session.h"
#include "api/server.h"
#include "fingerprint/run.h"
#include "wire/pool.h"

struct agent {
    struct loop *loop;
    const struct conf *conf;
    struct identity identity;
    char *http_bind, *http_advertise; /* "host:port" */
    char *http_bound;                 /* what the kernel said */
    struct probe_conf probe_conf;
    const struct probe **rows; /* host probes, then drivers */
    size_t n_rows;
    struct probe_run *probes;
    struct collect *collect;
    struct journal *journal;
    struct meta *meta;
    struct backcalls *backcalls;
    struct pool *pool;
    struct servers *servers;
    struct session *session;
    struct flap *flap;
    struct events *events;
    struct notice *notice;
    struct clocks *clocks;
    struct allocs *allocs;
    struct mirror *mirror;
    struct api *api;
    struct audit *audit;
    char *socket_path; /* of the unix socket; NULL = none */
    struct timer first, trim, reloaded;
    bool reloading; /* the node waits for what probes say to the new configuration */
    struct defer merge;
    const struct view *(*open_reload)(void *arg, struct view_wait *w);
    void *reload_arg;
    bool collecting; /* the first registration may go out */
    char *status;    /* the last sentence */
};

/* agent_node.c */
void agent_node_init(struct agent *a);
void agent_node_make(struct agent *a, const char *probe_path); /* meta, probes, collect */
void agent_node_start(struct agent *a);
void agent_node_stop(struct agent *a); /* timers; harmless before init on a zeroed struct */

/* agent_session.c */
/* backcalls, pool, servers, session and what reports over it; after agent_node_make() */
void agent_session_make(struct agent *a, const char *probe_path);
void agent_say_status(struct agent *a); /* to systemd, when the sentence is another */
