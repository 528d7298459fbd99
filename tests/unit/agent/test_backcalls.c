/* What servers ask a node: over a session of their own, and by the door of the local API. */
#include "agent/backcalls.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "api/routes.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/str.h"
#include "codec/mp.h"
#include "codec/ops.h"
#include "model/methods.h"
#include "model/rpc_types.h"
#include "tests/support/wire_loop.h"
#include "wire/conn.h"

#define NODE_ID "f7476465-4d6e-c0de-26d0-e383c49be941"
#define OTHER   "11111111-1111-1111-1111-111111111111"

struct bed {
    struct loop *l;
    char *dir, *probe;
    struct conf conf;
    struct journal *journal;
    struct meta *meta;
    struct backcalls *b;
    struct rpc_session *agent, *server; /* the two ends of one connection */
    /* the last answer */
    bool answered;
    enum rpc_result how;
    char text[512];
    struct buf body;
    /* the last stream */
    bool ended;
    size_t n_objects;
    struct buf objects;
    unsigned woken;
};

static void put_probe(const struct bed *b, const char *script)
{
    struct err e;

    assert_int_equal(file_write_atomic(b->probe, script, strlen(script), 0700, &e), 0);
}

static void join(struct bed *b)
{
    uint8_t type;
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    b->agent = rpc_session_new(conn_new(b->l, fds[0], &(const struct conn_user){0}, NULL),
                               &(struct rpc_session_opts){.handler = backcalls_request,
                                                          .handler_arg = b->b,
                                                          .stream_handler = backcalls_stream,
                                                          .stream_arg = b->b,
                                                          .client = true});
    while (recv(fds[1], &type, 1, 0) != 1) /* the acceptor's business */
        turn_some(b->l, 1);
    b->server = rpc_session_new(conn_new(b->l, fds[1], &(const struct conn_user){0}, NULL),
                                &(struct rpc_session_opts){0});
}

static int setup(void **state)
{
    struct bed *b = xnew0(struct bed);
    const char *tmp = getenv("TMPDIR");
    struct err e;

    log_set_level(LOG_LEVEL_OFF);
    b->dir = xasprintf("%s/back-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(b->dir) || loop_new(&b->l) < 0)
        return -1;
    b->probe = xasprintf("%s/picket-probe", b->dir);
    put_probe(b, "#!/bin/sh\nexit 0\n");
    b->conf.region = xstrdup("global");
    b->conf.client.alloc_dir = xstrdup(b->dir);
    strmap_set(&b->conf.client.meta, "rack", "r1");
    b->body = BUF_INIT(MIB);
    b->objects = BUF_INIT(MIB);
    assert_int_equal(journal_open(b->l, b->dir, NODE_ID, &b->journal, &e), 0);
    b->meta = meta_new(&(struct meta_opts){.conf = &b->conf, .journal = b->journal});
    b->b = backcalls_new(&(struct backcalls_opts){.loop = b->l,
                                                  .conf = &b->conf,
                                                  .node_id = NODE_ID,
                                                  .secret_id = OTHER,
                                                  .probe_path = b->probe,
                                                  .meta = b->meta});
    join(b);
    *state = b;
    return 0;
}

static int teardown(void **state)
{
    static const char *const files[] = {"picket-probe", "picket-meta.mp", ""};
    struct bed *b = *state;

    rpc_session_close(b->server);
    rpc_session_close(b->agent);
    turn_some(b->l, 5);
    (void)rpc_session_unref(b->server);
    (void)rpc_session_unref(b->agent);
    (void)backcalls_free(b->b);
    (void)meta_free(b->meta);
    (void)journal_free(b->journal);
    turn_some(b->l, 20);
    conn_drop_closing(b->l);
    (void)loop_free(b->l);
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        _cleanup_free_ char *path = xasprintf("%s/%s", b->dir, files[i]);

        (void)remove(path);
    }
    strmap_done(&b->conf.client.meta);
    free(b->conf.region);
    free(b->conf.client.alloc_dir);
    buf_done(&b->body);
    buf_done(&b->objects);
    free(b->dir);
    free(b->probe);
    free(b);
    return 0;
}

