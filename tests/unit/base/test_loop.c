/* The event loop: sockets, timers, deferred calls, signals, children; deleting inside callbacks. */
#include "base/loop.h"

#include <errno.h>
#include <setjmp.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/rand.h"
#include "tests/support/wire_loop.h"

static struct loop *l;

static int setup(void **state)
{
    (void)state;
    loop_block_signals();
    return loop_new(&l);
}

static int teardown(void **state)
{
    (void)state;
    clock_fake(false, 0, 0);
    l = loop_free(l);
    return 0;
}

/* ---- timers ---- */

struct tick {
    struct timer t;
    int id;
    int fired;
    uint64_t again_ns; /* set again from the callback */
    struct tick *stop; /* stopped from the callback */
};

static int order[2000];
static size_t n_order;

static void on_tick(void *arg)
{
    struct tick *k = arg;

    assert_false(timer_armed(&k->t)); /* inside its callback it is not */
    k->fired++;
    if (n_order < ARRAY_LEN(order))
        order[n_order++] = k->id;
    if (k->stop)
        timer_stop(&k->stop->t);
    if (k->again_ns)
        timer_set(&k->t, k->again_ns);
}

static void init(struct tick *k, int id)
{
    *k = (struct tick){.id = id};
    timer_init(l, &k->t, "test", on_tick, k);
}

static void test_timers_fire_in_order_of_time(void **state)
{
    struct tick k[50];

    (void)state;
    clock_fake(true, 1000, 0);
    n_order = 0;
    for (int i = 0; i < 50; i++) {
        init(&k[i], i);
        timer_set(&k[i].t, (uint64_t)(i * 37 % 50) + 1);
    }
    assert_int_equal(loop_next_timer(l), 1001);
    assert_int_equal(loop_run_due(l), 0);
    clock_fake_advance(25);
    assert_int_equal(loop_run_due(l), 25);
    clock_fake_advance(100);
    assert_int_equal(loop_run_due(l), 25);
    for (size_t i = 1; i < n_order; i++)
        assert_true(order[i - 1] * 37 % 50 < order[i] * 37 % 50);
    assert_int_equal(loop_next_timer(l), UINT64_MAX);
}

static uint64_t late_due_ns;

static void on_late(void *arg, uint64_t due_ns)
{
    const struct tick *k = arg;

    assert_int_equal(k->fired, 0); /* told before any of them */
    late_due_ns = due_ns;
}

static void test_timers_that_fire_late_are_told_of_first(void **state)
{
    struct tick k[2];

    (void)state;
    clock_fake(true, 1000, 0);
    init(&k[0], 0);
    init(&k[1], 1);
    assert_int_equal(loop_timers(l), 0);
    timer_set(&k[0].t, 50);
    timer_set(&k[1].t, 20);
    assert_int_equal(loop_timers(l), 2);
    loop_on_late(l, 30, on_late, &k[0]);
    clock_fake_advance(45);
    late_due_ns = 0;
    assert_int_equal(loop_run_due(l), 1); /* 25 late: not more than 30 */
    assert_int_equal(late_due_ns, 0);
    clock_fake_advance(100);
    assert_int_equal(loop_run_due(l), 1);
    assert_int_equal(late_due_ns, 1050);
    timer_set(&k[1].t, 1);
    loop_on_late(l, 0, NULL, NULL);
    clock_fake_advance(100);
    assert_int_equal(loop_run_due(l), 1);
}

static void test_timers_are_moved_and_stopped(void **state)
{
    struct tick a, b, never = {0};

    (void)state;
    clock_fake(true, 1000, 0);
    init(&a, 1);
    init(&b, 2);
    timer_set(&a.t, 10);
    timer_set(&b.t, 20);
    timer_set(&a.t, 30); /* moved behind b */
    assert_int_equal(loop_next_timer(l), 1020);
    timer_stop(&b.t);
    timer_stop(&b.t);
    timer_stop(&never.t); /* never initialised */
    assert_int_equal(loop_next_timer(l), 1030);
    timer_set_at(&b.t, 5); /* long past */
    assert_int_equal(loop_run_due(l), 1);
    assert_int_equal(b.fired, 1);
    timer_set(&b.t, UINT64_MAX); /* for ever */
    assert_true(timer_armed(&b.t));
    clock_fake_advance(30);
    assert_int_equal(loop_run_due(l), 1);
    assert_int_equal(a.fired, 1);
    timer_stop(&b.t);
}

