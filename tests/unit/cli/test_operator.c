/* The operator's commands against recorded answers: letter by letter what Nomad's own command
 * printed for them (2.0.5; 1.10.5 prints the same), and what is ours alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "cli/command.h"
#include "tests/support/captured.h"
#include "tests/support/recorded_cli.h"

#define run(c, ...) captured_args((c), command_main, __VA_ARGS__, NULL)

static void test_operator_commands_print_what_nomad_prints(void **state)
{
    struct recorded_cli *b = recorded_cli_start("cli/nomad-2.0.5.json");

    (void)state;
    assert_true(recorded_cli_check(b, (const char *const[]){NULL}) >= 35);
    recorded_cli_stop(b);
}

struct served {
    struct canned_http http;
};

static void serve(struct served *s, const struct canned_answer *v, size_t n)
{
    canned_http_start(&s->http, v, n);
    assert_int_equal(setenv("NOMAD_ADDR", s->http.url, 1), 0);
}

static void stop(struct served *s)
{
    canned_http_stop(&s->http);
    (void)unsetenv("NOMAD_ADDR");
}

#define MONITOR(level)                                                                             \
    "/v1/agent/monitor?log_include_location=false&log_json=false&log_level=" level                 \
    "&node_id=&server_id="

/* frames stand without anything between them; heartbeats are empty ones */
static void test_monitor_shows_the_log_and_ends_with_it(void **state)
{
    static const struct canned_answer answers[] = {
        {MONITOR("DEBUG"), 200,
         "{}{\"Data\":\"b25lCg==\",\"FileEvent\":\"log\"}{}{}{\"FileEvent\":\"log\",\"Data\":"
         "\"dHdvIHt9ICJ4Igo=\"}\n{\"Data\":\"aGFs"},
    };
    struct captured c _cleanup_captured_ = {0};
    struct served s;

    (void)state;
    serve(&s, answers, ARRAY_LEN(answers));
    run(&c, "monitor", "-log-level", "DEBUG");
    assert_string_equal(c.err, "");
    assert_string_equal(c.out, "one\ntwo {} \"x\"\n");
    assert_int_equal(c.status, 0);
    stop(&s);
}

static void test_monitor_ends_at_garbage(void **state)
{
    static const struct canned_answer answers[] = {
        {MONITOR(""),      200, "{\"Data\":\"b25lCg==\"}{\"Data\":5}{\"Data\":\"b25lCg==\"}"},
        {MONITOR("TRACE"), 200, "no JSON at all"                                            },
    };
    struct captured c _cleanup_captured_ = {0};
    struct served s;

    (void)state;
    serve(&s, answers, ARRAY_LEN(answers));
    run(&c, "monitor");
    assert_string_equal(c.out, "one\n");
    assert_int_equal(c.status, 0);
    run(&c, "monitor", "-log-level=TRACE");
    assert_string_equal(c.out, "");
    assert_int_equal(c.status, 0);
    stop(&s);
}

/* each command says that nobody is there in the words of what it wanted */
static void test_operator_commands_without_an_agent(void **state)
{
    static const struct {
        const char *words[4];
        const char *begin;
    } rows[] = {
        {{"agent-info"},                             "Error querying agent info: failed querying self endpoint: "},
        {{"node", "meta", "read"},                   "Error reading dynamic node metadata: "                     },
        {{"node", "meta", "apply", "a=b"},           "Error applying dynamic node metadata: "                    },
        {{"monitor"},                                "==> Error starting monitor: "                              },
        {{"node", "config", "-servers"},             "Error querying server list: "                              },
        {{"node", "config", "-update-servers", "a"}, "Error updating server list: "                              },
        {{"fingerprint", "-agent"},                  "Error querying the agent: "                                },
        {{"node", "status", "-self", "-stats"},
         "Error querying agent info: failed querying self endpoint: "                                            },
    };

    (void)state;
    assert_int_equal(setenv("NOMAD_ADDR", "http://127.0.0.1:1", 1), 0);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct captured c _cleanup_captured_ = {0};
        size_t n = 0;

        while (n < 4 && rows[i].words[n])
            n++;
        captured_run(&c, command_main, rows[i].words, n);
        if (!str_starts(c.err, rows[i].begin))
            fail_msg("%s %s", rows[i].begin, c.err);
        assert_non_null(strstr(c.err, "127.0.0.1:1"));
        assert_int_equal(c.status, 1);
    }
    (void)unsetenv("NOMAD_ADDR");
}

/* --- fingerprint -agent --- */

