/* JSON in: what is accepted, and Go's words for what is not. */
#include "codec/js.h"

#include <errno.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <json-c/json.h>

#include "base/limits.h"
#include "tests/unit/codec/sample.h"

static void clear(struct sample *s)
{
    ops_clear(&desc_sample, s);
}
#define _cleanup_sample_ _cleanup_(clear)

/* from memory that ends where the text does */
static int decode(const char *text, struct sample *s, struct err *e)
{
    size_t n = strlen(text);
    _cleanup_free_ char *exact = try_alloc(n);

    memcpy(exact, text, n); /* NOLINT(bugprone-not-null-terminated-result): on purpose */
    return js_decode(&desc_sample, exact, n, s, e);
}

static void accepts(const char *text, struct sample *s)
{
    struct err e = {0};

    assert_int_equal(decode(text, s, &e), 0);
    assert_string_equal(e.text, "");
}

static void refuses(const char *text, const char *words)
{
    _cleanup_sample_ struct sample s = {0};
    struct err e = {0};

    assert_int_equal(decode(text, &s, &e), -EINVAL);
    assert_string_equal(e.text, words);
}

static void test_js_decode_leaves_packed_fields_nil(void **state)
{
    _cleanup_sample_ struct sample s = {0};

    (void)state;
    accepts("{\"Raw\": {\"a\": [1]}}", &s);
    assert_null(s.raw.p);
}

static void test_js_decode_gives_back_what_encode_wrote(void **state)
{
    _cleanup_sample_ struct sample s, back = {0};
    _cleanup_buf_ struct buf b = BUF_INIT(8192), again = BUF_INIT(8192);
    struct err e = {0};

    (void)state;
    sample_fill(&s);
    ops_clear_field(desc_find(&desc_sample, "Raw"), &s); /* has no way back */
    s.old = xstrdup("o");
    s.local = xstrdup("l");
    js_encode(&b, &desc_sample, &s, JS_SECRETS);
    assert_int_equal(js_decode(&desc_sample, buf_str(&b), b.len, &back, &e), 0);
    assert_true(ops_equal(&desc_sample, &s, &back));
    js_encode(&again, &desc_sample, &back, JS_SECRETS);
    assert_string_equal(buf_str(&b), buf_str(&again));
}

static void test_js_decode_matches_keys_exactly_else_without_case(void **state)
{
    _cleanup_sample_ struct sample s = {0};

    (void)state;
    accepts("{\"INT\": 1}", &s);
    assert_int_equal(s.i, 1);
    accepts("{\"int\": 2, \"uint\": 9, \"\\u0046lag\": true}", &s);
    assert_int_equal(s.i, 2);
    assert_int_equal(s.u, 9);
    assert_true(s.flag);
    accepts("{\"authtoken\": \"t\", \"Index\": 4}", &s);
    assert_string_equal(s.e.auth, "t");
    assert_int_equal(s.e.index, 4);
}

static void test_js_decode_ignores_unknown_and_hidden_keys(void **state)
{
    _cleanup_sample_ struct sample s = {0};

    (void)state;
    accepts("{\"x\": [1, {\"y\": \"}\"}], \"\": null, \"Hidden\": \"h\", \"Int\": 3,"
            "\"a key that is longer than any name of a field may ever be, as it seems\": 0}",
            &s);
    assert_int_equal(s.i, 3);
    assert_null(s.hidden);
}

static void test_js_decode_takes_null_as_zero(void **state)
{
    static const struct sample zero;

    (void)state;
    for (size_t i = 0; i < desc_sample.n_fields; i++) {
        const struct field *f = &desc_sample.fields[i];
        _cleanup_sample_ struct sample s;
        char text[64];

        if (f->type == FT_EMBED || (f->flags & F_NO_JSON))
            continue;
        sample_fill(&s);
        (void)snprintf(text, sizeof(text), "{\"%s\": null}", f->name);
        accepts(text, &s);
        assert_true(ops_field_empty(f, &s));
    }
    {
        _cleanup_sample_ struct sample s;

        sample_fill(&s);
        accepts(" null", &s);
        assert_true(ops_equal(&desc_sample, &s, &zero));
    }
}

