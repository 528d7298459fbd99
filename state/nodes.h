/* state/nodes.h - the table of nodes: items in the order of their ids.
 *
 * An array of pages (model/page).  Finding is two binary searches, putting moves at most one page
 * (plus the array of pages when one splits): microseconds at 100,000 nodes, and reading in order is
 * a walk.  A list is pinned, not copied: a page that somebody has pinned is copied before it
 * changes.
 *
 * Depends on: base/, model/page.
 * Owns: one reference to each page.
 */
#pragma once

#include "model/page.h"

struct nodes;

struct nodes *nodes_new(void) _must_check_;
struct nodes *nodes_free(struct nodes *t);
DEFINE_CLEANUP(struct nodes, nodes_free)

size_t nodes_count(const struct nodes *t);
/* borrowed until that node is put or deleted; NULL when there is none */
const struct node_item *nodes_get(const struct nodes *t, const struct uuid *key);
/* adds or replaces the item with that key */
void nodes_put(struct nodes *t, const struct node_item *take_it);
/* true when it was there */
bool nodes_delete(struct nodes *t, const struct uuid *key);
/* The next item whose key begins with the first prefix_bytes bytes of prefix.  *pos is 0 at first;
 * NULL at the end.  A position is good until the table changes. */
const struct node_item *nodes_next(const struct nodes *t, const struct uuid *prefix,
                                   size_t prefix_bytes, size_t *pos);
/* The same items as a list that stays as it is.  Costs some nanoseconds a page, the first time
 * after a change; *ret is written over. */
void nodes_pin(struct nodes *t, const struct uuid *prefix, size_t prefix_bytes,
               struct node_list *ret);
