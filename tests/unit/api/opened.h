/* tests/unit/api/opened.h - an API whose requests have views of their own, all but those about node
 * A; what those views are asked for is kept, and answered when the test says so.
 */
#pragma once

#include <errno.h>
#include <string.h>

#include "api/ask.h"
#include "base/file.h"
#include "base/str.h"
#include "codec/js.h"
#include "codec/ops.h"
#include "model/methods.h"
#include "model/rpc_write.h"
#include "tests/support/api_bed.h"
#include "tests/support/check.h"
#include "tests/support/wire_loop.h"

#define ID_A "11d0a6c4-2f3e-4b5a-9c8d-7e6f50413223"
#define ID_B "22e1b7d5-304f-5c6b-ad9e-8f7061524334"

enum { OPENED_MAX = 64 };

/* a view that one request has, over the fake one */
struct opened {
    struct view view;
    struct view_wait *wait;
    const struct ask *q;
    struct fixture *f;
    bool ready;
    const char *failure;
};

struct fixture {
    struct api_bed bed;
    struct view_ops ops; /* of opened views */
    struct opened *v[OPENED_MAX];
    size_t n_opened, n_closed;
    bool ready_at_once;
    struct buf request; /* what call() was given, as JSON */
    const char *method;
    const char *call_failure;
    struct view_meta call_meta;
    char *servers[8]; /* what set_servers() was given */
    size_t n_servers;
};

static inline int wait_for(struct opened *o, struct err *e)
{
    if (!o->ready)
        return -EINPROGRESS;
    return o->failure ? err_set(e, -EIO, "%s", o->failure) : 0;
}

static inline int later_nodes(void *impl, const char *prefix, struct node_list *ret,
                              struct view_meta *m, struct err *e)
{
    struct opened *o = impl;
    int r = wait_for(o, e);

    return r < 0 ? r : o->f->bed.fake.ops.nodes(&o->f->bed.fake, prefix, ret, m, e);
}

static inline int later_node(void *impl, const char *id, const struct node_item **ret,
                             struct view_meta *m, struct err *e)
{
    struct opened *o = impl;
    int r = wait_for(o, e);

    return r < 0 ? r : o->f->bed.fake.ops.node(&o->f->bed.fake, id, ret, m, e);
}

static inline int later_call(void *impl, const struct method *m, const void *request,
                             void *ret_reply, struct view_meta *meta, struct err *e)
{
    struct opened *o = impl;
    struct fixture *f = o->f;
    int r = wait_for(o, e);

    buf_reset(&f->request);
    js_encode(&f->request, m->request, request, 0);
    f->method = m->name;
    if (r < 0)
        return r;
    if (m->reply == &desc_node_drain_update_response)
        ((struct node_drain_update_response *)ret_reply)->w.index = f->call_meta.index;
    *meta = f->call_meta;
    return f->call_failure ? err_set(e, -EIO, "%s", f->call_failure) : 0;
}

static inline const char *later_region(void *impl)
{
    (void)impl;
    return "global";
}

static inline void later_close(const struct view *v)
{
    struct opened *o = v->impl;

    for (size_t i = 0; i < o->f->n_opened; i++)
        if (o->f->v[i] == o)
            o->f->v[i] = NULL;
    o->f->n_closed++;
    free(o);
}

static struct fixture *fix;

/* everything but node A has a view of its own */
static inline const struct view *fake_open(void *impl, const struct ask *q, struct view_wait *w)
{
    struct opened *o;

    (void)impl;
    if (str_eq(q->id, ID_A) || fix->n_opened == OPENED_MAX)
        return NULL;
    o = xnew0(struct opened);
    *o = (struct opened){
        .view = {&fix->ops, o},
          .wait = w, .q = q, .f = fix, .ready = fix->ready_at_once
    };
    fix->v[fix->n_opened++] = o;
    return &o->view;
}

static inline int fake_set_servers(void *impl, const char *const *v, size_t n, struct err *e)
{
    (void)impl;
    for (size_t i = 0; i < n && i < ARRAY_LEN(fix->servers); i++)
        fix->servers[fix->n_servers++] = xstrdup(v[i]);
    return str_eq(v[0], "bad") ? err_set_status(e, -EINVAL, 400, "bad is bad") : 0;
}

static inline int setup(void **state)
{
    struct fixture *f = fix = xnew0(struct fixture);

    api_bed_init(&f->bed);
    f->bed.fake.index = 10;
    fake_view_put(&f->bed.fake, ID_A, "a");
    fake_view_put(&f->bed.fake, ID_B, "b");
    f->bed.fake.ops.open = fake_open;
    f->ops = (struct view_ops){
        .close = later_close,
        .nodes = later_nodes,
        .node = later_node,
        .call = later_call,
        .region = later_region,
    };
    buf_init(&f->request, 4096);
    *state = f;
    return 0;
}

static inline int teardown(void **state)
{
    struct fixture *f = *state;

    api_bed_done(&f->bed);
    assert_int_equal(f->n_closed, f->n_opened); /* each once */
    buf_done(&f->request);
    for (size_t i = 0; i < f->n_servers; i++)
        free(f->servers[i]);
    free(f);
    return 0;
}

static inline void ready(struct opened *o, const char *failure)
{
    o->ready = true;
    o->failure = failure;
    o->wait->fn(o->wait->arg);
}

static inline int ask(struct fixture *f, const char *method, const char *target, const char *body)
{
    _cleanup_free_ char *text =
        xasprintf("%s %s HTTP/1.1\r\nHost: h\r\nContent-Length: %zu\r\n\r\n%s", method, target,
                  strlen(body), body);
    int fd = api_bed_dial(&f->bed);

    api_bed_say(&f->bed, fd, text);
    turn_some(f->bed.loop, 3);
    return fd;
}

static inline void expect(struct fixture *f, int fd, int status, const char *body)
{
    _cleanup_answer_ struct answer a;

    api_bed_hear(&f->bed, fd, &a);
    if (a.status != status || (body && !str_eq(a.body, body)))
        fail_msg("%s\n%s\ninstead of %d %s", a.head, a.body, status, str_or_empty(body));
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
