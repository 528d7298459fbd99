#include "api/cache.h"

#include "api/ask.h"
#include "base/limits.h"

enum {
    ENTRIES = 8,
    BODY_MAX = 8 * MIB, /* of one entry: copying more takes too long for one callback */
    BYTES_MAX = 32 * MIB,
};
#define KEEP_NS (5 * NSEC_PER_SEC)

struct entry {
    struct node_list items; /* counted */
    reply_render *render;   /* NULL: free */
    bool pretty, resources, os;
    uint8_t encoding;
    const char *coding;
    struct blob *body; /* counted */
    uint64_t used;     /* the cache's clock when it was asked for last */
};

struct cache {
    struct entry entries[ENTRIES];
    struct timer timer; /* the end of all entries */
    uint64_t clock;
    size_t bytes;
};

static void entry_done(struct cache *c, struct entry *e)
{
    c->bytes -= e->body ? e->body->len : 0;
    node_list_done(&e->items);
    (void)blob_unref(e->body);
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

static bool is_for(const struct entry *e, const struct reply *r, const struct ask *q)
{
    return e->render == r->render_items && e->pretty == q->pretty && e->resources == q->resources &&
           e->os == q->os && e->encoding == q->encoding && node_list_same(&e->items, &r->items);
}

struct blob *cache_get(struct cache *c, const struct reply *r, const struct ask *q,
                       const char **ret_coding)
{
    for (size_t i = 0; i < ENTRIES; i++) {
        struct entry *e = &c->entries[i];

        if (!e->render || r->items.n == 0 || !is_for(e, r, q))
            continue;
        e->used = ++c->clock;
        *ret_coding = e->coding;
        timer_set(&c->timer, KEEP_NS);
        return e->body;
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
    struct blob *body;
    struct entry *e;

    if (r->items.n == 0 || r->body.len > BODY_MAX)
        return;
    while (c->bytes + r->body.len > BYTES_MAX)
        entry_done(c, oldest(c, true));
    e = oldest(c, false);
    entry_done(c, e);
    body = blob_new(r->body.p, r->body.len);
    if (!body)
        return;
    *e = (struct entry){.items = node_list_copy(&r->items),
                        .render = r->render_items,
                        .pretty = q->pretty,
                        .resources = q->resources,
                        .os = q->os,
                        .encoding = q->encoding,
                        .coding = coding,
                        .body = body,
                        .used = ++c->clock};
    c->bytes += body->len;
    timer_set(&c->timer, KEEP_NS);
}
