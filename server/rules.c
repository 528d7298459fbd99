#include "server/rules.h"

#include <errno.h>
#include <string.h>

#include "model/texts.h"
#include "server/patches.h"

#define UNIX_SEC(ns) ((ns) / (int64_t)NSEC_PER_SEC)

int rules_status_parse(const char *s, enum node_status *ret)
{
    for (int i = 0; i < STATUS_MAX; i++) {
        if (s && strcmp(s, node_status_name((enum node_status)i)) == 0) {
            *ret = (enum node_status)i;
            return 0;
        }
    }
    return -EINVAL;
}

/* --- events --- */

static void event_pack(struct buf *b, const char *message, struct gotime at, uint64_t index)
{
    struct node_event ev = {.timestamp = at, .create_index = index};

    ev.message = xstrdup(message);
    ev.subsystem = xstrdup(EVENT_SUBSYSTEM_CLUSTER);
    mp_encode(b, &desc_node_event, &ev);
    free(ev.message);
    free(ev.subsystem);
}

/* one array element with the index of the write that brought it */
static int event_stamp(struct buf *b, const void *event, size_t n, uint64_t index)
{
    _cleanup_buf_ struct buf value = BUF_INIT(16);
    struct mp_patch patch = {.key = "CreateIndex"};

    mp_u64(&value, index);
    patch.value = value.p;
    patch.n = value.len;
    return mp_map_patch(event, n, &patch, 1, b);
}

/* n elements of a packed array; -EBADMSG when it is none.  nil is an empty one. */
static int array_open(struct mp_in *in, size_t *ret_n)
{
    struct mp_token t;

    if (mp_next(in, &t) < 0 || (t.type != MP_ARRAY && t.type != MP_NIL))
        return -EBADMSG;
    *ret_n = t.type == MP_ARRAY ? t.n : 0;
    return 0;
}

/* The stored events plus those in more (n_more packed ones behind each other), the newest ten. */
static int events_join(const struct node_item *old, const struct buf *more, size_t n_more,
                       struct buf *out)
{
    static const uint8_t nil = 0xc0;
    const uint8_t *stored = &nil;
    size_t n_stored = 1, n, drop, drop_more;
    struct mp_in in, in_more = mp_in(more->p, more->len);

    if (mp_map_find(old->packed, old->packed_len, "Events", &stored, &n_stored) < 0) {
        stored = &nil;
        n_stored = 1;
    }
    in = mp_in(stored, n_stored);
    if (array_open(&in, &n) < 0)
        return -EBADMSG;
    drop = n + n_more > NODE_EVENTS_MAX ? n + n_more - NODE_EVENTS_MAX : 0;
    drop_more = drop > n ? drop - n : 0;
    drop -= drop_more;
    for (size_t i = 0; i < drop; i++)
        if (mp_skip(&in) < 0)
            return -EBADMSG;
    for (size_t i = 0; i < drop_more; i++)
        if (mp_skip(&in_more) < 0)
            return -EBADMSG;
    mp_array(out, n - drop + n_more - drop_more);
    buf_add(out, in.p, (size_t)(in.end - in.p));
    buf_add(out, in_more.p, (size_t)(in_more.end - in_more.p));
    return buf_ok(out);
}

/* puts the stored events and one more into p */
static int patch_event(struct patches *p, const struct node_item *old, const struct buf *event)
{
    _cleanup_buf_ struct buf all = BUF_INIT(NODE_PACKED_MAX);
    int r = events_join(old, event, 1, &all);

    if (r == 0)
        patches_raw(p, "Events", all.p, all.len);
    return r;
}

/* --- registration --- */

static void register_first(struct patches *p, const struct node *n, int64_t now_ns)
{
    _cleanup_buf_ struct buf events = BUF_INIT(KIB);

    /* whole seconds and index 0, as Nomad's first event has them */
    mp_array(&events, 1);
    event_pack(&events, EVENT_REGISTERED,
               gotime_from_unix_ns(UNIX_SEC(now_ns) * (int64_t)NSEC_PER_SEC), 0);
    patches_raw(p, "Events", events.p, events.len);
    patches_str(p, "Status", n->status);
    patches_str(p, "SchedulingEligibility", n->scheduling_eligibility);
    patches_u64(p, "LastMissedHeartbeatIndex", 0);
    patches_u64(p, "LastAllocUpdateIndex", 0);
}

static void register_again(struct patches *p, const struct node_item *old, const struct node *n)
{
    static const char *const kept[] = {
        "Events", "Status", "SchedulingEligibility", "Drain", "DrainStrategy", "LastDrain",
    };

    patches_copy(p, kept, ARRAY_LEN(kept), old);
    patches_u64(p, "LastMissedHeartbeatIndex",
                MAX(old->last_missed_heartbeat_index, n->last_missed_heartbeat_index));
    patches_u64(p, "LastAllocUpdateIndex",
                MAX(old->last_alloc_update_index, n->last_alloc_update_index));
}

