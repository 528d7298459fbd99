#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/limits.h"
#include "tests/support/wire_loop.h"
#include "wire/addr.h"
#include "wire/conn.h"
#include "wire/filter.h"

/* A user that writes down what happens to it; one per side. */
struct user {
    struct conn *c;
    struct buf got;
    size_t take_at_most; /* per on_data; 0 = all */
    ssize_t answer;      /* negative: on_data says so */
    bool connected, eof, drained, inside;
    int closed, connects;
    struct err why;
    void (*on_first)(struct user *u); /* called once from on_data, after noting the bytes */
};

static ssize_t user_data(void *arg, const uint8_t *p, size_t n)
{
    struct user *u = arg;

    assert_false(u->inside);
    if (u->answer < 0)
        return u->answer;
    if (u->take_at_most && n > u->take_at_most)
        n = u->take_at_most;
    buf_add(&u->got, p, n);
    if (u->on_first) {
        void (*fn)(struct user *) = u->on_first;

        u->on_first = NULL;
        fn(u);
    }
    return (ssize_t)n;
}

static void user_eof(void *arg)
{
    struct user *u = arg;

    assert_false(u->inside);
    assert_false(u->eof);
    u->eof = true;
}

static void user_closed(void *arg, const struct err *e)
{
    struct user *u = arg;

    assert_false(u->inside);
    assert_true(e->code < 0);
    u->closed++;
    u->why = *e;
}

static void user_drained(void *arg)
{
    struct user *u = arg;

    assert_false(u->inside);
    u->drained = true;
}

static void user_connected(void *arg)
{
    struct user *u = arg;

    assert_false(u->inside);
    u->connected = true;
    u->connects++;
}

static const struct conn_user user_calls = {user_data, user_eof, user_closed, user_drained,
                                            user_connected};

/* two ends of a socket pair: a conn, and a plain descriptor or a second conn */
struct pair {
    struct loop *l;
    struct user u, v;
    int fd;
};

