/* fingerprint/run.h - isolation: which child runs which probes, deadlines, hung children, cache.
 *
 * Design decision 5.  All fast probes share one picket-probe child; each slow one has its own.  A
 * child that does not answer within its deadline is killed and reported with what it hangs on; its
 * last good result is kept and marked stale; it is not started again while it still hangs.
 *
 * A row of class PROBE_EACH stands for one row of each host volume in the configuration, called
 * "volumes:NAME"; they share children as the fast ones do, come and go with the configuration, and
 * nobody waits for them.  A volume whose path has changed is another one: what hangs on the old
 * path is left behind.
 *
 * One bad row costs the others nothing: when the shared child ends at it, or has waited for it for
 * a moment (late), those behind it go to another child.  What failed is tried again soon, then less
 * and less often, every 15 s in the end; what hung, as soon as its child is gone.
 */
#pragma once

#include "base/loop.h"
#include "fingerprint/probe.h"

struct probe_run;

enum probe_state {
    PROBE_NEVER, /* no result yet */
    PROBE_GOOD,
    PROBE_FAILED,  /* ran and reported an error, crashed, or could not be started */
    PROBE_TIMEOUT, /* killed at its deadline */
    PROBE_HUNG,    /* does not even die: uninterruptible */
};
const char *probe_state_name(enum probe_state s);

/* all that is known about one probe */
struct probe_status {
    const char *name;
    const char *kind;   /* the name of its row in the table */
    const char *volume; /* the host volume that it is about, else NULL */
    enum probe_class class;
    enum probe_state state;
    const struct fp *fp; /* last good result (borrowed), NULL when there never was one */
    bool stale;          /* fp is older than the last attempt */
    bool late;           /* takes much longer than fast probes do: not worth waiting for */
    uint64_t fp_at_ns;   /* CLOCK_BOOTTIME when fp came in */
    uint64_t tried_at_ns;
    int64_t took_us;    /* of the last attempt */
    const char *reason; /* why state is not GOOD; "" otherwise */
};

struct probe_run_opts {
    struct loop *loop;
    const char *probe_path;          /* the picket-probe binary */
    const struct probe *const *rows; /* host probes and driver probes together */
    size_t n_rows;
    const struct probe_conf *conf; /* borrowed until probe_run_set_conf() */
    /* one probe has a new status, or is late */
    void (*on_change)(void *arg, const struct probe_status *st);
    /* every probe has answered, failed or passed its deadline once */
    void (*on_first)(void *arg);
    void *arg;
};
struct probe_run *probe_run_new(const struct probe_run_opts *o);
struct probe_run *probe_run_free(struct probe_run *r);
DEFINE_CLEANUP(struct probe_run, probe_run_free)
void probe_run_start(struct probe_run *r); /* the first round, then by period */
void probe_run_set_conf(struct probe_run *r, const struct probe_conf *conf); /* and run all again */
/* whether a row has yet to answer by the newest configuration; one that hangs is not waited for */
bool probe_run_behind(const struct probe_run *r);
/* rows, in table order; as many as before until the next probe_run_set_conf() */
size_t probe_run_count(const struct probe_run *r);
void probe_run_status(const struct probe_run *r, size_t i, struct probe_status *ret);
