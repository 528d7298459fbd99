/* agent/journal.h - the few facts an agent must remember over a restart.
 *
 * One msgpack file each in the state folder, replaced whole (temporary file, fsync, rename), mode
 * 0600:
 *   picket-registered.mp   a server has accepted this node: later registrations carry its secret
 *   picket-identity.mp     the signed node identity a server handed out (an opaque secret)
 *   picket-allocs.mp       allocations that were failed because tasks cannot be run yet
 *   picket-events.mp       node events that no server has confirmed yet
 *   picket-meta.mp         metadata that was set at run time (Nomad 1.5: node meta apply)
 * What is set is in force at once; the file follows on the writer thread, so that a slow disk never
 * holds the loop; journal_sync() tells when it is there.  A write that fails is tried again each
 * minute.  A file that is damaged is put aside and said so.
 *
 * Each file carries the format it was written in ("Version"; none is format 1).  An older one is
 * read, and becomes JOURNAL_FORMAT with the next write; a newer one makes journal_open() fail and
 * is left as it is, because going on would lose what it says.
 *
 * Owns: its values; what is handed out is valid until the fact changes.
 */
#pragma once

#include "base/err.h"
#include "base/loop.h"
#include "codec/desc.h"
#include "model/node.h"

enum {
    JOURNAL_FORMAT = 2, /* 1: no Version; events and metadata were not there */
};

struct journal;

struct journal_alloc {
    char *id;
    uint64_t modify_index; /* AllocModifyIndex that was failed */
    char **tasks;          /* names, for sending the verdict again */
    size_t n_tasks;
    struct gotime at;
};
extern const struct desc desc_journal_alloc;

/* Facts of another node id (a replaced client-id) are dropped.  -EUCLEAN with a sentence when a
 * file has a newer format. */
int journal_open(struct loop *l, const char *state_dir, const char *node_id, struct journal **ret,
                 struct err *e) _must_check_;
/* waits for writes under way */
struct journal *journal_free(struct journal *j);
DEFINE_CLEANUP(struct journal, journal_free)
/* writes that are not on the disk yet */
size_t journal_pending(const struct journal *j);

/* Calls done once when everything set so far is on the disk, whatever failed before included: r 0,
 * or -EIO when it cannot be written (it is in force, but a restart forgets it).  From inside, with
 * NULL returned, only when no thread could be had. */
struct journal_wait;
struct journal_wait *journal_sync(struct journal *j, void (*done)(void *arg, int r), void *arg);
/* for a caller that goes before done was called; NULL-safe, returns NULL */
struct journal_wait *journal_sync_cancel(struct journal_wait *w);

bool journal_registered(const struct journal *j);
void journal_set_registered(struct journal *j);
const char *journal_identity(const struct journal *j);         /* NULL = none */
void journal_set_identity(struct journal *j, const char *jwt); /* NULL drops it */

const struct journal_alloc *journal_alloc(const struct journal *j, const char *id); /* or NULL */
const struct journal_alloc *journal_allocs(const struct journal *j, size_t *ret_n);
/* remembers n of them (copied; replaces entries of the same id) in one write */
void journal_put_allocs(struct journal *j, const struct journal_alloc *a, size_t n);
/* forgets those that a server no longer lists (it has collected them) */
void journal_keep_allocs(struct journal *j, const struct i64map *listed);

/* oldest first */
const struct node_event *journal_events(const struct journal *j, size_t *ret_n);
void journal_add_event(struct journal *j, const struct node_event *ev); /* copied */
void journal_drop_events(struct journal *j, size_t at, size_t n);

/* Dynamic node metadata in key order; a NULL value takes a static key away.  The set one is a copy
 * that must be in key order too. */
const struct optmap *journal_meta(const struct journal *j);
void journal_set_meta(struct journal *j, const struct optmap *meta);
