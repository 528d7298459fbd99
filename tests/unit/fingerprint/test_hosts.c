/* The fast probes over the fixture trees of tests/data/hosts: what each finds stands in expect.txt
 * beside it.  UPDATE_EXPECT=1 writes the files anew; look at the difference before committing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/file.h"
#include "fingerprint/rows.h"
#include "tests/support/probe_ctx.h"

enum { TEXT_MAX = 1024 * 1024 };

static const struct probe *const fast[] = {&probe_cgroup, &probe_cpu, &probe_host, &probe_memory,
                                           &probe_network};

static void write_topology(struct buf *b, const struct topology *t)
{
    buf_add_str(b, "nodes");
    for (size_t i = 0; i < t->nodes.n; i++)
        buf_printf(b, " %u", t->nodes.p[i]);
    for (size_t i = 0; i < t->n_distances; i++) {
        buf_add_str(b, "\ndistances");
        for (size_t j = 0; j < t->distances[i].n; j++)
            buf_printf(b, " %lld", (long long)t->distances[i].v[j]);
    }
    for (size_t i = 0; i < t->n_cores; i++) {
        const struct cpu_core *c = &t->cores[i];

        buf_printf(b, "\ncore %llu node %llu socket %llu %s base %llu max %llu guess %llu",
                   (unsigned long long)c->id, (unsigned long long)c->node_id,
                   (unsigned long long)c->socket_id, c->grade ? "performance" : "efficiency",
                   (unsigned long long)c->base_speed, (unsigned long long)c->max_speed,
                   (unsigned long long)c->guess_speed);
    }
    for (size_t i = 0; i < t->bus_associativity.n; i++)
        buf_printf(b, "\nbus %s node %lld", t->bus_associativity.items[i].key,
                   (long long)t->bus_associativity.items[i].value);
    buf_add_str(b, "\n");
}

static void write_resources(struct buf *b, const struct fp *fp)
{
    if (fp->cpu)
        buf_printf(b, "cpu shares %lld cores %llu reservable %zu\n", (long long)fp->cpu->cpu_shares,
                   (unsigned long long)fp->cpu->total_cpu_cores, fp->cpu->n_reservable_cpu_cores);
    if (fp->topology)
        write_topology(b, fp->topology);
    if (fp->memory)
        buf_printf(b, "memory %lld MB\n", (long long)fp->memory->memory_mb);
    for (size_t i = 0; i < fp->n_networks; i++)
        buf_printf(b, "network %s %s %s %s %lld\n", fp->networks[i].mode, fp->networks[i].device,
                   fp->networks[i].ip, fp->networks[i].cidr, (long long)fp->networks[i].mbits);
    for (size_t i = 0; i < fp->n_node_networks; i++) {
        const struct node_network_resource *n = &fp->node_networks[i];

        buf_printf(b, "node network %s [%s] %lld\n", n->device, n->mac_address,
                   (long long)n->speed);
        for (size_t j = 0; j < n->n_addresses; j++)
            buf_printf(b, "  %s %s %s\n", n->addresses[j].alias, n->addresses[j].family,
                       n->addresses[j].address);
    }
}

static void write_result(struct buf *b, const struct fp *fp)
{
    if (!fp->ok)
        buf_printf(b, "FAILED %s\n", fp->error);
    for (size_t i = 0; i < fp->attributes.n; i++)
        buf_printf(b, "%s = %s\n", fp->attributes.items[i].key, fp->attributes.items[i].value);
    write_resources(b, fp);
    for (size_t i = 0; i < fp->n_whys; i++) {
        const struct why *w = &fp->whys[i];

        buf_printf(b, "(%s) %s %s: %s\n", why_result_name(w->result), w->id, w->looked, w->found);
    }
}

static void check_host(const char *name)
{
    _cleanup_free_ char *root = xasprintf("tests/data/hosts/%s", name);
    _cleanup_free_ char *path = xasprintf("%s/expect.txt", root), *want = NULL;
    _cleanup_buf_ struct buf b = BUF_INIT(TEXT_MAX);

    for (size_t i = 0; i < ARRAY_LEN(fast); i++) {
        _cleanup_fp_ struct fp *fp = probe_once(fast[i], root, NULL);

        buf_printf(&b, "%s[%s]\n", i ? "\n" : "", fast[i]->name);
        write_result(&b, fp);
    }
    if (getenv("UPDATE_EXPECT"))
        assert_int_equal(file_write_atomic(path, b.p, b.len, 0644, NULL), 0);
    assert_int_equal(file_read(path, TEXT_MAX, &want, NULL), 0);
    assert_string_equal(buf_str(&b), want);
}

static void test_host_virtual_machine_without_cpufreq(void **state)
{
    (void)state;
    check_host("vm-debian");
}

static void test_host_two_sockets_with_numa(void **state)
{
    (void)state;
    check_host("numa-rocky");
}

static void test_host_intel_hybrid(void **state)
{
    (void)state;
    check_host("hybrid-ubuntu");
}

static void test_host_big_little_ipv6_only(void **state)
{
    (void)state;
    check_host("arm-alpine");
}

static void test_host_speed_known_to_firmware_only(void **state)
{
    (void)state;
    check_host("cloud-arm-nixos");
}

static void test_host_offline_cores(void **state)
{
    (void)state;
    check_host("offline-amazon");
}

static void test_host_that_tells_nothing(void **state)
{
    (void)state;
    check_host("bare");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_host_virtual_machine_without_cpufreq),
        cmocka_unit_test(test_host_two_sockets_with_numa),
        cmocka_unit_test(test_host_intel_hybrid),
        cmocka_unit_test(test_host_big_little_ipv6_only),
        cmocka_unit_test(test_host_speed_known_to_firmware_only),
        cmocka_unit_test(test_host_offline_cores),
        cmocka_unit_test(test_host_that_tells_nothing),
    };

    return cmocka_run_group_tests_name("fingerprint/hosts", tests, NULL, NULL);
}
