/* wire/outq.h - bytes on their way out: a queue of pieces, sent with one call for many pieces.
 *
 * Small writes are copied together; a whole buffer is taken over without a copy, and so is a list
 * of parts of blobs, which others hold too.  An empty queue has no memory.
 */
#pragma once

#include <sys/uio.h>

#include "base/blob.h"
#include "base/buf.h"

struct outq_piece;
struct outq {
    struct outq_piece *first, *last; /* owned */
    size_t len;                      /* bytes in all pieces */
    size_t own;                      /* of these, such as are in this queue alone */
};

/* false: no memory; nothing was added */
bool outq_add(struct outq *q, const void *p, size_t n) _must_check_;
bool outq_add_buf(struct outq *q, struct buf *take) _must_check_;
bool outq_add_blobs(struct outq *q, struct blob_list *take) _must_check_;
/* fills iov with the front of the queue; returns how many entries */
int outq_iov(const struct outq *q, struct iovec *iov, int max);
void outq_drop(struct outq *q, size_t n); /* n bytes from the front were sent */
void outq_done(struct outq *q);
/* moves all bytes into a buffer (failed when they do not fit) */
void outq_to_buf(struct outq *q, struct buf *b);
