#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "tests/support/wire_raw.h"
#include "wire/conn.h"
#include "wire/yamux.h"

/* One side is ours, the other is bytes.  Streams write down what happens to them. */

struct stream {
    struct yamux_stream *s;
    struct buf got;
    bool eof, reset, drained;
    bool greedy;  /* consumes at once */
    bool let_go;  /* releases itself in on_data */
    bool kill;    /* resets itself in on_data */
    bool end_all; /* frees the session in on_data */
    struct err why;
};

struct side {
    struct loop *l;
    struct yamux *y;
    struct raw r;
    struct stream in[300]; /* those that the peer opened */
    size_t n_in;
    bool dont_accept;
    bool refuse; /* resets what the peer opens */
    int closed;
    struct err why;
};

static struct side *current;

static void stream_data(void *arg, const uint8_t *p, size_t n)
{
    struct stream *s = arg;

    buf_add(&s->got, p, n);
    if (s->greedy)
        yamux_consumed(s->s, n);
    if (s->let_go)
        s->s = yamux_release(s->s);
    if (s->kill)
        s->s = yamux_reset(s->s);
    if (s->end_all)
        current->y = yamux_free(current->y);
}

static void stream_eof(void *arg)
{
    struct stream *s = arg;

    assert_false(s->eof);
    s->eof = true;
}

static void stream_reset(void *arg, const struct err *e)
{
    struct stream *s = arg;

    s->reset = true;
    s->why = *e;
    s->s = NULL;
}

static void stream_drained(void *arg)
{
    struct stream *s = arg;

    s->drained = true;
}

static const struct yamux_stream_user stream_calls = {stream_data, stream_eof, stream_reset,
                                                      stream_drained};

static void side_stream(void *arg, struct yamux_stream *s)
{
    struct side *d = arg;
    struct stream *i;

    if (d->refuse) {
        (void)yamux_reset(s);
        return;
    }
    assert_true(d->n_in < ARRAY_LEN(d->in));
    i = &d->in[d->n_in++];
    i->s = s;
    buf_init(&i->got, 32 * MIB);
    yamux_stream_set_user(s, &stream_calls, i);
    if (!d->dont_accept)
        yamux_accept(s);
}

static void side_closed(void *arg, const struct err *e)
{
    struct side *d = arg;

    d->closed++;
    d->why = *e;
}

static const struct yamux_user side_calls = {side_stream, side_closed};

static const struct conn_user no_calls; /* replaced before anything happens */

static void side_open(struct side *d, bool client)
{
    int fd;

    memset(d, 0, sizeof(*d));
    current = d;
    /* a clock that stands still, far ahead: timers fire only when a test says so */
    clock_fake(true, UINT64_C(1) << 60, 0);
    assert_int_equal(loop_new(&d->l), 0);
    raw_open(&d->r, d->l, &fd);
    d->y = yamux_new(conn_new(d->l, fd, &no_calls, NULL), client, &side_calls, d);
}

static void side_done(struct side *d)
{
    d->y = yamux_free(d->y);
    for (size_t i = 0; i < d->n_in; i++)
        buf_done(&d->in[i].got);
    raw_close(&d->r);
    conn_drop_closing(d->l);
    d->l = loop_free(d->l);
    clock_fake(false, 0, 0);
}

/* lets fake time pass in steps, with a turn of the loop for each */
static void pass(struct side *d, uint64_t sec)
{
    for (uint64_t i = 0; i < sec; i++) {
        clock_fake_advance(NSEC_PER_SEC);
        (void)loop_run_due(d->l);
    }
    turn_some(d->l, 2);
}

static struct stream *open_stream(struct side *d, struct stream *s)
{
    *s = (struct stream){.got = BUF_INIT(32 * MIB)};
    assert_int_equal(yamux_open(d->y, &stream_calls, s, &s->s), 0);
    return s;
}

/* the peer opens a stream and it is answered */
static struct stream *peer_opens(struct side *d, uint32_t id)
{
    size_t n = d->n_in;

    raw_frame(&d->r, R_WINDOW, R_SYN, id, 0);
    raw_expect(&d->r, R_WINDOW, R_ACK, id, 0);
    assert_int_equal(d->n_in, n + 1);
    return &d->in[n];
}

/* the session ends with GO AWAY 1, and the user hears why */
static void expect_protocol_error(struct side *d, const char *why)
{
    raw_expect(&d->r, R_GOAWAY, 0, 0, 1);
    raw_end(&d->r);
    turn_until(d->l, d->closed);
    assert_int_equal(d->why.code, -EPROTO);
    assert_non_null(strstr(d->why.text, why));
}

static void test_bytes_of_an_opened_stream(void **state)
{
    /* as in the recording of a real agent: SYN, the type byte, a request */
    static const uint8_t want[] = {0, 1, 0, 1, 0, 0, 0, 1, 0, 0,   0,   0,  0, 0,
                                   0, 0, 0, 0, 0, 1, 0, 0, 0, 1,   1,   0,  0, 0,
                                   0, 0, 0, 0, 1, 0, 0, 0, 3, 'a', 'b', 'c'};
    struct stream s;
    struct side d;

    (void)state;
    side_open(&d, true);
    open_stream(&d, &s);
    yamux_write(s.s, "\1", 1);
    yamux_write(s.s, "abc", 3);
    raw_need(&d.r, sizeof(want));
    assert_memory_equal(d.r.in.p, want, sizeof(want));
    buf_reset(&d.r.in);
    raw_frame(&d.r, R_WINDOW, R_ACK, 1, 0);
    raw_data(&d.r, 0, 1, "reply", 5);
    turn_until(d.l, s.got.len == 5);
    assert_string_equal(buf_str(&s.got), "reply");
    buf_done(&s.got);
    side_done(&d);
}

