/* Rounds of probes against small shell scripts in the place of picket-probe.  A script finds the
 * record of row NAME in $D/NAME.rec and a count of its starts in $D/starts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/parse.h"
#include "base/vec.h"
#include "codec/mp.h"
#include "fingerprint/run.h"
#include "tests/support/hold.h"
#include "tests/support/probe_ctx.h"
#include "tests/support/valgrind.h"

#define LONG_NS (30 * NSEC_PER_SEC) /* more than anything here takes on a busy machine */

enum { ROWS_MAX = 8, SHORT_MS = 400, LONG_MS = 20000 };

struct world {
    struct loop *loop;
    char *folder; /* also $D of the scripts */
    char *script;
    struct probe rows[ROWS_MAX];
    const struct probe *row_ptrs[ROWS_MAX];
    size_t n;
    struct probe_conf conf, conf2;
    struct probe_run *run;
    size_t changes[ROWS_MAX]; /* per row */
    int firsts;
};

static struct world *world_of(void **state)
{
    return *state;
}

static int setup(void **state)
{
    struct world *w = xnew0(struct world);

    loop_block_signals();
    assert_int_equal(loop_new(&w->loop), 0);
    w->folder = probe_root();
    w->script = xasprintf("%s/probe", w->folder);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    (void)probe_run_free(w->run);
    w->loop = loop_free(w->loop);
    ops_clear(&desc_probe_conf, &w->conf);
    ops_clear(&desc_probe_conf, &w->conf2);
    free(w->folder);
    free(w->script);
    free(w);
    return 0;
}

/* --- building --- */

static int no_run(struct probe_ctx *ctx, struct fp *fp)
{
    (void)ctx;
    (void)fp;
    return 0;
}

static void add_row(struct world *w, const char *name, enum probe_class class, unsigned ms,
                    unsigned period_sec)
{
    struct probe p = {.name = name,
                      .summary = "",
                      .class = class,
                      .deadline_ms = ms,
                      .period_sec = period_sec,
                      .run = no_run};

    w->rows[w->n] = p;
    w->row_ptrs[w->n] = &w->rows[w->n];
    w->n++;
}

/* appends a record to a file of the world */
static void put_record(struct world *w, const char *file, const struct fp *fp)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", w->folder, file), *old = NULL;
    _cleanup_buf_ struct buf b = BUF_INIT(PROBE_OUTPUT_MAX);
    size_t n = 0;

    if (file_read(path, PROBE_OUTPUT_MAX, &old, &n) == 0)
        buf_add(&b, old, n);
    fp_write_record(&b, fp);
    assert_int_equal(buf_ok(&b), 0);
    assert_int_equal(file_write_atomic(path, b.p, b.len, 0644, NULL), 0);
}

/* a good result of a row with the attribute NAME.value = value */
static void put_good(struct world *w, const char *name, const char *value)
{
    _cleanup_free_ char *file = xasprintf("%s.rec", name), *key = xasprintf("%s.value", name);
    _cleanup_free_ char *path = xasprintf("%s/%s", w->folder, file);
    _cleanup_fp_ struct fp *fp = fp_new(name);

    (void)unlink(path);
    fp_set(fp, key, value, "test");
    fp->took_us = 42;
    put_record(w, file, fp);
}

/* body runs with D set, the names of the rows as arguments and each start counted */
static void put_script(struct world *w, const char *body)
{
    _cleanup_free_ char *text = xasprintf("#!/bin/sh\n"
                                          "D='%s'\n"
                                          "echo start >>$D/starts\n"
                                          "[ \"$1 $2\" = '-conf -' ] || exit 99\n"
                                          "shift 2\n"
                                          "%s\n",
                                          w->folder, body);

    assert_int_equal(file_write_atomic(w->script, text, strlen(text), 0755, NULL), 0);
}

static size_t starts(struct world *w)
{
    _cleanup_free_ char *path = xasprintf("%s/starts", w->folder), *text = NULL;
    size_t n = 0;

    if (file_read(path, 65536, &text, NULL) == 0)
        for (const char *p = text; (p = strchr(p, '\n')); p++)
            n++;
    return n;
}

/* --- running --- */

static void on_change(void *arg, const struct probe_status *st)
{
    struct world *w = arg;

    for (size_t i = 0; i < w->n; i++)
        if (str_eq(w->rows[i].name, st->name))
            w->changes[i]++;
}

static void on_first(void *arg)
{
    struct world *w = arg;

    w->firsts++;
}

static void start(struct world *w)
{
    struct probe_run_opts o = {.loop = w->loop,
                               .probe_path = w->script,
                               .rows = w->row_ptrs,
                               .n_rows = w->n,
                               .conf = &w->conf,
                               .on_change = on_change,
                               .on_first = on_first,
                               .arg = w};

    w->run = probe_run_new(&o);
    w->firsts = 0;
    probe_run_start(w->run);
}

