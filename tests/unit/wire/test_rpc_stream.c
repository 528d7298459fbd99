/* wire/rpc_stream: both ends against each other, and each against a peer made of bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "codec/mp.h"
#include "tests/support/wire_raw.h"
#include "wire/conn.h"
#include "wire/rpc_stream.h"

/* one end of one stream */
struct end {
    struct rpc_stream *s; /* NULL once told of the end */
    struct buf in;        /* objects, one behind the other */
    size_t n_objects, n_room, n_ends;
    int code; /* 0: the peer's end */
    char text[600];
    size_t close_at; /* closes from inside when so many objects have come */
    bool echo, close_in_room, close_in_end;
};

static void on_object(void *arg, const uint8_t *p, size_t n)
{
    struct end *e = arg;

    e->n_objects++;
    buf_add(&e->in, p, n);
    if (e->echo)
        assert_int_equal(rpc_stream_write(e->s, p, n), 0);
    if (e->n_objects == e->close_at)
        e->s = rpc_stream_close(e->s);
}

static void on_room(void *arg)
{
    struct end *e = arg;

    e->n_room++;
    if (e->close_in_room)
        e->s = rpc_stream_close(e->s);
}

static void on_end(void *arg, const struct err *why)
{
    struct end *e = arg;

    e->n_ends++;
    e->code = why ? why->code : 0;
    (void)snprintf(e->text, sizeof(e->text), "%s", why ? why->text : "");
    if (e->close_in_end)
        e->s = rpc_stream_close(e->s);
    e->s = NULL;
}

static const struct rpc_stream_user user = {on_object, on_room, on_end};

static void end_init(struct end *e)
{
    *e = (struct end){.in = BUF_INIT(64 * MIB)};
}

/* --- a client's session and a server's, joined --- */

struct pair {
    struct loop *l;
    struct rpc_session *ours, *theirs; /* ours opens the connection */
    struct end accepted;
    size_t n_offered;
    const char *refuse; /* with this text */
    bool ignore;        /* the handler does nothing */
    bool hang_up;       /* the handler closes the session */
    char method[100];
};

static void on_stream(void *arg, struct rpc_stream *s, const char *method)
{
    struct pair *p = arg;

    p->n_offered++;
    (void)snprintf(p->method, sizeof(p->method), "%s", method);
    if (p->refuse) {
        rpc_stream_refuse(s, p->refuse);
    } else if (p->hang_up) {
        p->accepted.s = s;
        rpc_stream_accept(s, &user, &p->accepted);
        rpc_session_close(p->theirs);
    } else if (!p->ignore) {
        p->accepted.s = s;
        rpc_stream_accept(s, &user, &p->accepted);
    }
}

static struct rpc_session *session(struct pair *p, int take_fd, bool client)
{
    struct rpc_session_opts o = {.stream_handler = on_stream, .stream_arg = p, .client = client};

    return rpc_session_new(conn_new(p->l, take_fd, &(const struct conn_user){0}, NULL), &o);
}

