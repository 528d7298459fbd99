/* api/dispatch.h - the pure middle of the API: request in, reply out, no waiting and no sockets.
 *
 * dispatch_route() finds the row and reads the parameters once; dispatch_run() asks the view, as
 * often as the waiting needs.
 */
#pragma once

#include "api/ask.h"
#include "api/reply.h"
#include "api/view.h"

/* 0: *ret is filled, dispatch_run() may follow (ask_done() after the last).  1: r is the answer
 * already. */
int dispatch_route(const struct http_request *hq, struct ask *ret, struct reply *r) _must_check_;
enum { DISPATCH_LATER = 1 };
/* r is initialised by the caller.  DISPATCH_LATER: the view has gone to ask and will say when to
 * come again; r is not to be used. */
int dispatch_run(const struct view *v, const struct ask *q, struct reply *r) _must_check_;
/* whether the answer is not newer than what the client has seen: wait for a change */
bool dispatch_must_wait(const struct ask *q, const struct reply *r);
/* how long such a request may wait in all (fact: http-api 7); jitter included */
uint64_t dispatch_wait_ns(const struct ask *q);
