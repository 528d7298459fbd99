#include "agent/agent.h"

#include "base/file.h"
#include "base/limits.h"
#include "conf/conf.h"
#include "tests/support/free_port.h"
#include "tests/support/http_raw.h"
#include "tests/support/valgrind.h"
#include "tests/unit/agent/fixture.h"
#include "wire/conn.h"

#define ALLOC_1 "aaaaaaaa-0000-0000-0000-000000000001"

struct whole {
    struct fixture *f;
    struct conf conf;
    char *config_path;
    struct agent *agent;
    struct buf answer; /* the last one over HTTP */
};

static void load(struct whole *w, unsigned port)
{
    struct conf_report report = {0};
    _cleanup_free_ char *text =
        xasprintf("data_dir = \"%s/data\"\nbind_addr = \"127.0.0.1\"\nports { http = %u }\n"
                  "advertise { http = \"127.0.0.1\" rpc = \"127.0.0.1\" }\n"
                  "client { enabled = true servers = [\"%s\"] }\n",
                  w->f->dir, port, fake_server_address(w->f->a));
    const char *path = w->config_path;
    struct err e = {0};

    assert_int_equal(file_write_atomic(path, text, strlen(text), 0600, &e), 0);
    conf_done(&w->conf);
    assert_int_equal(conf_load(&path, 1, CONF_CLIENT, &w->conf, &report), 0);
    conf_report_done(&report);
}

static int setup(void **state)
{
    struct whole *w = xnew0(struct whole);
    void *fixture = NULL;

    assert_int_equal(fixture_setup(&fixture), 0);
    w->f = fixture;
    w->answer = BUF_INIT(MIB);
    if (!w->f)
        return -1;
    w->config_path = xasprintf("%s/agent.hcl", w->f->dir);
    load(w, free_port());
    *state = w;
    return 0;
}

static void remove_tree(const char *dir)
{
    static const char *const rest[] = {
        "/data/client/client-id",
        "/data/client/secret-id",
        "/data/client/picket-registered.mp",
        "/data/client/picket-allocs.mp",
        "/data/client",
        "/data/alloc",
        "/data",
        "/agent.hcl",
    };

    for (size_t i = 0; i < ARRAY_LEN(rest); i++) {
        _cleanup_free_ char *path = xasprintf("%s%s", dir, rest[i]);

        (void)remove(path);
    }
}

static int teardown(void **state)
{
    struct whole *w = *state;
    void *fixture = w->f;

    w->agent = agent_free(w->agent);
    remove_tree(w->f->dir);
    conf_done(&w->conf);
    free(w->config_path);
    buf_done(&w->answer);
    free(w);
    return fixture_teardown(&fixture);
}

/* picket-probe is not there: every probe fails, which is the worst that can happen to a node */
static void begin(struct whole *w)
{
    struct err e = {0};

    if (agent_new(&(struct agent_opts){.loop = w->f->loop,
                                       .conf = &w->conf,
                                       .probe_path = "/nonexistent/picket-probe"},
                  &w->agent, &e) < 0)
        fail_msg("%s", e.text);
    agent_start(w->agent);
    pass(w->f, 2 * SEC);
}

static const char *get(struct whole *w, const char *target)
{
    _cleanup_free_ char *request = xasprintf("GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                                             "Connection: close\r\n\r\n",
                                             target);
    _cleanup_close_ int fd = dial(agent_http_bound(w->agent));

    buf_reset(&w->answer);
    say(w->f->loop, fd, request);
    wait_closed(w->f->loop, fd, &w->answer);
    return buf_str(&w->answer);
}

static void test_host_without_working_probes_registers_all_the_same(void **state)
{
    struct whole *w = *state;
    struct node_register_request r = {0};
    _cleanup_free_ char *own = NULL;
    const char *body;

    if (on_valgrind())
        skip(); /* the clock of the test runs ahead of the children, which are real */
    begin(w);
    assert_string_equal(fake_server_node_status(w->f->a), "ready");
    assert_true(fake_server_last(w->f->a, "Node.Register", &desc_node_register_request, &r));
    assert_string_equal(r.node->id, agent_node_id(w->agent));
    assert_string_equal(r.node->http_addr, agent_http_bound(w->agent));
    assert_true(r.node->n_drivers > 0);
    assert_false(r.node->drivers[0].detected);
    assert_true(*r.node->drivers[0].health_description);
    ops_clear(&desc_node_register_request, &r);
    body = get(w, "/v1/agent/fingerprint");
    assert_has(&w->answer, "HTTP/1.1 200 ");
    assert_non_null(strstr(body, "/nonexistent/picket-probe"));
    own = xasprintf("/v1/node/%s", agent_node_id(w->agent));
    body = get(w, own);
    assert_has(&w->answer, "HTTP/1.1 200 ");
    assert_non_null(strstr(body, "\"Status\":\"ready\""));
}

static void assert_status_has(struct whole *w, const char *text)
{
    _cleanup_free_ char *status_text = agent_status_text(w->agent);

    if (!strstr(status_text, text))
        fail_msg("\"%s\" has no \"%s\"", status_text, text);
}

