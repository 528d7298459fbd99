/* codec/js_put.c - numbers, bytes, keys. */
#include "codec/js_put.h"

#include <string.h>

#include "codec/js.h"

void js_put_lit(struct buf *b, const char *s)
{
    buf_add(b, s, strlen(s));
}

void js_put_u64(struct buf *b, uint64_t v)
{
    if (v < 10)
        js_put_byte(b, (uint8_t)('0' + v));
    else
        buf_add_u64(b, v);
}

void js_put_i64(struct buf *b, int64_t v)
{
    if (v < 0)
        buf_add_byte(b, '-');
    js_put_u64(b, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}

void js_put_bool(struct buf *b, bool v)
{
    js_put_lit(b, v ? "true" : "false");
}

void js_put_base64(struct buf *b, const uint8_t *p, size_t n)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    buf_add_byte(b, '"');
    for (size_t i = 0; i < n; i += 3) {
        size_t left = n - i;
        uint32_t bits = (uint32_t)p[i] << 16 | (left > 1 ? (uint32_t)p[i + 1] << 8 : 0) |
                        (left > 2 ? p[i + 2] : 0u);
        char out[4] = {
            letters[bits >> 18],
            letters[bits >> 12 & 63],
            left > 1 ? letters[bits >> 6 & 63] : '=',
            left > 2 ? letters[bits & 63] : '=',
        };

        buf_add(b, out, sizeof(out));
    }
    buf_add_byte(b, '"');
}

void js_put_key(struct buf *b, size_t i, const char *key, size_t n)
{
    if (i > 0)
        js_put_byte(b, ',');
    js_str_n(b, key, n);
    js_put_byte(b, ':');
}

void js_put_name(struct buf *b, size_t i, const char *name)
{
    js_put_name_n(b, i, name, strlen(name));
}

void js_put_name_n(struct buf *b, size_t i, const char *name, size_t n)
{
    size_t at;

    if (!buf_reserve(b, n + 4))
        return;
    at = b->len;
    if (i > 0)
        b->p[at++] = ',';
    b->p[at++] = '"';
    memcpy(b->p + at, name, n);
    at += n;
    b->p[at++] = '"';
    b->p[at++] = ':';
    b->p[at] = 0;
    b->len = at;
}
