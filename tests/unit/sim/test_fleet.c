/* A fleet without a server: steps reach the right number of agents at the right time; the report
 * says so. */
#include "sim/fleet.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rand.h"
#include "base/str.h"
#include "codec/js.h"
#include "sim/input.h"
#include "sim/report.h"
#include "tests/support/check.h"
#include "wire/conn.h"

#define SEC NSEC_PER_SEC

struct fixture {
    struct sim_common c;
    struct profile_mix mix;
    struct fleet *fleet;
    struct report report;
};

static int open_fixture(void **state)
{
    struct fixture *f = xnew0(struct fixture);
    struct fleet_opts o = {.common = &f->c, .mix = &f->mix, .agents_max = 100};
    struct err e;

    rand_seed(42);
    clock_fake(true, 1000 * SEC, INT64_C(1700000000) * (int64_t)SEC);
    assert_int_equal(loop_new(&f->c.loop), 0);
    f->c.lists = sim_servers_new();
    assert_int_equal(sim_servers_parse(f->c.lists, "127.0.0.1:1", &f->c.servers, &e), 0);
    source_default(&f->c.servers->servers[0].sa, &f->c.source);
    f->c.region = "global";
    f->c.prefix = "sim";
    assert_int_equal(profile_mix_load("sim/profiles", "vm", &f->mix, &e), 0);
    f->fleet = fleet_new(&o);
    report_init(&f->report, f->fleet, &f->c);
    *state = f;
    return 0;
}

static int close_fixture(void **state)
{
    struct fixture *f = *state;

    f->fleet = fleet_free(f->fleet);
    for (size_t i = 0; i < SIM_STATES; i++)
        assert_int_equal(f->c.states[i], 0);
    profile_mix_done(&f->mix);
    (void)sim_servers_free(f->c.lists);
    conn_drop_closing(f->c.loop);
    f->c.loop = loop_free(f->c.loop);
    clock_fake(false, 0, 0);
    rand_seed(0);
    free(f);
    return 0;
}

static void pass(struct fixture *f, uint64_t ns)
{
    for (uint64_t i = 0; i < ns; i += 10 * NSEC_PER_MSEC) {
        clock_fake_advance(10 * NSEC_PER_MSEC);
        (void)loop_run_due(f->c.loop);
        assert_int_equal(loop_turn(f->c.loop, 0), 0);
    }
}

static void step(struct fixture *f, const char *text)
{
    struct step s;
    struct err e = {0};

    assert_int_equal(step_parse(text, &s, &e), 0);
    if (fleet_step(f->fleet, &s, &e) < 0)
        fail_msg("%s: %s", text, e.text);
}

static size_t in(const struct fixture *f, enum sim_state s)
{
    return f->c.states[s];
}

static void test_they_join_evenly(void **state)
{
    struct fixture *f = *state;

    step(f, "join 100 over 10s");
    assert_int_equal(in(f, SIM_WAITING), 100);
    assert_true(fleet_is_busy(f->fleet));
    pass(f, 5 * SEC);
    assert_in_range(in(f, SIM_WAITING), 49, 51);
    pass(f, 6 * SEC);
    assert_int_equal(in(f, SIM_WAITING), 0);
    assert_int_equal(in(f, SIM_STARTING), 100);
    assert_false(fleet_is_busy(f->fleet));
    assert_true(f->c.tally.refused > 0);
}

static void test_too_many_are_refused(void **state)
{
    struct fixture *f = *state;
    struct step s = {.verb = STEP_JOIN, .count = 60};
    struct err e;

    assert_int_equal(fleet_step(f->fleet, &s, &e), 0);
    assert_int_equal(fleet_step(f->fleet, &s, &e), -ENFILE);
    assert_non_null(
        strstr(e.text, "120 agents need as many file descriptors, and there are enough for 100"));
    assert_int_equal(fleet_agents(f->fleet), 60);
}

static void test_a_share_drops_and_comes_back(void **state)
{
    struct fixture *f = *state;

    step(f, "join 50");
    pass(f, SEC);
    step(f, "drop 10% for 5s");
    pass(f, SEC);
    assert_int_equal(in(f, SIM_DEAD), 5);
    step(f, "drop 3");
    pass(f, 2 * SEC);
    assert_int_equal(in(f, SIM_DEAD), 8);
    pass(f, 3 * SEC);
    assert_int_equal(in(f, SIM_DEAD), 3); /* those without an end stay dead */
    step(f, "restart all");
    pass(f, SEC);
    assert_int_equal(in(f, SIM_STARTING), 50);
}

static void test_flapping_ends_up(void **state)
{
    struct fixture *f = *state;

    step(f, "join 20");
    pass(f, SEC);
    step(f, "flap 25% every 1s for 3500ms");
    pass(f, SEC / 2);
    assert_int_equal(in(f, SIM_CUT), 5);
    pass(f, SEC);
    assert_int_equal(in(f, SIM_CUT), 0);
    pass(f, SEC);
    assert_int_equal(in(f, SIM_CUT), 5);
    pass(f, 3 * SEC);
    assert_int_equal(in(f, SIM_CUT), 0);
    step(f, "flap all every 1s");
    pass(f, SEC / 2);
    assert_int_equal(in(f, SIM_CUT), 20);
    step(f, "steady");
    pass(f, SEC / 10);
    assert_int_equal(in(f, SIM_CUT), 0);
    pass(f, 5 * SEC);
    assert_int_equal(in(f, SIM_CUT), 0);
}

