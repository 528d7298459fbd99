#include "tests/unit/agent/fixture.h"

static size_t n_registers(const struct fixture *f)
{
    return fake_server_calls(f->a, "Node.Register");
}

static size_t n_beats(const struct fixture *f)
{
    return fake_server_calls(f->a, "Node.UpdateStatus");
}

static char *sent_status(struct fixture *f)
{
    struct node_register_request r = {0};
    char *status;

    assert_true(fake_server_last(f->a, "Node.Register", &desc_node_register_request, &r));
    status = xstrdup(r.node->status);
    ops_clear(&desc_node_register_request, &r);
    return status;
}

/* --- the good case --- */

static void test_registers_and_beats_at_once(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *status_sent = NULL;

    start(f);
    assert_int_equal(n_registers(f), 1);
    assert_int_equal(n_beats(f), 1);
    assert_string_equal(fake_server_node_status(f->a), "ready");
    assert_int_equal(status(f).state, SESSION_REGISTERED);
    assert_true(status(f).in_contact);
    assert_int_equal(status(f).ttl_ns, 10 * SEC);
    assert_string_equal(status(f).leader, fake_server_address(f->a));
    assert_int_equal(f->registered, 1);
    status_sent = sent_status(f);
    assert_string_equal(status_sent, "initializing");
}

static void test_nothing_but_a_ping_before_there_is_a_node(void **state)
{
    struct fixture *f = *state;
    const char *address = fake_server_address(f->a);

    open_session(f, &address, 1);
    session_start(f->session);
    pass(f, 30 * SEC);
    assert_int_equal(fake_server_calls(f->a, "Status.Ping"), 1);
    assert_int_equal(fake_server_calls(f->a, NULL), 1);
    publish(f);
    settle(f);
    assert_int_equal(status(f).state, SESSION_REGISTERED);
}

static void test_the_whole_node_is_sent(void **state)
{
    struct fixture *f = *state;
    struct node_register_request r = {0};

    start(f);
    assert_true(fake_server_last(f->a, "Node.Register", &desc_node_register_request, &r));
    assert_string_equal(r.w.region, "global");
    assert_string_equal(r.node->id, NODE_ID);
    assert_string_equal(r.node->secret_id, SECRET);
    str_set(&r.node->status, "initializing");
    assert_true(ops_equal(&desc_node, r.node, collect_snap(f->collect)->node));
    ops_clear(&desc_node_register_request, &r);
}

static void test_tokens_of_a_first_registration(void **state)
{
    struct fixture *f = *state;

    fake_server_set_strict(f->a, true);
    start(f);
    assert_token(f->a, "Node.Register", "");
    assert_token(f->a, "Node.UpdateStatus", SECRET);
    assert_string_equal(fake_server_node_status(f->a), "ready");
}

static void test_later_registrations_carry_the_secret_also_after_a_restart(void **state)
{
    struct fixture *f = *state;

    fake_server_set_strict(f->a, true);
    start(f);
    fp_set(f->fp, "kernel.version", "6.2", "uname");
    publish(f);
    pass(f, 2 * SEC);
    assert_int_equal(n_registers(f), 2);
    assert_token(f->a, "Node.Register", SECRET);
    restart(f);
    assert_int_equal(n_registers(f), 3);
    assert_token(f->a, "Node.Register", SECRET);
    assert_int_equal(status(f).state, SESSION_REGISTERED);
}

static void test_beats_follow_the_ttl_of_the_last_reply(void **state)
{
    struct fixture *f = *state;

    start(f);
    pass(f, 61 * SEC);
    assert_in_range(n_beats(f), 6, 8);
    fake_server_set_ttl(f->a, 60 * (int64_t)SEC);
    pass(f, 10 * SEC);
    fake_server_reset_calls(f->a);
    pass(f, 600 * SEC);
    assert_in_range(n_beats(f), 9, 11);
    assert_int_equal(n_registers(f), 0);
}

static void test_reply_without_ttl_does_not_make_it_beat_without_pause(void **state)
{
    struct fixture *f = *state;

    fake_server_set_ttl(f->a, 0);
    start(f);
    pass(f, 20 * SEC);
    assert_in_range(n_beats(f), 15, 22);
}

