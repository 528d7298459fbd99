/* The serving side.  One struct hconn per connection, about 300 bytes while it idles: the bytes of
 * a head that is still coming stay in the conn, an exchange exists from the end of the head until
 * its answer is written.  One exchange per connection at a time; what a peer pipelines behind it is
 * left in the conn and offered again when the answer is out. */
#include "wire/http1_conn.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/limits.h"
#include "wire/http1_priv.h"

enum {
    BURST_MAX = 16,          /* requests of one connection answered per turn */
    BLANK_LINES_MAX = 4,     /* in front of a request */
    OUT_HIGH = 256 * KIB,    /* unsent bytes beyond which a connection is not read */
    WHOLE_MAX = 8 * MIB,     /* a body up to this is handed to the conn at once */
    SLICE = 1 * MIB,         /* a larger one in such pieces: CONN_OUT_MAX is a limit */
    BODY_SMALL = 4 * KIB,    /* a body that is sent whatever else waits */
    PIPELINE_MAX = 64 * KIB, /* unread bytes behind an unanswered request */
    UPLOAD_PIECE = 64 * KIB,
};

#define HEAD_TIMEOUT_NS (10 * NSEC_PER_SEC)
#define IDLE_TIMEOUT_NS (120 * NSEC_PER_SEC)
#define BODY_TIMEOUT_NS (30 * NSEC_PER_SEC)

static const struct conn_user hconn_user;
static const struct http_header text_type = {"Content-Type", "text/plain; charset=utf-8"};

/* --- exchanges --- */

struct http_exchange *http_exchange_free(struct http_exchange *x)
{
    if (!x)
        return NULL;
    free(x->head);
    buf_done(&x->body);
    budget_hold(BUDGET_IN, &x->counted, 0);
    return mem_free(x);
}

const char *http_request_header(const struct http_request *q, const char *name)
{
    return http_headers_get(q->headers, q->n_headers, name);
}

void http_on_gone(struct http_exchange *x, void (*fn)(void *arg), void *arg)
{
    x->gone = fn;
    x->gone_arg = arg;
}

struct loop *http_exchange_loop(const struct http_exchange *x)
{
    return x->loop;
}

void http_exchange_trim(struct http_exchange *x)
{
    buf_done(&x->body);
    budget_hold(BUDGET_IN, &x->counted, 0);
    x->head = mem_free(x->head);
    x->request = (struct http_request){
        .method = "",
        .target = "",
        .path = "",
        .query = "",
        .peer = x->request.peer,
        .peer_is_unix = x->request.peer_is_unix,
        .peer_uid = x->request.peer_uid,
    };
}

/* --- connections --- */

static void hconn_set_idle_timer(struct hconn *h)
{
    uint64_t ns = h->set->opts.idle_timeout_ns;

    timer_set(&h->timer, ns ? ns : IDLE_TIMEOUT_NS);
}

static size_t hconn_unsent(const struct hconn *h)
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

    http_write_reply_head(&out, status, &text_type, 1, strlen(text), HTTP_CLOSE);
    buf_add_str(&out, text);
    conn_write_buf(h->conn, &out);
    hconn_end(h, false);
}

/* in the middle of a request, or while what was asked for is still on its way */
static void hconn_on_timer(void *arg)
{
    struct hconn *h = arg;
    bool reads = h->state == READ_BODY || (h->state == READ_HEAD && h->started);

    if (reads && !h->late && conn_unread(h->conn)) {
        h->late = true; /* it has sent, we have not looked yet */
        timer_set(&h->timer, LATE_LOOK_SEC * NSEC_PER_SEC);
    } else if (reads) {
        hconn_refuse(h, 408, "request took too long");
    } else if (hconn_unsent(h) > 0 && h->pace.until_ns && !hconn_is_slow(h)) {
        h->behind = true;
        timer_set_at(&h->timer, h->pace.until_ns + 1);
    } else if (h->state == READ_UPLOAD) {
        hconn_gone(h);
    } else if (h->state != BUSY && h->state != STREAM) {
        hconn_end(h, true);
    } else if (hconn_is_slow(h)) {
        hconn_gone(h);
    }
}

/* --- writing --- */