static void turn_for(struct world *w, uint64_t ns)
{
    uint64_t end = clock_boot_ns() + ns;

    while (clock_boot_ns() < end)
        assert_int_equal(loop_turn(w->loop, 10 * NSEC_PER_MSEC), 0);
}

static void turn_until_first(struct world *w)
{
    uint64_t end = clock_boot_ns() + LONG_NS;

    while (w->firsts == 0 && clock_boot_ns() < end)
        assert_int_equal(loop_turn(w->loop, 20 * NSEC_PER_MSEC), 0);
    assert_int_equal(w->firsts, 1);
}

static void turn_until_changes(struct world *w, size_t row, size_t n)
{
    uint64_t end = clock_boot_ns() + LONG_NS;

    while (w->changes[row] < n && clock_boot_ns() < end)
        assert_int_equal(loop_turn(w->loop, 20 * NSEC_PER_MSEC), 0);
    assert_true(w->changes[row] >= n);
}

static void first_round(struct world *w)
{
    start(w);
    turn_until_first(w);
}

/* --- looking --- */

static void check(struct world *w, size_t i, enum probe_state state, const char *value,
                  const char *reason)
{
    _cleanup_free_ char *key = xasprintf("%s.value", w->rows[i].name);
    struct probe_status st;

    probe_run_status(w->run, i, &st);
    assert_string_equal(st.name, w->rows[i].name);
    if (st.state != state || !strstr(st.reason, reason))
        fail_msg("%s: %s, \"%s\"; expected %s, \"%s\"", st.name, probe_state_name(st.state),
                 st.reason, probe_state_name(state), reason);
    if (!*reason)
        assert_string_equal(st.reason, "");
    if (!value) {
        assert_null(st.fp);
        return;
    }
    assert_non_null(st.fp);
    assert_string_equal(str_or_empty(strmap_get(&st.fp->attributes, key)), value);
    assert_int_equal(st.stale, state != PROBE_GOOD);
}

static void three_rows(struct world *w, enum probe_class class)
{
    add_row(w, "a", class, LONG_MS, 0);
    add_row(w, "b", class, LONG_MS, 0);
    add_row(w, "c", class, LONG_MS, 0);
    put_good(w, "a", "1");
    put_good(w, "b", "2");
    put_good(w, "c", "3");
}

#define CAT_ALL "for n; do cat $D/$n.rec; done"

/* --- rounds that go well --- */

static void test_run_fast_rows_share_a_child(void **state)
{
    struct world *w = world_of(state);
    struct probe_status st;

    three_rows(w, PROBE_FAST);
    put_script(w, CAT_ALL);
    first_round(w);
    check(w, 0, PROBE_GOOD, "1", "");
    check(w, 1, PROBE_GOOD, "2", "");
    check(w, 2, PROBE_GOOD, "3", "");
    assert_int_equal(starts(w), 1);
    probe_run_status(w->run, 0, &st);
    assert_int_equal(st.took_us, 42);
    assert_true(st.fp_at_ns >= st.tried_at_ns);
}

static void test_run_slow_rows_have_children_of_their_own(void **state)
{
    struct world *w = world_of(state);

    three_rows(w, PROBE_SLOW);
    put_script(w, "[ $# = 1 ] || exit 98; " CAT_ALL);
    first_round(w);
    check(w, 0, PROBE_GOOD, "1", "");
    check(w, 2, PROBE_GOOD, "3", "");
    assert_int_equal(starts(w), 3);
}

static void test_run_passes_the_configuration(void **state)
{
    struct world *w = world_of(state);
    _cleanup_free_ char *path = xasprintf("%s/conf", w->folder), *text = NULL;
    struct probe_conf got = {0};
    size_t n;
    struct err e;

    add_row(w, "a", PROBE_FAST, LONG_MS, 0);
    put_good(w, "a", "1");
    put_script(w, "cat >$D/conf; " CAT_ALL);
    w->conf.alloc_dir = xstrdup("/one");
    w->conf2.alloc_dir = xstrdup("/two");
    first_round(w);
    probe_run_set_conf(w->run, &w->conf2);
    turn_until_changes(w, 0, 2);
    assert_int_equal(starts(w), 2);
    assert_int_equal(file_read(path, 65536, &text, &n), 0);
    assert_int_equal(mp_decode(&desc_probe_conf, text, n, &got, &e), 0);
    assert_string_equal(got.alloc_dir, "/two");
    ops_clear(&desc_probe_conf, &got);
    assert_int_equal(w->firsts, 1);
}

