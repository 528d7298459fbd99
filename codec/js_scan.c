/* codec/js_scan.c - the grammar of JSON, with the error texts of Go's encoding/json scanner, which
 * reach users as HTTP bodies (fact: http-api 3), and the ceilings on what json-c is given. */
#include "codec/js_scan.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "base/parse.h"
#include "codec/js.h"

struct scan {
    const char *p, *end;
    struct err *e;
    unsigned depth;
    size_t values;
    bool nul;           /* the last string holds \u0000 */
    struct buf *marked; /* of js_gate(), else NULL */
    const char *copied; /* up to where the text stands in it */
};

static int scan_value(struct scan *s);

/* what is wrong with the character at the cursor */
static int bad(struct scan *s, const char *context)
{
    unsigned char c;
    char quoted[8];

    if (s->p >= s->end)
        return err_set(s->e, -EINVAL, "unexpected EOF");
    c = (unsigned char)*s->p;
    if (c == '\'' || c == '\\')
        (void)snprintf(quoted, sizeof(quoted), "\\%c", c);
    else if (c == '\n' || c == '\r' || c == '\t')
        (void)snprintf(quoted, sizeof(quoted), "\\%c", c == '\n' ? 'n' : c == '\r' ? 'r' : 't');
    else if (c >= 0x20 && c < 0x7f)
        (void)snprintf(quoted, sizeof(quoted), "%c", c);
    else if (c < 0x80)
        (void)snprintf(quoted, sizeof(quoted), "\\x%02x", c);
    else
        (void)snprintf(quoted, sizeof(quoted), "\\u00%02x", c);
    return err_set(s->e, -EINVAL, "invalid character '%s' %s", quoted, context);
}

static void blanks(struct scan *s)
{
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' || *s->p == '\r' || *s->p == '\n'))
        s->p++;
}

static bool at(const struct scan *s, char c)
{
    return s->p < s->end && *s->p == c;
}

static bool at_digit(const struct scan *s)
{
    return s->p < s->end && *s->p >= '0' && *s->p <= '9';
}

static int scan_escape(struct scan *s)
{
    s->p++; /* the backslash */
    if (s->p >= s->end || !strchr("\"\\/bfnrtu", *s->p) || !*s->p)
        return bad(s, "in string escape code");
    if (*s->p++ != 'u')
        return 0;
    if (s->end - s->p >= 4 && memcmp(s->p, "0000", 4) == 0)
        s->nul = true;
    for (int i = 0; i < 4; i++, s->p++)
        if (s->p >= s->end || !*s->p || !strchr("0123456789abcdefABCDEF", *s->p))
            return bad(s, "in \\u hexadecimal character escape");
    return 0;
}

static int scan_string(struct scan *s)
{
    int r;

    s->p++; /* the quote */
    while (!at(s, '"')) {
        if (s->p >= s->end || (unsigned char)*s->p < 0x20)
            return bad(s, "in string literal");
        if (*s->p != '\\') {
            s->p++;
            continue;
        }
        r = scan_escape(s);
        if (r < 0)
            return r;
    }
    s->p++;
    return 0;
}

/* json-c takes these for the largest or the least integer */
static bool beyond_64_bits(const char *p, size_t n)
{
    char text[24];
    int64_t i;
    uint64_t u;

    if (n >= sizeof(text))
        return true;
    memcpy(text, p, n);
    text[n] = 0;
    return *p == '-' ? parse_i64(text, &i) < 0 : parse_u64(text, &u) < 0;
}

static void mark_big(struct scan *s, const char *begin)
{
    if (!s->marked || !beyond_64_bits(begin, (size_t)(s->p - begin)))
        return;
    buf_add(s->marked, s->copied, (size_t)(s->p - s->copied));
    buf_add_str(s->marked, JS_BIG_MARK);
    s->copied = s->p;
}

static int scan_number(struct scan *s)
{
    const char *begin = s->p;

    if (at(s, '-'))
        s->p++;
    if (!at_digit(s))
        return bad(s, "in numeric literal");
    if (at(s, '0'))
        s->p++;
    else
        while (at_digit(s))
            s->p++;
    if (!at(s, '.') && !at(s, 'e') && !at(s, 'E')) {
        mark_big(s, begin);
        return 0;
    }
    if (at(s, '.')) {
        s->p++;
        if (!at_digit(s))
            return bad(s, "after decimal point in numeric literal");
        while (at_digit(s))
            s->p++;
    }
    if (at(s, 'e') || at(s, 'E')) {
        s->p++;
        if (at(s, '+') || at(s, '-'))
            s->p++;
        if (!at_digit(s))
            return bad(s, "in exponent of numeric literal");
        while (at_digit(s))
            s->p++;
    }
    return 0;
}