static void test_js_decode_takes_null_inside_collections(void **state)
{
    _cleanup_sample_ struct sample s = {0};

    (void)state;
    accepts(
        "{\"Map\":{\"a\":null},\"Words\":[null],\"OptMap\":{\"a\":null},\"Vec\":[null],"
        "\"Rows\":[null,[null]],\"Cores\":[null],\"Numbers\":{\"a\":null},\"Keyed\":{\"a\":null}}",
        &s);
    assert_string_equal(strmap_get(&s.map, "a"), "");
    assert_string_equal(s.words[0], "");
    assert_null(s.opts.items[0].value);
    assert_int_equal(s.n_vec, 1);
    assert_null(s.rows[0].v);
    assert_int_equal(s.rows[1].v[0], 0);
    assert_string_equal(s.keyed[0].key, "a");
}

static void test_js_decode_lets_the_last_double_win(void **state)
{
    _cleanup_sample_ struct sample s = {0};

    (void)state;
    accepts("{\"Str\":\"a\",\"Str\":\"b\",\"Map\":{\"z\":\"1\",\"a\":\"2\",\"z\":\"3\"},"
            "\"Keyed\":{\"k\":{\"On\":true},\"k\":{\"Text\":\"t\"}}}",
            &s);
    assert_string_equal(s.s, "b");
    assert_int_equal(s.map.n, 2);
    assert_string_equal(strmap_get(&s.map, "z"), "3");
    assert_int_equal(s.n_keyed, 1);
    assert_false(s.keyed[0].on);
}

static void test_js_decode_ignores_what_follows_the_value(void **state)
{
    _cleanup_sample_ struct sample s = {0};

    (void)state;
    accepts(" \t\r\n{\"Int\":1} trailing {", &s);
    assert_int_equal(s.i, 1);
}

static void test_js_decode_unescapes(void **state)
{
    static const struct {
        const char *json, *text;
    } rows[] = {
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",          "\"\\/\b\f\n\r\t"                      },
        {"\"\\u0041\\u00e9\\u20ac\\uD83D\\ude00\"", "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"},
        {"\"\\ud83d\"",                             "\xef\xbf\xbd"                         },
        {"\"\\ude00x\"",                            "\xef\xbf\xbdx"                        },
        {"\"\\ud83d\\u0041\"",                      "\xef\xbf\xbd"
                               "A"                           },
        {"\"\\ud83d\\n\"",                          "\xef\xbf\xbd\n"                       },
        {"\"a\xff\xc3z\"",                          "a\xef\xbf\xbd\xef\xbf\xbdz"           },
        {"\"\xc3\xa9\"",                            "\xc3\xa9"                             },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_sample_ struct sample s = {0};
        _cleanup_free_ char *text = xasprintf("{\"Str\": %s}", rows[i].json);

        accepts(text, &s);
        assert_string_equal(s.s, rows[i].text);
    }
    refuses("{\"Str\": \"a\\u0000b\"}", "json: a string holds a NUL character");
}

