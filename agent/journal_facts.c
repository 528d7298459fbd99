#include <string.h>

#include "base/str.h"
#include "base/vec.h"
#include "codec/ops.h"
#include "agent/journal_priv.h"

enum { JOURNAL_ALLOCS_MAX = 4096 }; /* a node's list before a server collects it */

/* clang-format off */
#define T struct fact_head
static const struct field head_fields[] = {
    { "NodeID", STR(node_id) },
    { "Version", U64(version) },
};
static DESC(desc_fact_head, T, head_fields);
#undef T

#define T struct fact_registered
static const struct field registered_fields[] = {
    { "Registered", BOOL(registered) },
    { EMBED(head, desc_fact_head) },
};
static DESC(desc_registered, T, registered_fields);
#undef T

#define T struct fact_identity
static const struct field identity_fields[] = {
    { "JWT", STR(jwt), .flags = F_SECRET },
    { EMBED(head, desc_fact_head) },
};
static DESC(desc_identity, T, identity_fields);
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

#define T struct fact_allocs
static const struct field allocs_fields[] = {
    { "Allocs", VEC(allocs, n_allocs, desc_journal_alloc) },
    { EMBED(head, desc_fact_head) },
};
static DESC(desc_allocs, T, allocs_fields);
#undef T

#define T struct fact_events
static const struct field events_fields[] = {
    { "Events", VEC(events, n_events, desc_node_event) },
    { EMBED(head, desc_fact_head) },
};
static DESC(desc_events, T, events_fields);
#undef T

#define T struct fact_meta
static const struct field meta_fields[] = {
    { "Meta", OPT_MAP(meta) },
    { EMBED(head, desc_fact_head) },
};
static DESC(desc_meta, T, meta_fields);
#undef T

#define AT(m) offsetof(struct journal, m)
const struct fact_row fact_rows[FACT_MAX] = {
    [FACT_REGISTERED] = { "picket-registered.mp", &desc_registered, AT(registered) },
    [FACT_IDENTITY]   = { "picket-identity.mp",   &desc_identity,   AT(identity) },
    [FACT_ALLOCS]     = { "picket-allocs.mp",     &desc_allocs,     AT(allocs) },
    [FACT_EVENTS]     = { "picket-events.mp",     &desc_events,     AT(events) },
    [FACT_META]       = { "picket-meta.mp",       &desc_meta,       AT(meta) },
};
#undef AT
/* clang-format on */

bool journal_registered(const struct journal *j)
{
    return j->registered.registered;
}

void journal_set_registered(struct journal *j)
{
    if (j->registered.registered)
        return;
    j->registered.registered = true;
    journal_save(j, FACT_REGISTERED);
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
    journal_save(j, FACT_IDENTITY);
}

/* --- allocations --- */

const struct journal_alloc *journal_allocs(const struct journal *j, size_t *ret_n)
{
    *ret_n = j->allocs.n_allocs;
    return j->allocs.allocs;
}

static struct journal_alloc *find(const struct journal *j, const char *id)
{
    for (size_t i = 0; i < j->allocs.n_allocs; i++)
        if (str_eq(j->allocs.allocs[i].id, id))
            return &j->allocs.allocs[i];
    return NULL;
}

const struct journal_alloc *journal_alloc(const struct journal *j, const char *id)
{
    return find(j, id);
}

static void remove_at(struct journal *j, size_t i)
{
    struct fact_allocs *f = &j->allocs;

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
        else if (j->allocs.n_allocs >= JOURNAL_ALLOCS_MAX)
            remove_at(j, 0); /* the oldest: a server that still lists it says it failed */
        if (!slot)
            slot = vec_add(&j->allocs.allocs, &j->allocs.n_allocs);
        ops_copy(&desc_journal_alloc, slot, &a[i]);
    }
    if (n > 0)
        journal_save(j, FACT_ALLOCS);
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

    for (size_t i = j->allocs.n_allocs; i-- > 0;) {
        if (is_listed(listed, j->allocs.allocs[i].id))
            continue;
        remove_at(j, i);
        changed = true;
    }
    if (changed)
        journal_save(j, FACT_ALLOCS);
}

/* --- events --- */

const struct node_event *journal_events(const struct journal *j, size_t *ret_n)
{
    *ret_n = j->events.n_events;
    return j->events.events;
}

void journal_add_event(struct journal *j, const struct node_event *ev)
{
    struct fact_events *f = &j->events;

    ops_copy(&desc_node_event, vec_add(&f->events, &f->n_events), ev);
    journal_save(j, FACT_EVENTS);
}

void journal_drop_events(struct journal *j, size_t at, size_t n)
{
    struct fact_events *f = &j->events;

    if (at >= f->n_events)
        return;
    n = MIN(n, f->n_events - at);
    if (n == 0)
        return;
    for (size_t i = at; i < at + n; i++)
        ops_clear(&desc_node_event, &f->events[i]);
    memmove(&f->events[at], &f->events[at + n], (f->n_events - at - n) * sizeof(f->events[0]));
    f->n_events -= n;
    journal_save(j, FACT_EVENTS);
}

/* --- metadata --- */

const struct optmap *journal_meta(const struct journal *j)
{
    return &j->meta.meta;
}

void journal_set_meta(struct journal *j, const struct optmap *meta)
{
    const struct fact_meta other = {.meta = *meta}; /* borrowed */
    const struct field *f = desc_find(&desc_meta, "Meta");
    struct fact_meta copy = {0};

    if (ops_field_equal(f, &j->meta, &other))
        return;
    ops_copy(&desc_meta, &copy, &other);
    ops_clear_field(f, &j->meta);
    j->meta.meta = copy.meta;
    journal_save(j, FACT_META);
}
