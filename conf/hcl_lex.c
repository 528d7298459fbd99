#include "conf/hcl_lex.h"

#include <string.h>

/* A word starts with a letter or '_'.  Every character beyond ASCII counts as a letter: the real
 * decoder asks Unicode, but such words can only be map keys or unknown. */
static bool is_letter(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c >= 0x80;
}

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static bool is_hex(int c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static void take(struct hcl_scan *s, struct hcl_token *t)
{
    buf_add_byte(&t->text, (uint8_t)hcl_next(s));
}

static void skip_line(struct hcl_scan *s)
{
    while (hcl_peek(s) >= 0 && hcl_peek(s) != '\n')
        (void)hcl_next(s);
}

static int skip_block_comment(struct hcl_scan *s)
{
    struct hcl_pos start = s->pos;

    (void)hcl_next(s);
    (void)hcl_next(s);
    while (hcl_peek(s) >= 0) {
        if (hcl_next(s) == '*' && hcl_peek(s) == '/') {
            (void)hcl_next(s);
            return 0;
        }
    }
    return hcl_error(s, s->pos, "comment not terminated (it starts at line %u)", start.line);
}

/* blanks and comments */
static int skip_space(struct hcl_scan *s)
{
    for (;;) {
        int c = hcl_peek(s), r;

        if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
            (void)hcl_next(s);
        } else if (c == '#' || (c == '/' && hcl_peek_at(s, 1) == '/')) {
            skip_line(s);
        } else if (c == '/' && hcl_peek_at(s, 1) == '*') {
            r = skip_block_comment(s);
            if (r < 0)
                return r;
        } else if (c == '/') {
            return hcl_error(s, s->pos, "expected '/' for comment");
        } else {
            return 0;
        }
    }
}

/* An escape inside ${...} must be a legal one, but stays as written. */
static int raw_escape(struct hcl_scan *s, struct hcl_token *t)
{
    struct buf scratch _cleanup_buf_ = BUF_INIT(16);
    const char *from = s->p - 1;
    int r = hcl_escape(s, false, &scratch);

    if (r == 0)
        buf_add(&t->text, from, (size_t)(s->p - from));
    return r;
}

static int lex_string(struct hcl_scan *s, struct hcl_token *t)
{
    unsigned braces = 0;

    t->type = TOK_STRING;
    (void)hcl_next(s);
    for (;;) {
        struct hcl_pos at = s->pos;
        int c = hcl_next(s), r = 0;

        if (c < 0 || (c == '\n' && braces == 0))
            return hcl_error(s, at, "literal not terminated (the string starts at %u:%u)",
                             t->pos.line, t->pos.column);
        if (c == '"' && braces == 0)
            return 0;
        if (c == '\\') {
            r = braces ? raw_escape(s, t) : hcl_escape(s, false, &t->text);
            if (r < 0)
                return r;
            continue;
        }
        buf_add_byte(&t->text, (uint8_t)c);
        if (braces == 0 && c == '$' && hcl_peek(s) == '{') {
            take(s, t);
            braces = 1;
        } else if (braces > 0) {
            braces += c == '{' ? 1U : 0;
            braces -= c == '}' ? 1U : 0;
        }
    }
}

static int finish_number(struct hcl_scan *s, struct hcl_token *t)
{
    if (hcl_peek(s) == '.') {
        t->type = TOK_FLOAT;
        take(s, t);
        while (is_digit(hcl_peek(s)))
            take(s, t);
    }
    if (hcl_peek(s) == 'e' || hcl_peek(s) == 'E') {
        t->type = TOK_FLOAT;
        take(s, t);
        if (hcl_peek(s) == '-' || hcl_peek(s) == '+')
            take(s, t);
        if (!is_digit(hcl_peek(s)))
            return hcl_error(s, s->pos, "illegal exponent: digits expected");
        while (is_digit(hcl_peek(s)))
            take(s, t);
    }
    return 0;
}

static int lex_number(struct hcl_scan *s, struct hcl_token *t)
{
    bool zero, octal = true;
    int r;

    t->type = TOK_NUMBER;
    if (hcl_peek(s) == '-')
        take(s, t);
    zero = hcl_peek(s) == '0';
    if (zero && (hcl_peek_at(s, 1) == 'x' || hcl_peek_at(s, 1) == 'X')) {
        take(s, t);
        take(s, t);
        if (!is_hex(hcl_peek(s)))
            return hcl_error(s, s->pos, "illegal hexadecimal number");
        while (is_hex(hcl_peek(s)))
            take(s, t);
        return 0;
    }
    while (is_digit(hcl_peek(s))) {
        octal = octal && hcl_peek(s) < '8';
        take(s, t);
    }
    r = finish_number(s, t);
    if (r == 0 && zero && !octal && t->type == TOK_NUMBER)
        return hcl_error(s, s->pos, "illegal octal number");
    return r;
}

/* Whether the line [line, end) closes the heredoc: the tag after blanks.  With "<<-" the line must
 * be longer than the tag: an unindented tag does not close it (hcl v1.0.0 scanner.go). */
static bool heredoc_ends(const char *line, const char *end, const char *tag, size_t n, bool dash)
{
    if ((size_t)(end - line) < n + dash)
        return false;
    while (line < end && (*line == ' ' || (*line >= '\t' && *line <= '\r')))
        line++;
    return (size_t)(end - line) == n && memcmp(line, tag, n) == 0;
}

