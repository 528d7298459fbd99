#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>

#include "tests/support/wire_raw.h"
#include "wire/accept.h"
#include "wire/addr.h"
#include "wire/conn.h"
#include "wire/peers.h"
#include "wire/rpc_stream.h"
#include "wire/rpc_wire.h"

struct house {
    struct loop *l;
    struct rpc_listener *ln;
    char *bound;
    struct rpc_session *last;
    int opened, closed, n_each;
    struct rpc_session *each[10];
    struct rpc_request *held;
    bool hold;
    int gone;
    struct taken *taken;
};

static void on_gone(void *arg, struct rpc_request *q)
{
    struct house *h = arg;

    h->gone++;
    h->held = NULL;
    rpc_drop(q);
}

static void handler(void *arg, struct rpc_request *q)
{
    struct house *h = arg;

    if (h->hold) {
        h->held = q;
        q->arg = h;
        q->on_gone = on_gone;
    } else {
        rpc_reply(q, NULL, 0);
    }
}

static void on_session(void *arg, struct rpc_session *s)
{
    struct house *h = arg;

    h->opened++;
    h->last = s;
}

static void on_closed(void *arg, struct rpc_session *s, const struct err *e)
{
    struct house *h = arg;

    assert_true(e->code < 0);
    assert_false(rpc_session_is_open(s));
    h->closed++;
    if (h->last == s)
        h->last = NULL;
}

static rpc_stream_handler take_stream;

static void house_open(struct house *h, unsigned max_per_client)
{
    struct rpc_listen_opts o = {.handler = handler,
                                .handler_arg = h,
                                .stream_handler = take_stream,
                                .stream_arg = h,
                                .on_session = on_session,
                                .on_closed = on_closed,
                                .arg = h,
                                .handshake_timeout_ns = 5 * NSEC_PER_SEC,
                                .max_per_client = max_per_client};
    struct err e;
    int fd;

    memset(h, 0, sizeof(*h));
    clock_fake(true, UINT64_C(1) << 60, 0);
    assert_int_equal(loop_new(&h->l), 0);
    assert_int_equal(listen_open("127.0.0.1:0", &fd, &h->bound, &e), 0);
    assert_int_equal(rpc_listen(h->l, fd, &o, &h->ln), 0);
}

static void house_done(struct house *h)
{
    h->ln = rpc_listener_free(h->ln);
    turn_some(h->l, 3);
    conn_drop_closing(h->l);
    free(h->bound);
    h->l = loop_free(h->l);
    clock_fake(false, 0, 0);
}

/* a visitor from 127.0.0.n */
static void visit_from(struct house *h, struct raw *r, const char *source)
{
    struct sockaddr_storage a;
    struct err e;
    socklen_t len;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(addr_parse(source, &a, &len, &e), 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, len), 0);
    assert_int_equal(addr_parse(h->bound, &a, &len, &e), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, len), 0);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    *r = (struct raw){.l = h->l, .fd = fd, .in = BUF_INIT(MIB)};
    turn_some(h->l, 2);
}

static void visit(struct house *h, struct raw *r)
{
    visit_from(h, r, "127.0.0.1:0");
}

static void ask(struct raw *r, bool yamux)
{
    struct buf b = BUF_INIT(1000);

    rpc_request_header_write(&b, 1, "Status.Ping");
    buf_add_byte(&b, 0x80);
    if (yamux) {
        raw_frame(r, R_WINDOW, R_SYN, 1, 0);
        raw_data(r, 0, 1, "\1", 1);
        raw_data(r, 0, 1, b.p, b.len);
    } else {
        raw_say(r, b.p, b.len);
    }
    buf_done(&b);
}

static void expect_answer(struct raw *r, bool yamux)
{
    struct buf b = BUF_INIT(1000);

    rpc_reply_header_write(&b, "", 1, "Status.Ping");
    buf_add_byte(&b, 0x80);
    if (yamux) {
        raw_expect(r, R_WINDOW, R_ACK, 1, 0);
        raw_expect_data(r, 1, b.p, b.len);
    } else {
        raw_need(r, b.len);
        assert_memory_equal(r->in.p, b.p, b.len);
        buf_drop(&r->in, b.len);
    }
    buf_done(&b);
}

