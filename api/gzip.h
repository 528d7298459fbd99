/* api/gzip.h - compressed bodies (zlib). */
#pragma once

#include "base/buf.h"

/* Appends the gzip (or raw deflate) form of n bytes.  Memory and window follow the size.  -ENOMEM
 */
int gzip_compress(struct buf *b, const void *p, size_t n, bool raw) _must_check_;
