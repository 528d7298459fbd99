/* api/pages, api/cache, api/gzip: forms of bodies that are kept. */
#include "api/pages.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include <cmocka.h>

#include "api/ask.h"
#include "api/cache.h"
#include "api/gzip.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/str.h"
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

static void plain_list(const struct node_items *l, struct buf *ret)
{
    buf_reset(ret);
    buf_add_byte(ret, '[');
    for (size_t i = 0; i < l->n; i++) {
        if (i > 0)
            buf_add_byte(ret, ',');
        buf_add(ret, l->v[i]->stub, l->v[i]->stub_len);
    }
    buf_add_byte(ret, ']');
}

static void check(struct pages *p, const struct fake_view *f)
{
    _cleanup_buf_ struct buf zipped = BUF_INIT(64 * MIB), text = BUF_INIT(64 * MIB),
                             want = BUF_INIT(64 * MIB);

    assert_int_equal(pages_gzip(p, &f->items, &zipped), 0);
    unzip(&zipped, 15 + 16, &text);
    plain_list(&f->items, &want);
    assert_int_equal(text.len, want.len);
    assert_memory_equal(text.p, want.p, want.len);
}

/* spread over the last byte too, which is what ends pages */
static void make_id(unsigned i, char ret[UUID_TEXT_LEN + 1])
{
    (void)snprintf(ret, UUID_TEXT_LEN + 1, "%08x-0000-0000-0000-%012x", i * 2654435761u,
                   i * 40503u & 0xffff);
}

static void put_nodes(struct fake_view *f, unsigned from, unsigned to)
{
    char id[UUID_TEXT_LEN + 1];

    for (unsigned i = from; i < to; i++) {
        make_id(i, id);
        fake_view_put(f, id, id);
    }
}

static void test_the_joined_pieces_are_the_list(void **state)
{
    static const unsigned sizes[] = {0, 1, 2, 63, 300, 1000};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct fake_view f;
        struct pages p = {0};

        fake_view_init(&f);
        put_nodes(&f, 0, sizes[i]);
        check(&p, &f);
        pages_done(&p);
        fake_view_done(&f);
    }
}

static void test_a_change_makes_one_piece_anew(void **state)
{
    struct fake_view f;
    struct pages p = {0};
    char id[UUID_TEXT_LEN + 1];
    uint64_t built;

    (void)state;
    fake_view_init(&f);
    put_nodes(&f, 0, 1000);
    check(&p, &f);
    assert_true(p.n > 5);
    built = p.n_built;
    assert_int_equal(built, p.n);
    check(&p, &f);
    assert_int_equal(p.n_built, built);
    for (unsigned i = 0; i < 40; i++) { /* another object, one that comes, one that goes */
        make_id(i * 20, id);
        built = p.n_built;
        fake_view_put(&f, id, "changed");
        check(&p, &f);
        assert_int_equal(p.n_built, built + 1);
        put_nodes(&f, 1000 + i, 1001 + i);
        check(&p, &f);
        assert_true(p.n_built <= built + 3); /* a new one may cut a page in two */
        built = p.n_built;
        make_id(i * 20 + 7, id);
        fake_view_remove(&f, id);
        check(&p, &f);
        assert_true(p.n_built <= built + 1); /* none when it was a page of its own */
    }
    pages_done(&p);
    fake_view_done(&f);
}

