#include "agent/flap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/limits.h"
#include "base/str.h"
#include "codec/ops.h"

#define SEC NSEC_PER_SEC

struct fixture {
    struct flap *flap;
    uint64_t now_ns;
    char **begun;
    size_t n_begun;
};

static int setup(void **state)
{
    struct fixture *f = xnew0(struct fixture);

    f->flap = flap_new();
    f->now_ns = 1000 * SEC;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    f->flap = flap_free(f->flap);
    strv_done(&f->begun, &f->n_begun);
    free(f);
    return 0;
}

static struct node *node_with(const char *key, const char *value)
{
    struct node *n = node_new();

    strmap_set(&n->attributes, "kernel.name", "linux");
    strmap_set(&n->attributes, key, value);
    return n;
}

static void on_begun(void *arg, const char *fact)
{
    struct fixture *f = arg;

    strv_add(&f->begun, &f->n_begun, fact);
}

/* an attribute goes from one value to another one */
static void change(struct fixture *f, const char *key)
{
    struct node *a = node_with(key, "a"), *b = node_with(key, "b");

    flap_note(f->flap, a, b, f->now_ns, on_begun, f);
    (void)node_free(a);
    (void)node_free(b);
}

static size_t n_flapping(const struct fixture *f)
{
    char **v;
    size_t n, count;

    flap_names(f->flap, f->now_ns, &v, &n);
    count = n;
    strv_done(&v, &n);
    return count;
}

static void test_three_changes_within_five_minutes(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *text = NULL;

    for (int i = 0; i < 2; i++) {
        change(f, "os.version");
        f->now_ns += 140 * SEC;
    }
    assert_int_equal(n_flapping(f), 0);
    assert_null(flap_text(f->flap, f->now_ns));
    change(f, "os.version");
    assert_int_equal(n_flapping(f), 1);
    assert_int_equal(f->n_begun, 1);
    assert_string_equal(f->begun[0], "Attributes.os.version");
    text = flap_text(f->flap, f->now_ns);
    assert_string_equal(text, "Attributes.os.version");
    change(f, "os.version"); /* at the same instant: the same change */
    f->now_ns += 10 * SEC;
    change(f, "os.version");
    assert_int_equal(f->n_begun, 1); /* said once */
}

static void test_three_changes_in_more_than_five_minutes_are_none(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 20; i++) {
        change(f, "os.version");
        f->now_ns += 151 * SEC;
    }
    assert_int_equal(n_flapping(f), 0);
    assert_int_equal(f->n_begun, 0);
}

static void test_flapping_ends_when_it_stayed_still_for_five_minutes(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 3; i++)
        change(f, "os.version"), f->now_ns += SEC;
    f->now_ns += 200 * SEC;
    change(f, "os.version"); /* alone, but within the time */
    f->now_ns += 299 * SEC;
    assert_int_equal(n_flapping(f), 1);
    f->now_ns += SEC;
    assert_int_equal(n_flapping(f), 0);
    change(f, "os.version"); /* the count begins anew */
    assert_int_equal(n_flapping(f), 0);
    f->now_ns += SEC;
    change(f, "os.version");
    f->now_ns += SEC;
    change(f, "os.version");
    assert_int_equal(f->n_begun, 2);
}

static void test_whether_only_flapping_facts_differ(void **state)
{
    struct fixture *f = *state;
    struct node *sent = node_with("os.version", "a"), *wanted = node_with("os.version", "b");

    assert_false(flap_only(f->flap, sent, wanted, f->now_ns));
    for (int i = 0; i < 3; i++)
        change(f, "os.version"), f->now_ns += SEC;
    assert_true(flap_only(f->flap, sent, wanted, f->now_ns));
    assert_false(flap_only(f->flap, sent, sent, f->now_ns)); /* nothing differs */
    strmap_set(&wanted->attributes, "kernel.version", "6.2");
    assert_false(flap_only(f->flap, sent, wanted, f->now_ns));
    f->now_ns += 301 * SEC;
    strmap_set(&sent->attributes, "kernel.version", "6.2");
    assert_false(flap_only(f->flap, sent, wanted, f->now_ns));
    (void)node_free(sent);
    (void)node_free(wanted);
}

