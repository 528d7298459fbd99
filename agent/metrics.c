#include "agent/metrics.h"

#include <dirent.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "agent/late.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/parse.h"
#include "base/str.h"
#include "codec/js.h"
#include "codec/mp.h"
#include "codec/ops.h"
#include "wire/budget.h"
#include "wire/fds.h"

enum { LABELS_MAX = 10 };

struct out {
    struct buf *b;
    const struct metrics_facts *f;
    bool prometheus;
    bool any;          /* JSON: a gauge stands already */
    const char *about; /* Prometheus: the name whose type was told last */
    struct {
        const char *key, *value;
    } labels[LABELS_MAX]; /* in key order */
    size_t n_labels;
};

/* --- one figure --- */

static void label(struct out *o, const char *key, const char *value)
{
    if (o->n_labels < LABELS_MAX) {
        o->labels[o->n_labels].key = key;
        o->labels[o->n_labels++].value = str_or_empty(value);
    }
}

static void put_labels(struct out *o, const char *key, const char *value, const char *equals)
{
    bool any = false;

    for (size_t i = 0; i <= o->n_labels; i++) {
        const char *k = i < o->n_labels ? o->labels[i].key : key;

        if (!k)
            continue;
        if (any)
            buf_add_byte(o->b, ',');
        if (o->prometheus)
            buf_add_str(o->b, k);
        else
            js_str(o->b, k);
        buf_add_str(o->b, equals);
        js_str(o->b, i < o->n_labels ? o->labels[i].value : value);
        any = true;
    }
}

static void put_json(struct out *o, const char *name, const char *key, const char *value, double v)
{
    buf_add_str(o->b, o->any ? ",{\"Labels\":{" : "{\"Labels\":{");
    put_labels(o, key, value, ":");
    buf_add_str(o->b, "},\"Name\":");
    js_str(o->b, name);
    buf_add_str(o->b, ",\"Value\":");
    js_f64(o->b, v);
    buf_add_byte(o->b, '}');
    o->any = true;
}

/* the name as Prometheus has it: dots are underscores */
static void put_name(struct buf *b, const char *name)
{
    for (; *name; name++)
        buf_add_byte(b, (uint8_t)(*name == '.' ? '_' : *name));
}

static void put_text(struct out *o, bool counter, const char *name, const char *key,
                     const char *value, double v)
{
    if (!str_eq(o->about, name)) {
        buf_add_str(o->b, "# HELP ");
        put_name(o->b, name);
        buf_add_byte(o->b, ' ');
        put_name(o->b, name);
        buf_add_str(o->b, "\n# TYPE ");
        put_name(o->b, name);
        buf_add_str(o->b, counter ? " counter\n" : " gauge\n");
        o->about = name;
    }
    put_name(o->b, name);
    buf_add_byte(o->b, '{');
    put_labels(o, key, value, "=");
    buf_add_str(o->b, "} ");
    js_f64(o->b, v);
    buf_add_byte(o->b, '\n');
}

static void put(struct out *o, bool counter, const char *name, const char *key, const char *value,
                double v)
{
    if (o->prometheus)
        put_text(o, counter, name, key, value, v);
    else
        put_json(o, name, key, value, v);
}

static void gauge(struct out *o, const char *name, double v)
{
    put(o, false, name, NULL, NULL, v);
}

static void counter(struct out *o, const char *name, uint64_t v)
{
    put(o, true, name, NULL, NULL, (double)v);
}

static double seconds(uint64_t ns)
{
    return (double)ns / (double)NSEC_PER_SEC;
}

/* --- the host: names of nomad v1.10 client/client.go --- */

static void host_cpu(struct out *o)
{
    static const struct {
        const char *name;
        size_t off;
    } rows[] = {
        {"nomad.client.host.cpu.idle",          offsetof(struct host_cpu_stats, idle)         },
        {"nomad.client.host.cpu.system",        offsetof(struct host_cpu_stats, system)       },
        {"nomad.client.host.cpu.total",         offsetof(struct host_cpu_stats, total)        },
        {"nomad.client.host.cpu.total_percent", offsetof(struct host_cpu_stats, total_percent)},
        {"nomad.client.host.cpu.total_ticks",   offsetof(struct host_cpu_stats, total_ticks)  },
        {"nomad.client.host.cpu.user",          offsetof(struct host_cpu_stats, user)         },
    };
    const struct host_stats *s = o->f->stats;

    for (size_t r = 0; r < ARRAY_LEN(rows); r++)
        for (size_t i = 0; i < s->n_cpu; i++)
            put(o, false, rows[r].name, "cpu", s->cpu[i].cpu,
                *(const double *)(const void *)((const char *)&s->cpu[i] + rows[r].off));
}

