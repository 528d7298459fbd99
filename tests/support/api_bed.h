/* tests/support/api_bed.h - the API on a loopback port over a fake view, and a raw client for it.
 */
#pragma once

#include "api/server.h"
#include "tests/support/fake_view.h"

struct api_bed {
    struct loop *loop;
    struct fake_view fake;
    struct api *api;
    char *address; /* owned: "127.0.0.1:port" */
    struct strmap response_headers;
};

void api_bed_init(struct api_bed *b);
void api_bed_done(struct api_bed *b);

/* one answer as it came; all text NUL-terminated */
struct answer {
    int status;
    char *head; /* owned: status line and headers */
    char *body; /* owned */
    size_t body_len;
};
void answer_done(struct answer *a);
#define _cleanup_answer_ _cleanup_(answer_done)
/* value of a header, name without case: borrowed until the next call; NULL = not there */
const char *answer_header(const struct answer *a, const char *name);

/* connects; non-blocking */
int api_bed_dial(struct api_bed *b);
/* sends text, turning the loop */
void api_bed_say(struct api_bed *b, int fd, const char *text);
/* takes the next whole answer (by its Content-Length); gives up with status 0 when none comes */
void api_bed_hear(struct api_bed *b, int fd, struct answer *ret);
/* whether an answer has begun to come */
bool api_bed_has_answer(struct api_bed *b, int fd);
/* one request on a connection of its own; headers: "A: b\r\n" lines or "" */
void api_bed_ask(struct api_bed *b, const char *method, const char *target, const char *headers,
                 const char *body, struct answer *ret);
void api_bed_get(struct api_bed *b, const char *target, struct answer *ret);
