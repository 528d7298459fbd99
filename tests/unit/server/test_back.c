/* What agents are asked, over the server's real sockets: agents that do as they are told on the one
 * side, callers over RPC and HTTP on the other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "model/rpc_client.h"
#include "server/back.h"
#include "tests/support/http_raw.h"
#include "tests/support/server_harness.h"
#include "wire/conn.h"
#include "wire/rpc_stream.h"

#define UNKNOWN "11111111-2222-4333-8444-555555555555"

struct agent {
    struct harness *h;
    struct conn *dialing;
    struct rpc_session *session;
    bool connected, bound;
    /* requests */
    char method[100];
    struct buf body;
    const char *fail_with;
    const void *reply;
    size_t n_reply;
    bool hold;
    struct rpc_request *held;
    size_t n_calls, n_gone;
    /* the stream */
    struct rpc_stream *stream;
    struct buf request;
    size_t n_objects, n_ends;
    const char *refuse;
};

struct bed {
    struct harness *h;
    struct agent a;
    char id[UUID_TEXT_LEN + 1];
};

static bool has(const struct buf *b, const char *text)
{
    return b->len > 0 && memmem(b->p, b->len, text, strlen(text));
}

/* --- agents --- */

static void on_gone(void *arg, struct rpc_request *q)
{
    struct agent *a = arg;

    a->n_gone++;
    a->held = NULL;
    rpc_drop(q);
}

static void on_request(void *arg, struct rpc_request *q)
{
    struct agent *a = arg;

    a->n_calls++;
    (void)snprintf(a->method, sizeof(a->method), "%s", q->method);
    buf_reset(&a->body);
    buf_add(&a->body, q->body, q->body_len);
    if (a->hold) {
        a->held = q;
        q->arg = a;
        q->on_gone = on_gone;
    } else if (a->fail_with) {
        rpc_fail(q, a->fail_with);
    } else {
        rpc_reply(q, a->reply, a->n_reply);
    }
}

static void on_object(void *arg, const uint8_t *p, size_t n)
{
    struct agent *a = arg;

    a->n_objects++;
    if (a->n_objects == 1)
        buf_add(&a->request, p, n);
}

static void on_end(void *arg, const struct err *e)
{
    struct agent *a = arg;

    (void)e;
    a->n_ends++;
    a->stream = NULL;
}

static void on_stream(void *arg, struct rpc_stream *s, const char *method)
{
    static const struct rpc_stream_user user = {.on_object = on_object, .on_end = on_end};
    struct agent *a = arg;

    assert_string_equal(method, "Agent.Monitor");
    if (a->refuse) {
        rpc_stream_refuse(s, a->refuse);
        return;
    }
    a->stream = s;
    a->n_objects = a->n_ends = 0;
    buf_reset(&a->request);
    rpc_stream_accept(s, &user, a);
}

static void on_connected(void *arg)
{
    ((struct agent *)arg)->connected = true;
}

static void on_dial_closed(void *arg, const struct err *e)
{
    (void)arg;
    fail_msg("%s", e->text);
}

static void on_bound(void *arg, enum rpc_result how, const char *text, const uint8_t *body,
                     size_t n)
{
    struct agent *a = arg;

    (void)body;
    (void)n;
    if (how != RPC_OK)
        fail_msg("%s", text);
    a->bound = true;
}

static void agent_dial(struct harness *h, struct agent *a)
{
    static const struct conn_user user = {.on_connected = on_connected,
                                          .on_closed = on_dial_closed};
    struct rpc_session_opts o = {.handler = on_request,
                                 .handler_arg = a,
                                 .stream_handler = on_stream,
                                 .stream_arg = a,
                                 .client = true};
    struct err e = {0};

    *a = (struct agent){.h = h, .body = BUF_INIT(MIB), .request = BUF_INIT(MIB)};
    a->reply = "\x80";
    a->n_reply = 1;
    assert_int_equal(
        conn_connect(h->loop, h->server->rpc_advertise, NSEC_PER_SEC, &user, a, &a->dialing, &e),
        0);
    turn_until(h->loop, a->connected);
    a->session = rpc_session_new(steal_ptr(&a->dialing), &o);
}

