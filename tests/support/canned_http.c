#include "tests/support/canned_http.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static void send_all(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t done = send(fd, p, n, MSG_NOSIGNAL);

        if (done <= 0)
            return;
        p += done;
        n -= (size_t)done;
    }
}

static void answer(int fd, const char *target, const struct canned_answer *v, size_t n)
{
    _cleanup_free_ char *missing = xasprintf("not found: %s", target), *text = NULL;
    struct canned_answer a = {target, 404, missing};

    for (size_t i = 0; i < n; i++)
        if (strcmp(v[i].target, target) == 0)
            a = v[i];
    text = xasprintf("HTTP/1.1 %d X\r\nX-Nomad-Index: 30\r\nContent-Length: %zu\r\n"
                     "Connection: close\r\n\r\n%s",
                     a.status, strlen(a.body), a.body);
    send_all(fd, text, strlen(text));
}

/* the body behind the head, as long as Content-Length says; what is there already counts */
static const char *read_body(int fd, char *request, size_t size, size_t len)
{
    const char *body = strstr(request, "\r\n\r\n") + 4;
    const char *header = strcasestr(request, "\r\nContent-Length:");
    size_t want = (size_t)(body - request) + (header ? strtoul(header + 17, NULL, 10) : 0);

    while (len < want && len < size - 1) {
        ssize_t got = recv(fd, request + len, size - 1 - len, 0);

        if (got <= 0)
            break;
        len += (size_t)got;
        request[len] = 0;
    }
    return body;
}

static void serve_one(int fd, const struct canned_answer *v, size_t n)
{
    char request[8192] = "", target[4096], method[16];
    _cleanup_free_ char *whole = NULL;
    const char *body;
    size_t len = 0;

    while (!strstr(request, "\r\n\r\n") && len < sizeof(request) - 1) {
        ssize_t got = recv(fd, request + len, sizeof(request) - 1 - len, 0);

        if (got <= 0)
            return;
        len += (size_t)got;
        request[len] = 0;
    }
    if (sscanf(request, "%15s %4095s HTTP/1.1", method, target) != 2)
        return;
    if (strcmp(method, "GET") == 0) {
        answer(fd, target, v, n);
        return;
    }
    body = read_body(fd, request, sizeof(request), len);
    whole = xasprintf("%s %s%s%s", method, target, *body ? " " : "", body);
    answer(fd, whole, v, n);
}

void canned_http_start(struct canned_http *s, const struct canned_answer *answers, size_t n)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 16) < 0 ||
        getsockname(fd, (struct sockaddr *)&a, &len) < 0)
        abort();
    s->url = xasprintf("http://127.0.0.1:%u", ntohs(a.sin_port));
    s->pid = fork();
    if (s->pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;) {
            int c = accept(fd, NULL, NULL);

            if (c < 0)
                _exit(1);
            serve_one(c, answers, n);
            (void)fd_close(c);
        }
    }
    (void)fd_close(fd);
}

void canned_http_stop(struct canned_http *s)
{
    (void)kill(s->pid, SIGKILL);
    (void)waitpid(s->pid, NULL, 0);
    s->url = mem_free(s->url);
}
