#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "codec/mp.h"
#include "tests/support/golden.h"
#include "tests/support/wire_raw.h"
#include "wire/conn.h"
#include "wire/rpc.h"
#include "wire/rpc_wire.h"

/* --- what both kinds of test share: a session of ours and what happens to it --- */

enum { HELD_MAX = 2000 };

struct side {
    struct loop *l;
    struct raw r;
    struct rpc_session *s;
    struct rpc_request *held[HELD_MAX]; /* not answered yet */
    size_t n_held, n_seen, gone;
    const char *fail_with; /* the handler answers with this error */
    bool fail_close, hold, close_session;
    int closed;
    struct err why;
};

static const uint8_t empty[] = {0x80};

/* a text constant's bytes and their number */
#define B(text) text, sizeof(text) - 1

static void on_gone(void *arg, struct rpc_request *q)
{
    struct side *d = arg;

    d->gone++;
    for (size_t i = 0; i < d->n_held; i++)
        if (d->held[i] == q)
            d->held[i] = NULL;
    rpc_drop(q);
}

/* answers with the request's own body */
static void handler(void *arg, struct rpc_request *q)
{
    struct side *d = arg;

    d->n_seen++;
    if (d->close_session)
        rpc_session_close(d->s);
    if (d->hold) {
        assert_true(d->n_held < HELD_MAX);
        d->held[d->n_held++] = q;
        q->arg = d;
        q->on_gone = on_gone;
    } else if (d->fail_with && d->fail_close) {
        rpc_fail_close(q, d->fail_with);
    } else if (d->fail_with) {
        rpc_fail(q, d->fail_with);
    } else {
        rpc_reply(q, q->body, q->body_len);
    }
}

static void on_closed(void *arg, struct rpc_session *s, const struct err *e)
{
    struct side *d = arg;

    assert_ptr_equal(s, d->s);
    d->closed++;
    d->why = *e;
}

static void side_open(struct side *d, bool client, bool plain, bool with_handler)
{
    struct rpc_session_opts o = {.handler = with_handler ? handler : NULL,
                                 .handler_arg = d,
                                 .on_closed = on_closed,
                                 .arg = d,
                                 .client = client,
                                 .plain = plain};
    int fd;

    memset(d, 0, sizeof(*d));
    clock_fake(true, UINT64_C(1) << 60, 0);
    assert_int_equal(loop_new(&d->l), 0);
    raw_open(&d->r, d->l, &fd);
    d->s = rpc_session_new(conn_new(d->l, fd, &(const struct conn_user){0}, NULL), &o);
}

static void side_done(struct side *d)
{
    if (d->s)
        rpc_session_close(d->s);
    turn_some(d->l, 3);
    for (size_t i = 0; i < d->n_held; i++)
        if (d->held[i])
            rpc_drop(d->held[i]);
    d->s = rpc_session_unref(d->s);
    raw_close(&d->r);
    conn_drop_closing(d->l);
    d->l = loop_free(d->l);
    clock_fake(false, 0, 0);
}

/* --- messages by hand --- */

static void put_request(struct buf *b, uint64_t seq, const char *method, const void *body, size_t n)
{
    rpc_request_header_write(b, seq, method);
    buf_add(b, body, n);
}

static void put_reply(struct buf *b, const char *error, uint64_t seq, const char *method,
                      const void *body, size_t n)
{
    rpc_reply_header_write(b, error, seq, method);
    buf_add(b, body, n);
}

/* a stream with its type byte */
static void peer_opens(struct side *d, uint32_t id, uint8_t type)
{
    raw_frame(&d->r, R_WINDOW, R_SYN, id, 0);
    raw_data(&d->r, 0, id, &type, 1);
    raw_expect(&d->r, R_WINDOW, R_ACK, id, 0);
}

static void peer_asks(struct side *d, uint32_t id, uint64_t seq, const char *method)
{
    struct buf b = BUF_INIT(MIB);

    put_request(&b, seq, method, empty, 1);
    raw_data(&d->r, 0, id, b.p, b.len);
    buf_done(&b);
}

static void expect_reply(struct side *d, uint32_t id, const char *error, uint64_t seq,
                         const char *method)
{
    struct buf b = BUF_INIT(MIB);

    put_reply(&b, error, seq, method, empty, 1);
    raw_expect_data(&d->r, id, b.p, b.len);
    buf_done(&b);
}

/* --- serving --- */

struct talk {
    struct side *d;
    size_t lines;
};

static void talk_as_server(void *arg, const char *word, char *value)
{
    struct talk *t = arg;
    struct buf b = BUF_INIT(MIB);

    golden_bytes(&b, value);
    t->lines++;
    if (t->lines == 1) { /* the type byte: the acceptor's business */
        assert_int_equal(b.p[0], 6);
    } else if (word[0] == '>') {
        raw_say(&t->d->r, b.p, b.len);
    } else {
        if (b.p[1] == R_PING && b.p[3] == R_SYN) { /* the keepalive is due */
            clock_fake_advance(30 * NSEC_PER_SEC);
            (void)loop_run_due(t->d->l);
        }
        raw_need(&t->d->r, b.len);
        assert_memory_equal(t->d->r.in.p, b.p, b.len);
        buf_drop(&t->d->r.in, b.len);
    }
    buf_done(&b);
}

static void test_recorded_agent_is_answered_byte_for_byte(void **state)
{
    struct side d;
    struct talk t = {.d = &d};

    (void)state;
    side_open(&d, false, false, true);
    golden_each("tests/data/wire/rpc-connect.txt", talk_as_server, &t);
    assert_int_equal(t.lines, 12);
    assert_int_equal(d.n_seen, 1);
    raw_quiet(&d.r);
    side_done(&d);
}

struct row {
    char error[300];
    bool open;
    struct buf request;
    size_t n;
};

static void check_error_row(void *arg, const char *word, char *value)
{
    struct row *row = arg;

    if (str_eq(word, "error")) {
        (void)snprintf(row->error, sizeof(row->error), "%s", value);
    } else if (str_eq(word, "after")) {
        row->open = str_eq(value, "open");
    } else if (str_eq(word, ">")) {
        row->request = BUF_INIT(MIB);
        golden_bytes(&row->request, value);
    } else if (str_eq(word, "<")) {
        struct buf want = BUF_INIT(MIB);
        struct side d;

        golden_bytes(&want, value);
        side_open(&d, false, true, true);
        d.fail_with = row->error;
        d.fail_close = !row->open;
        raw_say(&d.r, row->request.p, row->request.len);
        raw_need(&d.r, want.len);
        assert_memory_equal(d.r.in.p, want.p, want.len);
        buf_drop(&d.r.in, want.len);
        if (row->open)
            raw_quiet(&d.r);
        else
            raw_end(&d.r);
        side_done(&d);

        side_open(&d, false, false, true); /* the same on a stream: closed means FIN */
        d.fail_with = row->error;
        d.fail_close = !row->open;
        peer_opens(&d, 1, 1);
        raw_data(&d.r, 0, 1, row->request.p, row->request.len);
        raw_expect_data(&d.r, 1, want.p, want.len);
        if (!row->open)
            raw_expect(&d.r, R_WINDOW, R_FIN, 1, 0);
        raw_quiet(&d.r);
        side_done(&d);
        buf_done(&want);
        buf_done(&row->request);
        row->n++;
    }
}

