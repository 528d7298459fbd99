/* codec/mp_read.c - tokens, whole objects and frames.  Nothing here allocates. */
#include <errno.h>
#include <string.h>

#include "codec/mp.h"

static uint64_t get(const uint8_t *p, size_t size)
{
    uint64_t v = 0;

    for (size_t i = 0; i < size; i++)
        v = v << 8 | p[i];
    return v;
}

static double get_float(uint64_t bits, size_t size)
{
    uint32_t small = (uint32_t)bits;
    float f;
    double d;

    if (size == 4) {
        memcpy(&f, &small, sizeof(f));
        return (double)f;
    }
    memcpy(&d, &bits, sizeof(d));
    return d;
}

static void set_uint(struct mp_token *t, uint64_t v)
{
    t->type = MP_INT;
    t->i = (int64_t)v;
    t->u = v;
    t->is_unsigned = v > INT64_MAX;
}

static void set_int(struct mp_token *t, uint64_t bits, size_t size)
{
    unsigned shift = (unsigned)(64 - 8 * size);

    t->type = MP_INT;
    t->i = (int64_t)(bits << shift) >> shift;
    t->u = (uint64_t)t->i;
}

/* bytes of the number (length, count or value) behind each type byte from c0 to df */
static const uint8_t head_size[32] = {
    0, 0, 0, 0, 1, 2, 4, 1,
    2, 4, 4, 8, 1, 2, 4, 8, /* c0 .. cf: nil, -, bools, bin, ext, floats, uints */
    1, 2, 4, 8, 0, 0, 0, 0,
    0, 1, 2, 4, 2, 4, 2, 4, /* d0 .. df: ints, fixext, str, array, map */
};

/* takes n bytes of content */
static int take(struct mp_in *in, struct mp_token *t, enum mp_type type, uint64_t n)
{
    if (n > (uint64_t)(in->end - in->p))
        return -EAGAIN;
    t->type = type;
    t->p = in->p;
    t->n = (size_t)n;
    in->p += n;
    return 0;
}

/* notes a count; each item takes at least a byte, so a count beyond what is left cannot be whole */
static int count(const struct mp_in *in, struct mp_token *t, enum mp_type type, uint64_t n)
{
    if ((type == MP_MAP ? 2 * n : n) > (uint64_t)(in->end - in->p))
        return -EAGAIN;
    t->type = type;
    t->n = (size_t)n;
    return 0;
}

static int token_of_head(struct mp_in *in, uint8_t c, uint64_t v, struct mp_token *t)
{
    switch (c) {
    case 0xc0:
        t->type = MP_NIL;
        return 0;
    case 0xc2:
    case 0xc3:
        t->type = MP_BOOL;
        t->b = c == 0xc3;
        return 0;
    case 0xc4: /* bin: only read, never written */
    case 0xc5:
    case 0xc6:
    case 0xd9: /* str8: likewise */
    case 0xda:
    case 0xdb:
        return take(in, t, MP_STR, v);
    case 0xc7: /* ext: a type byte, then the content */
    case 0xc8:
    case 0xc9:
        return take(in, t, MP_EXT, v + 1);
    case 0xca:
    case 0xcb:
        t->type = MP_FLOAT;
        t->f = get_float(v, c == 0xca ? 4 : 8);
        return 0;
    case 0xcc:
    case 0xcd:
    case 0xce:
    case 0xcf:
        set_uint(t, v);
        return 0;
    case 0xd0:
    case 0xd1:
    case 0xd2:
    case 0xd3:
        set_int(t, v, head_size[c - 0xc0]);
        return 0;
    case 0xd4:
    case 0xd5:
    case 0xd6:
    case 0xd7:
    case 0xd8:
        return take(in, t, MP_EXT, (UINT64_C(1) << (c - 0xd4)) + 1);
    case 0xdc:
    case 0xdd:
        return count(in, t, MP_ARRAY, v);
    case 0xde:
    case 0xdf:
        return count(in, t, MP_MAP, v);
    default:
        return -EBADMSG; /* c1 */
    }
}

static int read_token(struct mp_in *in, struct mp_token *t)
{
    uint8_t c, size;
    uint64_t v;

    *t = (struct mp_token){0};
    if (in->p >= in->end)
        return -EAGAIN;
    c = *in->p++;
    if (c <= 0x7f) {
        set_uint(t, c);
        return 0;
    }
    if (c >= 0xe0) {
        set_int(t, c, 1);
        return 0;
    }
    if (c <= 0x8f)
        return count(in, t, MP_MAP, c & 15);
    if (c <= 0x9f)
        return count(in, t, MP_ARRAY, c & 15);
    if (c <= 0xbf)
        return take(in, t, MP_STR, c & 31);
    size = head_size[c - 0xc0];
    if (size > in->end - in->p)
        return -EAGAIN;
    v = get(in->p, size);
    in->p += size;
    return token_of_head(in, c, v, t);
}