static void test_first_byte_chooses_yamux_or_plain(void **state)
{
    struct house h;
    struct raw r;

    (void)state;
    house_open(&h, 0);
    for (int yamux = 0; yamux < 2; yamux++) {
        visit(&h, &r);
        raw_quiet(&r); /* a server never speaks first */
        raw_say(&r, yamux ? "\6" : "\1", 1);
        ask(&r, yamux);
        expect_answer(&r, yamux);
        assert_int_equal(rpc_listener_sessions(h.ln), 1);
        assert_int_equal(h.opened, yamux + 1);
        raw_close(&r);
        turn_until(h.l, h.closed == yamux + 1);
        assert_int_equal(rpc_listener_sessions(h.ln), 0);
    }
    house_done(&h);
}

static void test_any_other_byte_is_closed_without_a_word(void **state)
{
    static const uint8_t types[] = {0, 2, 3, 4, 7, 'G', 0xff};
    struct house h;
    struct raw r;

    (void)state;
    house_open(&h, 0);
    for (size_t i = 0; i < sizeof(types); i++) {
        uint8_t bytes[20] = {types[i], 1, 2, 3};

        visit(&h, &r);
        raw_say(&r, bytes, sizeof(bytes));
        raw_end(&r);
        raw_close(&r);
    }
    assert_int_equal(h.opened, 0);
    house_done(&h);
}

/* --- type byte 05: the connection is one streaming RPC, as agents forward streams --- */

static const char stream_head[] = "\x05\x81\xa6Method\xa3"
                                  "A.B";
static const char agreed[] = "\x81\xa5"
                             "Error\xa0";

struct taken {
    struct rpc_stream *s;
    size_t n_objects, n_bytes, n_room, n_ends;
    int code;
};

static void on_object(void *arg, const uint8_t *p, size_t n)
{
    struct taken *t = arg;

    (void)p;
    t->n_objects++;
    t->n_bytes += n;
}

static void on_room(void *arg)
{
    struct taken *t = arg;

    t->n_room++;
}

static void on_end(void *arg, const struct err *e)
{
    struct taken *t = arg;

    t->n_ends++;
    t->code = e ? e->code : 0;
    t->s = NULL;
}

static void take_stream(void *arg, struct rpc_stream *s, const char *method)
{
    static const struct rpc_stream_user user = {on_object, on_room, on_end};
    struct house *h = arg;

    if (strcmp(method, "A.B") != 0)
        return;
    h->taken->s = s;
    rpc_stream_accept(s, &user, h->taken);
}

static void visit_stream(struct house *h, struct raw *r, struct taken *t)
{
    *t = (struct taken){0};
    h->taken = t;
    visit(h, r);
    raw_say(r, stream_head, sizeof(stream_head) - 1);
    raw_need(r, sizeof(agreed) - 1);
    assert_memory_equal(r->in.p, agreed, sizeof(agreed) - 1);
    buf_drop(&r->in, sizeof(agreed) - 1);
}

static void test_streams_on_their_own_connection(void **state)
{
    struct taken t;
    struct house h;
    struct raw r;

    (void)state;
    house_open(&h, 0);
    visit_stream(&h, &r, &t);
    raw_say(&r, "\x80\x81\xa1", 3);
    turn_until(h.l, t.n_objects == 1);
    raw_say(&r, "a\x01", 2);
    turn_until(h.l, t.n_objects == 2);
    assert_int_equal(rpc_stream_write(t.s, "\xa3xyz", 4), 0);
    raw_need(&r, 4);
    assert_memory_equal(r.in.p, "\xa3xyz", 4);
    buf_drop(&r.in, 4);
    turn_until(h.l, t.n_room > 0);
    t.s = rpc_stream_close(t.s);
    raw_end(&r);
    turn_until(h.l, h.closed == 1);
    assert_int_equal(t.n_ends, 0);
    raw_close(&r);

    visit_stream(&h, &r, &t); /* the other end closes */
    raw_say(&r, "\x80", 1);
    raw_close(&r);
    turn_until(h.l, t.n_ends == 1);
    assert_int_equal(t.n_objects, 1);
    assert_int_equal(t.code, 0);
    turn_until(h.l, h.closed == 2);

    visit(&h, &r); /* a method that nobody has */
    raw_say(&r, "\x05\x81\xa6Method\xa1X", 11);
    raw_need(&r, 9);
    turn_until(h.l, h.closed == 3);
    raw_close(&r);

    visit_stream(&h, &r, &t); /* the listener goes */
    h.ln = rpc_listener_free(h.ln);
    turn_until(h.l, t.n_ends == 1);
    assert_true(t.code < 0);
    raw_close(&r);
    house_done(&h);
}

