#include "cli/node_stats.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "cli/table.h"
#include "codec/js.h"
#include "codec/ops.h"

/* --- the answer --- */

#define T struct device_stat_value
static const struct field value_fields[] = {
    {"BoolVal",             OPT_BOOL(boolean)         },
    {"FloatDenominatorVal", OPT_F64(float_denominator)},
    {"FloatNumeratorVal",   OPT_F64(float_numerator)  },
    {"IntDenominatorVal",   OPT_I64(int_denominator)  },
    {"IntNumeratorVal",     OPT_I64(int_numerator)    },
    {"StringVal",           OPT_STR(text)             },
    {"Unit",                STR(unit)                 },
};
static DESC_KEYED(desc_value, T, value_fields);
#undef T

#define T struct device_stat_values
static const struct desc desc_values;
static const struct field values_fields[] = {
    {"Attributes", MAPVEC(attributes, n_attributes, desc_value) },
    {"Nested",     MAPVEC(nested,     n_nested,     desc_values)},
};
static DESC_KEYED(desc_values, T, values_fields);
#undef T

#define T struct device_stat_instance
static const struct field instance_fields[] = {
    {"Stats",   PTR(stats,   desc_values)},
    {"Summary", PTR(summary, desc_value) },
};
static DESC_KEYED(desc_instance, T, instance_fields);
#undef T

#define T struct device_stat_group
static const struct field group_fields[] = {
    {"InstanceStats", MAPVEC(instances, n_instances, desc_instance)},
    {"Name", STR(name)                },
    {"Type",      STR(type)     },
    {"Vendor", STR(vendor)           },
};
static DESC(desc_group, T, group_fields);
#undef T

/* the part of the answer that desc_host_stats passes through */
struct devices {
    struct device_stat_group *v;
    size_t n;
};
#define T struct devices
static const struct field devices_fields[] = {
    {"DeviceStats", VEC(v, n, desc_group)},
};
static DESC(desc_devices, T, devices_fields);
#undef T

void node_stats_done(struct node_stats *s)
{
    struct devices devices = {s->devices, s->n_devices};

    ops_clear(&desc_host_stats, &s->host);
    ops_clear(&desc_devices, &devices);
    *s = (struct node_stats){0};
}

int node_stats_get(struct client *c, const char *target, struct node_stats *ret, struct err *e)
{
    struct client_reply reply _cleanup_client_reply_ = {0};
    struct devices devices = {0};
    int r;

    r = client_get(c, target, &reply, e);
    if (r < 0)
        return r;
    r = js_decode(&desc_host_stats, buf_str(&reply.body), reply.body.len, &ret->host, e);
    if (r == 0)
        r = js_decode(&desc_devices, buf_str(&reply.body), reply.body.len, &devices, e);
    ret->devices = devices.v;
    ret->n_devices = devices.n;
    if (r < 0) {
        node_stats_done(ret);
        return err_wrap(e, r, "cannot read the answer of %s", target);
    }
    return 0;
}

/* --- the host as a whole --- */

static void show_use(const struct host_stats *s, const struct node *n, struct buf *out)
{
    const char *volume = strmap_get(&n->attributes, "unique.storage.volume");
    const struct host_disk_stats *disk = s->alloc_dir_stats;
    static const struct host_memory_stats none;
    const struct host_memory_stats *memory = s->memory ? s->memory : &none;
    struct table t;

    for (size_t i = 0; i < s->n_disk_stats; i++)
        if (str_eq(s->disk_stats[i].device, volume))
            disk = &s->disk_stats[i];
    buf_add_str(out, "\nHost Resource Utilization\n");
    table_init(&t, disk ? "CPU|Memory|Disk" : "CPU|Memory");
    table_cellf(&t, "%.0f/%" PRId64 " MHz", (double)(int64_t)s->cpu_ticks_consumed,
                n->node_resources->cpu.cpu_shares);
    table_share(&t, memory->used, memory->total);
    if (disk)
        table_share(&t, disk->used, disk->size);
    table_print(&t, out);
    table_done(&t);
}

/* --- each core, disk --- */