static void test_restart_of_a_node_that_is_down(void **state)
{
    struct fixture *f = *state;

    start(f);
    fake_server_set_node_status(f->a, "down");
    restart(f); /* the registration leaves it down and gives no TTL; the heartbeat does */
    assert_string_equal(fake_server_node_status(f->a), "ready");
    assert_int_equal(status(f).ttl_ns, 10 * SEC);
}

static void test_reply_without_servers_keeps_ours(void **state)
{
    struct fixture *f = *state;

    fake_server_set_servers(f->a, NULL, 0);
    start(f);
    pass(f, 60 * SEC);
    assert_int_equal(status(f).state, SESSION_REGISTERED);
    assert_in_range(n_beats(f), 6, 8);
}

/* --- changes --- */

static void test_unchanged_node_is_never_sent_again(void **state)
{
    struct fixture *f = *state;

    start(f);
    for (int i = 0; i < 20; i++) {
        fp_set(f->fp, "unique.storage.bytesfree", i % 2 ? "1" : "2", "statvfs");
        publish(f);
        pass(f, 30 * SEC);
    }
    assert_int_equal(n_registers(f), 1);
}

static void test_first_change_goes_out_soon_later_ones_are_batched(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *status_sent = NULL;

    start(f);
    fp_set(f->fp, "driver.x", "1", "probe");
    publish(f);
    pass(f, SEC / 2);
    assert_int_equal(n_registers(f), 1);
    pass(f, SEC);
    assert_int_equal(n_registers(f), 2);
    status_sent = sent_status(f);
    assert_string_equal(status_sent, "ready");
    for (int i = 0; i < 4; i++) {
        _cleanup_free_ char *text = xasprintf("%d", i);

        fp_set(f->fp, "driver.y", text, "probe");
        publish(f);
        pass(f, SEC);
    }
    assert_int_equal(n_registers(f), 2);
    pass(f, 7 * SEC);
    assert_int_equal(n_registers(f), 3);
    pass(f, 60 * SEC);
    assert_int_equal(n_registers(f), 3);
}

static void test_change_that_goes_back_is_not_sent(void **state)
{
    struct fixture *f = *state;

    start(f);
    fp_set(f->fp, "driver.x", "1", "probe");
    publish(f);
    (void)strmap_remove(&f->fp->attributes, "driver.x");
    publish(f);
    pass(f, 60 * SEC);
    assert_int_equal(n_registers(f), 1);
}

/* servers count anew, and by the TTL of that answer, which may be a shorter one */
static void test_beat_behind_a_changed_node_follows_the_ttl_of_that_answer(void **state)
{
    struct fixture *f = *state;

    fake_server_set_ttl(f->a, 60 * (int64_t)SEC);
    start(f);
    pass(f, 30 * SEC);
    fake_server_set_ttl(f->a, 10 * (int64_t)SEC);
    fp_set(f->fp, "driver.x", "1", "probe");
    publish(f);
    pass(f, 2 * SEC);
    assert_int_equal(n_registers(f), 2);
    assert_int_equal(n_beats(f), 1);
    pass(f, 10 * SEC);
    assert_int_equal(n_beats(f), 2);
}

static void test_change_while_away_is_sent_on_return(void **state)
{
    struct fixture *f = *state;

    start(f);
    fake_server_stop(f->a);
    settle(f);
    fp_set(f->fp, "driver.x", "1", "probe");
    publish(f);
    pass(f, 30 * SEC);
    fake_server_start(f->a);
    pass(f, 60 * SEC);
    assert_int_equal(n_registers(f), 2);
    assert_int_equal(status(f).state, SESSION_REGISTERED);
    assert_string_equal(status(f).error, "");
}

/* --- servers that do not know us, or know another --- */