/* the server learns whose connection it is */
static void agent_bind(struct agent *a, uint64_t n)
{
    _cleanup_buf_ struct buf b = BUF_INIT(MIB);
    struct node_specific_request q = {0};
    char id[UUID_TEXT_LEN + 1], secret[UUID_TEXT_LEN + 1];
    static char region[] = "global";

    make_node_id(n, id);
    make_node_secret(n, secret);
    q.node_id = id;
    q.secret_id = secret;
    q.q.region = region;
    mp_encode(&b, &desc_node_specific_request, &q);
    (void)rpc_call(a->session, "Node.GetClientAllocs", b.p, b.len, 0, on_bound, a);
    turn_until(a->h->loop, a->bound);
}

static void agent_leave(struct agent *a)
{
    size_t left;

    if (!a->session)
        return;
    left = a->h->server->rpc ? rpc_listener_sessions(a->h->server->rpc) : 0;
    rpc_session_close(a->session);
    a->session = rpc_session_unref(a->session);
    if (left > 0)
        turn_until(a->h->loop, rpc_listener_sessions(a->h->server->rpc) == left - 1);
    turn_some(a->h->loop, 3);
    if (a->held)
        rpc_drop(steal_ptr(&a->held));
}

static void agent_done(struct agent *a)
{
    agent_leave(a);
    buf_done(&a->body);
    buf_done(&a->request);
}

static int setup(void **state)
{
    struct bed *b = xnew0(struct bed);
    struct err e = {0};

    b->h = harness_new();
    free(b->h->server->rpc_advertise);
    free(b->h->server->http_advertise);
    b->h->server->rpc_advertise = xstrdup("127.0.0.1:0");
    b->h->server->http_advertise = xstrdup("127.0.0.1:0");
    if (server_listen(b->h->server, "127.0.0.1:0", "127.0.0.1:0", &e) < 0)
        fail_msg("%s", e.text);
    harness_ready(b->h, 1);
    harness_ready(b->h, 2); /* known, never connected */
    make_node_id(1, b->id);
    agent_dial(b->h, &b->a);
    agent_bind(&b->a, 1);
    *state = b;
    return 0;
}

static int teardown(void **state)
{
    struct bed *b = *state;

    agent_done(&b->a);
    conn_drop_closing(b->h->loop);
    b->h = harness_free(b->h);
    free(b);
    return 0;
}

/* --- over RPC --- */

/* {"NodeID", "Region", "Extra": 7}: a field that we do not know */
static void put_request(struct buf *b, const char *node_id)
{
    buf_reset(b);
    mp_map(b, 3);
    mp_str(b, "NodeID");
    mp_str(b, node_id);
    mp_str(b, "Region");
    mp_str(b, "global");
    mp_str(b, "Extra");
    mp_u64(b, 7);
}

static void ask_rpc(struct bed *b, const char *method, const char *node_id, struct rpc_answer *a)
{
    _cleanup_buf_ struct buf body = BUF_INIT(MIB);

    put_request(&body, node_id);
    harness_call_raw(b->h, method, body.p, body.len, a);
}

static void wait_answer(struct bed *b, struct rpc_answer *a)
{
    turn_until(b->h->loop, a->replied || a->failed || a->dropped);
}

static void test_requests_and_replies_pass_as_they_are(void **state)
{
    static const char reply[] = "\x81\xa5Hello\xa5World";
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;
    _cleanup_buf_ struct buf body = BUF_INIT(MIB);
    struct bed *b = *state;

    b->a.reply = reply;
    b->a.n_reply = sizeof(reply) - 1;
    ask_rpc(b, "ClientStats.Stats", b->id, &a);
    wait_answer(b, &a);
    assert_true(a.replied);
    assert_int_equal(a.body.len, sizeof(reply) - 1);
    assert_memory_equal(a.body.p, reply, a.body.len);
    assert_string_equal(b->a.method, "ClientStats.Stats");
    put_request(&body, b->id);
    assert_int_equal(b->a.body.len, body.len);
    assert_memory_equal(b->a.body.p, body.p, body.len);
    ask_rpc(b, "ClientAllocations.GarbageCollectAll", b->id,
            &a); /* agents know it by another name */
    wait_answer(b, &a);
    assert_true(a.replied);
    assert_string_equal(b->a.method, "Allocations.GarbageCollectAll");
    assert_true(list_empty(&b->h->server->calls));
}

