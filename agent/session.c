#include "agent/session.h"

#include <string.h>

#include "agent/session_priv.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/rand.h"
#include "base/str.h"
#include "model/texts.h"

static const char *const state_names[] = {
    [SESSION_CONNECTING] = "connecting",
    [SESSION_REGISTERING] = "registering",
    [SESSION_REGISTERED] = "registered",
    [SESSION_REFUSED] = "refused",
};

const char *session_state_name(enum session_state state)
{
    return state_names[state];
}

static void connect_now(void *arg);

void session_notify(struct session *s)
{
    s->o.on_change(s->o.arg);
}

static void set_state(struct session *s, enum session_state state)
{
    s->state = state;
    session_notify(s);
}

void session_set_error(struct session *s, const char *what, const char *text)
{
    _cleanup_free_ char *full = xasprintf("%s: %s", what, text);

    if (!str_eq(s->error, full))
        (void)log_warn(0, "exchange with the servers failed", KV("call", what), KV("error", text));
    str_set(&s->error, full);
    session_notify(s);
}

const char *session_token(const struct session *s)
{
    const char *jwt = journal_identity(s->o.journal);

    return jwt ? jwt : s->o.secret_id;
}

/* trouble with who we are: a node event */
static void session_event(struct session *s, const char *message, const char *error)
{
    _cleanup_strmap_ struct strmap details = {0};

    if (!str_empty(error))
        strmap_set(&details, "error", error);
    if (s->o.on_event)
        s->o.on_event(s->o.arg, EVENT_SUBSYSTEM_CLUSTER, message, &details);
}

/* --- contact --- */

void session_got_contact(struct session *s)
{
    bool first = !s->in_contact;

    s->contact_ns = clock_boot_ns();
    s->in_contact = true;
    s->failures = 0;
    servers_reachable(s->o.servers);
    if (!first)
        return;
    log_info("a server answers", KV("server", pool_current(s->o.pool)));
    s->o.on_contact(s->o.arg);
}

void session_lost_contact(struct session *s, const char *what, const char *why)
{
    servers_unreachable(s->o.servers);
    s->in_contact = false;
    session_set_error(s, what, why);
}

/* Soon while there are servers that were not tried, then 1, 2, 4 .. 15 s, each with as much again
 * at random. */
static uint64_t retry_delay(struct session *s)
{
    const char *const *v;
    size_t n = pool_servers(s->o.pool, &v);
    unsigned failed = s->failures++, shift;

    if (failed + 1 < n)
        return 50 * NSEC_PER_MSEC + rand_below(150 * NSEC_PER_MSEC);
    shift = MIN(failed + 1 - MAX((unsigned)n, 1U), 4U);
    return session_spread(MIN(1U << shift, (unsigned)RETRY_MAX_SEC));
}

static void on_ping(void *arg, enum call_result how, const char *text, void *obj)
{
    struct session *s = arg;

    (void)obj;
    if (call_lost(how)) {
        session_lost_contact(s, "Status.Ping", text);
        timer_set(&s->retry, retry_delay(s));
        return;
    }
    session_got_contact(s); /* any answer shows that a server is there */
    session_register_now(s);
}

static void connect_now(void *arg)
{
    struct session *s = arg;
    struct generic_request q = {.q.region = (char *)(uintptr_t)s->o.region};
    const char *const *v;

    timer_stop(&s->retry);
    if (call_busy(&s->call) || pool_servers(s->o.pool, &v) == 0)
        return; /* session_servers_changed() comes when there is one */
    call_start(&s->call, "Status.Ping", &desc_generic_request, &q, NULL, PING_SEC * SEC, on_ping);
}

/* --- what replies carry --- */

