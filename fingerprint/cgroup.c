#include <string.h>
#include <sys/stat.h>

#include "base/str.h"
#include "base/vec.h"
#include "fingerprint/look.h"
#include "fingerprint/rows.h"
#include "model/attrs.h"

#define CGROUP_ROOT   "/sys/fs/cgroup"
#define NOMAD_SLICE   CGROUP_ROOT "/nomad.slice"
#define LOOKED_MOUNTS "/proc/self/mountinfo"

/* Which version is mounted: 1, 2, or 0.  The first line that has both the mount point and one of
 * the two file systems as words decides; hosts with both mounted count as version 1, as in Nomad
 * (fact: fingerprints 3.3). */
static int mounted_version(const char *mountinfo)
{
    char **lines = NULL;
    size_t n_lines = 0;
    int version = 0;

    strv_split(mountinfo, "\n", &lines, &n_lines);
    for (size_t i = 0; i < n_lines && version == 0; i++) {
        char **words = NULL;
        size_t n = 0;

        strv_split(lines[i], " \t", &words, &n);
        if (strv_has(words, n, CGROUP_ROOT)) {
            if (strv_has(words, n, "tmpfs"))
                version = 1;
            else if (strv_has(words, n, "cgroup2"))
                version = 2;
        }
        strv_done(&words, &n);
    }
    strv_done(&lines, &n_lines);
    return version;
}

/* the controllers that Nomad needs and this host does not offer, blank separated; owned; NULL =
 * none missing */
static char *missing_controllers(const struct probe_ctx *ctx)
{
    static const char *const needed[] = {"cpuset", "cpu", "io", "memory", "pids"};
    _cleanup_free_ char *text = NULL;
    char **have = NULL, *missing = NULL;
    size_t n = 0;

    if (look_text(ctx, &text, CGROUP_ROOT "/cgroup.controllers") == 0)
        strv_split(text, " \n", &have, &n);
    for (size_t i = 0; i < ARRAY_LEN(needed); i++) {
        char *longer;

        if (strv_has(have, n, needed[i]))
            continue;
        longer = xasprintf("%s%s%s", missing ? missing : "", missing ? " " : "", needed[i]);
        free(missing);
        missing = longer;
    }
    strv_done(&have, &n);
    return missing;
}

static bool slice_is_ours(const struct probe_ctx *ctx)
{
    _cleanup_free_ char *path = look_path(ctx, NOMAD_SLICE);
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == ctx->euid;
}

static bool usable_v1(struct probe_ctx *ctx, struct fp *fp)
{
    if (ctx->euid != 0) {
        fp_why(fp, "rights", "cgroup v1", WHY_FAILED, "the agent does not run as root",
               "run it as root");
        return false;
    }
    return true;
}

static bool usable_v2(struct probe_ctx *ctx, struct fp *fp)
{
    _cleanup_free_ char *missing = missing_controllers(ctx);

    if (missing) {
        _cleanup_free_ char *found = xasprintf("missing: %s", missing);

        fp_why(fp, "controllers", CGROUP_ROOT "/cgroup.controllers", WHY_FAILED, found,
               "enable them for the root group (kernel option cgroup_enable=memory, or a host "
               "whose containers are given all controllers)");
        return false;
    }
    fp_why(fp, "controllers", CGROUP_ROOT "/cgroup.controllers", WHY_OK,
           "cpuset cpu io memory pids", "");
    if (ctx->euid != 0 && !slice_is_ours(ctx)) {
        fp_why(fp, "rights", NOMAD_SLICE, WHY_FAILED, "not a folder of the agent's user",
               "run the agent as root, or make the folder and give it to the agent's user");
        return false;
    }
    return true;
}

static int cgroup_run(struct probe_ctx *ctx, struct fp *fp)
{
    _cleanup_free_ char *text = NULL;
    int r, version;

    r = look_text(ctx, &text, LOOKED_MOUNTS);
    if (r < 0)
        return fp_fail(fp, r, "cannot read " LOOKED_MOUNTS);
    version = mounted_version(text);
    if (version == 0) {
        fp_why(fp, "mount", LOOKED_MOUNTS, WHY_FAILED,
               "nothing is mounted on " CGROUP_ROOT " that is tmpfs or cgroup2",
               "mount -t cgroup2 none " CGROUP_ROOT);
        return 0;
    }
    fp_why(fp, "mount", LOOKED_MOUNTS, WHY_OK, version == 1 ? "version 1" : "version 2", "");
    if (version == 1 ? usable_v1(ctx, fp) : usable_v2(ctx, fp))
        fp_set(fp, ATTR_CGROUPS_VERSION, version == 1 ? "1" : "2", LOOKED_MOUNTS);
    return 0;
}

const struct probe probe_cgroup = {
    .name = "cgroup",
    .summary = "version of the control groups that tasks can be put into",
    .class = PROBE_FAST,
    .deadline_ms = PROBE_FAST_DEADLINE_MS,
    .run = cgroup_run,
};
