/* sim/profile.h - what simulated hosts are like: one recorded node each, with places for what is an
 * agent's own (sim/ident.h, sim/scrub.h), and how often each occurs.
 *
 * A profile's node is filled in for one agent at a time and sent: agents keep nothing of it.
 *
 * Depends on: model/node.h.
 */
#pragma once

#include "base/buf.h"
#include "model/node.h"
#include "sim/ident.h"

struct profile;

/* name: for messages; text: a node's JSON.  -EINVAL with a sentence. */
int profile_parse(const char *name, const char *text, size_t n, struct profile **ret,
                  struct err *e) _must_check_;
/* "docker": docker.json in folder; "./my.json", anything with a slash: that file */
int profile_load(const char *folder, const char *name, struct profile **ret,
                 struct err *e) _must_check_;
struct profile *profile_free(struct profile *p);
DEFINE_CLEANUP(struct profile, profile_free)
const char *profile_name(const struct profile *p);
/* recorded from a picketd: it comes back after a lost connection in its own way */
bool profile_is_picketd(const struct profile *p);

struct profile_fill {
    const struct ident *ident;
    const char *datacenter; /* NULL = the profile's */
    const char *status;
    bool eligible;
    uint64_t changes; /* how often a fact of this host has changed */
};
/* The node for one agent: the profile's own object, valid until the next call.  */
struct node *profile_fill(struct profile *p, const struct profile_fill *f);

/* several profiles and their weights: "docker=3,vm" */
struct profile_mix {
    struct profile **profiles; /* owned */
    unsigned *weights;
    size_t n;
    unsigned total;
};
/* text NULL: every profile of the folder once */
int profile_mix_load(const char *folder, const char *text, struct profile_mix *ret,
                     struct err *e) _must_check_;
void profile_mix_done(struct profile_mix *m);
/* the same one for the same number */
struct profile *profile_mix_pick(const struct profile_mix *m, uint64_t seed, uint64_t number);

/* Where the profiles that came with the program are: ../share/picket/profiles beside it, or
 * sim/profiles of the tree that it was built in; NULL when there are none.  Owned by the caller. */
char *profile_folder(void) _must_check_;
