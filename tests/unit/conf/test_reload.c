/* Reloads: every row marked KEY_HUP is taken over, nothing else is, and each is named. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/str.h"
#include "conf/keys.h"
#include "conf/reload.h"
#include "tests/support/conf_files.h"

struct fixture {
    struct conf_args *args;
    struct conf c;
    struct conf_reloaded said;
    char *path;
};

/* a value of each key that can be reloaded, other than its default */
static const struct {
    const char *path; /* as the table has it */
    const char *text; /* the configuration */
    const char *role; /* NULL = both programs */
} rows[] = {
    {"log_level",                        "log_level = \"ERROR\"",                           NULL    },
    {"log_json",                         "log_json = true",                                 NULL    },
    {"leave_on_interrupt",               "leave_on_interrupt = true",                       NULL    },
    {"leave_on_terminate",               "leave_on_terminate = true",                       NULL    },
    {"http_api_response_headers",        "http_api_response_headers { X-A = \"b\" }",       NULL    },
    {"client.servers",                   "client { servers = [\"a:1\", \"b\"] }",           "client"},
    {"client.server_join.retry_join",    "client { server_join { retry_join = [\"c\"] } }", "client"},
    {"client.node_class",                "client { node_class = \"x\" }",                   "client"},
    {"client.node_pool",                 "client { node_pool = \"x\" }",                    "client"},
    {"client.meta",                      "client { meta { a = 1 } }",                       "client"},
    {"client.options",                   "client { options { a = 1 } }",                    "client"},
    {"client.network_interface",         "client { network_interface = \"lo\" }",           "client"},
    {"client.preferred_address_family",  "client { preferred_address_family = \"ipv6\" }",  "client"},
    {"client.network_speed",             "client { network_speed = 7 }",                    "client"},
    {"client.cpu_total_compute",         "client { cpu_total_compute = 7000 }",             "client"},
    {"client.memory_total_mb",           "client { memory_total_mb = 7000 }",               "client"},
    {"client.disk_total_mb",             "client { disk_total_mb = 7000 }",                 "client"},
    {"client.reservable_cores",          "client { reservable_cores = \"0\" }",             "client"},
    {"client.reserved.cpu",              "client { reserved { cpu = 7 } }",                 "client"},
    {"client.reserved.memory",           "client { reserved { memory = 7 } }",              "client"},
    {"client.reserved.disk",             "client { reserved { disk = 7 } }",                "client"},
    {"client.reserved.reserved_ports",   "client { reserved { reserved_ports = \"22\" } }", "client"},
    {"client.reserved.cores",            "client { reserved { cores = \"0\" } }",           "client"},
    {"client.min_dynamic_port",          "client { min_dynamic_port = 21000 }",             "client"},
    {"client.max_dynamic_port",          "client { max_dynamic_port = 31000 }",             "client"},
    {"client.gc_volumes_on_node_gc",     "client { gc_volumes_on_node_gc = true }",         "client"},
    {"client.node_max_allocs",           "client { node_max_allocs = 7 }",                  "client"},
    {"client.host_volume",               "client { host_volume \"v\" { path = \"/v\" } }",  "client"},
    {"client.host_network",              "client { host_network \"n\" { } }",               "client"},
    {"plugin",                           "plugin \"p\" { config { a = 1 } }",               "client"},
    {"server.node_gc_threshold",         "server { node_gc_threshold = \"7h\" }",           "server"},
    {"server.heartbeat_grace",           "server { heartbeat_grace = \"7s\" }",             "server"},
    {"server.min_heartbeat_ttl",         "server { min_heartbeat_ttl = \"7s\" }",           "server"},
    {"server.max_heartbeats_per_second", "server { max_heartbeats_per_second = 7.5 }",      "server"},
};

/* rows inside a block with a label: a change of one is a change of the block */
static const struct {
    const char *path, *block, *before, *after;
} inside[] = {
    {"client.host_volume.path",            "client.host_volume",
     "client { host_volume \"v\" { path = \"/v\" } }",                                                 "client { host_volume \"v\" { path = \"/w\" } }"                 },
    {"client.host_volume.read_only",       "client.host_volume",
     "client { host_volume \"v\" { path = \"/v\" } }",                                                 "client { host_volume \"v\" { path = \"/v\" read_only = true } }"},
    {"client.host_network.cidr",           "client.host_network", "client { host_network \"n\" { } }",
     "client { host_network \"n\" { cidr = \"10.0.0.0/8\" } }"                                                                                                          },
    {"client.host_network.interface",      "client.host_network", "client { host_network \"n\" { } }",
     "client { host_network \"n\" { interface = \"lo\" } }"                                                                                                             },
    {"client.host_network.reserved_ports", "client.host_network",
     "client { host_network \"n\" { } }",                                                              "client { host_network \"n\" { reserved_ports = \"22\" } }"      },
    {"plugin.config",                      "plugin",              "plugin \"p\" { config { a = 1 } }",
     "plugin \"p\" { config { a = 2 } }"                                                                                                                                },
};

static int setup(void **state)
{
    struct fixture *f = xnew0(struct fixture);

    f->path = conf_file_path("r.hcl");
    *state = f;
    return 0;
}

