#include "base/file.h"
#include "tests/unit/agent/fixture.h"

#define ALLOC_1 "aaaaaaaa-0000-0000-0000-000000000001"
#define ALLOC_2 "aaaaaaaa-0000-0000-0000-000000000002"

static size_t n_updates(const struct fixture *f)
{
    return fake_server_calls(f->a, "Node.UpdateAlloc");
}

static size_t n_pulls(const struct fixture *f)
{
    return fake_server_calls(f->a, "Alloc.GetAllocs");
}

static size_t n_polls(const struct fixture *f)
{
    return fake_server_calls(f->a, "Node.GetClientAllocs");
}

static void begin(struct fixture *f)
{
    const char *address = fake_server_address(f->a);

    open_session(f, &address, 1);
    start_allocs(f);
    session_start(f->session);
    publish(f);
    settle(f);
    assert_int_equal(status(f).state, SESSION_REGISTERED);
}

static void begin_again(struct fixture *f)
{
    close_session(f);
    fake_server_reset_calls(f->a);
    begin(f);
}

static void test_polls_only_after_the_registration_and_then_waits(void **state)
{
    struct fixture *f = *state;
    struct node_specific_request r = {0};
    const char *address = fake_server_address(f->a);

    open_session(f, &address, 1);
    start_allocs(f);
    session_start(f->session);
    settle(f);
    assert_int_equal(n_polls(f), 0);
    publish(f);
    settle(f);
    assert_int_equal(n_polls(f), 2); /* the first is answered at once, the second waits */
    assert_true(fake_server_last(f->a, "Node.GetClientAllocs", &desc_node_specific_request, &r));
    assert_string_equal(r.node_id, NODE_ID);
    assert_string_equal(r.secret_id, SECRET);
    assert_string_equal(r.q.auth_token, SECRET);
    assert_true(r.q.min_query_index > 0);
    assert_true(r.q.allow_stale);
    ops_clear(&desc_node_specific_request, &r);
    pass(f, 60 * SEC);
    assert_int_equal(n_polls(f), 2);
    assert_int_equal(allocs_count(f->allocs), 0);
}

static void test_allocation_is_failed_with_a_reason_for_each_task(void **state)
{
    struct fixture *f = *state;
    struct alloc_update_request r = {0};

    begin(f);
    fake_server_put_alloc(f->a, ALLOC_1, "run", "pending");
    settle(f);
    assert_string_equal(fake_server_alloc_status(f->a, ALLOC_1), "failed");
    assert_true(fake_server_last(f->a, "Node.UpdateAlloc", &desc_alloc_update_request, &r));
    assert_int_equal(r.n_alloc, 1);
    assert_string_equal(r.alloc[0].id, ALLOC_1);
    assert_string_equal(r.alloc[0].node_id, NODE_ID); /* what newer servers compare */
    assert_string_equal(r.alloc[0].client_description, "Failed tasks");
    assert_int_equal(r.alloc[0].n_task_states, 2);
    for (size_t i = 0; i < 2; i++) {
        const struct task_state *t = &r.alloc[0].task_states[i];

        assert_true(str_eq(t->key, "web") || str_eq(t->key, "log"));
        assert_string_equal(t->state, "dead");
        assert_true(t->failed);
        assert_int_equal(t->n_events, 1);
        assert_string_equal(t->events[0].type, "Driver Failure");
        assert_non_null(strstr(t->events[0].display_message, "cannot run tasks yet"));
        assert_true(t->events[0].time > 0);
        assert_true(t->events[0].fails_task);
    }
    ops_clear(&desc_alloc_update_request, &r);
    assert_int_equal(allocs_count(f->allocs), 1);
}

static void test_allocation_is_failed_once(void **state)
{
    struct fixture *f = *state;

    begin(f);
    fake_server_put_alloc(f->a, ALLOC_1, "run", "pending");
    settle(f);
    fake_server_put_alloc(f->a, ALLOC_2, "run", "pending"); /* the list has both now */
    settle(f);
    pass(f, 700 * SEC);
    assert_int_equal(n_updates(f), 2);
    assert_int_equal(n_pulls(f), 2);
}

static void test_verdict_is_remembered_over_a_restart(void **state)
{
    struct fixture *f = *state;

    begin(f);
    fake_server_put_alloc(f->a, ALLOC_1, "run", "pending");
    settle(f);
    begin_again(f);
    pass(f, 60 * SEC);
    assert_int_equal(n_pulls(f), 0);
    assert_int_equal(n_updates(f), 0);
    assert_int_equal(allocs_count(f->allocs), 1);
}

static void test_collected_allocation_is_forgotten_on_disk_too(void **state)
{
    struct fixture *f = *state;
    size_t n;

    begin(f);
    fake_server_put_alloc(f->a, ALLOC_1, "run", "pending");
    settle(f);
    (void)journal_allocs(f->journal, &n);
    assert_int_equal(n, 1);
    fake_server_remove_alloc(f->a, ALLOC_1);
    settle(f);
    begin_again(f);
    (void)journal_allocs(f->journal, &n);
    assert_int_equal(n, 0);
}