static void host_disks(struct out *o)
{
    const struct host_stats *s = o->f->stats;

#define EACH_DISK(name, member)                                                                    \
    for (size_t i = 0; i < s->n_disk_stats; i++)                                                   \
    put(o, false, "nomad.client.host.disk." name, "disk", s->disk_stats[i].device,                 \
        (double)s->disk_stats[i].member)
    EACH_DISK("available", available);
    EACH_DISK("inodes_percent", inodes_used_percent);
    EACH_DISK("size", size);
    EACH_DISK("used", used);
    EACH_DISK("used_percent", used_percent);
#undef EACH_DISK
    gauge(o, "picket.disks.answer", o->f->disks_answer);
}

static void host_rest(struct out *o)
{
    const struct host_memory_stats *m = o->f->stats->memory;

    gauge(o, "nomad.client.host.memory.available", (double)m->available);
    gauge(o, "nomad.client.host.memory.free", (double)m->free);
    gauge(o, "nomad.client.host.memory.total", (double)m->total);
    gauge(o, "nomad.client.host.memory.used", (double)m->used);
    gauge(o, "nomad.client.uptime", (double)o->f->stats->uptime);
}

/* tasks cannot be run yet: nothing is taken */
static void allocations(struct out *o)
{
    static const char *const none[] = {
        "nomad.client.allocated.cpu",        "nomad.client.allocated.disk",
        "nomad.client.allocated.max_memory", "nomad.client.allocated.memory",
        "nomad.client.allocations.blocked",  "nomad.client.allocations.migrating",
        "nomad.client.allocations.pending",  "nomad.client.allocations.running",
    };

    for (size_t i = 0; i < ARRAY_LEN(none); i++)
        gauge(o, none[i], 0);
    gauge(o, "nomad.client.allocations.terminal", (double)o->f->n_allocs);
}

static void unallocated(struct out *o)
{
    _cleanup_(node_freep) struct node *n = node_new();
    const struct node_item *it = o->f->item;
    const struct node_resources *r;
    struct err e;

    if (!it || mp_decode(&desc_node, it->packed, it->packed_len, n, &e) < 0 || !n->node_resources)
        return;
    r = n->node_resources;
    gauge(o, "nomad.client.unallocated.cpu", (double)r->cpu.cpu_shares);
    gauge(o, "nomad.client.unallocated.disk", (double)r->disk.disk_mb);
    gauge(o, "nomad.client.unallocated.memory", (double)r->memory.memory_mb);
}

/* --- the agent --- */

static void beats(struct out *o)
{
    const struct session_status *s = o->f->session;
    const struct late_beat *b;
    size_t n_late = 0;

    for (size_t i = 0; s->beats && (b = late_beat(s->beats, i)); i++)
        n_late += b->late_ns > 0;
    b = s->beats ? late_beat(s->beats, 0) : NULL;
    counter(o, "picket.heartbeats", s->n_beats);
    gauge(o, "picket.heartbeats.late_of_last_six", (double)n_late);
    gauge(o, "picket.heartbeats.last_late_seconds", b ? seconds(b->late_ns) : 0);
    gauge(o, "picket.heartbeats.last_took_seconds",
          b && b->done_ns > b->fired_ns ? seconds(b->done_ns - b->fired_ns) : 0);
    gauge(o, "picket.heartbeats.age_seconds",
          seconds(o->f->now_ns - (s->beat_ns ? s->beat_ns : o->f->born_ns)));
    gauge(o, "picket.heartbeats.ttl_seconds", seconds(s->ttl_ns));
    counter(o, "picket.registrations", s->n_registrations);
    gauge(o, "picket.registered", s->state == SESSION_REGISTERED);
    gauge(o, "picket.servers.in_contact", s->in_contact);
}

