/* The serving side.  One struct hconn per connection, about 300 bytes while it idles: the bytes of
 * a head that is still coming stay in the conn, an exchange exists from the end of the head until
 * its answer is written.  One exchange per connection at a time; what a peer pipelines behind it is
 * left in the conn and offered again when the answer is out. */
#include "wire/http1_conn.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "wire/http1_priv.h"

enum {
    BURST_MAX = 16,          /* requests of one connection answered per turn */
    BLANK_LINES_MAX = 4,     /* in front of a request */
    PIPELINE_MAX = 64 * KIB, /* unread bytes behind an unanswered request */
};

#define HEAD_TIMEOUT_NS (10 * NSEC_PER_SEC)
#define IDLE_TIMEOUT_NS (120 * NSEC_PER_SEC)

static const struct conn_user hconn_user;
const struct http_header http_text_type = {"Content-Type", "text/plain; charset=utf-8"};

/* --- connections --- */

static void hconn_set_idle_timer(struct hconn *h)
{
    uint64_t ns = h->set->opts.idle_timeout_ns;

    timer_set(&h->timer, ns ? ns : IDLE_TIMEOUT_NS);
}

size_t hconn_unsent(const struct hconn *h)
{
    return conn_pending(h->conn) + h->out.len - h->out_at;
}

void hconn_will_send(struct hconn *h, size_t n)
{
    if (hconn_unsent(h) == 0)
        pace_end(&h->pace);
    pace_add(&h->pace, n);
}

bool hconn_is_slow(struct hconn *h)
{
    if (hconn_unsent(h) == 0)
        pace_end(&h->pace);
    return pace_is_over(&h->pace);
}

void hconn_end(struct hconn *h, bool at_once)
{
    if (h->dead)
        return;
    h->dead = true;
    timer_stop(&h->timer);
    list_remove(&h->link);
    list_append(&h->set->dead, &h->link);
    defer_set(&h->set->bury);
    h->set->n--;
    http_clients_leave(&h->set->clients, h->client);
    h->x = http_exchange_free(h->x);
    buf_done(&h->out);
    budget_hold(BUDGET_OUT, &h->out_counted, 0);
    if (at_once)
        conn_abort(h->conn);
    else
        conn_close(h->conn);
    h->conn = conn_unref(h->conn);
}

/* tells the handler when it asked to be told */
void hconn_gone(struct hconn *h)
{
    bool handled = h->state == BUSY || h->state == READ_UPLOAD;
    struct http_exchange *x = handled ? steal_ptr(&h->x) : NULL;
    struct http_stream *stream = steal_ptr(&h->stream);

    hconn_end(h, true);
    if (stream)
        http_stream_on_gone(stream);
    if (!x)
        return;
    x->hconn = NULL;
    x->request.peer = "";
    if (!x->gone)
        return; /* freed by the answer */
    x->gone(x->gone_arg);
    (void)http_exchange_free(x);
}

void hconn_refuse(struct hconn *h, int status, const char *text)
{
    _cleanup_buf_ struct buf out = BUF_INIT(HTTP_REPLY_HEAD_MAX);

    http_write_reply_head(&out, status, &http_text_type, 1, strlen(text), HTTP_CLOSE);
    buf_add_str(&out, text);
    conn_write_buf(h->conn, &out);
    hconn_end(h, false);
}

/* in the middle of a request, or while what was asked for is still on its way */
static void hconn_on_timer(void *arg)
{
    struct hconn *h = arg;
    bool reads =
        h->state == READ_BODY || h->state == READ_UPLOAD || (h->state == READ_HEAD && h->started);

    if (reads && !h->late && conn_unread(h->conn)) {
        h->late = true; /* it has sent, we have not looked yet */
        timer_set(&h->timer, LATE_LOOK_SEC * NSEC_PER_SEC);
    } else if (h->state == READ_UPLOAD) {
        hconn_upload_end(h, 408, "request took too long");
    } else if (reads) {
        hconn_refuse(h, 408, "request took too long");
    } else if (hconn_unsent(h) > 0 && h->pace.until_ns && !hconn_is_slow(h)) {
        h->behind = true;
        timer_set_at(&h->timer, h->pace.until_ns + 1);
    } else if (h->state != BUSY && h->state != STREAM) {
        hconn_end(h, true);
    } else if (hconn_is_slow(h)) {
        hconn_gone(h);
    }
}

/* --- reading --- */

static bool hconn_may_read(const struct hconn *h)
{
    if (h->dead || h->state == BUSY || h->state == WRITE || h->state == STREAM)
        return false;
    if (h->state == READ_UPLOAD)
        return !h->x->held;
    return h->state != READ_HEAD || conn_pending(h->conn) <= HTTP_OUT_HIGH;
}

