#include "base/hash.h"

#include <nettle/sha2.h>

uint64_t fnv1(uint64_t h, const void *p, size_t n)
{
    const uint8_t *b = p;

    for (size_t i = 0; i < n; i++)
        h = h * UINT64_C(1099511628211) ^ b[i];
    return h;
}

void sha512(const void *p, size_t n, uint8_t ret[64])
{
    struct sha512_ctx ctx;

    sha512_init(&ctx);
    sha512_update(&ctx, n, p);
    sha512_digest(&ctx, SHA512_DIGEST_SIZE, ret);
}