static void test_what_comes_up_first_has_not_changed(void **state)
{
    struct fixture *f = *state;
    struct node *a = node_new(), *b = node_with("os.version", "a");

    (void)ops_keyed_add(&desc_driver_info, &b->drivers, &b->n_drivers, "docker");
    (void)ops_keyed_add(&desc_host_volume, &b->host_volumes, &b->n_host_volumes, "data");
    for (int i = 0; i < 4; i++) { /* up, away, back, away: the last three count */
        assert_int_equal(f->n_begun, 0);
        flap_note(f->flap, i % 2 ? b : a, i % 2 ? a : b, f->now_ns, on_begun, f);
        f->now_ns += SEC;
    }
    assert_int_equal(f->n_begun, 4);
    (void)node_free(a);
    (void)node_free(b);
}

static void test_metadata_of_an_operator_never_flaps(void **state)
{
    struct fixture *f = *state;
    struct node *a = node_new(), *b = node_new();

    strmap_set(&b->meta, "rack", "r1");
    for (int i = 0; i < 10; i++) {
        flap_note(f->flap, i % 2 ? a : b, i % 2 ? b : a, f->now_ns, on_begun, f);
        f->now_ns += SEC;
    }
    assert_int_equal(n_flapping(f), 0);
    (void)node_free(a);
    (void)node_free(b);
}

static void test_a_driver_is_one_fact(void **state)
{
    struct fixture *f = *state;
    struct node *a = node_new(), *b = node_new();
    struct driver_info *d;

    strmap_set(&a->attributes, "driver.docker", "0");
    for (int i = 0; i < 2; i++) {
        d = ops_keyed_add(&desc_driver_info, i ? &b->drivers : &a->drivers,
                          i ? &b->n_drivers : &a->n_drivers, "docker");
        d->healthy = i;
    }
    strmap_set(&b->attributes, "driver.docker", "1");
    strmap_set(&b->attributes, "driver.docker.version", "24");
    for (int i = 0; i < 3; i++) {
        flap_note(f->flap, i % 2 ? a : b, i % 2 ? b : a, f->now_ns, on_begun, f);
        f->now_ns += SEC;
    }
    assert_int_equal(f->n_begun, 1);
    assert_string_equal(f->begun[0], "Drivers.docker");
    assert_true(flap_only(f->flap, a, b, f->now_ns));
    (void)node_free(a);
    (void)node_free(b);
}

static void test_names_are_sorted_and_long_lists_cut(void **state)
{
    static const char *const keys[] = {"d", "b", "c", "a"};
    struct fixture *f = *state;
    _cleanup_free_ char *text = NULL;
    char **v;
    size_t n;

    for (int i = 0; i < 3; i++) {
        for (size_t k = 0; k < ARRAY_LEN(keys); k++)
            change(f, keys[k]);
        f->now_ns += SEC;
    }
    flap_names(f->flap, f->now_ns, &v, &n);
    assert_int_equal(n, 4);
    assert_string_equal(v[0], "Attributes.a");
    assert_string_equal(v[3], "Attributes.d");
    strv_done(&v, &n);
    text = flap_text(f->flap, f->now_ns);
    assert_string_equal(text, "Attributes.a, Attributes.b, Attributes.c and 1 more");
}

static void test_more_facts_than_are_watched_are_never_held_back(void **state)
{
    struct fixture *f = *state;
    struct node *a = node_with("x.999", "a"), *b = node_with("x.999", "b");

    for (int i = 0; i < 3; i++) {
        for (int k = 0; k < 1000; k++) {
            _cleanup_free_ char *key = xasprintf("x.%03d", k);

            change(f, key);
        }
        f->now_ns += SEC;
    }
    assert_int_equal(n_flapping(f), FLAPPING_MAX);
    assert_false(flap_only(f->flap, a, b, f->now_ns));
    (void)node_free(a);
    (void)node_free(b);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_three_changes_within_five_minutes),
        TEST(test_three_changes_in_more_than_five_minutes_are_none),
        TEST(test_flapping_ends_when_it_stayed_still_for_five_minutes),
        TEST(test_whether_only_flapping_facts_differ),
        TEST(test_what_comes_up_first_has_not_changed),
        TEST(test_metadata_of_an_operator_never_flaps),
        TEST(test_a_driver_is_one_fact),
        TEST(test_names_are_sorted_and_long_lists_cut),
        TEST(test_more_facts_than_are_watched_are_never_held_back),
    };

    return cmocka_run_group_tests_name("agent/flap", tests, NULL, NULL);
}
