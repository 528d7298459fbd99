#include "state/persist.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "state/persist_lock.h"
#include "state/persist_sqlite.h"

enum {
    TIDY_PAGES = 1000, /* the log is copied into the file when it is so long */
    CLOSE_WAIT_SEC = 15,
};

struct commit_job {
    struct writer_job job;
    struct sqlite *s;
    struct persist_batch batch;
    persist_done *done;
    void *arg;
    int log_pages; /* in the log after it */
    int r;
    struct err e;
};

struct tidy_job {
    struct writer_job job;
    struct sqlite *s;
    int pages;
    struct err e;
};

struct close_job {
    struct writer_job job;
    struct sqlite *s;
};

/* --- committing, on the writer's thread --- */

static int step(sqlite3_stmt *st)
{
    int rc = sqlite3_step(st);

    (void)sqlite3_reset(st);
    return rc == SQLITE_DONE || rc == SQLITE_ROW ? SQLITE_OK : rc;
}

static int put_meta(struct sqlite *s, const char *key, uint64_t value)
{
    (void)sqlite3_bind_text(s->put_meta, 1, key, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(s->put_meta, 2, (int64_t)value);
    return step(s->put_meta);
}

static int put_change(struct sqlite *s, const struct persist_change *c)
{
    sqlite3_stmt *st = c->object ? s->put_node : s->delete_node;

    (void)sqlite3_bind_text(st, 1, c->id, UUID_TEXT_LEN, SQLITE_STATIC);
    if (c->object) {
        (void)sqlite3_bind_blob64(st, 2, c->object, c->n, SQLITE_STATIC);
        (void)sqlite3_bind_int64(st, 3, (int64_t)persist_sum(c->id, c->object, c->n));
    }
    return step(st);
}

static int put_batch(struct sqlite *s, const struct persist_batch *b)
{
    uint64_t replaced = b->replace ? b->index : s->replaced;
    int rc = step(s->begin);

    if (rc == SQLITE_OK && b->replace)
        rc = sqlite3_exec(s->db, "DELETE FROM nodes", NULL, NULL, NULL);
    for (size_t i = 0; rc == SQLITE_OK && i < b->n_changes; i++)
        rc = put_change(s, &b->changes[i]);
    for (size_t t = 0; rc == SQLITE_OK && t < TABLE_MAX; t++)
        rc = put_meta(s, persist_index_keys[t], b->table_index[t]);
    if (rc == SQLITE_OK)
        rc = put_meta(s, "index", b->index);
    if (rc == SQLITE_OK && b->replace)
        rc = put_meta(s, PERSIST_REPLACED_KEY, replaced);
    if (rc == SQLITE_OK)
        rc = put_meta(s, "sum", persist_meta_sum(b->index, b->table_index, replaced));
    if (rc == SQLITE_OK)
        rc = step(s->commit);
    if (rc == SQLITE_OK)
        s->replaced = replaced;
    return rc;
}

static int is_file(const char *path, const struct stat *was, struct err *e)
{
    struct stat st;

    if (was->st_ino == 0)
        return 0;
    if (stat(path, &st) < 0 || st.st_ino != was->st_ino || st.st_dev != was->st_dev)
        return err_set(e, -ENOENT, "cannot write %s: it is gone, or another file now", path);
    return 0;
}

/* Files that were removed or moved away take writes as ever, which nobody would find again. */
static int still_there(const struct sqlite *s, struct err *e)
{
    int r = is_file(s->path, &s->file, e);

    return r < 0 ? r : is_file(s->log_path, &s->log, e);
}

/* the log is made by the first commit */
static void note_log(struct sqlite *s)
{
    if (s->file.st_ino != 0 && s->log.st_ino == 0 && stat(s->log_path, &s->log) < 0)
        s->log.st_ino = 0;
}

static void commit_run(struct writer_job *job)
{
    struct commit_job *j = container_of(job, struct commit_job, job);
    struct sqlite *s = j->s;
    int rc;

    j->r = still_there(s, &j->e);
    if (j->r < 0)
        return;
    errno = 0; /* by which the reason of a failure is told */
    rc = put_batch(s, &j->batch);
    j->log_pages = s->log_pages;
    if (rc == SQLITE_OK) {
        note_log(s);
        return;
    }
    j->r = persist_failed(s, rc, "write", &j->e);
    if (!sqlite3_get_autocommit(s->db))
        (void)sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
}

static int on_log(void *arg, sqlite3 *db, const char *name, int pages)
{
    struct sqlite *s = arg;

    (void)db;
    (void)name;
    s->log_pages = pages;
    return SQLITE_OK;
}

/* --- tidying: what the log has is copied into the file, behind the answers --- */

static void tidy_run(struct writer_job *job)
{
    struct tidy_job *j = container_of(job, struct tidy_job, job);
    struct sqlite *s = j->s;
    int rc;

    errno = 0;
    rc = sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    if (rc != SQLITE_OK)
        (void)persist_failed(s, rc, "tidy", &j->e);
}

static void tidy_done(struct writer_job *job)
{
    struct tidy_job *j = container_of(job, struct tidy_job, job);

    j->s->untidy = j->e;
    /* one that failed is tried again when there is as much more */
    j->s->tidy_at = j->e.code < 0 ? j->pages + TIDY_PAGES : TIDY_PAGES;
    free(j);
}

static void tidy(struct sqlite *s, int pages)
{
    struct tidy_job *j;

    if (pages < s->tidy_at || s->closing)
        return;
    s->tidy_at = INT_MAX;
    j = xnew0(struct tidy_job);
    j->job.run = tidy_run;
    j->job.done = tidy_done;
    j->s = s;
    j->pages = pages;
    writer_submit(s->writer, &j->job);
}

/* --- committing and closing, on the loop --- */

static void commit_done(struct writer_job *job)
{
    struct commit_job *j = container_of(job, struct commit_job, job);
    struct sqlite *s = j->s;

    if (j->r == 0)
        tidy(s, j->log_pages);
    if (j->r == 0 && s->untidy.code < 0)
        j->done(j->arg, PERSIST_UNTIDY, &s->untidy);
    else
        j->done(j->arg, j->r, &j->e);
    free(j);
}

static void sqlite_commit(struct persist *p, const struct persist_batch *b, persist_done *done,
                          void *arg)
{
    struct sqlite *s = container_of(p, struct sqlite, p);
    struct commit_job *j = xnew0(struct commit_job);

    j->job.run = commit_run;
    j->job.done = commit_done;
    j->s = s;
    j->batch = *b;
    j->done = done;
    j->arg = arg;
    writer_submit(s->writer, &j->job);
}

static void close_database(struct sqlite *s)
{
    (void)sqlite3_finalize(s->begin);
    (void)sqlite3_finalize(s->commit);
    (void)sqlite3_finalize(s->put_meta);
    (void)sqlite3_finalize(s->put_node);
    (void)sqlite3_finalize(s->delete_node);
    (void)sqlite3_close(s->db); /* copies the log into the file */
    (void)fd_close(s->lock_fd);
}

static void sqlite_free(struct sqlite *s)
{
    free(s->path);
    free(s->log_path);
    free(s);
}

static void close_run(struct writer_job *job)
{
    close_database(container_of(job, struct close_job, job)->s);
}

static void close_done(struct writer_job *job)
{
    struct close_job *j = container_of(job, struct close_job, job);

    sqlite_free(j->s);
    free(j);
}

/* on the thread, behind the commit in flight: a disk that does not answer must not hold up the
 * loop for ever */
static int sqlite_close_wait(struct persist *p)
{
    struct sqlite *s = container_of(p, struct sqlite, p);
    struct writer *w = s->writer;
    uint64_t wait_ns = s->close_wait_ns;
    struct close_job *j = xnew0(struct close_job);

    s->closing = true;
    j->job.run = close_run;
    j->job.done = close_done;
    j->s = s;
    writer_submit(w, &j->job);
    return writer_flush_for(w, wait_ns);
}

static const struct persist_ops sqlite_ops = {
    .load = persist_sqlite_load,
    .commit = sqlite_commit,
    .close = sqlite_close_wait,
};

int persist_sqlite_open(const struct persist_sqlite_opts *o, struct persist **ret, struct err *e)
{
    struct sqlite *s = xnew0(struct sqlite);
    int r;

    s->p.ops = &sqlite_ops;
    s->p.name = s->path = xasprintf("%s/state.db", o->dir);
    s->log_path = xasprintf("%s-wal", s->path);
    s->writer = o->writer;
    s->close_wait_ns = o->close_wait_ns > 0 ? o->close_wait_ns : CLOSE_WAIT_SEC * NSEC_PER_SEC;
    s->lock_fd = -1;
    s->tidy_at = TIDY_PAGES;
    r = persist_lock(o->dir, &s->lock_fd, e);
    if (r == 0)
        r = persist_open_database(s, o->vfs, e);
    if (r < 0) {
        persist_leave_alone(s);
        close_database(s);
        sqlite_free(s);
        return r;
    }
    (void)sqlite3_wal_hook(s->db, on_log, s);
    if (!o->vfs && stat(s->path, &s->file) < 0)
        s->file.st_ino = 0;
    *ret = &s->p;
    return 0;
}
