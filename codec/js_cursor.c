/* codec/js_cursor.c - walking over checked JSON, and what is said about values of the wrong type.
 */
#include "codec/js_read.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "codec/alloc.h"
#include "codec/js.h"
#include "codec/js_text.h"

/* ---- walking ---- */

static void blanks(struct rd *d)
{
    while (d->p < d->end && (*d->p == ' ' || *d->p == '\t' || *d->p == '\r' || *d->p == '\n'))
        d->p++;
}

char rd_peek(struct rd *d)
{
    blanks(d);
    return *d->p;
}

void rd_take(struct rd *d, const char **ret, size_t *ret_n)
{
    if (js_scan(d->p, (size_t)(d->end - d->p), ret, ret_n, NULL) <
        0) { /* cannot be: scanned once */
        *ret = d->p;
        *ret_n = (size_t)(d->end - d->p);
    }
    d->p = *ret + *ret_n;
}

void rd_skip(struct rd *d)
{
    const char *p;
    size_t n;

    rd_take(d, &p, &n);
}

bool rd_more(struct rd *d, bool *first)
{
    char c;

    if (*first)
        (void)rd_peek(d), d->p++;
    c = rd_peek(d);
    if (c == '}' || c == ']') {
        d->p++;
        return false;
    }
    if (!*first) {
        d->p++; /* the comma */
        blanks(d);
    }
    *first = false;
    return true;
}

bool rd_null(struct rd *d)
{
    if (rd_peek(d) != 'n')
        return false;
    rd_skip(d);
    return true;
}

int rd_string(struct rd *d, char **ret, size_t *ret_n)
{
    _cleanup_free_ char *room = NULL;
    const char *p;
    size_t n = 0, len;
    void *copy = NULL;
    int r;

    rd_take(d, &p, &n);
    room = try_alloc(3 * n + 1);
    if (!room)
        return rd_memory(d, -ENOMEM);
    len = js_unescape(p + 1, n - 2, room);
    if (memchr(room, 0, len))
        return err_set(d->e, -EINVAL, "json: a string holds a NUL character");
    r = rd_memory(d, alloc_copy(&d->budget, room, len, &copy));
    if (r < 0)
        return r;
    *ret = copy;
    *ret_n = len;
    return 0;
}

void rd_name(struct rd *d, char ret[NAME_MAX_LEN])
{
    char room[3 * NAME_MAX_LEN] = "";
    const char *p;
    size_t n, len = 0;

    rd_take(d, &p, &n);
    if (n - 2 < NAME_MAX_LEN)
        len = js_unescape(p + 1, n - 2, room);
    if (len >= NAME_MAX_LEN)
        len = 0;
    memcpy(ret, room, len);
    ret[len] = 0;
    (void)rd_peek(d);
    d->p++;
}

int rd_key(struct rd *d, char **ret)
{
    size_t n;
    int r = rd_string(d, ret, &n);

    if (r < 0)
        return r;
    (void)rd_peek(d);
    d->p++;
    return 0;
}

/* ---- errors, in Go's words ---- */

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

/* what Go calls a value that begins with this character */
static const char *kind(char c)
{
    switch (c) {
    case '{':
        return "object";
    case '[':
        return "array";
    case '"':
        return "string";
    case 't':
    case 'f':
        return "bool";
    default:
        return "number";
    }
}

int rd_mismatch(struct rd *d, const struct step *s, const struct field *f)
{
    _cleanup_buf_ struct buf type = BUF_INIT(256);

    go_type(f, &type);
    return mismatch_type(d, s, kind(rd_peek(d)), buf_str(&type));
}

int rd_memory(struct rd *d, int r)
{
    if (r == 0)
        return 0;
    return err_set(d->e, r, r == -ENOMEM ? "out of memory" : "json: takes too much memory");
}

int rd_bad_number(struct rd *d, const struct step *s, const struct field *f, const char *number)
{
    _cleanup_buf_ struct buf type = BUF_INIT(256);
    char what[80];

    go_type(f, &type);
    (void)snprintf(what, sizeof(what), "number %s", number);
    return mismatch_type(d, s, what, buf_str(&type));
}

int rd_mismatch_struct(struct rd *d, const struct step *s, const struct desc *desc)
{
    _cleanup_buf_ struct buf type = BUF_INIT(256);

    go_name(desc, &type);
    return mismatch_type(d, s, kind(rd_peek(d)), buf_str(&type));
}
