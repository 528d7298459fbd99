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
/* the same for one field; dst's is zero or cleared */
void ops_clear_field(const struct field *f, void *obj);
bool ops_field_equal(const struct field *f, const void *a, const void *b);
/* nil, empty, zero: what F_OMITEMPTY leaves out */
bool ops_field_empty(const struct field *f, const void *obj);

/* a new zeroed element with this key in a MAPVEC array (sub is the elements' descriptor), in its
 * place of the key order; the element that is there already when there is one */
void *ops_keyed_add(const struct desc *sub, void *pp_items, size_t *n, const char *key);
/* borrowed until the array changes; NULL when there is none */
void *ops_keyed_find(const struct desc *sub, const void *items, size_t n, const char *key);
/* Brings n items, each starting with an owned char *key, into key order; of equal keys the last one
 * stays, the others are given to drop().  0 or -ENOMEM (nothing is changed then). */
int ops_keyed_sort(void *items, size_t *n, size_t size, void (*drop)(void *item, const void *arg),
                   const void *arg) _must_check_;

/* All fields of an object in name order, those of embedded structs among them.  Returns how many.
 */
enum { DESC_ROWS_MAX = 96 };
struct desc_row {
    const struct field *f;
    const void *obj; /* the struct that f's offset counts from */
    unsigned flags;  /* the field's and the flags that its struct gives to every field */
};
size_t desc_rows(const struct desc *d, const void *obj, struct desc_row ret[DESC_ROWS_MAX]);

/* finds a row by name (in embedded structs too: NULL there) */
const struct field *desc_find(const struct desc *d, const char *name);
