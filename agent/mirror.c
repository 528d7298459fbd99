#include "agent/mirror.h"

#include <errno.h>
#include <string.h>

#include "agent/call.h"
#include "agent/explain.h"
#include "agent/metrics.h"
#include "agent/mirror_open.h"
#include "agent/self.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/rand.h"
#include "base/str.h"
#include "codec/mp.h"
#include "fwd/fwd.h"
#include "model/methods.h"
#include "model/texts.h"

#define SEC NSEC_PER_SEC

enum { POLL_SEC = 300 + 300 / 16 + 15 };

struct waiter {
    struct list link;
    struct view_wait *w;
};

struct mirror {
    struct mirror_opts o;
    struct view view;
    struct call call;
    struct timer retry;
    const struct node_item *item; /* counted; NULL before the first snapshot */
    bool from_server;
    bool started;
    bool known_leader;
    uint64_t index;
    uint64_t last_contact_ms; /* as the answering server said */
    uint64_t asked_ns, born_ns;
    struct list waiters;
    struct fwd_opts fwd;
    struct uuid own;
    uint64_t written; /* index of the last write about the own node that went through here */
};

static void poll(void *arg);

/* --- the copy --- */

static void wake(struct mirror *m)
{
    struct list ready = LIST_INIT(ready);

    /* those who wait again meanwhile are for the next time */
    while (!list_empty(&m->waiters)) {
        struct list *l = m->waiters.next;

        list_remove(l);
        list_append(&ready, l);
    }
    while (!list_empty(&ready)) {
        struct waiter *x = list_first(&ready, struct waiter, link);
        struct view_wait *w = x->w;

        list_remove(&x->link);
        free(x);
        w->impl = NULL;
        w->fn(w->arg);
    }
}

static void set_item(struct mirror *m, const struct node_item *take_it)
{
    (void)node_item_unref(m->item);
    m->item = take_it;
    wake(m);
}

void mirror_set_local(struct mirror *m, const struct node_snap *snap)
{
    struct node_item *it = NULL;
    struct err e = {0};

    if (m->from_server)
        return;
    if (node_item_from_node(snap->node, &it, &e) < 0)
        (void)log_error(0, "the node cannot be shown", KE(&e));
    else
        set_item(m, it);
}

static void retry_in(struct mirror *m, uint64_t ns)
{
    timer_set(&m->retry, ns);
}

static void take_node(struct mirror *m, const struct single_node_response *r)
{
    struct node_item *it = NULL;
    struct err e = {0};

    if (r->node.n <= 1) { /* nil: not there (any more); the heartbeat decides what that means */
        retry_in(m, 5 * SEC + rand_below(5 * SEC));
        return;
    }
    if (node_item_new(r->node.p, r->node.n, &it, &e) < 0) {
        (void)log_warn(0, "a server gave a node that cannot be read", KE(&e));
        retry_in(m, 30 * SEC + rand_below(30 * SEC));
        return;
    }
    m->index = r->q.index;
    m->from_server = true;
    set_item(m, it);
    m->o.on_node(m->o.arg, m->item);
    poll(m);
}

static void on_reply(void *arg, enum call_result how, const char *text, void *obj)
{
    struct mirror *m = arg;
    const struct single_node_response *r = obj;
    bool fast = clock_boot_ns() - m->asked_ns < SEC;

    if (how == CALL_TIMEOUT) {
        /* the connection broke meanwhile and the server blocks anew: says nothing about it */
        retry_in(m, rand_below(SEC));
        return;
    }
    session_contact(m->o.session, !call_lost(how), text);
    if (how != CALL_OK) {
        log_debug("cannot read the own node from a server", KV("error", text));
        retry_in(m, 30 * SEC + rand_below(30 * SEC));
        return;
    }
    m->known_leader = r->q.known_leader;
    m->last_contact_ms = r->q.last_contact > 0 ? (uint64_t)r->q.last_contact / NSEC_PER_MSEC : 0;
    if (r->q.index > m->index)
        take_node(m, r);
    else
        retry_in(m, fast ? SEC + rand_below(SEC) : 0);
}

