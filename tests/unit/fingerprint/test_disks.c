/* Which mounted file systems are told, in which order, and what their figures are. */
#include "fingerprint/disks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/str.h"
#include "base/vec.h"
#include "tests/support/probe_ctx.h"

struct seen {
    char **points; /* in the order told; "" = the folder of allocations */
    size_t n;
    struct host_disk_stats last;
};

static void see(void *arg, const struct host_disk_stats *s)
{
    struct seen *x = arg;

    strv_add(&x->points, &x->n, str_or_empty(s->mountpoint));
    x->last = *s; /* figures only: its texts are gone */
}

static void put(const char *root, const char *name, const char *text)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", root, name);

    assert_int_equal(file_write_atomic(path, text, strlen(text), 0644, NULL), 0);
}

static char *make_root(const char *mountinfo_name, const char *mountinfo)
{
    static const char *const folders[] = {"proc/1", "proc/self", "data", "remote", "alloc"};
    char *root = probe_root();

    for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
        _cleanup_free_ char *path = xasprintf("%s/%s", root, folders[i]);

        assert_int_equal(dir_make(path, 0755, NULL), 0);
    }
    put(root, "proc/filesystems", "nodev\tproc\nnodev\ttmpfs\n\text4\n\tfuseblk\nnodev\tnfs\n");
    put(root, mountinfo_name, mountinfo);
    return root;
}

#define MOUNTS                                                                                     \
    "20 1 0:3 / /proc rw - proc proc rw\n"                                                         \
    "21 1 8:9 / /remote rw - fuseblk /dev/r rw\n"                                                  \
    "22 1 8:1 / / rw - ext4 /dev/a rw\n"                                                           \
    "23 1 8:2 / /data rw - ext4 /dev/b rw\n"                                                       \
    "24 1 0:9 / /nfs rw - nfs host:/x rw\n"                                                        \
    "25 1 8:3 / /not\\040there rw - ext4 /dev/c rw\n"                                              \
    "26 1 0:7 / /data rw - ext4 none rw\n"

static void test_disks_of_the_host_in_order(void **state)
{
    _cleanup_free_ char *root = make_root("proc/1/mountinfo", MOUNTS);
    struct probe_ctx ctx = {.root = root};
    struct seen x = {0};

    (void)state;
    assert_int_equal(disks_read(&ctx, "/alloc", see, &x), 0);
    assert_int_equal(x.n, 4);
    assert_string_equal(x.points[0], "/");
    assert_string_equal(x.points[1], "/data");
    assert_string_equal(x.points[2], "/remote"); /* may hang: behind the others */
    assert_string_equal(x.points[3], "");
    strv_done(&x.points, &x.n);
}

static void test_own_table_when_the_hosts_cannot_be_read(void **state)
{
    _cleanup_free_ char *root = make_root("proc/self/mountinfo", MOUNTS);
    struct probe_ctx ctx = {.root = root};
    struct seen x = {0};

    (void)state;
    assert_int_equal(disks_read(&ctx, "/alloc", see, &x), 0);
    assert_int_equal(x.n, 4);
    strv_done(&x.points, &x.n);
}

static void test_no_table_is_an_error(void **state)
{
    _cleanup_free_ char *root = make_root("proc/filesystems", "\text4\n");
    struct probe_ctx ctx = {.root = root};
    struct seen x = {0};

    (void)state;
    assert_true(disks_read(&ctx, "/alloc", see, &x) < 0);
    assert_int_equal(x.n, 0);
}

static void test_folder_that_is_not_there_is_left_out(void **state)
{
    _cleanup_free_ char *root = make_root("proc/1/mountinfo", "");
    struct probe_ctx ctx = {.root = root};
    struct seen x = {0};

    (void)state;
    put(root, "proc/self/mountinfo", "20 1 0:3 / /proc rw - proc proc rw\n");
    assert_int_equal(disks_read(&ctx, "/nowhere", see, &x), 0);
    assert_int_equal(x.n, 0);
}

static void test_figures_are_those_of_the_file_system(void **state)
{
    _cleanup_free_ char *root = make_root("proc/1/mountinfo", "20 1 0:3 / /proc rw - proc p rw\n");
    _cleanup_free_ char *alloc = xasprintf("%s/alloc", root);
    struct probe_ctx ctx = {.root = root};
    struct seen x = {0};
    struct statvfs v;

    (void)state;
    assert_int_equal(disks_read(&ctx, "/alloc", see, &x), 0);
    assert_int_equal(statvfs(alloc, &v), 0);
    assert_int_equal(x.last.size, v.f_blocks * v.f_bsize);
    assert_true(x.last.used <= x.last.size);
    assert_true(x.last.used_percent >= 0 && x.last.used_percent <= 100);
    assert_true(x.last.inodes_used_percent >= 0 && x.last.inodes_used_percent <= 100);
    strv_done(&x.points, &x.n);
}

static void test_there_is_a_limit(void **state)
{
    _cleanup_buf_ struct buf b = BUF_INIT(MIB);
    _cleanup_free_ char *root = NULL;
    struct probe_ctx ctx = {0};
    struct seen x = {0};

    (void)state;
    for (int i = 0; i < DISKS_MAX + 50; i++)
        buf_printf(&b, "%d 1 8:1 / / rw - ext4 /dev/a rw\n", i + 10);
    root = make_root("proc/1/mountinfo", buf_str(&b));
    ctx.root = root;
    assert_int_equal(disks_read(&ctx, "/alloc", see, &x), 0);
    assert_int_equal(x.n, DISKS_MAX + 1);
    strv_done(&x.points, &x.n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_disks_of_the_host_in_order),
        cmocka_unit_test(test_own_table_when_the_hosts_cannot_be_read),
        cmocka_unit_test(test_no_table_is_an_error),
        cmocka_unit_test(test_folder_that_is_not_there_is_left_out),
        cmocka_unit_test(test_figures_are_those_of_the_file_system),
        cmocka_unit_test(test_there_is_a_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
