/* The small parts: identities, sources, lists of servers, counting, the command line. */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "sim/ident.h"
#include "sim/options.h"
#include "sim/servers.h"
#include "sim/source.h"
#include "sim/tally.h"
#include "tests/support/check.h"
#include "wire/addr.h"

/* --- identities --- */

static void test_an_agent_is_the_same_in_each_run(void **state)
{
    struct ident a, b;

    (void)state;
    ident_make(7, "sim", 42, &a);
    ident_make(7, "sim", 42, &b);
    assert_string_equal(a.id, b.id);
    assert_string_equal(a.secret, b.secret);
    assert_string_equal(a.mac, b.mac);
    assert_string_equal(a.name, "sim-00042");
    assert_string_equal(a.ip, "10.0.0.43");
    ident_make(8, "sim", 42, &b);
    assert_string_not_equal(a.id, b.id);
    ident_make(7, "sim", 43, &b);
    assert_string_not_equal(a.id, b.id);
    assert_string_not_equal(a.secret, b.secret);
    assert_string_not_equal(a.id, a.secret);
}

static void test_places_are_filled_in(void **state)
{
    static const struct {
        const char *template, *text;
    } rows[] = {
        {"{name}",              "x-00001"             },
        {"{ip}:4646",           "10.0.0.2:4646"       },
        {"a{number}b{number}",  "a1b1"                },
        {"{nothing} {name",     "{nothing} {name"     },
        {"{uuid:0} {uuid:}",    "{uuid:0} {uuid:}"    },
        {"${NOMAD_x} {{name}}", "${NOMAD_x} {x-00001}"},
        {"",                    ""                    },
    };
    _cleanup_free_ char *first = NULL, *second = NULL;
    struct ident i;

    (void)state;
    ident_make(1, "x", 1, &i);
    for (size_t k = 0; k < ARRAY_LEN(rows); k++) {
        _cleanup_free_ char *text = ident_expand(&i, rows[k].template);

        assert_string_equal(text, rows[k].text);
    }
    first = ident_expand(&i, "{uuid:1}");
    second = ident_expand(&i, "{uuid:2}");
    assert_int_equal(strlen(first), UUID_TEXT_LEN);
    assert_string_not_equal(first, second);
    assert_true(ident_has_place("a {mac}"));
    assert_false(ident_has_place("a {mac"));
}

/* --- sources --- */

static void expect_address(const struct source *s, uint64_t number, const char *text)
{
    struct sockaddr_storage a;
    socklen_t len;
    _cleanup_free_ char *is = NULL;

    source_address(s, number, &a, &len);
    is = addr_format(&a, len);
    assert_string_equal(is, text);
}

static void test_each_agent_has_an_address_of_the_range(void **state)
{
    struct source s;
    struct err e;

    (void)state;
    assert_int_equal(source_parse("127.64.0.0/10", &s, &e), 0);
    assert_int_equal(source_count(&s), (1 << 22) - 2);
    expect_address(&s, 0, "127.64.0.1:0");
    expect_address(&s, 300, "127.64.1.45:0");
    expect_address(&s, (1 << 22) - 3, "127.127.255.254:0");
    expect_address(&s, (1 << 22) - 2, "127.64.0.1:0"); /* from the start again */
    assert_int_equal(source_parse("10.1.2.3", &s, &e), 0);
    expect_address(&s, 5, "10.1.2.3:0");
    assert_int_equal(source_parse("10.1.2.99/24", &s, &e), 0);
    expect_address(&s, 0, "10.1.2.1:0");
    assert_int_equal(source_parse("fd00::/64", &s, &e), 0);
    expect_address(&s, 1, "[fd00::2]:0");
    assert_int_equal(source_parse("none", &s, &e), 0);
    assert_int_equal(s.family, AF_UNSPEC);
}

static void test_bad_ranges(void **state)
{
    static const char *const texts[] = {"",           "10.0.0.0/33", "10.0.0/8",   "10.0.0.0/",
                                        "fd00::/129", "host/8",      "10.0.0.0/-1"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct source s;
        struct err e = {0};

        assert_int_equal(source_parse(texts[i], &s, &e), -EINVAL);
        assert_true(e.text[0]);
    }
}

