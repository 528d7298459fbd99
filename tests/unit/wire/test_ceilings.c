/* What all connections share: the budget of bytes, the pace of slow peers, the reserve of
 * descriptors; and RPC sessions that meet them.  HTTP's are in test_http1. */
#include "tests/support/wire_raw.h"

#include <sys/resource.h>

#include "wire/budget.h"
#include "wire/conn.h"
#include "wire/fds.h"
#include "wire/pace.h"
#include "wire/peers.h"
#include "wire/rpc.h"
#include "wire/rpc_wire.h"

#define BUSY "rpc: the server is busy: too much waits in its connections"

static void test_the_budget_keeps_a_quarter_for_small_ones(void **state)
{
    size_t a = 0, b = 0, big = PEERS_SMALL + 1;
    uint64_t refused = budget_refused(BUDGET_IN);

    (void)state;
    budget_limit(BUDGET_IN, MIB);
    assert_true(budget_allows(BUDGET_IN, 0, 16 * MIB)); /* alone: its own limit is enough */
    budget_hold(BUDGET_IN, &a, MIB / 2);
    assert_int_equal(budget_held(BUDGET_IN), MIB / 2);
    assert_true(budget_allows(BUDGET_IN, 0, MIB / 4));
    assert_false(budget_allows(BUDGET_IN, 0, MIB / 4 + 1));
    assert_true(budget_allows(BUDGET_IN, a, 3 * MIB / 4)); /* what it has is not in its way */
    budget_hold(BUDGET_IN, &b, MIB / 4);
    assert_false(budget_allows(BUDGET_IN, 0, big));
    assert_true(budget_allows(BUDGET_IN, 0, PEERS_SMALL));
    budget_hold(BUDGET_IN, &b, MIB / 2);
    assert_false(budget_allows(BUDGET_IN, 0, 1));
    assert_true(budget_allows(BUDGET_IN, b, b)); /* who wants no more is not refused */
    assert_int_equal(budget_refused(BUDGET_IN), refused + 3);
    assert_int_equal(budget_held(BUDGET_OUT), 0); /* the other side is another */
    assert_true(budget_take_high() >= MIB);
    budget_hold(BUDGET_IN, &a, 0);
    budget_hold(BUDGET_IN, &b, 0);
    assert_int_equal(budget_take_high(), MIB); /* it began with what was held then */
    assert_int_equal(budget_take_high(), 0);
    assert_int_equal(budget_held(BUDGET_IN), 0);
    budget_limit(BUDGET_IN, 0);
}

static void test_the_pace_is_a_time_and_a_rate(void **state)
{
    struct pace p = {0};

    (void)state;
    clock_fake(true, NSEC_PER_SEC, 0);
    assert_false(pace_is_over(&p));
    pace_add(&p, 10 * PACE_BYTES);
    clock_fake_advance((PACE_SEC + 9) * NSEC_PER_SEC);
    assert_false(pace_is_over(&p));
    pace_add(&p, PACE_BYTES); /* more of it, not a new beginning */
    clock_fake_advance(NSEC_PER_SEC);
    assert_false(pace_is_over(&p));
    clock_fake_advance(NSEC_PER_SEC);
    assert_true(pace_is_over(&p));
    pace_end(&p);
    assert_false(pace_is_over(&p));
    clock_fake(false, 0, 0);
}

static void on_change(void *arg)
{
    ++*(int *)arg;
}

static void test_descriptors_of_the_reserve_are_not_for_peers(void **state)
{
    struct rlimit old, low;
    int told = 0;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    low = old;
    low.rlim_cur = 200; /* a reserve of 50 */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    fds_on_change(on_change, &told);
    assert_true(fds_may_keep(149));
    assert_false(fds_short());
    assert_false(fds_may_keep(150));
    assert_false(fds_may_keep(-1));
    assert_true(fds_short());
    assert_int_equal(told, 1);
    assert_true(fds_may_linger(174)); /* told to go, in words */
    assert_false(fds_may_linger(175));
    assert_true(fds_may_keep(140)); /* there is room, but hardly */
    assert_true(fds_short());
    assert_true(fds_may_keep(100));
    assert_false(fds_short());
    assert_int_equal(told, 2);
    assert_false(fds_may_keep(150));
    fds_check(); /* nobody comes any more, and all have gone */
    assert_false(fds_short());
    assert_int_equal(told, 4);
    assert_true(fds_refused() >= 3);
    fds_on_change(NULL, NULL);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
}

