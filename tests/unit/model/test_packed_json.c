/* js_from_packed() against the long way, mp_decode() and js_encode(): the same bytes or a refusal.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "codec/js.h"
#include "codec/mp.h"
#include "codec/ops.h"
#include "model/node.h"
#include "tests/support/check.h"
#include "tests/support/data.h"

enum { OUT_MAX = 1 << 20 };

/* the long way's text; NULL when the decoder refuses */
static char *decoded(const void *p, size_t n)
{
    _cleanup_buf_ struct buf b = BUF_INIT(OUT_MAX);
    struct node node = {0};
    struct err e = {0};
    char *text = NULL;

    if (mp_decode(&desc_node, p, n, &node, &e) == 0) {
        js_encode(&b, &desc_node, &node, 0);
        text = (char *)buf_take(&b, NULL);
    }
    ops_clear(&desc_node, &node);
    return text;
}

static void assert_same(const void *p, size_t n)
{
    _cleanup_buf_ struct buf b = BUF_INIT(OUT_MAX);
    _cleanup_free_ char *want = decoded(p, n);

    assert_non_null(want);
    assert_int_equal(js_from_packed(&b, &desc_node, p, n, 0), 0);
    assert_string_equal(buf_str(&b), want);
}

static void assert_refused(const struct buf *packed)
{
    _cleanup_buf_ struct buf b = BUF_INIT(OUT_MAX);

    assert_int_equal(js_from_packed(&b, &desc_node, packed->p, packed->len, 0), -EBADMSG);
}

static void test_recorded_nodes_come_out_as_the_long_way_does(void **state)
{
    static const char *const files[] = {"register-node-register-request-1",
                                        "register-node-register-request-2"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        _cleanup_free_ char *name = xasprintf("msgpack/1.0.18/%s.msgpack", files[i]);
        _cleanup_free_ char *body = NULL;
        const uint8_t *node;
        size_t n, node_len;

        body = data_read(name, &n);
        assert_int_equal(mp_map_find(body, n, "Node", &node, &node_len), 0);
        assert_same(node, node_len);
    }
}

static void test_our_own_node_comes_out_as_the_long_way_does(void **state)
{
    _cleanup_buf_ struct buf b = BUF_INIT(OUT_MAX);
    _cleanup_(node_freep) struct node *n = node_new();

    (void)state;
    mp_encode(&b, &desc_node, n);
    assert_same(b.p, b.len);
    buf_reset(&b);
    str_set(&n->name, "quote \" slash / less < umlaut \xc3\xa4 control \x01");
    str_set(&n->secret_id, "hidden");
    strmap_set(&n->attributes, "b", "2");
    strmap_set(&n->attributes, "a", "1");
    n->node_resources = xnew0(struct node_resources);
    n->node_resources->cpu.cpu_shares = -5;
    n->events = xnew0(struct node_event); /* empty, not nil */
    n->drain_strategy = xnew0(struct drain_strategy);
    n->drain_strategy->started_at = gotime_from_unix_ns(1500000000123456789);
    mp_encode(&b, &desc_node, n);
    assert_same(b.p, b.len);
}

static void test_keys_in_any_order_and_unknown_ones(void **state)
{
    _cleanup_buf_ struct buf b = BUF_INIT(OUT_MAX);

    (void)state;
    mp_map(&b, 4);
    mp_str(&b, "Name");
    mp_str(&b, "n");
    mp_str(&b, "FieldOfTomorrow");
    mp_map(&b, 1);
    mp_str(&b, "x");
    mp_nil(&b);
    mp_str(&b, "Meta");
    mp_map(&b, 3);
    for (size_t i = 0; i < 3; i++) {
        mp_str(&b, (const char *[]){"z", "a", "m"}[i]);
        mp_str(&b, (const char *[]){"26", "1", "13"}[i]);
    }
    mp_str(&b, "Attributes");
    mp_nil(&b);
    assert_same(b.p, b.len);
}

/* the same object with the keys of all its maps backwards */
static void reverse(struct mp_in *in, struct buf *out)
{
    const uint8_t *begin = in->p;
    struct mp_in parts[256];
    struct mp_token t;

    assert_int_equal(mp_next(in, &t), 0);
    if (t.type != MP_MAP && t.type != MP_ARRAY) {
        buf_add(out, begin, (size_t)(in->p - begin));
        return;
    }
    assert_true(t.n <= ARRAY_LEN(parts));
    buf_add(out, begin, (size_t)(in->p - begin));
    for (size_t i = 0; i < t.n; i++) {
        parts[i] = *in;
        assert_int_equal(mp_skip(in), 0);
        if (t.type == MP_MAP)
            assert_int_equal(mp_skip(in), 0);
    }
    for (size_t i = 0; i < t.n; i++) {
        struct mp_in at = parts[t.type == MP_MAP ? t.n - 1 - i : i];

        reverse(&at, out);
        if (t.type == MP_MAP)
            reverse(&at, out);
    }
}

