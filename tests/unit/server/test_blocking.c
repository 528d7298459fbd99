/* Blocking queries by Nomad's rules, over HTTP and RPC: what each read waits for, at which index it
 * stands, when it ends (facts: http-api 7, server-semantics 8). */
#include "tests/support/http_raw.h"

#include <stdio.h>

#include "model/rpc_types.h"
#include "tests/support/served.h"

#define SEC  NSEC_PER_SEC
#define NODE "00000001-0000-4000-8000-000000000001"
#define GONE "000000ff-0000-4000-8000-0000000000ff"

static int setup(void **state)
{
    struct served *s = xnew0(struct served);

    served_init(s);
    s->h->conf.server.min_heartbeat_ttl = 36000 * (int64_t)SEC; /* no beat is missed here */
    server_reload(s->h->server);
    harness_ready(s->h, 1);
    harness_ready(s->h, 2);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    served_done(*state);
    free(*state);
    return 0;
}

/* --- what may happen meanwhile --- */

enum happens { NEW_NODE, STATUS, EVENT, BEAT, REGISTER_AGAIN, DELETION, HAPPENS_MAX };
static const char *const happens_name[] = {"a new node", "a status",       "an event",
                                           "a beat",     "a registration", "a deletion"};

static void let_happen(struct served *s, enum happens what)
{
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;
    _cleanup_(node_freep) struct node *n = make_node(what == NEW_NODE ? 3 : 1);

    switch (what) {
    case STATUS:
        harness_status(s->h, 1, NODE_STATUS_DOWN, NULL, &a);
        break;
    case EVENT:
        served_event(s, 1);
        break;
    case BEAT:
        harness_status(s->h, 1, NODE_STATUS_READY, NULL, &a);
        break;
    case NEW_NODE:
    case REGISTER_AGAIN:
        harness_register(s->h, n, &a);
        break;
    default:
        served_delete(s, 1);
    }
    harness_settle(s->h);
}

/* for each read: what ends its waiting */
struct row {
    const char *name; /* target of a GET, or method of a call */
    const char *id, *prefix;
    uint64_t index; /* where it stands at first */
    bool ends[HAPPENS_MAX];
};

#define TABLE_WAKES                                                                                \
    {                                                                                              \
        [NEW_NODE] = 1, [STATUS] = 1, [EVENT] = 1, [REGISTER_AGAIN] = 1, [DELETION] = 1            \
    }
#define NODE_WAKES                                                                                 \
    {                                                                                              \
        [STATUS] = 1, [REGISTER_AGAIN] = 1, [DELETION] = 1                                         \
    }

static const struct row targets[] = {
    {"/v1/nodes",                       "", "", 4, TABLE_WAKES},
    {"/v1/nodes?prefix=abcdef",         "", "", 4, TABLE_WAKES}, /* nothing has it */
    {"/v1/nodes?prefix=0000&resources", "", "", 4, TABLE_WAKES},
    {"/v1/node/" NODE,                  "", "", 2, NODE_WAKES },
    {"/v1/node/" GONE,                  "", "", 4, TABLE_WAKES},
    {"/v1/node/" NODE "/allocations",   "", "", 1, {0}        },
    {"/v1/node/" GONE "/allocations",   "", "", 1, {0}        },
};

static const struct row calls[] = {
    {"Node.List",            "",   "",       4, TABLE_WAKES},
    {"Node.List",            "",   "abcdef", 4, TABLE_WAKES},
    {"Node.GetNode",         NODE, "",       2, NODE_WAKES },
    {"Node.GetNode",         GONE, "",       4, TABLE_WAKES},
    {"Node.GetAllocs",       NODE, "",       1, {0}        },
    {"Node.GetAllocs",       GONE, "",       1, {0}        },
    {"Node.GetClientAllocs", NODE, "",       1, {0}        },
};

/* --- HTTP --- */

