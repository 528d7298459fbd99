/* model/node_rules.c - small pure rules about nodes: list stub, registration, comparison. */
#include <errno.h>
#include <string.h>

#include "base/limits.h"
#include "base/str.h"
#include "base/uuid.h"
#include "base/vec.h"
#include "codec/ops.h"
#include "model/node.h"
#include "model/texts.h"

/* ---- the list stub ---- */

/* "10.0.0.1:4646" and "[::1]:4646" without the port; without a port there is none */
static char *host_of(const char *http_addr)
{
    const char *colon, *end;

    http_addr = str_or_empty(http_addr);
    colon = strrchr(http_addr, ':');
    end = colon ? colon : http_addr;
    if (*http_addr == '[' && end > http_addr + 1 && end[-1] == ']')
        return xstrndup(http_addr + 1, (size_t)(end - http_addr) - 2);
    return xstrndup(http_addr, (size_t)(end - http_addr));
}

static void copy_keyed(const struct desc *d, const void *from, size_t n, void *pp, size_t *ret_n)
{
    const char *items = from;

    if (!items)
        return;
    *ret_n = 0;
    for (size_t i = 0; i < n; i++)
        ops_copy(d, vec_grow_(pp, ret_n, d->size), items + i * d->size);
    if (n == 0) { /* empty, not nil */
        void *none = xcalloc(1, d->size);

        memcpy(pp, &none, sizeof(none));
    }
}

static void *copy_of(const struct desc *d, const void *from)
{
    void *to;

    if (!from)
        return NULL;
    to = xcalloc(1, d->size);
    ops_copy(d, to, from);
    return to;
}

/* nomad v1.3 nomad/structs/structs.go: with os=true the stub has this attribute, also when the node
 * has not */
static void copy_os(struct strmap *dst, const struct strmap *src)
{
    strmap_set(dst, "os.name", str_or_empty(strmap_get(src, "os.name")));
}

void node_make_stub(const struct node *n, bool resources, bool os, struct node_stub *ret)
{
    ret->address = host_of(n->http_addr);
    ret->id = xstrdup(n->id);
    ret->datacenter = xstrdup(n->datacenter);
    ret->name = xstrdup(n->name);
    ret->node_pool = xstrdup(n->node_pool);
    ret->node_class = xstrdup(n->node_class);
    ret->version = xstrdup(strmap_get(&n->attributes, "nomad.version"));
    ret->drain = n->drain_strategy != NULL;
    ret->scheduling_eligibility = xstrdup(n->scheduling_eligibility);
    ret->status = xstrdup(n->status);
    ret->status_description = xstrdup(n->status_description);
    copy_keyed(&desc_driver_info, n->drivers, n->n_drivers, &ret->drivers, &ret->n_drivers);
    copy_keyed(&desc_host_volume, n->host_volumes, n->n_host_volumes, &ret->host_volumes,
               &ret->n_host_volumes);
    ret->last_drain = copy_of(&desc_drain_metadata, n->last_drain);
    ret->create_index = n->create_index;
    ret->modify_index = n->modify_index;
    if (resources) {
        ret->node_resources = copy_of(&desc_node_resources, n->node_resources);
        ret->reserved_resources = copy_of(&desc_reserved_resources, n->reserved_resources);
    }
    if (os)
        copy_os(&ret->attributes, &n->attributes);
}

/* ---- registration ---- */

bool node_status_valid(const char *status)
{
    return str_eq(status, NODE_STATUS_INIT) || str_eq(status, NODE_STATUS_READY) ||
           str_eq(status, NODE_STATUS_DOWN) || str_eq(status, NODE_STATUS_DISCONNECTED);
}

enum { POOL_NAME_MAX = 128 };

static bool pool_name_valid(const char *name)
{
    size_t n = strlen(name);

    return n >= 1 && n <= POOL_NAME_MAX &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == n;
}

static int check_pool(const char *pool, struct err *e)
{
    if (str_empty(pool))
        return 0;
    if (!pool_name_valid(pool))
        return err_set(e, -EINVAL,
                       "invalid node pool: invalid name \"%s\", must match regex "
                       "^[a-zA-Z0-9-_]{1,128}$",
                       pool);
    if (str_eq(pool, "all"))
        return err_set(e, -EINVAL, TEXT_POOL_ALL);
    return 0;
}

/* Nomad's index takes hyphens anywhere; ids are 8-4-4-4-12 here, because they are compared as text
 * as well */
static int check_id(const char *id, struct err *e)
{
    struct err cause = {0};
    struct uuid u;
    size_t n;

    if (uuid_index(id, false, &u, &n, &cause) < 0)
        return err_set(e, -EINVAL, TEXT_NODE_LOOKUP, cause.text);
    if (uuid_parse(id, &u) < 0)
        return err_set(e, -EINVAL, TEXT_NODE_LOOKUP, "Invalid UUID");
    return 0;
}

/* fact: server-semantics 1.2.  SecretID: Nomad answers success and stores nothing when it is no
 * UUID (fact: fingerprints 0, trap 1); an error is better. */
int node_validate_registration(const struct node *n, struct err *e)
{
    struct uuid u;
    int r;

    if (!n)
        return err_set(e, -EINVAL, TEXT_MISSING_NODE);
    if (str_empty(n->id))
        return err_set(e, -EINVAL, TEXT_MISSING_NODE_ID);
    if (str_empty(n->datacenter))
        return err_set(e, -EINVAL, TEXT_MISSING_DATACENTER);
    if (str_empty(n->name))
        return err_set(e, -EINVAL, TEXT_MISSING_NAME);
    if (n->attributes.n == 0)
        return err_set(e, -EINVAL, TEXT_MISSING_ATTRIBUTES);
    if (str_empty(n->secret_id))
        return err_set(e, -EINVAL, TEXT_MISSING_SECRET);
    r = check_pool(n->node_pool, e);
    if (r < 0)
        return r;
    if (!str_empty(n->status) && !node_status_valid(n->status))
        return err_set(e, -EINVAL, TEXT_INVALID_STATUS);
    r = check_id(n->id, e);
    if (r < 0)
        return r;
    if (uuid_parse(n->secret_id, &u) < 0)
        return err_set(e, -EINVAL, TEXT_SECRET_NO_UUID);
    return 0;
}

