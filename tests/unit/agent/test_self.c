/* What the agent says about itself: configuration, health, and what explains a name. */
#include "agent/self.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <json-c/json.h>

#include "agent/explain.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/str.h"
#include "codec/ops.h"

#define SEC NSEC_PER_SEC
#define NOW (UINT64_C(1) << 40)

/* --- self and health --- */

struct bed {
    struct conf conf;
    struct session_status st;
    struct self_facts facts;
    struct buf out;
};

static const char *const one_server[] = {"10.0.0.1:4647"};

static int setup(void **state)
{
    struct bed *b = xnew0(struct bed);

    b->conf.region = xstrdup("global");
    b->conf.name = xstrdup("host-a");
    b->conf.data_dir = xstrdup("/var/lib/picket");
    b->conf.bind_addr = xstrdup("127.0.0.1");
    b->conf.log_level = xstrdup("INFO");
    b->conf.client.alloc_dir = xstrdup("/var/lib/picket/alloc");
    b->st = (struct session_status){.leader = "", .error = ""};
    b->facts = (struct self_facts){.conf = &b->conf,
                                   .http_addr = "127.0.0.1:4646",
                                   .node_id = "f7476465-4d6e-c0de-26d0-e383c49be941",
                                   .servers = one_server,
                                   .n_servers = 1,
                                   .now_ns = NOW,
                                   .born_ns = NOW - 10 * SEC,
                                   .session = &b->st};
    b->out = BUF_INIT(MIB);
    *state = b;
    return 0;
}

static int teardown(void **state)
{
    struct bed *b = *state;

    free(b->conf.region);
    free(b->conf.name);
    free(b->conf.data_dir);
    free(b->conf.bind_addr);
    free(b->conf.log_level);
    free(b->conf.client.alloc_dir);
    strmap_done(&b->conf.client.options);
    buf_done(&b->out);
    free(b);
    return 0;
}

static void assert_json(const struct buf *b)
{
    struct json_object *o = json_tokener_parse(buf_str(b));

    if (!o)
        fail_msg("no JSON: %s", buf_str(b));
    json_object_put(o);
}

static void test_self_is_json_and_hides_secrets(void **state)
{
    struct bed *b = *state;

    strmap_set(&b->conf.client.options, "docker.auth.password", "hush");
    strmap_set(&b->conf.client.options, "API_TOKEN", "hush");
    strmap_set(&b->conf.client.options, "fingerprint.denylist", "env_aws");
    self_json(&b->out, &b->facts);
    assert_json(&b->out);
    assert_null(strstr(buf_str(&b->out), "hush"));
    assert_non_null(strstr(buf_str(&b->out), "\"API_TOKEN\":\"<redacted>\""));
    assert_non_null(strstr(buf_str(&b->out), "\"fingerprint.denylist\":\"env_aws\""));
}

static void test_self_shows_what_is_in_force(void **state)
{
    struct bed *b = *state;
    struct conf_plugin plugin = {(char *)(uintptr_t) "docker",
                                 (char *)(uintptr_t) "{\"auth\":\"hush\"}"};
    struct conf_host_network net = {(char *)(uintptr_t) "public", (char *)(uintptr_t) "10.0.0.0/8",
                                    NULL, NULL};

    b->conf.enable_debug = true;
    b->conf.prometheus_metrics = true;
    b->conf.plugins = &plugin;
    b->conf.n_plugins = 1;
    b->conf.client.host_networks = &net;
    b->conf.client.n_host_networks = 1;
    self_json(&b->out, &b->facts);
    assert_json(&b->out);
    assert_non_null(strstr(buf_str(&b->out), "\"EnableDebug\":true"));
    assert_non_null(strstr(buf_str(&b->out), "\"Telemetry\":{\"PrometheusMetrics\":true}"));
    assert_non_null(strstr(buf_str(&b->out), "\"Plugins\":[{\"Name\":\"docker\"}]"));
    assert_non_null(strstr(buf_str(&b->out), "\"CIDR\":\"10.0.0.0/8\""));
    assert_null(strstr(buf_str(&b->out), "hush"));
}

static void assert_health(struct bed *b, int status, const char *message)
{
    _cleanup_free_ char *expected = xasprintf("{\"client\":{\"message\":\"%s\",\"ok\":%s}}",
                                              message, status == 200 ? "true" : "false");

    buf_reset(&b->out);
    assert_int_equal(self_health(&b->out, "", &b->facts), status);
    assert_string_equal(buf_str(&b->out), expected);
}

static void test_health_without_servers(void **state)
{
    struct bed *b = *state;

    b->facts.n_servers = 0;
    assert_health(b, 500, "no known servers");
}

static void test_health_while_the_agent_comes_up(void **state)
{
    struct bed *b = *state;

    assert_health(b, 200, "ok");
    b->facts.born_ns = NOW - 31 * SEC;
    assert_health(b, 500, "not registered since the start 31 s ago: no server has answered");
    b->st.error = "connection refused";
    assert_health(b, 500, "not registered since the start 31 s ago: connection refused");
}

