#include "agent/journal.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/str.h"
#include "codec/ops.h"

#define ID    "f7476465-4d6e-c0de-26d0-e383c49be941"
#define OTHER "e7476465-4d6e-c0de-26d0-e383c49be941"

struct fixture {
    struct loop *loop;
    char *dir;
    struct journal *j;
};

static const char *const files[] = {"picket-registered.mp", "picket-identity.mp",
                                    "picket-allocs.mp", "picket-events.mp", "picket-meta.mp"};

static int setup(void **state)
{
    struct fixture *f = xnew0(struct fixture);
    const char *tmp = getenv("TMPDIR");

    f->dir = xasprintf("%s/journal-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(f->dir) || loop_new(&f->loop) < 0)
        return -1;
    log_set_level(LOG_LEVEL_OFF);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    f->j = journal_free(f->j);
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        _cleanup_free_ char *path = xasprintf("%s/%s", f->dir, files[i]);
        _cleanup_free_ char *aside = xasprintf("%s.damaged", path);

        (void)unlink(path);
        (void)unlink(aside);
    }
    (void)chmod(f->dir, 0700);
    (void)rmdir(f->dir);
    (void)loop_free(f->loop);
    free(f->dir);
    free(f);
    return 0;
}

static void reopen(struct fixture *f, const char *node_id)
{
    struct err e = {0};

    f->j = journal_free(f->j); /* waits for the disk */
    assert_int_equal(journal_open(f->loop, f->dir, node_id, &f->j, &e), 0);
}

static void put_alloc(struct fixture *f, const char *id, uint64_t index)
{
    char *tasks[] = {(char *)"web", (char *)"log"};
    struct journal_alloc a = {.id = (char *)(uintptr_t)id,
                              .modify_index = index,
                              .tasks = tasks,
                              .n_tasks = 2,
                              .at = gotime_from_unix_ns(INT64_C(1700000000000000000))};

    journal_put_allocs(f->j, &a, 1);
}

static void test_new_folder_knows_nothing(void **state)
{
    struct fixture *f = *state;
    size_t n;

    reopen(f, ID);
    assert_false(journal_registered(f->j));
    assert_null(journal_identity(f->j));
    (void)journal_allocs(f->j, &n);
    assert_int_equal(n, 0);
    assert_int_equal(journal_pending(f->j), 0);
}

static void test_facts_are_in_force_at_once_and_after_a_restart(void **state)
{
    struct fixture *f = *state;
    const struct journal_alloc *a;

    reopen(f, ID);
    for (int round = 0; round < 2; round++) {
        if (round == 0) {
            journal_set_registered(f->j);
            journal_set_identity(f->j, "ey.J.wt");
            put_alloc(f, "one", 7);
            put_alloc(f, "two", 8);
            put_alloc(f, "one", 9);
        } else {
            reopen(f, ID);
        }
        assert_true(journal_registered(f->j));
        assert_string_equal(journal_identity(f->j), "ey.J.wt");
        a = journal_alloc(f->j, "one");
        assert_non_null(a);
        assert_int_equal(a->modify_index, 9);
        assert_int_equal(a->n_tasks, 2);
        assert_string_equal(a->tasks[1], "log");
        assert_int_equal(gotime_to_unix_ns(a->at), INT64_C(1700000000000000000));
        assert_non_null(journal_alloc(f->j, "two"));
        assert_null(journal_alloc(f->j, "three"));
    }
}

static void test_reloaded_list_can_grow(void **state)
{
    struct fixture *f = *state;
    size_t n;

    reopen(f, ID);
    for (int i = 0; i < 21; i++) {
        _cleanup_free_ char *id = xasprintf("alloc-%d", i);

        put_alloc(f, id, 1);
        if (i % 3 == 0)
            reopen(f, ID);
    }
    reopen(f, ID);
    (void)journal_allocs(f->j, &n);
    assert_int_equal(n, 21);
}