static void test_recorded_errors_are_answered_byte_for_byte(void **state)
{
    struct row row = {0};

    (void)state;
    golden_each("tests/data/wire/rpc-errors.txt", check_error_row, &row);
    assert_int_equal(row.n, 15);
}

static void test_without_a_handler_nothing_is_found(void **state)
{
    static const struct {
        const char *method, *error;
    } rows[] = {
        {"Nope.Nope", "rpc: can't find service Nope.Nope"             },
        {"nodots",    "rpc: service/method request ill-formed: nodots"},
        {"",          "rpc: service/method request ill-formed: "      },
    };
    struct side d;

    (void)state;
    side_open(&d, false, false, false);
    for (uint32_t i = 0; i < ARRAY_LEN(rows); i++) {
        peer_opens(&d, 2 * i + 1, 1);
        peer_asks(&d, 2 * i + 1, 5, rows[i].method);
        expect_reply(&d, 2 * i + 1, rows[i].error, 5, rows[i].method);
        raw_expect(&d.r, R_WINDOW, R_FIN, 2 * i + 1, 0);
    }
    raw_quiet(&d.r);
    side_done(&d);
}

static void test_header_forms(void **state)
{
    /* map in the other order with an unknown key; array in field order; nil; no Seq; str8; bin */
    static const struct {
        const char *bytes;
        size_t n;
        uint64_t seq;
        const char *method;
    } good[] = {
        {B("\x83\xadServiceMethod\xa3"
           "A.B\xa1x\x92\x01\x02\xa3Seq\x07"),
         7,                                                                "A.B"},
        {B("\x92\xa3"
           "A.B\xcd\x01\x00"),
         256,                                                              "A.B"},
        {B("\x92\xa3"
           "A.B\xd1\x01\x00"),
         256,                                                              "A.B"},
        {B("\x94\xa3"
           "A.B\x01\xc0\x80"),
         1,                                                                "A.B"},
        {B("\x82\xa3Seq\xc0\xadServiceMethod\xc0"),            0,          ""   },
        {B("\x81\xadServiceMethod\xd9\x03"
           "A.B"),
         0,                                                                "A.B"},
        {B("\x81\xadServiceMethod\xc4\x03"
           "A.B"),
         0,                                                                "A.B"},
        {B("\x82\xa3Seq\x01\xa3Seq\x02"),                      2,          ""   },
        {B("\x81\xa3Seq\xcf\xff\xff\xff\xff\xff\xff\xff\xff"), UINT64_MAX, ""   },
        {B("\x80"),                                            0,          ""   },
    };
    static const struct {
        const char *bytes;
        size_t n;
    } bad[] = {
        {B("\x05")},                            /* no map */
        {B("\xc0")},                            /* nil */
        {B("\x81\xa3Seq\xff")},                 /* negative */
        {B("\x81\xa3Seq\xa1x")},                /* text */
        {B("\x81\xa3Seq\xcb\0\0\0\0\0\0\0\0")}, /* float */
        {B("\x81\xadServiceMethod\x05")},       /* number */
        {B("\x81\x05\x05")},                    /* a key that is no text */
        {B("\x80\x80")},                        /* more than one object */
        {B("\x81\xa3Seq")},                     /* cut */
    };
    struct rpc_header h;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        if (rpc_request_header_read((const uint8_t *)good[i].bytes, good[i].n, &h) < 0)
            fail_msg("good row %zu refused", i);
        assert_int_equal(h.seq, good[i].seq);
        assert_int_equal(h.method_len, strlen(good[i].method));
        if (h.method_len)
            assert_memory_equal(h.method, good[i].method, h.method_len);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (rpc_request_header_read((const uint8_t *)bad[i].bytes, bad[i].n, &h) != -EBADMSG)
            fail_msg("bad row %zu accepted", i);
    assert_int_equal(rpc_reply_header_read((const uint8_t *)"\x93\xa1m\x05\xa1"
                                                            "e",
                                           6, &h),
                     0);
    assert_int_equal(h.seq, 5);
    assert_memory_equal(h.error, "e", 1);
}

static void test_messages_cut_anywhere_and_pipelined(void **state)
{
    struct buf b = BUF_INIT(MIB);
    struct side d;

    (void)state;
    side_open(&d, false, false, true);
    peer_opens(&d, 1, 1);
    put_request(&b, 1, "A.One", "\x81\xa1k\xa1v", 5);
    put_request(&b, 2, "A.Two", "\xc0", 1);
    for (size_t i = 0; i < b.len; i++)
        raw_data(&d.r, 0, 1, b.p + i, 1);
    buf_reset(&b);
    put_reply(&b, "", 1, "A.One", "\x81\xa1k\xa1v", 5);
    raw_expect_data(&d.r, 1, b.p, b.len);
    buf_reset(&b);
    put_reply(&b, "", 2, "A.Two", "\xc0", 1);
    raw_expect_data(&d.r, 1, b.p, b.len);
    buf_done(&b);
    side_done(&d);
}

static void test_pipelined_requests_run_one_after_the_other(void **state)
{
    struct side d;

    (void)state;
    side_open(&d, false, false, true);
    d.hold = true;
    peer_opens(&d, 1, 1);
    for (uint64_t i = 1; i <= 3; i++)
        peer_asks(&d, 1, i, "A.B");
    turn_until(d.l, d.n_held == 1);
    raw_quiet(&d.r);
    assert_int_equal(d.n_held, 1);
    for (uint64_t i = 0; i < 3; i++) {
        rpc_reply(d.held[i], empty, 1);
        d.held[i] = NULL;
        assert_int_equal(d.n_held, i + 1); /* the handler is not called from inside */
        expect_reply(&d, 1, "", i + 1, "A.B");
        if (i < 2)
            turn_until(d.l, d.n_held == i + 2);
    }
    side_done(&d);
}

/* what piles up behind a request that waits is not granted again */
static void test_pipelined_bytes_are_bounded_by_the_window(void **state)
{
    static char zeros[100 * 1024];
    struct buf b = BUF_INIT(MIB);
    size_t sent, total;
    struct side d;

    (void)state;
    side_open(&d, false, false, true);
    d.hold = true;
    peer_opens(&d, 1, 1);
    peer_asks(&d, 1, 1, "A.B");
    turn_until(d.l, d.n_held == 1);
    rpc_request_header_write(&b, 2, "A.Big");
    mp_raw(&b, zeros, sizeof(zeros));
    for (total = 1; total + b.len < 250 * 1024; total += b.len)
        raw_data(&d.r, 0, 1, b.p, b.len);
    raw_quiet(&d.r); /* no window update */
    for (sent = 0; d.n_held < 3; sent++) {
        rpc_reply(d.held[sent], empty, 1);
        d.held[sent] = NULL;
        turn_until(d.l, d.n_held == sent + 2 || sent == 2);
    }
    for (;;) { /* the window comes with the answers */
        struct raw_frame f = raw_next(&d.r);

        if (f.type == R_WINDOW) {
            assert_true(f.length >= 128 * 1024);
            break;
        }
        raw_need(&d.r, f.length);
        buf_drop(&d.r.in, f.length);
    }
    buf_done(&b);
    side_done(&d);
}

