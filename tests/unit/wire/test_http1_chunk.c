/* wire/http1_chunk: the chunked coding, cut anywhere, and what is refused. */
#include "wire/http1_chunk.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define BODY "5\r\nhello\r\n1;ext=\"x\"\r\n,\r\n00C\r\n wide world!\r\n0\r\nTrailer: x\r\n\r\n"

static void test_chunks_are_joined_wherever_they_are_cut(void **state)
{
    size_t n = strlen(BODY);

    (void)state;
    for (size_t cut = 0; cut < n; cut++) {
        _cleanup_buf_ struct buf out = BUF_INIT(100);
        struct http_chunks c = {0};
        size_t used = 0;

        assert_int_equal(http_chunks_feed(&c, (const uint8_t *)BODY, cut, &out, &used), 0);
        assert_int_equal(used, cut);
        assert_int_equal(http_chunks_feed(&c, (const uint8_t *)BODY + cut, n - cut, &out, &used),
                         1);
        assert_int_equal(used, n - cut);
        assert_string_equal(buf_str(&out), "hello, wide world!");
    }
}

static void test_what_follows_is_not_taken(void **state)
{
    _cleanup_buf_ struct buf out = BUF_INIT(100);
    struct http_chunks c = {0};
    size_t used = 0;

    (void)state;
    assert_int_equal(http_chunks_feed(&c, (const uint8_t *)"0\r\n\r\nGET /", 10, &out, &used), 1);
    assert_int_equal(used, 5);
    assert_int_equal(out.len, 0);
}

static void test_ill_formed_chunks_are_refused(void **state)
{
    static const char *const rows[] = {
        "\r\n",
        "x\r\n",
        "-1\r\n",
        "0x1\r\n",
        " 1\r\n",
        "1 \r\n",
        "1\n",
        "1\rx",
        "1\r\nab\r\n",
        "1\r\na\n",
        "1\r\na\rx",
        "0\r\n\n",
        "0\r\n\rx",
        "0\r\n folded",
        "0\r\nA: b\n",
        "1;\x01\r\n",
        "0\r\nA\x01\r\n",
        "1000000000000000",
        "1\r\na\r\n\r\n",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_buf_ struct buf out = BUF_INIT(100);
        struct http_chunks c = {0};
        size_t used = 0;

        if (http_chunks_feed(&c, (const uint8_t *)rows[i], strlen(rows[i]), &out, &used) !=
            -EBADMSG)
            fail_msg("row %zu was taken: %s", i, rows[i]);
    }
}

static void test_ceilings(void **state)
{
    _cleanup_buf_ struct buf out = BUF_INIT(4);
    struct http_chunks c = {0};
    size_t used = 0;
    int r = 0;

    (void)state;
    assert_int_equal(http_chunks_feed(&c, (const uint8_t *)"5\r\nhello", 8, &out, &used),
                     -EMSGSIZE);
    c = (struct http_chunks){0};
    assert_int_equal(http_chunks_feed(&c, (const uint8_t *)"1;", 2, &out, &used), 0);
    for (int i = 0; i < 10000 && r == 0; i++)
        r = http_chunks_feed(&c, (const uint8_t *)"e", 1, &out, &used);
    assert_int_equal(r, -EBADMSG);
    c = (struct http_chunks){0};
    assert_int_equal(http_chunks_feed(&c, (const uint8_t *)"0\r\n", 3, &out, &used), 0);
    for (r = 0; r == 0;)
        r = http_chunks_feed(&c, (const uint8_t *)"a\r\n", 3, &out, &used);
    assert_int_equal(r, -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chunks_are_joined_wherever_they_are_cut),
        cmocka_unit_test(test_what_follows_is_not_taken),
        cmocka_unit_test(test_ill_formed_chunks_are_refused),
        cmocka_unit_test(test_ceilings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
