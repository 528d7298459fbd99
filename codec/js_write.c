/* codec/js_write.c - JSON out, as Nomad's JSON codec writes it (fact: http-api 5.1). */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"
#include "base/str.h"
#include "codec/js.h"
#include "codec/mp.h"
#include "codec/ops.h"

static void put_lit(struct buf *b, const char *s)
{
    buf_add(b, s, strlen(s));
}

/* ---- strings ---- */

/* length of the valid UTF-8 sequence at s, 0 when there is none */
static size_t utf8_len(const char *s, size_t n)
{
    uint8_t c = (uint8_t)*s;
    size_t len = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;

    return len <= n && str_utf8_valid(s, len) ? len : 0;
}

static void put_escape(struct buf *b, uint8_t c)
{
    static const char hex[] = "0123456789abcdef";
    char u[] = "\\u0000";

    switch (c) {
    case '"':
        put_lit(b, "\\\"");
        break;
    case '\\':
        put_lit(b, "\\\\");
        break;
    case '\b':
        put_lit(b, "\\b");
        break;
    case '\f':
        put_lit(b, "\\f");
        break;
    case '\n':
        put_lit(b, "\\n");
        break;
    case '\r':
        put_lit(b, "\\r");
        break;
    case '\t':
        put_lit(b, "\\t");
        break;
    default:
        u[4] = hex[c >> 4];
        u[5] = hex[c & 15];
        put_lit(b, u);
    }
}

void js_str_n(struct buf *b, const char *s, size_t n)
{
    size_t begin = 0, i = 0;

    buf_add_byte(b, '"');
    while (i < n) {
        uint8_t c = (uint8_t)s[i];
        size_t len = 1;
        bool line_end;

        if (c >= 0x20 && c < 0x80 && c != '"' && c != '\\') {
            i++;
            continue;
        }
        if (c >= 0x80)
            len = utf8_len(s + i, n - i);
        /* U+2028 and U+2029 end lines in JavaScript: Go's codecs escape them */
        line_end = len == 3 &&
                   (memcmp(s + i, "\xe2\x80\xa8", 3) == 0 || memcmp(s + i, "\xe2\x80\xa9", 3) == 0);
        if (len > 1 && !line_end) {
            i += len;
            continue;
        }
        buf_add(b, s + begin, i - begin);
        if (line_end)
            put_lit(b, s[i + 2] == '\xa8' ? "\\u2028" : "\\u2029");
        else if (len == 0)
            put_lit(b, "\\ufffd");
        else
            put_escape(b, c);
        i += len ? len : 1;
        begin = i;
    }
    buf_add(b, s + begin, n - begin);
    buf_add_byte(b, '"');
}

void js_str(struct buf *b, const char *s)
{
    s = str_or_empty(s);
    js_str_n(b, s, strlen(s));
}

/* ---- numbers and times ---- */

enum { SHORTEST_MAX = 40 };

/* the fewest digits that read back the same, as "d" or "d.ddd"; returns the exponent of ten */
static int shortest(double v, char ret[SHORTEST_MAX])
{
    int64_t exponent = 0;
    char *e;

    for (int precision = 0; precision < 17; precision++) {
        double back;

        (void)snprintf(ret, SHORTEST_MAX, "%.*e", precision, v);
        if (parse_f64(ret, &back) == 0 && back == v)
            break;
    }
    e = strchr(ret, 'e');
    if (parse_i64(e + 1, &exponent) < 0)
        exponent = 0; /* cannot be: printf wrote it */
    *e = 0;
    return (int)exponent;
}

/* Go's strconv 'f' form from 1e-6 up to 1e21 with at least ".0", its 'e' form beyond */
void js_f64(struct buf *b, double v)
{
    char digits[SHORTEST_MAX], plain[SHORTEST_MAX];
    size_t n = 0;
    int exponent;

    if (!isfinite(v)) {
        put_lit(b, "null");
        return;
    }
    if (signbit(v))
        buf_add_byte(b, '-');
    v = fabs(v);
    exponent = shortest(v, digits);
    if (v != 0 && (v < 1e-6 || v >= 1e21)) {
        buf_printf(b, "%se%c%02d", digits, exponent < 0 ? '-' : '+', abs(exponent));
        return;
    }
    for (const char *p = digits; *p; p++)
        if (*p != '.')
            plain[n++] = *p;
    if (exponent < 0) {
        buf_printf(b, "0.%.*s%.*s", -exponent - 1, "000000", (int)n, plain);
        return;
    }
    for (int i = 0; i <= exponent; i++)
        buf_add_byte(b, (size_t)i < n ? (uint8_t)plain[i] : '0');
    buf_add_byte(b, '.');
    if (n > (size_t)exponent + 1)
        buf_add(b, plain + exponent + 1, n - (size_t)exponent - 1);
    else
        buf_add_byte(b, '0');
}

