/* One simulated agent against a fake server: sockets are real (loopback), time is not. */
#include "sim/agent.h"

#include <errno.h>
#include <string.h>

#include "base/rand.h"
#include "base/str.h"
#include "codec/ops.h"
#include "model/rpc_types.h"
#include "tests/support/check.h"
#include "tests/support/fake_server.h"
#include "wire/conn.h"

#define SEC NSEC_PER_SEC

struct fixture {
    struct fake_server *server;
    struct sim_common c;
    struct profile *profile;
    struct sim_agent *a;
};

static void settle(struct fixture *f)
{
    for (int i = 0; i < 40; i++)
        assert_int_equal(loop_turn(f->c.loop, NSEC_PER_MSEC / 5), 0);
}

/* so much time goes by; every timer fires when it is due */
static void pass(struct fixture *f, uint64_t ns)
{
    uint64_t end = clock_boot_ns() + ns;

    settle(f);
    while (loop_next_timer(f->c.loop) <= end) {
        uint64_t at = loop_next_timer(f->c.loop), now = clock_boot_ns();

        if (at > now)
            clock_fake_advance(at - now);
        (void)loop_run_due(f->c.loop);
        settle(f);
    }
    if (end > clock_boot_ns())
        clock_fake_advance(end - clock_boot_ns());
}

static int open_with(void **state, const char *profile)
{
    struct fixture *f = xnew0(struct fixture);
    struct err e;

    rand_seed(42);
    clock_fake(true, 1000 * SEC, INT64_C(1700000000) * (int64_t)SEC);
    assert_int_equal(loop_new(&f->c.loop), 0);
    f->server = fake_server_new(f->c.loop);
    f->c.lists = sim_servers_new();
    assert_int_equal(
        sim_servers_parse(f->c.lists, fake_server_address(f->server), &f->c.servers, &e), 0);
    source_default(&f->c.servers->servers[0].sa, &f->c.source);
    f->c.region = "global";
    f->c.prefix = "sim";
    f->c.seed = 1;
    assert_int_equal(profile_load("sim/profiles", profile, &f->profile, &e), 0);
    f->a = sim_agent_new(&f->c, 5, f->profile);
    *state = f;
    return 0;
}

static int open_fixture(void **state)
{
    return open_with(state, "vm");
}

static int open_picketd(void **state)
{
    return open_with(state, "picketd");
}

static int close_fixture(void **state)
{
    struct fixture *f = *state;

    f->a = sim_agent_free(f->a);
    for (size_t i = 0; i < SIM_STATES; i++)
        assert_int_equal(f->c.states[i], 0); /* counted in and out */
    f->server = fake_server_free(f->server);
    (void)profile_free(f->profile);
    (void)sim_servers_free(f->c.lists);
    conn_drop_closing(f->c.loop);
    f->c.loop = loop_free(f->c.loop);
    clock_fake(false, 0, 0);
    rand_seed(0);
    free(f);
    return 0;
}

static size_t calls(const struct fixture *f, const char *method)
{
    return fake_server_calls(f->server, method);
}

static void expect_state(const struct fixture *f, enum sim_state s)
{
    assert_string_equal(sim_state_name(sim_agent_state(f->a)), sim_state_name(s));
    assert_int_equal(f->c.states[s], 1);
}

static void make_ready(struct fixture *f)
{
    sim_agent_start(f->a);
    settle(f);
    expect_state(f, SIM_READY);
}

static void last_registered(const struct fixture *f, struct node_register_request *ret)
{
    assert_true(fake_server_last(f->server, "Node.Register", &desc_node_register_request, ret));
}

/* --- the good case --- */

