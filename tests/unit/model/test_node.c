/* The rules about nodes: stub, registration, defaults, events, comparison. */
#include "model/node.h"

#include <errno.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/str.h"
#include "base/vec.h"
#include "codec/js.h"
#include "codec/ops.h"
#include "tests/support/data.h"

#define ID     "a1000001-1001-2001-3001-000000000001"
#define SECRET "b2000002-1001-2001-3001-000000000002"

static struct node *good_node(void)
{
    struct node *n = node_new();

    n->id = xstrdup(ID);
    n->secret_id = xstrdup(SECRET);
    n->datacenter = xstrdup("dc1");
    n->name = xstrdup("n1");
    n->http_addr = xstrdup("192.0.2.7:4646");
    strmap_set(&n->attributes, "kernel.name", "linux");
    strmap_set(&n->attributes, "nomad.version", "1.10.5");
    strmap_set(&n->attributes, "os.name", "debian");
    strmap_set(&n->attributes, "unique.storage.bytesfree", "100");
    return n;
}

static struct driver_info *driver(struct node *n, const char *name)
{
    return ops_keyed_add(&desc_driver_info, &n->drivers, &n->n_drivers, name);
}

/* a node with everything that a real agent sends */
static struct node *recorded_node(void)
{
    _cleanup_free_ char *text = NULL;
    struct node *n = node_new();
    size_t len;

    text = data_read("json/1.0.18/node-read.json", &len);
    assert_int_equal(js_decode(&desc_node, text, len, n, NULL), 0);
    return n;
}

/* ---- the stub ---- */

static void test_stub_has_the_host_of_the_address(void **state)
{
    static const struct {
        const char *addr, *host;
    } rows[] = {
        {"192.0.2.7:4646",     "192.0.2.7"   },
        {"[2001:db8::1]:4646", "2001:db8::1" },
        {"host.example:80",    "host.example"},
        {"nohost",             ""            },
        {NULL,                 ""            },
        {":4646",              ""            }
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_(node_freep) struct node *n = good_node();
        struct node_stub stub = {0};

        str_set(&n->http_addr, rows[i].addr);
        node_make_stub(n, false, false, &stub);
        assert_string_equal(stub.address, rows[i].host);
        ops_clear(&desc_node_stub, &stub);
    }
}

static void test_stub_is_a_copy(void **state)
{
    struct node *n = recorded_node();
    struct node_stub stub = {0};
    size_t drivers = n->n_drivers;

    (void)state;
    n->drain_strategy = xnew0(struct drain_strategy);
    n->last_drain = xnew0(struct drain_metadata);
    n->last_drain->status = xstrdup("draining");
    node_make_stub(n, true, true, &stub);
    (void)node_free(n);
    assert_string_equal(stub.version, "1.0.18");
    assert_true(stub.drain);
    assert_int_equal(stub.n_drivers, drivers);
    assert_string_equal(stub.drivers[0].key, "docker");
    assert_int_equal(stub.node_resources->cpu.cpu_shares, 5192);
    assert_non_null(stub.reserved_resources);
    assert_int_equal(stub.attributes.n, 1);
    assert_string_equal(strmap_get(&stub.attributes, "os.name"), "debian");
    assert_string_equal(stub.last_drain->status, "draining");
    ops_clear(&desc_node_stub, &stub);
}

static void test_stub_leaves_out_what_nobody_asked_for(void **state)
{
    _cleanup_(node_freep) struct node *n = recorded_node();
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 16);
    struct node_stub stub = {0};

    (void)state;
    node_make_stub(n, false, false, &stub);
    js_encode(&b, &desc_node_stub, &stub, 0);
    assert_null(strstr(buf_str(&b), "\"NodeResources\""));
    assert_null(strstr(buf_str(&b), "\"ReservedResources\""));
    assert_null(strstr(buf_str(&b), "os.name"));
    assert_non_null(strstr(buf_str(&b), "\"LastDrain\":null"));
    ops_clear(&desc_node_stub, &stub);
}

