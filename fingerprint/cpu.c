#include "fingerprint/cpu.h"

#include <string.h>

#include "base/buf.h"
#include "base/parse.h"
#include "base/str.h"
#include "base/vec.h"
#include "fingerprint/look.h"
#include "fingerprint/rows.h"
#include "model/attrs.h"

enum { CORES_TEXT_MAX = 65536 };

/* --- what the configuration says (fact: fingerprints 4.2, scanner 5) --- */

static void disable_cores(struct topology *t, const uint16_t *ids, size_t n, bool listed)
{
    for (size_t i = 0; i < t->n_cores; i++) {
        bool in = false;

        for (size_t j = 0; j < n; j++)
            in = in || ids[j] == t->cores[i].id;
        if (in == listed)
            t->cores[i].disable = true;
    }
}

static void apply_conf(const struct probe_conf *c, struct fp *fp, struct topology *t)
{
    bool only = !str_empty(c->reservable_cores);
    const char *list = only ? c->reservable_cores : str_or_empty(c->reserved_cores);
    const char *key = only ? "reservable_cores" : "reserved.cores";
    _cleanup_free_ uint16_t *ids = NULL;
    size_t n = 0;

    if (*list && parse_cpulist(list, UINT16_MAX, &ids, &n) < 0)
        fp_why(fp, "conf", key, WHY_FAILED, list, "write a list such as \"0-3,8\"");
    if (n > 0)
        disable_cores(t, ids, n, !only);
    if (c->cpu_total_compute > 0)
        t->override_total_compute = (uint64_t)c->cpu_total_compute;
    if (c->reserved_cpu_mhz > 0)
        t->override_withold_compute = (uint64_t)c->reserved_cpu_mhz;
}

/* --- sums --- */

struct sums {
    uint64_t total, usable;    /* MHz */
    uint64_t enabled;          /* cores */
    uint64_t cores[2], mhz[2]; /* by grade: 0 efficiency, 1 performance */
};

/* In Nomad a reservation beyond what there is wraps around to a huge number; here it leaves 0. */
static struct sums sum_up(const struct topology *t)
{
    struct sums s = {0};

    for (size_t i = 0; i < t->n_cores; i++) {
        const struct cpu_core *c = &t->cores[i];

        s.total += cpu_core_mhz(c);
        s.cores[c->grade]++;
        s.mhz[c->grade] = cpu_core_mhz(c);
        if (!c->disable) {
            s.usable += cpu_core_mhz(c);
            s.enabled++;
        }
    }
    s.usable -= MIN(s.usable, t->override_withold_compute);
    if (t->override_total_compute)
        s.total = s.usable = t->override_total_compute;
    return s;
}

/* --- attributes --- */

static void set_number(struct fp *fp, const char *key, uint64_t v, const char *source)
{
    fp_setf(fp, key, source, "%llu", (unsigned long long)v);
}

static void set_frequency(struct fp *fp, const struct sums *s, const char *source)
{
    set_number(fp, ATTR_CPU_NUMCORES, s->cores[0] + s->cores[1], "/sys/devices/system/cpu/online");
    if (s->cores[0] == 0) {
        set_number(fp, ATTR_CPU_FREQUENCY, s->mhz[1], source);
        return;
    }
    set_number(fp, ATTR_CPU_FREQUENCY_EFFICIENCY, s->mhz[0], source);
    set_number(fp, ATTR_CPU_FREQUENCY_PERFORMANCE, s->mhz[1], source);
    set_number(fp, ATTR_CPU_NUMCORES_EFFICIENCY, s->cores[0], NULL);
    set_number(fp, ATTR_CPU_NUMCORES_PERFORMANCE, s->cores[1], NULL);
}

/* "0-3,8": the cores of one node */
static char *node_cores(const struct topology *t, uint64_t node)
{
    _cleanup_buf_ struct buf b = BUF_INIT(CORES_TEXT_MAX);
    uint64_t from = 0, to = 0;
    bool open = false;

    for (size_t i = 0; i <= t->n_cores; i++) {
        bool last = i == t->n_cores;

        if (!last && t->cores[i].node_id != node)
            continue;
        if (open && !last && t->cores[i].id == to + 1) {
            to++;
            continue;
        }
        if (open)
            buf_printf(&b, from == to ? "%s%llu" : "%s%llu-%llu", b.len ? "," : "",
                       (unsigned long long)from, (unsigned long long)to);
        open = !last;
        if (open)
            from = to = t->cores[i].id;
    }
    return (char *)buf_take(&b, NULL);
}

static void set_numa(struct fp *fp, const struct topology *t)
{
    set_number(fp, ATTR_NUMA_NODE_COUNT, t->nodes.n, "/sys/devices/system/node/online");
    for (size_t i = 0; i < t->nodes.n; i++) {
        _cleanup_free_ char *key = xasprintf(ATTR_NUMA_NODE_CORES_F, t->nodes.p[i]);
        _cleanup_free_ char *cores = node_cores(t, t->nodes.p[i]);

        fp_set(fp, key, cores, NULL); /* a node of memory alone has none */
    }
}

static void set_model(struct probe_ctx *ctx, struct fp *fp)
{
    _cleanup_free_ char *text = NULL, *name = NULL;

    if (look_text(ctx, &text, "/proc/cpuinfo") < 0)
        return;
    name = look_field(text, "model name");
    if (name)
        fp_set(fp, ATTR_CPU_MODELNAME, str_trim(name), "model name in /proc/cpuinfo");
}

static void set_resources(struct fp *fp, const struct topology *t, const struct sums *s)
{
    fp->cpu = xnew0(struct node_cpu);
    fp->cpu->cpu_shares = (int64_t)s->total;
    fp->cpu->total_cpu_cores = s->enabled;
    for (size_t i = 0; i < t->n_cores; i++)
        if (!t->cores[i].disable)
            *vec_add(&fp->cpu->reservable_cpu_cores, &fp->cpu->n_reservable_cpu_cores) =
                (uint16_t)t->cores[i].id;
}

static int cpu_run(struct probe_ctx *ctx, struct fp *fp)
{
    struct topology *t = fp->topology = xnew0(struct topology);
    _cleanup_free_ char *source = NULL;
    const char *total_source = "sum of the cores";
    struct sums s;

    cpu_topology_read(ctx, fp, t);
    source = cpu_speed_read(ctx, fp, t);
    apply_conf(ctx->conf, fp, t);
    s = sum_up(t);
    if (t->override_total_compute)
        total_source = "cpu_total_compute in the configuration";
    set_model(ctx, fp);
    set_frequency(fp, &s, source);
    set_numa(fp, t);
    set_number(fp, ATTR_CPU_RESERVABLECORES, s.enabled, NULL);
    set_number(fp, ATTR_CPU_TOTALCOMPUTE, s.total, total_source);
    set_number(fp, ATTR_CPU_USABLECOMPUTE, s.usable, total_source);
    set_resources(fp, t, &s);
    return 0;
}

const struct probe probe_cpu = {
    .name = "cpu",
    .summary = "cores, speeds, NUMA nodes",
    .class = PROBE_FAST,
    .deadline_ms = PROBE_FAST_DEADLINE_MS,
    .period_sec = PROBE_FAST_PERIOD_SEC,
    .run = cpu_run,
};
