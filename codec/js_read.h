/* codec/js_read.h - what the parts of the JSON decoder share: a cursor over checked text, and Go's
 * words for values of the wrong type.  Private to codec/.
 *
 * js_scan() has checked the grammar before, so the functions only walk.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "codec/desc.h"

/* one field on the way from the outermost struct */
struct step {
    const struct step *up;
    const struct desc *in; /* the struct that has the field */
    const char *field;
};

struct rd {
    const char *p, *end;
    struct err *e;
    size_t budget;
};

/* the character that the next value begins with */
char rd_peek(struct rd *d);
/* the text of the next value; the cursor stands behind it */
void rd_take(struct rd *d, const char **ret, size_t *ret_n);
void rd_skip(struct rd *d);
/* when null is next: takes it and says so */
bool rd_null(struct rd *d);
/* Steps through { } or [ ]: true when another member or element follows.  *first is true before the
 * first call; the opening bracket is taken by it. */
bool rd_more(struct rd *d, bool *first);
/* the next value, a string; owned by the caller */
int rd_string(struct rd *d, char **ret, size_t *ret_n);
/* likewise a member's key; the cursor stands behind the colon */
int rd_key(struct rd *d, char **ret);
enum { NAME_MAX_LEN = 64 };
/* a member's key when it may be a field's name, else ""; the cursor stands behind the colon */
void rd_name(struct rd *d, char ret[NAME_MAX_LEN]);

/* "json: cannot unmarshal array into ..." at the next value: for a field, for a whole struct */
int rd_mismatch(struct rd *d, const struct step *s, const struct field *f);
int rd_mismatch_struct(struct rd *d, const struct step *s, const struct desc *desc);
/* "json: cannot unmarshal number 1.5 into ..." */
int rd_bad_number(struct rd *d, const struct step *s, const struct field *f, const char *number);
/* the answer of codec/alloc.h in words; 0 stays 0 */
int rd_memory(struct rd *d, int r);

/* the next value, which is not null */
int rd_str(struct rd *d, const struct step *s, const struct field *f, char **ret);
int rd_bool(struct rd *d, const struct step *s, const struct field *f, bool *ret);
int rd_i64(struct rd *d, const struct step *s, const struct field *f, int64_t *ret);
int rd_u64(struct rd *d, const struct step *s, const struct field *f, uint64_t max, uint64_t *ret);
int rd_f64(struct rd *d, const struct step *s, const struct field *f, double *ret);
int rd_time(struct rd *d, const struct step *s, const struct field *f, struct gotime *ret);
/* base64, or a list of numbers */
int rd_bytes(struct rd *d, const struct step *s, const struct field *f, struct bytes *ret);
