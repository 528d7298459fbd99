#include "agent/journal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

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
                                    "picket-allocs.mp"};

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
    reopen(f, OTHER);
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
