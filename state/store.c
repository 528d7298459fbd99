#include "state/store.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "state/changes.h"
#include "state/nodes.h"
#include "state/persist.h"
#include "state/watch.h"

enum {
    WRITES_PER_BATCH = 200, /* also when they are of one node */
    SLOW_SEC = 5,
    RETRY_SEC = 2,
};

#define TURN_NS (2 * NSEC_PER_MSEC) /* that writes run before others have their turn */

struct write {
    struct list link;
    store_fn *fn;
    store_done *done;
    void *arg;
    int r; /* what fn said */
    uint64_t index;
    struct err *e; /* owned; NULL unless r < 0 */
};

struct txn {
    const struct store *s;
    uint64_t index;
    struct changes own;
};

struct store {
    struct loop *loop;
    struct persist *persist; /* owned */
    void (*on_health)(void *arg, enum store_health h, const struct err *e);
    void *arg;

    /* published */
    struct nodes *nodes;
    struct secrets secrets;
    uint64_t index, table_index[TABLE_MAX];
    struct watches watches;

    /* the batch that is being built or on its way to the disk */
    struct list queue; /* writes that have not run */
    struct list ran;   /* those of the batch, in order */
    struct changes overlay;
    struct persist_change *batch; /* owned; the overlay as persist takes it */
    uint64_t next_index, next_table_index[TABLE_MAX];
    size_t n_changed; /* writes of the batch that used an index */
    size_t n_ran;     /* those in ran */
    /* one that ran on top of the batch and did not fit: the first of the next one */
    struct write *carry;
    struct changes carry_changes;

    /* all of it anew: waits for the commit in flight, then is one */
    struct store_content *content; /* owned; NULL: nothing is to be replaced */
    store_replaced *replaced;
    void *replaced_arg;
    uint64_t replaced_index; /* of the last one */

    bool in_flight, closing;
    bool left; /* closed while a commit hangs: its end frees the rest */
    struct defer defer;

    /* the durable side */
    enum store_health health;
    struct err trouble; /* why it is not fine */
    struct timer disk;  /* a commit hangs, or the next attempt after one that failed */
    uint64_t slow_ns, slow_left_ns, retry_ns;
};

/* --- transactions --- */

uint64_t txn_index(const struct txn *t)
{
    return t->index;
}

const struct node_item *txn_node(const struct txn *t, const struct uuid *id)
{
    const struct change *c = changes_find(&t->own, id);

    if (!c)
        c = changes_find(&t->s->overlay, id);
    return c ? c->it : nodes_get(t->s->nodes, id);
}

void txn_put_node(struct txn *t, const struct node_item *take_it)
{
    changes_put(&t->own, &take_it->key, take_it);
}

void txn_delete_node(struct txn *t, const struct uuid *id)
{
    changes_put(&t->own, id, NULL);
}

/* --- building a batch --- */

/* the first of a list, taken out of it; NULL when it is empty */
static struct write *write_take(struct list *l)
{
    struct write *w = list_first(l, struct write, link);

    if (w)
        list_remove(&w->link);
    return w;
}

static void write_finish(struct write *w, int r, uint64_t index, const struct err *e)
{
    w->done(w->arg, r, index, e);
    free(w->e);
    free(w);
}

/* the changes of a write that used an index become part of the batch */
static void batch_add(struct store *s, struct changes *take)
{
    s->next_index++;
    s->n_changed++;
    if (take->n > 0)
        s->next_table_index[TABLE_NODES] = s->next_index;
    changes_merge(&s->overlay, take);
}

static bool batch_has_room(const struct store *s, const struct changes *more)
{
    return s->n_changed == 0 || (s->overlay.n + more->n <= PERSIST_BATCH_KEYS &&
                                 s->overlay.bytes + more->bytes <= PERSIST_BATCH_BYTES);
}

static void batch_note(struct store *s, struct write *w)
{
    list_append(&s->ran, &w->link);
    s->n_ran++;
}

/* runs one write on the overlay; false when the batch is full and the write carried over */
static bool run_write(struct store *s, struct write *w)
{
    struct txn t = {.s = s, .index = s->next_index + 1};
    struct err e = {0};

    w->r = w->fn(&t, w->arg, &e);
    if (w->r == 0 && t.own.n > PERSIST_BATCH_KEYS)
        w->r = err_set(&e, -E2BIG, "%zu nodes are too many for one change, the limit is %d",
                       t.own.n, PERSIST_BATCH_KEYS);
    if (w->r == 0)
        w->index = t.index;
    else
        w->index = s->n_changed > 0 ? s->next_index : s->index;
    if (w->r < 0)
        w->e = xmemdup(&e, sizeof(e));
    if (w->r != 0) {
        changes_done(&t.own);
        /* What it saw may never become durable: then it shares the fate of the batch. */
        if (s->n_changed == 0)
            write_finish(w, w->r, w->index, w->e);
        else
            batch_note(s, w);
        return true;
    }
    if (!batch_has_room(s, &t.own)) {
        s->carry = w;
        s->carry_changes = t.own;
        return false;
    }
    batch_add(s, &t.own);
    batch_note(s, w);
    return true;
}

