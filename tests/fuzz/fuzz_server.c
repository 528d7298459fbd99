/* The RPC server as a whole, from outside: sockets, yamux, RPC, dispatch, endpoints, store, beats
 * and the HTTP API in one process, with a clock that stands still and a disk that commits when the
 * input says so.
 *
 * The input is a list of steps, each a code, a length and so many bytes (at most what is left);
 * missing bytes are 0.  The mutator below changes whole steps.  What is expected of the server
 * beyond not dying: tests/support/fuzz_peer.h, and at the end that every correct request has its
 * answer, nothing is left of the connections, the list says what the single reads say, and a server
 * that opens the same disk says it again. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "base/log.h"
#include "base/rand.h"
#include "base/str.h"
#include "codec/mp.h"
#include "codec/ops.h"
#include "model/rpc_types.h"
#include "server/server.h"
#include "tests/support/fake_persist.h"
#include "tests/support/fuzz_peer.h"
#include "tests/support/make_node.h"
#include "wire/conn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size) __attribute__((weak));
size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

enum { TURNS_MAX = 20000, EVENTS_MAX = 4000, STEPS_MAX = 200, NODES_KNOWN = 8 };
#define WALL_NS      (INT64_C(1700000000) * (int64_t)NSEC_PER_SEC)
#define ANSWER_NS    (12 * 60 * NSEC_PER_SEC) /* the longest wait, its jitter, and an agent's time */
#define LEFT_MAX     ((size_t)2 * MIB)        /* caches of a server without connections */
#define KEPT_MAX     ((size_t)64 * KIB)
#define LEFT_PER_OBJ 8 /* times the size of what is stored */

extern const unsigned fuzz_total_runs; /* for driver.c */
const unsigned fuzz_total_runs = 1500;

static struct loop *loop;
static struct server *server;
static struct fake_disk *disk;
static struct conf conf;
static struct fuzz_peers peers;
static uint64_t last_index;
static unsigned n_turns, n_servers;
static char rpc_path[64], http_path[64];

/* --- the server --- */

static void start(void)
{
    struct server_opts o = {
        .loop = loop,
        .conf = &conf,
        .rpc_advertise = "127.0.0.1:4647",
        .http_advertise = "127.0.0.1:4646",
        .take_persist = fake_persist_open(disk),
    };
    _cleanup_free_ char *rpc = xasprintf("unix:%s", rpc_path),
                        *http = xasprintf("unix:%s", http_path);
    struct err e = {0};

    if (server_new(&o, &server, &e) < 0 || server_listen(server, rpc, http, &e) < 0)
        fuzz_broken(__func__, e.text);
    FUZZ_CHECK(store_index(server->store) >= last_index);
    last_index = store_index(server->store);
    n_servers++;
}

static void stop(void)
{
    for (size_t i = 0; i < FUZZ_CONNS; i++)
        fuzz_close(&peers.conns[i]);
    server = server_free(server);
    conn_drop_closing(loop);
    (void)unlink(rpc_path);
    (void)unlink(http_path);
}

static uint64_t index_now(void *arg)
{
    (void)arg;
    return store_index(server->store);
}

static bool turn(void)
{
    size_t due = loop_run_due(loop);
    int r = sd_event_run(loop_sd(loop), 0);

    FUZZ_CHECK(r >= 0);
    FUZZ_CHECK(++n_turns < TURNS_MAX); /* it runs in circles */
    return r > 0 || due > 0;
}

static void one_turn(void *arg)
{
    (void)arg;
    (void)turn();
}

static void settle(void)
{
    uint64_t index;
    bool any;

    n_turns = 0;
    do {
        any = turn();
        for (size_t i = 0; i < FUZZ_CONNS; i++) {
            any |= fuzz_read(&peers, &peers.conns[i]);
            any |= fuzz_write(&peers, &peers.conns[i]);
        }
    } while (any);
    index = store_index(server->store);
    FUZZ_CHECK(index >= last_index);
    FUZZ_CHECK(index <= fake_disk_index(disk) || index == last_index);
    FUZZ_CHECK(store_table_index(server->store, TABLE_NODES) <= index);
    last_index = index;
}

