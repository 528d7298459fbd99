/* api/router.h - from method and path to a row of the table, by the rules of Go's ServeMux. */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "api/routes.h"

enum router_result {
    ROUTER_FOUND,
    ROUTER_NOT_FOUND, /* 404, empty */
    ROUTER_METHOD,    /* 405 */
    ROUTER_MOVED,     /* 301 to the location */
};

struct router_match {
    const struct route *route;
    char *id;       /* owned: what :id or * stands for; "" */
    char *location; /* owned: ROUTER_MOVED */
};

/* path: percent-encoded, up to '?'; query: behind it.  Negative: path is no path (400 in e). */
int router_find(const char *method, const char *path, const char *query, struct router_match *ret,
                struct err *e) _must_check_;
void router_match_done(struct router_match *m);