static void test_forgotten_node_registers_again(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *status_sent = NULL;

    start(f);
    fake_server_forget(f->a);
    pass(f, 25 * SEC);
    assert_int_equal(n_registers(f), 2);
    assert_int_equal(f->unknown, 1);
    assert_true(fake_server_knows(f->a));
    assert_string_equal(fake_server_node_status(f->a), "ready");
    status_sent = sent_status(f);
    assert_string_equal(status_sent, "ready");
    pass(f, 60 * SEC);
    assert_int_equal(n_registers(f), 2);
}

static void test_denied_beat_of_a_collected_node_ends_in_a_plain_registration(void **state)
{
    struct fixture *f = *state;

    fake_server_set_strict(f->a, true);
    start(f);
    fake_server_forget(f->a); /* from now on the secret is "Permission denied" */
    fake_server_reset_calls(f->a);
    pass(f, 25 * SEC);
    assert_int_equal(n_registers(f), 2); /* with the secret, then once without */
    assert_token(f->a, "Node.Register", "");
    assert_int_equal(status(f).state, SESSION_REGISTERED);
    pass(f, 20 * SEC);
    assert_token(f->a, "Node.UpdateStatus", SECRET);
    assert_string_equal(fake_server_node_status(f->a), "ready");
}

static void test_denial_of_everything_is_tried_again_slowly(void **state)
{
    struct fixture *f = *state;

    fake_server_fail(f->a, "Node.Register", "Permission denied", 1000);
    start(f);
    pass(f, 300 * SEC);
    assert_in_range(n_registers(f), 9, 22);
    assert_int_equal(status(f).state, SESSION_REGISTERING);
    assert_non_null(strstr(status(f).error, "Permission denied"));
    fake_server_fail(f->a, NULL, "", 0);
    pass(f, 40 * SEC);
    assert_int_equal(status(f).state, SESSION_REGISTERED);
}

static void test_another_secret_is_refused_and_tried_again(void **state)
{
    struct fixture *f = *state;

    start(f);
    fake_server_set_secret(f->a, "99999999-1111-2222-3333-444455556666");
    restart(f);
    assert_int_equal(status(f).state, SESSION_REFUSED);
    assert_non_null(strstr(status(f).error, "node secret ID does not match"));
    fake_server_reset_calls(f->a);
    pass(f, 120 * SEC);
    assert_in_range(n_registers(f), 4, 8);
    assert_int_equal(n_beats(f), 0);
    fake_server_forget(f->a); /* the operator purged the node */
    pass(f, 40 * SEC);
    assert_int_equal(status(f).state, SESSION_REGISTERED);
    assert_string_equal(fake_server_node_status(f->a), "ready");
}

static void test_word_from_another_call_registers_again_once(void **state)
{
    struct fixture *f = *state;

    start(f);
    session_unknown(f->session, "node not found");
    session_unknown(f->session, "node not found");
    settle(f);
    assert_int_equal(n_registers(f), 2);
}

/* --- signed identity --- */

static void test_signed_identity_is_used_kept_and_dropped(void **state)
{
    struct fixture *f = *state;

    fake_server_set_strict(f->a, true);
    fake_server_set_identity(f->a, "ey.J.wt");
    start(f);
    assert_token(f->a, "Node.UpdateStatus", "ey.J.wt");
    restart(f);
    assert_token(f->a, "Node.Register", "ey.J.wt");
    /* it is not accepted any more (another key): once with the secret, without registering */
    fake_server_set_identity(f->a, NULL);
    fake_server_reset_calls(f->a);
    pass(f, 12 * SEC);
    assert_token(f->a, "Node.UpdateStatus", SECRET);
    assert_int_equal(n_registers(f), 0);
    assert_string_equal(session_token(f->session), SECRET);
    restart(f);
    assert_token(f->a, "Node.Register", SECRET);
}

static void test_rejected_identity_at_registration_gives_way_to_the_secret(void **state)
{
    struct fixture *f = *state;

    fake_server_set_strict(f->a, true);
    fake_server_set_identity(f->a, "ey.J.wt");
    start(f);
    fake_server_set_identity(f->a, NULL);
    fake_server_reset_calls(f->a);
    restart(f);
    assert_int_equal(n_registers(f), 2);
    assert_token(f->a, "Node.Register", SECRET);
    assert_int_equal(status(f).state, SESSION_REGISTERED);
}

