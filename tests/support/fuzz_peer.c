#include "tests/support/fuzz_peer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/str.h"
#include "codec/mp.h"
#include "wire/rpc_wire.h"

enum { DATA, WINDOW_UPDATE, PING, GO_AWAY };
enum { SYN = 1, ACK = 2, FIN = 4, RST = 8 };
enum { HEAD_BYTES = 12, PIECES_MAX = 300 };

void fuzz_broken(const char *where, const char *what)
{
    (void)fprintf(stderr, "fuzz: %s: not so: %s\n", where, what);
    abort();
}

void fuzz_peers_init(struct fuzz_peers *f)
{
    for (size_t i = 0; i < FUZZ_CONNS; i++)
        f->conns[i].fd = -1;
}

bool fuzz_has_secret(const uint8_t *p, size_t n)
{
    static const char mark[] = "-0000-5000-8000-";

    return n > 0 && memmem(p, n, mark, sizeof(mark) - 1);
}

/* --- connections --- */

void fuzz_open(struct fuzz_conn *c, const char *path, enum fuzz_kind kind, uint8_t type)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};

    fuzz_close(c);
    (void)snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
    *c = (struct fuzz_conn){.kind = kind,
                            .out = BUF_INIT((size_t)4 * MIB),
                            .in = BUF_INIT((size_t)64 * MIB),
                            .next_id = 1,
                            .next_seq = 1};
    c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&a, sizeof(a)) < 0)
        fuzz_broken(__func__, strerror(errno));
    if (kind != FUZZ_HTTP && type)
        buf_add_byte(&c->out, type);
    if (kind == FUZZ_PLAIN || kind == FUZZ_STREAMING)
        c->streams[0] = (struct fuzz_stream){.used = true,
                                             .streaming = kind == FUZZ_STREAMING,
                                             .send_window = INT64_MAX / 2,
                                             .recv_window = INT64_MAX / 2,
                                             .in = BUF_INIT((size_t)64 * MIB)};
}

void fuzz_close(struct fuzz_conn *c)
{
    c->fd = fd_close(c->fd);
    for (size_t i = 0; i < FUZZ_STREAMS; i++)
        buf_done(&c->streams[i].in);
    buf_done(&c->out);
    buf_done(&c->in);
    *c = (struct fuzz_conn){.fd = -1};
}

bool fuzz_is_open(const struct fuzz_conn *c)
{
    return c->kind != FUZZ_CLOSED && !c->eof;
}

bool fuzz_write(struct fuzz_peers *f, struct fuzz_conn *c)
{
    bool any = false;

    if (c->chop && c->out.len / c->chop > PIECES_MAX)
        c->chop = c->out.len / PIECES_MAX;
    while (fuzz_is_open(c) && !c->held && c->out.len > 0) {
        size_t want = c->chop ? MIN(c->chop, c->out.len) : c->out.len;
        ssize_t n = send(c->fd, c->out.p, want, MSG_NOSIGNAL);

        if (n <= 0)
            break;
        any = true;
        buf_drop(&c->out, (size_t)n);
        if (c->chop)
            f->turn(f->arg);
    }
    return any;
}

void fuzz_frame(struct fuzz_conn *c, uint8_t version, uint8_t type, uint16_t flags, uint32_t id,
                uint32_t length)
{
    buf_add_byte(&c->out, version);
    buf_add_byte(&c->out, type);
    buf_add_be16(&c->out, flags);
    buf_add_be32(&c->out, id);
    buf_add_be32(&c->out, length);
}

/* --- what comes on a stream --- */

static void check_index(const struct fuzz_peers *f, const uint8_t *body, size_t n)
{
    const uint8_t *value;
    struct mp_token t;
    struct mp_in in;
    size_t len;

    if (mp_map_find(body, n, "Index", &value, &len) < 0)
        return;
    in = mp_in(value, len);
    FUZZ_CHECK(mp_next(&in, &t) == 0 && t.type == MP_INT && t.i >= 0);
    FUZZ_CHECK((uint64_t)t.i <= MAX(f->index(f->arg), 1));
}

