/* The table itself, and that every row that is not used says what it should. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/parse.h"
#include "base/str.h"
#include "conf/draft.h"
#include "conf/usage.h"
#include "tests/support/conf_files.h"
#include "tests/support/data.h"

static void test_keys_are_unique_and_grouped(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_conf_keys; i++) {
        const struct conf_key *k = &conf_keys[i];
        size_t len = strlen(k->path) - strlen(key_name(k));

        assert_ptr_equal(key_find(k->path), k);
        if (k->flag)
            assert_ptr_equal(key_by_flag(k->flag), k);
        if (len > 0) { /* its block stands before it, and nothing else in between */
            _cleanup_free_ char *block = xstrndup(k->path, len - 1);
            const struct conf_key *b = key_find(block);

            assert_non_null(b);
            assert_true(b->type == K_BLOCK || b->type == K_LABEL);
            for (const struct conf_key *p = b + 1; p < k; p++)
                assert_true(key_below(p, b));
            assert_int_equal(k->roles & ~b->roles, 0);
        }
    }
}

static void test_keys_fit_the_list_of_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_conf_keys; i++) {
        size_t n = 0;

        for (size_t c = 0; c < n_conf_keys; c++)
            n += key_is_child(&conf_keys[c], conf_keys[i].path);
        assert_true(n < KEY_CHILDREN_MAX);
    }
}

static void test_keys_say_why(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_conf_keys; i++) {
        const struct conf_key *k = &conf_keys[i];

        if (k->action == KEY_WARN || k->action == KEY_REFUSE || k->action == KEY_IGNORE)
            assert_non_null(k->why);
        if (k->action == KEY_USE && k->type != K_BLOCK)
            assert_non_null(k->help);
        if (k->off != KEY_NO_MEMBER)
            assert_int_equal(k->action, KEY_USE);
    }
}

static void test_keys_defaults_are_valid(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_conf_keys; i++) {
        const struct conf_key *k = &conf_keys[i];
        struct setting s = {0};
        struct err e = {0};

        if (!k->def || k->type == K_LABEL)
            continue;
        if (setting_from_text(k, k->def, &s, &e) < 0)
            fail_msg("%s: %s", k->path, e.text);
        setting_done(&s);
    }
}

/* a value of the row's type that is not its default, as HCL */
static const char *other_value(const struct conf_key *k)
{
    switch (k->type) {
    case K_BOOL:
    case K_BOOLP:
        return str_eq(k->def, "true") ? "false" : "true";
    case K_INT:
    case K_INTP:
        return "7";
    case K_FLOAT:
        return "7.5";
    case K_DUR:
        return "\"7s\"";
    case K_LIST:
        return "[\"strict\"]";
    case K_MAP:
        return "{ a = \"b\" }";
    case K_STR:
    case K_STRP:
        return "\"strict\"";
    default:
        return "{ }";
    }
}

/* the key set to a value inside its blocks */
static char *file_with(const struct conf_key *k, const char *value)
{
    struct buf b = BUF_INIT(4096);
    const char *p = k->path;
    unsigned depth = 0;
    size_t n;

    for (const char *dot; (dot = strchr(p, '.')); p = dot + 1, depth++) {
        _cleanup_free_ char *block = xstrndup(k->path, (size_t)(dot - k->path));

        buf_printf(&b, "%.*s %s{ ", (int)(dot - p), p,
                   key_find(block)->type == K_LABEL ? "\"l\" " : "");
    }
    if (k->type == K_LABEL)
        buf_printf(&b, "%s \"l\" { }", p);
    else
        buf_printf(&b, "%s = %s", p, value);
    while (depth-- > 0)
        buf_add_str(&b, " }");
    return (char *)buf_take(&b, &n);
}

static char *default_value(const struct conf_key *k)
{
    bool bare = k->type == K_BOOL || k->type == K_BOOLP || k->type == K_INT || k->type == K_INTP ||
                k->type == K_FLOAT;

    return bare ? xstrdup(k->def) : xasprintf("\"%s\"", k->def);
}

/* the lines of the role's own check of one row */
static char *said(const struct conf_key *k, unsigned role, const char *value, bool warnings)
{
    _cleanup_free_ char *text = file_with(k, value);
    struct conf c = {0};
    struct conf_report r = {0};
    char *lines;

    (void)!conf_texts(role, &c, &r, text, "data_dir = \"/d\"\nclient { }", NULL);
    lines = warnings ? conf_lines(r.warnings, r.n_warnings) : conf_lines(r.errors, r.n_errors);
    conf_done(&c);
    conf_report_done(&r);
    return lines;
}

static void check_silent(const struct conf_key *k, unsigned role, const char *value)
{
    _cleanup_free_ char *errors = said(k, role, value, false);
    _cleanup_free_ char *warnings = said(k, role, value, true);

    if (*errors || *warnings)
        print_error("%s = %s\n", k->path, value);
    assert_string_equal(errors, "");
    assert_string_equal(warnings, "");
}

static void check_row(const struct conf_key *k, unsigned role)
{
    bool refuse = k->action == KEY_REFUSE;
    _cleanup_free_ char *lines = said(k, role, other_value(k), !refuse);

    if (!strstr(lines, k->path) || !strstr(lines, k->why) ||
        !strstr(lines, refuse ? "is refused: " : "has no effect: "))
        fail_msg("%s as %u says: %s", k->path, role, lines);
    if (k->def && k->type != K_LABEL) {
        _cleanup_free_ char *def = default_value(k);

        check_silent(k, role, def);
    }
}

