#include "agent/alloc_dirs.h"

#include <errno.h>

#include "agent/jobs.h"
#include "base/log.h"
#include "base/str.h"
#include "base/uuid.h"

enum {
    WAITING_MAX = 4096, /* more are left to the one who looks after the disk */
    AGAIN_SEC = 300,
    MAKE_AGAIN_SEC = 15,
};

struct alloc_dirs {
    char *probe_path, *alloc_dir;
    char **ids; /* the last one is being deleted */
    size_t n_ids;
    struct job job, make;
    struct timer again, make_again;
    bool cannot; /* make the folder for all of them; said so */
};

/* --- the folder for all of them --- */

static void on_made(void *arg, int r, const char *text)
{
    struct alloc_dirs *d = arg;

    if (r < 0 && !d->cannot)
        (void)log_warn(0, "the folder for allocations cannot be made yet",
                       KV("alloc_dir", d->alloc_dir), KV("error", text));
    else if (r == 0 && d->cannot)
        log_info("the folder for allocations is there", KV("alloc_dir", d->alloc_dir));
    d->cannot = r < 0;
    if (r < 0)
        timer_set(&d->make_again, MAKE_AGAIN_SEC * NSEC_PER_SEC);
}

static void make(void *arg)
{
    struct alloc_dirs *d = arg;

    job_make_folder(&d->make, d->alloc_dir, on_made);
}

/* --- those of collected allocations --- */

static void on_deleted(void *arg, int r, const char *text, const struct answer_delete *answer);

static void delete_next(void *arg)
{
    struct alloc_dirs *d = arg;
    _cleanup_free_ char *path = NULL;

    timer_stop(&d->again);
    if (d->n_ids == 0)
        return;
    if (job_busy(&d->job)) { /* the last one hangs, and nobody tells when it is gone */
        timer_set(&d->again, AGAIN_SEC * NSEC_PER_SEC);
        return;
    }
    path = xasprintf("%s/%s", d->alloc_dir, d->ids[d->n_ids - 1]);
    job_delete(&d->job, d->alloc_dir, path, on_deleted);
}

static void on_deleted(void *arg, int r, const char *text, const struct answer_delete *answer)
{
    struct alloc_dirs *d = arg;
    _cleanup_free_ char *id = NULL;

    if (r == -ETIMEDOUT || r == -EBUSY) {
        (void)log_warn(0, "the folder of an allocation cannot be deleted yet",
                       KV("alloc_id", d->ids[d->n_ids - 1]), KV("error", text));
        timer_set(&d->again, AGAIN_SEC * NSEC_PER_SEC);
        return;
    }
    id = d->ids[--d->n_ids];
    if (!answer || answer->n_kept > 0)
        (void)log_warn(0, "the folder of an allocation could not be deleted", KV("alloc_id", id),
                       KV("error", answer && answer->n_kept_texts ? answer->kept[0] : text));
    else if (answer->deleted > 0)
        log_info("deleted the folder of an allocation", KV("alloc_id", id),
                 KI("files", (int64_t)answer->deleted));
    delete_next(d);
}

void alloc_dirs_delete(struct alloc_dirs *d, const char *id)
{
    struct uuid uuid;

    if (uuid_parse(id, &uuid) < 0 || d->n_ids >= WAITING_MAX || strv_has(d->ids, d->n_ids, id))
        return;
    strv_add(&d->ids, &d->n_ids, id);
    if (job_busy(&d->job)) { /* the one being deleted stays last */
        char *under_way = d->ids[d->n_ids - 2];

        d->ids[d->n_ids - 2] = d->ids[d->n_ids - 1];
        d->ids[d->n_ids - 1] = under_way;
    } else if (!timer_armed(&d->again)) {
        delete_next(d);
    }
}

struct alloc_dirs *alloc_dirs_new(struct loop *l, const char *probe_path, const char *alloc_dir)
{
    struct alloc_dirs *d = xnew0(struct alloc_dirs);

    d->probe_path = xstrdup(probe_path);
    d->alloc_dir = xstrdup(alloc_dir);
    job_init(&d->job, l, d->probe_path, d);
    job_init(&d->make, l, d->probe_path, d);
    timer_init(l, &d->again, "folders of allocations", delete_next, d);
    timer_init(l, &d->make_again, "folder for allocations", make, d);
    timer_set(&d->make_again, 0); /* the loop may not run yet */
    return d;
}

struct alloc_dirs *alloc_dirs_free(struct alloc_dirs *d)
{
    if (!d)
        return NULL;
    timer_stop(&d->again);
    timer_stop(&d->make_again);
    job_done(&d->job);
    job_done(&d->make);
    strv_done(&d->ids, &d->n_ids);
    free(d->probe_path);
    free(d->alloc_dir);
    return mem_free(d);
}
