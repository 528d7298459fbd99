/* Configuration text, HCL and JSON: parsed, decoded by the key table, merged, checked.  JSON that
 * is taken must be taken by json-c as well. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "base/str.h"
#include "conf/load.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_json(const char *text, size_t n)
{
    struct json_tokener *t = json_tokener_new_ex(128);
    struct json_object *o;

    json_tokener_set_flags(t, JSON_TOKENER_STRICT);
    o = json_tokener_parse_ex(t, text, (int)n);
    if (!o && json_tokener_get_error(t) != json_tokener_success)
        abort();
    json_object_put(o);
    json_tokener_free(t);
}

static void load_all(const struct hcl_doc *doc, unsigned role)
{
    struct conf_report report = {0};
    struct conf c;
    struct draft d;

    draft_init(&d, &report);
    strv_add(&d.files, &d.n_files, "f");
    draft_read(&d, doc);
    if (load_finish(&d, role, 0, &c) == 0)
        conf_done(&c);
    for (size_t i = 0; i < report.n_errors; i++)
        if (strpbrk(report.errors[i], "\n\r\033"))
            abort(); /* a message is one line */
    conf_report_done(&report);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hcl_doc doc;
    struct err e = {0};
    char *json;

    if (hcl_parse("f", (const char *)data, size, &doc, &e) < 0) {
        if (!e.text[0])
            abort(); /* an error without words */
        return 0;
    }
    json = hcl_to_json(&doc.root);
    free(json);
    if (doc.root.json)
        check_json((const char *)data, size);
    load_all(&doc, CONF_CLIENT);
    load_all(&doc, CONF_SERVER);
    hcl_done(&doc);
    return 0;
}
