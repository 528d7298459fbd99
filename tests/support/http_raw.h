/* tests/support/http_raw.h - the other end of an HTTP server: a raw socket, turned with the loop.
 */
#pragma once

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/parse.h"
#include "tests/support/wire_loop.h"

static inline int dial(const char *address)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    uint64_t port = 0;

    assert_int_equal(parse_u64(strrchr(address, ':') + 1, &port), 0);
    a.sin_port = htons((uint16_t)port);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}

/* sends all of it, turning the loop while the socket is full */
static inline void say_n(struct loop *l, int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t k = send(fd, p, n, MSG_NOSIGNAL);

        if (k > 0) {
            p += k;
            n -= (size_t)k;
        } else if (errno != EAGAIN) {
            return; /* closed by the server: the test looks at what it said */
        }
        turn_some(l, 1);
    }
}

static inline void say(struct loop *l, int fd, const char *text)
{
    say_n(l, fd, text, strlen(text));
}

/* reads what is there; 1 = the server has closed */
static inline int listen_to(int fd, struct buf *got)
{
    char piece[65536];
    ssize_t k;

    while ((k = recv(fd, piece, sizeof(piece), 0)) > 0)
        buf_add(got, piece, (size_t)k);
    return k == 0 || (k < 0 && errno != EAGAIN);
}

static inline size_t count(const struct buf *b, const char *what)
{
    const char *at = buf_str(b);
    size_t n = 0;

    while ((at = strstr(at, what))) {
        at += strlen(what);
        n++;
    }
    return n;
}

/* sends text and waits until n answers have begun */
static inline void ask(struct loop *l, int fd, const char *text, size_t n, struct buf *got)
{
    say(l, fd, text);
    for (int i = 0; i < 300 && count(got, "HTTP/1.1 ") < n; i++) {
        turn_some(l, 1);
        (void)listen_to(fd, got);
    }
    turn_some(l, 2);
    (void)listen_to(fd, got);
    assert_int_equal(count(got, "HTTP/1.1 "), n);
}

static inline void wait_closed(struct loop *l, int fd, struct buf *got)
{
    for (int i = 0; i < 500; i++) {
        if (listen_to(fd, got))
            return;
        turn_some(l, 1);
    }
    fail_msg("the server did not close");
}

#define assert_has(b, text)                                                                        \
    do {                                                                                           \
        if (!strstr(buf_str(b), (text)))                                                           \
            fail_msg("no %s in:\n%s", (text), buf_str(b));                                         \
    } while (0)
#define assert_has_not(b, text)                                                                    \
    do {                                                                                           \
        if (strstr(buf_str(b), (text)))                                                            \
            fail_msg("%s is in:\n%s", (text), buf_str(b));                                         \
    } while (0)
