#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "fingerprint/rows.h"
#include "fingerprint/smbios.h"
#include "tests/support/probe_ctx.h"

#define NUMA   "tests/data/hosts/numa-rocky"    /* 8 cores of 2100 MHz, even ones on node 0 */
#define HYBRID "tests/data/hosts/hybrid-ubuntu" /* 4 of 1900 MHz, 4 of 1400 MHz */

static const char *attr(const struct fp *fp, const char *key)
{
    return str_or_empty(strmap_get(&fp->attributes, key));
}

/* --- what the configuration changes --- */

static void test_cpu_reserved_cores_are_left_out(void **state)
{
    struct probe_conf c = {.reserved_cores = xstrdup("0-1,7")};
    _cleanup_fp_ struct fp *fp = probe_once(&probe_cpu, NUMA, &c);

    (void)state;
    assert_string_equal(attr(fp, "cpu.numcores"), "8");
    assert_string_equal(attr(fp, "cpu.reservablecores"), "5");
    assert_string_equal(attr(fp, "cpu.totalcompute"), "16800");
    assert_string_equal(attr(fp, "cpu.usablecompute"), "10500");
    assert_true(fp->topology->cores[0].disable);
    assert_false(fp->topology->cores[2].disable);
    assert_int_equal(fp->cpu->total_cpu_cores, 5);
    assert_int_equal(fp->cpu->n_reservable_cpu_cores, 5);
    assert_int_equal(fp->cpu->reservable_cpu_cores[0], 2);
    ops_clear(&desc_probe_conf, &c);
}

static void test_cpu_reservable_cores_win(void **state)
{
    struct probe_conf c = {.reserved_cores = xstrdup("0"), .reservable_cores = xstrdup("4-5")};
    _cleanup_fp_ struct fp *fp = probe_once(&probe_cpu, NUMA, &c);

    (void)state;
    assert_string_equal(attr(fp, "cpu.reservablecores"), "2");
    assert_string_equal(attr(fp, "cpu.usablecompute"), "4200");
    assert_int_equal(fp->cpu->reservable_cpu_cores[0], 4);
    assert_int_equal(fp->cpu->reservable_cpu_cores[1], 5);
    ops_clear(&desc_probe_conf, &c);
}

static void test_cpu_bad_core_list_is_told(void **state)
{
    struct probe_conf c = {.reserved_cores = xstrdup("0-x")};
    _cleanup_fp_ struct fp *fp = probe_once(&probe_cpu, NUMA, &c);

    (void)state;
    assert_string_equal(attr(fp, "cpu.reservablecores"), "8");
    assert_non_null(probe_why(fp, "conf"));
    assert_int_equal(probe_why(fp, "conf")->result, WHY_FAILED);
    ops_clear(&desc_probe_conf, &c);
}

static void test_cpu_reserved_mhz_are_withheld(void **state)
{
    struct probe_conf c = {.reserved_cpu_mhz = 800};
    _cleanup_fp_ struct fp *fp = probe_once(&probe_cpu, NUMA, &c);

    (void)state;
    assert_string_equal(attr(fp, "cpu.totalcompute"), "16800");
    assert_string_equal(attr(fp, "cpu.usablecompute"), "16000");
    assert_int_equal(fp->topology->override_withold_compute, 800);
}

/* Nomad's subtraction wraps around to a huge number */
static void test_cpu_reserving_more_than_all_leaves_nothing(void **state)
{
    struct probe_conf c = {.reserved_cpu_mhz = 1000000};
    _cleanup_fp_ struct fp *fp = probe_once(&probe_cpu, NUMA, &c);

    (void)state;
    assert_string_equal(attr(fp, "cpu.usablecompute"), "0");
}

static void test_cpu_total_compute_overrides_the_sums_only(void **state)
{
    struct probe_conf c = {.cpu_total_compute = 4321};
    _cleanup_fp_ struct fp *fp = probe_once(&probe_cpu, NUMA, &c);

    (void)state;
    assert_string_equal(attr(fp, "cpu.totalcompute"), "4321");
    assert_string_equal(attr(fp, "cpu.usablecompute"), "4321");
    assert_string_equal(attr(fp, "cpu.frequency"), "2100");
    assert_int_equal(fp->cpu->cpu_shares, 4321);
    assert_int_equal(fp->topology->override_total_compute, 4321);
}