static void test_timers_set_and_stop_each_other(void **state)
{
    struct tick a, b;

    (void)state;
    clock_fake(true, 1000, 0);
    init(&a, 1);
    init(&b, 2);
    a.stop = &b;
    a.again_ns = 5;
    timer_set(&a.t, 10);
    timer_set(&b.t, 10);
    timer_set(&b.t, 11);
    clock_fake_advance(20);
    assert_int_equal(loop_run_due(l), 1); /* again_ns counts from now, so not twice */
    assert_int_equal(b.fired, 0);
    assert_true(timer_armed(&a.t));
    clock_fake_advance(5);
    assert_int_equal(loop_run_due(l), 1);
    assert_int_equal(a.fired, 2);
    timer_stop(&a.t);
}

static void test_timers_survive_a_random_life(void **state)
{
    enum { N = 200 };
    static struct tick k[N];
    static uint64_t at[N];

    (void)state;
    clock_fake(true, 1, 0);
    rand_seed(5);
    for (int i = 0; i < N; i++) {
        init(&k[i], i);
        at[i] = 0;
    }
    for (int round = 0; round < 20000; round++) {
        size_t i = rand_below(N);
        uint64_t in = rand_below(500), first = UINT64_MAX;
        int fired = 0;

        if (rand_below(4)) {
            timer_set(&k[i].t, in);
            at[i] = clock_boot_ns() + in;
        } else {
            timer_stop(&k[i].t);
            at[i] = 0;
        }
        clock_fake_advance(rand_below(5));
        for (int j = 0; j < N; j++) {
            if (at[j] && at[j] <= clock_boot_ns()) {
                fired++;
                at[j] = 0;
            } else if (at[j] && at[j] < first) {
                first = at[j];
            }
        }
        assert_int_equal(loop_run_due(l), fired);
        assert_true(loop_next_timer(l) == first);
    }
    rand_seed(0);
    for (int i = 0; i < N; i++)
        timer_stop(&k[i].t);
}

static void test_timers_fire_in_real_time(void **state)
{
    struct tick a, b;
    uint64_t start = clock_boot_ns();

    (void)state;
    init(&a, 1);
    init(&b, 2);
    timer_set(&a.t, 20 * NSEC_PER_MSEC);
    timer_set(&b.t, NSEC_PER_SEC);
    timer_stop(&b.t);
    turn_until(l, a.fired);
    assert_true(clock_boot_ns() - start >= 20 * NSEC_PER_MSEC);
    assert_int_equal(b.fired, 0);
    timer_set(&a.t, 0);
    turn_until(l, a.fired == 2);
}

/* ---- sockets ---- */

struct end {
    struct io io;
    int fd;
    int calls;
    uint32_t last;
    struct end *del; /* deleted from the callback */
};

static void on_io(void *arg, uint32_t revents)
{
    struct end *e = arg;
    char c;

    e->calls++;
    e->last = revents;
    if (revents & EPOLLIN)
        (void)!recv(e->fd, &c, 1, MSG_DONTWAIT);
    if (e->del)
        io_del(&e->del->io);
}

static void open_pair(struct end *a, struct end *b)
{
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    *a = (struct end){.fd = fds[0]};
    *b = (struct end){.fd = fds[1]};
}

static void close_pair(struct end *a, struct end *b)
{
    io_del(&a->io);
    io_del(&b->io);
    (void)close(a->fd);
    (void)close(b->fd);
}