static void on_committed(void *arg, int r, const struct err *e);

static void batch_submit(struct store *s)
{
    struct persist_batch b = {.index = s->next_index, .n_changes = s->overlay.n};

    memcpy(b.table_index, s->next_table_index, sizeof(b.table_index));
    s->batch = xnew0_n(struct persist_change, s->overlay.n);
    for (size_t i = 0; i < s->overlay.n; i++) {
        const struct change *c = &s->overlay.v[i];

        s->batch[i].table = TABLE_NODES;
        uuid_format(&c->key, s->batch[i].id);
        if (c->it) {
            s->batch[i].object = c->it->packed;
            s->batch[i].n = c->it->packed_len;
        }
    }
    b.changes = s->batch;
    s->in_flight = true;
    s->slow_left_ns = s->slow_ns;
    timer_set(&s->disk, s->slow_ns);
    s->persist->ops->commit(s->persist, &b, on_committed, s);
}

static void replace_submit(struct store *s);

/* builds a batch; one that takes long in several turns */
static void run_queue(void *arg)
{
    uint64_t end = clock_boot_ns() + TURN_NS;
    struct store *s = arg;

    if (s->in_flight || s->closing)
        return;
    if (s->content && !s->carry && s->n_changed == 0) {
        replace_submit(s);
        return;
    }
    if (s->carry) {
        batch_add(s, &s->carry_changes);
        batch_note(s, steal_ptr(&s->carry));
    }
    while (s->n_ran < WRITES_PER_BATCH && !s->content) {
        struct write *w = write_take(&s->queue);

        if (!w || !run_write(s, w))
            break;
        if (clock_boot_ns() > end && !list_empty(&s->queue)) {
            defer_set(&s->defer);
            return;
        }
    }
    if (s->n_changed > 0)
        batch_submit(s);
}

/* --- the end of a batch --- */

static void publish(struct store *s)
{
    bool nodes = s->next_table_index[TABLE_NODES] != s->table_index[TABLE_NODES];

    for (size_t i = 0; i < s->overlay.n; i++) {
        struct change *c = &s->overlay.v[i];
        const struct node_item *old = nodes_get(s->nodes, &c->key);
        uint64_t index = c->it ? c->it->modify_index : UINT64_MAX;
        bool moved = !old || old->modify_index != index;

        secrets_replace(&s->secrets, old, c->it);
        if (c->it)
            nodes_put(s->nodes, steal_ptr(&c->it));
        else
            (void)nodes_delete(s->nodes, &c->key);
        if (moved) /* an event leaves it where it is, and nobody waits for less */
            watches_wake_node(&s->watches, &c->key, index);
    }
    s->index = s->next_index;
    memcpy(s->table_index, s->next_table_index, sizeof(s->table_index));
    if (nodes)
        watches_wake_table(&s->watches, TABLE_NODES, s->table_index[TABLE_NODES]);
}

static void tell_health(struct store *s, enum store_health h, const struct err *e)
{
    bool told = h == s->health && h != STORE_SLOW;

    s->health = h;
    if (h == STORE_FINE)
        s->trouble = (struct err){0};
    else
        s->trouble = *e;
    if (s->on_health && !told)
        s->on_health(s->arg, h, h == STORE_FINE ? NULL : e);
}

static void on_disk_timer(void *arg)
{
    struct store *s = arg;
    struct err e;

    if (!s->in_flight) { /* nobody writes: does it work again?  A commit of nothing tells */
        batch_submit(s);
        return;
    }
    (void)err_set(&e, -ETIMEDOUT, "the disk has not answered for %llu s: %s",
                  (unsigned long long)(s->slow_left_ns / NSEC_PER_SEC), s->persist->name);
    timer_set(&s->disk, s->slow_left_ns); /* then it is twice as long */
    s->slow_left_ns *= 2;
    tell_health(s, STORE_SLOW, &e);
}

/* how a commit ended, for those who ask about the disk */
static void note_end(struct store *s, int r, const struct err *e)
{
    if (r < 0)
        timer_set(&s->disk, s->retry_ns);
    else
        timer_stop(&s->disk);
    tell_health(s, r < 0 ? STORE_FAILING : r > 0 ? STORE_UNTIDY : STORE_FINE, e);
}

static void content_free(struct store_content *c)
{
    if (c) {
        free(c->changes);
        secrets_done(&c->secrets);
    }
    free(c);
}

