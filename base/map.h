/* base/map.h - a string map in key order.
 *
 * Sorted arrays: attribute maps have about a hundred entries, are built once, compared and printed
 * often.  items == NULL is Go's nil map, non-NULL with n == 0 its empty one.
 *
 * Owns: keys and values.
 */
#pragma once

#include "base/mem.h"

struct strpair {
    char *key;   /* owned */
    char *value; /* owned; never NULL */
};

struct strmap {
    struct strpair *items; /* owned, in bytewise key order */
    size_t n;
};

#define _cleanup_strmap_ _cleanup_(strmap_done)

void strmap_done(struct strmap *m); /* frees all; leaves a nil map */
/* turns nil into empty */
void strmap_make(struct strmap *m);
/* sets key to a copy of value, replacing what was there */
void strmap_set(struct strmap *m, const char *key, const char *value);
void strmap_set_n(struct strmap *m, const char *key, size_t key_len, const char *value,
                  size_t value_len);
void strmap_setf(struct strmap *m, const char *key, const char *fmt, ...) _printf_(3, 4);
/* borrowed until the map changes; NULL when there is none */
const char *strmap_get(const struct strmap *m, const char *key);
/* true when it was there */
bool strmap_remove(struct strmap *m, const char *key);
void strmap_copy(struct strmap *dst, const struct strmap *src);    /* dst must be nil or cleared */
bool strmap_equal(const struct strmap *a, const struct strmap *b); /* nil equals empty */
