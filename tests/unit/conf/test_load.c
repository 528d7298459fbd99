/* Files and folders into struct conf: order, merging, coercion, defaults, roles, checks. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/str.h"
#include "tests/support/conf_files.h"

#define BASE "data_dir = \"/d\"\n"

struct fixture {
    struct conf c;
    struct conf_report r;
};

static int setup(void **state)
{
    *state = xnew0(struct fixture);
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    conf_done(&f->c);
    conf_report_done(&f->r);
    free(f);
    return 0;
}

#define client(...)                                                                                \
    assert_int_equal(conf_texts(CONF_CLIENT, &f->c, &f->r, BASE, __VA_ARGS__, NULL), 0)
#define server(...)                                                                                \
    assert_int_equal(conf_texts(CONF_SERVER, &f->c, &f->r, BASE, __VA_ARGS__, NULL), 0)

static void expect_errors(struct fixture *f, unsigned role, const char *text, const char *errors)
{
    _cleanup_free_ char *said = NULL;

    assert_int_equal(conf_texts(role, &f->c, &f->r, text, NULL), -EINVAL);
    said = conf_lines(f->r.errors, f->r.n_errors);
    assert_string_equal(said, errors);
}

/* ---- defaults ---- */

static void test_load_client_defaults(void **state)
{
    struct fixture *f = *state;
    const struct conf *c = &f->c;
    char host[256] = "";

    client("");
    assert_int_equal(gethostname(host, sizeof(host) - 1), 0);
    assert_string_equal(c->region, "global");
    assert_string_equal(c->datacenter, "dc1");
    assert_string_equal(c->name, host);
    assert_string_equal(c->bind_addr, "127.0.0.1");
    assert_true(c->bind_default);
    assert_int_equal(c->port_http, 4646);
    assert_int_equal(c->port_rpc, 4647);
    assert_string_equal(c->log_level, "INFO");
    assert_false(c->log_json);
    assert_int_equal(c->http_max_conns_per_client, 100);
    assert_int_equal(c->https_handshake_timeout, 5 * (int64_t)NSEC_PER_SEC);
    assert_true(c->client.enabled);
    assert_false(c->server.enabled);
    assert_string_equal(c->client.state_dir, "/d/client");
    assert_string_equal(c->client.alloc_dir, "/d/alloc");
    assert_string_equal(c->client.node_pool, "default");
    assert_int_equal(c->client.min_dynamic_port, 20000);
    assert_int_equal(c->client.max_dynamic_port, 32000);
    assert_int_equal(c->client.retry_interval, 30 * (int64_t)NSEC_PER_SEC);
    assert_true(c->client.no_host_uuid);
    assert_true(c->client.nomad_service_discovery);
    assert_int_equal(c->client.n_servers, 0);
    assert_null(c->client.network_interface);
    assert_int_equal(f->r.n_warnings, 0);
}

static void test_load_server_defaults(void **state)
{
    struct fixture *f = *state;

    server("");
    assert_true(f->c.server.enabled);
    assert_string_equal(f->c.bind_addr, "0.0.0.0");
    assert_string_equal(f->c.server.data_dir, "/d/server");
    assert_int_equal(f->c.server.heartbeat_grace, 10 * (int64_t)NSEC_PER_SEC);
    assert_int_equal(f->c.server.min_heartbeat_ttl, 10 * (int64_t)NSEC_PER_SEC);
    assert_int_equal(f->c.server.failover_heartbeat_ttl, 300 * (int64_t)NSEC_PER_SEC);
    assert_true(f->c.server.max_heartbeats_per_second == 1000);
    assert_int_equal(f->c.rpc_max_conns_per_client, 100);
}

