/* What those who wait cost: memory of one, the loop's time when many are woken; and that a peer
 * that goes leaves nothing behind. */
#include "tests/support/http_raw.h"

#include <malloc.h>
#include <stdio.h>

#include "model/rpc_types.h"
#include "tests/support/served.h"

enum { WAITERS = 200, WAITER_BYTES = 1024 };

#define SEC NSEC_PER_SEC

static int setup(void **state)
{
    struct served *s = xnew0(struct served);

    served_init(s);
    s->h->conf.server.min_heartbeat_ttl = 36000 * (int64_t)SEC;
    server_reload(s->h->server);
    harness_ready(s->h, 1);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    served_done(*state);
    free(*state);
    return 0;
}

/* bytes in use; always 0 under sanitizers, where nothing is measured */
static size_t heap(void)
{
    return mallinfo2().uordblks;
}

/* as an agent asks, with its secret */
static void call_wait(struct served *s, int fd, uint32_t stream, bool opens, bool list)
{
    char id[UUID_TEXT_LEN + 1], secret[UUID_TEXT_LEN + 1], ns[] = "default";
    struct query_options o = {.region = s->h->conf.region,
                              .namespace_ = ns,
                              .min_query_index = 1000,
                              .auth_token = secret,
                              .allow_stale = true};
    struct node_specific_request one = {.node_id = id, .secret_id = secret, .q = o};
    struct node_list_request all = {.q = o};

    make_node_id(1, id);
    make_node_secret(1, secret);
    if (list)
        served_rpc_call(s, fd, stream, opens, 7, "Node.List", &desc_node_list_request, &all);
    else
        served_rpc_call(s, fd, stream, opens, 7, "Node.GetClientAllocs",
                        &desc_node_specific_request, &one);
}

static void call_ping(struct served *s, int fd, uint32_t stream)
{
    static const struct node_specific_request none;

    served_rpc_call(s, fd, stream, true, 1, "Status.Ping", &desc_node_specific_request, &none);
}

static size_t n_calls(const struct served *s)
{
    size_t n = 0;

    list_for_each (c, &s->h->server->calls, struct call, link)
        n++;
    return n;
}

/* throws away what came */
static void drain(int fd)
{
    _cleanup_buf_ struct buf got = BUF_INIT(64 * MIB);

    (void)listen_to(fd, &got);
}

static void assert_small(const char *what, size_t before, size_t after)
{
    size_t each = after > before ? (after - before) / WAITERS : 0;

    print_message("%s: %zu bytes\n", what, each);
    if (each > WAITER_BYTES)
        fail_msg("%s takes %zu bytes", what, each);
}

static void test_memory_of_a_reader_over_http(void **state)
{
    static const char *const targets[] = {
        "/v1/nodes?index=1000&wait=5m&prefix=0000&namespace=default",
        "/v1/node/00000001-0000-4000-8000-000000000001?index=1000&stale=&wait=300000ms"};
    struct served *s = *state;

    for (size_t k = 0; k < ARRAY_LEN(targets); k++) {
        _cleanup_free_ char *ask =
            xasprintf("GET %s HTTP/1.1\r\nHost: 127.0.0.1:4646\r\nUser-Agent: "
                      "Go-http-client/1.1\r\nAccept-Encoding: gzip\r\n\r\n",
                      targets[k]);
        int fds[WAITERS];
        size_t idle, timers;

        for (size_t i = 0; i < WAITERS; i++) {
            fds[i] = dial(s->http_address);
            say(s->h->loop, fds[i], "GET /v1/status/leader HTTP/1.1\r\nHost: h\r\n\r\n");
            harness_settle(s->h);
            drain(fds[i]);
        }
        idle = heap();
        timers = loop_timers(s->h->loop);
        for (size_t i = 0; i < WAITERS; i++) {
            say(s->h->loop, fds[i], ask);
            harness_settle(s->h);
        }
        assert_small(targets[k], idle, heap());
        for (size_t i = 0; i < WAITERS; i++)
            (void)fd_close(fds[i]);
        harness_settle(s->h); /* all are gone at once, with their timers */
        harness_settle(s->h);
        assert_int_equal(loop_timers(s->h->loop), timers - WAITERS);
    }
}

static void test_memory_of_a_call_that_waits(void **state)
{
    struct served *s = *state;

    for (int list = 0; list < 2; list++) {
        int fds[WAITERS];
        size_t idle;

        for (size_t i = 0; i < WAITERS; i++) {
            fds[i] = served_dial_rpc(s);
            call_ping(s, fds[i], 1);
            harness_settle(s->h);
            drain(fds[i]);
        }
        idle = heap();
        for (size_t i = 0; i < WAITERS; i++) {
            call_wait(s, fds[i], 1, false, list);
            harness_settle(s->h);
        }
        assert_int_equal(n_calls(s), WAITERS);
        assert_small(list ? "Node.List" : "Node.GetClientAllocs", idle, heap());
        for (size_t i = 0; i < WAITERS; i++)
            (void)fd_close(fds[i]);
        harness_settle(s->h);
        harness_settle(s->h);
        assert_int_equal(n_calls(s), 0);
    }
}

/* a session with many streams: with all that the stream itself takes, and its place in the tables
 */
