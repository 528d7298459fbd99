/* wire/http1: the server and the client over real sockets. */
#include "wire/http1.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/parse.h"
#include "base/str.h"
#include "tests/support/valgrind.h"
#include "tests/support/http_raw.h"
#include "tests/support/wire_loop.h"
#include "wire/budget.h"
#include "wire/conn.h"

#define HOST "Host: h\r\n"

struct bed {
    struct loop *loop;
    struct http_server *server;
    char *address; /* owned */
    struct http_exchange *waiting[8];
    size_t n_waiting, n_gone, n_requests;
};

static void on_gone(void *arg)
{
    struct bed *b = arg;

    b->n_gone++;
}

/* /big/N: N bytes; /wait: answered later; /head: what headers came; else an echo */
static void on_request(void *arg, struct http_exchange *x, const struct http_request *q)
{
    static const struct http_header extra[] = {
        {"X-Extra", "yes"               },
        {"X-Bad",   "a\r\nX-Injected: 1"}
    };
    struct buf body = BUF_INIT(64 * MIB);
    struct bed *b = arg;

    b->n_requests++;
    if (str_starts(q->path, "/wait")) {
        if (!str_eq(q->path, "/wait/deaf"))
            http_on_gone(x, on_gone, b);
        http_exchange_trim(x);
        b->waiting[b->n_waiting++] = x;
        return;
    }
    if (str_starts(q->path, "/big/")) {
        uint64_t n = 0;

        assert_int_equal(parse_u64(q->path + 5, &n), 0);
        assert_true(buf_reserve(&body, n));
        memset(body.p, 'x', n);
        body.len = n;
        http_answer_buf(x, 200, NULL, 0, &body);
        return;
    }
    buf_printf(&body, "%s %s ?%s [%.*s] %s", q->method, q->path, q->query, (int)q->body_len,
               q->body ? (const char *)q->body : "", q->peer_is_unix ? "unix" : "tcp");
    http_answer(x, 200, extra, ARRAY_LEN(extra), body.p, body.len);
    buf_done(&body);
}

static struct bed *bed_new(const char *address, const struct http_server_opts *o)
{
    struct http_server_opts opts = *o;
    struct bed *b = xnew0(struct bed);
    struct err e;
    int fd;

    opts.handler = on_request;
    opts.arg = b;
    assert_int_equal(loop_new(&b->loop), 0);
    assert_int_equal(listen_open(address, &fd, &b->address, &e), 0);
    assert_int_equal(http_listen(b->loop, fd, &opts, &b->server), 0);
    return b;
}

static void bed_free(struct bed *b)
{
    b->server = http_server_free(b->server);
    conn_drop_closing(b->loop);
    b->loop = loop_free(b->loop);
    free(b->address);
    free(b);
}

static int setup(void **state)
{
    static const struct http_server_opts plain;

    *state = bed_new("127.0.0.1:0", &plain);
    return 0;
}

static int teardown(void **state)
{
    if (*state)
        bed_free(*state);
    return 0;
}

/* --- requests --- */

static void test_get_on_a_kept_connection(void **state)
{
    _cleanup_buf_ struct buf got = BUF_INIT(MIB);
    struct bed *b = *state;
    _cleanup_close_ int fd = dial(b->address);

    ask(b->loop, fd, "GET /a%20b?c=d HTTP/1.1\r\n" HOST "\r\n", 1, &got);
    assert_has(&got, "HTTP/1.1 200 OK\r\n");
    assert_has(&got, "X-Extra: yes\r\n");
    assert_has(&got, "Content-Length: 22\r\n");
    assert_has(&got, "Date: ");
    assert_has(&got, " GMT\r\n");
    assert_has(&got, "\r\n\r\nGET /a%20b ?c=d [] tcp");
    assert_has_not(&got, "Connection");
    assert_has_not(&got, "X-Injected");
    ask(b->loop, fd, "GET /2 HTTP/1.1\r\n" HOST "\r\n", 2, &got);
    assert_has(&got, "GET /2");
    assert_int_equal(http_server_connections(b->server), 1);
}

