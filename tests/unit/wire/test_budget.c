/* Connections that end in any state, in any way: of what they held nothing stays counted.  And
 * bodies that are taken in pieces, which nothing else here reads. */
#include "tests/support/wire_raw.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>

#include "base/parse.h"
#include "base/str.h"
#include "wire/budget.h"
#include "wire/conn.h"
#include "wire/http1.h"
#include "wire/rpc.h"
#include "wire/rpc_wire.h"

#define HOST " HTTP/1.1\r\nHost: h\r\n"

static void assert_nothing_held(const char *when)
{
    if (budget_held(BUDGET_IN) || budget_held(BUDGET_OUT))
        fail_msg("%s: %zu bytes in, %zu out are still counted", when, budget_held(BUDGET_IN),
                 budget_held(BUDGET_OUT));
}

/* --- HTTP --- */

struct site {
    struct loop *l;
    struct http_server *server;
    char *address; /* owned */
    struct http_exchange *waiting, *uploading;
    struct http_stream *stream;
    size_t n_requests, n_gone, uploaded;
    size_t hold_at; /* so many bytes of an upload are taken, then no more */
    int end_status; /* of the upload; -1: has not ended */
};

static void on_gone(void *arg)
{
    struct site *s = arg;

    s->waiting = s->uploading = NULL;
    s->n_gone++;
}

static void on_stream_gone(void *arg)
{
    struct site *s = arg;

    s->stream = NULL;
}

static bool on_body(void *arg, const uint8_t *p, size_t n)
{
    struct site *s = arg;

    for (size_t i = 0; i < n; i++)
        assert_int_equal(p[i], 'u');
    s->uploaded += n;
    return s->hold_at == 0 || s->uploaded < s->hold_at;
}

static void on_end(void *arg, int status, const char *text)
{
    struct site *s = arg;

    s->end_status = status;
    http_answer(steal_ptr(&s->uploading), status ? status : 200, NULL, 0, text,
                text ? strlen(text) : 0);
}

static bool is_upload(const char *method, const char *path)
{
    return str_eq(method, "PUT") && str_starts(path, "/upload");
}

static void answer_big(struct http_exchange *x, size_t n)
{
    struct buf body = BUF_INIT(64 * MIB);

    assert_true(buf_reserve(&body, n));
    memset(body.p, 'x', n);
    body.len = n;
    http_answer_buf(x, 200, NULL, 0, &body);
}

static void on_request(void *arg, struct http_exchange *x, const struct http_request *q)
{
    static const struct http_upload_user upload = {on_body, on_end};
    static const struct http_stream_user stream = {NULL, on_stream_gone};
    static char piece[32 * KIB];
    struct site *s = arg;

    s->n_requests++;
    if (str_starts(q->path, "/upload")) {
        s->end_status = -1;
        s->uploading = x;
        http_on_gone(x, on_gone, s);
        if (str_eq(q->path, "/upload/no"))
            http_answer(steal_ptr(&s->uploading), 403, NULL, 0, "no", 2);
        else
            http_upload_start(x, &upload, s);
    } else if (str_starts(q->path, "/wait")) {
        s->waiting = x;
        http_on_gone(x, on_gone, s);
        if (str_eq(q->path, "/wait/trimmed"))
            http_exchange_trim(x);
    } else if (str_eq(q->path, "/stream")) {
        s->stream = http_stream_begin(x, 200, NULL, 0, &stream, s);
        memset(piece, 's', sizeof(piece));
        assert_int_equal(http_stream_write(s->stream, piece, sizeof(piece)), 0);
    } else if (str_starts(q->path, "/big")) {
        answer_big(x, str_eq(q->path, "/big/whole") ? 6 * MIB : 20 * MIB);
    } else {
        http_answer(x, 200, NULL, 0, "ok", 2);
    }
}

static void site_open(struct site *s)
{
    struct http_server_opts o = {.handler = on_request, .arg = s, .is_upload = is_upload};
    struct err e;
    int fd;

    *s = (struct site){.end_status = -1};
    clock_fake(true, UINT64_C(1) << 60, 0);
    assert_int_equal(loop_new(&s->l), 0);
    assert_int_equal(listen_open("127.0.0.1:0", &fd, &s->address, &e), 0);
    assert_int_equal(http_listen(s->l, fd, &o, &s->server), 0);
}

static void site_done(struct site *s)
{
    s->server = http_server_free(s->server);
    conn_drop_closing(s->l);
    s->l = loop_free(s->l);
    free(s->address);
    clock_fake(false, 0, 0);
}

/* a small window, so that answers stay with the server */
static void site_dial(struct site *s, struct raw *r)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int small = 4096, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    uint64_t port = 0;

    assert_int_equal(parse_u64(strrchr(s->address, ':') + 1, &port), 0);
    a.sin_port = htons((uint16_t)port);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    *r = (struct raw){.l = s->l, .fd = fd, .in = BUF_INIT(64 * MIB)};
    turn_some(s->l, 3);
}

