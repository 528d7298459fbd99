/* Described structs to and from msgpack: what is accepted, what is refused and in which words. */
#include "codec/mp.h"

#include <errno.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "tests/support/data.h"
#include "tests/support/mp_oracle.h"
#include "tests/unit/codec/sample.h"

static void clear(struct sample *s)
{
    ops_clear(&desc_sample, s);
}
#define _cleanup_sample_ _cleanup_(clear)

static int decode_hex(const char *hex, struct sample *s, struct err *e)
{
    _cleanup_free_ uint8_t *p = NULL;
    size_t n;

    p = data_hex(hex, &n);
    return mp_decode(&desc_sample, p, n, s, e);
}

/* {"<name>": value}, hex */
static int decode_one(const char *name, const char *value_hex, struct sample *s, struct err *e)
{
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 20);
    _cleanup_free_ uint8_t *p = NULL;
    size_t n;

    p = data_hex(value_hex, &n);
    mp_map(&b, 1);
    mp_str(&b, name);
    buf_add(&b, p, n);
    return mp_decode(&desc_sample, b.p, b.len, s, e);
}

static void refuses(const char *name, const char *value_hex, const char *text)
{
    _cleanup_sample_ struct sample s = {0};
    struct err e = {0};

    assert_int_equal(decode_one(name, value_hex, &s, &e), -EBADMSG);
    assert_string_equal(e.text, text);
    assert_int_equal(e.code, -EBADMSG);
}

/* ---- both ways ---- */

static void test_decode_gives_back_what_encode_wrote(void **state)
{
    _cleanup_sample_ struct sample s, back = {0};
    _cleanup_buf_ struct buf b = BUF_INIT(4096), again = BUF_INIT(4096);

    (void)state;
    sample_fill(&s);
    mp_encode(&b, &desc_sample, &s);
    assert_int_equal(buf_ok(&b), 0);
    assert_int_equal(mp_decode(&desc_sample, b.p, b.len, &back, NULL), 0);
    assert_true(ops_equal(&desc_sample, &s, &back));
    assert_int_equal(back.t.offset_min, 120);
    assert_null(back.rows[1].v);
    assert_string_equal(back.os, "");
    mp_encode(&again, &desc_sample, &back);
    assert_int_equal(b.len, again.len);
    assert_memory_equal(b.p, again.p, b.len);
}

static void test_encode_is_read_by_the_oracle(void **state)
{
    _cleanup_sample_ struct sample s;
    _cleanup_buf_ struct buf b = BUF_INIT(4096);

    (void)state;
    sample_fill(&s);
    mp_encode(&b, &desc_sample, &s);
    assert_true(mp_oracle_valid(b.p, b.len));
    ops_clear(&desc_sample, &s);
    buf_reset(&b);
    mp_encode(&b, &desc_sample, &s);
    assert_true(mp_oracle_valid(b.p, b.len));
}

static void test_encode_sorts_keys_and_flattens_embedded_ones(void **state)
{
    struct sample s = {0};
    _cleanup_buf_ struct buf b = BUF_INIT(4096);
    struct mp_in in;
    struct mp_token t;
    char last[64] = "";
    bool seen_index = false;

    (void)state;
    mp_encode(&b, &desc_sample, &s);
    in = mp_in(b.p, b.len);
    assert_int_equal(mp_next(&in, &t), 0);
    /* 28 named rows and 2 embedded, but not Local, Old, and Optional, which is empty */
    assert_int_equal(t.n, 27);
    for (size_t n = t.n; n > 0; n--) {
        char name[64] = "";

        assert_int_equal(mp_next(&in, &t), 0);
        memcpy(name, t.p, t.n);
        assert_true(strcmp(last, name) < 0);
        memcpy(last, name, sizeof(last));
        seen_index |= strcmp(name, "Index") == 0;
        assert_int_equal(mp_skip(&in), 0);
    }
    assert_true(seen_index);
}

