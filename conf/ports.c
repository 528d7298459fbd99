#include "conf/ports.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "base/parse.h"
#include "base/str.h"

enum { PORT_MAX = 65535 };

static int one_port(const char *text, uint64_t *ret, struct err *e)
{
    int r = parse_u64(text, ret);

    if (r == -ERANGE)
        return err_set(e, -EINVAL, "strconv.ParseUint: parsing \"%.40s\": value out of range",
                       text);
    if (r < 0)
        return err_set(e, -EINVAL, "strconv.ParseUint: parsing \"%.40s\": invalid syntax", text);
    return 0;
}

static int port_item(char *item, struct err *e)
{
    char *dash = strchr(item, '-');
    uint64_t first, last;
    int r;

    if (dash && strchr(dash + 1, '-'))
        return err_set(e, -EINVAL,
                       "can only parse single port numbers or port ranges (ex. 80,100-120,150)");
    if (dash)
        *dash = 0;
    r = one_port(str_trim(item), &first, e);
    if (r < 0)
        return r;
    last = first;
    if (dash)
        r = one_port(str_trim(dash + 1), &last, e);
    if (r < 0)
        return r;
    if (last < first)
        return err_set(e, -EINVAL,
                       "invalid range: ending value (%llu) less than starting (%llu) value",
                       (unsigned long long)last, (unsigned long long)first);
    if (first == 0)
        return err_set(e, -EINVAL, "port must be > 0");
    if (last > PORT_MAX)
        return err_set(e, -EINVAL, "port must be < 65536 but found %llu", (unsigned long long)last);
    return 0;
}

int ports_check(const char *text, struct err *e)
{
    const char *p = text;

    if (!text || !text[strspn(text, " \t")])
        return 0;
    for (;;) {
        size_t n = strcspn(p, ",");
        _cleanup_free_ char *copy = xstrndup(p, n);
        char *item = str_trim(copy);
        int r;

        if (!*item)
            return err_set(e, -EINVAL, "can't specify empty port");
        r = port_item(item, e);
        if (r < 0)
            return r;
        if (!p[n])
            return 0;
        p += n + 1;
    }
}

static bool is_ipv6(const char *s)
{
    struct in6_addr a;
    _cleanup_free_ char *copy = xstrdup(s);
    char *zone = strchr(copy, '%');

    if (zone)
        *zone = 0;
    return inet_pton(AF_INET6, copy, &a) == 1;
}

int host_port_split(const char *text, char **ret_host, int64_t *ret_port, struct err *e)
{
    _cleanup_free_ char *host = NULL;
    const char *port = NULL;
    int64_t number = 0;

    if (text[0] == '[') {
        const char *end = strchr(text, ']');

        if (!end || (end[1] && end[1] != ':'))
            return err_set(e, -EINVAL, "\"%.80s\": missing ']' in address", text);
        host = xstrndup(text + 1, (size_t)(end - text) - 1);
        port = end[1] ? end + 2 : NULL;
    } else if (is_ipv6(text) || !strchr(text, ':')) {
        host = xstrdup(text);
    } else if (strchr(text, ':') == strrchr(text, ':')) {
        port = strchr(text, ':') + 1;
        host = xstrndup(text, (size_t)(port - text) - 1);
    } else {
        return err_set(e, -EINVAL, "\"%.80s\": too many colons in address", text);
    }
    if (!*host)
        return err_set(e, -EINVAL, "\"%.80s\": the host is missing", text);
    if (host[strcspn(host, " \t\r\n/")])
        return err_set(e, -EINVAL, "\"%.80s\" is not an address", text);
    if (port && (parse_i64(port, &number) < 0 || number < 1 || number > PORT_MAX))
        return err_set(e, -EINVAL, "\"%.80s\": invalid port", text);
    *ret_host = steal_ptr(&host);
    *ret_port = number;
    return 0;
}

char *host_port_join(const char *host, int64_t port)
{
    if (strchr(host, ':'))
        return xasprintf("[%s]:%lld", host, (long long)port);
    return xasprintf("%s:%lld", host, (long long)port);
}
