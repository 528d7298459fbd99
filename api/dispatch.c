#include "api/dispatch.h"

#include <errno.h>
#include <unistd.h>

#include "api/router.h"
#include "base/rand.h"
#include "base/str.h"
#include "model/texts.h"
#include "wire/http1.h"

#define WAIT_MAX_NS (300 * NSEC_PER_SEC) /* default and maximum; nomad/rpc.go */
#define WAIT_JITTER 16

static int route_failed(const struct router_match *m, int found, struct reply *r)
{
    r->bare = found != ROUTER_METHOD;
    if (found == ROUTER_METHOD) {
        reply_text(r, 405, TEXT_HTTP_METHOD);
    } else if (found == ROUTER_MOVED) {
        r->status = 301;
        r->location = xstrdup(m->location);
    } else {
        r->status = 404;
    }
    return 1;
}

static int route_missing(const struct route *row, struct reply *r)
{
    struct err e;

    (void)err_set_status(&e, -ENOTSUP, 501, "not available in this release of Picket: %s",
                         row->missing);
    if (str_starts(row->pattern, "/v1/acl/"))
        (void)err_set_status(&e, -ENOTSUP, 400, "ACL support disabled");
    reply_error(r, &e);
    return 1;
}

static bool is_local_root(const struct http_request *hq)
{
    return hq->peer_is_unix && (hq->peer_uid == 0 || hq->peer_uid == geteuid());
}

int dispatch_route(const struct http_request *hq, struct ask *ret, struct reply *r)
{
    _cleanup_(router_match_done) struct router_match m = {0};
    struct err e = {0};
    int found;

    found = router_find(hq->method, hq->path, hq->query, &m, &e);
    if (found < 0) {
        reply_error(r, &e);
        r->bare = true;
        return 1;
    }
    if (found != ROUTER_FOUND)
        return route_failed(&m, found, r);
    r->bare = (m.route->flags & ROUTE_BARE) != 0;
    if (!m.route->handler)
        return route_missing(m.route, r);
    if ((m.route->flags & ROUTE_LOCAL_ROOT) && !is_local_root(hq)) {
        reply_text(r, 403, TEXT_PERMISSION_DENIED);
        return 1;
    }
    if (ask_parse(ret, hq, m.route, m.id, &e) < 0) {
        reply_error(r, &e);
        return 1;
    }
    return 0;
}

/* a view of a request's own takes the region along to where the answer comes from */
static bool is_other_region(const struct view *v, const struct ask *q)
{
    return (q->route->flags & ROUTE_REGION) && *q->region && !v->ops->close &&
           !str_eq(q->region, v->ops->region(v->impl));
}

int dispatch_run(const struct view *v, const struct ask *q, struct reply *r)
{
    struct err e = {0};
    int failed;

    r->bare = (q->route->flags & ROUTE_BARE) != 0;
    if (is_other_region(v, q))
        failed = err_set(&e, -EHOSTUNREACH, TEXT_NO_PATH_TO_REGION);
    else
        failed = q->route->handler(v, q, r, &e);
    if (failed == -EINPROGRESS)
        return DISPATCH_LATER;
    if (failed < 0)
        reply_error(r, &e);
    return 0;
}

bool dispatch_must_wait(const struct ask *q, const struct reply *r)
{
    return (q->route->flags & ROUTE_BLOCKING) && q->index > 0 && r->has_meta &&
           r->meta.index <= q->index;
}

uint64_t dispatch_wait_ns(const struct ask *q)
{
    uint64_t ns = WAIT_MAX_NS;

    if (q->wait_ns > 0 && (uint64_t)q->wait_ns < ns)
        ns = (uint64_t)q->wait_ns;
    return ns + rand_below(ns / WAIT_JITTER);
}
