/* Statistics of the host: figures out of /proc, disks out of a child, when they are fresh, and what
 * happens when a disk does not answer. */
#include "agent/stats.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/str.h"
#include "codec/mp.h"

struct bed {
    struct loop *loop;
    char *dir, *probe;
    struct stats *stats;
    struct stats_wait wait;
    unsigned woken;
};

/* --- a host of files --- */

static void put(const struct bed *b, const char *name, const void *p, size_t n)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", b->dir, name);
    struct err e = {0};

    assert_int_equal(file_write_atomic(path, p, n, 0600, &e), 0);
}

static void put_text(const struct bed *b, const char *name, const char *text)
{
    put(b, name, text, strlen(text));
}

static void put_disk(struct buf *out, const char *device, const char *point, uint64_t used)
{
    struct host_disk_stats d = {.device = (char *)(uintptr_t)device,
                                .mountpoint = (char *)(uintptr_t)point,
                                .size = 1000,
                                .used = used,
                                .available = 1000 - used,
                                .used_percent = (double)used / 10};

    mp_encode(out, &desc_host_disk_stats, &d);
}

/* a picket-probe that counts its starts, shows a file, and then does as it is told */
static void put_probe(const struct bed *b, const char *then)
{
    _cleanup_free_ char *text =
        xasprintf("#!/bin/sh\n[ \"$1 $2 $3 $4\" = '-root %s -disks /alloc' ] || exit 9\n"
                  "echo x >> '%s/starts'\ncat '%s/disks'\n%s\n",
                  b->dir, b->dir, b->dir, then);
    struct err e = {0};

    assert_int_equal(file_write_atomic(b->probe, text, strlen(text), 0700, &e), 0);
}

static unsigned starts(const struct bed *b)
{
    _cleanup_free_ char *path = xasprintf("%s/starts", b->dir), *text = NULL;
    unsigned n = 0;

    if (file_read(path, 4096, &text, NULL) < 0)
        return 0;
    for (const char *p = text; *p; p++)
        n += *p == 'x';
    return n;
}

#define STAT_1                                                                                     \
    "cpu  30 0 30 140 0 0 0 0 0 0\n"                                                               \
    "cpu0 10 0 10 80 0 0 0 0 0 0\ncpu1 20 0 20 60 0 0 0 0 0 0\nintr 1\n"
/* cpu0: 25 user (5 of them nice), 10 system, 50 idle, 15 for the disk; cpu1: nothing passed */
#define STAT_2                                                                                     \
    "cpu  0\n"                                                                                     \
    "cpu0 30 5 20 130 15 0 0 0 7 0\ncpu1 20 0 20 60 0 0 0 0 0 0\nintr 1\n"

static const char meminfo[] = "MemTotal:       10000 kB\nMemFree:         4000 kB\n"
                              "MemAvailable:    7000 kB\nBuffers:          500 kB\n"
                              "Cached:          1500 kB\nSReclaimable:     250 kB\n"
                              "SReclaimableX:      1 kB\n";

static void put_usual_disks(const struct bed *b)
{
    _cleanup_buf_ struct buf out = BUF_INIT(4096);

    put_disk(&out, "/dev/a", "/", 100);
    put_disk(&out, "/dev/b", "/data", 200);
    put_disk(&out, "", "", 300);
    put(b, "disks", out.p, out.len);
}

static void open_stats(struct bed *b)
{
    b->stats = stats_new(&(struct stats_opts){
        .loop = b->loop, .probe_path = b->probe, .alloc_dir = "/alloc", .root = b->dir});
    stats_set_compute(b->stats, 4000);
}

static void on_ready(void *arg)
{
    ((struct bed *)arg)->woken++;
}