static void test_ids_are_odd_here_and_even_there(void **state)
{
    for (int client = 0; client < 2; client++) {
        struct stream s[3];
        struct side d;

        (void)state;
        side_open(&d, client);
        for (uint32_t i = 0; i < 3; i++) {
            open_stream(&d, &s[i]);
            assert_int_equal(yamux_stream_id(s[i].s), 2 * i + (client ? 1 : 2));
        }
        /* never used again, also after the stream is gone */
        s[0].s = yamux_reset(s[0].s);
        open_stream(&d, &s[0]);
        assert_int_equal(yamux_stream_id(s[0].s), client ? 7 : 8);
        side_done(&d);
    }
}

static void test_data_may_come_with_syn_and_fin(void **state)
{
    struct side d;

    (void)state;
    side_open(&d, false);
    raw_data(&d.r, R_SYN | R_FIN, 1, "all", 3);
    raw_expect(&d.r, R_WINDOW, R_ACK, 1, 0);
    turn_until(d.l, d.n_in == 1 && d.in[0].eof);
    assert_string_equal(buf_str(&d.in[0].got), "all");
    yamux_write(d.in[0].s, "answer", 6);
    d.in[0].s = yamux_release(d.in[0].s);
    raw_expect_data(&d.r, 1, "answer", 6);
    raw_expect(&d.r, R_WINDOW, R_FIN, 1, 0);
    assert_int_equal(yamux_streams(d.y), 0);
    side_done(&d);
}

static void test_frames_cut_anywhere_are_understood(void **state)
{
    static const uint8_t bytes[] = {0,   0, 0, 1, 0, 0, 0, 5, 0, 0, 0, 4, 'd', 'a', 't',
                                    'a', 0, 0, 0, 4, 0, 0, 0, 5, 0, 0, 0, 2,   '.', '!'};
    struct side d;

    (void)state;
    side_open(&d, false);
    for (size_t i = 0; i < sizeof(bytes); i++) {
        raw_say(&d.r, bytes + i, 1);
        turn_some(d.l, 1);
    }
    turn_until(d.l, d.n_in == 1 && d.in[0].eof);
    assert_string_equal(buf_str(&d.in[0].got), "data.!");
    side_done(&d);
}

static void test_ping_is_answered_with_its_number(void **state)
{
    struct side d;

    (void)state;
    side_open(&d, false);
    raw_frame(&d.r, R_PING, R_SYN, 0, 0xdeadbeef);
    raw_expect(&d.r, R_PING, R_ACK, 0, 0xdeadbeef);
    raw_frame(&d.r, R_PING, R_ACK, 0, 77); /* an answer to no question */
    raw_quiet(&d.r);
    side_done(&d);
}

/* a peer that asks without end and reads nothing is not read either, until it reads */
static void test_answers_do_not_pile_up(void **state)
{
    static const uint8_t ping[12] = {0, 2, 0, 1, [11] = 7};
    static uint8_t pings[4800], place[65536];
    size_t sent = 0, back = 0, full = 0;
    struct side d;
    ssize_t n;

    (void)state;
    for (size_t i = 0; i < sizeof(pings); i += 12)
        memcpy(pings + i, ping, sizeof(ping));
    side_open(&d, false);
    while (full < 100 && sent < 16 * MIB) {
        n = send(d.r.fd, pings + sent % sizeof(pings), sizeof(pings) - sent % sizeof(pings),
                 MSG_NOSIGNAL);
        full += n < 0;
        sent += n > 0 ? (size_t)n : 0;
        turn_some(d.l, 1);
    }
    assert_true(sent < 4 * MIB);
    assert_int_equal(d.closed, 0);
    for (int i = 0; i < 2000 && back < sent / 12 * 12; i++) {
        while ((n = recv(d.r.fd, place, sizeof(place), 0)) > 0)
            back += (size_t)n;
        turn_some(d.l, 1);
    }
    assert_int_equal(back, sent / 12 * 12);
    side_done(&d);
}

static void test_ping_answer_does_not_wait_behind_data(void **state)
{
    static char body[8 * MIB];
    struct stream *s;
    size_t before = 0;
    struct side d;

    (void)state;
    side_open(&d, false);
    s = peer_opens(&d, 1);
    raw_frame(&d.r, R_WINDOW, 0, 1, 16 * MIB);
    turn_some(d.l, 2);
    yamux_write(s->s, body, sizeof(body)); /* far more than the sockets hold */
    turn_some(d.l, 5);
    raw_frame(&d.r, R_PING, R_SYN, 0, 5);
    turn_some(d.l, 5);
    for (;;) {
        struct raw_frame f = raw_next(&d.r);

        if (f.type == R_PING)
            break;
        raw_need(&d.r, f.length);
        buf_drop(&d.r.in, f.length);
        before += f.length;
    }
    assert_true(before < 2 * MIB);
    assert_true(yamux_pending(s->s) > 0);
    side_done(&d);
}