static void set_default(char **p, const char *value)
{
    if (str_empty(*p))
        str_set(p, value);
}

/* for agents before 0.12, which know no NodeNetworks */
static void make_node_networks(struct node_resources *r)
{
    if (r->node_networks || r->n_networks == 0)
        return;
    for (size_t i = 0; i < r->n_networks; i++) {
        const struct network_resource *from = &r->networks[i];
        struct node_network_resource *to = vec_add(&r->node_networks, &r->n_node_networks);

        to->mode = xstrdup(from->mode);
        to->device = xstrdup(from->device);
        to->speed = from->mbits;
        if (str_empty(from->ip))
            continue;
        *vec_add(&to->addresses, &to->n_addresses) = (struct node_network_address){
            .alias = xstrdup("default"),
            .address = xstrdup(from->ip),
        };
    }
}

/* for agents before 1.7: one socket, one NUMA node, a performance core for each reservable one */
static void make_topology(struct node_cpu *cpu, struct processors *p)
{
    struct topology *t;
    struct int_row *row;

    if (cpu->cpu_shares == 0 && cpu->total_cpu_cores == 0)
        return;
    t = p->topology = xnew0(struct topology);
    t->nodes = (struct bytes){xcalloc(1, 1), 1};
    row = vec_add(&t->distances, &t->n_distances);
    *vec_add(&row->v, &row->n) = 10;
    for (size_t i = 0; i < cpu->n_reservable_cpu_cores; i++)
        *vec_add(&t->cores, &t->n_cores) = (struct cpu_core){
            .id = cpu->reservable_cpu_cores[i],
            .grade = true,
            .guess_speed = (uint64_t)MAX(cpu->cpu_shares, 0) / cpu->n_reservable_cpu_cores,
        };
    if (cpu->n_reservable_cpu_cores == 0)
        t->override_total_compute = (uint64_t)MAX(cpu->cpu_shares, 0);
}

/* the other way round, for peers that send only the topology */
static void make_cpu(struct node_cpu *cpu, const struct topology *t)
{
    uint64_t sum = 0;

    if (cpu->cpu_shares != 0)
        return;
    for (size_t i = 0; i < t->n_cores; i++) {
        const struct cpu_core *c = &t->cores[i];

        if (!c->disable)
            sum += c->base_speed ? c->base_speed : c->max_speed ? c->max_speed : c->guess_speed;
    }
    if (t->override_total_compute)
        sum = t->override_total_compute;
    cpu->cpu_shares = (int64_t)MIN(sum, (uint64_t)INT64_MAX);
    if (cpu->total_cpu_cores == 0)
        cpu->total_cpu_cores = t->n_cores;
    if (cpu->reservable_cpu_cores)
        return;
    for (size_t i = 0; i < t->n_cores; i++)
        if (!t->cores[i].disable && t->cores[i].id <= UINT16_MAX)
            *vec_add(&cpu->reservable_cpu_cores, &cpu->n_reservable_cpu_cores) =
                (uint16_t)t->cores[i].id;
}

void node_canonicalize(struct node *n)
{
    struct node_resources *r = n->node_resources;

    set_default(&n->status, NODE_STATUS_INIT);
    set_default(&n->scheduling_eligibility, NODE_ELIGIBLE);
    set_default(&n->node_pool, NODE_POOL_DEFAULT);
    if (!r)
        return;
    make_node_networks(r);
    if (r->processors.topology)
        make_cpu(&r->cpu, r->processors.topology);
    else
        make_topology(&r->cpu, &r->processors);
}

void node_add_event(struct node *n, const struct node_event *ev)
{
    while (n->n_events >= NODE_EVENTS_MAX) {
        ops_clear(&desc_node_event, &n->events[0]);
        n->n_events--;
        memmove(&n->events[0], &n->events[1], n->n_events * sizeof(*n->events));
    }
    ops_copy(&desc_node_event, vec_add(&n->events, &n->n_events), ev);
}

struct driver_info *node_driver(const struct node *n, const char *name)
{
    return ops_keyed_find(&desc_driver_info, n->drivers, n->n_drivers, name);
}

/* ---- comparison ---- */

static const struct node_device *devices_of(const struct node *n, size_t *ret_n)
{
    *ret_n = n->node_resources ? n->node_resources->n_devices : 0;
    return *ret_n ? n->node_resources->devices : NULL;
}

static bool devices_equal(const struct node *a, const struct node *b)
{
    size_t n, m;
    const struct node_device *x = devices_of(a, &n), *y = devices_of(b, &m);

    if (n != m)
        return false;
    for (size_t i = 0; i < n; i++)
        if (!ops_equal(&desc_node_device, &x[i], &y[i]))
            return false;
    return true;
}

bool node_placement_changed(const struct node *a, const struct node *b)
{
    static const char *const fields[] = {"Attributes", "Datacenter", "Drivers",  "HostVolumes",
                                         "Meta",       "Name",       "NodeClass"};

    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        if (!ops_field_equal(desc_find(&desc_node, fields[i]), a, b))
            return true;
    return !devices_equal(a, b);
}
