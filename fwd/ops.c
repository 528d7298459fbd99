/* The questions of a view as RPC (fact: http-api 4 and 10, rpc-wire 8). */
#include <errno.h>
#include <string.h>

#include "api/members.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/str.h"
#include "codec/mp.h"
#include "codec/ops.h"
#include "fwd/fwd_priv.h"
#include "model/methods.h"
#include "model/rpc_types.h"
#include "model/rpc_write.h"
#include "model/texts.h"

enum { CUT_STEP = 64 }; /* items before the clock is looked at: 100 us */

#define SLICE_NS (2 * NSEC_PER_MSEC)

static int unreadable(struct err *e, int r, const char *method)
{
    return err_wrap(e, r, "rpc error: reply to %s", method);
}

static int ask_method(struct fwd *f, enum method_id id, const void *request, struct err *e)
{
    const struct method *m = &methods[id];

    return fwd_ask(f, m->name, m->request, request, POOL_READ, e);
}

/* the reply as a struct; reply: zeroed, the caller's to clear in any case */
static int decode(const struct fwd *f, enum method_id id, void *reply, struct err *e)
{
    int r = mp_decode(methods[id].reply, f->body.p, f->body.len, reply, e);

    return r < 0 ? unreadable(e, r, methods[id].name) : 0;
}

static void fill_meta(const struct query_meta *q, struct view_meta *m)
{
    *m = (struct view_meta){
        .index = q->index,
        .known_leader = q->known_leader,
        .last_contact_ms = q->last_contact > 0 ? (uint64_t)q->last_contact / NSEC_PER_MSEC : 0,
    };
}

/* --- nodes --- */

/* the reply is there: what it says about itself, and where its stubs are */
static int begin_cutting(struct fwd *f, struct err *e)
{
    const uint8_t *stubs;
    struct mp_token t;
    size_t n;
    int r;

    r = mp_decode(&desc_query_meta, f->body.p, f->body.len, &f->meta, e);
    if (r < 0)
        return r;
    r = mp_map_find(f->body.p, f->body.len, "Nodes", &stubs, &n);
    if (r < 0)
        return err_errno(e, r, "Nodes");
    f->rest = mp_in(stubs, n);
    if (mp_next(&f->rest, &t) < 0 || (t.type != MP_ARRAY && t.type != MP_NIL))
        return err_set(e, -EBADMSG, "Nodes is no list");
    f->left = t.type == MP_ARRAY ? t.n : 0;
    f->cutting = true;
    return 0;
}

/* Cuts the array of stubs into items, for the time of a slice; each is made to text when it is
 * sent.  1 = all of them */
static int cut(struct fwd *f, struct err *e)
{
    uint64_t end = clock_boot_ns() + SLICE_NS;

    for (; f->left > 0; f->left--) {
        const uint8_t *from = f->rest.p;
        struct node_item *it = NULL;
        int r;

        if (f->left % CUT_STEP == 0 && clock_boot_ns() > end)
            return 0;
        if (mp_skip(&f->rest) < 0)
            return err_set(e, -EBADMSG, "Nodes is cut off");
        r = node_item_from_stub(from, (size_t)(f->rest.p - from), &it, e);
        if (r < 0)
            return r;
        node_list_add(&f->items, it);
    }
    return 1;
}

static int fwd_nodes(void *impl, const char *prefix, struct node_list *ret, struct view_meta *m,
                     struct err *e)
{
    struct fwd *f = impl;
    struct node_list_fields fields = {.resources = f->q->resources, .os = f->q->os};
    struct node_list_request request = {
        .fields = fields.resources || fields.os ? &fields : NULL,
        .q = ask_query_options(f->q, f->o.region),
    };
    int r;

