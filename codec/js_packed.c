/* codec/js_packed.c - a described struct from its msgpack straight to JSON.
 *
 * Each map is read twice: once to note where the value of every row stands, then the rows are
 * written in table order from there.  Maps with free keys are sorted by their keys on the stack.
 * Whatever the decoder would refuse or treat in a special way is refused here: the caller decodes
 * then, and gets the decoder's answer.
 */
#include <errno.h>
#include <string.h>

#include "codec/js.h"
#include "codec/js_put.h"
#include "codec/mp.h"
#include "codec/ops.h"

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
        buf_add_byte(b, '0');
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

static int put_int(struct buf *b, const struct mp_token *t, bool is_signed)
{
    if (t->type != MP_INT || (is_signed && t->is_unsigned) ||
        (!is_signed && !t->is_unsigned && t->i < 0))
        return -EBADMSG;
    if (is_signed)
        js_put_i64(b, t->i);
    else
        js_put_u64(b, t->u);
    return 0;
}

static int put_bool(struct buf *b, const struct mp_token *t)
{
    bool as_int = t->type == MP_INT && !t->is_unsigned && (t->i == 0 || t->i == 1);

    if (t->type != MP_BOOL && !as_int)
        return -EBADMSG;
    js_put_bool(b, as_int ? t->i == 1 : t->b);
    return 0;
}

static int put_float(struct buf *b, const struct mp_token *t)
{
    if (t->type == MP_FLOAT)
        js_f64(b, t->f);
    else if (t->type == MP_INT)
        js_f64(b, t->is_unsigned ? (double)t->u : (double)t->i);
    else
        return -EBADMSG;
    return 0;
}

/* a NUL ends our strings, not msgpack's: leave those to the decoder */
static int put_text(struct buf *b, const struct mp_token *t)
{
    if (t->type != MP_STR || (t->n > 0 && memchr(t->p, 0, t->n)))
        return -EBADMSG;
    js_str_n(b, (const char *)t->p, t->n);
    return 0;
}

static int put_time(struct buf *b, const struct mp_token *t)
{
    struct gotime time;

    if (t->type != MP_STR || mp_time_parse(t->p, t->n, &time) < 0)
        return -EBADMSG;
    js_time(b, time);
    return 0;
}

/* --- maps with free keys --- */

struct entry {
    const uint8_t *key;
    size_t n;
    struct mp_in value;
};

static int compare_keys(const struct entry *a, const struct entry *b)
{
    int c = memcmp(a->key, b->key, MIN(a->n, b->n));

    if (c != 0)
        return c;
    return a->n < b->n ? -1 : a->n > b->n;
}

static int compare_entries(const void *a, const void *b)
{
    return compare_keys(a, b);
}

/* keys and places of all values, in key order; -EBADMSG when one comes twice */
static int read_entries(struct mp_in *in, struct entry *v, size_t n)
{
    bool sorted = true;

    for (size_t i = 0; i < n; i++) {
        struct mp_token key;

        if (mp_next(in, &key) < 0 || key.type != MP_STR || (key.n && memchr(key.p, 0, key.n)))
            return -EBADMSG;
        v[i] = (struct entry){.key = key.p, .n = key.n, .value = *in};
        if (mp_skip(in) < 0)
            return -EBADMSG;
        sorted = sorted && (i == 0 || compare_keys(&v[i - 1], &v[i]) < 0);
    }
    if (sorted)
        return 0;
    qsort(v, n, sizeof(*v), compare_entries);
    for (size_t i = 1; i < n; i++)
        if (compare_keys(&v[i - 1], &v[i]) == 0)
            return -EBADMSG;
    return 0;
}

static int put_map_value(struct buf *b, const struct field *f, struct mp_in *in, unsigned opts)
{
    struct mp_token t;

    if (f->type == FT_MAPVEC)
        return put_struct(b, f->sub, in, opts);
    if (mp_next(in, &t) < 0)
        return -EBADMSG;
    if (f->type == FT_I64MAP)
        return t.type == MP_NIL ? -EBADMSG : put_int(b, &t, true);
    if (t.type == MP_NIL) { /* a string map has no nil values, a nullable one does */
        js_put_lit(b, f->type == FT_OPT_MAP ? "null" : "\"\"");
        return 0;
    }
    return put_text(b, &t);
}