static void forget(struct fixture *f)
{
    f->args = conf_args_free(f->args);
    conf_done(&f->c);
    conf_reloaded_done(&f->said);
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    forget(f);
    log_set_level(LOG_LEVEL_INFO);
    log_set_json(false);
    free(f->path);
    free(f);
    return 0;
}

static void write_text(const char *text)
{
    _cleanup_free_ char *all = xasprintf("data_dir = \"/d\"\n%s\n", text);

    free(conf_file_write("r.hcl", all));
}

static void start(struct fixture *f, unsigned role, const char *text)
{
    char *argv[] = {(char *)(uintptr_t) "program", (char *)(uintptr_t) "-config", f->path, NULL};
    struct conf_report report = {0};
    struct err e = {0};

    forget(f);
    write_text(text);
    assert_int_equal(conf_args_parse(3, argv, role, &f->args, &e), 0);
    assert_int_equal(conf_args_load(f->args, &f->c, &report), 0);
    conf_report_done(&report);
}

static int reload(struct fixture *f, unsigned role, const char *text)
{
    int r;

    write_text(text);
    conf_reloaded_done(&f->said);
    r = conf_reload_begin(f->args, &f->c, role, &f->said);
    log_set_level(LOG_LEVEL_OFF);
    conf_reload_end(&f->said);
    return r;
}

static void check_one(struct fixture *f, unsigned role, const char *path, const char *before,
                      const char *after)
{
    assert_int_equal(reload(f, role, after), 0);
    if (f->said.n_applied != 1)
        fail_msg("%s: %zu keys were applied", path, f->said.n_applied);
    assert_string_equal(f->said.applied[0], path);
    assert_int_equal(f->said.n_needs_restart, 0);
    /* taken over: the same again is no change ... */
    assert_int_equal(reload(f, role, after), 0);
    assert_int_equal(f->said.n_applied, 0);
    /* ... and the way back is one */
    assert_int_equal(reload(f, role, before), 0);
    assert_int_equal(f->said.n_applied, 1);
}

static unsigned role_of(const char *name)
{
    return str_eq(name, "server") ? CONF_SERVER : CONF_CLIENT;
}

static void test_reload_takes_over_every_row_that_says_so(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *path = rows[i].path;

        if (str_eq(path, "client.server_join.retry_join"))
            path = "client.servers"; /* one list */
        start(f, role_of(rows[i].role), "");
        check_one(f, role_of(rows[i].role), path, "", rows[i].text);
        if (rows[i].role)
            continue;
        start(f, CONF_SERVER, "");
        check_one(f, CONF_SERVER, path, "", rows[i].text);
    }
    for (size_t i = 0; i < ARRAY_LEN(inside); i++) {
        start(f, CONF_CLIENT, inside[i].before);
        check_one(f, CONF_CLIENT, inside[i].block, inside[i].before, inside[i].after);
    }
}

static bool is_tried(const char *path)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (str_eq(rows[i].path, path))
            return true;
    for (size_t i = 0; i < ARRAY_LEN(inside); i++)
        if (str_eq(inside[i].path, path))
            return true;
    return false;
}

static void test_reload_no_row_is_marked_without_being_tried(void **state)
{
    size_t marked = 0;

    (void)state;
    for (size_t i = 0; i < n_conf_keys; i++) {
        bool hup = conf_keys[i].flags & KEY_HUP;

        marked += hup;
        if (hup != is_tried(conf_keys[i].path))
            fail_msg("%s: marked %d", conf_keys[i].path, hup);
        if (hup) /* what has no effect at all cannot be applied */
            assert_int_equal(conf_keys[i].action, KEY_USE);
    }
    assert_int_equal(marked, ARRAY_LEN(rows) + ARRAY_LEN(inside));
}

static void test_reload_leaves_the_rest_and_says_so(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *said = NULL;

    start(f, CONF_CLIENT, "name = \"a\"");
    assert_int_equal(reload(f, CONF_CLIENT,
                            "name = \"b\" region = \"eu\" log_level = \"WARN\"\n"
                            "ports { http = 1 } advertise { http = \"10.0.0.1\" }\n"
                            "client { no_host_uuid = false state_dir = \"/s\" node_class = \"c\"\n"
                            "  server_join { retry_interval = \"1s\" } }\n"
                            "limits { http_max_conns_per_client = 3 }\n"
                            "server { heartbeat_grace = \"1s\" }"),
                     0);
    said = conf_lines(f->said.needs_restart, f->said.n_needs_restart);
    assert_string_equal(said, "region\nname\nports.http\nadvertise.http\nclient.state_dir\n"
                              "client.server_join.retry_interval\nclient.no_host_uuid\n"
                              "limits.http_max_conns_per_client\n");
    free(said);
    said = conf_lines(f->said.applied, f->said.n_applied);
    assert_string_equal(said, "log_level\nclient.node_class\n");
    assert_string_equal(f->c.name, "a");
    assert_string_equal(f->c.region, "global");
    assert_string_equal(f->c.client.state_dir, "/d/client");
    assert_string_equal(f->c.client.node_class, "c");
    assert_true(f->c.client.no_host_uuid);
    assert_int_equal(f->c.port_http, 4646);
    /* what was not applied is told again by the next one */
    assert_int_equal(reload(f, CONF_CLIENT, "name = \"b\""), 0);
    assert_int_equal(f->said.n_needs_restart, 1);
}