static void test_js_decode_checks_numbers(void **state)
{
    _cleanup_sample_ struct sample s = {0};

    (void)state;
    accepts("{\"Int\": -9223372036854775808, \"Uint\": 18446744073709551615, \"Float\": 1e3}", &s);
    assert_true(s.i == INT64_MIN);
    assert_true(s.u == UINT64_MAX);
    assert_true(s.f == 1000);
    accepts("{\"Int\": 9223372036854775807, \"OptInt\": 0, \"OptFloat\": -0.5, \"Cores\": [65535]}",
            &s);
    assert_true(s.i == INT64_MAX);
    assert_int_equal(*s.oi, 0);
    refuses("{\"Int\": 9223372036854775808}", "json: cannot unmarshal number 9223372036854775808 "
                                              "into Go struct field Sample.Int of type int");
    refuses("{\"Uint\": -1}",
            "json: cannot unmarshal number -1 into Go struct field Sample.Uint of type uint64");
    refuses(
        "{\"Uint\": 18446744073709551616}",
        "json: cannot unmarshal number 18446744073709551616 into Go struct field Sample.Uint of "
        "type uint64");
    refuses(
        "{\"Float\": 1e999}",
        "json: cannot unmarshal number 1e999 into Go struct field Sample.Float of type float64");
    refuses("{\"Int\": -9223372036854775809}",
            "json: cannot unmarshal number -9223372036854775809 into Go struct field Sample.Int of "
            "type int");
    refuses("{\"Float\": 0.5, \"Numbers\": {\"a\": 99999999999999999999999999}, \"Int\": 1}",
            "json: cannot unmarshal number 99999999999999999999999999 into Go struct field "
            "Sample.Numbers of type int");
    refuses(
        "{\"Cores\": [65536]}",
        "json: cannot unmarshal number 65536 into Go struct field Sample.Cores of type []uint16");
}

/* the rows of Nomad's error table for request bodies */
static void test_js_decode_speaks_as_go(void **state)
{
    (void)state;
    refuses("{", "unexpected EOF");
    refuses("x", "invalid character 'x' looking for beginning of value");
    refuses("[1]", "json: cannot unmarshal array into Go value of type api.Sample");
    refuses("\"text\"", "json: cannot unmarshal string into Go value of type api.Sample");
    refuses("5", "json: cannot unmarshal number into Go value of type api.Sample");
    refuses("true", "json: cannot unmarshal bool into Go value of type api.Sample");
    refuses("{\"Ptr\": {\"Number\": \"1h\"}}", "json: cannot unmarshal string into Go struct field "
                                               "Small.Ptr.Number of type time.Duration");
    refuses("{\"Ptr\": {\"Number\": 1.5}}",
            "json: cannot unmarshal number 1.5 into Go struct field Small.Ptr.Number of type "
            "time.Duration");
    refuses("{\"Ptr\": {\"Number\": 1e3}}",
            "json: cannot unmarshal number 1e3 into Go struct field Small.Ptr.Number of type "
            "time.Duration");
    refuses("{\"Flag\": \"true\"}",
            "json: cannot unmarshal string into Go struct field Sample.Flag of type bool");
    refuses("{\"Flag\": 1}",
            "json: cannot unmarshal number into Go struct field Sample.Flag of type bool");
    refuses("{\"Ptr\": \"x\"}",
            "json: cannot unmarshal string into Go struct field Sample.Ptr of type api.Small");
    refuses("{\"Str\": 1}",
            "json: cannot unmarshal number into Go struct field Sample.Str of type string");
    refuses("{\"Str\": {}}",
            "json: cannot unmarshal object into Go struct field Sample.Str of type string");
    refuses(
        "{\"Map\": []}",
        "json: cannot unmarshal array into Go struct field Sample.Map of type map[string]string");
    refuses("{\"Map\": {\"a\": 1}}",
            "json: cannot unmarshal number into Go struct field Sample.Map of type string");
    refuses("{\"Words\": {}}",
            "json: cannot unmarshal object into Go struct field Sample.Words of type []string");
    refuses("{\"Vec\": false}",
            "json: cannot unmarshal bool into Go struct field Sample.Vec of type []api.Small");
    refuses("{\"Keyed\": 0}", "json: cannot unmarshal number into Go struct field Sample.Keyed of "
                              "type map[string]structs.Keyed");
    refuses("{\"AuthToken\": 5}",
            "json: cannot unmarshal number into Go struct field Sample.AuthToken of type string");
}

