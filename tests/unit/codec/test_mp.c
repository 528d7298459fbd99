/* Tokens, whole objects, frames and packed maps; msgpack-c is the second opinion. */
#include "codec/mp.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <string.h>

#include <cmocka.h>
#include <msgpack.h>

#include "tests/support/data.h"
#include "tests/support/mp_oracle.h"

/* ---- writing ---- */

static void expect_hex(struct buf *b, const char *hex)
{
    _cleanup_free_ char *got = data_to_hex(b->p, b->len);

    assert_int_equal(buf_ok(b), 0);
    assert_string_equal(got, hex);
    assert_true(mp_oracle_valid(b->p, b->len));
    buf_reset(b);
}

static void test_mp_writes_ints_in_int_forms(void **state)
{
    static const struct {
        int64_t v;
        const char *hex;
    } rows[] = {
        {0,                    "00"                },
        {127,                  "7f"                },
        {128,                  "d10080"            },
        {32767,                "d17fff"            },
        {32768,                "d200008000"        },
        {INT32_MAX,            "d27fffffff"        },
        {INT64_C(2147483648),  "d30000000080000000"},
        {INT64_MAX,            "d37fffffffffffffff"},
        {-1,                   "ff"                },
        {-32,                  "e0"                },
        {-33,                  "d0df"              },
        {-128,                 "d080"              },
        {-129,                 "d1ff7f"            },
        {-32769,               "d2ffff7fff"        },
        {INT64_C(-2147483649), "d3ffffffff7fffffff"},
        {INT64_MIN,            "d38000000000000000"},
    };
    _cleanup_buf_ struct buf b = BUF_INIT(64);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        mp_i64(&b, rows[i].v);
        expect_hex(&b, rows[i].hex);
    }
}

static void test_mp_writes_uints_in_uint_forms(void **state)
{
    static const struct {
        uint64_t v;
        const char *hex;
    } rows[] = {
        {0,                    "00"                },
        {127,                  "7f"                },
        {128,                  "cc80"              },
        {255,                  "ccff"              },
        {256,                  "cd0100"            },
        {65536,                "ce00010000"        },
        {UINT32_MAX,           "ceffffffff"        },
        {UINT64_C(4294967296), "cf0000000100000000"},
        {UINT64_MAX,           "cfffffffffffffffff"},
    };
    _cleanup_buf_ struct buf b = BUF_INIT(64);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        mp_u64(&b, rows[i].v);
        expect_hex(&b, rows[i].hex);
    }
}

static void test_mp_writes_strings_in_the_old_raw_family(void **state)
{
    static const struct {
        size_t n;
        const char *head;
    } rows[] = {
        {0,     "a0"        },
        {31,    "bf"        },
        {32,    "da0020"    },
        {36,    "da0024"    },
        {255,   "da00ff"    },
        {256,   "da0100"    },
        {65535, "daffff"    },
        {65536, "db00010000"},
    };
    _cleanup_free_ char *text = xcalloc(65536, 1);
    _cleanup_buf_ struct buf b = BUF_INIT(70000);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_free_ char *head = NULL;

        mp_raw(&b, text, rows[i].n);
        assert_int_equal(b.len, strlen(rows[i].head) / 2 + rows[i].n);
        head = data_to_hex(b.p, strlen(rows[i].head) / 2);
        assert_string_equal(head, rows[i].head);
        assert_true(mp_oracle_valid(b.p, b.len));
        buf_reset(&b);
    }
    mp_str(&b, NULL);
    expect_hex(&b, "a0");
    mp_str(&b, "abc");
    expect_hex(&b, "a3616263");
}

static void test_mp_writes_the_other_scalars(void **state)
{
    _cleanup_buf_ struct buf b = BUF_INIT(64);

    (void)state;
    mp_nil(&b);
    expect_hex(&b, "c0");
    mp_bool(&b, true);
    expect_hex(&b, "c3");
    mp_bool(&b, false);
    expect_hex(&b, "c2");
    mp_f64(&b, 1.5);
    expect_hex(&b, "cb3ff8000000000000");
}

