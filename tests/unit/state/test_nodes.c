#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#include "base/buf.h"
#include "base/rand.h"
#include "model/stub.h"
#include "state/nodes.h"
#include "tests/support/make_node.h"

static void put(struct nodes *t, uint64_t n, uint64_t index)
{
    nodes_put(t, make_node_item(n, index, 0));
}

static void test_nodes_empty_has_nothing(void **state)
{
    _cleanup_(nodes_freep) struct nodes *t = nodes_new();
    struct uuid key = make_node_key(1);
    size_t pos = 0;

    (void)state;
    assert_null(nodes_get(t, &key));
    assert_null(nodes_next(t, &key, 0, &pos));
    assert_false(nodes_delete(t, &key));
    assert_int_equal(nodes_count(t), 0);
}

static void test_nodes_put_replaces_by_id(void **state)
{
    _cleanup_(nodes_freep) struct nodes *t = nodes_new();
    struct uuid key = make_node_key(7);

    (void)state;
    put(t, 7, 1);
    put(t, 7, 2);
    assert_int_equal(nodes_count(t), 1);
    assert_int_equal(nodes_get(t, &key)->modify_index, 2);
}

/* random puts and deletes against a plain array; enough to split and empty chunks */
static void test_nodes_behaves_as_a_sorted_map(void **state)
{
    enum { IDS = 2000, STEPS = 30000 };
    _cleanup_(nodes_freep) struct nodes *t = nodes_new();
    static uint64_t model[IDS]; /* modify index; 0 = absent */
    size_t count = 0;

    (void)state;
    rand_seed(42);
    memset(model, 0, sizeof(model));
    for (uint64_t i = 1; i <= STEPS; i++) {
        uint64_t n = rand_below(IDS);
        struct uuid key = make_node_key(n);
        const struct node_item *it;

        if (rand_below(1000) < (i < STEPS / 2 ? 700 : 300)) {
            put(t, n, i);
            count += model[n] == 0;
            model[n] = i;
        } else {
            assert_int_equal(nodes_delete(t, &key), model[n] != 0);
            count -= model[n] != 0;
            model[n] = 0;
        }
        it = nodes_get(t, &key);
        assert_int_equal(it ? it->modify_index : 0, model[n]);
        assert_int_equal(nodes_count(t), count);
        if (i % 1000 == 0) {
            static const struct uuid all;
            size_t pos = 0;

            for (n = 0; n < IDS; n++) {
                if (model[n] == 0)
                    continue;
                it = nodes_next(t, &all, 0, &pos);
                assert_non_null(it);
                assert_int_equal(it->modify_index, model[n]);
            }
            assert_null(nodes_next(t, &all, 0, &pos));
        }
    }
    rand_seed(0);
}

static void test_nodes_next_keeps_to_the_prefix(void **state)
{
    _cleanup_(nodes_freep) struct nodes *t = nodes_new();
    struct uuid prefix = {
        .b = {0x00, 0x00, 0x02}
    };
    size_t pos = 0, seen = 0;
    const struct node_item *it;

    (void)state;
    for (uint64_t n = 0; n < 2000; n++)
        put(t, n, n + 1);
    while ((it = nodes_next(t, &prefix, 3, &pos))) {
        assert_int_equal(it->modify_index, 0x200 + seen + 1);
        seen++;
    }
    assert_int_equal(seen, 256);
    prefix.b[2] = 0x77;
    pos = 0;
    assert_null(nodes_next(t, &prefix, 3, &pos));
}

/* --- pinned lists --- */

enum { PINS = 6, IDS_PINNED = 700 };

/* a list and what was in the table when it was pinned */
struct pin {
    struct node_list l;
    uint64_t model[IDS_PINNED]; /* modify index; 0 = absent */
    struct uuid prefix;
    size_t bytes;
};