static void test_js_decode_checks_times_and_base64(void **state)
{
    _cleanup_sample_ struct sample s = {0};

    (void)state;
    accepts("{\"Time\": \"2020-11-22T16:12:49.5+02:00\", \"Bytes\": \"Zm9vYg==\"}", &s);
    assert_int_equal(s.t.nsec, 500000000);
    assert_int_equal(s.t.offset_min, 120);
    assert_int_equal(s.bytes.n, 4);
    assert_memory_equal(s.bytes.p, "foob", 4);
    accepts("{\"List\": [0, 255], \"Bytes\": \"\"}", &s);
    assert_int_equal(s.list.n, 2);
    assert_int_equal(s.bytes.n, 0);
    assert_non_null(s.bytes.p);
    refuses("{\"Time\": \"yesterday\"}",
            "parsing time \"yesterday\" as \"2006-01-02T15:04:05Z07:00\": "
            "it is not of that form");
    refuses("{\"Time\": 5}",
            "json: cannot unmarshal number into Go struct field Sample.Time of type time.Time");
    refuses("{\"Bytes\": \"Zg\"}", "illegal base64 data");
    refuses("{\"Bytes\": \"Z===\"}", "illegal base64 data");
    refuses("{\"Bytes\": \"Zm9!\"}", "illegal base64 data");
    refuses("{\"List\": [256]}",
            "json: cannot unmarshal number 256 into Go struct field Sample.List of type []uint8");
}

static void test_js_scan_speaks_as_go(void **state)
{
    static const struct {
        const char *text, *words;
    } rows[] = {
        {"",                "EOF"                                                             },
        {" \n\t",           "EOF"                                                             },
        {"{\"a\"",          "unexpected EOF"                                                  },
        {"[1,",             "unexpected EOF"                                                  },
        {"\"abc",           "unexpected EOF"                                                  },
        {"\"a\\",           "unexpected EOF"                                                  },
        {"\"\\u12",         "unexpected EOF"                                                  },
        {"-",               "unexpected EOF"                                                  },
        {"1.",              "unexpected EOF"                                                  },
        {"1e",              "unexpected EOF"                                                  },
        {"tru",             "unexpected EOF"                                                  },
        {"{,}",             "invalid character ',' looking for beginning of object key string"},
        {"{\"a\":1,}",      "invalid character '}' looking for beginning of object key string"},
        {"{a:1}",           "invalid character 'a' looking for beginning of object key string"},
        {"{\"a\" 1}",       "invalid character '1' after object key"                          },
        {"{\"a\":1 \"b\"}", "invalid character '\"' after object key:value pair"              },
        {"[1 2]",           "invalid character '2' after array element"                       },
        {"[1,]",            "invalid character ']' looking for beginning of value"            },
        {"[01]",            "invalid character '1' after array element"                       },
        {"-x",              "invalid character 'x' in numeric literal"                        },
        {"1.x",             "invalid character 'x' after decimal point in numeric literal"    },
        {"1e+x",            "invalid character 'x' in exponent of numeric literal"            },
        {"nuLl",            "invalid character 'L' in literal null (expecting 'l')"           },
        {"trux",            "invalid character 'x' in literal true (expecting 'e')"           },
        {"folse",           "invalid character 'o' in literal false (expecting 'a')"          },
        {"\"\\x\"",         "invalid character 'x' in string escape code"                     },
        {"\"\\u12g4\"",     "invalid character 'g' in \\u hexadecimal character escape"       },
        {"\"a\nb\"",        "invalid character '\\n' in string literal"                       },
        {"\"a\x01\"",       "invalid character '\\x01' in string literal"                     },
        {"'",               "invalid character '\\'' looking for beginning of value"          },
        {"\\",              "invalid character '\\\\' looking for beginning of value"         },
        {"\xff",            "invalid character '\\u00ff' looking for beginning of value"      },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_free_ char *exact = try_alloc(strlen(rows[i].text));
        struct err e = {0};
        const char *p;
        size_t n;

        memcpy(exact, rows[i].text, strlen(rows[i].text));
        assert_int_equal(js_scan(exact, strlen(rows[i].text), &p, &n, &e), -EINVAL);
        assert_string_equal(e.text, rows[i].words);
    }
}