static void test_streams_of_an_address_are_fewer(void **state)
{
    struct peers *p = peers_new(26);
    struct peer *e[26], *over;

    (void)state;
    for (int i = 0; i < 26; i++) {
        assert_true(peers_enter(p, "10.0.0.1:1", &e[i]));
        if (i < 6)
            assert_true(peers_enter_stream(p, e[i]));
    }
    assert_false(peers_enter_stream(p, e[6]));
    assert_false(peers_enter(p, "10.0.0.1:2", &over));
    peers_leave_stream(e[0]);
    peers_leave(p, e[0]);
    assert_true(peers_enter_stream(p, e[6]));
    assert_true(peers_enter(p, "10.0.0.2:1", &over));
    assert_true(peers_enter_stream(p, over));
    assert_true(peers_enter_stream(p, NULL)); /* no limit */
    peers_leave_stream(NULL);
    (void)peers_free(p);
}

/* --- sessions --- */

struct house {
    struct loop *l;
    struct rpc_session *s;
    struct raw r;
    size_t reply_bytes;
    int requests, closed;
};

static void handler(void *arg, struct rpc_request *q)
{
    struct house *h = arg;
    struct buf b = BUF_INIT(32 * MIB);

    h->requests++;
    buf_add_byte(&b, 0xdb); /* a text */
    buf_add_be32(&b, (uint32_t)h->reply_bytes);
    assert_true(buf_reserve(&b, h->reply_bytes));
    memset(b.p + b.len, 'x', h->reply_bytes);
    b.len += h->reply_bytes;
    rpc_reply(q, b.p, b.len);
    buf_done(&b);
}

static void on_closed(void *arg, struct rpc_session *s, const struct err *e)
{
    struct house *h = arg;

    (void)s;
    assert_true(e->code < 0);
    h->closed++;
}

static void house_open(struct house *h, bool plain)
{
    static const struct conn_user nobody;
    struct rpc_session_opts o = {
        .handler = handler, .handler_arg = h, .on_closed = on_closed, .arg = h, .plain = plain};
    int fd;

    *h = (struct house){0};
    clock_fake(true, UINT64_C(1) << 60, 0);
    assert_int_equal(loop_new(&h->l), 0);
    raw_open(&h->r, h->l, &fd);
    h->s = rpc_session_new(conn_new(h->l, fd, &nobody, NULL), &o);
}

static void house_done(struct house *h)
{
    h->s = rpc_session_unref(h->s);
    turn_some(h->l, 3);
    raw_close(&h->r);
    conn_drop_closing(h->l);
    h->l = loop_free(h->l);
    clock_fake(false, 0, 0);
    assert_int_equal(budget_held(BUDGET_IN), 0);
    assert_int_equal(budget_held(BUDGET_OUT), 0);
}

/* so long, in steps that give every timer its turn */
static void pass(struct house *h, unsigned sec)
{
    for (unsigned i = 0; i < sec; i += 5) {
        clock_fake_advance(5 * NSEC_PER_SEC);
        (void)loop_run_due(h->l);
        turn_some(h->l, 2);
    }
}

static void request(struct buf *b, size_t claimed)
{
    rpc_request_header_write(b, 1, "A.B");
    buf_add_byte(b, 0xdb);
    buf_add_be32(b, (uint32_t)claimed);
}

static void test_a_half_sent_request_has_its_time(void **state)
{
    _cleanup_buf_ struct buf b = BUF_INIT(MIB);
    struct house h;

    (void)state;
    house_open(&h, true);
    request(&b, 1000);
    raw_say(&h.r, b.p, b.len);
    turn_some(h.l, 3);
    for (unsigned i = 0; i < PACE_SEC - 10; i += 10) { /* a byte now and then is no progress */
        raw_say(&h.r, "x", 1);
        pass(&h, 10);
    }
    assert_int_equal(h.closed, 0);
    pass(&h, 40);
    assert_int_equal(h.closed, 1);
    assert_int_equal(h.requests, 0);
    house_done(&h);
}

