#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include "base/vec.h"
#include "fingerprint/netlink.h"
#include "fingerprint/rows.h"
#include "tests/support/probe_ctx.h"

/* eth0 with two IPv4, one IPv6 and one link-local address; docker0; lo */
#define VM "tests/data/hosts/vm-debian"

static void add_network(struct probe_conf *c, const char *name, const char *cidr,
                        const char *interface, const char *ports)
{
    struct probe_host_network *hn = vec_add(&c->host_networks, &c->n_host_networks);

    hn->name = xstrdup(name);
    hn->cidr = xstrdup(cidr);
    hn->interface = xstrdup(interface);
    hn->reserved_ports = xstrdup(ports);
}

/* "alias address,..." of one device, in order; owned */
static char *aliases(const struct fp *fp, const char *device)
{
    char *text = xstrdup("");

    for (size_t i = 0; i < fp->n_node_networks; i++) {
        const struct node_network_resource *n = &fp->node_networks[i];

        for (size_t j = 0; str_eq(n->device, device) && j < n->n_addresses; j++) {
            char *more = xasprintf("%s%s%s %s", text, *text ? ", " : "", n->addresses[j].alias,
                                   n->addresses[j].address);

            free(text);
            text = more;
        }
    }
    return text;
}

static void aliases_are(const struct fp *fp, const char *device, const char *want)
{
    _cleanup_free_ char *text = aliases(fp, device);

    assert_string_equal(text, want);
}

/* --- the rules --- */

static void test_network_speed_of_the_configuration_is_for_networks_only(void **state)
{
    struct probe_conf c = {.network_speed = 40000};
    _cleanup_fp_ struct fp *fp = probe_once(&probe_network, VM, &c);

    (void)state;
    assert_int_equal(fp->networks[0].mbits, 40000);
    assert_int_equal(fp->node_networks[0].speed, 1000);
}

static void test_network_interface_of_the_configuration(void **state)
{
    struct probe_conf c = {.network_interface = xstrdup("docker0")};
    _cleanup_fp_ struct fp *fp = probe_once(&probe_network, VM, &c);

    (void)state;
    assert_int_equal(fp->n_networks, 1);
    assert_string_equal(fp->networks[0].ip, "172.17.0.1");
    aliases_are(fp, "docker0", "default 172.17.0.1");
    aliases_are(fp, "eth0", "");
    ops_clear(&desc_probe_conf, &c);
}

static void test_network_unknown_interface_is_a_node_without_network(void **state)
{
    struct probe_conf c = {.network_interface = xstrdup("nope0")};
    _cleanup_fp_ struct fp *fp = probe_once(&probe_network, VM, &c);

    (void)state;
    assert_int_equal(fp->n_networks, 0);
    assert_null(strmap_get(&fp->attributes, "unique.network.ip-address"));
    assert_string_equal(probe_why(fp, "interface")->found, "no such network interface");
    ops_clear(&desc_probe_conf, &c);
}

static void test_network_without_default_route(void **state)
{
    _cleanup_fp_ struct fp *fp = probe_once(&probe_network, "tests/data/hosts/bare", NULL);

    (void)state;
    assert_true(fp->ok);
    assert_int_equal(fp->n_networks, 0);
    assert_int_equal(probe_why(fp, "interface")->result, WHY_FAILED);
}

static void test_network_preferred_family_goes_first(void **state)
{
    struct probe_conf c = {.preferred_address_family = xstrdup("ipv6")};
    _cleanup_fp_ struct fp *fp = probe_once(&probe_network, VM, &c);

    (void)state;
    assert_string_equal(fp->networks[0].ip, "2001:db8::2");
    assert_string_equal(fp->networks[1].ip, "192.0.2.2");
    assert_string_equal(fp->networks[2].ip, "192.0.2.77");
    assert_string_equal(strmap_get(&fp->attributes, "unique.network.ip-address"), "2001:db8::2");
    aliases_are(fp, "eth0", "default 2001:db8::2, default 192.0.2.2, default 192.0.2.77");
    ops_clear(&desc_probe_conf, &c);
}

static void test_network_link_local_only_when_alone_and_allowed(void **state)
{
    struct probe_conf c = {0};
    const char *root = "tests/data/hosts/cloud-arm-nixos";

    (void)state;
    {
        _cleanup_fp_ struct fp *fp = probe_once(&probe_network, root, &c);

        assert_int_equal(fp->n_networks, 2);
    }
    strmap_set(&c.options, "fingerprint.network.disallow_link_local", "true");
    {
        _cleanup_fp_ struct fp *fp = probe_once(&probe_network, root, &c);

        assert_int_equal(fp->n_networks, 0);
        assert_int_equal(fp->n_node_networks, 0);
        assert_string_equal(probe_why(fp, "address")->found, "the interface has no address");
    }
    ops_clear(&desc_probe_conf, &c);
}