static void test_thousand_pipelined_requests_are_answered_in_order(void **state)
{
    struct buf b = BUF_INIT(4 * MIB), want = BUF_INIT(4 * MIB), got = BUF_INIT(4 * MIB);
    struct side d;

    (void)state;
    side_open(&d, false, false, true);
    peer_opens(&d, 1, 1);
    for (uint64_t i = 1; i <= 1000; i++) {
        put_request(&b, i, "Status.Ping", empty, 1);
        put_reply(&want, "", i, "Status.Ping", empty, 1);
    }
    raw_data(&d.r, 0, 1, b.p, b.len);
    while (got.len < want.len) {
        struct raw_frame f = raw_next(&d.r);

        assert_int_equal(f.type, R_DATA);
        raw_need(&d.r, f.length);
        buf_add(&got, d.r.in.p, f.length);
        buf_drop(&d.r.in, f.length);
    }
    assert_memory_equal(got.p, want.p, want.len);
    buf_done(&b);
    buf_done(&want);
    buf_done(&got);
    side_done(&d);
}

static void test_fin_does_not_end_a_request_that_waits(void **state)
{
    struct side d;

    (void)state;
    side_open(&d, false, false, true);
    d.hold = true;
    peer_opens(&d, 1, 1);
    peer_asks(&d, 1, 1, "Node.GetClientAllocs");
    raw_frame(&d.r, R_WINDOW, R_FIN, 1, 0);
    raw_quiet(&d.r);
    assert_int_equal(d.gone, 0);
    rpc_reply(d.held[0], empty, 1);
    d.held[0] = NULL;
    expect_reply(&d, 1, "", 1, "Node.GetClientAllocs");
    raw_expect(&d.r, R_WINDOW, R_FIN, 1, 0);
    side_done(&d);
}

static void test_fin_behind_pipelined_requests_is_answered_last(void **state)
{
    struct side d;

    (void)state;
    side_open(&d, false, false, true);
    peer_opens(&d, 1, 1);
    peer_asks(&d, 1, 1, "A.B");
    peer_asks(&d, 1, 2, "A.B");
    raw_frame(&d.r, R_WINDOW, R_FIN, 1, 0);
    expect_reply(&d, 1, "", 1, "A.B");
    expect_reply(&d, 1, "", 2, "A.B");
    raw_expect(&d.r, R_WINDOW, R_FIN, 1, 0);
    side_done(&d);
}

static void test_fin_inside_a_message_is_answered_with_fin(void **state)
{
    struct side d;

    (void)state;
    side_open(&d, false, false, true);
    peer_opens(&d, 1, 1);
    raw_data(&d.r, R_FIN, 1, "\x82\xa3Seq", 5);
    raw_expect(&d.r, R_WINDOW, R_FIN, 1, 0);
    raw_frame(&d.r, R_WINDOW, R_SYN, 3, 0); /* not even a type byte */
    raw_expect(&d.r, R_WINDOW, R_ACK, 3, 0);
    raw_frame(&d.r, R_WINDOW, R_FIN, 3, 0);
    raw_expect(&d.r, R_WINDOW, R_FIN, 3, 0);
    assert_int_equal(d.n_seen, 0);
    side_done(&d);
}

static void test_reset_tells_that_nobody_waits(void **state)
{
    struct side d;

    (void)state;
    side_open(&d, false, false, true);
    d.hold = true;
    peer_opens(&d, 1, 1);
    peer_opens(&d, 3, 1);
    peer_asks(&d, 1, 1, "A.B");
    peer_asks(&d, 3, 2, "A.B");
    turn_until(d.l, d.n_held == 2);
    raw_frame(&d.r, R_WINDOW, R_RST, 1, 0);
    turn_until(d.l, d.gone == 1);
    rpc_reply(d.held[1], empty, 1);
    d.held[1] = NULL;
    expect_reply(&d, 3, "", 2, "A.B");
    side_done(&d);
}

static void test_lost_session_tells_that_nobody_waits(void **state)
{
    struct side d;

    (void)state;
    side_open(&d, false, false, true);
    d.hold = true;
    peer_opens(&d, 1, 1);
    peer_opens(&d, 3, 1);
    peer_asks(&d, 1, 1, "A.B");
    peer_asks(&d, 3, 2, "A.B");
    turn_until(d.l, d.n_held == 2);
    d.r.fd = fd_close(d.r.fd);
    turn_until(d.l, d.closed == 1);
    assert_int_equal(d.gone, 2);
    assert_false(rpc_session_is_open(d.s));
    side_done(&d);
}

static void test_answer_after_the_stream_is_gone_is_dropped(void **state)
{
    struct side d;

    (void)state;
    side_open(&d, false, false, true);
    d.hold = true;
    peer_opens(&d, 1, 1);
    peer_asks(&d, 1, 1, "A.B");
    turn_until(d.l, d.n_held == 1);
    d.held[0]->on_gone = NULL; /* a handler that does not care */
    raw_frame(&d.r, R_WINDOW, R_RST, 1, 0);
    raw_quiet(&d.r);
    rpc_reply(d.held[0], empty, 1);
    d.held[0] = NULL;
    raw_quiet(&d.r);
    side_done(&d);
}

static void test_request_header_too_large_closes_the_stream(void **state)
{
    char name[RPC_HEADER_MAX + 1];
    struct side d;

    (void)state;
    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = 0;
    side_open(&d, false, false, true);
    peer_opens(&d, 1, 1);
    peer_asks(&d, 1, 1, name);
    raw_expect(&d.r, R_WINDOW, R_FIN, 1, 0);
    assert_int_equal(d.n_seen, 0);
    peer_opens(&d, 3, 1);
    peer_asks(&d, 3, 1, "A.B");
    expect_reply(&d, 3, "", 1, "A.B");
    side_done(&d);
}

static void test_request_body_too_large_is_refused_from_its_length(void **state)
{
    struct buf b = BUF_INIT(MIB);
    struct side d;

    (void)state;
    side_open(&d, false, false, true);
    peer_opens(&d, 1, 1);
    rpc_request_header_write(&b, 9, "Node.Register");
    buf_add_byte(&b, 0xdb); /* a text of 16 MiB + 1 */
    buf_add_be32(&b, (uint32_t)RPC_BODY_MAX + 1);
    raw_data(&d.r, 0, 1, b.p, b.len);
    expect_reply(&d, 1, "rpc: the request is larger than 16777216 bytes", 9, "Node.Register");
    raw_expect(&d.r, R_WINDOW, R_FIN, 1, 0);
    buf_done(&b);
    assert_int_equal(d.n_seen, 0);
    side_done(&d);
}

static void test_many_large_requests_at_once_end_the_session(void **state)
{
    static char part[128 * 1024];
    struct buf b = BUF_INIT(MIB);
    struct side d;
    uint32_t id = 1;

    (void)state;
    side_open(&d, false, false, true);
    rpc_request_header_write(&b, 1, "A.B");
    buf_add_byte(&b, 0xdb);
    buf_add_be32(&b, 15 * MIB);
    for (int streams = 0; streams < 5 && !d.closed; streams++, id += 2) {
        raw_frame(&d.r, R_WINDOW, R_SYN, id, 0);
        raw_data(&d.r, 0, id, "\1", 1);
        raw_data(&d.r, 0, id, b.p, b.len);
        for (size_t n = 0; n + sizeof(part) < 15 * MIB && !d.closed; n += sizeof(part)) {
            raw_frame(&d.r, R_DATA, 0, id, sizeof(part));
            for (size_t sent = 0; sent < sizeof(part) && !d.closed;) {
                ssize_t k = send(d.r.fd, part + sent, sizeof(part) - sent, MSG_NOSIGNAL);

                sent += k > 0 ? (size_t)k : 0;
                turn_some(d.l, 1);
            }
        }
        if (streams == 3)
            assert_int_equal(d.closed, 0);
    }
    turn_until(d.l, d.closed);
    assert_int_equal(d.why.code, -EMSGSIZE);
    assert_int_equal(d.n_seen, 0);
    buf_done(&b);
    side_done(&d);
}

