#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/log.h"
#include "server/beats.h"
#include "server/snapshot_priv.h"
#include "state/nodes.h"
#include "state/restore.h"
#include "wire/http1.h"

enum {
    READ_BYTES = 32 * KIB, /* of the archive, in one job of the writer's thread */
    NODES_PER_SLICE = 500, /* put into a table, armed, dropped */
    ANSWER_MAX = ERR_TEXT_MAX + 64,
};

struct restorer {
    struct writer_job job; /* it touches the members down to e */
    int fd;
    struct buf out; /* a piece of the body on its way to the file */
    struct restore *restore;
    uint64_t at; /* read so far */
    bool ended;  /* all of it */
    int r;
    struct err e;

    struct snapshots *owner;
    struct http_exchange *x; /* NULL: the peer is gone, or has its answer */
    struct buf in;           /* of the body, waits for the job */
    bool in_job;
    bool uploaded;          /* the body has come */
    struct timer slice;     /* the next part of what takes long in the loop */
    struct nodes *old;      /* owned: what was replaced */
    struct node_list armed; /* the nodes of now, while they get their deadlines */
    struct node_list_at armed_at;
    uint64_t grace_ns, index;
    struct archive_info info;
};

static void restorer_free(struct restorer *v)
{
    timer_stop(&v->slice);
    buf_done(&v->in);
    buf_done(&v->out);
    v->restore = restore_free(v->restore);
    (void)nodes_free(v->old);
    node_list_done(&v->armed);
    snapshot_file_close(v->owner, v->fd);
    v->owner->restorer = NULL;
    free(v);
}

/* nothing has changed */
static void refuse(struct restorer *v, int status, const char *text)
{
    char answer[ANSWER_MAX];

    (void)snprintf(answer, sizeof(answer), "failed to restore from snapshot: %s", text);
    (void)log_warn(0, "a snapshot was not restored", KV("reason", text));
    if (v->x)
        snapshot_answer(steal_ptr(&v->x), status, answer);
    if (!v->in_job)
        restorer_free(v);
}

static void submit(struct restorer *v, void (*run)(struct writer_job *),
                   void (*done)(struct writer_job *))
{
    v->job.run = run;
    v->job.done = done;
    v->in_job = true;
    writer_submit(v->owner->writer, &v->job);
}

/* after a job: false when nobody needs the rest */
static bool go_on(struct restorer *v)
{
    v->in_job = false;
    if (!v->x) {
        restorer_free(v);
        return false;
    }
    if (v->owner->stopping) {
        refuse(v, 500, "the server is stopping");
        return false;
    }
    if (v->r < 0) {
        refuse(v, 500, v->e.text);
        return false;
    }
    return true;
}

/* --- replaced: deadlines anew, the old table goes --- */

static void finish(struct restorer *v)
{
    log_info("snapshot restored", KI("nodes", v->info.nodes), KI("of_index", v->info.index),
             KI("index", v->index));
    if (v->x)
        snapshot_answer(steal_ptr(&v->x), 200, "");
    restorer_free(v);
}

static void drop_old(struct restorer *v)
{
    static const struct uuid all;

    for (size_t i = 0; i < NODES_PER_SLICE; i++) {
        size_t pos = 0;
        const struct node_item *it = nodes_next(v->old, &all, 0, &pos);
        struct uuid key;

        if (!it) {
            finish(v);
            return;
        }
        key = it->key;
        (void)nodes_delete(v->old, &key);
        if (!store_node(v->owner->srv->store, &key))
            beats_stop(v->owner->srv->beats, &key);
    }
    timer_set(&v->slice, 0);
}

static void on_after_slice(void *arg)
{
    struct restorer *v = arg;
    struct server *s = v->owner->srv;

    for (size_t i = 0; i < NODES_PER_SLICE; i++) {
        const struct node_item *it = node_list_next(&v->armed, &v->armed_at);

        if (!it) {
            drop_old(v);
            return;
        }
        it = store_node(s->store, &it->key);
        if (it && it->status != STATUS_DOWN)
            beats_set(s->beats, &it->key, v->grace_ns);
        else if (it)
            beats_stop(s->beats, &it->key);
    }
    timer_set(&v->slice, 0);
}

static void on_replaced(void *arg, int r, uint64_t index, struct nodes *take_old,
                        const struct err *e)
{
    static const struct uuid all;
    struct restorer *v = arg;
    struct server *s = v->owner->srv;

    v->old = take_old;
    v->in_job = false;
    if (r < 0) {
        refuse(v, 500, e->text);
        return;
    }
    v->index = index;
    if (v->owner->stopping) {
        finish(v);
        return;
    }
    store_list(s->store, &all, 0, &v->armed);
    v->grace_ns = beats_grace_at_start(s->beats, v->armed.n);
    timer_init(s->loop, &v->slice, "restore", on_after_slice, v);
    timer_set(&v->slice, 0);
}