/* "<<-": takes the closing line's indentation from every line, if every line has it; else only
 * the blanks before the tag are cut.  body ends right before the tag. */
static void heredoc_unindent(const char *body, const char *end, struct buf *out)
{
    const char *last = end, *line;
    size_t indent;

    while (last > body && last[-1] != '\n')
        last--;
    indent = (size_t)(end - last);
    for (line = body; line < last;
         line = (const char *)memchr(line, '\n', (size_t)(end - line)) + 1)
        if ((size_t)(end - line) < indent || memcmp(line, last, indent) != 0)
            break;
    if (line < last) {
        while (end > body && (end[-1] == ' ' || end[-1] == '\t'))
            end--;
        buf_add(out, body, (size_t)(end - body));
        return;
    }
    for (line = body; line < last;) {
        const char *next = (const char *)memchr(line, '\n', (size_t)(end - line)) + 1;

        buf_add(out, line + indent, (size_t)(next - line) - indent);
        line = next;
    }
}

static int lex_heredoc(struct hcl_scan *s, struct hcl_token *t)
{
    const char *tag, *body, *line;
    size_t n;
    bool dash;

    t->type = TOK_HEREDOC;
    (void)hcl_next(s);
    if (hcl_peek(s) != '<')
        return hcl_error(s, s->pos, "heredoc expected second '<', didn't see it");
    (void)hcl_next(s);
    dash = hcl_peek(s) == '-';
    if (dash)
        (void)hcl_next(s);
    tag = s->p;
    while (is_letter(hcl_peek(s)) || is_digit(hcl_peek(s)))
        (void)hcl_next(s);
    n = (size_t)(s->p - tag);
    if (hcl_peek(s) >= 0 && hcl_peek(s) != '\n')
        return hcl_error(s, s->pos, "invalid characters in heredoc anchor");
    if (hcl_peek(s) >= 0 && n == 0)
        return hcl_error(s, s->pos, "zero-length heredoc anchor");
    (void)hcl_next(s);
    for (body = line = s->p; hcl_peek(s) >= 0;) {
        if (hcl_peek(s) != '\n') {
            (void)hcl_next(s);
            continue;
        }
        if (heredoc_ends(line, s->p, tag, n, dash)) {
            if (dash)
                heredoc_unindent(body, s->p - n, &t->text);
            else
                buf_add(&t->text, body, (size_t)(s->p - n - body));
            return 0;
        }
        (void)hcl_next(s);
        line = s->p;
    }
    return hcl_error(s, s->pos, "heredoc not terminated (no line with only %.*s%s after line %u)",
                     (int)MIN(n, 40U), tag, dash ? ", indented," : "", t->pos.line);
}

static int lex_word(struct hcl_scan *s, struct hcl_token *t)
{
    while (is_letter(hcl_peek(s)) || is_digit(hcl_peek(s)) || hcl_peek(s) == '-' ||
           hcl_peek(s) == '.')
        take(s, t);
    t->type = TOK_IDENT;
    if (strcmp(buf_str(&t->text), "true") == 0 || strcmp(buf_str(&t->text), "false") == 0)
        t->type = TOK_BOOL;
    return 0;
}

static int lex_sign(struct hcl_scan *s, struct hcl_token *t)
{
    static const struct {
        int c;
        enum hcl_token_type type;
    } signs[] = {
        {'[', TOK_LBRACK},
        {'{', TOK_LBRACE},
        {',', TOK_COMMA },
        {'.', TOK_PERIOD},
        {']', TOK_RBRACK},
        {'}', TOK_RBRACE},
        {'=', TOK_ASSIGN},
        {'+', TOK_ADD   },
        {'-', TOK_SUB   },
    };

    for (size_t i = 0; i < ARRAY_LEN(signs); i++)
        if (signs[i].c == hcl_peek(s)) {
            t->type = signs[i].type;
            take(s, t);
            return 0;
        }
    return hcl_error(s, s->pos, "illegal char %s",
                     hcl_peek(s) == '\''  ? "(strings are written with \")"
                     : hcl_peek(s) == ';' ? "; (nothing is needed between settings)"
                     : hcl_peek(s) == ':' ? ": (settings are written with =)"
                                          : "");
}

int hcl_lex(struct hcl_scan *s, struct hcl_token *t)
{
    int c, r;

    buf_reset(&t->text);
    r = skip_space(s);
    if (r < 0)
        return r;
    t->pos = s->pos;
    c = hcl_peek(s);
    if (c < 0) {
        t->type = TOK_EOF;
        return 0;
    }
    if (is_letter(c))
        return lex_word(s, t);
    if (c == '"')
        return lex_string(s, t);
    if (c == '<')
        return lex_heredoc(s, t);
    if (is_digit(c) || ((c == '-' || c == '.') && is_digit(hcl_peek_at(s, 1))))
        return lex_number(s, t);
    return lex_sign(s, t);
}

const char *hcl_token_name(enum hcl_token_type type)
{
    static const char *const names[] = {"EOF",     "IDENT",  "NUMBER", "FLOAT", "BOOL",   "STRING",
                                        "HEREDOC", "LBRACK", "LBRACE", "COMMA", "PERIOD", "RBRACK",
                                        "RBRACE",  "ASSIGN", "ADD",    "SUB"};

    return names[type];
}