/* as many, each of them small: it is the sum that counts */
static void test_many_half_sent_requests_end_the_session(void **state)
{
    static char part[128 * 1024];
    struct buf b = BUF_INIT(MIB);
    size_t sum = 0;
    struct side d;

    (void)state;
    side_open(&d, false, false, true);
    rpc_request_header_write(&b, 1, "A.B");
    buf_add_byte(&b, 0xdb);
    buf_add_be32(&b, MIB);
    for (uint32_t id = 1; id < 2 * 200 && !d.closed; id += 2) {
        raw_frame(&d.r, R_WINDOW, R_SYN, id, 0);
        raw_data(&d.r, 0, id, "\1", 1);
        raw_data(&d.r, 0, id, b.p, b.len);
        for (int i = 0; i < 7 && !d.closed; i++) {
            raw_frame(&d.r, R_DATA, 0, id, sizeof(part));
            for (size_t sent = 0; sent < sizeof(part) && !d.closed;) {
                ssize_t k = send(d.r.fd, part + sent, sizeof(part) - sent, MSG_NOSIGNAL);

                sent += k > 0 ? (size_t)k : 0;
                turn_some(d.l, 1);
            }
            sum += sizeof(part);
        }
    }
    assert_int_equal(d.closed, 1);
    assert_int_equal(d.why.code, -EMSGSIZE);
    assert_true(sum > RPC_SESSION_MAX - MIB && sum < RPC_SESSION_MAX + 2 * MIB);
    buf_done(&b);
    side_done(&d);
}

static void test_garbage_closes_the_stream(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
        const char *error; /* NULL: no answer */
    } rows[] = {
        {B("\xc1"),                   NULL                    },
        {B("\x05"),                   NULL                    },
        {B("GET / HTTP/1.1\r\n\r\n"), NULL                    },
        {B("\x82\xa3Seq\xff\xadServiceMethod\xa3"
           "A.B\x80"),
         NULL                                                 },
        {B("\x82\xa3Seq\x01\xadServiceMethod\xa4"
           "A\0.B\x80"),
         NULL                                                 },
        {B("\x82\xa3Seq\x01\xadServiceMethod\xa3"
           "A.B\xc1"),
         "msgpack decode error [pos 24]: not a msgpack object"},
    };
    struct side d;

    (void)state;
    side_open(&d, false, false, true);
    for (uint32_t i = 0; i < ARRAY_LEN(rows); i++) {
        peer_opens(&d, 2 * i + 1, 1);
        raw_data(&d.r, 0, 2 * i + 1, rows[i].bytes, rows[i].n);
        if (rows[i].error)
            expect_reply(&d, 2 * i + 1, rows[i].error, 1, "A.B");
        raw_expect(&d.r, R_WINDOW, R_FIN, 2 * i + 1, 0);
    }
    assert_int_equal(d.n_seen, 0);
    raw_quiet(&d.r);
    side_done(&d);
}

static void test_deep_nesting_is_refused(void **state)
{
    struct buf b = BUF_INIT(MIB);
    struct side d;

    (void)state;
    side_open(&d, false, false, true);
    peer_opens(&d, 1, 1);
    rpc_request_header_write(&b, 1, "A.B");
    for (int i = 0; i < 1000; i++)
        buf_add_byte(&b, 0x91);
    raw_data(&d.r, 0, 1, b.p, b.len);
    raw_need(&d.r, 12 + 20);
    assert_non_null(memmem(d.r.in.p, d.r.in.len, "msgpack decode error", 20));
    assert_int_equal(d.n_seen, 0);
    buf_done(&b);
    side_done(&d);
}

static void test_wrong_stream_type_closes_the_session(void **state)
{
    struct side d;

    (void)state;
    side_open(&d, false, false, true);
    raw_frame(&d.r, R_WINDOW, R_SYN, 1, 0);
    raw_data(&d.r, 0, 1, "\x02", 1);
    raw_expect(&d.r, R_WINDOW, R_ACK, 1, 0);
    raw_end(&d.r);
    turn_until(d.l, d.closed);
    assert_string_equal(d.why.text, "unix: stream type byte 02");
    side_done(&d);
}

static void test_streaming_methods_are_refused_by_name(void **state)
{
    static const char *const methods[] = {"FileSystem.Logs", "a \"quote\"\n"};
    static const char *const texts[] = {"Unknown rpc method: \"FileSystem.Logs\"",
                                        "Unknown rpc method: \"a \\\"quote\\\"\\x0a\""};
    struct side d;

    (void)state;
    side_open(&d, false, false, true);
    for (uint32_t i = 0; i < 2; i++) {
        struct buf b = BUF_INIT(MIB);
        uint32_t id = 2 * i + 1;

        peer_opens(&d, id, 5);
        mp_map(&b, 1);
        mp_str(&b, "Method");
        mp_str(&b, methods[i]);
        for (size_t k = 0; k < b.len; k++)
            raw_data(&d.r, 0, id, b.p + k, 1);
        buf_reset(&b);
        mp_map(&b, 1);
        mp_str(&b, "Error");
        mp_str(&b, texts[i]);
        raw_expect_data(&d.r, id, b.p, b.len);
        raw_expect(&d.r, R_WINDOW, R_FIN, id, 0);
        buf_done(&b);
    }
    peer_opens(&d, 5, 5); /* not such a header: the end without an answer */
    raw_data(&d.r, 0, 5, "\x05", 1);
    raw_expect(&d.r, R_WINDOW, R_FIN, 5, 0);
    side_done(&d);
}

static void test_handler_may_close_the_session(void **state)
{
    struct side d;

    (void)state;
    side_open(&d, false, false, true);
    d.close_session = true;
    peer_opens(&d, 1, 1);
    peer_asks(&d, 1, 1, "A.B");
    peer_asks(&d, 1, 2, "A.B");
    raw_end(&d.r);
    assert_int_equal(d.n_seen, 1);
    assert_int_equal(d.closed, 0);
    side_done(&d);
}

static void test_reply_without_body_is_the_empty_map(void **state)
{
    struct side d;

    (void)state;
    side_open(&d, false, false, true);
    d.hold = true;
    peer_opens(&d, 1, 1);
    peer_asks(&d, 1, 1, "A.B");
    turn_until(d.l, d.n_held == 1);
    rpc_reply(d.held[0], NULL, 0);
    d.held[0] = NULL;
    expect_reply(&d, 1, "", 1, "A.B");
    side_done(&d);
}

