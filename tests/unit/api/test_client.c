/* api/client: calls against the API of a forked child. */
#include "api/client.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/str.h"
#include "tests/support/api_bed.h"
#include "wire/conn.h"

#define ID "11d0a6c4-2f3e-4b5a-9c8d-7e6f50413223"

struct served {
    pid_t pid;
    char *url;      /* owned */
    char *unix_url; /* owned */
    char *path;     /* owned: of the unix socket */
};

/* stands for the agent's: the second one finds invalid files */
static int fake_reload(void *impl, struct buf *ret)
{
    static int n;

    (void)impl;
    buf_printf(ret, "{\"Errors\":[%d]}", n);
    return n++ ? 400 : 200;
}

/* the child: says where it listens, serves until it is killed */
static void serve(const char *unix_address, int out)
{
    struct err e = {0};
    struct api_bed b;
    int fd;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    api_bed_init(&b);
    if (listen_open(unix_address, &fd, &(char *){NULL}, &e) < 0 || api_listen(b.api, fd, &e) < 0)
        _exit(1);
    fake_view_put(&b.fake, ID, "a");
    b.fake.ops.reload = fake_reload;
    if (write(out, b.address, strlen(b.address)) < 0 || close(out) < 0)
        _exit(1);
    while (loop_turn(b.loop, UINT64_MAX) >= 0)
        ;
    _exit(1);
}

static int setup(void **state)
{
    struct served *s = xnew0(struct served);
    _cleanup_free_ char *address = NULL;
    char bound[64] = "";
    int ends[2];

    s->path = xasprintf("%s/client-%d.sock", getenv("TMPDIR") ?: "/tmp", (int)getpid());
    s->unix_url = xasprintf("unix://%s", s->path);
    address = xasprintf("unix:%s", s->path);
    assert_int_equal(pipe(ends), 0);
    s->pid = fork();
    if (s->pid == 0)
        serve(address, ends[1]);
    assert_true(s->pid > 0);
    (void)close(ends[1]);
    assert_true(read(ends[0], bound, sizeof(bound) - 1) > 0);
    (void)close(ends[0]);
    s->url = xasprintf("http://%s/", bound);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    struct served *s = *state;

    (void)kill(s->pid, SIGKILL);
    (void)waitpid(s->pid, NULL, 0);
    (void)unlink(s->path);
    free(s->url);
    free(s->unix_url);
    free(s->path);
    free(s);
    return 0;
}

static struct client *make(const struct client_opts *o)
{
    struct client *c = NULL;
    struct err e = {0};

    if (client_new(o, &c, &e) < 0)
        fail_msg("%s", e.text);
    return c;
}

static void test_get_over_tcp_and_unix(void **state)
{
    const struct served *s = *state;
    const char *const addresses[] = {s->url, s->unix_url};

    for (size_t i = 0; i < ARRAY_LEN(addresses); i++) {
        _cleanup_(client_freep) struct client *c =
            make(&(struct client_opts){.address = addresses[i], .timeout_ns = 5 * NSEC_PER_SEC});
        _cleanup_client_reply_ struct client_reply list, node;
        struct err e = {0};

        if (client_get(c, "/v1/nodes?per_page=-1", &list, &e) < 0)
            fail_msg("%s", e.text);
        assert_string_equal(buf_str(&list.body), "[]");
        assert_int_equal(list.index, 1);
        assert_string_equal(list.next_token, ID);
        assert_string_equal(list.content_type, "application/json");
        assert_int_equal(client_get(c, "/v1/node/" ID, &node, &e), 0);
        assert_non_null(strstr(buf_str(&node.body), "\"ID\":\"" ID "\"")); /* gzip was undone */
    }
}

static void test_statuses_other_than_200(void **state)
{
    const struct served *s = *state;
    _cleanup_(client_freep) struct client *c = make(&(struct client_opts){.address = s->url});
    _cleanup_client_reply_ struct client_reply got, called;
    struct err e = {0};

    assert_int_equal(client_get(c, "/v1/node/abc", &got, &e), -EPROTO);
    assert_string_equal(e.text, "Unexpected response code: 500 (node lookup failed: index error: "
                                "UUID must be 36 characters)");
    assert_int_equal(e.status, 500);
    assert_int_equal(client_call(c, "PUT", "/v1/node/" ID "/drain", "{}", 2, &called, &e), 0);
    assert_int_equal(called.status, 501);
}