/* --- the servers' door --- */

static void on_done(void *arg, enum rpc_result how, const char *text, const uint8_t *body, size_t n)
{
    struct bed *b = arg;

    b->answered = true;
    b->how = how;
    (void)snprintf(b->text, sizeof(b->text), "%s", str_or_empty(text));
    buf_reset(&b->body);
    if (how == RPC_OK)
        buf_add(&b->body, body, n);
}

static void ask_raw(struct bed *b, const char *method, const void *p, size_t n)
{
    b->answered = false;
    (void)rpc_call(b->server, method, p, n, 0, on_done, b);
    (void)alarm(60);
    while (!b->answered)
        assert_int_equal(loop_turn(b->l, 100 * NSEC_PER_MSEC), 0);
    (void)alarm(0);
}

static void ask(struct bed *b, const char *method, const struct desc *d, const void *request)
{
    _cleanup_buf_ struct buf q = BUF_INIT(MIB);

    mp_encode(&q, d, request);
    ask_raw(b, method, q.p, q.len);
}

static void assert_refused(const struct bed *b, const char *text)
{
    assert_int_equal(b->how, RPC_ERROR);
    assert_string_equal(b->text, text);
}

/* the reply as its struct; the caller's to clear */
static void decode(const struct bed *b, const struct desc *d, void *ret)
{
    struct err e = {0};

    if (b->how != RPC_OK)
        fail_msg("refused: %s", b->text);
    if (mp_decode(d, b->body.p, b->body.len, ret, &e) < 0)
        fail_msg("%s", e.text);
}

static void test_statistics_over_rpc(void **state)
{
    struct bed *b = *state;
    struct node_specific_request q = {.node_id = (char *)(uintptr_t)NODE_ID};
    struct client_stats_response r = {0};

    ask(b, "ClientStats.Stats", &desc_node_specific_request, &q);
    decode(b, &desc_client_stats_response, &r);
    assert_true(r.host_stats->n_cpu > 0);
    assert_true(r.host_stats->memory->total > 0);
    assert_non_null(r.host_stats->alloc_dir_stats);
    ops_clear(&desc_client_stats_response, &r);
}

static void test_metadata_over_rpc(void **state)
{
    struct bed *b = *state;
    struct optpair p = {(char *)(uintptr_t) "new", (char *)(uintptr_t) "1"};
    struct node_meta_apply_request q = {
        .meta = {&p, 1}
    };
    struct node_meta_response r = {0};

    ask(b, "NodeMeta.Apply", &desc_node_meta_apply_request, &q);
    decode(b, &desc_node_meta_response, &r);
    assert_string_equal(strmap_get(&r.meta, "new"), "1");
    assert_string_equal(strmap_get(&r.static_, "rack"), "r1");
    ops_clear(&desc_node_meta_response, &r);
    ask_raw(b, "NodeMeta.Read", "\x80", 1);
    decode(b, &desc_node_meta_response, &r);
    assert_int_equal(r.dynamic.n, 1);
    ops_clear(&desc_node_meta_response, &r);
    p.key = (char *)(uintptr_t) "no good";
    ask(b, "NodeMeta.Apply", &desc_node_meta_apply_request, &q);
    assert_refused(b, "RPC Error:: 400,\"no good\" is invalid; metadata keys must be valid dotted "
                      "hcl identifiers");
}

static void test_host_over_rpc(void **state)
{
    struct bed *b = *state;
    struct host_data_response r = {0};

    ask_raw(b, "Agent.Host", "\x80", 1);
    decode(b, &desc_host_data_response, &r);
    assert_string_equal(r.agent_id, NODE_ID);
    assert_true(*r.host_data->os);
    assert_int_equal(r.host_data->environment.n, 0);
    ops_clear(&desc_host_data_response, &r);
    assert_int_equal(setenv("BACK_TOKEN", "hush", 1), 0);
    b->conf.enable_debug = true;
    ask_raw(b, "Agent.Host", "\x80", 1);
    decode(b, &desc_host_data_response, &r);
    assert_string_equal(strmap_get(&r.host_data->environment, "BACK_TOKEN"), "<redacted>");
    assert_non_null(strmap_get(&r.host_data->environment, "PATH"));
    ops_clear(&desc_host_data_response, &r);
}

