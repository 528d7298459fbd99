#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "base/vec.h"
#include "model/texts.h"
#include "tests/support/server_harness.h"

#define SEC NSEC_PER_SEC

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

/* a request about one node */
static void ask(struct harness *h, const char *method, const char *id, const char *secret,
                const char *token, uint64_t min_index, struct rpc_answer *a)
{
    struct node_specific_request q = {
        .node_id = xstrdup(id),
        .secret_id = xstrdup(secret),
        .q = {.region = xstrdup("global"),
              .auth_token = xstrdup(token),
              .min_query_index = min_index},
    };

    harness_call(h, method, &desc_node_specific_request, &q, a);
    ops_clear(&desc_node_specific_request, &q);
}

static void ask_node(struct harness *h, const char *method, uint64_t n, uint64_t min_index,
                     struct rpc_answer *a)
{
    char id[UUID_TEXT_LEN + 1];

    make_node_id(n, id);
    ask(h, method, id, NULL, NULL, min_index, a);
}

/* --- Node.GetNode --- */

static void test_get_node_hides_the_secret(void **state)
{
    struct harness *h = *state;
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;
    struct single_node_response r = {0};
    _cleanup_(node_freep) struct node *n = node_new();
    struct err e;

    harness_ready(h, 1);
    ask_node(h, "Node.GetNode", 1, 0, &a);
    rpc_answer_decode(&a, &desc_single_node_response, &r);
    assert_int_equal(r.q.index, 2);
    assert_true(r.q.known_leader);
    assert_int_equal(r.q.last_contact, 0);
    assert_int_equal(mp_decode(&desc_node, r.node.p, r.node.n, n, &e), 0);
    assert_string_equal(str_or_empty(n->secret_id), "");
    assert_string_equal(n->name, "host-1");
    assert_string_equal(n->status, NODE_STATUS_READY);
    ops_clear(&desc_single_node_response, &r);
    assert_false(a.has_bound); /* anybody may read */
}

static void test_get_node_of_nobody(void **state)
{
    struct harness *h = *state;
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;
    struct single_node_response r = {0};

    harness_ready(h, 1);
    ask_node(h, "Node.GetNode", 7, 0, &a);
    rpc_answer_decode(&a, &desc_single_node_response, &r);
    assert_int_equal(r.q.index, 2); /* of the table */
    assert_null(r.node.p);          /* nil */
    ops_clear(&desc_single_node_response, &r);
    ask(h, "Node.GetNode", "", NULL, NULL, 0, &a);
    assert_string_equal(a.text, TEXT_MISSING_ID);
    ask(h, "Node.GetNode", "abc", NULL, NULL, 0, &a);
    assert_string_equal(a.text, TEXT_UUID_LENGTH);
}

static void test_get_node_blocks_until_that_node_changes(void **state)
{
    struct harness *h = *state;
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT, other = RPC_ANSWER_INIT;
    struct single_node_response r = {0};

    harness_ready(h, 1);
    ask_node(h, "Node.GetNode", 1, 2, &a);
    assert_non_null(a.call);
    harness_ready(h, 2);
    assert_false(a.replied);
    harness_status(h, 1, NODE_STATUS_DOWN, NULL, &other);
    assert_true(a.replied);
    rpc_answer_decode(&a, &desc_single_node_response, &r);
    assert_int_equal(r.q.index, 5);
    ops_clear(&desc_single_node_response, &r);
}

static void test_missing_node_waits_for_the_table(void **state)
{
    struct harness *h = *state;
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;

    harness_ready(h, 1);
    ask_node(h, "Node.GetNode", 2, 2, &a);
    assert_non_null(a.call);
    harness_ready(h, 2);
    assert_true(a.replied);
}

static void test_query_ends_at_its_time(void **state)
{
    struct harness *h = *state;
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;
    struct node_specific_request q = {
        .q = {.region = h->conf.region, .min_query_index = 50, .max_query_time = 4 * (int64_t)SEC},
    };
    struct single_node_response r = {0};
    char id[UUID_TEXT_LEN + 1];

    make_node_id(1, id);
    q.node_id = id;
    harness_ready(h, 1);
    harness_call(h, "Node.GetNode", &desc_node_specific_request, &q, &a);
    harness_advance(h, 4 * SEC - 1);
    assert_false(a.replied);
    harness_advance(h, SEC / 4 + 1); /* 4 s and up to a sixteenth more */
    rpc_answer_decode(&a, &desc_single_node_response, &r);
    assert_int_equal(r.q.index, 2);
    ops_clear(&desc_single_node_response, &r);
}

