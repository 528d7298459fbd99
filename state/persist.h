/* state/persist.h - the durable side of the store: a small asynchronous interface and its SQLite
 * form.
 *
 * Load everything once, then commit batches, one at a time: a batch is what one transaction holds
 * (the objects put and deleted, the global index, the table indexes), all of it or nothing. Another
 * backend (etcd) implements the same four functions and calls store_opts' owner when somebody else
 * committed; limits of a batch are chosen so that it fits there as well.
 *
 * SQLite: DIR/state.db in WAL mode with synchronous=FULL; table meta (schema, index and one index
 * per table) and table nodes (id, packed object).  DIR/lock is held with flock and names the
 * holder. A commit runs on base/writer's thread; the connection is used nowhere else after load.
 *
 * Depends on: base/, state/store.h (enum table), sqlite.
 */
#pragma once

#include "base/writer.h"
#include "state/store.h"

enum {
    PERSIST_SCHEMA = 1,       /* what this release writes */
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
};

/* what load() tells */
struct persist_load {
    void (*indexes)(void *arg, uint64_t index, const uint64_t table_index[TABLE_MAX]);
    /* in the order of ids; a negative return ends the loading with it */
    int (*object)(void *arg, enum table t, const char *id, const void *object, size_t n,
                  struct err *e);
    void *arg;
};

/* r < 0: nothing of the batch is durable, e says why */
typedef void persist_done(void *arg, int r, const struct err *e);

struct persist {
    const struct persist_ops *ops;
};

struct persist_ops {
    int (*load)(struct persist *p, const struct persist_load *l, struct err *e);
    /* at most one at a time; done is called later, never from inside */
    void (*commit)(struct persist *p, const struct persist_batch *b, persist_done *done, void *arg);
    /* waits for the commit in flight (its done is called) and frees p */
    void (*close)(struct persist *p);
};

/* Opens or creates the database in dir.  Every reason why that cannot be is a sentence in e. */
int persist_sqlite_open(const char *dir, struct writer *w, struct persist **ret,
                        struct err *e) _must_check_;
