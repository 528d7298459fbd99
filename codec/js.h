/* codec/js.h - JSON as Nomad writes it, and JSON read by json-c.
 *
 * Writing goes straight into a bounded buffer: fields in table order, map keys sorted, null for
 * nil, [] and {} for empty, times as RFC 3339 (zero = null), floats in the shortest form that reads
 * back the same and with ".0" when integral, durations as integers, bytes as base64, no escape for
 * / < > &, invalid UTF-8 replaced by U+FFFD.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "codec/desc.h"

enum js_opts {
    JS_SECRETS = 1 << 0, /* print F_SECRET fields instead of "" */
};

void js_str(struct buf *b, const char *s); /* quoted; NULL = "" */
void js_str_n(struct buf *b, const char *s, size_t n);
void js_f64(struct buf *b, double v);
void js_time(struct buf *b, struct gotime t);
void js_map(struct buf *b, const struct strmap *m);
/* any described struct */
void js_encode(struct buf *b, const struct desc *d, const void *obj, unsigned opts);
/* an array of n described structs, [] when there are none */
void js_encode_array(struct buf *b, const struct desc *d, const void *objs, size_t n,
                     unsigned opts);
/* one whole msgpack object of unknown shape as JSON */
int js_from_mp(struct buf *b, const void *p, size_t n) _must_check_;

/* Re-indents compact JSON the way ?pretty does: four spaces, ": ", newline at the end.  Numbers and
 * strings are copied untouched. */
void js_pretty(struct buf *out, const char *json, size_t n);

/* Decodes a JSON object: keys exactly, else without case; unknown keys ignored; null = zero.
 * Texts of type errors follow Go's encoding/json. */
int js_decode(const struct desc *d, const char *text, size_t n, void *obj,
              struct err *e) _must_check_;
