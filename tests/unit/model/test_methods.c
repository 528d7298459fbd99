/* The table of RPC methods, and the lists of checks. */
#include "model/methods.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "codec/ops.h"
#include "model/why.h"

static void test_methods_are_sorted_and_found(void **state)
{
    (void)state;
    for (int i = 0; i < M_MAX; i++) {
        assert_int_equal(methods[i].id, i);
        assert_non_null(methods[i].request);
        assert_ptr_equal(method_find(methods[i].name), &methods[i]);
        if (i > 0)
            assert_true(strcmp(methods[i - 1].name, methods[i].name) < 0);
    }
    assert_null(method_find("Node.Nope"));
    assert_null(method_find(""));
    assert_null(method_find("node.register"));
    assert_null(method_find("Z"));
}

/* the connection of a node: the three calls by which Nomad's server notes it */
static void test_methods_that_bind_a_connection(void **state)
{
    (void)state;
    for (int i = 0; i < M_MAX; i++)
        assert_int_equal((methods[i].flags & METHOD_NODE) != 0, i == M_NODE_REGISTER ||
                                                                    i == M_NODE_UPDATE_STATUS ||
                                                                    i == M_NODE_GET_CLIENT_ALLOCS);
}

static void test_methods_flags_follow_their_arguments(void **state)
{
    (void)state;
    for (int i = 0; i < M_MAX; i++) {
        const struct method *m = &methods[i];
        bool status = strncmp(m->name, "Status.", 7) == 0 || i == M_REGION_LIST;

        assert_int_equal((m->flags & METHOD_NO_REGION) != 0, status);
        /* a blocking call takes query options, a write does not */
        assert_false((m->flags & METHOD_BLOCKING) && (m->flags & METHOD_WRITE));
        if (!status)
            assert_true(m->flags & (METHOD_BLOCKING | METHOD_WRITE | METHOD_CLIENT));
        if (m->flags & METHOD_BLOCKING)
            assert_int_equal(m->request->fields[m->request->n_fields - 1].type, FT_EMBED);
    }
}

static void test_why_finds_the_first_failed_check(void **state)
{
    struct why *v = NULL;
    size_t n = 0;

    (void)state;
    assert_null(why_first_failed(v, n));
    why_add(&v, &n, "binary", "/usr/bin/docker", WHY_OK, "there", NULL);
    why_add(&v, &n, "cgroup", "/sys/fs/cgroup", WHY_SKIPPED, NULL, NULL);
    assert_null(why_first_failed(v, n));
    why_add(&v, &n, "socket", "unix:///var/run/docker.sock", WHY_FAILED, "connection refused",
            "systemctl start docker");
    why_add(&v, &n, "version", "", WHY_FAILED, "", "");
    assert_string_equal(why_first_failed(v, n)->id, "socket");
    assert_string_equal(v[2].fix, "systemctl start docker");
    assert_string_equal(v[0].fix, "");
    assert_string_equal(v[1].looked, "/sys/fs/cgroup");
    for (size_t i = 0; i < n; i++)
        ops_clear(&desc_why, &v[i]);
    free(v);
}

static void test_why_names_results(void **state)
{
    (void)state;
    assert_string_equal(why_result_name(WHY_OK), "ok");
    assert_string_equal(why_result_name(WHY_FAILED), "failed");
    assert_string_equal(why_result_name(WHY_SKIPPED), "skipped");
    assert_string_equal(why_result_name(99), "skipped");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_methods_are_sorted_and_found),
        cmocka_unit_test(test_methods_that_bind_a_connection),
        cmocka_unit_test(test_methods_flags_follow_their_arguments),
        cmocka_unit_test(test_why_finds_the_first_failed_check),
        cmocka_unit_test(test_why_names_results),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