static void pair_open(struct pair *p, int domain, bool both)
{
    int fds[2], lfd;

    memset(p, 0, sizeof(*p));
    p->fd = -1;
    buf_init(&p->u.got, 64 * MIB);
    buf_init(&p->v.got, 64 * MIB);
    assert_int_equal(loop_new(&p->l), 0);
    if (domain == AF_UNIX) {
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    } else {
        struct sockaddr_storage a;
        char *bound;
        socklen_t len;
        struct err e;

        assert_int_equal(listen_open("127.0.0.1:0", &lfd, &bound, &e), 0);
        assert_int_equal(addr_parse(bound, &a, &len, &e), 0);
        free(bound);
        fds[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(fds[1], (struct sockaddr *)&a, len), 0);
        fds[0] = accept4(lfd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        assert_true(fds[0] >= 0);
        (void)fd_close(lfd);
    }
    p->u.c = conn_new(p->l, fds[0], &user_calls, &p->u);
    if (both)
        p->v.c = conn_new(p->l, fds[1], &user_calls, &p->v);
    else
        p->fd = fds[1];
}

static void pair_done(struct pair *p)
{
    if (p->u.c)
        conn_abort(p->u.c);
    if (p->v.c)
        conn_abort(p->v.c);
    p->u.c = conn_unref(p->u.c);
    p->v.c = conn_unref(p->v.c);
    p->fd = fd_close(p->fd);
    buf_done(&p->u.got);
    buf_done(&p->v.got);
    conn_drop_closing(p->l);
    p->l = loop_free(p->l);
}

static void say(int fd, const char *text)
{
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

static void assert_got(struct user *u, const char *text)
{
    assert_string_equal(buf_str(&u->got), text);
}

/* reads what is there; -1 when nothing is, 0 at the end */
static ssize_t hear(int fd, char *p, size_t n)
{
    ssize_t r = recv(fd, p, n - 1, MSG_DONTWAIT);

    p[r > 0 ? r : 0] = 0;
    return r;
}

static void test_bytes_go_both_ways(void **state)
{
    struct pair p;
    char text[32];

    (void)state;
    pair_open(&p, AF_INET, false);
    say(p.fd, "hello");
    turn_until(p.l, p.u.got.len == 5);
    assert_got(&p.u, "hello");
    p.u.inside = true;
    conn_write(p.u.c, "one ", 4);
    conn_write(p.u.c, "two", 3);
    p.u.inside = false;
    assert_int_equal(conn_pending(p.u.c), 7);
    turn_until(p.l, p.u.drained);
    assert_int_equal(conn_pending(p.u.c), 0);
    assert_int_equal(hear(p.fd, text, sizeof(text)), 7);
    assert_string_equal(text, "one two");
    pair_done(&p);
}

static void test_left_over_bytes_are_offered_with_the_next(void **state)
{
    struct pair p;

    (void)state;
    pair_open(&p, AF_UNIX, false);
    p.u.take_at_most = 3;
    say(p.fd, "abcdef");
    turn_until(p.l, p.u.got.len == 3);
    turn_some(p.l, 5);
    assert_got(&p.u, "abc"); /* not offered again without news */
    p.u.take_at_most = 0;
    say(p.fd, "g");
    turn_until(p.l, p.u.got.len == 7);
    assert_got(&p.u, "abcdefg");
    pair_done(&p);
}

static void test_more_than_can_wait_fails_the_conn(void **state)
{
    static char block[64 * 1024];
    struct pair p;

    (void)state;
    pair_open(&p, AF_UNIX, false);
    assert_int_equal(fcntl(p.fd, F_SETFL, O_NONBLOCK), 0);
    p.u.take_at_most = 1;
    for (int i = 0; i < 1000 && !p.u.closed; i++) {
        (void)!write(p.fd, block, sizeof(block));
        p.u.got.len = 0;
        turn_some(p.l, 1);
    }
    assert_int_equal(p.u.closed, 1);
    assert_int_equal(p.u.why.code, -EMSGSIZE);
    assert_non_null(strstr(p.u.why.text, "more arrived than can wait"));
    pair_done(&p);
}

static void test_negative_answer_fails_the_conn(void **state)
{
    struct pair p;

    (void)state;
    pair_open(&p, AF_UNIX, false);
    p.u.answer = -EBADMSG;
    say(p.fd, "x");
    turn_until(p.l, p.u.closed);
    assert_int_equal(p.u.why.code, -EBADMSG);
    assert_false(conn_is_open(p.u.c));
    conn_write(p.u.c, "ignored", 7);
    assert_int_equal(conn_pending(p.u.c), 0);
    turn_some(p.l, 3);
    assert_int_equal(p.u.closed, 1);
    pair_done(&p);
}

static void test_half_close_is_told_and_writing_goes_on(void **state)
{
    struct pair p;
    char text[32];

    (void)state;
    pair_open(&p, AF_INET, false);
    say(p.fd, "question");
    assert_int_equal(shutdown(p.fd, SHUT_WR), 0);
    turn_until(p.l, p.u.eof);
    assert_got(&p.u, "question");
    turn_some(p.l, 5);
    assert_int_equal(p.u.closed, 0);
    assert_true(conn_is_open(p.u.c));
    conn_write(p.u.c, "answer", 6);
    turn_until(p.l, p.u.drained);
    assert_int_equal(hear(p.fd, text, sizeof(text)), 6);
    pair_done(&p);
}

static void test_vanished_peer_is_told_after_its_last_bytes(void **state)
{
    struct pair p;

    (void)state;
    pair_open(&p, AF_UNIX, false);
    say(p.fd, "bye");
    p.fd = fd_close(p.fd);
    turn_until(p.l, p.u.closed);
    assert_true(p.u.eof);
    assert_got(&p.u, "bye");
    assert_string_equal(p.u.why.text, "unix: closed by the peer");
    pair_done(&p);
}

static void test_reset_is_told(void **state)
{
    const struct linger hard = {.l_onoff = 1};
    struct pair p;

    (void)state;
    pair_open(&p, AF_INET, false);
    assert_int_equal(setsockopt(p.fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)), 0);
    p.fd = fd_close(p.fd);
    turn_until(p.l, p.u.closed);
    assert_int_equal(p.u.why.code, -ECONNRESET);
    assert_non_null(strstr(p.u.why.text, "127.0.0.1:"));
    pair_done(&p);
}

static void test_reset_after_half_close_is_told(void **state)
{
    const struct linger hard = {.l_onoff = 1};
    struct pair p;

    (void)state;
    pair_open(&p, AF_INET, false);
    assert_int_equal(shutdown(p.fd, SHUT_WR), 0);
    turn_until(p.l, p.u.eof);
    assert_int_equal(setsockopt(p.fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)), 0);
    p.fd = fd_close(p.fd);
    turn_until(p.l, p.u.closed);
    pair_done(&p);
}

static void test_paused_conn_reads_nothing_until_resumed(void **state)
{
    struct pair p;

    (void)state;
    pair_open(&p, AF_UNIX, false);
    conn_read_pause(p.u.c, true);
    say(p.fd, "later");
    turn_some(p.l, 5);
    assert_int_equal(p.u.got.len, 0);
    p.fd = fd_close(p.fd); /* hung up while paused: what was sent is not lost */
    turn_some(p.l, 5);
    assert_int_equal(p.u.closed, 0);
    conn_read_pause(p.u.c, false);
    turn_until(p.l, p.u.closed);
    assert_got(&p.u, "later");
    assert_true(p.u.eof);
    pair_done(&p);
}

static void pause_now(struct user *u)
{
    u->take_at_most = 0;
    conn_read_pause(u->c, true);
}

