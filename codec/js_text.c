/* codec/js_text.c - escapes and base64. */
#include "codec/js_text.h"

#include <errno.h>
#include <string.h>

#include "base/str.h"

static uint32_t hex4(const char *p)
{
    uint32_t v = 0;

    for (int i = 0; i < 4; i++) {
        char c = (char)(p[i] | 0x20);

        v = v << 4 | (uint32_t)(c >= 'a' ? c - 'a' + 10 : p[i] - '0');
    }
    return v;
}

static size_t put_utf8(char *out, uint32_t c)
{
    if (c < 0x80)
        return out[0] = (char)c, 1;
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 63));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 63));
        out[2] = (char)(0x80 | (c & 63));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 63));
    out[2] = (char)(0x80 | (c >> 6 & 63));
    out[3] = (char)(0x80 | (c & 63));
    return 4;
}

enum { REPLACEMENT = 0xfffd };

/* the character of \uXXXX at p (behind the u); halves of pairs that stand alone become U+FFFD */
static uint32_t take_u(const char **p, const char *end)
{
    uint32_t c = hex4(*p), low;

    *p += 4;
    if (c < 0xd800 || c > 0xdfff)
        return c;
    if (c > 0xdbff || end - *p < 6 || (*p)[0] != '\\' || (*p)[1] != 'u')
        return REPLACEMENT;
    low = hex4(*p + 2);
    if (low < 0xdc00 || low > 0xdfff)
        return REPLACEMENT;
    *p += 6;
    return 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
}

static uint32_t take_escape(const char **p, const char *end)
{
    static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
    char c = *(*p)++;
    const char *found = strchr(from, c);

    if (c == 'u')
        return take_u(p, end);
    return (uint32_t)(found ? to[found - from] : c);
}

size_t js_unescape(const char *p, size_t n, char *out)
{
    const char *end = p + n;
    size_t len = 0;

    while (p < end) {
        uint8_t c = (uint8_t)*p;
        size_t k = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;

        if (c == '\\') {
            p++;
            len += put_utf8(out + len, take_escape(&p, end));
        } else if (k <= (size_t)(end - p) && str_utf8_valid(p, k)) {
            memcpy(out + len, p, k);
            len += k;
            p += k;
        } else {
            len += put_utf8(out + len, REPLACEMENT);
            p++;
        }
    }
    return len;
}

static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

int js_base64_decode(char *text, size_t n, size_t *ret_n)
{
    size_t len = 0, used = n;

    while (used > 0 && n - used < 2 && text[used - 1] == '=')
        used--;
    if (n % 4 != 0)
        return -EINVAL;
    for (size_t i = 0; i < used; i += 4) {
        uint32_t bits = 0;
        size_t k = MIN(used - i, (size_t)4);

        for (size_t j = 0; j < 4; j++) {
            int v = j < k ? base64_digit(text[i + j]) : 0;

            if (v < 0)
                return -EINVAL;
            bits = bits << 6 | (uint32_t)v;
        }
        for (size_t j = 0; j + 1 < k; j++)
            text[len++] = (char)(bits >> (16 - 8 * j));
    }
    *ret_n = len;
    return 0;
}
