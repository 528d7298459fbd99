/* api/reply.h - an answer: status, body, what becomes headers; errors become statuses here only.
 *
 * Facts: http-api 1 (headers, encodings), 3 (choice of the code).
 */
#pragma once

#include "api/view.h"
#include "base/buf.h"
#include "wire/http1.h"

struct ask;
struct cache;
struct pages;

/* Appends the part of the body that is made of the next n items from *at on, with the brackets of a
 * list at its ends; pure. */
typedef int reply_render(struct buf *b, const struct node_list *items, struct node_list_at *at,
                         size_t n, const struct ask *q, struct err *e);

/* what answers of one API share; each member may be NULL */
struct reply_shared {
    const struct strmap *configured; /* http_api_response_headers */
    struct cache *cache;
    struct pages *pages;
};

/* headers: borrowed for the call, without a Content-Type */
typedef void reply_streamer(void *arg, struct http_exchange *take_x,
                            const struct http_header *headers, size_t n_headers);

struct reply {
    int status;
    const char *content_type; /* static; NULL: no body */
    struct buf body;
    const char *coding; /* static; the body has its final form and this coding */
    /* A body that is made only when it is sure to be sent: a request that goes on waiting never
     * needs it, and many who get the same share it. */
    reply_render *render_items;
    struct node_list items; /* counted */
    struct blob_list parts; /* the body in its final form, when it is not in body */
    bool is_stubs;          /* the body is a list of the stubs that pages have */
    bool one_off;           /* the items are of this answer alone: not worth keeping */
    bool is_json;           /* ?pretty applies */
    bool laid_out;          /* and has been */
    bool has_meta;          /* the X-Nomad-* headers of reads */
    bool index_only;        /* of these only X-Nomad-Index: writes */
    bool bare;              /* no configured response headers */
    struct view_meta meta;
    /* An answer that goes on: gets the exchange with the headers that belong to every answer,
     * begins the stream and is the one to end it.  Nothing else of the reply is used then. */
    reply_streamer *stream;
    void *stream_arg;
    char *next_token; /* owned; X-Nomad-Nexttoken */
    char *location;   /* owned */
};

void reply_init(struct reply *r);
void reply_done(struct reply *r);
/* a JSON body is in r->body */
void reply_json(struct reply *r);
/* a JSON list of texts */
void reply_list(struct reply *r, char *const *v, size_t n);
/* replaces what is there by a plain text */
void reply_text(struct reply *r, int status, const char *text);
/* the answer to a failure: its own status, the code of "RPC Error:: CODE,text", the suffixes that
 * have codes, or 500 */
void reply_error(struct reply *r, const struct err *e);
/* the form asked for is joined from the texts of pages (api/pages.h) */
bool reply_is_joined(const struct reply *r, const struct ask *q, const struct reply_shared *s);
/* makes the body when render_items is set; a failure becomes the answer */
void reply_make_body(struct reply *r, const struct ask *q);

/* ?pretty: lays the body out, once */
void reply_lay_out(struct reply *r);

/* Makes the body, pretty-prints and compresses as asked, and answers. */
void reply_send(struct reply *take_r, const struct ask *q, const struct reply_shared *shared,
                struct http_exchange *take_x);
/* hands the exchange to r->stream */
void reply_stream(struct reply *take_r, const struct reply_shared *shared,
                  struct http_exchange *take_x);
