#include "server/snapshot.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <nettle/base64.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/str.h"
#include "server/snapshot_priv.h"
#include "state/image.h"
#include "wire/http1.h"

enum {
    PIECE_BYTES = 256 * KIB, /* of objects, in one job of the writer's thread */
    READ_BYTES = 256 * KIB,  /* of the file, likewise */
};

#define NAME_PREFIX "snapshot-"

/* --- files --- */

int snapshot_file(const struct snapshots *o, int *ret_fd, struct err *e)
{
    _cleanup_free_ char *path = xasprintf("%s/" NAME_PREFIX "XXXXXX", o->dir);
    int fd = mkostemp(path, O_CLOEXEC); /* mode 0600 */

    if (fd < 0)
        return err_errno(e, -errno, "cannot make %s", path);
    (void)unlink(path);
    *ret_fd = fd;
    return 0;
}

struct closing {
    struct writer_job job;
    int fd;
};

static void close_run(struct writer_job *job)
{
    (void)fd_close(container_of(job, struct closing, job)->fd);
}

static void close_done(struct writer_job *job)
{
    free(container_of(job, struct closing, job));
}

/* a large file without a name goes with its last descriptor, and that takes its time */
void snapshot_file_close(const struct snapshots *o, int take_fd)
{
    struct closing *c;

    if (take_fd < 0)
        return;
    c = xnew0(struct closing);
    c->fd = take_fd;
    c->job.run = close_run;
    c->job.done = close_done;
    writer_submit(o->writer, &c->job);
}

/* what a crash left between making a file and taking its name away */
static void remove_leftovers(const char *dir)
{
    DIR *d = opendir(dir);
    const struct dirent *entry;

    while (d && (entry = readdir(d))) {
        if (str_starts(entry->d_name, NAME_PREFIX))
            (void)unlinkat(dirfd(d), entry->d_name, 0);
    }
    if (d)
        (void)closedir(d);
}

struct snapshots *snapshots_new(struct server *s, struct writer *w, const char *dir)
{
    struct snapshots *o = xnew0(struct snapshots);

    o->srv = s;
    o->writer = w;
    o->dir = xstrdup(dir);
    remove_leftovers(dir);
    return o;
}

void snapshots_stop(struct snapshots *o)
{
    if (!o)
        return;
    o->stopping = true;
    snapshot_restore_stop(o);
}

struct snapshots *snapshots_free(struct snapshots *o)
{
    if (!o || writer_pending(o->writer) > 0) /* the disk hangs: the program ends without it */
        return NULL;
    free(o->dir);
    return mem_free(o);
}

void snapshot_answer(struct http_exchange *take_x, int status, const char *text)
{
    static const struct http_header type = {"Content-Type", "text/plain; charset=utf-8"};

    http_answer(take_x, status, &type, *text ? 1 : 0, text, strlen(text));
}

/* --- saving --- */

struct saver {
    struct writer_job job; /* it touches the members down to piece_n */
    struct image *image;
    int fd;
    int r; /* of the last piece */
    struct err e;
    uint64_t bytes;
    uint8_t digest[ARCHIVE_DIGEST_BYTES];
    uint64_t at;    /* bytes of the file that were read */
    uint8_t *piece; /* owned; the last of them */
    size_t piece_n;

    struct snapshots *owner;
    bool in_job;
    struct http_exchange *x;     /* until the answer begins */
    struct http_stream *to;      /* then */
    struct http_header *headers; /* owned with their texts; the first two are ours */
    size_t n_headers;
    size_t piece_at; /* bytes of the piece that were sent */
};

static void saver_free(struct saver *v)
{
    for (size_t i = 0; i < v->n_headers; i++) {
        free((char *)(uintptr_t)v->headers[i].name);
        free((char *)(uintptr_t)v->headers[i].value);
    }
    free(v->headers);
    v->image = image_free(v->image);
    snapshot_file_close(v->owner, v->fd);
    v->owner->saving--;
    free(v->piece);
    free(v);
}

static void submit(struct saver *v, void (*run)(struct writer_job *),
                   void (*done)(struct writer_job *))
{
    v->job.run = run;
    v->job.done = done;
    v->in_job = true;
    writer_submit(v->owner->writer, &v->job);
}

static void read_run(struct writer_job *job)
{
    struct saver *v = container_of(job, struct saver, job);
    ssize_t n = pread(v->fd, v->piece, READ_BYTES, (off_t)v->at);

    v->r = n < 0 ? -errno : 0;
    v->piece_n = n < 0 ? 0 : (size_t)n;
    v->at += v->piece_n;
}

