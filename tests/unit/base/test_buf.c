/* The bounded buffer; errors in words; memory helpers, growing arrays, lists. */
#include "base/buf.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/list.h"
#include "base/vec.h"

/* ---- buf ---- */

static void test_buf_appends_and_ends_with_nul(void **state)
{
    _cleanup_buf_ struct buf b = BUF_INIT(1000);

    (void)state;
    assert_string_equal(buf_str(&b), "");
    buf_add_str(&b, "ab");
    buf_add(&b, "c\0d", 3);
    buf_add_byte(&b, 'e');
    buf_printf(&b, "%d-%s", 42, "x");
    assert_int_equal(b.len, 10);
    assert_memory_equal(b.p, "abc\0de42-x", 11);
    buf_add(&b, NULL, 0);
    assert_int_equal(b.len, 10);
}

static void test_buf_expects_what_the_first_parts_say(void **state)
{
    _cleanup_buf_ struct buf b = BUF_INIT(100000);
    const uint8_t *p;

    (void)state;
    buf_expect(&b, 0, 10); /* nothing is known */
    assert_int_equal(b.cap, 0);
    buf_add(&b, "0123456789", 10);
    buf_expect(&b, 1, 1000);
    assert_in_range(b.cap, 10001, 12000);
    p = b.p;
    for (unsigned i = 1; i < 1000; i++)
        buf_add(&b, "0123456789", 10);
    assert_ptr_equal(b.p, p);
    buf_expect(&b, 1000, 1000); /* there is enough */
    assert_ptr_equal(b.p, p);
    buf_expect(&b, 1, 1000); /* more than there may be */
    assert_int_equal(b.cap, 100001);
    buf_expect(&b, 1, SIZE_MAX);
    assert_int_equal(b.cap, 100001);
    assert_int_equal(buf_ok(&b), 0);
    assert_int_equal(b.len, 10000);
}

static void test_buf_writes_big_endian(void **state)
{
    _cleanup_buf_ struct buf b = BUF_INIT(100);

    (void)state;
    buf_add_be16(&b, 0x0102);
    buf_add_be32(&b, 0x03040506);
    buf_add_be64(&b, UINT64_C(0x0708090a0b0c0d0e));
    assert_int_equal(b.len, 14);
    for (uint8_t i = 0; i < 14; i++)
        assert_int_equal(b.p[i], i + 1);
}

static void test_buf_stops_at_its_maximum(void **state)
{
    _cleanup_buf_ struct buf b = BUF_INIT(4);

    (void)state;
    buf_add_str(&b, "abcd");
    assert_int_equal(buf_ok(&b), 0);
    buf_add_byte(&b, 'e');
    assert_int_equal(buf_ok(&b), -EMSGSIZE);
    buf_add_str(&b, ""); /* even nothing is refused now */
    assert_string_equal(buf_str(&b), "abcd");
    buf_reset(&b);
    assert_int_equal(buf_ok(&b), 0);
    buf_printf(&b, "%s", "12345");
    assert_int_equal(buf_ok(&b), -EMSGSIZE);
    assert_int_equal(b.len, 0);
}

static void test_buf_takes_huge_requests_for_what_they_are(void **state)
{
    _cleanup_buf_ struct buf b = BUF_INIT(100), all = BUF_INIT(SIZE_MAX);

    (void)state;
    buf_add_byte(&b, 'x');
    assert_false(buf_reserve(&b, SIZE_MAX));
    assert_int_equal(buf_ok(&b), -EMSGSIZE);
    buf_add_str(&all, "no ceiling to speak of");
    assert_int_equal(buf_ok(&all), 0);
}

static void test_buf_survives_without_memory(void **state)
{
    _cleanup_buf_ struct buf b = BUF_INIT(100);

    (void)state;
    mem_torture(1);
    buf_add_str(&b, "abc");
    assert_int_equal(buf_ok(&b), -EMSGSIZE);
    assert_string_equal(buf_str(&b), "");
    buf_reset(&b);
    buf_add_str(&b, "abc");
    assert_string_equal(buf_str(&b), "abc");
}

