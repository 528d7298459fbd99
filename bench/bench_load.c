/* bench/bench_load.c - load on a server's RPC port: registrations or heartbeats of many nodes.
 *
 *     bench_load ADDRESS NODE-FILE register|beat FROM COUNT [SESSIONS [IN-FLIGHT]]
 *
 * NODE-FILE is one packed node, the template: ID, SecretID and Name are replaced for each of the
 * COUNT nodes (ids are made from their number, so that "beat" finds what "register" made).  Prints
 * one line of JSON: {"calls":..,"errors":..,"seconds":..}.  The server's cost is measured by
 * whoever runs this, from /proc.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/parse.h"
#include "base/uuid.h"
#include "codec/mp.h"
#include "wire/conn.h"
#include "wire/rpc.h"

struct load {
    struct loop *loop;
    const char *node; /* borrowed packed template */
    size_t node_len;
    bool beats;
    uint64_t next, end; /* numbers of nodes still to be done */
    size_t running, errors, calls;
    char first_error[200];
};

struct lane { /* one call in flight at a time */
    struct load *load;
    struct rpc_session *session;
};

struct opening {
    struct load *load;
    struct conn *conn;
    bool connected, failed;
};

static void node_ids(uint64_t n, char id[UUID_TEXT_LEN + 1], char secret[UUID_TEXT_LEN + 1])
{
    struct uuid u = {0};

    for (size_t i = 0; i < 8; i++)
        u.b[i] = (uint8_t)(n * UINT64_C(0x9e3779b97f4a7c15) >> (56 - 8 * i));
    for (size_t i = 0; i < 8; i++)
        u.b[8 + i] = (uint8_t)(n >> (56 - 8 * i));
    uuid_format(&u, id);
    u.b[15] ^= 0x5a;
    u.b[0] ^= 0xff;
    uuid_format(&u, secret);
}

static void make_register(struct load *l, uint64_t n, struct buf *body)
{
    char id[UUID_TEXT_LEN + 1], secret[UUID_TEXT_LEN + 1], name[32];
    struct buf v[3] = {BUF_INIT(64), BUF_INIT(64), BUF_INIT(64)};
    struct mp_patch p[3] = {{.key = "ID"}, {.key = "SecretID"}, {.key = "Name"}};

    node_ids(n, id, secret);
    (void)snprintf(name, sizeof(name), "load-%llu", (unsigned long long)n);
    mp_str(&v[0], id);
    mp_str(&v[1], secret);
    mp_str(&v[2], name);
    for (size_t i = 0; i < 3; i++) {
        p[i].value = v[i].p;
        p[i].n = v[i].len;
    }
    mp_map(body, 2);
    mp_str(body, "Node");
    if (mp_map_patch(l->node, l->node_len, p, 3, body) < 0)
        l->errors++;
    mp_str(body, "Region");
    mp_str(body, "global");
    for (size_t i = 0; i < 3; i++)
        buf_done(&v[i]);
}

static void make_beat(uint64_t n, struct buf *body)
{
    char id[UUID_TEXT_LEN + 1], secret[UUID_TEXT_LEN + 1];

    node_ids(n, id, secret);
    mp_map(body, 4);
    mp_str(body, "NodeID");
    mp_str(body, id);
    mp_str(body, "Status");
    mp_str(body, "ready");
    mp_str(body, "Region");
    mp_str(body, "global");
    mp_str(body, "AuthToken");
    mp_str(body, secret);
}

static void lane_next(struct lane *lane);

static void lane_done(void *arg, enum rpc_result how, const char *text, const uint8_t *body,
                      size_t n)
{
    struct lane *lane = arg;
    struct load *l = lane->load;

    (void)body;
    (void)n;
    l->calls++;
    if (how != RPC_OK) {
        if (l->errors++ == 0)
            (void)snprintf(l->first_error, sizeof(l->first_error), "%s", text ? text : "?");
        if (how == RPC_TRANSPORT)
            l->next = l->end;
    }
    lane_next(lane);
}

