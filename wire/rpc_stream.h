/* wire/rpc_stream.h - streaming RPC: yamux streams that begin with the type byte 05.
 *
 * The opener sends {"Method": name}; the acceptor answers {"Error": text} ("" = go on); then the
 * opener sends the request, and either side sends msgpack objects, one behind the other, until one
 * closes (fact: rpc-wire 11.2).  Objects are opaque here, each of at most RPC_OBJECT_MAX.  At most
 * RPC_STREAM_MAX bytes wait unsent.
 *
 * No callback comes from inside a rpc_stream_* call; inside each of them any may be called.
 */
#pragma once

#include "wire/rpc.h"

struct rpc_stream_user {
    /* one whole object of the peer; the first one that an acceptor gets is the request */
    void (*on_object)(void *arg, const uint8_t *p, size_t n);
    void (*on_room)(void *arg); /* may be NULL */
    /* The peer has ended it (e NULL) or it failed; the stream is freed behind the callback.  A
     * refusal is -EREMOTEIO with the peer's text. */
    void (*on_end)(void *arg, const struct err *e);
};

/* Incoming.  Set in rpc_session_opts as stream_handler: accepts by rpc_stream_accept() or refuses
 * by rpc_stream_refuse(), now.  Without a handler: "Unknown rpc method".  The request must come
 * within 30 s: -ETIMEDOUT. */
void rpc_stream_accept(struct rpc_stream *s, const struct rpc_stream_user *user, void *arg);
void rpc_stream_refuse(struct rpc_stream *take_s, const char *text);

/* Outgoing: request is sent once the acceptor has agreed, within 30 s; a refusal comes as on_end
 * with its text. */
struct rpc_stream *rpc_stream_open(struct rpc_session *s, const char *method, const void *request,
                                   size_t n, const struct rpc_stream_user *user, void *arg);

size_t rpc_stream_room(const struct rpc_stream *s);
/* -ENOBUFS: there is less room.  An object larger than RPC_STREAM_MAX goes when nothing waits. */
int rpc_stream_write(struct rpc_stream *s, const void *object, size_t n) _must_check_;
/* No on_object, and not the peer's end, until it is resumed: what still comes is one window at
 * most. A failure is told all the same. */
void rpc_stream_pause(struct rpc_stream *s, bool paused);
/* closes behind what was written; no callback comes after it; NULL-safe, returns NULL */
struct rpc_stream *rpc_stream_close(struct rpc_stream *take_s);