static void test_load_everything_that_is_used(void **state)
{
    struct fixture *f = *state;
    const struct conf *c = &f->c;

    client(
        "region = \"eu\" datacenter = \"dc7\" name = \"n1\" bind_addr = \"10.0.0.1\"\n"
        "ports { http = 1001 rpc = 1002 serf = 1003 }\n"
        "addresses { http = \"10.0.0.2\" } advertise { http = \"h:1\" rpc = \"r:2\" }\n"
        "log_level = \"debug\" log_json = true leave_on_interrupt = true leave_on_terminate = 1\n"
        "http_api_response_headers { \"X-A\" = \"b\" }\n"
        "limits { http_max_conns_per_client = 0 https_handshake_timeout = \"0s\" }\n"
        "client {\n"
        "  enabled = true state_dir = \"/s\" alloc_dir = \"/a\" servers = [\"s1\", \"s2:5\"]\n"
        "  server_join { retry_join = [\"s3\"] retry_interval = \"5s\" }\n"
        "  node_class = \"edge\" node_pool = \"p\" meta { a = 1 } options { "
        "\"fingerprint.denylist\" = true }\n"
        "  network_interface = \"eth0\" preferred_address_family = \"ipv6\" network_speed = 1000\n"
        "  cpu_total_compute = 1 memory_total_mb = 2 disk_total_mb = 3 reservable_cores = \"0-3\"\n"
        "  reserved { cpu = 4 memory = 5 disk = 6 cores = \"1\" reserved_ports = \"22\" }\n"
        "  min_dynamic_port = 21000 max_dynamic_port = 22000 no_host_uuid = false\n"
        "  gc_volumes_on_node_gc = true node_max_allocs = 9 default_ineligible = true\n"
        "  nomad_service_discovery = false\n"
        "  host_volume \"v\" { path = \"/v\" read_only = true }\n"
        "  host_network \"n\" { cidr = \"10.0.0.0/8\" interface = \"eth1\" reserved_ports = \"80\" "
        "}\n"
        "}\n"
        "plugin \"raw_exec\" { config { enabled = true } }\n");
    assert_string_equal(c->region, "eu");
    assert_string_equal(c->datacenter, "dc7");
    assert_string_equal(c->name, "n1");
    assert_string_equal(c->bind_addr, "10.0.0.1");
    assert_false(c->bind_default);
    assert_int_equal(c->port_http, 1001);
    assert_int_equal(c->port_rpc, 1002);
    assert_string_equal(c->address_http, "10.0.0.2");
    assert_string_equal(c->advertise_http, "h:1");
    assert_string_equal(c->advertise_rpc, "r:2");
    assert_string_equal(c->log_level, "debug");
    assert_true(c->log_json && c->leave_on_interrupt && c->leave_on_terminate);
    assert_string_equal(strmap_get(&c->response_headers, "X-A"), "b");
    assert_int_equal(c->http_max_conns_per_client, 0);
    assert_int_equal(c->https_handshake_timeout, 0);
    assert_string_equal(c->client.state_dir, "/s");
    assert_string_equal(c->client.alloc_dir, "/a");
    assert_int_equal(c->client.n_servers, 3);
    assert_string_equal(c->client.servers[1], "s2:5");
    assert_string_equal(c->client.servers[2], "s3");
    assert_int_equal(c->client.retry_interval, 5 * (int64_t)NSEC_PER_SEC);
    assert_string_equal(c->client.node_class, "edge");
    assert_string_equal(c->client.node_pool, "p");
    assert_string_equal(strmap_get(&c->client.meta, "a"), "1");
    assert_string_equal(strmap_get(&c->client.options, "fingerprint.denylist"), "true");
    assert_string_equal(c->client.network_interface, "eth0");
    assert_string_equal(c->client.preferred_address_family, "ipv6");
    assert_int_equal(c->client.network_speed, 1000);
    assert_int_equal(c->client.cpu_total_compute, 1);
    assert_int_equal(c->client.memory_total_mb, 2);
    assert_int_equal(c->client.disk_total_mb, 3);
    assert_string_equal(c->client.reservable_cores, "0-3");
    assert_int_equal(c->client.reserved_cpu, 4);
    assert_int_equal(c->client.reserved_memory, 5);
    assert_int_equal(c->client.reserved_disk, 6);
    assert_string_equal(c->client.reserved_cores, "1");
    assert_string_equal(c->client.reserved_ports, "22");
    assert_int_equal(c->client.min_dynamic_port, 21000);
    assert_int_equal(c->client.max_dynamic_port, 22000);
    assert_false(c->client.no_host_uuid);
    assert_true(c->client.gc_volumes_on_node_gc);
    assert_int_equal(c->client.node_max_allocs, 9);
    assert_true(c->client.default_ineligible);
    assert_false(c->client.nomad_service_discovery);
    assert_int_equal(c->client.n_volumes, 1);
    assert_string_equal(c->client.volumes[0].name, "v");
    assert_string_equal(c->client.volumes[0].path, "/v");
    assert_true(c->client.volumes[0].read_only);
    assert_int_equal(c->client.n_host_networks, 1);
    assert_string_equal(c->client.host_networks[0].cidr, "10.0.0.0/8");
    assert_string_equal(c->client.host_networks[0].interface, "eth1");
    assert_string_equal(c->client.host_networks[0].reserved_ports, "80");
    assert_int_equal(c->n_plugins, 1);
    assert_string_equal(c->plugins[0].name, "raw_exec");
    assert_string_equal(c->plugins[0].config_json, "{\"enabled\":true}");
    assert_int_equal(c->n_files, 2);
    assert_int_equal(f->r.n_warnings, 0);
}