static void test_byte_by_byte(void **state)
{
    static const char text[] = "\r\nPUT /x HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc"
                               "PUT /y HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
                               "2\r\nde\r\n1\r\nf\r\n0\r\n\r\nGET /z HTTP/1.1\r\n" HOST "\r\n";
    _cleanup_buf_ struct buf got = BUF_INIT(MIB);
    struct bed *b = *state;
    _cleanup_close_ int fd = dial(b->address);

    for (size_t i = 0; text[i]; i++)
        say_n(b->loop, fd, text + i, 1);
    ask(b->loop, fd, "", 3, &got);
    assert_has(&got, "PUT /x ? [abc]");
    assert_has(&got, "PUT /y ? [def]");
    assert_has(&got, "GET /z ? []");
}

static void test_pipelined_requests_are_answered_in_order(void **state)
{
    _cleanup_buf_ struct buf got = BUF_INIT(MIB), text = BUF_INIT(MIB);
    struct bed *b = *state;
    _cleanup_close_ int fd = dial(b->address);
    const char *at;

    for (int i = 0; i < 100; i++)
        buf_printf(&text, "GET /n%02d HTTP/1.1\r\n" HOST "\r\n", i);
    ask(b->loop, fd, buf_str(&text), 100, &got);
    at = buf_str(&got);
    for (int i = 0; i < 100; i++) {
        char want[16];

        (void)snprintf(want, sizeof(want), "GET /n%02d", i);
        at = strstr(at, want);
        assert_non_null(at);
    }
}

static void test_a_waiting_request_holds_back_those_behind_it(void **state)
{
    _cleanup_buf_ struct buf got = BUF_INIT(MIB);
    struct bed *b = *state;
    _cleanup_close_ int fd = dial(b->address);

    say(b->loop, fd, "GET /wait HTTP/1.1\r\n" HOST "\r\nGET /next HTTP/1.1\r\n" HOST "\r\n");
    turn_until(b->loop, b->n_waiting == 1);
    say(b->loop, fd, "GET /third HTTP/1.1\r\n" HOST "\r\n");
    turn_some(b->loop, 5);
    assert_int_equal(b->n_requests, 1);
    http_answer(b->waiting[0], 200, NULL, 0, "first", 5);
    ask(b->loop, fd, "", 3, &got);
    assert_true(strstr(buf_str(&got), "first") < strstr(buf_str(&got), "GET /next"));
    assert_true(strstr(buf_str(&got), "GET /next") < strstr(buf_str(&got), "GET /third"));
}

/* a peer that sends without end behind an unanswered request is not read without end */
static void test_a_flood_behind_a_waiting_request_is_not_read(void **state)
{
    struct bed *b = *state;
    _cleanup_close_ int fd = dial(b->address);
    size_t sent = 0;
    int full = 0;

    say(b->loop, fd, "GET /wait HTTP/1.1\r\n" HOST "\r\n");
    turn_until(b->loop, b->n_waiting == 1);
    while (full < 50 && sent < 64 * MIB) {
        static const char filler[] = "GET /f HTTP/1.1\r\n" HOST "\r\n";
        ssize_t k = send(fd, filler, sizeof(filler) - 1, MSG_NOSIGNAL);

        if (k < 0) {
            assert_int_equal(errno, EAGAIN);
            full++;
            turn_some(b->loop, 1);
        } else {
            sent += (size_t)k;
        }
    }
    assert_int_equal(full, 50); /* the kernel's buffers are full: nobody reads */
    assert_int_equal(b->n_gone, 0);
    assert_int_equal(b->n_requests, 1);
    http_answer(b->waiting[0], 200, NULL, 0, "first", 5);
    turn_until(b->loop, b->n_requests > 1000);
}