static void test_reply_beyond_what_a_conn_takes_is_an_error(void **state)
{
    struct side d;
    void *body;

    (void)state;
    side_open(&d, false, false, true);
    d.hold = true;
    peer_opens(&d, 1, 1);
    peer_asks(&d, 1, 1, "Node.List");
    turn_until(d.l, d.n_held == 1);
    body = xcalloc(CONN_OUT_MAX, 1);
    rpc_reply(d.held[0], body, CONN_OUT_MAX);
    d.held[0] = NULL;
    free(body);
    expect_reply(&d, 1, "rpc: the reply is too large", 1, "Node.List");
    raw_quiet(&d.r);
    side_done(&d);
}

/* --- plain connections --- */

static void test_plain_requests_are_answered_in_order(void **state)
{
    struct buf b = BUF_INIT(MIB), want = BUF_INIT(MIB);
    struct side d;

    (void)state;
    side_open(&d, false, true, true);
    for (uint64_t i = 1; i <= 200; i++) {
        put_request(&b, i, "Status.Ping", empty, 1);
        put_reply(&want, "", i, "Status.Ping", empty, 1);
    }
    raw_say(&d.r, b.p, b.len);
    raw_need(&d.r, want.len);
    assert_memory_equal(d.r.in.p, want.p, want.len);
    buf_drop(&d.r.in, want.len);
    assert_int_equal(shutdown(d.r.fd, SHUT_WR), 0);
    raw_end(&d.r); /* our end behind theirs */
    turn_until(d.l, d.closed);
    buf_done(&b);
    buf_done(&want);
    side_done(&d);
}

static void test_plain_end_waits_for_the_answer(void **state)
{
    struct buf b = BUF_INIT(MIB);
    struct side d;

    (void)state;
    side_open(&d, false, true, true);
    d.hold = true;
    put_request(&b, 1, "A.B", empty, 1);
    raw_say(&d.r, b.p, b.len);
    assert_int_equal(shutdown(d.r.fd, SHUT_WR), 0);
    turn_until(d.l, d.n_held == 1);
    raw_quiet(&d.r);
    rpc_fail(d.held[0], "no");
    d.held[0] = NULL;
    buf_reset(&b);
    put_reply(&b, "no", 1, "A.B", empty, 1);
    raw_need(&d.r, b.len);
    assert_memory_equal(d.r.in.p, b.p, b.len);
    buf_drop(&d.r.in, b.len);
    raw_end(&d.r);
    buf_done(&b);
    side_done(&d);
}

static void test_plain_connection_stops_reading_behind_a_request(void **state)
{
    static char junk[64 * 1024];
    struct buf b = BUF_INIT(MIB);
    size_t sent = 0;
    struct side d;
    ssize_t n;

    (void)state;
    side_open(&d, false, true, true);
    d.hold = true;
    put_request(&b, 1, "A.B", empty, 1);
    raw_say(&d.r, b.p, b.len);
    turn_until(d.l, d.n_held == 1);
    for (int i = 0; i < 1000; i++) {
        n = send(d.r.fd, junk, sizeof(junk), MSG_NOSIGNAL);
        if (n > 0)
            sent += (size_t)n;
        turn_some(d.l, 1);
    }
    assert_true(sent < 2 * MIB); /* then the sockets are full */
    assert_int_equal(d.closed, 0);
    buf_done(&b);
    side_done(&d);
}

/* faster than they are answered: they wait in the socket */
static void test_plain_pipelined_requests_do_not_pile_up(void **state)
{
    static uint8_t place[65536];
    struct buf b = BUF_INIT(MIB);
    size_t sent = 0, one, total, answered = 0, most = 0;
    struct side d;
    ssize_t n;

    (void)state;
    side_open(&d, false, true, true);
    put_request(&b, 1, "A.B", empty, 1);
    for (one = b.len; b.len < 512 * 1024;)
        put_request(&b, 1, "A.B", empty, 1);
    total = 8 * b.len;
    for (int i = 0; i < 200000 && sent < total && !d.closed; i++) {
        n = send(d.r.fd, b.p + sent % b.len, b.len - sent % b.len, MSG_NOSIGNAL);
        if (n > 0)
            sent += (size_t)n;
        turn_some(d.l, 1);
        while ((n = recv(d.r.fd, place, sizeof(place), 0)) > 0)
            answered += (size_t)n;
        most = MAX(most, sent - d.n_seen * one);
    }
    assert_int_equal(d.closed, 0);
    assert_int_equal(sent, total);
    assert_true(answered > 0);
    /* in two sockets and one window */
    assert_true(most < MIB);
    buf_done(&b);
    side_done(&d);
}

static void test_plain_lost_connection_tells_that_nobody_waits(void **state)
{
    struct buf b = BUF_INIT(MIB);
    struct side d;

    (void)state;
    side_open(&d, false, true, true);
    d.hold = true;
    put_request(&b, 1, "A.B", empty, 1);
    raw_say(&d.r, b.p, b.len);
    turn_until(d.l, d.n_held == 1);
    d.r.fd = fd_close(d.r.fd);
    turn_until(d.l, d.gone == 1 && d.closed == 1);
    buf_done(&b);
    side_done(&d);
}

/* --- calling --- */

struct answer {
    struct buf body;
    struct side *call_again; /* from inside done */
    int n;
    enum rpc_result how;
    bool inside;
    char text[300];
};

static void on_done(void *arg, enum rpc_result how, const char *text, const uint8_t *body, size_t n)
{
    struct answer *a = arg;

    assert_false(a->inside);
    a->n++;
    a->how = how;
    (void)snprintf(a->text, sizeof(a->text), "%s", text);
    buf_init(&a->body, 32 * MIB);
    if (n)
        buf_add(&a->body, body, n);
    if (a->call_again) {
        struct side *d = a->call_again;

        a->call_again = NULL;
        buf_done(&a->body);
        (void)rpc_call(d->s, "Second.Call", empty, 1, 0, on_done, a);
    }
}

static struct rpc_call *call(struct side *d, struct answer *a, const char *method,
                             uint64_t timeout_ns)
{
    struct rpc_call *c;

    *a = (struct answer){.inside = true};
    c = rpc_call(d->s, method, empty, 1, timeout_ns, on_done, a);
    a->inside = false;
    return c;
}

static void expect_request(struct side *d, uint32_t id, uint64_t seq, const char *method)
{
    struct buf b = BUF_INIT(MIB);

    put_request(&b, seq, method, empty, 1);
    raw_expect_data(&d->r, id, b.p, b.len);
    buf_done(&b);
}

/* SYN and type byte, which come together */
static void expect_open(struct side *d, uint32_t id)
{
    raw_expect(&d->r, R_WINDOW, R_SYN, id, 0);
    raw_expect_data(&d->r, id, "\1", 1);
}

static void say_reply(struct side *d, uint32_t id, const char *error, uint64_t seq,
                      const char *method)
{
    struct buf b = BUF_INIT(MIB);

    put_reply(&b, error, seq, method, empty, 1);
    raw_data(&d->r, 0, id, b.p, b.len);
    buf_done(&b);
}

static void client_open(struct side *d)
{
    side_open(d, true, false, true);
    raw_need(&d->r, 1);
    assert_int_equal(d->r.in.p[0], 6);
    buf_drop(&d->r.in, 1);
}

