/* server/rules.h - how a stored node changes: pure functions from the old item to the new one.
 *
 * nomad v1.10.5 nomad/node_endpoint.go and nomad/state/state_store.go (facts: server-semantics
 * 1.2-1.8).  Time and index are arguments; nothing is stored here.  What a function does not name
 * stays as it is, fields that this release does not know included.
 *
 * Depends on: codec/, model/, server/patches.
 */
#pragma once

#include "model/item.h"

/* Node.Register.  packed: the client's object; n: the same decoded, canonicalized and checked;
 * old: what is stored, or NULL. */
struct rules_registration {
    const uint8_t *packed;
    size_t packed_len;
    const struct node *node;
    const struct bytes *resources; /* NodeResources where canonicalizing changed them, or NULL */
    const char *computed_class;
};
int rules_register(const struct node_item *old, const struct rules_registration *reg,
                   uint64_t index, int64_t now_ns, struct node_item **ret,
                   struct err *e) _must_check_;

/* Which status a node gets that asks for one (1.3.10 and newer: a disconnected one has to go
 * through initializing).  Nodes with live allocations would have to report those first; there are
 * none. */
enum node_status rules_next_status(enum node_status stored, enum node_status asked);

/* Node.UpdateStatus with a change: event is one packed NodeEvent or NULL; the words of a node that
 * comes back are added here. */
int rules_status(const struct node_item *old, enum node_status status, const struct bytes *event,
                 uint64_t index, int64_t now_ns, struct node_item **ret,
                 struct err *e) _must_check_;
/* the deadline passed: down, with its event */
int rules_missed(const struct node_item *old, uint64_t index, int64_t now_ns,
                 struct node_item **ret, struct err *e) _must_check_;

/* Node.EmitEvents: events is a packed array; each gets the index.  ModifyIndex stays. */
int rules_emit(const struct node_item *old, const struct bytes *events, uint64_t index,
               struct node_item **ret, struct err *e) _must_check_;

/* Node.UpdateAlloc: LastAllocUpdateIndex.  ModifyIndex stays. */
int rules_alloc_update(const struct node_item *old, uint64_t index, struct node_item **ret,
                       struct err *e) _must_check_;

/* "ready" -> STATUS_READY; -EINVAL */
int rules_status_parse(const char *s, enum node_status *ret) _must_check_;
