#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/str.h"
#include "base/writer.h"
#include "codec/mp.h"
#include "codec/ops.h"
#include "model/rpc_types.h"
#include "server/server.h"
#include "tests/support/make_node.h"
#include "wire/conn.h"
#include "wire/rpc.h"

/* The whole server: real sockets, a real database. */
struct fixture {
    struct loop *loop;
    struct writer *writer;
    struct conf conf;
    struct server *server;
    struct conn *conn;
    struct rpc_session *session;
    bool connected;
};

static int open_server(struct fixture *f, struct err *e)
{
    struct server_opts o = {
        .loop = f->loop,
        .writer = f->writer,
        .conf = &f->conf,
        .rpc_advertise = "127.0.0.1:0",
        .http_advertise = "127.0.0.1:0",
    };

    *e = (struct err){0};
    return server_new(&o, &f->server, e);
}

static void must_listen(struct fixture *f)
{
    struct err e = {0};

    if (open_server(f, &e) < 0 || server_listen(f->server, "127.0.0.1:0", "127.0.0.1:0", &e) < 0)
        fail_msg("%s", e.text);
}

static int setup(void **state)
{
    struct fixture *f = xnew0(struct fixture);
    const char *tmp = getenv("TMPDIR");
    char *template = xasprintf("%s/server-XXXXXX", tmp ? tmp : "/tmp");

    loop_block_signals();
    assert_int_equal(loop_new(&f->loop), 0);
    assert_int_equal(writer_new(f->loop, "writer", &f->writer), 0);
    assert_non_null(mkdtemp(template));
    f->conf.region = xstrdup("global");
    f->conf.datacenter = xstrdup("dc1");
    f->conf.name = xstrdup("srv-a");
    f->conf.server.data_dir = template;
    f->conf.server.min_heartbeat_ttl = 10 * (int64_t)NSEC_PER_SEC;
    f->conf.server.failover_heartbeat_ttl = 300 * (int64_t)NSEC_PER_SEC;
    f->conf.server.max_heartbeats_per_second = 1000;
    f->conf.rpc_handshake_timeout = 5 * (int64_t)NSEC_PER_SEC;
    *state = f;
    return 0;
}

static void hang_up(struct fixture *f)
{
    if (f->session) {
        rpc_session_close(f->session);
        f->session = rpc_session_unref(f->session);
    }
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    hang_up(f);
    f->server = server_free(f->server);
    f->writer = writer_free(f->writer);
    conn_drop_closing(f->loop);
    f->loop = loop_free(f->loop);
    free(f->conf.region);
    free(f->conf.datacenter);
    free(f->conf.name);
    free(f->conf.server.data_dir);
    free(f);
    return 0;
}

/* --- an agent's connection --- */

static ssize_t ignore_data(void *arg, const uint8_t *p, size_t n)
{
    (void)arg;
    (void)p;
    return (ssize_t)n;
}

static void ignore_eof(void *arg)
{
    (void)arg;
}

static void on_conn_closed(void *arg, const struct err *e)
{
    (void)arg;
    fail_msg("%s", e->text);
}

static void on_connected(void *arg)
{
    ((struct fixture *)arg)->connected = true;
}

static const struct conn_user user = {
    .on_data = ignore_data,
    .on_eof = ignore_eof,
    .on_closed = on_conn_closed,
    .on_connected = on_connected,
};

static void dial(struct fixture *f)
{
    struct rpc_session_opts o = {.client = true};
    struct err e = {0};

    f->connected = false;
    assert_int_equal(
        conn_connect(f->loop, f->server->rpc_advertise, NSEC_PER_SEC, &user, f, &f->conn, &e), 0);
    while (!f->connected)
        assert_int_equal(loop_turn(f->loop, NSEC_PER_SEC), 0);
    f->session = rpc_session_new(steal_ptr(&f->conn), &o);
}

struct reply {
    bool done;
    enum rpc_result how;
    char text[200];
    struct buf body;
};

static void on_reply(void *arg, enum rpc_result how, const char *text, const uint8_t *body,
                     size_t n)
{
    struct reply *r = arg;

    r->done = true;
    r->how = how;
    (void)snprintf(r->text, sizeof(r->text), "%s", str_or_empty(text));
    buf_reset(&r->body);
    if (how == RPC_OK)
        buf_add(&r->body, body, n);
}

static void call(struct fixture *f, const char *method, const struct desc *d, const void *request,
                 struct reply *r)
{
    _cleanup_buf_ struct buf b = BUF_INIT(MIB);

    mp_encode(&b, d, request);
    r->done = false;
    (void)rpc_call(f->session, method, b.p, b.len, 5 * NSEC_PER_SEC, on_reply, r);
    while (!r->done)
        assert_int_equal(loop_turn(f->loop, NSEC_PER_SEC), 0);
}

static void register_node(struct fixture *f, uint64_t n, struct reply *r)
{
    _cleanup_(node_freep) struct node *node = make_node(n);
    struct node_register_request q = {.node = node, .w = {.region = f->conf.region}};

    call(f, "Node.Register", &desc_node_register_request, &q, r);
}

