/* conf/draft.h - what files and flags say, merged but not yet turned into struct conf.
 *
 * One setting per row of the key table, as text in a normal form, with the place it came from, so
 * that every later complaint can name file, line and column.  Blocks with a label are instances.
 * Internal to conf/.
 */
#pragma once

#include "conf/hcl.h"
#include "conf/keys.h"

struct place {
    const char *file; /* borrowed from the draft's list of files; NULL: see flag */
    const char *flag; /* borrowed from the key table; NULL: no place */
    struct hcl_pos pos;
};

struct setting {
    bool set;
    struct place at;
    char *text;  /* scalars: "true", decimal numbers, durations as written, strings; K_FREE: JSON */
    char **list; /* K_LIST */
    size_t n_list;
    struct strmap map; /* K_MAP */
};

struct instance {
    const struct conf_key *key; /* the K_LABEL row */
    char *label;
    struct place at;
    unsigned file_no;    /* that gave it last */
    struct setting *set; /* of the rows below key, in their order */
    size_t n_set;
};

struct draft {
    struct setting *set; /* n_conf_keys */
    struct instance *inst;
    size_t n_inst;
    char **files;
    size_t n_files;
    bool *explained; /* per row: its block's keys have been listed in an error already */
    bool top_explained;
    bool incomplete;            /* a file could not be read: what is missing may stand there */
    struct conf_report *report; /* borrowed */
};

void draft_init(struct draft *d, struct conf_report *report);
void draft_done(struct draft *d);

/* "file:line:column: text", "-flag: text" or just the text, added to the report */
void draft_error(struct draft *d, const struct place *at, const char *fmt, ...) _printf_(3, 4);
void draft_warn(struct draft *d, const struct place *at, const char *fmt, ...) _printf_(3, 4);

/* the setting of a row at the top or in an unlabelled block; never NULL */
struct setting *draft_setting(const struct draft *d, const char *path);
/* its merged text, or the row's default; NULL when there is neither */
const char *draft_text(const struct draft *d, const char *path);
/* the setting of a row below an instance's; never NULL */
struct setting *instance_setting(const struct instance *in, const struct conf_key *k);
struct instance *draft_instance(struct draft *d, const struct conf_key *k, const char *label);
struct instance *draft_add_instance(struct draft *d, const struct conf_key *k, const char *label);
void instance_reset(struct instance *in); /* forgets its settings */
bool key_below(const struct conf_key *k, const struct conf_key *block);

/* merges src over dst by the row's type (fact: config.md 0 and 3); src is emptied */
void setting_merge(const struct conf_key *k, struct setting *dst, struct setting *take_src);
void setting_done(struct setting *s);

/* reads one parsed file into the draft; d->files' last is its name */
void draft_read(struct draft *d, const struct hcl_doc *doc);
/* Turns one value into a setting.  false: an error has been reported. */
bool draft_coerce(struct draft *d, const struct conf_key *k, const char *path,
                  const struct hcl_value *v, const struct place *at, struct setting *ret);
/* the same for text from the command line or a default; error: what is wrong with it */
int setting_from_text(const struct conf_key *k, const char *text, struct setting *ret,
                      struct err *e) _must_check_;
/* a free-form block as JSON text */
char *hcl_to_json(const struct hcl_value *v);

/* struct conf of a draft: defaults, members, warnings and refusals of rows, checks */
void draft_fill(struct draft *d, unsigned role, struct conf *ret);
void draft_answer(struct draft *d, unsigned role);
void conf_validate(struct draft *d, unsigned role, const struct conf *c);
