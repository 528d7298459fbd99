#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/rand.h"
#include "base/str.h"
#include "model/texts.h"
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

static void generic(struct harness *h, const char *method, const char *region, struct rpc_answer *a)
{
    struct generic_request q = {.q = {.region = xstrdup(region)}};

    harness_call(h, method, &desc_generic_request, &q, a);
    ops_clear(&desc_generic_request, &q);
}

static void test_unknown_names_end_the_stream(void **state)
{
    static const struct {
        const char *method, *text;
    } rows[] = {
        {"Nope.Nope",     "rpc: can't find service Nope.Nope"             },
        {"Node.Nope",     "rpc: can't find method Node.Nope"              },
        {"Node.",         "rpc: can't find method Node."                  },
        {".Register",     "rpc: can't find service .Register"             },
        {"nodots",        "rpc: service/method request ill-formed: nodots"},
        {"",              "rpc: service/method request ill-formed: "      },
        {"node.register", "rpc: can't find service node.register"         },
        {"A.B.C",         "rpc: can't find service A.B.C"                 },
    };
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        harness_call_raw(*state, rows[i].method, "\x80", 1, &a);
        assert_true(a.failed && a.closed);
        assert_string_equal(a.text, rows[i].text);
    }
}

/* agents answer the others, or only Nomad's servers do so far */
static bool is_served(const struct method *m)
{
    return !(m->flags & METHOD_CLIENT) && m->id != M_NODE_DEREGISTER && m->id != M_NODE_EVALUATE &&
           m->id != M_NODE_UPDATE_DRAIN && m->id != M_NODE_UPDATE_ELIGIBILITY;
}

static void test_body_that_does_not_decode_ends_the_stream(void **state)
{
    static const uint8_t bad[] = "\x81\xa6NodeID\x05"; /* an int where a string belongs */
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;

    for (size_t i = 0; i < M_MAX; i++) {
        if (!is_served(&methods[i]))
            continue;
        harness_call_raw(*state, methods[i].name, "\xc1", 1, &a);
        if (!methods[i].request)
            continue;
        assert_true(a.failed && a.closed);
        assert_true(str_starts(a.text, "msgpack decode error"));
    }
    harness_call_raw(*state, "Node.UpdateStatus", bad, sizeof(bad) - 1, &a);
    assert_true(a.failed && a.closed);
    assert_non_null(strstr(a.text, "NodeID"));
}

static void test_every_method_answers_an_empty_request(void **state)
{
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;

    for (size_t i = 0; i < M_MAX; i++) {
        if (!is_served(&methods[i]))
            continue;
        harness_call_raw(*state, methods[i].name, "\x80", 1, &a);
        if (methods[i].flags & METHOD_NO_REGION) {
            assert_true(a.replied || str_eq(a.text, TEXT_MISSING_ID));
            continue;
        }
        assert_true(a.failed);
        assert_false(a.closed);
        assert_string_equal(a.text, TEXT_MISSING_REGION);
    }
}

static void test_other_regions_have_no_path(void **state)
{
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;

    for (size_t i = 0; i < M_MAX; i++) {
        if (methods[i].id == M_STATUS_PING || !is_served(&methods[i]))
            continue;
        harness_call_raw(*state, methods[i].name, "\x81\xa6Region\xa4mars", 13, &a);
        assert_true(a.failed);
        assert_string_equal(a.text, TEXT_NO_PATH_TO_REGION);
    }
}

/* a server that forwards must not have its own connection taken for the agent's */
static void test_forwarded_calls_do_not_bind(void **state)
{
    struct harness *h = *state;
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;
    _cleanup_(node_freep) struct node *n = make_node(1);
    struct node_register_request q = {
        .node = n,
        .w = {.region = h->conf.region, .forwarded = true},
    };
    struct uuid key = make_node_key(1);

    harness_call(h, "Node.Register", &desc_node_register_request, &q, &a);
    assert_true(a.replied);
    assert_false(a.has_bound);
    q.w.forwarded = false;
    harness_call(h, "Node.Register", &desc_node_register_request, &q, &a);
    assert_true(a.has_bound);
    assert_memory_equal(a.bound.b, key.b, UUID_BYTES);
}

/* --- Status.* --- */

static void test_status_ping_answers_anything(void **state)
{
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;
    static const char *const bodies[] = {"\x80", "\xc0", "\x81\xa6Region\xa4mars"};

    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        harness_call_raw(*state, "Status.Ping", bodies[i], strlen(bodies[i]), &a);
        assert_true(a.replied);
        assert_int_equal(a.body.len, 1);
        assert_int_equal(a.body.p[0], 0x80);
    }
}

static void test_status_leader_and_peers(void **state)
{
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;

    generic(*state, "Status.Leader", "global", &a);
    assert_int_equal(a.body.len, 1 + strlen(HARNESS_RPC));
    assert_memory_equal(a.body.p + 1, HARNESS_RPC, strlen(HARNESS_RPC));
    generic(*state, "Status.Peers", "", &a);
    assert_int_equal(a.body.p[0], 0x91);
    assert_memory_equal(a.body.p + 2, HARNESS_RPC, strlen(HARNESS_RPC));
}

