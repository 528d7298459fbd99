/* api/pages, api/cache, api/gzip: forms of bodies that are kept. */
#include "api/pages.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

#include "api/ask.h"
#include "api/cache.h"
#include "api/gzip.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/rand.h"
#include "base/str.h"
#include "model/stub.h"
#include "tests/support/fake_view.h"

static void unzip(const struct buf *in, int window_bits, struct buf *ret)
{
    z_stream z = {.next_in = in->p, .avail_in = (uInt)in->len};
    uint8_t piece[16384];
    int r;

    buf_reset(ret);
    assert_int_equal(inflateInit2(&z, window_bits), Z_OK);
    do {
        z.next_out = piece;
        z.avail_out = sizeof(piece);
        r = inflate(&z, Z_NO_FLUSH);
        if (r != Z_OK && r != Z_STREAM_END)
            fail_msg("inflate: %d %s", r, z.msg); /* a wrong checksum is an error too */
        buf_add(ret, piece, sizeof(piece) - z.avail_out);
    } while (r != Z_STREAM_END);
    assert_int_equal(z.avail_in, 0);
    (void)inflateEnd(&z);
}

/* a table of nodes: pages as a server has them, which lists pin */
struct table {
    struct page *v[32];
    size_t n;
    struct pages pages;
};

static const struct node_item *item(unsigned n, const char *name)
{
    _cleanup_(node_freep) struct node *node = node_new();
    struct node_item *it = NULL;

    node->id = xasprintf("%08x-0000-0000-0000-000000000000", n);
    node->name = xstrdup(name);
    node->status = xstrdup(NODE_STATUS_READY);
    assert_int_equal(node_item_from_node(node, &it, NULL), 0);
    return it;
}

/* nodes 0, 10, 20 ... with per_page of them on a page */
static void fill(struct table *t, unsigned n, unsigned per_page)
{
    *t = (struct table){0};
    for (unsigned i = 0; i < n; i++) {
        if (i % per_page == 0)
            t->v[t->n++] = page_new();
        page_insert(t->v[t->n - 1], i % per_page, item(10 * i, "a node of some name"));
    }
}

static void empty(struct table *t)
{
    for (size_t i = 0; i < t->n; i++)
        (void)page_unref(t->v[i]);
    pages_done(&t->pages);
}

/* all but the first skip and the last less items, which are of the outer pages */
static struct node_list list_of(struct table *t, unsigned skip, unsigned less)
{
    struct page_run *r = page_run_new(t->n);
    struct node_list l = {0};

    for (size_t i = 0; i < t->n; i++)
        page_run_add(r, page_ref(t->v[i]));
    if (t->n > 0)
        node_list_of(&l, r, 0, skip, t->n - 1, t->v[t->n - 1]->n - less);
    (void)page_run_unref(r);
    return l;
}

static void plain_list(const struct node_list *l, struct buf *ret)
{
    struct node_list_at at = {0};
    const struct node_item *it;

    buf_reset(ret);
    buf_add_byte(ret, '[');
    while ((it = node_list_next(l, &at))) {
        if (at.n > 1)
            buf_add_byte(ret, ',');
        assert_int_equal(stub_json(it, false, false, ret, NULL), 0);
    }
    buf_add_byte(ret, ']');
}

static void body(struct table *t, const struct node_list *l, bool gzip, struct buf *ret)
{
    struct blob_list parts = {0};

    assert_int_equal(pages_body(&t->pages, l, gzip, &parts, NULL), 0);
    buf_reset(ret);
    for (size_t i = 0; i < parts.n; i++)
        buf_add(ret, parts.v[i].b->bytes + parts.v[i].at, parts.v[i].n);
    assert_int_equal(ret->len, parts.bytes);
    blob_list_done(&parts);
}

