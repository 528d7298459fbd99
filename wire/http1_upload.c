/* A body in pieces: the handler has the request and takes what comes of it, at its own pace. */
#include "base/limits.h"
#include "wire/http1_priv.h"

enum { UPLOAD_PIECE = 64 * KIB };

void hconn_upload_end(struct hconn *h, int status, const char *text)
{
    struct http_exchange *x = h->x;

    h->state = BUSY;
    timer_stop(&h->timer);
    if (status == 0)
        x->is_upload = false;
    x->upload->on_end(x->upload_arg, status, text);
}

size_t hconn_take_upload(struct hconn *h, const uint8_t *p, size_t n)
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
        hconn_upload_end(h, 400, "malformed chunked body");
        return n;
    }
    if (x->uploaded > SNAPSHOT_FILE_MAX) {
        hconn_upload_end(h, 413, "request body is too large");
        return n;
    }
    timer_set(&h->timer, HTTP_BODY_TIMEOUT_NS);
    if (x->chunked ? piece.len > 0 : used > 0)
        x->held = !x->upload->on_body(x->upload_arg, p, x->chunked ? piece.len : used);
    if (r > 0)
        hconn_upload_end(h, 0, NULL);
    else if (x->held)
        timer_stop(&h->timer);
    return used;
}

void http_upload_start(struct http_exchange *x, const struct http_upload_user *user, void *arg)
{
    struct hconn *h = x->hconn;

    if (!h)
        return; /* told already, or to be told by on_gone */
    x->upload = user;
    x->upload_arg = arg;
    if (!x->chunked && x->body_left == 0) {
        hconn_upload_end(h, 0, NULL);
        return;
    }
    h->state = READ_UPLOAD;
    timer_set(&h->timer, HTTP_BODY_TIMEOUT_NS);
    if (x->expect_continue)
        hconn_go_on(h);
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
    timer_set(&h->timer, HTTP_BODY_TIMEOUT_NS);
    if (!h->in_data)
        hconn_reoffer(h);
}
