#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "drivers/rows.h"
#include "tests/support/probe_ctx.h"

static struct fp *raw_exec(const char *option, const char *plugin)
{
    struct probe_conf c = {0};
    struct fp *fp;

    if (option)
        strmap_set(&c.options, "driver.raw_exec.enable", option);
    if (plugin)
        strmap_set(&c.plugins, "raw_exec", plugin);
    fp = probe_once(&driver_raw_exec.probe, "", &c);
    ops_clear(&desc_probe_conf, &c);
    return fp;
}

static void is(const char *option, const char *plugin, bool on)
{
    _cleanup_fp_ struct fp *fp = raw_exec(option, plugin);
    const struct driver_info *d = &fp->drivers[0];

    assert_int_equal(fp->n_drivers, 1);
    assert_string_equal(d->key, "raw_exec");
    assert_int_equal(d->detected, on);
    assert_int_equal(d->healthy, on);
    assert_string_equal(d->health_description, on ? "Healthy" : "disabled");
    assert_int_equal(d->attributes.n, on ? 1 : 0);
    if (on)
        assert_string_equal(strmap_get(&d->attributes, "driver.raw_exec"), "true");
}

static void test_raw_exec_is_off_by_itself(void **state)
{
    _cleanup_fp_ struct fp *fp = raw_exec(NULL, NULL);

    (void)state;
    is(NULL, NULL, false);
    assert_non_null(strstr(why_first_failed(fp->whys, fp->n_whys)->fix, "enabled = true"));
}

static void test_raw_exec_is_enabled_by_option_or_plugin(void **state)
{
    (void)state;
    is("true", NULL, true);
    is("1", NULL, true);
    is("yes", NULL, false);
    is(NULL, "{\"enabled\":true}", true);
    is(NULL, "{\"enabled\":true,\"no_cgroups\":true}", true);
}

static void test_raw_exec_plugin_block_replaces_the_option(void **state)
{
    (void)state;
    is("true", "{}", false);
    is("true", "{\"enabled\":false}", false);
    is("false", "{\"enabled\":true}", true);
}

static void test_raw_exec_bad_block_is_told(void **state)
{
    _cleanup_fp_ struct fp *fp = raw_exec("true", "{\"enabled\":\"maybe\"}");

    (void)state;
    assert_false(fp->drivers[0].detected);
    assert_string_equal(why_first_failed(fp->whys, fp->n_whys)->id, "config");
}

static void test_raw_exec_denied_has_no_entry(void **state)
{
    struct probe_conf c = {0};
    _cleanup_fp_ struct fp *fp = NULL;

    (void)state;
    strmap_set(&c.options, "driver.allowlist", "docker");
    fp = probe_once(&driver_raw_exec.probe, "", &c);
    assert_int_equal(fp->n_drivers, 0);
    ops_clear(&desc_probe_conf, &c);
}

static void test_drivers_are_named_as_their_probes(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_drivers_rows; i++) {
        _cleanup_free_ char *name = xasprintf("driver.%s", drivers[i]->name);

        assert_string_equal(drivers[i]->probe.name, name);
        assert_true(*drivers[i]->probe.summary && drivers[i]->probe.deadline_ms > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_raw_exec_is_off_by_itself),
        cmocka_unit_test(test_raw_exec_is_enabled_by_option_or_plugin),
        cmocka_unit_test(test_raw_exec_plugin_block_replaces_the_option),
        cmocka_unit_test(test_raw_exec_bad_block_is_told),
        cmocka_unit_test(test_raw_exec_denied_has_no_entry),
        cmocka_unit_test(test_drivers_are_named_as_their_probes),
    };

    return cmocka_run_group_tests_name("drivers/raw_exec", tests, NULL, NULL);
}
