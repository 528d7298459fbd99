#include "api/slow.h"

#include <zlib.h>

#include "api/cache.h"
#include "api/gzip.h"
#include "api/pages.h"
#include "base/clock.h"
#include "base/limits.h"

enum {
    FIELDS_MIN = 64,      /* items to decode: 30 us each */
    FIELDS_STEP = 16,     /* before the clock is looked at */
    PLAIN_MIN = 8192,     /* items to copy: 0.3 us each */
    FORM_MIN = 256,       /* items to compress or to lay out: 10 us each */
    ZIP_STEP = 128 * KIB, /* of a text that is there as a whole: 1 ms */
    PAGES_MAX = 16,       /* pieces that may be missing: 200 us each */
    PAGES_STEP = 4,
};
#define SLICE_NS (2 * NSEC_PER_MSEC)

struct job {
    struct list link;
    struct slow *slow;
    struct http_exchange *x;
    struct ask q;
    struct reply r;
    size_t at;        /* items rendered */
    struct gzip *zip; /* NULL: plain */
    struct buf zipped;
    bool laid_out; /* pretty: the body is whole and in its last form but for zip */
    size_t zip_at; /* of that, zipped */
};

struct slow {
    struct list jobs; /* the first is in work */
    struct defer next;
    const struct reply_shared *shared;
};

static bool from_pages(const struct reply *r, const struct ask *q)
{
    return r->whole_list && q->encoding == ENCODING_GZIP && !q->pretty;
}

bool slow_is_wanted(const struct reply *r, const struct ask *q, const struct reply_shared *shared)
{
    const char *coding;

    size_t min = FIELDS_MIN;

    if (!q->resources && !q->os && !r->one_off)
        min = q->pretty || q->encoding != ENCODING_NONE ? FORM_MIN : PLAIN_MIN;
    if (!r->render_items || r->items.n < FIELDS_MIN)
        return false;
    if (from_pages(r, q))
        return pages_missing(shared->pages, &r->items) > PAGES_MAX;
    if (r->items.n < min)
        return false;
    return r->one_off || !cache_get(shared->cache, r, q, &coding);
}

static void job_free(struct job *j)
{
    list_remove(&j->link);
    j->zip = gzip_free(j->zip);
    buf_done(&j->zipped);
    reply_done(&j->r);
    ask_done(&j->q);
    free(j);
}

static void on_gone(void *arg)
{
    job_free(arg);
}

/* moves what was rendered into the zipped form; the last time with the end of the list */
static int job_zip(struct job *j, bool last)
{
    int r;

    if (!j->zip || j->q.pretty)
        return 0;
    r = gzip_add(j->zip, &j->zipped, j->r.body.p, j->r.body.len, last);
    buf_reset(&j->r.body);
    return r;
}

/* the zipped form is complete */
static void take_zipped(struct job *j)
{
    buf_done(&j->r.body);
    j->r.body = j->zipped;
    j->zipped = BUF_INIT(HTTP_REPLY_MAX);
    j->r.coding = j->q.encoding == ENCODING_DEFLATE ? "deflate" : "gzip";
}

/* what was laid out as a whole is zipped piece by piece; 1 = complete */
static int job_zip_more(struct job *j, struct err *e)
{
    size_t n = MIN(j->r.body.len - j->zip_at, (size_t)ZIP_STEP);
    bool last = j->zip_at + n == j->r.body.len;
    int r;

    if (!j->zip)
        return 1;
    r = gzip_add(j->zip, &j->zipped, j->r.body.p + j->zip_at, n, last);
    if (r < 0)
        return err_set(e, r, "the reply is too large");
    j->zip_at += n;
    if (last)
        take_zipped(j);
    return last;
}

/* 1 = the body is complete */
static int job_render(struct job *j, struct err *e)
{
    struct node_items *items = &j->r.items;
    size_t to = MIN(j->at + FIELDS_STEP, items->n);
    bool last = to == items->n;
    int r;

    r = j->r.render_items(&j->r.body, items, j->at, to, &j->q, e);
    if (r < 0)
        return r;
    j->at = to;
    r = job_zip(j, last);
    if (r == 0)
        r = buf_ok(&j->r.body);
    if (r < 0)
        return err_set(e, r, "the reply is too large");
    if (last && j->q.pretty) {
        reply_lay_out(&j->r);
        j->laid_out = true;
        r = buf_ok(&j->r.body);
        return r < 0 ? err_set(e, r, "the reply is too large") : 0;
    }
    if (last && j->zip)
        take_zipped(j);
    return last;
}

static int job_step(struct job *j, struct err *e)
{
    int r;

    if (j->laid_out)
        return job_zip_more(j, e);
    if (!from_pages(&j->r, &j->q))
        return job_render(j, e);
    r = pages_prepare(j->slow->shared->pages, &j->r.items, PAGES_STEP);
    if (r < 0)
        return err_set(e, r, "out of memory");
    return r == 0; /* reply_send() joins them */
}

static void job_answer(struct job *j, int r, const struct err *e)
{
    const struct reply_shared *shared = j->slow->shared;

    if (r < 0) {
        reply_error(&j->r, e);
    } else if (!from_pages(&j->r, &j->q)) {
        if (!j->r.one_off && (!j->r.whole_list || j->q.pretty || j->q.encoding != ENCODING_NONE))
            cache_put(shared->cache, &j->r, &j->q, j->r.coding);
        j->r.render_items = NULL; /* made */
    }
    reply_send(&j->r, &j->q, shared, j->x);
    job_free(j);
}

static void on_next(void *arg)
{
    uint64_t end = clock_boot_ns() + SLICE_NS;
    struct slow *s = arg;
    struct err e = {0};
    struct job *j = list_first(&s->jobs, struct job, link);
    int r = 0;

    if (!j)
        return;
    while (r == 0 && clock_boot_ns() <= end)
        r = job_step(j, &e);
    if (r != 0)
        job_answer(j, r, &e);
    if (!list_empty(&s->jobs))
        defer_set(&s->next);
}

void slow_start(struct slow *s, struct reply *take_r, struct ask *take_q,
                struct http_exchange *take_x)
{
    struct job *j = xnew0(struct job);

    *j = (struct job){.slow = s, .x = take_x, .q = *take_q, .r = *take_r};
    *take_r = (struct reply){0};
    *take_q = (struct ask){0};
    buf_init(&j->zipped, HTTP_REPLY_MAX);
    if (j->q.encoding != ENCODING_NONE && !from_pages(&j->r, &j->q))
        j->zip = gzip_new(j->q.encoding == ENCODING_DEFLATE);
    http_exchange_trim(take_x);
    http_on_gone(take_x, on_gone, j);
    list_append(&s->jobs, &j->link);
    defer_set(&s->next);
}

struct slow *slow_new(struct loop *l, const struct reply_shared *shared)
{
    struct slow *s = xnew0(struct slow);

    s->shared = shared;
    list_init(&s->jobs);
    defer_init(l, &s->next, on_next, s);
    return s;
}

struct slow *slow_free(struct slow *s)
{
    if (!s)
        return NULL;
    defer_stop(&s->next);
    return mem_free(s);
}
