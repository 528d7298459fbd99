#include "drivers/http_get.h"

#include <arpa/inet.h>
#include <errno.h>
#include <http_parser.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/parse.h"
#include "base/str.h"

enum {
    CHUNK = 16384,
    QUEUE_POLL_MSEC = 20,
};

/* --- where to --- */

static int parse_host_port(const char *text, uint16_t default_port, struct http_endpoint *ret)
{
    _cleanup_free_ char *host = xstrndup(text, strcspn(text, "/"));
    char *colon = strrchr(host, ':');
    struct in6_addr probe;
    uint64_t port = default_port;

    if (host[0] == '[') { /* [::1]:2375 */
        char *end = strchr(host, ']');

        if (!end)
            return -EINVAL;
        colon = end[1] == ':' ? end + 1 : NULL;
        memmove(host, host + 1, (size_t)(end - host));
        end[-1] = 0;
    } else if (colon) {
        *colon = 0;
    }
    if (colon && (parse_u64(colon + 1, &port) < 0 || port == 0 || port > UINT16_MAX))
        return -EINVAL;
    if (str_eq(host, "localhost")) {
        free(host);
        host = xstrdup("127.0.0.1");
    }
    if (inet_pton(AF_INET, host, &probe) != 1 && inet_pton(AF_INET6, host, &probe) != 1)
        return -EINVAL;
    ret->host = steal_ptr(&host);
    ret->port = (uint16_t)port;
    return 0;
}

int http_endpoint_parse(const char *text, uint16_t default_port, struct http_endpoint *ret,
                        struct err *e)
{
    static const char *const schemes[] = {"tcp://", "http://"};
    struct sockaddr_un un;

    *ret = (struct http_endpoint){0};
    if (str_starts(text, "unix://")) {
        text += strlen("unix://");
        if (text[0] != '/')
            return err_set(e, -EINVAL, "the path of a unix socket must be absolute");
        if (strlen(text) >= sizeof(un.sun_path))
            return err_set(e, -EINVAL, "the path of a unix socket has at most %zu characters",
                           sizeof(un.sun_path) - 1);
        ret->unix_path = xstrdup(text);
        return 0;
    }
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
        if (!str_starts(text, schemes[i]))
            continue;
        if (parse_host_port(text + strlen(schemes[i]), default_port, ret) < 0)
            return err_set(e, -EINVAL,
                           "an IP address and a port are needed, such as "
                           "tcp://127.0.0.1:2375");
        return 0;
    }
    return err_set(e, -EINVAL, "only unix:// and tcp:// can be used");
}

void http_endpoint_done(struct http_endpoint *ep)
{
    free(ep->unix_path);
    free(ep->host);
    *ep = (struct http_endpoint){0};
}

/* --- waiting --- */

/* until fd is ready for the events; -ETIMEDOUT */
static int wait_ready(int fd, short events, uint64_t deadline_ns)
{
    for (;;) {
        struct pollfd p = {.fd = fd, .events = events};
        uint64_t now = clock_boot_ns();
        int r;

        if (now >= deadline_ns)
            return -ETIMEDOUT;
        r = poll(&p, 1, (int)MIN((deadline_ns - now) / NSEC_PER_MSEC + 1, UINT64_C(60000)));
        if (r > 0)
            return 0;
        if (r < 0 && errno != EINTR)
            return -errno;
    }
}

/* 0, or the negative errno of the last try */
static int connect_once(int fd, const struct sockaddr *sa, socklen_t len)
{
    return connect(fd, sa, len) == 0 || errno == EISCONN ? 0 : -errno;
}

static int connect_wait(int fd, const struct sockaddr *sa, socklen_t len, uint64_t deadline_ns)
{
    int error = 0, r;
    socklen_t size = sizeof(error);

    /* EAGAIN: the queue of a unix socket is full, nobody accepts */
    while ((r = connect_once(fd, sa, len)) == -EAGAIN) {
        struct pollfd none = {.fd = -1};

        if (clock_boot_ns() >= deadline_ns)
            return -ETIMEDOUT;
        (void)poll(&none, 1, QUEUE_POLL_MSEC);
    }
    if (r != -EINPROGRESS)
        return r;
    r = wait_ready(fd, POLLOUT, deadline_ns);
    if (r < 0)
        return r;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
        return -errno;
    return -error;
}

