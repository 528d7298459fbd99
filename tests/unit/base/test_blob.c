#include "base/blob.h"

#include <string.h>

#include "base/limits.h"
#include "tests/support/check.h"

static void test_copy_is_counted(void **state)
{
    struct blob *b = blob_new("abc", 3), *other;

    (void)state;
    assert_non_null(b);
    assert_int_equal(b->len, 3);
    assert_memory_equal(b->bytes, "abc", 3);
    other = blob_ref(b);
    assert_ptr_equal(other, b);
    assert_null(blob_unref(b));
    assert_memory_equal(other->bytes, "abc", 3);
    assert_null(blob_unref(other));
}

static void test_empty_and_none(void **state)
{
    struct blob *b = blob_new(NULL, 0);

    (void)state;
    assert_non_null(b);
    assert_int_equal(b->len, 0);
    assert_null(blob_unref(b));
    assert_null(blob_unref(NULL));
}

static void test_sizes_that_cannot_be(void **state)
{
    (void)state;
    assert_null(blob_alloc(SIZE_MAX));
    assert_null(blob_alloc(SIZE_MAX - sizeof(struct blob)));
    assert_null(blob_alloc(HTTP_REPLY_MAX + 1));
    assert_null(blob_new("", SIZE_MAX / 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_copy_is_counted),
        cmocka_unit_test(test_empty_and_none),
        cmocka_unit_test(test_sizes_that_cannot_be),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