static void test_run_new_configuration_while_running_runs_again(void **state)
{
    struct world *w = world_of(state);

    add_row(w, "a", PROBE_SLOW, LONG_MS, 0);
    put_good(w, "a", "1");
    put_script(w, "sleep 0.3; " CAT_ALL);
    start(w);
    turn_for(w, 100 * NSEC_PER_MSEC);
    probe_run_set_conf(w->run, &w->conf2);
    turn_until_changes(w, 0, 2);
    assert_int_equal(starts(w), 2);
}

static void test_run_refuses_a_configuration_that_is_too_large(void **state)
{
    struct world *w = world_of(state);

    add_row(w, "a", PROBE_FAST, LONG_MS, 0);
    put_script(w, CAT_ALL);
    w->conf.alloc_dir = xcalloc(1, 100 * 1024);
    memset(w->conf.alloc_dir, 'x', 100 * 1024 - 1);
    first_round(w);
    check(w, 0, PROBE_FAILED, NULL, "longer than 65536 bytes");
    assert_int_equal(starts(w), 0);
}

static void test_run_repeats_rows_with_a_period_only(void **state)
{
    struct world *w = world_of(state);

    add_row(w, "a", PROBE_FAST, LONG_MS, 1);
    add_row(w, "b", PROBE_FAST, LONG_MS, 0);
    put_good(w, "a", "1");
    put_good(w, "b", "2");
    put_script(w, CAT_ALL);
    first_round(w);
    put_good(w, "a", "new");
    turn_until_changes(w, 0, 3);
    check(w, 0, PROBE_GOOD, "new", "");
    assert_int_equal(w->changes[1], 1);
    assert_int_equal(w->firsts, 1);
}

/* --- rows that fail --- */

static void test_run_probe_that_reports_an_error(void **state)
{
    struct world *w = world_of(state);
    _cleanup_fp_ struct fp *fp = fp_new("a");

    add_row(w, "a", PROBE_FAST, LONG_MS, 0);
    (void)fp_fail(fp, -ENOENT, "cannot read /proc/x");
    put_record(w, "a.rec", fp);
    put_script(w, CAT_ALL);
    first_round(w);
    check(w, 0, PROBE_FAILED, NULL, "cannot read /proc/x: No such file or directory");
}

static void test_run_crash_takes_one_row_only(void **state)
{
    struct world *w = world_of(state);

    three_rows(w, PROBE_FAST);
    put_script(w, "f() { f; }; for n; do [ $n = b ] && { ulimit -s 128; f; }; cat $D/$n.rec; done");
    first_round(w);
    check(w, 0, PROBE_GOOD, "1", "");
    check(w, 1, PROBE_FAILED, NULL, "crashed with SIGSEGV");
    check(w, 2, PROBE_GOOD, "3", "");
    assert_int_equal(starts(w), 2);
}

static void test_run_exit_status_and_last_words(void **state)
{
    struct world *w = world_of(state);

    three_rows(w, PROBE_FAST);
    put_script(w, "for n; do [ $n = a ] && { echo one >&2; echo out of cheese >&2; exit 3; };"
                  " cat $D/$n.rec; done");
    first_round(w);
    check(w, 0, PROBE_FAILED, NULL, "ended with exit status 3; last step: out of cheese");
    check(w, 1, PROBE_GOOD, "2", "");
}

static void test_run_end_without_an_answer(void **state)
{
    struct world *w = world_of(state);

    add_row(w, "a", PROBE_SLOW, LONG_MS, 0);
    put_script(w, "exit 0");
    first_round(w);
    check(w, 0, PROBE_FAILED, NULL, "ended without an answer");
}

/* what shells and handlers of abort() say of a signal */
static void test_run_exit_status_that_stands_for_a_signal(void **state)
{
    struct world *w = world_of(state);

    three_rows(w, PROBE_SLOW);
    put_script(w, "case $1 in a) exit 134;; b) exit 137;; c) exit 255;; esac");
    first_round(w);
    check(w, 0, PROBE_FAILED, NULL, "crashed with SIGABRT");
    check(w, 1, PROBE_FAILED, NULL, "was killed with SIGKILL by somebody else");
    check(w, 2, PROBE_FAILED, NULL, "ended with exit status 255");
}

static void test_run_two_bad_rows_in_a_row(void **state)
{
    struct world *w = world_of(state);

    three_rows(w, PROBE_FAST);
    add_row(w, "d", PROBE_FAST, LONG_MS, 0);
    put_good(w, "d", "4");
    put_script(w, "for n; do case $n in a|b) exit 3;; esac; cat $D/$n.rec; done");
    first_round(w);
    check(w, 0, PROBE_FAILED, NULL, "ended with exit status 3");
    check(w, 1, PROBE_FAILED, NULL, "ended with exit status 3");
    check(w, 2, PROBE_GOOD, "3", "");
    check(w, 3, PROBE_GOOD, "4", "");
}

