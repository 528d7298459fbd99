/* fwd: what goes over the wire for each question, and what becomes of each answer. */
#include "fwd/fwd.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "api/routes.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/str.h"
#include "codec/js.h"
#include "codec/mp.h"
#include "codec/ops.h"
#include "model/methods.h"
#include "model/rpc_write.h"
#include "tests/support/check.h"
#include "tests/support/make_node.h"
#include "tests/support/wire_loop.h"
#include "wire/accept.h"
#include "wire/conn.h"
#include "wire/http1.h"

#define ID_A "11d0a6c4-2f3e-4b5a-9c8d-7e6f50413223"
#define ID_B "22e1b7d5-304f-5c6b-ad9e-8f7061524334"

/* a server that keeps what it is asked and says what it is told */
struct fixture {
    struct loop *loop;
    struct rpc_listener *ln;
    char *address;
    struct pool *pool;
    char *method;
    struct buf request;       /* packed */
    const char *fail;         /* answer by this error */
    bool mute;                /* answer nothing */
    struct buf reply;         /* packed */
    struct rpc_request *held; /* while mute */
    unsigned calls, woken;
    struct ask ask;
    struct view_wait wait;
    const struct view *v;
    struct view_meta meta;
    struct err e;
    char *written_id;
    uint64_t written_index;
    unsigned writes;
};

static void on_gone(void *arg, struct rpc_request *q)
{
    struct fixture *f = arg;

    f->held = NULL;
    rpc_drop(q);
}

static void serve(void *arg, struct rpc_request *q)
{
    struct fixture *f = arg;

    f->calls++;
    str_set(&f->method, q->method);
    buf_reset(&f->request);
    buf_add(&f->request, q->body, q->body_len);
    if (f->mute) {
        q->arg = f;
        q->on_gone = on_gone;
        f->held = q;
    } else if (f->fail) {
        rpc_fail(q, f->fail);
    } else {
        rpc_reply(q, f->reply.p, f->reply.len);
    }
}

static void on_woken(void *arg)
{
    struct fixture *f = arg;

    f->woken++;
}

static void on_write(void *arg, const struct method *m, const char *node_id, uint64_t index)
{
    struct fixture *f = arg;

    assert_true(m->flags & METHOD_WRITE);
    str_set(&f->written_id, node_id);
    f->written_index = index;
    f->writes++;
}

static int setup(void **state)
{
    struct fixture *f = xnew0(struct fixture);
    struct err e;
    int fd = -1;

    assert_int_equal(loop_new(&f->loop), 0);
    assert_int_equal(listen_open("127.0.0.1:0", &fd, &f->address, &e), 0);
    assert_int_equal(rpc_listen(f->loop, fd,
                                &(struct rpc_listen_opts){.handler = serve, .handler_arg = f},
                                &f->ln),
                     0);
    f->pool = pool_new(f->loop, &(struct pool_opts){.region = "global", .hold_ns = NSEC_PER_MSEC});
    (void)pool_set_servers(f->pool, (const char *const *)&f->address, 1);
    buf_init(&f->request, MIB);
    buf_init(&f->reply, 16 * MIB);
    *state = f;
    return 0;
}

static void close_view(struct fixture *f)
{
    if (f->v)
        f->v->ops->close(f->v);
    f->v = NULL;
    ask_done(&f->ask);
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    close_view(f);
    (void)pool_free(f->pool);
    (void)rpc_listener_free(f->ln);
    turn_some(f->loop, 3);
    conn_drop_closing(f->loop);
    (void)loop_free(f->loop);
    buf_done(&f->request);
    buf_done(&f->reply);
    free(f->method);
    free(f->address);
    free(f->written_id);
    free(f);
    return 0;
}

