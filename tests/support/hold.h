/* tests/support/hold.h - a child that cannot be killed.
 *
 * A process that traces the child and then only waits keeps it a zombie that its parent cannot
 * reap: what an uninterruptible wait looks like from outside.
 */
#pragma once

#include <stdio.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/parse.h"
#include "base/str.h"
#include "tests/support/check.h"

/* -1 where that is forbidden */
static inline pid_t hold(pid_t pid)
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

static inline void release(pid_t tracer)
{
    (void)kill(tracer, SIGKILL);
    (void)waitpid(tracer, NULL, 0);
}

/* Body of a shell script, with its folder in $D, that hangs; it leaves its process id, as the host
 * counts, where hold_pid() finds it. */
#define HOLD_SCRIPT                                                                                \
    "read p rest </proc/self/stat; echo $p >$D/pid.new; mv $D/pid.new $D/pid; exec sleep 1000"

/* -1: not there yet */
static inline pid_t hold_pid(const char *dir)
{
    _cleanup_free_ char *path = xasprintf("%s/pid", dir), *text = NULL;
    uint64_t pid;

    if (file_read_line(path, &text) < 0 || parse_u64(text, &pid) < 0)
        return -1;
    return (pid_t)pid;
}

static inline bool hold_exists(pid_t pid)
{
    return kill(pid, 0) == 0;
}
