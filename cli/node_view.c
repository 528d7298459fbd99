#include "cli/node_view.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/parse.h"
#include "base/str.h"
#include "cli/table.h"

/* RFC 3339 in the local zone, to the second */
static void format_time(struct gotime t, char ret[GOTIME_TEXT_MAX])
{
    time_t sec = (time_t)(t.sec - GOTIME_UNIX_EPOCH);
    struct tm tm;
    size_t n;

    if (gotime_is_zero(t) || !localtime_r(&sec, &tm)) {
        ret[0] = 0;
        return;
    }
    if (tm.tm_gmtoff == 0) {
        (void)strftime(ret, GOTIME_TEXT_MAX, "%Y-%m-%dT%H:%M:%SZ", &tm);
        return;
    }
    n = strftime(ret, GOTIME_TEXT_MAX - 1, "%Y-%m-%dT%H:%M:%S%z", &tm);
    if (n > 2) { /* +0100 to +01:00 */
        memmove(ret + n - 1, ret + n - 2, 3);
        ret[n - 2] = ':';
    }
}

/* nomad command/node_status.go formatDrain */
static void drain_text(const struct node *n, char *ret, size_t size)
{
    char when[GOTIME_TEXT_MAX];

    if (!n->drain_strategy) {
        (void)snprintf(ret, size, "%s", n->drain ? "true" : "false");
        return;
    }
    format_time(n->drain_strategy->force_deadline, when);
    (void)snprintf(ret, size, "true; %s%s%s",
                   n->drain_strategy->deadline < 0 ? "force drain"
                   : when[0]                       ? when
                                                   : "no deadline",
                   n->drain_strategy->deadline >= 0 && when[0] ? " deadline" : "",
                   n->drain_strategy->ignore_system_jobs ? "; ignoring system jobs" : "");
}

/* what the attributes driver.<name> = 1 say (nomad command/node_status.go nodeDrivers) */
static void attribute_drivers(const struct node *n, struct buf *ret)
{
    for (size_t i = 0; i < n->attributes.n; i++) {
        const struct strpair *a = &n->attributes.items[i];
        const char *name = a->key + strlen("driver.");

        if (str_starts(a->key, "driver.") && !strchr(name, '.') && strcmp(a->value, "1") == 0)
            buf_printf(ret, "%s%s", ret->len ? "," : "", name);
    }
}

static void driver_names(const struct node *n, struct buf *ret)
{
    for (size_t i = 0; i < n->n_drivers; i++) {
        const struct driver_info *d = &n->drivers[i];

        if (d->detected)
            buf_printf(ret, "%s%s%s", ret->len ? "," : "", d->key,
                       d->healthy ? "" : " (unhealthy)");
    }
}

static void pair_names(struct table *t, const char *name, const struct buf *names)
{
    table_pair(t, name, buf_str(names));
}

static void show_names(const struct node_detail *d, struct table *t)
{
    const struct node *n = d->node;
    struct buf volumes _cleanup_buf_ = BUF_INIT(65536), networks _cleanup_buf_ = BUF_INIT(65536);
    struct buf drivers _cleanup_buf_ = BUF_INIT(65536);

    if (d->verbose)
        return;
    for (size_t i = 0; i < n->n_host_volumes; i++)
        buf_printf(&volumes, "%s%s", i ? "," : "", n->host_volumes[i].key);
    for (size_t i = 0; i < n->n_host_networks; i++)
        buf_printf(&networks, "%s%s", i ? "," : "", n->host_networks[i].key);
    if (d->is_short)
        attribute_drivers(n, &drivers);
    else
        driver_names(n, &drivers);
    pair_names(t, "Host Volumes", &volumes);
    pair_names(t, "Host Networks", &networks);
    table_pair(t, "CSI Volumes", NULL);
    pair_names(t, d->is_short ? "Drivers" : "Driver Status", &drivers);
}

static void csi_names(const struct csi_info *v, size_t n, struct buf *ret)
{
    for (size_t i = 0; i < n; i++)
        buf_printf(ret, "%s%s", i ? "," : "", v[i].key);
}