static void check_part(struct table *t, unsigned skip, unsigned less)
{
    _cleanup_buf_ struct buf zipped = BUF_INIT(64 * MIB), text = BUF_INIT(64 * MIB),
                             want = BUF_INIT(64 * MIB);
    struct node_list l = list_of(t, skip, less);

    plain_list(&l, &want);
    body(t, &l, false, &text);
    assert_string_equal(buf_str(&text), buf_str(&want));
    body(t, &l, true, &zipped);
    unzip(&zipped, 15 + 16, &text);
    assert_int_equal(text.len, want.len);
    assert_memory_equal(text.p, want.p, want.len);
    node_list_done(&l);
}

static void check(struct table *t)
{
    check_part(t, 0, 0);
}

static void test_the_joined_pieces_are_the_list(void **state)
{
    static const unsigned sizes[] = {0, 1, 2, 63, 64, 65, 300, 1000};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct table t;

        fill(&t, sizes[i], i % 2 ? 64 : 40);
        check(&t);
        assert_int_equal(t.pages.n_rendered, t.n);
        assert_int_equal(t.pages.n_deflated, t.n);
        empty(&t);
        assert_int_equal(blob_live(), 0);
    }
}

static void test_parts_of_pages_are_joined_too(void **state)
{
    struct table t;

    (void)state;
    fill(&t, 200, 50);
    check_part(&t, 1, 0);
    check_part(&t, 0, 1);
    check_part(&t, 49, 49);
    assert_int_equal(t.pages.n_rendered, 4);
    assert_int_equal(t.pages.n_deflated, 4); /* what is cut is nobody else's */
    empty(&t);
    fill(&t, 50, 50);
    check_part(&t, 10, 20);
    check_part(&t, 49, 0);
    empty(&t);
}

static void test_a_change_makes_one_page_anew(void **state)
{
    struct table t;
    uint64_t rendered, made;

    (void)state;
    fill(&t, 1000, 50);
    check(&t);
    assert_int_equal(t.pages.n_rendered, 20);
    check(&t);
    assert_int_equal(t.pages.n_rendered, 20);
    assert_int_equal(t.pages.n_deflated, 20);
    for (unsigned i = 0; i < 40; i++) { /* another object, one that comes, one that goes */
        unsigned at = i % 20, how = i % 3, slot = i % 50;
        struct node_list pinned = list_of(&t, 0, 0);

        rendered = t.pages.n_rendered;
        made = t.pages.n_deflated;
        t.v[at] = page_own(t.v[at]);
        if (how == 0)
            page_put(t.v[at], slot, item(10 * (at * 50 + slot), "changed"));
        else if (how == 1)
            page_insert(t.v[at], slot, item(10 * (at * 50 + slot) + 5, "new"));
        else
            page_delete(t.v[at], slot);
        assert_true(pages_miss(&pinned, true, 0) == false); /* as it was */
        node_list_done(&pinned);
        check(&t);
        assert_int_equal(t.pages.n_rendered, rendered + 1);
        assert_int_equal(t.pages.n_deflated, made + 1);
    }
    empty(&t);
    assert_int_equal(blob_live(), 0);
}

static void test_work_can_be_done_in_steps(void **state)
{
    struct node_list l;
    struct table t;
    size_t at = 0;

    (void)state;
    fill(&t, 100, 10);
    l = list_of(&t, 0, 0);
    assert_true(pages_miss(&l, false, 9));
    assert_false(pages_miss(&l, false, 10));
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(pages_prepare(&t.pages, &l, false, 3, &at, NULL), 0);
    assert_true(pages_miss(&l, false, 0));
    assert_int_equal(pages_prepare(&t.pages, &l, false, 3, &at, NULL), 1);
    assert_false(pages_miss(&l, false, 0));
    assert_int_equal(t.pages.n_rendered, 10);
    assert_int_equal(t.pages.n_deflated, 0);
    assert_true(pages_miss(&l, true, 9));
    node_list_done(&l);
    empty(&t);
}

