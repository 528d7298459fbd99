/* codec/mp_decode.h - what the two halves of the msgpack decoder share.  Private to codec/.
 *
 * All functions return 0 or a negative errno, with the error's text in d->e.
 */
#pragma once

#include "codec/alloc.h"
#include "codec/mp.h"

/* one step of the way from the outermost struct to the value being read */
struct step {
    const struct step *up;
    const char *field;  /* or NULL: an element */
    const uint8_t *key; /* of a map element; NULL: index */
    size_t n;           /* length of key, or the index */
};

struct dec {
    struct mp_in *in;
    struct err *e;
    size_t budget;
};

/* sets "Path.To[3].Field: text"; returns code */
int dec_fail(struct dec *d, const struct step *s, int code, const char *text);
/* "expected EXPECTED, found TYPE" */
int dec_mismatch(struct dec *d, const struct step *s, const char *expected,
                 const struct mp_token *t);
/* the answer of the reader (r < 0) in words */
int dec_broken(struct dec *d, const struct step *s, int r);
/* the answer of codec/alloc.h in words; 0 stays 0 */
int dec_memory(struct dec *d, const struct step *s, int r);
int dec_next(struct dec *d, const struct step *s, struct mp_token *t);
int dec_grow(struct dec *d, const struct step *s, void *pp, size_t n, size_t size);

/* the value of a token that is not nil */
int dec_bool(struct dec *d, const struct step *s, const struct mp_token *t, bool *ret);
int dec_i64(struct dec *d, const struct step *s, const struct mp_token *t, int64_t *ret);
int dec_u64(struct dec *d, const struct step *s, const struct mp_token *t, uint64_t *ret);
int dec_f64(struct dec *d, const struct step *s, const struct mp_token *t, double *ret);
int dec_time(struct dec *d, const struct step *s, const struct mp_token *t, struct gotime *ret);
/* optional: "" is not NULL */
int dec_str(struct dec *d, const struct step *s, const struct mp_token *t, bool optional,
            char **ret);
int dec_bytes(struct dec *d, const struct step *s, const struct mp_token *t, struct bytes *ret);
/* one whole object as it is; begin is where its token began */
int dec_raw(struct dec *d, const struct step *s, const uint8_t *begin, struct bytes *ret);
/* a map's key as a string of its own; t keeps it for the path */
int dec_key(struct dec *d, const struct step *s, struct mp_token *t, char **ret);