static void test_query_time_is_limited(void **state)
{
    struct harness *h = *state;
    static const int64_t asked[] = {0, -1, 3600 * (int64_t)SEC};

    for (size_t i = 0; i < ARRAY_LEN(asked); i++) {
        _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;
        struct node_specific_request q = {
            .q = {.region = h->conf.region, .min_query_index = 500, .max_query_time = asked[i]},
        };
        char id[UUID_TEXT_LEN + 1];

        make_node_id(1, id);
        q.node_id = id;
        harness_call(h, "Node.GetNode", &desc_node_specific_request, &q, &a);
        harness_advance(h, 299 * SEC);
        assert_false(a.replied);
        harness_advance(h, 20 * SEC);
        assert_true(a.replied);
    }
}

static void test_peer_that_goes_ends_its_query(void **state)
{
    struct harness *h = *state;
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;

    harness_ready(h, 1);
    ask_node(h, "Node.GetNode", 1, 2, &a);
    call_gone(steal_ptr(&a.call));
    assert_true(a.dropped);
    assert_true(list_empty(&h->server->calls));
    harness_advance(h, 400 * SEC); /* no timer, no watch is left behind */
}

/* --- allocations: none yet --- */

static void test_get_allocs_of_any_id_is_nil(void **state)
{
    struct harness *h = *state;
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;
    struct node_allocs_response r = {0};

    ask(h, "Node.GetAllocs", "whatever", NULL, NULL, 0, &a);
    rpc_answer_decode(&a, &desc_node_allocs_response, &r);
    assert_int_equal(r.q.index, 1);
    assert_true(r.q.known_leader);
    assert_null(r.allocs.p);
    ops_clear(&desc_node_allocs_response, &r);
    ask(h, "Node.GetAllocs", "", NULL, NULL, 0, &a);
    assert_string_equal(a.text, TEXT_MISSING_ID);
}

static void test_client_allocs_checks_who_asks(void **state)
{
    struct harness *h = *state;
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;
    char id[UUID_TEXT_LEN + 1], unknown[UUID_TEXT_LEN + 1], good[UUID_TEXT_LEN + 1],
        bad[UUID_TEXT_LEN + 1];
    const struct {
        const char *id, *secret, *token, *text;
    } rows[] = {
        {"",      good, "",   TEXT_MISSING_STATUS_NODE_ID},
        {id,      "",   "",   TEXT_MISSING_STATUS_SECRET },
        {id,      bad,  "",   TEXT_SECRET_MISMATCH       },
        {id,      bad,  good, TEXT_SECRET_MISMATCH       },
        {id,      good, bad,  TEXT_PERMISSION_DENIED     },
        {id,      "",   bad,  TEXT_PERMISSION_DENIED     },
        {"abcd",  good, "",   TEXT_UUID_LENGTH           },
        {id,      good, "",   NULL                       }, /* 1.0 */
        {id,      good, good, NULL                       }, /* 1.6 */
        {id,      "",   good, NULL                       }, /* 2.0 */
        {unknown, bad,  "",   NULL                       }, /* agents up to 1.5 ask before they register */
        {unknown, bad,  bad,  NULL                       },
    };

    make_node_id(1, id);
    make_node_id(77, unknown);
    make_node_secret(1, good);
    make_node_secret(2, bad);
    harness_ready(h, 1);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        a.has_bound = false;
        ask(h, "Node.GetClientAllocs", rows[i].id, rows[i].secret, rows[i].token, 0, &a);
        if (rows[i].text) {
            assert_true(a.failed);
            assert_string_equal(a.text, rows[i].text);
            assert_false(a.has_bound);
            continue;
        }
        assert_true(a.replied);
        assert_int_equal(a.has_bound, rows[i].id == id);
    }
}

