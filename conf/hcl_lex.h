/* conf/hcl_lex.h - text to tokens.  Internal to conf/. */
#pragma once

#include "conf/hcl_scan.h"

enum hcl_token_type {
    TOK_EOF,
    TOK_IDENT,
    TOK_NUMBER,
    TOK_FLOAT,
    TOK_BOOL,
    TOK_STRING,
    TOK_HEREDOC,
    TOK_LBRACK,
    TOK_LBRACE,
    TOK_COMMA,
    TOK_PERIOD,
    TOK_RBRACK,
    TOK_RBRACE,
    TOK_ASSIGN,
    TOK_ADD,
    TOK_SUB,
    TOK_MAX,
};

struct hcl_token {
    enum hcl_token_type type;
    struct hcl_pos pos;
    struct buf text; /* strings decoded, all else as written; owned until the next token */
};

/* skips blanks and comments, reads one token into t (whose text is reset); -EINVAL with the error
 */
int hcl_lex(struct hcl_scan *s, struct hcl_token *t) _must_check_;
const char *hcl_token_name(enum hcl_token_type type); /* "LBRACE" */