static void pair_open(struct pair *p)
{
    uint8_t type;
    int fds[2];

    *p = (struct pair){0};
    end_init(&p->accepted);
    clock_fake(true, UINT64_C(1) << 60, 0);
    assert_int_equal(loop_new(&p->l), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    p->ours = session(p, fds[0], true);
    while (recv(fds[1], &type, 1, 0) != 1)
        turn_some(p->l, 1);
    assert_int_equal(type, 6); /* the acceptor's business */
    p->theirs = session(p, fds[1], false);
}

static void pair_close(struct pair *p)
{
    if (p->accepted.s)
        p->accepted.s = rpc_stream_close(p->accepted.s);
    if (p->ours)
        rpc_session_close(p->ours);
    if (p->theirs)
        rpc_session_close(p->theirs);
    turn_some(p->l, 5);
    p->ours = rpc_session_unref(p->ours);
    p->theirs = rpc_session_unref(p->theirs);
    buf_done(&p->accepted.in);
    conn_drop_closing(p->l);
    p->l = loop_free(p->l);
    clock_fake(false, 0, 0);
}

static void open_stream(struct pair *p, struct end *e)
{
    static const uint8_t request[] = {0x81, 0xa1, 'a', 0x01};

    end_init(e);
    e->s = rpc_stream_open(p->ours, "Agent.Monitor", request, sizeof(request), &user, e);
    assert_int_equal(rpc_stream_room(e->s), 0); /* nobody has agreed */
}

static void open_accepted(struct pair *p, struct end *e)
{
    open_stream(p, e);
    turn_until(p->l, p->accepted.n_objects == 1);
    assert_int_equal(e->n_room, 1); /* now there is room */
    assert_int_equal(rpc_stream_room(e->s), RPC_STREAM_MAX);
}

/* --- both ends --- */

static void test_objects_go_both_ways(void **state)
{
    static const uint8_t request[] = {0x81, 0xa1, 'a', 0x01};
    struct pair p;
    struct end e;

    (void)state;
    pair_open(&p);
    open_accepted(&p, &e);
    assert_string_equal(p.method, "Agent.Monitor");
    assert_int_equal(p.accepted.in.len, sizeof(request));
    assert_memory_equal(p.accepted.in.p, request, sizeof(request));
    p.accepted.echo = true;
    for (uint8_t i = 0; i < 100; i++)
        assert_int_equal(rpc_stream_write(e.s, &i, 1), 0);
    turn_until(p.l, e.n_objects == 100);
    for (uint8_t i = 0; i < 100; i++)
        assert_int_equal(e.in.p[i], i);
    assert_int_equal(rpc_session_streams(p.ours), 1);
    e.s = rpc_stream_close(e.s);
    turn_until(p.l, p.accepted.n_ends == 1);
    assert_int_equal(p.accepted.code, 0);
    assert_int_equal(rpc_session_streams(p.ours), 0);
    assert_int_equal(rpc_session_streams(p.theirs), 0);
    assert_int_equal(e.n_ends, 0); /* it closed: no callback */
    buf_done(&e.in);
    pair_close(&p);
}

static void test_what_was_written_before_the_close_arrives(void **state)
{
    static uint8_t big[60000];
    struct pair p;
    struct end e;

    (void)state;
    pair_open(&p);
    open_accepted(&p, &e);
    big[0] = 0xda; /* str16 */
    big[1] = (sizeof(big) - 3) >> 8;
    big[2] = (sizeof(big) - 3) & 0xff;
    for (int i = 0; i < 50; i++) {
        turn_until(p.l, rpc_stream_room(p.accepted.s) >= sizeof(big));
        assert_int_equal(rpc_stream_write(p.accepted.s, big, sizeof(big)), 0);
    }
    p.accepted.s = rpc_stream_close(p.accepted.s);
    turn_until(p.l, e.n_ends);
    assert_int_equal(e.code, 0);
    assert_int_equal(e.n_objects, 50);
    assert_int_equal(e.in.len, 50 * sizeof(big));
    buf_done(&e.in);
    pair_close(&p);
}

static void test_a_refusal_comes_with_its_text(void **state)
{
    static const struct {
        const char *refuse, *text;
    } rows[] = {
        {"Permission denied", "Permission denied"                    },
        {NULL,                "Unknown rpc method: \"Agent.Monitor\""},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct pair p;
        struct end e;

        pair_open(&p);
        p.refuse = rows[i].refuse;
        p.ignore = true; /* whoever does nothing knows nothing */
        open_stream(&p, &e);
        turn_until(p.l, e.n_ends);
        assert_int_equal(e.code, -EREMOTEIO);
        assert_string_equal(e.text, rows[i].text);
        assert_int_equal(e.n_room, 0);
        assert_int_equal(rpc_session_streams(p.ours), 0);
        assert_true(rpc_session_is_open(p.ours));
        buf_done(&e.in);
        pair_close(&p);
    }
}

static void test_servers_open_streams_to_clients(void **state)
{
    struct pair p;
    struct end e;

    (void)state;
    pair_open(&p);
    end_init(&e);
    e.s = rpc_stream_open(p.theirs, "X.Y", "\x80", 1, &user, &e);
    turn_until(p.l, p.accepted.n_objects == 1);
    assert_int_equal(rpc_stream_write(p.accepted.s, "\x07", 1), 0);
    turn_until(p.l, e.n_objects == 1);
    e.s = rpc_stream_close(e.s);
    buf_done(&e.in);
    pair_close(&p);
}

/* --- backpressure --- */

/* an array of so many bytes in all */
static void put_object(struct buf *b, size_t n)
{
    static const uint8_t head[] = {0xdb};

    buf_add(b, head, 1);
    buf_add_be32(b, (uint32_t)(n - 5));
    assert_true(buf_reserve(b, n - 5));
    memset(b->p + b->len, 'x', n - 5);
    b->len += n - 5;
}

static void test_a_paused_reader_stops_the_writer(void **state)
{
    struct buf object = BUF_INIT(MIB);
    size_t sent = 0, seen;
    struct pair p;
    struct end e;

    (void)state;
    pair_open(&p);
    open_accepted(&p, &e);
    put_object(&object, 10000);
    rpc_stream_pause(e.s, true);
    for (int full = 0; full < 20;) {
        if (rpc_stream_write(p.accepted.s, object.p, object.len) == 0)
            sent++;
        else
            full++;
        turn_some(p.l, 1);
        assert_true(sent < 100);
    }
    seen = e.n_objects;
    assert_true(rpc_stream_room(p.accepted.s) < object.len);
    assert_true(sent * object.len <= YAMUX_WINDOW + RPC_STREAM_MAX + 2 * object.len);
    turn_some(p.l, 10);
    assert_int_equal(e.n_objects, seen); /* nothing while it is paused */
    p.accepted.n_room = 0;
    rpc_stream_pause(e.s, false);
    assert_int_equal(e.n_objects, seen); /* not from inside */
    turn_until(p.l, e.n_objects == sent && p.accepted.n_room > 0);
    assert_int_equal(rpc_stream_room(p.accepted.s), RPC_STREAM_MAX);
    e.s = rpc_stream_close(e.s);
    turn_until(p.l, p.accepted.n_ends == 1);
    buf_done(&e.in);
    buf_done(&object);
    pair_close(&p);
}

/* the end comes behind what waits */
static void test_a_paused_reader_hears_of_the_end_later(void **state)
{
    struct pair p;
    struct end e;

    (void)state;
    pair_open(&p);
    open_accepted(&p, &e);
    rpc_stream_pause(e.s, true);
    for (int i = 0; i < 3; i++)
        assert_int_equal(rpc_stream_write(p.accepted.s, "\x01", 1), 0);
    p.accepted.s = rpc_stream_close(p.accepted.s);
    turn_some(p.l, 10);
    assert_int_equal(e.n_objects + e.n_ends, 0);
    rpc_stream_pause(e.s, false);
    turn_until(p.l, e.n_ends);
    assert_int_equal(e.n_objects, 3);
    assert_int_equal(e.code, 0);
    buf_done(&e.in);
    pair_close(&p);
}

static void test_a_large_object_goes_alone(void **state)
{
    struct buf object = BUF_INIT(2 * MIB);
    struct pair p;
    struct end e;

    (void)state;
    pair_open(&p);
    open_accepted(&p, &e);
    put_object(&object, RPC_OBJECT_MAX);
    assert_int_equal(rpc_stream_write(e.s, object.p, object.len), 0);
    assert_int_equal(rpc_stream_write(e.s, "\x01", 1), -ENOBUFS);
    turn_until(p.l, p.accepted.n_objects == 2);
    assert_int_equal(p.accepted.in.len, 4 + RPC_OBJECT_MAX);
    assert_int_equal(rpc_stream_write(e.s, object.p, object.len + 1), -ENOBUFS);
    e.s = rpc_stream_close(e.s);
    buf_done(&e.in);
    buf_done(&object);
    pair_close(&p);
}

/* very many small ones: in order, none lost, other things go on */
static void test_many_small_objects(void **state)
{
    static uint8_t nils[50000];
    struct pair p;
    struct end e;

    (void)state;
    pair_open(&p);
    open_accepted(&p, &e);
    memset(nils, 0xc0, sizeof(nils));
    assert_int_equal(rpc_stream_write(e.s, nils, sizeof(nils)), 0); /* opaque */
    turn_until(p.l, p.accepted.n_objects == 1 + sizeof(nils));
    e.s = rpc_stream_close(e.s);
    turn_until(p.l, p.accepted.n_ends);
    buf_done(&e.in);
    pair_close(&p);
}

/* --- closing from inside --- */

static void test_callbacks_may_close(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct pair p;
        struct end e;

        pair_open(&p);
        if (i == 0)
            p.accepted.close_at = 1;
        open_stream(&p, &e);
        e.close_in_room = i == 1;
        e.close_in_end = i == 2;
        turn_until(p.l, p.n_offered == 1);
        if (i == 2) {
            turn_until(p.l, p.accepted.n_objects);
            p.accepted.s = rpc_stream_close(p.accepted.s);
        }
        if (i == 3) { /* several objects in one piece, closed at the second */
            e.close_at = 2;
            turn_until(p.l, p.accepted.n_objects);
            assert_int_equal(rpc_stream_write(p.accepted.s, "\x01\x02\x03\x04", 4), 0);
        }
        turn_until(p.l, (e.s == NULL || e.n_ends) && (p.accepted.s == NULL || p.accepted.n_ends));
        assert_int_equal(rpc_session_streams(p.ours), 0);
        assert_int_equal(rpc_session_streams(p.theirs), 0);
        if (i == 3)
            assert_int_equal(e.n_objects, 2);
        buf_done(&e.in);
        pair_close(&p);
    }
}