static void hconn_deliver(struct hconn *h)
{
    struct http_exchange *x = h->x;
    const struct http_head *head = x->head;

    h->state = BUSY;
    h->late = false;
    if (hconn_unsent(h) > 0 && h->pace.until_ns)
        timer_set_at(&h->timer, h->pace.until_ns + 1); /* of the answers before this one */
    else
        timer_stop(&h->timer);
    x->request = (struct http_request){
        .method = head->method,
        .target = head->target,
        .path = head->path,
        .query = head->query,
        .headers = head->headers,
        .n_headers = head->n_headers,
        .body = x->body.p,
        .body_len = x->body.len,
        .peer = conn_peer(h->conn),
    };
    x->request.peer_is_unix = conn_peer_uid(h->conn, &x->request.peer_uid) == 0;
    h->set->opts.handler(h->set->opts.arg, x, &x->request);
    if (h->eof && (h->state == BUSY || h->state == STREAM) && !h->dead)
        hconn_gone(h); /* it will wait, and nobody would notice */
}

void hconn_go_on(struct hconn *h)
{
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";

    conn_write(h->conn, text, sizeof(text) - 1);
}

static void hconn_begin(struct hconn *h, struct http_head *take_head)
{
    struct http_exchange *x = xnew0(struct http_exchange);
    const struct http_head *head = take_head;

    *x = (struct http_exchange){
        .hconn = h,
        .loop = h->set->loop,
        .head = take_head,
        .body = BUF_INIT(HTTP_BODY_MAX),
        .body_left = head->length,
        .is_head = strcmp(head->method, "HEAD") == 0,
        .minor_0 = head->minor == 0,
        .keep_alive = head->keep_alive,
        .chunked = head->chunked,
    };
    h->x = x;
    h->scan = (struct http_scan){0};
    h->started = false;
    h->blank_lines = 0;
    x->is_upload = h->set->opts.is_upload && h->set->opts.is_upload(head->method, head->path);
    x->expect_continue = head->expect_continue;
    if (!x->is_upload && head->length > HTTP_BODY_MAX) {
        char text[64];

        (void)snprintf(text, sizeof(text), "body is larger than %zu bytes", HTTP_BODY_MAX);
        hconn_refuse(h, 413, text);
        return;
    }
    if (x->is_upload || (!head->chunked && head->length == 0)) {
        hconn_deliver(h);
        return;
    }
    h->state = READ_BODY;
    timer_set(&h->timer, HTTP_BODY_TIMEOUT_NS);
    if (head->expect_continue)
        hconn_go_on(h);
}

static size_t hconn_take_head(struct hconn *h, const uint8_t *p, size_t n)
{
    struct http_head *head;
    struct err e = {0};
    ssize_t k;

    if (!h->started) {
        uint64_t ns = h->set->opts.head_timeout_ns;

        h->started = true;
        timer_set(&h->timer, ns ? ns : HEAD_TIMEOUT_NS);
    }
    if (h->scan.at == 0 && p[0] == '\r' && h->blank_lines < BLANK_LINES_MAX) {
        if (n < 2)
            return 0;
        if (p[1] == '\n') {
            h->blank_lines++;
            return 2;
        }
    }
    k = http_head_scan(&h->scan, p, n, &e);
    if (k > 0)
        e.code = http_head_parse(p, (size_t)k, SNAPSHOT_FILE_MAX, &head, &e);
    if (e.code < 0) {
        hconn_refuse(h, e.status, e.text);
        return n;
    }
    if (k > 0)
        hconn_begin(h, head);
    return (size_t)k;
}

static size_t hconn_take_body(struct hconn *h, const uint8_t *p, size_t n)
{
    struct http_exchange *x = h->x;
    size_t used;
    int r;

    if (!budget_allows(BUDGET_IN, x->counted, MIN(x->body.len + n, HTTP_BODY_MAX))) {
        hconn_refuse(h, 503, HTTP_BUSY_TEXT);
        return n;
    }
    if (x->chunked) {
        r = http_chunks_feed(&x->chunks, p, n, &x->body, &used);
    } else {
        used = MIN(n, x->body_left);
        buf_add(&x->body, p, used);
        x->body_left -= used;
        r = buf_ok(&x->body);
        if (r == 0)
            r = x->body_left == 0;
    }
    budget_hold(BUDGET_IN, &x->counted, x->body.cap);
    if (r == -EMSGSIZE) {
        hconn_refuse(h, 413, "request body is too large");
        return n;
    }
    if (r < 0) {
        hconn_refuse(h, 400, "malformed chunked body");
        return n;
    }
    if (r > 0)
        hconn_deliver(h);
    return used;
}

