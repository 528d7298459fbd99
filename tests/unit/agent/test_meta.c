/* Metadata set at run time: what lies over what, keys, limits, restarts. */
#include "agent/meta.h"

#include "agent/merge.h"
#include "base/limits.h"
#include "tests/unit/agent/fixture.h"

struct bed {
    struct fixture *f;
    struct meta *meta;
    unsigned changes;
};

static void on_change(void *arg)
{
    ((struct bed *)arg)->changes++;
}

static void open_meta(struct bed *b)
{
    struct err e;

    assert_int_equal(journal_open(b->f->loop, b->f->dir, NODE_ID, &b->f->journal, &e), 0);
    b->meta = meta_new(&(struct meta_opts){
        .conf = &b->f->conf, .journal = b->f->journal, .on_change = on_change, .arg = b});
}

static void close_meta(struct bed *b)
{
    b->meta = meta_free(b->meta);
    b->f->journal = journal_free(b->f->journal);
}

static int setup(void **state)
{
    struct bed *b = xnew0(struct bed);
    void *fixture = NULL;

    assert_int_equal(fixture_setup(&fixture), 0);
    if (!fixture)
        return -1;
    b->f = fixture;
    strmap_set(&b->f->conf.client.meta, "rack", "r1");
    strmap_set(&b->f->conf.client.meta, "zone", "z");
    open_meta(b);
    *state = b;
    return 0;
}

static int teardown(void **state)
{
    struct bed *b = *state;
    void *fixture = b->f;

    close_meta(b);
    strmap_done(&b->f->conf.client.meta);
    remove_file(b->f->dir, "picket-meta.mp");
    free(b);
    return fixture_teardown(&fixture);
}

static int apply(struct bed *b, const char *key, const char *value, struct err *e)
{
    struct optpair p = {(char *)(uintptr_t)key, (char *)(uintptr_t)value};

    return meta_apply(b->meta, &(struct optmap){&p, 1}, e);
}

static void must_apply(struct bed *b, const char *key, const char *value)
{
    struct err e = {0};

    if (apply(b, key, value, &e) < 0)
        fail_msg("%s: %s", key, e.text);
}

static const char *merged(const struct bed *b, const char *key)
{
    return strmap_get(meta_merged(b->meta), key);
}

/* whether a dynamic entry is there, and its value */
static bool dynamic(const struct bed *b, const char *key, const char **ret)
{
    const struct optmap *m = meta_dynamic(b->meta);

    for (size_t i = 0; i < m->n; i++) {
        if (!str_eq(m->items[i].key, key))
            continue;
        *ret = m->items[i].value;
        return true;
    }
    return false;
}

static void test_static_part_has_nomads_defaults(void **state)
{
    struct bed *b = *state;

    assert_string_equal(strmap_get(meta_static(b->meta), "rack"), "r1");
    assert_string_equal(strmap_get(meta_static(b->meta), "connect.log_level"), "info");
    assert_int_equal(meta_dynamic(b->meta)->n, 0);
    assert_true(strmap_equal(meta_static(b->meta), meta_merged(b->meta)));
}

static void test_dynamic_entries_lie_over_static_ones(void **state)
{
    struct bed *b = *state;

    must_apply(b, "rack", "r2");
    must_apply(b, "new", "1");
    assert_string_equal(merged(b, "rack"), "r2");
    assert_string_equal(merged(b, "new"), "1");
    assert_string_equal(strmap_get(meta_static(b->meta), "rack"), "r1");
    must_apply(b, "rack", NULL);
    assert_null(merged(b, "rack"));
    must_apply(b, "rack", "r3");
    assert_string_equal(merged(b, "rack"), "r3");
}

static void test_null_stays_only_where_it_hides_something(void **state)
{
    struct bed *b = *state;
    const char *value = "";

    must_apply(b, "zone", NULL);
    assert_true(dynamic(b, "zone", &value));
    assert_null(value);
    must_apply(b, "new", "1");
    must_apply(b, "new", NULL);
    assert_false(dynamic(b, "new", &value));
    must_apply(b, "never.there", NULL);
    assert_false(dynamic(b, "never.there", &value));
}

static void test_owner_hears_of_real_changes_only(void **state)
{
    struct bed *b = *state;

    must_apply(b, "rack", "r1"); /* as it is */
    must_apply(b, "never", NULL);
    assert_int_equal(b->changes, 0);
    must_apply(b, "rack", "r2");
    assert_int_equal(b->changes, 1);
    must_apply(b, "rack", "r2");
    assert_int_equal(b->changes, 1);
}

/* what a Nomad 1.10.5 accepts and refuses */
static void test_keys_are_dotted_identifiers(void **state)
{
    static const char *const good[] = {"a", "_", "_a", "a-", "c-d", "a.b", "a.b_c.d1", "\xc3\xa4"};
    static const char *const bad[] = {"a b", "a/b",  "..",  ".a",  "a.",   "a..b",  "-",    "1a",
                                      "a.1", "a.-b", "a:b", "a\n", "a[0]", "\xc3(", "a\xff"};
    struct bed *b = *state;
    struct err e;

    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        must_apply(b, good[i], "x");
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        _cleanup_free_ char *text = xasprintf(
            "\"%s\" is invalid; metadata keys must be valid dotted hcl identifiers", bad[i]);

        assert_int_equal(apply(b, bad[i], "x", &e), -EINVAL);
        assert_int_equal(e.status, 400);
        assert_string_equal(e.text, text);
    }
    assert_int_equal(apply(b, "", "x", &e), -EINVAL);
    assert_string_equal(e.text, "metadata keys must not be empty");
    assert_int_equal(meta_dynamic(b->meta)->n, ARRAY_LEN(good));
}

