/* The view over the mirror: what the agent answers from what it has. */
#include <errno.h>
#include <string.h>

#include "agent/explain.h"
#include "agent/metrics.h"
#include "agent/mirror_open.h"
#include "agent/mirror_priv.h"
#include "agent/self.h"
#include "base/clock.h"
#include "base/str.h"
#include "codec/mp.h"
#include "model/methods.h"
#include "model/rpc_client.h"
#include "model/texts.h"

static void fill_meta(const struct mirror *m, struct view_meta *meta)
{
    struct session_status st;

    session_status(m->o.session, &st);
    *meta = (struct view_meta){.index = m->from_server ? m->index : 0};
    if (m->from_server && st.in_contact) {
        meta->known_leader = m->known_leader;
        meta->last_contact_ms = m->last_contact_ms;
        return;
    }
    meta->last_contact_ms =
        (clock_boot_ns() - (st.contact_ns ? st.contact_ns : m->born_ns)) / NSEC_PER_MSEC;
}

static int lookup_failed(struct err *e)
{
    struct err cause = *e;

    return err_set_status(e, -EINVAL, 500, TEXT_NODE_LOOKUP, cause.text);
}

/* A purge counts as well: the copy is right again when the node has been registered anew. */
void mirror_on_write(void *arg, const struct method *how, const char *node_id, uint64_t index)
{
    struct mirror *m = arg;
    struct uuid u;

    if (how->id == M_NODE_EVALUATE || uuid_parse(node_id, &u) < 0 ||
        memcmp(u.b, m->own.b, sizeof(u.b)) != 0)
        return;
    m->written = MAX(m->written, index);
}

static const struct view *view_open(void *impl, const struct ask *q, struct view_wait *w)
{
    struct mirror *m = impl;
    struct session_status st;
    enum mirror_way way;

    session_status(m->o.session, &st);
    way = mirror_way(q, &(struct mirror_facts){.node = &m->own,
                                               .region = m->o.conf->region,
                                               .in_contact = st.in_contact,
                                               .behind = m->index < m->written});
    if (way == WAY_HERE)
        return NULL;
    if (way == WAY_RELOAD)
        return m->o.open_reload ? m->o.open_reload(m->o.arg, w) : NULL;
    if (way == WAY_OWN && m->o.open_own)
        return m->o.open_own(m->o.arg, q, w);
    return fwd_open(&m->fwd, q, w);
}

static int view_nodes(void *impl, const char *prefix, struct node_list *ret, struct view_meta *meta,
                      struct err *e)
{
    struct mirror *m = impl;
    struct node_list l = {0};
    struct uuid u;
    size_t n = 0;

    if (!str_empty(prefix) && uuid_index(prefix, true, &u, &n, e) < 0)
        return lookup_failed(e);
    fill_meta(m, meta);
    if (m->item && memcmp(m->item->key.b, u.b, n) == 0)
        node_list_add(&l, node_item_ref(m->item));
    *ret = l;
    return 0;
}

static int view_node(void *impl, const char *id, const struct node_item **ret,
                     struct view_meta *meta, struct err *e)
{
    struct mirror *m = impl;
    struct uuid u;
    size_t n;

    if (str_empty(id))
        return err_set_status(e, -EINVAL, 500, "%s", TEXT_MISSING_ID);
    if (uuid_index(id, false, &u, &n, e) < 0)
        return lookup_failed(e);
    fill_meta(m, meta);
    if (!m->item || memcmp(m->item->key.b, u.b, sizeof(u.b)) != 0)
        return 1;
    *ret = node_item_ref(m->item);
    return 0;
}

static int view_node_allocs(void *impl, const char *id, struct buf *ret, struct view_meta *meta,
                            struct err *e)
{
    (void)id;
    (void)e;
    mp_array(ret, 0);
    fill_meta(impl, meta);
    return 0;
}

static void view_wait_for(void *impl, enum view_what what, const char *id, struct view_wait *w)
{
    struct mirror *m = impl;
    struct waiter *x = xnew0(struct waiter);

    (void)what;
    (void)id;
    x->w = w;
    w->impl = x;
    list_append(&m->waiters, &x->link);
}

static void view_cancel(void *impl, struct view_wait *w)
{
    struct waiter *x = w->impl;

    (void)impl;
    if (!x)
        return;
    list_remove(&x->link);
    free(x);
    w->impl = NULL;
}

static const char *view_region(void *impl)
{
    struct mirror *m = impl;

    return m->o.conf->region;
}

