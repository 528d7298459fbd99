/* The store against a simple model, on a disk that dies or fails at every one of its operations.
 *
 * A run is a script made from a seed: groups of writes, each group one batch or several.  At one
 * operation of the disk the process dies or the disk fails; then the state is opened again by what
 * the product opens it with.  What must hold:
 *
 * - all that was answered is there; of what was not, whole batches or nothing
 * - what readers saw is what they see again: an index stands for one content for ever, the index
 *   never goes back, a node with a modify index is one object for ever
 * - a write says the truth: done means published, failed means nothing to be seen
 *
 * MODEL_SEEDS=n scripts (default 1, and thirty times as many of chance), MODEL_OPS=n groups in
 * each. */
#include "tests/support/check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/vec.h"
#include "codec/mp.h"
#include "state/nodes.h"
#include "state/persist.h"
#include "tests/support/crash_vfs.h"
#include "tests/support/make_node.h"

enum {
    IDS = 100,
    GROUP_MAX = 8,
    MANY = 100, /* nodes of one write */
    SEEN_MAX = 1 << 14,
};

/* --- the model: what a state is --- */

struct ref {
    uint64_t object[IDS]; /* hash of the packed node; 0: there is none */
    uint64_t modify[IDS];
    uint64_t index, nodes_index;
};

/* what one write did to one node, or nothing (n = IDS) */
struct effect {
    uint64_t index, object, n;
};

struct world {
    uint64_t seed, at, rng; /* the script, where the fault is, chance */
    struct crash_disk *disk;
    char *dir;
    struct loop *loop;
    struct writer *writer;
    struct persist spy;
    struct persist *real; /* NULL: closed */
    struct store *store;

    struct ref acked;  /* what is durable for certain */
    struct ref *maybe; /* what a crash may leave instead: batches since, each on top of acked */
    size_t n_maybe;
    struct effect *effects; /* of writes that ran and are not decided */
    size_t n_effects;
    struct ref next; /* what everything is being replaced by */
    persist_done *done;
    void *done_arg;

    uint64_t last_index;     /* that any write ran with, in the life of this process */
    uint64_t seen_index;     /* the largest that a reader saw */
    uint64_t seen[SEEN_MAX]; /* what the state was at an index; 0: not seen */
    struct watch watch;
    unsigned woken;
    size_t failed, crashes;
};

static struct world *the_world; /* for messages */

#define must(cond)                                                                                 \
    do {                                                                                           \
        if (!(cond))                                                                               \
            fail_msg("seed %" PRIu64 " operation %" PRIu64 ": not true: " #cond, the_world->seed,  \
                     the_world->at);                                                               \
    } while (0)

static uint64_t below(struct world *w, uint64_t n)
{
    uint64_t z = w->rng += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (z ^ z >> 31) % n;
}

static uint64_t item_hash(const struct node_item *it)
{
    return it ? fnv1(FNV1_INIT, it->packed, it->packed_len) | 1 : 0;
}

static bool ref_equal(const struct ref *a, const struct ref *b)
{
    return a->index == b->index && a->nodes_index == b->nodes_index &&
           memcmp(a->object, b->object, sizeof(a->object)) == 0;
}

static void ref_read(const struct store *s, struct ref *ret)
{
    size_t n = 0;

    memset(ret, 0, sizeof(*ret));
    ret->index = store_index(s);
    ret->nodes_index = store_table_index(s, TABLE_NODES);
    for (uint64_t i = 0; i < IDS; i++) {
        struct uuid key = make_node_key(i);
        const struct node_item *it = store_node(s, &key);

        ret->object[i] = item_hash(it);
        ret->modify[i] = it ? it->modify_index : 0;
        n += it != NULL;
        must(ret->modify[i] <= ret->nodes_index);
    }
    must(n == store_node_count(s));
    must(ret->nodes_index <= ret->index);
}

/* acked and the effects up to an index */
static void ref_with_effects(const struct world *w, uint64_t index, struct ref *ret)
{
    *ret = w->acked;
    ret->index = index;
    for (size_t i = 0; i < w->n_effects; i++) {
        const struct effect *e = &w->effects[i];

        if (e->index > index || e->n == IDS)
            continue;
        ret->object[e->n] = e->object;
        ret->nodes_index = e->index;
    }
}

