#include "agent/clocks.h"

#include <errno.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/parse.h"
#include "base/str.h"

enum {
    JUMP_SEC = 1,        /* a wall clock that is set by less is being corrected, not set */
    SLEEP_SEC = 1,       /* a machine that slept */
    PAUSE_SEC = 2,       /* timers so late: a pause */
    PAUSE_EVENT_SEC = 5, /* worth an event */
    EVENT_EVERY_SEC = 60,
};

enum kind { KIND_JUMP, KIND_SLEEP, KIND_PAUSE, KIND_MAX };

/* what the kernel has booked for this process */
struct accounts {
    uint64_t cpu_ns;   /* used */
    uint64_t queue_ns; /* waited for a CPU */
    uint64_t faults;   /* page faults that read from a disk */
};

struct clocks {
    struct clocks_opts o;
    struct io io;
    int own_fd;        /* -1 = none */
    int64_t offset_ns; /* wall - boot */
    uint64_t slept_ns;
    struct accounts marked;
    uint64_t told_ns[KIND_MAX]; /* the last event of each kind; 0 = none */
};

static int64_t offset_now(void)
{
    return clock_wall_ns() - (int64_t)clock_boot_ns();
}

static double seconds(int64_t ns)
{
    return (double)ns / (double)NSEC_PER_SEC;
}

/* the second number of /proc/self/schedstat, in ns; 0 where the kernel keeps none */
static uint64_t queue_time(void)
{
    _cleanup_free_ char *line = NULL;
    char **v = NULL;
    uint64_t ns = 0;
    size_t n = 0;

    if (file_read_line("/proc/self/schedstat", &line) < 0)
        return 0;
    strv_split(line, " ", &v, &n);
    if (n < 2 || parse_u64(v[1], &ns) < 0)
        ns = 0;
    strv_done(&v, &n);
    return ns;
}

static struct accounts accounts_now(void)
{
    struct rusage u = {0};

