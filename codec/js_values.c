/* codec/js_values.c - single JSON values into C's. */
#include "codec/js_read.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"
#include "codec/alloc.h"
#include "codec/js_text.h"

int rd_str(struct rd *d, const struct step *s, const struct field *f, char **ret)
{
    size_t n;
    int r;

    if (rd_peek(d) != '"')
        return rd_mismatch(d, s, f);
    r = rd_string(d, ret, &n);
    if (r == 0 && n == 0 && f->type == FT_STR)
        *ret = mem_free(*ret);
    return r;
}

int rd_bool(struct rd *d, const struct step *s, const struct field *f, bool *ret)
{
    char c = rd_peek(d);

    if (c != 't' && c != 'f')
        return rd_mismatch(d, s, f);
    *ret = c == 't';
    rd_skip(d);
    return 0;
}

static bool at_number(struct rd *d)
{
    char c = rd_peek(d);

    return c == '-' || (c >= '0' && c <= '9');
}

/* the text of a number, for the parsers and for "number 1.5"; the cursor stands behind it */
static void take_number(struct rd *d, char ret[64])
{
    const char *p;
    size_t n;

    rd_take(d, &p, &n);
    (void)snprintf(ret, 64, "%.*s", (int)MIN(n, (size_t)63), p);
}

int rd_i64(struct rd *d, const struct step *s, const struct field *f, int64_t *ret)
{
    char number[64];

    if (!at_number(d))
        return rd_mismatch(d, s, f);
    take_number(d, number);
    return parse_i64(number, ret) < 0 ? rd_bad_number(d, s, f, number) : 0;
}

int rd_u64(struct rd *d, const struct step *s, const struct field *f, uint64_t max, uint64_t *ret)
{
    char number[64];

    if (!at_number(d))
        return rd_mismatch(d, s, f);
    take_number(d, number);
    return parse_u64(number, ret) < 0 || *ret > max ? rd_bad_number(d, s, f, number) : 0;
}

int rd_f64(struct rd *d, const struct step *s, const struct field *f, double *ret)
{
    char number[64];

    if (!at_number(d))
        return rd_mismatch(d, s, f);
    take_number(d, number);
    return parse_f64(number, ret) < 0 ? rd_bad_number(d, s, f, number) : 0;
}

int rd_time(struct rd *d, const struct step *s, const struct field *f, struct gotime *ret)
{
    _cleanup_free_ char *text = NULL;
    size_t n;
    int r;

    if (rd_peek(d) != '"')
        return rd_mismatch(d, s, f);
    r = rd_string(d, &text, &n);
    if (r < 0)
        return r;
    if (gotime_parse(text, ret) < 0)
        return err_set(
            d->e, -EINVAL,
            "parsing time \"%s\" as \"2006-01-02T15:04:05Z07:00\": it is not of that form", text);
    return 0;
}

static int rd_numbers(struct rd *d, const struct step *s, const struct field *f, struct bytes *ret)
{
    bool first = true;
    int r = rd_memory(d, alloc_grow(&d->budget, &ret->p, 0, 1));

    while (r == 0 && rd_more(d, &first)) {
        uint64_t v = 0;

        r = rd_u64(d, s, f, UINT8_MAX, &v);
        if (r == 0)
            r = rd_memory(d, alloc_grow(&d->budget, &ret->p, ret->n, 1));
        if (r == 0)
            ret->p[ret->n++] = (uint8_t)v;
    }
    return r;
}

int rd_bytes(struct rd *d, const struct step *s, const struct field *f, struct bytes *ret)
{
    char *text = NULL;
    size_t n;
    int r;

    if (rd_peek(d) == '[')
        return rd_numbers(d, s, f, ret);
    if (rd_peek(d) != '"')
        return rd_mismatch(d, s, f);
    r = rd_string(d, &text, &n);
    if (r < 0)
        return r;
    *ret = (struct bytes){(uint8_t *)text, n};
    if (js_base64_decode(text, n, &ret->n) < 0)
        return err_set(d->e, -EINVAL, "illegal base64 data");
    return 0;
}
