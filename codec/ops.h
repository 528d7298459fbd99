/* codec/ops.h - copy, equality, diff and free of any described struct. */
#pragma once

#include "base/vec.h"
#include "codec/desc.h"

/* frees everything the struct owns and zeroes it; the struct itself stays the caller's */
void ops_clear(const struct desc *d, void *obj);
/* deep copy into dst, which is zeroed or cleared */
void ops_copy(const struct desc *d, void *dst, const void *src);
/* nil and empty collections are equal; times compare by instant */
bool ops_equal(const struct desc *d, const void *a, const void *b);
/* names of the top-level fields that differ, in table order; at most max are written, the total is
 * returned */
size_t ops_diff(const struct desc *d, const void *a, const void *b, const char **names, size_t max);
/* finds a row by name (in embedded structs too: NULL there) */
const struct field *desc_find(const struct desc *d, const char *name);