static void test_keepalive_every_thirty_seconds(void **state)
{
    struct side d;

    (void)state;
    side_open(&d, true);
    for (uint32_t i = 0; i < 4; i++) {
        pass(&d, 29);
        raw_quiet(&d.r);
        pass(&d, 1);
        raw_expect(&d.r, R_PING, R_SYN, 0, i);
        pass(&d, 9);
        raw_frame(&d.r, R_PING, R_ACK, 0, i);
        turn_some(d.l, 3);
    }
    assert_int_equal(d.closed, 0);
    side_done(&d);
}

static void test_no_answer_to_a_ping_ends_the_session(void **state)
{
    struct stream s;
    struct side d;

    (void)state;
    side_open(&d, true);
    open_stream(&d, &s);
    raw_expect(&d.r, R_WINDOW, R_SYN, 1, 0);
    raw_frame(&d.r, R_WINDOW, R_ACK, 1, 0);
    pass(&d, 30);
    raw_expect(&d.r, R_PING, R_SYN, 0, 0);
    raw_frame(&d.r, R_PING, R_ACK, 0, 9); /* not ours */
    turn_some(d.l, 3);
    pass(&d, 10);
    turn_until(d.l, d.closed);
    assert_int_equal(d.why.code, -ETIMEDOUT);
    assert_non_null(strstr(d.why.text, "no answer to a ping"));
    assert_true(s.reset);
    raw_end(&d.r);
    side_done(&d);
}

/* On a slow line the answer stands behind what the peer sent before it: a connection over which
 * data still comes is not dead. */
static void test_data_that_arrives_is_as_good_as_an_answer(void **state)
{
    struct stream s;
    struct side d;

    (void)state;
    side_open(&d, true);
    open_stream(&d, &s);
    s.greedy = true;
    raw_expect(&d.r, R_WINDOW, R_SYN, 1, 0);
    raw_frame(&d.r, R_WINDOW, R_ACK, 1, 0);
    turn_some(d.l, 2);
    yamux_probe(d.y, 4 * NSEC_PER_SEC);
    raw_expect(&d.r, R_PING, R_SYN, 0, 0);
    for (int i = 0; i < 20; i++) {
        raw_data(&d.r, 0, 1, "slowly", 6);
        turn_some(d.l, 2);
        pass(&d, 3);
        assert_int_equal(d.closed, 0);
    }
    raw_frame(&d.r, R_PING, R_ACK, 0, 0);
    turn_some(d.l, 2);
    pass(&d, 30);
    raw_expect(&d.r, R_PING, R_SYN, 0, 1);
    raw_data(&d.r, 0, 1, "the last", 8);
    turn_some(d.l, 2);
    pass(&d, 20); /* and then nothing */
    turn_until(d.l, d.closed);
    assert_non_null(strstr(d.why.text, "no answer to a ping"));
    buf_done(&s.got);
    side_done(&d);
}

static void test_window_is_granted_by_halves(void **state)
{
    static char half[128 * 1024];
    struct stream *s;
    struct side d;

    (void)state;
    side_open(&d, false);
    s = peer_opens(&d, 1);
    raw_data(&d.r, 0, 1, half, sizeof(half) - 1);
    turn_until(d.l, s->got.len == sizeof(half) - 1);
    yamux_consumed(s->s, sizeof(half) - 1);
    raw_quiet(&d.r);
    raw_data(&d.r, 0, 1, half, 1);
    turn_until(d.l, s->got.len == sizeof(half));
    yamux_consumed(s->s, 1);
    raw_expect(&d.r, R_WINDOW, 0, 1, sizeof(half));
    side_done(&d);
}

static void test_peer_may_fill_the_window_but_not_pass_it(void **state)
{
    static char window[256 * 1024];
    struct stream *s;
    struct side d;

    (void)state;
    side_open(&d, false);
    s = peer_opens(&d, 1);
    raw_data(&d.r, 0, 1, window, sizeof(window));
    turn_until(d.l, s->got.len == sizeof(window));
    raw_frame(&d.r, R_DATA, 0, 1, 0);
    raw_quiet(&d.r);
    raw_data(&d.r, 0, 1, "x", 1);
    expect_protocol_error(&d, "more data than the window allows");
    assert_true(s->reset);
    side_done(&d);
}

static void test_frame_larger_than_the_window_ends_the_session_unread(void **state)
{
    struct side d;

    (void)state;
    side_open(&d, false);
    (void)peer_opens(&d, 1);
    raw_frame(&d.r, R_DATA, 0, 1, 256 * 1024 + 1);
    expect_protocol_error(&d, "more data than the window allows");
    side_done(&d);
}

