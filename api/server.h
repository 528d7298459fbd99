/* api/server.h - Nomad's HTTP API over a view: router, parameters, blocking, headers, errors.
 *
 * http1 -> router row -> ask (query parsed once) -> handler -> view -> reply.
 */
#pragma once

#include "api/view.h"
#include "base/loop.h"

struct api;

struct api_opts {
    struct loop *loop;
    const struct view *view;               /* borrowed */
    const struct strmap *response_headers; /* http_api_response_headers; borrowed; may be NULL */
    unsigned max_conns_per_client;         /* limits.http_max_conns_per_client */
};
struct api *api_new(const struct api_opts *o);
/* serves one more listening socket (taken) */
int api_listen(struct api *a, int take_fd, struct err *e) _must_check_;
struct api *api_free(struct api *a);
DEFINE_CLEANUP(struct api, api_free)
