#include "agent/collect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/str.h"
#include "base/vec.h"
#include "codec/ops.h"
#include "model/attrs.h"

#define ID     "f7476465-4d6e-c0de-26d0-e383c49be941"
#define SECRET "0123abcd-1111-2222-3333-444455556666"
#define ADDR   "10.1.2.3:4646"

enum { CPU, MEMORY, STORAGE, NETWORK, DOCKER, N_PROBES };

struct fixture {
    struct conf conf;
    struct fp *fp[N_PROBES];
    struct probe_status st[N_PROBES];
    struct collect *c;
};

static void add_network(struct fp *fp, const char *device, const char *address)
{
    struct network_resource *n = vec_add(&fp->networks, &fp->n_networks);
    struct node_network_resource *nn = vec_add(&fp->node_networks, &fp->n_node_networks);
    struct node_network_address *a;

    n->mode = xstrdup("host");
    n->device = xstrdup(device);
    n->ip = xstrdup(address);
    n->mbits = 1000;
    nn->mode = xstrdup("host");
    nn->device = xstrdup(device);
    a = vec_add(&nn->addresses, &nn->n_addresses);
    a->family = xstrdup("ipv4");
    a->alias = xstrdup("default");
    a->address = xstrdup(address);
}

static void set_driver(struct fp *fp, const char *name, bool detected, bool healthy,
                       const char *text)
{
    struct driver_info *d;

    for (size_t i = 0; i < fp->n_drivers; i++)
        ops_clear(&desc_driver_info, &fp->drivers[i]);
    fp->n_drivers = 0;
    free(fp->drivers);
    fp->drivers = NULL;
    d = vec_add(&fp->drivers, &fp->n_drivers);
    d->key = xstrdup(name);
    d->detected = detected;
    d->healthy = healthy;
    d->health_description = xstrdup(text);
    if (detected) {
        strmap_set(&d->attributes, "driver.docker", "true");
        strmap_set(&d->attributes, "driver.docker.version", "20.10.24");
    }
}

static void good(struct fixture *f, int i, const char *name)
{
    f->fp[i] = fp_new(name);
    f->fp[i]->ok = true;
    f->st[i] = (struct probe_status){
        .name = f->fp[i]->probe, .state = PROBE_GOOD, .fp = f->fp[i], .reason = ""};
}

static int setup(void **state)
{
    struct fixture *f = xnew0(struct fixture);

    f->conf.datacenter = xstrdup("dc7");
    f->conf.name = xstrdup("host-a");
    f->conf.client.node_class = xstrdup("edge");
    strmap_set(&f->conf.client.meta, "rack", "r1");
    strmap_set(&f->conf.client.meta, "connect.log_level", "debug");
    f->conf.client.reserved_cpu = 100;
    f->conf.client.reserved_memory = 64;
    f->conf.client.reserved_disk = 10;
    f->conf.client.reserved_ports = xstrdup("22,80-82");
    f->conf.client.reserved_cores = xstrdup("0,2-3");

    good(f, CPU, "cpu");
    fp_set(f->fp[CPU], "cpu.totalcompute", "8000", "/proc/cpuinfo");
    f->fp[CPU]->cpu = xnew0(struct node_cpu);
    f->fp[CPU]->cpu->cpu_shares = 8000;
    f->fp[CPU]->cpu->total_cpu_cores = 4;
    f->fp[CPU]->topology = xnew0(struct topology);
    for (int i = 0; i < 4; i++) {
        struct cpu_core *core =
            vec_add(&f->fp[CPU]->topology->cores, &f->fp[CPU]->topology->n_cores);

        core->id = (uint64_t)i;
        core->grade = true;
        core->base_speed = 2000;
    }
    good(f, MEMORY, "memory");
    f->fp[MEMORY]->memory = xnew0(struct node_memory);
    f->fp[MEMORY]->memory->memory_mb = 4096;
    good(f, STORAGE, "storage");
    f->fp[STORAGE]->disk = xnew0(struct node_disk);
    f->fp[STORAGE]->disk->disk_mb = 50000;
    fp_set(f->fp[STORAGE], "unique.storage.bytesfree", "1000", "statvfs");
    good(f, NETWORK, "network");
    add_network(f->fp[NETWORK], "eth0", "10.1.2.3");
    good(f, DOCKER, "driver.docker");
    set_driver(f->fp[DOCKER], "docker", true, true, "Healthy");
    f->c = collect_new(&(struct collect_opts){
        .conf = &f->conf, .node_id = ID, .secret_id = SECRET, .http_addr = ADDR});
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < N_PROBES; i++)
        (void)fp_free(f->fp[i]);
    (void)collect_free(f->c);
    strmap_done(&f->conf.client.meta);
    strmap_done(&f->conf.client.options);
    free(f->conf.datacenter);
    free(f->conf.name);
    free(f->conf.client.node_class);
    free(f->conf.client.reserved_ports);
    free(f->conf.client.reserved_cores);
    free(f->conf.client.reservable_cores);
    free(f);
    return 0;
}

