/* Reloads of a whole agent: what is marked as applied has an effect, once, and the rest has none.
 */
#include "agent/reload.h"

#include "agent/collect.h"
#include "base/file.h"
#include "codec/js.h"
#include "codec/mp.h"
#include "conf/keys.h"
#include "tests/support/free_port.h"
#include "tests/support/valgrind.h"
#include "tests/unit/agent/fixture.h"
#include "wire/conn.h"

/* ---- each row that an agent takes over ---- */

static const struct {
    const char *path, *text;
} rows[] = {
    {"log_level",                          "log_level = \"ERROR\""                                  },
    {"log_json",                           "log_json = true"                                        },
    {"leave_on_interrupt",                 "leave_on_interrupt = true"                              },
    {"leave_on_terminate",                 "leave_on_terminate = true"                              },
    {"http_api_response_headers",          "http_api_response_headers { X-A = \"b\" }"              },
    {"client.servers",                     "client { servers = [\"a:1\", \"b\"] }"                  },
    {"client.server_join.retry_join",      "client { server_join { retry_join = [\"c\"] } }"        },
    {"client.node_class",                  "client { node_class = \"x\" }"                          },
    {"client.node_pool",                   "client { node_pool = \"x\" }"                           },
    {"client.meta",                        "client { meta { a = 1 } }"                              },
    {"client.options",                     "client { options { a = 1 } }"                           },
    {"client.network_interface",           "client { network_interface = \"lo\" }"                  },
    {"client.preferred_address_family",    "client { preferred_address_family = \"ipv6\" }"         },
    {"client.network_speed",               "client { network_speed = 7 }"                           },
    {"client.cpu_total_compute",           "client { cpu_total_compute = 7000 }"                    },
    {"client.memory_total_mb",             "client { memory_total_mb = 7000 }"                      },
    {"client.disk_total_mb",               "client { disk_total_mb = 7000 }"                        },
    {"client.reservable_cores",            "client { reservable_cores = \"0\" }"                    },
    {"client.reserved.cpu",                "client { reserved { cpu = 7 } }"                        },
    {"client.reserved.memory",             "client { reserved { memory = 7 } }"                     },
    {"client.reserved.disk",               "client { reserved { disk = 7 } }"                       },
    {"client.reserved.reserved_ports",     "client { reserved { reserved_ports = \"22\" } }"        },
    {"client.reserved.cores",              "client { reserved { cores = \"0\" } }"                  },
    {"client.min_dynamic_port",            "client { min_dynamic_port = 21000 }"                    },
    {"client.max_dynamic_port",            "client { max_dynamic_port = 31000 }"                    },
    {"client.gc_volumes_on_node_gc",       "client { gc_volumes_on_node_gc = true }"                },
    {"client.node_max_allocs",             "client { node_max_allocs = 7 }"                         },
    {"client.host_volume",                 "client { host_volume \"v\" { path = \"/v\" } }"         },
    {"client.host_volume.path",            "client { host_volume \"v\" { path = \"/w\" } }"         },
    {"client.host_volume.read_only",
     "client { host_volume \"v\" { path = \"/w\" read_only = true } }"                              },
    {"client.host_network",                "client { host_network \"n\" { } }"                      },
    {"client.host_network.cidr",           "client { host_network \"n\" { cidr = \"10.0.0.0/8\" } }"},
    {"client.host_network.interface",      "client { host_network \"n\" { interface = \"lo\" } }"   },
    {"client.host_network.reserved_ports",
     "client { host_network \"n\" { reserved_ports = \"22\" } }"                                    },
    {"plugin",                             "plugin \"p\" { }"                                       },
    {"plugin.config",                      "plugin \"p\" { config { a = 1 } }"                      },
};

struct reloading {
    struct fixture *f;
    char *config_path;
    unsigned port;
    struct conf conf;
    struct conf_args *args;
    struct conf_reloaded said;
    struct agent *agent;
    char *probe; /* a picket-probe that is a script */
    struct reload *reload;
    struct view_wait wait;
    unsigned woken;
    char *answer; /* the last one, as JSON */
};

static int setup(void **state)
{
    struct reloading *w = xnew0(struct reloading);
    void *fixture = NULL;

    assert_int_equal(fixture_setup(&fixture), 0);
    w->f = fixture;
    if (!w->f)
        return -1;
    w->config_path = xasprintf("%s/agent.hcl", w->f->dir);
    w->probe = xasprintf("%s/picket-probe", w->f->dir);
    w->port = free_port();
    *state = w;
    return 0;
}

