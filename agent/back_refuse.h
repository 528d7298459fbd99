/* agent/back_refuse.h - what servers ask and this node does not have, each refused in its own words
 * (fact: rpc-wire 11.1).
 */
#pragma once

#include "wire/rpc.h"

/* Answers a request whose method has no function.  known: whether the service of a method, the part
 * up to its dot, has others. */
void back_refuse(struct rpc_request *take_q, bool (*known)(const char *method));