/* ---- coercion (fact: platform 1.1) ---- */

static void test_load_strings_take_scalars_as_written(void **state)
{
    struct fixture *f = *state;

    client("client { meta { a = \"x\" b = 12345 c = 1.50 d = true e = 0x10 f = 1e2 g = <<E\nh\nE\n "
           "} }");
    assert_string_equal(strmap_get(&f->c.client.meta, "a"), "x");
    assert_string_equal(strmap_get(&f->c.client.meta, "b"), "12345");
    assert_string_equal(strmap_get(&f->c.client.meta, "c"), "1.50");
    assert_string_equal(strmap_get(&f->c.client.meta, "d"), "true");
    assert_string_equal(strmap_get(&f->c.client.meta, "e"), "0x10");
    assert_string_equal(strmap_get(&f->c.client.meta, "f"), "1e2");
    assert_string_equal(strmap_get(&f->c.client.meta, "g"), "h\n");
}

static void test_load_numbers_and_switches(void **state)
{
    struct fixture *f = *state;

    client("ports { http = \"0x1226\" rpc = 010000 }\n"
           "client { no_host_uuid = \"0\" gc_volumes_on_node_gc = \"True\" }");
    assert_int_equal(f->c.port_http, 0x1226);
    assert_int_equal(f->c.port_rpc, 4096);
    assert_false(f->c.client.no_host_uuid);
    assert_true(f->c.client.gc_volumes_on_node_gc);
    server("server { max_heartbeats_per_second = 5 heartbeat_grace = \"1h30m\" }");
    assert_true(f->c.server.max_heartbeats_per_second == 5);
    assert_int_equal(f->c.server.heartbeat_grace, 5400 * (int64_t)NSEC_PER_SEC);
    server("server { max_heartbeats_per_second = 2.5 }");
    assert_true(f->c.server.max_heartbeats_per_second == 2.5);
}

static void test_load_keys_in_any_case(void **state)
{
    struct fixture *f = *state;

    client(
        "CLIENT { Node_Class = \"x\" META { A = 1 a = 2 } Host_Volume \"V\" { PATH = \"/v\" } }");
    assert_string_equal(f->c.client.node_class, "x");
    assert_string_equal(strmap_get(&f->c.client.meta, "A"),
                        "1"); /* labels and map keys keep theirs */
    assert_string_equal(strmap_get(&f->c.client.meta, "a"), "2");
    assert_string_equal(f->c.client.volumes[0].name, "V");
}

static void test_load_json_is_the_same(void **state)
{
    struct fixture *f = *state;

    client("{\"region\":null,\"client\":[{\"enabled\":true},{\"node_class\":\"x\"}],"
           "\"ports\":{\"http\":5}}");
    assert_string_equal(f->c.region, "global");
    assert_string_equal(f->c.client.node_class, "x");
    assert_int_equal(f->c.port_http, 5);
    client("{\"client\":{\"host_volume\":[{\"a\":[{\"path\":\"/a\"}]},{\"b\":{\"path\":\"/b\"}}],"
           "\"meta\":[{\"k\":\"v\"}]}}");
    assert_int_equal(f->c.client.n_volumes, 2);
    assert_string_equal(f->c.client.volumes[1].path, "/b");
    assert_string_equal(strmap_get(&f->c.client.meta, "k"), "v");
}

static void test_load_plugin_config_is_free(void **state)
{
    struct fixture *f = *state;

    client("plugin \"free\" { config { gc { image = false } auth { a = 1 } auth { a = 2 }\n"
           "  list = [\"x\", 1] n = 0x10 \"q\" \"r\" { s = 1.5 } } }\n"
           "plugin \"other\" { }");
    assert_string_equal(f->c.plugins[0].config_json,
                        "{\"gc\":{\"image\":false},\"auth\":[{\"a\":1},{\"a\":2}],"
                        "\"list\":[\"x\",1],\"n\":16,\"q\":{\"r\":{\"s\":1.5}}}");
    assert_string_equal(f->c.plugins[1].config_json, "{}");
}

