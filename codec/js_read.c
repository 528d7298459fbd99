/* codec/js_read.c - JSON into described structs.
 *
 * js_scan() has checked the grammar before, so the functions here only walk.  Straight from text to
 * struct: a tree in between costs some 200 bytes for each "{}" of the input, and loses what the
 * error texts need (how a number was written).
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/parse.h"
#include "base/str.h"
#include "codec/alloc.h"
#include "codec/js.h"
#include "codec/ops.h"

/* one field on the way from the outermost struct */
struct step {
    const struct step *up;
    const struct desc *in; /* the struct that has the field */
    const char *field;
};

struct rd {
    const char *p, *end;
    struct err *e;
    size_t budget;
};

/* ---- walking ---- */

static void blanks(struct rd *d)
{
    while (d->p < d->end && (*d->p == ' ' || *d->p == '\t' || *d->p == '\r' || *d->p == '\n'))
        d->p++;
}

/* the character that the next value begins with */
static char peek(struct rd *d)
{
    blanks(d);
    return *d->p;
}

/* the text of the next value; the cursor stands behind it */
static void take_value(struct rd *d, const char **ret, size_t *ret_n)
{
    if (js_scan(d->p, (size_t)(d->end - d->p), ret, ret_n, NULL) <
        0) { /* cannot be: scanned once */
        *ret = d->p;
        *ret_n = (size_t)(d->end - d->p);
    }
    d->p = *ret + *ret_n;
}

static void skip_value(struct rd *d)
{
    const char *p;
    size_t n;

    take_value(d, &p, &n);
}

/* Steps through { } or [ ]: true when another member or element follows.  *first is true before the
 * first call; the opening bracket is taken by it. */
static bool more(struct rd *d, bool *first)
{
    char c;

    if (*first)
        (void)peek(d), d->p++;
    c = peek(d);
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
        if (*p == '_')
            upper = true;
        else
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

static int mismatch(struct rd *d, const struct step *s, const struct field *f)
{
    _cleanup_buf_ struct buf type = BUF_INIT(256);

    go_type(f, &type);
    return mismatch_type(d, s, kind(peek(d)), buf_str(&type));
}

static int memory(struct rd *d, int r)
{
    if (r == 0)
        return 0;
    return err_set(d->e, r, r == -ENOMEM ? "out of memory" : "json: takes too much memory");
}

/* ---- strings ---- */

static uint32_t hex4(const char *p)
{
    uint32_t v = 0;

    for (int i = 0; i < 4; i++) {
        char c = (char)(p[i] | 0x20);

        v = v << 4 | (uint32_t)(c >= 'a' ? c - 'a' + 10 : p[i] - '0');
    }
    return v;
}

static size_t put_utf8(char *out, uint32_t c)
{
    if (c < 0x80)
        return out[0] = (char)c, 1;
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 63));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 63));
        out[2] = (char)(0x80 | (c & 63));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 63));
    out[2] = (char)(0x80 | (c >> 6 & 63));
    out[3] = (char)(0x80 | (c & 63));
    return 4;
}

enum { REPLACEMENT = 0xfffd };

/* the character of \uXXXX at p (behind the u); halves of pairs that stand alone become U+FFFD */
static uint32_t take_u(const char **p, const char *end)
{
    uint32_t c = hex4(*p), low;

    *p += 4;
    if (c < 0xd800 || c > 0xdfff)
        return c;
    if (c > 0xdbff || end - *p < 6 || (*p)[0] != '\\' || (*p)[1] != 'u')
        return REPLACEMENT;
    low = hex4(*p + 2);
    if (low < 0xdc00 || low > 0xdfff)
        return REPLACEMENT;
    *p += 6;
    return 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
}

static uint32_t take_escape(const char **p, const char *end)
{
    static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
    char c = *(*p)++;
    const char *found = strchr(from, c);

    if (c == 'u')
        return take_u(p, end);
    return (uint32_t)(found ? to[found - from] : c);
}

