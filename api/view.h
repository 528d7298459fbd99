/* api/view.h - the questions a handler may ask.
 *
 * The server answers from its store, the agent from its mirror (its own node); handlers, routes and
 * JSON are the same.  Items and lists of them are counted: the view hands out references.
 */
#pragma once

#include "base/err.h"
#include "base/list.h"
#include "model/page.h"

struct ask;
struct http_exchange;
struct http_header;
struct method;
struct monitor_request;

/* where an answer stands: becomes the X-Nomad-* headers */
struct view_meta {
    uint64_t index;
    bool known_leader;
    uint64_t last_contact_ms;
    /* of a list whose page was cut elsewhere: where the next begins; borrowed until the view is
     * closed; NULL or "" = none */
    const char *next_token;
};

/* something to wait for; embedded in the waiting request */
struct view_wait {
    void (*fn)(void *arg); /* once */
    void *arg;
    void *impl;      /* the view's */
    uint64_t beyond; /* changes up to this index need not be told */
};

enum view_what { VIEW_NODES, VIEW_NODE, VIEW_NODE_ALLOCS };

/* an answer that goes on: what begins it, to be called once, in this turn (api/reply.h) */
struct view_stream {
    void (*begin)(void *arg, struct http_exchange *take_x, const struct http_header *headers,
                  size_t n_headers);
    void *arg;
};

struct view {
    const struct view_ops *ops;
    void *impl;
};

/* An op that cannot answer at once returns -EINPROGRESS, in views made by open() only: the api
 * waits until the waker that it gave there has fired and runs the handler anew. */
struct view_ops {
    /* Who answers this request: NULL = this view does, at once.  Else a view for this request
     * alone, which lives until its own close().  q is borrowed until then; w->fn is called once for
     * each -EINPROGRESS, never from inside an op.  The op itself may be NULL: always this view. */
    const struct view *(*open)(void *impl, const struct ask *q, struct view_wait *w);
    void (*close)(const struct view *v); /* of views made by open() */

    /* nodes whose id begins with prefix ("" = all); errors carry the text and HTTP status */
    int (*nodes)(void *impl, const char *prefix, struct node_list *ret, struct view_meta *m,
                 struct err *e);
    /* 0 with *ret set, or 1 = not found (meta is set all the same) */
    int (*node)(void *impl, const char *id, const struct node_item **ret, struct view_meta *m,
                struct err *e);
    /* packed array of allocations (msgpack), appended to ret */
    int (*node_allocs)(void *impl, const char *id, struct buf *ret, struct view_meta *m,
                       struct err *e);
    /* calls w->fn when what was asked may have changed; cancel before freeing w */
    void (*wait)(void *impl, enum view_what what, const char *id, struct view_wait *w);
    void (*cancel)(void *impl, struct view_wait *w);

    /* What the method of model/methods answers to the request struct: writes of nodes, and what one
     * agent is asked for (methods with METHOD_CLIENT).  ret_reply: zeroed struct of its reply
     * table, the caller's to clear, also after a failure.  NULL: no such method here, answered by
     * 501. */
    int (*call)(void *impl, const struct method *m, const void *request, void *ret_reply,
                struct view_meta *meta, struct err *e);

    /* A method about the state as a whole (System.*), begun at once; NULL: through call(). */
    int (*system)(void *impl, const struct method *m, struct err *e);

    const char *(*region)(void *impl);
    /* "ip:port" of the leader's RPC, or NULL; borrowed */
    int (*leader)(void *impl, const char **ret, struct err *e);
    int (*peers)(void *impl, char ***ret, size_t *n, struct err *e);
    /* names of all regions; NULL: region() is the only one */
    int (*regions)(void *impl, char ***ret, size_t *n, struct err *e);
    /* JSON bodies of the agent's own endpoints */
    int (*agent_self)(void *impl, struct buf *ret, struct err *e);
    int (*agent_members)(void *impl, struct buf *ret, struct err *e);
    /* type "", "client" or "server"; returns the HTTP status */
    int (*agent_health)(void *impl, const char *type, struct buf *ret);
    /* the agent's probes with values, sources, checks: all, or what explains a name; NULL on the
     * server */
    int (*fingerprint)(void *impl, const char *explain, struct buf *ret, struct err *e);
    /* JSON, or the text that Prometheus reads; NULL: there are none */
    int (*metrics)(void *impl, bool prometheus, struct buf *ret, struct err *e);
    /* whether node_id or server_id ("" = not given) is who is asked; NULL: it cannot be */
    bool (*is_this_agent)(void *impl, const char *node_id, const char *server_id);
    /* the log of another agent, the one that the request names; NULL: its own only */
    int (*monitor)(void *impl, const struct monitor_request *q, struct view_stream *ret,
                   struct err *e);
    /* Replaces the servers this agent uses, which peers() lists; "host[:port]" each.  NULL on the
     * server. */
    int (*set_servers)(void *impl, const char *const *v, size_t n, struct err *e);
    /* The whole state as a file, and what replaces it by one: the latter gets a request whose body
     * is taken in pieces (http_upload_start).  NULL where there is no state. */
    int (*snapshot)(void *impl, struct view_stream *ret, struct err *e);
    int (*restore)(void *impl, struct view_stream *ret, struct err *e);
    /* Reads the configuration again; appends JSON and returns the HTTP status, or -EINPROGRESS.
     * NULL on the server. */
    int (*reload)(void *impl, struct buf *ret);
};