static void test_mp_writes_times_as_go_marshals_them(void **state)
{
    struct gotime t = {.sec = GOTIME_UNIX_EPOCH, .nsec = 1};
    _cleanup_buf_ struct buf b = BUF_INIT(64);

    (void)state;
    mp_time(&b, (struct gotime){0});
    expect_hex(&b, "af01000000000000000000000000ffff");
    mp_time(&b, t);
    expect_hex(&b, "af010000000e7791f70000000001ffff");
    t.offset_min = 120;
    mp_time(&b, t);
    expect_hex(&b, "af010000000e7791f700000000010078");
    t.offset_min = -90;
    mp_time(&b, t);
    expect_hex(&b, "af010000000e7791f70000000001ffa6");
}

static void test_mp_writes_container_heads(void **state)
{
    static const struct {
        size_t n;
        const char *map, *array;
    } rows[] = {
        {0,     "80",         "90"        },
        {15,    "8f",         "9f"        },
        {16,    "de0010",     "dc0010"    },
        {65535, "deffff",     "dcffff"    },
        {65536, "df00010000", "dd00010000"},
    };
    _cleanup_buf_ struct buf b = BUF_INIT(64);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_free_ char *map = NULL, *array = NULL;

        buf_reset(&b);
        mp_map(&b, rows[i].n);
        map = data_to_hex(b.p, b.len);
        assert_string_equal(map, rows[i].map);
        buf_reset(&b);
        mp_array(&b, rows[i].n);
        array = data_to_hex(b.p, b.len);
        assert_string_equal(array, rows[i].array);
    }
}

/* ---- reading ---- */

static int next_hex(const char *hex, struct mp_token *t)
{
    static uint8_t *kept;
    struct mp_in in;
    size_t n;

    free(kept);
    kept = *hex ? data_hex(hex, &n) : NULL;
    in = mp_in(kept, *hex ? n : 0);
    return mp_next(&in, t);
}

static void test_mp_reads_every_width_of_ints(void **state)
{
    static const struct {
        const char *hex;
        int64_t i;
    } rows[] = {
        {"7f",                 127      },
        {"ff",                 -1       },
        {"e0",                 -32      },
        {"cc80",               128      },
        {"cd0001",             1        },
        {"ce00000001",         1        },
        {"cf0000000000000001", 1        },
        {"cf7fffffffffffffff", INT64_MAX},
        {"d001",               1        },
        {"d0ff",               -1       },
        {"d1ffff",             -1       },
        {"d2ffffffff",         -1       },
        {"d3ffffffffffffffff", -1       },
        {"d38000000000000000", INT64_MIN},
    };
    struct mp_token t;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(next_hex(rows[i].hex, &t), 0);
        assert_int_equal(t.type, MP_INT);
        assert_false(t.is_unsigned);
        assert_true(t.i == rows[i].i);
    }
    assert_int_equal(next_hex("cfffffffffffffffff", &t), 0);
    assert_true(t.is_unsigned);
    assert_true(t.u == UINT64_MAX);
}

static void test_mp_reads_str_bin_and_raw_alike(void **state)
{
    static const char *const rows[] = {
        "a26869",   "d9026869",   "da00026869",     "db000000026869",
        "c4026869", "c500026869", "c6000000026869",
    };
    struct mp_token t;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(next_hex(rows[i], &t), 0);
        assert_int_equal(t.type, MP_STR);
        assert_int_equal(t.n, 2);
        assert_memory_equal(t.p, "hi", 2);
    }
}

static void test_mp_reads_floats_bools_nil_ext(void **state)
{
    static const struct {
        const char *hex;
        size_t n;
    } exts[] = {
        {"d40501",                               2 },
        {"d5050102",                             3 },
        {"d60501020304",                         5 },
        {"c7020501 02",                          3 },
        {"c80001ff00",                           2 },
        {"c900000000ff",                         1 },
        {"d7050000000000000000",                 9 },
        {"d80500000000000000000000000000000000", 17}
    };
    struct mp_token t;

    (void)state;
    assert_int_equal(next_hex("ca3fc00000", &t), 0);
    assert_int_equal(t.type, MP_FLOAT);
    assert_true(t.f == 1.5);
    assert_int_equal(next_hex("cb3ff8000000000000", &t), 0);
    assert_true(t.f == 1.5);
    assert_int_equal(next_hex("c0", &t), 0);
    assert_int_equal(t.type, MP_NIL);
    assert_int_equal(next_hex("c3", &t), 0);
    assert_int_equal(t.type, MP_BOOL);
    assert_true(t.b);
    for (size_t i = 0; i < ARRAY_LEN(exts); i++) {
        assert_int_equal(next_hex(exts[i].hex, &t), 0);
        assert_int_equal(t.type, MP_EXT);
        assert_int_equal(t.n, exts[i].n); /* the type byte and the content */
    }
}

