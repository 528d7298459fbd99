/* The rules that descriptor tables must keep, for every table of model/; and random objects of each
 * through all codecs. */
#include "codec/desc.h"

#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/rand.h"
#include "base/vec.h"
#include "codec/js.h"
#include "codec/mp.h"
#include "codec/ops.h"
#include "tests/support/mp_oracle.h"
#include "tests/unit/model/all_descs.h"

/* ---- the tables ---- */

static bool is_listed(const struct desc *d)
{
    for (size_t i = 0; i < ARRAY_LEN(all_descs); i++)
        if (all_descs[i].d == d)
            return true;
    return false;
}

static void test_every_sub_descriptor_is_in_the_list(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(all_descs); i++) {
        assert_int_equal(all_descs[i].d->size, all_descs[i].size);
        for (size_t k = 0; k < all_descs[i].d->n_fields; k++)
            if (all_descs[i].d->fields[k].sub && !is_listed(all_descs[i].d->fields[k].sub))
                fail_msg("%s is not in the list", all_descs[i].d->fields[k].sub->name);
    }
    for (int m = 0; m < M_MAX; m++) {
        assert_true(!methods[m].request || is_listed(methods[m].request));
        assert_true(!methods[m].reply || is_listed(methods[m].reply));
    }
}

static void test_rows_are_in_ascending_order_with_embedded_ones_last(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(all_descs); i++) {
        const struct desc *d = all_descs[i].d;

        for (size_t k = 1; k < d->n_fields; k++) {
            const struct field *a = &d->fields[k - 1], *b = &d->fields[k];

            if (b->type == FT_EMBED)
                continue;
            if (a->type == FT_EMBED || strcmp(a->name, b->name) >= 0)
                fail_msg("%s: %s stands behind %s", d->name, b->name, a->name);
        }
    }
}

static void test_names_are_unique_over_embedded_structs(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(all_descs); i++) {
        _cleanup_free_ void *obj = xcalloc(1, all_descs[i].d->size);
        struct desc_row rows[DESC_ROWS_MAX];
        size_t n = desc_rows(all_descs[i].d, obj, rows);

        assert_true(n > 0 && n < DESC_ROWS_MAX);
        for (size_t k = 1; k < n; k++)
            if (strcmp(rows[k - 1].f->name, rows[k].f->name) >= 0)
                fail_msg("%s: %s is there twice", all_descs[i].d->name, rows[k].f->name);
    }
}

/* bytes of the member itself */
static size_t member_size(const struct field *f)
{
    switch (f->type) {
    case FT_BOOL:
        return sizeof(bool);
    case FT_TIME:
        return sizeof(struct gotime);
    case FT_BYTES:
    case FT_U8LIST:
    case FT_RAW:
        return sizeof(struct bytes);
    case FT_MAP:
    case FT_I64MAP:
    case FT_OPT_MAP:
        return sizeof(struct strmap);
    case FT_STRUCT:
    case FT_EMBED:
        return f->sub->size;
    default:
        return 8;
    }
}

static bool has_count(const struct field *f)
{
    return f->type == FT_STRVEC || f->type == FT_U16VEC || f->type == FT_MATRIX ||
           f->type == FT_VEC || f->type == FT_MAPVEC;
}

/* notes that these bytes belong to a row */
static void use(const struct desc *d, uint8_t *used, size_t off, size_t n, const char *what)
{
    assert_true(off + n <= d->size);
    for (size_t at = off; at < off + n; at++)
        if (used[at]++)
            fail_msg("%s: %s has a byte of another row", d->name, what);
}

static void check_cover(const struct desc *d)
{
    _cleanup_free_ uint8_t *used = xcalloc(d->size, 1);

    if (d->flags & D_KEYED)
        use(d, used, 0, sizeof(char *), "key");
    for (size_t k = 0; k < d->n_fields; k++) {
        const struct field *f = &d->fields[k];

        use(d, used, f->off, member_size(f), f->name);
        if (has_count(f))
            use(d, used, f->off_n, sizeof(size_t), f->name);
    }
    /* padding behind bools is at most 7 bytes: longer gaps are members without a row */
    for (size_t at = 0, run = 0; at < d->size; at++) {
        run = used[at] ? 0 : run + 1;
        if (run > 7)
            fail_msg("%s: the bytes up to %zu have no row", d->name, at);
    }
}

static void test_members_cover_each_struct_without_overlap(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(all_descs); i++)
        check_cover(all_descs[i].d);
}

