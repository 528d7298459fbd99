/* JSON out, and indented.  json-c is the second opinion on what is valid. */
#include "codec/js.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <string.h>

#include <cmocka.h>
#include <json-c/json.h>

#include "base/parse.h"
#include "base/rand.h"
#include "tests/support/data.h"
#include "tests/unit/codec/sample.h"

static void clear(struct sample *s)
{
    ops_clear(&desc_sample, s);
}
#define _cleanup_sample_ _cleanup_(clear)

static void expect(struct buf *b, const char *text)
{
    assert_int_equal(buf_ok(b), 0);
    assert_string_equal(buf_str(b), text);
    buf_reset(b);
}

/* ---- strings ---- */

static void test_js_str_escapes_what_go_escapes(void **state)
{
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"",                                       "\"\""                                    },
        {"plain",                                  "\"plain\""                               },
        {"a/b<c>&'d",                              "\"a/b<c>&'d\""                           },
        {"q\"b\\",                                 "\"q\\\"b\\\\\""                          },
        {"\b\f\n\r\t",                             "\"\\b\\f\\n\\r\\t\""                     },
        {"\x01\x1f\x7f",                           "\"\\u0001\\u001f\x7f\""                  },
        {"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80",   "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\""},
        {"\xe2\x80\xa8|\xe2\x80\xa9|\xe2\x80\xaa", "\"\\u2028|\\u2029|\xe2\x80\xaa\""        },
        {"\xff",                                   "\"\\ufffd\""                             },
        {"a\xc3",                                  "\"a\\ufffd\""                            },
        {"\xed\xa0\x80",                           "\"\\ufffd\\ufffd\\ufffd\""               }, /* a surrogate */
        {"\xc0\xaf!",                              "\"\\ufffd\\ufffd!\""                     },
        {"\xf5\x80\x80\x80",                       "\"\\ufffd\\ufffd\\ufffd\\ufffd\""        },
    };
    _cleanup_buf_ struct buf b = BUF_INIT(256);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        js_str(&b, rows[i].in);
        expect(&b, rows[i].out);
    }
    js_str(&b, NULL);
    expect(&b, "\"\"");
    js_str_n(&b, "a\0b", 3);
    expect(&b, "\"a\\u0000b\"");
}

/* ---- numbers ---- */

static void test_js_f64_is_the_shortest_that_reads_back(void **state)
{
    static const struct {
        double v;
        const char *out;
    } rows[] = {
        {0,                       "0.0"                    },
        {-0.0,                    "-0.0"                   },
        {1,                       "1.0"                    },
        {-1,                      "-1.0"                   },
        {100,                     "100.0"                  },
        {2600,                    "2600.0"                 },
        {0.1,                     "0.1"                    },
        {0.30000000000000004,     "0.30000000000000004"    },
        {1.5,                     "1.5"                    },
        {123456.789,              "123456.789"             },
        {1e20,                    "100000000000000000000.0"},
        {123456789012345680000.0, "123456789012345680000.0"},
        {1e21,                    "1e+21"                  },
        {1.5e300,                 "1.5e+300"               },
        {0.000001,                "0.000001"               },
        {0.00001234,              "0.00001234"             },
        {9.5e-7,                  "9.5e-07"                },
        {5e-324,                  "5e-324"                 },
        {1.7976931348623157e308,  "1.7976931348623157e+308"},
        {2251799813685249.5,      "2251799813685249.5"     },
        {-2.5e-10,                "-2.5e-10"               },
    };
    _cleanup_buf_ struct buf b = BUF_INIT(256);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        js_f64(&b, rows[i].v);
        expect(&b, rows[i].out);
    }
    js_f64(&b, NAN);
    expect(&b, "null");
    js_f64(&b, -INFINITY);
    expect(&b, "null");
}

static void test_js_f64_reads_back_the_same(void **state)
{
    _cleanup_buf_ struct buf b = BUF_INIT(512);

    (void)state;
    rand_seed(42);
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = rand_below(UINT64_MAX);
        double v, back;

        memcpy(&v, &bits, sizeof(v));
        if (!isfinite(v))
            continue;
        buf_reset(&b);
        js_f64(&b, v);
        assert_int_equal(parse_f64(buf_str(&b), &back), 0);
        assert_memory_equal(&back, &v, sizeof(v));
    }
    rand_seed(0);
}

