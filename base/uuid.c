#include "base/uuid.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/parse.h"

static const char hex[] = "0123456789abcdef";

void uuid_format(const struct uuid *u, char ret[UUID_TEXT_LEN + 1])
{
    char *p = ret;

    for (size_t i = 0; i < UUID_BYTES; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *p++ = '-';
        *p++ = hex[u->b[i] >> 4];
        *p++ = hex[u->b[i] & 15];
    }
    *p = 0;
}

void uuid_random(char ret[UUID_TEXT_LEN + 1])
{
    struct uuid u;

    if (getrandom(&u, sizeof(u), 0) != (ssize_t)sizeof(u))
        abort(); /* 16 bytes from an initialised pool never fail */
    uuid_format(&u, ret);
}

int uuid_parse(const char *s, struct uuid *ret)
{
    struct uuid u;
    size_t n = 0;

    if (strlen(s) != UUID_TEXT_LEN)
        return -EINVAL;
    for (size_t i = 0; i < UUID_TEXT_LEN;) {
        int hi, lo;

        if (i == 8 || i == 13 || i == 18 || i == 23) {
            if (s[i++] != '-')
                return -EINVAL;
            continue;
        }
        hi = parse_hex_digit(s[i]);
        lo = parse_hex_digit(s[i + 1]);
        if (hi < 0 || lo < 0)
            return -EINVAL;
        u.b[n++] = (uint8_t)(hi << 4 | lo);
        i += 2;
    }
    *ret = u;
    return 0;
}

/* Go's %#U: the character is shown when it can be printed */
static int bad_digit(struct err *e, unsigned char c)
{
    char shown[8] = "";

    if (c >= 0x20 && c < 0x7f)
        (void)snprintf(shown, sizeof(shown), " '%c'", c);
    else if (c > 0xa0 && c != 0xad)
        (void)snprintf(shown, sizeof(shown), " '%c%c'", 0xc0 | c >> 6, 0x80 | (c & 0x3f));
    return err_set(e, -EINVAL, "Invalid UUID: encoding/hex: invalid byte: U+%04X%s", c, shown);
}

/* texts of hashicorp/go-memdb index.go, as they reach users of Nomad's API */
int uuid_index(const char *s, bool prefix, struct uuid *ret, size_t *ret_n, struct err *e)
{
    char digits[UUID_TEXT_LEN + 1];
    size_t len = strlen(s), n = 0, hyphens = 0;
    struct uuid u = {0};

    if (!prefix && len != UUID_TEXT_LEN)
        return err_set(e, -EINVAL, "UUID must be 36 characters");
    if (len > UUID_TEXT_LEN)
        return err_set(e, -EINVAL, "Invalid UUID length. UUID have 36 characters; got %zu", len);
    for (size_t i = 0; i < len; i++) {
        if (s[i] == '-')
            hyphens++;
        else
            digits[n++] = s[i];
    }
    digits[n] = 0;
    if (hyphens > 4)
        return err_set(e, -EINVAL, "UUID should have maximum of 4 \"-\"; got %zu", hyphens);
    if (n % 2 != 0)
        return err_set(e, -EINVAL, "Input (without hyphens) must be even length");
    for (size_t i = 0; i < n; i++) {
        int d = parse_hex_digit(digits[i]);

        if (d < 0)
            return bad_digit(e, (unsigned char)digits[i]);
        if (i / 2 < UUID_BYTES)
            u.b[i / 2] = (uint8_t)(u.b[i / 2] << 4 | d);
    }
    *ret = u;
    *ret_n = MIN(n / 2, (size_t)UUID_BYTES);
    return 0;
}