static void test_mp_tells_short_from_wrong(void **state)
{
    static const char *const tooshort[] = {
        "",   "a1",   "cc",   "cd00",       "d3000000",   "da0002",     "d901",       "dc0001",
        "91", "81a1", "c701", "dfffffffff", "ddffffffff", "dbffffffff", "c6ffffffff", "c9ffffffff"};
    struct mp_token t;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(tooshort); i++)
        assert_int_equal(next_hex(tooshort[i], &t), -EAGAIN);
    assert_int_equal(next_hex("c1", &t), -EBADMSG);
}

static void test_mp_leaves_the_cursor_after_a_failure(void **state)
{
    static const uint8_t text[] = {0xa3, 'a', 'b'};
    struct mp_in in = mp_in(text, sizeof(text));
    struct mp_token t;

    (void)state;
    assert_int_equal(mp_next(&in, &t), -EAGAIN);
    assert_ptr_equal(in.p, text);
    assert_int_equal(mp_skip(&in), -EAGAIN);
    assert_ptr_equal(in.p, text);
}

/* an object of every type that msgpack-c can pack */
static void pack_everything(msgpack_sbuffer *out)
{
    msgpack_packer pk;
    char text[300];

    memset(text, 'x', sizeof(text));
    msgpack_packer_init(&pk, out, msgpack_sbuffer_write);
    msgpack_pack_map(&pk, 6);
    msgpack_pack_str(&pk, 3);
    msgpack_pack_str_body(&pk, "arr", 3);
    msgpack_pack_array(&pk, 20);
    for (int i = 0; i < 20; i++)
        msgpack_pack_int64(&pk, i % 2 ? -(INT64_C(1) << (3 * i)) : INT64_C(1) << (3 * i));
    msgpack_pack_uint64(&pk, UINT64_MAX);
    msgpack_pack_str(&pk, 200); /* str8 */
    msgpack_pack_str_body(&pk, text, 200);
    msgpack_pack_nil(&pk);
    msgpack_pack_bin(&pk, 300);
    msgpack_pack_bin_body(&pk, text, 300);
    msgpack_pack_true(&pk);
    msgpack_pack_float(&pk, 1.25f);
    msgpack_pack_double(&pk, 1e300);
    msgpack_pack_ext(&pk, 4, -1);
    msgpack_pack_ext_body(&pk, "abcd", 4);
    msgpack_pack_str(&pk, 0);
    msgpack_pack_str_body(&pk, "", 0);
    msgpack_pack_map(&pk, 0);
}

static void test_mp_skips_what_the_oracle_packs(void **state)
{
    msgpack_sbuffer sb;
    struct mp_in in;
    size_t len;

    (void)state;
    msgpack_sbuffer_init(&sb);
    pack_everything(&sb);
    in = mp_in(sb.data, sb.size);
    assert_int_equal(mp_skip(&in), 0);
    assert_ptr_equal(in.p, in.end);
    for (size_t n = 0; n < sb.size; n++) {
        struct mp_frame f = {0};

        in = mp_in(sb.data, n);
        assert_int_equal(mp_skip(&in), -EAGAIN);
        assert_int_equal(mp_frame(&f, sb.data, n, 4096, &len), -EAGAIN);
    }
    msgpack_sbuffer_destroy(&sb);
}