/* --- what readers see --- */

static void reader_looks(struct world *w)
{
    struct ref now;
    uint64_t hash;

    ref_read(w->store, &now);
    must(now.index >= w->seen_index);
    must(now.index < SEEN_MAX);
    hash = fnv1(FNV1_INIT, now.object, sizeof(now.object));
    hash = fnv1(hash, &now.nodes_index, sizeof(now.nodes_index)) | 1;
    must(w->seen[now.index] == 0 || w->seen[now.index] == hash);
    w->seen[now.index] = hash;
    w->seen_index = now.index;
    must(ref_equal(&now, &w->acked));
}

static void on_woken(void *arg)
{
    struct world *w = arg;

    w->woken++;
}

/* --- between store and database: which batches there were --- */

static int spy_load(struct persist *p, const struct persist_load *l, struct err *e)
{
    struct world *w = container_of(p, struct world, spy);

    return w->real->ops->load(w->real, l, e);
}

static void spy_done(void *arg, int r, const struct err *e)
{
    struct world *w = arg;
    const struct ref *batch = &w->maybe[w->n_maybe - 1];

    if (r >= 0) {
        size_t kept = 0;

        for (size_t i = 0; i < w->n_effects; i++)
            if (w->effects[i].index > batch->index)
                w->effects[kept++] = w->effects[i];
        w->n_effects = kept;
        w->acked = *batch;
        w->n_maybe = 0;
    } else {
        must(r != -EINVAL && e->text[0] != 0);
        w->n_effects = 0;
        w->failed++;
    }
    w->done(w->done_arg, r, e);
}

static void spy_commit(struct persist *p, const struct persist_batch *b, persist_done *done,
                       void *arg)
{
    struct world *w = container_of(p, struct world, spy);
    size_t bytes = 0;

    must(b->replace || b->n_changes <= PERSIST_BATCH_KEYS);
    for (size_t i = 0; i < b->n_changes; i++)
        bytes += b->changes[i].n + UUID_TEXT_LEN;
    must(b->n_changes <= 1 || b->replace || bytes <= PERSIST_BATCH_BYTES);
    must(b->index > w->acked.index);
    if (b->replace) {
        must(b->index > w->last_index);
        w->next.index = w->next.nodes_index = w->last_index = b->index;
        *vec_add(&w->maybe, &w->n_maybe) = w->next;
    } else {
        ref_with_effects(w, b->index, vec_add(&w->maybe, &w->n_maybe));
    }
    w->done = done;
    w->done_arg = arg;
    w->real->ops->commit(w->real, b, spy_done, w);
}

static int spy_close(struct persist *p)
{
    struct world *w = container_of(p, struct world, spy);
    struct persist *real = steal_ptr(&w->real);

    return real->ops->close(real);
}

static const struct persist_ops spy_ops = {
    .load = spy_load,
    .commit = spy_commit,
    .close = spy_close,
};

/* --- opening and closing --- */

static int try_open(struct world *w, struct err *e)
{
    struct persist_sqlite_opts po = {.dir = w->dir, .writer = w->writer, .vfs = "crash"};
    struct store_opts so = {.loop = w->loop, .take_persist = &w->spy};
    int r;

    so.retry_ns = 3600 * NSEC_PER_SEC; /* scripts are to be the same each time */
    r = persist_sqlite_open(&po, &w->real, e);
    if (r < 0)
        return r;
    w->spy = (struct persist){.ops = &spy_ops, .name = w->real->name};
    w->last_index = 0;
    return store_open(&so, &w->store, e);
}

static void lose(struct world *w)
{
    w->crashes++;
    if (below(w, 2) == 0)
        crash_disk_killed(w->disk);
    else
        crash_disk_power_lost(w->disk);
}

/* what a start found must be one of what there may be */
static void found(struct world *w)
{
    struct ref now;
    bool known;

    ref_read(w->store, &now);
    known = ref_equal(&now, &w->acked);
    for (size_t i = 0; !known && i < w->n_maybe; i++)
        known = ref_equal(&now, &w->maybe[i]);
    must(known);
    w->acked = now;
    w->n_maybe = w->n_effects = 0;
    reader_looks(w);
}