static void test_streams_on_their_own_connection_are_paced(void **state)
{
    static uint8_t piece[60000], place[65536];
    struct taken t;
    struct house h;
    struct raw r;
    size_t sent = 0, n = 0;

    (void)state;
    house_open(&h, 0);
    visit_stream(&h, &r, &t);
    piece[0] = 0xda;
    piece[1] = (sizeof(piece) - 3) >> 8;
    piece[2] = (sizeof(piece) - 3) & 0xff;
    for (int full = 0; full < 50;) { /* nobody reads: the kernel's buffers fill, then ours */
        if (rpc_stream_write(t.s, piece, sizeof(piece)) == 0)
            sent += sizeof(piece);
        else
            full++;
        turn_some(h.l, 1);
        assert_true(sent < 64 * MIB);
    }
    assert_true(rpc_stream_room(t.s) < sizeof(piece));
    for (int i = 0; n < sent && i < 30000; i++) {
        ssize_t k = recv(r.fd, place, sizeof(place), MSG_DONTWAIT);

        if (k > 0)
            n += (size_t)k;
        else
            turn_some(h.l, 1);
    }
    assert_int_equal(n, sent);
    n = 0;
    rpc_stream_pause(t.s, true);
    for (int full = 0; full < 50;) {
        ssize_t k =
            send(r.fd, piece + n % sizeof(piece), sizeof(piece) - n % sizeof(piece), MSG_NOSIGNAL);

        if (k > 0)
            n += (size_t)k;
        else
            full++;
        turn_some(h.l, 1);
        assert_true(n < 64 * MIB);
    }
    assert_int_equal(t.n_objects, 0);
    rpc_stream_pause(t.s, false);
    n = n / sizeof(piece) * sizeof(piece);
    for (int i = 0; t.n_bytes < n && i < 30000; i++)
        turn_some(h.l, 1);
    assert_int_equal(t.n_bytes, n);
    t.s = rpc_stream_close(t.s);
    raw_close(&r);
    house_done(&h);
}

static void test_silent_visitor_is_closed_after_five_seconds(void **state)
{
    struct house h;
    struct raw r;

    (void)state;
    house_open(&h, 0);
    visit(&h, &r);
    clock_fake_advance(5 * NSEC_PER_SEC - 1);
    (void)loop_run_due(h.l);
    raw_quiet(&r);
    clock_fake_advance(1);
    (void)loop_run_due(h.l);
    raw_end(&r);
    raw_close(&r);
    visit(&h, &r); /* one that leaves first */
    raw_close(&r);
    turn_some(h.l, 5);
    clock_fake_advance(5 * NSEC_PER_SEC);
    (void)loop_run_due(h.l);
    house_done(&h);
}

static void test_time_limit_ends_with_the_first_byte(void **state)
{
    struct house h;
    struct raw r;

    (void)state;
    house_open(&h, 0);
    visit(&h, &r);
    raw_say(&r, "\1", 1);
    turn_some(h.l, 3);
    clock_fake_advance(20 * NSEC_PER_SEC);
    (void)loop_run_due(h.l);
    ask(&r, false);
    expect_answer(&r, false);
    raw_close(&r);
    house_done(&h);
}

static void test_a_streams_header_has_the_same_limit(void **state)
{
    struct taken t;
    struct house h;
    struct raw r;

    (void)state;
    house_open(&h, 0);
    for (size_t n = 1; n < sizeof(stream_head) - 1; n += 5) { /* nothing of it, or not all */
        int closed = h.closed;

        visit(&h, &r);
        clock_fake_advance(2 * NSEC_PER_SEC);
        raw_say(&r, stream_head, n);
        turn_until(h.l, rpc_listener_sessions(h.ln) == 1);
        clock_fake_advance(3 * NSEC_PER_SEC - 1);
        (void)loop_run_due(h.l);
        raw_quiet(&r);
        clock_fake_advance(1);
        (void)loop_run_due(h.l);
        raw_end(&r);
        turn_until(h.l, h.closed == closed + 1);
        assert_int_equal(rpc_listener_sessions(h.ln), 0);
        raw_close(&r);
    }
    visit_stream(&h, &r, &t); /* one that is in time */
    raw_say(&r, "\x80", 1);
    turn_until(h.l, t.n_objects == 1);
    clock_fake_advance(100 * NSEC_PER_SEC);
    (void)loop_run_due(h.l);
    assert_int_equal(rpc_stream_write(t.s, "\xa3xyz", 4), 0);
    raw_need(&r, 4);
    t.s = rpc_stream_close(t.s);
    raw_close(&r);
    house_done(&h);
}