static void test_js_time_is_rfc3339_or_null(void **state)
{
    struct gotime t = {.sec = GOTIME_UNIX_EPOCH + 1606054369, .nsec = 396424411};
    _cleanup_buf_ struct buf b = BUF_INIT(256);

    (void)state;
    js_time(&b, (struct gotime){0});
    expect(&b, "null");
    js_time(&b, t);
    expect(&b, "\"2020-11-22T14:12:49.396424411Z\"");
    t.nsec = 395405120;
    t.offset_min = 120;
    js_time(&b, t);
    expect(&b, "\"2020-11-22T16:12:49.39540512+02:00\"");
    t.nsec = 0;
    t.offset_min = -210;
    js_time(&b, t);
    expect(&b, "\"2020-11-22T10:42:49-03:30\"");
}

/* ---- structs ---- */

static void test_js_encode_prints_every_kind(void **state)
{
    _cleanup_sample_ struct sample s;
    _cleanup_buf_ struct buf b = BUF_INIT(4096);

    (void)state;
    sample_fill(&s);
    js_encode(&b, &desc_sample, &s, 0);
    expect(&b,
           "{\"AuthToken\":\"\",\"Bytes\":\"AP8QgA==\",\"Cores\":[0,65535],\"Flag\":true,"
           "\"Float\":0.1,\"Index\":300,\"Inner\":{\"Name\":\"inner\",\"Number\":7},\"Int\":-129,"
           "\"Keyed\":{\"k1\":{\"On\":false,\"Text\":\"t\"},\"k2\":{\"On\":true,\"Text\":\"\"}},"
           "\"List\":[0,1,255],\"Local\":\"\",\"Map\":{\"a\":\"\",\"b\":\"2\"},"
           "\"Numbers\":{\"one\":1,\"two\":-9223372036854775808},\"Old\":\"\",\"OptBool\":false,"
           "\"OptFloat\":2.5,\"OptInt\":1048576,\"OptMap\":{\"gone\":null,\"set\":\"v\"},"
           "\"OptStr\":\"\",\"Optional\":\"there\",\"Ptr\":{\"Name\":\"behind\",\"Number\":-7},"
           "\"Raw\":{\"k\":[1,null]},\"Rows\":[[10,-20],null],\"Secret\":\"\","
           "\"Str\":\"text \xc3\xa9 \\\"quoted\\\" "
           "</&>\",\"Time\":\"2020-09-13T14:26:40.000005+02:00\","
           "\"Uint\":18446744073709551615,\"Vec\":[{\"Name\":\"v0\",\"Number\":0},"
           "{\"Name\":\"\",\"Number\":128}],\"Words\":[\"w1\",\"\",\"w3\"]}");
}

static void test_js_encode_prints_null_for_nil(void **state)
{
    struct sample s = {0};
    _cleanup_buf_ struct buf b = BUF_INIT(4096);

    (void)state;
    js_encode(&b, &desc_sample, &s, 0);
    expect(
        &b,
        "{\"AuthToken\":\"\",\"Bytes\":null,\"Cores\":null,\"Flag\":false,\"Float\":0.0,"
        "\"Index\":0,\"Inner\":{\"Name\":\"\",\"Number\":0},\"Int\":0,\"Keyed\":null,\"List\":null,"
        "\"Local\":\"\",\"Map\":null,\"Numbers\":null,\"Old\":\"\",\"OptBool\":null,"
        "\"OptFloat\":null,\"OptInt\":null,\"OptMap\":null,\"OptStr\":null,\"Ptr\":null,"
        "\"Raw\":null,\"Rows\":null,\"Secret\":\"\",\"Str\":\"\",\"Time\":null,\"Uint\":0,"
        "\"Vec\":null,\"Words\":null}");
}

static void test_js_encode_tells_empty_from_nil(void **state)
{
    _cleanup_sample_ struct sample s = {0};
    _cleanup_buf_ struct buf b = BUF_INIT(4096);

    (void)state;
    strmap_make(&s.map);
    s.words = xnew0(char *);
    s.keyed = xnew0(struct keyed);
    s.list.p = xcalloc(1, 1);
    s.bytes.p = xcalloc(1, 1);
    s.opts.items = xnew0(struct optpair);
    js_encode(&b, &desc_sample, &s, 0);
    assert_non_null(strstr(buf_str(&b), "\"Map\":{}"));
    assert_non_null(strstr(buf_str(&b), "\"Words\":[]"));
    assert_non_null(strstr(buf_str(&b), "\"Keyed\":{}"));
    assert_non_null(strstr(buf_str(&b), "\"List\":[]"));
    assert_non_null(strstr(buf_str(&b), "\"Bytes\":\"\""));
    assert_non_null(strstr(buf_str(&b), "\"OptMap\":{}"));
}