static void on_room(void *arg);

static void read_done(struct writer_job *job)
{
    struct saver *v = container_of(job, struct saver, job);

    v->in_job = false;
    v->piece_at = 0;
    if (!v->to)
        saver_free(v);
    else if (v->piece_n > 0)
        on_room(v);
    else {
        if (v->at != v->bytes) /* the peer sees it by the digest */
            (void)log_warn(v->r < 0 ? v->r : -EIO, "a snapshot cannot be read back");
        http_stream_end(v->to);
        saver_free(v);
    }
}

static void on_room(void *arg)
{
    struct saver *v = arg;

    while (!v->in_job && v->piece_at < v->piece_n) {
        size_t n = MIN(http_stream_room(v->to), v->piece_n - v->piece_at);

        if (n == 0 || http_stream_write(v->to, v->piece + v->piece_at, n) < 0)
            return;
        v->piece_at += n;
    }
    if (!v->in_job)
        submit(v, read_run, read_done);
}

static void on_stream_gone(void *arg)
{
    struct saver *v = arg;

    v->to = NULL;
    if (!v->in_job)
        saver_free(v);
}

static void send_file(struct saver *v)
{
    static const struct http_stream_user user = {on_room, on_stream_gone};
    char digest[BASE64_ENCODE_RAW_LENGTH(ARCHIVE_DIGEST_BYTES) + 1] = "";

    base64_encode_raw(digest, sizeof(v->digest), v->digest);
    log_info("snapshot taken", KI("index", image_info(v->image)->index),
             KI("nodes", image_info(v->image)->nodes), KI("bytes", v->bytes));
    v->image = image_free(v->image);
    v->piece = xnew0_n(uint8_t, READ_BYTES);
    v->headers[0] = (struct http_header){xstrdup("Content-Type"), xstrdup("application/x-gzip")};
    v->headers[1] = (struct http_header){xstrdup("Digest"), xasprintf("sha-256=%s", digest)};
    v->to = http_stream_begin(steal_ptr(&v->x), 200, v->headers, v->n_headers, &user, v);
    on_room(v);
}

static void save_run(struct writer_job *job)
{
    struct saver *v = container_of(job, struct saver, job);

    v->r = v->fd < 0 ? snapshot_file(v->owner, &v->fd, &v->e) : 0;
    if (v->r == 0)
        v->r = image_write(v->image, v->fd, PIECE_BYTES, v->digest, &v->bytes, &v->e);
}

static void save_done(struct writer_job *job)
{
    struct saver *v = container_of(job, struct saver, job);

    v->in_job = false;
    if (!v->x || v->owner->stopping) {
        if (v->x)
            snapshot_answer(steal_ptr(&v->x), 500, "the server is stopping");
        saver_free(v);
    } else if (v->r > 0) {
        submit(v, save_run, save_done);
    } else if (v->r < 0) {
        (void)log_warn(0, "a snapshot cannot be taken", KE(&v->e));
        snapshot_answer(steal_ptr(&v->x), 500, v->e.text);
        saver_free(v);
    } else {
        send_file(v);
    }
}

/* the job is on its way: it ends with this piece */
static void on_gone(void *arg)
{
    ((struct saver *)arg)->x = NULL;
}

static void save_begin(void *arg, struct http_exchange *take_x, const struct http_header *headers,
                       size_t n_headers)
{
    struct saver *v = arg;

    v->x = take_x;
    v->n_headers = n_headers + 2;
    v->headers = xnew0_n(struct http_header, v->n_headers);
    for (size_t i = 0; i < n_headers; i++)
        v->headers[i + 2] =
            (struct http_header){xstrdup(headers[i].name), xstrdup(headers[i].value)};
    http_exchange_trim(take_x);
    http_on_gone(take_x, on_gone, v);
    submit(v, save_run, save_done);
}

int snapshots_save(struct snapshots *o, struct view_stream *ret, struct err *e)
{
    struct saver *v;

    if (!o)
        return err_set_status(e, -ENOTSUP, 501, "snapshots need a data folder");
    if (o->saving >= SNAPSHOTS_MAX)
        return err_set_status(e, -EBUSY, 503, "%d snapshots are being taken", SNAPSHOTS_MAX);
    o->saving++;
    v = xnew0(struct saver);
    v->owner = o;
    v->fd = -1;
    v->image = image_take(o->srv->store, clock_wall_ns() / (int64_t)NSEC_PER_MSEC);
    *ret = (struct view_stream){save_begin, v};
    return 0;
}
