/* Status.*, Region.List: nomad v1.10.5 nomad/status_endpoint.go.  One server, always the leader. */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "codec/mp.h"
#include "codec/ops.h"
#include "model/rpc_types.h"
#include "model/texts.h"
#include "server/dispatch.h"
#include "server/back.h"
#include "server/ep.h"
#include "server/members.h"
#include "server/node_reply.h"

void ep_status_ping(struct call *c)
{
    static const uint8_t empty_map[] = {0x80};

    call_reply_raw(c, empty_map, sizeof(empty_map));
}

void ep_status_leader(struct call *c)
{
    _cleanup_buf_ struct buf b = BUF_INIT(KIB);

    mp_str(&b, c->srv->rpc_advertise);
    call_reply_raw(c, b.p, b.len);
}

void ep_status_peers(struct call *c)
{
    _cleanup_buf_ struct buf b = BUF_INIT(KIB);

    mp_array(&b, 1);
    mp_str(&b, c->srv->rpc_advertise);
    call_reply_raw(c, b.p, b.len);
}

/* one region: there is no federation */
void ep_region_list(struct call *c)
{
    _cleanup_buf_ struct buf b = BUF_INIT(KIB);

    mp_array(&b, 1);
    mp_str(&b, c->srv->conf->region);
    call_reply_raw(c, b.p, b.len);
}

void ep_status_version(struct call *c)
{
    static char build[] = SERVER_NOMAD_VERSION "+" SERVER_NOMAD_METADATA;
    static char major[] = "api.major", minor[] = "api.minor", protocol[] = "protocol";
    static struct i64pair versions[] = {
        {major,    1},
        {minor,    1},
        {protocol, 1}
    };
    struct version_response out = {
        .build = build,
        .versions = {.items = versions, .n = ARRAY_LEN(versions)},
    };

    call_reply(c, &desc_version_response, &out);
}

void ep_status_members(struct call *c)
{
    struct server_members_response out = {0};

    members_fill(c->srv, &out);
    call_reply(c, &desc_server_members_response, &out);
    ops_clear(&desc_server_members_response, &out);
}

/* --- Status.HasNodeConn --- */

void ep_status_has_node_conn(struct call *c)
{
    const struct node_specific_request *q = c->request;
    struct node_conn_query_response out = {0};
    struct rpc_session *session = NULL;
    struct err e = {0};
    struct uuid node;

    if (str_empty(q->node_id)) {
        call_fail(c, TEXT_MISSING_ID);
        return;
    }
    if (node_key(q->node_id, &node, &e) == 0)
        session = back_session(c->srv, &node);
    if (session) {
        out.connected = true;
        out.established = gotime_from_unix_ns(
            clock_wall_ns() - (int64_t)(clock_boot_ns() - rpc_session_opened_ns(session)));
    }
    call_reply(c, &desc_node_conn_query_response, &out);
}
