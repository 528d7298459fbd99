#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <dirent.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/parse.h"
#include "base/proc.h"
#include "base/str.h"
#include "tests/support/hold.h"

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

    run(s, "ulimit -s 128; f() { f; }; f"); /* out of stack: the kernel itself sends it */
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
    const char *argv[] = {"/bin/sleep", "60", NULL};
    struct proc_opts o = opts(s, argv);

    start(s, &o);
    assert_int_equal(getpgid(proc_pid(s->proc)), proc_pid(s->proc));
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

    start(s, &o);
    turn_until(&s->ended);
    assert_int_equal(s->how, PROC_NOT_RUN);
    assert_int_equal(s->status, code);
    assert_non_null(strstr(s->tail, path));
    assert_non_null(strstr(s->tail, text));
}

static void test_proc_reports_a_missing_program(void **state)
{
    refuses(*state, "/nonexistent/program", ENOENT, "No such file");
}

static void test_proc_reports_a_program_that_cannot_be_run(void **state)
{
    refuses(*state, "/etc/passwd", EACCES, "Permission denied");
}

static void test_proc_reports_a_program_that_is_none(void **state)
{
    _cleanup_free_ char *path = xasprintf("%s/program", getenv("TMPDIR"));

    assert_int_equal(file_write_atomic(path, "\177ELF?", 5, 0755, NULL), 0);
    refuses(*state, path, ENOEXEC, "Exec format error");
    (void)unlink(path);
}

static void test_proc_reports_a_folder_that_is_not_there(void **state)
{
    struct seen *s = *state;
    const char *argv[] = {"/bin/true", NULL};
    struct proc_opts o = opts(s, argv);

    o.cwd = "/nonexistent";
    start(s, &o);
    turn_until(&s->ended);
    assert_int_equal(s->how, PROC_NOT_RUN);
    assert_int_equal(s->status, ENOENT);
}

/* a program may well end with the status that a failed exec has */
static void test_proc_exit_status_127_is_one(void **state)
{
    struct seen *s = *state;

    run(s, "exit 127");
    assert_int_equal(s->how, PROC_EXITED);
    assert_int_equal(s->status, 127);
}

static void test_proc_reports_that_there_can_be_no_process(void **state)
{
    struct seen *s = *state;
    const char *argv[] = {"/bin/true", NULL};
    struct proc_opts o = opts(s, argv);
    struct rlimit was, none;
    struct err e = {0};

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
    none = was;
    none.rlim_cur = 3;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    assert_int_equal(proc_start(loop, &o, &s->proc, &e), -EMFILE);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
    assert_null(s->proc);
    assert_non_null(strstr(e.text, "/bin/true"));
    assert_non_null(strstr(e.text, "Too many open files"));
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

/* Processes are told by an argument that nobody else has: the numbers that a child knows may be
 * those of a PID namespace. */
static const char *mark(void)
{
    static char text[32];
    static unsigned n;

    (void)snprintf(text, sizeof(text), "7777.%d%03u", (int)getpid(), ++n % 1000);
    return text;
}

/* whether a process, no zombie, has that argument */
static bool runs(const char *pid_text, const char *argument)
{
    _cleanup_free_ char *path = xasprintf("/proc/%s/cmdline", pid_text), *text = NULL;
    size_t n = 0;

    if (file_read(path, 65536, &text, &n) < 0 || n == 0)
        return false;
    for (size_t i = 0; i + 1 < n; i++)
        if (text[i] == 0)
            text[i] = ' ';
    return strstr(text, argument);
}

static size_t count_marked(const char *argument)
{
    DIR *d = opendir("/proc");
    const struct dirent *de;
    size_t n = 0;

    assert_non_null(d);
    while ((de = readdir(d)))
        if (de->d_name[0] >= '1' && de->d_name[0] <= '9' && runs(de->d_name, argument))
            n++;
    (void)closedir(d);
    return n;
}

static void gone_soon(const char *argument)
{
    for (int i = 0; i < 500 && count_marked(argument) > 0; i++)
        turn_for(10 * NSEC_PER_MSEC);
    assert_int_equal(count_marked(argument), 0);
}

/* Twice in a row: a shell between fork and exec of its next command looks like one more. */
static void there_soon(const char *argument, size_t n)
{
    int seen = 0;

    for (int i = 0; i < 2000 && seen < 2; i++) {
        seen = count_marked(argument) >= n ? seen + 1 : 0;
        turn_for(10 * NSEC_PER_MSEC);
    }
    assert_int_equal(seen, 2);
}

/* whether children get a PID namespace here */
static bool contains(void)
{
#ifdef __SANITIZE_THREAD__
    return false;
#else
    long pid = syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, NULL, NULL, NULL, NULL);

    if (pid == 0)
        _exit(0);
    return pid > 0 && waitpid((pid_t)pid, NULL, 0) == pid;
#endif
}