static void test_head_has_the_length_and_no_body(void **state)
{
    _cleanup_buf_ struct buf got = BUF_INIT(MIB);
    struct bed *b = *state;
    _cleanup_close_ int fd = dial(b->address);

    ask(b->loop, fd, "HEAD /a HTTP/1.1\r\n" HOST "\r\n", 1, &got);
    assert_has(&got, "Content-Length: 16\r\n");
    assert_true(str_ends(buf_str(&got), "\r\n\r\n"));
}

static void test_http_1_0(void **state)
{
    _cleanup_buf_ struct buf got = BUF_INIT(MIB);
    struct bed *b = *state;
    _cleanup_close_ int fd = dial(b->address);

    ask(b->loop, fd, "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 1, &got);
    assert_has(&got, "Connection: keep-alive\r\n");
    ask(b->loop, fd, "GET /b HTTP/1.0\r\n\r\n", 2, &got);
    assert_has(&got, "Connection: close\r\n");
    wait_closed(b->loop, fd, &got);
    turn_until(b->loop, http_server_connections(b->server) == 0);
}

static void test_connection_close_is_obeyed(void **state)
{
    _cleanup_buf_ struct buf got = BUF_INIT(MIB);
    struct bed *b = *state;
    _cleanup_close_ int fd = dial(b->address);

    ask(b->loop, fd,
        "GET /a HTTP/1.1\r\n" HOST "Connection: close\r\n\r\nGET /b HTTP/1.1\r\n" HOST "\r\n", 1,
        &got);
    wait_closed(b->loop, fd, &got);
    assert_int_equal(b->n_requests, 1);
}

static void test_half_closed_peers_get_what_they_asked_for(void **state)
{
    _cleanup_buf_ struct buf got = BUF_INIT(MIB);
    struct bed *b = *state;
    _cleanup_close_ int fd = dial(b->address);

    for (int i = 0; i < 20; i++)
        assert_true(send(fd, "GET /a HTTP/1.1\r\n" HOST "\r\n", 28, MSG_NOSIGNAL) == 28);
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    wait_closed(b->loop, fd, &got);
    assert_int_equal(count(&got, "200 OK"), 20);
}

static void test_expect_100_continue(void **state)
{
    _cleanup_buf_ struct buf got = BUF_INIT(MIB);
    struct bed *b = *state;
    _cleanup_close_ int fd = dial(b->address);

    ask(b->loop, fd, "PUT /a HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n",
        1, &got);
    assert_string_equal(buf_str(&got), "HTTP/1.1 100 Continue\r\n\r\n");
    ask(b->loop, fd, "ok", 2, &got);
    assert_has(&got, "PUT /a ? [ok]");
}

static void test_large_bodies_both_ways(void **state)
{
    static const size_t sizes[] = {5000, 300 * KIB, 8 * MIB, 8 * MIB + 1, 40 * MIB};
    struct bed *b = *state;

    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        for (int close_after = 0; close_after < 2; close_after++) {
            _cleanup_buf_ struct buf got = BUF_INIT(64 * MIB);
            _cleanup_close_ int fd = dial(b->address);
            const char *body;
            char text[128];

            (void)snprintf(text, sizeof(text), "GET /big/%zu HTTP/1.1\r\n" HOST "%s\r\n", sizes[i],
                           close_after ? "Connection: close\r\n" : "");
            say(b->loop, fd, text);
            do {
                turn_some(b->loop, 1);
                (void)listen_to(fd, &got);
                body = got.len ? memmem(got.p, got.len, "\r\n\r\n", 4) : NULL;
            } while (!body || got.len - (size_t)(body + 4 - (char *)got.p) < sizes[i]);
            assert_int_equal(got.len - (size_t)(body + 4 - (char *)got.p), sizes[i]);
            if (close_after)
                wait_closed(b->loop, fd, &got);
            else
                ask(b->loop, fd, "GET /a HTTP/1.1\r\n" HOST "\r\n", 2, &got);
        }
    }
}

