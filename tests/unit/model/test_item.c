/* Published nodes: what is taken from the packed object, patching, counting, bad input. */
#include "model/item.h"

#include <errno.h>
#include <setjmp.h>
#include <string.h>

#include <cmocka.h>
#include <malloc.h>

#include "base/limits.h"
#include "base/str.h"
#include "codec/mp.h"
#include "codec/ops.h"
#include "tests/support/data.h"
#include "tests/support/mp_oracle.h"

#define ID             "a1000001-1001-2001-3001-000000000001"
#define SECRET         "b2000002-1001-2001-3001-000000000002"

#define _cleanup_item_ _cleanup_(done)
static void done(struct node_item **p)
{
    *p = (struct node_item *)(uintptr_t)node_item_unref(*p);
}

static struct node *small_node(void)
{
    struct node *n = node_new();

    n->id = xstrdup(ID);
    n->secret_id = xstrdup(SECRET);
    n->name = xstrdup("n1");
    n->http_addr = xstrdup("192.0.2.7:4646");
    n->status = xstrdup("ready");
    n->scheduling_eligibility = xstrdup("eligible");
    n->create_index = 5;
    n->modify_index = 9;
    n->status_updated_at = 1600000000;
    n->last_missed_heartbeat_index = 3;
    n->last_alloc_update_index = 4;
    return n;
}

static void test_item_holds_what_rules_need(void **state)
{
    _cleanup_(node_freep) struct node *n = small_node(), *back = NULL;
    _cleanup_item_ struct node_item *it = NULL;
    char text[UUID_TEXT_LEN + 1];

    (void)state;
    assert_int_equal(node_item_from_node(n, &it, NULL), 0);
    uuid_format(&it->key, text);
    assert_string_equal(text, ID);
    assert_string_equal(it->id, ID);
    assert_string_equal(it->secret_id, SECRET);
    assert_int_equal(it->create_index, 5);
    assert_int_equal(it->modify_index, 9);
    assert_int_equal(it->status_updated_at, 1600000000);
    assert_int_equal(it->last_missed_heartbeat_index, 3);
    assert_int_equal(it->last_alloc_update_index, 4);
    assert_int_equal(it->status, STATUS_READY);
    assert_true(it->eligible);
    assert_false(it->draining);
    assert_int_equal(it->refs, 1);
    assert_int_equal(node_item_decode(it, &back, NULL), 0);
    assert_true(ops_equal(&desc_node, n, back));
}

static void test_item_knows_every_status(void **state)
{
    (void)state;
    for (unsigned s = 0; s < STATUS_MAX; s++) {
        _cleanup_(node_freep) struct node *n = small_node();
        _cleanup_item_ struct node_item *it = NULL;

        str_set(&n->status, node_status_name(s));
        str_set(&n->scheduling_eligibility, "ineligible");
        n->drain_strategy = xnew0(struct drain_strategy);
        assert_int_equal(node_item_from_node(n, &it, NULL), 0);
        assert_int_equal(it->status, s);
        assert_false(it->eligible);
        assert_true(it->draining);
    }
    assert_string_equal(node_status_name(STATUS_MAX), "");
}

static void test_item_of_a_recorded_node_is_small(void **state)
{
    _cleanup_item_ struct node_item *it = NULL;
    _cleanup_free_ char *text = NULL;
    const uint8_t *node;
    size_t n, node_n, used;

    (void)state;
    text = data_read("msgpack/1.0.18/register-node-register-request-2.msgpack", &n);
    assert_int_equal(mp_map_find(text, n, "Node", &node, &node_n), 0);
    assert_int_equal(node_item_new(node, node_n, &it, NULL), 0);
    assert_int_equal(it->packed_len, node_n);
    assert_memory_equal(it->packed, node, node_n);
    /* one allocation: struct and packed object */
    used = malloc_usable_size(it);
    assert_true(used >= sizeof(*it) + it->packed_len);
    print_message("# %zu bytes: packed %zu, struct %zu\n", used, it->packed_len, sizeof(*it));
}

static void test_item_patch_keeps_fields_that_are_not_known(void **state)
{
    _cleanup_(node_freep) struct node *n = small_node();
    _cleanup_item_ struct node_item *a = NULL, *b = NULL, *c = NULL;
    const struct mp_patch future = {"FieldOf2030", "\x93\x01\xc0\xa1x", 5};
    const struct mp_patch down = {"Status",
                                  "\xa4"
                                  "down",
                                  5};
    const uint8_t *p;
    size_t len;

    (void)state;
    assert_int_equal(node_item_from_node(n, &a, NULL), 0);
    assert_int_equal(node_item_patch(a, &future, 1, &b, NULL), 0);
    assert_int_equal(node_item_patch(b, &down, 1, &c, NULL), 0);
    assert_int_equal(a->status, STATUS_READY); /* published ones do not change */
    assert_int_equal(c->status, STATUS_DOWN);
    assert_int_equal(mp_map_find(c->packed, c->packed_len, "FieldOf2030", &p, &len), 0);
    assert_int_equal(len, 5);
    assert_memory_equal(p, future.value, 5);
    assert_true(mp_oracle_valid(c->packed, c->packed_len));
}

