/* codec/ops_equal.c - questions about described structs: equality, difference, emptiness. */
#include <string.h>

#include "base/str.h"
#include "codec/ops.h"

static const void *load_ptr(const void *at)
{
    const void *p;

    memcpy(&p, at, sizeof(p));
    return p;
}

static const void *elem(const void *items, size_t i, size_t size)
{
    return (const char *)items + i * size;
}

/* equal as numbers, or both not a number: a field that holds NaN must not differ from itself */
static bool f64_equal(double a, double b)
{
    return a == b || (a != a && b != b);
}

static bool bytes_equal(const struct bytes *a, const struct bytes *b)
{
    return a->n == b->n && (a->n == 0 || memcmp(a->p, b->p, a->n) == 0);
}

static bool i64map_equal(const struct i64map *a, const struct i64map *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (strcmp(a->items[i].key, b->items[i].key) != 0 || a->items[i].value != b->items[i].value)
            return false;
    return true;
}

/* two strings of which NULL is something else than "" */
static bool opt_str_equal(const char *a, const char *b)
{
    return !a || !b ? a == b : strcmp(a, b) == 0;
}

static bool optmap_equal(const struct optmap *a, const struct optmap *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (strcmp(a->items[i].key, b->items[i].key) != 0 ||
            !opt_str_equal(a->items[i].value, b->items[i].value))
            return false;
    return true;
}

static bool rows_equal(const struct int_row *a, const struct int_row *b)
{
    return a->n == b->n && (a->n == 0 || memcmp(a->v, b->v, a->n * sizeof(int64_t)) == 0);
}

static bool array_equal(const struct field *f, const void *a, const void *b)
{
    const void *x = load_ptr(field_at(f, a)), *y = load_ptr(field_at(f, b));
    size_t n = field_count(f, a);

    if (n != field_count(f, b))
        return false;
    if (n == 0)
        return true;
    if (f->type == FT_U16VEC)
        return memcmp(x, y, n * sizeof(uint16_t)) == 0;
    for (size_t i = 0; i < n; i++) {
        const void *p, *q;

        if (f->type == FT_STRVEC) {
            if (!str_eq(((char *const *)x)[i], ((char *const *)y)[i]))
                return false;
            continue;
        }
        if (f->type == FT_MATRIX) {
            if (!rows_equal((const struct int_row *)x + i, (const struct int_row *)y + i))
                return false;
            continue;
        }
        p = elem(x, i, f->sub->size);
        q = elem(y, i, f->sub->size);
        if (f->type == FT_MAPVEC && !str_eq(load_ptr(p), load_ptr(q)))
            return false;
        if (!ops_equal(f->sub, p, q))
            return false;
    }
    return true;
}

/* both nil, or both there and the same */
static bool opt_equal(const struct field *f, const void *x, const void *y)
{
    const void *p = load_ptr(x), *q = load_ptr(y);

    if (!p || !q)
        return p == q;
    switch (f->type) {
    case FT_OPT_I64:
        return *(const int64_t *)p == *(const int64_t *)q;
    case FT_OPT_F64:
        return f64_equal(*(const double *)p, *(const double *)q);
    case FT_OPT_BOOL:
        return *(const bool *)p == *(const bool *)q;
    case FT_OPT_STR:
        return strcmp(p, q) == 0;
    default:
        return ops_equal(f->sub, p, q);
    }
}

bool ops_field_equal(const struct field *f, const void *a, const void *b)
{
    const void *x = field_at(f, a), *y = field_at(f, b);

    switch (f->type) {
    case FT_BOOL:
        return *(const bool *)x == *(const bool *)y;
    case FT_I64:
    case FT_U64:
        return *(const uint64_t *)x == *(const uint64_t *)y;
    case FT_F64:
        return f64_equal(*(const double *)x, *(const double *)y);
    case FT_TIME:
        return gotime_equal(*(const struct gotime *)x, *(const struct gotime *)y);
    case FT_STR:
        return str_eq(load_ptr(x), load_ptr(y));
    case FT_BYTES:
    case FT_U8LIST:
    case FT_RAW:
        return bytes_equal(x, y);
    case FT_MAP:
        return strmap_equal(x, y);
    case FT_I64MAP:
        return i64map_equal(x, y);
    case FT_OPT_MAP:
        return optmap_equal(x, y);
    case FT_STRVEC:
    case FT_U16VEC:
    case FT_MATRIX:
    case FT_VEC:
    case FT_MAPVEC:
        return array_equal(f, a, b);
    case FT_STRUCT:
    case FT_EMBED:
        return ops_equal(f->sub, x, y);
    case FT_OPT_I64:
    case FT_OPT_F64:
    case FT_OPT_BOOL:
    case FT_OPT_STR:
    case FT_PTR:
        return opt_equal(f, x, y);
    case FT_MAX:
        break;
    }
    return true;
}

bool ops_equal(const struct desc *d, const void *a, const void *b)
{
    if ((d->flags & D_KEYED) && !str_eq(load_ptr(a), load_ptr(b)))
        return false;
    for (size_t i = 0; i < d->n_fields; i++)
        if (!ops_field_equal(&d->fields[i], a, b))
            return false;
    return true;
}

size_t ops_diff(const struct desc *d, const void *a, const void *b, const char **names, size_t max)
{
    size_t total = 0;

    for (size_t i = 0; i < d->n_fields; i++) {
        const struct field *f = &d->fields[i];

        if (f->type == FT_EMBED) {
            size_t room = total < max ? max - total : 0;

            total += ops_diff(f->sub, field_at(f, a), field_at(f, b), names + (max - room), room);
        } else if (!ops_field_equal(f, a, b)) {
            if (total < max)
                names[total] = f->name;
            total++;
        }
    }
    return total;
}

static bool struct_empty(const struct desc *d, const void *obj)
{
    for (size_t i = 0; i < d->n_fields; i++)
        if (!ops_field_empty(&d->fields[i], obj))
            return false;
    return true;
}

bool ops_field_empty(const struct field *f, const void *obj)
{
    const void *x = field_at(f, obj);

    switch (f->type) {
    case FT_BOOL:
        return !*(const bool *)x;
    case FT_I64:
    case FT_U64:
        return *(const uint64_t *)x == 0;
    case FT_F64:
        return *(const double *)x == 0;
    case FT_TIME:
        return gotime_is_zero(*(const struct gotime *)x);
    case FT_STR:
        return str_empty(load_ptr(x));
    case FT_BYTES:
    case FT_U8LIST:
    case FT_RAW:
        return ((const struct bytes *)x)->n == 0;
    case FT_MAP:
        return ((const struct strmap *)x)->n == 0;
    case FT_I64MAP:
        return ((const struct i64map *)x)->n == 0;
    case FT_OPT_MAP:
        return ((const struct optmap *)x)->n == 0;
    case FT_STRVEC:
    case FT_U16VEC:
    case FT_MATRIX:
    case FT_VEC:
    case FT_MAPVEC:
        return field_count(f, obj) == 0;
    case FT_STRUCT:
    case FT_EMBED:
        return struct_empty(f->sub, x);
    case FT_OPT_I64:
    case FT_OPT_F64:
    case FT_OPT_BOOL:
    case FT_OPT_STR:
    case FT_PTR:
        return !load_ptr(x);
    case FT_MAX:
        break;
    }
    return true;
}
