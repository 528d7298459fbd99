#include "agent/identity.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/file.h"
#include "base/log.h"
#include "base/str.h"

#define ID     "f7476465-4d6e-c0de-26d0-e383c49be941"
#define SECRET "0123abcd-1111-2222-3333-444455556666"

struct folder {
    char *dir, *client_id, *secret_id;
};

static int setup(void **state)
{
    struct folder *f = xnew0(struct folder);
    const char *tmp = getenv("TMPDIR");

    f->dir = xasprintf("%s/identity-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(f->dir))
        return -1;
    f->client_id = xasprintf("%s/client-id", f->dir);
    f->secret_id = xasprintf("%s/secret-id", f->dir);
    log_set_level(LOG_LEVEL_OFF);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct folder *f = *state;
    _cleanup_free_ char *db = xasprintf("%s/state.db", f->dir);

    (void)unlink(f->client_id);
    (void)unlink(f->secret_id);
    (void)rmdir(f->client_id);
    (void)unlink(db);
    (void)rmdir(f->dir);
    free(f->dir);
    free(f->client_id);
    free(f->secret_id);
    free(f);
    return 0;
}

static void put_n(const char *path, const char *text, size_t n)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, n, file), n);
    assert_int_equal(fclose(file), 0);
}

static void put(const char *path, const char *text)
{
    put_n(path, text, strlen(text));
}

static char *get(const char *path)
{
    char *text = NULL;

    assert_int_equal(file_read(path, 65536, &text, NULL), 0);
    return text;
}

static int open_in(const char *dir, struct identity *id, struct err *e)
{
    return identity_open(&(struct identity_opts){.state_dir = dir, .no_host_uuid = true}, id, e);
}

