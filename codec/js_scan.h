/* codec/js_scan.h - the gate before json-c.  Private to codec/. */
#pragma once

#include "base/buf.h"
#include "base/err.h"

/* what stands behind an integer that json-c would turn into the largest or least of 64 bits: with
 * an exponent json-c keeps the number's text */
#define JS_BIG_MARK "e-0"

/* js_scan() for a reader that is to build a tree of the value: refuses NUL in keys too, which
 * json-c would cut there.  When the value has integers beyond 64 bits, marked (empty before)
 * becomes its text with JS_BIG_MARK behind each, and *ret points into it. */
int js_gate(const char *text, size_t n, struct buf *marked, const char **ret, size_t *ret_n,
            struct err *e) _must_check_;

/* an array whose elements are taken one by one */
struct js_list {
    const char *p, *end; /* what has not been read */
    bool inside;         /* an element has been taken */
};
/* The next element, checked as by js_gate(); p stands at the opening bracket first.  1, 0 (the
 * array is closed), or what js_gate() says. */
int js_gate_element(struct js_list *l, struct buf *marked, const char **ret, size_t *ret_n,
                    struct err *e) _must_check_;
