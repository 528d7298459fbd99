/* wire/yamux.h - yamux: many byte streams on one conn, both roles.  Internal to wire.
 *
 * The rules are those of rpc-wire section 3: windows of 256 KiB granted again by halves, a ping
 * every 30 s with 10 s for its answer, at most 256 streams waiting to be accepted, 75 s for the ACK
 * of a stream of ours, 5 minutes for the peer's FIN after ours, 10 s for a write to move.  Data of
 * streams is handed to the conn in small portions, stream by stream, so that replies to pings and
 * window updates never wait behind it.
 *
 * A session owns its conn and its streams.  No callback comes from inside a yamux_* call.
 */
#pragma once

#include "base/err.h"
#include "wire/conn.h"

struct yamux;
struct yamux_stream;

struct yamux_user {
    /* The peer opened a stream: call yamux_stream_set_user() now.  It counts as waiting until
     * yamux_accept(). */
    void (*on_stream)(void *arg, struct yamux_stream *s);
    /* the session is dead, and all its streams (they were told); call yamux_free() now or later */
    void (*on_closed)(void *arg, const struct err *e);
};

struct yamux_stream_user {
    /* the user keeps what it needs and says with yamux_consumed() when the peer may send more */
    void (*on_data)(void *arg, const uint8_t *p, size_t n);
    /* the peer will send nothing more */
    void (*on_eof)(void *arg);
    /* reset by the peer, or the session died: the stream is gone, do not use it any more */
    void (*on_reset)(void *arg, const struct err *e);
    /* everything written was handed to the conn; may be NULL */
    void (*on_drained)(void *arg);
};

/* takes an open conn, right behind the type byte 06 */
struct yamux *yamux_new(struct conn *take_c, bool client, const struct yamux_user *user, void *arg);
/* closes the conn after what was written is sent; all streams are gone without callbacks */
struct yamux *yamux_free(struct yamux *y);
bool yamux_takes_streams(const struct yamux *y); /* alive, and the peer does not go away */
size_t yamux_streams(const struct yamux *y);     /* open ones */
/* is the peer there?  A ping now; the session dies when in so long neither its answer nor any data
 * comes */
void yamux_probe(struct yamux *y, uint64_t answer_ns);

/* Opens a stream.  -EPIPE: the session is dead; -ESHUTDOWN: the peer goes away and takes no new
 * streams; -EAGAIN: too many streams are open or not yet accepted. */
int yamux_open(struct yamux *y, const struct yamux_stream_user *user, void *arg,
               struct yamux_stream **ret) _must_check_;
void yamux_stream_set_user(struct yamux_stream *s, const struct yamux_stream_user *user, void *arg);
void yamux_accept(struct yamux_stream *s); /* takes it out of the 256 that may wait */
uint32_t yamux_stream_id(const struct yamux_stream *s);
/* Takes everything; what the window does not allow waits.  More than CONN_OUT_MAX waiting in all
 * streams ends the session. */
void yamux_write(struct yamux_stream *s, const void *p, size_t n);
size_t yamux_pending(const struct yamux_stream *s); /* bytes that wait */
size_t yamux_queued(const struct yamux_stream *s);  /* the same in all streams of its session */
void yamux_consumed(struct yamux_stream *s, size_t n);
void yamux_finish(struct yamux_stream *s); /* FIN behind what was written; reading goes on */
/* lets go of the stream: FIN when it was not sent; no callbacks from now on */
struct yamux_stream *yamux_release(struct yamux_stream *s);
struct yamux_stream *yamux_reset(struct yamux_stream *s); /* RST; likewise */
