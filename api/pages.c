#include "api/pages.h"

#include <errno.h>
#include <string.h>
#include <zlib.h>

#include "base/limits.h"

enum {
    PAGE_MASK = 63, /* one id in 64 ends a page */
    PAGE_MAX = 256, /* whatever the ids are */
    RAW_WINDOW = -15,
    MEM_LEVEL = 8,
    LEVEL = 1,
};

struct page {
    struct uuid first;          /* key of the first item */
    const struct node_item **v; /* owned array of owned references */
    size_t n;
    uint8_t *piece; /* owned: deflate blocks, byte-aligned, none of them the last */
    size_t piece_len;
    uint32_t crc; /* of the text */
    size_t text_len;
};

static void page_done(struct page *p)
{
    for (size_t i = 0; i < p->n; i++)
        (void)node_item_unref(p->v[i]);
    free(p->v);
    free(p->piece);
    *p = (struct page){0};
}

void pages_done(struct pages *p)
{
    for (size_t i = 0; i < p->n; i++)
        page_done(&p->v[i]);
    free(p->v);
    *p = (struct pages){0};
}

static bool ends_page(const struct node_item *it)
{
    return (it->key.b[UUID_BYTES - 1] & PAGE_MASK) == PAGE_MASK;
}

/* how many of the n items from v on make the next page */
static size_t page_len(const struct node_item *const *v, size_t n)
{
    size_t i = 0;

    while (i < n && i < PAGE_MAX && !ends_page(v[i]))
        i++;
    return i < n && i < PAGE_MAX ? i + 1 : i;
}

/* deflates "stub,stub,stub" and flushes, so that the piece can stand anywhere in a stream */
static int page_build(struct page *p, const struct node_item *const *v, size_t n)
{
    struct buf text = BUF_INIT(HTTP_REPLY_MAX), out = BUF_INIT(HTTP_REPLY_MAX);
    z_stream z = {0};
    int r = -ENOMEM;

    p->first = v[0]->key;
    p->v = xnew0_n(const struct node_item *, n);
    for (; p->n < n; p->n++) {
        p->v[p->n] = node_item_ref(v[p->n]);
        if (p->n > 0)
            buf_add_byte(&text, ',');
        buf_add(&text, v[p->n]->stub, v[p->n]->stub_len);
    }
    if (deflateInit2(&z, LEVEL, Z_DEFLATED, RAW_WINDOW, MEM_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK) {
        buf_done(&text);
        return -ENOMEM;
    }
    if (buf_ok(&text) == 0 && buf_reserve(&out, deflateBound(&z, text.len) + 16)) {
        z.next_in = text.p;
        z.avail_in = (uInt)text.len;
        z.next_out = out.p;
        z.avail_out = (uInt)out.cap;
        if (deflate(&z, Z_FULL_FLUSH) == Z_OK && z.avail_in == 0 && z.avail_out > 0)
            r = 0;
        p->piece_len = out.cap - z.avail_out;
        p->crc = (uint32_t)crc32(0, text.p, (uInt)text.len);
        p->text_len = text.len;
        p->piece = xmemdup(out.p, p->piece_len);
    }
    (void)deflateEnd(&z);
    buf_done(&text);
    buf_done(&out);
    return r;
}

static bool page_is_of(const struct page *p, const struct node_item *const *v, size_t n)
{
    return p->n == n && memcmp(p->v, v, n * sizeof(void *)) == 0;
}

/* A walk over a list and the pages that are kept, both in id order. */
struct walk {
    const struct node_item *const *v; /* the page of the list */
    size_t n;
    size_t at;  /* items in front of it */
    size_t old; /* the kept page that may be it */
};

/* to the next page; *ret_found says whether p->v[w->old] is it */
static bool walk_next(struct walk *w, const struct pages *p, const struct node_items *items,
                      bool *ret_found)
{
    w->at += w->n;
    if (w->at == items->n)
        return false;
    w->v = items->v + w->at;
    w->n = page_len(w->v, items->n - w->at);
    while (w->old < p->n && memcmp(&p->v[w->old].first, &w->v[0]->key, UUID_BYTES) < 0)
        w->old++;
    *ret_found = w->old < p->n && page_is_of(&p->v[w->old], w->v, w->n);
    return true;
}

size_t pages_missing(const struct pages *p, const struct node_items *items)
{
    struct walk w = {0};
    size_t missing = 0;
    bool found;

    while (walk_next(&w, p, items, &found))
        missing += !found;
    return missing;
}

int pages_prepare(struct pages *p, const struct node_items *items, size_t max)
{
    struct pages fresh = {.n_built = p->n_built};
    struct walk w = {0};
    size_t missing = 0;
    bool found;
    int r = 0;

    fresh.v = xnew0_n(struct page, items->n);
    while (r == 0 && walk_next(&w, p, items, &found)) {
        struct page *page = &fresh.v[fresh.n];

        if (found) {
            *page = p->v[w.old];
            p->v[w.old].n = 0; /* moved: what is left in its place owns nothing */
            p->v[w.old].v = NULL;
            p->v[w.old].piece = NULL;
        } else if (max == 0) {
            missing++;
            continue;
        } else {
            r = page_build(page, w.v, w.n);
            fresh.n_built++;
            max--;
        }
        fresh.n++;
    }
    pages_done(p);
    fresh.v = xrealloc(fresh.v, MAX(fresh.n, (size_t)1), sizeof(*fresh.v));
    *p = fresh;
    if (r < 0) {
        pages_done(p);
        return r;
    }
    return (int)missing;
}

/* one byte as a stored block */
static void put_stored(struct buf *b, char c, bool last)
{
    const uint8_t block[] = {last, 1, 0, 0xfe, 0xff, (uint8_t)c};

    buf_add(b, block, sizeof(block));
}

static void put_le32(struct buf *b, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        buf_add_byte(b, (uint8_t)(v >> (8 * i)));
}

static uint32_t add_crc(uint32_t crc, uint32_t next, size_t n)
{
    return (uint32_t)crc32_combine(crc, next, (z_off_t)n);
}

static uint32_t crc_of(char c)
{
    return (uint32_t)crc32(0, (const Bytef *)&c, 1);
}

int pages_gzip(struct pages *p, const struct node_items *items, struct buf *b)
{
    static const uint8_t head[] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 3};
    uint32_t crc = crc_of('[');
    size_t len = 2, total = 64;
    int r;

    r = pages_prepare(p, items, SIZE_MAX);
    if (r < 0)
        return r;
    for (size_t i = 0; i < p->n; i++)
        total += p->v[i].piece_len + 6;
    if (!buf_reserve(b, total))
        return -ENOMEM;
    buf_add(b, head, sizeof(head));
    put_stored(b, '[', false);
    for (size_t i = 0; i < p->n; i++) {
        if (i > 0) {
            put_stored(b, ',', false);
            crc = add_crc(crc, crc_of(','), 1);
            len++;
        }
        buf_add(b, p->v[i].piece, p->v[i].piece_len);
        crc = add_crc(crc, p->v[i].crc, p->v[i].text_len);
        len += p->v[i].text_len;
    }
    put_stored(b, ']', true);
    put_le32(b, add_crc(crc, crc_of(']'), 1));
    put_le32(b, (uint32_t)len);
    return buf_ok(b);
}
