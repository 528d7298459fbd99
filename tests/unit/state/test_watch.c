#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#include "state/watch.h"
#include "tests/support/make_node.h"

struct fixture {
    struct loop *loop;
    struct watches ws;
    int calls; /* over all waiters: gives each its place in the order */
};

struct waiter {
    struct watch w;
    struct fixture *f;
    int called, at;
    bool again;          /* watches again from its callback */
    struct waiter *drop; /* takes this one off from its callback */
};

static int setup(void **state)
{
    struct fixture *f = xnew0(struct fixture);

    clock_fake(true, NSEC_PER_SEC, 0);
    loop_block_signals();
    assert_int_equal(loop_new(&f->loop), 0);
    watches_init(&f->ws, f->loop);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    watches_done(&f->ws);
    f->loop = loop_free(f->loop);
    clock_fake(false, 0, 0);
    free(f);
    return 0;
}

static void on_wake(void *arg)
{
    struct waiter *x = arg;

    x->called++;
    x->at = ++x->f->calls;
    if (x->again)
        watches_add(&x->f->ws, &x->w);
    if (x->drop)
        store_unwatch(&x->drop->w);
}

static void wait_for(struct waiter *x, struct fixture *f, enum watch_kind kind, uint64_t node)
{
    x->f = f;
    x->w.kind = kind;
    x->w.table = TABLE_NODES;
    x->w.node = make_node_key(node);
    x->w.fn = on_wake;
    x->w.arg = x;
    watches_add(&f->ws, &x->w);
}

static void wake_node(struct fixture *f, uint64_t n)
{
    struct uuid key = make_node_key(n);

    watches_wake_node(&f->ws, &key);
}

static void run(struct fixture *f)
{
    while (loop_run_due(f->loop) > 0)
        ;
}

static void test_node_wakes_only_its_own_waiters(void **state)
{
    struct fixture *f = *state;
    struct waiter a = {0}, b = {0}, t = {0};

    wait_for(&a, f, WATCH_NODE, 1);
    wait_for(&b, f, WATCH_NODE, 2);
    wait_for(&t, f, WATCH_TABLE, 0);
    wake_node(f, 1);
    assert_int_equal(a.called, 0); /* not from inside */
    run(f);
    assert_int_equal(a.called, 1);
    assert_int_equal(b.called, 0);
    assert_int_equal(t.called, 0);
    wake_node(f, 1);
    run(f);
    assert_int_equal(a.called, 1); /* once */
    watches_wake_table(&f->ws, TABLE_ALLOCS);
    run(f);
    assert_int_equal(t.called, 0);
    watches_wake_table(&f->ws, TABLE_NODES);
    run(f);
    assert_int_equal(t.called, 1);
    store_unwatch(&b.w);
}

static void test_wake_order_is_that_of_coming(void **state)
{
    enum { N = 1000 };
    struct fixture *f = *state;
    struct waiter *v = xnew0_n(struct waiter, N);

    for (int i = 0; i < N; i++)
        wait_for(&v[i], f, i % 2 ? WATCH_NODE : WATCH_TABLE, 1);
    wake_node(f, 1);
    watches_wake_table(&f->ws, TABLE_NODES);
    run(f);
    for (int i = 0; i < N; i++)
        assert_int_equal(v[i].at, (i % 2 ? 0 : N / 2) + i / 2 + 1);
    free(v);
}

static void test_waking_many_leaves_turns_to_others(void **state)
{
    enum { N = 10 * WATCH_WAKE_SLICE };
    struct fixture *f = *state;
    struct waiter *v = xnew0_n(struct waiter, N);

    for (int i = 0; i < N; i++)
        wait_for(&v[i], f, WATCH_TABLE, 0);
    watches_wake_table(&f->ws, TABLE_NODES);
    f->ws.timer.fn(f->ws.timer.arg);
    assert_int_equal(f->calls, WATCH_WAKE_SLICE);
    run(f);
    assert_int_equal(f->calls, N);
    free(v);
}

static void test_callback_may_watch_again(void **state)
{
    struct fixture *f = *state;
    struct waiter a = {.again = true}, t = {.again = true};

    wait_for(&a, f, WATCH_NODE, 1);
    wait_for(&t, f, WATCH_TABLE, 0);
    for (int i = 1; i <= 3; i++) {
        wake_node(f, 1);
        watches_wake_table(&f->ws, TABLE_NODES);
        run(f);
        assert_int_equal(a.called, i);
        assert_int_equal(t.called, i);
    }
    store_unwatch(&a.w);
    store_unwatch(&t.w);
    store_unwatch(&t.w); /* harmless when off */
}

static void test_callback_may_take_off_another(void **state)
{
    struct fixture *f = *state;
    struct waiter a = {0}, b = {0}, c = {0};

    wait_for(&a, f, WATCH_NODE, 1);
    wait_for(&b, f, WATCH_NODE, 1);
    wait_for(&c, f, WATCH_NODE, 1);
    a.drop = &b; /* woken already, not called yet */
    wake_node(f, 1);
    run(f);
    assert_int_equal(a.called, 1);
    assert_int_equal(b.called, 0);
    assert_int_equal(c.called, 1);
}

static void test_thousands_of_nodes_are_told_apart(void **state)
{
    enum { N = 5000 };
    struct fixture *f = *state;
    struct waiter *v = xnew0_n(struct waiter, N);

    for (int i = 0; i < N; i++)
        wait_for(&v[i], f, WATCH_NODE, (uint64_t)i);
    assert_int_equal(f->ws.n, N);
    for (int i = 0; i < N; i += 2)
        wake_node(f, (uint64_t)i);
    run(f);
    for (int i = 0; i < N; i++)
        assert_int_equal(v[i].called, i % 2 == 0);
    for (int i = 1; i < N; i += 2)
        store_unwatch(&v[i].w);
    assert_int_equal(f->ws.n, 0);
    free(v);
}

static void test_done_takes_all_off(void **state)
{
    struct fixture *f = *state;
    struct waiter a = {0}, b = {0};

    wait_for(&a, f, WATCH_NODE, 1);
    wait_for(&b, f, WATCH_NODE, 1);
    wake_node(f, 1);
    watches_done(&f->ws);
    run(f);
    assert_int_equal(a.called + b.called, 0);
    store_unwatch(&a.w);
    store_unwatch(&b.w);
    watches_init(&f->ws, f->loop);
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_node_wakes_only_its_own_waiters),
        TEST(test_wake_order_is_that_of_coming),
        TEST(test_waking_many_leaves_turns_to_others),
        TEST(test_callback_may_watch_again),
        TEST(test_callback_may_take_off_another),
        TEST(test_thousands_of_nodes_are_told_apart),
        TEST(test_done_takes_all_off),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
