/* state/persist_sqlite.h - the inside of the SQLite form: what opening and working share.
 *
 * The connection is used by the loop until everything is loaded and by the writer's thread from
 * then on, never by both.
 */
#pragma once

#include <sys/stat.h>

#include <sqlite3.h>

#include "state/persist.h"

struct sqlite {
    struct persist p;
    char *path, *log_path;
    int lock_fd;
    sqlite3 *db;
    sqlite3_stmt *begin, *commit, *put_meta, *put_node, *delete_node;
    struct writer *writer; /* borrowed */
    uint64_t close_wait_ns;
    int log_pages;     /* in the write-ahead log after the last commit; of the thread */
    uint64_t replaced; /* index of the last batch that replaced everything; likewise */
    struct stat file;  /* what was opened; st_ino 0: not the system's */
    struct stat log;   /* likewise; 0: not made yet */

    /* of the loop */
    bool closing;
    int tidy_at;       /* pages in the log at which it is copied into the file next */
    struct err untidy; /* why that failed; code 0: it did not */
};

/* what a person can do about a damaged file */
#define PERSIST_ADVICE                                                                             \
    "restore a snapshot, or move it away to start empty: agents register again by themselves"

/* names of meta's rows */
extern const char *const persist_index_keys[TABLE_MAX];
#define PERSIST_REPLACED_KEY "index.replaced" /* not there before the first */

/* negative errno and a sentence for what SQLite answered */
int persist_failed(const struct sqlite *s, int rc, const char *what, struct err *e);
/* Opens, recognizes, makes certain, creates or upgrades; the caller frees what there is. */
int persist_open_database(struct sqlite *s, const char *vfs, struct err *e) _must_check_;
/* of an object as it is stored */
uint32_t persist_sum(const char *id, const void *object, size_t n);
/* of all indexes; replaced 0: there is none */
uint32_t persist_meta_sum(uint64_t index, const uint64_t table_index[TABLE_MAX], uint64_t replaced);
/* the function of struct persist_ops */
int persist_sqlite_load(struct persist *p, const struct persist_load *l, struct err *e);
/* What cannot be read stays as it is: closing must not copy the log into a damaged file. */
void persist_leave_alone(const struct sqlite *s);
