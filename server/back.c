#include "server/back.h"

#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "codec/mp.h"
#include "model/rpc_types.h"
#include "model/texts.h"
#include "server/dispatch.h"
#include "server/node_reply.h"

/* --- which connection --- */

struct search {
    const struct uuid *node;
    struct rpc_session *found;
};

static void match(void *arg, struct rpc_session *s)
{
    struct search *f = arg;
    const struct uuid *bound = dispatch_bound_node(s);

    if (!f->found && bound && memcmp(bound->b, f->node->b, UUID_BYTES) == 0 &&
        rpc_session_takes_calls(s))
        f->found = s;
}

struct rpc_session *back_session(const struct server *s, const struct uuid *node)
{
    struct search f = {.node = node};

    if (s->rpc)
        rpc_listener_each(s->rpc, match, &f); /* newest first */
    return f.found;
}

int back_find(const struct server *s, const char *node_id, struct rpc_session **ret, struct err *e)
{
    struct uuid key;
    int r;

    if (str_empty(node_id))
        return err_set(e, -EINVAL, TEXT_NO_NODE_ID);
    r = node_key(node_id, &key, e);
    if (r < 0)
        return r;
    if (!store_node(s->store, &key))
        return err_set(e, -ENOENT, TEXT_UNKNOWN_NODE_PLAIN, node_id);
    *ret = back_session(s, &key);
    return *ret ? 0 : err_set(e, -ENOTCONN, TEXT_NO_PATH_TO_NODE);
}

const char *back_node_id(const struct method *m, const void *request)
{
    for (size_t i = 0; i < m->request->n_fields; i++) {
        const struct field *f = &m->request->fields[i];

        if (f->type == FT_STR && str_eq(f->name, "NodeID"))
            return str_or_empty(*(char *const *)field_at(f, request));
    }
    return "";
}

const char *back_method_name(const char *name)
{
    static const char ours[] = "ClientAllocations.", theirs[] = "Allocations.";

    if (str_starts(name, theirs))
        return NULL;
    return str_starts(name, ours) ? name + strlen("Client") : name;
}

/* --- requests over RPC --- */

struct back {
    struct call *call;
    struct rpc_call *rpc;
};

static void back_free(void *arg)
{
    struct back *b = arg;

    rpc_call_cancel(b->rpc);
    free(b);
}

static void on_done(void *arg, enum rpc_result how, const char *text, const uint8_t *body, size_t n)
{
    struct back *b = arg;

    b->rpc = NULL;
    if (how == RPC_OK)
        call_reply_raw(b->call, body, n);
    else
        call_fail(b->call, text);
}

void ep_back(struct call *take_c)
{
    const char *node_id = back_node_id(take_c->method, take_c->request);
    struct rpc_session *session = NULL;
    struct err e = {0};
    struct back *b;

    if (str_starts(take_c->method->name, "Agent.") &&
        (str_empty(node_id) || !take_c->srv->conf->enable_debug)) {
        call_fail(take_c, TEXT_PERMISSION_DENIED);
        return;
    }
    if (back_find(take_c->srv, node_id, &session, &e) < 0) {
        call_fail(take_c, e.text);
        return;
    }
    b = xnew0(struct back);
    b->call = take_c;
    take_c->data = b;
    take_c->data_free = back_free;
    take_c->may_drop = true;
    b->rpc = rpc_call(session, take_c->method->name, take_c->body, take_c->body_len,
                      BACK_TIMEOUT_NS, on_done, b);
}