/* Writes the content of a literal (between its quotes) to out, which has room for 3 n bytes (each
 * byte that is no UTF-8 becomes U+FFFD); returns the length. */
static size_t unescape(const char *p, size_t n, char *out)
{
    const char *end = p + n;
    size_t len = 0;

    while (p < end) {
        uint8_t c = (uint8_t)*p;
        size_t k = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;

        if (c == '\\') {
            p++;
            len += put_utf8(out + len, take_escape(&p, end));
        } else if (k <= (size_t)(end - p) && str_utf8_valid(p, k)) {
            memcpy(out + len, p, k);
            len += k;
            p += k;
        } else {
            len += put_utf8(out + len, REPLACEMENT);
            p++;
        }
    }
    return len;
}

/* the next value, a string; owned by the caller */
static int take_string(struct rd *d, char **ret, size_t *ret_n)
{
    _cleanup_free_ char *room = NULL;
    const char *p;
    size_t n, len;
    void *copy;
    int r;

    take_value(d, &p, &n);
    room = try_alloc(3 * n + 1);
    if (!room)
        return memory(d, -ENOMEM);
    len = unescape(p + 1, n - 2, room);
    if (memchr(room, 0, len))
        return err_set(d->e, -EINVAL, "json: a string holds a NUL character");
    r = memory(d, alloc_copy(&d->budget, room, len, &copy));
    if (r < 0)
        return r;
    *ret = copy;
    *ret_n = len;
    return 0;
}

enum { NAME_MAX_LEN = 64 };

/* a member's key when it may be a field's name, else ""; the cursor stands behind the colon */
static void take_name(struct rd *d, char ret[NAME_MAX_LEN])
{
    char room[3 * NAME_MAX_LEN];
    const char *p;
    size_t n, len = 0;

    take_value(d, &p, &n);
    if (n - 2 < NAME_MAX_LEN)
        len = unescape(p + 1, n - 2, room);
    if (len >= NAME_MAX_LEN)
        len = 0;
    memcpy(ret, room, len);
    ret[len] = 0;
    (void)peek(d);
    d->p++;
}

/* ---- single values ---- */

static int rd_str(struct rd *d, const struct step *s, const struct field *f, char **ret)
{
    size_t n;
    int r;

    if (peek(d) != '"')
        return mismatch(d, s, f);
    r = take_string(d, ret, &n);
    if (r == 0 && n == 0 && f->type == FT_STR)
        *ret = mem_free(*ret);
    return r;
}

static int rd_bool(struct rd *d, const struct step *s, const struct field *f, bool *ret)
{
    char c = peek(d);

    if (c != 't' && c != 'f')
        return mismatch(d, s, f);
    *ret = c == 't';
    skip_value(d);
    return 0;
}

static bool at_number(struct rd *d)
{
    char c = peek(d);

    return c == '-' || (c >= '0' && c <= '9');
}

/* the text of a number, for the parsers and for "number 1.5"; the cursor stands behind it */
static void take_number(struct rd *d, char ret[64])
{
    const char *p;
    size_t n;

    take_value(d, &p, &n);
    (void)snprintf(ret, 64, "%.*s", (int)MIN(n, (size_t)63), p);
}

static int bad_number(struct rd *d, const struct step *s, const struct field *f, const char *number)
{
    _cleanup_buf_ struct buf type = BUF_INIT(256);
    char what[80];

    go_type(f, &type);
    (void)snprintf(what, sizeof(what), "number %s", number);
    return mismatch_type(d, s, what, buf_str(&type));
}

static int rd_i64(struct rd *d, const struct step *s, const struct field *f, int64_t *ret)
{
    char number[64];

    if (!at_number(d))
        return mismatch(d, s, f);
    take_number(d, number);
    return parse_i64(number, ret) < 0 ? bad_number(d, s, f, number) : 0;
}

static int rd_u64(struct rd *d, const struct step *s, const struct field *f, uint64_t max,
                  uint64_t *ret)
{
    char number[64];

    if (!at_number(d))
        return mismatch(d, s, f);
    take_number(d, number);
    return parse_u64(number, ret) < 0 || *ret > max ? bad_number(d, s, f, number) : 0;
}

