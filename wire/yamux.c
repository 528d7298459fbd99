#include "wire/yamux.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "wire/budget.h"
#include "wire/yamux_priv.h"

/* The session: frames in, control frames out, keepalive, the end.  Streams are in yamux_stream.c.
 *
 * Payload is passed on as it arrives, so no frame is ever kept; only a header may wait in the conn
 * until its 12 bytes are there. */

/* --- out --- */

/* a write that does not move for 10 s ends the session; looked at only then, not at each write */
static void watch_writes(struct yamux *y, size_t n)
{
    if (!timer_armed(&y->write_timer)) {
        y->mark = y->written - conn_pending(y->conn);
        timer_set(&y->write_timer, YAMUX_WRITE_LIMIT_NS);
    }
    y->written += n;
}

static void on_write_timer(void *arg)
{
    struct yamux *y = arg;
    size_t pending = conn_pending(y->conn);

    if (pending == 0)
        return;
    if (y->written - pending == y->mark) {
        conn_abort(y->conn);
        yamux_fail(y, -1, -ETIMEDOUT, "%s: nothing could be sent for 10 s", conn_peer(y->conn));
        return;
    }
    y->mark = y->written - pending;
    timer_set(&y->write_timer, YAMUX_WRITE_LIMIT_NS);
}

static void put_header(uint8_t h[YAMUX_HEADER_BYTES], enum yamux_type type, uint16_t flags,
                       uint32_t id, uint32_t length)
{
    uint16_t be_flags = __builtin_bswap16(flags);
    uint32_t be_id = __builtin_bswap32(id), be_length = __builtin_bswap32(length);

    h[0] = 0;
    h[1] = (uint8_t)type;
    memcpy(h + 2, &be_flags, 2);
    memcpy(h + 4, &be_id, 4);
    memcpy(h + 8, &be_length, 4);
}

void yamux_send(struct yamux *y, enum yamux_type type, uint16_t flags, uint32_t id, uint32_t length)
{
    uint8_t h[YAMUX_HEADER_BYTES];

    if (y->dead)
        return;
    put_header(h, type, flags, id, length);
    watch_writes(y, sizeof(h));
    conn_write(y->conn, h, sizeof(h));
}

void yamux_send_data(struct yamux *y, uint32_t id, const void *p, size_t n)
{
    uint8_t h[YAMUX_HEADER_BYTES];

    if (y->dead)
        return;
    put_header(h, YAMUX_DATA, 0, id, (uint32_t)n);
    watch_writes(y, sizeof(h) + n);
    conn_write(y->conn, h, sizeof(h));
    conn_write(y->conn, p, n);
}

/* --- the end --- */

void yamux_unref(struct yamux *y)
{
    if (--y->refs > 0)
        return;
    defer_stop(&y->work);
    y->conn = conn_unref(y->conn);
    budget_hold(BUDGET_OUT, &y->counted, 0);
    free(y->streams);
    free(y->why);
    free(y);
}

void yamux_fail(struct yamux *y, int goodbye, int code, const char *fmt, ...)
{
    va_list ap;

    if (y->dead)
        return;
    if (goodbye >= 0)
        yamux_send(y, YAMUX_GO_AWAY, 0, 0, (uint32_t)goodbye);
    y->dead = true;
    y->why_code = code;
    va_start(ap, fmt);
    y->why = xvasprintf(fmt, ap);
    va_end(ap);
    timer_stop(&y->keepalive);
    timer_stop(&y->write_timer);
    conn_close(y->conn);
    defer_set(&y->work);
}

static void protocol_error(struct yamux *y, const char *what)
{
    yamux_fail(y, YAMUX_PROTOCOL_ERROR, -EPROTO, "%s: yamux: %s", conn_peer(y->conn), what);
}

/* takes any stream out of the session; NULL when there is none left */
static struct yamux_stream *take_stream(struct yamux *y)
{
    struct yamux_stream *s = list_first(&y->done, struct yamux_stream, link);

    if (s)
        list_remove(&s->link);
    else if (y->n_streams)
        yamux_stream_remove(s = y->streams[y->n_streams - 1]);
    return s;
}

static void tell_dead(struct yamux *y)
{
    struct yamux_stream *s;
    struct err e;

    (void)err_set(&e, y->why_code, "%s", y->why);
    while (y->user && (s = take_stream(y))) {
        if (!s->released)
            s->user->on_reset(s->arg, &e);
        yamux_stream_free(s);
    }
    if (y->user)
        y->user->on_closed(y->arg, &e);
}

struct yamux *yamux_free(struct yamux *y)
{
    struct yamux_stream *s;