static void test_item_patch_refuses_what_makes_no_node(void **state)
{
    _cleanup_(node_freep) struct node *n = small_node();
    _cleanup_item_ struct node_item *a = NULL, *b = NULL;
    const struct mp_patch bad_type = {"Status", "\x05", 1}, bad_word = {"Status", "\xa1x", 2},
                          broken = {"Status", "\xa5x", 2}, no_id = {"ID", NULL, 0};
    struct err e = {0};

    (void)state;
    assert_int_equal(node_item_from_node(n, &a, NULL), 0);
    assert_int_equal(node_item_patch(a, &bad_type, 1, &b, &e), -EBADMSG);
    assert_string_equal(e.text, "node: Status: expected str, found int");
    assert_int_equal(node_item_patch(a, &bad_word, 1, &b, &e), -EBADMSG);
    assert_string_equal(e.text, "node " ID ": unknown status \"x\"");
    assert_int_equal(node_item_patch(a, &broken, 1, &b, &e), -EINVAL);
    assert_string_equal(e.text, "node " ID ": changing the stored object: Invalid argument");
    assert_int_equal(node_item_patch(a, &no_id, 1, &b, &e), -EBADMSG);
    assert_string_equal(e.text, "node: ID \"\" is no UUID");
    assert_null(b);
}

static void test_item_refuses_bad_bytes(void **state)
{
    _cleanup_(node_freep) struct node *n = small_node();
    _cleanup_item_ struct node_item *it = NULL;
    _cleanup_free_ char *large = xcalloc(NODE_PACKED_MAX + 1, 1);
    struct err e = {0};

    (void)state;
    assert_int_equal(node_item_new("\x80", 1, &it, &e), -EBADMSG);
    assert_int_equal(node_item_new("", 0, &it, &e), -EBADMSG);
    assert_int_equal(node_item_new("\xc0", 1, &it, &e), -EBADMSG);
    assert_int_equal(node_item_new("\x93\x01", 2, &it, &e), -EBADMSG);
    assert_int_equal(node_item_new(large, NODE_PACKED_MAX + 1, &it, &e), -EMSGSIZE);
    memset(large, 'x', NODE_PACKED_MAX);
    strmap_set_n(&n->meta, "k", 1, large, NODE_PACKED_MAX);
    assert_int_equal(node_item_from_node(n, &it, &e), -EMSGSIZE);
    assert_string_equal(e.text, "node " ID ": larger than the limit of 1048576 bytes");
    strmap_done(&n->meta);
    str_set(&n->secret_id, SECRET "1");
    assert_int_equal(node_item_from_node(n, &it, &e), -EBADMSG);
    assert_string_equal(e.text, "node " ID ": SecretID is too long");
    str_set(&n->secret_id, NULL); /* as servers hand nodes out */
    assert_int_equal(node_item_from_node(n, &it, &e), 0);
    assert_string_equal(it->secret_id, "");
}

static void test_item_is_counted(void **state)
{
    _cleanup_(node_freep) struct node *n = small_node();
    struct node_item *it = NULL;
    const struct node_item *a, *b;

    (void)state;
    assert_int_equal(node_item_from_node(n, &it, NULL), 0);
    a = it;
    b = node_item_ref(a);
    assert_ptr_equal(a, b);
    assert_int_equal(a->refs, 2);
    assert_null(node_item_unref(a));
    assert_string_equal(b->id, ID); /* still there */
    node_item_unrefp(&b);
    assert_null(b);
    assert_null(node_item_unref(NULL));
}

static void test_item_survives_every_failing_allocation(void **state)
{
    _cleanup_(node_freep) struct node *n = small_node();
    _cleanup_buf_ struct buf b = BUF_INIT(4096);
    int r = -1;

    (void)state;
    mp_encode(&b, &desc_node, n);
    for (size_t nth = 1; r != 0; nth++) {
        _cleanup_item_ struct node_item *it = NULL;

        mem_torture(nth);
        r = node_item_new(b.p, b.len, &it, NULL);
        mem_torture(0);
        assert_true(nth < 1000);
        assert_true(r == 0 || r == -ENOMEM || r == -EMSGSIZE);
        assert_true((r == 0) == (it != NULL));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_item_holds_what_rules_need),
        cmocka_unit_test(test_item_knows_every_status),
        cmocka_unit_test(test_item_of_a_recorded_node_is_small),
        cmocka_unit_test(test_item_patch_keeps_fields_that_are_not_known),
        cmocka_unit_test(test_item_patch_refuses_what_makes_no_node),
        cmocka_unit_test(test_item_refuses_bad_bytes),
        cmocka_unit_test(test_item_is_counted),
        cmocka_unit_test(test_item_survives_every_failing_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
