#include "agent/host.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/str.h"
#include "base/vec.h"
#include "codec/mp.h"
#include "codec/ops.h"

enum { ADDRESSES_MAX = 1024, ENVIRONMENT_MAX = 1024 };

#define FILE_MAX ((size_t)64 * KIB) /* of /etc/hosts, /etc/resolv.conf */

/* --- environment --- */

bool host_secret_name(const char *name, size_t n)
{
    static const char *const words[] = {"secret", "token", "key",  "passw", "passphrase", "pwd",
                                        "cred",   "auth",  "cert", "licen", "private",    "_pass"};
    _cleanup_free_ char *lower = str_lower(xstrndup(name, n));

    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (strstr(lower, words[i]))
            return true;
    return false;
}

/* "scheme://user:password@host" */
static bool has_password(const char *value)
{
    const char *p = strstr(value, "://"), *at;

    if (!p)
        return false;
    p += 3;
    at = p + strcspn(p, "@/");
    return *at == '@' && memchr(p, ':', (size_t)(at - p));
}

static void environment(struct strmap *ret, char *const *env)
{
    strmap_make(ret);
    for (size_t i = 0; env && env[i] && i < ENVIRONMENT_MAX; i++) {
        size_t n = strcspn(env[i], "=");
        const char *value = env[i][n] ? env[i] + n + 1 : "";

        if (host_secret_name(env[i], n) || has_password(value))
            value = HOST_REDACTED;
        strmap_set_n(ret, env[i], n, value, strlen(value));
    }
}

/* --- network --- */

struct address {
    char text[INET6_ADDRSTRLEN], mask[INET6_ADDRSTRLEN];
    unsigned bits;
    bool v6;
};

static bool address_of(const struct ifaddrs *i, struct address *ret)
{
    const uint8_t *p, *m;
    size_t n;

    if (!i->ifa_addr || !i->ifa_netmask)
        return false;
    *ret = (struct address){.v6 = i->ifa_addr->sa_family == AF_INET6};
    if (ret->v6) {
        p = ((const struct sockaddr_in6 *)(const void *)i->ifa_addr)->sin6_addr.s6_addr;
        m = ((const struct sockaddr_in6 *)(const void *)i->ifa_netmask)->sin6_addr.s6_addr;
        n = sizeof(struct in6_addr);
    } else if (i->ifa_addr->sa_family == AF_INET) {
        p = (const uint8_t *)&((const struct sockaddr_in *)(const void *)i->ifa_addr)->sin_addr;
        m = (const uint8_t *)&((const struct sockaddr_in *)(const void *)i->ifa_netmask)->sin_addr;
        n = sizeof(struct in_addr);
    } else {
        return false;
    }
    for (size_t k = 0; k < n; k++)
        ret->bits += (unsigned)__builtin_popcount(m[k]);
    return inet_ntop(i->ifa_addr->sa_family, p, ret->text, sizeof(ret->text)) &&
           inet_ntop(i->ifa_addr->sa_family, m, ret->mask, sizeof(ret->mask));
}

/* the part of go-sockaddr's attributes that is no other way to write the same */
static void put_address(struct buf *b, const char *interface, const struct address *a)
{
    char bits[16], string[INET6_ADDRSTRLEN + 16];

    (void)snprintf(bits, sizeof(bits), "%u", a->bits);
    (void)snprintf(string, sizeof(string), "%s/%u", a->text, a->bits);
    mp_map(b, 6);
    mp_str(b, "address");
    mp_str(b, a->text);
    mp_str(b, "interface");
    mp_str(b, interface);
    mp_str(b, "mask_bits");
    mp_str(b, bits);
    mp_str(b, "netmask");
    mp_str(b, a->mask);
    mp_str(b, "string");
    mp_str(b, string);
    mp_str(b, "type");
    mp_str(b, a->v6 ? "IPv6" : "IPv4");
}

static void network(struct bytes *ret)
{
    _cleanup_buf_ struct buf items = BUF_INIT(FILE_MAX * 4), all = BUF_INIT(FILE_MAX * 4 + 16);
    struct ifaddrs *list = NULL;
    size_t n = 0;

    if (getifaddrs(&list) < 0)
        list = NULL;
    for (const struct ifaddrs *i = list; i && n < ADDRESSES_MAX; i = i->ifa_next) {
        struct address a;

        if (!address_of(i, &a))
            continue;
        put_address(&items, i->ifa_name, &a);
        n++;
    }
    if (list)
        freeifaddrs(list);
    mp_array(&all, n);
    buf_add(&all, items.p, items.len);
    if (buf_ok(&items) == 0 && buf_ok(&all) == 0)
        ret->p = buf_take(&all, &ret->n);
}

/* --- the whole --- */

static char *small_file(const char *path)
{
    char *text = NULL;

    return file_read(path, FILE_MAX, &text, NULL) < 0 ? xstrdup("") : text;
}

static char *os_text(void)
{
    struct utsname u;

    if (uname(&u) < 0)
        return xstrdup("linux");
    return xasprintf("%s %s %s %s %s @0", u.machine, u.nodename, u.release, u.sysname, u.version);
}

static void disks(struct host_data *ret, const struct host_stats *stats)
{
    ret->disk = xnew0(struct host_disk_usage); /* {}, not null */
    for (size_t i = 0; i < stats->n_disk_stats; i++) {
        const struct host_disk_stats *s = &stats->disk_stats[i];
        struct host_disk_usage *u =
            ops_keyed_add(&desc_host_disk_usage, &ret->disk, &ret->n_disk, s->mountpoint);

        u->disk_mb = (int64_t)(s->size / MIB);
        u->used_mb = (int64_t)((s->size - MIN(s->available, s->size)) / MIB);
    }
}

void host_data(struct host_data *ret, const struct host_stats *stats, char *const *env)
{
    ret->os = os_text();
    ret->hosts = small_file("/etc/hosts");
    ret->resolv_conf = small_file("/etc/resolv.conf");
    environment(&ret->environment, env);
    network(&ret->network);
    disks(ret, stats);
}