static void test_only_loopback_has_a_range_by_itself(void **state)
{
    struct sockaddr_storage a;
    struct source s;
    socklen_t len;
    struct err e;

    (void)state;
    assert_int_equal(addr_parse("127.0.0.1:4647", &a, &len, &e), 0);
    source_default(&a, &s);
    assert_int_equal(s.family, AF_INET);
    assert_int_equal(addr_parse("10.0.0.1:4647", &a, &len, &e), 0);
    source_default(&a, &s);
    assert_int_equal(s.family, AF_UNSPEC);
    assert_int_equal(addr_parse("[::1]:4647", &a, &len, &e), 0);
    source_default(&a, &s);
    assert_int_equal(s.family, AF_UNSPEC);
}

/* --- servers --- */

static void test_lists_of_servers(void **state)
{
    struct sim_servers *all = sim_servers_new();
    const struct server_list *l = NULL, *m;
    struct node_server_info v[] = {{.rpc_advertise_addr = (char *)(uintptr_t) "127.0.0.2:1"},
                                   {.rpc_advertise_addr = (char *)(uintptr_t) "127.0.0.1:4647"}};
    struct node_server_info none = {.rpc_advertise_addr = (char *)(uintptr_t) "not an address"};
    struct err e;

    (void)state;
    assert_int_equal(sim_servers_parse(all, "127.0.0.2:1, localhost,127.0.0.1:4647", &l, &e), 0);
    assert_int_equal(l->n, 2); /* once each */
    assert_string_equal(l->servers[0].address, "127.0.0.1:4647");
    assert_ptr_equal(sim_servers_learn(all, l, v, 2), l); /* the set counts, not the order */
    assert_ptr_equal(sim_servers_learn(all, l, NULL, 0), l);
    assert_ptr_equal(sim_servers_learn(all, l, &none, 1), l);
    m = sim_servers_learn(all, l, v, 1);
    assert_int_equal(m->n, 1);
    assert_ptr_equal(sim_servers_learn(all, l, v, 1), m); /* kept once */
    assert_ptr_equal(sim_servers_learn(all, m, v, 2), l);
    assert_int_equal(sim_servers_parse(all, "[::1]:5,::1", &l, &e), 0);
    assert_int_equal(l->n, 2);
    assert_int_equal(sim_servers_parse(all, "server.example:4647", &l, &e), -EINVAL);
    assert_string_equal(e.text,
                        "\"server.example:4647\" is no server address: ip[:port]; names are "
                        "not looked up");
    assert_int_equal(sim_servers_parse(all, ",", &l, &e), -EINVAL);
    assert_int_equal(sim_servers_parse(all, "1.2.3.4:99999", &l, &e), -EINVAL);
    (void)sim_servers_free(all);
}

/* --- counting --- */

static void test_latencies_are_right_by_a_sixteenth(void **state)
{
    static struct latency l;

    (void)state;
    assert_int_equal(latency_at(&l, 500), 0);
    for (uint64_t us = 1; us <= 100000; us++)
        latency_add(&l, us * NSEC_PER_USEC);
    for (unsigned pm = 10; pm <= 1000; pm += 10) {
        uint64_t real = pm * 100 * NSEC_PER_USEC, is = latency_at(&l, pm);

        assert_in_range(is, real - real / 16, real + real / 15 + NSEC_PER_USEC);
    }
    assert_int_equal(latency_at(&l, 1000), 100000 * NSEC_PER_USEC);
    latency_add(&l, UINT64_MAX / 2); /* beyond all buckets */
    assert_int_equal(l.max_ns, UINT64_MAX / 2);
    assert_int_equal(latency_at(&l, 1000), MIN(l.max_ns, latency_at(&l, 1000)));
}

