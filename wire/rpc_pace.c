#include <errno.h>

#include "base/limits.h"
#include "wire/conn.h"
#include "wire/rpc_priv.h"

/* Peers that begin a request and never end it, or ask for much and never take it: by wire/pace.h.
 * The session looks now and then while there is anything to look at; an ordinary request, which is
 * whole when it is read and whose answer leaves at once, costs nothing here. */

enum {
    LOOK_SEC = 20,
    SOON_GONE = 16 * KIB, /* unsent bytes that are not worth looking after */
};

static size_t unsent(const struct rpc_serve *v)
{
    if (v->stream)
        return yamux_pending(v->stream);
    return v->session->plain ? conn_pending(v->session->plain) : 0;
}

static void look_later(struct rpc_session *s)
{
    if (!timer_armed(&s->pace) && !s->dead)
        timer_set(&s->pace, LOOK_SEC * NSEC_PER_SEC);
}

void rpc_pace_sent(struct rpc_serve *v, size_t n)
{
    size_t waits = unsent(v);

    if (waits < SOON_GONE)
        return;
    if (waits <= n)
        pace_end(&v->leaves);
    pace_add(&v->leaves, n);
    look_later(v->session);
}

void rpc_pace_waits(struct rpc_serve *v, bool half_sent)
{
    if (!half_sent) {
        pace_end(&v->arrives);
    } else if (v->arrives.until_ns == 0) {
        pace_add(&v->arrives, 0);
        look_later(v->session);
    }
}

/* what has come of a request gives it so much more time; a byte now and then does not */
static bool is_late(struct rpc_serve *v)
{
    struct pace arrives = v->arrives;

    if (unsent(v) == 0)
        pace_end(&v->leaves);
    if (arrives.until_ns)
        pace_add(&arrives, v->box.in.len);
    return pace_is_over(&v->leaves) || pace_is_over(&arrives);
}

void rpc_pace_look(void *arg)
{
    struct rpc_session *s = rpc_session_ref(arg);
    struct rpc_serve *late;
    bool more = false;

    do { /* from the start each time: who waits for an answer is told, and may end others */
        late = NULL;
        more = false;
        list_for_each (v, &s->serving, struct rpc_serve, link) {
            if (is_late(v)) {
                late = v;
                break;
            }
            more = more || v->leaves.until_ns || v->arrives.until_ns;
        }
        if (late)
            rpc_serve_drop(late);
    } while (late && !s->dead);
    if (more)
        look_later(s);
    (void)rpc_session_unref(s);
}
