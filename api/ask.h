/* api/ask.h - one request as handlers see it: parameters parsed once, wrong ones refused here.
 *
 * Facts: http-api 2, 3, 7; semantics of Nomad 2.0.5 where releases differ.  Keeps nothing of the
 * HTTP request: all texts point into one allocation, so that a request that waits costs little.
 */
#pragma once

#include <sys/types.h>

#include "base/err.h"
#include "model/query.h"

struct http_request;
struct route;

enum ask_encoding { ENCODING_NONE, ENCODING_GZIP, ENCODING_DEFLATE };

struct ask {
    const struct route *route; /* borrowed: static */
    char *text;                /* owned: what the members point into */
    const char *id;            /* what :id or * of the route stands for; "" */
    const char *region;        /* "" = our own */
    const char *namespace_;
    const char *prefix;
    const char *filter;
    const char *next_token;
    const char *token; /* X-Nomad-Token or Authorization: Bearer; "" */
    uint64_t index;    /* > 0: answer when there is something newer */
    int64_t wait_ns;   /* <= 0: the default */
    int32_t per_page;
    bool stale;
    bool reverse;
    bool pretty;
    bool resources, os; /* routes with ROUTE_LIST_FIELDS */
    bool type_client, type_server, type_given;
    const char *node_id;    /* routes that ask one agent; "" = the one that is asked */
    const char *server_id;  /* likewise */
    const char *explain;    /* /v1/agent/fingerprint: only what explains this name; "" = all */
    const char *format;     /* /v1/metrics */
    const char *enable;     /* a drain as before 1.1; "" = not given */
    const char *log_level;  /* /v1/agent/monitor; "" = INFO */
    bool log_json, plain;   /* routes with ROUTE_LOG */
    const char **addresses; /* each ?address= of /v1/agent/servers; owned array of borrowed texts */
    size_t n_addresses;
    const uint8_t *body; /* routes with ROUTE_BODY */
    size_t body_len;
    bool peer_is_unix;
    uid_t peer_uid;   /* when peer_is_unix */
    uint8_t encoding; /* enum ask_encoding of the answer */
};

/* q: the request; id: as decoded by the router.  Errors carry the status. */
int ask_parse(struct ask *ret, const struct http_request *q, const struct route *route,
              const char *id, struct err *e) _must_check_;
void ask_done(struct ask *q);
/* What a request carries along when it is answered by RPC: its region (else the given one), token,
 * blocking and pages.  All texts are borrowed: clear nothing. */
struct query_options ask_query_options(const struct ask *q, const char *region);
struct write_request ask_write_request(const struct ask *q, const char *region);
/* the first of gzip and deflate among the tokens of Accept-Encoding (gorilla/handlers) */
enum ask_encoding ask_encoding(const struct http_request *q);
