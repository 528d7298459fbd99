#include "tests/support/crash_vfs.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include <sqlite3.h>

#include "base/list.h"
#include "base/vec.h"

enum { SECTOR = 512 };

/* a sector as one write left it in the cache */
struct version {
    size_t sector;
    uint8_t b[SECTOR];
};

struct file {
    struct list link;
    char *name; /* NULL: a temporary one */
    uint8_t *live, *durable;
    size_t cap; /* of both */
    size_t live_n, durable_n;
    struct version *v; /* since the last sync, in order */
    size_t n_v;
    size_t *sizes; /* likewise */
    size_t n_sizes;
    bool linked, durable_linked;
};

/* a name that was made or taken away and not synced yet */
struct entry {
    struct file *f;
    bool linked;
};

struct crash_disk {
    sqlite3_vfs vfs;
    pthread_mutex_t lock;
    pthread_cond_t go;
    struct list files;
    struct entry *entries;
    size_t n_entries;
    uint64_t rng, ops, at;
    enum crash_fault fault;
    bool fired, dead, hang, hanging;
    int last_errno;
};

struct handle {
    sqlite3_file base;
    struct crash_disk *d;
    struct file *f;
    bool sync_folder; /* with the first sync, as SQLite's own VFS does for logs and journals */
    bool delete_on_close;
};

/* splitmix64 */
static uint64_t below(struct crash_disk *d, uint64_t n)
{
    uint64_t z = d->rng += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return n > 0 ? (z ^ z >> 31) % n : 0;
}

/* --- files --- */

static struct file *file_new(struct crash_disk *d, const char *name)
{
    struct file *f = xnew0(struct file);

    f->name = name ? xstrdup(name) : NULL;
    list_append(&d->files, &f->link);
    return f;
}

/* taken out of the disk's list already */
static void file_free(struct file *f)
{
    free(f->name);
    free(f->live);
    free(f->durable);
    free(f->v);
    free(f->sizes);
    free(f);
}

static struct file *file_find(struct crash_disk *d, const char *name)
{
    list_for_each (f, &d->files, struct file, link)
        if (f->linked && strcmp(f->name, name) == 0)
            return f;
    return NULL;
}

static void file_reserve(struct file *f, size_t n)
{
    size_t cap = MAX(f->cap, (size_t)64 * 1024);

    while (cap < n + SECTOR)
        cap *= 2;
    if (cap == f->cap)
        return;
    f->live = xrealloc(f->live, cap, 1);
    f->durable = xrealloc(f->durable, cap, 1);
    memset(f->live + f->cap, 0, cap - f->cap);
    memset(f->durable + f->cap, 0, cap - f->cap);
    f->cap = cap;
}

static void file_note(struct file *f, size_t from, size_t to)
{
    for (size_t s = from / SECTOR; s * SECTOR < to; s++) {
        struct version *v = vec_add(&f->v, &f->n_v);

        v->sector = s;
        memcpy(v->b, f->live + s * SECTOR, SECTOR);
    }
}

static void file_set_size(struct file *f, size_t n)
{
    if (n == f->live_n)
        return;
    file_reserve(f, n);
    if (n < f->live_n) {
        memset(f->live + n, 0, f->live_n - n);
        file_note(f, n, f->live_n);
    }
    f->live_n = n;
    *vec_add(&f->sizes, &f->n_sizes) = n;
}

static void file_write(struct file *f, const void *p, size_t n, size_t at)
{
    if (n == 0)
        return;
    if (at + n > f->live_n)
        file_set_size(f, at + n);
    memcpy(f->live + at, p, n);
    file_note(f, at, at + n);
}

static void file_settle(struct file *f)
{
    f->n_v = 0;
    f->n_sizes = 0;
}

static void file_synced(struct file *f)
{
    for (size_t i = 0; i < f->n_v; i++)
        memcpy(f->durable + f->v[i].sector * SECTOR, f->v[i].b, SECTOR);
    f->durable_n = f->live_n;
    file_settle(f);
}

