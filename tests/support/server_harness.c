#include "tests/support/server_harness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

/* --- the server --- */

static void open_server(struct harness *h)
{
    struct server_opts o = {
        .loop = h->loop,
        .conf = &h->conf,
        .rpc_advertise = HARNESS_RPC,
        .http_advertise = "127.0.0.1:4646",
    };
    struct err e = {0};

    o.take_persist = fake_persist_open(h->disk);
    if (server_new(&o, &h->server, &e) < 0)
        fail_msg("%s", e.text);
}

struct harness *harness_new(void)
{
    struct harness *h = xnew0(struct harness);

    clock_fake(true, 1000 * NSEC_PER_SEC, HARNESS_WALL_NS);
    loop_block_signals();
    assert_int_equal(loop_new(&h->loop), 0);
    h->disk = fake_disk_new(h->loop);
    fake_disk_auto(h->disk, true);
    h->conf.region = xstrdup("global");
    h->conf.datacenter = xstrdup("dc1");
    h->conf.name = xstrdup("srv-a");
    h->conf.port_serf = 4648;
    h->conf.server.min_heartbeat_ttl = 10 * (int64_t)NSEC_PER_SEC;
    h->conf.server.heartbeat_grace = 10 * (int64_t)NSEC_PER_SEC;
    h->conf.server.node_gc_threshold = INT64_C(86400) * (int64_t)NSEC_PER_SEC;
    h->conf.server.failover_heartbeat_ttl = 300 * (int64_t)NSEC_PER_SEC;
    h->conf.server.max_heartbeats_per_second = 1000;
    open_server(h);
    return h;
}

struct harness *harness_free(struct harness *h)
{
    h->server = server_free(h->server);
    h->disk = fake_disk_free(h->disk);
    h->loop = loop_free(h->loop);
    free(h->conf.region);
    free(h->conf.datacenter);
    free(h->conf.name);
    free(h);
    clock_fake(false, 0, 0);
    return NULL;
}

void harness_restart(struct harness *h)
{
    h->server = server_free(h->server);
    open_server(h);
}

void harness_settle(struct harness *h)
{
    for (int i = 0; i < 8; i++) {
        while (loop_run_due(h->loop) > 0)
            ;
        assert_int_equal(loop_turn(h->loop, 0), 0);
    }
}

void harness_advance(struct harness *h, uint64_t ns)
{
    clock_fake_advance(ns);
    harness_settle(h);
}

/* --- answers --- */

void rpc_answer_done(struct rpc_answer *a)
{
    if (a->call)
        call_gone(a->call);
    a->call = NULL;
    free(a->text);
    free(a->request);
    buf_done(&a->body);
    a->text = NULL;
    a->request = NULL;
}

static void sink_reply(void *arg, const void *body, size_t n)
{
    struct rpc_answer *a = arg;

    assert_false(a->replied || a->failed || a->dropped);
    a->replied = true;
    a->call = NULL;
    buf_add(&a->body, body, n);
}

static void sink_fail(void *arg, const char *text, bool close)
{
    struct rpc_answer *a = arg;

    assert_false(a->replied || a->failed || a->dropped);
    a->failed = true;
    a->closed = close;
    a->call = NULL;
    a->text = xstrdup(text);
}

static void sink_drop(void *arg)
{
    struct rpc_answer *a = arg;

    a->dropped = true;
    a->call = NULL;
}

static void sink_bind(void *arg, const struct uuid *node)
{
    struct rpc_answer *a = arg;

    a->has_bound = true;
    a->bound = *node;
}

static const struct uuid *sink_bound(void *arg)
{
    struct rpc_answer *a = arg;

    return a->has_bound ? &a->bound : NULL;
}

static const char *sink_peer(void *arg)
{
    (void)arg;
    return "127.0.0.1:9";
}

static const struct call_sink sink = {
    .reply = sink_reply,
    .fail = sink_fail,
    .drop = sink_drop,
    .bind = sink_bind,
    .bound = sink_bound,
    .peer = sink_peer,
};

void harness_call_raw(struct harness *h, const char *method, const void *body, size_t n,
                      struct rpc_answer *a)
{
    struct call *c;

    assert_null(a->call);
    free(a->text);
    free(a->request);
    a->text = NULL;
    buf_reset(&a->body);
    a->replied = a->failed = a->closed = a->dropped = false;
    a->request = xmemdup(body, n);
    c = call_start(h->server, method, a->request, n, &sink, a);
    if (c && !a->replied && !a->failed)
        a->call = c;
    harness_settle(h);
}

void harness_call(struct harness *h, const char *method, const struct desc *d, const void *request,
                  struct rpc_answer *a)
{
    _cleanup_buf_ struct buf b = BUF_INIT(RPC_BODY_MAX);

    mp_encode(&b, d, request);
    assert_int_equal(buf_ok(&b), 0);
    harness_call_raw(h, method, b.p, b.len, a);
}

void rpc_answer_decode(const struct rpc_answer *a, const struct desc *d, void *ret)
{
    struct err e = {0};

    if (a->failed)
        fail_msg("error reply: %s", a->text);
    assert_true(a->replied);
    ops_clear(d, ret);
    if (mp_decode(d, a->body.p, a->body.len, ret, &e) < 0)
        fail_msg("%s", e.text);
}

/* --- nodes --- */

void harness_register(struct harness *h, struct node *n, struct rpc_answer *a)
{
    struct node_register_request q = {.node = n, .w = {.region = h->conf.region}};

    harness_call(h, "Node.Register", &desc_node_register_request, &q, a);
}

void harness_status(struct harness *h, uint64_t n, const char *status, const char *token,
                    struct rpc_answer *a)
{
    struct node_update_status_request q = {.w = {.region = xstrdup("global")}};
    char id[UUID_TEXT_LEN + 1];

    make_node_id(n, id);
    q.node_id = xstrdup(id);
    q.status = xstrdup(status);
    q.w.auth_token = xstrdup(token);
    harness_call(h, "Node.UpdateStatus", &desc_node_update_status_request, &q, a);
    ops_clear(&desc_node_update_status_request, &q);
}

void harness_ready(struct harness *h, uint64_t n)
{
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;
    _cleanup_(node_freep) struct node *node = make_node(n);

    harness_register(h, node, &a);
    if (a.failed)
        fail_msg("register: %s", a.text);
    harness_status(h, n, NODE_STATUS_READY, NULL, &a);
    if (a.failed)
        fail_msg("update status: %s", a.text);
    assert_int_equal(harness_item(h, n)->status, STATUS_READY);
}

const struct node_item *harness_item(const struct harness *h, uint64_t n)
{
    struct uuid key = make_node_key(n);

    return store_node(h->server->store, &key);
}

struct node *harness_stored(const struct harness *h, uint64_t n)
{
    const struct node_item *it = harness_item(h, n);
    struct node *node = NULL;
    struct err e = {0};

    if (it && node_item_decode(it, &node, &e) < 0)
        fail_msg("%s", e.text);
    return node;
}
