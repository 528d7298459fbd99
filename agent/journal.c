#include "agent/journal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/journal_priv.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/str.h"
#include "base/writer.h"
#include "codec/mp.h"
#include "codec/ops.h"

/* until a write that failed is tried again, unless something asks for it sooner */
#define AGAIN_NS (60 * NSEC_PER_SEC)

struct write_job {
    struct writer_job job;
    enum fact fact;
    struct journal *journal; /* borrowed: outlives the writer */
    char *path;              /* owned */
    uint8_t *p;              /* owned */
    size_t n;
    int r;
    struct err e;
};

struct journal_wait {
    struct writer_job job;
    struct journal *journal;        /* borrowed */
    void (*done)(void *arg, int r); /* NULL: cancelled */
    void *arg;
};

static void *fact_at(struct journal *j, enum fact fact)
{
    return (char *)j + fact_rows[fact].off;
}

static struct fact_head *head_of(struct journal *j, enum fact fact)
{
    return fact_at(j, fact); /* the first member of each */
}

/* --- writing --- */

static void write_run(struct writer_job *wj)
{
    struct write_job *w = container_of(wj, struct write_job, job);

    if (w->r == 0)
        w->r = file_write_atomic(w->path, w->p, w->n, 0600, &w->e);
}

/* a disk that refuses is said so once */
static void write_done(struct writer_job *wj)
{
    struct write_job *w = container_of(wj, struct write_job, job);
    bool *unsaved = &w->journal->unsaved[w->fact];

    if (w->r < 0) {
        if (!*unsaved)
            (void)log_error(0, "cannot remember a fact over a restart", KE(&w->e));
        timer_set(&w->journal->again, AGAIN_NS);
    } else if (*unsaved) {
        log_info("a fact can be remembered again", KV("path", w->path));
    }
    *unsaved = w->r < 0;
    free(w->path);
    free(w->p);
    free(w);
}

/* without a thread the work is done at once: false */
static bool submit(struct journal *j, struct writer_job *job)
{
    if (j->writer || writer_new(j->loop, "journal", &j->writer) == 0) {
        writer_submit(j->writer, job);
        return true;
    }
    job->run(job);
    job->done(job);
    return false;
}

void journal_save(struct journal *j, enum fact fact)
{
    const struct fact_row *row = &fact_rows[fact];
    _cleanup_buf_ struct buf b = BUF_INIT(READ_CAP_STATE);
    struct write_job *w;

    head_of(j, fact)->version = JOURNAL_FORMAT;
    mp_encode(&b, row->desc, fact_at(j, fact));
    w = xnew0(struct write_job);
    w->job = (struct writer_job){.run = write_run, .done = write_done};
    w->fact = fact;
    w->journal = j;
    w->path = xasprintf("%s/%s", j->dir, row->file);
    if (buf_ok(&b) < 0)
        w->r = err_set(&w->e, -EFBIG, "%s would be too large", w->path);
    else
        w->p = buf_take(&b, &w->n);
    (void)submit(j, &w->job);
}

static bool any_unsaved(const struct journal *j)
{
    for (enum fact i = 0; i < FACT_MAX; i++)
        if (j->unsaved[i])
            return true;
    return false;
}

static void save_again(void *arg)
{
    struct journal *j = arg;

    for (enum fact i = 0; i < FACT_MAX; i++)
        if (j->unsaved[i])
            journal_save(j, i);
}

static void sync_run(struct writer_job *wj)
{
    (void)wj; /* its turn has come: all before it are done */
}

static void sync_done(struct writer_job *wj)
{
    struct journal_wait *w = container_of(wj, struct journal_wait, job);

    if (w->done)
        w->done(w->arg, any_unsaved(w->journal) ? -EIO : 0);
    free(w);
}

struct journal_wait *journal_sync(struct journal *j, void (*done)(void *arg, int r), void *arg)
{
    struct journal_wait *w = xnew0(struct journal_wait);