static int view_leader(void *impl, const char **ret, struct err *e)
{
    struct mirror *m = impl;
    struct session_status st;

    (void)e;
    session_status(m->o.session, &st);
    *ret = st.in_contact && *st.leader ? st.leader : NULL;
    return 0;
}

static int view_peers(void *impl, char ***ret, size_t *ret_n, struct err *e)
{
    struct mirror *m = impl;
    const char *const *v;
    size_t n = pool_servers(m->o.pool, &v), n_out = 0;
    char **out = NULL;

    (void)e;
    for (size_t i = 0; i < n; i++)
        strv_add(&out, &n_out, v[i]);
    *ret = out;
    *ret_n = n_out;
    return 0;
}

static struct self_facts facts_of_self(const struct mirror *m, struct session_status *st)
{
    struct self_facts f = {.conf = m->o.conf,
                           .http_addr = m->o.http_addr,
                           .node_id = m->o.node_id,
                           .now_ns = clock_boot_ns(),
                           .born_ns = m->born_ns,
                           .n_allocs = allocs_count(m->o.allocs),
                           .session = st};

    session_status(m->o.session, st);
    f.n_servers = pool_servers(m->o.pool, &f.servers);
    return f;
}

static int view_agent_self(void *impl, struct buf *ret, struct err *e)
{
    struct session_status st;
    struct self_facts f = facts_of_self(impl, &st);

    (void)e;
    self_json(ret, &f);
    return 0;
}

static int view_agent_health(void *impl, const char *type, struct buf *ret)
{
    struct session_status st;
    struct self_facts f = facts_of_self(impl, &st);

    return self_health(ret, type, &f);
}

static int view_fingerprint(void *impl, const char *explain, struct buf *ret, struct err *e)
{
    struct mirror *m = impl;
    struct session_status st;

    if (!*m->o.probes)
        return err_set_status(e, -EAGAIN, 503, "the probes have not been started yet");
    session_status(m->o.session, &st);
    return explain_json(ret,
                        &(struct explain_facts){.node_id = m->o.node_id,
                                                .probes = *m->o.probes,
                                                .flap = m->o.flap,
                                                .beats = st.beats,
                                                .now_ns = clock_boot_ns()},
                        explain, e);
}

static int view_set_servers(void *impl, const char *const *v, size_t n, struct err *e)
{
    struct mirror *m = impl;

    return m->o.set_servers(m->o.arg, v, n, e);
}

static int view_metrics(void *impl, bool prometheus, struct buf *ret, struct err *e)
{
    struct mirror *m = impl;
    struct session_status st;
    struct metrics_facts f = {.conf = m->o.conf,
                              .node_id = m->o.node_id,
                              .item = m->item,
                              .session = &st,
                              .probes = *m->o.probes,
                              .n_allocs = allocs_count(m->o.allocs),
                              .n_slow = loop_slow_count(m->o.loop),
                              .now_ns = clock_boot_ns(),
                              .born_ns = m->born_ns,
                              .wall_ns = clock_wall_ns()};

    if (!m->o.stats)
        return err_set_status(e, -ENOTSUP, 501, "this agent keeps no statistics");
    if (prometheus && !m->o.conf->prometheus_metrics)
        return err_set_status(e, -ENOTSUP, 415, "Prometheus is not enabled");
    f.stats = stats_last(m->o.stats);
    f.disks_answer = !*stats_problem(m->o.stats);
    session_status(m->o.session, &st);
    if (prometheus)
        metrics_prometheus(ret, &f);
    else
        metrics_json(ret, &f);
    return 0;
}

static bool view_is_this_agent(void *impl, const char *node_id, const char *server_id)
{
    struct mirror *m = impl;

    return str_empty(server_id) && str_eq(node_id, m->o.node_id);
}

static int view_monitor(void *impl, const struct monitor_request *q, struct view_stream *ret,
                        struct err *e)
{
    const struct mirror *m = impl;

    if (!str_empty(q->node_id) && !str_empty(q->server_id))
        return err_set_status(e, -EINVAL, 400, "Cannot target node and server simultaneously");
    return fwd_monitor(&m->fwd, q, ret, e);
}

const struct view_ops mirror_ops = {
    .monitor = view_monitor,
    .metrics = view_metrics,
    .is_this_agent = view_is_this_agent,
    .open = view_open,
    .set_servers = view_set_servers,
    .nodes = view_nodes,
    .node = view_node,
    .node_allocs = view_node_allocs,
    .wait = view_wait_for,
    .cancel = view_cancel,
    .region = view_region,
    .leader = view_leader,
    .peers = view_peers,
    .agent_self = view_agent_self,
    .agent_health = view_agent_health,
    .fingerprint = view_fingerprint,
};
