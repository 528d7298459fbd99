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

static int rd_struct(const struct at *a, const struct desc *desc, void *obj);

/* ---- lists and maps ---- */

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

static int rd_items(const struct at *a, bool keyed, void *items, size_t *n);

/* an element of the list or map a->f; null leaves it zero, but a string is never NULL */
static int rd_item(const struct at *a, void *item)
{
    static const struct field string = {.type = FT_OPT_STR},
                              number = {.type = FT_I64, .flags = F_INT};
    struct at row = *a;
    struct strpair *pair = item;
    uint64_t v = 0;
    int r;

    if (!a->o && a->f->type != FT_STRVEC && a->f->type != FT_MAP)
        return 0;
    switch (a->f->type) {
    case FT_STRVEC:
        return a->o ? rd_str(a, &string, item) : rd_text(a, "", 0, item);
    case FT_MAP:
        if (!a->o)
            return rd_text(a, "", 0, &pair->value);
        return rd_str(a, &string, &pair->value);
    case FT_OPT_MAP:
        return rd_str(a, &string, &pair->value);
    case FT_I64MAP:
        return rd_i64(a, &number, &((struct i64pair *)item)->value);
    case FT_I64:
        return rd_i64(a, &number, item);
    case FT_U16VEC:
        r = rd_u64(a, UINT16_MAX, &v);
        *(uint16_t *)item = (uint16_t)v;
        return r;
    case FT_BYTES:
    case FT_U8LIST:
        r = rd_u64(a, UINT8_MAX, &v);
        *(uint8_t *)item = (uint8_t)v;
        return r;
    case FT_MATRIX:
        if (!json_object_is_type(a->o, json_type_array))
            return rd_mismatch(a, a->f, NULL);
        row.f = &number;
        return rd_items(&row, false, item, &((struct int_row *)item)->n);
    default:
        return rd_struct(a, a->f->sub, item);
    }
}

/* The elements of an array, or of an object into items that begin with their key.  items points to
 * the pointer to them; on failure what was read stays there. */
static int rd_items(const struct at *a, bool keyed, void *items, size_t *n)
{
    const struct lh_entry *member = keyed ? json_object_get_object(a->o)->head : NULL;
    size_t size = field_item_size(a->f), total;
    struct at item = *a;
    char *base;
    int r = rd_memory(a, alloc_grow(a->budget, items, 0, size));

    total = keyed ? (size_t)json_object_object_length(a->o) : json_object_array_length(a->o);
    for (size_t i = 0; r == 0 && i < total; i++) {
        r = rd_memory(a, alloc_grow(a->budget, items, i, size));
        if (r < 0)
            break;
        memcpy(&base, items, sizeof(base));
        base += i * size;
        *n = i + 1; /* from here on clearing the list releases it */
        if (keyed)
            r = rd_text(a, lh_entry_k(member), strlen(lh_entry_k(member)), (char **)base);
        item.o = keyed ? lh_entry_v(member) : json_object_array_get_idx(a->o, i);
        if (r == 0)
            r = rd_item(&item, base);
        member = keyed ? member->next : NULL;
    }
    if (r < 0 || !keyed)
        return r;
    memcpy(&base, items, sizeof(base));
    return rd_memory(a, ops_keyed_sort(base, n, size, drop_item, a->f));
}

static int rd_collection(const struct at *a, bool keyed, void *items, size_t *n)
{
    if (!json_object_is_type(a->o, keyed ? json_type_object : json_type_array))
        return rd_mismatch(a, a->f, NULL);
    return rd_items(a, keyed, items, n);
}

/* ---- fields and structs ---- */

static int rd_opt(const struct at *a, void *at)
{
    const struct field *f = a->f;
    size_t size = f->type == FT_OPT_BOOL ? sizeof(bool)
                  : f->type == FT_PTR    ? f->sub->size
                                         : sizeof(int64_t);
    void *p = NULL;
    int r = rd_memory(a, alloc_zero(a->budget, size, &p));

    if (r < 0)
        return r;
    memcpy(at, &p, sizeof(p));
    switch (f->type) {
    case FT_OPT_I64:
        return rd_i64(a, f, p);
    case FT_OPT_F64:
        return rd_f64(a, p);
    case FT_OPT_BOOL:
        return rd_bool(a, p);
    default:
        return rd_struct(a, f->sub, p);
    }
}

