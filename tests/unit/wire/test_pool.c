#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/rand.h"
#include "base/str.h"
#include "codec/mp.h"
#include "tests/support/wire_raw.h"
#include "wire/accept.h"
#include "wire/conn.h"
#include "wire/pool_priv.h"

enum { SERVERS = 3 };

/* a server that does as it is told */
struct server {
    struct rpc_listener *ln;
    char *address;
    int number;
    int calls, pings, sessions, lost;
    const char *fail_with;
    int fail_times; /* then it is well again; -1 = always */
    bool hold, hang_up;
    struct rpc_request *held;
    struct rpc_session *last;
};

struct world {
    struct loop *l;
    struct pool *p;
    struct server s[SERVERS];
    int back_calls;
};

static void on_gone(void *arg, struct rpc_request *q)
{
    struct server *s = arg;

    s->held = NULL;
    rpc_drop(q);
}

/* answers with the server's number */
static void server_handler(void *arg, struct rpc_request *q)
{
    struct server *s = arg;
    uint8_t body = (uint8_t)s->number;

    if (str_eq(q->method, "Status.Ping"))
        s->pings++;
    else
        s->calls++;
    if (s->hang_up) {
        struct rpc_session *session = q->session;

        rpc_drop(q);
        rpc_session_close(session);
    } else if (s->hold && !str_eq(q->method, "Status.Ping")) {
        s->held = q;
        q->arg = s;
        q->on_gone = on_gone;
    } else if (s->fail_with && s->fail_times != 0) {
        s->fail_times -= s->fail_times > 0;
        rpc_fail(q, s->fail_with);
    } else {
        rpc_reply(q, &body, 1);
    }
}

static void server_session(void *arg, struct rpc_session *session)
{
    struct server *s = arg;

    s->sessions++;
    s->last = session;
}

static void server_lost(void *arg, struct rpc_session *session, const struct err *e)
{
    struct server *s = arg;

    (void)e;
    s->lost++;
    if (s->last == session)
        s->last = NULL;
}

static rpc_stream_handler take_stream;

static void server_start(struct world *w, struct server *s)
{
    struct rpc_listen_opts o = {.handler = server_handler,
                                .handler_arg = s,
                                .stream_handler = take_stream,
                                .on_session = server_session,
                                .on_closed = server_lost,
                                .arg = s};
    struct err e = {0};
    int fd;

    assert_int_equal(listen_open(s->address ? s->address : "127.0.0.1:0", &fd,
                                 s->address ? NULL : &s->address, &e),
                     0);
    assert_int_equal(rpc_listen(w->l, fd, &o, &s->ln), 0);
}

static void server_stop(struct server *s)
{
    s->ln = rpc_listener_free(s->ln);
    s->last = NULL;
}

static void back_handler(void *arg, struct rpc_request *q)
{
    struct world *w = arg;

    w->back_calls++;
    rpc_reply(q, NULL, 0);
}

static void use(struct world *w, size_t n)
{
    const char *addresses[SERVERS];

    for (size_t i = 0; i < n; i++)
        addresses[i] = w->s[i].address;
    assert_int_equal(pool_set_servers(w->p, addresses, n), 1);
}

static void world_open(struct world *w, size_t n)
{
    struct pool_opts o = {.handler = back_handler, .handler_arg = w, .region = "global"};

    memset(w, 0, sizeof(*w));
    clock_fake(true, UINT64_C(1) << 60, 0);
    rand_seed(7);
    assert_int_equal(loop_new(&w->l), 0);
    w->p = pool_new(w->l, &o);
    for (int i = 0; i < SERVERS; i++) {
        w->s[i].number = i;
        server_start(w, &w->s[i]);
    }
    if (n)
        use(w, n);
}

static void world_done(struct world *w)
{
    w->p = pool_free(w->p);
    turn_some(w->l, 3);
    for (int i = 0; i < SERVERS; i++) {
        server_stop(&w->s[i]);
        free(w->s[i].address);
    }
    turn_some(w->l, 3);
    conn_drop_closing(w->l);
    w->l = loop_free(w->l);
    clock_fake(false, 0, 0);
    rand_seed(0);
}

/* the nth server in the order of use */
static struct server *nth(struct world *w, size_t n)
{
    const char *const *order;

    assert_true(pool_servers(w->p, &order) > n);
    for (int i = 0; i < SERVERS; i++)
        if (str_eq(w->s[i].address, order[n]))
            return &w->s[i];
    fail_msg("%s is none of ours", order[n]);
    return NULL;
}

struct answer {
    int n;
    enum rpc_result how;
    char text[200];
    int from; /* the server's number */
    bool inside;
    struct world *free_pool; /* from inside done */
};

