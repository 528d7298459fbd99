#include "agent/late.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/str.h"

#define SEC  NSEC_PER_SEC
#define BOOT (UINT64_C(1) << 50)

static int setup(void **state)
{
    clock_fake(true, BOOT, INT64_C(1800000000) * (int64_t)SEC);
    *state = late_new();
    return 0;
}

static int teardown(void **state)
{
    (void)late_free(*state);
    clock_fake(false, 0, 0);
    return 0;
}

static void assert_step(const struct late_beat *b, size_t i, const char *expected)
{
    _cleanup_free_ char *text = NULL;

    assert_true(i < b->n_steps);
    text = late_step_text(&b->steps[i]);
    assert_string_equal(text, expected);
}

static void test_beat_in_time_has_its_answer_and_is_not_late(void **state)
{
    const struct late_beat *b;

    late_begin(*state, BOOT);
    clock_fake_advance(SEC / 5);
    late_step(*state, "10.0.0.1:4647", "answered", SEC / 5);
    b = late_end(*state, "10.0.0.1:4647", 10 * SEC, BOOT);
    assert_int_equal(b->late_ns, 0); /* a fifth of a second is no delay */
    assert_int_equal(b->due_ns, BOOT);
    assert_int_equal(b->n_steps, 1);
    assert_step(b, 0, "10.0.0.1:4647 answered 0.2 s");
    assert_ptr_equal(late_beat(*state, 0), b);
    assert_null(late_beat(*state, 1));
}

static void test_late_beat_names_each_step_and_its_time(void **state)
{
    _cleanup_strmap_ struct strmap details = {0};
    const struct late_beat *b;

    clock_fake_advance(11 * SEC);
    late_step(*state, NULL, "stopped", 11 * SEC); /* told before the timer fires */
    late_begin(*state, BOOT);
    clock_fake_advance(2 * SEC);
    late_step(*state, "10.0.0.1:4647", "silent", 2 * SEC);
    late_step(*state, "10.0.0.2:4647", "answered", SEC / 2);
    b = late_end(*state, "10.0.0.2:4647", 15 * SEC, BOOT);
    assert_int_equal(b->late_ns, 13 * SEC);
    late_explain(b, &details);
    assert_string_equal(strmap_get(&details, "late"), "13.0 s");
    assert_string_equal(strmap_get(&details, "ttl"), "15.0 s");
    assert_string_equal(strmap_get(&details, "server"), "10.0.0.2:4647");
    assert_string_equal(strmap_get(&details, "step_01"), "stopped 11.0 s");
    assert_string_equal(strmap_get(&details, "step_02"), "10.0.0.1:4647 silent 2.0 s");
    assert_string_equal(strmap_get(&details, "step_03"), "10.0.0.2:4647 answered 0.5 s");
    assert_int_equal(details.n, 6);
}

static void test_timer_that_fired_late_is_a_step_of_its_own(void **state)
{
    const struct late_beat *b;

    clock_fake_advance(SEC + SEC / 2);
    late_begin(*state, BOOT);
    b = late_end(*state, NULL, 10 * SEC, BOOT);
    assert_step(b, 0, "begun late 1.5 s");
    assert_null(b->server);
}

static void test_like_steps_are_counted(void **state)
{
    const struct late_beat *b;

    late_begin(*state, BOOT);
    for (int i = 0; i < 3; i++)
        late_step(*state, "10.0.0.1:4647", "refused", SEC / 10);
    late_step(*state, "10.0.0.2:4647", "refused", SEC / 10);
    late_step(*state, NULL, "waited", SEC);
    b = late_end(*state, "10.0.0.1:4647", SEC, BOOT);
    assert_int_equal(b->n_steps, 3);
    assert_step(b, 0, "10.0.0.1:4647 refused, 3 times 0.3 s");
    assert_step(b, 2, "waited 1.0 s");
}

static void test_steps_and_beats_are_bounded(void **state)
{
    const struct late_beat *b;

    for (int i = 0; i < 20; i++) {
        late_begin(*state, BOOT + (uint64_t)i);
        for (int k = 0; k < 50; k++)
            late_step(*state, k % 2 ? "a:1" : "b:1", "silent", (uint64_t)k * SEC);
        b = late_end(*state, "a:1", SEC, BOOT);
        assert_int_equal(b->n_steps, LATE_STEPS);
        assert_step(b, 0, "b:1 silent 0.0 s");
        assert_step(b, LATE_STEPS - 1, "a:1 silent 49.0 s"); /* the last one */
    }
    for (size_t i = 0; i < LATE_BEATS; i++)
        assert_int_equal(late_beat(*state, i)->due_ns, BOOT + 19 - i);
    assert_null(late_beat(*state, LATE_BEATS));
}

static void test_beat_that_will_not_come_is_forgotten(void **state)
{
    const struct late_beat *b;

    late_begin(*state, BOOT);
    late_step(*state, "a:1", "silent", SEC);
    late_drop(*state);
    assert_null(late_beat(*state, 0));
    late_begin(*state, BOOT + SEC);
    b = late_end(*state, "a:1", SEC, BOOT + SEC);
    assert_int_equal(b->n_steps, 0);
    assert_int_equal(b->due_ns, BOOT + SEC);
}

static void test_json_shows_wall_time_as_it_is_after_a_jump(void **state)
{
    _cleanup_buf_ struct buf b = BUF_INIT(4096);

    late_json(*state, &b);
    assert_string_equal(buf_str(&b), "[]");
    buf_reset(&b);
    late_begin(*state, BOOT);
    clock_fake_advance(3 * SEC);
    late_step(*state, "a:1", "answered", 3 * SEC);
    (void)late_end(*state, "a:1", SEC, BOOT);
    clock_fake_jump(3600 * (int64_t)SEC);
    late_json(*state, &b);
    assert_string_equal(buf_str(&b),
                        "[{\"Due\":\"2027-01-15T09:00:00Z\",\"LateMs\":3000,\"Server\":\"a:1\","
                        "\"Steps\":[\"a:1 answered 3.0 s\"],\"TookMs\":3000}]");
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_beat_in_time_has_its_answer_and_is_not_late),
        TEST(test_late_beat_names_each_step_and_its_time),
        TEST(test_timer_that_fired_late_is_a_step_of_its_own),
        TEST(test_like_steps_are_counted),
        TEST(test_steps_and_beats_are_bounded),
        TEST(test_beat_that_will_not_come_is_forgotten),
        TEST(test_json_shows_wall_time_as_it_is_after_a_jump),
    };

    return cmocka_run_group_tests_name("agent/late", tests, NULL, NULL);
}