/* --- servers that fail --- */

static void test_server_that_comes_later_is_found(void **state)
{
    struct fixture *f = *state;

    fake_server_stop(f->a);
    start(f);
    pass(f, 100 * SEC);
    assert_int_equal(status(f).state, SESSION_CONNECTING);
    assert_false(status(f).in_contact);
    assert_true(*status(f).error);
    fake_server_start(f->a);
    pass(f, 31 * SEC);
    assert_int_equal(status(f).state, SESSION_REGISTERED);
    assert_string_equal(status(f).error, "");
}

static void test_restart_of_the_server_needs_no_registration(void **state)
{
    struct fixture *f = *state;
    uint64_t before;

    start(f);
    fake_server_stop(f->a);
    pass(f, 25 * SEC);
    assert_false(status(f).in_contact);
    assert_int_equal(status(f).state, SESSION_REGISTERED);
    before = status(f).n_beats;
    fake_server_start(f->a);
    pass(f, 15 * SEC);
    assert_true(status(f).in_contact);
    assert_true(status(f).n_beats > before);
    assert_int_equal(n_registers(f), 1);
    assert_int_equal(f->contacts, 2);
}

static void test_lost_connection_brings_the_next_beat_forward(void **state)
{
    struct fixture *f = *state;

    fake_server_set_ttl(f->a, 300 * (int64_t)SEC);
    start(f);
    session_contact(f->session, false, "connection reset");
    pass(f, 10 * SEC);
    assert_int_equal(n_beats(f), 2);
}

static void test_failover_to_the_other_server(void **state)
{
    struct fixture *f = *state;
    const char *both[2] = {fake_server_address(f->a), fake_server_address(f->b)};
    struct fake_server *first, *second;

    fake_server_set_servers(f->a, both, 2);
    fake_server_set_servers(f->b, both, 2);
    open_session(f, both, 2);
    session_start(f->session);
    settle(f);
    publish(f);
    settle(f);
    assert_int_equal(status(f).state, SESSION_REGISTERED);
    first = fake_server_knows(f->a) ? f->a : f->b;
    second = first == f->a ? f->b : f->a;
    assert_false(fake_server_knows(second));
    fake_server_stop(first);
    pass(f, 60 * SEC);
    assert_true(fake_server_knows(second)); /* fakes share no state: registered there anew */
    assert_string_equal(fake_server_node_status(second), "ready");
    assert_int_equal(status(f).state, SESSION_REGISTERED);
}

static void test_server_that_accepts_and_says_nothing_is_left(void **state)
{
    struct fixture *f = *state;
    const char *both[2] = {fake_server_address(f->a), fake_server_address(f->b)};

    fake_server_set_servers(f->b, both, 2);
    fake_server_mute(f->a, true);
    open_session(f, both, 2);
    session_start(f->session);
    publish(f);
    pass(f, 10 * SEC);
    assert_int_equal(status(f).state, SESSION_REGISTERED);
    assert_string_equal(fake_server_node_status(f->b), "ready");
}

static void test_server_that_falls_silent_is_left(void **state)
{
    struct fixture *f = *state;
    const char *both[2] = {fake_server_address(f->a), fake_server_address(f->b)};

    fake_server_set_servers(f->a, both, 2);
    fake_server_set_servers(f->b, both, 2);
    start(f);
    pass(f, 12 * SEC);
    fake_server_mute(f->a, true);
    pass(f, 60 * SEC);
    assert_string_equal(fake_server_node_status(f->b), "ready");
    assert_int_equal(status(f).state, SESSION_REGISTERED);
}

static void test_only_server_is_silent_until_it_wakes(void **state)
{
    struct fixture *f = *state;

    fake_server_mute(f->a, true);
    start(f);
    pass(f, 200 * SEC);
    assert_int_equal(status(f).state, SESSION_CONNECTING);
    fake_server_mute(f->a, false);
    pass(f, 40 * SEC);
    assert_int_equal(status(f).state, SESSION_REGISTERED);
}

