/* Clocks that tests can stop, and Go's times as text. */
#include "base/clock.h"

#include <errno.h>
#include <setjmp.h>
#include <time.h>

#include <cmocka.h>

#include "base/rand.h"

static void test_clocks_go_on(void **state)
{
    uint64_t boot = clock_boot_ns();

    (void)state;
    assert_true(boot > 0);
    assert_true(clock_boot_ns() >= boot);
    assert_true(clock_wall_ns() / 1000000000 >= time(NULL) - 2);
}

static void test_clocks_stand_still_when_told(void **state)
{
    (void)state;
    clock_fake(true, 5000, 1600000000000000001);
    assert_int_equal(clock_boot_ns(), 5000);
    clock_fake_advance(NSEC_PER_SEC);
    assert_int_equal(clock_boot_ns(), 5000 + NSEC_PER_SEC);
    assert_int_equal(clock_wall_ns(), 1600000001000000001);
    assert_int_equal(gotime_to_unix_ns(gotime_now()), 1600000001000000001);
    clock_fake(false, 0, 0);
    assert_int_not_equal(clock_boot_ns(), 5000 + NSEC_PER_SEC);
}

static void test_sleep_and_jumps_are_told_apart(void **state)
{
    uint64_t slept = clock_slept_ns();
    int64_t of_start;

    (void)state;
    /* the real ones, read one after the other */
    assert_true(clock_slept_ns() + NSEC_PER_SEC > slept);
    assert_true(clock_slept_ns() < slept + NSEC_PER_SEC);
    clock_fake(true, 5000, 1600000000000000000);
    assert_int_equal(clock_slept_ns(), 0);
    clock_fake_sleep(7 * NSEC_PER_SEC);
    assert_int_equal(clock_slept_ns(), 7 * NSEC_PER_SEC);
    assert_int_equal(clock_boot_ns(), 5000 + 7 * NSEC_PER_SEC);
    of_start = clock_wall_of(5000);
    assert_int_equal(of_start, 1600000000000000000);
    clock_fake_jump(-3600 * (int64_t)NSEC_PER_SEC);
    assert_int_equal(clock_boot_ns(), 5000 + 7 * NSEC_PER_SEC);
    assert_int_equal(of_start - clock_wall_of(5000), 3600 * (int64_t)NSEC_PER_SEC);
    clock_fake(false, 0, 0);
}

static void test_gotime_counts_from_year_one(void **state)
{
    struct gotime t = gotime_from_unix_ns(0);

    (void)state;
    assert_int_equal(t.sec, GOTIME_UNIX_EPOCH);
    t = gotime_from_unix_ns(-1);
    assert_int_equal(t.sec, GOTIME_UNIX_EPOCH - 1);
    assert_int_equal(t.nsec, 999999999);
    assert_int_equal(gotime_to_unix_ns(t), -1);
    assert_true(gotime_is_zero((struct gotime){0}));
    assert_int_equal(gotime_to_unix_ns((struct gotime){0}), INT64_MIN); /* cannot be said in ns */
    assert_int_equal(gotime_to_unix_ns((struct gotime){.sec = INT64_C(315537897599)}), INT64_MAX);
    assert_true(gotime_equal((struct gotime){5, 6, 60}, (struct gotime){5, 6, 0}));
}

static void test_gotime_is_printed_as_rfc3339(void **state)
{
    static const struct {
        struct gotime t;
        const char *s;
    } rows[] = {
        {{GOTIME_UNIX_EPOCH, 0, 0},             "1970-01-01T00:00:00Z"          },
        {{GOTIME_UNIX_EPOCH, 100000000, 0},     "1970-01-01T00:00:00.1Z"        },
        {{GOTIME_UNIX_EPOCH, 1, 0},             "1970-01-01T00:00:00.000000001Z"},
        {{GOTIME_UNIX_EPOCH, 0, 120},           "1970-01-01T02:00:00+02:00"     },
        {{GOTIME_UNIX_EPOCH, 0, -570},          "1969-12-31T14:30:00-09:30"     },
        {{GOTIME_UNIX_EPOCH + 951782400, 0, 0}, "2000-02-29T00:00:00Z"          },
        {{1, 0, 0},                             "0001-01-01T00:00:01Z"          },
        {{INT64_C(315537897599), 999999999, 0}, "9999-12-31T23:59:59.999999999Z"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[GOTIME_TEXT_MAX];
        struct gotime back;

        gotime_format(rows[i].t, text);
        assert_string_equal(text, rows[i].s);
        assert_int_equal(gotime_parse(text, &back), 0);
        assert_true(gotime_equal(back, rows[i].t));
        assert_int_equal(back.offset_min, rows[i].t.offset_min);
    }
}

static void test_gotime_refuses_what_is_not_rfc3339(void **state)
{
    static const char *const bad[] = {
        "",
        "yesterday",
        "2020-01-01",
        "2020-01-01T00:00:00",
        "2020-01-01 00:00:00Z",
        "2020-01-01T00:00:00z",
        "2020-1-01T00:00:00Z",
        "2020-13-01T00:00:00Z",
        "2020-00-01T00:00:00Z",
        "2020-01-32T00:00:00Z",
        "2020-01-00T00:00:00Z",
        "2021-02-29T00:00:00Z",
        "2020-04-31T00:00:00Z",
        "1900-02-29T00:00:00Z",
        "2020-01-01T24:00:00Z",
        "2020-01-01T00:60:00Z",
        "2020-01-01T00:00:60Z",
        "2020-01-01T00:00:00.Z",
        "2020-01-01T00:00:00+0200",
        "2020-01-01T00:00:00+24:00",
        "2020-01-01T00:00:00+01:60",
        "2020-01-01T00:00:00Z ",
    };
    struct gotime t;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (gotime_parse(bad[i], &t) != -EINVAL)
            fail_msg("%s is taken", bad[i]);
    assert_int_equal(gotime_parse("2020-02-29T00:00:00Z", &t), 0);
    assert_int_equal(gotime_parse("2000-02-29T23:59:59.1234567891Z", &t), 0);
    assert_int_equal(t.nsec, 123456789); /* more decimals than there are are cut */
}

static void test_gotime_text_reads_back(void **state)
{
    (void)state;
    rand_seed(3);
    for (int i = 0; i < 20000; i++) {
        struct gotime t = {.sec = (int64_t)rand_below(UINT64_C(315537897600)),
                           .nsec = (uint32_t)rand_below(1000000000)},
                      back;
        char text[GOTIME_TEXT_MAX];

        gotime_format(t, text);
        assert_int_equal(gotime_parse(text, &back), 0);
        assert_true(gotime_equal(t, back));
    }
    rand_seed(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clocks_go_on),
        cmocka_unit_test(test_clocks_stand_still_when_told),
        cmocka_unit_test(test_sleep_and_jumps_are_told_apart),
        cmocka_unit_test(test_gotime_counts_from_year_one),
        cmocka_unit_test(test_gotime_is_printed_as_rfc3339),
        cmocka_unit_test(test_gotime_refuses_what_is_not_rfc3339),
        cmocka_unit_test(test_gotime_text_reads_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
