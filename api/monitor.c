#include "api/monitor.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/limits.h"
#include "codec/js.h"

enum {
    HEADERS_MAX = 64,
    FRAME_EXTRA = 64, /* of a frame besides its data */
};

#define GATHER_NS    (100 * NSEC_PER_MSEC)
#define HEARTBEAT_NS (1 * NSEC_PER_SEC)

struct frame {
    struct bytes data;
    char *file_event;
};
#define T struct frame
static const struct field frame_fields[] = {
    {"Data",      BYTES(data)    },
    {"FileEvent", STR(file_event)},
};
#undef T
static DESC_OMITEMPTY(desc_frame, struct frame, frame_fields);

struct monitor {
    struct monitor_opts o;
    struct log_tap tap;
    struct buf lines; /* that have not gone out yet */
    uint64_t dropped; /* lines since the last word about it */
    struct timer gather, heartbeat;
};

/* --- records --- */

/* false: there is no room for it */
static bool add_line(struct monitor *m, const char *line)
{
    size_t n = strlen(line) + 1;

    if (m->lines.len + n > MONITOR_MAX)
        return false;
    buf_add(&m->lines, line, n - 1);
    buf_add_byte(&m->lines, '\n');
    return true;
}

static void on_line(void *arg, const char *line)
{
    struct monitor *m = arg;

    if (!add_line(m, line))
        m->dropped++;
    if (!timer_armed(&m->gather))
        timer_set(&m->gather, GATHER_NS);
}

/* Nomad's words (command/agent/monitor) */
static void tell_dropped(struct monitor *m)
{
    char text[96];

    if (m->dropped == 0)
        return;
    (void)snprintf(text, sizeof(text), "[WARN] Monitor dropped %llu logs during monitor request",
                   (unsigned long long)m->dropped);
    if (add_line(m, text))
        m->dropped = 0;
}

/* --- frames --- */

static void send_frame(struct monitor *m, const void *p, size_t n)
{
    struct frame f = {
        {(uint8_t *)(uintptr_t)p, n},
        n ? (char *)(uintptr_t) "log" : NULL
    };
    _cleanup_buf_ struct buf b = BUF_INIT(2 * MONITOR_MAX);

    js_encode(&b, &desc_frame, &f, 0);
    if (buf_ok(&b) == 0)
        m->o.sink->write(m->o.arg, b.p, b.len);
}

/* how many bytes of text fit */
static size_t room_for_text(const struct monitor *m)
{
    size_t room = m->o.sink->room(m->o.arg);

    if (m->o.plain)
        return room;
    return room > FRAME_EXTRA ? (room - FRAME_EXTRA) / 4 * 3 : 0;
}

/* up to the last whole line that fits */
static size_t whole_lines(const struct monitor *m, size_t room)
{
    size_t n = MIN(m->lines.len, room);

    while (n > 0 && m->lines.p[n - 1] != '\n')
        n--;
    return n;
}

static void flush(struct monitor *m)
{
    size_t n = whole_lines(m, room_for_text(m));

    if (n == 0)
        return; /* monitor_room() comes */
    if (m->o.plain)
        m->o.sink->write(m->o.arg, m->lines.p, n);
    else
        send_frame(m, m->lines.p, n);
    buf_drop(&m->lines, n);
    timer_set(&m->heartbeat, HEARTBEAT_NS);
    tell_dropped(m);
    if (m->lines.len > 0 && !timer_armed(&m->gather))
        timer_set(&m->gather, GATHER_NS);
}

static void on_gather(void *arg)
{
    flush(arg);
}

static void on_heartbeat(void *arg)
{
    struct monitor *m = arg;

    if (!m->o.plain && m->lines.len == 0 && m->o.sink->room(m->o.arg) > FRAME_EXTRA)
        send_frame(m, NULL, 0);
    timer_set(&m->heartbeat, HEARTBEAT_NS);
}

void monitor_room(struct monitor *m)
{
    if (m->lines.len > 0 && !timer_armed(&m->gather))
        timer_set(&m->gather, 0);
}

struct monitor *monitor_new(const struct monitor_opts *o)
{
    struct monitor *m = xnew0(struct monitor);

    m->o = *o;
    m->lines = BUF_INIT(MONITOR_MAX);
    timer_init(o->loop, &m->gather, "log frame", on_gather, m);
    timer_init(o->loop, &m->heartbeat, "log heartbeat", on_heartbeat, m);
    timer_set(&m->heartbeat, HEARTBEAT_NS);
    m->tap = (struct log_tap){.level = o->level, .json = o->json, .fn = on_line, .arg = m};
    log_tap_add(&m->tap);
    return m;
}

struct monitor *monitor_free(struct monitor *m)
{
    if (!m)
        return NULL;
    log_tap_remove(&m->tap);
    timer_stop(&m->gather);
    timer_stop(&m->heartbeat);
    buf_done(&m->lines);
    return mem_free(m);
}

/* --- over HTTP --- */

struct http_monitor {
    struct monitor *monitor;
    struct http_stream *stream;
};

enum { ARG_JSON = 1 << 8, ARG_PLAIN = 1 << 9 };

void *monitor_http_arg(enum log_level level, bool json, bool plain)
{
    return (void *)((uintptr_t)level | (json ? ARG_JSON : 0) | (plain ? ARG_PLAIN : 0));
}

static size_t http_room(void *arg)
{
    struct http_monitor *h = arg;

    return http_stream_room(h->stream);
}

static void http_write(void *arg, const void *p, size_t n)
{
    struct http_monitor *h = arg;

    (void)!http_stream_write(h->stream, p, n); /* there was room */
}

static void http_on_room(void *arg)
{
    struct http_monitor *h = arg;

    monitor_room(h->monitor);
}

static void http_on_gone_peer(void *arg)
{
    struct http_monitor *h = arg;

    (void)monitor_free(h->monitor);
    free(h);
}

void monitor_http(void *arg, struct http_exchange *take_x, const struct http_header *headers,
                  size_t n_headers)
{
    static const struct http_stream_user user = {http_on_room, http_on_gone_peer};
    static const struct monitor_sink sink = {http_room, http_write};
    uintptr_t bits = (uintptr_t)arg;
    struct http_header all[HEADERS_MAX];
    struct http_monitor *h = xnew0(struct http_monitor);
    struct loop *loop = http_exchange_loop(take_x);
    size_t n = 0;

    all[n++] =
        (struct http_header){"Content-Type", bits & ARG_PLAIN ? "text/plain" : "application/json"};
    for (size_t i = 0; i < n_headers && n < HEADERS_MAX; i++)
        all[n++] = headers[i];
    h->stream = http_stream_begin(take_x, 200, all, n, &user, h);
    h->monitor = monitor_new(&(struct monitor_opts){.loop = loop,
                                                    .level = (enum log_level)(bits & 0xff),
                                                    .json = bits & ARG_JSON,
                                                    .plain = bits & ARG_PLAIN,
                                                    .sink = &sink,
                                                    .arg = h});
}
