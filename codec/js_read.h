/* codec/js_read.h - what the two parts of the JSON decoder share.  Private to codec/. */
#pragma once

#include <json-c/json.h>

#include "base/err.h"
#include "codec/desc.h"

/* one field on the way from the outermost struct */
struct step {
    const struct step *up;
    const struct desc *in; /* the struct that has the field */
    const char *field;
};

struct rd {
    struct err *e;
    size_t budget; /* codec/alloc.h */
};

/* "json: cannot unmarshal array into ..." for a field; for a whole struct, or with the prefix "[]"
 * a list of them */
int rd_mismatch(struct rd *d, const struct step *s, const struct field *f, struct json_object *o);
int rd_mismatch_struct(struct rd *d, const struct step *s, const struct desc *desc,
                       const char *prefix, struct json_object *o);
/* the answer of codec/alloc.h in words; 0 stays 0 */
int rd_memory(struct rd *d, int r);

/* a copy that is UTF-8, owned by the caller */
int rd_text(struct rd *d, const char *p, size_t n, char **ret);
/* a value that is not null, into a member that is zero */
int rd_str(struct rd *d, const struct step *s, const struct field *f, struct json_object *o,
           char **ret);
int rd_i64(struct rd *d, const struct step *s, const struct field *f, struct json_object *o,
           int64_t *ret);
int rd_u64(struct rd *d, const struct step *s, const struct field *f, uint64_t max,
           struct json_object *o, uint64_t *ret);
int rd_f64(struct rd *d, const struct step *s, const struct field *f, struct json_object *o,
           double *ret);
int rd_time(struct rd *d, const struct step *s, const struct field *f, struct json_object *o,
            struct gotime *ret);
/* base64, or a list of numbers */
int rd_bytes(struct rd *d, const struct step *s, const struct field *f, struct json_object *o,
             struct bytes *ret);
