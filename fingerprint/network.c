#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "base/parse.h"
#include "base/str.h"
#include "base/vec.h"
#include "fingerprint/netlink.h"
#include "fingerprint/rows.h"
#include "model/attrs.h"

/* The rules are Nomad's (fact: fingerprints 5) but for three: routes come from the kernel, so that
 * routes without "via", multipath and IPv6-only hosts count; a host without a default route is a
 * node without a network rather than an agent that does not start; host networks name addresses in
 * the order of the configuration. */

enum { MBITS_UNKNOWN = 1000 };

struct net_probe {
    struct probe_ctx *ctx;
    struct fp *fp;
    const struct net_host *host;
    const struct net_link *chosen; /* NULL = the node has no network */
};

static const struct net_link *link_by_index(const struct net_host *h, int64_t index)
{
    for (size_t i = 0; i < h->n_links; i++)
        if (h->links[i].index == index)
            return &h->links[i];
    return NULL;
}

static const struct net_link *link_by_name(const struct net_host *h, const char *name)
{
    for (size_t i = 0; i < h->n_links; i++)
        if (str_eq(h->links[i].name, name))
            return &h->links[i];
    return NULL;
}

/* --- which interface --- */

/* the one with the lowest metric, the first of equals; IPv6 only when there is none of IPv4 */
static const struct net_route *default_route(const struct net_host *h)
{
    const struct net_route *best = NULL;

    for (size_t i = 0; i < h->n_routes; i++) {
        const struct net_route *r = &h->routes[i];

        if (!link_by_index(h, r->link))
            continue;
        if (!best || (best->v6 && !r->v6) || (best->v6 == r->v6 && r->metric < best->metric))
            best = r;
    }
    return best;
}

static void choose_configured(struct net_probe *p, const char *name)
{
    p->chosen = link_by_name(p->host, name);
    if (p->chosen)
        fp_why(p->fp, "interface", "network_interface", WHY_OK, name, "");
    else
        fp_why(p->fp, "interface", name, WHY_FAILED, "no such network interface",
               "correct client.network_interface, or remove it to take the default route's");
}

static void choose_by_route(struct net_probe *p)
{
    const struct net_route *r = default_route(p->host);
    _cleanup_free_ char *found = NULL;

    if (!r) {
        fp_why(p->fp, "interface", "default route", WHY_FAILED, "there is none",
               "add one, or set client.network_interface");
        return;
    }
    p->chosen = link_by_index(p->host, r->link);
    found = xasprintf("%s%s%s", p->chosen->name, str_empty(r->gateway) ? "" : " via ",
                      str_or_empty(r->gateway));
    fp_why(p->fp, "interface", r->v6 ? "default route (IPv6)" : "default route", WHY_OK, found, "");
    fp_set_local(p->fp, "network.gateway", r->gateway, "rtnetlink");
}

/* --- addresses --- */

static bool is_link_local(const struct net_addr *a)
{
    return a->v6 ? a->raw[0] == 0xfe && (a->raw[1] & 0xc0) == 0x80
                 : a->raw[0] == 169 && a->raw[1] == 254;
}

/* whether an address is wanted by preferred_address_family: that family goes first */
static bool is_preferred(const struct net_probe *p, const struct net_addr *a)
{
    const char *family = p->ctx->conf->preferred_address_family;

    return str_empty(family) || str_eq(family, a->v6 ? "ipv6" : "ipv4");
}

typedef void addr_fn(struct net_probe *p, const struct net_link *l, const struct net_addr *a,
                     void *arg);

/* The addresses of a link that count: link-local ones only when there is nothing else. */
static void each_address(struct net_probe *p, const struct net_link *l, addr_fn *fn, void *arg)
{
    bool routable = false;
    bool disallow = probe_option_bool(p->ctx->conf, "fingerprint.network.disallow_link_local");

    for (size_t i = 0; i < p->host->n_addrs; i++)
        if (p->host->addrs[i].link == l->index && !is_link_local(&p->host->addrs[i]))
            routable = true;
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < p->host->n_addrs; i++) {
            const struct net_addr *a = &p->host->addrs[i];

            if (a->link != l->index || is_preferred(p, a) != (pass == 0) ||
                (is_link_local(a) && (routable || disallow)))
                continue;
            fn(p, l, a, arg);
        }
    }
}

/* --- Networks: the chosen interface --- */

static void add_network(struct net_probe *p, const struct net_link *l, const struct net_addr *a,
                        void *arg)
{
    struct network_resource *n = vec_add(&p->fp->networks, &p->fp->n_networks);
    const int64_t *mbits = arg;

    n->mode = xstrdup("host");
    n->device = xstrdup(l->name);
    n->ip = xstrdup(a->ip);
    n->cidr = xasprintf("%s/%d", a->ip, a->v6 ? 128 : 32);
    n->mbits = *mbits;
}

static int64_t speed_of(struct net_probe *p, const struct net_link *l, const char **ret_source)
{
    int64_t mbits = net_link_speed(p->ctx, l->name, ret_source);

    if (mbits > 0)
        return mbits;
    *ret_source = "assumed";
    return MBITS_UNKNOWN;
}

static void chosen_networks(struct net_probe *p)
{
    const char *source = "network_speed in the configuration";
    int64_t mbits = p->ctx->conf->network_speed;
    _cleanup_free_ char *text = NULL;

    if (mbits <= 0)
        mbits = speed_of(p, p->chosen, &source);
    text = xasprintf("%lld", (long long)mbits);
    if (str_eq(source, "assumed"))
        fp_why(p->fp, "speed", p->chosen->name, WHY_SKIPPED,
               "the interface tells no speed; 1000 Mbit/s is assumed",
               "set client.network_speed where it matters");
    fp_set_local(p->fp, "network.interface", p->chosen->name, "rtnetlink");
    fp_set_local(p->fp, "network.speed", text, source);
    each_address(p, p->chosen, add_network, &mbits);
    if (p->fp->n_networks > 0)
        fp_set(p->fp, ATTR_UNIQUE_NETWORK_IP, p->fp->networks[0].ip, p->chosen->name);
    else
        fp_why(p->fp, "address", p->chosen->name, WHY_FAILED, "the interface has no address", "");
}

