#include "api/cache.h"

#include <string.h>

#include "api/ask.h"
#include "base/limits.h"

enum {
    ENTRIES = 8,
    BODY_MAX = 16 * MIB, /* of one entry; beyond it making it again is no worse */
    BYTES_MAX = 32 * MIB,
};
#define KEEP_NS (5 * NSEC_PER_SEC)

struct entry {
    struct node_items items; /* counted */
    reply_render *render;    /* NULL: free */
    bool pretty, resources, os;
    uint8_t encoding;
    const char *coding;
    struct buf body;
    uint64_t used; /* the cache's clock when it was asked for last */
};

struct cache {
    struct entry entries[ENTRIES];
    struct timer timer; /* the end of all entries */
    uint64_t clock;
    size_t bytes;
};

static void entry_done(struct cache *c, struct entry *e)
{
    c->bytes -= e->body.len;
    node_items_done(&e->items);
    buf_done(&e->body);
    *e = (struct entry){0};
}

static void on_timer(void *arg)
{
    struct cache *c = arg;

    for (size_t i = 0; i < ENTRIES; i++)
        entry_done(c, &c->entries[i]);
}

struct cache *cache_new(struct loop *l)
{
    struct cache *c = xnew0(struct cache);

    timer_init(l, &c->timer, "http cache", on_timer, c);
    return c;
}

struct cache *cache_free(struct cache *c)
{
    if (!c)
        return NULL;
    on_timer(c);
    timer_stop(&c->timer);
    return mem_free(c);
}

size_t cache_bytes(const struct cache *c)
{
    return c->bytes;
}

static bool is_for(const struct entry *e, const struct reply *r, const struct ask *q)
{
    return e->render == r->render_items && e->pretty == q->pretty && e->resources == q->resources &&
           e->os == q->os && e->encoding == q->encoding && e->items.n == r->items.n &&
           memcmp(e->items.v, r->items.v, r->items.n * sizeof(void *)) == 0;
}

const struct buf *cache_get(struct cache *c, const struct reply *r, const struct ask *q,
                            const char **ret_coding)
{
    for (size_t i = 0; i < ENTRIES; i++) {
        struct entry *e = &c->entries[i];

        if (!e->render || r->items.n == 0 || !is_for(e, r, q))
            continue;
        e->used = ++c->clock;
        *ret_coding = e->coding;
        timer_set(&c->timer, KEEP_NS);
        return &e->body;
    }
    return NULL;
}

/* the entry that nobody asked for the longest */
static struct entry *oldest(struct cache *c, bool in_use)
{
    struct entry *e = NULL;

    for (size_t i = 0; i < ENTRIES; i++) {
        if (in_use && !c->entries[i].render)
            continue;
        if (!e || c->entries[i].used < e->used)
            e = &c->entries[i];
    }
    return e;
}

void cache_put(struct cache *c, const struct reply *r, const struct ask *q, const char *coding)
{
    struct entry *e;

    if (r->items.n == 0 || r->body.len > BODY_MAX)
        return;
    while (c->bytes + r->body.len > BYTES_MAX)
        entry_done(c, oldest(c, true));
    e = oldest(c, false);
    entry_done(c, e);
    *e = (struct entry){.render = r->render_items,
                        .pretty = q->pretty,
                        .resources = q->resources,
                        .os = q->os,
                        .encoding = q->encoding,
                        .coding = coding,
                        .body = BUF_INIT(BODY_MAX),
                        .used = ++c->clock};
    buf_add(&e->body, r->body.p, r->body.len);
    if (buf_ok(&e->body) < 0) {
        buf_done(&e->body);
        e->render = NULL;
        return;
    }
    e->items.v = xnew0_n(const struct node_item *, r->items.n);
    for (; e->items.n < r->items.n; e->items.n++)
        e->items.v[e->items.n] = node_item_ref(r->items.v[e->items.n]);
    c->bytes += e->body.len;
    timer_set(&c->timer, KEEP_NS);
}
