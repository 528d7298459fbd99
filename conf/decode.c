/* A parsed file into the draft: which key each member is, blocks, labels, doubles, unknown keys. */
#include "conf/draft.h"

#include <string.h>
#include <strings.h>

#include "base/str.h"
#include "conf/plugins.h"

/* one body being read */
struct body {
    struct draft *d;
    const char *block;          /* path of the block's row, "" at the top */
    const struct conf_key *row; /* the block's row, NULL at the top */
    struct instance *inst;      /* labelled: where its settings go; NULL = the draft's own */
    bool check_only;            /* a block that has no effect (a named consul or vault) */
    struct place *first;        /* per row: where it stands in this body; pos.line 0 = not yet */
};

static void read_body(struct draft *d, const struct conf_key *row, struct instance *inst,
                      bool check_only, const struct hcl_value *object);

static struct place place_of(const struct draft *d, struct hcl_pos pos)
{
    return (struct place){.file = d->files[d->n_files - 1], .pos = pos};
}

static void unknown_key(struct body *b, const struct hcl_word *word)
{
    struct place at = place_of(b->d, word->pos);
    bool *listed = b->row ? &b->d->explained[key_index(b->row)] : &b->d->top_explained;
    struct buf text _cleanup_buf_ = BUF_INIT(16384);

    buf_printf(&text, "unknown key \"%.80s\"%s%s", word->text, b->row ? " in " : "", b->block);
    key_explain_unknown(b->block, word->text, !*listed, &text);
    *listed = true;
    draft_error(b->d, &at, "%s", buf_str(&text));
}

/* whether this key may stand here once more; complains when not */
static bool first_time(struct body *b, const struct conf_key *k, const struct hcl_word *word)
{
    struct place at = place_of(b->d, word->pos), *first = &b->first[key_index(k)];

    if (first->pos.line && !(k->flags & KEY_REPEAT)) {
        draft_error(b->d, &at, "%s is given twice, first at %u:%u", k->path, first->pos.line,
                    first->pos.column);
        return false;
    }
    *first = at;
    return true;
}

static struct setting *target(const struct body *b, const struct conf_key *k)
{
    return b->inst ? instance_setting(b->inst, k) : &b->d->set[key_index(k)];
}

static void read_scalar(struct body *b, const struct conf_key *k, const struct hcl_member *m)
{
    struct place at = place_of(b->d, m->value.pos);
    struct setting s = {0};

    if (m->n_words > 1) {
        at = place_of(b->d, m->words[1].pos);
        draft_error(b->d, &at, "%s takes no label", k->path);
        return;
    }
    if (!first_time(b, k, &m->words[0]) || m->value.kind == HCL_NULL)
        return;
    if (b->inst && strcmp(k->path, "plugin.config") == 0)
        plugin_check_config(b->d, b->inst->label, &m->value);
    if (draft_coerce(b->d, k, k->path, &m->value, &at, &s) && !b->check_only)
        setting_merge(k, target(b, k), &s);
    setting_done(&s);
}

/* the value of "name" directly in a block, when it is a string */
static const char *string_member(const struct hcl_value *object, const char *name)
{
    for (size_t i = 0; i < object->n_members; i++)
        if (strcasecmp(object->members[i].words[0].text, name) == 0)
            return object->members[i].value.text;
    return NULL;
}

/* consul and vault may stand several times, told apart by name; only "default" counts */
static bool is_other_cluster(struct body *b, const struct conf_key *k,
                             const struct hcl_value *object)
{
    const char *name = NULL;
    struct place at = place_of(b->d, object->pos);

    if (strcmp(k->path, "consul") == 0 || strcmp(k->path, "vault") == 0)
        name = string_member(object, "name");
    if (str_empty(name) || str_eq(name, "default"))
        return false;
    draft_warn(b->d, &at, "%s \"%s\" has no effect: only the one named \"default\" is used",
               k->path, name);
    return true;
}

/* the objects of a block: itself, or in JSON each of a list */
static bool each_object(struct body *b, const struct conf_key *k, const struct hcl_member *m,
                        const struct hcl_value *v,
                        void (*fn)(struct body *, const struct conf_key *,
                                   const struct hcl_member *, const struct hcl_value *))
{
    struct place at = place_of(b->d, v->pos);

    if (v->kind == HCL_OBJECT) {
        fn(b, k, m, v);
        return true;
    }
    if (v->json && v->kind == HCL_LIST) {
        for (size_t i = 0; i < v->n_items; i++)
            (void)each_object(b, k, m, &v->items[i], fn);
        return true;
    }
    if (v->kind == HCL_NULL)
        return true;
    draft_error(b->d, &at, "%s: %s is needed, not %s", k->path, key_type_name(k->type),
                hcl_kind_name(v->kind));
    return false;
}

