#include "wire/pool_hedge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#include "base/rand.h"
#include "base/str.h"
#include "tests/support/wire_loop.h"
#include "wire/accept.h"
#include "wire/conn.h"

/* a server that keeps the first call and answers the others */
struct server {
    struct rpc_listener *ln;
    char *address;
    struct rpc_request *held;
    int calls, sessions;
};

struct answer {
    int n;
    enum rpc_result how;
};

struct world {
    struct loop *l;
    struct pool *p;
    struct server s[2];
};

static void on_gone(void *arg, struct rpc_request *q)
{
    ((struct server *)arg)->held = NULL;
    rpc_drop(q);
}

static void on_call(void *arg, struct rpc_request *q)
{
    struct server *s = arg;

    if (s->calls++ > 0) {
        rpc_reply(q, NULL, 0);
        return;
    }
    s->held = q;
    q->arg = s;
    q->on_gone = on_gone;
}

static void on_session(void *arg, struct rpc_session *session)
{
    (void)session;
    ((struct server *)arg)->sessions++;
}

static void on_done(void *arg, enum rpc_result how, const char *text, const uint8_t *body, size_t n)
{
    struct answer *a = arg;

    (void)text;
    (void)body;
    (void)n;
    a->n++;
    a->how = how;
}

static void world_open(struct world *w, size_t n)
{
    const char *addresses[2];

    memset(w, 0, sizeof(*w));
    rand_seed(7);
    assert_int_equal(loop_new(&w->l), 0);
    w->p = pool_new(w->l, &(struct pool_opts){.region = "global"});
    for (size_t i = 0; i < n; i++) {
        struct server *s = &w->s[i];
        struct err e = {0};
        int fd = -1;

        assert_int_equal(listen_open("127.0.0.1:0", &fd, &s->address, &e), 0);
        assert_int_equal(rpc_listen(w->l, fd,
                                    &(struct rpc_listen_opts){.handler = on_call,
                                                              .handler_arg = s,
                                                              .on_session = on_session,
                                                              .arg = s},
                                    &s->ln),
                         0);
        addresses[i] = s->address;
    }
    if (n)
        assert_int_equal(pool_set_servers(w->p, addresses, n), 1);
}

static void world_close(struct world *w)
{
    w->p = pool_free(w->p);
    for (size_t i = 0; i < 2; i++) {
        w->s[i].ln = rpc_listener_free(w->s[i].ln);
        free(w->s[i].address);
    }
    turn_some(w->l, 5);
    conn_drop_closing(w->l);
    (void)loop_free(w->l);
}

static struct pool_call *call(struct world *w, struct answer *a)
{
    static const uint8_t empty_map = 0x80;

    return pool_call(w->p, "Node.UpdateStatus", &empty_map, 1, POOL_READ, 0, on_done, a);
}

static void answer_held(struct server *s)
{
    struct rpc_request *q = s->held;

    s->held = NULL;
    q->on_gone = NULL;
    rpc_reply(q, NULL, 0);
}

static void test_doubted_server_gives_way_and_may_still_answer(void **state)
{
    struct answer first = {0}, second = {0};
    struct server *used, *other;
    const char *const *v;
    struct pool_call *c;
    struct world w;

    (void)state;
    world_open(&w, 2);
    (void)pool_servers(w.p, &v);
    used = str_eq(v[0], w.s[0].address) ? &w.s[0] : &w.s[1];
    other = used == &w.s[0] ? &w.s[1] : &w.s[0];
    other->calls = 1; /* answers at once */
    c = call(&w, &first);
    assert_string_equal(pool_call_server(c), used->address);
    turn_until(w.l, used->held);
    pool_call_doubt(c);
    assert_string_equal(pool_call_server(c), used->address); /* it goes on */
    (void)pool_servers(w.p, &v);
    assert_string_equal(v[0], other->address);
    (void)call(&w, &second);
    turn_until(w.l, second.n);
    assert_int_equal(second.how, RPC_OK);
    assert_int_equal(first.n, 0);
    answer_held(used);
    turn_until(w.l, first.n);
    assert_int_equal(first.how, RPC_OK);
    assert_int_equal(used->calls, 1);
    world_close(&w);
}

static void test_only_server_gets_another_connection(void **state)
{
    struct answer first = {0}, second = {0};
    const char *const *v;
    struct pool_call *c;
    struct world w;

    (void)state;
    world_open(&w, 1);
    c = call(&w, &first);
    turn_until(w.l, w.s[0].held);
    pool_call_doubt(c);
    assert_int_equal(pool_servers(w.p, &v), 1);
    (void)call(&w, &second);
    turn_until(w.l, second.n);
    assert_int_equal(w.s[0].sessions, 2);
    assert_int_equal(first.n, 0);
    pool_call_doubt(c); /* twice is no third connection */
    answer_held(&w.s[0]);
    turn_until(w.l, first.n);
    assert_int_equal(first.how, RPC_OK);
    (void)call(&w, &second);
    turn_until(w.l, second.n == 2);
    assert_int_equal(w.s[0].sessions, 2);
    world_close(&w);
}

static void test_call_without_a_server_can_be_doubted_too(void **state)
{
    struct answer a = {0};
    struct pool_call *c;
    struct world w;

    (void)state;
    world_open(&w, 0);
    c = call(&w, &a);
    assert_null(pool_call_server(c));
    pool_call_doubt(c);
    turn_until(w.l, a.n);
    assert_int_equal(a.how, RPC_TRANSPORT);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_doubted_server_gives_way_and_may_still_answer),
        cmocka_unit_test(test_only_server_gets_another_connection),
        cmocka_unit_test(test_call_without_a_server_can_be_doubted_too),
    };

    loop_block_signals();
    return cmocka_run_group_tests_name("wire/pool_hedge", tests, NULL, NULL);
}
