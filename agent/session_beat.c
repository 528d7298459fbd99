#include "agent/session_priv.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "model/texts.h"
#include "wire/pool_hedge.h"

/* Heartbeats.  A round asks one server, then, as long as all are silent, one more each time; it
 * ends with the first answer, or when none came. */

#define SLOW_NS      (NSEC_PER_SEC / 2) /* an answer that makes the next beat go out earlier */
#define QUIET_MIN_NS (NSEC_PER_SEC / 2)
#define QUIET_MAX_NS (3 * NSEC_PER_SEC)

static void plan_beat(struct session *s, uint64_t in_ns)
{
    timer_set(&s->beat, in_ns);
    session_notify(s);
}

/* --- how long --- */

static size_t n_servers(const struct session *s)
{
    const char *const *v;

    return pool_servers(s->o.pool, &v);
}

/* after this a server counts as silent; slow ones have shown that they need longer */
static uint64_t quiet_ns(const struct session *s)
{
    uint64_t ns = MIN(MAX(s->ttl_ns / 8, QUIET_MIN_NS), QUIET_MAX_NS);

    return MAX(ns, MIN(2 * s->took_ns, s->ttl_ns / 3));
}

static uint64_t try_timeout(const struct session *s)
{
    return MIN(MAX(s->ttl_ns / 5 * 3, TRY_MIN_SEC * SEC), TRY_MAX_SEC * SEC);
}

/* one for each server, and a second one for the only one */
static unsigned tries_allowed(const struct session *s)
{
    return (unsigned)MIN(MAX(n_servers(s), (size_t)2), (size_t)BEAT_TRIES);
}

static void plan_next(struct session *s)
{
    uint64_t at = s->alive_ns + s->ttl_ns, now = clock_boot_ns();

    if (n_servers(s) > 1 || s->took_ns > SLOW_NS)
        at -= s->ttl_ns / 4;
    /* an answer that came after more than its own TTL must not make us beat without pause */
    plan_beat(s, MAX(at, now + SEC) - now);
}

/* nomad v2.0.5 client/client.go getHeartbeatRetryIntv: the later it gets, the sooner; long after
 * the deadline again slower */
static uint64_t beat_retry_delay(const struct session *s, enum call_result how)
{
    int64_t left, wait;

    if (how == CALL_NO_LEADER)
        return session_spread(5);
    if (s->beat_ns == 0)
        return session_spread(1);
    left = (int64_t)(s->alive_ns + s->ttl_ns) - (int64_t)clock_boot_ns();
    if (left < -30 * (int64_t)SEC)
        left = -left;
    else if (left < 0)
        return session_spread(1);
    wait = (int64_t)rand_below((uint64_t)left);
    if (wait < (int64_t)SEC)
        return session_spread(1);
    return wait > 30 * (int64_t)SEC ? 25 * SEC + rand_below(5 * SEC) : (uint64_t)wait;
}

/* --- the tries of a round --- */

static bool any_busy(const struct session *s)
{
    for (size_t i = 0; i < BEAT_TRIES; i++)
        if (call_busy(&s->tries[i].call))
            return true;
    return false;
}

/* the server that was asked; the pool may have gone on to another one meanwhile */
static const char *server_of(struct beat_try *t)
{
    const char *now = t->call.pc ? pool_call_server(t->call.pc) : NULL;

    if (now && !str_eq(now, t->server))
        str_set(&t->server, now);
    return t->server;
}

static void note(struct beat_try *t, const char *what)
{
    late_step(t->s->late, server_of(t), what, clock_boot_ns() - t->sent_ns);
}

/* those that are still under way are not needed; what they did is noted */
static void drop_tries(struct session *s, bool noted)
{
    timer_stop(&s->quiet);
    s->newest = NULL;
    s->n_tried = 0;
    for (size_t i = 0; i < BEAT_TRIES; i++) {
        struct beat_try *t = &s->tries[i];

        if (noted && call_busy(&t->call))
            note(t, "silent");
        call_cancel(&t->call);
    }
}

void session_beats_cancel(struct session *s)
{
    timer_stop(&s->beat);
    drop_tries(s, false);
    late_drop(s->late);
    s->failed_ns = 0;
}

/* --- what came of it --- */

/* the servers had given us up, or would have without their grace */
static void explain(struct session *s, const struct late_beat *b, bool given_up)
{
    _cleanup_free_ char *message =
        b->late_ns > 0 ? xasprintf(EVENT_BEAT_LATE, (double)b->late_ns / (double)SEC)
                       : xstrdup(EVENT_BEAT_GIVEN_UP);
    _cleanup_strmap_ struct strmap details = {0};

    late_explain(b, &details);
    if (given_up)
        strmap_set(&details, "given_up", "true");
    (void)log_warn(0, message, KV("server", b->server), KI("given_up", given_up),
                   KI("steps", b->n_steps));
    if (s->o.on_event)
        s->o.on_event(s->o.arg, EVENT_SUBSYSTEM_HEARTBEAT, message, &details);
}