static void test_registers_beats_and_waits_for_allocations(void **state)
{
    struct fixture *f = *state;
    struct node_register_request r = {0};
    struct node_specific_request w = {0};

    expect_state(f, SIM_WAITING);
    make_ready(f);
    last_registered(f, &r);
    assert_string_equal(r.node->status, "initializing");
    assert_string_equal(r.node->name, "sim-00005");
    assert_string_equal(r.node->scheduling_eligibility, "ineligible");
    assert_string_equal(r.w.region, "global");
    assert_true(str_empty(r.w.auth_token)); /* nobody knows it yet */
    assert_string_equal(fake_server_node_status(f->server), "ready");
    assert_int_equal(calls(f, "Node.Register"), 1);
    assert_in_range(calls(f, "Node.UpdateStatus"), 1, 2);
    /* one answered at once, one that waits */
    assert_int_equal(calls(f, "Node.GetClientAllocs"), 2);
    assert_true(
        fake_server_last(f->server, "Node.GetClientAllocs", &desc_node_specific_request, &w));
    assert_true(w.q.min_query_index > 0 && w.q.allow_stale);
    assert_string_equal(w.node_id, r.node->id);
    assert_string_equal(w.secret_id, r.node->secret_id);
    assert_string_equal(w.q.auth_token, r.node->secret_id);
    ops_clear(&desc_node_specific_request, &w);
    ops_clear(&desc_node_register_request, &r);
}

static void test_beats_by_the_ttl_of_each_answer(void **state)
{
    struct fixture *f = *state;
    size_t n;

    fake_server_set_ttl(f->server, 20 * SEC);
    make_ready(f);
    n = calls(f, "Node.UpdateStatus");
    pass(f, 19 * SEC);
    assert_int_equal(calls(f, "Node.UpdateStatus"), n);
    pass(f, 2 * SEC);
    assert_int_equal(calls(f, "Node.UpdateStatus"), n + 1);
    pass(f, 60 * SEC);
    assert_int_equal(calls(f, "Node.UpdateStatus"), n + 4);
    assert_int_equal(f->c.tally.late, 0);
    assert_int_equal(f->c.tally.missed, 0);
    assert_int_equal(tally_errors(&f->c.tally), 0);
}

static void test_a_reply_without_ttl_makes_no_storm(void **state)
{
    struct fixture *f = *state;

    fake_server_set_ttl(f->server, 0);
    make_ready(f);
    pass(f, 10 * SEC);
    assert_in_range(calls(f, "Node.UpdateStatus"), 8, 14);
}

static void test_every_good_answer_wakes_the_heartbeat(void **state)
{
    struct fixture *f = *state;
    size_t n, n_events;

    make_ready(f);
    n = calls(f, "Node.UpdateStatus");
    sim_agent_event(f->a);
    settle(f);
    assert_int_equal(calls(f, "Node.EmitEvents"), 1);
    assert_int_equal(calls(f, "Node.UpdateStatus"), n + 1);
    (void)fake_server_events(f->server, &n_events);
    assert_int_equal(n_events, 1);
}

static void test_a_change_registers_again_as_ready(void **state)
{
    struct fixture *f = *state;
    struct node_register_request r = {0};

    make_ready(f);
    sim_agent_change(f->a);
    settle(f);
    assert_int_equal(calls(f, "Node.Register"), 2);
    last_registered(f, &r);
    assert_string_equal(r.node->status, "ready");
    assert_string_equal(strmap_get(&r.node->attributes, "unique.picket-sim.changes"), "1");
    assert_string_equal(r.w.auth_token, r.node->secret_id);
    ops_clear(&desc_node_register_request, &r);
    expect_state(f, SIM_READY);
}

static void test_two_agents_have_addresses_of_their_own(void **state)
{
    struct fixture *f = *state;
    struct sockaddr_storage a, b;
    socklen_t len;

    source_address(&f->c.source, 5, &a, &len);
    source_address(&f->c.source, 6, &b, &len);
    assert_int_not_equal(memcmp(&a, &b, sizeof(a)), 0);
}

/* --- servers that say no --- */

static void test_an_unknown_node_registers_again(void **state)
{
    struct fixture *f = *state;

    make_ready(f);
    fake_server_forget(f->server);
    pass(f, 30 * SEC);
    assert_int_equal(calls(f, "Node.Register"), 2);
    assert_string_equal(fake_server_node_status(f->server), "ready");
    expect_state(f, SIM_READY);
}

static void test_a_failed_registration_is_tried_again(void **state)
{
    struct fixture *f = *state;

    fake_server_fail(f->server, "Node.Register", "No cluster leader", 1);
    sim_agent_start(f->a);
    pass(f, 14 * SEC);
    assert_int_equal(calls(f, "Node.Register"), 1);
    expect_state(f, SIM_REGISTERING);
    pass(f, 17 * SEC);
    expect_state(f, SIM_READY);
    assert_int_equal(tally_errors(&f->c.tally), 1);
    assert_string_equal(f->c.tally.texts[0].text, "No cluster leader");
}