int http_connect(const struct http_endpoint *ep, uint64_t deadline_ns, int *ret_fd)
{
    union {
        struct sockaddr sa;
        struct sockaddr_un un;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    } u = {0};
    socklen_t len = sizeof(u.un);
    _cleanup_close_ int fd = -1;
    int r;

    if (ep->unix_path) {
        u.un.sun_family = AF_UNIX;
        (void)snprintf(u.un.sun_path, sizeof(u.un.sun_path), "%s", ep->unix_path);
    } else if (inet_pton(AF_INET, ep->host, &u.in.sin_addr) == 1) {
        u.in.sin_family = AF_INET;
        u.in.sin_port = htons(ep->port);
        len = sizeof(u.in);
    } else if (inet_pton(AF_INET6, ep->host, &u.in6.sin6_addr) == 1) {
        u.in6.sin6_family = AF_INET6;
        u.in6.sin6_port = htons(ep->port);
        len = sizeof(u.in6);
    } else {
        return -EINVAL;
    }
    fd = socket(u.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    r = connect_wait(fd, &u.sa, len, deadline_ns);
    if (r < 0)
        return r;
    *ret_fd = steal_fd(&fd);
    return 0;
}

/* --- request and reply --- */

static int send_all(int fd, const char *p, size_t n, uint64_t deadline_ns)
{
    while (n > 0) {
        ssize_t done = send(fd, p, n, MSG_NOSIGNAL);
        int r;

        if (done >= 0) {
            p += done;
            n -= (size_t)done;
            continue;
        }
        if (errno == EINTR)
            continue;
        if (errno != EAGAIN)
            return -errno;
        r = wait_ready(fd, POLLOUT, deadline_ns);
        if (r < 0)
            return r;
    }
    return 0;
}

struct reading {
    struct buf body;
    bool complete;
};

static int on_body(http_parser *parser, const char *p, size_t n)
{
    struct reading *rd = parser->data;

    buf_add(&rd->body, p, n);
    return rd->body.failed;
}

static int on_complete(http_parser *parser)
{
    struct reading *rd = parser->data;

    rd->complete = true;
    http_parser_pause(parser, 1);
    return 0;
}

/* feeds what came, n = 0 at the end of the stream */
static int feed(http_parser *parser, struct reading *rd, const char *p, size_t n, struct err *e)
{
    static const http_parser_settings settings = {.on_body = on_body,
                                                  .on_message_complete = on_complete};
    enum http_errno error;

    (void)http_parser_execute(parser, &settings, p, n);
    error = HTTP_PARSER_ERRNO(parser);
    if (rd->complete)
        return 0;
    if (rd->body.failed)
        return err_set(e, -EMSGSIZE, "the reply is longer than %d bytes", HTTP_GET_BODY_MAX);
    if (n == 0)
        return err_set(e, -EPROTO, "the connection ended before the reply did");
    if (error != HPE_OK)
        return err_set(e, -EPROTO, "the reply is not HTTP: %s", http_errno_description(error));
    return 0;
}

static int receive(int fd, http_parser *parser, struct reading *rd, uint64_t deadline_ns,
                   struct err *e)
{
    char chunk[CHUNK];

    while (!rd->complete) {
        int r = wait_ready(fd, POLLIN, deadline_ns);
        ssize_t n = r < 0 ? 0 : read(fd, chunk, sizeof(chunk));

        if (r == 0 && n < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (r == 0 && n < 0)
            r = -errno;
        if (r == -ETIMEDOUT)
            return err_set(e, r, "no answer in time");
        if (r < 0)
            return err_errno(e, r, "reading the reply");
        r = feed(parser, rd, chunk, (size_t)n, e);
        if (r < 0)
            return r;
    }
    return 0;
}

int http_get(int fd, const char *path, uint64_t deadline_ns, struct http_answer *ret, struct err *e)
{
    _cleanup_free_ char *request = xasprintf("GET %s HTTP/1.1\r\n"
                                             "Host: localhost\r\n"
                                             "User-Agent: picket\r\n"
                                             "Accept: application/json\r\n"
                                             "Connection: close\r\n\r\n",
                                             path);
    struct reading rd = {.body = BUF_INIT(HTTP_GET_BODY_MAX)};
    http_parser parser;
    int r;

    http_parser_init(&parser, HTTP_RESPONSE);
    parser.data = &rd;
    r = send_all(fd, request, strlen(request), deadline_ns);
    if (r < 0)
        (void)err_errno(e, r, "sending the request");
    else
        r = receive(fd, &parser, &rd, deadline_ns, e);
    if (r == 0) {
        ret->status = (int)parser.status_code;
        ret->body = (char *)buf_take(&rd.body, &ret->len);
    }
    buf_done(&rd.body);
    return r;
}

void http_answer_done(struct http_answer *a)
{
    free(a->body);
    *a = (struct http_answer){0};
}