int mp_next(struct mp_in *in, struct mp_token *ret)
{
    const uint8_t *begin = in->p;
    int r = read_token(in, ret);

    if (r < 0)
        in->p = begin;
    return r;
}

/* seconds from year 1 to year 10000: what RFC 3339 can say */
#define TIME_SEC_MAX UINT64_C(315537897600)

int mp_time_parse(const uint8_t *p, size_t n, struct gotime *ret)
{
    uint64_t sec;
    uint32_t nsec;
    int16_t zone;

    if ((n != 15 || p[0] != 1) && (n != 16 || p[0] != 2))
        return -EBADMSG;
    sec = get(p + 1, 8);
    nsec = (uint32_t)get(p + 9, 4);
    zone = (int16_t)(uint16_t)get(p + 13, 2); /* the 16th byte are seconds of odd zones */
    if (sec >= TIME_SEC_MAX || nsec >= NSEC_PER_SEC)
        return -EBADMSG;
    *ret = (struct gotime){(int64_t)sec, nsec, zone == -1 ? 0 : zone};
    return 0;
}

/* ---- whole objects ---- */

/* Length of the token at p as far as it can be told: the head, or head and content of strings. */
struct extent {
    uint64_t bytes; /* of this token; for containers of its head */
    uint64_t items; /* objects that follow */
    bool container;
};

/* 0, -EAGAIN (not even the head is there), -EBADMSG; for type bytes from c0 to df */
static int measure_long(const uint8_t *p, size_t n, struct extent *ret)
{
    uint8_t c = p[0], size;
    uint64_t v;

    if (c == 0xc1)
        return -EBADMSG;
    size = head_size[c - 0xc0];
    if (n < 1u + size)
        return -EAGAIN;
    v = get(p + 1, size);
    ret->bytes += size;
    if ((c >= 0xc4 && c <= 0xc6) || (c >= 0xd9 && c <= 0xdb))
        ret->bytes += v;
    else if (c >= 0xc7 && c <= 0xc9)
        ret->bytes += v + 1;
    else if (c >= 0xd4 && c <= 0xd8)
        ret->bytes += (UINT64_C(1) << (c - 0xd4)) + 1;
    else if (c >= 0xdc) {
        ret->items = c >= 0xde ? 2 * v : v;
        ret->container = true;
    }
    return 0;
}

/* the short forms, which most tokens have, without a call */
static inline int measure(const uint8_t *p, size_t n, struct extent *ret)
{
    uint8_t c;

    *ret = (struct extent){.bytes = 1};
    if (n == 0)
        return -EAGAIN;
    c = p[0];
    if (c <= 0x7f || c >= 0xe0)
        return 0;
    if (c <= 0x9f) {
        ret->items = c <= 0x8f ? 2 * (c & 15u) : c & 15u;
        ret->container = true;
        return 0;
    }
    if (c <= 0xbf) {
        ret->bytes += c & 31;
        return 0;
    }
    return measure_long(p, n, ret);
}

int mp_skip(struct mp_in *in)
{
    const uint8_t *p = in->p;
    uint64_t left[MP_DEPTH_MAX];
    unsigned depth = 0;

    do {
        struct extent e;
        int r = measure(p, (size_t)(in->end - p), &e);

        if (r < 0)
            return r;
        if (e.bytes > (uint64_t)(in->end - p))
            return -EAGAIN;
        p += e.bytes;
        if (depth == MP_DEPTH_MAX && e.container)
            return -EBADMSG;
        if (e.items > 0) {
            left[depth++] = e.items;
            continue;
        }
        while (depth > 0 && --left[depth - 1] == 0)
            depth--;
    } while (depth > 0);
    in->p = p;
    return 0;
}

/* every missing object takes a byte at least */
static uint64_t pending(const struct mp_frame *f)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < f->depth; i++)
        sum += f->left[i];
    /* an open object is counted by its parent too: its own head is there already */
    return f->depth > 0 ? sum - (f->depth - 1) : 0;
}

int mp_frame(struct mp_frame *f, const void *p, size_t n, size_t max, size_t *ret_len)
{
    do {
        struct extent e;
        int r = measure((const uint8_t *)p + f->at, n - f->at, &e);

        if (r == -EAGAIN)
            return n >= max ? -EMSGSIZE : -EAGAIN;
        if (r < 0)
            return r;
        if (e.bytes > max - f->at)
            return -EMSGSIZE;
        if (e.bytes > n - f->at)
            return -EAGAIN;
        f->at += (size_t)e.bytes;
        if (f->depth == MP_DEPTH_MAX && e.container)
            return -EBADMSG;
        if (e.items > 0) {
            f->left[f->depth++] = e.items;
            if (pending(f) > max - f->at)
                return -EMSGSIZE;
            continue;
        }
        while (f->depth > 0 && --f->left[f->depth - 1] == 0)
            f->depth--;
    } while (f->depth > 0);
    *ret_len = f->at;
    *f = (struct mp_frame){0};
    return 0;
}
