/* codec/js_scalar.c - strings, floats and times as Nomad's JSON codec writes them (fact: http-api
 * 5.1). */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"
#include "base/str.h"
#include "codec/js.h"
#include "codec/js_put.h"

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
        js_put_lit(b, "\\\"");
        break;
    case '\\':
        js_put_lit(b, "\\\\");
        break;
    case '\b':
        js_put_lit(b, "\\b");
        break;
    case '\f':
        js_put_lit(b, "\\f");
        break;
    case '\n':
        js_put_lit(b, "\\n");
        break;
    case '\r':
        js_put_lit(b, "\\r");
        break;
    case '\t':
        js_put_lit(b, "\\t");
        break;
    default:
        u[4] = hex[c >> 4];
        u[5] = hex[c & 15];
        js_put_lit(b, u);
    }
}

#define EACH(byte) (UINT64_C(0x0101010101010101) * (byte))

/* whether one of eight bytes is zero (exact but for bytes above 0x7f, which count on their own) */
static uint64_t has_zero(uint64_t v)
{
    return (v - EACH(0x01)) & ~v & EACH(0x80);
}

/* whether one of eight bytes cannot be copied as it is: control, quote, backslash, not ASCII */
static bool needs_care(uint64_t v)
{
    return (v & EACH(0x80)) || ((v - EACH(0x20)) & ~v & EACH(0x80)) || has_zero(v ^ EACH('"')) ||
           has_zero(v ^ EACH('\\'));
}

static bool is_plain(uint8_t c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

static uint64_t word_at(const char *s)
{
    uint64_t v;

    memcpy(&v, s, sizeof(v));
    return v;
}

/* the first byte from i on that cannot be copied as it is */
static size_t plain_until(const char *s, size_t i, size_t n)
{
    while (n - i >= 8 && !needs_care(word_at(s + i)))
        i += 8;
    if (i < n && n - i < 8 && n >= 8 && !needs_care(word_at(s + n - 8)))
        return n; /* the rest, with some that were seen */
    while (i < n && is_plain((uint8_t)s[i]))
        i++;
    return i;
}

/* the rest of a string with something in it that may need an escape */
static void put_escaped(struct buf *b, const char *s, size_t i, size_t n)
{
    size_t begin = 0;

    while ((i = plain_until(s, i, n)) < n) {
        uint8_t c = (uint8_t)s[i];
        size_t len = c < 0x80 ? 1 : utf8_len(s + i, n - i);
        /* U+2028 and U+2029 end lines in JavaScript: Go's codecs escape them */
        bool line_end = len == 3 && (memcmp(s + i, "\xe2\x80\xa8", 3) == 0 ||
                                     memcmp(s + i, "\xe2\x80\xa9", 3) == 0);

        if (len > 1 && !line_end) {
            i += len;
            continue;
        }
        buf_add(b, s + begin, i - begin);
        if (line_end)
            js_put_lit(b, s[i + 2] == '\xa8' ? "\\u2028" : "\\u2029");
        else if (len == 0)
            js_put_lit(b, "\\ufffd");
        else
            put_escape(b, c);
        i += len ? len : 1;
        begin = i;
    }
    buf_add(b, s + begin, n - begin);
}

bool js_put_plain(struct buf *b, const char *s, size_t n)
{
    if (plain_until(s, 0, n) < n)
        return false;
    if (n > b->max || !buf_reserve(b, n + 2)) {
        b->failed = true;
        return true;
    }
    b->p[b->len] = '"';
    if (n > 0)
        memcpy(b->p + b->len + 1, s, n);
    b->p[b->len + n + 1] = '"';
    b->len += n + 2;
    b->p[b->len] = 0;
    return true;
}

void js_str_n(struct buf *b, const char *s, size_t n)
{
    if (js_put_plain(b, s, n)) /* nearly all */
        return;
    buf_add_byte(b, '"');
    put_escaped(b, s, 0, n);
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
        js_put_lit(b, "null");
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
        js_put_lit(b, "null");
        return;
    }
    gotime_format(t, text);
    js_str(b, text);
}
