/* A disk that is full, fails or hangs, for a while or for ever: what the store does meanwhile. */
#include "tests/support/check.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "state/persist.h"
#include "tests/support/crash_vfs.h"
#include "tests/support/data.h"
#include "tests/support/make_node.h"

enum { NEVER_SEC = 3600 };

struct fixture {
    struct crash_disk *disk;
    struct loop *loop;
    struct writer *writer;
    struct store *store;
    char *dir;
    enum store_health told[16];
    size_t n_told;
    char text[ERR_TEXT_MAX];
};

static void on_health(void *arg, enum store_health h, const struct err *e)
{
    struct fixture *f = arg;

    assert_true(f->n_told < ARRAY_LEN(f->told));
    f->told[f->n_told++] = h;
    (void)snprintf(f->text, sizeof(f->text), "%s", e ? e->text : "");
}

static void open_store(struct fixture *f, uint64_t slow_ns, uint64_t retry_ns)
{
    struct persist_sqlite_opts po = {.dir = f->dir, .writer = f->writer, .vfs = "crash"};
    struct store_opts so = {.loop = f->loop, .on_health = on_health, .arg = f};
    struct err e;

    po.close_wait_ns = 50 * NSEC_PER_MSEC;
    so.slow_ns = slow_ns;
    so.retry_ns = retry_ns;
    if (persist_sqlite_open(&po, &so.take_persist, &e) < 0 || store_open(&so, &f->store, &e) < 0)
        fail_msg("%s", e.text);
}

static void never(struct fixture *f)
{
    open_store(f, NEVER_SEC * NSEC_PER_SEC, NEVER_SEC * NSEC_PER_SEC);
}

