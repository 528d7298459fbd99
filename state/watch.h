/* state/watch.h - who waits for which change; the inside of store_watch().
 *
 * Waiters of a table stand in one list, waiters of a node in a hash table by id.  A change moves
 * those concerned, in the order in which they came, to the list of the woken; their callbacks run
 * from there some at a time, for 2 ms at most, one turn of the loop after the other, so that
 * thousands of readers that one change wakes do not hold up everything else.  A callback may watch
 * again (it waits for the next change then) and may take off any other waiter.
 *
 * Who has seen an index that is not reached yet (before a restore, say) is not woken by the changes
 * up to it: of a table these stand in a list of their own, which is not even looked at.
 *
 * Owns: nothing but the hash table; a watch lives in its waiter.
 */
#pragma once

#include "base/loop.h"
#include "state/store.h"

enum { WATCH_WAKE_SLICE = 64 };           /* callbacks per turn of the loop */
#define WATCH_WAKE_NS (2 * NSEC_PER_MSEC) /* of one turn */

struct watch_table {
    struct list next;     /* the next change wakes these */
    struct list later;    /* these have seen more than index */
    uint64_t index;       /* of the last change */
    uint64_t later_least; /* what those of later have seen, at least */
};

struct watches {
    struct watch_table tables[TABLE_MAX];
    struct list *buckets; /* owned; n_buckets is a power of two */
    size_t n_buckets;
    size_t n;      /* waiting for nodes */
    uint64_t seed; /* ids are chosen by peers */
    struct list woken;
    struct timer timer;
};

void watches_init(struct watches *ws, struct loop *l);
/* all waiters are off after that; their callbacks are not called */
void watches_done(struct watches *ws);
void watches_add(struct watches *ws, struct watch *w);
/* index: where the table stands now */
void watches_wake_table(struct watches *ws, enum table t, uint64_t index);
/* index: where the node stands now; UINT64_MAX: it is gone */
void watches_wake_node(struct watches *ws, const struct uuid *id, uint64_t index);
void watches_wake_all(struct watches *ws);