/* by name, and how many are in each state */
static void probe_figures(struct out *o)
{
    size_t n = o->f->probes ? probe_run_count(o->f->probes) : 0, n_state[PROBE_HUNG + 1] = {0};
    struct probe_status st;

    for (size_t i = 0; i < n; i++) {
        probe_run_status(o->f->probes, i, &st);
        n_state[st.state]++;
        put(o, false, "picket.probe.took_seconds", "probe", st.name, (double)st.took_us / 1e6);
    }
    for (size_t i = 0; i < n; i++) {
        probe_run_status(o->f->probes, i, &st);
        put(o, false, "picket.probe.good", "probe", st.name, st.state == PROBE_GOOD);
    }
    for (size_t i = 0; i < n; i++) {
        probe_run_status(o->f->probes, i, &st);
        if (st.fp)
            put(o, false, "picket.probe.age_seconds", "probe", st.name,
                seconds(o->f->now_ns - st.fp_at_ns));
    }
    for (int s = PROBE_NEVER; s <= PROBE_HUNG; s++)
        put(o, false, "picket.probes", "state", probe_state_name((enum probe_state)s),
            (double)n_state[s]);
}

static double descriptors(void)
{
    DIR *d = opendir("/proc/self/fd");
    double n = 0;

    if (!d)
        return 0;
    while (readdir(d))
        n++;
    (void)closedir(d);
    return n - 3; /* . and .. and this folder itself */
}

static void process(struct out *o)
{
    _cleanup_free_ char *text = NULL;
    struct rusage u = {0};
    char **w = NULL;
    size_t n = 0;
    uint64_t pages = 0, shared = 0;
    double page = (double)sysconf(_SC_PAGESIZE);

    if (file_read("/proc/self/statm", 4096, &text, NULL) == 0)
        strv_split(text, " \n", &w, &n);
    if (n > 2 && parse_u64(w[1], &pages) == 0 && parse_u64(w[2], &shared) == 0) {
        gauge(o, "picket.process.private_bytes", (double)(pages - MIN(shared, pages)) * page);
        gauge(o, "picket.process.resident_bytes", (double)pages * page);
    }
    strv_done(&w, &n);
    if (getrusage(RUSAGE_SELF, &u) == 0)
        put(o, true, "picket.process.cpu_seconds", NULL, NULL,
            (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
                (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6);
    gauge(o, "picket.process.descriptors", descriptors());
    gauge(o, "picket.process.uptime_seconds", seconds(o->f->now_ns - o->f->born_ns));
    counter(o, "picket.log.dropped", log_dropped());
    counter(o, "picket.process.slow_callbacks", o->f->n_slow);
    counter(o, "picket.connections.refused_descriptors", fds_refused());
    counter(o, "picket.connections.refused_busy",
            budget_refused(BUDGET_IN) + budget_refused(BUDGET_OUT));
    gauge(o, "picket.connections.input_bytes", budget_held(BUDGET_IN));
    gauge(o, "picket.connections.output_bytes", budget_held(BUDGET_OUT));
}

/* --- the whole --- */

/* the labels that every figure has, in key order; nomad v1.10 client/client.go baseLabels */
static void base_labels(struct out *o)
{
    const struct metrics_facts *f = o->f;
    const struct conf *c = f->conf;

    label(o, "datacenter", c->datacenter);
    label(o, "host", c->name);
    label(o, "node_class", str_empty(c->client.node_class) ? "none" : c->client.node_class);
    label(o, "node_id", f->node_id);
    label(o, "node_pool", str_empty(c->client.node_pool) ? NODE_POOL_DEFAULT : c->client.node_pool);
    label(o, "node_scheduling_eligibility",
          f->item && f->item->eligible ? NODE_ELIGIBLE : NODE_INELIGIBLE);
    label(o, "node_status", f->item ? node_status_name((enum node_status)f->item->status) : "");
}

static void all(struct out *o)
{
    base_labels(o);
    allocations(o);
    host_cpu(o);
    host_disks(o);
    host_rest(o);
    unallocated(o);
    beats(o);
    probe_figures(o);
    process(o);
}

void metrics_json(struct buf *b, const struct metrics_facts *f)
{
    struct out o = {.b = b, .f = f};
    time_t t = (time_t)(f->wall_ns / (int64_t)NSEC_PER_SEC);
    char at[64] = "";
    struct tm tm;

    if (gmtime_r(&t, &tm))
        (void)strftime(at, sizeof(at), "%Y-%m-%d %H:%M:%S +0000 UTC", &tm);
    buf_add_str(b, "{\"Counters\":[],\"Gauges\":[");
    all(&o);
    buf_add_str(b, "],\"Points\":[],\"Samples\":[],\"Timestamp\":");
    js_str(b, at);
    buf_add_byte(b, '}');
}

void metrics_prometheus(struct buf *b, const struct metrics_facts *f)
{
    struct out o = {.b = b, .f = f, .prometheus = true};

    all(&o);
}