/* opens in the end, whatever fails on the way */
static void reopen(struct world *w)
{
    struct err e = {0};

    for (int i = 0; try_open(w, &e) < 0; i++) {
        must(e.text[0] != 0);
        must(e.code != -EUCLEAN); /* nothing that happens here damages the file */
        if (!crash_disk_fired(w->disk) || i > 3)
            fail_msg("seed %" PRIu64 " operation %" PRIu64 ": %s", w->seed, w->at, e.text);
        lose(w);
    }
    found(w);
}

static void close_store(struct world *w)
{
    store_unwatch(&w->watch);
    w->store = store_close(w->store);
}

static void crash(struct world *w)
{
    crash_disk_arm(w->disk, CRASH_DIES, 1);
    close_store(w);
    lose(w);
}

/* --- writes --- */

enum kind { PUT, BIG, PATCH, DELETE, PUT_SOME, DELETE_MANY, NOTHING, REFUSE, INDEX_ONLY };

struct write {
    struct world *w;
    enum kind kind;
    uint64_t n, count, salt, index;
    bool done;
    int r;
};

static void put_item(struct write *op, struct txn *t, uint64_t n, const struct node_item *it)
{
    struct world *w = op->w;

    *vec_add(&w->effects, &w->n_effects) = (struct effect){txn_index(t), item_hash(it), n};
    if (it)
        txn_put_node(t, it);
    else {
        struct uuid key = make_node_key(n);

        txn_delete_node(t, &key);
    }
}

static const struct node_item *patched(const struct node_item *it, uint64_t index)
{
    uint8_t v[9] = {0xcf};
    struct mp_patch p = {.key = "ModifyIndex", .value = v, .n = sizeof(v)};
    struct node_item *out = NULL;
    struct err e;

    for (int i = 0; i < 8; i++)
        v[1 + i] = (uint8_t)(index >> (56 - 8 * i));
    must(node_item_patch(it, &p, 1, &out, &e) == 0);
    return out;
}

static int write_fn(struct txn *t, void *arg, struct err *e)
{
    struct write *op = arg;
    struct uuid key = make_node_key(op->n);
    const struct node_item *old = txn_node(t, &key);
    uint64_t index = txn_index(t);

    if (op->kind == NOTHING || (op->kind == PATCH && !old))
        return 1;
    if (op->kind == REFUSE) {
        txn_put_node(t, make_node_item(op->n, index, 7)); /* must not be seen by anybody */
        return err_set(e, -EPERM, "refused");
    }
    must(index > op->w->last_index); /* no index is used twice, whatever became of the first */
    op->w->last_index = op->index = index;
    if (op->kind == PATCH)
        put_item(op, t, op->n, patched(old, index));
    else if (op->kind == INDEX_ONLY)
        *vec_add(&op->w->effects, &op->w->n_effects) = (struct effect){index, 0, IDS};
    for (uint64_t i = 0; i < op->count; i++) {
        uint64_t n = (op->n + i) % IDS;
        bool gone = op->kind == DELETE || op->kind == DELETE_MANY;

        put_item(op, t, n, gone ? NULL : make_node_item(n, index, op->salt));
    }
    return 0;
}

static void write_done(void *arg, int r, uint64_t index, const struct err *e)
{
    struct write *op = arg;
    struct world *w = op->w;

    must(!op->done);
    op->done = true;
    op->r = r;
    if (r == 0)
        must(index == op->index && store_index(w->store) >= index);
    if (r == 1)
        must(index <= store_index(w->store));
    if (r < 0)
        must(e && e->text[0]);
    if (r == -EPERM)
        must(op->kind == REFUSE);
}

static void make_write(struct world *w, struct write *op)
{
    static const enum kind kinds[] = {PUT,   PUT,      PUT,         PUT,     PUT,    PATCH,
                                      PATCH, DELETE,   PUT_SOME,    NOTHING, REFUSE, INDEX_ONLY,
                                      PUT,   PUT_SOME, DELETE_MANY, BIG};

    *op = (struct write){.w = w, .kind = kinds[below(w, ARRAY_LEN(kinds))], .n = below(w, 12)};
    op->salt = below(w, 10) == 0 ? below(w, 9000) : below(w, 50);
    if (op->kind == PUT || op->kind == DELETE || op->kind == BIG)
        op->count = 1;
    if (op->kind == PUT_SOME)
        op->count = below(w, 40) == 0 ? MANY : 1 + below(w, 6);
    if (op->kind == DELETE_MANY)
        op->count = MANY;
    if (op->kind == BIG)
        op->salt = below(w, 12) == 0 ? 1000 * 1000 : 20000 + below(w, 60000);
}