static void test_health_hears_of_the_heartbeats(void **state)
{
    struct bed *b = *state;

    b->st.state = SESSION_REGISTERED;
    b->st.ttl_ns = 15 * SEC;
    b->st.beat_ns = NOW - 15 * SEC;
    assert_health(b, 200, "ok");
    b->st.beat_ns = NOW - 16 * SEC;
    b->st.error = "i/o timeout";
    assert_health(b, 500, "no heartbeat was accepted for 16 s, the TTL is 15 s: i/o timeout");
}

static void test_health_of_a_node_that_is_refused(void **state)
{
    struct bed *b = *state;

    b->st.state = SESSION_REFUSED;
    b->st.error = "node secret ID does not match";
    assert_health(b, 500, "the servers refuse this node: node secret ID does not match");
}

static void test_health_of_a_server_that_is_not_there(void **state)
{
    struct bed *b = *state;

    assert_int_equal(self_health(&b->out, "server", &b->facts), 500);
    assert_string_equal(buf_str(&b->out),
                        "{\"server\":{\"message\":\"server not enabled\",\"ok\":false}}");
}

/* --- explain: probes whose results stand in a file --- */

struct probe_bed {
    struct loop *loop;
    char *dir, *script, *records;
    struct probe rows[3];
    const struct probe *ptrs[3];
    struct probe_conf conf;
    struct probe_run *run;
    bool done;
    struct buf out;
};

static int no_run(struct probe_ctx *ctx, struct fp *fp)
{
    (void)ctx;
    (void)fp;
    return 0;
}

static void put_results(const struct probe_bed *b)
{
    _cleanup_buf_ struct buf out = BUF_INIT(MIB);
    struct fp *cpu = fp_new("cpu"), *docker = fp_new("driver.docker"), *volumes = fp_new("volumes");
    struct err e;

    cpu->ok = docker->ok = volumes->ok = true;
    fp_set(cpu, "cpu.arch", "amd64", "this build");
    fp_set(cpu, "cpu.numcores", "4", "/proc/cpuinfo");
    fp_set_local(cpu, "cpu.governor", "powersave", "/sys");
    fp_why(cpu, "speed", "/sys/cpufreq", WHY_FAILED, "not there", "");
    (void)fp_driver(docker, "docker");
    fp_why(docker, "socket", "/var/run/docker.sock", WHY_FAILED, "No such file", "install docker");
    str_set(&fp_host_volume(volumes, "data")->path, "/srv/data");
    str_set(&fp_host_volume(volumes, "logs")->path, "/srv/logs");
    fp_why(volumes, "host_volume.data", "/srv/data", WHY_OK, "folder", "");
    fp_why(volumes, "host_volume.logs", "/srv/logs", WHY_OK, "folder", "");
    fp_why(volumes, "host_volume.gone", "/srv/gone", WHY_FAILED, "No such file", "mkdir");
    fp_write_record(&out, cpu);
    fp_write_record(&out, docker);
    fp_write_record(&out, volumes);
    assert_int_equal(file_write_atomic(b->records, out.p, out.len, 0600, &e), 0);
    (void)fp_free(cpu);
    (void)fp_free(docker);
    (void)fp_free(volumes);
}

static void on_first(void *arg)
{
    ((struct probe_bed *)arg)->done = true;
}

static int setup_probes(void **state)
{
    static const char *const names[] = {"cpu", "driver.docker", "volumes"};
    struct probe_bed *b = xnew0(struct probe_bed);
    const char *tmp = getenv("TMPDIR");
    _cleanup_free_ char *text = NULL;
    struct err e;

    b->dir = xasprintf("%s/self-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(b->dir) || loop_new(&b->loop) < 0)
        return -1;
    b->script = xasprintf("%s/picket-probe", b->dir);
    b->records = xasprintf("%s/records", b->dir);
    text = xasprintf("#!/bin/sh\nexec cat '%s'\n", b->records);
    assert_int_equal(file_write_atomic(b->script, text, strlen(text), 0700, &e), 0);
    put_results(b);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct probe p = {.name = names[i],
                          .summary = "",
                          .class = PROBE_FAST,
                          .deadline_ms = 60000,
                          .run = no_run};

        b->rows[i] = p;
        b->ptrs[i] = &b->rows[i];
    }
    b->out = BUF_INIT(MIB);
    b->run = probe_run_new(&(struct probe_run_opts){.loop = b->loop,
                                                    .probe_path = b->script,
                                                    .rows = b->ptrs,
                                                    .n_rows = ARRAY_LEN(names),
                                                    .conf = &b->conf,
                                                    .on_first = on_first,
                                                    .arg = b});
    probe_run_start(b->run);
    (void)alarm(60);
    while (!b->done)
        assert_int_equal(loop_turn(b->loop, 100 * NSEC_PER_MSEC), 0);
    (void)alarm(0);
    *state = b;
    return 0;
}

