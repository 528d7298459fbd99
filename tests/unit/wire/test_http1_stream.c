/* wire/http1_stream: answers that go on. */
#include <netinet/tcp.h>
#include <stdio.h>

#include "base/limits.h"
#include "base/str.h"
#include "tests/support/http_raw.h"
#include "wire/conn.h"
#include "wire/http1.h"

#define HOST      "Host: h\r\n"
#define GET       "GET /stream HTTP/1.1\r\n" HOST "\r\n"
#define WAIT_LINE "GET /wait HTTP/1.1\r\n" HOST "\r\n"

struct bed {
    struct loop *loop;
    struct http_server *server;
    char *address; /* owned */
    struct http_stream *stream;
    struct http_exchange *waiting;
    size_t n_begun, n_room, n_gone, n_plain;
    size_t to_send; /* written whenever there is room */
    size_t sent;
};

static void begin(struct bed *b, struct http_exchange *x);

static void send_more(struct bed *b)
{
    static char piece[4096];
    size_t n;

    memset(piece, 'x', sizeof(piece));
    while (b->sent < b->to_send && (n = http_stream_room(b->stream)) > 0) {
        n = MIN(n, MIN(sizeof(piece), b->to_send - b->sent));
        assert_int_equal(http_stream_write(b->stream, piece, n), 0);
        b->sent += n;
    }
}

static void on_room(void *arg)
{
    struct bed *b = arg;

    b->n_room++;
    if (b->to_send)
        send_more(b);
    if (b->to_send && b->sent == b->to_send) {
        b->to_send = 0;
        http_stream_end(steal_ptr(&b->stream)); /* from inside a callback */
    }
}

static void on_gone(void *arg)
{
    struct bed *b = arg;

    b->n_gone++;
    b->stream = NULL;
}

static void begin(struct bed *b, struct http_exchange *x)
{
    static const struct http_header headers[] = {
        {"Content-Type", "application/json"},
        {"X-Bad",        "a\r\nX-Inj: 1"   }
    };
    static const struct http_stream_user user = {on_room, on_gone};

    b->n_begun++;
    b->stream = http_stream_begin(x, 200, headers, ARRAY_LEN(headers), &user, b);
    assert_non_null(b->stream);
}

static void on_request(void *arg, struct http_exchange *x, const struct http_request *q)
{
    struct bed *b = arg;

    if (str_eq(q->path, "/wait")) {
        b->waiting = x;
        return;
    }
    if (str_eq(q->path, "/stream")) {
        begin(b, x);
        return;
    }
    if (str_eq(q->path, "/short")) { /* begun and ended before the handler returns */
        begin(b, x);
        if (b->stream)
            assert_int_equal(http_stream_write(b->stream, "short", 5), 0);
        http_stream_end(steal_ptr(&b->stream));
        return;
    }
    b->n_plain++;
    http_answer(x, 200, NULL, 0, "plain", 5);
}

static int setup(void **state)
{
    struct bed *b = xnew0(struct bed);
    struct http_server_opts opts = {.handler = on_request, .arg = b};
    struct err e;
    int fd;

    assert_int_equal(loop_new(&b->loop), 0);
    assert_int_equal(listen_open("127.0.0.1:0", &fd, &b->address, &e), 0);
    assert_int_equal(http_listen(b->loop, fd, &opts, &b->server), 0);
    *state = b;
    return 0;
}

static int teardown(void **state)
{
    struct bed *b = *state;

    b->server = http_server_free(b->server);
    assert_null(b->stream); /* whoever streams has been told */
    conn_drop_closing(b->loop);
    b->loop = loop_free(b->loop);
    free(b->address);
    free(b);
    return 0;
}

static void wait_for(struct bed *b, int fd, struct buf *got, const char *text)
{
    for (int i = 0; i < 500 && !strstr(buf_str(got), text); i++) {
        turn_some(b->loop, 1);
        (void)listen_to(fd, got);
    }
    assert_has(got, text);
}

/* --- forms --- */

