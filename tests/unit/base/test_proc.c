#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/parse.h"
#include "base/proc.h"
#include "base/str.h"

enum { OUTPUT_MAX = 1024 * 1024 };
#define WAIT_NS (20 * NSEC_PER_SEC) /* for a child to end by itself, on a busy machine */

/* what the callbacks saw */
struct seen {
    struct proc *proc;
    struct buf out;
    bool ended, gone;
    enum proc_end how;
    int status;
    char *tail;
    char *wait;
    int free_at; /* 1: proc_free() in on_output, 2: in on_end */
};

static struct loop *loop;

static void on_output(void *arg, const uint8_t *p, size_t n)
{
    struct seen *s = arg;

    buf_add(&s->out, p, n);
    if (s->free_at == 1)
        s->proc = proc_free(s->proc);
}

static void on_end(void *arg, enum proc_end how, int status, const char *tail)
{
    struct seen *s = arg;

    assert_false(s->ended);
    s->ended = true;
    s->how = how;
    s->status = status;
    s->tail = xstrdup(tail);
    s->wait = xstrdup(proc_wait_text(s->proc));
    if (s->free_at == 2)
        s->proc = proc_free(s->proc);
}

static void on_gone(void *arg)
{
    struct seen *s = arg;

    assert_false(s->gone);
    s->gone = true;
}

static int setup(void **state)
{
    struct seen *s = xnew0(struct seen);

    loop_block_signals();
    assert_int_equal(loop_new(&loop), 0);
    buf_init(&s->out, OUTPUT_MAX);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    struct seen *s = *state;

    (void)proc_free(s->proc);
    buf_done(&s->out);
    free(s->tail);
    free(s->wait);
    free(s);
    loop = loop_free(loop);
    return 0;
}

static struct proc_opts opts(struct seen *s, const char *const *argv)
{
    return (struct proc_opts){.argv = argv,
                              .deadline_ns = WAIT_NS,
                              .output_max = OUTPUT_MAX,
                              .on_output = on_output,
                              .on_end = on_end,
                              .on_gone = on_gone,
                              .arg = s};
}

static void start(struct seen *s, const struct proc_opts *o)
{
    struct err e = {0};

    if (proc_start(loop, o, &s->proc, &e) < 0)
        fail_msg("%s", e.text);
}

static void turn_until(const bool *flag)
{
    uint64_t end = clock_boot_ns() + 2 * WAIT_NS;

    while (!*flag && clock_boot_ns() < end)
        assert_int_equal(loop_turn(loop, 50 * NSEC_PER_MSEC), 0);
    assert_true(*flag);
}

/* runs a shell script to its end */
static void run(struct seen *s, const char *script)
{
    const char *argv[] = {"/bin/sh", "-c", script, NULL};
    struct proc_opts o = opts(s, argv);

    start(s, &o);
    turn_until(&s->ended);
}

static void turn_for(uint64_t ns)
{
    uint64_t end = clock_boot_ns() + ns;

    while (clock_boot_ns() < end)
        assert_int_equal(loop_turn(loop, 10 * NSEC_PER_MSEC), 0);
}

/* --- ordinary ends --- */

static void test_proc_passes_on_output_and_status(void **state)
{
    struct seen *s = *state;

    run(s, "printf 'one\\ntwo'; exit 7");
    assert_string_equal(buf_str(&s->out), "one\ntwo");
    assert_int_equal(s->how, PROC_EXITED);
    assert_int_equal(s->status, 7);
    assert_string_equal(s->tail, "");
}

static void test_proc_passes_on_large_output_whole(void **state)
{
    struct seen *s = *state;

    run(s, "head -c 1000000 /dev/zero");
    assert_int_equal(s->how, PROC_EXITED);
    assert_int_equal(s->out.len, 1000000);
}

static void test_proc_keeps_the_last_of_stderr(void **state)
{
    struct seen *s = *state;

    run(s, "i=0; while [ $i -lt 1000 ]; do echo line $i >&2; i=$((i+1)); done");
    assert_true(strlen(s->tail) <= 2048);
    assert_true(str_ends(s->tail, "line 999\n"));
    assert_int_equal(s->out.len, 0);
}