static void on_answer(struct fuzz_peers *f, struct fuzz_conn *c, struct fuzz_stream *s,
                      const struct rpc_header *h, const uint8_t *body, size_t n)
{
    size_t i = 0;

    while (i < s->n_pending && s->pending[i] != h->seq)
        i++;
    if (i < s->n_pending) {
        s->pending[i] = s->pending[--s->n_pending];
    } else {
        FUZZ_CHECK(s->wild || c->wild);
    }
    if (h->error_len == 0 && !f->agents_spoke)
        check_index(f, body, n);
    if (s->capture && h->error_len == 0)
        buf_add(s->capture, body, n);
    s->capture = NULL;
}

static void read_answers(struct fuzz_peers *f, struct fuzz_conn *c, struct fuzz_stream *s)
{
    for (;;) {
        struct mp_frame head = {0}, body = {0};
        struct rpc_header h;
        size_t a, b;
        int r = mp_frame(&head, s->in.p, s->in.len, RPC_HEADER_MAX * 16, &a);

        FUZZ_CHECK(r == 0 || r == -EAGAIN);
        if (r < 0)
            return;
        r = mp_frame(&body, s->in.p + a, s->in.len - a, (size_t)64 * MIB, &b);
        FUZZ_CHECK(r == 0 || r == -EAGAIN);
        if (r < 0)
            return;
        FUZZ_CHECK(rpc_reply_header_read(s->in.p, a, &h) == 0);
        FUZZ_CHECK(f->secrets_anywhere || !fuzz_has_secret(s->in.p, a + b));
        on_answer(f, c, s, &h, s->in.p + a, b);
        buf_drop(&s->in, a + b);
    }
}

/* objects of a streaming RPC */
static void read_objects(struct fuzz_peers *f, struct fuzz_stream *s)
{
    for (;;) {
        struct mp_frame frame = {0};
        size_t n;
        int r = mp_frame(&frame, s->in.p, s->in.len, RPC_OBJECT_MAX * 2, &n);

        FUZZ_CHECK(r == 0 || r == -EAGAIN);
        if (r < 0)
            return;
        FUZZ_CHECK(f->secrets_anywhere || !fuzz_has_secret(s->in.p, n));
        buf_drop(&s->in, n);
    }
}

static void on_stream_data(struct fuzz_peers *f, struct fuzz_conn *c, struct fuzz_stream *s,
                           const uint8_t *p, size_t n)
{
    FUZZ_CHECK(!s->ended);
    FUZZ_CHECK(!s->reset);
    s->recv_window -= (int64_t)n;
    FUZZ_CHECK(s->recv_window >= 0);
    if (s->by_hand) {
        FUZZ_CHECK(f->secrets_anywhere || !fuzz_has_secret(p, n));
        return;
    }
    buf_add(&s->in, p, n);
    if (s->theirs)
        return; /* fuzz_answer() reads it */
    if (s->streaming)
        read_objects(f, s);
    else
        read_answers(f, c, s);
}

/* --- frames --- */

static struct fuzz_stream *find(struct fuzz_conn *c, uint32_t id)
{
    for (size_t i = 0; i < FUZZ_STREAMS; i++)
        if (c->streams[i].used && c->streams[i].id == id)
            return &c->streams[i];
    return NULL;
}

static struct fuzz_stream *add(struct fuzz_conn *c, uint32_t id)
{
    for (size_t i = 0; i < FUZZ_STREAMS; i++)
        if (!c->streams[i].used || c->streams[i].ended) {
            buf_done(&c->streams[i].in);
            c->streams[i] = (struct fuzz_stream){.used = true,
                                                 .id = id,
                                                 .send_window = YAMUX_WINDOW,
                                                 .recv_window = YAMUX_WINDOW,
                                                 .in = BUF_INIT((size_t)64 * MIB)};
            return &c->streams[i];
        }
    return NULL;
}

static void grant(struct fuzz_conn *c, struct fuzz_stream *s)
{
    if (c->stingy || s->recv_window > (int64_t)YAMUX_WINDOW / 2 || s->ended || s->reset)
        return;
    fuzz_frame(c, 0, WINDOW_UPDATE, 0, s->id, (uint32_t)(YAMUX_WINDOW - (size_t)s->recv_window));
    s->recv_window = YAMUX_WINDOW;
}

/* the server accepts each stream once: a second time is a stream that a frame made by hand opened
 * under the id of one that has ended */
