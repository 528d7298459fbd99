#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sqlite3.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/rand.h"
#include "state/persist.h"
#include "tests/support/data.h"
#include "tests/support/make_node.h"

struct fixture {
    struct loop *loop;
    struct writer *writer;
    struct store *store;
    char *dir, *path;
};

static int open_store(struct fixture *f, struct err *e)
{
    struct store_opts o = {.dir = f->dir, .loop = f->loop, .writer = f->writer};

    *e = (struct err){0};
    return store_open(&o, &f->store, e);
}

static void make_loop(struct fixture *f)
{
    assert_int_equal(loop_new(&f->loop), 0);
    assert_int_equal(writer_new(f->loop, "writer", &f->writer), 0);
}

static int setup(void **state)
{
    struct fixture *f = xnew0(struct fixture);
    const char *tmp = getenv("TMPDIR");
    char *template = xasprintf("%s/persist-XXXXXX", tmp ? tmp : "/tmp");

    loop_block_signals();
    assert_non_null(mkdtemp(template));
    f->dir = xasprintf("%s/a/server", template);
    f->path = xasprintf("%s/state.db", f->dir);
    free(template);
    make_loop(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    f->store = store_close(f->store);
    f->writer = writer_free(f->writer);
    f->loop = loop_free(f->loop);
    free(f->dir);
    free(f->path);
    free(f);
    return 0;
}

/* --- writes --- */

struct put {
    uint64_t n;
    size_t pad;
    bool delete;
    int done, r;
    uint64_t index;
    struct err e;
};

static int put_fn(struct txn *t, void *arg, struct err *e)
{
    struct put *p = arg;
    struct uuid key = make_node_key(p->n);

    (void)e;
    if (p->delete)
        txn_delete_node(t, &key);
    else
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
        p->e = *e;
}

static struct put put(struct fixture *f, uint64_t n, size_t pad)
{
    struct put p = {.n = n, .pad = pad};

    store_write(f->store, put_fn, put_done, &p);
    while (p.done == 0)
        assert_int_equal(loop_turn(f->loop, UINT64_MAX), 0);
    return p;
}

static void must_open(struct fixture *f)
{
    struct err e;

    if (open_store(f, &e) < 0)
        fail_msg("%s", e.text);
}

/* writes SQL into the database as somebody else would */
static void meddle(const char *path, const char *sql)
{
    sqlite3 *db = NULL;
    char *text = NULL;

    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, &text) != SQLITE_OK)
        fail_msg("%s", text);
    (void)sqlite3_close(db);
}

static void must_not_open(struct fixture *f, int code, const char *text)
{
    struct err e;
    int r = open_store(f, &e);

    if (r != code || !strstr(e.text, text))
        fail_msg("got %d \"%s\", expected %d \"...%s...\"", r, e.text, code, text);
}

static void write_file(const struct fixture *f, const void *p, size_t n)
{
    struct err e;

    assert_int_equal(dir_make(f->dir, 0700, &e), 0);
    assert_int_equal(file_write_atomic(f->path, p, n, 0600, &e), 0);
}

static void test_state_survives_reopening(void **state)
{
    struct fixture *f = *state;
    struct put gone = {.n = 2, .delete = true};
    struct uuid one = make_node_key(1), two = make_node_key(2);

    must_open(f);
    assert_int_equal(store_index(f->store), 0);
    assert_int_equal(put(f, 1, 0).index, 1);
    assert_int_equal(put(f, 2, 0).index, 2);
    assert_int_equal(put(f, 1, 0).index, 3);
    store_write(f->store, put_fn, put_done, &gone);
    while (gone.done == 0)
        assert_int_equal(loop_turn(f->loop, UINT64_MAX), 0);
    f->store = store_close(f->store);
    must_open(f);
    assert_int_equal(store_index(f->store), 4);
    assert_int_equal(store_table_index(f->store, TABLE_NODES), 4);
    assert_int_equal(store_table_index(f->store, TABLE_ALLOCS), 0);
    assert_int_equal(store_node_count(f->store), 1);
    assert_int_equal(store_node(f->store, &one)->modify_index, 3);
    assert_null(store_node(f->store, &two));
}

