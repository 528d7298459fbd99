#include "wire/http1_chunk.h"

#include <errno.h>

#include "base/parse.h"

enum {
    SIZE, /* the zeroed struct starts here */
    EXTENSION,
    SIZE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    TRAILER, /* at the start of a line */
    TRAILER_TEXT,
    TRAILER_TEXT_LF,
    END_LF,
    DONE,
};

enum {
    EXTENSION_MAX = 256, /* per chunk; nobody sends any */
    TRAILER_MAX = 4096,
    SIZE_DIGITS_MAX = 15,
};

static bool is_text(uint8_t c)
{
    return c == '\t' || (c >= 0x20 && c != 0x7f);
}

static int feed_size(struct http_chunks *c, uint8_t b)
{
    int d = parse_hex_digit(b);

    if (d >= 0) {
        if (++c->digits > SIZE_DIGITS_MAX)
            return -EBADMSG;
        c->left = c->left << 4 | (unsigned)d;
        return 0;
    }
    if (c->digits == 0 || (b != ';' && b != '\r'))
        return -EBADMSG;
    c->skipped = 0;
    c->state = b == ';' ? EXTENSION : SIZE_LF;
    return 0;
}

/* one byte that is not chunk data */
static int feed_byte(struct http_chunks *c, uint8_t b)
{
    switch (c->state) {
    case SIZE:
        return feed_size(c, b);
    case EXTENSION:
        if (b == '\r')
            c->state = SIZE_LF;
        else if (!is_text(b) || ++c->skipped > EXTENSION_MAX)
            return -EBADMSG;
        return 0;
    case SIZE_LF:
        c->state = c->left > 0 ? DATA : TRAILER;
        c->digits = 0;
        c->skipped = 0;
        return b == '\n' ? 0 : -EBADMSG;
    case DATA_CR:
        c->state = DATA_LF;
        return b == '\r' ? 0 : -EBADMSG;
    case DATA_LF:
        c->state = SIZE;
        return b == '\n' ? 0 : -EBADMSG;
    case TRAILER:
        if (b == '\r') {
            c->state = END_LF;
            return 0;
        }
        c->state = TRAILER_TEXT;
        return is_text(b) && b != ' ' && b != '\t' && ++c->skipped <= TRAILER_MAX ? 0 : -EBADMSG;
    case TRAILER_TEXT:
        if (b == '\r')
            c->state = TRAILER_TEXT_LF;
        else if (!is_text(b) || ++c->skipped > TRAILER_MAX)
            return -EBADMSG;
        return 0;
    case TRAILER_TEXT_LF:
        c->state = TRAILER;
        return b == '\n' ? 0 : -EBADMSG;
    case END_LF:
        c->state = DONE;
        return b == '\n' ? 1 : -EBADMSG;
    default:
        return -EBADMSG;
    }
}

int http_chunks_feed(struct http_chunks *c, const uint8_t *p, size_t n, struct buf *out,
                     size_t *ret_used)
{
    size_t i = 0;
    int r = 0;

    while (i < n && r == 0) {
        if (c->state == DATA) {
            size_t k = MIN(c->left, n - i);

            buf_add(out, p + i, k);
            if (buf_ok(out) < 0)
                return -EMSGSIZE;
            i += k;
            c->left -= k;
            if (c->left == 0)
                c->state = DATA_CR;
            continue;
        }
        r = feed_byte(c, p[i++]);
        if (r < 0)
            return r;
    }
    *ret_used = i;
    return r;
}
