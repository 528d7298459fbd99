/* api/client.h - call such an API: blocking, over libcurl.  For the command line, tests and bench;
 * the daemons never link it.
 *
 * Owns: one curl handle, so that calls share a connection.  Reads no environment: who calls decides
 * about NOMAD_ADDR and the like.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"

struct client;

struct client_opts {
    const char *address;    /* "http://host:port", "https://host:port", "unix:///path" */
    const char *token;      /* NULL or "" = none */
    const char *region;     /* added as region=; NULL or "" = none */
    const char *namespace_; /* added as namespace= */
    uint64_t timeout_ns;    /* of one call; 0 = none (blocking queries last minutes) */
    size_t max_reply;       /* 0 = HTTP_REPLY_MAX */
    /* TLS; NULL or "" = libcurl's default */
    const char *ca_file, *ca_dir, *cert_file, *key_file;
    const char *server_name; /* what the certificate must name, when not the host of the address */
    bool skip_verify;
};

struct client_reply {
    int status;
    struct buf body;    /* decoded */
    uint64_t index;     /* X-Nomad-Index; 0 when there was none */
    char *next_token;   /* owned; X-Nomad-Nexttoken; NULL = none */
    char *content_type; /* owned; NULL = none */
};
void client_reply_done(struct client_reply *r);
#define _cleanup_client_reply_ _cleanup_(client_reply_done)

/* copies the options; -EINVAL for an address that is none */
int client_new(const struct client_opts *o, struct client **ret, struct err *e) _must_check_;
struct client *client_free(struct client *c);
DEFINE_CLEANUP(struct client, client_free)

/* method "GET", "PUT" ...; target "/v1/nodes?prefix=f7" (already escaped).  0 = there was an
 * answer, of whatever status; negative: none came, the text says why and from where.  ret may be
 * uninitialised and is to be cleared with client_reply_done() in both cases. */
int client_call(struct client *c, const char *method, const char *target, const void *body,
                size_t n, struct client_reply *ret, struct err *e) _must_check_;
/* The same for what must be there: a status other than 200 is an error with Nomad's words,
 * "Unexpected response code: 500 (BODY)"; e->status has the code. */
int client_get(struct client *c, const char *target, struct client_reply *ret,
               struct err *e) _must_check_;
/* The same for a write. */
int client_send(struct client *c, const char *method, const char *target, const void *body,
                size_t n, struct client_reply *ret, struct err *e) _must_check_;
/* An answer that goes on: its pieces are handed on as they come. */
struct client_stream {
    /* false: enough, the call ends with 0 */
    bool (*on_data)(void *arg, const char *p, size_t n);
    /* asked at least once a second; true: the call ends with 0.  May be NULL */
    bool (*is_over)(void *arg);
    void *arg;
};
/* GET.  Status 200: the pieces go to s, and the call returns 0 when the answer has ended, is cut
 * off or was given up.  Any other status: as client_get().  There is no limit of time or size. */
int client_stream(struct client *c, const char *target, const struct client_stream *s,
                  struct err *e) _must_check_;
/* appends s with everything escaped that may not stand in a path segment or a query value */
void client_escape(struct buf *b, const char *s);