static void on_ack(struct fuzz_conn *c, struct fuzz_stream *s)
{
    if (s->acked || s->ended || s->reset || s->theirs) {
        FUZZ_CHECK(c->wild);
        buf_reset(&s->in);
        s->recv_window = YAMUX_WINDOW;
        s->ended = s->reset = s->theirs = false;
        s->wild = s->by_hand = true;
    }
    s->acked = true;
}

static void on_stream_frame(struct fuzz_peers *f, struct fuzz_conn *c, uint8_t type, uint16_t flags,
                            uint32_t id, const uint8_t *p, uint32_t length)
{
    struct fuzz_stream *s = find(c, id);

    if (flags & SYN) {
        FUZZ_CHECK(id % 2 == 0);
        FUZZ_CHECK(!s || s->ended || c->wild);
        s = add(c, id);
        if (s) {
            s->theirs = true;
            fuzz_frame(c, 0, WINDOW_UPDATE, ACK, id, 0);
        }
    }
    if (!s) /* one of those that were made by hand, or forgotten */
        return;
    if (flags & ACK)
        on_ack(c, s);
    if (type == DATA && length > 0)
        on_stream_data(f, c, s, p, length);
    else if (type == WINDOW_UPDATE)
        s->send_window += length;
    if (flags & (FIN | RST))
        s->ended = true;
    if (type == DATA)
        grant(c, s);
}

static void on_frame(struct fuzz_peers *f, struct fuzz_conn *c, const uint8_t *h, const uint8_t *p)
{
    uint16_t flags = (uint16_t)(h[2] << 8 | h[3]);
    uint32_t id = (uint32_t)h[4] << 24 | (uint32_t)h[5] << 16 | (uint32_t)h[6] << 8 | h[7];
    uint32_t length = (uint32_t)h[8] << 24 | (uint32_t)h[9] << 16 | (uint32_t)h[10] << 8 | h[11];

    if (h[1] == PING && (flags & SYN))
        fuzz_frame(c, 0, PING, ACK, 0, length);
    else if (h[1] == GO_AWAY)
        c->going = true;
    else if (h[1] <= WINDOW_UPDATE)
        on_stream_frame(f, c, h[1], flags, id, p, length);
}

static void read_frames(struct fuzz_peers *f, struct fuzz_conn *c)
{
    size_t at = 0;

    while (c->in.len - at >= HEAD_BYTES) {
        const uint8_t *h = c->in.p + at;
        size_t n = 0;

        FUZZ_CHECK(h[0] == 0 && h[1] <= GO_AWAY && h[2] == 0 && h[3] <= (SYN | ACK | FIN | RST));
        if (h[1] == DATA)
            n = (size_t)h[8] << 24 | (size_t)h[9] << 16 | (size_t)h[10] << 8 | h[11];
        FUZZ_CHECK(n <= YAMUX_WINDOW || c->wild);
        if (c->in.len - at - HEAD_BYTES < n)
            break;
        on_frame(f, c, h, h + HEAD_BYTES);
        at += HEAD_BYTES + n;
    }
    buf_drop(&c->in, at);
}

/* --- HTTP --- */

/* the length of one whole chunked body; 0: more is to come */
static size_t chunked_len(const uint8_t *p, size_t n)
{
    size_t at = 0;

    for (;;) {
        const uint8_t *end = at < n ? memmem(p + at, n - at, "\r\n", 2) : NULL;
        size_t size = end ? strtoul((const char *)p + at, NULL, 16) : 0;

        if (!end || (size_t)(end - p) + 2 + size + 2 > n)
            return 0;
        at = (size_t)(end - p) + 2 + size + 2;
        if (size == 0)
            return at;
    }
}