static void test_pause_inside_on_data_keeps_the_rest(void **state)
{
    struct pair p;

    (void)state;
    pair_open(&p, AF_UNIX, false);
    p.u.take_at_most = 2;
    p.u.on_first = pause_now;
    say(p.fd, "abcd");
    turn_until(p.l, p.u.got.len == 2);
    turn_some(p.l, 3);
    assert_got(&p.u, "ab");
    conn_read_pause(p.u.c, false);
    turn_until(p.l, p.u.got.len == 4); /* offered although nothing new came */
    assert_got(&p.u, "abcd");
    pair_done(&p);
}

/* 8 MiB through sockets that take little at a time, in pieces of odd sizes and whole buffers */
static void test_much_output_arrives_in_order(void **state)
{
    size_t total = 0, want = 8 * MIB;
    struct pair p;

    (void)state;
    pair_open(&p, AF_INET, true);
    for (unsigned i = 0; total < want; i++) {
        uint8_t block[3001];
        size_t n = 1 + (i * 7919) % sizeof(block);

        for (size_t k = 0; k < n; k++)
            block[k] = (uint8_t)((total + k) * 31 >> 3);
        if (i % 3 == 0) {
            struct buf b = BUF_INIT(sizeof(block));

            buf_add(&b, block, n);
            conn_write_buf(p.u.c, &b);
            assert_null(b.p);
        } else {
            conn_write(p.u.c, block, n);
        }
        total += n;
    }
    assert_int_equal(conn_pending(p.u.c), total);
    turn_until(p.l, p.v.got.len == total);
    for (size_t i = 0; i < total; i++)
        if (p.v.got.p[i] != (uint8_t)(i * 31 >> 3))
            fail_msg("byte %zu differs", i);
    turn_until(p.l, p.u.drained);
    pair_done(&p);
}

static void test_unread_output_has_a_ceiling(void **state)
{
    static char block[MIB];
    struct pair p;

    (void)state;
    pair_open(&p, AF_UNIX, false);
    p.u.inside = true; /* the failure must not be told from inside conn_write() */
    for (size_t n = 0; n <= CONN_OUT_MAX; n += sizeof(block))
        conn_write(p.u.c, block, sizeof(block));
    p.u.inside = false;
    assert_false(conn_is_open(p.u.c));
    turn_until(p.l, p.u.closed);
    assert_int_equal(p.u.why.code, -ENOBUFS);
    pair_done(&p);
}

static void test_no_memory_for_output_fails_the_conn(void **state)
{
    struct pair p;

    (void)state;
    pair_open(&p, AF_UNIX, false);
    mem_torture(1);
    conn_write(p.u.c, "x", 1);
    mem_torture(0);
    turn_until(p.l, p.u.closed);
    assert_int_equal(p.u.why.code, -ENOMEM);
    pair_done(&p);
}

static void test_close_sends_what_was_written(void **state)
{
    size_t total = 3 * MIB, got = 0;
    static char block[3 * MIB];
    struct pair p;
    ssize_t n;

    (void)state;
    pair_open(&p, AF_INET, false);
    say(p.fd, "unread");
    conn_write(p.u.c, block, total);
    conn_close(p.u.c);
    p.u.c = conn_unref(p.u.c);
    for (int i = 0; i < 5000; i++) {
        turn_some(p.l, 1);
        n = recv(p.fd, block, sizeof(block), MSG_DONTWAIT);
        if (n == 0)
            break;
        if (n > 0)
            got += (size_t)n;
    }
    assert_int_equal(got, total);
    assert_int_equal(p.u.closed, 0);
    assert_false(p.u.eof);
    p.fd = fd_close(p.fd);
    turn_some(p.l, 3);
    pair_done(&p);
}

/* a peer that neither reads nor closes: the timer ends it */
static void test_close_gives_up_on_a_deaf_peer(void **state)
{
    static char block[8 * MIB];
    uint64_t far = clock_boot_ns() + 1000000 * NSEC_PER_SEC;
    struct pair p;
    char text[16];

    (void)state;
    clock_fake(true, far, 0);
    pair_open(&p, AF_UNIX, false);
    conn_write(p.u.c, block, sizeof(block));
    conn_close(p.u.c);
    p.u.c = conn_unref(p.u.c);
    turn_some(p.l, 5);
    clock_fake_advance(9 * NSEC_PER_SEC);
    assert_int_equal(loop_run_due(p.l), 0);
    clock_fake_advance(NSEC_PER_SEC);
    assert_int_equal(loop_run_due(p.l), 1);
    while (hear(p.fd, text, sizeof(text)) > 0)
        ;
    assert_int_equal(hear(p.fd, text, sizeof(text)), 0);
    pair_done(&p);
    clock_fake(false, 0, 0);
}

static void test_close_waits_two_seconds_for_the_peers_end(void **state)
{
    uint64_t far = clock_boot_ns() + 1000000 * NSEC_PER_SEC;
    struct pair p;
    char text[16];

    (void)state;
    clock_fake(true, far, 0);
    pair_open(&p, AF_INET, false);
    conn_write(p.u.c, "last", 4);
    conn_close(p.u.c);
    p.u.c = conn_unref(p.u.c);
    turn_some(p.l, 5);
    assert_int_equal(hear(p.fd, text, sizeof(text)), 4);
    assert_int_equal(hear(p.fd, text, sizeof(text)), 0); /* half-closed */
    say(p.fd, "ignored");
    turn_some(p.l, 5);
    clock_fake_advance(2 * NSEC_PER_SEC);
    assert_int_equal(loop_run_due(p.l), 1);
    pair_done(&p);
    clock_fake(false, 0, 0);
}