static void test_errors_have_nomads_words(void **state)
{
    static const struct {
        const char *method, *node_id, *text;
        bool debug;
    } rows[] = {
        {"ClientStats.Stats",                   "",                                     "missing NodeID",                                              false},
        {"ClientStats.Stats",                   "zz",                                   "node lookup failed: index error: UUID must be 36 characters",
         false                                                                                                                                              },
        {"ClientStats.Stats",                   UNKNOWN,                                "Unknown node " UNKNOWN,                                       false},
        {"NodeMeta.Read",                       "00000002-0000-4000-8000-000000000002", "No path to node",                                             false},
        {"NodeMeta.Apply",                      "",                                     "missing NodeID",                                              false},
        {"Agent.Host",                          "00000001-0000-4000-8000-000000000001", "Permission denied",                                           false},
        {"Agent.Host",                          "",                                     "Permission denied",                                           true },
        {"Agent.Host",                          UNKNOWN,                                "Unknown node " UNKNOWN,                                       true },
        {"Agent.Profile",                       "",                                     "Permission denied",                                           false},
        {"ClientAllocations.GarbageCollectAll", "",                                     "missing NodeID",                                              false},
        {"Allocations.GarbageCollectAll",       "",
         "rpc: can't find service Allocations.GarbageCollectAll",                                                                                      false},
        {"ClientAllocations.Nope",              "",                                     "rpc: can't find method ClientAllocations.Nope",               false},
        {"ClientStats.Nope",                    "",                                     "rpc: can't find method ClientStats.Nope",                     false},
        {"FileSystem.List",                     "",                                     "rpc: can't find service FileSystem.List",                     false},
        {"Node.Nope",                           "",                                     "rpc: can't find method Node.Nope",                            false},
    };
    struct bed *b = *state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;

        b->h->conf.enable_debug = rows[i].debug;
        ask_rpc(b, rows[i].method, rows[i].node_id, &a);
        assert_true(a.failed);
        assert_string_equal(a.text, rows[i].text);
    }
    assert_int_equal(b->a.n_calls, 0);
}

static void test_methods_without_endpoint_are_unknown(void **state)
{
    struct bed *b = *state;

    for (size_t i = 0; i < M_MAX; i++) { /* whatever the table has: an answer, and no crash */
        _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;

        ask_rpc(b, methods[i].name, UNKNOWN, &a);
        assert_true(a.failed || a.replied || a.call);
    }
}

static void test_an_agents_error_is_passed_on(void **state)
{
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;
    struct bed *b = *state;

    b->a.fail_with = "RPC Error:: 400,bad key";
    ask_rpc(b, "NodeMeta.Apply", b->id, &a);
    wait_answer(b, &a);
    assert_true(a.failed);
    assert_string_equal(a.text, "RPC Error:: 400,bad key");
}

static void test_an_agent_that_goes_is_told(void **state)
{
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;
    struct bed *b = *state;

    b->a.hold = true;
    ask_rpc(b, "ClientStats.Stats", b->id, &a);
    turn_until(b->h->loop, b->a.held);
    agent_leave(&b->a);
    wait_answer(b, &a);
    assert_true(a.failed);
    assert_non_null(strstr(a.text, "EOF"));
    ask_rpc(b, "ClientStats.Stats", b->id, &a);
    assert_string_equal(a.text, "No path to node");
}

static void test_an_agent_that_never_answers_has_a_deadline(void **state)
{
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;
    struct bed *b = *state;

    b->a.hold = true;
    ask_rpc(b, "ClientStats.Stats", b->id, &a);
    turn_until(b->h->loop, b->a.held);
    for (int i = 0; i < 29; i++) { /* it answers pings */
        harness_advance(b->h, NSEC_PER_SEC);
        turn_some(b->h->loop, 5);
        assert_false(a.failed);
    }
    harness_advance(b->h, 2 * NSEC_PER_SEC);
    wait_answer(b, &a);
    assert_string_equal(a.text, "timed out");
    turn_until(b->h->loop, b->a.n_gone == 1);
}

static void test_an_asker_that_goes_calls_it_off(void **state)
{
    struct rpc_answer a = RPC_ANSWER_INIT;
    struct bed *b = *state;

    b->a.hold = true;
    ask_rpc(b, "ClientStats.Stats", b->id, &a);
    turn_until(b->h->loop, b->a.held);
    rpc_answer_done(&a);
    turn_until(b->h->loop, b->a.n_gone == 1);
    assert_true(list_empty(&b->h->server->calls));
}

static void test_the_newest_connection_is_asked(void **state)
{
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;
    struct bed *b = *state;
    struct agent second;

    agent_dial(b->h, &second);
    agent_bind(&second, 1);
    ask_rpc(b, "ClientStats.Stats", b->id, &a);
    wait_answer(b, &a);
    assert_int_equal(second.n_calls, 1);
    assert_int_equal(b->a.n_calls, 0);
    agent_leave(&second);
    ask_rpc(b, "ClientStats.Stats", b->id, &a);
    wait_answer(b, &a);
    assert_true(a.replied);
    assert_int_equal(b->a.n_calls, 1);
    agent_done(&second);
}

