/* codec/js_token.h - single msgpack tokens as JSON.  Private to codec/.
 *
 * -EBADMSG for what the decoder does not take for a field of that kind, or treats in a special way;
 * nothing was written then.
 */
#pragma once

#include "base/buf.h"
#include "codec/mp.h"

/* mp_next(); of the short texts, which most tokens are, without a call (type, p and n are set) */
static inline int mp_next_short(struct mp_in *in, struct mp_token *ret)
{
    const uint8_t *p = in->p;
    size_t left = (size_t)(in->end - p), n = left > 0 ? *p & 31U : 0;

    if (left <= n || (*p & 0xe0U) != 0xa0)
        return mp_next(in, ret);
    ret->type = MP_STR;
    ret->p = p + 1;
    ret->n = n;
    in->p = p + 1 + n;
    return 0;
}

int js_token_int(struct buf *b, const struct mp_token *t, bool is_signed) _must_check_;
int js_token_bool(struct buf *b, const struct mp_token *t) _must_check_; /* 0 and 1 as well */
int js_token_float(struct buf *b, const struct mp_token *t) _must_check_;
int js_token_text(struct buf *b, const struct mp_token *t) _must_check_; /* without a NUL in it */
int js_token_time(struct buf *b, const struct mp_token *t) _must_check_;
int js_token_u8list(struct buf *b, const struct mp_token *t) _must_check_;