/* every timer at its time */
static void advance(uint64_t ns)
{
    uint64_t end = clock_boot_ns() + ns;

    for (unsigned i = 0; i < EVENTS_MAX && loop_next_timer(loop) < end; i++) {
        uint64_t now = clock_boot_ns(), next = loop_next_timer(loop);

        clock_fake_advance(next > now ? next - now : 0);
        settle();
    }
    if (clock_boot_ns() < end)
        clock_fake_advance(end - clock_boot_ns());
    settle();
}

/* --- steps --- */

static struct fuzz_conn *conn_of(struct fuzz_in *in)
{
    return &peers.conns[fuzz_u8(in) % FUZZ_CONNS];
}

static void do_open(struct fuzz_in *in)
{
    static const struct {
        enum fuzz_kind kind;
        uint8_t type;
    } kinds[] = {
        {FUZZ_YAMUX,     6  },
        {FUZZ_PLAIN,     1  },
        {FUZZ_STREAMING, 5  },
        {FUZZ_HTTP,      0  },
        {FUZZ_BARE,      0  },
        {FUZZ_BARE,      4  },
        {FUZZ_BARE,      2  },
        {FUZZ_BARE,      255},
    };
    struct fuzz_conn *c = conn_of(in);
    uint8_t which = fuzz_u8(in) % ARRAY_LEN(kinds), how = fuzz_u8(in);

    fuzz_open(c, kinds[which].kind == FUZZ_HTTP ? http_path : rpc_path, kinds[which].kind,
              kinds[which].type);
    c->chop = how & 1 ? fuzz_u8(in) + 1U : 0;
    c->stingy = how & 2;
    c->held = how & 4;
}

static void do_close(struct fuzz_in *in)
{
    struct fuzz_conn *c = conn_of(in);
    uint8_t how = fuzz_u8(in) % 3;

    if (c->kind == FUZZ_CLOSED)
        return;
    if (how == 0) {
        fuzz_close(c);
        return;
    }
    c->held = false;
    (void)fuzz_write(&peers, c);
    (void)shutdown(c->fd, how == 1 ? SHUT_WR : SHUT_RDWR);
    c->wild = true;
}

static void do_manners(struct fuzz_in *in)
{
    struct fuzz_conn *c = conn_of(in);
    uint8_t how = fuzz_u8(in);

    if (c->kind == FUZZ_CLOSED)
        return;
    c->deaf = how & 1;
    c->held = how & 2;
    c->stingy = how & 4;
    c->chop = how & 8 ? fuzz_u8(in) + 1U : 0;
}

static const char *status_word(uint8_t how)
{
    static const char *const words[] = {NODE_STATUS_READY, NODE_STATUS_INIT, NODE_STATUS_DOWN,
                                        NODE_STATUS_DISCONNECTED};

    return words[how & 3];
}

/* a request of the table: connection, stream, method, node, how, index, wait, how it is cut; then
 * what is spoilt */
static void do_request(struct fuzz_in *in)
{
    struct fuzz_conn *c = conn_of(in);
    uint8_t which = fuzz_u8(in), how;
    const struct method *m = &methods[fuzz_u8(in) % M_MAX];
    struct fuzz_body o = {.node = fuzz_u8(in) % NODES_KNOWN};
    struct fuzz_stream *s = fuzz_stream(c, which, false);
    struct buf plain = BUF_INIT(MIB), body = BUF_INIT(MIB);
    uint8_t back, piece;
    bool spoilt;

    how = fuzz_u8(in);
    o.full = how & 1;
    o.no_token = how & 2;
    o.status = status_word(how >> 2);
    back = fuzz_u8(in);
    o.index = how & 16 ? last_index + back : back;
    o.wait_ns = fuzz_u8(in) * NSEC_PER_SEC;
    piece = fuzz_u8(in);
    if (!s || !fuzz_is_open(c))
        return;
    spoilt = in->p < in->end;
    fuzz_body_pack(m->request, &o, &plain);
    fuzz_spoil(plain.p, plain.len, in, &body);
    fuzz_request(c, s, how & 32 ? method_server_name(m) : m->name, body.p, body.len, piece,
                 !spoilt);
    buf_done(&plain);
    buf_done(&body);
}

