/* Log records: form of the lines, levels, taps, a pipe that is full. */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <json-c/json.h>

#include "base/clock.h"

static char last[16384]; /* what the tap saw last */
static int n_lines;
static int real_stderr = -1, pipe_out = -1;

static void take(void *arg, const char *line)
{
    (void)arg;
    (void)snprintf(last, sizeof(last), "%s", line);
    n_lines++;
}

static struct log_tap tap = {.level = LOG_LEVEL_INFO, .fn = take};

/* standard error becomes a pipe, so that the lines do not mix with the test's own */
static int setup(void **state)
{
    int fds[2];

    (void)state;
    (void)setenv("JOURNAL_STREAM", "1:1", 1); /* somebody else's: ours was redirected */
    if (pipe2(fds, O_CLOEXEC) < 0)
        return -1;
    (void)fcntl(fds[0], F_SETFL, O_NONBLOCK);
    real_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
    (void)dup2(fds[1], STDERR_FILENO);
    (void)close(fds[1]);
    pipe_out = fds[0];
    clock_fake(true, 1, INT64_C(1600000000123456789));
    log_set_level(LOG_LEVEL_INFO);
    log_set_json(false);
    tap.level = LOG_LEVEL_INFO;
    tap.json = false;
    log_tap_add(&tap);
    n_lines = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    log_tap_remove(&tap);
    clock_fake(false, 0, 0);
    (void)dup2(real_stderr, STDERR_FILENO);
    (void)close(real_stderr);
    (void)close(pipe_out);
    return 0;
}

static void test_log_writes_a_line_with_fields(void **state)
{
    struct err_like {
        char text[10];
    } e = {"no way"};
    char text[512] = "";

    (void)state;
    log_info("node registered", KV("node_id", "abc"), KI("servers", 3), KE(&e));
    assert_string_equal(last,
                        "2020-09-13T12:26:40.123Z [INFO]  node registered node_id=abc servers=3 "
                        "error=\"no way\"");
    assert_true(read(pipe_out, text, sizeof(text) - 1) > 0);
    assert_int_equal(strncmp(text, last, strlen(last)), 0);
    assert_int_equal(text[strlen(last)], '\n');
    log_info("alone");
    assert_string_equal(last, "2020-09-13T12:26:40.123Z [INFO]  alone");
}

static void test_log_returns_the_code_and_keeps_errno(void **state)
{
    (void)state;
    errno = EBADE;
    assert_int_equal(log_error(-ENOENT, "cannot read config", KV("path", "/x")), -ENOENT);
    assert_int_equal(errno, EBADE);
    assert_non_null(strstr(last, "[ERROR] cannot read config path=/x "
                                 "errno=\"No such file or directory\""));
    assert_int_equal(log_warn(0, "odd"), 0);
    assert_non_null(strstr(last, "[WARN]  odd"));
    assert_null(strstr(last, "errno"));
}

static void test_log_quotes_values(void **state)
{
    static const struct {
        const char *value, *shown;
    } rows[] = {
        {"plain",    " v=plain"          },
        {"",         " v=\"\""           },
        {NULL,       " v=\"\""           },
        {"a b",      " v=\"a b\""        },
        {"a\"b",     " v=\"a\\\"b\""     },
        {"a\nb",     " v=\"a\\nb\""      },
        {"a=b",      " v=\"a=b\""        },
        {"\x1b[31m", " v=\"\\u001b[31m\""},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        log_info("m", KV("v", rows[i].value));
        assert_string_equal(last + strlen("2020-09-13T12:26:40.123Z [INFO]  m"), rows[i].shown);
    }
}

/* what has been written to standard error since the last time */
static size_t written(char *ret, size_t size)
{
    ssize_t n = read(pipe_out, ret, size - 1);

    ret[n > 0 ? n : 0] = 0;
    return n > 0 ? (size_t)n : 0;
}

static void test_log_keeps_to_its_level(void **state)
{
    char text[512];

    (void)state;
    log_tap_remove(&tap);
    log_debug("unseen");
    assert_int_equal(written(text, sizeof(text)), 0);
    log_set_level(LOG_LEVEL_DEBUG);
    log_debug("seen");
    assert_true(written(text, sizeof(text)) > 0);
    log_set_level(LOG_LEVEL_OFF);
    assert_int_equal(log_error(-EIO, "unseen"), -EIO);
    assert_int_equal(written(text, sizeof(text)), 0);
    assert_int_equal(log_get_level(), LOG_LEVEL_OFF);
}

static void test_log_tap_has_a_level_of_its_own(void **state)
{
    char text[512];

    (void)state;
    tap.level = LOG_LEVEL_DEBUG;
    log_tap_remove(&tap);
    log_tap_add(&tap);
    log_debug("for the tap alone");
    assert_non_null(strstr(last, "[DEBUG] for the tap alone"));
    assert_int_equal(written(text, sizeof(text)), 0);
    log_set_level(LOG_LEVEL_OFF);
    log_info("still for the tap");
    assert_int_equal(n_lines, 2);
    assert_int_equal(written(text, sizeof(text)), 0);
    log_tap_remove(&tap);
    tap.level = LOG_LEVEL_WARN;
    log_tap_add(&tap);
    log_info("below it");
    assert_int_equal(n_lines, 2);
}

