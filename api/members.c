#include "api/members.h"

#include <arpa/inet.h>
#include <string.h>

#include "codec/js.h"
#include "codec/js_obj.h"

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
    obj_key(b, "Addr");
    put_address(b, &m->addr);
    obj_u64(b, "DelegateCur", m->delegate_cur);
    obj_u64(b, "DelegateMax", m->delegate_max);
    obj_u64(b, "DelegateMin", m->delegate_min);
    obj_str(b, "Name", m->name);
    obj_u64(b, "Port", m->port);
    obj_u64(b, "ProtocolCur", m->protocol_cur);
    obj_u64(b, "ProtocolMax", m->protocol_max);
    obj_u64(b, "ProtocolMin", m->protocol_min);
    obj_str(b, "Status", m->status);
    obj_key(b, "Tags");
    js_map(b, &m->tags);
    buf_add_byte(b, '}');
}

void members_json(struct buf *b, const struct server_members_response *m)
{
    buf_add_byte(b, '{');
    obj_key(b, "Members");
    buf_add_byte(b, '[');
    for (size_t i = 0; i < m->n_members; i++) {
        if (i > 0)
            buf_add_byte(b, ',');
        member_json(b, &m->members[i]);
    }
    buf_add_byte(b, ']');
    obj_str(b, "ServerDC", m->server_dc);
    obj_str(b, "ServerName", m->server_name);
    obj_str(b, "ServerRegion", m->server_region);
    buf_add_byte(b, '}');
}
