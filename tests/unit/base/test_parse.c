/* Text to numbers: the whole string or an error. */
#include "base/parse.h"

#include <errno.h>
#include <setjmp.h>

#include <cmocka.h>

static void test_u64_takes_digits_only(void **state)
{
    static const struct {
        const char *s;
        int r;
        uint64_t v;
    } rows[] = {
        {"0",                       0,       0         },
        {"007",                     0,       7         },
        {"18446744073709551615",    0,       UINT64_MAX},
        {"18446744073709551616",    -ERANGE, 0         },
        {"99999999999999999999999", -ERANGE, 0         },
        {"",                        -EINVAL, 0         },
        {"-1",                      -EINVAL, 0         },
        {"+1",                      -EINVAL, 0         },
        {" 1",                      -EINVAL, 0         },
        {"1 ",                      -EINVAL, 0         },
        {"1a",                      -EINVAL, 0         },
        {"0x10",                    -EINVAL, 0         },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint64_t v = 42;

        assert_int_equal(parse_u64(rows[i].s, &v), rows[i].r);
        assert_true(v == (rows[i].r == 0 ? rows[i].v : 42)); /* written only on success */
    }
}

static void test_i64_takes_a_sign(void **state)
{
    static const struct {
        const char *s;
        int r;
        int64_t v;
    } rows[] = {
        {"-9223372036854775808", 0,       INT64_MIN},
        {"9223372036854775807",  0,       INT64_MAX},
        {"9223372036854775808",  -ERANGE, 0        },
        {"-9223372036854775809", -ERANGE, 0        },
        {"+5",                   0,       5        },
        {"-0",                   0,       0        },
        {"-",                    -EINVAL, 0        },
        {"--1",                  -EINVAL, 0        },
        {"",                     -EINVAL, 0        },
        {"1.0",                  -EINVAL, 0        },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int64_t v = 0;

        assert_int_equal(parse_i64(rows[i].s, &v), rows[i].r);
        assert_true(v == rows[i].v);
    }
}

static void test_i64_base0_takes_gos_prefixes(void **state)
{
    static const struct {
        const char *s;
        int r;
        int64_t v;
    } rows[] = {
        {"10",                 0,       10 },
        {"0x1F",               0,       31 },
        {"-0X1f",              0,       -31},
        {"0b101",              0,       5  },
        {"0o17",               0,       15 },
        {"017",                0,       15 },
        {"0",                  0,       0  },
        {"-0",                 0,       0  },
        {"0x",                 -EINVAL, 0  },
        {"08",                 -EINVAL, 0  },
        {"0b2",                -EINVAL, 0  },
        {"0xg",                -EINVAL, 0  },
        {"12a",                -EINVAL, 0  },
        {"a",                  -EINVAL, 0  },
        {"0xffffffffffffffff", -ERANGE, 0  },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int64_t v = 0;

        assert_int_equal(parse_i64_base0(rows[i].s, &v), rows[i].r);
        assert_true(v == rows[i].v);
    }
}

static void test_f64_takes_decimals(void **state)
{
    static const char *const bad[] = {"",   "nan", "inf", "-inf", "0x1p3", " 1",
                                      "1 ", "1,5", "1e",  "e1",   "."};
    double v = 0;

    (void)state;
    assert_int_equal(parse_f64("1.5", &v), 0);
    assert_true(v == 1.5);
    assert_int_equal(parse_f64("-2e3", &v), 0);
    assert_true(v == -2000);
    assert_int_equal(parse_f64("5e-324", &v), 0);
    assert_true(v == 5e-324);
    assert_int_equal(parse_f64("1e999", &v), -ERANGE);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(parse_f64(bad[i], &v), -EINVAL);
}

static void test_bool_takes_gos_words(void **state)
{
    static const char *const yes[] = {"1", "t", "T", "TRUE", "true", "True"};
    static const char *const no[] = {"0", "f", "F", "FALSE", "false", "False"};
    static const char *const bad[] = {"", "yes", "tRUE", "2", " true"};
    bool v;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
        v = false;
        assert_int_equal(parse_bool(yes[i], &v), 0);
        assert_true(v);
        assert_int_equal(parse_bool(no[i], &v), 0);
        assert_false(v);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(parse_bool(bad[i], &v), -EINVAL);
}

