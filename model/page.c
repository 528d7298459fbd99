#include "model/page.h"

#include <errno.h>
#include <string.h>

#include "base/limits.h"
#include "model/stub.h"

static size_t current_bytes;

size_t page_current_bytes(void)
{
    return current_bytes;
}

static size_t text_bytes(const struct page *p)
{
    return (p->text ? p->text->len : 0) + (p->deflated ? p->deflated->len : 0);
}

void page_set_current(struct page *p, bool is_current)
{
    if (p->is_current == is_current)
        return;
    p->is_current = is_current;
    if (is_current)
        current_bytes += text_bytes(p);
    else
        current_bytes -= text_bytes(p);
}

static void set_text(struct page *p, struct blob **place, struct blob *take_b)
{
    if (p->is_current)
        current_bytes -= text_bytes(p);
    (void)blob_unref(*place);
    *place = take_b;
    if (p->is_current)
        current_bytes += text_bytes(p);
}

void page_drop_texts(struct page *p)
{
    set_text(p, &p->text, NULL);
    set_text(p, &p->deflated, NULL);
    p->is_true = false;
}

struct page *page_new(void)
{
    struct page *p = xnew0(struct page);

    p->refs = 1;
    return p;
}

struct page *page_ref(struct page *p)
{
    p->refs++;
    return p;
}

struct page *page_unref(struct page *p)
{
    if (!p || --p->refs > 0)
        return NULL;
    page_drop_texts(p);
    for (unsigned i = 0; i < p->n; i++)
        (void)node_item_unref(p->items[i]);
    return mem_free(p);
}

struct page *page_own(struct page *take_p)
{
    struct page *p = take_p, *copy;
    bool is_current = p->is_current;

    if (p->refs == 1)
        return p;
    page_set_current(p, false);
    copy = xmemdup(p, sizeof(*p));
    copy->refs = 1;
    for (unsigned i = 0; i < copy->n; i++)
        (void)node_item_ref(copy->items[i]);
    if (copy->text)
        (void)blob_ref(copy->text);
    if (copy->deflated)
        (void)blob_ref(copy->deflated);
    page_set_current(copy, is_current);
    (void)page_unref(p);
    return copy;
}