/* some sectors have reached the disk; the kernel forgets that the others have not */
static void file_sync_failed(struct crash_disk *d, struct file *f)
{
    uint64_t share = below(d, 11);
    bool evicted = below(d, 2) == 0;

    for (size_t i = 0; i < f->n_v; i++)
        if (below(d, 10) < share)
            memcpy(f->durable + f->v[i].sector * SECTOR, f->v[i].b, SECTOR);
    if (below(d, 2) == 0)
        f->durable_n = f->live_n;
    for (size_t i = 0; evicted && i < f->n_v; i++)
        memcpy(f->live + f->v[i].sector * SECTOR, f->durable + f->v[i].sector * SECTOR, SECTOR);
    f->n_v = 0;
}

static void file_power_lost(struct crash_disk *d, struct file *f)
{
    static const unsigned shares[] = {0, 1, 5, 9, 10};
    unsigned share = shares[below(d, ARRAY_LEN(shares))];
    /* in order up to some moment, or each by itself */
    size_t end = below(d, 2) == 0 ? (size_t)below(d, f->n_v + 1) : f->n_v;

    for (size_t i = 0; i < f->n_v; i++)
        if (end < f->n_v ? i < end : below(d, 10) < share)
            memcpy(f->durable + f->v[i].sector * SECTOR, f->v[i].b, SECTOR);
    if (share == 10)
        f->durable_n = f->live_n;
    else if (share > 0 && f->n_sizes > 0 && below(d, 2) == 0)
        f->durable_n = f->sizes[below(d, f->n_sizes)];
    if (f->cap > 0) {
        memset(f->durable + f->durable_n, 0, f->cap - f->durable_n);
        memcpy(f->live, f->durable, f->cap);
    }
    f->live_n = f->durable_n;
    f->linked = f->durable_linked;
    file_settle(f);
}

/* --- the folder --- */

static void folder_note(struct crash_disk *d, struct file *f, bool linked)
{
    f->linked = linked;
    *vec_add(&d->entries, &d->n_entries) = (struct entry){f, linked};
}

static void folder_synced(struct crash_disk *d, size_t n)
{
    for (size_t i = 0; i < n; i++)
        d->entries[i].f->durable_linked = d->entries[i].linked;
    d->n_entries = 0;
}

/* --- faults --- */

enum op { OP_READ, OP_WRITE, OP_SYNC, OP_TRUNCATE, OP_DELETE, OP_MAKE };

/* true when this operation is to fail; counts it */
static bool op_fails(struct crash_disk *d, enum op op)
{
    bool now = d->fault != CRASH_NONE && ++d->ops >= d->at;

    if (d->fault == CRASH_NONE)
        d->ops++;
    if (d->dead)
        return true;
    if (!now)
        return false;
    d->last_errno = EIO;
    switch (d->fault) {
    case CRASH_DIES:
        d->fired = d->dead = true;
        return true;
    case CRASH_EIO:
        now = !d->fired;
        d->fired = true;
        return now;
    case CRASH_EIO_LASTS:
        d->fired = true;
        return true;
    case CRASH_SYNC:
        now = op == OP_SYNC && !d->fired;
        d->fired |= now;
        return now;
    case CRASH_SYNC_LASTS:
        d->fired |= op == OP_SYNC;
        return op == OP_SYNC;
    case CRASH_FULL_LASTS:
        d->last_errno = ENOSPC;
        d->fired |= op == OP_WRITE || op == OP_MAKE;
        return op == OP_WRITE || op == OP_MAKE;
    case CRASH_NONE:
    case CRASH_FAULTS:
    default:
        return false;
    }
}

static bool full(const struct crash_disk *d)
{
    return !d->dead && d->fault == CRASH_FULL_LASTS;
}