static void test_network_host_networks_name_addresses(void **state)
{
    struct probe_conf c = {0};
    _cleanup_fp_ struct fp *fp = NULL;

    (void)state;
    add_network(&c, "public", "192.0.2.64/26, 2001:db8::/32", "", "22,80");
    add_network(&c, "containers", "", "docker0", "");
    add_network(&c, "nothing", "203.0.113.0/24", "", "");
    fp = probe_once(&probe_network, VM, &c);
    aliases_are(fp, "eth0",
                "default 192.0.2.2, public 192.0.2.77, default 192.0.2.77, "
                "public 2001:db8::2, default 2001:db8::2");
    aliases_are(fp, "docker0", "containers 172.17.0.1");
    aliases_are(fp, "lo", "");
    assert_string_equal(fp->node_networks[0].addresses[1].reserved_ports, "22,80");
    assert_string_equal(fp->node_networks[0].addresses[2].reserved_ports, "");
    ops_clear(&desc_probe_conf, &c);
}

static void test_network_bad_host_networks_are_told(void **state)
{
    struct probe_conf c = {0};
    _cleanup_fp_ struct fp *fp = NULL;

    (void)state;
    add_network(&c, "a", "192.0.2.0", "", "");
    add_network(&c, "b", "192.0.2.0/33", "", "");
    add_network(&c, "c", "", "{{ GetPrivateInterfaces }}", "");
    fp = probe_once(&probe_network, VM, &c);
    assert_string_equal(probe_why(fp, "host_network.a")->looked, "192.0.2.0");
    assert_int_equal(probe_why(fp, "host_network.b")->result, WHY_FAILED);
    assert_string_equal(probe_why(fp, "host_network.c")->found, "templates are not evaluated");
    ops_clear(&desc_probe_conf, &c);
}

static void test_network_odd_prefix_lengths(void **state)
{
    struct probe_conf c = {0};
    _cleanup_fp_ struct fp *fp = NULL;

    (void)state;
    add_network(&c, "all", "0.0.0.0/0", "", "");
    add_network(&c, "one", "192.0.2.77/32", "", "");
    add_network(&c, "six", "2001:db8::2/128", "", "");
    add_network(&c, "half", "192.0.2.0/31", "", "");
    fp = probe_once(&probe_network, VM, &c);
    aliases_are(fp, "eth0",
                "all 192.0.2.2, default 192.0.2.2, all 192.0.2.77, one 192.0.2.77, "
                "default 192.0.2.77, six 2001:db8::2, default 2001:db8::2");
    ops_clear(&desc_probe_conf, &c);
}

/* --- messages of the kernel --- */

struct msg {
    _Alignas(8) char p[4096];
    size_t n;
    struct nlmsghdr *head;
};

static void *msg_begin(struct msg *m, int type, size_t body)
{
    m->head = (struct nlmsghdr *)(void *)(m->p + m->n);
    *m->head = (struct nlmsghdr){.nlmsg_type = (uint16_t)type,
                                 .nlmsg_len = (uint32_t)(NLMSG_HDRLEN + NLMSG_ALIGN(body))};
    m->n += m->head->nlmsg_len;
    return memset((char *)m->head + NLMSG_HDRLEN, 0, NLMSG_ALIGN(body));
}

static void msg_attr(struct msg *m, int type, const void *p, size_t n)
{
    struct rtattr *a = (struct rtattr *)(void *)(m->p + m->n);

    memset(a, 0, RTA_SPACE(n));
    *a = (struct rtattr){.rta_type = (uint16_t)type, .rta_len = (uint16_t)RTA_LENGTH(n)};
    memcpy(RTA_DATA(a), p, n);
    m->n += RTA_SPACE(n);
    m->head->nlmsg_len += RTA_SPACE(n);
}

static void msg_attr_u32(struct msg *m, int type, uint32_t v)
{
    msg_attr(m, type, &v, sizeof(v));
}

static void msg_link(struct msg *m, int index, const char *name)
{
    struct ifinfomsg *info = msg_begin(m, RTM_NEWLINK, sizeof(*info));

    info->ifi_index = index;
    msg_attr(m, IFLA_IFNAME, name, strlen(name) + 1);
}

static struct rtmsg *msg_route(struct msg *m, int family)
{
    struct rtmsg *r = msg_begin(m, RTM_NEWROUTE, sizeof(*r));

