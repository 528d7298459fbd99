/* base/buf.h - a byte buffer that cannot be made without a maximum size.
 *
 * Appends that would pass the maximum, or for which no memory is to be had, set the buffer's failed
 * state and leave what is there; later appends do nothing.  So a writer may append a whole message
 * without looking and ask buf_ok() once at the end.  A NUL always stands behind the content.
 *
 * Owns: its bytes, until buf_take().
 */
#pragma once

#include "base/mem.h"

struct buf {
    uint8_t *p;  /* owned; NULL while empty */
    size_t len;  /* bytes in use */
    size_t cap;  /* bytes allocated */
    size_t max;  /* ceiling on len */
    bool failed; /* an append was refused */
};

#define BUF_INIT(maximum) ((struct buf){.max = (maximum)})
#define _cleanup_buf_     _cleanup_(buf_done)

void buf_init(struct buf *b, size_t max);
void buf_done(struct buf *b);  /* frees; leaves it empty and usable with the same maximum */
void buf_reset(struct buf *b); /* len = 0, failed = false, keeps the memory */

/* makes room for n more bytes; false (and failed) when that passes the maximum */
bool buf_reserve(struct buf *b, size_t n);
/* Room for all of `all` parts, judged by the `done` that are in it: a large buffer that grows by
 * doubling is copied again and again.  May do nothing. */
void buf_expect(struct buf *b, size_t done, size_t all);
void buf_add(struct buf *b, const void *p, size_t n);
void buf_add_str(struct buf *b, const char *s);
void buf_add_byte(struct buf *b, uint8_t c);
void buf_add_be16(struct buf *b, uint16_t v);
void buf_add_be32(struct buf *b, uint32_t v);
void buf_add_be64(struct buf *b, uint64_t v);
void buf_add_u64(struct buf *b, uint64_t v); /* in decimal */
void buf_printf(struct buf *b, const char *fmt, ...) _printf_(2, 3);
/* drops n bytes from the front (n <= len) */
void buf_drop(struct buf *b, size_t n);
/* 0, or -EMSGSIZE when an append was refused */
int buf_ok(const struct buf *b) _must_check_;
/* hands the bytes (NUL-terminated, never NULL) to the caller; the buffer is empty after that */
uint8_t *buf_take(struct buf *b, size_t *ret_len) _must_check_;
static inline const char *buf_str(const struct buf *b)
{
    return b->p ? (const char *)b->p : "";
}