/* --- SQLite's interface: files --- */

static struct handle *handle_of(sqlite3_file *f)
{
    return (struct handle *)f;
}

static int do_close(sqlite3_file *sf)
{
    struct handle *h = handle_of(sf);

    (void)pthread_mutex_lock(&h->d->lock);
    if (!h->f->name) {
        list_remove(&h->f->link);
        file_free(h->f);
    } else if (h->delete_on_close && !h->d->dead && h->f->linked) {
        folder_note(h->d, h->f, false);
    }
    (void)pthread_mutex_unlock(&h->d->lock);
    return SQLITE_OK;
}

static int do_read(sqlite3_file *sf, void *p, int n, sqlite3_int64 at)
{
    struct handle *h = handle_of(sf);
    size_t have = 0;
    int rc = SQLITE_OK;

    (void)pthread_mutex_lock(&h->d->lock);
    if (op_fails(h->d, OP_READ)) {
        rc = SQLITE_IOERR_READ;
    } else {
        if ((size_t)at < h->f->live_n)
            have = MIN((size_t)n, h->f->live_n - (size_t)at);
        if (have > 0)
            memcpy(p, h->f->live + at, have);
        memset((char *)p + have, 0, (size_t)n - have);
        rc = have < (size_t)n ? SQLITE_IOERR_SHORT_READ : SQLITE_OK;
    }
    (void)pthread_mutex_unlock(&h->d->lock);
    return rc;
}

static int do_write(sqlite3_file *sf, const void *p, int n, sqlite3_int64 at)
{
    struct handle *h = handle_of(sf);
    struct crash_disk *d = h->d;
    bool was_dead;
    int rc = SQLITE_OK;

    (void)pthread_mutex_lock(&d->lock);
    was_dead = d->dead;
    if (op_fails(d, OP_WRITE)) {
        rc = full(d) ? SQLITE_FULL : SQLITE_IOERR_WRITE;
        n = (int)below(d, (uint64_t)n + 1); /* so much was done */
    }
    if (!was_dead)
        file_write(h->f, p, (size_t)n, (size_t)at);
    (void)pthread_mutex_unlock(&d->lock);
    return rc;
}

static int do_truncate(sqlite3_file *sf, sqlite3_int64 size)
{
    struct handle *h = handle_of(sf);
    int rc = SQLITE_OK;

    (void)pthread_mutex_lock(&h->d->lock);
    if (op_fails(h->d, OP_TRUNCATE))
        rc = SQLITE_IOERR_TRUNCATE;
    else
        file_set_size(h->f, (size_t)size);
    (void)pthread_mutex_unlock(&h->d->lock);
    return rc;
}

static int do_sync(sqlite3_file *sf, int flags)
{
    struct handle *h = handle_of(sf);
    struct crash_disk *d = h->d;
    bool was_dead;
    int rc = SQLITE_OK;

    (void)flags;
    (void)pthread_mutex_lock(&d->lock);
    while (d->hang) {
        d->hanging = true;
        (void)pthread_cond_wait(&d->go, &d->lock);
    }
    d->hanging = false;
    was_dead = d->dead;
    if (op_fails(d, OP_SYNC)) {
        rc = SQLITE_IOERR_FSYNC;
        if (!was_dead && !d->dead)
            file_sync_failed(d, h->f);
    } else {
        file_synced(h->f);
        if (h->sync_folder)
            folder_synced(d, d->n_entries);
        h->sync_folder = false;
    }
    (void)pthread_mutex_unlock(&d->lock);
    return rc;
}

static int do_size(sqlite3_file *sf, sqlite3_int64 *ret)
{
    struct handle *h = handle_of(sf);

    (void)pthread_mutex_lock(&h->d->lock);
    *ret = (sqlite3_int64)h->f->live_n;
    (void)pthread_mutex_unlock(&h->d->lock);
    return SQLITE_OK;
}

