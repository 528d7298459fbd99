#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "model/stub.h"
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

/* what a list request may say; zeroed: everything at once */
struct list_args {
    const char *prefix, *filter, *next_token;
    int64_t per_page;
    uint64_t min_index;
    struct node_list_fields *fields;
};

static void list(struct harness *h, struct list_args args, struct rpc_answer *a)
{
    struct node_list_request q = {
        .fields = args.fields,
        .q = {.region = h->conf.region,
              .prefix = xstrdup(args.prefix),
              .filter = xstrdup(args.filter),
              .next_token = xstrdup(args.next_token),
              .per_page = args.per_page,
              .min_query_index = args.min_index},
    };

    harness_call(h, "Node.List", &desc_node_list_request, &q, a);
    free(q.q.prefix);
    free(q.q.filter);
    free(q.q.next_token);
}

static void decode(const struct rpc_answer *a, struct node_list_response *r)
{
    *r = (struct node_list_response){0};
    rpc_answer_decode(a, &desc_node_list_response, r);
}

static void done(struct node_list_response *r)
{
    ops_clear(&desc_node_list_response, r);
}

static void test_list_of_nothing(void **state)
{
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;
    struct node_list_response r;

    list(*state, (struct list_args){0}, &a);
    decode(&a, &r);
    assert_int_equal(r.n_nodes, 0);
    assert_int_equal(r.q.index, 0);
    assert_true(r.q.known_leader);
    done(&r);
}

static void test_list_is_in_the_order_of_ids(void **state)
{
    struct harness *h = *state;
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;
    struct node_list_response r;
    static const uint64_t order[] = {300, 2, 70000, 1};

    for (size_t i = 0; i < ARRAY_LEN(order); i++)
        harness_ready(h, order[i]);
    list(h, (struct list_args){0}, &a);
    decode(&a, &r);
    assert_int_equal(r.n_nodes, 4);
    assert_string_equal(r.nodes[0].name, "host-1");
    assert_string_equal(r.nodes[1].name, "host-2");
    assert_string_equal(r.nodes[2].name, "host-300");
    assert_string_equal(r.nodes[3].name, "host-70000");
    assert_int_equal(r.q.index, 8);
    done(&r);
}

/* cut out of the packed node, it is what the decoded node's stub would be */
static void test_stub_equals_the_models(void **state)
{
    struct harness *h = *state;
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;
    _cleanup_(node_freep) struct node *n = make_node(1);
    static const char *const addresses[] = {"10.0.0.1:4646", "[fd00::1]:4646", ""};

    n->drivers = xnew0(struct driver_info);
    n->n_drivers = 1;
    n->drivers[0].key = xstrdup("docker");
    n->drivers[0].detected = true;
    n->drivers[0].health_description = xstrdup("Healthy");
    n->drain_strategy = xnew0(struct drain_strategy);
    for (size_t i = 0; i < ARRAY_LEN(addresses); i++) {
        for (int with = 0; with < 4; with++) {
            struct node_list_fields fields = {.resources = with & 1, .os = with & 2};
            _cleanup_(node_freep) struct node *stored = NULL;
            struct node_list_response r;
            struct node_stub model = {0};
            const char *diff = NULL;

            str_set(&n->http_addr, addresses[i]);
            harness_register(h, n, &a);
            list(h, (struct list_args){.fields = &fields}, &a);
            decode(&a, &r);
            stored = harness_stored(h, 1);
            node_make_stub(stored, fields.resources, fields.os, &model);
            assert_int_equal(r.n_nodes, 1);
            if (ops_diff(&desc_node_stub, &r.nodes[0], &model, &diff, 1) > 0)
                fail_msg("differs in %s (address %s)", diff, addresses[i]);
            assert_true(r.nodes[0].drain);
            ops_clear(&desc_node_stub, &model);
            done(&r);
        }
    }
}

static void test_list_by_prefix(void **state)
{
    struct harness *h = *state;
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;
    struct node_list_response r;
    static const struct {
        const char *prefix;
        size_t n;
    } good[] = {
        {"00",       5},
        {"0000-01",  2},
        {"00000101", 1},
        {"ff",       0}
    };
    static const struct {
        const char *prefix, *text;
    } bad[] = {
        {"000", "node lookup failed: index error: Input (without hyphens) must be even length"},
        {"zz",  "node lookup failed: index error: Invalid UUID: encoding/hex: invalid byte: "
               "U+007A 'z'"                                                     },
    };
    static const uint64_t ids[] = {1, 2, 0x100, 0x101, 0x20000};

    for (size_t i = 0; i < ARRAY_LEN(ids); i++)
        harness_ready(h, ids[i]);
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        list(h, (struct list_args){.prefix = good[i].prefix}, &a);
        decode(&a, &r);
        assert_int_equal(r.n_nodes, good[i].n);
        done(&r);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        list(h, (struct list_args){.prefix = bad[i].prefix}, &a);
        assert_string_equal(a.text, bad[i].text);
    }
}

static void test_list_in_pages(void **state)
{
    struct harness *h = *state;
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;
    char token[UUID_TEXT_LEN + 1] = "";
    size_t seen = 0, pages = 0;

    for (uint64_t n = 0; n < 7; n++)
        harness_ready(h, n);
    do {
        struct node_list_response r;

        list(h, (struct list_args){.per_page = 3, .next_token = token}, &a);
        decode(&a, &r);
        for (size_t i = 0; i < r.n_nodes; i++, seen++) {
            char id[UUID_TEXT_LEN + 1];

            make_node_id(seen, id);
            assert_string_equal(r.nodes[i].id, id);
        }
        token[0] = 0;
        if (!str_empty(r.q.next_token))
            memcpy(token, r.q.next_token, sizeof(token));
        pages++;
        done(&r);
    } while (token[0]);
    assert_int_equal(seen, 7);
    assert_int_equal(pages, 3);
}

