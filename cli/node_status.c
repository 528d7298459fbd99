/* picket node status (fact: http-api.md section 12). */
#include <errno.h>
#include <string.h>

#include "base/limits.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/lookup.h"
#include "cli/node_view.h"
#include "cli/remote.h"
#include "codec/ops.h"

struct status_opts {
    bool self, stats, verbose, is_short, json, allocs, os, quiet;
    const char *filter, *per_page, *page_token;
};

#define T struct status_opts
/* clang-format off */
static const struct flag status_flags[] = {
    {"self", FLAG_BOOL, offsetof(T, self), NULL, "The node that the agent at the address is."},
    {"stats", FLAG_BOOL, offsetof(T, stats), NULL, "What the host uses: CPU, memory, disks, devices."},
    {"verbose", FLAG_BOOL, offsetof(T, verbose), NULL, "Whole IDs, and everything there is."},
    {"short", FLAG_BOOL, offsetof(T, is_short), NULL, "Only the main facts of one node."},
    {"json", FLAG_BOOL, offsetof(T, json), NULL, "The object of the API, indented."},
    {"allocs", FLAG_BOOL, offsetof(T, allocs), NULL, "Lists: the number of running allocations."},
    {"os", FLAG_BOOL, offsetof(T, os), NULL, "Lists: the operating system."},
    {"quiet", FLAG_BOOL, offsetof(T, quiet), NULL, "Lists: only the whole IDs."},
    {"filter", FLAG_STR, offsetof(T, filter), "<expression>", "Lists: only nodes that match."},
    {"per-page", FLAG_STR, offsetof(T, per_page), "<n>", "Lists: at most this many nodes."},
    {"page-token", FLAG_STR, offsetof(T, page_token), "<token>", "Lists: from here on."},
};
/* clang-format on */
#undef T

static void put(const struct buf *out)
{
    (void)fwrite(buf_str(out), 1, out->len, stdout);
}

static int fail(const char *what, const struct err *e)
{
    (void)fprintf(stderr, "%s: %s\n", what, e->text);
    return EXIT_ERROR;
}

static void query(struct buf *target, const char *name, const char *value)
{
    if (str_empty(value))
        return;
    buf_printf(target, "%c%s=", strchr(buf_str(target), '?') ? '&' : '?', name);
    client_escape(target, value);
}

struct stubs {
    struct node_stub *v;
    size_t n;
};

static void stubs_done(struct stubs *s)
{
    for (size_t i = 0; i < s->n; i++)
        ops_clear(&desc_node_stub, &s->v[i]);
    free(s->v);
}

static void allocs_done(struct seen_alloc *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ops_clear(&desc_seen_alloc, &v[i]);
    free(v);
}

/* how many allocations run on a node */
static int count_running(struct client *c, const char *id, int64_t *ret, struct err *e)
{
    _cleanup_free_ char *target = xasprintf("/v1/node/%s/allocations", id);
    struct seen_alloc *v = NULL;
    size_t n = 0;
    int r;

    r = remote_list(c, target, &desc_seen_alloc, &v, &n, NULL, e);
    if (r < 0)
        return r;
    *ret = 0;
    for (size_t i = 0; i < n; i++)
        *ret += str_eq(v[i].client_status, "running");
    allocs_done(v, n);
    return 0;
}

static int show_list(struct client *c, const struct status_opts *o, const struct stubs *nodes)
{
    struct buf out _cleanup_buf_ = BUF_INIT(HTTP_REPLY_MAX);
    _cleanup_free_ int64_t *running = o->allocs ? xnew0_n(int64_t, nodes->n) : NULL;
    struct node_list_opts how = {o->verbose, o->os, o->quiet, running};
    struct err e = {0};

    for (size_t i = 0; running && i < nodes->n; i++)
        if (count_running(c, nodes->v[i].id, &running[i], &e) < 0)
            return fail("Error querying node allocations", &e);
    view_nodes(nodes->v, nodes->n, &how, &out);
    put(&out);
    return EXIT_DONE;
}

static int list(struct client *c, const struct status_opts *o)
{
    struct buf target _cleanup_buf_ = BUF_INIT(65536);
    _cleanup_(stubs_done) struct stubs nodes = {0};
    _cleanup_free_ char *next = NULL;
    struct err e = {0};
    int code;

    buf_add_str(&target, "/v1/nodes");
    query(&target, "os", o->os ? "true" : NULL);
    query(&target, "filter", o->filter);
    query(&target, "per_page", o->per_page);
    query(&target, "next_token", o->page_token);
    if (o->json) {
        if (remote_print(c, buf_str(&target), &e) < 0)
            return fail("Error querying node status", &e);
        return EXIT_DONE;
    }
    if (remote_list(c, buf_str(&target), &desc_node_stub, &nodes.v, &nodes.n, &next, &e) < 0)
        return fail("Error querying node status", &e);
    code = show_list(c, o, &nodes);
    if (!str_empty(next))
        (void)printf("\nResults have been paginated. To get the next page run:\n\n"
                     "picket node status -page-token %s\n",
                     next);
    return code;
}