static int do_lock(sqlite3_file *f, int level)
{
    (void)f;
    (void)level;
    return SQLITE_OK;
}

static int do_check_lock(sqlite3_file *f, int *ret)
{
    (void)f;
    *ret = 0;
    return SQLITE_OK;
}

static int do_control(sqlite3_file *f, int op, void *arg)
{
    (void)f;
    (void)op;
    (void)arg;
    return SQLITE_NOTFOUND;
}

static int do_sector_size(sqlite3_file *f)
{
    (void)f;
    return 4096;
}

static int do_traits(sqlite3_file *f)
{
    (void)f;
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE; /* as SQLite's own VFS says */
}

static const sqlite3_io_methods methods = {
    .iVersion = 1, /* no shared memory */
    .xClose = do_close,
    .xRead = do_read,
    .xWrite = do_write,
    .xTruncate = do_truncate,
    .xSync = do_sync,
    .xFileSize = do_size,
    .xLock = do_lock,
    .xUnlock = do_lock,
    .xCheckReservedLock = do_check_lock,
    .xFileControl = do_control,
    .xSectorSize = do_sector_size,
    .xDeviceCharacteristics = do_traits,
};

/* --- SQLite's interface: the folder and the rest --- */

static struct crash_disk *disk_of(sqlite3_vfs *v)
{
    return v->pAppData;
}

static int do_open(sqlite3_vfs *v, const char *name, sqlite3_file *sf, int flags, int *ret_flags)
{
    struct crash_disk *d = disk_of(v);
    struct handle *h = handle_of(sf);
    struct file *f = NULL;
    int rc = SQLITE_OK;

    *h = (struct handle){.d = d};
    (void)pthread_mutex_lock(&d->lock);
    if (name)
        f = file_find(d, name);
    if (!f && (d->dead || op_fails(d, OP_MAKE) || (name && !(flags & SQLITE_OPEN_CREATE)))) {
        rc = SQLITE_CANTOPEN;
    } else if (!f) {
        f = file_new(d, name);
        if (name)
            folder_note(d, f, true);
    }
    if (rc == SQLITE_OK) {
        h->f = f;
        h->sync_folder = (flags & (SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL)) != 0;
        h->delete_on_close = (flags & SQLITE_OPEN_DELETEONCLOSE) != 0;
        h->base.pMethods = &methods;
        if (ret_flags)
            *ret_flags = flags;
    }
    (void)pthread_mutex_unlock(&d->lock);
    return rc;
}

static int do_delete(sqlite3_vfs *v, const char *name, int sync)
{
    struct crash_disk *d = disk_of(v);
    struct file *f;
    int rc = SQLITE_OK;

    (void)pthread_mutex_lock(&d->lock);
    f = file_find(d, name);
    if (op_fails(d, OP_DELETE)) {
        rc = SQLITE_IOERR_DELETE;
    } else if (!f) {
        rc = SQLITE_IOERR_DELETE_NOENT;
    } else {
        folder_note(d, f, false);
        if (sync)
            folder_synced(d, d->n_entries);
    }
    (void)pthread_mutex_unlock(&d->lock);
    return rc;
}

static int do_access(sqlite3_vfs *v, const char *name, int flags, int *ret)
{
    struct crash_disk *d = disk_of(v);

    (void)flags;
    (void)pthread_mutex_lock(&d->lock);
    *ret = file_find(d, name) != NULL;
    (void)pthread_mutex_unlock(&d->lock);
    return SQLITE_OK;
}

static int do_full_name(sqlite3_vfs *v, const char *name, int n, char *ret)
{
    (void)v;
    (void)snprintf(ret, (size_t)n, "%s", name);
    return SQLITE_OK;
}

static int do_random(sqlite3_vfs *v, int n, char *ret)
{
    struct crash_disk *d = disk_of(v);

    for (int i = 0; i < n; i++)
        ret[i] = (char)below(d, 256);
    return n;
}

