#include "wire/outq.h"

#include <string.h>

struct outq_piece {
    struct outq_piece *next;
    uint8_t *p;     /* owned, or space below */
    size_t at, len; /* sent so far, filled so far */
    size_t cap;     /* 0 = p came from outside and takes no more */
    /* of blobs: p is NULL, at is what was sent of part i, len stays 0 */
    struct blob_list blobs; /* owned */
    size_t i;
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
    q->own += n;
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
    q->own += take->len;
    piece->p = buf_take(take, NULL);
    append(q, piece);
    return true;
}

bool outq_add_blobs(struct outq *q, struct blob_list *take)
{
    struct outq_piece *piece = take->n > 0 ? try_alloc(sizeof(*piece)) : NULL;
    bool ok = piece || take->n == 0;

    if (!piece) {
        blob_list_done(take);
        return ok;
    }
    *piece = (struct outq_piece){.blobs = *take};
    q->len += take->bytes;
    *take = (struct blob_list){0};
    append(q, piece);
    return true;
}

static struct iovec part_iov(const struct outq_piece *p, size_t i)
{
    const struct blob_part *part = &p->blobs.v[i];
    size_t sent = i == p->i ? p->at : 0;

    return (struct iovec){part->b->bytes + part->at + sent, part->n - sent};
}

int outq_iov(const struct outq *q, struct iovec *iov, int max)
{
    int n = 0;

    for (struct outq_piece *i = q->first; i && n < max; i = i->next) {
        for (size_t k = i->i; k < i->blobs.n && n < max; k++)
            iov[n++] = part_iov(i, k);
        if (i->p)
            iov[n++] = (struct iovec){i->p + i->at, i->len - i->at};
    }
    return n;
}

static void drop_first(struct outq *q)
{
    struct outq_piece *i = q->first;

    q->first = i->next;
    if (!q->first)
        q->last = NULL;
    q->own -= i->len - i->at * (i->p != NULL);
    blob_list_done(&i->blobs);
    if (i->p != i->space)
        free(i->p);
    free(i);
}

/* drops up to n bytes of the first piece; true when that was all of it */
static bool drop_some(struct outq *q, size_t *n)
{
    struct outq_piece *p = q->first;
    size_t k;

    while (p->i < p->blobs.n) {
        struct blob_part *part = &p->blobs.v[p->i];

        k = MIN(*n, part->n - p->at);
        p->at += k;
        *n -= k;
        if (p->at < part->n)
            return false;
        part->b = blob_unref(part->b); /* nobody waits for the rest with it */
        p->i++;
        p->at = 0;
    }
    if (!p->p)
        return true;
    k = MIN(*n, p->len - p->at);
    p->at += k;
    q->own -= k;
    *n -= k;
    return p->at == p->len;
}

void outq_drop(struct outq *q, size_t n)
{
    q->len -= n;
    while (q->first && drop_some(q, &n))
        drop_first(q);
}

void outq_done(struct outq *q)
{
    while (q->first)
        drop_first(q);
    q->len = 0;
}

void outq_to_buf(struct outq *q, struct buf *b)
{
    struct iovec iov;

    while (outq_iov(q, &iov, 1) > 0) {
        buf_add(b, iov.iov_base, iov.iov_len);
        outq_drop(q, iov.iov_len);
    }
}