static void add_event(struct fixture *f, const char *message)
{
    struct node_event ev = {.message = (char *)(uintptr_t)message,
                            .subsystem = (char *)(uintptr_t) "Driver",
                            .timestamp = gotime_from_unix_ns(INT64_C(1700000000123456789))};

    strmap_set(&ev.details, "driver", "docker");
    journal_add_event(f->j, &ev);
    strmap_done(&ev.details);
}

static void test_events_keep_their_order_and_their_content(void **state)
{
    struct fixture *f = *state;
    const struct node_event *v;
    size_t n;

    reopen(f, ID);
    (void)journal_events(f->j, &n);
    assert_int_equal(n, 0);
    for (int i = 0; i < 5; i++) {
        _cleanup_free_ char *text = xasprintf("event %d", i);

        add_event(f, text);
    }
    journal_drop_events(f->j, 0, 1);
    journal_drop_events(f->j, 2, 1);
    journal_drop_events(f->j, 7, 1); /* there is none */
    reopen(f, ID);
    add_event(f, "behind a restart");
    v = journal_events(f->j, &n);
    assert_int_equal(n, 4);
    assert_string_equal(v[0].message, "event 1");
    assert_string_equal(v[1].message, "event 2");
    assert_string_equal(v[2].message, "event 4");
    assert_string_equal(v[3].message, "behind a restart");
    assert_string_equal(strmap_get(&v[0].details, "driver"), "docker");
    assert_int_equal(gotime_to_unix_ns(v[0].timestamp), INT64_C(1700000000123456789));
    journal_drop_events(f->j, 0, 100);
    reopen(f, ID);
    (void)journal_events(f->j, &n);
    assert_int_equal(n, 0);
}

static void test_metadata_tells_unset_from_empty(void **state)
{
    struct fixture *f = *state;
    struct optpair items[] = {
        {(char *)"empty", (char *)""     },
        {(char *)"rack",  (char *)"r1 ä"},
        {(char *)"unset", NULL           }
    };
    const struct optmap *m;

    reopen(f, ID);
    assert_int_equal(journal_meta(f->j)->n, 0);
    journal_set_meta(f->j, &(struct optmap){items, 3});
    reopen(f, ID);
    m = journal_meta(f->j);
    assert_int_equal(m->n, 3);
    assert_string_equal(m->items[0].value, "");
    assert_string_equal(m->items[1].value, "r1 ä");
    assert_string_equal(m->items[2].key, "unset");
    assert_null(m->items[2].value);
    journal_set_meta(f->j, m); /* the same: nothing to write */
    assert_int_equal(journal_pending(f->j), 0);
    journal_set_meta(f->j, &(struct optmap){NULL, 0});
    reopen(f, ID);
    assert_int_equal(journal_meta(f->j)->n, 0);
}

/* --- when it is on the disk --- */

static void on_synced(void *arg, int r)
{
    *(int *)arg = r;
}

static void turn_until(struct fixture *f, const int *r)
{
    for (int i = 0; i < 3000 && *r == 1; i++)
        assert_int_equal(loop_turn(f->loop, 10 * NSEC_PER_MSEC), 0);
}

static void test_sync_says_when_all_is_on_the_disk(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *path = xasprintf("%s/%s", f->dir, files[3]);
    int r = 1, cancelled = 1;

    reopen(f, ID);
    add_event(f, "one");
    assert_null(journal_sync_cancel(journal_sync(f->j, on_synced, &cancelled)));
    assert_non_null(journal_sync(f->j, on_synced, &r));
    assert_int_equal(r, 1); /* not from inside */
    turn_until(f, &r);
    assert_int_equal(r, 0);
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(cancelled, 1);
    assert_int_equal(journal_pending(f->j), 0);
}

static void test_sync_says_when_the_disk_refused(void **state)
{
    struct fixture *f = *state;
    char *large = xnew0_n(char, 2 * 1024 * 1024);
    struct optpair item = {(char *)"k", large};
    int r = 1;

    memset(large, 'x', 2 * 1024 * 1024 - 1);
    reopen(f, ID);
    journal_set_meta(f->j, &(struct optmap){&item, 1}); /* larger than a fact may be */
    (void)journal_sync(f->j, on_synced, &r);
    turn_until(f, &r);
    assert_int_equal(r, -EIO);
    r = 1;
    (void)journal_sync(f->j, on_synced, &r); /* and it still is not there */
    turn_until(f, &r);
    assert_int_equal(r, -EIO);
    large[1] = 0;
    journal_set_meta(f->j, &(struct optmap){&item, 1});
    r = 1;
    (void)journal_sync(f->j, on_synced, &r);
    turn_until(f, &r);
    assert_int_equal(r, 0);
    free(large);
}