/* a peer that asks and does not read: answers stop, memory with them */
static void test_answers_wait_for_a_slow_reader(void **state)
{
    _cleanup_buf_ struct buf got = BUF_INIT(512 * MIB);
    struct bed *b = *state;
    _cleanup_close_ int fd = dial(b->address);

    for (int i = 0; i < 30; i++)
        say(b->loop, fd, "GET /big/4000000 HTTP/1.1\r\n" HOST "\r\n");
    turn_some(b->loop, 20);
    assert_true(b->n_requests < 10);
    for (int i = 0; i < 4000 && got.len < 30 * 4000000; i++) {
        turn_some(b->loop, 1);
        (void)listen_to(fd, &got);
    }
    assert_int_equal(b->n_requests, 30);
    assert_true(got.len > 30 * 4000000);
}

/* --- refusals --- */

static void test_bad_requests_are_answered_and_closed(void **state)
{
    static const struct {
        const char *text, *status;
    } rows[] = {
        {"GET / HTTP/1.1\r\n\r\n",                                                            "400 Bad" },
        {"GET / HTTP/1.1\nHost: h\n\n",                                                       "400 Bad" },
        {"\x16\x03\x01",                                                                      "400 Bad" },
        {"GET / HTTP/1.1\r\n" HOST "X: a\r\n b\r\n\r\n",                                      "400 Bad" },
        {"PUT / HTTP/1.1\r\n" HOST "Content-Length: 1048577\r\n\r\n",                         "413 Req" },
        {"PUT / HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 1048577\r\n\r\n",
         "413 Req"                                                                                      },
        {"PUT / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nzz\r\n",                "400 Bad" },
        {"PUT / HTTP/1.1\r\n" HOST
         "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",         "400 Bad" },
        {"PUT / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip\r\n\r\n",                         "501 Not" },
        {"GET / HTTP/1.1\r\n" HOST "Expect: x\r\n\r\n",                                       "417 Exp" },
        {"GET / HTTP/3.0\r\n" HOST "\r\n",                                                    "505 HTTP"},
        {"\r\n\r\n\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n",                        "400 Bad" },
    };
    struct bed *b = *state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_buf_ struct buf got = BUF_INIT(MIB);
        _cleanup_close_ int fd = dial(b->address);

        say(b->loop, fd, rows[i].text);
        wait_closed(b->loop, fd, &got);
        assert_int_equal(count(&got, "HTTP/1.1 "), 1);
        assert_has(&got, rows[i].status);
        assert_has(&got, "Connection: close\r\n");
        assert_has(&got, "Content-Type: text/plain; charset=utf-8\r\n");
    }
    assert_int_equal(b->n_requests, 0);
}

static void test_oversized_head_is_431(void **state)
{
    _cleanup_buf_ struct buf got = BUF_INIT(MIB), text = BUF_INIT(MIB);
    struct bed *b = *state;
    _cleanup_close_ int fd = dial(b->address);

    buf_add_str(&text, "GET / HTTP/1.1\r\n" HOST "X: ");
    for (size_t i = 0; i < HTTP_HEAD_MAX; i++)
        buf_add_byte(&text, 'x');
    say(b->loop, fd, buf_str(&text));
    wait_closed(b->loop, fd, &got);
    assert_has(&got, "431 Request Header Fields Too Large");
}

static void test_oversized_chunked_body_is_413(void **state)
{
    _cleanup_buf_ struct buf got = BUF_INIT(MIB), text = BUF_INIT(4 * MIB);
    struct bed *b = *state;
    _cleanup_close_ int fd = dial(b->address);

    buf_add_str(&text, "PUT / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 200; i++) {
        buf_add_str(&text, "2000\r\n");
        for (int k = 0; k < 0x2000; k++)
            buf_add_byte(&text, 'x');
        buf_add_str(&text, "\r\n");
    }
    say(b->loop, fd, buf_str(&text));
    wait_closed(b->loop, fd, &got);
    assert_has(&got, "413 Request Entity Too Large");
}