static void test_partition_heals(void **state)
{
    struct fixture *f = *state;

    step(f, "join 20");
    pass(f, SEC);
    step(f, "partition 50% for 3s");
    pass(f, SEC);
    assert_int_equal(in(f, SIM_PARTED), 10);
    step(f, "partition all for 1s"); /* the others: nobody twice */
    pass(f, SEC / 2);
    assert_int_equal(in(f, SIM_PARTED), 20);
    pass(f, 3 * SEC);
    assert_int_equal(in(f, SIM_PARTED), 0);
}

static void test_leaving_is_for_good(void **state)
{
    struct fixture *f = *state;

    step(f, "join 20");
    pass(f, SEC);
    step(f, "leave 5");
    pass(f, SEC);
    assert_int_equal(fleet_agents(f->fleet), 15);
    step(f, "restart all");
    pass(f, SEC);
    assert_int_equal(fleet_agents(f->fleet), 15);
    step(f, "leave 1000");
    pass(f, SEC);
    assert_int_equal(fleet_agents(f->fleet), 0);
    step(f, "drop 50%"); /* of nobody */
    pass(f, SEC);
}

static void test_churn_keeps_the_number(void **state)
{
    struct fixture *f = *state;

    step(f, "join 40");
    pass(f, SEC);
    step(f, "churn 10%/s for 2s");
    pass(f, 4 * SEC);
    assert_int_equal(fleet_agents(f->fleet), 40);
    assert_true(f->c.tally.refused >= 40 + 7); /* the new ones have tried too */
}

/* --- the report --- */

static void test_the_report_is_json(void **state)
{
    struct fixture *f = *state;
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 20);
    const char *value;
    struct err e;
    size_t n;

    step(f, "join 3");
    pass(f, SEC);
    tally_error(&f->c.tally, "a \"quoted\" error");
    report_json(&f->report, &b);
    assert_int_equal(js_scan(buf_str(&b), b.len, &value, &n, &e), 0);
    assert_int_equal(n, b.len - 1); /* one line */
    assert_non_null(strstr(buf_str(&b), "\"starting\":3"));
    assert_non_null(strstr(buf_str(&b), "\"a \\\"quoted\\\" error\":1"));
    assert_non_null(strstr(buf_str(&b), "\"Node.UpdateStatus\":{\"count\":0,"));
}

static void test_lines_and_text(void **state)
{
    struct fixture *f = *state;
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 20);

    step(f, "join 3");
    pass(f, SEC);
    report_line(&f->report, &b);
    assert_true(
        str_starts(buf_str(&b), "   1.0s  3 agents: starting 3, ready 0; 0 calls/s, 0 beats/s"));
    buf_reset(&b);
    report_text(&f->report, &b);
    assert_true(str_starts(buf_str(&b), "3 agents: starting 3, ready 0\n"));
    assert_non_null(strstr(buf_str(&b), "Connection refused"));
}

static void test_expectations(void **state)
{
    static const struct {
        const char *text;
        size_t unmet;
    } rows[] = {
        {"agents=3",                                      0},
        {"starting=3,ready=0",                            0},
        {"starting>=3,starting<=3,starting>2,starting<4", 0},
        {"ready=3,errors=1",                              2},
        {"ready>0",                                       1},
        {"beat.p99_ms<100",                               0},
        {"register.count=0",                              0},
    };
    struct fixture *f = *state;

    step(f, "join 3");
    pass(f, SEC);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_buf_ struct buf b = BUF_INIT(1 << 16);
        struct err e;

        assert_int_equal(report_check(&f->report, rows[i].text, &e), 0);
        assert_int_equal(report_unmet(&f->report, rows[i].text, &b), rows[i].unmet);
        assert_int_equal(b.len > 0, rows[i].unmet > 0);
    }
}

static void test_bad_expectations(void **state)
{
    static const char *const texts[] = {"ready",    "ready=",  "=5",          "ready=x",
                                        "ready==5", "raedy=5", "ready=5,late"};
    struct fixture *f = *state;

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct err e = {0};

        assert_int_equal(report_check(&f->report, texts[i], &e), -EINVAL);
        assert_true(e.text[0]);
    }
}

/* --- steps at their times --- */

struct seen {
    enum step_verb verbs[8];
    size_t n;
};

static void on_step(void *arg, const struct step *s)
{
    struct seen *seen = arg;

    seen->verbs[seen->n++] = s->verb;
}

static void test_a_file_happens_at_its_times(void **state)
{
    struct fixture *f = *state;
    struct seen seen = {.n = 0};
    _cleanup_(input_freep) struct input *in =
        input_new(&(struct input_opts){.loop = f->c.loop, .on_step = on_step, .arg = &seen});
    _cleanup_free_ char *path = xasprintf("%s/day.sim", str_or_empty(getenv("TMPDIR")));
    FILE *file = fopen(path, "we");
    struct err e;

    assert_non_null(file);
    assert_true(fputs("0s join 5\n1s drop 1\n1s status\n3s end\n", file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(input_file(in, path, &e), 0);
    pass(f, SEC / 2);
    assert_int_equal(seen.n, 1);
    pass(f, SEC);
    assert_int_equal(seen.n, 3);
    assert_int_equal(seen.verbs[2], STEP_STATUS);
    pass(f, 2 * SEC);
    assert_int_equal(seen.n, 4);
    assert_int_equal(input_file(in, "/nonexistent", &e), -ENOENT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_fixture, close_fixture)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_they_join_evenly),
        TEST(test_too_many_are_refused),
        TEST(test_a_share_drops_and_comes_back),
        TEST(test_flapping_ends_up),
        TEST(test_partition_heals),
        TEST(test_leaving_is_for_good),
        TEST(test_churn_keeps_the_number),
        TEST(test_the_report_is_json),
        TEST(test_lines_and_text),
        TEST(test_expectations),
        TEST(test_bad_expectations),
        TEST(test_a_file_happens_at_its_times),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