/* whole answers at the front; 0: more is to come */
static size_t answer_len(struct fuzz_peers *f, const struct fuzz_conn *c)
{
    const char *text = buf_str(&c->in), *end = memmem(text, c->in.len, "\r\n\r\n", 4), *at;
    size_t head, n = 0;

    FUZZ_CHECK(c->in.len < 9 || memcmp(text, "HTTP/1.1 ", 9) == 0);
    if (!end)
        return 0;
    head = (size_t)(end - text) + 4;
    at = memmem(text, head, "X-Nomad-Index: ", 15);
    if (at && !f->agents_spoke)
        FUZZ_CHECK(strtoull(at + 15, NULL, 10) <= MAX(f->index(f->arg), 1));
    if (memcmp(text + 9, "1", 1) == 0 || memcmp(text + 9, "204", 3) == 0)
        return head;
    at = memmem(text, head, "Content-Length: ", 16);
    if (at)
        n = strtoul(at + 16, NULL, 10);
    else if (memmem(text, head, "chunked", 7))
        n = chunked_len((const uint8_t *)text + head, c->in.len - head);
    else
        return 0; /* until the end */
    if ((!at && n == 0) || c->in.len - head < n)
        return 0;
    return head + n;
}

static void read_http(struct fuzz_peers *f, struct fuzz_conn *c)
{
    size_t n;

    FUZZ_CHECK(f->secrets_anywhere || !fuzz_has_secret(c->in.p, c->in.len));
    while (c->in.len > 0 && (n = answer_len(f, c)) > 0) {
        if (c->in.p[9] != '1')
            c->n_answered++;
        buf_drop(&c->in, n);
    }
    FUZZ_CHECK(c->wild || c->n_answered <= c->n_asked);
}

static void take(struct fuzz_peers *f, struct fuzz_conn *c, const uint8_t *p, size_t n)
{
    if (c->kind == FUZZ_PLAIN || c->kind == FUZZ_STREAMING) {
        on_stream_data(f, c, &c->streams[0], p, n);
        return;
    }
    if (c->kind == FUZZ_BARE) { /* the type byte may have been among the input's own */
        FUZZ_CHECK(c->wild);
        return;
    }
    buf_add(&c->in, p, n);
    FUZZ_CHECK(buf_ok(&c->in) == 0);
    if (c->kind == FUZZ_YAMUX)
        read_frames(f, c);
    else
        read_http(f, c);
}

bool fuzz_read(struct fuzz_peers *f, struct fuzz_conn *c)
{
    uint8_t place[65536];
    bool any = false;

    while (fuzz_is_open(c) && !c->deaf) {
        ssize_t n = recv(c->fd, place, sizeof(place), 0);

        if (n < 0 && errno == EAGAIN)
            break;
        any = true;
        if (n <= 0)
            c->eof = true;
        else
            take(f, c, place, (size_t)n);
    }
    return any;
}

/* --- what we say --- */

struct fuzz_stream *fuzz_stream(struct fuzz_conn *c, unsigned n, bool streaming)
{
    uint32_t id = 1 + 2 * (n & 15);
    struct fuzz_stream *s;

    if (c->kind == FUZZ_PLAIN || c->kind == FUZZ_STREAMING)
        return &c->streams[0];
    if (c->kind != FUZZ_YAMUX)
        return NULL;
    s = find(c, id);
    if (s && !s->ended && !s->reset && !s->fin_sent)
        return s;
    if (s) { /* its id is used up: the next one */
        id = c->next_id;
        s->id = 0;
        s->ended = true;
    }
    if (id < c->next_id)
        id = c->next_id;
    s = add(c, id);
    if (!s)
        return NULL;
    c->next_id = id + 2;
    s->streaming = streaming;
    fuzz_frame(c, 0, WINDOW_UPDATE, SYN, id, 0);
    fuzz_stream_send(c, s, (const uint8_t *)(streaming ? "\x05" : "\x01"), 1, 0);
    return s;
}

void fuzz_stream_send(struct fuzz_conn *c, struct fuzz_stream *s, const uint8_t *p, size_t n,
                      size_t piece)
{
    if (c->kind != FUZZ_YAMUX) {
        buf_add(&c->out, p, n);
        return;
    }
    s->send_window -= (int64_t)n;
    if (s->send_window < 0 || s->ended || s->reset || s->fin_sent)
        c->wild = true;
    while (n > 0) {
        size_t part = piece ? MIN(piece, n) : n;

        fuzz_frame(c, 0, DATA, 0, s->id, (uint32_t)part);
        buf_add(&c->out, p, part);
        p += part;
        n -= part;
    }
}