static void test_buf_drops_from_the_front(void **state)
{
    _cleanup_buf_ struct buf b = BUF_INIT(100);

    (void)state;
    buf_drop(&b, 0);
    buf_add_str(&b, "abcdef");
    buf_drop(&b, 2);
    assert_string_equal(buf_str(&b), "cdef");
    buf_drop(&b, 4);
    assert_string_equal(buf_str(&b), "");
    assert_int_equal(b.len, 0);
}

static void test_buf_take_hands_the_bytes_over(void **state)
{
    struct buf b = BUF_INIT(100);
    _cleanup_free_ uint8_t *p = NULL, *none = NULL;
    size_t n = 9;

    (void)state;
    buf_add_str(&b, "abc");
    p = buf_take(&b, &n);
    assert_int_equal(n, 3);
    assert_string_equal((char *)p, "abc");
    assert_null(b.p);
    assert_int_equal(b.max, 100);
    none = buf_take(&b, &n);
    assert_int_equal(n, 0);
    assert_string_equal((char *)none, "");
}

/* ---- err ---- */

static void test_err_sets_and_wraps(void **state)
{
    struct err e = {0};

    (void)state;
    assert_int_equal(err_set(&e, -EINVAL, "line %d", 3), -EINVAL);
    assert_string_equal(e.text, "line 3");
    assert_int_equal(err_wrap(&e, -EIO, "file %s", "x"), -EIO);
    assert_string_equal(e.text, "file x: line 3");
    assert_int_equal(e.code, -EIO);
    assert_int_equal(err_set_status(&e, -ENOENT, 404, "node not found"), -ENOENT);
    assert_int_equal(err_wrap(&e, -ENOENT, "rpc error"), -ENOENT);
    assert_int_equal(e.status, 404); /* is kept */
    assert_int_equal(err_errno(&e, -ENOENT, "open"), -ENOENT);
    assert_string_equal(e.text, "open: No such file or directory");
    assert_int_equal(e.status, 0);
}

static void test_err_takes_null_and_cuts(void **state)
{
    char long_text[2 * ERR_TEXT_MAX];
    struct err e = {0};

    (void)state;
    assert_int_equal(err_set(NULL, -EIO, "x"), -EIO);
    assert_int_equal(err_set_status(NULL, -EIO, 500, "x"), -EIO);
    assert_int_equal(err_wrap(NULL, -EIO, "x"), -EIO);
    assert_int_equal(err_errno(NULL, -EIO, "x"), -EIO);
    memset(long_text, 'x', sizeof(long_text));
    long_text[sizeof(long_text) - 1] = 0;
    (void)err_set(&e, -EIO, "%s", long_text);
    assert_int_equal(strlen(e.text), ERR_TEXT_MAX - 1);
    (void)err_wrap(&e, -EIO, "%s", "context");
    assert_int_equal(strlen(e.text), ERR_TEXT_MAX - 1);
    (void)err_set(&e, -EIO, "%s", long_text);
    (void)err_wrap(&e, -EIO, "%s", long_text);
    assert_int_equal(strlen(e.text), ERR_TEXT_MAX - 1);
    e = (struct err){0};
    (void)err_wrap(&e, -EIO, "alone"); /* without a cause there is no colon */
    assert_string_equal(e.text, "alone");
}

/* ---- mem ---- */

static void test_mem_copies(void **state)
{
    _cleanup_free_ char *a = xstrdup("abc"), *b = xstrndup("abcdef", 3), *c = xasprintf("%d", 7);
    _cleanup_free_ char *d = xmemdup("a\0b", 3), *set = NULL;

    (void)state;
    assert_null(xstrdup(NULL));
    assert_string_equal(a, b);
    assert_string_equal(c, "7");
    assert_memory_equal(d, "a\0b\0", 4);
    str_set(&set, "x");
    assert_string_equal(set, "x");
    str_set(&set, set); /* of itself */
    assert_string_equal(set, "x");
    str_set(&set, NULL);
    assert_null(set);
}

