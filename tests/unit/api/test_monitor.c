/* The log as a stream: frames, heartbeats, levels, a reader that is slow. */
#include "api/monitor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/limits.h"

#define MS NSEC_PER_MSEC

struct bed {
    struct loop *loop;
    struct monitor *m;
    struct buf out; /* what was written */
    size_t room, writes;
};

static size_t room(void *arg)
{
    return ((struct bed *)arg)->room;
}

static void take(void *arg, const void *p, size_t n)
{
    struct bed *b = arg;

    assert_true(n <= b->room);
    buf_add(&b->out, p, n);
    b->writes++;
}

static int setup(void **state)
{
    struct bed *b = xnew0(struct bed);

    clock_fake(true, UINT64_C(1) << 60, INT64_C(1600000000123456789));
    if (loop_new(&b->loop) < 0)
        return -1;
    b->out = BUF_INIT(MIB);
    b->room = HTTP_STREAM_MAX;
    log_set_level(LOG_LEVEL_OFF);
    *state = b;
    return 0;
}

static int teardown(void **state)
{
    struct bed *b = *state;

    b->m = monitor_free(b->m);
    buf_done(&b->out);
    (void)loop_free(b->loop);
    clock_fake(false, 0, 0);
    free(b);
    return 0;
}

static void open_monitor(struct bed *b, enum log_level level, bool json, bool plain)
{
    static const struct monitor_sink sink = {room, take};

    b->m = monitor_new(&(struct monitor_opts){
        .loop = b->loop, .level = level, .json = json, .plain = plain, .sink = &sink, .arg = b});
}

static void pass(struct bed *b, uint64_t ns)
{
    clock_fake_advance(ns);
    (void)loop_run_due(b->loop);
}

static const char *written(const struct bed *b)
{
    return buf_str(&b->out);
}

static void test_lines_are_gathered_into_one_frame(void **state)
{
    struct bed *b = *state;

    open_monitor(b, LOG_LEVEL_INFO, false, false);
    log_info("one");
    log_info("two");
    assert_int_equal(b->writes, 0);
    pass(b, 100 * MS);
    assert_int_equal(b->writes, 1);
    /* two lines, each with its time, as base64 */
    assert_string_equal(written(b),
                        "{\"Data\":\"MjAyMC0wOS0xM1QxMjoyNjo0MC4xMjNaIFtJTkZPXSAgb25lCjIwMjAtMDkt"
                        "MTNUMTI6MjY6NDAuMTIzWiBbSU5GT10gIHR3bwo=\",\"FileEvent\":\"log\"}");
}

static void test_heartbeats_while_idle(void **state)
{
    struct bed *b = *state;

    open_monitor(b, LOG_LEVEL_INFO, false, false);
    for (int i = 0; i < 3; i++)
        pass(b, 1000 * MS);
    assert_string_equal(written(b), "{}{}{}");
    buf_reset(&b->out);
    pass(b, 900 * MS);
    log_info("now");
    pass(b, 100 * MS); /* the frame counts as one */
    pass(b, 900 * MS);
    assert_null(strstr(written(b), "{}"));
    pass(b, 100 * MS);
    assert_non_null(strstr(written(b), "{}"));
}

static void test_plain_lines_without_heartbeats(void **state)
{
    struct bed *b = *state;

    open_monitor(b, LOG_LEVEL_INFO, false, true);
    pass(b, 5000 * MS);
    assert_int_equal(b->writes, 0);
    log_info("one", KI("n", 1));
    pass(b, 100 * MS);
    assert_non_null(strstr(written(b), "[INFO]  one n=1\n"));
}

/* also when what has left makes no room for that word itself */
static void test_count_of_dropped_lines_is_not_lost(void **state)
{
    _cleanup_free_ char *rest = xnew0_n(char, MONITOR_MAX);
    struct bed *b = *state;

    b->room = 0;
    open_monitor(b, LOG_LEVEL_INFO, false, true);
    log_info("short");
    for (int i = 0; i < 7; i++) /* 5 of them fit, and not a line more */
        log_info("long", KV("rest", memset(rest, 'x', 6500)));
    for (int i = 0; i < 3; i++)
        log_info("lost", KV("rest", memset(rest, 'x', 200)));
    b->room = 40; /* "short" fits */
    pass(b, 100 * MS);
    assert_non_null(strstr(written(b), "short\n"));
    b->room = HTTP_STREAM_MAX;
    pass(b, 100 * MS);
    pass(b, 100 * MS);
    assert_non_null(strstr(written(b), "[WARN] Monitor dropped 5 logs during monitor request\n"));
}

