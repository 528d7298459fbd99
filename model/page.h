/* model/page.h - a run of neighbouring nodes of a table, and the texts that lists are made of.
 *
 * A table of nodes is an array of pages of at most PAGE_ITEMS items, ascending by id.  A page is
 * counted.  Its items change only while one holder has it: page_own() gives a holder a page of his
 * own, which shares the texts that are still true.  So whoever pins pages has a list that does not
 * change under him, for some bytes a page instead of some a node.
 *
 * The texts are a cache, made when a list first asks for them and dropped when nobody has for a
 * while (page_drop_texts): the stubs as JSON, each with a comma behind it, and what api/ made of
 * that, its deflated form.  A change of one item renders that item's stub anew and copies the
 * others.
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
    uint8_t status[PAGE_ITEMS];                /* enum node_status of each item */
    uint8_t statuses;                          /* 1 << each of them */
    bool is_current;                           /* it is in a table (page_set_current) */
    bool is_true;                              /* text is of these items, all of them, in order */
    uint64_t stale;           /* items whose stub text has not; the others' are where at says */
    struct blob *text;        /* "stub,stub,stub,"; NULL: not made */
    uint32_t at[PAGE_ITEMS];  /* where each stub begins in text */
    uint32_t len[PAGE_ITEMS]; /* its bytes, with the comma */
    /* api/pages.h: the deflated form of a true text, a stored block for the last comma behind it */
    struct blob *deflated; /* NULL: not made */
    uint32_t crc;          /* of text */
    uint32_t crc_last;     /* of text but for the last comma */
};

struct page *page_new(void) _must_check_;
struct page *page_ref(struct page *p);
struct page *page_unref(struct page *p); /* NULL-safe, returns NULL */
DEFINE_CLEANUP(struct page, page_unref)

/* p itself when nobody else holds it, else a copy for which the caller's reference is given up */
struct page *page_own(struct page *take_p) _must_check_;
/* the first slot whose key is not below key; n when all are */
unsigned page_find(const struct page *p, const struct uuid *key);
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
/* api/ has deflated the text */
void page_set_deflated(struct page *p, struct blob *take_deflated, uint32_t crc, uint32_t crc_last);
void page_drop_texts(struct page *p);

/* Texts live on while an answer that was made of them is on its way.  What all pages that are in a
 * table have, against blob_live(), says how much of that there is. */
void page_set_current(struct page *p, bool is_current);
size_t page_current_bytes(void);

/* pages one after the other, counted as a whole: all lists of a table that does not change share
 * one */
struct page_run {
    unsigned refs;
    size_t n, cap;
    struct page **v; /* owned array of owned references */
};
struct page_run *page_run_new(size_t cap) _must_check_;
void page_run_add(struct page_run *r, struct page *take_p);
struct page_run *page_run_ref(struct page_run *r);
struct page_run *page_run_unref(struct page_run *r); /* NULL-safe, returns NULL */

/* --- a list: pinned pages, the first and the last perhaps in part --- */
struct node_list {
    struct page_run *run; /* owned reference; NULL while there is nothing */
    struct page **pages;  /* of run: the first of the list */
    size_t n_pages;
    unsigned from; /* items of the first page that do not belong to it */
    unsigned to;   /* items of the last page that come before its end (0 only without pages) */
    size_t n;      /* items in all */
};
void node_list_done(struct node_list *l);
/* another holder of the same list */
static inline struct node_list node_list_copy(const struct node_list *l)
{
    if (l->run)
        (void)page_run_ref(l->run);
    return *l;
}
/* the items of a run from slot from of page first to before slot to of page last, both in it */
void node_list_of(struct node_list *l, struct page_run *r, size_t first, unsigned from, size_t last,
                  unsigned to);
/* appends one item, for lists that come from elsewhere; before anybody copies the list */
void node_list_add(struct node_list *l, const struct node_item *take_it);
/* whether both are of the same items */
bool node_list_same(const struct node_list *a, const struct node_list *b);
/* which slots of page i belong to the list */
static inline unsigned node_list_from(const struct node_list *l, size_t i)
{
    return i == 0 ? l->from : 0;
}
static inline unsigned node_list_to(const struct node_list *l, size_t i)
{
    return i + 1 == l->n_pages ? l->to : l->pages[i]->n;
}

/* A place in a list; zeroed: its beginning. */
struct node_list_at {
    size_t page;
    unsigned slot; /* of the page, counted from where the list begins in it */
    size_t n;      /* items in front of it */
};
/* the item there, and on to the next place; NULL at the end */
const struct node_item *node_list_next(const struct node_list *l, struct node_list_at *at);
/* the next one whose status is in the set (1 << enum node_status, ored), passing over pages that
 * have none; at->n is not kept */
const struct node_item *node_list_next_of(const struct node_list *l, unsigned statuses,
                                          struct node_list_at *at);
/* the place of the first item whose id as text is not below id */
struct node_list_at node_list_find(const struct node_list *l, const char *id);
/* Keeps n items from that place on; returns the item behind them, of the list as it was, or NULL.
 * It lives as long as the list does. */
const struct node_item *node_list_cut(struct node_list *l, struct node_list_at at, size_t n);
