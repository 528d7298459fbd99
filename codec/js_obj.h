/* codec/js_obj.h - JSON objects written by hand, key by key, into a buffer.
 *
 * For answers whose shape is no struct's.  What is a struct goes by its table (codec/js.h).
 */
#pragma once

#include "base/buf.h"
#include "base/map.h"

/* "name": with a comma in front unless it is the first of its object */
void obj_key(struct buf *b, const char *name);
void obj_str(struct buf *b, const char *name, const char *value);
void obj_i64(struct buf *b, const char *name, int64_t value);
void obj_u64(struct buf *b, const char *name, uint64_t value);
void obj_bool(struct buf *b, const char *name, bool value);
void obj_map(struct buf *b, const char *name, const struct strmap *m); /* nil as {} */
void obj_strv(struct buf *b, const char *name, char *const *v, size_t n);
/* "name":{ ... } */
void obj_open(struct buf *b, const char *name);
void obj_close(struct buf *b);
/* the brace of the next element of an array */
void obj_element(struct buf *b, bool first);
