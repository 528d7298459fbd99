/* drivers/http_get.h - one blocking HTTP GET at a local daemon, for use inside a probe.
 *
 * Every step has the same deadline; the reply has a ceiling.  One connection for each request.
 */
#pragma once

#include "base/err.h"

enum { HTTP_GET_BODY_MAX = 4 * 1024 * 1024 };

struct http_endpoint {
    char *unix_path; /* owned; or NULL and then */
    char *host;      /* owned, an IP address */
    uint16_t port;
};

struct http_answer {
    int status;
    char *body; /* owned, NUL-terminated */
    size_t len;
};

/* "unix:///path", "tcp://IP:PORT", "http://IP:PORT" (localhost counts as 127.0.0.1); port 0 becomes
 * default_port.  -EINVAL with what is wrong in e. */
int http_endpoint_parse(const char *text, uint16_t default_port, struct http_endpoint *ret,
                        struct err *e) _must_check_;
void http_endpoint_done(struct http_endpoint *ep);

/* connects; the descriptor is the caller's.  -ETIMEDOUT at the deadline (CLOCK_BOOTTIME) */
int http_connect(const struct http_endpoint *ep, uint64_t deadline_ns, int *ret_fd) _must_check_;
/* GET path on a connection.  -ETIMEDOUT, -EMSGSIZE (longer than HTTP_GET_BODY_MAX), -EPROTO (not
 * HTTP, or cut short), or what read and write failed with; e says it in words. */
int http_get(int fd, const char *path, uint64_t deadline_ns, struct http_answer *ret,
             struct err *e) _must_check_;
void http_answer_done(struct http_answer *a);
