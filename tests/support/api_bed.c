#include "tests/support/api_bed.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/limits.h"
#include "base/parse.h"
#include "wire/conn.h"

enum { TURNS_MAX = 500 };

static void must(bool ok, const char *what)
{
    if (ok)
        return;
    (void)fprintf(stderr, "api_bed: %s failed: %s\n", what, strerror(errno));
    abort();
}

static void turn(struct api_bed *b)
{
    must(loop_turn(b->loop, NSEC_PER_MSEC) >= 0, "loop_turn");
}

void api_bed_init(struct api_bed *b)
{
    struct api_opts o = {0};
    struct err e = {0};
    int fd;

    *b = (struct api_bed){0};
    must(loop_new(&b->loop) == 0, "loop_new");
    fake_view_init(&b->fake);
    o.loop = b->loop;
    o.view = &b->fake.view;
    o.response_headers = &b->response_headers;
    b->api = api_new(&o);
    must(listen_open("127.0.0.1:0", &fd, &b->address, &e) == 0, "listen_open");
    must(api_listen(b->api, fd, &e) == 0, "api_listen");
}

void api_bed_done(struct api_bed *b)
{
    b->api = api_free(b->api);
    fake_view_done(&b->fake);
    conn_drop_closing(b->loop);
    b->loop = loop_free(b->loop);
    free(b->address);
    strmap_done(&b->response_headers);
}

void answer_done(struct answer *a)
{
    free(a->head);
    free(a->body);
    *a = (struct answer){0};
}

const char *answer_header(const struct answer *a, const char *name)
{
    static char value[4096];
    size_t n = strlen(name);

    for (const char *at = a->head; at && (at = strstr(at, "\r\n")); at++) {
        at += 2;
        if (strncasecmp(at, name, n) == 0 && at[n] == ':') {
            (void)snprintf(value, sizeof(value), "%.*s", (int)strcspn(at + n + 2, "\r"),
                           at + n + 2);
            return value;
        }
        at--;
    }
    return NULL;
}

int api_bed_dial(struct api_bed *b)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    uint64_t port = 0;

    must(parse_u64(strrchr(b->address, ':') + 1, &port) == 0, "port");
    a.sin_port = htons((uint16_t)port);
    must(connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0, "connect");
    must(fcntl(fd, F_SETFL, O_NONBLOCK) == 0, "fcntl");
    return fd;
}

void api_bed_say(struct api_bed *b, int fd, const char *text)
{
    size_t n = strlen(text);

    while (n > 0) {
        ssize_t k = send(fd, text, n, MSG_NOSIGNAL);

        if (k > 0) {
            text += k;
            n -= (size_t)k;
        } else {
            must(errno == EAGAIN, "send");
        }
        turn(b);
    }
}

bool api_bed_has_answer(struct api_bed *b, int fd)
{
    char c;

    for (int i = 0; i < 5; i++)
        turn(b);
    return recv(fd, &c, 1, MSG_PEEK) == 1;
}

/* exactly n bytes */
static bool hear_n(struct api_bed *b, int fd, char *p, size_t n)
{
    for (int i = 0; n > 0 && i < TURNS_MAX; i++) {
        ssize_t k = recv(fd, p, n, 0);

        if (k == 0)
            return false;
        if (k > 0) {
            p += k;
            n -= (size_t)k;
            i = 0;
            continue;
        }
        turn(b);
    }
    return n == 0;
}

void api_bed_hear(struct api_bed *b, int fd, struct answer *ret)
{
    struct buf head = BUF_INIT(MIB);
    const char *length;
    uint64_t n = 0;
    char c, status[4];

    *ret = (struct answer){0};
    while (!strstr(buf_str(&head), "\r\n\r\n") && hear_n(b, fd, &c, 1))
        buf_add_byte(&head, (uint8_t)c);
    if (head.len > 12) {
        (void)snprintf(status, sizeof(status), "%s", buf_str(&head) + strlen("HTTP/1.1 "));
        must(parse_u64(status, &n) == 0, "status");
        ret->status = (int)n;
        n = 0;
    }
    ret->head = (char *)buf_take(&head, NULL);
    length = answer_header(ret, "Content-Length");
    if (length)
        must(parse_u64(length, &n) == 0, "Content-Length");
    ret->body = xnew0_n(char, n + 1);
    ret->body_len = n;
    must(hear_n(b, fd, ret->body, n), "hearing the body");
}

void api_bed_ask(struct api_bed *b, const char *method, const char *target, const char *headers,
                 const char *body, struct answer *ret)
{
    _cleanup_close_ int fd = api_bed_dial(b);
    _cleanup_free_ char *text =
        xasprintf("%s %s HTTP/1.1\r\nHost: h\r\nConnection: close\r\n%sContent-Length: "
                  "%zu\r\n\r\n%s",
                  method, target, headers, strlen(body), body);

    api_bed_say(b, fd, text);
    api_bed_hear(b, fd, ret);
}

void api_bed_get(struct api_bed *b, const char *target, struct answer *ret)
{
    api_bed_ask(b, "GET", target, "", "", ret);
}
