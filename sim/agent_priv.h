/* sim/agent_priv.h - inside a simulated agent: its life and connection (agent.c), its calls
 * (agent_calls.c).
 */
#pragma once

#include "base/clock.h"
#include "base/rand.h"
#include "sim/agent.h"
#include "wire/conn.h"
#include "wire/rpc.h"

#define SEC NSEC_PER_SEC

struct sim_call {
    struct rpc_call *rpc; /* NULL = none under way */
    uint64_t sent_ns;
};

struct sim_agent {
    struct sim_common *c;
    struct profile *profile;
    uint64_t number;
    const struct server_list *servers;
    struct conn *conn;                   /* counted; NULL = none */
    struct rpc_session *session;         /* NULL = none, or not connected yet */
    struct timer act;                    /* registers or beats */
    struct timer again;                  /* asks for allocations */
    struct sim_call main;                /* Node.Register or Node.UpdateStatus */
    struct sim_call watch;               /* Node.GetClientAllocs */
    struct sim_call events;              /* Node.EmitEvents */
    uint64_t ttl_ns, ok_ns, due_ns;      /* of heartbeats: given, last accepted, next due */
    uint64_t allocs_index;               /* of the last answer; 0 = none yet */
    uint64_t sent_bytes, received_bytes; /* of conn, at the last heartbeat */
    uint32_t changes;                    /* facts of the host that have changed */
    int fd;                              /* of conn (borrowed), or while parted our own copy; -1 */
    uint16_t at;                         /* the server in use, of its list */
    uint8_t state;                       /* enum sim_state */
    bool registered;                     /* in this life */
    bool known;                          /* in an earlier one too: has a token */
    bool beaten;                         /* was ready in this life */
    bool connected;                      /* had a connection in this life */
    bool registering;                    /* main is a registration */
    bool changed;                        /* to be registered again */
    bool act_due, watch_due;             /* as soon as there is a connection */
};

/* agent.c */
void sim_agent_set_state(struct sim_agent *a, enum sim_state s);
/* connects when it must, then does what is due */
void sim_agent_go(struct sim_agent *a);
void sim_agent_next_server(struct sim_agent *a);
/* so many seconds and as much again at random; 1 s to 2 s with -dev */
uint64_t sim_agent_spread(const struct sim_agent *a, uint64_t sec);

/* agent_calls.c */
void sim_agent_perform(struct sim_agent *a); /* there is a session */
void sim_agent_drop_calls(struct sim_agent *a);
/* a registration or heartbeat that could not even be sent: when again? */
void sim_agent_plan_retry(struct sim_agent *a);