/* a request of the API with this query, as the view sees it */
static const struct view *open_view(struct fixture *f, const char *id, const char *query)
{
    static const struct route row = {.pattern = "/x",
                                     .flags = ROUTE_PARAMS | ROUTE_BLOCKING | ROUTE_LIST_FIELDS};
    static const struct http_header token = {"X-Nomad-Token", "tok"};
    struct http_request hq = {
        .method = "GET", .path = "/x", .query = query, .headers = &token, .n_headers = 1};

    close_view(f);
    f->woken = 0;
    f->e = (struct err){0};
    f->meta = (struct view_meta){0};
    assert_int_equal(ask_parse(&f->ask, &hq, &row, id, &f->e), 0);
    f->wait = (struct view_wait){.fn = on_woken, .arg = f};
    f->v = fwd_open(
        &(struct fwd_opts){
            .loop = f->loop, .pool = f->pool, .region = "global", .on_write = on_write, .arg = f},
        &f->ask, &f->wait);
    return f->v;
}

/* does op until it has its answer; r is what it says then */
#define ask_until(f, r, op)                                                                        \
    do {                                                                                           \
        (r) = (op);                                                                                \
        assert_int_equal((r), -EINPROGRESS);                                                       \
        assert_int_equal((f)->woken, 0); /* never from inside */                                   \
        assert_int_equal((op), -EINPROGRESS);                                                      \
        turn_until((f)->loop, (f)->woken > 0);                                                     \
        assert_int_equal((f)->woken, 1);                                                           \
        (r) = (op);                                                                                \
    } while (0)

/* --- what goes out --- */

static void put_meta(struct buf *b)
{
    mp_str(b, "Index");
    mp_u64(b, 42);
    mp_str(b, "KnownLeader");
    mp_bool(b, true);
    mp_str(b, "LastContact");
    mp_i64(b, 7 * (int64_t)NSEC_PER_MSEC);
}

static void put_stub(struct buf *b, const char *id)
{
    struct node_stub stub = {.id = (char *)(uintptr_t)id, .name = (char *)(uintptr_t) "n"};

    mp_encode(b, &desc_node_stub, &stub);
}

static void reply_with_stubs(struct fixture *f, const char *const *ids, size_t n, const char *next)
{
    buf_reset(&f->reply);
    mp_map(&f->reply, 5);
    put_meta(&f->reply);
    mp_str(&f->reply, "NextToken");
    mp_str(&f->reply, next);
    mp_str(&f->reply, "Nodes");
    mp_array(&f->reply, n);
    for (size_t i = 0; i < n; i++)
        put_stub(&f->reply, ids[i]);
}

static void test_a_list_carries_everything_along(void **state)
{
    static const char *const ids[] = {ID_A, ID_B};
    struct fixture *f = *state;
    struct node_list_request sent = {0};
    struct node_list items = {0};
    struct err e;
    int r;

    reply_with_stubs(f, ids, 2, "next");
    (void)open_view(f, "",
                    "index=41&wait=2s&stale&per_page=2&next_token=t&filter=a%20b&reverse=true&"
                    "resources=true&namespace=ns");
    ask_until(f, r, f->v->ops->nodes(f->v->impl, "11d0", &items, &f->meta, &f->e));
    assert_int_equal(r, 0);
    assert_string_equal(f->method, "Node.List");
    assert_int_equal(mp_decode(&desc_node_list_request, f->request.p, f->request.len, &sent, &e),
                     0);
    assert_true(sent.fields && sent.fields->resources && !sent.fields->os);
    assert_string_equal(sent.q.region, "global");
    assert_string_equal(sent.q.namespace_, "ns");
    assert_string_equal(sent.q.prefix, "11d0");
    assert_string_equal(sent.q.auth_token, "tok");
    assert_string_equal(sent.q.filter, "a b");
    assert_string_equal(sent.q.next_token, "t");
    assert_int_equal(sent.q.per_page, 2);
    assert_int_equal(sent.q.min_query_index, 41);
    assert_true(sent.q.max_query_time == 2 * (int64_t)NSEC_PER_SEC);
    assert_true(sent.q.allow_stale && sent.q.reverse && !sent.q.forwarded);
    ops_clear(&desc_node_list_request, &sent);

    assert_int_equal(items.n, 2);
    assert_string_equal(items.pages[0]->items[0]->id, ID_A);
    assert_string_equal(items.pages[0]->items[1]->id, ID_B);
    assert_true(items.pages[0]->items[0]->is_stub);
    assert_int_equal(f->meta.index, 42);
    assert_true(f->meta.known_leader);
    assert_int_equal(f->meta.last_contact_ms, 7);
    assert_string_equal(f->meta.next_token, "next");
    node_list_done(&items);
    assert_int_equal(f->calls, 1);
}

