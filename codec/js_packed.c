/* codec/js_packed.c - a described struct from its msgpack straight to JSON.
 *
 * Peers send the keys of a struct in table order, so each value is written as it comes; a map in
 * another order is read twice, to note where the value of every row stands and to write the rows
 * from there.  Maps with free keys are sorted by their keys on the stack.
 * Whatever the decoder would refuse or treat in a special way is refused here: the caller decodes
 * then, and gets the decoder's answer.
 */
#include <errno.h>
#include <string.h>

#include "codec/js.h"
#include "codec/js_put.h"
#include "codec/js_token.h"
#include "codec/mp.h"
#include "codec/mp_entries.h"
#include "codec/ops.h"

/* beside enum js_opts: keys are not tried in table order first */
#define ANY_ORDER (1U << 31)

static int put_struct(struct buf *b, const struct desc *d, struct mp_in *in, unsigned opts);

/* the value of a row that is not there, or nil: what js_encode() writes for zero */
static int put_zero(struct buf *b, const struct field *f, unsigned opts)
{
    static const uint8_t nothing[] = {0x80};
    struct mp_in empty = mp_in(nothing, sizeof(nothing));

    switch (f->type) {
    case FT_BOOL:
        js_put_bool(b, false);
        return 0;
    case FT_I64:
    case FT_U64:
        js_put_byte(b, '0');
        return 0;
    case FT_F64:
        js_f64(b, 0);
        return 0;
    case FT_STR:
        js_put_lit(b, "\"\"");
        return 0;
    case FT_STRUCT:
        return put_struct(b, f->sub, &empty, opts);
    default:
        js_put_lit(b, "null");
        return 0;
    }
}

/* --- maps with free keys --- */

static int put_map_value(struct buf *b, const struct field *f, struct mp_in *in, unsigned opts)
{
    struct mp_token t;

    if (f->type == FT_MAPVEC)
        return put_struct(b, f->sub, in, opts);
    if (mp_next_short(in, &t) < 0)
        return -EBADMSG;
    if (f->type == FT_I64MAP)
        return t.type == MP_NIL ? -EBADMSG : js_token_int(b, &t, true);
    if (t.type == MP_NIL) { /* a string map has no nil values, a nullable one does */
        js_put_lit(b, f->type == FT_OPT_MAP ? "null" : "\"\"");
        return 0;
    }
    return js_token_text(b, &t);
}

static int put_map(struct buf *b, const struct field *f, const struct mp_token *t, struct mp_in *in,
                   unsigned opts)
{
    struct mp_entry v[JS_PACKED_MAP_MAX];

    if (t->type != MP_MAP || t->n > JS_PACKED_MAP_MAX || mp_entries(in, v, t->n) < 0)
        return -EBADMSG;
    js_put_byte(b, '{');
    for (size_t i = 0; i < t->n; i++) {
        struct mp_in value = {v[i].value, in->p};

        if (v[i].n > 0 && memchr(v[i].key, 0, v[i].n))
            return -EBADMSG;
        js_put_key(b, i, (const char *)v[i].key, v[i].n);
        if (put_map_value(b, f, &value, opts) < 0)
            return -EBADMSG;
    }
    js_put_byte(b, '}');
    return 0;
}

/* --- arrays --- */

static int put_row(struct buf *b, struct mp_in *in)
{
    struct mp_token t, v;

    if (mp_next_short(in, &t) < 0 || t.type != MP_ARRAY)
        return -EBADMSG;
    js_put_byte(b, '[');
    for (size_t i = 0; i < t.n; i++) {
        if (i > 0)
            js_put_byte(b, ',');
        if (mp_next_short(in, &v) < 0 || js_token_int(b, &v, true) < 0)
            return -EBADMSG;
    }
    js_put_byte(b, ']');
    return 0;
}

static int put_element(struct buf *b, const struct field *f, struct mp_in *in, unsigned opts)
{
    struct mp_token t;

    if (f->type == FT_VEC)
        return put_struct(b, f->sub, in, opts);
    if (f->type == FT_MATRIX)
        return put_row(b, in);
    if (mp_next_short(in, &t) < 0)
        return -EBADMSG;
    if (f->type == FT_STRVEC)
        return js_token_text(b, &t);
    if (t.type == MP_INT && (t.is_unsigned || t.u > UINT16_MAX))
        return -EBADMSG;
    return js_token_int(b, &t, false);
}

