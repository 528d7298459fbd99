/* picket node meta read, picket node meta apply (fact: http-api.md section 10, client/metadata). */
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/lookup.h"
#include "cli/remote.h"
#include "cli/table.h"
#include "codec/js.h"
#include "codec/ops.h"
#include "model/rpc_client.h"

/* the whole id of the node that was named, "" when none was; false: it has been said */
static bool resolve(struct client *c, const char *given, char **ret)
{
    struct buf complaint _cleanup_buf_ = BUF_INIT(HTTP_REPLY_MAX);

    if (str_empty(given)) {
        *ret = xstrdup("");
        return true;
    }
    if (lookup_node(c, given, &lookup_words_agent, true, &complaint, ret))
        return true;
    (void)fprintf(stderr, "%s\n", buf_str(&complaint));
    return false;
}

/* --- read --- */

struct read_opts {
    const char *node_id;
    bool json;
};

static void show_meta(const struct node_meta_response *m, struct buf *out)
{
    struct strmap dynamic _cleanup_strmap_ = {0};

    for (size_t i = 0; i < m->dynamic.n; i++)
        strmap_set(&dynamic, m->dynamic.items[i].key,
                   m->dynamic.items[i].value ? m->dynamic.items[i].value : "<unset>");
    table_map("All Meta", &m->meta, out);
    buf_add_byte(out, '\n');
    table_map("Dynamic Meta", &dynamic, out);
    buf_add_byte(out, '\n');
    table_map("Static Meta", &m->static_, out);
}

static int read_meta(struct client *c, const struct read_opts *o, const char *target, struct err *e)
{
    struct buf out _cleanup_buf_ = BUF_INIT(HTTP_REPLY_MAX);
    struct node_meta_response m = {0};
    int r;

    if (o->json)
        return remote_print(c, target, e);
    r = remote_get(c, target, &desc_node_meta_response, &m, e);
    if (r < 0)
        return r;
    show_meta(&m, &out);
    (void)fwrite(buf_str(&out), 1, out.len, stdout);
    ops_clear(&desc_node_meta_response, &m);
    return 0;
}

static int run_read(struct invocation *in)
{
    const struct read_opts *o = in->opts;
    _cleanup_(client_freep) struct client *c = remote_open(&in->meta);
    _cleanup_free_ char *id = NULL, *target = NULL;
    struct err e = {0};

    if (!c || !resolve(c, o->node_id, &id))
        return EXIT_ERROR;
    target = xasprintf("/v1/client/metadata%s%s", *id ? "?node_id=" : "", id);
    if (read_meta(c, o, target, &e) < 0) {
        (void)fprintf(stderr, "Error reading dynamic node metadata: %s\n", e.text);
        return EXIT_ERROR;
    }
    return EXIT_DONE;
}

static const struct flag read_flags[] = {
    {"node-id", FLAG_STR,  offsetof(struct read_opts, node_id), "<id>",
     "The node to read; its ID or the beginning of it. Default: the agent at the address."         },
    {"json",    FLAG_BOOL, offsetof(struct read_opts, json),    NULL,   "Print the answer as JSON."},
};

const struct command command_node_meta_read = {
    .path = "node meta read",
    .summary = "Show the metadata of a node",
    .synopsis = "[options]",
    .text = "  Shows the metadata of a node: what is in force, what was set at run time (<unset>\n"
            "  takes an entry of the configuration away), and what the configuration says.",
    .flags = read_flags,
    .n_flags = ARRAY_LEN(read_flags),
    .opts_size = sizeof(struct read_opts),
    .remote = true,
    .run = run_read,
};

/* --- apply --- */

struct apply_opts {
    const char *node_id, *unset;
};

/* "key=value", "key=" and "key" set; what is to be unset wins over all */
static void put_changes(const struct invocation *in, char *const *unset, size_t n_unset,
                        struct buf *out)
{
    struct strmap changes _cleanup_strmap_ = {0};

    for (size_t i = 0; i < in->n_args; i++) {
        size_t n = strcspn(in->args[i], "=");
        const char *value = in->args[i][n] ? in->args[i] + n + 1 : "";

        strmap_set_n(&changes, in->args[i], n, value, strlen(value));
    }
    for (size_t i = 0; i < n_unset; i++)
        strmap_set(&changes, unset[i], "");
    for (size_t i = 0; i < changes.n; i++) {
        if (i > 0)
            buf_add_byte(out, ',');
        js_str(out, changes.items[i].key);
        buf_add_byte(out, ':');
        if (strv_has(unset, n_unset, changes.items[i].key))
            buf_add_str(out, "null");
        else
            js_str(out, changes.items[i].value);
    }
}

static int apply(struct client *c, const struct invocation *in, const char *id, struct err *e)
{
    const struct apply_opts *o = in->opts;
    struct client_reply reply _cleanup_client_reply_ = {0};
    struct buf body _cleanup_buf_ = BUF_INIT(HTTP_BODY_MAX);
    char **unset = NULL;
    size_t n_unset = 0;
    int r;

    strv_split(str_or_empty(o->unset), ",", &unset, &n_unset);
    buf_add_str(&body, "{\"NodeID\":");
    js_str(&body, id);
    buf_add_str(&body, ",\"Meta\":{");
    put_changes(in, unset, n_unset, &body);
    buf_add_str(&body, "}}");
    strv_done(&unset, &n_unset);
    r = buf_ok(&body);
    if (r < 0)
        return err_set(e, r, "this is too much metadata");
    return client_send(c, "POST", "/v1/client/metadata", buf_str(&body), body.len, &reply, e);
}

static int run_apply(struct invocation *in)
{
    const struct apply_opts *o = in->opts;
    _cleanup_(client_freep) struct client *c = NULL;
    _cleanup_free_ char *id = NULL;
    struct err e = {0};

    if (str_empty(o->unset) && in->n_args == 0) {
        (void)fputs("Must specify -unset or at least 1 key=value pair\n", stderr);
        return EXIT_ERROR;
    }
    c = remote_open(&in->meta);
    if (!c || !resolve(c, o->node_id, &id))
        return EXIT_ERROR;
    if (apply(c, in, id, &e) < 0) {
        (void)fprintf(stderr, "Error applying dynamic node metadata: %s\n", e.text);
        return EXIT_ERROR;
    }
    return EXIT_DONE;
}

static const struct flag apply_flags[] = {
    {"node-id", FLAG_STR, offsetof(struct apply_opts, node_id), "<id>",
     "The node to change; its ID or the beginning of it. Default: the agent at the address."},
    {"unset",   FLAG_STR, offsetof(struct apply_opts, unset),   "<key>[,<key>...]",
     "Take these entries away, also those of the configuration."                            },
};

const struct command command_node_meta_apply = {
    .path = "node meta apply",
    .summary = "Change the metadata of a node",
    .synopsis = "[options] [<key>=<value>...]",
    .text =
        "  Sets and unsets metadata of a running agent. It is kept on the node's disk and lies\n"
        "  over what the configuration says; servers know it some seconds later.",
    .flags = apply_flags,
    .n_flags = ARRAY_LEN(apply_flags),
    .opts_size = sizeof(struct apply_opts),
    .remote = true,
    .run = run_apply,
};