static void test_status_version(void **state)
{
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;
    struct version_response r = {0};

    generic(*state, "Status.Version", "global", &a);
    rpc_answer_decode(&a, &desc_version_response, &r);
    assert_string_equal(r.build, "1.10.5+picket");
    assert_int_equal(r.versions.n, 3);
    ops_clear(&desc_version_response, &r);
}

static void test_status_members(void **state)
{
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;
    struct server_members_response r = {0};

    generic(*state, "Status.Members", "global", &a);
    rpc_answer_decode(&a, &desc_server_members_response, &r);
    assert_string_equal(r.server_name, "srv-a");
    assert_int_equal(r.n_members, 1);
    assert_string_equal(r.members[0].name, "srv-a.global");
    assert_int_equal(r.members[0].addr.n, 4);
    assert_memory_equal(r.members[0].addr.p, "\x7f\0\0\1", 4);
    assert_int_equal(r.members[0].port, 4648);
    assert_string_equal(r.members[0].status, "alive");
    assert_string_equal(strmap_get(&r.members[0].tags, "port"), "4647");
    assert_string_equal(strmap_get(&r.members[0].tags, "rpc_addr"), "127.0.0.1");
    ops_clear(&desc_server_members_response, &r);
}

static void test_has_node_conn_without_connections(void **state)
{
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;
    struct node_conn_query_response r = {0};
    struct node_specific_request q = {0};
    char id[UUID_TEXT_LEN + 1];

    make_node_id(1, id);
    q.node_id = id;
    harness_call(*state, "Status.HasNodeConn", &desc_node_specific_request, &q, &a);
    rpc_answer_decode(&a, &desc_node_conn_query_response, &r);
    assert_false(r.connected);
    ops_clear(&desc_node_conn_query_response, &r);
}

/* --- bad input --- */

/* Requests of every method, damaged at random: each is answered, waits or ends its stream, and the
 * server goes on. */
static void test_damaged_requests_harm_nothing(void **state)
{
    enum { ROUNDS = 3000 };
    struct harness *h = *state;
    _cleanup_buf_ struct buf good = BUF_INIT(MIB);
    _cleanup_(node_freep) struct node *n = make_node(1);
    struct node_register_request q = {.node = n, .w = {.region = h->conf.region}};
    static const uint8_t events[] = "\x82\xa6Region\xa6global\xaaNodeEvents\x81\xa1x\x91\x80";

    harness_ready(h, 1);
    mp_encode(&good, &desc_node_register_request, &q);
    rand_seed(11);
    for (int i = 0; i < ROUNDS; i++) {
        const struct method *m = &methods[rand_below(M_MAX)];
        bool is_event = rand_below(4) == 0;
        size_t len = is_event ? sizeof(events) - 1 : good.len;
        uint8_t *body = xmemdup(is_event ? events : good.p, len);
        _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;

        for (uint64_t k = rand_below(4); k > 0; k--)
            body[rand_below(len)] = (uint8_t)rand_below(256);
        harness_call_raw(h, m->name, body, len - (rand_below(4) == 0 ? rand_below(len) : 0), &a);
        assert_true(a.replied || a.failed || a.call);
        free(body);
    }
    rand_seed(0);
    harness_ready(h, 2);
}

/* --- the end --- */

static void test_stopping_server_drops_what_waits(void **state)
{
    struct harness *h = *state;
    _cleanup_rpc_answer_ struct rpc_answer waits = RPC_ANSWER_INIT, writes = RPC_ANSWER_INIT,
                                           queued = RPC_ANSWER_INIT;
    _cleanup_(node_freep) struct node *one = make_node(1), *two = make_node(2);
    struct node_list_request q = {
        .q = {.region = h->conf.region, .min_query_index = 77}
    };

    harness_call(h, "Node.List", &desc_node_list_request, &q, &waits);
    fake_disk_auto(h->disk, false);
    harness_register(h, one, &writes);
    harness_register(h, two, &queued);
    harness_restart(h);
    assert_true(waits.dropped);
    assert_true(writes.replied); /* it was on its way */
    assert_true(queued.failed);
    assert_string_equal(queued.text, "the server is stopping");
    assert_non_null(harness_item(h, 1));
    assert_null(harness_item(h, 2));
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_unknown_names_end_the_stream),
        TEST(test_body_that_does_not_decode_ends_the_stream),
        TEST(test_every_method_answers_an_empty_request),
        TEST(test_other_regions_have_no_path),
        TEST(test_forwarded_calls_do_not_bind),
        TEST(test_status_ping_answers_anything),
        TEST(test_status_leader_and_peers),
        TEST(test_status_version),
        TEST(test_status_members),
        TEST(test_has_node_conn_without_connections),
        TEST(test_damaged_requests_harm_nothing),
        TEST(test_stopping_server_drops_what_waits),
    };

    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
