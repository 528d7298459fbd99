#include "codec/js_token.h"

#include <errno.h>
#include <string.h>

#include "codec/js.h"
#include "codec/js_put.h"

int js_token_int(struct buf *b, const struct mp_token *t, bool is_signed)
{
    if (t->type != MP_INT || (is_signed && t->is_unsigned) ||
        (!is_signed && !t->is_unsigned && t->i < 0))
        return -EBADMSG;
    if (is_signed)
        js_put_i64(b, t->i);
    else
        js_put_u64(b, t->u);
    return 0;
}

int js_token_bool(struct buf *b, const struct mp_token *t)
{
    bool as_int = t->type == MP_INT && !t->is_unsigned && (t->i == 0 || t->i == 1);

    if (t->type != MP_BOOL && !as_int)
        return -EBADMSG;
    js_put_bool(b, as_int ? t->i == 1 : t->b);
    return 0;
}

int js_token_float(struct buf *b, const struct mp_token *t)
{
    if (t->type == MP_FLOAT)
        js_f64(b, t->f);
    else if (t->type == MP_INT)
        js_f64(b, t->is_unsigned ? (double)t->u : (double)t->i);
    else
        return -EBADMSG;
    return 0;
}

/* a NUL ends our strings, not msgpack's: leave those to the decoder */
int js_token_text(struct buf *b, const struct mp_token *t)
{
    if (t->type != MP_STR)
        return -EBADMSG;
    if (js_put_plain(b, (const char *)t->p, t->n))
        return 0;
    if (memchr(t->p, 0, t->n))
        return -EBADMSG;
    js_str_n(b, (const char *)t->p, t->n);
    return 0;
}

int js_token_time(struct buf *b, const struct mp_token *t)
{
    struct gotime time;

    if (t->type != MP_STR || mp_time_parse(t->p, t->n, &time) < 0)
        return -EBADMSG;
    js_time(b, time);
    return 0;
}

int js_token_u8list(struct buf *b, const struct mp_token *t)
{
    if (t->type != MP_STR)
        return -EBADMSG;
    js_put_byte(b, '[');
    for (size_t i = 0; i < t->n; i++) {
        if (i > 0)
            js_put_byte(b, ',');
        js_put_u64(b, t->p[i]);
    }
    js_put_byte(b, ']');
    return 0;
}
