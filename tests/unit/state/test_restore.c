#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "state/image.h"
#include "state/nodes.h"
#include "state/restore.h"
#include "tests/support/fake_persist.h"
#include "tests/support/make_node.h"

struct fixture {
    struct loop *loop;
    struct fake_disk *disk;
    struct store *store;
    int r, woken;
    uint64_t index;
};

static void open_store(struct fixture *f)
{
    struct store_opts o = {.loop = f->loop, .take_persist = fake_persist_open(f->disk)};
    struct err e;

    assert_int_equal(store_open(&o, &f->store, &e), 0);
}

static int setup(void **state)
{
    struct fixture *f = xnew0(struct fixture);

    assert_int_equal(loop_new(&f->loop), 0);
    f->disk = fake_disk_new(f->loop);
    fake_disk_auto(f->disk, true);
    open_store(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    f->store = store_close(f->store);
    f->disk = fake_disk_free(f->disk);
    f->loop = loop_free(f->loop);
    free(f);
    return 0;
}

static int put(struct txn *t, void *arg, struct err *e)
{
    _cleanup_(node_freep) struct node *n = make_node(*(const uint64_t *)arg);
    struct node_item *it = NULL;

    n->create_index = n->modify_index = txn_index(t);
    assert_int_equal(node_item_from_node(n, &it, e), 0);
    txn_put_node(t, it);
    return 0;
}

static void put_done(void *arg, int r, uint64_t index, const struct err *e)
{
    (void)arg;
    (void)index;
    (void)e;
    assert_int_equal(r, 0);
}

static void settle(const struct fixture *f)
{
    for (int i = 0; i < 10; i++)
        assert_true(loop_turn(f->loop, 0) >= 0);
}

static void add(const struct fixture *f, uint64_t n)
{
    store_write(f->store, put, put_done, &n);
    settle(f);
}

/* the archive of now; owned by the caller */
static char *save(const struct fixture *f, size_t *ret_len)
{
    char path[] = "/tmp/test_restore_XXXXXX";
    _cleanup_close_ int fd = mkstemp(path);
    _cleanup_(image_freep) struct image *i = image_take(f->store, 1700000000123);
    uint8_t digest[ARCHIVE_DIGEST_BYTES];
    uint64_t bytes = 0;
    struct err e = {0};
    char *p;
    int r;

    assert_true(fd >= 0);
    (void)unlink(path);
    while ((r = image_write(i, fd, 1, digest, &bytes, &e)) > 0) {
    }
    assert_int_equal(r, 0);
    p = xcalloc(1, bytes);
    assert_int_equal(pread(fd, p, bytes, 0), (ssize_t)bytes);
    *ret_len = bytes;
    return p;
}

static int read_all(struct restore *r, const char *p, size_t n, size_t step, struct err *e)
{
    int code = 0;

    for (size_t at = 0; code == 0 && at < n; at += step)
        code = restore_read(r, p + at, MIN(step, n - at), e);
    return code < 0 ? code : restore_read_end(r, e);
}

static void on_replaced(void *arg, int r, uint64_t index, struct nodes *take_old,
                        const struct err *e)
{
    struct fixture *f = arg;

    (void)e;
    f->r = r;
    f->index = index;
    (void)nodes_free(take_old);
}

static void replace(struct fixture *f, const char *p, size_t n, size_t step)
{
    _cleanup_(restore_freep) struct restore *r = restore_new();
    struct store_content c;
    struct err e = {0};

    assert_int_equal(read_all(r, p, n, step, &e), 0);
    while (restore_gather(r, 2)) {
    }
    restore_take(r, &c);
    f->r = 1;
    store_replace(f->store, &c, on_replaced, f);
    settle(f);
}

static void on_watch(void *arg)
{
    ((struct fixture *)arg)->woken++;
}

static void test_content_comes_back_and_indexes_go_on(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *p = NULL;
    struct watch w = {.kind = WATCH_TABLE, .table = TABLE_NODES, .fn = on_watch, .arg = f};
    size_t n;

    for (uint64_t i = 1; i <= 5; i++)
        add(f, i);
    p = save(f, &n);
    for (uint64_t i = 6; i <= 8; i++)
        add(f, i);
    list_init(&w.link);
    store_watch(f->store, &w);
    replace(f, p, n, 7);
    assert_int_equal(f->r, 0);
    assert_int_equal(f->index, 9);
    assert_int_equal(store_index(f->store), 9);
    assert_int_equal(store_table_index(f->store, TABLE_NODES), 9);
    assert_int_equal(store_replaced_index(f->store), 9);
    assert_int_equal(store_node_count(f->store), 5);
    assert_int_equal(fake_disk_objects(f->disk), 5);
    assert_int_equal(fake_disk_index(f->disk), 9);
    assert_int_equal(f->woken, 1);
    f->store = store_close(f->store);
    open_store(f);
    assert_int_equal(store_replaced_index(f->store), 9);
}

static void test_secrets_are_those_of_the_content(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *p = NULL, *kept = NULL, *gone = NULL;
    struct uuid one = make_node_key(1), two = make_node_key(2);
    size_t n;

    add(f, 1);
    p = save(f, &n);
    add(f, 2);
    kept = xstrdup(store_node(f->store, &one)->secret_id);
    gone = xstrdup(store_node(f->store, &two)->secret_id);
    assert_non_null(store_node_of_secret(f->store, gone));
    replace(f, p, n, 4096);
    assert_null(store_node_of_secret(f->store, gone));
    assert_ptr_equal(store_node_of_secret(f->store, kept), store_node(f->store, &one));
}

static void test_a_node_newer_than_the_archive_is_refused(void **state)
{
    char path[] = "/tmp/test_restore_XXXXXX";
    _cleanup_close_ int fd = mkstemp(path);
    const struct node_item *it = make_node_item(1, UINT64_MAX, 0);
    struct archive_info info = {.index = 7, .nodes = 1};
    _cleanup_(archive_writer_freep) struct archive_writer *w = NULL;
    _cleanup_(restore_freep) struct restore *r = restore_new();
    uint8_t digest[ARCHIVE_DIGEST_BYTES];
    _cleanup_free_ char *p = NULL;
    uint64_t bytes = 0;
    struct err e = {0};

    (void)state;
    (void)unlink(path);
    info.state_bytes = archive_state_bytes(&info, it->packed_len);
    assert_int_equal(archive_create(fd, &info, &w, &e), 0);
    assert_int_equal(archive_add_node(w, it->packed, it->packed_len, &e), 0);
    assert_int_equal(archive_finish(w, digest, &bytes, &e), 0);
    p = xcalloc(1, bytes);
    assert_int_equal(pread(fd, p, bytes, 0), (ssize_t)bytes);
    assert_true(read_all(r, p, bytes, 4096, &e) < 0);
    assert_non_null(strstr(e.text, "is newer than the archive"));
    (void)node_item_unref((struct node_item *)(uintptr_t)it);
}

static void test_failed_commit_leaves_the_old_state(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *p = NULL;
    size_t n;

    add(f, 1);
    p = save(f, &n);
    add(f, 2);
    fake_disk_fail(f->disk, -5, "broken");
    replace(f, p, n, 4096);
    assert_int_equal(f->r, -5);
    assert_int_equal(store_node_count(f->store), 2);
    assert_int_equal(store_index(f->store), 2);
    fake_disk_fail(f->disk, 0, NULL);
}

static void test_every_cut_and_every_flipped_bit_is_refused(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *p = NULL;
    size_t n, refused = 0;

    add(f, 1);
    add(f, 2);
    p = save(f, &n);
    for (size_t cut = 0; cut < n; cut += 13) {
        _cleanup_(restore_freep) struct restore *r = restore_new();
        struct err e = {0};

        assert_true(read_all(r, p, cut, 4096, &e) < 0);
        assert_true(*e.text);
    }
    for (size_t at = 10; at < n; at += 5) { /* behind gzip's own head, which says nothing of use */
        _cleanup_(restore_freep) struct restore *r = restore_new();
        struct err e = {0};

        p[at] ^= 16;
        /* another way to deflate the same bytes is none the worse */
        if (read_all(r, p, n, 4096, &e) == 0)
            assert_int_equal(restore_info(r)->nodes, 2);
        else
            refused++;
        p[at] ^= 16;
    }
    assert_true(refused > (n - 10) / 5 - 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_content_comes_back_and_indexes_go_on, setup, teardown),
        cmocka_unit_test_setup_teardown(test_secrets_are_those_of_the_content, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_node_newer_than_the_archive_is_refused, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_failed_commit_leaves_the_old_state, setup, teardown),
        cmocka_unit_test_setup_teardown(test_every_cut_and_every_flipped_bit_is_refused, setup,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
