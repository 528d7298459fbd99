/* The command table, help, exit codes, flags; commands that need no server; columns. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "cli/command.h"
#include "cli/node_view.h"
#include "cli/table.h"
#include "tests/support/captured.h"
#include "tests/support/conf_files.h"

#define run(c, ...) captured_args((c), command_main, __VA_ARGS__, NULL)

static void test_commands_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_commands; i++) {
        assert_non_null(commands[i]->summary);
        assert_non_null(commands[i]->text);
        assert_non_null(commands[i]->synopsis);
        assert_non_null(commands[i]->run);
        if (i > 0)
            assert_true(strcmp(commands[i - 1]->path, commands[i]->path) < 0);
        for (size_t f = 0; f < commands[i]->n_flags; f++)
            assert_true(commands[i]->flags[f].off < commands[i]->opts_size);
    }
}

/* as the real command does: 127 for none and unknown, 1 for a group, 0 for help */
static void test_commands_exit_codes(void **state)
{
    struct captured c _cleanup_captured_ = {0};

    (void)state;
    run(&c, NULL);
    assert_int_equal(c.status, 127);
    assert_true(str_starts(c.out, "Usage: picket [-version] [-help] <command> [args]\n"));
    assert_non_null(strstr(c.out, "    node        "));
    run(&c, "nod");
    assert_int_equal(c.status, 127);
    assert_string_equal(c.err, "There is no command \"nod\", did you mean \"node\"?\n");
    run(&c, "xyzzy");
    assert_int_equal(c.status, 127);
    assert_string_equal(c.err, "There is no command \"xyzzy\".\n");
    run(&c, "-h");
    assert_int_equal(c.status, 0);
    run(&c, "--help");
    assert_int_equal(c.status, 0);
    run(&c, "node");
    assert_int_equal(c.status, 1);
    assert_true(str_starts(c.out, "Usage: picket node <subcommand> [options] [args]\n"));
    assert_non_null(strstr(c.out, "    status      "));
    run(&c, "node", "nope");
    assert_int_equal(c.status, 1);
    run(&c, "node", "-h");
    assert_int_equal(c.status, 0);
    run(&c, "help", "node", "status");
    assert_int_equal(c.status, 0);
    assert_true(str_starts(c.out, "Usage: picket node status "));
    run(&c, "help", "node");
    assert_int_equal(c.status, 0);
    run(&c, "help", "nope");
    assert_int_equal(c.status, 127);
}

static void test_commands_version(void **state)
{
    static const char *const forms[] = {"version", "-version", "--version", "-v"};
    struct captured c _cleanup_captured_ = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        run(&c, forms[i]);
        assert_int_equal(c.status, 0);
        assert_string_equal(c.out, "Picket v" PICKET_VERSION "\n");
    }
}

static void test_config_validate(void **state)
{
    struct captured c _cleanup_captured_ = {0};
    _cleanup_free_ char *good =
        conf_file_write("good.hcl", "data_dir = \"/d\" plugin_dir = \"/p\"\n"
                                    "client { enabled = true }");
    _cleanup_free_ char *bad = conf_file_write("bad.hcl", "ports { htp = 1 }");
    _cleanup_free_ char *want = xasprintf("%s:1:9: unknown key \"htp\" in ports; did you mean "
                                          "\"http\"? Allowed here: http, rpc, serf\n",
                                          bad);
    _cleanup_free_ char *warn = xasprintf(
        "WARNING: %s:1:30: plugin_dir has no effect: external plugins are not supported\n", good);

    (void)state;
    run(&c, "config", "validate", good);
    assert_int_equal(c.status, 0);
    assert_string_equal(c.out, "Configuration is valid!\n");
    assert_string_equal(c.err, warn);
    run(&c, "config", "validate", "-quiet", good);
    assert_string_equal(c.err, "");
    run(&c, "config", "validate", "-quiet", good, bad);
    assert_int_equal(c.status, 1);
    assert_string_equal(c.out, "Configuration is invalid\n");
    assert_string_equal(c.err, want);
    run(&c, "config", "validate");
    assert_int_equal(c.status, 1);
    assert_string_equal(c.err, "Must specify at least one config file or directory\n");
}

static void test_config_keys(void **state)
{
    struct captured c _cleanup_captured_ = {0};

    (void)state;
    run(&c, "config", "keys");
    assert_int_equal(c.status, 0);
    assert_true(str_starts(c.out, "region "));
    assert_non_null(strstr(c.out, "\nacl.enabled "));
    run(&c, "config", "keys", "-markdown");
    assert_true(str_starts(c.out, "# Configuration\n"));
    run(&c, "config", "keys", "x");
    assert_int_equal(c.status, 1);
}

static void test_fingerprint_mistakes(void **state)
{
    struct captured c _cleanup_captured_ = {0};

    (void)state;
    run(&c, "fingerprint", "-zz");
    assert_int_equal(c.status, 1);
    run(&c, "fingerprint", "-config", "/nonexistent/x.hcl");
    assert_int_equal(c.status, 1);
    assert_true(str_starts(c.err, "Error loading configuration from /nonexistent/x.hcl"));
}

struct options {
    bool on, off;
    const char *text;
    struct flag_list list;
};

