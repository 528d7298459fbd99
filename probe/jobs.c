#include "probe/jobs.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/str.h"
#include "codec/mp.h"
#include "codec/ops.h"
#include "conf/files.h"
#include "fingerprint/disks.h"
#include "fingerprint/probe.h"
#include "probe/remove.h"
#include "probe/resolve.h"
#include "probe/user.h"

static int job_resolve(const char *root, char *const *args, struct err *e)
{
    (void)root;
    return resolve_print(args[0], args[1], e);
}

static int job_user(const char *root, char *const *args, struct err *e)
{
    (void)root;
    return user_print(args[0], e);
}

static int job_delete(const char *root, char *const *args, struct err *e)
{
    (void)root;
    if (!str_eq(args[1], "-below"))
        return err_set(e, -EINVAL, "-delete PATH goes together with -below DIR");
    return remove_print(args[2], args[0], e);
}

/* the mode that Nomad gives its alloc_dir */
static int job_make_folder(const char *root, char *const *args, struct err *e)
{
    (void)root;
    (void)fprintf(stderr, "mkdir %s\n", args[0]);
    return dir_make(args[0], 0711, e);
}

static void put_disk(void *arg, const struct host_disk_stats *s)
{
    _cleanup_buf_ struct buf b = BUF_INIT(PROBE_RECORD_MAX);

    (void)arg;
    mp_encode(&b, &desc_host_disk_stats, s);
    if (buf_ok(&b) == 0)
        (void)fwrite(b.p, 1, b.len, stdout);
}

/* one msgpack record for each file system, as soon as it is known */
static int job_disks(const char *root, char *const *args, struct err *e)
{
    struct probe_ctx ctx = {.root = root};
    int r;

    (void)setvbuf(stdout, NULL, _IONBF, 0);
    r = disks_read(&ctx, args[0], put_disk, NULL);
    return r < 0 ? err_errno(e, r, "mount table") : 0;
}

/* to stderr, whose last line a daemon shows when no answer comes */
static void say_step(const char *path)
{
    (void)fprintf(stderr, "read %s\n", path);
}

static int job_read_config(const char *root, char *const *args, struct err *e)
{
    _cleanup_buf_ struct buf b = BUF_INIT(JOB_FILES_MAX);
    struct conf_files files = {0};
    size_t n = 0;

    (void)root;
    while (args[n])
        n++;
    conf_files_read((const char *const *)args, n, say_step, &files);
    mp_encode(&b, &desc_conf_files, &files);
    ops_clear(&desc_conf_files, &files);
    if (buf_ok(&b) < 0)
        return err_set(e, -EMSGSIZE, "the files are too large");
    if (fwrite(b.p, 1, b.len, stdout) != b.len || fflush(stdout) != 0)
        return err_errno(e, -errno, "cannot write the answer");
    return 0;
}

/* clang-format off */
const struct odd_job odd_jobs[] = {
    {"-resolve", "HOST PORT", 2, 0, job_resolve},
    {"-user", "NAME|UID", 1, 0, job_user},
    {"-delete", "PATH -below DIR", 3, PROBE_CAP(CAP_DAC_OVERRIDE) | PROBE_CAP(CAP_FOWNER),
     job_delete},
    {"-read-config", "[PATH...]", ODD_JOB_ANY_ARGS, PROBE_CAP(CAP_DAC_READ_SEARCH),
     job_read_config},
    {"-make-folder", "PATH", 1, PROBE_CAP(CAP_DAC_OVERRIDE), job_make_folder},
    {"-disks", "ALLOC_DIR", 1, PROBE_CAP(CAP_DAC_READ_SEARCH), job_disks},
};
/* clang-format on */
const size_t n_odd_jobs = ARRAY_LEN(odd_jobs);

const struct odd_job *odd_job_find(const char *flag)
{
    for (size_t i = 0; i < n_odd_jobs; i++)
        if (str_eq(flag, odd_jobs[i].flag))
            return &odd_jobs[i];
    return NULL;
}