static void test_one_bad_key_spoils_the_whole_request(void **state)
{
    struct bed *b = *state;
    struct optpair p[] = {
        {(char *)(uintptr_t) "good",    (char *)(uintptr_t) "1"},
        {(char *)(uintptr_t) "no good", (char *)(uintptr_t) "1"}
    };
    struct err e;

    assert_int_equal(meta_apply(b->meta, &(struct optmap){p, 2}, &e), -EINVAL);
    assert_null(merged(b, "good"));
    assert_int_equal(b->changes, 0);
}

static void test_there_is_a_limit_to_all_of_it(void **state)
{
    struct bed *b = *state;
    _cleanup_free_ char *large = xnew0_n(char, NODE_META_MAX);
    struct err e;

    memset(large, 'x', NODE_META_MAX - 1); /* with its key of one letter it fits */
    must_apply(b, "k", large);
    assert_int_equal(apply(b, "l", "1", &e), -EINVAL);
    assert_int_equal(e.status, 400);
    assert_non_null(strstr(e.text, "65538 bytes"));
    assert_null(merged(b, "l"));
    must_apply(b, "k", "small"); /* less is always possible */
    must_apply(b, "l", "1");
}

static void test_many_changes_at_once(void **state)
{
    static const struct {
        const char *key, *value;
    } changes[] = {
        {"a",    "1" },
        {"m",    "2" },
        {"new",  NULL},
        {"rack", "r3"},
        {"zone", NULL},
        {"zz",   "3" },
    };
    struct optpair p[ARRAY_LEN(changes)];
    struct bed *b = *state;
    const char *value = "";
    struct err e = {0};

    must_apply(b, "b", "kept");
    must_apply(b, "new", "1");
    must_apply(b, "rack", NULL);
    for (size_t i = 0; i < ARRAY_LEN(p); i++)
        p[i] = (struct optpair){(char *)(uintptr_t)changes[i].key,
                                (char *)(uintptr_t)changes[i].value};
    assert_int_equal(meta_apply(b->meta, &(struct optmap){p, ARRAY_LEN(p)}, &e), 0);
    assert_int_equal(meta_dynamic(b->meta)->n, 6);
    assert_string_equal(merged(b, "a"), "1");
    assert_string_equal(merged(b, "b"), "kept");
    assert_string_equal(merged(b, "m"), "2");
    assert_null(merged(b, "new"));
    assert_string_equal(merged(b, "rack"), "r3");
    assert_string_equal(merged(b, "zz"), "3");
    assert_true(dynamic(b, "zone", &value));
    assert_null(value);
    for (size_t i = 1; i < meta_dynamic(b->meta)->n; i++)
        assert_true(strcmp(meta_dynamic(b->meta)->items[i - 1].key,
                           meta_dynamic(b->meta)->items[i].key) < 0);
}

/* as many as fit into the largest request body: the loop must not stand still meanwhile (what each
 * of them cost grew with their number: 28 s) */
static void test_as_many_as_a_request_can_hold(void **state)
{
    enum { N = 120000, KEY = 8 };
    _cleanup_free_ struct optpair *p = xnew0_n(struct optpair, N);
    _cleanup_free_ char *keys = xnew0_n(char, (size_t)N *KEY);
    struct bed *b = *state;
    struct err e;

    for (size_t i = 0; i < N; i++) {
        (void)snprintf(&keys[i * KEY], KEY, "k%06zu", i);
        p[i] = (struct optpair){&keys[i * KEY], (char *)(uintptr_t) ""};
    }
    assert_int_equal(meta_apply(b->meta, &(struct optmap){p, N}, &e), -EINVAL);
    assert_non_null(strstr(e.text, "840000 bytes"));
    assert_int_equal(meta_dynamic(b->meta)->n, 0);
}

static void test_entries_survive_a_restart(void **state)
{
    struct bed *b = *state;
    const char *value = "";

    must_apply(b, "new", "1");
    must_apply(b, "zone", NULL);
    close_meta(b);
    open_meta(b);
    assert_string_equal(merged(b, "new"), "1");
    assert_null(merged(b, "zone"));
    assert_true(dynamic(b, "zone", &value));
    assert_null(value);
    assert_int_equal(b->changes, 2); /* reading them is none */
}

static void test_reload_changes_the_static_part_only(void **state)
{
    struct bed *b = *state;

    must_apply(b, "rack", "r2");
    b->changes = 0;
    strmap_set(&b->f->conf.client.meta, "rack", "r9");
    meta_reload(b->meta);
    assert_int_equal(b->changes, 0); /* hidden */
    assert_string_equal(merged(b, "rack"), "r2");
    strmap_set(&b->f->conf.client.meta, "row", "7");
    meta_reload(b->meta);
    assert_int_equal(b->changes, 1);
    assert_string_equal(merged(b, "row"), "7");
}

#undef TEST
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_static_part_has_nomads_defaults),
        TEST(test_dynamic_entries_lie_over_static_ones),
        TEST(test_null_stays_only_where_it_hides_something),
        TEST(test_owner_hears_of_real_changes_only),
        TEST(test_keys_are_dotted_identifiers),
        TEST(test_one_bad_key_spoils_the_whole_request),
        TEST(test_there_is_a_limit_to_all_of_it),
        TEST(test_many_changes_at_once),
        TEST(test_as_many_as_a_request_can_hold),
        TEST(test_entries_survive_a_restart),
        TEST(test_reload_changes_the_static_part_only),
    };

    loop_block_signals();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
