/* agent/session.h - the node's standing with the servers: registration and heartbeats.
 *
 * Owns when and with which token Node.Register and Node.UpdateStatus are sent (facts: rpc-wire 9,
 * 12).  A server is pinged while the probes still run; the first registration follows as soon as
 * there is a node, a heartbeat at once behind it, then by the TTL of each answer.  A changed node
 * is sent after 5 to 10 s, or, when nothing but flapping facts differs, once in FLAP_UPDATE_SEC; an
 * unchanged one never again.
 *
 * A heartbeat is due when its TTL is over, and at three quarters of it when there are servers to
 * choose from or the last answer took long.  One that a server leaves unanswered for an eighth of
 * the TTL is asked of the next server too (of the only one over another connection) and the first
 * answer counts, so that a silent server costs no deadline.  What became of each beat is kept
 * (agent/late) and makes a node event when it was late.
 *
 *   connecting   no server has answered yet, or the last one is gone: pings, with back-off
 *   registering  Node.Register is under way or is tried again
 *   registered   heartbeats
 *   refused      servers know the node by another secret: tried again and said so each time
 *
 * Other users of the pool tell what they learn: session_contact(), session_unknown().
 */
#pragma once

#include "agent/collect.h"
#include "agent/flap.h"
#include "agent/journal.h"
#include "agent/late.h"
#include "agent/servers.h"

struct session;

enum session_state {
    SESSION_CONNECTING,
    SESSION_REGISTERING,
    SESSION_REGISTERED,
    SESSION_REFUSED,
    SESSION_STATE_MAX,
};
const char *session_state_name(enum session_state s);

struct session_status {
    enum session_state state;
    bool in_contact;     /* the last exchange with a server worked */
    uint64_t contact_ns; /* CLOCK_BOOTTIME of the last answer of any kind; 0 = never */
    uint64_t beat_ns;    /* of the last accepted heartbeat; 0 = none yet */
    int64_t beat_wall_ns;
    uint64_t ttl_ns;          /* that it gave */
    uint64_t next_beat_ns;    /* when the next is due; 0 = not planned */
    uint64_t n_registrations; /* accepted ones */
    uint64_t n_beats;
    const struct late *beats; /* the last ones, step by step; borrowed */
    const char *leader;       /* "ip:port", "" while unknown; borrowed */
    const char *error;        /* of the last failure, "" when the last attempt worked; borrowed */
};

struct session_opts {
    struct loop *loop;
    struct pool *pool;
    struct servers *servers;
    struct journal *journal;
    const struct flap *flap;                  /* borrowed: which changes may wait */
    const char *region, *node_id, *secret_id; /* borrowed */
    /* something in the status is different */
    void (*on_change)(void *arg);
    /* A registration was accepted; known = false: the servers did not know the node (any more), so
     * whatever was learned from them before is void. */
    void (*on_registered)(void *arg, bool known);
    /* a server answers again after none did, or for the first time */
    void (*on_contact)(void *arg);
    /* something that a node event should tell (details may be NULL); NULL: nobody listens */
    void (*on_event)(void *arg, const char *subsystem, const char *message,
                     const struct strmap *details);
    /* a heartbeat goes out in time or not: called first; may be NULL */
    void (*on_beat)(void *arg);
    void *arg;
};
struct session *session_new(const struct session_opts *o);
struct session *session_free(struct session *s);
DEFINE_CLEANUP(struct session, session_free)

void session_start(struct session *s);
/* the newest node (referenced); sent now or later as the rules say */
void session_set_node(struct session *s, const struct node_snap *snap);
void session_status(const struct session *s, struct session_status *ret);
/* AuthToken of every call but Node.Register: the signed identity, else the node's secret */
const char *session_token(const struct session *s);

/* another call was answered (ok) or failed on the way (why: how) */
void session_contact(struct session *s, bool ok, const char *why);
/* another call was answered by "I do not know this node", or denied: registers again */
void session_unknown(struct session *s, const char *why);
/* a heartbeat no later than so long from now, unless none may be sent */
void session_beat_soon(struct session *s, uint64_t in_ns);
/* The process went on after so long (how: "stopped", "slept" ..): a heartbeat now. */
void session_woke(struct session *s, const char *how, uint64_t ns);
/* there is a first server, or there are others: try now what waits for one */
void session_servers_changed(struct session *s);