static void test_pieces_arrive_as_they_are_written(void **state)
{
    _cleanup_buf_ struct buf got = BUF_INIT(MIB);
    struct bed *b = *state;
    _cleanup_close_ int fd = dial(b->address);

    ask(b->loop, fd, GET, 1, &got);
    assert_has(&got, "HTTP/1.1 200 OK\r\n");
    assert_has(&got, "Transfer-Encoding: chunked\r\n");
    assert_has(&got, "Content-Type: application/json\r\n");
    assert_has_not(&got, "Content-Length");
    assert_has_not(&got, "Connection");
    assert_has_not(&got, "X-Inj");
    assert_true(str_ends(buf_str(&got), "\r\n\r\n")); /* the head comes before the first piece */
    assert_int_equal(http_stream_write(b->stream, "{}", 2), 0);
    wait_for(b, fd, &got, "\r\n\r\n2\r\n{}\r\n");
    assert_int_equal(http_stream_write(b->stream, "", 0), 0); /* no end by accident */
    assert_int_equal(http_stream_write(b->stream, "0123456789abcdefg", 17), 0);
    wait_for(b, fd, &got, "{}\r\n11\r\n0123456789abcdefg\r\n");
    turn_until(b->loop, b->n_room >= 2);
    http_stream_end(steal_ptr(&b->stream));
    wait_for(b, fd, &got, "g\r\n0\r\n\r\n");
    assert_int_equal(b->n_gone, 0);
}

static void test_the_connection_goes_on_behind_the_end(void **state)
{
    _cleanup_buf_ struct buf got = BUF_INIT(MIB);
    struct bed *b = *state;
    _cleanup_close_ int fd = dial(b->address);

    for (size_t i = 1; i <= 3; i++) {
        ask(b->loop, fd, GET, i, &got);
        assert_int_equal(http_stream_write(b->stream, "abc", 3), 0);
        http_stream_end(steal_ptr(&b->stream));
    }
    ask(b->loop, fd, "GET /short HTTP/1.1\r\n" HOST "\r\nGET /plain HTTP/1.1\r\n" HOST "\r\n", 5,
        &got);
    assert_has(&got, "5\r\nshort\r\n0\r\n\r\nHTTP/1.1 200 OK");
    assert_true(str_ends(buf_str(&got), "plain"));
    assert_int_equal(http_server_connections(b->server), 1);
}

static void test_requests_behind_a_stream_wait_for_its_end(void **state)
{
    _cleanup_buf_ struct buf got = BUF_INIT(MIB);
    struct bed *b = *state;
    _cleanup_close_ int fd = dial(b->address);

    ask(b->loop, fd, GET "GET /plain HTTP/1.1\r\n" HOST "\r\n", 1, &got);
    turn_some(b->loop, 5);
    assert_int_equal(b->n_plain, 0);
    http_stream_end(steal_ptr(&b->stream));
    ask(b->loop, fd, "", 2, &got);
    assert_int_equal(b->n_plain, 1);
}

