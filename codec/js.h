/* codec/js.h - JSON as Nomad writes it, and JSON read into described structs.
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
/* A packed struct as JSON without making the struct: the same bytes as mp_decode() and js_encode(),
 * in one pass and without memory of its own.  -EBADMSG for what mp_decode() refuses and for the
 * rare forms that it takes and this does not (arrays in field order, doubled keys, more than
 * JS_PACKED_MAP_MAX keys in a map): decode those.  b then holds what was written so far. */
enum { JS_PACKED_MAP_MAX = 512 };
int js_from_packed(struct buf *b, const struct desc *d, const void *p, size_t n,
                   unsigned opts) _must_check_;
/* one whole msgpack object of unknown shape as JSON */
int js_from_mp(struct buf *b, const void *p, size_t n) _must_check_;

/* Re-indents compact JSON the way ?pretty does: four spaces, ": ", newline at the end.  Numbers and
 * strings are copied untouched. */
void js_pretty(struct buf *out, const char *json, size_t n);
/* the same piece by piece, each of whole values and punctuation; *depth is 0 at first.  The newline
 * at the end is the caller's. */
void js_pretty_part(struct buf *out, const char *json, size_t n, unsigned *depth);

/* Decodes the first JSON value of the text, an object or null, into obj (zeroed or holding a
 * value); what stands behind it is ignored.  Keys are matched exactly, else without case; unknown
 * keys are ignored; null = zero; of double keys the last wins.  Packed fields (RAW) stay nil.
 * Fields with F_NO_JSON and F_EMBED's own are as in writing; F_SECRET fields are read.  -EINVAL
 * with the texts of Go's encoding/json
 * ("unexpected EOF", "json: cannot unmarshal string into ..."), -EMSGSIZE (MP_EXPAND_MAX,
 * JSON_VALUES_MAX), -ENOMEM; nesting is limited by JSON_DEPTH_MAX.  On failure obj holds what was
 * read: ops_clear() it. */
int js_decode(const struct desc *d, const char *text, size_t n, void *obj,
              struct err *e) _must_check_;
/* The same for an array of structs, null or any number of them: JSON_VALUES_MAX is for each.
 * *ret_objs and the objects are owned by the caller; on failure there are none. */
int js_decode_array(const struct desc *d, const char *text, size_t n, void **ret_objs,
                    size_t *ret_n, struct err *e) _must_check_;
/* Finds the first JSON value of a text and checks its syntax, in the words of Go's scanner.
 * -EINVAL, -EMSGSIZE (JSON_VALUES_MAX) */
int js_scan(const char *text, size_t n, const char **ret, size_t *ret_n,
            struct err *e) _must_check_;