static void close_now(struct user *u)
{
    conn_close(u->c);
    u->c = conn_unref(u->c);
}

static void abort_now(struct user *u)
{
    conn_abort(u->c);
    u->c = conn_unref(u->c);
}

/* peers that never close their end hold so many descriptors at most */
static void test_closing_ones_are_limited(void **state)
{
    enum { N = 1100, KEPT = 1024 };
    static const struct conn_user nothing;
    struct rlimit before, more;
    int fds[2], peers[N], closed = 0;
    struct loop *l;
    char c;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    more = (struct rlimit){MAX(before.rlim_cur, 3000), before.rlim_max};
    if (setrlimit(RLIMIT_NOFILE, &more) < 0)
        skip();
    assert_int_equal(loop_new(&l), 0);
    for (int i = 0; i < N; i++) {
        struct conn *k;

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
        peers[i] = fds[0];
        k = conn_new(l, fds[1], &nothing, NULL);
        conn_write(k, "last words", 10);
        conn_close(k);
        (void)conn_unref(k);
        if (i % 100 == 0)
            turn_some(l, 3);
    }
    turn_some(l, 5);
    for (int i = 0; i < N; i++) {
        closed += send(peers[i], "x", 1, MSG_NOSIGNAL) < 0;
        if (i == N - 1)
            assert_int_equal(recv(peers[i], &c, 1, 0), 1);
        (void)close(peers[i]);
    }
    assert_int_equal(closed, N - KEPT);
    conn_drop_closing(l);
    l = loop_free(l);
    (void)setrlimit(RLIMIT_NOFILE, &before);
}

static void test_user_may_let_go_inside_on_data(void **state)
{
    struct pair p;

    (void)state;
    for (int i = 0; i < 2; i++) {
        pair_open(&p, AF_UNIX, false);
        p.u.on_first = i ? close_now : abort_now;
        p.u.take_at_most = 1;
        say(p.fd, "xyz");
        turn_until(p.l, p.u.c == NULL);
        turn_some(p.l, 5);
        assert_int_equal(p.u.closed, 0);
        assert_int_equal(p.u.got.len, 1);
        pair_done(&p);
    }
}

static struct user second;

static void hand_over(struct user *u)
{
    second = (struct user){.c = u->c, .got = BUF_INIT(1000)};
    conn_set_user(u->c, &user_calls, &second);
}

static void test_new_user_gets_what_the_old_one_left(void **state)
{
    struct pair p;

    (void)state;
    pair_open(&p, AF_UNIX, false);
    p.u.take_at_most = 1;
    p.u.on_first = hand_over;
    say(p.fd, "\x06rest");
    assert_int_equal(shutdown(p.fd, SHUT_WR), 0);
    turn_until(p.l, second.eof);
    assert_got(&p.u, "\x06");
    assert_got(&second, "rest");
    assert_false(p.u.eof);
    buf_done(&second.got);
    pair_done(&p);
}

static void test_new_user_hears_of_an_old_end(void **state)
{
    struct pair p;

    (void)state;
    pair_open(&p, AF_INET, false);
    assert_int_equal(shutdown(p.fd, SHUT_WR), 0);
    turn_until(p.l, p.u.eof);
    hand_over(&p.u);
    turn_until(p.l, second.eof);
    pair_done(&p);
}

/* --- connecting and listening --- */

static void connect_both(const char *address, struct user *u, struct user *v, struct loop *l)
{
    char *bound = NULL;
    struct err e = {0};
    int lfd = -1, fd = -1;

    assert_int_equal(listen_open(address, &lfd, &bound, &e), 0);
    u->inside = true;
    assert_int_equal(conn_connect(l, bound, NSEC_PER_SEC, &user_calls, u, &u->c, &e), 0);
    conn_write(u->c, "early", 5); /* goes out when connected */
    u->inside = false;
    turn_until(l, u->connected);
    turn_until(l, (fd = accept4(lfd, NULL, NULL, SOCK_CLOEXEC)) >= 0 || errno != EAGAIN);
    v->c = conn_new(l, fd, &user_calls, v);
    turn_until(l, v->got.len == 5);
    assert_int_equal(u->connects, 1);
    (void)fd_close(lfd);
    free(bound);
}