static void talk_as_client(void *arg, const char *word, char *value)
{
    struct talk *t = arg;
    struct buf b = BUF_INIT(MIB);

    golden_bytes(&b, value);
    t->lines++;
    if (t->lines > 6) { /* up to the answer of the ping */
        buf_done(&b);
        return;
    }
    if (word[0] == '<') {
        raw_say(&t->d->r, b.p, b.len);
    } else {
        raw_need(&t->d->r, b.len);
        assert_memory_equal(t->d->r.in.p, b.p, b.len);
        buf_drop(&t->d->r.in, b.len);
    }
    buf_done(&b);
}

static void test_we_call_as_a_recorded_agent_does(void **state)
{
    struct answer a;
    struct side d;
    struct talk t = {.d = &d};

    (void)state;
    side_open(&d, true, false, true);
    (void)call(&d, &a, "Status.Ping", 0);
    golden_each("tests/data/wire/rpc-connect.txt", talk_as_client, &t);
    turn_until(d.l, a.n);
    assert_int_equal(a.how, RPC_OK);
    assert_int_equal(a.body.len, 1);
    buf_done(&a.body);
    side_done(&d);
}

static void test_stream_is_used_again_after_success(void **state)
{
    struct answer a;
    struct side d;

    (void)state;
    client_open(&d);
    for (uint64_t i = 1; i <= 1000; i++) {
        (void)call(&d, &a, "Node.UpdateStatus", 0);
        assert_int_equal(rpc_session_calls(d.s), 1);
        if (i == 1)
            expect_open(&d, 1);
        expect_request(&d, 1, i, "Node.UpdateStatus"); /* no type byte again */
        say_reply(&d, 1, "", i, "Node.UpdateStatus");
        turn_until(d.l, a.n);
        assert_int_equal(a.how, RPC_OK);
        assert_int_equal(rpc_session_calls(d.s), 0);
        buf_done(&a.body);
    }
    side_done(&d);
}

static void test_two_idle_streams_are_kept_last_used_first(void **state)
{
    struct answer a[3], again;
    struct side d;

    (void)state;
    client_open(&d);
    for (uint32_t i = 0; i < 3; i++) {
        (void)call(&d, &a[i], "A.B", 0);
        expect_open(&d, 2 * i + 1);
        expect_request(&d, 2 * i + 1, i + 1, "A.B");
        raw_frame(&d.r, R_WINDOW, R_ACK, 2 * i + 1, 0);
    }
    for (uint32_t i = 0; i < 3; i++) {
        say_reply(&d, 2 * i + 1, "", i + 1, "A.B");
        turn_until(d.l, a[i].n);
        buf_done(&a[i].body);
    }
    raw_expect(&d.r, R_WINDOW, R_FIN, 5, 0); /* the third is one too many */
    (void)call(&d, &again, "A.B", 0);
    expect_request(&d, 3, 4, "A.B"); /* used after 1 */
    side_done(&d);
}

static void test_stream_is_closed_after_an_error(void **state)
{
    struct answer a;
    struct side d;

    (void)state;
    client_open(&d);
    (void)call(&d, &a, "Node.UpdateStatus", 0);
    expect_open(&d, 1);
    expect_request(&d, 1, 1, "Node.UpdateStatus");
    say_reply(&d, 1, "node not found", 1, "Node.UpdateStatus");
    turn_until(d.l, a.n);
    assert_int_equal(a.how, RPC_ERROR);
    assert_string_equal(a.text, "node not found");
    buf_done(&a.body);
    raw_expect(&d.r, R_WINDOW, R_FIN, 1, 0);
    raw_frame(&d.r, R_WINDOW, R_FIN, 1, 0);
    (void)call(&d, &a, "Node.Register", 0);
    expect_open(&d, 3);
    side_done(&d);
}

static void test_done_may_call_again(void **state)
{
    struct answer a;
    struct side d;

    (void)state;
    client_open(&d);
    (void)call(&d, &a, "First.Call", 0);
    a.call_again = &d;
    expect_open(&d, 1);
    expect_request(&d, 1, 1, "First.Call");
    say_reply(&d, 1, "", 1, "First.Call");
    expect_request(&d, 1, 2, "Second.Call"); /* on the same stream */
    say_reply(&d, 1, "", 2, "Second.Call");
    turn_until(d.l, a.n == 2);
    buf_done(&a.body);
    side_done(&d);
}

static void test_call_times_out_and_its_stream_is_reset(void **state)
{
    struct answer a;
    struct side d;

    (void)state;
    client_open(&d);
    (void)call(&d, &a, "A.B", NSEC_PER_SEC);
    expect_open(&d, 1);
    expect_request(&d, 1, 1, "A.B");
    clock_fake_advance(NSEC_PER_SEC - 1);
    (void)loop_run_due(d.l);
    assert_int_equal(a.n, 0);
    clock_fake_advance(1);
    (void)loop_run_due(d.l);
    assert_int_equal(a.how, RPC_TIMEOUT);
    assert_int_equal(a.n, 1);
    buf_done(&a.body);
    raw_expect(&d.r, R_WINDOW, R_RST, 1, 0);
    say_reply(&d, 1, "", 1, "A.B"); /* too late */
    raw_quiet(&d.r);
    assert_int_equal(a.n, 1);
    side_done(&d);
}

static void test_cancelled_call_is_never_answered(void **state)
{
    struct rpc_call *c;
    struct answer a;
    struct side d;

    (void)state;
    client_open(&d);
    c = call(&d, &a, "A.B", NSEC_PER_SEC);
    expect_open(&d, 1);
    expect_request(&d, 1, 1, "A.B");
    rpc_call_cancel(c);
    rpc_call_cancel(NULL);
    raw_expect(&d.r, R_WINDOW, R_RST, 1, 0);
    say_reply(&d, 1, "", 1, "A.B");
    clock_fake_advance(5 * NSEC_PER_SEC);
    (void)loop_run_due(d.l);
    raw_quiet(&d.r);
    assert_int_equal(a.n, 0);
    side_done(&d);
}

static void expect_transport(struct side *d, struct answer *a, const char *text)
{
    turn_until(d->l, a->n);
    assert_int_equal(a->n, 1);
    assert_int_equal(a->how, RPC_TRANSPORT);
    if (!strstr(a->text, text))
        fail_msg("wanted \"%s\", came \"%s\"", text, a->text);
    buf_done(&a->body);
}

static void test_stream_that_ends_without_an_answer_fails_the_call(void **state)
{
    struct answer a, b;
    struct side d;

    (void)state;
    client_open(&d);
    (void)call(&d, &a, "A.B", 0);
    (void)call(&d, &b, "A.B", 0);
    raw_data(&d.r, R_ACK | R_FIN, 1, "\x83\xa5", 2); /* half an answer */
    expect_transport(&d, &a, "EOF");
    raw_frame(&d.r, R_WINDOW, R_RST, 3, 0);
    expect_transport(&d, &b, "stream reset by the peer");
    assert_int_equal(d.closed, 0);
    assert_int_equal(rpc_session_calls(d.s), 0);
    side_done(&d);
}

