/* fingerprint/netlink.h - the host's links, addresses and default routes, from the kernel.
 *
 * With a root set (fixture trees) they come from the text file <root>/netlink, one item a line:
 *     link INDEX NAME MAC|-
 *     addr INDEX IP
 *     default 4|6 INDEX GATEWAY|- METRIC
 */
#pragma once

#include "fingerprint/probe.h"

struct net_link {
    int64_t index;
    char *name;
    char *mac; /* "aa:bb:..."; "" when it has none */
};

struct net_addr {
    int64_t link; /* index of its link */
    bool v6;
    uint8_t raw[16]; /* 4 or 16 bytes in network order */
    char *ip;        /* text */
};

/* a default route of the main table that leads somewhere */
struct net_route {
    bool v6;
    int64_t link;
    char *gateway; /* text; "" when it is on the link itself */
    uint64_t metric;
};

/* all in the kernel's order */
struct net_host {
    struct net_link *links;
    size_t n_links;
    struct net_addr *addrs;
    size_t n_addrs;
    struct net_route *routes;
    size_t n_routes;
};

#define _cleanup_net_host_ _cleanup_(net_host_done)

/* fills a zeroed net_host; on failure e says at which step */
int net_host_read(const struct probe_ctx *ctx, struct net_host *ret, struct err *e) _must_check_;
void net_host_done(struct net_host *h);
/* takes what rtnetlink messages say into h; stops at NLMSG_DONE (returns 1), 0 = more to come.
 * -EBADMSG, or the errno of an error message. */
int net_host_messages(struct net_host *h, const void *p, size_t n) _must_check_;

/* Mbit/s of an interface and where that was found (static text), or 0 when nothing tells */
int64_t net_link_speed(const struct probe_ctx *ctx, const char *name, const char **ret_source);
