#include <string.h>

#include "base/file.h"
#include "base/parse.h"
#include "base/str.h"
#include "fingerprint/cpu.h"
#include "fingerprint/look.h"
#include "fingerprint/smbios.h"

/* A ladder: per core what cpufreq and ACPI tell; then for all cores what the firmware and
 * /proc/cpuinfo tell, in an order that puts the stable and true first, so that a host reports the
 * same every time and like machines the same (fact: fingerprints 14, 1-3).  On real hardware "cpu
 * MHz" is the momentary speed; in a virtual machine it is constant, unless the counters for it are
 * passed through, and the firmware's tables are fiction. */

enum {
    MHZ_MIN = 50,
    MHZ_MAX = 20000,
};

/* a number of MHz as kHz or MHz text, or 0 */
static uint64_t sane(uint64_t mhz)
{
    return mhz >= MHZ_MIN && mhz <= MHZ_MAX ? mhz : 0;
}

/* --- per core --- */

struct rung {
    const char *file; /* below the core's folder */
    uint64_t divisor; /* 1000 for kHz */
    bool is_max;      /* highest rather than base speed */
};

static const struct rung rungs[] = {
    {"cpufreq/base_frequency",   1000, false},
    {"acpi_cppc/nominal_freq",   1,    false},
    {"cpufreq/cpuinfo_max_freq", 1000, true },
};

/* the first rung that answered, or NULL */
static const struct rung *core_speed(struct probe_ctx *ctx, struct cpu_core *c)
{
    const struct rung *used = NULL;

    for (size_t i = 0; i < ARRAY_LEN(rungs); i++) {
        uint64_t *to = rungs[i].is_max ? &c->max_speed : &c->base_speed, v;

        if (*to || look_u64(ctx, &v, "/sys/devices/system/cpu/cpu%u/%s", (unsigned)c->id,
                            rungs[i].file) < 0)
            continue;
        *to = sane(v / rungs[i].divisor);
        if (*to && !used)
            used = &rungs[i];
    }
    return used;
}

/* what was looked at for the first core, up to the rung that answered */
static void note_rungs(struct fp *fp, const struct cpu_core *c, const struct rung *used)
{
    for (size_t i = 0; i < ARRAY_LEN(rungs); i++) {
        _cleanup_free_ char *looked =
            xasprintf("/sys/devices/system/cpu/cpu%u/%s", (unsigned)c->id, rungs[i].file);
        _cleanup_free_ char *found = NULL;

        if (&rungs[i] != used) {
            fp_why(fp, "speed", looked, WHY_SKIPPED, "tells no speed", "");
            continue;
        }
        found = xasprintf("%llu MHz", (unsigned long long)cpu_core_mhz(c));
        fp_why(fp, "speed", looked, WHY_OK, found, "");
        return;
    }
}

/* --- for all cores --- */

static uint64_t mhz_text(const char *text, double factor)
{
    _cleanup_free_ char *number = text ? xstrndup(text, strspn(text, "0123456789.")) : NULL;
    double v;

    if (!number || parse_f64(number, &v) < 0 || v <= 0 || v > 1e6)
        return 0;
    return sane((uint64_t)(v * factor));
}

static uint64_t from_cpuinfo(struct probe_ctx *ctx, const char *cpuinfo)
{
    static const char *const keys[] = {"cpu MHz", "cpu MHz static", "clock"};

    (void)ctx;
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        _cleanup_free_ char *value = look_field(cpuinfo, keys[i]);
        uint64_t mhz = mhz_text(value, 1);

        if (mhz)
            return mhz;
    }
    return 0;
}

static uint64_t from_smbios(struct probe_ctx *ctx, const char *cpuinfo)
{
    _cleanup_free_ char *path = look_path(ctx, "/sys/firmware/dmi/tables/DMI"), *table = NULL;
    size_t n;

    (void)cpuinfo;
    if (file_read(path, SMBIOS_TABLE_MAX, &table, &n) < 0)
        return 0;
    return sane(smbios_cpu_mhz((const uint8_t *)table, n));
}