static void test_bad_answers_fail_the_call_and_reset_the_stream(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
        const char *text;
    } rows[] = {
        {B("\xc1"),                                              "malformed reply"},
        {B("\x05\x80"),                                          "malformed reply"},
        {B("\x82\xa5"
           "Error\x05\xa3Seq\x01\x80"),
         "malformed reply"                                                        },
        {B("\x82\xa5"
           "Error\xa0\xa3Seq\x63\x80"),
         "reply to another request"                                               },
        {B("\x82\xa5"
           "Error\xa0\xa3Seq\x01\xc1"),
         "malformed reply"                                                        },
        {B("\x82\xa5"
           "Error\xa0\xa3Seq\x01\xdb\x7f\xff\xff\xff"),
         "the reply is too large"                                                 },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct answer a;
        struct side d;

        client_open(&d);
        (void)call(&d, &a, "A.B", 0);
        expect_open(&d, 1);
        expect_request(&d, 1, 1, "A.B");
        raw_data(&d.r, 0, 1, rows[i].bytes, rows[i].n);
        expect_transport(&d, &a, rows[i].text);
        raw_expect(&d.r, R_WINDOW, R_RST, 1, 0);
        side_done(&d);
    }
}

static void test_unasked_bytes_on_an_idle_stream_reset_it(void **state)
{
    struct answer a;
    struct side d;

    (void)state;
    client_open(&d);
    (void)call(&d, &a, "A.B", 0);
    expect_open(&d, 1);
    expect_request(&d, 1, 1, "A.B");
    say_reply(&d, 1, "", 1, "A.B");
    turn_until(d.l, a.n);
    buf_done(&a.body);
    raw_data(&d.r, 0, 1, "x", 1);
    raw_expect(&d.r, R_WINDOW, R_RST, 1, 0);
    (void)call(&d, &a, "A.B", 0);
    expect_open(&d, 3);
    side_done(&d);
}

static void test_idle_stream_closed_by_the_peer_is_forgotten(void **state)
{
    struct answer a;
    struct side d;

    (void)state;
    client_open(&d);
    (void)call(&d, &a, "A.B", 0);
    expect_open(&d, 1);
    expect_request(&d, 1, 1, "A.B");
    say_reply(&d, 1, "", 1, "A.B");
    turn_until(d.l, a.n);
    buf_done(&a.body);
    raw_frame(&d.r, R_WINDOW, R_FIN, 1, 0);
    raw_expect(&d.r, R_WINDOW, R_FIN, 1, 0);
    (void)call(&d, &a, "A.B", 0);
    expect_open(&d, 3);
    side_done(&d);
}

static void test_lost_session_fails_all_calls_then_says_so(void **state)
{
    struct answer a[5];
    struct side d;

    (void)state;
    client_open(&d);
    for (size_t i = 0; i < 5; i++)
        (void)call(&d, &a[i], "A.B", 0);
    d.r.fd = fd_close(d.r.fd);
    turn_until(d.l, d.closed);
    for (size_t i = 0; i < 5; i++)
        expect_transport(&d, &a[i], "unix: ");
    assert_int_equal(d.closed, 1);
    (void)call(&d, &a[0], "A.B", 0); /* fails, but later */
    expect_transport(&d, &a[0], "unix: ");
    side_done(&d);
}

static void test_closed_session_fails_calls_without_on_closed(void **state)
{
    struct answer a;
    struct side d;

    (void)state;
    client_open(&d);
    (void)call(&d, &a, "A.B", 0);
    a.inside = true;
    rpc_session_close(d.s);
    a.inside = false;
    expect_transport(&d, &a, "session closed");
    assert_int_equal(d.closed, 0);
    side_done(&d);
}

static void test_goaway_fails_new_calls_only(void **state)
{
    struct answer a, b;
    struct side d;

    (void)state;
    client_open(&d);
    assert_true(rpc_session_takes_calls(d.s));
    (void)call(&d, &a, "A.B", 0);
    expect_open(&d, 1);
    expect_request(&d, 1, 1, "A.B");
    raw_frame(&d.r, R_GOAWAY, 0, 0, 0);
    turn_until(d.l, !rpc_session_takes_calls(d.s));
    assert_true(rpc_session_is_open(d.s));
    (void)call(&d, &b, "A.B", 0);
    expect_transport(&d, &b, "the peer goes away");
    say_reply(&d, 1, "", 1, "A.B");
    turn_until(d.l, a.n);
    assert_int_equal(a.how, RPC_OK);
    buf_done(&a.body);
    side_done(&d);
}

static void test_calls_that_cannot_be_made_fail(void **state)
{
    static struct answer many[257];
    struct answer a;
    struct side d;
    void *big;

    (void)state;
    side_open(&d, false, true, true);
    (void)call(&d, &a, "A.B", 0);
    expect_transport(&d, &a, "no calls on a plain connection");
    side_done(&d);

    client_open(&d);
    big = xcalloc(RPC_BODY_MAX + 1, 1);
    a = (struct answer){0};
    (void)rpc_call(d.s, "A.B", big, RPC_BODY_MAX + 1, 0, on_done, &a);
    expect_transport(&d, &a, "the request is too large");
    free(big);
    for (size_t i = 0; i < 256; i++)
        (void)call(&d, &many[i], "A.B", 0);
    (void)call(&d, &many[256], "A.B", 0);
    expect_transport(&d, &many[256], "too many streams are open");
    side_done(&d);
}

static void test_cancel_before_a_failure_is_told(void **state)
{
    struct rpc_call *c;
    struct answer a;
    struct side d;

    (void)state;
    client_open(&d);
    rpc_session_close(d.s);
    c = call(&d, &a, "A.B", 0);
    rpc_call_cancel(c);
    turn_some(d.l, 3);
    assert_int_equal(a.n, 0);
    side_done(&d);
}

/* --- two of ours --- */

struct two {
    struct side c, s;
};

static void two_open(struct two *t)
{
    struct rpc_session_opts o = {
        .handler = handler, .handler_arg = &t->c, .on_closed = on_closed, .arg = &t->c};
    int fds[2];
    ssize_t n;
    char type;

    memset(t, 0, sizeof(*t));
    assert_int_equal(loop_new(&t->c.l), 0);
    t->s.l = t->c.l;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    o.client = true;
    t->c.s = rpc_session_new(conn_new(t->c.l, fds[0], &(const struct conn_user){0}, NULL), &o);
    turn_some(t->c.l, 2);
    n = read(fds[1], &type, 1); /* what the acceptor does */
    assert_true(n == 1 && type == 6);
    o.client = false;
    o.handler_arg = o.arg = &t->s;
    t->s.s = rpc_session_new(conn_new(t->c.l, fds[1], &(const struct conn_user){0}, NULL), &o);
}

static void two_done(struct two *t)
{
    struct loop *l = t->c.l;

    rpc_session_close(t->c.s);
    rpc_session_close(t->s.s);
    turn_some(l, 5);
    t->c.s = rpc_session_unref(t->c.s);
    t->s.s = rpc_session_unref(t->s.s);
    conn_drop_closing(l);
    (void)loop_free(l);
}

static void test_both_sides_call_at_once(void **state)
{
    struct answer a[40];
    struct two t;

    (void)state;
    two_open(&t);
    for (int i = 0; i < 40; i++)
        (void)call(i % 2 ? &t.c : &t.s, &a[i], "Some.Method", NSEC_PER_SEC);
    for (int i = 0; i < 40; i++) {
        turn_until(t.c.l, a[i].n);
        assert_int_equal(a[i].how, RPC_OK);
        buf_done(&a[i].body);
    }
    assert_int_equal(t.c.n_seen, 20);
    assert_int_equal(t.s.n_seen, 20);
    two_done(&t);
}