static void test_garbage_is_no_registration(void **state)
{
    struct fixture *f = *state;

    fake_server_garbage(f->a, true);
    start(f);
    pass(f, 60 * SEC);
    assert_int_equal(status(f).state, SESSION_REGISTERING);
    assert_non_null(strstr(status(f).error, "HeartbeatTTL"));
    assert_in_range(n_registers(f), 2, 5);
    assert_int_equal(f->registered, 0);
    fake_server_garbage(f->a, false);
    pass(f, 31 * SEC);
    assert_int_equal(status(f).state, SESSION_REGISTERED);
}

static void test_without_a_leader_it_is_tried_again_soon(void **state)
{
    struct fixture *f = *state;

    fake_server_fail(f->a, "Node.Register", "rpc error: No cluster leader", 8);
    start(f);
    pass(f, 40 * SEC);
    assert_int_equal(status(f).state, SESSION_REGISTERED);
}

static void test_failed_beats_come_back_before_the_grace_is_over(void **state)
{
    struct fixture *f = *state;
    uint64_t at;

    start(f);
    fake_server_fail(f->a, "Node.UpdateStatus", "rpc error: EOF", 3);
    at = clock_boot_ns();
    while (status(f).n_beats < 2) {
        pass(f, SEC / 4);
        assert_true(clock_boot_ns() - at < 20 * SEC);
    }
    assert_int_equal(status(f).state, SESSION_REGISTERED);
}

static void test_advertised_servers_out_of_reach_do_not_cut_us_off(void **state)
{
    struct fixture *f = *state;
    static const char *const inner[] = {"127.0.0.1:1", "not-an-address", "127.0.0.1:2"};
    const char *const *v;

    fake_server_set_servers(f->a, inner, 3);
    start(f);
    assert_int_equal(pool_servers(f->pool, &v), 2);
    pass(f, 100 * SEC);
    assert_true(status(f).in_contact);
    assert_int_equal(pool_servers(f->pool, &v), 3);
    fake_server_reset_calls(f->a);
    pass(f, 100 * SEC);
    assert_in_range(n_beats(f), 12, 15); /* several servers: at three quarters of the TTL */
}

/* --- heartbeats that a server does not answer --- */

/* until a server has been asked for a heartbeat n times; how long that took */
static uint64_t until_beats(struct fixture *f, const struct fake_server *s, size_t n)
{
    uint64_t from = clock_boot_ns();

    while (fake_server_calls(s, "Node.UpdateStatus") < n) {
        pass(f, SEC / 2);
        assert_true(clock_boot_ns() - from < 60 * SEC);
    }
    return clock_boot_ns() - from;
}

/* both know the node; returns the one in use */
static struct fake_server *start_with_two(struct fixture *f, struct fake_server **ret_other)
{
    const char *both[2] = {fake_server_address(f->a), fake_server_address(f->b)};
    struct fake_server *used;

    fake_server_set_servers(f->a, both, 2);
    fake_server_set_servers(f->b, both, 2);
    fake_server_stop(f->a);
    open_session(f, both, 2);
    session_start(f->session);
    publish(f);
    pass(f, 5 * SEC);
    fake_server_start(f->a);
    fake_server_stop(f->b);
    pass(f, 40 * SEC);
    assert_true(fake_server_knows(f->a) && fake_server_knows(f->b));
    fake_server_start(f->b);
    fake_server_reset_calls(f->a);
    fake_server_reset_calls(f->b);
    pass(f, 20 * SEC);
    assert_int_equal(status(f).state, SESSION_REGISTERED);
    used = fake_server_calls(f->a, "Node.UpdateStatus") ? f->a : f->b;
    *ret_other = used == f->a ? f->b : f->a;
    strv_done(&f->said, &f->n_said);
    fake_server_reset_calls(f->a);
    fake_server_reset_calls(f->b);
    return used;
}

