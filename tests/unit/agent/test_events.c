#include "agent/events.h"

#include "base/limits.h"
#include "tests/unit/agent/fixture.h"

/* the events of one process, on top of the common fixture */
static struct events *events;

static void open_events(struct fixture *f)
{
    events = events_new(&(struct events_opts){.loop = f->loop,
                                              .pool = f->pool,
                                              .session = f->session,
                                              .journal = f->journal,
                                              .region = "global",
                                              .node_id = NODE_ID});
}

static int end(void **state)
{
    struct fixture *f = *state;

    events = events_free(events);
    remove_file(f->dir, "picket-events.mp");
    return fixture_teardown(state);
}

static void begin(struct fixture *f)
{
    start(f);
    open_events(f);
    events_registered(events);
}

/* as after kill -9: what is on the disk stays, the rest is gone */
static void restart_all(struct fixture *f)
{
    const char *address = fake_server_address(f->a);

    events = events_free(events);
    close_session(f);
    open_session(f, &address, 1);
    open_events(f);
    session_start(f->session);
    publish(f);
    settle(f);
    assert_int_equal(status(f).state, SESSION_REGISTERED);
    events_registered(events);
}

static void add(const char *message)
{
    struct strmap details = {0};

    strmap_set(&details, "driver", "docker");
    events_add(events, "Driver", message, &details);
    strmap_done(&details);
}

static size_t n_emits(const struct fixture *f)
{
    return fake_server_calls(f->a, "Node.EmitEvents");
}

/* all that the server has ever taken, in order */
static void assert_arrived(const struct fixture *f, const char *const *messages, size_t n)
{
    size_t got;
    const struct node_event *v = fake_server_events(f->a, &got);

    assert_int_equal(got, n);
    for (size_t i = 0; i < n; i++)
        assert_string_equal(v[i].message, messages[i]);
}
#define assert_messages(f, ...)                                                                    \
    assert_arrived((f), (const char *const[]){__VA_ARGS__},                                        \
                   ARRAY_LEN(((const char *const[]){__VA_ARGS__})))

/* --- the good case --- */

static void test_one_call_5_to_10_seconds_behind_the_last_one(void **state)
{
    struct fixture *f = *state;

    begin(f);
    add("one");
    pass(f, 4 * SEC);
    add("two");
    pass(f, 4900 * NSEC_PER_MSEC);
    assert_int_equal(n_emits(f), 0);
    pass(f, 5200 * NSEC_PER_MSEC);
    assert_int_equal(n_emits(f), 1);
    assert_messages(f, "one", "two");
    assert_int_equal(events_waiting(events), 0);
    pass(f, 300 * SEC);
    assert_int_equal(n_emits(f), 1);
    assert_int_equal(fake_server_calls(f->a, "Node.GetNode"), 0); /* nothing was in doubt */
}

static void test_never_later_than_30_seconds_behind_the_first_one(void **state)
{
    struct fixture *f = *state;

    begin(f);
    for (int i = 0; i < 9; i++) {
        add(i == 0 ? "first" : "more");
        pass(f, 4 * SEC);
        if (i < 7)
            assert_int_equal(n_emits(f), 0);
    }
    assert_int_equal(n_emits(f), 1);
}

static void test_what_is_sent(void **state)
{
    struct fixture *f = *state;
    size_t n;
    const struct node_event *v;

    fake_server_set_strict(f->a, true);
    begin(f);
    add("Failed to connect to docker daemon");
    events_add(events, "Cluster", "plain", NULL);
    pass(f, 11 * SEC);
    v = fake_server_events(f->a, &n);
    assert_int_equal(n, 2);
    assert_string_equal(v[0].subsystem, "Driver");
    assert_string_equal(strmap_get(&v[0].details, "driver"), "docker");
    assert_false(gotime_is_zero(v[0].timestamp));
    assert_false(gotime_equal(v[0].timestamp, v[1].timestamp));
    assert_int_equal(v[0].create_index, 0);
    assert_null(v[1].details.items);
    assert_token(f->a, "Node.EmitEvents", SECRET);
}

static void test_long_texts_are_cut_between_characters(void **state)
{
    struct fixture *f = *state;
    char text[3 * EVENT_TEXT_MAX + 1];
    struct strmap details = {0};
    size_t n;
    const struct node_event *v;

    for (size_t i = 0; i < EVENT_TEXT_MAX; i++)
        memcpy(text + 3 * i, "\xe2\x82\xac", 3);
    text[3 * EVENT_TEXT_MAX] = 0;
    begin(f);
    strmap_set(&details, "reason", text);
    events_add(events, "Fingerprint", text, &details);
    strmap_done(&details);
    pass(f, 11 * SEC);
    v = fake_server_events(f->a, &n);
    assert_int_equal(n, 1);
    assert_int_equal(strlen(v[0].message), EVENT_TEXT_MAX / 3 * 3);
    assert_true(str_utf8_valid(v[0].message, strlen(v[0].message)));
    assert_int_equal(strlen(strmap_get(&v[0].details, "reason")), EVENT_TEXT_MAX / 3 * 3);
}