static void test_client_allocs_are_an_empty_map_that_blocks(void **state)
{
    struct harness *h = *state;
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;
    struct node_client_allocs_response r = {0};
    char id[UUID_TEXT_LEN + 1], secret[UUID_TEXT_LEN + 1];

    make_node_id(1, id);
    make_node_secret(1, secret);
    harness_ready(h, 1);
    ask(h, "Node.GetClientAllocs", id, secret, NULL, 0, &a);
    rpc_answer_decode(&a, &desc_node_client_allocs_response, &r);
    assert_int_equal(r.q.index, 1); /* never 0: the agent would not block next time */
    assert_non_null(r.allocs.items);
    assert_int_equal(r.allocs.n, 0);
    ops_clear(&desc_node_client_allocs_response, &r);
    ask(h, "Node.GetClientAllocs", id, secret, NULL, 1, &a);
    assert_non_null(a.call);
    harness_ready(h, 2); /* nodes are not what it waits for */
    assert_false(a.replied);
    harness_advance(h, 320 * SEC);
    rpc_answer_decode(&a, &desc_node_client_allocs_response, &r);
    assert_int_equal(r.q.index, 1);
    ops_clear(&desc_node_client_allocs_response, &r);
}

static void ask_allocs(struct harness *h, const char *token, uint64_t min_index,
                       struct rpc_answer *a)
{
    struct allocs_get_request q = {
        .q = {.region = xstrdup("global"),
              .auth_token = xstrdup(token),
              .min_query_index = min_index},
    };

    strv_add(&q.alloc_ids, &q.n_alloc_ids, "00000001-0000-6000-8000-000000000001");
    harness_call(h, "Alloc.GetAllocs", &desc_allocs_get_request, &q, a);
    ops_clear(&desc_allocs_get_request, &q);
}

static void test_alloc_get_allocs_needs_a_nodes_secret(void **state)
{
    struct harness *h = *state;
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;
    struct allocs_get_response r = {0};
    char secret[UUID_TEXT_LEN + 1];

    harness_ready(h, 1);
    harness_ready(h, 2);
    ask_allocs(h, NULL, 0, &a);
    assert_string_equal(a.text, TEXT_PERMISSION_DENIED);
    ask_allocs(h, "nonsense", 0, &a);
    assert_string_equal(a.text, TEXT_PERMISSION_DENIED);
    make_node_secret(2, secret);
    a.bound = make_node_key(1); /* of another node: the right one is looked for */
    a.has_bound = true;
    ask_allocs(h, secret, 0, &a);
    rpc_answer_decode(&a, &desc_allocs_get_response, &r);
    assert_int_equal(r.q.index, 1);
    assert_int_equal(r.n_allocs, 0);
    ops_clear(&desc_allocs_get_response, &r);
    ask_allocs(h, secret, 1, &a);
    assert_non_null(a.call); /* blocks until one of them exists */
    harness_advance(h, 320 * SEC);
    assert_true(a.replied);
}

/* --- Node.EmitEvents --- */

static void put_event(struct buf *b, const char *message)
{
    struct node_event ev = {.message = xstrdup(message), .subsystem = xstrdup("Driver")};

    ev.timestamp = gotime_now();
    ev.create_index = 4711; /* not the agent's to say */
    strmap_set(&ev.details, "driver", "docker");
    mp_encode(b, &desc_node_event, &ev);
    ops_clear(&desc_node_event, &ev);
}

/* count events for node n; for "abcd" when n is 0 */
static void emit(struct harness *h, uint64_t n, int count, const char *token, struct rpc_answer *a)
{
    _cleanup_buf_ struct buf b = BUF_INIT(MIB);
    char id[UUID_TEXT_LEN + 1] = "abcd";

    if (n > 0)
        make_node_id(n, id);
    mp_map(&b, 3);
    mp_str(&b, "NodeEvents");
    mp_map(&b, 1);
    mp_str(&b, id);
    mp_array(&b, (size_t)count);
    for (int i = 0; i < count; i++) {
        char text[32];

        (void)snprintf(text, sizeof(text), "event %d", i);
        put_event(&b, text);
    }
    mp_str(&b, "Region");
    mp_str(&b, "global");
    mp_str(&b, "AuthToken");
    mp_str(&b, token);
    harness_call_raw(h, "Node.EmitEvents", b.p, b.len, a);
}