static void test_load_plugin_keys_are_known(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *said = NULL;

    client(
        "plugin \"docker\" { config { gc { image = false dangling_containers { dry_run = true } }\n"
        "  logging { type = \"x\" config { any = 1 } } volumes { enabled = true } } }\n"
        "plugin \"raw_exec\" { config { enabled = true no_cgroups = true } }");
    assert_int_equal(f->r.n_warnings, 0);
    expect_errors(
        f, CONF_CLIENT,
        BASE "plugin \"raw_exec\" { config { enbled = true } }\n"
             "plugin \"docker\" { config { gc { imge = 1 } volumes { zz = 1 } qq = 2 } }",
        "f0.hcl:2:30: plugin \"raw_exec\": No argument or block type is named \"enbled\". Did "
        "you mean \"enabled\"?\n"
        "f0.hcl:3:33: plugin \"docker\": No argument or block type is named \"imge\". Did you "
        "mean \"image\"?\n"
        "f0.hcl:3:54: plugin \"docker\": No argument or block type is named \"zz\".\n"
        "f0.hcl:3:63: plugin \"docker\": No argument or block type is named \"qq\".\n");
    client("plugin \"podman\" { config { any = 1 } } plugin \"exec\" { }\n"
           "client { options { \"fingerprint.denylst\" = \"x\" \"user.denylist\" = \"root\" } }");
    said = conf_lines(f->r.warnings, f->r.n_warnings);
    assert_string_equal(
        said, "f1.hcl:1:8: plugin \"podman\" has no effect: it is not built in, and external "
              "plugins are not supported\n"
              "f1.hcl:1:47: plugin \"exec\" has no effect: the driver is not in this release\n"
              "f1.hcl:2:18: client.options \"fingerprint.denylst\" has no effect: it is not "
              "known; did you mean \"fingerprint.denylist\"?\n"
              "f1.hcl:2:18: client.options \"user.denylist\" has no effect: tasks are not run by "
              "this release\n");
}

/* ---- merging (fact: config.md 0 and 3) ---- */

static void test_load_later_scalars_win_unless_empty(void **state)
{
    struct fixture *f = *state;

    client("region = \"a\" name = \"n\" ports { http = 1 rpc = 2 } client { network_speed = 5 }",
           "region = \"b\" name = \"\" ports { http = 3 rpc = 0 } client { network_speed = 0 }");
    assert_string_equal(f->c.region, "b");
    assert_string_equal(f->c.name, "n");
    assert_int_equal(f->c.port_http, 3);
    assert_int_equal(f->c.port_rpc, 2);
    assert_int_equal(f->c.client.network_speed, 5);
    server("server { heartbeat_grace = \"3s\" }", "server { heartbeat_grace = \"0s\" }");
    assert_int_equal(f->c.server.heartbeat_grace, 3 * (int64_t)NSEC_PER_SEC);
}

static void test_load_plain_switches_only_turn_on(void **state)
{
    struct fixture *f = *state;

    client("leave_on_interrupt = true log_json = false",
           "leave_on_interrupt = false log_json = true");
    assert_true(f->c.leave_on_interrupt);
    assert_true(f->c.log_json);
}

static void test_load_pointers_take_any_later_value(void **state)
{
    struct fixture *f = *state;

    client("client { no_host_uuid = true } limits { http_max_conns_per_client = 7 }",
           "client { no_host_uuid = false } limits { http_max_conns_per_client = 0 }");
    assert_false(f->c.client.no_host_uuid);
    assert_int_equal(f->c.http_max_conns_per_client, 0);
}

static void test_load_lists_and_maps(void **state)
{
    struct fixture *f = *state;

    client("client { servers = [\"a\", \"b\"] meta { x = 1 y = 1 }\n"
           "  server_join { retry_join = [\"j1\"] } }",
           "client { servers = [\"b\", \"c\"] meta { y = 2 z = 2 }\n"
           "  server_join { retry_join = [\"j2\"] } }");
    assert_int_equal(f->c.client.n_servers, 4); /* a b c, and retry_join replaced */
    assert_string_equal(f->c.client.servers[2], "c");
    assert_string_equal(f->c.client.servers[3], "j2");
    assert_string_equal(strmap_get(&f->c.client.meta, "x"), "1");
    assert_string_equal(strmap_get(&f->c.client.meta, "y"), "2");
    assert_string_equal(strmap_get(&f->c.client.meta, "z"), "2");
}

