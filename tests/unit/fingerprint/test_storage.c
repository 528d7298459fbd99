/* memory, cgroup, storage, volumes, and the mount table they read */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/parse.h"
#include "base/vec.h"
#include "fingerprint/mounts.h"
#include "fingerprint/rows.h"
#include "tests/support/probe_ctx.h"

static const char *attr(const struct fp *fp, const char *key)
{
    return str_or_empty(strmap_get(&fp->attributes, key));
}

/* --- memory --- */

static void test_memory_of_the_configuration(void **state)
{
    struct probe_conf c = {.memory_total_mb = 2000};
    _cleanup_fp_ struct fp *fp = probe_once(&probe_memory, "", &c);

    (void)state;
    assert_string_equal(attr(fp, "memory.totalbytes"), "2097152000");
    assert_int_equal(fp->memory->memory_mb, 2000);
}

static void test_memory_that_cannot_be_read(void **state)
{
    static const char *const texts[] = {"", "MemTotal:\n", "MemTotal: x kB\n", "MemTotal: 0 kB\n",
                                        "MemTotal: 99999999999999999999 kB\n"};
    _cleanup_free_ char *root = probe_root();

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        _cleanup_fp_ struct fp *fp = NULL;

        probe_put(root, "proc/meminfo", texts[i]);
        fp = probe_once(&probe_memory, root, NULL);
        assert_false(fp->ok);
        assert_null(fp->memory);
        assert_true(str_starts(fp->error, "MemTotal in /proc/meminfo: "));
    }
}

/* --- cgroup --- */

static struct fp *cgroup_as(const char *root, unsigned euid)
{
    struct probe_conf c = {0};
    struct probe_ctx ctx = {.root = root, .conf = &c, .euid = euid};
    struct fp *fp = fp_new("cgroup");

    assert_int_equal(probe_cgroup.run(&ctx, fp), 0);
    return fp;
}

static void test_cgroup_v1_needs_root(void **state)
{
    _cleanup_fp_ struct fp *fp = cgroup_as("tests/data/hosts/vm-debian", 1000);

    (void)state;
    assert_string_equal(attr(fp, "os.cgroups.version"), "");
    assert_string_equal(probe_why(fp, "rights")->found, "the agent does not run as root");
}