static int rd_field(const struct at *a, void *obj)
{
    const struct field *f = a->f;
    void *at = field_at(f, obj);

    ops_clear_field(f, obj);
    if (!a->o)
        return 0;
    switch (f->type) {
    case FT_BOOL:
        return rd_bool(a, at);
    case FT_I64:
        return rd_i64(a, f, at);
    case FT_U64:
        return rd_u64(a, UINT64_MAX, at);
    case FT_F64:
        return rd_f64(a, at);
    case FT_STR:
    case FT_OPT_STR:
        return rd_str(a, f, at);
    case FT_TIME:
        return rd_time(a, at);
    case FT_BYTES:
    case FT_U8LIST:
        if (!json_object_is_type(a->o, json_type_array))
            return rd_base64(a, at);
        return rd_collection(a, false, at, &((struct bytes *)at)->n);
    case FT_MAP:
    case FT_I64MAP:
    case FT_OPT_MAP:
        return rd_collection(a, true, at, &((struct strmap *)at)->n);
    case FT_STRVEC:
    case FT_U16VEC:
    case FT_MATRIX:
    case FT_VEC:
    case FT_MAPVEC:
        return rd_collection(a, f->type == FT_MAPVEC, at, (size_t *)((char *)obj + f->off_n));
    case FT_STRUCT:
        return rd_struct(a, f->sub, at);
    case FT_OPT_I64:
    case FT_OPT_F64:
    case FT_OPT_BOOL:
    case FT_PTR:
        return rd_opt(a, at);
    default: /* packed objects have no JSON form that could be read back: they stay nil */
        return 0;
    }
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

static int rd_struct(const struct at *a, const struct desc *desc, void *obj)
{
    const struct field whole = {.type = FT_STRUCT, .sub = desc};
    struct desc_row rows[DESC_ROWS_MAX];
    size_t n = desc_rows(desc, obj, rows);
    int r = 0;

    if (!json_object_is_type(a->o, json_type_object))
        return rd_mismatch(a, &whole, NULL);
    json_object_object_foreach(a->o, key, value)
    {
        const struct desc_row *row = find_row(rows, n, key);

        if (r == 0 && row && !(row->flags & F_NO_JSON)) {
            struct at field = {a, desc, row->f->name, row->f, value, a->budget, a->e};

            r = rd_field(&field, (void *)(uintptr_t)row->obj);
        }
    }
    return r;
}

/* ---- documents ---- */

/* the tree of a text that the gate let through; the caller puts it */
static int make_tree(struct at *a, const char *p, size_t n)
{
    struct json_tokener *tok = json_tokener_new_ex(JSON_DEPTH_MAX + 1);
    enum json_tokener_error why;

    if (!tok || n >= INT_MAX) {
        json_tokener_free(tok);
        return rd_memory(a, tok ? -EMSGSIZE : -ENOMEM);
    }
    json_tokener_set_flags(tok, JSON_TOKENER_STRICT);
    a->o = json_tokener_parse_ex(tok, p, (int)n);
    if (json_tokener_get_error(tok) == json_tokener_continue) /* a number ends with the text */
        a->o = json_tokener_parse_ex(tok, "", 1);
    why = json_tokener_get_error(tok);
    json_tokener_free(tok);
    if (why == json_tokener_success)
        return 0;
    return err_set(a->e, -EINVAL, "json: %s", json_tokener_error_desc(why));
}

static int decode(struct at *a, const char *p, size_t n, const struct desc *desc, void *obj)
{
    int r = make_tree(a, p, n);

    if (r == 0 && a->o)
        r = rd_struct(a, desc, obj);
    else if (r == 0)
        for (size_t i = 0; i < desc->n_fields; i++)
            ops_clear_field(&desc->fields[i], obj);
    json_object_put(a->o);
    return r;
}

int js_decode(const struct desc *desc, const char *text, size_t n, void *obj, struct err *e)
{
    _cleanup_buf_ struct buf marked = BUF_INIT(2 * n);
    size_t budget = alloc_budget(n);
    struct at a = {.budget = &budget, .e = e};
    int r = js_gate(text, n, &marked, &text, &n, e);

    return r < 0 ? r : decode(&a, text, n, desc, obj);
}

/* the next element of the array: 1, 0 when there is none */
static int rd_element(struct at *a, struct js_list *l, const struct desc *desc, void **objs,
                      size_t *n)
{
    _cleanup_buf_ struct buf marked = BUF_INIT(2 * (size_t)(l->end - l->p));
    const char *p;
    size_t len;
    int r = js_gate_element(l, &marked, &p, &len, a->e);

    if (r <= 0)
        return r;
    r = rd_memory(a, alloc_grow(a->budget, objs, *n, desc->size));
    if (r == 0)
        r = decode(a, p, len, desc, (char *)*objs + desc->size * (*n)++);
    return r < 0 ? r : 1;
}

/* what is no array: null, or an error */
static int no_array(struct at *a, const char *text, size_t n, const struct desc *desc)
{
    const struct field list = {.type = FT_VEC, .sub = desc};
    _cleanup_buf_ struct buf marked = BUF_INIT(2 * n);
    int r = js_gate(text, n, &marked, &text, &n, a->e);

    if (r == 0)
        r = make_tree(a, text, n);
    if (r == 0 && a->o)
        r = rd_mismatch(a, &list, NULL);
    json_object_put(a->o);
    return r;
}

int js_decode_array(const struct desc *desc, const char *text, size_t n, void **ret_objs,
                    size_t *ret_n, struct err *e)
{
    struct js_list l = {.p = text, .end = text + n};
    size_t budget = alloc_budget(n);
    struct at a = {.budget = &budget, .e = e};
    int r;

    *ret_objs = NULL;
    *ret_n = 0;
    while (l.p < l.end && *l.p && strchr(" \t\r\n", *l.p))
        l.p++;
    if (l.p == l.end || *l.p != '[')
        return no_array(&a, text, n, desc);
    r = rd_memory(&a, alloc_grow(&budget, ret_objs, 0, desc->size));
    if (r == 0)
        r = 1;
    while (r > 0)
        r = rd_element(&a, &l, desc, ret_objs, ret_n);
    for (; r < 0 && *ret_n > 0; --*ret_n)
        ops_clear(desc, (char *)*ret_objs + desc->size * (*ret_n - 1));
    if (r < 0)
        *ret_objs = mem_free(*ret_objs);
    return r;
}
