#include "agent/backcalls.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "agent/back_refuse.h"
#include "agent/back_stream.h"
#include "agent/host.h"
#include "base/parse.h"
#include "base/str.h"
#include "codec/mp.h"
#include "codec/ops.h"
#include "model/attrs.h"
#include "model/methods.h"
#include "model/rpc_types.h"
#include "model/texts.h"

enum { CALLS_MAX = 256 }; /* that wait for figures at once */

struct backcalls {
    struct backcalls_opts o;
    struct stats *stats;
    struct list calls; /* of servers, that wait */
    size_t n_calls;
    struct list streams;
};

/* what a request may have to wait for; fn is that of stats */
struct back_wait {
    struct stats_wait stats;
    struct journal_wait *saving; /* NULL while none is under way */
    bool applied, saved;
    int save_r;
};

/* one request, whichever door it came by */
struct back {
    struct backcalls *b;
    const struct method *m;
    const void *request;
    void *reply;
    struct back_wait *wait; /* for -EINPROGRESS */
    bool local_root;        /* over the unix socket, from who may read the process anyway */
};

/* --- the methods --- */

/* 0 when the request is about this node */
static int check_node(const struct backcalls *b, const char *node_id, struct err *e)
{
    if (str_empty(node_id) || str_eq(node_id, b->o.node_id))
        return 0;
    return err_set_status(e, -ENOENT, 404, TEXT_UNKNOWN_NODE, node_id);
}

/* statistics of the host, for a request that means this node; -EINPROGRESS */
static int stats_for(const struct back *c, const char *node_id, const struct host_stats **ret,
                     struct err *e)
{
    int r = check_node(c->b, node_id, e);

    return r < 0 ? r : stats_get(c->b->stats, &c->wait->stats, ret);
}

static int client_stats(const struct back *c, struct err *e)
{
    const struct node_specific_request *q = c->request;
    struct client_stats_response *ret = c->reply;
    const struct host_stats *s;
    int r = stats_for(c, q->node_id, &s, e);

    if (r < 0)
        return r;
    ret->host_stats = xnew0(struct host_stats);
    ops_copy(&desc_host_stats, ret->host_stats, s);
    ret->q.known_leader = true;
    return 0;
}

static void fill_meta(const struct backcalls *b, struct node_meta_response *ret)
{
    const struct optmap *dynamic = meta_dynamic(b->o.meta);
    struct node_meta_response now = {
        .dynamic = *dynamic, .meta = *meta_merged(b->o.meta), .static_ = *meta_static(b->o.meta)};

    ops_copy(&desc_node_meta_response, ret, &now);
    strmap_make(&ret->meta);
    strmap_make(&ret->static_);
    if (!ret->dynamic.items)
        ret->dynamic.items = xnew0(struct optpair); /* {}, not null */
}

static int node_meta_read(const struct back *c, struct err *e)
{
    const struct node_specific_request *q = c->request;
    int r = check_node(c->b, q->node_id, e);

    if (r == 0)
        fill_meta(c->b, c->reply);
    return r;
}

static void on_saved(void *arg, int r)
{
    struct back_wait *w = arg;
    bool later = w->saving;

    w->saving = NULL;
    w->saved = true;
    w->save_r = r;
    if (later)
        w->stats.fn(w->stats.arg);
}

/* What is answered for is on the disk.  The first call applies, the one behind the write answers.
 */
static int node_meta_apply(const struct back *c, struct err *e)
{
    const struct node_meta_apply_request *q = c->request;
    struct back_wait *w = c->wait;
    int r;

    if (!w->applied) {
        r = check_node(c->b, q->node_id, e);
        if (r == 0)
            r = meta_apply(c->b->o.meta, &q->meta, e);
        if (r < 0)
            return r;
        w->applied = true;
        w->saving = meta_sync(c->b->o.meta, on_saved, w);
    }
    if (!w->saved)
        return -EINPROGRESS;
    if (w->save_r < 0)
        return err_set_status(e, w->save_r, 500, "the metadata is in force but was not saved");
    fill_meta(c->b, c->reply);
    return 0;
}