static void test_load_labelled_blocks(void **state)
{
    struct fixture *f = *state;

    client("client { host_volume \"a\" { path = \"/1\" read_only = true }\n"
           "  host_network \"n\" { cidr = \"10.0.0.0/8\" reserved_ports = \"1\" } }\n"
           "plugin \"p\" { config { a = 1 } } plugin \"q\" { config { a = 1 } }",
           "client { host_volume \"a\" { path = \"/2\" } host_volume \"b\" { path = \"/3\" }\n"
           "  host_network \"n\" { interface = \"eth9\" } }\n"
           "plugin \"p\" { config { b = 2 } } plugin \"q\" { config { } }");
    assert_int_equal(f->c.client.n_volumes, 2);
    assert_string_equal(f->c.client.volumes[0].path, "/2");
    assert_false(f->c.client.volumes[0].read_only); /* the later block replaces the whole one */
    assert_string_equal(f->c.client.volumes[1].path, "/3");
    assert_null(f->c.client.host_networks[0].cidr);
    assert_string_equal(f->c.client.host_networks[0].interface, "eth9");
    assert_string_equal(f->c.plugins[0].config_json, "{\"b\":2}");
    assert_string_equal(f->c.plugins[1].config_json, "{\"a\":1}"); /* an empty one does not */
}

static void test_load_repeatable_blocks_in_one_file(void **state)
{
    struct fixture *f = *state;

    client("client { node_class = \"a\" network_speed = 1 } client { node_class = \"b\" }\n"
           "http_api_response_headers { A = \"1\" } http_api_response_headers { B = \"2\" }");
    assert_string_equal(f->c.client.node_class, "b");
    assert_int_equal(f->c.client.network_speed, 1);
    assert_int_equal(f->c.response_headers.n, 2);
}

static void test_load_only_the_default_cluster_counts(void **state)
{
    struct fixture *f = *state;

    client(
        "vault { name = \"other\" enabled = true } vault { name = \"default\" enabled = false }");
    assert_int_equal(f->r.n_warnings, 1);
    assert_string_equal(
        f->r.warnings[0],
        "f1.hcl:1:7: vault \"other\" has no effect: only the one named \"default\" is used");
}

/* ---- folders ---- */

static void test_load_folder_in_byte_order(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *name, *text;
    } files[] = {
        {"d/10.hcl",        "region = \"r10\" name = \"n10\""   },
        {"d/9.json",        "{\"region\":\"r9\"}"               },
        {"d/.05.hcl",       "data_dir = \"/d\" region = \"r05\""},
        {"d/skip.txt",      "zz"                                },
        {"d/skip.hcl~",     "zz"                                },
        {"d/.#skip.hcl",    "zz"                                },
        {"d/#skip.hcl#",    "zz"                                },
        {"d/sub.hcl/x.hcl", "zz"                                },
    };
    const char *paths[1];
    _cleanup_free_ char *dir = conf_file_path("d");

    for (size_t i = 0; i < ARRAY_LEN(files); i++)
        free(conf_file_write(files[i].name, files[i].text));
    paths[0] = dir;
    assert_int_equal(conf_load(paths, 1, CONF_CLIENT, &f->c, &f->r), 0);
    assert_string_equal(f->c.region, "r9");
    assert_string_equal(f->c.name, "n10");
    assert_int_equal(f->c.n_files, 3);
    assert_true(str_ends(f->c.files[0], "d/.05.hcl"));
    assert_true(str_ends(f->c.files[2], "d/9.json"));
}

static void test_load_empty_folder_warns(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *dir = conf_file_path("empty"), *base = conf_file_write("b.hcl", BASE);
    const char *paths[] = {dir, base};

    assert_int_equal(dir_make(dir, 0755, NULL), 0);
    assert_int_equal(conf_load(paths, 2, CONF_CLIENT, &f->c, &f->r), 0);
    conf_report_shorten(&f->r);
    assert_string_equal(f->r.warnings[0], "No configuration loaded from empty");
}

static void test_load_missing_file(void **state)
{
    struct fixture *f = *state;
    const char *paths[] = {"/nonexistent/a.hcl"};

    assert_int_equal(conf_load(paths, 1, CONF_CLIENT, &f->c, &f->r), -EINVAL);
    assert_int_equal(f->r.n_errors, 1); /* and no talk of keys that may stand in it */
    assert_string_equal(f->r.errors[0], "Error loading configuration from /nonexistent/a.hcl: stat "
                                        "/nonexistent/a.hcl: No such file or directory");
}

/* ---- mistakes ---- */

