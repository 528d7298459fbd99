#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "base/vec.h"
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

/* --- what Node.Register demands --- */

static void no_id(struct node *n)
{
    str_set(&n->id, "");
}
static void no_datacenter(struct node *n)
{
    str_set(&n->datacenter, NULL);
}
static void no_name(struct node *n)
{
    str_set(&n->name, "");
}
static void no_attributes(struct node *n)
{
    strmap_done(&n->attributes);
}
static void no_secret(struct node *n)
{
    str_set(&n->secret_id, "");
}
static void bad_status(struct node *n)
{
    str_set(&n->status, "fine");
}
static void short_id(struct node *n)
{
    str_set(&n->id, "abcd");
}
static void pool_all(struct node *n)
{
    str_set(&n->node_pool, "all");
}
static void secret_no_uuid(struct node *n)
{
    str_set(&n->secret_id, "hunter2");
}
static void no_id_no_name(struct node *n)
{
    no_name(n);
    no_id(n);
}

static void test_register_validates_in_order(void **state)
{
    static const struct {
        void (*spoil)(struct node *n);
        const char *text;
    } rows[] = {
        {no_id,          TEXT_MISSING_NODE_ID   },
        {no_datacenter,  TEXT_MISSING_DATACENTER},
        {no_name,        TEXT_MISSING_NAME      },
        {no_attributes,  TEXT_MISSING_ATTRIBUTES},
        {no_secret,      TEXT_MISSING_SECRET    },
        {bad_status,     TEXT_INVALID_STATUS    },
        {short_id,       TEXT_UUID_LENGTH       },
        {pool_all,       TEXT_POOL_ALL          },
        {secret_no_uuid, TEXT_SECRET_NO_UUID    },
        {no_id_no_name,  TEXT_MISSING_NODE_ID   },
    };
    struct harness *h = *state;
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_(node_freep) struct node *n = make_node(1);

        rows[i].spoil(n);
        harness_register(h, n, &a);
        assert_true(a.failed);
        assert_false(a.closed);
        assert_string_equal(a.text, rows[i].text);
    }
    assert_int_equal(store_index(h->server->store), 0);
    assert_int_equal(store_node_count(h->server->store), 0);
}

static void test_register_without_node_is_refused(void **state)
{
    struct node_register_request q = {.w = {.region = ((struct harness *)*state)->conf.region}};
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;

    harness_call(*state, "Node.Register", &desc_node_register_request, &q, &a);
    assert_string_equal(a.text, TEXT_MISSING_NODE);
}

static void test_register_refuses_huge_nodes(void **state)
{
    struct harness *h = *state;
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;
    _cleanup_(node_freep) struct node *n = make_node(1);
    char *huge = xnew0_n(char, NODE_PACKED_MAX + 1);

    memset(huge, 'x', NODE_PACKED_MAX);
    strmap_set(&n->meta, "huge", huge);
    free(huge);
    harness_register(h, n, &a);
    assert_true(a.failed);
    assert_non_null(strstr(a.text, "larger"));
    assert_int_equal(store_node_count(h->server->store), 0);
}

/* --- a new node --- */

static void test_first_registration(void **state)
{
    struct harness *h = *state;
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;
    _cleanup_(node_freep) struct node *n = make_node(1), *stored = NULL;
    char *class;

    n->status_updated_at = 5;
    n->create_index = n->modify_index = 99;
    n->last_missed_heartbeat_index = 98;
    str_set(&n->computed_class, "v1:1");
    harness_register(h, n, &a);
    stored = harness_stored(h, 1);
    assert_int_equal(stored->create_index, 1);
    assert_int_equal(stored->modify_index, 1);
    assert_int_equal(stored->status_updated_at, 1700000000);
    assert_string_equal(stored->status, NODE_STATUS_INIT);
    assert_string_equal(stored->scheduling_eligibility, NODE_ELIGIBLE);
    assert_string_equal(stored->node_pool, NODE_POOL_DEFAULT);
    assert_int_equal(stored->last_missed_heartbeat_index, 0);
    class = node_computed_class(n);
    assert_string_equal(stored->computed_class, class);
    free(class);
    assert_int_equal(stored->n_events, 1);
    assert_string_equal(stored->events[0].message, EVENT_REGISTERED);
    assert_string_equal(stored->events[0].subsystem, EVENT_SUBSYSTEM_CLUSTER);
    assert_int_equal(stored->events[0].create_index, 0);
    assert_int_equal(stored->events[0].timestamp.nsec, 0); /* whole seconds */
    assert_int_equal(gotime_to_unix_ns(stored->events[0].timestamp) / (int64_t)NSEC_PER_SEC,
                     1700000000);
    assert_null(stored->events[0].details.items);
    assert_string_equal(stored->secret_id, n->secret_id);
}