/* a streaming RPC: connection, stream, how, node; then bytes behind it */
static void do_streaming(struct fuzz_in *in)
{
    struct fuzz_conn *c = conn_of(in);
    struct fuzz_stream *s = fuzz_stream(c, fuzz_u8(in), true);
    uint8_t how = fuzz_u8(in);
    struct buf b = BUF_INIT(64 * KIB);
    char id[UUID_TEXT_LEN + 1];

    make_node_id(fuzz_u8(in) % NODES_KNOWN, id);
    if (!s || !fuzz_is_open(c))
        return;
    mp_map(&b, 1);
    mp_str(&b, "Method");
    mp_str(&b, how & 1 ? "FileSystem.Logs" : "Agent.Monitor");
    mp_map(&b, 4);
    mp_str(&b, "LogLevel");
    mp_str(&b, how & 2 ? "nonsense" : "trace");
    mp_str(&b, "NodeID");
    mp_str(&b, how & 4 ? id : "");
    mp_str(&b, "PlainText");
    mp_bool(&b, how & 8);
    mp_str(&b, "Region");
    mp_str(&b, "global");
    buf_add(&b, in->p, (size_t)(in->end - in->p));
    s->streaming = s->wild = true;
    fuzz_stream_send(c, s, b.p, b.len, how & 16 ? 7 : 0);
    buf_done(&b);
}

static void note_raw(const struct fuzz_in *in)
{
    peers.secrets_anywhere |= fuzz_has_secret(in->p, (size_t)(in->end - in->p));
}

/* bytes as they are: to the connection, or inside a stream */
static void do_raw(struct fuzz_in *in, bool inside)
{
    struct fuzz_conn *c = conn_of(in);
    struct fuzz_stream *s = NULL;

    if (!fuzz_is_open(c))
        return;
    if (inside)
        s = fuzz_stream(c, fuzz_u8(in), false);
    note_raw(in);
    if (s) {
        s->wild = true;
        fuzz_stream_send(c, s, in->p, (size_t)(in->end - in->p), 0);
    } else {
        c->wild = true;
        buf_add(&c->out, in->p, (size_t)(in->end - in->p));
    }
}

static void do_frame(struct fuzz_in *in)
{
    struct fuzz_conn *c = conn_of(in);
    uint8_t type = fuzz_u8(in), flags = fuzz_u8(in), id = fuzz_u8(in);

    if (!fuzz_is_open(c) || c->kind != FUZZ_YAMUX)
        return;
    if ((type & 7) != 2) /* pings are always fine */
        c->wild = true;
    fuzz_frame(c, type >> 7, (type & 7) == 2 ? 2 : type & 7, flags, (type & 7) == 2 ? 0 : id,
               (uint32_t)fuzz_number(in));
    note_raw(in);
    if (c->wild)
        buf_add(&c->out, in->p, (size_t)(in->end - in->p));
}

static void do_stream_end(struct fuzz_in *in)
{
    struct fuzz_conn *c = conn_of(in);
    struct fuzz_stream *s;
    uint8_t which = fuzz_u8(in), how = fuzz_u8(in);

    if (!fuzz_is_open(c) || c->kind != FUZZ_YAMUX)
        return;
    s = &c->streams[which % FUZZ_STREAMS];
    if (!s->used || s->ended || s->reset || s->fin_sent)
        return;
    if (how & 1) {
        if (how & 2)
            settle();
        if (fuzz_is_open(c) && !s->ended)
            fuzz_reset(c, s, how & 2);
    } else {
        fuzz_frame(c, 0, 1, 4, s->id, 0);
        s->fin_sent = true;
    }
}

static void do_clock(struct fuzz_in *in)
{
    static const uint64_t steps_ms[] = {1,     100,   1000,   4900,   9900,    21000,
                                        31000, 76000, 301000, 660000, 3600000, 90000000};
    uint8_t how = fuzz_u8(in);

    if (how & 0x80)
        clock_fake_jump((int64_t)(how & 0x7f) * 1000 * (int64_t)NSEC_PER_SEC * (how & 1 ? 1 : -1));
    else if (how & 0x40)
        clock_fake_sleep(steps_ms[how % ARRAY_LEN(steps_ms)] * NSEC_PER_MSEC);
    else
        advance(steps_ms[how % ARRAY_LEN(steps_ms)] * NSEC_PER_MSEC);
}

