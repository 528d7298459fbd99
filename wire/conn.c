#include "wire/conn.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/limits.h"
#include "wire/budget.h"
#include "wire/conn_priv.h"

/* One conn at a time reads, so all share the place that bytes are read into; only what a user
 * leaves for later gets memory of its own.  Everything that could call back from inside a user's
 * call is left to the deferred conn_on_work(), which also sends what several small writes left
 * behind at once.
 */
enum {
    READ_BYTES = 64 * KIB,
    READS_PER_TURN = 4, /* then others have their turn */
    IOV_MAX_PIECES = 64,
    WRITE_PER_TURN = 512 * KIB, /* 1 to 2 ms, then others have their turn */
    CLOSING_MAX = 1024, /* then the oldest are closed at once: nobody counts them as theirs */
};
#define CLOSE_SEND_NS   (10 * NSEC_PER_SEC) /* what was written has so long to leave */
#define CLOSE_LINGER_NS (2 * NSEC_PER_SEC)  /* then the peer has so long to close as well */

/* conns whose user has let go and whose last bytes are on their way */
static struct list closing = LIST_INIT(closing);
static size_t n_closing;

static void conn_update(struct conn *c);

/* --- life --- */

static void conn_release(struct conn *c)
{
    io_del(&c->io);
    timer_stop(&c->timer);
    outq_done(&c->out);
    budget_hold(BUDGET_OUT, &c->out_counted, 0);
    c->top = filter_free(c->top);
    c->state = CONN_DEAD;
}

struct conn *conn_ref(struct conn *c)
{
    c->refs++;
    return c;
}

struct conn *conn_unref(struct conn *c)
{
    if (!c || --c->refs > 0)
        return NULL;
    conn_release(c);
    conn_free(c);
    return NULL;
}

/* the end of conn_close(): gives up the reference it took */
static void conn_finish(struct conn *c)
{
    c->closing = false;
    n_closing--;
    list_remove(&c->link);
    defer_stop(&c->work);
    conn_release(c);
    (void)conn_unref(c);
}

void conn_fail(struct conn *c, int code, const char *text)
{
    if (c->state == CONN_DEAD)
        return;
    if (c->closing) {
        conn_finish(c);
        return;
    }
    conn_release(c);
    c->why = xasprintf("%s: %s", c->peer, text);
    c->why_code = code;
    defer_set(&c->work);
}

static void tell_closed(struct conn *c)
{
    struct err e;

    if (c->closed_told || !c->user)
        return;
    c->closed_told = true;
    (void)err_set(&e, c->why_code, "%s", c->why);
    c->user->on_closed(c->arg, &e);
}

void conn_drop_closing(struct loop *l)
{
    list_for_each (c, &closing, struct conn, link)
        if (c->loop == l)
            conn_finish(c);
}

void conn_abort(struct conn *c)
{
    c->user = NULL;
    if (c->closing) {
        conn_finish(c);
        return;
    }
    defer_stop(&c->work);
    if (c->state != CONN_DEAD)
        conn_release(c);
}

void conn_close(struct conn *c)
{
    struct conn *oldest = list_first(&closing, struct conn, link);

    if (c->closing)
        return;
    if (c->state == CONN_DEAD || (c->state == CONN_HANDSHAKE && c->out.len == 0)) {
        conn_abort(c);
        return;
    }
    c->user = NULL;
    c->closing = true;
    if (oldest && n_closing == CLOSING_MAX)
        conn_finish(oldest);
    n_closing++;
    list_append(&closing, &c->link);
    (void)conn_ref(c);
    buf_done(&c->in);
    budget_hold(BUDGET_IN, &c->in_counted, 0);
    timer_set(&c->timer, CLOSE_SEND_NS);
    defer_set(&c->work);
}

void conn_on_timer(void *arg)
{
    struct conn *c = arg;

    if (c->closing)
        conn_finish(c);
    else if (c->state == CONN_HANDSHAKE)
        conn_fail(c, -ETIMEDOUT, strerror(ETIMEDOUT));
}

/* --- reading --- */

/* what is left unread for later is part of what all hold; who has the most there is no matter */
static void count_in(struct conn *c)
{
    bool more = c->in.cap > c->in_counted;

    if (more && !budget_allows(BUDGET_IN, c->in_counted, c->in.cap)) {
        conn_fail(c, -ENOBUFS, "too much waits in all connections");
        buf_done(&c->in);
    }
    budget_hold(BUDGET_IN, &c->in_counted, c->in.cap);
}

