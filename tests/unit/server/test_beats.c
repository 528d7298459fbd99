#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#include "base/clock.h"
#include "base/rand.h"
#include "server/beats.h"
#include "tests/support/make_node.h"

#define SEC NSEC_PER_SEC

struct fixture {
    struct loop *loop;
    struct beats *beats;
    int missed;
    struct uuid last;
    bool again; /* the callback sets it again */
};

static void on_missed(void *arg, const struct uuid *id)
{
    struct fixture *f = arg;

    f->missed++;
    f->last = *id;
    if (f->again)
        beats_set(f->beats, id, 5 * SEC);
}

static struct beats *make(struct fixture *f, double rate)
{
    struct beats_opts o = {
        .loop = f->loop,
        .rate = rate,
        .min_ttl_ns = 10 * SEC,
        .grace_ns = 7 * SEC,
        .failover_ttl_ns = 300 * SEC,
        .missed = on_missed,
        .arg = f,
    };

    return beats_new(&o);
}

static int setup(void **state)
{
    struct fixture *f = xnew0(struct fixture);

    clock_fake(true, 1000 * SEC, 0);
    loop_block_signals();
    assert_int_equal(loop_new(&f->loop), 0);
    f->beats = make(f, 50);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    f->beats = beats_free(f->beats);
    f->loop = loop_free(f->loop);
    clock_fake(false, 0, 0);
    free(f);
    return 0;
}

static void advance(struct fixture *f, uint64_t ns)
{
    clock_fake_advance(ns);
    while (loop_run_due(f->loop) > 0)
        ;
}

static void fill(struct fixture *f, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        struct uuid id = make_node_key(i);

        beats_set(f->beats, &id, 10000 * SEC);
    }
}

static void test_ttl_is_one_to_two_times_the_minimum(void **state)
{
    struct fixture *f = *state;
    struct uuid id = make_node_key(1);
    uint64_t low = UINT64_MAX, high = 0;

    for (int i = 0; i < 2000; i++) {
        uint64_t ttl = beats_reset(f->beats, &id);

        low = MIN(low, ttl);
        high = MAX(high, ttl);
    }
    assert_true(low >= 10 * SEC && low < 11 * SEC);
    assert_true(high < 20 * SEC && high > 19 * SEC);
    assert_int_equal(beats_count(f->beats), 1);
}

/* 704 timers at 50 a second: 14.08 s at least */
static void test_ttl_grows_with_the_fleet(void **state)
{
    struct fixture *f = *state;
    struct uuid id = make_node_key(1);

    fill(f, 704);
    for (int i = 0; i < 500; i++) {
        uint64_t ttl = beats_reset(f->beats, &id);

        assert_true(ttl >= 14080 * NSEC_PER_MSEC && ttl < 28160 * NSEC_PER_MSEC);
    }
}

static void test_rate_of_almost_none_means_the_minimum(void **state)
{
    struct fixture *f = *state;
    struct uuid id = make_node_key(1);

    f->beats = beats_free(f->beats);
    f->beats = make(f, 1.0 / 86400);
    fill(f, 1000);
    assert_true(beats_reset(f->beats, &id) < 20 * SEC);
    assert_int_equal(beats_grace_at_start(f->beats, 1000000), 300 * SEC);
}

static void test_deadline_is_ttl_and_grace(void **state)
{
    struct fixture *f = *state;
    struct uuid id = make_node_key(3);
    uint64_t ttl = beats_reset(f->beats, &id);

    advance(f, ttl + 7 * SEC - NSEC_PER_MSEC);
    assert_int_equal(f->missed, 0);
    advance(f, NSEC_PER_MSEC);
    assert_int_equal(f->missed, 1);
    assert_memory_equal(f->last.b, id.b, UUID_BYTES);
    assert_false(beats_has(f->beats, &id));
    assert_int_equal(beats_count(f->beats), 0);
    advance(f, 3600 * SEC);
    assert_int_equal(f->missed, 1);
}

static void test_beat_moves_the_deadline(void **state)
{
    struct fixture *f = *state;
    struct uuid id = make_node_key(3);

    for (int i = 0; i < 20; i++)
        advance(f, beats_reset(f->beats, &id));
    assert_int_equal(f->missed, 0);
    assert_int_equal(beats_count(f->beats), 1);
}

static void test_stop_takes_the_deadline_away(void **state)
{
    struct fixture *f = *state;
    struct uuid id = make_node_key(3);

    (void)beats_reset(f->beats, &id);
    beats_stop(f->beats, &id);
    beats_stop(f->beats, &id);
    advance(f, 3600 * SEC);
    assert_int_equal(f->missed, 0);
}

/* what is set stays, the next sign of life brings the new one */
static void test_another_pace_counts_from_the_next_beat(void **state)
{
    struct fixture *f = *state;
    struct uuid id = {.b = {1}};
    uint64_t ttl;

    (void)beats_reset(f->beats, &id);
    beats_set_pace(f->beats, 50, SEC, 2 * SEC);
    advance(f, 9 * SEC); /* the old one: 10 s and 7 s of grace at least */
    assert_int_equal(f->missed, 0);
    ttl = beats_reset(f->beats, &id);
    assert_true(ttl >= SEC && ttl < 2 * SEC);
    advance(f, ttl + 2 * SEC - 1);
    assert_int_equal(f->missed, 0);
    advance(f, 1);
    assert_int_equal(f->missed, 1);
}