/* What was sent goes back to the system at once: giving back hundreds of megabytes in one piece
 * takes ten milliseconds and more. */
static void give_back(uint8_t *p, size_t n)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), from = (uintptr_t)p, to = from + n;

    from = (from + page - 1) / page * page;
    to = to / page * page;
    if (from < to)
        (void)madvise((void *)from, to - from, MADV_DONTNEED);
}

/* in state WRITE: goes on until all has been handed over; before a close, until all has left, as a
 * conn gives its last bytes a few seconds only */
static void hconn_write_more(struct hconn *h)
{
    while (h->out_at < h->out.len) {
        size_t n = MIN(h->out.len - h->out_at, (size_t)SLICE);

        if (conn_pending(h->conn) > OUT_HIGH)
            break;
        conn_write(h->conn, h->out.p + h->out_at, n);
        give_back(h->out.p + h->out_at, n);
        h->out_at += n;
    }
    if (h->out_at < h->out.len || (h->closing && conn_pending(h->conn) > OUT_HIGH)) {
        timer_set_at(&h->timer, h->pace.until_ns + 1);
        return;
    }
    buf_done(&h->out);
    h->out_at = 0;
    budget_hold(BUDGET_OUT, &h->out_counted, 0);
    hconn_after_answer(h);
}

enum http_close hconn_how_to_close(const struct http_exchange *x, const struct hconn *h)
{
    if (h->closing)
        return HTTP_CLOSE;
    return x->minor_0 ? HTTP_KEEP_1_0 : HTTP_KEEP;
}

/* writes the head; the exchange is gone after that.  NULL: nobody is there to get a body, or nobody
 * wants one */
static struct hconn *hconn_write_head(struct http_exchange *take_x, int status,
                                      const struct http_header *headers, size_t n_headers,
                                      size_t body_len)
{
    _cleanup_buf_ struct buf out = BUF_INIT(HTTP_REPLY_HEAD_MAX);
    struct http_exchange *x = take_x;
    struct hconn *h = x->hconn;
    bool is_head = x->is_head;

    if (!h) {
        (void)http_exchange_free(x);
        return NULL;
    }
    h->x = NULL;
    if (!x->keep_alive || x->is_upload)
        h->closing = true;
    http_write_reply_head(&out, status, headers, n_headers, body_len, hconn_how_to_close(x, h));
    (void)http_exchange_free(x);
    if (buf_ok(&out) < 0) {
        hconn_end(h, true);
        return NULL;
    }
    h->state = WRITE;
    h->out_at = 0;
    hconn_will_send(h, out.len + (is_head ? 0 : body_len));
    conn_write_buf(h->conn, &out);
    if (!is_head)
        return h;
    hconn_write_more(h);
    return NULL;
}

void http_answer_buf(struct http_exchange *take_x, int status, const struct http_header *headers,
                     size_t n_headers, struct buf *take_body)
{
    struct hconn *h;

    if (take_x->hconn && !take_x->is_head && take_body->len > BODY_SMALL &&
        !budget_allows(BUDGET_OUT, 0, take_body->len)) {
        buf_done(take_body);
        buf_add_str(take_body, HTTP_BUSY_TEXT);
        status = 503;
        headers = &text_type;
        n_headers = 1;
    }
    h = hconn_write_head(take_x, status, headers, n_headers, take_body->len);
    if (!h) {
        buf_done(take_body);
        return;
    }
    if (take_body->len <= WHOLE_MAX) {
        conn_write_buf(h->conn, take_body);
    } else {
        h->out = *take_body;
        budget_hold(BUDGET_OUT, &h->out_counted, h->out.cap);
    }
    *take_body = BUF_INIT(take_body->max);
    hconn_write_more(h);
}

void http_answer_blobs(struct http_exchange *take_x, int status, const struct http_header *headers,
                       size_t n_headers, struct blob_list *take_body)
{
    struct hconn *h = hconn_write_head(take_x, status, headers, n_headers, take_body->bytes);

    if (!h) {
        blob_list_done(take_body);
        return;
    }
    conn_write_blobs(h->conn, take_body);
    hconn_write_more(h);
}