static void test_keys_backwards_at_every_depth(void **state)
{
    _cleanup_buf_ struct buf b = BUF_INIT(OUT_MAX), direct = BUF_INIT(OUT_MAX);
    _cleanup_free_ char *body = NULL, *want = NULL;
    const uint8_t *node;
    size_t n, node_len;
    struct mp_in in;

    (void)state;
    body = data_read("msgpack/1.0.18/register-node-register-request-2.msgpack", &n);
    assert_int_equal(mp_map_find(body, n, "Node", &node, &node_len), 0);
    want = decoded(node, node_len);
    in = mp_in(node, node_len);
    reverse(&in, &b);
    assert_int_equal(b.len, node_len);
    assert_memory_not_equal(b.p, node, node_len);
    assert_int_equal(js_from_packed(&direct, &desc_node, b.p, b.len, 0), 0);
    assert_string_equal(buf_str(&direct), want);
}

static void test_names_of_fields_are_compared_whole(void **state)
{
    static const struct {
        const char *key;
        size_t n;
    } keys[] = {
        {"Nam",   3},
        {"Namee", 5},
        {"",      0},
        {"name",  4}
    };
    _cleanup_buf_ struct buf b = BUF_INIT(OUT_MAX);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        buf_reset(&b);
        mp_map(&b, 1);
        mp_raw(&b, keys[i].key, keys[i].n);
        mp_str(&b, "x");
        assert_same(b.p, b.len);
    }
}

static void test_forms_for_the_decoder_are_refused(void **state)
{
    _cleanup_buf_ struct buf b = BUF_INIT(OUT_MAX);

    (void)state;
    mp_map(&b, 2); /* a doubled field */
    for (size_t i = 0; i < 2; i++) {
        mp_str(&b, "Name");
        mp_str(&b, i ? "two" : "one");
    }
    assert_refused(&b);
    buf_reset(&b);
    mp_map(&b, 1); /* a doubled key */
    mp_str(&b, "Meta");
    mp_map(&b, 2);
    for (size_t i = 0; i < 4; i++)
        mp_str(&b, "x");
    assert_refused(&b);
    buf_reset(&b);
    mp_array(&b, 1); /* fields by position */
    mp_nil(&b);
    assert_refused(&b);
    buf_reset(&b);
    mp_map(&b, 1); /* a string with a NUL */
    mp_str(&b, "Name");
    mp_raw(&b, "a\0b", 3);
    assert_refused(&b);
    buf_reset(&b);
    mp_map(&b, 1); /* a wrong type */
    mp_str(&b, "Name");
    mp_i64(&b, 5);
    assert_refused(&b);
    buf_reset(&b);
    mp_map(&b, 1); /* cut short */
    mp_str(&b, "Name");
    assert_refused(&b);
}

static void test_map_larger_than_the_ceiling_is_refused(void **state)
{
    _cleanup_buf_ struct buf b = BUF_INIT(OUT_MAX);
    char key[16];

    (void)state;
    for (size_t n = JS_PACKED_MAP_MAX; n <= JS_PACKED_MAP_MAX + 1; n++) {
        buf_reset(&b);
        mp_map(&b, 1);
        mp_str(&b, "Meta");
        mp_map(&b, n);
        for (size_t i = 0; i < n; i++) {
            (void)snprintf(key, sizeof(key), "k%zu", i);
            mp_str(&b, key);
            mp_str(&b, "v");
        }
        if (n <= JS_PACKED_MAP_MAX)
            assert_same(b.p, b.len);
        else
            assert_refused(&b);
    }
}

static void test_ceiling_of_the_output_is_told(void **state)
{
    struct buf b = BUF_INIT(10);
    static const uint8_t empty[] = {0x80};

    (void)state;
    assert_int_equal(js_from_packed(&b, &desc_node, empty, sizeof(empty), 0), -EMSGSIZE);
    buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recorded_nodes_come_out_as_the_long_way_does),
        cmocka_unit_test(test_our_own_node_comes_out_as_the_long_way_does),
        cmocka_unit_test(test_keys_in_any_order_and_unknown_ones),
        cmocka_unit_test(test_keys_backwards_at_every_depth),
        cmocka_unit_test(test_names_of_fields_are_compared_whole),
        cmocka_unit_test(test_forms_for_the_decoder_are_refused),
        cmocka_unit_test(test_map_larger_than_the_ceiling_is_refused),
        cmocka_unit_test(test_ceiling_of_the_output_is_told),
    };

    return cmocka_run_group_tests_name("model/packed_json", tests, NULL, NULL);
}