void session_take_reply(struct session *s, const struct node_update_response *r)
{
    int64_t ttl = MAX(r->heartbeat_ttl, TTL_MIN_SEC * (int64_t)SEC);

    s->ttl_ns = (uint64_t)MIN(ttl, TTL_MAX_SEC * (int64_t)SEC);
    servers_learned(s->o.servers, r->servers, r->n_servers);
    pool_set_nodes(s->o.pool, r->num_nodes > 0 ? (uint64_t)r->num_nodes : 0);
    if (!str_empty(r->leader_rpc_addr))
        str_set(&s->leader, r->leader_rpc_addr);
    if (!str_empty(r->signed_identity))
        journal_set_identity(s->o.journal, r->signed_identity);
}

void session_drop_identity(struct session *s)
{
    journal_set_identity(s->o.journal, NULL);
    session_event(s, EVENT_IDENTITY_DROPPED, NULL);
}

/* --- registration --- */

static const char *register_token(struct session *s)
{
    if (!journal_registered(s->o.journal) || s->tried_plain) {
        s->token = TOKEN_NONE;
        return "";
    }
    s->token = journal_identity(s->o.journal) ? TOKEN_IDENTITY : TOKEN_SECRET;
    return session_token(s);
}

static void registered(struct session *s, const struct node_update_response *r)
{
    enum need was = s->need;

    session_take_reply(s, r);
    journal_set_registered(s->o.journal);
    (void)node_snap_unref(s->accepted);
    s->accepted = s->sending;
    s->sending = NULL;
    s->tried_plain = false;
    s->need = NEED_NOTHING;
    s->n_registrations++;
    s->registered_ns = clock_boot_ns();
    s->alive_ns = s->asked_ns;
    s->fresh |= was != NEED_CHANGE;
    str_set(&s->error, NULL);
    log_info("node registered", KV("node_id", s->o.node_id), KV("server", pool_current(s->o.pool)),
             KI("ttl_ms", s->ttl_ns / NSEC_PER_MSEC), KI("index", r->q.index));
    set_state(s, SESSION_REGISTERED);
    s->o.on_registered(s->o.arg, was != NEED_UNKNOWN);
    if (was == NEED_FIRST)
        session_beat_now(s); /* only a heartbeat makes a node ready */
    else if (was == NEED_UNKNOWN)
        session_beat_soon(s, rand_below(RECONNECT_SEC * SEC));
    else
        session_beat_replan(s);
    if (s->wanted != s->accepted)
        session_set_node(s, s->wanted); /* what came while the call was under way */
}

static void register_denied(struct session *s, const char *text)
{
    if (s->token == TOKEN_IDENTITY) {
        session_drop_identity(s);
        session_register_now(s);
    } else if (s->token == TOKEN_SECRET && !s->tried_plain) {
        s->tried_plain = true; /* the node may have been collected: as if it were new */
        session_register_now(s);
    } else {
        s->tried_plain = false;
        session_set_error(s, "Node.Register", text);
        timer_set(&s->retry, session_spread(15));
    }
}

static void register_refused(struct session *s, const char *text)
{
    (void)log_error(0,
                    "servers know this node by another secret and refuse it; restore the file "
                    "secret-id, or purge the node at a server",
                    KV("node_id", s->o.node_id), KV("error", text));
    str_set(&s->error, text);
    session_beats_cancel(s);
    if (s->state != SESSION_REFUSED)
        session_event(s, EVENT_SECRET_REFUSED, text);
    set_state(s, SESSION_REFUSED);
    timer_set(&s->retry, session_spread(15));
}

static void on_register(void *arg, enum call_result how, const char *text, void *obj)
{
    struct session *s = arg;

    if (call_lost(how)) {
        session_lost_contact(s, "Node.Register", text);
        timer_set(&s->retry, retry_delay(s));
        return;
    }
    session_got_contact(s);
    switch (how) {
    case CALL_OK:
        registered(s, obj);
        break;
    case CALL_DENIED:
        register_denied(s, text);
        break;
    case CALL_MISMATCH:
        register_refused(s, text);
        break;
    case CALL_NO_LEADER:
        session_set_error(s, "Node.Register", text);
        timer_set(&s->retry, session_spread(1));
        break;
    default:
        session_set_error(s, "Node.Register", text);
        timer_set(&s->retry, session_spread(15));
    }
}

