#include "server/members.h"

#include <arpa/inet.h>

#include "base/vec.h"

/* the port that gossip would have; nothing listens there */
static uint64_t serf_port(const struct server *s)
{
    return s->conf->port_serf > 0 ? (uint64_t)s->conf->port_serf : 4648;
}

static void set_address(struct bytes *addr, const char *host)
{
    struct in6_addr v6;
    struct in_addr v4;

    if (inet_pton(AF_INET, host, &v4) == 1)
        *addr = (struct bytes){.p = xmemdup(&v4, sizeof(v4)), .n = sizeof(v4)};
    else if (inet_pton(AF_INET6, host, &v6) == 1)
        *addr = (struct bytes){.p = xmemdup(&v6, sizeof(v6)), .n = sizeof(v6)};
}

void members_fill(const struct server *s, struct server_members_response *ret)
{
    struct server_member *m;
    _cleanup_free_ char *host = NULL;
    uint64_t port = 0;

    ret->server_name = xstrdup(s->conf->name);
    ret->server_region = xstrdup(s->conf->region);
    ret->server_dc = xstrdup(s->conf->datacenter);
    m = vec_add(&ret->members, &ret->n_members);
    m->name = server_member_name(s);
    m->status = xstrdup("alive");
    server_split_address(s->rpc_advertise, &host, &port);
    set_address(&m->addr, host);
    m->port = serf_port(s);
    m->protocol_min = 1;
    m->protocol_max = 5;
    m->protocol_cur = 2;
    m->delegate_min = 2;
    m->delegate_max = 5;
    m->delegate_cur = 4;
    strmap_set(&m->tags, "bootstrap", "1");
    strmap_set(&m->tags, "build", SERVER_NOMAD_VERSION "+" SERVER_NOMAD_METADATA);
    strmap_set(&m->tags, "dc", s->conf->datacenter);
    strmap_set(&m->tags, "expect", "1");
    strmap_set(&m->tags, "id", s->id);
    strmap_set(&m->tags, "mvn", "1");
    strmap_setf(&m->tags, "port", "%llu", (unsigned long long)port);
    strmap_set(&m->tags, "raft_vsn", "3");
    strmap_set(&m->tags, "region", s->conf->region);
    strmap_set(&m->tags, "role", "nomad");
    strmap_set(&m->tags, "rpc_addr", host);
    strmap_set(&m->tags, "vsn", "1");
}