/* no value of a reason may break a reader of JSON or of a terminal */
static void test_run_words_that_are_no_text(void **state)
{
    struct world *w = world_of(state);

    add_row(w, "a", PROBE_SLOW, LONG_MS, 0);
    put_script(w, "printf 'a\\033[31m\\377b\\n' >&2; exit 3");
    first_round(w);
    check(w, 0, PROBE_FAILED, NULL, "last step: a?[31m?b");
}

static void test_run_missing_program(void **state)
{
    struct world *w = world_of(state);

    three_rows(w, PROBE_FAST);
    add_row(w, "d", PROBE_SLOW, LONG_MS, 0);
    first_round(w);
    check(w, 0, PROBE_FAILED, NULL, "the program for probes is gone");
    check(w, 0, PROBE_FAILED, NULL, "No such file or directory");
    check(w, 2, PROBE_FAILED, NULL, "the program for probes is gone");
    check(w, 3, PROBE_FAILED, NULL, "the program for probes is gone");
}

static void test_run_program_that_comes_back_is_noticed(void **state)
{
    struct world *w = world_of(state);

    three_rows(w, PROBE_FAST);
    first_round(w);
    check(w, 2, PROBE_FAILED, NULL, "the program for probes is gone");
    put_script(w, CAT_ALL);
    for (size_t i = 0; i < 3; i++)
        turn_until_changes(w, i, w->changes[i] + 1);
    check(w, 0, PROBE_GOOD, "1", "");
    check(w, 2, PROBE_GOOD, "3", "");
}

static void test_run_program_for_another_machine(void **state)
{
    struct world *w = world_of(state);

    add_row(w, "a", PROBE_FAST, LONG_MS, 0);
    assert_int_equal(file_write_atomic(w->script, "\177ELFx", 5, 0755, NULL), 0);
    first_round(w);
    check(w, 0, PROBE_FAILED, NULL, "damaged or made for another machine");
    check(w, 0, PROBE_FAILED, NULL, "Exec format error");
}

static void test_run_program_that_cannot_be_executed(void **state)
{
    struct world *w = world_of(state);

    add_row(w, "a", PROBE_FAST, LONG_MS, 0);
    assert_int_equal(file_write_atomic(w->script, "x", 1, 0644, NULL), 0);
    first_round(w);
    check(w, 0, PROBE_FAILED, NULL, "may not be executed");
    check(w, 0, PROBE_FAILED, NULL, "Permission denied");
}

static void test_run_text_instead_of_records(void **state)
{
    struct world *w = world_of(state);

    three_rows(w, PROBE_FAST);
    put_script(w, "echo hello world; sleep 60");
    first_round(w);
    check(w, 0, PROBE_FAILED, NULL, "sent garbage");
    check(w, 1, PROBE_FAILED, NULL, "sent garbage");
    check(w, 2, PROBE_FAILED, NULL, "sent garbage");
    assert_int_equal(starts(w), 3);
}

static void test_run_garbage_inside_a_record(void **state)
{
    struct world *w = world_of(state);

    three_rows(w, PROBE_FAST);
    put_script(w, "for n; do if [ $n = b ]; then printf '\\0\\0\\0\\003abc'; else cat $D/$n.rec;"
                  " fi; done; sleep 60");
    first_round(w);
    check(w, 0, PROBE_GOOD, "1", "");
    check(w, 1, PROBE_FAILED, NULL, "sent garbage");
    check(w, 2, PROBE_GOOD, "3", "");
}

static void test_run_answer_of_another_row(void **state)
{
    struct world *w = world_of(state);

    add_row(w, "a", PROBE_SLOW, LONG_MS, 0);
    put_good(w, "b", "2");
    put_script(w, "cat $D/b.rec");
    first_round(w);
    check(w, 0, PROBE_FAILED, NULL, "an answer of \"b\" that nobody asked for");
}

static void test_run_record_cut_short(void **state)
{
    struct world *w = world_of(state);

    add_row(w, "a", PROBE_SLOW, LONG_MS, 0);
    put_good(w, "a", "1");
    put_script(w, "head -c 20 $D/a.rec");
    first_round(w);
    check(w, 0, PROBE_FAILED, NULL, "ended without an answer");
}

static void test_run_too_much_output(void **state)
{
    struct world *w = world_of(state);
    _cleanup_fp_ struct fp *fp = fp_new("a");
    _cleanup_free_ char *value = xcalloc(1, 500001);

    add_row(w, "a", PROBE_SLOW, LONG_MS, 0);
    memset(value, 'x', 500000);
    fp_set(fp, "a.value", value, "test");
    w->rows[0].output_kb = 64;
    put_record(w, "a.rec", fp);
    put_script(w, CAT_ALL);
    first_round(w);
    check(w, 0, PROBE_FAILED, NULL, "wrote more than 65536 bytes");
}

