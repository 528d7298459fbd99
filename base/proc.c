#include "base/proc.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/list.h"
#include "base/spawn.h"

enum {
    TAIL_MAX = 2048,     /* of stderr, for error texts */
    CHUNK = 16384,       /* one read */
    READS_PER_TURN = 16, /* a flood must not hold up the loop */
};
#define KILL_WAIT_NS (2 * NSEC_PER_SEC)

struct proc {
    /* in abandoned, when freed before it was reaped; first, so that leak checkers see the whole */
    struct list link;
    struct loop *loop;
    struct proc_opts o; /* argv, envp, input are not valid after the start */
    pid_t pid;
    struct child_watch *watch; /* NULL when reaped */
    int out_fd, err_fd, exec_fd;
    struct io out, err;
    struct timer timer; /* the deadline; after the kill, when to give up waiting */
    size_t out_total;
    char tail[TAIL_MAX + 1];
    size_t tail_len;
    char *path;      /* owned; the program */
    char *wait_text; /* owned; NULL = "" */
    size_t wait_tree;
    enum proc_end how; /* why it was killed */
    bool killed, ended;
    unsigned busy; /* callbacks in progress */
    bool doomed;   /* proc_free() was called during one */
};

/* Freed by their owners but not dead yet.  Reachable from here, so that a process which ends before
 * them reports no leaks. */
static struct list abandoned = LIST_INIT(abandoned);

static void kill_group(const struct proc *p)
{
    (void)kill(-p->pid, SIGKILL);
    (void)kill(p->pid,
               SIGKILL); /* takes its PID namespace with it, should it have left its group */
}

static void close_pipes(struct proc *p)
{
    io_del(&p->out);
    io_del(&p->err);
    p->out_fd = fd_close(p->out_fd);
    p->err_fd = fd_close(p->err_fd);
}

static void destroy(struct proc *p)
{
    close_pipes(p);
    timer_stop(&p->timer);
    p->exec_fd = fd_close(p->exec_fd);
    free(p->path);
    free(p->wait_text);
    free(p);
}

static void abandon(struct proc *p)
{
    close_pipes(p);
    timer_stop(&p->timer);
    if (!p->watch) {
        destroy(p);
        return;
    }
    p->exec_fd = fd_close(p->exec_fd);
    kill_group(p);
    list_append(&abandoned, &p->link);
}

static void enter(struct proc *p)
{
    p->busy++;
}

static void leave(struct proc *p)
{
    if (--p->busy == 0 && p->doomed)
        abandon(p);
}

/* the last call that may touch p, unless the caller holds it with enter() */
static void finish(struct proc *p, enum proc_end how, int status)
{
    timer_stop(&p->timer);
    close_pipes(p);
    p->ended = true;
    if (!p->doomed && p->o.on_end)
        p->o.on_end(p->o.arg, how, status, p->tail);
}

/* --- output --- */

static void tail_add(struct proc *p, const char *s, size_t n)
{
    if (n > TAIL_MAX) {
        s += n - TAIL_MAX;
        n = TAIL_MAX;
    }
    if (p->tail_len + n > TAIL_MAX) {
        size_t drop = p->tail_len + n - TAIL_MAX;

        memmove(p->tail, p->tail + drop, p->tail_len - drop);
        p->tail_len -= drop;
    }
    memcpy(p->tail + p->tail_len, s, n);
    p->tail_len += n;
    p->tail[p->tail_len] = 0;
}

static void kill_because(struct proc *p, enum proc_end how)
{
    if (p->killed || !p->watch)
        return;
    p->killed = true;
    p->how = how;
    kill_group(p);
    timer_set(&p->timer, KILL_WAIT_NS);
}

/* reads once; false when there is nothing more for now, or ever */
static bool read_err(struct proc *p)
{
    char chunk[CHUNK];
    ssize_t n = p->err_fd < 0 ? -1 : read(p->err_fd, chunk, sizeof(chunk));

    if (n > 0)
        tail_add(p, chunk, (size_t)n);
    else if (p->err_fd >= 0 && (n == 0 || (errno != EAGAIN && errno != EINTR))) {
        io_del(&p->err);
        p->err_fd = fd_close(p->err_fd);
    }
    return n > 0;
}

static bool read_out(struct proc *p)
{
    uint8_t chunk[CHUNK];
    ssize_t n = p->out_fd < 0 ? -1 : read(p->out_fd, chunk, sizeof(chunk));

    if (p->out_fd < 0)
        return false;
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        io_del(&p->out);
        p->out_fd = fd_close(p->out_fd);
        return false;
    }
    if (n < 0)
        return false;
    if ((size_t)n > p->o.output_max - p->out_total) {
        io_del(&p->out);
        p->out_fd = fd_close(p->out_fd);
        if (!p->killed && !p->watch) { /* it has ended already: there is nothing to kill */
            p->killed = true;
            p->how = PROC_TOO_MUCH;
        }
        kill_because(p, PROC_TOO_MUCH);
        return false;
    }
    p->out_total += (size_t)n;
    if (p->o.on_output)
        p->o.on_output(p->o.arg, chunk, (size_t)n);
    return !p->doomed;
}

