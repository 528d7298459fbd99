#include "base/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <unistd.h>

struct start {
    const struct proc_opts *o;
    int in, out[2], err[2], exec_err[2]; /* out, err, exec_err: [0] ours, [1] the child's */
};

static void start_done(struct start *s)
{
    s->in = fd_close(s->in);
    for (int i = 0; i < 2; i++) {
        s->out[i] = fd_close(s->out[i]);
        s->err[i] = fd_close(s->err[i]);
        s->exec_err[i] = fd_close(s->exec_err[i]);
    }
}

/* Moves a descriptor out of 0..2, where the child's own would overwrite it. */
static int lift(int *fd)
{
    int up;

    if (*fd > STDERR_FILENO)
        return 0;
    up = fcntl(*fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (up < 0)
        return -errno;
    *fd = fd_close(*fd);
    *fd = up;
    return 0;
}

static int make_pipe(int fds[2])
{
    int r;

    if (pipe2(fds, O_CLOEXEC) < 0)
        return -errno;
    r = lift(&fds[0]);
    return r < 0 ? r : lift(&fds[1]);
}

/* A memory file rather than a pipe: the child can always be given all of it at once. */
static int make_input(const struct proc_opts *o, int *ret)
{
    _cleanup_close_ int fd = -1;
    int r;

    if (o->input_len > PROC_INPUT_MAX)
        return -E2BIG;
    fd = o->input ? memfd_create("input", MFD_CLOEXEC) : open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (o->input) {
        ssize_t n = write(fd, o->input, o->input_len);

        if (n < 0)
            return -errno;
        if ((size_t)n != o->input_len)
            return -ENOSPC;
        if (lseek(fd, 0, SEEK_SET) < 0)
            return -errno;
    }
    r = lift(&fd);
    if (r < 0)
        return r;
    *ret = steal_fd(&fd);
    return 0;
}

static int start_prepare(struct start *s)
{
    int r;

    r = make_input(s->o, &s->in);
    if (r < 0)
        return r;
    r = make_pipe(s->out);
    if (r < 0)
        return r;
    r = make_pipe(s->err);
    if (r < 0)
        return r;
    r = make_pipe(s->exec_err);
    if (r < 0)
        return r;
    if (fcntl(s->out[0], F_SETFL, O_NONBLOCK) < 0 || fcntl(s->err[0], F_SETFL, O_NONBLOCK) < 0 ||
        fcntl(s->exec_err[0], F_SETFL, O_NONBLOCK) < 0)
        return -errno;
    return 0;
}

/* closes everything above stderr at exec */
static void child_close_rest(void)
{
    struct rlimit rl = {.rlim_cur = 1024};

    if (syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, 4U /* CLOSE_RANGE_CLOEXEC */) == 0)
        return;
    (void)getrlimit(RLIMIT_NOFILE, &rl);
    for (rlim_t fd = STDERR_FILENO + 1; fd < rl.rlim_cur && fd < 65536; fd++)
        (void)fcntl((int)fd, F_SETFD, FD_CLOEXEC);
}

