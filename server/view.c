#include "server/view.h"

#include <errno.h>

#include "api/watch.h"
#include "base/str.h"
#include "codec/mp.h"
#include "model/methods.h"
#include "model/texts.h"
#include "server/back.h"
#include "server/gc.h"
#include "server/node_reply.h"
#include "server/snapshot.h"

static struct view_meta meta_at(uint64_t index)
{
    return (struct view_meta){.index = index, .known_leader = true};
}

static int view_nodes(void *impl, const char *prefix, struct node_list *ret, struct view_meta *m,
                      struct err *e)
{
    const struct server *s = impl;
    struct uuid key = {0};
    struct err cause = {0};
    size_t bytes = 0;
    int r;

    if (!str_empty(prefix)) {
        r = uuid_index(prefix, true, &key, &bytes, &cause);
        if (r < 0)
            return err_set_status(e, r, 500, TEXT_NODE_LOOKUP, cause.text);
    }
    store_list(s->store, &key, bytes, ret);
    *m = meta_at(store_table_index(s->store, TABLE_NODES));
    return 0;
}

static int view_node(void *impl, const char *id, const struct node_item **ret, struct view_meta *m,
                     struct err *e)
{
    const struct server *s = impl;
    const struct node_item *it;
    struct uuid key;
    int r;

    if (str_empty(id))
        return err_set_status(e, -EINVAL, 500, "%s", TEXT_MISSING_ID);
    r = node_key(id, &key, e);
    if (r < 0) {
        e->status = 500;
        return r;
    }
    it = store_node(s->store, &key);
    *m = meta_at(it ? MAX(it->modify_index, store_replaced_index(s->store))
                    : store_table_index(s->store, TABLE_NODES));
    if (!it)
        return 1;
    *ret = node_item_ref(it);
    return 0;
}

/* any id, also one that is none: there are no allocations yet */
static int view_node_allocs(void *impl, const char *id, struct buf *ret, struct view_meta *m,
                            struct err *e)
{
    const struct server *s = impl;

    (void)id;
    (void)e;
    mp_array(ret, 0);
    *m = meta_at(MAX(store_table_index(s->store, TABLE_ALLOCS), 1));
    return 0;
}

/* --- waiting --- */

struct waiter {
    struct watch watch;
    struct view_wait *w;
};

static void on_change(void *arg)
{
    struct waiter *x = arg;
    struct view_wait *w = x->w;

    free(x);
    w->impl = NULL;
    w->fn(w->arg);
}

static void view_wait(void *impl, enum view_what what, const char *id, struct view_wait *w)
{
    const struct server *s = impl;
    struct waiter *x = xnew0(struct waiter);
    struct err e;

    list_init(&x->watch.link);
    x->w = w;
    x->watch.fn = on_change;
    x->watch.arg = x;
    x->watch.beyond = w->beyond;
    x->watch.kind = WATCH_TABLE;
    x->watch.table = what == VIEW_NODE_ALLOCS ? TABLE_ALLOCS : TABLE_NODES;
    /* a node that is not there yet answers with the table's index, so it waits for the table */
    if (what == VIEW_NODE && node_key(id, &x->watch.node, &e) == 0 &&
        store_node(s->store, &x->watch.node))
        x->watch.kind = WATCH_NODE;
    w->impl = x;
    store_watch(s->store, &x->watch);
}

static void view_cancel(void *impl, struct view_wait *w)
{
    struct waiter *x = w->impl;

    (void)impl;
    if (!x)
        return;
    store_unwatch(&x->watch);
    free(x);
    w->impl = NULL;
}

/* --- the server itself --- */

static const char *view_region(void *impl)
{
    return ((const struct server *)impl)->conf->region;
}

static int view_leader(void *impl, const char **ret, struct err *e)
{
    (void)e;
    *ret = ((const struct server *)impl)->rpc_advertise;
    return 0;
}

static int view_peers(void *impl, char ***ret, size_t *n, struct err *e)
{
    (void)e;
    strv_add(ret, n, ((const struct server *)impl)->rpc_advertise);
    return 0;
}

static int view_self(void *impl, struct buf *ret, struct err *e)
{
    (void)e;
    view_agent_self(impl, ret);
    return buf_ok(ret);
}

static int view_members(void *impl, struct buf *ret, struct err *e)
{
    (void)e;
    view_agent_members(impl, ret);
    return buf_ok(ret);
}

static int view_health(void *impl, const char *type, struct buf *ret)
{
    (void)impl;
    if (str_eq(type, "client")) {
        buf_add_str(ret, "{\"client\":{\"ok\":false,\"message\":\"client not enabled\"}}");
        return 500;
    }
    buf_printf(ret, "{\"server\":{\"message\":\"%s\",\"ok\":true}}",
               *watch_trouble() ? watch_trouble() : "ok");
    return 200;
}

bool view_is_this_server(const struct server *s, const char *node_id, const char *server_id)
{
    _cleanup_free_ char *name = server_member_name(s);

    return str_empty(node_id) && (str_empty(server_id) || str_eq(server_id, "leader") ||
                                  str_eq(server_id, name) || str_eq(server_id, s->id));
}

static bool view_is_this_agent(void *impl, const char *node_id, const char *server_id)
{
    return view_is_this_server(impl, node_id, server_id);
}

static int view_system(void *impl, const struct method *m, struct err *e)
{
    struct server *s = impl;

    (void)e;
    if (m->id == M_SYSTEM_GC)
        gc_run(s->gc, true);
    return 0;
}

static int view_snapshot(void *impl, struct view_stream *ret, struct err *e)
{
    return snapshots_save(((struct server *)impl)->snapshots, ret, e);
}

static int view_restore(void *impl, struct view_stream *ret, struct err *e)
{
    return snapshots_restore(((struct server *)impl)->snapshots, ret, e);
}

static const struct view_ops server_view_ops = {
    .system = view_system,
    .snapshot = view_snapshot,
    .restore = view_restore,
    .open = back_view_open,
    .is_this_agent = view_is_this_agent,
    .monitor = back_monitor,
    .nodes = view_nodes,
    .node = view_node,
    .node_allocs = view_node_allocs,
    .wait = view_wait,
    .cancel = view_cancel,
    .region = view_region,
    .leader = view_leader,
    .peers = view_peers,
    .agent_self = view_self,
    .agent_members = view_members,
    .agent_health = view_health,
};

struct view server_view(struct server *s)
{
    return (struct view){.ops = &server_view_ops, .impl = s};
}
