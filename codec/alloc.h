/* codec/alloc.h - memory for the decoders: what a peer's input may cost.
 *
 * Sizes follow from input, so memory comes from try_alloc() and is charged to a budget made from
 * the input's length.  All functions: 0, -EMSGSIZE (budget spent) or -ENOMEM.
 *
 * Private to codec/.
 */
#pragma once

#include "base/limits.h"

#include <errno.h>
#include <string.h>

#include "base/mem.h"

/* what n bytes of input may become */
static inline size_t alloc_budget(size_t n)
{
    return n * MP_EXPAND_MAX + MP_EXPAND_FREE;
}

static inline int alloc_charge(size_t *budget, size_t n)
{
    if (n > *budget)
        return -EMSGSIZE;
    *budget -= n;
    return 0;
}

/* n zeroed bytes */
static inline int alloc_zero(size_t *budget, size_t n, void **ret)
{
    int r = alloc_charge(budget, n);

    if (r < 0)
        return r;
    *ret = try_alloc(n);
    if (!*ret)
        return -ENOMEM;
    memset(*ret, 0, n);
    return 0;
}

/* a copy of n bytes with a NUL behind them; p may be NULL when n is 0 */
static inline int alloc_copy(size_t *budget, const void *p, size_t n, void **ret)
{
    int r = alloc_charge(budget, n + 1);

    if (r < 0)
        return r;
    *ret = try_alloc(n + 1);
    if (!*ret)
        return -ENOMEM;
    if (n > 0)
        memcpy(*ret, p, n);
    ((char *)*ret)[n] = 0;
    return 0;
}

/* Room for one item behind the n that the array at *pp has; its bytes are zero.  The array grows as
 * items are read, because a count is only a claim; its steps are those of vec_add(), which can go
 * on with it.  Called with n = 0 it makes an array that is not NULL. */
static inline int alloc_grow(size_t *budget, void *pp, size_t n, size_t size)
{
    size_t cap = n ? n * 2 : 1;
    void *p;
    int r;

    memcpy(&p, pp, sizeof(p));
    if (p && (n == 0 || (n & (n - 1)) != 0))
        return 0;
    r = alloc_charge(budget, (cap - n) * size);
    if (r < 0)
        return r;
    p = try_realloc(p, cap * size);
    if (!p)
        return -ENOMEM;
    memset((char *)p + n * size, 0, (cap - n) * size);
    memcpy(pp, &p, sizeof(p));
    return 0;
}