static void test_region_and_namespace_are_added(void **state)
{
    const struct served *s = *state;
    _cleanup_(client_freep) struct client *c = make(
        &(struct client_opts){.address = s->url, .region = "m&s", .namespace_ = "n", .token = "t"});
    _cleanup_client_reply_ struct client_reply one, two;
    struct err e = {0};

    assert_int_equal(client_get(c, "/v1/nodes", &one, &e), -EPROTO);
    assert_string_equal(e.text, "Unexpected response code: 500 (No path to region)");
    assert_int_equal(client_get(c, "/v1/nodes?stale=", &two, &e), -EPROTO);
    assert_string_equal(e.text, "Unexpected response code: 500 (No path to region)");
}

static void test_failures_name_the_address(void **state)
{
    static const struct {
        const char *address, *part;
        int code;
    } rows[] = {
        {"http://127.0.0.1:1", "http://127.0.0.1:1: ", -ECONNREFUSED},
        {"unix:///nope/sock",  "unix:///nope/sock: ",  -ECONNREFUSED},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_(client_freep) struct client *c =
            make(&(struct client_opts){.address = rows[i].address});
        _cleanup_client_reply_ struct client_reply r;
        struct err e = {0};

        assert_int_equal(client_get(c, "/v1/nodes", &r, &e), rows[i].code);
        assert_true(str_starts(e.text, rows[i].part));
    }
}

static void test_timeout_and_ceiling(void **state)
{
    const struct served *s = *state;
    _cleanup_(client_freep) struct client *slow =
        make(&(struct client_opts){.address = s->url, .timeout_ns = 200 * NSEC_PER_MSEC});
    _cleanup_(client_freep) struct client *tight =
        make(&(struct client_opts){.address = s->url, .max_reply = 20});
    _cleanup_client_reply_ struct client_reply one, two;
    struct err e = {0};

    assert_int_equal(client_get(slow, "/v1/nodes?index=99", &one, &e), -ETIMEDOUT);
    assert_int_equal(client_get(tight, "/v1/nodes", &two, &e), -EMSGSIZE);
    assert_non_null(strstr(e.text, "larger than 20 bytes"));
}

static void test_addresses_that_are_none(void **state)
{
    static const char *const rows[] = {"",        NULL,           "127.0.0.1:4646", "ftp://x",
                                       "http://", "unix://rel/x", "https://"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct client *c = NULL;
        struct err e = {0};

        assert_int_equal(client_new(&(struct client_opts){.address = rows[i]}, &c, &e), -EINVAL);
        assert_non_null(strstr(e.text, "is not http://"));
    }
}

static void test_server_name_needs_a_port(void **state)
{
    struct client_opts o = {.address = "https://10.0.0.1", .server_name = "server.global.nomad"};
    struct client *c = NULL;
    struct err e = {0};

    (void)state;
    assert_int_equal(client_new(&o, &c, &e), -EINVAL);
    o.address = "https://10.0.0.1:4646";
    assert_int_equal(client_new(&o, &c, &e), 0);
    c = client_free(c);
}

static void test_reload_only_over_the_unix_socket(void **state)
{
    struct served *s = *state;
    _cleanup_(client_freep) struct client *tcp = make(&(struct client_opts){.address = s->url});
    _cleanup_(client_freep) struct client *un = make(&(struct client_opts){.address = s->unix_url});
    struct client_reply r _cleanup_client_reply_ = {0};
    struct err e = {0};

    assert_true(client_send(tcp, "PUT", "/v1/agent/reload", NULL, 0, &r, &e) < 0);
    assert_int_equal(e.status, 403);
    assert_string_equal(e.text, "Unexpected response code: 403 (Permission denied)");
    client_reply_done(&r);
    assert_int_equal(client_send(un, "PUT", "/v1/agent/reload", NULL, 0, &r, &e), 0);
    assert_string_equal(buf_str(&r.body), "{\"Errors\":[0]}");
    assert_string_equal(r.content_type, "application/json");
    client_reply_done(&r);
    assert_int_equal(client_call(un, "POST", "/v1/agent/reload", NULL, 0, &r, &e), 0);
    assert_int_equal(r.status, 400); /* the JSON says why, all the same */
    assert_string_equal(buf_str(&r.body), "{\"Errors\":[1]}");
    client_reply_done(&r);
    assert_int_equal(client_call(un, "GET", "/v1/agent/reload", NULL, 0, &r, &e), 0);
    assert_int_equal(r.status, 405);
}