static void test_io_tells_what_is_ready(void **state)
{
    struct end a, b;

    (void)state;
    open_pair(&a, &b);
    assert_int_equal(io_add(l, &a.io, a.fd, EPOLLIN, "a", on_io, &a), 0);
    turn_some(l, 2);
    assert_int_equal(a.calls, 0);
    assert_int_equal(write(b.fd, "x", 1), 1);
    turn_until(l, a.calls);
    assert_true(a.last & EPOLLIN);
    io_set(&a.io, EPOLLIN | EPOLLOUT);
    turn_until(l, a.calls == 2);
    assert_int_equal(a.last, EPOLLOUT);
    io_set(&a.io, 0);
    assert_int_equal(write(b.fd, "x", 1), 1);
    turn_some(l, 3);
    assert_int_equal(a.calls, 2);
    io_set(&a.io, EPOLLIN);
    turn_until(l, a.calls == 3);
    (void)shutdown(b.fd, SHUT_RDWR);
    turn_until(l, a.last & EPOLLHUP);
    close_pair(&a, &b);
}

static void test_io_deleted_by_another_is_not_called(void **state)
{
    struct end a, b, c, d;

    (void)state;
    open_pair(&a, &b);
    open_pair(&c, &d);
    assert_int_equal(io_add(l, &a.io, a.fd, EPOLLIN, "a", on_io, &a), 0);
    assert_int_equal(io_add(l, &c.io, c.fd, EPOLLIN, "c", on_io, &c), 0);
    a.del = &c;
    c.del = &a;
    assert_int_equal(write(b.fd, "x", 1), 1);
    assert_int_equal(write(d.fd, "x", 1), 1);
    turn_some(l, 5);
    assert_int_equal(a.calls + c.calls, 1); /* the first one deleted the second */
    close_pair(&a, &b);
    close_pair(&c, &d);
}

static void test_io_may_delete_itself(void **state)
{
    struct end a, b;

    (void)state;
    open_pair(&a, &b);
    assert_int_equal(io_add(l, &a.io, a.fd, EPOLLIN | EPOLLOUT, "a", on_io, &a), 0);
    a.del = &a;
    turn_some(l, 3);
    assert_int_equal(a.calls, 1);
    assert_null(a.io.loop);
    io_set(&a.io, EPOLLIN); /* harmless now */
    close_pair(&a, &b);
}

static void test_io_add_says_what_is_wrong(void **state)
{
    struct io io = {0};

    (void)state;
    assert_true(io_add(l, &io, -1, EPOLLIN, "bad", on_io, NULL) < 0);
    assert_null(io.loop);
    io_del(&io);
}

/* ---- defer ---- */

struct later {
    struct defer d;
    int calls;
    bool again;
    struct later *stop;
};

static void on_later(void *arg)
{
    struct later *x = arg;

    x->calls++;
    if (x->stop)
        defer_stop(&x->stop->d);
    if (x->again && x->calls < 3)
        defer_set(&x->d);
}

static void test_defer_runs_once_after_the_callback(void **state)
{
    struct later a = {0}, b = {0}, c = {.again = true};

    (void)state;
    defer_init(l, &a.d, on_later, &a);
    defer_init(l, &b.d, on_later, &b);
    defer_init(l, &c.d, on_later, &c);
    a.stop = &b;
    defer_set(&a.d);
    defer_set(&a.d); /* set already */
    defer_set(&b.d);
    defer_set(&c.d);
    assert_int_equal(a.calls, 0);
    turn_until(l, c.calls == 3);
    turn_some(l, 2);
    assert_int_equal(a.calls, 1);
    assert_int_equal(b.calls, 0);
    assert_int_equal(c.calls, 3);
    defer_stop(&a.d);
}

struct worker {
    struct defer d;
    size_t runs, runs_at_io;
    struct worker *sets, *stops;
};

static void on_work(void *arg)
{
    struct worker *w = arg;

    w->runs++;
    defer_set(&w->d);
    if (w->sets)
        defer_set(&w->sets->d);
    if (w->stops)
        defer_stop(&w->stops->d);
}

static void on_work_io(void *arg, uint32_t revents)
{
    struct worker *w = arg;

    (void)revents;
    if (!w->runs_at_io)
        w->runs_at_io = w->runs + 1;
}

