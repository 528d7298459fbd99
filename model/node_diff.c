#include <string.h>

#include "base/str.h"
#include "codec/ops.h"
#include "model/node.h"

/* What differs between two nodes that one agent has made, as far as a registration tells it. */

static const char volatile_attribute[] = "unique.storage.bytesfree";

/* what the server sets or keeps: no news of the agent's */
static bool is_servers_field(const char *name)
{
    static const char *const fields[] = {
        "ComputedClass",
        "CreateIndex",
        "Drain",
        "DrainStrategy",
        "Events",
        "IdentitySigningKeyID",
        "LastAllocUpdateIndex",
        "LastDrain",
        "LastMissedHeartbeatIndex",
        "ModifyIndex",
        "SchedulingEligibility",
        "Status",
        "StatusDescription",
        "StatusUpdatedAt",
    };

    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        if (strcmp(fields[i], name) == 0)
            return true;
    return false;
}

/* maps are in key order: both are walked without the key that does not count */
static bool attributes_equal(const struct strmap *a, const struct strmap *b)
{
    size_t i = 0, k = 0;

    for (;; i++, k++) {
        if (i < a->n && str_eq(a->items[i].key, volatile_attribute))
            i++;
        if (k < b->n && str_eq(b->items[k].key, volatile_attribute))
            k++;
        if (i >= a->n || k >= b->n)
            return i >= a->n && k >= b->n;
        if (strcmp(a->items[i].key, b->items[k].key) != 0 ||
            strcmp(a->items[i].value, b->items[k].value) != 0)
            return false;
    }
}

static bool driver_equal(const struct driver_info *a, const struct driver_info *b)
{
    for (size_t i = 0; i < desc_driver_info.n_fields; i++) {
        const struct field *f = &desc_driver_info.fields[i];

        if (strcmp(f->name, "UpdateTime") != 0 && !ops_field_equal(f, a, b))
            return false;
    }
    return str_eq(a->key, b->key);
}

static bool drivers_equal(const struct node *a, const struct node *b)
{
    if (a->n_drivers != b->n_drivers)
        return false;
    for (size_t i = 0; i < a->n_drivers; i++)
        if (!driver_equal(&a->drivers[i], &b->drivers[i]))
            return false;
    return true;
}

bool node_registration_changed(const struct node *a, const struct node *b)
{
    for (size_t i = 0; i < desc_node.n_fields; i++) {
        const struct field *f = &desc_node.fields[i];

        if (is_servers_field(f->name) || strcmp(f->name, "Attributes") == 0 ||
            strcmp(f->name, "Drivers") == 0)
            continue;
        if (!ops_field_equal(f, a, b))
            return true;
    }
    return !attributes_equal(&a->attributes, &b->attributes) || !drivers_equal(a, b);
}

/* --- one by one --- */

struct walk {
    void (*fn)(void *arg, const char *fact);
    void *arg;
    const char *group;
};

static void tell(const struct walk *w, const char *name)
{
    _cleanup_free_ char *fact = xasprintf("%s.%s", w->group, name);

    w->fn(w->arg, fact);
}

/* Two lists in key order: names of what is in one only, or differs. */
static void walk_lists(const struct walk *w, const void *a, size_t n_a, const void *b, size_t n_b,
                       size_t size, bool (*equal)(const void *a, const void *b))
{
    size_t i = 0, k = 0;

    while (i < n_a || k < n_b) {
        const char *x = i < n_a ? (const char *)a + i * size : NULL;
        const char *y = k < n_b ? (const char *)b + k * size : NULL;
        /* every element begins with its key */
        int c = !x   ? 1
                : !y ? -1
                     : strcmp(*(char *const *)(const void *)x, *(char *const *)(const void *)y);

        const char *named = c <= 0 ? x : y;

        if (named && (c != 0 || !equal(x, y)))
            tell(w, *(char *const *)(const void *)named);
        i += c <= 0;
        k += c >= 0;
    }
}

static bool equal_pairs(const void *a, const void *b)
{
    return str_eq(((const struct strpair *)a)->value, ((const struct strpair *)b)->value);
}

static bool equal_drivers(const void *a, const void *b)
{
    return driver_equal(a, b);
}

static bool equal_volumes(const void *a, const void *b)
{
    return ops_equal(&desc_host_volume, a, b);
}

/* "driver.docker.version" is a fact of the driver */
static void tell_attribute(void *arg, const char *fact)
{
    static const char prefix[] = "Attributes.driver.";
    const struct walk *w = arg;
    struct walk driver = {w->fn, w->arg, "Drivers"};
    _cleanup_free_ char *name = NULL;

    if (!str_starts(fact, prefix)) {
        if (!str_eq(fact + strlen("Attributes."), volatile_attribute))
            w->fn(w->arg, fact);
        return;
    }
    fact += strlen(prefix);
    name = xstrndup(fact, strcspn(fact, "."));
    tell(&driver, name);
}

static void walk_maps(const struct walk *w, const struct strmap *a, const struct strmap *b)
{
    walk_lists(w, a->items, a->n, b->items, b->n, sizeof(struct strpair), equal_pairs);
}

static void walk_resources(const struct walk *w, const struct node_resources *a,
                           const struct node_resources *b)
{
    const char *names[32];
    size_t n;

    if (!a || !b) {
        if (a != b)
            w->fn(w->arg, w->group);
        return;
    }
    n = ops_diff(&desc_node_resources, a, b, names, ARRAY_LEN(names));
    for (size_t i = 0; i < MIN(n, ARRAY_LEN(names)); i++)
        tell(w, names[i]);
}

static void walk_field(const struct walk *w, const struct node *a, const struct node *b)
{
    struct walk inner = {tell_attribute, (void *)(uintptr_t)w, w->group};

    if (str_eq(w->group, "Attributes"))
        walk_maps(&inner, &a->attributes, &b->attributes);
    else if (str_eq(w->group, "Links"))
        walk_maps(w, &a->links, &b->links);
    else if (str_eq(w->group, "Meta"))
        walk_maps(w, &a->meta, &b->meta);
    else if (str_eq(w->group, "Drivers"))
        walk_lists(w, a->drivers, a->n_drivers, b->drivers, b->n_drivers,
                   sizeof(struct driver_info), equal_drivers);
    else if (str_eq(w->group, "HostVolumes"))
        walk_lists(w, a->host_volumes, a->n_host_volumes, b->host_volumes, b->n_host_volumes,
                   sizeof(struct host_volume), equal_volumes);
    else if (str_eq(w->group, "NodeResources"))
        walk_resources(w, a->node_resources, b->node_resources);
    else
        w->fn(w->arg, w->group);
}

void node_each_change(const struct node *a, const struct node *b,
                      void (*fn)(void *arg, const char *fact), void *arg)
{
    for (size_t i = 0; i < desc_node.n_fields; i++) {
        const struct field *f = &desc_node.fields[i];
        const struct walk w = {fn, arg, f->name};

        /* Resources is the old form of NodeResources */
        if (!is_servers_field(f->name) && strcmp(f->name, "Resources") != 0 &&
            !ops_field_equal(f, a, b))
            walk_field(&w, a, b);
    }
}