static void remove_tree(const char *dir)
{
    _cleanup_free_ char *command =
        xasprintf("cd '%s' && rm -rf data agent.hcl picket-probe answer calls go", dir);

    if (system(command) != 0)
        abort();
}

static int teardown(void **state)
{
    struct reloading *w = *state;
    void *fixture = w->f;

    w->agent = agent_free(w->agent);
    w->reload = reload_free(w->reload);
    (void)conf_args_free(w->args);
    conf_done(&w->conf);
    conf_reloaded_done(&w->said);
    remove_tree(w->f->dir);
    log_set_json(false);
    free(w->config_path);
    free(w->probe);
    free(w->answer);
    free(w);
    return fixture_teardown(&fixture);
}

/* configuration of the agent, its folder and addresses in front of text */
static void write_conf(const struct reloading *w, const char *text)
{
    _cleanup_free_ char *all =
        xasprintf("data_dir = \"%s/data\"\nbind_addr = \"127.0.0.1\"\nports { http = %u }\n"
                  "advertise { http = \"127.0.0.1\" rpc = \"127.0.0.1\" }\nname = \"host-a\"\n"
                  "%s\n",
                  w->f->dir, w->port, text);
    struct err e = {0};

    assert_int_equal(file_write_atomic(w->config_path, all, strlen(all), 0600, &e), 0);
}

static void load(struct reloading *w, const char *text)
{
    char *argv[] = {(char *)(uintptr_t) "picketd", (char *)(uintptr_t) "-config", w->config_path,
                    NULL};
    struct conf_report report = {0};
    struct err e = {0};

    write_conf(w, text);
    w->args = conf_args_free(w->args);
    conf_done(&w->conf);
    assert_int_equal(conf_args_parse(3, argv, CONF_CLIENT, &w->args, &e), 0);
    if (conf_args_load(w->args, &w->conf, &report) < 0)
        fail_msg("%s", report.errors[0]);
    conf_report_done(&report);
}

/* Everything that comes of a configuration: the node that a server is sent, what probes are told,
 * whom the agent asks, what every HTTP answer carries, how the log is written, what the agent says
 * of itself about signals. */
static char *effects(const struct reloading *w)
{
    _cleanup_(collect_freep) struct collect *c = collect_new(&(struct collect_opts){
        .conf = &w->conf, .node_id = NODE_ID, .secret_id = SECRET, .http_addr = "10.0.0.9:4646"});
    struct buf out _cleanup_buf_ = BUF_INIT(1 << 20);
    struct probe_conf pc = {0};

    assert_true(collect_merge(c, NULL, 0));
    js_encode(&out, &desc_node, collect_snap(c)->node, 0);
    collect_probe_conf(&w->conf, "10.0.0.9:4646", &pc);
    js_encode(&out, &desc_probe_conf, &pc, 0);
    ops_clear(&desc_probe_conf, &pc);
    for (size_t i = 0; i < w->conf.client.n_servers; i++)
        buf_printf(&out, " %s", w->conf.client.servers[i]);
    js_map(&out, &w->conf.response_headers);
    buf_printf(&out, "%d%d%d%s", w->conf.leave_on_interrupt, w->conf.leave_on_terminate,
               w->conf.log_json, log_level_name(log_get_level()));
    return (char *)buf_take(&out, NULL);
}

static void test_reload_every_row_that_says_so_has_an_effect(void **state)
{
    struct reloading *w = *state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_free_ char *before = NULL, *after = NULL;

        load(w, "");
        before = effects(w);
        write_conf(w, rows[i].text);
        conf_reloaded_done(&w->said);
        if (conf_reload_begin(w->args, &w->conf, CONF_CLIENT, &w->said) < 0)
            fail_msg("%s", w->said.errors[0]);
        after = effects(w);
        log_set_level(LOG_LEVEL_OFF);
        if (str_eq(before, after) || w->said.n_applied != 1)
            fail_msg("%s: %zu applied, without effect", rows[i].path, w->said.n_applied);
    }
}

