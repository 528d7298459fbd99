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

static void put_path(const struct at *a, struct buf *b)
{
    if (a->up && a->up->name) {
        put_path(a->up, b);
        buf_add_byte(b, '.');
    }
    buf_add_str(b, a->name);
}

static const char *kind(struct json_object *o)
{
    static const char *const names[] = {
        [json_type_boolean] = "bool",  [json_type_double] = "number", [json_type_int] = "number",
        [json_type_object] = "object", [json_type_array] = "array",   [json_type_string] = "string",
    };

    return names[json_object_get_type(o)];
}

/* "WHAT into Go struct field Struct.Path.To.Field of type T" */
int rd_mismatch(const struct at *a, const struct field *f, const char *what)
{
    _cleanup_buf_ struct buf b = BUF_INIT(ERR_TEXT_MAX), type = BUF_INIT(256);
    const char *dot;

    go_type(f, &type);
    if (!what)
        what = kind(a->o);
    if (!a->in)
        return err_set(a->e, -EINVAL, "json: cannot unmarshal %s into Go value of type %s", what,
                       buf_str(&type));
    go_name(a->in, &b);
    dot = strrchr(buf_str(&b), '.');
    if (dot)
        buf_drop(&b, (size_t)(dot + 1 - buf_str(&b)));
    buf_add_byte(&b, '.');
    put_path(a, &b);
    return err_set(a->e, -EINVAL, "json: cannot unmarshal %s into Go struct field %s of type %s",
                   what, buf_str(&b), buf_str(&type));
}

int rd_memory(const struct at *a, int r)
{
    if (r == 0)
        return 0;
    return err_set(a->e, r, r == -ENOMEM ? "out of memory" : "json: takes too much memory");
}

/* ---- numbers ---- */

static bool is_number(struct json_object *o)
{
    return json_object_is_type(o, json_type_int) || json_object_is_type(o, json_type_double);
}

/* "number 1.5" as it was written; returns the number in it */
static const char *number_text(const struct at *a, char ret[80])
{
    char *mark;

    (void)snprintf(ret, 80, "number %.63s", json_object_get_string(a->o));
    mark = strstr(ret, JS_BIG_MARK);
    if (mark)
        *mark = 0;
    return ret + strlen("number ");
}

int rd_i64(const struct at *a, const struct field *f, int64_t *ret)
{
    char text[80];

    if (!is_number(a->o))
        return rd_mismatch(a, f, NULL);
    return parse_i64(number_text(a, text), ret) < 0 ? rd_mismatch(a, f, text) : 0;
}

int rd_u64(const struct at *a, uint64_t max, uint64_t *ret)
{
    char text[80];

    if (!is_number(a->o))
        return rd_mismatch(a, a->f, NULL);
    if (parse_u64(number_text(a, text), ret) < 0 || *ret > max)
        return rd_mismatch(a, a->f, text);
    return 0;
}

int rd_f64(const struct at *a, double *ret)
{
    char text[80];

    if (!is_number(a->o))
        return rd_mismatch(a, a->f, NULL);
    *ret = json_object_get_double(a->o);
    if (isfinite(*ret))
        return 0;
    (void)number_text(a, text);
    return rd_mismatch(a, a->f, text);
}

int rd_bool(const struct at *a, bool *ret)
{
    if (!json_object_is_type(a->o, json_type_boolean))
        return rd_mismatch(a, a->f, NULL);
    *ret = json_object_get_boolean(a->o);
    return 0;
}

/* ---- strings ---- */

static int copy_valid(const struct at *a, const char *p, size_t n, char **ret)
{
    void *copy = NULL;
    int r = rd_memory(a, alloc_copy(a->budget, p, n, &copy));

    *ret = copy;
    return r;
}

int rd_text(const struct at *a, const char *p, size_t n, char **ret)
{
    static const char replacement[] = {'\xef', '\xbf', '\xbd'}; /* U+FFFD */
    _cleanup_free_ char *room = NULL;
    size_t len = 0, k;

    if (memchr(p, 0, n))
        return err_set(a->e, -EINVAL, "json: a string holds a NUL character");
    if (str_utf8_valid(p, n))
        return copy_valid(a, p, n, ret);
    room = try_alloc(3 * n);
    if (!room)
        return rd_memory(a, -ENOMEM);
    for (const char *end = p + n; p < end; p += k) {
        uint8_t c = (uint8_t)*p;

        k = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
        if (k <= (size_t)(end - p) && str_utf8_valid(p, k)) {
            memcpy(room + len, p, k);
            len += k;
        } else {
            memcpy(room + len, replacement, sizeof(replacement));
            len += sizeof(replacement);
            k = 1;
        }
    }
    return copy_valid(a, room, len, ret);
}

static int need_string(const struct at *a, const struct field *f, size_t *ret_n)
{
    if (!json_object_is_type(a->o, json_type_string))
        return rd_mismatch(a, f, NULL);
    *ret_n = (size_t)json_object_get_string_len(a->o);
    return 0;
}

int rd_str(const struct at *a, const struct field *f, char **ret)
{
    size_t n = 0;
    int r = need_string(a, f, &n);

    if (r < 0 || (n == 0 && f->type == FT_STR)) /* there "" is NULL */
        return r;
    return rd_text(a, json_object_get_string(a->o), n, ret);
}

int rd_time(const struct at *a, struct gotime *ret)
{
    _cleanup_free_ char *text = NULL;
    int r = rd_str(a, a->f, &text);

    if (r == 0 && gotime_parse(text, ret) < 0)
        r = err_set(a->e, -EINVAL,
                    "parsing time \"%s\" as \"2006-01-02T15:04:05Z07:00\": it is not of that form",
                    text);
    return r;
}

int rd_base64(const struct at *a, struct bytes *ret)
{
    struct base64_decode_ctx base64;
    void *p = NULL;
    size_t n = 0;
    int r = need_string(a, a->f, &n);

    if (r == 0)
        r = rd_memory(a, alloc_zero(a->budget, BASE64_DECODE_LENGTH(n) + 1, &p));
    if (r < 0)
        return r;
    ret->p = p;
    base64_decode_init(&base64);
    if (base64_decode_update(&base64, &ret->n, ret->p, n, json_object_get_string(a->o)) &&
        base64_decode_final(&base64))
        return 0;
    return err_set(a->e, -EINVAL, "illegal base64 data");
}