static bool has_conn(struct fixture *f, uint64_t n, struct reply *r)
{
    struct node_specific_request q = {0};
    struct node_conn_query_response out = {0};
    char id[UUID_TEXT_LEN + 1];
    struct err e;
    bool connected;

    make_node_id(n, id);
    q.node_id = id;
    call(f, "Status.HasNodeConn", &desc_node_specific_request, &q, r);
    assert_int_equal(mp_decode(&desc_node_conn_query_response, r->body.p, r->body.len, &out, &e),
                     0);
    connected = out.connected;
    if (connected) {
        int64_t age = clock_wall_ns() - gotime_to_unix_ns(out.established);

        assert_true(age >= 0 && age < 60 * (int64_t)NSEC_PER_SEC);
    }
    ops_clear(&desc_node_conn_query_response, &out);
    return connected;
}

static void test_registration_over_the_network(void **state)
{
    struct fixture *f = *state;
    struct reply r = {.body = BUF_INIT(MIB)};
    struct node_update_response out = {0};
    struct err e;

    must_listen(f);
    dial(f);
    register_node(f, 1, &r);
    assert_int_equal(r.how, RPC_OK);
    assert_int_equal(mp_decode(&desc_node_update_response, r.body.p, r.body.len, &out, &e), 0);
    assert_int_equal(out.q.index, 1);
    /* port 0 was asked for: agents must be told the real one */
    assert_string_equal(out.servers[0].rpc_advertise_addr, f->server->rpc_advertise);
    assert_false(str_ends(out.servers[0].rpc_advertise_addr, ":0"));
    ops_clear(&desc_node_update_response, &out);
    buf_done(&r.body);
}

static void test_connection_belongs_to_its_node(void **state)
{
    struct fixture *f = *state;
    struct reply r = {.body = BUF_INIT(MIB)};

    must_listen(f);
    dial(f);
    assert_false(has_conn(f, 1, &r));
    register_node(f, 1, &r);
    assert_true(has_conn(f, 1, &r));
    assert_false(has_conn(f, 2, &r));
    hang_up(f);
    for (int i = 0; i < 20 && rpc_listener_sessions(f->server->rpc) > 0; i++)
        assert_int_equal(loop_turn(f->loop, NSEC_PER_SEC / 10), 0);
    dial(f);
    assert_false(has_conn(f, 1, &r));
    buf_done(&r.body);
}

static void test_unknown_method_over_the_network(void **state)
{
    struct fixture *f = *state;
    struct reply r = {.body = BUF_INIT(MIB)};
    struct generic_request q = {0};

    must_listen(f);
    dial(f);
    call(f, "Nope.Nope", &desc_generic_request, &q, &r);
    assert_int_equal(r.how, RPC_ERROR);
    assert_string_equal(r.text, "rpc: can't find service Nope.Nope");
    call(f, "Status.Ping", &desc_generic_request, &q, &r); /* another stream goes on */
    assert_int_equal(r.how, RPC_OK);
    buf_done(&r.body);
}

static void test_restart_keeps_nodes_and_identity(void **state)
{
    struct fixture *f = *state;
    struct reply r = {.body = BUF_INIT(MIB)};
    char id[UUID_TEXT_LEN + 1];
    struct uuid key = make_node_key(1);

    must_listen(f);
    memcpy(id, f->server->id, sizeof(id));
    dial(f);
    register_node(f, 1, &r);
    hang_up(f);
    f->server = server_free(f->server);
    must_listen(f);
    assert_string_equal(f->server->id, id);
    assert_non_null(store_node(f->server->store, &key));
    assert_int_equal(store_index(f->server->store), 1);
    assert_true(beats_has(f->server->beats, &key));
    buf_done(&r.body);
}

static void test_damaged_identity_is_replaced(void **state)
{
    struct fixture *f = *state;
    char *path = xasprintf("%s/node-id", f->conf.server.data_dir);
    struct uuid u;
    struct err e;

    assert_int_equal(file_write_atomic(path, "garbage", 7, 0600, &e), 0);
    free(path);
    assert_int_equal(open_server(f, &e), 0);
    assert_int_equal(uuid_parse(f->server->id, &u), 0);
}

static void test_port_in_use_is_an_error(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    char *taken = NULL;
    int fd = -1;

    assert_int_equal(listen_open("127.0.0.1:0", &fd, &taken, &e), 0);
    assert_int_equal(open_server(f, &e), 0);
    assert_int_equal(server_listen(f->server, taken, "127.0.0.1:0", &e), -EADDRINUSE);
    assert_true(str_starts(e.text, "rpc: "));
    assert_int_equal(server_listen(f->server, "127.0.0.1:0", taken, &e), -EADDRINUSE);
    assert_true(str_starts(e.text, "http: "));
    free(taken);
    (void)fd_close(fd);
}

static void test_no_data_folder_is_an_error(void **state)
{
    struct fixture *f = *state;
    struct err e;

    str_set(&f->conf.server.data_dir, NULL);
    assert_true(open_server(f, &e) < 0);
    assert_string_equal(e.text, "data_dir is not set");
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_registration_over_the_network),   TEST(test_connection_belongs_to_its_node),
        TEST(test_unknown_method_over_the_network), TEST(test_restart_keeps_nodes_and_identity),
        TEST(test_damaged_identity_is_replaced),    TEST(test_port_in_use_is_an_error),
        TEST(test_no_data_folder_is_an_error),
    };

    log_set_level(LOG_LEVEL_OFF);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