static void expect_key(const struct sample *s, const char *key, const char *hex)
{
    _cleanup_buf_ struct buf b = BUF_INIT(4096);
    _cleanup_free_ char *got = NULL;
    const uint8_t *p;
    size_t n;

    mp_encode(&b, &desc_sample, s);
    if (!hex) {
        assert_int_equal(mp_map_find(b.p, b.len, key, &p, &n), -ENOENT);
        return;
    }
    assert_int_equal(mp_map_find(b.p, b.len, key, &p, &n), 0);
    got = data_to_hex(p, n);
    assert_string_equal(got, hex);
}

static void test_encode_writes_zero_values(void **state)
{
    const struct sample s = {0};

    (void)state;
    expect_key(&s, "Flag", "c2");
    expect_key(&s, "Int", "00");
    expect_key(&s, "Float", "cb0000000000000000");
    expect_key(&s, "Str", "a0");
    expect_key(&s, "Time", "af01000000000000000000000000ffff");
    expect_key(&s, "Bytes", "c0");
    expect_key(&s, "Raw", "c0");
    expect_key(&s, "Map", "c0");
    expect_key(&s, "OptMap", "c0");
    expect_key(&s, "Numbers", "c0");
    expect_key(&s, "Words", "c0");
    expect_key(&s, "Rows", "c0");
    expect_key(&s, "Keyed", "c0");
    expect_key(&s, "OptStr", "c0");
    expect_key(&s, "OptInt", "c0");
    expect_key(&s, "Ptr", "c0");
    expect_key(&s, "Inner", "82a44e616d65a0a64e756d62657200");
    expect_key(&s, "Optional", NULL);
    expect_key(&s, "Old", NULL);
    expect_key(&s, "Local", NULL);
    expect_key(&s, "Hidden", "a0");
    expect_key(&s, "Secret", "a0");
}

static void test_encode_tells_empty_from_nil(void **state)
{
    _cleanup_sample_ struct sample s = {0};

    (void)state;
    strmap_make(&s.map);
    s.words = xnew0(char *);
    s.keyed = xnew0(struct keyed);
    s.bytes.p = xcalloc(1, 1);
    s.rows = xnew0(struct int_row);
    s.numbers.items = xnew0(struct i64pair);
    expect_key(&s, "Map", "80");
    expect_key(&s, "Words", "90");
    expect_key(&s, "Keyed", "80");
    expect_key(&s, "Bytes", "a0");
    expect_key(&s, "Rows", "90");
    expect_key(&s, "Numbers", "80");
}

static void test_encode_passes_raw_objects_through(void **state)
{
    _cleanup_sample_ struct sample s;

    (void)state;
    sample_fill(&s);
    expect_key(&s, "Raw", "81a16b9201c0");
    expect_key(&s, "Secret", "aa74686520736563726574"); /* msgpack carries secrets */
}

/* ---- tolerance ---- */

static void test_decode_skips_unknown_keys(void **state)
{
    _cleanup_sample_ struct sample s = {0};

    (void)state;
    /* {"Unknown": {"x": [1, {}]}, 7: "int key"?  no: string keys only; "": nil, "Int": 5} */
    assert_int_equal(decode_hex("83 a7556e6b6e6f776e 81a1789201 80 a0 c0 a3496e74 05", &s, NULL),
                     0);
    assert_int_equal(s.i, 5);
}

static void test_decode_matches_case(void **state)
{
    _cleanup_sample_ struct sample s = {0};

    (void)state;
    assert_int_equal(decode_one("int", "05", &s, NULL), 0);
    assert_int_equal(s.i, 0);
}

static void test_decode_leaves_missing_keys_alone(void **state)
{
    _cleanup_sample_ struct sample s = {.i = 3};

    (void)state;
    assert_int_equal(decode_one("Uint", "09", &s, NULL), 0);
    assert_int_equal(s.i, 3);
    assert_int_equal(s.u, 9);
}

