/* agent/flap.h - which facts of the node change again and again.
 *
 * A fact ("Attributes.os.version", "Drivers.docker", model/node.h) that changed FLAP_CHANGES times
 * within FLAP_WINDOW_SEC (that it came up first is none) flaps, until it has stayed as it is for
 * that long.  The session sends such changes alone only once in FLAP_UPDATE_SEC; agent/notice names
 * them.
 *
 * Times are CLOCK_BOOTTIME and arguments.  Owns its list.
 */
#pragma once

#include "model/node.h"

enum {
    FLAP_CHANGES = 3,
    FLAP_WINDOW_SEC = 300,
    FLAP_UPDATE_SEC = 60,
};

struct flap;

struct flap *flap_new(void);
struct flap *flap_free(struct flap *f);
DEFINE_CLEANUP(struct flap, flap_free)

/* The node has become another one; begun is called for each fact that begins to flap by it. */
void flap_note(struct flap *f, const struct node *before, const struct node *after, uint64_t now_ns,
               void (*begun)(void *arg, const char *fact), void *arg);
/* whether nothing but flapping facts differs between the node that was sent and the wanted one */
bool flap_only(const struct flap *f, const struct node *sent, const struct node *wanted,
               uint64_t now_ns);
/* the flapping ones; a list of owned strings */
void flap_names(const struct flap *f, uint64_t now_ns, char ***ret, size_t *ret_n);
/* the first of them in one line; NULL when there is none; owned by the caller */
char *flap_text(const struct flap *f, uint64_t now_ns);
