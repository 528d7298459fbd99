#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
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

/* a status request with everything open */
static void update(struct harness *h, const char *id, const char *status, struct node_event *event,
                   struct rpc_answer *a)
{
    struct node_update_status_request q = {
        .node_id = xstrdup(id),
        .status = xstrdup(status),
        .node_event = event,
        .w = {.region = h->conf.region},
    };

    harness_call(h, "Node.UpdateStatus", &desc_node_update_status_request, &q, a);
    free(q.node_id);
    free(q.status);
}

static void reply_of(const struct rpc_answer *a, struct node_update_response *r)
{
    *r = (struct node_update_response){0};
    rpc_answer_decode(a, &desc_node_update_response, r);
}

static void test_update_status_errors(void **state)
{
    static const struct {
        const char *id, *status, *text;
    } rows[] = {
        {"",                                     NODE_STATUS_READY, TEXT_MISSING_STATUS_NODE_ID},
        {"00000001-0000-4000-8000-000000000001", "fine",            TEXT_INVALID_STATUS        },
        {"00000001-0000-4000-8000-000000000001", "",                TEXT_INVALID_STATUS        },
        {"00000001-0000-4000-8000-000000000001", NODE_STATUS_READY, TEXT_NODE_NOT_FOUND        },
        {"abcd",                                 NODE_STATUS_READY, TEXT_UUID_LENGTH           },
        {"",                                     "fine",            TEXT_MISSING_STATUS_NODE_ID},
    };
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        update(*state, rows[i].id, rows[i].status, NULL, &a);
        assert_true(a.failed);
        assert_false(a.closed);
        assert_string_equal(a.text, rows[i].text);
    }
}

static void test_beat_without_change_touches_no_store(void **state)
{
    struct harness *h = *state;
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;
    struct node_update_response r;
    size_t commits;

    harness_ready(h, 1);
    commits = fake_disk_commits(h->disk);
    fake_disk_fail(h->disk, -EIO, "broken"); /* would be noticed */
    for (int i = 0; i < 50; i++) {
        harness_advance(h, 9 * SEC);
        harness_status(h, 1, NODE_STATUS_READY, NULL, &a);
        reply_of(&a, &r);
        assert_int_equal(r.q.index, 0);
        assert_int_equal(r.node_modify_index, 0);
        assert_true(r.heartbeat_ttl >= (int64_t)(10 * SEC));
        assert_int_equal(r.n_servers, 1);
        assert_string_equal(r.leader_rpc_addr, HARNESS_RPC);
        assert_string_equal(r.scheduling_eligibility, NODE_ELIGIBLE);
        assert_int_equal(r.num_nodes, 1);
        ops_clear(&desc_node_update_response, &r);
    }
    assert_int_equal(fake_disk_commits(h->disk), commits);
    assert_int_equal(harness_item(h, 1)->status, STATUS_READY);
    assert_int_equal(harness_item(h, 1)->modify_index, 2);
    assert_int_equal(harness_item(h, 1)->status_updated_at, 1700000000);
}

static void test_thousands_of_beats_touch_no_store(void **state)
{
    enum { NODES = 200, ROUNDS = 20 };
    struct harness *h = *state;
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;
    uint64_t index;
    size_t commits;

    for (uint64_t i = 1; i <= NODES; i++)
        harness_ready(h, i);
    commits = fake_disk_commits(h->disk);
    index = store_index(h->server->store);
    for (int round = 0; round < ROUNDS; round++) {
        harness_advance(h, 9 * SEC);
        for (uint64_t i = 1; i <= NODES; i++) {
            harness_status(h, i, NODE_STATUS_READY, NULL, &a);
            assert_true(a.replied);
        }
    }
    assert_int_equal(fake_disk_commits(h->disk), commits);
    assert_int_equal(store_index(h->server->store), index);
    assert_int_equal(beats_count(h->server->beats), NODES);
}