static void test_decode_lets_the_last_double_win(void **state)
{
    _cleanup_sample_ struct sample s = {0};

    (void)state;
    assert_int_equal(
        decode_hex("84 a3537472 a161 a3537472 a162 a34d6170 81a16ba176 a34d6170 80", &s, NULL), 0);
    assert_string_equal(s.s, "b");
    assert_int_equal(s.map.n, 0);
    assert_non_null(s.map.items);
    assert_int_equal(decode_one("Map", "84 a162a131 a161a132 a162a133 a161a134", &s, NULL), 0);
    assert_int_equal(s.map.n, 2);
    assert_string_equal(strmap_get(&s.map, "a"), "4");
    assert_string_equal(strmap_get(&s.map, "b"), "3");
}

static void test_decode_takes_nil_as_zero_everywhere(void **state)
{
    for (size_t i = 0; i < desc_sample.n_fields; i++) {
        const struct field *f = &desc_sample.fields[i];
        _cleanup_sample_ struct sample s;

        if (f->type == FT_EMBED || (f->flags & F_NO_MP))
            continue;
        sample_fill(&s);
        assert_int_equal(decode_one(f->name, "c0", &s, NULL), 0);
        if (f->type == FT_STRUCT)
            assert_true(s.inner.name == NULL && s.inner.number == 0);
        else
            assert_true(ops_field_empty(f, &s));
    }
    (void)state;
}

static void test_decode_takes_nil_for_the_whole(void **state)
{
    _cleanup_sample_ struct sample s, zero = {0};

    (void)state;
    sample_fill(&s);
    assert_int_equal(decode_hex("c0", &s, NULL), 0);
    assert_true(ops_equal(&desc_sample, &s, &zero));
}

static void test_decode_takes_arrays_in_field_order(void **state)
{
    _cleanup_sample_ struct sample s = {0};

    (void)state;
    assert_int_equal(decode_one("Ptr", "92 a178 05", &s, NULL), 0);
    assert_string_equal(s.ptr->name, "x");
    assert_int_equal(s.ptr->number, 5);
    assert_int_equal(decode_one("Inner", "91 a179", &s, NULL), 0); /* shorter */
    assert_string_equal(s.inner.name, "y");
    assert_int_equal(decode_one("Inner", "94 a17a 06 81a161c0 c0", &s, NULL), 0); /* longer */
    assert_string_equal(s.inner.name, "z");
    assert_int_equal(s.inner.number, 6);
}

static void test_decode_takes_bools_as_0_and_1(void **state)
{
    _cleanup_sample_ struct sample s = {0};

    (void)state;
    assert_int_equal(decode_one("Flag", "01", &s, NULL), 0);
    assert_true(s.flag);
    assert_int_equal(decode_one("Flag", "d100 00", &s, NULL), 0);
    assert_false(s.flag);
    refuses("Flag", "02", "Flag: expected bool, found int");
    refuses("Flag", "ff", "Flag: expected bool, found int");
    refuses("Flag", "a474727565", "Flag: expected bool, found str");
}

static void test_decode_checks_ranges_of_ints(void **state)
{
    _cleanup_sample_ struct sample s = {0};

    (void)state;
    assert_int_equal(decode_one("Int", "cf7fffffffffffffff", &s, NULL), 0);
    assert_true(s.i == INT64_MAX);
    assert_int_equal(decode_one("Uint", "d37fffffffffffffff", &s, NULL), 0);
    assert_true(s.u == INT64_MAX);
    assert_int_equal(decode_one("Uint", "cfffffffffffffffff", &s, NULL), 0);
    assert_true(s.u == UINT64_MAX);
    refuses("Int", "cf8000000000000000", "Int: number too large");
    refuses("Uint", "ff", "Uint: negative number for an unsigned field");
    refuses("Int", "cb3ff0000000000000", "Int: expected int, found float");
    refuses("Uint", "a131", "Uint: expected int, found str");
    refuses("Cores", "92 01 ce00010000", "Cores[1]: number too large");
    refuses("Cores", "91 ff", "Cores[0]: negative number for an unsigned field");
}

