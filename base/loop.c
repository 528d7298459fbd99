#include "base/loop.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "base/clock.h"

enum {
    IO_BATCH = 256,    /* sockets handled per turn of the nested epoll */
    TIMER_BATCH = 256, /* timers fired per turn, so that a stampede leaves room for sockets */
    DEFER_BATCH = 1024,
    TIMER_ACCURACY_USEC = 1, /* 0 would mean 250 ms to sd-event */
};
/* of one turn's sockets, timers or defers; what is left comes in the next, behind the others */
#define TURN_NS (2 * NSEC_PER_MSEC)

struct signal_watch {
    struct signal_watch *next;
    void (*fn)(void *arg, int signo);
    void *arg;
};

struct loop {
    sd_event *event;
    int epoll_fd;
    sd_event_source *epoll_source;
    sd_event_source *timer_source;
    sd_event_source *defer_source;
    int defer_fd;     /* eventfd; not sd-event's own kind for this, which goes before all others */
    bool defer_awake; /* defer_fd is readable */
    bool busy;        /* who runs now looks after defers at its end */
    struct timer **heap; /* binary min-heap by at_ns */
    size_t n_heap, cap_heap;
    uint64_t armed_ns;                           /* what timer_source is set to; 0 = off */
    uint64_t late_ns;                            /* when on_late is called */
    void (*on_late)(void *arg, uint64_t due_ns); /* may be NULL */
    void *late_arg;
    uint64_t mark_ns; /* when the last callback returned */
    struct loop_slow slow;
    struct list defers;
    struct signal_watch *signals;
    struct epoll_event batch[IO_BATCH]; /* events being dispatched: io_del() blanks them */
    int batch_at, batch_n;              /* the next of them, how many */
};

static void log_sd_failure(const char *what, int r)
{
    /* ESTALE: the loop has ended and its owners put their things away */
    if (r < 0 && r != -ESTALE)
        (void)fprintf(stderr, "event loop: %s: %s\n", what, strerror(-r));
}

/* --- how long callbacks take --- */

/* a callback has returned; what is measured begins at mark_ns */
static void callback_ran(struct loop *l, const char *name)
{
    uint64_t now = clock_boot_ns(), took = now - l->mark_ns;

    l->mark_ns = now;
    if (took <= SLOW_CALLBACK_NS)
        return;
    l->slow.n++;
    if (took <= l->slow.longest_ns)
        return;
    l->slow.longest_ns = took;
    l->slow.name = name;
}

void loop_slow(struct loop *l, struct loop_slow *ret)
{
    *ret = l->slow;
    l->slow.longest_ns = 0;
    l->slow.name = NULL;
}

uint64_t loop_slow_count(const struct loop *l)
{
    return l->slow.n;
}

/* --- timers --- */

static void heap_place(struct loop *l, size_t i, struct timer *t)
{
    l->heap[i] = t;
    t->slot = i + 1;
}

