/* base/proc.h - run a child program with a deadline and a ceiling on its output.
 *
 * The child gets its own process group, the given input (or nothing) on stdin, stdout on a pipe to
 * us, stderr likewise (the last bytes of it are kept for error texts), a cleared signal mask, and
 * no other descriptor.  It cannot gain privileges (no_new_privs) and dies with the thread that
 * started it.  At the deadline, and when it has ended by itself, the whole group gets SIGKILL.  A
 * child in an uninterruptible wait does not die from it: on_end is then called with PROC_HUNG and
 * the child is left behind, still watched, until it does end (on_gone).
 *
 * Where we have the right to (CAP_SYS_ADMIN), the child is also the first process of a PID
 * namespace of its own, still with the host's /proc: nothing that it starts outlives it, not even
 * what left its group and session.  For the child this means: getpid() is 1, getppid() 0, orphans
 * become its zombies, and signals that processes of its namespace send it count only when it
 * handles them (abort() then ends as SIGSEGV).  Elsewhere processes that call setsid() escape, and
 * procs_max is the one ceiling on their number; it does not hold for uid 0.
 *
 * SIGCHLD must be blocked (loop_block_signals).
 */
#pragma once

#include "base/err.h"
#include "base/loop.h"

struct proc;

enum {
    PROC_INPUT_MAX = 64 * 1024,
    PROC_TREE_MAX = 256, /* processes that are counted; reading one costs some 10 us */
};

enum proc_end {
    PROC_EXITED,    /* status = exit code */
    PROC_SIGNALED,  /* status = signal number */
    PROC_TIMED_OUT, /* killed at the deadline */
    PROC_TOO_MUCH,  /* wrote more than allowed; killed */
    PROC_HUNG,      /* killed, but did not die within two seconds */
    PROC_NOT_RUN,   /* the program could not be executed: status = errno, stderr_tail a sentence */
};

struct proc_opts {
    const char *const *argv; /* argv[0] is the path; NULL-terminated */
    const char *const *envp; /* NULL = inherit */
    uint64_t deadline_ns;    /* 0 = none */
    size_t output_max;       /* bytes of stdout */
    size_t memory_max;       /* RLIMIT_AS in bytes; 0 = none */
    unsigned procs_max;      /* processes it may start; 0 = any number */
    const char *cwd;         /* NULL = keep */
    const void *input;       /* stdin content, at most PROC_INPUT_MAX; NULL = none */
    size_t input_len;
    /* stdout as it arrives (borrowed) */
    void (*on_output)(void *arg, const uint8_t *p, size_t n);
    /* once; after the child was reaped and what it wrote has been passed on, or PROC_HUNG */
    void (*on_end)(void *arg, enum proc_end how, int status, const char *stderr_tail);
    /* once, only after PROC_HUNG, when the child is gone at last; may be NULL */
    void (*on_gone)(void *arg);
    void *arg;
};

/* Starts it; fails when there can be no process.  That the program cannot be executed shows later:
 * PROC_NOT_RUN (an exec may hang, and nobody waits for it). */
int proc_start(struct loop *l, const struct proc_opts *o, struct proc **ret,
               struct err *e) _must_check_;
pid_t proc_pid(const struct proc *p);
/* a new deadline, counted from now; 0 = at once.  Nothing happens once the child was killed. */
void proc_set_deadline(struct proc *p, uint64_t in_ns);
/* what the child was waiting for when its deadline passed (proc_describe_wait); "" before. Borrowed
 * until proc_free(). */
const char *proc_wait_text(const struct proc *p);
/* how many processes it had started that were there then; at most PROC_TREE_MAX */
size_t proc_wait_tree(const struct proc *p);
/* kills the group, forgets the callbacks and frees it (the child is reaped in the background);
 * NULL-safe; returns NULL.  Also right inside every callback. */
struct proc *proc_free(struct proc *p);

/* What a process hangs on, for people: state, kernel wait channel, system call with the file behind
 * its first descriptor where there is one; of one that runs the CPU time it has used.  Never
 * touches the memory of the process, whose locks may be what it hangs on.  Owned by the caller; ""
 * when nothing can be read. */
char *proc_describe_wait(pid_t pid) _must_check_;
/* a number that is to stay the same from try to try: 0, 1, 10, 100, ... */
uint64_t proc_round_down(uint64_t n);
/* how many processes below it there are, at most PROC_TREE_MAX */
size_t proc_count_tree(pid_t pid);
