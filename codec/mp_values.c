/* codec/mp_values.c - single msgpack values into C's, and the words for those that do not fit. */
#include "codec/mp_decode.h"

#include <stdio.h>

/* ---- errors ---- */

static void path_text(const struct step *s, struct buf *b)
{
    if (!s)
        return;
    path_text(s->up, b);
    if (s->field) {
        if (b->len > 0)
            buf_add_byte(b, '.');
        buf_add_str(b, s->field);
    } else if (s->key) {
        buf_add_byte(b, '[');
        for (size_t i = 0; i < s->n && i < 64; i++)
            buf_add_byte(b, s->key[i] < ' ' || s->key[i] >= 0x7f ? '?' : s->key[i]);
        buf_add_byte(b, ']');
    } else {
        buf_printf(b, "[%zu]", s->n);
    }
}

int dec_fail(struct dec *d, const struct step *s, int code, const char *text)
{
    _cleanup_buf_ struct buf b = BUF_INIT(ERR_TEXT_MAX / 2);

    if (!d->e)
        return code;
    path_text(s, &b);
    return err_set(d->e, code, "%s%s%s", buf_str(&b), b.len > 0 ? ": " : "", text);
}

static const char *type_name(enum mp_type t)
{
    static const char *const names[] = {
        [MP_NIL] = "nil", [MP_BOOL] = "bool",   [MP_INT] = "int", [MP_FLOAT] = "float",
        [MP_STR] = "str", [MP_ARRAY] = "array", [MP_MAP] = "map", [MP_EXT] = "ext",
    };

    return names[t];
}

int dec_mismatch(struct dec *d, const struct step *s, const char *expected,
                 const struct mp_token *t)
{
    char text[96];

    (void)snprintf(text, sizeof(text), "expected %s, found %s", expected, type_name(t->type));
    return dec_fail(d, s, -EBADMSG, text);
}

/* turns what the reader says into text */
int dec_broken(struct dec *d, const struct step *s, int r)
{
    return dec_fail(d, s, -EBADMSG,
                    r == -EAGAIN ? "the input ends too early" : "malformed msgpack");
}

int dec_next(struct dec *d, const struct step *s, struct mp_token *t)
{
    int r = mp_next(d->in, t);

    return r < 0 ? dec_broken(d, s, r) : 0;
}

/* ---- memory ---- */

/* what the functions of codec/alloc.h say, in words */
int dec_memory(struct dec *d, const struct step *s, int r)
{
    if (r == 0)
        return 0;
    return dec_fail(d, s, r,
                    r == -ENOMEM ? "out of memory" : "takes more memory than its size allows");
}

/* n bytes with a NUL behind them */
static int bytes_new(struct dec *d, const struct step *s, const void *p, size_t n, void **ret)
{
    return dec_memory(d, s, alloc_copy(&d->budget, p, n, ret));
}

int dec_grow(struct dec *d, const struct step *s, void *pp, size_t n, size_t size)
{
    return dec_memory(d, s, alloc_grow(&d->budget, pp, n, size));
}

/* ---- single values ---- */

int dec_bool(struct dec *d, const struct step *s, const struct mp_token *t, bool *ret)
{
    if (t->type == MP_BOOL)
        *ret = t->b;
    else if (t->type == MP_INT && !t->is_unsigned && (t->i == 0 || t->i == 1))
        *ret = t->i == 1;
    else
        return dec_mismatch(d, s, "bool", t);
    return 0;
}

int dec_i64(struct dec *d, const struct step *s, const struct mp_token *t, int64_t *ret)
{
    if (t->type != MP_INT)
        return dec_mismatch(d, s, "int", t);
    if (t->is_unsigned)
        return dec_fail(d, s, -EBADMSG, "number too large");
    *ret = t->i;
    return 0;
}

