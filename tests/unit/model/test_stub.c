/* Stubs and items cut out of packed nodes, against the long way over the structs: the same bytes,
 * the same members, over everything that was recorded, and over what was damaged. */
#include "model/stub.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/rand.h"
#include "base/str.h"
#include "codec/js.h"
#include "codec/ops.h"
#include "tests/support/check.h"
#include "tests/support/data.h"

enum { OUT_MAX = 1 << 20 };

/* the long way */
static int make_stub(const void *packed, size_t n, bool resources, bool os, struct buf *b)
{
    struct node_stub stub = {0};
    struct node node = {0};
    int r = mp_decode(&desc_node, packed, n, &node, NULL);

    if (r == 0) {
        node_make_stub(&node, resources, os, &stub);
        js_encode(b, &desc_node_stub, &stub, 0);
    }
    ops_clear(&desc_node_stub, &stub);
    ops_clear(&desc_node, &node);
    return r;
}

static void check_members(const struct node_item *it, const struct node *n)
{
    assert_string_equal(it->id, n->id);
    assert_string_equal(it->secret_id, str_or_empty(n->secret_id));
    assert_string_equal(node_status_name((enum node_status)it->status), str_or_empty(n->status));
    assert_int_equal(it->create_index, n->create_index);
    assert_int_equal(it->modify_index, n->modify_index);
    assert_true(it->status_updated_at == n->status_updated_at);
    assert_int_equal(it->last_missed_heartbeat_index, n->last_missed_heartbeat_index);
    assert_int_equal(it->last_alloc_update_index, n->last_alloc_update_index);
    assert_int_equal(it->eligible, str_eq(n->scheduling_eligibility, NODE_ELIGIBLE));
    assert_int_equal(it->draining, n->drain_strategy != NULL);
}

/* false: it is no node, either way */
static bool check_packed(const void *packed, size_t n)
{
    struct node_item *it = NULL;
    struct node node = {0};
    struct err e = {0};
    struct uuid id;
    bool good = mp_decode(&desc_node, packed, n, &node, NULL) == 0 &&
                uuid_parse(str_or_empty(node.id), &id) == 0 && node_status_valid(node.status) &&
                strlen(str_or_empty(node.secret_id)) <= UUID_TEXT_LEN;
    int r = node_item_new(packed, n, &it, &e);

    assert_int_equal(r == 0, good);
    for (unsigned i = 0; good && i < 4; i++) {
        _cleanup_buf_ struct buf a = BUF_INIT(OUT_MAX), b = BUF_INIT(OUT_MAX);

        assert_int_equal(stub_json(it, i & 1, i & 2, &a, &e), 0);
        assert_int_equal(make_stub(packed, n, i & 1, i & 2, &b), 0);
        assert_string_equal(buf_str(&a), buf_str(&b));
    }
    if (good)
        check_members(it, &node);
    ops_clear(&desc_node, &node);
    (void)node_item_unref(it);
    return good;
}

/* each node that stands in a recorded body, at whatever depth */
static size_t check_nodes_in(const uint8_t *p, size_t n)
{
    const uint8_t *v;
    struct mp_in in = mp_in(p, n);
    struct mp_token t;
    size_t len, found = 0;

    if (mp_next(&in, &t) < 0)
        return 0;
    if (t.type == MP_MAP && mp_map_find(p, n, "ID", &v, &len) == 0 &&
        mp_map_find(p, n, "SecretID", &v, &len) == 0)
        return check_packed(p, n);
    for (size_t left = t.type == MP_MAP     ? 2 * t.n
                       : t.type == MP_ARRAY ? t.n
                                            : 0;
         left > 0; left--) {
        const uint8_t *from = in.p;

        if (mp_skip(&in) < 0)
            return found;
        found += check_nodes_in(from, (size_t)(in.p - from));
    }
    return found;
}

static size_t check_folder(const char *release)
{
    _cleanup_free_ char *dir = xasprintf("tests/data/msgpack/%s", release);
    DIR *d = opendir(dir);
    struct dirent *entry;
    size_t found = 0;

    assert_non_null(d);
    while ((entry = readdir(d))) {
        _cleanup_free_ char *name = NULL, *body = NULL;
        size_t n;

        if (!str_ends(entry->d_name, ".msgpack"))
            continue;
        name = xasprintf("msgpack/%s/%s", release, entry->d_name);
        body = data_read(name, &n);
        found += check_nodes_in((const uint8_t *)body, n);
    }
    (void)closedir(d);
    return found;
}

static void test_recorded_nodes(void **state)
{
    static const char *const releases[] = {"1.0.18", "1.10.5", "2.0.5"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(releases); i++) {
        size_t found = check_folder(releases[i]);

        print_message("# %s: %zu nodes\n", releases[i], found);
        assert_true(found > 0);
    }
}

