/* codec/js_put.h - the small values that the two JSON writers share.  Private to codec/. */
#pragma once

#include "base/buf.h"

void js_put_lit(struct buf *b, const char *s);
/* buf_add_byte() without a call, nearly always */
static inline void js_put_byte(struct buf *b, uint8_t c)
{
    if (b->failed || b->len + 1 >= b->cap) {
        buf_add_byte(b, c);
        return;
    }
    b->p[b->len++] = c;
    b->p[b->len] = 0;
}
/* a quoted string when nothing in it needs an escape (then there is no NUL in it either); false:
 * nothing was done */
bool js_put_plain(struct buf *b, const char *s, size_t n);
void js_put_i64(struct buf *b, int64_t v);
void js_put_u64(struct buf *b, uint64_t v);
void js_put_bool(struct buf *b, bool v);
/* standard alphabet, padded, quoted */
void js_put_base64(struct buf *b, const uint8_t *p, size_t n);
/* key and colon, after a comma when it is not the first */
void js_put_key(struct buf *b, size_t i, const char *key, size_t n);
/* the same for the name of a field, in which nothing needs an escape */
void js_put_name(struct buf *b, size_t i, const char *name);
void js_put_name_n(struct buf *b, size_t i, const char *name, size_t n);