static void test_proc_names_the_signal(void **state)
{
    struct seen *s = *state;

    run(s, "kill -SEGV $$");
    assert_int_equal(s->how, PROC_SIGNALED);
    assert_int_equal(s->status, SIGSEGV);
}

static void test_proc_gives_input(void **state)
{
    struct seen *s = *state;
    const char *argv[] = {"/bin/cat", NULL};
    struct proc_opts o = opts(s, argv);
    _cleanup_free_ char *input = xcalloc(1, PROC_INPUT_MAX);

    memset(input, 'x', PROC_INPUT_MAX);
    o.input = input;
    o.input_len = PROC_INPUT_MAX;
    start(s, &o);
    turn_until(&s->ended);
    assert_int_equal(s->how, PROC_EXITED);
    assert_int_equal(s->out.len, PROC_INPUT_MAX);
    assert_memory_equal(s->out.p, input, PROC_INPUT_MAX);
}

static void test_proc_without_input_reads_nothing(void **state)
{
    struct seen *s = *state;

    run(s, "cat");
    assert_int_equal(s->how, PROC_EXITED);
    assert_int_equal(s->out.len, 0);
}

static void test_proc_refuses_more_input_than_promised(void **state)
{
    struct seen *s = *state;
    const char *argv[] = {"/bin/cat", NULL};
    struct proc_opts o = opts(s, argv);
    _cleanup_free_ char *input = xcalloc(1, PROC_INPUT_MAX + 1);
    struct err e = {0};

    o.input = input;
    o.input_len = PROC_INPUT_MAX + 1;
    assert_int_equal(proc_start(loop, &o, &s->proc, &e), -E2BIG);
}

static void test_proc_sets_environment_and_folder(void **state)
{
    struct seen *s = *state;
    const char *argv[] = {"/bin/sh", "-c", "echo $HELLO; pwd", NULL};
    const char *envp[] = {"HELLO=world", NULL};
    struct proc_opts o = opts(s, argv);

    o.envp = envp;
    o.cwd = "/proc";
    start(s, &o);
    turn_until(&s->ended);
    assert_string_equal(buf_str(&s->out), "world\n/proc\n");
}

static void test_proc_child_has_a_clean_slate(void **state)
{
    struct seen *s = *state;
    int fd = open("/dev/null", O_RDONLY); /* without O_CLOEXEC, as a library might */

    assert_true(fd > 2);
    /* bit 31 is signal 32, which belongs to the C library: who had it ignored passes that on */
    run(s, "ls /proc/self/fd | tr '\\n' ' ';"
           "grep -E '^(SigBlk|SigIgn|NoNewPrivs):' /proc/self/status |"
           "sed '/^SigIgn/s/8\\(0000000\\)$/0\\1/'");
    (void)close(fd);
    /* 3 is the folder that ls reads */
    assert_string_equal(buf_str(&s->out), "0 1 2 3 SigBlk:\t0000000000000000\n"
                                          "SigIgn:\t0000000000000000\nNoNewPrivs:\t1\n");
}

static void test_proc_child_gets_its_own_group(void **state)
{
    struct seen *s = *state;
    _cleanup_free_ char *want = NULL;
    pid_t pid;

    const char *argv[] = {"/bin/sh", "-c", "cut -d' ' -f5 /proc/$$/stat", NULL};
    struct proc_opts o = opts(s, argv);

    start(s, &o);
    pid = proc_pid(s->proc);
    turn_until(&s->ended);
    want = xasprintf("%d\n", (int)pid);
    assert_string_equal(buf_str(&s->out), want);
}

static void test_proc_limits_memory(void **state)
{
    struct seen *s = *state;
    const char *argv[] = {"/bin/sh", "-c", "ulimit -v", NULL};
    struct proc_opts o = opts(s, argv);

    o.memory_max = (size_t)512 * 1024 * 1024;
    start(s, &o);
    turn_until(&s->ended);
    assert_string_equal(buf_str(&s->out), "524288\n");
}

/* --- failures to start --- */