static void test_reload_all_rows_of_the_agent_are_tried(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_conf_keys; i++) {
        const struct conf_key *k = &conf_keys[i];
        bool tried = false;

        for (size_t r = 0; r < ARRAY_LEN(rows); r++)
            tried = tried || str_eq(rows[r].path, k->path);
        if (((k->flags & KEY_HUP) && (k->roles & CONF_CLIENT)) != tried)
            fail_msg("%s", k->path);
    }
}

/* ---- a running agent ---- */

static char *with_servers(const struct fake_server *s, const char *rest)
{
    return xasprintf("log_level = \"OFF\" client { servers = [\"%s\"] }\n%s",
                     fake_server_address(s), rest);
}

static void begin(struct reloading *w, const char *rest)
{
    _cleanup_free_ char *text = with_servers(w->f->a, rest);
    struct err e = {0};

    load(w, text);
    if (agent_new(&(struct agent_opts){.loop = w->f->loop,
                                       .conf = &w->conf,
                                       .probe_path = "/nonexistent/picket-probe"},
                  &w->agent, &e) < 0)
        fail_msg("%s", e.text);
    agent_start(w->agent);
    pass(w->f, 20 * SEC);
    assert_string_equal(fake_server_node_status(w->f->a), "ready");
    fake_server_reset_calls(w->f->a);
}

/* the child's part: it hands on what the file says now, by the body of a script */
static void put_probe(const struct reloading *w, const char *body)
{
    _cleanup_free_ char *answer = xasprintf("%s/answer", w->f->dir);
    _cleanup_free_ char *script =
        xasprintf("#!/bin/sh\ncd '%s'\necho $1 >>calls\n%s\n", w->f->dir, body);
    const char *const path = w->config_path;
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 20);
    struct conf_files files = {0};

    conf_files_read(&path, 1, NULL, &files);
    mp_encode(&b, &desc_conf_files, &files);
    ops_clear(&desc_conf_files, &files);
    assert_int_equal(file_write_atomic(answer, b.p, b.len, 0600, NULL), 0);
    assert_int_equal(file_write_atomic(w->probe, script, strlen(script), 0755, NULL), 0);
}

static size_t children(const struct reloading *w)
{
    _cleanup_free_ char *path = xasprintf("%s/calls", w->f->dir), *text = NULL;
    size_t n = 0;

    if (file_read(path, 65536, &text, NULL) < 0)
        return 0;
    for (const char *p = strstr(text, "-read-config\n"); p; p = strstr(p + 1, "-read-config\n"))
        n++;
    return n;
}

static void on_woken(void *arg)
{
    struct reloading *w = arg;

    w->woken++;
}

static void need_reload(struct reloading *w)
{
    w->wait = (struct view_wait){.fn = on_woken, .arg = w};
    if (!w->reload)
        w->reload = reload_new(&(struct reload_opts){.loop = w->f->loop,
                                                     .probe_path = w->probe,
                                                     .args = w->args,
                                                     .conf = &w->conf,
                                                     .agent = w->agent});
}

static const struct view *ask(struct reloading *w)
{
    _cleanup_buf_ struct buf none = BUF_INIT(1);
    const struct view *v;

    need_reload(w);
    v = reload_open(w->reload, &w->wait);
    assert_int_equal(v->ops->reload(v->impl, &none), -EINPROGRESS);
    return v;
}

/* in real time, while that of the agent stands still */
static void turn_until(struct reloading *w, unsigned woken)
{
    for (int i = 0; i < 6000 && w->woken < woken; i++)
        assert_int_equal(loop_turn(w->f->loop, 10 * NSEC_PER_MSEC), 0);
    assert_int_equal(w->woken, woken);
}

/* HTTP status; the JSON is in w->answer */
static int take_answer(struct reloading *w, const struct view *v)
{
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 20);
    int status = v->ops->reload(v->impl, &b);

    str_set(&w->answer, buf_str(&b));
    v->ops->close(v);
    return status;
}

static int reload(struct reloading *w, const struct fake_server *s, const char *rest)
{
    _cleanup_free_ char *text = with_servers(s, rest);
    const struct view *v;
    int status;

    write_conf(w, text);
    put_probe(w, "cat answer");
    v = ask(w);
    turn_until(w, w->woken + 1);
    status = take_answer(w, v);
    pass(w->f, 15 * SEC);
    return status;
}

static size_t registrations(const struct reloading *w)
{
    return fake_server_calls(w->f->a, "Node.Register");
}