static const struct node *merged(struct fixture *f)
{
    (void)collect_merge(f->c, f->st, N_PROBES);
    return collect_snap(f->c)->node;
}

static const char *attr(const struct node *n, const char *key)
{
    return strmap_get(&n->attributes, key);
}

static void test_skeleton_comes_from_the_configuration(void **state)
{
    struct fixture *f = *state;
    const struct node *n = merged(f);

    assert_string_equal(n->id, ID);
    assert_string_equal(n->secret_id, SECRET);
    assert_string_equal(n->http_addr, ADDR);
    assert_string_equal(n->datacenter, "dc7");
    assert_string_equal(n->name, "host-a");
    assert_string_equal(n->node_class, "edge");
    assert_string_equal(n->node_pool, "default");
    assert_string_equal(n->status, "initializing");
    assert_string_equal(strmap_get(&n->meta, "rack"), "r1");
    assert_string_equal(strmap_get(&n->meta, "connect.log_level"), "debug");
    assert_string_equal(strmap_get(&n->meta, "connect.sidecar_image"),
                        "docker.io/envoyproxy/envoy:v${NOMAD_envoy_version}");
    assert_string_equal(strmap_get(&n->meta, "connect.proxy_concurrency"), "1");
    assert_string_equal(strmap_get(&n->meta, "connect.transparent_proxy.default_uid"), "101");
    assert_int_equal(n->meta.n, 7);
}

static void test_servers_own_fields_stay_zero(void **state)
{
    const struct node *n = merged(*state);

    assert_null(n->drain_strategy);
    assert_null(n->last_drain);
    assert_int_equal(n->n_events, 0);
    assert_int_equal(n->create_index + n->modify_index + n->last_missed_heartbeat_index, 0);
    assert_int_equal(n->status_updated_at, 0);
    assert_true(str_empty(n->computed_class));
}

static void test_no_tasks_yet_means_ineligible(void **state)
{
    struct fixture *f = *state;
    const struct node *n;

    fp_set(f->fp[CPU], "nomad.service_discovery", "true", "conf");
    n = merged(f);
    assert_string_equal(n->scheduling_eligibility, "ineligible");
    assert_string_equal(attr(n, "nomad.service_discovery"), "false");
}

static void test_resources_have_every_form(void **state)
{
    const struct node *n = merged(*state);
    const struct node_resources *r = n->node_resources;

    assert_int_equal(r->cpu.cpu_shares, 8000);
    assert_int_equal(r->processors.topology->n_cores, 4);
    assert_int_equal(r->memory.memory_mb, 4096);
    assert_int_equal(r->disk.disk_mb, 50000);
    assert_int_equal(r->n_networks, 1);
    assert_string_equal(r->node_networks[0].addresses[0].address, "10.1.2.3");
    assert_int_equal(r->min_dynamic_port, 20000);
    assert_int_equal(r->max_dynamic_port, 32000);
    /* what old consumers read */
    assert_int_equal(n->resources->cpu, 8000);
    assert_int_equal(n->resources->memory_mb, 4096);
    assert_int_equal(n->resources->disk_mb, 50000);
    assert_int_equal(n->resources->iops, 0);
    assert_string_equal(n->resources->networks[0].ip, "10.1.2.3");
    assert_null(n->resources->devices);
}