static void test_another_node_is_refused(void **state)
{
    static const char *const names[] = {"ClientStats.Stats", "NodeMeta.Read",
                                        "Allocations.GarbageCollectAll"};
    struct bed *b = *state;
    struct node_specific_request q = {.node_id = (char *)(uintptr_t)OTHER};
    struct node_meta_apply_request apply = {.node_id = (char *)(uintptr_t)OTHER};
    struct host_data_request host = {.node_id = (char *)(uintptr_t)OTHER};

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        ask(b, names[i], &desc_node_specific_request, &q);
        assert_refused(b, "Unknown node \"" OTHER "\"");
    }
    ask(b, "NodeMeta.Apply", &desc_node_meta_apply_request, &apply);
    assert_refused(b, "Unknown node \"" OTHER "\"");
    ask(b, "Agent.Host", &desc_host_data_request, &host);
    assert_refused(b, "Unknown node \"" OTHER "\"");
}

static void test_what_is_not_here_is_refused_in_words(void **state)
{
    static const struct {
        const char *method, *text;
    } rows[] = {
        {"Agent.Profile",        "Permission denied"                              },
        {"Allocations.Stats",    "Unknown allocation \"" OTHER "\""               },
        {"Allocations.Restart",  "Unknown allocation \"" OTHER "\""               },
        {"FileSystem.List",      "Unknown allocation \"" OTHER "\""               },
        {"CSI.NodeDetachVolume", "this node runs no CSI plugins"                  },
        {"HostVolume.Create",    "this node has no plugins that make host volumes"},
        {"NodeIdentity.Get",     "this node cannot show its identity"             },
        {"Allocations.Nope",     "rpc: can't find method Allocations.Nope"        },
        {"ClientStats.Nope",     "rpc: can't find method ClientStats.Nope"        },
        {"Node.Register",        "rpc: can't find service Node.Register"          },
        {"Nope.Nope",            "rpc: can't find service Nope.Nope"              },
        {"Nope",                 "rpc: service/method request ill-formed: Nope"   },
    };
    struct bed *b = *state;
    struct alloc_specific_request q = {.alloc_id = (char *)(uintptr_t)OTHER};

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        ask(b, rows[i].method, &desc_alloc_specific_request, &q);
        assert_refused(b, rows[i].text);
    }
    ask_raw(b, "Allocations.GarbageCollectAll", "\x80", 1);
    assert_int_equal(b->how, RPC_OK);
}

static void test_bodies_that_do_not_decode(void **state)
{
    static const char *const names[] = {"ClientStats.Stats", "NodeMeta.Apply", "Agent.Host",
                                        "Allocations.Stats"};
    struct bed *b = *state;

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        ask_raw(b, names[i], "\x93\x01\x02\x03", 4);
        assert_int_equal(b->how, RPC_ERROR);
        ask_raw(b, "NodeMeta.Read", "\x80", 1); /* nothing else suffers */
        assert_int_equal(b->how, RPC_OK);
    }
}

/* the server goes while the disks are being asked */
static void test_server_that_does_not_wait_for_the_answer(void **state)
{
    struct bed *b = *state;

    put_probe(b, "#!/bin/sh\nexec sleep 1000\n");
    (void)rpc_call(b->server, "ClientStats.Stats", "\x80", 1, 0, on_done, b);
    turn_some(b->l, 20);
    assert_false(b->answered);
    rpc_session_close(b->server);
    turn_some(b->l, 20);
}

/* --- streams --- */

static void on_object(void *arg, const uint8_t *p, size_t n)
{
    struct bed *b = arg;

    b->n_objects++;
    buf_add(&b->objects, p, n);
}

