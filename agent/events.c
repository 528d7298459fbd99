#include "agent/events.h"

#include <string.h>

#include "agent/call.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/rand.h"
#include "base/str.h"
#include "codec/mp.h"
#include "codec/ops.h"

#define SEC NSEC_PER_SEC

enum {
    QUEUE_MAX = NODE_EVENTS_MAX + 1,
    CALM_SEC = 5,  /* nomad client/node_updater.go: 5 s + rnd(5 s) behind the last one */
    LATE_SEC = 30, /* but no later than this behind the first one */
    CALL_SEC = 20,
    RETRY_MAX_SEC = 60,
};

struct events {
    struct events_opts o;
    struct call call; /* Node.GetNode or Node.EmitEvents */
    struct timer timer;
    uint64_t last_ns, first_ns; /* CLOCK_BOOTTIME: of those that were not sent */
    size_t n_sent;              /* under way: the first ones of the queue */
    /* What a server has of the queue is not known: an answer was lost, or the process was another.
     * It is a beginning of the queue, for they go out in order and whole batches. */
    bool doubt;
    unsigned failures; /* in a row */
};

static void send_now(struct events *ev);

/* --- when --- */

static bool may_send(const struct events *ev)
{
    struct session_status st;

    session_status(ev->o.session, &st);
    return st.state == SESSION_REGISTERED;
}

/* when those that wait are due; what waited for a server goes soon */
static void plan(struct events *ev)
{
    uint64_t now = clock_boot_ns(), at;

    if (events_waiting(ev) == 0 || call_busy(&ev->call))
        return;
    at = ev->last_ns + CALM_SEC * SEC + rand_below(CALM_SEC * SEC);
    at = MIN(at, ev->first_ns + LATE_SEC * SEC);
    timer_set_at(&ev->timer, at > now ? at : now + rand_below(SEC));
}

static void retry_later(struct events *ev)
{
    uint64_t sec = CALM_SEC << MIN(ev->failures, 4U);

    ev->failures++;
    sec = MIN(sec, RETRY_MAX_SEC);
    timer_set(&ev->timer, sec * SEC + rand_below(sec * SEC));
}

/* --- what a server has already --- */

static bool same_event(const struct node_event *a, const struct node_event *b)
{
    return gotime_equal(a->timestamp, b->timestamp) && str_eq(a->subsystem, b->subsystem) &&
           str_eq(a->message, b->message);
}

static bool has_event(const struct node *n, const struct node_event *e)
{
    for (size_t i = 0; i < n->n_events; i++)
        if (same_event(&n->events[i], e))
            return true;
    return false;
}

/* It keeps ten: of a longer batch the first ones are gone, but the last one tells of all. */
static void drop_known(struct events *ev, const struct node *n)
{
    size_t waiting;
    const struct node_event *v = journal_events(ev->o.journal, &waiting);

    for (size_t i = waiting; i-- > 0;) {
        if (!has_event(n, &v[i]))
            continue;
        log_debug("a server has these node events already", KI("n", i + 1));
        journal_drop_events(ev->o.journal, 0, i + 1);
        return;
    }
}

/* true when the call failed: tried again later */
static bool failed(struct events *ev, enum call_result how, const char *text)
{
    session_contact(ev->o.session, !call_lost(how), text);
    if (how == CALL_OK)
        return false;
    log_debug("cannot send node events", KV("error", text));
    retry_later(ev);
    if (how == CALL_UNKNOWN || how == CALL_DENIED || how == CALL_MISMATCH)
        session_unknown(ev->o.session, text);
    return true;
}

static void on_node(void *arg, enum call_result how, const char *text, void *obj)
{
    struct events *ev = arg;
    const struct single_node_response *r = obj;
    _cleanup_(node_freep) struct node *n = NULL;
    struct err e = {0};

    if (failed(ev, how, text))
        return;
    n = node_new(); /* stays empty for nil: a node that is not there (any more) has no events */
    if (r->node.n == 0 ||
        (r->node.n > 1 && mp_decode(&desc_node, r->node.p, r->node.n, n, &e) < 0)) {
        (void)log_warn(0, "a server gave a node that cannot be read", KE(&e));
        retry_later(ev);
        return;
    }
    drop_known(ev, n);
    ev->doubt = false;
    if (events_waiting(ev) > 0)
        send_now(ev);
}

static void look_first(struct events *ev)
{
    struct node_specific_request q = {
        .node_id = (char *)(uintptr_t)ev->o.node_id,
        .q.region = (char *)(uintptr_t)ev->o.region,
        .q.auth_token = (char *)(uintptr_t)session_token(ev->o.session),
    };

    call_start(&ev->call, "Node.GetNode", &desc_node_specific_request, &q,
               &desc_single_node_response, CALL_SEC * SEC, on_node);
}

/* --- sending --- */

