#include "fingerprint/run.h"

#include <string.h>

#include "base/list.h"
#include "base/rand.h"
#include "base/str.h"
#include "base/vec.h"
#include "fingerprint/group.h"
#include "fingerprint/run_rows.h"

enum {
    AFTER_HANG_SEC = 1,  /* when a child that hung is gone */
    LATE_MSEC = 200,     /* a fast probe needs 1 ms, on a very busy machine 50 */
    JITTER_PERCENT = 10, /* of a period, either way */
    SHARED_TRIES = 2,    /* children in a row that may end without any answer before each row gets
                            its own */
    EACH_CHILDREN = 64, /* of rows for host volumes, most of them hanging: 1 MB and 3 descriptors */
};

/* one child and what the plan needs to know of it */
struct turn {
    struct list link;
    struct probe_run *run;
    struct group *group;
    const struct probe **probes; /* owned array */
    struct row **rows;           /* owned array of counted rows, the same order */
    size_t n;                    /* those that are its own */
    size_t n_held;               /* all that it began with */
    uint64_t from_ns;
    unsigned jitter_percent; /* 90 .. 110, the same for all so that they stay together */
    unsigned silent;         /* children before this one, in a row, that answered nothing */
    size_t at;               /* row that is due next */
    struct timer late;       /* fast rows: armed while one is due */
    struct row *hung;        /* the row that keeps it from ending */
};

struct probe_run {
    struct probe_run_opts o;
    struct row_list rows, leaving;
    struct list turns;
    struct timer timer;
    bool first_done;
};

static void start_turn(struct probe_run *r, struct row **rows, size_t n, unsigned silent);
static void check_first(struct probe_run *r);

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

    if (r->rows.n == 0 && !r->first_done)
        next = clock_boot_ns();
    for (size_t i = 0; i < r->rows.n; i++)
        if (!r->rows.v[i]->busy)
            next = MIN(next, r->rows.v[i]->due_ns);
    if (next == UINT64_MAX)
        timer_stop(&r->timer);
    else
        timer_set_at(&r->timer, next);
}

static uint64_t next_due(const struct row *row, const struct turn *t)
{
    uint64_t sec = row->probe.period_sec;

    if (row->again)
        return clock_boot_ns();
    if (row->state == PROBE_GOOD)
        return sec ? t->from_ns + sec * NSEC_PER_SEC / 100 * t->jitter_percent : UINT64_MAX;
    return clock_boot_ns() + row_retry_sec(row) * NSEC_PER_SEC / 100 * t->jitter_percent;
}

/* those of that class that are due, in one child each or all in one */
static void start_due(struct probe_run *r, enum probe_class class, uint64_t now)
{
    struct row **due = xnew0_n(struct row *, r->rows.n);
    size_t n = 0;

    for (size_t i = 0; i < r->rows.n; i++) {
        struct row *row = r->rows.v[i];

        if (row->probe.class == class && !row->busy && row->due_ns <= now)
            due[n++] = row;
    }
    for (size_t i = 0; i < n && class == PROBE_SLOW; i++)
        start_turn(r, &due[i], 1, 0);
    if (n > 0 && class != PROBE_SLOW)
        start_turn(r, due, n, 0);
    free(due);
}

static void on_timer(void *arg)
{
    struct probe_run *r = arg;
    uint64_t now = clock_boot_ns();

    start_due(r, PROBE_FAST, now);
    start_due(r, PROBE_SLOW, now);
    start_due(r, PROBE_EACH, now);
    check_first(r);
    plan(r);
}

/* --- outcomes --- */

static void notify(struct probe_run *r, const struct row *row)
{
    struct probe_status st;

    row_status(row, &st);
    if (r->o.on_change && !row->gone)
        r->o.on_change(r->o.arg, &st);
}

static void check_first(struct probe_run *r)
{
    bool all = true;

    for (size_t i = 0; i < r->rows.n; i++)
        all = all && r->rows.v[i]->tried;
    if (!all || r->first_done)
        return;
    r->first_done = true;
    if (r->o.on_first)
        r->o.on_first(r->o.arg);
}

static void tell(struct probe_run *r, struct row *row)
{
    row->tried = true;
    row->late = false;
    row->behind = row->behind && row->again;
    notify(r, row);
    check_first(r);
}

/* a row that will not answer any more */
static void fail_row(struct turn *t, struct row *row, enum probe_state state, const char *reason)
{
    row_set_outcome(row, state, reason);
    row->took_us = (int64_t)((clock_boot_ns() - t->from_ns) / NSEC_PER_USEC);
    row->busy = state == PROBE_HUNG;
    row->due_ns = next_due(row, t);
    tell(t->run, row);
}

static void watch_late(struct turn *t)
{
    if (t->at < t->n && t->rows[t->at]->probe.class != PROBE_SLOW)
        timer_set(&t->late, LATE_MSEC * NSEC_PER_MSEC);
    else
        timer_stop(&t->late);
}

/* The rows behind one that ended its child, or is late, go to another child; when children go on to
 * give no answer at all, each to its own: two bad rows, or a program that does nothing.  Host
 * volumes, of which there may be many, stay together. */
