/* Lists of nodes, and what IDs look like in them. */
#include "cli/node_view.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "cli/table.h"

char *sanitize_prefix(const char *prefix)
{
    size_t n = strlen(prefix), digits = 0;

    for (size_t i = 0; i < n; i++)
        digits += prefix[i] != '-';
    return xstrndup(prefix, n - digits % 2);
}

const char *short_id(const char *id, bool whole, char ret[64])
{
    (void)snprintf(ret, 64, "%.*s", whole ? 63 : 8, str_or_empty(id));
    return ret;
}

static void list_heading(const struct node_list_opts *o, char *ret, size_t size)
{
    (void)snprintf(ret, size, "ID|Node Pool|DC|Name|Class%s%s|Drain|Eligibility|Status%s",
                   o->os ? "|OS" : "", o->verbose ? "|Address|Version" : "",
                   o->running ? "|Running Allocs" : "");
}

static void list_row(struct table *t, const struct node_stub *s, const struct node_list_opts *o)
{
    char id[64];

    table_cell(t, short_id(s->id, o->verbose, id));
    table_cell(t, s->node_pool);
    table_cell(t, s->datacenter);
    table_cell(t, s->name);
    table_cell(t, s->node_class);
    if (o->os)
        table_cell(t, strmap_get(&s->attributes, "os.name"));
    if (o->verbose) {
        table_cell(t, s->address);
        table_cell(t, s->version);
    }
    table_cell(t, s->drain ? "true" : "false");
    table_cell(t, s->scheduling_eligibility);
    table_cell(t, s->status);
}

void view_nodes(const struct node_stub *nodes, size_t n, const struct node_list_opts *o,
                struct buf *out)
{
    char heading[160], id[64];
    struct table t;

    if (o->quiet) {
        for (size_t i = 0; i < n; i++)
            buf_printf(out, "%s\n", short_id(nodes[i].id, true, id));
        return;
    }
    if (n == 0)
        return;
    list_heading(o, heading, sizeof(heading));
    table_init(&t, heading);
    for (size_t i = 0; i < n; i++) {
        list_row(&t, &nodes[i], o);
        if (o->running)
            table_cellf(&t, "%" PRId64, o->running[i]);
    }
    table_print(&t, out);
    table_done(&t);
}

void view_matches(const struct node_stub *nodes, size_t n, bool verbose, struct buf *out)
{
    struct table t;
    char id[64];

    table_init(&t, "ID|DC|Name|Class|Drain|Eligibility|Status");
    for (size_t i = 0; i < n; i++) {
        table_cell(&t, short_id(nodes[i].id, verbose, id));
        table_cell(&t, nodes[i].datacenter);
        table_cell(&t, nodes[i].name);
        table_cell(&t, nodes[i].node_class);
        table_cell(&t, nodes[i].drain ? "true" : "false");
        table_cell(&t, nodes[i].scheduling_eligibility);
        table_cell(&t, nodes[i].status);
    }
    table_print(&t, out);
    table_done(&t);
}
