/* agent/explain.h - /v1/agent/fingerprint: what each probe found, from where, when, and the checks
 * it made; all of it, or only what explains one name.
 *
 * A name is that of a probe, of a driver with or without "driver.", of an attribute, local fact or
 * link, of a host volume, or of a check.  Pure: facts in, text out.
 */
#pragma once

#include "agent/flap.h"
#include "agent/late.h"
#include "base/buf.h"
#include "base/err.h"
#include "fingerprint/run.h"

struct explain_facts {
    const char *node_id;
    const struct probe_run *probes;
    const struct flap *flap;  /* NULL: nothing flaps */
    const struct late *beats; /* NULL: none is kept */
    uint64_t now_ns;
};
/* name "": everything.  -ENOENT with status 404 and names that are near when nothing is called so;
 * nothing has been appended then. */
int explain_json(struct buf *b, const struct explain_facts *f, const char *name,
                 struct err *e) _must_check_;
