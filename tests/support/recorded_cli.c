#include "tests/support/recorded_cli.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <json-c/json.h>

#include "base/clock.h"
#include "base/str.h"
#include "base/vec.h"
#include "cli/command.h"
#include "tests/support/captured.h"
#include "tests/support/data.h"

enum { ARGS_MAX = 24 };

static struct json_object *get(struct json_object *o, const char *key)
{
    return json_object_object_get(o, key);
}

static const char *get_text(struct json_object *o, const char *key)
{
    return json_object_get_string(get(o, key));
}

struct recorded_cli *recorded_cli_start(const char *file)
{
    struct recorded_cli *b = xnew0(struct recorded_cli);
    size_t n;
    _cleanup_free_ char *text = data_read(file, &n);

    b->recorded = json_tokener_parse(text);
    assert_non_null(b->recorded);
    json_object_object_foreach(get(b->recorded, "paths"), path, body)
    {
        *vec_add(&b->answers, &b->n_answers) =
            (struct canned_answer){path, 200, json_object_get_string(body)};
    }
    json_object_object_foreach(get(b->recorded, "errors"), bad, answer)
    {
        *vec_add(&b->answers, &b->n_answers) = (struct canned_answer){
            bad, json_object_get_int(get(answer, "status")), get_text(answer, "body")};
    }
    canned_http_start(&b->http, b->answers, b->n_answers);
    assert_int_equal(setenv("TZ", "UTC", 1), 0);
    tzset();
    assert_int_equal(setenv("NOMAD_ADDR", b->http.url, 1), 0);
    return b;
}

void recorded_cli_stop(struct recorded_cli *b)
{
    clock_fake(false, 0, 0);
    (void)unsetenv("NOMAD_ADDR");
    canned_http_stop(&b->http);
    json_object_put(b->recorded);
    free(b->answers);
    free(b);
}

static void check_run(struct json_object *run, const char *const *words)
{
    struct captured c _cleanup_captured_ = {0};
    struct json_object *given = get(run, "args");
    const char *args[ARGS_MAX] = {0};
    size_t n = 0;

    while (words[n]) {
        args[n] = words[n];
        n++;
    }
    for (size_t i = 0; i < json_object_array_length(given) && n < ARGS_MAX; i++)
        args[n++] = json_object_get_string(json_object_array_get_idx(given, i));
    clock_fake(true, 1, json_object_get_int64(get(run, "now_ns")));
    captured_run(&c, command_main, args, n);
    assert_string_equal(c.out, get_text(run, "stdout"));
    assert_string_equal(c.err, get_text(run, "stderr"));
    assert_int_equal(c.status, json_object_get_int(get(run, "status")));
}

size_t recorded_cli_check(const struct recorded_cli *b, const char *const *words)
{
    struct json_object *runs = get(b->recorded, "runs");

    for (size_t i = 0; i < json_object_array_length(runs); i++)
        check_run(json_object_array_get_idx(runs, i), words);
    return json_object_array_length(runs);
}

const char *recorded_cli_answer(const struct recorded_cli *b, const char *path)
{
    return get_text(get(b->recorded, "paths"), path);
}
