/* tests/support/fuzz_body.h - arguments of RPC methods, made from their tables and then spoilt.
 *
 * All choices are bytes of the input; where it has ended every choice is 0, which is the plain one,
 * so that an input without them is a correct request.
 */
#pragma once

#include "base/buf.h"
#include "model/methods.h"

/* the input that is left */
struct fuzz_in {
    const uint8_t *p, *end;
};
uint8_t fuzz_u8(struct fuzz_in *in); /* 0 at the end */
uint16_t fuzz_u16(struct fuzz_in *in);
/* one of the numbers that limits are made of, or a small one */
uint64_t fuzz_number(struct fuzz_in *in);

struct fuzz_body {
    unsigned node;  /* whose ids: make_node_id() */
    bool full;      /* every field set, not only those that are needed */
    bool no_token;  /* as releases before 1.1 ask */
    uint64_t index; /* MinQueryIndex */
    uint64_t wait_ns;
    const char *status;
};

/* one object of that table as msgpack */
void fuzz_body_pack(const struct desc *d, const struct fuzz_body *o, struct buf *out);
/* Copies one object, spoilt as the input says, three bytes a time: which value, how, how much.
 * Secrets of known nodes go only where secrets belong. */
void fuzz_spoil(const uint8_t *p, size_t n, struct fuzz_in *in, struct buf *out);