static void test_keys_warn_and_refuse(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_conf_keys; i++) {
        const struct conf_key *k = &conf_keys[i];

        if (k->action != KEY_WARN && k->action != KEY_REFUSE)
            continue;
        for (unsigned role = CONF_CLIENT; role <= CONF_SERVER; role <<= 1)
            if (k->roles & role)
                check_row(k, role);
            else
                check_silent(k, role, other_value(k)); /* not this program's business */
    }
}

static void test_keys_ignored_are_silent(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_conf_keys; i++)
        if (conf_keys[i].action == KEY_IGNORE)
            for (unsigned role = CONF_CLIENT; role <= CONF_SERVER; role <<= 1)
                check_silent(&conf_keys[i], role, other_value(&conf_keys[i]));
}

static void test_keys_refusals_have_exceptions(void **state)
{
    static const char *const fine[] = {
        "server { bootstrap_expect = 0 }",
        "server { bootstrap_expect = 1 }",
        "server { authoritative_region = \"global\" }",
        "region = \"eu\" server { authoritative_region = \"eu\" }",
        "server { client_introduction { enforcement = \"none\" } }",
        "keyring \"aead\" { active = true, any = \"key\" }",
        "vault { enabled = true } vault { enabled = false }",
    };
    struct conf c = {0};
    struct conf_report r = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(fine); i++) {
        assert_int_equal(conf_texts(CONF_SERVER, &c, &r, fine[i], "data_dir = \"/d\"", NULL), 0);
        assert_int_equal(r.n_warnings, 0);
    }
    assert_true(conf_texts(CONF_SERVER, &c, &r, "data_dir = \"/d\" server { bootstrap_expect = 3 }",
                           NULL) < 0);
    assert_true(conf_texts(CONF_SERVER, &c, &r, "data_dir = \"/d\" keyring \"awskms\" { }", NULL) <
                0);
    conf_done(&c);
    conf_report_done(&r);
}

/* secrets are not repeated in messages */
static void test_keys_secrets_are_not_printed(void **state)
{
    struct conf c = {0};
    struct conf_report r = {0};
    _cleanup_free_ char *lines = NULL;

    (void)state;
    assert_int_equal(conf_texts(CONF_SERVER, &c, &r,
                                "data_dir = \"/d\" acl { replication_token = \"hunter2\" }", NULL),
                     0);
    lines = conf_lines(r.warnings, r.n_warnings);
    assert_non_null(strstr(lines, "acl.replication_token"));
    assert_null(strstr(lines, "hunter2"));
    conf_done(&c);
    conf_report_done(&r);
}

static void explained(const char *block, const char *name, bool list, const char *expected)
{
    struct buf b = BUF_INIT(65536);

    key_explain_unknown(block, name, list, &b);
    assert_string_equal(buf_str(&b), expected);
    buf_done(&b);
}

static void test_keys_unknown_are_explained(void **state)
{
    (void)state;
    explained("client", "nodeclass", false, "; did you mean \"node_class\"?");
    explained("client", "Serverz", false, "; did you mean \"servers\"?");
    explained("", "node_class", false, "; it belongs into client");
    explained("client", "data_dir", false, "; it belongs at the top level or into server");
    explained("ports", "zzzzz", false, "");
    explained("ports", "zzzzz", true, "; allowed here: http, rpc, serf");
    explained("ports", "htp", true, "; did you mean \"http\"? Allowed here: http, rpc, serf");
}

static void test_keys_manual_is_up_to_date(void **state)
{
    struct buf b = BUF_INIT((size_t)1 << 20);
    size_t n;
    _cleanup_free_ char *page = data_read("../../docs/config.md", &n);

    (void)state;
    conf_manual(&b);
    if (strcmp(page, buf_str(&b)) != 0)
        fail_msg("docs/config.md is old: picket config keys -markdown > docs/config.md");
    buf_done(&b);
}

static void test_keys_usage_names_flags(void **state)
{
    struct buf b = BUF_INIT((size_t)1 << 20);

    (void)state;
    conf_usage(CONF_CLIENT, &b);
    assert_non_null(strstr(buf_str(&b), "Usage: picketd [flags]"));
    assert_non_null(strstr(buf_str(&b), "  -data-dir=<value>\n"));
    assert_non_null(strstr(buf_str(&b), "  -meta=<key=value>\n"));
    assert_non_null(strstr(buf_str(&b), "  -log-json\n"));
    assert_non_null(strstr(buf_str(&b), "(client.node_pool, default default)"));
    assert_null(strstr(buf_str(&b), "-acl-enabled"));
    buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys_are_unique_and_grouped),
        cmocka_unit_test(test_keys_fit_the_list_of_names),
        cmocka_unit_test(test_keys_say_why),
        cmocka_unit_test(test_keys_defaults_are_valid),
        cmocka_unit_test(test_keys_warn_and_refuse),
        cmocka_unit_test(test_keys_ignored_are_silent),
        cmocka_unit_test(test_keys_refusals_have_exceptions),
        cmocka_unit_test(test_keys_secrets_are_not_printed),
        cmocka_unit_test(test_keys_unknown_are_explained),
        cmocka_unit_test(test_keys_manual_is_up_to_date),
        cmocka_unit_test(test_keys_usage_names_flags),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
