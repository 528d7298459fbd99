#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/log.h"
#include "server/gc.h"
#include "tests/support/server_harness.h"

#define HOUR (3600 * NSEC_PER_SEC)

static int setup(void **state)
{
    *state = harness_new();
    return 0;
}

static int teardown(void **state)
{
    *state = harness_free(*state);
    return 0;
}

static void make_down(struct harness *h, uint64_t n)
{
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;
    _cleanup_(node_freep) struct node *node = make_node(n);

    harness_ready(h, n);
    harness_status(h, n, "down", node->secret_id, &a);
    assert_true(a.replied);
}

static void test_young_down_nodes_stay(void **state)
{
    struct harness *h = *state;

    make_down(h, 1);
    gc_run(h->server->gc, false);
    harness_settle(h);
    assert_non_null(harness_item(h, 1));
}

static void test_old_down_nodes_go_by_themselves(void **state)
{
    struct harness *h = *state;

    make_down(h, 1);
    harness_advance(h, 23 * HOUR);
    assert_non_null(harness_item(h, 1));
    harness_advance(h, 2 * HOUR);
    harness_settle(h);
    assert_null(harness_item(h, 1));
}

static void test_forced_run_has_no_age_and_spares_the_living(void **state)
{
    struct harness *h = *state;

    make_down(h, 1);
    harness_ready(h, 2);
    gc_run(h->server->gc, true);
    harness_settle(h);
    assert_null(harness_item(h, 1));
    assert_non_null(harness_item(h, 2));
}

static void test_transactions_have_a_hundred_nodes(void **state)
{
    struct harness *h = *state;
    size_t commits;

    for (uint64_t i = 1; i <= 250; i++)
        make_down(h, i);
    commits = fake_disk_commits(h->disk);
    gc_run(h->server->gc, true);
    harness_settle(h);
    assert_int_equal(store_node_count(h->server->store), 0);
    assert_int_equal(fake_disk_commits(h->disk) - commits, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_young_down_nodes_stay, setup, teardown),
        cmocka_unit_test_setup_teardown(test_old_down_nodes_go_by_themselves, setup, teardown),
        cmocka_unit_test_setup_teardown(test_forced_run_has_no_age_and_spares_the_living, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_transactions_have_a_hundred_nodes, setup, teardown),
    };

    log_set_level(LOG_LEVEL_OFF);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
