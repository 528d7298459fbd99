/* agent/meta.h - node metadata that was set at run time (Nomad 1.5: node meta apply).
 *
 * Static metadata comes from the configuration and Nomad's defaults; dynamic entries lie over it, a
 * null one takes a static key away (fact: http-api 10, /v1/client/metadata).  Kept in the journal;
 * a change wakes the owner, which merges and registers anew.
 */
#pragma once

#include "agent/journal.h"
#include "conf/conf.h"

struct meta;

struct meta_opts {
    const struct conf *conf; /* borrowed: its client.meta is the static part */
    struct journal *journal;
    void (*on_change)(void *arg); /* what is merged is another; may be NULL */
    void *arg;
};
struct meta *meta_new(const struct meta_opts *o);
struct meta *meta_free(struct meta *m);
DEFINE_CLEANUP(struct meta, meta_free)

/* static, dynamic (value NULL = unset) and merged; borrowed until the next change */
const struct strmap *meta_static(const struct meta *m);
const struct optmap *meta_dynamic(const struct meta *m);
const struct strmap *meta_merged(const struct meta *m);
/* Sets and, by NULL values, unsets.  -EINVAL with a sentence and status 400 for a key that Nomad
 * refuses or when there would be more than NODE_META_MAX; nothing is changed then.  changes: in key
 * order, each key once, as decoders leave them. */
int meta_apply(struct meta *m, const struct optmap *changes, struct err *e) _must_check_;
/* tells when what was applied is on the disk (agent/journal.h) */
struct journal_wait *meta_sync(struct meta *m, void (*done)(void *arg, int r), void *arg);
void meta_reload(struct meta *m); /* the static part is another one */
