/* wire/rpc.h - Nomad's msgpack RPC on yamux sessions, both roles on both ends.
 *
 * A session is one connection that speaks yamux (type byte 06, each stream opened with byte 01), or
 * plain sequential RPC (type byte 01), or is one streaming RPC (type byte 05).  Either side may
 * call.  Requests and replies are opaque bodies here: one whole msgpack object each; model's
 * descriptors are applied above.
 *
 * Facts: rpc-wire 2-4, 15.  Unknown methods and ill-formed bodies: error reply, then the stream
 * (or plain connection) is closed; application errors leave it open.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "base/loop.h"

struct conn;
struct rpc_session;
struct rpc_call;   /* an outgoing one */
struct rpc_stream; /* wire/rpc_stream.h */

/* --- incoming --- */

/* One request.  It lives until rpc_reply() or rpc_fail() is called, which frees it; on_gone (when
 * set by the handler) says that nobody waits for the answer any more: drop what waits and answer
 * with rpc_drop(). */
struct rpc_request {
    struct rpc_session *session;
    uint64_t seq;
    const char *method;  /* valid until answered */
    const uint8_t *body; /* one whole msgpack object, valid until answered */
    size_t body_len;
    void (*on_gone)(void *arg, struct rpc_request *q);
    void *arg; /* the handler's */
};
typedef void rpc_handler(void *arg, struct rpc_request *q);
/* a stream that the peer opens: see wire/rpc_stream.h */
typedef void rpc_stream_handler(void *arg, struct rpc_stream *s, const char *method);

/* body: one whole msgpack object (copied); NULL = the empty map */
void rpc_reply(struct rpc_request *take_q, const void *body, size_t n);
void rpc_fail(struct rpc_request *take_q, const char *text);
/* the error reply, then closes the stream: unknown method, body that does not decode */
void rpc_fail_close(struct rpc_request *take_q, const char *text);
void rpc_drop(struct rpc_request *take_q); /* after on_gone */
/* frees the body of a request that will wait: it is empty after that */
void rpc_request_trim(struct rpc_request *q);

/* --- sessions --- */

struct rpc_session_opts {
    rpc_handler *handler; /* incoming requests; NULL = "rpc: can't find service X" */
    void *handler_arg;
    rpc_stream_handler *stream_handler; /* NULL = "Unknown rpc method" */
    void *stream_arg;
    /* once, when the session is dead; rpc_session_unref() may be called inside */
    void (*on_closed)(void *arg, struct rpc_session *s, const struct err *e);
    void *arg;
    bool tell_close; /* on_closed is called after rpc_session_close() as well */
    bool client;     /* true: odd stream ids, writes the type byte 06 first */
    bool plain;      /* type byte 01: no yamux (servers only) */
    bool streaming;  /* plain, and type byte 05: the connection is one streaming RPC */
};
/* takes the connection (right after the type byte for servers, freshly connected for clients) */
struct rpc_session *rpc_session_new(struct conn *take_c, const struct rpc_session_opts *o);
struct rpc_session *rpc_session_ref(struct rpc_session *s);
struct rpc_session *rpc_session_unref(struct rpc_session *s);
/* calls in flight fail, requests are gone; on_closed is not called (unless tell_close) */
void rpc_session_close(struct rpc_session *s);
bool rpc_session_is_open(const struct rpc_session *s);
/* open, and the peer has not said that it goes away */
bool rpc_session_takes_calls(const struct rpc_session *s);
const char *rpc_session_peer(const struct rpc_session *s);
uint64_t rpc_session_opened_ns(const struct rpc_session *s); /* CLOCK_BOOTTIME */
/* a slot for the user of the session (the server keeps the node id that is bound to it there);
 * freed with the destructor when the session is */
void rpc_session_set_data(struct rpc_session *s, void *data, void (*destroy)(void *data));
void *rpc_session_data(const struct rpc_session *s);
size_t rpc_session_calls(const struct rpc_session *s);   /* outgoing ones in flight */
size_t rpc_session_streams(const struct rpc_session *s); /* streaming RPCs, of both sides */

/* --- outgoing --- */

enum rpc_result {
    RPC_OK,        /* body is the reply */
    RPC_ERROR,     /* the peer answered with an error: text */
    RPC_TRANSPORT, /* the connection failed before an answer: text says how */
    RPC_TIMEOUT,
};
typedef void rpc_done(void *arg, enum rpc_result how, const char *text, const uint8_t *body,
                      size_t n);
/* Sends a request on an idle stream or a new one.  done is called exactly once, never from inside
 * this call, unless the call is cancelled.  timeout_ns 0 = none. */
struct rpc_call *rpc_call(struct rpc_session *s, const char *method, const void *body, size_t n,
                          uint64_t timeout_ns, rpc_done *done, void *arg);
void rpc_call_cancel(struct rpc_call *c); /* done will not be called; NULL-safe */