/* work in slices: a socket that is ready waits for one slice, not for all of them */
static void test_defer_that_goes_on_leaves_room_for_sockets(void **state)
{
    struct worker w = {0};
    struct io io;
    int fds[2];

    (void)state;
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(io_add(l, &io, fds[0], EPOLLIN, "test", on_work_io, &w), 0);
    defer_init(l, &w.d, on_work, &w);
    defer_set(&w.d);
    assert_int_equal(write(fds[1], "x", 1), 1);
    turn_some(l, 6);
    assert_in_range(w.runs_at_io, 1, 3);
    assert_in_range(w.runs, 2, 5);
    defer_stop(&w.d);
    io_del(&io);
    (void)close(fds[0]);
    (void)close(fds[1]);
}

static void test_defers_set_or_stopped_meanwhile(void **state)
{
    struct worker a = {0}, b = {0}, c = {0}, later = {0};

    (void)state;
    defer_init(l, &a.d, on_work, &a);
    defer_init(l, &b.d, on_work, &b);
    defer_init(l, &c.d, on_work, &c);
    defer_init(l, &later.d, on_work, &later);
    a.sets = &later;
    a.stops = &b;
    defer_set(&a.d);
    defer_set(&b.d);
    defer_set(&c.d);
    assert_int_equal(loop_turn(l, 0), 0);
    assert_int_equal(a.runs, 1);
    assert_int_equal(b.runs, 0);
    assert_int_equal(c.runs, 1);
    assert_int_equal(later.runs, 0);
    assert_int_equal(loop_turn(l, 0), 0);
    assert_int_equal(a.runs, 2);
    assert_int_equal(c.runs, 2);
    assert_int_equal(later.runs, 1);
    defer_stop(&a.d);
    defer_stop(&c.d);
    defer_stop(&later.d);
}

/* work that takes long: the rest of it waits until others had their turn */
static void on_long(void *arg)
{
    struct later *x = arg;

    x->calls++;
    clock_fake_advance(NSEC_PER_MSEC);
}

static void on_long_io(void *arg, uint32_t revents)
{
    struct later *x = arg;

    (void)revents;
    on_long(x);
    defer_set(&x->d);
}

static void test_a_turn_ends_after_a_while(void **state)
{
    enum { N = 50 };
    struct later x[N] = {0};
    struct io io[N];
    int fds[N][2], turns = 0, done = 0;

    (void)state;
    clock_fake(true, NSEC_PER_SEC, 0);
    for (int i = 0; i < N; i++) {
        defer_init(l, &x[i].d, on_long, &x[i]);
        defer_set(&x[i].d);
    }
    assert_int_equal(loop_turn(l, 0), 0);
    for (int i = 0; i < N; i++)
        done += x[i].calls;
    assert_in_range(done, 1, 5);
    for (; turns < 1000 && x[N - 1].calls == 0; turns++)
        assert_int_equal(loop_turn(l, 0), 0);
    for (int i = 0; i < N; i++) {
        assert_int_equal(x[i].calls, 1); /* each once, and in order */
        x[i].calls = 0;
        assert_int_equal(pipe(fds[i]), 0);
        assert_int_equal(io_add(l, &io[i], fds[i][0], EPOLLIN, "test", on_long_io, &x[i]), 0);
        assert_int_equal(write(fds[i][1], "x", 1), 1);
    }
    assert_int_equal(loop_turn(l, 0), 0);
    done = 0;
    for (int i = 0; i < N; i++)
        done += x[i].calls;
    assert_in_range(done, 1, 10);
    for (turns = 0, done = 0; turns < 1000 && done < N; turns++) { /* nobody is passed over */
        assert_int_equal(loop_turn(l, 0), 0);
        done = 0;
        for (int i = 0; i < N; i++)
            done += x[i].calls > 0;
    }
    assert_int_equal(done, N);
    for (int i = 0; i < N; i++) {
        io_del(&io[i]);
        defer_stop(&x[i].d);
        (void)close(fds[i][0]);
        (void)close(fds[i][1]);
    }
    clock_fake(false, 0, 0);
}