static void test_js_scan_limits_nesting(void **state)
{
    char text[2 * JSON_DEPTH_MAX + 3] = "";
    struct err e = {0};
    const char *p;
    size_t n;

    (void)state;
    memset(text, '[', JSON_DEPTH_MAX);
    memset(text + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
    assert_int_equal(js_scan(text, 2 * JSON_DEPTH_MAX, &p, &n, &e), 0);
    memset(text, '[', JSON_DEPTH_MAX + 1);
    memset(text + JSON_DEPTH_MAX + 1, ']', JSON_DEPTH_MAX + 1);
    assert_int_equal(js_scan(text, 2 * JSON_DEPTH_MAX + 2, &p, &n, &e), -EINVAL);
    assert_string_equal(e.text, "exceeded max depth");
}

static void test_js_decode_survives_every_cut(void **state)
{
    _cleanup_sample_ struct sample full;
    _cleanup_buf_ struct buf b = BUF_INIT(8192);

    (void)state;
    sample_fill(&full);
    ops_clear_field(desc_find(&desc_sample, "Raw"), &full);
    js_encode(&b, &desc_sample, &full, JS_SECRETS);
    for (size_t n = 1; n < b.len; n++) {
        _cleanup_free_ char *cut = xmemdup(b.p, n);
        _cleanup_sample_ struct sample s = {0};
        struct err e = {0};

        cut[n - 1] = buf_str(&b)[n - 1];
        assert_int_equal(js_decode(&desc_sample, cut, n, &s, &e), -EINVAL);
        assert_string_equal(e.text, "unexpected EOF");
    }
}

static void test_js_decode_survives_every_failing_allocation(void **state)
{
    _cleanup_sample_ struct sample full;
    _cleanup_buf_ struct buf b = BUF_INIT(8192);
    int r = -1;

    (void)state;
    sample_fill(&full);
    ops_clear_field(desc_find(&desc_sample, "Raw"), &full);
    js_encode(&b, &desc_sample, &full, JS_SECRETS);
    for (size_t nth = 1; r != 0; nth++) {
        _cleanup_sample_ struct sample s = {0};

        mem_torture(nth);
        r = js_decode(&desc_sample, buf_str(&b), b.len, &s, NULL);
        mem_torture(0);
        assert_true(nth < 1000);
        assert_true(r == 0 || r == -ENOMEM);
    }
}

static void test_js_decode_bounds_memory_by_the_input(void **state)
{
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 22);
    _cleanup_sample_ struct sample s = {0};
    struct err e = {0};

    (void)state;
    /* the empty key of three bytes and a struct of 24: fits; 8 bytes a pointer: fits */
    buf_add_str(&b, "{\"Vec\":[");
    for (int i = 0; i < 100000; i++)
        buf_add_str(&b, i ? ",{}" : "{}");
    buf_add_str(&b, "]}");
    assert_int_equal(js_decode(&desc_sample, buf_str(&b), b.len, &s, &e), 0);
    assert_int_equal(s.n_vec, 100000);
}

/* json-c would take these for the largest integer */
static void test_js_decode_keeps_numbers_beyond_64_bits(void **state)
{
    _cleanup_sample_ struct sample s = {0};

    (void)state;
    accepts("{\"x\": 18446744073709551616, \"Float\": 1000000000000000000000, \"OptFloat\":"
            "-9223372036854775809, \"Uint\": 18446744073709551615, \"Str\": \"e-0\"}",
            &s);
    assert_true(s.f == 1e21);
    assert_true(*s.of == -9223372036854775808.0);
    assert_true(s.u == UINT64_MAX);
    assert_string_equal(s.s, "e-0");
}