/* each is a write with an index of its own, many in one commit */
static void test_all_agents_die_at_once(void **state)
{
    enum { NODES = 1000 };
    struct harness *h = *state;
    uint64_t index, sum = 0;
    size_t commits;

    for (uint64_t i = 1; i <= NODES; i++)
        harness_ready(h, i);
    commits = fake_disk_commits(h->disk);
    index = store_index(h->server->store);
    log_set_level(LOG_LEVEL_ERROR);
    harness_advance(h, 3600 * SEC);
    for (int i = 0; i < NODES && store_index(h->server->store) < index + NODES; i++)
        harness_settle(h);
    assert_int_equal(beats_count(h->server->beats), 0);
    assert_int_equal(store_index(h->server->store), index + NODES);
    for (uint64_t i = 1; i <= NODES; i++) {
        const struct node_item *it = harness_item(h, i);

        assert_int_equal(it->status, STATUS_DOWN);
        assert_true(it->modify_index > index && it->modify_index <= index + NODES);
        sum += it->modify_index - index;
    }
    assert_int_equal(sum, (uint64_t)NODES * (NODES + 1) / 2); /* no index twice */
    assert_true(fake_disk_commits(h->disk) - commits <= NODES / 10);
    assert_true(fake_disk_max_changes(h->disk) <= 100);
}

static void test_change_is_written_once(void **state)
{
    struct harness *h = *state;
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;
    _cleanup_(node_freep) struct node *n = make_node(1), *stored = NULL;
    struct node_update_response r;

    harness_register(h, n, &a);
    clock_fake_advance(3 * SEC);
    harness_status(h, 1, NODE_STATUS_READY, NULL, &a);
    reply_of(&a, &r);
    assert_int_equal(r.q.index, 2);
    assert_int_equal(r.node_modify_index, 2);
    ops_clear(&desc_node_update_response, &r);
    stored = harness_stored(h, 1);
    assert_string_equal(stored->status, NODE_STATUS_READY);
    assert_int_equal(stored->modify_index, 2);
    assert_int_equal(stored->create_index, 1);
    assert_int_equal(stored->status_updated_at, 1700000003);
    assert_int_equal(stored->n_events, 1);
}

static void test_agent_may_report_itself_down(void **state)
{
    struct harness *h = *state;
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;
    _cleanup_(node_freep) struct node *stored = NULL;
    struct node_update_response r;

    harness_ready(h, 1);
    harness_status(h, 1, NODE_STATUS_DOWN, NULL, &a);
    reply_of(&a, &r);
    assert_int_equal(r.heartbeat_ttl, 0);
    assert_int_equal(r.q.index, 3);
    ops_clear(&desc_node_update_response, &r);
    stored = harness_stored(h, 1);
    assert_string_equal(stored->status, NODE_STATUS_DOWN);
    assert_int_equal(stored->n_events, 1);
    assert_int_equal(stored->last_missed_heartbeat_index, 3);
    assert_true(beats_has(h->server->beats, &harness_item(h, 1)->key)); /* left alone */
    harness_advance(h, 60 * SEC);
    assert_int_equal(harness_item(h, 1)->modify_index, 3); /* down already */
    assert_int_equal(beats_count(h->server->beats), 0);
}

static void test_missed_deadline_marks_down_with_event(void **state)
{
    struct harness *h = *state;
    _cleanup_(node_freep) struct node *stored = NULL;
    const struct node_event *ev;

    harness_ready(h, 1);
    harness_advance(h, 31 * SEC);
    stored = harness_stored(h, 1);
    assert_string_equal(stored->status, NODE_STATUS_DOWN);
    assert_int_equal(stored->modify_index, 3);
    assert_int_equal(stored->last_missed_heartbeat_index, 3);
    assert_int_equal(stored->n_events, 2);
    ev = &stored->events[1];
    assert_string_equal(ev->message, EVENT_BEAT_MISSED);
    assert_string_equal(ev->subsystem, EVENT_SUBSYSTEM_CLUSTER);
    assert_int_equal(ev->create_index, 3);
    assert_null(ev->details.items);
    assert_int_equal(beats_count(h->server->beats), 0);
}

