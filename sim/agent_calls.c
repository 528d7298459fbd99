#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "base/str.h"
#include "codec/mp.h"
#include "codec/ops.h"
#include "model/rpc_types.h"
#include "model/texts.h"
#include "sim/agent_priv.h"

enum {
    CALL_SEC = 60,           /* real agents leave this to the pings of the connection */
    REGISTER_RETRY_SEC = 15, /* nomad client/client.go: registerRetryIntv */
    WATCH_RETRY_SEC = 30,    /* getAllocRetryIntv */
    EVENT_LATE_SEC = 5,      /* half of Nomad's default heartbeat_grace */
    TTL_MIN_SEC = 1,         /* a reply without TTL must not make us beat without pause */
};
#define WATCH_AGAIN_NS (5 * SEC / 16)

static char *text(const char *s)
{
    return (char *)(uintptr_t)s;
}

static void who(const struct sim_agent *a, struct ident *ret)
{
    ident_make(a->c->seed, a->c->prefix, a->number, ret);
}

/* --- sending and counting --- */

static void send_call(struct sim_agent *a, struct sim_call *c, const char *method,
                      const struct desc *d, const void *request, rpc_done *done)
{
    _cleanup_buf_ struct buf b = BUF_INIT(RPC_BODY_MAX);
    uint64_t limit = c == &a->watch ? 0 : CALL_SEC * SEC;

    mp_encode(&b, d, request);
    c->sent_ns = clock_boot_ns();
    c->rpc = rpc_call(a->session, method, b.p, b.len, limit, done, a);
}

static void drop(struct sim_call *c)
{
    rpc_call_cancel(c->rpc);
    c->rpc = NULL;
}

void sim_agent_drop_calls(struct sim_agent *a)
{
    drop(&a->main);
    drop(&a->watch);
    drop(&a->events);
}

/* true when there is a good answer; counts it in any case */
static bool count(struct sim_agent *a, enum tally_method m, struct sim_call *c, enum rpc_result how,
                  const char *why)
{
    struct tally_call *t = &a->c->tally.calls[m];

    c->rpc = NULL;
    if (how == RPC_OK) {
        t->count++;
        latency_add(&t->latency, clock_boot_ns() - c->sent_ns);
        return true;
    }
    if (how == RPC_TRANSPORT) {
        t->lost++;
        return false;
    }
    *(how == RPC_TIMEOUT ? &t->timeouts : &t->errors) += 1;
    tally_error(&a->c->tally, why);
    return false;
}

/* a reply that cannot be read is an error too */
static bool decoded(struct sim_agent *a, enum tally_method m, const struct desc *d,
                    const uint8_t *body, size_t n, void *ret)
{
    struct err e = {0};

    if (mp_decode(d, body, n, ret, &e) == 0)
        return true;
    a->c->tally.calls[m].errors++;
    tally_error(&a->c->tally, e.text);
    ops_clear(d, ret);
    return false;
}

/* Nomad's client: any answer says that the servers are there (fact: rpc-wire 12, heartbeat) */
static void answered(struct sim_agent *a, bool beats)
{
    if (timer_armed(&a->again) && !a->watch.rpc) {
        timer_stop(&a->again);
        a->watch_due = true;
    }
    if ((beats || a->changed) && a->registered && !a->main.rpc)
        a->act_due = true;
    sim_agent_go(a);
}

/* --- what Register and UpdateStatus have in common --- */

static void take_reply(struct sim_agent *a, const struct node_update_response *r)
{
    const struct server_list *l =
        sim_servers_learn(a->c->lists, a->servers, r->servers, r->n_servers);

    if (l != a->servers) {
        a->servers = l;
        a->at = (uint16_t)rand_below(l->n);
    }
    a->ok_ns = clock_boot_ns();
    a->ttl_ns = r->heartbeat_ttl > 0 ? (uint64_t)r->heartbeat_ttl : TTL_MIN_SEC * SEC;
    a->ttl_ns = MAX(a->ttl_ns, TTL_MIN_SEC * SEC);
    a->due_ns = a->ok_ns + a->ttl_ns;
}

