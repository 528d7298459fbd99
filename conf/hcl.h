/* conf/hcl.h - reader for HCL version 1 and JSON, with the place of everything it read.
 *
 * The grammar is the one of Nomad's agent configuration (fact: platform 1.1, verified against its
 * decoder); a text whose first non-blank byte is '{' is JSON.  Stricter than Nomad on purpose: JSON
 * by the standard, and strings must be UTF-8 without NUL also after escapes.  The result is a tree
 * that keeps the order of the text; what the keys mean is conf/decode's business.
 *
 * Nothing is interpolated: "${...}" is ordinary text, its backslashes stay as written.
 *
 * Owns: a document owns all below it.  Depends on: base/.
 */
#pragma once

#include "base/err.h"

struct hcl_pos {
    unsigned line, column; /* from 1, columns in characters; 0 = no place */
};

enum hcl_kind {
    HCL_NULL, /* JSON only */
    HCL_BOOL,
    HCL_INT,
    HCL_FLOAT,
    HCL_STRING,
    HCL_LIST,
    HCL_OBJECT,
};

struct hcl_value {
    enum hcl_kind kind;
    struct hcl_pos pos;
    char *text; /* owned; strings decoded, numbers and booleans as written; NULL otherwise */
    bool boolean;
    struct hcl_value *items; /* HCL_LIST */
    size_t n_items;
    struct hcl_member *members; /* HCL_OBJECT, in the order written, doubles kept */
    size_t n_members;
    bool json; /* read from JSON: lists of objects may stand for repeated blocks */
};

struct hcl_word {
    char *text; /* owned */
    struct hcl_pos pos;
};

/* "a = value", or the block "a label label { ... }" */
struct hcl_member {
    struct hcl_word *words; /* the key, then labels; at least one */
    size_t n_words;
    struct hcl_value value;
};

struct hcl_doc {
    char *file;            /* for messages; owned */
    struct hcl_value root; /* HCL_OBJECT */
};

/* Parses n bytes.  file is only for messages.  Returns 0; or -EINVAL with "file:line:column: text",
 * -EFBIG when longer than READ_CAP_CONFIG; then there is nothing to release. */
int hcl_parse(const char *file, const char *text, size_t n, struct hcl_doc *ret,
              struct err *e) _must_check_;
void hcl_done(struct hcl_doc *d);
void hcl_value_done(struct hcl_value *v);

const char *hcl_kind_name(enum hcl_kind k); /* "a list", for messages */