static void test_decode_takes_ints_for_floats(void **state)
{
    _cleanup_sample_ struct sample s = {0};

    (void)state;
    assert_int_equal(decode_one("Float", "fe", &s, NULL), 0);
    assert_true(s.f == -2);
    assert_int_equal(decode_one("Float", "cfffffffffffffffff", &s, NULL), 0);
    assert_true(s.f == 18446744073709551616.0);
    assert_int_equal(decode_one("Float", "ca3fc00000", &s, NULL), 0);
    assert_true(s.f == 1.5);
    refuses("Float", "a0", "Float: expected float, found str");
}

static void test_decode_takes_str_and_bin(void **state)
{
    _cleanup_sample_ struct sample s = {0};

    (void)state;
    assert_int_equal(decode_one("Str", "d9026869", &s, NULL), 0);
    assert_string_equal(s.s, "hi");
    assert_int_equal(decode_one("Str", "c4026869", &s, NULL), 0);
    assert_string_equal(s.s, "hi");
    assert_int_equal(decode_one("Str", "a0", &s, NULL), 0);
    assert_null(s.s);
    assert_int_equal(decode_one("Bytes", "c40300ff10", &s, NULL), 0);
    assert_int_equal(s.bytes.n, 3);
    assert_int_equal(decode_one("Bytes", "95 00 cc ff 02 03 04", &s, NULL), 0);
    assert_int_equal(s.bytes.n, 5);
    assert_memory_equal(s.bytes.p, "\x00\xff\x02\x03\x04", 5);
    assert_int_equal(decode_one("Bytes", "90", &s, NULL), 0);
    assert_non_null(s.bytes.p);
    assert_int_equal(s.bytes.n, 0);
    refuses("Bytes", "91 cd0100", "Bytes: expected numbers from 0 to 255");
    refuses("Bytes", "91 ff", "Bytes: expected numbers from 0 to 255");
    refuses("Str", "05", "Str: expected str, found int");
}

static void test_decode_takes_times_as_str_or_bin(void **state)
{
    _cleanup_sample_ struct sample s = {0};

    (void)state;
    assert_int_equal(decode_one("Time", "c40f010000000e7791f70000000001ffff", &s, NULL), 0);
    assert_true(s.t.sec == GOTIME_UNIX_EPOCH);
    assert_int_equal(decode_one("Time", "b0020000000e7791f7000000000100 7807", &s, NULL), 0);
    assert_int_equal(s.t.offset_min, 120);
    refuses("Time", "a0", "Time: not a time");
    refuses("Time", "b4323032302d30312d30315430303a30303a30305a", "Time: not a time");
    refuses("Time", "05", "Time: expected time, found int");
    refuses("Time", "d7ff0000000000000000", "Time: expected time, found ext");
}

static void test_decode_puts_maps_in_key_order(void **state)
{
    _cleanup_sample_ struct sample s = {0};

    (void)state;
    assert_int_equal(
        decode_one("Keyed", "83 a17a 81a24f6ec3 a161 c0 a16d 81a4546578 74a178", &s, NULL), 0);
    assert_int_equal(s.n_keyed, 3);
    assert_string_equal(s.keyed[0].key, "a");
    assert_string_equal(s.keyed[1].key, "m");
    assert_string_equal(s.keyed[1].text, "x");
    assert_string_equal(s.keyed[2].key, "z");
    assert_true(s.keyed[2].on);
    assert_int_equal(decode_one("Keyed", "82 a161 81a24f6ec3 a161 81a4546578 74a178", &s, NULL), 0);
    assert_int_equal(s.n_keyed, 1);
    assert_false(s.keyed[0].on);
    assert_string_equal(s.keyed[0].text, "x");
    assert_int_equal(decode_one("Numbers", "83 a17a01 a16102 a17a03", &s, NULL), 0);
    assert_int_equal(s.numbers.n, 2);
    assert_string_equal(s.numbers.items[0].key, "a");
    assert_int_equal(s.numbers.items[1].value, 3);
    assert_int_equal(decode_one("OptMap", "83 a17ac0 a161a131 a17aa132", &s, NULL), 0);
    assert_int_equal(s.opts.n, 2);
    assert_string_equal(s.opts.items[1].value, "2");
}

