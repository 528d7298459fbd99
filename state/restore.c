#include "state/restore.h"

#include <errno.h>
#include <string.h>

#include "model/item.h"
#include "state/nodes.h"
#include "state/persist.h"

struct restore {
    struct archive_reader *reader; /* owned */
    struct archive_info info;
    struct persist_change *changes; /* owned; their objects are those of items */
    struct node_item **items;       /* owned array; those from gathered on are owned too */
    size_t n, cap, gathered;
    struct nodes *nodes;    /* owned; the items before gathered */
    struct secrets secrets; /* owned; theirs */
    uint64_t newest;        /* ModifyIndex */
};

static int on_node(void *arg, const uint8_t *packed, size_t n, struct err *e)
{
    struct restore *r = arg;
    struct node_item *it = NULL;
    struct persist_change *c;
    int code = node_item_new(packed, n, &it, e);

    if (code < 0)
        return code == -ENOMEM ? code : -EBADMSG;
    if (r->n > 0 && memcmp(r->items[r->n - 1]->key.b, it->key.b, UUID_BYTES) >= 0) {
        code = err_set(e, -EBADMSG, "node %s is out of order", it->id);
        (void)node_item_unref(it);
        return code;
    }
    if (r->n == r->cap) {
        r->cap = r->cap ? 2 * r->cap : 1024;
        r->items = xrealloc(r->items, r->cap, sizeof(struct node_item *));
        r->changes = xrealloc(r->changes, r->cap, sizeof(struct persist_change));
    }
    c = &r->changes[r->n];
    *c = (struct persist_change){.table = TABLE_NODES, .object = it->packed, .n = it->packed_len};
    memcpy(c->id, it->id, sizeof(c->id));
    r->newest = MAX(r->newest, it->modify_index);
    r->items[r->n++] = it;
    return 0;
}

struct restore *restore_new(void)
{
    struct restore *r = xnew0(struct restore);

    r->reader = archive_reader_new(on_node, r);
    r->nodes = nodes_new();
    secrets_init(&r->secrets);
    return r;
}

struct restore *restore_free(struct restore *r)
{
    if (!r)
        return NULL;
    r->reader = archive_reader_free(r->reader);
    for (size_t i = r->gathered; i < r->n; i++)
        (void)node_item_unref(r->items[i]);
    free(r->items);
    free(r->changes);
    secrets_done(&r->secrets);
    (void)nodes_free(r->nodes);
    return mem_free(r);
}

int restore_read(struct restore *r, const void *p, size_t n, struct err *e)
{
    return archive_read(r->reader, p, n, e);
}

int restore_read_end(struct restore *r, struct err *e)
{
    int code = archive_read_end(r->reader, &r->info, e);

    /* the next index would be one that is used already, or none at all */
    if (code == 0 && r->newest > r->info.index)
        return err_set(e, -EBADMSG, "a node of index %llu is newer than the archive, %llu",
                       (unsigned long long)r->newest, (unsigned long long)r->info.index);
    return code;
}

bool restore_gather(struct restore *r, size_t max)
{
    for (; max > 0 && r->gathered < r->n; max--) {
        secrets_replace(&r->secrets, NULL, r->items[r->gathered]);
        nodes_put(r->nodes, r->items[r->gathered++]);
    }
    return r->gathered < r->n;
}

void restore_take(struct restore *r, struct store_content *ret)
{
    *ret = (struct store_content){
        .nodes = steal_ptr(&r->nodes),
        .secrets = r->secrets,
        .changes = steal_ptr(&r->changes),
        .n = r->n,
        .index = r->info.index,
    };
    r->secrets = (struct secrets){0};
    r->items = mem_free(r->items);
    r->n = r->cap = r->gathered = 0;
}

const struct archive_info *restore_info(const struct restore *r)
{
    return &r->info;
}