/* json-c ends a key at its NUL */
static void test_js_decode_refuses_nul_in_keys(void **state)
{
    _cleanup_sample_ struct sample s = {0};

    (void)state;
    refuses("{\"Map\": {\"a\\u0000b\": \"\"}}", "json: a key holds a NUL character");
    accepts("{\"Map\": {\"a\\\\u0000\": \"\"}, \"x\": \"\\u0000\"}", &s);
    assert_string_equal(s.map.items[0].key, "a\\u0000");
}

static void list_of(struct buf *b, size_t n, const char *item)
{
    buf_reset(b);
    buf_add_str(b, "[");
    for (size_t i = 0; i < n; i++) {
        buf_add_str(b, i ? "," : "");
        buf_add_str(b, item);
    }
    buf_add_str(b, "]");
}

static void test_js_scan_limits_the_number_of_values(void **state)
{
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 22);
    _cleanup_sample_ struct sample s = {0};
    struct err e = {0};
    const char *p;
    size_t n;

    (void)state;
    list_of(&b, JSON_VALUES_MAX - 1, "0"); /* the list is a value too */
    assert_int_equal(js_scan(buf_str(&b), b.len, &p, &n, &e), 0);
    list_of(&b, JSON_VALUES_MAX, "{}");
    assert_int_equal(js_scan(buf_str(&b), b.len, &p, &n, &e), -EMSGSIZE);
    assert_string_equal(e.text, "json: more than 131072 values");
    e = (struct err){0};
    assert_int_equal(js_decode(&desc_sample, buf_str(&b), b.len, &s, &e), -EMSGSIZE);
    assert_string_equal(e.text, "json: more than 131072 values");
}

static void array_refuses(const char *text, const char *words)
{
    _cleanup_free_ char *exact = try_alloc(strlen(text));
    void *objs;
    struct err e = {0};
    size_t n;

    memcpy(exact, text, strlen(text)); /* NOLINT(bugprone-not-null-terminated-result) */
    assert_int_equal(js_decode_array(&desc_small, exact, strlen(text), &objs, &n, &e), -EINVAL);
    assert_string_equal(e.text, words);
    assert_null(objs);
    assert_int_equal(n, 0);
}

static void test_js_decode_array_reads_lists_of_any_length(void **state)
{
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 24);
    struct small *v;
    void *objs;
    struct err e = {0};
    size_t n;

    (void)state;
    list_of(&b, JSON_VALUES_MAX, "{\"Name\":\"a\",\"Number\":7}");
    assert_int_equal(js_decode_array(&desc_small, buf_str(&b), b.len, &objs, &n, &e), 0);
    assert_int_equal(n, JSON_VALUES_MAX);
    v = objs;
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(v[i].number, 7);
        ops_clear(&desc_small, &v[i]);
    }
    free(v);
    assert_int_equal(js_decode_array(&desc_small, " null", 5, &objs, &n, &e), 0);
    assert_null(objs);
    assert_int_equal(js_decode_array(&desc_small, "[ ] x", 5, &objs, &n, &e), 0);
    assert_non_null(objs);
    assert_int_equal(n, 0);
    free(objs);
    assert_int_equal(js_decode_array(&desc_small, "[null\n, {}]", 11, &objs, &n, &e), 0);
    assert_int_equal(n, 2);
    free(objs);
}

static void test_js_decode_array_speaks_as_go(void **state)
{
    (void)state;
    array_refuses("", "EOF");
    array_refuses(" ", "EOF");
    array_refuses("[", "unexpected EOF");
    array_refuses("[{}", "unexpected EOF");
    array_refuses("[{},", "unexpected EOF");
    array_refuses("[{},]", "invalid character ']' looking for beginning of value");
    array_refuses("[{\"Name\":\"a\"} {}]", "invalid character '{' after array element");
    array_refuses("x", "invalid character 'x' looking for beginning of value");
    array_refuses("{}", "json: cannot unmarshal object into Go value of type []api.Small");
    array_refuses("[{\"Name\":\"a\"},5]",
                  "json: cannot unmarshal number into Go value of type api.Small");
    array_refuses("[{\"Name\":\"a\",\"Number\":\"b\"}]",
                  "json: cannot unmarshal string into Go struct field Small.Number of type "
                  "time.Duration");
}

