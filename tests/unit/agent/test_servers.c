#include "agent/servers.h"

#include <sys/stat.h>

#include "base/file.h"
#include "tests/unit/agent/fixture.h"
#include "tests/support/hold.h"

/* A picket-probe that resolves: it prints the file "<folder>/<host>", so that tests say what names
 * mean; without the file the name is unknown. */
struct names {
    struct fixture *f;
    char *script;
    char *host_path;
    unsigned changes;
};

static void on_change(void *arg)
{
    ((struct names *)arg)->changes++;
}

/* the script that resolves is put aside, or back */
static void rename_script(struct names *n, bool aside)
{
    _cleanup_free_ char *other = xasprintf("%s.aside", n->script);

    assert_int_equal(aside ? rename(n->script, other) : rename(other, n->script), 0);
}

static int setup(void **state)
{
    struct names *n = xnew0(struct names);
    _cleanup_free_ char *text = NULL;
    void *fixture = NULL;
    struct err e;

    assert_int_equal(fixture_setup(&fixture), 0);
    n->f = fixture;
    if (!n->f)
        return -1;
    n->script = xasprintf("%s/picket-probe", n->f->dir);
    n->host_path = xasprintf("%s/server.example", n->f->dir);
    text = xasprintf("#!/bin/sh\n[ \"$1 $3\" = \"-resolve 4747\" ] || exit 9\n"
                     "cat '%s'/\"$2\" 2>/dev/null || { echo \"no such name: $2\" >&2; exit 1; }\n",
                     n->f->dir);
    assert_int_equal(file_write_atomic(n->script, text, strlen(text), 0700, &e), 0);
    n->f->pool = pool_new(n->f->loop, &(struct pool_opts){.region = "global"});
    *state = n;
    return 0;
}

static int teardown(void **state)
{
    struct names *n = *state;
    void *fixture = n->f;

    n->f->servers = servers_free(n->f->servers);
    (void)unlink(n->script);
    (void)unlink(n->host_path);
    free(n->script);
    free(n->host_path);
    free(n);
    return fixture_teardown(&fixture);
}

static void open_servers(struct names *n, const char *const *configured, size_t count)
{
    n->f->servers =
        servers_new(&(struct servers_opts){.loop = n->f->loop,
                                           .pool = n->f->pool,
                                           .configured = (char *const *)(uintptr_t)configured,
                                           .n_configured = count,
                                           .probe_path = n->script,
                                           .on_change = on_change,
                                           .arg = n});
}

static void put_name(struct names *n, const char *addresses)
{
    struct err e;

    assert_int_equal(file_write_atomic(n->host_path, addresses, strlen(addresses), 0600, &e), 0);
}

static bool has(const struct names *n, const char *address)
{
    const char *const *v;
    size_t count = pool_servers(n->f->pool, &v);

    return strv_has((char *const *)(uintptr_t)v, count, address);
}

static size_t count(const struct names *n)
{
    const char *const *v;

    return pool_servers(n->f->pool, &v);
}

/* the child needs real time, not the clock's */
static void wait_for(struct names *n, size_t servers)
{
    for (int i = 0; i < 200 && count(n) != servers; i++)
        settle(n->f);
    assert_int_equal(count(n), servers);
}

static void test_names_are_resolved_by_a_child(void **state)
{
    static const char *const configured[] = {"server.example:4747", "10.0.0.1"};
    struct names *n = *state;

    put_name(n, "10.0.0.2:4747\n[fd00::2]:4747\n10.0.0.1:4647\n");
    open_servers(n, configured, 2);
    assert_int_equal(count(n), 1); /* literals at once */
    assert_true(has(n, "10.0.0.1:4647"));
    wait_for(n, 3);
    assert_true(has(n, "10.0.0.2:4747"));
    assert_true(has(n, "[fd00::2]:4747"));
    assert_int_equal(n->changes, 1);
}

static void test_name_that_is_not_known_yet_is_tried_again(void **state)
{
    static const char *const configured[] = {"server.example:4747"};
    struct names *n = *state;

    open_servers(n, configured, 1);
    for (int i = 0; i < 50 && loop_next_timer(n->f->loop) > clock_boot_ns() + 100 * SEC; i++)
        settle(n->f);
    for (int i = 0; i < 20; i++)
        settle(n->f);
    assert_int_equal(count(n), 0);
    put_name(n, "10.0.0.2:4747\n");
    pass(n->f, 60 * SEC);
    wait_for(n, 1);
}

