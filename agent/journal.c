#include "agent/journal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/str.h"
#include "base/vec.h"
#include "base/writer.h"
#include "codec/mp.h"
#include "codec/ops.h"

enum { JOURNAL_ALLOCS_MAX = 4096 }; /* a node's list before a server collects it */

struct registered {
    char *node_id;
    bool registered;
};
struct signed_identity {
    char *node_id;
    char *jwt;
};
struct failed_allocs {
    char *node_id;
    struct journal_alloc *allocs;
    size_t n_allocs;
};

/* clang-format off */
#define T struct registered
static const struct field registered_fields[] = {
    { "NodeID", STR(node_id) },
    { "Registered", BOOL(registered) },
};
static DESC(desc_registered, T, registered_fields);
#undef T

#define T struct signed_identity
static const struct field signed_identity_fields[] = {
    { "JWT", STR(jwt), .flags = F_SECRET },
    { "NodeID", STR(node_id) },
};
static DESC(desc_signed_identity, T, signed_identity_fields);
#undef T

#define T struct journal_alloc
static const struct field journal_alloc_fields[] = {
    { "At", TIME(at) },
    { "ID", STR(id) },
    { "ModifyIndex", U64(modify_index) },
    { "Tasks", STRVEC(tasks, n_tasks) },
};
DESC(desc_journal_alloc, T, journal_alloc_fields);
#undef T

#define T struct failed_allocs
static const struct field failed_allocs_fields[] = {
    { "Allocs", VEC(allocs, n_allocs, desc_journal_alloc) },
    { "NodeID", STR(node_id) },
};
static DESC(desc_failed_allocs, T, failed_allocs_fields);
#undef T
/* clang-format on */

struct journal {
    struct loop *loop;
    struct writer *writer; /* owned; made by the first write */
    char *dir;             /* owned */
    struct registered registered;
    struct signed_identity identity;
    struct failed_allocs failed;
};

struct write_job {
    struct writer_job job;
    char *path; /* owned */
    uint8_t *p; /* owned */
    size_t n;
    int r;
    struct err e;
};

#define FILE_REGISTERED "picket-registered.mp"
#define FILE_IDENTITY   "picket-identity.mp"
#define FILE_ALLOCS     "picket-allocs.mp"

static void write_run(struct writer_job *wj)
{
    struct write_job *j = container_of(wj, struct write_job, job);

    j->r = file_write_atomic(j->path, j->p, j->n, 0600, &j->e);
}

static void write_done(struct writer_job *wj)
{
    struct write_job *j = container_of(wj, struct write_job, job);

    if (j->r < 0)
        (void)log_error(0, "cannot remember a fact over a restart", KE(&j->e));
    free(j->path);
    free(j->p);
    free(j);
}

static void save(struct journal *j, const char *file, const struct desc *d, const void *fact)
{
    _cleanup_buf_ struct buf b = BUF_INIT(READ_CAP_STATE);
    struct write_job *job;

    mp_encode(&b, d, fact);
    if (buf_ok(&b) < 0) {
        (void)log_error(-EFBIG, "cannot remember a fact over a restart", KV("file", file));
        return;
    }
    job = xnew0(struct write_job);
    job->job = (struct writer_job){.run = write_run, .done = write_done};
    job->path = xasprintf("%s/%s", j->dir, file);
    job->p = buf_take(&b, &job->n);
    if (!j->writer && writer_new(j->loop, "journal", &j->writer) < 0) {
        write_run(&job->job);
        write_done(&job->job);
        return;
    }
    writer_submit(j->writer, &job->job);
}

static void set_aside(const char *path, const char *why)
{
    _cleanup_free_ char *aside = xasprintf("%s.damaged", path);

    if (rename(path, aside) < 0)
        (void)log_warn(-errno, "cannot put a damaged file aside", KV("path", path));
    (void)log_warn(0, "a remembered fact is damaged, going on without it", KV("path", path),
                   KV("kept_as", aside), KV("error", why));
}

/* a fact that is not there, not readable or damaged is left zero */
static void load(struct journal *j, const char *file, const struct desc *d, void *fact)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", j->dir, file), *text = NULL;
    struct err e = {0};
    size_t n;
    int r = file_read(path, READ_CAP_STATE, &text, &n);

    if (r == -ENOENT)
        return;
    if (r < 0 && r != -EFBIG) {
        (void)log_warn(r, "cannot read a remembered fact", KV("path", path));
        return;
    }
    if (r == 0)
        r = mp_decode(d, text, n, fact, &e);
    else
        (void)err_errno(&e, r, "size");
    if (r < 0) {
        ops_clear(d, fact);
        set_aside(path, e.text);
    }
}

