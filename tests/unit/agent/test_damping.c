/* what a flapping fact costs: agent/flap and the change timer of agent/session together */
#include "agent/flap.h"

#include "tests/unit/agent/fixture.h"

static void on_begun(void *arg, const char *fact)
{
    (void)arg;
    (void)fact;
}

/* as agent.c does with each new state of the probes */
static void set(struct fixture *f, const char *key, const char *value)
{
    const struct node_snap *before = node_snap_ref(collect_snap(f->collect));

    fp_set(f->fp, key, value, "probe");
    {
        struct probe_status st = {.name = "fake", .state = PROBE_GOOD, .fp = f->fp, .reason = ""};

        if (collect_merge(f->collect, &st, 1)) {
            flap_note(f->flap, before->node, collect_snap(f->collect)->node, clock_boot_ns(),
                      on_begun, NULL);
            session_set_node(f->session, collect_snap(f->collect));
        }
    }
    (void)node_snap_unref(before);
}

static size_t n_registers(const struct fixture *f)
{
    return fake_server_calls(f->a, "Node.Register");
}

static char *last_sent(struct fixture *f, const char *key)
{
    struct node_register_request r = {0};
    char *value;

    assert_true(fake_server_last(f->a, "Node.Register", &desc_node_register_request, &r));
    value = xstrdup(strmap_get(&r.node->attributes, key));
    ops_clear(&desc_node_register_request, &r);
    return value;
}

static void begin(struct fixture *f)
{
    fp_set(f->fp, "flapper", "0", "probe");
    fp_set(f->fp, "other", "0", "probe");
    start(f);
    assert_int_equal(n_registers(f), 1);
}

static void flap_for(struct fixture *f, unsigned sec)
{
    static unsigned n;

    for (unsigned i = 0; i < sec; i += 15) {
        _cleanup_free_ char *value = xasprintf("%u", ++n);

        set(f, "flapper", value);
        pass(f, 15 * SEC);
    }
}

static void test_a_flapping_fact_costs_one_update_a_minute(void **state)
{
    struct fixture *f = *state;

    begin(f);
    flap_for(f, 600);
    /* the first two changes are ordinary ones */
    assert_in_range(n_registers(f), 9, 14);
}

static void test_other_changes_do_not_wait_and_take_it_along(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *flapper = NULL, *other = NULL;
    size_t n;

    begin(f);
    flap_for(f, 120);
    n = n_registers(f);
    while (n_registers(f) == n) /* right behind one of those updates */
        flap_for(f, 1);
    n = n_registers(f);
    set(f, "flapper", "newest");
    pass(f, SEC);
    set(f, "other", "1");
    pass(f, 4900 * NSEC_PER_MSEC);
    assert_int_equal(n_registers(f), n);
    pass(f, 5200 * NSEC_PER_MSEC);
    assert_int_equal(n_registers(f), n + 1);
    flapper = last_sent(f, "flapper");
    other = last_sent(f, "other");
    assert_string_equal(flapper, "newest");
    assert_string_equal(other, "1");
}

static void test_back_at_what_was_sent_nothing_is_sent(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *sent = NULL;
    size_t n;

    begin(f);
    flap_for(f, 120);
    n = n_registers(f);
    while (n_registers(f) == n)
        flap_for(f, 1);
    n = n_registers(f);
    sent = last_sent(f, "flapper");
    set(f, "flapper", "away");
    pass(f, 20 * SEC);
    set(f, "flapper", sent);
    pass(f, 300 * SEC);
    assert_int_equal(n_registers(f), n);
}

static void test_the_last_value_arrives_when_it_is_still(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *sent = NULL;
    size_t n;

    begin(f);
    flap_for(f, 300);
    set(f, "flapper", "final");
    pass(f, 61 * SEC);
    sent = last_sent(f, "flapper");
    assert_string_equal(sent, "final");
    n = n_registers(f);
    pass(f, 400 * SEC);
    assert_int_equal(n_registers(f), n);
    set(f, "flapper", "calm again"); /* an ordinary change by now */
    pass(f, 11 * SEC);
    assert_int_equal(n_registers(f), n + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_flapping_fact_costs_one_update_a_minute),
        TEST(test_other_changes_do_not_wait_and_take_it_along),
        TEST(test_back_at_what_was_sent_nothing_is_sent),
        TEST(test_the_last_value_arrives_when_it_is_still),
    };

    return cmocka_run_group_tests_name("agent/damping", tests, NULL, NULL);
}