static void say_text(struct raw *r, const char *text)
{
    raw_say(r, text, strlen(text));
    turn_some(r->l, 5);
}

static void say_fill(struct raw *r, char c, size_t n)
{
    _cleanup_buf_ struct buf b = BUF_INIT(64 * MIB);

    assert_true(buf_reserve(&b, n));
    memset(b.p, c, n);
    raw_say(r, b.p, n);
    turn_some(r->l, 5);
}

/* what a connection is in the middle of */
static const struct {
    const char *name, *text;
    size_t fill; /* bytes behind it */
    size_t hold_at;
    size_t held; /* bytes that are counted then, at least */
    bool out;
} states[] = {
    {"idle",                       "",                                                          0,      0,      0,        false},
    {"half a head",                "GET /" HOST "X: ",                                          5000,   0,      5000,     false},
    {"half a body",                "PUT /x" HOST "Content-Length: 500000\r\n\r\n",              300000, 0,      300000,   false},
    {"half a chunk",               "PUT /x" HOST "Transfer-Encoding: chunked\r\n\r\n61A80\r\n", 300000, 0,      300000,
     false                                                                                                                     },
    {"a body that waits",          "PUT /wait" HOST "Content-Length: 300000\r\n\r\n",           300000, 0,      300000,
     false                                                                                                                     },
    {"a trimmed one",              "PUT /wait/trimmed" HOST "Content-Length: 300000\r\n\r\n",   300000, 0,      0,
     false                                                                                                                     },
    {"more behind one that waits", "GET /wait" HOST "\r\nGET /b" HOST "X: ",                    60000,  0,      60000,
     false                                                                                                                     },
    {"half an upload",             "PUT /upload" HOST "Content-Length: 900000\r\n\r\n",         300000, 0,      0,        false},
    {"an upload that is held",     "PUT /upload" HOST "Content-Length: 900000\r\n\r\n",         300000, 100000,
     100000,                                                                                                              false},
    {"a large answer",             "GET /big/whole" HOST "\r\n",                                0,      0,      MIB,      true },
    {"a larger one",               "GET /big/sliced" HOST "\r\n",                               0,      0,      15 * MIB, true },
    {"a last one",                 "GET /big/sliced" HOST "Connection: close\r\n\r\n",          0,      0,      15 * MIB, true },
    {"an answer that goes on",     "GET /stream" HOST "\r\n",                                   0,      0,      0,        false},
};

enum { BY_END, BY_RESET, BY_TIME, BY_SERVER, WAYS };
static const char *const ways[] = {"the peer's end", "a reset", "time", "the server's end"};