/* --- ends --- */

static void test_the_end_of_the_session_is_told(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct pair p;
        struct end e;

        pair_open(&p);
        p.hang_up = i == 2;
        if (i == 0)
            open_accepted(&p, &e);
        else
            open_stream(&p, &e);
        if (i < 2)
            rpc_session_close(i == 0 ? p.theirs : p.ours);
        assert_int_equal(e.n_ends, 0);
        turn_until(p.l, e.n_ends == 1);
        assert_true(e.code < 0);
        if (i != 1)
            turn_until(p.l, p.accepted.n_ends == 1);
        buf_done(&e.in);
        pair_close(&p);
    }
}

static void test_opening_on_a_dead_session_is_told_later(void **state)
{
    struct pair p;
    struct end e, early;

    (void)state;
    pair_open(&p);
    rpc_session_close(p.ours);
    open_stream(&p, &e);
    assert_int_equal(e.n_ends, 0);
    open_stream(&p, &early);
    early.s = rpc_stream_close(early.s); /* before it was told */
    turn_until(p.l, e.n_ends == 1);
    assert_string_equal(e.text, "session closed");
    turn_some(p.l, 3);
    assert_int_equal(early.n_ends, 0);
    buf_done(&e.in);
    pair_close(&p);
}

/* a session lives as long as its streams */
static void test_streams_keep_their_session(void **state)
{
    struct pair p;
    struct end e;

    (void)state;
    pair_open(&p);
    open_accepted(&p, &e);
    rpc_session_close(p.ours);
    p.ours = rpc_session_unref(p.ours);
    turn_until(p.l, e.n_ends == 1 && p.accepted.n_ends == 1);
    buf_done(&e.in);
    pair_close(&p);
}

