/* cli/lookup.h - from what an operator typed to one node. */
#pragma once

#include "api/client.h"
#include "model/node.h"

/* Nomad's commands say the same in different words */
struct lookup_words {
    const char *too_short, *query, *none; /* none: the prefix in quotes and " found" follow */
};
/* those of node meta and monitor */
extern const struct lookup_words lookup_words_agent;

/* The whole id of the one node with a prefix, owned by the caller.  false: complaint has the
 * sentence, and the table of nodes when there are several, with their whole ids or short ones. */
bool lookup_node(struct client *c, const char *given, const struct lookup_words *words,
                 bool whole_ids, struct buf *complaint, char **ret);
/* the id of the agent at the address as a node; -ENOENT when it is none */
int lookup_self(struct client *c, char **ret, struct err *e) _must_check_;