static const struct canned_answer fingerprint_answers[] = {
    {"/v1/agent/fingerprint", 200,
     "{\"Beats\":[{\"Due\":\"2026-05-04T03:02:11.5Z\",\"LateMs\":0,\"Server\":\"10.0.0.1:4647\","
     "\"Steps\":[],\"TookMs\":3},{\"Due\":\"2026-05-04T03:02:01Z\",\"LateMs\":7100,\"Server\":\"\","
     "\"Steps\":[\"10.0.0.1:4647 no answer 6.0 s\",\"10.0.0.2:4647 connect 1.1 s\"],"
     "\"TookMs\":7100}],\"Flapping\":[\"Attributes.os.version\"],\"NodeID\":\"f7\",\"Probes\":["
     "{\"Name\":\"host\",\"Class\":\"fast\",\"State\":\"good\",\"Stale\":false,\"Reason\":\"\","
     "\"TookUs\":1500,\"AgeMs\":65000,\"Attributes\":{\"kernel.name\":\"linux\",\"os.name\":"
     "\"debian\"},\"Local\":{\"host.boot\":\"5\"},\"Links\":{},\"Sources\":{\"kernel.name\":"
     "\"uname\"},\"Checks\":[],\"Drivers\":{},\"HostVolumes\":{}},"
     "{\"Name\":\"docker\",\"Class\":\"slow\",\"State\":\"hung\",\"Stale\":true,\"Reason\":"
     "\"waits for connect\",\"TookUs\":5000000,\"AgeMs\":3600000,\"Attributes\":{"
     "\"driver.docker\":\"1\"},\"Local\":{},\"Links\":{},\"Sources\":{},\"Checks\":[{\"ID\":"
     "\"socket\",\"Looked\":\"/run/d.sock\",\"Result\":\"failed\",\"Found\":\"refused\",\"Fix\":"
     "\"start it\"}],\"Drivers\":{\"docker\":{\"Detected\":true,\"Healthy\":false,"
     "\"HealthDescription\":\"bad\"}},\"HostVolumes\":{}},"
     "{\"Name\":\"volumes\",\"Class\":\"slow\",\"State\":\"failed\",\"Stale\":false,\"Reason\":"
     "\"exit 1\",\"TookUs\":10,\"AgeMs\":null,\"Attributes\":{},\"Local\":{},\"Links\":{},"
     "\"Sources\":{},\"Checks\":[],\"Drivers\":{},\"HostVolumes\":{}}]}"},
};

static void test_fingerprint_shows_what_an_agent_knows(void **state)
{
    struct captured c _cleanup_captured_ = {0};
    struct served s;

    (void)state;
    serve(&s, fingerprint_answers, 1);
    run(&c, "fingerprint", "-agent");
    assert_string_equal(c.err, "");
    assert_string_equal(c.out, "Attributes\n"
                               "driver.docker = 1\n"
                               "kernel.name   = linux\n"
                               "os.name       = debian\n\n"
                               "Drivers\n"
                               "Driver  Detected  Healthy  Message\n"
                               "docker  true      false    bad\n\n"
                               "Probes\n"
                               "Probe    State   Age            Time       Reason\n"
                               "host     good    1m5s           1.5 ms     <none>\n"
                               "docker   hung    1h0m0s, stale  5000.0 ms  waits for connect\n"
                               "volumes  failed  no values      0.0 ms     exit 1\n\n"
                               "Flapping Fact\n"
                               "Attributes.os.version\n\n"
                               "Heartbeat Due           Late     Time     Server         Steps\n"
                               "2026-05-04T03:02:11.5Z  0 ms     3 ms     10.0.0.1:4647  <none>\n"
                               "2026-05-04T03:02:01Z    7100 ms  7100 ms  <none>         "
                               "10.0.0.1:4647 no answer 6.0 s; 10.0.0.2:4647 connect 1.1 s\n");
    assert_int_equal(c.status, 0);
    run(&c, "fingerprint", "-agent", "-json");
    assert_true(str_starts(c.out, "{\n    \"Beats\": [\n"));
    stop(&s);
}

static void test_fingerprint_explains_a_name(void **state)
{
    struct captured c _cleanup_captured_ = {0};
    _cleanup_free_ char *address = NULL;
    struct served s;

    (void)state;
    serve(&s, fingerprint_answers, 1);
    address = xasprintf("-address=%s", s.http.url); /* is enough to mean an agent */
    run(&c, "fingerprint", address, "-explain", "docker");
    assert_string_equal(c.out,
                        "\ndocker: hung, waits for connect; last good values from 1h0m0s ago\n"
                        "Check   Result  Looked At    Found    What Would Help\n"
                        "socket  failed  /run/d.sock  refused  start it\n"
                        "Attribute      Value  Read From\n"
                        "driver.docker  1      <none>\n");
    run(&c, "fingerprint", address, "-explain", "kernel.name");
    assert_string_equal(c.out, "\nhost: good; values from 1m5s ago\n"
                               "Attribute    Value  Read From\n"
                               "kernel.name  linux  uname\n");
    run(&c, "fingerprint", address, "volumes");
    assert_string_equal(c.out, "\nvolumes: failed, exit 1\n");
    run(&c, "fingerprint", address, "nope");
    assert_int_equal(c.status, 1);
    assert_string_equal(c.err, "Error: no probe, attribute, driver, volume or check is called "
                               "\"nope\"\n");
    run(&c, "fingerprint", address, "-config", "/x");
    assert_int_equal(c.status, 1);
    assert_true(str_starts(c.err, "An agent has its own configuration"));
    stop(&s);
}

