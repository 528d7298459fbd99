/* model/class.c - the class of a node: nodes with the same one are the same to the scheduler.
 *
 * Nomad hashes part of the node with mitchellh/hashstructure (facts: fingerprints 11,
 * server-semantics 1.11): FNV-1 over the bytes of values, fields and map entries joined by xor, so
 * that their order does not matter, lists chained, so that theirs does.
 */
#include <string.h>

#include "base/hash.h"
#include "base/str.h"
#include "model/class.h"

static void put_le64(uint8_t *p, uint64_t v)
{
    for (int i = 0; i < 8; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

static uint64_t hash_u64(uint64_t v)
{
    uint8_t le[8];

    put_le64(le, v);
    return fnv1(FNV1_INIT, le, sizeof(le));
}

static uint64_t hash_str(const char *s)
{
    s = str_or_empty(s);
    return fnv1(FNV1_INIT, s, strlen(s));
}

/* two hashes in this order */
static uint64_t hash_pair(uint64_t a, uint64_t b)
{
    uint8_t le[16];

    put_le64(le, a);
    put_le64(le + 8, b);
    return fnv1(FNV1_INIT, le, sizeof(le));
}

static uint64_t hash_field(const char *name, uint64_t value)
{
    return hash_pair(hash_str(name), value);
}

/* of any nil pointer: the hash of a zero number */
static uint64_t hash_nil(void)
{
    return hash_u64(0);
}

/* keys that begin with "unique." tell like nodes apart and do not count */
static bool counts(const char *key)
{
    return !str_starts(key, "unique.");
}

static uint64_t hash_map(const struct strmap *m)
{
    uint64_t h = 0;

    for (size_t i = 0; i < m->n; i++)
        if (counts(m->items[i].key))
            h ^= hash_field(m->items[i].key, hash_str(m->items[i].value));
    return h;
}

static uint64_t hash_attribute(const struct device_attribute *a)
{
    uint64_t h = hash_str("Attribute"), bits = 0;
    uint8_t truth = a->bool_val && *a->bool_val;

    if (a->float_val)
        memcpy(&bits, a->float_val, sizeof(bits));
    h ^= hash_field("Float", a->float_val ? hash_u64(bits) : hash_nil());
    h ^= hash_field("Int", a->int_val ? hash_u64((uint64_t)*a->int_val) : hash_nil());
    h ^= hash_field("String", a->string_val ? hash_str(a->string_val) : hash_nil());
    h ^= hash_field("Bool", a->bool_val ? fnv1(FNV1_INIT, &truth, 1) : hash_nil());
    return h ^ hash_field("Unit", hash_str(a->unit));
}

static uint64_t hash_device(const struct node_device *d)
{
    uint64_t h = hash_str("NodeDeviceResource"), attributes = 0;

    for (size_t i = 0; i < d->n_attributes; i++)
        if (counts(d->attributes[i].key))
            attributes ^= hash_field(d->attributes[i].key, hash_attribute(&d->attributes[i]));
    h ^= hash_field("Vendor", hash_str(d->vendor));
    h ^= hash_field("Type", hash_str(d->type));
    h ^= hash_field("Name", hash_str(d->name));
    return h ^ hash_field("Attributes", attributes);
}

static uint64_t hash_resources(const struct node_resources *r)
{
    uint64_t devices = 0;

    if (!r)
        return hash_nil();
    for (size_t i = 0; i < r->n_devices; i++)
        devices = hash_pair(devices, hash_device(&r->devices[i]));
    return hash_str("NodeResources") ^ hash_field("Devices", devices);
}

uint64_t class_hash(const struct node *n, bool with_pool)
{
    uint64_t h = hash_str("Node");

    h ^= hash_field("Datacenter", hash_str(n->datacenter));
    h ^= hash_field("Attributes", hash_map(&n->attributes));
    h ^= hash_field("NodeResources", hash_resources(n->node_resources));
    h ^= hash_field("Meta", hash_map(&n->meta));
    h ^= hash_field("NodeClass", hash_str(n->node_class));
    if (with_pool)
        h ^= hash_field("NodePool", hash_str(n->node_pool));
    return h;
}

char *node_computed_class(const struct node *n)
{
    return xasprintf("v1:%llu", (unsigned long long)class_hash(n, true));
}