static void test_a_change_leaves_what_was_pinned(void **state)
{
    _cleanup_buf_ struct buf before = BUF_INIT(MIB), after = BUF_INIT(MIB);
    struct node_list pinned;
    struct table t;

    (void)state;
    fill(&t, 30, 10);
    pinned = list_of(&t, 0, 0);
    body(&t, &pinned, false, &before);
    t.v[1] = page_own(t.v[1]);
    page_put(t.v[1], 3, item(130, "changed"));
    page_delete(t.v[1], 0);
    assert_ptr_not_equal(t.v[1], pinned.pages[1]);
    check(&t);
    body(&t, &pinned, false, &after);
    assert_string_equal(buf_str(&before), buf_str(&after));
    assert_int_equal(pinned.n, 30);
    node_list_done(&pinned);
    empty(&t);
}

static int render_a(struct buf *b, const struct node_list *items, struct node_list_at *at, size_t n,
                    const struct ask *q, struct err *e)
{
    (void)items;
    (void)at;
    (void)n;
    (void)q;
    (void)e;
    buf_add_str(b, "a");
    return 0;
}

/* a random text: what has to be escaped, what does not shrink, nothing */
static const char *random_name(char name[64])
{
    unsigned n = (unsigned)rand_below(63);

    for (unsigned i = 0; i < n; i++)
        name[i] = (char)(rand_below(4) ? 1 + rand_below(126) : '"');
    name[n] = 0;
    return name;
}

static void random_table(struct table *t)
{
    char name[64];
    unsigned id = 0;

    *t = (struct table){0};
    t->n = (size_t)rand_below(5);
    for (size_t i = 0; i < t->n; i++) {
        t->v[i] = page_new();
        for (unsigned left = 1 + (unsigned)rand_below(PAGE_ITEMS); left > 0; left--) {
            id += 1 + (unsigned)rand_below(9);
            page_insert(t->v[i], t->v[i]->n, item(id, random_name(name)));
        }
    }
}

/* the first items after a place, or all of them, as a page of ?per_page */
static void check_cut(struct table *t)
{
    _cleanup_buf_ struct buf zipped = BUF_INIT(MIB), text = BUF_INIT(MIB), want = BUF_INIT(MIB);
    struct node_list l = list_of(t, 0, 0);
    struct node_list_at at = {0};
    char id[UUID_TEXT_LEN + 1];

    (void)snprintf(id, sizeof(id), "%08x-0000-0000-0000-000000000000",
                   (unsigned)rand_below(1 + 64 * 5));
    if (rand_below(3))
        at = node_list_find(&l, id);
    (void)node_list_cut(&l, at, (size_t)rand_below(3) ? (size_t)rand_below(200) : SIZE_MAX);
    plain_list(&l, &want);
    body(t, &l, false, &text);
    assert_int_equal(text.len, want.len);
    assert_memory_equal(text.p, want.p, want.len);
    body(t, &l, true, &zipped);
    unzip(&zipped, 15 + 16, &text);
    assert_int_equal(text.len, want.len);
    assert_memory_equal(text.p, want.p, want.len);
    node_list_done(&l);
}

/* one item of it, of an owned page or one that a list has pinned */
static void random_change(struct table *t)
{
    size_t i = (size_t)rand_below(t->n);
    struct page *p = t->v[i] = page_own(t->v[i]);
    unsigned slot = (unsigned)rand_below(p->n);
    char name[64];

    if (rand_below(2) && p->n > 1)
        page_delete(p, slot);
    else
        page_put(p, slot,
                 item((unsigned)p->keys[slot].b[2] << 8 | p->keys[slot].b[3], random_name(name)));
}

/* What is kept of some list is found for it alone: memory of items that are gone is soon used
 * again, and a table may well look as it did before. */