static void test_cgroup_v2_without_root_needs_its_slice(void **state)
{
    _cleanup_free_ char *root = probe_root();

    (void)state;
    probe_put(root, "proc/self/mountinfo", "33 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
    probe_put(root, "sys/fs/cgroup/cgroup.controllers", "cpuset cpu io memory pids\n");
    {
        _cleanup_fp_ struct fp *fp = cgroup_as(root, geteuid() + 1);

        assert_string_equal(attr(fp, "os.cgroups.version"), "");
        assert_int_equal(probe_why(fp, "rights")->result, WHY_FAILED);
    }
    probe_put(root, "sys/fs/cgroup/nomad.slice/x", "");
    {
        /* the folder belongs to who runs the test */
        _cleanup_fp_ struct fp *fp = cgroup_as(root, geteuid());

        assert_string_equal(attr(fp, "os.cgroups.version"), "2");
    }
}

/* --- mounts --- */

static const char table[] = "28 1 8:2 / / rw,relatime shared:1 - ext4 /dev/sda2 rw\n"
                            "40 28 8:3 / /srv rw - xfs /dev/sdb1 rw\n"
                            "41 40 0:50 / /srv/with\\040blank rw - nfs4 host:/export rw\n"
                            "42 28 8:5 / /srv rw master:3 - btrfs /dev/mapper/srv rw\n"
                            "broken line\n"
                            "x 1 2 3 4 5 - a b c\n"
                            "43 1 1:1 / /cut rw -\n";

static void test_mounts_are_parsed(void **state)
{
    _cleanup_mounts_ struct mounts m = {0};

    (void)state;
    mounts_parse(table, &m);
    assert_int_equal(m.n, 4);
    assert_string_equal(m.v[2].point, "/srv/with blank");
    assert_string_equal(m.v[2].fstype, "nfs4");
    assert_string_equal(m.v[2].source, "host:/export");
    assert_string_equal(mounts_by_id(&m, 40)->source, "/dev/sdb1");
    assert_null(mounts_by_id(&m, 43));
}

static void test_mounts_by_path_takes_the_nearest_and_last(void **state)
{
    _cleanup_mounts_ struct mounts m = {0};

    (void)state;
    mounts_parse(table, &m);
    assert_int_equal(mounts_by_path(&m, "/var/lib")->id, 28);
    assert_int_equal(mounts_by_path(&m, "/")->id, 28);
    assert_int_equal(mounts_by_path(&m, "/srv")->id, 42); /* mounted over 40 */
    assert_int_equal(mounts_by_path(&m, "/srv/a")->id, 42);
    assert_int_equal(mounts_by_path(&m, "/srvx")->id, 28);
    assert_int_equal(mounts_by_path(&m, "/srv/with blank/b")->id, 41);
}

static void test_mounts_remote_kinds(void **state)
{
    (void)state;
    assert_true(mounts_is_remote("nfs4"));
    assert_true(mounts_is_remote("cifs"));
    assert_true(mounts_is_remote("fuse.sshfs"));
    assert_false(mounts_is_remote("ext4"));
    assert_false(mounts_is_remote("overlay"));
}

/* --- storage --- */

static void test_storage_is_that_of_the_alloc_dir(void **state)
{
    _cleanup_free_ char *dir = probe_root();
    struct probe_conf c = {.alloc_dir = xasprintf("%s/not/yet/there", dir)};
    _cleanup_fp_ struct fp *fp = probe_once(&probe_storage, "", &c);
    _cleanup_free_ char *mounts = NULL;
    struct statvfs vfs;
    uint64_t total = 0, free_bytes = 0;

    (void)state;
    assert_int_equal(statvfs(dir, &vfs), 0);
    assert_int_equal(parse_u64(attr(fp, "unique.storage.bytestotal"), &total), 0);
    assert_int_equal(parse_u64(attr(fp, "unique.storage.bytesfree"), &free_bytes), 0);
    assert_true(total - (uint64_t)vfs.f_blocks * vfs.f_frsize < 1024);
    assert_true(free_bytes <= total && free_bytes % 1024 == 0);
    assert_int_equal(fp->disk->disk_mb, total / 1048576);
    assert_int_equal(probe_why(fp, "alloc_dir")->result, WHY_SKIPPED);
    assert_non_null(strstr(probe_why(fp, "alloc_dir")->found, "not there yet, measured at "));
    /* in a changed root whose own mount cannot be seen there is nothing to name it by */
    assert_int_equal(file_read("/proc/self/mountinfo", READ_CAP_PROC, &mounts, NULL), 0);
    if (strstr(mounts, " / / "))
        assert_string_not_equal(attr(fp, "unique.storage.volume"), "");
    ops_clear(&desc_probe_conf, &c);
}

static void test_storage_total_of_the_configuration(void **state)
{
    struct probe_conf c = {.alloc_dir = xstrdup("/"), .disk_total_mb = 1234};
    _cleanup_fp_ struct fp *fp = probe_once(&probe_storage, "", &c);

    (void)state;
    assert_string_equal(attr(fp, "unique.storage.bytestotal"), "1293942784");
    assert_int_equal(fp->disk->disk_mb, 1234);
    ops_clear(&desc_probe_conf, &c);
}

static void test_storage_volume_below_a_root(void **state)
{
    _cleanup_free_ char *root = probe_root();
    struct probe_conf c = {.alloc_dir = xstrdup("/srv/alloc")};
    _cleanup_fp_ struct fp *fp = NULL;

    (void)state;
    probe_put(root, "proc/self/mountinfo", table);
    probe_put(root, "srv/alloc/x", "");
    fp = probe_once(&probe_storage, root, &c);
    assert_string_equal(attr(fp, "unique.storage.volume"), "/dev/mapper/srv");
    assert_string_equal(strmap_get(&fp->local, "storage.fstype"), "btrfs");
    ops_clear(&desc_probe_conf, &c);
}

static void test_storage_of_an_alloc_dir_that_is_no_folder(void **state)
{
    _cleanup_free_ char *dir = probe_root();
    struct probe_conf c = {.alloc_dir = xasprintf("%s/file/alloc", dir)};
    _cleanup_fp_ struct fp *fp = NULL;

    (void)state;
    probe_put(dir, "file", "x");
    fp = probe_once(&probe_storage, "", &c);
    assert_true(fp->ok); /* its size is known all the same */
    assert_int_equal(probe_why(fp, "alloc_dir")->result, WHY_FAILED);
    assert_string_equal(probe_why(fp, "alloc_dir")->found, "Not a directory");
    ops_clear(&desc_probe_conf, &c);
}

static void test_storage_without_any_folder(void **state)
{
    struct probe_conf c = {.alloc_dir = xstrdup("nowhere/relative")};
    _cleanup_fp_ struct fp *fp = probe_once(&probe_storage, "", &c);

    (void)state;
    assert_false(fp->ok);
    assert_string_equal(fp->error, "alloc_dir nowhere/relative: No such file or directory");
    ops_clear(&desc_probe_conf, &c);
}

/* --- volumes --- */

static void add_volume(struct probe_conf *c, const char *name, const char *path, bool read_only)
{
    struct probe_volume *v = vec_add(&c->volumes, &c->n_volumes);

    v->name = xstrdup(name);
    v->path = xstrdup(path);
    v->read_only = read_only;
}

static void test_volumes_that_are_there_are_published(void **state)
{
    _cleanup_free_ char *dir = probe_root();
    struct probe_conf c = {0};
    _cleanup_fp_ struct fp *fp = NULL;

    (void)state;
    add_volume(&c, "certs", dir, true);
    add_volume(&c, "all", "/", false);
    fp = probe_once(&probe_volumes, "", &c);
    assert_int_equal(fp->n_host_volumes, 2);
    assert_string_equal(fp->host_volumes[0].key, "all");
    assert_string_equal(fp->host_volumes[1].name, "certs");
    assert_string_equal(fp->host_volumes[1].path, dir);
    assert_true(fp->host_volumes[1].read_only);
    assert_int_equal(probe_why(fp, "host_volume.certs")->result, WHY_OK);
    ops_clear(&desc_probe_conf, &c);
}

/* Nomad's client would not start */
static void test_volumes_that_are_not_are_told(void **state)
{
    struct probe_conf c = {0};
    _cleanup_fp_ struct fp *fp = NULL;

    (void)state;
    add_volume(&c, "gone", "/nonexistent/zz", false);
    add_volume(&c, "nopath", "", false);
    add_volume(&c, "", "/", false);
    add_volume(&c, "good", "/", false);
    fp = probe_once(&probe_volumes, "", &c);
    assert_true(fp->ok);
    assert_int_equal(fp->n_host_volumes, 1);
    assert_string_equal(probe_why(fp, "host_volume.gone")->found, "No such file or directory");
    assert_non_null(strstr(probe_why(fp, "host_volume.gone")->fix, "mkdir -p /nonexistent/zz"));
    assert_string_equal(probe_why(fp, "host_volume.nopath")->found,
                        "Missing path in host_volume config");
    assert_int_equal(probe_why(fp, "host_volume.")->result, WHY_FAILED);
    ops_clear(&desc_probe_conf, &c);
}

/* one volume of the row, as each is asked for by itself */
static void test_volumes_one_at_a_time(void **state)
{
    struct probe_conf c = {0};
    struct probe_ctx ctx = {.root = "", .conf = &c, .volume = "b"};
    _cleanup_fp_ struct fp *fp = fp_new("volumes:b"), *none = fp_new("volumes:d");

    (void)state;
    add_volume(&c, "a", "/", false);
    add_volume(&c, "b", "/nonexistent/zz", false);
    add_volume(&c, "c", "/", false);
    assert_int_equal(probe_volumes.run(&ctx, fp), 0);
    assert_int_equal(fp->n_host_volumes, 0);
    assert_int_equal(fp->n_whys, 1);
    assert_string_equal(probe_why(fp, "host_volume.b")->found, "No such file or directory");
    ctx.volume = "d";
    assert_int_equal(probe_volumes.run(&ctx, none), -ENOENT);
    assert_false(none->ok);
    ops_clear(&desc_probe_conf, &c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_of_the_configuration),
        cmocka_unit_test(test_memory_that_cannot_be_read),
        cmocka_unit_test(test_cgroup_v1_needs_root),
        cmocka_unit_test(test_cgroup_v2_without_root_needs_its_slice),
        cmocka_unit_test(test_mounts_are_parsed),
        cmocka_unit_test(test_mounts_by_path_takes_the_nearest_and_last),
        cmocka_unit_test(test_mounts_remote_kinds),
        cmocka_unit_test(test_storage_is_that_of_the_alloc_dir),
        cmocka_unit_test(test_storage_total_of_the_configuration),
        cmocka_unit_test(test_storage_volume_below_a_root),
        cmocka_unit_test(test_storage_of_an_alloc_dir_that_is_no_folder),
        cmocka_unit_test(test_storage_without_any_folder),
        cmocka_unit_test(test_volumes_that_are_there_are_published),
        cmocka_unit_test(test_volumes_that_are_not_are_told),
        cmocka_unit_test(test_volumes_one_at_a_time),
    };

    return cmocka_run_group_tests_name("fingerprint/storage", tests, NULL, NULL);
}