static void test_js_encode_shows_secrets_only_when_asked(void **state)
{
    _cleanup_sample_ struct sample s;
    _cleanup_buf_ struct buf b = BUF_INIT(4096);

    (void)state;
    sample_fill(&s);
    s.hidden = xstrdup("unseen");
    js_encode(&b, &desc_sample, &s, 0);
    assert_null(strstr(buf_str(&b), "the secret"));
    assert_null(strstr(buf_str(&b), "token"));
    buf_reset(&b);
    js_encode(&b, &desc_sample, &s, JS_SECRETS);
    assert_non_null(strstr(buf_str(&b), "\"Secret\":\"the secret\""));
    assert_non_null(strstr(buf_str(&b), "\"AuthToken\":\"token\""));
    assert_null(strstr(buf_str(&b), "unseen")); /* never in JSON */
}

static void test_js_encode_array_is_never_null(void **state)
{
    struct small two[] = {
        {(char *)"a", 1},
        {NULL,        2}
    };
    _cleanup_buf_ struct buf b = BUF_INIT(4096);

    (void)state;
    js_encode_array(&b, &desc_small, NULL, 0, 0);
    expect(&b, "[]");
    js_encode_array(&b, &desc_small, two, 2, 0);
    expect(&b, "[{\"Name\":\"a\",\"Number\":1},{\"Name\":\"\",\"Number\":2}]");
}

static void test_js_encode_base64_pads(void **state)
{
    static const struct {
        const char *in;
        size_t n;
        const char *out;
    } rows[] = {
        {"",             0, "\"\""        },
        {"f",            1, "\"Zg==\""    },
        {"fo",           2, "\"Zm8=\""    },
        {"foo",          3, "\"Zm9v\""    },
        {"foob",         4, "\"Zm9vYg==\""},
        {"\xff\xff\xfe", 3, "\"///+\""    }
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_sample_ struct sample s = {0};
        _cleanup_buf_ struct buf b = BUF_INIT(4096);
        _cleanup_free_ char *want = xasprintf("\"Bytes\":%s,", rows[i].out);

        s.bytes = (struct bytes){xmemdup(rows[i].in, rows[i].n), rows[i].n};
        js_encode(&b, &desc_sample, &s, 0);
        assert_non_null(strstr(buf_str(&b), want));
    }
}

static void test_js_encode_stops_at_the_buffers_end(void **state)
{
    _cleanup_sample_ struct sample s;
    _cleanup_buf_ struct buf b = BUF_INIT(100);

    (void)state;
    sample_fill(&s);
    js_encode(&b, &desc_sample, &s, 0);
    assert_int_equal(buf_ok(&b), -EMSGSIZE);
    assert_true(b.len <= 100);
}

/* ---- msgpack of any shape ---- */

static void from_mp(const char *hex, const char *json)
{
    _cleanup_buf_ struct buf b = BUF_INIT(4096);
    _cleanup_free_ uint8_t *p = NULL;
    size_t n;

    p = data_hex(hex, &n);
    assert_int_equal(js_from_mp(&b, p, n), 0);
    expect(&b, json);
}

static void test_js_from_mp_prints_any_object(void **state)
{
    (void)state;
    from_mp("c0", "null");
    from_mp("93c3c201", "[true,false,1]");
    from_mp("92d38000000000000000cfffffffffffffffff",
            "[-9223372036854775808,18446744073709551615]");
    from_mp("cb3fb999999999999a", "0.1");
    from_mp("82a161a162d9016390", "{\"a\":\"b\",\"c\":[]}");
    from_mp("8101c0", "{\"1\":null}"); /* keys of other types become text */
    from_mp("819101c0", "{\"[1]\":null}");
    from_mp("d40501", "null"); /* ext */
    from_mp("a2ff41", "\"\\ufffdA\"");
    from_mp("92af010000000e7791f70000000001ffffaf01000000000000000000000000ffff",
            "[\"1970-01-01T00:00:00.000000001Z\",null]");
    from_mp("80", "{}");
}