static void test_http_1_0_gets_bytes_until_the_close(void **state)
{
    _cleanup_buf_ struct buf got = BUF_INIT(MIB);
    struct bed *b = *state;
    _cleanup_close_ int fd = dial(b->address);

    ask(b->loop, fd, "GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 1, &got);
    assert_has(&got, "Connection: close\r\n");
    assert_has_not(&got, "chunked");
    assert_int_equal(http_stream_write(b->stream, "bare", 4), 0);
    http_stream_end(steal_ptr(&b->stream));
    wait_closed(b->loop, fd, &got);
    assert_true(str_ends(buf_str(&got), "\r\n\r\nbare"));
}

static void test_connection_close_ends_with_the_stream(void **state)
{
    _cleanup_buf_ struct buf got = BUF_INIT(MIB);
    struct bed *b = *state;
    _cleanup_close_ int fd = dial(b->address);

    ask(b->loop, fd, "GET /stream HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n", 1, &got);
    assert_has(&got, "Connection: close\r\n");
    assert_has(&got, "chunked");
    http_stream_end(steal_ptr(&b->stream));
    wait_closed(b->loop, fd, &got);
    assert_true(str_ends(buf_str(&got), "\r\n\r\n0\r\n\r\n"));
}

/* headers only; whoever would have written hears that nobody reads, and the connection goes on */
static void test_head_has_no_body(void **state)
{
    _cleanup_buf_ struct buf got = BUF_INIT(MIB);
    struct bed *b = *state;
    _cleanup_close_ int fd = dial(b->address);

    ask(b->loop, fd, "HEAD /stream HTTP/1.1\r\n" HOST "\r\n", 1, &got);
    assert_true(str_ends(buf_str(&got), "\r\n\r\n"));
    turn_until(b->loop, b->n_gone == 1);
    ask(b->loop, fd, "HEAD /stream HTTP/1.1\r\n" HOST "\r\nGET /plain HTTP/1.1\r\n" HOST "\r\n", 3,
        &got);
    turn_until(b->loop, b->n_gone == 2);
    assert_true(str_ends(buf_str(&got), "\r\n\r\nplain"));
}

/* --- backpressure --- */

static void test_a_reader_that_does_not_read_stops_the_writer(void **state)
{
    _cleanup_buf_ struct buf got = BUF_INIT(16 * MIB);
    static char piece[HTTP_STREAM_MAX + 1];
    struct bed *b = *state;
    _cleanup_close_ int fd = dial(b->address);
    size_t seen = 0;
    int full = 0;

    ask(b->loop, fd, GET, 1, &got);
    buf_reset(&got);
    assert_in_range(http_stream_room(b->stream), HTTP_STREAM_MAX - KIB, HTTP_STREAM_MAX);
    assert_int_equal(http_stream_write(b->stream, piece, sizeof(piece)), -ENOBUFS);
    while (full < 50) { /* the kernel's buffers fill first */
        size_t n = http_stream_room(b->stream);

        if (n > 0) {
            assert_int_equal(http_stream_write(b->stream, piece, n), 0);
            seen += n;
            full = 0;
        } else {
            assert_int_equal(http_stream_write(b->stream, "x", 1), -ENOBUFS);
            full++;
        }
        turn_some(b->loop, 1);
        assert_true(seen < 64 * MIB);
    }
    b->n_room = 0;
    while (b->n_room == 0 || http_stream_room(b->stream) < HTTP_STREAM_MAX - KIB) {
        turn_some(b->loop, 1);
        (void)listen_to(fd, &got);
    }
    assert_int_equal(b->n_gone, 0);
    http_stream_end(steal_ptr(&b->stream));
    while (got.len < 5 || memcmp(got.p + got.len - 5, "0\r\n\r\n", 5) != 0) {
        turn_some(b->loop, 1);
        (void)listen_to(fd, &got);
    }
    assert_true(got.len > seen);
}

static void test_a_long_stream_written_by_room_arrives_whole(void **state)
{
    _cleanup_buf_ struct buf got = BUF_INIT(64 * MIB);
    struct bed *b = *state;
    _cleanup_close_ int fd = dial(b->address);
    size_t n = 0;

    ask(b->loop, fd, "GET /stream HTTP/1.0\r\n\r\n", 1, &got);
    b->to_send = 10 * MIB;
    send_more(b);
    for (int i = 0; i < 20000 && !listen_to(fd, &got); i++)
        turn_some(b->loop, 1);
    for (size_t i = got.len; i > 0 && got.p[i - 1] == 'x'; i--)
        n++;
    assert_int_equal(n, 10 * MIB);
    assert_int_equal(b->n_gone, 0);
}

/* --- ends --- */

static void test_a_peer_that_leaves_is_noticed(void **state)
{
    struct bed *b = *state;

    for (size_t how = 0; how < 3; how++) {
        _cleanup_buf_ struct buf got = BUF_INIT(MIB);
        struct linger now = {.l_onoff = 1};
        int fd = dial(b->address);

        ask(b->loop, fd, GET, 1, &got);
        if (how == 1)
            assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
        if (how == 2)
            assert_int_equal(shutdown(fd, SHUT_WR), 0);
        else
            (void)fd_close(fd);
        turn_until(b->loop, b->n_gone == how + 1);
        turn_until(b->loop, http_server_connections(b->server) == 0);
        assert_null(b->stream);
        if (how == 2)
            (void)fd_close(fd);
    }
}

static void test_a_peer_that_leaves_with_requests_unread_is_noticed(void **state)
{
    _cleanup_buf_ struct buf got = BUF_INIT(MIB);
    struct bed *b = *state;
    int fd = dial(b->address);

    ask(b->loop, fd, GET GET GET, 1, &got);
    (void)fd_close(fd);
    turn_until(b->loop, b->n_gone == 1);
    turn_some(b->loop, 5);
    assert_int_equal(b->n_begun, 1);
}

static void test_a_stream_for_somebody_who_left_ends_at_once(void **state)
{
    struct bed *b = *state;
    int fd = dial(b->address);

    say(b->loop, fd, WAIT_LINE);
    turn_until(b->loop, b->waiting);
    (void)fd_close(fd);
    turn_until(b->loop, http_server_connections(b->server) == 0);
    begin(b, b->waiting);
    assert_int_equal(b->n_gone, 0); /* not from inside */
    assert_int_equal(http_stream_room(b->stream), 0);
    assert_int_equal(http_stream_write(b->stream, "x", 1), -ENOBUFS);
    turn_until(b->loop, b->n_gone == 1);
}

static void test_ending_what_nobody_reads_calls_nobody(void **state)
{
    struct bed *b = *state;
    int fd = dial(b->address);

    say(b->loop, fd, WAIT_LINE);
    turn_until(b->loop, b->waiting);
    (void)fd_close(fd);
    turn_until(b->loop, http_server_connections(b->server) == 0);
    begin(b, b->waiting);
    http_stream_end(steal_ptr(&b->stream));
    turn_some(b->loop, 5);
    assert_int_equal(b->n_gone, 0);
}

static void test_freeing_the_server_ends_its_streams(void **state)
{
    _cleanup_buf_ struct buf got = BUF_INIT(MIB);
    struct bed *b = *state;
    _cleanup_close_ int fd = dial(b->address);

    ask(b->loop, fd, GET, 1, &got);
    b->server = http_server_free(b->server);
    assert_int_equal(b->n_gone, 1);
}

/* time: a quiet stream stays, one whose peer takes nothing does not */
static void test_a_peer_that_takes_nothing_is_given_up(void **state)
{
    _cleanup_buf_ struct buf got = BUF_INIT(MIB);
    static const char piece[4096];
    struct bed *b = *state;
    int full = 0, fd;

    clock_fake(true, 1000 * NSEC_PER_SEC, 1700000000 * (int64_t)NSEC_PER_SEC);
    fd = dial(b->address);
    ask(b->loop, fd, GET, 1, &got);
    turn_some(b->loop, 5);
    clock_fake_advance(3600 * NSEC_PER_SEC);
    (void)loop_run_due(b->loop);
    turn_some(b->loop, 5);
    assert_int_equal(b->n_gone, 0);
    while (full < 50) {
        full = http_stream_write(b->stream, piece, sizeof(piece)) < 0 ? full + 1 : 0;
        turn_some(b->loop, 1);
    }
    clock_fake_advance(61 * NSEC_PER_SEC);
    (void)loop_run_due(b->loop);
    assert_int_equal(b->n_gone, 0); /* it took the first part */
    clock_fake_advance(61 * NSEC_PER_SEC);
    (void)loop_run_due(b->loop);
    assert_int_equal(b->n_gone, 1);
    (void)fd_close(fd);
    clock_fake(false, 0, 0);
}

#define WITH_BED(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BED(test_pieces_arrive_as_they_are_written),
        WITH_BED(test_the_connection_goes_on_behind_the_end),
        WITH_BED(test_requests_behind_a_stream_wait_for_its_end),
        WITH_BED(test_http_1_0_gets_bytes_until_the_close),
        WITH_BED(test_connection_close_ends_with_the_stream),
        WITH_BED(test_head_has_no_body),
        WITH_BED(test_a_reader_that_does_not_read_stops_the_writer),
        WITH_BED(test_a_long_stream_written_by_room_arrives_whole),
        WITH_BED(test_a_peer_that_leaves_is_noticed),
        WITH_BED(test_a_peer_that_leaves_with_requests_unread_is_noticed),
        WITH_BED(test_a_stream_for_somebody_who_left_ends_at_once),
        WITH_BED(test_ending_what_nobody_reads_calls_nobody),
        WITH_BED(test_freeing_the_server_ends_its_streams),
        WITH_BED(test_a_peer_that_takes_nothing_is_given_up),
    };

    loop_block_signals();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