static void test_new_folder_gets_ids_in_nomads_form(void **state)
{
    struct folder *f = *state;
    _cleanup_free_ char *deep = xasprintf("%s/a/b", f->dir), *mid = xasprintf("%s/a", f->dir);
    _cleanup_free_ char *id_path = xasprintf("%s/client-id", deep), *text = NULL;
    _cleanup_free_ char *secret_path = xasprintf("%s/secret-id", deep), *secret = NULL;
    struct identity id, again;
    struct err e = {0};
    struct stat st;

    assert_int_equal(open_in(deep, &id, &e), 0);
    assert_true(id.created);
    text = get(id_path);
    secret = get(secret_path);
    assert_string_equal(text, id.node_id); /* no newline */
    assert_string_equal(secret, id.secret_id);
    assert_string_not_equal(id.node_id, id.secret_id);
    assert_int_equal(stat(secret_path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(stat(id_path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(stat(deep, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    identity_done(&id);

    assert_int_equal(open_in(deep, &again, &e), 0);
    assert_false(again.created);
    assert_string_equal(again.node_id, text);
    assert_string_equal(again.secret_id, secret);
    identity_done(&again);
    (void)unlink(id_path);
    (void)unlink(secret_path);
    (void)rmdir(deep);
    (void)rmdir(mid);
}

static void test_written_forms_that_are_read(void **state)
{
    static const char *const forms[] = {
        ID, ID "\n", "  " ID "\r\n", "F7476465-4D6E-C0DE-26D0-E383C49BE941", "\t\n" ID " \n\n",
    };
    struct folder *f = *state;

    put(f->secret_id, SECRET "\n");
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        struct identity id;
        struct err e = {0};
        _cleanup_free_ char *kept = NULL;

        put(f->client_id, forms[i]);
        assert_int_equal(open_in(f->dir, &id, &e), 0);
        assert_string_equal(id.node_id, ID);
        assert_string_equal(id.secret_id, SECRET);
        assert_false(id.created);
        identity_done(&id);
        kept = get(f->client_id);
        assert_string_equal(kept, forms[i]); /* the file stays as it was */
    }
}

static void test_bad_content_is_named_and_kept(void **state)
{
    struct folder *f = *state;
    static char long_one[100000];
    static const struct {
        const char *text;
        size_t n;
    } bad[] = {
        {"garbage",                              7               },
        {"f7476465-4d6e-c0de-26d0-e383c49be94",  35              },
        {ID "0",                                 37              },
        {"f7476465x4d6e-c0de-26d0-e383c49be941", 36              },
        {"g7476465-4d6e-c0de-26d0-e383c49be941", 36              },
        {ID "\0",                                37              },
        {"\0\0\0\0\0\0\0\0\0\0\0\0",             12              },
        {" \0 ",                                 3               },
        {ID "\n" ID,                             73              },
        {long_one,                               sizeof(long_one)},
    };

    memset(long_one, 'x', sizeof(long_one));
    for (size_t k = 0; k < 2; k++) {
        for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
            const char *path = k ? f->secret_id : f->client_id;
            const char *other = k ? f->client_id : f->secret_id;
            _cleanup_free_ char *kept = NULL;
            struct identity id;
            struct err e = {0};
            size_t n;

            (void)unlink(other);
            put_n(path, bad[i].text, bad[i].n);
            assert_int_equal(open_in(f->dir, &id, &e), -EINVAL);
            assert_non_null(strstr(e.text, path));
            assert_non_null(strstr(e.text, "36 characters"));
            assert_null(strstr(e.text, "garbage")); /* a secret is not repeated */
            assert_int_equal(file_read(path, 200000, &kept, &n), 0);
            assert_int_equal(n, bad[i].n);
            assert_memory_equal(kept, bad[i].text, n);
            assert_int_equal(access(other, F_OK), -1); /* and nothing else was made */
        }
        (void)unlink(k ? f->secret_id : f->client_id);
    }
}

static void test_empty_files_are_filled(void **state)
{
    struct folder *f = *state;
    struct identity id;
    struct err e = {0};
    _cleanup_free_ char *text = NULL;

    put(f->client_id, "");
    put(f->secret_id, " \n");
    assert_int_equal(open_in(f->dir, &id, &e), 0);
    assert_true(id.created);
    text = get(f->client_id);
    assert_string_equal(text, id.node_id);
    identity_done(&id);
}

static void test_lost_secret_is_replaced_and_the_id_kept(void **state)
{
    struct folder *f = *state;
    struct identity id;
    struct err e = {0};

    put(f->client_id, ID);
    assert_int_equal(open_in(f->dir, &id, &e), 0);
    assert_string_equal(id.node_id, ID);
    assert_int_equal(strlen(id.secret_id), UUID_TEXT_LEN);
    assert_false(id.created);
    identity_done(&id);
}

static void test_folder_in_place_of_a_file(void **state)
{
    struct folder *f = *state;
    struct identity id;
    struct err e = {0};

    assert_int_equal(mkdir(f->client_id, 0700), 0);
    assert_int_equal(open_in(f->dir, &id, &e), -EISDIR);
    assert_non_null(strstr(e.text, f->client_id));
    assert_int_equal(access(f->secret_id, F_OK), -1);
}

static void test_file_in_place_of_the_folder(void **state)
{
    struct folder *f = *state;
    struct identity id;
    struct err e = {0};

    put(f->client_id, "x");
    assert_true(open_in(f->client_id, &id, &e) < 0);
    assert_non_null(strstr(e.text, f->client_id));
}

static void test_second_agent_is_told_who_is_there(void **state)
{
    struct folder *f = *state;
    _cleanup_free_ char *pid = xasprintf("pid %d", (int)getpid());
    struct identity one, two;
    struct err e = {0};

    assert_int_equal(open_in(f->dir, &one, &e), 0);
    assert_int_equal(open_in(f->dir, &two, &e), -EBUSY);
    assert_non_null(strstr(e.text, f->dir));
    assert_non_null(strstr(e.text, "another agent"));
    assert_non_null(strstr(e.text, pid));
    identity_done(&one);
    assert_int_equal(open_in(f->dir, &two, &e), 0);
    identity_done(&two);
}

static void test_running_nomad_is_respected(void **state)
{
    struct folder *f = *state;
    _cleanup_free_ char *db = xasprintf("%s/state.db", f->dir);
    struct identity id;
    struct err e = {0};
    FILE *file;

    put(db, "bolt");
    file = fopen(db, "r+");
    assert_non_null(file);
    assert_int_equal(flock(fileno(file), LOCK_EX | LOCK_NB), 0);
    assert_int_equal(open_in(f->dir, &id, &e), -EBUSY);
    assert_non_null(strstr(e.text, "Nomad"));
    assert_int_equal(flock(fileno(file), LOCK_UN), 0);
    assert_int_equal(open_in(f->dir, &id, &e), 0);
    assert_int_equal(flock(fileno(file), LOCK_EX | LOCK_NB), -1); /* and kept out afterwards */
    identity_done(&id);
    assert_int_equal(fclose(file), 0);
}

static void test_read_only_and_full_folders(void **state)
{
    static const struct {
        const char *options;
        unsigned long flags;
        int code;
        const char *text;
    } rows[] = {
        {"size=64k",            MS_RDONLY, -EROFS,  "Read-only file system"  },
        {"size=4k,nr_inodes=1", 0,         -ENOSPC, "No space left on device"},
    };
    struct folder *f = *state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct identity id;
        struct err e = {0};

        if (mount("tmpfs", f->dir, "tmpfs", rows[i].flags, rows[i].options) < 0)
            skip();
        assert_int_equal(open_in(f->dir, &id, &e), rows[i].code);
        assert_int_equal(umount(f->dir), 0);
        assert_non_null(strstr(e.text, f->dir));
        assert_non_null(strstr(e.text, rows[i].text));
    }
}

static void test_read_only_folder_with_ids_is_fine(void **state)
{
    struct folder *f = *state;
    struct identity id;
    struct err e = {0};

    if (mount("tmpfs", f->dir, "tmpfs", 0, "size=64k") < 0)
        skip();
    put(f->client_id, ID);
    put(f->secret_id, SECRET);
    assert_int_equal(mount("tmpfs", f->dir, "tmpfs", MS_REMOUNT | MS_RDONLY, "size=64k"), 0);
    assert_int_equal(open_in(f->dir, &id, &e), 0);
    assert_string_equal(id.node_id, ID);
    identity_done(&id);
    assert_int_equal(umount(f->dir), 0);
}

static void make_root(const char *root, const char *rest, const char *text)
{
    _cleanup_free_ char *path = path_join(root, rest), *folder = xstrdup(path);
    struct err e;

    *strrchr(folder, '/') = 0;
    assert_int_equal(dir_make(folder, 0755, &e), 0);
    put(path, text);
}

static void remove_root(const char *root)
{
    static const char *const paths[] = {
        "/sys/class/dmi/id/product_uuid",
        "/sys/class/dmi/id",
        "/sys/class/dmi",
        "/sys/class",
        "/sys",
        "/etc/machine-id",
        "/etc",
        "/proc/sys/kernel/random/boot_id",
        "/proc/sys/kernel/random",
        "/proc/sys/kernel",
        "/proc/sys",
        "/proc",
        "",
    };

    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        _cleanup_free_ char *path = xasprintf("%s%s", root, paths[i]);

        (void)remove(path);
    }
}

static void test_host_id_is_hashed_as_nomad_does(void **state)
{
    struct folder *f = *state;
    _cleanup_free_ char *root = xasprintf("%s/root", f->dir);
    char id[UUID_TEXT_LEN + 1], other[UUID_TEXT_LEN + 1];
    struct identity from_host;
    struct err e = {0};

    assert_int_equal(identity_from_host(root, id), -ENOENT);
    make_root(root, "/proc/sys/kernel/random/boot_id", "b61fd5a8-0000-4000-8000-0123456789ab\n");
    assert_int_equal(identity_from_host(root, other), 0);
    make_root(root, "/etc/machine-id", "3d1219c7c4c5404aaa1f6d2a48adfda4\n");
    assert_int_equal(identity_from_host(root, id), 0);
    assert_string_equal(id, "333a158e-0d38-e425-ad6a-b7db4732c648");
    assert_string_not_equal(id, other);
    /* the firmware's comes first, of either case */
    make_root(root, "/sys/class/dmi/id/product_uuid", "3D1219C7-C4C5-404A-AA1F-6D2A48ADFDA4\n");
    make_root(root, "/etc/machine-id", "ffffffffc4c5404aaa1f6d2a48adfda4\n");
    assert_int_equal(identity_from_host(root, id), 0);
    assert_string_equal(id, "333a158e-0d38-e425-ad6a-b7db4732c648");
    assert_int_equal(
        identity_open(&(struct identity_opts){.state_dir = f->dir, .root = root}, &from_host, &e),
        0);
    assert_string_equal(from_host.node_id, id);
    identity_done(&from_host);
    /* one that is no UUID: no id */
    make_root(root, "/sys/class/dmi/id/product_uuid", "Not Settable\n");
    assert_int_equal(identity_from_host(root, id), -ENOENT);
    remove_root(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_new_folder_gets_ids_in_nomads_form, setup, teardown),
        cmocka_unit_test_setup_teardown(test_written_forms_that_are_read, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_content_is_named_and_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(test_empty_files_are_filled, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lost_secret_is_replaced_and_the_id_kept, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_folder_in_place_of_a_file, setup, teardown),
        cmocka_unit_test_setup_teardown(test_file_in_place_of_the_folder, setup, teardown),
        cmocka_unit_test_setup_teardown(test_second_agent_is_told_who_is_there, setup, teardown),
        cmocka_unit_test_setup_teardown(test_running_nomad_is_respected, setup, teardown),
        cmocka_unit_test_setup_teardown(test_read_only_and_full_folders, setup, teardown),
        cmocka_unit_test_setup_teardown(test_read_only_folder_with_ids_is_fine, setup, teardown),
        cmocka_unit_test_setup_teardown(test_host_id_is_hashed_as_nomad_does, setup, teardown),
    };

    return cmocka_run_group_tests_name("agent/identity", tests, NULL, NULL);
}
