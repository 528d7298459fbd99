#include "agent/stats.h"

#include <errno.h>
#include <string.h>

#include "agent/usage.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/proc.h"
#include "base/str.h"
#include "base/vec.h"
#include "codec/mp.h"
#include "codec/ops.h"

#define FRESH_NS        (1 * NSEC_PER_SEC)    /* an answer may be that old */
#define DISKS_FRESH_NS  (5 * NSEC_PER_SEC)    /* ... and its disks that old */
#define SAMPLE_MAX_NS   (60 * NSEC_PER_SEC)   /* older samples say nothing about now */
#define SAMPLE_PAUSE_NS (500 * NSEC_PER_MSEC) /* between a new pair */
#define DISKS_LIMIT_NS  (2 * NSEC_PER_SEC)    /* for all file systems */

struct stats {
    struct stats_opts o;
    int64_t total_mhz;
    struct usage_cpu *base; /* owned */
    size_t n_base;
    uint64_t base_ns; /* 0 = none */
    struct host_stats last;
    uint64_t last_ns, disks_ns; /* when they came; 0 = never */
    struct proc *proc;          /* the child at work, or one that hangs; NULL = none */
    bool hung;
    bool collecting;
    struct buf out;
    struct mp_frame frame;
    struct host_disk_stats *found; /* by the child at work */
    size_t n_found;
    char *problem;
    struct timer pause;
    struct list waiters;
};

/* --- the whole --- */

static void wake(struct stats *s)
{
    struct list ready = LIST_INIT(ready);

    while (!list_empty(&s->waiters)) {
        struct list *l = s->waiters.next;

        list_remove(l);
        list_append(&ready, l);
    }
    while (!list_empty(&ready)) {
        struct stats_wait *w = list_first(&ready, struct stats_wait, link);

        list_remove(&w->link);
        w->fn(w->arg);
    }
}

static void set_base(struct stats *s, struct usage_cpu *take_v, size_t n)
{
    free(s->base);
    s->base = take_v;
    s->n_base = n;
    s->base_ns = clock_boot_ns();
}

static void take_figures(struct stats *s)
{
    struct usage_cpu *now;
    size_t n = usage_cpus(s->o.root, &now);

    for (size_t i = 0; i < s->last.n_cpu; i++)
        ops_clear(&desc_host_cpu_stats, &s->last.cpu[i]);
    free(s->last.cpu);
    usage_fill_cpus(&s->last, s->base, s->n_base, now, n, s->total_mhz);
    set_base(s, now, n);
    usage_memory(s->o.root, s->last.memory);
    s->last.timestamp = clock_wall_ns();
    s->last.uptime = clock_boot_ns() / NSEC_PER_SEC;
    s->last_ns = clock_boot_ns();
}

static void finish(struct stats *s)
{
    if (!s->collecting || (s->proc && !s->hung) || timer_armed(&s->pause))
        return;
    s->collecting = false;
    take_figures(s);
    wake(s);
}

static void on_pause(void *arg)
{
    finish(arg);
}

/* --- disks --- */

static void drop_found(struct stats *s)
{
    for (size_t i = 0; i < s->n_found; i++)
        ops_clear(&desc_host_disk_stats, &s->found[i]);
    s->found = mem_free(s->found);
    s->n_found = 0;
}

static void on_output(void *arg, const uint8_t *p, size_t n)
{
    struct stats *s = arg;
    struct err e = {0};
    size_t len;

    buf_add(&s->out, p, n);
    while (mp_frame(&s->frame, s->out.p, s->out.len, PROBE_RECORD_MAX, &len) == 0) {
        struct host_disk_stats one = {0};

        if (mp_decode(&desc_host_disk_stats, s->out.p, len, &one, &e) < 0)
            ops_clear(&desc_host_disk_stats, &one);
        else
            *vec_add(&s->found, &s->n_found) = one;
        buf_drop(&s->out, len);
        s->frame = (struct mp_frame){0};
    }
}

static bool same_disk(const struct host_disk_stats *a, const struct host_disk_stats *b)
{
    return str_eq(a->mountpoint, b->mountpoint) && str_eq(a->device, b->device);
}

static bool was_found(const struct stats *s, const struct host_disk_stats *d)
{
    for (size_t i = 0; i < s->n_found; i++)
        if (same_disk(&s->found[i], d))
            return true;
    return false;
}

/* the last values of what did not answer this time */
static void keep_old(struct stats *s)
{
    for (size_t i = 0; i < s->last.n_disk_stats && s->n_found <= DISKS_MAX; i++)
        if (!was_found(s, &s->last.disk_stats[i]))
            ops_copy(&desc_host_disk_stats, vec_add(&s->found, &s->n_found),
                     &s->last.disk_stats[i]);
}

static void take_disks(struct stats *s, bool all)
{
    struct host_stats *l = &s->last;

    for (size_t i = 0; i < s->n_found; i++) {
        struct host_disk_stats *d = &s->found[i];

        if (!str_empty(d->mountpoint))
            continue;
        ops_clear(&desc_host_disk_stats, l->alloc_dir_stats);
        *l->alloc_dir_stats = *d;
        *d = s->found[--s->n_found];
        break;
    }
    if (!all)
        keep_old(s);
    for (size_t i = 0; i < l->n_disk_stats; i++)
        ops_clear(&desc_host_disk_stats, &l->disk_stats[i]);
    free(l->disk_stats);
    l->disk_stats = s->found ? s->found : xnew0(struct host_disk_stats); /* [], not null */
    l->n_disk_stats = s->n_found;
    s->found = NULL;
    s->n_found = 0;
    s->disks_ns = clock_boot_ns();
}