static void test_the_largest_allowed_body_is_taken(void **state)
{
    _cleanup_buf_ struct buf got = BUF_INIT(4 * MIB), text = BUF_INIT(4 * MIB);
    struct bed *b = *state;
    _cleanup_close_ int fd = dial(b->address);

    buf_printf(&text, "PUT / HTTP/1.1\r\n" HOST "Content-Length: %zu\r\n\r\n", HTTP_BODY_MAX);
    for (size_t i = 0; i < HTTP_BODY_MAX; i++)
        buf_add_byte(&text, 'x');
    ask(b->loop, fd, buf_str(&text), 1, &got);
    assert_has(&got, "200 OK");
}

/* --- time --- */

static struct bed *bed_with_fake_clock(void **state)
{
    struct bed *b;

    clock_fake(true, 1000 * NSEC_PER_SEC, 1700000000 * (int64_t)NSEC_PER_SEC);
    (void)state;
    b = bed_new("127.0.0.1:0", &(struct http_server_opts){0});
    return b;
}

static void pass(struct bed *b, uint64_t sec)
{
    clock_fake_advance(sec * NSEC_PER_SEC);
    (void)loop_run_due(b->loop);
}

static void test_slow_heads_get_408(void **state)
{
    _cleanup_buf_ struct buf got = BUF_INIT(MIB);
    struct bed *b = bed_with_fake_clock(state);
    _cleanup_close_ int fd = dial(b->address);

    say(b->loop, fd, "GET / HT");
    turn_some(b->loop, 3);
    for (int i = 0; i < 9; i++) { /* a byte now and then does not help */
        say(b->loop, fd, "T");
        pass(b, 1);
    }
    assert_int_equal(listen_to(fd, &got), 0);
    pass(b, 1);
    wait_closed(b->loop, fd, &got);
    assert_has(&got, "408 Request Timeout");
    bed_free(b);
    clock_fake(false, 0, 0);
}

static void test_slow_bodies_get_408(void **state)
{
    _cleanup_buf_ struct buf got = BUF_INIT(MIB);
    struct bed *b = bed_with_fake_clock(state);
    _cleanup_close_ int fd = dial(b->address);

    say(b->loop, fd, "PUT / HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\nabc");
    turn_some(b->loop, 3);
    pass(b, 29);
    assert_int_equal(listen_to(fd, &got), 0);
    pass(b, 1);
    wait_closed(b->loop, fd, &got);
    assert_has(&got, "408 Request Timeout");
    bed_free(b);
    clock_fake(false, 0, 0);
}

static void test_idle_connections_are_closed_without_a_word(void **state)
{
    _cleanup_buf_ struct buf got = BUF_INIT(MIB);
    struct bed *b = bed_with_fake_clock(state);
    _cleanup_close_ int fresh = dial(b->address), used = dial(b->address);

    ask(b->loop, used, "GET / HTTP/1.1\r\n" HOST "\r\n", 1, &got);
    assert_int_equal(http_server_connections(b->server), 2);
    pass(b, 119);
    assert_int_equal(http_server_connections(b->server), 2);
    pass(b, 1);
    assert_int_equal(http_server_connections(b->server), 0);
    buf_reset(&got);
    wait_closed(b->loop, fresh, &got);
    wait_closed(b->loop, used, &got);
    assert_int_equal(got.len, 0);
    bed_free(b);
    clock_fake(false, 0, 0);
}

static void test_a_head_that_was_not_looked_at_in_time_counts(void **state)
{
    _cleanup_buf_ struct buf got = BUF_INIT(MIB);
    struct bed *b = bed_with_fake_clock(state);
    int fd = dial(b->address);

    say(b->loop, fd, "GET /x HTTP/1.1\r\n");
    turn_some(b->loop, 5);
    assert_int_equal(send(fd, HOST "\r\n", strlen(HOST "\r\n"), MSG_NOSIGNAL), strlen(HOST) + 2);
    pass(b, 60);
    ask(b->loop, fd, "", 1, &got);
    assert_has(&got, "HTTP/1.1 200 OK");
    (void)fd_close(fd);
    bed_free(b);
    clock_fake(false, 0, 0);
}