/* --- streams --- */

struct pieces {
    struct buf got;
    size_t most; /* enough */
    bool over;
};

static bool on_piece(void *arg, const char *p, size_t n)
{
    struct pieces *x = arg;

    buf_add(&x->got, p, n);
    return x->got.len < x->most;
}

static bool is_over(void *arg)
{
    struct pieces *x = arg;

    return x->over;
}

static void test_stream_hands_pieces_on(void **state)
{
    struct served *s = *state;
    _cleanup_(client_freep) struct client *c = make(&(struct client_opts){.address = s->unix_url});
    struct pieces x = {.got = BUF_INIT(1 << 20), .most = SIZE_MAX};
    struct client_stream how = {on_piece, is_over, &x};
    struct err e = {0};

    assert_int_equal(client_stream(c, "/v1/nodes", &how, &e), 0);
    assert_true(str_starts(buf_str(&x.got), "[{"));
    assert_true(str_ends(buf_str(&x.got), "}]"));
    buf_reset(&x.got);
    x.most = 1; /* given up after the first piece */
    assert_int_equal(client_stream(c, "/v1/nodes", &how, &e), 0);
    assert_true(x.got.len > 0);
    buf_reset(&x.got);
    assert_int_equal(client_stream(c, "/v1/nodes?stale=maybe", &how, &e), -EPROTO);
    assert_int_equal(e.status, 400);
    assert_true(str_starts(e.text, "Unexpected response code: 400 ("));
    assert_int_equal(x.got.len, 0); /* an error is no piece */
    /* a blocking query that nobody answers is left when it is over */
    x.over = true;
    assert_int_equal(client_stream(c, "/v1/nodes?index=1000&wait=60s", &how, &e), 0);
    assert_int_equal(x.got.len, 0);
    buf_done(&x.got);
}

static void test_stream_without_a_peer(void **state)
{
    _cleanup_(client_freep) struct client *c =
        make(&(struct client_opts){.address = "http://127.0.0.1:1"});
    struct pieces x = {.got = BUF_INIT(64), .most = SIZE_MAX};
    struct client_stream how = {on_piece, NULL, &x};
    struct err e = {0};

    (void)state;
    assert_int_equal(client_stream(c, "/v1/nodes", &how, &e), -ECONNREFUSED);
    assert_true(str_starts(e.text, "http://127.0.0.1:1: "));
}

static void test_escape(void **state)
{
    _cleanup_buf_ struct buf b = BUF_INIT(100);

    (void)state;
    client_escape(&b, "a/b c&d=\"\xc3\xa4-_.~");
    assert_string_equal(buf_str(&b), "a%2Fb%20c%26d%3D%22%C3%A4-_.~");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_get_over_tcp_and_unix),
        cmocka_unit_test(test_statuses_other_than_200),
        cmocka_unit_test(test_region_and_namespace_are_added),
        cmocka_unit_test(test_failures_name_the_address),
        cmocka_unit_test(test_timeout_and_ceiling),
        cmocka_unit_test(test_addresses_that_are_none),
        cmocka_unit_test(test_server_name_needs_a_port),
        cmocka_unit_test(test_reload_only_over_the_unix_socket),
        cmocka_unit_test(test_stream_hands_pieces_on),
        cmocka_unit_test(test_stream_without_a_peer),
        cmocka_unit_test(test_escape),
    };

    loop_block_signals();
    return cmocka_run_group_tests(tests, setup, teardown);
}