static void show_basics(const struct node_detail *d, struct buf *out)
{
    const struct node *n = d->node;
    struct buf csi _cleanup_buf_ = BUF_INIT(65536);
    char id[64], drain[160];
    struct table t;

    table_init_pairs(&t);
    drain_text(n, drain, sizeof(drain));
    table_pair(&t, "ID", short_id(n->id, true, id));
    table_pair(&t, "Name", n->name);
    table_pair(&t, "Node Pool", n->node_pool);
    table_pair(&t, "Class", n->node_class);
    table_pair(&t, "DC", n->datacenter);
    table_pair(&t, "Drain", drain);
    table_pair(&t, "Eligibility", n->scheduling_eligibility);
    table_pair(&t, "Status", n->status);
    csi_names(n->csi_controller_plugins, n->n_csi_controller_plugins, &csi);
    table_pair(&t, "CSI Controllers", buf_str(&csi));
    buf_reset(&csi);
    csi_names(n->csi_node_plugins, n->n_csi_node_plugins, &csi);
    table_pair(&t, "CSI Drivers", n->n_csi_node_plugins ? buf_str(&csi) : NULL);
    if (d->stats && !d->is_short) {
        uint64_t seconds = d->stats->host.uptime;
        _cleanup_free_ char *uptime = format_duration((int64_t)(seconds * NSEC_PER_SEC));

        table_pair(&t, "Uptime", uptime);
    }
    show_names(d, &t);
    table_print(&t, out);
    table_done(&t);
}

static void show_volumes(const struct node *n, struct buf *out)
{
    struct table t;

    if (n->n_host_volumes > 0) {
        buf_add_str(out, "\nHost Volumes\n");
        table_init(&t, "Name|ReadOnly|Source");
        for (size_t i = 0; i < n->n_host_volumes; i++) {
            table_cell(&t, n->host_volumes[i].key);
            table_cell(&t, n->host_volumes[i].read_only ? "true" : "false");
            table_cell(&t, n->host_volumes[i].path);
        }
        table_print(&t, out);
        table_done(&t);
    }
    if (n->n_host_networks > 0) {
        buf_add_str(out, "\nHost Networks\n");
        table_init(&t, "Name|CIDR|Interface|ReservedPorts");
        for (size_t i = 0; i < n->n_host_networks; i++) {
            table_cell(&t, n->host_networks[i].key);
            table_cell(&t, n->host_networks[i].cidr);
            table_cell(&t, n->host_networks[i].interface);
            table_cell(&t, n->host_networks[i].reserved_ports);
        }
        table_print(&t, out);
        table_done(&t);
    }
}

static void show_drivers(const struct node *n, struct buf *out)
{
    char when[GOTIME_TEXT_MAX];
    struct table t;

    buf_add_str(out, "\nDrivers\n");
    table_init(&t, "Driver|Detected|Healthy|Message|Time");
    for (size_t i = 0; i < n->n_drivers; i++) {
        const struct driver_info *d = &n->drivers[i];

        format_time(d->update_time, when);
        table_cell(&t, d->key);
        table_cell(&t, d->detected ? "true" : "false");
        table_cell(&t, d->healthy ? "true" : "false");
        table_cell(&t, d->health_description);
        table_cell(&t, when);
    }
    table_print(&t, out);
    table_done(&t);
}

static void event_details(const struct node_event *ev, struct buf *ret)
{
    for (size_t i = 0; i < ev->details.n; i++)
        buf_printf(ret, "%s%s: %s", i ? ", " : "", ev->details.items[i].key,
                   ev->details.items[i].value);
}

/* newest first */
static void show_events(const struct node *n, bool verbose, struct buf *out)
{
    char when[GOTIME_TEXT_MAX];
    struct table t;

    buf_add_str(out, "\nNode Events\n");
    table_init(&t, verbose ? "Time|Subsystem|Message|Details" : "Time|Subsystem|Message");
    for (size_t i = n->n_events; i-- > 0;) {
        const struct node_event *ev = &n->events[i];
        const char *driver = strmap_get(&ev->details, "driver");
        struct buf details _cleanup_buf_ = BUF_INIT(65536);

        format_time(ev->timestamp, when);
        table_cell(&t, when);
        if (str_empty(driver))
            table_cell(&t, ev->subsystem);
        else
            table_cellf(&t, "Driver: %s", driver);
        table_cell(&t, ev->message);
        event_details(ev, &details);
        if (verbose)
            table_cell(&t, buf_str(&details));
    }
    table_print(&t, out);
    table_done(&t);
}

static uint64_t mb(int64_t n)
{
    return n > 0 ? (uint64_t)n * 1024 * 1024 : 0;
}