/* large answers, and behind them a request that waits: all of it goes when nobody reads */
static void test_readers_that_take_nothing_are_left(void **state)
{
    static const char *const behind[] = {"", "GET /wait HTTP/1.1\r\n" HOST "\r\n"};

    for (size_t i = 0; i < ARRAY_LEN(behind); i++) {
        struct bed *b = bed_with_fake_clock(state);
        int fd = dial(b->address);

        say(b->loop, fd, "GET /big/16777216 HTTP/1.1\r\n" HOST "\r\n");
        say(b->loop, fd, behind[i]);
        turn_until(b->loop, b->n_requests == 1);
        turn_some(b->loop, 5);
        pass(b, 370); /* 120 s and 256 for the bytes */
        turn_some(b->loop, 5);
        assert_int_equal(http_server_connections(b->server), 1);
        assert_true(budget_held(BUDGET_OUT) > MIB);
        pass(b, 10);
        turn_some(b->loop, 5);
        assert_int_equal(http_server_connections(b->server), 0);
        assert_int_equal(budget_held(BUDGET_OUT), 0);
        (void)fd_close(fd);
        bed_free(b);
        clock_fake(false, 0, 0);
    }
}

static void test_answers_that_left_in_one_piece_have_their_time_too(void **state)
{
    struct bed *b = bed_with_fake_clock(state);
    int fd = dial(b->address);

    say(b->loop, fd, "GET /big/8000000 HTTP/1.1\r\n" HOST "\r\n");
    turn_until(b->loop, b->n_requests == 1);
    turn_some(b->loop, 5);
    pass(b, 125); /* idle, but for what has not left */
    pass(b, 110);
    turn_some(b->loop, 5);
    assert_int_equal(http_server_connections(b->server), 1);
    pass(b, 10);
    turn_some(b->loop, 5);
    assert_int_equal(http_server_connections(b->server), 0);
    (void)fd_close(fd);
    bed_free(b);
    clock_fake(false, 0, 0);
}

static void test_answers_and_bodies_beyond_the_budget_are_503(void **state)
{
    _cleanup_buf_ struct buf got = BUF_INIT(MIB);
    struct bed *b = *state;
    _cleanup_close_ int fd = dial(b->address), other = dial(b->address);
    size_t out = 0, in = 0;

    budget_limit(BUDGET_OUT, MIB);
    budget_hold(BUDGET_OUT, &out, MIB);
    ask(b->loop, fd, "GET /big/100000 HTTP/1.1\r\n" HOST "\r\n", 1, &got);
    assert_has(&got, "HTTP/1.1 503 Service Unavailable\r\n");
    assert_has(&got, "Retry-After: 1\r\n");
    assert_has(&got, "the server is busy: too much waits in its connections");
    ask(b->loop, fd, "GET /small HTTP/1.1\r\n" HOST "\r\n", 2, &got); /* the connection goes on */
    assert_has(&got, "GET /small");
    budget_hold(BUDGET_OUT, &out, 0);
    budget_limit(BUDGET_OUT, 0);

    buf_reset(&got);
    budget_limit(BUDGET_IN, MIB);
    budget_hold(BUDGET_IN, &in, MIB);
    say(b->loop, other, "PUT /x HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nabc");
    wait_closed(b->loop, other, &got);
    assert_has(&got, "HTTP/1.1 503 Service Unavailable\r\n");
    assert_has(&got, "Retry-After: 1\r\n");
    ask(b->loop, fd, "GET /again HTTP/1.1\r\n" HOST "\r\n", 1, (buf_reset(&got), &got));
    budget_hold(BUDGET_IN, &in, 0);
    budget_limit(BUDGET_IN, 0);
    assert_int_equal(budget_held(BUDGET_IN), 0);
}

