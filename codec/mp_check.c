/* codec/mp_check.c - whether msgpack would decode into a described struct, without decoding it.
 *
 * One walk without memory.  Whatever is rare is left to the decoder, which has the last word.
 */
#include <errno.h>
#include <string.h>

#include "codec/alloc.h"
#include "codec/mp.h"
#include "codec/ops.h"

/* memory is not taken here, but charged as mp_decode() does or more */
struct check {
    struct mp_in in;
    size_t budget;
};

static int check_struct(struct check *c, const struct desc *d, struct mp_in *values);

static int charge(struct check *c, size_t n)
{
    return alloc_charge(&c->budget, n);
}

static int next(struct check *c, struct mp_token *t)
{
    return mp_next(&c->in, t) < 0 ? -EBADMSG : 0;
}

static int check_int(const struct mp_token *t, bool is_signed)
{
    if (t->type != MP_INT || (is_signed ? t->is_unsigned : !t->is_unsigned && t->i < 0))
        return -EBADMSG;
    return 0;
}

static int check_text(struct check *c, const struct mp_token *t)
{
    return t->type == MP_STR ? charge(c, t->n + 1) : -EBADMSG;
}

static int check_key(struct check *c)
{
    struct mp_token t;

    return next(c, &t) < 0 ? -EBADMSG : check_text(c, &t);
}

/* arrays double: what the last step leaves unused is charged too */
static int charge_items(struct check *c, size_t n, size_t size)
{
    return charge(c, 2 * MAX(n, (size_t)1) * size);
}

static int check_map(struct check *c, const struct field *f, const struct mp_token *map)
{
    struct mp_token t = {0};
    int r;

    if (map->type != MP_MAP)
        return -EBADMSG;
    r = charge_items(c, map->n, sizeof(struct strpair));
    for (size_t i = 0; r == 0 && i < map->n; i++) {
        r = check_key(c);
        if (r < 0)
            return r;
        if (next(c, &t) < 0)
            return -EBADMSG;
        if (f->type == FT_I64MAP)
            r = t.type == MP_NIL ? 0 : check_int(&t, true);
        else
            r = t.type == MP_NIL ? charge(c, 1) : check_text(c, &t);
    }
    return r;
}

static int check_row(struct check *c)
{
    struct mp_token row, t;
    int r = next(c, &row);

    if (r < 0 || row.type == MP_NIL)
        return r;
    if (row.type != MP_ARRAY)
        return -EBADMSG;
    r = charge_items(c, row.n, sizeof(int64_t));
    for (size_t i = 0; r == 0 && i < row.n; i++) {
        r = next(c, &t);
        if (r == 0)
            r = check_int(&t, true);
    }
    return r;
}

static int check_element(struct check *c, const struct field *f)
{
    struct mp_token t;

    if (f->type == FT_VEC || f->type == FT_MAPVEC)
        return check_struct(c, f->sub, NULL);
    if (f->type == FT_MATRIX)
        return check_row(c);
    if (next(c, &t) < 0)
        return -EBADMSG;
    if (f->type == FT_STRVEC)
        return t.type == MP_NIL ? charge(c, 1) : check_text(c, &t);
    if (t.type == MP_NIL)
        return 0;
    return check_int(&t, false) == 0 && t.u <= UINT16_MAX ? 0 : -EBADMSG;
}

static int check_array(struct check *c, const struct field *f, const struct mp_token *t)
{
    bool keyed = f->type == FT_MAPVEC;
    int r;

    if (t->type != (keyed ? MP_MAP : MP_ARRAY))
        return -EBADMSG;
    r = charge_items(c, t->n, field_item_size(f));
    for (size_t i = 0; r == 0 && i < t->n; i++) {
        if (keyed)
            r = check_key(c);
        if (r == 0)
            r = check_element(c, f);
    }
    return r;
}

static int check_value(struct check *c, const struct field *f)
{
    const struct mp_in begin = c->in;
    struct gotime time;
    struct mp_token t;

    if (next(c, &t) < 0)
        return -EBADMSG;
    if (t.type == MP_NIL)
        return 0;
    switch (f->type) {
    case FT_BOOL:
    case FT_OPT_BOOL:
        return t.type == MP_BOOL ? charge(c, 1) : -EBADMSG;
    case FT_I64:
    case FT_OPT_I64:
        return check_int(&t, true) == 0 ? charge(c, sizeof(int64_t)) : -EBADMSG;
    case FT_U64:
        return check_int(&t, false);
    case FT_F64:
    case FT_OPT_F64:
        return t.type == MP_FLOAT || t.type == MP_INT ? charge(c, sizeof(double)) : -EBADMSG;
    case FT_STR:
    case FT_OPT_STR:
    case FT_U8LIST:
    case FT_BYTES:
        return check_text(c, &t);
    case FT_TIME:
        return t.type == MP_STR && mp_time_parse(t.p, t.n, &time) == 0 ? 0 : -EBADMSG;
    case FT_MAP:
    case FT_I64MAP:
    case FT_OPT_MAP:
        return check_map(c, f, &t);
    case FT_STRVEC:
    case FT_U16VEC:
    case FT_MATRIX:
    case FT_VEC:
    case FT_MAPVEC:
        return check_array(c, f, &t);
    case FT_STRUCT:
    case FT_PTR:
        c->in = begin;
        return charge(c, f->sub->size) < 0 ? -EMSGSIZE : check_struct(c, f->sub, NULL);
    default: /* raw objects and flattened structs stand in no stored object */
        return -EBADMSG;
    }
}

/* the row of a key; hint is the row behind the last one found, because peers send keys in order */
static size_t find_row(const struct desc *d, const struct mp_token *key, size_t hint)
{
    char name[64];
    const struct field *f;

    if (hint < d->n_fields && strlen(d->fields[hint].name) == key->n &&
        memcmp(d->fields[hint].name, key->p, key->n) == 0)
        return hint;
    if (key->n >= sizeof(name))
        return SIZE_MAX;
    memcpy(name, key->p, key->n);
    name[key->n] = 0;
    f = desc_find(d, name);
    return f ? (size_t)(f - d->fields) : SIZE_MAX;
}

/* values: where each row's value stands, or NULL */
static int check_struct(struct check *c, const struct desc *d, struct mp_in *values)
{
    struct mp_token t;
    size_t row = SIZE_MAX;

    if (next(c, &t) < 0 || (t.type == MP_NIL && values))
        return -EBADMSG;
    if (t.type == MP_NIL)
        return 0;
    if (t.type != MP_MAP || d->fields[d->n_fields - 1].type == FT_EMBED)
        return -EBADMSG;
    for (size_t left = t.n; left > 0; left--) {
        int r;

        if (next(c, &t) < 0 || t.type != MP_STR)
            return -EBADMSG;
        row = find_row(d, &t, row + 1);
        if (row != SIZE_MAX && values)
            values[row] = c->in;
        if (row == SIZE_MAX || (d->fields[row].flags & F_NO_MP))
            r = mp_skip(&c->in) < 0 ? -EBADMSG : 0;
        else
            r = check_value(c, &d->fields[row]);
        if (r < 0)
            return r;
    }
    return 0;
}

int mp_check(const struct desc *d, const void *p, size_t n, struct mp_in *ret_values)
{
    struct check c = {.in = mp_in(p, n), .budget = alloc_budget(n)};
    struct mp_in whole = c.in;

    memset(ret_values, 0, d->n_fields * sizeof(*ret_values));
    /* not too deep: after this no level can be */
    if (mp_skip(&whole) < 0 || whole.p != whole.end)
        return -EBADMSG;
    return check_struct(&c, d, ret_values);
}
