/* Requests over sockets: answered at once, or kept until the view knows something newer or its
 * answer has come from elsewhere.
 *
 * A waiting request costs its exchange (trimmed), a struct pending and the few bytes of its
 * parameters.  When a change wakes many, they are answered in slices of a turn.
 */
#include "api/server.h"

#include <errno.h>
#include <string.h>

#include "api/cache.h"
#include "api/dispatch.h"
#include "api/pages.h"
#include "api/router.h"
#include "api/routes.h"
#include "api/slow.h"
#include "api/watch.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "wire/http1.h"

enum {
    LISTENERS_MAX = 16,
    AUDIT_PATH_MAX = 256, /* of a path in the log */
};

#define SLICE_NS (2 * NSEC_PER_MSEC) /* of one turn, for requests that were woken */

/* One request that has not been answered yet. */
struct pending {
    struct list link; /* api->ready while woken */
    struct api *api;
    struct http_exchange *x;
    struct ask ask;
    const struct view *view; /* who answers: opened for this request, or the api's */
    struct view_wait wait;   /* the view's word that it knows more */
    struct timer timer;
    bool opened;  /* view is ours to close */
    bool watched; /* the api's view has our wait */
    bool kept;    /* the exchange waits for us */
};

struct api {
    struct api_opts opts;
    struct http_server *servers[LISTENERS_MAX]; /* owned */
    size_t n_servers;
    struct reply_shared shared;
    struct pages pages;
    struct slow *slow;
    struct watch *watch;
    struct list ready; /* woken, not looked at again yet */
    struct defer run_ready;
};

/* now, or in slices, or as a stream; what is left of q is the caller's to clear */
static void api_answer(struct api *a, struct reply *take_r, struct ask *q,
                       struct http_exchange *take_x)
{
    if (take_r->stream)
        reply_stream(take_r, &a->shared, take_x);
    else if (slow_is_wanted(take_r, q, &a->shared))
        slow_start(a->slow, take_r, q, take_x);
    else
        reply_send(take_r, q, &a->shared, take_x);
}

static void pending_free(struct pending *w)
{
    if (w->watched)
        w->view->ops->cancel(w->view->impl, &w->wait);
    if (w->opened)
        w->view->ops->close(w->view);
    timer_stop(&w->timer);
    list_remove(&w->link);
    ask_done(&w->ask);
    free(w);
}

static void on_woken(void *arg)
{
    struct pending *w = arg;

    w->watched = false;
    list_remove(&w->link);
    list_append(&w->api->ready, &w->link);
    defer_set(&w->api->run_ready);
}

/* the peer is gone: the exchange is freed behind us */
static void on_gone(void *arg)
{
    pending_free(arg);
}

/* from now on the exchange waits for us, and costs little meanwhile */
static void pending_keep(struct pending *w)
{
    if (w->kept)
        return;
    w->kept = true;
    http_exchange_trim(w->x);
    http_on_gone(w->x, on_gone, w);
}

static void on_deadline(void *arg);

/* until the api's view has something newer, or the time is up */
static void pending_watch(struct pending *w)
{
    if (!w->kept) {
        timer_set(&w->timer, dispatch_wait_ns(&w->ask));
        pending_keep(w);
    }
    w->watched = true;
    w->wait.beyond = w->ask.index;
    w->view->ops->wait(w->view->impl, w->ask.route->watch, w->ask.id, &w->wait);
}

/* Asks (again); answers when there is something newer, or in any case.  A view of its own blocks
 * where its answer comes from, never here. */
static void pending_run(struct pending *w, bool in_any_case)
{
    struct reply r;
    bool later;

    reply_init(&r);
    later = dispatch_run(w->view, &w->ask, &r) == DISPATCH_LATER;
    if (later || (!in_any_case && !w->opened && dispatch_must_wait(&w->ask, &r))) {
        reply_done(&r);
        if (later)
            pending_keep(w);
        else
            pending_watch(w);
        return;
    }
    api_answer(w->api, &r, &w->ask, w->x);
    pending_free(w);
}

static void on_deadline(void *arg)
{
    pending_run(arg, true);
}

static void on_run_ready(void *arg)
{
    struct api *a = arg;
    uint64_t end = clock_boot_ns() + SLICE_NS;

    list_for_each (w, &a->ready, struct pending, link) {
        if (clock_boot_ns() > end) {
            defer_set(&a->run_ready);
            return;
        }
        list_remove(&w->link);
        pending_run(w, false);
    }
}