static void test_stub_tells_no_drivers_from_an_empty_map(void **state)
{
    _cleanup_(node_freep) struct node *n = good_node();
    struct node_stub stub = {0};

    (void)state;
    node_make_stub(n, false, false, &stub);
    assert_null(stub.drivers);
    assert_null(stub.version ? strstr(stub.version, "x") : NULL);
    ops_clear(&desc_node_stub, &stub);
    n->drivers = xnew0(struct driver_info);
    node_make_stub(n, false, false, &stub);
    assert_non_null(stub.drivers);
    ops_clear(&desc_node_stub, &stub);
}

/* ---- registration ---- */

static void test_registration_needs_its_fields_in_order(void **state)
{
    static const struct {
        const char *field, *text;
    } rows[] = {
        {"ID",         "missing node ID for client registration"       },
        {"Datacenter", "missing datacenter for client registration"    },
        {"Name",       "missing node name for client registration"     },
        {"Attributes", "missing attributes for client registration"    },
        {"SecretID",   "missing node secret ID for client registration"},
    };
    struct err e = {0};

    (void)state;
    assert_int_equal(node_validate_registration(NULL, &e), -EINVAL);
    assert_string_equal(e.text, "missing node for client registration");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_(node_freep) struct node *n = good_node();

        /* all later ones are wrong, too: the first one is named */
        for (size_t k = i; k < ARRAY_LEN(rows); k++)
            ops_clear_field(desc_find(&desc_node, rows[k].field), n);
        assert_int_equal(node_validate_registration(n, &e), -EINVAL);
        assert_string_equal(e.text, rows[i].text);
    }
}

static void test_registration_checks_words_and_ids(void **state)
{
    static const struct {
        const char *field, *value, *text; /* NULL = fine */
    } rows[] = {
        {"Status",   "",                                     NULL                                                         },
        {"Status",   "initializing",                         NULL                                                         },
        {"Status",   "ready",                                NULL                                                         },
        {"Status",   "down",                                 NULL                                                         },
        {"Status",   "disconnected",                         NULL                                                         },
        {"Status",   "Ready",                                "invalid status for node"                                    },
        {"Status",   "bogus",                                "invalid status for node"                                    },
        {"ID",       "short",                                "node lookup failed: index error: UUID must be 36 characters"},
        {"ID",       "zz000001-1001-2001-3001-000000000001",
         "node lookup failed: index error: Invalid UUID: encoding/hex: invalid byte: U+007A 'z'"                          },
        {"ID",       "a100000-11001-2001-3001-000000000001",
         "node lookup failed: index error: Invalid UUID"                                                                  },
        {"ID",       ID "\n",                                "node lookup failed: index error: UUID must be 36 characters"},
        {"SecretID", "short",                                "node secret ID must be a UUID of 36 characters"             },
        {"SecretID", SECRET "0",                             "node secret ID must be a UUID of 36 characters"             },
        {"NodePool", "",                                     NULL                                                         },
        {"NodePool", "default",                              NULL                                                         },
        {"NodePool", "gpu_1-A",                              NULL                                                         },
        {"NodePool", "all",                                  "node is not allowed to register in node pool \"all\""       },
        {"NodePool", "a b",
         "invalid node pool: invalid name \"a b\", must match regex ^[a-zA-Z0-9-_]{1,128}$"                               },
        {"NodePool", "\xc3\xa9",
         "invalid node pool: invalid name \"\xc3\xa9\", must match regex ^[a-zA-Z0-9-_]{1,128}$"                          },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_(node_freep) struct node *n = good_node();
        struct err e = {0};

        str_set((char **)field_at(desc_find(&desc_node, rows[i].field), n), rows[i].value);
        assert_int_equal(node_validate_registration(n, &e), rows[i].text ? -EINVAL : 0);
        assert_string_equal(e.text, str_or_empty(rows[i].text));
    }
}

static void test_registration_limits_pool_names(void **state)
{
    _cleanup_(node_freep) struct node *n = good_node();

    (void)state;
    n->node_pool = xcalloc(130, 1);
    memset(n->node_pool, 'p', 128);
    assert_int_equal(node_validate_registration(n, NULL), 0);
    n->node_pool[128] = 'p';
    assert_int_equal(node_validate_registration(n, NULL), -EINVAL);
}

