/* api/reply.h - an answer: status, body, what becomes headers; errors become statuses here only.
 *
 * Facts: http-api 1 (headers, encodings), 3 (choice of the code).
 */
#pragma once

#include "api/view.h"
#include "base/buf.h"
#include "wire/http1.h"

struct ask;

struct reply {
    int status;
    const char *content_type; /* static; NULL: no body */
    struct buf body;
    bool is_json;  /* ?pretty applies */
    bool has_meta; /* the X-Nomad-* headers of reads */
    bool bare;     /* no configured response headers */
    struct view_meta meta;
    char *next_token; /* owned; X-Nomad-Nexttoken */
    char *location;   /* owned */
};

void reply_init(struct reply *r);
void reply_done(struct reply *r);
/* a JSON body is in r->body */
void reply_json(struct reply *r);
/* replaces what is there by a plain text */
void reply_text(struct reply *r, int status, const char *text);
/* the answer to a failure: its own status, the code of "RPC Error:: CODE,text", the suffixes that
 * have codes, or 500 */
void reply_error(struct reply *r, const struct err *e);
/* Pretty-prints and compresses as asked, and answers. */
void reply_send(struct reply *take_r, bool pretty, unsigned encoding,
                const struct strmap *configured, struct http_exchange *take_x);