static void test_we_stay_within_the_peers_window(void **state)
{
    static char body[400 * 1024];
    struct stream *s;
    size_t got = 0;
    struct side d;

    (void)state;
    side_open(&d, false);
    s = peer_opens(&d, 1);
    memset(body, 'z', sizeof(body));
    yamux_write(s->s, body, sizeof(body));
    yamux_finish(s->s);
    while (got < 256 * 1024) {
        struct raw_frame f = raw_next(&d.r);

        assert_int_equal(f.type, R_DATA);
        raw_need(&d.r, f.length);
        buf_drop(&d.r.in, f.length);
        got += f.length;
    }
    assert_int_equal(got, 256 * 1024);
    raw_quiet(&d.r);
    assert_int_equal(yamux_pending(s->s), sizeof(body) - got);
    raw_frame(&d.r, R_WINDOW, 0, 1, 10); /* any delta is honoured */
    raw_expect_data(&d.r, 1, body, 10);
    raw_quiet(&d.r);
    raw_frame(&d.r, R_WINDOW, 0, 1, UINT32_MAX);
    raw_frame(&d.r, R_WINDOW, 0, 1, UINT32_MAX); /* must not wrap */
    for (got += 10; got < sizeof(body);) {
        struct raw_frame f = raw_next(&d.r);

        raw_need(&d.r, f.length);
        buf_drop(&d.r.in, f.length);
        got += f.length;
    }
    assert_int_equal(got, sizeof(body));
    raw_expect(&d.r, R_WINDOW, R_FIN, 1, 0); /* behind everything */
    assert_true(s->drained);
    side_done(&d);
}

static void test_syn_and_ack_may_carry_window(void **state)
{
    static char body[300 * 1024];
    struct stream *s;
    size_t got = 0;
    struct side d;

    (void)state;
    side_open(&d, false);
    raw_frame(&d.r, R_WINDOW, R_SYN, 1, 100 * 1024);
    raw_expect(&d.r, R_WINDOW, R_ACK, 1, 0);
    s = &d.in[0];
    yamux_write(s->s, body, sizeof(body));
    while (got < sizeof(body)) {
        struct raw_frame f = raw_next(&d.r);

        raw_need(&d.r, f.length);
        buf_drop(&d.r.in, f.length);
        got += f.length;
    }
    side_done(&d);
}

static void test_streams_take_turns(void **state)
{
    static char body[8 * MIB];
    struct stream *a, *b;
    size_t of_a = 0;
    struct side d;

    (void)state;
    side_open(&d, false);
    a = peer_opens(&d, 1);
    b = peer_opens(&d, 3);
    raw_frame(&d.r, R_WINDOW, 0, 1, 16 * MIB);
    turn_some(d.l, 2);
    yamux_write(a->s, body, sizeof(body));
    turn_some(d.l, 2);
    yamux_write(b->s, "small", 5);
    for (;;) {
        struct raw_frame f = raw_next(&d.r);

        raw_need(&d.r, f.length);
        buf_drop(&d.r.in, f.length);
        if (f.id == 3)
            break;
        of_a += f.length;
    }
    assert_true(of_a < 2 * MIB);
    side_done(&d);
}

static void test_half_closed_stream_still_answers(void **state)
{
    struct stream *s;
    struct side d;

    (void)state;
    side_open(&d, false);
    s = peer_opens(&d, 1);
    raw_frame(&d.r, R_WINDOW, R_FIN, 1, 0);
    turn_until(d.l, s->eof);
    assert_false(s->reset);
    yamux_write(s->s, "late", 4);
    raw_expect_data(&d.r, 1, "late", 4);
    yamux_finish(s->s);
    raw_expect(&d.r, R_WINDOW, R_FIN, 1, 0);
    assert_int_equal(yamux_streams(d.y), 0);
    yamux_write(s->s, "too late", 8);
    yamux_consumed(s->s, 1 << 20);
    s->s = yamux_release(s->s);
    raw_quiet(&d.r);
    side_done(&d);
}

static void test_our_half_close_still_reads(void **state)
{
    struct stream s;
    struct side d;

    (void)state;
    side_open(&d, true);
    open_stream(&d, &s);
    yamux_finish(s.s);
    yamux_finish(s.s); /* once is enough */
    raw_expect(&d.r, R_WINDOW, R_SYN, 1, 0);
    raw_expect(&d.r, R_WINDOW, R_FIN, 1, 0);
    raw_frame(&d.r, R_WINDOW, R_ACK, 1, 0);
    raw_data(&d.r, 0, 1, "answer", 6);
    raw_data(&d.r, R_FIN, 1, "!", 1);
    turn_until(d.l, s.eof);
    assert_string_equal(buf_str(&s.got), "answer!");
    assert_int_equal(yamux_streams(d.y), 0);
    s.s = yamux_release(s.s);
    buf_done(&s.got);
    side_done(&d);
}

static void test_reset_kills_a_stream_at_once(void **state)
{
    struct stream *s;
    struct side d;

    (void)state;
    side_open(&d, false);
    s = peer_opens(&d, 1);
    raw_data(&d.r, R_RST, 1, "junk", 4);
    turn_until(d.l, s->reset);
    assert_int_equal(s->got.len, 0);
    assert_int_equal(s->why.code, -ECONNRESET);
    raw_quiet(&d.r); /* no answer to it */
    assert_int_equal(yamux_streams(d.y), 0);
    (void)peer_opens(&d, 3);
    side_done(&d);
}

static void test_second_fin_ends_the_session(void **state)
{
    struct stream *s;
    struct side d;

    (void)state;
    side_open(&d, false);
    s = peer_opens(&d, 1);
    raw_frame(&d.r, R_WINDOW, R_FIN, 1, 0);
    raw_frame(&d.r, R_WINDOW, R_FIN, 1, 0);
    expect_protocol_error(&d, "a stream is ended twice");
    assert_true(s->reset);
    side_done(&d);
}