static void test_more_than_a_node_keeps_are_left_out_from_the_front(void **state)
{
    struct fixture *f = *state;
    size_t n;
    const struct node_event *v;

    begin(f);
    for (int i = 0; i < 50; i++) {
        _cleanup_free_ char *text = xasprintf("event %d", i);

        add(text);
    }
    assert_int_equal(events_waiting(events), NODE_EVENTS_MAX + 1);
    pass(f, 11 * SEC);
    v = fake_server_events(f->a, &n);
    assert_int_equal(n, NODE_EVENTS_MAX + 1);
    assert_string_equal(v[0].message, "event 39");
    assert_string_equal(v[n - 1].message, "event 49");
}

/* --- no server --- */

static void test_kept_while_there_is_no_server(void **state)
{
    struct fixture *f = *state;

    begin(f);
    fake_server_stop(f->a);
    add("one");
    pass(f, 600 * SEC);
    add("two");
    fake_server_start(f->a);
    pass(f, 130 * SEC);
    assert_messages(f, "one", "two");
    assert_int_equal(events_waiting(events), 0);
}

static void test_nothing_is_sent_before_the_node_is_registered(void **state)
{
    struct fixture *f = *state;
    const char *address = fake_server_address(f->a);

    open_session(f, &address, 1);
    open_events(f);
    session_start(f->session);
    add("one");
    pass(f, 60 * SEC);
    assert_int_equal(n_emits(f), 0);
    publish(f);
    settle(f);
    events_registered(events);
    pass(f, 2 * SEC);
    assert_messages(f, "one");
}

static void test_a_server_that_answers_again_ends_the_wait(void **state)
{
    struct fixture *f = *state;

    begin(f);
    fake_server_fail(f->a, "Node.EmitEvents", "raft is busy", 6);
    add("one");
    pass(f, 200 * SEC);
    fake_server_fail(f->a, NULL, "", 0);
    events_kick(events);
    pass(f, 2 * SEC);
    assert_messages(f, "one");
}

static void test_errors_are_tried_again_ever_more_seldom(void **state)
{
    struct fixture *f = *state;

    begin(f);
    fake_server_fail(f->a, "Node.EmitEvents", "Internal error", 1000);
    add("one");
    pass(f, 3600 * SEC);
    assert_in_range(n_emits(f), 25, 70);
    assert_int_equal(events_waiting(events), 1);
}

static void test_node_that_is_not_known_any_more_registers_again(void **state)
{
    struct fixture *f = *state;

    begin(f);
    fake_server_forget(f->a);
    add("one");
    pass(f, 11 * SEC);
    assert_int_equal(f->unknown, 1);
    events_registered(events);
    pass(f, 11 * SEC);
    assert_messages(f, "one");
}

/* --- never twice --- */

static void test_an_answer_that_was_lost_makes_it_look_first(void **state)
{
    struct fixture *f = *state;

    begin(f);
    fake_server_lose_events(f->a, 1);
    add("one");
    add("two");
    pass(f, 11 * SEC);
    assert_int_equal(n_emits(f), 1);
    add("three"); /* behind those that are under way */
    pass(f, 60 * SEC);
    assert_int_equal(n_emits(f), 2);
    assert_int_equal(fake_server_calls(f->a, "Node.GetNode"), 1);
    assert_messages(f, "one", "two", "three");
}

static void test_a_lost_connection_makes_it_look_first(void **state)
{
    struct fixture *f = *state;

    begin(f);
    fake_server_lose_events(f->a, 1);
    add("one");
    pass(f, 11 * SEC);
    fake_server_cut(f->a);
    pass(f, 60 * SEC);
    assert_int_equal(n_emits(f), 1);
    assert_int_equal(events_waiting(events), 0);
    assert_messages(f, "one");
}

static void test_a_batch_longer_than_a_node_keeps_is_known_by_its_last_one(void **state)
{
    struct fixture *f = *state;
    size_t n;

    begin(f);
    fake_server_lose_events(f->a, 1);
    for (int i = 0; i < NODE_EVENTS_MAX + 1; i++) {
        _cleanup_free_ char *text = xasprintf("event %d", i);

        add(text);
    }
    pass(f, 120 * SEC);
    (void)fake_server_events(f->a, &n);
    assert_int_equal(n, NODE_EVENTS_MAX + 1);
    assert_int_equal(events_waiting(events), 0);
}

