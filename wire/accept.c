#include "wire/accept.h"

#include <errno.h>
#include <sys/socket.h>

#include "base/limits.h"
#include "base/list.h"
#include "wire/conn.h"
#include "wire/fds.h"
#include "wire/peers.h"
#include "wire/rpc_priv.h"

/* A connection is a guest: first a bare conn whose first byte is awaited, then a session.  Whatever
 * is not understood is closed without a word, as Nomad does (fact: rpc-wire 2.1).  Type byte 04
 * will push a TLS filter (wire/filter.h) and wait for the byte inside. */

enum {
    ACCEPTS_PER_TURN = 64,
    TYPE_PLAIN = 0x01,
    TYPE_STREAMING = 0x05,
    TYPE_YAMUX = 0x06,
};
#define ACCEPT_PAUSE_NS NSEC_PER_SEC /* out of descriptors or memory */

struct rpc_listener {
    struct loop *loop;
    struct rpc_listen_opts o;
    int fd;
    struct io io;
    struct timer resume;
    struct list guests; /* newest first */
    struct peers *peers;
    size_t n_sessions;
};

struct guest {
    struct list link;
    struct rpc_listener *listener;
    struct peer *peer;           /* its place in the limit */
    struct conn *conn;           /* owned until there is a session */
    struct rpc_session *session; /* owned */
    struct timer timer;          /* first byte; a stream's header */
    bool streams;                /* counted as a stream */
    bool late;                   /* its time was up, but it had sent something */
};

static void guest_free(struct guest *g)
{
    struct rpc_listener *ln = g->listener;

    timer_stop(&g->timer);
    list_remove(&g->link);
    if (g->streams)
        peers_leave_stream(g->peer);
    peers_leave(ln->peers, g->peer);
    if (g->conn)
        conn_close(g->conn);
    g->conn = conn_unref(g->conn);
    if (g->session) {
        ln->n_sessions--;
        rpc_session_end(g->session);
    }
    g->session = rpc_session_unref(g->session);
    free(g);
}

static void on_session_closed(void *arg, struct rpc_session *s, const struct err *e)
{
    struct guest *g = arg;
    struct rpc_listener *ln = g->listener;

    if (ln->o.on_closed)
        ln->o.on_closed(ln->o.arg, s, e);
    guest_free(g);
}

/* --- the first byte --- */

static void on_timeout(void *arg)
{
    struct guest *g = arg;

    if (g->session) {
        rpc_session_close(g->session);
    } else if (!g->late && conn_unread(g->conn)) {
        g->late = true; /* the delay is ours: in a stampede, or after a pause of the process */
        timer_set(&g->timer, LATE_LOOK_SEC * NSEC_PER_SEC);
    } else {
        guest_free(g);
    }
}

/* the header of a connection that is one stream */
static void on_stream(void *arg, struct rpc_stream *s, const char *method)
{
    struct guest *g = arg;
    const struct rpc_listen_opts *o = &g->listener->o;

    timer_stop(&g->timer);
    if (o->stream_handler)
        o->stream_handler(o->stream_arg, s, method);
}

static void start_session(struct guest *g, uint8_t type)
{
    struct rpc_listener *ln = g->listener;
    struct rpc_session_opts o = {
        .handler = ln->o.handler,
        .handler_arg = ln->o.handler_arg,
        .stream_handler = type == TYPE_STREAMING ? on_stream : ln->o.stream_handler,
        .stream_arg = type == TYPE_STREAMING ? g : ln->o.stream_arg,
        .on_closed = on_session_closed,
        .arg = g,
        .tell_close = true,
        .plain = type != TYPE_YAMUX,
        .streaming = type == TYPE_STREAMING,
    };

    if (type != TYPE_STREAMING)
        timer_stop(&g->timer);
    g->session = rpc_session_new(steal_ptr(&g->conn), &o);
    ln->n_sessions++;
    if (ln->o.on_session)
        ln->o.on_session(ln->o.arg, g->session);
}