static void test_mp_limits_nesting(void **state)
{
    uint8_t deep[MP_DEPTH_MAX + 2];
    struct mp_frame f = {0};
    struct mp_in in;
    size_t len;

    (void)state;
    memset(deep, 0x91, sizeof(deep));
    deep[MP_DEPTH_MAX] = 0xc0;
    in = mp_in(deep, MP_DEPTH_MAX + 1);
    assert_int_equal(mp_skip(&in), 0);
    assert_int_equal(mp_frame(&f, deep, MP_DEPTH_MAX + 1, 4096, &len), 0);
    deep[MP_DEPTH_MAX] = 0x80; /* an empty one counts, as it does for msgpack-c */
    in = mp_in(deep, MP_DEPTH_MAX + 1);
    assert_int_equal(mp_skip(&in), -EBADMSG);
    f = (struct mp_frame){0};
    assert_int_equal(mp_frame(&f, deep, MP_DEPTH_MAX + 1, 4096, &len), -EBADMSG);
    deep[MP_DEPTH_MAX] = 0x91;
    deep[MP_DEPTH_MAX + 1] = 0xc0;
    in = mp_in(deep, sizeof(deep));
    assert_int_equal(mp_skip(&in), -EBADMSG);
    f = (struct mp_frame){0};
    assert_int_equal(mp_frame(&f, deep, sizeof(deep), 4096, &len), -EBADMSG);
}

/* ---- frames ---- */

static void test_mp_frame_goes_on_where_it_stopped(void **state)
{
    struct mp_frame f = {0};
    msgpack_sbuffer sb;
    size_t len = 0;

    (void)state;
    msgpack_sbuffer_init(&sb);
    pack_everything(&sb);
    for (size_t n = 0; n < sb.size; n++) {
        size_t at = f.at;

        assert_int_equal(mp_frame(&f, sb.data, n, 4096, &len), -EAGAIN);
        assert_true(f.at >= at && f.at <= n);
    }
    assert_int_equal(mp_frame(&f, sb.data, sb.size, 4096, &len), 0);
    assert_int_equal(len, sb.size);
    assert_int_equal(f.at, 0); /* ready for the next one */
    msgpack_sbuffer_destroy(&sb);
}

static void test_mp_frame_stops_at_the_first_object(void **state)
{
    static const uint8_t two[] = {0x81, 0xa1, 'a', 0x01, 0x80};
    struct mp_frame f = {0};
    size_t len;

    (void)state;
    assert_int_equal(mp_frame(&f, two, sizeof(two), 100, &len), 0);
    assert_int_equal(len, 4);
    assert_int_equal(mp_frame(&f, two + len, 1, 100, &len), 0);
    assert_int_equal(len, 1);
}

static int frame_hex(const char *hex, size_t max)
{
    _cleanup_free_ uint8_t *p = NULL;
    struct mp_frame f = {0};
    size_t n, len;

    p = data_hex(hex, &n);
    return mp_frame(&f, p, n, max, &len);
}

static void test_mp_frame_refuses_what_claims_too_much(void **state)
{
    (void)state;
    assert_int_equal(frame_hex("db00000400", 1000), -EMSGSIZE); /* a string of 1024 */
    assert_int_equal(frame_hex("db000003e3", 1000), -EAGAIN);   /* 5 + 995 */
    assert_int_equal(frame_hex("db000003e4", 1000), -EMSGSIZE);
    assert_int_equal(frame_hex("dfffffffff", 1000), -EMSGSIZE); /* each entry takes two bytes */
    assert_int_equal(frame_hex("dd000003e4", 1000), -EMSGSIZE);
    assert_int_equal(frame_hex("dd000003e3", 1000), -EAGAIN);
    /* 7 bytes, then 496, 495 and 1 objects: the inner array is one of the outer's */
    assert_int_equal(frame_hex("92dc01f0dc01f0", 999), -EAGAIN);
    assert_int_equal(frame_hex("92dc01f0dc01f0", 998), -EMSGSIZE);
    assert_int_equal(frame_hex("9100", 1), -EMSGSIZE);
    assert_int_equal(frame_hex("00", 1), 0);
    assert_int_equal(frame_hex("a161", 2), 0);
    assert_int_equal(frame_hex("cd", 1), -EMSGSIZE);
    assert_int_equal(frame_hex("93c1", 100), -EBADMSG);
}

/* ---- times ---- */

