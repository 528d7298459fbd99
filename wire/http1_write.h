/* wire/http1_write.h - heads of HTTP/1.1 messages, written.
 *
 * Names and values with control characters are left out: nobody who chooses a value (a configured
 * response header, a location) can add a line of his own.  Depends on: base/.
 */
#pragma once

#include "wire/http1.h"

enum http_close {
    HTTP_KEEP,     /* HTTP/1.1 keeps by default: no Connection header */
    HTTP_KEEP_1_0, /* said aloud to an HTTP/1.0 peer */
    HTTP_CLOSE,
};

const char *http_reason(int status);
/* "Name: value\r\n" */
void http_write_header(struct buf *b, const char *name, const char *value);
/* Status line, headers, Date, Content-Length (not for 1xx, 204, 304), Connection, empty line. */
void http_write_reply_head(struct buf *b, int status, const struct http_header *headers,
                           size_t n_headers, size_t body_len, enum http_close how);
/* of an answer whose length nobody knows: chunked, or until the connection closes */
void http_write_stream_head(struct buf *b, int status, const struct http_header *headers,
                            size_t n_headers, bool chunked, enum http_close how);
