/* The queue of what is to be sent: pieces of all kinds come out as they went in, whatever is taken
 * at a time, and what is shared is given back as soon as it has been sent. */
#include "wire/outq.h"

#include <string.h>

#include "base/rand.h"
#include "tests/support/check.h"

enum { MAX_BYTES = 1 << 22 };

static void fill(uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)rand_below(256);
}

static void add_piece(struct outq *q, struct buf *model)
{
    static uint8_t bytes[5000];
    size_t n = rand_below(3) ? rand_below(sizeof(bytes)) : rand_below(40);

    fill(bytes, n);
    buf_add(model, bytes, n);
    assert_true(outq_add(q, bytes, n));
}

static void add_buf(struct outq *q, struct buf *model)
{
    struct buf b = BUF_INIT(MAX_BYTES);
    size_t n = rand_below(8000);

    for (size_t i = 0; i < n; i++)
        buf_add_byte(&b, (uint8_t)i);
    buf_add(model, b.p, b.len);
    assert_true(outq_add_buf(q, &b));
    assert_int_equal(b.len, 0);
}

static size_t add_blobs(struct outq *q, struct buf *model)
{
    struct blob_list l = {0};
    size_t n = rand_below(20), bytes;

    for (size_t i = 0; i < n; i++) {
        struct blob *b = blob_alloc(1 + rand_below(3000));
        size_t at, len;

        assert_non_null(b);
        fill(b->bytes, b->len);
        at = rand_below(b->len);
        len = rand_below(b->len - at + 1); /* 0: not added */
        buf_add(model, b->bytes + at, len);
        blob_list_add(&l, b, at, len);
    }
    bytes = l.bytes;
    assert_true(outq_add_blobs(q, &l));
    assert_int_equal(l.n, 0);
    return bytes;
}

static void take(struct outq *q, struct buf *got, size_t max)
{
    struct iovec iov[5];
    int n = outq_iov(q, iov, 5);

    for (int i = 0; i < n && max > 0; i++) {
        size_t k = MIN(iov[i].iov_len, max);

        assert_true(iov[i].iov_len > 0);
        buf_add(got, iov[i].iov_base, k);
        max -= k;
        outq_drop(q, k);
        if (k < iov[i].iov_len)
            break;
    }
}

static void test_all_kinds_in_order(void **state)
{
    (void)state;
    rand_seed(12);
    for (unsigned round = 0; round < 60; round++) {
        _cleanup_buf_ struct buf model = BUF_INIT(MAX_BYTES), got = BUF_INIT(MAX_BYTES);
        struct outq q = {0};
        size_t shared = 0;

        for (unsigned i = 0; i < 12; i++) {
            switch (rand_below(4)) {
            case 0:
                add_piece(&q, &model);
                break;
            case 1:
                add_buf(&q, &model);
                break;
            case 2:
                shared += add_blobs(&q, &model);
                break;
            default:
                take(&q, &got, rand_below(9000));
            }
            assert_int_equal(got.len + q.len, model.len);
            assert_true(q.own <= q.len && q.len - q.own <= shared);
        }
        if (round % 2)
            outq_to_buf(&q, &got);
        while (q.len > 0)
            take(&q, &got, rand_below(9000));
        assert_null(q.first);
        assert_int_equal(q.own, 0);
        assert_int_equal(blob_live(), 0);
        assert_int_equal(got.len, model.len);
        if (got.len > 0)
            assert_memory_equal(got.p, model.p, got.len);
    }
    rand_seed(0);
}

static void test_what_was_sent_is_given_back(void **state)
{
    struct blob *a = blob_new("0123456789", 10), *b = blob_new("abc", 3);
    struct blob_list l = {0};
    struct outq q = {0};

    (void)state;
    blob_list_add(&l, blob_ref(a), 2, 5);
    blob_list_add(&l, blob_ref(b), 0, 3);
    blob_list_add(&l, blob_ref(a), 0, 1);
    assert_int_equal(l.bytes, 9);
    assert_true(outq_add_blobs(&q, &l));
    assert_int_equal(q.own, 0);
    assert_int_equal(a->refs, 3);
    outq_drop(&q, 6);
    assert_int_equal(a->refs, 2);
    assert_int_equal(b->refs, 2);
    outq_drop(&q, 2);
    assert_int_equal(b->refs, 1);
    outq_done(&q);
    assert_int_equal(a->refs, 1);
    (void)blob_unref(a);
    (void)blob_unref(b);
}

static void test_nothing_is_no_piece(void **state)
{
    struct blob_list l = {0};
    struct outq q = {0};
    struct iovec iov;

    (void)state;
    blob_list_add(&l, blob_new("x", 1), 0, 0);
    assert_true(outq_add_blobs(&q, &l));
    assert_int_equal(outq_iov(&q, &iov, 1), 0);
    assert_null(q.first);
}

static void test_no_memory_adds_nothing(void **state)
{
    struct blob *a = blob_new("0123456789", 10);
    struct blob_list l = {0};
    struct outq q = {0};

    (void)state;
    blob_list_add(&l, blob_ref(a), 0, 10);
    mem_torture(1);
    assert_false(outq_add_blobs(&q, &l));
    mem_torture(0);
    assert_int_equal(q.len, 0);
    assert_int_equal(a->refs, 1);
    (void)blob_unref(a);
}

static void test_large_blobs_are_mappings(void **state)
{
    struct blob *b = blob_alloc(200000);

    (void)state;
    assert_non_null(b);
    assert_true(b->mapped);
    memset(b->bytes, 'x', b->len);
    assert_int_equal(blob_live(), 200000);
    assert_null(blob_unref(b));
    assert_int_equal(blob_live(), 0);
    assert_null(blob_alloc(SIZE_MAX - 4));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_kinds_in_order),
        cmocka_unit_test(test_what_was_sent_is_given_back),
        cmocka_unit_test(test_nothing_is_no_piece),
        cmocka_unit_test(test_no_memory_adds_nothing),
        cmocka_unit_test(test_large_blobs_are_mappings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