/* nomad client/client.go, getHeartbeatRetryIntv */
static uint64_t beat_retry_ns(const struct sim_agent *a, bool no_leader)
{
    int64_t left = (int64_t)(a->due_ns - clock_boot_ns());
    uint64_t ns;

    if (a->c->dev)
        return sim_agent_spread(a, 1);
    if (!a->beaten || no_leader)
        return sim_agent_spread(a, REGISTER_RETRY_SEC);
    if (left < -30 * (int64_t)SEC)
        ns = (uint64_t)-left;
    else if (left < 0)
        return sim_agent_spread(a, 1);
    else
        ns = (uint64_t)left;
    ns = rand_below(ns);
    if (ns < SEC)
        return sim_agent_spread(a, 1);
    return ns > 30 * SEC ? 25 * SEC + rand_below(5 * SEC) : ns;
}

void sim_agent_plan_retry(struct sim_agent *a)
{
    timer_set(&a->act,
              a->registered ? beat_retry_ns(a, false) : sim_agent_spread(a, REGISTER_RETRY_SEC));
}

/* --- Node.Register --- */

static void on_registered(void *arg, enum rpc_result how, const char *why, const uint8_t *body,
                          size_t n)
{
    struct sim_agent *a = arg;
    struct node_update_response r = {0};

    a->registering = false;
    if (!count(a, TALLY_REGISTER, &a->main, how, why) ||
        !decoded(a, TALLY_REGISTER, &desc_node_update_response, body, n, &r)) {
        if (how == RPC_ERROR && strstr(why, TEXT_PERMISSION_DENIED))
            a->known = !a->known; /* the node may be new to these servers, or not */
        if (!a->registered || a->changed)
            timer_set(&a->act, sim_agent_spread(a, REGISTER_RETRY_SEC));
        else
            sim_agent_plan_retry(a);
        return;
    }
    take_reply(a, &r);
    ops_clear(&desc_node_update_response, &r);
    a->changed = false;
    a->known = true;
    if (!a->registered)
        sim_agent_set_state(a, SIM_INITIALIZING);
    if (!a->registered && !a->watch.rpc)
        a->watch_due = true;
    a->registered = true;
    answered(a, true);
}

static void send_register(struct sim_agent *a)
{
    struct ident i;
    const struct profile_fill f = {
        .ident = &i,
        .datacenter = a->c->datacenter,
        .status = a->beaten ? NODE_STATUS_READY : NODE_STATUS_INIT,
        .eligible = a->c->eligible,
        .changes = a->changes,
    };
    struct node_register_request q = {.create_node_pool = true, .w.region = text(a->c->region)};

    who(a, &i);
    q.node = profile_fill(a->profile, &f);
    q.w.auth_token = text(a->known ? i.secret : "");
    a->registering = true;
    send_call(a, &a->main, "Node.Register", &desc_node_register_request, &q, on_registered);
}

/* --- Node.UpdateStatus --- */

static void on_beat_failed(struct sim_agent *a, enum rpc_result how, const char *why)
{
    bool no_leader = how == RPC_ERROR && strstr(why, TEXT_NO_LEADER);

    if (how == RPC_ERROR && strstr(why, TEXT_NODE_NOT_FOUND)) {
        a->registered = a->beaten = false;
        sim_agent_set_state(a, SIM_REGISTERING);
        timer_set(&a->act, 0);
        return;
    }
    if (how == RPC_ERROR)
        sim_agent_next_server(a);
    timer_set(&a->act, beat_retry_ns(a, no_leader));
}

static void on_beat(void *arg, enum rpc_result how, const char *why, const uint8_t *body, size_t n)
{
    struct sim_agent *a = arg;
    struct node_update_response r = {0};
    uint64_t due_ns = a->due_ns;

    if (!count(a, TALLY_BEAT, &a->main, how, why) ||
        !decoded(a, TALLY_BEAT, &desc_node_update_response, body, n, &r)) {
        on_beat_failed(a, how, str_or_empty(why));
        return;
    }
    take_reply(a, &r);
    if (a->beaten && r.q.index != 0)
        a->c->tally.missed++;
    if (a->beaten && a->ok_ns > due_ns + EVENT_LATE_SEC * SEC)
        a->c->tally.late++;
    ops_clear(&desc_node_update_response, &r);
    a->beaten = true;
    a->sent_bytes = a->received_bytes = 0;
    source_bytes(a->fd, &a->sent_bytes, &a->received_bytes);
    sim_agent_set_state(a, SIM_READY);
    timer_set_at(&a->act, a->due_ns);
    answered(a, false);
}

