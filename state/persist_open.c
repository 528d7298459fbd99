/* state/persist_open.c - whose file it is, which schema, and that what is found in it is durable.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zlib.h>

#include "base/limits.h"
#include "state/persist_sqlite.h"

/* "Pckt": what file(1) and we ourselves know our databases by */
#define APPLICATION_ID 0x50636b74

/* --- errors --- */

/* What the system said last.  SQLite's own note of it is of an earlier failure when a COMMIT's sync
 * fails. */
static int system_errno(const struct sqlite *s)
{
    sqlite3_vfs *v = NULL;

    if (!s->db)
        return 0;
    if (sqlite3_file_control(s->db, "main", SQLITE_FCNTL_VFS_POINTER, (void *)&v) == SQLITE_OK && v)
        return v->xGetLastError(v, 0, NULL);
    return sqlite3_system_errno(s->db);
}

int persist_failed(const struct sqlite *s, int rc, const char *what, struct err *e)
{
    const char *text = s->db ? sqlite3_errmsg(s->db) : sqlite3_errstr(rc);
    int n = system_errno(s);

    switch (rc & 0xff) {
    case SQLITE_NOTADB:
        return err_set(e, -EINVAL,
                       "%s is not a database of picket-server; move it away or choose another "
                       "data_dir",
                       s->path);
    case SQLITE_CORRUPT:
        return err_set(e, -EUCLEAN, "%s is corrupt (%s); " PERSIST_ADVICE, s->path, text);
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
    if (n != 0 && ((rc & 0xff) == SQLITE_IOERR || (rc & 0xff) == SQLITE_CANTOPEN))
        return err_set(e, -n, "cannot %s %s: %s (%s)", what, s->path, text, strerror(n));
    return err_set(e, -EIO, "cannot %s %s: %s", what, s->path, text);
}

static int run(const struct sqlite *s, const char *sql, const char *what, struct err *e)
{
    int rc = sqlite3_exec(s->db, sql, NULL, NULL, NULL);

    return rc == SQLITE_OK ? 0 : persist_failed(s, rc, what, e);
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
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : persist_failed(s, rc, "read", e);
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
    return persist_failed(s, SQLITE_NOTADB, "open", e);
}

/* --- checksums --- */

uint32_t persist_sum(const char *id, const void *object, size_t n)
{
    uLong sum = crc32_z(0, (const Bytef *)id, strlen(id));

    return (uint32_t)crc32_z(sum, object, n);
}

uint32_t persist_meta_sum(uint64_t index, const uint64_t table_index[TABLE_MAX], uint64_t replaced)
{
    uLong sum = 0;
    char text[32];
    int n = snprintf(text, sizeof(text), "%" PRIu64 ";", index);

    sum = crc32_z(sum, (const Bytef *)text, (size_t)n);
    for (size_t t = 0; t < TABLE_MAX; t++) {
        n = snprintf(text, sizeof(text), "%" PRIu64 ";", table_index[t]);
        sum = crc32_z(sum, (const Bytef *)text, (size_t)n);
    }
    if (replaced > 0) {
        n = snprintf(text, sizeof(text), "replaced %" PRIu64 ";", replaced);
        sum = crc32_z(sum, (const Bytef *)text, (size_t)n);
    }
    return (uint32_t)sum;
}

/* for the steps below: picket_sum(id, object) */
static void sql_sum(sqlite3_context *c, int n, sqlite3_value **v)
{
    const char *id = (const char *)sqlite3_value_text(v[0]);
    const void *object = sqlite3_value_blob(v[1]);

    (void)n;
    sqlite3_result_int64(c, id ? (int64_t)persist_sum(id, object, (size_t)sqlite3_value_bytes(v[1]))
                               : 0);
}

/* picket_meta_sum(index, index.nodes, index.allocs) */
static void sql_meta_sum(sqlite3_context *c, int n, sqlite3_value **v)
{
    uint64_t table_index[TABLE_MAX] = {0};

    for (int t = 0; t < TABLE_MAX && t + 1 < n; t++)
        table_index[t] = (uint64_t)sqlite3_value_int64(v[t + 1]);
    sqlite3_result_int64(
        c, (int64_t)persist_meta_sum((uint64_t)sqlite3_value_int64(v[0]), table_index, 0));
}

static int add_functions(const struct sqlite *s, struct err *e)
{
    int flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_DIRECTONLY;
    int rc = sqlite3_create_function(s->db, "picket_sum", 2, flags, NULL, sql_sum, NULL, NULL);

    if (rc == SQLITE_OK)
        rc = sqlite3_create_function(s->db, "picket_meta_sum", 1 + TABLE_MAX, flags, NULL,
                                     sql_meta_sum, NULL, NULL);
    return rc == SQLITE_OK ? 0 : persist_failed(s, rc, "open", e);
}

/* --- the schema --- */

#define NODES_2                                                                                    \
    "CREATE TABLE nodes (id TEXT PRIMARY KEY, object BLOB NOT NULL,"                               \
    " sum INTEGER NOT NULL DEFAULT 0);"
#define META_SUM_2                                                                                 \
    "INSERT OR REPLACE INTO meta SELECT 'sum', picket_meta_sum("                                   \
    "coalesce((SELECT value FROM meta WHERE key = 'index'), 0),"                                   \
    "coalesce((SELECT value FROM meta WHERE key = 'index.nodes'), 0),"                             \
    "coalesce((SELECT value FROM meta WHERE key = 'index.allocs'), 0));"

static int create_schema(const struct sqlite *s, struct err *e)
{
    _cleanup_free_ char *sql =
        xasprintf("BEGIN IMMEDIATE;"
                  "CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;" NODES_2
                  "INSERT INTO meta VALUES ('schema', %d), ('index', 0);" META_SUM_2
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
        return persist_failed(s, SQLITE_NOTADB, "open", e);
    r = query_i64(s, "SELECT value FROM meta WHERE key = 'schema'", &schema, e);
    if (r < 0)
        return r;
    if (schema > PERSIST_SCHEMA)
        return err_set(e, -EPROTONOSUPPORT,
                       "%s was written by a newer picket-server (schema %" PRId64
                       ", this one knows %d)",
                       s->path, schema, PERSIST_SCHEMA);
    if (schema < 1)
        return err_set(e, -EUCLEAN, "%s is corrupt (schema %" PRId64 "); " PERSIST_ADVICE, s->path,
                       schema);
    return 0;
}

/* Brings older files up to PERSIST_SCHEMA, one step after the other in one transaction.  Schema 1
 * had no checksums. */
static int upgrade_schema(const struct sqlite *s, struct err *e)
{
    static const char *const steps[PERSIST_SCHEMA] = {
        [1] = "ALTER TABLE nodes ADD COLUMN sum INTEGER NOT NULL DEFAULT 0;"
              "UPDATE nodes SET sum = picket_sum(id, object);" META_SUM_2,
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

    return rc == SQLITE_OK ? 0 : persist_failed(s, rc, "open", e);
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
                    "INSERT INTO nodes (id, object, sum) VALUES (?1, ?2, ?3) ON CONFLICT (id)"
                    " DO UPDATE SET object = excluded.object, sum = excluded.sum",
                    &s->put_node, e);
    if (r == 0)
        r = prepare(s, "DELETE FROM nodes WHERE id = ?1", &s->delete_node, e);
    return r;
}

/* What a process that was killed left in the log may be in the kernel's memory only: not synced
 * yet, or synced in vain, after which the kernel takes it for written.  We are about to show it to
 * readers, so it is written once more, byte for byte, and synced. */
static int make_certain(const struct sqlite *s, struct err *e)
{
    _cleanup_free_ char *buf = xnew0_n(char, 64 * KIB);
    sqlite3_file *f = NULL;
    sqlite3_int64 size = 0;
    int rc = sqlite3_file_control(s->db, "main", SQLITE_FCNTL_JOURNAL_POINTER, (void *)&f);

    if (rc != SQLITE_OK || !f || !f->pMethods)
        return 0; /* no log */
    rc = f->pMethods->xFileSize(f, &size);
    for (sqlite3_int64 at = 0; rc == SQLITE_OK && at < size; at += 64 * KIB) {
        int n = (int)MIN((sqlite3_int64)(64 * KIB), size - at);

        rc = f->pMethods->xRead(f, buf, n, at);
        if (rc == SQLITE_OK)
            rc = f->pMethods->xWrite(f, buf, n, at);
    }
    if (rc == SQLITE_OK && size > 0)
        rc = f->pMethods->xSync(f, SQLITE_SYNC_NORMAL);
    if (rc == SQLITE_OK)
        return 0;
    return err_set(e, -EIO, "cannot write %s-wal: %s", s->path, sqlite3_errstr(rc));
}

static int open_file(struct sqlite *s, const char *vfs, struct err *e)
{
    int rc = sqlite3_open_v2(s->path, &s->db,
                             SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX |
                                 SQLITE_OPEN_EXRESCODE,
                             vfs);

    if (rc != SQLITE_OK)
        return persist_failed(s, rc, "open", e);
    (void)sqlite3_busy_timeout(s->db, 5000);
    if (sqlite3_db_readonly(s->db, "main") == 1)
        return persist_failed(s, SQLITE_READONLY, "write", e);
    /* Ours alone, as the folder is: then the index of the log is in our memory and not in a mapped
     * file, which a bad disk would turn into SIGBUS. */
    return run(s, "PRAGMA locking_mode = EXCLUSIVE", "open", e);
}

int persist_open_database(struct sqlite *s, const char *vfs, struct err *e)
{
    bool empty = false;
    int r;

    r = check_header(s, e);
    if (r == 0)
        r = open_file(s, vfs, e);
    if (r == 0)
        r = check_identity(s, &empty, e);
    if (r == 0)
        r = make_certain(s, e);
    if (r == 0)
        r = run(s,
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                "PRAGMA wal_autocheckpoint = 0; PRAGMA trusted_schema = OFF",
                "write", e);
    if (r == 0)
        r = add_functions(s, e);
    if (r == 0)
        r = empty ? create_schema(s, e) : upgrade_schema(s, e);
    if (r == 0)
        r = prepare_all(s, e);
    return r;
}
