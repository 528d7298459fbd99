/* Scenarios as text: every step, its options, and what is no step. */
#include "sim/script.h"

#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/limits.h"
#include "tests/support/check.h"

#define SEC NSEC_PER_SEC

static struct step good(const char *line)
{
    struct step s = {0};
    struct err e = {0};
    int r = step_parse(line, &s, &e);

    if (r != 0)
        fail_msg("%s: %d %s", line, r, e.text);
    return s;
}

static void bad(const char *line, const char *text)
{
    struct step s = {.verb = STEP_MAX};
    struct err e = {0};

    assert_int_equal(step_parse(line, &s, &e), -EINVAL);
    assert_string_equal(e.text, text);
    assert_int_equal(s.verb, STEP_MAX); /* written only on success */
}

static void test_join_over_a_time(void **state)
{
    struct step s = good("0s join 10000 over 30s");

    (void)state;
    assert_int_equal(s.verb, STEP_JOIN);
    assert_true(s.has_time && s.at_ns == 0);
    assert_true(s.count == 10000 && !s.percent);
    assert_int_equal(s.over_ns, 30 * SEC);
}

static void test_each_verb_with_its_options(void **state)
{
    struct step s = good("2m drop 10% for 1m");

    (void)state;
    assert_true(s.verb == STEP_DROP && s.percent && s.count == 10 && s.for_ns == 60 * SEC);
    assert_int_equal(s.at_ns, 120 * SEC);
    s = good("3m flap 100 for 1m every 5s");
    assert_true(s.verb == STEP_FLAP && !s.percent && s.count == 100);
    assert_true(s.every_ns == 5 * SEC && s.for_ns == 60 * SEC);
    s = good("4m\tpartition  50% for 2m over 1s # half of them");
    assert_true(s.verb == STEP_PARTITION && s.percent && s.over_ns == SEC);
    s = good("6m restart all over 10s");
    assert_true(s.verb == STEP_RESTART && s.percent && s.count == 100);
    s = good("leave 500");
    assert_true(s.verb == STEP_LEAVE && !s.has_time && s.count == 500);
    assert_int_equal(good("8m steady").verb, STEP_STEADY);
    assert_int_equal(good("status").verb, STEP_STATUS);
    assert_int_equal(good("1h30m end").verb, STEP_END);
}

static void test_churn_is_a_rate(void **state)
{
    struct step s = good("5m churn 1%/min");

    (void)state;
    assert_true(s.verb == STEP_CHURN && s.percent && s.count == 1 && s.per_ns == 60 * SEC);
    s = good("churn 2.5/s for 1m");
    assert_true(!s.percent && s.count > 2.4 && s.count < 2.6 && s.per_ns == SEC);
    s = good("churn 0.5%/h");
    assert_int_equal(s.per_ns, 3600 * SEC);
}

static void test_empty_lines_and_comments_are_no_steps(void **state)
{
    static const char *const lines[] = {"", "   \t", "# join 5", "  # x"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        struct step s;
        struct err e;

        assert_int_equal(step_parse(lines[i], &s, &e), 1);
    }
}

static void test_bad_lines_say_what_is_expected(void **state)
{
    (void)state;
    bad("joyn 5", "there is no step \"joyn\", did you mean \"join\"?");
    bad("xyzzyx 5", "there is no step \"xyzzyx\"");
    bad("join", "how many is missing behind \"join\": the step is: join N [over TIME]");
    bad("join 10%", "no number of agents: \"10%\": the step is: join N [over TIME]");
    bad("join -1", "no number of agents: \"-1\": the step is: join N [over TIME]");
    bad("join 1000001", "no number of agents: \"1000001\": the step is: join N [over TIME]");
    bad("drop 101%",
        "no number of agents: \"101%\": the step is: drop N|P%|all [over TIME] [for TIME]");
    bad("drop 5 for", "no time behind \"for\": the step is: drop N|P%|all [over TIME] [for TIME]");
    bad("drop 5 for 0s", "a time above zero is expected behind \"for\": the step is: drop "
                         "N|P%|all [over TIME] [for TIME]");
    bad("drop 5 until 3s", "unexpected \"until\": the step is: drop N|P%|all [over TIME] [for "
                           "TIME]");
    bad("restart all for 3s", "unexpected \"for\": the step is: restart N|P%|all [over TIME]");
    bad("flap 5", "no \"every\" in \"flap\": the step is: flap N|P%|all every TIME [for TIME]");
    bad("churn 5", "no rate: \"5\": the step is: churn N|P%/s|min|h [for TIME]");
    bad("churn 5/day", "no rate: \"5\": the step is: churn N|P%/s|min|h [for TIME]");
    bad("5x join 3", "\"5x\" is no time: 30s, 2m, 1h30m");
    bad("steady 5", "unexpected \"5\": the step is: steady");
}

static void test_a_line_has_a_ceiling(void **state)
{
    char line[SIM_LINE_MAX + 2];
    struct step s;
    struct err e;

    (void)state;
    memset(line, 'a', sizeof(line));
    line[sizeof(line) - 1] = '\0';
    assert_int_equal(step_parse(line, &s, &e), -EINVAL);
    assert_non_null(strstr(e.text, "longer than"));
}

static void test_a_script_is_in_order(void **state)
{
    struct script s = {0};
    struct err e;

    (void)state;
    assert_int_equal(
        script_parse("x.sim", "# a day\n0s join 5\n\n10s drop 1\nstatus\n20s end", &s, &e), 0);
    assert_int_equal(s.n, 4);
    assert_int_equal(s.steps[2].verb, STEP_STATUS);
    assert_int_equal(s.steps[2].at_ns, 10 * SEC); /* that of the line above */
    script_done(&s);
    assert_null(s.steps);
}

static void test_errors_of_a_script_name_the_line(void **state)
{
    struct script s = {0};
    struct err e;

    (void)state;
    assert_int_equal(script_parse("x.sim", "0s join 5\n\n5s jion 3\n", &s, &e), -EINVAL);
    assert_string_equal(e.text, "x.sim:3: there is no step \"jion\", did you mean \"join\"?");
    assert_int_equal(script_parse("x.sim", "5s join 5\n4s end", &s, &e), -EINVAL);
    assert_string_equal(e.text, "x.sim:2: the step is earlier than the one above");
    assert_null(s.steps);
}

static void test_a_script_has_a_ceiling(void **state)
{
    _cleanup_buf_ struct buf b = BUF_INIT(SIM_SCRIPT_MAX);
    struct script s = {0};
    struct err e;

    (void)state;
    for (size_t i = 0; i <= SIM_STEPS_MAX; i++)
        buf_add_str(&b, "status\n");
    assert_int_equal(script_parse("x", buf_str(&b), &s, &e), -EINVAL);
    assert_string_equal(e.text, "x:10001: more than 10000 steps");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_join_over_a_time),
        cmocka_unit_test(test_each_verb_with_its_options),
        cmocka_unit_test(test_churn_is_a_rate),
        cmocka_unit_test(test_empty_lines_and_comments_are_no_steps),
        cmocka_unit_test(test_bad_lines_say_what_is_expected),
        cmocka_unit_test(test_a_line_has_a_ceiling),
        cmocka_unit_test(test_a_script_is_in_order),
        cmocka_unit_test(test_errors_of_a_script_name_the_line),
        cmocka_unit_test(test_a_script_has_a_ceiling),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
