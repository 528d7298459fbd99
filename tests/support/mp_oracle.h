/* tests/support/mp_oracle.h - a second opinion on msgpack: msgpack-c.
 *
 * Two packed objects are the same when msgpack-c reads the same from both: maps in any order, ints
 * of any width, str and bin alike.
 */
#pragma once

#include "base/mem.h"

/* Whether msgpack-c finds exactly one object in these bytes. */
bool mp_oracle_valid(const void *p, size_t n);
/* Compares what msgpack-c reads; on a difference *ret_why (owned by the caller) says where. */
bool mp_oracle_equal(const void *a, size_t n_a, const void *b, size_t n_b, char **ret_why);
/* The same, but b may have more keys than a; their paths ("Node.Drivers.docker") are appended to
 * *ret_added, each with a newline. */
bool mp_oracle_covers(const void *a, size_t n_a, const void *b, size_t n_b, char **ret_why,
                      char **ret_added);