static void on_done(void *arg, enum rpc_result how, const char *text, const uint8_t *body, size_t n)
{
    struct answer *a = arg;

    assert_false(a->inside);
    a->n++;
    a->how = how;
    a->from = n == 1 ? body[0] : -1;
    (void)snprintf(a->text, sizeof(a->text), "%s", text);
    if (a->free_pool)
        a->free_pool->p = pool_free(a->free_pool->p);
}

static struct pool_call *call(struct world *w, struct answer *a, unsigned flags,
                              uint64_t timeout_ns)
{
    struct pool_call *c;

    *a = (struct answer){.inside = true};
    c = pool_call(w->p, "Node.GetNode", "\x80", 1, flags, timeout_ns, on_done, a);
    a->inside = false;
    return c;
}

static void expect_ok(struct world *w, struct answer *a, const struct server *from)
{
    turn_until(w->l, a->n);
    if (a->how != RPC_OK)
        fail_msg("failed: %s", a->text);
    assert_int_equal(a->n, 1);
    assert_int_equal(a->from, from->number);
}

static void expect_failure(struct world *w, struct answer *a, enum rpc_result how, const char *text)
{
    turn_until(w->l, a->n);
    assert_int_equal(a->n, 1);
    assert_int_equal(a->how, how);
    if (!strstr(a->text, text))
        fail_msg("wanted \"%s\", came \"%s\"", text, a->text);
}

static void pass_ms(struct world *w, uint64_t ms)
{
    clock_fake_advance(ms * NSEC_PER_MSEC);
    (void)loop_run_due(w->l);
    turn_some(w->l, 8);
}

/* --- the list --- */

static void test_no_servers_no_call(void **state)
{
    struct world w;
    struct answer a;

    (void)state;
    world_open(&w, 0);
    assert_null(pool_current(w.p));
    (void)call(&w, &a, POOL_READ, 0);
    expect_failure(&w, &a, RPC_TRANSPORT, "no servers");
    world_done(&w);
}

static void test_equal_set_keeps_the_order(void **state)
{
    const char *const *order;
    const char *again[5];
    char first[64];
    struct world w;

    (void)state;
    world_open(&w, 3);
    assert_int_equal(pool_servers(w.p, &order), 3);
    (void)snprintf(first, sizeof(first), "%s", order[0]);
    again[0] = w.s[2].address;
    again[1] = w.s[0].address;
    again[2] = w.s[1].address;
    again[3] = w.s[1].address; /* named twice */
    for (int i = 0; i < 20; i++) {
        assert_int_equal(pool_set_servers(w.p, again, 4), 0);
        (void)pool_servers(w.p, &order);
        assert_string_equal(order[0], first);
    }
    assert_int_equal(pool_set_servers(w.p, again, 2), 1);
    assert_int_equal(pool_servers(w.p, &order), 2);
    assert_int_equal(pool_set_servers(w.p, again, 2), 0);
    assert_int_equal(pool_set_servers(w.p, NULL, 0), 1);
    assert_int_equal(pool_servers(w.p, &order), 0);
    assert_int_equal(pool_set_servers(w.p, again, 4), 1);
    assert_int_equal(pool_servers(w.p, &order), 3);
    world_done(&w);
}

static void test_changed_set_is_shuffled(void **state)
{
    int first[SERVERS] = {0};

    (void)state;
    for (unsigned seed = 1; seed <= 60; seed++) {
        struct world w;

        world_open(&w, 0);
        rand_seed(seed);
        use(&w, 3);
        first[nth(&w, 0)->number]++;
        world_done(&w);
    }
    for (int i = 0; i < SERVERS; i++)
        assert_true(first[i] >= 8);
}

/* --- calls --- */

static void test_calls_share_one_connection(void **state)
{
    struct answer a[10];
    struct server *s;
    struct world w;

    (void)state;
    world_open(&w, 3);
    s = nth(&w, 0);
    for (int i = 0; i < 10; i++)
        (void)call(&w, &a[i], 0, 0);
    for (int i = 0; i < 10; i++)
        expect_ok(&w, &a[i], s);
    assert_int_equal(s->sessions, 1);
    assert_int_equal(s->calls, 10);
    assert_string_equal(pool_current(w.p), s->address);
    assert_int_equal(nth(&w, 1)->sessions + nth(&w, 2)->sessions, 0);
    world_done(&w);
}

static void test_unreachable_server_is_passed_over_at_once(void **state)
{
    struct server *dead, *next;
    struct answer a, b;
    struct world w;

    (void)state;
    world_open(&w, 3);
    dead = nth(&w, 0);
    next = nth(&w, 1);
    server_stop(dead);
    (void)call(&w, &a, 0, 0); /* not even a read: the request was never sent */
    (void)call(&w, &b, 0, 0);
    expect_ok(&w, &a, next);
    expect_ok(&w, &b, next);
    assert_ptr_equal(nth(&w, 0), next);
    assert_ptr_equal(nth(&w, 2), dead); /* at the end of the list */
    world_done(&w);
}