/* said once, when it begins: a disk that hangs is asked again and again */
static void set_problem(struct stats *s, const char *text)
{
    if (*text && !*s->problem)
        (void)log_warn(0, "not every file system answers, last figures are kept",
                       KV("reason", text));
    free(s->problem);
    s->problem = xstrdup(text);
}

static void on_end(void *arg, enum proc_end how, int status, const char *stderr_tail)
{
    struct stats *s = arg;
    bool all = how == PROC_EXITED && status == 0;
    _cleanup_free_ char *why = xstrdup(str_or_empty(stderr_tail));

    if (all)
        set_problem(s, "");
    else if (how == PROC_TIMED_OUT || how == PROC_HUNG)
        set_problem(s, *proc_wait_text(s->proc) ? proc_wait_text(s->proc) : "no answer in time");
    else
        set_problem(s, *str_trim(why) ? str_trim(why) : "the child that asks disks failed");
    s->hung = how == PROC_HUNG;
    if (!s->hung)
        s->proc = proc_free(s->proc);
    take_disks(s, all);
    finish(s);
}

static void on_gone(void *arg)
{
    struct stats *s = arg;

    s->hung = false;
    s->proc = proc_free(s->proc);
}

static void start_disks(struct stats *s)
{
    const char *argv[] = {s->o.probe_path, "-root", s->o.root, "-disks", s->o.alloc_dir, NULL};
    struct err e = {0};

    if (s->proc || (s->disks_ns && clock_boot_ns() - s->disks_ns < DISKS_FRESH_NS))
        return;
    drop_found(s);
    buf_reset(&s->out);
    s->frame = (struct mp_frame){0};
    if (proc_start(s->o.loop,
                   &(struct proc_opts){.argv = argv,
                                       .deadline_ns = DISKS_LIMIT_NS,
                                       .output_max = PROBE_RECORD_MAX,
                                       .on_output = on_output,
                                       .on_end = on_end,
                                       .on_gone = on_gone,
                                       .arg = s},
                   &s->proc, &e) < 0) {
        set_problem(s, e.text);
        s->disks_ns = clock_boot_ns();
    }
}

/* --- asking --- */

/* collects what takes time; true when there is nothing to wait for */
static bool collect(struct stats *s)
{
    uint64_t now = clock_boot_ns();

    if (s->collecting)
        return false;
    start_disks(s);
    if (now - s->base_ns > SAMPLE_MAX_NS) {
        struct usage_cpu *v;
        size_t n = usage_cpus(s->o.root, &v);

        set_base(s, v, n);
        timer_set(&s->pause, SAMPLE_PAUSE_NS);
    }
    s->collecting = true;
    if ((s->proc && !s->hung) || timer_armed(&s->pause))
        return false;
    finish(s);
    return true;
}

int stats_get(struct stats *s, struct stats_wait *w, const struct host_stats **ret)
{
    bool fresh = s->last_ns && clock_boot_ns() - s->last_ns < FRESH_NS;

    if ((fresh && !s->collecting) || collect(s)) {
        *ret = &s->last;
        return 0;
    }
    list_init(&w->link);
    list_append(&s->waiters, &w->link);
    return -EINPROGRESS;
}

void stats_cancel(struct stats_wait *w)
{
    if (w->link.next)
        list_remove(&w->link);
}

const struct host_stats *stats_last(struct stats *s)
{
    if (!s->collecting && clock_boot_ns() - s->last_ns >= FRESH_NS) {
        start_disks(s);
        take_figures(s); /* an average since the last time is what a reader of metrics wants */
    }
    return &s->last;
}

const char *stats_problem(const struct stats *s)
{
    return s->problem;
}

void stats_set_compute(struct stats *s, int64_t total_mhz)
{
    s->total_mhz = MAX(total_mhz, 0);
}

struct stats *stats_new(const struct stats_opts *o)
{
    struct stats *s = xnew0(struct stats);
    struct usage_cpu *v;
    size_t n;

    s->o = *o;
    s->out = BUF_INIT(PROBE_RECORD_MAX);
    s->problem = xstrdup("");
    s->last.memory = xnew0(struct host_memory_stats);
    s->last.alloc_dir_stats = xnew0(struct host_disk_stats);
    s->last.disk_stats = xnew0(struct host_disk_stats);
    s->last.cpu = xnew0(struct host_cpu_stats);
    list_init(&s->waiters);
    timer_init(o->loop, &s->pause, "cpu sample", on_pause, s);
    n = usage_cpus(s->o.root, &v);
    set_base(s, v, n);
    return s;
}

struct stats *stats_free(struct stats *s)
{
    if (!s)
        return NULL;
    timer_stop(&s->pause);
    s->proc = proc_free(s->proc);
    list_for_each (w, &s->waiters, struct stats_wait, link)
        list_remove(&w->link);
    drop_found(s);
    buf_done(&s->out);
    ops_clear(&desc_host_stats, &s->last);
    free(s->base);
    free(s->problem);
    return mem_free(s);
}
