/* state/persist.h - the durable side of the store: a small asynchronous interface and its SQLite
 * form.
 *
 * Load everything once, then commit batches, one at a time: a batch is what one transaction holds
 * (the objects put and deleted, the global index, the table indexes), all of it or nothing. Another
 * backend (etcd) implements the same four functions and calls store_opts' owner when somebody else
 * committed; limits of a batch are chosen so that it fits there as well.
 *
 * A failed commit: nothing of the batch is in force, and nothing ever will be once a later commit
 * has succeeded.  Until then a crash may bring it back, whole (docs/decisions/0003-state.md), so
 * its indexes belong to it: the owner uses others from then on.
 *
 * SQLite: DIR/state.db in WAL mode with synchronous=FULL; table meta (schema, index, one index per
 * table and one of the last replacement, their checksum) and table nodes (id, packed object,
 * checksum).  DIR/lock is held with flock and names the holder.  Commits, the copying of the log
 * into the file behind them and the closing run on base/writer's thread; the connection is used
 * nowhere else after load.
 *
 * Depends on: base/, state/store.h (enum table), sqlite.
 */
#pragma once

#include "base/writer.h"
#include "state/store.h"

enum {
    PERSIST_SCHEMA = 2,       /* what this release writes */
    PERSIST_BATCH_KEYS = 100, /* etcd takes 128 operations in a transaction */
    PERSIST_BATCH_BYTES = 1024 * 1024,
};

/* an object put, or deleted when object is NULL */
struct persist_change {
    enum table table;
    char id[UUID_TEXT_LEN + 1];
    const void *object; /* borrowed until the batch is done */
    size_t n;
};

struct persist_batch {
    uint64_t index; /* global index after it */
    uint64_t table_index[TABLE_MAX];
    const struct persist_change *changes; /* borrowed until the batch is done */
    size_t n_changes;
    bool replace; /* what is not among the changes goes, and there may be any number of them */
};

/* what load() tells */
struct persist_load {
    /* replaced: the index of the last batch that replaced everything, 0 when none has */
    void (*indexes)(void *arg, uint64_t index, const uint64_t table_index[TABLE_MAX],
                    uint64_t replaced);
    /* in no order; a negative return ends the loading with it */
    int (*object)(void *arg, enum table t, const char *id, const void *object, size_t n,
                  struct err *e);
    void *arg;
};

enum {
    PERSIST_UNTIDY = 1, /* durable, but the file grows because it cannot be tidied: e says why */
};

/* r < 0: failed as described above, e says why */
typedef void persist_done(void *arg, int r, const struct err *e);

struct persist {
    const struct persist_ops *ops;
    const char *name; /* what messages call it; good until close */
};

struct persist_ops {
    int (*load)(struct persist *p, const struct persist_load *l, struct err *e);
    /* at most one at a time; done is called later, never from inside */
    void (*commit)(struct persist *p, const struct persist_batch *b, persist_done *done, void *arg);
    /* Waits for the commit in flight (its done is called) and frees p.  -ETIMEDOUT: the disk does
     * not answer; both happen when it does, if ever, and the batch stays borrowed until then. */
    int (*close)(struct persist *p);
};

struct persist_sqlite_opts {
    const char *dir;        /* made when missing */
    struct writer *writer;  /* borrowed */
    const char *vfs;        /* SQLite's way to the files; NULL: the system's */
    uint64_t close_wait_ns; /* 0: 15 s, half of what systemd grants */
};
/* Opens or creates the database in dir.  Every reason why that cannot be is a sentence in e. */
int persist_sqlite_open(const struct persist_sqlite_opts *o, struct persist **ret,
                        struct err *e) _must_check_;