static void test_first_registration_fills_defaults(void **state)
{
    struct harness *h = *state;
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;
    _cleanup_(node_freep) struct node *n = make_node(1), *stored = NULL;

    str_set(&n->status, "");
    str_set(&n->scheduling_eligibility, "");
    str_set(&n->node_pool, "");
    harness_register(h, n, &a);
    stored = harness_stored(h, 1);
    assert_string_equal(stored->status, NODE_STATUS_INIT);
    assert_string_equal(stored->scheduling_eligibility, NODE_ELIGIBLE);
    assert_string_equal(stored->node_pool, NODE_POOL_DEFAULT);
}

static void test_first_registration_takes_status_and_eligibility(void **state)
{
    struct harness *h = *state;
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;
    _cleanup_(node_freep) struct node *n = make_node(1);

    str_set(&n->status, NODE_STATUS_READY);
    str_set(&n->scheduling_eligibility, NODE_INELIGIBLE);
    harness_register(h, n, &a);
    assert_int_equal(harness_item(h, 1)->status, STATUS_READY);
    assert_false(harness_item(h, 1)->eligible);
}

static void test_register_reply_carries_everything(void **state)
{
    struct harness *h = *state;
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;
    struct node_update_response r = {0};
    _cleanup_(node_freep) struct node *n = make_node(2);

    harness_ready(h, 1);
    harness_register(h, n, &a);
    rpc_answer_decode(&a, &desc_node_update_response, &r);
    assert_true(r.heartbeat_ttl >= 10 * (int64_t)NSEC_PER_SEC);
    assert_true(r.heartbeat_ttl < 20 * (int64_t)NSEC_PER_SEC);
    assert_int_equal(r.node_modify_index, 3);
    assert_int_equal(r.q.index, 3);
    assert_null(r.eval_ids);
    assert_int_equal(r.eval_create_index, 0);
    assert_int_equal(r.features, 0);
    assert_string_equal(r.leader_rpc_addr, HARNESS_RPC);
    assert_int_equal(r.num_nodes, 2);
    assert_int_equal(r.n_servers, 1);
    assert_string_equal(r.servers[0].rpc_advertise_addr, HARNESS_RPC);
    assert_int_equal(r.servers[0].rpc_major_version, 1);
    assert_int_equal(r.servers[0].rpc_minor_version, 1);
    assert_string_equal(r.servers[0].datacenter, "dc1");
    assert_string_equal(r.scheduling_eligibility, NODE_ELIGIBLE);
    assert_null(r.signed_identity);
    assert_false(r.q.known_leader);
    assert_true(a.has_bound);
    ops_clear(&desc_node_update_response, &r);
}

static void test_old_agents_get_node_networks(void **state)
{
    struct harness *h = *state;
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;
    _cleanup_(node_freep) struct node *n = make_node(1), *stored = NULL;
    struct network_resource *net =
        vec_add(&n->node_resources->networks, &n->node_resources->n_networks);

    net->mode = xstrdup("host");
    net->device = xstrdup("eth0");
    net->ip = xstrdup("10.0.0.7");
    net->mbits = 1000;
    harness_register(h, n, &a);
    stored = harness_stored(h, 1);
    assert_int_equal(stored->node_resources->n_node_networks, 1);
    assert_string_equal(stored->node_resources->node_networks[0].device, "eth0");
    assert_int_equal(stored->node_resources->node_networks[0].speed, 1000);
    assert_string_equal(stored->node_resources->node_networks[0].addresses[0].alias, "default");
    assert_string_equal(stored->node_resources->node_networks[0].addresses[0].address, "10.0.0.7");
}

/* --- again --- */

static void test_register_again_replaces_what_the_agent_owns(void **state)
{
    struct harness *h = *state;
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;
    _cleanup_(node_freep) struct node *n = make_node(1), *stored = NULL;
    struct node_update_response r = {0};

    harness_ready(h, 1);
    clock_fake_advance(5 * NSEC_PER_SEC);
    str_set(&n->name, "renamed");
    str_set(&n->datacenter, "dc2");
    strmap_done(&n->attributes);
    strmap_set(&n->attributes, "only", "this");
    str_set(&n->scheduling_eligibility, NODE_INELIGIBLE);
    harness_register(h, n, &a);
    rpc_answer_decode(&a, &desc_node_update_response, &r);
    assert_int_equal(r.q.index, 3);
    assert_string_equal(r.scheduling_eligibility, NODE_ELIGIBLE);
    ops_clear(&desc_node_update_response, &r);
    stored = harness_stored(h, 1);
    assert_string_equal(stored->name, "renamed");
    assert_string_equal(stored->datacenter, "dc2");
    assert_int_equal(stored->attributes.n, 1);
    assert_int_equal(stored->create_index, 1);
    assert_int_equal(stored->modify_index, 3);
    assert_int_equal(stored->status_updated_at, 1700000005);
    assert_string_equal(stored->status, NODE_STATUS_READY); /* 1.3.10: kept */
    assert_string_equal(stored->scheduling_eligibility, NODE_ELIGIBLE);
    assert_int_equal(stored->n_events, 1);
}