    request.q.prefix = (char *)(uintptr_t)prefix;
    r = ask_method(f, M_NODE_LIST, &request, e);
    if (r < 0)
        return r;
    if (!f->cutting)
        r = begin_cutting(f, e);
    if (r == 0)
        r = cut(f, e);
    if (r < 0)
        return unreadable(e, r, "Node.List");
    if (r == 0) {
        defer_set(&f->again);
        return -EINPROGRESS;
    }
    buf_done(&f->body);
    fill_meta(&f->meta, m);
    m->next_token = f->meta.next_token;
    *ret = f->items;
    f->items = (struct node_list){0};
    return 0;
}

static struct node_specific_request node_request(const struct fwd *f, const char *id)
{
    return (struct node_specific_request){
        .node_id = (char *)(uintptr_t)id,
        .q = ask_query_options(f->q, f->o.region),
    };
}

static int fwd_node(void *impl, const char *id, const struct node_item **ret, struct view_meta *m,
                    struct err *e)
{
    struct fwd *f = impl;
    struct node_specific_request request = node_request(f, id);
    struct single_node_response reply = {0};
    struct node_item *it = NULL;
    int r;

    r = ask_method(f, M_NODE_GET_NODE, &request, e);
    if (r < 0)
        return r;
    r = decode(f, M_NODE_GET_NODE, &reply, e);
    if (r == 0 && reply.node.n > 1) {
        r = node_item_new(reply.node.p, reply.node.n, &it, e);
        if (r < 0)
            r = unreadable(e, r, "Node.GetNode");
    } else if (r == 0) {
        r = 1; /* nil */
    }
    fill_meta(&reply.q, m);
    ops_clear(&desc_single_node_response, &reply);
    if (it)
        *ret = it;
    return r;
}

static int fwd_node_allocs(void *impl, const char *id, struct buf *ret, struct view_meta *m,
                           struct err *e)
{
    struct fwd *f = impl;
    struct node_specific_request request = node_request(f, id);
    struct node_allocs_response reply = {0};
    int r;

    r = ask_method(f, M_NODE_GET_ALLOCS, &request, e);
    if (r < 0)
        return r;
    r = decode(f, M_NODE_GET_ALLOCS, &reply, e);
    if (r == 0 && reply.allocs.n > 1) /* else nil */
        buf_add(ret, reply.allocs.p, reply.allocs.n);
    fill_meta(&reply.q, m);
    ops_clear(&desc_node_allocs_response, &reply);
    return r;
}

/* --- writes, and what one agent is asked for --- */

static void tell_write(struct fwd *f, const struct method *m, const void *request)
{
    _cleanup_buf_ struct buf b = BUF_INIT(RPC_BODY_MAX);
    struct node_write_request about = {0};
    struct write_meta done = {0};
    struct err e;

    if (!f->o.on_write || !(m->flags & METHOD_WRITE))
        return;
    mp_encode(&b, m->request, request);
    if (mp_decode(&desc_node_write_request, b.p, b.len, &about, &e) == 0 &&
        mp_decode(&desc_write_meta, f->body.p, f->body.len, &done, &e) == 0 &&
        !str_empty(about.node_id))
        f->o.on_write(f->o.arg, m, about.node_id, done.index);
    ops_clear(&desc_node_write_request, &about);
}

/* command/agent/stats_endpoint.go and its kin: what a client agent answers by 404 */
static void not_found(const struct method *m, struct err *e)
{
    if (!(m->flags & METHOD_CLIENT))
        return;
    if (strstr(e->text, TEXT_NO_PATH_TO_NODE) ||
        (m->id == M_CLIENT_STATS && strstr(e->text, "Unknown node")))
        e->status = 404;
}

static int fwd_call(void *impl, const struct method *m, const void *request, void *ret_reply,
                    struct view_meta *meta, struct err *e)
{
    struct fwd *f = impl;
    struct query_meta q = {0};
    int r;

    r = fwd_ask(f, method_server_name(m), m->request, request,
                m->flags & METHOD_WRITE ? 0 : POOL_READ, e);
    if (r < 0 && r != -EINPROGRESS)
        not_found(m, e);
    if (r < 0)
        return r;
    tell_write(f, m, request);
    r = m->reply ? decode(f, m->id, ret_reply, e) : 0;
    if (r == 0 && mp_decode(&desc_query_meta, f->body.p, f->body.len, &q, e) == 0)
        fill_meta(&q, meta);
    ops_clear(&desc_query_meta, &q);
    return r;
}

