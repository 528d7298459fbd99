#include "server/snapshot_http.h"

#include <errno.h>
#include <http_parser.h>
#include <inttypes.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/str.h"

enum { PIECE = 64 * KIB };

struct answer {
    int out_fd;
    struct buf text; /* of an answer that is not 200 */
    uint64_t bytes;
    int r; /* of writing the body */
    bool ended;
};

static int connect_unix(const char *path, int *ret, struct err *e)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (strlen(path) >= sizeof(a.sun_path))
        return err_set(e, -ENAMETOOLONG, "the path of the socket is too long");
    memcpy(a.sun_path, path, strlen(path));
    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
        return err_errno(e, -errno, "no picket-server answers at unix:%s", path);
    *ret = steal_fd(&fd);
    return 0;
}

/* host:port or [v6]:port, in one string that is cut */
static int connect_tcp(const char *address, int *ret, struct err *e)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    _cleanup_free_ char *copy = xstrdup(address);
    char *host = copy, *port = strrchr(copy, ':');
    int r = -ECONNREFUSED;

    if (!port)
        return err_set(e, -EINVAL, "address \"%s\" has no port", address);
    *port++ = 0;
    if (*host == '[' && port - 2 > host && port[-2] == ']') {
        host++;
        port[-2] = 0;
    }
    if (getaddrinfo(host, port, &hints, &found) != 0) /* banned-ok: a command without a loop */
        return err_set(e, -EINVAL, "address \"%s\" is unknown", address);
    for (struct addrinfo *a = found; a && r < 0; a = a->ai_next) {
        int fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);

        r = fd < 0 || connect(fd, a->ai_addr, a->ai_addrlen) < 0 ? -errno : 0;
        if (r == 0)
            *ret = fd;
        else
            (void)fd_close(fd);
    }
    freeaddrinfo(found);
    return r < 0 ? err_errno(e, r, "no picket-server answers at %s", address) : 0;
}

static int send_request(int fd, const char *method, int in_fd, const char *token, struct err *e)
{
    _cleanup_buf_ struct buf b = BUF_INIT(PIECE);
    struct stat st = {0};
    char piece[PIECE];
    ssize_t n = 0;
    int r;

    if (in_fd >= 0 && fstat(in_fd, &st) < 0)
        return err_errno(e, -errno, "cannot read the file");
    buf_printf(&b, "%s /v1/operator/snapshot HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n",
               method);
    if (!str_empty(token))
        buf_printf(&b, "X-Nomad-Token: %s\r\n", token);
    if (in_fd >= 0)
        buf_printf(&b, "Content-Length: %" PRIu64 "\r\n", (uint64_t)st.st_size);
    buf_add_str(&b, "\r\n");
    r = buf_ok(&b) < 0 ? -EMSGSIZE : file_write_all(fd, b.p, b.len);
    while (r == 0 && in_fd >= 0 && (n = read(in_fd, piece, sizeof(piece))) > 0)
        r = file_write_all(fd, piece, (size_t)n);
    if (n < 0)
        return err_errno(e, -errno, "cannot read the file");
    if (r == -EPIPE || r == -ECONNRESET)
        return 0; /* it has answered before the end: the answer says why */
    return r < 0 ? err_errno(e, r, "cannot send the request") : 0;
}

static int on_body(http_parser *p, const char *at, size_t n)
{
    struct answer *a = p->data;

    a->bytes += n;
    if (p->status_code != 200)
        buf_add(&a->text, at, n);
    else if (a->out_fd >= 0 && a->r == 0)
        a->r = file_write_all(a->out_fd, at, n);
    return a->r < 0 || a->bytes > SNAPSHOT_FILE_MAX;
}

static int on_complete(http_parser *p)
{
    /* 100 Continue is none */
    ((struct answer *)p->data)->ended = p->status_code >= 200;
    return 0;
}

static int read_answer(int fd, struct answer *a, unsigned *ret_status, struct err *e)
{
    static const http_parser_settings settings = {.on_body = on_body,
                                                  .on_message_complete = on_complete};
    http_parser parser;
    char piece[PIECE];
    ssize_t n = 1;

    http_parser_init(&parser, HTTP_RESPONSE);
    parser.data = a;
    while (!a->ended && n > 0) {
        n = read(fd, piece, sizeof(piece));
        if (n < 0)
            return err_errno(e, -errno, "the server broke off");
        if (http_parser_execute(&parser, &settings, piece, (size_t)n) != (size_t)n && !a->ended)
            return a->r < 0 ? err_errno(e, a->r, "cannot write the file")
                            : err_set(e, -EBADMSG, "the answer is no HTTP");
    }
    if (!a->ended)
        return err_set(e, -EPIPE, "the server broke off");
    *ret_status = parser.status_code;
    return 0;
}

int snapshot_http(const char *address, const char *method, int in_fd, int out_fd, const char *token,
                  struct err *e)
{
    struct answer a = {.out_fd = out_fd, .text = BUF_INIT(PIECE)};
    _cleanup_close_ int fd = -1;
    unsigned status = 0;
    int r;

    if (str_starts(address, "https://"))
        return err_set(e, -ENOTSUP, "picket-server has no TLS: use http://");
    if (str_starts(address, "unix:"))
        r = connect_unix(address + (str_starts(address, "unix://") ? 7 : 5), &fd, e);
    else
        r = connect_tcp(str_starts(address, "http://") ? address + 7 : address, &fd, e);
    if (r == 0)
        r = send_request(fd, method, in_fd, token, e);
    if (r == 0)
        r = read_answer(fd, &a, &status, e);
    if (r == 0 && status != 200)
        r = err_set(e, -EREMOTEIO, "the server answers %u (%s)", status, buf_str(&a.text));
    buf_done(&a.text);
    return r;
}