static void beaten(struct beat_try *t, const struct node_update_response *r)
{
    struct session *s = t->s;
    bool given_up = r->q.index != 0 && s->n_beats > 0 && !s->fresh;
    const struct late_beat *b = late_end(s->late, server_of(t), s->ttl_ns, s->alive_ns + s->ttl_ns);

    if (s->n_beats == 0)
        log_info("first heartbeat accepted", KV("server", pool_current(s->o.pool)));
    if (given_up || b->late_ns > 0)
        explain(s, b, given_up);
    /* a registration of a node that is down has none, but a heartbeat must */
    if (r->heartbeat_ttl <= 0 && !s->ttl_warned)
        (void)log_warn(0, "the server gives no heartbeat TTL, using the least");
    s->ttl_warned = r->heartbeat_ttl <= 0;
    session_take_reply(s, r);
    s->fresh = false;
    s->beat_ns = clock_boot_ns();
    s->alive_ns = t->sent_ns;
    s->failed_ns = 0;
    s->n_beats++;
    str_set(&s->error, NULL);
    plan_next(s);
}

static void beat_denied(struct session *s, const char *text)
{
    if (!journal_identity(s->o.journal)) {
        session_unknown(s, text); /* servers from 1.9 on answer so when the node was collected */
        return;
    }
    session_drop_identity(s);
    session_beat_now(s);
}

static void round_failed(struct session *s, enum call_result how, const char *text)
{
    drop_tries(s, false);
    s->failed_ns = clock_boot_ns();
    if (call_lost(how))
        session_lost_contact(s, "Node.UpdateStatus", text);
    else
        session_set_error(s, "Node.UpdateStatus", text);
    plan_beat(s, beat_retry_delay(s, how));
}

static void on_answer(void *arg, enum call_result how, const char *text, void *obj)
{
    struct beat_try *t = arg;
    struct session *s = t->s;

    note(t, how == CALL_OK ? "answered" : how == CALL_TIMEOUT ? "silent" : text);
    if (s->newest == t)
        s->newest = NULL;
    if (!call_lost(how)) {
        s->took_ns = clock_boot_ns() - t->sent_ns;
        session_got_contact(s);
    }
    switch (how) {
    case CALL_OK:
        drop_tries(s, true);
        beaten(t, obj);
        break;
    case CALL_DENIED:
        drop_tries(s, true);
        beat_denied(s, text);
        break;
    case CALL_UNKNOWN:
    case CALL_MISMATCH:
        drop_tries(s, true);
        session_unknown(s, text);
        break;
    default:
        if (!any_busy(s)) /* another one may still say yes */
            round_failed(s, how, text);
    }
}

/* --- asking --- */

static void ask(struct session *s)
{
    struct node_update_status_request q = {
        .node_id = (char *)(uintptr_t)s->o.node_id,
        .status = (char *)(uintptr_t)NODE_STATUS_READY,
        .w.region = (char *)(uintptr_t)s->o.region,
        .w.auth_token = (char *)(uintptr_t)session_token(s),
    };
    struct beat_try *t = &s->tries[0];

    while (call_busy(&t->call))
        t++; /* there is one: tries_allowed() */
    s->newest = t;
    s->n_tried++;
    t->sent_ns = clock_boot_ns();
    str_set(&t->server, NULL);
    call_start(&t->call, "Node.UpdateStatus", &desc_node_update_status_request, &q,
               &desc_node_update_response, try_timeout(s), on_answer);
    (void)server_of(t);
    if (s->n_tried < tries_allowed(s))
        timer_set(&s->quiet, quiet_ns(s));
}

static void on_quiet(void *arg)
{
    struct session *s = arg;

    if (!s->newest || s->n_tried >= tries_allowed(s))
        return;
    (void)server_of(s->newest);
    log_debug("a server does not answer the heartbeat, asking another",
              KV("server", s->newest->server));
    pool_call_doubt(s->newest->call.pc);
    servers_unreachable(s->o.servers);
    ask(s);
}

void session_beat_now(void *arg)
{
    struct session *s = arg;
    uint64_t now = clock_boot_ns();

    if (s->o.on_beat)
        s->o.on_beat(s->o.arg);
    timer_stop(&s->beat);
    drop_tries(s, false);
    if (s->failed_ns && now > s->failed_ns)
        late_step(s->late, NULL, "waited", now - s->failed_ns);
    s->failed_ns = 0;
    late_begin(s->late, s->due_ns && s->due_ns < now ? s->due_ns : now);
    ask(s);
}

static void on_due(void *arg)
{
    struct session *s = arg;

    s->due_ns = s->beat.at_ns;
    session_beat_now(s);
}

void session_beat_replan(struct session *s)
{
    if (!any_busy(s))
        plan_next(s);
}

void session_beat_soon(struct session *s, uint64_t in_ns)
{
    if (s->state != SESSION_REGISTERED || any_busy(s))
        return;
    if (!timer_armed(&s->beat) || s->beat.at_ns > clock_boot_ns() + in_ns)
        plan_beat(s, in_ns);
}

void session_woke(struct session *s, const char *how, uint64_t ns)
{
    late_step(s->late, NULL, how, ns);
    if (any_busy(s))
        on_quiet(s); /* the connection may be dead, or the answer is about to be read */
    else
        session_beat_soon(s, 0);
}

/* --- life --- */

void session_beats_init(struct session *s)
{
    s->late = late_new();
    for (size_t i = 0; i < BEAT_TRIES; i++) {
        s->tries[i].s = s;
        call_init(&s->tries[i].call, s->o.pool, &s->tries[i]);
    }
    timer_init(s->o.loop, &s->beat, "heartbeat", on_due, s);
    timer_init(s->o.loop, &s->quiet, "heartbeat unanswered", on_quiet, s);
}

void session_beats_done(struct session *s)
{
    session_beats_cancel(s);
    for (size_t i = 0; i < BEAT_TRIES; i++)
        str_set(&s->tries[i].server, NULL);
    s->late = late_free(s->late);
}