static void on_end(void *arg, const struct err *e)
{
    struct bed *b = arg;

    b->ended = true;
    (void)snprintf(b->text, sizeof(b->text), "%s", e ? e->text : "");
}

static struct rpc_stream *open_stream(struct bed *b, const char *method, const struct desc *d,
                                      const void *request)
{
    static const struct rpc_stream_user user = {on_object, NULL, on_end};
    _cleanup_buf_ struct buf q = BUF_INIT(MIB);

    b->ended = false;
    b->n_objects = 0;
    buf_reset(&b->objects);
    mp_encode(&q, d, request);
    return rpc_stream_open(b->server, method, q.p, q.len, &user, b);
}

/* the one frame is an error with this code and text, and the end comes behind it */
static void assert_stream_failed(struct bed *b, int64_t code, const char *text)
{
    struct stream_frame f = {0};
    struct err e;

    turn_until(b->l, b->ended);
    assert_int_equal(b->n_objects, 1);
    assert_int_equal(mp_decode(&desc_stream_frame, b->objects.p, b->objects.len, &f, &e), 0);
    assert_non_null(f.error);
    assert_int_equal(*f.error->code, code);
    assert_string_equal(f.error->message, text);
    ops_clear(&desc_stream_frame, &f);
}

static void test_streams_of_allocations(void **state)
{
    static const char *const names[] = {"Allocations.Exec", "FileSystem.Logs", "FileSystem.Stream"};
    struct bed *b = *state;
    struct alloc_specific_request q = {.alloc_id = (char *)(uintptr_t)OTHER};

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        (void)open_stream(b, names[i], &desc_alloc_specific_request, &q);
        assert_stream_failed(b, 404, "Unknown allocation \"" OTHER "\"");
    }
}

static void test_streams_that_nobody_knows(void **state)
{
    struct bed *b = *state;
    struct monitor_request q = {0};

    (void)open_stream(b, "Nope.Stream", &desc_monitor_request, &q);
    turn_until(b->l, b->ended);
    assert_string_equal(b->text, "Unknown rpc method: \"Nope.Stream\"");
    assert_int_equal(b->n_objects, 0);
}

static void test_log_as_a_stream(void **state)
{
    struct bed *b = *state;
    struct monitor_request q = {.log_level = (char *)(uintptr_t) "debug",
                                .node_id = (char *)(uintptr_t)NODE_ID,
                                .plain_text = true};
    struct stream_frame f = {0};
    struct rpc_stream *s = open_stream(b, "Agent.Monitor", &desc_monitor_request, &q);
    struct mp_in in;
    struct err e;

    for (int i = 0; i < 500 && b->n_objects == 0; i++) { /* until it has begun */
        log_debug("a line for the stream", KI("i", i));
        assert_int_equal(loop_turn(b->l, 10 * NSEC_PER_MSEC), 0);
    }
    in = mp_in(b->objects.p, b->objects.len);
    assert_int_equal(mp_decode_at(&desc_stream_frame, &in, &f, &e), 0);
    assert_null(f.error);
    assert_non_null(memmem(f.payload.p, f.payload.n, "[DEBUG] a line for the stream", 29));
    ops_clear(&desc_stream_frame, &f);
    (void)rpc_stream_close(s);
    turn_some(b->l, 20);
    log_debug("nobody listens any more");
}

static void test_log_that_is_refused(void **state)
{
    struct bed *b = *state;
    struct monitor_request q = {.log_level = (char *)(uintptr_t) "zz"};

    (void)open_stream(b, "Agent.Monitor", &desc_monitor_request, &q);
    assert_stream_failed(b, 400, "Unknown log level");
    q = (struct monitor_request){.node_id = (char *)(uintptr_t)OTHER};
    (void)open_stream(b, "Agent.Monitor", &desc_monitor_request, &q);
    assert_stream_failed(b, 404, "Unknown node \"" OTHER "\"");
}

/* --- the local API's door --- */

