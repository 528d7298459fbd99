/* fwd/fwd.h - the view of who has no state: a request is answered by asking a server over RPC.
 *
 * One view per request.  The first call of an op sends the RPC that answers it and returns
 * -EINPROGRESS; when the reply is there the waker fires, the handler runs again, and the op returns
 * what the server said: the same handlers make the same JSON as on a server (fact: http-api 10,
 * what a client agent forwards).  Blocking, pages and filters are the server's: they travel along.
 */
#pragma once

#include "api/ask.h"
#include "api/view.h"
#include "wire/pool.h"

struct monitor_request;

struct fwd_opts {
    struct loop *loop;
    struct pool *pool;
    const char *region; /* borrowed */
    /* a write was done: what the node's index became; may be NULL */
    void (*on_write)(void *arg, const struct method *m, const char *node_id, uint64_t index);
    void *arg;
};

/* A view for this request.  w->fn is called from the loop, never from inside an op, once for each
 * op that said -EINPROGRESS; ops->close releases the view and calls off what is under way.  q is
 * borrowed until then. */
const struct view *fwd_open(const struct fwd_opts *o, const struct ask *q, struct view_wait *w);
/* the log of another agent, through a server (api/view.h, monitor) */
int fwd_monitor(const struct fwd_opts *o, const struct monitor_request *q, struct view_stream *ret,
                struct err *e) _must_check_;