    r->rtm_family = (unsigned char)family;
    r->rtm_table = RT_TABLE_MAIN;
    r->rtm_type = RTN_UNICAST;
    return r;
}

static void test_netlink_reads_links(void **state)
{
    struct msg m = {.n = 0};
    _cleanup_net_host_ struct net_host h = {0};
    const uint8_t mac[] = {2, 0xfc, 0, 0, 0, 1}, zero[6] = {0}, ip[] = {10, 0, 0, 1};

    (void)state;
    msg_link(&m, 2, "eth0");
    msg_attr(&m, IFLA_ADDRESS, mac, sizeof(mac));
    msg_link(&m, 1, "lo");
    msg_attr(&m, IFLA_ADDRESS, zero, sizeof(zero));
    msg_link(&m, 3, "tunl0");
    msg_attr(&m, IFLA_ADDRESS, ip, sizeof(ip));
    (void)msg_begin(&m, NLMSG_DONE, 4);
    assert_int_equal(net_host_messages(&h, m.p, m.n), 1);
    assert_int_equal(h.n_links, 3);
    assert_string_equal(h.links[0].name, "eth0");
    assert_string_equal(h.links[0].mac, "02:fc:00:00:00:01");
    assert_string_equal(h.links[1].mac, "");
    assert_string_equal(h.links[2].mac, "");
}

static void test_netlink_takes_the_local_end_of_an_address(void **state)
{
    struct msg m = {.n = 0};
    _cleanup_net_host_ struct net_host h = {0};
    struct ifaddrmsg *a = msg_begin(&m, RTM_NEWADDR, sizeof(*a));

    (void)state;
    a->ifa_family = AF_INET;
    a->ifa_index = 5;
    msg_attr(&m, IFA_ADDRESS, "\x0a\x08\x00\x01", 4); /* the peer */
    msg_attr(&m, IFA_LOCAL, "\x0a\x08\x00\x06", 4);
    assert_int_equal(net_host_messages(&h, m.p, m.n), 0);
    assert_int_equal(h.n_addrs, 1);
    assert_string_equal(h.addrs[0].ip, "10.8.0.6");
    assert_int_equal(h.addrs[0].link, 5);
}

static void test_netlink_routes_via_and_onlink(void **state)
{
    struct msg m = {.n = 0};
    _cleanup_net_host_ struct net_host h = {0};

    (void)state;
    (void)msg_route(&m, AF_INET); /* default via 192.0.2.1 dev 2 metric 100 */
    msg_attr(&m, RTA_GATEWAY, "\xc0\x00\x02\x01", 4);
    msg_attr_u32(&m, RTA_OIF, 2);
    msg_attr_u32(&m, RTA_PRIORITY, 100);
    (void)msg_route(&m, AF_INET); /* default dev 3 */
    msg_attr_u32(&m, RTA_OIF, 3);
    (void)msg_route(&m, AF_INET); /* default via inet6 fe80::1 dev 4 */
    msg_attr_u32(&m, RTA_OIF, 4);
    msg_attr(&m, RTA_VIA, "\x0a\x00\xfe\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\x01", 18);
    assert_int_equal(net_host_messages(&h, m.p, m.n), 0);
    assert_int_equal(h.n_routes, 3);
    assert_string_equal(h.routes[0].gateway, "192.0.2.1");
    assert_int_equal(h.routes[0].metric, 100);
    assert_string_equal(h.routes[1].gateway, "");
    assert_int_equal(h.routes[1].link, 3);
    assert_string_equal(h.routes[2].gateway, "fe80::1");
}

static void test_netlink_takes_the_first_live_hop_of_many(void **state)
{
    struct msg m = {.n = 0};
    _cleanup_net_host_ struct net_host h = {0};
    struct {
        struct rtnexthop dead;
        struct rtnexthop live;
        struct rtattr head;
        uint8_t gateway[4];
    } hops;

    (void)state;
    memset(&hops, 0, sizeof(hops));
    hops.dead.rtnh_len = sizeof(hops.dead);
    hops.dead.rtnh_flags = RTNH_F_DEAD;
    hops.dead.rtnh_ifindex = 7;
    hops.live.rtnh_len = sizeof(hops.live) + 8; /* with its gateway */
    hops.live.rtnh_ifindex = 8;
    hops.head.rta_len = 8;
    hops.head.rta_type = RTA_GATEWAY;
    memcpy(hops.gateway, "\x0a\x00\x00\xfe", 4);
    (void)msg_route(&m, AF_INET);
    msg_attr(&m, RTA_MULTIPATH, &hops, sizeof(hops));
    assert_int_equal(net_host_messages(&h, m.p, m.n), 0);
    assert_int_equal(h.n_routes, 1);
    assert_int_equal(h.routes[0].link, 8);
    assert_string_equal(h.routes[0].gateway, "10.0.0.254");
}

