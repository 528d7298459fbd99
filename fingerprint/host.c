#include <errno.h>
#include <sys/utsname.h>

#include "base/str.h"
#include "fingerprint/look.h"
#include "fingerprint/os_name.h"
#include "fingerprint/rows.h"
#include "model/attrs.h"

/* uname(2), or what a fixture tree has in its place */
static int host_uname(struct probe_ctx *ctx, struct fp *fp)
{
    _cleanup_free_ char *release = NULL, *machine = NULL, *hostname = NULL;
    struct utsname u;

    if (str_empty(ctx->root)) {
        if (uname(&u) < 0)
            return fp_fail(fp, -errno, "uname");
        release = xstrdup(u.release);
        machine = xstrdup(u.machine);
        hostname = xstrdup(u.nodename);
    } else if (look_line(ctx, &release, "/proc/sys/kernel/osrelease") < 0 ||
               look_line(ctx, &machine, "/proc/sys/kernel/arch") < 0 ||
               look_line(ctx, &hostname, "/proc/sys/kernel/hostname") < 0) {
        return fp_fail(fp, -ENOENT, "osrelease, arch and hostname in /proc/sys/kernel");
    }
    fp_set(fp, ATTR_KERNEL_NAME, "linux", "this build");
    fp_set(fp, ATTR_KERNEL_VERSION, release, "uname");
    fp_set(fp, ATTR_KERNEL_ARCH, machine, "uname");
    fp_set(fp, ATTR_UNIQUE_HOSTNAME, hostname, "uname");
    return 0;
}

static int host_run(struct probe_ctx *ctx, struct fp *fp)
{
    struct os_name os = {0};
    int r = host_uname(ctx, fp);

    if (r < 0)
        return r;
    os_name_find(ctx, &os);
    fp_set(fp, ATTR_OS_NAME, os.name, os.source);
    fp_set(fp, ATTR_OS_VERSION, os.version, os.source);
    if (str_empty(os.name))
        fp_why(fp, "os", "/etc", WHY_FAILED, "no release file of a known kind",
               "put an os-release file there");
    os_name_done(&os);
    return 0;
}

const struct probe probe_host = {
    .name = "host",
    .summary = "operating system, kernel, host name",
    .class = PROBE_FAST,
    .deadline_ms = PROBE_FAST_DEADLINE_MS,
    .period_sec = PROBE_FAST_PERIOD_SEC,
    .run = host_run,
};