/* hands bytes to the user; what it does not take stays in c->in */
static void deliver(struct conn *c, const uint8_t *p, size_t n)
{
    struct buf held = c->in; /* taken out, so that a filter pushed meanwhile does not move it */
    ssize_t used;

    buf_init(&c->in, CONN_IN_MAX);
    if (held.len) {
        if (n > 0)
            buf_add(&held, p, n);
        p = held.p;
        n = held.len;
    }
    if (held.failed) {
        buf_done(&held);
        conn_fail(c, -EMSGSIZE, "more arrived than can wait");
        return;
    }
    c->in_data = true;
    used = c->user->on_data(c->arg, p, n);
    c->in_data = false;
    if (used < 0 && c->user) {
        conn_fail(c, (int)used, used == -EBADMSG ? "malformed data" : strerror((int)-used));
    } else if (used >= 0 && (size_t)used < n && c->state != CONN_DEAD && !c->closing) {
        if (c->stash)
            stash_filter_unread(c->stash, p + used, n - (size_t)used);
        else if (used == 0 && held.len)
            c->in = held, held.p = NULL;
        else
            buf_add(&c->in, p + used, n - (size_t)used);
    }
    c->stash = NULL;
    free(held.p);
    if (c->in.cap != c->in_counted)
        count_in(c);
}

/* what the user is to look at again comes before anything new, and before the end */
static bool offer_waits(const struct conn *c)
{
    return c->offer && c->in.len > 0;
}

static void tell_eof(struct conn *c)
{
    if (!c->eof || c->eof_told || c->paused || !c->user || c->state != CONN_OPEN || offer_waits(c))
        return;
    c->eof_told = true;
    c->user->on_eof(c->arg);
}

static bool may_read(const struct conn *c)
{
    return c->state == CONN_OPEN && !c->eof && (!c->paused || c->closing) && !offer_waits(c);
}

static void conn_read(struct conn *c)
{
    static uint8_t place[READ_BYTES];
    struct err e = {0};
    ssize_t n;

    for (int i = 0; i < READS_PER_TURN && may_read(c); i++) {
        n = filter_read(c->top, place, sizeof(place), &e);
        if (n == -EAGAIN)
            return;
        if (n < 0) {
            conn_fail(c, (int)n, e.text);
            return;
        }
        if (n == 0)
            c->eof = true;
        else if (!c->closing)
            deliver(c, place, (size_t)n);
        if (c->state == CONN_OPEN && n < READ_BYTES && !filter_pending(c->top))
            break;
    }
    if (may_read(c) && filter_pending(c->top))
        defer_set(&c->work);
    tell_eof(c);
}

/* --- writing --- */

/* what several conns share is counted by whoever made it */
static void count_out(struct conn *c)
{
    budget_hold(BUDGET_OUT, &c->out_counted, c->out.own);
}

/* the front of the queue, max bytes at most; returns how many entries */
static int front_of(const struct outq *q, struct iovec *iov, size_t max)
{
    int n = outq_iov(q, iov, IOV_MAX_PIECES), i;

    for (i = 0; i < n && max > 0; i++) {
        iov[i].iov_len = MIN(iov[i].iov_len, max);
        max -= iov[i].iov_len;
    }
    return i;
}

static void conn_flush(struct conn *c)
{
    struct iovec iov[IOV_MAX_PIECES];
    struct err e = {0};
    bool had = c->out.len > 0 || c->unflushed;
    size_t written = 0;
    ssize_t n;
    int r;

    c->blocked = false;
    while (c->out.len) {
        if (written >= WRITE_PER_TURN) { /* the loop will say that there is room */
            c->blocked = true;
            return;
        }
        n = filter_write(c->top, iov, front_of(&c->out, iov, WRITE_PER_TURN - written), &e);
        if (n == -EAGAIN) {
            c->blocked = true;
            return;
        }
        if (n < 0) {
            conn_fail(c, (int)n, e.text);
            return;
        }
        outq_drop(&c->out, (size_t)n);
        written += (size_t)n;
        count_out(c);
        c->unflushed = true;
    }
    if (!had)
        return;
    r = filter_flush(c->top, &e);
    if (r == -EAGAIN) {
        c->blocked = true;
    } else if (r < 0) {
        conn_fail(c, r, e.text);
    } else {
        c->unflushed = false;
        if (c->user && c->user->on_drained)
            c->user->on_drained(c->arg);
    }
}

static void conn_queue(struct conn *c, bool added)
{
    if (!added) {
        conn_fail(c, -ENOMEM, "no memory for what is to be sent");
    } else if (c->out.own > CONN_OUT_MAX) {
        conn_fail(c, -ENOBUFS, "the peer does not take what is sent");
    } else {
        count_out(c);
        defer_set(&c->work);
    }
}

void conn_write(struct conn *c, const void *p, size_t n)
{
    if (c->state != CONN_DEAD && !c->closing && n > 0)
        conn_queue(c, outq_add(&c->out, p, n));
}

void conn_write_buf(struct conn *c, struct buf *take)
{
    if (c->state == CONN_DEAD || c->closing || take->len == 0)
        buf_done(take);
    else
        conn_queue(c, outq_add_buf(&c->out, take));
}

void conn_write_blobs(struct conn *c, struct blob_list *take)
{
    if (c->state == CONN_DEAD || c->closing || take->n == 0)
        blob_list_done(take);
    else
        conn_queue(c, outq_add_blobs(&c->out, take));
}