static void start(struct api *a, struct http_exchange *x, const struct ask *take_q)
{
    struct pending *w = xnew0(struct pending);
    const struct view *opened = NULL;

    w->api = a;
    w->x = x;
    w->ask = *take_q;
    w->view = a->opts.view;
    w->wait = (struct view_wait){.fn = on_woken, .arg = w};
    list_init(&w->link);
    timer_init(a->opts.loop, &w->timer, "http wait", on_deadline, w);
    if (w->view->ops->open)
        opened = w->view->ops->open(w->view->impl, &w->ask, &w->wait);
    if (opened) {
        w->view = opened;
        w->opened = true;
    }
    pending_run(w, false);
}

static void write_line(const struct api_write *w)
{
    if (w->peer_is_unix)
        log_info("API write", KV("method", w->method), KV("path", w->path), KV("peer", w->peer),
                 KI("uid", w->peer_uid));
    else
        log_info("API write", KV("method", w->method), KV("path", w->path), KV("peer", w->peer));
}

/* each write that was understood, by whomever, allowed or not */
static void audit(const struct api *a, const struct http_request *hq, int status)
{
    static const char *const reads[] = {"GET", "HEAD", "OPTIONS"};
    _cleanup_free_ char *path = NULL;
    struct api_write w;

    for (size_t i = 0; i < ARRAY_LEN(reads); i++)
        if (str_eq(hq->method, reads[i]))
            return;
    if (status == 301 || status == 404 || status == 405)
        return;
    path = xstrndup(hq->path, strnlen(hq->path, AUDIT_PATH_MAX));
    w = (struct api_write){hq->method, path, hq->peer, hq->peer_is_unix, hq->peer_uid};
    if (a->opts.on_write)
        a->opts.on_write(a->opts.arg, &w);
    else
        write_line(&w);
}

static bool is_upload(const char *method, const char *path)
{
    _cleanup_(router_match_done) struct router_match m = {0};
    struct err e;

    return router_find(method, path, "", &m, &e) == ROUTER_FOUND &&
           (m.route->flags & ROUTE_UPLOAD) && m.route->handler;
}

static void on_request(void *arg, struct http_exchange *x, const struct http_request *hq)
{
    struct ask q = {.encoding = (uint8_t)ask_encoding(hq)};
    struct api *a = arg;
    struct reply r;
    bool later;

    log_debug("http request", KV("method", hq->method), KV("path", hq->path), KV("peer", hq->peer));
    reply_init(&r);
    later = dispatch_route(hq, &q, &r) == 0;
    audit(a, hq, later ? 0 : r.status);
    if (later) {
        reply_done(&r);
        start(a, x, &q);
        return;
    }
    api_answer(a, &r, &q, x);
    ask_done(&q);
}

struct api *api_new(const struct api_opts *o)
{
    struct api *a = xnew0(struct api);

    a->opts = *o;
    a->shared = (struct reply_shared){
        .configured = o->response_headers, .cache = cache_new(o->loop), .pages = &a->pages};
    pages_init(&a->pages, o->loop, o->view);
    a->watch = watch_new(o->loop);
    a->slow = slow_new(o->loop, &a->shared);
    list_init(&a->ready);
    defer_init(o->loop, &a->run_ready, on_run_ready, a);
    return a;
}

int api_listen(struct api *a, int take_fd, struct err *e)
{
    struct http_server_opts o = {
        .handler = on_request,
        .is_upload = is_upload,
        .arg = a,
        .max_per_client = a->opts.max_conns_per_client,
    };
    int r;

    if (a->n_servers == LISTENERS_MAX) {
        (void)fd_close(take_fd);
        return err_set(e, -ENOSPC, "more than %d HTTP listeners", LISTENERS_MAX);
    }
    r = http_listen(a->opts.loop, take_fd, &o, &a->servers[a->n_servers]);
    if (r < 0)
        return err_errno(e, r, "HTTP listener");
    a->n_servers++;
    return 0;
}

struct api *api_free(struct api *a)
{
    if (!a)
        return NULL;
    for (size_t i = 0; i < a->n_servers; i++)
        (void)http_server_free(a->servers[i]); /* ends what waits: on_gone() */
    defer_stop(&a->run_ready);
    a->slow = slow_free(a->slow);
    a->watch = watch_free(a->watch);
    a->shared.cache = cache_free(a->shared.cache);
    pages_done(&a->pages);
    return mem_free(a);
}
