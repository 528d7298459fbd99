/* server/node_reply.h - what the Node endpoints share: ids, and the reply that carries the next
 * TTL. */
#pragma once

#include "server/call.h"

/* "node lookup failed: index error: ..." when it is none */
int node_key(const char *id, struct uuid *ret, struct err *e) _must_check_;
/* Answers Register and UpdateStatus: a new TTL unless the node is down (it may be NULL: gone
 * meanwhile), the servers, the index of the write (0: nothing was written). */
void node_reply_beat(struct call *take_c, const struct node_item *it, uint64_t index);
