/* Exchanges and their answers: whole ones, of which a large body goes out in slices. */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/limits.h"
#include "wire/http1_priv.h"

enum {
    WHOLE_MAX = 8 * MIB,  /* a body up to this is handed to the conn at once */
    SLICE = 1 * MIB,      /* a larger one in such pieces: CONN_OUT_MAX is a limit */
    BODY_SMALL = 4 * KIB, /* a body that is sent whatever else waits */
};

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
void hconn_write_more(struct hconn *h)
{
    while (h->out_at < h->out.len) {
        size_t n = MIN(h->out.len - h->out_at, (size_t)SLICE);

        if (conn_pending(h->conn) > HTTP_OUT_HIGH)
            break;
        conn_write(h->conn, h->out.p + h->out_at, n);
        give_back(h->out.p + h->out_at, n);
        h->out_at += n;
    }
    if (h->out_at < h->out.len || (h->closing && conn_pending(h->conn) > HTTP_OUT_HIGH)) {
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
        headers = &http_text_type;
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