static void test_fin_on_a_removed_stream_is_ignored(void **state)
{
    struct stream *s;
    struct side d;

    (void)state;
    side_open(&d, false);
    s = peer_opens(&d, 1);
    s->s = yamux_release(s->s);
    raw_expect(&d.r, R_WINDOW, R_FIN, 1, 0);
    raw_frame(&d.r, R_WINDOW, R_FIN, 1, 0);
    raw_frame(&d.r, R_WINDOW, R_FIN, 1, 0);
    raw_frame(&d.r, R_DATA, R_FIN, 1, 0);
    raw_quiet(&d.r);
    assert_int_equal(d.closed, 0);
    side_done(&d);
}

static void test_duplicate_syn_ends_the_session(void **state)
{
    struct side d;

    (void)state;
    side_open(&d, false);
    (void)peer_opens(&d, 1);
    raw_frame(&d.r, R_WINDOW, R_SYN, 1, 0);
    expect_protocol_error(&d, "opened twice");
    side_done(&d);
}

static void test_stream_zero_cannot_be_opened(void **state)
{
    struct side d;

    (void)state;
    side_open(&d, false);
    raw_frame(&d.r, R_DATA, R_SYN, 0, 0);
    expect_protocol_error(&d, "stream 0");
    side_done(&d);
}

static void test_unknown_streams_are_discarded(void **state)
{
    static char payload[200000];
    struct stream *s;
    struct side d;

    (void)state;
    side_open(&d, false);
    memset(payload, 1, sizeof(payload)); /* would be frames of type 1 if it were not skipped */
    raw_data(&d.r, 0, 9, payload, sizeof(payload));
    raw_frame(&d.r, R_WINDOW, 0, 11, 1000);
    raw_frame(&d.r, R_WINDOW, R_RST, 13, 0);
    raw_frame(&d.r, R_WINDOW, R_FIN, 15, 0);
    s = peer_opens(&d, 17);
    raw_data(&d.r, 0, 17, "ok", 2);
    turn_until(d.l, s->got.len == 2);
    side_done(&d);
}

static void test_even_ids_are_served_like_odd_ones(void **state)
{
    struct stream *s, mine;
    struct side d;

    (void)state;
    side_open(&d, false);
    s = peer_opens(&d, 2); /* Go does not check either */
    raw_data(&d.r, 0, 2, "even", 4);
    turn_until(d.l, s->got.len == 4);
    open_stream(&d, &mine);
    assert_int_equal(yamux_stream_id(mine.s), 4); /* 2 is taken */
    side_done(&d);
}

static void test_wrong_version_and_type_end_the_session(void **state)
{
    struct side d;

    (void)state;
    for (int i = 0; i < 2; i++) {
        side_open(&d, false);
        raw_header(&d.r, i == 0, i == 0 ? R_PING : 4, R_SYN, 0, 0);
        raw_end(&d.r);
        turn_until(d.l, d.closed);
        assert_int_equal(d.why.code, -EPROTO);
        assert_non_null(strstr(d.why.text, i == 0 ? "version 1" : "frame type 4"));
        side_done(&d);
    }
}

static void test_backlog_beyond_256_is_reset(void **state)
{
    struct side d;

    (void)state;
    side_open(&d, false);
    d.dont_accept = true;
    for (uint32_t i = 0; i < 256; i++)
        (void)peer_opens(&d, 2 * i + 1);
    raw_data(&d.r, R_SYN, 1001, "lost", 4);
    raw_expect(&d.r, R_WINDOW, R_RST, 1001, 0);
    yamux_accept(d.in[0].s);
    yamux_accept(d.in[0].s); /* counts once */
    (void)peer_opens(&d, 1003);
    raw_frame(&d.r, R_WINDOW, R_SYN, 1005, 0);
    raw_expect(&d.r, R_WINDOW, R_RST, 1005, 0);
    d.in[1].s = yamux_release(d.in[1].s); /* letting go makes room as well */
    raw_expect(&d.r, R_WINDOW, R_FIN, 3, 0);
    (void)peer_opens(&d, 1007);
    assert_int_equal(d.closed, 0);
    side_done(&d);
}

static void test_open_streams_have_a_ceiling(void **state)
{
    static struct stream s[YAMUX_STREAMS_MAX + 1];
    struct side d;
    uint32_t id = 1;

    (void)state;
    side_open(&d, true);
    for (size_t i = 0; i < YAMUX_STREAMS_MAX; i++, id += 2) {
        open_stream(&d, &s[i]);
        raw_expect(&d.r, R_WINDOW, R_SYN, id, 0);
        raw_frame(&d.r, R_WINDOW, R_ACK, id, 0);
        turn_some(d.l, 2);
    }
    assert_int_equal(yamux_open(d.y, &stream_calls, &s[0], &s[0].s), -EAGAIN);
    raw_frame(&d.r, R_WINDOW, R_SYN, 2, 0);
    raw_expect(&d.r, R_WINDOW, R_RST, 2, 0);
    side_done(&d);
}

static void test_we_open_at_most_256_unacknowledged(void **state)
{
    static struct stream s[258];
    struct side d;

    (void)state;
    side_open(&d, true);
    for (int i = 0; i < 256; i++)
        open_stream(&d, &s[i]);
    assert_int_equal(yamux_open(d.y, &stream_calls, &s[256], &s[256].s), -EAGAIN);
    raw_frame(&d.r, R_DATA, R_ACK, 1, 0); /* the ACK may ride on data */
    turn_some(d.l, 3);
    open_stream(&d, &s[256]);
    s[1].s = yamux_reset(s[1].s);
    open_stream(&d, &s[257]);
    side_done(&d);
}

