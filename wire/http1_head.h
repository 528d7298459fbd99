/* wire/http1_head.h - heads of HTTP/1.1 requests, read strictly.
 *
 * Two steps.  http_head_scan() walks over bytes as they come, refuses what would let two readers
 * disagree about where a message ends (bare LF or CR, NUL and other controls, folded lines) and
 * finds the end.  http_head_parse() then hands the whole head to http-parser, checks what that is
 * lenient about (blanks in names, doubled or combined lengths, unknown codings) and copies the
 * result into one allocation.  No I/O, no state beyond struct http_scan.
 *
 * Depends on: base/, libhttp-parser.
 */
#pragma once

#include "base/err.h"
#include "base/limits.h"
#include "wire/http1.h"

enum {
    HTTP_HEADERS_MAX = 128, /* lines of one head; browsers send 20; beyond it 431 */
};

struct http_scan {
    uint32_t at;   /* bytes already understood */
    uint32_t line; /* start of the line that at stands in */
};

struct http_head {
    uint8_t minor; /* HTTP/1.minor */
    bool chunked;
    bool keep_alive; /* what the Connection header and the version ask for */
    bool expect_continue;
    bool has_length;
    uint64_t length;
    const char *method; /* static text */
    const char *target; /* as sent; path and query are its parts */
    const char *path;
    const char *query;
    size_t n_headers;
    struct http_header headers[]; /* the texts stand behind them, in this allocation */
};

/* Length of the head when all of it is there, 0 when more bytes are needed, -EBADMSG (text in e).
 * p is the same start each time, with more bytes behind it.  Never reads past HTTP_HEAD_MAX:
 * -EMSGSIZE. */
ssize_t http_head_scan(struct http_scan *s, const uint8_t *p, size_t n, struct err *e) _must_check_;
/* Of the n bytes that the scan found.  Errors have an HTTP status (400, 413 for a length over
 * max_body, 417, 431, 501, 505). */
int http_head_parse(const uint8_t *p, size_t n, uint64_t max_body, struct http_head **ret,
                    struct err *e) _must_check_;
/* first value of a header, name without case; NULL when it is not there */
const char *http_headers_get(const struct http_header *h, size_t n, const char *name);