static void test_decode_takes_nil_inside_collections(void **state)
{
    _cleanup_sample_ struct sample s = {0};

    (void)state;
    assert_int_equal(decode_one("Map", "81 a161 c0", &s, NULL), 0);
    assert_string_equal(strmap_get(&s.map, "a"), "");
    assert_int_equal(decode_one("Words", "92 c0 a161", &s, NULL), 0);
    assert_string_equal(s.words[0], "");
    assert_int_equal(decode_one("OptMap", "81 a161 c0", &s, NULL), 0);
    assert_null(s.opts.items[0].value);
    assert_int_equal(decode_one("Vec", "92 c0 80", &s, NULL), 0);
    assert_int_equal(s.n_vec, 2);
    assert_int_equal(decode_one("Rows", "92 c0 90", &s, NULL), 0);
    assert_null(s.rows[0].v);
    assert_non_null(s.rows[1].v);
    assert_int_equal(decode_one("Cores", "91 c0", &s, NULL), 0);
    assert_int_equal(s.cores[0], 0);
    assert_int_equal(decode_one("Numbers", "81 a161 c0", &s, NULL), 0);
    assert_int_equal(s.numbers.items[0].value, 0);
}

static void test_decode_gives_arrays_that_can_grow(void **state)
{
    (void)state;
    for (unsigned n = 0; n <= 9; n++) {
        _cleanup_sample_ struct sample s = {0};
        char hex[128];
        size_t len = 0;

        len += (size_t)snprintf(hex, sizeof(hex), "%02x", 0x90 + n);
        for (unsigned i = 0; i < n; i++)
            len += (size_t)snprintf(hex + len, sizeof(hex) - len, "a161");
        assert_int_equal(decode_one("Words", hex, &s, NULL), 0);
        for (int i = 0; i < 5; i++)
            strv_add(&s.words, &s.n_words, "more");
        assert_int_equal(s.n_words, n + 5);
    }
}

/* ---- refusal ---- */

static void test_decode_names_the_way_to_the_field(void **state)
{
    (void)state;
    refuses("Ptr", "81 a64e756d626572 a0", "Ptr.Number: expected int, found str");
    refuses("Vec", "92 80 81a44e616d65 01", "Vec[1].Name: expected str, found int");
    refuses("Keyed", "81 a6646f636b6572 81a24f6e a474727565",
            "Keyed[docker].On: expected bool, found str");
    refuses("Map", "81 a3666f6f 01", "Map[foo]: expected str, found int");
    refuses("Map", "81 01 a161", "Map: expected str as key, found int");
    refuses("Numbers", "81 a161 a0", "Numbers[a]: expected int, found str");
    refuses("Rows", "92 90 91a0", "Rows[1]: expected int, found str");
    refuses("Rows", "91 01", "Rows[0]: expected array, found int");
    refuses("Words", "91 90", "Words[0]: expected str, found array");
    refuses("Words", "a0", "Words: expected array, found str");
    refuses("Keyed", "90", "Keyed: expected map, found array");
    refuses("Inner", "c3", "Inner: expected map, found bool");
    refuses("OptBool", "05", "OptBool: expected bool, found int");
    refuses("OptInt", "a0", "OptInt: expected int, found str");
    refuses("OptFloat", "a0", "OptFloat: expected float, found str");
    refuses("Keyed", "81 a20141 05", "Keyed[?A]: expected map, found int");
}

