/* codec/ops.c - the generic walkers over descriptor tables.
 *
 * Arrays are kept as base/vec.h wants them: room for the next power of two, so that a decoded or
 * copied array can be grown with vec_add().
 */
#include "codec/ops.h"

#include <errno.h>
#include <string.h>

#include "base/str.h"

static void *load_ptr(const void *at)
{
    void *p;

    memcpy(&p, at, sizeof(p));
    return p;
}

static void store_ptr(void *at, void *p)
{
    memcpy(at, &p, sizeof(p));
}

static void *elem(const void *items, size_t i, size_t size)
{
    return (char *)(uintptr_t)items + i * size;
}

static char *elem_key(const void *item)
{
    return load_ptr(item);
}

/* bytes of an array that vec_add() may grow */
static void *array_new(size_t n, size_t size)
{
    size_t cap = 1;

    while (cap < n)
        cap *= 2;
    return xcalloc(cap, size);
}

/* ---- clear ---- */

static void clear_structs(const struct field *f, void *items, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        void *item = elem(items, i, f->sub->size);

        if (f->type == FT_MAPVEC && !(f->sub->flags & D_KEYED))
            free(elem_key(item));
        ops_clear(f->sub, item);
    }
}

static void clear_i64map(struct i64map *m)
{
    for (size_t i = 0; i < m->n; i++)
        free(m->items[i].key);
    free(m->items);
    *m = (struct i64map){0};
}

_Static_assert(sizeof(struct optpair) == sizeof(struct strpair) &&
                   sizeof(struct optmap) == sizeof(struct strmap),
               "maps of strings look alike");

/* the array behind a pointer and a count */
static void clear_array(const struct field *f, void *obj)
{
    void *at = field_at(f, obj), *items = load_ptr(at);
    size_t zero = 0, n = field_count(f, obj);

    if (f->type == FT_VEC || f->type == FT_MAPVEC)
        clear_structs(f, items, n);
    else if (f->type == FT_STRVEC)
        for (size_t i = 0; i < n; i++)
            free(((char **)items)[i]);
    else if (f->type == FT_MATRIX)
        for (size_t i = 0; i < n; i++)
            free(((struct int_row *)items)[i].v);
    free(items);
    store_ptr(at, NULL);
    memcpy((char *)obj + f->off_n, &zero, sizeof(zero));
}

void ops_clear_field(const struct field *f, void *obj)
{
    void *at = field_at(f, obj);

    switch (f->type) {
    case FT_BOOL:
        *(bool *)at = false;
        break;
    case FT_I64:
    case FT_U64:
        *(uint64_t *)at = 0;
        break;
    case FT_F64:
        *(double *)at = 0;
        break;
    case FT_TIME:
        *(struct gotime *)at = (struct gotime){0};
        break;
    case FT_STR:
    case FT_OPT_I64:
    case FT_OPT_F64:
    case FT_OPT_BOOL:
    case FT_OPT_STR:
        free(load_ptr(at));
        store_ptr(at, NULL);
        break;
    case FT_BYTES:
    case FT_U8LIST:
    case FT_RAW:
        free(((struct bytes *)at)->p);
        *(struct bytes *)at = (struct bytes){0};
        break;
    case FT_I64MAP:
        clear_i64map(at);
        break;
    case FT_MAP:
    case FT_OPT_MAP: /* looks like a strmap, but for values that may be NULL */
        strmap_done(at);
        break;
    case FT_STRVEC:
    case FT_U16VEC:
    case FT_MATRIX:
    case FT_VEC:
    case FT_MAPVEC:
        clear_array(f, obj);
        break;
    case FT_STRUCT:
    case FT_EMBED:
        ops_clear(f->sub, at);
        break;
    case FT_PTR:
        if (load_ptr(at))
            ops_clear(f->sub, load_ptr(at));
        free(load_ptr(at));
        store_ptr(at, NULL);
        break;
    case FT_MAX:
        break;
    }
}

void ops_clear(const struct desc *d, void *obj)
{
    for (size_t i = 0; i < d->n_fields; i++)
        ops_clear_field(&d->fields[i], obj);
    if (d->flags & D_KEYED)
        free(elem_key(obj));
    memset(obj, 0, d->size);
}

/* ---- copy ---- */