static void test_stream_without_ack_ends_the_session_after_75_seconds(void **state)
{
    struct stream s;
    struct side d;
    uint32_t pings = 0;

    (void)state;
    side_open(&d, true);
    open_stream(&d, &s);
    raw_expect(&d.r, R_WINDOW, R_SYN, 1, 0);
    for (int i = 1; i <= 75; i++) {
        assert_int_equal(d.closed, 0);
        pass(&d, 1);
        raw_read(&d.r);
        if (d.r.in.len) {
            raw_expect(&d.r, R_PING, R_SYN, 0, pings);
            raw_frame(&d.r, R_PING, R_ACK, 0, pings++);
            turn_some(d.l, 2);
        }
    }
    turn_until(d.l, d.closed);
    assert_non_null(strstr(d.why.text, "not accepted for 75 s"));
    assert_true(s.reset);
    side_done(&d);
}

/* answers pings while time passes */
static void pass_alive(struct side *d, int sec)
{
    for (int i = 0; i < sec; i++) {
        pass(d, 1);
        raw_read(&d->r);
        if (d->r.in.len >= 12 && raw_peek(&d->r).type == R_PING) {
            struct raw_frame f = raw_next(&d->r);

            raw_frame(&d->r, R_PING, R_ACK, 0, f.length);
            turn_some(d->l, 2);
        }
    }
}

static void test_stream_never_closed_by_the_peer_is_reset_after_five_minutes(void **state)
{
    struct stream s, kept;
    struct side d;

    (void)state;
    side_open(&d, true);
    pass(&d, 10); /* so that no ping falls on what is waited for */
    open_stream(&d, &s);
    open_stream(&d, &kept);
    raw_expect(&d.r, R_WINDOW, R_SYN, 1, 0);
    raw_expect(&d.r, R_WINDOW, R_SYN, 3, 0);
    raw_frame(&d.r, R_WINDOW, R_ACK, 1, 0);
    raw_frame(&d.r, R_WINDOW, R_ACK, 3, 0);
    turn_some(d.l, 2);
    s.s = yamux_release(s.s);
    raw_expect(&d.r, R_WINDOW, R_FIN, 1, 0);
    pass_alive(&d, 5);
    yamux_finish(kept.s);
    raw_expect(&d.r, R_WINDOW, R_FIN, 3, 0);
    pass_alive(&d, 294);
    assert_int_equal(yamux_streams(d.y), 2);
    pass(&d, 1);
    raw_expect(&d.r, R_WINDOW, R_RST, 1, 0);
    pass_alive(&d, 5);
    raw_expect(&d.r, R_WINDOW, R_RST, 3, 0);
    assert_int_equal(yamux_streams(d.y), 0);
    assert_true(kept.reset);
    assert_int_equal(kept.why.code, -ETIMEDOUT);
    assert_int_equal(d.closed, 0);
    side_done(&d);
}

static void test_write_that_does_not_move_ends_the_session(void **state)
{
    static char body[4 * MIB];
    struct stream *s;
    struct side d;

    (void)state;
    side_open(&d, false);
    s = peer_opens(&d, 1);
    raw_frame(&d.r, R_WINDOW, 0, 1, 16 * MIB);
    turn_some(d.l, 2);
    yamux_write(s->s, body, sizeof(body));
    turn_some(d.l, 5);
    pass(&d, 9);
    assert_int_equal(d.closed, 0);
    raw_read(&d.r); /* it moves a little */
    turn_some(d.l, 3);
    pass(&d, 1);
    assert_int_equal(d.closed, 0);
    pass(&d, 10);
    turn_until(d.l, d.closed);
    assert_int_equal(d.why.code, -ETIMEDOUT);
    assert_non_null(strstr(d.why.text, "nothing could be sent for 10 s"));
    side_done(&d);
}

static void test_too_much_waiting_ends_the_session(void **state)
{
    static char body[MIB];
    struct stream *s;
    struct side d;

    (void)state;
    side_open(&d, false);
    s = peer_opens(&d, 1);
    for (int i = 0; i < 40; i++)
        yamux_write(s->s, body, sizeof(body));
    assert_int_equal(d.closed, 0); /* not from inside */
    turn_until(d.l, d.closed);
    assert_int_equal(d.why.code, -ENOBUFS);
    assert_true(s->reset);
    side_done(&d);
}

static void test_go_away_0_stops_new_streams_only(void **state)
{
    struct stream s, t;
    struct side d;

    (void)state;
    side_open(&d, true);
    open_stream(&d, &s);
    raw_expect(&d.r, R_WINDOW, R_SYN, 1, 0);
    raw_frame(&d.r, R_WINDOW, R_ACK, 1, 0);
    raw_frame(&d.r, R_GOAWAY, 0, 0, 0);
    turn_until(d.l, !yamux_takes_streams(d.y));
    assert_int_equal(yamux_open(d.y, &stream_calls, &t, &t.s), -ESHUTDOWN);
    raw_data(&d.r, 0, 1, "still", 5);
    turn_until(d.l, s.got.len == 5);
    yamux_write(s.s, "yes", 3);
    raw_expect_data(&d.r, 1, "yes", 3);
    assert_int_equal(d.closed, 0);
    buf_done(&s.got);
    side_done(&d);
}

