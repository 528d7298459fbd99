/* The daemons' command line. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/str.h"
#include "base/file.h"
#include "conf/args.h"
#include "tests/support/conf_files.h"

struct fixture {
    struct conf_args *args;
    struct conf c;
    struct conf_report r;
    struct err e;
};

static int setup(void **state)
{
    *state = xnew0(struct fixture);
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    (void)conf_args_free(f->args);
    conf_done(&f->c);
    conf_report_done(&f->r);
    free(f);
    return 0;
}

/* the arguments as argv, with the program's name in front; returns argc */
static int make_argv(const char *const *args, char *argv[32])
{
    int argc = 1;

    argv[0] = (char *)(uintptr_t) "program";
    while ((argv[argc] = (char *)(uintptr_t)args[argc - 1]))
        argc++;
    return argc;
}

#define parse(f, role, ...) parse_args((f), (role), (const char *const[]){__VA_ARGS__})

static int parse_args(struct fixture *f, unsigned role, const char *const *args)
{
    char *argv[32];

    f->args = conf_args_free(f->args);
    f->e = (struct err){0};
    return conf_args_parse(make_argv(args, argv), argv, role, &f->args, &f->e);
}

static int load(struct fixture *f)
{
    conf_done(&f->c);
    conf_report_done(&f->r);
    return conf_args_load(f->args, &f->c, &f->r);
}

static void test_args_win_over_files(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *path = conf_file_write(
        "a.hcl",
        "region = \"file\" datacenter = \"file\" client { servers = [\"s1\"] meta { a = 1 b = 1 }\n"
        "server_join { retry_join = [\"j1\"] } }");

    assert_int_equal(parse(f, CONF_CLIENT, "-data-dir", "/d", "--region=flag", "-config", path,
                           "-servers=s2,s3", "-meta", "b=2", "-meta=c=x=y", "-log-json", "-node",
                           "n1", "-retry-join", "j2", "-retry-join=j3", "-network-speed=0x10",
                           "-retry-interval", "5s", "-node-pool", "p", NULL),
                     0);
    assert_int_equal(load(f), 0);
    assert_string_equal(f->c.region, "flag");
    assert_string_equal(f->c.datacenter, "file");
    assert_string_equal(f->c.data_dir, "/d");
    assert_string_equal(f->c.name, "n1");
    assert_true(f->c.log_json);
    assert_int_equal(f->c.client.n_servers, 5); /* appended; -retry-join replaces the file's list */
    assert_string_equal(f->c.client.servers[0], "s1");
    assert_string_equal(f->c.client.servers[1], "s2");
    assert_string_equal(f->c.client.servers[2], "s3");
    assert_string_equal(f->c.client.servers[3], "j2");
    assert_string_equal(f->c.client.servers[4], "j3");
    assert_string_equal(strmap_get(&f->c.client.meta, "a"), "1");
    assert_string_equal(strmap_get(&f->c.client.meta, "b"), "2");
    assert_string_equal(strmap_get(&f->c.client.meta, "c"), "x=y");
    assert_int_equal(f->c.client.network_speed, 16);
    assert_int_equal(f->c.client.retry_interval, 5 * (int64_t)NSEC_PER_SEC);
    assert_string_equal(f->c.client.node_pool, "p");
}

static void test_args_switches(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(parse(f, CONF_CLIENT, "-data-dir=/d", "-log-json=false", "-client", NULL), 0);
    assert_int_equal(load(f), 0);
    assert_false(f->c.log_json);
    assert_int_equal(parse(f, CONF_CLIENT, "-data-dir=/d", "-log-json=T", NULL), 0);
    assert_int_equal(load(f), 0);
    assert_true(f->c.log_json);
}

static void test_args_dev(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *bind = NULL, *told = NULL;

    assert_int_equal(parse(f, CONF_SERVER, "-dev", "-data-dir=/d", NULL), 0);
    assert_int_equal(load(f), 0);
    assert_true(f->c.dev);
    assert_string_equal(f->c.log_level, "DEBUG");
    assert_int_equal(conf_rpc_addresses(&f->c, &bind, &told, &f->e), 0);
    assert_string_equal(bind, "127.0.0.1:4647");
    assert_string_equal(told, "127.0.0.1:4647");
    assert_int_equal(parse(f, CONF_SERVER, "-dev", "-data-dir=/d", "-log-level=warn", NULL), 0);
    assert_int_equal(load(f), 0);
    assert_string_equal(f->c.log_level, "warn");
}

static void expect_bad(struct fixture *f, unsigned role, const char *a, const char *b,
                       const char *error)
{
    assert_int_equal(parse(f, role, a, b, NULL), -EINVAL);
    assert_string_equal(f->e.text, error);
}