static void copy_array(const struct field *f, void *dst, const void *src)
{
    const void *from = load_ptr(field_at(f, src));
    size_t n = field_count(f, src);
    void *to = NULL;

    if (from && f->type == FT_STRVEC) {
        to = array_new(n, sizeof(char *));
        for (size_t i = 0; i < n; i++)
            ((char **)to)[i] = xstrdup(str_or_empty(((char *const *)from)[i]));
    } else if (from && f->type == FT_U16VEC) {
        to = array_new(n, sizeof(uint16_t));
        memcpy(to, from, n * sizeof(uint16_t));
    } else if (from && f->type == FT_MATRIX) {
        const struct int_row *rows = from;
        struct int_row *copy = array_new(n, sizeof(*copy));

        for (size_t i = 0; i < n; i++) {
            if (!rows[i].v)
                continue;
            copy[i] = (struct int_row){array_new(rows[i].n, sizeof(int64_t)), rows[i].n};
            memcpy(copy[i].v, rows[i].v, rows[i].n * sizeof(int64_t));
        }
        to = copy;
    } else if (from) {
        to = array_new(n, f->sub->size);
        for (size_t i = 0; i < n; i++) {
            void *item = elem(to, i, f->sub->size);

            ops_copy(f->sub, item, elem(from, i, f->sub->size));
            if (f->type == FT_MAPVEC && !(f->sub->flags & D_KEYED))
                store_ptr(item, xstrdup(elem_key(elem(from, i, f->sub->size))));
        }
    }
    store_ptr(field_at(f, dst), to);
    memcpy((char *)dst + f->off_n, &n, sizeof(n));
}

static void copy_i64map(struct i64map *dst, const struct i64map *src)
{
    *dst = (struct i64map){0};
    if (!src->items)
        return;
    *dst = (struct i64map){array_new(src->n, sizeof(*src->items)), src->n};
    for (size_t i = 0; i < src->n; i++)
        dst->items[i] = (struct i64pair){xstrdup(src->items[i].key), src->items[i].value};
}

static void copy_optmap(struct optmap *dst, const struct optmap *src)
{
    *dst = (struct optmap){0};
    if (!src->items)
        return;
    *dst = (struct optmap){array_new(src->n, sizeof(*src->items)), src->n};
    for (size_t i = 0; i < src->n; i++)
        dst->items[i] = (struct optpair){xstrdup(src->items[i].key), xstrdup(src->items[i].value)};
}

static void copy_bytes(struct bytes *dst, const struct bytes *src)
{
    *dst = (struct bytes){src->p ? xmemdup(src->p, src->n) : NULL, src->n};
}

/* a copy of one pointed-to value */
static void copy_opt(void *to, const void *from, size_t size)
{
    const void *p = load_ptr(from);

    store_ptr(to, p ? xmemdup(p, size) : NULL);
}

static void copy_ptr(const struct desc *d, void *to, const void *from)
{
    const void *p = load_ptr(from);
    void *copy = p ? xcalloc(1, d->size) : NULL;

    if (p)
        ops_copy(d, copy, p);
    store_ptr(to, copy);
}

static void copy_field(const struct field *f, void *dst, const void *src)
{
    void *to = field_at(f, dst);
    const void *from = field_at(f, src);

    switch (f->type) {
    case FT_BOOL:
        *(bool *)to = *(const bool *)from;
        break;
    case FT_I64:
    case FT_U64:
    case FT_F64:
        memcpy(to, from, sizeof(uint64_t));
        break;
    case FT_TIME:
        *(struct gotime *)to = *(const struct gotime *)from;
        break;
    case FT_STR:
    case FT_OPT_STR:
        store_ptr(to, xstrdup(load_ptr(from)));
        break;
    case FT_OPT_I64:
    case FT_OPT_F64:
        copy_opt(to, from, sizeof(int64_t));
        break;
    case FT_OPT_BOOL:
        copy_opt(to, from, sizeof(bool));
        break;
    case FT_BYTES:
    case FT_U8LIST:
    case FT_RAW:
        copy_bytes(to, from);
        break;
    case FT_MAP:
        strmap_copy(to, from);
        break;
    case FT_I64MAP:
        copy_i64map(to, from);
        break;
    case FT_OPT_MAP:
        copy_optmap(to, from);
        break;
    case FT_STRVEC:
    case FT_U16VEC:
    case FT_MATRIX:
    case FT_VEC:
    case FT_MAPVEC:
        copy_array(f, dst, src);
        break;
    case FT_STRUCT:
    case FT_EMBED:
        ops_copy(f->sub, to, from);
        break;
    case FT_PTR:
        copy_ptr(f->sub, to, from);
        break;
    case FT_MAX:
        break;
    }
}

void ops_copy(const struct desc *d, void *dst, const void *src)
{
    for (size_t i = 0; i < d->n_fields; i++)
        copy_field(&d->fields[i], dst, src);
    if (d->flags & D_KEYED)
        store_ptr(dst, xstrdup(elem_key(src)));
}
