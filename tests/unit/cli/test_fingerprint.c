/* `picket fingerprint` with a made-up picket-probe: this program under another name, found in PATH.
 * One probe answers, one fails, one hangs, one is a driver. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <json-c/json.h>

#include "base/buf.h"
#include "base/str.h"
#include "cli/command.h"
#include "fingerprint/fp.h"
#include "tests/support/captured.h"

/* ---- the made-up picket-probe ---- */

static void answer(const char *name)
{
    struct buf b = BUF_INIT((size_t)1 << 20);
    struct fp *fp = fp_new(name);

    if (str_eq(name, "hang"))
        for (;;)
            (void)pause();
    if (str_eq(name, "sick")) {
        (void)!fp_fail(fp, -5, "the disk");
    } else if (str_eq(name, "driver.x")) {
        fp_driver(fp, "x")->health_description = xstrdup("no socket");
        fp_why(fp, "socket", "/run/x", WHY_FAILED, "not there", "start x");
    } else {
        fp_set(fp, "cpu.arch", "amd64", "uname");
        fp_set(fp, "a.key", "b", "/proc/a");
        fp_why(fp, "arch", "uname", WHY_OK, "x86_64", "");
    }
    fp_write_record(&b, fp);
    (void)!write(STDOUT_FILENO, b.p, b.len);
    buf_done(&b);
    (void)fp_free(fp);
}

static int be_picket_probe(int argc, char **argv)
{
    if (argc > 1 && str_eq(argv[1], "-list")) {
        (void)printf("good    fast  5000 ms  answers\n"
                     "sick    fast  5000 ms  fails\n"
                     "hang    slow   300 ms  hangs\n"
                     "driver.x slow  5000 ms  a driver\n");
        return 0;
    }
    for (int i = 1; i < argc; i++)
        if (argv[i][0] != '-')
            answer(argv[i]);
    return 0;
}

/* ---- tests ---- */

static char *folder; /* with the link called picket-probe */

static int setup(void **state)
{
    char self[4096] = "";
    _cleanup_free_ char *name = NULL, *path = NULL;

    (void)state;
    folder = xasprintf("%s/probe-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    assert_non_null(mkdtemp(folder));
    assert_true(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
    name = xasprintf("%s/picket-probe", folder);
    assert_int_equal(symlink(self, name), 0);
    path = xasprintf("%s:%s", folder, getenv("PATH"));
    assert_int_equal(setenv("PATH", path, 1), 0);
    return 0;
}

static int teardown(void **state)
{
    _cleanup_free_ char *name = xasprintf("%s/picket-probe", folder);

    (void)state;
    (void)unlink(name);
    (void)rmdir(folder);
    folder = mem_free(folder);
    return 0;
}

#define run(c, ...) captured_args((c), command_main, "fingerprint", __VA_ARGS__, NULL)
static void test_fingerprint_shows_what_was_found(void **state)
{
    struct captured c _cleanup_captured_ = {0};

    (void)state;
    run(&c, "good", "driver.x");
    assert_string_equal(c.err, "");
    assert_int_equal(c.status, 0);
    assert_true(str_starts(c.out, "Attributes\n"
                                  "a.key    = b\n"
                                  "cpu.arch = amd64\n"
                                  "\n"
                                  "Drivers\n"
                                  "Driver  Detected  Healthy  Message\n"
                                  "x       false     false    no socket\n"
                                  "\n"
                                  "Probes\n"
                                  "Probe     State  Time    Reason\n"));
    assert_null(strstr(c.out, "Check"));
}

static void test_fingerprint_explains(void **state)
{
    struct captured c _cleanup_captured_ = {0};

    (void)state;
    run(&c, "-explain", "good", "driver.x");
    assert_int_equal(c.status, 0);
    assert_non_null(strstr(c.out, "good: good\n"
                                  "Check  Result  Looked At  Found   What Would Help\n"
                                  "arch   ok      uname      x86_64  <none>\n"
                                  "Attribute  Value  Read From\n"
                                  "a.key      b      /proc/a\n"
                                  "cpu.arch   amd64  uname\n"));
    assert_non_null(strstr(c.out, "driver.x: good\n"
                                  "Check   Result  Looked At  Found      What Would Help\n"
                                  "socket  failed  /run/x     not there  start x\n"));
}

/* one probe that hangs and one that fails take nothing from the others */
static void test_fingerprint_survives_bad_probes(void **state)
{
    struct captured c _cleanup_captured_ = {0};

    (void)state;
    run(&c, NULL);
    assert_int_equal(c.status, 0);
    assert_non_null(strstr(c.out, "cpu.arch = amd64\n"));
    assert_non_null(strstr(c.out, "\ngood      good "));
    assert_non_null(strstr(c.out, "\nsick      failed "));
    assert_non_null(strstr(c.out, "the disk"));
    assert_non_null(strstr(c.out, "\nhang      timeout "));
}

static void test_fingerprint_json(void **state)
{
    struct captured c _cleanup_captured_ = {0};
    struct json_object *o, *probes, *good;

    (void)state;
    run(&c, "-json", "good", "sick");
    assert_int_equal(c.status, 0);
    o = json_tokener_parse(c.out);
    assert_non_null(o);
    assert_string_equal(json_object_get_string(json_object_object_get(
                            json_object_object_get(o, "Attributes"), "cpu.arch")),
                        "amd64");
    probes = json_object_object_get(o, "Probes");
    assert_int_equal(json_object_array_length(probes), 2);
    good = json_object_array_get_idx(probes, 0);
    assert_string_equal(json_object_get_string(json_object_object_get(good, "Name")), "good");
    assert_string_equal(json_object_get_string(json_object_object_get(good, "State")), "good");
    assert_non_null(json_object_object_get(good, "Result"));
    assert_string_equal(json_object_get_string(
                            json_object_object_get(json_object_array_get_idx(probes, 1), "State")),
                        "failed");
    json_object_put(o);
}

static void test_fingerprint_unknown_probe(void **state)
{
    struct captured c _cleanup_captured_ = {0};

    (void)state;
    run(&c, "nope");
    assert_int_equal(c.status, 1);
    assert_string_equal(c.err,
                        "Error running the probes: there is no probe \"nope\"; known: good sick "
                        "hang driver.x\n");
}

static void test_fingerprint_without_picket_probe(void **state)
{
    struct captured c _cleanup_captured_ = {0};
    _cleanup_free_ char *path = xstrdup(getenv("PATH"));

    (void)state;
    assert_int_equal(setenv("PATH", "/nonexistent", 1), 0);
    run(&c, "good");
    assert_int_equal(setenv("PATH", path, 1), 0);
    assert_int_equal(c.status, 1);
    assert_string_equal(
        c.err, "Error running the probes: picket-probe is not there, neither beside this program "
               "nor in PATH; it comes with picketd (apt install picket-agent)\n");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fingerprint_shows_what_was_found),
        cmocka_unit_test(test_fingerprint_explains),
        cmocka_unit_test(test_fingerprint_survives_bad_probes),
        cmocka_unit_test(test_fingerprint_json),
        cmocka_unit_test(test_fingerprint_unknown_probe),
        cmocka_unit_test(test_fingerprint_without_picket_probe),
    };

    if (str_ends(argv[0], "/picket-probe"))
        return be_picket_probe(argc, argv);
    return cmocka_run_group_tests(tests, setup, teardown);
}
