/* base/uuid.h - ids in Nomad's textual form: 8-4-4-4-12 lower-case hex, no RFC 4122 version bits.
 */
#pragma once

#include "base/err.h"

enum { UUID_TEXT_LEN = 36, UUID_BYTES = 16 };

struct uuid {
    uint8_t b[UUID_BYTES];
};

/* a random one (getrandom) */
void uuid_random(char ret[UUID_TEXT_LEN + 1]);
void uuid_format(const struct uuid *u, char ret[UUID_TEXT_LEN + 1]);
/* strict: 36 characters, hyphens in place, hex of either case; -EINVAL otherwise */
int uuid_parse(const char *s, struct uuid *ret) _must_check_;

/* Nomad's lenient index form (go-memdb UUIDFieldIndex): hyphens anywhere, at most four.
 * With prefix set, a shorter even number of digits is fine and *ret_n (0..16) says how many bytes.
 * Errors carry go-memdb's texts ("UUID must be 36 characters" ...). */
int uuid_index(const char *s, bool prefix, struct uuid *ret, size_t *ret_n,
               struct err *e) _must_check_;