/* cut into items some at a time: the op is called as often as it wants */
static void test_a_long_list_is_cut_in_slices(void **state)
{
    enum { N = 20000 };
    struct fixture *f = *state;
    char(*text)[UUID_TEXT_LEN + 1] = xcalloc(N, sizeof(*text));
    const char **ids = xnew0_n(const char *, N);
    struct node_list items = {0};
    struct node_list_at at = {0};
    unsigned woken = 0;
    int r;

    for (unsigned i = 0; i < N; i++) {
        (void)snprintf(text[i], sizeof(text[i]), "%08x-2f3e-4b5a-9c8d-7e6f50413223", i);
        ids[i] = text[i];
    }
    reply_with_stubs(f, ids, N, "");
    (void)open_view(f, "", "");
    while ((r = f->v->ops->nodes(f->v->impl, "", &items, &f->meta, &f->e)) == -EINPROGRESS) {
        assert_int_equal(items.n, 0);
        turn_until(f->loop, f->woken > woken);
        woken++;
        assert_int_equal(f->woken, woken);
    }
    assert_int_equal(r, 0);
    assert_true(woken > 1);
    assert_int_equal(items.n, N);
    for (unsigned i = 0; i < N; i++)
        assert_string_equal(node_list_next(&items, &at)->id, text[i]);
    assert_null(node_list_next(&items, &at));
    assert_int_equal(f->calls, 1);
    assert_int_equal(f->meta.index, 42);
    node_list_done(&items);
    /* one that is closed in the middle */
    (void)open_view(f, "", "");
    assert_int_equal(f->v->ops->nodes(f->v->impl, "", &items, &f->meta, &f->e), -EINPROGRESS);
    turn_until(f->loop, f->woken > 0);
    assert_int_equal(f->v->ops->nodes(f->v->impl, "", &items, &f->meta, &f->e), -EINPROGRESS);
    close_view(f);
    turn_some(f->loop, 3);
    free(ids);
    free(text);
}

static void test_a_list_without_extras_asks_for_none(void **state)
{
    struct fixture *f = *state;
    struct node_list_request sent = {0};
    struct node_list items = {0};
    struct err e;
    int r;

    reply_with_stubs(f, NULL, 0, "");
    (void)open_view(f, "", "region=mars");
    ask_until(f, r, f->v->ops->nodes(f->v->impl, "", &items, &f->meta, &f->e));
    assert_int_equal(r, 0);
    assert_int_equal(items.n, 0);
    assert_int_equal(mp_decode(&desc_node_list_request, f->request.p, f->request.len, &sent, &e),
                     0);
    assert_null(sent.fields);
    assert_string_equal(sent.q.region, "mars");
    ops_clear(&desc_node_list_request, &sent);
}

/* --- what comes back --- */

static void test_lists_that_are_none(void **state)
{
    static const struct {
        const char *p;
        size_t n;
        const char *text;
    } rows[] = {
  /* clang-format off */
        {"\x80", 1, "Nodes"},
        {"\xc0", 1, "Nodes"},
        {"\x81\xa5Nodes\x05", 8, "Nodes is no list"},
        {"\x81\xa5Nodes\x91\x80", 9, "no ID"},
        {"\x81\xa5Nodes\x91\x05", 9, "no ID"},
        {"\x81\xa5Nodes\x91\x81\xa2ID\xa1x", 14, "no UUID"},
        {"\x81\xa5Nodes\x91\x81\xa2ID\x05", 13, "no UUID"},
        {"\x81\xa5Index\xa1x", 9, "Index"},
  /* clang-format on */
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct node_list items = {0};
        int r;

        buf_reset(&f->reply);
        buf_add(&f->reply, rows[i].p, rows[i].n);
        (void)open_view(f, "", "");
        ask_until(f, r, f->v->ops->nodes(f->v->impl, "", &items, &f->meta, &f->e));
        assert_true(r < 0);
        if (!strstr(f->e.text, rows[i].text) || !str_starts(f->e.text, "rpc error: reply to "))
            fail_msg("%zu: %s", i, f->e.text);
        node_list_done(&items);
    }
}

