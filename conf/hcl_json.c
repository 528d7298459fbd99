/* JSON as a configuration file: the standard's grammar, strictly, into the same tree as HCL.  The
 * real reader is lax (commas may be missing, what follows the object is ignored); nothing that it
 * means differently is accepted here.  Not json-c, because that keeps no places. */
#include "conf/hcl_scan.h"

#include <errno.h>
#include <string.h>

#include "base/limits.h"
#include "base/vec.h"

struct json {
    struct hcl_scan *scan;
    unsigned depth;
    size_t n_values;
};

static int json_value(struct json *j, struct hcl_value *ret);

static int space(struct json *j)
{
    int c;

    while ((c = hcl_peek(j->scan)) == ' ' || c == '\t' || c == '\n' || c == '\r')
        (void)hcl_next(j->scan);
    return c;
}

static int json_expected(struct json *j, const char *what)
{
    int c = hcl_peek(j->scan);

    if (c < 0)
        return hcl_error(j->scan, j->scan->pos, "JSON: %s expected, the file ends", what);
    if (c <= ' ' || c >= 0x7f)
        return hcl_error(j->scan, j->scan->pos, "JSON: %s expected", what);
    return hcl_error(j->scan, j->scan->pos, "JSON: %s expected, got '%c'", what, c);
}

static int json_string(struct json *j, struct hcl_value *ret)
{
    struct buf text _cleanup_buf_ = BUF_INIT(READ_CAP_CONFIG);

    (void)hcl_next(j->scan);
    for (;;) {
        struct hcl_pos at = j->scan->pos;
        int c = hcl_next(j->scan), r = 0;

        if (c == '"')
            return hcl_set_string(j->scan, &text, ret);
        if (c < 0 || c == '\n')
            return hcl_error(j->scan, at, "literal not terminated (the string starts at %u:%u)",
                             ret->pos.line, ret->pos.column);
        if (c < ' ')
            return hcl_error(j->scan, at, "JSON: a control character needs an escape");
        if (c == '\\')
            r = hcl_escape(j->scan, true, &text);
        else
            buf_add_byte(&text, (uint8_t)c);
        if (r < 0)
            return r;
    }
}

static void take_digits(struct json *j)
{
    while (hcl_peek(j->scan) >= '0' && hcl_peek(j->scan) <= '9')
        (void)hcl_next(j->scan);
}

static bool at_digit(struct json *j)
{
    return hcl_peek(j->scan) >= '0' && hcl_peek(j->scan) <= '9';
}

static int json_number(struct json *j, struct hcl_value *ret)
{
    const char *from = j->scan->p;

    ret->kind = HCL_INT;
    if (hcl_peek(j->scan) == '-')
        (void)hcl_next(j->scan);
    if (!at_digit(j))
        return json_expected(j, "a digit");
    if (hcl_next(j->scan) == '0' && at_digit(j))
        return hcl_error(j->scan, ret->pos, "JSON: numbers cannot start with 0");
    take_digits(j);
    if (hcl_peek(j->scan) == '.') {
        ret->kind = HCL_FLOAT;
        (void)hcl_next(j->scan);
        if (!at_digit(j))
            return json_expected(j, "a digit");
        take_digits(j);
    }
    if (hcl_peek(j->scan) == 'e' || hcl_peek(j->scan) == 'E') {
        ret->kind = HCL_FLOAT;
        (void)hcl_next(j->scan);
        if (hcl_peek(j->scan) == '-' || hcl_peek(j->scan) == '+')
            (void)hcl_next(j->scan);
        if (!at_digit(j))
            return json_expected(j, "a digit");
        take_digits(j);
    }
    ret->text = xstrndup(from, (size_t)(j->scan->p - from));
    return 0;
}

static int json_word(struct json *j, struct hcl_value *ret)
{
    static const struct {
        const char *word;
        enum hcl_kind kind;
        bool boolean;
    } words[] = {
        {"true",  HCL_BOOL, true },
        {"false", HCL_BOOL, false},
        {"null",  HCL_NULL, false}
    };

    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        size_t n = strlen(words[i].word);

        if ((size_t)(j->scan->end - j->scan->p) < n || memcmp(j->scan->p, words[i].word, n) != 0)
            continue;
        while (n-- > 0)
            (void)hcl_next(j->scan);
        ret->kind = words[i].kind;
        ret->boolean = words[i].boolean;
        ret->text = xstrdup(words[i].word);
        return 0;
    }
    return json_expected(j, "a value");
}

/* behind a value: 1 = a comma was taken, 0 = the closing sign was taken */
static int json_more(struct json *j, int closing, const char *expected)
{
    int c = space(j);

    if (c != ',' && c != closing)
        return json_expected(j, expected);
    (void)hcl_next(j->scan);
    return c == ',';
}

static int json_list(struct json *j, struct hcl_value *ret)
{
    int r;

    ret->kind = HCL_LIST;
    (void)hcl_next(j->scan);
    if (space(j) == ']') {
        (void)hcl_next(j->scan);
        return 0;
    }
    do {
        (void)space(j);
        r = json_value(j, vec_add(&ret->items, &ret->n_items));
        if (r == 0)
            r = json_more(j, ']', "',' or ']'");
    } while (r > 0);
    return r;
}

static int json_member(struct json *j, struct hcl_value *object)
{
    struct hcl_value key = {.pos = j->scan->pos};
    struct hcl_member *m;
    int r;

    if (space(j) != '"')
        return json_expected(j, "a key in double quotes");
    key.pos = j->scan->pos;
    r = json_string(j, &key);
    if (r < 0)
        return r;
    m = hcl_add_member(object);
    hcl_add_word(m, key.text, key.pos);
    hcl_value_done(&key);
    if (space(j) != ':')
        return json_expected(j, "':'");
    (void)hcl_next(j->scan);
    (void)space(j);
    return json_value(j, &m->value);
}

static int json_object(struct json *j, struct hcl_value *ret)
{
    int r;

    ret->kind = HCL_OBJECT;
    (void)hcl_next(j->scan);
    if (space(j) == '}') {
        (void)hcl_next(j->scan);
        return 0;
    }
    do {
        r = json_member(j, ret);
        if (r == 0)
            r = json_more(j, '}', "',' or '}'");
    } while (r > 0);
    return r;
}

static int json_value(struct json *j, struct hcl_value *ret)
{
    int c = hcl_peek(j->scan), r;

    ret->pos = j->scan->pos;
    ret->json = true;
    if (++j->n_values > HCL_VALUES_MAX)
        return hcl_error(j->scan, ret->pos, "more than %d values in one file", HCL_VALUES_MAX);
    if (c == '"')
        return json_string(j, ret);
    if (c == '-' || (c >= '0' && c <= '9'))
        return json_number(j, ret);
    if (c != '{' && c != '[')
        return json_word(j, ret);
    if (++j->depth > HCL_DEPTH_MAX)
        return hcl_error(j->scan, ret->pos, "nested more than %d levels deep", HCL_DEPTH_MAX);
    r = c == '{' ? json_object(j, ret) : json_list(j, ret);
    j->depth--;
    return r;
}

int hcl_parse_json(struct hcl_scan *s, struct hcl_value *ret)
{
    struct json j = {.scan = s};
    int r;

    (void)space(&j);
    r = json_value(&j, ret);
    if (r < 0)
        return r;
    if (space(&j) >= 0)
        return hcl_error(s, s->pos, "JSON: nothing may follow the object");
    return 0;
}
