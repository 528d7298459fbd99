#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>

#include "base/limits.h"
#include "codec/js.h"
#include "fingerprint/rows.h"
#include "tests/support/probe_ctx.h"

static struct fp *sample(void)
{
    struct fp *fp = fp_new("cpu");
    struct driver_info *d = fp_driver(fp, "docker");

    fp_set(fp, "cpu.arch", "amd64", "here");
    fp_set_local(fp, "speed.source", "guess", NULL);
    fp_why(fp, "socket", "/x", WHY_FAILED, "no such file", "make it");
    d->detected = true;
    str_set(&d->health_description, "Healthy");
    (void)fp_driver(fp, "a");
    (void)fp_driver(fp, "raw_exec");
    fp->took_us = 17;
    fp->memory = xnew0(struct node_memory);
    fp->memory->memory_mb = 512;
    return fp;
}

static void test_fp_empty_values_are_not_set(void **state)
{
    _cleanup_fp_ struct fp *fp = fp_new("x");

    (void)state;
    fp_set(fp, "a", "", "s");
    fp_set(fp, "b", NULL, "s");
    fp_setf(fp, "c", "s", "%s", "");
    fp_set_local(fp, "d", "", "s");
    assert_int_equal(fp->attributes.n, 0);
    assert_int_equal(fp->local.n, 0);
    assert_int_equal(fp->sources.n, 0);
    assert_true(fp->ok);
}

static void test_fp_drivers_and_volumes_stay_in_key_order(void **state)
{
    _cleanup_fp_ struct fp *fp = fp_new("x");

    (void)state;
    (void)fp_driver(fp, "m");
    (void)fp_driver(fp, "z");
    (void)fp_driver(fp, "a");
    assert_ptr_equal(fp_driver(fp, "m"), &fp->drivers[1]);
    assert_int_equal(fp->n_drivers, 3);
    assert_string_equal(fp->drivers[0].key, "a");
    assert_string_equal(fp->drivers[2].key, "z");
    (void)fp_host_volume(fp, "v2");
    (void)fp_host_volume(fp, "v1");
    (void)fp_host_volume(fp, "v2");
    assert_int_equal(fp->n_host_volumes, 2);
    assert_string_equal(fp->host_volumes[0].key, "v1");
}

static void test_fp_fail_says_what_and_why(void **state)
{
    _cleanup_fp_ struct fp *fp = fp_new("x");

    (void)state;
    assert_int_equal(fp_fail(fp, -EACCES, "cannot read %s", "/p"), -EACCES);
    assert_false(fp->ok);
    assert_string_equal(fp->error, "cannot read /p: Permission denied");
}

static void test_fp_record_round_trip(void **state)
{
    _cleanup_fp_ struct fp *fp = sample(), *got = NULL;
    _cleanup_buf_ struct buf b = BUF_INIT(PROBE_RECORD_MAX);
    size_t used, one;
    struct err e;

    (void)state;
    fp_write_record(&b, fp);
    one = b.len;
    fp_write_record(&b, fp); /* what follows is not touched */
    assert_int_equal(fp_read_record(b.p, b.len, &got, &used, &e), 0);
    assert_int_equal(used, one);
    assert_true(ops_equal(&desc_fp, fp, got));
    assert_string_equal(got->drivers[1].key, "docker");
    assert_string_equal(got->whys[0].fix, "make it");
}

static void test_fp_record_needs_all_its_bytes(void **state)
{
    _cleanup_fp_ struct fp *fp = sample();
    _cleanup_buf_ struct buf b = BUF_INIT(PROBE_RECORD_MAX);
    struct fp *got = NULL;
    size_t used;
    struct err e;

    (void)state;
    fp_write_record(&b, fp);
    for (size_t i = 0; i < b.len; i++)
        assert_int_equal(fp_read_record(b.p, i, &got, &used, &e), -EAGAIN);
    assert_null(got);
}

static void test_fp_record_refuses_what_is_wrong(void **state)
{
    static const uint8_t too_long[] = {0, 0x10, 0, 1, 0x80};
    static const uint8_t empty[] = {0, 0, 0, 0};
    static const uint8_t nameless[] = {0, 0, 0, 1, 0x80};
    static const uint8_t not_a_map[] = {0, 0, 0, 1, 0xc3};
    struct fp *got = NULL;
    size_t used;
    struct err e = {0};

    (void)state;
    assert_int_equal(fp_read_record(too_long, sizeof(too_long), &got, &used, &e), -EMSGSIZE);
    assert_non_null(strstr(e.text, "1048577"));
    assert_int_equal(fp_read_record(empty, sizeof(empty), &got, &used, &e), -EBADMSG);
    assert_int_equal(fp_read_record(nameless, sizeof(nameless), &got, &used, &e), -EBADMSG);
    assert_string_equal(e.text, "a record without the name of its probe");
    assert_true(fp_read_record(not_a_map, sizeof(not_a_map), &got, &used, &e) < 0);
    assert_null(got);
}