static void pair_bytes(struct table *t, const char *name, uint64_t bytes)
{
    char text[32];

    format_ibytes(bytes, text);
    table_pair(t, name, text);
}

static void show_cores(const struct host_stats *s, struct buf *out)
{
    buf_add_str(out, "\nCPU Stats\n");
    for (size_t i = 0; i < s->n_cpu; i++) {
        struct table t;

        if (i > 0)
            buf_add_byte(out, '\n');
        table_init_pairs(&t);
        table_pair(&t, "CPU", s->cpu[i].cpu);
        table_pairf(&t, "User", "%.2f%%", s->cpu[i].user);
        table_pairf(&t, "System", "%.2f%%", s->cpu[i].system);
        table_pairf(&t, "Idle", "%.2f%%", s->cpu[i].idle);
        table_print(&t, out);
        table_done(&t);
    }
}

static void show_memory(const struct host_stats *s, struct buf *out)
{
    static const struct host_memory_stats none;
    const struct host_memory_stats *m = s->memory ? s->memory : &none;
    struct table t;

    buf_add_str(out, "\nMemory Stats\n");
    table_init_pairs(&t);
    pair_bytes(&t, "Total", m->total);
    pair_bytes(&t, "Available", m->available);
    pair_bytes(&t, "Used", m->used);
    pair_bytes(&t, "Free", m->free);
    table_print(&t, out);
    table_done(&t);
}

static void show_disks(const struct host_stats *s, struct buf *out)
{
    buf_add_str(out, "\nDisk Stats\n");
    for (size_t i = 0; i < s->n_disk_stats; i++) {
        const struct host_disk_stats *d = &s->disk_stats[i];
        struct table t;

        if (i > 0)
            buf_add_byte(out, '\n');
        table_init_pairs(&t);
        table_pair(&t, "Device", d->device);
        table_pair(&t, "MountPoint", d->mountpoint);
        pair_bytes(&t, "Size", d->size);
        pair_bytes(&t, "Used", d->used);
        pair_bytes(&t, "Available", d->available);
        table_pairf(&t, "Used Percent", "%.2f%%", d->used_percent);
        table_pairf(&t, "Inodes Percent", "%.2f%%", d->inodes_used_percent);
        table_print(&t, out);
        table_done(&t);
    }
}

/* --- devices --- */

/* at most three digits behind the point, none that say nothing */
static void add_float(struct buf *out, double v)
{
    char text[400];
    size_t n;

    (void)snprintf(text, sizeof(text), "%.3f", v);
    n = strlen(text);
    while (n > 0 && text[n - 1] == '0')
        n--;
    buf_printf(out, "%.*s", (int)(n > 0 && text[n - 1] == '.' ? n - 1 : n), text);
}

static void add_number(struct buf *out, const struct device_stat_value *v)
{
    if (v->float_numerator) {
        add_float(out, *v->float_numerator);
        if (v->float_denominator) {
            buf_add_str(out, " / ");
            add_float(out, *v->float_denominator);
        }
    } else {
        buf_printf(out, "%" PRId64, *v->int_numerator);
        if (v->int_denominator)
            buf_printf(out, " / %" PRId64, *v->int_denominator);
    }
    if (!str_empty(v->unit))
        buf_printf(out, " %s", v->unit);
}

/* nomad plugins/shared/structs/stats.go StatValue.String; numbers have a unit, the rest has none */
static void value_text(const struct device_stat_value *v, struct buf *out)
{
    if (v->boolean)
        buf_add_str(out, *v->boolean ? "true" : "false");
    else if (v->text)
        buf_add_str(out, v->text);
    else if (v->float_numerator || v->int_numerator)
        add_number(out, v);
    else
        buf_add_str(out, "<unknown>");
}

enum { VALUE_TEXT_MAX = 4096, DEVICE_DEPTH_MAX = 16 };

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static char *qualified(const char *vendor, const char *type, const char *name, const char *id)
{
    return xasprintf("%s/%s/%s[%s]", str_or_empty(vendor), str_or_empty(type), str_or_empty(name),
                     str_or_empty(id));
}

