#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <json-c/json.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "tests/support/server_harness.h"

static int setup(void **state)
{
    *state = harness_new();
    return 0;
}

static int teardown(void **state)
{
    *state = harness_free(*state);
    return 0;
}

static int nodes(struct harness *h, const char *prefix, struct node_list *l, struct view_meta *m,
                 struct err *e)
{
    return h->server->view.ops->nodes(h->server->view.impl, prefix, l, m, e);
}

static void test_nodes_are_counted_and_in_order(void **state)
{
    struct harness *h = *state;
    struct node_list l = {0};
    struct view_meta m;
    struct err e;
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;

    harness_ready(h, 2);
    harness_ready(h, 1);
    assert_int_equal(nodes(h, "", &l, &m, &e), 0);
    assert_int_equal(l.n, 2);
    assert_int_equal(l.pages[0]->items[0]->create_index, 3);
    assert_int_equal(m.index, 4);
    assert_true(m.known_leader);
    assert_int_equal(m.last_contact_ms, 0);
    harness_status(h, 1, NODE_STATUS_DOWN, NULL, &a);
    assert_int_equal(l.pages[0]->items[0]->status,
                     STATUS_READY); /* what was handed out stays as it was */
    node_list_done(&l);
}

static void test_nodes_prefix_errors(void **state)
{
    struct node_list l = {0};
    struct view_meta m;
    struct err e = {0};

    assert_true(nodes(*state, "abc", &l, &m, &e) < 0);
    assert_int_equal(e.status, 500);
    assert_string_equal(e.text, "node lookup failed: index error: Input (without hyphens) must be "
                                "even length");
    assert_int_equal(nodes(*state, "abcd", &l, &m, &e), 0);
    assert_int_equal(l.n, 0);
    node_list_done(&l);
}

static void test_node_answers_with_its_own_index(void **state)
{
    struct harness *h = *state;
    const struct view_ops *v = h->server->view.ops;
    const struct node_item *it = NULL;
    struct view_meta m = {0};
    struct err e = {0};
    char id[UUID_TEXT_LEN + 1];

    harness_ready(h, 1);
    harness_ready(h, 2);
    make_node_id(1, id);
    assert_int_equal(v->node(h->server, id, &it, &m, &e), 0);
    assert_string_equal(it->id, id);
    assert_int_equal(m.index, 2);
    it = node_item_unref(it);
    make_node_id(3, id);
    assert_int_equal(v->node(h->server, id, &it, &m, &e), 1);
    assert_int_equal(m.index, 4);
    assert_true(v->node(h->server, "short", &it, &m, &e) < 0);
    assert_int_equal(e.status, 500);
    assert_string_equal(e.text, "node lookup failed: index error: UUID must be 36 characters");
    assert_true(v->node(h->server, "", &it, &m, &e) < 0);
    assert_string_equal(e.text, "missing node ID");
}

static void test_allocations_of_any_id_are_empty(void **state)
{
    struct harness *h = *state;
    _cleanup_buf_ struct buf b = BUF_INIT(KIB);
    struct view_meta m = {0};
    struct err e = {0};

    assert_int_equal(h->server->view.ops->node_allocs(h->server, "no id at all", &b, &m, &e), 0);
    assert_int_equal(b.len, 1);
    assert_int_equal(b.p[0], 0x90);
    assert_int_equal(m.index, 1);
}

/* --- waiting --- */

static void count(void *arg)
{
    ++*(int *)arg;
}

static void wait_on(struct harness *h, enum view_what what, uint64_t n, struct view_wait *w)
{
    char id[UUID_TEXT_LEN + 1];

    make_node_id(n, id);
    h->server->view.ops->wait(h->server, what, id, w);
}

static void test_wait_wakes_on_what_was_asked(void **state)
{
    struct harness *h = *state;
    int list = 0, one = 0, missing = 0, allocs = 0, cancelled = 0;
    struct view_wait w[] = {
        {.fn = count, .arg = &list     },
        {.fn = count, .arg = &one      },
        {.fn = count, .arg = &missing  },
        {.fn = count, .arg = &allocs   },
        {.fn = count, .arg = &cancelled},
    };
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;

    harness_ready(h, 1);
    harness_ready(h, 2);
    wait_on(h, VIEW_NODES, 0, &w[0]);
    wait_on(h, VIEW_NODE, 1, &w[1]);
    wait_on(h, VIEW_NODE, 9, &w[2]);
    wait_on(h, VIEW_NODE_ALLOCS, 1, &w[3]);
    wait_on(h, VIEW_NODES, 0, &w[4]);
    h->server->view.ops->cancel(h->server, &w[4]);
    h->server->view.ops->cancel(h->server, &w[4]); /* harmless twice */
    harness_status(h, 2, NODE_STATUS_DOWN, NULL, &a);
    assert_int_equal(list, 1);
    assert_int_equal(one, 0);
    assert_int_equal(missing, 1); /* a node that is not there waits for the table */
    harness_status(h, 1, NODE_STATUS_DOWN, NULL, &a);
    assert_int_equal(list, 1); /* once */
    assert_int_equal(one, 1);
    assert_int_equal(allocs + cancelled, 0);
    assert_null(w[1].impl);
    h->server->view.ops->cancel(h->server, &w[3]);
}

/* --- the agent's own endpoints --- */

static struct json_object *path(struct json_object *o, const char *keys)
{
    _cleanup_free_ char *copy = xstrdup(keys);
    char *rest = copy;

    while (o && rest) {
        char *dot = strchr(rest, '/');

        if (dot)
            *dot++ = 0;
        if (!json_object_object_get_ex(o, rest, &o))
            return NULL;
        rest = dot;
    }
    return o;
}

