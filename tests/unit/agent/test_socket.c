/* agent/socket: where the unix socket is, and whose it may replace. */
#include "agent/socket.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"
#include "tests/support/check.h"

static char *name(const char *text)
{
    return xasprintf("%s/%s-%d.sock", getenv("TMPDIR"), text, (int)getpid());
}

static void test_where_it_is(void **state)
{
    static const struct {
        const char *runtime, *path;
    } rows[] = {
        {NULL,                    "/var/lib/p/agent.sock" },
        {"",                      "/var/lib/p/agent.sock" },
        {"/run/picket",           "/run/picket/agent.sock"},
        {"/run/picket:/run/more", "/run/picket/agent.sock"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_free_ char *path = socket_path(rows[i].runtime, "/var/lib/p");

        assert_string_equal(path, rows[i].path);
    }
}

static void test_anybody_may_connect(void **state)
{
    _cleanup_free_ char *path = name("open");
    _cleanup_close_ int fd = -1;
    struct err e = {0};
    struct stat st;

    (void)state;
    assert_int_equal(socket_open(path, &fd, &e), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0666);
    (void)unlink(path);
}

static void test_a_dead_ones_is_replaced_a_living_ones_is_not(void **state)
{
    _cleanup_free_ char *path = name("mine");
    int first = -1, second = -1, third = -1;
    struct err e = {0};

    (void)state;
    assert_int_equal(socket_open(path, &first, &e), 0);
    assert_int_equal(socket_open(path, &second, &e), -EADDRINUSE);
    assert_non_null(strstr(e.text, path));
    assert_int_equal(access(path, F_OK), 0);
    (void)fd_close(first); /* the file stays, as after a kill */
    assert_int_equal(socket_open(path, &third, &e), 0);
    (void)fd_close(third);
    (void)unlink(path);
}

static void test_what_is_no_socket_stays(void **state)
{
    _cleanup_free_ char *path = name("file"), *text = NULL;
    struct err e = {0};
    int fd = -1;
    FILE *f;

    (void)state;
    f = fopen(path, "we");
    assert_non_null(f);
    (void)fputs("precious", f);
    (void)fclose(f);
    assert_int_equal(socket_open(path, &fd, &e), -EADDRINUSE);
    assert_int_equal(file_read_line(path, &text), 0);
    assert_string_equal(text, "precious");
    (void)unlink(path);
}

static void test_paths_that_do_not_fit(void **state)
{
    char path[200];
    struct err e = {0};
    int fd = -1;

    (void)state;
    memset(path, 'x', sizeof(path));
    path[0] = '/';
    path[108] = 0;
    assert_int_equal(socket_open(path, &fd, &e), -ENAMETOOLONG);
    assert_non_null(strstr(e.text, "at most 107 characters"));
    assert_true(socket_open("/nonexistent/agent.sock", &fd, &e) < 0);
}

static void test_removing(void **state)
{
    _cleanup_free_ char *path = name("gone");
    _cleanup_close_ int fd = -1;
    struct err e = {0};

    (void)state;
    socket_remove(NULL);
    assert_int_equal(socket_open(path, &fd, &e), 0);
    socket_remove(xstrdup(path));
    assert_int_equal(access(path, F_OK), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_where_it_is),
        cmocka_unit_test(test_anybody_may_connect),
        cmocka_unit_test(test_a_dead_ones_is_replaced_a_living_ones_is_not),
        cmocka_unit_test(test_what_is_no_socket_stays),
        cmocka_unit_test(test_paths_that_do_not_fit),
        cmocka_unit_test(test_removing),
    };

    return cmocka_run_group_tests_name("agent/socket", tests, NULL, NULL);
}