static void heap_up(struct loop *l, size_t i)
{
    struct timer *t = l->heap[i];

    while (i > 0 && l->heap[(i - 1) / 2]->at_ns > t->at_ns) {
        heap_place(l, i, l->heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    heap_place(l, i, t);
}

static void heap_down(struct loop *l, size_t i)
{
    struct timer *t = l->heap[i];

    for (;;) {
        size_t k = 2 * i + 1;

        if (k >= l->n_heap)
            break;
        if (k + 1 < l->n_heap && l->heap[k + 1]->at_ns < l->heap[k]->at_ns)
            k++;
        if (l->heap[k]->at_ns >= t->at_ns)
            break;
        heap_place(l, i, l->heap[k]);
        i = k;
    }
    heap_place(l, i, t);
}

uint64_t loop_next_timer(const struct loop *l)
{
    return l->n_heap ? l->heap[0]->at_ns : UINT64_MAX;
}

size_t loop_timers(const struct loop *l)
{
    return l->n_heap;
}

static void arm_timer_source(struct loop *l)
{
    uint64_t at = loop_next_timer(l);

    if (at == UINT64_MAX) {
        if (l->armed_ns)
            log_sd_failure("timer off", sd_event_source_set_enabled(l->timer_source, SD_EVENT_OFF));
        l->armed_ns = 0;
        return;
    }
    if (at == 0)
        at = 1;
    if (l->armed_ns == at)
        return;
    /* rounded up, else the timer fires up to a microsecond early and finds nothing due */
    log_sd_failure("timer", sd_event_source_set_time(l->timer_source, (at + 999) / 1000));
    log_sd_failure("timer on", sd_event_source_set_enabled(l->timer_source, SD_EVENT_ONESHOT));
    l->armed_ns = at;
}

void timer_init(struct loop *l, struct timer *t, const char *name, void (*fn)(void *arg), void *arg)
{
    *t = (struct timer){.name = name, .fn = fn, .arg = arg, .loop = l};
}

static void heap_remove(struct timer *t)
{
    struct loop *l = t->loop;
    size_t i = t->slot - 1;
    struct timer *last = l->heap[--l->n_heap];

    t->slot = 0;
    if (last == t)
        return;
    heap_place(l, i, last);
    heap_up(l, i);
    heap_down(l, last->slot - 1);
}

void timer_set_at(struct timer *t, uint64_t at_ns)
{
    struct loop *l = t->loop;

    t->at_ns = at_ns;
    if (t->slot == 0) {
        if (l->n_heap == l->cap_heap) {
            l->cap_heap = l->cap_heap ? l->cap_heap * 2 : 16;
            l->heap = xrealloc(l->heap, l->cap_heap, sizeof(struct timer *));
        }
        heap_place(l, l->n_heap++, t);
        heap_up(l, l->n_heap - 1);
    } else {
        heap_up(l, t->slot - 1);
        heap_down(l, t->slot - 1);
    }
    if (l->heap[0]->at_ns != l->armed_ns)
        arm_timer_source(l);
}

void timer_set(struct timer *t, uint64_t in_ns)
{
    uint64_t at;

    if (__builtin_add_overflow(clock_boot_ns(), in_ns, &at))
        at = UINT64_MAX - 1;
    timer_set_at(t, at);
}

void timer_stop(struct timer *t)
{
    if (t->slot == 0)
        return;
    heap_remove(t);
    /* the source may now fire too early once; that is cheaper than moving it each time */
}

void loop_on_late(struct loop *l, uint64_t more_than_ns, void (*fn)(void *arg, uint64_t due_ns),
                  void *arg)
{
    l->late_ns = more_than_ns;
    l->on_late = fn;
    l->late_arg = arg;
}

static void tell_late(struct loop *l, uint64_t now)
{
    uint64_t due = loop_next_timer(l);

    if (l->on_late && due < now && now - due > l->late_ns)
        l->on_late(l->late_arg, due);
}

size_t loop_run_due(struct loop *l)
{
    uint64_t now = clock_boot_ns(), end = now + TURN_NS;
    size_t n = 0;

    tell_late(l, now);
    l->mark_ns = now;
    while (n < TIMER_BATCH && l->n_heap && l->heap[0]->at_ns <= now && l->mark_ns <= end) {
        struct timer *t = l->heap[0];
        const char *name = t->name;

        heap_remove(t);
        t->fn(t->arg);
        callback_ran(l, name);
        n++;
    }
    return n;
}

static void run_fresh_defers(struct loop *l);

static int on_timer(sd_event_source *s, uint64_t usec, void *arg)
{
    struct loop *l = arg;

    (void)s;
    (void)usec;
    l->armed_ns = 0;
    l->busy = true;
    (void)loop_run_due(l);
    run_fresh_defers(l);
    arm_timer_source(l);
    return 0;
}

/* --- sockets --- */

int io_add(struct loop *l, struct io *io, int fd, uint32_t events, const char *name,
           void (*fn)(void *arg, uint32_t revents), void *arg)
{
    struct epoll_event ev = {.events = events, .data.ptr = io};

    if (epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0)
        return -errno;
    *io = (struct io){.fd = fd, .events = events, .name = name, .fn = fn, .arg = arg, .loop = l};
    return 0;
}

void io_set(struct io *io, uint32_t events)
{
    struct epoll_event ev = {.events = events, .data.ptr = io};

    if (!io->loop || io->events == events)
        return;
    if (epoll_ctl(io->loop->epoll_fd, EPOLL_CTL_MOD, io->fd, &ev) < 0)
        log_sd_failure("epoll_ctl", -errno);
    io->events = events;
}

void io_del(struct io *io)
{
    struct loop *l = io->loop;

    if (!l)
        return;
    (void)epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, io->fd, NULL);
    for (int i = l->batch_at; i < l->batch_n; i++)
        if (l->batch[i].data.ptr == io)
            l->batch[i].data.ptr = NULL;
    io->loop = NULL;
    io->fd = -1;
}

/* What a turn had no time for comes first in the next one: the kernel would offer sockets that are
 * ready again in the same order, and those at the end never had their turn. */
static int on_epoll(sd_event_source *s, int fd, uint32_t revents, void *arg)
{
    struct loop *l = arg;
    uint64_t end;
    int n;

    (void)s;
    (void)revents;
    if (l->batch_at == l->batch_n) {
        n = epoll_wait(fd, l->batch, IO_BATCH, 0);
        if (n < 0)
            return errno == EINTR ? 0 : -errno;
        l->batch_at = 0;
        l->batch_n = n;
    }
    l->mark_ns = clock_boot_ns();
    end = l->mark_ns + TURN_NS;
    l->busy = true;
    while (l->batch_at < l->batch_n && l->mark_ns <= end) {
        const struct epoll_event *ev = &l->batch[l->batch_at++];
        struct io *io = ev->data.ptr;
        const char *name = io ? io->name : NULL;
        uint32_t events = io ? ev->events & (io->events | EPOLLERR | EPOLLHUP) : 0;

        if (!events)
            continue;
        io->fn(io->arg, events);
        callback_ran(l, name);
    }
    run_fresh_defers(l);
    return 0;
}

/* --- defer --- */

void defer_init_named(struct loop *l, struct defer *d, const char *name, void (*fn)(void *arg),
                      void *arg)
{
    *d = (struct defer){.name = name, .fn = fn, .arg = arg, .loop = l};
    list_init(&d->link);
}

static void wake_defers(struct loop *l)
{
    uint64_t one = 1;

    if (l->defer_awake || l->busy)
        return;
    (void)!write(l->defer_fd, &one, sizeof(one));
    l->defer_awake = true;
}

void defer_set(struct defer *d)
{
    if (!list_empty(&d->link))
        return;
    list_append(&d->loop->defers, &d->link);
    wake_defers(d->loop);
}

void defer_stop(struct defer *d)
{
    if (d->loop)
        list_remove(&d->link);
}

/* moves all of from in front of what is in to */
static void list_prepend_all(struct list *to, struct list *from)
{
    if (list_empty(from))
        return;
    from->prev->next = to->next;
    to->next->prev = from->prev;
    to->next = from->next;
    from->next->prev = to;
    list_init(from);
}

/* what is set meanwhile comes in the next turn, behind sockets and timers */
static void run_defers(struct loop *l)
{
    struct list due = LIST_INIT(due);
    uint64_t end;

    l->busy = true;
    list_prepend_all(&due, &l->defers);
    l->mark_ns = clock_boot_ns();
    end = l->mark_ns + TURN_NS;
    for (int i = 0; i < DEFER_BATCH && !list_empty(&due) && l->mark_ns <= end; i++) {
        struct defer *d = list_first(&due, struct defer, link);
        const char *name = d->name;

        list_remove(&d->link);
        d->fn(d->arg);
        callback_ran(l, name);
    }
    list_prepend_all(&l->defers, &due);
    l->busy = false;
}

/* What sockets or timers have just set runs right behind them: most answers to requests do, and are
 * spared the way through the kernel.  Unless others wait for their turn already. */
static void run_fresh_defers(struct loop *l)
{
    if (!l->defer_awake)
        run_defers(l);
    l->busy = false;
    if (!list_empty(&l->defers))
        wake_defers(l);
}

static int on_defer(sd_event_source *s, int fd, uint32_t revents, void *arg)
{
    struct loop *l = arg;
    uint64_t n;

    (void)s;
    (void)revents;
    run_defers(l);
    if (list_empty(&l->defers)) {
        (void)!read(fd, &n, sizeof(n));
        l->defer_awake = false;
    }
    return 0;
}

/* --- signals, children --- */

void loop_block_signals(void)
{
    sigset_t set;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGCHLD);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGHUP);
    (void)sigaddset(&set, SIGPIPE); /* writes to a closed socket answer EPIPE */
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
}

