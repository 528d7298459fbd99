/* wire/accept.h - the listening side of RPC: first byte decides (01 plain, 05 streaming, 06 yamux;
 * 04 TLS comes later as a filter; everything else is closed without an answer).
 *
 * Limits (fact: rpc-wire 2.1): no first byte, or for 05 no header, within 5 s: closed; more than
 * max_per_client connections from one address, or 20 fewer streams (05): accepted and closed at
 * once, as are those beyond the reserve of descriptors (wire/fds.h).
 */
#pragma once

#include "wire/rpc.h"

struct rpc_listener;

struct rpc_listen_opts {
    rpc_handler *handler;
    void *handler_arg;
    rpc_stream_handler *stream_handler; /* of streaming RPCs; NULL: all are unknown */
    void *stream_arg;
    void (*on_session)(void *arg, struct rpc_session *s);                     /* may be NULL */
    void (*on_closed)(void *arg, struct rpc_session *s, const struct err *e); /* may be NULL */
    void *arg; /* of on_session and on_closed; on_closed also follows rpc_session_close() */
    uint64_t handshake_timeout_ns; /* 0 = none */
    unsigned max_per_client;       /* 0 = no limit */
};
/* takes the listening descriptor */
int rpc_listen(struct loop *l, int take_fd, const struct rpc_listen_opts *o,
               struct rpc_listener **ret) _must_check_;
/* closes the socket and all sessions accepted by it, without on_closed; requests that wait are gone
 * (on_gone) in the next turn */
struct rpc_listener *rpc_listener_free(struct rpc_listener *ln);
DEFINE_CLEANUP(struct rpc_listener, rpc_listener_free)
size_t rpc_listener_sessions(const struct rpc_listener *ln);
/* calls fn for every session, newest first */
void rpc_listener_each(struct rpc_listener *ln, void (*fn)(void *arg, struct rpc_session *s),
                       void *arg);