static void test_go_away_with_an_error_ends_the_session(void **state)
{
    static const struct {
        uint32_t code;
        const char *text;
    } rows[] = {
        {1, "protocol error"},
        {2, "internal error"},
        {3, "unknown reason"}
    };
    struct stream s;
    struct side d;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        side_open(&d, true);
        open_stream(&d, &s);
        raw_expect(&d.r, R_WINDOW, R_SYN, 1, 0);
        raw_frame(&d.r, R_GOAWAY, 0, 0, rows[i].code);
        turn_until(d.l, d.closed);
        assert_non_null(strstr(d.why.text, rows[i].text));
        assert_true(s.reset);
        assert_int_equal(yamux_open(d.y, &stream_calls, &s, &s.s), -EPIPE);
        raw_end(&d.r);
        side_done(&d);
    }
}

static void test_end_of_the_connection_ends_all_streams(void **state)
{
    struct stream *a, *b;
    struct side d;

    (void)state;
    side_open(&d, false);
    a = peer_opens(&d, 1);
    b = peer_opens(&d, 3);
    b->s = yamux_release(b->s);
    d.r.fd = fd_close(d.r.fd);
    turn_until(d.l, d.closed);
    assert_true(a->reset);
    assert_false(b->reset); /* it was let go of */
    assert_int_equal(d.closed, 1);
    side_done(&d);
}

static void test_streams_that_are_through_go_with_the_session(void **state)
{
    struct stream *a, *b;
    struct side d;

    (void)state;
    side_open(&d, false);
    a = peer_opens(&d, 1);
    b = peer_opens(&d, 3);
    yamux_finish(a->s);
    yamux_finish(b->s);
    raw_frame(&d.r, R_WINDOW, R_FIN, 1, 0);
    raw_frame(&d.r, R_WINDOW, R_FIN, 3, 0);
    turn_until(d.l, a->eof && b->eof);
    assert_int_equal(yamux_streams(d.y), 0);
    b->s = yamux_release(b->s);
    d.r.fd = fd_close(d.r.fd);
    turn_until(d.l, d.closed);
    assert_true(a->reset); /* its user still had it */
    assert_false(b->reset);
    side_done(&d);
}

static void test_session_close_sends_what_waits_and_no_go_away(void **state)
{
    struct stream *s;
    struct side d;

    (void)state;
    side_open(&d, false);
    s = peer_opens(&d, 1);
    yamux_write(s->s, "last", 4);
    d.y = yamux_free(d.y);
    raw_expect_data(&d.r, 1, "last", 4);
    raw_end(&d.r);
    assert_false(s->reset);
    assert_int_equal(d.closed, 0);
    side_done(&d);
}

static void test_released_stream_takes_and_forgets_the_rest(void **state)
{
    static char half[128 * 1024];
    struct stream *s;
    struct side d;

    (void)state;
    side_open(&d, false);
    s = peer_opens(&d, 1);
    s->let_go = true;
    raw_data(&d.r, 0, 1, half, sizeof(half));
    raw_expect(&d.r, R_WINDOW, R_FIN, 1, 0);
    assert_true(s->got.len <= sizeof(half));
    /* a peer that still writes its request is not left hanging */
    raw_data(&d.r, 0, 1, half, sizeof(half));
    raw_expect(&d.r, R_WINDOW, 0, 1, sizeof(half));
    raw_frame(&d.r, R_WINDOW, R_FIN, 1, 0);
    turn_until(d.l, yamux_streams(d.y) == 0);
    side_done(&d);
}

static void test_stream_may_be_reset_inside_on_data(void **state)
{
    struct stream *s;
    struct side d;

    (void)state;
    side_open(&d, false);
    s = peer_opens(&d, 1);
    s->kill = true;
    raw_data(&d.r, R_FIN, 1, "xyz", 3);
    raw_expect(&d.r, R_WINDOW, R_RST, 1, 0);
    (void)peer_opens(&d, 3);
    side_done(&d);
}

static void test_session_may_be_freed_inside_on_data(void **state)
{
    struct stream *s;
    struct side d;

    (void)state;
    side_open(&d, false);
    s = peer_opens(&d, 1);
    s->end_all = true;
    raw_data(&d.r, R_FIN, 1, "xyz", 3);
    raw_end(&d.r);
    assert_null(d.y);
    assert_int_equal(d.closed, 0);
    side_done(&d);
}

static void test_user_may_refuse_a_stream(void **state)
{
    struct side d;

    (void)state;
    side_open(&d, false);
    d.refuse = true;
    raw_data(&d.r, R_SYN, 1, "junk", 4);
    raw_expect(&d.r, R_WINDOW, R_ACK, 1, 0);
    raw_expect(&d.r, R_WINDOW, R_RST, 1, 0);
    assert_int_equal(yamux_streams(d.y), 0);
    side_done(&d);
}

static void test_data_behind_fin_is_thrown_away(void **state)
{
    struct stream *s;
    struct side d;

    (void)state;
    side_open(&d, false);
    s = peer_opens(&d, 1);
    raw_data(&d.r, R_FIN, 1, "end", 3);
    raw_data(&d.r, 0, 1, "more", 4);
    raw_frame(&d.r, R_PING, R_SYN, 0, 1);
    raw_expect(&d.r, R_PING, R_ACK, 0, 1);
    assert_string_equal(buf_str(&s->got), "end");
    side_done(&d);
}

