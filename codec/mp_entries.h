/* codec/mp_entries.h - a packed map with free keys, in the order of its keys.  Private to codec/.
 *
 * Allocates nothing; keys and values point into the input.
 */
#pragma once

#include "codec/mp.h"

struct mp_entry {
    uint64_t head; /* the first bytes of the key as a number: what sorting looks at first */
    const uint8_t *key;
    const uint8_t *value;
    size_t n; /* of the key */
};

/* The n entries at in, which is moved behind them, sorted by key.  -EBADMSG: not whole, a key that
 * is no text, or one that comes twice. */
int mp_entries(struct mp_in *in, struct mp_entry *ret, size_t n) _must_check_;
