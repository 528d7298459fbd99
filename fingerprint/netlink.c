#include "fingerprint/netlink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_arp.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/vec.h"
#include "fingerprint/net_fixture.h"

enum {
    RECV_SIZE = 65536, /* dumps come in pieces of at most 32 KiB */
    DUMP_TRIES = 3,    /* the tables may change while they are read */
    MAC_TEXT_MAX = 128,
};

/* payload of an attribute, checked for its size */
static uint32_t attr_u32(const struct rtattr *a)
{
    uint32_t v = 0;

    if (a && RTA_PAYLOAD(a) >= sizeof(v))
        memcpy(&v, RTA_DATA(a), sizeof(v));
    return v;
}

/* attributes of one message by type; what is above max is left out */
static void attrs_index(const void *first, size_t n, const struct rtattr **ret, unsigned max)
{
    const struct rtattr *a = first;

    for (; n >= sizeof(*a) && a->rta_len >= sizeof(*a) && a->rta_len <= n;) {
        size_t step = RTA_ALIGN(a->rta_len);
        unsigned type = a->rta_type & NLA_TYPE_MASK;

        if (type <= max)
            ret[type] = a;
        if (step >= n)
            break;
        n -= step;
        a = (const struct rtattr *)((const char *)a + step);
    }
}

static char *ip_text(int family, const void *raw)
{
    char text[INET6_ADDRSTRLEN] = "";

    (void)inet_ntop(family, raw, text, sizeof(text));
    return xstrdup(text);
}

static size_t ip_len(int family)
{
    return family == AF_INET ? 4 : 16;
}

/* --- links --- */

/* Tunnels have an IP address in this place, the loopback device zeros: neither is a MAC. */
static char *mac_text(const struct rtattr *a)
{
    _cleanup_buf_ struct buf b = BUF_INIT(MAC_TEXT_MAX);
    size_t n = a ? RTA_PAYLOAD(a) : 0;
    const uint8_t *p = a ? RTA_DATA(a) : NULL;
    bool zero = true;

    for (size_t i = 0; i < n; i++)
        zero = zero && p[i] == 0;
    if (zero || n == 4 || n == 16 || n > 20)
        return xstrdup("");
    for (size_t i = 0; i < n; i++)
        buf_printf(&b, "%s%02x", i ? ":" : "", p[i]);
    return (char *)buf_take(&b, NULL);
}

static void take_link(struct net_host *h, const struct ifinfomsg *info, size_t n)
{
    const struct rtattr *a[IFLA_IFNAME + 1] = {0};
    struct net_link *l;

    attrs_index(info + 1, n - sizeof(*info), a, IFLA_IFNAME);
    if (!a[IFLA_IFNAME] || RTA_PAYLOAD(a[IFLA_IFNAME]) == 0)
        return;
    l = vec_add(&h->links, &h->n_links);
    l->index = info->ifi_index;
    l->name = xstrndup(RTA_DATA(a[IFLA_IFNAME]),
                       strnlen(RTA_DATA(a[IFLA_IFNAME]), RTA_PAYLOAD(a[IFLA_IFNAME])));
    l->mac = mac_text(a[IFLA_ADDRESS]);
}

/* --- addresses --- */

static void take_addr(struct net_host *h, const struct ifaddrmsg *info, size_t n)
{
    const struct rtattr *a[IFA_LOCAL + 1] = {0}, *from;
    struct net_addr *to;

    if (info->ifa_family != AF_INET && info->ifa_family != AF_INET6)
        return;
    attrs_index(info + 1, n - sizeof(*info), a, IFA_LOCAL);
    from = a[IFA_LOCAL] ? a[IFA_LOCAL] : a[IFA_ADDRESS]; /* the other is the peer's then */
    if (!from || RTA_PAYLOAD(from) < ip_len(info->ifa_family))
        return;
    to = vec_add(&h->addrs, &h->n_addrs);
    to->link = info->ifa_index;
    to->v6 = info->ifa_family == AF_INET6;
    memcpy(to->raw, RTA_DATA(from), ip_len(info->ifa_family));
    to->ip = ip_text(info->ifa_family, to->raw);
}