static void on_out(void *arg, uint32_t revents)
{
    struct proc *p = arg;

    (void)revents;
    enter(p);
    for (int i = 0; i < READS_PER_TURN && read_out(p); i++)
        ;
    leave(p);
}

static void on_err(void *arg, uint32_t revents)
{
    struct proc *p = arg;

    (void)revents;
    enter(p);
    for (int i = 0; i < READS_PER_TURN && read_err(p); i++)
        ;
    leave(p);
}

/* --- the end --- */

static void remember_wait(struct proc *p)
{
    char *text = proc_describe_wait(p->pid);

    if (!p->killed)
        p->wait_tree = proc_count_tree(p->pid);
    if (*text || !p->wait_text) {
        free(p->wait_text);
        p->wait_text = text;
    } else {
        free(text);
    }
}

static void on_timer(void *arg)
{
    struct proc *p = arg;

    remember_wait(p);
    if (!p->killed) {
        kill_because(p, PROC_TIMED_OUT);
        return;
    }
    enter(p);
    finish(p, PROC_HUNG, 0);
    leave(p);
}

/* the program never ran: then its stderr is empty, and what exec said is put there */
static bool not_run(struct proc *p, int wait_status, int *ret_errno)
{
    struct err e = {0};
    int r;

    if (!WIFEXITED(wait_status) || WEXITSTATUS(wait_status) != SPAWN_EXIT_NOT_RUN)
        return false;
    r = spawn_error(p->exec_fd);
    if (r == 0)
        return false;
    (void)err_errno(&e, r, "cannot run %s", p->path);
    tail_add(p, e.text, strlen(e.text));
    *ret_errno = -r;
    return true;
}

static void end_of(struct proc *p, int wait_status)
{
    int error = 0;

    /* a pipe holds less; who escaped may fill it without end */
    for (int i = 0; i < READS_PER_TURN && read_err(p); i++)
        ;
    while (!p->doomed && read_out(p)) /* at most output_max */
        ;
    if (not_run(p, wait_status, &error))
        finish(p, PROC_NOT_RUN, error);
    else if (WIFEXITED(wait_status))
        finish(p, p->killed ? p->how : PROC_EXITED, WEXITSTATUS(wait_status));
    else
        finish(p, p->killed ? p->how : PROC_SIGNALED, WTERMSIG(wait_status));
}

static void on_reaped(void *arg, pid_t pid, int wait_status)
{
    struct proc *p = arg;

    (void)pid;
    p->watch = NULL;
    kill_group(p); /* what it left behind; the number is ours until the loop has reaped it */
    if (p->link.next) {
        list_remove(&p->link);
        destroy(p);
        return;
    }
    enter(p);
    if (!p->ended)
        end_of(p, wait_status);
    else if (p->o.on_gone)
        p->o.on_gone(p->o.arg);
    leave(p);
}

pid_t proc_pid(const struct proc *p)
{
    return p->pid;
}

const char *proc_wait_text(const struct proc *p)
{
    return p->wait_text ? p->wait_text : "";
}

size_t proc_wait_tree(const struct proc *p)
{
    return p->wait_tree;
}

void proc_set_deadline(struct proc *p, uint64_t in_ns)
{
    if (!p->killed && !p->ended)
        timer_set(&p->timer, in_ns);
}

struct proc *proc_free(struct proc *p)
{
    if (!p)
        return NULL;
    p->doomed = true;
    if (p->watch)
        kill_group(p);
    if (p->busy == 0)
        abandon(p);
    return NULL;
}

static int proc_watch(struct proc *p)
{
    int r;

    r = io_add(p->loop, &p->out, p->out_fd, EPOLLIN, "child output", on_out, p);
    if (r < 0)
        return r;
    r = io_add(p->loop, &p->err, p->err_fd, EPOLLIN, "child errors", on_err, p);
    if (r < 0)
        return r;
    return loop_on_child(p->loop, p->pid, on_reaped, p, &p->watch);
}

int proc_start(struct loop *l, const struct proc_opts *o, struct proc **ret, struct err *e)
{
    struct spawned child;
    struct proc *p;
    int r = spawn_child(o, &child);

    if (r < 0)
        return err_errno(e, r, "cannot start a process for %s", o->argv[0]);
    p = xnew0(struct proc);
    p->loop = l;
    p->o = *o;
    p->pid = child.pid;
    p->out_fd = child.out_fd;
    p->err_fd = child.err_fd;
    p->exec_fd = child.exec_fd;
    p->path = xstrdup(o->argv[0]);
    timer_init(l, &p->timer, "child deadline", on_timer, p);
    r = proc_watch(p);
    if (r < 0) {
        kill_group(p);
        (void)waitpid(p->pid, NULL, 0);
        destroy(p);
        return err_errno(e, r, "cannot watch %s", o->argv[0]);
    }
    if (o->deadline_ns)
        timer_set(&p->timer, o->deadline_ns);
    *ret = p;
    return 0;
}