static void test_a_server_that_stops_ends_what_waits(void **state)
{
    struct rpc_answer a = RPC_ANSWER_INIT;
    struct bed *b = *state;

    b->a.hold = true;
    ask_rpc(b, "ClientStats.Stats", b->id, &a);
    turn_until(b->h->loop, b->a.held);
    harness_restart(b->h);
    assert_true(a.dropped);
    rpc_answer_done(&a);
}

/* --- over HTTP --- */

static void get(struct bed *b, const char *target, struct buf *got)
{
    _cleanup_close_ int fd = dial(b->h->server->http_advertise);
    _cleanup_free_ char *text = xasprintf("GET %s HTTP/1.1\r\nHost: h\r\n"
                                          "Connection: close\r\n\r\n",
                                          target);

    buf_reset(got);
    say(b->h->loop, fd, text);
    wait_closed(b->h->loop, fd, got);
}

static void test_statistics_over_http(void **state)
{
    _cleanup_buf_ struct buf got = BUF_INIT(MIB), reply = BUF_INIT(MIB);
    _cleanup_free_ char *target = NULL;
    struct host_memory_stats memory = {.total = 17};
    struct host_stats stats = {.memory = &memory, .uptime = 42};
    struct client_stats_response r = {.host_stats = &stats};
    struct bed *b = *state;

    mp_encode(&reply, &desc_client_stats_response, &r);
    b->a.reply = reply.p;
    b->a.n_reply = reply.len;
    target = xasprintf("/v1/client/stats?node_id=%s", b->id);
    get(b, target, &got);
    assert_has(&got, "HTTP/1.1 200 OK");
    assert_has(&got, "\"Uptime\":42");
    assert_has(&got, "\"Total\":17");
    assert_string_equal(b->a.method, "ClientStats.Stats");
    b->a.reply = "\x01"; /* no such answer */
    b->a.n_reply = 1;
    get(b, target, &got);
    assert_has(&got, "HTTP/1.1 500");
}

static void test_http_statuses_are_nomads(void **state)
{
    static const struct {
        const char *target;
        const char *text;
        int status;
        bool debug;
    } rows[] = {
        {"/v1/client/stats",                                                 "No local Node and node_id not provided",       400, false},
        {"/v1/client/metadata",                                              "No local Node and node_id not provided",       400, false},
        {"/v1/client/gc",                                                    "No local Node and node_id not provided",       400, false},
        {"/v1/client/stats?node_id=zz",
         "node lookup failed: index error: UUID must be 36 characters",                                                      500, false},
        {"/v1/client/stats?node_id=" UNKNOWN,                                "Unknown node " UNKNOWN,                        404, false},
        {"/v1/client/metadata?node_id=" UNKNOWN,                             "Unknown node " UNKNOWN,                        500, false},
        {"/v1/client/gc?node_id=" UNKNOWN,                                   "Unknown node " UNKNOWN,                        500, false},
        {"/v1/client/stats?node_id=00000002-0000-4000-8000-000000000002",    "No path to node",                              404,
         false                                                                                                                         },
        {"/v1/client/metadata?node_id=00000002-0000-4000-8000-000000000002", "No path to node",                              404,
         false                                                                                                                         },
        {"/v1/client/stats?region=mars&node_id=" UNKNOWN,                    "No path to region",                            500, false},
        {"/v1/agent/host?node_id=" UNKNOWN,                                  "Permission denied",                            403, false},
        {"/v1/agent/host?node_id=" UNKNOWN,                                  "Unknown node " UNKNOWN,                        500, true },
        {"/v1/agent/host?server_id=nope",                                    "unknown Nomad server nope",                    400, true },
        {"/v1/agent/monitor?node_id=" UNKNOWN,                               "RPC Error:: 404,Unknown node \"" UNKNOWN "\"", 500,
         false                                                                                                                         },
        {"/v1/agent/monitor?node_id=zz",
         "RPC Error:: 500,node lookup failed: index error: UUID must be 36 characters",                                      500, false},
        {"/v1/agent/monitor?node_id=00000002-0000-4000-8000-000000000002",
         "RPC Error:: 404,No path to node",                                                                                  500, false},
        {"/v1/agent/monitor?server_id=nope",                                 "unknown Nomad server nope",                    400, false},
        {"/v1/agent/monitor?server_id=leader&node_id=" UNKNOWN,
         "Cannot target node and server simultaneously",                                                                     400, false},
        {"/v1/agent/monitor?log_level=zz&node_id=zz",                        "Unknown log level: zz",                        400, false},
    };
    struct bed *b = *state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_buf_ struct buf got = BUF_INIT(MIB);
        char status[40];

        b->h->conf.enable_debug = rows[i].debug;
        get(b, rows[i].target, &got);
        (void)snprintf(status, sizeof(status), "HTTP/1.1 %d ", rows[i].status);
        if (!str_starts(buf_str(&got), status) || !str_ends(buf_str(&got), rows[i].text))
            fail_msg("%s: %s", rows[i].target, buf_str(&got));
    }
    assert_int_equal(b->a.n_calls, 0);
}