/* --- routes --- */

/* "via" another family is a struct rtvia: u16 family, then the address */
static char *gateway_text(int family, const struct rtattr *gateway, const struct rtattr *via)
{
    uint16_t via_family;

    if (gateway && RTA_PAYLOAD(gateway) >= ip_len(family))
        return ip_text(family, RTA_DATA(gateway));
    if (!via || RTA_PAYLOAD(via) < sizeof(via_family) + 4)
        return xstrdup("");
    memcpy(&via_family, RTA_DATA(via), sizeof(via_family));
    if ((via_family != AF_INET && via_family != AF_INET6) ||
        RTA_PAYLOAD(via) < sizeof(via_family) + ip_len(via_family))
        return xstrdup("");
    return ip_text(via_family, (const char *)RTA_DATA(via) + sizeof(via_family));
}

/* the first hop of several that is alive */
static void take_multipath(struct net_route *to, int family, const struct rtattr *multi)
{
    const char *at = RTA_DATA(multi);
    size_t n = RTA_PAYLOAD(multi);

    while (n >= sizeof(struct rtnexthop)) {
        const struct rtattr *a[RTA_VIA + 1] = {0};
        struct rtnexthop hop;
        size_t step;

        memcpy(&hop, at, sizeof(hop));
        if (hop.rtnh_len < sizeof(hop) || hop.rtnh_len > n)
            return;
        if (!(hop.rtnh_flags & RTNH_F_DEAD)) {
            attrs_index(at + sizeof(hop), hop.rtnh_len - sizeof(hop), a, RTA_VIA);
            to->link = hop.rtnh_ifindex;
            to->gateway = gateway_text(family, a[RTA_GATEWAY], a[RTA_VIA]);
            return;
        }
        step = (size_t)RTNH_ALIGN(hop.rtnh_len);
        if (step >= n)
            return;
        n -= step;
        at += step;
    }
}

static void take_route(struct net_host *h, const struct rtmsg *info, size_t n)
{
    const struct rtattr *a[RTA_VIA + 1] = {0};
    struct net_route to = {.v6 = info->rtm_family == AF_INET6};
    uint32_t table = info->rtm_table;

    if ((info->rtm_family != AF_INET && info->rtm_family != AF_INET6) || info->rtm_dst_len != 0 ||
        info->rtm_type != RTN_UNICAST || (info->rtm_flags & (RTM_F_CLONED | RTNH_F_DEAD)))
        return;
    attrs_index(info + 1, n - sizeof(*info), a, RTA_VIA);
    if (a[RTA_TABLE])
        table = attr_u32(a[RTA_TABLE]);
    if (table != RT_TABLE_MAIN)
        return;
    to.metric = attr_u32(a[RTA_PRIORITY]);
    if (a[RTA_OIF]) {
        to.link = attr_u32(a[RTA_OIF]);
        to.gateway = gateway_text(info->rtm_family, a[RTA_GATEWAY], a[RTA_VIA]);
    } else if (a[RTA_MULTIPATH]) {
        take_multipath(&to, info->rtm_family, a[RTA_MULTIPATH]);
    }
    if (to.link > 0)
        *vec_add(&h->routes, &h->n_routes) = to;
    else
        free(to.gateway);
}

/* --- messages --- */