static void check_cached(struct cache *c, struct table *t)
{
    _cleanup_buf_ struct buf want = BUF_INIT(MIB);
    const struct blob *kept;
    struct ask q = {0};
    const char *coding;
    struct reply r;

    reply_init(&r);
    r.render_items = render_a;
    r.items = list_of(t, 0, 0);
    plain_list(&r.items, &want);
    kept = cache_get(c, &r, &q, &coding);
    if (kept) {
        assert_int_equal(kept->len, want.len);
        assert_memory_equal(kept->bytes, want.p, want.len);
    } else {
        buf_add(&r.body, want.p, want.len);
        cache_put(c, &r, &q, NULL);
    }
    assert_true(r.items.n == 0 || cache_get(c, &r, &q, &coding));
    reply_done(&r);
}

static void test_random_tables_and_changes(void **state)
{
    struct loop *l;
    struct cache *c;

    (void)state;
    assert_int_equal(loop_new(&l), 0);
    c = cache_new(l);
    for (int k = 0; k < 300; k++) {
        struct table t;

        random_table(&t);
        for (int i = 0; i < 10; i++) {
            struct node_list pinned = {0};

            check_cut(&t);
            check_cached(c, &t);
            if (t.n == 0)
                break;
            if (rand_below(2))
                pinned = list_of(&t, 0, 0);
            random_change(&t);
            if (rand_below(4) == 0)
                page_drop_texts(t.v[rand_below(t.n)]);
            node_list_done(&pinned);
        }
        empty(&t);
    }
    (void)cache_free(c);
    assert_int_equal(blob_live(), 0);
    (void)loop_free(l);
}

/* --- how long texts live --- */

struct nodes_view {
    struct view_ops ops;
    struct view view;
    struct table *t;
};

static int give_all(void *impl, const char *prefix, struct node_list *ret, struct view_meta *m,
                    struct err *e)
{
    struct nodes_view *v = impl;

    (void)prefix;
    (void)m;
    (void)e;
    *ret = list_of(v->t, 0, 0);
    return 0;
}

static void test_texts_that_nobody_asks_for_are_dropped(void **state)
{
    _cleanup_buf_ struct buf b = BUF_INIT(MIB);
    struct nodes_view v = {.ops = {.nodes = give_all}};
    struct node_list l;
    struct loop *loop;
    struct table t;

    (void)state;
    clock_fake(true, 1000 * NSEC_PER_SEC, 0);
    assert_int_equal(loop_new(&loop), 0);
    fill(&t, 300, 10);
    v.t = &t;
    v.view = (struct view){&v.ops, &v};
    pages_init(&t.pages, loop, &v.view);
    for (unsigned i = 0; i < 3; i++) { /* asked for: they stay */
        l = list_of(&t, 0, 0);
        body(&t, &l, true, &b);
        node_list_done(&l);
        clock_fake_advance(50 * NSEC_PER_SEC);
        (void)loop_run_due(loop);
        assert_int_equal(loop_turn(loop, 0), 0);
        assert_int_equal(t.pages.n_rendered, 30);
        assert_true(blob_live() > 0);
    }
    clock_fake_advance(11 * NSEC_PER_SEC);
    (void)loop_run_due(loop);
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(loop_turn(loop, 0), 0);
    assert_int_equal(blob_live(), 0);
    check(&t);
    assert_int_equal(t.pages.n_rendered, 60);
    empty(&t);
    (void)loop_free(loop);
    clock_fake(false, 0, 0);
}

static bool is_mapped(const void *p)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

    return msync((void *)((uintptr_t)p / page * page), page, MS_ASYNC) == 0;
}