static void test_all_unreachable_is_said_with_the_reason(void **state)
{
    struct answer a;
    struct world w;

    (void)state;
    world_open(&w, 3);
    for (int i = 0; i < SERVERS; i++)
        server_stop(&w.s[i]);
    (void)call(&w, &a, POOL_READ, 0);
    expect_failure(&w, &a, RPC_TRANSPORT, "Connection refused");
    assert_null(pool_current(w.p));
    server_start(&w, &w.s[1]); /* back again: the next call finds it */
    (void)call(&w, &a, POOL_READ, 0);
    expect_ok(&w, &a, &w.s[1]);
    world_done(&w);
}

static void test_server_without_leader_is_left_and_the_call_repeated(void **state)
{
    static const char *const texts[] = {"No cluster leader",
                                        "rpc error: Not ready to serve consistent reads"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct server *bad, *good;
        struct answer a;
        struct world w;

        world_open(&w, 3);
        bad = nth(&w, 0);
        good = nth(&w, 1);
        bad->fail_with = texts[i];
        bad->fail_times = -1;
        (void)call(&w, &a, 0, 0); /* also what is no read */
        turn_until(w.l, bad->calls == 1);
        turn_some(w.l, 5);
        assert_int_equal(a.n, 0);
        assert_int_equal(good->calls, 0); /* only after a random moment */
        pass_ms(&w, 5000 / 16);
        expect_ok(&w, &a, good);
        assert_ptr_equal(nth(&w, 0), good);
        world_done(&w);
    }
}

static void test_repeating_ends_after_five_seconds(void **state)
{
    struct answer a;
    struct world w;
    uint64_t ms;

    (void)state;
    world_open(&w, 1);
    w.s[0].fail_with = "No cluster leader";
    w.s[0].fail_times = -1;
    (void)call(&w, &a, POOL_READ, 0);
    turn_until(w.l, w.s[0].calls == 1);
    turn_some(w.l, 5);
    for (ms = 0; ms < 10000 && !a.n; ms += 50)
        pass_ms(&w, 50);
    assert_true(ms >= 5000 && ms <= 5400);
    assert_int_equal(a.how, RPC_ERROR);
    assert_string_equal(a.text, "No cluster leader");
    assert_true(w.s[0].calls >= 16); /* 5 s / rnd(5 s / 16) */
    world_done(&w);
}

static void test_application_error_is_returned_and_moves_nothing(void **state)
{
    struct server *s;
    struct answer a;
    struct world w;

    (void)state;
    world_open(&w, 3);
    s = nth(&w, 0);
    s->fail_with = "node not found";
    s->fail_times = -1;
    (void)call(&w, &a, POOL_READ, 0);
    expect_failure(&w, &a, RPC_ERROR, "node not found");
    assert_int_equal(s->calls, 1);
    assert_ptr_equal(nth(&w, 0), s);
    world_done(&w);
}

static void test_lost_connection_repeats_reads_only(void **state)
{
    (void)state;
    for (int read = 0; read < 2; read++) {
        struct server *bad, *good;
        struct answer a;
        struct world w;

        world_open(&w, 3);
        bad = nth(&w, 0);
        good = nth(&w, 1);
        bad->hang_up = true;
        (void)call(&w, &a, read ? POOL_READ : 0, 0);
        turn_until(w.l, bad->calls == 1);
        turn_some(w.l, 10);
        if (read) {
            pass_ms(&w, 5000 / 16);
            expect_ok(&w, &a, good);
        } else {
            expect_failure(&w, &a, RPC_TRANSPORT, "EOF");
            assert_int_equal(good->calls, 0);
        }
        assert_ptr_equal(nth(&w, 2), bad);
        world_done(&w);
    }
}

static void test_restarted_server_is_dialled_again(void **state)
{
    struct answer a;
    struct world w;

    (void)state;
    world_open(&w, 1);
    (void)call(&w, &a, 0, 0);
    expect_ok(&w, &a, &w.s[0]);
    server_stop(&w.s[0]);
    turn_until(w.l, !pool_current(w.p));
    server_start(&w, &w.s[0]);
    (void)call(&w, &a, 0, 0);
    expect_ok(&w, &a, &w.s[0]);
    assert_int_equal(w.s[0].sessions, 2);
    world_done(&w);
}

