/* fingerprint/run_rows.h - the rows of a run and what is known about each; for fingerprint/run.
 *
 * A row is counted: the list has it, and so has every child that was started for it, since a host
 * volume may leave the configuration while a child hangs on it.
 */
#pragma once

#include "fingerprint/run.h"

struct row {
    unsigned refs;
    struct probe probe; /* as in the table; of a host volume with its own name */
    const char *kind;   /* borrowed from the table */
    char *name, *path;  /* of a host volume; owned, else NULL */
    const char *volume; /* the part of the name that is the volume's, else NULL */
    enum probe_state state;
    struct fp *fp; /* owned; last good result */
    bool stale;
    uint64_t fp_at_ns, tried_at_ns;
    int64_t took_us;
    char *reason;    /* owned; NULL = "" */
    uint64_t due_ns; /* UINT64_MAX = never */
    bool busy;       /* a child has yet to answer it, or hangs on it */
    bool again;      /* the configuration has changed since it was started */
    bool behind;     /* has not answered since */
    bool tried;      /* has had its first outcome */
    bool late;
    bool gone;         /* not configured any more: nobody is told */
    unsigned failures; /* in a row */
};

struct row *row_ref(struct row *row);
void row_unref(struct row *row);
void row_status(const struct row *row, struct probe_status *ret);
void row_set_outcome(struct row *row, enum probe_state state, const char *reason);
void row_keep(struct row *row, struct fp *take_fp); /* as its last good result */
/* how long to wait after a failure: 1, 2, 4, 8, 15 seconds, at most the period */
uint64_t row_retry_sec(const struct row *row);

struct row_list {
    struct row **v; /* counted */
    size_t n;
};
void row_list_done(struct row_list *l);
/* Makes it what the table and the configuration ask for; rows that were there stay what they are.
 * leaving: those that are not asked for any more but have yet to answer, for when they are again;
 * kept between calls. */
void row_list_update(struct row_list *l, struct row_list *leaving, const struct probe *const *table,
                     size_t n_table, const struct probe_conf *conf);
