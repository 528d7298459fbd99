#include "fingerprint/run.h"

#include <string.h>

#include "base/list.h"
#include "base/rand.h"
#include "base/str.h"
#include "base/vec.h"
#include "fingerprint/group.h"

enum {
    RETRY_SEC = 15,      /* the longest pause after a failure: costs 2 ms of work each */
    AFTER_HANG_SEC = 1,  /* when a child that hung is gone */
    LATE_MSEC = 200,     /* a fast probe needs 1 ms, on a very busy machine 50 */
    JITTER_PERCENT = 10, /* of a period, either way */
    SHARED_TRIES = 2,    /* children in a row that may end without any answer before each row gets
                            its own */
};

struct row {
    const struct probe *probe;
    enum probe_state state;
    struct fp *fp;      /* owned; last good result */
    struct fp *partial; /* owned; of the running or the last attempt */
    uint64_t partial_at_ns;
    bool stale;
    uint64_t fp_at_ns, tried_at_ns;
    int64_t took_us;
    char *reason;    /* owned; NULL = "" */
    uint64_t due_ns; /* UINT64_MAX = never */
    bool busy;       /* a child has yet to answer it, or hangs on it */
    bool again;      /* the configuration has changed since it was started */
    bool tried;      /* has had its first outcome */
    bool late;
    unsigned failures; /* in a row */
};

/* one child and what the plan needs to know of it */
struct turn {
    struct list link;
    struct probe_run *run;
    struct group *group;
    const struct probe **probes; /* owned array */
    struct row **rows;           /* owned array, the same order */
    size_t n;
    uint64_t from_ns;
    unsigned jitter_percent; /* 90 .. 110, the same for all so that they stay together */
    unsigned silent;         /* children before this one, in a row, that answered nothing */
    size_t at;               /* row that is due next */
    struct timer late;       /* fast rows: armed while one is due */
    struct row *hung;        /* the row that keeps it from ending */
};

struct probe_run {
    struct probe_run_opts o;
    struct row *rows; /* owned array */
    struct list turns;
    struct timer timer;
    bool first_done;
};

static void start_turn(struct probe_run *r, struct row **rows, size_t n, unsigned silent);

const char *probe_state_name(enum probe_state s)
{
    static const char *const names[] = {
        [PROBE_NEVER] = "never",     [PROBE_GOOD] = "good", [PROBE_FAILED] = "failed",
        [PROBE_TIMEOUT] = "timeout", [PROBE_HUNG] = "hung",
    };

    return s < ARRAY_LEN(names) ? names[s] : "?";
}

/* --- the plan --- */

static void plan(struct probe_run *r)
{
    uint64_t next = UINT64_MAX;

    for (size_t i = 0; i < r->o.n_rows; i++)
        if (!r->rows[i].busy)
            next = MIN(next, r->rows[i].due_ns);
    if (next == UINT64_MAX)
        timer_stop(&r->timer);
    else
        timer_set_at(&r->timer, next);
}

/* 1, 2, 4, 8, 15 seconds, at most the period */
static uint64_t retry_sec(const struct row *row)
{
    unsigned doublings = MIN(row->failures ? row->failures - 1 : 0, 16U);
    uint64_t period = row->probe->period_sec;

    return MIN(UINT64_C(1) << doublings, period ? MIN(period, RETRY_SEC) : RETRY_SEC);
}

static uint64_t next_due(const struct row *row, const struct turn *t)
{
    uint64_t sec = row->probe->period_sec;

    if (row->again)
        return clock_boot_ns();
    if (row->state == PROBE_GOOD)
        return sec ? t->from_ns + sec * NSEC_PER_SEC / 100 * t->jitter_percent : UINT64_MAX;
    return clock_boot_ns() + retry_sec(row) * NSEC_PER_SEC / 100 * t->jitter_percent;
}

static void on_timer(void *arg)
{
    struct probe_run *r = arg;
    struct row **fast = xnew0_n(struct row *, r->o.n_rows);
    uint64_t now = clock_boot_ns();
    size_t n = 0;

    for (size_t i = 0; i < r->o.n_rows; i++) {
        struct row *row = &r->rows[i];

        if (row->busy || row->due_ns > now)
            continue;
        if (row->probe->class == PROBE_FAST)
            fast[n++] = row;
        else
            start_turn(r, &row, 1, 0);
    }
    if (n > 0)
        start_turn(r, fast, n, 0);
    free(fast);
    plan(r);
}

