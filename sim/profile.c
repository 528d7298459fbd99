#include "sim/profile.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/str.h"
#include "base/vec.h"
#include "codec/js.h"
#include "codec/ops.h"
#include "sim/strings.h"

#define ATTR_CHANGES "unique.picket-sim.changes"

/* a text of the node that differs from agent to agent */
struct slot {
    char **where;   /* in the node, which is not rearranged any more */
    char *template; /* owned */
};

struct profile {
    char *name;
    struct node *node;
    struct slot *slots;
    size_t n_slots;
    char **changes; /* the value of ATTR_CHANGES */
    bool is_picketd;
};

static void find_slot(void *arg, const struct string_place *at, char **s)
{
    struct profile *p = arg;
    struct slot *slot;

    (void)at;
    if (!*s || !ident_has_place(*s))
        return;
    slot = vec_add(&p->slots, &p->n_slots);
    slot->where = s;
    slot->template = xstrdup(*s);
}

static void find_changes(void *arg, const struct string_place *at, char **s)
{
    struct profile *p = arg;

    if (str_eq(at->within, "Attributes") && str_eq(at->name, ATTR_CHANGES))
        p->changes = s;
}

int profile_parse(const char *name, const char *text, size_t n, struct profile **ret, struct err *e)
{
    _cleanup_(profile_freep) struct profile *p = xnew0(struct profile);
    int r;

    p->name = xstrdup(name);
    p->node = node_new();
    r = js_decode(&desc_node, text, n, p->node, e);
    if (r < 0)
        return err_wrap(e, r, "profile %s", name);
    if (p->node->attributes.n == 0 || str_empty(p->node->datacenter))
        return err_set(e, -EINVAL, "profile %s: a node has a Datacenter and Attributes", name);
    /* what a recording that nobody scrubbed has of its own would be the same on all agents */
    str_set(&p->node->id, "{id}");
    str_set(&p->node->name, "{name}");
    p->is_picketd = strmap_get(&p->node->attributes, "picket.version") != NULL;
    strmap_set(&p->node->attributes, ATTR_CHANGES, "0");
    strings_each(&desc_node, p->node, find_slot, p);
    strings_each(&desc_node, p->node, find_changes, p);
    *ret = steal_ptr(&p);
    return 0;
}

int profile_load(const char *folder, const char *name, struct profile **ret, struct err *e)
{
    _cleanup_free_ char *path = NULL, *text = NULL;
    size_t n;
    int r;

    if (strchr(name, '/'))
        path = xstrdup(name);
    else if (folder)
        path = xasprintf("%s/%s.json", folder, name);
    else
        return err_set(e, -ENOENT, "profile %s: there is no folder of profiles (-profiles)", name);
    r = file_read(path, SIM_PROFILE_MAX, &text, &n);
    if (r < 0)
        return err_errno(e, r, "profile %s: %s", name, path);
    return profile_parse(name, text, n, ret, e);
}

struct profile *profile_free(struct profile *p)
{
    if (!p)
        return NULL;
    for (size_t i = 0; i < p->n_slots; i++)
        free(p->slots[i].template);
    free(p->slots);
    (void)node_free(p->node);
    free(p->name);
    return mem_free(p);
}

const char *profile_name(const struct profile *p)
{
    return p->name;
}

bool profile_is_picketd(const struct profile *p)
{
    return p->is_picketd;
}

struct node *profile_fill(struct profile *p, const struct profile_fill *f)
{
    char changes[24];

    for (size_t i = 0; i < p->n_slots; i++) {
        free(*p->slots[i].where);
        *p->slots[i].where = ident_expand(f->ident, p->slots[i].template);
    }
    (void)snprintf(changes, sizeof(changes), "%" PRIu64, f->changes);
    str_set(p->changes, changes);
    str_set(&p->node->secret_id, f->ident->secret);
    str_set(&p->node->status, f->status);
    str_set(&p->node->scheduling_eligibility, f->eligible ? NODE_ELIGIBLE : NODE_INELIGIBLE);
    if (f->datacenter)
        str_set(&p->node->datacenter, f->datacenter);
    return p->node;
}