/* the sum of the rows' ceilings */
static void test_run_ceiling_on_the_output_of_a_shared_child(void **state)
{
    struct world *w = world_of(state);

    add_row(w, "a", PROBE_FAST, LONG_MS, 0);
    add_row(w, "b", PROBE_FAST, LONG_MS, 0);
    w->rows[0].output_kb = 1;
    w->rows[1].output_kb = 3;
    put_script(w, "printf '\\0\\001\\0\\0'; head -c 4092 /dev/zero; sleep 0.1; echo; sleep 60");
    first_round(w);
    check(w, 0, PROBE_FAILED, NULL, "wrote more than 4096 bytes");
    check(w, 1, PROBE_FAILED, NULL, "wrote more than 3072 bytes");
}

static void test_run_ceiling_on_memory(void **state)
{
    struct world *w = world_of(state);

    if (probe_memory_max(1) == 0)
        skip(); /* a sanitizer */
    three_rows(w, PROBE_FAST);
    w->rows[1].memory_mb = 300; /* the highest counts */
    add_row(w, "d", PROBE_SLOW, LONG_MS, 0);
    put_good(w, "d", "4");
    w->rows[3].memory_mb = 64;
    put_script(w, "case $1 in a) m=307200;; *) m=65536;; esac;"
                  " [ $(ulimit -v) = $m ] || exit 3; " CAT_ALL);
    first_round(w);
    check(w, 0, PROBE_GOOD, "1", "");
    check(w, 3, PROBE_GOOD, "4", "");
}

static void test_run_want_of_memory_is_named(void **state)
{
    struct world *w = world_of(state);
    _cleanup_fp_ struct fp *fp = fp_new("b");

    three_rows(w, PROBE_SLOW);
    (void)fp_fail(fp, -ENOMEM, "/proc/cpuinfo");
    {
        _cleanup_free_ char *path = xasprintf("%s/b.rec", w->folder);

        (void)unlink(path);
    }
    put_record(w, "b.rec", fp);
    put_script(w, "case $1 in a) echo stat /x >&2; echo out of memory >&2; exit 134;;"
                  " b) cat $D/b.rec;; c) echo out of memory >&2; exit 1;; esac");
    first_round(w);
    check(w, 0, PROBE_FAILED, NULL, "needs more than 128 MB of memory; last step: stat /x");
    check(w, 1, PROBE_FAILED, NULL,
          "needs more than 128 MB of memory: /proc/cpuinfo: Cannot allocate memory");
    check(w, 2, PROBE_FAILED, NULL, "needs more than 128 MB of memory");
}

static void test_run_record_that_claims_too_much(void **state)
{
    struct world *w = world_of(state);

    add_row(w, "a", PROBE_SLOW, LONG_MS, 0);
    put_script(w, "printf '\\001\\0\\0\\0'; sleep 60");
    first_round(w);
    check(w, 0, PROBE_FAILED, NULL, "a record of 16777216 bytes; at most 1048576 are allowed");
}

/* --- rows that take too long --- */

static void test_run_hanging_row_times_out(void **state)
{
    struct world *w = world_of(state);

    add_row(w, "a", PROBE_FAST, LONG_MS, 0);
    add_row(w, "b", PROBE_FAST, SHORT_MS, 0);
    add_row(w, "c", PROBE_FAST, LONG_MS, 0);
    add_row(w, "d", PROBE_SLOW, LONG_MS, 0);
    put_good(w, "a", "1");
    put_good(w, "c", "3");
    put_good(w, "d", "4");
    put_script(w, "for n; do [ $n = b ] && { echo stat /mnt/gone >&2; exec sleep 60; };"
                  " cat $D/$n.rec; done");
    first_round(w);
    check(w, 0, PROBE_GOOD, "1", "");
    check(w, 1, PROBE_TIMEOUT, NULL, "no answer within 400 ms; last step: stat /mnt/gone (state S");
    check(w, 2, PROBE_GOOD, "3", "");
    check(w, 3, PROBE_GOOD, "4", "");
}

