#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#include "base/rand.h"
#include "state/nodes.h"
#include "tests/support/make_node.h"

static void put(struct nodes *t, uint64_t n, uint64_t index)
{
    nodes_put(t, make_node_item(n, index, 0));
}

static void test_nodes_empty_has_nothing(void **state)
{
    _cleanup_(nodes_freep) struct nodes *t = nodes_new();
    struct uuid key = make_node_key(1);
    size_t pos = 0;

    (void)state;
    assert_null(nodes_get(t, &key));
    assert_null(nodes_next(t, &key, 0, &pos));
    assert_false(nodes_delete(t, &key));
    assert_int_equal(nodes_count(t), 0);
}

static void test_nodes_put_replaces_by_id(void **state)
{
    _cleanup_(nodes_freep) struct nodes *t = nodes_new();
    struct uuid key = make_node_key(7);

    (void)state;
    put(t, 7, 1);
    put(t, 7, 2);
    assert_int_equal(nodes_count(t), 1);
    assert_int_equal(nodes_get(t, &key)->modify_index, 2);
}

/* random puts and deletes against a plain array; enough to split and empty chunks */
static void test_nodes_behaves_as_a_sorted_map(void **state)
{
    enum { IDS = 2000, STEPS = 30000 };
    _cleanup_(nodes_freep) struct nodes *t = nodes_new();
    static uint64_t model[IDS]; /* modify index; 0 = absent */
    size_t count = 0;

    (void)state;
    rand_seed(42);
    memset(model, 0, sizeof(model));
    for (uint64_t i = 1; i <= STEPS; i++) {
        uint64_t n = rand_below(IDS);
        struct uuid key = make_node_key(n);
        const struct node_item *it;

        if (rand_below(1000) < (i < STEPS / 2 ? 700 : 300)) {
            put(t, n, i);
            count += model[n] == 0;
            model[n] = i;
        } else {
            assert_int_equal(nodes_delete(t, &key), model[n] != 0);
            count -= model[n] != 0;
            model[n] = 0;
        }
        it = nodes_get(t, &key);
        assert_int_equal(it ? it->modify_index : 0, model[n]);
        assert_int_equal(nodes_count(t), count);
        if (i % 1000 == 0) {
            static const struct uuid all;
            size_t pos = 0;

            for (n = 0; n < IDS; n++) {
                if (model[n] == 0)
                    continue;
                it = nodes_next(t, &all, 0, &pos);
                assert_non_null(it);
                assert_int_equal(it->modify_index, model[n]);
            }
            assert_null(nodes_next(t, &all, 0, &pos));
        }
    }
    rand_seed(0);
}

static void test_nodes_next_keeps_to_the_prefix(void **state)
{
    _cleanup_(nodes_freep) struct nodes *t = nodes_new();
    struct uuid prefix = {
        .b = {0x00, 0x00, 0x02}
    };
    size_t pos = 0, seen = 0;
    const struct node_item *it;

    (void)state;
    for (uint64_t n = 0; n < 2000; n++)
        put(t, n, n + 1);
    while ((it = nodes_next(t, &prefix, 3, &pos))) {
        assert_int_equal(it->modify_index, 0x200 + seen + 1);
        seen++;
    }
    assert_int_equal(seen, 256);
    prefix.b[2] = 0x77;
    pos = 0;
    assert_null(nodes_next(t, &prefix, 3, &pos));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nodes_empty_has_nothing),
        cmocka_unit_test(test_nodes_put_replaces_by_id),
        cmocka_unit_test(test_nodes_behaves_as_a_sorted_map),
        cmocka_unit_test(test_nodes_next_keeps_to_the_prefix),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