void js_time(struct buf *b, struct gotime t)
{
    char text[GOTIME_TEXT_MAX];

    if (gotime_is_zero(t)) {
        put_lit(b, "null");
        return;
    }
    gotime_format(t, text);
    js_str(b, text);
}

static void put_i64(struct buf *b, int64_t v)
{
    char text[24];

    buf_add(b, text, (size_t)snprintf(text, sizeof(text), "%lld", (long long)v));
}

static void put_u64(struct buf *b, uint64_t v)
{
    char text[24];

    buf_add(b, text, (size_t)snprintf(text, sizeof(text), "%llu", (unsigned long long)v));
}

static void put_bool(struct buf *b, bool v)
{
    put_lit(b, v ? "true" : "false");
}

static void put_base64(struct buf *b, const struct bytes *v)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    if (!v->p) {
        put_lit(b, "null");
        return;
    }
    buf_add_byte(b, '"');
    for (size_t i = 0; i < v->n; i += 3) {
        size_t left = v->n - i;
        uint32_t bits = (uint32_t)v->p[i] << 16 | (left > 1 ? (uint32_t)v->p[i + 1] << 8 : 0) |
                        (left > 2 ? v->p[i + 2] : 0u);
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

/* ---- collections ---- */

/* key and colon, after a comma when it is not the first */
static void put_key(struct buf *b, size_t i, const char *key)
{
    if (i > 0)
        buf_add_byte(b, ',');
    js_str(b, key);
    buf_add_byte(b, ':');
}

void js_map(struct buf *b, const struct strmap *m)
{
    if (!m->items) {
        put_lit(b, "null");
        return;
    }
    buf_add_byte(b, '{');
    for (size_t i = 0; i < m->n; i++) {
        put_key(b, i, m->items[i].key);
        js_str(b, m->items[i].value);
    }
    buf_add_byte(b, '}');
}

static void put_i64map(struct buf *b, const struct i64map *m)
{
    if (!m->items) {
        put_lit(b, "null");
        return;
    }
    buf_add_byte(b, '{');
    for (size_t i = 0; i < m->n; i++) {
        put_key(b, i, m->items[i].key);
        put_i64(b, m->items[i].value);
    }
    buf_add_byte(b, '}');
}

static void put_opt_str(struct buf *b, const char *s)
{
    if (s)
        js_str(b, s);
    else
        put_lit(b, "null");
}

static void put_optmap(struct buf *b, const struct optmap *m)
{
    if (!m->items) {
        put_lit(b, "null");
        return;
    }
    buf_add_byte(b, '{');
    for (size_t i = 0; i < m->n; i++) {
        put_key(b, i, m->items[i].key);
        put_opt_str(b, m->items[i].value);
    }
    buf_add_byte(b, '}');
}

static void put_row(struct buf *b, const struct int_row *row)
{
    if (!row->v) {
        put_lit(b, "null");
        return;
    }
    buf_add_byte(b, '[');
    for (size_t i = 0; i < row->n; i++) {
        if (i > 0)
            buf_add_byte(b, ',');
        put_i64(b, row->v[i]);
    }
    buf_add_byte(b, ']');
}

static const void *load_ptr(const void *at)
{
    const void *p;

    memcpy(&p, at, sizeof(p));
    return p;
}

static void put_item(struct buf *b, const struct field *f, const void *items, size_t i,
                     unsigned opts)
{
    const char *item;

    switch (f->type) {
    case FT_STRVEC:
        js_str(b, ((char *const *)items)[i]);
        return;
    case FT_U16VEC:
        put_u64(b, ((const uint16_t *)items)[i]);
        return;
    case FT_U8LIST:
        put_u64(b, ((const uint8_t *)items)[i]);
        return;
    case FT_MATRIX:
        put_row(b, (const struct int_row *)items + i);
        return;
    default:
        item = (const char *)items + i * f->sub->size;
        js_encode(b, f->sub, item, opts);
    }
}

static void put_array(struct buf *b, const struct field *f, const void *items, size_t n,
                      unsigned opts)
{
    bool keyed = f->type == FT_MAPVEC;

    if (!items) {
        put_lit(b, "null");
        return;
    }
    buf_add_byte(b, keyed ? '{' : '[');
    for (size_t i = 0; i < n; i++) {
        if (keyed)
            put_key(b, i, load_ptr((const char *)items + i * f->sub->size));
        else if (i > 0)
            buf_add_byte(b, ',');
        put_item(b, f, items, i, opts);
    }
    buf_add_byte(b, keyed ? '}' : ']');
}

/* ---- described structs ---- */

static void put_opt(struct buf *b, const struct field *f, const void *p, unsigned opts)
{
    if (!p) {
        put_lit(b, "null");
        return;
    }
    switch (f->type) {
    case FT_OPT_I64:
        put_i64(b, *(const int64_t *)p);
        break;
    case FT_OPT_F64:
        js_f64(b, *(const double *)p);
        break;
    case FT_OPT_BOOL:
        put_bool(b, *(const bool *)p);
        break;
    case FT_OPT_STR:
        js_str(b, p);
        break;
    default:
        js_encode(b, f->sub, p, opts);
    }
}

static void put_raw(struct buf *b, const struct bytes *v)
{
    size_t len = b->len;

    if (!v->p || v->n == 0) {
        put_lit(b, "null");
    } else if (js_from_mp(b, v->p, v->n) < 0 && buf_ok(b) == 0) {
        b->len = len; /* not one whole object */
        put_lit(b, "null");
    }
}

static void put_field(struct buf *b, const struct field *f, const void *obj, unsigned opts)
{
    const void *at = field_at(f, obj);

    switch (f->type) {
    case FT_BOOL:
        put_bool(b, *(const bool *)at);
        break;
    case FT_I64:
        put_i64(b, *(const int64_t *)at);
        break;
    case FT_U64:
        put_u64(b, *(const uint64_t *)at);
        break;
    case FT_F64:
        js_f64(b, *(const double *)at);
        break;
    case FT_STR:
        js_str(b, load_ptr(at));
        break;
    case FT_TIME:
        js_time(b, *(const struct gotime *)at);
        break;
    case FT_BYTES:
        put_base64(b, at);
        break;
    case FT_U8LIST:
        put_array(b, f, ((const struct bytes *)at)->p, ((const struct bytes *)at)->n, opts);
        break;
    case FT_RAW:
        put_raw(b, at);
        break;
    case FT_MAP:
        js_map(b, at);
        break;
    case FT_I64MAP:
        put_i64map(b, at);
        break;
    case FT_OPT_MAP:
        put_optmap(b, at);
        break;
    case FT_STRVEC:
    case FT_U16VEC:
    case FT_MATRIX:
    case FT_VEC:
    case FT_MAPVEC:
        put_array(b, f, load_ptr(at), field_count(f, obj), opts);
        break;
    case FT_STRUCT:
        js_encode(b, f->sub, at, opts);
        break;
    case FT_OPT_I64:
    case FT_OPT_F64:
    case FT_OPT_BOOL:
    case FT_OPT_STR:
    case FT_PTR:
        put_opt(b, f, load_ptr(at), opts);
        break;
    case FT_EMBED: /* desc_rows() has flattened it */
    case FT_MAX:
        break;
    }
}

void js_encode(struct buf *b, const struct desc *d, const void *obj, unsigned opts)
{
    struct desc_row rows[DESC_ROWS_MAX];
    size_t n = desc_rows(d, obj, rows), written = 0;

    buf_add_byte(b, '{');
    for (size_t i = 0; i < n; i++) {
        const struct desc_row *row = &rows[i];

        if (row->flags & F_NO_JSON)
            continue;
        if ((row->flags & F_OMITEMPTY) && ops_field_empty(row->f, row->obj))
            continue;
        put_key(b, written++, row->f->name);
        if ((row->flags & F_SECRET) && !(opts & JS_SECRETS))
            put_lit(b, "\"\"");
        else
            put_field(b, row->f, row->obj, opts);
    }
    buf_add_byte(b, '}');
}

void js_encode_array(struct buf *b, const struct desc *d, const void *objs, size_t n, unsigned opts)
{
    buf_add_byte(b, '[');
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            buf_add_byte(b, ',');
        js_encode(b, d, (const char *)objs + i * d->size, opts);
    }
    buf_add_byte(b, ']');
}
