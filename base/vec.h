/* base/vec.h - growing arrays of any type, kept as a pointer, a count and a capacity.
 *
 *     struct foo *foos; size_t n_foos, cap_foos;
 *     *vec_push(&foos, &n_foos, &cap_foos) = x;
 *
 * Where a struct keeps only pointer and count (descriptor tables do), vec_add() grows by one each
 * time, to powers of two computed from the count.  NULL is Go's nil slice, a non-NULL pointer with
 * count 0 its empty one.
 */
#pragma once

#include "base/mem.h"

/* grows *p so that one more fits; returns the zeroed slot behind the last; raises the count */
static inline void *vec_grow_(void *pp, size_t *n, size_t size)
{
    void *p;
    size_t i = *n;

    __builtin_memcpy(&p, pp, sizeof(p));
    if (!p || i == 0 || (i & (i - 1)) == 0) { /* at a power of two: double */
        p = xrealloc(p, i ? i * 2 : 1, size);
        __builtin_memcpy(pp, &p, sizeof(p));
    }
    __builtin_memset((char *)p + i * size, 0, size);
    (*n)++;
    return (char *)p + i * size;
}

#define vec_add(pp, np) ((__typeof__(*(pp)))vec_grow_((pp), (np), sizeof(**(pp))))
