/* wire/http1_chunk.h - the chunked transfer coding, read strictly and byte by byte.
 *
 * Chunk extensions and trailers are skipped, both have ceilings.  Depends on: base/.
 */
#pragma once

#include "base/buf.h"

struct http_chunks {
    uint8_t state;
    uint8_t digits;   /* of the size being read */
    uint16_t skipped; /* bytes of extension or trailer skipped */
    uint64_t left;    /* of the size or of the chunk */
};

/* Feeds n bytes; content goes to out.  1 = the last chunk and its trailer have ended, 0 = more is
 * to come; -EBADMSG ill-formed, -EMSGSIZE out is full.  *ret_used says how many bytes belong to the
 * body. */
int http_chunks_feed(struct http_chunks *c, const uint8_t *p, size_t n, struct buf *out,
                     size_t *ret_used) _must_check_;
