/* codec/js_write.c - JSON out, as Nomad's JSON codec writes it (fact: http-api 5.1). */
#include <string.h>

#include "base/str.h"
#include "codec/js.h"
#include "codec/js_put.h"
#include "codec/mp.h"
#include "codec/ops.h"

/* ---- collections ---- */

static void put_key(struct buf *b, size_t i, const char *key)
{
    js_put_key(b, i, str_or_empty(key), strlen(str_or_empty(key)));
}

void js_map(struct buf *b, const struct strmap *m)
{
    if (!m->items) {
        js_put_lit(b, "null");
        return;
    }
    buf_add_byte(b, '{');
    for (size_t i = 0; i < m->n; i++) {
        put_key(b, i, m->items[i].key);
        js_str(b, m->items[i].value);
    }
    buf_add_byte(b, '}');
}

static void put_i64map(struct buf *b, const struct i64map *m)
{
    if (!m->items) {
        js_put_lit(b, "null");
        return;
    }
    buf_add_byte(b, '{');
    for (size_t i = 0; i < m->n; i++) {
        put_key(b, i, m->items[i].key);
        js_put_i64(b, m->items[i].value);
    }
    buf_add_byte(b, '}');
}

static void put_opt_str(struct buf *b, const char *s)
{
    if (s)
        js_str(b, s);
    else
        js_put_lit(b, "null");
}

static void put_optmap(struct buf *b, const struct optmap *m)
{
    if (!m->items) {
        js_put_lit(b, "null");
        return;
    }
    buf_add_byte(b, '{');
    for (size_t i = 0; i < m->n; i++) {
        put_key(b, i, m->items[i].key);
        put_opt_str(b, m->items[i].value);
    }
    buf_add_byte(b, '}');
}

static void put_row(struct buf *b, const struct int_row *row)
{
    if (!row->v) {
        js_put_lit(b, "null");
        return;
    }
    buf_add_byte(b, '[');
    for (size_t i = 0; i < row->n; i++) {
        if (i > 0)
            buf_add_byte(b, ',');
        js_put_i64(b, row->v[i]);
    }
    buf_add_byte(b, ']');
}

static const void *load_ptr(const void *at)
{
    const void *p;

    memcpy(&p, at, sizeof(p));
    return p;
}

static void put_item(struct buf *b, const struct field *f, const void *items, size_t i,
                     unsigned opts)
{
    const char *item;

    switch (f->type) {
    case FT_STRVEC:
        js_str(b, ((char *const *)items)[i]);
        return;
    case FT_U16VEC:
        js_put_u64(b, ((const uint16_t *)items)[i]);
        return;
    case FT_U8LIST:
        js_put_u64(b, ((const uint8_t *)items)[i]);
        return;
    case FT_MATRIX:
        put_row(b, (const struct int_row *)items + i);
        return;
    default:
        item = (const char *)items + i * f->sub->size;
        js_encode(b, f->sub, item, opts);
    }
}

static void put_array(struct buf *b, const struct field *f, const void *items, size_t n,
                      unsigned opts)
{
    bool keyed = f->type == FT_MAPVEC;

    if (!items) {
        js_put_lit(b, "null");
        return;
    }
    buf_add_byte(b, keyed ? '{' : '[');
    for (size_t i = 0; i < n; i++) {
        if (keyed)
            put_key(b, i, load_ptr((const char *)items + i * f->sub->size));
        else if (i > 0)
            buf_add_byte(b, ',');
        put_item(b, f, items, i, opts);
    }
    buf_add_byte(b, keyed ? '}' : ']');
}

/* ---- described structs ---- */