static void test_decode_refuses_what_is_no_struct(void **state)
{
    _cleanup_sample_ struct sample s = {0};
    struct err e = {0};

    (void)state;
    assert_int_equal(decode_hex("05", &s, &e), -EBADMSG);
    assert_string_equal(e.text, "expected map, found int");
    assert_int_equal(decode_hex("81 05 05", &s, &e), -EBADMSG);
    assert_string_equal(e.text, "expected str as key, found int");
    assert_int_equal(decode_hex("80 80", &s, &e), -EBADMSG);
    assert_string_equal(e.text, "1 bytes behind the object");
    assert_int_equal(decode_hex("c1", &s, &e), -EBADMSG);
    assert_string_equal(e.text, "malformed msgpack");
    assert_int_equal(mp_decode(&desc_sample, "", 0, &s, &e), -EBADMSG);
    assert_string_equal(e.text, "the input ends too early");
    assert_int_equal(mp_decode(&desc_sample, "\x05", 1, &s, NULL), -EBADMSG);
}

static void test_decode_at_moves_behind_the_object(void **state)
{
    static const uint8_t two[] = {0x81, 0xa3, 'I', 'n', 't', 0x05, 0xc3};
    struct mp_in in = mp_in(two, sizeof(two));
    _cleanup_sample_ struct sample s = {0};

    (void)state;
    assert_int_equal(mp_decode_at(&desc_sample, &in, &s, NULL), 0);
    assert_ptr_equal(in.p, two + 6);
    assert_int_equal(s.i, 5);
}

static void test_decode_survives_every_cut(void **state)
{
    _cleanup_sample_ struct sample full;
    _cleanup_buf_ struct buf b = BUF_INIT(4096);

    (void)state;
    sample_fill(&full);
    mp_encode(&b, &desc_sample, &full);
    for (size_t n = 0; n < b.len; n++) {
        _cleanup_free_ uint8_t *cut = xmemdup(b.p, n);
        _cleanup_sample_ struct sample s = {0};
        struct err e = {0};

        assert_int_equal(mp_decode(&desc_sample, cut, n, &s, &e), -EBADMSG);
        assert_non_null(strstr(e.text, "the input ends too early"));
    }
}

static void test_decode_survives_every_failing_allocation(void **state)
{
    _cleanup_sample_ struct sample full;
    _cleanup_buf_ struct buf b = BUF_INIT(4096);
    int r = -1;

    (void)state;
    sample_fill(&full);
    mp_encode(&b, &desc_sample, &full);
    for (size_t nth = 1; r != 0; nth++) {
        _cleanup_sample_ struct sample s = {0};
        struct err e = {0};

        mem_torture(nth);
        r = mp_decode(&desc_sample, b.p, b.len, &s, &e);
        mem_torture(0);
        assert_true(nth < 1000);
        if (r == 0)
            continue;
        assert_int_equal(r, -ENOMEM);
        assert_non_null(strstr(e.text, "out of memory"));
    }
}

static void test_decode_bounds_memory_by_the_input(void **state)
{
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 22);
    _cleanup_sample_ struct sample s = {0}, few = {0};
    struct err e = {0};
    enum { N = 1 << 20 };

    (void)state;
    /* a byte of input each, a pointer and a byte of memory */
    mp_map(&b, 1);
    mp_str(&b, "Words");
    mp_array(&b, N);
    for (size_t i = 0; i < N; i++)
        mp_nil(&b);
    assert_int_equal(mp_decode(&desc_sample, b.p, b.len, &s, &e), 0);
    buf_reset(&b);
    /* a byte each, a struct of 16 in an array of the next power of two */
    mp_map(&b, 1);
    mp_str(&b, "Vec");
    mp_array(&b, N + 1);
    for (size_t i = 0; i < N + 1; i++)
        mp_nil(&b);
    assert_int_equal(mp_decode(&desc_sample, b.p, b.len, &s, &e), -EMSGSIZE);
    assert_string_equal(e.text, "Vec: takes more memory than its size allows");
    /* small objects may expand as they like */
    buf_reset(&b);
    mp_map(&b, 1);
    mp_str(&b, "Vec");
    mp_array(&b, 2000);
    for (size_t i = 0; i < 2000; i++)
        mp_nil(&b);
    assert_int_equal(mp_decode(&desc_sample, b.p, b.len, &few, &e), 0);
    assert_int_equal(few.n_vec, 2000);
}