static void read_block(struct body *b, const struct conf_key *k, const struct hcl_member *m,
                       const struct hcl_value *object)
{
    bool check_only = b->check_only;

    if (m->n_words > 1) {
        struct place at = place_of(b->d, m->words[1].pos);

        draft_error(b->d, &at, "%s takes no label", k->path);
        return;
    }
    if (!first_time(b, k, &m->words[0]))
        return;
    check_only = is_other_cluster(b, k, object) || check_only;
    if (!check_only) {
        struct setting *s = target(b, k);

        if (!s->set)
            s->at = place_of(b->d, m->words[0].pos);
        s->set = true;
    }
    read_body(b->d, k, b->inst, check_only, object);
}

static void read_instance(struct body *b, const struct conf_key *k, const struct hcl_word *label,
                          const struct hcl_value *object)
{
    struct draft *d = b->d;
    struct instance *in = draft_instance(d, k, label->text);
    struct place at = place_of(d, label->pos);
    unsigned file_no = (unsigned)d->n_files;

    if (in && in->file_no == file_no) {
        draft_error(d, &at, "%s \"%s\" is given twice, first at %u:%u", k->path, label->text,
                    in->at.pos.line, in->at.pos.column);
        return;
    }
    if (!in)
        in = draft_add_instance(d, k, label->text);
    else if (strcmp(k->path, "plugin") != 0 && strcmp(k->path, "client.fingerprint") != 0)
        instance_reset(in); /* a later block replaces the whole one */
    in->file_no = file_no;
    in->at = at;
    if (strcmp(k->path, "keyring") != 0) /* takes any keys */
        read_body(d, k, in, b->check_only, object);
}

/* "x { label { } }" is the same as "x label { }" */
static void read_labels(struct body *b, const struct conf_key *k, const struct hcl_member *m,
                        const struct hcl_value *object)
{
    (void)m;
    for (size_t i = 0; i < object->n_members; i++) {
        const struct hcl_member *inner = &object->members[i];
        struct place at = place_of(b->d, inner->words[0].pos);

        if (inner->n_words > 1) {
            draft_error(b->d, &at, "%s takes one label", k->path);
        } else if (inner->value.kind == HCL_OBJECT) {
            read_instance(b, k, &inner->words[0], &inner->value);
        } else if (inner->value.json && inner->value.kind == HCL_LIST &&
                   inner->value.n_items == 1 && inner->value.items[0].kind == HCL_OBJECT) {
            read_instance(b, k, &inner->words[0], &inner->value.items[0]);
        } else {
            draft_error(b->d, &at, "%s needs a label: %s \"name\" { ... }", k->path, key_name(k));
            return;
        }
    }
}

static void read_labelled(struct body *b, const struct conf_key *k, const struct hcl_member *m)
{
    struct place at = place_of(b->d, m->words[m->n_words - 1].pos);

    if (m->n_words > 2)
        draft_error(b->d, &at, "%s takes one label", k->path);
    else if (m->n_words == 2)
        read_instance(b, k, &m->words[1], &m->value);
    else
        (void)each_object(b, k, m, &m->value, read_labels);
}

static void read_member(struct body *b, const struct hcl_member *m)
{
    const struct conf_key *k = key_child(b->block, m->words[0].text);

    if (!k)
        unknown_key(b, &m->words[0]);
    else if (k->type == K_LABEL)
        read_labelled(b, k, m);
    else if (k->type == K_BLOCK)
        (void)each_object(b, k, m, &m->value, read_block);
    else
        read_scalar(b, k, m);
}

static void read_body(struct draft *d, const struct conf_key *row, struct instance *inst,
                      bool check_only, const struct hcl_value *object)
{
    struct body b = {
        .d = d,
        .block = row ? row->path : "",
        .row = row,
        .inst = inst,
        .check_only = check_only,
        .first = xnew0_n(struct place, n_conf_keys),
    };

    for (size_t i = 0; i < object->n_members; i++)
        read_member(&b, &object->members[i]);
    free(b.first);
}

void draft_read(struct draft *d, const struct hcl_doc *doc)
{
    read_body(d, NULL, NULL, false, &doc->root);
}
