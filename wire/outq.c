#include "wire/outq.h"

#include <string.h>

struct outq_piece {
    struct outq_piece *next;
    uint8_t *p;     /* owned, or space below */
    size_t at, len; /* sent so far, filled so far */
    size_t cap;     /* 0 = p came from outside and takes no more */
    uint8_t space[];
};

enum {
    PIECE_BYTES = 2048 - sizeof(struct outq_piece),
    TAKE_MIN = 1024, /* smaller buffers are cheaper to copy than to keep */
};

static void append(struct outq *q, struct outq_piece *n)
{
    if (q->last)
        q->last->next = n;
    else
        q->first = n;
    q->last = n;
}

bool outq_add(struct outq *q, const void *p, size_t n)
{
    struct outq_piece *last = q->last, *piece;
    size_t fits = last ? last->cap - MIN(last->cap, last->len) : 0, cap;

    fits = MIN(fits, n);
    if (n > fits) {
        cap = MAX(n - fits, (size_t)PIECE_BYTES);
        piece = try_alloc(sizeof(*piece) + cap);
        if (!piece)
            return false;
        *piece = (struct outq_piece){.cap = cap, .len = n - fits};
        piece->p = piece->space;
        memcpy(piece->p, (const uint8_t *)p + fits, n - fits);
        append(q, piece);
    }
    if (fits > 0) {
        memcpy(last->p + last->len, p, fits);
        last->len += fits;
    }
    q->len += n;
    return true;
}

bool outq_add_buf(struct outq *q, struct buf *take)
{
    struct outq_piece *piece;
    bool ok = true;

    if (take->len < TAKE_MIN) {
        if (take->len)
            ok = outq_add(q, take->p, take->len);
        buf_done(take);
        return ok;
    }
    piece = try_alloc(sizeof(*piece));
    if (!piece) {
        buf_done(take);
        return false;
    }
    *piece = (struct outq_piece){.len = take->len};
    q->len += take->len;
    piece->p = buf_take(take, NULL);
    append(q, piece);
    return true;
}

int outq_iov(const struct outq *q, struct iovec *iov, int max)
{
    int n = 0;

    for (struct outq_piece *i = q->first; i && n < max; i = i->next)
        iov[n++] = (struct iovec){i->p + i->at, i->len - i->at};
    return n;
}

static void drop_first(struct outq *q)
{
    struct outq_piece *i = q->first;

    q->first = i->next;
    if (!q->first)
        q->last = NULL;
    if (i->p != i->space)
        free(i->p);
    free(i);
}

void outq_drop(struct outq *q, size_t n)
{
    q->len -= n;
    while (q->first && n >= q->first->len - q->first->at) {
        n -= q->first->len - q->first->at;
        drop_first(q);
    }
    if (q->first)
        q->first->at += n;
}

void outq_done(struct outq *q)
{
    while (q->first)
        drop_first(q);
    q->len = 0;
}

void outq_to_buf(struct outq *q, struct buf *b)
{
    for (struct outq_piece *i = q->first; i; i = i->next)
        buf_add(b, i->p + i->at, i->len - i->at);
    outq_done(q);
}