static int put_array(struct buf *b, const struct field *f, const struct mp_token *t,
                     struct mp_in *in, unsigned opts)
{
    if (t->type != MP_ARRAY)
        return -EBADMSG;
    js_put_byte(b, '[');
    for (size_t i = 0; i < t->n; i++) {
        if (i > 0)
            js_put_byte(b, ',');
        if (put_element(b, f, in, opts) < 0)
            return -EBADMSG;
    }
    js_put_byte(b, ']');
    return 0;
}

/* --- rows --- */

/* in is behind the value when that is done */
static int put_value(struct buf *b, const struct field *f, struct mp_in *in, unsigned opts)
{
    struct mp_in whole = *in;
    struct mp_token t;

    if (mp_next_short(in, &t) < 0)
        return -EBADMSG;
    if (t.type == MP_NIL)
        return put_zero(b, f, opts);
    switch (f->type) {
    case FT_BOOL:
    case FT_OPT_BOOL:
        return js_token_bool(b, &t);
    case FT_I64:
    case FT_OPT_I64:
        return js_token_int(b, &t, true);
    case FT_U64:
        return js_token_int(b, &t, false);
    case FT_F64:
    case FT_OPT_F64:
        return js_token_float(b, &t);
    case FT_STR:
    case FT_OPT_STR:
        return js_token_text(b, &t);
    case FT_TIME:
        return js_token_time(b, &t);
    case FT_U8LIST:
        return js_token_u8list(b, &t);
    case FT_MAP:
    case FT_I64MAP:
    case FT_OPT_MAP:
    case FT_MAPVEC:
        return put_map(b, f, &t, in, opts);
    case FT_STRVEC:
    case FT_U16VEC:
    case FT_MATRIX:
    case FT_VEC:
        return put_array(b, f, &t, in, opts);
    case FT_STRUCT:
    case FT_PTR:
        *in = whole;
        return put_struct(b, f->sub, in, opts);
    default: /* bytes and raw objects stand in no stored object */
        return -EBADMSG;
    }
}

static bool is_named(const struct field *f, const struct mp_token *key)
{
    const char *name = f->name;

    for (size_t i = 0; i < key->n; i++)
        if (name[i] != (char)key->p[i] || name[i] == 0)
            return false;
    return name[key->n] == 0;
}

/* the row of a key; hint is the row behind the last one found, because peers send keys in order */
static size_t find_row(const struct desc *d, const struct mp_token *key, size_t hint)
{
    char name[64];
    const struct field *f;

    if (hint < d->n_fields && is_named(&d->fields[hint], key))
        return hint;
    if (key->n >= sizeof(name))
        return SIZE_MAX;
    memcpy(name, key->p, key->n);
    name[key->n] = 0;
    f = desc_find(d, name);
    return f ? (size_t)(f - d->fields) : SIZE_MAX;
}

/* what F_OMITEMPTY leaves out, of maps and pointers; in is not moved */
static int is_left_out(const struct field *f, struct mp_in in)
{
    struct mp_token t;

    if (f->type != FT_MAP && f->type != FT_PTR)
        return -EBADMSG;
    if (!in.p)
        return 1;
    if (mp_next_short(&in, &t) < 0)
        return -EBADMSG;
    return t.type == MP_NIL || (f->type == FT_MAP && t.type == MP_MAP && t.n == 0);
}

/* what stands in a row that is not shown must be right all the same */
static int pass_over(struct buf *b, const struct field *f, struct mp_in *at, unsigned opts)
{
    size_t len = b->len;
    int r = at->p ? put_value(b, f, at, opts) : 0;

    b->len = len;
    return r;
}

/* one row with its name; the value is not there when at->p is NULL */
static int put_row_value(struct buf *b, const struct field *f, size_t *written, struct mp_in *at,
                         unsigned opts)
{
    int left_out;

    if (f->type == FT_EMBED || (f->type == FT_OPT_STR && (f->flags & F_SECRET)))
        return -EBADMSG;
    left_out = f->flags & F_OMITEMPTY ? is_left_out(f, *at) : 0;
    if (left_out < 0)
        return left_out;
    if (left_out > 0 || (f->flags & F_NO_JSON))
        return pass_over(b, f, at, opts);
    js_put_name(b, (*written)++, f->name);
    if ((f->flags & F_SECRET) && !(opts & JS_SECRETS)) {
        js_put_lit(b, "\"\"");
        return pass_over(b, f, at, opts);
    }
    return at->p ? put_value(b, f, at, opts) : put_zero(b, f, opts);
}