/* --- where speeds come from --- */

static void test_cpu_says_where_the_speed_was_read(void **state)
{
    _cleanup_fp_ struct fp *fp = probe_once(&probe_cpu, HYBRID, NULL);

    (void)state;
    assert_string_equal(strmap_get(&fp->sources, "cpu.frequency.performance"),
                        "/sys/devices/system/cpu/cpu0/cpufreq/base_frequency");
}

static const char virtual_cpu[] = "processor\t: 0\nmodel name\t: X\ncpu MHz\t\t: 2596.990\n"
                                  "flags\t\t: fpu hypervisor\nbogomips\t: 5193.98\n\n";

static void speed_is(const char *root, const char *mhz, const char *source)
{
    _cleanup_fp_ struct fp *fp = probe_once(&probe_cpu, root, NULL);

    assert_string_equal(attr(fp, "cpu.frequency"), mhz);
    assert_string_equal(strmap_get(&fp->sources, "cpu.frequency"), source);
}

static void test_cpu_bogomips_before_the_default(void **state)
{
    _cleanup_free_ char *root = probe_root();

    (void)state;
    probe_put(root, "proc/cpuinfo", "processor\t: 0\nbogomips\t: 5000.00\n");
    speed_is(root, "2500", "bogomips in /proc/cpuinfo");
    probe_put(root, "proc/cpuinfo", "processor\t: 0\nBogoMIPS\t: 48.00\n"); /* ARM: a timer */
    speed_is(root, "1000", "the default");
}

/* what moves from one look to the next would register the node again and again */
static void test_cpu_momentary_speeds_come_last(void **state)
{
    _cleanup_free_ char *root = probe_root();

    (void)state;
    probe_put(root, "proc/cpuinfo",
              "processor\t: 0\ncpu MHz\t: 801.5\nflags\t: fpu\nbogomips\t: 4200.10\n");
    speed_is(root, "2100", "bogomips in /proc/cpuinfo");
    probe_put(root, "proc/cpuinfo",
              "processor\t: 0\ncpu MHz\t: 3801.5\n"
              "flags\t: aperfmperf hypervisor\nbogomips\t: 4200.10\n");
    speed_is(root, "2100", "bogomips in /proc/cpuinfo");
    probe_put(root, "proc/cpuinfo", "processor\t: 0\ncpu MHz\t: 801.5\nflags\t: fpu\n");
    speed_is(root, "801", "cpu MHz in /proc/cpuinfo");
}

static void test_cpu_nonsense_speeds_are_passed_over(void **state)
{
    _cleanup_free_ char *root = probe_root();

    (void)state;
    probe_put(root, "proc/cpuinfo", virtual_cpu);
    probe_put(root, "sys/devices/system/cpu/online", "0\n");
    probe_put(root, "sys/devices/system/cpu/cpu0/acpi_cppc/nominal_freq", "0\n");
    probe_put(root, "sys/devices/system/cpu/cpu0/cpufreq/base_frequency", "garbage\n");
    probe_put(root, "sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq", "99999999999\n");
    speed_is(root, "2596", "cpu MHz in /proc/cpuinfo");
}

static void test_cpu_nominal_speed_before_the_highest(void **state)
{
    _cleanup_free_ char *root = probe_root();

    (void)state;
    probe_put(root, "proc/cpuinfo", virtual_cpu);
    probe_put(root, "sys/devices/system/cpu/online", "0\n");
    probe_put(root, "sys/devices/system/cpu/cpu0/acpi_cppc/nominal_freq", "2000\n");
    probe_put(root, "sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq", "5700000\n");
    speed_is(root, "2000", "/sys/devices/system/cpu/cpu0/acpi_cppc/nominal_freq");
}

/* cores that other virtual machines would call "efficiency" because they have no sibling */
static void test_cpu_cores_without_siblings_are_not_small(void **state)
{
    _cleanup_fp_ struct fp *fp = probe_once(&probe_cpu, "tests/data/hosts/cloud-arm-nixos", NULL);

    (void)state;
    for (size_t i = 0; i < fp->topology->n_cores; i++)
        assert_true(fp->topology->cores[i].grade);
    assert_null(strmap_get(&fp->attributes, "cpu.numcores.efficiency"));
}

