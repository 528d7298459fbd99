/* bench/bench_hold.c - holds many HTTP readers blocked on a server, then times their waking.
 *
 *     bench_hold PORT COUNT "/v1/nodes?prefix=ffffffff&index=9"
 *
 * Opens COUNT connections to 127.0.0.1, sends the request on each, prints "waiting", and then
 * prints one line of JSON when the last has its whole answer: {"readers":..,
 * "last_ms":..}, counted from the first byte of the first answer.  One answer must fit a read.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/parse.h"

static int open_reader(uint16_t port, const char *target)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    _cleanup_free_ char *q = xasprintf("GET %s HTTP/1.1\r\nHost: bench\r\n\r\n", target);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ||
        write(fd, q, strlen(q)) != (ssize_t)strlen(q))
        return fd_close(fd);
    return fd;
}

static size_t drain(int ep, size_t expected, uint64_t *ret_first, uint64_t *ret_last)
{
    struct epoll_event events[256];
    size_t done = 0;
    char answer[65536];

    *ret_first = 0;
    while (done < expected) {
        int n = epoll_wait(ep, events, 256, 120000);

        if (n <= 0)
            break;
        if (*ret_first == 0)
            *ret_first = clock_boot_ns();
        for (int i = 0; i < n; i++) {
            if (read(events[i].data.fd, answer, sizeof(answer)) <= 0)
                (void)epoll_ctl(ep, EPOLL_CTL_DEL, events[i].data.fd, NULL);
            done++;
        }
        *ret_last = clock_boot_ns();
    }
    return done;
}

int main(int argc, char **argv)
{
    uint64_t port, count, first, last = 0;
    size_t done;
    int ep = epoll_create1(EPOLL_CLOEXEC);

    if (argc != 4 || parse_u64(argv[1], &port) < 0 || parse_u64(argv[2], &count) < 0)
        return 1;
    for (uint64_t i = 0; i < count; i++) {
        int fd = open_reader((uint16_t)port, argv[3]);
        struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};

        if (fd < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev) < 0) {
            (void)fprintf(stderr, "bench_hold: connection %llu: %s\n", (unsigned long long)i,
                          strerror(errno));
            return 1;
        }
    }
    (void)printf("waiting\n");
    (void)fflush(stdout);
    done = drain(ep, count, &first, &last);
    (void)printf("{\"readers\":%zu,\"last_ms\":%.1f}\n", done, (double)(last - first) / 1e6);
    return done == count ? 0 : 1;
}