unsigned page_find(const struct page *p, const struct uuid *key)
{
    unsigned lo = 0, hi = p->n;

    while (lo < hi) {
        unsigned mid = lo + (hi - lo) / 2;

        if (memcmp(p->keys[mid].b, key->b, UUID_BYTES) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* --- changes --- */

/* the items are not those of the text any more */
static void changed(struct page *p)
{
    p->is_true = false;
    set_text(p, &p->deflated, NULL);
    p->statuses = 0;
    for (unsigned i = 0; i < p->n; i++)
        p->statuses |= (uint8_t)(1U << p->status[i]);
}

/* bits below slot stay, the others move by one */
static uint64_t bits_below(unsigned slot)
{
    return slot < 64 ? (UINT64_C(1) << slot) - 1 : UINT64_MAX;
}

static void set_slot(struct page *p, unsigned slot, const struct node_item *take_it)
{
    p->keys[slot] = take_it->key;
    p->items[slot] = take_it;
    p->status[slot] = take_it->status;
    p->stale |= UINT64_C(1) << slot;
}

/* n entries from slot from on go to slot to, of another page or the same */
static void move_slots(struct page *dst, unsigned to, const struct page *src, unsigned from,
                       unsigned n)
{
    memmove(dst->keys + to, src->keys + from, n * sizeof(src->keys[0]));
    memmove(dst->items + to, src->items + from, n * sizeof(void *));
    memmove(dst->status + to, src->status + from, n * sizeof(src->status[0]));
    memmove(dst->at + to, src->at + from, n * sizeof(src->at[0]));
    memmove(dst->len + to, src->len + from, n * sizeof(src->len[0]));
}

void page_put(struct page *p, unsigned slot, const struct node_item *take_it)
{
    (void)node_item_unref(p->items[slot]);
    set_slot(p, slot, take_it);
    changed(p);
}

void page_insert(struct page *p, unsigned slot, const struct node_item *take_it)
{
    uint64_t below = bits_below(slot);

    move_slots(p, slot + 1, p, slot, p->n - slot);
    p->stale = (p->stale & below) | (p->stale & ~below) << 1;
    p->n++;
    set_slot(p, slot, take_it);
    changed(p);
}

void page_delete(struct page *p, unsigned slot)
{
    uint64_t below = bits_below(slot);

    (void)node_item_unref(p->items[slot]);
    p->n--;
    move_slots(p, slot, p, slot + 1, p->n - slot);
    p->stale = (p->stale & below) | (p->stale >> 1 & ~below);
    changed(p);
}

struct page *page_split(struct page *p, unsigned slot)
{
    struct page *right = page_new();

    right->n = p->n - slot;
    move_slots(right, 0, p, slot, right->n);
    right->stale = slot < 64 ? p->stale >> slot : 0;
    if (p->text)
        right->text = blob_ref(p->text);
    page_set_current(right, p->is_current);
    p->n = slot;
    p->stale &= bits_below(slot);
    changed(p);
    changed(right);
    return right;
}

/* --- texts --- */

static bool has_stub(const struct page *p, unsigned slot)
{
    return p->text && !(p->stale >> slot & 1);
}

/* what is missing, rendered one behind the other; len[] says how much is whose */
static int render_stale(const struct page *p, struct buf *b, uint32_t len[PAGE_ITEMS],
                        struct err *e)
{
    for (unsigned i = 0; i < p->n; i++) {
        size_t before = b->len;
        int r;

        if (has_stub(p, i)) {
            len[i] = p->len[i];
            continue;
        }
        r = stub_json(p->items[i], false, false, b, e);
        if (r < 0)
            return r;
        buf_add_byte(b, ',');
        if (buf_ok(b) < 0)
            return err_set(e, -EMSGSIZE, "the reply is too large");
        len[i] = (uint32_t)(b->len - before);
    }
    return 0;
}

int page_render(struct page *p, struct err *e)
{
    _cleanup_buf_ struct buf fresh = BUF_INIT(HTTP_REPLY_MAX);
    uint32_t len[PAGE_ITEMS] = {0};
    size_t total = 0, at = 0, taken = 0;
    struct blob *text;
    int r;

    if (p->is_true)
        return 0;
    r = render_stale(p, &fresh, len, e);
    if (r < 0)
        return r;
    for (unsigned i = 0; i < p->n; i++)
        total += len[i];
    if (total > HTTP_REPLY_MAX)
        return err_set(e, -EMSGSIZE, "the reply is too large");
    text = blob_alloc(total);
    if (!text)
        return err_set(e, -ENOMEM, "out of memory");
    for (unsigned i = 0; i < p->n; i++) {
        if (has_stub(p, i)) {
            memcpy(text->bytes + at, p->text->bytes + p->at[i], len[i]);
        } else {
            memcpy(text->bytes + at, fresh.p + taken, len[i]);
            taken += len[i];
        }
        p->at[i] = (uint32_t)at;
        p->len[i] = len[i];
        at += len[i];
    }
    set_text(p, &p->text, text);
    set_text(p, &p->deflated, NULL);
    p->stale = 0;
    p->is_true = true;
    return 0;
}

void page_set_deflated(struct page *p, struct blob *take_deflated, uint32_t crc, uint32_t crc_last)
{
    set_text(p, &p->deflated, take_deflated);
    p->crc = crc;
    p->crc_last = crc_last;
}

/* --- runs --- */

struct page_run *page_run_new(size_t cap)
{
    struct page_run *r = xnew0(struct page_run);

    *r = (struct page_run){.refs = 1, .cap = cap, .v = xnew0_n(struct page *, cap)};
    return r;
}

void page_run_add(struct page_run *r, struct page *take_p)
{
    if (r->n == r->cap) {
        r->cap = r->cap ? 2 * r->cap : 1;
        r->v = xrealloc(r->v, r->cap, sizeof(struct page *));
    }
    r->v[r->n++] = take_p;
}

struct page_run *page_run_ref(struct page_run *r)
{
    r->refs++;
    return r;
}

struct page_run *page_run_unref(struct page_run *r)
{
    if (!r || --r->refs > 0)
        return NULL;
    for (size_t i = 0; i < r->n; i++)
        (void)page_unref(r->v[i]);
    free(r->v);
    return mem_free(r);
}