static void test_mp_parses_both_versions_of_times(void **state)
{
    _cleanup_free_ uint8_t *p = NULL, *q = NULL;
    struct gotime t;
    size_t n;

    (void)state;
    p = data_hex("010000000e7791f700000000010078", &n);
    assert_int_equal(mp_time_parse(p, n, &t), 0);
    assert_true(t.sec == GOTIME_UNIX_EPOCH);
    assert_int_equal(t.nsec, 1);
    assert_int_equal(t.offset_min, 120);
    q = data_hex("020000000e7791f70000000001ffff1e", &n);
    assert_int_equal(mp_time_parse(q, n, &t), 0);
    assert_int_equal(t.offset_min, 0);
    assert_int_equal(mp_time_parse(q, 15, &t), -EBADMSG);
    assert_int_equal(mp_time_parse(p, 14, &t), -EBADMSG);
    assert_int_equal(mp_time_parse(p, 0, &t), -EBADMSG);
    p[0] = 3;
    assert_int_equal(mp_time_parse(p, 15, &t), -EBADMSG);
}

static void test_mp_refuses_times_that_no_text_can_show(void **state)
{
    static const char *const rows[] = {
        "01000000497786388000000000ffff", /* year 10000 */
        "01ffffffffffffffff00000000ffff", /* before year 1 */
        "010000000e7791f7003b9aca00ffff", /* 10^9 ns */
    };
    struct gotime t;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_free_ uint8_t *p = NULL;
        size_t n;

        p = data_hex(rows[i], &n);
        assert_int_equal(n, 15);
        assert_int_equal(mp_time_parse(p, n, &t), -EBADMSG);
    }
}

/* ---- packed maps ---- */

/* {"a": 1, "b": [nil, {}], "c": "x"} with b's key as str8, which only patching byte for byte keeps
 */
#define MAP_HEX "83a16101d90162 92c080 a163a178"

static void find_is(const char *hex, const char *key, const char *value_hex)
{
    _cleanup_free_ uint8_t *p = NULL;
    _cleanup_free_ char *got = NULL;
    const uint8_t *value;
    size_t n, value_n;

    p = data_hex(hex, &n);
    assert_int_equal(mp_map_find(p, n, key, &value, &value_n), 0);
    got = data_to_hex(value, value_n);
    assert_string_equal(got, value_hex);
}

static int find_fails(const char *hex, const char *key)
{
    _cleanup_free_ uint8_t *p = NULL;
    const uint8_t *value;
    size_t n, value_n;

    p = data_hex(hex, &n);
    return mp_map_find(p, n, key, &value, &value_n);
}

static void test_mp_map_find_gives_the_bytes_of_a_value(void **state)
{
    (void)state;
    find_is(MAP_HEX, "a", "01");
    find_is(MAP_HEX, "b", "92c080");
    find_is(MAP_HEX, "c", "a178");
    find_is("82a16101a16102", "a", "02"); /* of doubles the last, as decoding does */
    find_is("820102a16102", "a", "02");   /* keys of other types are passed over */
    assert_int_equal(find_fails(MAP_HEX, "d"), -ENOENT);
    assert_int_equal(find_fails(MAP_HEX, ""), -ENOENT);
    assert_int_equal(find_fails("80", "a"), -ENOENT);
    assert_int_equal(find_fails("c0", "a"), -EBADMSG);
    assert_int_equal(find_fails("82a16101", "a"), -EBADMSG);
    assert_int_equal(find_fails("82a16101a162", "a"), -EBADMSG);
}

static void patch_is(const char *hex, const struct mp_patch *patches, size_t n_patches,
                     const char *expected)
{
    _cleanup_free_ uint8_t *p = NULL;
    _cleanup_buf_ struct buf out = BUF_INIT(4096);
    size_t n;

    p = data_hex(hex, &n);
    assert_int_equal(mp_map_patch(p, n, patches, n_patches, &out), 0);
    expect_hex(&out, expected);
}

static void test_mp_map_patch_changes_only_its_keys(void **state)
{
    static const struct mp_patch set_a = {"a", "\xcd\x01\x00", 3}, drop_a = {"a", NULL, 0},
                                 add_d = {"d", "\xc3", 1};
    const struct mp_patch three[] = {
        set_a, {"c", NULL, 0},
         add_d
    };

    (void)state;
    patch_is(MAP_HEX, &set_a, 1, "83a161cd0100d9016292c080a163a178");
    patch_is(MAP_HEX, &drop_a, 1, "82d9016292c080a163a178");
    patch_is(MAP_HEX, &add_d, 1, "84a16101d9016292c080a163a178a164c3");
    patch_is(MAP_HEX, three, 3, "83a161cd0100d9016292c080a164c3");
    patch_is(MAP_HEX, NULL, 0, "83a16101d9016292c080a163a178");
    patch_is("80", &add_d, 1, "81a164c3");
    patch_is("80", &drop_a, 1, "80");
    patch_is("82a16101a16102", &set_a, 1, "81a161cd0100"); /* no double is left behind */
}