static void test_reservations_are_sent_not_subtracted(void **state)
{
    struct fixture *f = *state;
    const struct reserved_resources *r = merged(f)->reserved_resources;

    assert_int_equal(r->cpu.cpu_shares, 100);
    assert_int_equal(r->memory.memory_mb, 64);
    assert_int_equal(r->disk.disk_mb, 10);
    assert_string_equal(r->networks.reserved_host_ports, "22,80-82");
    assert_int_equal(r->cpu.n_reserved_cpu_cores, 3);
    assert_int_equal(r->cpu.reserved_cpu_cores[2], 3);
    assert_int_equal(collect_snap(f->c)->node->reserved->cpu, 100);
    assert_int_equal(collect_snap(f->c)->node->node_resources->cpu.cpu_shares, 8000);
}

static void test_reservable_cores_win_over_reserved_ones(void **state)
{
    struct fixture *f = *state;

    f->conf.client.reservable_cores = xstrdup("1");
    assert_int_equal(merged(f)->reserved_resources->cpu.n_reserved_cpu_cores, 0);
}

static void test_detected_driver_is_one_in_attributes_and_true_in_its_own(void **state)
{
    const struct node *n = merged(*state);

    assert_string_equal(attr(n, "driver.docker"), "1");
    assert_string_equal(attr(n, "driver.docker.version"), "20.10.24");
    assert_int_equal(n->n_drivers, 1);
    assert_string_equal(n->drivers[0].key, "docker");
    assert_string_equal(strmap_get(&n->drivers[0].attributes, "driver.docker"), "true");
    assert_true(n->drivers[0].healthy);
    assert_false(gotime_is_zero(n->drivers[0].update_time));
}

static void test_daemon_that_goes_leaves_its_driver_unhealthy(void **state)
{
    struct fixture *f = *state;
    const struct node *n;

    (void)merged(f);
    set_driver(f->fp[DOCKER], "docker", false, false, "Failed to connect to docker daemon");
    for (int again = 0; again < 2; again++) { /* and stays so */
        assert_int_equal(collect_merge(f->c, f->st, N_PROBES), again == 0);
        n = collect_snap(f->c)->node;
        assert_string_equal(attr(n, "driver.docker"), "1");
        assert_string_equal(attr(n, "driver.docker.version"), "20.10.24");
        assert_true(n->drivers[0].detected);
        assert_false(n->drivers[0].healthy);
        assert_int_equal(n->drivers[0].attributes.n, 0);
        assert_string_equal(n->drivers[0].health_description, "Failed to connect to docker daemon");
    }
}

static void test_driver_never_seen_is_undetected(void **state)
{
    struct fixture *f = *state;
    const struct node *n;

    set_driver(f->fp[DOCKER], "docker", false, false, "Failed to connect to docker daemon");
    n = merged(f);
    assert_null(attr(n, "driver.docker"));
    assert_false(n->drivers[0].detected);
}

static void test_other_driver_that_goes_takes_its_attributes(void **state)
{
    struct fixture *f = *state;
    const struct node *n;

    set_driver(f->fp[DOCKER], "raw_exec", true, true, "Healthy");
    (void)merged(f);
    set_driver(f->fp[DOCKER], "raw_exec", false, false, "disabled");
    assert_true(collect_merge(f->c, f->st, N_PROBES));
    n = collect_snap(f->c)->node;
    assert_null(attr(n, "driver.raw_exec"));
    assert_false(n->drivers[0].detected);
}