static void test_call_times_out_in_all(void **state)
{
    struct server *s;
    struct answer a;
    struct world w;

    (void)state;
    world_open(&w, 3);
    s = nth(&w, 0);
    s->hold = true;
    (void)call(&w, &a, POOL_READ, 2 * NSEC_PER_SEC);
    turn_until(w.l, s->held);
    pass_ms(&w, 1999);
    assert_int_equal(a.n, 0);
    pass_ms(&w, 1);
    expect_failure(&w, &a, RPC_TIMEOUT, "timed out");
    assert_ptr_equal(nth(&w, 2), s);
    turn_until(w.l, !s->held); /* its stream was reset */
    world_done(&w);
}

static void test_deadline_ends_repeating_as_well(void **state)
{
    struct answer a;
    struct world w;

    (void)state;
    world_open(&w, 1);
    w.s[0].fail_with = "No cluster leader";
    w.s[0].fail_times = -1;
    (void)call(&w, &a, POOL_READ, NSEC_PER_SEC);
    turn_until(w.l, w.s[0].calls == 1);
    turn_some(w.l, 5);
    for (int i = 0; i < 19; i++)
        pass_ms(&w, 50);
    assert_int_equal(a.n, 0);
    pass_ms(&w, 50);
    expect_failure(&w, &a, RPC_TIMEOUT, "timed out");
    world_done(&w);
}

static void test_long_poll_does_not_expire_by_itself(void **state)
{
    struct answer a;
    struct world w;

    (void)state;
    world_open(&w, 1);
    w.s[0].hold = true;
    (void)call(&w, &a, POOL_READ, 0);
    turn_until(w.l, w.s[0].held);
    for (int i = 0; i < 400; i++)
        pass_ms(&w, 1000);
    assert_int_equal(a.n, 0);
    assert_int_equal(w.s[0].lost, 0); /* nor is its connection idle */
    rpc_reply(w.s[0].held, "\x00", 1);
    w.s[0].held = NULL;
    expect_ok(&w, &a, &w.s[0]);
    world_done(&w);
}

static void test_idle_connection_closes_after_five_minutes(void **state)
{
    struct answer a;
    struct world w;

    (void)state;
    world_open(&w, 1);
    (void)call(&w, &a, 0, 0);
    expect_ok(&w, &a, &w.s[0]);
    for (int i = 0; i < 299; i++)
        pass_ms(&w, 1000);
    assert_int_equal(w.s[0].lost, 0);
    pass_ms(&w, 1000);
    turn_until(w.l, w.s[0].lost == 1);
    assert_null(pool_current(w.p));
    (void)call(&w, &a, 0, 0);
    expect_ok(&w, &a, &w.s[0]);
    assert_int_equal(w.s[0].sessions, 2);
    world_done(&w);
}

static void test_call_in_flight_stays_on_the_old_connection(void **state)
{
    struct answer poll, a;
    const char *other;
    struct world w;

    (void)state;
    world_open(&w, 1);
    w.s[0].hold = true;
    (void)call(&w, &poll, POOL_READ, 0);
    turn_until(w.l, w.s[0].held);
    other = w.s[1].address;
    assert_int_equal(pool_set_servers(w.p, &other, 1), 1);
    (void)call(&w, &a, 0, 0);
    expect_ok(&w, &a, &w.s[1]);
    assert_int_equal(poll.n, 0);
    assert_int_equal(w.s[0].lost, 0);
    rpc_reply(w.s[0].held, "\x00", 1);
    w.s[0].held = NULL;
    expect_ok(&w, &poll, &w.s[0]);
    turn_until(w.l, w.s[0].lost == 1); /* then nobody needs it */
    world_done(&w);
}

static void test_server_listed_again_keeps_its_connection(void **state)
{
    struct answer poll, a;
    const char *other, *back;
    struct world w;

    (void)state;
    world_open(&w, 1);
    w.s[0].hold = true;
    (void)call(&w, &poll, POOL_READ, 0);
    turn_until(w.l, w.s[0].held);
    other = w.s[1].address;
    back = w.s[0].address;
    assert_int_equal(pool_set_servers(w.p, &other, 1), 1);
    assert_int_equal(pool_set_servers(w.p, &back, 1), 1);
    rpc_reply(w.s[0].held, "\x00", 1);
    w.s[0].held = NULL;
    w.s[0].hold = false;
    expect_ok(&w, &poll, &w.s[0]);
    (void)call(&w, &a, 0, 0);
    expect_ok(&w, &a, &w.s[0]);
    assert_int_equal(w.s[0].sessions, 1);
    world_done(&w);
}

