/* agent/journal.h - the few facts an agent must remember over a restart.
 *
 * One msgpack file each in the state folder, replaced whole (temporary file, fsync, rename), mode
 * 0600:
 *   picket-registered.mp   a server has accepted this node: later registrations carry its secret
 *   picket-identity.mp     the signed node identity a server handed out (an opaque secret)
 *   picket-allocs.mp       allocations that were failed because tasks cannot be run yet
 * What is set is in force at once; the file follows on the writer thread, so that a slow disk never
 * holds the loop.  Each fact is safe to lose: a file that is damaged is put aside and said so.
 *
 * Owns: its values; strings handed out are valid until the fact changes.
 */
#pragma once

#include "base/err.h"
#include "base/loop.h"
#include "codec/desc.h"

struct journal;

struct journal_alloc {
    char *id;
    uint64_t modify_index; /* AllocModifyIndex that was failed */
    char **tasks;          /* names, for sending the verdict again */
    size_t n_tasks;
    struct gotime at;
};
extern const struct desc desc_journal_alloc;

/* facts of another node id (a replaced client-id) are dropped */
int journal_open(struct loop *l, const char *state_dir, const char *node_id, struct journal **ret,
                 struct err *e) _must_check_;
/* waits for writes under way */
struct journal *journal_free(struct journal *j);
DEFINE_CLEANUP(struct journal, journal_free)
/* writes that are not on the disk yet */
size_t journal_pending(const struct journal *j);

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
