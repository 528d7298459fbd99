#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/rand.h"
#include "state/store.h"
#include "tests/support/fake_persist.h"
#include "tests/support/make_node.h"

struct fixture {
    struct loop *loop;
    struct fake_disk *disk;
    struct store *store;
    int health_calls;
    char health[ERR_TEXT_MAX]; /* last text; "" = fine again */
};

static void on_health(void *arg, enum store_health h, const struct err *e)
{
    struct fixture *f = arg;

    assert_true((h == STORE_FINE) == !e);
    f->health_calls++;
    (void)snprintf(f->health, sizeof(f->health), "%s", e ? e->text : "");
}

static void open_store(struct fixture *f)
{
    struct store_opts o = {.loop = f->loop, .on_health = on_health, .arg = f};
    struct err e = {0};

    o.take_persist = fake_persist_open(f->disk);
    assert_int_equal(store_open(&o, &f->store, &e), 0);
}

static int setup(void **state)
{
    struct fixture *f = xnew0(struct fixture);

    loop_block_signals();
    assert_int_equal(loop_new(&f->loop), 0);
    f->disk = fake_disk_new(f->loop);
    open_store(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    f->store = store_close(f->store);
    f->disk = fake_disk_free(f->disk);
    f->loop = loop_free(f->loop);
    free(f);
    return 0;
}

static void turns(struct fixture *f)
{
    for (int i = 0; i < 300; i++) /* writes run for so long a turn as the machine is slow */
        assert_int_equal(loop_turn(f->loop, 0), 0);
}

/* lets everything that is queued reach the disk */
static void settle(struct fixture *f)
{
    turns(f);
    while (fake_disk_step(f->disk))
        turns(f);
}

/* --- one write --- */

enum op { OP_PUT, OP_DELETE, OP_NOTHING, OP_REFUSE, OP_INDEX_ONLY };

struct write {
    struct fixture *f;
    uint64_t n;
    size_t pad;
    useconds_t takes_us;
    uint64_t ran_at; /* index that the function saw; 0: has not run */
    uint64_t saw;    /* modify index of node n when it ran */
    uint64_t index;
    int *order, at;
    enum op op;
    int done;
    int r;
    char text[ERR_TEXT_MAX];
};

static int write_fn(struct txn *t, void *arg, struct err *e)
{
    struct write *w = arg;
    struct uuid key = make_node_key(w->n);
    const struct node_item *it = txn_node(t, &key);

    (void)usleep(w->takes_us);
    w->ran_at = txn_index(t);
    w->saw = it ? it->modify_index : 0;
    switch (w->op) {
    case OP_PUT:
        txn_put_node(t, make_node_item(w->n, txn_index(t), w->pad));
        return 0;
    case OP_DELETE:
        txn_delete_node(t, &key);
        return 0;
    case OP_NOTHING:
        return 1;
    case OP_INDEX_ONLY:
        return 0;
    case OP_REFUSE:
    default:
        txn_put_node(t, make_node_item(w->n, txn_index(t), 0)); /* must not survive */
        return err_set(e, -EPERM, "refused %d", (int)w->n);
    }
}

static void write_done(void *arg, int r, uint64_t index, const struct err *e)
{
    struct write *w = arg;

    w->done++;
    w->r = r;
    w->index = index;
    if (r < 0)
        (void)snprintf(w->text, sizeof(w->text), "%s", e->text);
    if (w->order)
        w->at = ++*w->order;
}

static void submit(struct write *w, struct fixture *f, enum op op, uint64_t n)
{
    *w = (struct write){.f = f, .op = op, .n = n};
    store_write(f->store, write_fn, write_done, w);
}

static uint64_t published(struct fixture *f, uint64_t n)
{
    struct uuid key = make_node_key(n);
    const struct node_item *it = store_node(f->store, &key);

    return it ? it->modify_index : 0;
}

static void test_write_is_invisible_until_durable(void **state)
{
    struct fixture *f = *state;
    struct write w;

    submit(&w, f, OP_PUT, 1);
    assert_int_equal(w.ran_at, 0); /* never from inside */
    turns(f);
    assert_int_equal(w.ran_at, 1);
    assert_int_equal(w.done, 0);
    assert_int_equal(published(f, 1), 0);
    assert_int_equal(store_index(f->store), 0);
    assert_true(fake_disk_step(f->disk));
    assert_int_equal(w.done, 1);
    assert_int_equal(w.r, 0);
    assert_int_equal(w.index, 1);
    assert_int_equal(published(f, 1), 1);
    assert_int_equal(store_index(f->store), 1);
    assert_int_equal(store_table_index(f->store, TABLE_NODES), 1);
    assert_int_equal(store_table_index(f->store, TABLE_ALLOCS), 0);
    assert_int_equal(store_node_count(f->store), 1);
}

static void test_writes_behind_a_commit_share_the_next(void **state)
{
    struct fixture *f = *state;
    struct write w[4];

    submit(&w[0], f, OP_PUT, 0);
    turns(f);
    for (uint64_t i = 1; i < 4; i++)
        submit(&w[i], f, OP_PUT, i);
    turns(f);
    assert_int_equal(w[1].ran_at, 0);
    settle(f);
    assert_int_equal(fake_disk_commits(f->disk), 2);
    for (int i = 0; i < 4; i++)
        assert_int_equal(w[i].index, i + 1);
}

static void test_write_sees_earlier_ones_of_its_batch(void **state)
{
    struct fixture *f = *state;
    struct write w[3];

    submit(&w[0], f, OP_PUT, 5);
    submit(&w[1], f, OP_DELETE, 5);
    submit(&w[2], f, OP_PUT, 5);
    settle(f);
    assert_int_equal(w[0].saw, 0);
    assert_int_equal(w[1].saw, 1);
    assert_int_equal(w[2].saw, 0);
    assert_int_equal(published(f, 5), 3);
    assert_int_equal(fake_disk_commits(f->disk), 1);
}

static void test_nothing_to_do_and_refusals_use_no_index(void **state)
{
    struct fixture *f = *state;
    struct write nothing, refused, put;

    submit(&nothing, f, OP_NOTHING, 1);
    submit(&refused, f, OP_REFUSE, 2);
    turns(f);
    assert_int_equal(nothing.done, 1); /* no commit to wait for */
    assert_int_equal(nothing.r, 1);
    assert_int_equal(nothing.index, 0);
    assert_int_equal(refused.done, 1);
    assert_int_equal(refused.r, -EPERM);
    assert_string_equal(refused.text, "refused 2");
    assert_false(fake_disk_busy(f->disk));
    submit(&put, f, OP_PUT, 3);
    settle(f);
    assert_int_equal(put.index, 1);
    assert_int_equal(published(f, 2), 0);
}

/* what was decided on top of a change that got lost is no decision */
static void test_answers_behind_a_change_share_its_fate(void **state)
{
    struct fixture *f = *state;
    struct write put, nothing, refused;

    submit(&put, f, OP_PUT, 1);
    submit(&nothing, f, OP_NOTHING, 1);
    submit(&refused, f, OP_REFUSE, 1);
    turns(f);
    assert_int_equal(nothing.saw, 1);
    assert_int_equal(nothing.done, 0);
    fake_disk_fail(f->disk, -ENOSPC, "disk is full");
    assert_true(fake_disk_step(f->disk));
    assert_int_equal(nothing.r, -ENOSPC);
    assert_int_equal(refused.r, -ENOSPC);
    assert_string_equal(nothing.text, "disk is full");
}

static void test_failed_commit_leaves_no_trace(void **state)
{
    struct fixture *f = *state;
    struct write a, b, c;

    submit(&a, f, OP_PUT, 1);
    settle(f);
    fake_disk_fail(f->disk, -EIO, "cannot write");
    submit(&b, f, OP_PUT, 1);
    submit(&c, f, OP_PUT, 2);
    settle(f);
    assert_int_equal(b.r, -EIO);
    assert_string_equal(b.text, "cannot write");
    assert_int_equal(c.r, -EIO);
    assert_int_equal(published(f, 1), 1);
    assert_int_equal(published(f, 2), 0);
    assert_int_equal(store_index(f->store), 1);
    fake_disk_fail(f->disk, 0, NULL);
    submit(&b, f, OP_PUT, 2);
    settle(f);
    assert_int_equal(b.r, 0);
    assert_int_equal(b.saw, 0);   /* the lost one is not in the overlay */
    assert_int_equal(b.index, 4); /* 2 and 3 belong to what failed: it may turn up after a crash */
}

static void test_health_is_told_once_per_change(void **state)
{
    struct fixture *f = *state;
    struct write w;

    fake_disk_fail(f->disk, -ENOSPC, "disk is full");
    for (int i = 0; i < 3; i++) {
        submit(&w, f, OP_PUT, 1);
        settle(f);
    }
    assert_int_equal(f->health_calls, 1);
    assert_string_equal(f->health, "disk is full");
    fake_disk_fail(f->disk, 0, NULL);
    for (int i = 0; i < 3; i++) {
        submit(&w, f, OP_PUT, 1);
        settle(f);
    }
    assert_int_equal(f->health_calls, 2);
    assert_string_equal(f->health, "");
}

static void test_batches_keep_their_limits(void **state)
{
    struct fixture *f = *state;
    static struct write w[250], big[8];

    for (uint64_t i = 0; i < 250; i++)
        submit(&w[i], f, OP_PUT, i);
    settle(f);
    assert_int_equal(fake_disk_commits(f->disk), 3);
    assert_int_equal(fake_disk_max_changes(f->disk), PERSIST_BATCH_KEYS);
    for (uint64_t i = 0; i < 250; i++)
        assert_int_equal(w[i].index, i + 1);
    for (uint64_t i = 0; i < 8; i++) {
        big[i] = (struct write){.f = f, .op = OP_PUT, .n = 1000 + i, .pad = 300 * 1024};
        store_write(f->store, write_fn, write_done, &big[i]);
    }
    settle(f);
    assert_true(fake_disk_max_bytes(f->disk) <= PERSIST_BATCH_BYTES);
    assert_int_equal(fake_disk_commits(f->disk), 6);
    assert_int_equal(big[7].index, 258);
}

/* one that did not fit into the batch saw its content: both fail */
/* a hundred keys do not limit what changes one key, or nothing: their number does */
/* --- writes of many nodes: garbage collection, deregistering in batches --- */

struct many {
    uint64_t first, n, index;
    bool delete;
    int done, r;
};

static int many_fn(struct txn *t, void *arg, struct err *e)
{
    struct many *m = arg;

    (void)e;
    for (uint64_t i = 0; i < m->n; i++) {
        struct uuid key = make_node_key(m->first + i);

        if (!m->delete)
            txn_put_node(t, make_node_item(m->first + i, txn_index(t), 0));
        else if (txn_node(t, &key))
            txn_delete_node(t, &key);
    }
    return 0;
}

static void many_done(void *arg, int r, uint64_t index, const struct err *e)
{
    struct many *m = arg;

    (void)e;
    m->done++;
    m->r = r;
    m->index = index;
}

static void test_hundred_nodes_are_one_write_and_one_batch(void **state)
{
    struct fixture *f = *state;
    struct many put[] = {
        {.first = 0,   .n = 100},
        {.first = 100, .n = 100},
        {.first = 200, .n = 60 },
        {.first = 260, .n = 40 }
    };
    struct many gone[] = {
        {.first = 150, .n = 100, .delete = true},
        {.first = 50,  .n = 100, .delete = true}
    };
    struct write between;

    for (size_t i = 0; i < ARRAY_LEN(put); i++)
        store_write(f->store, many_fn, many_done, &put[i]);
    settle(f);
    assert_int_equal(store_node_count(f->store), 300);
    assert_int_equal(fake_disk_commits(f->disk), 3); /* the last two share one */
    store_write(f->store, many_fn, many_done, &gone[0]);
    submit(&between, f, OP_PUT, 170);
    store_write(f->store, many_fn, many_done, &gone[1]);
    settle(f);
    assert_int_equal(store_node_count(f->store), 101);
    assert_int_equal(between.saw, 0); /* deleted right before it */
    assert_int_equal(published(f, 170), 6);
    assert_int_equal(gone[1].index, 7);
    assert_int_equal(fake_disk_max_changes(f->disk), PERSIST_BATCH_KEYS);
    f->store = store_close(f->store);
    open_store(f);
    assert_int_equal(store_node_count(f->store), 101);
}

static void test_more_nodes_than_a_batch_holds_are_refused(void **state)
{
    struct fixture *f = *state;
    struct many m = {.n = 101};

    store_write(f->store, many_fn, many_done, &m);
    settle(f);
    assert_int_equal(m.r, -E2BIG);
    assert_int_equal(store_node_count(f->store), 0);
    assert_int_equal(store_index(f->store), 0);
}

static void test_one_turn_runs_some_writes_only(void **state)
{
    enum { N = 1000 };
    struct fixture *f = *state;
    struct write *w = xnew0_n(struct write, N);
    size_t ran = 0;

    for (size_t i = 0; i < N; i++) {
        w[i] = (struct write){.f = f, .op = i < N / 2 ? OP_PUT : OP_NOTHING, .n = 1};
        store_write(f->store, write_fn, write_done, &w[i]);
    }
    turns(f);
    for (size_t i = 0; i < N; i++)
        ran += w[i].ran_at > 0;
    assert_in_range(ran, 1, 200);
    settle(f);
    for (size_t i = 0; i < N; i++)
        assert_int_equal(w[i].done, 1);
    assert_int_equal(store_index(f->store), N / 2);
    free(w);
}

static void test_carried_write_fails_with_its_batch(void **state)
{
    struct fixture *f = *state;
    static struct write w[101];
    struct write again;

    for (uint64_t i = 0; i < 101; i++)
        submit(&w[i], f, OP_PUT, i);
    turns(f);
    assert_int_equal(w[100].ran_at, 101);
    fake_disk_fail(f->disk, -EIO, "cannot write");
    settle(f);
    assert_int_equal(w[100].r, -EIO);
    assert_int_equal(store_node_count(f->store), 0);
    fake_disk_fail(f->disk, 0, NULL);
    submit(&again, f, OP_PUT, 1);
    settle(f);
    assert_int_equal(again.index, 102);
}

static void test_index_without_object_is_durable(void **state)
{
    struct fixture *f = *state;
    struct write w;

    submit(&w, f, OP_INDEX_ONLY, 1);
    settle(f);
    assert_int_equal(w.index, 1);
    assert_int_equal(store_table_index(f->store, TABLE_NODES), 0);
    assert_int_equal(fake_disk_index(f->disk), 1);
}

static void test_close_ends_all_writes(void **state)
{
    struct fixture *f = *state;
    struct write in_flight, queued, late;

    submit(&in_flight, f, OP_PUT, 1);
    turns(f);
    submit(&queued, f, OP_PUT, 2);
    f->store = store_close(f->store);
    assert_int_equal(in_flight.r, 0);
    assert_int_equal(queued.done, 1);
    assert_int_equal(queued.r, -ECANCELED);
    assert_int_equal(queued.ran_at, 0);
    assert_int_equal(fake_disk_objects(f->disk), 1);
    open_store(f);
    submit(&late, f, OP_NOTHING, 1);
    settle(f);
    assert_int_equal(late.saw, 1);
}

static void test_reopen_brings_everything_back(void **state)
{
    struct fixture *f = *state;
    struct write w[3];

    submit(&w[0], f, OP_PUT, 1);
    submit(&w[1], f, OP_PUT, 2);
    submit(&w[2], f, OP_DELETE, 2);
    settle(f);
    f->store = store_close(f->store);
    open_store(f);
    assert_int_equal(store_index(f->store), 3);
    assert_int_equal(store_table_index(f->store, TABLE_NODES), 3);
    assert_int_equal(published(f, 1), 1);
    assert_int_equal(published(f, 2), 0);
}

static void test_index_never_goes_below_an_object(void **state)
{
    struct fixture *f = *state;
    const struct node_item *it = make_node_item(1, 70, 0);

    f->store = store_close(f->store);
    fake_disk_put(f->disk, it->id, it->packed, it->packed_len, 3);
    (void)node_item_unref(it);
    open_store(f);
    assert_int_equal(store_index(f->store), 70);
    assert_int_equal(store_table_index(f->store, TABLE_NODES), 70);
}

static int open_again(struct fixture *f, struct err *e)
{
    struct store_opts o = {.loop = f->loop};
    struct store *s = NULL;
    int r;

    f->store = store_close(f->store);
    o.take_persist = fake_persist_open(f->disk);
    r = store_open(&o, &s, e);
    assert_null(s);
    return r;
}

static void test_damaged_object_is_refused(void **state)
{
    struct fixture *f = *state;
    char id[UUID_TEXT_LEN + 1];
    struct err e = {0};

    make_node_id(1, id);
    fake_disk_put(f->disk, id, "\x81\xa2ID", 4, 3);
    assert_true(open_again(f, &e) < 0);
    assert_true(strlen(e.text) > 0);
}

static void test_object_under_a_foreign_id_is_refused(void **state)
{
    struct fixture *f = *state;
    const struct node_item *it = make_node_item(1, 7, 0);
    char id[UUID_TEXT_LEN + 1];
    struct err e = {0};

    make_node_id(2, id);
    fake_disk_put(f->disk, id, it->packed, it->packed_len, 7);
    (void)node_item_unref(it);
    assert_int_equal(open_again(f, &e), -EUCLEAN);
    assert_non_null(strstr(e.text, "its content is of node"));
}

/* --- against a model --- */

enum { MODEL_IDS = 30, MODEL_WRITES = 4000 };

struct model {
    struct fixture f;
    uint64_t published[MODEL_IDS], pending[MODEL_IDS];
    uint64_t index, pending_index;
    size_t done, failed;
    bool committing; /* writes of one batch are being answered */
};

struct model_write {
    struct model *m;
    enum op op;
    uint64_t n;
    size_t seq;
    uint64_t index;
};

static int model_fn(struct txn *t, void *arg, struct err *e)
{
    struct model_write *w = arg;
    struct model *m = w->m;
    struct uuid key = make_node_key(w->n);
    const struct node_item *it = txn_node(t, &key);

    assert_int_equal(txn_index(t), m->pending_index + 1);
    assert_int_equal(it ? it->modify_index : 0, m->pending[w->n]);
    if (w->op == OP_NOTHING)
        return 1;
    if (w->op == OP_REFUSE)
        return err_set(e, -EPERM, "refused");
    w->index = txn_index(t);
    m->pending_index++;
    m->pending[w->n] = w->op == OP_PUT ? w->index : 0;
    if (w->op == OP_PUT)
        txn_put_node(t, make_node_item(w->n, w->index, 0));
    else
        txn_delete_node(t, &key);
    return 0;
}

static void model_done(void *arg, int r, uint64_t index, const struct err *e)
{
    struct model_write *w = arg;
    struct model *m = w->m;

    (void)e;
    assert_int_equal(w->seq, m->done); /* in the order of submission */
    m->done++;
    if (r == -ENOSPC) { /* nothing of the batch exists any more */
        m->failed++;
        memcpy(m->pending, m->published, sizeof(m->pending));
        return;
    }
    assert_int_equal(r, w->op == OP_REFUSE ? -EPERM : w->op == OP_NOTHING ? 1 : 0);
    if (r != 0)
        return;
    assert_int_equal(index, w->index);
    assert_true(index > m->index);
    m->index = index;
    m->published[w->n] = w->op == OP_PUT ? index : 0;
}

static void model_compare(struct model *m)
{
    size_t count = 0;

    assert_int_equal(store_index(m->f.store), m->index);
    for (uint64_t n = 0; n < MODEL_IDS; n++) {
        assert_int_equal(published(&m->f, n), m->published[n]);
        count += m->published[n] != 0;
    }
    assert_int_equal(store_node_count(m->f.store), count);
}

static void test_store_behaves_as_its_model(void **state)
{
    struct model *m = xnew0(struct model);
    struct model_write *w = xnew0_n(struct model_write, MODEL_WRITES);
    static const enum op ops[] = {OP_PUT, OP_PUT, OP_PUT, OP_DELETE, OP_NOTHING, OP_REFUSE};
    size_t sent = 0;

    m->f = *(struct fixture *)*state;
    rand_seed(7);
    while (sent < MODEL_WRITES || m->done < sent) {
        if (sent < MODEL_WRITES && rand_below(3) > 0) {
            w[sent] = (struct model_write){.m = m, .op = ops[rand_below(ARRAY_LEN(ops))]};
            w[sent].n = rand_below(MODEL_IDS);
            w[sent].seq = sent;
            store_write(m->f.store, model_fn, model_done, &w[sent]);
            sent++;
            continue;
        }
        if (rand_below(2) == 0)
            assert_int_equal(loop_turn(m->f.loop, 0), 0);
        fake_disk_fail(m->f.disk, rand_below(4) == 0 ? -ENOSPC : 0, "full");
        if (rand_below(2) == 0 && fake_disk_step(m->f.disk))
            model_compare(m);
    }
    rand_seed(0);
    assert_true(m->failed > 100);
    assert_true(m->index > 500);
    model_compare(m);
    m->f.store = store_close(m->f.store);
    open_store(&m->f);
    model_compare(m);
    ((struct fixture *)*state)->store = m->f.store;
    free(w);
    free(m);
}

static void submit_slow(struct write *w, struct fixture *f, enum op op, uint64_t n)
{
    submit(w, f, op, n);
    w->takes_us = 3000; /* each is a turn of its own */
}

static void test_writes_that_take_long_share_a_batch_over_turns(void **state)
{
    struct fixture *f = *state;
    struct write w[4];

    submit_slow(&w[0], f, OP_PUT, 1);
    submit_slow(&w[1], f, OP_REFUSE, 2);
    submit_slow(&w[2], f, OP_PUT, 1);
    submit_slow(&w[3], f, OP_PUT, 3);
    assert_int_equal(loop_turn(f->loop, 0), 0);
    assert_int_equal(w[0].ran_at, 1);
    assert_int_equal(w[3].ran_at, 0);
    assert_false(fake_disk_step(f->disk));
    turns(f);
    assert_int_equal(w[2].saw, 1);
    assert_int_equal(w[0].done, 0);
    assert_true(fake_disk_step(f->disk));
    assert_int_equal(fake_disk_commits(f->disk), 1);
    for (size_t i = 0; i < ARRAY_LEN(w); i++)
        assert_int_equal(w[i].done, 1);
    assert_int_equal(w[1].r, -EPERM);
    assert_int_equal(w[3].index, 3);
    assert_int_equal(store_node_count(f->store), 2);
}

static void test_close_ends_a_batch_that_is_being_built(void **state)
{
    struct fixture *f = *state;
    struct write w[3];

    for (size_t i = 0; i < ARRAY_LEN(w); i++)
        submit_slow(&w[i], f, OP_PUT, i);
    assert_int_equal(loop_turn(f->loop, 0), 0);
    assert_int_equal(w[0].ran_at, 1);
    f->store = store_close(f->store);
    for (size_t i = 0; i < ARRAY_LEN(w); i++) {
        assert_int_equal(w[i].done, 1);
        assert_int_equal(w[i].r, -ECANCELED);
    }
    open_store(f);
    assert_int_equal(store_node_count(f->store), 0);
    assert_int_equal(store_index(f->store), 0);
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_write_is_invisible_until_durable),
        TEST(test_writes_behind_a_commit_share_the_next),
        TEST(test_write_sees_earlier_ones_of_its_batch),
        TEST(test_nothing_to_do_and_refusals_use_no_index),
        TEST(test_answers_behind_a_change_share_its_fate),
        TEST(test_failed_commit_leaves_no_trace),
        TEST(test_health_is_told_once_per_change),
        TEST(test_batches_keep_their_limits),
        TEST(test_hundred_nodes_are_one_write_and_one_batch),
        TEST(test_more_nodes_than_a_batch_holds_are_refused),
        TEST(test_one_turn_runs_some_writes_only),
        TEST(test_carried_write_fails_with_its_batch),
        TEST(test_index_without_object_is_durable),
        TEST(test_close_ends_all_writes),
        TEST(test_writes_that_take_long_share_a_batch_over_turns),
        TEST(test_close_ends_a_batch_that_is_being_built),
        TEST(test_reopen_brings_everything_back),
        TEST(test_index_never_goes_below_an_object),
        TEST(test_damaged_object_is_refused),
        TEST(test_object_under_a_foreign_id_is_refused),
        TEST(test_store_behaves_as_its_model),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
