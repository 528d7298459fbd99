/* Listening and accepting; what happens on a connection is in wire/http1_conn. */
#include "wire/http1.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "wire/fds.h"
#include "wire/http1_conn.h"

enum {
    ACCEPT_BATCH = 64,
};

#define ACCEPT_PAUSE_NS (100 * NSEC_PER_MSEC)

static const char too_many[] =
    "Your IP is issuing too many concurrent connections, please rate limit your calls\n";

static const char no_descriptors[] =
    "the server is busy: it has no descriptors for more connections\n";

struct http_server {
    struct hconn_set set;
    struct io io;
    int fd;
    struct timer accept_timer;
};

/* Of a unix peer the user is what counts, like an address (of the prefix for discarding, RFC 6666).
 * true: root, or our own user, who has no limits here. */
static bool is_trusted(int fd, struct sockaddr_storage *peer)
{
    struct sockaddr_in6 user = {.sin6_family = AF_INET6, .sin6_addr.s6_addr = {0x01}};
    struct ucred cred;
    socklen_t len = sizeof(cred);

    if (peer->ss_family != AF_UNIX || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
        return false;
    memcpy(&user.sin6_addr.s6_addr[12], &cred.uid, sizeof(cred.uid));
    memcpy(peer, &user, sizeof(user));
    return cred.uid == 0 || cred.uid == geteuid();
}

static void server_add(struct http_server *s, int take_fd, struct sockaddr_storage *peer)
{
    struct http_client *client = NULL;
    bool room = true;
    struct hconn *h;
    int r = 0;

    if (!is_trusted(take_fd, peer)) {
        room = fds_may_keep(take_fd);
        r = http_clients_enter(&s->set.clients, peer, s->set.opts.max_per_client, &client);
    }
    if ((r < 0 || !room) &&
        (!fds_may_linger(take_fd) || !http_clients_may_say_so(&s->set.clients))) {
        http_clients_leave(&s->set.clients, client);
        (void)fd_close(take_fd);
        return;
    }
    h = hconn_new(&s->set, take_fd, client);
    if (r < 0)
        hconn_refuse(h, 429, too_many);
    else if (!room)
        hconn_refuse(h, 503, no_descriptors);
}

static void server_on_accept_timer(void *arg)
{
    struct http_server *s = arg;

    io_set(&s->io, EPOLLIN);
}

static void server_on_accept(void *arg, uint32_t revents)
{
    struct http_server *s = arg;

    (void)revents;
    for (int i = 0; i < ACCEPT_BATCH; i++) {
        struct sockaddr_storage peer = {0};
        socklen_t len = sizeof(peer);
        int fd = accept4(s->fd, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd >= 0) {
            server_add(s, fd, &peer);
            continue;
        }
        if (errno == EINTR || errno == ECONNABORTED)
            continue;
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            /* level-triggered: without a pause this would spin */
            (void)fds_may_keep(-1);
            io_set(&s->io, 0);
            timer_set(&s->accept_timer, ACCEPT_PAUSE_NS);
        }
        return;
    }
}

int http_listen(struct loop *l, int take_fd, const struct http_server_opts *o,
                struct http_server **ret)
{
    struct http_server *s = xnew0(struct http_server);
    int r;

    hconn_set_init(&s->set, l, o);
    s->fd = take_fd;
    timer_init(l, &s->accept_timer, "http accept", server_on_accept_timer, s);
    r = io_add(l, &s->io, take_fd, EPOLLIN, "http listener", server_on_accept, s);
    if (r < 0) {
        (void)fd_close(take_fd);
        free(s);
        return r;
    }
    *ret = s;
    return 0;
}

struct http_server *http_server_free(struct http_server *s)
{
    if (!s)
        return NULL;
    hconn_set_done(&s->set);
    timer_stop(&s->accept_timer);
    io_del(&s->io);
    (void)fd_close(s->fd);
    return mem_free(s);
}

size_t http_server_connections(const struct http_server *s)
{
    return s->set.n;
}
