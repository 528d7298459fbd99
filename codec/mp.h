/* codec/mp.h - msgpack in the dialect of Nomad's RPC codec.
 *
 * Writing (facts: go-msgpack, WriteExt=false): strings as fixstr, str16, str32, never str8 or bin;
 * ints as int forms (128 is d1 0080), uints as uint forms; structs as maps of all fields; times as
 * 15-byte raw strings; nil slice, map or pointer as c0.
 * Reading accepts more: str8, bin, any int width of either sign where the value fits, floats for
 * floats only, bools as 0 and 1, 16-byte times, nil for anything (zero), arrays in field order for
 * structs, unknown keys (skipped), missing keys (left as they are), a duplicate key (last wins).
 * Every declared count is compared with the bytes that are left before anything is allocated;
 * nesting is limited by MP_DEPTH_MAX.
 *
 * Nothing here allocates except mp_decode() and the buffers.
 */
#pragma once

#include "base/limits.h"

#include "base/buf.h"
#include "base/err.h"
#include "codec/desc.h"

/* --- writing --- */
void mp_nil(struct buf *b);
void mp_bool(struct buf *b, bool v);
void mp_i64(struct buf *b, int64_t v);
void mp_u64(struct buf *b, uint64_t v);
void mp_f64(struct buf *b, double v);
void mp_raw(struct buf *b, const void *p, size_t n); /* string or bytes */
void mp_str(struct buf *b, const char *s);           /* NULL = "" */
void mp_time(struct buf *b, struct gotime t);
void mp_map(struct buf *b, size_t n);
void mp_array(struct buf *b, size_t n);
/* any described struct; secret fields too */
void mp_encode(struct buf *b, const struct desc *d, const void *obj);

/* --- reading: a cursor over bytes that stay the caller's --- */
enum mp_type { MP_NIL, MP_BOOL, MP_INT, MP_FLOAT, MP_STR, MP_ARRAY, MP_MAP, MP_EXT };

struct mp_in {
    const uint8_t *p, *end;
};
static inline struct mp_in mp_in(const void *p, size_t n)
{
    return (struct mp_in){p, n ? (const uint8_t *)p + n : p};
}

/* one token.  For STR: p, n point into the input.  For ARRAY and MAP: n is the count and the
 * content follows.  For INT: i holds the value, is_unsigned says it is above INT64_MAX (then u). */
struct mp_token {
    enum mp_type type;
    bool b;
    bool is_unsigned;
    int64_t i;
    uint64_t u;
    double f;
    const uint8_t *p; /* STR, EXT */
    size_t n;
};
/* 0; -EAGAIN when the input ends too early; -EBADMSG when it can never be right */
int mp_next(struct mp_in *in, struct mp_token *ret) _must_check_;
/* the 15 (or 16) bytes of a time; -EBADMSG when they are none or outside of the years 1 to 9999 */
int mp_time_parse(const uint8_t *p, size_t n, struct gotime *ret) _must_check_;
/* steps over one whole object; same errors */
int mp_skip(struct mp_in *in) _must_check_;

/* Framing: is there one whole object at the start of p?  0 and its length, -EAGAIN when more bytes
 * are needed, -EMSGSIZE when it is or claims to be longer than max, -EBADMSG.  Repeated calls on a
 * growing buffer may pass the same state (zeroed at first) to go on where the last one stopped. */
struct mp_frame {
    size_t at;                   /* bytes already understood */
    uint64_t left[MP_DEPTH_MAX]; /* objects still missing per level */
    unsigned depth;
};
int mp_frame(struct mp_frame *f, const void *p, size_t n, size_t max, size_t *ret_len) _must_check_;

/* Decodes exactly one object into obj (zeroed or holding a value that is cleared field by field as
 * it is replaced).  On failure obj holds what was read so far: clear it with ops_clear().  Errors
 * name the field: "Node.Drivers[docker].Healthy: expected bool, found str". -EBADMSG, -EMSGSIZE
 * (MP_EXPAND_MAX), -ENOMEM. */
int mp_decode(const struct desc *d, const void *p, size_t n, void *obj, struct err *e) _must_check_;
/* the same at a cursor, which is moved behind the object */
int mp_decode_at(const struct desc *d, struct mp_in *in, void *obj, struct err *e) _must_check_;

/* Whether mp_decode() would take these bytes as a struct, without memory of its own: 0, and where
 * the value of each row of d stands (p NULL: it does not; one place for each of d's rows). -EBADMSG
 * for what it refuses and for the rare forms that it takes and this does not: decode those. */
int mp_check(const struct desc *d, const void *p, size_t n, struct mp_in *ret_values) _must_check_;

/* --- packed maps: stored objects are changed key by key, so that fields we do not know survive ---
 */
/* finds a top-level key (of doubles the last, as mp_decode()); the value's bytes (one whole object)
 * stay inside p.  -ENOENT, -EBADMSG */
int mp_map_find(const void *p, size_t n, const char *key, const uint8_t **ret,
                size_t *ret_n) _must_check_;
struct mp_patch {
    const char *key;
    const void *value; /* one whole msgpack object; NULL = remove the key */
    size_t n;
};
/* Copies the map at p to out with the given keys (64 at most, each once) replaced in place, added
 * at the end, or removed; all other entries are copied byte for byte.  -EBADMSG: p is no map;
 * -EINVAL: a value is not one object; -EMSGSIZE: out is full. */
int mp_map_patch(const void *p, size_t n, const struct mp_patch *patches, size_t n_patches,
                 struct buf *out) _must_check_;
