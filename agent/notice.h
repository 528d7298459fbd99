/* agent/notice.h - what happened between two looks at the host, as node events.
 *
 * Compares the node and the probes with what they were before:
 *   Driver       health or its description is another one: Nomad's rule and words (fact:
 *                fingerprints 7.1)
 *   Fingerprint  a probe does not answer, with what it waits for; it answers again; a fact flaps
 *   Storage      a host volume of the configuration is not to be had, with the reason; it is again
 * Nothing at the first report.  Of one subject at most one event goes out in NOTICE_EVERY_SEC; the
 * last one of those in between follows later and says how many were left out.
 *
 * Owns what is held back.
 */
#pragma once

#include "agent/flap.h"
#include "base/loop.h"
#include "fingerprint/run.h"
#include "model/node.h"

enum { NOTICE_EVERY_SEC = 60 };

#define EVENT_SUBSYSTEM_FINGERPRINT "Fingerprint" /* Picket's own */

struct notice;

struct notice_opts {
    struct loop *loop;
    struct flap *flap; /* borrowed: told of every change */
    /* an event; details are borrowed */
    void (*add)(void *arg, const char *subsystem, const char *message,
                const struct strmap *details);
    void *arg;
};
struct notice *notice_new(const struct notice_opts *o);
struct notice *notice_free(struct notice *nt); /* what is held back goes out now */
DEFINE_CLEANUP(struct notice, notice_free)

/* The state of all probes and the node made of it; before is the node made of the last state, NULL
 * at first, and may be the same. */
void notice_look(struct notice *nt, const struct node *before, const struct node *after,
                 const struct probe_status *st, size_t n);
