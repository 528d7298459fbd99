/* codec/js_values.c - single values of json-c's tree into C's, and what is said about those of the
 * wrong type, in Go's words. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <nettle/base64.h>

#include "base/parse.h"
#include "base/str.h"
#include "codec/alloc.h"
#include "codec/js_read.h"
#include "codec/js_scan.h"

/* ---- errors ---- */

/* the field of a name like desc_drain_spec as Go would name the type: structs.DrainSpec */
static void go_name(const struct desc *d, struct buf *b)
{
    bool upper = true;

    if (!str_starts(d->name, "desc_")) {
        buf_add_str(b, d->name);
        return;
    }
    buf_add_str(b, "structs.");
    for (const char *p = d->name + 5; *p; p++) {
        if (*p != '_')
            buf_add_byte(b, (uint8_t)(upper && *p >= 'a' && *p <= 'z' ? *p - 32 : *p));
        upper = *p == '_';
    }
}

static void go_type(const struct field *f, struct buf *b)
{
    static const char *const names[FT_MAX] = {
        [FT_BOOL] = "bool",
        [FT_I64] = "int64",
        [FT_U64] = "uint64",
        [FT_F64] = "float64",
        [FT_STR] = "string",
        [FT_TIME] = "time.Time",
        [FT_BYTES] = "[]uint8",
        [FT_U8LIST] = "[]uint8",
        [FT_MAP] = "map[string]string",
        [FT_I64MAP] = "map[string]int",
        [FT_STRVEC] = "[]string",
        [FT_U16VEC] = "[]uint16",
        [FT_MATRIX] = "[][]int",
        [FT_OPT_I64] = "int64",
        [FT_OPT_F64] = "float64",
        [FT_OPT_BOOL] = "bool",
        [FT_OPT_STR] = "string",
        [FT_OPT_MAP] = "map[string]*string",
        [FT_VEC] = "[]",
        [FT_MAPVEC] = "map[string]",
    };

    if (f->flags & (F_DURATION | F_INT))
        buf_add_str(b, f->flags & F_DURATION ? "time.Duration" : "int");
    else if (names[f->type])
        buf_add_str(b, names[f->type]);
    if (f->sub)
        go_name(f->sub, b);
}

static void put_stack(const struct step *s, struct buf *b)
{
    if (s->up) {
        put_stack(s->up, b);
        buf_add_byte(b, '.');
    }
    buf_add_str(b, s->field);
}

/* "json: cannot unmarshal WHAT into Go struct field Struct.Path.To.Field of type T" */
static int mismatch_type(struct rd *d, const struct step *s, const char *what, const char *type)
{
    _cleanup_buf_ struct buf b = BUF_INIT(ERR_TEXT_MAX);
    const char *dot;

    if (!s)
        return err_set(d->e, -EINVAL, "json: cannot unmarshal %s into Go value of type %s", what,
                       type);
    go_name(s->in, &b);
    dot = strrchr(buf_str(&b), '.');
    if (dot)
        buf_drop(&b, (size_t)(dot + 1 - buf_str(&b)));
    buf_add_byte(&b, '.');
    put_stack(s, &b);
    return err_set(d->e, -EINVAL, "json: cannot unmarshal %s into Go struct field %s of type %s",
                   what, buf_str(&b), type);
}

static const char *kind(struct json_object *o)
{
    switch (json_object_get_type(o)) {
    case json_type_object:
        return "object";
    case json_type_array:
        return "array";
    case json_type_string:
        return "string";
    case json_type_boolean:
        return "bool";
    default:
        return "number";
    }
}

int rd_mismatch(struct rd *d, const struct step *s, const struct field *f, struct json_object *o)
{
    _cleanup_buf_ struct buf type = BUF_INIT(256);

    go_type(f, &type);
    return mismatch_type(d, s, kind(o), buf_str(&type));
}

int rd_mismatch_struct(struct rd *d, const struct step *s, const struct desc *desc,
                       const char *prefix, struct json_object *o)
{
    _cleanup_buf_ struct buf type = BUF_INIT(256);

    buf_add_str(&type, prefix);
    go_name(desc, &type);
    return mismatch_type(d, s, kind(o), buf_str(&type));
}

int rd_memory(struct rd *d, int r)
{
    if (r == 0)
        return 0;
    return err_set(d->e, r, r == -ENOMEM ? "out of memory" : "json: takes too much memory");
}

/* ---- numbers ---- */

static bool is_number(struct json_object *o)
{
    return json_object_is_type(o, json_type_int) || json_object_is_type(o, json_type_double);
}

/* as it was written, but for "-0", which json-c makes 0 */
static void number_text(struct json_object *o, char ret[64])
{
    char *mark;

    (void)snprintf(ret, 64, "%s", json_object_get_string(o));
    mark = strstr(ret, JS_BIG_MARK);
    if (mark)
        *mark = 0;
}

