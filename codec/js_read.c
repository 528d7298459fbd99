/* codec/js_read.c - JSON into described structs.
 *
 * Straight from text to struct: a tree in between costs some 200 bytes for each "{}" of the input,
 * and loses what the error texts need (how a number was written).
 */
#include "codec/js_read.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "codec/alloc.h"
#include "codec/js.h"
#include "codec/ops.h"

/* ---- maps and arrays ---- */

static int rd_struct(struct rd *d, const struct step *s, const struct desc *desc, void *obj);

static int rd_pair_value(struct rd *d, const struct step *s, const struct field *f, void *pair)
{
    static const struct field string = {.type = FT_OPT_STR},
                              number = {.type = FT_I64, .flags = F_INT};
    struct strpair *text = pair;
    void *empty = NULL;
    int r;

    if (f->type == FT_I64MAP)
        return rd_null(d) ? 0 : rd_i64(d, s, &number, &((struct i64pair *)pair)->value);
    if (!rd_null(d))
        return rd_str(d, s, &string, &text->value);
    if (f->type == FT_OPT_MAP)
        return 0;
    r = rd_memory(d, alloc_copy(&d->budget, NULL, 0, &empty)); /* null for a string is "" */
    text->value = r == 0 ? empty : NULL;
    return r;
}

static void drop_item(void *item, const void *arg)
{
    const struct field *f = arg;
    struct strpair *pair = item; /* all kinds begin with the key */

    free(pair->key);
    pair->key = NULL;
    if (f->type == FT_MAP || f->type == FT_OPT_MAP)
        free(pair->value);
    if (f->type == FT_MAPVEC)
        ops_clear(f->sub, item);
}

static int rd_map(struct rd *d, const struct step *s, const struct field *f, void *obj)
{
    struct strmap *m = obj; /* the three kinds look alike */
    bool first = true;
    int r;

    if (rd_peek(d) != '{')
        return rd_mismatch(d, s, f);
    r = rd_memory(d, alloc_grow(&d->budget, &m->items, 0, sizeof(struct strpair)));
    while (r == 0 && rd_more(d, &first)) {
        struct strpair *pair;

        r = rd_memory(d, alloc_grow(&d->budget, &m->items, m->n, sizeof(*pair)));
        if (r < 0)
            break;
        pair = &m->items[m->n];
        r = rd_key(d, &pair->key);
        if (r < 0)
            break;
        r = rd_pair_value(d, s, f, pair);
        if (r < 0)
            free(pair->key);
        else
            m->n++;
    }
    if (r < 0)
        return r;
    return rd_memory(d, ops_keyed_sort(m->items, &m->n, sizeof(*m->items), drop_item, f));
}

static int rd_int_row(struct rd *d, const struct step *s, const struct field *f,
                      struct int_row *row)
{
    static const struct field number = {.type = FT_I64, .flags = F_INT};
    bool first = true;
    int r;

    if (rd_null(d))
        return 0;
    if (rd_peek(d) != '[')
        return rd_mismatch(d, s, f);
    r = rd_memory(d, alloc_grow(&d->budget, &row->v, 0, sizeof(*row->v)));
    while (r == 0 && rd_more(d, &first)) {
        r = rd_memory(d, alloc_grow(&d->budget, &row->v, row->n, sizeof(*row->v)));
        if (r == 0 && rd_null(d))
            row->v[row->n] = 0;
        else if (r == 0)
            r = rd_i64(d, s, &number, &row->v[row->n]);
        if (r == 0)
            row->n++;
    }
    return r;
}

static int rd_item(struct rd *d, const struct step *s, const struct field *f, void *item)
{
    static const struct field string = {.type = FT_OPT_STR}, small = {.type = FT_U16VEC};
    uint64_t v = 0;
    void *empty = NULL;
    int r;

    switch (f->type) {
    case FT_STRVEC:
        if (!rd_null(d))
            return rd_str(d, s, &string, item);
        r = rd_memory(d, alloc_copy(&d->budget, NULL, 0, &empty));
        if (r == 0)
            memcpy(item, &empty, sizeof(empty));
        return r;
    case FT_U16VEC:
        r = rd_null(d) ? 0 : rd_u64(d, s, &small, UINT16_MAX, &v);
        *(uint16_t *)item = (uint16_t)v;
        return r;
    case FT_MATRIX:
        return rd_int_row(d, s, f, item);
    default:
        return rd_null(d) ? 0 : rd_struct(d, s, f->sub, item);
    }
}

static size_t item_size(const struct field *f)
{
    switch (f->type) {
    case FT_STRVEC:
        return sizeof(char *);
    case FT_U16VEC:
        return sizeof(uint16_t);
    case FT_MATRIX:
        return sizeof(struct int_row);
    default:
        return f->sub->size;
    }
}

