/* codec/js_from_mp.c - any msgpack as JSON, and JSON indented. */
#include <errno.h>
#include <string.h>

#include "codec/js.h"
#include "codec/js_put.h"
#include "codec/mp.h"

static void put_object(struct buf *b, struct mp_in *in);

/* Bytes without a type of their own: a raw string of 15 or 16 bytes that begins with the version of
 * Go's binary time is one, for text never begins so. */
static void put_text(struct buf *b, const struct mp_token *t)
{
    struct gotime time;

    if (mp_time_parse(t->p, t->n, &time) == 0)
        js_time(b, time);
    else
        js_str_n(b, (const char *)t->p, t->n);
}

static void put_number(struct buf *b, const struct mp_token *t)
{
    if (t->is_unsigned)
        js_put_u64(b, t->u);
    else
        js_put_i64(b, t->i);
}

/* keys are strings in JSON, whatever they were */
static void put_map_key(struct buf *b, struct mp_in *in)
{
    struct mp_in at = *in;
    struct mp_token t;

    if (mp_next(&at, &t) == 0 && t.type == MP_STR) {
        js_str_n(b, (const char *)t.p, t.n);
    } else {
        _cleanup_buf_ struct buf key = BUF_INIT(b->max);

        at = *in;
        put_object(&key, &at);
        js_str(b, buf_str(&key));
    }
    *in = at;
}

static void put_container(struct buf *b, struct mp_in *in, const struct mp_token *t)
{
    bool map = t->type == MP_MAP;

    buf_add_byte(b, map ? '{' : '[');
    for (size_t i = 0; i < t->n; i++) {
        if (i > 0)
            buf_add_byte(b, ',');
        if (map) {
            put_map_key(b, in);
            buf_add_byte(b, ':');
        }
        put_object(b, in);
    }
    buf_add_byte(b, map ? '}' : ']');
}

/* the object is whole and not too deep: mp_skip() has seen it */
static void put_object(struct buf *b, struct mp_in *in)
{
    struct mp_token t;

    if (mp_next(in, &t) < 0)
        return;
    switch (t.type) {
    case MP_BOOL:
        buf_add_str(b, t.b ? "true" : "false");
        break;
    case MP_INT:
        put_number(b, &t);
        break;
    case MP_FLOAT:
        js_f64(b, t.f);
        break;
    case MP_STR:
        put_text(b, &t);
        break;
    case MP_ARRAY:
    case MP_MAP:
        put_container(b, in, &t);
        break;
    case MP_NIL:
    case MP_EXT:
        buf_add_str(b, "null");
        break;
    }
}

int js_from_mp(struct buf *b, const void *p, size_t n)
{
    struct mp_in in = mp_in(p, n);

    if (mp_skip(&in) < 0 || in.p != in.end)
        return -EBADMSG;
    in = mp_in(p, n);
    put_object(b, &in);
    return buf_ok(b);
}

/* ---- ?pretty ---- */

static void new_line(struct buf *out, unsigned depth)
{
    buf_add_byte(out, '\n');
    for (; depth > 0; depth--)
        buf_add(out, "    ", 4);
}

/* length of the string literal at p, with its quotes */
static size_t literal(const char *p, size_t n)
{
    size_t i = 1;

    while (i < n && p[i] != '"')
        i += p[i] == '\\' ? 2 : 1;
    return MIN(i + 1, n);
}

void js_pretty_part(struct buf *out, const char *json, size_t n, unsigned *depth)
{
    size_t len;

    for (size_t i = 0; i < n; i += len) {
        char c = json[i];

        len = 1;
        switch (c) {
        case '"':
            len = literal(json + i, n - i);
            buf_add(out, json + i, len);
            break;
        case '{':
        case '[':
            buf_add_byte(out, (uint8_t)c);
            if (i + 1 < n && (json[i + 1] == '}' || json[i + 1] == ']')) {
                buf_add_byte(out, (uint8_t)json[i + 1]);
                len = 2;
            } else {
                new_line(out, ++*depth);
            }
            break;
        case '}':
        case ']':
            new_line(out, *depth > 0 ? --*depth : 0);
            buf_add_byte(out, (uint8_t)c);
            break;
        case ',':
            buf_add_byte(out, ',');
            new_line(out, *depth);
            break;
        case ':':
            buf_add(out, ": ", 2);
            break;
        case ' ':
        case '\t':
        case '\r':
        case '\n':
            break;
        default:
            buf_add_byte(out, (uint8_t)c);
        }
    }
}

void js_pretty(struct buf *out, const char *json, size_t n)
{
    unsigned depth = 0;

    js_pretty_part(out, json, n, &depth);
    buf_add_byte(out, '\n');
}