static void send_beat(struct sim_agent *a)
{
    struct ident i;
    struct node_update_status_request q = {
        .node_id = i.id,
        .status = text(NODE_STATUS_READY),
        .w.region = text(a->c->region),
        .w.auth_token = i.secret,
    };

    who(a, &i);
    send_call(a, &a->main, "Node.UpdateStatus", &desc_node_update_status_request, &q, on_beat);
}

/* --- Node.GetClientAllocs --- */

static void on_allocs(void *arg, enum rpc_result how, const char *why, const uint8_t *body,
                      size_t n)
{
    struct sim_agent *a = arg;
    enum tally_method m = a->allocs_index ? TALLY_WAIT : TALLY_ALLOCS;
    struct node_client_allocs_response r = {0};

    if (!count(a, m, &a->watch, how, why) ||
        !decoded(a, m, &desc_node_client_allocs_response, body, n, &r)) {
        timer_set(&a->again, how == RPC_TRANSPORT ? rand_below(WATCH_AGAIN_NS)
                                                  : sim_agent_spread(a, WATCH_RETRY_SEC));
        return;
    }
    a->allocs_index = MAX(r.q.index, 1U);
    ops_clear(&desc_node_client_allocs_response, &r);
    a->watch_due = true;
    answered(a, true);
}

static void send_watch(struct sim_agent *a)
{
    struct ident i;
    struct node_specific_request q = {
        .node_id = i.id,
        .secret_id = i.secret,
        .q.region = text(a->c->region),
        .q.auth_token = i.secret,
        .q.min_query_index = a->allocs_index,
        .q.allow_stale = a->allocs_index != 0,
    };

    who(a, &i);
    timer_stop(&a->again);
    send_call(a, &a->watch, "Node.GetClientAllocs", &desc_node_specific_request, &q, on_allocs);
}

/* --- Node.EmitEvents --- */

static void on_events(void *arg, enum rpc_result how, const char *why, const uint8_t *body,
                      size_t n)
{
    struct sim_agent *a = arg;

    (void)body;
    (void)n;
    if (count(a, TALLY_EVENTS, &a->events, how, why))
        answered(a, true);
}

void sim_agent_event(struct sim_agent *a)
{
    _cleanup_buf_ struct buf b = BUF_INIT(RPC_BODY_MAX);
    const struct node_event ev = {
        .message = text("Simulated event"),
        .subsystem = text("Simulator"),
        .timestamp = gotime_now(),
    };
    struct emit_node_events_request q = {.w.region = text(a->c->region)};
    struct ident i;

    if (a->state != SIM_READY || a->events.rpc)
        return;
    who(a, &i);
    mp_map(&b, 1);
    mp_str(&b, i.id);
    mp_array(&b, 1);
    mp_encode(&b, &desc_node_event, &ev);
    q.node_events = (struct bytes){b.p, b.len};
    q.w.auth_token = i.secret;
    send_call(a, &a->events, "Node.EmitEvents", &desc_emit_node_events_request, &q, on_events);
}

/* --- what is due --- */

void sim_agent_change(struct sim_agent *a)
{
    if (a->state != SIM_READY)
        return;
    a->changes++;
    a->changed = true;
    if (!a->main.rpc)
        a->act_due = true;
    sim_agent_go(a);
}

void sim_agent_perform(struct sim_agent *a)
{
    if (!rpc_session_takes_calls(a->session))
        return; /* it ends, and then all is planned anew */
    if (a->act_due && !a->main.rpc) {
        a->act_due = false;
        timer_stop(&a->act);
        if (a->registered && !a->changed)
            send_beat(a);
        else
            send_register(a);
    }
    if (a->watch_due && a->registered && !a->watch.rpc) {
        a->watch_due = false;
        send_watch(a);
    }
}
