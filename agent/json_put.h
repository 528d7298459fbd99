/* agent/json_put.h - JSON objects written by hand, key by key, into a buffer.
 *
 * For answers whose shape is no struct's.  What is a struct goes by its table (codec/js.h).
 */
#pragma once

#include "base/buf.h"
#include "base/map.h"

/* "name": with a comma in front unless it is the first of its object */
void put_key(struct buf *b, const char *name);
void put_str(struct buf *b, const char *name, const char *value);
void put_int(struct buf *b, const char *name, int64_t value);
void put_bool(struct buf *b, const char *name, bool value);
void put_map(struct buf *b, const char *name, const struct strmap *m); /* nil as {} */
void put_strv(struct buf *b, const char *name, char *const *v, size_t n);
/* "name":{ ... } */
void put_open(struct buf *b, const char *name);
void put_close(struct buf *b);
/* the brace of the next element of an array */
void put_element(struct buf *b, bool first);
