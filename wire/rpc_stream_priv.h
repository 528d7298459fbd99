/* wire/rpc_stream_priv.h - the insides of streaming RPCs, for wire/rpc_stream*.c only. */
#pragma once

#include "wire/rpc_priv.h"

enum rpc_stream_phase {
    OFFERED, /* the peer's, its handler decides */
    WAITING, /* ours, without a session yet */
    ASKED,   /* ours, the acceptor has not answered */
    OPEN,
    OVER, /* the user has been told, or does not want to be */
};

struct rpc_stream {
    struct list link; /* in session->streams */
    struct loop *loop;
    struct rpc_session *session; /* counted; NULL while WAITING */
    struct yamux_stream *stream; /* NULL: gone, or the session is a plain connection */
    const struct rpc_stream_user *user;
    void *arg;
    struct defer work;
    struct timer timer; /* for the acceptor's answer, or the opener's request */
    struct rpc_inbox box;
    size_t at;        /* bytes of the inbox that were handed out */
    size_t held;      /* bytes not yet granted to the peer again */
    size_t counted;   /* its part of the session's request_bytes */
    char *method;     /* owned; ours, until sent */
    uint8_t *request; /* owned; likewise */
    size_t n_request;
    char *why; /* owned: failed, to be told */
    int why_code;
    void (*unwait)(void *arg); /* WAITING: nobody waits any more */
    void *unwait_arg;
    enum rpc_stream_phase phase;
    bool paused, eof;
    bool pumping, gone; /* gone: freed when pumping is over */
};

struct rpc_stream *rpc_stream_new(struct loop *l, enum rpc_stream_phase phase);
void rpc_stream_join(struct rpc_stream *s, struct rpc_session *session);
/* all but the memory that a pump on the stack still looks at */
void rpc_stream_free(struct rpc_stream *s);
/* tells, and frees; code 0: the peer's end */
void rpc_stream_over(struct rpc_stream *s, int code, const char *text);
void rpc_stream_put(struct rpc_stream *s, const void *p, size_t n);
extern const struct yamux_stream_user rpc_stream_calls;

/* rpc_stream_open.c */
void rpc_stream_answered(struct rpc_stream *s, const uint8_t *p, size_t n);
void rpc_stream_timed_out(void *arg);