static void test_level_is_the_readers(void **state)
{
    struct bed *b = *state;

    open_monitor(b, LOG_LEVEL_DEBUG, false, true);
    log_debug("deep");
    pass(b, 100 * MS);
    assert_non_null(strstr(written(b), "[DEBUG] deep"));
    b->m = monitor_free(b->m);
    buf_reset(&b->out);
    open_monitor(b, LOG_LEVEL_WARN, false, true);
    log_info("not this");
    (void)log_warn(0, "but this");
    pass(b, 100 * MS);
    assert_null(strstr(written(b), "not this"));
    assert_non_null(strstr(written(b), "but this"));
}

static void test_json_lines(void **state)
{
    struct bed *b = *state;

    open_monitor(b, LOG_LEVEL_INFO, true, true);
    log_info("one");
    pass(b, 100 * MS);
    assert_string_equal(written(b), "{\"@level\":\"info\",\"@message\":\"one\",\"@timestamp\":"
                                    "\"2020-09-13T12:26:40.123Z\"}\n");
}

static void test_lines_wait_while_there_is_no_room(void **state)
{
    struct bed *b = *state;

    open_monitor(b, LOG_LEVEL_INFO, false, true);
    b->room = 10;
    log_info("one");
    pass(b, 5000 * MS);
    assert_int_equal(b->writes, 0);
    b->room = HTTP_STREAM_MAX;
    monitor_room(b->m);
    pass(b, 0);
    assert_non_null(strstr(written(b), "one\n"));
    assert_null(strstr(written(b), "dropped"));
}

/* only whole lines, as many as fit */
static void test_little_room_takes_some_lines(void **state)
{
    struct bed *b = *state;

    open_monitor(b, LOG_LEVEL_INFO, false, true);
    for (int i = 0; i < 10; i++)
        log_info("a line", KI("i", i));
    b->room = 100; /* two of them */
    pass(b, 100 * MS);
    assert_int_equal(b->writes, 1);
    assert_true(b->out.len <= 100 && b->out.p[b->out.len - 1] == '\n');
    b->room = HTTP_STREAM_MAX;
    pass(b, 100 * MS);
    assert_non_null(strstr(written(b), "a line i=9\n"));
}

static void test_slow_reader_loses_lines_and_is_told(void **state)
{
    struct bed *b = *state;
    char large[4000];

    memset(large, 'x', sizeof(large) - 1);
    large[sizeof(large) - 1] = 0;
    open_monitor(b, LOG_LEVEL_INFO, false, true);
    b->room = 0;
    for (int i = 0; i < 20; i++)
        log_info("large", KV("v", large));
    pass(b, 1000 * MS);
    b->room = 2 * MONITOR_MAX;
    monitor_room(b->m);
    pass(b, 0);
    assert_true(b->out.len <= MONITOR_MAX);
    pass(b, 100 * MS);
    assert_non_null(strstr(written(b), "[WARN] Monitor dropped 12 logs during monitor request\n"));
    buf_reset(&b->out);
    log_info("after");
    pass(b, 100 * MS);
    assert_non_null(strstr(written(b), "after"));
    assert_null(strstr(written(b), "dropped"));
}

static void test_nothing_comes_after_the_end(void **state)
{
    struct bed *b = *state;

    open_monitor(b, LOG_LEVEL_INFO, false, false);
    log_info("one");
    b->m = monitor_free(b->m);
    log_info("two");
    pass(b, 5000 * MS);
    assert_int_equal(b->writes, 0);
    assert_true(loop_next_timer(b->loop) == UINT64_MAX);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_lines_are_gathered_into_one_frame),
        TEST(test_heartbeats_while_idle),
        TEST(test_plain_lines_without_heartbeats),
        TEST(test_count_of_dropped_lines_is_not_lost),
        TEST(test_level_is_the_readers),
        TEST(test_json_lines),
        TEST(test_lines_wait_while_there_is_no_room),
        TEST(test_little_room_takes_some_lines),
        TEST(test_slow_reader_loses_lines_and_is_told),
        TEST(test_nothing_comes_after_the_end),
    };

    loop_block_signals();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