static void test_log_taps_have_their_own_form(void **state)
{
    char other[512] = "";
    struct log_tap second = {.level = LOG_LEVEL_INFO, .json = true};

    (void)state;
    second.fn = take;
    log_tap_remove(&tap);
    log_tap_add(&second);
    log_info("m", KI("n", 1));
    assert_string_equal(
        last, "{\"@level\":\"info\",\"@message\":\"m\",\"@timestamp\":\"2020-09-13T12:26:40.123Z\","
              "\"n\":1}");
    assert_true(written(other, sizeof(other)) > 0);
    assert_non_null(strstr(other, "[INFO]  m n=1\n")); /* the log itself stays text */
    log_tap_remove(&second);
    log_info("m");
    assert_int_equal(n_lines, 1);
    log_tap_remove(&second); /* harmless */
}

static void log_from_inside(void *arg, const char *line)
{
    (void)arg;
    (void)line;
    n_lines++;
    log_info("about the tap");
}

static void test_log_tap_does_not_hear_itself(void **state)
{
    struct log_tap loud = {.level = LOG_LEVEL_INFO, .fn = log_from_inside};

    (void)state;
    log_tap_add(&loud);
    log_info("once");
    log_tap_remove(&loud);
    assert_int_equal(n_lines, 2); /* each tap once */
    assert_non_null(strstr(last, "once"));
}

static void test_log_levels_have_names(void **state)
{
    enum log_level level = LOG_LEVEL_OFF;

    (void)state;
    assert_int_equal(log_level_parse("warn", &level), 0);
    assert_int_equal(level, LOG_LEVEL_WARN);
    assert_int_equal(log_level_parse("TRACE", &level), 0);
    assert_int_equal(level, LOG_LEVEL_TRACE);
    assert_int_equal(log_level_parse("warning", &level), -EINVAL);
    assert_int_equal(log_level_parse("", &level), -EINVAL);
    assert_string_equal(log_level_name(LOG_LEVEL_ERROR), "ERROR");
}

static void test_log_writes_json(void **state)
{
    struct json_object *o, *v;

    (void)state;
    log_tap_remove(&tap);
    tap.json = true;
    log_tap_add(&tap);
    (void)log_warn(-EIO, "a \"message\"\n", KV("path", "C:\\x\ty"), KI("n", -5));
    o = json_tokener_parse(last);
    assert_non_null(o);
    assert_true(json_object_object_get_ex(o, "@message", &v));
    assert_string_equal(json_object_get_string(v), "a \"message\"\n");
    assert_true(json_object_object_get_ex(o, "@level", &v));
    assert_string_equal(json_object_get_string(v), "warn");
    assert_true(json_object_object_get_ex(o, "path", &v));
    assert_string_equal(json_object_get_string(v), "C:\\x\ty");
    assert_true(json_object_object_get_ex(o, "n", &v));
    assert_int_equal(json_object_get_int(v), -5);
    assert_true(json_object_object_get_ex(o, "@timestamp", &v));
    assert_string_equal(json_object_get_string(v), "2020-09-13T12:26:40.123Z");
    json_object_put(o);
}

static void test_log_cuts_what_is_too_long(void **state)
{
    char large[10000], text[16384];

    (void)state;
    memset(large, 'x', sizeof(large) - 1);
    large[sizeof(large) - 1] = 0;
    log_info("m", KV("v", large));
    assert_true(strlen(last) <= 8192);
    memset(large, '"', sizeof(large) - 1);
    log_info("m", KV("v", large));
    assert_true(strlen(last) <= 8192);
    (void)written(text, sizeof(text));
    log_info("m", KV("v", large));
    log_info("next");
    (void)written(text, sizeof(text));
    assert_non_null(strstr(text, "\n2020-09-13T12:26:40.123Z [INFO]  next\n")); /* its own line */
}

static void test_log_drops_when_nobody_reads(void **state)
{
    uint64_t before = log_dropped();
    char drain[4096];

    (void)state;
    (void)alarm(20); /* a logger that blocks would hang here */
    for (int i = 0; i < 3000; i++)
        log_info("a record that fills the pipe until it takes no more");
    (void)alarm(0);
    assert_true(log_dropped() > before);
    while (read(pipe_out, drain, sizeof(drain)) > 0)
        ;
    log_info("next");
    (void)written(drain, sizeof(drain));
    log_info("next");
    (void)written(drain, sizeof(drain));
    assert_null(strstr(drain, "dropped_records"));
}

static void test_log_tells_how_many_were_dropped(void **state)
{
    char drain[65536];
    _cleanup_free_ char *expected = NULL;

    (void)state;
    for (int i = 0; i < 3000; i++)
        log_info("a record that fills the pipe until it takes no more");
    while (read(pipe_out, drain, sizeof(drain)) > 0)
        ;
    expected = xasprintf(" dropped_records=%llu", (unsigned long long)log_dropped());
    log_info("room again");
    (void)written(drain, sizeof(drain));
    assert_non_null(strstr(drain, expected));
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_log_writes_a_line_with_fields),
        TEST(test_log_returns_the_code_and_keeps_errno),
        TEST(test_log_quotes_values),
        TEST(test_log_keeps_to_its_level),
        TEST(test_log_tap_has_a_level_of_its_own),
        TEST(test_log_taps_have_their_own_form),
        TEST(test_log_tap_does_not_hear_itself),
        TEST(test_log_levels_have_names),
        TEST(test_log_writes_json),
        TEST(test_log_cuts_what_is_too_long),
        TEST(test_log_drops_when_nobody_reads),
        TEST(test_log_tells_how_many_were_dropped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