static void do_disk(struct fuzz_in *in)
{
    uint8_t how = fuzz_u8(in);

    fake_disk_fail(disk, how & 1 ? -28 : 0, "the disk is full");
    fake_disk_auto(disk, !(how & 2));
    if (how & 4)
        (void)fake_disk_step(disk);
}

/* what the API is asked; %s: the id of a node */
static const char *const paths[] = {
    "GET /v1/nodes?index=%2$llu&wait=%3$us&prefix=%1$.1s",
    "GET /v1/node/%1$s?index=%2$llu&wait=%3$us",
    "GET /v1/nodes?resources=true&os=true&pretty",
    "GET /v1/nodes?per_page=2&next_token=%1$s",
    "GET /v1/nodes?filter=Status%%20==%%20ready",
    "GET /v1/node/%1$s/allocations?index=%2$llu&wait=%3$us",
    "GET /v1/status/leader",
    "GET /v1/status/peers",
    "GET /v1/regions",
    "GET /v1/agent/self",
    "GET /v1/agent/members",
    "GET /v1/agent/health",
    "GET /v1/metrics",
    "GET /v1/metrics?format=prometheus",
    "GET /v1/client/stats?node_id=%1$s",
    "GET /v1/client/metadata?node_id=%1$s",
    "GET /v1/agent/host?node_id=%1$s",
    "PUT /v1/client/gc?node_id=%1$s",
    "PUT /v1/system/gc",
    "PUT /v1/node/%1$s/purge",
    "GET /v1/agent/monitor?log_level=trace&plain=true",
    "GET /v1/agent/monitor?log_level=trace&node_id=%1$s",
    "GET /ui/",
    "DELETE /v1/nodes",
    "GET /v1/nodes?%1$s",
    "GET /v1/operator/snapshot",
};
enum { MONITORS = 20 };

static void do_http(struct fuzz_in *in)
{
    struct fuzz_conn *c = conn_of(in);
    uint8_t which = fuzz_u8(in) % ARRAY_LEN(paths), how, back;
    char id[UUID_TEXT_LEN + 1], line[512];

    make_node_id(fuzz_u8(in) % NODES_KNOWN, id);
    how = fuzz_u8(in);
    back = fuzz_u8(in);
    if (!fuzz_is_open(c) || c->kind != FUZZ_HTTP)
        return;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    (void)snprintf(line, sizeof(line), paths[which], id,
                   (unsigned long long)(how & 1 ? last_index + back : back), fuzz_u8(in) + 1U);
#pragma GCC diagnostic pop
    buf_add_str(&c->out, line);
    note_raw(in);
    if (in->p < in->end) {
        c->wild = true;
        buf_add(&c->out, in->p, (size_t)(in->end - in->p));
    }
    buf_add_str(&c->out, how & 16 ? " HTTP/1.0\r\n" : " HTTP/1.1\r\nHost: a\r\n");
    if (how & 2)
        buf_add_str(&c->out, "Accept-Encoding: gzip\r\n");
    if (how & 4)
        buf_add_str(&c->out, "Connection: close\r\n");
    if (how & 8)
        buf_add_str(&c->out, "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n{}");
    else
        buf_add_str(&c->out, "\r\n");
    if (how & (4 | 16) || c->n_asked >= FUZZ_PENDING) /* what comes behind it may not be read */
        c->wild = true;
    if (which == MONITORS || which == MONITORS + 1)
        c->endless = true;
    c->n_asked++;
}

static void do_restart(struct fuzz_in *in)
{
    bool lose = fuzz_u8(in) & 1;

    if (n_servers > 3)
        return;
    if (lose) /* what is on its way is not durable */
        fake_disk_fail(disk, -5, "gone");
    stop();
    fake_disk_fail(disk, 0, "");
    start();
}

