/* api/slow.h - answers that take longer to make than one callback may run.
 *
 * Lists whose items are all decoded (resources, os) and the first gzip form of a long list cost
 * tens of milliseconds.  They are made in slices of a turn, one answer after the other, from the
 * items that the view gave (counted, so nothing changes under them).  A peer that goes takes its
 * answer out of the queue.
 */
#pragma once

#include "api/ask.h"
#include "api/reply.h"
#include "base/loop.h"

struct slow;

/* shared: borrowed */
struct slow *slow_new(struct loop *l, const struct reply_shared *shared);
struct slow *slow_free(struct slow *s); /* after the servers: nothing is in the queue any more */
DEFINE_CLEANUP(struct slow, slow_free)

bool slow_is_wanted(const struct reply *r, const struct ask *q, const struct reply_shared *shared);
/* answers some time later; all three are taken */
void slow_start(struct slow *s, struct reply *take_r, struct ask *take_q,
                struct http_exchange *take_x);