/* by picket-probe, and only what was failed here and has left the list */
static void test_folder_of_a_collected_one_is_deleted(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *probe = xasprintf("%s/picket-probe", f->dir),
                        *calls = xasprintf("%s/calls", f->dir), *said = NULL, *want = NULL,
                        *script = xasprintf("#!/bin/sh\n[ \"$1\" = -make-folder ] && exit\n"
                                            "echo \"$@\" >>'%s'\necho '{}'\n",
                                            calls);

    assert_int_equal(file_write_atomic(probe, script, strlen(script), 0700, NULL), 0);
    begin(f);
    fake_server_put_alloc(f->a, ALLOC_1, "run", "pending");
    fake_server_put_alloc(f->a, ALLOC_2, "run", "pending");
    settle(f);
    fake_server_remove_alloc(f->a, ALLOC_1);
    begin_again(f);
    for (int i = 0; i < 1000 && file_read(calls, 4096, &said, NULL) < 0; i++)
        settle(f);
    want = xasprintf("-delete %s/" ALLOC_1 " -below %s\n", f->dir, f->dir);
    assert_string_equal(str_or_empty(said), want);
    (void)unlink(probe);
    (void)unlink(calls);
}

static void test_newer_version_of_a_failed_one_is_looked_at_again(void **state)
{
    struct fixture *f = *state;

    begin(f);
    fake_server_put_alloc(f->a, ALLOC_1, "run", "pending");
    settle(f);
    fake_server_put_alloc(f->a, ALLOC_1, "stop", "failed"); /* nothing to do */
    settle(f);
    assert_int_equal(n_pulls(f), 2);
    assert_int_equal(n_updates(f), 1);
    /* after max_client_disconnect servers ask by "unknown" what became of it */
    fake_server_put_alloc(f->a, ALLOC_1, "run", "unknown");
    settle(f);
    assert_int_equal(n_updates(f), 2);
    assert_string_equal(fake_server_alloc_status(f->a, ALLOC_1), "failed");
}

static void test_finished_allocations_are_left_alone(void **state)
{
    static const char *const finished[] = {"complete", "failed", "lost"};
    struct fixture *f = *state;

    for (size_t i = 0; i < ARRAY_LEN(finished); i++) {
        _cleanup_free_ char *id = xasprintf("bbbbbbbb-0000-0000-0000-00000000000%zu", i);

        fake_server_put_alloc(f->a, id, "stop", finished[i]);
    }
    begin(f);
    pass(f, 60 * SEC);
    assert_int_equal(n_pulls(f), 1);
    assert_int_equal(n_updates(f), 0);
}

static void test_many_are_pulled_in_batches(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 40; i++) {
        _cleanup_free_ char *id = xasprintf("cccccccc-0000-0000-0000-%012d", i);

        fake_server_put_alloc(f->a, id, "run", "pending");
    }
    begin(f);
    settle(f);
    assert_int_equal(n_pulls(f), 3);
    assert_int_equal(n_updates(f), 3);
    assert_string_equal(fake_server_alloc_status(f->a, "cccccccc-0000-0000-0000-000000000039"),
                        "failed");
}

static void test_verdict_that_cannot_be_sent_is_kept_and_sent_later(void **state)
{
    struct fixture *f = *state;

    begin(f);
    fake_server_fail(f->a, "Node.UpdateAlloc", "some trouble", 2);
    fake_server_put_alloc(f->a, ALLOC_1, "run", "pending");
    settle(f);
    assert_string_equal(fake_server_alloc_status(f->a, ALLOC_1), "pending");
    pass(f, 25 * SEC);
    assert_string_equal(fake_server_alloc_status(f->a, ALLOC_1), "failed");
    assert_int_equal(n_pulls(f), 1);
}

static void test_update_refused_while_down_comes_after_a_heartbeat(void **state)
{
    struct fixture *f = *state;
    size_t beats;

    begin(f);
    beats = fake_server_calls(f->a, "Node.UpdateStatus");
    fake_server_set_node_status(f->a, "down");
    fake_server_put_alloc(f->a, ALLOC_1, "run", "pending");
    pass(f, 4 * SEC);
    assert_true(fake_server_calls(f->a, "Node.UpdateStatus") > beats);
    assert_string_equal(fake_server_alloc_status(f->a, ALLOC_1), "failed");
    assert_string_equal(fake_server_node_status(f->a), "ready");
}