static void refuses(struct seen *s, const char *path, int code, const char *text)
{
    const char *argv[] = {path, NULL};
    struct proc_opts o = opts(s, argv);
    struct err e = {0};

    assert_int_equal(proc_start(loop, &o, &s->proc, &e), code);
    assert_null(s->proc);
    assert_non_null(strstr(e.text, path));
    assert_non_null(strstr(e.text, text));
}

static void test_proc_reports_a_missing_program(void **state)
{
    refuses(*state, "/nonexistent/program", -ENOENT, "No such file");
}

static void test_proc_reports_a_program_that_cannot_be_run(void **state)
{
    refuses(*state, "/etc/passwd", -EACCES, "Permission denied");
}

static void test_proc_reports_a_folder_that_is_not_there(void **state)
{
    struct seen *s = *state;
    const char *argv[] = {"/bin/true", NULL};
    struct proc_opts o = opts(s, argv);
    struct err e = {0};

    o.cwd = "/nonexistent";
    assert_int_equal(proc_start(loop, &o, &s->proc, &e), -ENOENT);
}

/* --- ceilings --- */

static void test_proc_kills_at_the_deadline(void **state)
{
    struct seen *s = *state;
    const char *argv[] = {"/bin/sh", "-c", "echo before; exec sleep 60", NULL};
    struct proc_opts o = opts(s, argv);

    o.deadline_ns = 300 * NSEC_PER_MSEC;
    start(s, &o);
    turn_until(&s->ended);
    assert_int_equal(s->how, PROC_TIMED_OUT);
    assert_string_equal(buf_str(&s->out), "before\n");
    assert_non_null(strstr(s->wait, "sleeping")); /* what it was doing then */
}

static void test_proc_deadline_can_be_moved(void **state)
{
    struct seen *s = *state;
    const char *argv[] = {"/bin/sleep", "60", NULL};
    struct proc_opts o = opts(s, argv);
    uint64_t from = clock_boot_ns();

    start(s, &o);
    proc_set_deadline(s->proc, 0);
    turn_until(&s->ended);
    assert_int_equal(s->how, PROC_TIMED_OUT);
    assert_true(clock_boot_ns() - from < WAIT_NS);
}

/* whether the process whose number the child printed still runs (a zombie does not) */
static bool runs(const char *pid_text)
{
    _cleanup_free_ char *number = xstrdup(pid_text), *path = NULL, *text = NULL;

    path = xasprintf("/proc/%s/status", str_trim(number));
    if (file_read(path, 65536, &text, NULL) < 0)
        return false;
    return !strstr(text, "State:\tZ") && !strstr(text, "State:\tX");
}

static void gone_soon(const char *pid_text)
{
    for (int i = 0; i < 500 && runs(pid_text); i++)
        turn_for(10 * NSEC_PER_MSEC);
    assert_false(runs(pid_text));
}

static void test_proc_deadline_takes_the_whole_group(void **state)
{
    struct seen *s = *state;
    const char *argv[] = {"/bin/sh", "-c", "sleep 60 & echo $!; wait", NULL};
    struct proc_opts o = opts(s, argv);

    o.deadline_ns = 300 * NSEC_PER_MSEC;
    start(s, &o);
    turn_until(&s->ended);
    assert_int_equal(s->how, PROC_TIMED_OUT);
    gone_soon(buf_str(&s->out));
}

/* the grandchild holds the pipe open: the end must not wait for it, and it must not stay */
static void test_proc_end_takes_what_was_left_behind(void **state)
{
    struct seen *s = *state;
    uint64_t from = clock_boot_ns();

    run(s, "sleep 60 & echo $!; exit 3");
    assert_int_equal(s->how, PROC_EXITED);
    assert_int_equal(s->status, 3);
    assert_true(clock_boot_ns() - from < WAIT_NS);
    gone_soon(buf_str(&s->out));
}

static void test_proc_kills_what_writes_too_much(void **state)
{
    struct seen *s = *state;
    const char *argv[] = {"/bin/sh", "-c", "exec cat /dev/zero", NULL};
    struct proc_opts o = opts(s, argv);

    o.output_max = 100000;
    start(s, &o);
    turn_until(&s->ended);
    assert_int_equal(s->how, PROC_TOO_MUCH);
    assert_true(s->out.len <= 100000);
}

