/* wire/http1_clients.h - how many connections each address has.
 *
 * A small hash table of the addresses that have any.  Depends on: base/.
 */
#pragma once

#include <sys/socket.h>

#include "base/mem.h"

enum { HTTP_CLIENT_BUCKETS = 256 };

struct http_client;

struct http_clients {
    struct http_client *buckets[HTTP_CLIENT_BUCKETS]; /* owned */
    uint64_t said_ns; /* the bucket of refusals that were said aloud */
    unsigned credit;
    bool started;
};

/* Counts one more; *ret is NULL for peers without an address and without a limit (max 0).  -EBUSY:
 * it has max. */
int http_clients_enter(struct http_clients *c, const struct sockaddr_storage *peer, unsigned max,
                       struct http_client **ret) _must_check_;
void http_clients_leave(struct http_clients *c, struct http_client *client); /* NULL-safe */
/* Whether a refusal is worth an answer: 10 a second, 100 at once (Nomad's figures); otherwise the
 * connection is closed without a word. */
bool http_clients_may_say_so(struct http_clients *c);
void http_clients_done(struct http_clients *c);
