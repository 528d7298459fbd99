#include <errno.h>
#include <string.h>

#include "wire/budget.h"
#include "wire/yamux_priv.h"

/* Streams of a session: windows, opening, both ways of ending.
 *
 * A stream leaves the session when both FINs have passed, or by RST.  Its memory goes when, besides
 * that, the user has let go of it. */

/* --- the table --- */

/* place of id, or where it belongs */
static size_t place(const struct yamux *y, uint32_t id)
{
    size_t low = 0, high = y->n_streams;

    while (low < high) {
        size_t mid = (low + high) / 2;

        if (y->streams[mid]->id < id)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

struct yamux_stream *yamux_find(const struct yamux *y, uint32_t id)
{
    size_t i = place(y, id);

    return i < y->n_streams && y->streams[i]->id == id ? y->streams[i] : NULL;
}

static void on_stream_timer(void *arg)
{
    struct yamux_stream *s = arg;
    struct err e;

    if (s->unacked) {
        yamux_fail(s->y, -1, -ETIMEDOUT, "%s: a stream was not accepted for 75 s",
                   conn_peer(s->y->conn));
        return;
    }
    /* the peer's FIN did not come: the stream is forgotten */
    yamux_send(s->y, YAMUX_WINDOW_UPDATE, YAMUX_RST, s->id, 0);
    (void)err_set(&e, -ETIMEDOUT, "%s: the peer did not close a stream", conn_peer(s->y->conn));
    yamux_stream_remove(s);
    if (!s->released)
        s->user->on_reset(s->arg, &e);
    yamux_stream_free(s);
}

struct yamux_stream *yamux_stream_new(struct yamux *y, uint32_t id)
{
    struct yamux_stream *s = xnew0(struct yamux_stream);
    size_t i = place(y, id);

    s->y = y;
    s->id = id;
    s->send_window = s->recv_window = YAMUX_WINDOW;
    buf_init(&s->out, CONN_OUT_MAX);
    list_init(&s->link);
    timer_init(y->loop, &s->timer, "yamux stream", on_stream_timer, s);
    if ((y->n_streams & (y->n_streams - 1)) == 0) /* full at each power of two */
        y->streams = xrealloc(y->streams, y->n_streams ? y->n_streams * 2 : 1,
                              sizeof(struct yamux_stream *));
    y->n_streams++;
    memmove(y->streams + i + 1, y->streams + i,
            (y->n_streams - 1 - i) * sizeof(struct yamux_stream *));
    y->streams[i] = s;
    return s;
}

static void count_queued(struct yamux *y, size_t change)
{
    y->queued += change;
    budget_hold(BUDGET_OUT, &y->counted, y->queued);
}

void yamux_stream_remove(struct yamux_stream *s)
{
    struct yamux *y = s->y;
    size_t i = place(y, s->id);

    memmove(y->streams + i, y->streams + i + 1,
            (y->n_streams - 1 - i) * sizeof(struct yamux_stream *));
    y->n_streams--;
    if (y->n_streams == 0)
        y->streams = mem_free(y->streams);
    if (y->rx == s)
        y->rx = NULL;
    if (s->unacked)
        y->unacked--;
    if (s->unaccepted)
        y->backlog--;
    count_queued(y, -yamux_pending(s));
    buf_done(&s->out);
    s->out_at = 0;
    list_remove(&s->link);
    timer_stop(&s->timer);
    s->y = NULL;
}

void yamux_stream_free(struct yamux_stream *s)
{
    list_remove(&s->link);
    buf_done(&s->out);
    free(s);
}

/* both ends are through: the session forgets the stream, unless its user still has it */
static void forget_if_done(struct yamux_stream *s)
{
    struct yamux *y = s->y;

    if (!y || !s->fin_sent || !s->fin_seen)
        return;
    yamux_stream_remove(s);
    if (s->released)
        yamux_stream_free(s);
    else
        list_append(&y->done, &s->link);
}

/* --- opening --- */

int yamux_open(struct yamux *y, const struct yamux_stream_user *user, void *arg,
               struct yamux_stream **ret)
{
    struct yamux_stream *s;

    if (y->dead)
        return -EPIPE;
    if (y->going || y->next_id >= UINT32_MAX - 2)
        return -ESHUTDOWN;
    if (y->unacked >= YAMUX_BACKLOG || y->n_streams >= YAMUX_STREAMS_MAX)
        return -EAGAIN;
    while (yamux_find(y, y->next_id)) /* a peer may have used our numbers */
        y->next_id += 2;
    s = yamux_stream_new(y, y->next_id);
    y->next_id += 2;
    s->user = user;
    s->arg = arg;
    s->unacked = true;
    y->unacked++;
    timer_set(&s->timer, YAMUX_OPEN_LIMIT_NS);
    yamux_send(y, YAMUX_WINDOW_UPDATE, YAMUX_SYN, s->id, 0);
    *ret = s;
    return 0;
}

static void start_close_timer(struct yamux_stream *s)
{
    if (s->y && s->fin_wanted && !s->fin_seen && !s->unacked && !timer_armed(&s->timer))
        timer_set(&s->timer, YAMUX_CLOSE_LIMIT_NS);
}

void yamux_on_ack(struct yamux_stream *s)
{
    if (!s->unacked)
        return;
    s->unacked = false;
    s->y->unacked--;
    timer_stop(&s->timer);
    start_close_timer(s);
}

void yamux_stream_set_user(struct yamux_stream *s, const struct yamux_stream_user *user, void *arg)
{
    s->user = user;
    s->arg = arg;
}

void yamux_accept(struct yamux_stream *s)
{
    if (!s->unaccepted)
        return;
    s->unaccepted = false;
    if (s->y)
        s->y->backlog--;
}

uint32_t yamux_stream_id(const struct yamux_stream *s)
{
    return s->id;
}

/* --- data out --- */

static void send_fin(struct yamux_stream *s)
{
    s->fin_sent = true;
    yamux_send(s->y, YAMUX_WINDOW_UPDATE, YAMUX_FIN, s->id, 0);
}

static void queue_writer(struct yamux_stream *s)
{
    if (yamux_pending(s) && s->send_window && list_empty(&s->link))
        list_append(&s->y->writers, &s->link);
}

/* one portion of what waits; true when the stream has nothing left */
static bool send_portion(struct yamux_stream *s)
{
    struct yamux *y = s->y;
    size_t n = MIN(yamux_pending(s), (size_t)YAMUX_FRAME_BYTES);

    n = MIN(n, s->send_window);
    yamux_send_data(y, s->id, s->out.p + s->out_at, n);
    s->out_at += n;
    s->send_window -= n;
    count_queued(y, -n);
    if (s->out_at < s->out.len) {
        queue_writer(s);
        return false;
    }
    buf_done(&s->out);
    s->out_at = 0;
    return true;
}

/* what waited is sent: the FIN may go, the user may go on */
static void stream_drained(struct yamux_stream *s)
{
    struct yamux *y = s->y;
    uint32_t id = s->id;

    if (s->fin_wanted && !s->fin_sent)
        send_fin(s);
    if (!s->released && s->user->on_drained)
        s->user->on_drained(s->arg);
    s = yamux_find(y, id); /* the user may have let go of it */
    if (s)
        forget_if_done(s);
}

/* streams send in turns, and only as much as the conn passes on soon */
void yamux_pump(struct yamux *y)
{
    y->refs++;
    while (!y->dead && !list_empty(&y->writers) && conn_pending(y->conn) < YAMUX_CONN_BYTES) {
        struct yamux_stream *s = list_first(&y->writers, struct yamux_stream, link);

        list_remove(&s->link);
        if (send_portion(s))
            stream_drained(s);
    }
    yamux_unref(y);
}

void yamux_write(struct yamux_stream *s, const void *p, size_t n)
{
    struct yamux *y = s->y;

    if (!y || y->dead || s->fin_wanted || n == 0)
        return;
    if (s->out.len == 0 && n <= s->send_window && n <= YAMUX_FRAME_BYTES &&
        conn_pending(y->conn) < YAMUX_CONN_BYTES) {
        s->send_window -= n;
        yamux_send_data(y, s->id, p, n);
        return;
    }
    if (s->out_at > s->out.len / 2) {
        buf_drop(&s->out, s->out_at);
        s->out_at = 0;
    }
    buf_add(&s->out, p, n);
    count_queued(y, n);
    if (s->out.failed || y->queued > CONN_OUT_MAX) {
        count_queued(y, -n);
        if (!s->out.failed)
            s->out.len -= n;
        yamux_fail(y, YAMUX_INTERNAL_ERROR, -ENOBUFS, "%s: the peer does not take what is sent",
                   conn_peer(y->conn));
        return;
    }
    queue_writer(s);
    defer_set(&y->work);
}

size_t yamux_pending(const struct yamux_stream *s)
{
    return s->out.len - s->out_at;
}

size_t yamux_queued(const struct yamux_stream *s)
{
    return s->y ? s->y->queued : 0;
}

void yamux_on_window(struct yamux_stream *s, uint32_t delta)
{
    s->send_window = MIN(s->send_window + delta, (uint64_t)UINT32_MAX);
    queue_writer(s);
    if (!list_empty(&s->link))
        defer_set(&s->y->work);
}

/* --- data in --- */

void yamux_consumed(struct yamux_stream *s, size_t n)
{
    if (!s->y)
        return;
    s->credit += (uint32_t)n;
    if (s->credit < YAMUX_WINDOW / 2 || s->fin_seen)
        return;
    yamux_send(s->y, YAMUX_WINDOW_UPDATE, 0, s->id, s->credit);
    s->recv_window += s->credit;
    s->credit = 0;
}

void yamux_on_fin(struct yamux_stream *s)
{
    struct yamux *y = s->y;
    uint32_t id = s->id;

    s->fin_seen = true;
    if (!s->unacked)
        timer_stop(&s->timer);
    if (s->released) {
        forget_if_done(s);
        return;
    }
    if (s->fin_sent) {
        const struct yamux_stream_user *user = s->user;
        void *arg = s->arg;

        forget_if_done(s); /* its user still has it */
        user->on_eof(arg);
        return;
    }
    s->user->on_eof(s->arg);
    s = y->user ? yamux_find(y, id) : NULL;
    if (s)
        forget_if_done(s);
}

/* --- ending --- */

void yamux_finish(struct yamux_stream *s)
{
    if (!s->y || s->fin_wanted)
        return;
    s->fin_wanted = true;
    if (yamux_pending(s) == 0)
        send_fin(s);
    start_close_timer(s);
    forget_if_done(s);
}

struct yamux_stream *yamux_release(struct yamux_stream *s)
{
    if (!s)
        return NULL;
    s->released = true;
    if (!s->y) {
        yamux_stream_free(s);
        return NULL;
    }
    yamux_accept(s);
    if (!s->fin_wanted)
        yamux_finish(s); /* may free it */
    return NULL;
}

struct yamux_stream *yamux_reset(struct yamux_stream *s)
{
    if (!s)
        return NULL;
    if (s->y) {
        yamux_send(s->y, YAMUX_WINDOW_UPDATE, YAMUX_RST, s->id, 0);
        yamux_stream_remove(s);
    }
    yamux_stream_free(s);
    return NULL;
}
