/* api/routes.h - the table of HTTP endpoints. */
#pragma once

#include "api/view.h"
#include "base/err.h"

struct ask;
struct reply;

enum route_method {
    M_GET = 1 << 0,
    M_PUT = 1 << 1,
    M_POST = 1 << 2,
    M_DELETE = 1 << 3,
    M_WRITE = M_PUT | M_POST,
    M_ANY = ~0,
};

enum route_flags {
    ROUTE_BLOCKING = 1 << 0,    /* index and wait are honoured; the reply's meta becomes headers */
    ROUTE_PARAMS = 1 << 1,      /* the generic parameters are parsed; wrong ones refused */
    ROUTE_REGION = 1 << 2,      /* another region is refused */
    ROUTE_LIST_FIELDS = 1 << 3, /* resources, os */
    ROUTE_BARE = 1 << 4,        /* no configured response headers */
    ROUTE_BODY = 1 << 5,        /* the handler reads the body (ask.body) */
    ROUTE_LOCAL_ROOT =
        1 << 6,            /* only over the unix socket, and only for uid 0 or the daemon's own */
    ROUTE_UPLOAD = 1 << 8, /* the view takes the body in pieces (wire/http1.h) */
    ROUTE_LOG = 1 << 7,    /* log_level, log_json, plain; not a node and a server at once */
};

/* who may; checked when ACLs come */
enum route_acl {
    ACL_NOBODY_ASKED, /* open to all */
    ACL_NODE_READ,
    ACL_NODE_WRITE,
    ACL_AGENT_READ,
    ACL_AGENT_WRITE,
    ACL_MANAGEMENT,
};

/* Pure: asks the view, fills the reply.  Negative errno: e has the text and perhaps the status. */
typedef int handler(const struct view *v, const struct ask *q, struct reply *ret, struct err *e);

/* Patterns: exact; "/x/:id" and "/x/" "*" = the subtree, the rest of the path is the id; "/x/:id/y"
 * the part of it that ends in /y.  Rows of one pattern stand together; of a subtree the rows with
 * an ending stand first, in the order in which they are tried. */
struct route {
    unsigned methods;
    const char *pattern;
    handler *handler; /* NULL: known to Nomad, not here */
    unsigned flags;
    enum route_acl acl;
    const char *rpc;      /* the method that answers it on a server; NULL = answered locally */
    enum view_what watch; /* ROUTE_BLOCKING: what to wait for */
    const char *missing;  /* without a handler: what is missing, in words */
};

extern const struct route routes[];
extern const size_t n_routes;