static void back_wait_cancel(struct back_wait *w)
{
    stats_cancel(&w->stats);
    w->saving = journal_sync_cancel(w->saving);
}

/* Nomad answers nothing of this unless enable_debug is set; here only the environment hangs on it,
 * which may hold secrets under names that nobody would guess. */
static int agent_host(const struct back *c, struct err *e)
{
    const struct host_data_request *q = c->request;
    struct host_data_response *ret = c->reply;
    const struct host_stats *s;
    int r = stats_for(c, q->node_id, &s, e);

    if (r < 0)
        return r;
    ret->agent_id = xstrdup(c->b->o.node_id);
    ret->host_data = xnew0(struct host_data);
    host_data(ret->host_data, s, c->b->o.conf->enable_debug || c->local_root ? environ : NULL);
    return 0;
}

static int agent_profile(const struct back *c, struct err *e)
{
    (void)c;
    return err_set_status(e, -EPERM, 403, TEXT_PERMISSION_DENIED);
}

/* there is nothing to collect while tasks cannot be run */
static int collect_garbage(const struct back *c, struct err *e)
{
    const struct node_specific_request *q = c->request;

    return check_node(c->b, q->node_id, e);
}

static int (*const table[M_MAX])(const struct back *c, struct err *e) = {
    [M_AGENT_HOST] = agent_host,
    [M_AGENT_PROFILE] = agent_profile,
    [M_ALLOCATIONS_GC_ALL] = collect_garbage,
    [M_CLIENT_STATS] = client_stats,
    [M_NODE_META_APPLY] = node_meta_apply,
    [M_NODE_META_READ] = node_meta_read,
};

/* whether a method of the same service is in the table */
static bool is_service(const char *method)
{
    size_t n = strcspn(method, ".");

    for (size_t i = 0; i < M_MAX; i++)
        if (table[i] && strncmp(methods[i].name, method, n + 1) == 0)
            return true;
    return false;
}

/* --- the servers' door --- */

struct back_call {
    struct list link;
    struct back back;
    struct rpc_request *q;
    void *request;
    struct back_wait wait;
};

static void call_free(struct back_call *c)
{
    back_wait_cancel(&c->wait);
    list_remove(&c->link);
    c->back.b->n_calls--;
    ops_clear(c->back.m->request, c->request);
    free(c->request);
    free(c);
}

static void fail(struct rpc_request *take_q, const struct err *e)
{
    struct err coded = *e;

    /* what servers make an HTTP status of (structs.NewErrRPCCoded) */
    if (e->status == 400)
        (void)err_set(&coded, e->code, "RPC Error:: %d,%s", e->status, e->text);
    rpc_fail(take_q, coded.text);
}

static void call_run(struct back_call *c)
{
    const struct desc *d = c->back.m->reply;
    _cleanup_free_ void *reply = xcalloc(1, d->size);
    _cleanup_buf_ struct buf b = BUF_INIT(RPC_BODY_MAX);
    struct err e = {0};
    int r;

    c->back.reply = reply;
    r = table[c->back.m->id](&c->back, &e);
    if (r == 0) {
        mp_encode(&b, d, reply);
        if (buf_ok(&b) < 0)
            r = err_set(&e, -EMSGSIZE, "the reply is too large");
    }
    ops_clear(d, reply);
    if (r == -EINPROGRESS)
        return;
    if (r < 0)
        fail(c->q, &e);
    else
        rpc_reply(c->q, b.p, b.len);
    call_free(c);
}

static void on_call_ready(void *arg)
{
    call_run(arg);
}

static void on_call_gone(void *arg, struct rpc_request *q)
{
    call_free(arg);
    rpc_drop(q);
}