static void test_files_are_ours_alone(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = {"state.db", "state.db-wal", "lock"};
    struct stat st;

    (void)umask(0);
    must_open(f);
    (void)put(f, 1, 0);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        _cleanup_free_ char *path = xasprintf("%s/%s", f->dir, names[i]);

        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
    }
    assert_int_equal(stat(f->dir, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
}

static void test_close_waits_for_what_is_on_its_way(void **state)
{
    struct fixture *f = *state;
    struct put p = {.n = 1};

    must_open(f);
    store_write(f->store, put_fn, put_done, &p);
    assert_int_equal(loop_turn(f->loop, 0), 0);
    f->store = store_close(f->store);
    assert_int_equal(p.done, 1);
    assert_int_equal(p.r, 0);
    must_open(f);
    assert_int_equal(store_node_count(f->store), 1);
}

static void test_second_process_is_told_who_has_the_folder(void **state)
{
    struct fixture *f = *state;
    struct store *first;
    char text[64];

    must_open(f);
    first = steal_ptr(&f->store);
    (void)snprintf(text, sizeof(text), "is in use by process %ld", (long)getpid());
    must_not_open(f, -EBUSY, text);
    (void)store_close(first);
    must_open(f);
}

static void test_not_a_database_is_refused(void **state)
{
    struct fixture *f = *state;
    static const char text[] = "this is a letter to my grandmother, not a database\n";

    write_file(f, text, sizeof(text) - 1);
    must_not_open(f, -EINVAL, "is not a database of picket-server");
    write_file(f, "SQLite", 6);
    must_not_open(f, -EINVAL, "is not a database of picket-server");
}

static void test_database_of_another_program_is_left_alone(void **state)
{
    struct fixture *f = *state;
    char *before = NULL, *after = NULL;
    size_t n_before, n_after;
    struct err e;

    assert_int_equal(dir_make(f->dir, 0700, &e), 0);
    meddle(f->path, "CREATE TABLE recipes (name TEXT); INSERT INTO recipes VALUES ('soup')");
    assert_int_equal(file_read(f->path, 1 << 20, &before, &n_before), 0);
    must_not_open(f, -EINVAL, "is not a database of picket-server");
    assert_int_equal(file_read(f->path, 1 << 20, &after, &n_after), 0);
    assert_int_equal(n_before, n_after);
    assert_memory_equal(before, after, n_before);
    free(before);
    free(after);
}

static void test_empty_file_is_a_new_database(void **state)
{
    struct fixture *f = *state;

    write_file(f, "", 0);
    must_open(f);
    assert_int_equal(put(f, 1, 0).r, 0);
}

static void test_newer_schema_is_refused_with_its_number(void **state)
{
    struct fixture *f = *state;

    must_open(f);
    f->store = store_close(f->store);
    meddle(f->path, "UPDATE meta SET value = 7 WHERE key = 'schema'");
    must_not_open(f, -EPROTONOSUPPORT,
                  "was written by a newer picket-server (schema 7, this one knows 2)");
}

/* a file that the first release left: nodes 1, 2, 3 and 5, seven writes */
static void write_schema_1(const struct fixture *f)
{
    size_t n;
    _cleanup_free_ char *old = data_read("state/schema1.db", &n);

    write_file(f, old, n);
}

static void test_older_schema_is_upgraded(void **state)
{
    struct fixture *f = *state;
    struct uuid two = make_node_key(2), three = make_node_key(3);

    write_schema_1(f);
    for (int i = 0; i < 2; i++) { /* once for real, then as any other */
        must_open(f);
        assert_int_equal(store_index(f->store), 7);
        assert_int_equal(store_table_index(f->store, TABLE_NODES), 7);
        assert_int_equal(store_node_count(f->store), 4);
        assert_int_equal(store_node(f->store, &two)->modify_index, 5);
        assert_true(store_node(f->store, &three)->packed_len > 5000);
        f->store = store_close(f->store);
    }
    must_open(f);
    assert_int_equal(put(f, 3, 0).index, 8);
    f->store = store_close(f->store);
    /* and it has checksums now */
    meddle(f->path, "UPDATE nodes SET object = x'80' WHERE id LIKE '00000002%'");
    must_not_open(f, -EUCLEAN,
                  "(node 00000002-0000-4000-8000-000000000002 is not what was stored, as are 0 "
                  "more of 4)");
}

static void test_damaged_older_file_stays_as_it_is(void **state)
{
    struct fixture *f = *state;

    write_schema_1(f);
    meddle(f->path, "UPDATE nodes SET object = x'81a2' WHERE id LIKE '00000002%'");
    must_not_open(f, -EUCLEAN, "is corrupt (node 00000002-0000-4000-8000-000000000002)");
    meddle(f->path, "UPDATE meta SET value = -1 WHERE key = 'schema'");
    must_not_open(f, -EUCLEAN, "is corrupt (schema -1)");
}

static void test_corrupt_pages_are_found(void **state)
{
    struct fixture *f = *state;
    uint8_t junk[4096];
    int fd;

    must_open(f);
    for (uint64_t n = 0; n < 40; n++)
        (void)put(f, n, 2000);
    f->store = store_close(f->store);
    memset(junk, 0xa5, sizeof(junk));
    fd = open(f->path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    for (off_t page = 1; page < 12; page++)
        assert_int_equal(pwrite(fd, junk, sizeof(junk), page * 4096), sizeof(junk));
    (void)close(fd);
    must_not_open(f, -EUCLEAN, "is corrupt");
}

static void test_damaged_object_names_its_node(void **state)
{
    struct fixture *f = *state;

    must_open(f);
    (void)put(f, 1, 0);
    f->store = store_close(f->store);
    meddle(f->path, "UPDATE nodes SET object = x'81a2'");
    must_not_open(f, -EUCLEAN, "is corrupt (node 00000001-0000-4000-8000-000000000001 is not");
    meddle(f->path, "UPDATE nodes SET object = x''");
    must_not_open(f, -EUCLEAN, "is corrupt (a node without id or content)");
}

/* bits that turn on a disk, at any place of an object: each is found */
static void test_each_flipped_bit_of_an_object_is_found(void **state)
{
    struct fixture *f = *state;
    char *file = NULL;
    const char *at;
    size_t n;

    must_open(f);
    (void)put(f, 1, 900);
    f->store = store_close(f->store);
    assert_int_equal(file_read(f->path, MIB, &file, &n), 0);
    at = memmem(file, n, "xxxxxxxx", 8);
    assert_non_null(at);
    for (size_t i = 0; i < 900; i += 41) {
        _cleanup_free_ char *copy = xmemdup(file, n);

        copy[(size_t)(at - file) + i] ^= (char)(1 << i % 8);
        write_file(f, copy, n);
        must_not_open(f, -EUCLEAN, "is not what was stored");
    }
    free(file);
}

/* an id stands in its row, in its object and in SQLite's index of ids */
static void test_damaged_ids_are_found_wherever_they_stand(void **state)
{
    struct fixture *f = *state;
    char id[UUID_TEXT_LEN + 1], *file = NULL;
    size_t n, found = 0;

    make_node_id(9, id);
    must_open(f);
    for (uint64_t i = 1; i < 20; i++)
        (void)put(f, i, 0);
    f->store = store_close(f->store);
    assert_int_equal(file_read(f->path, MIB, &file, &n), 0);
    for (const char *at = file; (at = memmem(at, n - (size_t)(at - file), id, UUID_TEXT_LEN));
         at++, found++) {
        _cleanup_free_ char *copy = xmemdup(file, n);

        copy[(size_t)(at - file) + 7] = 'f';
        write_file(f, copy, n);
        must_not_open(f, -EUCLEAN, "is corrupt (");
    }
    assert_int_equal(found, 3);
    write_file(f, file, n);
    must_open(f);
    free(file);
}

static void test_damaged_index_is_found(void **state)
{
    struct fixture *f = *state;

    must_open(f);
    (void)put(f, 1, 0);
    f->store = store_close(f->store);
    meddle(f->path, "UPDATE meta SET value = 0 WHERE key = 'index.nodes'");
    must_not_open(f, -EUCLEAN, "is corrupt (its indexes do not match their checksum); restore a");
    meddle(f->path, "UPDATE meta SET value = 1 WHERE key = 'index.nodes'");
    must_open(f);
}

static void test_log_stays_short(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *log = xasprintf("%s-wal", f->path);
    struct stat st;

    must_open(f);
    for (uint64_t n = 0; n < 400; n++)
        assert_int_equal(put(f, n % 20, 60000).r, 0); /* 24 MB */
    assert_int_equal(stat(log, &st), 0);
    assert_true(st.st_size < 8 * MIB);
    f->store = store_close(f->store);
    assert_int_equal(stat(log, &st), -1);
    must_open(f);
    assert_int_equal(store_node_count(f->store), 20);
}

static void test_missing_table_is_an_error(void **state)
{
    struct fixture *f = *state;

    must_open(f);
    f->store = store_close(f->store);
    meddle(f->path, "DROP TABLE nodes");
    must_not_open(f, -EIO, "no such table: nodes");
}

/* --- what the system refuses: in a child, which gives up its rights or its space --- */

static void drop_loop(struct fixture *f)
{
    f->writer = writer_free(f->writer);
    f->loop = loop_free(f->loop);
}

static int in_child(struct fixture *f, int (*fn)(struct fixture *f))
{
    pid_t pid;
    int status = 0;

    drop_loop(f); /* a process with threads should not fork */
    (void)fflush(NULL);
    pid = fork();
    if (pid == 0)
        _exit(fn(f));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    make_loop(f);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/* a child makes its own loop and thread */
static void child_loop(struct fixture *f)
{
    f->store = NULL;
    if (loop_new(&f->loop) < 0 || writer_new(f->loop, "writer", &f->writer) < 0)
        _exit(99);
}

static int expect_open_error(struct fixture *f, const char *text)
{
    struct err e;

    int r;

    child_loop(f);
    r = open_store(f, &e);
    if (r >= 0)
        return 1;
    drop_loop(f);
    if (strstr(e.text, text))
        return 0;
    (void)fprintf(stderr, "got: %s\n", e.text);
    return 2;
}

static int as_nobody(struct fixture *f, const char *text)
{
    if (getuid() == 0 && setuid(65534) < 0)
        return 98;
    return expect_open_error(f, text);
}

static int child_folder_refused(struct fixture *f)
{
    return as_nobody(f, "lock: Permission denied");
}

static int child_file_refused(struct fixture *f)
{
    return as_nobody(f, "state.db: Permission denied");
}

/* lets others walk down to the folder */
static void open_way(const struct fixture *f)
{
    static const char *const ups[] = {"..", "../.."};

    for (size_t i = 0; i < ARRAY_LEN(ups); i++) {
        _cleanup_free_ char *up = xasprintf("%s/%s", f->dir, ups[i]);

        assert_int_equal(chmod(up, 0755), 0);
    }
}

static void test_folder_without_rights_is_an_error(void **state)
{
    struct fixture *f = *state;
    struct err e;

    assert_int_equal(dir_make(f->dir, 0700, &e), 0);
    assert_int_equal(chmod(f->dir, 0555), 0);
    open_way(f);
    assert_int_equal(in_child(f, child_folder_refused), 0);
}

static void test_read_only_file_is_an_error(void **state)
{
    struct fixture *f = *state;
    char *lock = xasprintf("%s/lock", f->dir);

    must_open(f);
    f->store = store_close(f->store);
    open_way(f);
    assert_int_equal(chmod(f->dir, 0777), 0);
    assert_int_equal(chmod(lock, 0666), 0);
    assert_int_equal(chmod(f->path, 0444), 0);
    free(lock);
    assert_int_equal(in_child(f, child_file_refused), 0);
}

/* files of this process may not grow beyond n bytes: a full disk */
static void limit_files(rlim_t n)
{
    struct rlimit l = {.rlim_cur = n, .rlim_max = RLIM_INFINITY};
    struct sigaction ignore = {.sa_handler = SIG_IGN};

    if (sigaction(SIGXFSZ, &ignore, NULL) < 0 || setrlimit(RLIMIT_FSIZE, &l) < 0)
        _exit(97);
}

static int child_full_at_start(struct fixture *f)
{
    limit_files(2048);
    return expect_open_error(f, "cannot write");
}

static void test_full_disk_at_start_is_an_error(void **state)
{
    assert_int_equal(in_child(*state, child_full_at_start), 0);
}

/* fails while the disk is full, keeps what was there, goes on when there is space again */
static int child_full_later(struct fixture *f)
{
    struct err e;
    struct put p;
    uint64_t index;

    child_loop(f);
    if (open_store(f, &e) < 0 || put(f, 1, 0).r < 0)
        return 1;
    limit_files(200 * 1024);
    do
        p = put(f, 2, 50000);
    while (p.r == 0 && p.index < 100);
    if (p.r == 0 || !strstr(p.e.text, "cannot write"))
        return 2;
    index = store_index(f->store);
    if (put(f, 3, 200000).r == 0 || store_index(f->store) != index)
        return 3;
    limit_files(RLIM_INFINITY);
    p = put(f, 4, 50000);
    if (p.r < 0 || p.index <= index + 1) /* those of the refused ones are not used again */
        return 4;
    f->store = store_close(f->store);
    if (open_store(f, &e) < 0 || store_index(f->store) != p.index ||
        store_node_count(f->store) != 3)
        return 5;
    f->store = store_close(f->store);
    drop_loop(f);
    return 0;
}

static void test_full_disk_later_fails_writes_until_there_is_space(void **state)
{
    assert_int_equal(in_child(*state, child_full_later), 0);
}

/* --- killed at any moment --- */

struct acked {
    uint64_t n, index;
};

/* writes for ever, telling each success */
static void child_writes(struct fixture *f, int fd, uint64_t seed)
{
    enum { AT_ONCE = 5 };
    struct err e;

    child_loop(f);
    rand_seed(seed);
    if (open_store(f, &e) < 0)
        _exit(1);
    for (;;) {
        struct put p[AT_ONCE];

        for (int i = 0; i < AT_ONCE; i++) {
            p[i] = (struct put){.n = rand_below(200), .pad = (size_t)rand_below(3000)};
            store_write(f->store, put_fn, put_done, &p[i]);
        }
        while (p[AT_ONCE - 1].done == 0)
            if (loop_turn(f->loop, UINT64_MAX) < 0)
                _exit(2);
        for (int i = 0; i < AT_ONCE; i++) {
            struct acked a = {p[i].n, p[i].index};

            if (p[i].r < 0 || write(fd, &a, sizeof(a)) != sizeof(a))
                _exit(3);
        }
    }
}

static void kill_round(struct fixture *f, uint64_t seed, uint64_t acked[200], uint64_t *index)
{
    struct acked a;
    int fds[2], status;
    pid_t pid;
    uint64_t seen = 0, limit = 20 + rand_below(200);

    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    drop_loop(f);
    (void)fflush(NULL);
    pid = fork();
    if (pid == 0) {
        (void)close(fds[0]);
        child_writes(f, fds[1], seed);
    }
    (void)close(fds[1]);
    while (read(fds[0], &a, sizeof(a)) == sizeof(a)) {
        acked[a.n] = MAX(acked[a.n], a.index);
        *index = MAX(*index, a.index);
        if (++seen == limit)
            (void)kill(pid, SIGKILL);
    }
    (void)close(fds[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && seen >= limit);
    make_loop(f);
}

static void test_nothing_acknowledged_is_lost_by_kill(void **state)
{
    struct fixture *f = *state;
    static uint64_t acked[200];
    uint64_t index = 0;

    memset(acked, 0, sizeof(acked));
    for (uint64_t round = 1; round <= 8; round++) {
        kill_round(f, round, acked, &index);
        must_open(f);
        assert_true(store_index(f->store) >= index);
        index = store_index(f->store);
        for (uint64_t n = 0; n < 200; n++) {
            struct uuid key = make_node_key(n);
            const struct node_item *it = store_node(f->store, &key);

            if (acked[n] > 0)
                assert_true(it && it->modify_index >= acked[n]);
            assert_true(!it || it->modify_index <= index);
        }
        f->store = store_close(f->store);
    }
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_state_survives_reopening),
        TEST(test_files_are_ours_alone),
        TEST(test_close_waits_for_what_is_on_its_way),
        TEST(test_second_process_is_told_who_has_the_folder),
        TEST(test_not_a_database_is_refused),
        TEST(test_database_of_another_program_is_left_alone),
        TEST(test_empty_file_is_a_new_database),
        TEST(test_newer_schema_is_refused_with_its_number),
        TEST(test_older_schema_is_upgraded),
        TEST(test_corrupt_pages_are_found),
        TEST(test_damaged_older_file_stays_as_it_is),
        TEST(test_damaged_object_names_its_node),
        TEST(test_each_flipped_bit_of_an_object_is_found),
        TEST(test_damaged_ids_are_found_wherever_they_stand),
        TEST(test_damaged_index_is_found),
        TEST(test_log_stays_short),
        TEST(test_missing_table_is_an_error),
        TEST(test_folder_without_rights_is_an_error),
        TEST(test_read_only_file_is_an_error),
        TEST(test_full_disk_at_start_is_an_error),
        TEST(test_full_disk_later_fails_writes_until_there_is_space),
        TEST(test_nothing_acknowledged_is_lost_by_kill),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
