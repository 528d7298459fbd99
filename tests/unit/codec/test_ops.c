/* Copy, equality, difference, clearing; arrays in key order. */
#include "codec/ops.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/codec/sample.h"

static void clear(struct sample *s)
{
    ops_clear(&desc_sample, s);
}
#define _cleanup_sample_ _cleanup_(clear)

static void test_copy_is_equal_and_independent(void **state)
{
    _cleanup_sample_ struct sample a, b = {0};

    (void)state;
    sample_fill(&a);
    a.old = xstrdup("o");
    a.hidden = xstrdup("h");
    a.local = xstrdup("l");
    ops_copy(&desc_sample, &b, &a);
    assert_true(ops_equal(&desc_sample, &a, &b));
    assert_ptr_not_equal(a.s, b.s);
    assert_ptr_not_equal(a.rows[0].v, b.rows[0].v);
    assert_ptr_not_equal(a.keyed[0].key, b.keyed[0].key);
    a.words[0][0] = 'X';
    assert_false(ops_equal(&desc_sample, &a, &b));
    assert_string_equal(b.words[0], "w1");
}

static void test_copy_keeps_nil_and_empty_apart(void **state)
{
    _cleanup_sample_ struct sample a = {0}, b = {0};

    (void)state;
    a.words = xnew0(char *);
    a.keyed = xnew0(struct keyed);
    a.numbers.items = xnew0(struct i64pair);
    a.bytes.p = xcalloc(1, 1);
    ops_copy(&desc_sample, &b, &a);
    assert_non_null(b.words);
    assert_non_null(b.keyed);
    assert_non_null(b.numbers.items);
    assert_non_null(b.bytes.p);
    assert_null(b.vec);
    assert_null(b.map.items);
    assert_null(b.opts.items);
}

static void test_copied_arrays_can_grow(void **state)
{
    (void)state;
    for (size_t n = 1; n <= 9; n++) {
        _cleanup_sample_ struct sample a = {0}, b = {0};

        for (size_t i = 0; i < n; i++)
            (void)vec_add(&a.vec, &a.n_vec);
        ops_copy(&desc_sample, &b, &a);
        for (size_t i = 0; i < 9; i++)
            (void)vec_add(&b.vec, &b.n_vec);
        assert_int_equal(b.n_vec, n + 9);
    }
}

static void test_clear_zeroes(void **state)
{
    struct sample s;
    static const struct sample zero;

    (void)state;
    sample_fill(&s);
    ops_clear(&desc_sample, &s);
    assert_memory_equal(&s, &zero, sizeof(s));
    ops_clear(&desc_sample, &s); /* again is harmless */
}

/* each field changed alone makes the difference, and is named */
static void change(struct sample *s, const struct field *f)
{
    void *at = field_at(f, s);

    switch (f->type) {
    case FT_BOOL:
        *(bool *)at ^= true;
        break;
    case FT_I64:
    case FT_U64:
        ++*(uint64_t *)at;
        break;
    case FT_F64:
        *(double *)at += 1;
        break;
    case FT_TIME:
        ((struct gotime *)at)->nsec++;
        break;
    case FT_BYTES:
    case FT_U8LIST:
    case FT_RAW:
        ((struct bytes *)at)->p[0] ^= 1;
        break;
    case FT_MAP:
        strmap_set(at, "b", "changed");
        break;
    case FT_I64MAP:
        ((struct i64map *)at)->items[1].value++;
        break;
    case FT_OPT_MAP:
        ((struct optmap *)at)->items[0].value = xstrdup("");
        break;
    case FT_STRVEC:
        s->words[1][0] = 0;
        str_set(&s->words[2], "other");
        break;
    case FT_U16VEC:
        s->cores[1]--;
        break;
    case FT_MATRIX:
        s->rows[0].v[1]++;
        break;
    case FT_OPT_I64:
        ++*s->oi;
        break;
    case FT_OPT_F64:
        *s->of += 1;
        break;
    case FT_OPT_BOOL:
        *s->ob ^= true;
        break;
    case FT_STRUCT:
        s->inner.number++;
        break;
    case FT_PTR:
        s->ptr->number++;
        break;
    case FT_VEC:
        s->vec[1].number++;
        break;
    case FT_MAPVEC:
        s->keyed[1].key[0]++;
        break;
    default:
        str_set(at, "other");
    }
}