/* --- a peer made of bytes --- */

struct side {
    struct pair p;
    struct raw r;
};

static void side_open(struct side *d, bool client)
{
    int fd;

    memset(d, 0, sizeof(*d));
    end_init(&d->p.accepted);
    clock_fake(true, UINT64_C(1) << 60, 0);
    assert_int_equal(loop_new(&d->p.l), 0);
    raw_open(&d->r, d->p.l, &fd);
    d->p.ours = session(&d->p, fd, client);
    if (client) {
        raw_need(&d->r, 1);
        buf_drop(&d->r.in, 1);
    }
}

static void side_close(struct side *d)
{
    raw_close(&d->r);
    pair_close(&d->p);
}

static void peer_opens(struct side *d, uint32_t id, const char *method)
{
    _cleanup_buf_ struct buf b = BUF_INIT(MIB);

    raw_frame(&d->r, R_WINDOW, R_SYN, id, 0);
    raw_expect(&d->r, R_WINDOW, R_ACK, id, 0);
    buf_add_byte(&b, 5);
    mp_map(&b, 1);
    mp_str(&b, "Method");
    mp_str(&b, method);
    raw_data(&d->r, 0, id, b.p, b.len);
}

static const char agreed[] = "\x81\xa5"
                             "Error\xa0";