static void test_status_line_tells_where_things_stand(void **state)
{
    struct whole *w = *state;

    fake_server_stop(w->f->a);
    begin(w);
    assert_status_has(w, "looking for a server");
    assert_status_has(w, "refused");
    fake_server_start(w->f->a);
    pass(w->f, 20 * SEC);
    assert_status_has(w, "registered with 127.");
    assert_status_has(w, "last beat ");
    fake_server_stop(w->f->a);
    pass(w->f, 60 * SEC);
    assert_status_has(w, "no server answers");
    fake_server_start(w->f->a);
    pass(w->f, 60 * SEC);
    fake_server_set_secret(w->f->a, "99999999-1111-2222-3333-444455556666");
    fake_server_fail(w->f->a, "Node.UpdateStatus", "node secret ID does not match", 1);
    pass(w->f, 30 * SEC);
    assert_status_has(w, "REFUSED");
    assert_status_has(w, "secret-id");
}

static void test_node_that_was_marked_down_beats_at_once(void **state)
{
    struct whole *w = *state;

    fake_server_set_ttl(w->f->a, 3600 * (int64_t)SEC);
    begin(w);
    fake_server_set_node_status(w->f->a, "down");
    pass(w->f, 3 * SEC);
    assert_string_equal(fake_server_node_status(w->f->a), "ready");
}

static void test_returning_node_reports_its_allocations_again(void **state)
{
    struct whole *w = *state;

    begin(w);
    fake_server_put_alloc(w->f->a, ALLOC_1, "run", "pending");
    pass(w->f, 2 * SEC);
    assert_int_equal(fake_server_calls(w->f->a, "Node.UpdateAlloc"), 1);
    /* servers from 1.3.10 on keep it so until allocations were reported */
    fake_server_set_node_status(w->f->a, "initializing");
    pass(w->f, 2 * SEC);
    assert_int_equal(fake_server_calls(w->f->a, "Node.UpdateAlloc"), 2);
    assert_string_equal(fake_server_node_status(w->f->a), "ready");
}

static void test_calls_of_servers_are_answered(void **state)
{
    struct whole *w = *state;

    begin(w);
    fake_server_call_back(w->f->a, "ClientStats.Nope");
    settle(w->f);
    assert_string_equal(fake_server_call_back_error(w->f->a),
                        "rpc: can't find method ClientStats.Nope");
    fake_server_call_back(w->f->a, "Nope.Nope");
    settle(w->f);
    assert_string_equal(fake_server_call_back_error(w->f->a), "rpc: can't find service Nope.Nope");
    fake_server_call_back(w->f->a, "NodeMeta.Read");
    settle(w->f);
    assert_string_equal(fake_server_call_back_error(w->f->a), "");
    pass(w->f, 30 * SEC); /* and nothing else suffers */
    assert_string_equal(fake_server_node_status(w->f->a), "ready");
    /* under valgrind the children are slower than the clock of the test: some are told of later */
    assert_in_range(fake_server_calls(w->f->a, "Node.Register"), 1, on_valgrind() ? 3 : 1);
}

static void test_port_in_use_names_its_holder(void **state)
{
    struct whole *w = *state;
    _cleanup_free_ char *pid = xasprintf("%d", (int)getpid());
    struct agent *second = NULL;
    struct err e = {0};

    begin(w);
    assert_true(agent_new(&(struct agent_opts){.loop = w->f->loop,
                                               .conf = &w->conf,
                                               .probe_path = "/nonexistent/picket-probe"},
                          &second, &e) < 0);
    assert_non_null(strstr(e.text, agent_http_bound(w->agent)));
    assert_non_null(strstr(e.text, pid));
}

static void test_second_agent_on_the_same_folder_is_refused(void **state)
{
    struct whole *w = *state;
    struct agent *second = NULL;
    struct err e = {0};

    begin(w);
    /* the running one keeps what it was given: only the port of the copy differs */
    {
        struct conf other = w->conf;

        other.port_http = free_port();
        assert_int_equal(agent_new(&(struct agent_opts){.loop = w->f->loop,
                                                        .conf = &other,
                                                        .probe_path = "/nonexistent/picket-probe"},
                                   &second, &e),
                         -EBUSY);
    }
    assert_non_null(strstr(e.text, "/data/client is in use by another agent"));
}

static void test_agent_can_go_away_at_any_moment(void **state)
{
    struct whole *w = *state;

    for (uint64_t ms = 0; ms < 4000; ms += 250) {
        struct err e = {0};

        assert_int_equal(agent_new(&(struct agent_opts){.loop = w->f->loop,
                                                        .conf = &w->conf,
                                                        .probe_path = "/bin/cat"},
                                   &w->agent, &e),
                         0);
        agent_start(w->agent);
        if (ms)
            pass(w->f, ms * NSEC_PER_MSEC);
        w->agent = agent_free(w->agent);
    }
}

#undef TEST
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_host_without_working_probes_registers_all_the_same),
        TEST(test_status_line_tells_where_things_stand),
        TEST(test_node_that_was_marked_down_beats_at_once),
        TEST(test_returning_node_reports_its_allocations_again),
        TEST(test_calls_of_servers_are_answered),
        TEST(test_port_in_use_names_its_holder),
        TEST(test_second_agent_on_the_same_folder_is_refused),
        TEST(test_agent_can_go_away_at_any_moment),
    };

    loop_block_signals(); /* children are watched by it */
    return cmocka_run_group_tests_name("agent/agent", tests, NULL, NULL);
}