static void test_dev_tries_again_soon(void **state)
{
    struct fixture *f = *state;

    f->c.dev = true;
    fake_server_fail(f->server, "Node.Register", "No cluster leader", 1);
    sim_agent_start(f->a);
    pass(f, 3 * SEC);
    expect_state(f, SIM_READY);
}

static void test_a_node_that_was_down_was_missed(void **state)
{
    struct fixture *f = *state;

    make_ready(f);
    fake_server_set_node_status(f->server, "down");
    pass(f, 30 * SEC);
    assert_int_equal(f->c.tally.missed, 1);
    assert_string_equal(fake_server_node_status(f->server), "ready");
}

static void test_answers_that_cannot_be_read_are_errors(void **state)
{
    struct fixture *f = *state;

    fake_server_garbage(f->server, true);
    sim_agent_start(f->a);
    settle(f);
    expect_state(f, SIM_REGISTERING);
    assert_int_equal(tally_errors(&f->c.tally), 1);
    fake_server_garbage(f->server, false);
    pass(f, 31 * SEC);
    expect_state(f, SIM_READY);
}

static void test_a_strict_server_gets_its_token(void **state)
{
    struct fixture *f = *state;

    fake_server_set_strict(f->server, true);
    make_ready(f);
    sim_agent_kill(f->a);
    sim_agent_start(f->a); /* known from before */
    settle(f);
    expect_state(f, SIM_READY);
    assert_int_equal(tally_errors(&f->c.tally), 0);
}

static void test_a_call_that_servers_make_is_refused_in_words(void **state)
{
    struct fixture *f = *state;

    make_ready(f);
    fake_server_call_back(f->server, "ClientStats.Stats");
    settle(f);
    assert_string_equal(fake_server_call_back_error(f->server),
                        "this node is simulated, it has no answer to ClientStats.Stats");
    assert_int_equal(f->c.tally.asked, 1);
    expect_state(f, SIM_READY);
}

/* --- connections --- */

static void test_comes_back_after_a_cut(void **state)
{
    struct fixture *f = *state;

    make_ready(f);
    fake_server_cut(f->server);
    settle(f);
    expect_state(f, SIM_LOST);
    pass(f, 15 * SEC);
    expect_state(f, SIM_READY);
    assert_int_equal(calls(f, "Node.Register"), 1); /* it still is registered */
    assert_int_equal(f->c.tally.cut, 1);
    assert_int_equal(f->c.tally.reconnects, 1);
    assert_true(f->c.tally.calls[TALLY_WAIT].lost >= 1);
}

static void test_waits_for_a_server_that_is_away(void **state)
{
    struct fixture *f = *state;

    make_ready(f);
    fake_server_stop(f->server);
    pass(f, 40 * SEC);
    expect_state(f, SIM_LOST);
    assert_true(f->c.tally.refused > 1);
    fake_server_start(f->server);
    pass(f, 61 * SEC);
    expect_state(f, SIM_READY);
    assert_true(f->c.tally.late >= 1);
}

static void test_picketd_comes_back_within_ten_seconds(void **state)
{
    struct fixture *f = *state;

    fake_server_set_ttl(f->server, 300 * SEC);
    make_ready(f);
    fake_server_cut(f->server);
    pass(f, 10 * SEC);
    expect_state(f, SIM_READY);
}

static void test_a_killed_one_is_silent_until_it_starts(void **state)
{
    struct fixture *f = *state;
    size_t n;

    make_ready(f);
    sim_agent_kill(f->a);
    n = calls(f, NULL);
    pass(f, 60 * SEC);
    expect_state(f, SIM_DEAD);
    assert_int_equal(calls(f, NULL), n);
    sim_agent_start(f->a);
    settle(f);
    expect_state(f, SIM_READY);
    assert_int_equal(calls(f, "Node.Register"), 2); /* another process */
}

static void test_a_cut_one_keeps_its_registration(void **state)
{
    struct fixture *f = *state;

    make_ready(f);
    sim_agent_cut(f->a);
    sim_agent_heal(f->a); /* not parted: nothing happens */
    pass(f, 60 * SEC);
    expect_state(f, SIM_CUT);
    sim_agent_uncut(f->a);
    pass(f, SEC);
    expect_state(f, SIM_READY);
    assert_int_equal(calls(f, "Node.Register"), 1);
}