/* a request with that index; wait: "" or "&wait=..." */
static void get(struct served *s, int fd, const char *target, uint64_t index, const char *wait)
{
    _cleanup_free_ char *text =
        xasprintf("GET %s%cindex=%llu%s HTTP/1.1\r\nHost: h\r\n\r\n", target,
                  strchr(target, '?') ? '&' : '?', (unsigned long long)index, wait);

    say(s->h->loop, fd, text);
    harness_settle(s->h);
}

/* status of the answer that is there; 0: none */
static int answered(struct served *s, int fd, struct buf *got)
{
    harness_settle(s->h);
    (void)listen_to(fd, got);
    return got->len > 12 ? (int)strtoull(buf_str(got) + 9, NULL, 10) : 0;
}

static uint64_t index_of(const struct buf *got)
{
    const char *at = strstr(buf_str(got), "X-Nomad-Index: ");

    assert_non_null(at);
    return strtoull(at + 15, NULL, 10);
}

static void assert_meta(const struct buf *got)
{
    assert_has(got, "X-Nomad-Knownleader: true\r\n");
    assert_has(got, "X-Nomad-Lastcontact: 0\r\n");
}

/* below the index it stands at: at once; at it or above: it waits */
static void test_http_by_index(void **state)
{
    struct served *s = *state;

    for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
        for (uint64_t index = 0; index <= targets[i].index + 1000; index++) {
            _cleanup_buf_ struct buf got = BUF_INIT(MIB);
            _cleanup_close_ int fd = dial(s->http_address);
            int status;

            if (index == targets[i].index + 2)
                index += 997;
            get(s, fd, targets[i].name, index, "&wait=8s");
            status = answered(s, fd, &got);
            if ((status != 0) != (index == 0 || index < targets[i].index))
                fail_msg("%s index=%llu: %d", targets[i].name, (unsigned long long)index, status);
            if (status == 0) {
                harness_advance(s->h, 8 * SEC - 1);
                assert_int_equal(answered(s, fd, &got), 0);
                harness_advance(s->h, SEC / 2 + 1);
                status = answered(s, fd, &got);
            }
            assert_int_equal(
                status,
                strstr(targets[i].name, GONE) && !strstr(targets[i].name, "alloc") ? 404 : 200);
            assert_int_equal(index_of(&got), targets[i].index);
            assert_meta(&got);
        }
    }
}

static void restart(void **state)
{
    (void)teardown(state);
    (void)setup(state);
}

static void test_http_what_ends_the_waiting(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
        for (enum happens what = 0; what < HAPPENS_MAX; what++) {
            _cleanup_buf_ struct buf got = BUF_INIT(MIB);
            struct served *s = *state;
            int fd = dial(s->http_address), status;

            get(s, fd, targets[i].name, targets[i].index, "");
            assert_int_equal(answered(s, fd, &got), 0);
            let_happen(s, what);
            status = answered(s, fd, &got);
            if ((status != 0) != targets[i].ends[what])
                fail_msg("%s after %s: %d", targets[i].name, happens_name[what], status);
            if (status != 0) {
                assert_int_equal(index_of(&got),
                                 store_table_index(s->h->server->store, TABLE_NODES));
                assert_meta(&got);
            }
            if (strcmp(targets[i].name, "/v1/node/" NODE) == 0 && what == DELETION)
                assert_int_equal(status, 404);
            (void)fd_close(fd);
            restart(state);
        }
    }
}

