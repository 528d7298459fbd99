/* state/secrets.h - which node has this secret: the index behind every call that only a secret
 * identifies.
 *
 * Open addressing over borrowed items, the hashes apart so that growing touches no item: 12 bytes a
 * slot, at most three quarters of which are in use.  The hash is seeded, for secrets are chosen by
 * peers, and what it finds is compared without telling by its time how much was right.
 *
 * Depends on: base/, model/item.
 * Owns: its tables; the items are the node table's, which says here what it replaces.
 */
#pragma once

#include "model/item.h"

struct secrets {
    uint32_t *hashes;               /* owned; 0 = free */
    const struct node_item **items; /* owned array */
    size_t n_slots;                 /* power of two, or 0 */
    size_t n;
    uint64_t seed;
};

void secrets_init(struct secrets *x);
void secrets_done(struct secrets *x);
/* was is left for is; either may be NULL: added, deleted.  An item without a secret is never found.
 */
void secrets_replace(struct secrets *x, const struct node_item *was, const struct node_item *is);
/* one of those that have it; NULL when there is none.  Borrowed as in nodes_get(). */
const struct node_item *secrets_find(const struct secrets *x, const char *secret);

/* compares without telling by its time how much was right; "" equals nothing */
bool secret_equal(const char *a, const char *b);