static void test_decode_does_not_slow_down_on_unsorted_maps(void **state)
{
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 24);
    _cleanup_sample_ struct sample s = {0};
    enum { N = 200000 };

    (void)state;
    mp_map(&b, 1);
    mp_str(&b, "Map");
    mp_map(&b, N);
    for (size_t i = N; i > 0; i--) { /* descending: the worst case of an insertion */
        char key[16];

        (void)snprintf(key, sizeof(key), "%08zu", i);
        mp_str(&b, key);
        mp_str(&b, "");
    }
    assert_int_equal(mp_decode(&desc_sample, b.p, b.len, &s, NULL), 0);
    assert_int_equal(s.map.n, N);
    assert_string_equal(s.map.items[0].key, "00000001");
}

static void test_decode_limits_nesting_of_raw_and_unknown(void **state)
{
    _cleanup_buf_ struct buf b = BUF_INIT(4096);
    _cleanup_sample_ struct sample s = {0};

    (void)state;
    for (int round = 0; round < 2; round++) {
        buf_reset(&b);
        mp_map(&b, 1);
        mp_str(&b, round ? "Raw" : "Unknown");
        for (int i = 0; i <= MP_DEPTH_MAX; i++)
            mp_array(&b, 1);
        mp_nil(&b);
        assert_int_equal(mp_decode(&desc_sample, b.p, b.len, &s, NULL), -EBADMSG);
    }
}

static void test_decode_receives_old_fields(void **state)
{
    _cleanup_sample_ struct sample s = {0};

    (void)state;
    assert_int_equal(decode_one("Old", "a178", &s, NULL), 0);
    assert_string_equal(s.old, "x");
    assert_int_equal(decode_one("Local", "a178", &s, NULL), 0);
    assert_null(s.local);
    assert_int_equal(decode_one("AuthToken", "a178", &s, NULL), 0);
    assert_string_equal(s.e.auth, "x");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decode_gives_back_what_encode_wrote),
        cmocka_unit_test(test_encode_is_read_by_the_oracle),
        cmocka_unit_test(test_encode_sorts_keys_and_flattens_embedded_ones),
        cmocka_unit_test(test_encode_writes_zero_values),
        cmocka_unit_test(test_encode_tells_empty_from_nil),
        cmocka_unit_test(test_encode_passes_raw_objects_through),
        cmocka_unit_test(test_decode_skips_unknown_keys),
        cmocka_unit_test(test_decode_matches_case),
        cmocka_unit_test(test_decode_leaves_missing_keys_alone),
        cmocka_unit_test(test_decode_lets_the_last_double_win),
        cmocka_unit_test(test_decode_takes_nil_as_zero_everywhere),
        cmocka_unit_test(test_decode_takes_nil_for_the_whole),
        cmocka_unit_test(test_decode_takes_arrays_in_field_order),
        cmocka_unit_test(test_decode_takes_bools_as_0_and_1),
        cmocka_unit_test(test_decode_checks_ranges_of_ints),
        cmocka_unit_test(test_decode_takes_ints_for_floats),
        cmocka_unit_test(test_decode_takes_str_and_bin),
        cmocka_unit_test(test_decode_takes_times_as_str_or_bin),
        cmocka_unit_test(test_decode_puts_maps_in_key_order),
        cmocka_unit_test(test_decode_takes_nil_inside_collections),
        cmocka_unit_test(test_decode_gives_arrays_that_can_grow),
        cmocka_unit_test(test_decode_names_the_way_to_the_field),
        cmocka_unit_test(test_decode_refuses_what_is_no_struct),
        cmocka_unit_test(test_decode_at_moves_behind_the_object),
        cmocka_unit_test(test_decode_survives_every_cut),
        cmocka_unit_test(test_decode_survives_every_failing_allocation),
        cmocka_unit_test(test_decode_bounds_memory_by_the_input),
        cmocka_unit_test(test_decode_does_not_slow_down_on_unsorted_maps),
        cmocka_unit_test(test_decode_limits_nesting_of_raw_and_unknown),
        cmocka_unit_test(test_decode_receives_old_fields),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
