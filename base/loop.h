/* base/loop.h - the event loop.
 *
 * sd-event is the outer loop (signals, children, watchdog, one source each for the two things
 * below).  All sockets live in one nested epoll, because sd-event costs milliseconds per dispatch
 * with thousands of ready sources; all timers live in one heap behind a single sd-event timer on
 * CLOCK_BOOTTIME.  One thread; no callback may block.
 *
 * io, timer and defer are embedded in their owners and never allocate.  A callback may delete
 * its own or any other io, timer or defer.
 *
 * Depends on: base/clock, libsystemd.
 */
#pragma once

#include <sys/epoll.h>
#include <sys/types.h>

#include "base/list.h"
#include "base/mem.h"

struct loop;
struct sd_event;

/* make sure SIGCHLD, SIGTERM, SIGINT, SIGHUP are blocked before (loop_block_signals) */
int loop_new(struct loop **ret) _must_check_;
struct loop *loop_free(struct loop *l);
DEFINE_CLEANUP(struct loop, loop_free)
/* blocks the signals that the loop handles; the first thing main does */
void loop_block_signals(void);
/* runs until loop_quit(); returns its code, or negative errno */
int loop_run(struct loop *l) _must_check_;
void loop_quit(struct loop *l, int code);
/* one turn: waits at most max_wait_ns (UINT64_MAX = for ever) and dispatches what is ready */
int loop_turn(struct loop *l, uint64_t max_wait_ns) _must_check_;
struct sd_event *loop_sd(struct loop *l);

/* sockets and pipes */
struct io {
    int fd;
    uint32_t events;  /* EPOLLIN | EPOLLOUT in force */
    const char *name; /* borrowed, static text for diagnosis */
    void (*fn)(void *arg, uint32_t revents);
    void *arg;
    struct loop *loop; /* NULL while not added */
};
/* watches fd (not owned); events as epoll's, level-triggered */
int io_add(struct loop *l, struct io *io, int fd, uint32_t events, const char *name,
           void (*fn)(void *arg, uint32_t revents), void *arg) _must_check_;
void io_set(struct io *io, uint32_t events); /* changes what is waited for; cheap when the same */
void io_del(struct io *io);                  /* harmless when not added; before close(fd) */

/* timers */
struct timer {
    uint64_t at_ns;   /* CLOCK_BOOTTIME */
    size_t slot;      /* position in the heap + 1; 0 = not armed */
    const char *name; /* borrowed, static text */
    void (*fn)(void *arg);
    void *arg;
    struct loop *loop;
};
/* call once before the first timer_set() */
void timer_init(struct loop *l, struct timer *t, const char *name, void (*fn)(void *arg),
                void *arg);
void timer_set(struct timer *t, uint64_t in_ns); /* once, so long from now; re-arms */
void timer_set_at(struct timer *t, uint64_t at_ns);
void timer_stop(struct timer *t); /* harmless when not armed or never initialised */
static inline bool timer_armed(const struct timer *t)
{
    return t->slot != 0;
}

/* fn is told when timers fire more than so long after they were due, before any of them does: the
 * process was stopped or starved, the machine slept, or a callback took that long */
void loop_on_late(struct loop *l, uint64_t more_than_ns, void (*fn)(void *arg, uint64_t due_ns),
                  void *arg);

/* Callbacks that ran longer than SLOW_CALLBACK_NS: nobody else was served meanwhile.  The machine
 * may have been at fault, as may whoever stopped the process. */
#define SLOW_CALLBACK_NS (5 * NSEC_PER_MSEC)
struct loop_slow {
    uint64_t n;          /* since the start */
    uint64_t longest_ns; /* since the last look */
    const char *name; /* of the longest: of its io or timer, or a deferred function; NULL: none */
};
/* looks, and begins the longest anew */
void loop_slow(struct loop *l, struct loop_slow *ret);
uint64_t loop_slow_count(const struct loop *l);

/* "call this as soon as the current callback has returned" */
struct defer {
    struct list link;
    const char *name; /* static text */
    void (*fn)(void *arg);
    void *arg;
    struct loop *loop;
};
#define defer_init(l, d, fn, arg) defer_init_named((l), (d), #fn, (fn), (arg))
void defer_init_named(struct loop *l, struct defer *d, const char *name, void (*fn)(void *arg),
                      void *arg);
void defer_set(struct defer *d); /* harmless when set already */
void defer_stop(struct defer *d);

/* signals and children; the callback stays until the loop is freed */
int loop_on_signal(struct loop *l, int signo, void (*fn)(void *arg, int signo),
                   void *arg) _must_check_;
/* watches one child through a pidfd and reaps it; fn is called once.  Cancel with
 * loop_child_cancel() (the child then stays for the caller to reap). */
struct child_watch;
int loop_on_child(struct loop *l, pid_t pid, void (*fn)(void *arg, pid_t pid, int wait_status),
                  void *arg, struct child_watch **ret) _must_check_;
struct child_watch *loop_child_cancel(struct child_watch *w); /* NULL-safe, returns NULL */
/* Of loop_free(): children that have not ended are not watched any more, else they would keep the
 * descriptors of the loop.  Their watches stay to be cancelled. */
void loop_children_drop(struct loop *l);
/* For who is the first process of a container, to whom all orphans come: reaps children that
 * nobody watches.  SIGCHLD must be blocked; for one loop, until the process ends. */
int loop_reap_orphans(struct loop *l) _must_check_;

/* sd_notify: READY=1, STATUS=..., STOPPING=1; nothing happens outside systemd */
void loop_notify(const char *fmt, ...) _printf_(1, 2);
/* switches the watchdog on when systemd asked for it */
void loop_watchdog(struct loop *l);

/* tests with clock_fake(): fires what is due at the fake time, in order; returns how many */
size_t loop_run_due(struct loop *l);
/* time of the earliest timer, UINT64_MAX when none is armed */
uint64_t loop_next_timer(const struct loop *l);
/* how many are armed */
size_t loop_timers(const struct loop *l);
