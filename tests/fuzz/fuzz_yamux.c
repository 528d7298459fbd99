/* Arbitrary bytes from a peer, into a session whose user does something else at every turn: the
 * first byte chooses the role and how the rest is cut, the first byte of each payload what the
 * stream does with it. */
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "wire/conn.h"
#include "wire/yamux.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { STREAMS_MAX = 64 };

struct stream {
    struct yamux_stream *s;
    bool used;
};

static struct loop *loop;
static struct yamux *session;
static struct stream streams[STREAMS_MAX];
static bool ended;

static const struct yamux_stream_user stream_calls;

static void adopt(struct yamux_stream *s)
{
    for (size_t i = 0; i < STREAMS_MAX; i++)
        if (!streams[i].used) {
            streams[i] = (struct stream){.s = s, .used = true};
            yamux_stream_set_user(s, &stream_calls, &streams[i]);
            if (i % 2)
                yamux_accept(s);
            return;
        }
    (void)yamux_reset(s);
}

static void open_one(void)
{
    struct yamux_stream *s;

    if (yamux_open(session, &stream_calls, NULL, &s) == 0)
        adopt(s);
}

static void on_data(void *arg, const uint8_t *p, size_t n)
{
    static uint8_t block[70000];
    struct stream *s = arg;

    switch (p[0] % 10) {
    case 0:
        yamux_finish(s->s);
        yamux_consumed(s->s, n);
        break;
    case 1:
        s->used = false;
        s->s = yamux_release(s->s);
        break;
    case 2:
        s->used = false;
        s->s = yamux_reset(s->s);
        break;
    case 3:
        open_one();
        break;
    case 4:
        for (int i = 0; i < p[n - 1] % 64; i++)
            yamux_write(s->s, block, sizeof(block));
        break;
    case 5:
        ended = true;
        session = yamux_free(session);
        break;
    default:
        yamux_write(s->s, p, n);
        yamux_consumed(s->s, n);
    }
}

static void on_eof(void *arg)
{
    struct stream *s = arg;

    if ((s - streams) % 3 == 0) {
        s->used = false;
        s->s = yamux_release(s->s);
    } else {
        yamux_finish(s->s);
    }
}

static void on_reset(void *arg, const struct err *e)
{
    struct stream *s = arg;

    (void)e;
    s->used = false;
}

static const struct yamux_stream_user stream_calls = {on_data, on_eof, on_reset, NULL};

static void on_stream(void *arg, struct yamux_stream *s)
{
    (void)arg;
    adopt(s);
}

static void on_closed(void *arg, const struct err *e)
{
    (void)arg;
    (void)e;
    ended = true;
    session = yamux_free(session);
}

/* what we write is thrown away */
static void drain(int fd)
{
    uint8_t place[65536];

    while (recv(fd, place, sizeof(place), MSG_DONTWAIT) > 0)
        ;
}

static void feed(int fd, const uint8_t *p, size_t n, size_t piece)
{
    while (n > 0 && !ended) {
        ssize_t k = send(fd, p, n < piece ? n : piece, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (k > 0) {
            p += k;
            n -= (size_t)k;
        }
        if (loop_turn(loop, 0) < 0)
            abort();
        drain(fd);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct yamux_user calls = {on_stream, on_closed};
    static const struct conn_user nobody;
    static const size_t pieces[] = {1 << 16, 7, 13, 1 << 16};
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
    ended = false;
    session = yamux_new(conn_new(loop, fds[0], &nobody, NULL), data[0] & 1, &calls, NULL);
    for (int i = 0; i < (data[0] >> 4); i++)
        open_one();
    feed(fds[1], data + 1, size - 1, size > 4096 ? 1 << 16 : pieces[data[0] >> 1 & 3]);
    for (int i = 0; i < 5; i++)
        if (loop_turn(loop, 0) < 0)
            abort();
    if (data[0] & 8) { /* long enough for every timer */
        clock_fake_advance(400 * NSEC_PER_SEC);
        (void)loop_run_due(loop);
    }
    (void)close(fds[1]);
    for (int i = 0; i < 5 && !ended; i++)
        if (loop_turn(loop, 0) < 0)
            abort();
    for (size_t i = 0; i < STREAMS_MAX; i++)
        if (streams[i].used && !ended)
            streams[i].s = yamux_release(streams[i].s);
    for (size_t i = 0; i < STREAMS_MAX; i++)
        streams[i].used = false;
    session = yamux_free(session);
    conn_drop_closing(loop);
    return 0;
}