/* the disk refuses this fact, or no longer */
static void refuse(struct fixture *f, const char *file, bool on)
{
    _cleanup_free_ char *in_the_way = xasprintf("%s/%s.tmp", f->dir, file);

    assert_int_equal(on ? mkdir(in_the_way, 0700) : rmdir(in_the_way), 0);
}

static void test_what_a_disk_refused_is_written_when_it_is_set_again(void **state)
{
    struct fixture *f = *state;
    struct optpair item = {(char *)"k", (char *)"v"};
    _cleanup_free_ char *path = xasprintf("%s/%s", f->dir, files[4]);
    int r = 1;

    reopen(f, ID);
    refuse(f, files[4], true);
    journal_set_meta(f->j, &(struct optmap){&item, 1});
    (void)journal_sync(f->j, on_synced, &r);
    turn_until(f, &r);
    assert_int_equal(r, -EIO);
    refuse(f, files[4], false);
    r = 1;
    journal_set_meta(f->j, &(struct optmap){&item, 1}); /* nothing new */
    (void)journal_sync(f->j, on_synced, &r);
    turn_until(f, &r);
    assert_int_equal(r, 0);
    assert_int_equal(access(path, F_OK), 0);
}

static void test_what_a_disk_refused_is_written_later(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *path = xasprintf("%s/%s", f->dir, files[0]);
    int r = 1;

    clock_fake(true, UINT64_C(1) << 60, INT64_C(1800000000) * (int64_t)NSEC_PER_SEC);
    reopen(f, ID);
    refuse(f, files[0], true);
    journal_set_registered(f->j);
    (void)journal_sync(f->j, on_synced, &r);
    turn_until(f, &r);
    assert_int_equal(r, -EIO);
    clock_fake_advance(61 * NSEC_PER_SEC);
    (void)loop_run_due(f->loop); /* once more in vain */
    for (int i = 0; i < 1000 && journal_pending(f->j) > 0; i++)
        assert_int_equal(loop_turn(f->loop, 10 * NSEC_PER_MSEC), 0);
    refuse(f, files[0], false);
    clock_fake_advance(61 * NSEC_PER_SEC);
    (void)loop_run_due(f->loop);
    reopen(f, ID);
    clock_fake(false, 0, 0);
    assert_true(journal_registered(f->j));
    assert_int_equal(access(path, F_OK), 0);
}

/* --- formats --- */

static void put_file(struct fixture *f, const char *name, const void *p, size_t n)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", f->dir, name);
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_int_equal(fwrite(p, 1, n, file), n);
    assert_int_equal(fclose(file), 0);
}

static char *get_file(struct fixture *f, const char *name, size_t *n)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", f->dir, name);
    char *text = NULL;

    assert_int_equal(file_read(path, 1024 * 1024, &text, n), 0);
    return text;
}

/* {NodeID, Registered} without a Version, as the first release wrote it; then with one */
#define OLD_FILE         "\x82\xa6NodeID\xda\x00\x24" ID "\xaaRegistered\xc3"
#define FILE_OF(version) "\x83\xa6NodeID\xda\x00\x24" ID "\xaaRegistered\xc3\xa7Version" version

static bool has(const char *text, size_t n, const char *what)
{
    return memmem(text, n, what, strlen(what)) != NULL;
}

