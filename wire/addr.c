#include "wire/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>

#include "base/parse.h"
#include "base/str.h"

static int parse_unix(const char *path, struct sockaddr_storage *ret, socklen_t *ret_len,
                      struct err *e)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    size_t n = strlen(path);

    if (n == 0 || n >= sizeof(un.sun_path))
        return err_set(e, -EINVAL, "unix:%s: the path must have 1 to %zu characters", path,
                       sizeof(un.sun_path) - 1);
    memcpy(un.sun_path, path, n);
    memset(ret, 0, sizeof(*ret));
    memcpy(ret, &un, sizeof(un));
    *ret_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + 1);
    return 0;
}

static bool parse_v6(char *host, struct sockaddr_in6 *ret)
{
    char *scope = strchr(host, '%');

    if (scope) {
        *scope++ = 0;
        ret->sin6_scope_id = if_nametoindex(scope);
        if (ret->sin6_scope_id == 0)
            return false;
    }
    ret->sin6_family = AF_INET6;
    return inet_pton(AF_INET6, host, &ret->sin6_addr) == 1;
}

int addr_parse(const char *text, struct sockaddr_storage *ret, socklen_t *ret_len, struct err *e)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {0};
    _cleanup_free_ char *host = NULL;
    const char *colon;
    uint64_t port;

    if (str_starts(text, "unix:"))
        return parse_unix(text + strlen("unix:"), ret, ret_len, e);
    colon = strrchr(text, ':');
    if (!colon || parse_u64(colon + 1, &port) < 0 || port > 65535)
        return err_set(e, -EINVAL, "%s: expected ip:port, [ipv6]:port or unix:/path", text);
    host = xstrndup(text, (size_t)(colon - text));
    memset(ret, 0, sizeof(*ret));
    if (host[0] == '[' && str_ends(host, "]")) {
        host[strlen(host) - 1] = 0;
        if (!parse_v6(host + 1, &v6))
            return err_set(e, -EINVAL, "%s: not an IPv6 address", text);
        v6.sin6_port = htons((uint16_t)port);
        memcpy(ret, &v6, sizeof(v6));
        *ret_len = sizeof(v6);
        return 0;
    }
    if (inet_pton(AF_INET, host, &v4.sin_addr) != 1)
        return err_set(e, -EINVAL, "%s: not an IP address", text);
    v4.sin_port = htons((uint16_t)port);
    memcpy(ret, &v4, sizeof(v4));
    *ret_len = sizeof(v4);
    return 0;
}

static char *format_v6(const struct sockaddr_in6 *in)
{
    char host[INET6_ADDRSTRLEN] = "", scope[IF_NAMESIZE] = "";
    unsigned port = ntohs(in->sin6_port);

    if (IN6_IS_ADDR_V4MAPPED(&in->sin6_addr)) {
        (void)inet_ntop(AF_INET, &in->sin6_addr.s6_addr[12], host, sizeof(host));
        return xasprintf("%s:%u", host, port);
    }
    (void)inet_ntop(AF_INET6, &in->sin6_addr, host, sizeof(host));
    if (in->sin6_scope_id && if_indextoname(in->sin6_scope_id, scope))
        return xasprintf("[%s%%%s]:%u", host, scope, port);
    return xasprintf("[%s]:%u", host, port);
}

char *addr_format(const struct sockaddr_storage *a, socklen_t len)
{
    char host[INET_ADDRSTRLEN] = "";
    struct sockaddr_in6 v6;
    struct sockaddr_in v4;
    struct sockaddr_un un;
    size_t n;

    switch (a->ss_family) {
    case AF_INET:
        memcpy(&v4, a, sizeof(v4));
        (void)inet_ntop(AF_INET, &v4.sin_addr, host, sizeof(host));
        return xasprintf("%s:%u", host, (unsigned)ntohs(v4.sin_port));
    case AF_INET6:
        memcpy(&v6, a, sizeof(v6));
        return format_v6(&v6);
    case AF_UNIX:
        memcpy(&un, a, sizeof(un));
        n = len > offsetof(struct sockaddr_un, sun_path) ? strnlen(un.sun_path, sizeof(un.sun_path))
                                                         : 0;
        return n ? xasprintf("unix:%.*s", (int)n, un.sun_path) : xstrdup("unix");
    default:
        return xstrdup("unknown");
    }
}

char *addr_host(const char *text)
{
    const char *colon = str_starts(text, "unix") ? NULL : strrchr(text, ':');

    return colon ? xstrndup(text, (size_t)(colon - text)) : xstrdup("unix");
}