static void test_driver_whose_probe_hangs_is_not_called_healthy(void **state)
{
    struct fixture *f = *state;
    const struct node *n;

    (void)merged(f);
    f->st[DOCKER].state = PROBE_TIMEOUT;
    f->st[DOCKER].stale = true;
    f->st[DOCKER].reason = "no answer on /var/run/docker.sock";
    assert_true(collect_merge(f->c, f->st, N_PROBES));
    n = collect_snap(f->c)->node;
    assert_string_equal(attr(n, "driver.docker"), "1");
    assert_true(n->drivers[0].detected);
    assert_false(n->drivers[0].healthy);
    assert_string_equal(n->drivers[0].health_description, "no answer on /var/run/docker.sock");
}

static void test_driver_without_a_result_is_listed_with_its_reason(void **state)
{
    struct fixture *f = *state;
    const struct node *n;

    f->st[DOCKER].fp = NULL;
    f->st[DOCKER].state = PROBE_NEVER;
    assert_int_equal(merged(f)->n_drivers, 0); /* it may still answer */
    f->st[DOCKER].state = PROBE_TIMEOUT;
    f->st[DOCKER].reason = "no answer on /var/run/docker.sock";
    assert_true(collect_merge(f->c, f->st, N_PROBES));
    n = collect_snap(f->c)->node;
    assert_int_equal(n->n_drivers, 1);
    assert_false(n->drivers[0].detected);
    assert_string_equal(n->drivers[0].health_description, "no answer on /var/run/docker.sock");
}

static void test_stale_probe_keeps_its_last_values(void **state)
{
    struct fixture *f = *state;

    (void)merged(f);
    f->st[MEMORY].state = PROBE_HUNG;
    f->st[MEMORY].stale = true;
    f->st[MEMORY].reason = "hangs on /sys";
    assert_false(collect_merge(f->c, f->st, N_PROBES));
    assert_int_equal(collect_snap(f->c)->node->node_resources->memory.memory_mb, 4096);
}

static void set_volumes(struct fp *fp, const char *a, const char *b)
{
    if (a)
        str_set(&fp_host_volume(fp, a)->path, "/srv/a");
    if (b)
        str_set(&fp_host_volume(fp, b)->path, "/srv/b");
}

/* what would be placed on a volume that hangs would hang too */
static void test_volume_that_hangs_is_not_to_be_had(void **state)
{
    struct fixture *f = *state;
    const struct node *n;

    set_volumes(f->fp[STORAGE], "remote", NULL);
    set_volumes(f->fp[CPU], "local", NULL);
    assert_int_equal(merged(f)->n_host_volumes, 2);
    f->st[STORAGE].state = PROBE_TIMEOUT;
    f->st[STORAGE].stale = true;
    f->st[STORAGE].reason = "hangs on /srv/b";
    n = merged(f);
    assert_int_equal(n->n_host_volumes, 1);
    assert_string_equal(n->host_volumes[0].key, "local");
    assert_int_equal(n->node_resources->disk.disk_mb, 50000); /* the rest stays */
    f->st[STORAGE].state = PROBE_FAILED;                      /* says nothing about it */
    assert_int_equal(merged(f)->n_host_volumes, 2);
    f->st[STORAGE].state = PROBE_HUNG;
    assert_int_equal(merged(f)->n_host_volumes, 1);
    f->st[STORAGE].state = PROBE_GOOD;
    f->st[STORAGE].stale = false;
    assert_int_equal(merged(f)->n_host_volumes, 2);
}

static void test_same_results_make_no_new_node(void **state)
{
    struct fixture *f = *state;
    const struct node_snap *first;

    assert_true(collect_merge(f->c, f->st, N_PROBES));
    first = collect_snap(f->c);
    assert_int_equal(first->serial, 1);
    assert_false(collect_merge(f->c, f->st, N_PROBES));
    assert_ptr_equal(collect_snap(f->c), first);
    fp_set(f->fp[CPU], "cpu.modelname", "other", "/proc/cpuinfo");
    assert_true(collect_merge(f->c, f->st, N_PROBES));
    assert_int_equal(collect_snap(f->c)->serial, 2);
}