    if (!y)
        return NULL;
    y->user = NULL;
    y->dead = true;
    y->rx = NULL;
    timer_stop(&y->keepalive);
    timer_stop(&y->write_timer);
    defer_stop(&y->work);
    while ((s = take_stream(y)))
        yamux_stream_free(s);
    conn_close(y->conn);
    yamux_unref(y);
    return NULL;
}

/* --- keepalive --- */

static void on_keepalive(void *arg)
{
    struct yamux *y = arg;

    if (y->awaiting_pong && y->received != y->received_mark) {
        y->received_mark = y->received; /* a slow line: the answer stands behind this */
        timer_set(&y->keepalive, y->answer_ns);
        return;
    }
    if (y->awaiting_pong && !y->late && conn_unread(y->conn)) {
        y->late = true;
        timer_set(&y->keepalive, LATE_LOOK_SEC * NSEC_PER_SEC);
        return;
    }
    if (y->awaiting_pong) {
        conn_abort(y->conn);
        yamux_fail(y, -1, -ETIMEDOUT, "%s: no answer to a ping", conn_peer(y->conn));
        return;
    }
    yamux_probe(y, YAMUX_PING_ANSWER_NS);
}

void yamux_probe(struct yamux *y, uint64_t answer_ns)
{
    uint64_t until = clock_boot_ns() + answer_ns;

    if (y->dead)
        return;
    if (!y->awaiting_pong) {
        yamux_send(y, YAMUX_PING, YAMUX_SYN, 0, y->ping_id);
        y->received_mark = y->received;
    } else {
        until = MIN(until, y->keepalive.at_ns);
    }
    y->awaiting_pong = true;
    y->answer_ns = answer_ns;
    timer_set_at(&y->keepalive, until);
}

static void on_ping(struct yamux *y, const struct yamux_frame *f)
{
    if (f->flags & YAMUX_SYN) {
        yamux_send(y, YAMUX_PING, YAMUX_ACK, 0, f->length);
    } else if (y->awaiting_pong && f->length == y->ping_id) {
        y->awaiting_pong = y->late = false;
        y->ping_id++;
        timer_set(&y->keepalive, YAMUX_PING_EVERY_NS);
    }
}

static void on_go_away(struct yamux *y, uint32_t code)
{
    static const char *const texts[] = {"", "protocol error", "internal error"};

    if (code == YAMUX_NORMAL) {
        y->going = true;
        return;
    }
    yamux_fail(y, -1, -ECONNABORTED, "%s: yamux: the peer ends the session: %s", conn_peer(y->conn),
               code < ARRAY_LEN(texts) ? texts[code] : "unknown reason");
}

/* --- in --- */

/* a stream that the peer opens; NULL when it was refused or the session failed */
static struct yamux_stream *incoming(struct yamux *y, uint32_t id)
{
    struct yamux_stream *s;

    if (id == 0 || yamux_find(y, id)) {
        protocol_error(y, id ? "a stream is opened twice" : "stream 0 is opened");
        return NULL;
    }
    if (y->backlog >= YAMUX_BACKLOG || y->n_streams >= YAMUX_STREAMS_MAX) {
        yamux_send(y, YAMUX_WINDOW_UPDATE, YAMUX_RST, id, 0);
        return NULL;
    }
    s = yamux_stream_new(y, id);
    s->unaccepted = true;
    y->backlog++;
    yamux_send(y, YAMUX_WINDOW_UPDATE, YAMUX_ACK, id, 0);
    y->user->on_stream(y->arg, s);
    return yamux_find(y, id); /* the user may have let go of it at once */
}

static void on_reset(struct yamux_stream *s)
{
    struct err e;

    (void)err_set(&e, -ECONNRESET, "%s: stream reset by the peer", conn_peer(s->y->conn));
    yamux_stream_remove(s);
    if (!s->released)
        s->user->on_reset(s->arg, &e);
    yamux_stream_free(s);
}

static void end_of_frame(struct yamux *y)
{
    struct yamux_stream *s = y->rx;

    y->rx = NULL;
    if (!s || !(y->rx_flags & YAMUX_FIN))
        return;
    if (s->fin_seen) {
        protocol_error(y, "a stream is ended twice");
        return;
    }
    yamux_on_fin(s);
}

static void on_stream_frame(struct yamux *y, const struct yamux_frame *f)
{
    struct yamux_stream *s;

    s = f->flags & YAMUX_SYN ? incoming(y, f->id) : yamux_find(y, f->id);
    if (y->dead)
        return;
    y->rx_left = f->type == YAMUX_DATA ? f->length : 0;
    y->rx_flags = f->flags;
    y->rx = NULL;
    if (!s)
        return; /* a stream that is gone: what still comes is thrown away */
    if (f->flags & YAMUX_ACK)
        yamux_on_ack(s);
    if (f->flags & YAMUX_RST) {
        on_reset(s);
        return;
    }
    if (f->type == YAMUX_WINDOW_UPDATE) {
        yamux_on_window(s, f->length);
    } else if (f->length > s->recv_window) {
        protocol_error(y, "more data than the window allows");
        return;
    } else {
        s->recv_window -= f->length;
    }
    y->rx = s;
    if (y->rx_left == 0)
        end_of_frame(y);
}

