/* Profiles: what is left of a node that was recorded, and what agents make of it. */
#include "sim/profile.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/str.h"
#include "codec/js.h"
#include "codec/mp.h"
#include "codec/ops.h"
#include "sim/scrub.h"
#include "tests/support/check.h"
#include "tests/support/data.h"

static const char *const shipped[] = {"big", "docker", "nomad-1.0", "picketd", "vm"};

static const char secret_node[] =
    "{\"ID\":\"f7476465-4d6e-c0de-26d0-e383c49be941\",\"SecretID\":\"s3cr3t\",\"Name\":\"web-17\","
    "\"Datacenter\":\"dc1\",\"HTTPAddr\":\"10.20.30.40:4646\",\"ModifyIndex\":77,"
    "\"Status\":\"ready\",\"Links\":{\"aws.ec2\":\"eu-central-1a.i-0abc\"},"
    "\"Events\":[{\"Message\":\"Node registered\"}],"
    "\"Meta\":{\"token\":\"hunter22\",\"connect.log_level\":\"info\"},"
    "\"Attributes\":{\"kernel.name\":\"linux\",\"driver.java.version\":\"11.0.2.1\","
    "\"driver.docker.bridge_ip\":\"172.17.0.1\",\"vault.cluster_id\":"
    "\"0f4a7d52-6f0e-9a3c-11d2-6a1d0a2b7c11\",\"consul.where\":\"on web-17, see "
    "http://10.1.1.1:8500/\","
    "\"unique.hostname\":\"web-17\",\"unique.advertise.address\":\"10.20.30.40:4646\","
    "\"unique.network.ip-address\":\"10.20.30.40\",\"unique.storage.volume\":\"/dev/sda1\","
    "\"unique.storage.bytestotal\":\"123\",\"unique.platform.aws.instance-id\":\"i-0abc\","
    "\"unique.platform.aws.mac\":\"06:11:22:33:44:55\",\"unique.v6\":\"2001:470::5\"},"
    "\"NodeResources\":{\"Devices\":[{\"Vendor\":\"nvidia\",\"Type\":\"gpu\",\"Name\":\"x\","
    "\"Instances\":[{\"ID\":\"GPU-11111111-2222-3333-4444-555555555555\"},"
    "{\"ID\":\"GPU-11111111-2222-3333-4444-666666666666\"}]}],"
    "\"Networks\":[{\"IP\":\"10.20.30.40\",\"CIDR\":\"10.20.30.40/32\",\"Mode\":\"host\"}]}}";

static struct node *scrubbed(const char *text)
{
    struct node *n = node_new();
    struct err e;

    assert_int_equal(js_decode(&desc_node, text, strlen(text), n, &e), 0);
    scrub_node(n);
    return n;
}

static const char *attr(const struct node *n, const char *key)
{
    return str_or_empty(strmap_get(&n->attributes, key));
}

static void test_ids_addresses_and_secrets_are_gone(void **state)
{
    _cleanup_buf_ struct buf b = BUF_INIT(SIM_PROFILE_MAX);
    static const char *const gone[] = {
        "f7476465", "s3cr3t",   "web-17", "10.20.30.40", "hunter22", "i-0abc",    "172.17",
        "0f4a7d52", "10.1.1.1", "06:11",  "2001:470",    "55555555", "registered"};
    struct err e;

    (void)state;
    assert_int_equal(scrub_json(secret_node, strlen(secret_node), &b, &e), 0);
    for (size_t i = 0; i < ARRAY_LEN(gone); i++)
        if (strstr(buf_str(&b), gone[i]))
            fail_msg("%s is still there", gone[i]);
}

