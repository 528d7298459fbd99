#include "base/blob.h"

#include <string.h>
#include <sys/mman.h>

#include "base/limits.h"
#include "base/vec.h"

enum {
    MAP_MIN = 16 * KIB,
    BURY_STEP = 128, /* a turn: about a millisecond */
};

static size_t live;

/* mappings that nobody holds any more */
static struct blob *dead;
static struct defer burial;
static bool is_deferred;

size_t blob_live(void)
{
    return live;
}

static struct blob *get(size_t n, bool mapped)
{
    void *p;

    if (!mapped)
        return try_alloc(n);
    p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

struct blob *blob_alloc(size_t n)
{
    bool mapped = n >= MAP_MIN;
    struct blob *b;

    if (n > HTTP_REPLY_MAX)
        return NULL;
    b = get(sizeof(*b) + n, mapped);
    if (!b && mapped) { /* a process may have so many mappings only */
        mapped = false;
        b = get(sizeof(*b) + n, mapped);
    }
    if (!b)
        return NULL;
    *b = (struct blob){.refs = 1, .mapped = mapped, .len = n};
    live += n;
    return b;
}

struct blob *blob_new(const void *p, size_t n)
{
    struct blob *b = blob_alloc(n);

    if (b && n > 0)
        memcpy(b->bytes, p, n);
    return b;
}

static void bury(size_t max)
{
    for (size_t i = 0; i < max && dead; i++) {
        struct blob *b = dead;

        dead = b->next;
        (void)munmap(b, sizeof(*b) + b->len);
    }
}

static void on_burial(void *arg)
{
    (void)arg;
    bury(BURY_STEP);
    if (dead)
        defer_set(&burial);
}

void blob_use_loop(struct loop *l)
{
    if (is_deferred)
        defer_stop(&burial);
    bury(SIZE_MAX);
    is_deferred = l != NULL;
    if (l)
        defer_init(l, &burial, on_burial, NULL);
}

struct blob *blob_ref(struct blob *b)
{
    b->refs++;
    return b;
}

struct blob *blob_unref(struct blob *b)
{
    if (!b || --b->refs > 0)
        return NULL;
    live -= b->len;
    if (!b->mapped) {
        free(b);
        return NULL;
    }
    b->next = dead;
    dead = b;
    if (is_deferred)
        defer_set(&burial);
    else
        bury(1);
    return NULL;
}

void blob_list_add(struct blob_list *l, struct blob *take_b, size_t at, size_t n)
{
    if (n == 0) {
        (void)blob_unref(take_b);
        return;
    }
    *vec_add(&l->v, &l->n) = (struct blob_part){take_b, at, n};
    live += sizeof(*l->v);
    l->bytes += n;
}

void blob_list_done(struct blob_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        (void)blob_unref(l->v[i].b);
    live -= l->n * sizeof(*l->v);
    free(l->v);
    *l = (struct blob_list){0};
}
