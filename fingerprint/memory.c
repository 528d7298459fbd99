#include <errno.h>
#include <string.h>

#include "base/limits.h"
#include "base/parse.h"
#include "fingerprint/look.h"
#include "fingerprint/rows.h"
#include "model/attrs.h"

/* The limit of a container is not considered: Nomad does not, and the agent belongs on the host. */
static int memory_total(struct probe_ctx *ctx, struct fp *fp, uint64_t *ret_bytes)
{
    _cleanup_free_ char *text = NULL, *value = NULL;
    uint64_t kib;
    int r;

    r = look_text(ctx, &text, "/proc/meminfo");
    if (r < 0)
        return fp_fail(fp, r, "cannot read /proc/meminfo");
    value = look_field(text, "MemTotal");
    if (value)
        value[strcspn(value, " \t")] = 0;
    r = value ? parse_u64(value, &kib) : -ENODATA;
    if (r == 0 && (kib == 0 || kib > UINT64_MAX / KIB / 2))
        r = -ERANGE;
    if (r < 0)
        return fp_fail(fp, r, "MemTotal in /proc/meminfo");
    *ret_bytes = kib * KIB;
    return 0;
}

static int memory_run(struct probe_ctx *ctx, struct fp *fp)
{
    const char *source = "MemTotal in /proc/meminfo";
    uint64_t bytes = 0;
    int r;

    if (ctx->conf->memory_total_mb > 0) {
        source = "memory_total_mb in the configuration";
        bytes = (uint64_t)ctx->conf->memory_total_mb * MIB;
    } else {
        r = memory_total(ctx, fp, &bytes);
        if (r < 0)
            return r;
    }
    fp_setf(fp, ATTR_MEMORY_TOTALBYTES, source, "%llu", (unsigned long long)bytes);
    fp->memory = xnew0(struct node_memory);
    fp->memory->memory_mb = (int64_t)(bytes / MIB);
    return 0;
}

const struct probe probe_memory = {
    .name = "memory",
    .summary = "installed memory",
    .class = PROBE_FAST,
    .deadline_ms = PROBE_FAST_DEADLINE_MS,
    .period_sec = PROBE_FAST_PERIOD_SEC,
    .run = memory_run,
};
