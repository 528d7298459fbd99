#include "api/url.h"

#include <errno.h>
#include <string.h>

#include "base/parse.h"

int url_decode(char *s, bool plus)
{
    char *out = s;

    while (*s) {
        if (*s == '%') {
            int hi = parse_hex_digit(s[1]), lo = hi < 0 ? -1 : parse_hex_digit(s[2]);

            if (lo < 0 || (hi == 0 && lo == 0))
                return -EINVAL;
            *out++ = (char)(hi << 4 | lo);
            s += 3;
            continue;
        }
        *out++ = plus && *s == '+' ? ' ' : *s;
        s++;
    }
    *out = 0;
    return 0;
}

void url_clean_path(struct buf *b, const char *path)
{
    size_t start = b->len;
    bool slash = path[0] && path[strlen(path) - 1] == '/';

    while (*path) {
        size_t n;

        path += strspn(path, "/");
        n = strcspn(path, "/");
        if (n == 0 || (n == 1 && path[0] == '.')) {
            path += n;
            continue;
        }
        if (n == 2 && path[0] == '.' && path[1] == '.') {
            while (b->len > start && b->p[--b->len] != '/')
                ;
            if (b->p)
                b->p[b->len] = 0;
        } else {
            buf_add_byte(b, '/');
            buf_add(b, path, n);
        }
        path += n;
    }
    if (slash || b->len == start)
        buf_add_byte(b, '/');
}

/* net/url: what EscapedPath leaves as it is */
static bool is_path_char(unsigned char c)
{
    bool alnum = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');

    return alnum || (c && strchr("-_.~$&+,/:;=@", c));
}

void url_encode_path(struct buf *b, const char *path)
{
    for (; *path; path++) {
        unsigned char c = (unsigned char)*path;

        if (is_path_char(c))
            buf_add_byte(b, c);
        else
            buf_printf(b, "%%%02X", c);
    }
}

bool url_next_pair(char **at, const char **ret_key, const char **ret_value)
{
    while (**at) {
        char *key = *at, *value, *end = key + strcspn(key, "&");

        *at = *end ? end + 1 : end;
        *end = 0;
        if (!*key || strchr(key, ';'))
            continue;
        value = strchr(key, '=');
        if (value)
            *value++ = 0;
        else
            value = end;
        if (url_decode(key, true) < 0 || url_decode(value, true) < 0)
            continue;
        *ret_key = key;
        *ret_value = value;
        return true;
    }
    return false;
}