static void test_status_words(void **state)
{
    (void)state;
    assert_true(node_status_valid("ready"));
    assert_false(node_status_valid(""));
    assert_false(node_status_valid(NULL));
    assert_false(node_status_valid("ready "));
}

/* ---- defaults ---- */

static void test_canonicalize_sets_defaults(void **state)
{
    _cleanup_(node_freep) struct node *n = good_node();

    (void)state;
    node_canonicalize(n);
    assert_string_equal(n->status, "initializing");
    assert_string_equal(n->scheduling_eligibility, "eligible");
    assert_string_equal(n->node_pool, "default");
    assert_null(n->node_resources);
    str_set(&n->status, "ready");
    str_set(&n->scheduling_eligibility, "ineligible");
    str_set(&n->node_pool, "gpu");
    node_canonicalize(n);
    assert_string_equal(n->status, "ready");
    assert_string_equal(n->scheduling_eligibility, "ineligible");
    assert_string_equal(n->node_pool, "gpu");
}

static void test_canonicalize_makes_node_networks(void **state)
{
    _cleanup_(node_freep) struct node *n = good_node();
    struct node_resources *r = n->node_resources = xnew0(struct node_resources);

    (void)state;
    *vec_add(&r->networks, &r->n_networks) = (struct network_resource){.mode = xstrdup("host"),
                                                                       .device = xstrdup("eth0"),
                                                                       .ip = xstrdup("192.0.2.7"),
                                                                       .mbits = 1000};
    *vec_add(&r->networks, &r->n_networks) = (struct network_resource){.mode = xstrdup("bridge")};
    node_canonicalize(n);
    assert_int_equal(r->n_node_networks, 2);
    assert_string_equal(r->node_networks[0].device, "eth0");
    assert_int_equal(r->node_networks[0].speed, 1000);
    assert_int_equal(r->node_networks[0].n_addresses, 1);
    assert_string_equal(r->node_networks[0].addresses[0].alias, "default");
    assert_string_equal(r->node_networks[0].addresses[0].address, "192.0.2.7");
    assert_string_equal(r->node_networks[1].mode, "bridge");
    assert_int_equal(r->node_networks[1].n_addresses, 0);
    node_canonicalize(n); /* what is there stays */
    assert_int_equal(r->n_node_networks, 2);
}

static void test_canonicalize_makes_the_topology(void **state)
{
    _cleanup_(node_freep) struct node *n = good_node();
    struct node_resources *r = n->node_resources = xnew0(struct node_resources);
    const struct topology *t;

    (void)state;
    node_canonicalize(n);
    assert_null(r->processors.topology); /* nothing is known */
    r->cpu.cpu_shares = 5000;
    r->cpu.total_cpu_cores = 2;
    *vec_add(&r->cpu.reservable_cpu_cores, &r->cpu.n_reservable_cpu_cores) = 0;
    *vec_add(&r->cpu.reservable_cpu_cores, &r->cpu.n_reservable_cpu_cores) = 3;
    node_canonicalize(n);
    t = r->processors.topology;
    assert_non_null(t);
    if (!t)
        return; /* for the analyser */
    assert_int_equal(t->nodes.n, 1);
    assert_int_equal(t->distances[0].v[0], 10);
    assert_int_equal(t->n_cores, 2);
    assert_int_equal(t->cores[1].id, 3);
    assert_true(t->cores[1].grade);
    assert_int_equal(t->cores[1].guess_speed, 2500);
    assert_int_equal(t->override_total_compute, 0);
}

static void test_canonicalize_keeps_the_compute_of_agents_without_cores(void **state)
{
    _cleanup_(node_freep) struct node *n = recorded_node(); /* 1.0 has CpuShares alone */
    const struct topology *t;

    (void)state;
    node_canonicalize(n);
    t = n->node_resources->processors.topology;
    assert_int_equal(t->n_cores, 0);
    assert_int_equal(t->override_total_compute, 5192);
    assert_int_equal(n->node_resources->cpu.cpu_shares, 5192);
}