static void test_cpu_slightly_different_capacities_are_one_grade(void **state)
{
    _cleanup_free_ char *root = probe_root();
    _cleanup_fp_ struct fp *fp = NULL;

    (void)state;
    probe_put(root, "proc/cpuinfo", virtual_cpu);
    probe_put(root, "sys/devices/system/cpu/online", "0-1\n");
    probe_put(root, "sys/devices/system/cpu/cpu0/cpu_capacity", "1024\n");
    probe_put(root, "sys/devices/system/cpu/cpu1/cpu_capacity", "1009\n");
    fp = probe_once(&probe_cpu, root, NULL);
    assert_true(fp->topology->cores[1].grade);
}

/* --- SMBIOS tables --- */

static void test_smbios_of_anything_does_not_crash(void **state)
{
    static const uint8_t cut[] = {4, 0x30, 0, 4, 1};
    static const uint8_t no_end[] = {1, 4, 0, 0, 'a', 'b'};
    static const uint8_t short_head[] = {4, 3, 0, 0, 0, 0};

    (void)state;
    assert_int_equal(smbios_cpu_mhz(NULL, 0), 0);
    assert_int_equal(smbios_cpu_mhz(cut, sizeof(cut)), 0);
    assert_int_equal(smbios_cpu_mhz(no_end, sizeof(no_end)), 0);
    assert_int_equal(smbios_cpu_mhz(short_head, sizeof(short_head)), 0);
}

/* the first socket of this table is empty */
static void test_smbios_skips_empty_sockets(void **state)
{
    _cleanup_free_ char *table = NULL;
    size_t n;

    (void)state;
    assert_int_equal(file_read("tests/data/hosts/cloud-arm-nixos/sys/firmware/dmi/tables/DMI",
                               SMBIOS_TABLE_MAX, &table, &n),
                     0);
    assert_int_equal(smbios_cpu_mhz((const uint8_t *)table, n), 2600);
    for (size_t i = 0; i < n; i++) /* cut anywhere */
        assert_true(smbios_cpu_mhz((const uint8_t *)table, i) == 0 ||
                    smbios_cpu_mhz((const uint8_t *)table, i) == 2600);
}

/* --- the real host --- */

static void test_cpu_of_this_host_is_never_zero(void **state)
{
    _cleanup_fp_ struct fp *fp = probe_once(&probe_cpu, "", NULL);

    (void)state;
    assert_true(fp->cpu->cpu_shares > 0);
    assert_int_equal(fp->topology->n_cores, sysconf(_SC_NPROCESSORS_ONLN));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cpu_reserved_cores_are_left_out),
        cmocka_unit_test(test_cpu_reservable_cores_win),
        cmocka_unit_test(test_cpu_bad_core_list_is_told),
        cmocka_unit_test(test_cpu_reserved_mhz_are_withheld),
        cmocka_unit_test(test_cpu_reserving_more_than_all_leaves_nothing),
        cmocka_unit_test(test_cpu_total_compute_overrides_the_sums_only),
        cmocka_unit_test(test_cpu_says_where_the_speed_was_read),
        cmocka_unit_test(test_cpu_bogomips_before_the_default),
        cmocka_unit_test(test_cpu_momentary_speeds_come_last),
        cmocka_unit_test(test_cpu_nonsense_speeds_are_passed_over),
        cmocka_unit_test(test_cpu_nominal_speed_before_the_highest),
        cmocka_unit_test(test_cpu_cores_without_siblings_are_not_small),
        cmocka_unit_test(test_cpu_slightly_different_capacities_are_one_grade),
        cmocka_unit_test(test_smbios_of_anything_does_not_crash),
        cmocka_unit_test(test_smbios_skips_empty_sockets),
        cmocka_unit_test(test_cpu_of_this_host_is_never_zero),
    };

    return cmocka_run_group_tests_name("fingerprint/cpu", tests, NULL, NULL);
}