static void test_proc_too_much_also_after_its_end(void **state)
{
    struct seen *s = *state;
    const char *argv[] = {"/bin/sh", "-c", "head -c 5000 /dev/zero", NULL};
    struct proc_opts o = opts(s, argv);

    o.output_max = 4999;
    start(s, &o);
    (void)usleep(200000); /* it has ended before the loop reads anything */
    turn_until(&s->ended);
    assert_int_equal(s->how, PROC_TOO_MUCH);
}

/* a flood of processes, bounded: each starts two more until the deadline takes all of them */
static void test_proc_kills_a_fork_storm(void **state)
{
    struct seen *s = *state;
    const char *script =
        "f() { [ $1 -gt 0 ] || { sleep 60; return; }; f $(($1 - 1)) & f $(($1 - 1)) "
        "& wait; }; f 5";
    const char *argv[] = {"/bin/sh", "-c", script, NULL};
    struct proc_opts o = opts(s, argv);
    pid_t group;

    o.deadline_ns = 500 * NSEC_PER_MSEC;
    start(s, &o);
    group = proc_pid(s->proc);
    turn_until(&s->ended);
    assert_int_equal(s->how, PROC_TIMED_OUT);
    for (int i = 0; i < 100; i++) {
        _cleanup_free_ char *script2 =
            xasprintf("ps -e -o pgid=,state= | awk '$1 == %d && $2 != \"Z\"' | wc -l", (int)group);
        struct seen count = {.out = BUF_INIT(OUTPUT_MAX)};
        bool none;

        run(&count, script2);
        none = strcmp(buf_str(&count.out), "0\n") == 0;
        (void)proc_free(count.proc);
        buf_done(&count.out);
        free(count.tail);
        free(count.wait);
        if (none)
            return;
    }
    fail_msg("processes of the group were left");
}

/* --- freeing --- */

static void test_proc_free_kills_in_silence(void **state)
{
    struct seen *s = *state;
    const char *argv[] = {"/bin/sleep", "60", NULL};
    struct proc_opts o = opts(s, argv);
    char pid[16];

    start(s, &o);
    (void)snprintf(pid, sizeof(pid), "%d", (int)proc_pid(s->proc));
    s->proc = proc_free(s->proc);
    gone_soon(pid);
    assert_false(s->ended);
    assert_null(proc_free(NULL));
}

static void test_proc_free_in_on_output(void **state)
{
    struct seen *s = *state;
    const char *argv[] = {"/bin/sh", "-c", "echo; exec sleep 60", NULL};
    struct proc_opts o = opts(s, argv);
    char pid[16];

    s->free_at = 1;
    start(s, &o);
    (void)snprintf(pid, sizeof(pid), "%d", (int)proc_pid(s->proc));
    while (s->proc)
        assert_int_equal(loop_turn(loop, 50 * NSEC_PER_MSEC), 0);
    gone_soon(pid);
    assert_false(s->ended);
}

static void test_proc_free_in_on_end(void **state)
{
    struct seen *s = *state;

    s->free_at = 2;
    run(s, "exit 0");
    assert_null(s->proc);
}

/* --- a child that cannot be killed --- */

/* A process that traces the child and then only waits keeps it a zombie that its parent cannot
 * reap: what an uninterruptible wait looks like from outside.  Returns -1 where that is forbidden.
 */
static pid_t hold(pid_t pid)
{
    int fds[2];
    char ok = 'n';
    pid_t tracer;

    assert_int_equal(pipe(fds), 0);
    tracer = fork();
    assert_true(tracer >= 0);
    if (tracer == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        ok = ptrace(PTRACE_SEIZE, pid, NULL, NULL) == 0 ? 'y' : 'n';
        (void)!write(fds[1], &ok, 1);
        for (;;)
            (void)pause();
    }
    assert_int_equal(read(fds[0], &ok, 1), 1);
    (void)close(fds[0]);
    (void)close(fds[1]);
    if (ok == 'y')
        return tracer;
    (void)kill(tracer, SIGKILL);
    (void)waitpid(tracer, NULL, 0);
    return -1;
}

