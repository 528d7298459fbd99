/* agent/mirror_open.h - who answers a request of the local API: this agent from what it has, this
 * agent as servers would ask it, or the servers (fact: http-api 10, what a client agent forwards).
 * Pure.
 *
 * A region that is not ours is always for the servers.  Without contact to them, what can be
 * answered from here is: the list has the own node then.
 */
#pragma once

#include "api/ask.h"
#include "base/uuid.h"

enum mirror_way {
    WAY_HERE,    /* the mirror, at once */
    WAY_RELOAD,  /* the configuration's files, which may hang */
    WAY_OWN,     /* the table of back-calls: statistics, metadata, ... of this node */
    WAY_SERVERS, /* fwd */
};

struct mirror_facts {
    const struct uuid *node; /* ours */
    const char *region;
    bool in_contact;
    bool behind; /* a write was forwarded that our copy of the node does not show yet */
};
enum mirror_way mirror_way(const struct ask *q, const struct mirror_facts *f);