static void test_node_that_comes_back_gets_an_event(void **state)
{
    struct harness *h = *state;
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;
    _cleanup_(node_freep) struct node *stored = NULL;
    struct node_update_response r;

    harness_ready(h, 1);
    harness_advance(h, 31 * SEC);
    harness_status(h, 1, NODE_STATUS_READY, NULL, &a);
    reply_of(&a, &r);
    assert_int_equal(r.q.index, 4);
    assert_true(r.heartbeat_ttl > 0);
    ops_clear(&desc_node_update_response, &r);
    stored = harness_stored(h, 1);
    assert_string_equal(stored->status, NODE_STATUS_READY); /* directly */
    assert_int_equal(stored->n_events, 3);
    assert_string_equal(stored->events[2].message, EVENT_REREGISTERED_BEAT);
    assert_int_equal(stored->events[2].create_index, 4);
    assert_int_equal(stored->last_missed_heartbeat_index, 0);
}

static void test_given_event_replaces_the_words_for_coming_back(void **state)
{
    struct harness *h = *state;
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;
    _cleanup_(node_freep) struct node *stored = NULL;
    struct node_event ev = {.message = xstrdup("hello again"), .subsystem = xstrdup("Cluster")};
    char id[UUID_TEXT_LEN + 1];

    ev.timestamp = gotime_now();
    make_node_id(1, id);
    harness_ready(h, 1);
    harness_advance(h, 31 * SEC);
    update(h, id, NODE_STATUS_READY, &ev, &a);
    stored = harness_stored(h, 1);
    assert_int_equal(stored->n_events, 3);
    assert_string_equal(stored->events[2].message, "hello again");
    assert_int_equal(stored->events[2].create_index, 4);
    ops_clear(&desc_node_event, &ev);
}

static void test_event_alone_is_written(void **state)
{
    struct harness *h = *state;
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;
    struct node_event ev = {.message = xstrdup("news"), .subsystem = xstrdup("Cluster")};
    char id[UUID_TEXT_LEN + 1];

    make_node_id(1, id);
    harness_ready(h, 1);
    update(h, id, NODE_STATUS_READY, &ev, &a);
    assert_int_equal(harness_item(h, 1)->modify_index, 3);
    ops_clear(&desc_node_event, &ev);
}

static void test_disconnected_node_goes_through_initializing(void **state)
{
    struct harness *h = *state;
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;

    harness_ready(h, 1);
    harness_status(h, 1, NODE_STATUS_DISCONNECTED, NULL, &a);
    assert_int_equal(harness_item(h, 1)->last_missed_heartbeat_index, 3);
    harness_status(h, 1, NODE_STATUS_READY, NULL, &a);
    assert_int_equal(harness_item(h, 1)->status, STATUS_INIT);
    assert_int_equal(harness_item(h, 1)->last_missed_heartbeat_index, 3);
    harness_status(h, 1, NODE_STATUS_READY, NULL, &a);
    assert_int_equal(harness_item(h, 1)->status, STATUS_READY);
    assert_int_equal(harness_item(h, 1)->last_missed_heartbeat_index, 0);
}

static void test_only_ten_events_are_kept(void **state)
{
    struct harness *h = *state;
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;
    _cleanup_(node_freep) struct node *stored = NULL;

    harness_ready(h, 1);
    for (int i = 0; i < 7; i++) {
        harness_advance(h, 31 * SEC);
        harness_status(h, 1, NODE_STATUS_READY, NULL, &a);
    }
    stored = harness_stored(h, 1);
    assert_int_equal(stored->n_events, NODE_EVENTS_MAX);
    assert_int_equal(stored->events[9].create_index, stored->modify_index);
    for (size_t i = 0; i < NODE_EVENTS_MAX; i++)
        assert_string_equal(stored->events[i].message,
                            i % 2 ? EVENT_REREGISTERED_BEAT : EVENT_BEAT_MISSED);
}

/* --- who may --- */

