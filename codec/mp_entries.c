#include "codec/mp_entries.h"

#include <errno.h>
#include <string.h>

static uint64_t head_of(const uint8_t *p, size_t n)
{
    uint64_t v = 0;

    if (n >= sizeof(v))
        memcpy(&v, p, sizeof(v));
    else if (n > 0)
        memcpy(&v, p, n);
    return __builtin_bswap64(v);
}

static int compare(const struct mp_entry *a, const struct mp_entry *b)
{
    int c;

    if (a->head != b->head)
        return a->head < b->head ? -1 : 1;
    c = memcmp(a->key, b->key, MIN(a->n, b->n));
    if (c != 0)
        return c;
    return a->n < b->n ? -1 : a->n > b->n;
}

static int compare_entries(const void *a, const void *b)
{
    return compare(a, b);
}

/* mp_skip(); without a call over short texts, small numbers, nil and the like */
static inline int skip(struct mp_in *in)
{
    size_t left = (size_t)(in->end - in->p), n = 1;
    uint8_t c = left > 0 ? *in->p : 0xc1;

    if (c >= 0xa0 && c <= 0xbf)
        n += c & 31U;
    else if (c > 0x7f && c < 0xe0 && c != 0xc0 && c != 0xc2 && c != 0xc3)
        return mp_skip(in);
    if (n > left)
        return -EAGAIN;
    in->p += n;
    return 0;
}

int mp_entries(struct mp_in *in, struct mp_entry *ret, size_t n)
{
    bool sorted = true;

    for (size_t i = 0; i < n; i++) {
        struct mp_token key;

        if (mp_next(in, &key) < 0 || key.type != MP_STR)
            return -EBADMSG;
        ret[i] = (struct mp_entry){head_of(key.p, key.n), key.p, in->p, key.n};
        if (skip(in) < 0)
            return -EBADMSG;
        sorted = sorted && (i == 0 || compare(&ret[i - 1], &ret[i]) < 0);
    }
    if (sorted)
        return 0;
    qsort(ret, n, sizeof(*ret), compare_entries);
    for (size_t i = 1; i < n; i++)
        if (compare(&ret[i - 1], &ret[i]) == 0)
            return -EBADMSG;
    return 0;
}
