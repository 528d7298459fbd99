#include "api/quote.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"

static const char *short_escape(unsigned char c)
{
    switch (c) {
    case '"':
        return "\\\"";
    case '\\':
        return "\\\\";
    case '\a':
        return "\\a";
    case '\b':
        return "\\b";
    case '\f':
        return "\\f";
    case '\n':
        return "\\n";
    case '\r':
        return "\\r";
    case '\t':
        return "\\t";
    case '\v':
        return "\\v";
    default:
        return NULL;
    }
}

void quote_go(const char *s, char *ret, size_t n)
{
    bool utf8 = str_utf8_valid(s, strlen(s));
    size_t at = 0;

    ret[at++] = '"';
    for (; *s && at + 6 < n; s++) {
        unsigned char c = (unsigned char)*s;
        const char *escape = short_escape(c);

        if (escape)
            at += (size_t)snprintf(ret + at, n - at, "%s", escape);
        else if (c < 0x20 || c == 0x7f || (c >= 0x80 && !utf8))
            at += (size_t)snprintf(ret + at, n - at, "\\x%02x", c);
        else
            ret[at++] = (char)c;
    }
    ret[at++] = '"';
    ret[at] = 0;
}