static void test_places_stand_where_hosts_differ_constants_where_they_do_not(void **state)
{
    _cleanup_(node_freep) struct node *n = scrubbed(secret_node);

    (void)state;
    assert_string_equal(n->id, "{id}");
    assert_string_equal(n->name, "{name}");
    assert_string_equal(n->http_addr, "{ip}:4646");
    assert_string_equal(attr(n, "unique.hostname"), "{name}");
    assert_string_equal(attr(n, "unique.advertise.address"), "{ip}:4646");
    assert_string_equal(attr(n, "unique.network.ip-address"), "{ip}");
    assert_string_equal(attr(n, "unique.platform.aws.instance-id"), "{name}");
    assert_string_equal(attr(n, "unique.platform.aws.mac"), "{mac}");
    assert_string_equal(attr(n, "unique.v6"), "2001:db8::{number}");
    assert_string_equal(attr(n, "driver.docker.bridge_ip"), "192.0.2.1");
    assert_string_equal(attr(n, "vault.cluster_id"), "00000000-0000-0000-0000-000000000000");
    assert_string_equal(attr(n, "consul.where"), "on host, see http://192.0.2.1:8500/");
    assert_string_equal(n->node_resources->devices[0].instances[0].id, "GPU-{uuid:1}");
    assert_string_equal(n->node_resources->devices[0].instances[1].id, "GPU-{uuid:2}");
    assert_string_equal(n->node_resources->networks[0].cidr, "{ip}/32");
}

static void test_what_says_nothing_of_a_host_stays(void **state)
{
    _cleanup_(node_freep) struct node *n = scrubbed(secret_node);

    (void)state;
    assert_string_equal(attr(n, "kernel.name"), "linux");
    assert_string_equal(attr(n, "driver.java.version"), "11.0.2.1"); /* no address */
    assert_string_equal(attr(n, "unique.storage.volume"), "/dev/sda1");
    assert_string_equal(attr(n, "unique.storage.bytestotal"), "123");
    assert_string_equal(strmap_get(&n->meta, "token"), "xxxxxxxx");
    assert_string_equal(strmap_get(&n->meta, "connect.log_level"), "info");
    assert_string_equal(n->datacenter, "dc1");
}

static void test_what_servers_keep_is_left_out(void **state)
{
    _cleanup_(node_freep) struct node *n = scrubbed(secret_node);

    (void)state;
    assert_true(str_empty(n->secret_id) && str_empty(n->status));
    assert_int_equal(n->n_events, 0);
    assert_int_equal(n->modify_index, 0);
    assert_int_equal(n->links.n, 0);
}

static void test_scrubbing_twice_changes_nothing(void **state)
{
    _cleanup_buf_ struct buf once = BUF_INIT(SIM_PROFILE_MAX), twice = BUF_INIT(SIM_PROFILE_MAX);
    struct err e;

    (void)state;
    assert_int_equal(scrub_json(secret_node, strlen(secret_node), &once, &e), 0);
    assert_int_equal(scrub_json(buf_str(&once), once.len, &twice, &e), 0);
    assert_string_equal(buf_str(&once), buf_str(&twice));
}

static void test_what_is_no_node_is_refused(void **state)
{
    static const char *const texts[] = {"{}", "[]",      "null",      "{\"ID\":\"x\"}",
                                        "",   "no JSON", "{\"ID\":5}"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        _cleanup_buf_ struct buf b = BUF_INIT(SIM_PROFILE_MAX);
        struct err e = {0};

        assert_int_equal(scrub_json(texts[i], strlen(texts[i]), &b, &e), -EINVAL);
        assert_true(e.text[0]);
    }
}

static void test_recorded_nodes_become_profiles(void **state)
{
    static const char *const files[] = {"json/1.0.18/node-read.json", "json/1.10.5/node-read.json",
                                        "json/2.0.5/node-read.json"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        _cleanup_buf_ struct buf b = BUF_INIT(SIM_PROFILE_MAX);
        _cleanup_(profile_freep) struct profile *p = NULL;
        _cleanup_free_ char *text = NULL;
        struct err e;
        size_t n;

        text = data_read(files[i], &n);
        assert_int_equal(scrub_json(text, n, &b, &e), 0);
        assert_int_equal(profile_parse("x", buf_str(&b), b.len, &p, &e), 0);
        assert_false(profile_is_picketd(p));
    }
}