static void test_rows_have_what_their_kind_needs(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(all_descs); i++) {
        for (size_t k = 0; k < all_descs[i].d->n_fields; k++) {
            const struct field *f = &all_descs[i].d->fields[k];
            bool sub = f->type == FT_STRUCT || f->type == FT_PTR || f->type == FT_VEC ||
                       f->type == FT_MAPVEC || f->type == FT_EMBED;

            assert_true((f->sub != NULL) == sub);
            assert_true((f->type == FT_EMBED) == (f->name[0] == 0));
            if (f->type == FT_MAPVEC && f->sub && !(f->sub->flags & D_KEYED))
                fail_msg("%s: %s stands in a map but is not keyed", all_descs[i].d->name,
                         f->sub->name);
            if (f->flags & (F_DURATION | F_INT))
                assert_int_equal(f->type, FT_I64);
        }
    }
}

static void test_secrets_are_marked(void **state)
{
    static const char *const secret[] = {"AuthToken", "SecretID", "SignedIdentity",
                                         "MigrateTokens"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(all_descs); i++)
        for (size_t k = 0; k < all_descs[i].d->n_fields; k++)
            for (size_t s = 0; s < ARRAY_LEN(secret); s++)
                if (strcmp(all_descs[i].d->fields[k].name, secret[s]) == 0)
                    assert_true(all_descs[i].d->fields[k].flags & F_SECRET);
}

/* ---- random objects ---- */

static void fill(const struct desc *d, void *obj);

static char *random_text(void)
{
    static const char *const words[] = {"",
                                        "a",
                                        "linux",
                                        "\xc3\xa9t\xc3\xa9",
                                        "with \"quotes\"\n",
                                        "a string of more than thirty-one bytes, so str16"};

    return xstrdup(words[rand_below(ARRAY_LEN(words))]);
}

static int64_t random_i64(void)
{
    return (int64_t)(rand_below(UINT64_MAX) >> rand_below(64)) * (rand_below(2) ? 1 : -1);
}

static void fill_bytes(struct bytes *b)
{
    uint8_t p[8];

    for (size_t i = 0; i < sizeof(p); i++)
        p[i] = (uint8_t)rand_below(256);
    b->n = rand_below(sizeof(p));
    b->p = xmemdup(p, b->n);
}

static void fill_map(void *at, enum field_type type)
{
    struct strmap *m = at; /* i64map and optmap look alike */

    strmap_make(m);
    for (size_t n = rand_below(5); n > 0; n--) {
        _cleanup_free_ char *key = xasprintf("k%d", (int)rand_below(100)), *value = random_text();

        strmap_set(m, key, value);
    }
    for (size_t i = 0; i < m->n; i++) {
        if (type == FT_I64MAP) {
            free(m->items[i].value);
            ((struct i64map *)at)->items[i].value = random_i64();
        } else if (type == FT_OPT_MAP && rand_below(2)) {
            m->items[i].value = mem_free(m->items[i].value);
        }
    }
}

static void fill_array(const struct field *f, void *obj)
{
    void *at = field_at(f, obj);
    size_t *n = (size_t *)((char *)obj + f->off_n), want = rand_below(4);
    char key[16];

    while (*n < want) {
        if (f->type == FT_STRVEC) {
            *vec_add((char ***)at, n) = random_text();
        } else if (f->type == FT_U16VEC) {
            *vec_add((uint16_t **)at, n) = (uint16_t)rand_below(65536);
        } else if (f->type == FT_MATRIX) {
            struct int_row *row = vec_add((struct int_row **)at, n);

            *vec_add(&row->v, &row->n) = random_i64();
        } else if (f->type == FT_VEC) {
            fill(f->sub, vec_grow_(at, n, f->sub->size));
        } else {
            size_t before = *n;
            void *item;

            (void)snprintf(key, sizeof(key), "key%d", (int)rand_below(1000));
            item = ops_keyed_add(f->sub, at, n, key);
            if (*n > before)
                fill(f->sub, item);
        }
    }
}

static void fill_opt(const struct field *f, void *at)
{
    void *p;

    if (rand_below(3) == 0)
        return;
    switch (f->type) {
    case FT_OPT_STR:
        p = random_text();
        break;
    case FT_OPT_BOOL:
        p = xcalloc(1, sizeof(bool));
        *(bool *)p = rand_below(2);
        break;
    case FT_PTR:
        p = xcalloc(1, f->sub->size);
        fill(f->sub, p);
        break;
    default:
        p = xcalloc(1, 8);
        if (f->type == FT_OPT_F64)
            *(double *)p = (double)random_i64() / 1024;
        else
            *(int64_t *)p = random_i64();
    }
    memcpy(at, &p, sizeof(p));
}

