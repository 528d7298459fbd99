/* What a daemon says of many peers: when descriptors run out and when there are some again, slow
 * callbacks once a minute. */
#include "api/watch.h"

#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/log.h"
#include "tests/support/check.h"
#include "tests/support/wire_loop.h"
#include "wire/fds.h"

static size_t n_short, n_again, n_slow;

static void on_line(void *arg, const char *line)
{
    (void)arg;
    n_short += strstr(line, "no descriptors are left for more connections") != NULL;
    n_again += strstr(line, "there are descriptors for connections again") != NULL;
    n_slow += strstr(line, "callbacks took longer than they should") != NULL &&
              strstr(line, "longest=slow") != NULL && strstr(line, "times=2") != NULL;
}

static struct log_tap tap = {.level = LOG_LEVEL_DEBUG, .fn = on_line};

static void takes_long(void *arg)
{
    (void)arg;
    clock_fake_advance(SLOW_CALLBACK_NS + 1);
}

static void pass(struct loop *l, unsigned sec)
{
    clock_fake_advance(sec * NSEC_PER_SEC);
    (void)loop_run_due(l);
}

static void test_a_shortage_is_said_once_and_its_end_too(void **state)
{
    struct rlimit l;
    struct watch *w;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &l), 0);
    w = watch_new(*state);
    assert_string_equal(watch_trouble(), "");
    assert_false(fds_may_keep((int)l.rlim_cur - 1));
    assert_false(fds_may_keep((int)l.rlim_cur - 1));
    assert_int_equal(n_short, 1);
    assert_string_equal(watch_trouble(), "out of descriptors, new connections are refused");
    pass(*state, 11); /* it looks by itself */
    assert_int_equal(n_again, 1);
    assert_string_equal(watch_trouble(), "");
    (void)watch_free(w);
    assert_false(fds_may_keep((int)l.rlim_cur - 1)); /* nobody is told any more */
    assert_int_equal(n_short, 1);
    assert_true(fds_may_keep(3));
}

static void test_slow_callbacks_are_said_once_a_minute(void **state)
{
    struct watch *w = watch_new(*state);
    struct timer t[2];

    for (size_t i = 0; i < ARRAY_LEN(t); i++) {
        timer_init(*state, &t[i], "slow", takes_long, NULL);
        timer_set(&t[i], NSEC_PER_SEC);
    }
    for (int i = 0; i < 14; i++)
        pass(*state, 10);
    assert_int_equal(n_slow, 1);
    (void)watch_free(w);
}

static int setup(void **state)
{
    struct loop *l;

    clock_fake(true, NSEC_PER_SEC, 0);
    log_tap_add(&tap);
    n_short = n_again = n_slow = 0;
    assert_int_equal(loop_new(&l), 0);
    *state = l;
    return 0;
}

static int teardown(void **state)
{
    log_tap_remove(&tap);
    (void)loop_free(*state);
    clock_fake(false, 0, 0);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_shortage_is_said_once_and_its_end_too, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_slow_callbacks_are_said_once_a_minute, setup,
                                        teardown),
    };

    loop_block_signals();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