/* --- the file is read as a whole --- */

static void read_run(struct writer_job *job)
{
    struct restorer *v = container_of(job, struct restorer, job);
    uint8_t piece[READ_BYTES];
    ssize_t n = v->fd >= 0 ? pread(v->fd, piece, sizeof(piece), (off_t)v->at) : 0;

    if (n < 0) {
        v->r = err_errno(&v->e, -errno, "cannot read the uploaded file");
    } else if (n == 0) {
        v->r = restore_read_end(v->restore, &v->e);
        v->ended = v->r == 0;
    } else {
        v->at += (uint64_t)n;
        v->r = restore_read(v->restore, piece, (size_t)n, &v->e);
    }
}

static void read_done(struct writer_job *job);

static void on_gather(void *arg)
{
    struct restorer *v = arg;
    struct store_content content;

    if (restore_gather(v->restore, NODES_PER_SLICE)) {
        timer_set(&v->slice, 0);
        return;
    }
    v->in_job = false;
    if (!v->x) {
        restorer_free(v);
        return;
    }
    if (!v->ended) {
        submit(v, read_run, read_done);
        return;
    }
    v->info = *restore_info(v->restore);
    restore_take(v->restore, &content);
    v->in_job = true;
    store_replace(v->owner->srv->store, &content, on_replaced, v);
}

static void read_done(struct writer_job *job)
{
    struct restorer *v = container_of(job, struct restorer, job);

    if (!go_on(v))
        return;
    v->in_job = true; /* on_gone() leaves it to us */
    timer_init(v->owner->srv->loop, &v->slice, "restore", on_gather, v);
    on_gather(v);
}

/* --- the body --- */

static void write_run(struct writer_job *job)
{
    struct restorer *v = container_of(job, struct restorer, job);
    int r;

    v->r = v->fd < 0 ? snapshot_file(v->owner, &v->fd, &v->e) : 0;
    if (v->r < 0)
        return;
    r = file_write_all(v->fd, v->out.p, v->out.len);
    if (r < 0)
        v->r = err_errno(&v->e, r, "cannot store the uploaded file");
}

static void write_done(struct writer_job *job);

static void write_next(struct restorer *v)
{
    struct buf done = v->out;

    buf_reset(&done);
    v->out = v->in;
    v->in = done;
    submit(v, write_run, write_done);
}

static void body_is_there(struct restorer *v)
{
    v->restore = restore_new();
    submit(v, read_run, read_done);
}

static void write_done(struct writer_job *job)
{
    struct restorer *v = container_of(job, struct restorer, job);

    if (!go_on(v))
        return;
    if (v->in.len > 0)
        write_next(v);
    else if (v->uploaded)
        body_is_there(v);
    if (!v->uploaded)
        http_upload_resume(v->x);
}

static bool on_body(void *arg, const uint8_t *p, size_t n)
{
    struct restorer *v = arg;

    buf_add(&v->in, p, n);
    if (!v->in_job)
        write_next(v);
    return v->in.len < UPLOAD_HELD_MAX / 2;
}

static void on_end(void *arg, int status, const char *text)
{
    struct restorer *v = arg;

    if (status > 0) {
        refuse(v, status, text);
        return;
    }
    v->uploaded = true;
    if (!v->in_job)
        body_is_there(v);
}

/* while a job runs, or the store replaces, that ends first */
static void on_gone(void *arg)
{
    struct restorer *v = arg;

    v->x = NULL;
    if (!v->uploaded)
        (void)log_warn(0, "a snapshot was not restored", KV("reason", "the upload broke off"));
    if (!v->in_job && !timer_armed(&v->slice))
        restorer_free(v);
}

static void restore_begin(void *arg, struct http_exchange *take_x,
                          const struct http_header *headers, size_t n_headers)
{
    static const struct http_upload_user user = {on_body, on_end};
    struct restorer *v = arg;

    (void)headers;
    (void)n_headers;
    v->x = take_x;
    http_on_gone(take_x, on_gone, v);
    http_upload_start(take_x, &user, v);
}

int snapshots_restore(struct snapshots *o, struct view_stream *ret, struct err *e)
{
    struct restorer *v;

    if (!o)
        return err_set_status(e, -ENOTSUP, 501, "snapshots need a data folder");
    if (o->restorer)
        return err_set_status(e, -EBUSY, 503, "another snapshot is being restored");
    v = o->restorer = xnew0(struct restorer);
    v->owner = o;
    v->fd = -1; /* nothing has come */
    v->in = BUF_INIT(2 * UPLOAD_HELD_MAX);
    v->out = BUF_INIT(2 * UPLOAD_HELD_MAX);
    *ret = (struct view_stream){restore_begin, v};
    return 0;
}

void snapshot_restore_stop(struct snapshots *o)
{
    if (o->restorer && timer_armed(&o->restorer->slice))
        restorer_free(o->restorer);
}
