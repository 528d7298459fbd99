#include "agent/reload.h"

#include <errno.h>

#include "agent/jobs.h"
#include "base/limits.h"
#include "base/list.h"
#include "base/str.h"

struct reload {
    struct reload_opts o;
    struct job job;
    bool reading;
    bool again; /* somebody asked meanwhile */
    struct list waiting, reading_for;
};

/* a request of the API */
struct reload_view {
    struct list link;
    struct view view;
    struct reload *r;
    struct view_wait *w;
    struct buf json; /* the answer */
    int status;      /* 0 = there is none yet */
};

static void start(struct reload *r);

/* --- reading --- */

static void answer(struct reload *r, int status, const struct conf_reloaded *said)
{
    while (!list_empty(&r->reading_for)) {
        struct reload_view *v = list_first(&r->reading_for, struct reload_view, link);

        list_remove(&v->link);
        conf_reloaded_json(said, &v->json);
        v->status = status;
        v->w->fn(v->w->arg);
    }
}

static void on_files(void *arg, int failed, const char *text, const struct conf_files *files)
{
    struct conf_reloaded said _cleanup_conf_reloaded_ = {0};
    struct reload *r = arg;
    int status = 500;

    if (failed < 0) {
        _cleanup_free_ char *error = xasprintf("cannot read the configuration files: %s", text);

        strv_add(&said.errors, &said.n_errors, error);
    } else if (conf_reload_take(r->o.args, files, r->o.conf, CONF_CLIENT, &said) < 0) {
        status = 400;
    } else {
        status = 200;
        agent_reload(r->o.agent, &said);
    }
    conf_reload_end(&said);
    r->reading = false;
    answer(r, status, &said);
    if (r->again)
        start(r);
}

static void start(struct reload *r)
{
    const char *const *paths;
    size_t n;

    r->again = r->reading;
    if (r->reading)
        return;
    r->reading = true;
    while (!list_empty(&r->waiting)) {
        struct list *l = r->waiting.next;

        list_remove(l);
        list_append(&r->reading_for, l);
    }
    conf_reload_announce();
    paths = conf_args_paths(r->o.args, &n);
    job_read_config(&r->job, paths, n, on_files);
}

void reload_start(struct reload *r)
{
    start(r);
}

/* --- requests --- */

static int view_reload(void *impl, struct buf *ret)
{
    struct reload_view *v = impl;

    if (v->status == 0) {
        list_append(&v->r->waiting, &v->link);
        start(v->r);
        return -EINPROGRESS;
    }
    buf_add(ret, v->json.p, v->json.len);
    return v->status;
}

static const char *view_region(void *impl)
{
    const struct reload_view *v = impl;

    return v->r->o.conf->region;
}

static void view_close(const struct view *view)
{
    struct reload_view *v = view->impl;

    list_remove(&v->link);
    buf_done(&v->json);
    free(v);
}

const struct view *reload_open(struct reload *r, struct view_wait *w)
{
    static const struct view_ops ops = {
        .close = view_close, .reload = view_reload, .region = view_region};
    struct reload_view *v = xnew0(struct reload_view);

    v->view = (struct view){&ops, v};
    v->r = r;
    v->w = w;
    list_init(&v->link);
    buf_init(&v->json, HTTP_REPLY_MAX);
    return &v->view;
}

/* --- the whole --- */

struct reload *reload_new(const struct reload_opts *o)
{
    struct reload *r = xnew0(struct reload);

    r->o = *o;
    list_init(&r->waiting);
    list_init(&r->reading_for);
    job_init(&r->job, o->loop, o->probe_path, r);
    return r;
}

struct reload *reload_free(struct reload *r)
{
    if (!r)
        return NULL;
    job_done(&r->job);
    return mem_free(r);
}