static void test_canonicalize_makes_cpu_of_the_topology(void **state)
{
    (void)state;
    for (int override = 0; override <= 1; override++) {
        _cleanup_(node_freep) struct node *n = good_node();
        struct node_resources *r = n->node_resources = xnew0(struct node_resources);
        struct topology *t = r->processors.topology = xnew0(struct topology);

        *vec_add(&t->cores, &t->n_cores) =
            (struct cpu_core){.id = 0, .base_speed = 1000, .max_speed = 3000, .guess_speed = 9};
        *vec_add(&t->cores, &t->n_cores) =
            (struct cpu_core){.id = 1, .max_speed = 3000, .guess_speed = 9};
        *vec_add(&t->cores, &t->n_cores) = (struct cpu_core){.id = 2, .guess_speed = 500};
        *vec_add(&t->cores, &t->n_cores) =
            (struct cpu_core){.id = 3, .base_speed = 7777, .disable = true};
        t->override_total_compute = override ? 1234 : 0;
        node_canonicalize(n);
        assert_int_equal(r->cpu.cpu_shares, override ? 1234 : 4500);
        assert_int_equal(r->cpu.total_cpu_cores, 4);
        assert_int_equal(r->cpu.n_reservable_cpu_cores, 3);
        assert_int_equal(r->cpu.reservable_cpu_cores[2], 2);
    }
}

/* ---- events, drivers ---- */

static void test_add_event_keeps_the_newest(void **state)
{
    _cleanup_(node_freep) struct node *n = good_node();

    (void)state;
    for (uint64_t i = 1; i <= NODE_EVENTS_MAX + 5; i++) {
        struct node_event ev = {.message = (char *)"m", .create_index = i};

        node_add_event(n, &ev);
    }
    assert_int_equal(n->n_events, NODE_EVENTS_MAX);
    assert_int_equal(n->events[0].create_index, 6);
    assert_int_equal(n->events[NODE_EVENTS_MAX - 1].create_index, NODE_EVENTS_MAX + 5);
    assert_string_equal(n->events[0].message, "m");
}

static void test_driver_is_found_by_name(void **state)
{
    _cleanup_(node_freep) struct node *n = good_node();

    (void)state;
    assert_null(node_driver(n, "exec"));
    driver(n, "raw_exec")->detected = true;
    driver(n, "docker");
    assert_true(node_driver(n, "raw_exec")->detected);
    assert_string_equal(node_driver(n, "docker")->key, "docker");
    assert_null(node_driver(n, "java"));
}

/* ---- comparison ---- */

static struct node *copy_of(const struct node *n)
{
    struct node *c = node_new();

    ops_copy(&desc_node, c, n);
    return c;
}

/* a change that no comparison can miss */
static void touch(const struct field *f, struct node *n)
{
    void *at = field_at(f, n);

    switch (f->type) {
    case FT_STR:
        str_set(at, "touched");
        break;
    case FT_MAP:
        strmap_set(at, "touched", "x");
        break;
    case FT_BOOL:
        *(bool *)at ^= true;
        break;
    case FT_PTR:
        if (*(void **)at)
            ops_clear_field(f, n);
        else
            *(void **)at = xcalloc(1, f->sub->size);
        break;
    case FT_VEC:
        (void)vec_grow_(at, (size_t *)((char *)n + f->off_n), f->sub->size);
        break;
    case FT_MAPVEC:
        (void)ops_keyed_add(f->sub, at, (size_t *)((char *)n + f->off_n), "touched");
        break;
    default:
        ++*(int64_t *)at;
    }
}

static bool named_in(const char *name, const char *list)
{
    _cleanup_free_ char *padded = xasprintf(" %s ", name);

    return strstr(list, padded) != NULL;
}

static void test_each_field_counts_for_what_it_should(void **state)
{
    static const char placement[] =
        " Attributes Datacenter Drivers HostVolumes Meta Name NodeClass ";
    static const char servers[] =
        " ComputedClass CreateIndex Drain DrainStrategy Events IdentitySigningKeyID "
        "LastAllocUpdateIndex LastDrain LastMissedHeartbeatIndex ModifyIndex SchedulingEligibility "
        "Status StatusDescription StatusUpdatedAt ";

    (void)state;
    for (size_t i = 0; i < desc_node.n_fields; i++) {
        const struct field *f = &desc_node.fields[i];
        _cleanup_(node_freep) struct node *a = recorded_node(), *b = copy_of(a);

        assert_false(node_placement_changed(a, b));
        assert_false(node_registration_changed(a, b));
        touch(f, b);
        if (node_placement_changed(a, b) != named_in(f->name, placement))
            fail_msg("placement: %s", f->name);
        if (node_registration_changed(a, b) == named_in(f->name, servers))
            fail_msg("registration: %s", f->name);
    }
}