static void test_emitted_events_are_stamped_and_move_the_table_only(void **state)
{
    struct harness *h = *state;
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT, get = RPC_ANSWER_INIT;
    _cleanup_(node_freep) struct node *stored = NULL;
    struct write_meta r = {0};

    harness_ready(h, 1);
    ask_node(h, "Node.GetNode", 1, 2, &get);
    emit(h, 1, 2, NULL, &a);
    rpc_answer_decode(&a, &desc_write_meta, &r);
    assert_int_equal(r.index, 3);
    stored = harness_stored(h, 1);
    assert_int_equal(stored->n_events, 3);
    assert_string_equal(stored->events[1].message, "event 0");
    assert_string_equal(stored->events[2].message, "event 1");
    assert_string_equal(strmap_get(&stored->events[2].details, "driver"), "docker");
    assert_int_equal(stored->events[2].create_index, 3);
    assert_int_equal(stored->modify_index, 2);
    assert_int_equal(store_table_index(h->server->store, TABLE_NODES), 3);
    assert_false(get.replied); /* its ModifyIndex did not move */
}

static void test_more_events_than_are_kept(void **state)
{
    struct harness *h = *state;
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;
    _cleanup_(node_freep) struct node *stored = NULL;

    harness_ready(h, 1);
    emit(h, 1, 13, NULL, &a);
    assert_true(a.replied);
    stored = harness_stored(h, 1);
    assert_int_equal(stored->n_events, NODE_EVENTS_MAX);
    assert_string_equal(stored->events[0].message, "event 3");
    assert_string_equal(stored->events[9].message, "event 12");
}

/* each costs time on the loop: 16 MiB of them would hold it up for many seconds */
static void test_too_many_events_are_refused(void **state)
{
    struct harness *h = *state;
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;
    _cleanup_buf_ struct buf b = BUF_INIT(MIB);
    char id[UUID_TEXT_LEN + 1];

    harness_ready(h, 1);
    emit(h, 1, EMIT_EVENTS_MAX + 1, NULL, &a);
    assert_string_equal(a.text, "more than 1000 node events in one request");
    assert_false(a.closed);
    emit(h, 1, EMIT_EVENTS_MAX, NULL, &a);
    assert_true(a.replied);
    make_node_id(1, id);
    mp_map(&b, 2);
    mp_str(&b, "Region");
    mp_str(&b, "global");
    mp_str(&b, "NodeEvents");
    mp_map(&b, EMIT_NODES_MAX + 1);
    for (int i = 0; i <= EMIT_NODES_MAX; i++) {
        mp_str(&b, id);
        mp_array(&b, 1);
        put_event(&b, "again");
    }
    harness_call_raw(h, "Node.EmitEvents", b.p, b.len, &a);
    assert_string_equal(a.text, "events of more than 100 nodes in one request");
}

static void test_emit_events_errors(void **state)
{
    struct harness *h = *state;
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;
    static const uint8_t none[] = "\x81\xa6Region\xa6global";
    static const uint8_t broken[] = "\x82\xa6Region\xa6global\xaaNodeEvents\x81\xa1x\x05";
    char text[128];

    harness_ready(h, 1);
    harness_call_raw(h, "Node.EmitEvents", none, sizeof(none) - 1, &a);
    assert_string_equal(a.text, TEXT_NO_EVENTS);
    assert_false(a.closed);
    emit(h, 1, 0, NULL, &a);
    (void)snprintf(text, sizeof(text), "no node events given for node \"%s\"",
                   harness_item(h, 1)->id);
    assert_string_equal(a.text, text);
    emit(h, 0, 1, NULL, &a);
    assert_string_equal(a.text, TEXT_UUID_LENGTH);
    harness_call_raw(h, "Node.EmitEvents", broken, sizeof(broken) - 1, &a);
    assert_true(a.closed);
    emit(h, 1, 1, "wrong", &a);
    assert_string_equal(a.text, TEXT_PERMISSION_DENIED);
    emit(h, 55, 1, NULL, &a); /* unknown: an index and no error */
    assert_true(a.replied);
    assert_int_equal(store_index(h->server->store), 2);
}

/* --- Node.UpdateAlloc --- */

static void update_alloc(struct harness *h, const char *node_id, size_t count, const char *token,
                         struct rpc_answer *a)
{
    struct alloc_update_request q = {
        .w = {.region = xstrdup("global"), .auth_token = xstrdup(token)}
    };

    for (size_t i = 0; i < count; i++) {
        struct alloc *al = vec_add(&q.alloc, &q.n_alloc);

        al->id = xstrdup("00000001-0000-6000-8000-000000000001");
        al->node_id = xstrdup(node_id);
        al->client_status = xstrdup("running");
    }
    harness_call(h, "Node.UpdateAlloc", &desc_alloc_update_request, &q, a);
    ops_clear(&desc_alloc_update_request, &q);
}

