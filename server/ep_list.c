/* Node.List: nomad v1.10.5 nomad/node_endpoint.go List.
 *
 * Answers that are due stand in a line; the first is pinned and packed in slices of a turn.  So a
 * list of a large fleet does not hold up everything else, and however many are asked for at once,
 * one is in memory.
 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "codec/mp.h"
#include "model/rpc_types.h"
#include "model/stub.h"
#include "model/texts.h"
#include "server/ep.h"
#include "server/node_reply.h"

enum {
    LIST_STEP = 16,         /* stubs before the clock is looked at: about 0.1 ms */
    EXPECT_MIN = 128 * KIB, /* bytes by which the whole reply is judged */
};
#define SLICE_NS (2 * NSEC_PER_MSEC)

struct listing {
    struct list link; /* server.listings while the answer is due */
    struct call *call;
    struct uuid prefix;
    size_t prefix_bytes;
    bool has_from;
    char from[UUID_TEXT_LEN + 1]; /* the page begins here */
    bool begun, expected;
    struct node_list nodes; /* counted */
    struct node_list_at at;
    struct buf reply;
};

static void listing_free(void *data)
{
    struct listing *g = data;

    list_remove(&g->link);
    node_list_done(&g->nodes);
    buf_done(&g->reply);
    free(g);
}

/* pins what the answer will hold, and writes all that comes before the stubs */
static void list_begin(struct listing *g)
{
    struct call *c = g->call;
    const struct node_item *next;
    struct node_list_at at = {0};

    g->begun = true;
    store_list(c->srv->store, &g->prefix, g->prefix_bytes, &g->nodes);
    if (g->has_from)
        at = node_list_find(&g->nodes, g->from);
    next = node_list_cut(&g->nodes, at, c->q->per_page > 0 ? (size_t)c->q->per_page : SIZE_MAX);
    mp_map(&g->reply, 5);
    mp_str(&g->reply, "Index");
    mp_u64(&g->reply, store_table_index(c->srv->store, TABLE_NODES));
    mp_str(&g->reply, "KnownLeader");
    mp_bool(&g->reply, true);
    mp_str(&g->reply, "LastContact");
    mp_i64(&g->reply, 0);
    mp_str(&g->reply, "NextToken");
    mp_str(&g->reply, next ? next->id : "");
    mp_str(&g->reply, "Nodes");
    mp_array(&g->reply, g->nodes.n);
}

/* some stubs more; at the end the answer */
static void list_step(struct listing *g)
{
    struct call *c = g->call;
    const struct node_list_request *q = c->request;
    const struct node_item *it;

    if (!g->begun)
        list_begin(g);
    for (int i = 0; i < LIST_STEP && (it = node_list_next(&g->nodes, &g->at)); i++) {
        if (stub_pack(it, q->fields && q->fields->resources, q->fields && q->fields->os,
                      &g->reply) < 0)
            g->reply.failed = true;
    }
    if (!g->expected && g->reply.len >= EXPECT_MIN) {
        g->expected = true;
        buf_expect(&g->reply, g->at.n, g->nodes.n);
    }
    if (buf_ok(&g->reply) < 0)
        call_fail(c, "reply is larger than the limit: ask for pages");
    else if (g->at.n == g->nodes.n)
        call_reply_raw(c, g->reply.p, g->reply.len);
}

void ep_lists_run(void *arg)
{
    uint64_t end = clock_boot_ns() + SLICE_NS;
    struct server *s = arg;

    do {
        struct listing *g = list_first(&s->listings, struct listing, link);

        if (!g)
            return;
        list_step(g);
    } while (clock_boot_ns() <= end);
    defer_set(&s->run_listings);
}

/* the answer is due */
static void list_answer(struct call *c)
{
    struct listing *g = c->data;

    timer_stop(&c->timer);
    list_append(&c->srv->listings, &g->link);
    defer_set(&c->srv->run_listings);
}

static int list_query(struct call *c, struct buf *reply, uint64_t *ret_index, struct err *e)
{
    (void)reply;
    (void)e;
    c->watch.kind = WATCH_TABLE;
    c->watch.table = TABLE_NODES;
    *ret_index = store_table_index(c->srv->store, TABLE_NODES);
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
    g->call = c;
    list_init(&g->link);
    buf_init(&g->reply, RPC_BODY_MAX);
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
