/* The ordered string map, and questions about text. */
#include "base/map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/rand.h"
#include "base/str.h"

/* ---- map ---- */

static void test_map_keeps_key_order(void **state)
{
    _cleanup_strmap_ struct strmap m = {0};

    (void)state;
    strmap_set(&m, "b", "2");
    strmap_set(&m, "abc", "3");
    strmap_set(&m, "ab", "4");
    strmap_set(&m, "", "5");
    strmap_setf(&m, "c", "%d-%d", 1, 2);
    assert_int_equal(m.n, 5);
    assert_string_equal(m.items[0].key, "");
    assert_string_equal(m.items[1].key, "ab");
    assert_string_equal(m.items[2].key, "abc");
    assert_string_equal(m.items[4].value, "1-2");
    strmap_set(&m, "ab", "replaced");
    assert_int_equal(m.n, 5);
    assert_string_equal(strmap_get(&m, "ab"), "replaced");
    assert_null(strmap_get(&m, "a"));
    assert_null(strmap_get(&m, "abcd"));
    assert_string_equal(strmap_get(&m, ""), "5");
}

static void test_map_takes_lengths(void **state)
{
    _cleanup_strmap_ struct strmap m = {0};

    (void)state;
    strmap_set_n(&m, "keyrest", 3, "valuerest", 5);
    assert_string_equal(strmap_get(&m, "key"), "value");
    strmap_set_n(&m, "ke\0y", 4, "", 0); /* a key ends at its NUL */
    assert_string_equal(strmap_get(&m, "ke"), "");
    strmap_set(&m, "key", strmap_get(&m, "key")); /* its own value */
    assert_string_equal(strmap_get(&m, "key"), "value");
}

static void test_map_removes(void **state)
{
    _cleanup_strmap_ struct strmap m = {0};

    (void)state;
    assert_false(strmap_remove(&m, "a"));
    strmap_set(&m, "a", "1");
    assert_false(strmap_remove(&m, "aa"));
    assert_true(strmap_remove(&m, "a"));
    assert_int_equal(m.n, 0);
    assert_non_null(m.items); /* empty, not nil */
    strmap_set(&m, "b", "2");
    assert_string_equal(strmap_get(&m, "b"), "2");
}

static void test_map_tells_nil_from_empty(void **state)
{
    _cleanup_strmap_ struct strmap nil = {0}, empty = {0}, copy = {0};

    (void)state;
    strmap_make(&empty);
    assert_non_null(empty.items);
    assert_true(strmap_equal(&nil, &empty));
    strmap_copy(&copy, &empty);
    assert_non_null(copy.items);
    strmap_done(&copy);
    assert_null(copy.items);
    strmap_copy(&copy, &nil);
    assert_null(copy.items);
}

static void test_map_copies_and_compares(void **state)
{
    _cleanup_strmap_ struct strmap a = {0}, b = {0};

    (void)state;
    strmap_set(&a, "x", "1");
    strmap_set(&a, "y", "2");
    strmap_copy(&b, &a);
    assert_true(strmap_equal(&a, &b));
    strmap_set(&b, "y", "3");
    assert_false(strmap_equal(&a, &b));
    strmap_set(&b, "y", "2");
    strmap_set(&b, "z", "");
    assert_false(strmap_equal(&a, &b));
    assert_true(strmap_remove(&b, "y"));
    assert_false(strmap_equal(&a, &b));
}

/* against a plain table of the keys 0 to 99 */
static void test_map_behaves_as_a_table(void **state)
{
    _cleanup_strmap_ struct strmap m = {0};
    int values[100], count = 0;

    (void)state;
    memset(values, -1, sizeof(values));
    rand_seed(11);
    for (int i = 0; i < 20000; i++) {
        int k = (int)rand_below(100), v = (int)rand_below(1000);
        _cleanup_free_ char *key = xasprintf("k%d", k);

        if (rand_below(3)) {
            strmap_setf(&m, key, "%d", v);
            count += values[k] < 0;
            values[k] = v;
        } else {
            assert_int_equal(strmap_remove(&m, key), values[k] >= 0);
            count -= values[k] >= 0;
            values[k] = -1;
        }
        assert_int_equal(m.n, count);
    }
    for (int k = 0; k < 100; k++) {
        _cleanup_free_ char *key = xasprintf("k%d", k), *value = xasprintf("%d", values[k]);

        if (values[k] < 0)
            assert_null(strmap_get(&m, key));
        else
            assert_string_equal(strmap_get(&m, key), value);
    }
    for (size_t i = 1; i < m.n; i++)
        assert_true(strcmp(m.items[i - 1].key, m.items[i].key) < 0);
    rand_seed(0);
}

