#include "api/members.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <string.h>

#include "codec/js.h"

static void put_key(struct buf *b, const char *key)
{
    js_str(b, key);
    buf_add_byte(b, ':');
}

static void add_str(struct buf *b, const char *key, const char *value)
{
    buf_add_byte(b, ',');
    put_key(b, key);
    js_str(b, value);
}

static void add_u64(struct buf *b, const char *key, uint64_t value)
{
    buf_add_byte(b, ',');
    put_key(b, key);
    buf_printf(b, "%" PRIu64, value);
}

/* "127.0.0.1" in JSON, where the wire has 4 bytes, or 16 of them */
static void put_address(struct buf *b, const struct bytes *addr)
{
    char text[INET6_ADDRSTRLEN] = "";

    if (addr->n == sizeof(struct in6_addr)) {
        struct in6_addr v6;

        memcpy(&v6, addr->p, sizeof(v6));
        if (IN6_IS_ADDR_V4MAPPED(&v6))
            (void)inet_ntop(AF_INET, &v6.s6_addr[12], text, sizeof(text));
        else
            (void)inet_ntop(AF_INET6, &v6, text, sizeof(text));
    } else if (addr->n == sizeof(struct in_addr)) {
        (void)inet_ntop(AF_INET, addr->p, text, sizeof(text));
    }
    js_str(b, text);
}

void member_json(struct buf *b, const struct server_member *m)
{
    buf_add_byte(b, '{');
    put_key(b, "Addr");
    put_address(b, &m->addr);
    add_u64(b, "DelegateCur", m->delegate_cur);
    add_u64(b, "DelegateMax", m->delegate_max);
    add_u64(b, "DelegateMin", m->delegate_min);
    add_str(b, "Name", m->name);
    add_u64(b, "Port", m->port);
    add_u64(b, "ProtocolCur", m->protocol_cur);
    add_u64(b, "ProtocolMax", m->protocol_max);
    add_u64(b, "ProtocolMin", m->protocol_min);
    add_str(b, "Status", m->status);
    buf_add_byte(b, ',');
    put_key(b, "Tags");
    js_map(b, &m->tags);
    buf_add_byte(b, '}');
}

void members_json(struct buf *b, const struct server_members_response *m)
{
    buf_add_byte(b, '{');
    put_key(b, "Members");
    buf_add_byte(b, '[');
    for (size_t i = 0; i < m->n_members; i++) {
        if (i > 0)
            buf_add_byte(b, ',');
        member_json(b, &m->members[i]);
    }
    buf_add_byte(b, ']');
    add_str(b, "ServerDC", m->server_dc);
    add_str(b, "ServerName", m->server_name);
    add_str(b, "ServerRegion", m->server_region);
    buf_add_byte(b, '}');
}
