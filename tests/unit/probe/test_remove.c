#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/str.h"
#include "codec/js.h"
#include "codec/ops.h"
#include "probe/remove.h"

struct world {
    char *top, *below, *outside;
    struct answer_delete answer;
    struct err e;
};

static char *join(const char *dir, const char *name)
{
    return xasprintf("%s/%s", dir, name);
}

static void make_dir(const char *dir, const char *name)
{
    _cleanup_free_ char *path = join(dir, name);

    assert_int_equal(mkdir(path, 0755), 0);
}

static void make_file(const char *dir, const char *name)
{
    _cleanup_free_ char *path = join(dir, name);

    assert_int_equal(file_write_atomic(path, "x", 1, 0644, NULL), 0);
}

static bool there(const char *dir, const char *name)
{
    _cleanup_free_ char *path = join(dir, name);
    struct stat st;

    return lstat(path, &st) == 0;
}

static int setup(void **state)
{
    struct world *w = xnew0(struct world);

    w->top = xasprintf("%s/remove-XXXXXX", getenv("TMPDIR"));
    assert_non_null(mkdtemp(w->top));
    make_dir(w->top, "allocs");
    make_dir(w->top, "outside");
    w->below = join(w->top, "allocs");
    w->outside = join(w->top, "outside");
    make_file(w->outside, "precious");
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    ops_clear(&desc_answer_delete, &w->answer);
    free(w->top);
    free(w->below);
    free(w->outside);
    free(w);
    return 0;
}

static int del(struct world *w, const char *name)
{
    _cleanup_free_ char *path = join(w->below, name);

    ops_clear(&desc_answer_delete, &w->answer);
    return remove_tree(w->below, path, &w->answer, &w->e);
}

static void make_tree(struct world *w)
{
    make_dir(w->below, "a");
    make_dir(w->below, "a/b");
    make_dir(w->below, "a/b/c");
    make_file(w->below, "a/f");
    make_file(w->below, "a/b/c/f");
}

static void test_deletes_a_tree_and_counts(void **state)
{
    struct world *w = *state;

    make_tree(w);
    make_dir(w->below, "other");
    assert_int_equal(del(w, "a"), 0);
    assert_int_equal(w->answer.deleted, 5);
    assert_int_equal(w->answer.n_kept, 0);
    assert_false(there(w->below, "a"));
    assert_true(there(w->below, "other"));
}

static void test_what_is_not_there_is_deleted_already(void **state)
{
    struct world *w = *state;

    assert_int_equal(del(w, "a"), 0);
    assert_int_equal(w->answer.deleted, 0);
    assert_int_equal(del(w, "a/b/c"), 0);
    assert_int_equal(w->answer.n_kept, 0);
}

static void test_a_file_and_a_deeper_path(void **state)
{
    struct world *w = *state;

    make_tree(w);
    assert_int_equal(del(w, "a/b/c/f"), 0);
    assert_int_equal(w->answer.deleted, 1);
    assert_int_equal(del(w, "a//b/"), 0);
    assert_int_equal(w->answer.deleted, 2);
    assert_true(there(w->below, "a/f"));
}

static void test_links_are_deleted_and_not_followed(void **state)
{
    struct world *w = *state;
    _cleanup_free_ char *link = join(w->below, "a/link"), *fifo = join(w->below, "a/fifo");

    make_tree(w);
    assert_int_equal(symlink(w->outside, link), 0);
    assert_int_equal(mkfifo(fifo, 0600), 0); /* opening it would wait for a writer */
    assert_int_equal(del(w, "a"), 0);
    assert_int_equal(w->answer.deleted, 7);
    assert_true(there(w->outside, "precious"));
}

static void test_a_link_on_the_way_is_refused(void **state)
{
    struct world *w = *state;
    _cleanup_free_ char *link = join(w->below, "link");

    assert_int_equal(symlink(w->outside, link), 0);
    assert_true(del(w, "link/precious") < 0);
    assert_true(there(w->outside, "precious"));
    assert_int_equal(del(w, "link"), 0); /* the link itself */
    assert_int_equal(w->answer.deleted, 1);
    assert_true(there(w->outside, "precious"));
}

static void test_the_folder_itself_may_be_behind_a_link(void **state)
{
    struct world *w = *state;
    _cleanup_free_ char *link = join(w->top, "link"), *path = join(link, "a");

    make_tree(w);
    assert_int_equal(symlink(w->below, link), 0);
    assert_int_equal(remove_tree(link, path, &w->answer, &w->e), 0);
    assert_false(there(w->below, "a"));
}

static void refused(struct world *w, const char *below, const char *path)
{
    assert_true(remove_tree(below, path, &w->answer, &w->e) < 0);
    assert_string_not_equal(w->e.text, "");
    assert_true(there(w->outside, "precious"));
    assert_true(there(w->below, "a/f"));
}

static void test_nothing_outside_is_touched(void **state)
{
    struct world *w = *state;
    _cleanup_free_ char *dots = join(w->below, "../outside"), *dot = join(w->below, "."),
                        *deep = join(w->below, "a/../../outside"), *slash = join(w->below, ""),
                        *near = xasprintf("%sx/a", w->below), *gone = join(w->top, "gone"),
                        *in_gone = join(gone, "a");

    make_tree(w);
    refused(w, w->below, dots);
    refused(w, w->below, deep);
    refused(w, w->below, dot);
    refused(w, w->below, slash);
    refused(w, w->below, w->below);
    refused(w, w->below, near);
    refused(w, w->below, w->outside);
    refused(w, w->below, "a");
    refused(w, "", "/a");
    refused(w, "/", w->outside);
    refused(w, "allocs", "allocs/a");
    refused(w, gone, in_gone);
}

