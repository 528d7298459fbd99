/* wire/filter.h - what a conn is made of; only for those who write a filter (wire/conn, wire/tls).
 *
 * A filter is one stage of a conn.  The lowest is the socket.  All calls go down the chain and none
 * blocks: a filter asks the one below for bytes and hands bytes to it.  A filter keeps what it
 * needs in a struct that begins with struct conn_filter; the conn owns the chain and frees it.
 *
 * The conn calls handshake() of every filter that is not ready, lowest first, each time the socket
 * can do something, until all are ready; no user data moves before.  Then it calls read() until
 * -EAGAIN, write() with what the user wrote, flush() when that was taken, shutdown() before
 * closing. An op that is NULL goes to the filter below.
 *
 * Errors: -EAGAIN is "later"; any other negative errno ends the connection, with e's text.
 */
#pragma once

#include <sys/uio.h>

#include "wire/conn.h"

struct conn_filter;

struct conn_filter_ops {
    const char *name;
    /* 0 = ready, -EAGAIN = waiting for what wants() says */
    int (*handshake)(struct conn_filter *f, struct err *e);
    /* EPOLLIN, EPOLLOUT: what an unfinished handshake waits for; NULL = EPOLLIN */
    uint32_t (*wants)(const struct conn_filter *f);
    /* > 0 bytes, 0 = the peer sends nothing more */
    ssize_t (*read)(struct conn_filter *f, void *p, size_t n, struct err *e);
    /* bytes taken, at least 1 */
    ssize_t (*write)(struct conn_filter *f, const struct iovec *iov, int n, struct err *e);
    /* pushes down what write() took and still holds; 0 = holds nothing */
    int (*flush)(struct conn_filter *f, struct err *e);
    /* says to the peer that nothing more comes; 0 = said */
    int (*shutdown)(struct conn_filter *f, struct err *e);
    /* read() has bytes although the socket may have none */
    bool (*pending)(const struct conn_filter *f);
    /* frees the filter, not the one below; NULL for the embedded socket */
    void (*free)(struct conn_filter *f);
};

struct conn_filter {
    const struct conn_filter_ops *ops;
    struct conn_filter *below; /* owned; NULL for the socket */
    bool ready;                /* handshake done */
};

/* Puts a filter on top of the chain.  Bytes that arrived and were not consumed yet go through it;
 * bytes written before go around it.  The user's on_connected is called when its handshake is done.
 * The handshake has until timeout_ns (0 = for ever). */
void conn_push_filter(struct conn *c, struct conn_filter *take_f, uint64_t timeout_ns);
/* the calls of a filter to the one below it */
int filter_handshake(struct conn_filter *f, struct err *e) _must_check_;
ssize_t filter_read(struct conn_filter *f, void *p, size_t n, struct err *e) _must_check_;
ssize_t filter_write(struct conn_filter *f, const struct iovec *iov, int n,
                     struct err *e) _must_check_;
int filter_flush(struct conn_filter *f, struct err *e) _must_check_;
int filter_shutdown(struct conn_filter *f, struct err *e) _must_check_;
bool filter_pending(const struct conn_filter *f);
uint32_t filter_wants(const struct conn_filter *f);
struct conn_filter *filter_free(struct conn_filter *f); /* this one and those below it */

/* the lowest filter; fd is the filter's, closed by filter_free() */
struct socket_filter {
    struct conn_filter filter;
    int fd;
};
void socket_filter_init(struct socket_filter *s, int take_fd, bool connected);

/* Holds bytes that crossed a place in the chain before a filter was put there: unread is read
 * before what is below, unsent is written before what comes from above. */
struct conn_filter *stash_filter_new(struct buf *take_unread, struct buf *take_unsent);
/* adds to what the stash holds for reading */
void stash_filter_unread(struct conn_filter *f, const void *p, size_t n);