static void test_agent_info_hides_control_characters(void **state)
{
    static const struct canned_answer answers[] = {
        {"/v1/agent/self", 200, "{\"stats\":{\"client\":{\"a\\u001b[2J\":\"b\\nc\"},\"serf\":{}}}"},
    };
    struct captured c _cleanup_captured_ = {0};
    struct served s;

    (void)state;
    serve(&s, answers, ARRAY_LEN(answers));
    run(&c, "agent-info");
    assert_string_equal(c.out, "client\n  a [2J = b c\nserf\n");
    run(&c, "agent-info", "-json");
    assert_true(str_starts(c.out, "{\n    \"stats\": {\n"));
    stop(&s);
}

static void test_node_meta_json_is_the_answer(void **state)
{
    static const struct canned_answer answers[] = {
        {"/v1/client/metadata", 200, "{\"Dynamic\":{\"a\":null},\"Meta\":{},\"Static\":{}}"},
    };
    struct captured c _cleanup_captured_ = {0};
    struct served s;

    (void)state;
    serve(&s, answers, ARRAY_LEN(answers));
    run(&c, "node", "meta", "read", "-json");
    assert_string_equal(c.out, "{\n    \"Dynamic\": {\n        \"a\": null\n    },\n"
                               "    \"Meta\": {},\n    \"Static\": {}\n}\n");
    stop(&s);
}

static void test_node_meta_garbage(void **state)
{
    static const struct canned_answer answers[] = {
        {"/v1/client/metadata", 200, "{\"Meta\":[1]}"},
        {"/v1/agent/servers",   200, "[1]"           },
        {"/v1/agent/self",      200, "[]"            },
    };
    struct captured c _cleanup_captured_ = {0};
    struct served s;

    (void)state;
    serve(&s, answers, ARRAY_LEN(answers));
    run(&c, "node", "meta", "read");
    assert_int_equal(c.status, 1);
    assert_true(str_starts(c.err, "Error reading dynamic node metadata: cannot read the answer of "
                                  "/v1/client/metadata: "));
    run(&c, "node", "config", "-servers");
    assert_int_equal(c.status, 1);
    assert_true(str_starts(c.err, "Error querying server list: cannot read the answer of "));
    run(&c, "agent-info");
    assert_int_equal(c.status, 1);
    stop(&s);
}

static void test_node_meta_is_a_group_of_its_own(void **state)
{
    struct captured c _cleanup_captured_ = {0};

    (void)state;
    run(&c, "node", "meta");
    assert_int_equal(c.status, 1);
    assert_string_equal(c.out, "Usage: picket node meta <subcommand> [options] [args]\n\n"
                               "Subcommands:\n"
                               "    apply       Change the metadata of a node\n"
                               "    read        Show the metadata of a node\n");
    run(&c, "node", "meta", "-h");
    assert_int_equal(c.status, 0);
    run(&c, "help", "node", "meta", "read");
    assert_true(str_starts(c.out, "Usage: picket node meta read [options]\n"));
    run(&c, "node");
    assert_non_null(strstr(c.out, "    meta        "));
    assert_null(strstr(c.out, "    meta read"));
}

/* --- agent reload --- */