/* a struct that others have borrowed stays where it is, with the new values */
static void test_reload_changes_the_struct_where_it_stands(void **state)
{
    struct fixture *f = *state;
    const struct strmap *meta = &f->c.client.meta;

    start(f, CONF_CLIENT, "client { meta { a = 1 b = 2 } servers = [\"x\"] }");
    assert_int_equal(reload(f, CONF_CLIENT, "client { meta { a = 3 } }"), 0);
    assert_int_equal(meta->n, 1);
    assert_string_equal(strmap_get(meta, "a"), "3");
    assert_int_equal(f->c.client.n_servers, 0);
}

static void test_reload_sets_the_log(void **state)
{
    struct fixture *f = *state;

    start(f, CONF_CLIENT, "");
    write_text("log_level = \"WARN\"");
    assert_int_equal(conf_reload_begin(f->args, &f->c, CONF_CLIENT, &f->said), 0);
    assert_int_equal(log_get_level(), LOG_LEVEL_WARN);
    write_text("");
    conf_reloaded_done(&f->said);
    assert_int_equal(conf_reload_begin(f->args, &f->c, CONF_CLIENT, &f->said), 0);
    assert_int_equal(log_get_level(), LOG_LEVEL_INFO);
}

static void test_reload_of_a_broken_file_changes_nothing(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *want = NULL;
    struct buf json _cleanup_buf_ = BUF_INIT(65536);

    start(f, CONF_CLIENT, "client { meta { a = 1 } }");
    assert_int_equal(
        reload(f, CONF_CLIENT, "client { meta { a = 2 } node_clas = \"x\" }\nlog_level = \"LOUD\""),
        -EINVAL);
    assert_int_equal(f->said.n_errors, 2);
    want = xasprintf("%s:2:25: unknown key \"node_clas\"", f->path);
    assert_true(str_starts(f->said.errors[0], want));
    assert_non_null(strstr(f->said.errors[1], ":3:13: Invalid log level: LOUD."));
    assert_int_equal(f->said.n_applied + f->said.n_needs_restart, 0);
    assert_string_equal(strmap_get(&f->c.client.meta, "a"), "1");
    conf_reloaded_json(&f->said, &json);
    assert_true(str_starts(buf_str(&json), "{\"Applied\":[],\"NeedsRestart\":[],\"Warnings\":[],"
                                           "\"Errors\":[\""));
    assert_int_equal(remove(f->path), 0);
    conf_reloaded_done(&f->said);
    assert_int_equal(conf_reload_begin(f->args, &f->c, CONF_CLIENT, &f->said), -EINVAL);
    assert_non_null(strstr(f->said.errors[0], "No such file or directory"));
    assert_string_equal(f->c.data_dir, "/d");
}

static void test_reload_json(void **state)
{
    struct fixture *f = *state;
    struct buf json _cleanup_buf_ = BUF_INIT(65536);

    start(f, CONF_CLIENT, "name = \"a\"");
    assert_int_equal(
        reload(f, CONF_CLIENT,
               "name = \"b\" client { node_class = \"c\" meta { a = 1 } } plugin_dir = \"/p\""),
        0);
    conf_reloaded_json(&f->said, &json);
    assert_true(str_starts(buf_str(&json), "{\"Applied\":[\"client.node_class\",\"client.meta\"],"
                                           "\"NeedsRestart\":[\"name\"],\"Warnings\":[\""));
    assert_true(str_ends(buf_str(&json), "\"],\"Errors\":[]}"));
}

/* flags stay over what the files say now */
static void test_reload_keeps_flags(void **state)
{
    struct fixture *f = *state;
    char *argv[] = {(char *)(uintptr_t) "program", (char *)(uintptr_t) "-config", f->path,
                    (char *)(uintptr_t) "-node-class=flag", NULL};
    struct conf_report report = {0};
    struct err e = {0};

    write_text("");
    assert_int_equal(conf_args_parse(4, argv, CONF_CLIENT, &f->args, &e), 0);
    assert_int_equal(conf_args_load(f->args, &f->c, &report), 0);
    conf_report_done(&report);
    assert_int_equal(reload(f, CONF_CLIENT, "client { node_class = \"file\" }"), 0);
    assert_int_equal(f->said.n_applied, 0);
    assert_string_equal(f->c.client.node_class, "flag");
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_reload_takes_over_every_row_that_says_so),
        TEST(test_reload_no_row_is_marked_without_being_tried),
        TEST(test_reload_leaves_the_rest_and_says_so),
        TEST(test_reload_changes_the_struct_where_it_stands),
        TEST(test_reload_sets_the_log),
        TEST(test_reload_of_a_broken_file_changes_nothing),
        TEST(test_reload_json),
        TEST(test_reload_keeps_flags),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
