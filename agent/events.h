/* agent/events.h - node events on their way to the servers.
 *
 * A bounded queue (the newest NODE_EVENTS_MAX + 1, as Nomad keeps), remembered in the journal, sent
 * in order by Node.EmitEvents 5 to 10 s after the last one was added, while registered.  When an
 * answer got lost, the server's copy of the node tells which of them it has: none is sent twice.
 */
#pragma once

#include "agent/journal.h"
#include "agent/session.h"
#include "model/item.h"

struct events;

struct events_opts {
    struct loop *loop;
    struct pool *pool;
    struct session *session;
    struct journal *journal;
    const char *region, *node_id; /* borrowed */
};
struct events *events_new(const struct events_opts *o);
struct events *events_free(struct events *ev);
DEFINE_CLEANUP(struct events, events_free)

/* Adds one that happened now; also a line of the log.  details: copied, may be NULL. */
void events_add(struct events *ev, const char *subsystem, const char *message,
                const struct strmap *details);
void events_registered(struct events *ev); /* the node is known to a server (again) */
void events_kick(struct events *ev);       /* a server answers again: do not wait out a back-off */
size_t events_waiting(const struct events *ev);
