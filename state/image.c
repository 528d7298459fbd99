#include "state/image.h"

struct image {
    struct archive_info info;
    struct node_list nodes;
    bool measured;
    struct node_list_at at;
    struct archive_writer *writer; /* owned; from the first piece on */
};

struct image *image_take(struct store *s, int64_t created_ms)
{
    static const struct uuid all;
    struct image *i = xnew0(struct image);

    store_list(s, &all, 0, &i->nodes);
    i->info.nodes = i->nodes.n;
    i->info.created_ms = created_ms;
    i->info.index = store_index(s);
    for (size_t t = 0; t < TABLE_MAX; t++)
        i->info.table_index[t] = store_table_index(s, (enum table)t);
    return i;
}

struct image *image_free(struct image *i)
{
    if (!i)
        return NULL;
    i->writer = archive_writer_free(i->writer);
    node_list_done(&i->nodes);
    return mem_free(i);
}

const struct archive_info *image_info(const struct image *i)
{
    return &i->info;
}

static void measure(struct image *i)
{
    struct node_list_at at = {0};
    const struct node_item *it;
    uint64_t bytes = 0;

    while ((it = node_list_next(&i->nodes, &at)))
        bytes += it->packed_len;
    i->info.state_bytes = archive_state_bytes(&i->info, bytes);
}

int image_write(struct image *i, int fd, size_t some_bytes,
                uint8_t ret_digest[ARCHIVE_DIGEST_BYTES], uint64_t *ret_bytes, struct err *e)
{
    size_t n = 0;
    int r = 0;

    if (!i->measured) {
        measure(i);
        i->measured = true;
        return 1;
    }
    if (!i->writer)
        r = archive_create(fd, &i->info, &i->writer, e);
    while (r == 0 && n < some_bytes) {
        const struct node_item *it = node_list_next(&i->nodes, &i->at);

        if (!it)
            return archive_finish(i->writer, ret_digest, ret_bytes, e);
        r = archive_add_node(i->writer, it->packed, it->packed_len, e);
        n += it->packed_len;
    }
    return r < 0 ? r : 1;
}