static void test_equal_and_diff_see_every_field(void **state)
{
    (void)state;
    for (size_t i = 0; i < desc_sample.n_fields; i++) {
        const struct field *f = &desc_sample.fields[i];
        _cleanup_sample_ struct sample a, b;
        const char *name = NULL;

        if (f->type == FT_EMBED)
            continue;
        sample_fill(&a);
        sample_fill(&b);
        change(&b, f);
        assert_false(ops_field_equal(f, &a, &b));
        assert_false(ops_equal(&desc_sample, &a, &b));
        assert_int_equal(ops_diff(&desc_sample, &a, &b, &name, 1), 1);
        assert_string_equal(name, f->name);
    }
}

static void test_diff_counts_beyond_its_room(void **state)
{
    struct sample a = {0}, b = {.flag = true, .i = 1, .e = {.index = 5}};
    const char *names[3] = {NULL};

    (void)state;
    assert_int_equal(ops_diff(&desc_sample, &a, &b, names, 3), 3);
    assert_string_equal(names[0], "Flag");
    assert_string_equal(names[1], "Int");
    assert_string_equal(names[2], "Index"); /* of the embedded struct */
    names[1] = NULL;
    assert_int_equal(ops_diff(&desc_sample, &a, &b, names, 1), 3);
    assert_null(names[1]);
    assert_int_equal(ops_diff(&desc_sample, &a, &b, NULL, 0), 3);
}

static void test_equal_takes_nil_for_empty_but_not_for_opt(void **state)
{
    _cleanup_sample_ struct sample a = {0}, b = {0};

    (void)state;
    strmap_make(&a.map);
    a.words = xnew0(char *);
    a.s = xstrdup("");
    a.bytes.p = xcalloc(1, 1);
    assert_true(ops_equal(&desc_sample, &a, &b));
    a.os = xstrdup("");
    assert_false(ops_equal(&desc_sample, &a, &b));
    a.os = mem_free(a.os);
    a.oi = xnew0(int64_t);
    assert_false(ops_equal(&desc_sample, &a, &b));
}

static void test_equal_compares_instants_and_nan(void **state)
{
    struct sample a = {
        .f = NAN, .t = {.sec = 5, .offset_min = 60}
    };
    struct sample b = {.f = NAN, .t = {.sec = 5}};

    (void)state;
    assert_true(ops_equal(&desc_sample, &a, &b));
    b.f = 1;
    assert_false(ops_equal(&desc_sample, &a, &b));
}

static void test_empty_is_what_omitempty_leaves_out(void **state)
{
    struct sample zero = {0};
    _cleanup_sample_ struct sample full;

    (void)state;
    sample_fill(&full);
    for (size_t i = 0; i < desc_sample.n_fields; i++) {
        const struct field *f = &desc_sample.fields[i];

        assert_true(ops_field_empty(f, &zero));
        if (strcmp(f->name, "Old") != 0 && strcmp(f->name, "Local") != 0 &&
            strcmp(f->name, "Hidden") != 0)
            assert_false(ops_field_empty(f, &full));
    }
}

static void test_desc_find_finds_rows_by_name(void **state)
{
    (void)state;
    for (size_t i = 0; i + 1 < desc_sample.n_fields; i++)
        assert_ptr_equal(desc_find(&desc_sample, desc_sample.fields[i].name),
                         &desc_sample.fields[i]);
    assert_null(desc_find(&desc_sample, "AuthToken")); /* of the embedded struct */
    assert_null(desc_find(&desc_sample, ""));
    assert_null(desc_find(&desc_sample, "flag"));
    assert_null(desc_find(&desc_sample, "Zzz"));
}

static void test_desc_rows_are_sorted_over_embedded_structs(void **state)
{
    struct sample s = {0};
    struct desc_row rows[DESC_ROWS_MAX];
    size_t n = desc_rows(&desc_sample, &s, rows);

    (void)state;
    assert_int_equal(n, desc_sample.n_fields - 1 + 2);
    assert_string_equal(rows[0].f->name, "AuthToken");
    assert_ptr_equal(rows[0].obj, &s.e);
    assert_int_equal(rows[0].flags, F_SECRET);
    for (size_t i = 1; i < n; i++)
        assert_true(strcmp(rows[i - 1].f->name, rows[i].f->name) < 0);
}

