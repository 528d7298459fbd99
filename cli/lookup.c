#include "cli/lookup.h"

#include <errno.h>
#include <string.h>

#include "base/limits.h"
#include "base/str.h"
#include "cli/node_view.h"
#include "cli/remote.h"
#include "cli/seen.h"
#include "codec/ops.h"

const struct lookup_words lookup_words_agent = {
    .too_short = "Node ID must contain at least two characters.",
    .query = "Error querying node",
    .none = "No node(s) with prefix or id",
};

static bool pick(const struct node_stub *v, size_t n, bool whole_ids, struct buf *complaint,
                 char **ret)
{
    struct buf table _cleanup_buf_ = BUF_INIT(HTTP_REPLY_MAX);

    if (n == 1) {
        *ret = xstrdup(v[0].id);
        return true;
    }
    view_matches(v, n, whole_ids, &table); /* who prints the complaint ends its last line */
    buf_printf(complaint, "Prefix matched multiple nodes\n\n%.*s", (int)table.len - 1,
               buf_str(&table));
    return false;
}

bool lookup_node(struct client *c, const char *given, const struct lookup_words *words,
                 bool whole_ids, struct buf *complaint, char **ret)
{
    struct buf target _cleanup_buf_ = BUF_INIT(4096);
    _cleanup_free_ char *prefix = sanitize_prefix(given);
    struct node_stub *v = NULL;
    struct err e = {0};
    bool found;
    size_t n = 0;

    if (strlen(given) == 1) {
        buf_add_str(complaint, words->too_short);
        return false;
    }
    buf_add_str(&target, "/v1/nodes?prefix=");
    client_escape(&target, prefix);
    if (remote_list(c, buf_str(&target), &desc_node_stub, &v, &n, NULL, &e) < 0) {
        buf_printf(complaint, "%s: %s", words->query, e.text);
        return false;
    }
    found = n > 0 && pick(v, n, whole_ids, complaint, ret);
    if (n == 0)
        buf_printf(complaint, "%s \"%s\" found", words->none, prefix);
    for (size_t i = 0; i < n; i++)
        ops_clear(&desc_node_stub, &v[i]);
    free(v);
    return found;
}

int lookup_self(struct client *c, char **ret, struct err *e)
{
    struct seen_self self = {0};
    int r;

    r = remote_get(c, "/v1/agent/self", &desc_seen_self, &self, e);
    if (r < 0)
        return err_wrap(e, r, "Error querying agent info: failed querying self endpoint");
    if (!self.stats.client)
        r = err_set(e, -ENOENT, "Nomad not running in client mode");
    else if (str_empty(self.stats.client->node_id))
        r = err_set(e, -ENOENT, "Failed to determine node ID");
    else
        *ret = xstrdup(self.stats.client->node_id);
    ops_clear(&desc_seen_self, &self);
    return r;
}
