/* codec/mp_decode.c - msgpack into described structs.
 *
 * Peers choose the input, so memory is charged to a budget that follows from the input's length
 * (codec/alloc.h): an array element of one byte may be a struct of 200.  Errors name the field by a
 * path that is kept on the C stack and turned to text only when needed.
 */
#include "codec/mp_decode.h"

#include <errno.h>
#include <string.h>

#include "codec/ops.h"

/* ---- maps: pairs are appended as they come and brought into order at the end ---- */

static void drop_pair(void *item, const void *arg)
{
    const struct field *f = arg;
    struct strpair *pair = item; /* all kinds of pairs begin with the key */

    free(pair->key);
    if (f->type == FT_MAP || f->type == FT_OPT_MAP)
        free(pair->value);
    if (f->type == FT_MAPVEC) {
        pair->key = NULL;
        ops_clear(f->sub, item);
    }
}

static int sort_items(struct dec *d, const struct step *s, const struct field *f, void *items,
                      size_t *n, size_t size)
{
    return dec_memory(d, s, ops_keyed_sort(items, n, size, drop_pair, f));
}

static int dec_pair_value(struct dec *d, const struct step *s, enum field_type type, void *pair)
{
    struct mp_token t;
    int r = dec_next(d, s, &t);

    if (r < 0)
        return r;
    if (type == FT_I64MAP)
        return t.type == MP_NIL ? 0 : dec_i64(d, s, &t, &((struct i64pair *)pair)->value);
    if (t.type != MP_NIL) /* strpair and optpair look alike */
        return dec_str(d, s, &t, true, &((struct strpair *)pair)->value);
    if (type == FT_OPT_MAP)
        return 0;
    t = (struct mp_token){.type = MP_STR}; /* nil for a string is "" */
    return dec_str(d, s, &t, true, &((struct strpair *)pair)->value);
}

/* the three kinds of maps are all {items, n}; a value of a strmap is never NULL, which is why a
 * pair is counted only when it is whole */
static int dec_map(struct dec *d, const struct step *s, const struct field *f,
                   const struct mp_token *t, void *obj)
{
    struct strmap *m = obj;
    size_t size = f->type == FT_I64MAP ? sizeof(struct i64pair) : sizeof(struct strpair);
    int r;

    _Static_assert(sizeof(struct i64map) == sizeof(struct strmap), "maps look alike");
    _Static_assert(sizeof(struct optpair) == sizeof(struct strpair), "pairs look alike");
    if (t->type != MP_MAP)
        return dec_mismatch(d, s, "map", t);
    r = dec_grow(d, s, &m->items, 0, size);
    for (size_t i = 0; r == 0 && i < t->n; i++) {
        struct mp_token key;
        struct step at = {.up = s};
        char *pair;

        r = dec_grow(d, s, &m->items, m->n, size);
        if (r < 0)
            break;
        pair = (char *)m->items + m->n * size;
        r = dec_key(d, s, &key, (char **)pair);
        if (r < 0)
            break;
        at.key = key.p;
        at.n = key.n;
        r = dec_pair_value(d, &at, f->type, pair);
        if (r < 0)
            free(*(char **)pair);
        else
            m->n++;
    }
    return r < 0 ? r : sort_items(d, s, f, m->items, &m->n, size);
}

/* ---- arrays ---- */

static int dec_struct(struct dec *d, const struct step *s, const struct desc *desc,
                      const struct mp_token *t, void *obj);

static int dec_int_row(struct dec *d, const struct step *s, struct int_row *row)
{
    struct mp_token t;
    int r = dec_next(d, s, &t);

    if (r < 0 || t.type == MP_NIL)
        return r;
    if (t.type != MP_ARRAY)
        return dec_mismatch(d, s, "array", &t);
    r = dec_grow(d, s, &row->v, 0, sizeof(*row->v));
    for (size_t i = 0; r == 0 && i < t.n; i++) {
        struct mp_token item;

        r = dec_grow(d, s, &row->v, row->n, sizeof(*row->v));
        if (r == 0)
            r = dec_next(d, s, &item);
        if (r == 0)
            r = dec_i64(d, s, &item, &row->v[row->n]);
        if (r == 0)
            row->n++;
    }
    return r;
}

