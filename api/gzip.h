/* api/gzip.h - compressed bodies (zlib): gzip, or raw deflate as Nomad's "deflate" is. */
#pragma once

#include "base/buf.h"

/* Appends the compressed form of n bytes.  Memory and window follow the size.  -ENOMEM */
int gzip_compress(struct buf *b, const void *p, size_t n, bool raw) _must_check_;

/* the same piece by piece */
struct gzip;
struct gzip *gzip_new(bool raw); /* NULL: no memory */
struct gzip *gzip_free(struct gzip *z);
DEFINE_CLEANUP(struct gzip, gzip_free)
/* last: p is the end.  -ENOMEM, also when b is full */
int gzip_add(struct gzip *z, struct buf *b, const void *p, size_t n, bool last) _must_check_;
