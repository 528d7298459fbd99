#include "agent/back_stream.h"

#include <errno.h>

#include "api/monitor.h"
#include "base/limits.h"
#include "base/str.h"
#include "codec/mp.h"
#include "codec/ops.h"
#include "model/rpc_client.h"
#include "model/texts.h"

enum {
    STREAMS_MAX = 32,
    FRAME_EXTRA = 64, /* of a frame besides its payload */
};

struct back_stream {
    struct list link;
    struct loop *loop;
    const char *node_id; /* borrowed */
    struct rpc_stream *stream;
    void (*begin)(struct back_stream *s, const uint8_t *p, size_t n); /* NULL: it has begun */
    struct monitor *monitor;                                          /* NULL: none */
};

static void stream_free(struct back_stream *s)
{
    list_remove(&s->link);
    (void)monitor_free(s->monitor);
    free(s);
}

static void send_frame(struct back_stream *s, const struct stream_frame *f)
{
    _cleanup_buf_ struct buf b = BUF_INIT(RPC_STREAM_MAX);

    mp_encode(&b, &desc_stream_frame, f);
    if (buf_ok(&b) == 0)
        (void)!rpc_stream_write(s->stream, b.p, b.len); /* what has no room is lost */
}

/* the error is the last thing said */
static void stream_fail(struct back_stream *s, int64_t code, const struct err *e)
{
    struct stream_error error = {&code, (char *)(uintptr_t)e->text};

    send_frame(s, &(struct stream_frame){.error = &error});
    (void)rpc_stream_close(s->stream);
    stream_free(s);
}

/* --- allocations --- */

static void begin_alloc(struct back_stream *s, const uint8_t *p, size_t n)
{
    struct alloc_specific_request q = {0};
    struct err e = {0};
    int64_t code = 404;

    if (mp_decode(&desc_alloc_specific_request, p, n, &q, &e) < 0)
        code = 400;
    else
        (void)err_set(&e, -ENOENT, TEXT_UNKNOWN_ALLOC, str_or_empty(q.alloc_id));
    ops_clear(&desc_alloc_specific_request, &q);
    stream_fail(s, code, &e);
}

/* --- the log --- */

static size_t log_room(void *arg)
{
    struct back_stream *s = arg;
    size_t room = rpc_stream_room(s->stream);

    return room > FRAME_EXTRA ? room - FRAME_EXTRA : 0;
}

static void log_write(void *arg, const void *p, size_t n)
{
    send_frame(arg, &(struct stream_frame){
                        .payload = {(uint8_t *)(uintptr_t)p, n}
    });
}

static int read_monitor(const struct back_stream *s, const struct monitor_request *q,
                        struct monitor_opts *ret, int64_t *ret_code, struct err *e)
{
    *ret_code = 400;
    if (!str_empty(q->node_id) && !str_eq(q->node_id, s->node_id)) {
        *ret_code = 404;
        return err_set(e, -ENOENT, TEXT_UNKNOWN_NODE, q->node_id);
    }
    ret->level = LOG_LEVEL_INFO;
    if (!str_empty(q->log_level) && log_level_parse(q->log_level, &ret->level) < 0)
        return err_set(e, -EINVAL, "Unknown log level");
    ret->json = q->log_json;
    ret->plain = q->plain_text;
    return 0;
}

static void begin_monitor(struct back_stream *s, const uint8_t *p, size_t n)
{
    static const struct monitor_sink sink = {log_room, log_write};
    struct monitor_opts o = {.loop = s->loop, .sink = &sink, .arg = s};
    struct monitor_request q = {0};
    struct err e = {0};
    int64_t code = 400;
    int r = mp_decode(&desc_monitor_request, p, n, &q, &e);

    if (r == 0)
        r = read_monitor(s, &q, &o, &code, &e);
    ops_clear(&desc_monitor_request, &q);
    if (r < 0)
        stream_fail(s, code, &e);
    else
        s->monitor = monitor_new(&o);
}

/* --- streams --- */

static const struct {
    const char *method;
    void (*begin)(struct back_stream *s, const uint8_t *p, size_t n);
} table[] = {
    {"Agent.Monitor",     begin_monitor},
    {"Allocations.Exec",  begin_alloc  },
    {"FileSystem.Logs",   begin_alloc  },
    {"FileSystem.Stream", begin_alloc  },
};

static void on_object(void *arg, const uint8_t *p, size_t n)
{
    struct back_stream *s = arg;
    void (*begin)(struct back_stream * s, const uint8_t *p, size_t n) = s->begin;

    s->begin = NULL; /* what comes behind the request says nothing */
    if (begin)
        begin(s, p, n);
}

static void on_room(void *arg)
{
    struct back_stream *s = arg;

    if (s->monitor)
        monitor_room(s->monitor);
}

static void on_end(void *arg, const struct err *e)
{
    (void)e;
    stream_free(arg);
}

static size_t count(const struct list *list)
{
    size_t n = 0;

    for (const struct list *l = list->next; l != list; l = l->next)
        n++;
    return n;
}

void back_stream_open(struct list *list, struct loop *l, const char *node_id, struct rpc_stream *s,
                      const char *method)
{
    static const struct rpc_stream_user user = {on_object, on_room, on_end};
    struct err e;

    if (count(list) >= STREAMS_MAX) {
        rpc_stream_refuse(s, "too many streams are open to this node");
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct back_stream *b;

        if (!str_eq(table[i].method, method))
            continue;
        b = xnew0(struct back_stream);
        b->loop = l;
        b->node_id = node_id;
        b->stream = s;
        b->begin = table[i].begin;
        list_append(list, &b->link);
        rpc_stream_accept(s, &user, b);
        return;
    }
    (void)err_set(&e, -ENOSYS, TEXT_NO_STREAM_METHOD, method);
    rpc_stream_refuse(s, e.text);
}