static void test_texts_go_some_at_a_time(void **state)
{
    enum { N = 1000 };
    static void *at[N];
    struct blob_list l = {0};
    struct loop *loop;
    size_t left = N;

    (void)state;
    assert_int_equal(loop_new(&loop), 0);
    for (int last = 0; last < 2; last++) {
        blob_use_loop(loop);
        for (size_t i = 0; i < N; i++) {
            struct blob *b = blob_alloc(20000);

            assert_non_null(b);
            at[i] = b;
            blob_list_add(&l, b, 0, b->len);
        }
        blob_list_done(&l);
        assert_int_equal(blob_live(), 0);
        for (int turns = 0; last == 0 && left > 0; turns++) {
            size_t were = left;

            assert_true(turns < 100);
            for (size_t i = left = 0; i < N; i++)
                left += is_mapped(at[i]);
            assert_true(turns == 0 ? left == N : were - left <= 200);
            assert_int_equal(loop_turn(loop, 0), 0);
        }
    }
    blob_use_loop(NULL); /* all that are left */
    for (size_t i = 0; i < N; i++)
        assert_false(is_mapped(at[i]));
    (void)loop_free(loop);
}

static void test_texts_that_readers_hold_have_a_ceiling(void **state)
{
    struct blob_list held[20];
    struct node_list l;
    struct table t;
    size_t n = 0;

    (void)state;
    fill(&t, 64, 64);
    page_set_current(t.v[0], true);
    t.pages.live_max = 100 * KIB;
    while (!pages_are_full(&t.pages)) {
        assert_true(n < ARRAY_LEN(held));
        l = list_of(&t, 0, 0);
        held[n] = (struct blob_list){0};
        assert_int_equal(pages_body(&t.pages, &l, false, &held[n++], NULL), 0);
        node_list_done(&l);
        page_put(t.v[0], 5, item(50, "changed")); /* the reader's text is an old one */
    }
    assert_true(n > 3); /* the current one may be held as well, and is as large */
    assert_true(blob_live() > 100 * KIB);
    blob_list_done(&held[0]);
    blob_list_done(&held[1]);
    assert_false(pages_are_full(&t.pages));
    for (size_t i = 2; i < n; i++)
        blob_list_done(&held[i]);
    page_set_current(t.v[0], false);
    assert_int_equal(page_current_bytes(), 0);
    empty(&t);
}

static void test_gzip_of_all_sizes(void **state)
{
    _cleanup_buf_ struct buf in = BUF_INIT(4 * MIB), out = BUF_INIT(4 * MIB),
                             text = BUF_INIT(4 * MIB);

    (void)state;
    for (size_t n = 1; n < MIB; n = n * 3 + 1) {
        while (in.len < n)
            buf_add_byte(&in, (uint8_t)(in.len * in.len / 7));
        for (int raw = 0; raw < 2; raw++) {
            buf_reset(&out);
            assert_int_equal(gzip_compress(&out, in.p, in.len, raw), 0);
            unzip(&out, raw ? -15 : 15 + 16, &text);
            assert_int_equal(text.len, in.len);
            assert_memory_equal(text.p, in.p, in.len);
        }
    }
}

/* --- cache --- */

static void one_item(struct reply *r, const struct node_item *it, const char *body)
{
    reply_init(r);
    r->render_items = render_a;
    node_list_add(&r->items, node_item_ref(it));
    buf_add_str(&r->body, body);
}

