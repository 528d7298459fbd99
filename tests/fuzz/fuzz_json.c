/* tests/fuzz/fuzz_json.c - JSON from request bodies.
 *
 * Beyond "does not crash": what the scanner lets through json-c reads as well (alone it takes more:
 * single quotes, NaN, control characters), so that users only ever see Go's words; what decodes
 * prints as JSON that decodes to the same; an array is read as the scanner judges it.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "base/limits.h"
#include "codec/js.h"
#include "codec/ops.h"
#include "model/methods.h"
#include "model/node.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OUT_MAX = 8 << 20 };

static void check(bool ok, const char *what)
{
    if (ok)
        return;
    (void)fprintf(stderr, "fuzz_json: %s\n", what);
    abort();
}

static bool oracle_accepts(const char *text, size_t n)
{
    struct json_tokener *tok = json_tokener_new_ex(JSON_DEPTH_MAX + 2);
    struct json_object *o;
    char *ended = xstrndup(text, n); /* a number ends where something else begins */
    bool ok;

    json_tokener_set_flags(tok, JSON_TOKENER_STRICT | JSON_TOKENER_ALLOW_TRAILING_CHARS);
    o = json_tokener_parse_ex(tok, ended, (int)n + 1);
    ok = json_tokener_get_error(tok) == json_tokener_success;
    json_object_put(o);
    json_tokener_free(tok);
    free(ended);
    return ok;
}

static void check_scan(const char *text, size_t n)
{
    struct buf pretty = BUF_INIT(OUT_MAX);
    struct err e = {0};
    const char *p;
    size_t len, len2;

    if (js_scan(text, n, &p, &len, &e) < 0) {
        check(e.text[0] != 0, "an error without words");
        return;
    }
    check(p >= text && p + len <= text + n && len > 0, "a value outside of the text");
    check(oracle_accepts(p, len), "json-c refuses it");
    js_pretty(&pretty, p, len);
    check(js_scan(buf_str(&pretty), pretty.len, &p, &len2, NULL) == 0, "indented it is none");
    buf_done(&pretty);
}

/* behind the scanner there are errors of meaning only */
static void check_words(const char *text, size_t n, const char *words)
{
    static const char *const ours[] = {
        "json: cannot unmarshal ", "json: a string holds a NUL",  "json: a key holds a NUL",
        "parsing time ",           "json: takes too much memory", "illegal base64 data",
    };
    const char *p;
    size_t len;

    if (js_scan(text, n, &p, &len, NULL) < 0)
        return;
    for (size_t i = 0; i < ARRAY_LEN(ours); i++)
        if (strncmp(words, ours[i], strlen(ours[i])) == 0)
            return;
    check(false, words);
}

static void check_array(const struct desc *d, const char *text, size_t n)
{
    struct err e = {0}, of_scan = {0};
    void *objs;
    const char *p;
    size_t n_objs, len;
    int r = js_decode_array(d, text, n, &objs, &n_objs, &e);

    check((r < 0) == (e.text[0] != 0), "an error without words");
    check(r == 0 || (!objs && n_objs == 0), "a failed list is left behind");
    check(r < 0 || js_scan(text, n, &p, &len, &of_scan) != -EINVAL, of_scan.text);
    if (r < 0)
        check_words(text, n, e.text);
    for (size_t i = 0; i < n_objs; i++)
        ops_clear(d, (char *)objs + i * d->size);
    free(objs);
}

static bool has_raw(const struct desc *d)
{
    for (size_t i = 0; i < d->n_fields; i++)
        if (d->fields[i].type == FT_RAW)
            return true;
    return false;
}

static void check_struct(const struct desc *d, const char *text, size_t n)
{
    void *a = xcalloc(1, d->size), *b = xcalloc(1, d->size);
    struct buf out = BUF_INIT(OUT_MAX), again = BUF_INIT(OUT_MAX);
    struct err e = {0};
    int r = js_decode(d, text, n, a, &e);

    check((r < 0) == (e.text[0] != 0), "an error without words");
    if (r < 0)
        check_words(text, n, e.text);
    if (r == 0 && !has_raw(d)) {
        js_encode(&out, d, a, JS_SECRETS);
        if (buf_ok(&out) == 0 && js_decode(d, buf_str(&out), out.len, b, &e) == 0) {
            js_encode(&again, d, b, JS_SECRETS);
            check(strcmp(buf_str(&out), buf_str(&again)) == 0, "written again it differs");
        } else if (buf_ok(&out) == 0) {
            check(false, e.text);
        }
    }
    ops_clear(d, a);
    ops_clear(d, b);
    free(a);
    free(b);
    buf_done(&out);
    buf_done(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct method *m;
    const char *text;

    if (size == 0)
        return 0;
    m = &methods[data[0] % M_MAX];
    text = (const char *)data + 1;
    size--;
    check_scan(text, size);
    check_struct(m->request, text, size);
    check_struct(&desc_node, text, size);
    check_struct(&desc_node_stub, text, size);
    check_array(&desc_node_stub, text, size);
    return 0;
}
