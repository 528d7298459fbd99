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
    uint64_t index;
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

    watches_wake_node(&f->ws, &key, ++f->index);
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
    watches_wake_table(&f->ws, TABLE_ALLOCS, ++f->index);
    run(f);
    assert_int_equal(t.called, 0);
    watches_wake_table(&f->ws, TABLE_NODES, ++f->index);
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
    watches_wake_table(&f->ws, TABLE_NODES, ++f->index);
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
    watches_wake_table(&f->ws, TABLE_NODES, ++f->index);
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
        watches_wake_table(&f->ws, TABLE_NODES, ++f->index);
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

/* of the table: which waiters one change to that index wakes */
static void test_an_index_that_is_not_reached_is_not_woken(void **state)
{
    static const uint64_t beyond[] = {0, 9, 10, 11, 50, 12, UINT64_MAX};
    struct fixture *f = *state;
    struct waiter v[ARRAY_LEN(beyond)] = {0};
    int woken[ARRAY_LEN(beyond)] = {0};

    watches_wake_table(&f->ws, TABLE_NODES, 9);
    for (size_t i = 0; i < ARRAY_LEN(beyond); i++) {
        v[i].w.beyond = beyond[i];
        wait_for(&v[i], f, WATCH_TABLE, 0);
    }
    for (uint64_t index = 10; index <= 60; index++) {
        watches_wake_table(&f->ws, TABLE_NODES, index);
        run(f);
        for (size_t i = 0; i < ARRAY_LEN(beyond); i++) {
            woken[i] = index > beyond[i];
            assert_int_equal(v[i].called, woken[i]);
        }
    }
    watches_wake_all(&f->ws);
    run(f);
    for (size_t i = 0; i < ARRAY_LEN(beyond); i++)
        assert_int_equal(v[i].called, 1);
}

/* events move the table and not the node: who waits for the node sleeps on; its end is news to all
 */
static void test_a_node_that_stands_where_it_stood_wakes_nobody(void **state)
{
    struct fixture *f = *state;
    struct waiter seen = {.w.beyond = 7}, future = {.w.beyond = 100};
    struct uuid key = make_node_key(1);

    wait_for(&seen, f, WATCH_NODE, 1);
    wait_for(&future, f, WATCH_NODE, 1);
    watches_wake_node(&f->ws, &key, 7);
    run(f);
    assert_int_equal(f->calls, 0);
    watches_wake_node(&f->ws, &key, 8);
    run(f);
    assert_int_equal(seen.called, 1);
    assert_int_equal(future.called, 0);
    watches_wake_node(&f->ws, &key, UINT64_MAX);
    run(f);
    assert_int_equal(future.called, 1);
}

/* callbacks that take long: a timer that is due meanwhile waits for one slice of them */
struct slow_waiter {
    struct watch w;
    int *calls;
};

static void on_slow(void *arg)
{
    struct slow_waiter *x = arg;

    ++*x->calls;
    clock_fake_advance(NSEC_PER_MSEC);
}

static void on_beat(void *arg)
{
    int *calls = arg;

    calls[1] = calls[0];
}

static void test_a_timer_waits_for_one_slice_only(void **state)
{
    enum { N = 1000 };
    struct slow_waiter *v = xnew0_n(struct slow_waiter, N);
    struct fixture *f = *state;
    struct timer beat;
    int calls[2] = {0, -1};

    for (int i = 0; i < N; i++) {
        v[i] = (struct slow_waiter){
            .calls = calls, .w = {.kind = WATCH_TABLE, .fn = on_slow, .arg = &v[i]}
        };
        list_init(&v[i].w.link);
        watches_add(&f->ws, &v[i].w);
    }
    timer_init(f->loop, &beat, "beat", on_beat, calls);
    timer_set(&beat, NSEC_PER_MSEC / 2);
    watches_wake_table(&f->ws, TABLE_NODES, ++f->index);
    while (calls[1] < 0)
        (void)loop_run_due(f->loop);
    assert_in_range(calls[1], 1, 4);
    run(f);
    assert_int_equal(calls[0], N);
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
        TEST(test_an_index_that_is_not_reached_is_not_woken),
        TEST(test_a_node_that_stands_where_it_stood_wakes_nobody),
        TEST(test_a_timer_waits_for_one_slice_only),
        TEST(test_done_takes_all_off),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
