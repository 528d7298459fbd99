#include "state/watch.h"

#include <string.h>

#include "base/clock.h"
#include "base/rand.h"

enum { BUCKETS_MIN = 64 };

static size_t bucket_of(const struct watches *ws, const struct uuid *id)
{
    uint64_t a, b;

    memcpy(&a, id->b, 8);
    memcpy(&b, id->b + 8, 8);
    a = (a ^ ws->seed) * UINT64_C(0x9e3779b97f4a7c15);
    b = (b ^ a ^ a >> 32) * UINT64_C(0xc2b2ae3d27d4eb4f);
    return (size_t)(b ^ b >> 29) & (ws->n_buckets - 1);
}

static struct list *buckets_new(size_t n)
{
    struct list *v = xnew0_n(struct list, n);

    for (size_t i = 0; i < n; i++)
        list_init(&v[i]);
    return v;
}

static void on_wake(void *arg)
{
    uint64_t end = clock_boot_ns() + WATCH_WAKE_NS;
    struct watches *ws = arg;

    for (int i = 0; i < WATCH_WAKE_SLICE && clock_boot_ns() <= end; i++) {
        struct watch *w = list_first(&ws->woken, struct watch, link);

        if (!w)
            break;
        list_remove(&w->link);
        w->fn(w->arg);
    }
    if (!list_empty(&ws->woken))
        timer_set(&ws->timer, 0);
}

void watches_init(struct watches *ws, struct loop *l)
{
    *ws = (struct watches){.n_buckets = BUCKETS_MIN, .seed = rand_below(UINT64_MAX)};
    ws->buckets = buckets_new(BUCKETS_MIN);
    for (size_t i = 0; i < TABLE_MAX; i++) {
        list_init(&ws->tables[i].next);
        list_init(&ws->tables[i].later);
    }
    list_init(&ws->woken);
    timer_init(l, &ws->timer, "watch", on_wake, ws);
}

static void list_drop_all(struct list *head)
{
    for (struct watch *w; (w = list_first(head, struct watch, link));) {
        w->owner = NULL;
        list_remove(&w->link);
    }
}

void watches_done(struct watches *ws)
{
    for (size_t i = 0; i < TABLE_MAX; i++) {
        list_drop_all(&ws->tables[i].next);
        list_drop_all(&ws->tables[i].later);
    }
    for (size_t i = 0; i < ws->n_buckets; i++)
        list_drop_all(&ws->buckets[i]);
    list_drop_all(&ws->woken);
    timer_stop(&ws->timer);
    free(ws->buckets);
    *ws = (struct watches){0};
}

static void buckets_grow(struct watches *ws)
{
    struct list *old = ws->buckets;
    size_t n_old = ws->n_buckets;

    ws->n_buckets *= 2;
    ws->buckets = buckets_new(ws->n_buckets);
    for (size_t i = 0; i < n_old; i++) {
        for (struct watch *w; (w = list_first(&old[i], struct watch, link));) {
            list_remove(&w->link);
            list_append(&ws->buckets[bucket_of(ws, &w->node)], &w->link);
        }
    }
    free(old);
}

static void table_add(struct watch_table *t, struct watch *w)
{
    if (w->beyond <= t->index) {
        list_append(&t->next, &w->link);
        return;
    }
    if (list_empty(&t->later) || w->beyond < t->later_least)
        t->later_least = w->beyond;
    list_append(&t->later, &w->link);
}

void watches_add(struct watches *ws, struct watch *w)
{
    store_unwatch(w);
    w->owner = ws;
    if (w->kind == WATCH_TABLE) {
        table_add(&ws->tables[w->table], w);
        return;
    }
    if (++ws->n > ws->n_buckets)
        buckets_grow(ws);
    list_append(&ws->buckets[bucket_of(ws, &w->node)], &w->link);
}

void store_unwatch(struct watch *w)
{
    struct watches *ws = w->owner;

    if (ws && w->kind == WATCH_NODE)
        ws->n--;
    w->owner = NULL;
    list_remove(&w->link);
}

static void wake(struct watches *ws, struct watch *w)
{
    store_unwatch(w);
    list_append(&ws->woken, &w->link);
    if (!timer_armed(&ws->timer))
        timer_set(&ws->timer, 0);
}

static void wake_list(struct watches *ws, struct list *l)
{
    for (struct watch *w; (w = list_first(l, struct watch, link));)
        wake(ws, w);
}

void watches_wake_table(struct watches *ws, enum table t, uint64_t index)
{
    struct watch_table *at = &ws->tables[t];
    uint64_t least = UINT64_MAX;

    at->index = index;
    wake_list(ws, &at->next);
    if (list_empty(&at->later) || index <= at->later_least)
        return;
    list_for_each (w, &at->later, struct watch, link) {
        if (w->beyond < index)
            wake(ws, w);
        else
            least = MIN(least, w->beyond);
    }
    at->later_least = least;
}

void watches_wake_node(struct watches *ws, const struct uuid *id, uint64_t index)
{
    list_for_each (w, &ws->buckets[bucket_of(ws, id)], struct watch, link) {
        if (w->beyond < index && memcmp(w->node.b, id->b, UUID_BYTES) == 0)
            wake(ws, w);
    }
}

void watches_wake_all(struct watches *ws)
{
    for (size_t i = 0; i < TABLE_MAX; i++) {
        wake_list(ws, &ws->tables[i].next);
        wake_list(ws, &ws->tables[i].later);
    }
    for (size_t i = 0; i < ws->n_buckets; i++)
        wake_list(ws, &ws->buckets[i]);
}