/* nobody waits for a row that is late: not the rows behind it, nor who asks whether to */
static void test_run_late_row_does_not_hold_up_the_others(void **state)
{
    struct world *w = world_of(state);
    uint64_t end = clock_boot_ns() + LONG_NS;
    struct probe_status st = {0};

    three_rows(w, PROBE_FAST);
    put_script(w, "for n; do [ $n = b ] && while [ ! -e $D/go ]; do sleep 0.02; done;"
                  " cat $D/$n.rec; done");
    start(w);
    while (!st.late && clock_boot_ns() < end) {
        assert_int_equal(loop_turn(w->loop, 20 * NSEC_PER_MSEC), 0);
        probe_run_status(w->run, 1, &st);
    }
    assert_true(st.late);
    assert_int_equal(st.state, PROBE_NEVER);
    turn_until_changes(w, 1, 1); /* that it is late was told */
    turn_until_changes(w, 2, 1);
    check(w, 0, PROBE_GOOD, "1", "");
    check(w, 2, PROBE_GOOD, "3", "");
    assert_int_equal(w->firsts, 0);
    {
        _cleanup_free_ char *go = xasprintf("%s/go", w->folder);

        assert_int_equal(file_write_atomic(go, "", 0, 0644, NULL), 0);
    }
    turn_until_first(w);
    check(w, 1, PROBE_GOOD, "2", "");
    probe_run_status(w->run, 1, &st);
    assert_false(st.late);
    turn_for(w, 300 * NSEC_PER_MSEC);
    assert_int_equal(w->changes[2], 1); /* what its child said of the rows behind counts no more */
    assert_int_equal(starts(w), 2);
}

static void test_run_spinning_row_times_out(void **state)
{
    struct world *w = world_of(state);

    add_row(w, "a", PROBE_SLOW, SHORT_MS, 0);
    put_script(w, "while :; do :; done");
    first_round(w);
    check(w, 0, PROBE_TIMEOUT, NULL, "no answer within 400 ms (state R (running), on the CPU for ");
}

static void test_run_row_that_starts_many_processes_times_out(void **state)
{
    struct world *w = world_of(state);

    add_row(w, "a", PROBE_SLOW, 2000, 0);
    put_script(w, "i=0; while [ $i -lt 50 ]; do sleep 61 & i=$((i+1)); done; wait");
    first_round(w);
    check(w, 0, PROBE_TIMEOUT, NULL,
          "no answer within 2000 ms; over 10 processes that it has started (state ");
}

static void test_run_a_dead_program_does_not_use_up_every_deadline(void **state)
{
    struct world *w = world_of(state);
    uint64_t from = clock_boot_ns();

    for (size_t i = 0; i < 8; i++) {
        static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g", "h"};

        add_row(w, names[i], PROBE_FAST, 2000, 0);
    }
    put_script(w, "exec sleep 60");
    first_round(w);
    check(w, 0, PROBE_TIMEOUT, NULL, "no answer");
    check(w, 7, PROBE_TIMEOUT, NULL, "no answer");
    assert_true(clock_boot_ns() - from < 10 * NSEC_PER_SEC); /* not eight deadlines in a row */
}

static void test_run_keeps_the_last_good_result_as_stale(void **state)
{
    struct world *w = world_of(state);

    add_row(w, "a", PROBE_SLOW, SHORT_MS, 1);
    put_good(w, "a", "1");
    put_script(w, CAT_ALL);
    first_round(w);
    check(w, 0, PROBE_GOOD, "1", "");
    put_script(w, "exec sleep 60");
    turn_until_changes(w, 0, 2);
    check(w, 0, PROBE_TIMEOUT, "1", "no answer");
    put_good(w, "a", "2");
    put_script(w, CAT_ALL);
    turn_until_changes(w, 0, 3);
    check(w, 0, PROBE_GOOD, "2", "");
}

/* --- a row for each host volume --- */

enum { VOLUMES_MS = 1000 };

static void add_volume(struct probe_conf *c, const char *name, const char *path)
{
    struct probe_volume *v = vec_add(&c->volumes, &c->n_volumes);

    v->name = xstrdup(name);
    v->path = xstrdup(path);
}

/* "a" and volumes x, y, z, all of which answer; those of bad hang */
static void volumes_world(struct world *w, const char *bad)
{
    _cleanup_free_ char *script =
        xasprintf("for n; do case $n in %s) exec sleep 60;; esac; cat $D/$n.rec; done", bad);

    add_row(w, "a", PROBE_FAST, LONG_MS, 0);
    add_row(w, "v", PROBE_EACH, VOLUMES_MS, 0);
    add_volume(&w->conf, "x", "/x");
    add_volume(&w->conf, "y", "/y");
    add_volume(&w->conf, "z", "/z");
    put_good(w, "a", "1");
    put_good(w, "v:x", "2");
    put_good(w, "v:y", "3");
    put_good(w, "v:z", "4");
    put_good(w, "v:new", "5");
    put_script(w, script);
}

static struct probe_status status_of(struct world *w, const char *name)
{
    struct probe_status st = {0};

    for (size_t i = 0; i < probe_run_count(w->run); i++) {
        probe_run_status(w->run, i, &st);
        if (str_eq(st.name, name))
            return st;
    }
    fail_msg("no row %s", name);
    return st;
}

static void turn_until_state(struct world *w, const char *name, enum probe_state state)
{
    uint64_t end = clock_boot_ns() + LONG_NS;

    while (status_of(w, name).state != state && clock_boot_ns() < end)
        assert_int_equal(loop_turn(w->loop, 20 * NSEC_PER_MSEC), 0);
    assert_int_equal(status_of(w, name).state, state);
}

