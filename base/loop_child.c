/* Children, which belong to the whole process, whichever loop watches them. */
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <systemd/sd-event.h>

#include "base/list.h"
#include "base/loop.h"

struct child_watch {
    struct list link; /* in watched */
    pid_t pid;
    sd_event_source *source;
    void (*fn)(void *arg, pid_t pid, int wait_status);
    void *arg;
    bool ended; /* fn is running: what follows frees it */
};

static struct list watched = LIST_INIT(watched);
static struct {
    struct loop *loop; /* NULL: nobody asked for it */
    struct defer again;
} reaper;

static void watch_free(struct child_watch *w)
{
    list_remove(&w->link);
    (void)sd_event_source_disable_unref(w->source);
    free(w);
}

static int on_child(sd_event_source *s, const siginfo_t *si, void *arg)
{
    struct child_watch *w = arg;
    int status = si->si_code == CLD_EXITED ? si->si_status << 8 : si->si_status & 0x7f;

    (void)s;
    w->ended = true;
    w->fn(w->arg, si->si_pid, status);
    watch_free(w);
    if (reaper.loop)
        defer_set(&reaper.again); /* behind it there may be more */
    return 0;
}

int loop_on_child(struct loop *l, pid_t pid, void (*fn)(void *arg, pid_t pid, int wait_status),
                  void *arg, struct child_watch **ret)
{
    struct child_watch *w = xnew0(struct child_watch);
    int r;

    *w = (struct child_watch){.pid = pid, .fn = fn, .arg = arg};
    list_append(&watched, &w->link);
    r = sd_event_add_child(loop_sd(l), &w->source, pid, WEXITED, on_child, w);
    /* Not once: under a tracer the end is announced before the child can be reaped.  Off in between
     * because sd-event only then tells the kernel. */
    if (r >= 0)
        r = sd_event_source_set_enabled(w->source, SD_EVENT_OFF);
    if (r >= 0)
        r = sd_event_source_set_enabled(w->source, SD_EVENT_ON);
    if (r < 0) {
        watch_free(w);
        return r;
    }
    *ret = w;
    return 0;
}

struct child_watch *loop_child_cancel(struct child_watch *w)
{
    if (w && !w->ended) {
        watch_free(w);
    }
    return NULL;
}

void loop_children_drop(struct loop *l)
{
    list_for_each (w, &watched, struct child_watch, link)
        if (w->source && sd_event_source_get_event(w->source) == loop_sd(l))
            w->source = sd_event_source_disable_unref(w->source);
}

/* --- those of others --- */

static bool is_watched(pid_t pid)
{
    list_for_each (w, &watched, struct child_watch, link)
        if (w->pid == pid)
            return true;
    return false;
}

/* The kernel shows one that has ended at a time: a watched one is left to its watch, which comes
 * back here. */
static void reap(void *arg)
{
    siginfo_t si = {0};

    (void)arg;
    while (waitid(P_ALL, 0, &si, WEXITED | WNOHANG | WNOWAIT) == 0 && si.si_pid > 0 &&
           !is_watched(si.si_pid)) {
        (void)waitid(P_PID, (id_t)si.si_pid, &si, WEXITED | WNOHANG);
        si.si_pid = 0;
    }
}

static void on_sigchld(void *arg, int signo)
{
    (void)signo;
    reap(arg);
}

int loop_reap_orphans(struct loop *l)
{
    int r = loop_on_signal(l, SIGCHLD, on_sigchld, NULL);

    if (r < 0)
        return r;
    reaper.loop = l;
    defer_init(l, &reaper.again, reap, NULL);
    defer_set(&reaper.again); /* those of before */
    return 0;
}