static void on_sent(void *arg, enum call_result how, const char *text, void *obj)
{
    struct events *ev = arg;
    size_t n = ev->n_sent;

    (void)obj;
    ev->n_sent = 0;
    if (failed(ev, how, text)) {
        ev->doubt = true; /* also an error may come from behind the write */
        return;
    }
    journal_drop_events(ev->o.journal, 0, n);
    ev->failures = 0;
    ev->first_ns = clock_boot_ns();
    plan(ev);
}

static void send_now(struct events *ev)
{
    _cleanup_buf_ struct buf b = BUF_INIT(RPC_BODY_MAX);
    struct emit_node_events_request q = {
        .w.region = (char *)(uintptr_t)ev->o.region,
        .w.auth_token = (char *)(uintptr_t)session_token(ev->o.session),
    };
    const struct node_event *v = journal_events(ev->o.journal, &ev->n_sent);

    mp_map(&b, 1);
    mp_str(&b, ev->o.node_id);
    mp_array(&b, ev->n_sent);
    for (size_t i = 0; i < ev->n_sent; i++)
        mp_encode(&b, &desc_node_event, &v[i]);
    q.node_events = (struct bytes){b.p, b.len};
    call_start_once(&ev->call, "Node.EmitEvents", &desc_emit_node_events_request, &q, NULL,
                    CALL_SEC * SEC, on_sent);
}

static void on_due(void *arg)
{
    struct events *ev = arg;

    if (events_waiting(ev) == 0 || call_busy(&ev->call) || !may_send(ev))
        return;
    if (ev->doubt)
        look_first(ev);
    else
        send_now(ev);
}

/* --- the outside --- */

static char *short_copy(const char *s)
{
    size_t n = strnlen(str_or_empty(s), EVENT_TEXT_MAX);

    while (n == EVENT_TEXT_MAX && n > 0 && ((unsigned char)s[n] & 0xc0) == 0x80)
        n--; /* no half of a character */
    return xstrndup(str_or_empty(s), n);
}

/* two events of one instant could not be told apart */
static struct gotime next_time(const struct node_event *v, size_t n)
{
    struct gotime now = gotime_now();

    if (n > 0 && gotime_equal(now, v[n - 1].timestamp))
        now = gotime_from_unix_ns(gotime_to_unix_ns(now) + 1);
    return now;
}

/* the oldest ones go, whether they are under way or not */
static void make_room(struct events *ev)
{
    size_t n = events_waiting(ev), over = n > QUEUE_MAX ? n - QUEUE_MAX : 0;

    if (over == 0)
        return;
    (void)log_warn(0, "too many node events wait for a server, the oldest are left out",
                   KI("n", over));
    journal_drop_events(ev->o.journal, 0, over);
    ev->n_sent -= MIN(ev->n_sent, over);
}

void events_add(struct events *ev, const char *subsystem, const char *message,
                const struct strmap *details)
{
    size_t waiting;
    const struct node_event *v = journal_events(ev->o.journal, &waiting);
    struct node_event e = {.timestamp = next_time(v, waiting)};

    e.subsystem = short_copy(subsystem);
    e.message = short_copy(message);
    for (size_t i = 0; details && i < details->n; i++) {
        _cleanup_free_ char *value = short_copy(details->items[i].value);

        strmap_set(&e.details, details->items[i].key, value);
    }
    log_info("node event", KV("subsystem", e.subsystem), KV("message", e.message));
    journal_add_event(ev->o.journal, &e);
    ops_clear(&desc_node_event, &e);
    make_room(ev);
    ev->last_ns = clock_boot_ns();
    if (waiting == ev->n_sent) /* all before it are on their way */
        ev->first_ns = ev->last_ns;
    if (ev->failures == 0 || !timer_armed(&ev->timer))
        plan(ev);
}

void events_registered(struct events *ev)
{
    ev->failures = 0;
    plan(ev);
}

void events_kick(struct events *ev)
{
    if (ev->failures > 0 && timer_armed(&ev->timer))
        timer_set(&ev->timer, rand_below(SEC));
}

size_t events_waiting(const struct events *ev)
{
    size_t n;

    (void)journal_events(ev->o.journal, &n);
    return n;
}

/* what an earlier process left: how long it has waited is known by the wall clock only */
static void take_over(struct events *ev)
{
    size_t n;
    const struct node_event *v = journal_events(ev->o.journal, &n);
    uint64_t now = clock_boot_ns();
    int64_t age;

    ev->first_ns = ev->last_ns = now;
    if (n == 0)
        return;
    ev->doubt = true;
    age = clock_wall_ns() - gotime_to_unix_ns(v[0].timestamp);
    if (age > 0)
        ev->first_ns -= MIN((uint64_t)age, LATE_SEC * SEC);
}

struct events *events_new(const struct events_opts *o)
{
    struct events *ev = xnew0(struct events);

    ev->o = *o;
    call_init(&ev->call, o->pool, ev);
    timer_init(o->loop, &ev->timer, "node events", on_due, ev);
    take_over(ev);
    return ev;
}

struct events *events_free(struct events *ev)
{
    if (!ev)
        return NULL;
    call_cancel(&ev->call);
    timer_stop(&ev->timer);
    return mem_free(ev);
}