static void on_woken(void *arg)
{
    ((struct bed *)arg)->woken++;
}

static void test_api_waits_for_the_figures(void **state)
{
    struct bed *b = *state;
    struct ask q = {.text = NULL};
    struct view_wait w = {.fn = on_woken, .arg = b};
    const struct view *v = backcalls_open(b->b, &q, &w);
    struct node_specific_request request = {0};
    struct client_stats_response r = {0};
    struct view_meta meta;
    struct err e = {0};

    assert_string_equal(v->ops->region(v->impl), "global");
    assert_int_equal(v->ops->call(v->impl, &methods[M_CLIENT_STATS], &request, &r, &meta, &e),
                     -EINPROGRESS);
    assert_int_equal(b->woken, 0);
    turn_until(b->l, b->woken == 1);
    assert_int_equal(v->ops->call(v->impl, &methods[M_CLIENT_STATS], &request, &r, &meta, &e), 0);
    assert_true(r.host_stats->n_cpu > 0);
    ops_clear(&desc_client_stats_response, &r);
    v->ops->close(v);
}

static void test_api_that_goes_before_the_answer(void **state)
{
    struct bed *b = *state;
    struct ask q = {.text = NULL};
    struct view_wait w = {.fn = on_woken, .arg = b};
    const struct view *v = backcalls_open(b->b, &q, &w);
    struct node_specific_request request = {0};
    struct client_stats_response r = {0};
    struct view_meta meta;
    struct err e = {0};

    assert_int_equal(v->ops->call(v->impl, &methods[M_CLIENT_STATS], &request, &r, &meta, &e),
                     -EINPROGRESS);
    v->ops->close(v);
    turn_some(b->l, 200);
    assert_int_equal(b->woken, 0);
}

static void test_api_shows_root_the_environment(void **state)
{
    struct bed *b = *state;
    struct ask q = {.peer_is_unix = true, .peer_uid = 0};
    struct view_wait w = {.fn = on_woken, .arg = b};
    const struct view *v = backcalls_open(b->b, &q, &w);
    struct host_data_request request = {0};
    struct host_data_response r = {0};
    struct view_meta meta;
    struct err e = {0};

    assert_int_equal(v->ops->call(v->impl, &methods[M_AGENT_HOST], &request, &r, &meta, &e),
                     -EINPROGRESS);
    turn_until(b->l, b->woken == 1);
    assert_int_equal(v->ops->call(v->impl, &methods[M_AGENT_HOST], &request, &r, &meta, &e), 0);
    assert_non_null(strmap_get(&r.host_data->environment, "PATH"));
    ops_clear(&desc_host_data_response, &r);
    v->ops->close(v);
}

static void test_api_has_no_other_methods(void **state)
{
    struct bed *b = *state;
    struct ask q = {.text = NULL};
    struct view_wait w = {.fn = on_woken, .arg = b};
    const struct view *v = backcalls_open(b->b, &q, &w);
    struct node_list_request request = {0};
    struct node_list_response r = {0};
    struct view_meta meta;
    struct err e = {0};

    assert_true(v->ops->call(v->impl, &methods[M_NODE_LIST], &request, &r, &meta, &e) < 0);
    assert_int_equal(e.status, 501);
    v->ops->close(v);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_statistics_over_rpc),
        TEST(test_metadata_over_rpc),
        TEST(test_host_over_rpc),
        TEST(test_another_node_is_refused),
        TEST(test_what_is_not_here_is_refused_in_words),
        TEST(test_bodies_that_do_not_decode),
        TEST(test_server_that_does_not_wait_for_the_answer),
        TEST(test_streams_of_allocations),
        TEST(test_streams_that_nobody_knows),
        TEST(test_log_as_a_stream),
        TEST(test_log_that_is_refused),
        TEST(test_api_waits_for_the_figures),
        TEST(test_api_that_goes_before_the_answer),
        TEST(test_api_shows_root_the_environment),
        TEST(test_api_has_no_other_methods),
    };

    loop_block_signals();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