static void test_update_alloc_moves_only_the_nodes_alloc_index(void **state)
{
    struct harness *h = *state;
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;
    struct write_meta r = {0};
    char id[UUID_TEXT_LEN + 1], secret[UUID_TEXT_LEN + 1];

    make_node_id(1, id);
    make_node_secret(1, secret);
    harness_ready(h, 1);
    update_alloc(h, id, 2, secret, &a);
    rpc_answer_decode(&a, &desc_write_meta, &r);
    assert_int_equal(r.index, 3);
    assert_int_equal(harness_item(h, 1)->last_alloc_update_index, 3);
    assert_int_equal(harness_item(h, 1)->modify_index, 2);
    assert_int_equal(store_table_index(h->server->store, TABLE_NODES), 3);
    assert_int_equal(store_table_index(h->server->store, TABLE_ALLOCS), 0);
    update_alloc(h, id, 1, NULL, &a); /* releases before 1.6 send no token */
    assert_true(a.replied);
}

static void test_update_alloc_errors(void **state)
{
    struct harness *h = *state;
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;
    char id[UUID_TEXT_LEN + 1], unknown[UUID_TEXT_LEN + 1], text[160];
    static const char *const refused[] = {NODE_STATUS_DOWN, NODE_STATUS_DISCONNECTED};

    make_node_id(1, id);
    make_node_id(9, unknown);
    harness_ready(h, 1);
    update_alloc(h, id, 0, NULL, &a);
    assert_string_equal(a.text, TEXT_NO_ALLOCS);
    update_alloc(h, "", 1, NULL, &a);
    assert_string_equal(a.text, TEXT_MISSING_ID);
    update_alloc(h, unknown, 1, NULL, &a);
    (void)snprintf(text, sizeof(text), "node %s not found", unknown);
    assert_string_equal(a.text, text);
    update_alloc(h, id, 1, "wrong", &a);
    assert_string_equal(a.text, TEXT_PERMISSION_DENIED);
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        harness_status(h, 1, refused[i], NULL, &a);
        update_alloc(h, id, 1, NULL, &a);
        (void)snprintf(text, sizeof(text),
                       "node %s is not allowed to update allocs while in status %s", id,
                       refused[i]);
        assert_string_equal(a.text, text);
    }
}

static void test_update_alloc_refuses_evals(void **state)
{
    struct harness *h = *state;
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;
    _cleanup_buf_ struct buf b = BUF_INIT(KIB);
    char id[UUID_TEXT_LEN + 1];

    make_node_id(1, id);
    harness_ready(h, 1);
    mp_map(&b, 3);
    mp_str(&b, "Alloc");
    mp_array(&b, 1);
    mp_map(&b, 1);
    mp_str(&b, "NodeID");
    mp_str(&b, id);
    mp_str(&b, "Evals");
    mp_array(&b, 1);
    mp_map(&b, 0);
    mp_str(&b, "Region");
    mp_str(&b, "global");
    harness_call_raw(h, "Node.UpdateAlloc", b.p, b.len, &a);
    assert_string_equal(a.text, TEXT_EVALS_SET);
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_get_node_hides_the_secret),
        TEST(test_get_node_of_nobody),
        TEST(test_get_node_blocks_until_that_node_changes),
        TEST(test_missing_node_waits_for_the_table),
        TEST(test_query_ends_at_its_time),
        TEST(test_query_time_is_limited),
        TEST(test_peer_that_goes_ends_its_query),
        TEST(test_get_allocs_of_any_id_is_nil),
        TEST(test_client_allocs_checks_who_asks),
        TEST(test_client_allocs_are_an_empty_map_that_blocks),
        TEST(test_alloc_get_allocs_needs_a_nodes_secret),
        TEST(test_emitted_events_are_stamped_and_move_the_table_only),
        TEST(test_more_events_than_are_kept),
        TEST(test_too_many_events_are_refused),
        TEST(test_emit_events_errors),
        TEST(test_update_alloc_moves_only_the_nodes_alloc_index),
        TEST(test_update_alloc_errors),
        TEST(test_update_alloc_refuses_evals),
    };

    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
