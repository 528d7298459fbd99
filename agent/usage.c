#include "agent/usage.h"

#include <ctype.h>
#include <string.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/parse.h"
#include "base/str.h"
#include "base/vec.h"

enum { CPU_FIELDS = 10 }; /* user nice system idle iowait irq softirq steal guest guest_nice */

/* nomad v1.10 client/hoststats/cpu.go: busy is everything but idle */
static bool parse_cpu(const char *line, struct usage_cpu *ret)
{
    uint64_t v[CPU_FIELDS] = {0};
    size_t n = strcspn(line, " "), i = 0;
    char **w = NULL;
    size_t n_w = 0;

    if (n >= sizeof(ret->name) || n < 4 || !isdigit((unsigned char)line[3]))
        return false;
    strv_split(line + n, " ", &w, &n_w);
    for (; i < MIN(n_w, (size_t)CPU_FIELDS); i++)
        if (parse_u64(w[i], &v[i]) < 0)
            break;
    strv_done(&w, &n_w);
    *ret = (struct usage_cpu){.user = v[0], .system = v[2], .idle = v[3]};
    memcpy(ret->name, line, n);
    /* guests are part of user and nice already */
    for (i = 0; i < CPU_FIELDS - 2; i++)
        ret->total += v[i];
    ret->busy = ret->total - v[3];
    return true;
}

size_t usage_cpus(const char *root, struct usage_cpu **ret)
{
    _cleanup_free_ char *path = path_join(root, "/proc/stat"), *text = NULL;
    size_t n = 0;

    *ret = NULL;
    if (file_read(path, READ_CAP_PROC, &text, NULL) < 0)
        return 0;
    for (const char *p = text; str_starts(p, "cpu"); p += strcspn(p, "\n"), p += *p == '\n') {
        _cleanup_free_ char *line = xstrndup(p, strcspn(p, "\n"));
        struct usage_cpu one;

        if (parse_cpu(line, &one))
            *vec_add(ret, &n) = one;
    }
    return n;
}

static double share(uint64_t now, uint64_t before, uint64_t total)
{
    return now > before ? (double)(now - before) / (double)total * 100 : 0;
}

static void fill_cpu(struct host_cpu_stats *ret, const struct usage_cpu *b,
                     const struct usage_cpu *now, double core_mhz)
{
    uint64_t total = b && now->total > b->total ? now->total - b->total : 0;

    ret->cpu = xstrdup(now->name);
    ret->idle = 100;
    if (!total)
        return;
    ret->idle = share(now->idle, b->idle, total);
    ret->user = share(now->user, b->user, total);
    ret->system = share(now->system, b->system, total);
    ret->total = ret->total_percent = share(now->busy, b->busy, total);
    ret->total_ticks = ret->total_percent / 100 * core_mhz;
}

void usage_fill_cpus(struct host_stats *s, const struct usage_cpu *before, size_t n_before,
                     const struct usage_cpu *now, size_t n_now, int64_t total_mhz)
{
    s->cpu = xnew0_n(struct host_cpu_stats, MAX(n_now, (size_t)1)); /* [], not null */
    s->n_cpu = n_now;
    s->cpu_ticks_consumed = 0;
    for (size_t i = 0; i < n_now; i++) {
        const struct usage_cpu *b = NULL;

        for (size_t k = 0; k < n_before && !b; k++)
            if (str_eq(before[k].name, now[i].name))
                b = &before[k];
        fill_cpu(&s->cpu[i], b, &now[i], (double)total_mhz / (double)n_now);
        s->cpu_ticks_consumed += s->cpu[i].total_ticks;
    }
}

static uint64_t meminfo_bytes(const char *text, const char *key)
{
    for (const char *p = text; *p; p += strcspn(p, "\n"), p += *p == '\n') {
        size_t n = strlen(key);
        uint64_t kb;

        if (strncmp(p, key, n) == 0 && p[n] == ':') {
            _cleanup_free_ char *number = NULL;

            p += n + 1 + strspn(p + n + 1, " ");
            number = xstrndup(p, strcspn(p, " \n"));
            return parse_u64(number, &kb) == 0 && kb < UINT64_MAX / KIB ? kb * KIB : 0;
        }
    }
    return 0;
}

/* gopsutil: used is what is neither free nor buffer nor cache, slabs that can be given up too */
void usage_memory(const char *root, struct host_memory_stats *m)
{
    _cleanup_free_ char *path = path_join(root, "/proc/meminfo"), *text = NULL;
    uint64_t kept;

    if (file_read(path, READ_CAP_PROC, &text, NULL) < 0)
        return;
    m->total = meminfo_bytes(text, "MemTotal");
    m->free = meminfo_bytes(text, "MemFree");
    m->available = meminfo_bytes(text, "MemAvailable");
    kept = m->free + meminfo_bytes(text, "Buffers") + meminfo_bytes(text, "Cached") +
           meminfo_bytes(text, "SReclaimable");
    m->used = m->total > kept ? m->total - kept : 0;
}
