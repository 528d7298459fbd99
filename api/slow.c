#include "api/slow.h"

#include <errno.h>

#include "api/cache.h"
#include "api/gzip.h"
#include "api/pages.h"
#include "base/clock.h"
#include "base/limits.h"
#include "codec/js.h"

enum {
    FIELDS_MIN = 64,        /* items to decode: 30 us each */
    FIELDS_STEP = 16,       /* before the clock is looked at */
    FORM_MIN = 256,         /* items to compress or to lay out: 10 us each */
    EXPECT_MIN = 256 * KIB, /* bytes by which the whole body is judged */
    PAGES_MAX = 4,          /* pages to render and deflate: up to 600 us each */
};
#define SLICE_NS (2 * NSEC_PER_MSEC)

struct job {
    struct list link;
    struct slow *slow;
    struct http_exchange *x;
    struct ask q;
    struct reply r;
    struct node_list_at at; /* items rendered */
    size_t page;            /* pages ready, of a list that is joined */
    struct gzip *zip;       /* NULL: plain */
    struct buf zipped;
    unsigned depth; /* pretty: of the layout */
    bool expected;
};

struct slow {
    struct list jobs; /* the first is in work */
    struct defer next;
    const struct reply_shared *shared;
};

static bool is_joined(const struct job *j)
{
    return reply_is_joined(&j->r, &j->q, j->slow->shared);
}

bool slow_is_wanted(const struct reply *r, const struct ask *q, const struct reply_shared *shared)
{
    size_t min = q->resources || q->os || r->one_off ? FIELDS_MIN : FORM_MIN;
    const char *coding;

    if (reply_is_joined(r, q, shared))
        return !pages_are_full(shared->pages) &&
               pages_miss(&r->items, q->encoding == ENCODING_GZIP, PAGES_MAX);
    if (!r->render_items || r->items.n < min)
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

    if (!j->zip)
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

/* appends the next items to the body, laid out when that was asked for */
static int job_add(struct job *j, struct err *e)
{
    _cleanup_buf_ struct buf part = BUF_INIT(HTTP_REPLY_MAX);
    int r;

    if (!j->q.pretty)
        return j->r.render_items(&j->r.body, &j->r.items, &j->at, FIELDS_STEP, &j->q, e);
    r = j->r.render_items(&part, &j->r.items, &j->at, FIELDS_STEP, &j->q, e);
    if (r < 0 || buf_ok(&part) < 0)
        return r < 0 ? r : err_set(e, -EMSGSIZE, "the reply is too large");
    js_pretty_part(&j->r.body, buf_str(&part), part.len, &j->depth);
    if (j->at.n == j->r.items.n)
        buf_add_byte(&j->r.body, '\n');
    return 0;
}

/* 1 = the body is complete */
static int job_render(struct job *j, struct err *e)
{
    bool last;
    int r;

    r = job_add(j, e);
    if (r < 0)
        return r;
    if (!j->zip && !j->expected && j->r.body.len >= EXPECT_MIN) {
        j->expected = true;
        buf_expect(&j->r.body, j->at.n, j->r.items.n);
    }
    last = j->at.n == j->r.items.n;
    r = job_zip(j, last);
    if (r == 0)
        r = buf_ok(&j->r.body);
    if (r < 0)
        return err_set(e, r, "the reply is too large");
    if (!last)
        return 0;
    j->r.laid_out = j->q.pretty;
    if (j->zip)
        take_zipped(j);
    return 1;
}

static int job_step(struct job *j, struct err *e)
{
    if (!is_joined(j))
        return job_render(j, e);
    return pages_prepare(j->slow->shared->pages, &j->r.items, j->q.encoding == ENCODING_GZIP, 1,
                         &j->page, e); /* reply_send() joins them */
}

static void job_answer(struct job *j, int r, const struct err *e)
{
    const struct reply_shared *shared = j->slow->shared;

    if (r < 0) {
        reply_error(&j->r, e);
    } else if (!is_joined(j)) {
        if (!j->r.one_off)
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
    if (j->r.is_stubs && s->shared->pages)
        pages_touch(s->shared->pages); /* however long it takes: texts are not dropped meanwhile */
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
    if (j->q.encoding != ENCODING_NONE && !is_joined(j))
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