static void test_agent_self_has_what_clients_read(void **state)
{
    static const struct {
        const char *keys, *value;
    } rows[] = {
        {"config/Region",                     "global"        },
        {"config/Datacenter",                 "dc1"           },
        {"config/Server/Enabled",             "true"          },
        {"config/Client/Enabled",             "false"         },
        {"config/ACL/Enabled",                "false"         },
        {"config/EnableDebug",                "true"          },
        {"config/LeaveOnInt",                 "true"          },
        {"config/LeaveOnTerm",                "false"         },
        {"config/DevMode",                    "false"         },
        {"config/Limits/RPCHandshakeTimeout", "7s"            },
        {"config/UI/ShowCLIHints",            "false"         },
        {"config/Version/Version",            "1.10.5"        },
        {"config/AdvertiseAddrs/RPC",         "127.0.0.1:4647"},
        {"member/Name",                       "srv-a.global"  },
        {"member/Addr",                       "127.0.0.1"     },
        {"member/Tags/build",                 "1.10.5+picket" },
        {"stats/nomad/leader_addr",           "127.0.0.1:4647"},
        {"stats/nomad/server",                "true"          },
        {"stats/raft/applied_index",          "2"             },
        {"stats/picket/nodes",                "1"             },
        {"stats/picket/heartbeat_timers",     "1"             },
        {"stats/runtime/kernel.name",         "linux"         },
    };
    struct harness *h = *state;
    _cleanup_buf_ struct buf b = BUF_INIT(MIB);
    struct json_object *o;
    struct err e;

    harness_ready(h, 1);
    h->conf.enable_debug = h->conf.leave_on_interrupt = true; /* as in force, not as once read */
    h->conf.rpc_handshake_timeout = 7 * (int64_t)NSEC_PER_SEC;
    assert_int_equal(h->server->view.ops->agent_self(h->server, &b, &e), 0);
    o = json_tokener_parse(buf_str(&b));
    assert_non_null(o);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct json_object *v = path(o, rows[i].keys);

        if (!v)
            fail_msg("no %s", rows[i].keys);
        assert_string_equal(json_object_get_string(v), rows[i].value);
    }
    assert_null(path(o, "stats/client"));
    (void)json_object_put(o);
    assert_null(strstr(buf_str(&b), "5000-8000")); /* no node's secret */
}

static void test_agent_members_are_this_server(void **state)
{
    struct harness *h = *state;
    _cleanup_buf_ struct buf b = BUF_INIT(MIB);
    struct json_object *o;
    struct err e;

    assert_int_equal(h->server->view.ops->agent_members(h->server, &b, &e), 0);
    o = json_tokener_parse(buf_str(&b));
    assert_non_null(o);
    assert_int_equal(json_object_array_length(path(o, "Members")), 1);
    assert_string_equal(json_object_get_string(path(o, "ServerName")), "srv-a");
    assert_string_equal(json_object_get_string(path(o, "ServerRegion")), "global");
    assert_string_equal(json_object_get_string(path(o, "ServerDC")), "dc1");
    (void)json_object_put(o);
}

static void test_agent_health(void **state)
{
    static const struct {
        const char *type;
        int status;
        const char *body;
    } rows[] = {
        {"",       200, "{\"server\":{\"message\":\"ok\",\"ok\":true}}"                 },
        {"server", 200, "{\"server\":{\"message\":\"ok\",\"ok\":true}}"                 },
        {"client", 500, "{\"client\":{\"ok\":false,\"message\":\"client not enabled\"}}"},
    };
    struct harness *h = *state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_buf_ struct buf b = BUF_INIT(KIB);

        assert_int_equal(h->server->view.ops->agent_health(h->server, rows[i].type, &b),
                         rows[i].status);
        assert_string_equal(buf_str(&b), rows[i].body);
    }
}

static void test_leader_peers_region(void **state)
{
    struct harness *h = *state;
    const struct view_ops *v = h->server->view.ops;
    const char *leader = NULL;
    char **peers = NULL;
    struct err e = {0};
    size_t n = 0;

    assert_string_equal(v->region(h->server), "global");
    assert_int_equal(v->leader(h->server, &leader, &e), 0);
    assert_string_equal(leader, HARNESS_RPC);
    assert_int_equal(v->peers(h->server, &peers, &n, &e), 0);
    assert_int_equal(n, 1);
    assert_string_equal(peers[0], HARNESS_RPC);
    strv_done(&peers, &n);
}

static void test_addresses_are_split(void **state)
{
    static const struct {
        const char *address, *host;
        uint64_t port;
    } rows[] = {
        {"127.0.0.1:4647", "127.0.0.1", 4647},
        {"[fd00::1]:4647", "fd00::1",   4647},
        {"host",           "host",      0   },
        {"host:x",         "host",      0   },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char *host = NULL;
        uint64_t port = 1;

        server_split_address(rows[i].address, &host, &port);
        assert_string_equal(host, rows[i].host);
        assert_int_equal(port, rows[i].port);
        free(host);
    }
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_nodes_are_counted_and_in_order),
        TEST(test_nodes_prefix_errors),
        TEST(test_node_answers_with_its_own_index),
        TEST(test_allocations_of_any_id_are_empty),
        TEST(test_wait_wakes_on_what_was_asked),
        TEST(test_agent_self_has_what_clients_read),
        TEST(test_agent_members_are_this_server),
        TEST(test_agent_health),
        TEST(test_leader_peers_region),
        TEST(test_addresses_are_split),
    };

    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