static void recorded(struct buf *b)
{
    _cleanup_free_ char *body = NULL;
    const uint8_t *node;
    size_t n, len;

    body = data_read("msgpack/1.0.18/register-node-register-request-2.msgpack", &n);
    assert_int_equal(mp_map_find(body, n, "Node", &node, &len), 0);
    buf_add(b, node, len);
}

/* one key of the recorded node is another value */
static void test_odd_values(void **state)
{
    static const struct {
        const char *key, *value;
        size_t n;
        bool good;
    } rows[] = {
        {"HTTPAddr",              "\xa6nohost",                           7, true },
        {"HTTPAddr",              "\xa5[::1]",                            6, true },
        {"HTTPAddr",              "\xa8[::1]:80",                         9, true },
        {"HTTPAddr",              "\xc0",                                 1, true },
        {"Attributes",            "\xc0",                                 1, true },
        {"Attributes",            "\x80",                                 1, true },
        {"Drivers",               "\xc0",                                 1, true },
        {"Drivers",               "\x80",                                 1, true },
        {"Drivers",               "\x81\xa1x\x80",                        4, true },
        {"Drivers",               "\x81\xa1x\x90",                        4, true }, /* a struct as an array */
        {"Drivers",               "\x90",                                 1, false},
        {"LastDrain",             "\x80",                                 1, true },
        {"DrainStrategy",         "\x80",                                 1, true },
        {"DrainStrategy",         "\x05",                                 1, false},
        {"SchedulingEligibility", "\xc0",                                 1, true },
        {"SchedulingEligibility", "\xa3odd",                              4, true },
        {"Name",
         "\xa3"
         "a\0b",                                                          4, true },
        {"Name",
         "\xa3"
         "\"\n\xff",                                                      4, true },
        {"Name",                  "\x05",                                 1, false},
        {"TLSEnabled",            "\x01",                                 1, true },
        {"TLSEnabled",            "\x02",                                 1, false},
        {"CreateIndex",           "\xff",                                 1, false},
        {"CreateIndex",           "\xcf\xff\xff\xff\xff\xff\xff\xff\xff", 9, true },
        {"Status",                "\xc0",                                 1, false},
        {"Status",                "\xa4gone",                             5, false},
        {"Status",
         "\xa5"
         "down\0",                                                        6, true },
        {"ID",                    "\xc0",                                 1, false},
        {"Events",                "\x91\xc0",                             2, true },
        {"Meta",                  "\x81\xa1k\xc0",                        4, true },
        {"Meta",                  "\x81\x01\xa1v",                        4, false},
        {"NobodyKnows",           "\x93\x01\x02\xc0",                     4, true },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_buf_ struct buf node = BUF_INIT(OUT_MAX), changed = BUF_INIT(OUT_MAX);
        const struct mp_patch patch = {rows[i].key, rows[i].value, rows[i].n};

        recorded(&node);
        assert_int_equal(mp_map_patch(node.p, node.len, &patch, 1, &changed), 0);
        if (check_packed(changed.p, changed.len) != rows[i].good)
            fail_msg("%s (row %zu)", rows[i].key, i);
    }
}

/* any byte may be another one: both ways agree on what is a node, and on its stub */
static void test_damaged_nodes(void **state)
{
    _cleanup_buf_ struct buf node = BUF_INIT(OUT_MAX);
    size_t good = 0;

    (void)state;
    recorded(&node);
    rand_seed(7);
    for (unsigned i = 0; i < 6000; i++) {
        size_t at = rand_below(node.len);
        uint8_t was = node.p[at];

        node.p[at] = (uint8_t)rand_below(256);
        good += check_packed(node.p, node.len - (i % 50 == 0 ? rand_below(40) : 0));
        node.p[at] = was;
    }
    rand_seed(0);
    assert_true(good > 1000 && good < 6000);
}

/* what decoding would refuse because it becomes too large is refused here too */
static void test_what_expands_is_refused(void **state)
{
    _cleanup_buf_ struct buf node = BUF_INIT(OUT_MAX), events = BUF_INIT(OUT_MAX),
                             changed = BUF_INIT(OUT_MAX);
    struct mp_patch patch = {.key = "Events"};

    (void)state;
    recorded(&node);
    mp_array(&events, 100000);
    for (unsigned i = 0; i < 100000; i++)
        buf_add_byte(&events, 0x80);
    patch.value = events.p;
    patch.n = events.len;
    assert_int_equal(mp_map_patch(node.p, node.len, &patch, 1, &changed), 0);
    assert_false(check_packed(changed.p, changed.len));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recorded_nodes),
        cmocka_unit_test(test_odd_values),
        cmocka_unit_test(test_damaged_nodes),
        cmocka_unit_test(test_what_expands_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