void fuzz_request(struct fuzz_conn *c, struct fuzz_stream *s, const char *method, const uint8_t *p,
                  size_t n, size_t piece, bool correct)
{
    struct buf b = BUF_INIT((size_t)4 * MIB);

    rpc_request_header_write(&b, c->next_seq, method);
    buf_add(&b, p, n);
    if (!correct || s->streaming || s->n_pending == FUZZ_PENDING)
        s->wild = true;
    else if (!s->wild)
        s->pending[s->n_pending++] = c->next_seq;
    c->next_seq++;
    fuzz_stream_send(c, s, b.p, b.len, piece);
    buf_done(&b);
}

void fuzz_reset(struct fuzz_conn *c, struct fuzz_stream *s, bool settled)
{
    fuzz_frame(c, 0, WINDOW_UPDATE, RST, s->id, 0);
    s->n_pending = 0;
    /* what was on its way may still come, unless all was read and this one goes out now */
    if (!settled || c->deaf || c->held || c->chop || c->out.len > HEAD_BYTES || c->wild ||
        c->stingy)
        s->fin_sent = s->wild = true;
    else
        s->reset = true;
}

static void put_answer(struct buf *b, struct fuzz_in *in, const struct rpc_header *h)
{
    _cleanup_free_ char *name = xstrndup((const char *)h->method, h->method_len);
    const struct method *m = method_find(name);
    struct fuzz_body o = {.full = true, .status = "ready"};
    struct buf body = BUF_INIT(MIB);
    uint8_t how = fuzz_u8(in);

    rpc_reply_header_write(b, how & 1 ? "no" : "", h->seq + (how & 2 ? 1 : 0), name);
    fuzz_body_pack(m ? m->reply : NULL, &o, &body);
    if (how & 4)
        fuzz_spoil(body.p, body.len, in, b);
    else
        buf_add(b, body.p, body.len);
    buf_done(&body);
}

bool fuzz_answer(struct fuzz_conn *c, struct fuzz_in *in)
{
    for (size_t i = 0; i < FUZZ_STREAMS; i++) {
        struct fuzz_stream *s = &c->streams[i];
        struct mp_frame head = {0}, body = {0};
        struct buf b = BUF_INIT((size_t)2 * MIB);
        struct rpc_header h;
        size_t n, m;

        if (!s->used || !s->theirs || s->ended || s->in.len < 2)
            continue;
        if (s->in.p[0] == 5) { /* a log stream: agree, then what the input says */
            buf_drop(&s->in, s->in.len);
            buf_add_byte(&s->in, 5);
            if (!s->asked_stream)
                buf_add(&b,
                        "\x81\xa5"
                        "Error\xa0",
                        8);
            s->asked_stream = true;
            buf_add(&b, in->p, (size_t)(in->end - in->p));
        } else if (mp_frame(&head, s->in.p + 1, s->in.len - 1, MIB, &n) == 0 &&
                   mp_frame(&body, s->in.p + 1 + n, s->in.len - 1 - n, MIB, &m) == 0) {
            FUZZ_CHECK(rpc_request_header_read(s->in.p + 1, n, &h) == 0);
            put_answer(&b, in, &h);
            memmove(s->in.p + 1, s->in.p + 1 + n + m, s->in.len - 1 - n - m);
            s->in.len -= n + m;
        } else {
            continue;
        }
        fuzz_stream_send(c, s, b.p, b.len, 0);
        buf_done(&b);
        return true;
    }
    return false;
}

size_t fuzz_unanswered(const struct fuzz_conn *c)
{
    size_t n = c->n_asked - MIN(c->n_asked, c->n_answered);

    for (size_t i = 0; i < FUZZ_STREAMS; i++)
        n += c->streams[i].n_pending;
    return n;
}

void fuzz_all_answered(const struct fuzz_conn *c)
{
    if (!fuzz_is_open(c) || c->wild)
        return;
    if (c->kind == FUZZ_HTTP) {
        FUZZ_CHECK(c->endless || c->n_answered == c->n_asked);
        return;
    }
    for (size_t i = 0; i < FUZZ_STREAMS; i++) {
        const struct fuzz_stream *s = &c->streams[i];

        if (s->used && !s->wild && !s->ended && !s->fin_sent && s->recv_window > 0)
            FUZZ_CHECK(s->n_pending == 0);
    }
}
