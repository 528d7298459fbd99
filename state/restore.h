/* state/restore.h - an archive becomes the content that replaces a store's (store_replace).
 *
 * Reading and decoding (restore_read) may run on the writer's thread: what it makes is nobody
 * else's.  Putting the nodes into a table (restore_gather) belongs to the loop and is short.
 * Nothing of a store changes here; one object that does not decode refuses the whole.
 *
 * Owns: everything it has read, until restore_take().
 */
#pragma once

#include "state/archive.h"

struct restore;

struct restore *restore_new(void) _must_check_;
struct restore *restore_free(struct restore *r); /* on the loop */
DEFINE_CLEANUP(struct restore, restore_free)

/* the next bytes of the archive, some ten KB */
int restore_read(struct restore *r, const void *p, size_t n, struct err *e) _must_check_;
/* the archive has ended */
int restore_read_end(struct restore *r, struct err *e) _must_check_;
/* puts away what has been read, so many nodes at most; true: there is more */
bool restore_gather(struct restore *r, size_t max);
/* what was read; after restore_read_end() and restore_gather() */
void restore_take(struct restore *r, struct store_content *ret);
/* of the archive, after restore_read_end() */
const struct archive_info *restore_info(const struct restore *r);
