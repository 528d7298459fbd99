/* Bind and advertise addresses (fact: config.md section 8). */
#include "conf/conf.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "conf/ports.h"
#include "conf/sockaddr.h"

struct service {
    const char *name; /* "HTTP", "RPC": in messages */
    const char *key;  /* "http" */
    const char *address, *advertise;
    int64_t port;
};

/* an address to listen on, without port */
static int bind_host(const struct conf *c, const struct service *s, char **ret, struct err *e)
{
    const char *text = str_empty(s->address) ? c->bind_addr : s->address;
    _cleanup_free_ char *host = NULL;
    struct in6_addr a;
    size_t n;
    int r;

    r = sockaddr_eval(text, &host, e);
    if (r < 0)
        return str_empty(s->address) ? err_wrap(e, r, "Bind address resolution failed")
                                     : err_wrap(e, r, "Failed to parse %s address", s->name);
    n = strlen(str_or_empty(host));
    if (n > 2 && host[0] == '[' && host[n - 1] == ']') {
        memmove(host, host + 1, n - 2);
        host[n - 2] = 0;
    }
    if (str_eq(host, "localhost"))
        str_set(&host, "127.0.0.1");
    if (strchr(str_or_empty(host), ' '))
        return err_set(e, -EINVAL,
                       "Failed to parse %s address: one address is supported, not \"%.80s\"",
                       s->name, host);
    if (inet_pton(AF_INET, host, &a) != 1 && inet_pton(AF_INET6, host, &a) != 1)
        return err_set(e, -EINVAL,
                       "Failed to parse %s address: \"%.80s\" is not an IP address (host names are "
                       "not looked up here)",
                       s->name, host);
    *ret = steal_ptr(&host);
    return 0;
}

static bool is_loopback(const char *host)
{
    return str_starts(str_or_empty(host), "127.") || str_eq(host, "::1");
}

/* what to advertise when nothing is configured: the bind address, for a wildcard this host's
 * private one */
static int default_advertise(const struct conf *c, const struct service *s, const char *bind,
                             char **ret, struct err *e)
{
    int r;

    if (is_loopback(bind) && !c->dev && !c->bind_default)
        return err_set(e, -EINVAL,
                       "Defaulting advertise to localhost is unsafe, please set advertise manually "
                       "(advertise { %s = \"...\" })",
                       s->key);
    if (!str_eq(bind, "0.0.0.0") && !str_eq(bind, "::")) {
        *ret = xstrdup(bind);
        return 0;
    }
    r = sockaddr_eval("{{ GetPrivateIP }}", ret, e);
    if (r < 0)
        return err_set(
            e, -EADDRNOTAVAIL,
            "this host has no private address to advertise, please set advertise manually "
            "(advertise { %s = \"...\" })",
            s->key);
    return 0;
}

static int advertise(const struct conf *c, const struct service *s, const char *bind, char **ret,
                     struct err *e)
{
    _cleanup_free_ char *text = NULL, *host = NULL;
    int64_t port = 0;
    int r;

    if (str_empty(s->advertise)) {
        r = default_advertise(c, s, bind, &host, e);
    } else {
        r = sockaddr_eval(s->advertise, &text, e);
        if (r == 0)
            r = host_port_split(text, &host, &port, e);
    }
    if (r < 0 && strcmp(s->key, "http") == 0)
        return err_wrap(e, r, "Failed to parse HTTP advertise address (%s, %s, %lld, %s)",
                        str_or_empty(s->advertise), bind, (long long)s->port,
                        c->dev ? "true" : "false");
    if (r < 0)
        return err_wrap(e, r, "Failed to parse %s advertise address", s->name);
    *ret = host_port_join(host, port ? port : s->port);
    return 0;
}

static int addresses(const struct conf *c, const struct service *s, char **ret_bind,
                     char **ret_advertise, struct err *e)
{
    _cleanup_free_ char *bind = NULL, *told = NULL;
    int r;

    r = bind_host(c, s, &bind, e);
    if (r == 0)
        r = advertise(c, s, bind, &told, e);
    if (r < 0)
        return r;
    *ret_bind = host_port_join(bind, s->port);
    *ret_advertise = steal_ptr(&told);
    return 0;
}

int conf_http_addresses(const struct conf *c, char **ret_bind, char **ret_advertise, struct err *e)
{
    struct service s = {"HTTP", "http", c->address_http, c->advertise_http, c->port_http};

    return addresses(c, &s, ret_bind, ret_advertise, e);
}

int conf_rpc_addresses(const struct conf *c, char **ret_bind, char **ret_advertise, struct err *e)
{
    struct service s = {"RPC", "rpc", c->address_rpc, c->advertise_rpc, c->port_rpc};

    return addresses(c, &s, ret_bind, ret_advertise, e);
}
