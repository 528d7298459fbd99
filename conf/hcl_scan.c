#include "conf/hcl_scan.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"
#include "base/str.h"
#include "base/vec.h"

int hcl_error(const struct hcl_scan *s, struct hcl_pos at, const char *fmt, ...)
{
    char text[ERR_TEXT_MAX];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    return err_set(s->e, -EINVAL, "%s:%u:%u: %s", s->file, at.line, at.column, text);
}

/* exactly n digits of a base */
static int escape_digits(struct hcl_scan *s, unsigned n, int base, uint32_t *ret)
{
    uint32_t v = 0;

    for (unsigned i = 0; i < n; i++) {
        int d = parse_hex_digit(hcl_peek(s));

        if (d < 0 || d >= base)
            return hcl_error(s, s->pos, "illegal char escape");
        v = v * (uint32_t)base + (uint32_t)d;
        (void)hcl_next(s);
    }
    *ret = v;
    return 0;
}

static void add_utf8(struct buf *out, uint32_t c)
{
    if (c < 0x80) {
        buf_add_byte(out, (uint8_t)c);
    } else if (c < 0x800) {
        buf_add_byte(out, (uint8_t)(0xc0 | c >> 6));
        buf_add_byte(out, (uint8_t)(0x80 | (c & 0x3f)));
    } else if (c < 0x10000) {
        buf_add_byte(out, (uint8_t)(0xe0 | c >> 12));
        buf_add_byte(out, (uint8_t)(0x80 | (c >> 6 & 0x3f)));
        buf_add_byte(out, (uint8_t)(0x80 | (c & 0x3f)));
    } else {
        buf_add_byte(out, (uint8_t)(0xf0 | c >> 18));
        buf_add_byte(out, (uint8_t)(0x80 | (c >> 12 & 0x3f)));
        buf_add_byte(out, (uint8_t)(0x80 | (c >> 6 & 0x3f)));
        buf_add_byte(out, (uint8_t)(0x80 | (c & 0x3f)));
    }
}

/* "\uXXXX" and "\UXXXXXXXX"; JSON writes characters beyond U+FFFF as two of the former */
static int escape_unicode(struct hcl_scan *s, unsigned digits, bool json, struct buf *out)
{
    struct hcl_pos at = s->pos;
    uint32_t c = 0, low = 0;
    int r;

    r = escape_digits(s, digits, 16, &c);
    if (r < 0)
        return r;
    if (json && c >= 0xd800 && c < 0xdc00 && hcl_peek(s) == '\\' && hcl_peek_at(s, 1) == 'u') {
        (void)hcl_next(s);
        (void)hcl_next(s);
        r = escape_digits(s, 4, 16, &low);
        if (r < 0)
            return r;
        if (low < 0xdc00 || low > 0xdfff)
            return hcl_error(s, at, "illegal char escape: half a surrogate pair");
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
    }
    if (c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
        return hcl_error(s, at, "illegal char escape: not a Unicode character");
    add_utf8(out, c);
    return 0;
}

int hcl_escape(struct hcl_scan *s, bool json, struct buf *out)
{
    static const char letters[] = "abfnrtv\\\"/", values[] = "\a\b\f\n\r\t\v\\\"/";
    int c = hcl_peek(s);
    const char *letter = c > 0 ? strchr(letters, c) : NULL;
    uint32_t v = 0;
    int r;

    if (letter && (json ? c != 'a' && c != 'v' : c != '/')) {
        (void)hcl_next(s);
        buf_add_byte(out, (uint8_t)values[letter - letters]);
        return 0;
    }
    if (c == 'u' || (c == 'U' && !json)) {
        (void)hcl_next(s);
        return escape_unicode(s, c == 'u' ? 4 : 8, json, out);
    }
    if (json || (c != 'x' && (c < '0' || c > '7')))
        return hcl_error(s, s->pos, "illegal char escape");
    if (c == 'x')
        (void)hcl_next(s);
    r = c == 'x' ? escape_digits(s, 2, 16, &v) : escape_digits(s, 3, 8, &v);
    if (r < 0)
        return r;
    if (v > 0xff)
        return hcl_error(s, s->pos, "illegal char escape");
    buf_add_byte(out, (uint8_t)v);
    return 0;
}

int hcl_set_string(const struct hcl_scan *s, struct buf *text, struct hcl_value *v)
{
    size_t n;

    if (buf_ok(text) < 0)
        return hcl_error(s, v->pos, "the string is too long");
    if (text->len && memchr(text->p, 0, text->len))
        return hcl_error(s, v->pos, "the string contains a NUL character");
    if (text->len && !str_utf8_valid((const char *)text->p, text->len))
        return hcl_error(s, v->pos, "the string is not valid UTF-8");
    v->kind = HCL_STRING;
    v->text = (char *)buf_take(text, &n);
    return 0;
}

struct hcl_member *hcl_add_member(struct hcl_value *object)
{
    return vec_add(&object->members, &object->n_members);
}

void hcl_add_word(struct hcl_member *m, const char *text, struct hcl_pos pos)
{
    char *copy = xstrdup(text);

    *vec_add(&m->words, &m->n_words) = (struct hcl_word){copy, pos};
}

static void member_done(struct hcl_member *m)
{
    for (size_t i = 0; i < m->n_words; i++)
        free(m->words[i].text);
    free(m->words);
    hcl_value_done(&m->value);
}

/* recursion ends at HCL_DEPTH_MAX: the parsers build nothing deeper */
void hcl_value_done(struct hcl_value *v)
{
    for (size_t i = 0; i < v->n_items; i++)
        hcl_value_done(&v->items[i]);
    for (size_t i = 0; i < v->n_members; i++)
        member_done(&v->members[i]);
    free(v->items);
    free(v->members);
    free(v->text);
    *v = (struct hcl_value){0};
}

void hcl_done(struct hcl_doc *d)
{
    hcl_value_done(&d->root);
    d->file = mem_free(d->file);
}

const char *hcl_kind_name(enum hcl_kind k)
{
    static const char *const names[] = {"null",     "true or false", "a whole number", "a number",
                                        "a string", "a list",        "a block"};

    return names[k];
}
