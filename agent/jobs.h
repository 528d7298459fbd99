/* agent/jobs.h - odd jobs that may block, done by a picket-probe child each.
 *
 * One struct job stands for one purpose of its owner and does one thing at a time.  A child that
 * does not even die at its deadline keeps its job busy until it does: nothing is started twice on
 * what hangs.
 */
#pragma once

#include "base/buf.h"
#include "base/loop.h"
#include "base/proc.h"
#include "conf/files.h"
#include "fingerprint/answer.h"
#include "model/rpc_client.h"

struct job;

/* 0 and the answer; else negative errno and why not: -ETIMEDOUT no answer in time, -EBUSY the last
 * child still hangs, -EIO anything else.  Borrowed until it returns; may start the next or free the
 * owner. */
typedef void job_text_fn(void *arg, int r, const char *text);
/* answer is NULL unless r is 0; text is "" then */
typedef void job_user_fn(void *arg, int r, const char *text, const struct answer_user *answer);
typedef void job_delete_fn(void *arg, int r, const char *text, const struct answer_delete *answer);
/* v: what was told before it failed, too; the receiver's */
typedef void job_disks_fn(void *arg, int r, const char *text, struct host_disk_stats *take_v,
                          size_t n);
typedef void job_files_fn(void *arg, int r, const char *text, const struct conf_files *answer);

struct job {
    struct loop *loop;
    const char *probe_path; /* borrowed */
    struct proc *proc;      /* at work, or hanging; NULL = none */
    bool hung;
    char *hang; /* while it hangs: on what; owned */
    struct buf out;
    struct defer refuse; /* tells that it could not be started */
    int refused;
    char *refused_text; /* owned */
    uint64_t deadline_ns;
    void (*take)(struct job *j, int r, const char *text);
    job_text_fn *on_text;
    job_user_fn *on_user;
    job_delete_fn *on_delete;
    job_files_fn *on_files;
    job_disks_fn *on_disks;
    void *arg;
};

/* probe_path must live as long as the job */
void job_init(struct job *j, struct loop *l, const char *probe_path, void *arg);
/* kills what is at work, without a word, and leaves the job as job_init() did; harmless on one that
 * is all zero */
void job_done(struct job *j);
static inline bool job_busy(const struct job *j)
{
    return j->proc || j->refused_text;
}

/* Each answers exactly once, never from inside.  One under way is dropped first, unless it hangs.
 */

/* addresses of a name, one a line as "ip:port", within 10 s */
void job_resolve(struct job *j, const char *host, const char *port, job_text_fn *fn);
/* the user of that name or number, within 10 s */
void job_user(struct job *j, const char *who, job_user_fn *fn);
/* deletes a tree below a folder (probe/remove), within 10 minutes */
void job_delete(struct job *j, const char *below, const char *path, job_delete_fn *fn);
/* reads configuration files and folders (conf_files_read), within 10 s */
void job_read_config(struct job *j, const char *const *paths, size_t n, job_files_fn *fn);
/* makes a folder and those above it as dir_make() does, mode 0711, within 10 s; no answer */
void job_make_folder(struct job *j, const char *path, job_text_fn *fn);
/* usage of all file systems, that of alloc_dir without a mount point, within 2 s; root as in struct
 * probe_ctx */
void job_disks(struct job *j, const char *root, const char *alloc_dir, job_disks_fn *fn);