static void lane_next(struct lane *lane)
{
    _cleanup_buf_ struct buf body = BUF_INIT(NODE_PACKED_MAX);
    struct load *l = lane->load;

    if (l->next == l->end) {
        if (--l->running == 0)
            loop_quit(l->loop, 0);
        return;
    }
    if (l->beats)
        make_beat(l->next++, &body);
    else
        make_register(l, l->next++, &body);
    (void)rpc_call(lane->session, l->beats ? "Node.UpdateStatus" : "Node.Register", body.p,
                   body.len, 60 * NSEC_PER_SEC, lane_done, lane);
}

static ssize_t opening_data(void *arg, const uint8_t *p, size_t n)
{
    (void)arg;
    (void)p;
    (void)n;
    return 0;
}

static void opening_eof(void *arg)
{
    (void)arg;
}

static void opening_closed(void *arg, const struct err *e)
{
    struct opening *o = arg;

    (void)fprintf(stderr, "bench_load: %s\n", e->text);
    o->failed = true;
}

static void opening_connected(void *arg)
{
    struct opening *o = arg;

    o->connected = true;
}

static const struct conn_user opening_user = {
    .on_data = opening_data,
    .on_eof = opening_eof,
    .on_closed = opening_closed,
    .on_connected = opening_connected,
};

static struct rpc_session *open_session(struct load *l, const char *address)
{
    const struct rpc_session_opts opts = {.client = true};
    struct opening o = {.load = l};
    struct err e = {0};

    if (conn_connect(l->loop, address, 10 * NSEC_PER_SEC, &opening_user, &o, &o.conn, &e) < 0) {
        (void)fprintf(stderr, "bench_load: %s\n", e.text);
        return NULL;
    }
    while (!o.connected && !o.failed)
        if (loop_turn(l->loop, UINT64_MAX) < 0)
            return NULL;
    return o.failed ? NULL : rpc_session_new(o.conn, &opts);
}

static int run(struct load *l, const char *address, size_t n_sessions, size_t in_flight)
{
    struct lane *lanes = xnew0_n(struct lane, n_sessions * in_flight);
    struct rpc_session **sessions = xnew0_n(struct rpc_session *, n_sessions);
    uint64_t start;
    int r = 0;

    for (size_t i = 0; i < n_sessions && r == 0; i++) {
        sessions[i] = open_session(l, address);
        r = sessions[i] ? 0 : -ECONNREFUSED;
    }
    if (r == 0) {
        start = clock_boot_ns();
        l->running = n_sessions * in_flight;
        for (size_t i = 0; i < n_sessions * in_flight; i++) {
            lanes[i] = (struct lane){l, sessions[i % n_sessions]};
            lane_next(&lanes[i]);
        }
        r = loop_run(l->loop);
        (void)printf("{\"calls\":%zu,\"errors\":%zu,\"seconds\":%.3f}\n", l->calls, l->errors,
                     (double)(clock_boot_ns() - start) / 1e9);
        if (l->errors)
            (void)fprintf(stderr, "bench_load: first error: %s\n", l->first_error);
    }
    for (size_t i = 0; i < n_sessions; i++)
        if (sessions[i]) {
            rpc_session_close(sessions[i]);
            (void)rpc_session_unref(sessions[i]);
        }
    free(sessions);
    free(lanes);
    return r;
}

int main(int argc, char **argv)
{
    uint64_t from, count, n_sessions = 8, in_flight = 4;
    _cleanup_free_ char *node = NULL;
    struct load l = {0};
    int r;

    if (argc < 6 || parse_u64(argv[4], &from) < 0 || parse_u64(argv[5], &count) < 0 ||
        (argc > 6 && parse_u64(argv[6], &n_sessions) < 0) ||
        (argc > 7 && parse_u64(argv[7], &in_flight) < 0)) {
        (void)fprintf(stderr, "usage: bench_load ADDRESS NODE-FILE register|beat FROM COUNT "
                              "[SESSIONS [IN-FLIGHT]]\n");
        return 1;
    }
    loop_block_signals();
    if (file_read(argv[2], NODE_PACKED_MAX, &node, &l.node_len) < 0 || loop_new(&l.loop) < 0)
        return 1;
    l.node = node;
    l.beats = strcmp(argv[3], "beat") == 0;
    l.next = from;
    l.end = from + count;
    r = run(&l, argv[1], n_sessions, in_flight);
    (void)loop_free(l.loop);
    return r < 0 || l.errors ? 1 : 0;
}
