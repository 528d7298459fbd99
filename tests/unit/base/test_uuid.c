/* Ids, their lenient index form with its texts, random numbers, hashes. */
#include "base/uuid.h"

#include <errno.h>
#include <setjmp.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/rand.h"

#define ID "f7476465-4d6e-c0de-26d0-e383c49be941"

static void test_uuid_goes_both_ways(void **state)
{
    char text[UUID_TEXT_LEN + 1];
    struct uuid u;

    (void)state;
    assert_int_equal(uuid_parse(ID, &u), 0);
    assert_int_equal(u.b[0], 0xf7);
    assert_int_equal(u.b[15], 0x41);
    uuid_format(&u, text);
    assert_string_equal(text, ID);
    assert_int_equal(uuid_parse("F7476465-4D6E-C0DE-26D0-E383C49BE941", &u), 0);
    uuid_format(&u, text);
    assert_string_equal(text, ID); /* always lower case */
}

static void test_uuid_is_strict(void **state)
{
    static const char *const bad[] = {
        "",
        ID "0",
        "f7476465-4d6e-c0de-26d0-e383c49be94",
        "f7476465-4d6e-c0de-26d0-e383c49be94g",
        "f74764654d6e-c0de-26d0-e383c49be941-",
        "f7476465-4d6e-c0de-26d0e-383c49be941",
        "f7476465 4d6e-c0de-26d0-e383c49be941",
        ID "\n",
    };
    struct uuid u;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(uuid_parse(bad[i], &u), -EINVAL);
}

static void test_uuid_random_is_an_id_and_new(void **state)
{
    char a[UUID_TEXT_LEN + 1], b[UUID_TEXT_LEN + 1];
    struct uuid u;

    (void)state;
    uuid_random(a);
    uuid_random(b);
    assert_int_equal(uuid_parse(a, &u), 0);
    assert_string_not_equal(a, b);
}

static void test_uuid_index_speaks_as_go_memdb(void **state)
{
    static const struct {
        const char *s;
        bool prefix;
        const char *text; /* NULL = fine */
        size_t n;
    } rows[] = {
        {ID,                                     false, NULL,                                                          16},
        {"f747",                                 false, "UUID must be 36 characters",                                  0 },
        {"",                                     false, "UUID must be 36 characters",                                  0 },
        {"f747",                                 true,  NULL,                                                          2 },
        {"f7476465-4d",                          true,  NULL,                                                          5 },
        {"",                                     true,  NULL,                                                          0 },
        {"f74",                                  true,  "Input (without hyphens) must be even length",                 0 },
        {ID "00",                                true,  "Invalid UUID length. UUID have 36 characters; got 38",        0 },
        {"----f7",                               true,  NULL,                                                          1 },
        {"-----f",                               true,  "UUID should have maximum of 4 \"-\"; got 5",                  0 },
        {"zz",                                   true,  "Invalid UUID: encoding/hex: invalid byte: U+007A 'z'",        0 },
        {"f\n",                                  true,  "Invalid UUID: encoding/hex: invalid byte: U+000A",            0 },
        {"\xe9"
         "f",                           true,  "Invalid UUID: encoding/hex: invalid byte: U+00E9 '\xc3\xa9'", 0 },
        {"\x80"
         "f",                           true,  "Invalid UUID: encoding/hex: invalid byte: U+0080",            0 },
        {"f7476465-4d6e-c0de-26d0-e383c49be94z", false,
         "Invalid UUID: encoding/hex: invalid byte: U+007A 'z'",                                                       0 },
        {"f7476465-4d6e-c0de-26d0-e383-49be941", false,
         "UUID should have maximum of 4 \"-\"; got 5",                                                                 0 },
        {"f74764654d6ec0de26d0e383c49be9410000", false, NULL,                                                          16},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err e = {0};
        struct uuid u;
        size_t n = 99;

        assert_int_equal(uuid_index(rows[i].s, rows[i].prefix, &u, &n, &e),
                         rows[i].text ? -EINVAL : 0);
        assert_string_equal(e.text, rows[i].text ? rows[i].text : "");
        assert_int_equal(n, rows[i].text ? 99 : rows[i].n);
    }
}

static void test_rand_stays_below(void **state)
{
    uint64_t seen = 0, first;

    (void)state;
    assert_int_equal(rand_below(0), 0);
    assert_int_equal(rand_below(1), 0);
    for (int i = 0; i < 1000; i++) {
        uint64_t v = rand_below(10);

        assert_true(v < 10);
        seen |= 1u << v;
    }
    assert_int_equal(seen, 0x3ff); /* each of them came */
    rand_seed(7);
    first = rand_below(UINT64_MAX);
    (void)rand_below(5);
    rand_seed(7);
    assert_true(rand_below(UINT64_MAX) == first);
    rand_seed(0);
}

static void test_fnv1_multiplies_first(void **state)
{
    (void)state;
    assert_true(fnv1(FNV1_INIT, "", 0) == UINT64_C(0xcbf29ce484222325));
    assert_true(fnv1(FNV1_INIT, "a", 1) == UINT64_C(0xaf63bd4c8601b7be));
    assert_true(fnv1(FNV1_INIT, "\0\0\0\0\0\0\0\0", 8) == UINT64_C(0xa8c7f832281a39c5));
    assert_true(fnv1(fnv1(FNV1_INIT, "No", 2), "de", 2) == UINT64_C(0xa859ee7e1e229f65));
}

static void test_sha512_of_known_texts(void **state)
{
    static const uint8_t abc[8] = {0xdd, 0xaf, 0x35, 0xa1, 0x93, 0x61, 0x7a, 0xba};
    static const uint8_t empty[8] = {0xcf, 0x83, 0xe1, 0x35, 0x7e, 0xef, 0xb8, 0xbd};
    uint8_t out[64];

    (void)state;
    sha512("abc", 3, out);
    assert_memory_equal(out, abc, sizeof(abc));
    sha512("", 0, out);
    assert_memory_equal(out, empty, sizeof(empty));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_uuid_goes_both_ways),
        cmocka_unit_test(test_uuid_is_strict),
        cmocka_unit_test(test_uuid_random_is_an_id_and_new),
        cmocka_unit_test(test_uuid_index_speaks_as_go_memdb),
        cmocka_unit_test(test_rand_stays_below),
        cmocka_unit_test(test_fnv1_multiplies_first),
        cmocka_unit_test(test_sha512_of_known_texts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