static int teardown_probes(void **state)
{
    struct probe_bed *b = *state;

    (void)probe_run_free(b->run);
    (void)loop_free(b->loop);
    ops_clear(&desc_probe_conf, &b->conf);
    (void)unlink(b->script);
    (void)unlink(b->records);
    (void)rmdir(b->dir);
    buf_done(&b->out);
    free(b->dir);
    free(b->script);
    free(b->records);
    free(b);
    return 0;
}

static int explain(struct probe_bed *b, const char *name, struct err *e)
{
    buf_reset(&b->out);
    return explain_json(
        &b->out,
        &(struct explain_facts){.node_id = "id", .probes = b->run, .now_ns = clock_boot_ns()}, name,
        e);
}

static const char *explained(struct probe_bed *b, const char *name)
{
    struct err e = {0};

    if (explain(b, name, &e) < 0)
        fail_msg("%s: %s", name, e.text);
    assert_json(&b->out);
    return buf_str(&b->out);
}

static void test_explain_without_a_name_shows_all(void **state)
{
    const char *text = explained(*state, "");

    assert_non_null(strstr(text, "\"Name\":\"cpu\""));
    assert_non_null(strstr(text, "\"Name\":\"driver.docker\""));
    assert_non_null(strstr(text, "\"cpu.governor\":\"powersave\""));
    assert_non_null(strstr(text, "\"host_volume.gone\""));
    assert_non_null(strstr(text, "\"AgeMs\":"));
}

static void test_explain_an_attribute(void **state)
{
    const char *text = explained(*state, "cpu.arch");

    assert_non_null(strstr(text, "\"Attributes\":{\"cpu.arch\":\"amd64\"}"));
    assert_non_null(strstr(text, "\"Sources\":{\"cpu.arch\":\"this build\"}"));
    assert_non_null(strstr(text, "\"speed\"")); /* no check is about it: all of the probe's */
    assert_null(strstr(text, "cpu.numcores"));
    assert_null(strstr(text, "docker"));
    assert_non_null(strstr(explained(*state, "cpu.governor"), "\"cpu.governor\":\"powersave\""));
}

static void test_explain_a_probe_a_driver_a_check(void **state)
{
    const char *text = explained(*state, "cpu");

    assert_non_null(strstr(text, "cpu.arch"));
    assert_non_null(strstr(text, "cpu.numcores"));
    text = explained(*state, "docker");
    assert_non_null(strstr(text, "\"Fix\":\"install docker\""));
    assert_null(strstr(text, "cpu"));
    assert_non_null(strstr(explained(*state, "driver.docker"), "\"Fix\":\"install docker\""));
    text = explained(*state, "socket");
    assert_non_null(strstr(text, "\"Name\":\"driver.docker\""));
}

static void test_explain_a_volume(void **state)
{
    const char *text = explained(*state, "data");

    assert_non_null(strstr(text, "\"ID\":\"host_volume.data\""));
    assert_non_null(strstr(text, "/srv/data"));
    assert_null(strstr(text, "/srv/logs"));
    /* one that was refused is known by its check alone */
    text = explained(*state, "gone");
    assert_non_null(strstr(text, "\"Fix\":\"mkdir\""));
    assert_null(strstr(text, "/srv/data"));
}

static void test_explain_an_unknown_name(void **state)
{
    struct probe_bed *b = *state;
    struct err e = {0};

    assert_int_equal(explain(b, "dokcer", &e), -ENOENT);
    assert_int_equal(e.status, 404);
    assert_string_equal(e.text, "no probe, driver, attribute, volume or check is called "
                                "\"dokcer\"; near it: \"docker\"");
    assert_int_equal(b->out.len, 0);
    assert_int_equal(explain(b, "numcores", &e), -ENOENT);
    assert_non_null(strstr(e.text, "\"cpu.numcores\""));
    assert_int_equal(explain(b, "qwertzuiopasdf", &e), -ENOENT);
    assert_null(strstr(e.text, "near it"));
}

#define TEST(fn)  cmocka_unit_test_setup_teardown(fn, setup, teardown)
#define PROBE(fn) cmocka_unit_test_setup_teardown(fn, setup_probes, teardown_probes)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_self_is_json_and_hides_secrets),
        TEST(test_self_shows_what_is_in_force),
        TEST(test_health_without_servers),
        TEST(test_health_while_the_agent_comes_up),
        TEST(test_health_hears_of_the_heartbeats),
        TEST(test_health_of_a_node_that_is_refused),
        TEST(test_health_of_a_server_that_is_not_there),
        PROBE(test_explain_without_a_name_shows_all),
        PROBE(test_explain_an_attribute),
        PROBE(test_explain_a_probe_a_driver_a_check),
        PROBE(test_explain_a_volume),
        PROBE(test_explain_an_unknown_name),
    };

    loop_block_signals();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