static int put_map(struct buf *b, const struct field *f, const struct mp_token *t, struct mp_in *in,
                   unsigned opts)
{
    struct entry v[JS_PACKED_MAP_MAX];

    if (t->type != MP_MAP || t->n > JS_PACKED_MAP_MAX || read_entries(in, v, t->n) < 0)
        return -EBADMSG;
    buf_add_byte(b, '{');
    for (size_t i = 0; i < t->n; i++) {
        js_put_key(b, i, (const char *)v[i].key, v[i].n);
        if (put_map_value(b, f, &v[i].value, opts) < 0)
            return -EBADMSG;
    }
    buf_add_byte(b, '}');
    return 0;
}

/* --- arrays --- */

static int put_row(struct buf *b, struct mp_in *in)
{
    struct mp_token t, v;

    if (mp_next(in, &t) < 0 || t.type != MP_ARRAY)
        return -EBADMSG;
    buf_add_byte(b, '[');
    for (size_t i = 0; i < t.n; i++) {
        if (i > 0)
            buf_add_byte(b, ',');
        if (mp_next(in, &v) < 0 || put_int(b, &v, true) < 0)
            return -EBADMSG;
    }
    buf_add_byte(b, ']');
    return 0;
}

static int put_element(struct buf *b, const struct field *f, struct mp_in *in, unsigned opts)
{
    struct mp_token t;

    if (f->type == FT_VEC)
        return put_struct(b, f->sub, in, opts);
    if (f->type == FT_MATRIX)
        return put_row(b, in);
    if (mp_next(in, &t) < 0)
        return -EBADMSG;
    if (f->type == FT_STRVEC)
        return put_text(b, &t);
    if (t.type == MP_INT && (t.is_unsigned || t.u > UINT16_MAX))
        return -EBADMSG;
    return put_int(b, &t, false);
}

static int put_array(struct buf *b, const struct field *f, const struct mp_token *t,
                     struct mp_in *in, unsigned opts)
{
    if (t->type != MP_ARRAY)
        return -EBADMSG;
    buf_add_byte(b, '[');
    for (size_t i = 0; i < t->n; i++) {
        if (i > 0)
            buf_add_byte(b, ',');
        if (put_element(b, f, in, opts) < 0)
            return -EBADMSG;
    }
    buf_add_byte(b, ']');
    return 0;
}

static int put_u8list(struct buf *b, const struct mp_token *t)
{
    if (t->type != MP_STR)
        return -EBADMSG;
    buf_add_byte(b, '[');
    for (size_t i = 0; i < t->n; i++) {
        if (i > 0)
            buf_add_byte(b, ',');
        js_put_u64(b, t->p[i]);
    }
    buf_add_byte(b, ']');
    return 0;
}

/* --- rows --- */

static int put_value(struct buf *b, const struct field *f, struct mp_in in, unsigned opts)
{
    const struct mp_in whole = in;
    struct mp_token t;

    if (mp_next(&in, &t) < 0)
        return -EBADMSG;
    if (t.type == MP_NIL)
        return put_zero(b, f, opts);
    switch (f->type) {
    case FT_BOOL:
    case FT_OPT_BOOL:
        return put_bool(b, &t);
    case FT_I64:
    case FT_OPT_I64:
        return put_int(b, &t, true);
    case FT_U64:
        return put_int(b, &t, false);
    case FT_F64:
    case FT_OPT_F64:
        return put_float(b, &t);
    case FT_STR:
    case FT_OPT_STR:
        return put_text(b, &t);
    case FT_TIME:
        return put_time(b, &t);
    case FT_U8LIST:
        return put_u8list(b, &t);
    case FT_MAP:
    case FT_I64MAP:
    case FT_OPT_MAP:
    case FT_MAPVEC:
        return put_map(b, f, &t, &in, opts);
    case FT_STRVEC:
    case FT_U16VEC:
    case FT_MATRIX:
    case FT_VEC:
        return put_array(b, f, &t, &in, opts);
    case FT_STRUCT:
    case FT_PTR:
        in = whole;
        return put_struct(b, f->sub, &in, opts);
    default: /* bytes and raw objects stand in no stored object */
        return -EBADMSG;
    }
}

