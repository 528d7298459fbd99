#include "agent/mirror.h"

#include "agent/mirror_priv.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/rand.h"

#define SEC NSEC_PER_SEC

enum { POLL_SEC = 300 + 300 / 16 + 15 };

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
        m->index = m->written = 0;
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
    m->view = (struct view){&mirror_ops, m};
    m->fwd = (struct fwd_opts){.loop = o->loop,
                               .pool = o->pool,
                               .region = o->conf->region,
                               .on_write = mirror_on_write,
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
