#include "agent/back_stream.h"

#include <errno.h>

#include "api/monitor_rpc.h"
#include "base/str.h"
#include "codec/mp.h"
#include "codec/ops.h"
#include "model/rpc_client.h"
#include "model/texts.h"

enum { STREAMS_MAX = 32 };

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

/* the error is the last thing said */
static void stream_fail(struct back_stream *s, const struct err *e)
{
    monitor_rpc_fail(s->stream, e);
    stream_free(s);
}

/* --- allocations --- */

static void begin_alloc(struct back_stream *s, const uint8_t *p, size_t n)
{
    struct alloc_specific_request q = {0};
    struct err e = {0};

    if (mp_decode(&desc_alloc_specific_request, p, n, &q, &e) < 0)
        e.status = 400;
    else
        (void)err_set_status(&e, -ENOENT, 404, TEXT_UNKNOWN_ALLOC, str_or_empty(q.alloc_id));
    ops_clear(&desc_alloc_specific_request, &q);
    stream_fail(s, &e);
}

/* --- the log --- */

static void begin_monitor(struct back_stream *s, const uint8_t *p, size_t n)
{
    struct monitor_opts o = {.loop = s->loop, .sink = &monitor_rpc_sink, .arg = s->stream};
    struct monitor_request q = {0};
    struct err e = {0};
    int r = mp_decode(&desc_monitor_request, p, n, &q, &e);

    if (r < 0)
        e.status = 400;
    else if (!str_empty(q.node_id) && !str_eq(q.node_id, s->node_id))
        r = err_set_status(&e, -ENOENT, 404, TEXT_UNKNOWN_NODE, q.node_id);
    else
        r = monitor_rpc_read(&q, &o, &e);
    ops_clear(&desc_monitor_request, &q);
    if (r < 0)
        stream_fail(s, &e);
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
