#include "fingerprint/run_rows.h"

#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "base/vec.h"

enum { RETRY_SEC = 15 /* the longest pause after a failure: costs 2 ms of work each */ };

static char *name_of(const struct probe *p, const struct probe_volume *v)
{
    return xasprintf("%s%c%s", p->name, PROBE_EACH_SEPARATOR, str_or_empty(v->name));
}

static struct row *row_new(const struct probe *p, const struct probe_volume *v)
{
    struct row *row = xnew0(struct row);

    row->refs = 1;
    row->probe = *p;
    row->kind = p->name;
    row->due_ns = UINT64_MAX;
    if (v) {
        row->name = name_of(p, v);
        row->path = xstrdup(str_or_empty(v->path));
        row->volume = row->name + strlen(p->name) + 1;
        row->probe.name = row->name;
    }
    return row;
}

struct row *row_ref(struct row *row)
{
    row->refs++;
    return row;
}

void row_unref(struct row *row)
{
    if (--row->refs > 0)
        return;
    (void)fp_free(row->fp);
    free(row->name);
    free(row->path);
    free(row->reason);
    free(row);
}

/* at the path that it has now */
static bool is_about(const struct row *row, const struct probe_volume *v)
{
    return row->volume && str_eq(row->volume, str_or_empty(v->name)) &&
           str_eq(row->path, str_or_empty(v->path));
}

void row_status(const struct row *row, struct probe_status *ret)
{
    *ret = (struct probe_status){
        .name = row->probe.name,
        .kind = row->kind,
        .volume = row->volume,
        .class = row->probe.class,
        .state = row->state,
        .fp = row->fp,
        .stale = row->stale,
        .late = row->late,
        .fp_at_ns = row->fp_at_ns,
        .tried_at_ns = row->tried_at_ns,
        .took_us = row->took_us,
        .reason = str_or_empty(row->reason),
    };
}

void row_set_outcome(struct row *row, enum probe_state state, const char *reason)
{
    row->state = state;
    row->failures = state == PROBE_GOOD ? 0 : row->failures + 1;
    str_set(&row->reason, reason);
    row->stale = state != PROBE_GOOD && row->fp;
}

void row_keep(struct row *row, struct fp *take_fp)
{
    (void)fp_free(row->fp);
    row->fp = take_fp;
    row->fp_at_ns = clock_boot_ns();
}

uint64_t row_retry_sec(const struct row *row)
{
    unsigned doublings = MIN(row->failures ? row->failures - 1 : 0, 16U);
    uint64_t period = row->probe.period_sec;

    return MIN(UINT64_C(1) << doublings, period ? MIN(period, RETRY_SEC) : RETRY_SEC);
}

/* --- the list --- */

void row_list_done(struct row_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        row_unref(l->v[i]);
    free(l->v);
    *l = (struct row_list){0};
}

static void add(struct row_list *l, struct row *take_row)
{
    struct row **slot = vec_grow_(&l->v, &l->n, sizeof(struct row *));

    *slot = take_row;
}

/* v: NULL for the row of the table itself */
static struct row *find(const struct row_list *l, const struct probe *p,
                        const struct probe_volume *v)
{
    for (size_t i = 0; i < l->n; i++)
        if (l->v[i]->kind == p->name && (v ? is_about(l->v[i], v) : !l->v[i]->volume))
            return l->v[i];
    return NULL;
}

/* whether there is one of that name, whatever its path */
static bool has_name(const struct row_list *l, const struct probe *p, const struct probe_volume *v)
{
    for (size_t i = 0; i < l->n; i++)
        if (l->v[i]->kind == p->name && str_eq(l->v[i]->volume, str_or_empty(v->name)))
            return true;
    return false;
}

static void take_over(struct row_list *now, const struct row_list *old,
                      const struct row_list *leaving, const struct probe *p,
                      const struct probe_volume *v)
{
    struct row *row = find(old, p, v);

    row = row ? row : find(leaving, p, v);
    add(now, row ? row_ref(row) : row_new(p, v));
}

/* those that are busy and gone */
static void keep_leaving(struct row_list *ret, const struct row_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        if (l->v[i]->gone && l->v[i]->busy)
            add(ret, row_ref(l->v[i]));
}

void row_list_update(struct row_list *l, struct row_list *leaving, const struct probe *const *table,
                     size_t n_table, const struct probe_conf *conf)
{
    struct row_list now = {0}, left = {0};

    keep_leaving(&left, leaving); /* what has answered since may not come back: it has no plan */
    row_list_done(leaving);
    for (size_t i = 0; i < n_table; i++) {
        const struct probe *p = table[i];

        for (size_t k = 0; k < conf->n_volumes && p->class == PROBE_EACH; k++)
            if (!has_name(&now, p, &conf->volumes[k]))
                take_over(&now, l, &left, p, &conf->volumes[k]);
        if (p->class != PROBE_EACH)
            take_over(&now, l, &left, p, NULL);
    }
    for (size_t i = 0; i < l->n; i++)
        l->v[i]->gone = true;
    for (size_t i = 0; i < now.n; i++)
        now.v[i]->gone = false;
    keep_leaving(leaving, &left);
    keep_leaving(leaving, l);
    row_list_done(&left);
    row_list_done(l);
    *l = now;
}