static int on_signal(sd_event_source *s, const struct signalfd_siginfo *si, void *arg)
{
    struct signal_watch *w = arg;

    (void)s;
    w->fn(w->arg, (int)si->ssi_signo);
    return 0;
}

int loop_on_signal(struct loop *l, int signo, void (*fn)(void *arg, int signo), void *arg)
{
    struct signal_watch *w = xnew0(struct signal_watch);
    int r;

    w->fn = fn;
    w->arg = arg;
    w->next = l->signals;
    l->signals = w;
    r = sd_event_add_signal(l->event, NULL, signo, on_signal, w);
    return r < 0 ? r : 0;
}

/* --- the loop itself --- */

static int loop_setup(struct loop *l)
{
    int r;

    r = sd_event_new(&l->event);
    if (r < 0)
        return r;
    l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (l->epoll_fd < 0)
        return -errno;
    r = sd_event_add_io(l->event, &l->epoll_source, l->epoll_fd, EPOLLIN, on_epoll, l);
    if (r < 0)
        return r;
    r = sd_event_add_time(l->event, &l->timer_source, CLOCK_BOOTTIME, 0, TIMER_ACCURACY_USEC,
                          on_timer, l);
    if (r < 0)
        return r;
    r = sd_event_source_set_enabled(l->timer_source, SD_EVENT_OFF);
    if (r < 0)
        return r;
    l->defer_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (l->defer_fd < 0)
        return -errno;
    r = sd_event_add_io(l->event, &l->defer_source, l->defer_fd, EPOLLIN, on_defer, l);
    (void)sd_event_source_set_description(l->epoll_source, "sockets");
    (void)sd_event_source_set_description(l->timer_source, "timers");
    return r < 0 ? r : 0;
}