static void test_placement_sees_devices(void **state)
{
    _cleanup_(node_freep) struct node *a = recorded_node(), *b = copy_of(a);

    (void)state;
    b->node_resources->cpu.cpu_shares++;
    assert_false(node_placement_changed(a, b));
    vec_add(&b->node_resources->devices, &b->node_resources->n_devices)->name = xstrdup("t4");
    assert_true(node_placement_changed(a, b));
    assert_true(node_placement_changed(b, a));
    vec_add(&a->node_resources->devices, &a->node_resources->n_devices)->name = xstrdup("t5");
    assert_true(node_placement_changed(a, b));
    str_set(&a->node_resources->devices[0].name, "t4");
    assert_false(node_placement_changed(a, b));
}

static void test_registration_ignores_update_times_and_free_bytes(void **state)
{
    _cleanup_(node_freep) struct node *a = good_node(), *b = NULL;

    (void)state;
    driver(a, "exec")->healthy = true;
    b = copy_of(a);
    b->drivers[0].update_time = gotime_from_unix_ns(5);
    strmap_set(&b->attributes, "unique.storage.bytesfree", "99");
    assert_false(node_registration_changed(a, b));
    assert_true(strmap_remove(&b->attributes, "unique.storage.bytesfree"));
    assert_false(node_registration_changed(a, b));
    assert_false(node_registration_changed(b, a));
    strmap_set(&b->attributes, "zzz", "behind the one that does not count");
    assert_true(node_registration_changed(a, b));
    assert_true(strmap_remove(&b->attributes, "zzz"));
    str_set(&b->drivers[0].health_description, "Healthy");
    assert_true(node_registration_changed(a, b));
    b->drivers[0].health_description = mem_free(b->drivers[0].health_description);
    b->drivers[0].key[0] = 'x';
    assert_true(node_registration_changed(a, b));
}

static void test_free_bytes_as_last_attribute_do_not_count(void **state)
{
    _cleanup_(node_freep) struct node *a = node_new(), *b = node_new();

    (void)state;
    strmap_set(&a->attributes, "unique.storage.bytesfree", "1");
    assert_false(node_registration_changed(a, b));
    assert_false(node_registration_changed(b, a));
    strmap_set(&b->attributes, "unique.storage.bytesfree", "2");
    assert_false(node_registration_changed(a, b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stub_has_the_host_of_the_address),
        cmocka_unit_test(test_stub_is_a_copy),
        cmocka_unit_test(test_stub_leaves_out_what_nobody_asked_for),
        cmocka_unit_test(test_stub_tells_no_drivers_from_an_empty_map),
        cmocka_unit_test(test_registration_needs_its_fields_in_order),
        cmocka_unit_test(test_registration_checks_words_and_ids),
        cmocka_unit_test(test_registration_limits_pool_names),
        cmocka_unit_test(test_status_words),
        cmocka_unit_test(test_canonicalize_sets_defaults),
        cmocka_unit_test(test_canonicalize_makes_node_networks),
        cmocka_unit_test(test_canonicalize_makes_the_topology),
        cmocka_unit_test(test_canonicalize_keeps_the_compute_of_agents_without_cores),
        cmocka_unit_test(test_canonicalize_makes_cpu_of_the_topology),
        cmocka_unit_test(test_add_event_keeps_the_newest),
        cmocka_unit_test(test_driver_is_found_by_name),
        cmocka_unit_test(test_each_field_counts_for_what_it_should),
        cmocka_unit_test(test_placement_sees_devices),
        cmocka_unit_test(test_registration_ignores_update_times_and_free_bytes),
        cmocka_unit_test(test_free_bytes_as_last_attribute_do_not_count),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