static void test_reload_is_told_by_one_registration(void **state)
{
    struct node_register_request r = {0};
    struct reloading *w = *state;

    begin(w, "client { node_class = \"a\" }");
    assert_int_equal(
        reload(w, w->f->a,
               "client { node_class = \"b\" meta { k = \"v\" } network_speed = 10\n"
               "  reserved { cpu = 9 } host_network \"n\" { cidr = \"10.0.0.0/8\" } }"),
        200);
    assert_string_equal(
        w->answer, "{\"Applied\":[\"client.node_class\",\"client.meta\",\"client.network_speed\","
                   "\"client.reserved.cpu\",\"client.host_network\"],\"NeedsRestart\":[],"
                   "\"Warnings\":[],\"Errors\":[]}");
    assert_int_equal(registrations(w), 1);
    assert_true(fake_server_last(w->f->a, "Node.Register", &desc_node_register_request, &r));
    assert_string_equal(r.node->node_class, "b");
    assert_string_equal(strmap_get(&r.node->meta, "k"), "v");
    assert_int_equal(r.node->reserved_resources->cpu.cpu_shares, 9);
    assert_int_equal(r.node->n_host_networks, 1);
    ops_clear(&desc_node_register_request, &r);
    pass(w->f, 90 * SEC);
    assert_in_range(registrations(w), 1, on_valgrind() ? 2 : 1); /* its children are late there */
}

static void test_reload_of_the_same_sends_nothing(void **state)
{
    struct reloading *w = *state;

    begin(w, "client { meta { a = 1 } }");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(reload(w, w->f->a, "client { meta { a = 1 } }"), 200);
        assert_true(str_starts(w->answer, "{\"Applied\":[],\"NeedsRestart\":[],"));
    }
    /* what no server knows of is no reason either */
    assert_int_equal(reload(w, w->f->a, "client { meta { a = 1 } }\nleave_on_interrupt = true"),
                     200);
    assert_true(str_starts(w->answer, "{\"Applied\":[\"leave_on_interrupt\"],"));
    assert_int_equal(registrations(w), 0);
}

static void test_reload_of_a_broken_file_changes_nothing(void **state)
{
    struct reloading *w = *state;

    begin(w, "client { meta { a = 1 } }");
    assert_int_equal(reload(w, w->f->b, "client { meta { a = 2 } nonsense = 1 }"), 400);
    assert_non_null(strstr(w->answer, "\"Errors\":[\""));
    assert_non_null(strstr(w->answer, "unknown key"));
    assert_string_equal(strmap_get(&w->conf.client.meta, "a"), "1");
    assert_int_equal(registrations(w), 0);
    assert_int_equal(fake_server_calls(w->f->b, NULL), 0);
    assert_string_equal(fake_server_node_status(w->f->a), "ready");
}

static void test_reload_moves_to_other_servers(void **state)
{
    struct reloading *w = *state;

    begin(w, "");
    assert_int_equal(reload(w, w->f->b, ""), 200);
    assert_true(str_starts(w->answer, "{\"Applied\":[\"client.servers\"],"));
    pass(w->f, 60 * SEC);
    assert_true(fake_server_knows(w->f->b));
    assert_string_equal(fake_server_node_status(w->f->b), "ready");
}

/* the first registration is still to come: it has what the file says by then */
static void test_reload_before_the_first_registration(void **state)
{
    struct node_register_request r = {0};
    struct reloading *w = *state;

    fake_server_stop(w->f->a);
    load(w, "");
    {
        _cleanup_free_ char *text = with_servers(w->f->a, "client { node_class = \"a\" }");
        struct err e = {0};

        load(w, text);
        assert_int_equal(agent_new(&(struct agent_opts){.loop = w->f->loop,
                                                        .conf = &w->conf,
                                                        .probe_path = "/nonexistent/picket-probe"},
                                   &w->agent, &e),
                         0);
    }
    assert_int_equal(reload(w, w->f->a, "client { node_class = \"b\" }"), 200);
    agent_start(w->agent);
    fake_server_start(w->f->a);
    pass(w->f, 60 * SEC);
    assert_true(fake_server_last(w->f->a, "Node.Register", &desc_node_register_request, &r));
    assert_string_equal(r.node->node_class, "b");
    ops_clear(&desc_node_register_request, &r);
}

/* ---- readings that take their time ---- */

