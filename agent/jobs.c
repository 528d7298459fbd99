#include "agent/jobs.h"

#include <errno.h>
#include <string.h>

#include "base/limits.h"
#include "base/str.h"
#include "base/vec.h"
#include "codec/js.h"
#include "codec/mp.h"
#include "codec/ops.h"
#include "fingerprint/probe.h"

enum {
    LOOK_UP_SEC = 10,
    READ_SEC = 10,
    DELETE_SEC = 600,
    FOLDER_SEC = 10,
    DISKS_SEC = 2,
    TEXT_MAX = 640,
    STEP_MAX = 250,
    MEMORY_MB = 256, /* name services map their caches */
    PROCS_MAX = 16,
};

/* --- the child --- */

static void give(struct job *j, int r, const char *text)
{
    j->take(j, r, text);
}

static void on_output(void *arg, const uint8_t *p, size_t n)
{
    struct job *j = arg;

    buf_add(&j->out, p, n);
}

/* what went wrong, in words; the program's own come first */
static void explain(const struct job *j, enum proc_end how, int status, const char *tail,
                    struct buf *ret)
{
    _cleanup_free_ char *copy = xstrdup(tail);
    const char *said = str_trim(copy), *wait = proc_wait_text(j->proc);
    static const char own_name[] = "picket-probe: ";

    if (strrchr(said, '\n')) /* steps come before the last word */
        said = strrchr(said, '\n') + 1;
    if (str_starts(said, own_name))
        said += sizeof(own_name) - 1;
    switch (how) {
    case PROC_TIMED_OUT:
    case PROC_HUNG:
        buf_printf(ret, "no answer in %llu s", (unsigned long long)(j->deadline_ns / NSEC_PER_SEC));
        if (*said)
            buf_printf(ret, "; last step: %.*s", STEP_MAX, said);
        if (*wait)
            buf_printf(ret, " (%.250s)", wait);
        break;
    case PROC_SIGNALED:
        buf_printf(ret, "crashed with signal %d", status);
        break;
    case PROC_TOO_MUCH:
        buf_add_str(ret, "the answer is too long");
        break;
    case PROC_EXITED:
    case PROC_NOT_RUN:
        if (*said)
            buf_printf(ret, "%.250s", said);
        else
            buf_printf(ret, "ended with exit status %d", status);
        break;
    }
}

static void on_end(void *arg, enum proc_end how, int status, const char *tail)
{
    _cleanup_buf_ struct buf why = BUF_INIT(TEXT_MAX);
    struct job *j = arg;
    bool good = how == PROC_EXITED && status == 0;

    if (!good)
        explain(j, how, status, tail, &why);
    j->hung = how == PROC_HUNG;
    if (j->hung)
        str_set(&j->hang, buf_str(&why));
    else
        j->proc = proc_free(j->proc);
    if (good)
        give(j, 0, "");
    else
        give(j, how == PROC_TIMED_OUT || how == PROC_HUNG ? -ETIMEDOUT : -EIO, buf_str(&why));
}

static void on_gone(void *arg)
{
    struct job *j = arg;

    j->hung = false;
    j->proc = proc_free(j->proc);
}

static void on_refuse(void *arg)
{
    struct job *j = arg;
    _cleanup_free_ char *text = steal_ptr(&j->refused_text);

    give(j, j->refused, text);
}

static void refuse(struct job *j, int r, const char *text)
{
    j->refused = r;
    str_set(&j->refused_text, text);
    defer_set(&j->refuse);
}

typedef void take_fn(struct job *j, int r, const char *text);

static void start(struct job *j, const char *const *argv, uint64_t sec, size_t output_max,
                  take_fn *take)
{
    struct err e = {0};
    int r;

    j->take = take;
    if (j->hung) {
        _cleanup_free_ char *text = xasprintf("the last one still hangs: %s", j->hang);

        refuse(j, -EBUSY, text);
        return;
    }
    defer_stop(&j->refuse);
    j->refused_text = mem_free(j->refused_text);
    j->proc = proc_free(j->proc);
    buf_done(&j->out);
    buf_init(&j->out, output_max);
    j->deadline_ns = sec * NSEC_PER_SEC;
    r = proc_start(j->loop,
                   &(struct proc_opts){.argv = argv,
                                       .deadline_ns = j->deadline_ns,
                                       .output_max = output_max,
                                       .memory_max = probe_memory_max(MEMORY_MB),
                                       .procs_max = PROCS_MAX,
                                       .on_output = on_output,
                                       .on_end = on_end,
                                       .on_gone = on_gone,
                                       .arg = j},
                   &j->proc, &e);
    if (r < 0)
        refuse(j, -EIO, e.text);
}

/* --- answers --- */

static void take_text(struct job *j, int r, const char *text)
{
    j->on_text(j->arg, r, r == 0 ? buf_str(&j->out) : text);
}

