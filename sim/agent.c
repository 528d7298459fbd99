#include "sim/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sim/agent_priv.h"

enum {
    DIAL_SEC = 10,         /* nomad helper/pool/pool.go: 10 s */
    PICKETD_BACK_SEC = 10, /* comes back within so long */
    WATCH_RETRY_SEC = 30,  /* nomad client/client.go: getAllocRetryIntv */
};
#define WATCH_AGAIN_NS (5 * SEC / 16) /* nomad client/rpc.go: within one call */

const char *sim_state_name(enum sim_state s)
{
    static const char *const names[SIM_STATES] = {
        "waiting", "starting", "registering", "initializing", "ready",
        "lost",    "cut",      "parted",      "dead",
    };

    return names[s];
}

void sim_agent_set_state(struct sim_agent *a, enum sim_state s)
{
    a->c->states[a->state]--;
    a->state = (uint8_t)s;
    a->c->states[a->state]++;
}

uint64_t sim_agent_spread(const struct sim_agent *a, uint64_t sec)
{
    if (a->c->dev)
        sec = 1;
    return sec * SEC + rand_below(sec * SEC);
}

void sim_agent_next_server(struct sim_agent *a)
{
    a->at = (uint16_t)((a->at + 1U) % a->servers->n);
}

/* --- the connection --- */

/* forgets it; how it ends is the caller's: abort, close, or it is dead already */
static void let_go(struct sim_agent *a)
{
    struct tally *t = &a->c->tally;

    if (a->session && a->fd >= 0)
        source_bytes(a->fd, &t->sent_bytes, &t->received_bytes);
    a->fd = -1;
}

static void end_connection(struct sim_agent *a, bool abort)
{
    if (!a->conn)
        return;
    let_go(a);
    if (abort)
        conn_abort(a->conn); /* before the session, which would say goodbye */
    sim_agent_drop_calls(a);
    if (a->session)
        rpc_session_close(a->session);
    else
        conn_abort(a->conn);
    a->session = rpc_session_unref(a->session);
    a->conn = conn_unref(a->conn);
}

/* the server (or what lies between) has ended it; calls in flight were told before */
static void on_session_closed(void *arg, struct rpc_session *s, const struct err *e)
{
    struct sim_agent *a = arg;

    (void)s;
    (void)e;
    a->c->tally.cut++;
    a->c->tally.sent_bytes += a->sent_bytes;
    a->c->tally.received_bytes += a->received_bytes;
    a->fd = -1; /* closed by the conn */
    a->session = rpc_session_unref(a->session);
    a->conn = conn_unref(a->conn);
    sim_agent_next_server(a);
    if (a->registered)
        sim_agent_set_state(a, SIM_LOST);
    else
        sim_agent_set_state(a, SIM_STARTING);
    if (a->registered && profile_is_picketd(a->profile))
        timer_set(&a->act, rand_below(PICKETD_BACK_SEC * SEC));
    else if (!timer_armed(&a->act))
        sim_agent_plan_retry(a);
    if (!timer_armed(&a->again) && a->registered)
        timer_set(&a->again, rand_below(WATCH_AGAIN_NS));
}

/* servers ask for statistics, files, logs: there is no host behind it */
static void on_request(void *arg, struct rpc_request *q)
{
    struct sim_agent *a = arg;
    char text[256];

    a->c->tally.asked++;
    (void)snprintf(text, sizeof(text), "this node is simulated, it has no answer to %.100s",
                   q->method);
    rpc_fail(q, text);
}

static void on_connected(void *arg)
{
    struct sim_agent *a = arg;
    const struct rpc_session_opts o = {
        .handler = on_request,
        .handler_arg = a,
        .on_closed = on_session_closed,
        .arg = a,
        .client = true,
    };

    a->session = rpc_session_new(conn_ref(a->conn), &o);
    a->c->tally.connects++;
    if (a->connected)
        a->c->tally.reconnects++;
    a->connected = true;
    a->sent_bytes = a->received_bytes = 0;
    if (!a->registered)
        sim_agent_set_state(a, SIM_REGISTERING);
    sim_agent_perform(a);
}

/* what waited for a connection is tried again some time */
static void not_connected(struct sim_agent *a)
{
    a->c->tally.refused++;
    a->fd = -1;
    a->conn = conn_unref(a->conn);
    sim_agent_next_server(a);
    if (a->act_due) {
        a->act_due = false;
        sim_agent_plan_retry(a);
    }
    if (a->watch_due) {
        a->watch_due = false;
        timer_set(&a->again, sim_agent_spread(a, WATCH_RETRY_SEC));
    }
}

static void on_dial_failed(void *arg, const struct err *e)
{
    struct sim_agent *a = arg;

    tally_error(&a->c->tally, e->text);
    not_connected(a);
}