static void poll(void *arg)
{
    struct mirror *m = arg;
    struct node_specific_request q = {
        .node_id = (char *)(uintptr_t)m->o.node_id,
        .secret_id = (char *)(uintptr_t)m->o.secret_id,
        .q.region = m->o.conf->region,
        .q.auth_token = (char *)(uintptr_t)session_token(m->o.session),
        .q.min_query_index = m->index,
        .q.allow_stale = m->index > 0,
    };

    timer_stop(&m->retry);
    m->asked_ns = clock_boot_ns();
    call_start(&m->call, "Node.GetNode", &desc_node_specific_request, &q,
               &desc_single_node_response, POLL_SEC * SEC, on_reply);
}

void mirror_start(struct mirror *m, bool known)
{
    if (!known)
        m->index = 0;
    else if (m->started)
        return;
    m->started = true;
    poll(m);
}

void mirror_kick(struct mirror *m)
{
    if (m->started && timer_armed(&m->retry))
        timer_set(&m->retry, rand_below(SEC));
}

/* --- the view --- */

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
static void on_write(void *arg, const struct method *how, const char *node_id, uint64_t index)
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
    if (way == WAY_OWN && m->o.open_own)
        return m->o.open_own(m->o.arg, q, w);
    return fwd_open(&m->fwd, q, w);
}

static int view_nodes(void *impl, const char *prefix, struct node_items *ret,
                      struct view_meta *meta, struct err *e)
{
    struct mirror *m = impl;
    struct node_items l = {0};
    struct uuid u;
    size_t n = 0;

    if (!str_empty(prefix) && uuid_index(prefix, true, &u, &n, e) < 0)
        return lookup_failed(e);
    fill_meta(m, meta);
    if (m->item && memcmp(m->item->key.b, u.b, n) == 0) {
        l.v = xnew0_n(const struct node_item *, 1);
        l.v[l.n++] = node_item_ref(m->item);
    }
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

    if (!*m->o.probes)
        return err_set_status(e, -EAGAIN, 503, "the probes have not been started yet");
    return explain_json(ret,
                        &(struct explain_facts){.node_id = m->o.node_id,
                                                .probes = *m->o.probes,
                                                .flap = m->o.flap,
                                                .now_ns = clock_boot_ns()},
                        explain, e);
}

static int view_set_servers(void *impl, const char *const *v, size_t n, struct err *e)
{
    struct mirror *m = impl;

    return m->o.set_servers(m->o.arg, v, n, e);
}

static int view_reload(void *impl, struct buf *ret)
{
    struct mirror *m = impl;

    return m->o.reload ? m->o.reload(m->o.arg, ret) : 501;
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
                              .now_ns = clock_boot_ns(),
                              .born_ns = m->born_ns,
                              .wall_ns = clock_wall_ns()};

    if (!m->o.stats)
        return err_set_status(e, -ENOTSUP, 501, "this agent keeps no statistics");
    if (prometheus && !m->o.conf->prometheus_metrics)
        return err_set_status(e, -ENOTSUP, 415, "Prometheus is not enabled");
    f.stats = stats_last(m->o.stats);
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

static const struct view_ops ops = {
    .metrics = view_metrics,
    .is_this_agent = view_is_this_agent,
    .open = view_open,
    .set_servers = view_set_servers,
    .reload = view_reload,
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

const struct view *mirror_view(const struct mirror *m)
{
    return &m->view;
}

const struct node_item *mirror_item(const struct mirror *m)
{
    return m->item;
}

struct mirror *mirror_new(const struct mirror_opts *o)
{
    struct mirror *m = xnew0(struct mirror);

    m->o = *o;
    m->view = (struct view){&ops, m};
    m->fwd = (struct fwd_opts){.loop = o->loop,
                               .pool = o->pool,
                               .region = o->conf->region,
                               .on_write = on_write,
                               .arg = m};
    (void)!uuid_parse(o->node_id, &m->own); /* identity has checked it */
    m->born_ns = clock_boot_ns();
    list_init(&m->waiters);
    call_init(&m->call, o->pool, m);
    timer_init(o->loop, &m->retry, "own node", poll, m);
    return m;
}

struct mirror *mirror_free(struct mirror *m)
{
    if (!m)
        return NULL;
    call_cancel(&m->call);
    timer_stop(&m->retry);
    list_for_each (x, &m->waiters, struct waiter, link) {
        x->w->impl = NULL;
        free(x);
    }
    m->item = node_item_unref(m->item);
    return mem_free(m);
}
