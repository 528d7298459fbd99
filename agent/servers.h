/* agent/servers.h - which servers the pool may use: configured, resolved, learned.
 *
 * Configured entries are "host[:port]" (default port 4647); names are resolved by a picket-probe
 * child each, never here.  What a server lists in its replies replaces them, as in Nomad; but when
 * none of that list can be reached, configured and learned ones are used together from then on, so
 * that a server behind address translation that advertises an inner address does not cut us off,
 * and names are looked up again.
 */
#pragma once

#include "model/rpc_types.h"
#include "wire/pool.h"

struct servers;

struct servers_opts {
    struct loop *loop;
    struct pool *pool;
    char *const *configured; /* copied */
    size_t n_configured;
    const char *probe_path; /* picket-probe, for names; copied */
    /* the pool has its first server, or other ones */
    void (*on_change)(void *arg);
    void *arg;
};
struct servers *servers_new(const struct servers_opts *o);
struct servers *servers_free(struct servers *sv);
DEFINE_CLEANUP(struct servers, servers_free)

/* Another configuration (a reload): what the operator lists now is used alone until a server lists
 * others. */
void servers_set_configured(struct servers *sv, char *const *configured, size_t n);
/* A list that an operator gives at run time, "host[:port]" each: used from now on, and like a
 * server's own list never alone for good: when none of it can be reached, the configured ones are
 * used as well.  Names among them take the place of the configured ones instead.  -EINVAL with a
 * sentence; nothing is changed then. */
int servers_use(struct servers *sv, const char *const *v, size_t n, struct err *e) _must_check_;
/* the list of a reply; an empty one changes nothing */
void servers_learned(struct servers *sv, const struct node_server_info *v, size_t n);
void servers_reachable(struct servers *sv);   /* a server has answered */
void servers_unreachable(struct servers *sv); /* one attempt to reach one has failed */

/* "host[:port]" of a configuration into host and port; -EINVAL with a sentence */
int servers_split(const char *text, char **ret_host, char **ret_port, struct err *e) _must_check_;
