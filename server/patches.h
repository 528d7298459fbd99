/* server/patches.h - a set of replaced top-level keys for one stored object (design decision 3).
 *
 * Collects key and value pairs, encodes the values as it goes, and makes the new item at the end.
 *
 * Depends on: codec/mp, model/item.
 * Owns: the encoded values.
 */
#pragma once

#include "codec/mp.h"
#include "model/item.h"

enum { PATCHES_MAX = 24 };

struct patches {
    struct buf values;
    struct {
        const char *key; /* borrowed, static text */
        size_t at, n;    /* in values; n == 0: the key goes */
    } v[PATCHES_MAX];
    size_t n;
};

#define PATCHES_INIT      ((struct patches){.values = BUF_INIT(NODE_PACKED_MAX)})
#define _cleanup_patches_ _cleanup_(patches_done)
void patches_done(struct patches *p);

void patches_u64(struct patches *p, const char *key, uint64_t value);
void patches_i64(struct patches *p, const char *key, int64_t value);
void patches_str(struct patches *p, const char *key, const char *value);
/* one whole msgpack object; NULL removes the key */
void patches_raw(struct patches *p, const char *key, const void *value, size_t n);
/* the values of n keys in another packed map; removed where that has none */
void patches_copy(struct patches *p, const char *const *keys, size_t n,
                  const struct node_item *from);

/* the map at packed with all that replaced, as an item; -EMSGSIZE with a text when it gets too big
 */
int patches_apply(struct patches *p, const void *packed, size_t n, struct node_item **ret,
                  struct err *e) _must_check_;