static void reset(struct raw *r)
{
    struct linger now = {.l_onoff = 1};

    assert_int_equal(setsockopt(r->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
    r->fd = fd_close(r->fd);
}

static void pass(struct loop *l, unsigned sec)
{
    for (unsigned i = 0; i < sec; i += 5) {
        clock_fake_advance(5 * NSEC_PER_SEC);
        (void)loop_run_due(l);
        turn_some(l, 2);
    }
}

/* whoever held an upload goes on */
static void go_on(struct site *s)
{
    s->hold_at = 0;
    if (s->uploading)
        http_upload_resume(s->uploading);
    turn_some(s->l, 5);
}

static void end_http(struct site *s, struct raw *r, int how)
{
    if (how == BY_END) {
        r->fd = fd_close(r->fd);
        turn_some(s->l, 5);
        go_on(s); /* the end stands behind what was sent */
    } else if (how == BY_RESET) {
        reset(r);
    } else if (how == BY_TIME) {
        pass(s->l, 600);
        if (s->waiting) /* has all the time there is */
            http_answer(steal_ptr(&s->waiting), 200, NULL, 0, NULL, 0);
        go_on(s);      /* so has who reads an upload */
        if (s->stream) /* and who has read all of an answer that goes on */
            http_stream_end(steal_ptr(&s->stream));
        pass(s->l, 600);
    }
    turn_some(s->l, 5);
}

static void assert_is_gone(struct site *s, const char *what)
{
    conn_drop_closing(s->l);
    if (http_server_connections(s->server) > 0)
        fail_msg("%s: it is still there", what);
    assert_nothing_held(what);
}

static void test_http_connections_leave_nothing_counted(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(states); i++) {
        for (int how = 0; how < WAYS; how++) {
            _cleanup_free_ char *what = xasprintf("%s, ended by %s", states[i].name, ways[how]);
            struct site s;
            struct raw r;
            size_t held;

            site_open(&s);
            s.hold_at = states[i].hold_at;
            site_dial(&s, &r);
            if (*states[i].text)
                say_text(&r, states[i].text);
            if (states[i].fill)
                say_fill(&r, states[i].out ? 'x' : 'u', states[i].fill);
            held = budget_held(states[i].out ? BUDGET_OUT : BUDGET_IN);
            if (held < states[i].held)
                fail_msg("%s: only %zu bytes are counted", what, held);
            end_http(&s, &r, how);
            if (how != BY_SERVER)
                assert_is_gone(&s, what);
            site_done(&s);
            assert_nothing_held(what);
            raw_close(&r);
        }
    }
}

static void answered(struct raw *r, const char *start)
{
    raw_need(r, strlen(start));
    if (strncmp((const char *)r->in.p, start, strlen(start)) != 0)
        fail_msg("%s wanted, %.60s came", start, (const char *)r->in.p);
}

static void test_an_upload_is_taken_at_its_readers_pace(void **state)
{
    struct site s;
    struct raw r;

    (void)state;
    site_open(&s);
    s.hold_at = 100000;
    site_dial(&s, &r);
    say_text(&r, "PUT /upload" HOST "Content-Length: 900000\r\nExpect: 100-continue\r\n\r\n");
    answered(&r, "HTTP/1.1 100 ");
    buf_reset(&r.in);
    say_fill(&r, 'u', 300000);
    assert_in_range(s.uploaded, 100000, 100000 + 64 * KIB);
    pass(s.l, 600); /* the delay is ours */
    assert_int_equal(s.end_status, -1);
    s.hold_at = 0;
    http_upload_resume(s.uploading);
    say_fill(&r, 'u', 600000);
    turn_until(s.l, s.end_status == 0);
    assert_int_equal(s.uploaded, 900000);
    answered(&r, "HTTP/1.1 200 ");
    buf_reset(&r.in);
    raw_read(&r);
    say_text(&r, "GET /next" HOST "\r\n"); /* the connection goes on */
    turn_until(s.l, s.n_requests == 2);
    say_text(&r, "PUT /upload" HOST "Transfer-Encoding: chunked\r\n\r\n3\r\nuuu\r\n0\r\n\r\n");
    turn_until(s.l, s.end_status == 0 && s.uploaded == 900003);
    raw_close(&r);
    site_done(&s);
}

static void test_uploads_that_end_badly(void **state)
{
    static const struct {
        const char *text, *answer;
        int status;
    } bad[] = {
        {"PUT /upload" HOST "Transfer-Encoding: chunked\r\n\r\n3\r\nuuu\r\nx\r\n", "HTTP/1.1 400 ",
         400                                                                                           },
        {"PUT /upload" HOST "Content-Length: 9\r\n\r\nuuu",                        "HTTP/1.1 408 ", 408},
        {"PUT /upload/no" HOST "Content-Length: 9\r\n\r\nuuu",                     "HTTP/1.1 403 ", -1 },
        {"PUT /upload" HOST "Content-Length: 0\r\n\r\n",                           "HTTP/1.1 200 ", 0  },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct site s;
        struct raw r;

        site_open(&s);
        site_dial(&s, &r);
        say_text(&r, bad[i].text);
        if (bad[i].status == 408)
            pass(s.l, 40);
        answered(&r, bad[i].answer);
        assert_int_equal(s.end_status, bad[i].status);
        turn_some(s.l, 5);
        assert_int_equal(http_server_connections(s.server), bad[i].status == 0);
        raw_close(&r);
        site_done(&s);
        assert_nothing_held(bad[i].text);
    }
}

/* --- RPC --- */

struct house {
    struct loop *l;
    struct rpc_session *s;
    struct raw r;
    struct rpc_request *waiting;
    size_t reply_bytes; /* 0: it waits */
    bool trims;
    int closed;
};

static void on_rpc_gone(void *arg, struct rpc_request *q)
{
    struct house *h = arg;

    h->waiting = NULL;
    rpc_drop(q);
}

static void on_rpc(void *arg, struct rpc_request *q)
{
    struct house *h = arg;
    struct buf b = BUF_INIT(32 * MIB);

    if (h->reply_bytes == 0) {
        if (h->trims)
            rpc_request_trim(q);
        h->waiting = q;
        q->arg = h;
        q->on_gone = on_rpc_gone;
        return;
    }
    buf_add_byte(&b, 0xdb); /* a text */
    buf_add_be32(&b, (uint32_t)h->reply_bytes);
    assert_true(buf_reserve(&b, h->reply_bytes));
    memset(b.p + b.len, 'x', h->reply_bytes);
    b.len += h->reply_bytes;
    rpc_reply(q, b.p, b.len);
    buf_done(&b);
}

static void on_rpc_closed(void *arg, struct rpc_session *s, const struct err *e)
{
    struct house *h = arg;

    (void)s;
    (void)e;
    h->closed++;
}

static void house_open(struct house *h, bool plain)
{
    static const struct conn_user nobody;
    struct rpc_session_opts o = {
        .handler = on_rpc, .handler_arg = h, .on_closed = on_rpc_closed, .arg = h, .plain = plain};
    int fd;

    *h = (struct house){0};
    clock_fake(true, UINT64_C(1) << 60, 0);
    assert_int_equal(loop_new(&h->l), 0);
    raw_open(&h->r, h->l, &fd);
    h->s = rpc_session_new(conn_new(h->l, fd, &nobody, NULL), &o);
}

static void house_done(struct house *h)
{
    h->s = rpc_session_unref(h->s);
    turn_some(h->l, 3);
    raw_close(&h->r);
    conn_drop_closing(h->l);
    h->l = loop_free(h->l);
    clock_fake(false, 0, 0);
}

/* a request with a text of n bytes, of which so many are sent */
static void say_request(struct house *h, bool plain, bool opens, size_t n, size_t sent)
{
    _cleanup_buf_ struct buf b = BUF_INIT(MIB);

    if (!plain && opens)
        buf_add_byte(&b, 1);
    rpc_request_header_write(&b, 1, "A.B");
    buf_add_byte(&b, 0xdb);
    buf_add_be32(&b, (uint32_t)n);
    assert_true(buf_reserve(&b, sent));
    memset(b.p + b.len, 'x', sent);
    b.len += sent;
    if (plain)
        raw_say(&h->r, b.p, b.len);
    else
        raw_data(&h->r, opens ? R_SYN : 0, 1, b.p, b.len);
    turn_some(h->l, 5);
}

static const struct {
    const char *name;
    size_t n, sent, behind, reply;
    size_t in, out; /* counted then, at least */
    bool trims;
} calls[] = {
    {"half a request",             200000, 100000, 0,     0,       100000, 0,       false},
    {"one that waits",             100000, 100000, 0,     0,       100000, 0,       false},
    {"a trimmed one",              100000, 100000, 0,     0,       0,      0,       true },
    {"more behind one that waits", 50000,  50000,  50000, 0,       100000, 0,       false},
    {"more behind a trimmed one",  50000,  50000,  50000, 0,       50000,  0,       true },
    {"an answer",                  10,     10,     0,     5 * MIB, 0,      4 * MIB, false},
};

enum { RPC_END, RPC_TIME, RPC_CLOSE, RPC_RESET, RPC_FREE, RPC_WAYS };
static const char *const rpc_ways[] = {"the peer's end", "time", "us", "a reset stream", "nobody"};

static void end_rpc(struct house *h, int how)
{
    if (how == RPC_END) {
        h->r.fd = fd_close(h->r.fd);
    } else if (how == RPC_TIME) {
        pass(h->l, 900);
    } else if (how == RPC_CLOSE) {
        rpc_session_close(h->s);
    } else if (how == RPC_RESET) {
        raw_frame(&h->r, R_WINDOW, R_RST, 1, 0);
        for (int i = 0; i < 20; i++) { /* what had left the stream is in the connection */
            turn_some(h->l, 2);
            raw_read(&h->r);
        }
    } else {
        rpc_session_close(h->s);
        h->s = rpc_session_unref(h->s);
    }
    turn_some(h->l, 10);
}

static void test_rpc_connections_leave_nothing_counted(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(calls) * 2; i++) {
        size_t k = i / 2;
        bool plain = i % 2;

        for (int how = 0; how < RPC_WAYS; how++) {
            _cleanup_free_ char *what = xasprintf("%s (%s), ended by %s", calls[k].name,
                                                  plain ? "plain" : "yamux", rpc_ways[how]);
            struct house h;

            /* a stream is reset with its session; plain, who waits may wait for ever */
            if (plain && (how == RPC_RESET || how == RPC_TIME))
                continue;
            house_open(&h, plain);
            h.trims = calls[k].trims;
            h.reply_bytes = calls[k].reply;
            say_request(&h, plain, true, calls[k].n, calls[k].sent);
            if (calls[k].behind)
                say_request(&h, plain, false, calls[k].behind, calls[k].behind);
            if (budget_held(BUDGET_IN) < calls[k].in || budget_held(BUDGET_OUT) < calls[k].out)
                fail_msg("%s: only %zu and %zu bytes are counted", what, budget_held(BUDGET_IN),
                         budget_held(BUDGET_OUT));
            end_rpc(&h, how);
            conn_drop_closing(h.l);
            assert_nothing_held(what);
            assert_null(h.waiting);
            house_done(&h);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_http_connections_leave_nothing_counted),
        cmocka_unit_test(test_an_upload_is_taken_at_its_readers_pace),
        cmocka_unit_test(test_uploads_that_end_badly),
        cmocka_unit_test(test_rpc_connections_leave_nothing_counted),
    };

    loop_block_signals();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