static void test_free_space_is_refreshed_only_in_company(void **state)
{
    struct fixture *f = *state;

    (void)merged(f);
    fp_set(f->fp[STORAGE], "unique.storage.bytesfree", "900", "statvfs");
    assert_false(collect_merge(f->c, f->st, N_PROBES));
    assert_string_equal(attr(collect_snap(f->c)->node, "unique.storage.bytesfree"), "1000");
    f->fp[MEMORY]->memory->memory_mb = 8192;
    assert_true(collect_merge(f->c, f->st, N_PROBES));
    assert_string_equal(attr(collect_snap(f->c)->node, "unique.storage.bytesfree"), "900");
}

static void test_driver_time_alone_is_no_change(void **state)
{
    struct fixture *f = *state;

    f->fp[DOCKER]->drivers[0].update_time = gotime_from_unix_ns(INT64_C(1700000000000000000));
    (void)merged(f);
    f->fp[DOCKER]->drivers[0].update_time = gotime_from_unix_ns(INT64_C(1700000099000000000));
    assert_false(collect_merge(f->c, f->st, N_PROBES));
}

static void test_attribute_that_vanishes_is_gone(void **state)
{
    struct fixture *f = *state;

    fp_set(f->fp[CPU], "cpu.frequency", "2000", "/sys");
    assert_non_null(attr(merged(f), "cpu.frequency"));
    (void)strmap_remove(&f->fp[CPU]->attributes, "cpu.frequency");
    assert_true(collect_merge(f->c, f->st, N_PROBES));
    assert_null(attr(collect_snap(f->c)->node, "cpu.frequency"));
}

static void test_networks_are_built_anew_each_time(void **state)
{
    struct fixture *f = *state;

    (void)merged(f);
    fp_set(f->fp[CPU], "x", "y", "z");
    assert_int_equal(merged(f)->node_resources->n_networks, 1);
    assert_int_equal(collect_snap(f->c)->node->node_resources->n_node_networks, 1);
}

static void test_host_network_without_address_is_left_out(void **state)
{
    struct fixture *f = *state;
    struct fp *fp = f->fp[NETWORK];
    struct node_network_resource *nn = vec_add(&fp->node_networks, &fp->n_node_networks);

    nn->mode = xstrdup("host");
    nn->device = xstrdup("eth9");
    nn = vec_add(&fp->node_networks, &fp->n_node_networks);
    nn->mode = xstrdup("bridge");
    assert_int_equal(merged(f)->node_resources->n_node_networks, 2);
    assert_string_equal(collect_snap(f->c)->node->node_resources->node_networks[1].mode, "bridge");
}

static void test_without_any_result_the_node_can_still_register(void **state)
{
    struct fixture *f = *state;
    const struct node *n;
    struct err e = {0};

    for (int i = 0; i < N_PROBES; i++) {
        f->st[i].fp = NULL;
        f->st[i].state = PROBE_FAILED;
        f->st[i].reason = "crashed";
    }
    n = merged(f);
    assert_int_equal(node_validate_registration(n, &e), 0);
    assert_string_equal(attr(n, "nomad.version"), NOMAD_VERSION_DEFAULT);
    assert_string_equal(attr(n, "unique.advertise.address"), ADDR);
    /* newer servers dereference the topology that they make from this */
    assert_int_equal(n->node_resources->cpu.total_cpu_cores, 1);
    assert_int_equal(n->node_resources->cpu.cpu_shares, 1);
}

static void test_volumes_and_devices_are_in_stable_order(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = {"z", "a", "m"};
    const struct node *n;

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct host_volume *v =
            vec_add(&f->fp[STORAGE]->host_volumes, &f->fp[STORAGE]->n_host_volumes);
        struct node_device *d = vec_add(&f->fp[CPU]->devices, &f->fp[CPU]->n_devices);

        v->key = xstrdup(names[i]);
        v->name = xstrdup(names[i]);
        v->path = xstrdup("/srv");
        d->vendor = xstrdup("v");
        d->type = xstrdup("gpu");
        d->name = xstrdup(names[i]);
    }
    n = merged(f);
    assert_string_equal(n->host_volumes[0].key, "a");
    assert_string_equal(n->host_volumes[2].key, "z");
    assert_string_equal(n->node_resources->devices[0].name, "a");
    assert_string_equal(n->node_resources->devices[2].name, "z");
}