static void step(uint8_t code, struct fuzz_in *in)
{
    enum {
        OPEN,
        REQUEST,
        HTTP,
        CLOCK,
        DISK,
        ANSWER,
        MANNERS,
        CLOSE,
        STREAM_END,
        FRAME,
        RAW,
        INSIDE,
        STREAMING,
        RESTART,
        TURN,
        CODES
    };

    switch (code % CODES) {
    case OPEN:
        do_open(in);
        break;
    case CLOSE:
        do_close(in);
        break;
    case REQUEST:
        do_request(in);
        break;
    case STREAMING:
        do_streaming(in);
        break;
    case RAW:
    case INSIDE:
        do_raw(in, code % CODES == INSIDE);
        break;
    case FRAME:
        do_frame(in);
        break;
    case STREAM_END:
        do_stream_end(in);
        break;
    case CLOCK:
        do_clock(in);
        break;
    case DISK:
        do_disk(in);
        break;
    case HTTP:
        do_http(in);
        break;
    case RESTART:
        do_restart(in);
        break;
    case MANNERS:
        do_manners(in);
        break;
    case ANSWER: {
        struct fuzz_conn *c = conn_of(in);

        note_raw(in);
        if (fuzz_is_open(c) && c->kind == FUZZ_YAMUX)
            peers.agents_spoke |= fuzz_answer(c, in);
        break;
    }
    default:
        one_turn(NULL);
    }
    if (!(code & 0x40)) /* else together with the next one */
        settle();
}

/* code, length (two bytes when the code has its high bit), content */
static bool next_step(struct fuzz_in *in, uint8_t *ret_code, struct fuzz_in *ret)
{
    size_t n;

    if (in->p >= in->end)
        return false;
    *ret_code = fuzz_u8(in);
    n = *ret_code & 0x80 ? fuzz_u16(in) : fuzz_u8(in);
    n = MIN(n, (size_t)(in->end - in->p));
    *ret = (struct fuzz_in){in->p, in->p + n};
    in->p += n;
    return true;
}

/* --- at the end --- */

/* one correct question on a connection of its own */
static void ask(struct fuzz_conn *c, const char *method, unsigned node, const char *id,
                struct buf *ret)
{
    const struct method *m = method_find(method);
    struct fuzz_stream *s = fuzz_stream(c, 0, false);
    struct node_specific_request q = {.q = {.region = xstrdup("global")}};
    struct buf b = BUF_INIT(MIB);

    (void)node;
    if (m->request == &desc_node_specific_request) {
        q.node_id = xstrdup(id);
        mp_encode(&b, m->request, &q);
    } else {
        fuzz_body_pack(m->request, &(struct fuzz_body){.status = ""}, &b);
    }
    ops_clear(&desc_node_specific_request, &q);
    s->capture = ret;
    fuzz_request(c, s, method, b.p, b.len, 0, true);
    buf_done(&b);
    settle();
    FUZZ_CHECK(ret->len > 0);
}

static void compare_node(struct fuzz_conn *c, const struct node_stub *stub, uint64_t index)
{
    struct buf b = BUF_INIT((size_t)4 * MIB);
    struct single_node_response one = {0};
    struct node n = {0};
    struct err e;

    ask(c, "Node.GetNode", 0, stub->id, &b);
    FUZZ_CHECK(mp_decode(&desc_single_node_response, b.p, b.len, &one, &e) == 0);
    FUZZ_CHECK(mp_decode(&desc_node, one.node.p, one.node.n, &n, &e) == 0);
    FUZZ_CHECK(str_eq(n.id, stub->id) && str_eq(n.status, stub->status));
    FUZZ_CHECK(str_empty(n.secret_id));
    FUZZ_CHECK(str_eq(n.name ? n.name : "", stub->name ? stub->name : ""));
    FUZZ_CHECK(n.modify_index == stub->modify_index && n.create_index == stub->create_index);
    FUZZ_CHECK(n.create_index <= n.modify_index && n.modify_index <= index);
    ops_clear(&desc_node, &n);
    ops_clear(&desc_single_node_response, &one);
    buf_done(&b);
}