/* Whoever asks while files are read may have changed them meanwhile. */
static void test_reload_asked_for_meanwhile_is_a_second_one(void **state)
{
    _cleanup_free_ char *text = NULL, *go = NULL;
    struct reloading *w = *state;
    const struct view *first, *second, *gone;

    begin(w, "client { meta { a = 1 } }");
    go = xasprintf("%s/go", w->f->dir);
    text = with_servers(w->f->a, "client { meta { a = 2 } }");
    write_conf(w, text);
    put_probe(w, "cp answer seen; while ! [ -e go ]; do sleep 0.05; done; cat seen; rm seen");
    first = ask(w);
    for (int i = 0; i < 6000 && children(w) < 1; i++)
        assert_int_equal(loop_turn(w->f->loop, 10 * NSEC_PER_MSEC), 0);
    second = ask(w);
    gone = ask(w); /* who asked has not waited */
    gone->ops->close(gone);
    reload_start(w->reload);
    settle(w->f);
    assert_int_equal(children(w), 1);
    assert_int_equal(w->woken, 0);
    assert_int_equal(file_write_atomic(go, "", 0, 0600, NULL), 0);
    turn_until(w, 1);
    assert_int_equal(take_answer(w, first), 200);
    assert_true(str_starts(w->answer, "{\"Applied\":[\"client.meta\"],"));
    turn_until(w, 2);
    assert_int_equal(take_answer(w, second), 200);
    assert_true(str_starts(w->answer, "{\"Applied\":[],"));
    settle(w->f);
    assert_int_equal(children(w), 2); /* one for all who asked meanwhile */
    assert_string_equal(strmap_get(&w->conf.client.meta, "a"), "2");
}

static void test_reload_that_hangs_is_told_and_changes_nothing(void **state)
{
    struct reloading *w = *state;
    const struct view *v;

    begin(w, "client { meta { a = 1 } }");
    put_probe(w, "echo read /dead/agent.hcl >&2; exec sleep 600");
    v = ask(w);
    for (int i = 0; i < 6000 && children(w) < 1; i++)
        assert_int_equal(loop_turn(w->f->loop, 10 * NSEC_PER_MSEC), 0);
    for (int i = 0; i < 50; i++) /* what it says has come */
        assert_int_equal(loop_turn(w->f->loop, 10 * NSEC_PER_MSEC), 0);
    pass(w->f, 9 * SEC);
    assert_int_equal(w->woken, 0);
    assert_string_equal(fake_server_node_status(w->f->a), "ready");
    pass(w->f, 3 * SEC);
    turn_until(w, 1);
    assert_int_equal(take_answer(w, v), 500);
    assert_non_null(strstr(w->answer,
                           "cannot read the configuration files: no answer in 10 s; last "
                           "step: read /dead/agent.hcl"));
    assert_true(str_starts(w->answer, "{\"Applied\":[],"));
    assert_string_equal(strmap_get(&w->conf.client.meta, "a"), "1");
    assert_int_equal(registrations(w), 0);
    /* it is over with that */
    assert_int_equal(reload(w, w->f->a, "client { meta { a = 3 } }"), 200);
    assert_string_equal(strmap_get(&w->conf.client.meta, "a"), "3");
    assert_int_equal(registrations(w), 1);
}

/* nobody is left to be told */
static void test_reload_under_way_when_the_agent_ends(void **state)
{
    struct reloading *w = *state;
    const struct view *v;

    begin(w, "");
    put_probe(w, "exec sleep 600");
    v = ask(w);
    settle(w->f);
    v->ops->close(v);
    w->reload = reload_free(w->reload);
    settle(w->f);
    assert_int_equal(w->woken, 0);
}

#undef TEST
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_reload_every_row_that_says_so_has_an_effect),
        TEST(test_reload_all_rows_of_the_agent_are_tried),
        TEST(test_reload_is_told_by_one_registration),
        TEST(test_reload_of_the_same_sends_nothing),
        TEST(test_reload_of_a_broken_file_changes_nothing),
        TEST(test_reload_moves_to_other_servers),
        TEST(test_reload_before_the_first_registration),
        TEST(test_reload_asked_for_meanwhile_is_a_second_one),
        TEST(test_reload_that_hangs_is_told_and_changes_nothing),
        TEST(test_reload_under_way_when_the_agent_ends),
    };

    loop_block_signals(); /* for children */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
