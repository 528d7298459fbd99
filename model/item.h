/* model/item.h - a published node: packed object, what rules and lists need.
 *
 * Const and counted once made.  The server's store and the agent's mirror hold these; views hand
 * them out.  The packed form is the truth (it keeps fields this release does not know); the other
 * members are derived from it by node_item_new().
 */
#pragma once

#include "base/buf.h"
#include "base/uuid.h"
#include "model/node.h"

struct node_item {
    unsigned refs;
    struct uuid key; /* id as bytes: order of lists */
    uint64_t create_index, modify_index;
    int64_t status_updated_at; /* unix seconds */
    uint64_t last_missed_heartbeat_index, last_alloc_update_index;
    uint8_t status; /* enum node_status */
    bool eligible;
    bool draining;
    bool is_stub; /* packed is a list stub, and all there is */
    char id[UUID_TEXT_LEN + 1];
    char secret_id[UUID_TEXT_LEN + 1];
    const uint8_t *packed; /* owned, in this allocation or one of its own */
    size_t packed_len;
};

enum node_status {
    STATUS_INIT,
    STATUS_READY,
    STATUS_DOWN,
    STATUS_DISCONNECTED,
    STATUS_MAX,
};
const char *node_status_name(enum node_status s);

/* From packed bytes, which are copied.  Fails with a text when they are no node with a valid id. */
int node_item_new(const void *packed, size_t n, struct node_item **ret, struct err *e) _must_check_;
/* From a packed list stub of another server, which is copied: an item that only lists can show. */
int node_item_from_stub(const void *packed, size_t n, struct node_item **ret,
                        struct err *e) _must_check_;
/* from a struct: encodes it first */
int node_item_from_node(const struct node *n, struct node_item **ret, struct err *e) _must_check_;
/* A new item with some top-level keys of the packed map replaced. */
struct mp_patch;
int node_item_patch(const struct node_item *it, const struct mp_patch *patches, size_t n,
                    struct node_item **ret, struct err *e) _must_check_;
const struct node_item *node_item_ref(const struct node_item *it);
const struct node_item *node_item_unref(const struct node_item *it); /* NULL-safe; returns NULL */
static inline void node_item_unrefp(const struct node_item **p)
{
    *p = node_item_unref(*p);
}
/* the whole object as a struct; free with node_free() */
int node_item_decode(const struct node_item *it, struct node **ret, struct err *e) _must_check_;