static void release(pid_t tracer)
{
    (void)kill(tracer, SIGKILL);
    (void)waitpid(tracer, NULL, 0);
}

static void test_proc_reports_a_child_that_hangs_and_its_end(void **state)
{
    struct seen *s = *state;
    const char *argv[] = {"/bin/sleep", "60", NULL};
    struct proc_opts o = opts(s, argv);
    pid_t tracer;

    o.deadline_ns = 200 * NSEC_PER_MSEC;
    start(s, &o);
    tracer = hold(proc_pid(s->proc));
    if (tracer < 0)
        skip();
    turn_until(&s->ended);
    assert_int_equal(s->how, PROC_HUNG);
    assert_false(s->gone);
    release(tracer);
    turn_until(&s->gone);
}

static void test_proc_free_of_a_child_that_hangs(void **state)
{
    struct seen *s = *state;
    const char *argv[] = {"/bin/sleep", "60", NULL};
    struct proc_opts o = opts(s, argv);
    pid_t tracer;

    o.deadline_ns = 100 * NSEC_PER_MSEC;
    start(s, &o);
    tracer = hold(proc_pid(s->proc));
    if (tracer < 0)
        skip();
    turn_until(&s->ended);
    s->proc = proc_free(s->proc);
    release(tracer);
    turn_for(200 * NSEC_PER_MSEC);
    assert_false(s->gone);
}

/* --- what a process waits for --- */

static void test_describe_wait_names_state_and_call(void **state)
{
    struct seen *s = *state;
    const char *argv[] = {"/bin/sleep", "60", NULL};
    struct proc_opts o = opts(s, argv);
    _cleanup_free_ char *text = NULL;

    start(s, &o);
    for (int i = 0; i < 100; i++) { /* until it sleeps */
        free(text);
        text = proc_describe_wait(proc_pid(s->proc));
        if (str_starts(text, "state S (sleeping)"))
            break;
        turn_for(10 * NSEC_PER_MSEC);
    }
    assert_true(str_starts(text, "state S (sleeping)"));
    /* the call is only readable with the right to trace */
    if (strstr(text, "system call"))
        assert_non_null(strstr(text, "nanosleep"));
}

static void test_describe_wait_of_nothing_is_empty(void **state)
{
    _cleanup_free_ char *text = proc_describe_wait(0x3fffffff);

    (void)state;
    assert_string_equal(text, "");
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_proc_passes_on_output_and_status),
        T(test_proc_passes_on_large_output_whole),
        T(test_proc_keeps_the_last_of_stderr),
        T(test_proc_names_the_signal),
        T(test_proc_gives_input),
        T(test_proc_without_input_reads_nothing),
        T(test_proc_refuses_more_input_than_promised),
        T(test_proc_sets_environment_and_folder),
        T(test_proc_child_has_a_clean_slate),
        T(test_proc_child_gets_its_own_group),
        T(test_proc_limits_memory),
        T(test_proc_reports_a_missing_program),
        T(test_proc_reports_a_program_that_cannot_be_run),
        T(test_proc_reports_a_folder_that_is_not_there),
        T(test_proc_kills_at_the_deadline),
        T(test_proc_deadline_can_be_moved),
        T(test_proc_deadline_takes_the_whole_group),
        T(test_proc_end_takes_what_was_left_behind),
        T(test_proc_kills_what_writes_too_much),
        T(test_proc_too_much_also_after_its_end),
        T(test_proc_kills_a_fork_storm),
        T(test_proc_free_kills_in_silence),
        T(test_proc_free_in_on_output),
        T(test_proc_free_in_on_end),
        T(test_proc_reports_a_child_that_hangs_and_its_end),
        T(test_proc_free_of_a_child_that_hangs),
        T(test_describe_wait_names_state_and_call),
        T(test_describe_wait_of_nothing_is_empty),
    };

    return cmocka_run_group_tests_name("base/proc", tests, NULL, NULL);
}