static void hand_over(struct turn *t, size_t at)
{
    unsigned silent = at == 0 ? t->silent + 1 : 0;
    struct row **rest = xnew0_n(struct row *, t->n);
    size_t n = 0;

    for (size_t i = at + 1; i < t->n; i++) {
        if (t->rows[i]->gone)
            t->rows[i]->busy = false;
        else
            rest[n++] = t->rows[i];
    }
    if (n > 0 && (silent < SHARED_TRIES || rest[0]->probe.class == PROBE_EACH))
        start_turn(t->run, rest, n, silent);
    else
        for (size_t i = 0; i < n; i++)
            start_turn(t->run, &rest[i], 1, 0);
    free(rest);
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

    row->took_us = take_fp->took_us;
    if (take_fp->ok) {
        row_keep(row, take_fp);
        row_set_outcome(row, PROBE_GOOD, "");
    } else {
        row_set_outcome(row, PROBE_FAILED, take_fp->error);
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
    for (size_t i = 0; i < t->n_held; i++)
        row_unref(t->rows[i]);
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

static bool has_room(const struct probe_run *r, const struct turn *t)
{
    size_t n = 0;

    if (t->rows[0]->probe.class != PROBE_EACH)
        return true;
    list_for_each (other, &r->turns, const struct turn, link)
        n += other->n > 0 && other->rows[0]->probe.class == PROBE_EACH;
    return n <= EACH_CHILDREN;
}

/* all of them at once, before any of them ran */
static void fail_turn(struct turn *t, enum probe_state state, const char *reason)
{
    for (size_t i = 0; i < t->n; i++)
        fail_row(t, t->rows[i], state, reason);
    turn_free(t);
}

static struct turn *turn_new(struct probe_run *r, struct row **rows, size_t n, unsigned silent)
{
    struct turn *t = xnew0(struct turn);

    t->run = r;
    t->n = t->n_held = n;
    t->rows = xmemdup(rows, n * sizeof(struct row *));
    t->probes = xnew0_n(const struct probe *, n);
    t->from_ns = clock_boot_ns();
    t->jitter_percent = 100 - JITTER_PERCENT + (unsigned)rand_below(2 * JITTER_PERCENT + 1);
    t->silent = silent;
    timer_init(r->o.loop, &t->late, "late probe", on_late, t);
    list_append(&r->turns, &t->link);
    for (size_t i = 0; i < n; i++) {
        t->probes[i] = &rows[i]->probe;
        row_ref(rows[i]);
        rows[i]->busy = true;
        rows[i]->again = false;
        rows[i]->tried_at_ns = t->from_ns;
    }
    return t;
}

static void start_turn(struct probe_run *r, struct row **rows, size_t n, unsigned silent)
{
    struct turn *t = turn_new(r, rows, n, silent);
    struct err e = {0};

    if (!has_room(r, t))
        fail_turn(t, PROBE_TIMEOUT, "not asked: too many others hang");
    else if (group_start(&(struct group_opts){.loop = r->o.loop,
                                              .probe_path = r->o.probe_path,
                                              .conf = r->o.conf,
                                              .rows = t->probes,
                                              .n_rows = n,
                                              .on_result = on_result,
                                              .on_end = on_end,
                                              .on_gone = on_gone,
                                              .arg = t},
                         &t->group, &e) < 0)
        fail_turn(t, PROBE_FAILED, e.text);
    else
        watch_late(t);
}

/* --- the outside --- */

struct probe_run *probe_run_new(const struct probe_run_opts *o)
{
    struct probe_run *r = xnew0(struct probe_run);

    r->o = *o;
    list_init(&r->turns);
    timer_init(o->loop, &r->timer, "probes", on_timer, r);
    row_list_update(&r->rows, &r->leaving, r->o.rows, r->o.n_rows, r->o.conf);
    return r;
}

struct probe_run *probe_run_free(struct probe_run *r)
{
    if (!r)
        return NULL;
    timer_stop(&r->timer);
    list_for_each (t, &r->turns, struct turn, link)
        turn_free(t);
    row_list_done(&r->rows);
    row_list_done(&r->leaving);
    free(r);
    return NULL;
}

void probe_run_start(struct probe_run *r)
{
    uint64_t now = clock_boot_ns();

    for (size_t i = 0; i < r->rows.n; i++) {
        struct row *row = r->rows.v[i];

        row->behind = !(row->busy && row->state == PROBE_HUNG);
        if (row->busy)
            row->again = true;
        else
            row->due_ns = now;
    }
    plan(r);
}

void probe_run_set_conf(struct probe_run *r, const struct probe_conf *conf)
{
    r->o.conf = conf;
    row_list_update(&r->rows, &r->leaving, r->o.rows, r->o.n_rows, r->o.conf);
    probe_run_start(r);
}

bool probe_run_behind(const struct probe_run *r)
{
    for (size_t i = 0; i < r->rows.n; i++)
        if (r->rows.v[i]->behind)
            return true;
    return false;
}

size_t probe_run_count(const struct probe_run *r)
{
    return r->rows.n;
}

void probe_run_status(const struct probe_run *r, size_t i, struct probe_status *ret)
{
    row_status(r->rows.v[i], ret);
}