static void test_server_that_goes_away_gets_no_new_calls(void **state)
{
    struct raw first = {0}, second = {0};
    struct answer a, b;
    struct world w;
    char *bound;
    struct err e = {0};
    int lfd, fd = -1;

    (void)state;
    world_open(&w, 0);
    assert_int_equal(listen_open("127.0.0.1:0", &lfd, &bound, &e), 0);
    assert_int_equal(pool_set_servers(w.p, (const char *const *)&bound, 1), 1);
    (void)call(&w, &a, 0, 0);
    turn_until(w.l, (fd = accept4(lfd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0);
    first = (struct raw){.l = w.l, .fd = fd, .in = BUF_INIT(MIB)};
    raw_need(&first, 40);
    raw_frame(&first, R_GOAWAY, 0, 0, 0);
    turn_some(w.l, 5);
    (void)call(&w, &b, 0, 0);
    turn_until(w.l, (fd = accept4(lfd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0);
    second = (struct raw){.l = w.l, .fd = fd, .in = BUF_INIT(MIB)};
    raw_need(&second, 40);
    assert_int_equal(a.n + b.n, 0); /* both wait, each on its own */
    first.in.len = 0;
    raw_quiet(&first); /* not closed while the first call is on it */
    raw_close(&first);
    expect_failure(&w, &a, RPC_TRANSPORT, "EOF");
    raw_close(&second);
    expect_failure(&w, &b, RPC_TRANSPORT, "EOF");
    (void)fd_close(lfd);
    free(bound);
    world_done(&w);
}

static void test_cancelled_calls_are_never_answered(void **state)
{
    struct answer a[4];
    struct pool_call *c;
    struct world w;

    (void)state;
    world_open(&w, 0);
    pool_call_cancel(call(&w, &a[0], 0, 0)); /* before the failure is told */
    use(&w, 1);
    pool_call_cancel(call(&w, &a[1], 0, NSEC_PER_SEC)); /* while dialling */
    w.s[0].hold = true;
    c = call(&w, &a[2], POOL_READ, NSEC_PER_SEC);
    turn_until(w.l, w.s[0].held);
    pool_call_cancel(c); /* in flight */
    turn_until(w.l, !w.s[0].held);
    w.s[0].hold = false;
    w.s[0].fail_with = "No cluster leader";
    w.s[0].fail_times = -1;
    c = call(&w, &a[3], POOL_READ, NSEC_PER_SEC);
    turn_until(w.l, w.s[0].calls == 2);
    turn_some(w.l, 5);
    pool_call_cancel(c); /* while waiting to try again */
    pool_call_cancel(NULL);
    for (int i = 0; i < 20; i++)
        pass_ms(&w, 500);
    for (int i = 0; i < 4; i++)
        assert_int_equal(a[i].n, 0);
    world_done(&w);
}

static void test_freed_pool_drops_its_calls(void **state)
{
    struct answer a, b;
    struct world w;

    (void)state;
    world_open(&w, 1);
    w.s[0].hold = true;
    (void)call(&w, &a, 0, 0);
    turn_until(w.l, w.s[0].held);
    (void)call(&w, &b, 0, 0);
    w.p = pool_free(w.p);
    turn_until(w.l, w.s[0].lost == 1);
    assert_int_equal(a.n + b.n, 0);
    world_done(&w);
}

static void test_pool_may_be_freed_inside_done(void **state)
{
    struct answer a;
    struct world w;

    (void)state;
    world_open(&w, 1);
    (void)call(&w, &a, 0, 0);
    a.free_pool = &w;
    turn_until(w.l, a.n);
    assert_null(w.p);
    turn_until(w.l, w.s[0].lost == 1);
    world_done(&w);
}

static void back_done(void *arg, enum rpc_result how, const char *text, const uint8_t *body,
                      size_t n)
{
    (void)text;
    (void)body;
    (void)n;
    *(int *)arg = how == RPC_OK ? 1 : -1;
}

static void test_servers_call_back_on_the_same_connection(void **state)
{
    struct answer a;
    struct world w;
    int answered = 0;

    (void)state;
    world_open(&w, 1);
    (void)call(&w, &a, 0, 0);
    expect_ok(&w, &a, &w.s[0]);
    (void)rpc_call(w.s[0].last, "ClientStats.Stats", "\x80", 1, NSEC_PER_SEC, back_done, &answered);
    turn_until(w.l, answered == 1);
    assert_int_equal(w.back_calls, 1);
    assert_int_equal(w.s[0].sessions, 1);
    world_done(&w);
}

static void test_bad_address_fails_the_call(void **state)
{
    static const char *const bad[] = {"nomad.example:4647"};
    struct answer a;
    struct world w;

    (void)state;
    world_open(&w, 0);
    assert_int_equal(pool_set_servers(w.p, bad, 1), 1);
    (void)call(&w, &a, 0, 0);
    expect_failure(&w, &a, RPC_TRANSPORT, "not an IP address");
    world_done(&w);
}

/* --- rebalancing --- */

static void test_rebalance_comes_after_five_to_ten_minutes(void **state)
{
    uint64_t first = 0, last = 0;

    (void)state;
    for (unsigned seed = 1; seed <= 20; seed++) {
        struct world w;
        uint64_t at;

        world_open(&w, 0);
        rand_seed(seed);
        use(&w, 3);
        at = loop_next_timer(w.l) - clock_boot_ns();
        assert_true(at >= 300 * NSEC_PER_SEC && at < 600 * NSEC_PER_SEC);
        first = seed == 1 || at < first ? at : first;
        last = at > last ? at : last;
        world_done(&w);
    }
    assert_true(last - first > 60 * NSEC_PER_SEC);
}

static void test_rebalance_is_slower_in_large_fleets(void **state)
{
    struct world w;
    uint64_t at;

    (void)state;
    world_open(&w, 0);
    pool_set_nodes(w.p, 64 * 3 * 1000); /* a thousand seconds */
    use(&w, 3);
    at = loop_next_timer(w.l) - clock_boot_ns();
    assert_true(at >= 1000 * NSEC_PER_SEC && at < 2000 * NSEC_PER_SEC);
    pool_set_nodes(w.p, UINT64_MAX);
    pass_ms(&w, 2000 * 1000);
    world_done(&w);
}

static int pings(const struct world *w)
{
    return w->s[0].pings + w->s[1].pings + w->s[2].pings;
}

static void test_rebalance_uses_the_first_server_that_answers(void **state)
{
    int used[SERVERS] = {0};

    (void)state;
    for (unsigned seed = 1; seed <= 40; seed++) {
        struct server *dead;
        struct answer a;
        struct world w;

        world_open(&w, 3);
        rand_seed(seed);
        dead = nth(&w, 1);
        server_stop(dead);
        clock_fake_advance(600 * NSEC_PER_SEC);
        (void)loop_run_due(w.l);
        turn_until(w.l, pings(&w) == 1);
        turn_some(w.l, 10);
        assert_int_equal(pings(&w), 1); /* one answers: that is enough */
        assert_int_equal(nth(&w, 0)->pings, 1);
        assert_true(nth(&w, 0) != dead);
        used[nth(&w, 0)->number]++;
        (void)call(&w, &a, 0, 0);
        expect_ok(&w, &a, nth(&w, 0));
        world_done(&w);
    }
    assert_int_equal(used[0] + used[1] + used[2], 40);
    assert_true((used[0] > 5) + (used[1] > 5) + (used[2] > 5) >= 2);
}

static void test_rebalance_keeps_the_order_when_nobody_answers(void **state)
{
    const char *const *order;
    char before[3][64];
    struct world w;

    (void)state;
    world_open(&w, 3);
    (void)pool_servers(w.p, &order);
    for (int i = 0; i < 3; i++)
        (void)snprintf(before[i], sizeof(before[i]), "%s", order[i]);
    for (int i = 0; i < 3; i++)
        server_stop(&w.s[i]);
    clock_fake_advance(600 * NSEC_PER_SEC);
    (void)loop_run_due(w.l);
    turn_some(w.l, 20);
    assert_int_equal(pool_servers(w.p, &order), 3);
    for (int i = 0; i < 3; i++) { /* nothing lost, nothing doubled */
        int found = 0;

        for (int k = 0; k < 3; k++)
            found += str_eq(order[i], before[k]);
        assert_int_equal(found, 1);
    }
    world_done(&w);
}

static void test_one_server_is_not_rebalanced(void **state)
{
    struct world w;

    (void)state;
    world_open(&w, 1);
    for (int i = 0; i < 5; i++) {
        clock_fake_advance(600 * NSEC_PER_SEC);
        (void)loop_run_due(w.l);
        turn_some(w.l, 5);
    }
    assert_int_equal(pings(&w), 0);
    world_done(&w);
}

static void test_set_changed_during_a_rebalance(void **state)
{
    struct answer a;
    struct world w;

    (void)state;
    world_open(&w, 3);
    for (int i = 0; i < 3; i++)
        w.s[i].hang_up = true;
    clock_fake_advance(600 * NSEC_PER_SEC);
    (void)loop_run_due(w.l);
    use(&w, 2); /* while the ping is on its way */
    turn_some(w.l, 20);
    w.s[0].hang_up = w.s[1].hang_up = false;
    (void)call(&w, &a, 0, 0);
    turn_until(w.l, a.n);
    assert_int_equal(a.how, RPC_OK);
    world_done(&w);
}

/* --- streams --- */

struct stream_end {
    struct rpc_stream *s;
    size_t n_objects, n_ends;
    char text[600];
};

static void on_object(void *arg, const uint8_t *p, size_t n)
{
    struct stream_end *e = arg;

    (void)p;
    (void)n;
    e->n_objects++;
}

static void on_end(void *arg, const struct err *why)
{
    struct stream_end *e = arg;

    e->n_ends++;
    e->s = NULL;
    (void)snprintf(e->text, sizeof(e->text), "%s", why ? why->text : "");
}

static const struct rpc_stream_user stream_user = {.on_object = on_object, .on_end = on_end};

/* what servers accept; one at a time */
static struct stream_end taken;

static void take_stream(void *arg, struct rpc_stream *s, const char *method)
{
    (void)arg;
    assert_string_equal(method, "Agent.Monitor");
    taken = (struct stream_end){.s = s};
    rpc_stream_accept(s, &stream_user, &taken);
}

static struct stream_end *open_stream(struct world *w, struct stream_end *e)
{
    *e = taken = (struct stream_end){0};
    e->s = pool_stream_open(w->p, "Agent.Monitor", "\x80", 1, &stream_user, e);
    return e;
}

static void test_streams_find_a_server(void **state)
{
    struct stream_end e;
    struct world w;

    (void)state;
    world_open(&w, 3);
    server_stop(nth(&w, 0)); /* the first cannot be reached */
    open_stream(&w, &e);
    turn_until(w.l, taken.n_objects == 1);
    assert_int_equal(rpc_stream_write(taken.s, "\x01", 1), 0);
    turn_until(w.l, e.n_objects == 1);
    e.s = rpc_stream_close(e.s);
    turn_until(w.l, taken.n_ends == 1);
    open_stream(&w, &e); /* on the connection that is there */
    turn_until(w.l, taken.n_objects == 1);
    assert_int_equal(pings(&w), 1);
    assert_int_equal(w.s[0].sessions + w.s[1].sessions + w.s[2].sessions, 1);
    world_done(&w);
    assert_int_equal(e.n_ends, 1);
}

static void test_streams_without_servers_fail(void **state)
{
    struct stream_end e;
    struct world w;

    (void)state;
    world_open(&w, 0);
    open_stream(&w, &e);
    assert_int_equal(e.n_ends, 0);
    turn_until(w.l, e.n_ends == 1);
    assert_string_equal(e.text, "no servers");
    use(&w, 2);
    server_stop(&w.s[0]);
    server_stop(&w.s[1]);
    open_stream(&w, &e);
    turn_until(w.l, e.n_ends == 1);
    open_stream(&w, &e);
    e.s = rpc_stream_close(e.s); /* while it looks for one */
    turn_some(w.l, 10);
    assert_int_equal(e.n_ends, 0);
    world_done(&w);
}

static size_t known_servers(const struct world *w)
{
    size_t n = 0;

    list_for_each (s, &w->p->all, struct pool_server, link)
        n++;
    return n;
}

/* one that is not listed any more goes with its connection, also when the server ends it */
static void test_servers_that_streams_held_are_forgotten(void **state)
{
    struct stream_end e;
    struct world w;

    (void)state;
    world_open(&w, 1);
    open_stream(&w, &e);
    turn_until(w.l, taken.n_objects == 1);
    assert_int_equal(pool_set_servers(w.p, (const char *const[]){w.s[1].address}, 1), 1);
    assert_int_equal(known_servers(&w), 2);
    server_stop(&w.s[0]);
    turn_until(w.l, e.n_ends);
    turn_some(w.l, 8);
    assert_int_equal(known_servers(&w), 1);
    world_done(&w);
}

/* neither rest nor another list of servers takes the connection from under a stream */
static void test_streams_hold_their_connection(void **state)
{
    static const char *const others[] = {"127.0.0.1:9"};
    struct stream_end e;
    struct world w;

    (void)state;
    world_open(&w, 1);
    open_stream(&w, &e);
    turn_until(w.l, taken.n_objects == 1);
    assert_int_equal(pool_set_servers(w.p, others, 1), 1);
    for (int i = 0; i < 30; i++)
        pass_ms(&w, 25 * 1000); /* pings are answered meanwhile */
    assert_int_equal(w.s[0].lost, 0);
    assert_int_equal(rpc_stream_write(taken.s, "\x01", 1), 0);
    turn_until(w.l, e.n_objects == 1);
    e.s = rpc_stream_close(e.s);
    turn_until(w.l, taken.n_ends == 1);
    for (int i = 0; i < 30 && !w.s[0].lost; i++)
        pass_ms(&w, 25 * 1000);
    assert_int_equal(w.s[0].lost, 1); /* nobody needs it any more */
    world_done(&w);
}

/* --- servers that hang --- */

/* a listener of the kernel's: connections are made, nobody ever answers, as from a stopped process
 */
static int deaf_listener(char **ret_address)
{
    struct err e = {0};
    int fd;

    assert_int_equal(listen_open("127.0.0.1:0", &fd, ret_address, &e), 0);
    return fd;
}

static void test_a_server_that_hangs_is_left_within_seconds(void **state)
{
    _cleanup_free_ char *deaf = NULL;
    struct answer a, b;
    struct world w;
    int fd;

    (void)state;
    for (int i = 0; i < 2; i++) {
        world_open(&w, 0);
        fd = deaf_listener(&deaf);
        assert_int_equal(pool_set_servers(w.p, (const char *const[]){deaf}, 1), 1);
        if (i == 0)
            (void)call(&w, &a, POOL_READ, 0);
        else
            (void)call(&w, &a, 0, 0);
        turn_some(w.l, 20); /* connected, sent */
        assert_int_equal(pool_set_servers(w.p, (const char *const[]){deaf, w.s[0].address}, 2), 1);
        for (int k = 0; k < 70 && !a.n; k++)
            pass_ms(&w, 100);
        if (i == 0) { /* a read goes to the next server by itself */
            expect_ok(&w, &a, &w.s[0]);
        } else {
            expect_failure(&w, &a, RPC_TRANSPORT, "no answer to a ping");
            (void)call(&w, &b, 0, 0); /* and nobody waits for the hung one again */
            expect_ok(&w, &b, &w.s[0]);
        }
        world_done(&w);
        (void)fd_close(fd);
        deaf = mem_free(deaf);
    }
}

static void test_a_server_that_thinks_is_not_left(void **state)
{
    struct answer a;
    struct world w;

    (void)state;
    world_open(&w, 1);
    w.s[0].hold = true;
    (void)call(&w, &a, 0, 0);
    turn_until(w.l, w.s[0].held);
    for (int i = 0; i < 60; i++)
        pass_ms(&w, 1500);
    assert_int_equal(a.n, 0);
    assert_int_equal(w.s[0].lost, 0);
    rpc_reply(steal_ptr(&w.s[0].held), "\x00", 1);
    expect_ok(&w, &a, &w.s[0]);
    world_done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_servers_no_call),
        cmocka_unit_test(test_equal_set_keeps_the_order),
        cmocka_unit_test(test_changed_set_is_shuffled),
        cmocka_unit_test(test_calls_share_one_connection),
        cmocka_unit_test(test_unreachable_server_is_passed_over_at_once),
        cmocka_unit_test(test_all_unreachable_is_said_with_the_reason),
        cmocka_unit_test(test_server_without_leader_is_left_and_the_call_repeated),
        cmocka_unit_test(test_repeating_ends_after_five_seconds),
        cmocka_unit_test(test_application_error_is_returned_and_moves_nothing),
        cmocka_unit_test(test_lost_connection_repeats_reads_only),
        cmocka_unit_test(test_restarted_server_is_dialled_again),
        cmocka_unit_test(test_call_times_out_in_all),
        cmocka_unit_test(test_deadline_ends_repeating_as_well),
        cmocka_unit_test(test_long_poll_does_not_expire_by_itself),
        cmocka_unit_test(test_idle_connection_closes_after_five_minutes),
        cmocka_unit_test(test_call_in_flight_stays_on_the_old_connection),
        cmocka_unit_test(test_server_listed_again_keeps_its_connection),
        cmocka_unit_test(test_server_that_goes_away_gets_no_new_calls),
        cmocka_unit_test(test_cancelled_calls_are_never_answered),
        cmocka_unit_test(test_freed_pool_drops_its_calls),
        cmocka_unit_test(test_pool_may_be_freed_inside_done),
        cmocka_unit_test(test_servers_call_back_on_the_same_connection),
        cmocka_unit_test(test_bad_address_fails_the_call),
        cmocka_unit_test(test_streams_find_a_server),
        cmocka_unit_test(test_streams_without_servers_fail),
        cmocka_unit_test(test_servers_that_streams_held_are_forgotten),
        cmocka_unit_test(test_streams_hold_their_connection),
        cmocka_unit_test(test_a_server_that_hangs_is_left_within_seconds),
        cmocka_unit_test(test_a_server_that_thinks_is_not_left),
        cmocka_unit_test(test_rebalance_comes_after_five_to_ten_minutes),
        cmocka_unit_test(test_rebalance_is_slower_in_large_fleets),
        cmocka_unit_test(test_rebalance_uses_the_first_server_that_answers),
        cmocka_unit_test(test_rebalance_keeps_the_order_when_nobody_answers),
        cmocka_unit_test(test_one_server_is_not_rebalanced),
        cmocka_unit_test(test_set_changed_during_a_rebalance),
    };

    loop_block_signals();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