static void test_filter_is_refused_by_name(void **state)
{
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;

    list(*state, (struct list_args){.filter = "Name == \"x\""}, &a);
    assert_true(a.failed);
    assert_non_null(strstr(a.text, "filter"));
}

static void test_list_blocks_until_the_table_moves(void **state)
{
    struct harness *h = *state;
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;
    struct node_list_response r;

    harness_ready(h, 1);
    list(h, (struct list_args){.min_index = 2}, &a);
    assert_non_null(a.call);
    harness_ready(h, 2);
    decode(&a, &r);
    assert_true(r.q.index > 2);
    done(&r);
}

/* more than one slice: the answer is of one moment all the same, and can be given up half way */
static void test_long_lists_are_made_in_slices(void **state)
{
    enum { N = 700 };
    struct harness *h = *state;
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT, gone = RPC_ANSWER_INIT;
    struct node_list_response r;

    for (uint64_t n = 0; n < N; n++) {
        const struct node_item *it = make_node_item(n, n + 1, 0);

        fake_disk_put(h->disk, it->id, it->packed, it->packed_len, n + 1);
        (void)node_item_unref(it);
    }
    harness_restart(h);
    list(h, (struct list_args){.min_index = N}, &a);
    list(h, (struct list_args){.min_index = N}, &gone);
    harness_ready(h, N); /* wakes both, and settles */
    decode(&a, &r);
    assert_int_equal(r.n_nodes, N + 1);
    assert_int_equal(r.q.index, N + 1);
    done(&r);
    assert_true(gone.replied);
    list(h, (struct list_args){.min_index = N + 2}, &gone);
    clock_fake_advance(320 * NSEC_PER_SEC);
    (void)loop_run_due(h->loop); /* the time is up: the first slice at most */
    if (gone.call) {
        call_gone(steal_ptr(&gone.call));
        assert_true(gone.dropped);
    }
    assert_true(list_empty(&h->server->calls));
    /* what changes while the pieces are made does not begin the answer again */
    list(h, (struct list_args){.min_index = 1000000}, &gone);
    assert_non_null(gone.call->watch.owner);
    timer_stop(&gone.call->timer);
    gone.call->timer.fn(gone.call->timer.arg);
    assert_non_null(gone.call);
    assert_null(gone.call->watch.owner);
    harness_settle(h);
    assert_true(gone.replied);
}

/* its time is up, before anything else happens */
static void expire(struct rpc_answer *a)
{
    timer_stop(&a->call->timer);
    a->call->timer.fn(a->call->timer.arg);
}

static void test_lists_are_answered_one_after_the_other(void **state)
{
    struct harness *h = *state;
    struct rpc_answer a[3] = {RPC_ANSWER_INIT, RPC_ANSWER_INIT, RPC_ANSWER_INIT};
    struct node_list_response r;

    harness_ready(h, 1);
    for (size_t i = 0; i < ARRAY_LEN(a); i++) {
        list(h, (struct list_args){.min_index = 1000}, &a[i]);
        assert_non_null(a[i].call);
    }
    for (size_t i = 0; i < ARRAY_LEN(a); i++) {
        expire(&a[i]);
        assert_non_null(a[i].call); /* stands in the line */
    }
    call_gone(steal_ptr(&a[1].call));
    assert_true(a[1].dropped);
    harness_ready(h, 2); /* they are of the moment when it is their turn */
    for (size_t i = 0; i < ARRAY_LEN(a); i += 2) {
        assert_true(a[i].replied);
        decode(&a[i], &r);
        assert_int_equal(r.n_nodes, r.q.index > 2 ? 2 : 1);
        done(&r);
    }
    assert_true(list_empty(&h->server->listings));
    for (size_t i = 0; i < ARRAY_LEN(a); i++)
        rpc_answer_done(&a[i]);
    /* the server ends while one stands there */
    list(h, (struct list_args){.min_index = 1000}, &a[0]);
    expire(&a[0]);
    harness_restart(h);
    assert_true(a[0].dropped);
    a[0].call = NULL;
    rpc_answer_done(&a[0]);
}

static void test_a_list_that_is_too_large_is_refused(void **state)
{
    enum { N = 400, NAME = 60000 };
    struct harness *h = *state;
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;
    _cleanup_free_ char *name = xcalloc(NAME + 1, 1);
    struct node_list_response r;

    memset(name, 'n', NAME);
    for (uint64_t n = 0; n < N; n++) {
        _cleanup_(node_freep) struct node *node = make_node(n);
        struct node_item *it;

        free(node->name);
        node->name = xstrdup(name);
        assert_int_equal(node_item_from_node(node, &it, NULL), 0);
        fake_disk_put(h->disk, it->id, it->packed, it->packed_len, n + 1);
        (void)node_item_unref(it);
    }
    harness_restart(h);
    list(h, (struct list_args){0}, &a);
    assert_true(a.failed);
    assert_string_equal(a.text, "reply is larger than the limit: ask for pages");
    list(h, (struct list_args){.per_page = 10}, &a);
    decode(&a, &r);
    assert_int_equal(r.n_nodes, 10);
    done(&r);
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_list_of_nothing),
        TEST(test_list_is_in_the_order_of_ids),
        TEST(test_stub_equals_the_models),
        TEST(test_list_by_prefix),
        TEST(test_list_in_pages),
        TEST(test_filter_is_refused_by_name),
        TEST(test_list_blocks_until_the_table_moves),
        TEST(test_long_lists_are_made_in_slices),
        TEST(test_lists_are_answered_one_after_the_other),
        TEST(test_a_list_that_is_too_large_is_refused),
    };

    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
