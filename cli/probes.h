/* cli/probes.h - runs picket-probe as picketd does (fingerprint/run), once, for one command. */
#pragma once

#include "base/loop.h"
#include "fingerprint/run.h"

/* the rows that picket-probe has, as it lists them */
struct probe_rows {
    struct probe *v; /* owned; name and class and deadline are filled; names are owned */
    size_t n;
};
void probe_rows_done(struct probe_rows *r);

/* a loop whose signals end what runs on it */
int probe_loop_new(struct loop **ret, struct err *e) _must_check_;
/* path of the picket-probe that belongs to this program: file_find_helper(), else in PATH.  NULL
 * when there is none; owned by the caller. */
char *probe_find(void);
/* asks it for its rows */
int probe_rows_load(struct loop *l, const char *path, struct probe_rows *ret,
                    struct err *e) _must_check_;
/* Runs the rows until each has answered, failed or passed its deadline.  The result is the caller's
 * (probe_run_free, before the loop). */
int probe_rows_run(struct loop *l, const char *path, const struct probe *const *rows, size_t n,
                   const struct probe_conf *conf, struct probe_run **ret,
                   struct err *e) _must_check_;
