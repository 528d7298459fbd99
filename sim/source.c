#include "sim/source.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/parse.h"
#include "base/str.h"

int source_parse(const char *text, struct source *ret, struct err *e)
{
    const char *slash = strchr(text, '/');
    _cleanup_free_ char *host = slash ? xstrndup(text, (size_t)(slash - text)) : xstrdup(text);
    struct source s = {.family = AF_INET};
    uint64_t bits;

    if (str_eq(text, "none")) {
        *ret = (struct source){.family = AF_UNSPEC};
        return 0;
    }
    if (inet_pton(AF_INET6, host, s.network) == 1)
        s.family = AF_INET6;
    else if (inet_pton(AF_INET, host, s.network) != 1)
        return err_set(e, -EINVAL, "\"%s\" is no range of addresses: 127.64.0.0/10, or none", text);
    bits = s.family == AF_INET ? 32 : 128;
    s.bits = (unsigned)bits;
    if (slash && (parse_u64(slash + 1, &bits) < 0 || bits > s.bits))
        return err_set(e, -EINVAL, "\"%s\": \"%s\" is no length of a prefix", text, slash + 1);
    s.bits = (unsigned)bits;
    *ret = s;
    return 0;
}

void source_default(const struct sockaddr_storage *server, struct source *ret)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)server;

    *ret = (struct source){.family = AF_UNSPEC};
    if (server->ss_family == AF_INET && ntohl(v4->sin_addr.s_addr) >> 24 == 127)
        *ret = (struct source){
            .family = AF_INET, .network = {127, 64},
                 .bits = 10
        };
}

uint64_t source_count(const struct source *s)
{
    unsigned host_bits = (s->family == AF_INET ? 32U : 128U) - s->bits;
    uint64_t all = UINT64_C(1) << MIN(host_bits, 32U);

    if (s->family == AF_UNSPEC)
        return 1;
    return all > 2 ? all - 2 : all;
}

void source_address(const struct source *s, uint64_t number, struct sockaddr_storage *ret,
                    socklen_t *ret_len)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)ret;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret;
    uint64_t n = source_count(s), host = number % n + (n > 2);
    uint32_t last;

    *ret = (struct sockaddr_storage){.ss_family = (sa_family_t)s->family};
    if (s->family == AF_INET) {
        memcpy(&last, s->network, sizeof(last));
        last = s->bits ? ntohl(last) & ~(uint32_t)((UINT64_C(1) << (32 - s->bits)) - 1) : 0;
        v4->sin_addr.s_addr = htonl(last | (uint32_t)host);
        *ret_len = sizeof(*v4);
    } else {
        memcpy(&v6->sin6_addr, s->network, 16);
        memcpy(&last, s->network + 12, sizeof(last));
        last = htonl(ntohl(last) + (uint32_t)host);
        memcpy(v6->sin6_addr.s6_addr + 12, &last, sizeof(last));
        *ret_len = sizeof(*v6);
    }
}

int source_connect(const struct source *s, uint64_t number, const struct sockaddr_storage *server,
                   socklen_t server_len)
{
    _cleanup_close_ int fd =
        socket(server->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_storage a;
    socklen_t len;
    int one = 1;

    if (fd < 0)
        return -errno;
    if (s->family == server->ss_family) {
        source_address(s, number, &a, &len);
        (void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
        if (bind(fd, (struct sockaddr *)&a, len) < 0)
            return -errno;
    }
    if (connect(fd, (const struct sockaddr *)server, server_len) < 0 && errno != EINPROGRESS)
        return -errno;
    return steal_fd(&fd);
}

void source_reset_on_close(int fd)
{
    const struct linger l = {.l_onoff = 1};

    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
}

void source_bytes(int fd, uint64_t *sent, uint64_t *received)
{
    struct tcp_info info = {0};
    socklen_t len = sizeof(info);

    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
        return;
    *sent += info.tcpi_bytes_acked;
    *received += info.tcpi_bytes_received;
}