static void test_version_told_to_servers_can_be_chosen(void **state)
{
    struct fixture *f = *state;

    strmap_set(&f->conf.client.options, "picket.nomad_version", "1.6.3");
    assert_string_equal(attr(merged(f), "nomad.version"), "1.6.3");
}

static void test_snapshot_outlives_the_next_merge(void **state)
{
    struct fixture *f = *state;
    const struct node_snap *held;

    (void)merged(f);
    held = node_snap_ref(collect_snap(f->c));
    fp_set(f->fp[CPU], "x", "y", "z");
    assert_true(collect_merge(f->c, f->st, N_PROBES));
    assert_null(attr(held->node, "x"));
    (void)node_snap_unref(held);
}

static void test_probe_configuration_has_what_probes_need(void **state)
{
    struct fixture *f = *state;
    struct conf_volume vol = {.name = (char *)"data", .path = (char *)"/srv", .read_only = true};
    struct conf_plugin plugin = {.name = (char *)"raw_exec",
                                 .config_json = (char *)"{\"enabled\":true}"};
    struct probe_conf pc;

    f->conf.client.volumes = &vol;
    f->conf.client.n_volumes = 1;
    f->conf.plugins = &plugin;
    f->conf.n_plugins = 1;
    strmap_set(&f->conf.client.options, "driver.raw_exec.enable", "1");
    collect_probe_conf(&f->conf, ADDR, &pc);
    assert_string_equal(pc.http_addr, ADDR);
    assert_string_equal(pc.nomad_version, NOMAD_VERSION_DEFAULT);
    assert_string_equal(pc.picket_version, PICKET_VERSION);
    assert_false(pc.service_discovery);
    assert_int_equal(pc.reserved_cpu_mhz, 100);
    assert_string_equal(pc.volumes[0].path, "/srv");
    assert_true(pc.volumes[0].read_only);
    assert_string_equal(strmap_get(&pc.plugins, "raw_exec"), "{\"enabled\":true}");
    assert_string_equal(strmap_get(&pc.options, "driver.raw_exec.enable"), "1");
    ops_clear(&desc_probe_conf, &pc);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_skeleton_comes_from_the_configuration),
        TEST(test_servers_own_fields_stay_zero),
        TEST(test_no_tasks_yet_means_ineligible),
        TEST(test_resources_have_every_form),
        TEST(test_reservations_are_sent_not_subtracted),
        TEST(test_reservable_cores_win_over_reserved_ones),
        TEST(test_detected_driver_is_one_in_attributes_and_true_in_its_own),
        TEST(test_daemon_that_goes_leaves_its_driver_unhealthy),
        TEST(test_driver_never_seen_is_undetected),
        TEST(test_other_driver_that_goes_takes_its_attributes),
        TEST(test_driver_whose_probe_hangs_is_not_called_healthy),
        TEST(test_driver_without_a_result_is_listed_with_its_reason),
        TEST(test_stale_probe_keeps_its_last_values),
        TEST(test_volume_that_hangs_is_not_to_be_had),
        TEST(test_same_results_make_no_new_node),
        TEST(test_free_space_is_refreshed_only_in_company),
        TEST(test_driver_time_alone_is_no_change),
        TEST(test_attribute_that_vanishes_is_gone),
        TEST(test_networks_are_built_anew_each_time),
        TEST(test_host_network_without_address_is_left_out),
        TEST(test_without_any_result_the_node_can_still_register),
        TEST(test_volumes_and_devices_are_in_stable_order),
        TEST(test_version_told_to_servers_can_be_chosen),
        TEST(test_snapshot_outlives_the_next_merge),
        TEST(test_probe_configuration_has_what_probes_need),
    };

    return cmocka_run_group_tests_name("agent/collect", tests, NULL, NULL);
}