static void on_frame(struct yamux *y, const struct yamux_frame *f)
{
    if (f->version != 0) {
        yamux_fail(y, -1, -EPROTO, "%s: yamux: version %u", conn_peer(y->conn), f->version);
        return;
    }
    switch (f->type) {
    case YAMUX_DATA:
    case YAMUX_WINDOW_UPDATE:
        on_stream_frame(y, f);
        return;
    case YAMUX_PING:
        on_ping(y, f);
        return;
    case YAMUX_GO_AWAY:
        on_go_away(y, f->length);
        return;
    default:
        yamux_fail(y, -1, -EPROTO, "%s: yamux: frame type %u", conn_peer(y->conn), f->type);
    }
}

static void on_payload(struct yamux *y, const uint8_t *p, size_t n)
{
    struct yamux_stream *s = y->rx;

    y->rx_left -= (uint32_t)n;
    y->received += n;
    if (s && s->released)
        yamux_consumed(s, n); /* thrown away, but the peer may come to its end */
    else if (s && !s->fin_seen)
        s->user->on_data(s->arg, p, n);
    if (y->rx_left == 0 && !y->dead)
        end_of_frame(y);
}

static struct yamux_frame read_header(const uint8_t *p)
{
    struct yamux_frame f = {.version = p[0], .type = p[1]};

    memcpy(&f.flags, p + 2, 2);
    memcpy(&f.id, p + 4, 4);
    memcpy(&f.length, p + 8, 4);
    f.flags = __builtin_bswap16(f.flags);
    f.id = __builtin_bswap32(f.id);
    f.length = __builtin_bswap32(f.length);
    return f;
}

static ssize_t on_data(void *arg, const uint8_t *p, size_t n)
{
    struct yamux *y = arg;
    size_t at = 0;

    y->refs++;
    while (at < n && !y->dead) {
        if (y->rx_left) {
            size_t part = MIN(n - at, (size_t)y->rx_left);

            on_payload(y, p + at, part);
            at += part;
        } else if (n - at >= YAMUX_HEADER_BYTES) {
            struct yamux_frame f = read_header(p + at);

            at += YAMUX_HEADER_BYTES;
            on_frame(y, &f);
        } else {
            break;
        }
    }
    /* each frame may ask for an answer: a peer that takes none is not read until it does */
    if (!y->dead && conn_pending(y->conn) > YAMUX_REPLY_BYTES)
        conn_read_pause(y->conn, true);
    yamux_unref(y);
    return (ssize_t)at;
}

static void on_eof(void *arg)
{
    struct yamux *y = arg;

    yamux_fail(y, -1, -ECONNRESET, "%s: EOF", conn_peer(y->conn));
}

static void on_closed(void *arg, const struct err *e)
{
    yamux_fail(arg, -1, e->code, "%s", e->text);
}

static void on_drained(void *arg)
{
    struct yamux *y = arg;

    if (!y->dead)
        conn_read_pause(y->conn, false);
    yamux_pump(y);
}

static void on_work(void *arg)
{
    struct yamux *y = arg;

    y->refs++;
    if (y->dead)
        tell_dead(y);
    else
        yamux_pump(y);
    yamux_unref(y);
}

struct yamux *yamux_new(struct conn *take_c, bool client, const struct yamux_user *user, void *arg)
{
    static const struct conn_user conn_calls = {
        .on_data = on_data,
        .on_eof = on_eof,
        .on_closed = on_closed,
        .on_drained = on_drained,
    };
    struct yamux *y = xnew0(struct yamux);

    *y = (struct yamux){.loop = conn_loop(take_c), .conn = take_c, .user = user, .arg = arg};
    y->refs = 1;
    y->next_id = client ? 1 : 2;
    list_init(&y->writers);
    list_init(&y->done);
    timer_init(y->loop, &y->keepalive, "yamux keepalive", on_keepalive, y);
    timer_init(y->loop, &y->write_timer, "yamux write", on_write_timer, y);
    defer_init(y->loop, &y->work, on_work, y);
    timer_set(&y->keepalive, YAMUX_PING_EVERY_NS);
    conn_set_user(take_c, &conn_calls, y);
    return y;
}

size_t yamux_streams(const struct yamux *y)
{
    return y->n_streams;
}

bool yamux_takes_streams(const struct yamux *y)
{
    return !y->dead && !y->going;
}