static void test_connects_by_every_family(void **state)
{
    static const char *const addresses[] = {"127.0.0.1:0", "[::1]:0", "unix:"};
    char path[512];

    (void)state;
    (void)snprintf(path, sizeof(path), "unix:%s/s.%d", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp",
                   (int)getpid());
    for (size_t i = 0; i < ARRAY_LEN(addresses); i++) {
        struct pair p = {.fd = -1};
        bool is_unix = strcmp(addresses[i], "unix:") == 0;
        uid_t uid;

        buf_init(&p.u.got, 100);
        buf_init(&p.v.got, 100);
        assert_int_equal(loop_new(&p.l), 0);
        connect_both(is_unix ? path : addresses[i], &p.u, &p.v, p.l);
        if (is_unix) {
            assert_string_equal(conn_peer(p.v.c), "unix");
            assert_string_equal(conn_local(p.v.c), "unix");
            assert_int_equal(conn_peer_uid(p.v.c, &uid), 0);
            assert_int_equal(uid, getuid());
            assert_int_equal(unlink(path + 5), 0);
        } else {
            assert_string_equal(conn_peer(p.u.c), conn_local(p.v.c));
            assert_string_equal(conn_local(p.u.c), conn_peer(p.v.c));
            assert_int_equal(conn_peer_uid(p.v.c, &uid), -ENOTCONN);
        }
        pair_done(&p);
    }
}

static void test_refused_connection_is_told(void **state)
{
    struct user u = {0};
    struct loop *l;
    char *bound;
    struct err e = {0};
    int fd, r;

    (void)state;
    assert_int_equal(loop_new(&l), 0);
    assert_int_equal(listen_open("127.0.0.1:0", &fd, &bound, &e), 0);
    (void)fd_close(fd);
    r = conn_connect(l, bound, NSEC_PER_SEC, &user_calls, &u, &u.c, &e);
    if (r == 0) { /* the kernel may say so at once or later */
        turn_until(l, u.closed);
        e = u.why;
        assert_false(u.connected);
        u.c = conn_unref(u.c);
    }
    assert_int_equal(e.code, -ECONNREFUSED);
    assert_non_null(strstr(e.text, bound));
    assert_non_null(strstr(e.text, "Connection refused"));
    free(bound);
    l = loop_free(l);
}

/* the kernel gives an outgoing socket any port, sooner or later the one that it connects to */
static void test_a_connection_to_itself_is_none(void **state)
{
    struct loop *l;
    char *bound;
    struct err e = {0};
    int fd;

    (void)state;
    assert_int_equal(loop_new(&l), 0);
    assert_int_equal(listen_open("127.0.0.1:0", &fd, &bound, &e), 0);
    (void)fd_close(fd);
    for (int i = 0; i < 30000; i++) {
        struct user u = {0};

        if (conn_connect(l, bound, NSEC_PER_SEC, &user_calls, &u, &u.c, &e) < 0)
            continue;
        turn_until(l, u.closed || u.connected);
        assert_false(u.connected);
        u.c = conn_unref(u.c);
    }
    free(bound);
    l = loop_free(l);
}

static void test_connect_times_out(void **state)
{
    uint64_t far = clock_boot_ns() + 1000000 * NSEC_PER_SEC;
    int lfd, fillers[8];
    struct sockaddr_storage a;
    struct user u = {0};
    struct loop *l;
    socklen_t len;
    char *bound;
    struct err e = {0};

    (void)state;
    clock_fake(true, far, 0);
    assert_int_equal(loop_new(&l), 0);
    assert_int_equal(listen_open("127.0.0.1:0", &lfd, &bound, &e), 0);
    assert_int_equal(listen(lfd, 0), 0); /* a queue of one, filled: the next SYN gets no answer */
    assert_int_equal(addr_parse(bound, &a, &len, &e), 0);
    for (size_t i = 0; i < ARRAY_LEN(fillers); i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        (void)connect(fillers[i], (struct sockaddr *)&a, len);
    }
    assert_int_equal(conn_connect(l, bound, 10 * NSEC_PER_SEC, &user_calls, &u, &u.c, &e), 0);
    turn_some(l, 5);
    assert_false(u.connected);
    clock_fake_advance(10 * NSEC_PER_SEC);
    assert_int_equal(loop_run_due(l), 1);
    turn_until(l, u.closed);
    assert_int_equal(u.why.code, -ETIMEDOUT);
    u.c = conn_unref(u.c);
    for (size_t i = 0; i < ARRAY_LEN(fillers); i++)
        (void)fd_close(fillers[i]);
    (void)fd_close(lfd);
    free(bound);
    l = loop_free(l);
    clock_fake(false, 0, 0);
}

static void test_bad_addresses_are_refused_in_words(void **state)
{
    static const char *const bad[] = {
        "",           "4647",          "localhost:4647",
        "127.0.0.1",  "127.0.0.1:",    "127.0.0.1:70000",
        "127.0.0:80", "[::1:80",       "[::g]:80",
        "::1:80",     "unix:",         "127.0.0.1:-1",
        "[::1]",      "127.0.0.1:80x", "[fe80::1%nosuchif]:80",
    };
    struct sockaddr_storage a;
    char path[200] = "unix:/";
    socklen_t len;
    struct err e;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        e = (struct err){0};
        if (addr_parse(bad[i], &a, &len, &e) != -EINVAL || !e.text[0])
            fail_msg("accepted or without words: %s", bad[i]);
    }
    memset(path + 6, 'x', sizeof(path) - 7);
    assert_int_equal(addr_parse(path, &a, &len, &e), -EINVAL);
}