static int setup(void **state)
{
    struct fixture *f = xnew0(struct fixture);
    const char *tmp = getenv("TMPDIR");

    loop_block_signals();
    f->dir = xasprintf("%s/trouble-XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(f->dir));
    f->disk = crash_disk_new(1);
    assert_int_equal(loop_new(&f->loop), 0);
    assert_int_equal(writer_new(f->loop, "writer", &f->writer), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    crash_disk_hang(f->disk, false);
    f->store = store_close(f->store);
    f->writer = writer_free(f->writer);
    f->loop = loop_free(f->loop);
    f->disk = crash_disk_free(f->disk);
    free(f->dir);
    free(f);
    return 0;
}

struct put {
    uint64_t n, index;
    size_t pad;
    int done, r;
    char text[ERR_TEXT_MAX];
};

static int put_fn(struct txn *t, void *arg, struct err *e)
{
    struct put *p = arg;

    (void)e;
    txn_put_node(t, make_node_item(p->n, txn_index(t), p->pad));
    return 0;
}

static void put_done(void *arg, int r, uint64_t index, const struct err *e)
{
    struct put *p = arg;

    p->done++;
    p->r = r;
    p->index = index;
    if (r < 0)
        (void)snprintf(p->text, sizeof(p->text), "%s", e->text);
}

static void begin(struct fixture *f, struct put *p, uint64_t n)
{
    *p = (struct put){.n = n, .pad = p->pad};
    store_write(f->store, put_fn, put_done, p);
}

static struct put put(struct fixture *f, uint64_t n, size_t pad)
{
    struct put p = {.pad = pad};

    begin(f, &p, n);
    while (p.done == 0)
        assert_int_equal(loop_turn(f->loop, UINT64_MAX), 0);
    return p;
}

static bool there(const struct fixture *f, uint64_t n)
{
    struct uuid key = make_node_key(n);

    return store_node(f->store, &key) != NULL;
}

static void lasting(struct fixture *f, enum crash_fault fault, const char *reason)
{
    struct err e = {0};
    uint64_t ops;

    never(f);
    assert_int_equal(put(f, 1, 0).r, 0);
    crash_disk_arm(f->disk, fault, 1);
    for (uint64_t i = 0; i < 5; i++) {
        struct put p = put(f, 2 + i, 0);

        assert_true(p.r < 0);
        assert_non_null(strstr(p.text, "/state.db"));
        if (!strstr(p.text, reason))
            fail_msg("got \"%s\", expected \"...%s...\"", p.text, reason);
        assert_true(there(f, 1) && !there(f, 2 + i));
        assert_int_equal(store_index(f->store), 1);
    }
    assert_int_equal(store_health(f->store, &e), STORE_FAILING);
    assert_string_equal(e.text, f->text);
    /* nobody writes: the disk is left alone until the next attempt is due */
    ops = crash_disk_ops(f->disk);
    for (int i = 0; i < 100; i++)
        assert_int_equal(loop_turn(f->loop, 0), 0);
    assert_int_equal(crash_disk_ops(f->disk), ops);
    crash_disk_arm(f->disk, CRASH_NONE, 0);
    assert_int_equal(put(f, 9, 0).r, 0);
    assert_int_equal(store_health(f->store, &e), STORE_FINE);
    assert_int_equal(f->n_told, 2);
    assert_int_equal(f->told[0], STORE_FAILING);
    assert_int_equal(f->told[1], STORE_FINE);
    f->store = store_close(f->store);
    never(f);
    assert_int_equal(store_node_count(f->store), 2);
    assert_int_equal(store_index(f->store), 7);
}

static void test_full_disk_refuses_until_there_is_space(void **state)
{
    lasting(*state, CRASH_FULL_LASTS, "no space left");
}

static void test_broken_disk_refuses_with_its_reason(void **state)
{
    lasting(*state, CRASH_EIO_LASTS, "Input/output error");
}

static void test_failing_sync_refuses_with_its_reason(void **state)
{
    lasting(*state, CRASH_SYNC_LASTS, "Input/output error");
}

static void test_recovery_is_noticed_without_a_write(void **state)
{
    struct fixture *f = *state;
    uint64_t index;

    open_store(f, NEVER_SEC * NSEC_PER_SEC, NSEC_PER_MSEC);
    assert_int_equal(put(f, 1, 0).r, 0);
    crash_disk_arm(f->disk, CRASH_SYNC_LASTS, 1);
    assert_int_equal(put(f, 1, 0).r, -EIO);
    for (int i = 0; i < 20; i++) /* attempts in between fail as well and are not told */
        assert_int_equal(loop_turn(f->loop, 5 * NSEC_PER_MSEC), 0);
    assert_int_equal(f->n_told, 1);
    crash_disk_arm(f->disk, CRASH_NONE, 0);
    while (f->n_told == 1)
        assert_int_equal(loop_turn(f->loop, UINT64_MAX), 0);
    assert_int_equal(f->told[1], STORE_FINE);
    index = store_index(f->store);
    f->store = store_close(f->store);
    never(f);
    assert_int_equal(store_index(f->store), index);
    assert_int_equal(store_node_count(f->store), 1);
}

static void wait_hanging(struct fixture *f)
{
    while (!crash_disk_hangs(f->disk))
        assert_int_equal(loop_turn(f->loop, NSEC_PER_MSEC), 0);
}

static void test_hanging_disk_is_told_and_reads_go_on(void **state)
{
    struct fixture *f = *state;
    struct put a = {0}, b = {0};
    struct err e = {0};

    open_store(f, NSEC_PER_MSEC, NEVER_SEC * NSEC_PER_SEC);
    assert_int_equal(put(f, 1, 0).r, 0);
    f->n_told = 0; /* a busy machine may have been slow before */
    crash_disk_hang(f->disk, true);
    begin(f, &a, 2);
    wait_hanging(f);
    begin(f, &b, 3);
    while (f->n_told < 3) /* after 1, 2 and 4 ms */
        assert_int_equal(loop_turn(f->loop, UINT64_MAX), 0);
    assert_int_equal(f->told[2], STORE_SLOW);
    assert_non_null(strstr(f->text, "the disk has not answered for"));
    assert_non_null(strstr(f->text, "/state.db"));
    assert_int_equal(store_health(f->store, &e), STORE_SLOW);
    assert_true(there(f, 1) && !there(f, 2) && a.done == 0 && b.done == 0);
    crash_disk_hang(f->disk, false);
    while (b.done == 0)
        assert_int_equal(loop_turn(f->loop, UINT64_MAX), 0);
    assert_true(a.r == 0 && b.r == 0 && there(f, 2) && there(f, 3));
}

static void test_close_does_not_wait_for_a_hanging_disk(void **state)
{
    struct fixture *f = *state;
    struct put a = {0}, b = {0};

    never(f);
    assert_int_equal(put(f, 1, 0).r, 0);
    crash_disk_hang(f->disk, true);
    begin(f, &a, 2);
    wait_hanging(f);
    begin(f, &b, 3);
    f->store = store_close(f->store);
    assert_int_equal(a.r, -ETIMEDOUT);
    assert_non_null(strstr(a.text, "the disk does not answer"));
    assert_int_equal(b.r, -ECANCELED);
    assert_true(writer_pending(f->writer) > 0); /* by this a program knows */
    /* it answers after all, before the program is gone */
    crash_disk_hang(f->disk, false);
    f->writer = writer_free(f->writer);
    assert_int_equal(a.done, 1);
    assert_int_equal(writer_new(f->loop, "writer", &f->writer), 0);
    never(f);
    assert_true(there(f, 1) && there(f, 2) && !there(f, 3));
}

static void test_close_with_nothing_to_do_does_not_wait_either(void **state)
{
    struct fixture *f = *state;

    never(f);
    assert_int_equal(put(f, 1, 0).r, 0);
    crash_disk_hang(f->disk, true);
    f->store = store_close(f->store); /* copying the log hangs */
    assert_true(writer_pending(f->writer) > 0);
    crash_disk_hang(f->disk, false);
    writer_flush(f->writer);
    never(f);
    assert_true(there(f, 1));
}

enum { BIG = 900 * 1000, TO_FILL = 5 }; /* so many make the log longer than it may get */

static void test_file_that_cannot_be_tidied_is_told(void **state)
{
    struct fixture *f = *state;
    uint64_t ops;

    never(f);
    for (uint64_t i = 0; i < TO_FILL; i++) {
        assert_int_equal(put(f, i, BIG).r, 0);
        writer_flush(f->writer);
    }
    ops = crash_disk_ops(f->disk); /* the last one is of the copying */
    f->store = store_close(f->store);
    f->disk = crash_disk_free(f->disk);
    f->disk = crash_disk_new(1);
    crash_disk_arm(f->disk, CRASH_EIO, ops);
    never(f);
    for (uint64_t i = 0; i < TO_FILL; i++) {
        assert_int_equal(put(f, i, BIG).r, 0);
        writer_flush(f->writer);
    }
    assert_true(crash_disk_fired(f->disk));
    assert_int_equal(f->n_told, 0);
    assert_int_equal(put(f, 7, 0).r, 0); /* durable all the same */
    assert_int_equal(f->told[0], STORE_UNTIDY);
    assert_non_null(strstr(f->text, "cannot tidy "));
    for (uint64_t i = 0; i < TO_FILL; i++) /* tried again when there is as much more */
        assert_int_equal(put(f, i, BIG).r, 0);
    writer_flush(f->writer);
    assert_int_equal(put(f, 7, 0).r, 0);
    assert_int_equal(f->n_told, 2);
    assert_int_equal(f->told[1], STORE_FINE);
}

/* An upgrade that dies or fails anywhere is one that was not begun, or one that is done. */
static bool upgrade_fails(struct fixture *f, enum crash_fault fault, uint64_t at)
{
    struct persist_sqlite_opts po = {.dir = f->dir, .writer = f->writer, .vfs = "crash"};
    struct store_opts so = {.loop = f->loop};
    _cleanup_free_ char *path = xasprintf("%s/state.db", f->dir);
    struct err e = {0};
    size_t n;
    _cleanup_free_ char *old = data_read("state/schema1.db", &n);
    bool fired;

    f->disk = crash_disk_free(f->disk);
    f->disk = crash_disk_new(at);
    crash_disk_put(f->disk, path, old, n);
    crash_disk_arm(f->disk, fault, at);
    if (persist_sqlite_open(&po, &so.take_persist, &e) < 0 || store_open(&so, &f->store, &e) < 0)
        if (!e.text[0] || e.code == -EUCLEAN || e.code == -EINVAL)
            fail_msg("fault %d at operation %llu: \"%s\"", fault, (unsigned long long)at, e.text);
    f->store = store_close(f->store);
    writer_flush(f->writer); /* it waits for a slow disk so long only */
    fired = crash_disk_fired(f->disk);
    if (at % 3 == 0)
        crash_disk_killed(f->disk);
    else
        crash_disk_power_lost(f->disk);
    never(f);
    assert_int_equal(store_index(f->store), 7);
    assert_int_equal(store_node_count(f->store), 4);
    f->store = store_close(f->store);
    writer_flush(f->writer);
    return fired;
}

static void test_upgrade_is_done_or_not_begun(void **state)
{
    for (enum crash_fault fault = CRASH_DIES; fault < CRASH_FAULTS; fault++) {
        uint64_t at = 1;

        while (upgrade_fails(*state, fault, at))
            at++;
        assert_true(at > 10);
    }
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_full_disk_refuses_until_there_is_space),
        TEST(test_broken_disk_refuses_with_its_reason),
        TEST(test_failing_sync_refuses_with_its_reason),
        TEST(test_recovery_is_noticed_without_a_write),
        TEST(test_hanging_disk_is_told_and_reads_go_on),
        TEST(test_close_does_not_wait_for_a_hanging_disk),
        TEST(test_close_with_nothing_to_do_does_not_wait_either),
        TEST(test_file_that_cannot_be_tidied_is_told),
        TEST(test_upgrade_is_done_or_not_begun),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