static void test_large_bodies_cross_many_windows(void **state)
{
    static const size_t sizes[] = {65536, 262144, 300000, 3000000, 16 * MIB - 5};
    struct two t;

    (void)state;
    two_open(&t);
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct buf body = BUF_INIT(RPC_BODY_MAX);
        uint8_t *raw = xcalloc(sizes[i], 1);
        struct answer a = {0};

        for (size_t k = 0; k < sizes[i]; k++)
            raw[k] = (uint8_t)(k * 131 >> 5);
        mp_raw(&body, raw, sizes[i]);
        assert_int_equal(buf_ok(&body), 0);
        (void)rpc_call(i % 2 ? t.s.s : t.c.s, "Some.Echo", body.p, body.len, 0, on_done, &a);
        for (int k = 0; k < 20000 && !a.n; k++)
            turn_some(t.c.l, 1);
        assert_int_equal(a.how, RPC_OK);
        assert_int_equal(a.body.len, body.len);
        assert_memory_equal(a.body.p, body.p, body.len);
        buf_done(&a.body);
        buf_done(&body);
        free(raw);
    }
    two_done(&t);
}

static void test_long_poll_does_not_hold_up_other_calls(void **state)
{
    struct answer poll, a;
    struct two t;

    (void)state;
    two_open(&t);
    t.s.hold = true;
    (void)call(&t.c, &poll, "Node.GetClientAllocs", 0);
    turn_until(t.c.l, t.s.n_held == 1);
    t.s.hold = false;
    for (int i = 0; i < 100; i++) {
        (void)call(&t.c, &a, "Node.UpdateStatus", 0);
        turn_until(t.c.l, a.n);
        assert_int_equal(a.how, RPC_OK);
        buf_done(&a.body);
    }
    assert_int_equal(poll.n, 0);
    rpc_reply(t.s.held[0], empty, 1);
    turn_until(t.c.l, poll.n);
    buf_done(&poll.body);
    two_done(&t);
}

static int destroyed;

static void destroy(void *data)
{
    assert_string_equal(data, "slot");
    destroyed++;
}

static void test_session_keeps_what_its_user_binds_to_it(void **state)
{
    struct rpc_session *held;
    struct side d;

    (void)state;
    destroyed = 0;
    side_open(&d, false, false, true);
    assert_null(rpc_session_data(d.s));
    rpc_session_set_data(d.s, (char[]){"slot"}, destroy);
    assert_string_equal(rpc_session_data(d.s), "slot");
    assert_string_equal(rpc_session_peer(d.s), "unix");
    assert_int_equal(rpc_session_opened_ns(d.s), clock_boot_ns());
    rpc_session_set_data(d.s, (char[]){"slot"}, destroy);
    assert_int_equal(destroyed, 1); /* the old one */
    held = rpc_session_ref(d.s);
    d.hold = true;
    peer_opens(&d, 1, 1);
    peer_asks(&d, 1, 1, "A.B");
    turn_until(d.l, d.n_held == 1);
    rpc_session_close(d.s);
    turn_some(d.l, 3);
    assert_int_equal(destroyed, 1);
    (void)rpc_session_unref(held);
    d.s = rpc_session_unref(d.s);
    assert_int_equal(d.gone, 1); /* so the request holds it no more */
    assert_int_equal(destroyed, 2);
    side_done(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recorded_agent_is_answered_byte_for_byte),
        cmocka_unit_test(test_recorded_errors_are_answered_byte_for_byte),
        cmocka_unit_test(test_without_a_handler_nothing_is_found),
        cmocka_unit_test(test_header_forms),
        cmocka_unit_test(test_messages_cut_anywhere_and_pipelined),
        cmocka_unit_test(test_pipelined_requests_run_one_after_the_other),
        cmocka_unit_test(test_pipelined_bytes_are_bounded_by_the_window),
        cmocka_unit_test(test_thousand_pipelined_requests_are_answered_in_order),
        cmocka_unit_test(test_fin_does_not_end_a_request_that_waits),
        cmocka_unit_test(test_fin_behind_pipelined_requests_is_answered_last),
        cmocka_unit_test(test_fin_inside_a_message_is_answered_with_fin),
        cmocka_unit_test(test_reset_tells_that_nobody_waits),
        cmocka_unit_test(test_lost_session_tells_that_nobody_waits),
        cmocka_unit_test(test_answer_after_the_stream_is_gone_is_dropped),
        cmocka_unit_test(test_request_header_too_large_closes_the_stream),
        cmocka_unit_test(test_request_body_too_large_is_refused_from_its_length),
        cmocka_unit_test(test_many_large_requests_at_once_end_the_session),
        cmocka_unit_test(test_many_half_sent_requests_end_the_session),
        cmocka_unit_test(test_garbage_closes_the_stream),
        cmocka_unit_test(test_deep_nesting_is_refused),
        cmocka_unit_test(test_wrong_stream_type_closes_the_session),
        cmocka_unit_test(test_streaming_methods_are_refused_by_name),
        cmocka_unit_test(test_handler_may_close_the_session),
        cmocka_unit_test(test_reply_without_body_is_the_empty_map),
        cmocka_unit_test(test_reply_beyond_what_a_conn_takes_is_an_error),
        cmocka_unit_test(test_plain_requests_are_answered_in_order),
        cmocka_unit_test(test_plain_end_waits_for_the_answer),
        cmocka_unit_test(test_plain_connection_stops_reading_behind_a_request),
        cmocka_unit_test(test_plain_pipelined_requests_do_not_pile_up),
        cmocka_unit_test(test_plain_lost_connection_tells_that_nobody_waits),
        cmocka_unit_test(test_we_call_as_a_recorded_agent_does),
        cmocka_unit_test(test_stream_is_used_again_after_success),
        cmocka_unit_test(test_two_idle_streams_are_kept_last_used_first),
        cmocka_unit_test(test_stream_is_closed_after_an_error),
        cmocka_unit_test(test_done_may_call_again),
        cmocka_unit_test(test_call_times_out_and_its_stream_is_reset),
        cmocka_unit_test(test_cancelled_call_is_never_answered),
        cmocka_unit_test(test_stream_that_ends_without_an_answer_fails_the_call),
        cmocka_unit_test(test_bad_answers_fail_the_call_and_reset_the_stream),
        cmocka_unit_test(test_unasked_bytes_on_an_idle_stream_reset_it),
        cmocka_unit_test(test_idle_stream_closed_by_the_peer_is_forgotten),
        cmocka_unit_test(test_lost_session_fails_all_calls_then_says_so),
        cmocka_unit_test(test_closed_session_fails_calls_without_on_closed),
        cmocka_unit_test(test_goaway_fails_new_calls_only),
        cmocka_unit_test(test_calls_that_cannot_be_made_fail),
        cmocka_unit_test(test_cancel_before_a_failure_is_told),
        cmocka_unit_test(test_both_sides_call_at_once),
        cmocka_unit_test(test_large_bodies_cross_many_windows),
        cmocka_unit_test(test_long_poll_does_not_hold_up_other_calls),
        cmocka_unit_test(test_session_keeps_what_its_user_binds_to_it),
    };

    loop_block_signals();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