static int bad_number(struct rd *d, const struct step *s, const struct field *f, const char *number)
{
    _cleanup_buf_ struct buf type = BUF_INIT(256);
    char what[80];

    go_type(f, &type);
    (void)snprintf(what, sizeof(what), "number %s", number);
    return mismatch_type(d, s, what, buf_str(&type));
}

int rd_i64(struct rd *d, const struct step *s, const struct field *f, struct json_object *o,
           int64_t *ret)
{
    char number[64];

    if (!is_number(o))
        return rd_mismatch(d, s, f, o);
    number_text(o, number);
    return parse_i64(number, ret) < 0 ? bad_number(d, s, f, number) : 0;
}

int rd_u64(struct rd *d, const struct step *s, const struct field *f, uint64_t max,
           struct json_object *o, uint64_t *ret)
{
    char number[64];

    if (!is_number(o))
        return rd_mismatch(d, s, f, o);
    number_text(o, number);
    return parse_u64(number, ret) < 0 || *ret > max ? bad_number(d, s, f, number) : 0;
}

int rd_f64(struct rd *d, const struct step *s, const struct field *f, struct json_object *o,
           double *ret)
{
    char number[64];

    if (!is_number(o))
        return rd_mismatch(d, s, f, o);
    *ret = json_object_get_double(o);
    if (isfinite(*ret))
        return 0;
    number_text(o, number);
    return bad_number(d, s, f, number);
}

/* ---- strings ---- */

static int copy_valid(struct rd *d, const char *p, size_t n, char **ret)
{
    void *copy = NULL;
    int r = rd_memory(d, alloc_copy(&d->budget, p, n, &copy));

    *ret = copy;
    return r;
}

int rd_text(struct rd *d, const char *p, size_t n, char **ret)
{
    _cleanup_free_ char *room = NULL;
    size_t len = 0, k;

    if (memchr(p, 0, n))
        return err_set(d->e, -EINVAL, "json: a string holds a NUL character");
    if (str_utf8_valid(p, n))
        return copy_valid(d, p, n, ret);
    room = try_alloc(3 * n);
    if (!room)
        return rd_memory(d, -ENOMEM);
    for (const char *end = p + n; p < end; p += k) {
        uint8_t c = (uint8_t)*p;

        k = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
        if (k <= (size_t)(end - p) && str_utf8_valid(p, k)) {
            memcpy(room + len, p, k);
            len += k;
        } else {
            memcpy(room + len, "\xef\xbf\xbd", 3);
            len += 3;
            k = 1;
        }
    }
    return copy_valid(d, room, len, ret);
}

int rd_str(struct rd *d, const struct step *s, const struct field *f, struct json_object *o,
           char **ret)
{
    size_t n;

    if (!json_object_is_type(o, json_type_string))
        return rd_mismatch(d, s, f, o);
    n = (size_t)json_object_get_string_len(o);
    if (n == 0 && f->type == FT_STR)
        return 0; /* NULL, as it was before */
    return rd_text(d, json_object_get_string(o), n, ret);
}

int rd_time(struct rd *d, const struct step *s, const struct field *f, struct json_object *o,
            struct gotime *ret)
{
    _cleanup_free_ char *text = NULL;
    int r = rd_str(d, s, f, o, &text);

    if (r < 0)
        return r;
    if (gotime_parse(text, ret) < 0)
        return err_set(
            d->e, -EINVAL,
            "parsing time \"%s\" as \"2006-01-02T15:04:05Z07:00\": it is not of that form", text);
    return 0;
}

static int rd_numbers(struct rd *d, const struct step *s, const struct field *f,
                      struct json_object *o, struct bytes *ret)
{
    size_t n = json_object_array_length(o);
    void *p = NULL;
    int r = rd_memory(d, alloc_zero(&d->budget, n + 1, &p));

    ret->p = p;
    for (size_t i = 0; r == 0 && i < n; i++) {
        uint64_t v = 0;

        r = rd_u64(d, s, f, UINT8_MAX, json_object_array_get_idx(o, i), &v);
        ret->p[ret->n++] = (uint8_t)v;
    }
    return r;
}

int rd_bytes(struct rd *d, const struct step *s, const struct field *f, struct json_object *o,
             struct bytes *ret)
{
    struct base64_decode_ctx base64;
    void *p = NULL;
    size_t n;
    int r;

    if (json_object_is_type(o, json_type_array))
        return rd_numbers(d, s, f, o, ret);
    if (!json_object_is_type(o, json_type_string))
        return rd_mismatch(d, s, f, o);
    n = (size_t)json_object_get_string_len(o);
    r = rd_memory(d, alloc_zero(&d->budget, BASE64_DECODE_LENGTH(n) + 1, &p));
    if (r < 0)
        return r;
    ret->p = p;
    base64_decode_init(&base64);
    if (!base64_decode_update(&base64, &ret->n, ret->p, n, json_object_get_string(o)) ||
        !base64_decode_final(&base64))
        return err_set(d->e, -EINVAL, "illegal base64 data");
    return 0;
}