void session_register_now(struct session *s)
{
    struct node_register_request q = {.w.region = (char *)(uintptr_t)s->o.region};
    struct node node;

    if (!s->wanted || s->need == NEED_NOTHING || call_busy(&s->call) || !s->in_contact)
        return;
    timer_stop(&s->retry);
    (void)node_snap_unref(s->sending);
    s->sending = node_snap_ref(s->wanted);
    node = *s->sending->node; /* borrowed members; only the status is ours */
    node.status = (char *)(uintptr_t)(s->n_registrations ? NODE_STATUS_READY : NODE_STATUS_INIT);
    q.node = &node;
    q.w.auth_token = (char *)(uintptr_t)register_token(s);
    if (s->state != SESSION_REFUSED && s->need != NEED_CHANGE)
        set_state(s, SESSION_REGISTERING);
    s->asked_ns = clock_boot_ns();
    call_start(&s->call, "Node.Register", &desc_node_register_request, &q,
               &desc_node_update_response, REGISTER_SEC * SEC, on_register);
}

void session_retry(void *arg)
{
    struct session *s = arg;

    if (s->in_contact && s->need != NEED_NOTHING)
        session_register_now(s);
    else if (s->need != NEED_NOTHING)
        connect_now(s);
}

void session_unknown(struct session *s, const char *why)
{
    if (s->need == NEED_FIRST || s->need == NEED_UNKNOWN)
        return;
    (void)log_warn(0, "the servers do not know this node, registering again",
                   KV("node_id", s->o.node_id), KV("error", why));
    s->need = NEED_UNKNOWN;
    session_beats_cancel(s);
    session_event(s, EVENT_NODE_UNKNOWN, why);
    set_state(s, SESSION_REGISTERING);
    timer_stop(&s->retry);
    session_retry(s);
}

/* --- the rest --- */

void session_contact(struct session *s, bool ok, const char *why)
{
    if (ok) {
        session_got_contact(s);
        return;
    }
    if (!s->in_contact)
        return;
    session_lost_contact(s, "connection", why);
    session_beat_soon(s, rand_below(RECONNECT_SEC * SEC));
}

void session_servers_changed(struct session *s)
{
    if (s->need != NEED_NOTHING && !s->in_contact)
        connect_now(s);
}

void session_start(struct session *s)
{
    connect_now(s);
}

void session_status(const struct session *s, struct session_status *ret)
{
    *ret = (struct session_status){
        .state = s->state,
        .in_contact = s->in_contact,
        .contact_ns = s->contact_ns,
        .beat_ns = s->beat_ns,
        .beat_wall_ns = s->beat_ns ? clock_wall_of(s->beat_ns) : 0,
        .ttl_ns = s->ttl_ns,
        .next_beat_ns = timer_armed(&s->beat) ? s->beat.at_ns : 0,
        .n_registrations = s->n_registrations,
        .n_beats = s->n_beats,
        .beats = s->late,
        .leader = str_or_empty(s->leader),
        .error = str_or_empty(s->error),
    };
}

struct session *session_new(const struct session_opts *o)
{
    struct session *s = xnew0(struct session);

    s->o = *o;
    s->need = NEED_FIRST;
    call_init(&s->call, o->pool, s);
    session_beats_init(s);
    timer_init(o->loop, &s->retry, "register", session_retry, s);
    timer_init(o->loop, &s->change, "node change", session_change_due, s);
    return s;
}

struct session *session_free(struct session *s)
{
    if (!s)
        return NULL;
    call_cancel(&s->call);
    session_beats_done(s);
    timer_stop(&s->retry);
    timer_stop(&s->change);
    (void)node_snap_unref(s->wanted);
    (void)node_snap_unref(s->sending);
    (void)node_snap_unref(s->accepted);
    free(s->leader);
    free(s->error);
    return mem_free(s);
}