static bool oracle_accepts(const char *text)
{
    struct json_tokener *tok = json_tokener_new_ex(JSON_DEPTH_MAX + 2);
    struct json_object *o;
    bool ok;

    json_tokener_set_flags(tok, JSON_TOKENER_STRICT | JSON_TOKENER_ALLOW_TRAILING_CHARS);
    o = json_tokener_parse_ex(tok, text, (int)strlen(text) + 1);
    ok = json_tokener_get_error(tok) == json_tokener_success;
    json_object_put(o);
    json_tokener_free(tok);
    return ok;
}

static bool we_accept(const char *text)
{
    const char *p;
    size_t n;

    return js_scan(text, strlen(text), &p, &n, NULL) == 0;
}

static void test_js_scan_agrees_with_the_oracle(void **state)
{
    static const char *const both[] = {
        "{}",   "[]",      "[1,2,3]", "{\"a\":{\"b\":[null,true,false]}}",
        "-0",   "-0.0e-0", "1E5",     "\"\\u00e9\\ud83d\\ude00\"",
        "[1]]", "\"\\/\"",
    };
    static const char *const neither[] = {
        "[1,2",       "{\"a\"}", "[,]", "{\"a\":}",   "+1", ".5",     "nul",  "[true false]",
        "{\"a\":1,}", "[1,]",    "[-]", "[\"a\\q\"]", "1e", "/*x*/1", "TRUE",
    };
    /* json-c takes these even in its strict mode; they are no JSON */
    static const char *const lenient[] = {"{'a':1}", "\"\t\"",    "\"\x01\"",
                                          "NaN",     "-Infinity", "[1.]"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(both); i++)
        assert_true(we_accept(both[i]) && oracle_accepts(both[i]));
    for (size_t i = 0; i < ARRAY_LEN(neither); i++)
        assert_false(we_accept(neither[i]) || oracle_accepts(neither[i]));
    for (size_t i = 0; i < ARRAY_LEN(lenient); i++)
        assert_false(we_accept(lenient[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_js_decode_leaves_packed_fields_nil),
        cmocka_unit_test(test_js_decode_gives_back_what_encode_wrote),
        cmocka_unit_test(test_js_decode_matches_keys_exactly_else_without_case),
        cmocka_unit_test(test_js_decode_ignores_unknown_and_hidden_keys),
        cmocka_unit_test(test_js_decode_takes_null_as_zero),
        cmocka_unit_test(test_js_decode_takes_null_inside_collections),
        cmocka_unit_test(test_js_decode_lets_the_last_double_win),
        cmocka_unit_test(test_js_decode_ignores_what_follows_the_value),
        cmocka_unit_test(test_js_decode_unescapes),
        cmocka_unit_test(test_js_decode_checks_numbers),
        cmocka_unit_test(test_js_decode_speaks_as_go),
        cmocka_unit_test(test_js_decode_checks_times_and_base64),
        cmocka_unit_test(test_js_scan_speaks_as_go),
        cmocka_unit_test(test_js_scan_limits_nesting),
        cmocka_unit_test(test_js_decode_survives_every_cut),
        cmocka_unit_test(test_js_decode_survives_every_failing_allocation),
        cmocka_unit_test(test_js_decode_bounds_memory_by_the_input),
        cmocka_unit_test(test_js_decode_keeps_numbers_beyond_64_bits),
        cmocka_unit_test(test_js_decode_refuses_nul_in_keys),
        cmocka_unit_test(test_js_scan_limits_the_number_of_values),
        cmocka_unit_test(test_js_decode_array_reads_lists_of_any_length),
        cmocka_unit_test(test_js_decode_array_speaks_as_go),
        cmocka_unit_test(test_js_scan_agrees_with_the_oracle),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
