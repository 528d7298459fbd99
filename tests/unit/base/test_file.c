/* Small files: read whole with a ceiling, replaced whole or not at all. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"

static char *scratch; /* a folder of this run's own; owned */

static int make_scratch(void **state)
{
    const char *tmp = getenv("TMPDIR");

    (void)state;
    scratch = xasprintf("%s/picket-file-XXXXXX", tmp ? tmp : "/tmp");
    return mkdtemp(scratch) ? 0 : -1;
}

static int drop_scratch(void **state)
{
    static const char *const rest[] = {"a", "f",   "line",     "m",   "d/e/f", "d/e",
                                       "d", "old", "sub/file", "sub", "secret"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rest); i++) {
        _cleanup_free_ char *path = path_join(scratch, rest[i]);

        (void)remove(path);
    }
    (void)rmdir(scratch);
    scratch = mem_free(scratch);
    return 0;
}

static char *in_scratch(const char *name)
{
    return path_join(scratch, name);
}

static void put(const char *path, const void *p, size_t n)
{
    struct err e = {0};

    if (file_write_atomic(path, p, n, 0644, &e) < 0)
        fail_msg("%s", e.text);
}

static void test_file_is_read_up_to_its_ceiling(void **state)
{
    _cleanup_free_ char *path = in_scratch("a"), *text = NULL, *again = NULL, *none = NULL;
    size_t n = 0;

    (void)state;
    put(path, "abc\0d", 5);
    assert_int_equal(file_read(path, 5, &text, &n), 0);
    assert_int_equal(n, 5);
    assert_memory_equal(text, "abc\0d", 6); /* a NUL behind it */
    assert_int_equal(file_read(path, 4, &none, &n), -EFBIG);
    assert_null(none);
    put(path, "", 0);
    assert_int_equal(file_read(path, 0, &again, NULL), 0);
    assert_string_equal(again, "");
    assert_int_equal(file_read("/nonexistent/file", 10, &none, NULL), -ENOENT);
    assert_int_equal(file_read(scratch, 10, &none, NULL), -EISDIR);
}

static void test_file_is_read_from_proc(void **state)
{
    _cleanup_free_ char *text = NULL;
    size_t n = 0;

    (void)state;
    assert_int_equal(file_read("/proc/self/status", 65536, &text, &n), 0); /* says its size is 0 */
    assert_true(n > 100);
    assert_non_null(strstr(text, "Pid:"));
}

static void test_file_lines_and_numbers(void **state)
{
    _cleanup_free_ char *path = in_scratch("line"), *line = NULL, *empty = NULL;
    uint64_t v = 1;

    (void)state;
    put(path, "  42\t\r\nmore\n", 13);
    assert_int_equal(file_read_line(path, &line), 0);
    assert_string_equal(line, "42");
    assert_int_equal(file_read_u64(path, &v), 0);
    assert_int_equal(v, 42);
    put(path, "4x", 2);
    assert_int_equal(file_read_u64(path, &v), -EINVAL);
    assert_int_equal(v, 42);
    put(path, "", 0);
    assert_int_equal(file_read_line(path, &empty), 0);
    assert_string_equal(empty, "");
    assert_int_equal(file_read_u64("/nonexistent", &v), -ENOENT);
}

static void test_file_is_replaced_with_its_mode(void **state)
{
    _cleanup_free_ char *path = in_scratch("secret"), *tmp = xasprintf("%s.tmp", path),
                        *text = NULL;
    struct stat st;
    mode_t mask = umask(077);

    (void)state;
    put(path, "old", 3);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0644); /* whatever the umask is */
    assert_int_equal(file_write_atomic(path, "new", 3, 0600, NULL), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(file_read(path, 10, &text, NULL), 0);
    assert_string_equal(text, "new");
    assert_int_equal(access(tmp, F_OK), -1); /* nothing is left behind */
    (void)umask(mask);
}

