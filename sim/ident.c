#include "sim/ident.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/parse.h"
#include "base/str.h"

/* 64 bytes that belong to one subject of one agent of one fleet */
static void draw(uint64_t seed, uint64_t number, uint64_t subject, uint8_t ret[64])
{
    const uint64_t in[] = {seed, number, subject};

    sha512(in, sizeof(in), ret);
}

static void to_uuid(const uint8_t *p, char ret[UUID_TEXT_LEN + 1])
{
    struct uuid u;

    memcpy(u.b, p, UUID_BYTES);
    uuid_format(&u, ret);
}

void ident_make(uint64_t seed, const char *prefix, uint64_t number, struct ident *ret)
{
    uint8_t b[64];
    uint32_t host = (uint32_t)(number + 1) & 0xffffff;

    draw(seed, number, 0, b);
    ret->seed = seed;
    ret->number = number;
    to_uuid(b, ret->id);
    to_uuid(b + UUID_BYTES, ret->secret);
    (void)snprintf(ret->name, sizeof(ret->name), "%s-%05" PRIu64, prefix, number);
    (void)snprintf(ret->ip, sizeof(ret->ip), "10.%u.%u.%u", host >> 16, host >> 8 & 0xff,
                   host & 0xff);
    (void)snprintf(ret->mac, sizeof(ret->mac), "02:%02x:%02x:%02x:%02x:%02x", b[32], b[33], b[34],
                   b[35], b[36]);
}

/* appends what stands for a place without its braces; false when there is no such place */
static bool put_place(const struct ident *i, const char *place, struct buf *out)
{
    char uuid[UUID_TEXT_LEN + 1];
    uint8_t b[64];
    uint64_t k;

    if (str_eq(place, "id"))
        buf_add_str(out, i->id);
    else if (str_eq(place, "name"))
        buf_add_str(out, i->name);
    else if (str_eq(place, "ip"))
        buf_add_str(out, i->ip);
    else if (str_eq(place, "mac"))
        buf_add_str(out, i->mac);
    else if (str_eq(place, "number"))
        buf_printf(out, "%" PRIu64, i->number);
    else if (str_starts(place, "uuid:") && parse_u64(place + 5, &k) == 0 && k > 0) {
        draw(i->seed, i->number, k, b);
        to_uuid(b, uuid);
        buf_add_str(out, uuid);
    } else {
        return false;
    }
    return true;
}

/* the place that begins at s, without braces; NULL when there is none.  Owned by the caller. */
static char *place_at(const char *s, size_t *ret_n)
{
    size_t n = strcspn(s + 1, "{}");

    if (*s != '{' || s[1 + n] != '}' || n > 32)
        return NULL;
    *ret_n = n + 2;
    return xstrndup(s + 1, n);
}

static void walk(const struct ident *i, const char *s, struct buf *out, bool *ret_any)
{
    while (*s) {
        size_t n = 0;
        _cleanup_free_ char *place = place_at(s, &n);

        if (place && put_place(i, place, out)) {
            *ret_any = true;
            s += n;
        } else {
            buf_add_byte(out, (uint8_t)*s++);
        }
    }
}

char *ident_expand(const struct ident *i, const char *template)
{
    struct buf b = BUF_INIT(SIM_TEXT_MAX);
    bool any = false;
    size_t n;

    walk(i, template, &b, &any);
    return (char *)buf_take(&b, &n);
}

bool ident_has_place(const char *template)
{
    const struct ident nobody = {.seed = 0};
    _cleanup_buf_ struct buf b = BUF_INIT(SIM_TEXT_MAX);
    bool any = false;

    if (strchr(template, '{'))
        walk(&nobody, template, &b, &any);
    return any;
}