void backcalls_request(void *arg, struct rpc_request *q)
{
    struct backcalls *b = arg;
    const struct method *m = method_find(q->method);
    _cleanup_free_ void *request = NULL;
    struct err e = {0};
    struct back_call *c;

    if (!m || !table[m->id]) {
        back_refuse(q, is_service);
        return;
    }
    request = xcalloc(1, m->request->size);
    if (mp_decode(m->request, q->body, q->body_len, request, &e) < 0) {
        ops_clear(m->request, request);
        rpc_fail_close(q, e.text);
        return;
    }
    if (b->n_calls >= CALLS_MAX) {
        ops_clear(m->request, request);
        rpc_fail(q, "too many requests wait for this node's figures");
        return;
    }
    c = xnew0(struct back_call);
    c->q = q;
    c->request = steal_ptr(&request);
    c->back = (struct back){.b = b, .m = m, .request = c->request, .wait = &c->wait};
    c->wait.stats = (struct stats_wait){.fn = on_call_ready, .arg = c};
    q->on_gone = on_call_gone;
    q->arg = c;
    list_append(&b->calls, &c->link);
    b->n_calls++;
    call_run(c);
}

void backcalls_stream(void *arg, struct rpc_stream *s, const char *method)
{
    struct backcalls *b = arg;

    back_stream_open(&b->streams, b->o.loop, b->o.node_id, s, method);
}

/* --- the local API's door --- */

struct back_view {
    struct view view;
    struct backcalls *b;
    struct view_wait *w;
    struct back_wait wait;
    bool local_root;
};

static void on_view_ready(void *arg)
{
    struct back_view *v = arg;

    v->w->fn(v->w->arg);
}

static int view_call(void *impl, const struct method *m, const void *request, void *ret_reply,
                     struct view_meta *meta, struct err *e)
{
    struct back_view *v = impl;
    struct back c = {.b = v->b,
                     .m = m,
                     .request = request,
                     .reply = ret_reply,
                     .wait = &v->wait,
                     .local_root = v->local_root};

    *meta = (struct view_meta){.known_leader = true};
    if (!table[m->id])
        return err_set_status(e, -ENOTSUP, 501, "not available in this release of Picket: %s",
                              m->name);
    return table[m->id](&c, e);
}

static const char *view_region(void *impl)
{
    struct back_view *v = impl;

    return v->b->o.conf->region;
}

static void view_close(const struct view *view)
{
    struct back_view *v = view->impl;

    back_wait_cancel(&v->wait);
    free(v);
}

const struct view *backcalls_open(struct backcalls *b, const struct ask *q, struct view_wait *w)
{
    static const struct view_ops ops = {
        .close = view_close, .call = view_call, .region = view_region};
    struct back_view *v = xnew0(struct back_view);

    v->view = (struct view){&ops, v};
    v->b = b;
    v->w = w;
    v->wait.stats = (struct stats_wait){.fn = on_view_ready, .arg = v};
    v->local_root = q->peer_is_unix && (q->peer_uid == 0 || q->peer_uid == geteuid());
    return &v->view;
}

/* --- the whole --- */

void backcalls_set_node(struct backcalls *b, const struct node *n)
{
    const char *mhz = strmap_get(&n->attributes, ATTR_CPU_TOTALCOMPUTE);
    int64_t total;

    if (mhz && parse_i64(mhz, &total) == 0)
        stats_set_compute(b->stats, total);
}

struct stats *backcalls_stats(struct backcalls *b)
{
    return b->stats;
}

struct backcalls *backcalls_new(const struct backcalls_opts *o)
{
    struct backcalls *b = xnew0(struct backcalls);

    b->o = *o;
    list_init(&b->calls);
    list_init(&b->streams);
    b->stats = stats_new(&(struct stats_opts){.loop = o->loop,
                                              .probe_path = o->probe_path,
                                              .alloc_dir = o->conf->client.alloc_dir,
                                              .root = ""});
    return b;
}

struct backcalls *backcalls_free(struct backcalls *b)
{
    if (!b)
        return NULL;
    b->stats = stats_free(b->stats);
    return mem_free(b);
}
