/* fingerprint/group.h - one picket-probe child that runs some rows in order; for fingerprint/run.
 *
 * Results come in table order.  The deadline of the row that is due next holds from the moment the
 * one before it has answered.  The ceilings are those of the rows: the highest for memory, which
 * they use one after the other, the sum for output.
 */
#pragma once

#include "fingerprint/run.h"

struct group;

struct group_opts {
    struct loop *loop;
    const char *probe_path;
    const struct probe_conf *conf;
    const struct probe *const *rows; /* borrowed until the group is freed */
    size_t n_rows;
    /* row i has answered; take_fp is the receiver's.  */
    void (*on_result)(void *arg, size_t i, struct fp *take_fp);
    /* Once.  All rows up to at have answered; at = n_rows and state PROBE_GOOD when all have.  Else
     * the row at is why the child ended (or hangs: PROBE_HUNG, then on_gone follows), unless it
     * never ran: then no row is to blame. */
    void (*on_end)(void *arg, size_t at, enum probe_state state, const char *reason, bool ran);
    void (*on_gone)(void *arg);
    void *arg;
};

/* -E... with the reason in e when the child cannot be started */
int group_start(const struct group_opts *o, struct group **ret, struct err *e) _must_check_;
/* Nobody waits for the rows from n on any more: the child ends when those before have answered.
 * n is at least the number of answers so far and not more than n_rows. */
void group_limit(struct group *g, size_t n);
/* kills what still runs; right inside every callback; NULL-safe, returns NULL */
struct group *group_free(struct group *g);
DEFINE_CLEANUP(struct group, group_free)
