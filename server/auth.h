/* server/auth.h - does a caller prove to be the node it speaks for? (docs/decisions: client auth)
 *
 * A token or secret that is present must be that node's; an absent one is tolerated where releases
 * that still run send none.
 *
 * Depends on: model/item, base/.
 */
#pragma once

#include "base/err.h"
#include "model/item.h"
#include "state/store.h"

/* token "" or it's secret: 0; else -EACCES with "Permission denied" */
int auth_node(const struct node_item *it, const char *token, struct err *e) _must_check_;
/* The node whose secret it is: bound first (may be NULL), then any.  Borrowed until the
 * next turn of the loop; NULL when there is none. */
const struct node_item *auth_find(const struct store *s, const struct uuid *bound,
                                  const char *token);
