/* agent/back_stream.h - streams that servers open to this node: its log; whatever belongs to an
 * allocation is answered with Nomad's error for one that is not known (fact: rpc-wire 11.2).
 */
#pragma once

#include "base/list.h"
#include "base/loop.h"
#include "wire/rpc_stream.h"

/* Accepts or refuses s, now.  What is opened stays in list, which is the owner's, until its session
 * ends. */
void back_stream_open(struct list *list, struct loop *l, const char *node_id, struct rpc_stream *s,
                      const char *method);
