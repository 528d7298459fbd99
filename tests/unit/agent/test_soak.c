/* Days of an agent's life in seconds: facts that flap, a server that goes, hangs and comes back,
 * lost connections, clocks that jump, a machine that sleeps, a process that is stopped.  Nothing
 * may grow, no update may be too many, no heartbeat too few.
 *
 * PICKET_SOAK_DAYS=n makes it n days; each takes a fifth of a second. */
#include "agent/clocks.h"

#include <dirent.h>
#include <malloc.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <systemd/sd-event.h>

#include "base/parse.h"
#include "base/file.h"
#include "tests/support/valgrind.h"
#include "tests/unit/agent/fixture.h"

#define TTL_SEC  60
#define HOUR_SEC 3600

enum { DAYS = 20 };

struct soak {
    struct fixture *f;
    struct clocks *clocks;
    int set_fd;
    unsigned n_clock_events;
    size_t late; /* "Heartbeat was late" */
};

/* what must not grow */
struct level {
    size_t memory, descriptors, timers;
};

static void on_clock_event(void *arg, const char *message, const struct strmap *details)
{
    (void)message;
    (void)details;
    ((struct soak *)arg)->n_clock_events++;
}

static void on_pause(void *arg, const char *how, uint64_t ns)
{
    session_woke(((struct soak *)arg)->f->session, how, ns);
}

/* until nothing is ready any more; the peer is in this process: no waiting */
static void calm(struct soak *s)
{
    unsigned turns = 0;

    while (sd_event_run(loop_sd(s->f->loop), 0) > 0)
        assert_true(++turns < 100000);
}

static void go_on(struct soak *s, uint64_t ns)
{
    uint64_t end = clock_boot_ns() + ns, at;

    calm(s);
    while ((at = loop_next_timer(s->f->loop)) <= end) {
        if (at > clock_boot_ns())
            clock_fake_advance(at - clock_boot_ns());
        (void)loop_run_due(s->f->loop);
        calm(s);
    }
    clock_fake_advance(end - clock_boot_ns());
}

static void on_flap(void *arg, const char *fact)
{
    (void)arg;
    (void)fact;
}

/* the agent's merge: a fact is another one, whoever damps is told */
static void change_fact(struct soak *s, const char *key, const char *value)
{
    struct fixture *f = s->f;
    const struct node_snap *before = node_snap_ref(collect_snap(f->collect));
    struct probe_status st = {.name = "fake", .state = PROBE_GOOD, .fp = f->fp, .reason = ""};

    fp_set(f->fp, key, value, "probe");
    if (collect_merge(f->collect, &st, 1)) {
        flap_note(f->flap, before->node, collect_snap(f->collect)->node, clock_boot_ns(), on_flap,
                  NULL);
        session_set_node(f->session, collect_snap(f->collect));
    }
    (void)node_snap_unref(before);
}

static size_t count_descriptors(void)
{
    DIR *d = opendir("/proc/self/fd");
    size_t n = 0;

    assert_non_null(d);
    while (readdir(d))
        n++;
    (void)closedir(d);
    return n;
}

/* simulated time does not wait for children: those on their way end before things are counted */
static void wait_for_children(const struct soak *s)
{
    siginfo_t si;

    for (int i = 0; i < 100000; i++) {
        if (waitid(P_ALL, 0, &si, WEXITED | WNOHANG | WNOWAIT) < 0 && errno == ECHILD)
            return;
        assert_int_equal(loop_turn(s->f->loop, NSEC_PER_MSEC), 0);
    }
    fail_msg("a child does not end");
}

static struct level level_now(struct soak *s)
{
    wait_for_children(s);
    (void)malloc_trim(0);
    return (struct level){
        .memory = mallinfo2().uordblks,
        .descriptors = count_descriptors(),
        .timers = loop_timers(s->f->loop),
    };
}

/* --- hours --- */

/* nothing happens: beats as the TTL demands, nothing else */
static void quiet_hour(struct soak *s)
{
    fake_server_reset_calls(s->f->a);
    go_on(s, HOUR_SEC * SEC);
    assert_in_range(fake_server_calls(s->f->a, "Node.UpdateStatus"), HOUR_SEC / TTL_SEC - 1,
                    HOUR_SEC / TTL_SEC + 1);
    assert_int_equal(fake_server_calls(s->f->a, "Node.Register"), 0);
    assert_int_equal(status(s->f).state, SESSION_REGISTERED);
}

static void flapping_hour(struct soak *s)
{
    size_t n;

    fake_server_reset_calls(s->f->a);
    for (int i = 0; i < HOUR_SEC / 5; i++) {
        _cleanup_free_ char *value = xasprintf("%d", i);

        change_fact(s, "flapping.fact", value);
        go_on(s, 5 * SEC);
    }
    n = fake_server_calls(s->f->a, "Node.Register");
    assert_in_range(n, 2, HOUR_SEC / 60 + 3); /* the first ones come before it is known to flap */
    assert_in_range(fake_server_calls(s->f->a, "Node.UpdateStatus"), HOUR_SEC / TTL_SEC - 1,
                    HOUR_SEC / TTL_SEC + 1);
    change_fact(s, "flapping.fact", "1");
    go_on(s, 600 * SEC);
}

static void hour_of_lost_connections(struct soak *s)
{
    for (int i = 0; i < 30; i++) {
        fake_server_cut(s->f->a);
        go_on(s, (60 + rand_below(60)) * SEC);
    }
    assert_int_equal(fake_server_calls(s->f->a, "Node.Register"), 0);
}