static void test_the_acceptors_bytes(void **state)
{
    struct side d;

    (void)state;
    side_open(&d, false);
    peer_opens(&d, 1, "A.B");
    raw_expect_data(&d.r, 1, agreed, sizeof(agreed) - 1);
    raw_data(&d.r, 0, 1, "\x81\xa1", 2); /* half an object */
    raw_quiet(&d.r);
    assert_int_equal(d.p.accepted.n_objects, 0);
    raw_data(&d.r, 0, 1, "a\x01\x02", 3); /* the other half, and one more */
    turn_until(d.p.l, d.p.accepted.n_objects == 2);
    raw_data(&d.r, R_FIN, 1, "\x03", 1); /* data and end in one frame */
    turn_until(d.p.l, d.p.accepted.n_ends == 1);
    assert_int_equal(d.p.accepted.n_objects, 3);
    assert_int_equal(d.p.accepted.code, 0);
    raw_expect(&d.r, R_WINDOW, R_FIN, 1, 0);
    side_close(&d);
}

/* header, request, objects and the end in one go */
static void test_an_impatient_opener(void **state)
{
    static const char all[] = "\x05\x81\xa6Method\xa3"
                              "A.B\x80\x01\x02";
    struct side d;

    (void)state;
    side_open(&d, false);
    raw_frame(&d.r, R_DATA, R_SYN | R_FIN, 1, sizeof(all) - 1);
    raw_say(&d.r, all, sizeof(all) - 1);
    turn_until(d.p.l, d.p.accepted.n_ends == 1);
    assert_int_equal(d.p.accepted.n_objects, 3);
    raw_expect(&d.r, R_WINDOW, R_ACK, 1, 0);
    raw_expect_data(&d.r, 1, agreed, sizeof(agreed) - 1);
    raw_expect(&d.r, R_WINDOW, R_FIN, 1, 0);
    side_close(&d);
}

struct broken_row {
    const char *bytes;
    size_t n;
    bool fin;
    int code;
};

static void test_a_broken_opener_ends_its_stream_only(void **state)
{
    static const struct broken_row rows[] = {
        {"\xc1",                 1, false, -EBADMSG   },
        {"\xdb\x00\x20\x00\x00", 5, false, -EMSGSIZE  }, /* says that it is 2 MiB long */
        {"\x81\xa1",             2, true,  -ECONNRESET}, /* half an object */
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct side d;

        side_open(&d, false);
        peer_opens(&d, 1, "A.B");
        raw_expect_data(&d.r, 1, agreed, sizeof(agreed) - 1);
        raw_data(&d.r, rows[i].fin ? R_FIN : 0, 1, rows[i].bytes, rows[i].n);
        turn_until(d.p.l, d.p.accepted.n_ends == 1);
        assert_int_equal(d.p.accepted.code, rows[i].code);
        assert_int_equal(d.p.accepted.n_objects, 0);
        raw_expect(&d.r, R_WINDOW, rows[i].fin ? R_FIN : R_RST, 1, 0);
        end_init(&d.p.accepted);
        peer_opens(&d, 3, "A.B"); /* the session is well */
        raw_expect_data(&d.r, 3, agreed, sizeof(agreed) - 1);
        side_close(&d);
    }
}