static void test_agent_reload_tells_what_came_of_it(void **state)
{
    static const struct canned_answer changed[] = {
        {"PUT /v1/agent/reload", 200,
         "{\"Applied\":[\"client.meta\",\"log_level\"],\"NeedsRestart\":[\"name\"],"
         "\"Warnings\":[\"x.hcl:1:1: y\"],\"Errors\":[]}"},
    };
    static const struct canned_answer nomad[] = {
        {"PUT /v1/agent/reload", 200, ""},
    };
    static const struct canned_answer same[] = {
        {"PUT /v1/agent/reload", 200,
         "{\"Applied\":[],\"NeedsRestart\":[],\"Warnings\":[],\"Errors\":[]}"},
    };
    struct captured c _cleanup_captured_ = {0};
    _cleanup_free_ char *address = NULL;
    struct served s;

    (void)state;
    serve(&s, changed, 1);
    address = xasprintf("-address=%s", s.http.url);
    run(&c, "agent", "reload", address);
    assert_int_equal(c.status, 0);
    assert_string_equal(c.out, "Configuration reloaded\nApplied:\n  client.meta\n  log_level\n"
                               "Needs a restart:\n  name\n");
    assert_string_equal(c.err, "WARNING: x.hcl:1:1: y\n");
    stop(&s);
    free(address);
    serve(&s, same, 1);
    address = xasprintf("-address=%s", s.http.url);
    run(&c, "agent", "reload", address);
    assert_string_equal(c.out, "Configuration reloaded, nothing has changed\n");
    run(&c, "agent", "reload", "-json", address);
    assert_true(str_starts(c.out, "{\n    \"Applied\": [],\n"));
    stop(&s);
    free(address);
    serve(&s, nomad, 1);
    address = xasprintf("-address=%s", s.http.url);
    run(&c, "agent", "reload", address);
    assert_string_equal(c.out, "Configuration reloaded\n");
    assert_int_equal(c.status, 0);
    stop(&s);
}

static void test_agent_reload_failures(void **state)
{
    static const struct canned_answer bad[] = {
        {"PUT /v1/agent/reload", 400,
         "{\"Applied\":[],\"NeedsRestart\":[],\"Warnings\":[],\"Errors\":[\"f.hcl:1:1: "
         "a\",\"b\"]}"},
    };
    static const struct canned_answer refused[] = {
        {"PUT /v1/agent/reload", 403, "Permission denied"},
    };
    struct captured c _cleanup_captured_ = {0};
    _cleanup_free_ char *address = NULL;
    struct served s;

    (void)state;
    serve(&s, bad, 1);
    address = xasprintf("-address=%s", s.http.url);
    run(&c, "agent", "reload", address);
    assert_int_equal(c.status, 1);
    assert_string_equal(c.out, "");
    assert_string_equal(c.err, "f.hcl:1:1: a\nb\n"
                               "Configuration not reloaded, the old one stays in force\n");
    stop(&s);
    free(address);
    serve(&s, refused, 1);
    address = xasprintf("-address=%s", s.http.url);
    run(&c, "agent", "reload", address);
    assert_int_equal(c.status, 1);
    assert_string_equal(c.err, "Error reloading the agent: Permission denied: only root and the "
                               "user that the agent runs as may do that, and only over the agent's "
                               "unix socket\n");
    stop(&s);
    run(&c, "agent", "reload", "x");
    assert_string_equal(c.err, "This command takes no arguments\n"
                               "For additional help try 'picket agent reload -help'\n");
}

/* TCP, which NOMAD_ADDR mostly is, is never asked by default */
static void test_agent_reload_finds_the_socket(void **state)
{
    struct captured c _cleanup_captured_ = {0};

    (void)state;
    assert_int_equal(setenv("NOMAD_ADDR", "http://127.0.0.1:1", 1), 0);
    run(&c, "agent", "reload", "-data-dir=/nonexistent/d");
    assert_int_equal(c.status, 1);
    assert_true(str_starts(c.err, "Error reloading the agent: unix:///nonexistent/d/agent.sock: "));
    assert_int_equal(setenv("RUNTIME_DIRECTORY", "/nonexistent/r:/other", 1), 0);
    run(&c, "agent", "reload");
    assert_true(str_starts(c.err, "Error reloading the agent: unix:///nonexistent/r/agent.sock: "));
    (void)unsetenv("RUNTIME_DIRECTORY");
    assert_int_equal(setenv("NOMAD_ADDR", "unix:///nonexistent/n.sock", 1), 0);
    run(&c, "agent", "reload");
    assert_true(str_starts(c.err, "Error reloading the agent: unix:///nonexistent/n.sock: "));
    (void)unsetenv("NOMAD_ADDR");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_operator_commands_print_what_nomad_prints),
        cmocka_unit_test(test_monitor_shows_the_log_and_ends_with_it),
        cmocka_unit_test(test_monitor_ends_at_garbage),
        cmocka_unit_test(test_operator_commands_without_an_agent),
        cmocka_unit_test(test_fingerprint_shows_what_an_agent_knows),
        cmocka_unit_test(test_fingerprint_explains_a_name),
        cmocka_unit_test(test_agent_info_hides_control_characters),
        cmocka_unit_test(test_node_meta_json_is_the_answer),
        cmocka_unit_test(test_node_meta_garbage),
        cmocka_unit_test(test_node_meta_is_a_group_of_its_own),
        cmocka_unit_test(test_agent_reload_tells_what_came_of_it),
        cmocka_unit_test(test_agent_reload_failures),
        cmocka_unit_test(test_agent_reload_finds_the_socket),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