static void test_netlink_leaves_other_routes_out(void **state)
{
    struct msg m = {.n = 0};
    _cleanup_net_host_ struct net_host h = {0};
    struct rtmsg *r;

    (void)state;
    r = msg_route(&m, AF_INET); /* a subnet */
    r->rtm_dst_len = 24;
    msg_attr_u32(&m, RTA_OIF, 2);
    r = msg_route(&m, AF_INET6); /* unreachable default */
    r->rtm_type = RTN_UNREACHABLE;
    msg_attr_u32(&m, RTA_OIF, 1);
    r = msg_route(&m, AF_INET); /* another table */
    r->rtm_table = RT_TABLE_UNSPEC;
    msg_attr_u32(&m, RTA_TABLE, 51820);
    msg_attr_u32(&m, RTA_OIF, 2);
    assert_int_equal(net_host_messages(&h, m.p, m.n), 0);
    assert_int_equal(h.n_routes, 0);
}

static void test_netlink_refuses_malformed_messages(void **state)
{
    struct msg m = {.n = 0};
    _cleanup_net_host_ struct net_host h = {0};
    struct nlmsgerr *error;

    (void)state;
    msg_link(&m, 2, "eth0");
    m.head->nlmsg_len += 100; /* beyond the buffer */
    assert_int_equal(net_host_messages(&h, m.p, m.n), -EBADMSG);
    m.head->nlmsg_len = 3;
    assert_int_equal(net_host_messages(&h, m.p, m.n), -EBADMSG);
    m.n = 0;
    (void)msg_begin(&m, RTM_NEWLINK, 4); /* too short for its kind */
    assert_int_equal(net_host_messages(&h, m.p, m.n), -EBADMSG);
    m.n = 0;
    error = msg_begin(&m, NLMSG_ERROR, sizeof(*error));
    error->error = -EPERM;
    assert_int_equal(net_host_messages(&h, m.p, m.n), -EPERM);
    m.n = 0;
    msg_link(&m, 2, "eth0");
    m.head->nlmsg_flags = NLM_F_DUMP_INTR;
    assert_int_equal(net_host_messages(&h, m.p, m.n), -EAGAIN);
}

static void test_netlink_fixture_names_the_bad_line(void **state)
{
    _cleanup_free_ char *root = probe_root();
    _cleanup_fp_ struct fp *fp = NULL;

    (void)state;
    probe_put(root, "netlink", "link 1 lo -\naddr 1 nonsense\n");
    fp = probe_once(&probe_network, root, NULL);
    assert_false(fp->ok);
    assert_non_null(strstr(fp->error, "addr 1 nonsense"));
}

/* --- the real host --- */

static void test_netlink_of_this_host_has_a_loopback(void **state)
{
    _cleanup_net_host_ struct net_host h = {0};
    struct probe_ctx ctx = {.root = ""};
    struct err e = {0};
    bool found = false;

    (void)state;
    assert_int_equal(net_host_read(&ctx, &h, &e), 0);
    for (size_t i = 0; i < h.n_links; i++)
        found = found || str_eq(h.links[i].name, "lo");
    assert_true(found);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_network_speed_of_the_configuration_is_for_networks_only),
        cmocka_unit_test(test_network_interface_of_the_configuration),
        cmocka_unit_test(test_network_unknown_interface_is_a_node_without_network),
        cmocka_unit_test(test_network_without_default_route),
        cmocka_unit_test(test_network_preferred_family_goes_first),
        cmocka_unit_test(test_network_link_local_only_when_alone_and_allowed),
        cmocka_unit_test(test_network_host_networks_name_addresses),
        cmocka_unit_test(test_network_bad_host_networks_are_told),
        cmocka_unit_test(test_network_odd_prefix_lengths),
        cmocka_unit_test(test_netlink_reads_links),
        cmocka_unit_test(test_netlink_takes_the_local_end_of_an_address),
        cmocka_unit_test(test_netlink_routes_via_and_onlink),
        cmocka_unit_test(test_netlink_takes_the_first_live_hop_of_many),
        cmocka_unit_test(test_netlink_leaves_other_routes_out),
        cmocka_unit_test(test_netlink_refuses_malformed_messages),
        cmocka_unit_test(test_netlink_fixture_names_the_bad_line),
        cmocka_unit_test(test_netlink_of_this_host_has_a_loopback),
    };

    return cmocka_run_group_tests_name("fingerprint/network", tests, NULL, NULL);
}
