/* Reading apart from meaning: what is read, in which order, and what cannot be. */
#include "conf/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/str.h"
#include "codec/mp.h"
#include "codec/ops.h"
#include "conf/args.h"

struct fixture {
    char *dir;
    struct conf_files files;
};

static char **steps; /* that were told */
static size_t n_steps;

static int setup(void **state)
{
    struct fixture *f = xnew0(struct fixture);

    f->dir = xasprintf("%s/files-XXXXXX", getenv("TMPDIR"));
    assert_non_null(mkdtemp(f->dir));
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    ops_clear(&desc_conf_files, &f->files);
    strv_done(&steps, &n_steps);
    free(f->dir);
    free(f);
    return 0;
}

static char *in(const struct fixture *f, const char *name)
{
    return xasprintf("%s/%s", f->dir, name);
}

static void put(const struct fixture *f, const char *name, const char *text, size_t n)
{
    _cleanup_free_ char *path = in(f, name);

    assert_int_equal(file_write_atomic(path, text, n, 0600, NULL), 0);
}

static void on_step(const char *path)
{
    strv_add(&steps, &n_steps, path);
}

static void read_all(struct fixture *f, const char *path)
{
    ops_clear(&desc_conf_files, &f->files);
    conf_files_read(&path, 1, on_step, &f->files);
}

static void is(const struct fixture *f, size_t i, const char *name, const char *text)
{
    _cleanup_free_ char *path = in(f, name);
    const struct conf_file *file = &f->files.v[i];

    assert_true(i < f->files.n);
    assert_string_equal(file->given, f->dir);
    assert_string_equal(file->path, path);
    assert_string_equal(str_or_empty(file->error), "");
    assert_int_equal(file->text.n, strlen(text));
    assert_memory_equal(file->text.p, text, file->text.n);
}

static void test_a_folder_in_byte_order_without_what_editors_leave(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *sub = in(f, "c.hcl"), *first = in(f, "B.json");

    put(f, "a.hcl", "a = 1\n", 6);
    put(f, "B.json", "{}", 2);
    put(f, "b.hcl", "", 0);
    put(f, ".#a.hcl", "x", 1);
    put(f, "#a.hcl#", "x", 1);
    put(f, "a.hcl~", "x", 1);
    put(f, "notes", "x", 1);
    assert_int_equal(mkdir(sub, 0700), 0);
    read_all(f, f->dir);
    assert_int_equal(f->files.n, 3);
    is(f, 0, "B.json", "{}");
    is(f, 1, "a.hcl", "a = 1\n");
    is(f, 2, "b.hcl", "");
    /* each is named before it is touched */
    assert_string_equal(steps[0], f->dir);
    assert_string_equal(steps[1], first);
    assert_true(strv_has(steps, n_steps, sub));
}

static void test_what_cannot_be_read_is_told(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *link = in(f, "a.hcl"), *gone = in(f, "gone"), *want = NULL, *empty = NULL;

    assert_int_equal(symlink("nowhere", link), 0);
    put(f, "b.hcl", "b = 1", 5);
    read_all(f, f->dir);
    assert_int_equal(f->files.n, 2);
    want = xasprintf("%s: No such file or directory", link);
    assert_string_equal(f->files.v[0].error, want);
    assert_null(f->files.v[0].text.p);
    is(f, 1, "b.hcl", "b = 1"); /* the others are read */
    read_all(f, gone);
    free(want);
    want = xasprintf("stat %s: No such file or directory", gone);
    assert_string_equal(f->files.v[0].error, want);
    empty = in(f, "empty");
    assert_int_equal(mkdir(empty, 0700), 0);
    read_all(f, empty);
    assert_int_equal(f->files.n, 1);
    assert_string_equal(str_or_empty(f->files.v[0].path), "");
    assert_string_equal(str_or_empty(f->files.v[0].error), "");
}

static void test_ceilings_of_one_file_and_of_all(void **state)
{
    _cleanup_free_ char *large = xcalloc(1, READ_CAP_CONFIG + 1), *path = NULL, *want = NULL;
    struct fixture *f = *state;
    size_t n;

    path = in(f, "z.hcl");
    memset(large, ' ', READ_CAP_CONFIG + 1);
    put(f, "z.hcl", large, READ_CAP_CONFIG + 1);
    read_all(f, path);
    want = xasprintf("%s: larger than 4 MiB", path);
    assert_string_equal(f->files.v[0].error, want);
    for (int i = 0; i < 6; i++) {
        char name[16];

        (void)snprintf(name, sizeof(name), "%d.hcl", i);
        put(f, name, large, READ_CAP_CONFIG);
    }
    read_all(f, f->dir);
    n = f->files.n;
    assert_int_equal(n, 4); /* three, and the one that is too much; no more is read */
    assert_int_equal(f->files.v[2].text.n, READ_CAP_CONFIG);
    free(want);
    want = xasprintf("%s/3.hcl: all files together are larger than 16 MiB", f->dir);
    assert_string_equal(f->files.v[3].error, want);
    assert_null(f->files.v[3].text.p);
}

/* the way from a child: what is made of the bytes is the same */
static void test_packed_files_mean_what_they_meant(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *path = in(f, "a.hcl");
    char *argv[] = {(char *)(uintptr_t) "picketd", (char *)(uintptr_t) "-config", f->dir,
                    (char *)(uintptr_t) "-node-class=flag", NULL};
    _cleanup_(conf_args_freep) struct conf_args *args = NULL;
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 20);
    struct conf_files other = {0};
    const char *text = "data_dir = \"/d\"\nclient { node_class = \"file\" meta { a = 1 } }";
    struct conf_report report = {0};
    struct conf c = {0};
    struct err e = {0};

    put(f, "a.hcl", text, strlen(text));
    put(f, "b.hcl", "", 0);
    read_all(f, f->dir);
    mp_encode(&b, &desc_conf_files, &f->files);
    assert_int_equal(mp_decode(&desc_conf_files, b.p, b.len, &other, &e), 0);
    assert_true(ops_equal(&desc_conf_files, &other, &f->files));
    assert_int_equal(unlink(path), 0); /* no file is needed any more */
    assert_int_equal(conf_args_parse(4, argv, CONF_CLIENT, &args, &e), 0);
    if (conf_args_load_files(args, &other, &c, &report) < 0)
        fail_msg("%s", report.errors[0]);
    assert_string_equal(c.client.node_class, "flag");
    assert_string_equal(strmap_get(&c.client.meta, "a"), "1");
    assert_int_equal(c.n_files, 2);
    assert_string_equal(c.files[0], path);
    conf_done(&c);
    conf_report_done(&report);
    ops_clear(&desc_conf_files, &other);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_a_folder_in_byte_order_without_what_editors_leave),
        T(test_what_cannot_be_read_is_told),
        T(test_ceilings_of_one_file_and_of_all),
        T(test_packed_files_mean_what_they_meant),
    };

    return cmocka_run_group_tests_name("conf/files", tests, NULL, NULL);
}