static void test_register_again_always_moves_the_index(void **state)
{
    struct harness *h = *state;
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;
    _cleanup_(node_freep) struct node *n = make_node(1);

    harness_register(h, n, &a);
    harness_register(h, n, &a);
    assert_int_equal(harness_item(h, 1)->modify_index, 2);
    assert_int_equal(harness_item(h, 1)->create_index, 1);
}

static void test_register_with_another_secret_is_refused(void **state)
{
    struct harness *h = *state;
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;
    _cleanup_(node_freep) struct node *n = make_node(1);

    harness_ready(h, 1);
    make_node_secret(2, n->secret_id);
    str_set(&n->name, "thief");
    harness_register(h, n, &a);
    assert_true(a.failed);
    assert_string_equal(a.text, "node secret ID does not match. Not registering node.");
    assert_int_equal(harness_item(h, 1)->modify_index, 2);
    assert_false(a.has_bound);
}

static void test_register_of_a_down_node_stays_down(void **state)
{
    struct harness *h = *state;
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;
    _cleanup_(node_freep) struct node *n = make_node(1), *stored = NULL;
    struct node_update_response r = {0};

    harness_ready(h, 1);
    harness_status(h, 1, NODE_STATUS_DOWN, NULL, &a);
    harness_register(h, n, &a);
    rpc_answer_decode(&a, &desc_node_update_response, &r);
    assert_int_equal(r.heartbeat_ttl, 0);
    ops_clear(&desc_node_update_response, &r);
    stored = harness_stored(h, 1);
    assert_string_equal(stored->status, NODE_STATUS_DOWN);
    assert_int_equal(stored->n_events, 1); /* no "re-registered" since 1.3.10 */
}

static void test_register_keeps_the_newer_of_both_indexes(void **state)
{
    struct harness *h = *state;
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;
    _cleanup_(node_freep) struct node *n = make_node(1);

    harness_ready(h, 1);
    harness_status(h, 1, NODE_STATUS_DOWN, NULL, &a); /* LastMissedHeartbeatIndex = 3 */
    n->last_alloc_update_index = 2;
    harness_register(h, n, &a);
    assert_int_equal(harness_item(h, 1)->last_missed_heartbeat_index, 3);
    assert_int_equal(harness_item(h, 1)->last_alloc_update_index, 2);
}

/* --- fields that this release does not know --- */

/* the request of a newer agent: one more key in its node */
static void register_with_extra(struct harness *h, const char *value, struct rpc_answer *a)
{
    _cleanup_buf_ struct buf node = BUF_INIT(MIB), extra = BUF_INIT(KIB), more = BUF_INIT(MIB),
                             body = BUF_INIT(MIB);
    _cleanup_(node_freep) struct node *n = make_node(1);
    struct mp_patch patch = {.key = "FutureField"};

    mp_encode(&node, &desc_node, n);
    mp_str(&extra, value);
    patch.value = extra.p;
    patch.n = extra.len;
    assert_int_equal(mp_map_patch(node.p, node.len, &patch, 1, &more), 0);
    mp_map(&body, 2);
    mp_str(&body, "Node");
    buf_add(&body, more.p, more.len);
    mp_str(&body, "Region");
    mp_str(&body, "global");
    harness_call_raw(h, "Node.Register", body.p, body.len, a);
    if (a->failed)
        fail_msg("%s", a->text);
}

static void assert_extra(struct harness *h, const char *value)
{
    const struct node_item *it = harness_item(h, 1);
    const uint8_t *p;
    size_t n;

    assert_int_equal(mp_map_find(it->packed, it->packed_len, "FutureField", &p, &n), 0);
    assert_int_equal(n, strlen(value) + 1);
    assert_memory_equal(p + 1, value, strlen(value));
}

static void test_unknown_fields_survive_every_write(void **state)
{
    struct harness *h = *state;
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;

    register_with_extra(h, "one", &a);
    assert_extra(h, "one");
    harness_status(h, 1, NODE_STATUS_READY, NULL, &a);
    assert_extra(h, "one");
    register_with_extra(h, "two", &a);
    assert_extra(h, "two");
    harness_advance(h, 100 * NSEC_PER_SEC);
    assert_int_equal(harness_item(h, 1)->status, STATUS_DOWN);
    assert_extra(h, "two");
    harness_restart(h);
    assert_extra(h, "two");
}

/* --- the disk --- */