static void test_memory_of_a_stream_that_waits(void **state)
{
    struct served *s = *state;
    int fd = served_dial_rpc(s);
    size_t idle;

    call_ping(s, fd, 1);
    harness_settle(s->h);
    idle = heap();
    for (uint32_t i = 0; i < WAITERS; i++) {
        call_wait(s, fd, 3 + 2 * i, true, false);
        harness_settle(s->h);
        drain(fd);
    }
    assert_int_equal(n_calls(s), WAITERS);
    assert_small("Node.GetClientAllocs and its stream", idle, heap());
    (void)fd_close(fd);
    harness_settle(s->h);
    assert_int_equal(n_calls(s), 0);
}

static void test_a_stream_that_is_reset_frees_its_call(void **state)
{
    struct served *s = *state;
    _cleanup_close_ int fd = served_dial_rpc(s);
    size_t timers;

    call_wait(s, fd, 1, true, true);
    call_wait(s, fd, 3, true, true);
    call_wait(s, fd, 5, true, false);
    harness_settle(s->h);
    assert_int_equal(n_calls(s), 3);
    timers = loop_timers(s->h->loop);
    served_rpc_frame(s, fd, SERVED_WINDOW, SERVED_RST, 3);
    harness_settle(s->h);
    assert_int_equal(n_calls(s), 2);
    served_rpc_frame(s, fd, SERVED_WINDOW, SERVED_FIN, 5); /* it still wants the answer */
    harness_settle(s->h);
    assert_int_equal(n_calls(s), 2);
    assert_int_equal(loop_timers(s->h->loop), timers - 1);
}

/* a call behind one that waits, on its stream: afterwards; on another stream: at once */
static void test_calls_behind_one_that_waits(void **state)
{
    struct served *s = *state;
    _cleanup_close_ int fd = served_dial_rpc(s);
    _cleanup_buf_ struct buf got = BUF_INIT(MIB);
    static const struct node_specific_request none;
    size_t before;

    call_wait(s, fd, 1, true, true);
    served_rpc_call(s, fd, 1, false, 8, "Status.Ping", &desc_node_specific_request, &none);
    call_ping(s, fd, 3);
    harness_settle(s->h);
    (void)listen_to(fd, &got);
    assert_non_null(memmem(got.p, got.len, "Status.Ping", 11));
    before = got.len;
    harness_advance(s->h, 320 * SEC);
    (void)listen_to(fd, &got);
    assert_non_null(memmem(got.p + before, got.len - before, "Node.List", 9));
    assert_non_null(memmem(got.p + before, got.len - before, "Status.Ping", 11));
}

/* One change wakes many over HTTP and RPC: a timer that is due meanwhile, as a beat's deadline is,
 * fires before the last of them has its answer; and all get theirs. */
struct beat {
    struct timer t;
    struct served *s;
    size_t left; /* calls that waited when it fired */
    bool fired;
};

static void on_beat(void *arg)
{
    struct beat *b = arg;

    b->fired = true;
    b->left = n_calls(b->s);
}

static void test_waking_many_leaves_turns_to_others(void **state)
{
    enum { MANY = 1000, STREAMS = 200 };
    struct served *s = *state;
    struct beat b = {.s = s};
    int fds[MANY / STREAMS];

    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        fds[i] = served_dial_rpc(s);
        for (uint32_t k = 0; k < STREAMS; k++) {
            char id[UUID_TEXT_LEN + 1];
            struct node_specific_request one = {
                .node_id = id, .q = {.region = s->h->conf.region, .min_query_index = 2}
            };
            struct node_list_request all = {.q = one.q};

            make_node_id(1, id);
            if (k % 2)
                served_rpc_call(s, fds[i], 1 + 2 * k, true, k, "Node.GetNode",
                                &desc_node_specific_request, &one);
            else
                served_rpc_call(s, fds[i], 1 + 2 * k, true, k, "Node.List", &desc_node_list_request,
                                &all);
            drain(fds[i]);
        }
    }
    harness_settle(s->h);
    assert_int_equal(n_calls(s), MANY);
    timer_init(s->h->loop, &b.t, "beat", on_beat, &b);
    {
        _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;

        fake_disk_auto(s->h->disk, false);
        harness_status(s->h, 1, NODE_STATUS_DOWN, NULL, &a);
        assert_int_equal(n_calls(s), MANY + 1);
        fake_disk_auto(s->h->disk, true);
        timer_set(&b.t, 0); /* due from now on */
        for (int i = 0; i < 10000 && n_calls(s) > 0; i++) {
            assert_int_equal(loop_turn(s->h->loop, 0), 0);
            (void)loop_run_due(s->h->loop);
            for (size_t k = 0; k < ARRAY_LEN(fds); k++)
                drain(fds[k]);
        }
    }
    assert_true(b.fired);
    assert_int_equal(n_calls(s), 0);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        (void)fd_close(fds[i]);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_memory_of_a_reader_over_http),  TEST(test_memory_of_a_call_that_waits),
        TEST(test_memory_of_a_stream_that_waits), TEST(test_a_stream_that_is_reset_frees_its_call),
        TEST(test_calls_behind_one_that_waits),   TEST(test_waking_many_leaves_turns_to_others),
    };

    return cmocka_run_group_tests_name("server/waiters", tests, NULL, NULL);
}