static void pin_check(const struct pin *p)
{
    struct node_list_at at = {0};
    const struct node_item *it;
    size_t n = 0;

    for (uint64_t id = 0; id < IDS_PINNED; id++) {
        struct uuid key = make_node_key(id);

        if (p->model[id] == 0 || memcmp(key.b, p->prefix.b, p->bytes) != 0)
            continue;
        it = node_list_next(&p->l, &at);
        assert_non_null(it);
        assert_memory_equal(it->key.b, key.b, UUID_BYTES);
        assert_int_equal(it->modify_index, p->model[id]);
        n++;
    }
    assert_null(node_list_next(&p->l, &at));
    assert_int_equal(p->l.n, n);
    assert_int_equal(at.n, n);
}

static void pin_take(struct pin *p, struct nodes *t, const uint64_t *model)
{
    memcpy(p->model, model, sizeof(p->model));
    p->prefix = make_node_key(rand_below(IDS_PINNED));
    p->bytes = rand_below(2) ? 0 : rand_below(5);
    nodes_pin(t, &p->prefix, p->bytes, &p->l);
    pin_check(p);
}

/* the first id of a node with one of the statuses, from the model */
static void check_statuses(struct nodes *t, const uint64_t *model, const uint8_t *status)
{
    for (unsigned set = 0; set < 1U << STATUS_MAX; set++) {
        static const struct uuid all;
        const struct node_item *it;
        struct node_list_at at = {0};
        struct node_list l;

        nodes_pin(t, &all, 0, &l);
        for (uint64_t id = 0; id < IDS_PINNED; id++) {
            if (model[id] == 0 || !(1U << status[id] & set))
                continue;
            it = node_list_next_of(&l, set, &at);
            assert_non_null(it);
            assert_int_equal(it->modify_index, model[id]);
        }
        assert_null(node_list_next_of(&l, set, &at));
        node_list_done(&l);
    }
}

static const struct node_item *item_with(uint64_t n, uint64_t index, uint8_t status)
{
    _cleanup_(node_freep) struct node *node = make_node(n);
    struct node_item *it = NULL;

    node->modify_index = index;
    free(node->status);
    node->status = xstrdup(node_status_name((enum node_status)status));
    assert_int_equal(node_item_from_node(node, &it, NULL), 0);
    return it;
}

/* random changes; lists pinned at any time stay what they were, texts are what the items say */
static void test_nodes_pinned_lists_do_not_change(void **state)
{
    _cleanup_(nodes_freep) struct nodes *t = nodes_new();
    static uint64_t model[IDS_PINNED];
    static uint8_t status[IDS_PINNED];
    static struct pin pins[PINS];

    (void)state;
    rand_seed(4711);
    memset(model, 0, sizeof(model));
    memset(pins, 0, sizeof(pins));
    for (uint64_t i = 1; i <= 6000; i++) {
        uint64_t id = rand_below(IDS_PINNED);
        struct uuid key = make_node_key(id);

        if (rand_below(1000) < (i % 2000 < 1200 ? 750 : 250)) {
            model[id] = i;
            status[id] = (uint8_t)rand_below(STATUS_MAX);
            nodes_put(t, item_with(id, i, status[id]));
        } else {
            assert_int_equal(nodes_delete(t, &key), model[id] != 0);
            model[id] = 0;
        }
        if (rand_below(10) == 0) {
            struct pin *p = &pins[rand_below(PINS)];

            pin_check(p);
            node_list_done(&p->l);
            pin_take(p, t, model);
        }
        if (i % 500 == 0)
            check_statuses(t, model, status);
    }
    for (size_t i = 0; i < PINS; i++) {
        pin_check(&pins[i]);
        node_list_done(&pins[i].l);
    }
    rand_seed(0);
}

