/* codec/js_read.h - what the two parts of the JSON decoder share.  Private to codec/. */
#pragma once

#include <json-c/json.h>

#include "base/err.h"
#include "codec/desc.h"

/* one value of json-c's tree and the way to it */
struct at {
    const struct at *up;   /* the struct that has the field; NULL = outermost */
    const struct desc *in; /* that struct's table; NULL = outermost */
    const char *name;      /* the field's */
    const struct field *f; /* what the value becomes; of an element: what its list is */
    struct json_object *o; /* NULL = null */
    size_t *budget;        /* codec/alloc.h */
    struct err *e;
};

/* "json: cannot unmarshal WHAT into ..."; without WHAT the value's kind is named */
int rd_mismatch(const struct at *a, const struct field *f, const char *what);
/* the answer of codec/alloc.h in words; 0 stays 0 */
int rd_memory(const struct at *a, int r);

/* a copy that is UTF-8, owned by the caller */
int rd_text(const struct at *a, const char *p, size_t n, char **ret);
/* a value that is not null, into a member that is zero; the type is f, or a's own */
int rd_str(const struct at *a, const struct field *f, char **ret);
int rd_i64(const struct at *a, const struct field *f, int64_t *ret);
int rd_u64(const struct at *a, uint64_t max, uint64_t *ret);
int rd_f64(const struct at *a, double *ret);
int rd_bool(const struct at *a, bool *ret);
int rd_time(const struct at *a, struct gotime *ret);
int rd_base64(const struct at *a, struct bytes *ret);
