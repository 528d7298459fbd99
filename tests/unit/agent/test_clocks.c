#include "agent/clocks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"

#define SEC NSEC_PER_SEC

struct bed {
    struct loop *loop;
    struct clocks *clocks;
    int set_fd;
    struct timer timer; /* somebody's */
    unsigned n_events, n_pauses, n_fired;
    char *message, *how;
    struct strmap details;
    uint64_t pause_ns;
    unsigned fired_before_pause;
};

static void on_event(void *arg, const char *message, const struct strmap *details)
{
    struct bed *b = arg;

    b->n_events++;
    str_set(&b->message, message);
    strmap_done(&b->details);
    strmap_copy(&b->details, details);
}

static void on_pause(void *arg, const char *how, uint64_t ns)
{
    struct bed *b = arg;

    b->n_pauses++;
    b->pause_ns = ns;
    b->fired_before_pause = b->n_fired;
    str_set(&b->how, how);
}

static void on_timer(void *arg)
{
    ((struct bed *)arg)->n_fired++;
}

static int setup(void **state)
{
    struct bed *b = xnew0(struct bed);

    clock_fake(true, UINT64_C(1) << 60, INT64_C(1800000000) * (int64_t)SEC);
    log_set_level(LOG_LEVEL_OFF);
    assert_int_equal(loop_new(&b->loop), 0);
    b->set_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    timer_init(b->loop, &b->timer, "test", on_timer, b);
    b->clocks = clocks_new(&(struct clocks_opts){.loop = b->loop,
                                                 .set_fd = b->set_fd,
                                                 .on_event = on_event,
                                                 .on_pause = on_pause,
                                                 .arg = b});
    *state = b;
    return 0;
}

static int teardown(void **state)
{
    struct bed *b = *state;

    b->clocks = clocks_free(b->clocks);
    timer_stop(&b->timer);
    (void)loop_free(b->loop);
    (void)close(b->set_fd);
    strmap_done(&b->details);
    free(b->message);
    free(b->how);
    free(b);
    clock_fake(false, 0, 0);
    return 0;
}

/* what the kernel does when somebody sets the clock */
static void set_clock(struct bed *b, int64_t by_ns)
{
    uint64_t one = 1;

    clock_fake_jump(by_ns);
    assert_int_equal(write(b->set_fd, &one, sizeof(one)), sizeof(one));
    for (int i = 0; i < 3; i++)
        assert_int_equal(loop_turn(b->loop, NSEC_PER_MSEC), 0);
}

static void test_clock_set_forward_and_back_is_told_with_its_seconds(void **state)
{
    struct bed *b = *state;

    set_clock(b, 3600 * (int64_t)SEC);
    assert_int_equal(b->n_events, 1);
    assert_string_equal(b->message, "Clock jumped forward by 3600.0 s");
    assert_string_equal(strmap_get(&b->details, "seconds"), "3600.000");
    assert_string_equal(strmap_get(&b->details, "would_be"), "2027-01-15T08:00:00Z");
    clock_fake_advance(61 * SEC);
    set_clock(b, -90 * (int64_t)SEC - (int64_t)SEC / 2);
    assert_int_equal(b->n_events, 2);
    assert_string_equal(b->message, "Clock jumped back by 90.5 s");
    assert_string_equal(strmap_get(&b->details, "seconds"), "-90.500");
    assert_int_equal(b->n_pauses, 0); /* no reason to beat */
}

static void test_small_corrections_are_no_jumps_and_do_not_add_up(void **state)
{
    struct bed *b = *state;

    for (int i = 0; i < 100; i++)
        set_clock(b, (int64_t)SEC / 2);
    assert_int_equal(b->n_events, 0);
}

static void test_time_that_goes_by_is_no_jump(void **state)
{
    struct bed *b = *state;

    clock_fake_advance(UINT64_C(86400) * SEC);
    set_clock(b, 0);
    assert_int_equal(b->n_events, 0);
}

static void test_clock_that_jumps_all_the_time_makes_one_event_a_minute(void **state)
{
    struct bed *b = *state;

    for (int i = 0; i < 120; i++) {
        set_clock(b, (i % 2 ? -10 : 10) * (int64_t)SEC);
        clock_fake_advance(SEC);
    }
    assert_in_range(b->n_events, 2, 3);
}

static void test_sleep_is_told_when_the_clock_says_that_it_was_set(void **state)
{
    struct bed *b = *state;

    clock_fake_sleep(600 * SEC);
    set_clock(b, 0); /* the kernel cancels the timer on resume */
    assert_string_equal(b->message, "Machine slept for 600.0 s");
    assert_string_equal(b->how, "slept");
    assert_int_equal(b->pause_ns, 600 * SEC);
    assert_int_equal(b->n_pauses, 1);
    assert_int_equal(b->n_events, 1); /* and no jump: the wall clock went on as it should */
}