static void answer_pings(struct house *h, struct raw_frame *ret, bool *ret_other)
{
    raw_read(&h->r);
    *ret_other = false;
    while (!*ret_other && h->r.in.len >= 12) {
        *ret = raw_next(&h->r);
        if (ret->type == R_PING && (ret->flags & R_SYN))
            raw_frame(&h->r, R_PING, R_ACK, 0, ret->length);
        else
            *ret_other = true;
    }
}

static void test_half_sent_streams_are_reset_and_the_session_goes_on(void **state)
{
    _cleanup_buf_ struct buf b = BUF_INIT(MIB);
    struct raw_frame f;
    bool other = false;
    struct house h;
    int resets = 0;

    (void)state;
    house_open(&h, false);
    raw_frame(&h.r, R_WINDOW, R_SYN, 1, 0);
    raw_data(&h.r, 0, 1, "\1", 1);
    request(&b, 1000);
    raw_data(&h.r, 0, 1, b.p, b.len);
    raw_frame(&h.r, R_WINDOW, R_SYN, 3, 0); /* and one whose type byte never comes */
    raw_frame(&h.r, R_WINDOW, R_SYN, 5, 0); /* and one that is kept for later */
    raw_data(&h.r, 0, 5, "\1", 1);
    raw_expect(&h.r, R_WINDOW, R_ACK, 1, 0);
    raw_expect(&h.r, R_WINDOW, R_ACK, 3, 0);
    raw_expect(&h.r, R_WINDOW, R_ACK, 5, 0);
    for (unsigned i = 0; i < PACE_SEC + 60; i += 5) {
        pass(&h, 5);
        answer_pings(&h, &f, &other);
        if (!other)
            continue;
        assert_true(i >= PACE_SEC);
        assert_int_equal(f.flags, R_RST);
        assert_true(f.id == 1 || f.id == 3);
        resets++;
        answer_pings(&h, &f, &other);
        resets += other && f.flags == R_RST;
    }
    assert_int_equal(resets, 2);
    assert_int_equal(h.closed, 0);
    buf_reset(&b);
    rpc_request_header_write(&b, 1, "A.B");
    buf_add_byte(&b, 0x80);
    raw_data(&h.r, 0, 5, b.p, b.len);
    turn_until(h.l, h.requests == 1);
    house_done(&h);
}

static void test_answers_that_nobody_takes_end_the_connection(void **state)
{
    _cleanup_buf_ struct buf b = BUF_INIT(MIB);
    struct house h;

    (void)state;
    house_open(&h, true);
    h.reply_bytes = 100 * PACE_BYTES;
    rpc_request_header_write(&b, 1, "A.B");
    buf_add_byte(&b, 0x80);
    raw_say(&h.r, b.p, b.len);
    turn_until(h.l, h.requests == 1);
    assert_true(budget_held(BUDGET_OUT) > 50 * PACE_BYTES);
    pass(&h, PACE_SEC + 90);
    assert_int_equal(h.closed, 0);
    pass(&h, 40);
    assert_int_equal(h.closed, 1);
    house_done(&h);
}

/* the error of the one reply that has come */
static void expect_error(struct house *h, const char *want)
{
    struct rpc_header head = {0};
    struct rpc_inbox box;
    size_t len = 0;

    rpc_inbox_init(&box);
    for (int i = 0; i < 300 && rpc_inbox_message(&box, &len) != 0; i++) {
        turn_some(h->l, 1);
        raw_read(&h->r);
        assert_true(rpc_inbox_add(&box, h->r.in.p, h->r.in.len));
        buf_reset(&h->r.in);
    }
    assert_true(box.header_len > 0);
    assert_int_equal(rpc_reply_header_read(box.in.p, box.header_len, &head), 0);
    assert_int_equal(head.seq, 1);
    assert_int_equal(head.error_len, strlen(want));
    assert_memory_equal(head.error, want, head.error_len);
    rpc_inbox_done(&box);
}