static void test_addresses_keep_their_form(void **state)
{
    static const struct {
        const char *in, *out, *host;
    } rows[] = {
        {"10.1.2.3:4647",          "10.1.2.3:4647",      "10.1.2.3"     },
        {"[::1]:80",               "[::1]:80",           "[::1]"        },
        {"[2001:db8:0:0::1]:4646", "[2001:db8::1]:4646", "[2001:db8::1]"},
        {"[::ffff:192.0.2.1]:5",   "192.0.2.1:5",        "192.0.2.1"    },
        {"[fe80::1%lo]:9",         "[fe80::1%lo]:9",     "[fe80::1%lo]" },
        {"unix:/run/x.sock",       "unix:/run/x.sock",   "unix"         },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_free_ char *text = NULL, *host = NULL;
        struct sockaddr_storage a;
        socklen_t len;
        struct err e;

        assert_int_equal(addr_parse(rows[i].in, &a, &len, &e), 0);
        text = addr_format(&a, len);
        assert_string_equal(text, rows[i].out);
        host = addr_host(text);
        assert_string_equal(host, rows[i].host);
    }
}

/* what /proc calls this process: under valgrind it is valgrind */
static const char *own_name(void)
{
    static char name[32];
    FILE *f = fopen("/proc/self/comm", "re");

    assert_non_null(f);
    assert_int_equal(fscanf(f, "%31s", name), 1);
    (void)fclose(f);
    return name;
}

static void test_busy_port_names_its_holder(void **state)
{
    static const char *const addresses[] = {"127.0.0.1:0", "[::1]:0"};
    char want[100];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(addresses); i++) {
        _cleanup_free_ char *bound = NULL;
        struct err e = {0};
        int fd, other;

        assert_int_equal(listen_open(addresses[i], &fd, &bound, &e), 0);
        assert_int_equal(listen_open(bound, &other, NULL, &e), -EADDRINUSE);
        (void)snprintf(want, sizeof(want), "port %s is in use by %s (pid %d)",
                       strrchr(bound, ':') + 1, own_name(), (int)getpid());
        assert_string_equal(e.text, want);
        (void)fd_close(fd);
    }
}

