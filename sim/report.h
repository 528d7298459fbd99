/* sim/report.h - what a run looks like: a line now and then, a summary, and whether it was as
 * expected.
 *
 * Depends on: sim/fleet.
 */
#pragma once

#include "base/buf.h"
#include "sim/fleet.h"

struct report {
    const struct fleet *fleet;
    const struct sim_common *common;
    uint64_t start_ns;
    uint64_t last_ns, last_cpu_ns; /* of the line before */
    uint64_t last_answers, last_beats;
};
void report_init(struct report *r, const struct fleet *f, const struct sim_common *c);
/* one line, with what has happened since the one before */
void report_line(struct report *r, struct buf *out);
void report_text(const struct report *r, struct buf *out); /* for people */
void report_json(const struct report *r, struct buf *out); /* one line */

/* "ready=10000,errors=0,late<=5": = <= >= < >; checked for syntax and names.  -EINVAL with a
 * sentence. */
int report_check(const struct report *r, const char *expect, struct err *e) _must_check_;
/* what is not as expected, one sentence each; how many */
size_t report_unmet(const struct report *r, const char *expect, struct buf *out);
