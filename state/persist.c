#include "state/persist.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>

#include "base/parse.h"
#include "state/persist_lock.h"

/* "Pckt": what file(1) and we ourselves know our databases by */
#define APPLICATION_ID 0x50636b74

struct sqlite {
    struct persist p;
    char *path;
    int lock_fd;
    sqlite3 *db;
    sqlite3_stmt *begin, *commit, *put_meta, *put_node, *delete_node;
    struct writer *writer; /* borrowed */
};

struct commit_job {
    struct writer_job job;
    struct sqlite *s;
    struct persist_batch batch;
    persist_done *done;
    void *arg;
    int r;
    struct err e;
};

/* --- errors --- */

/* negative errno and a sentence for what SQLite answered */
static int sqlite_failed(const struct sqlite *s, int rc, const char *what, struct err *e)
{
    const char *text = s->db ? sqlite3_errmsg(s->db) : sqlite3_errstr(rc);

    switch (rc & 0xff) {
    case SQLITE_NOTADB:
        return err_set(e, -EINVAL,
                       "%s is not a database of picket-server; move it away or choose another "
                       "data_dir",
                       s->path);
    case SQLITE_CORRUPT:
        return err_set(e, -EUCLEAN,
                       "%s is corrupt (%s); restore it from a copy, or move it away to start "
                       "empty: agents register again by themselves",
                       s->path, text);
    case SQLITE_FULL:
        return err_set(e, -ENOSPC, "cannot %s %s: no space left", what, s->path);
    case SQLITE_READONLY:
        return err_set(e, -EROFS, "cannot %s %s: it is read-only", what, s->path);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return err_set(e, -EBUSY, "cannot %s %s: another process holds it", what, s->path);
    case SQLITE_NOMEM:
        return err_set(e, -ENOMEM, "cannot %s %s: out of memory", what, s->path);
    default:
        break;
    }
    if (s->db && sqlite3_system_errno(s->db) != 0 &&
        ((rc & 0xff) == SQLITE_IOERR || (rc & 0xff) == SQLITE_CANTOPEN))
        return err_set(e, -sqlite3_system_errno(s->db), "cannot %s %s: %s (%s)", what, s->path,
                       text, strerror(sqlite3_system_errno(s->db)));
    return err_set(e, -EIO, "cannot %s %s: %s", what, s->path, text);
}

static int run(const struct sqlite *s, const char *sql, const char *what, struct err *e)
{
    int rc = sqlite3_exec(s->db, sql, NULL, NULL, NULL);

    return rc == SQLITE_OK ? 0 : sqlite_failed(s, rc, what, e);
}

/* first column of the first row as a number; 0 when there is no row */
static int query_i64(const struct sqlite *s, const char *sql, int64_t *ret, struct err *e)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(s->db, sql, -1, &st, NULL);

    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    if (rc == SQLITE_ROW || rc == SQLITE_DONE)
        *ret = rc == SQLITE_ROW ? sqlite3_column_int64(st, 0) : 0;
    (void)sqlite3_finalize(st);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : sqlite_failed(s, rc, "read", e);
}

/* --- opening --- */

/* Makes the file when it is missing, readable by us alone: it holds secrets, and SQLite gives the
 * log the same mode.  An empty one is one that we made and did not get to fill; any other content
 * must begin as databases do. */
static int check_header(const struct sqlite *s, struct err *e)
{
    static const char magic[16] = "SQLite format 3";
    char head[16];
    ssize_t n;
    _cleanup_close_ int fd = open(s->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0)
        return err_errno(e, -errno, "cannot open %s", s->path);
    n = pread(fd, head, sizeof(head), 0);
    if (n < 0)
        return err_errno(e, -errno, "cannot read %s", s->path);
    if (n == 0 || (n == sizeof(head) && memcmp(head, magic, sizeof(magic)) == 0))
        return 0;
    return sqlite_failed(s, SQLITE_NOTADB, "open", e);
}

static int create_schema(const struct sqlite *s, struct err *e)
{
    _cleanup_free_ char *sql =
        xasprintf("BEGIN IMMEDIATE;"
                  "CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;"
                  "CREATE TABLE nodes (id TEXT PRIMARY KEY, object BLOB NOT NULL);"
                  "INSERT INTO meta VALUES ('schema', %d), ('index', 0);"
                  "PRAGMA application_id = %d;"
                  "COMMIT;",
                  PERSIST_SCHEMA, APPLICATION_ID);

    return run(s, sql, "create", e);
}