static void test_args_mistakes(void **state)
{
    struct fixture *f = *state;

    expect_bad(f, CONF_CLIENT, "-foo", NULL, "flag provided but not defined: -foo");
    expect_bad(f, CONF_CLIENT, "-data-dr=x", NULL,
               "flag provided but not defined: -data-dr (did you mean -data-dir?)");
    expect_bad(f, CONF_CLIENT, "-data-dir", NULL, "flag needs an argument: -data-dir");
    expect_bad(f, CONF_CLIENT, "-config", NULL, "flag needs an argument: -config");
    expect_bad(
        f, CONF_CLIENT, "-network-speed", "abc",
        "invalid value \"abc\" for flag -network-speed: parse error (a whole number is needed, "
        "not \"abc\")");
    expect_bad(
        f, CONF_CLIENT, "-retry-interval=5", NULL,
        "invalid value \"5\" for flag -retry-interval: parse error (can't parse time duration "
        "5)");
    expect_bad(f, CONF_CLIENT, "-consul-ssl=maybe", NULL,
               "invalid boolean value \"maybe\" for -consul-ssl: parse error");
    expect_bad(f, CONF_CLIENT, "-dev=x", NULL, "invalid boolean value \"x\" for -dev: parse error");
    expect_bad(f, CONF_CLIENT, "-meta", "abc", "Error parsing Client.Meta value: abc");
    expect_bad(f, CONF_CLIENT, "-encrypt=x", NULL,
               "-encrypt is a flag of picket-server, not of picketd");
    expect_bad(f, CONF_SERVER, "-servers=x", NULL,
               "-servers is a flag of picketd, not of picket-server");
    expect_bad(f, CONF_CLIENT, "agent", NULL, "unexpected argument \"agent\"");
    expect_bad(f, CONF_CLIENT, "-", NULL, "unexpected argument \"-\"");
    expect_bad(f, CONF_CLIENT, "--", NULL, "unexpected argument \"--\"");
    expect_bad(f, CONF_CLIENT, "---x", NULL, "unexpected argument \"---x\"");
    expect_bad(f, CONF_CLIENT, "", NULL, "unexpected argument \"\"");
    expect_bad(f, CONF_CLIENT, "-=x", NULL, "unexpected argument \"-=x\"");
}

static void test_args_errors_name_the_flag(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(parse(f, CONF_CLIENT, "-data-dir=rel", "-log-level=LOUD", "-acl-enabled",
                           "-plugin-dir=/x", NULL),
                     0);
    assert_int_equal(load(f), -EINVAL);
    assert_int_equal(f->r.n_errors, 3);
    assert_string_equal(f->r.errors[0],
                        "-acl-enabled: acl.enabled = true is refused: access control "
                        "lists are not enforced by this release");
    assert_string_equal(f->r.errors[1],
                        "-log-level: Invalid log level: LOUD. Valid log levels are: "
                        "[TRACE DEBUG INFO WARN ERROR OFF]");
    assert_string_equal(f->r.errors[2],
                        "-data-dir: data-dir must be given as an absolute path: got rel");
    assert_int_equal(f->r.n_warnings, 1);
    assert_string_equal(
        f->r.warnings[0],
        "-plugin-dir: plugin_dir has no effect: external plugins are not supported");
}

/* ---- conf_start: what is printed where ---- */

#define start(f, out, err, role, ...)                                                              \
    start_args((f), (out), (err), (role), (const char *const[]){__VA_ARGS__})

/* runs conf_start with both outputs in files; returns its answer */
static int start_args(struct fixture *f, char **ret_out, char **ret_err, unsigned role,
                      const char *const *args)
{
    char *argv[32];
    _cleanup_free_ char *out = conf_file_path("out"), *err = conf_file_path("err");
    int saved[2] = {dup(STDOUT_FILENO), dup(STDERR_FILENO)}, r;
    size_t n;

    (void)fflush(stdout);
    (void)fflush(stderr);
    assert_non_null(freopen(out, "w", stdout));
    assert_non_null(freopen(err, "w", stderr));
    r = conf_start(make_argv(args, argv), argv, role, &f->args, &f->c, &f->r);
    (void)fflush(stdout);
    (void)fflush(stderr);
    assert_true(dup2(saved[0], STDOUT_FILENO) >= 0 && dup2(saved[1], STDERR_FILENO) >= 0);
    (void)fd_close(saved[0]);
    (void)fd_close(saved[1]);
    assert_int_equal(file_read(out, 1 << 20, ret_out, &n), 0);
    assert_int_equal(file_read(err, 1 << 20, ret_err, &n), 0);
    return r;
}

static void test_args_start_answers(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *out = NULL, *err = NULL;

    assert_int_equal(start(f, &out, &err, CONF_SERVER, "-version", NULL), CONF_START_ANSWERED);
    assert_string_equal(out, "picket-server v" PICKET_VERSION "\n");
    free(out);
    free(err);
    assert_int_equal(start(f, &out, &err, CONF_CLIENT, "-help", NULL), CONF_START_ANSWERED);
    assert_true(str_starts(out, "Usage: picketd [flags]\n"));
    free(out);
    free(err);
    assert_int_equal(
        start(f, &out, &err, CONF_CLIENT, "-check", "-data-dir=/d", "-plugin-dir=/p", NULL),
        CONF_START_ANSWERED);
    assert_string_equal(out, "Configuration is valid!\n");
    assert_string_equal(err,
                        "==> WARNING: -plugin-dir: plugin_dir has no effect: external plugins are "
                        "not supported\n");
    free(out);
    free(err);
    assert_int_equal(start(f, &out, &err, CONF_CLIENT, "-check", NULL), -EINVAL);
    assert_string_equal(out, "Configuration is invalid\n");
    assert_string_equal(err,
                        "==> Must specify the state-dir and alloc-dir if data-dir is omitted.\n");
    free(out);
    free(err);
    assert_int_equal(start(f, &out, &err, CONF_CLIENT, "-x", NULL), -EINVAL);
    assert_string_equal(err,
                        "==> flag provided but not defined: -x\npicketd -help lists the flags.\n");
    free(out);
    free(err);
    assert_int_equal(start(f, &out, &err, CONF_CLIENT, "-data-dir=/d", NULL), CONF_START_RUN);
    assert_string_equal(out, "");
    assert_string_equal(err, "");
    assert_string_equal(f->c.data_dir, "/d");
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_args_win_over_files),
        TEST(test_args_switches),
        TEST(test_args_dev),
        TEST(test_args_mistakes),
        TEST(test_args_errors_name_the_flag),
        TEST(test_args_start_answers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