/* one element into its zeroed place */
static int dec_item(struct dec *d, const struct step *s, const struct field *f, void *item)
{
    struct mp_token t;
    uint64_t v = 0;
    int r;

    if (f->type == FT_MATRIX)
        return dec_int_row(d, s, item);
    r = dec_next(d, s, &t);
    if (r < 0)
        return r;
    switch (f->type) {
    case FT_STRVEC: /* nil is "" */
        if (t.type == MP_NIL)
            t = (struct mp_token){.type = MP_STR};
        return dec_str(d, s, &t, true, item);
    case FT_U16VEC:
        r = t.type == MP_NIL ? 0 : dec_u64(d, s, &t, &v);
        if (r == 0 && v > UINT16_MAX)
            return dec_fail(d, s, -EBADMSG, "number too large");
        *(uint16_t *)item = (uint16_t)v;
        return r;
    default:
        return t.type == MP_NIL ? 0 : dec_struct(d, s, f->sub, &t, item);
    }
}

static int dec_array(struct dec *d, const struct step *s, const struct field *f,
                     const struct mp_token *t, void *obj)
{
    bool keyed = f->type == FT_MAPVEC;
    size_t size = field_item_size(f), n = 0;
    void *items = NULL;
    int r;

    if (t->type != (keyed ? MP_MAP : MP_ARRAY))
        return dec_mismatch(d, s, keyed ? "map" : "array", t);
    r = dec_grow(d, s, &items, 0, size);
    for (size_t i = 0; r == 0 && i < t->n; i++) {
        struct step at = {.up = s, .n = i};
        struct mp_token key = {0};
        char *item;

        r = dec_grow(d, s, &items, n, size);
        if (r < 0)
            break;
        item = (char *)items + n * size;
        if (keyed)
            r = dec_key(d, s, &key, (char **)item);
        if (r < 0)
            break;
        if (keyed)
            at = (struct step){.up = s, .key = key.p, .n = key.n};
        n++; /* from here on clearing the array releases it */
        r = dec_item(d, &at, f, item);
    }
    if (r == 0 && keyed)
        r = sort_items(d, s, f, items, &n, size);
    memcpy(field_at(f, obj), &items, sizeof(items));
    memcpy((char *)obj + f->off_n, &n, sizeof(n));
    return r;
}

/* ---- fields ---- */

/* a new object behind a pointer */
static int dec_opt(struct dec *d, const struct step *s, const struct field *f,
                   const struct mp_token *t, void *at)
{
    size_t size = f->type == FT_OPT_BOOL ? sizeof(bool)
                  : f->type == FT_PTR    ? f->sub->size
                                         : sizeof(int64_t);
    void *p = NULL;
    int r = dec_memory(d, s, alloc_zero(&d->budget, size, &p));

    if (r < 0)
        return r;
    memcpy(at, &p, sizeof(p));
    switch (f->type) {
    case FT_OPT_I64:
        return dec_i64(d, s, t, p);
    case FT_OPT_F64:
        return dec_f64(d, s, t, p);
    case FT_OPT_BOOL:
        return dec_bool(d, s, t, p);
    default:
        return dec_struct(d, s, f->sub, t, p);
    }
}

static int dec_field(struct dec *d, const struct step *s, const struct field *f, void *obj)
{
    void *at = field_at(f, obj);
    const uint8_t *begin = d->in->p;
    struct mp_token t;
    int r;

    ops_clear_field(f, obj);
    r = dec_next(d, s, &t);
    if (r < 0)
        return r;
    if (t.type == MP_NIL)
        return 0;
    switch (f->type) {
    case FT_BOOL:
        return dec_bool(d, s, &t, at);
    case FT_I64:
        return dec_i64(d, s, &t, at);
    case FT_U64:
        return dec_u64(d, s, &t, at);
    case FT_F64:
        return dec_f64(d, s, &t, at);
    case FT_STR:
    case FT_OPT_STR:
        return dec_str(d, s, &t, f->type == FT_OPT_STR, at);
    case FT_TIME:
        return dec_time(d, s, &t, at);
    case FT_BYTES:
    case FT_U8LIST:
        return dec_bytes(d, s, &t, at);
    case FT_RAW:
        return dec_raw(d, s, begin, at);
    case FT_MAP:
    case FT_I64MAP:
    case FT_OPT_MAP:
        return dec_map(d, s, f, &t, at);
    case FT_STRVEC:
    case FT_U16VEC:
    case FT_MATRIX:
    case FT_VEC:
    case FT_MAPVEC:
        return dec_array(d, s, f, &t, obj);
    case FT_STRUCT:
        return dec_struct(d, s, f->sub, &t, at);
    case FT_OPT_I64:
    case FT_OPT_F64:
    case FT_OPT_BOOL:
    case FT_PTR:
        return dec_opt(d, s, f, &t, at);
    case FT_EMBED:
    case FT_MAX:
        break;
    }
    return dec_fail(d, s, -EINVAL, "a field of this kind has no value of its own");
}