static void test_remembered_verdicts_can_be_reported_again(void **state)
{
    struct fixture *f = *state;
    struct alloc_update_request r = {0};

    begin(f);
    allocs_report_again(f->allocs); /* none: nothing */
    settle(f);
    assert_int_equal(n_updates(f), 0);
    fake_server_put_alloc(f->a, ALLOC_1, "run", "pending");
    settle(f);
    begin_again(f);
    allocs_report_again(f->allocs);
    allocs_report_again(f->allocs);
    settle(f);
    assert_int_equal(n_updates(f), 1);
    assert_true(fake_server_last(f->a, "Node.UpdateAlloc", &desc_alloc_update_request, &r));
    assert_int_equal(r.alloc[0].n_task_states, 2); /* servers replace the states by what is sent */
    ops_clear(&desc_alloc_update_request, &r);
    fake_server_put_alloc(f->a, ALLOC_2, "run", "pending"); /* polling went on */
    settle(f);
    assert_string_equal(fake_server_alloc_status(f->a, ALLOC_2), "failed");
}

static void test_short_loss_of_the_connection_costs_nothing(void **state)
{
    struct fixture *f = *state;

    begin(f);
    fake_server_cut(f->a);
    pass(f, 2 * SEC);
    assert_true(status(f).in_contact);
    fake_server_put_alloc(f->a, ALLOC_1, "run", "pending");
    settle(f);
    assert_string_equal(fake_server_alloc_status(f->a, ALLOC_1), "failed");
}

static void test_return_of_the_server_ends_all_back_offs(void **state)
{
    struct fixture *f = *state;

    fake_server_set_ttl(f->a, 200 * (int64_t)SEC);
    begin(f);
    fake_server_stop(f->a);
    pass(f, 40 * SEC); /* far enough into the poll's 30 to 60 s */
    assert_false(status(f).in_contact);
    fake_server_put_alloc(f->a, ALLOC_1, "run", "pending");
    fake_server_start(f->a);
    session_beat_soon(f->session, 0);
    pass(f, 2 * SEC);
    assert_string_equal(fake_server_alloc_status(f->a, ALLOC_1), "failed");
}

static void test_poll_that_outlives_its_time_is_no_lost_server(void **state)
{
    struct fixture *f = *state;

    begin(f); /* the fake blocks for ever: as a server does that was asked anew after a cut */
    pass(f, 1000 * SEC);
    assert_in_range(n_polls(f), 4, 6);
    assert_int_equal(f->contacts, 1);
    assert_string_equal(status(f).error, "");
}

static void test_failing_poll_backs_off(void **state)
{
    struct fixture *f = *state;

    fake_server_fail(f->a, "Node.GetClientAllocs", "some trouble", 1000);
    fake_server_set_ttl(f->a, 3600 * (int64_t)SEC);
    begin(f);
    pass(f, 600 * SEC);
    assert_in_range(n_polls(f), 10, 22);
}

static void test_poll_by_another_secret_registers_again(void **state)
{
    struct fixture *f = *state;

    fake_server_set_ttl(f->a, 3600 * (int64_t)SEC);
    fake_server_fail(f->a, "Node.GetClientAllocs", "node secret ID does not match", 1);
    begin(f);
    settle(f);
    assert_int_equal(fake_server_calls(f->a, "Node.Register"), 2);
    pass(f, 70 * SEC);
    assert_true(n_polls(f) >= 3);
}

static void test_garbage_lists_do_no_harm(void **state)
{
    struct fixture *f = *state;

    begin(f);
    fake_server_garbage(f->a, true);
    fake_server_put_alloc(f->a, ALLOC_1, "run", "pending"); /* wakes the poll */
    pass(f, 120 * SEC);
    fake_server_garbage(f->a, false);
    pass(f, 70 * SEC);
    assert_string_equal(fake_server_alloc_status(f->a, ALLOC_1), "failed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_polls_only_after_the_registration_and_then_waits),
        TEST(test_allocation_is_failed_with_a_reason_for_each_task),
        TEST(test_allocation_is_failed_once),
        TEST(test_verdict_is_remembered_over_a_restart),
        TEST(test_collected_allocation_is_forgotten_on_disk_too),
        TEST(test_folder_of_a_collected_one_is_deleted),
        TEST(test_newer_version_of_a_failed_one_is_looked_at_again),
        TEST(test_finished_allocations_are_left_alone),
        TEST(test_many_are_pulled_in_batches),
        TEST(test_verdict_that_cannot_be_sent_is_kept_and_sent_later),
        TEST(test_update_refused_while_down_comes_after_a_heartbeat),
        TEST(test_remembered_verdicts_can_be_reported_again),
        TEST(test_short_loss_of_the_connection_costs_nothing),
        TEST(test_return_of_the_server_ends_all_back_offs),
        TEST(test_poll_that_outlives_its_time_is_no_lost_server),
        TEST(test_failing_poll_backs_off),
        TEST(test_poll_by_another_secret_registers_again),
        TEST(test_garbage_lists_do_no_harm),
    };

    loop_block_signals(); /* there are children */
    return cmocka_run_group_tests_name("agent/allocs", tests, NULL, NULL);
}
