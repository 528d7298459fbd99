#include "agent/session_priv.h"

#include "base/clock.h"

/* A node that is another one than the servers have: when it is sent. */

/* not before this when only flapping facts differ from the accepted node; else 0 */
static uint64_t damped_until(const struct session *s)
{
    bool damped =
        s->o.flap && flap_only(s->o.flap, s->accepted->node, s->wanted->node, clock_boot_ns());

    return damped ? s->registered_ns + FLAP_UPDATE_SEC * SEC : 0;
}

void session_change_due(void *arg)
{
    struct session *s = arg;

    s->changed_once = true;
    if (s->need != NEED_NOTHING || !node_registration_changed(s->accepted->node, s->wanted->node))
        return;
    if (damped_until(s) > clock_boot_ns()) { /* it has begun to flap meanwhile */
        timer_set_at(&s->change, damped_until(s));
        return;
    }
    s->need = NEED_CHANGE;
    session_retry(s);
}

void session_set_node(struct session *s, const struct node_snap *snap)
{
    uint64_t at;

    if (s->wanted != snap) {
        (void)node_snap_unref(s->wanted);
        s->wanted = node_snap_ref(snap);
    }
    if (!s->accepted) {
        if (!timer_armed(&s->retry))
            session_register_now(s);
        return;
    }
    if (!node_registration_changed(s->accepted->node, snap->node))
        return;
    at = clock_boot_ns() + (s->changed_once ? session_spread(CHANGE_SEC) : SEC);
    at = MAX(at, damped_until(s));
    if (!timer_armed(&s->change) || s->change.at_ns > at)
        timer_set_at(&s->change, at);
}