/* n folders inside each other, the last one with a file and that mode; returns the last one */
static int make_chain(int at, const char *name, int n, mode_t mode)
{
    int fd = dup(at), next;

    for (int i = 0; i < n; i++) {
        assert_int_equal(mkdirat(fd, name, 0755), 0);
        next = openat(fd, name, O_PATH | O_DIRECTORY);
        assert_true(next >= 0);
        (void)close(fd);
        fd = next;
    }
    next = openat(fd, "file", O_WRONLY | O_CREAT, 0600);
    assert_true(next >= 0);
    (void)close(next);
    assert_int_equal(fchmodat(fd, ".", mode, 0), 0);
    return fd;
}

static void test_folders_far_inside_each_other(void **state)
{
    struct world *w = *state;
    int at = open(w->below, O_PATH | O_DIRECTORY), deep, other;

    deep = make_chain(at, "d", 1000, 0755);
    assert_int_equal(symlinkat(w->outside, deep, "link"), 0);
    for (int i = 0; i < 3; i++) { /* branches, each too deep as well */
        char name[] = {(char)('x' + i), 0};

        (void)close(make_chain(deep, name, 500, 0755));
    }
    (void)close(deep);
    make_dir(w->below, "d/.removing-0"); /* names that are taken */
    make_file(w->below, "d/.removing-0/f");
    make_file(w->below, "d/.removing-1");
    other = make_chain(at, "other", 2, 0755);
    assert_int_equal(del(w, "d"), 0);
    assert_int_equal(w->answer.n_kept, 0);
    assert_int_equal(w->answer.deleted, 1000 + 1 + 1 + 3 * 501 + 3);
    assert_false(there(w->below, "d"));
    assert_true(there(w->below, "other/other/file"));
    assert_true(there(w->outside, "precious"));
    (void)close(other);
    (void)close(at);
}

/* whether modes of files count for root too; no difference for others */
static void override_modes(bool on)
{
    static const cap_value_t v[] = {CAP_DAC_OVERRIDE};
    cap_t caps = cap_get_proc();
    cap_flag_value_t may = CAP_CLEAR;

    assert_non_null(caps);
    assert_int_equal(cap_get_flag(caps, v[0], CAP_PERMITTED, &may), 0);
    if (may == CAP_SET) {
        assert_int_equal(cap_set_flag(caps, CAP_EFFECTIVE, 1, v, on ? CAP_SET : CAP_CLEAR), 0);
        assert_int_equal(cap_set_proc(caps), 0);
    }
    (void)cap_free(caps);
}

/* what the owner of a tree calls its files does not make the answer too long to be read */
static void test_long_names_are_cut(void **state)
{
    _cleanup_buf_ struct buf b = BUF_INIT(16 * MIB);
    struct world *w = *state;
    int at = open(w->below, O_PATH | O_DIRECTORY), deep;
    char name[256];

    memset(name, 0xe4, sizeof(name) - 1);
    name[255] = 0;
    deep = make_chain(at, name, 400, 0555);
    override_modes(false);
    assert_int_equal(del(w, name), 0);
    override_modes(true);
    assert_int_equal(w->answer.n_kept, 1); /* once, however many rounds it took */
    assert_non_null(strstr(w->answer.kept[0], "Permission denied"));
    assert_int_equal(fchmodat(deep, ".", 0755, 0), 0);
    (void)close(deep);
    (void)close(at);
    js_encode(&b, &desc_answer_delete, &w->answer, 0);
    assert_true(b.len * ANSWER_KEPT_MAX < JOB_OUTPUT_MAX);
    ops_clear(&desc_answer_delete, &w->answer);
    assert_int_equal(js_decode(&desc_answer_delete, buf_str(&b), b.len, &w->answer, &w->e), 0);
}

static void test_what_cannot_be_deleted_is_named(void **state)
{
    struct world *w = *state;

    make_tree(w);
    {
        _cleanup_free_ char *path = join(w->below, "a/b");

        assert_int_equal(chmod(path, 0555), 0);
        override_modes(false);
        assert_int_equal(del(w, "a"), 0);
        override_modes(true);
        assert_int_equal(chmod(path, 0755), 0);
    }
    assert_int_equal(w->answer.n_kept, 1);
    assert_non_null(strstr(w->answer.kept[0], "Permission denied"));
    assert_false(there(w->below, "a/f"));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_deletes_a_tree_and_counts),    T(test_what_is_not_there_is_deleted_already),
        T(test_a_file_and_a_deeper_path),     T(test_links_are_deleted_and_not_followed),
        T(test_a_link_on_the_way_is_refused), T(test_the_folder_itself_may_be_behind_a_link),
        T(test_nothing_outside_is_touched),   T(test_folders_far_inside_each_other),
        T(test_long_names_are_cut),           T(test_what_cannot_be_deleted_is_named),
    };

    return cmocka_run_group_tests_name("probe/remove", tests, NULL, NULL);
}