static int setup(void **state)
{
    struct bed *b = xnew0(struct bed);
    const char *tmp = getenv("TMPDIR");
    _cleanup_free_ char *proc = NULL;

    b->dir = xasprintf("%s/stats-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(b->dir) || loop_new(&b->loop) < 0)
        return -1;
    b->probe = xasprintf("%s/picket-probe", b->dir);
    proc = xasprintf("%s/proc", b->dir);
    (void)mkdir(proc, 0700);
    clock_fake(true, UINT64_C(1) << 60, INT64_C(1800000000) * (int64_t)NSEC_PER_SEC);
    put_text(b, "proc/stat", STAT_1);
    put_text(b, "proc/meminfo", meminfo);
    put_usual_disks(b);
    put_probe(b, "exit 0");
    open_stats(b);
    b->wait = (struct stats_wait){.fn = on_ready, .arg = b};
    *state = b;
    return 0;
}

static int teardown(void **state)
{
    static const char *const files[] = {"proc/stat", "proc/meminfo", "disks", "picket-probe",
                                        "starts",    "proc",         ""};
    struct bed *b = *state;

    b->stats = stats_free(b->stats);
    for (int i = 0; i < 20; i++)
        (void)!loop_turn(b->loop, NSEC_PER_MSEC);
    (void)loop_free(b->loop);
    clock_fake(false, 0, 0);
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        _cleanup_free_ char *path = xasprintf("%s/%s", b->dir, files[i]);

        (void)remove(path);
    }
    free(b->dir);
    free(b->probe);
    free(b);
    return 0;
}

static void turn(struct bed *b, uint64_t ns)
{
    assert_int_equal(loop_turn(b->loop, ns), 0);
}

/* until it is told that figures are there; children take real time */
static void wait_woken(struct bed *b, unsigned n)
{
    (void)alarm(60);
    while (b->woken < n)
        turn(b, 100 * NSEC_PER_MSEC);
    (void)alarm(0);
}

static const struct host_stats *get_now(struct bed *b)
{
    const struct host_stats *s = NULL;

    assert_int_equal(stats_get(b->stats, &b->wait, &s), 0);
    return s;
}

static const struct host_stats *get_later(struct bed *b)
{
    const struct host_stats *s = NULL;

    assert_int_equal(stats_get(b->stats, &b->wait, &s), -EINPROGRESS);
    wait_woken(b, b->woken + 1);
    return get_now(b);
}

/* --- tests --- */

static void assert_near(double a, double expected)
{
    if (a < expected - 1e-9 || a > expected + 1e-9)
        fail_msg("%.12f instead of %.12f", a, expected);
}

static void test_cpu_is_what_passed_since_the_last_sample(void **state)
{
    struct bed *b = *state;
    const struct host_stats *s;

    put_text(b, "proc/stat", STAT_2);
    s = get_later(b);
    assert_int_equal(s->n_cpu, 2);
    assert_string_equal(s->cpu[0].cpu, "cpu0");
    assert_near(s->cpu[0].user, 20.0);
    assert_near(s->cpu[0].system, 10.0);
    assert_near(s->cpu[0].idle, 50.0);
    assert_near(s->cpu[0].total, 50.0);
    assert_near(s->cpu[0].total_percent, 50.0);
    assert_near(s->cpu[0].total_ticks, 1000.0); /* half of 2000 MHz */
    assert_near(s->cpu[1].idle, 100.0);         /* nothing passed: idle, as Nomad has it */
    assert_near(s->cpu[1].total_ticks, 0);
    assert_near(s->cpu_ticks_consumed, 1000.0);
}

static void test_memory_and_times(void **state)
{
    struct bed *b = *state;
    const struct host_stats *s = get_later(b);

    assert_int_equal(s->memory->total, 10000 * KIB);
    assert_int_equal(s->memory->free, 4000 * KIB);
    assert_int_equal(s->memory->available, 7000 * KIB);
    assert_int_equal(s->memory->used, (10000 - 4000 - 500 - 1500 - 250) * KIB);
    assert_int_equal(s->timestamp, clock_wall_ns());
    assert_int_equal(s->uptime, clock_boot_ns() / NSEC_PER_SEC);
    assert_null(s->device_stats.p);
}

