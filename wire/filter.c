#include "wire/filter.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/limits.h"

/* --- going down the chain --- */

int filter_handshake(struct conn_filter *f, struct err *e)
{
    int r;

    if (f->ready)
        return 0;
    if (f->below) {
        r = filter_handshake(f->below, e);
        if (r < 0)
            return r;
    }
    if (f->ops->handshake) {
        r = f->ops->handshake(f, e);
        if (r < 0)
            return r;
    }
    f->ready = true;
    return 0;
}

uint32_t filter_wants(const struct conn_filter *f)
{
    if (f->below && !f->below->ready)
        return filter_wants(f->below);
    return f->ops->wants ? f->ops->wants(f) : EPOLLIN;
}

ssize_t filter_read(struct conn_filter *f, void *p, size_t n, struct err *e)
{
    while (!f->ops->read)
        f = f->below;
    return f->ops->read(f, p, n, e);
}

ssize_t filter_write(struct conn_filter *f, const struct iovec *iov, int n, struct err *e)
{
    while (!f->ops->write)
        f = f->below;
    return f->ops->write(f, iov, n, e);
}

int filter_flush(struct conn_filter *f, struct err *e)
{
    while (!f->ops->flush)
        f = f->below;
    return f->ops->flush(f, e);
}

int filter_shutdown(struct conn_filter *f, struct err *e)
{
    while (!f->ops->shutdown)
        f = f->below;
    return f->ops->shutdown(f, e);
}

bool filter_pending(const struct conn_filter *f)
{
    for (; f; f = f->below)
        if (f->ops->pending && f->ops->pending(f))
            return true;
    return false;
}

struct conn_filter *filter_free(struct conn_filter *f)
{
    while (f) {
        struct conn_filter *below = f->below;

        if (f->ops->free)
            f->ops->free(f);
        f = below;
    }
    return NULL;
}

/* --- the socket --- */

/* TCP lets a socket meet itself when the kernel chooses for it the very port that it connects to
 * and nobody listens there: nobody is there, and the port must be free at once for its owner. */
static bool met_itself(int fd, const struct sockaddr_storage *peer, socklen_t len)
{
    const struct linger at_once = {.l_onoff = 1};
    struct sockaddr_storage own = {0};
    socklen_t own_len = sizeof(own);

    if (peer->ss_family == AF_UNIX || getsockname(fd, (struct sockaddr *)&own, &own_len) < 0 ||
        own_len != len || memcmp(&own, peer, len) != 0)
        return false;
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    return true;
}

static int socket_handshake(struct conn_filter *f, struct err *e)
{
    int fd = container_of(f, struct socket_filter, filter)->fd, code = 0;
    struct sockaddr_storage peer = {0};
    socklen_t len = sizeof(code);

    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &len) < 0)
        code = errno;
    if (code)
        return err_errno(e, -code, "connect");
    len = sizeof(peer);
    if (getpeername(fd, (struct sockaddr *)&peer, &len) < 0)
        return errno == ENOTCONN ? -EAGAIN : err_errno(e, -errno, "connect");
    if (met_itself(fd, &peer, len))
        return err_errno(e, -ECONNREFUSED, "connect");
    return 0;
}

static uint32_t socket_wants(const struct conn_filter *f)
{
    (void)f;
    return EPOLLOUT;
}

static ssize_t socket_read(struct conn_filter *f, void *p, size_t n, struct err *e)
{
    int fd = container_of(f, struct socket_filter, filter)->fd;
    ssize_t r;

    do
        r = recv(fd, p, n, 0);
    while (r < 0 && errno == EINTR);
    if (r >= 0)
        return r;
    return errno == EAGAIN ? -EAGAIN : err_errno(e, -errno, "read");
}

static ssize_t socket_write(struct conn_filter *f, const struct iovec *iov, int n, struct err *e)
{
    struct msghdr msg = {.msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)n};
    int fd = container_of(f, struct socket_filter, filter)->fd;
    ssize_t r;

    do
        r = sendmsg(fd, &msg, MSG_NOSIGNAL);
    while (r < 0 && errno == EINTR);
    if (r >= 0)
        return r;
    return errno == EAGAIN ? -EAGAIN : err_errno(e, -errno, "write");
}

