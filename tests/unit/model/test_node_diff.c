#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/str.h"
#include "base/vec.h"
#include "codec/ops.h"
#include "model/node.h"

struct fixture {
    struct node *a, *b;
    char **facts;
    size_t n;
};

static struct node *new_node(void)
{
    struct node *n = node_new();

    n->node_resources = xnew0(struct node_resources);
    n->resources = xnew0(struct legacy_resources);
    strmap_set(&n->attributes, "kernel.name", "linux");
    strmap_set(&n->attributes, "os.name", "debian");
    strmap_set(&n->meta, "rack", "r1");
    (void)ops_keyed_add(&desc_driver_info, &n->drivers, &n->n_drivers, "docker");
    (void)ops_keyed_add(&desc_driver_info, &n->drivers, &n->n_drivers, "raw_exec");
    (void)ops_keyed_add(&desc_host_volume, &n->host_volumes, &n->n_host_volumes, "data");
    return n;
}

static int setup(void **state)
{
    struct fixture *f = xnew0(struct fixture);

    f->a = new_node();
    f->b = new_node();
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    (void)node_free(f->a);
    (void)node_free(f->b);
    strv_done(&f->facts, &f->n);
    free(f);
    return 0;
}

static void on_fact(void *arg, const char *fact)
{
    struct fixture *f = arg;

    strv_add(&f->facts, &f->n, fact);
}

/* all facts that differ, with blanks in between; agrees with node_registration_changed() */
static char *diff(struct fixture *f)
{
    char *text = xstrdup("");

    strv_done(&f->facts, &f->n);
    node_each_change(f->a, f->b, on_fact, f);
    for (size_t i = 0; i < f->n; i++) {
        char *more = xasprintf("%s%s%s", text, i ? " " : "", f->facts[i]);

        free(text);
        text = more;
    }
    assert_int_equal(node_registration_changed(f->a, f->b), f->n > 0);
    return text;
}

#define assert_diff(f, expected)                                                                   \
    do {                                                                                           \
        _cleanup_free_ char *text_ = diff(f);                                                      \
        assert_string_equal(text_, (expected));                                                    \
    } while (0)

static void test_equal_nodes(void **state)
{
    struct fixture *f = *state;

    assert_diff(f, "");
    strmap_set(&f->b->attributes, "unique.storage.bytesfree", "1");
    assert_diff(f, "");
    strmap_set(&f->a->attributes, "unique.storage.bytesfree", "2");
    assert_diff(f, "");
    f->b->drivers[0].update_time = gotime_from_unix_ns(1);
    f->b->modify_index = 7;
    str_set(&f->b->status, "ready");
    assert_diff(f, "");
}

static void test_each_kind_is_named(void **state)
{
    struct fixture *f = *state;

    strmap_set(&f->b->attributes, "os.name", "ubuntu");
    strmap_set(&f->b->attributes, "os.version", "24.04");
    (void)strmap_remove(&f->b->attributes, "kernel.name");
    str_set(&f->b->datacenter, "dc2");
    f->b->drivers[1].healthy = true;
    str_set(&f->b->host_volumes[0].path, "/srv");
    strmap_set(&f->b->links, "aws.ec2", "x");
    strmap_set(&f->b->meta, "rack", "r2");
    f->b->node_resources->memory.memory_mb = 1;
    f->b->resources->memory_mb = 1;
    assert_diff(f, "Attributes.kernel.name Attributes.os.name Attributes.os.version Datacenter "
                   "Drivers.raw_exec HostVolumes.data Links.aws.ec2 Meta.rack "
                   "NodeResources.Memory");
}

static void test_what_comes_and_goes(void **state)
{
    struct fixture *f = *state;

    (void)ops_keyed_add(&desc_driver_info, &f->b->drivers, &f->b->n_drivers, "exec");
    (void)ops_keyed_add(&desc_host_volume, &f->a->host_volumes, &f->a->n_host_volumes, "a");
    (void)ops_keyed_add(&desc_host_volume, &f->b->host_volumes, &f->b->n_host_volumes, "z");
    assert_diff(f, "Drivers.exec HostVolumes.a HostVolumes.z");
}

static void test_attributes_of_a_driver_are_the_driver(void **state)
{
    struct fixture *f = *state;

    strmap_set(&f->b->attributes, "driver.docker", "1");
    strmap_set(&f->b->attributes, "driver.docker.version", "24");
    assert_diff(f, "Drivers.docker Drivers.docker");
}

static void test_resources_that_are_not_there(void **state)
{
    struct fixture *f = *state;

    free(f->b->node_resources);
    f->b->node_resources = NULL;
    assert_diff(f, "NodeResources");
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_equal_nodes),
        TEST(test_each_kind_is_named),
        TEST(test_what_comes_and_goes),
        TEST(test_attributes_of_a_driver_are_the_driver),
        TEST(test_resources_that_are_not_there),
    };

    return cmocka_run_group_tests_name("model/node_diff", tests, NULL, NULL);
}