static void test_disks_come_from_the_child(void **state)
{
    struct bed *b = *state;
    const struct host_stats *s = get_later(b);

    assert_int_equal(s->n_disk_stats, 2);
    assert_string_equal(s->disk_stats[0].device, "/dev/a");
    assert_string_equal(s->disk_stats[1].mountpoint, "/data");
    assert_int_equal(s->disk_stats[1].used, 200);
    assert_true(str_empty(s->alloc_dir_stats->device));
    assert_int_equal(s->alloc_dir_stats->used, 300);
    assert_string_equal(stats_problem(b->stats), "");
}

static void test_figures_are_kept_for_a_moment(void **state)
{
    struct bed *b = *state;

    (void)get_later(b);
    (void)get_now(b);
    clock_fake_advance(2 * NSEC_PER_SEC); /* new figures, the disks as they were */
    assert_int_equal(get_now(b)->timestamp, clock_wall_ns());
    assert_int_equal(starts(b), 1);
    clock_fake_advance(6 * NSEC_PER_SEC);
    (void)get_later(b);
    assert_int_equal(starts(b), 2);
}

static void test_many_who_ask_share_one_collection(void **state)
{
    struct bed *b = *state;
    struct stats_wait second = {.fn = on_ready, .arg = b}, third = {.fn = on_ready, .arg = b};
    const struct host_stats *s;

    assert_int_equal(stats_get(b->stats, &b->wait, &s), -EINPROGRESS);
    assert_int_equal(stats_get(b->stats, &second, &s), -EINPROGRESS);
    assert_int_equal(stats_get(b->stats, &third, &s), -EINPROGRESS);
    stats_cancel(&second);
    wait_woken(b, 2);
    for (int i = 0; i < 20; i++)
        turn(b, NSEC_PER_MSEC);
    assert_int_equal(b->woken, 2); /* the one that went is not told */
    assert_int_equal(starts(b), 1);
}

static void test_old_sample_is_replaced_by_a_new_pair(void **state)
{
    struct bed *b = *state;
    const struct host_stats *s;

    (void)get_later(b);
    clock_fake_advance(3600 * NSEC_PER_SEC);
    put_text(b, "proc/stat", "cpu0 1000 0 1000 9000 0 0 0 0 0 0\n");
    assert_int_equal(stats_get(b->stats, &b->wait, &s), -EINPROGRESS);
    put_text(b, "proc/stat", "cpu0 1010 0 1030 9060 0 0 0 0 0 0\n");
    assert_int_equal(loop_next_timer(b->loop) - clock_boot_ns(), 500 * NSEC_PER_MSEC);
    clock_fake_advance(500 * NSEC_PER_MSEC);
    (void)loop_run_due(b->loop);
    wait_woken(b, 2);
    s = get_now(b);
    assert_int_equal(s->n_cpu, 1);
    assert_near(s->cpu[0].user, 10.0); /* of the half second, not of the hour */
    assert_near(s->cpu[0].system, 30.0);
    assert_near(s->cpu[0].total_ticks, 1600.0); /* one core is all there is now */
}

static void test_nothing_happens_while_nobody_asks(void **state)
{
    struct bed *b = *state;

    assert_true(loop_next_timer(b->loop) == UINT64_MAX);
    (void)get_later(b);
    clock_fake_advance(3600 * NSEC_PER_SEC);
    (void)loop_run_due(b->loop);
    assert_true(loop_next_timer(b->loop) == UINT64_MAX);
    assert_int_equal(starts(b), 1);
}

