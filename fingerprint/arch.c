#include "fingerprint/rows.h"
#include "model/attrs.h"

/* Go's GOARCH of this build, as Nomad reports its own (fact: fingerprints 3.1). */
#if defined(__x86_64__)
#define GOARCH "amd64"
#elif defined(__aarch64__)
#define GOARCH "arm64"
#elif defined(__arm__)
#define GOARCH "arm"
#elif defined(__i386__)
#define GOARCH "386"
#elif defined(__powerpc64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define GOARCH "ppc64le"
#elif defined(__s390x__)
#define GOARCH "s390x"
#elif defined(__riscv) && __riscv_xlen == 64
#define GOARCH "riscv64"
#endif /* an architecture that is not listed does not compile */

static int arch_run(struct probe_ctx *ctx, struct fp *fp)
{
    (void)ctx;
    fp_set(fp, ATTR_CPU_ARCH, GOARCH, "this build");
    return 0;
}

const struct probe probe_arch = {
    .name = "arch",
    .summary = "architecture, in Go's words",
    .class = PROBE_FAST,
    .deadline_ms = PROBE_FAST_DEADLINE_MS,
    .run = arch_run,
};