static void test_a_parted_one_keeps_its_socket_open(void **state)
{
    struct fixture *f = *state;
    size_t n;

    make_ready(f);
    sim_agent_part(f->a);
    n = calls(f, NULL);
    settle(f);
    expect_state(f, SIM_PARTED);
    /* the server still has a connection on which it can ask; nobody answers */
    fake_server_call_back(f->server, "ClientStats.Stats");
    settle(f);
    assert_null(fake_server_call_back_error(f->server));
    sim_agent_cut(f->a); /* nothing happens to it meanwhile */
    expect_state(f, SIM_PARTED);
    assert_int_equal(calls(f, NULL), n);
    sim_agent_heal(f->a);
    pass(f, 3 * SEC);
    expect_state(f, SIM_READY);
    assert_int_equal(calls(f, "Node.Register"), 1);
}

static void test_everything_may_happen_before_it_joined(void **state)
{
    struct fixture *f = *state;

    sim_agent_cut(f->a);
    sim_agent_uncut(f->a);
    sim_agent_part(f->a);
    sim_agent_heal(f->a);
    sim_agent_event(f->a);
    sim_agent_change(f->a);
    pass(f, SEC);
    expect_state(f, SIM_WAITING);
    assert_int_equal(calls(f, NULL), 0);
}

static void test_each_deed_while_it_connects(void **state)
{
    struct fixture *f = *state;
    void (*const deeds[])(struct sim_agent *) = {sim_agent_kill, sim_agent_cut, sim_agent_part,
                                                 sim_agent_leave};

    for (size_t i = 0; i < ARRAY_LEN(deeds); i++) {
        sim_agent_start(f->a);
        deeds[i](f->a);
        settle(f);
        sim_agent_kill(f->a);
        expect_state(f, SIM_DEAD);
    }
    make_ready(f);
}

static void test_follows_the_servers_of_replies(void **state)
{
    struct fixture *f = *state;
    const char *elsewhere = "127.0.0.1:1";

    fake_server_set_servers(f->server, &elsewhere, 1);
    make_ready(f);
    fake_server_cut(f->server);
    pass(f, 60 * SEC);
    expect_state(f, SIM_LOST); /* as a real one: what servers say counts */
    assert_true(f->c.tally.refused > 0);
}

static void test_bytes_are_counted(void **state)
{
    struct fixture *f = *state;
    uint64_t sent = 0, received = 0;

    make_ready(f);
    sim_agent_bytes(f->a, &sent, &received);
    assert_true(sent > 4000);
    assert_true(received > 100);
    sim_agent_leave(f->a);
    assert_true(f->c.tally.sent_bytes >= sent);
    sent = 0;
    sim_agent_bytes(f->a, &sent, &received);
    assert_int_equal(sent, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_fixture, close_fixture)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_registers_beats_and_waits_for_allocations),
        TEST(test_beats_by_the_ttl_of_each_answer),
        TEST(test_a_reply_without_ttl_makes_no_storm),
        TEST(test_every_good_answer_wakes_the_heartbeat),
        TEST(test_a_change_registers_again_as_ready),
        TEST(test_two_agents_have_addresses_of_their_own),
        TEST(test_an_unknown_node_registers_again),
        TEST(test_a_failed_registration_is_tried_again),
        TEST(test_dev_tries_again_soon),
        TEST(test_a_node_that_was_down_was_missed),
        TEST(test_answers_that_cannot_be_read_are_errors),
        TEST(test_a_strict_server_gets_its_token),
        TEST(test_a_call_that_servers_make_is_refused_in_words),
        TEST(test_comes_back_after_a_cut),
        TEST(test_waits_for_a_server_that_is_away),
        cmocka_unit_test_setup_teardown(test_picketd_comes_back_within_ten_seconds, open_picketd,
                                        close_fixture),
        TEST(test_a_killed_one_is_silent_until_it_starts),
        TEST(test_a_cut_one_keeps_its_registration),
        TEST(test_a_parted_one_keeps_its_socket_open),
        TEST(test_everything_may_happen_before_it_joined),
        TEST(test_each_deed_while_it_connects),
        TEST(test_follows_the_servers_of_replies),
        TEST(test_bytes_are_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