/* list and single reads say the same; ret: the list */
static void look(struct buf *ret)
{
    struct fuzz_conn *c = &peers.conns[0];
    struct node_list_response list = {0};
    struct err e;

    fuzz_open(c, rpc_path, FUZZ_YAMUX, 6);
    settle();
    buf_reset(ret);
    ask(c, "Node.List", 0, NULL, ret);
    FUZZ_CHECK(mp_decode(&desc_node_list_response, ret->p, ret->len, &list, &e) == 0);
    FUZZ_CHECK(list.n_nodes == store_node_count(server->store));
    FUZZ_CHECK(list.n_nodes == fake_disk_objects(disk));
    for (size_t i = 0; i < list.n_nodes; i++)
        compare_node(c, &list.nodes[i], store_index(server->store));
    ops_clear(&desc_node_list_response, &list);
    fuzz_close(c);
}

static size_t unanswered(void)
{
    size_t n = 0;

    for (size_t i = 0; i < FUZZ_CONNS; i++)
        n += fuzz_unanswered(&peers.conns[i]);
    return n;
}

/* those of one stream are answered one after the other, and each may wait its time */
static void all_is_answered(void)
{
    size_t before;

    fake_disk_fail(disk, 0, "");
    fake_disk_auto(disk, true);
    for (size_t i = 0; i < FUZZ_CONNS; i++)
        peers.conns[i].deaf = peers.conns[i].held = false;
    settle();
    do {
        before = unanswered();
        advance(ANSWER_NS);
    } while (unanswered() > 0 && unanswered() < before);
    for (size_t i = 0; i < FUZZ_CONNS; i++)
        fuzz_all_answered(&peers.conns[i]);
}

static void nothing_is_left(size_t base)
{
    for (size_t i = 0; i < FUZZ_CONNS; i++)
        fuzz_close(&peers.conns[i]);
    settle();
    advance(20 * NSEC_PER_SEC);
    FUZZ_CHECK(list_empty(&server->calls) && list_empty(&server->streams));
    FUZZ_CHECK(server->writing_bytes == 0);
    FUZZ_CHECK(rpc_listener_sessions(server->rpc) == 0);
    if (__sanitizer_get_current_allocated_bytes)
        FUZZ_CHECK(__sanitizer_get_current_allocated_bytes() <=
                   base + LEFT_MAX + LEFT_PER_OBJ * fake_disk_objects(disk) * NODE_PACKED_MAX / 16);
}

static void play(struct fuzz_in *in, size_t base)
{
    struct fuzz_in content;
    uint8_t code, flags = fuzz_u8(in);
    struct buf before = BUF_INIT((size_t)4 * MIB), after = BUF_INIT((size_t)4 * MIB);

    for (int i = 0; i < STEPS_MAX && next_step(in, &code, &content); i++)
        step(code, &content);
    settle();
    all_is_answered();
    nothing_is_left(base);
    look(&before);
    if (flags & 1) {
        stop();
        start();
        look(&after);
        FUZZ_CHECK(before.len == after.len && memcmp(before.p, after.p, before.len) == 0);
    }
    buf_done(&before);
    buf_done(&after);
}

static void init_once(void)
{
    const char *dir = getenv("TMPDIR");

    if (rpc_path[0])
        return;
    log_set_level(LOG_LEVEL_OFF);
    loop_block_signals();
    (void)snprintf(rpc_path, sizeof(rpc_path), "%.30s/fuzz-rpc.%d", dir ? dir : "/tmp", getpid());
    (void)snprintf(http_path, sizeof(http_path), "%.30s/fuzz-http.%d", dir ? dir : "/tmp",
                   getpid());
    conf.region = xstrdup("global");
    conf.datacenter = xstrdup("dc1");
    conf.name = xstrdup("srv-a");
    conf.port_serf = 4648;
    conf.server.min_heartbeat_ttl = 10 * (int64_t)NSEC_PER_SEC;
    conf.server.heartbeat_grace = 10 * (int64_t)NSEC_PER_SEC;
    conf.server.failover_heartbeat_ttl = 300 * (int64_t)NSEC_PER_SEC;
    conf.server.max_heartbeats_per_second = 1000;
    conf.rpc_handshake_timeout = 5 * (int64_t)NSEC_PER_SEC;
    conf.rpc_max_conns_per_client = 5;
    conf.http_max_conns_per_client = 5;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool warm;
    struct fuzz_in in = {data, data + size};
    size_t base = 0;

    init_once();
    if (__sanitizer_get_current_allocated_bytes)
        base = __sanitizer_get_current_allocated_bytes();
    clock_fake(true, UINT64_C(1) << 60, WALL_NS);
    rand_seed(1);
    last_index = 0;
    n_servers = 0;
    peers = (struct fuzz_peers){.index = index_now, .turn = one_turn};
    fuzz_peers_init(&peers);
    if (loop_new(&loop) < 0)
        abort();
    disk = fake_disk_new(loop);
    fake_disk_auto(disk, true);
    start();
    play(&in, base);
    stop();
    disk = fake_disk_free(disk);
    loop = loop_free(loop);
    if (__sanitizer_get_current_allocated_bytes && warm) /* libraries keep a little for ever */
        FUZZ_CHECK(__sanitizer_get_current_allocated_bytes() <= base + KEPT_MAX);
    warm = true;
    return 0;
}

