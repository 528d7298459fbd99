/* state/changes.h - a small sorted set of changed nodes: what one write did, or a whole batch.
 *
 * Depends on: base/, model/item.
 * Owns: one reference to each item.
 */
#pragma once

#include "model/item.h"

/* one node as a write leaves it */
struct change {
    struct uuid key;
    const struct node_item *it; /* counted; NULL: deleted */
};

struct changes {
    struct change *v; /* owned, ascending by key */
    size_t n;
    size_t bytes; /* of keys and objects */
};

/* adds or replaces the change of that node */
void changes_put(struct changes *c, const struct uuid *key, const struct node_item *take_it);
/* borrowed until the set changes; NULL when that node is not in it */
const struct change *changes_find(const struct changes *c, const struct uuid *key);
/* moves all of from over to another set; from is empty after that */
void changes_merge(struct changes *to, struct changes *from);
/* releases all; leaves it empty */
void changes_done(struct changes *c);
