/* What the rows of keys that Picket does not have say: warnings and refusals, when such a key is
 * set to anything but its default (design decision 2). */
#include "conf/draft.h"

#include <string.h>

#include "base/parse.h"
#include "base/str.h"
#include "conf/plugins.h"

/* Whether a merged value says no more than the default does.  Besides being equal to it, three rows
 * have more than one harmless value. */
static bool harmless(const struct draft *d, const struct conf_key *k, const struct setting *s)
{
    int64_t a, b;
    double fa, fb;

    if (!s->set)
        return true;
    if (k->type == K_LIST)
        return s->n_list == 0;
    if (k->type == K_MAP)
        return s->map.n == 0;
    if (k->type == K_BLOCK || !s->text)
        return false;
    if (strcmp(k->path, "server.authoritative_region") == 0)
        return str_eq(s->text, draft_text(d, "region"));
    if (strcmp(k->path, "server.bootstrap_expect") == 0)
        return parse_i64(s->text, &a) == 0 && a <= 1;
    if (strcmp(k->path, "server.client_introduction.enforcement") == 0)
        return str_eq(s->text, "none") || str_eq(s->text, "warn");
    if (str_empty(s->text))
        return true;
    if (!k->def)
        return false;
    if (k->type == K_DUR)
        return parse_duration(s->text, &a) == 0 && parse_duration(k->def, &b) == 0 && a == b;
    if (k->type == K_FLOAT)
        return parse_f64(s->text, &fa) == 0 && parse_f64(k->def, &fb) == 0 && fa == fb;
    return strcmp(s->text, k->def) == 0;
}

static void refuse(struct draft *d, const struct conf_key *k, const struct setting *s)
{
    const char *value = k->flags & KEY_SECRET ? NULL : s->text;

    draft_error(d, &s->at, "%s%s%.60s is refused: %s", k->path, value ? " = " : "",
                str_or_empty(value), k->why);
}

static void answer_instances(struct draft *d, unsigned role)
{
    for (size_t i = 0; i < d->n_inst; i++) {
        const struct instance *in = &d->inst[i];
        const struct conf_key *k = in->key;

        if (!(k->roles & role))
            continue;
        if (k->action == KEY_REFUSE && !str_eq(in->label, k->def))
            draft_error(d, &in->at, "%s \"%.60s\" is refused: %s", k->path, in->label, k->why);
        if (k->action == KEY_WARN)
            draft_warn(d, &in->at, "%s \"%.60s\" has no effect: %s", k->path, in->label, k->why);
        for (size_t n = 0; n < in->n_set; n++)
            if (k[1 + n].action == KEY_WARN && !harmless(d, &k[1 + n], &in->set[n]))
                draft_warn(d, &in->set[n].at, "%s has no effect: %s", k[1 + n].path, k[1 + n].why);
    }
}

void draft_answer(struct draft *d, unsigned role)
{
    for (size_t i = 0; i < n_conf_keys; i++) {
        const struct conf_key *k = &conf_keys[i];
        const struct setting *s = &d->set[i];

        if (!(k->roles & role) || harmless(d, k, s))
            continue;
        if (k->action == KEY_REFUSE)
            refuse(d, k, s);
        else if (k->action == KEY_WARN)
            draft_warn(d, &s->at, "%s has no effect: %s", k->path, k->why);
    }
    answer_instances(d, role);
    if (role & CONF_CLIENT)
        plugin_answer(d);
}
