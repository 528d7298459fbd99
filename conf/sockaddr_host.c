/* The interfaces of this host for address templates. */
#include "conf/sockaddr.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/str.h"
#include "base/vec.h"

/* name of the interface with the first "default via ..." route, from /proc/net/route: destination 0
 * and a gateway (a default route without one does not count) */
static void default_interface(char ret[IFNAMSIZ])
{
    _cleanup_free_ char *text = NULL;
    char **lines = NULL;
    size_t n, n_lines = 0;

    ret[0] = 0;
    if (file_read("/proc/net/route", READ_CAP_PROC, &text, &n) < 0)
        return;
    strv_split(text, "\n", &lines, &n_lines);
    for (size_t i = 0; i < n_lines && !ret[0]; i++) {
        char **words = NULL;
        size_t n_words = 0;

        strv_split(lines[i], " \t", &words, &n_words);
        if (n_words > 2 && str_eq(words[1], "00000000") && !str_eq(words[2], "00000000"))
            (void)snprintf(ret, IFNAMSIZ, "%s", words[0]);
        strv_done(&words, &n_words);
    }
    strv_done(&lines, &n_lines);
}

static unsigned mask_bits(const uint8_t *mask, size_t n)
{
    unsigned bits = 0;

    for (size_t i = 0; i < n; i++)
        bits += (unsigned)__builtin_popcount(mask[i]);
    return bits;
}

static void add_interface(const struct ifaddrs *i, const char *route, struct sockaddr_if **v,
                          size_t *n)
{
    bool v6 = i->ifa_addr->sa_family == AF_INET6;
    const void *addr = v6 ? (const void *)&((const struct sockaddr_in6 *)i->ifa_addr)->sin6_addr
                          : (const void *)&((const struct sockaddr_in *)i->ifa_addr)->sin_addr;
    const void *mask = v6 ? (const void *)&((const struct sockaddr_in6 *)i->ifa_netmask)->sin6_addr
                          : (const void *)&((const struct sockaddr_in *)i->ifa_netmask)->sin_addr;
    struct sockaddr_if *a = vec_add(v, n);

    (void)snprintf(a->name, sizeof(a->name), "%s", i->ifa_name);
    a->up = i->ifa_flags & IFF_UP;
    a->is_default = strcmp(i->ifa_name, route) == 0;
    a->v6 = v6;
    memcpy(a->addr, addr, v6 ? 16 : 4);
    a->prefix_len = mask_bits(mask, v6 ? 16 : 4);
}

int sockaddr_host(struct sockaddr_if **ret, size_t *ret_n)
{
    char route[IFNAMSIZ];
    struct sockaddr_if *v = xnew0(struct sockaddr_if);
    struct ifaddrs *all;
    size_t n = 0;

    if (getifaddrs(&all) < 0) {
        free(v);
        return -errno;
    }
    default_interface(route);
    for (const struct ifaddrs *i = all; i; i = i->ifa_next)
        if (i->ifa_addr && i->ifa_netmask &&
            (i->ifa_addr->sa_family == AF_INET || i->ifa_addr->sa_family == AF_INET6))
            add_interface(i, route, &v, &n);
    freeifaddrs(all);
    *ret = v;
    *ret_n = n;
    return 0;
}