/* --- outcomes --- */

static void notify(struct probe_run *r, const struct row *row)
{
    struct probe_status st;

    probe_run_status(r, (size_t)(row - r->rows), &st);
    if (r->o.on_change)
        r->o.on_change(r->o.arg, &st);
}

static void tell(struct probe_run *r, struct row *row)
{
    bool all = true;

    row->tried = true;
    row->late = false;
    notify(r, row);
    for (size_t i = 0; i < r->o.n_rows; i++)
        all = all && r->rows[i].tried;
    if (!all || r->first_done)
        return;
    r->first_done = true;
    if (r->o.on_first)
        r->o.on_first(r->o.arg);
}

static void set_outcome(struct row *row, enum probe_state state, const char *reason)
{
    row->state = state;
    row->failures = state == PROBE_GOOD ? 0 : row->failures + 1;
    str_set(&row->reason, reason);
    row->stale = state != PROBE_GOOD && row->fp;
}

static void keep(struct row *row, struct fp *take_fp)
{
    (void)fp_free(row->fp);
    row->fp = take_fp;
    row->fp_at_ns = clock_boot_ns();
}

/* A row that will not answer any more.  What it has sent so far counts when there is nothing older:
 * a last good result is whole. */
static void fail_row(struct turn *t, struct row *row, enum probe_state state, const char *reason)
{
    set_outcome(row, state, reason);
    row->took_us = (int64_t)((clock_boot_ns() - t->from_ns) / NSEC_PER_USEC);
    if (row->partial && !row->fp)
        keep(row, steal_ptr(&row->partial));
    if (row->partial_at_ns < t->from_ns)
        row->partial = fp_free(row->partial); /* of an attempt before this one */
    row->busy = state == PROBE_HUNG;
    row->due_ns = next_due(row, t);
    tell(t->run, row);
}

static void watch_late(struct turn *t)
{
    if (t->at < t->n && t->rows[t->at]->probe->class == PROBE_FAST)
        timer_set(&t->late, LATE_MSEC * NSEC_PER_MSEC);
    else
        timer_stop(&t->late);
}

/* The rows behind one that ended its child, or is late, go to another child; when children go on to
 * give no answer at all, each to its own: two bad rows, or a program that does nothing. */
static void hand_over(struct turn *t, size_t at)
{
    unsigned silent = at == 0 ? t->silent + 1 : 0;

    if (at + 1 >= t->n)
        return;
    if (silent < SHARED_TRIES) {
        start_turn(t->run, t->rows + at + 1, t->n - at - 1, silent);
        return;
    }
    for (size_t i = at + 1; i < t->n; i++)
        start_turn(t->run, &t->rows[i], 1, 0);
}

/* The child goes on with the row that is late; the others need not wait for it. */
static void on_late(void *arg)
{
    struct turn *t = arg;
    struct row *row = t->rows[t->at];

    hand_over(t, t->at);
    t->n = t->at + 1;
    group_limit(t->group, t->n);
    row->late = true;
    notify(t->run, row);
}

static void on_result(void *arg, size_t i, struct fp *take_fp)
{
    struct turn *t = arg;
    struct row *row = t->rows[i];

    (void)fp_free(row->partial);
    row->partial = NULL;
    if (take_fp->partial) {
        row->partial = take_fp;
        row->partial_at_ns = clock_boot_ns();
        return;
    }
    row->took_us = take_fp->took_us;
    if (take_fp->ok) {
        keep(row, take_fp);
        set_outcome(row, PROBE_GOOD, "");
    } else {
        set_outcome(row, PROBE_FAILED, take_fp->error);
        (void)fp_free(take_fp);
    }
    row->busy = false;
    row->due_ns = next_due(row, t);
    t->at = i + 1;
    watch_late(t);
    tell(t->run, row);
    plan(t->run);
}

/* --- children --- */

static void turn_free(struct turn *t)
{
    list_remove(&t->link);
    timer_stop(&t->late);
    (void)group_free(t->group);
    free(t->probes);
    free(t->rows);
    free(t);
}