    save_again(j);
    w->job = (struct writer_job){.run = sync_run, .done = sync_done};
    w->journal = j;
    w->done = done;
    w->arg = arg;
    return submit(j, &w->job) ? w : NULL;
}

struct journal_wait *journal_sync_cancel(struct journal_wait *w)
{
    if (w)
        w->done = NULL;
    return NULL;
}

/* --- reading --- */

static void set_aside(const char *path, const char *why)
{
    _cleanup_free_ char *aside = xasprintf("%s.damaged", path);

    if (rename(path, aside) < 0)
        (void)log_warn(-errno, "cannot put a damaged file aside", KV("path", path));
    (void)log_warn(0, "a remembered fact is damaged, going on without it", KV("path", path),
                   KV("kept_as", aside), KV("error", why));
}

/* the format a file says it has; 1 when it says none (or is no map: the decoder will tell) */
static uint64_t format_of(const char *text, size_t n)
{
    const uint8_t *p;
    size_t len;
    struct mp_token t;
    struct mp_in in;

    if (mp_map_find(text, n, "Version", &p, &len) < 0)
        return 1;
    in = mp_in(p, len);
    if (mp_next(&in, &t) < 0 || t.type != MP_INT)
        return 1;
    return t.is_unsigned ? t.u : (uint64_t)MAX(t.i, 1);
}

/* A fact that is not there, not readable or damaged is left zero; only one that a newer release
 * wrote stops the start. */
static int load(struct journal *j, enum fact fact, struct err *e)
{
    const struct fact_row *row = &fact_rows[fact];
    _cleanup_free_ char *path = xasprintf("%s/%s", j->dir, row->file);
    _cleanup_free_ char *left = xasprintf("%s.tmp", path), *text = NULL;
    struct err why = {0};
    size_t n = 0;
    int r;

    (void)unlink(left); /* of a write that was cut off */
    r = file_read(path, READ_CAP_STATE, &text, &n);
    if (r == -ENOENT)
        return 0;
    if (r < 0 && r != -EFBIG) {
        (void)log_warn(r, "cannot read a remembered fact", KV("path", path));
        return 0;
    }
    if (r == 0 && format_of(text, n) > JOURNAL_FORMAT)
        return err_set(e, -EUCLEAN,
                       "%s has state format %" PRIu64 ", but this picketd (" PICKET_VERSION
                       ") knows formats up to %d: start the newer release that wrote it, or move "
                       "the file away to go on without what it says",
                       path, format_of(text, n), JOURNAL_FORMAT);
    if (r == 0)
        r = mp_decode(row->desc, text, n, fact_at(j, fact), &why);
    else
        (void)err_errno(&why, r, "size");
    if (r < 0) {
        ops_clear(row->desc, fact_at(j, fact));
        set_aside(path, why.text);
    }
    return 0;
}

int journal_open(struct loop *l, const char *state_dir, const char *node_id, struct journal **ret,
                 struct err *e)
{
    _cleanup_(journal_freep) struct journal *j = xnew0(struct journal);

    j->loop = l;
    timer_init(l, &j->again, "remember again", save_again, j);
    j->dir = xstrdup(state_dir);
    for (enum fact i = 0; i < FACT_MAX; i++) {
        int r = load(j, i, e);

        if (r < 0)
            return r;
        if (!str_eq(head_of(j, i)->node_id, node_id))
            ops_clear(fact_rows[i].desc, fact_at(j, i));
        str_set(&head_of(j, i)->node_id, node_id);
    }
    *ret = steal_ptr(&j);
    return 0;
}

struct journal *journal_free(struct journal *j)
{
    if (!j)
        return NULL;
    if (j->writer)
        (void)writer_free(j->writer);
    timer_stop(&j->again);
    for (enum fact i = 0; i < FACT_MAX; i++)
        ops_clear(fact_rows[i].desc, fact_at(j, i));
    free(j->dir);
    return mem_free(j);
}

size_t journal_pending(const struct journal *j)
{
    return j && j->writer ? writer_pending(j->writer) : 0;
}