static void test_run_volumes_share_a_child_that_is_not_the_fast_ones(void **state)
{
    struct world *w = world_of(state);
    struct probe_status st;

    volumes_world(w, "none");
    first_round(w);
    assert_int_equal(probe_run_count(w->run), 4);
    probe_run_status(w->run, 2, &st);
    assert_string_equal(st.name, "v:y");
    assert_string_equal(st.kind, "v");
    assert_string_equal(st.volume, "y");
    assert_int_equal(st.state, PROBE_GOOD);
    assert_string_equal(strmap_get(&st.fp->attributes, "v:y.value"), "3");
    assert_in_range(starts(w), 2, on_valgrind() ? 3 : 2); /* due again already, so slow it is */
    assert_false(probe_run_behind(w->run));
}

static void test_run_volume_that_hangs_takes_no_other_along(void **state)
{
    struct world *w = world_of(state);
    struct probe_status st;

    volumes_world(w, "v:x|v:z");
    w->rows[1].deadline_ms = LONG_MS;
    start(w);
    turn_until_state(w, "v:y", PROBE_GOOD);
    assert_int_equal(status_of(w, "v:x").state, PROBE_NEVER);
    assert_int_equal(w->firsts, 0);
    w->run = probe_run_free(w->run);
    w->rows[1].deadline_ms = VOLUMES_MS;
    first_round(w);
    st = status_of(w, "v:x");
    assert_int_equal(st.state, PROBE_TIMEOUT);
    assert_non_null(strstr(st.reason, "no answer within 1000 ms"));
    assert_int_equal(status_of(w, "v:z").state, PROBE_TIMEOUT);
    assert_int_equal(status_of(w, "v:y").state, PROBE_GOOD);
    put_script(w, CAT_ALL);
    turn_until_state(w, "v:x", PROBE_GOOD);
    turn_until_state(w, "v:z", PROBE_GOOD);
}

static void test_run_volumes_come_and_go_with_the_configuration(void **state)
{
    struct world *w = world_of(state);

    volumes_world(w, "none");
    first_round(w);
    add_volume(&w->conf2, "new", "/new");
    add_volume(&w->conf2, "new", "/twice");
    add_volume(&w->conf2, "z", "/z");
    add_volume(&w->conf2, "y", "/other/path");
    probe_run_set_conf(w->run, &w->conf2);
    assert_int_equal(probe_run_count(w->run), 4);
    assert_true(probe_run_behind(w->run));
    assert_int_equal(status_of(w, "v:z").state, PROBE_GOOD); /* still */
    assert_int_equal(status_of(w, "v:y").state, PROBE_NEVER);
    assert_int_equal(status_of(w, "v:new").state, PROBE_NEVER);
    turn_until_state(w, "v:new", PROBE_GOOD);
    turn_until_state(w, "v:y", PROBE_GOOD);
    while (probe_run_behind(w->run))
        turn_for(w, 10 * NSEC_PER_MSEC);
    probe_run_set_conf(w->run, &w->conf);
    probe_run_set_conf(w->run, &w->conf2); /* while children run */
    while (probe_run_behind(w->run))
        turn_for(w, 10 * NSEC_PER_MSEC);
    assert_int_equal(status_of(w, "v:y").state, PROBE_GOOD);
}

static void test_run_volume_that_moves_leaves_what_hangs_behind(void **state)
{
    struct world *w = world_of(state);

    volumes_world(w, "v:x");
    w->rows[1].deadline_ms = LONG_MS;
    start(w);
    turn_until_state(w, "v:z", PROBE_GOOD);
    put_script(w, CAT_ALL);
    add_volume(&w->conf2, "x", "/elsewhere");
    probe_run_set_conf(w->run, &w->conf2);
    turn_until_state(w, "v:x", PROBE_GOOD);
    assert_int_equal(probe_run_count(w->run), 2);
    probe_run_set_conf(w->run,
                       &w->conf); /* and back: that child still hangs, no other is started */
    turn_until_state(w, "v:z", PROBE_GOOD);
    turn_for(w, 500 * NSEC_PER_MSEC);
    assert_int_equal(status_of(w, "v:x").state, PROBE_NEVER);
    assert_true(probe_run_behind(w->run));
}

static void test_run_no_volumes_and_nothing_else(void **state)
{
    struct world *w = world_of(state);

    add_row(w, "v", PROBE_EACH, VOLUMES_MS, 0);
    put_script(w, CAT_ALL);
    first_round(w);
    assert_int_equal(probe_run_count(w->run), 0);
    assert_int_equal(starts(w), 0);
}

