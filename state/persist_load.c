/* state/persist_load.c - everything is read once, and nothing that is not what was stored. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"
#include "base/str.h"
#include "state/persist_sqlite.h"

const char *const persist_index_keys[TABLE_MAX] = {
    [TABLE_NODES] = "index.nodes",
    [TABLE_ALLOCS] = "index.allocs",
};

static int load_meta(struct sqlite *s, const struct persist_load *l, struct err *e)
{
    uint64_t index = 0, table_index[TABLE_MAX] = {0}, replaced = 0, sum = UINT64_MAX;
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
        else if (strcmp(key, PERSIST_REPLACED_KEY) == 0)
            replaced = value;
        else if (strcmp(key, "sum") == 0)
            sum = value;
        for (size_t t = 0; t < TABLE_MAX; t++)
            if (strcmp(key, persist_index_keys[t]) == 0)
                table_index[t] = value;
    }
    (void)sqlite3_finalize(st);
    if (rc != SQLITE_DONE)
        return persist_failed(s, rc, "read", e);
    if (sum != persist_meta_sum(index, table_index, replaced))
        return err_set(e, -EUCLEAN,
                       "%s is corrupt (its indexes do not match their checksum); " PERSIST_ADVICE,
                       s->path);
    s->replaced = replaced;
    l->indexes(l->arg, index, table_index, replaced);
    return 0;
}

/* objects that are not what was stored */
struct damage {
    size_t n;
    char first[UUID_TEXT_LEN + 1];
};

static int load_node(struct sqlite *s, sqlite3_stmt *st, const struct persist_load *l,
                     struct damage *d, struct err *e)
{
    const char *id = (const char *)sqlite3_column_text(st, 0);
    const void *object = sqlite3_column_blob(st, 1);
    size_t n = (size_t)sqlite3_column_bytes(st, 1);
    int r;

    if (!id || !object)
        return err_set(e, -EUCLEAN, "%s is corrupt (a node without id or content); " PERSIST_ADVICE,
                       s->path);
    if (persist_sum(id, object, n) != (uint64_t)sqlite3_column_int64(st, 2)) {
        if (d->n++ == 0)
            (void)snprintf(d->first, sizeof(d->first), "%s", id);
        return 0;
    }
    r = l->object(l->arg, TABLE_NODES, id, object, n, e);
    return r < 0 ? err_wrap(e, -EUCLEAN, "%s is corrupt (node %s)", s->path, id) : 0;
}

/* in the order in which they lie in the file: a cold disk reads them in one go */
static int load_nodes(struct sqlite *s, const struct persist_load *l, struct err *e)
{
    struct damage d = {0};
    sqlite3_stmt *st = NULL;
    size_t n = 0;
    int r = 0, rc;

    rc = sqlite3_prepare_v2(s->db, "SELECT id, object, sum FROM nodes NOT INDEXED", -1, &st, NULL);
    while (r == 0 && (rc == SQLITE_OK || rc == SQLITE_ROW)) {
        rc = sqlite3_step(st);
        if (rc != SQLITE_ROW)
            break;
        n++;
        r = load_node(s, st, l, &d, e);
    }
    (void)sqlite3_finalize(st);
    if (r < 0)
        return r;
    if (rc != SQLITE_DONE)
        return persist_failed(s, rc, "read", e);
    if (d.n == 0)
        return 0;
    return err_set(
        e, -EUCLEAN,
        "%s is corrupt (node %s is not what was stored, as are %zu more of %zu); " PERSIST_ADVICE,
        s->path, d.first, d.n - 1, n);
}

/* SQLite's report of damage as an error; a page that could not be read is none */
static int damaged(const struct sqlite *s, const char *report, struct err *e)
{
    static const char unread[] = "error code=";
    const char *code = strstr(report, unread), *line = strrchr(report, '\n');
    uint64_t rc = 0;

    if (code && parse_u64(code + strlen(unread), &rc) == 0 && (rc & 0xff) == SQLITE_IOERR)
        return persist_failed(s, SQLITE_IOERR, "read", e);
    return err_set(e, -EUCLEAN, "%s is corrupt (%s); " PERSIST_ADVICE, s->path,
                   line ? line + 1 : report);
}

/* the trees that hold it all, which no checksum of ours covers */
static int check_trees(const struct sqlite *s, struct err *e)
{
    sqlite3_stmt *st = NULL;
    const char *text = NULL;
    int r = 0, rc = sqlite3_prepare_v2(s->db, "PRAGMA integrity_check(1)", -1, &st, NULL);

    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    if (rc == SQLITE_ROW)
        text = (const char *)sqlite3_column_text(st, 0);
    if (rc != SQLITE_ROW)
        r = persist_failed(s, rc, "read", e);
    else if (!str_eq(text, "ok"))
        r = damaged(s, str_or_empty(text), e);
    (void)sqlite3_finalize(st);
    return r;
}

void persist_leave_alone(const struct sqlite *s)
{
    if (s->db)
        (void)sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
}

int persist_sqlite_load(struct persist *p, const struct persist_load *l, struct err *e)
{
    struct sqlite *s = container_of(p, struct sqlite, p);
    int r = load_meta(s, l, e);

    if (r == 0)
        r = load_nodes(s, l, e);
    if (r == 0)
        r = check_trees(s, e);
    if (r < 0)
        persist_leave_alone(s);
    return r;
}