static void fill_field(const struct field *f, void *obj)
{
    void *at = field_at(f, obj);

    switch (f->type) {
    case FT_BOOL:
        *(bool *)at = rand_below(2);
        break;
    case FT_I64:
    case FT_U64:
        *(int64_t *)at = random_i64();
        break;
    case FT_F64:
        *(double *)at = (double)random_i64() / 1024;
        break;
    case FT_STR: {
        char *s = random_text();

        memcpy(at, &s, sizeof(s));
        break;
    }
    case FT_TIME:
        *(struct gotime *)at = gotime_from_unix_ns((int64_t)rand_below(1u << 30) * 1000000001);
        break;
    case FT_BYTES:
    case FT_U8LIST:
        fill_bytes(at);
        break;
    case FT_RAW:
        *(struct bytes *)at = (struct bytes){xmemdup("\x92\xa1x\x81\xa1k\xc0", 7), 7};
        break;
    case FT_MAP:
    case FT_I64MAP:
    case FT_OPT_MAP:
        fill_map(at, f->type);
        break;
    case FT_STRUCT:
    case FT_EMBED:
        fill(f->sub, at);
        break;
    default:
        if (has_count(f))
            fill_array(f, obj);
        else
            fill_opt(f, at);
    }
}

static void fill(const struct desc *d, void *obj)
{
    for (size_t i = 0; i < d->n_fields; i++)
        if (rand_below(5) > 0)
            fill_field(&d->fields[i], obj);
}

static bool has_raw(const struct desc *d)
{
    for (size_t i = 0; i < d->n_fields; i++)
        if (d->fields[i].type == FT_RAW || (d->fields[i].sub && has_raw(d->fields[i].sub)))
            return true;
    return false;
}

/* fields that do not travel one of the ways */
static void drop_one_way(const struct desc *d, void *obj, unsigned flags)
{
    for (size_t i = 0; i < d->n_fields; i++) {
        const struct field *f = &d->fields[i];

        if (f->flags & flags)
            ops_clear_field(f, obj);
        else if (f->type == FT_STRUCT || f->type == FT_EMBED)
            drop_one_way(f->sub, field_at(f, obj), flags);
        else if (f->type == FT_PTR && *(void **)field_at(f, obj))
            drop_one_way(f->sub, *(void **)field_at(f, obj), flags);
        else if (f->type == FT_VEC || f->type == FT_MAPVEC)
            for (size_t k = 0; k < field_count(f, obj); k++)
                drop_one_way(f->sub, *(char **)field_at(f, obj) + k * f->sub->size, flags);
    }
}

static void check_random(const struct desc *d)
{
    _cleanup_free_ char *a = xcalloc(1, d->size), *b = xcalloc(1, d->size);
    _cleanup_free_ char *c = xcalloc(1, d->size);
    _cleanup_buf_ struct buf mp = BUF_INIT(1 << 20), js = BUF_INIT(1 << 20),
                             js2 = BUF_INIT(1 << 20);
    _cleanup_buf_ struct buf direct = BUF_INIT(1 << 20);
    struct err e = {0};

    fill(d, a);
    drop_one_way(d, a, F_RECV);
    ops_copy(d, b, a);
    assert_true(ops_equal(d, a, b));
    ops_clear(d, b);
    mp_encode(&mp, d, a);
    assert_int_equal(buf_ok(&mp), 0);
    assert_true(mp_oracle_valid(mp.p, mp.len));
    if (mp_decode(d, mp.p, mp.len, b, &e) < 0)
        fail_msg("%s: %s", d->name, e.text);
    assert_true(ops_equal(d, a, b));
    js_encode(&js, d, a, JS_SECRETS);
    if (js_from_packed(&direct, d, mp.p, mp.len, JS_SECRETS) == 0)
        assert_string_equal(buf_str(&direct), buf_str(&js));
    else
        assert_ptr_not_equal(d, &desc_node); /* made for it; requests and replies may be refused */
    if (!has_raw(d)) {                       /* packed objects have no way back from JSON */
        if (js_decode(d, buf_str(&js), js.len, c, &e) < 0)
            fail_msg("%s: %s", d->name, e.text);
        js_encode(&js2, d, c, JS_SECRETS);
        assert_string_equal(buf_str(&js), buf_str(&js2));
        drop_one_way(d, a, F_NO_JSON);
        assert_true(ops_equal(d, a, c));
    }
    ops_clear(d, a);
    ops_clear(d, b);
    ops_clear(d, c);
}

static void test_random_objects_go_through_all_codecs(void **state)
{
    (void)state;
    rand_seed(7);
    for (int round = 0; round < 40; round++)
        for (size_t i = 0; i < ARRAY_LEN(all_descs); i++)
            check_random(all_descs[i].d);
    rand_seed(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_sub_descriptor_is_in_the_list),
        cmocka_unit_test(test_rows_are_in_ascending_order_with_embedded_ones_last),
        cmocka_unit_test(test_names_are_unique_over_embedded_structs),
        cmocka_unit_test(test_members_cover_each_struct_without_overlap),
        cmocka_unit_test(test_rows_have_what_their_kind_needs),
        cmocka_unit_test(test_secrets_are_marked),
        cmocka_unit_test(test_random_objects_go_through_all_codecs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