static int scan_word(struct scan *s, const char *word)
{
    char context[48];

    for (const char *w = word; *w; w++, s->p++) {
        if (!at(s, *w)) {
            (void)snprintf(context, sizeof(context), "in literal %s (expecting '%c')", word, *w);
            return bad(s, context);
        }
    }
    return 0;
}

static int scan_member(struct scan *s)
{
    int r;

    if (!at(s, '"'))
        return bad(s, "looking for beginning of object key string");
    s->nul = false;
    r = scan_string(s);
    if (r < 0)
        return r;
    if (s->nul && s->marked)
        return err_set(s->e, -EINVAL, "json: a key holds a NUL character");
    blanks(s);
    if (!at(s, ':'))
        return bad(s, "after object key");
    s->p++;
    return scan_value(s);
}

/* members or elements up to the closing bracket */
static int scan_list(struct scan *s, char closing)
{
    bool object = closing == '}';
    int r = 0;

    s->p++; /* the opening one */
    blanks(s);
    if (at(s, closing)) {
        s->p++;
        return 0;
    }
    for (;;) {
        blanks(s);
        r = object ? scan_member(s) : scan_value(s);
        if (r < 0)
            return r;
        blanks(s);
        if (at(s, closing)) {
            s->p++;
            return 0;
        }
        if (!at(s, ','))
            return bad(s, object ? "after object key:value pair" : "after array element");
        s->p++;
    }
}

static int scan_container(struct scan *s, char closing)
{
    int r;

    if (s->depth == JSON_DEPTH_MAX)
        return err_set(s->e, -EINVAL, "exceeded max depth");
    s->depth++;
    r = scan_list(s, closing);
    s->depth--;
    return r;
}

static int scan_value(struct scan *s)
{
    blanks(s);
    if (s->p >= s->end)
        return bad(s, "");
    if (s->values++ == JSON_VALUES_MAX)
        return err_set(s->e, -EMSGSIZE, "json: more than %d values", JSON_VALUES_MAX);
    switch (*s->p) {
    case '{':
        return scan_container(s, '}');
    case '[':
        return scan_container(s, ']');
    case '"':
        return scan_string(s);
    case 't':
        return scan_word(s, "true");
    case 'f':
        return scan_word(s, "false");
    case 'n':
        return scan_word(s, "null");
    default:
        if (*s->p == '-' || at_digit(s))
            return scan_number(s);
        return bad(s, "looking for beginning of value");
    }
}

static int scan_first(struct scan *s, const char **ret, size_t *ret_n)
{
    int r;

    blanks(s);
    *ret = s->copied = s->p;
    r = scan_value(s);
    *ret_n = (size_t)(s->p - *ret);
    return r;
}

/* where the text was marked the value is taken from there */
static int gate(struct scan *s, const char **ret, size_t *ret_n)
{
    int r = scan_first(s, ret, ret_n);

    if (r < 0 || s->copied == *ret)
        return r;
    buf_add(s->marked, s->copied, (size_t)(s->p - s->copied));
    *ret = buf_str(s->marked);
    *ret_n = s->marked->len;
    return buf_ok(s->marked) < 0 ? err_set(s->e, -ENOMEM, "out of memory") : 0;
}

static bool only_blanks(const char *text, size_t n)
{
    struct scan s = {.p = text, .end = text + n};

    blanks(&s);
    return s.p == s.end;
}

int js_scan(const char *text, size_t n, const char **ret, size_t *ret_n, struct err *e)
{
    struct scan s = {.p = text, .end = text + n, .e = e};

    if (only_blanks(text, n))
        return err_set(e, -EINVAL, "EOF");
    return scan_first(&s, ret, ret_n);
}

int js_gate(const char *text, size_t n, struct buf *marked, const char **ret, size_t *ret_n,
            struct err *e)
{
    struct scan s = {.p = text, .end = text + n, .e = e, .marked = marked};

    if (only_blanks(text, n))
        return err_set(e, -EINVAL, "EOF");
    return gate(&s, ret, ret_n);
}

int js_gate_element(struct js_list *l, struct buf *marked, const char **ret, size_t *ret_n,
                    struct err *e)
{
    struct scan s = {.p = l->p, .end = l->end, .e = e, .depth = 1, .marked = marked};
    int r;

    if (!l->inside)
        s.p++; /* the bracket */
    blanks(&s);
    if (at(&s, ']'))
        return 0;
    if (l->inside && !at(&s, ','))
        return bad(&s, "after array element");
    if (l->inside)
        s.p++;
    l->inside = true;
    r = gate(&s, ret, ret_n);
    l->p = s.p;
    return r < 0 ? r : 1;
}