static void show_allocated(const struct node_detail *d, struct buf *out)
{
    static const struct reserved_resources none;
    const struct node_resources *all = d->node->node_resources;
    const struct reserved_resources *kept =
        d->node->reserved_resources ? d->node->reserved_resources : &none;
    int64_t cpu = 0, memory = 0, disk = 0;
    size_t count = 0;
    struct table t;

    if (!all)
        return;
    for (size_t i = 0; i < d->n_allocs; i++) {
        const struct seen_alloc *a = &d->allocs[i];

        if (!str_eq(a->client_status, "running") || !a->allocated_resources)
            continue;
        count++;
        disk += a->allocated_resources->shared.disk_mb;
        for (size_t k = 0; k < a->allocated_resources->n_tasks; k++) {
            cpu += a->allocated_resources->tasks[k].cpu.cpu_shares;
            memory += a->allocated_resources->tasks[k].memory.memory_mb;
        }
    }
    buf_add_str(out, "\nAllocated Resources\n");
    table_init(&t, "CPU|Memory|Disk|Alloc Count");
    table_cellf(&t, "%" PRId64 "/%" PRId64 " MHz", cpu, all->cpu.cpu_shares - kept->cpu.cpu_shares);
    table_share(&t, mb(memory), mb(all->memory.memory_mb - kept->memory.memory_mb));
    table_share(&t, mb(disk), mb(all->disk.disk_mb - kept->disk.disk_mb));
    table_cellf(&t, "%zu", count);
    table_print(&t, out);
    table_done(&t);
}

static void show_used(const struct node_detail *d, struct buf *out)
{
    static const struct reserved_resources none;
    const struct node_resources *all = d->node->node_resources;
    const struct reserved_resources *kept =
        d->node->reserved_resources ? d->node->reserved_resources : &none;
    struct table t;

    if (!all)
        return;
    buf_add_str(out, "\nAllocation Resource Utilization\n");
    table_init(&t, "CPU|Memory");
    table_cellf(&t, "%" PRId64 "/%" PRId64 " MHz", (int64_t)d->used_ticks,
                all->cpu.cpu_shares - kept->cpu.cpu_shares);
    table_share(&t, d->used_memory, mb(all->memory.memory_mb - kept->memory.memory_mb));
    table_print(&t, out);
    table_done(&t);
}

static void alloc_time(struct table *t, const struct node_detail *d, int64_t at_ns)
{
    char text[GOTIME_TEXT_MAX];

    if (d->verbose)
        format_time(gotime_from_unix_ns(at_ns), text);
    else
        format_ago(at_ns, d->now_ns, text);
    table_cell(t, text);
}

static void show_allocs(const struct node_detail *d, struct buf *out)
{
    char id[64];
    struct table t;

    buf_add_str(out, "\nAllocations\n");
    if (d->n_allocs == 0) {
        buf_add_str(out, "No allocations placed\n");
        return;
    }
    table_init(&t, d->verbose
                       ? "ID|Eval ID|Node ID|Task Group|Version|Desired|Status|Created|Modified"
                       : "ID|Node ID|Task Group|Version|Desired|Status|Created|Modified");
    for (size_t i = 0; i < d->n_allocs; i++) {
        const struct seen_alloc *a = &d->allocs[i];

        table_cell(&t, short_id(a->id, d->verbose, id));
        if (d->verbose)
            table_cell(&t, short_id(a->eval_id, true, id));
        table_cell(&t, short_id(a->node_id, d->verbose, id));
        table_cell(&t, a->task_group);
        table_cellf(&t, "%" PRId64, a->job.version);
        table_cell(&t, a->desired_status);
        table_cell(&t, a->client_status);
        alloc_time(&t, d, a->create_time);
        alloc_time(&t, d, a->modify_time);
    }
    table_print(&t, out);
    table_done(&t);
}

void view_node(const struct node_detail *d, struct buf *out)
{
    const struct node *n = d->node;

    show_basics(d, out);
    if (!d->is_short) {
        if (d->verbose) {
            show_volumes(n, out);
            show_drivers(n, out);
        }
        show_events(n, d->verbose, out);
        show_allocated(d, out);
        show_used(d, out);
        if (d->stats)
            view_host_use(d->stats, n, d->all_stats, out);
    }
    show_allocs(d, out);
    if (d->verbose && !d->is_short) {
        table_map("\nAttributes", &n->attributes, out);
        table_map("\nMeta", &n->meta, out);
    }
}