static void test_run_children_that_hang_on_volumes_have_a_ceiling(void **state)
{
    struct world *w = world_of(state);
    char name[16];

    add_row(w, "v", PROBE_EACH, 10 * LONG_MS, 0);
    for (int i = 0; i < 66; i++) {
        (void)snprintf(name, sizeof(name), "%d", i);
        add_volume(&w->conf, name, "/x");
    }
    put_script(w, "exec sleep 60");
    start(w);
    turn_until_state(w, "v:65", PROBE_TIMEOUT);
    assert_string_equal(status_of(w, "v:64").reason, "not asked: too many others hang");
    assert_int_equal(status_of(w, "v:63").state, PROBE_NEVER);
    assert_int_equal(starts(w), 64);
}

/* --- a child that cannot be killed --- */

/* Traced by a process that only waits, a child stays a zombie: see test_proc. */
/* the child of the script that has told its number */
static pid_t hold_child(struct world *w)
{
    uint64_t end = clock_boot_ns() + LONG_NS;
    pid_t pid;

    while ((pid = hold_pid(w->folder)) < 0 && clock_boot_ns() < end)
        turn_for(w, 10 * NSEC_PER_MSEC);
    return hold(pid);
}

static void test_run_hung_child_is_not_started_again(void **state)
{
    struct world *w = world_of(state);
    pid_t tracer;

    add_row(w, "a", PROBE_SLOW, 1000, 1);
    put_good(w, "a", "1");
    /* its number outside of its PID namespace */
    put_script(w, HOLD_SCRIPT);
    start(w);
    tracer = hold_child(w);
    if (tracer < 0)
        skip();
    turn_until_first(w);
    check(w, 0, PROBE_HUNG, NULL, "hangs and cannot be killed");
    turn_for(w, 2500 * NSEC_PER_MSEC);
    probe_run_set_conf(w->run, &w->conf2);
    turn_for(w, 300 * NSEC_PER_MSEC);
    assert_int_equal(starts(w), 1);
    put_script(w, CAT_ALL);
    release(tracer);
    turn_until_changes(w, 0, 2);
    check(w, 0, PROBE_GOOD, "1", "");
}

static void test_run_free_in_the_middle_of_everything(void **state)
{
    struct world *w = world_of(state);

    three_rows(w, PROBE_SLOW);
    put_script(w, "exec sleep 60");
    start(w);
    turn_for(w, 100 * NSEC_PER_MSEC);
    w->run = probe_run_free(w->run);
    turn_for(w, 100 * NSEC_PER_MSEC);
    assert_int_equal(w->firsts, 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_run_fast_rows_share_a_child),
        T(test_run_slow_rows_have_children_of_their_own),
        T(test_run_passes_the_configuration),
        T(test_run_new_configuration_while_running_runs_again),
        T(test_run_refuses_a_configuration_that_is_too_large),
        T(test_run_repeats_rows_with_a_period_only),
        T(test_run_probe_that_reports_an_error),
        T(test_run_crash_takes_one_row_only),
        T(test_run_exit_status_and_last_words),
        T(test_run_end_without_an_answer),
        T(test_run_exit_status_that_stands_for_a_signal),
        T(test_run_two_bad_rows_in_a_row),
        T(test_run_words_that_are_no_text),
        T(test_run_missing_program),
        T(test_run_program_that_comes_back_is_noticed),
        T(test_run_program_for_another_machine),
        T(test_run_program_that_cannot_be_executed),
        T(test_run_text_instead_of_records),
        T(test_run_garbage_inside_a_record),
        T(test_run_answer_of_another_row),
        T(test_run_record_cut_short),
        T(test_run_too_much_output),
        T(test_run_ceiling_on_the_output_of_a_shared_child),
        T(test_run_ceiling_on_memory),
        T(test_run_want_of_memory_is_named),
        T(test_run_record_that_claims_too_much),
        T(test_run_hanging_row_times_out),
        T(test_run_late_row_does_not_hold_up_the_others),
        T(test_run_spinning_row_times_out),
        T(test_run_row_that_starts_many_processes_times_out),
        T(test_run_a_dead_program_does_not_use_up_every_deadline),
        T(test_run_keeps_the_last_good_result_as_stale),
        T(test_run_volumes_share_a_child_that_is_not_the_fast_ones),
        T(test_run_volume_that_hangs_takes_no_other_along),
        T(test_run_volumes_come_and_go_with_the_configuration),
        T(test_run_volume_that_moves_leaves_what_hangs_behind),
        T(test_run_no_volumes_and_nothing_else),
        T(test_run_children_that_hang_on_volumes_have_a_ceiling),
        T(test_run_hung_child_is_not_started_again),
        T(test_run_free_in_the_middle_of_everything),
    };

    return cmocka_run_group_tests_name("fingerprint/run", tests, NULL, NULL);
}