static void test_load_all_mistakes_at_once(void **state)
{
    struct fixture *f = *state;

    expect_errors(
        f, CONF_CLIENT,
        BASE "ports {\n  http = \"x\"\n  htp = 1\n}\n"
             "client {\n  meta { \"a..b\" = 1 }\n  gc_interval = 90\n"
             "  reserved { reserved_ports = \"5-1\" }\n}\n"
             "log_level = \"LOUD\"\ntls { rpc = true }",
        "f0.hcl:3:10: ports.http: a whole number is needed, not \"x\"\n"
        "f0.hcl:4:3: unknown key \"htp\" in ports; did you mean \"http\"? Allowed here: "
        "http, rpc, serf\n"
        "f0.hcl:8:17: client.gc_interval can't parse time duration 90: a unit in quotes is "
        "needed, as \"90s\"\n"
        "f0.hcl:12:13: tls.rpc = true is refused: TLS is not supported by this release\n"
        "f0.hcl:11:13: Invalid log level: LOUD. Valid log levels are: [TRACE DEBUG INFO WARN "
        "ERROR OFF]\n"
        "f0.hcl:7:8: Invalid Client.Meta key: a..b\n"
        "f0.hcl:9:31: reserved.reserved_ports \"5-1\" invalid: invalid range: ending value "
        "(1) less than starting (5) value\n");
}

static void test_load_lists_allowed_keys_once(void **state)
{
    struct fixture *f = *state;

    expect_errors(f, CONF_CLIENT, BASE "ports { a1 = 1 b1 = 2 }",
                  "f0.hcl:2:9: unknown key \"a1\" in ports; allowed here: http, rpc, serf\n"
                  "f0.hcl:2:16: unknown key \"b1\" in ports\n");
}

static void test_load_mistakes_in_several_files(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *said = NULL;

    assert_int_equal(conf_texts(CONF_CLIENT, &f->c, &f->r, BASE "a", "b = {", "region = []", NULL),
                     -EINVAL);
    said = conf_lines(f->r.errors, f->r.n_errors);
    assert_string_equal(
        said, "f0.hcl:2:2: key 'a' expected start of object ('{') or assignment ('=')\n"
              "f1.hcl:1:6: object expected closing RBRACE got: EOF (the block starts at line 1)\n"
              "f2.hcl:1:10: region: a string is needed, not a list\n");
}

static void test_load_messages_are_one_line(void **state)
{
    struct fixture *f = *state;

    expect_errors(f, CONF_CLIENT, BASE "client { servers = [\"x\\ny\\u001b[31m\"] }",
                  "f0.hcl:2:20: server address \"x y [31m\" is not an address\n");
}