static void test_callback_may_set_it_again(void **state)
{
    struct fixture *f = *state;
    struct uuid id = make_node_key(3);

    f->again = true;
    beats_set(f->beats, &id, SEC);
    advance(f, SEC);
    assert_int_equal(f->missed, 1);
    assert_true(beats_has(f->beats, &id));
    advance(f, 5 * SEC);
    assert_int_equal(f->missed, 2);
}

static void test_nobody_is_missed_for_as_long_as_the_server_was_away(void **state)
{
    struct fixture *f = *state;
    struct uuid early = make_node_key(1), late = make_node_key(2), back = make_node_key(3);

    beats_set(f->beats, &early, SEC);
    beats_set(f->beats, &back, SEC);
    beats_set(f->beats, &late, 100 * SEC);
    clock_fake_advance(31 * SEC);
    assert_true(beats_excuse(f->beats, 30 * SEC));
    assert_false(beats_excuse(f->beats, 3 * SEC)); /* of the same time: takes nothing away */
    (void)beats_reset(f->beats, &back);
    advance(f, 37 * SEC - 1);
    assert_int_equal(f->missed, 0);
    advance(f, 1); /* 30 s, and 7 s of grace */
    assert_true(f->missed >= 1);
    assert_false(beats_has(f->beats, &early));
    assert_true(beats_has(f->beats, &late)); /* its time was later anyway */
    advance(f, 40 * SEC);
    assert_int_equal(f->missed, 3);
}

static void test_excuse_has_a_ceiling(void **state)
{
    struct fixture *f = *state;
    struct uuid id = make_node_key(1);

    beats_set(f->beats, &id, SEC);
    clock_fake_advance(86400 * SEC);
    assert_true(beats_excuse(f->beats, 86400 * SEC));
    advance(f, 307 * SEC - 1);
    assert_int_equal(f->missed, 0);
    advance(f, 1);
    assert_int_equal(f->missed, 1);
}

/* design decision 13: max(failover_heartbeat_ttl, 2 n / rate + grace) */
static void test_grace_at_start_grows_with_the_fleet(void **state)
{
    static const struct {
        size_t n;
        double rate;
        uint64_t grace, failover, want;
    } rows[] = {
        {0,       50,          7,    300,  300  },
        {7000,    50,          7,    300,  300  },
        {7325,    50,          7,    300,  300  },
        {7350,    50,          7,    300,  301  },
        {100000,  50,          7,    300,  4007 },
        {100000,  1000,        10,   300,  300  },
        {200000,  1000,        10,   300,  410  },
        {0,       1000,        500,  300,  500  },
        {1000,    1000,        0,    0,    2    },
        {0,       1000,        0,    0,    0    },
        {1000000, 1.0 / 86400, 7,    300,  300  },
        {10,      0,           7,    300,  300  },
        {10,      0.001,       7,    300,  20007},
        {10,      0,           3600, 300,  3600 },
        {1,       1e9,         7,    9000, 9000 },
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct beats_opts o = {
            .loop = f->loop,
            .rate = rows[i].rate,
            .grace_ns = rows[i].grace * SEC,
            .failover_ttl_ns = rows[i].failover * SEC,
            .min_ttl_ns = 10 * SEC,
            .missed = on_missed,
            .arg = f,
        };
        _cleanup_(beats_freep) struct beats *b = beats_new(&o);

        assert_int_equal(beats_grace_at_start(b, rows[i].n), rows[i].want * SEC);
    }
}

static void test_many_deadlines_pass_at_their_own_times(void **state)
{
    enum { N = 5000 };
    struct fixture *f = *state;

    for (uint64_t i = 0; i < N; i++) {
        struct uuid id = make_node_key(i);

        beats_set(f->beats, &id, (i + 1) * SEC);
    }
    for (uint64_t i = 0; i < N; i += 3) {
        struct uuid id = make_node_key(i);

        beats_stop(f->beats, &id);
    }
    assert_int_equal(beats_count(f->beats), N - (N + 2) / 3);
    advance(f, N / 2 * SEC);
    assert_int_equal(f->missed, N / 2 - (N / 2 + 2) / 3);
    advance(f, N * SEC);
    assert_int_equal(beats_count(f->beats), 0);
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_ttl_is_one_to_two_times_the_minimum),
        TEST(test_ttl_grows_with_the_fleet),
        TEST(test_rate_of_almost_none_means_the_minimum),
        TEST(test_deadline_is_ttl_and_grace),
        TEST(test_beat_moves_the_deadline),
        TEST(test_stop_takes_the_deadline_away),
        TEST(test_another_pace_counts_from_the_next_beat),
        TEST(test_callback_may_set_it_again),
        TEST(test_nobody_is_missed_for_as_long_as_the_server_was_away),
        TEST(test_excuse_has_a_ceiling),
        TEST(test_grace_at_start_grows_with_the_fleet),
        TEST(test_many_deadlines_pass_at_their_own_times),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
