/* Arbitrary bytes from a peer of an RPC session: as a server on a stream, on a plain connection, as
 * a client whose calls or streams are answered, or raw frames.  The first byte chooses, the first
 * letter of a method what its handler does. */
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "codec/mp.h"
#include "wire/conn.h"
#include "wire/rpc_stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HELD_MAX = 32, STREAMS_MAX = 8 };

struct stream {
    struct rpc_stream *s; /* NULL: free */
    char how;
    unsigned n_objects;
};

static struct loop *loop;
static struct rpc_session *session;
static struct rpc_request *held[HELD_MAX];
static struct stream streams[STREAMS_MAX];
static unsigned n_done, n_calls;

static void on_done(void *arg, enum rpc_result how, const char *text, const uint8_t *body, size_t n)
{
    (void)arg;
    n_done++;
    if (!text || (how == RPC_OK && n == 0) || (n > 0 && !body))
        abort();
}

static void call(void)
{
    n_calls++;
    (void)rpc_call(session, "Node.GetNode", "\x80", 1, 10 * NSEC_PER_SEC, on_done, NULL);
}

static void on_gone(void *arg, struct rpc_request *q)
{
    *(struct rpc_request **)arg = NULL;
    rpc_drop(q);
}

static void hold(struct rpc_request *q)
{
    for (size_t i = 0; i < HELD_MAX; i++)
        if (!held[i]) {
            held[i] = q;
            q->arg = &held[i];
            q->on_gone = on_gone;
            return;
        }
    rpc_fail(q, "busy");
}

static void answer_held(void)
{
    for (size_t i = 0; i < HELD_MAX; i++)
        if (held[i]) {
            struct rpc_request *q = held[i];

            held[i] = NULL;
            rpc_reply(q, q->body, q->body_len);
            return;
        }
}

static void handler(void *arg, struct rpc_request *q)
{
    (void)arg;
    if (q->body_len == 0)
        abort();
    switch (q->method[0]) {
    case 'H':
        hold(q);
        break;
    case 'A':
        answer_held();
        rpc_reply(q, NULL, 0);
        break;
    case 'F':
        rpc_fail(q, "no");
        break;
    case 'C':
        rpc_fail_close(q, "no, and the end");
        break;
    case 'D':
        rpc_drop(q);
        break;
    case 'X':
        rpc_session_close(session);
        rpc_reply(q, NULL, 0);
        break;
    case 'B':
        call();
        rpc_reply(q, NULL, 0);
        break;
    default:
        rpc_reply(q, q->body, q->body_len);
    }
}

/* --- streams --- */

static void on_object(void *arg, const uint8_t *p, size_t n)
{
    struct stream *t = arg;
    size_t len;

    if (!t->s || n == 0 || mp_frame(&(struct mp_frame){0}, p, n, n, &len) < 0 || len != n)
        abort();
    t->n_objects++;
    if (t->how == 'E')
        (void)!rpc_stream_write(t->s, p, n); /* what has no room is lost */
    else if (t->how == 'P')
        rpc_stream_pause(t->s, true);
    else if (t->how == 'Z')
        t->s = rpc_stream_close(t->s);
    else if (t->how == 'X')
        rpc_session_close(session);
}

static void on_end(void *arg, const struct err *e)
{
    struct stream *t = arg;

    if (!t->s || (e && (e->code >= 0 || !e->text[0])))
        abort();
    t->s = NULL;
}

static const struct rpc_stream_user stream_user = {.on_object = on_object, .on_end = on_end};

static struct stream *free_stream(char how)
{
    for (size_t i = 0; i < STREAMS_MAX; i++)
        if (!streams[i].s) {
            streams[i] = (struct stream){.how = how};
            return &streams[i];
        }
    return NULL;
}

static void stream_handler(void *arg, struct rpc_stream *s, const char *method)
{
    struct stream *t = free_stream(method[0]);

    (void)arg;
    if (!t || method[0] == 'R') {
        rpc_stream_refuse(s, "no");
    } else if (method[0] != 'U') {
        t->s = s;
        rpc_stream_accept(s, &stream_user, t);
    }
}

static void open_stream(void)
{
    struct stream *t = free_stream('E');

    if (t)
        t->s = rpc_stream_open(session, "Agent.Monitor", "\x80", 1, &stream_user, t);
}

