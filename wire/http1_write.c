#include "wire/http1_write.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "wire/http1_head.h"

#define RETRY_AFTER_SEC "1" /* Nomad says nothing; what is full now is free soon */

static const struct {
    int status;
    const char *reason;
} reasons[] = {
    {200, "OK"                             },
    {204, "No Content"                     },
    {301, "Moved Permanently"              },
    {304, "Not Modified"                   },
    {307, "Temporary Redirect"             },
    {400, "Bad Request"                    },
    {401, "Unauthorized"                   },
    {403, "Forbidden"                      },
    {404, "Not Found"                      },
    {405, "Method Not Allowed"             },
    {408, "Request Timeout"                },
    {413, "Request Entity Too Large"       },
    {415, "Unsupported Media Type"         },
    {417, "Expectation Failed"             },
    {429, "Too Many Requests"              },
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"          },
    {501, "Not Implemented"                },
    {502, "Bad Gateway"                    },
    {503, "Service Unavailable"            },
    {504, "Gateway Timeout"                },
    {505, "HTTP Version Not Supported"     },
};

const char *http_reason(int status)
{
    for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
        if (reasons[i].status == status)
            return reasons[i].reason;
    return "Status";
}

static bool is_clean(const char *s)
{
    for (; *s; s++)
        if (((unsigned char)*s < 0x20 && *s != '\t') || *s == 0x7f)
            return false;
    return true;
}

void http_write_header(struct buf *b, const char *name, const char *value)
{
    if (!*name || strpbrk(name, ": \t") || !is_clean(name) || !is_clean(value))
        return;
    buf_add_str(b, name);
    buf_add(b, ": ", 2);
    buf_add_str(b, value);
    buf_add(b, "\r\n", 2);
}

/* RFC 9110 5.6.7; the same text for a whole second */
static const char *date_text(void)
{
    static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    static char text[64];
    static time_t at = -1;
    time_t now = (time_t)(clock_wall_ns() / (int64_t)NSEC_PER_SEC);
    struct tm tm;

    if (now == at || !gmtime_r(&now, &tm))
        return text;
    at = now;
    (void)snprintf(text, sizeof(text), "%s, %02d %s %d %02d:%02d:%02d GMT", days[tm.tm_wday],
                   tm.tm_mday, months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min,
                   tm.tm_sec);
    return text;
}

static void write_start(struct buf *b, int status, const struct http_header *headers,
                        size_t n_headers)
{
    (void)buf_reserve(b, 512); /* more than most take */
    buf_add_str(b, "HTTP/1.1 ");
    buf_add_u64(b, (unsigned)status);
    buf_add_byte(b, ' ');
    buf_add_str(b, http_reason(status));
    buf_add(b, "\r\n", 2);
    for (size_t i = 0; i < n_headers; i++)
        http_write_header(b, headers[i].name, headers[i].value);
    if ((status == 429 || status == 503) && !http_headers_get(headers, n_headers, "Retry-After"))
        http_write_header(b, "Retry-After", RETRY_AFTER_SEC);
    buf_add_str(b, "Date: ");
    buf_add_str(b, date_text());
    buf_add(b, "\r\n", 2);
}

static void write_end(struct buf *b, enum http_close how)
{
    if (how != HTTP_KEEP)
        buf_add_str(b, how == HTTP_CLOSE ? "Connection: close\r\n" : "Connection: keep-alive\r\n");
    buf_add(b, "\r\n", 2);
}

void http_write_reply_head(struct buf *b, int status, const struct http_header *headers,
                           size_t n_headers, size_t body_len, enum http_close how)
{
    write_start(b, status, headers, n_headers);
    if (status >= 200 && status != 204 && status != 304) {
        buf_add_str(b, "Content-Length: ");
        buf_add_u64(b, body_len);
        buf_add(b, "\r\n", 2);
    }
    write_end(b, how);
}

void http_write_stream_head(struct buf *b, int status, const struct http_header *headers,
                            size_t n_headers, bool chunked, enum http_close how)
{
    write_start(b, status, headers, n_headers);
    if (chunked)
        buf_add_str(b, "Transfer-Encoding: chunked\r\n");
    write_end(b, how);
}