static void test_fp_json_leaves_out_what_is_not_there(void **state)
{
    _cleanup_fp_ struct fp *fp = fp_new("arch");
    _cleanup_buf_ struct buf b = BUF_INIT(65536);

    (void)state;
    js_encode(&b, &desc_fp, fp, 0);
    assert_string_equal(buf_str(&b), "{\"ok\":true,\"probe\":\"arch\",\"took_us\":0}");
}

/* --- options --- */

static void denied_is(const char *key, const char *value, const char *name, const char *want)
{
    struct probe_conf c = {0};
    _cleanup_free_ char *got = NULL;

    strmap_set(&c.options, key, value);
    got = probe_denied_by(&c, "driver", name);
    if (want)
        assert_string_equal(got, want);
    else
        assert_null(got);
    ops_clear(&desc_probe_conf, &c);
}

static void test_probe_lists_of_the_options(void **state)
{
    (void)state;
    denied_is("driver.denylist", "exec, docker", "docker", "driver.denylist = \"exec, docker\"");
    denied_is("driver.denylist", "exec", "docker", NULL);
    denied_is("driver.blacklist", "docker", "docker", "driver.blacklist = \"docker\"");
    denied_is("driver.allowlist", "exec", "docker", "driver.allowlist = \"exec\"");
    denied_is("driver.allowlist", "exec,docker", "docker", NULL);
    denied_is("driver.allowlist", " , ", "docker", NULL); /* an empty list allows all */
    denied_is("driver.whitelist", "exec", "docker", "driver.whitelist = \"exec\"");
    denied_is("fingerprint.denylist", "docker", "docker", NULL);
}

/* the first name that is there counts, as in Nomad */
static void test_probe_new_name_of_a_list_hides_the_old(void **state)
{
    struct probe_conf c = {0};

    (void)state;
    strmap_set(&c.options, "driver.denylist", "exec");
    strmap_set(&c.options, "driver.blacklist", "docker");
    assert_null(probe_denied_by(&c, "driver", "docker"));
    ops_clear(&desc_probe_conf, &c);
}

static void test_probe_option_bool_reads_as_go_does(void **state)
{
    static const struct {
        const char *text;
        bool on;
    } cases[] = {
        {"1",     true },
        {"t",     true },
        {"TRUE",  true },
        {"true",  true },
        {"0",     false},
        {"yes",   false},
        {"",      false},
        {"tRUE",  false},
        {"False", false},
        {"T",     true }
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct probe_conf c = {0};

        strmap_set(&c.options, "o", cases[i].text);
        assert_int_equal(probe_option_bool(&c, "o"), cases[i].on);
        assert_false(probe_option_bool(&c, "other"));
        ops_clear(&desc_probe_conf, &c);
    }
}

/* --- the table and the small rows --- */

static void test_probes_have_names_of_their_own_and_help(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_probes; i++) {
        assert_true(*probes[i]->name && *probes[i]->summary && probes[i]->deadline_ms > 0);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(probes[i]->name, probes[j]->name);
    }
}

static void test_version_and_signal(void **state)
{
    struct probe_conf c = {.http_addr = xstrdup("192.0.2.2:4646"), .service_discovery = true};

    (void)state;
    probe_conf_defaults(&c);
    {
        _cleanup_fp_ struct fp *fp = probe_once(&probe_version, "", &c);

        assert_string_equal(strmap_get(&fp->attributes, "nomad.version"), "1.10.5");
        assert_string_equal(strmap_get(&fp->attributes, "picket.version"), PICKET_VERSION);
        assert_string_equal(strmap_get(&fp->attributes, "unique.advertise.address"),
                            "192.0.2.2:4646");
        assert_string_equal(strmap_get(&fp->attributes, "nomad.service_discovery"), "true");
    }
    {
        _cleanup_fp_ struct fp *fp = probe_once(&probe_signal, "", &c);
        const char *text = strmap_get(&fp->attributes, "os.signals");
        char **v = NULL;
        size_t n = 0;

        strv_split(text, ",", &v, &n);
        assert_int_equal(n, 28);
        for (size_t i = 1; i < n; i++)
            assert_true(strcmp(v[i - 1], v[i]) < 0);
        strv_done(&v, &n);
    }
    ops_clear(&desc_probe_conf, &c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fp_empty_values_are_not_set),
        cmocka_unit_test(test_fp_drivers_and_volumes_stay_in_key_order),
        cmocka_unit_test(test_fp_fail_says_what_and_why),
        cmocka_unit_test(test_fp_record_round_trip),
        cmocka_unit_test(test_fp_record_needs_all_its_bytes),
        cmocka_unit_test(test_fp_record_refuses_what_is_wrong),
        cmocka_unit_test(test_fp_json_leaves_out_what_is_not_there),
        cmocka_unit_test(test_probe_lists_of_the_options),
        cmocka_unit_test(test_probe_new_name_of_a_list_hides_the_old),
        cmocka_unit_test(test_probe_option_bool_reads_as_go_does),
        cmocka_unit_test(test_probes_have_names_of_their_own_and_help),
        cmocka_unit_test(test_version_and_signal),
    };

    return cmocka_run_group_tests_name("fingerprint/fp", tests, NULL, NULL);
}