/* some writes at once, to the end of all of them */
static void group(struct world *w)
{
    struct write ops[GROUP_MAX];
    size_t n = 1 + below(w, GROUP_MAX), open = n;
    uint64_t before = store_table_index(w->store, TABLE_NODES);

    w->woken = 0;
    w->watch = (struct watch){.kind = WATCH_TABLE, .table = TABLE_NODES, .fn = on_woken, .arg = w};
    store_watch(w->store, &w->watch);
    for (size_t i = 0; i < n; i++) {
        make_write(w, &ops[i]);
        store_write(w->store, write_fn, write_done, &ops[i]);
    }
    while (open > 0) {
        must(loop_turn(w->loop, UINT64_MAX) == 0);
        open = 0;
        for (size_t i = 0; i < n; i++)
            open += !ops[i].done;
    }
    for (int i = 0; i < 4; i++)
        must(loop_turn(w->loop, 0) == 0);
    must(w->woken == (before != store_table_index(w->store, TABLE_NODES)));
    store_unwatch(&w->watch);
    reader_looks(w);
}

/* --- everything replaced, as a snapshot does --- */

struct replacing {
    bool done;
    int r;
};

static void replaced(void *arg, int r, uint64_t index, struct nodes *take_old, const struct err *e)
{
    struct replacing *op = arg;

    (void)index;
    must(r == 0 || (r < 0 && e->text[0]));
    (void)nodes_free(take_old);
    op->done = true;
    op->r = r;
}

static void replace(struct world *w)
{
    struct store_content c = {.nodes = nodes_new(), .n = below(w, 30)};
    uint64_t first = below(w, 40);
    struct replacing op = {0};

    c.index = store_index(w->store) / 2 + below(w, store_index(w->store) + 10);
    secrets_init(&c.secrets);
    c.changes = xnew0_n(struct persist_change, c.n);
    memset(&w->next, 0, sizeof(w->next));
    for (uint64_t i = 0; i < c.n; i++) {
        const struct node_item *it =
            make_node_item(first + i, below(w, c.index + 1), (size_t)below(w, 400));

        make_node_id(first + i, c.changes[i].id);
        c.changes[i].table = TABLE_NODES;
        c.changes[i].object = it->packed;
        c.changes[i].n = it->packed_len;
        w->next.object[first + i] = item_hash(it);
        secrets_replace(&c.secrets, NULL, it);
        nodes_put(c.nodes, it);
    }
    store_replace(w->store, &c, replaced, &op);
    while (!op.done)
        must(loop_turn(w->loop, UINT64_MAX) == 0);
    reader_looks(w);
}

/* --- a run --- */

/* what becomes of a store whose disk has failed, or the process with it */
static void after_fault(struct world *w)
{
    if (crash_disk_dead(w->disk)) {
        close_store(w);
        lose(w);
        reopen(w);
        return;
    }
    if (below(w, 3) == 0)
        group(w); /* the same again, or well again by itself */
    if (below(w, 2) == 0) {
        crash_disk_arm(w->disk, CRASH_NONE, 0);
        return;
    }
    crash(w);
    reopen(w);
}

static uint64_t run(struct world *w, enum crash_fault fault, uint64_t at, size_t groups)
{
    uint64_t ops;

    w->disk = crash_disk_new(w->seed * 31 + (uint64_t)fault * 7 + at);
    crash_disk_arm(w->disk, fault, at);
    reopen(w);
    for (size_t i = 0; i < groups; i++) {
        if (below(w, 8) == 0)
            replace(w);
        else
            group(w);
        if (crash_disk_fired(w->disk)) {
            after_fault(w);
            if (below(w, 2) == 0)
                crash_disk_arm(w->disk, (enum crash_fault)(1 + below(w, CRASH_FAULTS - 1)),
                               1 + below(w, 80));
        }
    }
    if (below(w, 3) > 0)
        close_store(w); /* at an orderly end as well */
    else
        crash(w);
    ops = crash_disk_ops(w->disk);
    for (int i = 0; i < 2; i++) { /* what was shown after a kill is there after the power went */
        lose(w);
        reopen(w);
        crash(w);
    }
    w->disk = crash_disk_free(w->disk);
    return ops;
}