/* not even by SIGKILL: while it is there no other is started, afterwards one is */
static void test_look_up_that_cannot_be_killed_is_outlived(void **state)
{
    static const char *const configured[] = {"server.example:4747"};
    struct names *n = *state;
    _cleanup_free_ char *text = xasprintf("#!/bin/sh\nD='%s'\n" HOLD_SCRIPT "\n", n->f->dir);
    pid_t pid = -1, tracer;
    struct err e;

    rename_script(n, true);
    assert_int_equal(file_write_atomic(n->script, text, strlen(text), 0700, &e), 0);
    open_servers(n, configured, 1);
    for (int i = 0; i < 3000 && (pid = hold_pid(n->f->dir)) < 0; i++)
        settle(n->f);
    tracer = hold(pid);
    remove_file(n->f->dir, "pid");
    if (tracer < 0)
        skip();
    pass(n->f, 120 * SEC);
    rename_script(n, false);
    put_name(n, "10.0.0.2:4747\n");
    release(tracer);
    for (int i = 0; i < 3000 && hold_exists(pid); i++)
        settle(n->f);
    for (int i = 0; i < 10; i++)
        settle(n->f);
    pass(n->f, 60 * SEC);
    wait_for(n, 1);
}

static void test_output_that_is_no_address_is_not_used(void **state)
{
    static const char *const configured[] = {"server.example:4747"};
    struct names *n = *state;

    put_name(n, "nonsense\n10.0.0.2:4747\nunix:\n10.0.0.3\n");
    open_servers(n, configured, 1);
    wait_for(n, 1);
    assert_true(has(n, "10.0.0.2:4747"));
}

static void test_learned_list_replaces_the_configured_one(void **state)
{
    static const char *const configured[] = {"10.0.0.1"};
    struct node_server_info learned[] = {{.rpc_advertise_addr = (char *)"10.0.0.5:4647"},
                                         {.rpc_advertise_addr = (char *)""},
                                         {.rpc_advertise_addr = NULL},
                                         {.rpc_advertise_addr = (char *)"10.0.0.6:4647"},
                                         {.rpc_advertise_addr = (char *)"10.0.0.5:4647"}};
    struct names *n = *state;

    open_servers(n, configured, 1);
    servers_learned(n->f->servers, learned, ARRAY_LEN(learned));
    assert_int_equal(count(n), 2);
    assert_false(has(n, "10.0.0.1:4647"));
    assert_int_equal(n->changes, 1);
    servers_learned(n->f->servers, learned, ARRAY_LEN(learned));
    assert_int_equal(n->changes, 1); /* the same set */
    servers_learned(n->f->servers, NULL, 0);
    servers_learned(n->f->servers, learned + 1, 2);
    assert_int_equal(count(n), 2); /* nothing usable changes nothing */
}

static void test_learned_list_out_of_reach_gets_the_configured_one_back(void **state)
{
    static const char *const configured[] = {"10.0.0.1", "server.example:4747"};
    struct node_server_info learned[] = {{.rpc_advertise_addr = (char *)"10.0.0.5:4647"}};
    struct names *n = *state;

    put_name(n, "10.0.0.2:4747\n");
    open_servers(n, configured, 2);
    wait_for(n, 2);
    servers_learned(n->f->servers, learned, 1);
    servers_unreachable(n->f->servers);
    servers_reachable(n->f->servers);
    servers_unreachable(n->f->servers);
    assert_int_equal(count(n), 1); /* one lost call is no reason */
    servers_unreachable(n->f->servers);
    assert_int_equal(count(n), 3);
    servers_learned(n->f->servers, learned, 1);
    assert_int_equal(count(n), 3); /* from then on together */
    /* and names are asked again, not more often than needed */
    put_name(n, "10.0.0.3:4747\n");
    clock_fake_advance(40 * SEC);
    for (int i = 0; i < 6; i++)
        servers_unreachable(n->f->servers);
    for (int i = 0; i < 100 && !has(n, "10.0.0.3:4747"); i++)
        settle(n->f);
    assert_true(has(n, "10.0.0.3:4747"));
    assert_false(has(n, "10.0.0.2:4747"));
}

