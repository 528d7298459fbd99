/* wire/rpc_priv.h - the insides of RPC sessions, for wire/rpc*.c and wire/accept.c only. */
#pragma once

#include "base/list.h"
#include "wire/pace.h"
#include "wire/rpc_stream.h"
#include "wire/rpc_wire.h"
#include "wire/yamux.h"

enum { RPC_IDLE_MAX = 2 }; /* idle streams kept for the next call */
enum rpc_stream_type { RPC_TYPE_NONE = 0, RPC_TYPE_RPC = 1, RPC_TYPE_STREAMING = 5 };

struct rpc_session {
    struct loop *loop;
    struct rpc_session_opts o;
    struct yamux *yamux; /* owned; NULL when plain or dead */
    struct conn *plain;  /* owned reference; NULL when yamux or dead */
    char *peer;
    void *data; /* the user's slot */
    void (*destroy)(void *data);
    struct list serving; /* of rpc_serve: streams the peer opened; plain: the only one */
    struct list calls;   /* of rpc_call, in flight */
    struct list failed;  /* of rpc_call, to be told next turn */
    struct list idle;    /* of rpc_out, last used first */
    struct list streams; /* of rpc_stream */
    size_t n_calls, n_idle, n_streams;
    size_t request_bytes; /* held by requests of the peer: half-sent, pipelined, waiting */
    size_t counted_bytes; /* of those, what is part of the budget */
    uint64_t seq;
    uint64_t slow_mark, probed; /* seq when slow was set; calls up to it need no probe any more */
    uint64_t opened_ns;
    struct defer work;
    struct timer slow; /* calls wait: is the peer there? */
    struct timer pace; /* a request is half-sent or an answer has not left */
    char *why;         /* owned; set once dead */
    int why_code;
    unsigned refs;
    bool dead;
    bool closed; /* by the user, or told */
};

/* ends the session: everything that waits is told next turn */
void rpc_session_fail(struct rpc_session *s, int code, const char *text);

/* closes without on_closed, whatever tell_close says */
void rpc_session_end(struct rpc_session *s);

/* --- serving: one stream (or plain connection) that the peer opened --- */
struct rpc_serve {
    struct list link;
    struct rpc_session *session; /* borrowed */
    struct yamux_stream *stream; /* NULL: plain, or gone */
    struct rpc_inbox box;
    struct request *busy; /* dispatched, not answered */
    size_t held;          /* bytes not yet granted to the peer again */
    size_t counted;       /* its part of the session's request_bytes */
    struct pace arrives;  /* what was begun: the type byte, a request */
    struct pace leaves;   /* answers that wait for the peer */
    uint8_t type;         /* enum rpc_stream_type */
    bool eof;             /* the peer sends nothing more */
    bool ready;           /* look at it in the next turn */
    bool pumping;         /* the handler may be running */
    bool gone;            /* free it when pumping is over */
};
void rpc_serve_new(struct rpc_session *s, struct yamux_stream *stream);
void rpc_serve_ready(struct rpc_session *s); /* deferred: goes on where `ready` is set */
/* the stream is dead: whoever works on an answer is told */
void rpc_serve_gone(struct rpc_serve *v);
/* its time is up: no answer, no more words */
void rpc_serve_drop(struct rpc_serve *v);
/* rpc_pace.c: n bytes of an answer were handed over; a request is (not) half-sent; of the timer */
void rpc_pace_sent(struct rpc_serve *v, size_t n);
void rpc_pace_waits(struct rpc_serve *v, bool half_sent);
void rpc_pace_look(void *arg);
/* *counted is somebody's part of what the session holds, now n */
void rpc_session_hold(struct rpc_session *s, size_t *counted, size_t n);
/* plain connections: their bytes and their end */
void rpc_serve_data(void *arg, const uint8_t *p, size_t n);
void rpc_serve_eof(void *arg);

/* --- calling: one stream that we opened --- */
struct rpc_out {
    struct list link; /* in idle, when call is NULL */
    struct rpc_session *session;
    struct yamux_stream *stream; /* NULL: gone */
    struct rpc_inbox box;
    struct rpc_call *call;
};
void rpc_out_free(struct rpc_out *o);
/* the session is dead: all calls are to be told, all idle streams go */
void rpc_calls_gone(struct rpc_session *s);
void rpc_calls_tell(struct rpc_session *s); /* deferred */
void rpc_calls_slow(void *arg);             /* of the session's timer */
/* why a call or a stream with n bytes could not be sent; r: of yamux_open() */
const char *rpc_why_not(const struct rpc_session *s, size_t n, int r);

/* --- streaming --- */
struct rpc_stream_offer {
    struct yamux_stream *take_stream; /* NULL: the session is plain */
    struct buf take_in;               /* what came behind the header */
    size_t held;                      /* bytes that were not granted again */
    bool eof;
    const char *method;
};
/* asks the session's handler */
void rpc_stream_offer(struct rpc_session *s, const struct rpc_stream_offer *o);
/* plain connections: their only stream, or NULL; its bytes, its end, room (NULL-safe) */
struct rpc_stream *rpc_stream_first(const struct rpc_session *s);
void rpc_stream_data(void *arg, const uint8_t *p, size_t n);
void rpc_stream_eof(void *arg);
void rpc_stream_drained(void *arg);
void rpc_streams_gone(struct rpc_session *s); /* the session is dead */

/* For those who must find a session first: a stream that waits for rpc_stream_attach() or
 * rpc_stream_fail().  unwait: it was closed meanwhile. */
struct rpc_stream *rpc_stream_prepare(struct loop *l, const char *method, const void *request,
                                      size_t n, const struct rpc_stream_user *user, void *arg);
void rpc_stream_wait(struct rpc_stream *s, void (*unwait)(void *arg), void *arg);
void rpc_stream_attach(struct rpc_stream *s, struct rpc_session *session);
void rpc_stream_fail(struct rpc_stream *s, int code, const char *text);