static void test_http_while_agent_or_peer_goes(void **state)
{
    _cleanup_buf_ struct buf got = BUF_INIT(MIB);
    struct bed *b = *state;
    char text[200];
    int fd = dial(b->h->server->http_advertise);

    (void)snprintf(text, sizeof(text),
                   "GET /v1/client/stats?node_id=%s HTTP/1.1\r\nHost: h\r\n\r\n", b->id);
    b->a.hold = true;
    say(b->h->loop, fd, text);
    turn_until(b->h->loop, b->a.held);
    (void)fd_close(fd);
    turn_until(b->h->loop, b->a.n_gone == 1); /* the peer went: nobody needs the answer */
    fd = dial(b->h->server->http_advertise);
    say(b->h->loop, fd, text);
    turn_until(b->h->loop, b->a.held);
    agent_leave(&b->a);
    ask(b->h->loop, fd, "", 1, &got);
    assert_has(&got, "HTTP/1.1 500");
    assert_has(&got, "EOF");
    (void)fd_close(fd);
}

/* --- logs over HTTP --- */

static void send_frame(struct agent *a, const char *text, int64_t code, const char *error)
{
    _cleanup_buf_ struct buf b = BUF_INIT(MIB);
    struct stream_error e = {code ? &code : NULL, (char *)(uintptr_t)error};
    struct stream_frame f = {.error = error ? &e : NULL};

    f.payload = (struct bytes){(uint8_t *)(uintptr_t)text, text ? strlen(text) : 0};
    mp_encode(&b, &desc_stream_frame, &f);
    assert_int_equal(rpc_stream_write(a->stream, b.p, b.len), 0);
}

static int watch_log(struct bed *b, const char *more)
{
    int fd = dial(b->h->server->http_advertise);
    char text[200];

    (void)snprintf(text, sizeof(text),
                   "GET /v1/agent/monitor?node_id=%s%s HTTP/1.1\r\nHost: h\r\n\r\n", b->id, more);
    say(b->h->loop, fd, text);
    return fd;
}

static void wait_text(struct bed *b, int fd, struct buf *got, const char *text)
{
    for (int i = 0; i < 500 && !strstr(buf_str(got), text); i++) {
        turn_some(b->h->loop, 1);
        (void)listen_to(fd, got);
    }
    assert_has(got, text);
}

static void test_a_nodes_log_is_streamed(void **state)
{
    _cleanup_buf_ struct buf got = BUF_INIT(MIB);
    struct monitor_request q = {0};
    struct bed *b = *state;
    struct err e;
    int fd = watch_log(b, "&log_level=TRACE&log_json=true&plain=true");

    turn_until(b->h->loop, b->a.n_objects == 1);
    assert_int_equal(mp_decode(&desc_monitor_request, b->a.request.p, b->a.request.len, &q, &e), 0);
    assert_string_equal(q.log_level, "TRACE");
    assert_string_equal(q.node_id, b->id);
    assert_string_equal(q.q.region, "global");
    assert_true(q.log_json && q.plain_text);
    ops_clear(&desc_monitor_request, &q);
    turn_some(b->h->loop, 5);
    assert_int_equal(listen_to(fd, &got), 0);
    assert_int_equal(got.len, 0); /* no head before the first payload */
    send_frame(&b->a, "one\n", 0, NULL);
    wait_text(b, fd, &got, "one\n");
    assert_has(&got, "HTTP/1.1 200 OK");
    assert_has(&got, "Content-Type: text/plain\r\n");
    assert_has(&got, "Transfer-Encoding: chunked\r\n");
    send_frame(&b->a, "", 0, NULL); /* says nothing, ends nothing */
    send_frame(&b->a, "two\n", 0, NULL);
    wait_text(b, fd, &got, "two\n");
    b->a.stream = rpc_stream_close(b->a.stream);
    wait_text(b, fd, &got, "\r\n0\r\n\r\n");
    (void)fd_close(fd);
}