static void on_end(void *arg, size_t at, enum probe_state state, const char *reason, bool ran)
{
    struct turn *t = arg;
    struct probe_run *r = t->run;

    timer_stop(&t->late);
    if (state == PROBE_HUNG && at == t->n)
        at--; /* it answered and then hung: still not to be started again */
    if (at < t->n) {
        if (state == PROBE_HUNG)
            t->hung = t->rows[at];
        fail_row(t, t->rows[at], state, reason);
        if (ran)
            hand_over(t, at);
        for (size_t i = at + 1; i < t->n && !ran; i++)
            fail_row(t, t->rows[i], state, reason);
    }
    if (!t->hung)
        turn_free(t);
    plan(r);
}

static void on_gone(void *arg)
{
    struct turn *t = arg;
    struct probe_run *r = t->run;

    t->hung->busy = false;
    t->hung->due_ns = clock_boot_ns() + AFTER_HANG_SEC * NSEC_PER_SEC;
    turn_free(t);
    plan(r);
}

static void start_turn(struct probe_run *r, struct row **rows, size_t n, unsigned silent)
{
    struct turn *t = xnew0(struct turn);
    struct err e = {0};
    struct group_opts o;

    t->run = r;
    t->n = n;
    t->rows = xmemdup(rows, n * sizeof(struct row *));
    t->probes = xnew0_n(const struct probe *, n);
    t->from_ns = clock_boot_ns();
    t->jitter_percent = 100 - JITTER_PERCENT + (unsigned)rand_below(2 * JITTER_PERCENT + 1);
    t->silent = silent;
    timer_init(r->o.loop, &t->late, "late probe", on_late, t);
    list_append(&r->turns, &t->link);
    for (size_t i = 0; i < n; i++) {
        t->probes[i] = rows[i]->probe;
        rows[i]->busy = true;
        rows[i]->again = false;
        rows[i]->tried_at_ns = t->from_ns;
    }
    o = (struct group_opts){
        .loop = r->o.loop,
        .probe_path = r->o.probe_path,
        .conf = r->o.conf,
        .rows = t->probes,
        .n_rows = n,
        .on_result = on_result,
        .on_end = on_end,
        .on_gone = on_gone,
        .arg = t,
    };
    if (group_start(&o, &t->group, &e) == 0) {
        watch_late(t);
        return;
    }
    for (size_t i = 0; i < n; i++)
        fail_row(t, t->rows[i], PROBE_FAILED, e.text);
    turn_free(t);
}

/* --- the outside --- */

struct probe_run *probe_run_new(const struct probe_run_opts *o)
{
    struct probe_run *r = xnew0(struct probe_run);

    r->o = *o;
    r->rows = xnew0_n(struct row, o->n_rows);
    list_init(&r->turns);
    timer_init(o->loop, &r->timer, "probes", on_timer, r);
    for (size_t i = 0; i < o->n_rows; i++) {
        r->rows[i].probe = o->rows[i];
        r->rows[i].due_ns = UINT64_MAX;
    }
    return r;
}

struct probe_run *probe_run_free(struct probe_run *r)
{
    if (!r)
        return NULL;
    timer_stop(&r->timer);
    list_for_each (t, &r->turns, struct turn, link)
        turn_free(t);
    for (size_t i = 0; i < r->o.n_rows; i++) {
        (void)fp_free(r->rows[i].fp);
        (void)fp_free(r->rows[i].partial);
        free(r->rows[i].reason);
    }
    free(r->rows);
    free(r);
    return NULL;
}

void probe_run_start(struct probe_run *r)
{
    uint64_t now = clock_boot_ns();

    for (size_t i = 0; i < r->o.n_rows; i++) {
        if (r->rows[i].busy)
            r->rows[i].again = true;
        else
            r->rows[i].due_ns = now;
    }
    plan(r);
}

void probe_run_set_conf(struct probe_run *r, const struct probe_conf *conf)
{
    r->o.conf = conf;
    probe_run_start(r);
}

size_t probe_run_count(const struct probe_run *r)
{
    return r->o.n_rows;
}

void probe_run_status(const struct probe_run *r, size_t i, struct probe_status *ret)
{
    const struct row *row = &r->rows[i];

    *ret = (struct probe_status){
        .name = row->probe->name,
        .class = row->probe->class,
        .state = row->state,
        .fp = row->fp,
        .partial = row->partial,
        .stale = row->stale,
        .late = row->late,
        .fp_at_ns = row->fp_at_ns,
        .tried_at_ns = row->tried_at_ns,
        .took_us = row->took_us,
        .reason = str_or_empty(row->reason),
    };
}
