#include "agent/meta.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "agent/merge.h"
#include "base/limits.h"
#include "base/str.h"
#include "base/vec.h"
#include "codec/ops.h"

/* to copy, compare and clear a whole map by its table */
struct holder {
    struct optmap map;
};
#define T struct holder
static const struct field holder_fields[] = {
    {"Map", OPT_MAP(map)},
};
#undef T
static DESC(desc_holder, struct holder, holder_fields);

struct meta {
    struct meta_opts o;
    struct strmap static_, merged;
    struct holder dynamic;
};

/* --- keys --- */

/* HCL's identifiers: letters and underscores, then digits and dashes too.  Of characters beyond
 * ASCII any is taken for a letter: Unicode's classes are not looked up. */
static bool is_start(unsigned char c)
{
    return isalpha(c) || c == '_' || c >= 0x80;
}

/* nomad v1.10 nomad/structs: dotted identifiers, because constraints interpolate them */
static bool is_dotted_identifier(const char *key)
{
    if (!str_utf8_valid(key, strlen(key)))
        return false;
    for (;;) {
        if (!is_start((unsigned char)*key++))
            return false;
        while (is_start((unsigned char)*key) || isdigit((unsigned char)*key) || *key == '-')
            key++;
        if (!*key)
            return true;
        if (*key++ != '.')
            return false;
    }
}

static int check(const struct optmap *changes, struct err *e)
{
    for (size_t i = 0; i < changes->n; i++) {
        const char *key = changes->items[i].key;

        if (!*key)
            return err_set_status(e, -EINVAL, 400, "metadata keys must not be empty");
        if (!is_dotted_identifier(key))
            return err_set_status(
                e, -EINVAL, 400,
                "\"%.100s\" is invalid; metadata keys must be valid dotted hcl identifiers", key);
    }
    return 0;
}

/* --- maps --- */

static void append(struct optmap *m, const struct optpair *p)
{
    *vec_add(&m->items, &m->n) =
        (struct optpair){.key = xstrdup(p->key), .value = p->value ? xstrdup(p->value) : NULL};
}

/* Both are in key order and walked side by side: there may be a hundred thousand changes.  A null
 * stays only where it hides a static key (nomad v1.10 client/meta_endpoint.go). */
static void merge_changes(struct optmap *ret, const struct optmap *old,
                          const struct optmap *changes, const struct strmap *static_)
{
    size_t i = 0, k = 0;

    while (i < old->n || k < changes->n) {
        int c = i == old->n       ? 1
                : k == changes->n ? -1
                                  : strcmp(old->items[i].key, changes->items[k].key);

        if (c < 0)
            append(ret, &old->items[i]);
        else if (changes->items[k].value || strmap_get(static_, changes->items[k].key))
            append(ret, &changes->items[k]);
        i += c <= 0;
        k += c >= 0;
    }
}

static size_t map_bytes(const struct optmap *m)
{
    size_t n = 0;

    for (size_t i = 0; i < m->n; i++)
        n += strlen(m->items[i].key) + strlen(str_or_empty(m->items[i].value));
    return n;
}

/* --- merging --- */

/* returns whether the merged map is another than before */
static bool merge(struct meta *m)
{
    struct strmap before = m->merged;
    bool same;

    m->merged = (struct strmap){0};
    strmap_copy(&m->merged, &m->static_);
    for (size_t i = 0; i < m->dynamic.map.n; i++) {
        const struct optpair *p = &m->dynamic.map.items[i];

        if (p->value)
            strmap_set(&m->merged, p->key, p->value);
        else
            (void)strmap_remove(&m->merged, p->key);
    }
    same = strmap_equal(&before, &m->merged);
    strmap_done(&before);
    return !same;
}

static void changed(struct meta *m)
{
    if (merge(m) && m->o.on_change)
        m->o.on_change(m->o.arg);
}

int meta_apply(struct meta *m, const struct optmap *changes, struct err *e)
{
    struct holder next = {0};
    int r = check(changes, e);

    if (r < 0)
        return r;
    merge_changes(&next.map, &m->dynamic.map, changes, &m->static_);
    if (map_bytes(&next.map) > NODE_META_MAX) {
        r = err_set_status(e, -EINVAL, 400, "dynamic metadata would be %zu bytes, at most %zu fit",
                           map_bytes(&next.map), NODE_META_MAX);
        ops_clear(&desc_holder, &next);
        return r;
    }
    ops_clear(&desc_holder, &m->dynamic);
    m->dynamic = next;
    journal_set_meta(m->o.journal, &m->dynamic.map);
    changed(m);
    return 0;
}

static void read_static(struct meta *m)
{
    strmap_done(&m->static_);
    merge_static_meta(&m->static_, m->o.conf);
}

struct journal_wait *meta_sync(struct meta *m, void (*done)(void *arg, int r), void *arg)
{
    return journal_sync(m->o.journal, done, arg);
}

void meta_reload(struct meta *m)
{
    read_static(m);
    changed(m);
}

const struct strmap *meta_static(const struct meta *m)
{
    return &m->static_;
}

const struct optmap *meta_dynamic(const struct meta *m)
{
    return &m->dynamic.map;
}

const struct strmap *meta_merged(const struct meta *m)
{
    return &m->merged;
}

struct meta *meta_new(const struct meta_opts *o)
{
    const struct optmap *kept = journal_meta(o->journal);
    struct meta *m = xnew0(struct meta);

    m->o = *o;
    if (kept)
        ops_copy(&desc_holder, &m->dynamic, &(struct holder){.map = *kept});
    read_static(m);
    (void)merge(m);
    return m;
}

struct meta *meta_free(struct meta *m)
{
    if (!m)
        return NULL;
    ops_clear(&desc_holder, &m->dynamic);
    strmap_done(&m->static_);
    strmap_done(&m->merged);
    return mem_free(m);
}
