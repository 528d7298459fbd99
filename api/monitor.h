/* api/monitor.h - the log as a stream, for /v1/agent/monitor and Agent.Monitor (fact: http-api 10).
 *
 * Records are gathered for a tenth of a second and go out as one frame {"Data":base64,
 * "FileEvent":"log"}, or as they are when plain; an idle stream gets a heartbeat {} each second.  A
 * slow reader never holds anybody up: what does not fit into MONITOR_MAX is dropped, and the reader
 * is told how much that was.
 *
 * Depends on nothing of HTTP but monitor_http().
 */
#pragma once

#include "base/log.h"
#include "base/loop.h"
#include "wire/http1.h"

struct monitor;

struct monitor_sink {
    size_t (*room)(void *arg); /* bytes that may be written now */
    /* a frame, or plain text; fits into the room */
    void (*write)(void *arg, const void *p, size_t n);
};
struct monitor_opts {
    struct loop *loop;
    enum log_level level;
    bool json, plain;
    const struct monitor_sink *sink; /* borrowed */
    void *arg;
};
struct monitor *monitor_new(const struct monitor_opts *o);
struct monitor *monitor_free(struct monitor *m); /* writes nothing more */
void monitor_room(struct monitor *m);            /* the sink has room again */

/* an answer of that form over HTTP: a reply_streamer whose arg is monitor_http_arg() */
void *monitor_http_arg(enum log_level level, bool json, bool plain);
void monitor_http(void *arg, struct http_exchange *take_x, const struct http_header *headers,
                  size_t n_headers);