/* decodes the answer; says in e why it is none */
static int decode(struct job *j, int r, const struct desc *d, void *obj, struct err *e)
{
    if (r < 0)
        return r;
    return js_decode(d, buf_str(&j->out), j->out.len, obj, e) < 0 ? err_wrap(e, -EIO, "the answer")
                                                                  : 0;
}

static void take_user(struct job *j, int r, const char *text)
{
    struct answer_user a = {0};
    struct err e = {0};
    int r2 = decode(j, r, &desc_answer_user, &a, &e);

    j->on_user(j->arg, r2, r < 0 ? text : e.text, r2 < 0 ? NULL : &a);
    ops_clear(&desc_answer_user, &a);
}

static void take_delete(struct job *j, int r, const char *text)
{
    struct answer_delete a = {0};
    struct err e = {0};
    int r2 = decode(j, r, &desc_answer_delete, &a, &e);

    j->on_delete(j->arg, r2, r < 0 ? text : e.text, r2 < 0 ? NULL : &a);
    ops_clear(&desc_answer_delete, &a);
}

static void take_files(struct job *j, int r, const char *text)
{
    struct conf_files files = {0};
    struct err e = {0};
    int r2 = r;

    if (r == 0 && mp_decode(&desc_conf_files, j->out.p, j->out.len, &files, &e) < 0)
        r2 = err_wrap(&e, -EIO, "the answer");
    buf_done(&j->out); /* it may be large */
    j->on_files(j->arg, r2, r < 0 ? text : e.text, r2 < 0 ? NULL : &files);
    ops_clear(&desc_conf_files, &files);
}

/* one record for each file system; the last may have been cut off */
static void take_disks(struct job *j, int r, const char *text)
{
    struct mp_frame frame = {0};
    struct host_disk_stats *v = NULL;
    struct err e = {0};
    size_t n = 0, len;

    while (j->out.len > 0 && mp_frame(&frame, j->out.p, j->out.len, PROBE_RECORD_MAX, &len) == 0) {
        struct host_disk_stats one = {0};

        if (mp_decode(&desc_host_disk_stats, j->out.p, len, &one, &e) < 0)
            ops_clear(&desc_host_disk_stats, &one);
        else
            *vec_add(&v, &n) = one;
        buf_drop(&j->out, len);
        frame = (struct mp_frame){0};
    }
    j->on_disks(j->arg, r, text, v, n);
}

/* --- the outside --- */

void job_init(struct job *j, struct loop *l, const char *probe_path, void *arg)
{
    *j = (struct job){.loop = l, .probe_path = probe_path, .arg = arg};
    buf_init(&j->out, JOB_OUTPUT_MAX);
    defer_init(l, &j->refuse, on_refuse, j);
}

void job_done(struct job *j)
{
    if (!j->loop)
        return;
    defer_stop(&j->refuse);
    j->refused_text = mem_free(j->refused_text);
    j->proc = proc_free(j->proc);
    j->hung = false;
    j->hang = mem_free(j->hang);
    buf_done(&j->out);
}

void job_resolve(struct job *j, const char *host, const char *port, job_text_fn *fn)
{
    const char *argv[] = {j->probe_path, "-resolve", host, port, NULL};

    j->on_text = fn;
    start(j, argv, LOOK_UP_SEC, JOB_OUTPUT_MAX, take_text);
}

void job_user(struct job *j, const char *who, job_user_fn *fn)
{
    const char *argv[] = {j->probe_path, "-user", who, NULL};

    j->on_user = fn;
    start(j, argv, LOOK_UP_SEC, JOB_OUTPUT_MAX, take_user);
}

void job_delete(struct job *j, const char *below, const char *path, job_delete_fn *fn)
{
    const char *argv[] = {j->probe_path, "-delete", path, "-below", below, NULL};

    j->on_delete = fn;
    start(j, argv, DELETE_SEC, JOB_OUTPUT_MAX, take_delete);
}

void job_read_config(struct job *j, const char *const *paths, size_t n, job_files_fn *fn)
{
    _cleanup_free_ const char **argv = xnew0_n(const char *, n + 3);

    argv[0] = j->probe_path;
    argv[1] = "-read-config";
    for (size_t i = 0; i < n; i++)
        argv[2 + i] = paths[i];
    j->on_files = fn;
    start(j, argv, READ_SEC, JOB_FILES_MAX, take_files);
}

void job_make_folder(struct job *j, const char *path, job_text_fn *fn)
{
    const char *argv[] = {j->probe_path, "-make-folder", path, NULL};

    j->on_text = fn;
    start(j, argv, FOLDER_SEC, JOB_OUTPUT_MAX, take_text);
}

void job_disks(struct job *j, const char *root, const char *alloc_dir, job_disks_fn *fn)
{
    const char *argv[] = {j->probe_path, "-root", root, "-disks", alloc_dir, NULL};

    j->on_disks = fn;
    start(j, argv, DISKS_SEC, PROBE_RECORD_MAX, take_disks);
}