static void test_mem_gives_something_for_nothing(void **state)
{
    _cleanup_free_ void *a = xcalloc(0, 8), *b = try_alloc(0), *c = xrealloc(NULL, 0, 8);

    (void)state;
    assert_non_null(a);
    assert_non_null(b);
    assert_non_null(c);
}

static void test_mem_torture_strikes_once(void **state)
{
    void *p;

    (void)state;
    mem_torture(2);
    p = try_alloc(1);
    assert_non_null(p);
    assert_null(try_realloc(p, 10));
    p = try_realloc(p, 10);
    assert_non_null(p);
    free(p);
}

static void test_mem_cleans_up(void **state)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC), copy = fd;
    char *p = xstrdup("x"), *q;

    (void)state;
    q = steal_ptr(&p);
    assert_null(p);
    q = mem_free(q);
    assert_null(q);
    errno = EBADE;
    fd = fd_close(fd);
    assert_int_equal(fd, -1);
    assert_int_equal(errno, EBADE);
    assert_int_equal(fcntl(copy, F_GETFD), -1);
    assert_int_equal(fd_close(-1), -1);
    fd = 5;
    copy = steal_fd(&fd);
    assert_int_equal(fd, -1);
    assert_int_equal(copy, 5);
}

/* ---- vec, list ---- */

static void test_vec_grows_and_zeroes(void **state)
{
    _cleanup_free_ uint32_t *v = NULL;
    size_t n = 0;

    (void)state;
    for (uint32_t i = 0; i < 1000; i++) {
        uint32_t *slot = vec_add(&v, &n);

        assert_int_equal(*slot, 0);
        *slot = i;
    }
    assert_int_equal(n, 1000);
    for (uint32_t i = 0; i < 1000; i++)
        assert_int_equal(v[i], i);
    n = 0; /* emptied, not freed: starts again */
    *vec_add(&v, &n) = 7;
    *vec_add(&v, &n) = 8;
    assert_int_equal(v[1], 8);
}

struct thing {
    int number;
    struct list link;
};

static void test_list_keeps_order_and_lets_go(void **state)
{
    struct list head = LIST_INIT(head);
    struct thing a = {.number = 1}, b = {.number = 2}, c = {.number = 3};
    int sum = 0, order = 0;

    (void)state;
    assert_true(list_empty(&head));
    assert_null(list_first(&head, struct thing, link));
    list_append(&head, &a.link);
    list_append(&head, &b.link);
    list_append(&head, &c.link);
    assert_ptr_equal(list_first(&head, struct thing, link), &a);
    list_for_each (t, &head, struct thing, link) {
        order = order * 10 + t->number;
        if (t->number == 2)
            list_remove(&t->link);
    }
    assert_int_equal(order, 123);
    list_for_each (t, &head, struct thing, link)
        sum += t->number;
    assert_int_equal(sum, 4);
    list_remove(&b.link); /* in none any more: harmless */
    list_remove(&a.link);
    list_remove(&c.link);
    assert_true(list_empty(&head));
    memset(&a, 0, sizeof(a));
    list_remove(&a.link); /* never initialised */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buf_appends_and_ends_with_nul),
        cmocka_unit_test(test_buf_expects_what_the_first_parts_say),
        cmocka_unit_test(test_buf_writes_big_endian),
        cmocka_unit_test(test_buf_stops_at_its_maximum),
        cmocka_unit_test(test_buf_takes_huge_requests_for_what_they_are),
        cmocka_unit_test(test_buf_survives_without_memory),
        cmocka_unit_test(test_buf_drops_from_the_front),
        cmocka_unit_test(test_buf_take_hands_the_bytes_over),
        cmocka_unit_test(test_err_sets_and_wraps),
        cmocka_unit_test(test_err_takes_null_and_cuts),
        cmocka_unit_test(test_mem_copies),
        cmocka_unit_test(test_mem_gives_something_for_nothing),
        cmocka_unit_test(test_mem_torture_strikes_once),
        cmocka_unit_test(test_mem_cleans_up),
        cmocka_unit_test(test_vec_grows_and_zeroes),
        cmocka_unit_test(test_list_keeps_order_and_lets_go),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
