/* base/blob.h - counted bytes that never change: what many answers hold at once.
 *
 * One allocation: the count, the length, the bytes.  The thread of the loop only.
 */
#pragma once

#include "base/mem.h"

struct blob {
    unsigned refs;
    size_t len;
    uint8_t bytes[];
};

/* a copy of n bytes with one reference; NULL: no memory */
struct blob *blob_new(const void *p, size_t n) _must_check_;
/* n bytes for the caller to fill before anybody else sees them; NULL: no memory */
struct blob *blob_alloc(size_t n) _must_check_;
struct blob *blob_ref(struct blob *b);
struct blob *blob_unref(struct blob *b); /* NULL-safe, returns NULL */
DEFINE_CLEANUP(struct blob, blob_unref)