static void test_js_from_mp_refuses_what_is_not_one_object(void **state)
{
    static const char *const rows[] = {"c1", "91", "c0c0", "a261"};
    _cleanup_buf_ struct buf b = BUF_INIT(4096);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_free_ uint8_t *p = NULL;
        size_t n;

        p = data_hex(rows[i], &n);
        assert_int_equal(js_from_mp(&b, p, n), -EBADMSG);
        assert_int_equal(b.len, 0);
    }
    assert_int_equal(js_from_mp(&b, "", 0), -EBADMSG);
}

static void test_js_encode_prints_broken_raw_as_null(void **state)
{
    _cleanup_sample_ struct sample s = {0};
    _cleanup_buf_ struct buf b = BUF_INIT(4096);

    (void)state;
    s.raw = (struct bytes){xmemdup("\x92\x01", 2), 2};
    js_encode(&b, &desc_sample, &s, 0);
    assert_non_null(strstr(buf_str(&b), "\"Raw\":null,"));
}

/* ---- ?pretty ---- */

static void pretty_is(const char *in, const char *out)
{
    _cleanup_buf_ struct buf b = BUF_INIT(4096);

    js_pretty(&b, in, strlen(in));
    expect(&b, out);
}

static void test_js_pretty_indents_by_four(void **state)
{
    (void)state;
    pretty_is("{\"a\":1,\"b\":[true,{\"c\":null}],\"d\":{},\"e\":[]}",
              "{\n    \"a\": 1,\n    \"b\": [\n        true,\n        {\n            \"c\": null\n"
              "        }\n    ],\n    \"d\": {},\n    \"e\": []\n}\n");
    pretty_is("[]", "[]\n");
    pretty_is("\"x\"", "\"x\"\n");
}

static void test_js_pretty_leaves_texts_and_numbers_alone(void **state)
{
    (void)state;
    pretty_is("{\"a:{,}\\\"[\\\\\":\"b:,\\\\\",\"n\":-1.50e+07}",
              "{\n    \"a:{,}\\\"[\\\\\": \"b:,\\\\\",\n    \"n\": -1.50e+07\n}\n");
    pretty_is("{ \"a\" :\n1 }", "{\n    \"a\": 1\n}\n");
}

static void test_js_pretty_survives_broken_text(void **state)
{
    static const char *const rows[] = {"", "\"", "\"\\", "{", "}", "]]]]", "[[[[", "{\"a"};
    _cleanup_buf_ struct buf b = BUF_INIT(4096);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_free_ char *exact = xmemdup(rows[i], strlen(rows[i]));

        js_pretty(&b, exact, strlen(rows[i]));
    }
    assert_int_equal(buf_ok(&b), 0);
}

static void test_js_output_is_read_by_the_oracle(void **state)
{
    _cleanup_sample_ struct sample s;
    _cleanup_buf_ struct buf b = BUF_INIT(8192), pretty = BUF_INIT(8192);
    struct json_object *plain, *indented;

    (void)state;
    sample_fill(&s);
    js_encode(&b, &desc_sample, &s, JS_SECRETS);
    js_pretty(&pretty, buf_str(&b), b.len);
    plain = json_tokener_parse(buf_str(&b));
    indented = json_tokener_parse(buf_str(&pretty));
    assert_non_null(plain);
    assert_true(json_object_equal(plain, indented));
    json_object_put(plain);
    json_object_put(indented);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_js_str_escapes_what_go_escapes),
        cmocka_unit_test(test_js_f64_is_the_shortest_that_reads_back),
        cmocka_unit_test(test_js_f64_reads_back_the_same),
        cmocka_unit_test(test_js_time_is_rfc3339_or_null),
        cmocka_unit_test(test_js_encode_prints_every_kind),
        cmocka_unit_test(test_js_encode_prints_null_for_nil),
        cmocka_unit_test(test_js_encode_tells_empty_from_nil),
        cmocka_unit_test(test_js_encode_shows_secrets_only_when_asked),
        cmocka_unit_test(test_js_encode_array_is_never_null),
        cmocka_unit_test(test_js_encode_base64_pads),
        cmocka_unit_test(test_js_encode_stops_at_the_buffers_end),
        cmocka_unit_test(test_js_from_mp_prints_any_object),
        cmocka_unit_test(test_js_from_mp_refuses_what_is_not_one_object),
        cmocka_unit_test(test_js_encode_prints_broken_raw_as_null),
        cmocka_unit_test(test_js_pretty_indents_by_four),
        cmocka_unit_test(test_js_pretty_leaves_texts_and_numbers_alone),
        cmocka_unit_test(test_js_pretty_survives_broken_text),
        cmocka_unit_test(test_js_output_is_read_by_the_oracle),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