/* 20 MB each way through two of ours, windows and all */
static void test_two_sessions_move_much_both_ways(void **state)
{
    static char block[100000];
    struct side d;
    struct stream s, *other;
    struct yamux *y;
    int fds[2];

    (void)state;
    memset(&d, 0, sizeof(d));
    current = &d;
    d.r.fd = -1;
    assert_int_equal(loop_new(&d.l), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    y = yamux_new(conn_new(d.l, fds[0], &no_calls, NULL), true, &side_calls, &d);
    d.y = yamux_new(conn_new(d.l, fds[1], &no_calls, NULL), false, &side_calls, &d);
    s = (struct stream){.got = BUF_INIT(32 * MIB), .greedy = true};
    assert_int_equal(yamux_open(y, &stream_calls, &s, &s.s), 0);
    turn_until(d.l, d.n_in == 1);
    other = &d.in[0];
    other->greedy = true;
    for (int i = 0; i < 200; i++) {
        memset(block, i, sizeof(block));
        yamux_write(s.s, block, sizeof(block));
        yamux_write(other->s, block, sizeof(block));
    }
    yamux_finish(s.s);
    yamux_finish(other->s);
    for (int i = 0; i < 20000 && !(s.eof && other->eof); i++)
        turn_some(d.l, 1);
    assert_int_equal(s.got.len, 200 * sizeof(block));
    assert_int_equal(other->got.len, 200 * sizeof(block));
    for (size_t i = 0; i < s.got.len; i++)
        if (s.got.p[i] != (uint8_t)(i / sizeof(block)) || other->got.p[i] != s.got.p[i])
            fail_msg("byte %zu differs", i);
    assert_int_equal(yamux_streams(y), 0);
    s.s = yamux_release(s.s);
    other->s = yamux_release(other->s);
    buf_done(&s.got);
    (void)yamux_free(y);
    side_done(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_of_an_opened_stream),
        cmocka_unit_test(test_ids_are_odd_here_and_even_there),
        cmocka_unit_test(test_data_may_come_with_syn_and_fin),
        cmocka_unit_test(test_frames_cut_anywhere_are_understood),
        cmocka_unit_test(test_ping_is_answered_with_its_number),
        cmocka_unit_test(test_answers_do_not_pile_up),
        cmocka_unit_test(test_ping_answer_does_not_wait_behind_data),
        cmocka_unit_test(test_keepalive_every_thirty_seconds),
        cmocka_unit_test(test_no_answer_to_a_ping_ends_the_session),
        cmocka_unit_test(test_data_that_arrives_is_as_good_as_an_answer),
        cmocka_unit_test(test_window_is_granted_by_halves),
        cmocka_unit_test(test_peer_may_fill_the_window_but_not_pass_it),
        cmocka_unit_test(test_frame_larger_than_the_window_ends_the_session_unread),
        cmocka_unit_test(test_we_stay_within_the_peers_window),
        cmocka_unit_test(test_syn_and_ack_may_carry_window),
        cmocka_unit_test(test_streams_take_turns),
        cmocka_unit_test(test_half_closed_stream_still_answers),
        cmocka_unit_test(test_our_half_close_still_reads),
        cmocka_unit_test(test_reset_kills_a_stream_at_once),
        cmocka_unit_test(test_second_fin_ends_the_session),
        cmocka_unit_test(test_fin_on_a_removed_stream_is_ignored),
        cmocka_unit_test(test_duplicate_syn_ends_the_session),
        cmocka_unit_test(test_stream_zero_cannot_be_opened),
        cmocka_unit_test(test_unknown_streams_are_discarded),
        cmocka_unit_test(test_even_ids_are_served_like_odd_ones),
        cmocka_unit_test(test_wrong_version_and_type_end_the_session),
        cmocka_unit_test(test_backlog_beyond_256_is_reset),
        cmocka_unit_test(test_open_streams_have_a_ceiling),
        cmocka_unit_test(test_we_open_at_most_256_unacknowledged),
        cmocka_unit_test(test_stream_without_ack_ends_the_session_after_75_seconds),
        cmocka_unit_test(test_stream_never_closed_by_the_peer_is_reset_after_five_minutes),
        cmocka_unit_test(test_write_that_does_not_move_ends_the_session),
        cmocka_unit_test(test_too_much_waiting_ends_the_session),
        cmocka_unit_test(test_go_away_0_stops_new_streams_only),
        cmocka_unit_test(test_go_away_with_an_error_ends_the_session),
        cmocka_unit_test(test_end_of_the_connection_ends_all_streams),
        cmocka_unit_test(test_streams_that_are_through_go_with_the_session),
        cmocka_unit_test(test_session_close_sends_what_waits_and_no_go_away),
        cmocka_unit_test(test_released_stream_takes_and_forgets_the_rest),
        cmocka_unit_test(test_stream_may_be_reset_inside_on_data),
        cmocka_unit_test(test_session_may_be_freed_inside_on_data),
        cmocka_unit_test(test_user_may_refuse_a_stream),
        cmocka_unit_test(test_data_behind_fin_is_thrown_away),
        cmocka_unit_test(test_two_sessions_move_much_both_ways),
    };

    loop_block_signals();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