static void test_unix_path_is_taken_over_only_from_the_dead(void **state)
{
    char address[512], want[700];
    struct err e = {0};
    int fd, other;

    (void)state;
    (void)snprintf(address, sizeof(address), "unix:%s/t.%d",
                   getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp", (int)getpid());
    assert_int_equal(listen_open(address, &fd, NULL, &e), 0);
    assert_int_equal(listen_open(address, &other, NULL, &e), -EADDRINUSE);
    (void)snprintf(want, sizeof(want), "%s is in use by %s (pid %d)", address, own_name(),
                   (int)getpid());
    assert_string_equal(e.text, want);
    (void)fd_close(fd); /* as after kill -9: the file is still there */
    assert_int_equal(listen_open(address, &fd, NULL, &e), 0);
    (void)fd_close(fd);
    assert_int_equal(unlink(address + 5), 0);
    /* a file of another kind is never removed */
    fd = open(address + 5, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    (void)fd_close(fd);
    assert_int_equal(listen_open(address, &other, NULL, &e), -EADDRINUSE);
    assert_int_equal(access(address + 5, F_OK), 0);
    assert_int_equal(unlink(address + 5), 0);
}

static void test_listen_errors_have_words(void **state)
{
    struct err e = {0};
    int fd;

    (void)state;
    assert_int_equal(listen_open("192.0.2.1:4646", &fd, NULL, &e), -EADDRNOTAVAIL);
    assert_string_equal(e.text, "listen on 192.0.2.1:4646: Cannot assign requested address");
    assert_int_equal(listen_open("unix:/no/such/folder/s", &fd, NULL, &e), -ENOENT);
    assert_int_equal(listen_open("localhost:1", &fd, NULL, &e), -EINVAL);
}

/* --- a filter of our own between socket and user: every byte xor 0x5a, after a handshake of two
 * bytes each way, sent in odd pieces; it stands for TLS --- */

struct xor_filter {
    struct conn_filter filter;
    bool sent;
    uint8_t hello[2];
    size_t heard;
    uint8_t held[100]; /* taken by write, not yet handed down */
    size_t n_held;
    int *freed;
};

static int xor_handshake(struct conn_filter *f, struct err *e)
{
    struct xor_filter *x = container_of(f, struct xor_filter, filter);
    struct iovec iov = {(char[]){"HI"}, 2};
    ssize_t n;

    if (!x->sent) {
        n = filter_write(f->below, &iov, 1, e);
        if (n != 2)
            return n < 0 ? (int)n : -EIO;
        x->sent = true;
    }
    while (x->heard < 2) {
        n = filter_read(f->below, x->hello + x->heard, 2 - x->heard, e);
        if (n <= 0)
            return n < 0 ? (int)n : err_set(e, -EPROTO, "end in the handshake");
        x->heard += (size_t)n;
    }
    return memcmp(x->hello, "HI", 2) == 0 ? 0 : err_set(e, -EPROTO, "bad handshake");
}

static ssize_t xor_read(struct conn_filter *f, void *p, size_t n, struct err *e)
{
    ssize_t r = filter_read(f->below, p, MIN(n, (size_t)4099), e);

    for (ssize_t i = 0; i < r; i++)
        ((uint8_t *)p)[i] ^= 0x5a;
    return r;
}

static int xor_flush(struct conn_filter *f, struct err *e)
{
    struct xor_filter *x = container_of(f, struct xor_filter, filter);

    while (x->n_held) {
        struct iovec iov = {x->held, x->n_held};
        ssize_t n = filter_write(f->below, &iov, 1, e);

        if (n < 0)
            return (int)n;
        memmove(x->held, x->held + n, x->n_held - (size_t)n);
        x->n_held -= (size_t)n;
    }
    return filter_flush(f->below, e);
}

static ssize_t xor_write(struct conn_filter *f, const struct iovec *iov, int n, struct err *e)
{
    struct xor_filter *x = container_of(f, struct xor_filter, filter);
    size_t take;
    int r;

    (void)n;
    r = xor_flush(f, e);
    if (r < 0)
        return r;
    take = MIN(iov[0].iov_len, sizeof(x->held));
    for (size_t i = 0; i < take; i++)
        x->held[i] = ((const uint8_t *)iov[0].iov_base)[i] ^ 0x5a;
    x->n_held = take;
    return (ssize_t)take;
}

static void xor_free(struct conn_filter *f)
{
    struct xor_filter *x = container_of(f, struct xor_filter, filter);

    (*x->freed)++;
    free(x);
}

static const struct conn_filter_ops xor_ops = {
    .name = "xor",
    .handshake = xor_handshake,
    .read = xor_read,
    .write = xor_write,
    .flush = xor_flush,
    .free = xor_free,
};

static int xors_freed;

static struct conn_filter *xor_new(void)
{
    struct xor_filter *x = xnew0(struct xor_filter);

    x->filter.ops = &xor_ops;
    x->freed = &xors_freed;
    return &x->filter;
}

static void test_filter_sits_between_socket_and_user(void **state)
{
    static char block[300000];
    struct pair p;

    (void)state;
    xors_freed = 0;
    pair_open(&p, AF_INET, true);
    conn_push_filter(p.u.c, xor_new(), NSEC_PER_SEC);
    conn_write(p.u.c, "written before it is ready", 26);
    turn_some(p.l, 3);
    assert_false(p.u.connected);
    /* the bytes of the other side's handshake arrived as data there: it had no filter yet */
    assert_got(&p.v, "HI");
    conn_push_filter(p.v.c, xor_new(), NSEC_PER_SEC);
    turn_until(p.l, p.u.connected);
    conn_write(p.v.c, "HI", 2); /* not this way: it goes through the filter, which waits for HI */
    turn_some(p.l, 3);
    assert_false(p.v.connected);
    pair_done(&p);

    pair_open(&p, AF_INET, true);
    conn_push_filter(p.u.c, xor_new(), NSEC_PER_SEC);
    conn_push_filter(p.v.c, xor_new(), NSEC_PER_SEC);
    conn_write(p.u.c, "written before it is ready", 26);
    turn_until(p.l, p.v.got.len == 26);
    assert_got(&p.v, "written before it is ready");
    assert_true(p.u.connected && p.v.connected);
    memset(block, 'b', sizeof(block));
    conn_write(p.v.c, block, sizeof(block));
    turn_until(p.l, p.u.got.len == sizeof(block));
    assert_memory_equal(p.u.got.p, block, sizeof(block));
    turn_until(p.l, p.v.drained);
    conn_write(p.u.c, "end", 3);
    conn_close(p.u.c);
    turn_until(p.l, p.v.eof);
    assert_string_equal((char *)p.v.got.p + 26, "end");
    pair_done(&p);
    assert_int_equal(xors_freed, 4);
}

static void start_filter(struct user *u)
{
    u->take_at_most = 0;
    conn_write(u->c, "ok", 2); /* in clear, before the filter */
    conn_push_filter(u->c, xor_new(), NSEC_PER_SEC);
}

/* as type byte 04 does: one byte in clear, the filter's bytes right behind it in the same read */
static void test_filter_pushed_inside_on_data_gets_the_rest(void **state)
{
    uint8_t first[] = {4, 'H', 'I', 'a' ^ 0x5a, 'b' ^ 0x5a};
    struct pair p;
    char text[32];

    (void)state;
    xors_freed = 0;
    pair_open(&p, AF_INET, false);
    p.u.take_at_most = 1;
    p.u.on_first = start_filter;
    assert_int_equal(write(p.fd, first, 3), 3);
    turn_until(p.l, p.u.connected);
    assert_int_equal(hear(p.fd, text, sizeof(text)), 4);
    assert_string_equal(text, "okHI");
    assert_int_equal(write(p.fd, first + 3, 2), 2);
    turn_until(p.l, p.u.got.len == 3);
    assert_string_equal((char *)p.u.got.p + 1, "ab");
    pair_done(&p);

    pair_open(&p, AF_INET,
              false); /* all in one: data waits inside the chain, the socket is empty */
    p.u.take_at_most = 1;
    p.u.on_first = start_filter;
    assert_int_equal(write(p.fd, first, 5), 5);
    turn_until(p.l, p.u.got.len == 3);
    assert_true(p.u.connected);
    assert_string_equal((char *)p.u.got.p + 1, "ab");
    pair_done(&p);
    assert_int_equal(xors_freed, 2);
}

static void test_failed_handshake_is_told(void **state)
{
    struct pair p;

    (void)state;
    pair_open(&p, AF_INET, false);
    conn_push_filter(p.u.c, xor_new(), NSEC_PER_SEC);
    say(p.fd, "no");
    turn_until(p.l, p.u.closed);
    assert_int_equal(p.u.why.code, -EPROTO);
    assert_non_null(strstr(p.u.why.text, "bad handshake"));
    assert_false(p.u.connected);
    pair_done(&p);
}

static void test_handshake_times_out(void **state)
{
    uint64_t far = clock_boot_ns() + 1000000 * NSEC_PER_SEC;
    struct pair p;

    (void)state;
    clock_fake(true, far, 0);
    pair_open(&p, AF_INET, false);
    conn_push_filter(p.u.c, xor_new(), 5 * NSEC_PER_SEC);
    say(p.fd, "H");
    turn_some(p.l, 5);
    clock_fake_advance(5 * NSEC_PER_SEC);
    assert_int_equal(loop_run_due(p.l), 1);
    turn_until(p.l, p.u.closed);
    assert_int_equal(p.u.why.code, -ETIMEDOUT);
    pair_done(&p);
    clock_fake(false, 0, 0);
}

static void test_filter_pushed_on_a_dead_conn_is_freed(void **state)
{
    struct pair p;

    (void)state;
    xors_freed = 0;
    pair_open(&p, AF_UNIX, false);
    conn_abort(p.u.c);
    conn_push_filter(p.u.c, xor_new(), 0);
    assert_int_equal(xors_freed, 1);
    pair_done(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_go_both_ways),
        cmocka_unit_test(test_left_over_bytes_are_offered_with_the_next),
        cmocka_unit_test(test_more_than_can_wait_fails_the_conn),
        cmocka_unit_test(test_negative_answer_fails_the_conn),
        cmocka_unit_test(test_half_close_is_told_and_writing_goes_on),
        cmocka_unit_test(test_vanished_peer_is_told_after_its_last_bytes),
        cmocka_unit_test(test_reset_is_told),
        cmocka_unit_test(test_reset_after_half_close_is_told),
        cmocka_unit_test(test_paused_conn_reads_nothing_until_resumed),
        cmocka_unit_test(test_pause_inside_on_data_keeps_the_rest),
        cmocka_unit_test(test_much_output_arrives_in_order),
        cmocka_unit_test(test_unread_output_has_a_ceiling),
        cmocka_unit_test(test_no_memory_for_output_fails_the_conn),
        cmocka_unit_test(test_close_sends_what_was_written),
        cmocka_unit_test(test_close_gives_up_on_a_deaf_peer),
        cmocka_unit_test(test_close_waits_two_seconds_for_the_peers_end),
        cmocka_unit_test(test_closing_ones_are_limited),
        cmocka_unit_test(test_user_may_let_go_inside_on_data),
        cmocka_unit_test(test_new_user_gets_what_the_old_one_left),
        cmocka_unit_test(test_new_user_hears_of_an_old_end),
        cmocka_unit_test(test_connects_by_every_family),
        cmocka_unit_test(test_refused_connection_is_told),
        cmocka_unit_test(test_a_connection_to_itself_is_none),
        cmocka_unit_test(test_connect_times_out),
        cmocka_unit_test(test_bad_addresses_are_refused_in_words),
        cmocka_unit_test(test_addresses_keep_their_form),
        cmocka_unit_test(test_busy_port_names_its_holder),
        cmocka_unit_test(test_unix_path_is_taken_over_only_from_the_dead),
        cmocka_unit_test(test_listen_errors_have_words),
        cmocka_unit_test(test_filter_sits_between_socket_and_user),
        cmocka_unit_test(test_filter_pushed_inside_on_data_gets_the_rest),
        cmocka_unit_test(test_failed_handshake_is_told),
        cmocka_unit_test(test_handshake_times_out),
        cmocka_unit_test(test_filter_pushed_on_a_dead_conn_is_freed),
    };

    loop_block_signals();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