static void test_requests_beyond_the_budget_are_refused_in_words(void **state)
{
    static uint8_t body[200000];
    _cleanup_buf_ struct buf b = BUF_INIT(MIB);
    size_t others = 0;
    struct house h;

    (void)state;
    house_open(&h, true);
    budget_limit(BUDGET_IN, MIB);
    budget_hold(BUDGET_IN, &others, MIB * 5 / 8);
    request(&b, sizeof(body));
    raw_say(&h.r, b.p, b.len);
    raw_say(&h.r, body, sizeof(body) - 1);
    expect_error(&h, BUSY);
    raw_end(&h.r);
    assert_int_equal(h.requests, 0);
    budget_hold(BUDGET_IN, &others, 0);
    budget_limit(BUDGET_IN, 0);
    house_done(&h);
}

static void test_replies_beyond_the_budget_become_an_error(void **state)
{
    _cleanup_buf_ struct buf b = BUF_INIT(MIB);
    size_t others = 0;
    struct house h;

    (void)state;
    house_open(&h, true);
    budget_limit(BUDGET_OUT, MIB);
    budget_hold(BUDGET_OUT, &others, MIB);
    h.reply_bytes = 100000;
    rpc_request_header_write(&b, 1, "A.B");
    buf_add_byte(&b, 0x80);
    raw_say(&h.r, b.p, b.len);
    expect_error(&h, BUSY);
    raw_quiet(&h.r); /* the connection stays */
    budget_hold(BUDGET_OUT, &others, 0);
    budget_limit(BUDGET_OUT, 0);
    house_done(&h);
}

/* the bytes of the first data on that stream, others are passed over */
static void data_of(struct house *h, uint32_t id, struct buf *ret)
{
    struct raw_frame f;

    do {
        f = raw_next(&h->r);
        if (f.type != R_DATA)
            continue;
        raw_need(&h->r, f.length);
        if (f.id == id)
            buf_add(ret, h->r.in.p, f.length);
        buf_drop(&h->r.in, f.length);
    } while (f.type != R_DATA || f.id != id);
}

static void test_large_replies_that_nobody_takes_do_not_end_the_session(void **state)
{
    _cleanup_buf_ struct buf b = BUF_INIT(MIB), got = BUF_INIT(MIB);
    struct house h;

    (void)state;
    house_open(&h, false);
    h.reply_bytes = 12 * MIB;
    rpc_request_header_write(&b, 1, "A.B");
    buf_add_byte(&b, 0x80);
    for (uint32_t id = 1; id <= 5; id += 2) {
        raw_frame(&h.r, R_WINDOW, R_SYN, id, 0);
        raw_data(&h.r, 0, id, "\1", 1);
        raw_data(&h.r, 0, id, b.p, b.len);
    }
    turn_until(h.l, h.requests == 3); /* two wait, the third would be too much */
    data_of(&h, 5, &got);
    assert_non_null(memmem(got.p, got.len, BUSY, strlen(BUSY)));
    turn_some(h.l, 3);
    assert_int_equal(h.closed, 0);
    house_done(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_budget_keeps_a_quarter_for_small_ones),
        cmocka_unit_test(test_the_pace_is_a_time_and_a_rate),
        cmocka_unit_test(test_descriptors_of_the_reserve_are_not_for_peers),
        cmocka_unit_test(test_streams_of_an_address_are_fewer),
        cmocka_unit_test(test_a_half_sent_request_has_its_time),
        cmocka_unit_test(test_half_sent_streams_are_reset_and_the_session_goes_on),
        cmocka_unit_test(test_answers_that_nobody_takes_end_the_connection),
        cmocka_unit_test(test_requests_beyond_the_budget_are_refused_in_words),
        cmocka_unit_test(test_replies_beyond_the_budget_become_an_error),
        cmocka_unit_test(test_large_replies_that_nobody_takes_do_not_end_the_session),
    };

    loop_block_signals();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