static void test_mp_map_patch_grows_the_head(void **state)
{
    static const struct mp_patch add = {"z", "\xc0", 1};
    _cleanup_buf_ struct buf map = BUF_INIT(4096), out = BUF_INIT(4096);

    (void)state;
    mp_map(&map, 15);
    for (int i = 0; i < 15; i++) {
        mp_i64(&map, i);
        mp_nil(&map);
    }
    assert_int_equal(mp_map_patch(map.p, map.len, &add, 1, &out), 0);
    assert_int_equal(out.p[0], 0xde);
    assert_int_equal(out.len, map.len + 2 + 3);
    assert_true(mp_oracle_valid(out.p, out.len));
}

static void test_mp_map_patch_refuses_bad_input(void **state)
{
    static const struct mp_patch good = {"a", "\xc0", 1}, cut = {"a", "\xa2x", 2},
                                 two = {"a", "\xc0\xc0", 2};
    static const uint8_t map[] = {0x81, 0xa1, 'a', 0x01}, text[] = {0xa1, 'a'};
    _cleanup_buf_ struct buf out = BUF_INIT(4096), tiny = BUF_INIT(2);
    struct mp_patch many[65];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(many); i++)
        many[i] = good;
    assert_int_equal(mp_map_patch(map, sizeof(map), &cut, 1, &out), -EINVAL);
    assert_int_equal(mp_map_patch(map, sizeof(map), &two, 1, &out), -EINVAL);
    assert_int_equal(mp_map_patch(map, sizeof(map), many, 65, &out), -EINVAL);
    assert_int_equal(mp_map_patch(map, 3, &good, 1, &out), -EBADMSG);
    assert_int_equal(mp_map_patch(text, sizeof(text), &good, 1, &out), -EBADMSG);
    assert_int_equal(mp_map_patch(map, 0, &good, 1, &out), -EBADMSG);
    assert_int_equal(out.len, 0);
    assert_int_equal(mp_map_patch(map, sizeof(map), &good, 1, &tiny), -EMSGSIZE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mp_writes_ints_in_int_forms),
        cmocka_unit_test(test_mp_writes_uints_in_uint_forms),
        cmocka_unit_test(test_mp_writes_strings_in_the_old_raw_family),
        cmocka_unit_test(test_mp_writes_the_other_scalars),
        cmocka_unit_test(test_mp_writes_times_as_go_marshals_them),
        cmocka_unit_test(test_mp_writes_container_heads),
        cmocka_unit_test(test_mp_reads_every_width_of_ints),
        cmocka_unit_test(test_mp_reads_str_bin_and_raw_alike),
        cmocka_unit_test(test_mp_reads_floats_bools_nil_ext),
        cmocka_unit_test(test_mp_tells_short_from_wrong),
        cmocka_unit_test(test_mp_leaves_the_cursor_after_a_failure),
        cmocka_unit_test(test_mp_skips_what_the_oracle_packs),
        cmocka_unit_test(test_mp_limits_nesting),
        cmocka_unit_test(test_mp_frame_goes_on_where_it_stopped),
        cmocka_unit_test(test_mp_frame_stops_at_the_first_object),
        cmocka_unit_test(test_mp_frame_refuses_what_claims_too_much),
        cmocka_unit_test(test_mp_parses_both_versions_of_times),
        cmocka_unit_test(test_mp_refuses_times_that_no_text_can_show),
        cmocka_unit_test(test_mp_map_find_gives_the_bytes_of_a_value),
        cmocka_unit_test(test_mp_map_patch_changes_only_its_keys),
        cmocka_unit_test(test_mp_map_patch_grows_the_head),
        cmocka_unit_test(test_mp_map_patch_refuses_bad_input),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
