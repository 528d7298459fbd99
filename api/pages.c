#include "api/pages.h"

#include <errno.h>
#include <string.h>
#include <zlib.h>

#include "base/limits.h"

enum {
    RAW_WINDOW = -15,
    MEM_LEVEL = 8,
    LEVEL = 1,
    DROP_STEP = 128, /* pages a turn: each may be a mapping or two, 2 us */
    COMMA = 6,       /* bytes of a stored block with one byte in it */
};
#define DROP_AFTER_NS (60 * NSEC_PER_SEC)

/* --- dropping --- */

static void stop_dropping(struct pages *p)
{
    node_list_done(&p->dropping);
    p->at = 0;
    defer_stop(&p->next);
}

static void on_drop_more(void *arg)
{
    struct pages *p = arg;

    for (size_t i = 0; i < DROP_STEP && p->at < p->dropping.n_pages; i++)
        page_drop_texts(p->dropping.pages[p->at++]);
    if (p->at < p->dropping.n_pages)
        defer_set(&p->next);
    else
        stop_dropping(p);
}

static void on_idle(void *arg)
{
    struct pages *p = arg;
    struct view_meta meta = {0};
    struct err e = {0};

    if (p->view->ops->nodes(p->view->impl, "", &p->dropping, &meta, &e) == 0)
        defer_set(&p->next);
}

void pages_init(struct pages *p, struct loop *l, const struct view *v)
{
    *p = (struct pages){.view = v};
    timer_init(l, &p->timer, "list texts", on_idle, p);
    defer_init(l, &p->next, on_drop_more, p);
    blob_use_loop(l);
}

void pages_done(struct pages *p)
{
    if (!p->view)
        return;
    timer_stop(&p->timer);
    stop_dropping(p);
    blob_use_loop(NULL);
}

void pages_touch(struct pages *p)
{
    if (!p->view)
        return;
    stop_dropping(p);
    timer_set(&p->timer, DROP_AFTER_NS);
}

bool pages_are_full(const struct pages *p)
{
    return blob_live() > 2 * page_current_bytes() + (p->live_max ? p->live_max : TEXTS_LIVE_MAX);
}

/* --- making --- */

static uint32_t crc_of(char c)
{
    return (uint32_t)crc32(0, (const Bytef *)&c, 1);
}

static uint32_t add_crc(uint32_t crc, uint32_t next, size_t n)
{
    return (uint32_t)crc32_combine(crc, next, (z_off_t)n);
}

/* one byte as a stored block */
static void put_stored(uint8_t ret[COMMA], char c, bool last)
{
    const uint8_t block[COMMA] = {last, 1, 0, 0xfe, 0xff, (uint8_t)c};

    memcpy(ret, block, COMMA);
}

/* deflates a text and flushes, and a comma behind it, which can be left out */
static struct blob *deflated(const uint8_t *text, size_t n)
{
    _cleanup_free_ uint8_t *out = NULL;
    struct blob *b = NULL;
    z_stream z = {0};
    size_t max, len;

