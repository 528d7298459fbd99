/* codec/js_read.c - JSON into described structs: js_scan.c checks the text, json-c makes a tree of
 * it, and the tree is walked by the tables.  A value that is NULL is JSON's null. */
#include "codec/js_read.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <strings.h>

#include "base/limits.h"
#include "codec/alloc.h"
#include "codec/js.h"
#include "codec/js_scan.h"
#include "codec/ops.h"

static inline struct json_object *tree_done(struct json_object *o)
{
    json_object_put(o);
    return NULL;
}
DEFINE_CLEANUP(struct json_object, tree_done)
#define _cleanup_tree_ _cleanup_(tree_donep)

static int rd_struct(struct rd *d, const struct step *s, const struct desc *desc,
                     struct json_object *o, void *obj);

/* ---- maps and arrays ---- */

/* an element of a list or map of strings, where null is "" */
static int rd_word(struct rd *d, const struct step *s, struct json_object *o, char **ret)
{
    static const struct field string = {.type = FT_OPT_STR};

    return o ? rd_str(d, s, &string, o, ret) : rd_text(d, "", 0, ret);
}

static int rd_pair(struct rd *d, const struct step *s, const struct field *f, struct json_object *o,
                   void *pair)
{
    static const struct field number = {.type = FT_I64, .flags = F_INT};
    struct i64pair *count = pair;
    struct strpair *text = pair;

    if (f->type == FT_I64MAP)
        return o ? rd_i64(d, s, &number, o, &count->value) : 0;
    if (f->type == FT_OPT_MAP && !o)
        return 0;
    return rd_word(d, s, o, &text->value);
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

static int rd_map(struct rd *d, const struct step *s, const struct field *f, struct json_object *o,
                  void *obj)
{
    struct strmap *m = obj; /* the three kinds look alike */
    int r;

    if (!json_object_is_type(o, json_type_object))
        return rd_mismatch(d, s, f, o);
    r = rd_memory(d, alloc_grow(&d->budget, &m->items, 0, sizeof(struct strpair)));
    if (r < 0)
        return r;
    json_object_object_foreach(o, key, value)
    {
        struct strpair *pair;

        r = rd_memory(d, alloc_grow(&d->budget, &m->items, m->n, sizeof(*pair)));
        if (r < 0)
            return r;
        pair = &m->items[m->n++];
        r = rd_text(d, key, strlen(key), &pair->key);
        if (r == 0)
            r = rd_pair(d, s, f, value, pair);
        if (r < 0)
            return r;
    }
    return rd_memory(d, ops_keyed_sort(m->items, &m->n, sizeof(*m->items), drop_item, f));
}

static int rd_int_row(struct rd *d, const struct step *s, const struct field *f,
                      struct json_object *o, struct int_row *row)
{
    static const struct field number = {.type = FT_I64, .flags = F_INT};
    int r;

    if (!o)
        return 0;
    if (!json_object_is_type(o, json_type_array))
        return rd_mismatch(d, s, f, o);
    r = rd_memory(d, alloc_grow(&d->budget, &row->v, 0, sizeof(*row->v)));
    for (size_t i = 0; r == 0 && i < json_object_array_length(o); i++) {
        struct json_object *value = json_object_array_get_idx(o, i);

        r = rd_memory(d, alloc_grow(&d->budget, &row->v, row->n, sizeof(*row->v)));
        if (r == 0 && value)
            r = rd_i64(d, s, &number, value, &row->v[row->n]);
        if (r == 0)
            row->n++;
    }
    return r;
}

static int rd_item(struct rd *d, const struct step *s, const struct field *f, struct json_object *o,
                   void *item)
{
    uint64_t v = 0;
    int r;

    switch (f->type) {
    case FT_STRVEC:
        return rd_word(d, s, o, item);
    case FT_U16VEC:
        r = o ? rd_u64(d, s, f, UINT16_MAX, o, &v) : 0;
        *(uint16_t *)item = (uint16_t)v;
        return r;
    case FT_MATRIX:
        return rd_int_row(d, s, f, o, item);
    default:
        return o ? rd_struct(d, s, f->sub, o, item) : 0;
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

/* *items has *n; on failure what was read stays in it */
static int rd_list(struct rd *d, const struct step *s, const struct field *f, struct json_object *o,
                   void **items, size_t *n)
{
    size_t size = item_size(f);
    int r = rd_memory(d, alloc_grow(&d->budget, items, 0, size));

    for (size_t i = 0; r == 0 && i < json_object_array_length(o); i++) {
        r = rd_memory(d, alloc_grow(&d->budget, items, *n, size));
        if (r == 0)
            r = rd_item(d, s, f, json_object_array_get_idx(o, i), (char *)*items + size * (*n)++);
    }
    return r;
}

static int rd_keyed(struct rd *d, const struct step *s, const struct field *f,
                    struct json_object *o, void **items, size_t *n)
{
    size_t size = item_size(f);
    int r = rd_memory(d, alloc_grow(&d->budget, items, 0, size));

    if (r < 0)
        return r;
    json_object_object_foreach(o, key, value)
    {
        char *item;

        r = rd_memory(d, alloc_grow(&d->budget, items, *n, size));
        if (r < 0)
            return r;
        item = (char *)*items + size * (*n)++;
        r = rd_text(d, key, strlen(key), (char **)item);
        if (r == 0)
            r = rd_item(d, s, f, value, item);
        if (r < 0)
            return r;
    }
    return rd_memory(d, ops_keyed_sort(*items, n, size, drop_item, f));
}

static int rd_array(struct rd *d, const struct step *s, const struct field *f,
                    struct json_object *o, void *obj)
{
    bool keyed = f->type == FT_MAPVEC;
    void *items = NULL;
    size_t n = 0;
    int r;

    if (!json_object_is_type(o, keyed ? json_type_object : json_type_array))
        return rd_mismatch(d, s, f, o);
    r = keyed ? rd_keyed(d, s, f, o, &items, &n) : rd_list(d, s, f, o, &items, &n);
    memcpy(field_at(f, obj), &items, sizeof(items));
    memcpy((char *)obj + f->off_n, &n, sizeof(n));
    return r;
}

/* ---- fields and structs ---- */

static int rd_bool(struct rd *d, const struct step *s, const struct field *f, struct json_object *o,
                   bool *ret)
{
    if (!json_object_is_type(o, json_type_boolean))
        return rd_mismatch(d, s, f, o);
    *ret = json_object_get_boolean(o);
    return 0;
}

static int rd_opt(struct rd *d, const struct step *s, const struct field *f, struct json_object *o,
                  void *at)
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
        return rd_i64(d, s, f, o, p);
    case FT_OPT_F64:
        return rd_f64(d, s, f, o, p);
    case FT_OPT_BOOL:
        return rd_bool(d, s, f, o, p);
    default:
        return rd_struct(d, s, f->sub, o, p);
    }
}

static int rd_field(struct rd *d, const struct step *s, const struct field *f,
                    struct json_object *o, void *obj)
{
    void *at = field_at(f, obj);

    ops_clear_field(f, obj);
    if (!o)
        return 0;
    switch (f->type) {
    case FT_BOOL:
        return rd_bool(d, s, f, o, at);
    case FT_I64:
        return rd_i64(d, s, f, o, at);
    case FT_U64:
        return rd_u64(d, s, f, UINT64_MAX, o, at);
    case FT_F64:
        return rd_f64(d, s, f, o, at);
    case FT_STR:
    case FT_OPT_STR:
        return rd_str(d, s, f, o, at);
    case FT_TIME:
        return rd_time(d, s, f, o, at);
    case FT_BYTES:
    case FT_U8LIST:
        return rd_bytes(d, s, f, o, at);
    case FT_MAP:
    case FT_I64MAP:
    case FT_OPT_MAP:
        return rd_map(d, s, f, o, at);
    case FT_STRVEC:
    case FT_U16VEC:
    case FT_MATRIX:
    case FT_VEC:
    case FT_MAPVEC:
        return rd_array(d, s, f, o, obj);
    case FT_STRUCT:
        return rd_struct(d, s, f->sub, o, at);
    case FT_OPT_I64:
    case FT_OPT_F64:
    case FT_OPT_BOOL:
    case FT_PTR:
        return rd_opt(d, s, f, o, at);
    case FT_RAW: /* packed objects have no JSON form that could be read back */
    case FT_EMBED:
    case FT_MAX:
        break;
    }
    return rd_mismatch(d, s, f, o);
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

static int rd_struct(struct rd *d, const struct step *s, const struct desc *desc,
                     struct json_object *o, void *obj)
{
    struct desc_row rows[DESC_ROWS_MAX];
    size_t n = desc_rows(desc, obj, rows);

    if (!json_object_is_type(o, json_type_object))
        return rd_mismatch_struct(d, s, desc, "", o);
    json_object_object_foreach(o, key, value)
    {
        const struct desc_row *row = find_row(rows, n, key);
        struct step at = {s, desc, row ? row->f->name : ""};
        int r = 0;

        if (row && !(row->flags & F_NO_JSON))
            r = rd_field(d, &at, row->f, value, (void *)(uintptr_t)row->obj);
        if (r < 0)
            return r;
    }
    return 0;
}

/* ---- documents ---- */

/* the tree of a text that the gate let through; the caller puts it */
static int make_tree(struct rd *d, const char *p, size_t n, struct json_object **ret)
{
    struct json_tokener *tok;
    enum json_tokener_error why;

    if (n >= INT_MAX)
        return rd_memory(d, -EMSGSIZE);
    tok = json_tokener_new_ex(JSON_DEPTH_MAX + 1);
    if (!tok)
        return rd_memory(d, -ENOMEM);
    json_tokener_set_flags(tok, JSON_TOKENER_STRICT);
    *ret = json_tokener_parse_ex(tok, p, (int)n);
    if (json_tokener_get_error(tok) == json_tokener_continue) /* a number ends with the text */
        *ret = json_tokener_parse_ex(tok, "", 1);
    why = json_tokener_get_error(tok);
    json_tokener_free(tok);
    if (why != json_tokener_success)
        return err_set(d->e, -EINVAL, "json: %s", json_tokener_error_desc(why));
    return 0;
}

int js_decode(const struct desc *desc, const char *text, size_t n, void *obj, struct err *e)
{
    _cleanup_buf_ struct buf marked = BUF_INIT(2 * n);
    _cleanup_tree_ struct json_object *o = NULL;
    struct rd d = {.e = e, .budget = alloc_budget(n)};
    int r = js_gate(text, n, &marked, &text, &n, e);

    if (r == 0)
        r = make_tree(&d, text, n, &o);
    if (r < 0)
        return r;
    if (o)
        return rd_struct(&d, NULL, desc, o, obj);
    for (size_t i = 0; i < desc->n_fields; i++)
        ops_clear_field(&desc->fields[i], obj);
    return 0;
}

/* one element, behind those that are there; 0 when there is none */
static int rd_element(struct rd *d, const struct desc *desc, struct js_list *l, void **objs,
                      size_t *n)
{
    _cleanup_buf_ struct buf marked = BUF_INIT(2 * (size_t)(l->end - l->p));
    _cleanup_tree_ struct json_object *o = NULL;
    const char *p;
    size_t len;
    int r = js_gate_element(l, &marked, &p, &len, d->e);

    if (r <= 0)
        return r;
    r = make_tree(d, p, len, &o);
    if (r == 0)
        r = rd_memory(d, alloc_grow(&d->budget, objs, *n, desc->size));
    if (r < 0)
        return r;
    (*n)++;
    if (o)
        r = rd_struct(d, NULL, desc, o, (char *)*objs + desc->size * (*n - 1));
    return r < 0 ? r : 1;
}

static int rd_elements(struct rd *d, const struct desc *desc, struct js_list *l, void **objs,
                       size_t *n)
{
    int r = rd_memory(d, alloc_grow(&d->budget, objs, 0, desc->size));

    if (r < 0)
        return r;
    do
        r = rd_element(d, desc, l, objs, n);
    while (r > 0);
    return r;
}

/* what is no array: null, or an error */
static int rd_no_array(struct rd *d, const struct desc *desc, const char *text, size_t n)
{
    _cleanup_buf_ struct buf marked = BUF_INIT(2 * n);
    _cleanup_tree_ struct json_object *o = NULL;
    int r = js_gate(text, n, &marked, &text, &n, d->e);

    if (r == 0)
        r = make_tree(d, text, n, &o);
    return r < 0 || !o ? r : rd_mismatch_struct(d, NULL, desc, "[]", o);
}

int js_decode_array(const struct desc *desc, const char *text, size_t n, void **ret_objs,
                    size_t *ret_n, struct err *e)
{
    struct js_list l = {.p = text, .end = text + n};
    struct rd d = {.e = e, .budget = alloc_budget(n)};
    void *objs = NULL;
    size_t n_objs = 0;
    int r;

    while (l.p < l.end && memchr(" \t\r\n", *l.p, 4))
        l.p++;
    if (l.p < l.end && *l.p == '[')
        r = rd_elements(&d, desc, &l, &objs, &n_objs);
    else
        r = rd_no_array(&d, desc, text, n);
    if (r < 0) {
        for (size_t i = 0; i < n_objs; i++)
            ops_clear(desc, (char *)objs + i * desc->size);
        objs = mem_free(objs);
        n_objs = 0;
    }
    *ret_objs = objs;
    *ret_n = n_objs;
    return r;
}
