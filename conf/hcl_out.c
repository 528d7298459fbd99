/* A free-form block as JSON text: blocks become objects, a block that stands several times an
 * array of objects, labels objects of objects. */
#include "conf/draft.h"

#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "base/parse.h"
#include "codec/js.h"

static void write_value(struct buf *out, const struct hcl_value *v);

/* number as JSON: octal and hexadecimal are written in decimal */
static void write_number(struct buf *out, const struct hcl_value *v)
{
    int64_t i;
    double f;

    if (v->kind == HCL_INT && parse_i64_base0(v->text, &i) == 0)
        buf_printf(out, "%lld", (long long)i);
    else if (parse_f64(v->text, &f) == 0)
        js_f64(out, f);
    else
        js_str(out, v->text);
}

/* the value behind the words from i on: labels become objects */
static void write_labelled(struct buf *out, const struct hcl_member *m, size_t i)
{
    if (i == m->n_words) {
        write_value(out, &m->value);
        return;
    }
    buf_add_byte(out, '{');
    js_str(out, m->words[i].text);
    buf_add_byte(out, ':');
    write_labelled(out, m, i + 1);
    buf_add_byte(out, '}');
}

static bool same_key(const struct hcl_value *object, size_t a, size_t b)
{
    return strcmp(object->members[a].words[0].text, object->members[b].words[0].text) == 0;
}

static void write_object(struct buf *out, const struct hcl_value *v)
{
    bool first = true;

    buf_add_byte(out, '{');
    for (size_t i = 0; i < v->n_members; i++) {
        size_t count = 1;
        bool seen = false;

        for (size_t k = 0; k < i; k++)
            seen = seen || same_key(v, k, i);
        if (seen)
            continue;
        for (size_t k = i + 1; k < v->n_members; k++)
            count += same_key(v, k, i);
        if (!first)
            buf_add_byte(out, ',');
        first = false;
        js_str(out, v->members[i].words[0].text);
        buf_add_str(out, count > 1 ? ":[" : ":");
        write_labelled(out, &v->members[i], 1);
        for (size_t k = i + 1; k < v->n_members; k++) {
            if (!same_key(v, k, i))
                continue;
            buf_add_byte(out, ',');
            write_labelled(out, &v->members[k], 1);
        }
        if (count > 1)
            buf_add_byte(out, ']');
    }
    buf_add_byte(out, '}');
}

static void write_value(struct buf *out, const struct hcl_value *v)
{
    switch (v->kind) {
    case HCL_NULL:
        buf_add_str(out, "null");
        break;
    case HCL_BOOL:
        buf_add_str(out, v->boolean ? "true" : "false");
        break;
    case HCL_INT:
    case HCL_FLOAT:
        write_number(out, v);
        break;
    case HCL_STRING:
        js_str(out, v->text);
        break;
    case HCL_LIST:
        buf_add_byte(out, '[');
        for (size_t i = 0; i < v->n_items; i++) {
            if (i)
                buf_add_byte(out, ',');
            write_value(out, &v->items[i]);
        }
        buf_add_byte(out, ']');
        break;
    case HCL_OBJECT:
        write_object(out, v);
        break;
    }
}

char *hcl_to_json(const struct hcl_value *v)
{
    struct buf out _cleanup_buf_ = BUF_INIT(4 * READ_CAP_CONFIG);
    size_t n;

    write_value(&out, v);
    return (char *)buf_take(&out, &n);
}
