/* api/server.h - Nomad's HTTP API over a view: router, parameters, blocking, headers, errors.
 *
 * http1 -> router row -> ask (query parsed once) -> handler -> view -> reply.
 */
#pragma once

#include <sys/types.h>

#include "api/view.h"
#include "base/loop.h"

struct api;

/* a request that would change something, as it came: allowed or not */
struct api_write {
    const char *method,
        *path;        /* path: without the query, which may hold what is nobody's business */
    const char *peer; /* "ip:port" or "unix" */
    bool peer_is_unix;
    uid_t peer_uid; /* when peer_is_unix */
};

struct api_opts {
    struct loop *loop;
    const struct view *view;               /* borrowed */
    const struct strmap *response_headers; /* http_api_response_headers; borrowed; may be NULL */
    unsigned max_conns_per_client;         /* limits.http_max_conns_per_client */
    /* writes a line for each; NULL: a plain one in the log */
    void (*on_write)(void *arg, const struct api_write *w);
    void *arg;
};
struct api *api_new(const struct api_opts *o);
/* serves one more listening socket (taken) */
int api_listen(struct api *a, int take_fd, struct err *e) _must_check_;
struct api *api_free(struct api *a);
DEFINE_CLEANUP(struct api, api_free)