/* --- mutations of whole steps --- */

static uint64_t rng;

static size_t below(size_t n)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return n ? (size_t)(rng % n) : 0;
}

/* where the steps begin; the last entry is the end */
static size_t split(const uint8_t *p, size_t n, size_t at[STEPS_MAX + 1])
{
    struct fuzz_in in = {p + 1, p + n}, content;
    size_t steps = 0;
    uint8_t code;

    for (at[0] = 1; steps < STEPS_MAX && next_step(&in, &code, &content);)
        at[++steps] = (size_t)(in.p - p);
    return steps;
}

static size_t replace(uint8_t *p, size_t n, size_t max, size_t from, size_t to, const uint8_t *by,
                      size_t by_n)
{
    if (n - (to - from) + by_n > max)
        return n;
    memmove(p + from + by_n, p + to, n - to);
    memcpy(p + from, by, by_n);
    return n - (to - from) + by_n;
}

static size_t new_step(uint8_t *ret)
{
    static const uint8_t usual[] = {0, 1, 1, 1, 1, 2, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14};
    size_t n = 2 + below(12);

    ret[0] = (uint8_t)(usual[below(sizeof(usual))] | (below(4) ? 0 : 0x40));
    ret[1] = (uint8_t)n;
    for (size_t i = 0; i < n; i++)
        ret[2 + i] = (uint8_t)(i < 2 ? below(3) : below(3) ? below(32) : below(256));
    return n + 2;
}

/* the content of one step, its length made right again */
static size_t change_step(uint8_t *p, size_t n, size_t max, size_t from, size_t to)
{
    uint8_t work[2048 + 3];
    struct fuzz_in in = {p + from, p + to}, content;
    size_t len;
    uint8_t code;

    if (!next_step(&in, &code, &content) || content.end - content.p > 1024)
        return n;
    len = (size_t)(content.end - content.p);
    memcpy(work + 3, content.p, len);
    len = LLVMFuzzerMutate ? LLVMFuzzerMutate(work + 3, len, 2048) : len;
    if (below(8) == 0)
        code = (uint8_t)(code ^ 0x40);
    work[0] = code | 0x80;
    work[1] = (uint8_t)(len >> 8);
    work[2] = (uint8_t)len;
    if (len < 256) { /* the short form */
        work[1] = code & 0x7f;
        work[2] = (uint8_t)len;
        return replace(p, n, max, from, to, work + 1, len + 2);
    }
    return replace(p, n, max, from, to, work, len + 3);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    size_t at[STEPS_MAX + 1], n, a, b;
    uint8_t work[4096];

    rng = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    if (size < 2 || max_size < 64)
        return LLVMFuzzerMutate ? LLVMFuzzerMutate(data, size, max_size) : size;
    n = split(data, size, at);
    a = below(n);
    b = below(n);
    switch (below(10)) {
    case 0:
        return replace(data, size, max_size, at[a], at[a + 1], work, 0);
    case 1:
    case 2:
    case 3:
        return replace(data, size, max_size, at[a], at[a], work, new_step(work));
    case 4: /* again, elsewhere */
        if (at[b + 1] - at[b] > sizeof(work))
            return size;
        memcpy(work, data + at[b], at[b + 1] - at[b]);
        return replace(data, size, max_size, at[a], at[a], work, at[b + 1] - at[b]);
    case 5:
        data[0] ^= 1;
        return size;
    default:
        return change_step(data, size, max_size, at[a], at[a + 1]);
    }
}