static void store_free(struct store *s)
{
    changes_done(&s->overlay);
    changes_done(&s->carry_changes);
    secrets_done(&s->secrets);
    (void)nodes_free(s->nodes);
    if (s->content)
        (void)nodes_free(s->content->nodes);
    content_free(s->content);
    free(s->batch);
    free(s);
}

static void on_committed(void *arg, int r, const struct err *e)
{
    struct store *s = arg;
    struct list ran;
    struct write *carry = NULL;

    s->in_flight = false;
    if (s->left) {
        store_free(s);
        return;
    }
    if (r >= 0)
        publish(s);
    changes_done(&s->overlay);
    s->batch = mem_free(s->batch);
    s->n_changed = s->n_ran = 0;
    list_init(&ran);
    for (struct write *w; (w = write_take(&s->ran));)
        list_append(&ran, &w->link);
    if (r < 0) {
        /* next_index stays: what failed may still turn up with the indexes it had */
        memcpy(s->next_table_index, s->table_index, sizeof(s->table_index));
        changes_done(&s->carry_changes);
        carry = steal_ptr(&s->carry);
        if (carry)
            s->next_index++;
    }
    note_end(s, r, e);
    list_for_each (w, &ran, struct write, link)
        write_finish(w, r < 0 ? r : w->r, r < 0 ? s->index : w->index, r < 0 ? e : w->e);
    if (carry)
        write_finish(carry, r, s->index, e);
    if (!s->closing && (s->carry || s->content || !list_empty(&s->queue)))
        defer_set(&s->defer);
}

/* --- everything at once --- */

static void replace_end(struct store *s, int r, const struct err *e)
{
    struct store_content *c = steal_ptr(&s->content);

    s->replaced(s->replaced_arg, r, s->index, c->nodes, e);
    content_free(c);
}

static void on_replaced(void *arg, int r, const struct err *e)
{
    struct store *s = arg;

    s->in_flight = false;
    if (s->left) {
        store_free(s);
        return;
    }
    if (r >= 0) {
        struct store_content old = {.nodes = s->nodes, .secrets = s->secrets};

        s->nodes = s->content->nodes;
        s->secrets = s->content->secrets;
        s->content->nodes = old.nodes;
        s->content->secrets = old.secrets;
        s->index = s->replaced_index = s->next_index;
        memcpy(s->table_index, s->next_table_index, sizeof(s->table_index));
        watches_wake_all(&s->watches);
    } else {
        memcpy(s->next_table_index, s->table_index, sizeof(s->table_index));
    }
    note_end(s, r, e);
    replace_end(s, MIN(r, 0), e);
    if (!s->closing && !list_empty(&s->queue))
        defer_set(&s->defer);
}

static void replace_submit(struct store *s)
{
    struct persist_batch b = {
        .replace = true, .changes = s->content->changes, .n_changes = s->content->n};

    s->next_index = MAX(s->next_index, s->content->index) + 1;
    for (size_t t = 0; t < TABLE_MAX; t++)
        s->next_table_index[t] = s->next_index;
    b.index = s->next_index;
    memcpy(b.table_index, s->next_table_index, sizeof(b.table_index));
    s->in_flight = true;
    s->slow_left_ns = s->slow_ns;
    timer_set(&s->disk, s->slow_ns);
    s->persist->ops->commit(s->persist, &b, on_replaced, s);
}

void store_replace(struct store *s, struct store_content *take, store_replaced *done, void *arg)
{
    s->content = xmemdup(take, sizeof(*take));
    *take = (struct store_content){0};
    s->replaced = done;
    s->replaced_arg = arg;
    if (!s->in_flight)
        defer_set(&s->defer);
}

uint64_t store_replaced_index(const struct store *s)
{
    return s->replaced_index;
}

void store_write(struct store *s, store_fn *fn, store_done *done, void *arg)
{
    struct write *w;

    if (s->closing) {
        struct err e;

        (void)err_set(&e, -ECANCELED, "the server is stopping");
        done(arg, -ECANCELED, s->index, &e);
        return;
    }
    w = xnew0(struct write);
    w->fn = fn;
    w->done = done;
    w->arg = arg;
    list_append(&s->queue, &w->link);
    if (!s->in_flight)
        defer_set(&s->defer);
}

/* --- opening and closing --- */

static void on_load_indexes(void *arg, uint64_t index, const uint64_t table_index[TABLE_MAX],
                            uint64_t replaced)
{
    struct store *s = arg;

    s->index = index;
    s->replaced_index = replaced;
    memcpy(s->table_index, table_index, sizeof(s->table_index));
}

static int on_load_object(void *arg, enum table t, const char *id, const void *object, size_t n,
                          struct err *e)
{
    struct store *s = arg;
    struct node_item *it = NULL;
    struct uuid key;
    int r;