static void test_proc_deadline_takes_the_whole_group(void **state)
{
    struct seen *s = *state;
    const char *m = mark();
    _cleanup_free_ char *script = xasprintf("sleep %s & sleep %s", m, m);
    const char *argv[] = {"/bin/sh", "-c", script, NULL};
    struct proc_opts o = opts(s, argv);

    start(s, &o);
    there_soon(m, 2);
    proc_set_deadline(s->proc, 0);
    turn_until(&s->ended);
    assert_int_equal(s->how, PROC_TIMED_OUT);
    gone_soon(m);
}

/* the grandchild holds the pipe open: the end must not wait for it, and it must not stay */
static void test_proc_end_takes_what_was_left_behind(void **state)
{
    struct seen *s = *state;
    const char *m = mark();
    _cleanup_free_ char *script = xasprintf("sleep %s & exit 3", m);
    uint64_t from = clock_boot_ns();

    run(s, script);
    assert_int_equal(s->how, PROC_EXITED);
    assert_int_equal(s->status, 3);
    assert_true(clock_boot_ns() - from < WAIT_NS);
    gone_soon(m);
}

/* sessions of their own, parents that are gone: what a daemon does to live on */
#define DAEMONS "for i in 1 2 3 4 5 6 7 8 9 10; do (setsid sleep %s &) & done; "

static void test_proc_end_takes_daemons_too(void **state)
{
    struct seen *s = *state;
    const char *m = mark();
    _cleanup_free_ char *script = xasprintf(DAEMONS "sleep 0.2; exit 0", m);

    if (!contains())
        skip();
    run(s, script);
    assert_int_equal(s->how, PROC_EXITED);
    gone_soon(m);
}

static void test_proc_deadline_takes_daemons_too_and_counts_them(void **state)
{
    struct seen *s = *state;
    const char *m = mark();
    _cleanup_free_ char *script = xasprintf(DAEMONS "while :; do sleep 1; done", m);
    const char *argv[] = {"/bin/sh", "-c", script, NULL};
    struct proc_opts o = opts(s, argv);

    if (!contains())
        skip();
    start(s, &o);
    there_soon(m, 11); /* the script itself has it too */
    assert_in_range(proc_count_tree(proc_pid(s->proc)), 10, 40);
    proc_set_deadline(s->proc, 0);
    turn_until(&s->ended);
    assert_int_equal(s->how, PROC_TIMED_OUT);
    assert_in_range(proc_wait_tree(s->proc), 10, 40);
    gone_soon(m);
}

static void test_proc_free_takes_daemons_too(void **state)
{
    struct seen *s = *state;
    const char *m = mark();
    _cleanup_free_ char *script = xasprintf(DAEMONS "while :; do sleep 1; done", m);
    const char *argv[] = {"/bin/sh", "-c", script, NULL};
    struct proc_opts o = opts(s, argv);

    if (!contains())
        skip();
    start(s, &o);
    there_soon(m, 11);
    s->proc = proc_free(s->proc);
    gone_soon(m);
}

/* the child and all below it end with the process that started it, however that ends */
static void test_proc_child_ends_with_its_parent(void **state)
{
    struct seen *s = *state;
    const char *m = mark();
    _cleanup_free_ char *script = xasprintf("sleep %s & sleep %s", m, m);
    const char *argv[] = {"/bin/sh", "-c", script, NULL};
    struct proc_opts o = opts(s, argv);
    pid_t parent = fork();

    assert_true(parent >= 0);
    if (parent == 0) {
        struct loop *l = NULL;
        struct proc *p = NULL;

        if (loop_new(&l) < 0 || proc_start(l, &o, &p, NULL) < 0)
            _exit(1);
        for (;;)
            (void)pause();
    }
    there_soon(m, 2);
    (void)kill(parent, SIGKILL);
    (void)waitpid(parent, NULL, 0);
    if (contains())
        gone_soon(m);
    else
        gone_soon(script); /* the shell; what it started is out of reach */
}

