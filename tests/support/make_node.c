#include "tests/support/make_node.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void make_node_id(uint64_t n, char ret[UUID_TEXT_LEN + 1])
{
    (void)snprintf(ret, UUID_TEXT_LEN + 1, "%08" PRIx64 "-0000-4000-8000-%012" PRIx64,
                   n & 0xffffffff, n & 0xffffffffffff);
}

void make_node_secret(uint64_t n, char ret[UUID_TEXT_LEN + 1])
{
    (void)snprintf(ret, UUID_TEXT_LEN + 1, "%08" PRIx64 "-0000-5000-8000-%012" PRIx64,
                   n & 0xffffffff, n & 0xffffffffffff);
}

struct uuid make_node_key(uint64_t n)
{
    char id[UUID_TEXT_LEN + 1];
    struct uuid key;

    make_node_id(n, id);
    if (uuid_parse(id, &key) < 0)
        abort();
    return key;
}

struct node *make_node(uint64_t n)
{
    struct node *node = node_new();
    char text[UUID_TEXT_LEN + 1];

    make_node_id(n, text);
    node->id = xstrdup(text);
    make_node_secret(n, text);
    node->secret_id = xstrdup(text);
    node->datacenter = xstrdup("dc1");
    node->name = xasprintf("host-%" PRIu64, n);
    node->http_addr = xstrdup("10.0.0.1:4646");
    node->node_class = xstrdup("small");
    node->node_pool = xstrdup("default");
    node->status = xstrdup(NODE_STATUS_INIT);
    node->scheduling_eligibility = xstrdup(NODE_ELIGIBLE);
    strmap_set(&node->attributes, "kernel.name", "linux");
    strmap_set(&node->attributes, "nomad.version", "1.10.5");
    strmap_set(&node->attributes, "os.name", "debian");
    node->node_resources = xnew0(struct node_resources);
    node->node_resources->cpu.cpu_shares = 4000;
    node->node_resources->memory.memory_mb = 2048;
    node->reserved_resources = xnew0(struct reserved_resources);
    return node;
}

const struct node_item *make_node_item(uint64_t n, uint64_t index, size_t pad)
{
    _cleanup_(node_freep) struct node *node = make_node(n);
    struct node_item *it = NULL;
    struct err e;

    node->create_index = node->modify_index = index;
    if (pad > 0) {
        char *text = xnew0_n(char, pad + 1);

        memset(text, 'x', pad);
        strmap_set(&node->attributes, "pad", text);
        free(text);
    }
    if (node_item_from_node(node, &it, &e) < 0)
        abort();
    return it;
}