/* ---- str ---- */

static void test_str_questions(void **state)
{
    (void)state;
    assert_true(str_empty(NULL) && str_empty("") && !str_empty("x"));
    assert_true(str_eq(NULL, "") && str_eq("a", "a") && !str_eq("a", NULL));
    assert_true(str_starts("abc", "ab") && str_starts("abc", "") && !str_starts("ab", "abc"));
    assert_true(str_ends("abc", "bc") && str_ends("abc", "") && !str_ends("bc", "abc"));
    assert_string_equal(str_or_empty(NULL), "");
}

static void test_str_trim_and_lower(void **state)
{
    char a[] = " \t x y\r\n", b[] = "   ", c[] = "", d[] = "MiXed \xc3\x89";

    (void)state;
    assert_string_equal(str_trim(a), "x y");
    assert_string_equal(str_trim(b), "");
    assert_string_equal(str_trim(c), "");
    assert_string_equal(str_lower(d), "mixed \xc3\x89");
}

static void test_str_utf8(void **state)
{
    static const struct {
        const char *s;
        size_t n;
        bool ok;
    } rows[] = {
        {"",                     0, true },
        {"plain",                5, true },
        {"\0",                   1, true },
        {"\xc3\xa9",             2, true },
        {"\xe2\x82\xac",         3, true },
        {"\xf0\x9f\x98\x80",     4, true },
        {"\xf4\x8f\xbf\xbf",     4, true },
        {"\xf4\x90\x80\x80",     4, false}, /* beyond U+10FFFF */
        {"\xf8\x88\x80\x80\x80", 5, false},
        {"\xc0\x80",             2, false}, /* overlong */
        {"\xc1\xbf",             2, false},
        {"\xe0\x9f\xbf",         3, false},
        {"\xf0\x8f\xbf\xbf",     4, false},
        {"\xed\xa0\x80",         3, false}, /* surrogates */
        {"\xed\xbf\xbf",         3, false},
        {"\xed\x9f\xbf",         3, true },
        {"\xc3",                 1, false},
        {"\xe2\x82",             2, false},
        {"\x80",                 1, false},
        {"\xc3"
         "a",           2, false},
        {"\xff",                 1, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_free_ char *exact = try_alloc(rows[i].n);

        for (size_t k = 0; k < rows[i].n; k++)
            exact[k] = rows[i].s[k];
        assert_int_equal(str_utf8_valid(exact, rows[i].n), rows[i].ok);
    }
}

static void test_strv_splits_and_finds(void **state)
{
    char **v = NULL;
    size_t n = 0;

    (void)state;
    strv_split(" a, b ;;c,", ",;", &v, &n);
    assert_int_equal(n, 3);
    assert_string_equal(v[0], "a");
    assert_string_equal(v[1], "b");
    assert_string_equal(v[2], "c");
    assert_true(strv_has(v, n, "b"));
    assert_false(strv_has(v, n, "B"));
    strv_add(&v, &n, NULL);
    assert_string_equal(v[3], "");
    strv_done(&v, &n);
    assert_null(v);
    assert_int_equal(n, 0);
    strv_split("", ",", &v, &n);
    strv_split(" , ", ",", &v, &n);
    assert_int_equal(n, 0);
    assert_null(v);
}

static void test_str_nearest_suggests_typing_errors_only(void **state)
{
    static const char *const keys[] = {"datacenter", "data_dir", "servers", "server", "region"};
    char long_word[100];

    (void)state;
    assert_string_equal(str_nearest("datacentre", keys, 5), "datacenter");
    assert_string_equal(str_nearest("servr", keys, 5), "server");
    assert_string_equal(str_nearest("serverss", keys, 5), "servers");
    assert_string_equal(str_nearest("Region", keys, 5), "region");
    assert_null(str_nearest("zzzzzz", keys, 5));
    assert_null(str_nearest("region", keys, 0));
    memset(long_word, 'x', sizeof(long_word) - 1);
    long_word[sizeof(long_word) - 1] = 0;
    assert_null(str_nearest(long_word, keys, 5));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_map_keeps_key_order),
        cmocka_unit_test(test_map_takes_lengths),
        cmocka_unit_test(test_map_removes),
        cmocka_unit_test(test_map_tells_nil_from_empty),
        cmocka_unit_test(test_map_copies_and_compares),
        cmocka_unit_test(test_map_behaves_as_a_table),
        cmocka_unit_test(test_str_questions),
        cmocka_unit_test(test_str_trim_and_lower),
        cmocka_unit_test(test_str_utf8),
        cmocka_unit_test(test_strv_splits_and_finds),
        cmocka_unit_test(test_str_nearest_suggests_typing_errors_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