/* conn_close: everything sent? say so; the peer has closed as well? done */
static void conn_wind_down(struct conn *c)
{
    struct err e;
    int r;

    if (c->out.len || c->unflushed)
        return;
    if (!c->shut) {
        r = filter_shutdown(c->top, &e);
        if (r == -EAGAIN) {
            c->blocked = true;
            return;
        }
        c->shut = true;
        timer_set(&c->timer, CLOSE_LINGER_NS);
        if (r < 0)
            c->eof = true;
    }
    /* until the peer's end is seen: closing with bytes unread would send a reset, and the peer
     * might lose our last words */
    if (c->eof)
        conn_finish(c);
}

/* --- the loop's side --- */

static void conn_handshake(struct conn *c)
{
    struct err e = {0};
    int r;

    r = filter_handshake(c->top, &e);
    if (r == -EAGAIN)
        return;
    if (r < 0) {
        conn_fail(c, r, e.text);
        return;
    }
    c->state = CONN_OPEN;
    if (!c->closing)
        timer_stop(&c->timer);
    if (c->user && c->user->on_connected)
        c->user->on_connected(c->arg);
    defer_set(&c->work); /* write what waited, read what filters hold */
}

void conn_on_work(void *arg)
{
    struct conn *c = conn_ref(arg);

    if (c->state == CONN_HANDSHAKE) {
        conn_handshake(c);
    } else if (c->state == CONN_OPEN) {
        conn_flush(c);
        if (c->offer && !c->paused && c->user && c->state == CONN_OPEN) {
            c->offer = false;
            if (c->in.len)
                deliver(c, NULL, 0);
        }
        if (may_read(c) && filter_pending(c->top))
            conn_read(c);
        tell_eof(c);
        if (c->closing && c->state == CONN_OPEN)
            conn_wind_down(c);
    } else {
        tell_closed(c);
    }
    conn_update(c);
    (void)conn_unref(c);
}

/* the socket has an error or is hung up, and nobody is to read */
static void conn_hung_up(struct conn *c)
{
    int code = 0;
    socklen_t len = sizeof(code);

    if (getsockopt(c->socket.fd, SOL_SOCKET, SO_ERROR, &code, &len) < 0)
        code = errno;
    if (code || c->eof) {
        conn_fail(c, code ? -code : -EPIPE, code ? strerror(code) : "closed by the peer");
        return;
    }
    io_del(&c->io); /* it would be reported without end; what is unread is read on resume */
    c->parked = true;
}

void conn_on_io(void *arg, uint32_t revents)
{
    struct conn *c = conn_ref(arg);

    if (c->state == CONN_HANDSHAKE) {
        conn_handshake(c);
    } else {
        if (revents & EPOLLOUT)
            conn_flush(c);
        if (revents & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
            if (may_read(c))
                conn_read(c);
            else if (c->state == CONN_OPEN && (revents & (EPOLLHUP | EPOLLERR)))
                conn_hung_up(c);
        }
        if (c->closing && c->state == CONN_OPEN)
            conn_wind_down(c);
    }
    conn_update(c);
    (void)conn_unref(c);
}

/* what the socket is watched for */
static void conn_update(struct conn *c)
{
    uint32_t events = 0;
    int r;

    if (c->state == CONN_DEAD)
        return;
    if (c->state == CONN_HANDSHAKE)
        events = filter_wants(c->top);
    else
        events = (may_read(c) ? EPOLLIN : 0) | (c->blocked ? EPOLLOUT : 0);
    if (!c->parked) {
        io_set(&c->io, events);
        return;
    }
    if (!events)
        return;
    c->parked = false;
    r = io_add(c->loop, &c->io, c->socket.fd, events, "conn", conn_on_io, c);
    if (r < 0)
        conn_fail(c, r, "cannot watch the socket");
}

void conn_push_filter(struct conn *c, struct conn_filter *take_f, uint64_t timeout_ns)
{
    struct buf unsent = BUF_INIT(CONN_OUT_MAX);
    struct conn_filter *stash;

    if (c->state == CONN_DEAD || c->closing) {
        take_f->below = NULL;
        (void)filter_free(take_f);
        return;
    }
    if (c->in_data || c->in.len || c->out.len) {
        outq_to_buf(&c->out, &unsent);
        stash = stash_filter_new(&c->in, &unsent);
        stash->below = c->top;
        c->top = stash;
        if (c->in_data)
            c->stash = stash;
    }
    take_f->below = c->top;
    c->top = take_f;
    c->state = CONN_HANDSHAKE;
    if (timeout_ns)
        timer_set(&c->timer, timeout_ns);
    defer_set(&c->work);
}

/* --- the rest --- */

void conn_set_user(struct conn *c, const struct conn_user *user, void *arg)
{
    if (c->closing)
        return;
    c->user = user;
    c->arg = arg;
    c->eof_told = false;
    c->offer = true;
    defer_set(&c->work);
}

size_t conn_pending(const struct conn *c)
{
    return c->out.len;
}

void conn_read_pause(struct conn *c, bool paused)
{
    if (c->paused == paused || c->state == CONN_DEAD)
        return;
    c->paused = paused;
    if (!paused) {
        c->offer = true;
        defer_set(&c->work);
    }
    conn_update(c);
}

bool conn_is_open(const struct conn *c)
{
    return c->state != CONN_DEAD && !c->closing;
}