static void test_register_fails_when_it_cannot_be_stored(void **state)
{
    struct harness *h = *state;
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;
    _cleanup_(node_freep) struct node *n = make_node(1);

    log_set_level(LOG_LEVEL_OFF);
    fake_disk_fail(h->disk, -ENOSPC, "cannot write state.db: no space left");
    harness_register(h, n, &a);
    assert_true(a.failed);
    assert_string_equal(a.text, "cannot write state.db: no space left");
    assert_null(harness_item(h, 1));
    assert_int_equal(beats_count(h->server->beats), 0);
    fake_disk_fail(h->disk, 0, NULL);
    harness_register(h, n, &a);
    assert_true(a.replied);
    assert_int_equal(harness_item(h, 1)->create_index, 2); /* 1 belongs to what failed */
}

static void test_register_is_answered_when_durable(void **state)
{
    struct harness *h = *state;
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;
    _cleanup_(node_freep) struct node *n = make_node(1);

    fake_disk_auto(h->disk, false);
    harness_register(h, n, &a);
    assert_false(a.replied);
    assert_true(fake_disk_step(h->disk));
    assert_true(a.replied);
}

static void test_peer_that_goes_does_not_stop_its_registration(void **state)
{
    struct harness *h = *state;
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;
    _cleanup_(node_freep) struct node *n = make_node(1);

    fake_disk_auto(h->disk, false);
    harness_register(h, n, &a);
    call_gone(steal_ptr(&a.call));
    assert_false(a.dropped); /* the write still needs the request */
    assert_true(fake_disk_step(h->disk));
    assert_true(a.dropped);
    assert_non_null(harness_item(h, 1));
}

static void test_registration_that_waits_is_not_made_for_nobody(void **state)
{
    struct harness *h = *state;
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT, b = RPC_ANSWER_INIT;
    _cleanup_(node_freep) struct node *n = make_node(1), *other = make_node(2);

    fake_disk_auto(h->disk, false);
    harness_register(h, n, &a);
    harness_register(h, other, &b);
    call_gone(steal_ptr(&b.call));
    assert_true(fake_disk_step(h->disk));
    harness_settle(h);
    assert_false(fake_disk_step(h->disk));
    assert_true(a.replied);
    assert_true(b.dropped);
    assert_null(harness_item(h, 2));
    assert_int_equal(store_index(h->server->store), 1);
    assert_int_equal(h->server->writing_bytes, 0);
}

static void test_writes_beyond_the_limit_are_refused(void **state)
{
    struct harness *h = *state;
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;
    _cleanup_(node_freep) struct node *n = make_node(1);

    h->server->writing_bytes = WRITES_WAITING_MAX; /* of others */
    harness_register(h, n, &a);
    assert_true(a.failed);
    assert_false(a.closed);
    assert_string_equal(a.text, "too many writes are waiting");
    assert_int_equal(h->server->writing_bytes, WRITES_WAITING_MAX);
    h->server->writing_bytes = 0;
    harness_register(h, n, &a);
    assert_true(a.replied);
    assert_int_equal(h->server->writing_bytes, 0);
}

static void test_two_first_registrations_in_one_batch(void **state)
{
    struct harness *h = *state;
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT, b = RPC_ANSWER_INIT;
    _cleanup_(node_freep) struct node *n = make_node(1), *other = make_node(1);

    make_node_secret(9, other->secret_id);
    fake_disk_auto(h->disk, false);
    harness_register(h, n, &a);
    harness_register(h, other, &b);
    while (fake_disk_step(h->disk))
        harness_settle(h);
    assert_true(a.replied);
    assert_true(b.failed);
    assert_string_equal(b.text, TEXT_SECRET_MISMATCH_REGISTER);
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_register_validates_in_order),
        TEST(test_register_without_node_is_refused),
        TEST(test_register_refuses_huge_nodes),
        TEST(test_first_registration),
        TEST(test_first_registration_fills_defaults),
        TEST(test_first_registration_takes_status_and_eligibility),
        TEST(test_register_reply_carries_everything),
        TEST(test_old_agents_get_node_networks),
        TEST(test_register_again_replaces_what_the_agent_owns),
        TEST(test_register_again_always_moves_the_index),
        TEST(test_register_with_another_secret_is_refused),
        TEST(test_register_of_a_down_node_stays_down),
        TEST(test_register_keeps_the_newer_of_both_indexes),
        TEST(test_unknown_fields_survive_every_write),
        TEST(test_register_fails_when_it_cannot_be_stored),
        TEST(test_register_is_answered_when_durable),
        TEST(test_peer_that_goes_does_not_stop_its_registration),
        TEST(test_registration_that_waits_is_not_made_for_nobody),
        TEST(test_writes_beyond_the_limit_are_refused),
        TEST(test_two_first_registrations_in_one_batch),
    };

    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
