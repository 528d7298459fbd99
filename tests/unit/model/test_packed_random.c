/* js_from_packed() and mp_check() against the decoder, for every descriptor table: all recorded
 * samples, and random msgpack as a hostile or careless peer would write it. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/parse.h"
#include "base/rand.h"
#include "base/str.h"
#include "codec/js.h"
#include "codec/mp.h"
#include "codec/ops.h"
#include "tests/support/check.h"
#include "tests/support/data.h"
#include "tests/unit/model/all_descs.h"

enum { OUT_MAX = 4 << 20, ROUNDS = 100, ROWS = 2 * DESC_ROWS_MAX };

struct tally {
    size_t taken, decoded, checked;
};

/* --- random msgpack --- */

/* one in so many values is not what its place wants; 0: none is.  Names come in another order, are
 * missing, unknown or doubled as often. */
static unsigned odd_values, odd_names;

static bool one_in(unsigned n)
{
    return n > 0 && rand_below(n) == 0;
}

static void put_be(struct buf *b, uint64_t v, unsigned bytes)
{
    while (bytes-- > 0)
        buf_add_byte(b, (uint8_t)(v >> 8 * bytes));
}

static void put_head(struct buf *b, uint8_t form, uint64_t v, unsigned bytes)
{
    buf_add_byte(b, form);
    put_be(b, v, bytes);
}

/* a length in any width that it fits */
static void put_count(struct buf *b, size_t n, uint8_t fix, size_t fix_max, uint8_t form16)
{
    uint64_t width = rand_below(8);

    if (width > 1 && n <= fix_max)
        buf_add_byte(b, (uint8_t)(fix | n));
    else if (width > 0)
        put_head(b, form16, n, 2);
    else
        put_head(b, (uint8_t)(form16 + 1), n, 4);
}

static void put_text(struct buf *b, const char *s, size_t n)
{
    static const uint8_t bins[] = {0xc4, 0xc5, 0xc6}; /* bin8, bin16, bin32 */

    if (rand_below(16) == 0) {
        uint64_t k = rand_below(3);

        put_head(b, bins[k], n, 1U << k);
    } else if (rand_below(16) == 0) {
        put_head(b, 0xd9, n, 1); /* str8 */
    } else {
        put_count(b, n, 0xa0, 31, 0xda);
    }
    buf_add(b, s, n);
}

static void put_random_text(struct buf *b)
{
    static const char *const parts[] = {
        "a",
        "zebra",
        "\"",
        "\\",
        "\n",
        "\x01",
        "\x7f",
        "\xff",
        "\xc3",
        "\xed\xa0\x80",
        "\xc3\xa9",
        "\xe2\x80\xa8",
        "\xe2\x80\xa9",
        "\xf0\x9f\x98\x80",
        "</",
        "1",
        "attr.long",
        "\xc0\x80",
        "\xf4\x90\x80\x80",
    };
    char s[256];
    size_t n = 0, parts_left = (size_t)rand_below(6);

    for (; parts_left > 0; parts_left--) {
        const char *part = parts[rand_below(ARRAY_LEN(parts))];

        memcpy(s + n, part, strlen(part));
        n += strlen(part);
    }
    if (one_in(4 * odd_values))
        s[n++] = 0;
    put_text(b, s, n);
}

static void put_random_int(struct buf *b, bool is_signed)
{
    static const struct {
        uint8_t form;
        unsigned bytes;
    } forms[] = {
        {0xcc, 1},
        {0xcd, 2},
        {0xce, 4},
        {0xcf, 8},
        {0xd0, 1},
        {0xd1, 2},
        {0xd2, 4},
        {0xd3, 8}
    };
    uint64_t kind = rand_below(10), v;

    if (kind >= ARRAY_LEN(forms)) {
        buf_add_byte(b, kind == 8 || !is_signed ? (uint8_t)rand_below(128)
                                                : (uint8_t)(0xe0 + rand_below(32)));
        return;
    }
    v = rand_below(UINT64_MAX) >> rand_below(64);
    if (odd_values == 0 && forms[kind].form == 0xcf)
        v >>= 1;
    if (odd_values == 0 && !is_signed && forms[kind].form >= 0xd0)
        v &= (UINT64_C(1) << (8 * forms[kind].bytes - 1)) - 1;
    put_head(b, forms[kind].form, v, forms[kind].bytes);
}

static void put_random_float(struct buf *b)
{
    uint64_t v = rand_below(UINT64_MAX);

    if (rand_below(3) == 0)
        put_random_int(b, true);
    else if (rand_below(2))
        put_head(b, 0xca, v, 4);
    else
        put_head(b, 0xcb, v, 8);
}