static void test_token_must_be_the_nodes_when_there_is_one(void **state)
{
    struct harness *h = *state;
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;
    char secret[UUID_TEXT_LEN + 1], other[UUID_TEXT_LEN + 1];

    make_node_secret(1, secret);
    make_node_secret(2, other);
    harness_ready(h, 1);
    harness_ready(h, 2);
    a.has_bound = false;
    harness_status(h, 1, NODE_STATUS_DOWN, other, &a);
    assert_string_equal(a.text, TEXT_PERMISSION_DENIED);
    assert_false(a.has_bound);
    harness_status(h, 1, NODE_STATUS_DOWN, "eyJhbGciOi", &a);
    assert_string_equal(a.text, TEXT_PERMISSION_DENIED);
    assert_int_equal(harness_item(h, 1)->status, STATUS_READY);
    harness_status(h, 1, NODE_STATUS_READY, secret, &a);
    assert_true(a.replied);
    assert_true(a.has_bound);
    harness_status(h, 9, NODE_STATUS_READY, other, &a);
    assert_string_equal(a.text, TEXT_NODE_NOT_FOUND); /* so that it registers again */
}

/* --- races and failures --- */

static void test_beat_beats_a_queued_expiry(void **state)
{
    struct harness *h = *state;
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;
    struct uuid one = make_node_key(1);

    harness_ready(h, 1);
    harness_ready(h, 2);
    fake_disk_auto(h->disk, false);
    harness_status(h, 2, NODE_STATUS_DOWN, NULL, &a); /* keeps the disk busy */
    server_node_missed(h->server, &one);
    beats_stop(h->server->beats, &one);
    (void)beats_reset(h->server->beats, &one); /* it came back while that waited */
    while (fake_disk_step(h->disk))
        harness_settle(h);
    assert_int_equal(harness_item(h, 1)->status, STATUS_READY);
}

static void test_expiry_that_cannot_be_stored_is_tried_again(void **state)
{
    struct harness *h = *state;

    harness_ready(h, 1);
    fake_disk_fail(h->disk, -ENOSPC, "full");
    log_set_level(LOG_LEVEL_OFF);
    harness_advance(h, 31 * SEC);
    log_set_level(LOG_LEVEL_ERROR);
    assert_int_equal(harness_item(h, 1)->status, STATUS_READY);
    assert_int_equal(beats_count(h->server->beats), 1);
    fake_disk_fail(h->disk, 0, NULL);
    harness_advance(h, 31 * SEC);
    assert_int_equal(harness_item(h, 1)->status, STATUS_DOWN);
}

static void test_restart_gives_every_living_node_its_grace(void **state)
{
    struct harness *h = *state;
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;
    _cleanup_(node_freep) struct node *fresh = make_node(3);

    harness_ready(h, 1);
    harness_ready(h, 2);
    harness_register(h, fresh, &a); /* initializing counts as living */
    harness_status(h, 2, NODE_STATUS_DOWN, NULL, &a);
    harness_restart(h);
    assert_int_equal(beats_count(h->server->beats), 2);
    harness_advance(h, 299 * SEC);
    assert_int_equal(harness_item(h, 1)->status, STATUS_READY);
    harness_advance(h, 2 * SEC);
    assert_int_equal(harness_item(h, 1)->status, STATUS_DOWN);
    assert_int_equal(harness_item(h, 3)->status, STATUS_DOWN);
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_update_status_errors),
        TEST(test_beat_without_change_touches_no_store),
        TEST(test_thousands_of_beats_touch_no_store),
        TEST(test_all_agents_die_at_once),
        TEST(test_change_is_written_once),
        TEST(test_agent_may_report_itself_down),
        TEST(test_missed_deadline_marks_down_with_event),
        TEST(test_node_that_comes_back_gets_an_event),
        TEST(test_given_event_replaces_the_words_for_coming_back),
        TEST(test_event_alone_is_written),
        TEST(test_disconnected_node_goes_through_initializing),
        TEST(test_only_ten_events_are_kept),
        TEST(test_token_must_be_the_nodes_when_there_is_one),
        TEST(test_beat_beats_a_queued_expiry),
        TEST(test_expiry_that_cannot_be_stored_is_tried_again),
        TEST(test_restart_gives_every_living_node_its_grace),
    };

    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