static void test_connections_per_client_are_limited(void **state)
{
    struct raw r[3], one_more, other;
    struct house h;

    (void)state;
    house_open(&h, 3);
    for (int i = 0; i < 3; i++) {
        visit(&h, &r[i]);
        raw_quiet(&r[i]);
    }
    visit(&h, &one_more);
    raw_end(&one_more); /* accepted and closed at once */
    raw_close(&one_more);
    visit_from(&h, &other, "127.0.0.2:0"); /* somebody else is welcome */
    raw_say(&other, "\1", 1);
    ask(&other, false);
    expect_answer(&other, false);
    raw_close(&r[1]);
    turn_some(h.l, 5);
    visit(&h, &one_more); /* there is room again */
    raw_say(&one_more, "\1", 1);
    ask(&one_more, false);
    expect_answer(&one_more, false);
    raw_close(&one_more);
    raw_close(&other);
    raw_close(&r[0]);
    raw_close(&r[2]);
    house_done(&h);
}

static void collect(void *arg, struct rpc_session *s)
{
    struct house *h = arg;

    h->each[h->n_each++] = s;
}

static void test_each_goes_from_the_newest(void **state)
{
    struct rpc_session *first, *second;
    struct raw a, b;
    struct house h;

    (void)state;
    house_open(&h, 0);
    visit(&h, &a);
    raw_say(&a, "\6", 1);
    turn_until(h.l, h.opened == 1);
    first = h.last;
    visit(&h, &b);
    raw_say(&b, "\6", 1);
    turn_until(h.l, h.opened == 2);
    second = h.last;
    rpc_listener_each(h.ln, collect, &h);
    assert_int_equal(h.n_each, 2);
    assert_ptr_equal(h.each[0], second);
    assert_ptr_equal(h.each[1], first);
    raw_close(&a);
    raw_close(&b);
    house_done(&h);
}

static void test_session_closed_by_its_user_is_forgotten(void **state)
{
    struct house h;
    struct raw r;

    (void)state;
    house_open(&h, 1);
    visit(&h, &r);
    raw_say(&r, "\6", 1);
    turn_until(h.l, h.opened == 1);
    rpc_session_close(h.last);
    raw_end(&r);
    turn_until(h.l, h.closed == 1);
    assert_int_equal(rpc_listener_sessions(h.ln), 0);
    raw_close(&r);
    visit(&h, &r); /* and does not count any more */
    raw_say(&r, "\6", 1);
    turn_until(h.l, h.opened == 2);
    raw_close(&r);
    house_done(&h);
}

static void test_requests_are_told_when_the_listener_goes(void **state)
{
    struct house h;
    struct raw r;

    (void)state;
    house_open(&h, 0);
    h.hold = true;
    visit(&h, &r);
    raw_say(&r, "\6", 1);
    ask(&r, true);
    turn_until(h.l, h.held);
    h.ln = rpc_listener_free(h.ln);
    assert_int_equal(h.gone, 0); /* not from inside */
    turn_until(h.l, h.gone == 1);
    assert_int_equal(h.closed, 0);
    raw_close(&r);
    house_done(&h);
}

