/* model/item.c - published nodes.
 *
 * One allocation holds the struct and the packed object: there are as many items as there are
 * nodes, and a fleet has many.
 */
#include "model/item.h"

#include <errno.h>
#include <string.h>

#include "base/limits.h"
#include "base/str.h"
#include "codec/mp.h"
#include "codec/ops.h"

const char *node_status_name(enum node_status s)
{
    static const char *const names[STATUS_MAX] = {
        [STATUS_INIT] = NODE_STATUS_INIT,
        [STATUS_READY] = NODE_STATUS_READY,
        [STATUS_DOWN] = NODE_STATUS_DOWN,
        [STATUS_DISCONNECTED] = NODE_STATUS_DISCONNECTED,
    };

    return s < STATUS_MAX ? names[s] : "";
}

static int find_status(const char *name, uint8_t *ret)
{
    for (unsigned s = 0; s < STATUS_MAX; s++) {
        if (!str_eq(name, node_status_name(s)))
            continue;
        *ret = (uint8_t)s;
        return 0;
    }
    return -EINVAL;
}

/* copies what rules and lists need; checks what they rely on */
static int fill(struct node_item *it, const struct node *n, struct err *e)
{
    if (uuid_parse(str_or_empty(n->id), &it->key) < 0)
        return err_set(e, -EBADMSG, "node: ID \"%.64s\" is no UUID", str_or_empty(n->id));
    if (strlen(str_or_empty(n->secret_id)) > UUID_TEXT_LEN)
        return err_set(e, -EBADMSG, "node %s: SecretID is too long", n->id);
    if (find_status(n->status, &it->status) < 0)
        return err_set(e, -EBADMSG, "node %s: unknown status \"%.64s\"", n->id,
                       str_or_empty(n->status));
    memcpy(it->id, n->id, sizeof(it->id));
    memcpy(it->secret_id, str_or_empty(n->secret_id), strlen(str_or_empty(n->secret_id)));
    it->refs = 1;
    it->create_index = n->create_index;
    it->modify_index = n->modify_index;
    it->status_updated_at = n->status_updated_at;
    it->last_missed_heartbeat_index = n->last_missed_heartbeat_index;
    it->last_alloc_update_index = n->last_alloc_update_index;
    it->eligible = str_eq(n->scheduling_eligibility, NODE_ELIGIBLE);
    it->draining = n->drain_strategy != NULL;
    return 0;
}

/* --- the same from where the values stand, without decoding the rest --- */

enum row {
    ROW_CREATE_INDEX,
    ROW_DRAIN_STRATEGY,
    ROW_ELIGIBILITY,
    ROW_ID,
    ROW_LAST_ALLOC_UPDATE_INDEX,
    ROW_LAST_MISSED_HEARTBEAT_INDEX,
    ROW_MODIFY_INDEX,
    ROW_SECRET_ID,
    ROW_STATUS,
    ROW_STATUS_UPDATED_AT,
    ROW_MAX,
};

/* where the rows stand in desc_node */
static const size_t *rows(void)
{
    static const char *const names[ROW_MAX] = {
        [ROW_CREATE_INDEX] = "CreateIndex",
        [ROW_DRAIN_STRATEGY] = "DrainStrategy",
        [ROW_ELIGIBILITY] = "SchedulingEligibility",
        [ROW_ID] = "ID",
        [ROW_LAST_ALLOC_UPDATE_INDEX] = "LastAllocUpdateIndex",
        [ROW_LAST_MISSED_HEARTBEAT_INDEX] = "LastMissedHeartbeatIndex",
        [ROW_MODIFY_INDEX] = "ModifyIndex",
        [ROW_SECRET_ID] = "SecretID",
        [ROW_STATUS] = "Status",
        [ROW_STATUS_UPDATED_AT] = "StatusUpdatedAt",
    };
    static size_t at[ROW_MAX];

    for (size_t i = 0; at[ROW_STATUS_UPDATED_AT] == 0 && i < ROW_MAX; i++)
        at[i] = (size_t)(desc_find(&desc_node, names[i]) - desc_node.fields);
    return at;
}

/* a value that mp_check() has seen; what is not there is nil */
static struct mp_token token(struct mp_in value)
{
    struct mp_token t = {0};

    if (!value.p || mp_next(&value, &t) < 0)
        t.type = MP_NIL;
    return t;
}

static uint64_t number(struct mp_in value)
{
    struct mp_token t = token(value);

    return t.type == MP_INT ? t.u : 0;
}

/* a text of max bytes at most; false: longer, or with a NUL in it */
static bool copy_text(struct mp_in value, char *ret, size_t max)
{
    struct mp_token t = token(value);
    size_t n = t.type == MP_STR ? t.n : 0;

    if (n > max || (n > 0 && memchr(t.p, 0, n)))
        return false;
    if (n > 0)
        memcpy(ret, t.p, n);
    ret[n] = 0;
    return true;
}

