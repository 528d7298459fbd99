/* HTTP: heads, chunks, router, parameters, handlers and replies, fed with what a peer may send.
 *
 * The input's head goes through the pure middle of the API; every other input also through the
 * whole server over a unix socket (at once, or cut in two).  Checked beyond not crashing: what the
 * server says always begins as HTTP does.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "api/dispatch.h"
#include "api/server.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/limits.h"
#include "tests/support/fake_view.h"
#include "wire/conn.h"
#include "wire/http1_chunk.h"
#include "wire/http1_head.h"

#define ID "11d0a6c4-2f3e-4b5a-9c8d-7e6f50413223"

enum { INPUT_MAX = 64 * KIB };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct loop *loop;
static struct fake_view fake;
static struct api *api;
static char path[108]; /* of the listening socket */

static void must(bool ok, const char *what)
{
    if (ok)
        return;
    (void)fprintf(stderr, "fuzz_http: %s\n", what);
    abort();
}

static void start(void)
{
    _cleanup_free_ char *address = NULL, *bound = NULL;
    struct err e = {0};
    int fd;

    if (loop)
        return;
    loop_block_signals();
    clock_fake(true, 1000 * NSEC_PER_SEC, 1700000000 * (int64_t)NSEC_PER_SEC);
    must(loop_new(&loop) == 0, "loop");
    fake_view_init(&fake);
    fake_view_put(&fake, ID, "a");
    api = api_new(&(struct api_opts){.loop = loop, .view = &fake.view});
    (void)snprintf(path, sizeof(path), "%s/fuzz-http-%d.sock", getenv("TMPDIR") ?: "/tmp",
                   (int)getpid());
    address = xasprintf("unix:%s", path);
    must(listen_open(address, &fd, &bound, &e) == 0, "listen");
    must(api_listen(api, fd, &e) == 0, "api");
}

/* --- the pure parts --- */

static void run_dispatch(const struct http_head *h)
{
    struct http_request q = {
        .method = h->method,
        .target = h->target,
        .path = h->path,
        .query = h->query,
        .headers = h->headers,
        .n_headers = h->n_headers,
        .peer = "fuzz",
    };
    struct ask ask = {0};
    struct reply r;

    reply_init(&r);
    if (dispatch_route(&q, &ask, &r) == 0) {
        must(dispatch_run(&fake.view, &ask, &r) == 0, "an answer later, by a view that has all");
        reply_make_body(&r, &ask);
        (void)dispatch_must_wait(&ask, &r);
        must(dispatch_wait_ns(&ask) <= 320 * NSEC_PER_SEC, "a longer wait than there is");
    }
    must(r.status >= 200 && r.status < 600, "no status");
    must(r.status != 404 || r.has_meta || r.body.len == 0, "a text on an unknown path");
    reply_done(&r);
    ask_done(&ask);
}

static void run_head(const uint8_t *p, size_t n)
{
    struct http_head *h = NULL;
    struct http_scan s = {0};
    struct err e = {0};
    ssize_t k = http_head_scan(&s, p, n, &e);

    if (k <= 0)
        return;
    must((size_t)k <= n, "a head longer than its bytes");
    if (http_head_parse(p, (size_t)k, HTTP_BODY_MAX, &h, &e) < 0) {
        must(e.status >= 400, "a refusal without a status");
        return;
    }
    must(!(h->chunked && h->has_length), "two lengths");
    run_dispatch(h);
    free(h);
}

static void run_chunks(const uint8_t *p, size_t n)
{
    struct buf whole = BUF_INIT(INPUT_MAX), cut = BUF_INIT(INPUT_MAX);
    struct http_chunks a = {0}, b = {0};
    size_t used = 0, at = 0;
    int r, k = 0;

    r = http_chunks_feed(&a, p, n, &whole, &used);
    while (at < n && k == 0) {
        size_t step = 0;

        k = http_chunks_feed(&b, p + at, 1, &cut, &step);
        at += k < 0 ? 1 : step;
    }
    must(r == k, "chunks depend on how they are cut");
    must(r < 0 || (whole.len == cut.len && at == used), "chunks differ when they are cut");
    buf_done(&whole);
    buf_done(&cut);
}

/* --- the server --- */

static void turn(int n)
{
    while (n-- > 0)
        must(loop_turn(loop, 0) >= 0, "turn");
}

/* reads and checks; true = closed */
static bool hear(int fd, bool *first)
{
    char piece[4096];
    ssize_t k;

    while ((k = recv(fd, piece, sizeof(piece), MSG_DONTWAIT)) > 0) {
        must(!*first || (k >= 9 && memcmp(piece, "HTTP/1.1 ", 9) == 0), "this is no HTTP");
        *first = false;
    }
    return k == 0;
}

static void say(int fd, const uint8_t *p, size_t n, bool *first)
{
    for (int i = 0; n > 0 && i < 100; i++) {
        ssize_t k = send(fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (k > 0) {
            p += k;
            n -= (size_t)k;
        }
        turn(1);
        if (hear(fd, first))
            return;
    }
}

static void run_server(const uint8_t *p, size_t n, size_t cut)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    bool first = true;
    int fd;

    memcpy(a.sun_path, path, sizeof(a.sun_path));
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(fd >= 0, "socket");
    must(connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0, "connect");
    turn(1);
    say(fd, p, cut, &first);
    say(fd, p + cut, n - cut, &first);
    turn(2);
    (void)hear(fd, &first);
    (void)close(fd);
    for (int i = 0; i < 20 && (i < 3 || fake.n_waits > 0); i++)
        turn(1); /* the end, what was left to be offered, and who waited for it */
    must(fake.n_waits == 0, "a waiter for nobody");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t pick = fnv1(FNV1_INIT, data, MIN(size, (size_t)INPUT_MAX)) >> 32;

    start();
    if (size > INPUT_MAX)
        return 0;
    run_head(data, size);
    run_chunks(data, size);
    if (pick % 4 == 0) /* sockets are slow, so not every input */
        run_server(data, size, size);
    else if (pick % 4 == 1)
        run_server(data, size, size / 2);
    return 0;
}