/* Whose database is it, and which schema?  Nothing has been written so far. */
static int check_identity(const struct sqlite *s, bool *ret_empty, struct err *e)
{
    int64_t application = 0, tables = 0, schema = 0;
    int r;

    r = query_i64(s, "PRAGMA application_id", &application, e);
    if (r == 0)
        r = query_i64(s, "SELECT count(*) FROM sqlite_schema", &tables, e);
    if (r < 0)
        return r;
    *ret_empty = tables == 0;
    if (tables == 0 && application == 0)
        return 0;
    if (application != APPLICATION_ID)
        return sqlite_failed(s, SQLITE_NOTADB, "open", e);
    r = query_i64(s, "SELECT value FROM meta WHERE key = 'schema'", &schema, e);
    if (r < 0)
        return r;
    if (schema > PERSIST_SCHEMA)
        return err_set(e, -EPROTONOSUPPORT,
                       "%s was written by a newer picket-server (schema %" PRId64
                       ", this one knows %d)",
                       s->path, schema, PERSIST_SCHEMA);
    if (schema < 0)
        return err_set(e, -EUCLEAN, "%s is corrupt (schema %" PRId64 ")", s->path, schema);
    return 0;
}

/* Brings older files up to PERSIST_SCHEMA, one step after the other in one transaction.  Schema 0
 * is a file with our mark whose tables were never finished. */
static int upgrade_schema(const struct sqlite *s, struct err *e)
{
    static const char *const steps[PERSIST_SCHEMA] = {
        [0] = "CREATE TABLE IF NOT EXISTS nodes (id TEXT PRIMARY KEY, object BLOB NOT NULL);",
    };
    _cleanup_free_ char *done =
        xasprintf("INSERT OR REPLACE INTO meta VALUES ('schema', %d); COMMIT;", PERSIST_SCHEMA);
    int64_t schema = 0;
    int r;

    r = query_i64(s, "SELECT value FROM meta WHERE key = 'schema'", &schema, e);
    if (r < 0 || schema == PERSIST_SCHEMA)
        return r;
    r = run(s, "BEGIN IMMEDIATE", "upgrade", e);
    for (; r == 0 && schema < PERSIST_SCHEMA; schema++)
        r = run(s, steps[schema], "upgrade", e);
    if (r == 0)
        r = run(s, done, "upgrade", e);
    if (r < 0)
        (void)sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
    return r;
}

static int prepare(const struct sqlite *s, const char *sql, sqlite3_stmt **ret, struct err *e)
{
    int rc = sqlite3_prepare_v3(s->db, sql, -1, SQLITE_PREPARE_PERSISTENT, ret, NULL);

    return rc == SQLITE_OK ? 0 : sqlite_failed(s, rc, "open", e);
}

static int prepare_all(struct sqlite *s, struct err *e)
{
    int r = prepare(s, "BEGIN IMMEDIATE", &s->begin, e);

    if (r == 0)
        r = prepare(s, "COMMIT", &s->commit, e);
    if (r == 0)
        r = prepare(s, "INSERT OR REPLACE INTO meta VALUES (?1, ?2)", &s->put_meta, e);
    if (r == 0)
        r = prepare(s,
                    "INSERT INTO nodes (id, object) VALUES (?1, ?2) "
                    "ON CONFLICT (id) DO UPDATE SET object = excluded.object",
                    &s->put_node, e);
    if (r == 0)
        r = prepare(s, "DELETE FROM nodes WHERE id = ?1", &s->delete_node, e);
    return r;
}

static int open_database(struct sqlite *s, struct err *e)
{
    bool empty = false;
    int r, rc;

    r = check_header(s, e);
    if (r < 0)
        return r;
    rc = sqlite3_open_v2(s->path, &s->db,
                         SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX |
                             SQLITE_OPEN_EXRESCODE,
                         NULL);
    if (rc != SQLITE_OK)
        return sqlite_failed(s, rc, "open", e);
    (void)sqlite3_busy_timeout(s->db, 5000);
    if (sqlite3_db_readonly(s->db, "main") == 1)
        return sqlite_failed(s, SQLITE_READONLY, "write", e);
    r = check_identity(s, &empty, e);
    if (r == 0)
        r = run(s,
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                "PRAGMA wal_autocheckpoint = 1000; PRAGMA trusted_schema = OFF",
                "write", e);
    if (r == 0)
        r = empty ? create_schema(s, e) : upgrade_schema(s, e);
    if (r == 0)
        r = prepare_all(s, e);
    return r;
}

/* --- loading --- */

static const char *const table_index_keys[TABLE_MAX] = {
    [TABLE_NODES] = "index.nodes",
    [TABLE_ALLOCS] = "index.allocs",
};

