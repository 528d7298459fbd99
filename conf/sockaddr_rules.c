#include "conf/sockaddr_rules.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"
#include "base/str.h"

struct range {
    const char *net;
    unsigned bits;
};

/* fact: config.md section 8, measured on go-sockaddr */
static const struct range not_forwardable[] = {
    {"0.0.0.0",         8  },
    {"127.0.0.0",       8  },
    {"169.254.0.0",     16 },
    {"192.0.0.0",       24 },
    {"192.0.2.0",       24 },
    {"198.51.100.0",    24 },
    {"203.0.113.0",     24 },
    {"240.0.0.0",       4  },
    {"255.255.255.255", 32 },
    {"::1",             128},
    {"::",              128},
    {"::ffff:0:0",      96 },
    {"2001:db8::",      32 },
    {"2001:10::",       28 },
    {"fe80::",          10 },
};
/* RFC 6890 beyond the above */
static const struct range private_more[] = {
    {"10.0.0.0",    8 },
    {"100.64.0.0",  10},
    {"172.16.0.0",  12},
    {"192.168.0.0", 16},
    {"192.88.99.0", 24},
    {"198.18.0.0",  15},
    {"64:ff9b::",   96},
    {"100::",       64},
    {"2001::",      16},
    {"2002::",      16},
    {"fc00::",      7 },
};

static bool same_bits(const uint8_t *a, const uint8_t *b, unsigned bits)
{
    unsigned rest = bits % 8;

    if (memcmp(a, b, bits / 8) != 0)
        return false;
    return rest == 0 || ((a[bits / 8] ^ b[bits / 8]) >> (8 - rest)) == 0;
}

static bool in_range(const struct sockaddr_if *a, const struct range *r)
{
    bool v6 = strchr(r->net, ':') != NULL;
    uint8_t net[16];

    return v6 == a->v6 && inet_pton(v6 ? AF_INET6 : AF_INET, r->net, net) == 1 &&
           same_bits(a->addr, net, r->bits);
}

static bool in_ranges(const struct sockaddr_if *a, const struct range *r, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (in_range(a, &r[i]))
            return true;
    return false;
}

bool sockaddr_forwardable(const struct sockaddr_if *a)
{
    return !in_ranges(a, not_forwardable, ARRAY_LEN(not_forwardable));
}

bool sockaddr_rfc6890(const struct sockaddr_if *a)
{
    return !sockaddr_forwardable(a) || in_ranges(a, private_more, ARRAY_LEN(private_more));
}

bool sockaddr_loopback(const struct sockaddr_if *a)
{
    static const struct range loopback[] = {
        {"127.0.0.0", 8  },
        {"::1",       128}
    };

    return in_ranges(a, loopback, ARRAY_LEN(loopback));
}

int sockaddr_in_network(const struct sockaddr_if *a, const char *network)
{
    _cleanup_free_ char *net = xstrdup(network);
    char *slash = strchr(net, '/');
    bool v6 = strchr(net, ':') != NULL;
    uint8_t addr[16];
    uint64_t bits;

    if (!slash || parse_u64(slash + 1, &bits) < 0 || bits > (v6 ? 128 : 32))
        return -EINVAL;
    *slash = 0;
    if (inet_pton(v6 ? AF_INET6 : AF_INET, net, addr) != 1)
        return -EINVAL;
    return in_range(a, &(struct range){net, (unsigned)bits});
}

static const char *const orders[] = {"address", "default", "name", "private", "size", "type"};

bool sockaddr_can_sort_by(const char *by)
{
    for (size_t i = 0; i < ARRAY_LEN(orders); i++)
        if (strcmp(orders[i], by) == 0)
            return true;
    return false;
}

int sockaddr_compare(const char *by, const struct sockaddr_if *a, const struct sockaddr_if *b)
{
    if (strcmp(by, "default") == 0)
        return (int)b->is_default - (int)a->is_default;
    if (strcmp(by, "name") == 0)
        return strcmp(a->name, b->name);
    if (strcmp(by, "private") == 0)
        return (int)sockaddr_rfc6890(b) - (int)sockaddr_rfc6890(a);
    if (strcmp(by, "size") == 0) /* the larger network first */
        return (int)a->prefix_len - (int)b->prefix_len;
    if (strcmp(by, "type") == 0 || a->v6 != b->v6)
        return (int)a->v6 - (int)b->v6;
    return memcmp(a->addr, b->addr, a->v6 ? 16 : 4);
}

int sockaddr_attr(const struct sockaddr_if *a, const char *attr, char ret[64])
{
    if (strcmp(attr, "name") == 0)
        (void)snprintf(ret, 64, "%s", a->name);
    else if (strcmp(attr, "type") == 0)
        (void)snprintf(ret, 64, "%s", a->v6 ? "IPv6" : "IPv4");
    else if (strcmp(attr, "mask_bits") == 0)
        (void)snprintf(ret, 64, "%u", a->prefix_len);
    else if (strcmp(attr, "address") != 0)
        return -EINVAL;
    else if (!inet_ntop(a->v6 ? AF_INET6 : AF_INET, a->addr, ret, 64))
        return -errno;
    return 0;
}