static void test_silent_server_costs_no_deadline(void **state)
{
    struct fixture *f = *state;
    struct fake_server *other, *used = start_with_two(f, &other);
    uint64_t before = status(f).n_beats;

    fake_server_mute(used, true);
    (void)until_beats(f, used, 1);
    /* due at 7.5 s, silent at 8.75 s: the other one is asked before the 10 s are over */
    assert_true(until_beats(f, other, 1) <= 2 * SEC);
    assert_true(status(f).n_beats > before);
    assert_int_equal(fake_server_calls(used, "Node.UpdateStatus"), 1);
    pass(f, 60 * SEC);
    assert_int_equal(fake_server_calls(used, "Node.UpdateStatus"), 1); /* it is left alone */
    assert_int_equal(f->n_said, 0);
}

static void test_first_answer_counts_whoever_gives_it(void **state)
{
    struct fixture *f = *state;
    struct fake_server *other, *used = start_with_two(f, &other);
    uint64_t before = status(f).n_beats;

    fake_server_mute(used, true);
    (void)until_beats(f, used, 1);
    /* the second one refuses: the first may still say yes, so nothing is given up yet */
    fake_server_fail(other, "Node.UpdateStatus", "rpc error: EOF", 1);
    (void)until_beats(f, other, 1);
    assert_int_equal(status(f).n_beats, before);
    assert_true(status(f).in_contact);
    pass(f, 20 * SEC);
    assert_true(status(f).n_beats > before);
    assert_int_equal(status(f).state, SESSION_REGISTERED);
}

static void test_only_server_is_asked_again_over_another_connection(void **state)
{
    struct fixture *f = *state;
    uint64_t before;

    start(f);
    pass(f, 19 * SEC);
    before = status(f).n_beats;
    fake_server_mute(f->a, true); /* what is asked now is never answered ... */
    fake_server_reset_calls(f->a);
    (void)until_beats(f, f->a, 1);
    fake_server_mute(f->a, false); /* ... what is asked later is */
    assert_true(until_beats(f, f->a, 2) <= 2 * SEC);
    pass(f, SEC / 4);
    assert_int_equal(status(f).n_beats, before + 1);
    assert_int_equal(f->n_said, 1);
    assert_non_null(strstr(f->said[0], "Heartbeat was late by 1."));
    /* what was given up was still under way when the other answer came */
    assert_non_null(strstr(strmap_get(&f->details, "step_01"), " answered"));
    assert_non_null(strstr(strmap_get(&f->details, "step_02"), " silent 1."));
}

static void test_silent_only_server_is_not_buried_in_calls(void **state)
{
    struct fixture *f = *state;

    start(f);
    fake_server_mute(f->a, true);
    fake_server_reset_calls(f->a);
    pass(f, 600 * SEC);
    /* two for each round of 6 s and the pause behind it */
    assert_in_range(fake_server_calls(f->a, "Node.UpdateStatus"), 20, 170);
    fake_server_mute(f->a, false);
    fake_server_reset_calls(f->a);
    pass(f, 60 * SEC);
    assert_true(status(f).in_contact);
}

static void test_servers_to_choose_from_make_beats_go_out_earlier(void **state)
{
    struct fixture *f = *state;
    const char *both[2] = {fake_server_address(f->a), fake_server_address(f->b)};

    start(f);
    assert_int_equal(status(f).next_beat_ns - status(f).beat_ns, 10 * SEC);
    fake_server_set_servers(f->a, both, 2);
    pass(f, 10 * SEC);
    assert_int_equal(status(f).next_beat_ns - status(f).beat_ns, 7 * SEC + SEC / 2);
}

static void test_late_beat_is_an_event_with_its_steps(void **state)
{
    struct fixture *f = *state;
    uint64_t before;

    start(f);
    pass(f, 15 * SEC);
    before = status(f).n_beats;
    fake_server_stop(f->a);
    pass(f, 25 * SEC);
    fake_server_start(f->a);
    while (status(f).n_beats == before)
        pass(f, SEC / 4);
    assert_int_equal(f->n_said, 1);
    assert_non_null(strstr(f->said[0], "Heartbeat was late by "));
    assert_string_equal(strmap_get(&f->details, "ttl"), "10.0 s");
    assert_non_null(strmap_get(&f->details, "step_01"));
    assert_string_equal(strmap_get(&f->details, "server"), fake_server_address(f->a));
    assert_null(strmap_get(&f->details, "given_up"));
    pass(f, 60 * SEC);
    assert_int_equal(f->n_said, 1); /* once */
    assert_non_null(late_beat(status(f).beats, 5));
}

