/* One value of a file, or a text of the command line, into a setting.  What turns into what is a
 * fact about Nomad's decoder (platform 1.1): strings take numbers and booleans as written, numbers
 * may be quoted, floats may not, lists are lists. */
#include "conf/draft.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/parse.h"
#include "base/str.h"

static int set_text(struct setting *s, const char *text)
{
    s->text = xstrdup(text);
    return 0;
}

static int take_int(const char *text, struct setting *ret, struct err *e)
{
    char number[32];
    int64_t v;
    int r = parse_i64_base0(text, &v);

    if (r == -ERANGE)
        return err_set(e, -EINVAL, "%s is out of range", text);
    if (r < 0)
        return err_set(e, -EINVAL, "a whole number is needed, not \"%.60s\"", text);
    (void)snprintf(number, sizeof(number), "%" PRId64, v);
    return set_text(ret, number);
}

static int take_float(const char *text, struct setting *ret, struct err *e)
{
    int64_t whole;
    double v;

    if (parse_i64_base0(text, &whole) == 0)
        v = (double)whole;
    else if (parse_f64(text, &v) < 0)
        return err_set(e, -EINVAL, "a number is needed, not \"%.60s\"", text);
    ret->text = xasprintf("%.17g", v);
    return 0;
}

static int take_bool(const char *text, struct setting *ret, struct err *e)
{
    if (strcasecmp(text, "true") == 0 || strcmp(text, "1") == 0)
        return set_text(ret, "true");
    if (strcasecmp(text, "false") == 0 || strcmp(text, "0") == 0)
        return set_text(ret, "false");
    return err_set(e, -EINVAL, "true or false is needed, not \"%.60s\"", text);
}

int setting_from_text(const struct conf_key *k, const char *text, struct setting *ret,
                      struct err *e)
{
    int64_t ns;

    switch (k->type) {
    case K_STR:
    case K_STRP:
        return set_text(ret, text);
    case K_INT:
    case K_INTP:
        return take_int(text, ret, e);
    case K_FLOAT:
        return take_float(text, ret, e);
    case K_BOOL:
    case K_BOOLP:
        return take_bool(text, ret, e);
    case K_DUR:
        if (*text && parse_duration(text, &ns) < 0)
            return err_set(e, -EINVAL, "can't parse time duration %.60s", text);
        return set_text(ret, *text ? text : "0s");
    case K_LIST:
        if (k->flags & KEY_FLAG_COMMA)
            strv_split(text, ",", &ret->list, &ret->n_list);
        else
            strv_add(&ret->list, &ret->n_list, text);
        return 0;
    default:
        return err_set(e, -EINVAL, "not a single value");
    }
}

static struct place place_at(const struct place *block, const struct hcl_value *v)
{
    struct place at = *block;

    if (v->pos.line)
        at.pos = v->pos;
    return at;
}

static bool wrong_type(struct draft *d, const char *path, const char *needed,
                       const struct hcl_value *v, const struct place *at)
{
    const char *hint = "";

    if (v->kind == HCL_STRING && strcmp(needed, "a list of strings") == 0)
        hint = ": write [\"...\"]";
    if (strcmp(needed, "a duration") == 0)
        hint = ", such as \"30s\" or \"1h30m\"";
    draft_error(d, at, "%s: %s is needed%s, not %s", path, needed, hint, hcl_kind_name(v->kind));
    return false;
}

static bool is_scalar(const struct hcl_value *v)
{
    return v->kind == HCL_STRING || v->kind == HCL_INT || v->kind == HCL_FLOAT ||
           v->kind == HCL_BOOL;
}

static bool coerce_list(struct draft *d, const char *path, const struct hcl_value *v,
                        const struct place *at, struct setting *ret)
{
    bool ok = true;

    if (v->kind != HCL_LIST)
        return wrong_type(d, path, "a list of strings", v, at);
    for (size_t i = 0; i < v->n_items; i++) {
        struct place item = place_at(at, &v->items[i]);

        if (is_scalar(&v->items[i]))
            strv_add(&ret->list, &ret->n_list, v->items[i].text);
        else
            ok = wrong_type(d, path, "a string", &v->items[i], &item);
    }
    return ok;
}

static bool coerce_map(struct draft *d, const char *path, const struct hcl_value *v,
                       const struct place *at, struct setting *ret)
{
    bool ok = true;

    if (v->json && v->kind == HCL_LIST && v->n_items == 1) /* JSON's other form of a block */
        return coerce_map(d, path, &v->items[0], at, ret);
    if (v->kind != HCL_OBJECT)
        return wrong_type(d, path, "a block of strings", v, at);
    for (size_t i = 0; i < v->n_members; i++) {
        const struct hcl_member *m = &v->members[i];
        struct place key = *at, value = place_at(at, &m->value);

        key.pos = m->words[0].pos;
        if (m->n_words > 1 || !is_scalar(&m->value)) {
            if (m->value.kind != HCL_NULL)
                ok = wrong_type(d, path, "a string", &m->value, m->n_words > 1 ? &key : &value);
        } else if (strmap_get(&ret->map, m->words[0].text)) {
            draft_error(d, &key, "%s: \"%s\" is given twice", path, m->words[0].text);
            ok = false;
        } else {
            strmap_set(&ret->map, m->words[0].text, m->value.text);
        }
    }
    return ok;
}

/* which kinds of a file's values a scalar row takes */
static bool takes_kind(enum key_type t, enum hcl_kind kind)
{
    switch (t) {
    case K_STR:
    case K_STRP:
        return kind == HCL_STRING || kind == HCL_INT || kind == HCL_FLOAT || kind == HCL_BOOL;
    case K_INT:
    case K_INTP:
        return kind == HCL_INT || kind == HCL_STRING;
    case K_FLOAT:
        return kind == HCL_INT || kind == HCL_FLOAT;
    case K_BOOL:
    case K_BOOLP:
        return kind == HCL_BOOL || kind == HCL_INT || kind == HCL_STRING;
    case K_DUR: /* a bare number is answered by the duration's own text */
        return kind == HCL_STRING || kind == HCL_INT || kind == HCL_FLOAT;
    default:
        return false;
    }
}

bool draft_coerce(struct draft *d, const struct conf_key *k, const char *path,
                  const struct hcl_value *v, const struct place *at, struct setting *ret)
{
    struct err e = {0};

    ret->at = *at;
    if (k->type == K_LIST)
        return coerce_list(d, path, v, at, ret);
    if (k->type == K_MAP)
        return coerce_map(d, path, v, at, ret);
    if (k->type == K_FREE) {
        if (v->kind != HCL_OBJECT && !(v->json && v->kind == HCL_LIST))
            return wrong_type(d, path, "a block", v, at);
        ret->text = hcl_to_json(v);
        return true;
    }
    if (!takes_kind(k->type, v->kind))
        return wrong_type(d, path, key_type_name(k->type), v, at);
    if (k->type == K_DUR && v->kind != HCL_STRING)
        (void)err_set(&e, -EINVAL,
                      "can't parse time duration %s: a unit in quotes is needed, as \"%ss\"",
                      v->text, v->text);
    else if (setting_from_text(k, v->text, ret, &e) == 0)
        return true;
    draft_error(d, at, "%s%s %s", path, k->type == K_DUR ? "" : ":", e.text);
    return false;
}