static void put_opt(struct buf *b, const struct field *f, const void *p, unsigned opts)
{
    if (!p) {
        js_put_lit(b, "null");
        return;
    }
    switch (f->type) {
    case FT_OPT_I64:
        js_put_i64(b, *(const int64_t *)p);
        break;
    case FT_OPT_F64:
        js_f64(b, *(const double *)p);
        break;
    case FT_OPT_BOOL:
        js_put_bool(b, *(const bool *)p);
        break;
    case FT_OPT_STR:
        js_str(b, p);
        break;
    default:
        js_encode(b, f->sub, p, opts);
    }
}

static void put_bytes(struct buf *b, const struct bytes *v)
{
    if (v->p)
        js_put_base64(b, v->p, v->n);
    else
        js_put_lit(b, "null");
}

static void put_raw(struct buf *b, const struct bytes *v)
{
    size_t len = b->len;

    if (!v->p || v->n == 0) {
        js_put_lit(b, "null");
    } else if (js_from_mp(b, v->p, v->n) < 0 && buf_ok(b) == 0) {
        b->len = len; /* not one whole object */
        js_put_lit(b, "null");
    }
}

static void put_field(struct buf *b, const struct field *f, const void *obj, unsigned opts)
{
    const void *at = field_at(f, obj);

    switch (f->type) {
    case FT_BOOL:
        js_put_bool(b, *(const bool *)at);
        break;
    case FT_I64:
        js_put_i64(b, *(const int64_t *)at);
        break;
    case FT_U64:
        js_put_u64(b, *(const uint64_t *)at);
        break;
    case FT_F64:
        js_f64(b, *(const double *)at);
        break;
    case FT_STR:
        js_str(b, load_ptr(at));
        break;
    case FT_TIME:
        js_time(b, *(const struct gotime *)at);
        break;
    case FT_BYTES:
        put_bytes(b, at);
        break;
    case FT_U8LIST:
        put_array(b, f, ((const struct bytes *)at)->p, ((const struct bytes *)at)->n, opts);
        break;
    case FT_RAW:
        put_raw(b, at);
        break;
    case FT_MAP:
        js_map(b, at);
        break;
    case FT_I64MAP:
        put_i64map(b, at);
        break;
    case FT_OPT_MAP:
        put_optmap(b, at);
        break;
    case FT_STRVEC:
    case FT_U16VEC:
    case FT_MATRIX:
    case FT_VEC:
    case FT_MAPVEC:
        put_array(b, f, load_ptr(at), field_count(f, obj), opts);
        break;
    case FT_STRUCT:
        js_encode(b, f->sub, at, opts);
        break;
    case FT_OPT_I64:
    case FT_OPT_F64:
    case FT_OPT_BOOL:
    case FT_OPT_STR:
    case FT_PTR:
        put_opt(b, f, load_ptr(at), opts);
        break;
    case FT_EMBED: /* desc_rows() has flattened it */
    case FT_MAX:
        break;
    }
}

void js_encode(struct buf *b, const struct desc *d, const void *obj, unsigned opts)
{
    struct desc_row rows[DESC_ROWS_MAX];
    size_t n = desc_rows(d, obj, rows), written = 0;

    buf_add_byte(b, '{');
    for (size_t i = 0; i < n; i++) {
        const struct desc_row *row = &rows[i];

        if (row->flags & F_NO_JSON)
            continue;
        if ((row->flags & F_OMITEMPTY) && ops_field_empty(row->f, row->obj))
            continue;
        js_put_name(b, written++, row->f->name);
        if ((row->flags & F_SECRET) && !(opts & JS_SECRETS))
            js_put_lit(b, row->f->type == FT_OPT_STR && ops_field_empty(row->f, row->obj) ? "null"
                                                                                          : "\"\"");
        else
            put_field(b, row->f, row->obj, opts);
    }
    buf_add_byte(b, '}');
}

void js_encode_array(struct buf *b, const struct desc *d, const void *objs, size_t n, unsigned opts)
{
    buf_add_byte(b, '[');
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            buf_add_byte(b, ',');
        js_encode(b, d, (const char *)objs + i * d->size, opts);
    }
    buf_add_byte(b, ']');
}