static void resume_streams(void)
{
    for (size_t i = 0; i < STREAMS_MAX; i++)
        if (streams[i].s) {
            if (rpc_stream_room(streams[i].s) > RPC_STREAM_MAX)
                abort();
            rpc_stream_pause(streams[i].s, false);
        }
}

static void drain(int fd)
{
    uint8_t place[65536];

    while (recv(fd, place, sizeof(place), MSG_DONTWAIT) > 0)
        ;
}

static void turn(int fd)
{
    if (loop_turn(loop, 0) < 0)
        abort();
    drain(fd);
}

static void feed(int fd, const uint8_t *p, size_t n)
{
    for (int i = 0; n > 0 && rpc_session_is_open(session) && i < 1000; i++) {
        ssize_t k = send(fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (k > 0) {
            p += k;
            n -= (size_t)k;
        }
        turn(fd);
    }
}

/* the input as DATA frames of one stream, cut small or large */
static void feed_stream(int fd, uint8_t type, uint16_t first_flags, const uint8_t *p, size_t n,
                        size_t piece)
{
    struct buf b = BUF_INIT((size_t)4 << 20);
    uint16_t flags = first_flags;

    while (n > 0 || flags) {
        size_t part = n < piece ? n : piece;

        buf_add_be16(&b, 0);
        buf_add_be16(&b, flags);
        buf_add_be32(&b, 1);
        buf_add_be32(&b, (uint32_t)part + (flags && type ? 1 : 0));
        if (flags && type)
            buf_add_byte(&b, type);
        buf_add(&b, p, part);
        p += part;
        n -= part;
        flags = 0;
    }
    feed(fd, b.p, b.len);
    buf_done(&b);
}

enum mode { SERVER_STREAM, SERVER_PLAIN, CLIENT, FRAMES };

static void feed_mode(int fd, enum mode mode, uint8_t how, const uint8_t *p, size_t n)
{
    size_t piece = how & 4 ? 5 : 60000;

    switch (mode) {
    case SERVER_STREAM:
        feed_stream(fd, how & 8 ? 5 : 1, 1, p, n, n > 4096 ? 60000 : piece);
        break;
    case CLIENT:
        for (int i = 0; i < 3; i++)
            how & 64 ? open_stream() : call();
        feed_stream(fd, 0, 2, p, n, n > 4096 ? 60000 : piece);
        break;
    default:
        feed(fd, p, n);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct conn_user nobody;
    struct rpc_session_opts o = {.handler = handler, .stream_handler = stream_handler};
    enum mode mode;
    int fds[2];

    if (size < 2 || size > 1 << 20)
        return 0;
    if (!loop) {
        clock_fake(true, UINT64_C(1) << 60, 0);
        loop_block_signals();
        if (loop_new(&loop) < 0)
            abort();
    }
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
        abort();
    mode = data[0] & 3;
    o.client = mode == CLIENT;
    o.plain = mode == SERVER_PLAIN;
    o.streaming = o.plain && (data[0] & 8);
    n_done = n_calls = 0;
    session = rpc_session_new(conn_new(loop, fds[0], &nobody, NULL), &o);
    feed_mode(fds[1], mode, data[0], data + 1, size - 1);
    for (int i = 0; i < 4; i++)
        turn(fds[1]);
    answer_held();
    resume_streams();
    if (data[0] & 16)
        (void)shutdown(fds[1], SHUT_WR);
    if (data[0] & 32) {
        clock_fake_advance(20 * NSEC_PER_SEC);
        (void)loop_run_due(loop);
    }
    for (int i = 0; i < 3; i++)
        turn(fds[1]);
    rpc_session_close(session);
    for (int i = 0; i < 3; i++)
        turn(fds[1]);
    for (size_t i = 0; i < HELD_MAX; i++) /* the end of a session is told to every request */
        if (held[i])
            abort();
    if (n_done != n_calls) /* and to every call, once */
        abort();
    for (size_t i = 0; i < STREAMS_MAX; i++) /* and to every stream */
        if (streams[i].s)
            abort();
    session = rpc_session_unref(session);
    (void)close(fds[1]);
    conn_drop_closing(loop);
    return 0;
}
