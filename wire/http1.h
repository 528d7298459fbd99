/* wire/http1.h - HTTP/1.1 over conns, the server's side, parsed by http-parser.
 *
 * Keep-alive, pipelining (answered in order), HEAD, chunked requests, Expect: 100-continue;
 * refused with a plain text and closed: bad syntax 400, header over HTTP_HEAD_MAX 431, body over
 * HTTP_BODY_MAX 413, Content-Length together with Transfer-Encoding 400, missing Host 400,
 * time-outs 408.  A request waits for its answer as long as the handler likes: a vanished peer is
 * noticed (on_gone).
 */
#pragma once

#include "base/blob.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/loop.h"

struct http_server;
struct http_exchange; /* one request and its answer */

struct http_header {
    const char *name, *value;
};

/* the request; all text is valid until answered */
struct http_request {
    const char *method; /* "GET" */
    const char *target; /* as sent: "/v1/nodes?prefix=f7" */
    const char *path;   /* up to '?', still percent-encoded */
    const char *query;  /* behind '?', "" when none */
    const struct http_header *headers;
    size_t n_headers;
    const uint8_t *body;
    size_t body_len;
    const char *peer; /* "ip:port" or "unix" */
    bool peer_is_unix;
    uid_t peer_uid; /* when peer_is_unix */
};
/* first value of a header, name without case; NULL when it is not there */
const char *http_request_header(const struct http_request *q, const char *name);

typedef void http_handler(void *arg, struct http_exchange *x, const struct http_request *q);

struct http_server_opts {
    http_handler *handler;
    void *arg;
    /* whether the body of such a request is read in pieces (http_upload_start); NULL: none is */
    bool (*is_upload)(const char *method, const char *path);
    /* Connections per address, or per user of a unix socket (but for root and our own, who are not
     * counted); 0 = no limit; beyond: 429 and close.  Whoever comes when but a reserve of the
     * process's descriptors is left gets 503.  Both are said ten times a second; beyond that a
     * connection is closed without a word. */
    unsigned max_per_client;
    uint64_t head_timeout_ns; /* from the first byte to the end of the headers; 0 = 10 s */
    uint64_t idle_timeout_ns; /* between requests; 0 = 120 s */
};
/* takes the listening descriptor (TCP or unix), also when it fails */
int http_listen(struct loop *l, int take_fd, const struct http_server_opts *o,
                struct http_server **ret) _must_check_;
/* pending exchanges: on_gone, closed; not from inside a handler */
struct http_server *http_server_free(struct http_server *s);
DEFINE_CLEANUP(struct http_server, http_server_free)
size_t http_server_connections(const struct http_server *s);

/* Answers: status, extra headers, body (copied; NULL and 0 for none).  Content-Length, Date and
 * Connection are added here.  Frees the exchange. */
void http_answer(struct http_exchange *take_x, int status, const struct http_header *headers,
                 size_t n_headers, const void *body, size_t n);
/* the same with a body that is taken over instead of copied */
void http_answer_buf(struct http_exchange *take_x, int status, const struct http_header *headers,
                     size_t n_headers, struct buf *take_body);
/* the same with a body of parts of blobs, which is emptied */
void http_answer_blobs(struct http_exchange *take_x, int status, const struct http_header *headers,
                       size_t n_headers, struct blob_list *take_body);
/* Frees the request's text and body, for an exchange that will wait: its http_request is all empty
 * after that. */
void http_exchange_trim(struct http_exchange *x);
/* the peer is gone: forget the exchange; it is freed behind the callback */
void http_on_gone(struct http_exchange *x, void (*fn)(void *arg), void *arg);

struct loop *http_exchange_loop(const struct http_exchange *x); /* that it lives in */

/* --- bodies that are too large to be held: the handler is called behind the head --- */
struct http_upload_user {
    /* A piece; false: no more until http_upload_resume().  Never answers from inside. */
    bool (*on_body)(void *arg, const uint8_t *p, size_t n);
    /* the whole of it has come, or (status > 0) what is wrong with it: answer now */
    void (*on_end)(void *arg, int status, const char *text);
};
/* Reads the body of an exchange that is_upload() wanted, SNAPSHOT_FILE_MAX bytes at most.  A
 * vanished peer is told by http_on_gone().  An answer before the end closes the connection. */
void http_upload_start(struct http_exchange *x, const struct http_upload_user *user, void *arg);
void http_upload_resume(struct http_exchange *x);

/* --- answers that go on: chunked, in pieces --- */
struct http_stream;
struct http_stream_user {
    void (*on_room)(void *arg); /* what was written has left: there is room again */
    void (*on_gone)(void *arg); /* the peer is gone; the stream is freed behind the callback */
};
/* Sends the head and keeps the exchange (taken) open.  user is borrowed for as long as it lives. */
struct http_stream *http_stream_begin(struct http_exchange *take_x, int status,
                                      const struct http_header *headers, size_t n_headers,
                                      const struct http_stream_user *user, void *arg);
/* how many bytes may be written now (HTTP_STREAM_MAX less what has not left yet); more is dropped
 * and http_stream_write() says so by -ENOBUFS */
size_t http_stream_room(const struct http_stream *s);
int http_stream_write(struct http_stream *s, const void *p, size_t n) _must_check_;
void http_stream_end(struct http_stream *take_s); /* the last chunk; no callback comes after it */