static int socket_flush(struct conn_filter *f, struct err *e)
{
    (void)f;
    (void)e;
    return 0;
}

static int socket_shutdown(struct conn_filter *f, struct err *e)
{
    if (shutdown(container_of(f, struct socket_filter, filter)->fd, SHUT_WR) < 0)
        return err_errno(e, -errno, "shutdown");
    return 0;
}

static void socket_free(struct conn_filter *f)
{
    struct socket_filter *s = container_of(f, struct socket_filter, filter);

    s->fd = fd_close(s->fd);
}

static const struct conn_filter_ops socket_ops = {
    .name = "socket",
    .handshake = socket_handshake,
    .wants = socket_wants,
    .read = socket_read,
    .write = socket_write,
    .flush = socket_flush,
    .shutdown = socket_shutdown,
    .free = socket_free,
};

void socket_filter_init(struct socket_filter *s, int take_fd, bool connected)
{
    *s = (struct socket_filter){
        .filter = {.ops = &socket_ops, .ready = connected},
          .fd = take_fd
    };
}

/* --- the stash --- */

struct stash_filter {
    struct conn_filter filter;
    struct buf unread, unsent; /* owned */
};

static ssize_t stash_read(struct conn_filter *f, void *p, size_t n, struct err *e)
{
    struct stash_filter *s = container_of(f, struct stash_filter, filter);

    if (s->unread.failed)
        return err_set(e, -EMSGSIZE, "too much arrived before the handshake");
    if (s->unread.len == 0)
        return filter_read(f->below, p, n, e);
    n = MIN(n, s->unread.len);
    memcpy(p, s->unread.p, n);
    buf_drop(&s->unread, n);
    if (s->unread.len == 0)
        buf_done(&s->unread);
    return (ssize_t)n;
}

/* 0 when nothing is left of what goes first */
static int stash_send(struct stash_filter *s, struct err *e)
{
    while (s->unsent.len) {
        struct iovec iov = {s->unsent.p, s->unsent.len};
        ssize_t r = filter_write(s->filter.below, &iov, 1, e);

        if (r < 0)
            return (int)r;
        buf_drop(&s->unsent, (size_t)r);
    }
    buf_done(&s->unsent);
    return 0;
}

static ssize_t stash_write(struct conn_filter *f, const struct iovec *iov, int n, struct err *e)
{
    int r = stash_send(container_of(f, struct stash_filter, filter), e);

    return r < 0 ? r : filter_write(f->below, iov, n, e);
}

static int stash_flush(struct conn_filter *f, struct err *e)
{
    int r = stash_send(container_of(f, struct stash_filter, filter), e);

    return r < 0 ? r : filter_flush(f->below, e);
}

static bool stash_pending(const struct conn_filter *f)
{
    return container_of(f, const struct stash_filter, filter)->unread.len > 0;
}

static uint32_t stash_wants(const struct conn_filter *f)
{
    (void)f;
    return EPOLLOUT;
}

static void stash_free(struct conn_filter *f)
{
    struct stash_filter *s = container_of(f, struct stash_filter, filter);

    buf_done(&s->unread);
    buf_done(&s->unsent);
    free(s);
}

static const struct conn_filter_ops stash_ops = {
    .name = "stash",
    .handshake = stash_flush, /* what was written in clear is out before the next one begins */
    .wants = stash_wants,
    .read = stash_read,
    .write = stash_write,
    .flush = stash_flush,
    .pending = stash_pending,
    .free = stash_free,
};

struct conn_filter *stash_filter_new(struct buf *take_unread, struct buf *take_unsent)
{
    struct stash_filter *s = xnew0(struct stash_filter);

    s->filter.ops = &stash_ops;
    s->unread = *take_unread;
    s->unsent = *take_unsent;
    buf_init(take_unread, take_unread->max);
    buf_init(take_unsent, take_unsent->max);
    return &s->filter;
}

void stash_filter_unread(struct conn_filter *f, const void *p, size_t n)
{
    buf_add(&container_of(f, struct stash_filter, filter)->unread, p, n);
}