/* what an operator lists is used alone, until a server lists others again */
static void test_another_configuration_forgets_what_was_learned(void **state)
{
    static const char *const configured[] = {"10.0.0.1", "server.example:4747"};
    static const char *const others[] = {"10.0.0.7", "server.example:4747"};
    struct node_server_info learned[] = {{.rpc_advertise_addr = (char *)"10.0.0.5:4647"}};
    struct names *n = *state;

    put_name(n, "10.0.0.3:4747\n");
    open_servers(n, configured, 2);
    wait_for(n, 2);
    servers_learned(n->f->servers, learned, 1);
    assert_int_equal(count(n), 1);
    put_name(n, "10.0.0.4:4747\n");
    servers_set_configured(n->f->servers, (char *const *)(uintptr_t)others, 2);
    wait_for(n, 2);
    assert_true(has(n, "10.0.0.7:4647"));
    assert_true(has(n, "10.0.0.4:4747"));
    assert_false(has(n, "10.0.0.5:4647"));
    servers_learned(n->f->servers, learned, 1);
    assert_int_equal(count(n), 1);
    servers_set_configured(n->f->servers, NULL, 0); /* nothing to use keeps what there is */
    assert_int_equal(count(n), 1);
}

/* by hand, at run time: alone while it does, never for good */
static void test_a_list_by_hand(void **state)
{
    static const char *const configured[] = {"10.0.0.1:4647"};
    static const char *const hand[] = {"10.0.0.8", "[fd00::1]:5647", "10.0.0.8:4647"};
    static const char *const bad[] = {"10.0.0.9", ":x"};
    struct names *n = *state;
    struct err e = {0};

    open_servers(n, configured, 1);
    assert_int_equal(servers_use(n->f->servers, bad, 2, &e), -EINVAL);
    assert_string_equal(e.text, "\":x\" is no server address: host[:port]");
    assert_true(has(n, "10.0.0.1:4647"));
    assert_int_equal(count(n), 1);
    assert_int_equal(servers_use(n->f->servers, hand, 3, &e), 0);
    assert_int_equal(count(n), 2);
    assert_true(has(n, "10.0.0.8:4647"));
    assert_true(has(n, "[fd00::1]:5647"));
    for (int i = 0; i < 3; i++)
        servers_unreachable(n->f->servers);
    assert_int_equal(count(n), 3); /* the configured one is back */
    assert_true(has(n, "10.0.0.1:4647"));
    assert_int_equal(servers_use(n->f->servers, hand, 1, &e), 0);
    assert_int_equal(count(n), 1);
}

static void test_a_list_by_hand_with_names(void **state)
{
    static const char *const configured[] = {"10.0.0.1:4647"};
    static const char *const hand[] = {"server.example:4747", "10.0.0.7"};
    struct names *n = *state;
    struct err e = {0};

    open_servers(n, configured, 1);
    put_name(n, "10.0.0.4:4747\n");
    assert_int_equal(servers_use(n->f->servers, hand, 2, &e), 0);
    wait_for(n, 2);
    assert_true(has(n, "10.0.0.4:4747"));
    assert_true(has(n, "10.0.0.7:4647"));
    assert_false(has(n, "10.0.0.1:4647"));
}

static void test_list_without_end_is_cut(void **state)
{
    struct node_server_info learned[200] = {0};
    struct names *n = *state;

    for (size_t i = 0; i < 200; i++)
        learned[i].rpc_advertise_addr = xasprintf("10.0.%zu.1:4647", i);
    open_servers(n, NULL, 0);
    servers_learned(n->f->servers, learned, 200);
    assert_int_equal(count(n), 64);
    for (size_t i = 0; i < 200; i++)
        free(learned[i].rpc_advertise_addr);
}

#undef TEST
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_names_are_resolved_by_a_child),
        TEST(test_name_that_is_not_known_yet_is_tried_again),
        TEST(test_look_up_that_cannot_be_killed_is_outlived),
        TEST(test_output_that_is_no_address_is_not_used),
        TEST(test_learned_list_replaces_the_configured_one),
        TEST(test_learned_list_out_of_reach_gets_the_configured_one_back),
        TEST(test_another_configuration_forgets_what_was_learned),
        TEST(test_a_list_by_hand),
        TEST(test_a_list_by_hand_with_names),
        TEST(test_list_without_end_is_cut),
    };

    loop_block_signals();
    return cmocka_run_group_tests_name("agent/servers", tests, NULL, NULL);
}