static void child_reset_signals(void)
{
    struct sigaction dfl = {.sa_handler = SIG_DFL};
    sigset_t none;

    for (int i = 1; i < NSIG; i++)
        (void)sigaction(i, &dfl, NULL);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* The parent may have died before we asked to be told.  It is the one reader of this pipe; its
 * number tells nothing, because seen from a PID namespace of our own it is 0. */
static bool child_is_orphan(struct start *s)
{
    struct pollfd pfd = {.fd = s->exec_err[1]};

    s->exec_err[0] = fd_close(s->exec_err[0]);
    return poll(&pfd, 1, 0) > 0 && (pfd.revents & POLLERR);
}

/* RLIMIT_NPROC counts all processes of a user; those there are now are not ours to forbid. */
static int child_limit_procs(unsigned procs_max)
{
    struct sysinfo si;
    struct rlimit rl;

    if (sysinfo(&si) < 0 || getrlimit(RLIMIT_NPROC, &rl) < 0)
        return -errno;
    rl.rlim_max = MIN(rl.rlim_max, (rlim_t)si.procs + procs_max);
    rl.rlim_cur = rl.rlim_max;
    return setrlimit(RLIMIT_NPROC, &rl) < 0 ? -errno : 0;
}

/* Between fork and exec in a program with threads: only what is safe in a signal handler. */
static int child_setup(struct start *s)
{
    struct rlimit as = {.rlim_cur = s->o->memory_max, .rlim_max = s->o->memory_max};
    int r;

    (void)setpgid(0, 0);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        return -errno;
    if (child_is_orphan(s))
        return -ECHILD;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -errno;
    if (dup2(s->in, STDIN_FILENO) < 0 || dup2(s->out[1], STDOUT_FILENO) < 0 ||
        dup2(s->err[1], STDERR_FILENO) < 0)
        return -errno;
    child_close_rest();
    if (s->o->cwd && chdir(s->o->cwd) < 0)
        return -errno;
    r = s->o->procs_max ? child_limit_procs(s->o->procs_max) : 0;
    if (r < 0)
        return r;
    if (s->o->memory_max && setrlimit(RLIMIT_AS, &as) < 0)
        return -errno;
    child_reset_signals();
    return 0;
}

static _Noreturn void child_run(struct start *s)
{
    char *const *argv = (char *const *)(uintptr_t)s->o->argv;
    char *const *envp = s->o->envp ? (char *const *)(uintptr_t)s->o->envp : environ;
    int r = child_setup(s);

    if (r == 0) {
        (void)execve(argv[0], argv, envp);
        r = -errno;
    }
    (void)!write(s->exec_err[1], &r, sizeof(r));
    _exit(SPAWN_EXIT_NOT_RUN);
}

/* As the first process of a PID namespace of its own the child cannot leave anything behind: when
 * it ends, by itself or by our SIGKILL, the kernel kills all that it started, whatever group or
 * session they went to.  Only the privileged may make one; the others' children are held together
 * by their process group alone. */
static pid_t fork_contained(void)
{
#ifndef __SANITIZE_THREAD__ /* its runtime must see the fork */
    long pid = syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, NULL, NULL, NULL, NULL);

    if (pid >= 0 || errno == EAGAIN || errno == ENOMEM)
        return (pid_t)pid;
#endif
    return fork();
}

/* All signals are blocked around the fork: none of our handlers may run in the child. */
static pid_t start_fork(struct start *s)
{
    sigset_t all, old;
    int saved;
    pid_t pid;

    (void)sigfillset(&all);
    (void)sigprocmask(SIG_SETMASK, &all, &old);
    pid = fork_contained();
    if (pid == 0)
        child_run(s);
    saved = errno;
    (void)sigprocmask(SIG_SETMASK, &old, NULL);
    if (pid > 0)
        (void)setpgid(pid, pid);
    return pid < 0 ? -saved : pid;
}

int spawn_child(const struct proc_opts *o, struct spawned *ret)
{
    struct start s = {
        .o = o, .in = -1, .out = {-1, -1},
                .err = {-1, -1},
                .exec_err = {-1, -1}
    };
    pid_t pid = -1;
    int r = start_prepare(&s);

    if (r == 0) {
        pid = start_fork(&s);
        r = pid < 0 ? pid : 0;
    }
    if (r == 0)
        *ret = (struct spawned){.pid = pid,
                                .out_fd = steal_fd(&s.out[0]),
                                .err_fd = steal_fd(&s.err[0]),
                                .exec_fd = steal_fd(&s.exec_err[0])};
    start_done(&s);
    return r;
}

int spawn_error(int exec_fd)
{
    int r = 0;

    return read(exec_fd, &r, sizeof(r)) == sizeof(r) ? r : 0;
}