/* each check with its text and place (fact: config.md 2) */
static void test_load_checks(void **state)
{
    struct fixture *f = *state;
    static const struct {
        unsigned role;
        const char *text, *errors;
    } rows[] = {
        {CONF_CLIENT, "",                                                                          "Must specify the state-dir and alloc-dir if data-dir is omitted.\n"},
        {CONF_CLIENT, "client { state_dir = \"/s\" alloc_dir = \"/a\" }",                          NULL                                                                },
        {CONF_SERVER, "",                                                                          "Must specify \"data_dir\" config option or \"data-dir\" CLI flag\n"},
        {CONF_CLIENT, "data_dir = \"d\"",
         "f0.hcl:1:12: data-dir must be given as an absolute path: got d\n"                                                                                            },
        {CONF_CLIENT, BASE "client { alloc_dir = \"x\" }",
         "f0.hcl:2:22: alloc-dir must be given as an absolute path: got x\n"                                                                                           },
        {CONF_SERVER, BASE "server { data_dir = \"x\" }",
         "f0.hcl:2:21: server.data_dir must be given as an absolute path: got x\n"                                                                                     },
        {CONF_CLIENT, BASE "datacenter = \"a*\"",
         "f0.hcl:2:14: Datacenter contains invalid characters (null or '*')\n"                                                                                         },
        {CONF_CLIENT, BASE "ports { http = 70000 rpc = -1 }",
         "f0.hcl:2:16: ports.http must be <= 65535; found: 70000\n"
         "f0.hcl:2:28: ports.rpc must be >= 1; found: -1\n"                                                                                                            },
        {CONF_CLIENT,
         BASE "limits { http_max_conns_per_client = -1 https_handshake_timeout = \"-1s\" }",
         "f0.hcl:2:67: https_handshake_timeout must be >= 0\n"
         "f0.hcl:2:38: http_max_conns_per_client must be >= 0\n"                                                                                                       },
        {CONF_SERVER,
         BASE "limits { rpc_max_conns_per_client = 25 rpc_handshake_timeout = \"-1s\" }",
         "f0.hcl:2:64: rpc_handshake_timeout must be >= 0\n"
         "f0.hcl:2:37: rpc_max_conns_per_client must be > 25; found: 25\n"                                                                                             },
        {CONF_SERVER, BASE "limits { rpc_max_conns_per_client = 0 }",                              NULL                                                                },
        {CONF_CLIENT, BASE "client { node_pool = \"x y\" }",
         "f0.hcl:2:22: Invalid node pool: invalid name \"x y\", must match regex "
         "^[a-zA-Z0-9-_]{1,128}$\n"                                                                                                                                    },
        {CONF_CLIENT, BASE "client { node_pool = \"all\" }",
         "f0.hcl:2:22: Invalid node pool: node is not allowed to register in node pool \"all\"\n"                                                                      },
        {CONF_CLIENT, BASE "client { preferred_address_family = \"ip\" }",
         "f0.hcl:2:37: Invalid preferred-address-family value: ip (valid values: ipv4, ipv6)\n"                                                                        },
        {CONF_CLIENT, BASE "client { min_dynamic_port = 65536 max_dynamic_port = -1 }",
         "f0.hcl:2:29: Invalid dynamic port range: min_dynamic_port=65536\n"
         "f0.hcl:2:54: Invalid dynamic port range: max_dynamic_port=-1\n"                                                                                              },
        {CONF_CLIENT, BASE "client { max_dynamic_port = 5 }",
         "f0.hcl:2:29: Invalid dynamic port range: min_dynamic_port=20000 and "
         "max_dynamic_port=5\n"                                                                                                                                        },
        {CONF_CLIENT, BASE "client { network_speed = -1 reserved { cpu = -2 } }",
         "f0.hcl:2:26: client.network_speed must be >= 0; found: -1\n"
         "f0.hcl:2:46: client.reserved.cpu must be >= 0; found: -2\n"                                                                                                  },
        {CONF_CLIENT, BASE "client { reservable_cores = \"3-1\" }",
         "f0.hcl:2:29: client.reservable_cores \"3-1\" is not a list of cores such as 0-3,5\n"                                                                         },
        {CONF_CLIENT, BASE "client { host_volume \"v\" { } }",
         "f0.hcl:2:22: Missing path in host_volume config\n"                                                                                                           },
        {CONF_CLIENT, BASE "client { host_volume { path = \"/x\" } }",
         "f0.hcl:2:24: client.host_volume needs a label: host_volume \"name\" { ... }\n"                                                                               },
        {CONF_CLIENT, BASE "client { host_network \"n\" { cidr = \"10.0.0.0\" } }",
         "f0.hcl:2:23: host_network \"n\": cidr \"10.0.0.0\" is not an address with a prefix "
         "length\n"                                                                                                                                                    },
        {CONF_CLIENT, BASE "client { host_network \"n\" { interface = \"{{ X }}\" } }",
         "f0.hcl:2:23: host_network \"n\": interface: unable to parse address template \"{{ X "
         "}}\": "
         "function \"X\" not defined\n"                                                                                                                                },
        {CONF_CLIENT, BASE "client { network_interface = \"{{ GetInterfaceIP \\\"no\\\" }}\" }",
         "f0.hcl:2:30: Failed to parse network-interface: template \"{{ GetInterfaceIP \"no\" }}\" "
         "evaluated to empty result\n"                                                                                                                                 },
        {CONF_CLIENT, BASE "bind_addr = \"{{ X }}\"",
         "f0.hcl:2:13: bind_addr: unable to parse address template \"{{ X }}\": function \"X\" not "
         "defined\n"                                                                                                                                                   },
        {CONF_CLIENT, BASE "client { servers = [\"a:b:c\"] }",
         "f0.hcl:2:20: server address \"a:b:c\": too many colons in address\n"                                                                                         },
        {CONF_CLIENT, BASE "client { servers = [\"a:70000\"] }",
         "f0.hcl:2:20: server address \"a:70000\": invalid port\n"                                                                                                     },
        {CONF_CLIENT, BASE "client { server_join { start_join = [\"a\"] } }",
         "f0.hcl:2:37: start_join is not supported for Nomad clients\n"                                                                                                },
        {CONF_CLIENT, BASE "client { server_join { retry_interval = \"-1s\" } }",
         "f0.hcl:2:41: retry_interval must be greater than zero\n"                                                                                                     },
        {CONF_SERVER,
         BASE "server { heartbeat_grace = \"-1s\" min_heartbeat_ttl = \"-1s\"\n"
              "failover_heartbeat_ttl = \"-1s\" max_heartbeats_per_second = -1 }",                 "f0.hcl:2:28: heartbeat_grace must be >= 0\n"
         "f0.hcl:2:54: min_heartbeat_ttl must be greater than zero\n"
         "f0.hcl:3:26: failover_heartbeat_ttl must be greater than zero\n"
         "f0.hcl:3:60: max_heartbeats_per_second must be greater than zero\n"        },
        {CONF_SERVER, BASE "server { server_join { retry_join = [\"a\"] } retry_join = [\"b\"] }",
         "f0.hcl:2:58: server_join and retry_join cannot both be defined; prefer setting the "
         "server_join block\n"                                                                                                                                         },
        {CONF_CLIENT, BASE "http_api_response_headers { A = \"b\\r\\nC: d\" }",
         "f0.hcl:2:27: http_api_response_headers: \"A\" is not a header\n"                                                                                             },
        {CONF_CLIENT, BASE "client \"x\" { }",                                                     "f0.hcl:2:8: client takes no label\n"                               },
        {CONF_CLIENT, BASE "client { node_class \"x\" { } }",
         "f0.hcl:2:21: client.node_class takes no label\n"                                                                                                             },
        {CONF_CLIENT, BASE "plugin \"a\" \"b\" { }",                                               "f0.hcl:2:12: plugin takes one label\n"                             },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (rows[i].errors)
            expect_errors(f, rows[i].role, rows[i].text, rows[i].errors);
        else
            assert_int_equal(conf_texts(rows[i].role, &f->c, &f->r, rows[i].text, NULL), 0);
    }
}

