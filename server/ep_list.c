/* Node.List: nomad v1.10.5 nomad/node_endpoint.go List.  The nodes are pinned when the answer is
 * due and packed some at a time, so that a list of a large fleet does not hold up everything else.
 */
#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "codec/mp.h"
#include "model/rpc_types.h"
#include "model/stub.h"
#include "model/texts.h"
#include "server/ep.h"
#include "server/node_reply.h"

enum { LIST_SLICE = 200 }; /* stubs per turn of the loop: about a millisecond */

struct listing {
    struct uuid prefix;
    size_t prefix_bytes;
    bool has_from;
    char from[UUID_TEXT_LEN + 1]; /* the page begins here */
    struct node_list nodes;       /* counted */
    struct node_list_at at;
    const struct node_item *next; /* of the next page, the first; lives as long as nodes */
    uint64_t index;
    struct buf stubs;
};

static void listing_free(void *data)
{
    struct listing *g = data;

    node_list_done(&g->nodes);
    buf_done(&g->stubs);
    free(g);
}

static void list_finish(struct call *c)
{
    struct listing *g = c->data;
    _cleanup_buf_ struct buf b = BUF_INIT(RPC_BODY_MAX);

    mp_map(&b, 5);
    mp_str(&b, "Index");
    mp_u64(&b, g->index);
    mp_str(&b, "KnownLeader");
    mp_bool(&b, true);
    mp_str(&b, "LastContact");
    mp_i64(&b, 0);
    mp_str(&b, "NextToken");
    mp_str(&b, g->next ? g->next->id : "");
    mp_str(&b, "Nodes");
    mp_array(&b, g->nodes.n);
    buf_add(&b, g->stubs.p, g->stubs.len);
    if (buf_ok(&g->stubs) < 0 || buf_ok(&b) < 0)
        call_fail(c, "reply is larger than the limit: ask for pages");
    else
        call_reply_raw(c, b.p, b.len);
}

static void list_slice(void *arg)
{
    struct call *c = arg;
    struct listing *g = c->data;
    const struct node_list_request *q = c->request;
    const struct node_item *it;

    for (int i = 0; i < LIST_SLICE && (it = node_list_next(&g->nodes, &g->at)); i++) {
        if (stub_pack(it, q->fields && q->fields->resources, q->fields && q->fields->os,
                      &g->stubs) < 0) {
            g->at.n = g->nodes.n;
            g->stubs.failed = true;
        }
    }
    if (g->at.n < g->nodes.n)
        timer_set(&c->timer, 0);
    else
        list_finish(c);
}

/* the answer is due: pins what it will hold */
static void list_answer(struct call *c)
{
    struct listing *g = c->data;
    struct node_list_at at = {0};

    store_list(c->srv->store, &g->prefix, g->prefix_bytes, &g->nodes);
    if (g->has_from)
        at = node_list_find(&g->nodes, g->from);
    g->next = node_list_cut(&g->nodes, at, c->q->per_page > 0 ? (size_t)c->q->per_page : SIZE_MAX);
    timer_stop(&c->timer);
    timer_init(c->srv->loop, &c->timer, "list", list_slice, c);
    list_slice(c);
}

static int list_query(struct call *c, struct buf *reply, uint64_t *ret_index, struct err *e)
{
    struct listing *g = c->data;

    (void)reply;
    (void)e;
    c->watch.kind = WATCH_TABLE;
    c->watch.table = TABLE_NODES;
    *ret_index = g->index = store_table_index(c->srv->store, TABLE_NODES);
    return 0;
}

void ep_node_list(struct call *c)
{
    struct listing *g;
    struct err cause = {0}, e = {0};
    struct uuid from;
    size_t n;

    if (!str_empty(c->q->filter)) {
        call_fail(c, "filter expressions are not supported by this server");
        return;
    }
    c->data = g = xnew0(struct listing);
    c->data_free = listing_free;
    buf_init(&g->stubs, RPC_BODY_MAX);
    if (!str_empty(c->q->prefix) &&
        uuid_index(c->q->prefix, true, &g->prefix, &g->prefix_bytes, &cause) < 0) {
        (void)err_set(&e, -EINVAL, TEXT_NODE_LOOKUP, cause.text);
        call_fail(c, e.text);
        return;
    }
    /* a token that is no id comes before everything that is one */
    if (!str_empty(c->q->next_token) &&
        uuid_index(c->q->next_token, false, &from, &n, &cause) == 0) {
        uuid_format(&from, g->from);
        g->has_from = true;
    }
    c->answer = list_answer;
    call_query(c, list_query);
}