static void hour_of_restarts(struct soak *s)
{
    for (int i = 0; i < 10; i++) {
        fake_server_stop(s->f->a);
        go_on(s, rand_below(200) * SEC);
        fake_server_start(s->f->a);
        go_on(s, 120 * SEC);
        assert_true(status(s->f).in_contact);
    }
    assert_int_equal(fake_server_calls(s->f->a, "Node.Register"), 0);
}

static void hour_of_silence(struct soak *s)
{
    for (int i = 0; i < 10; i++) {
        fake_server_mute(s->f->a, true);
        go_on(s, (20 + rand_below(200)) * SEC);
        fake_server_mute(s->f->a, false);
        go_on(s, 120 * SEC);
        assert_true(status(s->f).in_contact);
    }
    fake_server_cut(s->f->a); /* what it holds unanswered is not ours */
    go_on(s, 400 * SEC);
    assert_int_equal(fake_server_calls(s->f->a, "Node.Register"), 0);
}

static void hour_of_clocks(struct soak *s)
{
    uint64_t one = 1;

    for (int i = 0; i < 20; i++) {
        clock_fake_jump(((int64_t)rand_below(200000) - 100000) * (int64_t)SEC);
        assert_int_equal(write(s->set_fd, &one, sizeof(one)), sizeof(one));
        go_on(s, 60 * SEC);
        clock_fake_sleep(rand_below(90) * SEC);
        (void)loop_run_due(s->f->loop);
        go_on(s, 60 * SEC);
        clock_fake_advance(rand_below(90) * SEC); /* stopped */
        go_on(s, 60 * SEC);
    }
    assert_true(s->n_clock_events > 20);
    assert_int_equal(fake_server_calls(s->f->a, "Node.Register"), 0);
}

static void hour_of_purges(struct soak *s)
{
    for (int i = 0; i < 5; i++) {
        fake_server_forget(s->f->a);
        go_on(s, 300 * SEC);
        assert_string_equal(fake_server_node_status(s->f->a), "ready");
    }
    assert_int_equal(fake_server_calls(s->f->a, "Node.Register"), 5);
}

static void day(struct soak *s)
{
    static void (*const hours[])(struct soak *) = {
        flapping_hour,   hour_of_lost_connections, hour_of_restarts,
        hour_of_silence, hour_of_clocks,           hour_of_purges,
    };

    for (size_t h = 0; h < 24; h++) {
        fake_server_reset_calls(s->f->a);
        if (h % 2 && h / 2 < ARRAY_LEN(hours))
            hours[h / 2](s);
        else
            quiet_hour(s);
        for (size_t i = 0; i < s->f->n_said; i++)
            s->late += strstr(s->f->said[i], "Heartbeat was late by ") != NULL;
        strv_done(&s->f->said, &s->f->n_said);
    }
    fake_server_reset_calls(s->f->a);
    go_on(s, 600 * SEC); /* whatever was open is closed by now */
}

/* one that does what it is asked for: no child is on its way when things are counted */
static void put_probe(const struct fixture *f)
{
    static const char script[] = "#!/bin/sh\nexit 0\n";
    _cleanup_free_ char *path = xasprintf("%s/picket-probe", f->dir);

    assert_int_equal(file_write_atomic(path, script, strlen(script), 0700, NULL), 0);
}

static void test_days_go_by_and_nothing_grows(void **state)
{
    struct fixture *f = *state;
    struct soak s = {.f = f, .set_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
    const char *env = getenv("PICKET_SOAK_DAYS");
    struct level first, last;
    uint64_t days = DAYS;

    if (env)
        assert_int_equal(parse_u64(env, &days), 0);
    fake_server_set_ttl(f->a, TTL_SEC * (int64_t)SEC);
    start(f);
    put_probe(f);
    start_allocs(f);
    allocs_start(f->allocs, true);
    s.clocks = clocks_new(&(struct clocks_opts){.loop = f->loop,
                                                .set_fd = s.set_fd,
                                                .on_event = on_clock_event,
                                                .on_pause = on_pause,
                                                .arg = &s});
    go_on(&s, 600 * SEC);
    day(&s); /* tables, rings and pools fill */
    first = level_now(&s);
    for (uint64_t i = 1; i < days; i++)
        day(&s);
    last = level_now(&s);
    print_message("%llu days: %zu -> %zu bytes, %zu -> %zu descriptors, %zu -> %zu timers, "
                  "%zu late beats explained\n",
                  (unsigned long long)days, first.memory, last.memory, first.descriptors,
                  last.descriptors, first.timers, last.timers, s.late);
    assert_true(last.memory <= first.memory + 4096);
    assert_int_equal(last.descriptors, first.descriptors);
    assert_in_range(last.timers, 1, first.timers + 1);
    assert_true(s.late > 0);
    s.clocks = clocks_free(s.clocks);
    (void)close(s.set_fd);
}

/* Chunks that malloc keeps for each size count as used: without them the figure is what we hold. */
static void exact_malloc(char **argv)
{
    if (getenv("GLIBC_TUNABLES") || on_valgrind()) /* where /proc/self/exe is valgrind */
        return;
    (void)setenv("GLIBC_TUNABLES", "glibc.malloc.tcache_count=0:glibc.malloc.mxfast=0", 1);
    (void)execv("/proc/self/exe", argv);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(test_days_go_by_and_nothing_grows),
    };

    (void)argc;
    exact_malloc(argv);
    loop_block_signals();
    return cmocka_run_group_tests_name("agent/soak", tests, NULL, NULL);
}
