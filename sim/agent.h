/* sim/agent.h - one simulated agent: its connection and its calls, as Nomad's client makes them.
 *
 * Facts: rpc-wire 12.  Node.Register as initializing, Node.UpdateStatus by the TTL of each answer
 * and behind every other good answer, a blocking Node.GetClientAllocs all the time, retries and
 * their distances as there; agents of a profile that was recorded from picketd come back as that
 * does.  What the server gives it to run it does not look at.
 *
 * It is a struct, a session and timers: some 2 KB and its socket, nothing of its
 * node (sim/profile fills that in for each registration).
 *
 * Depends on: wire/rpc, sim/{profile,servers,source,tally}.
 */
#pragma once

#include "base/loop.h"
#include "sim/profile.h"
#include "sim/servers.h"
#include "sim/source.h"
#include "sim/tally.h"

enum sim_state {
    SIM_WAITING,      /* has not joined yet */
    SIM_STARTING,     /* no connection yet */
    SIM_REGISTERING,  /* connected, no registration accepted */
    SIM_INITIALIZING, /* registered, no heartbeat accepted */
    SIM_READY,        /* connected, the last heartbeat was accepted */
    SIM_LOST,         /* registered, without a connection: tries */
    SIM_CUT,          /* may not connect (flapping) */
    SIM_PARTED,       /* silent, its connection still open */
    SIM_DEAD,         /* the process is gone, and will come back */
    SIM_STATES,
};
const char *sim_state_name(enum sim_state s);

/* what all agents of a fleet have in common */
struct sim_common {
    struct loop *loop;
    struct sim_servers *lists;
    const struct server_list *servers; /* configured */
    struct source source;
    const char *region, *datacenter, *prefix; /* borrowed; datacenter NULL = the profile's */
    uint64_t seed;
    bool eligible;
    bool dev; /* every retry after a second */
    struct tally tally;
    size_t states[SIM_STATES]; /* how many agents are in each */
};

struct sim_agent;
/* not started; the common part and the profile are borrowed */
struct sim_agent *sim_agent_new(struct sim_common *c, uint64_t number, struct profile *p);
/* as if the process was killed */
struct sim_agent *sim_agent_free(struct sim_agent *a);
enum sim_state sim_agent_state(const struct sim_agent *a);
uint64_t sim_agent_number(const struct sim_agent *a);
/* adds the bytes that its connection has carried */
void sim_agent_bytes(const struct sim_agent *a, uint64_t *sent, uint64_t *received);

/* what happens to it; each is harmless when it makes no sense */
void sim_agent_start(struct sim_agent *a); /* a process begins: connects, registers */
void sim_agent_kill(struct sim_agent *a);  /* the process ends: the connection is reset */
void sim_agent_leave(struct sim_agent *a); /* the process ends in order: the connection closes */
void sim_agent_cut(struct sim_agent *a);   /* the connection closes; no other until uncut */
void sim_agent_uncut(struct sim_agent *a);
void sim_agent_part(struct sim_agent *a); /* says and hears nothing more; the socket stays open */
void sim_agent_heal(struct sim_agent *a); /* the old connection is given up, it goes on */
/* only when it is ready: one node event; a fact of the host is another, so it registers again */
void sim_agent_event(struct sim_agent *a);
void sim_agent_change(struct sim_agent *a);