int loop_new(struct loop **ret)
{
    struct loop *l = xnew0(struct loop);
    int r;

    l->epoll_fd = l->defer_fd = -1;
    list_init(&l->defers);
    r = loop_setup(l);
    if (r < 0) {
        (void)loop_free(l);
        return r;
    }
    *ret = l;
    return 0;
}

struct loop *loop_free(struct loop *l)
{
    if (!l)
        return NULL;
    loop_children_drop(l);
    (void)sd_event_source_disable_unref(l->epoll_source);
    (void)sd_event_source_disable_unref(l->timer_source);
    (void)sd_event_source_disable_unref(l->defer_source);
    (void)sd_event_unref(l->event);
    l->epoll_fd = fd_close(l->epoll_fd);
    l->defer_fd = fd_close(l->defer_fd);
    while (l->signals) {
        struct signal_watch *w = l->signals;

        l->signals = w->next;
        free(w);
    }
    free(l->heap);
    free(l);
    return NULL;
}

int loop_run(struct loop *l)
{
    return sd_event_loop(l->event);
}

void loop_quit(struct loop *l, int code)
{
    (void)sd_event_exit(l->event, code);
}

int loop_turn(struct loop *l, uint64_t max_wait_ns)
{
    int r = sd_event_run(l->event, max_wait_ns == UINT64_MAX ? UINT64_MAX : max_wait_ns / 1000);

    return r < 0 ? r : 0;
}

struct sd_event *loop_sd(struct loop *l)
{
    return l->event;
}

void loop_notify(const char *fmt, ...)
{
    _cleanup_free_ char *text = NULL;
    va_list ap;

    va_start(ap, fmt);
    text = xvasprintf(fmt, ap);
    va_end(ap);
    (void)sd_notify(0, text);
}

void loop_watchdog(struct loop *l)
{
    log_sd_failure("watchdog", sd_event_set_watchdog(l->event, 1));
}