static int rd_array(struct rd *d, const struct step *s, const struct field *f, void *obj)
{
    bool keyed = f->type == FT_MAPVEC, first = true;
    size_t size = item_size(f), n = 0;
    void *items = NULL;
    int r;

    if (rd_peek(d) != (keyed ? '{' : '['))
        return rd_mismatch(d, s, f);
    r = rd_memory(d, alloc_grow(&d->budget, &items, 0, size));
    while (r == 0 && rd_more(d, &first)) {
        char *item;

        r = rd_memory(d, alloc_grow(&d->budget, &items, n, size));
        if (r < 0 || !items)
            break;
        item = (char *)items + n * size;
        if (keyed)
            r = rd_key(d, (char **)item);
        if (r < 0)
            break;
        n++; /* from here on clearing the array releases it */
        r = rd_item(d, s, f, item);
    }
    if (r == 0 && keyed)
        r = rd_memory(d, ops_keyed_sort(items, &n, size, drop_item, f));
    memcpy(field_at(f, obj), &items, sizeof(items));
    memcpy((char *)obj + f->off_n, &n, sizeof(n));
    return r;
}

/* ---- fields and structs ---- */

static int rd_opt(struct rd *d, const struct step *s, const struct field *f, void *at)
{
    size_t size = f->type == FT_OPT_BOOL ? sizeof(bool)
                  : f->type == FT_PTR    ? f->sub->size
                                         : sizeof(int64_t);
    void *p = NULL;
    int r = rd_memory(d, alloc_zero(&d->budget, size, &p));

    if (r < 0)
        return r;
    memcpy(at, &p, sizeof(p));
    switch (f->type) {
    case FT_OPT_I64:
        return rd_i64(d, s, f, p);
    case FT_OPT_F64:
        return rd_f64(d, s, f, p);
    case FT_OPT_BOOL:
        return rd_bool(d, s, f, p);
    default:
        return rd_struct(d, s, f->sub, p);
    }
}

static int rd_field(struct rd *d, const struct step *s, const struct field *f, void *obj)
{
    void *at = field_at(f, obj);

    ops_clear_field(f, obj);
    if (rd_null(d))
        return 0;
    switch (f->type) {
    case FT_BOOL:
        return rd_bool(d, s, f, at);
    case FT_I64:
        return rd_i64(d, s, f, at);
    case FT_U64:
        return rd_u64(d, s, f, UINT64_MAX, at);
    case FT_F64:
        return rd_f64(d, s, f, at);
    case FT_STR:
    case FT_OPT_STR:
        return rd_str(d, s, f, at);
    case FT_TIME:
        return rd_time(d, s, f, at);
    case FT_BYTES:
    case FT_U8LIST:
        return rd_bytes(d, s, f, at);
    case FT_MAP:
    case FT_I64MAP:
    case FT_OPT_MAP:
        return rd_map(d, s, f, at);
    case FT_STRVEC:
    case FT_U16VEC:
    case FT_MATRIX:
    case FT_VEC:
    case FT_MAPVEC:
        return rd_array(d, s, f, obj);
    case FT_STRUCT:
        return rd_struct(d, s, f->sub, at);
    case FT_OPT_I64:
    case FT_OPT_F64:
    case FT_OPT_BOOL:
    case FT_PTR:
        return rd_opt(d, s, f, at);
    case FT_RAW: /* packed objects have no JSON form that could be read back */
    case FT_EMBED:
    case FT_MAX:
        break;
    }
    return rd_mismatch(d, s, f);
}

/* exactly, else without case */
static const struct desc_row *find_row(const struct desc_row *rows, size_t n, const char *key)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(rows[i].f->name, key) == 0)
            return &rows[i];
    for (size_t i = 0; i < n; i++)
        if (strcasecmp(rows[i].f->name, key) == 0)
            return &rows[i];
    return NULL;
}

static int rd_struct(struct rd *d, const struct step *s, const struct desc *desc, void *obj)
{
    struct desc_row rows[DESC_ROWS_MAX];
    size_t n = desc_rows(desc, obj, rows);
    bool first = true;
    int r = 0;

    if (rd_peek(d) != '{')
        return rd_mismatch_struct(d, s, desc);
    while (r == 0 && rd_more(d, &first)) {
        const struct desc_row *row;
        char name[NAME_MAX_LEN];

        rd_name(d, name);
        row = find_row(rows, n, name);
        if (row && !(row->flags & F_NO_JSON)) {
            struct step at = {s, desc, row->f->name};

            r = rd_field(d, &at, row->f, (void *)(uintptr_t)row->obj);
        } else {
            rd_skip(d);
        }
    }
    return r;
}

int js_decode(const struct desc *desc, const char *text, size_t n, void *obj, struct err *e)
{
    struct rd d = {.e = e, .budget = alloc_budget(n)};
    int r = js_scan(text, n, &d.p, &n, e);

    if (r < 0)
        return r;
    d.end = d.p + n;
    if (rd_null(&d)) {
        for (size_t i = 0; i < desc->n_fields; i++)
            ops_clear_field(&desc->fields[i], obj);
        return 0;
    }
    return rd_struct(&d, NULL, desc, obj);
}