static void test_overflow_while_a_batch_is_under_way(void **state)
{
    struct fixture *f = *state;
    size_t n;
    const struct node_event *v;

    begin(f);
    add("first");
    pass(f, 11 * SEC);
    fake_server_mute(f->a, true);
    for (int i = 0; i < 3; i++)
        add("under way");
    pass(f, 11 * SEC);
    for (int i = 0; i < NODE_EVENTS_MAX; i++)
        add("late");
    assert_int_equal(events_waiting(events), NODE_EVENTS_MAX + 1);
    fake_server_mute(f->a, false);
    fake_server_cut(f->a);
    pass(f, 120 * SEC);
    v = fake_server_events(f->a, &n);
    assert_int_equal(n, 1 + NODE_EVENTS_MAX + 1);
    assert_string_equal(v[1].message, "under way");
    for (size_t i = 2; i < n; i++)
        assert_string_equal(v[i].message, "late");
}

static void test_restart_with_events_that_were_never_sent(void **state)
{
    struct fixture *f = *state;

    begin(f);
    add("one");
    add("two");
    restart_all(f);
    assert_int_equal(events_waiting(events), 2);
    add("three");
    pass(f, 40 * SEC);
    assert_messages(f, "one", "two", "three");
    restart_all(f);
    pass(f, 60 * SEC);
    assert_messages(f, "one", "two", "three");
}

static void test_restart_while_an_answer_is_awaited(void **state)
{
    struct fixture *f = *state;

    begin(f);
    fake_server_lose_events(f->a, 1);
    add("one");
    add("two");
    pass(f, 11 * SEC);
    assert_messages(f, "one", "two");
    add("three");
    restart_all(f);
    assert_int_equal(events_waiting(events), 3);
    pass(f, 40 * SEC);
    assert_messages(f, "one", "two", "three");
}

static void test_what_an_earlier_process_left_does_not_wait_again(void **state)
{
    struct fixture *f = *state;

    begin(f);
    fake_server_stop(f->a);
    add("one");
    pass(f, 60 * SEC);
    fake_server_start(f->a);
    restart_all(f);
    pass(f, 2 * SEC);
    assert_messages(f, "one");
}

static void test_garbage_for_an_answer_loses_nothing(void **state)
{
    struct fixture *f = *state;

    begin(f);
    fake_server_fail(f->a, "Node.EmitEvents", "leadership lost while committing log", 1);
    add("one");
    pass(f, 10500 * NSEC_PER_MSEC);
    assert_int_equal(n_emits(f), 1);
    fake_server_garbage(f->a, true);
    pass(f, 30 * SEC);
    assert_int_equal(events_waiting(events), 1);
    fake_server_garbage(f->a, false);
    pass(f, 150 * SEC);
    assert_messages(f, "one");
}

#define EVENTS_TEST(fn) cmocka_unit_test_setup_teardown(fn, fixture_setup, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        EVENTS_TEST(test_one_call_5_to_10_seconds_behind_the_last_one),
        EVENTS_TEST(test_never_later_than_30_seconds_behind_the_first_one),
        EVENTS_TEST(test_what_is_sent),
        EVENTS_TEST(test_long_texts_are_cut_between_characters),
        EVENTS_TEST(test_more_than_a_node_keeps_are_left_out_from_the_front),
        EVENTS_TEST(test_kept_while_there_is_no_server),
        EVENTS_TEST(test_nothing_is_sent_before_the_node_is_registered),
        EVENTS_TEST(test_a_server_that_answers_again_ends_the_wait),
        EVENTS_TEST(test_errors_are_tried_again_ever_more_seldom),
        EVENTS_TEST(test_node_that_is_not_known_any_more_registers_again),
        EVENTS_TEST(test_an_answer_that_was_lost_makes_it_look_first),
        EVENTS_TEST(test_a_lost_connection_makes_it_look_first),
        EVENTS_TEST(test_a_batch_longer_than_a_node_keeps_is_known_by_its_last_one),
        EVENTS_TEST(test_overflow_while_a_batch_is_under_way),
        EVENTS_TEST(test_restart_with_events_that_were_never_sent),
        EVENTS_TEST(test_restart_while_an_answer_is_awaited),
        EVENTS_TEST(test_what_an_earlier_process_left_does_not_wait_again),
        EVENTS_TEST(test_garbage_for_an_answer_loses_nothing),
    };

    return cmocka_run_group_tests_name("agent/events", tests, NULL, NULL);
}