static void test_proc_limits_the_number_of_processes(void **state)
{
    struct seen *s = *state;
    const char *argv[] = {"/bin/sh", "-c", "ulimit -p", NULL};
    struct proc_opts o = opts(s, argv);
    struct sysinfo si;
    uint64_t n;

    o.procs_max = 7;
    start(s, &o);
    turn_until(&s->ended);
    assert_int_equal(sysinfo(&si), 0);
    s->out.p[s->out.len - 1] = 0;
    assert_int_equal(parse_u64(buf_str(&s->out), &n), 0);
    assert_in_range(n, 7, si.procs + 5000);
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
    const char *m = mark();
    _cleanup_free_ char *script =
        xasprintf("f() { [ $1 -gt 0 ] || { sleep %s; return; }; f $(($1 - 1)) & f $(($1 - 1)) "
                  "& wait; }; f 5",
                  m);
    const char *argv[] = {"/bin/sh", "-c", script, NULL};
    struct proc_opts o = opts(s, argv);

    start(s, &o);
    there_soon(m, 32);
    proc_set_deadline(s->proc, 0);
    turn_until(&s->ended);
    assert_int_equal(s->how, PROC_TIMED_OUT);
    assert_true(proc_wait_tree(s->proc) >= 32);
    gone_soon(m);
}

/* --- freeing --- */

static void test_proc_free_kills_in_silence(void **state)
{
    struct seen *s = *state;
    const char *m = mark();
    const char *argv[] = {"/bin/sleep", m, NULL};
    struct proc_opts o = opts(s, argv);

    start(s, &o);
    s->proc = proc_free(s->proc);
    gone_soon(m);
    assert_false(s->ended);
    assert_null(proc_free(NULL));
}

static void test_proc_free_in_on_output(void **state)
{
    struct seen *s = *state;
    const char *m = mark();
    _cleanup_free_ char *script = xasprintf("echo; exec sleep %s", m);
    const char *argv[] = {"/bin/sh", "-c", script, NULL};
    struct proc_opts o = opts(s, argv);

    s->free_at = 1;
    start(s, &o);
    while (s->proc)
        assert_int_equal(loop_turn(loop, 50 * NSEC_PER_MSEC), 0);
    gone_soon(m);
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

static size_t open_descriptors(void)
{
    DIR *d = opendir("/proc/self/fd");
    size_t n = 0;

    assert_non_null(d);
    while (readdir(d))
        n++;
    (void)closedir(d);
    return n;
}

static void test_proc_free_and_the_loop_before_the_end(void **state)
{
    const char *argv[] = {"/bin/sleep", "600", NULL};
    struct seen *s = *state;
    struct proc_opts o = opts(s, argv);
    struct err e;
    size_t n;

    loop = loop_free(loop);
    n = open_descriptors();
    assert_int_equal(loop_new(&loop), 0);
    assert_int_equal(proc_start(loop, &o, &s->proc, &e), 0);
    s->proc = proc_free(s->proc);
    loop = loop_free(loop);
    assert_int_equal(open_descriptors(), n);
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

/* it must not be taken for one that waits: the time that it has used tells a loop from bad luck */
static void test_describe_wait_of_one_that_spins(void **state)
{
    struct seen *s = *state;
    const char *argv[] = {"/bin/sh", "-c", "while :; do :; done", NULL};
    struct proc_opts o = opts(s, argv);
    _cleanup_free_ char *text = NULL;

    start(s, &o);
    for (int i = 0; i < 1000; i++) {
        free(text);
        text = proc_describe_wait(proc_pid(s->proc));
        if (str_starts(text, "state R (running), on the CPU for ") && !strstr(text, "over 0 ms") &&
            str_ends(text, " ms so far"))
            return;
        turn_for(10 * NSEC_PER_MSEC);
    }
    fail_msg("%s", text);
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
        T(test_proc_reports_a_program_that_is_none),
        T(test_proc_reports_a_folder_that_is_not_there),
        T(test_proc_exit_status_127_is_one),
        T(test_proc_reports_that_there_can_be_no_process),
        T(test_proc_kills_at_the_deadline),
        T(test_proc_deadline_can_be_moved),
        T(test_proc_deadline_takes_the_whole_group),
        T(test_proc_end_takes_what_was_left_behind),
        T(test_proc_end_takes_daemons_too),
        T(test_proc_deadline_takes_daemons_too_and_counts_them),
        T(test_proc_free_takes_daemons_too),
        T(test_proc_child_ends_with_its_parent),
        T(test_proc_limits_the_number_of_processes),
        T(test_proc_kills_what_writes_too_much),
        T(test_proc_too_much_also_after_its_end),
        T(test_proc_kills_a_fork_storm),
        T(test_proc_free_kills_in_silence),
        T(test_proc_free_in_on_output),
        T(test_proc_free_in_on_end),
        T(test_proc_reports_a_child_that_hangs_and_its_end),
        T(test_proc_free_and_the_loop_before_the_end),
        T(test_proc_free_of_a_child_that_hangs),
        T(test_describe_wait_names_state_and_call),
        T(test_describe_wait_of_one_that_spins),
        T(test_describe_wait_of_nothing_is_empty),
    };

    return cmocka_run_group_tests_name("base/proc", tests, NULL, NULL);
}
