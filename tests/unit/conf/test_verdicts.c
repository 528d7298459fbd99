/* Whole files against what `nomad config validate` of 1.10.5 said of them (recorded): the verdict
 * is the same, or the row says why it is not; our words are checked too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <json-c/json.h>

#include "base/file.h"
#include "base/str.h"
#include "tests/support/conf_files.h"
#include "tests/support/data.h"

static const char *get(struct json_object *row, const char *key)
{
    struct json_object *v = json_object_object_get(row, key);

    return v ? json_object_get_string(v) : NULL;
}

/* the lists of allowed keys are long and tested elsewhere */
static void cut_lists(struct conf_report *r)
{
    for (size_t i = 0; i < r->n_errors; i++) {
        char *at = strcasestr(r->errors[i], " allowed here:");

        if (!at)
            continue;
        if (at[-1] == ';')
            at--;
        *at = 0;
    }
}

static void check_row(struct json_object *row)
{
    _cleanup_free_ char *path = conf_file_path("F"), *said = NULL, *expected = NULL;
    struct json_object *lines = json_object_object_get(row, "picket_says");
    const char *input = get(row, "input"), *const paths[] = {path};
    struct conf_report r = {0};
    struct buf b = BUF_INIT(65536);
    size_t n;
    int code;

    /* not conf_file_write(): an input may contain NUL */
    n = (size_t)json_object_get_string_len(json_object_object_get(row, "input"));
    assert_int_equal(file_write_atomic(path, input, n, 0644, NULL), 0);
    code = conf_check(paths, 1, &r);
    conf_report_shorten(&r);
    cut_lists(&r);
    said = conf_lines(r.errors, r.n_errors);
    for (size_t i = 0; lines && i < json_object_array_length(lines); i++)
        buf_printf(&b, "%s\n", json_object_get_string(json_object_array_get_idx(lines, i)));
    expected = (char *)buf_take(&b, &n);
    if (strcmp(said, expected) != 0)
        print_error("input: %s\n", input);
    assert_string_equal(said, expected);
    assert_string_equal(code < 0 ? "error" : "ok", get(row, "picket"));
    assert_true(str_eq(get(row, "picket"), get(row, "nomad")) || get(row, "why"));
    conf_report_done(&r);
}

static void test_verdicts_agree_with_nomad(void **state)
{
    size_t n;
    _cleanup_free_ char *text = data_read("conf/verdicts.json", &n);
    struct json_object *rows = json_tokener_parse(text);

    (void)state;
    assert_non_null(rows);
    assert_true(json_object_array_length(rows) > 150);
    for (size_t i = 0; i < json_object_array_length(rows); i++)
        check_row(json_object_array_get_idx(rows, i));
    json_object_put(rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verdicts_agree_with_nomad),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