static void test_a_reset_is_told(void **state)
{
    struct side d;

    (void)state;
    side_open(&d, false);
    peer_opens(&d, 1, "A.B");
    raw_expect_data(&d.r, 1, agreed, sizeof(agreed) - 1);
    raw_frame(&d.r, R_WINDOW, R_RST, 1, 0);
    turn_until(d.p.l, d.p.accepted.n_ends == 1);
    assert_int_equal(d.p.accepted.code, -ECONNRESET);
    raw_quiet(&d.r);
    side_close(&d);
}

/* what half-sent objects of all streams hold has a ceiling */
static void test_unfinished_objects_are_limited(void **state)
{
    static uint8_t filler[64 * KIB];
    struct side d;
    size_t sent = 0;

    (void)state;
    side_open(&d, false);
    d.p.accepted.in.max = 0; /* nobody collects */
    for (uint32_t id = 1; rpc_session_is_open(d.p.ours) && sent < 4 * RPC_SESSION_MAX; id += 2) {
        struct buf b = BUF_INIT(100);

        raw_frame(&d.r, R_WINDOW, R_SYN, id, 0);
        buf_add(&b,
                "\x05\x81\xa6Method\xa3"
                "A.B",
                13);
        buf_add_byte(&b, 0xdb);
        buf_add_be32(&b, RPC_OBJECT_MAX - 5);
        raw_data(&d.r, 0, id, b.p, b.len);
        buf_done(&b);
        for (size_t n = 0; n + 2 * sizeof(filler) < RPC_OBJECT_MAX && rpc_session_is_open(d.p.ours);
             n += sizeof(filler)) {
            raw_frame(&d.r, R_DATA, 0, id, sizeof(filler));
            for (size_t at = 0; at < sizeof(filler) && rpc_session_is_open(d.p.ours);) {
                ssize_t k = send(d.r.fd, filler + at, sizeof(filler) - at, MSG_NOSIGNAL);

                at += k > 0 ? (size_t)k : 0;
                turn_some(d.p.l, 1);
            }
            sent += sizeof(filler);
        }
        raw_read(&d.r);
        buf_reset(&d.r.in);
    }
    assert_false(rpc_session_is_open(d.p.ours));
    assert_in_range(sent, RPC_SESSION_MAX / 2, 2 * RPC_SESSION_MAX);
    d.p.accepted.s = NULL; /* told, all of them */
    side_close(&d);
}

/* --- as the opener --- */

static void opener(struct side *d, struct end *e)
{
    static const char head[] = "\x05\x81\xa6Method\xad"
                               "Agent.Monitor";

    side_open(d, true);
    open_stream(&d->p, e);
    raw_expect(&d->r, R_WINDOW, R_SYN, 1, 0);
    raw_expect_data(&d->r, 1, head, sizeof(head) - 1);
    raw_quiet(&d->r); /* the request waits */
}

static void test_the_openers_bytes(void **state)
{
    struct side d;
    struct end e;

    (void)state;
    opener(&d, &e);
    raw_frame(&d.r, R_WINDOW, R_ACK, 1, 0);
    raw_data(&d.r, 0, 1, agreed, 4);
    raw_quiet(&d.r);
    assert_int_equal(rpc_stream_write(e.s, "\x01", 1), -ENOBUFS);
    raw_data(&d.r, 0, 1, agreed + 4, sizeof(agreed) - 1 - 4);
    raw_expect_data(&d.r, 1,
                    "\x81\xa1"
                    "a\x01",
                    4);
    assert_int_equal(rpc_stream_write(e.s, "\x01", 1), 0);
    raw_expect_data(&d.r, 1, "\x01", 1);
    e.s = rpc_stream_close(e.s);
    raw_expect(&d.r, R_WINDOW, R_FIN, 1, 0);
    raw_data(&d.r, R_FIN, 1, "\x05", 1); /* still on its way */
    raw_quiet(&d.r);
    assert_int_equal(e.n_objects + e.n_ends, 0);
    side_close(&d);
}

