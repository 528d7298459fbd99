#include "api/gzip.h"

#include <errno.h>
#include <zlib.h>

enum {
    LEVEL = 1, /* list stubs shrink to 1/9 at once; more effort gains little */
    WINDOW_BITS_MIN = 9,
    WINDOW_BITS_MAX = 15,
    GZIP_WRAPPER = 16,
    MEM_LEVEL_MAX = 8,
    ROOM_MIN = 4096,
};

/* a window as large as the text: zlib then needs 40 KB for a node instead of 270 */
static int window_bits(size_t n)
{
    int bits = WINDOW_BITS_MIN;

    while (bits < WINDOW_BITS_MAX && (size_t)1 << bits < n)
        bits++;
    return bits;
}

struct gzip {
    z_stream z;
};

static bool start(z_stream *z, int bits, bool raw)
{
    return deflateInit2(z, LEVEL, Z_DEFLATED, raw ? -bits : bits + GZIP_WRAPPER,
                        MIN(bits - 6, MEM_LEVEL_MAX), Z_DEFAULT_STRATEGY) == Z_OK;
}

struct gzip *gzip_new(bool raw)
{
    struct gzip *z = xnew0(struct gzip);

    return start(&z->z, WINDOW_BITS_MAX, raw) ? z : mem_free(z);
}

struct gzip *gzip_free(struct gzip *z)
{
    if (!z)
        return NULL;
    (void)deflateEnd(&z->z);
    return mem_free(z);
}

int gzip_add(struct gzip *g, struct buf *b, const void *p, size_t n, bool last)
{
    z_stream *z = &g->z;
    int r;

    z->next_in = (Bytef *)(uintptr_t)p;
    z->avail_in = (uInt)n;
    do {
        if (!buf_reserve(b, MAX(n / 4, (size_t)ROOM_MIN)))
            return -ENOMEM;
        z->next_out = b->p + b->len;
        z->avail_out = (uInt)(b->cap - 1 - b->len);
        r = deflate(z, last ? Z_FINISH : Z_NO_FLUSH);
        b->len = b->cap - 1 - z->avail_out;
        b->p[b->len] = 0;
        if (r == Z_STREAM_ERROR)
            return -ENOMEM;
    } while (z->avail_in > 0 || (last && r != Z_STREAM_END));
    return 0;
}

int gzip_compress(struct buf *b, const void *p, size_t n, bool raw)
{
    struct gzip g = {0};
    int r = -ENOMEM;

    if (!start(&g.z, window_bits(n), raw))
        return -ENOMEM;
    if (buf_reserve(b, deflateBound(&g.z, n)))
        r = gzip_add(&g, b, p, n, true);
    (void)deflateEnd(&g.z);
    return r;
}