static int do_sleep(sqlite3_vfs *v, int us)
{
    (void)v;
    return us;
}

static int do_time(sqlite3_vfs *v, double *ret)
{
    (void)v;
    *ret = 2460000.5;
    return SQLITE_OK;
}

static int do_last_error(sqlite3_vfs *v, int n, char *ret)
{
    (void)n;
    (void)ret;
    return disk_of(v)->last_errno;
}

/* --- the disk --- */

struct crash_disk *crash_disk_new(uint64_t seed)
{
    struct crash_disk *d = xnew0(struct crash_disk);

    d->rng = seed;
    list_init(&d->files);
    (void)pthread_mutex_init(&d->lock, NULL);
    (void)pthread_cond_init(&d->go, NULL);
    d->vfs = (sqlite3_vfs){
        .iVersion = 1,
        .szOsFile = sizeof(struct handle),
        .mxPathname = 1024,
        .zName = "crash",
        .pAppData = d,
        .xOpen = do_open,
        .xDelete = do_delete,
        .xAccess = do_access,
        .xFullPathname = do_full_name,
        .xRandomness = do_random,
        .xSleep = do_sleep,
        .xCurrentTime = do_time,
        .xGetLastError = do_last_error,
    };
    if (sqlite3_vfs_register(&d->vfs, 0) != SQLITE_OK)
        abort();
    return d;
}

struct crash_disk *crash_disk_free(struct crash_disk *d)
{
    (void)sqlite3_vfs_unregister(&d->vfs);
    list_for_each (f, &d->files, struct file, link)
        file_free(f);
    free(d->entries);
    (void)pthread_cond_destroy(&d->go);
    (void)pthread_mutex_destroy(&d->lock);
    free(d);
    return NULL;
}

void crash_disk_arm(struct crash_disk *d, enum crash_fault fault, uint64_t nth)
{
    (void)pthread_mutex_lock(&d->lock);
    d->fault = fault;
    d->at = d->ops + nth;
    d->fired = false;
    (void)pthread_mutex_unlock(&d->lock);
}

static bool flag(struct crash_disk *d, const bool *b)
{
    bool is;

    (void)pthread_mutex_lock(&d->lock);
    is = *b;
    (void)pthread_mutex_unlock(&d->lock);
    return is;
}

bool crash_disk_fired(struct crash_disk *d)
{
    return flag(d, &d->fired);
}

bool crash_disk_dead(struct crash_disk *d)
{
    return flag(d, &d->dead);
}

bool crash_disk_hangs(struct crash_disk *d)
{
    return flag(d, &d->hanging);
}

uint64_t crash_disk_ops(struct crash_disk *d)
{
    uint64_t n;

    (void)pthread_mutex_lock(&d->lock);
    n = d->ops;
    (void)pthread_mutex_unlock(&d->lock);
    return n;
}

void crash_disk_killed(struct crash_disk *d)
{
    d->dead = d->fired = false;
    d->fault = CRASH_NONE;
}

void crash_disk_power_lost(struct crash_disk *d)
{
    folder_synced(d, (size_t)below(d, d->n_entries + 1));
    list_for_each (f, &d->files, struct file, link)
        file_power_lost(d, f);
    crash_disk_killed(d);
}

void crash_disk_put(struct crash_disk *d, const char *name, const void *p, size_t n)
{
    struct file *f;

    (void)pthread_mutex_lock(&d->lock);
    f = file_new(d, name);
    f->linked = f->durable_linked = true;
    file_write(f, p, n, 0);
    file_synced(f);
    (void)pthread_mutex_unlock(&d->lock);
}

void crash_disk_hang(struct crash_disk *d, bool on)
{
    (void)pthread_mutex_lock(&d->lock);
    d->hang = on;
    (void)pthread_cond_broadcast(&d->go);
    (void)pthread_mutex_unlock(&d->lock);
}