static void test_first_format_is_read_and_upgraded_by_the_next_write(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *old = NULL, *new = NULL;
    size_t n;

    put_file(f, files[0], OLD_FILE, sizeof(OLD_FILE) - 1);
    reopen(f, ID);
    assert_true(journal_registered(f->j));
    f->j = journal_free(f->j);
    old = get_file(f, files[0], &n);
    assert_int_equal(n, sizeof(OLD_FILE) - 1);
    assert_memory_equal(old, OLD_FILE, n); /* not touched by reading */
    put_file(f, files[0], "\x81\xa6NodeID\xa1x", 10);
    reopen(f, ID); /* of another node: dropped, and written anew */
    journal_set_registered(f->j);
    f->j = journal_free(f->j);
    new = get_file(f, files[0], &n);
    assert_true(has(new, n, "\xa7Version\x02"));
}

static void test_newer_format_is_refused_and_left_alone(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
        const char *shown;
    } rows[] = {
        {FILE_OF("\x03"),                                 sizeof(FILE_OF("\x03")) - 1,         "format 3,"            },
        {FILE_OF("\xcd\x03\xe8"),                         sizeof(FILE_OF("\xcd\x03\xe8")) - 1, "format 1000,"         },
 /* the rest may be of another shape by then */
        {"\x82\xa7Version\x09\xa1?\xc0",                  13,                                  "format 9,"            },
        {FILE_OF("\xcf\xff\xff\xff\xff\xff\xff\xff\xff"),
         sizeof(FILE_OF("\xcf\xff\xff\xff\xff\xff\xff\xff\xff")) - 1,                          "18446744073709551615,"},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        for (size_t k = 0; k < ARRAY_LEN(files); k++) {
            _cleanup_free_ char *path = xasprintf("%s/%s", f->dir, files[k]), *now = NULL;
            struct err e = {0};
            size_t n;

            put_file(f, files[k], rows[i].bytes, rows[i].n);
            f->j = journal_free(f->j);
            assert_int_equal(journal_open(f->loop, f->dir, ID, &f->j, &e), -EUCLEAN);
            assert_null(f->j);
            assert_non_null(strstr(e.text, path));
            assert_non_null(strstr(e.text, rows[i].shown));
            assert_non_null(strstr(e.text, "up to 2"));
            now = get_file(f, files[k], &n);
            assert_int_equal(n, rows[i].n);
            assert_memory_equal(now, rows[i].bytes, n);
            assert_int_equal(unlink(path), 0);
        }
    }
}

static void test_what_a_cut_off_write_left_is_removed_and_never_read(void **state)
{
    struct fixture *f = *state;

    reopen(f, ID);
    add_event(f, "one");
    f->j = journal_free(f->j);
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        _cleanup_free_ char *name = xasprintf("%s.tmp", files[i]);

        put_file(f, name, FILE_OF("\x09"), 20);
    }
    reopen(f, ID);
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        _cleanup_free_ char *path = xasprintf("%s/%s.tmp", f->dir, files[i]);

        assert_int_equal(access(path, F_OK), -1);
    }
    assert_false(journal_registered(f->j));
}

static void test_dropped_identity_stays_dropped(void **state)
{
    struct fixture *f = *state;

    reopen(f, ID);
    journal_set_identity(f->j, "ey.J.wt");
    journal_set_identity(f->j, NULL);
    assert_null(journal_identity(f->j));
    reopen(f, ID);
    assert_null(journal_identity(f->j));
}

static void test_files_are_for_the_owner_only(void **state)
{
    struct fixture *f = *state;

    reopen(f, ID);
    journal_set_registered(f->j);
    journal_set_identity(f->j, "ey.J.wt");
    put_alloc(f, "one", 7);
    add_event(f, "one");
    journal_set_meta(f->j, &(struct optmap){
                               &(struct optpair){(char *)"k", NULL},
                                1
    });
    f->j = journal_free(f->j);
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        _cleanup_free_ char *path = xasprintf("%s/%s", f->dir, files[i]);
        struct stat st;

        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
    }
}

static void test_facts_belong_to_one_node_id(void **state)
{
    struct fixture *f = *state;
    size_t n;

    reopen(f, ID);
    journal_set_registered(f->j);
    journal_set_identity(f->j, "ey.J.wt");
    put_alloc(f, "one", 7);
    add_event(f, "one");
    journal_set_meta(f->j, &(struct optmap){
                               &(struct optpair){(char *)"k", NULL},
                                1
    });
    reopen(f, OTHER);
    assert_int_equal(journal_meta(f->j)->n, 0);
    (void)journal_events(f->j, &n);
    assert_int_equal(n, 0);
    assert_false(journal_registered(f->j));
    assert_null(journal_identity(f->j));
    (void)journal_allocs(f->j, &n);
    assert_int_equal(n, 0);
}