static void test_strange_answers_to_an_opener(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
        bool fin;
        int code;
        const char *text;
    } rows[] = {
        {"\x81\xa5"
         "Error\xa2no", 10, false, -EREMOTEIO,  "no"                    },
        {"\x81\xa5"
         "Error\x01",   8,  false, -EBADMSG,    "malformed answer"      },
        {"\x01",                 1,  false, -EBADMSG,    "malformed answer"      },
        {"\xc1",                 1,  false, -EBADMSG,    "malformed data"        },
        {"\xdb\x00\x01\x00\x00", 5,  false, -EMSGSIZE,   "an object is too large"},
        {"",                     0,  true,  -ECONNRESET, "EOF"                   },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct side d;
        struct end e;

        opener(&d, &e);
        raw_data(&d.r, rows[i].fin ? R_FIN | R_ACK : R_ACK, 1, rows[i].bytes, rows[i].n);
        turn_until(d.p.l, e.n_ends == 1);
        assert_int_equal(e.code, rows[i].code);
        assert_string_equal(e.text, rows[i].text);
        assert_true(rpc_session_is_open(d.p.ours));
        side_close(&d);
    }
}

/* an answer without the key is a go: Go's zero value */
static void test_an_empty_answer_agrees(void **state)
{
    struct side d;
    struct end e;

    (void)state;
    opener(&d, &e);
    raw_data(&d.r, R_ACK, 1, "\x80\x07", 2); /* and a first object */
    turn_until(d.p.l, e.n_objects == 1);
    e.s = rpc_stream_close(e.s);
    buf_done(&e.in);
    side_close(&d);
}

static void test_an_acceptor_that_says_nothing_is_given_up(void **state)
{
    struct side d;
    struct end e;

    (void)state;
    opener(&d, &e);
    raw_frame(&d.r, R_WINDOW, R_ACK, 1, 0);
    turn_some(d.p.l, 3);
    clock_fake_advance(30 * NSEC_PER_SEC);
    (void)loop_run_due(d.p.l);
    assert_int_equal(e.n_ends, 1);
    assert_int_equal(e.code, -ETIMEDOUT);
    side_close(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_objects_go_both_ways),
        cmocka_unit_test(test_what_was_written_before_the_close_arrives),
        cmocka_unit_test(test_a_refusal_comes_with_its_text),
        cmocka_unit_test(test_servers_open_streams_to_clients),
        cmocka_unit_test(test_a_paused_reader_stops_the_writer),
        cmocka_unit_test(test_a_paused_reader_hears_of_the_end_later),
        cmocka_unit_test(test_a_large_object_goes_alone),
        cmocka_unit_test(test_many_small_objects),
        cmocka_unit_test(test_callbacks_may_close),
        cmocka_unit_test(test_the_end_of_the_session_is_told),
        cmocka_unit_test(test_opening_on_a_dead_session_is_told_later),
        cmocka_unit_test(test_streams_keep_their_session),
        cmocka_unit_test(test_the_acceptors_bytes),
        cmocka_unit_test(test_an_impatient_opener),
        cmocka_unit_test(test_a_broken_opener_ends_its_stream_only),
        cmocka_unit_test(test_a_reset_is_told),
        cmocka_unit_test(test_unfinished_objects_are_limited),
        cmocka_unit_test(test_the_openers_bytes),
        cmocka_unit_test(test_strange_answers_to_an_opener),
        cmocka_unit_test(test_an_empty_answer_agrees),
        cmocka_unit_test(test_an_acceptor_that_says_nothing_is_given_up),
    };

    loop_block_signals();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
