/* tests/support/canned_http.h - an HTTP server in a child process that gives prepared answers. */
#pragma once

#include <sys/types.h>

#include "base/mem.h"

struct canned_answer {
    const char *target; /* "/v1/nodes?prefix=a2"; of other methods than GET with method and body,
                           "POST /v1/x {}" */
    int status;
    const char *body;
};

struct canned_http {
    pid_t pid;
    char *url; /* owned: "http://127.0.0.1:port" */
};

/* answers what is listed, everything else with 404 "not found: TARGET"; X-Nomad-Index is 30 */
void canned_http_start(struct canned_http *s, const struct canned_answer *answers, size_t n);
void canned_http_stop(struct canned_http *s);