static void test_stopped_process_is_explained_with_the_time_it_stood_still(void **state)
{
    struct fixture *f = *state;

    start(f);
    pass(f, 2 * SEC);
    fake_server_set_node_status(f->a, "down"); /* as a server does meanwhile */
    clock_fake_advance(30 * SEC);
    session_woke(f->session, "stopped", 30 * SEC);
    pass(f, SEC);
    assert_int_equal(f->n_said, 1);
    assert_string_equal(f->said[0], "Heartbeat was late by 22.0 s");
    assert_string_equal(strmap_get(&f->details, "step_01"), "stopped 30.0 s");
    assert_string_equal(strmap_get(&f->details, "given_up"), "true");
}

static void test_woken_process_beats_at_once_and_says_nothing_when_in_time(void **state)
{
    struct fixture *f = *state;
    uint64_t before;

    start(f);
    pass(f, SEC);
    before = status(f).n_beats;
    clock_fake_sleep(4 * SEC);
    session_woke(f->session, "slept", 4 * SEC);
    pass(f, SEC / 10);
    assert_int_equal(status(f).n_beats, before + 1);
    assert_int_equal(f->n_said, 0);
}

static void test_servers_that_gave_the_node_up_early_are_named(void **state)
{
    struct fixture *f = *state;

    start(f);
    pass(f, 11 * SEC);
    fake_server_set_node_status(f->a, "down");
    pass(f, 10 * SEC);
    assert_int_equal(f->n_said, 1);
    assert_string_equal(f->said[0], "Servers had given this node up before its heartbeat");
    assert_string_equal(strmap_get(&f->details, "given_up"), "true");
}

static void test_clock_jump_leaves_beats_alone_and_shown_times_right(void **state)
{
    struct fixture *f = *state;
    int64_t shown;

    start(f);
    pass(f, 12 * SEC);
    shown = status(f).beat_wall_ns;
    clock_fake_jump(-86400 * (int64_t)SEC);
    assert_int_equal(shown - status(f).beat_wall_ns, 86400 * (int64_t)SEC);
    fake_server_reset_calls(f->a);
    pass(f, 30 * SEC);
    clock_fake_jump(2 * 86400 * (int64_t)SEC);
    pass(f, 30 * SEC);
    assert_int_equal(n_beats(f), 6);
    assert_int_equal(f->n_said, 0);
}

/* --- identity trouble is told once each --- */

static void test_identity_trouble_is_told_once_per_occurrence(void **state)
{
    struct fixture *f = *state;

    fake_server_set_strict(f->a, true);
    fake_server_set_identity(f->a, "ey.J.wt");
    start(f);
    fake_server_set_identity(f->a, NULL);
    pass(f, 60 * SEC);
    assert_int_equal(f->n_said, 1);
    assert_string_equal(f->said[0],
                        "Signed identity is not accepted any more, using the node's secret");
    fake_server_forget(f->a);
    pass(f, 60 * SEC);
    assert_int_equal(f->n_said, 2);
    assert_string_equal(f->said[1], "Servers did not know this node, registering again");
    fake_server_set_secret(f->a, "99999999-1111-2222-3333-444455556666");
    pass(f, 300 * SEC);
    assert_int_equal(status(f).state, SESSION_REFUSED);
    assert_int_equal(f->n_said, 4);
    assert_string_equal(f->said[3], "Servers refuse this node: they know it by another secret");
    assert_null(strstr(strmap_get(&f->details, "error"), SECRET));
}

static void test_no_servers_at_all(void **state)
{
    struct fixture *f = *state;

    open_session(f, NULL, 0);
    session_start(f->session);
    publish(f);
    pass(f, 60 * SEC);
    assert_int_equal(status(f).state, SESSION_CONNECTING);
}