static void connect_now(struct sim_agent *a)
{
    static const struct conn_user dialing = {
        .on_closed = on_dial_failed,
        .on_connected = on_connected,
    };
    const struct sim_server *s = &a->servers->servers[a->at];
    struct err e;
    int fd = source_connect(&a->c->source, a->number, &s->sa, s->len);

    if (fd < 0) {
        (void)err_errno(&e, fd, "connect %s", s->address);
        tally_error(&a->c->tally, e.text);
        not_connected(a);
        return;
    }
    a->fd = fd;
    a->conn = conn_begun(a->c->loop, fd, &s->sa, s->len, DIAL_SEC * SEC, &dialing, a);
}

void sim_agent_go(struct sim_agent *a)
{
    if (a->session)
        sim_agent_perform(a);
    else if (!a->conn)
        connect_now(a);
}

/* --- life --- */

static void on_act(void *arg)
{
    struct sim_agent *a = arg;

    a->act_due = true;
    sim_agent_go(a);
}

static void on_again(void *arg)
{
    struct sim_agent *a = arg;

    a->watch_due = true;
    sim_agent_go(a);
}

struct sim_agent *sim_agent_new(struct sim_common *c, uint64_t number, struct profile *p)
{
    struct sim_agent *a = xnew0(struct sim_agent);

    *a = (struct sim_agent){.c = c, .profile = p, .number = number, .fd = -1, .state = SIM_WAITING};
    c->states[SIM_WAITING]++;
    a->servers = c->servers;
    a->at = (uint16_t)rand_below(a->servers->n);
    timer_init(c->loop, &a->act, "agent", on_act, a);
    timer_init(c->loop, &a->again, "allocations", on_again, a);
    return a;
}

/* nothing is under way or planned any more */
static void stop(struct sim_agent *a, bool abort)
{
    timer_stop(&a->act);
    timer_stop(&a->again);
    a->act_due = a->watch_due = false;
    if (a->state == SIM_PARTED)
        a->fd = fd_close(a->fd);
    end_connection(a, abort);
}

struct sim_agent *sim_agent_free(struct sim_agent *a)
{
    if (!a)
        return NULL;
    sim_agent_kill(a);
    a->c->states[a->state]--;
    return mem_free(a);
}

enum sim_state sim_agent_state(const struct sim_agent *a)
{
    return a->state;
}

uint64_t sim_agent_number(const struct sim_agent *a)
{
    return a->number;
}

void sim_agent_bytes(const struct sim_agent *a, uint64_t *sent, uint64_t *received)
{
    if (a->session && a->fd >= 0)
        source_bytes(a->fd, sent, received);
}

void sim_agent_start(struct sim_agent *a)
{
    if (a->state != SIM_WAITING && a->state != SIM_DEAD)
        return;
    a->registered = a->beaten = a->connected = a->changed = false;
    a->allocs_index = 0;
    a->ok_ns = a->due_ns = a->ttl_ns = 0;
    sim_agent_set_state(a, SIM_STARTING);
    a->act_due = true;
    sim_agent_go(a);
}

void sim_agent_kill(struct sim_agent *a)
{
    if (a->fd >= 0)
        source_reset_on_close(a->fd);
    stop(a, true);
    sim_agent_set_state(a, SIM_DEAD);
}

void sim_agent_leave(struct sim_agent *a)
{
    stop(a, false);
    sim_agent_set_state(a, SIM_DEAD);
}

void sim_agent_cut(struct sim_agent *a)
{
    if (a->state == SIM_WAITING || a->state == SIM_DEAD || a->state == SIM_PARTED)
        return;
    stop(a, false);
    sim_agent_set_state(a, SIM_CUT);
}

/* the connection is there again: whoever waited for it goes on */
static void resume(struct sim_agent *a, uint64_t in_ns)
{
    sim_agent_set_state(a, a->registered ? SIM_LOST : SIM_STARTING);
    timer_set(&a->act, in_ns);
    if (a->registered)
        timer_set(&a->again, in_ns);
}

void sim_agent_uncut(struct sim_agent *a)
{
    if (a->state == SIM_CUT)
        resume(a, 0);
}

/* A copy of the descriptor keeps the socket as it is, whatever becomes of the session: the peer
 * hears nothing, and its bytes lie unread. */
void sim_agent_part(struct sim_agent *a)
{
    int copy = -1;

    if (a->state == SIM_WAITING || a->state == SIM_DEAD || a->state == SIM_PARTED)
        return;
    if (a->session && a->fd >= 0)
        copy = fcntl(a->fd, F_DUPFD_CLOEXEC, 0);
    stop(a, true);
    sim_agent_set_state(a, SIM_PARTED);
    a->fd = copy;
}

void sim_agent_heal(struct sim_agent *a)
{
    if (a->state != SIM_PARTED)
        return;
    a->fd = fd_close(a->fd);
    resume(a, sim_agent_spread(a, 1));
}
