/* wire/rpc_wire.h - the bytes of RPC messages: header objects, and cutting a stream into messages.
 * Internal to wire.
 *
 * A message is two msgpack objects without a length in front: header, body (fact: rpc-wire 4).
 */
#pragma once

#include "base/buf.h"
#include "base/limits.h"
#include "codec/mp.h"

/* text fields point into the bytes that were read */
struct rpc_header {
    uint64_t seq;
    const uint8_t *method;
    size_t method_len;
    const uint8_t *error; /* replies: empty = success */
    size_t error_len;
};

/* map in any key order (unknown keys skipped, missing ones zero), or array in Go's field order;
 * -EBADMSG otherwise */
int rpc_request_header_read(const uint8_t *p, size_t n, struct rpc_header *ret) _must_check_;
int rpc_reply_header_read(const uint8_t *p, size_t n, struct rpc_header *ret) _must_check_;
void rpc_request_header_write(struct buf *b, uint64_t seq, const char *method);
void rpc_reply_header_write(struct buf *b, const char *error, uint64_t seq, const char *method);

/* {"Method": X} of a streaming stream; -EBADMSG */
int rpc_stream_header_read(const uint8_t *p, size_t n, char **ret_method) _must_check_;
/* the refusal: Unknown rpc method: "X" */
void rpc_unknown_stream_text(struct buf *b, const char *method);

/* bytes of one stream on their way to messages; no memory while empty */
struct rpc_inbox {
    struct buf in;          /* from the start of a message */
    struct mp_frame *frame; /* owned; state of an object that is not whole yet */
    size_t header_len;      /* 0 while the header is not whole */
};
void rpc_inbox_init(struct rpc_inbox *b);
void rpc_inbox_done(struct rpc_inbox *b);
/* false: no memory */
bool rpc_inbox_add(struct rpc_inbox *b, const uint8_t *p, size_t n) _must_check_;
/* One whole object of at most RPC_HEADER_MAX: 0 and its length; errors of mp_frame(). */
int rpc_inbox_object(struct rpc_inbox *b, size_t *ret_len) _must_check_;
/* the same behind at bytes, which the caller drops later, with another limit */
int rpc_inbox_object_at(struct rpc_inbox *b, size_t at, size_t max, size_t *ret_len) _must_check_;
/* One whole message: 0 and the length of the body behind header_len; -EAGAIN; -EMSGSIZE, -EBADMSG:
 * of the header when header_len is 0, else of the body. */
int rpc_inbox_message(struct rpc_inbox *b, size_t *ret_body) _must_check_;
/* hands out the front of n bytes (one message); NULL when there is no memory */
uint8_t *rpc_inbox_take(struct rpc_inbox *b, size_t n) _must_check_;