/* --- NodeNetworks: addresses by alias, of every interface --- */

static bool prefix_has(const struct net_addr *a, const uint8_t *net, uint64_t bits)
{
    size_t whole = bits / 8;
    uint8_t mask = (uint8_t)(0xff00U >> (bits % 8));

    return memcmp(a->raw, net, whole) == 0 &&
           (bits % 8 == 0 || (a->raw[whole] & mask) == (net[whole] & mask));
}

/* whether "10.0.0.0/8" is well formed; and whether it holds a, which may be NULL */
static int cidr_has(const char *cidr, const struct net_addr *a, bool *ret)
{
    _cleanup_free_ char *ip = xstrdup(cidr);
    bool v6 = strchr(cidr, ':') != NULL;
    char *slash = strchr(ip, '/');
    uint8_t net[16];
    uint64_t bits;

    if (!slash)
        return -EINVAL;
    *slash++ = 0;
    if (inet_pton(v6 ? AF_INET6 : AF_INET, ip, net) != 1 || parse_u64(slash, &bits) < 0 ||
        bits > (v6 ? 128 : 32))
        return -EINVAL;
    *ret = a && a->v6 == v6 && prefix_has(a, net, bits);
    return 0;
}

static bool network_matches(const struct probe_host_network *hn, const struct net_link *l,
                            const struct net_addr *a)
{
    char **cidrs = NULL;
    size_t n = 0;
    bool match;

    if (!str_empty(hn->interface) && !str_eq(hn->interface, l->name))
        return false;
    strv_split(str_or_empty(hn->cidr), ",", &cidrs, &n);
    match = n == 0;
    for (size_t i = 0; i < n && !match; i++)
        (void)!cidr_has(cidrs[i], a, &match);
    strv_done(&cidrs, &n);
    return match;
}

static void add_alias(struct node_network_resource *to, const struct net_addr *a, const char *alias,
                      const char *reserved_ports)
{
    struct node_network_address *n = vec_add(&to->addresses, &to->n_addresses);

    n->family = xstrdup(a->v6 ? "ipv6" : "ipv4");
    n->alias = xstrdup(alias);
    n->address = xstrdup(a->ip);
    n->reserved_ports = xstrdup(str_or_empty(reserved_ports));
}

static void add_aliases(struct net_probe *p, const struct net_link *l, const struct net_addr *a,
                        void *arg)
{
    const struct probe_conf *c = p->ctx->conf;
    struct node_network_resource *to = arg;

    for (size_t i = 0; i < c->n_host_networks; i++)
        if (network_matches(&c->host_networks[i], l, a))
            add_alias(to, a, c->host_networks[i].name, c->host_networks[i].reserved_ports);
    if (l == p->chosen)
        add_alias(to, a, "default", NULL);
}

static void node_network(struct net_probe *p, const struct net_link *l)
{
    struct node_network_resource to = {0};
    const char *source;

    each_address(p, l, add_aliases, &to);
    if (to.n_addresses == 0)
        return;
    to.mode = xstrdup("host");
    to.device = xstrdup(l->name);
    to.mac_address = xstrdup(l->mac);
    to.speed = speed_of(p, l, &source);
    *vec_add(&p->fp->node_networks, &p->fp->n_node_networks) = to;
}

/* a host network that can never match is said here, where Nomad skips it silently */
static void check_host_networks(const struct probe_conf *c, struct fp *fp)
{
    for (size_t i = 0; i < c->n_host_networks; i++) {
        const struct probe_host_network *hn = &c->host_networks[i];
        _cleanup_free_ char *id = xasprintf("host_network.%s", str_or_empty(hn->name));
        char **cidrs = NULL;
        size_t n = 0;
        bool match;

        strv_split(str_or_empty(hn->cidr), ",", &cidrs, &n);
        for (size_t j = 0; j < n; j++)
            if (cidr_has(cidrs[j], NULL, &match) < 0)
                fp_why(fp, id, cidrs[j], WHY_FAILED, "not a network in the form 10.0.0.0/8", "");
        strv_done(&cidrs, &n);
        if (!str_empty(hn->interface) && strstr(hn->interface, "{{"))
            fp_why(fp, id, hn->interface, WHY_FAILED, "templates are not evaluated",
                   "write the name of the interface");
    }
}

static int network_run(struct probe_ctx *ctx, struct fp *fp)
{
    _cleanup_net_host_ struct net_host host = {0};
    struct net_probe p = {.ctx = ctx, .fp = fp, .host = &host};
    struct err e = {0};
    int r;

    r = net_host_read(ctx, &host, &e);
    if (r < 0)
        return fp_fail(fp, r, "%s", e.text);
    if (!str_empty(ctx->conf->network_interface))
        choose_configured(&p, ctx->conf->network_interface);
    else
        choose_by_route(&p);
    if (p.chosen)
        chosen_networks(&p);
    check_host_networks(ctx->conf, fp);
    for (size_t i = 0; i < host.n_links; i++)
        node_network(&p, &host.links[i]);
    return 0;
}

const struct probe probe_network = {
    .name = "network",
    .summary = "interfaces, addresses, link speed",
    .class = PROBE_FAST,
    .deadline_ms = PROBE_FAST_DEADLINE_MS,
    .period_sec = PROBE_FAST_PERIOD_SEC,
    .run = network_run,
};