static const struct lookup_words words = {
    .too_short = "Identifier must contain at least two characters.",
    .query = "Error querying node info",
    .none = "No node(s) with prefix",
};
/* statistics of the host; false: there are none (the node is down, or offers none) */
static bool host_stats(struct client *c, const struct node *n, struct node_stats *ret)
{
    _cleanup_free_ char *target = xasprintf("/v1/client/stats?node_id=%s", n->id);
    struct err e = {0};

    if (str_eq(n->status, NODE_STATUS_DOWN))
        return false;
    if (node_stats_get(c, target, ret, &e) == 0)
        return true;
    if (e.status != 404 && e.status != 501)
        (void)fprintf(stderr, "error fetching node stats: %s\n\n", e.text);
    return false;
}

/* what running allocations use; one that does not tell counts as nothing */
static void sum_usage(struct client *c, struct node_detail *d)
{
    for (size_t i = 0; i < d->n_allocs; i++) {
        _cleanup_free_ char *target =
            xasprintf("/v1/client/allocation/%s/stats", str_or_empty(d->allocs[i].id));
        struct seen_usage u = {0};
        struct err e = {0};

        if (!str_eq(d->allocs[i].client_status, "running") ||
            remote_get(c, target, &desc_seen_usage, &u, &e) < 0)
            continue;
        d->used_ticks += u.used.cpu.total_ticks;
        d->used_memory += u.used.memory.rss ? u.used.memory.rss : u.used.memory.usage;
        ops_clear(&desc_seen_usage, &u);
    }
}

static int show_one(struct client *c, const struct status_opts *o, const struct node *n)
{
    struct buf out _cleanup_buf_ = BUF_INIT(HTTP_REPLY_MAX);
    _cleanup_free_ char *target = xasprintf("/v1/node/%s/allocations", n->id);
    struct seen_alloc *allocs = NULL;
    struct node_stats host = {0};
    struct node_detail d = {
        .node = n, .verbose = o->verbose, .is_short = o->is_short, .all_stats = o->stats};
    struct err e = {0};

    if (remote_list(c, target, &desc_seen_alloc, &allocs, &d.n_allocs, NULL, &e) < 0)
        return fail("Error querying node allocations", &e);
    d.allocs = allocs;
    d.now_ns = clock_wall_ns();
    if (!o->is_short) {
        d.stats = host_stats(c, n, &host) ? &host : NULL;
        sum_usage(c, &d);
    }
    view_node(&d, &out);
    put(&out);
    node_stats_done(&host);
    allocs_done(allocs, d.n_allocs);
    return EXIT_DONE;
}

static int one(struct client *c, const struct status_opts *o, const char *given)
{
    _cleanup_(node_freep) struct node *n = node_new();
    struct buf complaint _cleanup_buf_ = BUF_INIT(HTTP_REPLY_MAX);
    _cleanup_free_ char *id = NULL, *target = NULL;
    struct err e = {0};

    if (!lookup_node(c, given, &words, o->verbose, &complaint, &id)) {
        (void)fprintf(stderr, "%s\n", buf_str(&complaint));
        return EXIT_ERROR;
    }
    target = xasprintf("/v1/node/%s", id);
    if (o->json) {
        if (remote_print(c, target, &e) < 0)
            return fail("Error querying node info", &e);
        return EXIT_DONE;
    }
    if (remote_get(c, target, &desc_node, n, &e) < 0)
        return fail("Error querying node info", &e);
    return show_one(c, o, n);
}

static int run(struct invocation *in)
{
    const struct status_opts *o = in->opts;
    _cleanup_(client_freep) struct client *c = NULL;
    _cleanup_free_ char *self = NULL;
    struct err e = {0};

    if (in->n_args > 1) {
        (void)fputs("This command takes either one or no arguments\n"
                    "For additional help try 'picket node status -help'\n",
                    stderr);
        return EXIT_ERROR;
    }
    if (o->quiet && (o->verbose || o->json)) {
        (void)fputs("-quiet cannot be used with -verbose or -json\n", stderr);
        return EXIT_ERROR;
    }
    c = remote_open(&in->meta);
    if (!c)
        return EXIT_ERROR;
    if (o->self && in->n_args == 0) {
        if (lookup_self(c, &self, &e) < 0) {
            (void)fprintf(stderr, "%s\n", e.text);
            return EXIT_ERROR;
        }
        return one(c, o, str_or_empty(self));
    }
    return in->n_args == 0 ? list(c, o) : one(c, o, in->args[0]);
}

const struct command command_node_status = {
    .path = "node status",
    .summary = "Show nodes, or one node",
    .synopsis = "[options] <node>",
    .text = "  Without argument lists all nodes. With the ID of a node, or the beginning of one,\n"
            "  shows that node: status, events, resources, allocations; -verbose adds drivers,\n"
            "  attributes and metadata.",
    .flags = status_flags,
    .n_flags = ARRAY_LEN(status_flags),
    .opts_size = sizeof(struct status_opts),
    .remote = true,
    .run = run,
};