static void test_a_watcher_that_goes_ends_the_stream(void **state)
{
    struct bed *b = *state;

    for (int begun = 0; begun < 2; begun++) {
        _cleanup_buf_ struct buf got = BUF_INIT(MIB);
        int fd = watch_log(b, "");

        b->a.n_objects = 0;
        turn_until(b->h->loop, b->a.n_objects == 1);
        if (begun) {
            send_frame(&b->a, "one\n", 0, NULL);
            wait_text(b, fd, &got, "one\n");
            assert_has(&got, "Content-Type: application/json\r\n");
        }
        (void)fd_close(fd);
        turn_until(b->h->loop, b->a.n_ends == 1);
    }
}

static void test_errors_before_the_log_are_answers(void **state)
{
    struct bed *b = *state;

    for (int i = 0; i < 4; i++) {
        static const char *const texts[] = {
            "RPC Error:: 400,Unknown log level", "RPC Error:: 500,no code",
            "RPC Error:: 500,Unknown rpc method", "RPC Error:: 500,"};
        _cleanup_buf_ struct buf got = BUF_INIT(MIB);
        int fd;

        b->a.n_objects = 0;
        b->a.refuse = i == 2 ? "Unknown rpc method" : NULL;
        fd = watch_log(b, "");
        if (i != 2)
            turn_until(b->h->loop, b->a.n_objects == 1);
        if (i == 0)
            send_frame(&b->a, NULL, 400, "Unknown log level");
        else if (i == 1)
            send_frame(&b->a, NULL, 0, "no code");
        else if (i == 3)
            agent_leave(&b->a);
        wait_text(b, fd, &got, texts[i]);
        assert_has(&got, "HTTP/1.1 500");
        (void)fd_close(fd);
    }
}

static void test_errors_inside_the_log_end_it(void **state)
{
    _cleanup_buf_ struct buf got = BUF_INIT(MIB);
    struct bed *b = *state;
    int fd = watch_log(b, "");

    turn_until(b->h->loop, b->a.n_objects == 1);
    send_frame(&b->a, "one\n", 0, NULL);
    send_frame(&b->a, NULL, 500, "broken");
    wait_text(b, fd, &got, "one\n\r\n0\r\n\r\n");
    turn_until(b->h->loop, b->a.n_ends == 1);
    (void)fd_close(fd);
}

/* a reader that does not read stops the agent, and loses nothing */
static void test_a_slow_watcher_slows_the_agent(void **state)
{
    _cleanup_buf_ struct buf got = BUF_INIT(64 * MIB), frame = BUF_INIT(MIB), text = BUF_INIT(MIB);
    struct bed *b = *state;
    int fd = watch_log(b, "");
    size_t sent = 0, n = 0;

    turn_until(b->h->loop, b->a.n_objects == 1);
    for (int i = 0; i < 30000; i++)
        buf_add_byte(&text, '~');
    mp_encode(&frame, &desc_stream_frame,
              &(struct stream_frame){
                  .payload = {text.p, text.len}
    });
    for (int full = 0; full < 50;) {
        if (rpc_stream_write(b->a.stream, frame.p, frame.len) == 0)
            sent += text.len;
        else
            full++;
        turn_some(b->h->loop, 1);
        assert_true(sent < 64 * MIB);
    }
    b->a.stream = rpc_stream_close(b->a.stream);
    for (int i = 0; i < 30000 && !has(&got, "\r\n0\r\n\r\n"); i++) {
        turn_some(b->h->loop, 1);
        (void)listen_to(fd, &got);
    }
    for (size_t i = 0; i < got.len; i++)
        n += got.p[i] == '~';
    assert_int_equal(n, sent);
    (void)fd_close(fd);
}

/* --- logs over RPC: another agent or server asks --- */

struct asker {
    struct rpc_stream *s;
    struct buf in;
    size_t n_objects, n_ends;
};

static void asker_object(void *arg, const uint8_t *p, size_t n)
{
    struct asker *k = arg;

    k->n_objects++;
    buf_add(&k->in, p, n);
}