static void on_io_sets(void *arg, uint32_t revents)
{
    struct later *x = arg;

    (void)revents;
    defer_set(&x->d);
}

/* what a socket's callback leaves for later runs behind it, in the same turn; what that sets again
 * does not, and runs all the same */
static void test_defers_of_a_socket_run_behind_it(void **state)
{
    struct later x = {.again = true};
    struct io io;
    int fds[2];

    (void)state;
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(io_add(l, &io, fds[0], EPOLLIN, "test", on_io_sets, &x), 0);
    defer_init(l, &x.d, on_later, &x);
    turn_some(l, 2);
    assert_int_equal(write(fds[1], "x", 1), 1);
    assert_int_equal(loop_turn(l, NSEC_PER_SEC), 0);
    assert_int_equal(x.calls, 1);
    io_del(&io);
    turn_until(l, x.calls == 3);
    turn_some(l, 2);
    assert_int_equal(x.calls, 3);
    (void)close(fds[0]);
    (void)close(fds[1]);
}

static void on_timer_sets(void *arg)
{
    struct later *x = arg;

    defer_set(&x->d);
}

static void test_defers_of_a_timer_run_behind_it(void **state)
{
    struct later x = {0};
    struct timer t;

    (void)state;
    defer_init(l, &x.d, on_later, &x);
    timer_init(l, &t, "test", on_timer_sets, &x);
    timer_set(&t, 0);
    turn_until(l, x.calls == 1);
    turn_some(l, 2);
    assert_int_equal(x.calls, 1);
}

/* ---- signals, children, quitting ---- */

static int last_signal;

static void on_signal(void *arg, int signo)
{
    *(int *)arg = signo;
}

static void test_signals_arrive_in_the_loop(void **state)
{
    (void)state;
    last_signal = 0;
    assert_int_equal(loop_on_signal(l, SIGHUP, on_signal, &last_signal), 0);
    assert_int_equal(kill(getpid(), SIGHUP), 0);
    turn_until(l, last_signal == SIGHUP);
}

struct watched {
    struct child_watch *w;
    pid_t pid;
    int status, calls;
    bool cancel;
};

static void on_child(void *arg, pid_t pid, int status)
{
    struct watched *c = arg;

    assert_int_equal(pid, c->pid);
    c->status = status;
    c->calls++;
    if (c->cancel)
        c->w = loop_child_cancel(c->w); /* as an owner that frees all it has would */
}

static void start_child(struct watched *c, int code)
{
    c->pid = fork();
    assert_true(c->pid >= 0);
    if (c->pid == 0) {
        if (code < 0)
            (void)raise(SIGKILL);
        _exit(code);
    }
    assert_int_equal(loop_on_child(l, c->pid, on_child, c, &c->w), 0);
}

static void test_children_are_reaped_with_their_status(void **state)
{
    struct watched a = {0}, b = {0}, c = {.cancel = true};

    (void)state;
    start_child(&a, 7);
    start_child(&b, -1);
    start_child(&c, 0);
    turn_until(l, a.calls && b.calls && c.calls);
    assert_true(WIFEXITED(a.status));
    assert_int_equal(WEXITSTATUS(a.status), 7);
    assert_true(WIFSIGNALED(b.status));
    assert_int_equal(WTERMSIG(b.status), SIGKILL);
    turn_some(l, 2);
    assert_int_equal(a.calls + b.calls + c.calls, 3);
    assert_int_equal(waitpid(a.pid, NULL, WNOHANG), -1); /* reaped */
}

/* a child that leaves n of its own behind, which end a little later than it does */
static pid_t leave_orphans(int n)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid > 0)
        return pid;
    for (int i = 0; i < n; i++)
        if (fork() == 0) {
            (void)usleep(20000);
            _exit(9);
        }
    _exit(3);
}