static void reply_with_node(struct fixture *f, unsigned number)
{
    _cleanup_(node_freep) struct node *n = number ? make_node(number) : NULL;

    buf_reset(&f->reply);
    mp_map(&f->reply, 4);
    put_meta(&f->reply);
    mp_str(&f->reply, "Node");
    if (n)
        mp_encode(&f->reply, &desc_node, n);
    else
        mp_nil(&f->reply);
}

static void test_a_node(void **state)
{
    struct fixture *f = *state;
    struct node_specific_request sent = {0};
    const struct node_item *it = NULL;
    struct uuid key = make_node_key(1);
    struct err e;
    int r;

    reply_with_node(f, 1);
    (void)open_view(f, ID_A, "");
    ask_until(f, r, f->v->ops->node(f->v->impl, ID_A, &it, &f->meta, &f->e));
    assert_int_equal(r, 0);
    assert_memory_equal(it->key.b, key.b, UUID_BYTES);
    assert_int_equal(f->meta.index, 42);
    (void)node_item_unref(it);
    assert_string_equal(f->method, "Node.GetNode");
    assert_int_equal(
        mp_decode(&desc_node_specific_request, f->request.p, f->request.len, &sent, &e), 0);
    assert_string_equal(sent.node_id, ID_A);
    assert_string_equal(str_or_empty(sent.secret_id), ""); /* the token counts, not our secret */
    assert_string_equal(sent.q.auth_token, "tok");
    ops_clear(&desc_node_specific_request, &sent);
}

static void test_a_node_that_is_not_there_has_an_index(void **state)
{
    struct fixture *f = *state;
    const struct node_item *it = NULL;
    int r;

    reply_with_node(f, 0);
    (void)open_view(f, ID_A, "");
    ask_until(f, r, f->v->ops->node(f->v->impl, ID_A, &it, &f->meta, &f->e));
    assert_int_equal(r, 1);
    assert_null(it);
    assert_int_equal(f->meta.index, 42);
}

static void test_allocations(void **state)
{
    static const struct {
        const char *p;
        size_t n, len;
    } rows[] = {
        {"\x90",              1, 0}, /* [] */
        {"\xc0",              1, 0}, /* nil: nothing, which handlers show as [] */
        {"\x91\x81\xa1x\x05", 5, 5},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_buf_ struct buf b = BUF_INIT(MIB);
        int r;

        buf_reset(&f->reply);
        mp_map(&f->reply, 4);
        put_meta(&f->reply);
        mp_str(&f->reply, "Allocs");
        buf_add(&f->reply, rows[i].p, rows[i].n);
        (void)open_view(f, ID_A, "");
        ask_until(f, r, f->v->ops->node_allocs(f->v->impl, ID_A, &b, &f->meta, &f->e));
        assert_int_equal(r, 0);
        assert_string_equal(f->method, "Node.GetAllocs");
        assert_int_equal(b.len, rows[i].len);
        assert_int_equal(f->meta.index, 42);
    }
}

