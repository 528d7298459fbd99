#include "conf/hcl.h"

#include <errno.h>
#include <string.h>

#include "base/limits.h"
#include "base/str.h"
#include "base/vec.h"
#include "conf/hcl_lex.h"

struct parser {
    struct hcl_scan scan;
    struct hcl_token tok; /* the one token of look-ahead */
    unsigned depth;
    size_t n_values;
};

static int parse_object(struct parser *p, bool nested, struct hcl_value *ret);
static int parse_value(struct parser *p, struct hcl_value *ret);

static int advance(struct parser *p)
{
    return hcl_lex(&p->scan, &p->tok);
}

/* what the text of a token looks like in a message: one line, cut */
static const char *token_text(const struct hcl_token *t, char ret[48])
{
    size_t n = 0;

    for (size_t i = 0; i < t->text.len && n < 40; i++)
        ret[n++] = (char)(t->text.p[i] < ' ' ? ' ' : t->text.p[i]);
    while (n >= 40 && ((unsigned char)ret[n - 1] & 0x80)) /* not half a character */
        n--;
    ret[n] = 0;
    return ret;
}

static int count_value(struct parser *p, struct hcl_pos at)
{
    if (++p->n_values > HCL_VALUES_MAX)
        return hcl_error(&p->scan, at, "more than %d values in one file", HCL_VALUES_MAX);
    return 0;
}

static int enter(struct parser *p)
{
    if (++p->depth > HCL_DEPTH_MAX)
        return hcl_error(&p->scan, p->tok.pos, "nested more than %d levels deep", HCL_DEPTH_MAX);
    return 0;
}

/* the token is "["; leading, double and trailing commas are let pass, as in Nomad */
static int parse_list(struct parser *p, struct hcl_value *ret)
{
    int r;

    ret->kind = HCL_LIST;
    r = enter(p);
    if (r == 0)
        r = advance(p);
    while (r == 0) {
        while (r == 0 && p->tok.type == TOK_COMMA)
            r = advance(p);
        if (r < 0)
            return r;
        if (p->tok.type == TOK_RBRACK) {
            p->depth--;
            return advance(p);
        }
        if (p->tok.type != TOK_EOF)
            r = parse_value(p, vec_add(&ret->items, &ret->n_items));
        if (r == 0 && p->tok.type != TOK_COMMA && p->tok.type != TOK_RBRACK)
            return hcl_error(&p->scan, p->tok.pos,
                             "error parsing list, expected comma or list end, got: %s",
                             hcl_token_name(p->tok.type));
    }
    return r;
}

/* the token is "{"; afterwards the one behind "}" */
static int parse_block(struct parser *p, struct hcl_value *ret)
{
    struct hcl_pos start = p->tok.pos;
    int r = enter(p);

    if (r == 0)
        r = advance(p);
    if (r == 0)
        r = parse_object(p, true, ret);
    if (r < 0)
        return r;
    if (p->tok.type != TOK_RBRACE)
        return hcl_error(&p->scan, p->tok.pos,
                         "object expected closing RBRACE got: %s (the block starts at line %u)",
                         hcl_token_name(p->tok.type), start.line);
    p->depth--;
    return advance(p);
}

static int unknown_token(struct parser *p)
{
    char text[48];
    bool word = p->tok.type == TOK_IDENT;

    if (p->tok.type == TOK_EOF)
        return hcl_error(&p->scan, p->tok.pos, "the value is missing");
    return hcl_error(&p->scan, p->tok.pos, "Unknown token: %s %s%s", hcl_token_name(p->tok.type),
                     token_text(&p->tok, text),
                     word ? " (text needs double quotes, switches are true and false)" : "");
}

/* the token is the value's first; afterwards the one behind it */
static int parse_value(struct parser *p, struct hcl_value *ret)
{
    static const enum hcl_kind kinds[TOK_MAX] = {
        [TOK_NUMBER] = HCL_INT,    [TOK_FLOAT] = HCL_FLOAT,    [TOK_BOOL] = HCL_BOOL,
        [TOK_STRING] = HCL_STRING, [TOK_HEREDOC] = HCL_STRING,
    };
    int r;

    ret->pos = p->tok.pos;
    r = count_value(p, p->tok.pos);
    if (r < 0)
        return r;
    if (p->tok.type == TOK_LBRACK)
        return parse_list(p, ret);
    if (p->tok.type == TOK_LBRACE)
        return parse_block(p, ret);
    if (kinds[p->tok.type] == HCL_NULL)
        return unknown_token(p);
    r = hcl_set_string(&p->scan, &p->tok.text, ret);
    if (r < 0)
        return r;
    ret->kind = kinds[p->tok.type];
    ret->boolean = ret->kind == HCL_BOOL && str_eq(ret->text, "true");
    return advance(p);
}