/* any object, ext and deep nests among them */
static void put_any(struct buf *b, unsigned depth)
{
    uint64_t kind = rand_below(depth > 3 ? 7 : 10);
    size_t n = (size_t)rand_below(4);

    switch (kind) {
    case 0:
        buf_add_byte(b, 0xc0);
        return;
    case 1:
        buf_add_byte(b, (uint8_t)(0xc2 + rand_below(2)));
        return;
    case 2:
        put_random_int(b, true);
        return;
    case 3:
        put_random_float(b);
        return;
    case 4:
        put_head(b, 0xc7, n << 8 | 5, 2); /* ext8 of type 5 */
        buf_add(b, "abc", n);
        return;
    case 5:
        put_head(b, 0xd4, 0x0177, 2); /* fixext1 */
        return;
    case 7:
        for (n = (size_t)rand_below(MP_DEPTH_MAX + 4); n > 0; n--)
            buf_add_byte(b, 0x91);
        buf_add_byte(b, 0xc0);
        return;
    case 8:
        put_count(b, n, 0x90, 15, 0xdc);
        for (; n > 0; n--)
            put_any(b, depth + 1);
        return;
    case 9:
        put_count(b, n, 0x80, 15, 0xde);
        for (; n > 0; n--) {
            put_random_text(b);
            put_any(b, depth + 1);
        }
        return;
    default:
        put_random_text(b);
    }
}

static void put_struct(struct buf *b, const struct desc *d);

static void put_map(struct buf *b, const struct field *f)
{
    size_t n = (size_t)rand_below(6);

    put_count(b, n, 0x80, 15, 0xde);
    for (; n > 0; n--) {
        char key[8] = {(char)('a' + rand_below(20)), (char)('a' + rand_below(20)), 'k', 'e', 'y'};

        if (rand_below(8) == 0)
            put_random_text(b);
        else
            put_text(b, key, 1 + (size_t)rand_below(5));
        if (one_in(odd_values))
            put_any(b, 0);
        else if (f->type == FT_MAPVEC)
            put_struct(b, f->sub);
        else if (rand_below(8) == 0)
            buf_add_byte(b, 0xc0);
        else if (f->type == FT_I64MAP)
            put_random_int(b, true);
        else
            put_random_text(b);
    }
}

static void put_element(struct buf *b, const struct field *f)
{
    if (one_in(odd_values))
        put_any(b, 0);
    else if (rand_below(16) == 0)
        buf_add_byte(b, 0xc0);
    else if (f->type == FT_VEC)
        put_struct(b, f->sub);
    else if (f->type == FT_STRVEC)
        put_random_text(b);
    else if (f->type == FT_U16VEC)
        mp_u64(b, rand_below(odd_values ? 70000 : 65536));
    else /* a row of a matrix */
        buf_add(b, "\x92\x01\xd0\x80", 4);
}

static void put_array(struct buf *b, const struct field *f)
{
    size_t n = (size_t)rand_below(4);

    put_count(b, n, 0x90, 15, 0xdc);
    for (; n > 0; n--)
        put_element(b, f);
}

static void put_time(struct buf *b)
{
    if (rand_below(8) == 0) /* with seconds in the offset, or none at all */
        put_text(b, "\x02\0\0\0\x0e\xd0\0\0\0\0\0\0\0\xff\xff\x07", 16);
    else
        mp_time(b, gotime_from_unix_ns((int64_t)rand_below(UINT64_C(1) << 61)));
}

static void put_value(struct buf *b, const struct field *f)
{
    if (one_in(odd_values)) {
        put_any(b, 0);
        return;
    }
    if (rand_below(12) == 0) {
        buf_add_byte(b, 0xc0);
        return;
    }
    switch (f->type) {
    case FT_BOOL:
    case FT_OPT_BOOL:
        buf_add_byte(b, (uint8_t)(rand_below(4) ? 0xc2 + rand_below(2) : rand_below(2)));
        break;
    case FT_I64:
    case FT_OPT_I64:
    case FT_U64:
        put_random_int(b, f->type != FT_U64);
        break;
    case FT_F64:
    case FT_OPT_F64:
        put_random_float(b);
        break;
    case FT_TIME:
        put_time(b);
        break;
    case FT_MAP:
    case FT_I64MAP:
    case FT_OPT_MAP:
    case FT_MAPVEC:
        put_map(b, f);
        break;
    case FT_STRVEC:
    case FT_U16VEC:
    case FT_MATRIX:
    case FT_VEC:
        put_array(b, f);
        break;
    case FT_STRUCT:
    case FT_PTR:
        put_struct(b, f->sub);
        break;
    case FT_RAW:
        put_any(b, 0);
        break;
    default:
        put_random_text(b);
    }
}