/* Writes each value as it comes.  1: its keys do not stand in table order, what was written so far
 * is nothing. */
static int put_in_order(struct buf *b, const struct desc *d, struct mp_in *in, size_t n,
                        unsigned opts)
{
    struct mp_in none = {0};
    size_t row = 0, written = 0;
    int r = 0;

    js_put_byte(b, '{');
    for (; n > 0 && r == 0; n--) {
        struct mp_token key;
        size_t at;

        if (mp_next_short(in, &key) < 0 || key.type != MP_STR)
            return -EBADMSG;
        at = find_row(d, &key, row);
        if (at == SIZE_MAX || (d->fields[at].flags & F_NO_MP)) {
            r = mp_skip(in);
            continue;
        }
        if (at < row)
            return 1;
        while (row < at && r == 0)
            r = put_row_value(b, &d->fields[row++], &written, &none, opts);
        if (r == 0)
            r = put_row_value(b, &d->fields[row++], &written, in, opts);
    }
    while (row < d->n_fields && r == 0)
        r = put_row_value(b, &d->fields[row++], &written, &none, opts);
    js_put_byte(b, '}');
    return r;
}

/* notes where each row's value stands; p NULL = not there */
static int find_values(const struct desc *d, struct mp_in *in, size_t n, struct mp_in *values)
{
    size_t row = SIZE_MAX;

    for (; n > 0; n--) {
        struct mp_token key;

        if (mp_next_short(in, &key) < 0 || key.type != MP_STR)
            return -EBADMSG;
        row = find_row(d, &key, row + 1);
        if (row != SIZE_MAX && values[row].p)
            return -EBADMSG;
        if (row != SIZE_MAX && !(d->fields[row].flags & F_NO_MP))
            values[row] = *in;
        if (mp_skip(in) < 0)
            return -EBADMSG;
    }
    return 0;
}

/* in any order: looks for the values first */
static int put_found(struct buf *b, const struct desc *d, struct mp_in *in, size_t n, unsigned opts)
{
    struct mp_in values[DESC_ROWS_MAX]; /* only the rows of d are used: the rest stays untouched */
    size_t written = 0;
    int r = 0;

    memset(values, 0, d->n_fields * sizeof(values[0]));
    if (find_values(d, in, n, values) < 0)
        return -EBADMSG;
    js_put_byte(b, '{');
    for (size_t i = 0; r == 0 && i < d->n_fields; i++)
        r = put_row_value(b, &d->fields[i], &written, &values[i], opts);
    js_put_byte(b, '}');
    return r;
}

static int put_struct(struct buf *b, const struct desc *d, struct mp_in *in, unsigned opts)
{
    size_t begin = b->len;
    struct mp_in content;
    struct mp_token t;
    int r;

    /* flattened structs are of requests and replies */
    if (d->n_fields > DESC_ROWS_MAX || (d->flags & F_OMITEMPTY) || mp_next_short(in, &t) < 0 ||
        (t.type != MP_MAP && t.type != MP_NIL))
        return -EBADMSG;
    if (t.type == MP_NIL)
        t.n = 0;
    if (opts & ANY_ORDER)
        return put_found(b, d, in, t.n, opts);
    content = *in;
    r = put_in_order(b, d, in, t.n, opts);
    if (r <= 0)
        return r;
    /* what stands in it is not tried twice per level: the depth would count exponentially */
    b->len = begin;
    *in = content;
    return put_found(b, d, in, t.n, opts | ANY_ORDER);
}

int js_from_packed(struct buf *b, const struct desc *d, const void *p, size_t n, unsigned opts)
{
    struct mp_in in = mp_in(p, n);

    if (n < b->max / 2 && b->len < b->max / 2)
        (void)buf_reserve(b, n + n / 2); /* about what it takes */
    if (put_struct(b, d, &in, opts) < 0 || in.p != in.end)
        return -EBADMSG;
    return buf_ok(b);
}