static void test_keyed_add_and_find_keep_the_order(void **state)
{
    _cleanup_sample_ struct sample s = {0};
    char key[8];

    (void)state;
    assert_null(ops_keyed_find(&desc_keyed, s.keyed, s.n_keyed, "a"));
    for (int i = 0; i < 100; i++) {
        (void)snprintf(key, sizeof(key), "k%02d", i * 37 % 100);
        sample_key(&s, key)->on = i % 2;
    }
    assert_int_equal(s.n_keyed, 100);
    for (size_t i = 1; i < s.n_keyed; i++)
        assert_true(strcmp(s.keyed[i - 1].key, s.keyed[i].key) < 0);
    assert_ptr_equal(sample_key(&s, "k50"), &s.keyed[50]); /* it is there already */
    assert_int_equal(s.n_keyed, 100);
    assert_ptr_equal(ops_keyed_find(&desc_keyed, s.keyed, s.n_keyed, "k99"), &s.keyed[99]);
    assert_null(ops_keyed_find(&desc_keyed, s.keyed, s.n_keyed, "k999"));
}

static void test_a_keyed_struct_alone_owns_its_key(void **state)
{
    struct keyed a = {.key = xstrdup("k"), .text = xstrdup("t")}, b = {0};

    (void)state;
    ops_copy(&desc_keyed, &b, &a);
    assert_string_equal(b.key, "k");
    assert_true(ops_equal(&desc_keyed, &a, &b));
    b.key[0] = 'x';
    assert_false(ops_equal(&desc_keyed, &a, &b));
    ops_clear(&desc_keyed, &a);
    ops_clear(&desc_keyed, &b);
    assert_null(a.key);
}

static void drop(void *item, const void *arg)
{
    struct strpair *pair = item;

    free(pair->key);
    ++*(size_t *)(uintptr_t)arg;
}

static void test_keyed_sort_keeps_the_last_of_doubles(void **state)
{
    enum { N = 1000 };
    struct strpair *items = xnew0_n(struct strpair, N);
    size_t n = N, dropped = 0;

    (void)state;
    for (size_t i = 0; i < N; i++)
        items[i] = (struct strpair){xasprintf("%zu", (i * 7) % 300), (char *)(uintptr_t)i};
    assert_int_equal(ops_keyed_sort(items, &n, sizeof(*items), drop, &dropped), 0);
    assert_int_equal(n, 300);
    assert_int_equal(dropped, 700);
    for (size_t i = 0; i < n; i++) {
        assert_true((uintptr_t)items[i].value >= 700); /* came in the last round */
        if (i > 0)
            assert_true(strcmp(items[i - 1].key, items[i].key) < 0);
    }
    for (size_t i = 0; i < n; i++)
        free(items[i].key);
    free(items);
}

static void test_keyed_sort_fails_without_harm(void **state)
{
    struct strpair items[2] = {
        {xstrdup("b"), NULL},
        {xstrdup("a"), NULL}
    };
    size_t n = 2;

    (void)state;
    for (size_t nth = 1; nth <= 2; nth++) {
        mem_torture(nth);
        assert_int_equal(ops_keyed_sort(items, &n, sizeof(*items), drop, NULL), -ENOMEM);
        mem_torture(0);
        assert_string_equal(items[0].key, "b");
    }
    free(items[0].key);
    free(items[1].key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_copy_is_equal_and_independent),
        cmocka_unit_test(test_copy_keeps_nil_and_empty_apart),
        cmocka_unit_test(test_copied_arrays_can_grow),
        cmocka_unit_test(test_clear_zeroes),
        cmocka_unit_test(test_equal_and_diff_see_every_field),
        cmocka_unit_test(test_diff_counts_beyond_its_room),
        cmocka_unit_test(test_equal_takes_nil_for_empty_but_not_for_opt),
        cmocka_unit_test(test_equal_compares_instants_and_nan),
        cmocka_unit_test(test_empty_is_what_omitempty_leaves_out),
        cmocka_unit_test(test_desc_find_finds_rows_by_name),
        cmocka_unit_test(test_desc_rows_are_sorted_over_embedded_structs),
        cmocka_unit_test(test_keyed_add_and_find_keep_the_order),
        cmocka_unit_test(test_a_keyed_struct_alone_owns_its_key),
        cmocka_unit_test(test_keyed_sort_keeps_the_last_of_doubles),
        cmocka_unit_test(test_keyed_sort_fails_without_harm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
