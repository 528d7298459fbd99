/* tests/support/fake_persist.h - a durable side that commits when it is told to, or fails.
 *
 * Its content outlives the store that used it, as a disk does: fake_persist_new() makes the disk,
 * fake_persist_open() a connection to it for store_opts.take_persist.
 */
#pragma once

#include "state/persist.h"

struct fake_disk;

struct fake_disk *fake_disk_new(struct loop *l);
struct fake_disk *fake_disk_free(struct fake_disk *d);
struct persist *fake_persist_open(struct fake_disk *d);

/* on: each commit ends by itself on the next turn of the loop; off (at first): fake_disk_step() */
void fake_disk_auto(struct fake_disk *d, bool on);
/* from now on commits end with r (negative) and this text; 0: they succeed */
void fake_disk_fail(struct fake_disk *d, int r, const char *text);
/* ends the commit in flight; false when there is none */
bool fake_disk_step(struct fake_disk *d);
bool fake_disk_busy(const struct fake_disk *d);

size_t fake_disk_commits(const struct fake_disk *d); /* successful ones */
size_t fake_disk_objects(const struct fake_disk *d);
uint64_t fake_disk_index(const struct fake_disk *d);
/* largest batch seen so far */
size_t fake_disk_max_changes(const struct fake_disk *d);
size_t fake_disk_max_bytes(const struct fake_disk *d);
/* puts an object and an index there behind the store's back */
void fake_disk_put(struct fake_disk *d, const char *id, const void *object, size_t n,
                   uint64_t index);
