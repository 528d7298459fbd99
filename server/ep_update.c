/* Node.UpdateStatus, the heartbeat, and what happens without it.  A beat that changes nothing
 * touches no store.  nomad v1.10.5 nomad/node_endpoint.go UpdateStatus, nomad/heartbeat.go. */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "codec/mp.h"
#include "model/rpc_types.h"
#include "model/texts.h"
#include "server/auth.h"
#include "server/ep.h"
#include "server/node_reply.h"
#include "server/rules.h"

struct update {
    struct uuid key;
    enum node_status asked;
    enum node_status from, to; /* as written */
    struct bytes event;        /* borrowed from the body; p NULL: none */
};

static int update_write(struct txn *t, void *arg, struct err *e)
{
    struct call *c = arg;
    struct update *u = c->data;
    const struct node_item *old = txn_node(t, &u->key);
    struct node_item *it = NULL;
    int r;

    if (!old)
        return err_set(e, -ENOENT, "%s", TEXT_NODE_NOT_FOUND);
    u->from = (enum node_status)old->status;
    u->to = rules_next_status(u->from, u->asked);
    if (u->to == u->from && !u->event.p)
        return 1;
    r = rules_status(old, u->to, u->event.p ? &u->event : NULL, txn_index(t), clock_wall_ns(), &it,
                     e);
    if (r == 0)
        txn_put_node(t, it);
    return r;
}

static void update_done(void *arg, int r, uint64_t index, const struct err *e)
{
    struct call *c = arg;
    const struct update *u = c->data;
    const struct node_item *it;

    if (r < 0) {
        call_fail(c, e->text);
        return;
    }
    it = store_node(c->srv->store, &u->key);
    if (it && r == 0 && u->from != u->to)
        log_info("node status changed", KV("node_id", it->id),
                 KV("from", node_status_name(u->from)), KV("to", node_status_name(u->to)),
                 KI("index", index));
    node_reply_beat(c, it, r == 0 ? index : 0);
}

/* the event as it came; nil and absent are none */
static void find_event(const struct call *c, struct bytes *ret)
{
    const uint8_t *p = NULL;
    size_t n = 0;

    if (mp_map_find(c->body, c->body_len, "NodeEvent", &p, &n) == 0 && !(n == 1 && p[0] == 0xc0))
        *ret = (struct bytes){.p = (uint8_t *)(uintptr_t)p, .n = n};
}

void ep_node_update_status(struct call *c)
{
    const struct node_update_status_request *q = c->request;
    const struct node_item *it;
    enum node_status asked;
    struct update *u;
    struct uuid key;
    struct err e = {0};

    if (str_empty(q->node_id)) {
        call_fail(c, TEXT_MISSING_STATUS_NODE_ID);
        return;
    }
    if (rules_status_parse(q->status, &asked) < 0) {
        call_fail(c, TEXT_INVALID_STATUS);
        return;
    }
    if (node_key(q->node_id, &key, &e) < 0) {
        call_fail(c, e.text);
        return;
    }
    it = store_node(c->srv->store, &key);
    if (!it) {
        call_fail(c, TEXT_NODE_NOT_FOUND);
        return;
    }
    if (auth_node(it, call_token(c), &e) < 0) {
        call_fail(c, e.text);
        return;
    }
    call_bind(c, &key);
    if (!q->node_event && rules_next_status((enum node_status)it->status, asked) == it->status) {
        node_reply_beat(c, it, 0);
        return;
    }
    c->data = u = xnew0(struct update);
    c->data_free = free;
    u->key = key;
    u->asked = asked;
    if (q->node_event)
        find_event(c, &u->event);
    call_write(c, update_write, update_done);
}

/* --- the deadline passed --- */

enum { MISSED_RETRY_SEC = 30 };

struct missed {
    struct server *srv;
    struct uuid key;
};

static int missed_write(struct txn *t, void *arg, struct err *e)
{
    const struct missed *m = arg;
    const struct node_item *old = txn_node(t, &m->key);
    struct node_item *it = NULL;
    int r;

    /* gone, down already, or it came back while this waited */
    if (!old || old->status == STATUS_DOWN || beats_has(m->srv->beats, &m->key))
        return 1;
    r = rules_missed(old, txn_index(t), clock_wall_ns(), &it, e);
    if (r == 0)
        txn_put_node(t, it);
    return r;
}

static void missed_done(void *arg, int r, uint64_t index, const struct err *e)
{
    struct missed *m = arg;
    char id[UUID_TEXT_LEN + 1];

    uuid_format(&m->key, id);
    if (r == 0)
        (void)log_warn(0, "node heartbeat missed", KV("node_id", id), KI("index", index));
    if (r < 0 && r != -ECANCELED && !beats_has(m->srv->beats, &m->key)) {
        log_debug("missed heartbeat is tried again", KV("node_id", id), KE(e));
        beats_set(m->srv->beats, &m->key, MISSED_RETRY_SEC * NSEC_PER_SEC);
    }
    free(m);
}

void server_node_missed(void *arg, const struct uuid *id)
{
    struct server *s = arg;
    struct missed *m = xnew0(struct missed);

    m->srv = s;
    m->key = *id;
    store_write(s->store, missed_write, missed_done, m);
}
