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

enum { PIECE_BYTES = 256 * KIB }; /* of objects, in one job of the writer's thread */

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

/* what a crash left between the two lines above */
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
    if (o)
        o->stopping = true;
}

struct snapshots *snapshots_free(struct snapshots *o)
{
    if (!o)
        return NULL;
    snapshot_restore_drop(o);
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
    struct writer_job job; /* while the image is written; it touches the members down to digest */
    struct image *image;
    int fd;
    int r; /* of the last piece */
    struct err e;
    uint64_t bytes;
    uint8_t digest[ARCHIVE_DIGEST_BYTES];

    struct snapshots *owner;
    struct http_exchange *x;     /* until the answer begins */
    struct http_stream *to;      /* then */
    struct http_header *headers; /* owned with their texts; the first two are ours */
    size_t n_headers;
    uint64_t at; /* bytes of the file that were sent */
};

static void saver_free(struct saver *v)
{
    for (size_t i = 0; i < v->n_headers; i++) {
        free((char *)(uintptr_t)v->headers[i].name);
        free((char *)(uintptr_t)v->headers[i].value);
    }
    free(v->headers);
    v->image = image_free(v->image);
    (void)fd_close(v->fd);
    v->owner->saving--;
    free(v);
}

static void on_room(void *arg)
{
    struct saver *v = arg;
    uint8_t piece[16 * KIB];

    for (;;) {
        size_t room = MIN(http_stream_room(v->to), sizeof(piece));
        ssize_t n = room > 0 ? pread(v->fd, piece, room, (off_t)v->at) : -1;

        if (room == 0)
            return;
        if (n > 0 && http_stream_write(v->to, piece, (size_t)n) == 0) {
            v->at += (uint64_t)n;
            continue;
        }
        if (n != 0 || v->at != v->bytes) /* the peer sees it by the digest */
            (void)log_warn(n < 0 ? -errno : -EIO, "a snapshot cannot be read back");
        http_stream_end(v->to);
        saver_free(v);
        return;
    }
}

static void on_stream_gone(void *arg)
{
    saver_free(arg);
}

static void send_file(struct saver *v)
{
    static const struct http_stream_user user = {on_room, on_stream_gone};
    char digest[BASE64_ENCODE_RAW_LENGTH(ARCHIVE_DIGEST_BYTES) + 1] = "";

    base64_encode_raw(digest, sizeof(v->digest), v->digest);
    log_info("snapshot taken", KI("index", image_info(v->image)->index),
             KI("nodes", image_info(v->image)->nodes), KI("bytes", v->bytes));
    v->image = image_free(v->image);
    v->headers[0] = (struct http_header){xstrdup("Content-Type"), xstrdup("application/x-gzip")};
    v->headers[1] = (struct http_header){xstrdup("Digest"), xasprintf("sha-256=%s", digest)};
    v->to = http_stream_begin(steal_ptr(&v->x), 200, v->headers, v->n_headers, &user, v);
    on_room(v);
}

static void save_run(struct writer_job *job)
{
    struct saver *v = container_of(job, struct saver, job);

    v->r = image_write(v->image, v->fd, PIECE_BYTES, v->digest, &v->bytes, &v->e);
}

static void save_done(struct writer_job *job)
{
    struct saver *v = container_of(job, struct saver, job);

    if (!v->x || v->owner->stopping) {
        if (v->x)
            snapshot_answer(steal_ptr(&v->x), 500, "the server is stopping");
        saver_free(v);
    } else if (v->r > 0) {
        writer_submit(v->owner->writer, &v->job);
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
    v->job.run = save_run;
    v->job.done = save_done;
    writer_submit(v->owner->writer, &v->job);
}

int snapshots_save(struct snapshots *o, struct view_stream *ret, struct err *e)
{
    struct saver *v;
    int fd = -1, r;

    if (!o)
        return err_set_status(e, -ENOTSUP, 501, "snapshots need a data folder");
    if (o->saving >= SNAPSHOTS_MAX)
        return err_set_status(e, -EBUSY, 503, "%d snapshots are being taken", SNAPSHOTS_MAX);
    r = snapshot_file(o, &fd, e);
    if (r < 0)
        return r;
    o->saving++;
    v = xnew0(struct saver);
    v->owner = o;
    v->fd = fd;
    v->image = image_take(o->srv->store, clock_wall_ns() / (int64_t)NSEC_PER_MSEC);
    *ret = (struct view_stream){save_begin, v};
    return 0;
}