static struct world *world_new(const char *dir)
{
    struct world *w = xnew0(struct world);

    loop_block_signals();
    w->dir = xstrdup(dir);
    must(loop_new(&w->loop) == 0 && writer_new(w->loop, "writer", &w->writer) == 0);
    return w;
}

static struct world *world_free(struct world *w)
{
    w->writer = writer_free(w->writer);
    w->loop = loop_free(w->loop);
    free(w->dir);
    free(w->maybe);
    free(w->effects);
    free(w);
    return NULL;
}

/* an empty world for another script */
static void world_reset(struct world *w, uint64_t seed)
{
    memset(&w->acked, 0, sizeof(w->acked));
    memset(w->seen, 0, sizeof(w->seen));
    w->n_maybe = w->n_effects = 0;
    w->seen_index = 0;
    w->seed = seed;
    w->rng = seed * UINT64_C(0x2545f4914f6cdd1d);
}

static uint64_t from_env(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text ? strtoull(text, NULL, 10) : otherwise;
}

static int setup(void **state)
{
    const char *tmp = getenv("TMPDIR");
    char *dir = xasprintf("%s/model-XXXXXX", tmp ? tmp : "/tmp");

    assert_non_null(mkdtemp(dir));
    *state = the_world = world_new(dir);
    free(dir);
    return 0;
}

static int teardown(void **state)
{
    *state = world_free(*state);
    return 0;
}

/* scripts, with this fault at each operation of the disk */
static void sweep(struct world *w, enum crash_fault fault)
{
    uint64_t seeds = from_env("MODEL_SEEDS", 1);
    size_t groups = from_env("MODEL_OPS", 5), runs = 0;

    w->failed = w->crashes = 0;
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        uint64_t ops;

        world_reset(w, seed);
        ops = run(w, CRASH_NONE, 1, groups);
        for (uint64_t at = 1; at <= ops; at++, runs++) {
            world_reset(w, seed);
            w->at = at;
            (void)run(w, fault, at, groups);
        }
    }
    print_message("%zu runs, %zu failed batches, %zu starts after a crash\n", runs, w->failed,
                  w->crashes);
}

static void test_dies_at_each_operation(void **state)
{
    sweep(*state, CRASH_DIES);
}

static void test_each_operation_fails_once(void **state)
{
    sweep(*state, CRASH_EIO);
}

static void test_each_operation_fails_from_then_on(void **state)
{
    sweep(*state, CRASH_EIO_LASTS);
}

static void test_each_sync_fails_once(void **state)
{
    sweep(*state, CRASH_SYNC);
}

static void test_each_sync_fails_from_then_on(void **state)
{
    sweep(*state, CRASH_SYNC_LASTS);
}

static void test_disk_is_full_from_each_operation_on(void **state)
{
    sweep(*state, CRASH_FULL_LASTS);
}

/* longer scripts, one fault after the other at operations of chance */
static void test_faults_of_chance(void **state)
{
    struct world *w = *state;
    uint64_t seeds = 30 * from_env("MODEL_SEEDS", 1);
    size_t groups = 5 * from_env("MODEL_OPS", 5);

    w->failed = w->crashes = 0;
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        world_reset(w, 1000000 + seed);
        w->at = 1 + below(w, 200);
        (void)run(w, (enum crash_fault)(1 + below(w, CRASH_FAULTS - 1)), w->at, groups);
    }
    print_message("%" PRIu64 " runs, %zu failed batches, %zu starts after a crash\n", seeds,
                  w->failed, w->crashes);
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_dies_at_each_operation),
        TEST(test_each_operation_fails_once),
        TEST(test_each_operation_fails_from_then_on),
        TEST(test_each_sync_fails_once),
        TEST(test_each_sync_fails_from_then_on),
        TEST(test_disk_is_full_from_each_operation_on),
        TEST(test_faults_of_chance),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