static void test_flags_forms(void **state)
{
    static const struct flag flags[] = {
        {"on",   FLAG_BOOL, offsetof(struct options, on),   NULL,  "x"},
        {"off",  FLAG_BOOL, offsetof(struct options, off),  NULL,  "x"},
        {"text", FLAG_STR,  offsetof(struct options, text), "<x>", "x"},
        {"list", FLAG_LIST, offsetof(struct options, list), "<x>", "x"},
    };
    const struct command c = {
        .path = "x", .flags = flags, .n_flags = ARRAY_LEN(flags), .remote = true};
    const char *argv[] = {"-on", "--off=false", "-text", "-a=b", "--list=1", "-list",
                          "2",   "-region=eu",  "--",    "-x",   "y"};
    struct options o = {.off = true};
    struct meta m = {0};
    struct err e = {0};
    bool help = false;

    (void)state;
    assert_int_equal(flags_parse(&c, ARRAY_LEN(argv), (char **)(uintptr_t)argv, &m, &o, &help, &e),
                     9);
    assert_true(o.on && !o.off && !help);
    assert_string_equal(o.text, "-a=b");
    assert_int_equal(o.list.n, 2);
    assert_string_equal(o.list.v[1], "2");
    assert_string_equal(m.region, "eu");
    flags_done(&c, &o);
    argv[0] = "-on=maybe";
    assert_true(flags_parse(&c, 1, (char **)(uintptr_t)argv, &m, &o, &help, &e) < 0);
    assert_string_equal(e.text, "invalid boolean value \"maybe\" for -on: parse error");
}

static void test_meta_environment(void **state)
{
    struct meta m = {.region = "flag"};

    (void)state;
    (void)setenv("NOMAD_REGION", "env", 1);
    (void)setenv("NOMAD_TOKEN", "t", 1);
    (void)setenv("NOMAD_NAMESPACE", "", 1); /* empty is unset */
    (void)setenv("NOMAD_SKIP_VERIFY", "junk", 1);
    (void)unsetenv("NOMAD_ADDR");
    meta_environment(&m);
    assert_string_equal(m.region, "flag");
    assert_string_equal(m.token, "t");
    assert_null(m.namespace_);
    assert_false(m.tls_skip_verify);
    assert_string_equal(m.address, "http://127.0.0.1:4646");
    (void)setenv("NOMAD_SKIP_VERIFY", "1", 1);
    meta_environment(&m);
    assert_true(m.tls_skip_verify);
    (void)unsetenv("NOMAD_REGION");
    (void)unsetenv("NOMAD_TOKEN");
    (void)unsetenv("NOMAD_NAMESPACE");
    (void)unsetenv("NOMAD_SKIP_VERIFY");
}

static void test_table_columns(void **state)
{
    struct buf b = BUF_INIT(4096);
    struct table t;

    (void)state;
    table_init(&t, "ID|Name|X");
    table_cell(&t, "1");
    table_cell(&t, "knot-\xc3\xa9");
    table_cell(&t, NULL);
    table_cell(&t, "22");
    table_cell(&t, "a\tb\x1b");
    table_cellf(&t, "%d", 3);
    table_print(&t, &b);
    assert_string_equal(buf_str(&b), "ID  Name    X\n"
                                     "1   knot-\xc3\xa9  <none>\n"
                                     "22  a b     3\n");
    table_done(&t);
    buf_reset(&b);
    table_init_pairs(&t);
    table_pair(&t, "a", "1");
    table_pairf(&t, "long", "%s", "");
    table_print(&t, &b);
    assert_string_equal(buf_str(&b), "a    = 1\nlong = <none>\n");
    table_done(&t);
    buf_done(&b);
}

/* values of go-humanize's IBytes */
static void test_format_ibytes(void **state)
{
    static const struct {
        uint64_t bytes;
        const char *text;
    } rows[] = {
        {0,            "0 B"    },
        {9,            "9 B"    },
        {10,           "10 B"   },
        {1023,         "1023 B" },
        {1024,         "1.0 KiB"},
        {1536,         "1.5 KiB"},
        {10240,        "10 KiB" },
        {157286400,    "150 MiB"},
        {25276502016,  "24 GiB" },
        {270553174016, "252 GiB"},
        {UINT64_MAX,   "16 EiB" },
    };
    char text[32];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        format_ibytes(rows[i].bytes, text);
        assert_string_equal(text, rows[i].text);
    }
}

static void test_format_ago(void **state)
{
    static const struct {
        int64_t seconds;
        const char *text;
    } rows[] = {
        {0,            "0s ago"    },
        {3,            "3s ago"    },
        {60,           "1m ago"    },
        {322,          "5m22s ago" },
        {3667,         "1h1m ago"  },
        {7202,         "2h2s ago"  },
        {86400 * 40,   "1mo10d ago"},
        {31536000 * 2, "2y ago"    },
    };
    const int64_t now = INT64_C(1795367553) * 1000000000;
    char text[32];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        format_ago(now - rows[i].seconds * 1000000000, now, text);
        assert_string_equal(text, rows[i].text);
    }
    format_ago(now + 5, now, text); /* a clock ahead of ours */
    assert_string_equal(text, "0s ago");
    format_ago(0, now, text);
    assert_string_equal(text, "<none>");
}

static void test_sanitize_prefix(void **state)
{
    static const struct {
        const char *given, *asked;
    } rows[] = {
        {"ab",       "ab"     },
        {"abc",      "ab"     },
        {"abcd-12",  "abcd-12"},
        {"abcd-123", "abcd-12"},
        {"abcd-",    "abcd-"  },
        {"",         ""       },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_free_ char *got = sanitize_prefix(rows[i].given);

        assert_string_equal(got, rows[i].asked);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_commands_table),   cmocka_unit_test(test_commands_exit_codes),
        cmocka_unit_test(test_commands_version), cmocka_unit_test(test_config_validate),
        cmocka_unit_test(test_config_keys),      cmocka_unit_test(test_fingerprint_mistakes),
        cmocka_unit_test(test_flags_forms),      cmocka_unit_test(test_meta_environment),
        cmocka_unit_test(test_table_columns),    cmocka_unit_test(test_format_ibytes),
        cmocka_unit_test(test_format_ago),       cmocka_unit_test(test_sanitize_prefix),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
