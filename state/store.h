/* state/store.h - the tables of the server in memory, one writer, durable before visible.
 *
 * Design decision 8.  A write is a function that runs on an overlay of the tables, in queue order,
 * each with its own index.  While a commit is on its way to the disk, later writes queue; then they
 * all run and go out as the next batch.  After the batch is durable (state/persist on base/writer's
 * thread) its changes are published in order, watchers fire, and each write's done() is called.
 * Readers see only published state.  A failed commit drops the overlay: its writes' done() get the
 * error, nothing they wrote was ever visible.  While commits fail each write is still tried, and an
 * empty commit every few seconds notices when the disk is well again.
 *
 * One global index: every write that changes something is +1; table indexes are the index of the
 * last write that touched the table.  Both survive restarts and never go back.  Indexes of a failed
 * commit are not used again: it may turn up after a crash (docs/decisions/0003-state.md).
 *
 * Depends on: base/, codec/, model/, sqlite (persist.c only).
 */
#pragma once

#include "base/writer.h"
#include "model/page.h"
#include "state/secrets.h"

struct store;
struct txn;

enum table {
    TABLE_NODES,
    TABLE_ALLOCS, /* empty until the scheduler comes; its index exists */
    TABLE_MAX,
};

struct persist;
struct watches;

/* how the durable side does */
enum store_health {
    STORE_FINE,
    STORE_UNTIDY,  /* all is written, but the file grows: e says why it cannot be tidied */
    STORE_SLOW,    /* a commit hangs, writes wait */
    STORE_FAILING, /* commits fail, writes are refused */
};

struct store_opts {
    const char *dir; /* data folder of the server, made when missing; locked with flock */
    struct loop *loop;
    struct writer *writer; /* borrowed; freed after the store */
    /* another backend than SQLite in dir (taken); dir and writer are not used then */
    struct persist *take_persist;
    /* when it changes, and for STORE_SLOW again after twice the time; e is NULL with STORE_FINE;
     * may be NULL */
    void (*on_health)(void *arg, enum store_health h, const struct err *e);
    void *arg;
    uint64_t slow_ns;  /* a commit that takes longer hangs; 0: 5 s */
    uint64_t retry_ns; /* from a failed commit to the next attempt; 0: 2 s */
};
/* Opens or creates DIR/state.db and loads everything.  Clear errors for: locked by another process,
 * not a database, corrupt, newer schema ("written by a newer picket-server (schema 7, this one
 * knows 1)"), read-only folder, no space. */
int store_open(const struct store_opts *o, struct store **ret, struct err *e) _must_check_;
/* Waits for the commit in flight; queued writes fail with -ECANCELED, watches are dropped.  A disk
 * that does not answer for 15 s: that commit's writes fail with -ETIMEDOUT, the writer still has
 * jobs (writer_pending()), and the program is to end without it. */
struct store *store_close(struct store *s);
DEFINE_CLEANUP(struct store, store_close)

/* how the durable side does now; ret_e says why when it is not STORE_FINE */
enum store_health store_health(const struct store *s, struct err *ret_e);

/* --- reading: published state --- */
uint64_t store_index(const struct store *s);
uint64_t store_table_index(const struct store *s, enum table t);
/* borrowed until the next turn of the loop; NULL when there is none */
const struct node_item *store_node(const struct store *s, const struct uuid *id);
/* one whose SecretID it is; likewise */
const struct node_item *store_node_of_secret(const struct store *s, const char *secret);
size_t store_node_count(const struct store *s);
/* Nodes whose id begins with the first prefix_bytes bytes of prefix, in id order.  Starts at *pos
 * (0 at first), returns NULL at the end.  Valid until the next turn of the loop. */
const struct node_item *store_node_next(const struct store *s, const struct uuid *prefix,
                                        size_t prefix_bytes, size_t *pos);
/* the same nodes as a list that stays as it is; node_list_done() */
void store_list(struct store *s, const struct uuid *prefix, size_t prefix_bytes,
                struct node_list *ret);

/* --- writing --- */
/* Runs on the overlay; may read and put through the txn, PERSIST_BATCH_KEYS nodes at most (more are
 * refused with -E2BIG: they would not fit into one commit).  Returns 0 = changes made (an index was
 * used), 1 = nothing to do (no index, done is called with the current index), negative errno with
 * text in e = refused (nothing was put). */
typedef int store_fn(struct txn *t, void *arg, struct err *e);
/* r: what fn returned, or the commit's error; index: this write's, or the current one.  Never
 * called from inside store_write(), except with -ECANCELED while the store closes. */
typedef void store_done(void *arg, int r, uint64_t index, const struct err *e);
void store_write(struct store *s, store_fn *fn, store_done *done, void *arg);

uint64_t txn_index(const struct txn *t); /* index this write will have */
const struct node_item *txn_node(const struct txn *t, const struct uuid *id); /* overlay first */
void txn_put_node(struct txn *t, const struct node_item *take_it);
void txn_delete_node(struct txn *t, const struct uuid *id);
/* every put and delete of a node moves the index of TABLE_NODES */

/* --- everything at once --- */
struct nodes;
struct persist_change;
/* what is to be in the store; state/restore.c makes it */
struct store_content {
    struct nodes *nodes;            /* owned */
    struct secrets secrets;         /* owned; of the same nodes */
    struct persist_change *changes; /* owned; the same nodes as persist takes them, borrowed */
    size_t n;
    uint64_t index; /* that it had where it was taken, of all tables */
};
/* old: the nodes of before (owned; a long table is freed in pieces), or what was to replace them */
typedef void store_replaced(void *arg, int r, uint64_t index, struct nodes *take_old,
                            const struct err *e);
/* Replaces all objects in one durable transaction, behind the commit in flight and in front of the
 * writes that wait.  The indexes become the larger of ours and the content's, + 1; every watch
 * fires.  One at a time.  done comes later, never from inside. */
void store_replace(struct store *s, struct store_content *take, store_replaced *done, void *arg);
/* the index of the last replacement: no object is older than that for those who read; 0 = none */
uint64_t store_replaced_index(const struct store *s);

/* --- watching: who waits for what beyond which index --- */
enum watch_kind {
    WATCH_TABLE, /* any change of the table */
    WATCH_NODE,  /* one node (also one that is not there yet) */
};
struct watch {
    struct list link;      /* the store's */
    struct watches *owner; /* the store's; zeroed by the waiter before the first use, as link is */
    enum watch_kind kind;
    enum table table;
    struct uuid node;
    uint64_t beyond;       /* the waiter has seen this index: only what goes beyond it is news; 0 */
    void (*fn)(void *arg); /* once: the watch is off when it is called */
    void *arg;
};
void store_watch(struct store *s, struct watch *w); /* embedded in the waiter */
void store_unwatch(struct watch *w);                /* harmless when off */
