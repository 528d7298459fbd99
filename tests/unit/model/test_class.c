/* The class hash: the worked example whose steps were checked against a 1.0.18 server, and what
 * does and does not count.  Recorded nodes are checked in test_golden. */
#include "model/class.h"

#include <setjmp.h>

#include <cmocka.h>

#include "base/vec.h"
#include "codec/ops.h"

static struct node *example(void)
{
    struct node *n = node_new();

    n->datacenter = xstrdup("dc1");
    strmap_set(&n->attributes, "kernel.name", "linux");
    strmap_set(&n->attributes, "driver.exec", "1");
    strmap_set(&n->attributes, "unique.hostname", "h");
    n->node_resources = xnew0(struct node_resources);
    n->node_pool = xstrdup("default");
    return n;
}

static void test_class_of_the_worked_example(void **state)
{
    _cleanup_(node_freep) struct node *n = example();
    _cleanup_free_ char *class = NULL;

    (void)state;
    assert_true(class_hash(n, false) == UINT64_C(2499114965947119734));
    assert_true(class_hash(n, true) == UINT64_C(11637786037773656479));
    class = node_computed_class(n);
    assert_string_equal(class, "v1:11637786037773656479");
}

static void test_class_without_resources(void **state)
{
    _cleanup_(node_freep) struct node *n = example();

    (void)state;
    ops_clear_field(desc_find(&desc_node, "NodeResources"), n);
    assert_true(class_hash(n, false) == UINT64_C(11430623305853044530));
}

static void test_class_ignores_what_is_unique(void **state)
{
    _cleanup_(node_freep) struct node *n = example();
    uint64_t before = class_hash(n, true);

    (void)state;
    strmap_set(&n->attributes, "unique.hostname", "other");
    strmap_set(&n->meta, "unique.rack", "7");
    str_set(&n->name, "name");
    str_set(&n->id, "id");
    n->node_resources->cpu.cpu_shares = 5;
    ((struct driver_info *)ops_keyed_add(&desc_driver_info, &n->drivers, &n->n_drivers, "exec"))
        ->healthy = true;
    assert_true(class_hash(n, true) == before);
    strmap_set(&n->attributes, "unique", "counts: no dot behind it");
    assert_false(class_hash(n, true) == before);
}

static void test_class_sees_what_the_scheduler_sees(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        _cleanup_(node_freep) struct node *n = example();
        uint64_t before = class_hash(n, true);

        switch (i) {
        case 0:
            str_set(&n->datacenter, "dc2");
            break;
        case 1:
            strmap_set(&n->attributes, "kernel.name", "Linux");
            break;
        case 2:
            strmap_set(&n->meta, "rack", "1");
            break;
        case 3:
            str_set(&n->node_class, "edge");
            break;
        default:
            str_set(&n->node_pool, "gpu");
        }
        assert_false(class_hash(n, true) == before);
    }
}

static void add_device(struct node *n, const char *name, int64_t memory)
{
    struct node_device *d = vec_add(&n->node_resources->devices, &n->node_resources->n_devices);
    struct device_attribute *a;

    d->vendor = xstrdup("nvidia");
    d->type = xstrdup("gpu");
    d->name = xstrdup(name);
    a = ops_keyed_add(&desc_device_attribute, &d->attributes, &d->n_attributes, "memory");
    a->int_val = xmemdup(&memory, sizeof(memory));
    a->unit = xstrdup("MiB");
}

static void test_class_depends_on_devices_and_their_order(void **state)
{
    _cleanup_(node_freep) struct node *ab = example(), *ba = example(), *other = example();
    uint64_t none = class_hash(ab, true);

    (void)state;
    add_device(ab, "a", 1);
    add_device(ab, "b", 2);
    add_device(ba, "b", 2);
    add_device(ba, "a", 1);
    add_device(other, "a", 1);
    add_device(other, "b", 3);
    assert_false(class_hash(ab, true) == none);
    assert_false(class_hash(ab, true) == class_hash(ba, true));
    assert_false(class_hash(ab, true) == class_hash(other, true));
    (void)vec_add(&ab->node_resources->devices[0].instances,
                  &ab->node_resources->devices[0].n_instances);
    add_device(ba, "c", 1);
    assert_false(class_hash(ab, true) == class_hash(ba, true));
}

static void test_class_tells_the_kinds_of_attributes_apart(void **state)
{
    uint64_t seen[5];
    bool yes = true;
    double one = 1;

    (void)state;
    for (int i = 0; i < 5; i++) {
        _cleanup_(node_freep) struct node *n = example();
        struct device_attribute *a;

        add_device(n, "a", 1);
        a = &n->node_resources->devices[0].attributes[0];
        if (i > 0)
            a->int_val = mem_free(a->int_val);
        if (i == 1)
            a->float_val = xmemdup(&one, sizeof(one));
        if (i == 2)
            a->string_val = xstrdup("1");
        if (i == 3)
            a->bool_val = xmemdup(&yes, sizeof(yes));
        seen[i] = class_hash(n, true);
        for (int k = 0; k < i; k++)
            assert_false(seen[k] == seen[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_class_of_the_worked_example),
        cmocka_unit_test(test_class_without_resources),
        cmocka_unit_test(test_class_ignores_what_is_unique),
        cmocka_unit_test(test_class_sees_what_the_scheduler_sees),
        cmocka_unit_test(test_class_depends_on_devices_and_their_order),
        cmocka_unit_test(test_class_tells_the_kinds_of_attributes_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