static void test_orphans_are_reaped_and_nobody_elses_children(void **state)
{
    struct watched a = {0}, b = {0};
    siginfo_t si;

    (void)state;
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0); /* as the first process would be */
    a.pid = leave_orphans(5);
    assert_int_equal(waitid(P_PID, (id_t)a.pid, &si, WEXITED | WNOWAIT), 0);
    assert_int_equal(loop_reap_orphans(l), 0);
    assert_int_equal(loop_on_child(l, a.pid, on_child, &a, &a.w), 0);
    start_child(&b, 7);
    for (int i = 0; i < 10000 && waitid(P_ALL, 0, &si, WEXITED | WNOHANG | WNOWAIT) == 0; i++)
        assert_int_equal(loop_turn(l, 5 * NSEC_PER_MSEC), 0);
    assert_int_equal(errno, ECHILD);
    assert_int_equal(a.calls, 1);
    assert_int_equal(a.status, 3 << 8);
    assert_int_equal(b.calls, 1);
    assert_int_equal(b.status, 7 << 8);
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 0), 0);
}

static void test_child_cancelled_is_left_to_the_caller(void **state)
{
    struct watched a = {0};

    (void)state;
    start_child(&a, 3);
    a.w = loop_child_cancel(a.w);
    assert_null(a.w);
    assert_int_equal(waitpid(a.pid, &a.status, 0), a.pid);
    turn_some(l, 2);
    assert_int_equal(a.calls, 0);
    assert_null(loop_child_cancel(NULL));
}

static void quit_with_5(void *arg)
{
    loop_quit(arg, 5);
}

static void test_run_returns_the_code_of_quit(void **state)
{
    struct timer t;

    (void)state;
    timer_init(l, &t, "quit", quit_with_5, l);
    timer_set(&t, NSEC_PER_MSEC);
    assert_int_equal(loop_run(l), 5);
    timer_stop(&t);
    loop_notify("STATUS=%s", "nobody listens");
    assert_non_null(loop_sd(l));
    assert_null(loop_free(NULL));
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

/* ---- slow ones ---- */

static void takes_long(void *arg)
{
    clock_fake_advance(*(uint64_t *)arg);
}

static void test_slow_callbacks_are_counted_by_name(void **state)
{
    uint64_t quick = SLOW_CALLBACK_NS, slow = SLOW_CALLBACK_NS + 1, slower = 2 * SLOW_CALLBACK_NS;
    struct timer t[3];
    struct loop_slow s;
    struct defer d;

    (void)state;
    clock_fake(true, NSEC_PER_SEC, 0);
    timer_init(l, &t[0], "quick", takes_long, &quick);
    timer_init(l, &t[1], "slow", takes_long, &slow);
    timer_init(l, &t[2], "slower", takes_long, &slower);
    for (size_t i = 0; i < ARRAY_LEN(t); i++)
        timer_set(&t[i], i);
    clock_fake_advance(10);
    for (size_t i = 0; i < ARRAY_LEN(t); i++)
        assert_int_equal(loop_run_due(l), 1); /* no time for another one */
    assert_int_equal(loop_run_due(l), 0);
    loop_slow(l, &s);
    assert_int_equal(s.n, 2);
    assert_int_equal(s.longest_ns, slower);
    assert_string_equal(s.name, "slower");
    loop_slow(l, &s);
    assert_int_equal(s.n, 2); /* since the start, but nothing since the last look */
    assert_int_equal(s.longest_ns, 0);
    assert_null(s.name);
    defer_init(l, &d, takes_long, &slow);
    defer_set(&d);
    for (int i = 0; i < 3; i++)
        assert_int_equal(loop_turn(l, 0), 0);
    loop_slow(l, &s);
    assert_int_equal(s.n, 3);
    assert_string_equal(s.name, "takes_long");
}

/* ---- all at once ---- */

struct load {
    struct io io;
    struct defer defer;
    struct timer timer;
    int sockets, defers, timers, signals;
};

/* a callback that takes its time, on the real clock */
static void burn(void)
{
    uint64_t end = clock_boot_ns() + NSEC_PER_MSEC;

    while (clock_boot_ns() < end)
        ;
}

static void always_ready(void *arg, uint32_t events)
{
    struct load *x = arg;

    (void)events;
    x->sockets++;
    burn();
}

static void always_set(void *arg)
{
    struct load *x = arg;

    x->defers++;
    burn();
    defer_set(&x->defer);
}

static void always_due(void *arg)
{
    struct load *x = arg;

    x->timers++;
    burn();
    timer_set(&x->timer, 0);
}

static void count_signal(void *arg, int signo)
{
    struct load *x = arg;

    (void)signo;
    x->signals++;
}

/* systemd's end of the watchdog */
static int watchdog_socket(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    socklen_t n = sizeof(a);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    assert_true(fd >= 0);
    /* the kernel chooses an abstract name */
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a.sun_family)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    a.sun_path[0] = '@';
    assert_int_equal(setenv("NOTIFY_SOCKET", a.sun_path, 1), 0);
    assert_int_equal(setenv("WATCHDOG_USEC", "100000", 1), 0);
    return fd;
}