static const struct device_stat_value *find_summary(const struct node_stats *s, const char *id)
{
    for (size_t i = 0; i < s->n_devices; i++) {
        const struct device_stat_group *g = &s->devices[i];

        for (size_t k = 0; k < g->n_instances; k++) {
            _cleanup_free_ char *own = qualified(g->vendor, g->type, g->name, g->instances[k].key);

            if (str_eq(own, id))
                return g->instances[k].summary;
        }
    }
    return NULL;
}

static void show_device_use(const struct node_stats *s, const struct node *n, struct buf *out)
{
    const struct node_resources *all = n->node_resources;
    char **ids = NULL;
    size_t n_ids = 0;
    struct table t;

    for (size_t i = 0; i < all->n_devices; i++)
        for (size_t k = 0; k < all->devices[i].n_instances; k++) {
            const struct node_device *d = &all->devices[i];
            _cleanup_free_ char *id = qualified(d->vendor, d->type, d->name, d->instances[k].id);

            strv_add(&ids, &n_ids, id);
        }
    if (n_ids > 1)
        qsort(ids, n_ids, sizeof(ids[0]), by_text);
    buf_add_str(out, "\nDevice Resource Utilization\n");
    table_init_plain(&t, 2);
    for (size_t i = 0; i < n_ids; i++) {
        const struct device_stat_value *v = find_summary(s, ids[i]);
        struct buf text _cleanup_buf_ = BUF_INIT(VALUE_TEXT_MAX);

        if (v)
            value_text(v, &text);
        table_cell(&t, ids[i]);
        table_cell(&t, buf_str(&text));
    }
    table_print(&t, out);
    table_done(&t);
    strv_done(&ids, &n_ids);
}

/* "outer.inner.name" of all values, by name */
static void collect_values(const struct device_stat_values *v, const char *prefix, unsigned depth,
                           struct strmap *ret)
{
    for (size_t i = 0; i < v->n_attributes; i++) {
        struct buf text _cleanup_buf_ = BUF_INIT(VALUE_TEXT_MAX);
        _cleanup_free_ char *name = xasprintf("%s%s", prefix, v->attributes[i].key);

        value_text(&v->attributes[i], &text);
        strmap_set(ret, name, buf_str(&text));
    }
    for (size_t i = 0; i < v->n_nested && depth < DEVICE_DEPTH_MAX; i++) {
        _cleanup_free_ char *inner = xasprintf("%s%s.", prefix, v->nested[i].key);

        collect_values(&v->nested[i], inner, depth + 1, ret);
    }
}

static void show_device(const struct device_stat_group *g, const struct device_stat_instance *d,
                        struct buf *out)
{
    _cleanup_free_ char *id = qualified(g->vendor, g->type, g->name, d->key);
    struct strmap values _cleanup_strmap_ = {0};
    struct table t;

    if (d->stats)
        collect_values(d->stats, "", 0, &values);
    table_init_pairs(&t);
    table_pair(&t, "Device", id);
    for (size_t i = 0; i < values.n; i++)
        table_pair(&t, values.items[i].key, values.items[i].value);
    table_print(&t, out);
    table_done(&t);
}

static void show_devices(const struct node_stats *s, struct buf *out)
{
    bool first = true;

    if (s->n_devices == 0)
        return;
    buf_add_str(out, "\nDevice Stats\n");
    for (size_t i = 0; i < s->n_devices; i++)
        for (size_t k = 0; k < s->devices[i].n_instances; k++) {
            if (!first)
                buf_add_byte(out, '\n');
            first = false;
            show_device(&s->devices[i], &s->devices[i].instances[k], out);
        }
}

void view_host_use(const struct node_stats *s, const struct node *n, bool all, struct buf *out)
{
    if (n->node_resources)
        show_use(&s->host, n, out);
    if (n->node_resources && n->node_resources->n_devices > 0)
        show_device_use(s, n, out);
    if (!all)
        return;
    show_cores(&s->host, out);
    show_memory(&s->host, out);
    show_disks(&s->host, out);
    show_devices(s, out);
}
