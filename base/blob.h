/* base/blob.h - counted bytes that never change: what many answers hold at once.
 *
 * The count, the length, the bytes are one piece of memory.  Large ones are mappings of their own,
 * so that what is let go goes back to the system whatever lies beside it.  The thread of the loop
 * only.
 */
#pragma once

#include "base/loop.h"
#include "base/mem.h"

struct blob {
    unsigned refs;
    bool mapped;
    size_t len;
    struct blob *next; /* among those that nobody holds any more */
    uint8_t bytes[];
};

/* a copy of n bytes with one reference; NULL: no memory, or beyond
 * HTTP_REPLY_MAX */
struct blob *blob_new(const void *p, size_t n) _must_check_;
/* n bytes for the caller to fill before anybody else sees them; NULL: no memory */
struct blob *blob_alloc(size_t n) _must_check_;
struct blob *blob_ref(struct blob *b);
struct blob *blob_unref(struct blob *b); /* NULL-safe, returns NULL */
DEFINE_CLEANUP(struct blob, blob_unref)
/* Gives mappings back some at a time, in turns of this loop, from now on: a list of a large fleet
 * has thousands, 10 us each.  NULL: at once again, as at first; before the loop goes. */
void blob_use_loop(struct loop *l);
/* bytes in all blobs of this process, and of the parts in lists */
size_t blob_live(void);

/* A text in pieces: parts of blobs, each of which is held. */
struct blob_part {
    struct blob *b; /* counted */
    size_t at, n;
};
struct blob_list {
    struct blob_part *v; /* owned */
    size_t n;
    size_t bytes; /* of all parts */
};
/* n bytes of b from at on; of no bytes nothing is added */
void blob_list_add(struct blob_list *l, struct blob *take_b, size_t at, size_t n);
void blob_list_done(struct blob_list *l);
