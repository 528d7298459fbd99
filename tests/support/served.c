#include "tests/support/served.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "server/dispatch.h"
#include "tests/support/http_raw.h"
#include "wire/conn.h"
#include "wire/rpc_wire.h"

static int open_port(char **ret_address)
{
    struct err e;
    int fd = -1;

    if (listen_open("127.0.0.1:0", &fd, ret_address, &e) < 0)
        fail_msg("%s", e.text);
    return fd;
}

void served_init(struct served *s)
{
    struct api_opts ao;
    struct rpc_listen_opts ro;
    struct err e;

    *s = (struct served){.h = harness_new()};
    ao = (struct api_opts){.loop = s->h->loop, .view = &s->h->server->view};
    s->api = api_new(&ao);
    assert_int_equal(api_listen(s->api, open_port(&s->http_address), &e), 0);
    ro = (struct rpc_listen_opts){.handler = dispatch_request, .handler_arg = s->h->server};
    assert_int_equal(rpc_listen(s->h->loop, open_port(&s->rpc_address), &ro, &s->rpc), 0);
}

void served_done(struct served *s)
{
    s->api = api_free(s->api);
    s->rpc = rpc_listener_free(s->rpc);
    conn_drop_closing(s->h->loop);
    s->h = harness_free(s->h);
    free(s->http_address);
    free(s->rpc_address);
}

int served_dial_rpc(struct served *s)
{
    int fd = dial(s->rpc_address);

    say_n(s->h->loop, fd, "\x06", 1);
    return fd;
}

static void put_header(struct buf *b, uint8_t type, uint16_t flags, uint32_t stream, uint32_t n)
{
    buf_add_byte(b, 0);
    buf_add_byte(b, type);
    buf_add_be16(b, flags);
    buf_add_be32(b, stream);
    buf_add_be32(b, n);
}

void served_rpc_frame(struct served *s, int fd, uint8_t type, uint16_t flags, uint32_t stream)
{
    _cleanup_buf_ struct buf b = BUF_INIT(KIB);

    put_header(&b, type, flags, stream, 0);
    say_n(s->h->loop, fd, (const char *)b.p, b.len);
}

void served_rpc_call(struct served *s, int fd, uint32_t stream, bool opens, uint64_t seq,
                     const char *method, const struct desc *d, const void *request)
{
    _cleanup_buf_ struct buf b = BUF_INIT(MIB), frame = BUF_INIT(MIB);

    if (opens)
        buf_add_byte(&b, 1);
    rpc_request_header_write(&b, seq, method);
    mp_encode(&b, d, request);
    put_header(&frame, 0, opens ? 1 : 0, stream, (uint32_t)b.len);
    buf_add(&frame, b.p, b.len);
    say_n(s->h->loop, fd, (const char *)frame.p, frame.len);
}

static void ignore_done(void *arg, int r, uint64_t index, const struct err *e)
{
    (void)arg;
    (void)index;
    (void)e;
    assert_int_equal(r, 0);
}

static int delete_one(struct txn *t, void *arg, struct err *e)
{
    (void)e;
    txn_delete_node(t, arg);
    return 0;
}

void served_delete(struct served *s, uint64_t n)
{
    struct uuid key = make_node_key(n);

    store_write(s->h->server->store, delete_one, ignore_done, &key);
    harness_settle(s->h);
}

void served_event(struct served *s, uint64_t n)
{
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;
    struct node_event ev = {.message = xstrdup("m"), .subsystem = xstrdup("Driver")};
    _cleanup_buf_ struct buf b = BUF_INIT(MIB);
    char id[UUID_TEXT_LEN + 1];

    make_node_id(n, id);
    mp_map(&b, 2);
    mp_str(&b, "NodeEvents");
    mp_map(&b, 1);
    mp_str(&b, id);
    mp_array(&b, 1);
    mp_encode(&b, &desc_node_event, &ev);
    mp_str(&b, "Region");
    mp_str(&b, "global");
    ops_clear(&desc_node_event, &ev);
    harness_call_raw(s->h, "Node.EmitEvents", b.p, b.len, &a);
    assert_true(a.replied);
}
