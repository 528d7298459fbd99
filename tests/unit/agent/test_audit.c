/* agent/audit: a line for each write, with the user's name when one is to be had. */
#include "agent/audit.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"
#include "tests/support/check.h"
#include "tests/support/wire_loop.h"

struct fixture {
    struct loop *loop;
    struct log_tap tap;
    char **lines;
    size_t n;
    char *probe; /* a program that stands for picket-probe */
};

static void on_line(void *arg, const char *line)
{
    struct fixture *f = arg;

    if (strstr(line, "API write"))
        strv_add(&f->lines, &f->n, line);
}

static int setup(void **state)
{
    struct fixture *f = xnew0(struct fixture);

    assert_int_equal(loop_new(&f->loop), 0);
    f->tap = (struct log_tap){.level = LOG_LEVEL_INFO, .fn = on_line, .arg = f};
    log_tap_add(&f->tap);
    f->probe = xasprintf("%s/probe-%d", getenv("TMPDIR"), (int)getpid());
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    log_tap_remove(&f->tap);
    strv_done(&f->lines, &f->n);
    (void)unlink(f->probe);
    free(f->probe);
    (void)loop_free(f->loop);
    free(f);
    return 0;
}

/* answers whatever it is asked by this text */
static void make_probe(const struct fixture *f, const char *answer)
{
    FILE *p = fopen(f->probe, "we");

    assert_non_null(p);
    (void)fprintf(p, "#!/bin/sh\necho '%s'\n", answer);
    (void)fclose(p);
    assert_int_equal(chmod(f->probe, 0755), 0);
}

static void write_as(struct audit *a, uid_t uid, const char *path)
{
    audit_write(
        a,
        &(struct api_write){
            .method = "PUT", .path = path, .peer = "unix", .peer_is_unix = true, .peer_uid = uid});
}

static void test_over_tcp_the_line_is_written_at_once(void **state)
{
    struct fixture *f = *state;
    struct audit *a = audit_new(f->loop, "/nonexistent");

    audit_write(a, &(struct api_write){.method = "PUT", .path = "/v1/x", .peer = "10.0.0.1:5"});
    assert_int_equal(f->n, 1);
    assert_non_null(strstr(f->lines[0], "method=PUT path=/v1/x peer=10.0.0.1:5"));
    assert_null(strstr(f->lines[0], "uid="));
    (void)audit_free(a);
}

static void test_a_name_is_looked_up_once(void **state)
{
    struct fixture *f = *state;
    struct audit *a;

    make_probe(f, "{\"Found\":true,\"Name\":\"alice\",\"UID\":1000,\"GID\":1000,\"Home\":\"/\"}");
    a = audit_new(f->loop, f->probe);
    write_as(a, 1000, "/v1/1");
    write_as(a, 1000, "/v1/2");
    assert_int_equal(f->n, 0);
    turn_until(f->loop, f->n == 2);
    write_as(a, 1000, "/v1/3");
    assert_int_equal(f->n, 3); /* known by now */
    for (size_t i = 0; i < 3; i++) {
        _cleanup_free_ char *want = xasprintf("path=/v1/%zu peer=unix uid=1000 user=alice", i + 1);

        if (!strstr(f->lines[i], want))
            fail_msg("%s: not %s", f->lines[i], want);
    }
    (void)audit_free(a);
}

static void test_without_an_answer_the_number_has_to_do(void **state)
{
    struct fixture *f = *state;
    struct audit *a = audit_new(f->loop, "/nonexistent/picket-probe");

    write_as(a, 1000, "/v1/1");
    write_as(a, 1001, "/v1/2");
    turn_until(f->loop, f->n == 2);
    assert_non_null(strstr(f->lines[0], "path=/v1/1 peer=unix uid=1000"));
    assert_non_null(strstr(f->lines[1], "path=/v1/2 peer=unix uid=1001"));
    assert_null(strstr(f->lines[0], "user="));
    (void)audit_free(a);
}

/* nothing is lost: what cannot wait is written without a name, and so is what waits at the end */
static void test_too_many_and_the_end(void **state)
{
    enum { MANY = 100 };
    struct fixture *f = *state;
    struct audit *a = audit_new(f->loop, "/nonexistent/picket-probe");

    for (uid_t i = 0; i < MANY; i++)
        write_as(a, 1000 + i, "/v1/x");
    assert_int_equal(f->n, MANY - 64);
    (void)audit_free(a);
    assert_int_equal(f->n, MANY);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_over_tcp_the_line_is_written_at_once),
        TEST(test_a_name_is_looked_up_once),
        TEST(test_without_an_answer_the_number_has_to_do),
        TEST(test_too_many_and_the_end),
    };

    loop_block_signals();
    return cmocka_run_group_tests_name("agent/audit", tests, NULL, NULL);
}