static void test_sleep_is_told_before_the_timers_that_it_made_late(void **state)
{
    struct bed *b = *state;

    timer_set(&b->timer, 10 * SEC);
    clock_fake_sleep(600 * SEC);
    (void)loop_run_due(b->loop);
    assert_int_equal(b->n_fired, 1);
    assert_int_equal(b->fired_before_pause, 0);
    assert_string_equal(b->how, "slept");
    assert_int_equal(b->n_pauses, 1); /* sleep is no pause of the process on top */
}

static void test_late_timer_without_sleep_is_a_pause_of_the_process(void **state)
{
    struct bed *b = *state;

    timer_set(&b->timer, 10 * SEC);
    clock_fake_advance(21 * SEC);
    (void)loop_run_due(b->loop);
    assert_int_equal(b->n_pauses, 1);
    assert_int_equal(b->pause_ns, 11 * SEC);
    assert_int_equal(b->fired_before_pause, 0);
    assert_string_equal(b->how, "stopped"); /* it has used no CPU and waited for none */
    assert_string_equal(b->message, "Agent was stopped for 11.0 s");
    assert_string_equal(strmap_get(&b->details, "seconds"), "11.000");
    assert_non_null(strmap_get(&b->details, "cpu_seconds"));
    assert_non_null(strmap_get(&b->details, "run_queue_seconds"));
    assert_non_null(strmap_get(&b->details, "page_faults_from_disk"));
}

static void test_sleep_and_pause_together_are_told_apart(void **state)
{
    struct bed *b = *state;

    timer_set(&b->timer, SEC);
    clock_fake_advance(21 * SEC);
    clock_fake_sleep(100 * SEC);
    (void)loop_run_due(b->loop);
    assert_int_equal(b->n_pauses, 2);
    assert_int_equal(b->n_events, 2);
    assert_int_equal(b->pause_ns, 20 * SEC);
}

static void test_short_pause_is_told_to_the_heartbeat_but_makes_no_event(void **state)
{
    struct bed *b = *state;

    timer_set(&b->timer, SEC);
    clock_fake_advance(4 * SEC);
    (void)loop_run_due(b->loop);
    assert_int_equal(b->n_pauses, 1);
    assert_int_equal(b->n_events, 0);
    timer_set(&b->timer, SEC);
    clock_fake_advance(2 * SEC);
    (void)loop_run_due(b->loop);
    assert_int_equal(b->n_pauses, 1); /* a second is nothing at all */
    assert_int_equal(b->n_fired, 2);
}

/* busy: the CPU time of this process is real, so the pause must be shorter than what it has used */
static void test_pause_with_cpu_used_is_called_busy(void **state)
{
    struct bed *b = *state;
    uint64_t spin = 0;
    clock_t end = clock() + CLOCKS_PER_SEC * 21 / 10;

    while (clock() < end)
        spin++;
    assert_true(spin > 0);
    timer_set(&b->timer, SEC);
    clock_fake_advance(3 * SEC + SEC / 2);
    (void)loop_run_due(b->loop);
    assert_string_equal(b->how, "busy");
    clocks_mark(b->clocks);
    timer_set(&b->timer, SEC);
    clock_fake_advance(100 * SEC);
    (void)loop_run_due(b->loop);
    assert_string_equal(b->how, "stopped"); /* what was used before the mark does not count */
}

/* the real descriptor: cannot be made to fire without setting the clock, but must be quiet */
static void test_own_descriptor_says_nothing_while_nobody_sets_the_clock(void **state)
{
    struct bed *b = *state;
    struct clocks *c = clocks_new(&(struct clocks_opts){
        .loop = b->loop, .set_fd = -1, .on_event = on_event, .on_pause = on_pause, .arg = b});

    for (int i = 0; i < 5; i++)
        assert_int_equal(loop_turn(b->loop, NSEC_PER_MSEC), 0);
    assert_int_equal(b->n_events, 0);
    (void)clocks_free(c);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_clock_set_forward_and_back_is_told_with_its_seconds),
        TEST(test_small_corrections_are_no_jumps_and_do_not_add_up),
        TEST(test_time_that_goes_by_is_no_jump),
        TEST(test_clock_that_jumps_all_the_time_makes_one_event_a_minute),
        TEST(test_sleep_is_told_when_the_clock_says_that_it_was_set),
        TEST(test_sleep_is_told_before_the_timers_that_it_made_late),
        TEST(test_late_timer_without_sleep_is_a_pause_of_the_process),
        TEST(test_sleep_and_pause_together_are_told_apart),
        TEST(test_short_pause_is_told_to_the_heartbeat_but_makes_no_event),
        TEST(test_pause_with_cpu_used_is_called_busy),
        TEST(test_own_descriptor_says_nothing_while_nobody_sets_the_clock),
    };

    return cmocka_run_group_tests_name("agent/clocks", tests, NULL, NULL);
}