/* the rows of d and of what is flattened into it, in order, then disturbed */
static size_t choose(const struct desc *d, const struct field **ret, size_t n)
{
    for (size_t i = 0; i < d->n_fields; i++) {
        const struct field *f = &d->fields[i];

        if (f->type == FT_EMBED)
            n = choose(f->sub, ret, n);
        else if (rand_below(6) > 0 && n < ROWS)
            ret[n++] = f;
        if (one_in(8 * odd_names) && n > 0 && n < ROWS)
            ret[n] = ret[rand_below(n)], n++;
    }
    for (size_t i = 1; odd_names && rand_below(2) && i < n; i++) {
        size_t k = (size_t)rand_below(i + 1);
        const struct field *f = ret[i];

        ret[i] = ret[k];
        ret[k] = f;
    }
    return n;
}

static void put_name(struct buf *b, const char *name)
{
    char text[80];
    size_t n = strlen(name);

    memcpy(text, name, n + 1);
    if (one_in(20 * odd_names)) /* one more byte, a NUL perhaps, or one less */
        n += rand_below(2) ? 1 : (size_t)-1;
    put_text(b, text, n);
}

static void put_struct(struct buf *b, const struct desc *d)
{
    const struct field *rows[ROWS];
    size_t n = choose(d, rows, 0), unknown = one_in(odd_names) ? 1 + (size_t)rand_below(2) : 0;

    if (one_in(20 * odd_values)) { /* by position, what there is */
        put_count(b, MIN(n, d->n_fields), 0x90, 15, 0xdc);
        for (size_t i = 0; i < MIN(n, d->n_fields); i++)
            put_value(b, &d->fields[i]);
        return;
    }
    put_count(b, n + unknown, 0x80, 15, 0xde);
    for (size_t i = 0; i < n; i++) {
        if (unknown > 0 && rand_below(4) == 0) {
            put_name(b, "Unknown");
            put_any(b, 0);
            unknown--;
        }
        put_name(b, rows[i]->name);
        put_value(b, rows[i]);
    }
    for (; unknown > 0; unknown--) {
        put_random_text(b);
        put_any(b, 0);
    }
}

/* --- the comparison --- */

/* what js_from_packed() takes is what the decoder takes, and comes out the same */
static bool compare_json(const struct desc *d, const void *p, size_t n, const void *obj,
                         int decoded)
{
    unsigned opts = rand_below(2) ? JS_SECRETS : 0;
    _cleanup_buf_ struct buf direct = BUF_INIT(OUT_MAX), want = BUF_INIT(OUT_MAX);
    int r = js_from_packed(&direct, d, p, n, opts);

    assert_true(r == 0 || r == -EBADMSG);
    if (r < 0)
        return false;
    if (decoded == -EMSGSIZE) /* the decoder's own ceiling on memory */
        return false;
    if (decoded < 0)
        fail_msg("%s: taken, though the decoder says %d", d->name, decoded);
    js_encode(&want, d, obj, opts);
    assert_string_equal(buf_str(&direct), buf_str(&want));
    assert_int_equal(direct.len, want.len);
    return true;
}

/* what mp_check() takes the decoder takes, and each row's value stands where it says */
static bool compare_check(const struct desc *d, const void *p, size_t n, const void *obj,
                          int decoded)
{
    _cleanup_free_ struct mp_in *values = xcalloc(d->n_fields, sizeof(*values));
    _cleanup_free_ void *again = xcalloc(1, d->size);
    _cleanup_buf_ struct buf b = BUF_INIT(OUT_MAX);
    struct err e = {0};
    size_t rows = 0;

    if (mp_check(d, p, n, values) < 0)
        return false;
    if (decoded < 0)
        fail_msg("%s: seen as good, though the decoder says %d", d->name, decoded);
    for (size_t i = 0; i < d->n_fields; i++)
        rows += values[i].p != NULL;
    mp_map(&b, rows);
    for (size_t i = 0; i < d->n_fields; i++) {
        struct mp_in at = values[i];

        if (!at.p)
            continue;
        assert_int_equal(mp_skip(&at), 0);
        mp_str(&b, d->fields[i].name);
        buf_add(&b, values[i].p, (size_t)(at.p - values[i].p));
    }
    assert_int_equal(mp_decode(d, b.p, b.len, again, &e), 0);
    assert_true(ops_equal(d, obj, again));
    ops_clear(d, again);
    return true;
}

