#include "base/blob.h"

#include <string.h>

struct blob *blob_alloc(size_t n)
{
    struct blob *b = n < SIZE_MAX - sizeof(*b) ? try_alloc(sizeof(*b) + n) : NULL;

    if (!b)
        return NULL;
    b->refs = 1;
    b->len = n;
    return b;
}

struct blob *blob_new(const void *p, size_t n)
{
    struct blob *b = blob_alloc(n);

    if (b && n > 0)
        memcpy(b->bytes, p, n);
    return b;
}

struct blob *blob_ref(struct blob *b)
{
    b->refs++;
    return b;
}

struct blob *blob_unref(struct blob *b)
{
    if (b && --b->refs == 0)
        free(b);
    return NULL;
}