static void test_leader_peers_and_regions(void **state)
{
    struct fixture *f = *state;
    const char *leader = NULL;
    char **v = NULL;
    size_t n = 0;
    int r;

    mp_str(&f->reply, "10.0.0.1:4647");
    (void)open_view(f, "", "region=mars");
    ask_until(f, r, f->v->ops->leader(f->v->impl, &leader, &f->e));
    assert_int_equal(r, 0);
    assert_string_equal(leader, "10.0.0.1:4647");
    assert_string_equal(f->method, "Status.Leader");

    buf_reset(&f->reply);
    mp_str(&f->reply, "");
    (void)open_view(f, "", "");
    ask_until(f, r, f->v->ops->leader(f->v->impl, &leader, &f->e));
    assert_int_equal(r, 0);
    assert_null(leader);

    buf_reset(&f->reply);
    mp_array(&f->reply, 2);
    mp_str(&f->reply, "a");
    mp_str(&f->reply, "b");
    (void)open_view(f, "", "");
    ask_until(f, r, f->v->ops->peers(f->v->impl, &v, &n, &f->e));
    assert_int_equal(r, 0);
    assert_string_equal(f->method, "Status.Peers");
    assert_int_equal(n, 2);
    assert_string_equal(v[1], "b");
    strv_done(&v, &n);
    (void)open_view(f, "", "");
    ask_until(f, r, f->v->ops->regions(f->v->impl, &v, &n, &f->e));
    assert_string_equal(f->method, "Region.List");
    assert_int_equal(n, 2);
    strv_done(&v, &n);
}

static void test_texts_that_are_none(void **state)
{
    static const char *const bodies[] = {"\x05", "\x91\x05", "\x80"};
    struct fixture *f = *state;

    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        const char *leader = NULL;
        char **v = NULL;
        size_t n = 0;
        int r;

        buf_reset(&f->reply);
        buf_add_str(&f->reply, bodies[i]);
        (void)open_view(f, "", "");
        ask_until(f, r, f->v->ops->leader(f->v->impl, &leader, &f->e));
        assert_true(r < 0);
        (void)open_view(f, "", "");
        ask_until(f, r, f->v->ops->peers(f->v->impl, &v, &n, &f->e));
        assert_true(r < 0);
        assert_null(v);
    }
}

static void test_members_as_json(void **state)
{
    struct fixture *f = *state;
    _cleanup_buf_ struct buf b = BUF_INIT(MIB);
    uint8_t v4[] = {10, 0, 0, 1}, mapped[16] = {[10] = 255, 255, 10, 0, 0, 2}, v6[16] = {0xfd};
    struct server_member m[] = {
        {.name = (char *)(uintptr_t) "a", .addr = {v4, 4}, .port = 4648},
        {.name = (char *)(uintptr_t) "b",                   .addr = {mapped, 16}, .port = 1},
        {.name = (char *)(uintptr_t) "c", .addr = {v6, 16}},
        {.name = (char *)(uintptr_t) "d"                     },
    };
    struct server_members_response reply = {
        .server_dc = (char *)(uintptr_t) "dc1", .members = m, .n_members = ARRAY_LEN(m)};
    int r;

    mp_encode(&f->reply, &desc_server_members_response, &reply);
    (void)open_view(f, "", "");
    ask_until(f, r, f->v->ops->agent_members(f->v->impl, &b, &f->e));
    assert_int_equal(r, 0);
    assert_non_null(strstr(buf_str(&b), "{\"Members\":[{\"Addr\":\"10.0.0.1\",\"DelegateCur\":0,"));
    assert_non_null(strstr(buf_str(&b), "{\"Addr\":\"10.0.0.2\","));
    assert_non_null(strstr(buf_str(&b), "{\"Addr\":\"fd00::\","));
    assert_non_null(strstr(buf_str(&b), "{\"Addr\":\"\","));
    assert_non_null(
        strstr(buf_str(&b), "],\"ServerDC\":\"dc1\",\"ServerName\":\"\",\"ServerRegion\":\"\"}"));
}

/* --- writes --- */

static int drain(struct fixture *f, struct node_drain_update_response *ret)
{
    struct node_update_drain_request request = {
        .node_id = (char *)(uintptr_t)ID_A,
        .w = ask_write_request(&f->ask, "global"),
    };

    return f->v->ops->call(f->v->impl, &methods[M_NODE_UPDATE_DRAIN], &request, ret, &f->meta,
                           &f->e);
}