static void test_errors_are_kept_by_text(void **state)
{
    static struct tally t;

    (void)state;
    for (int i = 0; i < 3; i++)
        tally_error(&t, "node not found");
    for (int i = 0; i < 20; i++) {
        _cleanup_free_ char *text = xasprintf("error %d", i);

        tally_error(&t, text);
    }
    assert_string_equal(t.texts[0].text, "node not found");
    assert_int_equal(t.texts[0].n, 3);
    assert_string_equal(t.texts[TALLY_TEXTS - 1].text, "error 6"); /* the first kinds */
    t.calls[TALLY_BEAT].errors = 2;
    t.calls[TALLY_REGISTER].timeouts = 1;
    t.calls[TALLY_WAIT].lost = 5;
    assert_int_equal(tally_errors(&t), 3);
    assert_int_equal(tally_lost(&t), 5);
}

/* --- the command line --- */

#define PARSE(ret, e, ...)                                                                         \
    sim_options_parse((int)ARRAY_LEN(((const char *const[]){"picket-sim", __VA_ARGS__})),          \
                      ((const char *const[]){"picket-sim", __VA_ARGS__}), (ret), (e))

static void test_options(void **state)
{
    struct sim_options o;
    struct err e;

    (void)state;
    assert_int_equal(PARSE(&o, &e, "-agents", "50", "--over=10s", "-q", "-json=false", "-events=0"),
                     0);
    assert_int_equal(o.agents, 50);
    assert_int_equal(o.over_ns, 10 * NSEC_PER_SEC);
    assert_true(o.quiet && !o.json && !o.eligible);
    assert_string_equal(o.server, "127.0.0.1:4647");
    assert_string_equal(o.region, "global");
    assert_int_equal(PARSE(&o, &e, "profile", "-"), 0);
    assert_string_equal(o.record, "-");
    assert_int_equal(PARSE(&o, &e, "-help"), SIM_OPTIONS_HELP);
    assert_int_equal(PARSE(&o, &e, "-agents=1", "-version"), SIM_OPTIONS_VERSION);
}

static void test_bad_options(void **state)
{
    struct sim_options o;
    struct err e;

    (void)state;
    assert_int_equal(PARSE(&o, &e, "-agnets", "5"), -EINVAL);
    assert_string_equal(e.text, "flag provided but not defined: -agnets");
    assert_int_equal(PARSE(&o, &e, "-agents"), -EINVAL);
    assert_string_equal(e.text, "flag needs an argument: -agents");
    assert_int_equal(PARSE(&o, &e, "-agents", "many"), -EINVAL);
    assert_string_equal(e.text, "invalid value \"many\" for flag -agents");
    assert_int_equal(PARSE(&o, &e, "-agents", "1000001"), -EINVAL);
    assert_string_equal(e.text, "-agents: 1000000 at most");
    assert_int_equal(PARSE(&o, &e, "-agents=5", "-for=-3s"), -EINVAL);
    assert_string_equal(e.text, "invalid value \"-3s\" for flag -for");
    assert_int_equal(PARSE(&o, &e, "-agents=5", "-events=-1"), -EINVAL);
    assert_int_equal(PARSE(&o, &e, "-agents=5", "-name="), -EINVAL);
    assert_int_equal(PARSE(&o, &e, "-agents=5", "more"), -EINVAL);
    assert_string_equal(e.text, "unexpected argument \"more\"");
    assert_int_equal(PARSE(&o, &e, "-q"), -EINVAL);
    assert_string_equal(e.text, "nothing is to happen: -agents or -script is missing");
}

static void test_usage_has_every_flag(void **state)
{
    _cleanup_free_ char *usage = sim_options_usage();

    (void)state;
    assert_non_null(strstr(usage, "  -server=<address>\n"));
    assert_non_null(strstr(usage, "  -json\n"));
    for (const char *p = usage; *p; p += strcspn(p, "\n") + 1)
        assert_true(strcspn(p, "\n") <= 80);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_agent_is_the_same_in_each_run),
        cmocka_unit_test(test_places_are_filled_in),
        cmocka_unit_test(test_each_agent_has_an_address_of_the_range),
        cmocka_unit_test(test_bad_ranges),
        cmocka_unit_test(test_only_loopback_has_a_range_by_itself),
        cmocka_unit_test(test_lists_of_servers),
        cmocka_unit_test(test_latencies_are_right_by_a_sixteenth),
        cmocka_unit_test(test_errors_are_kept_by_text),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_bad_options),
        cmocka_unit_test(test_usage_has_every_flag),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