static void test_collected_allocations_go(void **state)
{
    struct fixture *f = *state;
    struct i64pair listed[] = {
        {(char *)"four", 1},
        {(char *)"two",  8}
    };
    struct i64map map = {listed, 2};
    size_t n;

    reopen(f, ID);
    put_alloc(f, "one", 7);
    put_alloc(f, "two", 8);
    put_alloc(f, "three", 9);
    journal_keep_allocs(f->j, &map);
    reopen(f, ID);
    (void)journal_allocs(f->j, &n);
    assert_int_equal(n, 1);
    assert_non_null(journal_alloc(f->j, "two"));
}

static void test_damaged_files_are_put_aside(void **state)
{
    static const struct {
        const char *text;
        size_t n;
    } rows[] = {
        {"",                          0 },
        {"garbage",                   7 },
        {"\x82\xa6NodeID",            8 },
        {"\xc1",                      1 },
        {"\x81\xaaRegistered\xa3yes", 16},
        {"\xdd\xff\xff\xff\xff",      5 },
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        for (size_t k = 0; k < ARRAY_LEN(files); k++) {
            _cleanup_free_ char *path = xasprintf("%s/%s", f->dir, files[k]);
            FILE *file = fopen(path, "w");

            assert_non_null(file);
            assert_int_equal(fwrite(rows[i].text, 1, rows[i].n, file), rows[i].n);
            assert_int_equal(fclose(file), 0);
        }
        reopen(f, ID);
        assert_false(journal_registered(f->j));
        assert_null(journal_identity(f->j));
        journal_set_registered(f->j);
        reopen(f, ID);
        assert_true(journal_registered(f->j));
    }
}

static void test_file_that_is_too_large_is_put_aside(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *path = xasprintf("%s/%s", f->dir, files[2]);
    _cleanup_free_ char *aside = xasprintf("%s.damaged", path);
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_int_equal(ftruncate(fileno(file), 5L * 1024 * 1024), 0);
    assert_int_equal(fclose(file), 0);
    reopen(f, ID);
    assert_int_equal(access(aside, F_OK), 0);
    assert_int_equal(access(path, F_OK), -1);
}

static void test_disk_that_refuses_does_not_stop_the_agent(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(rmdir(f->dir), 0);
    free(f->dir);
    f->dir = xstrdup("/nonexistent/folder");
    reopen(f, ID);
    journal_set_registered(f->j);
    assert_true(journal_registered(f->j));
    reopen(f, ID);
    assert_false(journal_registered(f->j));
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_new_folder_knows_nothing),
        TEST(test_facts_are_in_force_at_once_and_after_a_restart),
        TEST(test_reloaded_list_can_grow),
        TEST(test_events_keep_their_order_and_their_content),
        TEST(test_metadata_tells_unset_from_empty),
        TEST(test_sync_says_when_all_is_on_the_disk),
        TEST(test_sync_says_when_the_disk_refused),
        TEST(test_what_a_disk_refused_is_written_when_it_is_set_again),
        TEST(test_what_a_disk_refused_is_written_later),
        TEST(test_first_format_is_read_and_upgraded_by_the_next_write),
        TEST(test_newer_format_is_refused_and_left_alone),
        TEST(test_what_a_cut_off_write_left_is_removed_and_never_read),
        TEST(test_dropped_identity_stays_dropped),
        TEST(test_files_are_for_the_owner_only),
        TEST(test_facts_belong_to_one_node_id),
        TEST(test_collected_allocations_go),
        TEST(test_damaged_files_are_put_aside),
        TEST(test_file_that_is_too_large_is_put_aside),
        TEST(test_disk_that_refuses_does_not_stop_the_agent),
    };

    return cmocka_run_group_tests_name("agent/journal", tests, NULL, NULL);
}
