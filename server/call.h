/* server/call.h - one request to an endpoint, from decoding to its answer.
 *
 * An endpoint gets a decoded, checked request and answers exactly once, now or later: call_reply(),
 * call_fail() and friends free the call.  What it may keep while it waits stands in the call.  The
 * answer goes through a sink, so that the endpoints do not know whether a connection or a test
 * asks.
 *
 * Depends on: server/server.h, model/.
 */
#pragma once

#include "model/methods.h"
#include "model/query.h"
#include "server/server.h"

struct call_sink {
    void (*reply)(void *arg, const void *body, size_t n);
    /* close: the stream ends behind it */
    void (*fail)(void *arg, const char *text, bool close);
    /* nobody waits any more */
    void (*drop)(void *arg);
    /* the connection belongs to this node; may be NULL */
    void (*bind)(void *arg, const struct uuid *node);
    /* NULL when it belongs to none */
    const struct uuid *(*bound)(void *arg);
    const char *(*peer)(void *arg);
    /* the call waits, and its body is not needed any more; may be NULL */
    void (*trim)(void *arg);
};

struct call;

/* One run of a query: appends the reply, says at which index it stands and sets c->watch (kind and
 * what) to what would change it.  Run again whenever that changes. */
typedef int query_fn(struct call *c, struct buf *reply, uint64_t *ret_index, struct err *e);

struct call {
    struct server *srv;
    struct list link; /* server.calls */
    const struct method *method;
    const struct call_sink *sink;
    void *sink_arg;
    bool gone;           /* the peer is: the answer is dropped */
    bool expired;        /* of a query: its time is up */
    bool may_drop;       /* an agent is asked: nothing has to go on when the peer is gone */
    void *request;       /* owned; struct of method->request */
    const uint8_t *body; /* as it came; the sink keeps it until the answer; a query that waits lets
                          * go of it */
    size_t body_len;
    /* inside request; NULL when it has no such group */
    const struct query_options *q;
    const struct write_request *w;

    /* a blocking query */
    query_fn *query;
    void (*answer)(
        struct call *take_c); /* instead of replying at once: makes the reply piece by piece */
    struct watch watch;
    struct timer timer;

    /* a write that waits */
    store_fn *write;
    size_t writing; /* its part of server.writing_bytes */

    /* an endpoint's own, freed with the call */
    void *data;
    void (*data_free)(void *data);
};

/* Decodes and checks a request, then calls its endpoint.  The call, or NULL when it has been
 * answered already. */
struct call *call_start(struct server *s, const char *method, const uint8_t *body, size_t n,
                        const struct call_sink *sink, void *sink_arg);
/* the peer is gone: a waiting query ends, a write on its way to the disk goes on without answering,
 * one that only waits for its turn is not made any more */
void call_gone(struct call *c);

/* answers; the call is gone after that */
void call_reply(struct call *take_c, const struct desc *d, const void *reply);
void call_reply_raw(struct call *take_c, const void *body, size_t n);
void call_fail(struct call *take_c, const char *text);
void call_fail_close(struct call *take_c, const char *text); /* and ends the stream */

/* runs the query, now or until its index is above MinQueryIndex or time is up, and answers */
void call_query(struct call *take_c, query_fn *fn);

/* store_write() with the call as arg; refused when more waits for the disk than may */
void call_write(struct call *take_c, store_fn *fn, store_done *done);

const char *call_token(const struct call *c); /* "" when there is none */
const char *call_peer(const struct call *c);
/* the caller has shown itself to be this node: its connection becomes the way to it, unless another
 * server forwarded the call */
void call_bind(struct call *c, const struct uuid *node);
/* what query replies carry */
struct query_meta call_meta(uint64_t index);