/* --- the servers --- */

static struct generic_request generic(const struct fwd *f)
{
    return (struct generic_request){.q = ask_query_options(f->q, f->o.region)};
}

static int next_text(struct mp_in *in, char **ret)
{
    struct mp_token t;

    if (mp_next(in, &t) < 0 || t.type != MP_STR)
        return -EBADMSG;
    *ret = xstrndup((const char *)t.p, t.n);
    return 0;
}

static int fwd_leader(void *impl, const char **ret, struct err *e)
{
    struct fwd *f = impl;
    struct generic_request request = generic(f);
    struct mp_in in;
    int r;

    r = ask_method(f, M_STATUS_LEADER, &request, e);
    if (r < 0)
        return r;
    in = mp_in(f->body.p, f->body.len);
    f->leader = mem_free(f->leader);
    if (next_text(&in, &f->leader) < 0)
        return err_set(e, -EBADMSG, "rpc error: reply to Status.Leader: no text");
    *ret = *f->leader ? f->leader : NULL;
    return 0;
}

/* a list of texts */
static int ask_list(struct fwd *f, enum method_id id, char ***ret, size_t *ret_n, struct err *e)
{
    struct generic_request request = generic(f);
    struct mp_token t;
    char **v = NULL;
    struct mp_in in;
    size_t n = 0;
    int r;

    r = ask_method(f, id, &request, e);
    if (r < 0)
        return r;
    in = mp_in(f->body.p, f->body.len);
    r = mp_next(&in, &t);
    if (r == 0 && t.type != MP_ARRAY && t.type != MP_NIL)
        r = -EBADMSG;
    for (size_t i = 0; r == 0 && t.type == MP_ARRAY && i < t.n; i++) {
        _cleanup_free_ char *text = NULL;

        r = next_text(&in, &text);
        if (r == 0)
            strv_add(&v, &n, text);
    }
    if (r < 0) {
        strv_done(&v, &n);
        return err_set(e, -EBADMSG, "rpc error: reply to %s: no list of texts", methods[id].name);
    }
    *ret = v;
    *ret_n = n;
    return 0;
}

static int fwd_peers(void *impl, char ***ret, size_t *n, struct err *e)
{
    return ask_list(impl, M_STATUS_PEERS, ret, n, e);
}

static int fwd_regions(void *impl, char ***ret, size_t *n, struct err *e)
{
    return ask_list(impl, M_REGION_LIST, ret, n, e);
}

static int fwd_agent_members(void *impl, struct buf *ret, struct err *e)
{
    struct fwd *f = impl;
    struct generic_request request = generic(f);
    struct server_members_response reply = {0};
    int r;

    r = ask_method(f, M_STATUS_MEMBERS, &request, e);
    if (r < 0)
        return r;
    r = decode(f, M_STATUS_MEMBERS, &reply, e);
    if (r == 0)
        members_json(ret, &reply);
    ops_clear(&desc_server_members_response, &reply);
    return r;
}

static const char *fwd_region(void *impl)
{
    const struct fwd *f = impl;

    return f->o.region;
}

static void fwd_close(const struct view *v)
{
    struct fwd *f = v->impl;

    pool_call_cancel(f->call);
    buf_done(&f->body);
    free(f->text);
    free(f->leader);
    defer_stop(&f->again);
    node_list_done(&f->items);
    ops_clear(&desc_query_meta, &f->meta);
    free(f);
}

/* what an agent answers by itself is not here: it is never opened */
const struct view_ops fwd_ops = {
    .close = fwd_close,
    .nodes = fwd_nodes,
    .node = fwd_node,
    .node_allocs = fwd_node_allocs,
    .call = fwd_call,
    .region = fwd_region,
    .leader = fwd_leader,
    .peers = fwd_peers,
    .regions = fwd_regions,
    .agent_members = fwd_agent_members,
};
