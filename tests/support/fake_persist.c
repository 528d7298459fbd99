#include "tests/support/fake_persist.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct object {
    char id[UUID_TEXT_LEN + 1];
    void *p;
    size_t n;
};

struct connection {
    struct persist p;
    struct fake_disk *d;
};

struct fake_disk {
    struct object *v; /* in the order of ids */
    size_t n, cap;
    uint64_t index, table_index[TABLE_MAX], replaced;
    int fail;
    struct err fail_text;
    bool automatic;
    struct defer defer;
    struct persist_batch batch;
    persist_done *done; /* NULL: nothing in flight */
    void *arg;
    size_t commits, max_changes, max_bytes;
};

static void put(struct fake_disk *d, const char *id, const void *object, size_t n)
{
    size_t i = 0;

    while (i < d->n && strcmp(d->v[i].id, id) < 0)
        i++;
    if (i < d->n && strcmp(d->v[i].id, id) == 0) {
        free(d->v[i].p);
        if (!object) {
            memmove(d->v + i, d->v + i + 1, (d->n - i - 1) * sizeof(*d->v));
            d->n--;
            return;
        }
    } else {
        if (!object)
            return;
        if (d->n == d->cap) {
            d->cap = d->cap ? d->cap * 2 : 16;
            d->v = xrealloc(d->v, d->cap, sizeof(*d->v));
        }
        memmove(d->v + i + 1, d->v + i, (d->n - i) * sizeof(*d->v));
        d->n++;
        memcpy(d->v[i].id, id, UUID_TEXT_LEN + 1);
    }
    d->v[i].p = xmemdup(object, n);
    d->v[i].n = n;
}

static void on_defer(void *arg)
{
    (void)fake_disk_step(arg);
}

struct fake_disk *fake_disk_new(struct loop *l)
{
    struct fake_disk *d = xnew0(struct fake_disk);

    defer_init(l, &d->defer, on_defer, d);
    return d;
}

struct fake_disk *fake_disk_free(struct fake_disk *d)
{
    defer_stop(&d->defer);
    for (size_t i = 0; i < d->n; i++)
        free(d->v[i].p);
    free(d->v);
    free(d);
    return NULL;
}

bool fake_disk_step(struct fake_disk *d)
{
    persist_done *done = d->done;
    size_t bytes = 0;

    if (!done)
        return false;
    d->done = NULL;
    for (size_t i = 0; i < d->batch.n_changes; i++)
        bytes += d->batch.changes[i].n;
    d->max_changes = MAX(d->max_changes, d->batch.n_changes);
    d->max_bytes = MAX(d->max_bytes, bytes);
    if (d->fail < 0) {
        done(d->arg, d->fail, &d->fail_text);
        return true;
    }
    for (; d->batch.replace && d->n > 0; d->n--)
        free(d->v[d->n - 1].p);
    for (size_t i = 0; i < d->batch.n_changes; i++) {
        const struct persist_change *c = &d->batch.changes[i];

        put(d, c->id, c->object, c->n);
    }
    d->index = d->batch.index;
    if (d->batch.replace)
        d->replaced = d->index;
    memcpy(d->table_index, d->batch.table_index, sizeof(d->table_index));
    d->commits++;
    done(d->arg, 0, &d->fail_text);
    return true;
}

static int conn_load(struct persist *p, const struct persist_load *l, struct err *e)
{
    const struct fake_disk *d = container_of(p, struct connection, p)->d;

    l->indexes(l->arg, d->index, d->table_index, d->replaced);
    for (size_t i = 0; i < d->n; i++) {
        int r = l->object(l->arg, TABLE_NODES, d->v[i].id, d->v[i].p, d->v[i].n, e);

        if (r < 0)
            return r;
    }
    return 0;
}

static void conn_commit(struct persist *p, const struct persist_batch *b, persist_done *done,
                        void *arg)
{
    struct fake_disk *d = container_of(p, struct connection, p)->d;

    if (d->done)
        abort(); /* one at a time is the contract */
    d->batch = *b;
    d->done = done;
    d->arg = arg;
    if (d->automatic)
        defer_set(&d->defer);
}

static int conn_close(struct persist *p)
{
    struct connection *c = container_of(p, struct connection, p);

    (void)fake_disk_step(c->d);
    defer_stop(&c->d->defer);
    free(c);
    return 0;
}

static const struct persist_ops ops = {
    .load = conn_load,
    .commit = conn_commit,
    .close = conn_close,
};

struct persist *fake_persist_open(struct fake_disk *d)
{
    struct connection *c = xnew0(struct connection);

    c->p.ops = &ops;
    c->p.name = "fake.db";
    c->d = d;
    return &c->p;
}

void fake_disk_auto(struct fake_disk *d, bool on)
{
    d->automatic = on;
    if (on && d->done)
        defer_set(&d->defer);
}

void fake_disk_fail(struct fake_disk *d, int r, const char *text)
{
    d->fail = r;
    d->fail_text = (struct err){0};
    if (r < 0)
        (void)err_set(&d->fail_text, r, "%s", text);
}

bool fake_disk_busy(const struct fake_disk *d)
{
    return d->done != NULL;
}

size_t fake_disk_commits(const struct fake_disk *d)
{
    return d->commits;
}

size_t fake_disk_objects(const struct fake_disk *d)
{
    return d->n;
}

uint64_t fake_disk_index(const struct fake_disk *d)
{
    return d->index;
}

size_t fake_disk_max_changes(const struct fake_disk *d)
{
    return d->max_changes;
}

size_t fake_disk_max_bytes(const struct fake_disk *d)
{
    return d->max_bytes;
}

void fake_disk_put(struct fake_disk *d, const char *id, const void *object, size_t n,
                   uint64_t index)
{
    put(d, id, object, n);
    d->index = index;
}