/* the key and the labels, up to "=" or "{" */
static int parse_words(struct parser *p, struct hcl_member *m)
{
    char text[48];

    while (p->tok.type == TOK_IDENT || p->tok.type == TOK_STRING) {
        struct hcl_value word = {.pos = p->tok.pos};
        int r = hcl_set_string(&p->scan, &p->tok.text, &word);

        if (r == 0)
            r = count_value(p, word.pos);
        if (r == 0)
            hcl_add_word(m, word.text, word.pos);
        hcl_value_done(&word);
        if (r == 0)
            r = advance(p);
        if (r < 0)
            return r;
    }
    if (p->tok.type == TOK_ASSIGN && m->n_words > 1)
        return hcl_error(&p->scan, p->tok.pos, "nested object expected: LBRACE got: ASSIGN");
    if (p->tok.type == TOK_ASSIGN && m->n_words == 0)
        return hcl_error(&p->scan, p->tok.pos, "no object keys found!");
    if (p->tok.type == TOK_LBRACE && m->n_words == 0)
        return hcl_error(&p->scan, p->tok.pos, "expected: IDENT | STRING got: LBRACE");
    if (p->tok.type == TOK_ASSIGN || p->tok.type == TOK_LBRACE)
        return 0;
    if (p->tok.type == TOK_EOF)
        return hcl_error(&p->scan, p->tok.pos,
                         "key '%.40s' expected start of object ('{') or assignment ('=')",
                         m->words[m->n_words - 1].text);
    return hcl_error(&p->scan, p->tok.pos, "expected: IDENT | STRING | ASSIGN | LBRACE got: %s %s",
                     hcl_token_name(p->tok.type), token_text(&p->tok, text));
}

/* the members of a block or of the file; ends at "}" (nested) or the end of the text */
static int parse_object(struct parser *p, bool nested, struct hcl_value *ret)
{
    ret->kind = HCL_OBJECT;
    while (p->tok.type != TOK_EOF && !(nested && p->tok.type == TOK_RBRACE)) {
        struct hcl_member *m = hcl_add_member(ret);
        int r = parse_words(p, m);

        if (r == 0 && p->tok.type == TOK_ASSIGN)
            r = advance(p);
        if (r == 0)
            r = parse_value(p, &m->value);
        if (r == 0 && p->tok.type == TOK_COMMA) /* one comma between items is let pass */
            r = advance(p);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Characters that are wrong wherever they stand: invalid UTF-8, NUL, a byte order mark. */
static int check_text(struct hcl_scan s)
{
    bool valid = str_utf8_valid(s.p, (size_t)(s.end - s.p));

    while (hcl_peek(&s) >= 0) {
        size_t n = (size_t)(s.end - s.p), len = 1;
        int c = hcl_peek(&s);

        if (c == 0)
            return hcl_error(&s, s.pos, "unexpected null character (0x00)");
        if (c >= 0x80) {
            while (len < 4 && len < n && ((unsigned char)s.p[len] & 0xc0) == 0x80)
                len++;
            if (!valid && !str_utf8_valid(s.p, len))
                return hcl_error(&s, s.pos, "illegal UTF-8 encoding");
            if (n >= 3 && memcmp(s.p, "\xef\xbb\xbf", 3) == 0)
                return hcl_error(&s, s.pos, "illegal char: a byte order mark");
        }
        for (size_t i = 0; i < len; i++)
            (void)hcl_next(&s);
    }
    return 0;
}

static int parse_text(struct hcl_scan *s, struct hcl_value *root)
{
    struct parser p = {.scan = *s, .tok.text = BUF_INIT(READ_CAP_CONFIG)};
    int r;

    r = advance(&p);
    if (r == 0)
        r = parse_object(&p, false, root);
    buf_done(&p.tok.text);
    return r;
}

/* "\r\n" becomes "\n" before anything else, also inside strings; returns the new length */
static size_t unix_lines(char *text, size_t n)
{
    size_t out = 0;

    for (size_t i = 0; i < n; i++)
        if (text[i] != '\r' || i + 1 >= n || text[i + 1] != '\n')
            text[out++] = text[i];
    text[out] = 0;
    return out;
}

int hcl_parse(const char *file, const char *text, size_t n, struct hcl_doc *ret, struct err *e)
{
    _cleanup_free_ char *copy = NULL;
    struct hcl_doc doc = {0};
    struct hcl_scan s = {
        .file = file, .pos = {1, 1},
             .e = e
    };
    int r;

    if (n > READ_CAP_CONFIG)
        return err_set(e, -EFBIG, "%s: larger than %zu MiB", file, READ_CAP_CONFIG / MIB);
    copy = xstrndup(text, n);
    s.p = copy;
    s.end = copy + unix_lines(copy, n);
    r = check_text(s);
    if (r < 0)
        return r;
    doc.file = xstrdup(file);
    r = s.p[strspn(s.p, " \t\r\n")] == '{' ? hcl_parse_json(&s, &doc.root)
                                           : parse_text(&s, &doc.root);
    if (r < 0) {
        hcl_done(&doc);
        return r;
    }
    *ret = doc;
    return 0;
}
