/* api/pages.h - lists of nodes as bodies that are joined, not made.
 *
 * The texts belong to the pages (model/page): the stubs as JSON, and their deflated form, flushed
 * so that it can stand anywhere in a stream.  A plain list is "[", the texts, "]"; a gzip member is
 * a header, the pieces, and the combined checksum.  Both are parts of blobs: nothing is copied, and
 * every Go client asks for gzip, which costs ten times the sending when it is made each time. After
 * a change of one node one page is rendered and deflated anew.
 *
 * Texts that nobody asked for during a minute are dropped, so that a fleet that nobody lists costs
 * its packed nodes alone.  Old ones live on while answers made of them are on their way to slow
 * readers: beyond a ceiling there are no lists.
 */
#pragma once

#include "api/view.h"
#include "base/blob.h"
#include "base/loop.h"

struct pages {
    uint64_t n_rendered, n_deflated; /* pages so far; for tests and figures */
    size_t live_max;                 /* of all texts beyond what is current; 0 = TEXTS_LIVE_MAX */
    /* dropping: the loop's and the view's once pages_init() has been called */
    const struct view *view; /* borrowed; NULL: texts stay */
    struct timer timer;
    struct defer next;
    struct node_list dropping;
    size_t at;
};
void pages_init(struct pages *p, struct loop *l, const struct view *v);
void pages_done(struct pages *p);

/* somebody asks for a list: texts stay for a minute more */
void pages_touch(struct pages *p);
/* whether slow readers hold so much that no list is to be made */
bool pages_are_full(const struct pages *p);
/* whether more than max pages of the list have to be worked on; cheap */
bool pages_miss(const struct node_list *l, bool gzip, size_t max);
/* Works on the pages from *at on until max were changed; 1 = all of them are ready.  *at is 0 at
 * first. */
int pages_prepare(struct pages *p, const struct node_list *l, bool gzip, size_t max, size_t *at,
                  struct err *e) _must_check_;
/* The body "[stub,stub]", the same deflated when gzip is set; makes what is missing. */
int pages_body(struct pages *p, const struct node_list *l, bool gzip, struct blob_list *ret,
               struct err *e) _must_check_;