static int take_message(struct net_host *h, const struct nlmsghdr *m)
{
    size_t n = m->nlmsg_len - NLMSG_HDRLEN;
    const void *body = (const char *)m + NLMSG_HDRLEN;
    const struct nlmsgerr *error = body;

    switch (m->nlmsg_type) {
    case NLMSG_DONE:
        return 1;
    case NLMSG_ERROR:
        return n < sizeof(*error) || error->error >= 0 ? -EBADMSG : error->error;
    case RTM_NEWLINK:
        if (n < sizeof(struct ifinfomsg))
            return -EBADMSG;
        take_link(h, body, n);
        return 0;
    case RTM_NEWADDR:
        if (n < sizeof(struct ifaddrmsg))
            return -EBADMSG;
        take_addr(h, body, n);
        return 0;
    case RTM_NEWROUTE:
        if (n < sizeof(struct rtmsg))
            return -EBADMSG;
        take_route(h, body, n);
        return 0;
    default:
        return 0;
    }
}

int net_host_messages(struct net_host *h, const void *p, size_t n)
{
    const char *at = p;
    int r;

    while (n >= sizeof(struct nlmsghdr)) {
        const struct nlmsghdr *m = (const struct nlmsghdr *)at;
        size_t step;

        if (m->nlmsg_len < NLMSG_HDRLEN || m->nlmsg_len > n)
            return -EBADMSG;
        if (m->nlmsg_flags & NLM_F_DUMP_INTR)
            return -EAGAIN;
        r = take_message(h, m);
        if (r != 0)
            return r;
        step = NLMSG_ALIGN(m->nlmsg_len);
        if (step >= n)
            break;
        at += step;
        n -= step;
    }
    return 0;
}

/* one table, of both address families */
static int dump(int fd, struct net_host *h, int type)
{
    struct {
        struct nlmsghdr head;
        struct rtgenmsg body;
    } ask = {
        .head = {.nlmsg_len = NLMSG_LENGTH(sizeof(ask.body)),
                 .nlmsg_type = (uint16_t)type,
                 .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
        .body = {.rtgen_family = AF_UNSPEC  },
    };
    _cleanup_free_ char *chunk = xcalloc(1, RECV_SIZE);
    int r = 0;

    if (send(fd, &ask, sizeof(ask), 0) < 0)
        return -errno;
    while (r == 0) {
        ssize_t n = recv(fd, chunk, RECV_SIZE, MSG_TRUNC);

        if (n < 0)
            return -errno;
        r = n > RECV_SIZE ? -EMSGSIZE : net_host_messages(h, chunk, (size_t)n);
    }
    return r < 0 ? r : 0;
}

static int dump_all(struct net_host *h, struct err *e)
{
    static const struct {
        int type;
        const char *what;
    } tables[] = {
        {RTM_GETLINK,  "links"    },
        {RTM_GETADDR,  "addresses"},
        {RTM_GETROUTE, "routes"   }
    };
    _cleanup_close_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

    if (fd < 0)
        return err_errno(e, -errno, "cannot open rtnetlink");
    for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
        int r = dump(fd, h, tables[i].type);

        if (r < 0)
            return err_errno(e, r, "cannot read the %s from rtnetlink", tables[i].what);
    }
    return 0;
}

int net_host_read(const struct probe_ctx *ctx, struct net_host *ret, struct err *e)
{
    int r = -EAGAIN;

    if (ctx->root && ctx->root[0])
        return net_fixture_read(ctx, ret, e);
    for (int i = 0; i < DUMP_TRIES && r == -EAGAIN; i++) {
        net_host_done(ret);
        r = dump_all(ret, e);
    }
    return r;
}

void net_host_done(struct net_host *h)
{
    for (size_t i = 0; i < h->n_links; i++) {
        free(h->links[i].name);
        free(h->links[i].mac);
    }
    for (size_t i = 0; i < h->n_addrs; i++)
        free(h->addrs[i].ip);
    for (size_t i = 0; i < h->n_routes; i++)
        free(h->routes[i].gateway);
    h->links = mem_free(h->links);
    h->addrs = mem_free(h->addrs);
    h->routes = mem_free(h->routes);
    h->n_links = h->n_addrs = h->n_routes = 0;
}
