#include "fingerprint/disks.h"

#include <errno.h>
#include <string.h>
#include <sys/statfs.h>

#include "base/limits.h"
#include "base/str.h"
#include "fingerprint/look.h"
#include "fingerprint/mounts.h"

/* bytes of so many blocks */
static uint64_t bytes(uint64_t blocks, uint64_t size)
{
    uint64_t n;

    return __builtin_mul_overflow(blocks, size, &n) ? UINT64_MAX : n;
}

static double percent(uint64_t part, uint64_t whole)
{
    return whole > 0 ? (double)part / (double)whole * 100 : 0;
}

/* gopsutil disk.Usage: what root alone may use counts as neither used nor available */
static int disk_usage(const char *path, struct host_disk_stats *s)
{
    struct statfs fs;

    if (statfs(path, &fs) < 0)
        return -errno;
    s->size = bytes(fs.f_blocks, (uint64_t)fs.f_bsize);
    s->available = bytes(fs.f_bavail, (uint64_t)fs.f_bsize);
    s->used = bytes(fs.f_blocks - MIN(fs.f_bfree, fs.f_blocks), (uint64_t)fs.f_bsize);
    s->used_percent = percent(s->used, s->used + s->available);
    s->inodes_used_percent = percent(fs.f_files - MIN(fs.f_ffree, fs.f_files), fs.f_files);
    return 0;
}

/* the file systems that live on a device, by the kernel's own list */
static void disk_types(const struct probe_ctx *ctx, char ***ret, size_t *n)
{
    _cleanup_free_ char *text = NULL;
    char **lines = NULL;
    size_t n_lines = 0;

    strv_add(ret, n, "zfs"); /* has no device, but is a disk */
    if (look_text(ctx, &text, "/proc/filesystems") < 0)
        return;
    strv_split(text, "\n", &lines, &n_lines);
    for (size_t i = 0; i < n_lines; i++)
        if (!str_starts(lines[i], "nodev"))
            strv_add(ret, n, lines[i]);
    strv_done(&lines, &n_lines);
}

/* The host's table: our own has the mounts that systemd made for this service alone. */
static int read_mounts(const struct probe_ctx *ctx, struct mounts *ret)
{
    _cleanup_free_ char *text = NULL;

    if (look_text(ctx, &text, "/proc/1/mountinfo") < 0 || !*text)
        return mounts_read(ctx, ret);
    mounts_parse(text, ret);
    return 0;
}

static void one_mount(const struct probe_ctx *ctx, const struct mount *m,
                      void (*put)(void *arg, const struct host_disk_stats *s), void *arg)
{
    struct host_disk_stats s = {.device = m->source, .mountpoint = m->point};
    _cleanup_free_ char *path = look_path(ctx, "%s", m->point);

    if (disk_usage(path, &s) == 0)
        put(arg, &s);
}

int disks_read(const struct probe_ctx *ctx, const char *alloc_dir,
               void (*put)(void *arg, const struct host_disk_stats *s), void *arg)
{
    _cleanup_mounts_ struct mounts m = {0};
    _cleanup_free_ char *path = look_path(ctx, "%s", alloc_dir);
    struct host_disk_stats alloc = {0};
    char **types = NULL;
    size_t n_types = 0, n = 0;
    int r = read_mounts(ctx, &m);

    if (r < 0)
        return r;
    disk_types(ctx, &types, &n_types);
    for (int remote = 0; remote <= 1; remote++)
        for (size_t i = 0; i < m.n; i++)
            if (mounts_is_remote(m.v[i].fstype) == remote && !str_eq(m.v[i].source, "none") &&
                strv_has(types, n_types, m.v[i].fstype) && n++ < DISKS_MAX)
                one_mount(ctx, &m.v[i], put, arg);
    strv_done(&types, &n_types);
    if (disk_usage(path, &alloc) == 0)
        put(arg, &alloc);
    return 0;
}