    if (deflateInit2(&z, LEVEL, Z_DEFLATED, RAW_WINDOW, MEM_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK)
        return NULL;
    max = deflateBound(&z, n) + 16;
    out = try_alloc(max);
    if (out) {
        z.next_in = (Bytef *)(uintptr_t)text;
        z.avail_in = (uInt)n;
        z.next_out = out;
        z.avail_out = (uInt)max;
        if (deflate(&z, Z_FULL_FLUSH) == Z_OK && z.avail_in == 0 && z.avail_out > 0) {
            len = max - z.avail_out;
            b = blob_alloc(len + COMMA);
            if (b) {
                memcpy(b->bytes, out, len);
                put_stored(b->bytes + len, ',', false);
            }
        }
    }
    (void)deflateEnd(&z);
    return b;
}

static bool in_part(const struct node_list *l, size_t i)
{
    return node_list_from(l, i) != 0 || node_list_to(l, i) != l->pages[i]->n;
}

/* a page of which a part is wanted is deflated for each answer: it is the first or the last */
static bool is_ready(const struct node_list *l, size_t i, bool gzip)
{
    const struct page *page = l->pages[i];

    return page->is_true && (!gzip || page->deflated || in_part(l, i));
}

bool pages_miss(const struct node_list *l, bool gzip, size_t max)
{
    size_t missing = 0;

    for (size_t i = 0; i < l->n_pages && missing <= max; i++)
        missing += !is_ready(l, i, gzip);
    return missing > max;
}

static int prepare(struct pages *p, const struct node_list *l, size_t i, bool gzip, struct err *e)
{
    struct page *page = l->pages[i];
    struct blob *b;
    uint32_t last;
    int r;

    if (!page->is_true) {
        r = page_render(page, e);
        if (r < 0)
            return r;
        p->n_rendered++;
    }
    if (is_ready(l, i, gzip))
        return 0;
    b = deflated(page->text->bytes, page->text->len - 1);
    if (!b)
        return err_set(e, -ENOMEM, "out of memory");
    last = (uint32_t)crc32(0, page->text->bytes, (uInt)page->text->len - 1);
    page_set_deflated(page, b, (uint32_t)crc32(last, (const Bytef *)",", 1), last);
    p->n_deflated++;
    return 0;
}

int pages_prepare(struct pages *p, const struct node_list *l, bool gzip, size_t max, size_t *at,
                  struct err *e)
{
    pages_touch(p);
    for (; *at < l->n_pages; ++*at) {
        int r;

        if (is_ready(l, *at, gzip))
            continue;
        if (max-- == 0)
            return 0;
        r = prepare(p, l, *at, gzip, e);
        if (r < 0)
            return r;
    }
    return 1;
}

/* --- joining --- */

/* where the list's part of page i begins in its text, and how long it is, with the last comma */
static size_t part_of(const struct node_list *l, size_t i, size_t *ret_n)
{
    const struct page *page = l->pages[i];
    unsigned from = node_list_from(l, i), last = node_list_to(l, i) - 1;

    *ret_n = page->at[last] + page->len[last] - page->at[from];
    return page->at[from];
}

static int add_bytes(struct blob_list *l, const void *p, size_t n)
{
    struct blob *b = blob_new(p, n);

    if (!b)
        return -ENOMEM;
    blob_list_add(l, b, 0, n);
    return 0;
}

static int join_plain(const struct node_list *l, struct blob_list *ret)
{
    int r = add_bytes(ret, "[", 1);

    for (size_t i = 0; r == 0 && i < l->n_pages; i++) {
        size_t n, at = part_of(l, i, &n);

        blob_list_add(ret, blob_ref(l->pages[i]->text), at, n - (i + 1 == l->n_pages));
    }
    return r == 0 ? add_bytes(ret, "]", 1) : r;
}

/* of what has been joined so far */
struct sum {
    uint32_t crc;
    size_t len;
};

static void add_sum(struct sum *s, uint32_t crc, size_t n)
{
    s->crc = add_crc(s->crc, crc, n);
    s->len += n;
}

static int join_piece(const struct node_list *l, size_t i, struct blob_list *ret, struct sum *sum)
{
    const struct page *page = l->pages[i];
    bool last = i + 1 == l->n_pages;
    size_t n, at = part_of(l, i, &n);
    struct blob *b;

    if (!in_part(l, i)) {
        b = blob_ref(page->deflated);
        add_sum(sum, last ? page->crc_last : page->crc, n - last);
    } else {
        b = deflated(page->text->bytes + at, n - 1);
        if (!b)
            return -ENOMEM;
        add_sum(sum, (uint32_t)crc32(0, page->text->bytes + at, (uInt)(n - last)), n - last);
    }
    blob_list_add(ret, b, 0, b->len - (last ? COMMA : 0));
    return 0;
}

static int join_gzip(const struct node_list *l, struct blob_list *ret)
{
    uint8_t head[10 + COMMA] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 3}, tail[COMMA + 8];
    struct sum sum = {crc_of('['), 1};
    int r;

    put_stored(head + 10, '[', false);
    put_stored(tail, ']', true);
    r = add_bytes(ret, head, sizeof(head));
    for (size_t i = 0; r == 0 && i < l->n_pages; i++)
        r = join_piece(l, i, ret, &sum);
    if (r < 0)
        return r;
    add_sum(&sum, crc_of(']'), 1);
    for (unsigned i = 0; i < 4; i++) {
        tail[COMMA + i] = (uint8_t)(sum.crc >> 8 * i);
        tail[COMMA + 4 + i] = (uint8_t)((uint32_t)sum.len >> 8 * i);
    }
    return add_bytes(ret, tail, sizeof(tail));
}

int pages_body(struct pages *p, const struct node_list *l, bool gzip, struct blob_list *ret,
               struct err *e)
{
    struct blob_list parts = {0};
    size_t at = 0;
    int r;

    r = pages_prepare(p, l, gzip, SIZE_MAX, &at, e);
    if (r < 0)
        return r;
    r = gzip ? join_gzip(l, &parts) : join_plain(l, &parts);
    if (r < 0) {
        blob_list_done(&parts);
        return err_set(e, r, "out of memory");
    }
    *ret = parts;
    return 0;
}
