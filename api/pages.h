/* api/pages.h - the gzip form of the whole node list, joined from pieces that are kept.
 *
 * Every Go client asks for gzip, and compressing 10,000 list stubs costs ten times what sending
 * them does.  So the list is cut into pages of about 64 items where the ids say so (a node that
 * comes or goes disturbs one page only); each page is deflated on its own once and kept with its
 * checksum until one of its items is another.  A gzip member is then a header, the pieces, and the
 * combined checksum.
 *
 * Owns: the pieces; holds references to the items they were made of.
 */
#pragma once

#include "api/view.h"
#include "base/buf.h"

struct page;

struct pages {
    struct page *v; /* owned, in the order of the list */
    size_t n;
    uint64_t n_built; /* pieces deflated so far; for tests and figures */
};
void pages_done(struct pages *p);

/* how many pieces of this list would have to be made; cheap */
size_t pages_missing(const struct pages *p, const struct node_items *items);
/* Makes at most max of them, drops those of other lists; returns how many are missing still. */
int pages_prepare(struct pages *p, const struct node_items *items, size_t max) _must_check_;
/* Makes what is missing and appends the gzip form of "[stub,stub]".  -ENOMEM */
int pages_gzip(struct pages *p, const struct node_items *items, struct buf *b) _must_check_;
