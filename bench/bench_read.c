/* bench/bench_read.c - one reader that asks again and again, and how long it waits for each answer.
 *
 *     bench_read PORT TARGET [TARGET...]
 *
 * Asks for the targets in turn over one connection to 127.0.0.1 until its standard input ends, then
 * prints one line of JSON: {"reads":..,"p50_ms":..,"p99_ms":..,"max_ms":..}.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/parse.h"
#include "base/vec.h"

struct reads {
    uint64_t *ns; /* owned */
    size_t n;
};

static int open_connection(uint16_t port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
        fd = fd_close(fd);
    return fd;
}

/* the length that the head announces, or -1 */
static ssize_t content_length(const char *head)
{
    static const char name[] = "\r\ncontent-length:";
    const char *at = strcasestr(head, name);
    uint64_t n;
    char text[24];

    if (!at)
        return -1;
    at += sizeof(name) - 1;
    at += strspn(at, " ");
    (void)snprintf(text, sizeof(text), "%.*s", (int)MIN(strcspn(at, "\r"), sizeof(text) - 1), at);
    return parse_u64(text, &n) < 0 ? -1 : (ssize_t)n;
}

/* a chunked body of JSON ends where these bytes are the last that came */
static bool ends_chunks(const char *tail, size_t n)
{
    static const char end[] = "\r\n0\r\n\r\n";

    return n >= sizeof(end) - 1 && memcmp(tail + n - (sizeof(end) - 1), end, sizeof(end) - 1) == 0;
}

/* Reads more of a body behind the last bytes of it that are there already. */
static ssize_t read_more(int fd, char *tail, size_t *n)
{
    enum { KEEP = 8 };
    char rest[65536];
    size_t keep = MIN(*n, (size_t)KEEP), last;
    ssize_t r = read(fd, rest, sizeof(rest));

    if (r <= 0)
        return -EIO;
    last = MIN((size_t)r, (size_t)KEEP);
    keep = MIN(keep, KEEP * 2 - last);
    memmove(tail, tail + *n - keep, keep);
    memcpy(tail + keep, rest + r - last, last);
    *n = keep + last;
    return r;
}

/* reads one answer; its body is thrown away */
static int read_answer(int fd)
{
    char head[16384], tail[16], *end = NULL;
    size_t n = 0, body, kept;
    ssize_t r, length;

    while (!end) {
        r = n < sizeof(head) - 1 ? read(fd, head + n, sizeof(head) - 1 - n) : -1;
        if (r <= 0)
            return -EIO;
        n += (size_t)r;
        head[n] = 0;
        end = strstr(head, "\r\n\r\n");
    }
    body = n - (size_t)(end + 4 - head);
    kept = MIN(body, (size_t)8);
    memcpy(tail, head + n - kept, kept);
    end[2] = 0;
    length = content_length(head);
    if (strncmp(head, "HTTP/1.1 200", 12) != 0)
        return -EBADMSG;
    while (length >= 0 ? body < (size_t)length : !ends_chunks(tail, kept)) {
        r = read_more(fd, tail, &kept);
        if (r < 0)
            return (int)r;
        body += (size_t)r;
    }
    return 0;
}

static int one_read(int fd, const char *target, struct reads *all)
{
    _cleanup_free_ char *q = xasprintf("GET %s HTTP/1.1\r\nHost: bench\r\n\r\n", target);
    uint64_t from = clock_boot_ns(), *slot;
    int r;

    if (write(fd, q, strlen(q)) != (ssize_t)strlen(q))
        return -EIO;
    r = read_answer(fd);
    slot = vec_grow_(&all->ns, &all->n, sizeof(uint64_t));
    *slot = clock_boot_ns() - from;
    return r;
}

static int by_size(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

static double ms_at(const struct reads *all, size_t per_mille)
{
    size_t at = (all->n - 1) * per_mille / 1000;

    return (double)all->ns[at] / 1e6;
}

int main(int argc, char **argv)
{
    struct reads all = {0};
    struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
    uint64_t port;
    int fd, r = 0;

    if (argc < 3 || parse_u64(argv[1], &port) < 0) {
        (void)fprintf(stderr, "usage: bench_read PORT TARGET...\n");
        return 1;
    }
    fd = open_connection((uint16_t)port);
    for (int i = 2; fd >= 0 && r == 0 && poll(&in, 1, 0) == 0; i = i + 1 < argc ? i + 1 : 2)
        r = one_read(fd, argv[i], &all);
    if (fd < 0 || r < 0 || all.n == 0) {
        (void)fprintf(stderr, "bench_read: %s\n", r < 0 ? strerror(-r) : "no connection");
        return 1;
    }
    qsort(all.ns, all.n, sizeof(uint64_t), by_size);
    (void)printf("{\"reads\":%zu,\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"max_ms\":%.3f}\n", all.n,
                 ms_at(&all, 500), ms_at(&all, 990), ms_at(&all, 1000));
    free(all.ns);
    (void)fd_close(fd);
    return 0;
}