/* x86 only ("bogomips" in lower case): two per cycle of the time stamp counter */
static uint64_t from_bogomips(struct probe_ctx *ctx, const char *cpuinfo)
{
    _cleanup_free_ char *value = look_field(cpuinfo, "bogomips");

    (void)ctx;
    return mhz_text(value, 0.5);
}

static uint64_t from_nothing(struct probe_ctx *ctx, const char *cpuinfo)
{
    (void)ctx;
    (void)cpuinfo;
    return CPU_MHZ_UNKNOWN;
}

struct guess {
    const char *looked;
    uint64_t (*fn)(struct probe_ctx *ctx, const char *cpuinfo);
    bool is_base; /* reported as the base speed, as Nomad's fallback does */
};

static const struct guess guess_cpuinfo = {"cpu MHz in /proc/cpuinfo", from_cpuinfo, true};
static const struct guess guess_smbios = {"/sys/firmware/dmi/tables/DMI", from_smbios, false};
static const struct guess guess_bogomips = {"bogomips in /proc/cpuinfo", from_bogomips, false};
static const struct guess guess_nothing = {"the default", from_nothing, false};

enum { GUESSES = 4 }; /* the last one always answers */

static const struct guess *const *guess_order(const char *cpuinfo)
{
    static const struct guess *const hardware[GUESSES] = {&guess_smbios, &guess_bogomips,
                                                          &guess_cpuinfo, &guess_nothing};
    static const struct guess *const virtual[GUESSES] = {&guess_cpuinfo, &guess_smbios,
                                                         &guess_bogomips, &guess_nothing};
    static const struct guess *const counting[GUESSES] = {&guess_bogomips, &guess_smbios,
                                                          &guess_cpuinfo, &guess_nothing};
    _cleanup_free_ char *flags = look_field(cpuinfo, "flags");
    char **words = NULL;
    size_t n = 0;
    bool guest, counters;

    strv_split(str_or_empty(flags), " ", &words, &n);
    guest = strv_has(words, n, "hypervisor");
    counters = strv_has(words, n, "aperfmperf");
    strv_done(&words, &n);
    return !guest ? hardware : counters ? counting : virtual;
}

static const struct guess *guess_speed(struct probe_ctx *ctx, struct fp *fp, uint64_t *ret_mhz)
{
    _cleanup_free_ char *cpuinfo = NULL, *found = NULL;
    const struct guess *const *guesses, *g = NULL;
    uint64_t mhz = 0;

    if (look_text(ctx, &cpuinfo, "/proc/cpuinfo") < 0)
        cpuinfo = xstrdup("");
    guesses = guess_order(cpuinfo);
    for (size_t i = 0; i < GUESSES && mhz == 0; i++) {
        g = guesses[i];
        mhz = g->fn(ctx, cpuinfo);
        if (mhz == 0)
            fp_why(fp, "speed", g->looked, WHY_SKIPPED, "tells no speed", "");
    }
    found = xasprintf("%llu MHz", (unsigned long long)mhz);
    fp_why(fp, "speed", g->looked, g == &guess_nothing ? WHY_FAILED : WHY_OK, found,
           g == &guess_nothing ? "set client.cpu_total_compute to the MHz of all cores" : "");
    *ret_mhz = mhz;
    return g;
}

char *cpu_speed_read(struct probe_ctx *ctx, struct fp *fp, struct topology *t)
{
    const struct rung *first = NULL;
    const struct guess *g = NULL;
    uint64_t mhz = 0;

    for (size_t i = 0; i < t->n_cores; i++) {
        const struct rung *used = core_speed(ctx, &t->cores[i]);

        if (i == 0) {
            first = used;
            note_rungs(fp, &t->cores[0], used);
        }
        if (used)
            continue;
        if (!g)
            g = guess_speed(ctx, fp, &mhz);
        *(g->is_base ? &t->cores[i].base_speed : &t->cores[i].guess_speed) = mhz;
    }
    if (first)
        return xasprintf("/sys/devices/system/cpu/cpu%u/%s", (unsigned)t->cores[0].id, first->file);
    return xstrdup(g ? g->looked : "");
}