static void test_nothing_starves_under_permanent_load(void **state)
{
    uint64_t end = clock_boot_ns() + 60 * NSEC_PER_SEC;
    struct load x = {0};
    char text[256];
    bool barked = false;
    int fds[2], dog;

    (void)state;
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    assert_int_equal(write(fds[1], "x", 1), 1);
    assert_int_equal(io_add(l, &x.io, fds[0], EPOLLIN, "ready", always_ready, &x), 0);
    defer_init(l, &x.defer, always_set, &x);
    timer_init(l, &x.timer, "due", always_due, &x);
    assert_int_equal(loop_on_signal(l, SIGHUP, count_signal, &x), 0);
    dog = watchdog_socket();
    loop_watchdog(l);
    defer_set(&x.defer);
    timer_set(&x.timer, 0);
    for (int turn = 1; !barked && clock_boot_ns() < end; turn++) {
        assert_int_equal(loop_turn(l, 0), 0);
        if (turn == 30) /* everybody had his turns */
            assert_true(x.sockets >= 5 && x.defers >= 5 && x.timers >= 5);
        if (turn == 30)
            assert_int_equal(kill(getpid(), SIGHUP), 0);
        if (turn == 40)
            assert_int_equal(x.signals, 1);
        barked = recv(dog, text, sizeof(text), 0) > 0;
        barked = barked && turn > 40;
    }
    assert_true(barked);
    assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0);
    assert_int_equal(unsetenv("WATCHDOG_USEC"), 0);
    io_del(&x.io);
    timer_stop(&x.timer);
    defer_stop(&x.defer);
    (void)fd_close(fds[0]);
    (void)fd_close(fds[1]);
    (void)fd_close(dog);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_timers_fire_in_order_of_time),
        TEST(test_timers_that_fire_late_are_told_of_first),
        TEST(test_timers_are_moved_and_stopped),
        TEST(test_timers_set_and_stop_each_other),
        TEST(test_timers_survive_a_random_life),
        TEST(test_timers_fire_in_real_time),
        TEST(test_io_tells_what_is_ready),
        TEST(test_io_deleted_by_another_is_not_called),
        TEST(test_io_may_delete_itself),
        TEST(test_io_add_says_what_is_wrong),
        TEST(test_defer_runs_once_after_the_callback),
        TEST(test_defer_that_goes_on_leaves_room_for_sockets),
        TEST(test_defers_set_or_stopped_meanwhile),
        TEST(test_a_turn_ends_after_a_while),
        TEST(test_defers_of_a_socket_run_behind_it),
        TEST(test_defers_of_a_timer_run_behind_it),
        TEST(test_signals_arrive_in_the_loop),
        TEST(test_children_are_reaped_with_their_status),
        TEST(test_child_cancelled_is_left_to_the_caller),
        TEST(test_orphans_are_reaped_and_nobody_elses_children),
        TEST(test_slow_callbacks_are_counted_by_name),
        TEST(test_nothing_starves_under_permanent_load),
        TEST(test_run_returns_the_code_of_quit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