int dec_u64(struct dec *d, const struct step *s, const struct mp_token *t, uint64_t *ret)
{
    if (t->type != MP_INT)
        return dec_mismatch(d, s, "int", t);
    if (!t->is_unsigned && t->i < 0)
        return dec_fail(d, s, -EBADMSG, "negative number for an unsigned field");
    *ret = t->u;
    return 0;
}

int dec_f64(struct dec *d, const struct step *s, const struct mp_token *t, double *ret)
{
    if (t->type == MP_FLOAT)
        *ret = t->f;
    else if (t->type == MP_INT)
        *ret = t->is_unsigned ? (double)t->u : (double)t->i;
    else
        return dec_mismatch(d, s, "float", t);
    return 0;
}

int dec_time(struct dec *d, const struct step *s, const struct mp_token *t, struct gotime *ret)
{
    if (t->type != MP_STR)
        return dec_mismatch(d, s, "time", t);
    if (mp_time_parse(t->p, t->n, ret) < 0)
        return dec_fail(d, s, -EBADMSG, "not a time");
    return 0;
}

/* optional: "" is not NULL */
int dec_str(struct dec *d, const struct step *s, const struct mp_token *t, bool optional,
            char **ret)
{
    void *p = NULL;
    int r;

    if (t->type != MP_STR)
        return dec_mismatch(d, s, "str", t);
    if (t->n == 0 && !optional)
        return 0;
    r = bytes_new(d, s, t->p, t->n, &p);
    if (r < 0)
        return r;
    *ret = p;
    return 0;
}

/* raw, bin, or a list of small ints */
int dec_bytes(struct dec *d, const struct step *s, const struct mp_token *t, struct bytes *ret)
{
    void *p = NULL;
    int r;

    if (t->type != MP_STR && t->type != MP_ARRAY)
        return dec_mismatch(d, s, "bytes", t);
    r = bytes_new(d, s, t->type == MP_STR ? t->p : NULL, t->type == MP_STR ? t->n : 0, &p);
    if (r < 0)
        return r;
    *ret = (struct bytes){p, t->type == MP_STR ? t->n : 0};
    for (size_t i = 0; t->type == MP_ARRAY && i < t->n; i++) {
        struct mp_token item;
        void *grown = NULL;

        r = dec_next(d, s, &item);
        if (r < 0)
            return r;
        if (item.type != MP_INT || item.u > UINT8_MAX)
            return dec_fail(d, s, -EBADMSG, "expected numbers from 0 to 255");
        if ((i & (i + 1)) == 0) { /* room for 2, 4, 8 ... with the NUL */
            r = dec_memory(d, s, alloc_charge(&d->budget, i + 1));
            if (r < 0)
                return r;
            grown = try_realloc(ret->p, 2 * (i + 1));
            if (!grown)
                return dec_memory(d, s, -ENOMEM);
            ret->p = grown;
        }
        ret->p[ret->n++] = (uint8_t)item.u;
        ret->p[ret->n] = 0;
    }
    return 0;
}

/* one whole object as it is; begin is where its token began */
int dec_raw(struct dec *d, const struct step *s, const uint8_t *begin, struct bytes *ret)
{
    void *p = NULL;
    int r;

    d->in->p = begin;
    r = mp_skip(d->in);
    if (r < 0)
        return dec_broken(d, s, r);
    r = bytes_new(d, s, begin, (size_t)(d->in->p - begin), &p);
    if (r < 0)
        return r;
    *ret = (struct bytes){p, (size_t)(d->in->p - begin)};
    return 0;
}

/* a map's key as a string of its own; t keeps it for the path */
int dec_key(struct dec *d, const struct step *s, struct mp_token *t, char **ret)
{
    void *p = NULL;
    int r = dec_next(d, s, t);

    if (r < 0)
        return r;
    if (t->type != MP_STR)
        return dec_mismatch(d, s, "str as key", t);
    r = bytes_new(d, s, t->p, t->n, &p);
    if (r < 0)
        return r;
    *ret = p;
    return 0;
}