static void test_a_write_is_sent_once_and_told(void **state)
{
    struct fixture *f = *state;
    struct node_drain_update_response reply = {.node_modify_index = 41, .w.index = 41}, got = {0};
    struct node_update_drain_request sent = {0};
    struct err e;
    int r;

    mp_encode(&f->reply, &desc_node_drain_update_response, &reply);
    (void)open_view(f, ID_A, "");
    ask_until(f, r, drain(f, &got));
    assert_int_equal(r, 0);
    assert_int_equal(got.node_modify_index, 41);
    assert_int_equal(f->meta.index, 41);
    assert_string_equal(f->method, "Node.UpdateDrain");
    assert_int_equal(
        mp_decode(&desc_node_update_drain_request, f->request.p, f->request.len, &sent, &e), 0);
    assert_string_equal(sent.w.auth_token, "tok");
    assert_string_equal(sent.node_id, ID_A);
    ops_clear(&desc_node_update_drain_request, &sent);
    assert_int_equal(f->writes, 1);
    assert_string_equal(f->written_id, ID_A);
    assert_int_equal(f->written_index, 41);
    ops_clear(&desc_node_drain_update_response, &got);
}

static void test_a_write_that_failed_is_not_told(void **state)
{
    struct fixture *f = *state;
    struct node_drain_update_response got = {0};
    int r;

    f->fail = "node not found";
    (void)open_view(f, ID_A, "");
    ask_until(f, r, drain(f, &got));
    assert_true(r < 0);
    assert_string_equal(f->e.text, "rpc error: node not found");
    assert_int_equal(f->e.status, 0);
    assert_int_equal(f->writes, 0);
    assert_int_equal(f->calls, 1);
}

/* which failures are 404 on a client agent; the texts stay */
static void test_what_is_not_found(void **state)
{
    static const struct {
        const char *fail;
        enum method_id method;
        int status;
    } rows[] = {
        {"Unknown node x",  M_CLIENT_STATS,   404},
        {"No path to node", M_CLIENT_STATS,   404},
        {"No path to node", M_NODE_META_READ, 404},
        {"Unknown node x",  M_NODE_META_READ, 0  },
        {"No path to node", M_NODE_EVALUATE,  0  },
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct method *m = &methods[rows[i].method];
        _cleanup_free_ void *request = xcalloc(1, m->request->size);
        _cleanup_free_ void *reply = xcalloc(1, m->reply->size);
        int r;

        f->fail = rows[i].fail;
        (void)open_view(f, "", "");
        ask_until(f, r, f->v->ops->call(f->v->impl, m, request, reply, &f->meta, &f->e));
        assert_true(r < 0);
        assert_int_equal(f->e.status, rows[i].status);
        assert_true(str_starts(f->e.text, "rpc error: "));
    }
}

/* it may have been done: sending it again could do it twice */
static void test_a_write_is_not_repeated_when_the_connection_is_lost(void **state)
{
    struct fixture *f = *state;
    struct node_drain_update_response got = {0};

    f->mute = true;
    (void)open_view(f, ID_A, "");
    assert_int_equal(drain(f, &got), -EINPROGRESS);
    turn_until(f->loop, f->held);
    rpc_session_close(f->held->session);
    turn_until(f->loop, f->woken > 0);
    assert_true(drain(f, &got) < 0);
    assert_true(str_starts(f->e.text, "rpc error: "));
    assert_int_equal(f->calls, 1);
}

/* --- failures --- */

static void test_no_servers(void **state)
{
    struct fixture *f = *state;
    const struct node_item *it = NULL;
    int r;

    (void)pool_set_servers(f->pool, NULL, 0);
    (void)open_view(f, ID_A, "");
    ask_until(f, r, f->v->ops->node(f->v->impl, ID_A, &it, &f->meta, &f->e));
    assert_true(r < 0);
    assert_string_equal(f->e.text, "no servers");
}

static void test_a_server_that_is_gone(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *want =
        xasprintf("rpc error: failed to get conn: dial tcp %s: connect: ", f->address);
    const struct node_item *it = NULL;
    int r;

    f->ln = rpc_listener_free(f->ln);
    (void)open_view(f, ID_A, "");
    ask_until(f, r, f->v->ops->node(f->v->impl, ID_A, &it, &f->meta, &f->e));
    assert_true(r < 0);
    assert_true(str_starts(f->e.text, want));
}