static ssize_t on_first_byte(void *arg, const uint8_t *p, size_t n)
{
    struct guest *g = arg;

    (void)n;
    if (p[0] == TYPE_STREAMING && peers_enter_stream(g->listener->peers, g->peer))
        g->streams = true;
    if (p[0] == TYPE_YAMUX || p[0] == TYPE_PLAIN || g->streams)
        start_session(g, p[0]);
    else
        guest_free(g);
    return 1;
}

static void on_first_eof(void *arg)
{
    guest_free(arg);
}

static void on_first_closed(void *arg, const struct err *e)
{
    (void)e;
    guest_free(arg);
}

/* --- accepting --- */

static void welcome(struct rpc_listener *ln, int take_fd)
{
    static const struct conn_user calls = {
        .on_data = on_first_byte,
        .on_eof = on_first_eof,
        .on_closed = on_first_closed,
    };
    struct guest *g = xnew0(struct guest);

    g->listener = ln;
    g->conn = conn_new(ln->loop, take_fd, &calls, g);
    list_init(&g->link);
    timer_init(ln->loop, &g->timer, "rpc handshake", on_timeout, g);
    if (!peers_enter(ln->peers, conn_peer(g->conn), &g->peer)) {
        conn_abort(g->conn);
        guest_free(g);
        return;
    }
    g->link.next = ln->guests.next; /* to the front */
    g->link.prev = &ln->guests;
    ln->guests.next->prev = &g->link;
    ln->guests.next = &g->link;
    if (ln->o.handshake_timeout_ns)
        timer_set(&g->timer, ln->o.handshake_timeout_ns);
}

static void on_ready(void *arg, uint32_t revents)
{
    struct rpc_listener *ln = arg;

    (void)revents;
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        int fd = accept4(ln->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd >= 0 && !fds_may_keep(fd)) {
            (void)fd_close(fd);
        } else if (fd >= 0) {
            welcome(ln, fd);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            /* it would be reported ready without end: serve those that are here, then look again */
            (void)fds_may_keep(-1);
            io_set(&ln->io, 0);
            timer_set(&ln->resume, ACCEPT_PAUSE_NS);
            return;
        } else if (errno == EAGAIN) {
            return;
        } /* else: this one is gone already (ECONNABORTED ...); the next */
    }
}

static void on_resume(void *arg)
{
    struct rpc_listener *ln = arg;

    io_set(&ln->io, EPOLLIN);
}

int rpc_listen(struct loop *l, int take_fd, const struct rpc_listen_opts *o,
               struct rpc_listener **ret)
{
    struct rpc_listener *ln = xnew0(struct rpc_listener);
    int r;

    *ln = (struct rpc_listener){.loop = l, .o = *o, .fd = take_fd};
    list_init(&ln->guests);
    timer_init(l, &ln->resume, "rpc accept", on_resume, ln);
    ln->peers = peers_new(o->max_per_client);
    r = io_add(l, &ln->io, take_fd, EPOLLIN, "rpc listener", on_ready, ln);
    if (r < 0) {
        (void)rpc_listener_free(ln);
        return r;
    }
    *ret = ln;
    return 0;
}

struct rpc_listener *rpc_listener_free(struct rpc_listener *ln)
{
    if (!ln)
        return NULL;
    io_del(&ln->io);
    timer_stop(&ln->resume);
    ln->fd = fd_close(ln->fd);
    list_for_each (g, &ln->guests, struct guest, link)
        guest_free(g);
    ln->peers = peers_free(ln->peers);
    free(ln);
    return NULL;
}

size_t rpc_listener_sessions(const struct rpc_listener *ln)
{
    return ln->n_sessions;
}

void rpc_listener_each(struct rpc_listener *ln, void (*fn)(void *arg, struct rpc_session *s),
                       void *arg)
{
    list_for_each (g, &ln->guests, struct guest, link)
        if (g->session)
            fn(arg, g->session);
}