/* false: whatever it is, the long way says it */
static bool fill_packed(struct node_item *it, const void *packed, size_t n)
{
    struct mp_in values[DESC_ROWS_MAX];
    char status[16], eligibility[16];
    const size_t *at = rows();

    if (mp_check(&desc_node, packed, n, values) < 0 ||
        !copy_text(values[at[ROW_ID]], it->id, UUID_TEXT_LEN) ||
        !copy_text(values[at[ROW_SECRET_ID]], it->secret_id, UUID_TEXT_LEN) ||
        !copy_text(values[at[ROW_STATUS]], status, sizeof(status) - 1) ||
        !copy_text(values[at[ROW_ELIGIBILITY]], eligibility, sizeof(eligibility) - 1) ||
        uuid_parse(it->id, &it->key) < 0 || find_status(status, &it->status) < 0)
        return false;
    it->refs = 1;
    it->create_index = number(values[at[ROW_CREATE_INDEX]]);
    it->modify_index = number(values[at[ROW_MODIFY_INDEX]]);
    it->status_updated_at = (int64_t)number(values[at[ROW_STATUS_UPDATED_AT]]);
    it->last_missed_heartbeat_index = number(values[at[ROW_LAST_MISSED_HEARTBEAT_INDEX]]);
    it->last_alloc_update_index = number(values[at[ROW_LAST_ALLOC_UPDATE_INDEX]]);
    it->eligible = str_eq(eligibility, NODE_ELIGIBLE);
    it->draining = token(values[at[ROW_DRAIN_STRATEGY]]).type != MP_NIL;
    return true;
}

static int fill_decoded(struct node_item *it, const void *packed, size_t n, struct err *e)
{
    _cleanup_(node_freep) struct node *node = node_new();
    int r;

    r = mp_decode(&desc_node, packed, n, node, e);
    return r < 0 ? err_wrap(e, r, "node") : fill(it, node, e);
}

int node_item_new(const void *packed, size_t n, struct node_item **ret, struct err *e)
{
    struct node_item head = {0}, *it;
    int r;

    if (n > NODE_PACKED_MAX)
        return err_set(e, -EMSGSIZE, "node: %zu bytes are more than the limit of %zu", n,
                       NODE_PACKED_MAX);
    if (!fill_packed(&head, packed, n)) {
        head = (struct node_item){0};
        r = fill_decoded(&head, packed, n, e);
        if (r < 0)
            return r;
    }
    it = try_alloc(sizeof(*it) + n);
    if (!it)
        return err_set(e, -ENOMEM, "out of memory");
    head.packed = memcpy(it + 1, packed, n);
    head.packed_len = n;
    *it = head;
    *ret = it;
    return 0;
}

int node_item_from_stub(const void *packed, size_t n, struct node_item **ret, struct err *e)
{
    struct node_item *it;
    struct mp_token id;
    const uint8_t *value;
    struct mp_in in;
    size_t len;

    if (n > NODE_PACKED_MAX)
        return err_set(e, -EMSGSIZE, "node: %zu bytes are more than the limit of %zu", n,
                       NODE_PACKED_MAX);
    if (mp_map_find(packed, n, "ID", &value, &len) < 0)
        return err_set(e, -EBADMSG, "node: an entry of the list has no ID");
    in = mp_in(value, len);
    if (mp_next(&in, &id) < 0 || id.type != MP_STR || id.n != UUID_TEXT_LEN)
        return err_set(e, -EBADMSG, "node: the ID of an entry of the list is no UUID");
    it = try_alloc(sizeof(*it) + n);
    if (!it)
        return err_set(e, -ENOMEM, "out of memory");
    *it = (struct node_item){
        .refs = 1, .is_stub = true, .packed = (const uint8_t *)(it + 1), .packed_len = n};
    memcpy(it->id, id.p, id.n);
    memcpy(it + 1, packed, n);
    if (uuid_parse(it->id, &it->key) < 0) {
        free(it);
        return err_set(e, -EBADMSG, "node: the ID of an entry of the list is no UUID");
    }
    *ret = it;
    return 0;
}

int node_item_from_node(const struct node *n, struct node_item **ret, struct err *e)
{
    _cleanup_buf_ struct buf b = BUF_INIT(NODE_PACKED_MAX);

    mp_encode(&b, &desc_node, n);
    if (buf_ok(&b) < 0)
        return err_set(e, -EMSGSIZE, "node %s: larger than the limit of %zu bytes",
                       str_or_empty(n->id), NODE_PACKED_MAX);
    return node_item_new(b.p, b.len, ret, e);
}

int node_item_patch(const struct node_item *it, const struct mp_patch *patches, size_t n,
                    struct node_item **ret, struct err *e)
{
    _cleanup_buf_ struct buf b = BUF_INIT(NODE_PACKED_MAX);
    int r;

    r = mp_map_patch(it->packed, it->packed_len, patches, n, &b);
    if (r < 0)
        return err_errno(e, r, "node %s: changing the stored object", it->id);
    return node_item_new(b.p, b.len, ret, e);
}

/* items are published as const; the count is the one thing about them that changes */
static struct node_item *mutable(const struct node_item *it)
{
    return (struct node_item *)(uintptr_t)it;
}

const struct node_item *node_item_ref(const struct node_item *it)
{
    mutable(it)->refs++;
    return it;
}

const struct node_item *node_item_unref(const struct node_item *it)
{
    if (it && --mutable(it)->refs == 0)
        free(mutable(it));
    return NULL;
}

int node_item_decode(const struct node_item *it, struct node **ret, struct err *e)
{
    _cleanup_(node_freep) struct node *n = node_new();
    int r;

    r = mp_decode(&desc_node, it->packed, it->packed_len, n, e);
    if (r < 0)
        return err_wrap(e, r, "node %s", it->id);
    *ret = steal_ptr(&n);
    return 0;
}
