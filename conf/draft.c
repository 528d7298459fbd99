#include "conf/draft.h"

#include <stdio.h>
#include <string.h>

#include "base/parse.h"
#include "base/str.h"
#include "base/vec.h"

void draft_init(struct draft *d, struct conf_report *report)
{
    *d = (struct draft){
        .set = xnew0_n(struct setting, n_conf_keys),
        .explained = xnew0_n(bool, n_conf_keys),
        .report = report,
    };
}

void setting_done(struct setting *s)
{
    free(s->text);
    strv_done(&s->list, &s->n_list);
    strmap_done(&s->map);
    *s = (struct setting){0};
}

void instance_reset(struct instance *in)
{
    for (size_t i = 0; i < in->n_set; i++)
        setting_done(&in->set[i]);
}

void draft_done(struct draft *d)
{
    for (size_t i = 0; d->set && i < n_conf_keys; i++)
        setting_done(&d->set[i]);
    for (size_t i = 0; i < d->n_inst; i++) {
        instance_reset(&d->inst[i]);
        free(d->inst[i].set);
        free(d->inst[i].label);
    }
    free(d->set);
    free(d->inst);
    free(d->explained);
    strv_done(&d->files, &d->n_files);
    *d = (struct draft){0};
}

/* ---- messages ---- */

/* a message is one line, whatever the values in it are */
static char *with_place(const struct place *at, const char *fmt, va_list ap)
{
    _cleanup_free_ char *text = xvasprintf(fmt, ap);

    for (char *p = text; *p; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            *p = ' ';

    if (at && at->file && at->pos.line)
        return xasprintf("%s:%u:%u: %s", at->file, at->pos.line, at->pos.column, text);
    if (at && at->file)
        return xasprintf("%s: %s", at->file, text);
    if (at && at->flag)
        return xasprintf("-%s: %s", at->flag, text);
    return steal_ptr(&text);
}

void draft_error(struct draft *d, const struct place *at, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    *vec_add(&d->report->errors, &d->report->n_errors) = with_place(at, fmt, ap);
    va_end(ap);
}

void draft_warn(struct draft *d, const struct place *at, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    *vec_add(&d->report->warnings, &d->report->n_warnings) = with_place(at, fmt, ap);
    va_end(ap);
}

void conf_report_done(struct conf_report *r)
{
    strv_done(&r->warnings, &r->n_warnings);
    strv_done(&r->errors, &r->n_errors);
}

/* ---- settings ---- */

struct setting *draft_setting(const struct draft *d, const char *path)
{
    return &d->set[key_index(key_find(path))];
}

const char *draft_text(const struct draft *d, const char *path)
{
    const struct conf_key *k = key_find(path);
    const struct setting *s = &d->set[key_index(k)];

    return s->set ? s->text : k->def;
}

bool key_below(const struct conf_key *k, const struct conf_key *block)
{
    size_t n = strlen(block->path);

    return strncmp(k->path, block->path, n) == 0 && k->path[n] == '.';
}

struct setting *instance_setting(const struct instance *in, const struct conf_key *k)
{
    return &in->set[k - in->key - 1];
}

struct instance *draft_instance(struct draft *d, const struct conf_key *k, const char *label)
{
    for (size_t i = 0; i < d->n_inst; i++)
        if (d->inst[i].key == k && strcmp(d->inst[i].label, label) == 0)
            return &d->inst[i];
    return NULL;
}

struct instance *draft_add_instance(struct draft *d, const struct conf_key *k, const char *label)
{
    struct instance *in = vec_add(&d->inst, &d->n_inst);
    size_t n = 0;

    while (key_index(k) + 1 + n < n_conf_keys && key_below(k + 1 + n, k))
        n++;
    *in = (struct instance){
        .key = k,
        .label = xstrdup(label),
        .set = xnew0_n(struct setting, n),
        .n_set = n,
    };
    return in;
}

static bool text_is_zero(const struct conf_key *k, const char *text)
{
    double f = 1;
    int64_t i = 1;

    switch (k->type) {
    case K_STR:
        return str_empty(text);
    case K_FREE:
        return strcmp(text, "{}") == 0;
    case K_INT:
        return parse_i64(text, &i) == 0 && i == 0;
    case K_FLOAT:
        return parse_f64(text, &f) == 0 && f == 0;
    case K_DUR:
        return !(k->flags & KEY_ZERO) && parse_duration(text, &i) == 0 && i == 0;
    case K_BOOL: /* a plain bool can only be switched on; one that is on already: let its row say so
                  */
        return strcmp(text, "false") == 0 && !str_eq(k->def, "true");
    default:
        return false;
    }
}

void setting_merge(const struct conf_key *k, struct setting *dst, struct setting *take_src)
{
    struct setting src = *take_src;

    *take_src = (struct setting){0};
    if (k->type == K_LIST) {
        if (!(k->flags & KEY_APPEND))
            strv_done(&dst->list, &dst->n_list);
        for (size_t i = 0; i < src.n_list; i++)
            strv_add(&dst->list, &dst->n_list, src.list[i]);
    } else if (k->type == K_MAP) {
        for (size_t i = 0; i < src.map.n; i++)
            strmap_set(&dst->map, src.map.items[i].key, src.map.items[i].value);
    } else if (src.text && !text_is_zero(k, src.text)) {
        free(dst->text);
        dst->text = steal_ptr(&src.text);
    } else if (src.text) {
        setting_done(&src); /* a zero overrides nothing */
        return;
    }
    dst->set = true;
    dst->at = src.at;
    setting_done(&src);
}
