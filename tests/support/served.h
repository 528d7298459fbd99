/* tests/support/served.h - the harness's server behind real sockets, asked byte by byte: HTTP by
 * tests/support/http_raw.h, RPC by messages on yamux streams.
 */
#pragma once

#include "tests/support/server_harness.h"
#include "wire/accept.h"

struct served {
    struct harness *h;
    struct api *api;
    struct rpc_listener *rpc;
    char *http_address, *rpc_address; /* owned; "127.0.0.1:port" */
};

void served_init(struct served *s);
void served_done(struct served *s);

/* One RPC connection: the type byte 06 is sent. */
int served_dial_rpc(struct served *s);
/* A call as one yamux frame; opens: the stream's first, with its SYN and type byte. */
void served_rpc_call(struct served *s, int fd, uint32_t stream, bool opens, uint64_t seq,
                     const char *method, const struct desc *d, const void *request);
/* a bare frame: its flags are YAMUX's */
void served_rpc_frame(struct served *s, int fd, uint8_t type, uint16_t flags, uint32_t stream);
enum { SERVED_WINDOW = 1, SERVED_FIN = 4, SERVED_RST = 8 };

/* The node is gone, as garbage collection leaves it. */
void served_delete(struct served *s, uint64_t n);
/* An event on a node: moves the table's index, not the node's. */
void served_event(struct served *s, uint64_t n);