static void asker_end(void *arg, const struct err *e)
{
    struct asker *k = arg;

    (void)e;
    k->n_ends++;
    k->s = NULL;
}

static void asker_open_with(struct agent *from, struct asker *k, const void *request, size_t n)
{
    static const struct rpc_stream_user user = {.on_object = asker_object, .on_end = asker_end};

    *k = (struct asker){.in = BUF_INIT(64 * MIB)};
    k->s = rpc_stream_open(from->session, "Agent.Monitor", request, n, &user, k);
}

static void asker_open(struct agent *from, struct asker *k, const char *node_id,
                       const char *server_id)
{
    _cleanup_buf_ struct buf b = BUF_INIT(MIB);

    mp_map(&b, 4);
    mp_str(&b, "NodeID");
    mp_str(&b, node_id);
    mp_str(&b, "ServerID");
    mp_str(&b, server_id);
    mp_str(&b, "PlainText");
    mp_bool(&b, true);
    mp_str(&b, "Region");
    mp_str(&b, "global");
    asker_open_with(from, k, b.p, b.len);
}

static void test_streams_are_passed_on(void **state)
{
    struct bed *b = *state;
    struct agent other;
    struct asker k;

    agent_dial(b->h, &other);
    asker_open(&other, &k, b->id, "");
    turn_until(b->h->loop, b->a.n_objects == 1);
    send_frame(&b->a, "hello", 0, NULL);
    send_frame(&b->a, NULL, 500, "an error is an object as well");
    turn_until(b->h->loop, k.n_objects == 2);
    assert_true(has(&k.in, "hello"));
    b->a.stream = rpc_stream_close(b->a.stream);
    turn_until(b->h->loop, k.n_ends == 1);
    buf_done(&k.in);

    b->a.n_objects = 0;
    asker_open(&other, &k, b->id, ""); /* now the asker leaves */
    turn_until(b->h->loop, b->a.n_objects == 1);
    k.s = rpc_stream_close(k.s);
    turn_until(b->h->loop, b->a.n_ends == 1);
    assert_true(list_empty(&b->h->server->streams));
    buf_done(&k.in);
    agent_done(&other);
}

static void test_streams_that_are_passed_on_are_paced(void **state)
{
    _cleanup_buf_ struct buf frame = BUF_INIT(MIB);
    static uint8_t text[50000];
    struct bed *b = *state;
    struct agent other;
    struct asker k;
    size_t sent = 0;

    agent_dial(b->h, &other);
    asker_open(&other, &k, b->id, "");
    turn_until(b->h->loop, b->a.n_objects == 1);
    rpc_stream_pause(k.s, true);
    mp_encode(&frame, &desc_stream_frame,
              &(struct stream_frame){
                  .payload = {text, sizeof(text)}
    });
    for (int full = 0; full < 50;) {
        if (rpc_stream_write(b->a.stream, frame.p, frame.len) == 0)
            sent++;
        else
            full++;
        turn_some(b->h->loop, 1);
        assert_true(sent < 100);
    }
    b->a.stream = rpc_stream_close(b->a.stream);
    rpc_stream_pause(k.s, false);
    turn_until(b->h->loop, k.n_ends == 1);
    assert_int_equal(k.n_objects, sent);
    assert_int_equal(k.in.len, sent * frame.len);
    buf_done(&k.in);
    agent_done(&other);
}

/* the frame that waits comes first, then why there are no more */
static void test_an_agent_that_fails_while_a_frame_waits(void **state)
{
    _cleanup_buf_ struct buf frame = BUF_INIT(MIB);
    static uint8_t text[50000];
    struct bed *b = *state;
    struct agent other;
    struct asker k;

    agent_dial(b->h, &other);
    asker_open(&other, &k, b->id, "");
    turn_until(b->h->loop, b->a.n_objects == 1);
    rpc_stream_pause(k.s, true);
    mp_encode(&frame, &desc_stream_frame,
              &(struct stream_frame){
                  .payload = {text, sizeof(text)}
    });
    for (int full = 0; full < 50;) {
        if (rpc_stream_write(b->a.stream, frame.p, frame.len) < 0)
            full++;
        turn_some(b->h->loop, 1);
    }
    agent_leave(&b->a);
    assert_int_equal(k.n_ends, 0);
    rpc_stream_pause(k.s, false);
    turn_until(b->h->loop, k.n_ends == 1);
    assert_true(has(&k.in, "Error"));
    assert_int_equal(k.in.len / frame.len, k.n_objects - 1);
    assert_true(list_empty(&b->h->server->streams));
    buf_done(&k.in);
    agent_done(&other);
}