static void test_a_waiting_request_has_no_timeout(void **state)
{
    _cleanup_buf_ struct buf got = BUF_INIT(MIB);
    struct bed *b = bed_with_fake_clock(state);
    _cleanup_close_ int fd = dial(b->address);

    say(b->loop, fd, "GET /wait HTTP/1.1\r\n" HOST "\r\n");
    turn_until(b->loop, b->n_waiting == 1);
    pass(b, 100000);
    http_answer(b->waiting[0], 200, NULL, 0, "late", 4);
    ask(b->loop, fd, "", 1, &got);
    assert_has(&got, "late");
    bed_free(b);
    clock_fake(false, 0, 0);
}

/* --- peers that go --- */

static void test_a_vanished_peer_is_noticed_while_its_request_waits(void **state)
{
    struct bed *b = *state;
    int fd = dial(b->address);

    say(b->loop, fd, "GET /wait HTTP/1.1\r\n" HOST "\r\n");
    turn_until(b->loop, b->n_waiting == 1);
    (void)fd_close(fd);
    turn_until(b->loop, b->n_gone == 1);
    assert_int_equal(http_server_connections(b->server), 0);
    fd = dial(b->address);
    say(b->loop, fd, "GET /wait HTTP/1.1\r\n" HOST "\r\n");
    turn_until(b->loop, b->n_waiting == 2);
    assert_int_equal(
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger)), 0);
    (void)fd_close(fd); /* by a reset this time */
    turn_until(b->loop, b->n_gone == 2);
    assert_int_equal(http_server_connections(b->server), 0);
}

static void test_an_answer_for_nobody_is_dropped(void **state)
{
    struct bed *b = *state;
    int fd = dial(b->address);

    say(b->loop, fd, "GET /wait/deaf HTTP/1.1\r\n" HOST "\r\n");
    turn_until(b->loop, b->n_waiting == 1);
    (void)fd_close(fd);
    turn_until(b->loop, http_server_connections(b->server) == 0);
    http_answer(b->waiting[0], 200, NULL, 0, "x", 1);
    assert_int_equal(b->n_gone, 0);
}

static void test_freeing_the_server_ends_what_waits(void **state)
{
    struct bed *b = *state;
    _cleanup_close_ int fd = dial(b->address), idle = dial(b->address);

    say(b->loop, fd, "GET /wait HTTP/1.1\r\n" HOST "\r\n");
    turn_until(b->loop, b->n_waiting == 1);
    b->server = http_server_free(b->server);
    assert_int_equal(b->n_gone, 1);
    (void)idle;
}

/* --- many --- */

static void test_connections_per_client_are_limited(void **unused)
{
    static const struct http_server_opts o = {.max_per_client = 2};
    _cleanup_buf_ struct buf got = BUF_INIT(MIB);
    struct bed *b = bed_new("127.0.0.1:0", &o);
    int one = dial(b->address), two = dial(b->address), three;

    (void)unused;
    turn_until(b->loop, http_server_connections(b->server) == 2);
    three = dial(b->address);
    wait_closed(b->loop, three, &got);
    assert_has(&got, "HTTP/1.1 429 Too Many Requests\r\n");
    assert_has(&got,
               "\r\n\r\nYour IP is issuing too many concurrent connections, please rate limit "
               "your calls\n");
    (void)fd_close(one);
    turn_until(b->loop, http_server_connections(b->server) == 1);
    (void)fd_close(three);
    three = dial(b->address);
    buf_reset(&got);
    ask(b->loop, three, "GET / HTTP/1.1\r\n" HOST "\r\n", 1, &got);
    assert_has(&got, "200 OK");
    (void)fd_close(two);
    (void)fd_close(three);
    bed_free(b);
}

static void test_accepting_goes_on_after_descriptors_ran_out(void **state)
{
    _cleanup_buf_ struct buf got = BUF_INIT(MIB);
    struct bed *b = *state;
    int fd, used[64], n = 0;
    struct rlimit old, low;

    if (on_valgrind())
        skip(); /* its own descriptors are above the limit of the process: none run out */
    fd = dial(b->address);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    low = old;
    low.rlim_cur = (rlim_t)fd + 8;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    while (n < 64 && (used[n] = dup(0)) >= 0)
        n++;
    turn_some(b->loop, 5);
    assert_int_equal(http_server_connections(b->server), 0);
    while (n > 0)
        (void)fd_close(used[--n]);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    ask(b->loop, fd, "GET / HTTP/1.1\r\n" HOST "\r\n", 1, &got);
    (void)fd_close(fd);
}