static int load_meta(struct sqlite *s, const struct persist_load *l, struct err *e)
{
    uint64_t index = 0, table_index[TABLE_MAX] = {0};
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(s->db, "SELECT key, value FROM meta", -1, &st, NULL);

    while (rc == SQLITE_OK || rc == SQLITE_ROW) {
        const char *key;
        uint64_t value;

        rc = sqlite3_step(st);
        if (rc != SQLITE_ROW)
            break;
        key = (const char *)sqlite3_column_text(st, 0);
        value = (uint64_t)sqlite3_column_int64(st, 1);
        if (!key)
            continue;
        if (strcmp(key, "index") == 0)
            index = value;
        for (size_t t = 0; t < TABLE_MAX; t++)
            if (strcmp(key, table_index_keys[t]) == 0)
                table_index[t] = value;
    }
    (void)sqlite3_finalize(st);
    if (rc != SQLITE_DONE)
        return sqlite_failed(s, rc, "read", e);
    l->indexes(l->arg, index, table_index);
    return 0;
}

static int load_nodes(struct sqlite *s, const struct persist_load *l, struct err *e)
{
    sqlite3_stmt *st = NULL;
    int r = 0, rc;

    rc = sqlite3_prepare_v2(s->db, "SELECT id, object FROM nodes ORDER BY id", -1, &st, NULL);
    while (r == 0 && (rc == SQLITE_OK || rc == SQLITE_ROW)) {
        const char *id;
        const void *object;

        rc = sqlite3_step(st);
        if (rc != SQLITE_ROW)
            break;
        id = (const char *)sqlite3_column_text(st, 0);
        object = sqlite3_column_blob(st, 1);
        if (!id || !object)
            r = err_set(e, -EUCLEAN, "%s is corrupt (a node without id or content)", s->path);
        else
            r = l->object(l->arg, TABLE_NODES, id, object, (size_t)sqlite3_column_bytes(st, 1), e);
        if (r < 0 && id && object)
            r = err_wrap(e, -EUCLEAN, "%s is corrupt (node %s)", s->path, id);
    }
    (void)sqlite3_finalize(st);
    if (r < 0)
        return r;
    return rc == SQLITE_DONE ? 0 : sqlite_failed(s, rc, "read", e);
}

static int sqlite_load(struct persist *p, const struct persist_load *l, struct err *e)
{
    struct sqlite *s = container_of(p, struct sqlite, p);
    int r = load_meta(s, l, e);

    return r < 0 ? r : load_nodes(s, l, e);
}

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
    if (c->object)
        (void)sqlite3_bind_blob64(st, 2, c->object, c->n, SQLITE_STATIC);
    return step(st);
}

static int put_batch(struct sqlite *s, const struct persist_batch *b)
{
    int rc = step(s->begin);

    for (size_t i = 0; rc == SQLITE_OK && i < b->n_changes; i++)
        rc = put_change(s, &b->changes[i]);
    for (size_t t = 0; rc == SQLITE_OK && t < TABLE_MAX; t++)
        rc = put_meta(s, table_index_keys[t], b->table_index[t]);
    if (rc == SQLITE_OK)
        rc = put_meta(s, "index", b->index);
    if (rc == SQLITE_OK)
        rc = step(s->commit);
    return rc;
}

static void commit_run(struct writer_job *job)
{
    struct commit_job *j = container_of(job, struct commit_job, job);
    struct sqlite *s = j->s;
    int rc = put_batch(s, &j->batch);

    if (rc == SQLITE_OK)
        return;
    j->r = sqlite_failed(s, rc, "write", &j->e);
    if (!sqlite3_get_autocommit(s->db))
        (void)sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
}

static void commit_done(struct writer_job *job)
{
    struct commit_job *j = container_of(job, struct commit_job, job);

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

static void sqlite_free(struct sqlite *s)
{
    (void)sqlite3_finalize(s->begin);
    (void)sqlite3_finalize(s->commit);
    (void)sqlite3_finalize(s->put_meta);
    (void)sqlite3_finalize(s->put_node);
    (void)sqlite3_finalize(s->delete_node);
    (void)sqlite3_close(s->db); /* the last connection checkpoints the log */
    (void)fd_close(s->lock_fd);
    free(s->path);
    free(s);
}

static void sqlite_close(struct persist *p)
{
    struct sqlite *s = container_of(p, struct sqlite, p);

    writer_flush(s->writer);
    sqlite_free(s);
}

static const struct persist_ops sqlite_ops = {
    .load = sqlite_load,
    .commit = sqlite_commit,
    .close = sqlite_close,
};

int persist_sqlite_open(const char *dir, struct writer *w, struct persist **ret, struct err *e)
{
    struct sqlite *s = xnew0(struct sqlite);
    int r;

    s->p.ops = &sqlite_ops;
    s->path = xasprintf("%s/state.db", dir);
    s->writer = w;
    s->lock_fd = -1;
    r = persist_lock(dir, &s->lock_fd, e);
    if (r == 0)
        r = open_database(s, e);
    if (r < 0) {
        sqlite_free(s);
        return r;
    }
    *ret = &s->p;
    return 0;
}