    if (t != TABLE_NODES || uuid_parse(id, &key) < 0)
        return err_set(e, -EUCLEAN, "its id is no UUID");
    if (nodes_get(s->nodes, &key))
        return err_set(e, -EUCLEAN, "it is there twice");
    r = node_item_new(object, n, &it, e);
    if (r < 0)
        return r;
    if (memcmp(it->key.b, key.b, UUID_BYTES) != 0) {
        r = err_set(e, -EUCLEAN, "its content is of node %s", it->id);
        (void)node_item_unref(it);
        return r;
    }
    /* the index never goes back, whatever happened to the meta table */
    s->index = MAX(s->index, it->modify_index);
    s->table_index[TABLE_NODES] = MAX(s->table_index[TABLE_NODES], it->modify_index);
    secrets_replace(&s->secrets, NULL, it);
    nodes_put(s->nodes, it);
    return 0;
}

int store_open(const struct store_opts *o, struct store **ret, struct err *e)
{
    struct store *s;
    struct persist *p = o->take_persist;
    struct persist_load l = {.indexes = on_load_indexes, .object = on_load_object};
    int r;

    if (!p) {
        struct persist_sqlite_opts po = {.dir = o->dir, .writer = o->writer};

        r = persist_sqlite_open(&po, &p, e);
        if (r < 0)
            return r;
    }
    s = xnew0(struct store);
    s->loop = o->loop;
    s->persist = p;
    s->on_health = o->on_health;
    s->arg = o->arg;
    s->nodes = nodes_new();
    secrets_init(&s->secrets);
    list_init(&s->queue);
    list_init(&s->ran);
    watches_init(&s->watches, o->loop);
    defer_init(o->loop, &s->defer, run_queue, s);
    timer_init(o->loop, &s->disk, "disk", on_disk_timer, s);
    s->slow_ns = o->slow_ns > 0 ? o->slow_ns : SLOW_SEC * NSEC_PER_SEC;
    s->retry_ns = o->retry_ns > 0 ? o->retry_ns : RETRY_SEC * NSEC_PER_SEC;
    l.arg = s;
    r = p->ops->load(p, &l, e);
    if (r < 0) {
        (void)store_close(s);
        return r;
    }
    s->index = MAX(s->index, s->table_index[TABLE_NODES]);
    s->index = MAX(s->index, s->table_index[TABLE_ALLOCS]);
    s->next_index = s->index;
    memcpy(s->next_table_index, s->table_index, sizeof(s->table_index));
    *ret = s;
    return 0;
}

/* more of them do not come while the store closes */
static void end_all(const struct store *s, struct list *writes, int r, const struct err *e)
{
    list_for_each (w, writes, struct write, link)
        write_finish(w, r, s->index, e);
    list_init(writes);
}

struct store *store_close(struct store *s)
{
    struct err e;
    int r;

    if (!s)
        return NULL;
    s->closing = true;
    defer_stop(&s->defer);
    r = s->persist->ops->close(s->persist);
    timer_stop(&s->disk);
    if (r < 0)
        (void)err_set(&e, r, "the server is stopping and the disk does not answer");
    else
        r = err_set(&e, -ECANCELED, "the server is stopping");
    end_all(s, &s->ran, r, &e);
    (void)err_set(&e, -ECANCELED, "the server is stopping");
    if (s->content && !s->in_flight)
        replace_end(s, -ECANCELED, &e);
    if (s->carry)
        write_finish(steal_ptr(&s->carry), -ECANCELED, s->index, &e);
    end_all(s, &s->queue, -ECANCELED, &e);
    watches_done(&s->watches);
    s->left = s->in_flight;
    if (!s->left)
        store_free(s);
    return NULL;
}

enum store_health store_health(const struct store *s, struct err *ret_e)
{
    if (s->health != STORE_FINE)
        *ret_e = s->trouble;
    return s->health;
}

/* --- reading, watching --- */

uint64_t store_index(const struct store *s)
{
    return s->index;
}

uint64_t store_table_index(const struct store *s, enum table t)
{
    return s->table_index[t];
}

const struct node_item *store_node(const struct store *s, const struct uuid *id)
{
    return nodes_get(s->nodes, id);
}

const struct node_item *store_node_of_secret(const struct store *s, const char *secret)
{
    return secrets_find(&s->secrets, secret);
}

size_t store_node_count(const struct store *s)
{
    return nodes_count(s->nodes);
}

const struct node_item *store_node_next(const struct store *s, const struct uuid *prefix,
                                        size_t prefix_bytes, size_t *pos)
{
    return nodes_next(s->nodes, prefix, prefix_bytes, pos);
}

void store_list(struct store *s, const struct uuid *prefix, size_t prefix_bytes,
                struct node_list *ret)
{
    nodes_pin(s->nodes, prefix, prefix_bytes, ret);
}

void store_watch(struct store *s, struct watch *w)
{
    watches_add(&s->watches, w);
}
