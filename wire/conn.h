/* wire/conn.h - a byte stream as a chain of filters: socket > (tls, later) > yamux | http1.
 *
 * A conn owns a connected non-blocking socket and its filters.  Each filter sees bytes coming up
 * from the one below and writes bytes down to it; the top is the user (yamux, http1, the type-byte
 * reader of wire/accept).  TLS will be one more filter between socket and user: nothing above it
 * changes.  All callbacks run on the loop; no call blocks.
 *
 * Backpressure: conn_write() takes everything up to CONN_OUT_MAX, then the conn fails with
 * -ENOBUFS; conn_pending() tells a writer to wait, on_drained when it may go on.
 *
 * Depends on: base/.
 */
#pragma once

#include "base/blob.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/loop.h"

struct conn;
struct sockaddr_storage;

struct conn_user {
    /* bytes that arrived; returns how many were consumed (the rest is offered again together with
     * what comes next), or negative errno to fail the connection */
    ssize_t (*on_data)(void *arg, const uint8_t *p, size_t n);
    /* the peer will send nothing more; what it sent before was delivered */
    void (*on_eof)(void *arg);
    /* the connection is dead (error text in e); called once, never from inside a conn_* call that
     * the user made; after it the user must call conn_unref() some time */
    void (*on_closed)(void *arg, const struct err *e);
    /* everything written so far has left this process; may be NULL */
    void (*on_drained)(void *arg);
    /* an outgoing connection is established; may be NULL */
    void (*on_connected)(void *arg);
};

/* takes the connected socket fd; user is borrowed for as long as the conn lives */
struct conn *conn_new(struct loop *l, int take_fd, const struct conn_user *user, void *arg);
/* Connects to "host:port" (host a literal IPv4 or IPv6 address; names are resolved elsewhere, never
 * in the loop) or "unix:/path".  timeout_ns covers the TCP handshake. */
int conn_connect(struct loop *l, const char *address, uint64_t timeout_ns,
                 const struct conn_user *user, void *arg, struct conn **ret,
                 struct err *e) _must_check_;
/* The same for a socket of the caller's (bound to an address of its choice, say) that does not
 * block and whose connect() to peer was begun; its number may be looked at while the conn is open.
 */
struct conn *conn_begun(struct loop *l, int take_fd, const struct sockaddr_storage *peer,
                        unsigned peer_len, uint64_t timeout_ns, const struct conn_user *user,
                        void *arg);
struct conn *conn_ref(struct conn *c);
struct conn *conn_unref(struct conn *c); /* NULL-safe, returns NULL */

/* hands the stream to another user: bytes not consumed so far are offered to it next turn */
void conn_set_user(struct conn *c, const struct conn_user *user, void *arg);
void conn_write(struct conn *c, const void *p, size_t n);
/* the same for a whole buffer, which is emptied */
void conn_write_buf(struct conn *c, struct buf *take);
/* the same for parts of blobs, which others hold too: they do not count for CONN_OUT_MAX */
void conn_write_blobs(struct conn *c, struct blob_list *take);
size_t conn_pending(const struct conn *c); /* bytes written and not yet sent */
/* whether bytes have arrived that nobody has read: a deadline that finds some was ours to miss */
bool conn_unread(const struct conn *c);
void conn_read_pause(struct conn *c, bool paused); /* stop and resume reading: backpressure */
/* closes after what was written has been sent (at most 10 s); no callback comes after this */
void conn_close(struct conn *c);
/* closes at once; no callback comes after this */
void conn_abort(struct conn *c);
/* ends at once what conn_close() left to linger on this loop: before loop_free() */
void conn_drop_closing(struct loop *l);
bool conn_is_open(const struct conn *c);
struct loop *conn_loop(const struct conn *c);
const char *conn_peer(const struct conn *c); /* "ip:port" or "unix", valid while c lives */
const char *conn_local(const struct conn *c);
/* SO_PEERCRED of a unix peer; -ENOTCONN for TCP */
int conn_peer_uid(const struct conn *c, uid_t *ret) _must_check_;

/* listening sockets: "ip:port", "[v6]:port" or "unix:/path"; port 0 = the kernel chooses.
 * -EADDRINUSE names the process that has the port when that can be found out. */
int listen_open(const char *address, int *ret_fd, char **ret_bound, struct err *e) _must_check_;