int rules_register(const struct node_item *old, const struct rules_registration *reg,
                   uint64_t index, int64_t now_ns, struct node_item **ret, struct err *e)
{
    _cleanup_patches_ struct patches p = PATCHES_INIT;

    if (old)
        register_again(&p, old, reg->node);
    else
        register_first(&p, reg->node, now_ns);
    patches_i64(&p, "StatusUpdatedAt", UNIX_SEC(now_ns));
    patches_str(&p, "ComputedClass", reg->computed_class);
    patches_str(&p, "NodePool", reg->node->node_pool);
    if (reg->resources)
        patches_raw(&p, "NodeResources", reg->resources->p, reg->resources->n);
    patches_u64(&p, "CreateIndex", old ? old->create_index : index);
    patches_u64(&p, "ModifyIndex", index);
    return patches_apply(&p, reg->packed, reg->packed_len, ret, e);
}

/* --- status --- */

static bool unresponsive(enum node_status s)
{
    return s == STATUS_DOWN || s == STATUS_DISCONNECTED;
}

enum node_status rules_next_status(enum node_status stored, enum node_status asked)
{
    return stored == STATUS_DISCONNECTED && asked == STATUS_READY ? STATUS_INIT : asked;
}

int rules_status(const struct node_item *old, enum node_status status, const struct bytes *event,
                 uint64_t index, int64_t now_ns, struct node_item **ret, struct err *e)
{
    _cleanup_patches_ struct patches p = PATCHES_INIT;
    _cleanup_buf_ struct buf ev = BUF_INIT(NODE_PACKED_MAX);
    enum node_status stored = (enum node_status)old->status;
    int r = 0;

    if (event && event->p)
        r = event_stamp(&ev, event->p, event->n, index);
    else if (stored == STATUS_DOWN && status != STATUS_DOWN)
        event_pack(&ev, EVENT_REREGISTERED_BEAT, gotime_from_unix_ns(now_ns), index);
    if (r == 0 && ev.len > 0)
        r = patch_event(&p, old, &ev);
    if (r < 0)
        return err_errno(e, r, "node event cannot be stored");
    patches_str(&p, "Status", node_status_name(status));
    patches_i64(&p, "StatusUpdatedAt", UNIX_SEC(now_ns));
    patches_u64(&p, "ModifyIndex", index);
    if (!unresponsive(stored) && unresponsive(status))
        patches_u64(&p, "LastMissedHeartbeatIndex", index);
    else if (stored != STATUS_READY && status == STATUS_READY)
        patches_u64(&p, "LastMissedHeartbeatIndex", 0);
    return patches_apply(&p, old->packed, old->packed_len, ret, e);
}

int rules_missed(const struct node_item *old, uint64_t index, int64_t now_ns,
                 struct node_item **ret, struct err *e)
{
    _cleanup_buf_ struct buf ev = BUF_INIT(KIB);
    struct bytes event;

    event_pack(&ev, EVENT_BEAT_MISSED, gotime_from_unix_ns(now_ns), index);
    event = (struct bytes){.p = ev.p, .n = ev.len};
    return rules_status(old, STATUS_DOWN, &event, index, now_ns, ret, e);
}

/* --- writes that leave ModifyIndex alone --- */

int rules_emit(const struct node_item *old, const struct bytes *events, uint64_t index,
               struct node_item **ret, struct err *e)
{
    _cleanup_patches_ struct patches p = PATCHES_INIT;
    _cleanup_buf_ struct buf more = BUF_INIT(NODE_PACKED_MAX), all = BUF_INIT(NODE_PACKED_MAX);
    struct mp_in in = mp_in(events->p, events->n);
    size_t n;
    int r = array_open(&in, &n);

    for (size_t i = 0; r == 0 && i < n; i++) {
        const uint8_t *from = in.p;

        r = mp_skip(&in);
        if (r == 0)
            r = event_stamp(&more, from, (size_t)(in.p - from), index);
    }
    if (r == 0)
        r = events_join(old, &more, n, &all);
    if (r < 0)
        return err_errno(e, r, "node events cannot be stored");
    patches_raw(&p, "Events", all.p, all.len);
    return patches_apply(&p, old->packed, old->packed_len, ret, e);
}

int rules_alloc_update(const struct node_item *old, uint64_t index, struct node_item **ret,
                       struct err *e)
{
    _cleanup_patches_ struct patches p = PATCHES_INIT;

    patches_u64(&p, "LastAllocUpdateIndex", index);
    return patches_apply(&p, old->packed, old->packed_len, ret, e);
}
