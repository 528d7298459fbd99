/* model/page.h - a run of neighbouring nodes of a table, and the texts that lists are made of.
 *
 * A table of nodes is an array of pages of at most PAGE_ITEMS items, ascending by id.  A page is
 * counted.  Its items change only while one holder has it: page_own() gives a holder a page of his
 * own, which shares the texts that are still true.  So whoever pins pages has a list that does not
 * change under him, for some bytes a page instead of some a node.
 *
 * The texts are a cache, made when a list first asks for them and dropped when nobody has for a
 * while (page_drop_texts): the stubs as JSON, joined by commas, and what api/ made of that, its
 * deflated form.  A change of one item renders that item's stub anew and copies the others.
 *
 * Owns: one reference to each item, one to each text.
 */
#pragma once

#include "base/blob.h"
#include "model/item.h"

enum { PAGE_ITEMS = 64 };

struct page {
    unsigned refs;
    unsigned n;                                /* never 0 while in a table */
    struct uuid keys[PAGE_ITEMS];              /* apart from items: a search stays in few lines */
    const struct node_item *items[PAGE_ITEMS]; /* counted */
    uint8_t statuses;                          /* 1 << enum node_status of each item */
    uint64_t stale;                            /* items whose stub in text is not theirs any more */
    struct blob *text;                         /* "stub,stub,stub"; NULL: not made */
    uint32_t at[PAGE_ITEMS + 1];               /* where each stub begins in text */
    struct blob *deflated;                     /* of text, or NULL (api/pages.h) */
    uint32_t crc;                              /* of text, with deflated */
};

struct page *page_new(void) _must_check_;
struct page *page_ref(struct page *p);
struct page *page_unref(struct page *p); /* NULL-safe, returns NULL */
DEFINE_CLEANUP(struct page, page_unref)

/* p itself when nobody else holds it, else a copy for which the caller's reference is given up */
struct page *page_own(struct page *take_p) _must_check_;
/* changes of an owned page */
void page_put(struct page *p, unsigned slot, const struct node_item *take_it); /* replaces */
void page_insert(struct page *p, unsigned slot,
                 const struct node_item *take_it); /* n < PAGE_ITEMS */
void page_delete(struct page *p, unsigned slot);
/* the items from slot on go to a new page */
struct page *page_split(struct page *p, unsigned slot) _must_check_;

/* Makes the text true.  Up to 64 stubs: some hundred microseconds.  -ENOMEM, or what a damaged
 * object gives. */
int page_render(struct page *p, struct err *e) _must_check_;
void page_drop_texts(struct page *p);

/* --- a list: pinned pages, the first and the last perhaps in part --- */
struct node_list {
    struct page **pages; /* owned array of owned references, ascending */
    size_t n_pages;
    unsigned from; /* items of the first page that do not belong to it */
    unsigned to;   /* items of the last page that do (0 only when there are no pages) */
    size_t n;      /* items in all */
};
void node_list_done(struct node_list *l);
/* appends one item, for lists that come from elsewhere */
void node_list_add(struct node_list *l, const struct node_item *it);
/* A walk: *page and *slot are 0 at first; NULL at the end. */
const struct node_item *node_list_next(const struct node_list *l, size_t *page, unsigned *slot);