/* ---- roles ---- */

static void test_load_shared_folder(void **state)
{
    struct fixture *f = *state;

    client("server { enabled = true num_schedulers = 1 }\nclient { enabled = true }");
    assert_int_equal(f->r.n_warnings, 1); /* nothing about keys of the other */
    assert_string_equal(f->r.warnings[0],
                        "f1.hcl:1:20: server {} is left to picket-server, this program takes the "
                        "client part");
    server("server { enabled = true }\nclient { enabled = true gc_interval = \"5m\" }");
    assert_int_equal(f->r.n_warnings, 1);
    assert_string_equal(f->r.warnings[0],
                        "f1.hcl:2:20: client {} is left to picketd, this program takes the server "
                        "part");
}

static void test_load_wrong_program(void **state)
{
    struct fixture *f = *state;

    expect_errors(
        f, CONF_CLIENT, BASE "server { enabled = true }",
        "f0.hcl:2:20: only server is enabled, this program is a client: set client { enabled "
        "= true } or -client\n");
}

static void test_load_check_finds_roles(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *path =
        conf_file_write("check.hcl", BASE "server { enabled = true heartbeat_grace = \"-1s\" }\n"
                                          "client { node_pool = \"all\" }");
    const char *const paths[] = {path};

    assert_int_equal(conf_check(paths, 1, &f->r), -EINVAL);
    assert_int_equal(f->r.n_errors, 1); /* the client part is not this file's business */
    assert_non_null(strstr(f->r.errors[0], "heartbeat_grace must be >= 0"));
}

static void test_load_discovery_is_left_out(void **state)
{
    struct fixture *f = *state;

    client("client { server_join { retry_join = [\"provider=aws tag=x\", \"h\", \"exec=cmd\"] } }");
    assert_int_equal(f->c.client.n_servers, 1);
    assert_string_equal(f->c.client.servers[0], "h");
    assert_int_equal(f->r.n_warnings, 2);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_load_client_defaults),
        TEST(test_load_server_defaults),
        TEST(test_load_everything_that_is_used),
        TEST(test_load_strings_take_scalars_as_written),
        TEST(test_load_numbers_and_switches),
        TEST(test_load_keys_in_any_case),
        TEST(test_load_json_is_the_same),
        TEST(test_load_plugin_config_is_free),
        TEST(test_load_plugin_keys_are_known),
        TEST(test_load_later_scalars_win_unless_empty),
        TEST(test_load_plain_switches_only_turn_on),
        TEST(test_load_pointers_take_any_later_value),
        TEST(test_load_lists_and_maps),
        TEST(test_load_labelled_blocks),
        TEST(test_load_repeatable_blocks_in_one_file),
        TEST(test_load_only_the_default_cluster_counts),
        TEST(test_load_folder_in_byte_order),
        TEST(test_load_empty_folder_warns),
        TEST(test_load_missing_file),
        TEST(test_load_all_mistakes_at_once),
        TEST(test_load_lists_allowed_keys_once),
        TEST(test_load_mistakes_in_several_files),
        TEST(test_load_messages_are_one_line),
        TEST(test_load_checks),
        TEST(test_load_shared_folder),
        TEST(test_load_wrong_program),
        TEST(test_load_check_finds_roles),
        TEST(test_load_discovery_is_left_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