static void test_a_server_that_says_nothing(void **state)
{
    struct fixture *f = *state;
    const struct node_item *it = NULL;

    clock_fake(true, 1000 * NSEC_PER_SEC, 1700000000 * (int64_t)NSEC_PER_SEC);
    f->mute = true;
    (void)open_view(f, ID_A, "");
    assert_int_equal(f->v->ops->node(f->v->impl, ID_A, &it, &f->meta, &f->e), -EINPROGRESS);
    turn_until(f->loop, f->held);
    for (int i = 0; i < 120 && f->woken == 0; i++) {
        clock_fake_advance(NSEC_PER_SEC);
        (void)loop_run_due(f->loop);
        turn_some(f->loop, 3);
    }
    assert_int_equal(f->woken, 1);
    assert_true(f->v->ops->node(f->v->impl, ID_A, &it, &f->meta, &f->e) < 0);
    assert_true(str_starts(f->e.text, "rpc error: "));
    clock_fake(false, 0, 0);
}

/* a blocking question has its own time and then some */
static void test_a_blocking_question_is_not_given_up_early(void **state)
{
    struct fixture *f = *state;
    const struct node_item *it = NULL;

    clock_fake(true, 1000 * NSEC_PER_SEC, 1700000000 * (int64_t)NSEC_PER_SEC);
    f->mute = true;
    (void)open_view(f, ID_A, "index=9&wait=10m");
    assert_int_equal(f->v->ops->node(f->v->impl, ID_A, &it, &f->meta, &f->e), -EINPROGRESS);
    turn_until(f->loop, f->held);
    for (int i = 0; i < 318; i++) {
        clock_fake_advance(NSEC_PER_SEC);
        (void)loop_run_due(f->loop);
        turn_some(f->loop, 2);
    }
    assert_int_equal(f->woken, 0);
    reply_with_node(f, 1);
    rpc_reply(steal_ptr(&f->held), f->reply.p, f->reply.len);
    turn_until(f->loop, f->woken > 0);
    assert_int_equal(f->v->ops->node(f->v->impl, ID_A, &it, &f->meta, &f->e), 0);
    (void)node_item_unref(it);
    clock_fake(false, 0, 0);
}

static void test_closing_calls_off_what_is_under_way(void **state)
{
    struct fixture *f = *state;
    const struct node_item *it = NULL;

    f->mute = true;
    (void)open_view(f, ID_A, "");
    assert_int_equal(f->v->ops->node(f->v->impl, ID_A, &it, &f->meta, &f->e), -EINPROGRESS);
    turn_until(f->loop, f->held);
    close_view(f);
    turn_until(f->loop, !f->held); /* the server is told */
    assert_int_equal(f->woken, 0);
}

static void test_closing_before_anything_was_asked(void **state)
{
    struct fixture *f = *state;

    (void)open_view(f, ID_A, "");
    close_view(f);
    turn_some(f->loop, 3);
    assert_int_equal(f->calls, 0);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_list_carries_everything_along),
        TEST(test_a_long_list_is_cut_in_slices),
        TEST(test_a_list_without_extras_asks_for_none),
        TEST(test_lists_that_are_none),
        TEST(test_a_node),
        TEST(test_a_node_that_is_not_there_has_an_index),
        TEST(test_allocations),
        TEST(test_leader_peers_and_regions),
        TEST(test_texts_that_are_none),
        TEST(test_members_as_json),
        TEST(test_a_write_is_sent_once_and_told),
        TEST(test_a_write_that_failed_is_not_told),
        TEST(test_what_is_not_found),
        TEST(test_a_write_is_not_repeated_when_the_connection_is_lost),
        TEST(test_no_servers),
        TEST(test_a_server_that_is_gone),
        TEST(test_a_server_that_says_nothing),
        TEST(test_a_blocking_question_is_not_given_up_early),
        TEST(test_closing_calls_off_what_is_under_way),
        TEST(test_closing_before_anything_was_asked),
    };

    return cmocka_run_group_tests_name("fwd", tests, NULL, NULL);
}