int journal_open(struct loop *l, const char *state_dir, const char *node_id, struct journal **ret,
                 struct err *e)
{
    struct journal *j = xnew0(struct journal);

    (void)e;
    j->loop = l;
    j->dir = xstrdup(state_dir);
    load(j, FILE_REGISTERED, &desc_registered, &j->registered);
    load(j, FILE_IDENTITY, &desc_signed_identity, &j->identity);
    load(j, FILE_ALLOCS, &desc_failed_allocs, &j->failed);
    if (!str_eq(j->registered.node_id, node_id))
        ops_clear(&desc_registered, &j->registered);
    if (!str_eq(j->identity.node_id, node_id))
        ops_clear(&desc_signed_identity, &j->identity);
    if (!str_eq(j->failed.node_id, node_id))
        ops_clear(&desc_failed_allocs, &j->failed);
    str_set(&j->registered.node_id, node_id);
    str_set(&j->identity.node_id, node_id);
    str_set(&j->failed.node_id, node_id);
    *ret = j;
    return 0;
}

struct journal *journal_free(struct journal *j)
{
    if (!j)
        return NULL;
    if (j->writer)
        (void)writer_free(j->writer);
    ops_clear(&desc_registered, &j->registered);
    ops_clear(&desc_signed_identity, &j->identity);
    ops_clear(&desc_failed_allocs, &j->failed);
    free(j->dir);
    return mem_free(j);
}

size_t journal_pending(const struct journal *j)
{
    return j && j->writer ? writer_pending(j->writer) : 0;
}

bool journal_registered(const struct journal *j)
{
    return j->registered.registered;
}

void journal_set_registered(struct journal *j)
{
    if (j->registered.registered)
        return;
    j->registered.registered = true;
    save(j, FILE_REGISTERED, &desc_registered, &j->registered);
}

const char *journal_identity(const struct journal *j)
{
    return str_empty(j->identity.jwt) ? NULL : j->identity.jwt;
}

void journal_set_identity(struct journal *j, const char *jwt)
{
    if (str_eq(j->identity.jwt, jwt))
        return;
    str_set(&j->identity.jwt, jwt);
    save(j, FILE_IDENTITY, &desc_signed_identity, &j->identity);
}

const struct journal_alloc *journal_allocs(const struct journal *j, size_t *ret_n)
{
    *ret_n = j->failed.n_allocs;
    return j->failed.allocs;
}

static struct journal_alloc *find(const struct journal *j, const char *id)
{
    for (size_t i = 0; i < j->failed.n_allocs; i++)
        if (str_eq(j->failed.allocs[i].id, id))
            return &j->failed.allocs[i];
    return NULL;
}

const struct journal_alloc *journal_alloc(const struct journal *j, const char *id)
{
    return find(j, id);
}

static void remove_at(struct journal *j, size_t i)
{
    struct failed_allocs *f = &j->failed;

    ops_clear(&desc_journal_alloc, &f->allocs[i]);
    memmove(&f->allocs[i], &f->allocs[i + 1], (f->n_allocs - i - 1) * sizeof(f->allocs[0]));
    f->n_allocs--;
}

void journal_put_allocs(struct journal *j, const struct journal_alloc *a, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct journal_alloc *slot = find(j, a[i].id);

        if (slot)
            ops_clear(&desc_journal_alloc, slot);
        else if (j->failed.n_allocs >= JOURNAL_ALLOCS_MAX)
            remove_at(j, 0); /* the oldest: a server that still lists it says it failed */
        if (!slot)
            slot = vec_add(&j->failed.allocs, &j->failed.n_allocs);
        ops_copy(&desc_journal_alloc, slot, &a[i]);
    }
    if (n > 0)
        save(j, FILE_ALLOCS, &desc_failed_allocs, &j->failed);
}

static int by_id(const void *a, const void *b)
{
    return strcmp(((const struct i64pair *)a)->key, ((const struct i64pair *)b)->key);
}

/* a list that was decoded is in key order */
static bool is_listed(const struct i64map *m, const char *id)
{
    const struct i64pair key = {.key = (char *)(uintptr_t)id};

    return m->n && bsearch(&key, m->items, m->n, sizeof(m->items[0]), by_id);
}

void journal_keep_allocs(struct journal *j, const struct i64map *listed)
{
    bool changed = false;

    for (size_t i = j->failed.n_allocs; i-- > 0;) {
        if (is_listed(listed, j->failed.allocs[i].id))
            continue;
        remove_at(j, i);
        changed = true;
    }
    if (changed)
        save(j, FILE_ALLOCS, &desc_failed_allocs, &j->failed);
}