/* what came before it is new, what did not answer keeps its values */
static void test_disk_that_hangs_keeps_its_last_values(void **state)
{
    struct bed *b = *state;
    _cleanup_buf_ struct buf out = BUF_INIT(4096);
    const struct host_stats *s = get_later(b);

    put_disk(&out, "/dev/a", "/", 111);
    put(b, "disks", out.p, out.len);
    put_probe(b, "exec sleep 1000");
    clock_fake_advance(10 * NSEC_PER_SEC);
    assert_int_equal(stats_get(b->stats, &b->wait, &s), -EINPROGRESS);
    (void)alarm(60);
    while (starts(b) < 2) /* it has begun: sees the file before its time is up */
        turn(b, 10 * NSEC_PER_MSEC);
    for (int i = 0; i < 50; i++)
        turn(b, 10 * NSEC_PER_MSEC);
    while (b->woken < 2) {
        clock_fake_advance(NSEC_PER_SEC / 4);
        (void)loop_run_due(b->loop);
        turn(b, 10 * NSEC_PER_MSEC);
    }
    (void)alarm(0);
    s = get_now(b);
    assert_int_equal(s->n_disk_stats, 2);
    assert_string_equal(s->disk_stats[0].device, "/dev/a");
    assert_int_equal(s->disk_stats[0].used, 111);
    assert_int_equal(s->disk_stats[1].used, 200);
    assert_int_equal(s->alloc_dir_stats->used, 300);
    assert_true(*stats_problem(b->stats));
}

static void test_child_that_cannot_run_costs_the_disks_only(void **state)
{
    struct bed *b = *state;
    const struct host_stats *s = NULL;

    (void)unlink(b->probe);
    if (stats_get(b->stats, &b->wait, &s) == -EINPROGRESS) {
        wait_woken(b, 1);
        s = get_now(b);
    }
    assert_int_equal(s->n_disk_stats, 0);
    assert_non_null(s->disk_stats);
    assert_int_equal(s->alloc_dir_stats->size, 0);
    assert_int_equal(s->memory->total, 10000 * KIB);
    assert_true(*stats_problem(b->stats));
}

static void test_garbage_is_no_figure(void **state)
{
    struct bed *b = *state;
    const struct host_stats *s;

    put_text(b, "proc/stat", "cpu0\ncpuX 1 2 3\ncpu1 a b c d\ncpu999999999999999999 1 1 1 1\n");
    put_text(b, "proc/meminfo", "MemTotal: lots\nMemFree\nMemAvailable: 99999999999999999999 kB\n");
    put_text(b, "disks", "this is no msgpack");
    s = get_later(b);
    assert_true(s->n_cpu <= 2);
    assert_near(s->cpu_ticks_consumed, 0);
    assert_int_equal(s->memory->total, 0);
    assert_int_equal(s->n_disk_stats, 0);
    (void)unlink("proc/stat");
}

/* metrics want what is known now, and newer disks the next time */
static void test_last_figures_never_wait(void **state)
{
    struct bed *b = *state;
    const struct host_stats *s = stats_last(b->stats);

    assert_int_equal(s->n_cpu, 2);
    assert_int_equal(s->memory->total, 10000 * KIB);
    assert_int_equal(s->n_disk_stats, 0);
    (void)alarm(60);
    while (stats_last(b->stats)->n_disk_stats == 0)
        turn(b, 10 * NSEC_PER_MSEC);
    (void)alarm(0);
    assert_int_equal(stats_last(b->stats)->n_disk_stats, 2);
}

static void test_ending_while_somebody_waits(void **state)
{
    struct bed *b = *state;
    const struct host_stats *s;

    put_probe(b, "exec sleep 1000");
    assert_int_equal(stats_get(b->stats, &b->wait, &s), -EINPROGRESS);
    b->stats = stats_free(b->stats);
    stats_cancel(&b->wait); /* harmless */
    assert_int_equal(b->woken, 0);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_cpu_is_what_passed_since_the_last_sample),
        TEST(test_memory_and_times),
        TEST(test_disks_come_from_the_child),
        TEST(test_figures_are_kept_for_a_moment),
        TEST(test_many_who_ask_share_one_collection),
        TEST(test_old_sample_is_replaced_by_a_new_pair),
        TEST(test_nothing_happens_while_nobody_asks),
        TEST(test_disk_that_hangs_keeps_its_last_values),
        TEST(test_child_that_cannot_run_costs_the_disks_only),
        TEST(test_garbage_is_no_figure),
        TEST(test_last_figures_never_wait),
        TEST(test_ending_while_somebody_waits),
    };

    loop_block_signals();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
