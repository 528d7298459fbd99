#include "agent/session_priv.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "model/texts.h"

static void plan_beat(struct session *s, uint64_t in_ns)
{
    timer_set(&s->beat, in_ns);
    session_notify(s);
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
    left = (int64_t)(s->beat_ns + s->ttl_ns) - (int64_t)clock_boot_ns();
    if (left < -30 * (int64_t)SEC)
        left = -left;
    else if (left < 0)
        return session_spread(1);
    wait = (int64_t)rand_below((uint64_t)left);
    if (wait < (int64_t)SEC)
        return session_spread(1);
    return wait > 30 * (int64_t)SEC ? 25 * SEC + rand_below(5 * SEC) : (uint64_t)wait;
}

static void beaten(struct session *s, const struct node_update_response *r)
{
    if (r->q.index != 0 && s->n_beats > 0)
        (void)log_warn(0, "the servers had given this node up, the heartbeat came late",
                       KI("index", r->q.index));
    else if (s->n_beats == 0)
        log_info("first heartbeat accepted", KV("server", pool_current(s->o.pool)));
    /* a registration of a node that is down has none, but a heartbeat must */
    if (r->heartbeat_ttl <= 0 && !s->ttl_warned)
        (void)log_warn(0, "the server gives no heartbeat TTL, using the least");
    s->ttl_warned = r->heartbeat_ttl <= 0;
    session_take_reply(s, r);
    s->beat_ns = clock_boot_ns();
    s->beat_wall_ns = clock_wall_ns();
    s->n_beats++;
    str_set(&s->error, NULL);
    plan_beat(s, s->ttl_ns);
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

static void on_beat(void *arg, enum call_result how, const char *text, void *obj)
{
    struct session *s = arg;

    if (call_lost(how))
        session_lost_contact(s, "Node.UpdateStatus", text);
    else
        session_got_contact(s);
    switch (how) {
    case CALL_OK:
        beaten(s, obj);
        break;
    case CALL_DENIED:
        beat_denied(s, text);
        break;
    case CALL_UNKNOWN:
    case CALL_MISMATCH:
        session_unknown(s, text);
        break;
    default:
        session_set_error(s, "Node.UpdateStatus", text);
        plan_beat(s, beat_retry_delay(s, how));
    }
}

void session_beat_now(void *arg)
{
    struct session *s = arg;
    struct node_update_status_request q = {
        .node_id = (char *)(uintptr_t)s->o.node_id,
        .status = (char *)(uintptr_t)NODE_STATUS_READY,
        .w.region = (char *)(uintptr_t)s->o.region,
        .w.auth_token = (char *)(uintptr_t)session_token(s),
    };

    timer_stop(&s->beat);
    call_start(&s->beat_call, "Node.UpdateStatus", &desc_node_update_status_request, &q,
               &desc_node_update_response, BEAT_SEC * SEC, on_beat);
}

void session_beat_soon(struct session *s, uint64_t in_ns)
{
    if (s->state != SESSION_REGISTERED || call_busy(&s->beat_call))
        return;
    if (!timer_armed(&s->beat) || s->beat.at_ns > clock_boot_ns() + in_ns)
        plan_beat(s, in_ns);
}