static void test_ids_that_never_end_a_page_are_cut_all_the_same(void **state)
{
    struct fake_view f;
    struct pages p = {0};

    (void)state;
    fake_view_init(&f);
    for (unsigned i = 0; i < 600; i++) {
        _cleanup_free_ char *id = xasprintf("%08x-0000-0000-0000-000000000000", i);

        fake_view_put(&f, id, "n");
    }
    check(&p, &f);
    assert_int_equal(p.n, 3);
    pages_done(&p);
    fake_view_done(&f);
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

static int render_a(struct buf *b, const struct node_items *items, size_t from, size_t to,
                    const struct ask *q, struct err *e)
{
    (void)items;
    (void)from;
    (void)to;
    (void)q;
    (void)e;
    buf_add_str(b, "a");
    return 0;
}

static void one_item(struct reply *r, const struct node_item *it, const char *body)
{
    reply_init(r);
    r->render_items = render_a;
    r->items.v = xnew0_n(const struct node_item *, 1);
    r->items.v[r->items.n++] = node_item_ref(it);
    buf_add_str(&r->body, body);
}

static void test_the_cache_knows_items_and_forms(void **state)
{
    struct loop *l;
    struct fake_view f;
    struct cache *c;
    struct reply r, other;
    struct ask plain = {0}, pretty = {.pretty = true}, gzip = {.encoding = ENCODING_GZIP};
    const char *coding = "?";

    (void)state;
    clock_fake(true, 1000 * NSEC_PER_SEC, 0);
    assert_int_equal(loop_new(&l), 0);
    fake_view_init(&f);
    put_nodes(&f, 0, 2);
    c = cache_new(l);
    one_item(&r, f.items.v[0], "body");
    one_item(&other, f.items.v[1], "");
    assert_null(cache_get(c, &r, &plain, &coding));
    cache_put(c, &r, &plain, NULL);
    assert_string_equal(buf_str(cache_get(c, &r, &plain, &coding)), "body");
    assert_null(coding);
    assert_null(cache_get(c, &r, &pretty, &coding));
    assert_null(cache_get(c, &r, &gzip, &coding));
    assert_null(cache_get(c, &other, &plain, &coding));
    cache_put(c, &r, &gzip, "gzip");
    assert_non_null(cache_get(c, &r, &gzip, &coding));
    assert_string_equal(coding, "gzip");
    assert_int_equal(cache_bytes(c), 8);
    clock_fake_advance(4 * NSEC_PER_SEC);
    (void)loop_run_due(l);
    assert_non_null(cache_get(c, &r, &gzip, &coding)); /* asked for: kept for longer */
    clock_fake_advance(5 * NSEC_PER_SEC);
    (void)loop_run_due(l);
    assert_null(cache_get(c, &r, &gzip, &coding));
    assert_int_equal(cache_bytes(c), 0);
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
    put_nodes(&f, 0, 20);
    c = cache_new(l);
    for (size_t i = 0; i < 20; i++) {
        struct reply r;

        one_item(&r, f.items.v[i], "");
        for (size_t k = 0; k < 6 * MIB; k += 1024)
            buf_add(&r.body, "0123456789abcdef0123456789abcdef", 32);
        cache_put(c, &r, &q, NULL);
        assert_true(cache_bytes(c) <= 32 * MIB);
        assert_non_null(cache_get(c, &r, &q, &coding));
        reply_done(&r);
    }
    for (size_t i = 0; i < 2; i++) { /* large ones push the others out; too large ones stay out */
        struct reply r;

        one_item(&r, f.items.v[i], "");
        assert_true(buf_reserve(&r.body, (i ? 17 : 16) * MIB));
        memset(r.body.p, 'x', (i ? 17 : 16) * MIB);
        r.body.len = (i ? 17 : 16) * MIB;
        cache_put(c, &r, &q, NULL);
        assert_int_equal(cache_get(c, &r, &q, &coding) != NULL, i == 0);
        assert_true(cache_bytes(c) <= 32 * MIB);
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
        cmocka_unit_test(test_a_change_makes_one_piece_anew),
        cmocka_unit_test(test_ids_that_never_end_a_page_are_cut_all_the_same),
        cmocka_unit_test(test_gzip_of_all_sizes),
        cmocka_unit_test(test_the_cache_knows_items_and_forms),
        cmocka_unit_test(test_the_cache_has_ceilings),
    };

    loop_block_signals();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
