/* wire/http1_priv.h - what the files of the serving side know of each other's insides.
 *
 * http1_conn.c reads requests, http1_answer.c writes whole answers, http1_stream.c answers that go
 * on, http1_upload.c takes bodies in pieces.
 */
#pragma once

#include "wire/budget.h"
#include "wire/conn.h"
#include "wire/http1_chunk.h"
#include "wire/http1_conn.h"
#include "wire/http1_head.h"
#include "wire/http1_write.h"
#include "wire/pace.h"

enum {
    HTTP_REPLY_HEAD_MAX = 64 * KIB,
    HTTP_OUT_HIGH = 256 * KIB, /* unsent bytes beyond which a connection is not read */
};
#define HTTP_BODY_TIMEOUT_NS (30 * NSEC_PER_SEC)
#define HTTP_BUSY_TEXT       "the server is busy: too much waits in its connections"

enum hconn_state {
    READ_HEAD,
    READ_BODY,
    READ_UPLOAD, /* the handler has the request and takes its body */
    BUSY,        /* the handler has the request */
    WRITE,       /* a large answer goes out; the next request comes after it */
    STREAM,      /* an answer goes on (wire/http1_stream.c) */
};

struct hconn {
    struct list link;
    struct hconn_set *set;
    struct conn *conn;          /* counted */
    struct http_client *client; /* NULL: not counted */
    struct http_exchange *x;    /* owned; in READ_BODY and BUSY */
    struct http_stream *stream; /* in STREAM */
    struct timer timer;
    struct http_scan scan;
    struct buf out; /* WRITE: a body larger than WHOLE_MAX */
    size_t out_at;
    size_t out_counted; /* its part of the budget */
    struct pace pace;   /* of what has not left */
    uint8_t state;
    uint8_t blank_lines;
    bool started : 1; /* a first byte of a request is there */
    bool in_data : 1; /* on_data() is on the stack and looks after what is left */
    bool dead : 1;
    bool leftover : 1; /* the conn holds bytes that were not taken */
    bool paused : 1;
    bool closing : 1; /* after this answer */
    bool eof : 1;
    bool behind : 1; /* it takes its answers slowly */
    bool late : 1;   /* a deadline has passed while bytes were there to be read */
};

struct http_exchange {
    struct hconn *hconn; /* NULL: the peer is gone, nobody was told */
    struct loop *loop;
    struct http_head *head;
    struct http_request request;
    struct buf body;
    size_t counted; /* its part of the budget */
    struct http_chunks chunks;
    uint64_t body_left;
    const struct http_upload_user *upload; /* NULL: not started, or no upload */
    void *upload_arg;
    uint64_t uploaded;
    void (*gone)(void *arg);
    void *gone_arg;
    bool is_head : 1; /* HEAD: an answer without its body */
    bool minor_0 : 1;
    bool keep_alive : 1;
    bool chunked : 1;
    bool expect_continue : 1;
    bool is_upload : 1; /* its body has not ended yet */
    bool held : 1;      /* the user wants no more of it for now */
};

extern const struct http_header http_text_type;

struct http_exchange *http_exchange_free(struct http_exchange *x);
/* ends it; h stays readable for those on the stack, until the end of the turn */
void hconn_end(struct hconn *h, bool at_once);
/* an answer has been handed to the conn */
void hconn_after_answer(struct hconn *h);
/* nobody will read the answer: tells who waits for that */
void hconn_gone(struct hconn *h);
/* n bytes of an answer are to leave from now on */
void hconn_will_send(struct hconn *h, size_t n);
/* what was queued should have left by now */
bool hconn_is_slow(struct hconn *h);
size_t hconn_unsent(const struct hconn *h);
/* what was left in the conn comes again, next turn */
void hconn_reoffer(struct hconn *h);
/* 100 Continue */
void hconn_go_on(struct hconn *h);

/* http1_answer.c */
enum http_close hconn_how_to_close(const struct http_exchange *x, const struct hconn *h);
/* in state WRITE: there is room for more of the answer */
void hconn_write_more(struct hconn *h);

/* http1_upload.c: takes some of n bytes; ends the body, 0 = whole, else why not (the handler
 * answers) */
size_t hconn_take_upload(struct hconn *h, const uint8_t *p, size_t n);
void hconn_upload_end(struct hconn *h, int status, const char *text);

/* http1_stream.c: what the connection tells its stream */
void http_stream_on_drained(struct http_stream *s);
void http_stream_on_gone(struct http_stream *take_s);
