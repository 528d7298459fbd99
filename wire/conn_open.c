#include "wire/conn.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/limits.h"
#include "wire/addr.h"
#include "wire/budget.h"
#include "wire/conn_priv.h"

/* Conns are made here and asked about themselves; what happens in between is in wire/conn.c. */

enum {
    KEEPALIVE_SEC = 15, /* as Go: first probe, distance */
    KEEPALIVE_COUNT = 9,
    /* the same for a peer that vanished with bytes on the way to it: keepalive is silent then */
    USER_TIMEOUT_MS = KEEPALIVE_SEC * (KEEPALIVE_COUNT + 1) * 1000,
};

static void set_tcp_options(int fd)
{
    static const struct {
        int level, name, value;
    } options[] = {
        {IPPROTO_TCP, TCP_NODELAY,      1              },
        {SOL_SOCKET,  SO_KEEPALIVE,     1              },
        {IPPROTO_TCP, TCP_KEEPIDLE,     KEEPALIVE_SEC  },
        {IPPROTO_TCP, TCP_KEEPINTVL,    KEEPALIVE_SEC  },
        {IPPROTO_TCP, TCP_KEEPCNT,      KEEPALIVE_COUNT},
        {IPPROTO_TCP, TCP_USER_TIMEOUT, USER_TIMEOUT_MS},
    };

    for (size_t i = 0; i < ARRAY_LEN(options); i++)
        (void)setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof(int));
}

static struct conn *conn_make(struct loop *l, int take_fd, bool connected,
                              const struct sockaddr_storage *peer, socklen_t peer_len,
                              const struct conn_user *user, void *arg)
{
    struct conn *c = xnew0(struct conn);
    int flags, r;

    *c = (struct conn){.loop = l, .user = user, .arg = arg, .refs = 1, .in = BUF_INIT(CONN_IN_MAX)};
    c->state = connected ? CONN_OPEN : CONN_HANDSHAKE;
    c->top = &c->socket.filter;
    socket_filter_init(&c->socket, take_fd, connected);
    defer_init(l, &c->work, conn_on_work, c);
    timer_init(l, &c->timer, "conn", conn_on_timer, c);
    if (peer->ss_family == AF_UNIX) {
        c->peer = xstrdup("unix");
    } else {
        c->peer = addr_format(peer, peer_len);
        set_tcp_options(take_fd);
    }
    flags = fcntl(take_fd, F_GETFL);
    if (flags >= 0 && !(flags & O_NONBLOCK))
        (void)fcntl(take_fd, F_SETFL, flags | O_NONBLOCK);
    r = io_add(l, &c->io, take_fd, connected ? EPOLLIN : EPOLLOUT, "conn", conn_on_io, c);
    if (r < 0)
        conn_fail(c, r, "cannot watch the socket");
    return c;
}

void conn_free(struct conn *c)
{
    defer_stop(&c->work);
    buf_done(&c->in);
    budget_hold(BUDGET_IN, &c->in_counted, 0);
    free(c->peer);
    free(c->local);
    free(c->why);
    free(c);
}

struct conn *conn_new(struct loop *l, int take_fd, const struct conn_user *user, void *arg)
{
    struct sockaddr_storage peer = {0};
    socklen_t len = sizeof(peer);

    if (getpeername(take_fd, (struct sockaddr *)&peer, &len) < 0)
        peer.ss_family = AF_UNSPEC; /* gone already: the first read says so */
    return conn_make(l, take_fd, true, &peer, len, user, arg);
}

struct conn *conn_begun(struct loop *l, int take_fd, const struct sockaddr_storage *peer,
                        unsigned peer_len, uint64_t timeout_ns, const struct conn_user *user,
                        void *arg)
{
    struct conn *c = conn_make(l, take_fd, false, peer, peer_len, user, arg);

    if (timeout_ns && c->state != CONN_DEAD)
        timer_set(&c->timer, timeout_ns);
    return c;
}

int conn_connect(struct loop *l, const char *address, uint64_t timeout_ns,
                 const struct conn_user *user, void *arg, struct conn **ret, struct err *e)
{
    struct sockaddr_storage peer;
    _cleanup_close_ int fd = -1;
    socklen_t len;
    int r;

    r = addr_parse(address, &peer, &len, e);
    if (r < 0)
        return r;
    fd = socket(peer.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_errno(e, -errno, "socket");
    /* a unix socket with a full queue says EAGAIN and cannot be waited for */
    if (connect(fd, (struct sockaddr *)&peer, len) < 0 && errno != EINPROGRESS)
        return err_errno(e, -errno, "connect %s", address);
    *ret = conn_begun(l, steal_fd(&fd), &peer, len, timeout_ns, user, arg);
    return 0;
}

bool conn_unread(const struct conn *c)
{
    int n = 0;

    return c->state != CONN_DEAD && ioctl(c->socket.fd, FIONREAD, &n) == 0 && n > 0;
}

struct loop *conn_loop(const struct conn *c)
{
    return c->loop;
}

const char *conn_peer(const struct conn *c)
{
    return c->peer;
}

const char *conn_local(const struct conn *c)
{
    struct conn *rw = (struct conn *)c; /* only fills what it caches */
    struct sockaddr_storage a = {0};
    socklen_t len = sizeof(a);

    if (!c->local && c->state != CONN_DEAD &&
        getsockname(c->socket.fd, (struct sockaddr *)&a, &len) == 0)
        rw->local = a.ss_family == AF_UNIX ? xstrdup("unix") : addr_format(&a, len);
    return c->local ? c->local : "";
}

int conn_peer_uid(const struct conn *c, uid_t *ret)
{
    struct ucred cred;
    socklen_t len = sizeof(cred);

    if (c->state == CONN_DEAD || strcmp(c->peer, "unix") != 0)
        return -ENOTCONN;
    if (getsockopt(c->socket.fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
        return -errno;
    *ret = cred.uid;
    return 0;
}
