/* `picket node status` against recorded answers: letter by letter what Nomad's own command printed
 * for them (1.10.5), and what it says when things go wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <json-c/json.h>

#include "base/str.h"
#include "cli/command.h"
#include "tests/support/canned_http.h"
#include "tests/support/captured.h"
#include "tests/support/recorded_cli.h"

static int setup(void **state)
{
    *state = recorded_cli_start("cli/nomad-1.10.5.json");
    return 0;
}

static int teardown(void **state)
{
    recorded_cli_stop(*state);
    return 0;
}

static void test_node_status_prints_what_nomad_prints(void **state)
{
    assert_true(recorded_cli_check(*state, (const char *const[]){"node", "status", NULL}) >= 20);
}

static void run(struct captured *c, const char *a, const char *b)
{
    captured_args(c, command_main, "node", "status", a, b, NULL);
}

static void test_node_status_json_is_the_answer(void **state)
{
    struct recorded_cli *b = *state;
    struct captured c _cleanup_captured_ = {0};
    struct json_object *printed, *sent;

    run(&c, "-json", "a2b4e693");
    assert_int_equal(c.status, 0);
    assert_true(str_starts(c.out, "{\n    \"Attributes\": {\n"));
    assert_true(str_ends(c.out, "\n}\n"));
    printed = json_tokener_parse(c.out);
    sent =
        json_tokener_parse(recorded_cli_answer(b, "/v1/node/a2b4e693-6c9a-33e5-f311-42a2f2455d4e"));
    assert_true(json_object_equal(printed, sent));
    json_object_put(printed);
    json_object_put(sent);
    run(&c, "-json", NULL);
    assert_int_equal(c.status, 0);
    assert_true(str_starts(c.out, "[\n    {\n"));
}

/* a node that is down, or a server without statistics, is no error */
static void test_node_status_without_statistics(void **state)
{
    struct captured c _cleanup_captured_ = {0};

    (void)state;
    run(&c, "a2b4ffff", NULL);
    assert_int_equal(c.status, 0);
    assert_string_equal(c.err, "");
    assert_non_null(strstr(c.out, "Drain           = true; force drain; ignoring system jobs\n"));
    assert_null(strstr(c.out, "Uptime"));
    assert_null(strstr(c.out, "Host Resource Utilization"));
}

static void test_node_status_flags(void **state)
{
    struct captured c _cleanup_captured_ = {0};

    (void)state;
    run(&c, "-zz", NULL);
    assert_int_equal(c.status, 1);
    assert_string_equal(c.err, "flag provided but not defined: -zz\n"
                               "For additional help try 'picket node status -help'\n");
    run(&c, "a", "b");
    assert_int_equal(c.status, 1);
    assert_string_equal(c.err, "This command takes either one or no arguments\n"
                               "For additional help try 'picket node status -help'\n");
    run(&c, "-h", NULL);
    assert_int_equal(c.status, 0);
    assert_true(str_starts(c.out, "Usage: picket node status [options] <node>\n"));
    assert_non_null(strstr(c.out, "  -address=<addr>\n"));
    run(&c, "-address", NULL);
    assert_string_equal(c.err, "flag needs an argument: -address\n"
                               "For additional help try 'picket node status -help'\n");
}

static void test_node_status_address_flag_wins(void **state)
{
    struct recorded_cli *b = *state;
    struct captured c _cleanup_captured_ = {0};
    _cleanup_free_ char *flag = xasprintf("--address=%s", b->http.url);

    assert_int_equal(setenv("NOMAD_ADDR", "http://127.0.0.1:1", 1), 0);
    run(&c, NULL, NULL);
    assert_int_equal(c.status, 1);
    assert_true(str_starts(c.err, "Error querying node status: "));
    assert_non_null(strstr(c.err, "127.0.0.1:1"));
    run(&c, flag, "-quiet");
    assert_int_equal(c.status, 0);
    assert_string_equal(c.err, "");
}

static void expect_environment_error(const char *name, const char *value, const char *error)
{
    struct captured c _cleanup_captured_ = {0};

    assert_int_equal(setenv(name, value, 1), 0);
    run(&c, NULL, NULL);
    (void)unsetenv(name);
    assert_int_equal(c.status, 1);
    assert_string_equal(c.err, error);
}

static void test_node_status_environment(void **state)
{
    (void)state;
    expect_environment_error(
        "NOMAD_CLIENT_CERT", "/x",
        "Error initializing client: Both client cert and client key must be provided\n");
    expect_environment_error("NOMAD_CACERT", "/nonexistent/ca",
                             "Error initializing client: Error loading CA File: open "
                             "/nonexistent/ca: No such file or directory\n");
    expect_environment_error(
        "NOMAD_REGION", "eu",
        "Error querying node status: Unexpected response code: 404 (not found: "
        "/v1/nodes?region=eu)\n");
    expect_environment_error(
        "NOMAD_NAMESPACE", "ns",
        "Error querying node status: Unexpected response code: 404 (not found: "
        "/v1/nodes?namespace=ns)\n");
}

static void test_node_status_garbage(void **state)
{
    static const struct canned_answer answers[] = {
        {"/v1/nodes",           200, "[{\"ID\":5}]"              },
        {"/v1/nodes?prefix=aa", 200, "{}"                        },
        {"/v1/agent/self",      200, "{\"stats\":{\"nomad\":{}}}"},
    };
    struct captured c _cleanup_captured_ = {0};
    struct canned_http http;

    (void)state;
    canned_http_start(&http, answers, ARRAY_LEN(answers));
    assert_int_equal(setenv("NOMAD_ADDR", http.url, 1), 0);
    run(&c, NULL, NULL);
    assert_int_equal(c.status, 1);
    assert_true(
        str_starts(c.err, "Error querying node status: cannot read the answer of /v1/nodes: "));
    run(&c, "aa", NULL);
    assert_int_equal(c.status, 1);
    assert_true(str_starts(c.err, "Error querying node info: cannot read the answer of "));
    run(&c, "-self", NULL);
    assert_int_equal(c.status, 1);
    assert_string_equal(c.err, "Nomad not running in client mode\n");
    canned_http_stop(&http);
}

/* what a peer sends must not reach the terminal as control characters */
static void test_node_status_hostile_text(void **state)
{
    static const struct canned_answer answers[] = {
        {"/v1/nodes", 200, "[{\"ID\":\"11111111-2222\",\"Name\":\"a\\u001b[2Jb\\nc\"}]"},
    };
    struct captured c _cleanup_captured_ = {0};
    struct canned_http http;

    (void)state;
    canned_http_start(&http, answers, ARRAY_LEN(answers));
    assert_int_equal(setenv("NOMAD_ADDR", http.url, 1), 0);
    run(&c, NULL, NULL);
    assert_string_equal(
        c.out, "ID        Node Pool  DC      Name      Class   Drain  Eligibility  Status\n"
               "11111111  <none>     <none>  a [2Jb c  <none>  false  <none>       <none>\n");
    canned_http_stop(&http);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_node_status_prints_what_nomad_prints),
        TEST(test_node_status_json_is_the_answer),
        TEST(test_node_status_without_statistics),
        TEST(test_node_status_flags),
        TEST(test_node_status_address_flag_wins),
        TEST(test_node_status_environment),
        TEST(test_node_status_garbage),
        TEST(test_node_status_hostile_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
