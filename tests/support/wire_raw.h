/* tests/support/wire_raw.h - a peer made of bytes: says and expects them one by one.
 *
 * Every wait turns the loop of the side under test.
 */
#pragma once

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/limits.h"
#include "tests/support/check.h"
#include "tests/support/wire_loop.h"

struct raw {
    struct loop *l;
    int fd;
    struct buf in;
    bool eof;
};

struct raw_frame {
    uint8_t version, type;
    uint16_t flags;
    uint32_t id, length;
};

enum { R_DATA, R_WINDOW, R_PING, R_GOAWAY };
enum { R_SYN = 1, R_ACK = 2, R_FIN = 4, R_RST = 8 };

/* the other end of the pair is returned through ret_fd */
static inline void raw_open(struct raw *r, struct loop *l, int *ret_fd)
{
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    *r = (struct raw){.l = l, .fd = fds[0], .in = BUF_INIT(64 * MIB)};
    *ret_fd = fds[1];
}

static inline void raw_close(struct raw *r)
{
    r->fd = fd_close(r->fd);
    buf_done(&r->in);
}

static inline void raw_read(struct raw *r)
{
    uint8_t place[65536];
    ssize_t n;

    while (!r->eof && (n = recv(r->fd, place, sizeof(place), 0)) >= 0) {
        if (n == 0)
            r->eof = true;
        buf_add(&r->in, place, (size_t)n);
    }
    if (!r->eof && errno == ECONNRESET)
        r->eof = true;
}

/* waits for n bytes */
static inline void raw_need(struct raw *r, size_t n)
{
    for (int i = 0; r->in.len < n; i++) {
        if (r->eof || i > 500)
            fail_msg("%zu bytes wanted, %zu came%s", n, r->in.len, r->eof ? ", then the end" : "");
        assert_int_equal(loop_turn(r->l, NSEC_PER_MSEC), 0);
        raw_read(r);
    }
}

static inline void raw_say(struct raw *r, const void *p, size_t n)
{
    const uint8_t *at = p;

    for (int i = 0; n > 0; i++) {
        ssize_t k = send(r->fd, at, n, MSG_NOSIGNAL);

        if (k > 0) {
            at += k;
            n -= (size_t)k;
        } else if (errno != EAGAIN || i > 5000) {
            fail_msg("cannot send: %s", strerror(errno));
        }
        if (n > 0)
            assert_int_equal(loop_turn(r->l, NSEC_PER_MSEC), 0);
    }
}

static inline void raw_header(struct raw *r, uint8_t version, uint8_t type, uint16_t flags,
                              uint32_t id, uint32_t length)
{
    struct buf b = BUF_INIT(12);

    buf_add_byte(&b, version);
    buf_add_byte(&b, type);
    buf_add_be16(&b, flags);
    buf_add_be32(&b, id);
    buf_add_be32(&b, length);
    raw_say(r, b.p, b.len);
    buf_done(&b);
}

static inline void raw_frame(struct raw *r, uint8_t type, uint16_t flags, uint32_t id,
                             uint32_t length)
{
    raw_header(r, 0, type, flags, id, length);
}

static inline void raw_data(struct raw *r, uint16_t flags, uint32_t id, const void *p, size_t n)
{
    raw_frame(r, R_DATA, flags, id, (uint32_t)n);
    raw_say(r, p, n);
}

static inline struct raw_frame raw_peek(struct raw *r)
{
    struct raw_frame f;
    const uint8_t *p;

    raw_need(r, 12);
    p = r->in.p;
    f = (struct raw_frame){p[0], p[1], (uint16_t)(p[2] << 8 | p[3]),
                           (uint32_t)p[4] << 24 | (uint32_t)p[5] << 16 | (uint32_t)p[6] << 8 | p[7],
                           (uint32_t)p[8] << 24 | (uint32_t)p[9] << 16 | (uint32_t)p[10] << 8 |
                               p[11]};
    return f;
}

static inline struct raw_frame raw_next(struct raw *r)
{
    struct raw_frame f = raw_peek(r);

    buf_drop(&r->in, 12);
    return f;
}

#define raw_expect(r, t, f, i, n)                                                                  \
    do {                                                                                           \
        struct raw_frame _f = raw_next(r);                                                         \
                                                                                                   \
        if (_f.version != 0 || _f.type != (t) || _f.flags != (f) || _f.id != (i) ||                \
            _f.length != (n))                                                                      \
            fail_msg("wanted type %u flags %x id %u length %u, came %u %x %u %u", (unsigned)(t),   \
                     (unsigned)(f), (unsigned)(i), (unsigned)(n), _f.type, _f.flags, _f.id,        \
                     _f.length);                                                                   \
    } while (0)

/* a DATA frame with just these bytes */
#define raw_expect_data(r, id, bytes, n)                                                           \
    do {                                                                                           \
        raw_expect(r, R_DATA, 0, id, n);                                                           \
        raw_need(r, n);                                                                            \
        assert_memory_equal((r)->in.p, bytes, n);                                                  \
        buf_drop(&(r)->in, n);                                                                     \
    } while (0)

/* nothing comes, and the connection stays */
static inline void raw_quiet(struct raw *r)
{
    for (int i = 0; i < 5; i++) {
        assert_int_equal(loop_turn(r->l, NSEC_PER_MSEC), 0);
        raw_read(r);
    }
    if (r->in.len || r->eof)
        fail_msg("%zu bytes came unasked%s", r->in.len, r->eof ? ", then the end" : "");
}

/* the end comes, and nothing before it */
static inline void raw_end(struct raw *r)
{
    for (int i = 0; !r->eof; i++) {
        if (i > 500)
            fail_msg("the connection stays open");
        assert_int_equal(loop_turn(r->l, NSEC_PER_MSEC), 0);
        raw_read(r);
    }
    if (r->in.len)
        fail_msg("%zu bytes came before the end", r->in.len);
}