void http_answer(struct http_exchange *take_x, int status, const struct http_header *headers,
                 size_t n_headers, const void *body, size_t n)
{
    struct buf copy = BUF_INIT(HTTP_REPLY_MAX);

    buf_add(&copy, body, n);
    if (buf_ok(&copy) < 0) {
        buf_done(&copy);
        buf_add_str(&copy, "out of memory");
        status = 503;
    }
    http_answer_buf(take_x, status, headers, n_headers, &copy);
}

/* --- reading --- */

static bool hconn_may_read(const struct hconn *h)
{
    if (h->dead || h->state == BUSY || h->state == WRITE || h->state == STREAM)
        return false;
    if (h->state == READ_UPLOAD)
        return !h->x->held;
    return h->state != READ_HEAD || conn_pending(h->conn) <= OUT_HIGH;
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

static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";

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
    timer_set(&h->timer, BODY_TIMEOUT_NS);
    if (head->expect_continue)
        conn_write(h->conn, go_on, sizeof(go_on) - 1);
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

/* --- a body in pieces --- */

static void upload_end(struct hconn *h, int status, const char *text)
{
    struct http_exchange *x = h->x;

    h->state = BUSY;
    timer_stop(&h->timer);
    if (status == 0)
        x->is_upload = false;
    x->upload->on_end(x->upload_arg, status, text);
}

static size_t hconn_take_upload(struct hconn *h, const uint8_t *p, size_t n)
{
    _cleanup_buf_ struct buf piece = BUF_INIT(HTTP_BODY_MAX);
    struct http_exchange *x = h->x;
    size_t used = MIN(n, (size_t)UPLOAD_PIECE);
    int r;

    if (x->chunked) {
        r = http_chunks_feed(&x->chunks, p, used, &piece, &used);
        p = piece.p;
        x->uploaded += piece.len;
    } else {
        used = MIN(used, x->body_left);
        x->body_left -= used;
        x->uploaded += used;
        r = x->body_left == 0;
    }
    if (r < 0) {
        upload_end(h, 400, "malformed chunked body");
        return n;
    }
    if (x->uploaded > SNAPSHOT_FILE_MAX) {
        upload_end(h, 413, "request body is too large");
        return n;
    }
    timer_set(&h->timer, BODY_TIMEOUT_NS);
    if (x->chunked ? piece.len > 0 : used > 0)
        x->held = !x->upload->on_body(x->upload_arg, p, x->chunked ? piece.len : used);
    if (r > 0)
        upload_end(h, 0, NULL);
    else if (x->held)
        timer_stop(&h->timer);
    return used;
}

static size_t hconn_take(struct hconn *h, const uint8_t *p, size_t n)
{
    if (h->state == READ_UPLOAD)
        return hconn_take_upload(h, p, n);
    return h->state == READ_HEAD ? hconn_take_head(h, p, n) : hconn_take_body(h, p, n);
}

/* what was left in the conn comes again, next turn */
static void hconn_reoffer(struct hconn *h)
{
    h->leftover = false;
    if (h->paused) {
        h->paused = false;
        conn_read_pause(h->conn, false);
    }
    conn_set_user(h->conn, &hconn_user, h);
}

void http_upload_start(struct http_exchange *x, const struct http_upload_user *user, void *arg)
{
    struct hconn *h = x->hconn;

    if (!h)
        return; /* told already, or to be told by on_gone */
    x->upload = user;
    x->upload_arg = arg;
    if (!x->chunked && x->body_left == 0) {
        upload_end(h, 0, NULL);
        return;
    }
    h->state = READ_UPLOAD;
    timer_set(&h->timer, BODY_TIMEOUT_NS);
    if (x->expect_continue)
        conn_write(h->conn, go_on, sizeof(go_on) - 1);
    if (!h->in_data)
        hconn_reoffer(h);
}

void http_upload_resume(struct http_exchange *x)
{
    struct hconn *h = x->hconn;

    if (!h || !x->held)
        return;
    x->held = false;
    if (h->state != READ_UPLOAD)
        return;
    timer_set(&h->timer, BODY_TIMEOUT_NS);
    if (!h->in_data)
        hconn_reoffer(h);
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
    if (h->leftover && conn_pending(h->conn) <= OUT_HIGH)
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