static size_t hconn_take(struct hconn *h, const uint8_t *p, size_t n)
{
    if (h->state == READ_UPLOAD)
        return hconn_take_upload(h, p, n);
    return h->state == READ_HEAD ? hconn_take_head(h, p, n) : hconn_take_body(h, p, n);
}

/* what was left in the conn comes again, next turn */
void hconn_reoffer(struct hconn *h)
{
    h->leftover = false;
    if (h->paused) {
        h->paused = false;
        conn_read_pause(h->conn, false);
    }
    conn_set_user(h->conn, &hconn_user, h);
}

void hconn_after_answer(struct hconn *h)
{
    if (h->closing) {
        hconn_end(h, false);
        return;
    }
    h->state = READ_HEAD;
    hconn_set_idle_timer(h);
    if (h->in_data)
        return; /* hconn_on_data() looks after the rest */
    if (h->leftover && conn_pending(h->conn) <= HTTP_OUT_HIGH)
        hconn_reoffer(h);
    else if (h->eof && !h->leftover)
        hconn_end(h, false);
}

/* bytes that came and were not taken */
static void hconn_leave(struct hconn *h, size_t n, bool burst)
{
    h->leftover = n > 0 && (burst || !hconn_may_read(h));
    if (h->leftover && hconn_may_read(h)) {
        hconn_reoffer(h);
    } else if (h->leftover && n > PIPELINE_MAX && !h->paused) {
        h->paused = true;
        conn_read_pause(h->conn, true);
    } else if (h->eof && !h->leftover && h->state == READ_HEAD) {
        hconn_end(h, false);
    }
}

static ssize_t hconn_on_data(void *arg, const uint8_t *p, size_t n)
{
    struct hconn *h = arg;
    unsigned taken = 0;
    size_t used = 0;

    h->in_data = true;
    while (used < n && taken < BURST_MAX && hconn_may_read(h)) {
        size_t k = hconn_take(h, p + used, n - used);

        if (k == 0)
            break;
        used += k;
        taken++;
    }
    h->in_data = false;
    if (h->dead)
        return (ssize_t)n;
    hconn_leave(h, n - used, taken == BURST_MAX);
    return (ssize_t)used;
}

static void hconn_on_eof(void *arg)
{
    struct hconn *h = arg;

    if (h->state == BUSY || h->state == STREAM || h->state == READ_UPLOAD)
        hconn_gone(h);
    else if (h->state == WRITE || (h->state == READ_HEAD && h->leftover))
        h->eof = true; /* it may still read what it asked for */
    else
        hconn_end(h, h->state == READ_BODY);
}

static void hconn_on_closed(void *arg, const struct err *e)
{
    (void)e;
    hconn_gone(arg);
}

static void hconn_on_drained(void *arg)
{
    struct hconn *h = arg;

    if (hconn_unsent(h) == 0) {
        pace_end(&h->pace);
        if (h->behind && h->state == READ_HEAD && !h->started)
            hconn_set_idle_timer(h); /* slow, but it has read: it may ask for more */
        h->behind = false;
    }
    if (h->state == STREAM)
        http_stream_on_drained(h->stream);
    else if (h->state == WRITE)
        hconn_write_more(h);
    else if (h->state == READ_HEAD && h->leftover)
        hconn_reoffer(h);
}

static const struct conn_user hconn_user = {
    .on_data = hconn_on_data,
    .on_eof = hconn_on_eof,
    .on_closed = hconn_on_closed,
    .on_drained = hconn_on_drained,
};

struct hconn *hconn_new(struct hconn_set *set, int take_fd, struct http_client *client)
{
    struct hconn *h = xnew0(struct hconn);

    h->set = set;
    h->client = client;
    list_append(&set->conns, &h->link);
    set->n++;
    timer_init(set->loop, &h->timer, "http connection", hconn_on_timer, h);
    h->conn = conn_new(set->loop, take_fd, &hconn_user, h);
    hconn_set_idle_timer(h);
    return h;
}

/* --- all of them --- */

static void set_bury(void *arg)
{
    struct hconn_set *set = arg;

    list_for_each (h, &set->dead, struct hconn, link) {
        list_remove(&h->link);
        free(h);
    }
}

void hconn_set_init(struct hconn_set *set, struct loop *l, const struct http_server_opts *o)
{
    *set = (struct hconn_set){.loop = l, .opts = *o};
    list_init(&set->conns);
    list_init(&set->dead);
    defer_init(l, &set->bury, set_bury, set);
}

void hconn_set_done(struct hconn_set *set)
{
    list_for_each (h, &set->conns, struct hconn, link)
        hconn_gone(h);
    defer_stop(&set->bury);
    set_bury(set);
    http_clients_done(&set->clients);
}