    (void)getrusage(RUSAGE_SELF, &u);
    return (struct accounts){
        .cpu_ns = (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * NSEC_PER_SEC +
                  (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1000,
        .queue_ns = queue_time(),
        .faults = (uint64_t)u.ru_majflt,
    };
}

void clocks_mark(struct clocks *c)
{
    c->marked = accounts_now();
}

/* --- telling --- */

static void tell(struct clocks *c, enum kind kind, const char *message,
                 const struct strmap *details)
{
    uint64_t now = clock_boot_ns();

    if (c->told_ns[kind] && now - c->told_ns[kind] < EVENT_EVERY_SEC * NSEC_PER_SEC) {
        (void)log_warn(0, message);
        return;
    }
    c->told_ns[kind] = now;
    c->o.on_event(c->o.arg, message, details);
}

static void jumped(struct clocks *c, int64_t by_ns)
{
    _cleanup_free_ char *message =
        xasprintf("Clock jumped %s by %.1f s", by_ns < 0 ? "back" : "forward",
                  seconds(by_ns < 0 ? -by_ns : by_ns));
    _cleanup_strmap_ struct strmap details = {0};
    char before[GOTIME_TEXT_MAX];

    gotime_format(gotime_from_unix_ns(clock_wall_ns() - by_ns), before);
    strmap_setf(&details, "seconds", "%.3f", seconds(by_ns));
    strmap_set(&details, "would_be", before); /* the time it would be without */
    tell(c, KIND_JUMP, message, &details);
}

static void slept(struct clocks *c, uint64_t ns)
{
    _cleanup_free_ char *message = xasprintf("Machine slept for %.1f s", seconds((int64_t)ns));
    _cleanup_strmap_ struct strmap details = {0};

    strmap_setf(&details, "seconds", "%.3f", seconds((int64_t)ns));
    tell(c, KIND_SLEEP, message, &details);
    c->o.on_pause(c->o.arg, "slept", ns);
}

/* what the accounts say about a pause of so long */
static const char *pause_kind(const struct accounts *used, uint64_t ns)
{
    if (used->cpu_ns > ns / 2)
        return "busy";
    if (used->queue_ns > ns / 2)
        return "starved of CPU";
    if (used->faults > 0)
        return "stopped or waiting for memory from the disk";
    return "stopped";
}

static void paused(struct clocks *c, uint64_t ns)
{
    struct accounts now = accounts_now(), used;
    _cleanup_strmap_ struct strmap details = {0};
    _cleanup_free_ char *message = NULL;
    const char *how;

    used = (struct accounts){now.cpu_ns - c->marked.cpu_ns, now.queue_ns - c->marked.queue_ns,
                             now.faults - c->marked.faults};
    how = pause_kind(&used, ns);
    message = xasprintf("Agent was %s for %.1f s", how, seconds((int64_t)ns));
    strmap_setf(&details, "seconds", "%.3f", seconds((int64_t)ns));
    strmap_setf(&details, "cpu_seconds", "%.3f", seconds((int64_t)used.cpu_ns));
    strmap_setf(&details, "run_queue_seconds", "%.3f", seconds((int64_t)used.queue_ns));
    strmap_setf(&details, "page_faults_from_disk", "%llu", (unsigned long long)used.faults);
    c->marked = now;
    if (ns >= PAUSE_EVENT_SEC * NSEC_PER_SEC)
        tell(c, KIND_PAUSE, message, &details);
    else
        (void)log_warn(0, message);
    c->o.on_pause(c->o.arg, how, ns);
}

/* --- noticing --- */

/* how long the machine slept since we looked last */
static uint64_t look(struct clocks *c)
{
    int64_t offset = offset_now(), by = offset - c->offset_ns;
    uint64_t sum = clock_slept_ns(), ns = sum > c->slept_ns ? sum - c->slept_ns : 0;

    c->offset_ns = offset;
    c->slept_ns = sum;
    if (by >= JUMP_SEC * (int64_t)NSEC_PER_SEC || by <= -JUMP_SEC * (int64_t)NSEC_PER_SEC)
        jumped(c, by);
    if (ns < SLEEP_SEC * NSEC_PER_SEC)
        return 0;
    slept(c, ns);
    return ns;
}

static void arm(struct clocks *c)
{
    /* a moment that never comes: what ends the wait is that the clock is set */
    struct itimerspec never = {.it_value.tv_sec = INT64_C(1) << 40};

    if (timerfd_settime(c->own_fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, NULL) < 0)
        (void)log_warn(-errno, "cannot watch the clock");
}

static void on_set(void *arg, uint32_t revents)
{
    struct clocks *c = arg;
    uint64_t n;

    (void)revents;
    (void)!read(c->io.fd, &n, sizeof(n)); /* ECANCELED */
    if (c->own_fd >= 0)
        arm(c);
    (void)look(c);
}

static void on_late(void *arg, uint64_t due_ns)
{
    struct clocks *c = arg;
    uint64_t late = clock_boot_ns() - due_ns, asleep = look(c);

    if (late > asleep + PAUSE_SEC * NSEC_PER_SEC)
        paused(c, late - asleep);
}

/* --- life --- */

struct clocks *clocks_new(const struct clocks_opts *o)
{
    struct clocks *c = xnew0(struct clocks);
    int fd = o->set_fd;

    c->o = *o;
    c->own_fd = -1;
    c->offset_ns = offset_now();
    c->slept_ns = clock_slept_ns();
    clocks_mark(c);
    if (fd < 0)
        fd = c->own_fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    if (c->own_fd >= 0)
        arm(c);
    if (fd < 0 || io_add(o->loop, &c->io, fd, EPOLLIN, "clock set", on_set, c) < 0)
        (void)log_warn(0, "cannot watch the clock"); /* the rest works without */
    loop_on_late(o->loop, PAUSE_SEC * NSEC_PER_SEC, on_late, c);
    return c;
}

struct clocks *clocks_free(struct clocks *c)
{
    if (!c)
        return NULL;
    loop_on_late(c->o.loop, 0, NULL, NULL);
    io_del(&c->io);
    c->own_fd = fd_close(c->own_fd);
    return mem_free(c);
}
