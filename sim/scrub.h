/* sim/scrub.h - a node as a server shows it becomes a profile: what was the host's own is replaced
 * by places (sim/ident.h), what was secret is gone.
 *
 * Ids, names, addresses: a place where hosts differ ("unique." attributes, networks, devices),
 * a constant elsewhere, so that agents of one profile share a class.  Values of Meta are
 * replaced by as many "x", but for Nomad's own ("connect.").  What servers keep (events, indexes,
 * status, drain, class) and what belongs to allocations (CSI plugins) is left out.
 *
 * Depends on: model/node.h.
 */
#pragma once

#include "base/buf.h"
#include "model/node.h"

void scrub_node(struct node *n);
/* A profile from the JSON of GET /v1/node/:id; appended to out, indented.  -EINVAL with a
 * sentence. */
int scrub_json(const char *text, size_t n, struct buf *out, struct err *e) _must_check_;
