/* base/err.h - a failure in words.
 *
 * Lives on the caller's stack and never allocates, so reporting an error cannot itself fail.  The
 * numeric answer of a function stays its return value (negative errno); err adds the sentence for
 * the person who reads it: command line, HTTP body, RPC error string, "why not" lists.
 *
 * Depends on: base/mem.h.
 */
#pragma once

#include "base/mem.h"

enum { ERR_TEXT_MAX = 512 };

struct err {
    int code;   /* negative errno; 0 = nothing failed */
    int status; /* HTTP status; 0 = the API layer chooses */
    char text[ERR_TEXT_MAX];
};

/* sets code and text; returns code.  e may be NULL.  Text that does not fit is cut. */
int err_set(struct err *e, int code, const char *fmt, ...) _printf_(3, 4);
/* the same with an HTTP status */
int err_set_status(struct err *e, int code, int status, const char *fmt, ...) _printf_(4, 5);
/* puts "context: " in front of the text that is there; returns code */
int err_wrap(struct err *e, int code, const char *fmt, ...) _printf_(3, 4);
/* sets "text: strerror(-code)"; returns code */
int err_errno(struct err *e, int code, const char *fmt, ...) _printf_(3, 4);
