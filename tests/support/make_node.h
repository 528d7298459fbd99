/* tests/support/make_node.h - nodes for tests of state and server. */
#pragma once

#include "model/item.h"

/* the nth id: 00000000-0000-4000-8000-<n>, its secret the same with 5 for 4 */
void make_node_id(uint64_t n, char ret[UUID_TEXT_LEN + 1]);
void make_node_secret(uint64_t n, char ret[UUID_TEXT_LEN + 1]);
struct uuid make_node_key(uint64_t n);
/* a complete small node as an agent registers it, status "initializing" */
struct node *make_node(uint64_t n) _must_check_;
/* the same as an item that stands at an index; pad: bytes of an additional attribute */
const struct node_item *make_node_item(uint64_t n, uint64_t index, size_t pad) _must_check_;
