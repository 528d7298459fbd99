/* conf/hcl_scan.h - what the HCL and the JSON reader share: the text, the place in it, errors.
 *
 * Internal to conf/.
 */
#pragma once

#include "base/buf.h"
#include "conf/hcl.h"

struct hcl_scan {
    const char *file;
    const char *p, *end; /* next byte, end of the text */
    struct hcl_pos pos;  /* of *p */
    struct err *e;
};

/* the next byte, or -1 at the end */
static inline int hcl_peek(const struct hcl_scan *s)
{
    return s->p < s->end ? (unsigned char)*s->p : -1;
}
static inline int hcl_peek_at(const struct hcl_scan *s, size_t n)
{
    return (size_t)(s->end - s->p) > n ? (unsigned char)s->p[n] : -1;
}
/* takes one byte and counts lines and characters */
static inline int hcl_next(struct hcl_scan *s)
{
    int c = hcl_peek(s);

    if (c < 0)
        return -1;
    s->p++;
    if (c == '\n') {
        s->pos.line++;
        s->pos.column = 1;
    } else if ((hcl_peek(s) & 0xc0) != 0x80 || s->p >= s->end) {
        s->pos.column++; /* the last byte of a character */
    }
    return c;
}
/* "file:line:column: text"; returns -EINVAL */
int hcl_error(const struct hcl_scan *s, struct hcl_pos at, const char *fmt, ...) _printf_(3, 4);

/* Appends the escape whose backslash has been taken and whose letter is next.  json: the set of
 * JSON, with surrogate pairs. */
int hcl_escape(struct hcl_scan *s, bool json, struct buf *out) _must_check_;
/* moves a decoded string into v; refuses NUL and invalid UTF-8 that came from escapes */
int hcl_set_string(const struct hcl_scan *s, struct buf *text, struct hcl_value *v) _must_check_;

/* parses the whole text as one JSON object */
int hcl_parse_json(struct hcl_scan *s, struct hcl_value *ret) _must_check_;

/* a new member of an object, with its first word; borrowed until the next one is added */
struct hcl_member *hcl_add_member(struct hcl_value *object);
void hcl_add_word(struct hcl_member *m, const char *text, struct hcl_pos pos);