/* --- filling in --- */

static struct node *filled(struct profile *p, uint64_t number, uint64_t changes, struct ident *i)
{
    ident_make(1, "sim", number, i);
    return profile_fill(
        p, &(struct profile_fill){.ident = i, .status = "initializing", .changes = changes});
}

static struct profile *shipped_profile(const char *name)
{
    struct profile *p = NULL;
    struct err e = {0};

    if (profile_load("sim/profiles", name, &p, &e) < 0)
        fail_msg("%s", e.text);
    return p;
}

static void test_every_shipped_profile_is_a_valid_node(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(shipped); i++) {
        _cleanup_(profile_freep) struct profile *p = shipped_profile(shipped[i]);
        _cleanup_buf_ struct buf b = BUF_INIT(SIM_PROFILE_MAX);
        struct ident id;
        struct node *n = filled(p, 7, 0, &id);
        struct err e = {0};

        assert_int_equal(node_validate_registration(n, &e), 0);
        js_encode(&b, &desc_node, n, JS_SECRETS);
        if (strchr(buf_str(&b), '{') && strstr(buf_str(&b), "{name}"))
            fail_msg("%s: a place is left", shipped[i]);
        assert_true(b.len < NODE_PACKED_MAX);
        assert_int_equal(profile_is_picketd(p), str_eq(shipped[i], "picketd"));
    }
}

static void test_shipped_profiles_are_scrubbed(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(shipped); i++) {
        _cleanup_free_ char *path = xasprintf("sim/profiles/%s.json", shipped[i]), *text = NULL;
        _cleanup_buf_ struct buf b = BUF_INIT(SIM_PROFILE_MAX);
        struct err e;
        size_t n;

        assert_int_equal(file_read(path, SIM_PROFILE_MAX, &text, &n), 0);
        assert_int_equal(scrub_json(text, n, &b, &e), 0);
        assert_string_equal(buf_str(&b), text);
    }
}

static void test_agents_differ_and_share_a_class(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(shipped); i++) {
        _cleanup_(profile_freep) struct profile *p = shipped_profile(shipped[i]);
        _cleanup_free_ char *class_a = NULL, *class_b = NULL, *name = NULL, *id = NULL;
        struct ident a, b;
        struct node *n = filled(p, 1, 0, &a);

        (void)state;
        class_a = node_computed_class(n);
        name = xstrdup(n->name);
        id = xstrdup(n->id);
        n = filled(p, 2, 0, &b);
        class_b = node_computed_class(n);
        assert_string_not_equal(n->id, id);
        assert_string_not_equal(n->name, name);
        assert_string_equal(n->secret_id, b.secret);
        assert_string_equal(attr(n, "unique.hostname"), "sim-00002");
        /* 1.0 had the address of each node in its class */
        if (!str_eq(shipped[i], "nomad-1.0"))
            assert_string_equal(class_a, class_b);
    }
}

static void test_a_change_is_one_for_servers_too(void **state)
{
    _cleanup_(profile_freep) struct profile *p = shipped_profile("vm");
    struct node *copy = node_new();
    struct ident i;

    (void)state;
    ops_copy(&desc_node, copy, filled(p, 1, 0, &i));
    assert_false(node_registration_changed(copy, filled(p, 1, 0, &i)));
    assert_true(node_registration_changed(copy, filled(p, 1, 1, &i)));
    (void)node_free(copy);
}