static void test_out_of_descriptors_pauses_and_goes_on(void **state)
{
    struct rlimit old, low;
    struct raw first, second, third;
    struct house h;
    int fd, hogs[200];
    size_t n = 0;

    (void)state;
    house_open(&h, 0);
    visit(&h, &first);
    raw_say(&first, "\1", 1);
    turn_until(h.l, h.opened == 1);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    low = old;
    low.rlim_cur = 64;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    second = (struct raw){.l = h.l, .in = BUF_INIT(MIB)};
    second.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    while ((fd = dup(0)) >= 0)
        hogs[n++] = fd;
    assert_int_equal(errno, EMFILE);
    {
        struct sockaddr_storage a;
        struct err e;
        socklen_t len;

        assert_int_equal(addr_parse(h.bound, &a, &len, &e), 0);
        (void)connect(second.fd, (struct sockaddr *)&a, len);
    }
    turn_some(h.l, 5);
    ask(&first, false); /* those who are here are served */
    expect_answer(&first, false);
    assert_int_equal(h.opened, 1);
    while (n > 0)
        (void)fd_close(hogs[--n]);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    visit(&h, &third);
    raw_say(&third, "\1", 1);
    turn_some(h.l, 5);
    assert_int_equal(h.opened, 1); /* still paused */
    clock_fake_advance(NSEC_PER_SEC);
    (void)loop_run_due(h.l);
    turn_until(h.l, h.opened == 2);
    raw_close(&first);
    raw_close(&second);
    raw_close(&third);
    house_done(&h);
}

/* what was sent in time and not read in time: the delay is ours, once */
static void test_a_first_byte_that_was_not_looked_at_counts(void **state)
{
    struct house h;
    struct raw r;

    (void)state;
    house_open(&h, 0);
    visit(&h, &r);
    assert_int_equal(send(r.fd, "\6", 1, MSG_NOSIGNAL), 1);
    clock_fake_advance(60 * NSEC_PER_SEC); /* as after a pause: timers come before sockets */
    assert_int_equal(loop_run_due(h.l), 1);
    turn_until(h.l, h.opened == 1);
    raw_quiet(&r);
    clock_fake_advance(2 * NSEC_PER_SEC);
    (void)loop_run_due(h.l);
    raw_quiet(&r);
    assert_int_equal(rpc_listener_sessions(h.ln), 1);
    raw_close(&r);
    house_done(&h);
}

static void test_peers_are_counted_by_address(void **state)
{
    struct peer *e[300], *x;
    char name[40];
    struct peers *p = peers_new(2);

    (void)state;
    for (unsigned i = 0; i < 300; i++) { /* more than the table had places for */
        (void)snprintf(name, sizeof(name), "10.0.%u.%u:999", i / 100, i % 100);
        assert_true(peers_enter(p, name, &e[i]));
    }
    assert_true(peers_enter(p, "10.0.1.7:1", &x));
    assert_ptr_equal(x, e[107]);
    assert_false(peers_enter(p, "10.0.1.7:2", &x));
    assert_null(x);
    peers_leave(p, e[107]);
    assert_true(peers_enter(p, "10.0.1.7:2", &x));
    for (unsigned i = 0; i < 300; i += 2)
        peers_leave(p, e[i]);
    peers_leave(p, NULL);
    assert_true(peers_enter(p, "10.0.0.0:1", &x));
    assert_true(peers_enter(p, "[::1]:1", &x));
    assert_true(peers_enter(p, "unix", &x));
    assert_true(peers_enter(p, "unix", &x));
    assert_false(peers_enter(p, "unix", &x));
    (void)peers_free(p);
    p = peers_new(0); /* no limit */
    assert_true(peers_enter(p, "10.0.0.1:1", &x));
    assert_null(x);
    (void)peers_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_byte_chooses_yamux_or_plain),
        cmocka_unit_test(test_any_other_byte_is_closed_without_a_word),
        cmocka_unit_test(test_streams_on_their_own_connection),
        cmocka_unit_test(test_streams_on_their_own_connection_are_paced),
        cmocka_unit_test(test_silent_visitor_is_closed_after_five_seconds),
        cmocka_unit_test(test_time_limit_ends_with_the_first_byte),
        cmocka_unit_test(test_a_streams_header_has_the_same_limit),
        cmocka_unit_test(test_connections_per_client_are_limited),
        cmocka_unit_test(test_each_goes_from_the_newest),
        cmocka_unit_test(test_session_closed_by_its_user_is_forgotten),
        cmocka_unit_test(test_requests_are_told_when_the_listener_goes),
        cmocka_unit_test(test_out_of_descriptors_pauses_and_goes_on),
        cmocka_unit_test(test_a_first_byte_that_was_not_looked_at_counts),
        cmocka_unit_test(test_peers_are_counted_by_address),
    };

    loop_block_signals();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