static void test_file_write_fails_in_words(void **state)
{
    _cleanup_free_ char *missing = in_scratch("missing/file"), *folder = in_scratch("m");
    _cleanup_free_ char *text = NULL;
    struct err e = {0};

    (void)state;
    assert_int_equal(file_write_atomic(missing, "x", 1, 0644, &e), -ENOENT);
    text = xasprintf("cannot write %s: No such file or directory", missing);
    assert_string_equal(e.text, text);
    assert_int_equal(mkdir(folder, 0755), 0);
    assert_int_equal(file_write_atomic(folder, "x", 1, 0644, &e), -EISDIR); /* is a folder */
    {
        _cleanup_free_ char *tmp = xasprintf("%s.tmp", folder);

        assert_int_equal(access(tmp, F_OK), -1);
    }
}

static void test_file_write_follows_no_link_that_someone_planted(void **state)
{
    _cleanup_free_ char *path = in_scratch("old"), *tmp = xasprintf("%s.tmp", path), *text = NULL;
    struct err e = {0};

    (void)state;
    put(path, "old", 3);
    assert_int_equal(symlink("/dev/full", tmp), 0);
    assert_int_equal(file_write_atomic(path, "new", 3, 0644, &e), -ELOOP);
    assert_int_equal(file_read(path, 10, &text, NULL), 0);
    assert_string_equal(text, "old"); /* and what was there stays */
    (void)unlink(tmp);
}

static void test_dir_make_makes_what_is_missing(void **state)
{
    _cleanup_free_ char *deep = in_scratch("d/e/f"), *file = in_scratch("f"), *below = NULL;
    _cleanup_free_ char *slash = xasprintf("%s/", deep);
    struct err e = {0};
    struct stat st;

    (void)state;
    assert_int_equal(dir_make(deep, 0750, &e), 0);
    assert_int_equal(stat(deep, &st), 0);
    assert_int_equal(dir_make(deep, 0750, &e), 0); /* is there */
    assert_int_equal(dir_make(slash, 0750, &e), 0);
    assert_int_equal(dir_make("/", 0750, &e), 0);
    put(file, "", 0);
    assert_int_equal(dir_make(file, 0750, &e), -ENOTDIR);
    assert_non_null(strstr(e.text, "is there but is not a folder"));
    below = xasprintf("%s/x", file);
    assert_int_equal(dir_make(below, 0750, &e), -ENOTDIR);
    assert_non_null(strstr(e.text, "cannot make the folder"));
    assert_int_equal(dir_make("", 0750, &e), -EINVAL);
}

static void test_path_join(void **state)
{
    static const char *const rows[][3] = {
        {"",     "/proc", "/proc"    },
        {"/",    "/proc", "/proc"    },
        {NULL,   "/proc", "/proc"    },
        {"/fix", "/proc", "/fix/proc"},
        {"/fix", "proc",  "/fix/proc"}
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_free_ char *p = path_join(rows[i][0], rows[i][1]);

        assert_string_equal(p, rows[i][2]);
    }
}

static void test_helper_is_found_beside_this_program(void **state)
{
    _cleanup_free_ char *self = file_find_helper("test_file");
    _cleanup_free_ char *none = file_find_helper("no-such-helper");

    (void)state;
    assert_non_null(self);
    assert_int_equal(access(self, X_OK), 0);
    assert_null(none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_file_is_read_up_to_its_ceiling),
        cmocka_unit_test(test_file_is_read_from_proc),
        cmocka_unit_test(test_file_lines_and_numbers),
        cmocka_unit_test(test_file_is_replaced_with_its_mode),
        cmocka_unit_test(test_file_write_fails_in_words),
        cmocka_unit_test(test_file_write_follows_no_link_that_someone_planted),
        cmocka_unit_test(test_dir_make_makes_what_is_missing),
        cmocka_unit_test(test_path_join),
        cmocka_unit_test(test_helper_is_found_beside_this_program),
    };

    return cmocka_run_group_tests(tests, make_scratch, drop_scratch);
}