static void test_fill_sets_what_the_fleet_says(void **state)
{
    _cleanup_(profile_freep) struct profile *p = shipped_profile("vm");
    struct profile_fill f = {.status = "ready", .eligible = true, .datacenter = "dc9"};
    struct ident i;
    struct node *n;

    (void)state;
    ident_make(1, "sim", 3, &i);
    f.ident = &i;
    n = profile_fill(p, &f);
    assert_string_equal(n->status, "ready");
    assert_string_equal(n->scheduling_eligibility, "eligible");
    assert_string_equal(n->datacenter, "dc9");
    f.eligible = false;
    assert_string_equal(profile_fill(p, &f)->scheduling_eligibility, "ineligible");
}

/* --- mixes --- */

static void test_a_mix_goes_by_weights(void **state)
{
    struct profile_mix m = {0};
    size_t n[2] = {0};
    struct err e;

    (void)state;
    assert_int_equal(profile_mix_load("sim/profiles", "docker=3,vm", &m, &e), 0);
    for (uint64_t i = 0; i < 4000; i++)
        n[str_eq(profile_name(profile_mix_pick(&m, 1, i)), "vm")]++;
    assert_in_range(n[1], 850, 1150);
    assert_ptr_equal(profile_mix_pick(&m, 1, 42), profile_mix_pick(&m, 1, 42));
    profile_mix_done(&m);
    assert_int_equal(profile_mix_load("sim/profiles", NULL, &m, &e), 0);
    assert_int_equal(m.n, ARRAY_LEN(shipped));
    profile_mix_done(&m);
}

static void test_bad_mixes_are_explained(void **state)
{
    static const struct {
        const char *folder, *mix, *text;
    } rows[] = {
        {"sim/profiles", "dokcer",
         "there is no profile \"dokcer\" in sim/profiles, did you mean \"docker\"?"                },
        {"sim/profiles", "vm=0",           "profile vm: \"0\" is no weight, which are 1 to 1000000"},
        {"sim/profiles", "vm=x",           "profile vm: \"x\" is no weight, which are 1 to 1000000"},
        {"sim/profiles", ",",              "there is no profile in \",\""                          },
        {"sim",          NULL,             "no profiles in sim"                                    },
        {NULL,           "vm",             "there is no profile \"vm\" in any folder (-profiles)"  },
        {"sim/profiles", "./missing.json",
         "profile ./missing.json: ./missing.json: No such file or directory"                       },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct profile_mix m = {0};
        struct err e = {0};

        assert_true(profile_mix_load(rows[i].folder, rows[i].mix, &m, &e) < 0);
        assert_string_equal(e.text, rows[i].text);
        assert_int_equal(m.n, 0);
    }
}

static void test_a_profile_that_is_none_is_refused(void **state)
{
    static const char *const texts[] = {"{", "{}", "{\"Attributes\":{\"a\":\"b\"}}"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct profile *p = NULL;
        struct err e = {0};

        assert_int_equal(profile_parse("mine", texts[i], strlen(texts[i]), &p, &e), -EINVAL);
        assert_true(str_starts(e.text, "profile mine: "));
        assert_null(p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ids_addresses_and_secrets_are_gone),
        cmocka_unit_test(test_places_stand_where_hosts_differ_constants_where_they_do_not),
        cmocka_unit_test(test_what_says_nothing_of_a_host_stays),
        cmocka_unit_test(test_what_servers_keep_is_left_out),
        cmocka_unit_test(test_scrubbing_twice_changes_nothing),
        cmocka_unit_test(test_what_is_no_node_is_refused),
        cmocka_unit_test(test_recorded_nodes_become_profiles),
        cmocka_unit_test(test_every_shipped_profile_is_a_valid_node),
        cmocka_unit_test(test_shipped_profiles_are_scrubbed),
        cmocka_unit_test(test_agents_differ_and_share_a_class),
        cmocka_unit_test(test_a_change_is_one_for_servers_too),
        cmocka_unit_test(test_fill_sets_what_the_fleet_says),
        cmocka_unit_test(test_a_mix_goes_by_weights),
        cmocka_unit_test(test_bad_mixes_are_explained),
        cmocka_unit_test(test_a_profile_that_is_none_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