static void compare(const struct desc *d, const void *p, size_t n, struct tally *tally)
{
    _cleanup_free_ void *obj = xcalloc(1, d->size);
    struct err e = {0};
    int decoded = mp_decode(d, p, n, obj, &e);

    tally->decoded += decoded == 0;
    tally->taken += compare_json(d, p, n, obj, decoded);
    tally->checked += compare_check(d, p, n, obj, decoded);
    ops_clear(d, obj);
}

/* --- tests --- */

static void names_of_samples(char ***ret, size_t *n)
{
    static const char *const dirs[] = {"1.0.18", "1.10.5", "2.0.5"};

    for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
        _cleanup_free_ char *path = xasprintf("tests/data/msgpack/%s", dirs[i]);
        DIR *dir = opendir(path);

        assert_non_null(dir);
        for (const struct dirent *at; (at = readdir(dir));) {
            _cleanup_free_ char *name = xasprintf("msgpack/%s/%s", dirs[i], at->d_name);

            if (at->d_name[0] != '.')
                strv_add(ret, n, name);
        }
        (void)closedir(dir);
    }
}

static void test_every_recorded_sample_as_every_table(void **state)
{
    static const char *const parts[] = {"Node", "Nodes", "Reply", "Members"};
    char **names = NULL;
    size_t n_names = 0;
    struct tally tally = {0};

    (void)state;
    names_of_samples(&names, &n_names);
    assert_true(n_names > 60);
    for (size_t i = 0; i < n_names; i++) {
        size_t n, len;
        _cleanup_free_ char *body = data_read(names[i], &n);

        for (size_t k = 0; k < ARRAY_LEN(all_descs); k++) {
            compare(all_descs[k].d, body, n, &tally);
            for (size_t j = 0; j < ARRAY_LEN(parts); j++) {
                const uint8_t *part;

                if (mp_map_find(body, n, parts[j], &part, &len) == 0)
                    compare(all_descs[k].d, part, len, &tally);
            }
        }
    }
    assert_true(tally.taken > 60 && tally.checked > 60);
    strv_done(&names, &n_names);
}

static void random_rounds(unsigned values, unsigned names, struct tally *ret)
{
    const char *many = getenv("PACKED_ROUNDS");
    uint64_t rounds = ROUNDS;

    if (many && parse_u64(many, &rounds) < 0)
        rounds = ROUNDS;
    odd_values = values;
    odd_names = names;
    rand_seed(11 + values);
    for (uint64_t i = 0; i < rounds; i++) {
        for (size_t k = 0; k < ARRAY_LEN(all_descs); k++) {
            _cleanup_buf_ struct buf b = BUF_INIT(OUT_MAX);

            put_struct(&b, all_descs[k].d);
            assert_int_equal(buf_ok(&b), 0);
            compare(all_descs[k].d, b.p, b.len, ret);
            if (b.len > 0) /* the same cut short, and with something behind it */
                compare(all_descs[k].d, b.p, (size_t)rand_below(b.len), ret);
            buf_add_byte(&b, 0xc0);
            compare(all_descs[k].d, b.p, b.len, ret);
        }
    }
    rand_seed(0);
}

static void test_random_objects_with_odd_values(void **state)
{
    struct tally tally = {0};

    (void)state;
    random_rounds(0, 0, &tally); /* only widths of numbers and lengths vary */
    random_rounds(0, 1, &tally); /* and the order of names */
    random_rounds(0, 8, &tally);
    random_rounds(200, 8, &tally); /* now and then a value that does not fit */
    random_rounds(10, 4, &tally);
    /* else nothing was compared */
    assert_true(tally.decoded > 5 * ARRAY_LEN(all_descs));
    assert_true(tally.taken * 3 > tally.decoded);
    assert_true(tally.checked * 4 > tally.decoded);
}

static unsigned depth_of(const struct desc *d, unsigned above)
{
    unsigned deepest = above + 1;

    assert_true(above < MP_DEPTH_MAX); /* a table that stands in itself would have no end */
    for (size_t i = 0; i < d->n_fields; i++)
        if (d->fields[i].sub)
            deepest = MAX(deepest, depth_of(d->fields[i].sub, above + 1));
    return deepest;
}

/* js_from_packed() looks at what is out of order once per level: how many there are is its factor
 */
static void test_tables_stand_in_each_other_a_few_levels_deep(void **state)
{
    (void)state;
    for (size_t k = 0; k < ARRAY_LEN(all_descs); k++)
        assert_true(depth_of(all_descs[k].d, 0) <= 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_recorded_sample_as_every_table),
        cmocka_unit_test(test_random_objects_with_odd_values),
        cmocka_unit_test(test_tables_stand_in_each_other_a_few_levels_deep),
    };

    return cmocka_run_group_tests_name("model/packed_random", tests, NULL, NULL);
}