static int rd_f64(struct rd *d, const struct step *s, const struct field *f, double *ret)
{
    char number[64];

    if (!at_number(d))
        return mismatch(d, s, f);
    take_number(d, number);
    return parse_f64(number, ret) < 0 ? bad_number(d, s, f, number) : 0;
}

static int rd_time(struct rd *d, const struct step *s, const struct field *f, struct gotime *ret)
{
    _cleanup_free_ char *text = NULL;
    size_t n;
    int r;

    if (peek(d) != '"')
        return mismatch(d, s, f);
    r = take_string(d, &text, &n);
    if (r < 0)
        return r;
    if (gotime_parse(text, ret) < 0)
        return err_set(
            d->e, -EINVAL,
            "parsing time \"%s\" as \"2006-01-02T15:04:05Z07:00\": it is not of that form", text);
    return 0;
}

static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* standard alphabet, padded; in place.  -EINVAL */
static int base64_decode(char *text, size_t n, size_t *ret_n)
{
    size_t len = 0, used = n;

    while (used > 0 && n - used < 2 && text[used - 1] == '=')
        used--;
    if (n % 4 != 0)
        return -EINVAL;
    for (size_t i = 0; i < used; i += 4) {
        uint32_t bits = 0;
        size_t k = MIN(used - i, (size_t)4);

        for (size_t j = 0; j < 4; j++) {
            int v = j < k ? base64_digit(text[i + j]) : 0;

            if (v < 0)
                return -EINVAL;
            bits = bits << 6 | (uint32_t)v;
        }
        for (size_t j = 0; j + 1 < k; j++)
            text[len++] = (char)(bits >> (16 - 8 * j));
    }
    *ret_n = len;
    return 0;
}

static int rd_numbers(struct rd *d, const struct step *s, const struct field *f, struct bytes *ret)
{
    bool first = true;
    int r = memory(d, alloc_grow(&d->budget, &ret->p, 0, 1));

    while (r == 0 && more(d, &first)) {
        uint64_t v;

        r = rd_u64(d, s, f, UINT8_MAX, &v);
        if (r == 0)
            r = memory(d, alloc_grow(&d->budget, &ret->p, ret->n, 1));
        if (r == 0)
            ret->p[ret->n++] = (uint8_t)v;
    }
    return r;
}

static int rd_bytes(struct rd *d, const struct step *s, const struct field *f, struct bytes *ret)
{
    char *text = NULL;
    size_t n;
    int r;

    if (peek(d) == '[')
        return rd_numbers(d, s, f, ret);
    if (peek(d) != '"')
        return mismatch(d, s, f);
    r = take_string(d, &text, &n);
    if (r < 0)
        return r;
    *ret = (struct bytes){(uint8_t *)text, n};
    if (base64_decode(text, n, &ret->n) < 0)
        return err_set(d->e, -EINVAL, "illegal base64 data");
    return 0;
}

/* ---- maps and arrays ---- */

static int rd_struct(struct rd *d, const struct step *s, const struct desc *desc, void *obj);

/* "key": -- the cursor stands behind the colon */
static int take_key(struct rd *d, char **ret)
{
    size_t n;
    int r = take_string(d, ret, &n);

    if (r < 0)
        return r;
    (void)peek(d);
    d->p++;
    return 0;
}

static bool take_null(struct rd *d)
{
    if (peek(d) != 'n')
        return false;
    skip_value(d);
    return true;
}