/* an index from before a restore: no write up to it is news, and what comes then is the present */
static void test_http_an_index_of_the_future(void **state)
{
    struct served *s = *state;
    _cleanup_buf_ struct buf list = BUF_INIT(MIB), one = BUF_INIT(MIB), far = BUF_INIT(MIB);
    int fds[] = {dial(s->http_address), dial(s->http_address), dial(s->http_address)};

    get(s, fds[0], "/v1/nodes", 6, "");
    get(s, fds[1], "/v1/node/" NODE, 6, "");
    get(s, fds[2], "/v1/node/" NODE, 1000, "&wait=16s");
    let_happen(s, STATUS); /* 5 */
    let_happen(s, BEAT);   /* ready again: 6 */
    assert_int_equal(answered(s, fds[0], &list), 0);
    assert_int_equal(answered(s, fds[1], &one), 0);
    let_happen(s, STATUS); /* 7 */
    assert_int_equal(answered(s, fds[0], &list), 200);
    assert_int_equal(answered(s, fds[1], &one), 200);
    assert_int_equal(index_of(&list), 7);
    assert_int_equal(index_of(&one), 7);
    let_happen(s, DELETION); /* 8: the node is gone, and that is not yet 1000 */
    assert_int_equal(answered(s, fds[2], &far), 0);
    let_happen(s, NEW_NODE);
    assert_int_equal(answered(s, fds[2], &far), 0);
    harness_advance(s->h, 17 * SEC);
    assert_int_equal(answered(s, fds[2], &far), 404);
    assert_int_equal(index_of(&far), 9);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        (void)fd_close(fds[i]);
}

/* one connection: what stands behind a request that waits is answered behind it */
static void test_http_pipelined_behind_one_that_waits(void **state)
{
    struct served *s = *state;
    _cleanup_buf_ struct buf got = BUF_INIT(MIB), other = BUF_INIT(MIB);
    _cleanup_close_ int fd = dial(s->http_address), fd2 = dial(s->http_address);

    say(s->h->loop, fd,
        "GET /v1/node/" NODE "?index=2 HTTP/1.1\r\nHost: h\r\n\r\n"
        "GET /v1/status/leader HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_int_equal(answered(s, fd, &got), 0);
    say(s->h->loop, fd2, "GET /v1/status/leader HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_int_equal(answered(s, fd2, &other), 200); /* others are not held up */
    let_happen(s, STATUS);
    assert_int_equal(answered(s, fd, &got), 200);
    assert_int_equal(count(&got, "HTTP/1.1 200"), 2);
    assert_true(strstr(buf_str(&got), "\"Status\":\"down\"") < strstr(buf_str(&got), HARNESS_RPC));
}

static void test_http_stale_and_errors(void **state)
{
    struct served *s = *state;
    _cleanup_buf_ struct buf stale = BUF_INIT(MIB), wrong = BUF_INIT(MIB);
    _cleanup_close_ int fd = dial(s->http_address), fd2 = dial(s->http_address);

    get(s, fd, "/v1/nodes?stale&consistent", 4, "&wait=4s");
    assert_int_equal(answered(s, fd, &stale), 0);
    harness_advance(s->h, 5 * SEC);
    assert_int_equal(answered(s, fd, &stale), 200);
    assert_int_equal(index_of(&stale), 4);
    assert_meta(&stale);
    get(s, fd2, "/v1/nodes?prefix=xyz", 4, "&wait=4s"); /* errors do not wait */
    assert_int_equal(answered(s, fd2, &wrong), 500);
}

/* --- RPC --- */

static void call_row(struct served *s, const struct row *r, uint64_t index, int64_t wait_ns,
                     struct rpc_answer *a)
{
    char id[UUID_TEXT_LEN + 1], prefix[16], secret[UUID_TEXT_LEN + 1];
    struct query_options o = {.region = s->h->conf.region,
                              .min_query_index = index,
                              .max_query_time = wait_ns,
                              .prefix = prefix};
    struct node_specific_request one = {.node_id = id, .secret_id = secret, .q = o};
    struct node_list_request list = {.q = o};

    (void)snprintf(id, sizeof(id), "%s", r->id);
    (void)snprintf(prefix, sizeof(prefix), "%s", r->prefix);
    make_node_secret(1, secret);
    if (*r->id)
        harness_call(s->h, r->name, &desc_node_specific_request, &one, a);
    else
        harness_call(s->h, r->name, &desc_node_list_request, &list, a);
}

/* the Index of any reply: the last key of that name counts, and there is one */
static uint64_t reply_index(const struct rpc_answer *a)
{
    const uint8_t *p;
    struct mp_token t;
    struct mp_in in;
    size_t n;

    assert_int_equal(mp_map_find(a->body.p, a->body.len, "Index", &p, &n), 0);
    in = mp_in(p, n);
    assert_int_equal(mp_next(&in, &t), 0);
    return t.u;
}

static void test_rpc_by_index(void **state)
{
    struct served *s = *state;

    for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
        uint64_t at = calls[i].index;
        const uint64_t asked[] = {0, at > 1 ? at - 1 : 0, at, at + 1, at + 1000};

        for (size_t k = 0; k < ARRAY_LEN(asked); k++) {
            _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;

            call_row(s, &calls[i], asked[k], 8 * (int64_t)SEC, &a);
            if (a.replied != (asked[k] == 0 || asked[k] < at))
                fail_msg("%s at %llu", calls[i].name, (unsigned long long)asked[k]);
            if (!a.replied) {
                harness_advance(s->h, 8 * SEC - 1);
                assert_false(a.replied);
                harness_advance(s->h, SEC / 2 + 1);
            }
            assert_true(a.replied);
            assert_int_equal(reply_index(&a), at);
        }
    }
}

static void test_rpc_what_ends_the_waiting(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
        for (enum happens what = 0; what < HAPPENS_MAX; what++) {
            _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;
            struct served *s = *state;

            call_row(s, &calls[i], calls[i].index, 0, &a);
            assert_non_null(a.call);
            let_happen(s, what);
            if (a.replied != calls[i].ends[what])
                fail_msg("%s %s after %s", calls[i].name, calls[i].id, happens_name[what]);
            if (a.replied)
                assert_int_equal(reply_index(&a),
                                 store_table_index(s->h->server->store, TABLE_NODES));
            if (a.call) /* the server of this answer goes now */
                call_gone(steal_ptr(&a.call));
            restart(state);
        }
    }
}

