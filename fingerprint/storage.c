#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/limits.h"
#include "base/str.h"
#include "fingerprint/look.h"
#include "fingerprint/mounts.h"
#include "fingerprint/rows.h"
#include "model/attrs.h"

enum {
    STORAGE_DEADLINE_MS = 5000,
    STORAGE_PERIOD_SEC = 120,
};

/* The folder itself, or the nearest one above it that is there: the agent makes it later. */
static int existing_folder(struct probe_ctx *ctx, char **ret)
{
    _cleanup_free_ char *path = look_path(ctx, "%s", ctx->conf->alloc_dir);
    struct stat st;

    while (stat(path, &st) < 0) {
        char *slash = strrchr(path, '/');

        if (errno != ENOENT && errno != ENOTDIR)
            return -errno;
        if (!slash || str_eq(path, "/"))
            return -ENOENT;
        slash[slash == path] = 0;
    }
    *ret = steal_ptr(&path);
    return 0;
}

/* the mount a file is on, by its number where the kernel tells it, else by the path; NULL */
static const struct mount *mount_of(const struct probe_ctx *ctx, const struct mounts *m,
                                    const char *path)
{
    struct statx sx = {0};

    if (str_empty(ctx->root) && statx(AT_FDCWD, path, 0, STATX_MNT_ID, &sx) == 0 &&
        (sx.stx_mask & STATX_MNT_ID))
        return mounts_by_id(m, sx.stx_mnt_id);
    return *path == '/' ? mounts_by_path(m, path + strlen(str_or_empty(ctx->root))) : NULL;
}

/* r: how the mount table was read */
static void storage_volume(struct probe_ctx *ctx, struct fp *fp, const struct mounts *mounts, int r,
                           const char *path)
{
    const struct mount *m = r < 0 ? NULL : mount_of(ctx, mounts, path);

    if (!m) {
        fp_why(fp, "volume", "/proc/self/mountinfo", WHY_FAILED,
               r < 0 ? strerror(-r) : "no mount for the path", "");
        return;
    }
    fp_set(fp, ATTR_UNIQUE_STORAGE_VOLUME, m->source, "/proc/self/mountinfo");
    fp_set_local(fp, "storage.fstype", m->fstype, "/proc/self/mountinfo");
    fp_set_local(fp, "storage.mountpoint", m->point, "/proc/self/mountinfo");
}

/* whole kilobytes, rounded up, as df -P prints and Nomad multiplies again */
static uint64_t to_bytes(uint64_t blocks, uint64_t block_size)
{
    uint64_t bytes;

    if (__builtin_mul_overflow(blocks, block_size, &bytes) || bytes > INT64_MAX)
        return INT64_MAX / KIB * KIB;
    return (bytes + KIB - 1) / KIB * KIB;
}

/* whether it is there, and if not, whether it can be; path is what is measured */
static void check_folder(const struct probe_ctx *ctx, struct fp *fp, const char *path,
                         const struct statvfs *vfs)
{
    const char *dir = ctx->conf->alloc_dir;
    _cleanup_free_ char *whole = look_path(ctx, "%s", dir), *found = NULL, *fix = NULL;
    struct stat st;

    if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode)) {
        fix = xasprintf("move %s away: it has to be a folder", path);
        fp_why(fp, "alloc_dir", dir, WHY_FAILED, "Not a directory", fix);
    } else if (vfs->f_flag & ST_RDONLY) {
        found = xasprintf("%s is on a file system that can only be read", path);
        fp_why(fp, "alloc_dir", dir, WHY_FAILED, found, "");
    } else if (!str_eq(path, whole)) {
        found = xasprintf("not there yet, measured at %s", path);
        fp_why(fp, "alloc_dir", dir, WHY_SKIPPED, found, "");
    } else {
        fp_why(fp, "alloc_dir", dir, WHY_OK, "folder", "");
    }
}

static int storage_run(struct probe_ctx *ctx, struct fp *fp)
{
    _cleanup_free_ char *path = NULL, *source = NULL, *where = NULL;
    _cleanup_mounts_ struct mounts mounts = {0};
    int table = mounts_read(ctx, &mounts), r;
    struct statvfs vfs;
    uint64_t total;

    where = mounts_describe(&mounts, ctx->conf->alloc_dir);
    probe_step(ctx, "stat %s%s", ctx->conf->alloc_dir, where);
    r = existing_folder(ctx, &path);
    if (r < 0)
        return fp_fail(fp, r, "alloc_dir %s", ctx->conf->alloc_dir);
    storage_volume(ctx, fp, &mounts, table, path);
    probe_step(ctx, "statvfs %s%s", path, where);
    if (statvfs(path, &vfs) < 0)
        return fp_fail(fp, -errno, "statvfs of %s", path);
    check_folder(ctx, fp, path, &vfs);
    source = xasprintf("statvfs of %s", path);
    total = to_bytes(vfs.f_blocks, vfs.f_frsize);
    if (ctx->conf->disk_total_mb > 0)
        total = (uint64_t)ctx->conf->disk_total_mb * MIB;
    fp_setf(fp, ATTR_UNIQUE_STORAGE_BYTESTOTAL,
            ctx->conf->disk_total_mb > 0 ? "disk_total_mb in the configuration" : source, "%llu",
            (unsigned long long)total);
    fp_setf(fp, ATTR_UNIQUE_STORAGE_BYTESFREE, source, "%llu",
            (unsigned long long)to_bytes(vfs.f_bavail, vfs.f_frsize));
    fp->disk = xnew0(struct node_disk);
    fp->disk->disk_mb = (int64_t)(total / MIB);
    return 0;
}

const struct probe probe_storage = {
    .name = "storage",
    .summary = "size of the file system that allocations live on",
    .class = PROBE_SLOW,
    .deadline_ms = STORAGE_DEADLINE_MS,
    .period_sec = STORAGE_PERIOD_SEC,
    .caps = PROBE_CAP(CAP_DAC_READ_SEARCH),
    .run = storage_run,
};
