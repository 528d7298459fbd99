#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/stat.h>

#include "base/str.h"
#include "fingerprint/look.h"
#include "fingerprint/mounts.h"
#include "fingerprint/rows.h"

/* Static host volumes (host_volume blocks).  Nomad's client does not start when one is missing and
 * never looks again; here such a volume is left out with the reason, looked at again and again, and
 * published once it is there (fact: fingerprints 9.1, pain 18).
 *
 * Each is a question of its own: one that hangs takes no other along. */

enum {
    VOLUMES_DEADLINE_MS = 5000,
    VOLUMES_PERIOD_SEC = 60,
    VOLUMES_OUTPUT_KB = 64, /* one volume and its check */
};

static const char *kind_of(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFDIR:
        return "folder";
    case S_IFREG:
        return "file";
    case S_IFBLK:
        return "block device";
    default:
        return "special file";
    }
}

static void refuse(struct fp *fp, const struct probe_volume *v, const char *found, const char *fix)
{
    _cleanup_free_ char *id = xasprintf("host_volume.%s", str_or_empty(v->name));

    fp_why(fp, id, str_or_empty(v->path), WHY_FAILED, found, fix);
}

static void publish(struct fp *fp, const struct probe_volume *v, const struct stat *st)
{
    _cleanup_free_ char *id = xasprintf("host_volume.%s", v->name);
    struct host_volume *hv = fp_host_volume(fp, v->name);

    str_set(&hv->name, v->name);
    str_set(&hv->path, v->path);
    hv->read_only = v->read_only;
    fp_why(fp, id, v->path, WHY_OK, kind_of(st->st_mode), "");
}

static void look_at(struct probe_ctx *ctx, struct fp *fp, const struct mounts *mounts,
                    const struct probe_volume *v)
{
    _cleanup_free_ char *path = NULL, *where = NULL;
    struct stat st;

    if (str_empty(v->name)) {
        refuse(fp, v, "the block has no name", "give it one: host_volume \"name\" { ... }");
        return;
    }
    if (str_empty(v->path)) {
        refuse(fp, v, "Missing path in host_volume config", "add path = \"/a/folder\"");
        return;
    }
    path = look_path(ctx, "%s", v->path);
    where = mounts_describe(mounts, v->path);
    probe_step(ctx, "host_volume \"%s\": stat %s%s", v->name, v->path, where);
    if (stat(path, &st) < 0) {
        int r = -errno;
        _cleanup_free_ char *fix = xasprintf("mkdir -p %s, or mount it", v->path);

        refuse(fp, v, strerror(-r), r == -ENOENT ? fix : "");
        return;
    }
    publish(fp, v, &st);
}

static int volumes_run(struct probe_ctx *ctx, struct fp *fp)
{
    const struct probe_conf *c = ctx->conf;
    _cleanup_mounts_ struct mounts mounts = {0};
    bool any = !ctx->volume;

    (void)!mounts_read(ctx, &mounts); /* what follows is described without it then */
    for (size_t i = 0; i < c->n_volumes; i++) {
        if (ctx->volume && !str_eq(ctx->volume, str_or_empty(c->volumes[i].name)))
            continue;
        any = true;
        look_at(ctx, fp, &mounts, &c->volumes[i]);
    }
    return any ? 0 : fp_fail(fp, -ENOENT, "host_volume \"%s\" of the configuration", ctx->volume);
}

const struct probe probe_volumes = {
    .name = "volumes",
    .summary = "host volumes of the configuration",
    .class = PROBE_EACH,
    .deadline_ms = VOLUMES_DEADLINE_MS,
    .period_sec = VOLUMES_PERIOD_SEC,
    .output_kb = VOLUMES_OUTPUT_KB,
    .caps = PROBE_CAP(CAP_DAC_READ_SEARCH),
    .run = volumes_run,
};