/* GetClientAllocs of a node that does not exist (yet) stands at the index of the allocations */
static void test_rpc_an_index_of_the_future(void **state)
{
    static const struct row far = {"Node.GetNode", NODE, "", 2, {0}};
    _cleanup_rpc_answer_ struct rpc_answer a = RPC_ANSWER_INIT;
    struct served *s = *state;

    call_row(s, &far, 500, 16 * (int64_t)SEC, &a);
    let_happen(s, STATUS);
    let_happen(s, DELETION);
    let_happen(s, NEW_NODE);
    assert_false(a.replied);
    harness_advance(s->h, 17 * SEC);
    assert_true(a.replied);
    assert_int_equal(reply_index(&a), store_table_index(s->h->server->store, TABLE_NODES));
}

/* a server that has started again knows its index; one that lost some waits until it is there */
static void test_after_a_restart(void **state)
{
    static const struct row list = {"Node.List", "", "", 4, {0}};
    _cleanup_rpc_answer_ struct rpc_answer same = RPC_ANSWER_INIT, old = RPC_ANSWER_INIT;
    struct served *s = *state;

    s->api = api_free(s->api);
    s->rpc = rpc_listener_free(s->rpc);
    harness_restart(s->h);
    call_row(s, &list, 3, 0, &old);
    assert_true(old.replied);
    assert_int_equal(reply_index(&old), 4);
    call_row(s, &list, 4, 0, &same);
    assert_non_null(same.call);
    let_happen(s, STATUS);
    assert_true(same.replied);
    assert_int_equal(reply_index(&same), 5);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_http_by_index),
        TEST(test_http_what_ends_the_waiting),
        TEST(test_http_an_index_of_the_future),
        TEST(test_http_pipelined_behind_one_that_waits),
        TEST(test_http_stale_and_errors),
        TEST(test_rpc_by_index),
        TEST(test_rpc_what_ends_the_waiting),
        TEST(test_rpc_an_index_of_the_future),
        TEST(test_after_a_restart),
    };

    return cmocka_run_group_tests_name("server/blocking", tests, NULL, NULL);
}
