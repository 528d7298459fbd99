#include "api/gzip.h"

#include <errno.h>
#include <zlib.h>

enum {
    LEVEL = 1, /* list stubs shrink to 1/9 at once; more effort gains little */
    WINDOW_BITS_MIN = 9,
    WINDOW_BITS_MAX = 15,
    GZIP_WRAPPER = 16,
    MEM_LEVEL_MAX = 8,
};

/* a window as large as the text: zlib then needs 40 KB for a node instead of 270 */
static int window_bits(size_t n)
{
    int bits = WINDOW_BITS_MIN;

    while (bits < WINDOW_BITS_MAX && (size_t)1 << bits < n)
        bits++;
    return bits;
}

int gzip_compress(struct buf *b, const void *p, size_t n, bool raw)
{
    int bits = window_bits(n), r;
    z_stream z = {0};
    size_t room;

    r = deflateInit2(&z, LEVEL, Z_DEFLATED, raw ? -bits : bits + GZIP_WRAPPER,
                     MIN(bits - 6, MEM_LEVEL_MAX), Z_DEFAULT_STRATEGY);
    if (r != Z_OK)
        return -ENOMEM;
    room = deflateBound(&z, n);
    if (!buf_reserve(b, room)) {
        (void)deflateEnd(&z);
        return -ENOMEM;
    }
    z.next_in = (Bytef *)(uintptr_t)p;
    z.avail_in = (uInt)n;
    z.next_out = b->p + b->len;
    z.avail_out = (uInt)room;
    r = deflate(&z, Z_FINISH);
    b->len += room - z.avail_out;
    b->p[b->len] = 0;
    (void)deflateEnd(&z);
    return r == Z_STREAM_END ? 0 : -ENOMEM;
}