static void test_the_cache_knows_items_and_forms(void **state)
{
    struct loop *l;
    struct fake_view f;
    struct cache *c;
    struct reply r, other;
    struct blob *kept;
    struct ask plain = {0}, pretty = {.pretty = true}, gzip = {.encoding = ENCODING_GZIP};
    const char *coding = "?";

    (void)state;
    clock_fake(true, 1000 * NSEC_PER_SEC, 0);
    assert_int_equal(loop_new(&l), 0);
    fake_view_init(&f);
    fake_view_put(&f, "00000000-0000-0000-0000-000000000001", "a");
    fake_view_put(&f, "00000000-0000-0000-0000-000000000002", "b");
    c = cache_new(l);
    one_item(&r, f.v[0], "body");
    one_item(&other, f.v[1], "");
    assert_null(cache_get(c, &r, &plain, &coding));
    cache_put(c, &r, &plain, NULL);
    kept = cache_get(c, &r, &plain, &coding);
    assert_non_null(kept);
    assert_int_equal(kept->len, 4);
    assert_memory_equal(kept->bytes, "body", 4);
    assert_null(coding);
    assert_null(cache_get(c, &r, &pretty, &coding));
    assert_null(cache_get(c, &r, &gzip, &coding));
    assert_null(cache_get(c, &other, &plain, &coding));
    cache_put(c, &r, &gzip, "gzip");
    assert_non_null(cache_get(c, &r, &gzip, &coding));
    assert_string_equal(coding, "gzip");
    assert_int_equal(blob_live(), 8);
    clock_fake_advance(4 * NSEC_PER_SEC);
    (void)loop_run_due(l);
    assert_non_null(cache_get(c, &r, &gzip, &coding)); /* asked for: kept for longer */
    clock_fake_advance(5 * NSEC_PER_SEC);
    (void)loop_run_due(l);
    assert_null(cache_get(c, &r, &gzip, &coding));
    assert_int_equal(blob_live(), 0);
    reply_done(&r);
    reply_done(&other);
    (void)cache_free(c);
    fake_view_done(&f);
    (void)loop_free(l);
    clock_fake(false, 0, 0);
}

static void test_the_cache_has_ceilings(void **state)
{
    struct loop *l;
    struct fake_view f;
    struct cache *c;
    struct ask q = {0};
    const char *coding;

    (void)state;
    assert_int_equal(loop_new(&l), 0);
    fake_view_init(&f);
    for (unsigned i = 0; i < 20; i++) {
        _cleanup_free_ char *id = xasprintf("%08x-0000-0000-0000-000000000000", i);

        fake_view_put(&f, id, "n");
    }
    c = cache_new(l);
    for (size_t i = 0; i < 20; i++) {
        struct reply r;

        one_item(&r, f.v[i], "");
        for (size_t k = 0; k < 6 * MIB; k += 1024)
            buf_add(&r.body, "0123456789abcdef0123456789abcdef", 32);
        cache_put(c, &r, &q, NULL);
        assert_true(blob_live() <= 32 * MIB);
        assert_non_null(cache_get(c, &r, &q, &coding));
        reply_done(&r);
    }
    for (size_t i = 0; i < 2; i++) { /* large ones push the others out; too large ones stay out */
        struct reply r;

        one_item(&r, f.v[i], "");
        assert_true(buf_reserve(&r.body, (i ? 9 : 8) * MIB));
        memset(r.body.p, 'x', (i ? 9 : 8) * MIB);
        r.body.len = (i ? 9 : 8) * MIB;
        cache_put(c, &r, &q, NULL);
        assert_int_equal(cache_get(c, &r, &q, &coding) != NULL, i == 0);
        assert_true(blob_live() <= 32 * MIB);
        reply_done(&r);
    }
    (void)cache_free(c);
    fake_view_done(&f);
    (void)loop_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_joined_pieces_are_the_list),
        cmocka_unit_test(test_parts_of_pages_are_joined_too),
        cmocka_unit_test(test_a_change_makes_one_page_anew),
        cmocka_unit_test(test_work_can_be_done_in_steps),
        cmocka_unit_test(test_a_change_leaves_what_was_pinned),
        cmocka_unit_test(test_random_tables_and_changes),
        cmocka_unit_test(test_texts_that_nobody_asks_for_are_dropped),
        cmocka_unit_test(test_texts_go_some_at_a_time),
        cmocka_unit_test(test_texts_that_readers_hold_have_a_ceiling),
        cmocka_unit_test(test_gzip_of_all_sizes),
        cmocka_unit_test(test_the_cache_knows_items_and_forms),
        cmocka_unit_test(test_the_cache_has_ceilings),
    };

    loop_block_signals();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