static void test_peers_cannot_take_all_descriptors(void **unused)
{
    static const struct http_server_opts o;
    int fds[130], n = 0, spare;
    struct rlimit old, low;
    struct bed *b;

    (void)unused;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    low = old;
    low.rlim_cur = 256;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    b = bed_new("127.0.0.1:0", &o); /* 64 of 256 stay */
    for (; n < 130; n++) {
        fds[n] = dial(b->address);
        turn_some(b->loop, 2);
    }
    assert_in_range(http_server_connections(b->server), 60, 96);
    spare = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(spare >= 0);
    (void)fd_close(spare);
    while (n > 0)
        (void)fd_close(fds[--n]);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    bed_free(b);
}

static void test_unix_peers_are_known_by_uid(void **state)
{
    _cleanup_free_ char *address = NULL;
    _cleanup_buf_ struct buf got = BUF_INIT(MIB);
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    struct bed *b;
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)state;
    (void)snprintf(a.sun_path, sizeof(a.sun_path), "%s/http1-%d.sock", getenv("TMPDIR") ?: "/tmp",
                   (int)getpid());
    address = xasprintf("unix:%s", a.sun_path);
    b = bed_new(address, &(struct http_server_opts){.max_per_client = 1});
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    ask(b->loop, fd, "GET / HTTP/1.1\r\n" HOST "\r\n", 1, &got);
    assert_has(&got, "unix");
    bed_free(b);
    (void)unlink(a.sun_path);
}

#define WITH_BED(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BED(test_get_on_a_kept_connection),
        WITH_BED(test_byte_by_byte),
        WITH_BED(test_pipelined_requests_are_answered_in_order),
        WITH_BED(test_a_waiting_request_holds_back_those_behind_it),
        WITH_BED(test_a_flood_behind_a_waiting_request_is_not_read),
        WITH_BED(test_head_has_the_length_and_no_body),
        WITH_BED(test_http_1_0),
        WITH_BED(test_connection_close_is_obeyed),
        WITH_BED(test_half_closed_peers_get_what_they_asked_for),
        WITH_BED(test_expect_100_continue),
        WITH_BED(test_large_bodies_both_ways),
        WITH_BED(test_answers_wait_for_a_slow_reader),
        WITH_BED(test_bad_requests_are_answered_and_closed),
        WITH_BED(test_oversized_head_is_431),
        WITH_BED(test_oversized_chunked_body_is_413),
        WITH_BED(test_the_largest_allowed_body_is_taken),
        cmocka_unit_test(test_slow_heads_get_408),
        cmocka_unit_test(test_slow_bodies_get_408),
        cmocka_unit_test(test_idle_connections_are_closed_without_a_word),
        cmocka_unit_test(test_a_head_that_was_not_looked_at_in_time_counts),
        cmocka_unit_test(test_readers_that_take_nothing_are_left),
        cmocka_unit_test(test_answers_that_left_in_one_piece_have_their_time_too),
        WITH_BED(test_answers_and_bodies_beyond_the_budget_are_503),
        cmocka_unit_test(test_a_waiting_request_has_no_timeout),
        WITH_BED(test_a_vanished_peer_is_noticed_while_its_request_waits),
        WITH_BED(test_an_answer_for_nobody_is_dropped),
        WITH_BED(test_freeing_the_server_ends_what_waits),
        cmocka_unit_test(test_connections_per_client_are_limited),
        WITH_BED(test_accepting_goes_on_after_descriptors_ran_out),
        cmocka_unit_test(test_peers_cannot_take_all_descriptors),
        cmocka_unit_test(test_unix_peers_are_known_by_uid),
    };

    loop_block_signals();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
