/* wire/peers.h - how many connections each address has open, for limits by client.
 *
 * A hash table keyed by the address part of conn_peer(); unix peers all count as "unix".
 */
#pragma once

#include "base/mem.h"

struct peers;
struct peer;

struct peers *peers_new(unsigned max_per_client); /* 0 = no limit: nothing is kept */
struct peers *peers_free(struct peers *p);        /* entries that were not given back go as well */
/* counts one more from "ip:port"; false when the limit is reached; give *ret back once */
bool peers_enter(struct peers *p, const char *peer, struct peer **ret) _must_check_;
void peers_leave(struct peers *p, struct peer *entry); /* NULL is fine */
/* one of those that were counted becomes a stream, of which RPC_SPARED fewer may be: false, or
 * peers_leave_stream() before peers_leave(); entry NULL (no limit) is fine */
bool peers_enter_stream(const struct peers *p, struct peer *entry) _must_check_;
void peers_leave_stream(struct peer *entry);