static void test_server_addresses_are_read_as_nomad_reads_them(void **state)
{
    static const struct {
        const char *text, *host, *port;
    } good[] = {
        {"10.0.0.1",         "10.0.0.1",       "4647"},
        {"10.0.0.1:4747",    "10.0.0.1",       "4747"},
        {"[fd00::1]:4747",   "fd00::1",        "4747"},
        {"[fd00::1]",        "fd00::1",        "4647"},
        {"fd00::1",          "fd00::1",        "4647"},
        {"server.example",   "server.example", "4647"},
        {"server.example:1", "server.example", "1"   },
    };
    static const char *const bad[] = {"", ":4647", "a:0", "a:65536", "a:b", "a:", "[::1]x", "a:-1"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        _cleanup_free_ char *host = NULL, *port = NULL;
        struct err e;

        assert_int_equal(servers_split(good[i].text, &host, &port, &e), 0);
        assert_string_equal(host, good[i].host);
        assert_string_equal(port, good[i].port);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        char *host, *port;
        struct err e;

        assert_int_equal(servers_split(bad[i], &host, &port, &e), -EINVAL);
        assert_non_null(strstr(e.text, bad[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_registers_and_beats_at_once),
        TEST(test_nothing_but_a_ping_before_there_is_a_node),
        TEST(test_the_whole_node_is_sent),
        TEST(test_tokens_of_a_first_registration),
        TEST(test_later_registrations_carry_the_secret_also_after_a_restart),
        TEST(test_beats_follow_the_ttl_of_the_last_reply),
        TEST(test_reply_without_ttl_does_not_make_it_beat_without_pause),
        TEST(test_restart_of_a_node_that_is_down),
        TEST(test_reply_without_servers_keeps_ours),
        TEST(test_unchanged_node_is_never_sent_again),
        TEST(test_first_change_goes_out_soon_later_ones_are_batched),
        TEST(test_change_that_goes_back_is_not_sent),
        TEST(test_beat_behind_a_changed_node_follows_the_ttl_of_that_answer),
        TEST(test_change_while_away_is_sent_on_return),
        TEST(test_forgotten_node_registers_again),
        TEST(test_denied_beat_of_a_collected_node_ends_in_a_plain_registration),
        TEST(test_denial_of_everything_is_tried_again_slowly),
        TEST(test_another_secret_is_refused_and_tried_again),
        TEST(test_word_from_another_call_registers_again_once),
        TEST(test_signed_identity_is_used_kept_and_dropped),
        TEST(test_rejected_identity_at_registration_gives_way_to_the_secret),
        TEST(test_server_that_comes_later_is_found),
        TEST(test_restart_of_the_server_needs_no_registration),
        TEST(test_lost_connection_brings_the_next_beat_forward),
        TEST(test_failover_to_the_other_server),
        TEST(test_server_that_accepts_and_says_nothing_is_left),
        TEST(test_server_that_falls_silent_is_left),
        TEST(test_only_server_is_silent_until_it_wakes),
        TEST(test_garbage_is_no_registration),
        TEST(test_without_a_leader_it_is_tried_again_soon),
        TEST(test_failed_beats_come_back_before_the_grace_is_over),
        TEST(test_advertised_servers_out_of_reach_do_not_cut_us_off),
        TEST(test_silent_server_costs_no_deadline),
        TEST(test_first_answer_counts_whoever_gives_it),
        TEST(test_only_server_is_asked_again_over_another_connection),
        TEST(test_silent_only_server_is_not_buried_in_calls),
        TEST(test_servers_to_choose_from_make_beats_go_out_earlier),
        TEST(test_late_beat_is_an_event_with_its_steps),
        TEST(test_stopped_process_is_explained_with_the_time_it_stood_still),
        TEST(test_woken_process_beats_at_once_and_says_nothing_when_in_time),
        TEST(test_servers_that_gave_the_node_up_early_are_named),
        TEST(test_clock_jump_leaves_beats_alone_and_shown_times_right),
        TEST(test_identity_trouble_is_told_once_per_occurrence),
        TEST(test_no_servers_at_all),
        cmocka_unit_test(test_server_addresses_are_read_as_nomad_reads_them),
    };

    return cmocka_run_group_tests_name("agent/session", tests, NULL, NULL);
}
