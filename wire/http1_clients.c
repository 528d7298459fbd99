#include "wire/http1_clients.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"

enum {
    SAY_BURST = 100,
    SAY_PER_SEC = 10,
};

struct http_client {
    struct http_client *next;
    struct in6_addr address; /* IPv4 as v4-mapped */
    unsigned n;
    unsigned bucket;
};

static bool peer_address(const struct sockaddr_storage *peer, struct in6_addr *ret)
{
    *ret = (struct in6_addr)IN6ADDR_ANY_INIT;
    if (peer->ss_family == AF_INET) {
        ret->s6_addr[10] = ret->s6_addr[11] = 0xff;
        memcpy(&ret->s6_addr[12], &((const struct sockaddr_in *)peer)->sin_addr, 4);
        return true;
    }
    if (peer->ss_family != AF_INET6)
        return false;
    *ret = ((const struct sockaddr_in6 *)peer)->sin6_addr;
    return true;
}

int http_clients_enter(struct http_clients *c, const struct sockaddr_storage *peer, unsigned max,
                       struct http_client **ret)
{
    struct http_client *client;
    struct in6_addr address;
    unsigned bucket;

    *ret = NULL;
    if (max == 0 || !peer_address(peer, &address))
        return 0;
    bucket = (unsigned)(fnv1(FNV1_INIT, &address, sizeof(address)) % HTTP_CLIENT_BUCKETS);
    for (client = c->buckets[bucket]; client; client = client->next)
        if (memcmp(&client->address, &address, sizeof(address)) == 0)
            break;
    if (!client) {
        client = xnew0(struct http_client);
        *client =
            (struct http_client){.next = c->buckets[bucket], .address = address, .bucket = bucket};
        c->buckets[bucket] = client;
    }
    if (client->n >= max)
        return -EBUSY;
    client->n++;
    *ret = client;
    return 0;
}

void http_clients_leave(struct http_clients *c, struct http_client *client)
{
    struct http_client **at;

    if (!client || --client->n > 0)
        return;
    for (at = &c->buckets[client->bucket]; *at != client; at = &(*at)->next)
        ;
    *at = client->next;
    free(client);
}

bool http_clients_may_say_so(struct http_clients *c)
{
    uint64_t now = clock_boot_ns(), step = NSEC_PER_SEC / SAY_PER_SEC, steps;

    if (!c->started) {
        c->started = true;
        c->credit = SAY_BURST;
        c->said_ns = now;
    }
    steps = (now - c->said_ns) / step;
    if (steps > 0) {
        c->said_ns += steps * step;
        c->credit = (unsigned)MIN((uint64_t)SAY_BURST, c->credit + steps);
    }
    if (c->credit == 0)
        return false;
    c->credit--;
    return true;
}

void http_clients_done(struct http_clients *c)
{
    for (size_t i = 0; i < HTTP_CLIENT_BUCKETS; i++) {
        while (c->buckets[i]) {
            struct http_client *client = c->buckets[i];

            c->buckets[i] = client->next;
            free(client);
        }
    }
}
