#include "agent/stats.h"

#include <errno.h>
#include <string.h>

#include "agent/jobs.h"
#include "agent/usage.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/str.h"
#include "base/vec.h"
#include "codec/ops.h"

#define FRESH_NS        (1 * NSEC_PER_SEC)    /* an answer may be that old */
#define DISKS_FRESH_NS  (5 * NSEC_PER_SEC)    /* ... and its disks that old */
#define SAMPLE_MAX_NS   (60 * NSEC_PER_SEC)   /* older samples say nothing about now */
#define SAMPLE_PAUSE_NS (500 * NSEC_PER_MSEC) /* between a new pair */

struct stats {
    struct stats_opts o;
    int64_t total_mhz;
    struct usage_cpu *base; /* owned */
    size_t n_base;
    uint64_t base_ns; /* 0 = none */
    struct host_stats last;
    uint64_t last_ns, disks_ns; /* when they came; 0 = never */
    struct job job;             /* asks the file systems */
    bool collecting;
    struct host_disk_stats *found;
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

/* a child that hangs is not waited for */
static bool is_asking(const struct stats *s)
{
    return job_busy(&s->job) && !s->job.hung;
}

static void finish(struct stats *s)
{
    if (!s->collecting || is_asking(s) || timer_armed(&s->pause))
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

static void on_disks(void *arg, int r, const char *text, struct host_disk_stats *take_v, size_t n)
{
    struct stats *s = arg;

    drop_found(s);
    s->found = take_v;
    s->n_found = n;
    set_problem(s, text);
    take_disks(s, r == 0);
    finish(s);
}

static void start_disks(struct stats *s)
{
    if (job_busy(&s->job) || (s->disks_ns && clock_boot_ns() - s->disks_ns < DISKS_FRESH_NS))
        return;
    job_disks(&s->job, s->o.root, s->o.alloc_dir, on_disks);
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
    if (is_asking(s) || timer_armed(&s->pause))
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
    job_init(&s->job, o->loop, o->probe_path, s);
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
    job_done(&s->job);
    list_for_each (w, &s->waiters, struct stats_wait, link)
        list_remove(&w->link);
    drop_found(s);
    ops_clear(&desc_host_stats, &s->last);
    free(s->base);
    free(s->problem);
    return mem_free(s);
}
