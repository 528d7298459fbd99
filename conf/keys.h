/* conf/keys.h - every configuration key of Nomad 0.10 .. 2.0, one row each.
 *
 * The rows (conf/keys.c) drive reading, merging, defaults, flags and usage text, the answer to a
 * key that Picket does not have, reload reports and docs/config.md.
 *
 * Depends on: conf/conf.h.
 */
#pragma once

#include "base/buf.h"
#include "conf/conf.h"

enum key_type {
    K_STR,
    K_INT,
    K_FLOAT,
    K_BOOL, /* can only be switched on by a later file (Nomad's plain bool) */
    K_INTP, /* any value that is set wins, 0 too (Nomad's pointers) */
    K_STRP,
    K_BOOLP,
    K_DUR,   /* Go duration in quotes; ns in struct conf */
    K_LIST,  /* of strings */
    K_MAP,   /* of strings, merged by key */
    K_FREE,  /* a block of free form, kept as JSON */
    K_BLOCK, /* its keys follow */
    K_LABEL, /* block with a label, repeatable; its keys follow */
    K_TYPE_MAX,
};

enum key_action {
    KEY_USE,    /* has an effect */
    KEY_PART,   /* answered by the row of its block or by the switch beside it: nothing to say */
    KEY_WARN,   /* no effect yet: a warning when it is set to anything but its default */
    KEY_REFUSE, /* would change security or placement: an error when set to anything but its default
                 */
    KEY_IGNORE, /* no effect, and harmless: why says so */
};

enum key_flags {
    KEY_HUP = 1 << 0,         /* a reload applies it */
    KEY_APPEND = 1 << 1,      /* lists: later files append; without it they replace */
    KEY_REPEAT = 1 << 2,      /* may stand several times in one place */
    KEY_SECRET = 1 << 3,      /* never printed */
    KEY_FLAG_COMMA = 1 << 4,  /* the flag's value is a comma list */
    KEY_FLAG_REPEAT = 1 << 5, /* the flag may stand several times */
    KEY_ZERO = 1 << 6,        /* durations: zero is a value (Nomad keeps them as text) */
};

enum { KEY_NO_MEMBER = 0xffff, KEY_CHILDREN_MAX = 128 };

struct conf_key {
    const char *path; /* "client.reserved.cpu" */
    enum key_type type;
    uint16_t off,
        off_n;      /* member of struct conf (below a label: of its struct), or KEY_NO_MEMBER */
    unsigned roles; /* who takes it: CONF_CLIENT | CONF_SERVER */
    enum key_action action;
    const char *def;   /* default as text; NULL = unset */
    const char *since; /* release that brought it; NULL = 0.10 or older */
    const char *flag;  /* "data-dir"; NULL = none */
    const char *help;  /* one line */
    const char *why;   /* WARN, REFUSE, IGNORE: what follows from it */
    unsigned flags;
};

extern const struct conf_key conf_keys[];
extern const size_t n_conf_keys;

const char *key_name(const struct conf_key *k); /* last part of the path */
const char *key_type_name(enum key_type t);     /* "a string" */
const char *key_action_name(enum key_action a); /* "used", "warns" ... */
/* by whole path, exactly; NULL when there is none */
const struct conf_key *key_find(const char *path);
/* the key called name (any case) directly inside the block ("" = top level); NULL */
const struct conf_key *key_child(const char *block, const char *name);
/* the row's block: "client.reserved" for client.reserved.cpu, "" at the top; false when k is not
 * directly inside */
bool key_is_child(const struct conf_key *k, const char *block);
/* whether k is somewhere below a row with a label: its member is not one of struct conf */
bool key_in_label(const struct conf_key *k);
const struct conf_key *key_by_flag(const char *flag);
static inline size_t key_index(const struct conf_key *k)
{
    return (size_t)(k - conf_keys);
}
/* Says what is wrong with an unknown key: the nearest known one, the block where a key of that name
 * belongs, what is allowed here.  Appended to out. */
void key_explain_unknown(const char *block, const char *name, bool list, struct buf *out);
