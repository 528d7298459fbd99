/* model/class.h - the number behind a node's ComputedClass. */
#pragma once

#include "model/node.h"

/* with_pool: as Nomad 1.6 and newer compute it; without: as older ones, whose recorded results
 * serve as tests */
uint64_t class_hash(const struct node *n, bool with_pool);