static void test_an_asker_without_a_request_has_a_deadline(void **state)
{
    struct bed *b = *state;
    struct asker k;

    asker_open_with(&b->a, &k, NULL, 0);
    turn_until(b->h->loop, !list_empty(&b->h->server->streams));
    harness_advance(b->h, 29 * NSEC_PER_SEC);
    turn_some(b->h->loop, 5);
    assert_int_equal(k.n_ends, 0);
    harness_advance(b->h, 2 * NSEC_PER_SEC);
    turn_until(b->h->loop, k.n_ends == 1);
    assert_int_equal(k.n_objects, 0);
    assert_true(list_empty(&b->h->server->streams));
    buf_done(&k.in);
}

static void test_streams_that_cannot_be_passed_on(void **state)
{
    static const struct {
        const char *node_id, *server_id, *message;
    } rows[] = {
        {UNKNOWN,                                "",     "Unknown node \"" UNKNOWN "\""},
        {"zz",                                   "",     "UUID must be 36 characters"  },
        {"00000002-0000-4000-8000-000000000002", "",     "No path to node"             },
        {"",                                     "nope", "unknown Nomad server nope"   },
    };
    struct bed *b = *state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct asker k;

        asker_open(&b->a, &k, rows[i].node_id, rows[i].server_id);
        turn_until(b->h->loop, k.n_ends == 1);
        assert_int_equal(k.n_objects, 1);
        assert_true(has(&k.in, rows[i].message));
        buf_done(&k.in);
    }
}

static void test_the_servers_own_log_as_a_stream(void **state)
{
    struct bed *b = *state;
    struct asker k;

    asker_open(&b->a, &k, "", "leader");
    for (int i = 0; i < 100 && !has(&k.in, "a line for those"); i++) {
        log_info("a line for those who watch");
        harness_advance(b->h, NSEC_PER_SEC / 5);
        turn_some(b->h->loop, 2);
    }
    assert_true(has(&k.in, "a line for those"));
    k.s = rpc_stream_close(k.s);
    turn_until(b->h->loop, list_empty(&b->h->server->streams));
    buf_done(&k.in);
}

static void test_a_server_that_stops_ends_its_streams(void **state)
{
    struct bed *b = *state;
    struct asker k, own;
    int fd;

    asker_open(&b->a, &k, b->id, "");
    turn_until(b->h->loop, b->a.n_objects == 1);
    asker_open(&b->a, &own, "", "");
    fd = watch_log(b, "");
    turn_some(b->h->loop, 10);
    harness_restart(b->h);
    turn_until(b->h->loop, k.n_ends == 1 && own.n_ends == 1);
    buf_done(&k.in);
    buf_done(&own.in);
    (void)fd_close(fd);
}

#define WITH_BED(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BED(test_requests_and_replies_pass_as_they_are),
        WITH_BED(test_errors_have_nomads_words),
        WITH_BED(test_methods_without_endpoint_are_unknown),
        WITH_BED(test_an_agents_error_is_passed_on),
        WITH_BED(test_an_agent_that_goes_is_told),
        WITH_BED(test_an_agent_that_never_answers_has_a_deadline),
        WITH_BED(test_an_asker_that_goes_calls_it_off),
        WITH_BED(test_the_newest_connection_is_asked),
        WITH_BED(test_a_server_that_stops_ends_what_waits),
        WITH_BED(test_statistics_over_http),
        WITH_BED(test_http_statuses_are_nomads),
        WITH_BED(test_http_while_agent_or_peer_goes),
        WITH_BED(test_a_nodes_log_is_streamed),
        WITH_BED(test_a_watcher_that_goes_ends_the_stream),
        WITH_BED(test_errors_before_the_log_are_answers),
        WITH_BED(test_errors_inside_the_log_end_it),
        WITH_BED(test_a_slow_watcher_slows_the_agent),
        WITH_BED(test_streams_are_passed_on),
        WITH_BED(test_streams_that_are_passed_on_are_paced),
        WITH_BED(test_an_agent_that_fails_while_a_frame_waits),
        WITH_BED(test_an_asker_without_a_request_has_a_deadline),
        WITH_BED(test_streams_that_cannot_be_passed_on),
        WITH_BED(test_the_servers_own_log_as_a_stream),
        WITH_BED(test_a_server_that_stops_ends_its_streams),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