static void test_duration_is_gos(void **state)
{
    static const struct {
        const char *s;
        int r;
        int64_t ns;
    } rows[] = {
        {"0",                         0,       0             },
        {"5s",                        0,       5000000000    },
        {"-1h5m0.5s",                 0,       -3900500000000},
        {"1.5h",                      0,       5400000000000 },
        {"+3ms",                      0,       3000000       },
        {"2us",                       0,       2000          },
        {"2\xc2\xb5s",                0,       2000          },
        {"2\xce\xbcs",                0,       2000          },
        {"100ns",                     0,       100           },
        {".5s",                       0,       500000000     },
        {"1.s",                       0,       1000000000    },
        {"1.000000001s",              0,       1000000001    },
        {"0.3s",                      0,       300000000     },
        {"1.123456789s",              0,       1123456789    },
        {"2562047h47m16.854775807s",  0,       INT64_MAX     },
        {"-2562047h47m16.854775808s", 0,       INT64_MIN     },
        {"2562047h47m16.854775808s",  -ERANGE, 0             },
        {"9999999h",                  -ERANGE, 0             },
        {"99999999999999999999s",     -ERANGE, 0             },
        {"",                          -EINVAL, 0             },
        {"5",                         -EINVAL, 0             },
        {"s",                         -EINVAL, 0             },
        {".s",                        -EINVAL, 0             },
        {"-",                         -EINVAL, 0             },
        {"1d",                        -EINVAL, 0             },
        {"1s2",                       -EINVAL, 0             },
        {"1 s",                       -EINVAL, 0             },
        {"1s ",                       -EINVAL, 0             },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int64_t ns = 0;

        if (parse_duration(rows[i].s, &ns) != rows[i].r || ns != rows[i].ns)
            fail_msg("\"%s\" is %lld", rows[i].s, (long long)ns);
    }
}

static void test_duration_is_printed_as_go_does(void **state)
{
    static const struct {
        int64_t ns;
        const char *s;
    } rows[] = {
        {0,               "0s"                       },
        {1,               "1ns"                      },
        {1100,            "1.1\xc2\xb5s"             },
        {20000000,        "20ms"                     },
        {2200000,         "2.2ms"                    },
        {1500000000,      "1.5s"                     },
        {60000000000,     "1m0s"                     },
        {3900000000000,   "1h5m0s"                   },
        {3600000000000,   "1h0m0s"                   },
        {-1000000000,     "-1s"                      },
        {100000000000001, "27h46m40.000000001s"      },
        {INT64_MAX,       "2562047h47m16.854775807s" },
        {INT64_MIN,       "-2562047h47m16.854775808s"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_free_ char *s = format_duration(rows[i].ns);
        int64_t back;

        assert_string_equal(s, rows[i].s);
        assert_int_equal(parse_duration(s, &back), 0);
        assert_true(back == rows[i].ns);
    }
}

static void test_cpulist_is_sorted_without_doubles(void **state)
{
    static const struct {
        const char *s;
        size_t n;
        uint16_t v[6];
    } rows[] = {
        {"",        0, {0}            },
        {"0",       1, {0}            },
        {"0-3,5",   5, {0, 1, 2, 3, 5}},
        {"5,1-2,1", 3, {1, 2, 5}      },
        {"65535",   1, {65535}        },
        {"3-3",     1, {3}            },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_free_ uint16_t *v = NULL;
        size_t n = 99;

        assert_int_equal(parse_cpulist(rows[i].s, 1024, &v, &n), 0);
        assert_int_equal(n, rows[i].n);
        for (size_t k = 0; k < n; k++)
            assert_int_equal(v[k], rows[i].v[k]);
    }
}

static void test_cpulist_refuses_nonsense_and_too_many(void **state)
{
    static const char *const bad[] = {",", "1,", "1,,2", "a", "1-", "-1", "3-1", "1-2-3", "1 ,2"};
    static const char *const large[] = {"65536", "0-1024", "0-1023,1", "0-18446744073709551615"};
    uint16_t *v = NULL;
    size_t n = 0;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(parse_cpulist(bad[i], 1024, &v, &n), -EINVAL);
    for (size_t i = 0; i < ARRAY_LEN(large); i++)
        assert_int_equal(parse_cpulist(large[i], 1024, &v, &n), -ERANGE);
    assert_int_equal(parse_cpulist("0-1023", 1024, &v, &n), 0);
    assert_int_equal(n, 1024);
    free(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_u64_takes_digits_only),
        cmocka_unit_test(test_i64_takes_a_sign),
        cmocka_unit_test(test_i64_base0_takes_gos_prefixes),
        cmocka_unit_test(test_f64_takes_decimals),
        cmocka_unit_test(test_bool_takes_gos_words),
        cmocka_unit_test(test_duration_is_gos),
        cmocka_unit_test(test_duration_is_printed_as_go_does),
        cmocka_unit_test(test_cpulist_is_sorted_without_doubles),
        cmocka_unit_test(test_cpulist_refuses_nonsense_and_too_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