/* ---- structs ---- */

/* The row of a name, and the struct that it counts from: the object or one embedded in it.  hint is
 * the row behind the last one found, because peers send keys in order. */
static const struct field *find_row(const struct desc *desc, const char *name, void *obj,
                                    size_t *hint, void **ret_obj)
{
    bool hit = *hint < desc->n_fields && desc->fields[*hint].type != FT_EMBED &&
               strcmp(desc->fields[*hint].name, name) == 0;
    const struct field *f = hit ? &desc->fields[*hint] : desc_find(desc, name);

    if (f) {
        *hint = (size_t)(f - desc->fields) + 1;
        *ret_obj = obj;
        return f;
    }
    for (size_t i = desc->n_fields; i > 0 && desc->fields[i - 1].type == FT_EMBED; i--) {
        const struct field *embed = &desc->fields[i - 1];
        size_t none = SIZE_MAX;

        f = find_row(embed->sub, name, field_at(embed, obj), &none, ret_obj);
        if (f)
            return f;
    }
    return NULL;
}

enum { NAME_MAX_LEN = 64 };

/* a key as a string when it may be a field's name, else "" */
static void name_of(const struct mp_token *key, char ret[NAME_MAX_LEN])
{
    size_t n = key->n < NAME_MAX_LEN ? key->n : 0;

    memcpy(ret, key->p, n);
    ret[n] = 0;
}

static int skip(struct dec *d, const struct step *s)
{
    int r = mp_skip(d->in);

    return r < 0 ? dec_broken(d, s, r) : 0;
}

static int dec_entries(struct dec *d, const struct step *s, const struct desc *desc, size_t n,
                       void *obj)
{
    size_t hint = 0;
    int r = 0;

    for (; r == 0 && n > 0; n--) {
        const struct field *f;
        char name[NAME_MAX_LEN];
        struct mp_token key;
        void *base = NULL;

        r = dec_next(d, s, &key);
        if (r < 0)
            return r;
        if (key.type != MP_STR)
            return dec_mismatch(d, s, "str as key", &key);
        name_of(&key, name);
        f = find_row(desc, name, obj, &hint, &base);
        if (f && !(f->flags & F_NO_MP)) {
            struct step at = {.up = s, .field = f->name};

            r = dec_field(d, &at, f, base);
        } else {
            r = skip(d, s);
        }
    }
    return r;
}

/* an array in field order: legal for Go's codec, though nobody sends it */
static int dec_positions(struct dec *d, const struct step *s, const struct desc *desc, size_t n,
                         void *obj)
{
    struct desc_row rows[DESC_ROWS_MAX];
    size_t n_rows = desc_rows(desc, obj, rows);
    int r = 0;

    for (size_t i = 0; r == 0 && i < n; i++) {
        if (i < n_rows && !(rows[i].flags & F_NO_MP)) {
            struct step at = {.up = s, .field = rows[i].f->name};

            r = dec_field(d, &at, rows[i].f, (void *)(uintptr_t)rows[i].obj);
        } else {
            r = skip(d, s);
        }
    }
    return r;
}

static int dec_struct(struct dec *d, const struct step *s, const struct desc *desc,
                      const struct mp_token *t, void *obj)
{
    if (t->type == MP_MAP)
        return dec_entries(d, s, desc, t->n, obj);
    if (t->type == MP_ARRAY)
        return dec_positions(d, s, desc, t->n, obj);
    return dec_mismatch(d, s, "map", t);
}

int mp_decode_at(const struct desc *desc, struct mp_in *in, void *obj, struct err *e)
{
    size_t n = (size_t)(in->end - in->p);
    struct dec d = {.in = in, .e = e, .budget = alloc_budget(n)};
    struct mp_token t;
    int r;

    r = dec_next(&d, NULL, &t);
    if (r < 0)
        return r;
    if (t.type == MP_NIL) { /* zero, but an element keeps its key */
        for (size_t i = 0; i < desc->n_fields; i++)
            ops_clear_field(&desc->fields[i], obj);
        return 0;
    }
    return dec_struct(&d, NULL, desc, &t, obj);
}

int mp_decode(const struct desc *d, const void *p, size_t n, void *obj, struct err *e)
{
    struct mp_in in = mp_in(p, n);
    int r = mp_decode_at(d, &in, obj, e);

    if (r < 0)
        return r;
    if (in.p != in.end)
        return err_set(e, -EBADMSG, "%zu bytes behind the object", (size_t)(in.end - in.p));
    return 0;
}
