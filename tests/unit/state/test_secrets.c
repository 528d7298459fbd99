/* The index of nodes by secret against a plain array. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/rand.h"
#include "base/str.h"
#include "state/secrets.h"

static struct node_item *item(const char *secret)
{
    struct node_item *it = xnew0(struct node_item);

    memcpy(it->secret_id, secret, strlen(secret));
    return it;
}

static void test_finds_who_has_the_secret(void **state)
{
    struct node_item *a = item("secret-a"), *b = item("secret-b"), *none = item("");
    struct secrets x;

    (void)state;
    secrets_init(&x);
    assert_null(secrets_find(&x, "secret-a"));
    secrets_replace(&x, a, NULL); /* was never there */
    secrets_replace(&x, NULL, a);
    secrets_replace(&x, NULL, b);
    secrets_replace(&x, NULL, none);
    assert_ptr_equal(secrets_find(&x, "secret-a"), a);
    assert_ptr_equal(secrets_find(&x, "secret-b"), b);
    assert_null(secrets_find(&x, ""));
    assert_null(secrets_find(&x, NULL));
    assert_null(secrets_find(&x, "secret-"));
    assert_null(secrets_find(&x, "secret-aa"));
    assert_null(secrets_find(&x, "0123456789012345678901234567890123456789"));
    secrets_replace(&x, none, NULL);
    secrets_replace(&x, a, NULL);
    assert_null(secrets_find(&x, "secret-a"));
    assert_int_equal(x.n, 1);
    secrets_done(&x);
    free(a);
    free(b);
    free(none);
}

static void test_a_newer_item_takes_the_place_of_the_old_one(void **state)
{
    struct node_item *one = item("s"), *two = item("s"), *other = item("t"), *bare = item("");
    struct secrets x;

    (void)state;
    secrets_init(&x);
    secrets_replace(&x, NULL, one);
    secrets_replace(&x, one, two); /* registered again */
    assert_ptr_equal(secrets_find(&x, "s"), two);
    assert_int_equal(x.n, 1);
    secrets_replace(&x, two, other); /* with another secret */
    assert_null(secrets_find(&x, "s"));
    assert_ptr_equal(secrets_find(&x, "t"), other);
    secrets_replace(&x, other, bare);
    assert_null(secrets_find(&x, "t"));
    assert_int_equal(x.n, 0);
    secrets_replace(&x, bare, one);
    assert_ptr_equal(secrets_find(&x, "s"), one);
    secrets_done(&x);
    free(one);
    free(two);
    free(other);
    free(bare);
}

static void test_two_nodes_with_one_secret(void **state)
{
    struct node_item *one = item("s"), *two = item("s");
    struct secrets x;

    (void)state;
    secrets_init(&x);
    secrets_replace(&x, NULL, one);
    secrets_replace(&x, NULL, two);
    assert_non_null(secrets_find(&x, "s"));
    secrets_replace(&x, one, NULL);
    assert_ptr_equal(secrets_find(&x, "s"), two);
    secrets_replace(&x, two, NULL);
    assert_null(secrets_find(&x, "s"));
    secrets_done(&x);
    free(one);
    free(two);
}

/* any order of adding, replacing and deleting, through many sizes of the table */
static void test_random_changes(void **state)
{
    enum { NODES = 3000, STEPS = 60000 };
    struct node_item **v = xnew0_n(struct node_item *, NODES);
    struct secrets x;
    size_t n = 0;

    (void)state;
    rand_seed(11);
    secrets_init(&x);
    for (size_t i = 0; i < STEPS; i++) {
        size_t at = rand_below(i < STEPS / 2 ? NODES : NODES / 8);
        bool drop = rand_below(3) == 0;
        char text[UUID_TEXT_LEN + 1];
        struct node_item *was = v[at];

        uuid_random(text);
        if (was && rand_below(2))
            memcpy(text, was->secret_id, sizeof(text));
        v[at] = drop ? NULL : item(text);
        secrets_replace(&x, was, v[at]);
        n += !was && v[at] ? 1 : 0;
        n -= was && !v[at] ? 1 : 0;
        assert_int_equal(x.n, n);
        if (was && (!v[at] || !str_eq(was->secret_id, v[at]->secret_id)))
            assert_null(secrets_find(&x, was->secret_id));
        free(was);
    }
    for (size_t i = 0; i < NODES; i++) {
        if (v[i])
            assert_ptr_equal(secrets_find(&x, v[i]->secret_id), v[i]);
        secrets_replace(&x, v[i], NULL);
        free(v[i]);
    }
    assert_int_equal(x.n, 0);
    secrets_done(&x);
    free(v);
}

static void test_memory_is_a_few_bytes_a_node(void **state)
{
    enum { NODES = 20000 };
    struct node_item *v = xnew0_n(struct node_item, NODES);
    struct secrets x;

    (void)state;
    secrets_init(&x);
    for (size_t i = 0; i < NODES; i++) {
        uuid_random(v[i].secret_id);
        secrets_replace(&x, NULL, &v[i]);
    }
    assert_true(x.n_slots * (sizeof(*x.hashes) + sizeof(void *)) <= 32 * (size_t)NODES);
    secrets_done(&x);
    free(v);
}

static void test_comparison(void **state)
{
    (void)state;
    assert_true(secret_equal("abc", "abc"));
    assert_false(secret_equal("abc", "abd"));
    assert_false(secret_equal("abc", "ab"));
    assert_false(secret_equal("", ""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finds_who_has_the_secret),
        cmocka_unit_test(test_a_newer_item_takes_the_place_of_the_old_one),
        cmocka_unit_test(test_two_nodes_with_one_secret),
        cmocka_unit_test(test_random_changes),
        cmocka_unit_test(test_memory_is_a_few_bytes_a_node),
        cmocka_unit_test(test_comparison),
    };

    return cmocka_run_group_tests_name("state/secrets", tests, NULL, NULL);
}