/* the row of a key; hint is the row behind the last one found, because peers send keys in order */
static size_t find_row(const struct desc *d, const struct mp_token *key, size_t hint)
{
    char name[64];
    const struct field *f;

    if (key->n >= sizeof(name))
        return SIZE_MAX;
    memcpy(name, key->p, key->n);
    name[key->n] = 0;
    if (hint < d->n_fields && strcmp(d->fields[hint].name, name) == 0)
        return hint;
    f = desc_find(d, name);
    return f ? (size_t)(f - d->fields) : SIZE_MAX;
}

/* notes where each row's value stands; p NULL = not there */
static int find_values(const struct desc *d, struct mp_in *in, size_t n, struct mp_in *values)
{
    size_t row = SIZE_MAX;

    for (; n > 0; n--) {
        struct mp_token key;

        if (mp_next(in, &key) < 0 || key.type != MP_STR)
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

/* what F_OMITEMPTY leaves out, of maps and pointers; in is not moved */
static int is_left_out(const struct field *f, struct mp_in in)
{
    struct mp_token t;

    if (f->type != FT_MAP && f->type != FT_PTR)
        return -EBADMSG;
    if (!in.p)
        return 1;
    if (mp_next(&in, &t) < 0)
        return -EBADMSG;
    return t.type == MP_NIL || (f->type == FT_MAP && t.type == MP_MAP && t.n == 0);
}

static int put_struct(struct buf *b, const struct desc *d, struct mp_in *in, unsigned opts)
{
    struct mp_in values[DESC_ROWS_MAX]; /* only the rows of d are used: the rest stays untouched */
    struct mp_token t;
    size_t written = 0;
    int r = 0, left_out;

    /* flattened structs are of requests and replies */
    if (d->n_fields > DESC_ROWS_MAX || (d->flags & F_OMITEMPTY) || mp_next(in, &t) < 0 ||
        (t.type != MP_MAP && t.type != MP_NIL))
        return -EBADMSG;
    memset(values, 0, d->n_fields * sizeof(values[0]));
    if (t.type == MP_MAP && find_values(d, in, t.n, values) < 0)
        return -EBADMSG;
    buf_add_byte(b, '{');
    for (size_t i = 0; r == 0 && i < d->n_fields; i++) {
        const struct field *f = &d->fields[i];

        if (f->type == FT_EMBED || (f->type == FT_OPT_STR && (f->flags & F_SECRET)))
            return -EBADMSG;
        if (f->flags & F_NO_JSON)
            continue;
        left_out = f->flags & F_OMITEMPTY ? is_left_out(f, values[i]) : 0;
        if (left_out < 0)
            return left_out;
        if (left_out > 0)
            continue;
        js_put_name(b, written++, f->name);
        if ((f->flags & F_SECRET) && !(opts & JS_SECRETS))
            js_put_lit(b, "\"\"");
        else
            r = values[i].p ? put_value(b, f, values[i], opts) : put_zero(b, f, opts);
    }
    buf_add_byte(b, '}');
    return r;
}

int js_from_packed(struct buf *b, const struct desc *d, const void *p, size_t n, unsigned opts)
{
    struct mp_in in = mp_in(p, n);

    /* whole and not too deep: after this the skipping below cannot fail half way */
    if (mp_skip(&in) < 0 || in.p != in.end)
        return -EBADMSG;
    in = mp_in(p, n);
    if (put_struct(b, d, &in, opts) < 0)
        return -EBADMSG;
    return buf_ok(b);
}