/* the texts of all pages, against stubs made one by one */
static void check_texts(struct nodes *t, size_t *ret_same)
{
    static const struct uuid all;
    _cleanup_buf_ struct buf want = BUF_INIT(1 << 22);
    struct node_list l;
    size_t bytes = 0;

    nodes_pin(t, &all, 0, &l);
    for (size_t i = 0; i < l.n_pages; i++) {
        struct page *p = l.pages[i];

        *ret_same += p->is_true;
        assert_int_equal(page_render(p, NULL), 0);
        buf_reset(&want);
        for (unsigned k = 0; k < p->n; k++) {
            assert_int_equal(p->at[k], want.len);
            assert_int_equal(stub_json(p->items[k], false, false, &want, NULL), 0);
            buf_add_byte(&want, ',');
            assert_int_equal(p->at[k] + p->len[k], want.len);
        }
        assert_int_equal(p->text->len, want.len);
        assert_memory_equal(p->text->bytes, want.p, want.len);
        bytes += want.len;
    }
    assert_int_equal(page_current_bytes(), bytes);
    node_list_done(&l);
}

static void test_nodes_texts_follow_the_items(void **state)
{
    struct nodes *t = nodes_new();
    struct node_list held = {0};
    static const struct uuid all;
    size_t same = 0;

    (void)state;
    rand_seed(99);
    for (uint64_t i = 1; i <= 3000; i++) {
        uint64_t id = rand_below(500);
        struct uuid key = make_node_key(id);

        if (rand_below(3))
            nodes_put(t, item_with(id, i, (uint8_t)rand_below(STATUS_MAX)));
        else
            (void)nodes_delete(t, &key);
        if (rand_below(4) == 0)
            check_texts(t, &same);
        if (rand_below(8) == 0) {
            node_list_done(&held);
            nodes_pin(t, &all, 0, &held);
        }
    }
    assert_true(same > 500); /* most pages need no work */
    node_list_done(&held);
    check_texts(t, &same);
    nodes_pin(t, &all, 0, &held);
    (void)nodes_free(t);
    assert_int_equal(page_current_bytes(), 0);
    assert_true(blob_live() > 0);
    node_list_done(&held);
    assert_int_equal(blob_live(), 0);
    rand_seed(0);
}

static void test_nodes_lists_are_cut_anywhere(void **state)
{
    _cleanup_(nodes_freep) struct nodes *t = nodes_new();
    static const struct uuid all;
    enum { N = 300 };

    (void)state;
    for (uint64_t n = 0; n < N; n++)
        put(t, 2 * n, n + 1);
    for (uint64_t from = 0; from <= N; from += 7) {
        for (size_t n = 0; n <= N + 1; n += 13) {
            const struct node_item *next, *it;
            struct node_list_at at, walk = {0};
            char id[UUID_TEXT_LEN + 1];
            struct node_list l;

            nodes_pin(t, &all, 0, &l);
            make_node_id(2 * from - (from % 2), id); /* there, or the one in front of it */
            at = node_list_find(&l, from > 0 ? id : "");
            assert_int_equal(at.n, MIN(from, (uint64_t)N));
            next = node_list_cut(&l, at, n);
            assert_int_equal(l.n, MIN(n, N - at.n));
            for (uint64_t k = 0; k < l.n; k++) {
                it = node_list_next(&l, &walk);
                assert_non_null(it);
                assert_int_equal(it->modify_index, from + k + 1);
            }
            assert_null(node_list_next(&l, &walk));
            if (from + n < N)
                assert_int_equal(next->modify_index, from + n + 1);
            else
                assert_null(next);
            node_list_done(&l);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nodes_empty_has_nothing),
        cmocka_unit_test(test_nodes_put_replaces_by_id),
        cmocka_unit_test(test_nodes_behaves_as_a_sorted_map),
        cmocka_unit_test(test_nodes_next_keeps_to_the_prefix),
        cmocka_unit_test(test_nodes_pinned_lists_do_not_change),
        cmocka_unit_test(test_nodes_texts_follow_the_items),
        cmocka_unit_test(test_nodes_lists_are_cut_anywhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