static int rd_pair_value(struct rd *d, const struct step *s, const struct field *f, void *pair)
{
    static const struct field string = {.type = FT_OPT_STR},
                              number = {.type = FT_I64, .flags = F_INT};
    struct strpair *text = pair;
    void *empty;
    int r;

    if (f->type == FT_I64MAP)
        return take_null(d) ? 0 : rd_i64(d, s, &number, &((struct i64pair *)pair)->value);
    if (!take_null(d))
        return rd_str(d, s, &string, &text->value);
    if (f->type == FT_OPT_MAP)
        return 0;
    r = memory(d, alloc_copy(&d->budget, NULL, 0, &empty)); /* null for a string is "" */
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

    if (peek(d) != '{')
        return mismatch(d, s, f);
    r = memory(d, alloc_grow(&d->budget, &m->items, 0, sizeof(struct strpair)));
    while (r == 0 && more(d, &first)) {
        struct strpair *pair;

        r = memory(d, alloc_grow(&d->budget, &m->items, m->n, sizeof(*pair)));
        if (r < 0)
            break;
        pair = &m->items[m->n];
        *pair = (struct strpair){0};
        r = take_key(d, &pair->key);
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
    return memory(d, ops_keyed_sort(m->items, &m->n, sizeof(*m->items), drop_item, f));
}

static int rd_int_row(struct rd *d, const struct step *s, const struct field *f,
                      struct int_row *row)
{
    static const struct field number = {.type = FT_I64, .flags = F_INT};
    bool first = true;
    int r;

    if (take_null(d))
        return 0;
    if (peek(d) != '[')
        return mismatch(d, s, f);
    r = memory(d, alloc_grow(&d->budget, &row->v, 0, sizeof(*row->v)));
    while (r == 0 && more(d, &first)) {
        r = memory(d, alloc_grow(&d->budget, &row->v, row->n, sizeof(*row->v)));
        if (r == 0 && take_null(d))
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
    void *empty;
    int r;

    switch (f->type) {
    case FT_STRVEC:
        if (!take_null(d))
            return rd_str(d, s, &string, item);
        r = memory(d, alloc_copy(&d->budget, NULL, 0, &empty));
        if (r == 0)
            memcpy(item, &empty, sizeof(empty));
        return r;
    case FT_U16VEC:
        r = take_null(d) ? 0 : rd_u64(d, s, &small, UINT16_MAX, &v);
        *(uint16_t *)item = (uint16_t)v;
        return r;
    case FT_MATRIX:
        return rd_int_row(d, s, f, item);
    default:
        return take_null(d) ? 0 : rd_struct(d, s, f->sub, item);
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

    if (peek(d) != (keyed ? '{' : '['))
        return mismatch(d, s, f);
    r = memory(d, alloc_grow(&d->budget, &items, 0, size));
    while (r == 0 && more(d, &first)) {
        char *item;

        r = memory(d, alloc_grow(&d->budget, &items, n, size));
        if (r < 0)
            break;
        item = (char *)items + n * size;
        memset(item, 0, size);
        if (keyed)
            r = take_key(d, (char **)item);
        if (r < 0)
            break;
        n++; /* from here on clearing the array releases it */
        r = rd_item(d, s, f, item);
    }
    if (r == 0 && keyed)
        r = memory(d, ops_keyed_sort(items, &n, size, drop_item, f));
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
    void *p;
    int r = memory(d, alloc_zero(&d->budget, size, &p));

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
    if (take_null(d))
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
    return mismatch(d, s, f);
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

    if (peek(d) != '{') {
        _cleanup_buf_ struct buf type = BUF_INIT(256);

        go_name(desc, &type);
        return mismatch_type(d, s, kind(peek(d)), buf_str(&type));
    }
    while (r == 0 && more(d, &first)) {
        const struct desc_row *row;
        char name[NAME_MAX_LEN];

        take_name(d, name);
        row = find_row(rows, n, name);
        if (row && !(row->flags & F_NO_JSON)) {
            struct step at = {s, desc, row->f->name};

            r = rd_field(d, &at, row->f, (void *)(uintptr_t)row->obj);
        } else {
            skip_value(d);
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
    if (take_null(&d)) {
        for (size_t i = 0; i < desc->n_fields; i++)
            ops_clear_field(&desc->fields[i], obj);
        return 0;
    }
    return rd_struct(&d, NULL, desc, obj);
}
